#include "tests/unit/table/table_host.h"

#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

/* Where the pages of each zone pretend to be. */
static const uint64_t zone_base[2] = {
    [VMMU_PAGE_ANY] = UINT64_C(0x7000000000),
    [VMMU_PAGE_BELOW_4G] = UINT64_C(0x10000000),
};

static void *take(void *context, enum vmmu_page_zone zone, vmmu_hpa *at)
{
    struct table_host *const host = context;
    const uint32_t index = host->next[zone];
    void *page;

    if (host->takes_left == 0 || index == TABLE_HOST_PAGES) {
        return NULL;
    }
    host->takes_left -= host->takes_left > 0;
    host->next[zone]++;
    page = aligned_alloc(VMMU_PAGE_BYTES, VMMU_PAGE_BYTES);
    assert_non_null(page);
    memset(page, 0xA5, VMMU_PAGE_BYTES);
    host->pages[zone][index] = page;
    host->held++;
    host->takes++;
    at->v = zone_base[zone] + index * VMMU_PAGE_BYTES;
    return page;
}

static void **slot_of(struct table_host *host, uint64_t at)
{
    for (unsigned zone = 0; zone < 2; zone++) {
        const uint64_t index = (at - zone_base[zone]) / VMMU_PAGE_BYTES;

        if (at >= zone_base[zone] && index < TABLE_HOST_PAGES) {
            return &host->pages[zone][index];
        }
    }
    fail_msg("%#llx is no address of a table page", (unsigned long long)at);
    return NULL;
}

uint64_t *table_host_page(struct table_host *host, uint64_t at)
{
    void *const page = *slot_of(host, at);

    assert_true(vmmu_is_aligned(at, VMMU_PAGE_BYTES));
    assert_non_null(page);
    return page;
}

static void give(void *context, vmmu_hpa at, void *page)
{
    struct table_host *const host = context;

    assert_ptr_equal(table_host_page(host, at.v), page);
    *slot_of(host, at.v) = NULL;
    memset(page, 0x5A, VMMU_PAGE_BYTES);
    free(page);
    host->held--;
}

static void *page_at(void *context, vmmu_hpa at)
{
    return table_host_page(context, at.v);
}

static uint64_t entry_load(void *context, const void *entry, unsigned width_bytes)
{
    (void)context;
    assert_int_equal(width_bytes, 8);
    return *(const uint64_t *)entry;
}

static bool entry_exchange(void *context, void *entry, unsigned width_bytes, uint64_t *expected,
                           uint64_t desired)
{
    struct table_host *const host = context;
    uint64_t *const at = entry;
    const struct table_host_store store = { .entry = at, .desired = desired };

    assert_int_equal(width_bytes, 8);
    host->exchanges++;
    if (host->before_store != NULL) {
        host->before_store(host->hook_context, &store);
    }
    if (*at != *expected) {
        *expected = *at;
        return false;
    }
    *at = desired;
    if (host->after_store != NULL) {
        host->after_store(host->hook_context, &store);
    }
    return true;
}

static bool owns(void *context, vmmu_hpa at, uint64_t size_bytes)
{
    struct table_host *const host = context;

    host->owner_questions++;
    return at.v >= host->own_first && at.v <= host->own_end && size_bytes <= host->own_end - at.v;
}

static void violated(void *context, const char *what)
{
    struct table_host *const host = context;

    assert_non_null(what);
    host->violations++;
}

void table_host_init(struct table_host *host)
{
    *host = (struct table_host){
        .seam = {
            .context = host,
            .page_take = take,
            .page_give = give,
            .page_at = page_at,
            .entry_load = entry_load,
            .entry_exchange = entry_exchange,
            .owns = owns,
            .violated = violated,
        },
        .takes_left = -1,
        .own_end = BIT64(52),
    };
}

void table_host_finish(struct table_host *host, bool expect_none)
{
    if (expect_none) {
        assert_int_equal(host->held, 0);
    }
    for (unsigned zone = 0; zone < 2; zone++) {
        for (unsigned i = 0; i < TABLE_HOST_PAGES; i++) {
            free(host->pages[zone][i]);
            host->pages[zone][i] = NULL;
        }
    }
}
