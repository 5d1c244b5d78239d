#include "hv/mmu/mmu.h"

#include "hv/boot/memory.h"
#include "hv/guest/config.h"
#include "hv/mmu/state.h"
#include "hv/vp/arch.h"

const struct mmu_technique *mmu_find(const char *name, unsigned length)
{
    for (unsigned i = 0; arch_techniques[i]; i++) {
        const char *candidate = arch_techniques[i]->name;
        unsigned same = 0;

        while (same < length && candidate[same] && candidate[same] == name[same]) {
            same++;
        }
        if (!length || (same == length && !candidate[same])) {
            return arch_techniques[i];
        }
    }
    return NULL;
}

const char *mmu_name(const struct partition *partition)
{
    return partition->mmu->technique->name;
}

/* --- the machine's memory --- */

/* Of the machine's memory, once guests run. */
static struct lock memory_lock = { .name = "memory", .rank = LOCK_RANK_MEMORY };

bool mmu_page_take(bool below_4g, vmmu_hpa *at)
{
    bool taken;

    lock_take(&memory_lock);
    taken = below_4g ? memory_take(VMMU_PAGE_BYTES, VMMU_PAGE_BYTES, true, at) : page_take(false, at);
    lock_release(&memory_lock);
    return taken;
}

void mmu_page_give(vmmu_hpa at)
{
    lock_take(&memory_lock);
    page_give(at);
    lock_release(&memory_lock);
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

static bool slot_owns(const struct guest_slot *slot, vmmu_hpa at, uint64_t size_bytes)
{
    return at.v >= slot->hpa.v && vmmu_range_fits(at.v - slot->hpa.v, size_bytes, slot->size);
}

bool mmu_owns(const struct partition *partition, vmmu_hpa at, uint64_t size_bytes)
{
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
    struct mmu *mmu;
    vmmu_hpa at;

    if (!memory_take(technique->state_bytes, VMMU_PAGE_BYTES, false, &at)) {
        return "no memory is left for the MMU's own state";
    }
    mmu = memory_at(at);
    __builtin_memset(mmu, 0, technique->state_bytes);
    mmu->technique = technique;
    mmu->near = &partition->memory.slot[0];
    if (partition->config->drop_exits) {
        if (!technique->drop_all) {
            return "drop= is a test of mmu=shadow: this technique has no shadow pages";
        }
        mmu->upset_state = partition->config->seed;
        mmu->upset_in = next_upset(mmu, partition->config->drop_exits);
    }
    partition->mmu = mmu;
    return technique->create(partition);
}

enum mmu_verdict mmu_fault(struct vp *vp, const struct exit_memory *memory)
{
    lock_assert(&vp->partition->lock);
    return vp->partition->mmu->technique->fault(vp, memory);
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
    return seen_at(partition, gpa, size_bytes, GUEST_RIGHT_READ);
}

void *mmu_writable_at(const struct partition *partition, vmmu_gpa gpa, uint64_t size_bytes)
{
    return seen_at(partition, gpa, size_bytes, GUEST_RIGHT_WRITE);
}

/* --- what people see --- */

void mmu_report(const struct partition *partition, struct json *json)
{
    const struct mmu *mmu = partition->mmu;

    json_object(json, "mmu");
    json_text(json, "technique", mmu->technique->name);
    mmu->technique->report(partition, json);
    json_number(json, "overlays", mmu->overlay_count);
    json_number(json, "patches", mmu->patches.count);
    json_number(json, "intercepts", mmu->intercepts);
    json_end_object(json);
}
