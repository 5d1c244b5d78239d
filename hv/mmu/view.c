#include "hv/mmu/view.h"

#include "hv/boot/memory.h"
#include "hv/mmu/state.h"

void mmu_walk(const struct vp *vp, vmmu_gva va, const struct format_sink *sink)
{
    vp->partition->mmu->technique->walk(vp, va, sink);
}

void mmu_counters(const struct partition *partition, const struct format_sink *sink)
{
    partition->mmu->technique->counters(partition, sink);
}

bool mmu_tlb(const struct vp *vp, struct json *json)
{
    const struct mmu_technique *technique = vp->partition->mmu->technique;

    if (!technique->tlb) {
        return false;
    }
    technique->tlb(vp, json);
    return true;
}

/* --- memory by the machine's addresses --- */

const void *mmu_machine_at(const struct partition *partition, vmmu_hpa at)
{
    const struct mmu *mmu = partition->mmu;
    const vmmu_hpa page = { at.v & ~(VMMU_PAGE_BYTES - 1) };

    return mmu_owns(partition, page, VMMU_PAGE_BYTES) || mmu->technique->has_table(mmu, page) ? memory_at(at)
                                                                                              : NULL;
}

/* --- the state --- */

/* A part of the guest's memory that is contiguous and alike. */
struct piece {
    vmmu_gpa gpa;
    vmmu_hpa hpa;
    uint64_t bytes;
    uint8_t rights;
};

/* Whether an overlay stands at @gpa: *piece is it. Else *end comes down to where the next one does. */
static bool meets_overlay(const struct mmu *mmu, uint64_t gpa, uint64_t *end, struct piece *piece)
{
    for (unsigned i = 0; i < mmu->overlay_count; i++) {
        const struct mmu_overlay *overlay = &mmu->overlays[i];

        if (overlay->gpa.v == gpa) {
            *piece = (struct piece){ overlay->gpa, overlay->page, VMMU_PAGE_BYTES, overlay->rights };
            return true;
        }
        if (overlay->gpa.v > gpa && overlay->gpa.v < *end) {
            *end = overlay->gpa.v;
        }
    }
    return false;
}

/* The patch at @gpa, or NULL. *end comes down to where it ends, or else to where the next one begins. */
static const struct guest_patch *meets_patch(const struct mmu *mmu, uint64_t gpa, uint64_t *end)
{
    const struct guest_patch *patch = guest_patches_next(&mmu->patches, (vmmu_gpa){ gpa });
    uint64_t at;

    if (!patch) {
        return NULL;
    }
    at = patch->gpa.v > gpa ? patch->gpa.v : patch->gpa.v + patch->size;
    *end = at < *end ? at : *end;
    return patch->gpa.v > gpa ? NULL : patch;
}

/* Where the first slot behind @gpa begins; UINT64_MAX: there is none. */
static uint64_t next_slot(const struct guest_memory *memory, uint64_t gpa)
{
    unsigned i = 0;

    while (i < memory->count && memory->slot[i].gpa.v <= gpa) {
        i++;
    }
    return i < memory->count ? memory->slot[i].gpa.v : UINT64_MAX;
}

/* The first piece at or behind @gpa, which is no address within one. False: there is none. */
static bool next_piece(const struct partition *partition, uint64_t gpa, struct piece *piece)
{
    while (gpa != UINT64_MAX) {
        const struct guest_slot *slot = guest_memory_slot(&partition->memory, (vmmu_gpa){ gpa });
        uint64_t end = slot ? slot->gpa.v + slot->size : next_slot(&partition->memory, gpa);
        uint64_t patched = UINT64_MAX; /* a patch reaches beyond the slot that it begins in */
        const struct guest_patch *patch = meets_patch(partition->mmu, gpa, &patched);

        end = patch || patched < end ? patched : end;
        if (meets_overlay(partition->mmu, gpa, &end, piece)) {
            return true;
        }
        if (patch && patch->lent) {
            *piece =
                (struct piece){ { gpa }, mmu_lent_at(patch, (vmmu_gpa){ gpa }), end - gpa, patch->rights };
            return true;
        }
        if (slot && !patch) {
            *piece =
                (struct piece){ { gpa }, { slot->hpa.v + (gpa - slot->gpa.v) }, end - gpa, GUEST_RIGHTS_ALL };
            return true;
        }
        gpa = end;
    }
    return false;
}

static void put_rights(struct json *json, uint8_t rights)
{
    const char text[] = { rights & GUEST_RIGHT_READ ? 'r' : '-', rights & GUEST_RIGHT_WRITE ? 'w' : '-',
                          rights & GUEST_RIGHT_EXECUTE ? 'x' : '-', '\0' };

    json_text(json, "rights", text);
}

static void put_memory(const struct partition *partition, struct json *json)
{
    struct piece piece;

    json_array(json, "memory");
    for (uint64_t gpa = 0; next_piece(partition, gpa, &piece); gpa = piece.gpa.v + piece.bytes) {
        json_object(json, NULL);
        json_hex(json, "gpa", piece.gpa.v);
        json_hex(json, "hpa", piece.hpa.v);
        json_hex(json, "bytes", piece.bytes);
        put_rights(json, piece.rights);
        json_end_object(json);
    }
    json_end_array(json);
}

void mmu_state(const struct partition *partition, struct json *json)
{
    const struct mmu *mmu = partition->mmu;

    json_text(json, "technique", mmu->technique->name);
    put_memory(partition, json);
    mmu->technique->state(partition, json);
}
