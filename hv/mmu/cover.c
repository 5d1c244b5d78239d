/*
 * What stands over a partition's own memory: overlays, which are pages of the hypervisor's that the guest asked for, and
 * patches, which are its parent's doing: memory of the parent's that is lent, and holes.
 *
 * Invariant: the lists say what shows at a page before the tables do; where the tables could not follow, the lists are put
 * back. An overlay hides a patch, and a patch the partition's own memory; none of them changes what it hides.
 *
 * Lent memory stays its owner's: it is recorded with the owner, and the engines may map it here only while it is (see the
 * callback `owns`).
 */
#include "hv/boot/memory.h"
#include "hv/mmu/state.h"

/* Runs of pages that a parent may lend or withhold. */
#define PATCHES 1024

static const struct mmu_overlay *overlay_find(const struct mmu *mmu, vmmu_gpa gpa)
{
    for (unsigned i = 0; i < mmu->overlay_count; i++) {
        if (gpa.v - mmu->overlays[i].gpa.v < VMMU_PAGE_BYTES) {
            return &mmu->overlays[i];
        }
    }
    return NULL;
}

struct mmu_cover mmu_cover_find(const struct mmu *mmu, vmmu_gpa gpa)
{
    const struct mmu_overlay *overlay = overlay_find(mmu, gpa);

    return (struct mmu_cover){ overlay, overlay ? NULL : guest_patches_find(&mmu->patches, gpa) };
}

static uint64_t filter_of(uint64_t page, uint64_t pages)
{
    uint64_t filter = 0;

    for (uint64_t i = 0; i < pages && i < 64; i++) {
        filter |= BIT64((page + i) & 63);
    }
    return filter;
}

void mmu_cover_changed(struct mmu *mmu)
{
    mmu->filter = 0;
    for (unsigned i = 0; i < mmu->overlay_count; i++) {
        mmu->filter |= filter_of(mmu->overlays[i].gpa.v >> VMMU_PAGE_SHIFT, 1);
    }
    for (unsigned i = 0; i < mmu->patches.count && ~mmu->filter; i++) {
        const struct guest_patch *patch = &mmu->patches.patch[i];

        mmu->filter |= filter_of(patch->gpa.v >> VMMU_PAGE_SHIFT, patch->size >> VMMU_PAGE_SHIFT);
    }
}

/* What cannot be read is not there, for the tables: whatever the access, it has to exit. */
bool mmu_show(struct partition *partition, vmmu_gpa gpa)
{
    const struct mmu_technique *technique = partition->mmu->technique;
    const struct mmu_cover cover = mmu_cover_over(partition->mmu, gpa);
    vmmu_hpa own;

    if (cover.overlay) {
        return technique->map(partition, gpa, cover.overlay->page, cover.overlay->rights);
    }
    if (cover.patch) {
        return cover.patch->lent && cover.patch->rights & GUEST_RIGHT_READ
                   ? technique->map(partition, gpa, mmu_lent_at(cover.patch, gpa), cover.patch->rights)
                   : technique->unmap(partition, gpa);
    }
    return guest_memory_hpa(&partition->memory, gpa, &own)
               ? technique->map(partition, gpa, own, GUEST_RIGHTS_ALL)
               : technique->unmap(partition, gpa);
}

/* --- overlays --- */

static void list_overlay(struct mmu *mmu, const struct mmu_overlay *overlay)
{
    mmu->overlays[mmu->overlay_count++] = *overlay;
    mmu_cover_changed(mmu);
}

/* Its order means nothing. */
static void unlist_overlay(struct mmu *mmu, unsigned index)
{
    mmu->overlays[index] = mmu->overlays[--mmu->overlay_count];
    mmu_cover_changed(mmu);
}

/* The page is the partition's as soon as it is listed, which the engine asks about. */
bool mmu_overlay(struct partition *partition, vmmu_gpa gpa, vmmu_hpa page, uint8_t rights)
{
    struct mmu *mmu = partition->mmu;

    lock_assert(&partition->lock);
    if (mmu->overlay_count == MMU_OVERLAYS || overlay_find(mmu, gpa)) {
        return false;
    }
    list_overlay(mmu, &(struct mmu_overlay){ .rights = rights, .gpa = gpa, .page = page });
    if (!mmu_show(partition, gpa)) {
        unlist_overlay(mmu, mmu->overlay_count - 1);
        return false;
    }
    return true;
}

bool mmu_overlay_remove(struct partition *partition, vmmu_gpa gpa)
{
    struct mmu *mmu = partition->mmu;
    const struct mmu_overlay *overlay = overlay_find(mmu, gpa);
    struct mmu_overlay removed;

    lock_assert(&partition->lock);
    if (!overlay) {
        return false;
    }
    removed = *overlay;
    unlist_overlay(mmu, (unsigned)(overlay - mmu->overlays));
    if (!mmu_show(partition, gpa)) {
        list_overlay(mmu, &removed);
        return false;
    }
    return true;
}

