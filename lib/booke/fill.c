/*
 * Making a real entry for an access that missed.
 *
 * What may overlap a new entry is looked for before it is written, so that the processor never finds two for one address:
 *   - an older one that maps the very page asked for is taken away: the guest's entries overlap (its own mistake), or those for
 *     fetch and for data share a page, or a smaller part of the same page was made before;
 *   - one that was made from another virtual entry, and maps other pages than that, is left, and the new one is made smaller. So
 *     two accesses of one instruction do not take each other's entries away for ever.
 */
#include "lib/booke/real.h"

/* Of the guest's attributes; no memory is written through or uncached, and all of it is coherent. */
#define ATTRIBUTES_KEPT (VMMU_MAS2_X0 | VMMU_MAS2_X1 | VMMU_MAS2_G | VMMU_MAS2_E)

#define NO_PLACE        UINT32_MAX
#define PATIENCE                                                                                             \
    7 /* fills after an eviction from array 1 until the next: a processor may flush much at each */

/* An entry to be made. */
struct wish {
    struct vmmu_booke *booke;
    struct vmmu_booke_real *real;
    struct booke_space space;
    uint32_t ea;
    uint64_t hpa; /* of the 4 KiB page of @ea */
    uint32_t rights;
    unsigned tsize;
    uint16_t index; /* of the virtual entry */
    uint8_t attributes;
};

/* --- what may overlap --- */

static inline bool may_meet(const struct wish *wish, const struct vmmu_booke_slot *slot)
{
    const uint8_t shadow = booke_slot_shadow(slot);

    return slot->from == wish->booke && slot->group == wish->space.group &&
           (wish->space.with_all || shadow == wish->space.shadow || shadow == wish->space.partner);
}

/* Whether @slot's page and that of the wish with @offset_mask overlap. Of pages with sizes that are powers of two, one holds the other. */
static inline bool overlaps(const struct wish *wish, const struct vmmu_booke_slot *slot, uint32_t offset_mask)
{
    return ((slot->mas2 ^ wish->ea) & VMMU_MAS2_EPN & ~(offset_mask | booke_slot_mask(slot))) == 0 &&
           may_meet(wish, slot);
}

/* Slots [*first, *first + the result) of array 0 are those that a page of @offset_mask around @ea may meet. */
static unsigned small_range(const struct vmmu_booke_real *real, uint32_t ea, uint32_t offset_mask,
                            unsigned *first)
{
    const uint32_t pages = (offset_mask >> SMALL_SHIFT) + 1;

    if (pages >= real->sets) {
        *first = 0;
        return real->small;
    }
    *first = ((ea & ~offset_mask) >> SMALL_SHIFT & (real->sets - 1U)) * real->ways;
    return (unsigned)pages * real->ways;
}

/* Make the wish smaller until it leaves alone what of slots [first, first + count) maps other pages, from another entry. */
static void shrink_beside(struct wish *wish, unsigned first, unsigned count)
{
    const struct vmmu_booke_slot *slot = &wish->real->slots[first];

    for (unsigned i = 0; i < count; i++, slot++) {
        if (slot->from == NULL || slot->index == wish->index || overlaps(wish, slot, 0)) {
            continue;
        }
        while (overlaps(wish, slot, booke_offset_mask(wish->tsize))) {
            wish->tsize--;
        }
    }
}

/* Remove what of slots [first, first + count) overlaps the wish. */
static void clear(const struct wish *wish, unsigned first, unsigned count)
{
    const uint32_t offset_mask = booke_offset_mask(wish->tsize);

    for (unsigned i = first; i < first + count; i++) {
        if (wish->real->slots[i].from != NULL && overlaps(wish, &wish->real->slots[i], offset_mask)) {
            vmmu_booke_remove(wish->real, i);
            wish->real->counters.overlapped++;
        }
    }
}

/* The regions that slots [first, first + count) meet. */
static uint32_t regions_of(const struct vmmu_booke_real *real, unsigned first, unsigned count)
{
    uint32_t regions = 0;

    for (unsigned i = first; i < first + count; i++) {
        if (real->slots[i].from != NULL) {
            regions |= booke_regions(real->slots[i].mas2, booke_slot_mask(&real->slots[i]));
        }
    }
    return regions;
}

