/*
 * The memory of live tables: the cache of unused pages, the quarantine, and the plans that are under way.
 *
 * Unused pages hold the list that they are on. Pages in quarantine cannot, for processors may be walking
 * through them: they are named by the caller's array, which has a record for every page that may be held.
 */
#include "lib/x86/table/memory.h"

/* What an unused page holds. */
struct free_page {
    struct free_page *next;
    vmmu_hpa at;
};

static enum vmmu_page_zone zone_of(vmmu_hpa at)
{
    return at.v < BIT64(32) ? VMMU_PAGE_BELOW_4G : VMMU_PAGE_ANY;
}

static void push(struct vmmu_table_memory *memory, vmmu_hpa at, void *page)
{
    const enum vmmu_page_zone zone = zone_of(at);
    struct free_page *const unused = page;

    unused->next = memory->cache[zone];
    unused->at = at;
    memory->cache[zone] = unused;
    memory->cache_count[zone]++;
    memory->counters.cached_pages++;
}

static struct free_page *pop(struct vmmu_table_memory *memory, enum vmmu_page_zone zone)
{
    struct free_page *const unused = memory->cache[zone];

    VMMU_ASSERT(unused != NULL);
    memory->cache[zone] = unused->next;
    memory->cache_count[zone]--;
    memory->counters.cached_pages--;
    return unused;
}

/* The zone to take a page from that may be anywhere: pages below 4 GiB are spared while there are others. */
static enum vmmu_page_zone plentiful(const struct vmmu_table_memory *memory)
{
    return memory->cache_count[VMMU_PAGE_ANY] != 0 ? VMMU_PAGE_ANY : VMMU_PAGE_BELOW_4G;
}

static void give_one(struct vmmu_table_memory *memory, enum vmmu_page_zone zone)
{
    struct free_page *const unused = pop(memory, zone);

    memory->counters.held_pages--;
    memory->counters.given++;
    memory->host->page_give(memory->host->context, unused->at, unused);
}

static void trim(struct vmmu_table_memory *memory, uint32_t keep_pages)
{
    while (memory->counters.cached_pages > keep_pages) {
        give_one(memory, plentiful(memory));
    }
}

static bool take_one(struct vmmu_table_memory *memory, enum vmmu_page_zone zone)
{
    vmmu_hpa at = { 0 };
    void *page;

    if (memory->counters.held_pages == memory->limit_pages) {
        return false;
    }
    page = memory->host->page_take(memory->host->context, zone, &at);
    if (page == NULL) {
        return false;
    }
    memory->counters.taken++;
    memory->counters.held_pages++;
    if (memory->counters.held_pages > memory->counters.peak_pages) {
        memory->counters.peak_pages = memory->counters.held_pages;
    }
    push(memory, at, page);
    return true;
}

void vmmu_table_init(struct vmmu_table_memory *memory, const struct vmmu_host *host,
                     struct vmmu_table_retired *quarantine, uint32_t limit_pages, uint32_t cache_pages)
{
    *memory = (struct vmmu_table_memory){
        .host = host,
        .quarantine = quarantine,
        .limit_pages = limit_pages,
        .cache_pages = cache_pages,
        .epoch = 1,
    };
}

/* Have @pages more pages below 4 GiB; a page elsewhere that is not needed makes room under the limit. */
static bool stock_below_4g(struct vmmu_table_memory *memory, uint32_t any, uint32_t below_4g)
{
    while (memory->cache_count[VMMU_PAGE_BELOW_4G] < below_4g) {
        if (memory->counters.held_pages == memory->limit_pages && memory->cache_count[VMMU_PAGE_ANY] > any) {
            give_one(memory, VMMU_PAGE_ANY);
        }
        if (!take_one(memory, VMMU_PAGE_BELOW_4G)) {
            return false;
        }
    }
    return true;
}

static bool stock(struct vmmu_table_memory *memory, uint32_t any, uint32_t below_4g)
{
    if (any > memory->limit_pages || below_4g > memory->limit_pages - any) {
        return false;
    }
    if (!stock_below_4g(memory, any, below_4g)) {
        return false;
    }
    while (memory->counters.cached_pages < any + below_4g) {
        if (!take_one(memory, VMMU_PAGE_ANY)) {
            return false;
        }
    }
    return true;
}

enum vmmu_status vmmu_table_reserve(struct vmmu_table_memory *memory, uint32_t any, uint32_t below_4g)
{
    if (stock(memory, any, below_4g)) {
        return VMMU_OK;
    }
    memory->counters.refused++;
    trim(memory, memory->cache_pages);
    /* With the quarantine empty no flush can help; nor where more is asked than may ever be held. */
    if (memory->counters.quarantine_pages == 0 || any > memory->limit_pages ||
        below_4g > memory->limit_pages - any) {
        return VMMU_NO_MEMORY;
    }
    return VMMU_FLUSH_RETRY;
}

