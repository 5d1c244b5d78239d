#include "tools/image/pages.h"

#include <stdlib.h>
#include <string.h>
#include <vmmu/base.h>

#include "tools/ui/complain.h"

/* 16 MiB together: the tables of a whole machine, as a rule. */
#define SETS       1024
#define SETS_SHIFT 10
#define WAYS       4

struct page {
    uint64_t address;
    uint8_t *bytes; /* taken when first needed */
    bool known;
    bool there;
};

struct image_pages {
    bool (*fetch)(void *context, uint64_t address, uint8_t *bytes);
    void *context;
    struct page pages[SETS][WAYS];
    uint8_t oldest[SETS]; /* the way to be used next */
};

struct image_pages *image_pages_new(bool (*fetch)(void *context, uint64_t address, uint8_t *bytes),
                                    void *context)
{
    struct image_pages *const pages = take_memory(1, sizeof(*pages));

    pages->fetch = fetch;
    pages->context = context;
    return pages;
}

/* Neighbours go to neighbouring sets, and so do the same pages of different gigabytes not. */
static unsigned set_of(uint64_t address)
{
    const uint64_t page = address >> VMMU_PAGE_SHIFT;

    return (unsigned)(page ^ (page >> SETS_SHIFT) ^ (page >> (2 * SETS_SHIFT))) & (SETS - 1);
}

static const struct page *page_at(struct image_pages *pages, uint64_t address)
{
    const unsigned set = set_of(address);
    struct page *page;

    for (unsigned way = 0; way < WAYS; way++) {
        page = &pages->pages[set][way];
        if (page->known && page->address == address)
            return page;
    }
    page = &pages->pages[set][pages->oldest[set]];
    pages->oldest[set] = (uint8_t)((pages->oldest[set] + 1) % WAYS);
    if (page->bytes == NULL)
        page->bytes = take_memory(1, VMMU_PAGE_BYTES);
    page->known = false;
    page->there = pages->fetch(pages->context, address, page->bytes);
    page->address = address;
    page->known = true;
    return page;
}

bool image_pages_read(struct image_pages *pages, uint64_t address, void *to, size_t size_bytes)
{
    uint8_t *into = to;

    while (size_bytes != 0) {
        const size_t offset = (size_t)(address & (VMMU_PAGE_BYTES - 1));
        const size_t left = VMMU_PAGE_BYTES - offset;
        const size_t count = size_bytes < left ? size_bytes : left;
        const struct page *const page = page_at(pages, address - offset);

        if (!page->there)
            return false;
        memcpy(into, page->bytes + offset, count);
        into += count;
        address += count;
        size_bytes -= count;
    }
    return true;
}

void image_pages_free(struct image_pages *pages)
{
    if (pages == NULL)
        return;
    for (unsigned set = 0; set < SETS; set++) {
        for (unsigned way = 0; way < WAYS; way++)
            free(pages->pages[set][way].bytes);
    }
    free(pages);
}