/* Whether an entry of array 0 may be where the wish is. What is known of that is only ever too much: renewed when it says so. */
static bool small_ones_may_meet(const struct wish *wish)
{
    struct vmmu_booke_real *const real = wish->real;
    const uint32_t regions = booke_regions(wish->ea, booke_offset_mask(wish->tsize));

    if ((real->small_regions & regions) != 0) {
        real->small_regions = regions_of(real, 0, real->small);
    }
    return (real->small_regions & regions) != 0;
}

/* --- writing --- */

static void count_out(struct vmmu_booke_real *real, const struct vmmu_booke_slot *slot, bool overlapped)
{
    if (slot->from == NULL) {
        return;
    }
    slot->from->entries[slot->index].made--;
    if (overlapped) {
        real->counters.overlapped++;
    } else {
        real->counters.evicted++;
    }
}

/* The wish becomes slot @place; what that held has been counted out. */
static void make(const struct wish *wish, unsigned place)
{
    struct vmmu_booke_real *const real = wish->real;
    const uint32_t offset_mask = booke_offset_mask(wish->tsize);

    real->slots[place] = (struct vmmu_booke_slot){
        .from = wish->booke,
        .mas1 = VMMU_MAS1_VALID | (uint32_t)wish->space.shadow << VMMU_MAS1_TID_SHIFT | VMMU_MAS1_TS |
                (uint32_t)wish->tsize << VMMU_MAS1_TSIZE_SHIFT,
        .mas2 = (wish->ea & ~offset_mask) | wish->attributes,
        .mas3 = ((uint32_t)wish->hpa & ~offset_mask) | wish->rights,
        .mas7 = (uint8_t)(wish->hpa >> 32),
        .index = wish->index,
        .group = wish->space.group,
    };
    wish->booke->entries[wish->index].made++;
    real->patience -= real->patience != 0;
    vmmu_booke_put(real, place);
}

static void make_small(const struct wish *wish)
{
    struct vmmu_booke_real *const real = wish->real;
    const uint32_t set = wish->ea >> SMALL_SHIFT & (real->sets - 1U);
    const uint32_t region = UINT32_C(1) << (wish->ea >> REGION_SHIFT);
    const unsigned first = set * real->ways;
    unsigned same = NO_PLACE;
    unsigned place = first + real->next_way[set];

    for (unsigned i = first; i < first + real->ways; i++) {
        const struct vmmu_booke_slot *const slot = &real->slots[i];

        if (slot->from == NULL) {
            place = i;
        } else if (((slot->mas2 ^ wish->ea) & VMMU_MAS2_EPN) == 0 && may_meet(wish, slot)) {
            if (same != NO_PLACE) {
                vmmu_booke_remove(real, same);
                real->counters.overlapped++;
            }
            same = i;
        }
    }
    if ((real->large_regions & region) != 0) {
        clear(wish, real->small, real->large);
    }
    place = same != NO_PLACE ? same : place;
    count_out(real, &real->slots[place], same != NO_PLACE);
    real->next_way[set] = (uint8_t)(place + 1 - first < real->ways ? place + 1 - first : 0);
    real->small_regions |= region;
    real->counters.filled[0]++;
    make(wish, place);
}

/* A place in array 1: free, or to be; then the next in turn, unless it was just another one's. */
static unsigned large_place(const struct wish *wish)
{
    struct vmmu_booke_real *const real = wish->real;
    const uint32_t offset_mask = booke_offset_mask(wish->tsize);

    for (unsigned i = 0; i < real->large; i++) {
        const struct vmmu_booke_slot *const slot = &real->slots[real->small + i];

        if (slot->from == NULL || overlaps(wish, slot, offset_mask)) {
            return i;
        }
    }
    if (real->patience != 0) {
        return NO_PLACE;
    }
    real->patience = PATIENCE + 1;
    return real->next_large;
}

static void make_large(struct wish *wish, unsigned place)
{
    struct vmmu_booke_real *const real = wish->real;
    const uint32_t offset_mask = booke_offset_mask(wish->tsize);

    clear(wish, real->small, real->large);
    if (small_ones_may_meet(wish)) {
        unsigned first;
        const unsigned count = small_range(real, wish->ea, offset_mask, &first);

        clear(wish, first, count);
    }
    count_out(real, &real->slots[real->small + place], false);
    real->next_large = (uint16_t)(place + 1 < real->large ? place + 1 : 0);
    real->counters.filled[1]++;
    make(wish, real->small + place);
    real->large_regions = regions_of(real, real->small, real->large);
}

