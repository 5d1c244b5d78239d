#include "tools/image/memory.h"

#include <stdlib.h>
#include <string.h>

void image_memory_add(struct image_memory *memory, uint64_t base, uint64_t size_bytes, const uint8_t *mapped)
{
    if (size_bytes == 0)
        return;
    if (memory->count == memory->room) {
        const unsigned room = memory->room == 0 ? 16 : memory->room * 2;

        memory->ranges = grow_memory(memory->ranges, memory->room, room, sizeof(*memory->ranges));
        memory->room = room;
    }
    memory->ranges[memory->count++] =
        (struct image_range){ .base = base, .size_bytes = size_bytes, .mapped = mapped };
}

/* By base, then the longer first. */
static int compare(const struct image_range *a, const struct image_range *b)
{
    if (a->base != b->base)
        return a->base < b->base ? -1 : 1;
    if (a->size_bytes != b->size_bytes)
        return a->size_bytes > b->size_bytes ? -1 : 1;
    return 0;
}

/* Merge the sorted runs [0, middle) and [middle, count) of @from into @to, ranges of the first before equals of the second. */
static void merge(const struct image_range *from, unsigned middle, unsigned count, struct image_range *to)
{
    unsigned left = 0;
    unsigned right = middle;

    for (unsigned i = 0; i < count; i++) {
        const bool take_left = right == count || (left < middle && compare(&from[left], &from[right]) <= 0);

        to[i] = from[take_left ? left++ : right++];
    }
}

/* qsort() does not say which of equals comes first; the rule above does. */
static void sort(struct image_memory *memory)
{
    struct image_range *other = take_memory(memory->count, sizeof(*other));
    struct image_range *from = memory->ranges;
    struct image_range *to = other;

    for (unsigned run = 1; run < memory->count; run *= 2) {
        for (unsigned at = 0; at < memory->count; at += 2 * run) {
            const unsigned left = memory->count - at;
            const unsigned count = left < 2 * run ? left : 2 * run;

            merge(from + at, count < run ? count : run, count, to + at);
        }
        struct image_range *const swap = from;

        from = to;
        to = swap;
    }
    if (from != memory->ranges)
        memcpy(memory->ranges, from, memory->count * sizeof(*from));
    free(other);
}

/* Whether @next goes on where @range ends, in memory and in the mapping. */
static bool continues(const struct image_range *range, const struct image_range *next)
{
    if (range->base + range->size_bytes != next->base || (range->mapped == NULL) != (next->mapped == NULL))
        return false;
    return range->mapped == NULL || range->mapped + range->size_bytes == next->mapped;
}

/* Append @range behind what is kept, without what is there already. */
static void keep(struct image_memory *memory, unsigned *kept, struct image_range range)
{
    struct image_range *const before = *kept == 0 ? NULL : &memory->ranges[*kept - 1];

    if (before != NULL && before->base + before->size_bytes > range.base) {
        const uint64_t twice = before->base + before->size_bytes - range.base;

        if (twice >= range.size_bytes)
            return;
        range.base += twice;
        range.size_bytes -= twice;
        range.mapped = range.mapped == NULL ? NULL : range.mapped + twice;
    }
    if (before != NULL && continues(before, &range)) {
        before->size_bytes += range.size_bytes;
    } else {
        memory->ranges[(*kept)++] = range;
    }
}

void image_memory_settle(struct image_memory *memory)
{
    unsigned kept = 0;

    if (memory->count == 0)
        return;
    sort(memory);
    for (unsigned i = 0; i < memory->count; i++)
        keep(memory, &kept, memory->ranges[i]);
    memory->count = kept;
}

static inline bool is_in(const struct image_range *range, uint64_t address)
{
    return address - range->base < range->size_bytes;
}

const struct image_range *image_ranges_find(const struct image_range *ranges, unsigned count,
                                            uint64_t address)
{
    unsigned low = 0;
    unsigned high = count;

    while (low < high) {
        const unsigned middle = low + (high - low) / 2;

        if (address < ranges[middle].base) {
            high = middle;
        } else if (is_in(&ranges[middle], address)) {
            return &ranges[middle];
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct image_range *image_memory_find(const struct image_memory *memory, uint64_t address)
{
    const struct image_range *const last = __atomic_load_n(&memory->last, __ATOMIC_RELAXED);

    return last != NULL && is_in(last, address) ? last
                                                : image_ranges_find(memory->ranges, memory->count, address);
}

bool image_memory_read(const struct image_memory *memory, uint64_t address, void *to, size_t size_bytes)
{
    uint8_t *into = to;

    while (size_bytes != 0) {
        const struct image_range *range = image_memory_find(memory, address);
        size_t count;

        if (range == NULL)
            return memory->open && memory->read(memory->read_context, address, into, size_bytes);
        const uint64_t offset = address - range->base;

        count = range->size_bytes - offset < size_bytes ? (size_t)(range->size_bytes - offset) : size_bytes;
        if (range->mapped != NULL) {
            memcpy(into, range->mapped + offset, count);
        } else if (!memory->read(memory->read_context, address, into, count)) {
            return false;
        }
        into += count;
        address += count;
        size_bytes -= count;
    }
    return true;
}

bool image_memory_holds(const struct image_memory *memory, uint64_t address, uint64_t size_bytes)
{
    while (size_bytes != 0) {
        const struct image_range *const range = image_memory_find(memory, address);

        if (range == NULL)
            return false;
        const uint64_t count = range->size_bytes - (address - range->base);

        if (count >= size_bytes)
            return true;
        address += count;
        size_bytes -= count;
    }
    return true;
}

/* An entry that is not in one mapped range: in none, in one that must be read, or across two. */
static enum vmmu_status load_slowly(struct image_memory *memory, uint64_t address, unsigned width_bytes,
                                    uint64_t *value)
{
    uint64_t raw = 0;

    if (!image_memory_read(memory, address, &raw, width_bytes))
        return VMMU_ABSENT;
    *value = raw;
    return VMMU_OK;
}

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct image_memory *const memory = context;
    const struct image_range *range = __atomic_load_n(&memory->last, __ATOMIC_RELAXED);

    if (range == NULL || !is_in(range, address)) {
        range = image_ranges_find(memory->ranges, memory->count, address);
        if (range == NULL)
            return load_slowly(memory, address, width_bytes, value);
        __atomic_store_n(&memory->last, range, __ATOMIC_RELAXED);
    }
    const uint64_t offset = address - range->base;

    if (range->mapped == NULL || range->size_bytes - offset < width_bytes)
        return load_slowly(memory, address, width_bytes, value);
    if (width_bytes == 8) {
        memcpy(value, range->mapped + offset, 8);
    } else {
        uint32_t half;

        memcpy(&half, range->mapped + offset, 4);
        *value = half;
    }
    return VMMU_OK;
}

enum vmmu_status image_memory_refuse(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                     uint64_t desired)
{
    (void)context;
    (void)address;
    (void)width_bytes;
    (void)expected;
    (void)desired;
    return VMMU_ABSENT;
}

struct vmmu_ram image_memory_ram(struct image_memory *memory)
{
    return (struct vmmu_ram){ .context = memory, .load = load, .exchange = image_memory_refuse };
}

void image_memory_free(struct image_memory *memory)
{
    free(memory->ranges);
    *memory = (struct image_memory){ 0 };
}