void *vmmu_table_take(struct vmmu_table_memory *memory, enum vmmu_page_zone zone, vmmu_hpa *at)
{
    struct free_page *const unused = pop(memory, zone == VMMU_PAGE_ANY ? plentiful(memory) : zone);

    *at = unused->at;
    return unused;
}

void vmmu_table_put(struct vmmu_table_memory *memory, vmmu_hpa at)
{
    push(memory, at, vmmu_table_page(memory, at));
    trim(memory, memory->cache_pages);
}

void vmmu_table_retire(struct vmmu_table_memory *memory, vmmu_hpa at)
{
    VMMU_ASSERT(memory->counters.quarantine_pages < memory->limit_pages);
    memory->quarantine[memory->counters.quarantine_pages++] =
        (struct vmmu_table_retired){ .at = at, .epoch = memory->epoch };
    memory->counters.retired++;
    memory->pages_retired = true;
}

/* The smallest stretch of addresses that holds all that @plan names. */
static struct vmmu_table_unflushed hull_of(const struct vmmu_plan *plan)
{
    struct vmmu_table_unflushed hull = { .first = 0, .last = UINT64_MAX };

    if (plan->whole_tag) {
        return hull;
    }
    hull = (struct vmmu_table_unflushed){ .first = UINT64_MAX, .last = 0 };
    for (unsigned i = 0; i < plan->count; i++) {
        const uint64_t first = plan->ranges[i].base;
        const uint64_t last = first + (plan->ranges[i].pages << VMMU_PAGE_SHIFT) - 1;

        hull.first = first < hull.first ? first : hull.first;
        hull.last = last > hull.last ? last : hull.last;
    }
    return hull;
}

void vmmu_table_close(struct vmmu_table_memory *memory, struct vmmu_plan *plan, bool resized)
{
    trim(memory, memory->cache_pages);
    if (vmmu_plan_is_empty(plan)) {
        VMMU_ASSERT(!memory->pages_retired && !resized);
        return;
    }
    VMMU_ASSERT(vmmu_table_ready(memory));
    plan->epoch = memory->epoch++;
    memory->pages_retired = false;
    memory->counters.plans++;

    struct vmmu_table_unflushed hull = hull_of(plan);

    hull.epoch = plan->epoch;
    hull.vps = plan->vps;
    hull.resized = resized;
    memory->unflushed[memory->unflushed_count++] = hull;
}

void vmmu_table_take_over(struct vmmu_table_memory *memory, struct vmmu_plan *plan)
{
    bool resized = false;
    uint64_t vps = 0;

    for (unsigned i = 0; i < memory->unflushed_count; i++) {
        resized = resized || memory->unflushed[i].resized;
        vps |= memory->unflushed[i].vps;
    }
    for (uint32_t i = 0; i < memory->counters.quarantine_pages; i++) {
        memory->quarantine[i].epoch = memory->epoch;
    }
    memory->unflushed_count = 0;
    *plan = (struct vmmu_plan){ .whole_tag = true, .vps = vps };
    vmmu_table_close(memory, plan, resized);
}

bool vmmu_table_is_unflushed(const struct vmmu_table_memory *memory, uint64_t first, uint64_t last,
                             bool resized_only)
{
    for (unsigned i = 0; i < memory->unflushed_count; i++) {
        const struct vmmu_table_unflushed *const plan = &memory->unflushed[i];

        if (first <= plan->last && plan->first <= last && (plan->resized || !resized_only)) {
            return true;
        }
    }
    return false;
}

void vmmu_table_flushed(struct vmmu_table_memory *memory, uint64_t epoch)
{
    uint32_t waiting_pages = 0;
    uint8_t waiting_plans = 0;

    if (epoch == memory->epoch) {
        return; /* not given out yet: what is retired under it belongs to an operation to come */
    }
    for (uint32_t i = 0; i < memory->counters.quarantine_pages; i++) {
        if (memory->quarantine[i].epoch == epoch) {
            push(memory, memory->quarantine[i].at, vmmu_table_page(memory, memory->quarantine[i].at));
        } else {
            memory->quarantine[waiting_pages++] = memory->quarantine[i];
        }
    }
    memory->counters.quarantine_pages = waiting_pages;
    for (unsigned i = 0; i < memory->unflushed_count; i++) {
        if (memory->unflushed[i].epoch != epoch) {
            memory->unflushed[waiting_plans++] = memory->unflushed[i];
        }
    }
    memory->unflushed_count = waiting_plans;
    trim(memory, memory->cache_pages);
}

void vmmu_table_drain(struct vmmu_table_memory *memory)
{
    for (uint32_t i = 0; i < memory->counters.quarantine_pages; i++) {
        push(memory, memory->quarantine[i].at, vmmu_table_page(memory, memory->quarantine[i].at));
    }
    memory->counters.quarantine_pages = 0;
    memory->unflushed_count = 0;
    memory->pages_retired = false;
    trim(memory, 0);
}
