/*
 * The memory of live tables, as the rooms that build tables use it.
 *
 * An operation: ask whether one more plan fits (vmmu_table_ready); reserve the pages that it may need;
 * take, fill and link them; retire what it unlinked; close its plan, which also lets unused pages go.
 * Between reserving and closing nothing can fail.
 *
 * Invariants: a page is in exactly one place: cache, table, or quarantine. The content of a page in
 * quarantine is not touched, for processors may be walking through it. Every store to an entry that a
 * processor may walk goes through vmmu_table_exchange().
 */
#ifndef LIB_X86_TABLE_MEMORY_H
#define LIB_X86_TABLE_MEMORY_H

#include <vmmu/table.h>

/*
 * Whether one more plan can be kept in mind. If not, the operation returns what vmmu_table_take_over() gives.
 */
static inline bool vmmu_table_ready(const struct vmmu_table_memory *memory)
{
    return memory->unflushed_count < VMMU_TABLE_PLANS;
}

/**
 * Have @any pages of any address and @below_4g pages below 4 GiB ready for vmmu_table_take().
 *
 * Returns
 *   VMMU_OK           they are reserved
 *   VMMU_NO_MEMORY    the host gave too few; nothing is reserved
 *   VMMU_FLUSH_RETRY  pages in quarantine might help; nothing is reserved
 */
VMMU_MUST_USE
enum vmmu_status vmmu_table_reserve(struct vmmu_table_memory *memory, uint32_t any, uint32_t below_4g);

/* Take a page that was reserved; its content is undefined. Fill it whole before it is linked. */
void *vmmu_table_take(struct vmmu_table_memory *memory, enum vmmu_page_zone zone, vmmu_hpa *at);

/* Put a page that no processor can reach back among the unused ones. */
void vmmu_table_put(struct vmmu_table_memory *memory, vmmu_hpa at);

/*
 * Put a page that was unlinked, and that processors may still reach, into quarantine. The operation's plan
 * must not be empty.
 */
void vmmu_table_retire(struct vmmu_table_memory *memory, vmmu_hpa at);

/**
 * End an operation: give unused pages beyond the cache back, and, if @plan asks for anything, give it an
 * epoch and keep in mind what it names until that epoch is reported. @plan->vps is set already. @resized
 * says that pages may have changed their size.
 */
void vmmu_table_close(struct vmmu_table_memory *memory, struct vmmu_plan *plan, bool resized);

/*
 * A plan that flushes everything, on every processor that a plan under way names, and stands for all of
 * those: their epochs mean nothing any more.
 */
void vmmu_table_take_over(struct vmmu_table_memory *memory, struct vmmu_plan *plan);

/**
 * Whether some processor may still have cached what stood in [@first, @last] before an operation that is
 * not reported yet: any operation, or, with @resized_only, only those that changed page sizes.
 */
bool vmmu_table_is_unflushed(const struct vmmu_table_memory *memory, uint64_t first, uint64_t last,
                             bool resized_only);

/* One atomic load of an entry of eight bytes of a live table. */
static inline uint64_t vmmu_table_load(const struct vmmu_table_memory *memory, const void *entry)
{
    return memory->host->entry_load(memory->host->context, entry, 8);
}

/*
 * The only way by which an entry of a live table changes. The exchange is one atomic access and orders all
 * stores before it: a table is filled before it is linked. See docs/decisions/010-store-hook.md.
 */
VMMU_MUST_USE
static inline bool vmmu_table_exchange(const struct vmmu_table_memory *memory, void *entry,
                                       uint64_t *expected, uint64_t desired)
{
    return memory->host->entry_exchange(memory->host->context, entry, 8, expected, desired);
}

/*
 * Store an entry of a page that is not linked yet. Entries are little-endian whatever the
 * processor that builds them.
 */
static inline void vmmu_table_fill(uint64_t *entry, uint64_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    *entry = __builtin_bswap64(value);
#else
    *entry = value;
#endif
}

/* Load an entry of a page that is not linked yet. */
static inline uint64_t vmmu_table_filled(const uint64_t *entry)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(*entry);
#else
    return *entry;
#endif
}

/* The host pointer of a table page. */
static inline void *vmmu_table_page(const struct vmmu_table_memory *memory, vmmu_hpa at)
{
    return memory->host->page_at(memory->host->context, at);
}

#endif
