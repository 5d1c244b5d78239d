#include "hv/mmu/view.h"

#include "hv/boot/memory.h"
#include "hv/mmu/state.h"

enum vmmu_status mmu_view(const struct vp *vp, vmmu_gva va, struct vmmu_shadow_view *view)
{
    struct mmu *mmu = vp->partition->mmu;

    return mmu->technique == &mmu_shadow ? vmmu_shadow_view(&mmu->shadow, vp->index, va, view)
                                         : VMMU_UNSUPPORTED;
}

const struct vmmu_shadow_counters *mmu_shadow_counters(const struct partition *partition)
{
    const struct mmu *mmu = partition->mmu;

    return mmu->technique == &mmu_shadow ? &mmu->shadow.counters : NULL;
}

/* --- memory by the machine's addresses --- */

static bool is_shadow_table(const struct mmu *mmu, uint64_t page)
{
    struct vmmu_shadow_view_table table;

    for (uint32_t next = 0; vmmu_shadow_view_table(&mmu->shadow, &next, &table);) {
        if (table.at.v == page) {
            return true;
        }
    }
    return false;
}

static bool is_table(const struct mmu *mmu, vmmu_hpa at)
{
    const bool shadow = mmu->technique == &mmu_shadow;

    return (shadow && is_shadow_table(mmu, at.v)) ||
           ((!shadow || mmu->has_phases) && vmmu_nested_has_table(&mmu->nested, at));
}

const void *mmu_machine_at(const struct partition *partition, vmmu_hpa at)
{
    const struct mmu *mmu = partition->mmu;
    const vmmu_hpa page = { at.v & ~(VMMU_PAGE_BYTES - 1) };

    return mmu->host.owns(mmu->host.context, page, VMMU_PAGE_BYTES) || is_table(mmu, page) ? memory_at(at)
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
            *piece = (struct piece){
                { gpa }, { slot->hpa.v + (gpa - slot->gpa.v) }, end - gpa, VMMU_X86_RIGHTS_ALL
            };
            return true;
        }
        gpa = end;
    }
    return false;
}

static void put_rights(struct json *json, uint8_t rights)
{
    const char text[] = { rights & VMMU_X86_RIGHT_READ ? 'r' : '-', rights & VMMU_X86_RIGHT_WRITE ? 'w' : '-',
                          rights & VMMU_X86_RIGHT_EXECUTE ? 'x' : '-', '\0' };

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

static void put_second(const struct vmmu_nested *nested, struct json *json)
{
    const bool npt = nested->config.format == VMMU_NESTED_NPT;

    json_object(json, "second");
    json_text(json, "kind", npt ? "npt" : "ept");
    json_hex(json, npt ? "root" : "eptp", vmmu_nested_root(nested));
    json_number(json, "levels", nested->config.levels);
    json_number(json, "maxphyaddr", nested->config.maxphyaddr);
    json_end_object(json);
}

static void put_tables(const struct vmmu_shadow *shadow, struct json *json)
{
    static const char *const kinds[] = {
        [VMMU_SHADOW_TABLE_OURS] = "ours",
        [VMMU_SHADOW_TABLE_OPEN] = "open",
        [VMMU_SHADOW_TABLE_CLOSING] = "closing",
        [VMMU_SHADOW_TABLE_CLOSED] = "closed",
    };
    struct vmmu_shadow_view_table table;

    json_array(json, "tables");
    for (uint32_t next = 0; vmmu_shadow_view_table(shadow, &next, &table);) {
        json_object(json, NULL);
        json_hex(json, "hpa", table.at.v);
        json_hex(json, "gpa", table.gpa.v);
        json_number(json, "level", table.level);
        json_text(json, "kind", kinds[table.kind]);
        json_end_object(json);
    }
    json_end_array(json);
}

void mmu_state(const struct partition *partition, struct json *json)
{
    const struct mmu *mmu = partition->mmu;

    json_text(json, "technique", mmu->technique->name);
    put_memory(partition, json);
    if (mmu->technique == &mmu_shadow) {
        put_tables(&mmu->shadow, json);
    } else {
        put_second(&mmu->nested, json);
    }
}
