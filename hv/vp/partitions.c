/* All partitions of the machine: their memory, their VPs, and where to find them. */
#include "hv/vp/partitions.h"

#include "hv/boot/host.h"
#include "hv/boot/memory.h"
#include "hv/mmu/mmu.h"
#include "hv/vp/arch.h"
#include "hv/vp/serial.h"

static struct {
    unsigned count;
    struct partition *at[PARTITIONS];
} partitions;

unsigned partition_count(void)
{
    return partitions.count;
}

struct partition *partition_at(unsigned index)
{
    return index < partitions.count ? partitions.at[index] : NULL;
}

/* --- memory --- */

/*
 * Aligned as well as can be, up to its own size: every kind of page that there is on some processor (4 MiB, 256 MiB ...) can map
 * it, if it begins where the guest has such a page, too.
 */
static bool take_piece(uint64_t size_bytes, vmmu_hpa *at)
{
    uint64_t alignment = VMMU_1G_BYTES;

    while (alignment > size_bytes && alignment > VMMU_2M_BYTES) {
        alignment /= 2;
    }
    while (alignment > VMMU_2M_BYTES && !memory_take(size_bytes, alignment, false, at)) {
        alignment /= 2;
    }
    return alignment > VMMU_2M_BYTES || memory_take(size_bytes, VMMU_2M_BYTES, false, at);
}

/*
 * Take up to @wanted bytes in one piece: all of it, else the largest piece there is, in whole 2 MiB. The
 * machine's memory has holes (the one below 4 GiB at least), so a large partition may need several. Returns
 * its size; 0: none is left.
 */
static uint64_t take_largest_piece(uint64_t wanted, vmmu_hpa *at)
{
    uint64_t fits = 0;
    uint64_t too_much = wanted / VMMU_2M_BYTES;

    if (take_piece(wanted, at)) {
        return wanted;
    }
    while (too_much - fits > 1) {
        const uint64_t middle = fits + (too_much - fits) / 2;

        if (take_piece(middle * VMMU_2M_BYTES, at)) {
            memory_give(*at, middle * VMMU_2M_BYTES);
            fits = middle;
        } else {
            too_much = middle;
        }
    }
    return fits && take_piece(fits * VMMU_2M_BYTES, at) ? fits * VMMU_2M_BYTES : 0;
}

/* Memory that another guest may have had is cleared before this one sees it. */
static const char *take_range(struct partition *partition, const struct guest_range *range)
{
    uint64_t taken = 0;

    while (taken < range->size) {
        struct guest_slot slot = { .gpa = { range->gpa.v + taken } };

        slot.size = take_largest_piece(range->size - taken, &slot.hpa);
        if (!slot.size) {
            host_print("vmmu: %lu MiB are missing\n", (unsigned long)((range->size - taken) >> 20));
            return "the machine has not enough memory for the partition";
        }
        slot.host = memory_at(slot.hpa);
        __builtin_memset(slot.host, 0, slot.size);
        if (guest_memory_add(&partition->memory, &slot) != VMMU_OK) {
            return "the machine's memory is in too many pieces for the partition";
        }
        taken += slot.size;
    }
    return NULL;
}

/* --- partitions --- */

static const char *make_vp(struct partition *partition, unsigned index)
{
    struct vp *vp;
    vmmu_hpa at;

    if (!memory_take(sizeof *vp, VMMU_PAGE_BYTES, false, &at)) {
        return "no memory is left for a virtual processor";
    }
    vp = memory_at(at);
    __builtin_memset(vp, 0, sizeof *vp);
    vp->partition = partition;
    vp->index = index;
    vp->waits = index == 0 ? 0 : VP_WAIT_START;
    partition->vps[index] = vp;
    return arch_vp_create(vp);
}

/* What the calls for the MMU and for VPs assert: that the lock is held. */
static const char *fill(struct partition *partition, const struct guest_layout *layout)
{
    const struct config *config = partition->config;
    const char *why = serial_create(partition);

    for (unsigned i = 0; i < layout->ranges && !why; i++) {
        why = take_range(partition, &layout->range[i]);
    }
    if (!why) {
        why = arch_partition_create(partition);
    }
    if (!why) {
        why = mmu_create(partition, mmu_find(config->technique, config->technique_length));
    }
    for (unsigned i = 0; i < partition->vp_count && !why; i++) {
        why = make_vp(partition, i);
    }
    return why;
}

const char *partition_make(const struct config *config, const struct guest_layout *layout)
{
    const unsigned index = partitions.count;
    struct partition *partition;
    const char *why;
    vmmu_hpa at;

    if (index == PARTITIONS || !memory_take(sizeof *partition, VMMU_PAGE_BYTES, false, &at)) {
        return "no memory is left for a partition";
    }
    partition = memory_at(at);
    __builtin_memset(partition, 0, sizeof *partition);
    partition->index = index;
    partition->lock = (struct lock){ .name = "a partition", .rank = LOCK_RANK_PARTITION + index };
    partition->config = config;
    partition->vp_count = config->vp_count;
    if (index > 0 && partitions.at[0]->config->is_parent) {
        partition->parent = partitions.at[0];
    }
    lock_take(&partition->lock);
    why = fill(partition, layout);
    lock_release(&partition->lock);
    partitions.at[partitions.count++] = partition;
    return why;
}
