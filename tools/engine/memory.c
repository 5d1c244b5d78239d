/*
 * Guest memory for the engines. Over an image the words that change are kept aside, by address; marks in page tables are few
 * and far apart. The tool's own is one reservation of the system's, where pages come into being as they are written.
 */
#include "tools/engine/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tools/engine/host.h"

#define WORD_BYTES     8
#define FIRST_CAPACITY 1024u

/* A changed word. `key` is its address / 8 + 1; 0: the slot is free. */
struct changed_word {
    uint64_t key;
    uint64_t value;
};

struct engine_memory {
    struct vmmu_ram ram;
    struct image_range *ranges; /* whole pages, apart from each other */
    unsigned range_count;
    const struct vmmu_ram *under; /* NULL: the tool's own */
    struct changed_word *words;   /* over an image: open addressing, at most half full */
    uint64_t capacity;            /* a power of two */
    uint64_t count;
    uint8_t *own;
    uint64_t own_bytes;
};

/* --- the tool's own --- */

static enum vmmu_status own_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const struct engine_memory *memory = context;

    if (!vmmu_range_fits(address, width_bytes, memory->own_bytes)) {
        return VMMU_ABSENT;
    }
    if (width_bytes == 4) {
        uint32_t narrow;

        memcpy(&narrow, memory->own + address, sizeof narrow);
        *value = narrow;
    } else {
        memcpy(value, memory->own + address, sizeof *value);
    }
    return VMMU_OK;
}

static enum vmmu_status own_exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                     uint64_t desired)
{
    struct engine_memory *memory = context;
    uint64_t now;

    if (own_load(memory, address, width_bytes, &now) != VMMU_OK) {
        return VMMU_ABSENT;
    }
    if (now != expected) {
        return VMMU_RACED;
    }
    memcpy(memory->own + address, &desired, width_bytes);
    return VMMU_OK;
}

/* --- over an image --- */

static struct changed_word *slot_of(const struct engine_memory *memory, uint64_t key)
{
    uint64_t at = (key * UINT64_C(0x9e3779b97f4a7c15)) & (memory->capacity - 1);

    while (memory->words[at].key != 0 && memory->words[at].key != key) {
        at = (at + 1) & (memory->capacity - 1);
    }
    return &memory->words[at];
}

static uint64_t key_of(uint64_t address)
{
    return address / WORD_BYTES + 1;
}

static void grow(struct engine_memory *memory)
{
    struct changed_word *old = memory->words;
    const uint64_t old_capacity = memory->capacity;

    memory->capacity = old_capacity * 2;
    memory->words = take_memory(memory->capacity, sizeof *memory->words);
    for (uint64_t i = 0; i < old_capacity; i++) {
        if (old[i].key != 0) {
            *slot_of(memory, old[i].key) = old[i];
        }
    }
    free(old);
}

static void change_word(struct engine_memory *memory, uint64_t address, uint64_t value)
{
    struct changed_word *slot;

    if ((memory->count + 1) * 2 > memory->capacity) {
        grow(memory);
    }
    slot = slot_of(memory, key_of(address));
    memory->count += slot->key == 0;
    *slot = (struct changed_word){ .key = key_of(address), .value = value };
}

/* Which half of its word a 4-byte access means. */
static unsigned half_shift(uint64_t address)
{
    return address % WORD_BYTES != 0 ? 32 : 0;
}

static enum vmmu_status over_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const struct engine_memory *memory = context;
    const struct changed_word *slot = slot_of(memory, key_of(address));

    if (slot->key == 0) {
        return memory->under->load(memory->under->context, address, width_bytes, value);
    }
    *value = width_bytes == 4 ? (uint32_t)(slot->value >> half_shift(address)) : slot->value;
    return VMMU_OK;
}

/* The whole word around @address, of which an image may end in the middle: what is not there is zero. */
static uint64_t word_around(struct engine_memory *memory, uint64_t address)
{
    const uint64_t base = address & ~(uint64_t)(WORD_BYTES - 1);
    uint64_t low = 0;
    uint64_t high = 0;

    if (over_load(memory, base, 8, &low) == VMMU_OK) {
        return low;
    }
    low = over_load(memory, base, 4, &low) == VMMU_OK ? low : 0;
    high = over_load(memory, base + 4, 4, &high) == VMMU_OK ? high : 0;
    return high << 32 | low;
}

static void over_store(struct engine_memory *memory, uint64_t address, unsigned width_bytes, uint64_t value)
{
    const unsigned shift = half_shift(address);
    const uint64_t half = UINT64_C(0xffffffff) << shift;

    if (width_bytes == 4) {
        value = (word_around(memory, address) & ~half) | ((value << shift) & half);
    }
    change_word(memory, address, value);
}

