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
    uint32_t ea;         /* of its 4 KiB page */
    uint32_t guest_page; /* what that is for the guest, in pages */
    uint32_t page;       /* ... and for the machine */
    uint32_t rights;
    struct booke_space space;
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

static void remove_overlapped(struct vmmu_booke_real *real, unsigned place)
{
    vmmu_booke_remove(real, place);
    real->counters.overlapped++;
}

/* Remove what of slots [first, first + count) overlaps the wish. */
static void clear(const struct wish *wish, unsigned first, unsigned count)
{
    const uint32_t offset_mask = booke_offset_mask(wish->tsize);

    for (unsigned i = first; i < first + count; i++) {
        if (wish->real->slots[i].from != NULL && overlaps(wish, &wish->real->slots[i], offset_mask)) {
            remove_overlapped(wish->real, i);
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

static inline void count_out(struct vmmu_booke_real *real, const struct vmmu_booke_slot *slot,
                             bool overlapped)
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

/* The wish becomes slot @place, which MAS0 calls @name; what that held has been counted out. */
static inline void make(const struct wish *wish, unsigned place, uint32_t name)
{
    struct vmmu_booke_real *const real = wish->real;
    const uint32_t offset_mask = booke_offset_mask(wish->tsize);
    const struct vmmu_booke_mas mas = {
        .mas0 = name,
        .mas1 = VMMU_MAS1_VALID | (uint32_t)wish->space.shadow << VMMU_MAS1_TID_SHIFT | VMMU_MAS1_TS |
                (uint32_t)wish->tsize << VMMU_MAS1_TSIZE_SHIFT,
        .mas2 = (wish->ea & ~offset_mask) | wish->attributes,
        .mas3 = (wish->page << SMALL_SHIFT & ~offset_mask) | wish->rights,
        .mas7 = wish->page >> (32 - SMALL_SHIFT),
    };

    real->slots[place] = (struct vmmu_booke_slot){ .from = wish->booke,
                                                   .mas1 = mas.mas1,
                                                   .mas2 = mas.mas2,
                                                   .mas3 = mas.mas3,
                                                   .mas7 = (uint8_t)mas.mas7,
                                                   .index = wish->index,
                                                   .group = wish->space.group };
    wish->booke->entries[wish->index].made++;
    real->patience -= real->patience != 0;
    real->host.write(real->host.context, &mas);
}

/* In @way of @set of array 0; what that holds is evicted, or written over if it was @overlapped. */
static inline void make_small_at(const struct wish *wish, unsigned set, unsigned way, bool overlapped)
{
    struct vmmu_booke_real *const real = wish->real;
    const unsigned place = set * real->ways + way;

    count_out(real, &real->slots[place], overlapped);
    real->next_way[set] = (uint8_t)(way + 1 < real->ways ? way + 1 : 0);
    real->small_regions |= UINT32_C(1) << (wish->ea >> REGION_SHIFT);
    real->counters.filled[0]++;
    make(wish, place, (uint32_t)way << VMMU_MAS0_ESEL_SHIFT);
}

static void make_small(const struct wish *wish)
{
    struct vmmu_booke_real *const real = wish->real;
    const unsigned set = booke_real_set(real, wish->ea);
    const unsigned first = set * real->ways;
    unsigned same = NO_PLACE;
    unsigned way = real->next_way[set];

    for (unsigned i = 0; i < real->ways; i++) {
        const struct vmmu_booke_slot *const slot = &real->slots[first + i];

        if (slot->from == NULL) {
            way = i;
        } else if (((slot->mas2 ^ wish->ea) & VMMU_MAS2_EPN) == 0 && may_meet(wish, slot)) {
            if (same != NO_PLACE) {
                remove_overlapped(real, first + same);
            }
            same = i;
        }
    }
    clear(wish, real->small, real->large);
    make_small_at(wish, set, same != NO_PLACE ? same : way, same != NO_PLACE);
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
    make(wish, real->small + place, booke_large_name(real, real->small + place));
    real->large_regions = regions_of(real, real->small, real->large);
}

/* --- how large --- */

/* The largest page, up to the guest's, that the memory, and where it is, allow. */
static unsigned fitting_size(const struct wish *wish, const struct booke_memory *memory, unsigned most)
{
    const struct vmmu_booke_real *const real = wish->real;
    const uint32_t before = wish->guest_page - memory->first;
    unsigned tsize = most < real->most_size ? most : real->most_size;

    for (; tsize > SMALL_SIZE && tsize >= real->least_size; tsize--) {
        const uint32_t offset_mask = booke_page_mask(tsize);
        const uint32_t offset = wish->guest_page & offset_mask;

        if ((memory->moved & offset_mask) == 0 && offset <= before &&
            memory->pages - (before - offset) > offset_mask) {
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

/* Make a large page, as large as nothing else is in its way. Returns whether it has come to that. */
static bool fill_large(struct wish *wish)
{
    struct vmmu_booke_real *const real = wish->real;
    unsigned place;

    shrink_beside(wish, real->small, real->large);
    if (small_ones_may_meet(wish)) {
        unsigned first;
        const unsigned count = small_range(real, wish->ea, booke_offset_mask(wish->tsize), &first);

        shrink_beside(wish, first, count);
    }
    if (wish->tsize == SMALL_SIZE || wish->tsize < real->least_size) {
        return false;
    }
    place = large_place(wish);
    if (place != NO_PLACE) {
        make_large(wish, place);
    }
    return place != NO_PLACE;
}

/* --- memory --- */

/* In pages that are wholly in it. Of none, if pages of the guest are not pages of the machine. */
static struct booke_memory memory_from(const struct vmmu_booke_piece *piece)
{
    const uint64_t first = (piece->gpa.v + VMMU_PAGE_BYTES - 1) >> VMMU_PAGE_SHIFT;
    const uint64_t end = (piece->gpa.v + piece->size_bytes) >> VMMU_PAGE_SHIFT;
    const bool fits = ((piece->gpa.v ^ piece->hpa.v) & (VMMU_PAGE_BYTES - 1)) == 0 && first < end;
    const uint64_t pages = end - first < UINT32_MAX ? end - first : UINT32_MAX;
    const uint64_t moved = (piece->hpa.v >> VMMU_PAGE_SHIFT) - (piece->gpa.v >> VMMU_PAGE_SHIFT);

    return (struct booke_memory){ .first = (uint32_t)first,
                                  .pages = fits ? (uint32_t)pages : 0,
                                  .moved = (uint32_t)moved,
                                  .rights = VMMU_MAS3_UR | (piece->write ? VMMU_MAS3_UW : 0) |
                                            (piece->execute ? VMMU_MAS3_UX : 0) };
}

static bool ask_for_memory(struct vmmu_booke *booke, const struct vmmu_booke_real *real, uint32_t page)
{
    const vmmu_gpa gpa = { (uint64_t)page << VMMU_PAGE_SHIFT };
    struct vmmu_booke_piece piece;

    if (!real->host.memory(real->host.context, booke, gpa, &piece)) {
        return false;
    }
    booke->spaces->memory = memory_from(&piece);
    return true;
}

/* Whether @page lies in @memory; what lies before it comes out larger than any size. */
static inline bool holds(const struct booke_memory *memory, uint32_t page)
{
    return page - memory->first < memory->pages;
}

/* The memory that @page lies in, or NULL. */
static inline const struct booke_memory *memory_of(struct vmmu_booke *booke,
                                                   const struct vmmu_booke_real *real, uint32_t page)
{
    const struct booke_memory *const last = &booke->spaces->memory;

    return holds(last, page) || (ask_for_memory(booke, real, page) && holds(last, page)) ? last : NULL;
}

static inline bool is_owned(const struct wish *wish)
{
    const struct vmmu_booke_host *const host = &wish->real->host;
    const uint32_t offset_mask = booke_page_mask(wish->tsize);
    const uint64_t first = (uint64_t)(wish->page & ~offset_mask) << VMMU_PAGE_SHIFT;
    const uint64_t size_bytes = ((uint64_t)offset_mask + 1) << VMMU_PAGE_SHIFT;

    if (host->owns(host->context, wish->booke, (vmmu_hpa){ first }, size_bytes)) {
        return true;
    }
    host->violated(host->context, wish->booke,
                   "an entry of the real TLB would have mapped memory that is not the partition's");
    return false;
}

/* --- filling --- */

/* Rights of problem state, with reading for the hypervisor where the guest may read or fetch. */
static inline uint32_t with_reading(uint32_t rights)
{
    return (rights & (VMMU_MAS3_UX | VMMU_MAS3_UR)) != 0 ? rights | VMMU_MAS3_SR : rights;
}

/* What of @rights an entry has that is for fetches or for data alone. */
static inline uint32_t split_rights(uint32_t rights, enum vmmu_booke_kind kind)
{
    return kind == VMMU_BOOKE_FETCH ? with_reading(rights & VMMU_MAS3_UX)
                                    : rights & (VMMU_MAS3_UW | VMMU_MAS3_UR);
}

/* The page of 4 KiB that @ea is in for the guest, by @entry, which answers it. */
static inline uint32_t guest_page_of(const struct vmmu_booke_entry *entry, uint32_t ea)
{
    const uint32_t offset_mask = booke_page_mask(booke_tsize(entry->mas1));
    const uint32_t frame = (uint32_t)entry->mas7 << (32 - SMALL_SHIFT) | entry->mas3 >> SMALL_SHIFT;

    return (frame & ~offset_mask) | (ea >> SMALL_SHIFT & offset_mask);
}

/* Make the entry that is wished for, no larger than wish->tsize. */
static enum vmmu_booke_fill grant(struct wish *wish, unsigned guest_size)
{
    if (!is_owned(wish)) {
        return VMMU_BOOKE_DENIED;
    }
    if (wish->tsize == SMALL_SIZE || !fill_large(wish)) {
        wish->tsize = SMALL_SIZE;
        make_small(wish);
    }
    if (wish->tsize < guest_size) {
        wish->real->counters.split++;
    }
    return VMMU_BOOKE_FILLED;
}

/* Make an entry for @attempt by virtual entry @index, which answers it. */
static enum vmmu_booke_fill fill_fully(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                       const struct vmmu_booke_attempt *attempt, unsigned index)
{
    const struct vmmu_booke_entry *const entry = &booke->entries[index];
    const bool split = booke_is_split(attempt->state);
    const uint32_t needed = (uint32_t)VMMU_MAS3_UR << 2 * attempt->kind;
    const uint32_t given = attempt->state.problem ? entry->mas3 : entry->mas3 << 1;
    const unsigned guest_size = booke_tsize(entry->mas1);
    const struct booke_memory *memory;
    struct wish wish = { .booke = booke,
                         .real = real,
                         .ea = attempt->ea & VMMU_MAS2_EPN,
                         .guest_page = guest_page_of(entry, attempt->ea),
                         .tsize = SMALL_SIZE,
                         .index = (uint16_t)index,
                         .attributes = (uint8_t)((entry->mas2 & ATTRIBUTES_KEPT) | VMMU_MAS2_M) };

    if ((given & needed) == 0) {
        return VMMU_BOOKE_FAULT;
    }
    memory = memory_of(booke, real, wish.guest_page);
    if (memory == NULL) {
        return VMMU_BOOKE_DEVICE;
    }
    if ((memory->rights & needed) == 0) {
        return VMMU_BOOKE_DENIED;
    }
    wish.page = wish.guest_page + memory->moved;
    wish.rights =
        split ? split_rights(given & memory->rights, attempt->kind) : with_reading(given & memory->rights);
    if (guest_size != SMALL_SIZE) {
        wish.tsize = fitting_size(&wish, memory, guest_size);
    }
    if (split && attempt->kind != VMMU_BOOKE_FETCH && !shrink_beside_instruction(&wish, attempt->at)) {
        wish.tsize = SMALL_SIZE;
        return is_owned(&wish) ? VMMU_BOOKE_CLASH : VMMU_BOOKE_DENIED;
    }
    wish.space = booke_space(booke, real, attempt->state, booke_tid(entry));
    return grant(&wish, guest_size);
}

/* The way of its set for a small wish: free, or the next in turn. NO_PLACE if what is at its address may meet it. */
static inline unsigned quick_way(const struct wish *wish, unsigned set)
{
    const struct vmmu_booke_real *const real = wish->real;
    const struct vmmu_booke_slot *slot = &real->slots[(size_t)set * real->ways];
    unsigned found = real->next_way[set];

    for (unsigned way = 0; way < real->ways; way++, slot++) {
        if (slot->from == NULL) {
            found = way;
        } else if (((slot->mas2 ^ wish->ea) & VMMU_MAS2_EPN) == 0 && may_meet(wish, slot)) {
            return NO_PLACE;
        }
    }
    return found;
}

/* The small wish comes true if nothing is in its way. Returns whether it has. */
static inline bool grant_quickly(const struct wish *wish)
{
    const struct vmmu_booke_host *const host = &wish->real->host;
    const unsigned set = booke_real_set(wish->real, wish->ea);
    const unsigned way = quick_way(wish, set);

    if (way == NO_PLACE ||
        !host->owns(host->context, wish->booke, (vmmu_hpa){ (uint64_t)wish->page << VMMU_PAGE_SHIFT },
                    VMMU_PAGE_BYTES)) {
        return false;
    }
    make_small_at(wish, set, way, false);
    return true;
}

/*
 * The same in half of the instructions, for what is most frequent by far: a page of 4 KiB in a plain space, whose memory is
 * known, and nothing in its way. Returns false if it is not that.
 */
static inline bool fill_quickly(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                const struct vmmu_booke_attempt *attempt, unsigned index)
{
    const struct vmmu_booke_entry *const entry = &booke->entries[index];
    const struct booke_memory *const memory = &booke->spaces->memory;
    const uint32_t page = (uint32_t)entry->mas7 << (32 - SMALL_SHIFT) | entry->mas3 >> SMALL_SHIFT;
    const uint32_t needed = (uint32_t)VMMU_MAS3_UR << 2 * attempt->kind;
    const uint32_t rights = (attempt->state.problem ? entry->mas3 : entry->mas3 << 1) & memory->rights;

    if (booke_tsize(entry->mas1) != SMALL_SIZE || (rights & needed) == 0 || !holds(memory, page) ||
        booke_is_private(booke, attempt->state) ||
        (real->large_regions >> (attempt->ea >> REGION_SHIFT) & 1) != 0) {
        return false;
    }
    return grant_quickly(
        &(struct wish){ .booke = booke,
                        .real = real,
                        .ea = attempt->ea & VMMU_MAS2_EPN,
                        .page = page + memory->moved,
                        .rights = with_reading(rights),
                        .space = booke_plain_space(booke, real, attempt->state, booke_tid(entry)),
                        .tsize = SMALL_SIZE,
                        .index = (uint16_t)index,
                        .attributes = (uint8_t)((entry->mas2 & ATTRIBUTES_KEPT) | VMMU_MAS2_M) });
}

static inline enum vmmu_booke_fill fill(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                        const struct vmmu_booke_attempt *attempt, unsigned index)
{
    return fill_quickly(booke, real, attempt, index) ? VMMU_BOOKE_FILLED
                                                     : fill_fully(booke, real, attempt, index);
}

static inline struct vmmu_booke_access access_of(const struct vmmu_booke_attempt *attempt)
{
    return (struct vmmu_booke_access){ .kind = attempt->kind,
                                       .space = attempt->kind == VMMU_BOOKE_FETCH
                                                    ? attempt->state.instruction_space
                                                    : attempt->state.data_space,
                                       .problem = attempt->state.problem };
}

static inline struct vmmu_booke_key key_of(const struct vmmu_booke *booke,
                                           const struct vmmu_booke_attempt *attempt)
{
    return booke_key(access_of(attempt).space, booke->pid[0], booke->pid[1], booke->pid[2]);
}

enum vmmu_booke_fill vmmu_booke_fill(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                     const struct vmmu_booke_attempt *attempt,
                                     struct vmmu_booke_result *result)
{
    const struct vmmu_booke_key key = key_of(booke, attempt);
    const int index = booke_find(booke, attempt->ea, &key);
    enum vmmu_booke_fill how;

    if (index < 0) {
        *result = booke_missed(access_of(attempt));
        return VMMU_BOOKE_FAULT;
    }
    how = fill(booke, real, attempt, (unsigned)index);
    if (how != VMMU_BOOKE_FILLED) {
        *result = vmmu_booke_by_entry(booke, (unsigned)index, attempt->ea, access_of(attempt));
    }
    return how;
}

bool vmmu_booke_fill_written(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                             const struct vmmu_booke_attempt *missed, unsigned index)
{
    const struct vmmu_booke_key key = key_of(booke, missed);

    return !booke_is_split(missed->state) && booke_answers(&booke->entries[index], missed->ea, &key) &&
           fill(booke, real, missed, index) == VMMU_BOOKE_FILLED;
}
