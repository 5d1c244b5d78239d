/*
 * The past of one virtual processor: how it translated, and what was invalidated.
 *
 * A moment begins with what an instruction or a fault made the processor forget, and lasts, its state
 * unchanged, until the next one. Moments out of which nothing can be remembered any more are dropped.
 *
 * Spec: SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches"; APM 2 "TLB Management".
 */
#ifndef TESTS_MODEL_MACHINE_REFERENCE_PAST_H
#define TESTS_MODEL_MACHINE_REFERENCE_PAST_H

#include "tests/model/machine/history.h"
#include <vmmu/mode.h>

/* Which global translations an invalidation takes along, of those that its range covers. */
enum past_globals {
    GLOBALS_STAY,
    GLOBALS_OF_CONTEXT, /* those that were made under its PCID */
    GLOBALS_GO,         /* whatever PCID they were made under */
};

/* Which entries of paging-structure caches an invalidation takes along, of those of its PCID. */
enum past_structures {
    STRUCTURES_STAY,
    STRUCTURES_OF_PATH,  /* those that lead to its address */
    STRUCTURES_OF_RANGE, /* those that lead to some address of [first, last] */
    STRUCTURES_GO,
};

/* What must be forgotten. All zero: nothing. */
struct invalidation {
    bool translations;  /* those of [first, last], of the PCID */
    bool every_context; /* of every PCID; else of `pcid` */
    bool of_space;      /* only what was read while the root was `space`, under whatever PCID */
    uint64_t space;
    uint16_t pcid;
    enum past_globals globals;
    enum past_structures structures;
    uint64_t first;
    uint64_t last;
    uint64_t address;
};

/* How a processor translates, as far as it decides what may be remembered. */
struct moment {
    uint64_t begin;
    struct invalidation invalidation; /* at the beginning */
    bool paging;                      /* else nothing is read from tables */
    bool global_pages;
    bool from_registers; /* PAE: the top entries are `pdpte` */
    uint16_t pcid;
    const struct vmmu_x86_layout *layout;
    uint64_t root;
    uint64_t pdpte[4];
};

#define MOMENTS 1024

struct past {
    struct moment ring[MOMENTS];
    uint32_t first; /* numbers of moments, modulo MOMENTS their places */
    uint32_t next;
    uint64_t
        lost; /* what began before was dropped for want of room, though it could be remembered. 0: nothing */
    uint64_t floor; /* nothing that was read before can be remembered; TIME_NEVER: nothing at all */
};

/* Every translation of every PCID, global ones too, and all that leads to them. */
struct invalidation invalidation_of_everything(void);

/* All of @pcid: translations and structures; @globals as it says. */
struct invalidation invalidation_of_context(uint16_t pcid, enum past_globals globals);

/* Start with one moment at time 0, its state as in @state. */
void past_begin(struct past *past, const struct moment *state);

/* The moment @state begins. The floor may rise. */
void past_continue(struct past *past, const struct moment *state);

static inline unsigned past_count(const struct past *past)
{
    return past->next - past->first;
}

/* Moment @i, counted from the oldest that is kept. */
static inline const struct moment *past_moment(const struct past *past, unsigned i)
{
    return &past->ring[(past->first + i) % MOMENTS];
}

/* When moment @i ended. */
static inline uint64_t past_end(const struct past *past, unsigned i)
{
    return i + 1 < past_count(past) ? past_moment(past, i + 1)->begin : TIME_NEVER;
}

/* Whether @invalidation removes a translation of @address that was made under @pcid. */
bool invalidation_covers(const struct invalidation *invalidation, uint16_t pcid, uint64_t address,
                         bool global);

/* The same of @invalidation that is of_space, and a translation that was made while the root was @root. */
bool invalidation_covers_in_space(const struct invalidation *invalidation, uint64_t root, uint64_t address,
                                  bool global);

/*
 * The lowest level whose cached entry, on the way to @address under @pcid, @invalidation removes; with it go those of all
 * levels above. NO_CUT if none, or if it is of_space. Cached entries begin at level 2.
 */
#define NO_CUT 255U
unsigned invalidation_cut(const struct invalidation *invalidation, uint16_t pcid, uint64_t address,
                          const struct vmmu_x86_format *format);

/* The same of @invalidation that is of_space, and entries that were read while the root was its own. */
unsigned invalidation_cut_in_space(const struct invalidation *invalidation, uint64_t address,
                                   const struct vmmu_x86_format *format);

#endif
