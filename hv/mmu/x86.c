/* What both techniques of x86 stand on: the memory of tables, plans, entries of the guest's tables. */
#include "hv/mmu/x86.h"

#include "hv/boot/memory.h"
#include "hv/mmu/x86_state.h"
#include "hv/vp/arch.h"

/* --- the host seam --- */

static void *host_page_take(void *context, enum vmmu_page_zone zone, vmmu_hpa *at)
{
    (void)context;
    return mmu_page_take(zone == VMMU_PAGE_BELOW_4G, at) ? memory_at(*at) : NULL;
}

static void host_page_give(void *context, vmmu_hpa at, void *page)
{
    (void)context;
    (void)page;
    mmu_page_give(at);
}

static void *host_page_at(void *context, vmmu_hpa at)
{
    (void)context;
    return memory_at(at);
}

static uint64_t host_entry_load(void *context, const void *entry, unsigned width_bytes)
{
    (void)context;
    if (width_bytes == 4) {
        return __atomic_load_n((const uint32_t *)entry, __ATOMIC_ACQUIRE);
    }
    return __atomic_load_n((const uint64_t *)entry, __ATOMIC_ACQUIRE);
}

static bool host_entry_exchange(void *context, void *entry, unsigned width_bytes, uint64_t *expected,
                                uint64_t desired)
{
    (void)context;
    if (width_bytes == 4) {
        uint32_t expected32 = (uint32_t)*expected;
        const bool stored = __atomic_compare_exchange_n((uint32_t *)entry, &expected32, (uint32_t)desired,
                                                        false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);

        *expected = expected32;
        return stored;
    }
    return __atomic_compare_exchange_n((uint64_t *)entry, expected, desired, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

static bool host_owns(void *context, vmmu_hpa at, uint64_t size_bytes)
{
    return mmu_owns(context, at, size_bytes);
}

const char *mmu_tables_create(struct partition *partition, uint32_t limit)
{
    const uint64_t quarantine_bytes = (uint64_t)limit * sizeof(struct vmmu_table_retired);
    struct mmu_x86 *mmu = mmu_x86(partition);
    vmmu_hpa at;

    if (!memory_take(quarantine_bytes, VMMU_PAGE_BYTES, false, &at)) {
        return "no memory is left for the quarantine of table pages";
    }
    mmu->host = (struct vmmu_host){
        .context = partition,
        .page_take = host_page_take,
        .page_give = host_page_give,
        .page_at = host_page_at,
        .entry_load = host_entry_load,
        .entry_exchange = host_entry_exchange,
        .owns = host_owns,
        .violated = partition_violated,
    };
    vmmu_table_init(&mmu->memory, &mmu->host, memory_at(at), limit, 8);
    return NULL;
}

void mmu_tables_report(const struct partition *partition, struct json *json)
{
    const struct vmmu_table_counters *tables = &mmu_x86(partition)->memory.counters;

    json_number(json, "table_pages_held", tables->held_pages);
    json_number(json, "table_pages_peak", tables->peak_pages);
    json_number(json, "table_pages_quarantined", tables->quarantine_pages);
    json_number(json, "table_pages_retired", tables->retired);
    json_number(json, "plans", tables->plans);
}

/* --- plans --- */

/*
 * No VP is inside its guest while its processor is here, and each one named flushes before it
 * enters again: so the epoch counts as flushed now. With VPs on other processors this is where they
 * are kicked and waited for.
 */
void mmu_apply(struct partition *partition, const struct vmmu_plan *plan)
{
    lock_assert(&partition->lock);
    if (!vmmu_plan_is_empty(plan)) {
        for (unsigned i = 0; i < partition->vp_count; i++) {
            if (plan->vps & BIT64(i) && partition->vps[i]) {
                arch_vp_flush(partition->vps[i], plan);
            }
        }
    }
    if (plan->epoch) {
        vmmu_table_flushed(&mmu_x86(partition)->memory, plan->epoch);
    }
}

/* --- how the processor translates --- */

struct mmu_root mmu_root(const struct vp *vp)
{
    const struct mmu_x86 *mmu = mmu_x86(vp->partition);

    if (mmu->mmu.technique == &mmu_nested) {
        return (struct mmu_root){ .nested = true, .value = vmmu_nested_root(&mmu->nested) };
    }
    return (struct mmu_root){ .nested = false,
                              .value = mmu->has_phases ? vmmu_nested_root(&mmu->nested) : 0,
                              .watches_invlpg = &mmu->shadow.watches_invlpg,
                              .silent_absent = mmu->shadow.config.silent_absent,
                              .tagged_roots = mmu->shadow.config.tagged_roots };
}

/* Where nothing can be written a store is lost, and nobody but a parent is told: so it is on a bus, too. */
enum vmmu_status mmu_exchange_entry(const struct partition *partition, vmmu_gpa gpa, unsigned width_bytes,
                                    uint64_t expected, uint64_t desired)
{
    void *entry = mmu_writable_at(partition, gpa, width_bytes);
    bool stored = true;

    lock_assert(&partition->lock);
    if (entry && width_bytes == 4) {
        uint32_t expected32 = (uint32_t)expected;

        stored = __atomic_compare_exchange_n((uint32_t *)entry, &expected32, (uint32_t)desired, false,
                                             __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    } else if (entry) {
        stored = __atomic_compare_exchange_n((uint64_t *)entry, &expected, desired, false, __ATOMIC_ACQ_REL,
                                             __ATOMIC_ACQUIRE);
    } else if (mmu_grant(partition, gpa, GUEST_WRITE) != MMU_GRANTED) {
        return VMMU_ABSENT;
    }
    return stored ? VMMU_OK : VMMU_RACED;
}