static enum vmmu_status over_exchange(void *context, uint64_t address, unsigned width_bytes,
                                      uint64_t expected, uint64_t desired)
{
    struct engine_memory *memory = context;
    uint64_t now;
    const enum vmmu_status status = over_load(memory, address, width_bytes, &now);

    if (status != VMMU_OK) {
        return status;
    }
    if (now != expected) {
        return VMMU_RACED;
    }
    over_store(memory, address, width_bytes, desired);
    return VMMU_OK;
}

/* --- what is there --- */

/* Every page of which any byte is there, as ranges that do not touch. */
static void keep_ranges(struct engine_memory *memory, const struct image_range *ranges, unsigned count)
{
    memory->ranges = take_memory(count, sizeof *memory->ranges);
    for (unsigned i = 0; i < count; i++) {
        const uint64_t first = ranges[i].base & ~(VMMU_PAGE_BYTES - 1);
        const uint64_t last = (ranges[i].base + (ranges[i].size_bytes - 1)) | (VMMU_PAGE_BYTES - 1);
        struct image_range *before = memory->range_count ? &memory->ranges[memory->range_count - 1] : NULL;

        if (ranges[i].size_bytes == 0 || last < first) {
            continue;
        }
        if (before && first <= before->base + before->size_bytes) {
            if (last + 1 - before->base > before->size_bytes) {
                before->size_bytes = last + 1 - before->base;
            }
        } else {
            memory->ranges[memory->range_count++] =
                (struct image_range){ .base = first, .size_bytes = last - first + 1 };
        }
    }
}

const struct image_range *engine_memory_find(const struct engine_memory *memory, uint64_t gpa)
{
    return image_ranges_find(memory->ranges, memory->range_count, gpa);
}

const struct image_range *engine_memory_ranges(const struct engine_memory *memory, unsigned *count)
{
    *count = memory->range_count;
    return memory->ranges;
}

/* --- life --- */

struct engine_memory *engine_memory_over(const struct vmmu_ram *under, const struct image_range *ranges,
                                         unsigned range_count)
{
    struct engine_memory *memory = take_memory(1, sizeof *memory);

    memory->ram = (struct vmmu_ram){ memory, over_load, over_exchange };
    memory->under = under;
    memory->capacity = FIRST_CAPACITY;
    memory->words = take_memory(memory->capacity, sizeof *memory->words);
    keep_ranges(memory, ranges, range_count);
    return memory;
}

struct engine_memory *engine_memory_new(uint64_t size_bytes, struct complaint *complaint)
{
    struct engine_memory *memory;
    void *own;

    if (size_bytes == 0 || size_bytes % VMMU_PAGE_BYTES != 0 || size_bytes > BIT64(ENGINE_PHYSICAL_BITS)) {
        complain(complaint, "memory of %#llx bytes is not a number of pages that a machine may have",
                 (unsigned long long)size_bytes);
        return NULL;
    }
    own = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (own == MAP_FAILED) {
        complain(complaint, "the system does not reserve %#llx bytes", (unsigned long long)size_bytes);
        return NULL;
    }
    memory = take_memory(1, sizeof *memory);
    memory->ram = (struct vmmu_ram){ memory, own_load, own_exchange };
    memory->own = own;
    memory->own_bytes = size_bytes;
    keep_ranges(memory, &(struct image_range){ .base = 0, .size_bytes = size_bytes }, 1);
    memory->ranges[0].mapped = own;
    return memory;
}

const struct vmmu_ram *engine_memory_ram(const struct engine_memory *memory)
{
    return &memory->ram;
}

bool engine_memory_store(struct engine_memory *memory, uint64_t address, unsigned width_bytes, uint64_t value)
{
    uint64_t now;

    if (memory->ram.load(memory, address, width_bytes, &now) != VMMU_OK) {
        return false;
    }
    if (memory->under) {
        over_store(memory, address, width_bytes, value);
    } else {
        memcpy(memory->own + address, &value, width_bytes);
    }
    return true;
}

void engine_memory_reset(struct engine_memory *memory)
{
    if (memory->under) {
        memset(memory->words, 0, memory->capacity * sizeof *memory->words);
        memory->count = 0;
    } else {
        madvise(memory->own, memory->own_bytes, MADV_DONTNEED);
    }
}

void engine_memory_free(struct engine_memory *memory)
{
    if (!memory) {
        return;
    }
    if (memory->own) {
        munmap(memory->own, memory->own_bytes);
    }
    free(memory->words);
    free(memory->ranges);
    free(memory);
}
