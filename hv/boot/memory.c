/*
 * The machine's physical memory. Every free page is in exactly one of three places: the set of
 * ranges, the run that single pages are cut from, or the list of pages that were given back (linked
 * through their own first words).
 */
#include "hv/boot/memory.h"
#include "hv/boot/ranges.h"

#include <vmmu/base.h>

#define LOW_BYTES    UINT64_C(0x100000)
#define LIMIT_4G     (UINT64_C(1) << 32)
#define RUN_BYTES    (64 * VMMU_PAGE_BYTES)
#define RANGES_MAX   (2 * BOOT_REGIONS_MAX)
#define END_OF_LIST  UINT64_MAX

#define LIMIT_MAPPED MEMORY_MAPPED_BYTES

static struct range range_space[RANGES_MAX];
static struct range_set ranges = { range_space, 0, RANGES_MAX };
static struct range run;
static uint64_t list = END_OF_LIST;
static uint64_t total_bytes, free_bytes;

static uint64_t page_down(uint64_t address)
{
    return address & ~(VMMU_PAGE_BYTES - 1);
}

static uint64_t page_up(uint64_t address)
{
    return address > UINT64_MAX - VMMU_PAGE_BYTES ? page_down(UINT64_MAX)
                                                  : page_down(address + VMMU_PAGE_BYTES - 1);
}

static uint64_t lower_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void memory_init(const struct boot_info *info)
{
    ranges.count = 0;
    run = (struct range){ 0, 0 };
    list = END_OF_LIST;
    for (unsigned i = 0; i < info->region_count; i++) {
        const struct boot_region *region = &info->regions[i];
        if (region->kind == BOOT_REGION_USABLE) {
            // Room for twice as many ranges as there can be regions. A full set would only lose memory.
            (void)!range_set_add(&ranges, page_up(region->base.v),
                                 lower_of(page_down(region->base.v + region->size_bytes), LIMIT_MAPPED));
        }
    }
    for (unsigned i = 0; i < info->region_count; i++) {
        const struct boot_region *region = &info->regions[i];
        if (region->kind != BOOT_REGION_USABLE) {
            range_set_remove(&ranges, page_down(region->base.v),
                             page_up(region->base.v + region->size_bytes));
        }
    }
    range_set_remove(&ranges, 0, LOW_BYTES);
    total_bytes = range_set_total(&ranges);

    range_set_remove(&ranges, page_down(info->image_base.v), page_up(info->image_base.v + info->image_bytes));
    for (unsigned i = 0; i < info->module_count; i++) {
        const struct boot_module *module = &info->modules[i];
        range_set_remove(&ranges, page_down(module->base.v), page_up(module->base.v + module->size_bytes));
    }
    free_bytes = range_set_total(&ranges);
}

static void push(uint64_t page)
{
    *(uint64_t *)memory_at((vmmu_hpa){ page }) = list;
    list = page;
}

static uint64_t pop(void)
{
    const uint64_t page = list;
    list = *(const uint64_t *)memory_at((vmmu_hpa){ page });
    return page;
}

/*
 * Put [base, end) back where it can be joined with its neighbours; page by page if
 * there is no room for a range.
 */
static bool put_back(uint64_t base, uint64_t end)
{
    if (range_set_add(&ranges, base, end)) {
        return true;
    }
    for (uint64_t page = base; page < end; page += VMMU_PAGE_BYTES) {
        push(page);
    }
    return false;
}

/* Put every page of the list back into ranges, as far as there is room. Whether it became shorter. */
static bool gather_list(void)
{
    bool shorter = false;
    uint64_t page = list;
    list = END_OF_LIST;
    while (page != END_OF_LIST) {
        const uint64_t next = *(const uint64_t *)memory_at((vmmu_hpa){ page });
        shorter |= put_back(page, page + VMMU_PAGE_BYTES);
        page = next;
    }
    return shorter;
}

/*
 * Put the run and the list back into ranges, so that a large piece may be found among them. Ranges that meet
 * make room for others, which a page that came too early can use the next time round.
 */
static void gather(void)
{
    const struct range rest = run;
    run = (struct range){ 0, 0 };
    (void)put_back(rest.base, rest.end);
    while (list != END_OF_LIST && gather_list()) {
    }
}

bool memory_take(uint64_t size_bytes, uint64_t align_bytes, bool below_4g, vmmu_hpa *at)
{
    const uint64_t limit = below_4g ? LIMIT_4G : LIMIT_MAPPED;
    if (size_bytes == 0 || size_bytes > free_bytes) {
        return false;
    }
    const uint64_t bytes = page_up(size_bytes);
    uint64_t base;
    if (!range_set_take(&ranges, bytes, align_bytes, limit, &base)) {
        gather();
        if (!range_set_take(&ranges, bytes, align_bytes, limit, &base)) {
            return false;
        }
    }
    free_bytes -= bytes;
    *at = (vmmu_hpa){ base };
    return true;
}

void memory_give(vmmu_hpa at, uint64_t size_bytes)
{
    const uint64_t base = page_down(at.v), end = page_up(at.v + size_bytes);
    (void)put_back(base, end);
    free_bytes += end - base;
}

/* A new run to cut pages from: the usual size, or failing that whatever single page is left. */
static bool run_refill(void)
{
    uint64_t base;
    uint64_t bytes = RUN_BYTES;
    if (!range_set_take(&ranges, bytes, VMMU_PAGE_BYTES, LIMIT_MAPPED, &base)) {
        bytes = VMMU_PAGE_BYTES;
        if (!range_set_take(&ranges, bytes, VMMU_PAGE_BYTES, LIMIT_MAPPED, &base)) {
            return false;
        }
    }
    run = (struct range){ base, base + bytes };
    return true;
}

bool page_take(bool zeroed, vmmu_hpa *at)
{
    if (list != END_OF_LIST) {
        *at = (vmmu_hpa){ pop() };
    } else {
        if (run.base == run.end && !run_refill()) {
            return false;
        }
        *at = (vmmu_hpa){ run.base };
        run.base += VMMU_PAGE_BYTES;
    }
    free_bytes -= VMMU_PAGE_BYTES;
    if (zeroed) {
        __builtin_memset(memory_at(*at), 0, VMMU_PAGE_BYTES);
    }
    return true;
}

void page_give(vmmu_hpa at)
{
    push(at.v);
    free_bytes += VMMU_PAGE_BYTES;
}

uint64_t memory_total_bytes(void)
{
    return total_bytes;
}

uint64_t memory_free_bytes(void)
{
    return free_bytes;
}