/* --- how large --- */

/* The largest page, up to the guest's, that the memory of @piece, and where it is, allow. */
static unsigned fitting_size(const struct vmmu_booke_real *real, const struct vmmu_booke_piece *piece,
                             uint64_t gpa, unsigned most)
{
    const uint64_t before = gpa - piece->gpa.v;
    const uint64_t displaced = piece->hpa.v ^ piece->gpa.v;
    unsigned tsize = most < real->most_size ? most : real->most_size;

    for (; tsize > SMALL_SIZE && tsize >= real->least_size; tsize--) {
        const uint64_t offset_mask = booke_offset_mask(tsize);
        const uint64_t offset = gpa & offset_mask;

        if ((displaced & offset_mask) == 0 && offset <= before &&
            piece->size_bytes - (before - offset) > offset_mask) {
            return tsize;
        }
    }
    return SMALL_SIZE;
}

/* The instruction's page must not be covered by its data's entry. Returns whether that can be. */
static bool shrink_beside_instruction(struct wish *wish, uint32_t at)
{
    if (((wish->ea ^ at) & VMMU_MAS2_EPN) == 0) {
        return false;
    }
    while (((wish->ea ^ at) & ~booke_offset_mask(wish->tsize)) == 0) {
        wish->tsize--;
    }
    return true;
}

/* Fill with what may be a large page: as large as nothing else is in its way. */
static void fill_large(struct wish *wish)
{
    struct vmmu_booke_real *const real = wish->real;
    unsigned place = NO_PLACE;

    shrink_beside(wish, real->small, real->large);
    if (small_ones_may_meet(wish)) {
        unsigned first;
        const unsigned count = small_range(real, wish->ea, booke_offset_mask(wish->tsize), &first);

        shrink_beside(wish, first, count);
    }
    if (wish->tsize > SMALL_SIZE && wish->tsize >= real->least_size) {
        place = large_place(wish);
    }
    if (place != NO_PLACE) {
        make_large(wish, place);
        return;
    }
    wish->tsize = SMALL_SIZE;
    make_small(wish);
}

/* --- rights --- */

/* What the guest's entry and the memory give to an access in @state, as rights of problem state; and reading for the hypervisor. */
static uint32_t rights_of(const struct vmmu_booke_entry *entry, const struct vmmu_booke_piece *piece,
                          const struct vmmu_booke_attempt *attempt)
{
    const uint32_t problem = VMMU_MAS3_UX | VMMU_MAS3_UW | VMMU_MAS3_UR;
    uint32_t rights = (attempt->state.problem ? entry->mas3 : entry->mas3 << 1) & problem;

    rights &= ~((piece->write ? 0 : VMMU_MAS3_UW) | (piece->execute ? 0 : VMMU_MAS3_UX));
    if (!booke_is_split(attempt->state)) {
        return rights | ((rights & (VMMU_MAS3_UX | VMMU_MAS3_UR)) != 0 ? VMMU_MAS3_SR : 0);
    }
    return attempt->kind == VMMU_BOOKE_FETCH ? (rights & VMMU_MAS3_UX) | VMMU_MAS3_SR
                                             : rights & (VMMU_MAS3_UW | VMMU_MAS3_UR);
}

static uint32_t needed(enum vmmu_booke_kind kind)
{
    static const uint8_t right[] = {
        [VMMU_BOOKE_LOAD] = VMMU_MAS3_UR, [VMMU_BOOKE_STORE] = VMMU_MAS3_UW, [VMMU_BOOKE_FETCH] = VMMU_MAS3_UX
    };

    return right[kind];
}

/* --- filling --- */

static inline bool covers(const struct vmmu_booke_piece *piece, uint64_t page)
{
    return page - piece->gpa.v < piece->size_bytes && /* what lies before comes out larger than any size */
           piece->size_bytes - (page - piece->gpa.v) >= VMMU_PAGE_BYTES;
}

/* The memory that holds the whole of @page, or NULL. */
static const struct vmmu_booke_piece *memory_of(struct vmmu_booke *booke, const struct vmmu_booke_real *real,
                                                uint64_t page)
{
    struct vmmu_booke_piece *const last = &booke->spaces->piece;

    if (!covers(last, page)) {
        struct vmmu_booke_piece piece;

        if (!real->host.memory(real->host.context, booke, (vmmu_gpa){ page }, &piece) ||
            !covers(&piece, page)) {
            return NULL;
        }
        *last = piece;
    }
    return last;
}

