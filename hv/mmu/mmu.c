#include "hv/mmu/mmu.h"

#include "hv/boot/memory.h"
#include "hv/guest/config.h"
#include "hv/mmu/state.h"
#include "hv/vp/arch.h"

static const struct mmu_technique *const techniques[] = { &mmu_nested, &mmu_shadow };

const struct mmu_technique *mmu_find(const char *name, unsigned length)
{
    for (unsigned i = 0; i < sizeof techniques / sizeof techniques[0]; i++) {
        const char *candidate = techniques[i]->name;
        unsigned same = 0;

        while (same < length && candidate[same] && candidate[same] == name[same]) {
            same++;
        }
        if (same == length && !candidate[same]) {
            return techniques[i];
        }
    }
    return NULL;
}

/* --- the host seam --- */

/* Of the machine's memory, once guests run. */
static struct lock memory_lock = { .name = "memory", .rank = LOCK_RANK_MEMORY };

static void *host_page_take(void *context, enum vmmu_page_zone zone, vmmu_hpa *at)
{
    bool taken;

    (void)context;
    lock_take(&memory_lock);
    taken = zone == VMMU_PAGE_BELOW_4G ? memory_take(VMMU_PAGE_BYTES, VMMU_PAGE_BYTES, true, at)
                                       : page_take(false, at);
    lock_release(&memory_lock);
    return taken ? memory_at(*at) : NULL;
}

bool mmu_memory_take(uint64_t size_bytes, vmmu_hpa *at)
{
    bool taken;

    lock_take(&memory_lock);
    taken = memory_take(size_bytes, VMMU_PAGE_BYTES, false, at);
    lock_release(&memory_lock);
    if (taken) {
        __builtin_memset(memory_at(*at), 0, size_bytes);
    }
    return taken;
}

static void host_page_give(void *context, vmmu_hpa at, void *page)
{
    (void)context;
    (void)page;
    lock_take(&memory_lock);
    page_give(at);
    lock_release(&memory_lock);
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

static bool slot_owns(const struct guest_slot *slot, vmmu_hpa at, uint64_t size_bytes)
{
    return at.v >= slot->hpa.v && vmmu_range_fits(at.v - slot->hpa.v, size_bytes, slot->size);
}

static bool host_owns(void *context, vmmu_hpa at, uint64_t size_bytes)
{
    const struct partition *partition = context;
    const struct mmu *mmu = partition->mmu;

    if (slot_owns(mmu->near, at, size_bytes)) {
        return true;
    }
    for (unsigned i = 0; i < partition->memory.count; i++) {
        if (slot_owns(&partition->memory.slot[i], at, size_bytes)) {
            return true;
        }
    }
    for (unsigned i = 0; i < mmu->overlay_count; i++) {
        if (mmu->overlays[i].page.v == at.v && size_bytes == VMMU_PAGE_BYTES) {
            return true;
        }
    }
    return mmu_is_lent(partition, at, size_bytes);
}

/* --- partitions --- */

/* Exits until the next time: 1 to twice the mean, by a multiplicative generator whose high bits are the good ones. */
static uint32_t next_upset(struct mmu *mmu, uint32_t mean)
{
    mmu->upset_state = mmu->upset_state * UINT64_C(6364136223846793005) + 1;
    return 1 + (uint32_t)((mmu->upset_state >> 32) * (2 * (uint64_t)mean) >> 32);
}

const char *mmu_create(struct partition *partition, const struct mmu_technique *technique)
{
    const uint32_t limit = technique->table_pages(partition);
    const uint64_t quarantine_bytes = (uint64_t)limit * sizeof(struct vmmu_table_retired);
    struct mmu *mmu;
    vmmu_hpa at;

    _Static_assert(sizeof(struct mmu) <= VMMU_PAGE_BYTES, "struct mmu has a page");
    if (!page_take(true, &at)) {
        return "no memory is left for the MMU's own state";
    }
    mmu = memory_at(at);
    if (!memory_take(quarantine_bytes, VMMU_PAGE_BYTES, false, &at)) {
        page_give(memory_hpa(mmu));
        return "no memory is left for the quarantine of table pages";
    }
    mmu->technique = technique;
    mmu->near = &partition->memory.slot[0];
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
    if (partition->config->drop_exits) {
        if (!technique->drop_all) {
            return "drop= is a test of mmu=shadow: this technique has no shadow pages";
        }
        mmu->upset_state = partition->config->seed;
        mmu->upset_in = next_upset(mmu, partition->config->drop_exits);
    }
    vmmu_table_init(&mmu->memory, &mmu->host, memory_at(at), limit, 8);
    partition->mmu = mmu;
    return technique->create(partition);
}

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
        vmmu_table_flushed(&partition->mmu->memory, plan->epoch);
    }
}

enum mmu_verdict mmu_fault(struct vp *vp, const struct exit_memory *memory)
{
    lock_assert(&vp->partition->lock);
    return vp->partition->mmu->technique->fault(vp, memory);
}

struct mmu_root mmu_root(const struct vp *vp)
{
    return vp->partition->mmu->technique->root(vp);
}