/* --- patches --- */

static bool has_room(struct mmu *mmu)
{
    vmmu_hpa at;

    if (!mmu->patches.room && mmu_memory_take(PATCHES * sizeof(struct guest_patch), &at)) {
        guest_patches_init(&mmu->patches, memory_at(at), PATCHES);
    }
    return mmu->patches.room != 0;
}

/* What stands at the page of @patch now, as a patch of that page alone. False: nothing of the kind. */
static bool patch_before(const struct mmu *mmu, const struct guest_patch *patch, struct guest_patch *before)
{
    const struct guest_patch *run = guest_patches_find(&mmu->patches, patch->gpa);

    if (!run) {
        return false;
    }
    *before = *run;
    before->gpa = patch->gpa;
    before->size = patch->size;
    before->hpa = run->lent ? mmu_lent_at(run, patch->gpa) : run->hpa;
    return true;
}

static enum vmmu_status set_patch(struct partition *partition, const struct guest_patch *patch)
{
    struct mmu *mmu = partition->mmu;
    struct guest_patch before;
    enum vmmu_status status;
    bool patched;

    lock_assert(&partition->lock);
    if (!mmu->technique->reaches(mmu, patch->gpa)) {
        return VMMU_INVALID;
    }
    if (!has_room(mmu)) {
        return VMMU_NO_MEMORY;
    }
    patched = patch_before(mmu, patch, &before);
    status = guest_patches_set(&mmu->patches, patch);
    if (status != VMMU_OK) {
        return status;
    }
    mmu_cover_changed(mmu);
    if (!mmu_show(partition, patch->gpa)) {
        guest_patches_undo(&mmu->patches, patch, patched ? &before : NULL);
        mmu_cover_changed(mmu);
        return VMMU_NO_MEMORY;
    }
    return VMMU_OK;
}

enum vmmu_status mmu_lend(struct partition *partition, vmmu_gpa gpa, const struct partition *owner,
                          vmmu_gpa source, uint8_t rights)
{
    struct guest_patch patch = {
        .gpa = gpa, .size = VMMU_PAGE_BYTES, .lent = true, .rights = rights, .owner = (uint8_t)owner->index
    };

    lock_assert(&owner->lock);
    if (!guest_memory_hpa(&owner->memory, source, &patch.hpa)) {
        return VMMU_ABSENT;
    }
    owner->mmu->lends = true;
    return set_patch(partition, &patch);
}

enum vmmu_status mmu_withhold(struct partition *partition, vmmu_gpa gpa)
{
    return set_patch(partition, &(struct guest_patch){ .gpa = gpa, .size = VMMU_PAGE_BYTES });
}

bool mmu_is_shared(const struct partition *partition)
{
    const struct guest_patches *patches = &partition->mmu->patches;

    if (partition->mmu->lends) {
        return true;
    }
    for (unsigned i = 0; i < patches->count; i++) {
        if (patches->patch[i].lent) {
            return true;
        }
    }
    return false;
}

bool mmu_is_lent(const struct partition *partition, vmmu_hpa at, uint64_t size_bytes)
{
    const struct guest_patches *patches = &partition->mmu->patches;

    for (unsigned i = 0; i < patches->count; i++) {
        const struct guest_patch *patch = &patches->patch[i];

        if (patch->lent && at.v >= patch->hpa.v &&
            vmmu_range_fits(at.v - patch->hpa.v, size_bytes, patch->size)) {
            return true;
        }
    }
    return false;
}

enum mmu_grant mmu_grant(const struct partition *partition, vmmu_gpa gpa, enum guest_access access)
{
    static const uint8_t needed[] = { [GUEST_READ] = GUEST_RIGHT_READ,
                                      [GUEST_WRITE] = GUEST_RIGHT_READ | GUEST_RIGHT_WRITE,
                                      [GUEST_EXECUTE] = GUEST_RIGHT_READ | GUEST_RIGHT_EXECUTE };
    const struct guest_patch *patch = mmu_cover_over(partition->mmu, gpa).patch;

    if (!patch) {
        return MMU_GRANTED;
    }
    if (!patch->lent) {
        return MMU_UNMAPPED;
    }
    return (patch->rights & needed[access]) == needed[access] ? MMU_GRANTED : MMU_REFUSED;
}

struct mmu_place mmu_place(const struct partition *partition, vmmu_gpa gpa)
{
    const struct mmu_cover cover = mmu_cover_over(partition->mmu, gpa);

    if (cover.overlay) {
        return (struct mmu_place){ true, true, cover.overlay->rights };
    }
    if (cover.patch) {
        return (struct mmu_place){ cover.patch->lent, false, cover.patch->rights };
    }
    return mmu_slot_of(partition, gpa) ? (struct mmu_place){ true, false, GUEST_RIGHTS_ALL }
                                       : (struct mmu_place){ 0 };
}
