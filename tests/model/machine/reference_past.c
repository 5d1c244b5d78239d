/*
 * Moments in a ring; what invalidations reach; and the floor, below which no moment matters.
 */
#include "tests/model/machine/reference_past.h"

struct invalidation invalidation_of_everything(void)
{
    return (struct invalidation){ .translations = true,
                                  .every_context = true,
                                  .globals = GLOBALS_GO,
                                  .structures = STRUCTURES_GO,
                                  .last = UINT64_MAX };
}

struct invalidation invalidation_of_context(uint16_t pcid, enum past_globals globals)
{
    struct invalidation invalidation = invalidation_of_everything();

    invalidation.every_context = false;
    invalidation.pcid = pcid;
    invalidation.globals = globals;
    return invalidation;
}

static bool reaches_context(const struct invalidation *invalidation, uint16_t pcid)
{
    return invalidation->every_context || invalidation->pcid == pcid;
}

static bool reaches_address(const struct invalidation *invalidation, uint64_t address)
{
    return invalidation->translations && address >= invalidation->first && address <= invalidation->last;
}

bool invalidation_covers(const struct invalidation *invalidation, uint16_t pcid, uint64_t address,
                         bool global)
{
    if (invalidation->of_space || !reaches_address(invalidation, address)) {
        return false;
    }
    if (global && invalidation->globals != GLOBALS_OF_CONTEXT) {
        return invalidation->globals == GLOBALS_GO;
    }
    return reaches_context(invalidation, pcid);
}

bool invalidation_covers_in_space(const struct invalidation *invalidation, uint64_t root, uint64_t address,
                                  bool global)
{
    return invalidation->of_space && invalidation->space == root && reaches_address(invalidation, address) &&
           (!global || invalidation->globals == GLOBALS_GO);
}

/* Whether entries for the region of 2^@shift bytes around @address go. */
static bool cuts_region(const struct invalidation *invalidation, uint64_t address, unsigned shift)
{
    switch (invalidation->structures) {
    case STRUCTURES_STAY: return false;
    case STRUCTURES_OF_PATH: return (invalidation->address ^ address) >> shift == 0;
    case STRUCTURES_OF_RANGE:
        return address >> shift >= invalidation->first >> shift &&
               address >> shift <= invalidation->last >> shift;
    case STRUCTURES_GO: return true;
    }
    return false;
}

static unsigned cut(const struct invalidation *invalidation, uint64_t address,
                    const struct vmmu_x86_format *format)
{
    for (unsigned level = 2; level <= format->levels; level++) {
        if (cuts_region(invalidation, address, format->level[level].shift)) {
            return level;
        }
    }
    return NO_CUT;
}

unsigned invalidation_cut(const struct invalidation *invalidation, uint16_t pcid, uint64_t address,
                          const struct vmmu_x86_format *format)
{
    const bool reaches = !invalidation->of_space && reaches_context(invalidation, pcid);

    return reaches ? cut(invalidation, address, format) : NO_CUT;
}

unsigned invalidation_cut_in_space(const struct invalidation *invalidation, uint64_t address,
                                   const struct vmmu_x86_format *format)
{
    return invalidation->of_space ? cut(invalidation, address, format) : NO_CUT;
}

/* Whether nothing is left of what was read under some PCID, whatever the address. */
static bool is_of_all_addresses(const struct invalidation *invalidation)
{
    return invalidation->translations && !invalidation->of_space &&
           invalidation->structures == STRUCTURES_GO && invalidation->first == 0 &&
           invalidation->last == UINT64_MAX;
}

/* PCIDs that were emptied later than the moment that is looked at. Those that do not fit count as not emptied. */
#define EMPTIED 32

struct emptied {
    unsigned count;
    uint16_t pcid[EMPTIED];
    bool every_context;
    bool globals;
};

static bool is_emptied(const struct emptied *emptied, uint16_t pcid)
{
    for (unsigned i = 0; i < emptied->count; i++) {
        if (emptied->pcid[i] == pcid) {
            return true;
        }
    }
    return emptied->every_context;
}

/* Whether something that was read in @moment may be remembered. */
static bool is_alive(const struct moment *moment, const struct emptied *emptied)
{
    return moment->paging &&
           (!is_emptied(emptied, moment->pcid) || (moment->global_pages && !emptied->globals));
}

static void empty(struct emptied *emptied, const struct invalidation *invalidation)
{
    if (!is_of_all_addresses(invalidation)) {
        return;
    }
    if (invalidation->every_context) {
        emptied->every_context = true;
        emptied->globals = emptied->globals || invalidation->globals == GLOBALS_GO;
    } else if (emptied->count < EMPTIED && !is_emptied(emptied, invalidation->pcid)) {
        emptied->pcid[emptied->count++] = invalidation->pcid;
    }
}

/* Drop the moments before the oldest that is alive, but never the last one, and put the floor there. */
static void prune(struct past *past)
{
    const unsigned count = past_count(past);
    unsigned oldest = count;
    struct emptied emptied = { .count = 0 };

    for (unsigned i = count; i-- > 0 && !(emptied.every_context && emptied.globals);) {
        const struct moment *moment = past_moment(past, i);

        if (is_alive(moment, &emptied)) {
            oldest = i;
        }
        empty(&emptied, &moment->invalidation);
    }
    if (emptied.every_context && emptied.globals) {
        past->lost = 0;
    }
    past->floor = oldest == count ? TIME_NEVER : past_moment(past, oldest)->begin;
    past->first += oldest == count ? count - 1 : oldest;
}

void past_begin(struct past *past, const struct moment *state)
{
    past->ring[0] = *state;
    past->first = 0;
    past->next = 1;
    past->lost = 0;
    past->floor = state->paging ? state->begin : TIME_NEVER;
}

void past_continue(struct past *past, const struct moment *state)
{
    if (past_count(past) == MOMENTS) {
        past->first++;
        past->lost = past_moment(past, 0)->begin;
    }
    past->ring[past->next++ % MOMENTS] = *state;
    if (is_of_all_addresses(&state->invalidation)) {
        prune(past);
    }
}
