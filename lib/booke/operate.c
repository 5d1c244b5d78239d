/*
 * What the guest's instructions do to its MMU.
 *
 * Invariants: a register holds no bit that the processor has not; a valid entry has a size that its array has, an entry of an array
 * of one size that size, and an entry of an array that cannot protect is not protected. Real entries are made from valid entries
 * only, and the watch hears of it before such an entry changes; a lookup sees the entries of array 1 up to the last valid one: nothing
 * may write an entry but put() and invalidate_entry().
 */
#include "lib/booke/tlb.h"

/* After entry @index, which is of array 1, was written: how many of that a lookup has to see. */
static void note_used(struct vmmu_booke *booke, unsigned index)
{
    struct vmmu_booke_array *const array = &booke->array[1];

    if (booke_is_valid(&booke->entries[index]) && index - array->first >= array->used) {
        array->used = (uint16_t)(index - array->first + 1);
    }
    while (array->used > 0 && !booke_is_valid(&booke->entries[array->first + array->used - 1U])) {
        array->used--;
    }
}

static inline void announce(struct vmmu_booke *booke, unsigned index)
{
    if (booke->entries[index].made != 0 && booke_is_valid(&booke->entries[index])) {
        booke->watch.changing(booke->watch.context, booke, index);
    }
}

/* Entry @index becomes @mas1, and MAS2, MAS3 and MAS7 as they are, unless it is just that already. */
static inline void put(struct vmmu_booke *booke, unsigned index, uint32_t mas1)
{
    struct vmmu_booke_entry *const entry = &booke->entries[index];
    const struct vmmu_booke_mas *const mas = &booke->mas;

    if (entry->mas3 == mas->mas3 && entry->mas2 == mas->mas2 && entry->mas1 == mas1 &&
        entry->mas7 == mas->mas7) {
        return;
    }
    announce(booke, index);
    entry->mas1 = mas1;
    entry->mas2 = mas->mas2;
    entry->mas3 = mas->mas3;
    entry->mas7 = (uint16_t)mas->mas7;
    if (index >= booke->array[1].first) {
        note_used(booke, index);
    }
}

/* --- invalidation --- */

static void invalidate_entry(struct vmmu_booke *booke, unsigned index)
{
    announce(booke, index);
    booke->entries[index].mas1 &= ~VMMU_MAS1_VALID;
    if (index >= booke->array[1].first) {
        note_used(booke, index);
    }
}

static inline bool is_open(const struct vmmu_booke_entry *entry)
{
    return (entry->mas1 & (VMMU_MAS1_VALID | VMMU_MAS1_IPROT)) == VMMU_MAS1_VALID;
}

/* Every entry of @array that is not protected, and whose MAS1 has @value in @mask. */
static void invalidate_where(struct vmmu_booke *booke, const struct vmmu_booke_array *array, uint32_t mask,
                             uint32_t value)
{
    const struct vmmu_booke_entry *const end = booke->entries + array->first + array->entries;
    const uint32_t looked_at = mask | VMMU_MAS1_VALID | VMMU_MAS1_IPROT;
    const uint32_t found = value | VMMU_MAS1_VALID;

    for (const struct vmmu_booke_entry *at = booke->entries + array->first; at < end; at++) {
        if ((at->mas1 & looked_at) == found) {
            invalidate_entry(booke, (unsigned)(at - booke->entries));
        }
    }
}

static void invalidate_array(struct vmmu_booke *booke, const struct vmmu_booke_array *array)
{
    invalidate_where(booke, array, 0, 0);
}

void vmmu_booke_invalidate(struct vmmu_booke *booke, uint32_t ea)
{
    const struct vmmu_booke_array *const array = &booke->array[(ea & VMMU_TLBIVAX_TLB1) != 0];
    const unsigned first = booke_set_first(array, ea);

    if ((ea & VMMU_TLBIVAX_ALL) != 0) {
        invalidate_array(booke, array);
        return;
    }
    for (unsigned i = first; i < first + array->ways; i++) {
        if (is_open(&booke->entries[i]) && booke_covers(&booke->entries[i], ea)) {
            invalidate_entry(booke, i);
        }
    }
}

/* What `tlbsx` looks for. */
static struct vmmu_booke_key searched(const struct vmmu_booke *booke)
{
    const uint32_t pid = booke->mas.mas6 >> VMMU_MAS6_SPID_SHIFT;

    return booke_key((booke->mas.mas6 & VMMU_MAS6_SAS) != 0, pid, pid, pid);
}

