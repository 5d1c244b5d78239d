/*
 * The memory of live tables, for one partition: how many pages it may hold, which it holds,
 * and which wait for a flush.
 *
 * A page is reserved, filled, linked, and in the end retired. A retired page stays as it is, in quarantine,
 * until the processors that may still walk through it have flushed: `vmmu_table_flushed` says so. Only then
 * is it used again or given back to the host. Nested and shadow tables draw from the same memory; what they
 * do with it is the library's own affair (lib/x86/table/memory.h). The embedder sets a memory up, reports
 * epochs, reads the counters, and drains it.
 *
 * Several address spaces of a partition may draw from one memory. A plan with `whole_tag` then means all of
 * them, for it may stand for the plans of any.
 *
 * Nothing here locks: every call on one memory, and every call on tables that draw from it, is made under the
 * caller's one lock for the partition.
 *
 * Spec: SDM 3C "Invalidating Cached Translation Information", SDM 3A "Invalidation of TLBs and
 * Paging-Structure Caches", APM 2 "Translation-Lookaside Buffer (TLB)".
 */
#ifndef VMMU_TABLE_H
#define VMMU_TABLE_H

#include <vmmu/base.h>
#include <vmmu/host.h>
#include <vmmu/plan.h>

/*
 * How many plans may be under way, given out and not yet reported, before an operation asks
 * for a flush of everything.
 */
#define VMMU_TABLE_PLANS 16

/* One page in quarantine. The caller gives an array of these; their content is the library's. */
struct vmmu_table_retired {
    vmmu_hpa at;
    uint64_t epoch;
};

/* One plan that was given out and not yet reported: what some processor may still have cached. */
struct vmmu_table_unflushed {
    uint64_t first; /* the smallest address of the plan */
    uint64_t last;  /* its last byte */
    uint64_t epoch;
    uint64_t vps; /* who must flush */
    bool resized; /* pages changed their size: until the flush, two sizes of one page may be cached at once */
};

/* What a memory holds now, and what it did. Pages are 4096 bytes. */
struct vmmu_table_counters {
    /* taken from the host and not given back: in tables, in the cache and in quarantine */
    uint32_t held_pages;
    uint32_t peak_pages;       /* the most that was held at once */
    uint32_t cached_pages;     /* ready for use */
    uint32_t quarantine_pages; /* retired, waiting for a flush */
    uint64_t taken;            /* pages that the host gave, ever */
    uint64_t given;            /* pages that went back to it, ever */
    uint64_t retired;          /* pages that went to quarantine, ever */
    uint64_t refused;          /* reservations that failed, ever */
    uint64_t plans;            /* plans that asked for a flush, ever */
};

/* Caller-owned. Only `counters` is for reading; the rest is the library's. */
struct vmmu_table_memory {
    const struct vmmu_host *host;
    struct vmmu_table_retired *quarantine;
    uint32_t limit_pages;
    uint32_t cache_pages;
    uint64_t epoch; /* the epoch of the operation under way; every plan that asks for a flush closes one */
    bool pages_retired;
    uint8_t unflushed_count;
    struct vmmu_table_unflushed unflushed[VMMU_TABLE_PLANS];
    void *cache[2]; /* the free pages by zone, each holding the link to the next */
    uint32_t cache_count[2];
    struct vmmu_table_counters counters;
};

/**
 * Set up @memory, which then holds nothing. Takes no page.
 *
 * @host is borrowed until the memory is drained. @quarantine is an array of @limit_pages records, borrowed
 * likewise: with a record for every page that may be held, retiring cannot fail. @limit_pages bounds the
 * pages held at any time.
 * @cache_pages is how many unused pages are kept for the next operation instead of going back to the host.
 */
void vmmu_table_init(struct vmmu_table_memory *memory, const struct vmmu_host *host,
                     struct vmmu_table_retired *quarantine, uint32_t limit_pages, uint32_t cache_pages);

/**
 * Every processor of a plan whose `epoch` was @epoch has flushed what the plan named: pages that were retired
 * under it may be used again, and its addresses hold nothing stale. Epoch 0, an epoch reported before, and
 * one that a later plan took over are ignored. Epochs may be reported in any order.
 */
void vmmu_table_flushed(struct vmmu_table_memory *memory, uint64_t epoch);

/**
 * Give back to the host all pages in the cache and in quarantine, and forget all plans. Only when no
 * processor can walk tables that drew from @memory any more. Pages that are still in tables stay held:
 * destroy those first.
 */
void vmmu_table_drain(struct vmmu_table_memory *memory);

#endif
