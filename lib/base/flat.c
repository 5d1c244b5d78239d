#include <vmmu/flat.h>

#define BELOW_4G BIT64(32)

/* --- entries -------------------------------------------------------------------------------------------------------- */

/* Entries are little-endian, whatever this is compiled for. */
static uint64_t load_bytes(const uint8_t *bytes, unsigned width_bytes)
{
    uint64_t value = 0;

    for (unsigned i = width_bytes; i-- > 0;) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static bool exchange_bytes(uint8_t *bytes, unsigned width_bytes, uint64_t *expected, uint64_t desired)
{
    const uint64_t now = load_bytes(bytes, width_bytes);

    if (now != *expected) {
        *expected = now;
        return false;
    }
    for (unsigned i = 0; i < width_bytes; i++) {
        bytes[i] = (uint8_t)(desired >> (8 * i));
    }
    return true;
}

/* --- memory --------------------------------------------------------------------------------------------------------- */

/* The bytes of [address, address + size), or NULL. */
static uint8_t *flat_at(const struct vmmu_flat *flat, uint64_t address, uint64_t size_bytes)
{
    const uint64_t offset = address - flat->base;

    if (address < flat->base || !vmmu_range_fits(offset, size_bytes, flat->size_bytes)) {
        return NULL;
    }
    return (uint8_t *)flat->bytes + offset;
}

static enum vmmu_status ram_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const uint8_t *bytes = flat_at(context, address, width_bytes);

    if (!bytes) {
        return VMMU_ABSENT;
    }
    *value = load_bytes(bytes, width_bytes);
    return VMMU_OK;
}

static enum vmmu_status ram_exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                     uint64_t desired)
{
    const struct vmmu_flat *flat = context;
    uint8_t *bytes = flat_at(flat, address, width_bytes);

    if (!bytes || !flat->writable) {
        return VMMU_ABSENT;
    }
    return exchange_bytes(bytes, width_bytes, &expected, desired) ? VMMU_OK : VMMU_RACED;
}

struct vmmu_ram vmmu_flat_ram(const struct vmmu_flat *flat)
{
    /* The callbacks do not change what they get here. */
    return (
        struct vmmu_ram){ .context = (void *)(uintptr_t)flat, .load = ram_load, .exchange = ram_exchange };
}

/* --- pages for tables ----------------------------------------------------------------------------------------------- */

static void *page_take(void *context, enum vmmu_page_zone zone, vmmu_hpa *at)
{
    struct vmmu_flat_host *host = context;
    const struct vmmu_flat *pages = &host->pages;
    uint8_t *page = host->returned;

    if (zone == VMMU_PAGE_BELOW_4G && !vmmu_range_fits(pages->base, pages->size_bytes, BELOW_4G)) {
        return NULL;
    }
    if (page) {
        host->returned = *(void **)host->returned;
    } else if (vmmu_range_fits(host->given_bytes, VMMU_PAGE_BYTES, pages->size_bytes)) {
        page = (uint8_t *)pages->bytes + host->given_bytes;
        host->given_bytes += VMMU_PAGE_BYTES;
    } else {
        return NULL;
    }
    at->v = pages->base + (uint64_t)(page - (uint8_t *)pages->bytes);
    return page;
}

static void page_give(void *context, vmmu_hpa at, void *page)
{
    struct vmmu_flat_host *host = context;

    (void)at;
    *(void **)page = host->returned;
    host->returned = page;
}

static void *page_at(void *context, vmmu_hpa at)
{
    const struct vmmu_flat_host *host = context;

    return flat_at(&host->pages, at.v, VMMU_PAGE_BYTES);
}

static uint64_t entry_load(void *context, const void *entry, unsigned width_bytes)
{
    (void)context;
    return load_bytes(entry, width_bytes);
}

static bool entry_exchange(void *context, void *entry, unsigned width_bytes, uint64_t *expected,
                           uint64_t desired)
{
    (void)context;
    return exchange_bytes(entry, width_bytes, expected, desired);
}

static bool owns(void *context, vmmu_hpa at, uint64_t size_bytes)
{
    const struct vmmu_flat_host *host = context;

    return at.v >= host->owned_base &&
           vmmu_range_fits(at.v - host->owned_base, size_bytes, host->owned_bytes);
}

static void violated(void *context, const char *what)
{
    struct vmmu_flat_host *host = context;

    host->violated = what;
}

struct vmmu_host vmmu_flat_host(struct vmmu_flat_host *host)
{
    VMMU_ASSERT(vmmu_is_aligned((uintptr_t)host->pages.bytes, VMMU_PAGE_BYTES));
    VMMU_ASSERT(vmmu_is_aligned(host->pages.base | host->pages.size_bytes, VMMU_PAGE_BYTES));
    return (struct vmmu_host){
        .context = host,
        .page_take = page_take,
        .page_give = page_give,
        .page_at = page_at,
        .entry_load = entry_load,
        .entry_exchange = entry_exchange,
        .owns = owns,
        .violated = violated,
    };
}