static void invalidate_found(struct vmmu_booke *booke, const struct vmmu_booke_array *array, uint32_t ea)
{
    const struct vmmu_booke_key key = searched(booke);
    const unsigned first = booke_set_first(array, ea);

    for (unsigned i = first; i < first + array->ways; i++) {
        if (is_open(&booke->entries[i]) && booke_answers(&booke->entries[i], ea, &key)) {
            invalidate_entry(booke, i);
        }
    }
}

void vmmu_booke_invalidate_local(struct vmmu_booke *booke, unsigned type, uint32_t ea)
{
    for (unsigned i = 0; i < VMMU_BOOKE_ARRAYS; i++) {
        switch (type) {
        case 0: invalidate_array(booke, &booke->array[i]); break;
        case 1: invalidate_where(booke, &booke->array[i], VMMU_MAS1_TID, searched(booke).tid[0]); break;
        case 3: invalidate_found(booke, &booke->array[i], ea); break;
        default: break;
        }
    }
}

/* --- registers --- */

static void flash_invalidate(struct vmmu_booke *booke, uint32_t value)
{
    if ((value & VMMU_MMUCSR0_TLB0_FI) != 0) {
        invalidate_array(booke, &booke->array[0]);
    }
    if ((value & VMMU_MMUCSR0_TLB1_FI) != 0) {
        invalidate_array(booke, &booke->array[1]);
    }
}

static void set_pid(struct vmmu_booke *booke, unsigned which, uint32_t value)
{
    if (which < booke->config.pids) {
        booke->pid[which] = value & booke->kept.mas6 >> VMMU_MAS6_SPID_SHIFT;
    }
}

void vmmu_booke_set(struct vmmu_booke *booke, enum vmmu_booke_register which, uint32_t value)
{
    switch (which) {
    case VMMU_BOOKE_MAS0: booke->mas.mas0 = value & booke->kept.mas0; break;
    case VMMU_BOOKE_MAS1: booke->mas.mas1 = value & booke->kept.mas1; break;
    case VMMU_BOOKE_MAS2: booke->mas.mas2 = value & booke->kept.mas2; break;
    case VMMU_BOOKE_MAS3: booke->mas.mas3 = value & booke->kept.mas3; break;
    case VMMU_BOOKE_MAS4: booke->mas.mas4 = value & booke->kept.mas4; break;
    case VMMU_BOOKE_MAS6: booke->mas.mas6 = value & booke->kept.mas6; break;
    case VMMU_BOOKE_MAS7: booke->mas.mas7 = value & booke->kept.mas7; break;
    case VMMU_BOOKE_PID0:
    case VMMU_BOOKE_PID1:
    case VMMU_BOOKE_PID2: set_pid(booke, (unsigned)which - VMMU_BOOKE_PID0, value); break;
    case VMMU_BOOKE_MMUCSR0: flash_invalidate(booke, value); break;
    case VMMU_BOOKE_HID0: booke->updates_mas7 = (value & VMMU_HID0_EN_MAS7_UPDATE) != 0; break;
    }
}

static const struct vmmu_booke_array *array_of(const struct vmmu_booke *booke, uint32_t selects)
{
    return &booke->array[selects >> VMMU_MAS0_TLBSEL_SHIFT & (VMMU_BOOKE_ARRAYS - 1)];
}

/* Index of the entry of @array that MAS0, and in array 0 MAS2, name; -1 if there are fewer ways than that. */
static inline int named(const struct vmmu_booke *booke, const struct vmmu_booke_array *array)
{
    const uint32_t way = booke->mas.mas0 >> VMMU_MAS0_ESEL_SHIFT & array->way_mask;

    return way < array->ways ? (int)(booke_set_first(array, booke->mas.mas2) + way) : -1;
}

/* --- tlbwe --- */

/*
 * MAS1 as an entry of @array holds it. A valid entry of a size that is not there gets the nearest that is: no processor says what
 * it would do, and an entry without a size could not be looked up.
 */
static uint32_t held(const struct vmmu_booke_array *array, uint32_t mas1)
{
    unsigned size = booke_tsize(mas1);

    if (!array->any_size) {
        size = array->least_size;
    } else if ((mas1 & VMMU_MAS1_VALID) != 0) {
        size = size < array->least_size ? array->least_size : size;
        size = size > array->most_size ? array->most_size : size;
    }
    return (mas1 & ~(VMMU_MAS1_TSIZE | (array->protects ? 0 : VMMU_MAS1_IPROT))) |
           size << VMMU_MAS1_TSIZE_SHIFT;
}

