/*
 * The guest's MMU by the manuals: see reference.h.
 */
#include "tests/booke/machine/reference.h"

#include <string.h>

/* --- registers --- */

static unsigned bits_for(unsigned count)
{
    unsigned bits = 0;

    while ((1U << bits) < count) {
        bits++;
    }
    return bits;
}

/* The bits of a TID that the processor has, in a field that ends at bit @last. */
static uint32_t tid_ones(const struct reference *reference, unsigned last)
{
    return ones(last + 1 - reference->geometry.pid_bits, last);
}

/* The bits that MAS @number has on this processor: the others are reserved, and read as 0. */
static uint32_t mas_ones(const struct reference *reference, unsigned number)
{
    const struct geometry *geometry = &reference->geometry;
    const unsigned most_ways = geometry->large > geometry->ways ? geometry->large : geometry->ways;

    switch (number) {
    case 0:
        return ones(35, 35) | ones(48 - bits_for(most_ways), 47) |
               (geometry->ways > 1 ? ones(64 - bits_for(geometry->ways), 63) : 0);
    case 1: return ones(32, 33) | tid_ones(reference, 47) | ones(51, 51) | ones(52, 55);
    case 2: return ones(32, 51) | ones(57, 63);
    case 3: return ones(32, 51) | ones(54, 63);
    case 4: return ones(35, 35) | ones(46, 47) | ones(52, 55) | ones(57, 63);
    case 6: return tid_ones(reference, 47) | ones(63, 63);
    case 7: return geometry->physical_bits > 32 ? ones(96 - geometry->physical_bits, 63) : 0;
    default: return 0;
    }
}

void reference_set_mas(struct reference *reference, unsigned number, uint32_t value)
{
    reference->registers.mas[number] = value & mas_ones(reference, number);
}

void reference_set_hid0(struct reference *reference, uint32_t value)
{
    reference->registers.hid0 = value;
}

void reference_set_pid(struct reference *reference, unsigned number, uint32_t value)
{
    if (number < reference->geometry.pids) {
        reference->registers.pid[number] = value & tid_ones(reference, 63);
    }
}

/* --- the list --- */

void reference_init(struct reference *reference, const struct geometry *geometry)
{
    memset(reference, 0, sizeof(*reference));
    reference->geometry = *geometry;
    for (unsigned set = 0; set < geometry->sets; set++) {
        for (unsigned way = 0; way < geometry->ways; way++) {
            reference->entry[reference->entries++] =
                (struct reference_entry){ .array = 0, .set = set, .way = way };
        }
    }
    for (unsigned way = 0; way < geometry->large; way++) {
        reference->entry[reference->entries++] = (struct reference_entry){ .array = 1, .way = way };
    }
}

void reference_begin(struct reference *reference)
{
    reference->changes = 0;
}

static void note_change(struct reference *reference, const struct reference_entry *entry)
{
    if (!entry->valid) {
        return;
    }
    if (reference->changes < REFERENCE_MOST_CHANGES) {
        reference->change[reference->changes] = reference_extent(entry);
    }
    reference->changes++;
}

/* The set of TLB0 that an address belongs to: the lowest bits of its page number. */
static unsigned set_of(const struct reference *reference, uint32_t ea)
{
    return field(ea, 32, 51) % reference->geometry.sets;
}

/* The place that MAS0 and, for TLB0, MAS2 name. Of ESEL the bits that the array needs count; -1: it has fewer ways than that. */
static int named_place(const struct reference *reference)
{
    const struct geometry *geometry = &reference->geometry;
    const unsigned array = field(reference->registers.mas[0], 35, 35);
    const unsigned bits = bits_for(array == 0 ? geometry->ways : geometry->large);
    const unsigned way = field(reference->registers.mas[0], 36, 47) % (1U << bits);
    const unsigned set = array == 0 ? set_of(reference, reference->registers.mas[2]) : 0;

    for (unsigned i = 0; i < reference->entries; i++) {
        const struct reference_entry *entry = &reference->entry[i];

        if (entry->array == array && entry->set == set && entry->way == way) {
            return (int)i;
        }
    }
    return -1;
}

/* --- operations --- */

/* What was written is what was there: no change. */
static bool is_same(const struct reference_entry *one, const struct reference_entry *other)
{
    return one->valid == other->valid && one->protect == other->protect && one->tid == other->tid &&
           one->space == other->space && one->size == other->size && one->page == other->page &&
           one->attributes == other->attributes && one->frame == other->frame &&
           one->user_bits == other->user_bits && one->ux == other->ux && one->sx == other->sx &&
           one->uw == other->uw && one->sw == other->sw && one->ur == other->ur && one->sr == other->sr;
}

