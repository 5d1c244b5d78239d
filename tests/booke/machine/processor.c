/*
 * A real processor's TLB: see processor.h.
 */
#include "tests/booke/machine/processor.h"

#include <string.h>

void processor_init(struct processor *processor, const struct geometry *geometry, unsigned kept)
{
    memset(processor, 0, sizeof(*processor));
    processor->geometry = *geometry;
    processor->kept = kept;
    processor->entries = geometry->sets * geometry->ways + geometry->large;
    for (unsigned i = processor->entries - kept; i < processor->entries; i++) {
        processor->entry[i] = (struct real_entry){
            .valid = true, .protect = true, .last = UINT32_MAX, .sx = true, .sw = true, .sr = true
        };
    }
}

/* The fields of the registers; `first` and `last` come with the page size. */
static struct real_entry fields_of(const struct vmmu_booke_mas *mas)
{
    return (struct real_entry){
        .valid = field(mas->mas1, 32, 32),
        .protect = field(mas->mas1, 33, 33),
        .tid = field(mas->mas1, 34, 47),
        .space = field(mas->mas1, 51, 51),
        .first = put(field(mas->mas2, 32, 51), 32, 51),
        .real = (uint64_t)mas->mas7 << 32 | put(field(mas->mas3, 32, 51), 32, 51),
        .attributes = field(mas->mas2, 57, 63),
        .ux = field(mas->mas3, 58, 58),
        .sx = field(mas->mas3, 59, 59),
        .uw = field(mas->mas3, 60, 60),
        .sw = field(mas->mas3, 61, 61),
        .ur = field(mas->mas3, 62, 62),
        .sr = field(mas->mas3, 63, 63),
        .mas1 = mas->mas1,
        .mas2 = mas->mas2,
        .mas3 = mas->mas3,
        .mas7 = mas->mas7,
    };
}

static const char *complaint(const struct geometry *geometry, const struct real_entry *entry, unsigned size,
                             unsigned array)
{
    const uint64_t bytes = size_bytes(size);

    if (!entry->valid) {
        return NULL;
    }
    if (array == 1 && (size < geometry->least || size > geometry->most)) {
        return "a page size that the processor has not";
    }
    if (entry->first % bytes != 0 || entry->real % bytes != 0) {
        return "an address that is not a multiple of the page size";
    }
    if (entry->tid >> geometry->pid_bits != 0) {
        return "a TID that the processor has not";
    }
    if (entry->real >> geometry->physical_bits != 0) {
        return "a real address that the processor has not";
    }
    return NULL;
}

int processor_decode(const struct processor *processor, const struct vmmu_booke_mas *mas,
                     struct real_entry *entry, const char **wrong)
{
    const struct geometry *geometry = &processor->geometry;
    const unsigned array = field(mas->mas0, 34, 35);
    const unsigned way = field(mas->mas0, 36, 47);
    const unsigned size = array == 0 ? 1 : field(mas->mas1, 52, 55);
    unsigned place;

    *entry = fields_of(mas);
    if (array > 1 || way >= (array == 0 ? geometry->ways : geometry->large)) {
        *wrong = "an entry that the processor has not";
        return -1;
    }
    *wrong = complaint(geometry, entry, size, array);
    entry->first = (uint32_t)(entry->first / size_bytes(size) * size_bytes(size));
    entry->real = entry->real / size_bytes(size) * size_bytes(size);
    entry->last = (uint32_t)(entry->first + (size_bytes(size) - 1));
    place = array == 0 ? field(entry->first, 32, 51) % geometry->sets * geometry->ways + way
                       : geometry->sets * geometry->ways + way;
    if (place >= processor->entries - processor->kept) {
        *wrong = "an entry of the hypervisor's own";
    }
    return (int)place;
}

bool processor_overlap(const struct real_entry *one, const struct real_entry *other)
{
    return one->valid && other->valid && one->space == other->space && one->first <= other->last &&
           other->first <= one->last;
}

bool processor_sees(const struct processor *processor, const struct real_entry *entry)
{
    bool whose = entry->tid == 0;

    for (unsigned i = 0; i < processor->geometry.pids; i++) {
        whose |= entry->tid == processor->pid[i];
    }
    return entry->valid && whose;
}

int processor_match(const struct processor *processor, uint32_t ea, int after)
{
    for (unsigned i = (unsigned)(after + 1); i < processor->entries; i++) {
        const struct real_entry *entry = &processor->entry[i];

        if (processor_sees(processor, entry) && entry->space && ea >= entry->first && ea <= entry->last) {
            return (int)i;
        }
    }
    return -1;
}

bool processor_allows(const struct real_entry *entry, enum access_kind kind)
{
    switch (kind) {
    case ACCESS_LOAD: return entry->ur;
    case ACCESS_STORE: return entry->uw;
    case ACCESS_FETCH: return entry->ux;
    }
    return false;
}