int vmmu_booke_write(struct vmmu_booke *booke)
{
    const struct vmmu_booke_array *const array = array_of(booke, booke->mas.mas0);
    const int index = named(booke, array);

    if (index < 0) {
        return -1;
    }
    put(booke, (unsigned)index, held(array, booke->mas.mas1));
    if (array->first == 0) {
        const uint32_t next = booke->mas.mas0 & array->way_mask;

        booke->next_victim[booke_set_of(array, booke->mas.mas2)] = (uint8_t)(next < array->ways ? next : 0);
    }
    return index;
}

/* --- what comes back in the MAS registers --- */

static void set_mas7(struct vmmu_booke *booke, uint32_t value)
{
    if (booke->updates_mas7) {
        booke->mas.mas7 = value;
    }
}

static void show(struct vmmu_booke *booke, const struct vmmu_booke_entry *entry)
{
    booke->mas.mas1 = entry->mas1;
    booke->mas.mas2 = entry->mas2;
    booke->mas.mas3 = entry->mas3;
    set_mas7(booke, entry->mas7);
}

void vmmu_booke_read(struct vmmu_booke *booke)
{
    const struct vmmu_booke_array *const array = array_of(booke, booke->mas.mas0);
    const int index = named(booke, array);

    if (array->first == 0) {
        booke->mas.mas0 = (booke->mas.mas0 & ~(uint32_t)array->way_mask) |
                          booke->next_victim[booke_set_of(array, booke->mas.mas2)];
    }
    show(booke, index >= 0 ? &booke->entries[index] : &(const struct vmmu_booke_entry){ 0 });
}

/*
 * What a TLB error and a `tlbsx` that finds nothing have in common: the array and its next victim, the attributes, and no address
 * and no rights. The victim is only proposed: the set's own is written by `tlbwe`. U0 to U3 stay.
 */
static void set_defaults(struct vmmu_booke *booke, uint32_t ea)
{
    const uint32_t mas4 = booke->mas.mas4;
    const struct vmmu_booke_array *const array = array_of(booke, mas4);

    booke->mas.mas0 = mas4 & UINT32_C(1) << VMMU_MAS4_TLBSELD_SHIFT;
    if (array->first == 0) {
        const uint32_t victim = booke->next_victim[booke_set_of(array, ea)];
        const uint32_t next = victim + 1U < array->ways ? victim + 1U : 0;

        booke->mas.mas0 |= victim << VMMU_MAS0_ESEL_SHIFT | next;
    }
    booke->mas.mas1 = mas4 & VMMU_MAS1_TSIZE;
    booke->mas.mas2 = (booke->mas.mas2 & VMMU_MAS2_EPN) | (mas4 & VMMU_MAS4_ATTRIBUTES);
    booke->mas.mas3 &= VMMU_MAS3_U;
    set_mas7(booke, 0);
}

/* MAS0 says where entry @index is. */
static void set_place(struct vmmu_booke *booke, unsigned index, uint32_t ea)
{
    const unsigned which = index >= booke->array[1].first;
    const unsigned way = index - booke_set_first(&booke->array[which], ea);

    booke->mas.mas0 = (uint32_t)which << VMMU_MAS0_TLBSEL_SHIFT | (uint32_t)way << VMMU_MAS0_ESEL_SHIFT;
    if (which == 0) {
        booke->mas.mas0 |= booke->next_victim[booke_set_of(&booke->array[0], ea)];
    }
}

void vmmu_booke_search(struct vmmu_booke *booke, uint32_t ea)
{
    const struct vmmu_booke_key key = searched(booke);
    const int index = vmmu_booke_find(booke, ea, &key);

    if (index >= 0) {
        set_place(booke, (unsigned)index, ea);
        show(booke, &booke->entries[index]);
        return;
    }
    set_defaults(booke, ea);
    booke->mas.mas1 |= key.tid[0] | (key.state & VMMU_MAS1_TS);
}

void vmmu_booke_miss(struct vmmu_booke *booke, uint32_t ea, struct vmmu_booke_access access)
{
    const unsigned source = booke->mas.mas4 >> VMMU_MAS4_TIDSELD_SHIFT & 3;
    const uint32_t tid = source < VMMU_BOOKE_PIDS ? booke->pid[source] : 0;

    set_defaults(booke, ea);
    booke->mas.mas1 |= VMMU_MAS1_VALID | tid << VMMU_MAS1_TID_SHIFT | (access.space ? VMMU_MAS1_TS : 0);
    booke->mas.mas2 = (ea & VMMU_MAS2_EPN) | (booke->mas.mas2 & VMMU_MAS4_ATTRIBUTES);
    booke->mas.mas6 = booke->pid[0] << VMMU_MAS6_SPID_SHIFT | (access.space ? VMMU_MAS6_SAS : 0);
}