bool mmu_enter(struct vp *vp, const struct vmmu_x86_mode *mode, struct vmmu_shadow_root *root)
{
    lock_assert(&vp->partition->lock);
    return vp->partition->mmu->technique->enter(vp, mode, root);
}

bool mmu_linear_fault(struct vp *vp, vmmu_gva va, struct vmmu_x86_access access,
                      struct vmmu_shadow_verdict *verdict)
{
    lock_assert(&vp->partition->lock);
    return vp->partition->mmu->technique->linear_fault(vp, va, access, verdict);
}

void mmu_set_keys(struct vp *vp, uint32_t pkru, uint32_t pkrs)
{
    lock_assert(&vp->partition->lock);
    vp->partition->mmu->technique->set_keys(vp, pkru, pkrs);
}

void mmu_invlpg(struct vp *vp, vmmu_gva va)
{
    lock_assert(&vp->partition->lock);
    vp->partition->mmu->technique->invlpg(vp, va);
}

void mmu_upset(struct partition *partition)
{
    struct mmu *mmu = partition->mmu;

    lock_assert(&partition->lock);
    if (!mmu->upset_in || --mmu->upset_in) {
        return;
    }
    mmu->upset_in = next_upset(mmu, partition->config->drop_exits);
    mmu->upsets++;
    mmu->technique->drop_all(partition);
}

void mmu_forget_all(struct partition *partition)
{
    lock_assert(&partition->lock);
    if (partition->mmu->technique->drop_all) {
        partition->mmu->technique->drop_all(partition);
    }
}

void mmu_wrote(struct partition *partition, vmmu_gpa gpa, uint32_t bytes)
{
    const struct mmu_technique *technique = partition->mmu->technique;

    lock_assert(&partition->lock);
    if (technique->wrote) {
        technique->wrote(partition, gpa, bytes);
    }
}

void mmu_drop(struct partition *partition, vmmu_gpa gpa)
{
    const struct mmu_technique *technique = partition->mmu->technique;

    lock_assert(&partition->lock);
    if (technique->drop) {
        technique->drop(partition, gpa);
    }
}

void mmu_set_guest_pat(struct partition *partition, uint64_t pat)
{
    const struct mmu_technique *technique = partition->mmu->technique;

    lock_assert(&partition->lock);
    if (technique->set_guest_pat) {
        technique->set_guest_pat(partition, pat);
    }
}

/* --- what is seen --- */

const struct guest_slot *mmu_slot_find(const struct partition *partition, vmmu_gpa gpa)
{
    const struct guest_slot *slot = guest_memory_slot(&partition->memory, gpa);

    if (slot) {
        partition->mmu->near = slot;
    }
    return slot;
}

/* What stands at @gpa, overlays aside. */
static void *memory_of(const struct partition *partition, vmmu_gpa gpa, uint64_t size_bytes)
{
    const struct guest_slot *slot = mmu_slot_of(partition, gpa);
    const uint64_t offset = slot ? gpa.v - slot->gpa.v : 0;

    return slot && size_bytes <= slot->size - offset ? slot->host + offset : NULL;
}

/* What stands at @gpa where that has @right, covers of any kind included. */
static void *seen_at(const struct partition *partition, vmmu_gpa gpa, uint64_t size_bytes, uint8_t right)
{
    const struct mmu_cover cover = mmu_cover_over(partition->mmu, gpa);

    if (cover.overlay) {
        return cover.overlay->rights & right
                   ? (uint8_t *)memory_at(cover.overlay->page) + (gpa.v - cover.overlay->gpa.v)
                   : NULL;
    }
    if (cover.patch) {
        return cover.patch->lent && cover.patch->rights & right ? memory_at(mmu_lent_at(cover.patch, gpa))
                                                                : NULL;
    }
    return memory_of(partition, gpa, size_bytes);
}

const void *mmu_at(const struct partition *partition, vmmu_gpa gpa, uint64_t size_bytes)
{
    return seen_at(partition, gpa, size_bytes, VMMU_X86_RIGHT_READ);
}

void *mmu_writable_at(const struct partition *partition, vmmu_gpa gpa, uint64_t size_bytes)
{
    return seen_at(partition, gpa, size_bytes, VMMU_X86_RIGHT_WRITE);
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
    } else if (mmu_grant(partition, gpa, VMMU_X86_WRITE) != MMU_GRANTED) {
        return VMMU_ABSENT;
    }
    return stored ? VMMU_OK : VMMU_RACED;
}

/* --- what people see --- */

void mmu_report(const struct partition *partition, struct json *json)
{
    const struct mmu *mmu = partition->mmu;
    const struct vmmu_table_counters *tables = &mmu->memory.counters;

    json_object(json, "mmu");
    json_text(json, "technique", mmu->technique->name);
    json_number(json, "table_pages_held", tables->held_pages);
    json_number(json, "table_pages_peak", tables->peak_pages);
    json_number(json, "table_pages_quarantined", tables->quarantine_pages);
    json_number(json, "table_pages_retired", tables->retired);
    json_number(json, "plans", tables->plans);
    json_number(json, "overlays", mmu->overlay_count);
    json_number(json, "patches", mmu->patches.count);
    json_number(json, "intercepts", mmu->intercepts);
    mmu->technique->report(partition, json);
    json_end_object(json);
}