int reference_write(struct reference *reference)
{
    const struct geometry *geometry = &reference->geometry;
    const uint32_t *mas = reference->registers.mas;
    const int place = named_place(reference);
    struct reference_entry *entry;
    struct reference_entry before;

    if (place < 0) {
        return -1;
    }
    entry = &reference->entry[place];
    before = *entry;
    entry->valid = field(mas[1], 32, 32);
    entry->protect = entry->array == 1 && field(mas[1], 33, 33);
    entry->tid = field(mas[1], 34, 47);
    entry->space = field(mas[1], 51, 51);
    entry->size = field(mas[1], 52, 55);
    if (entry->array == 0) {
        entry->size = 1;
    } else if (entry->valid && entry->size < geometry->least) {
        entry->size = geometry->least;
    } else if (entry->valid && entry->size > geometry->most) {
        entry->size = geometry->most;
    }
    entry->page = put(field(mas[2], 32, 51), 32, 51);
    entry->attributes = field(mas[2], 57, 63);
    entry->frame = (uint64_t)mas[7] << 32 | put(field(mas[3], 32, 51), 32, 51);
    entry->user_bits = field(mas[3], 54, 57);
    entry->ux = field(mas[3], 58, 58);
    entry->sx = field(mas[3], 59, 59);
    entry->uw = field(mas[3], 60, 60);
    entry->sw = field(mas[3], 61, 61);
    entry->ur = field(mas[3], 62, 62);
    entry->sr = field(mas[3], 63, 63);
    if (entry->array == 0) {
        reference->next_victim[entry->set] =
            field(mas[0], 52, 63) < geometry->ways ? field(mas[0], 52, 63) : 0;
    }
    if (!is_same(&before, entry)) {
        note_change(reference, &before);
        note_change(reference, entry);
    }
    return place;
}

/* HID0[EN_MAS7_UPDATE] lets instructions and interrupts write MAS7. */
static void update_mas7(struct reference *reference, uint64_t frame)
{
    if (field(reference->registers.hid0, 56, 56)) {
        reference->registers.mas[7] = (uint32_t)(frame >> 32);
    }
}

/* MAS1, MAS2, MAS3 and MAS7 of an entry. */
static void show(struct reference *reference, const struct reference_entry *entry)
{
    uint32_t *mas = reference->registers.mas;

    mas[1] = put(entry->valid, 32, 32) | put(entry->protect, 33, 33) | put(entry->tid, 34, 47) |
             put(entry->space, 51, 51) | put(entry->size, 52, 55);
    mas[2] = entry->page | put(entry->attributes, 57, 63);
    mas[3] = (uint32_t)entry->frame | put(entry->user_bits, 54, 57) | put(entry->ux, 58, 58) |
             put(entry->sx, 59, 59) | put(entry->uw, 60, 60) | put(entry->sw, 61, 61) |
             put(entry->ur, 62, 62) | put(entry->sr, 63, 63);
    update_mas7(reference, entry->frame);
}

static void set_next_victim(struct reference *reference, uint32_t victim)
{
    uint32_t *mas0 = &reference->registers.mas[0];

    *mas0 = (*mas0 & ~ones(52, 63)) | put(victim, 52, 63);
}

void reference_read(struct reference *reference)
{
    static const struct reference_entry none;
    const int place = named_place(reference);

    if (field(reference->registers.mas[0], 35, 35) == 0) {
        set_next_victim(reference, reference->next_victim[set_of(reference, reference->registers.mas[2])]);
    }
    show(reference, place < 0 ? &none : &reference->entry[place]);
}

/*
 * What the defaults of MAS4 make of the registers: where the next entry goes, and which one after it; its size and attributes; no
 * address and no right. U0 to U3 stay.
 */
static void take_defaults(struct reference *reference, uint32_t ea)
{
    uint32_t *mas = reference->registers.mas;
    const uint32_t array = field(mas[4], 35, 35);
    const uint32_t victim = reference->next_victim[set_of(reference, ea)];

    mas[0] = put(array, 35, 35);
    if (array == 0) {
        mas[0] |= put(victim, 36, 47) | put((victim + 1) % reference->geometry.ways, 52, 63);
    }
    mas[1] = put(field(mas[4], 52, 55), 52, 55);
    mas[2] = (mas[2] & ones(32, 51)) | put(field(mas[4], 57, 63), 57, 63);
    mas[3] &= ones(54, 57);
    update_mas7(reference, 0);
}