static bool is_owned(const struct wish *wish)
{
    const struct vmmu_booke_host *const host = &wish->real->host;
    const uint64_t offset_mask = booke_offset_mask(wish->tsize);

    if (host->owns(host->context, wish->booke, (vmmu_hpa){ wish->hpa & ~offset_mask }, offset_mask + 1)) {
        return true;
    }
    host->violated(host->context, wish->booke,
                   "an entry of the real TLB would have mapped memory that is not the partition's");
    return false;
}

/* Make the entry that is wished for, no larger than wish->tsize. */
static enum vmmu_booke_fill grant(struct wish *wish, unsigned guest_size)
{
    if (!is_owned(wish)) {
        return VMMU_BOOKE_DENIED;
    }
    if (wish->tsize > SMALL_SIZE) {
        fill_large(wish);
    } else {
        make_small(wish);
    }
    wish->real->counters.split += wish->tsize < guest_size;
    return VMMU_BOOKE_FILLED;
}

/* Make an entry for @attempt, which the guest's own TLB allows by @result. */
static enum vmmu_booke_fill fill(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                 const struct vmmu_booke_attempt *attempt,
                                 const struct vmmu_booke_result *result)
{
    const struct vmmu_booke_entry *const entry = &booke->entries[result->index];
    const bool beside = booke_is_split(attempt->state) && attempt->kind != VMMU_BOOKE_FETCH;
    const uint64_t page = result->gpa.v & ~(VMMU_PAGE_BYTES - 1);
    const struct vmmu_booke_piece *const piece = memory_of(booke, real, page);
    const unsigned guest_size = booke_tsize(entry->mas1);
    struct wish wish;

    if (piece == NULL) {
        return VMMU_BOOKE_DEVICE;
    }
    wish = (struct wish){ .booke = booke,
                          .real = real,
                          .ea = attempt->ea & VMMU_MAS2_EPN,
                          .hpa = piece->hpa.v + (page - piece->gpa.v),
                          .rights = rights_of(entry, piece, attempt),
                          .tsize = SMALL_SIZE,
                          .index = result->index,
                          .attributes = (uint8_t)((entry->mas2 & ATTRIBUTES_KEPT) | VMMU_MAS2_M) };
    if ((wish.rights & needed(attempt->kind)) == 0) {
        return VMMU_BOOKE_DENIED;
    }
    if (guest_size > SMALL_SIZE) {
        wish.tsize = fitting_size(real, piece, page, guest_size);
    }
    if (beside && !shrink_beside_instruction(&wish, attempt->at)) {
        return VMMU_BOOKE_CLASH;
    }
    wish.space = vmmu_booke_space(booke, real, attempt->state, booke_tid(entry));
    return grant(&wish, guest_size);
}

static struct vmmu_booke_access access_of(const struct vmmu_booke_attempt *attempt)
{
    return (struct vmmu_booke_access){ .kind = attempt->kind,
                                       .space = attempt->kind == VMMU_BOOKE_FETCH
                                                    ? attempt->state.instruction_space
                                                    : attempt->state.data_space,
                                       .problem = attempt->state.problem };
}

enum vmmu_booke_fill vmmu_booke_fill(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                     const struct vmmu_booke_attempt *attempt,
                                     struct vmmu_booke_result *result)
{
    *result = vmmu_booke_translate(booke, attempt->ea, access_of(attempt));
    return result->verdict == VMMU_BOOKE_HIT ? fill(booke, real, attempt, result) : VMMU_BOOKE_FAULT;
}

bool vmmu_booke_fill_written(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                             const struct vmmu_booke_attempt *missed, unsigned index)
{
    const struct vmmu_booke_access access = access_of(missed);
    const struct vmmu_booke_key key = booke_key(access.space, booke->pid[0], booke->pid[1], booke->pid[2]);
    struct vmmu_booke_result result;

    if (booke_is_split(missed->state) || !booke_answers(&booke->entries[index], missed->ea, &key)) {
        return false;
    }
    result = vmmu_booke_by_entry(booke, index, missed->ea, access);
    return result.verdict == VMMU_BOOKE_HIT && fill(booke, real, missed, &result) == VMMU_BOOKE_FILLED;
}
