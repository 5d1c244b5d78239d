/*
 * The host seam of the tool: table pages out of one arena, entries as plain memory, for nobody else runs.
 */
#include "tools/engine/host.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The page at @hpa, or NULL if it is none of the arena's. */
static uint8_t *arena_at(const struct engine_host *host, uint64_t hpa)
{
    const uint64_t offset = hpa - ENGINE_TABLES_AT;

    return offset < (uint64_t)host->limit_pages * VMMU_PAGE_BYTES ? host->arena + offset : NULL;
}

/* --- pages and entries, as the library asks --- */

static void *page_take(void *context, enum vmmu_page_zone zone, vmmu_hpa *at)
{
    struct engine_host *host = context;
    uint32_t index;

    (void)zone; /* all of them lie below 4 GiB */
    if (host->returned_count != 0) {
        index = host->returned[--host->returned_count];
    } else if (host->fresh < host->limit_pages) {
        index = host->fresh++;
    } else {
        return NULL;
    }
    at->v = ENGINE_TABLES_AT + (uint64_t)index * VMMU_PAGE_BYTES;
    return host->arena + (uint64_t)index * VMMU_PAGE_BYTES;
}

static void page_give(void *context, vmmu_hpa at, void *page)
{
    struct engine_host *host = context;

    (void)page;
    host->returned[host->returned_count++] = (uint32_t)((at.v - ENGINE_TABLES_AT) / VMMU_PAGE_BYTES);
}

static void *page_at(void *context, vmmu_hpa at)
{
    return arena_at(context, at.v);
}

static uint64_t entry_load(void *context, const void *entry, unsigned width_bytes)
{
    uint64_t value = 0;

    (void)context;
    memcpy(&value, entry, width_bytes);
    return value;
}

static bool entry_exchange(void *context, void *entry, unsigned width_bytes, uint64_t *expected,
                           uint64_t desired)
{
    const uint64_t now = entry_load(context, entry, width_bytes);

    if (now != *expected) {
        *expected = now;
        return false;
    }
    memcpy(entry, &desired, width_bytes);
    return true;
}

static bool owns(void *context, vmmu_hpa at, uint64_t size_bytes)
{
    const struct engine_host *host = context;
    const uint64_t gpa = at.v - ENGINE_GUEST_AT;
    struct image_range range;

    return at.v >= ENGINE_GUEST_AT && engine_memory_find(host->memory, gpa, &range) &&
           size_bytes <= range.size_bytes - (gpa - range.base);
}

static void violated(void *context, const char *what)
{
    struct engine_host *host = context;

    host->violated = what;
}

/* --- the machine's memory --- */

static enum vmmu_status machine_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const struct engine_host *host = context;
    const uint8_t *table = arena_at(host, address);
    const struct vmmu_ram *guest = engine_memory_ram(host->memory);

    if (table) {
        *value = entry_load(NULL, table, width_bytes);
        return VMMU_OK;
    }
    if (address < ENGINE_GUEST_AT) {
        return VMMU_ABSENT;
    }
    return guest->load(guest->context, address - ENGINE_GUEST_AT, width_bytes, value);
}

static enum vmmu_status machine_exchange(void *context, uint64_t address, unsigned width_bytes,
                                         uint64_t expected, uint64_t desired)
{
    const struct engine_host *host = context;
    uint8_t *table = arena_at(host, address);
    const struct vmmu_ram *guest = engine_memory_ram(host->memory);

    if (table) {
        return entry_exchange(NULL, table, width_bytes, &expected, desired) ? VMMU_OK : VMMU_RACED;
    }
    if (address < ENGINE_GUEST_AT) {
        return VMMU_ABSENT;
    }
    return guest->exchange(guest->context, address - ENGINE_GUEST_AT, width_bytes, expected, desired);
}

/* --- life --- */

static bool memory_is_in_reach(const struct engine_memory *memory, struct complaint *complaint)
{
    unsigned count;
    const struct image_range *ranges = engine_memory_ranges(memory, &count);

    if (count == 0) {
        return complain(complaint, "there is no memory to build tables for");
    }
    if (!vmmu_range_fits(ranges[count - 1].base, ranges[count - 1].size_bytes,
                         BIT64(ENGINE_PHYSICAL_BITS) - ENGINE_GUEST_AT)) {
        return complain(complaint, "its memory at %#llx is beyond what tables of ours map",
                        (unsigned long long)ranges[count - 1].base);
    }
    return true;
}

bool engine_host_open(struct engine_host *host, const struct engine_memory *memory, uint64_t limit_pages,
                      struct complaint *complaint)
{
    if (!memory_is_in_reach(memory, complaint)) {
        return false;
    }
    if (limit_pages == 0 || limit_pages > ENGINE_TABLE_PAGES_MOST) {
        return complain(complaint, "%llu pages of tables are not between 1 and %u",
                        (unsigned long long)limit_pages, ENGINE_TABLE_PAGES_MOST);
    }
    *host = (struct engine_host){
        .memory = memory,
        .limit_pages = (uint32_t)limit_pages,
        .host = { host, page_take, page_give, page_at, entry_load, entry_exchange, owns, violated },
        .machine = { host, machine_load, machine_exchange },
    };
    host->arena = mmap(NULL, limit_pages * VMMU_PAGE_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (host->arena == MAP_FAILED) {
        return complain(complaint, "the system does not reserve %llu pages for tables",
                        (unsigned long long)limit_pages);
    }
    host->returned = take_memory(limit_pages, sizeof *host->returned);
    host->quarantine = take_memory(limit_pages, sizeof *host->quarantine);
    vmmu_table_init(&host->tables, &host->host, host->quarantine, host->limit_pages, 0);
    return true;
}

void engine_host_close(struct engine_host *host)
{
    vmmu_table_drain(&host->tables);
    munmap(host->arena, (uint64_t)host->limit_pages * VMMU_PAGE_BYTES);
    free(host->returned);
    free(host->quarantine);
}