void reference_search(struct reference *reference, uint32_t ea)
{
    uint32_t *mas = reference->registers.mas;
    const uint32_t tid = field(mas[6], 34, 47);
    const bool space = field(mas[6], 63, 63);

    for (unsigned i = 0; i < reference->entries; i++) {
        const struct reference_entry *entry = &reference->entry[i];
        const struct reference_change extent = reference_extent(entry);

        if (!entry->valid || entry->space != space || (entry->tid != 0 && entry->tid != tid) ||
            ea < extent.first || ea > extent.last) {
            continue;
        }
        mas[0] = put(entry->array, 35, 35) | put(entry->way, 36, 47);
        if (entry->array == 0) {
            set_next_victim(reference, reference->next_victim[entry->set]);
        }
        show(reference, entry);
        return;
    }
    take_defaults(reference, ea);
    mas[1] |= put(tid, 34, 47) | put(space, 51, 51);
}

/* Entry @i goes unless IPROT keeps it. */
static void invalidate_one(struct reference *reference, unsigned i)
{
    struct reference_entry *entry = &reference->entry[i];

    if (!entry->protect) {
        note_change(reference, entry);
        entry->valid = false;
    }
}

void reference_flash(struct reference *reference, uint32_t value)
{
    for (unsigned i = 0; i < reference->entries; i++) {
        if (reference->entry[i].array == 0 ? field(value, 61, 61) : field(value, 62, 62)) {
            invalidate_one(reference, i);
        }
    }
}

void reference_invalidate(struct reference *reference, uint32_t ea)
{
    const unsigned array = field(ea, 60, 60);
    const bool all = field(ea, 61, 61);

    for (unsigned i = 0; i < reference->entries; i++) {
        const struct reference_entry *entry = &reference->entry[i];
        const struct reference_change extent = reference_extent(entry);

        if (entry->array == array && (all || (ea >= extent.first && ea <= extent.last))) {
            invalidate_one(reference, i);
        }
    }
}

void reference_invalidate_local(struct reference *reference, unsigned type, uint32_t ea)
{
    const uint32_t tid = field(reference->registers.mas[6], 34, 47);
    const bool space = field(reference->registers.mas[6], 63, 63);

    for (unsigned i = 0; i < reference->entries; i++) {
        const struct reference_entry *entry = &reference->entry[i];
        const struct reference_change extent = reference_extent(entry);
        const bool at = ea >= extent.first && ea <= extent.last;
        const bool whose = entry->tid == tid || (type == 3 && entry->tid == 0);

        if (type == 0 || (type == 1 && whose) || (type == 3 && whose && at && entry->space == space)) {
            invalidate_one(reference, i);
        }
    }
}

/* --- accesses --- */

struct reference_change reference_extent(const struct reference_entry *entry)
{
    const uint64_t bytes = size_bytes(entry->size);
    const uint64_t first = entry->page / bytes * bytes;
    const uint64_t last = first + bytes - 1;

    return (struct reference_change){ (uint32_t)first, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last };
}

int reference_match(const struct reference *reference, uint32_t ea, bool space, int after)
{
    for (unsigned i = (unsigned)(after + 1); i < reference->entries; i++) {
        const struct reference_entry *entry = &reference->entry[i];
        const struct reference_change extent = reference_extent(entry);
        bool whose = entry->tid == 0;

        for (unsigned pid = 0; pid < reference->geometry.pids; pid++) {
            whose |= entry->tid == reference->registers.pid[pid];
        }
        if (entry->valid && entry->space == space && whose && ea >= extent.first && ea <= extent.last) {
            return (int)i;
        }
    }
    return -1;
}

bool reference_allows(const struct reference_entry *entry, struct reference_access access)
{
    switch (access.kind) {
    case ACCESS_LOAD: return access.problem ? entry->ur : entry->sr;
    case ACCESS_STORE: return access.problem ? entry->uw : entry->sw;
    case ACCESS_FETCH: return access.problem ? entry->ux : entry->sx;
    }
    return false;
}

uint64_t reference_physical(const struct reference *reference, const struct reference_entry *entry,
                            uint32_t ea)
{
    const uint64_t bytes = size_bytes(entry->size);

    return (entry->frame / bytes * bytes + ea % bytes) % BIT64(reference->geometry.physical_bits);
}

void reference_error(struct reference *reference, uint32_t ea, struct reference_access access)
{
    uint32_t *mas = reference->registers.mas;
    const uint32_t *pid = reference->registers.pid;
    const uint32_t selected = field(mas[4], 46, 47);

    take_defaults(reference, ea);
    mas[1] |= put(1, 32, 32) | put(selected < 3 ? pid[selected] : 0, 34, 47) | put(access.space, 51, 51);
    mas[2] = put(field(ea, 32, 51), 32, 51) | (mas[2] & ones(57, 63));
    mas[6] = put(pid[0], 34, 47) | put(access.space, 63, 63);
}
