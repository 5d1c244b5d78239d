/*
 * Sparse host-physical memory: pages come into being with the first store, in chunks of pointers that do so
 * too.
 *
 * Invariant: what was never stored reads as zero, whether or not its page exists, so that nothing depends on
 * when a page came into being.
 */
#include "tests/model/machine/memory.h"

#include <stdlib.h>
#include <string.h>

#define PAGES       (HOST_LIMIT >> VMMU_PAGE_SHIFT)
#define CHUNK_SHIFT 9
#define CHUNK_PAGES (1U << CHUNK_SHIFT)

/* Where entries of foreign tables lead: a page that nobody is ever given. */
#define ASTRAY      (HOST_TABLES_BASE / 2)
/* Present, with every right, in the ordinary formats and in EPT alike: bits 2 to 0, and no reserved bit. */
#define EVERY_RIGHT UINT64_C(7)

#define CHUNKS      (PAGES >> CHUNK_SHIFT)

struct chunk {
    uint8_t *page[CHUNK_PAGES];
    uint8_t owner[CHUNK_PAGES];
};

struct memory {
    struct chunk *chunks[CHUNKS];
};

struct memory *memory_create(void)
{
    return calloc(1, sizeof(struct memory));
}

void memory_destroy(struct memory *memory)
{
    if (!memory) {
        return;
    }
    for (size_t i = 0; i < CHUNKS; i++) {
        struct chunk *chunk = memory->chunks[i];

        for (size_t k = 0; chunk && k < CHUNK_PAGES; k++) {
            free(chunk->page[k]);
        }
        free(chunk);
    }
    free(memory);
}

/* NULL if nothing was ever given or stored there. */
static struct chunk *chunk_at(const struct memory *memory, uint64_t page)
{
    return page < PAGES ? memory->chunks[page >> CHUNK_SHIFT] : NULL;
}

/* The content of the page around @hpa, NULL if it is all zero and does not exist. */
static uint8_t *content(const struct memory *memory, uint64_t hpa)
{
    const uint64_t page = hpa >> VMMU_PAGE_SHIFT;
    const struct chunk *chunk = chunk_at(memory, page);

    return chunk ? chunk->page[page % CHUNK_PAGES] : NULL;
}

/* A test that runs out of the computer's memory has nothing left to tell. */
static void *zeroed(size_t bytes)
{
    void *memory = calloc(1, bytes);

    if (!memory) {
        abort();
    }
    return memory;
}

/* The same, made if need be; NULL only outside the memory. */
static struct chunk *make_chunk(struct memory *memory, uint64_t page)
{
    if (page < PAGES && !chunk_at(memory, page)) {
        memory->chunks[page >> CHUNK_SHIFT] = zeroed(sizeof(struct chunk));
    }
    return chunk_at(memory, page);
}

static uint8_t *content_for_store(struct memory *memory, uint64_t hpa)
{
    const uint64_t page = hpa >> VMMU_PAGE_SHIFT;
    struct chunk *chunk = make_chunk(memory, page);

    if (chunk && !chunk->page[page % CHUNK_PAGES]) {
        chunk->page[page % CHUNK_PAGES] = zeroed(VMMU_PAGE_BYTES);
    }
    return chunk ? chunk->page[page % CHUNK_PAGES] : NULL;
}

static void lead_astray(struct memory *memory, uint64_t hpa)
{
    for (uint64_t offset = 0; offset < VMMU_PAGE_BYTES; offset += sizeof(uint64_t)) {
        memory_store(memory, hpa + offset, sizeof(uint64_t), ASTRAY | EVERY_RIGHT);
    }
}

static void give_page(struct memory *memory, uint64_t page, enum memory_owner owner)
{
    struct chunk *chunk = make_chunk(memory, page);

    if (chunk) {
        const bool was_table = chunk->owner[page % CHUNK_PAGES] == OWNER_TABLES;

        chunk->owner[page % CHUNK_PAGES] = (uint8_t)owner;
        if (was_table && owner == OWNER_FOREIGN) {
            lead_astray(memory, page << VMMU_PAGE_SHIFT);
        }
    }
}

void memory_assign(struct memory *memory, uint64_t hpa, uint64_t size_bytes, enum memory_owner owner)
{
    for (uint64_t page = hpa >> VMMU_PAGE_SHIFT; page < (hpa + size_bytes) >> VMMU_PAGE_SHIFT; page++) {
        give_page(memory, page, owner);
    }
}

enum memory_owner memory_owner_of(const struct memory *memory, uint64_t hpa)
{
    const uint64_t page = hpa >> VMMU_PAGE_SHIFT;
    const struct chunk *chunk = chunk_at(memory, page);

    return chunk ? (enum memory_owner)chunk->owner[page % CHUNK_PAGES] : OWNER_FOREIGN;
}

/* The same for pages [page, end), which are of one chunk. */
static bool chunk_is_owned(const struct memory *memory, uint64_t page, uint64_t end, enum memory_owner owner)
{
    const struct chunk *chunk = chunk_at(memory, page);

    if (!chunk) {
        return owner == OWNER_FOREIGN;
    }
    const uint8_t *first = &chunk->owner[page % CHUNK_PAGES];

    /* All are alike if each is like the one before it. */
    return *first == owner && memcmp(first, first + 1, end - page - 1) == 0;
}

bool memory_is_owned(const struct memory *memory, uint64_t hpa, uint64_t size_bytes, enum memory_owner owner)
{
    bool owned = vmmu_range_fits(hpa, size_bytes, HOST_LIMIT);
    uint64_t page = hpa >> VMMU_PAGE_SHIFT;

    while (owned && page << VMMU_PAGE_SHIFT < hpa + size_bytes) {
        const uint64_t end = ((hpa + size_bytes - 1) >> VMMU_PAGE_SHIFT) + 1;
        const uint64_t next = (page / CHUNK_PAGES + 1) * CHUNK_PAGES;

        owned = chunk_is_owned(memory, page, end < next ? end : next, owner);
        page = next;
    }
    return owned;
}

uint64_t memory_load(const struct memory *memory, uint64_t hpa, unsigned width_bytes)
{
    const uint8_t *page = content(memory, hpa);
    uint64_t value = 0;

    if (page) {
        /* As on the machines that are modelled: little-endian. */
        memcpy(&value, page + hpa % VMMU_PAGE_BYTES, width_bytes);
    }
    return value;
}

void memory_store(struct memory *memory, uint64_t hpa, unsigned width_bytes, uint64_t value)
{
    uint8_t *page = content_for_store(memory, hpa);

    if (page) {
        memcpy(page + hpa % VMMU_PAGE_BYTES, &value, width_bytes);
    }
}

void memory_copy_page(struct memory *memory, uint64_t to, uint64_t from)
{
    const uint8_t *source = content(memory, from);
    uint8_t *target = source ? content_for_store(memory, to) : content(memory, to);

    if (source && target) {
        memcpy(target, source, VMMU_PAGE_BYTES);
    } else if (target) {
        memset(target, 0, VMMU_PAGE_BYTES);
    }
}

void *memory_page(struct memory *memory, uint64_t hpa)
{
    return content_for_store(memory, hpa);
}

void memory_each_word(const struct memory *memory, uint64_t page,
                      void (*visit)(void *context, uint64_t hpa, uint64_t value), void *context)
{
    if (!content(memory, page)) {
        return;
    }
    for (uint64_t offset = 0; offset < VMMU_PAGE_BYTES; offset += sizeof(uint64_t)) {
        const uint64_t value = memory_load(memory, page + offset, sizeof(uint64_t));

        if (value != 0) {
            visit(context, page + offset, value);
        }
    }
}
