/*
 * The host seam of the tool: the library's flat one for pages of tables, with the guest's memory for what is owned.
 */
#include "tools/engine/host.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

/* flat is the first member: what the library hands back as the context of one is the context of the other. */
_Static_assert(offsetof(struct engine_host, flat) == 0, "a host is its pages, first of all");

/* Guest memory may have holes, which nobody owns. */
static bool owns(void *context, vmmu_hpa at, uint64_t size_bytes)
{
    const struct engine_host *host = context;
    const uint64_t gpa = at.v - ENGINE_GUEST_AT;
    const struct image_range *range = at.v >= ENGINE_GUEST_AT ? engine_memory_find(host->memory, gpa) : NULL;

    return range && size_bytes <= range->size_bytes - (gpa - range->base);
}

/* --- the machine's memory --- */

static enum vmmu_status machine_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const struct engine_host *host = context;
    const struct vmmu_ram *guest = engine_memory_ram(host->memory);

    if (address >= ENGINE_GUEST_AT) {
        return guest->load(guest->context, address - ENGINE_GUEST_AT, width_bytes, value);
    }
    return host->pages.load(host->pages.context, address, width_bytes, value);
}

static enum vmmu_status machine_exchange(void *context, uint64_t address, unsigned width_bytes,
                                         uint64_t expected, uint64_t desired)
{
    const struct engine_host *host = context;
    const struct vmmu_ram *guest = engine_memory_ram(host->memory);

    if (address >= ENGINE_GUEST_AT) {
        return guest->exchange(guest->context, address - ENGINE_GUEST_AT, width_bytes, expected, desired);
    }
    return host->pages.exchange(host->pages.context, address, width_bytes, expected, desired);
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
    void *const arena = mmap(NULL, limit_pages * VMMU_PAGE_BYTES, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (arena == MAP_FAILED) {
        return complain(complaint, "the system does not reserve %llu pages for tables",
                        (unsigned long long)limit_pages);
    }
    *host = (struct engine_host){
        .flat.pages = { arena, ENGINE_TABLES_AT, limit_pages * VMMU_PAGE_BYTES, .writable = true },
        .memory = memory,
        .machine = { host, machine_load, machine_exchange },
    };
    host->host = vmmu_flat_host(&host->flat);
    host->host.owns = owns;
    host->pages = vmmu_flat_ram(&host->flat.pages);
    host->quarantine = take_memory(limit_pages, sizeof *host->quarantine);
    vmmu_table_init(&host->tables, &host->host, host->quarantine, (uint32_t)limit_pages, 0);
    return true;
}

void engine_host_close(struct engine_host *host)
{
    vmmu_table_drain(&host->tables);
    munmap(host->flat.pages.bytes, host->flat.pages.size_bytes);
    free(host->quarantine);
}
