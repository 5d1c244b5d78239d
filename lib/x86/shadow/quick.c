/*
 * Most faults: of a page of 4 KiB, by tables that are shadowed down to the last.
 *
 * Where links stand that agree with the guest's tables, they are the walk: one entry of the guest's is left to load. It is
 * not present, and the fault is the guest's; or all is granted, and a leaf is made. Whatever else comes up is
 * for the whole walk to settle.
 */
#include "lib/x86/shadow/fault.h"

struct quick {
    struct shadow_edit *edit;
    struct shadow_vp *vp;
    uint64_t address;
    struct vmmu_x86_access access;
    struct vmmu_shadow_verdict *verdict;
    struct shadow_spot spot; /* of the leaf */
    uint64_t grants;         /* of the guest's entries, together */
    uint64_t place;          /* of the guest's leaf */
    uint64_t entry;
    struct vmmu_shadow_backing backing;
};

/* A link at @spot, of a table's page that may be stale, agrees. */
static bool still_agrees(const struct shadow_edit *edit, struct shadow_spot spot)
{
    const struct shadow_page *const page = &edit->state->pages[spot.page];
    const struct vmmu_ram *const ram = edit->shadow->config.ram;
    uint64_t entry;

    return ram->load(ram->context, vmmu_shadow_entry_address(page, spot.index),
                     vmmu_x86_formats[page->role.format].entry_bytes, &entry) == VMMU_OK &&
           vmmu_shadow_agrees(edit, spot, entry);
}

/* A link stands at the spot, to a table, and agrees. Follow it. */
static bool follow_link(struct quick *quick)
{
    const struct shadow_edit *const edit = quick->edit;
    const struct shadow_page *const page = &edit->state->pages[quick->spot.page];
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[page->role.format];
    const struct shadow_slot *slot;

    quick->spot.index = vmmu_format_index(shadow_level(page), quick->address);
    slot = shadow_slot_at(edit, quick->spot);
    if (!shadow_is_link(slot) || (page->life != SHADOW_CLOSED && !still_agrees(edit, quick->spot))) {
        return false;
    }
    /* The flags of a slot are those of the guest's entry; rights among them. */
    if (page->role.kind == SHADOW_TABLE) {
        quick->grants &= vmmu_format_grants(format, &format->level[page->role.level], slot->target);
    }
    quick->spot.page = shadow_linked_page(slot);
    return edit->state->pages[quick->spot.page].role.kind == SHADOW_TABLE;
}

/*
 * The page of the last table. A virtual processor remembers the last one that was found, as processors cache what leads to
 * a table: until the guest flushes, or faults there.
 */
static bool find_table(struct quick *quick)
{
    const struct shadow_page *const pages = quick->edit->state->pages;
    const struct vmmu_x86_mode *const mode = &quick->vp->mode;
    struct shadow_way *const way = &quick->vp->way;
    const uint64_t region = quick->address & ~(shadow_bytes(2) - 1);

    if (way->changes == quick->edit->state->changes && way->region == region) {
        quick->spot.page = way->table;
        quick->grants = way->grants;
    } else {
        if (mode->paging == VMMU_X86_PAGING_NONE || !mode->write_protect ||
            !vmmu_walk_is_canonical(mode, (vmmu_gva){ quick->address })) {
            return false;
        }
        while (pages[quick->spot.page].role.level > 1) {
            if (!follow_link(quick)) {
                return false;
            }
        }
        *way = (struct shadow_way){ region, quick->grants, quick->spot.page, quick->edit->state->changes };
    }
    quick->spot.index = vmmu_format_index(&vmmu_x86_formats[VMMU_X86_FORMAT_5LEVEL].level[1], quick->address);
    return true;
}

/* The entry is not present. */
static void reflect(struct quick *quick)
{
    const uint32_t refused = vmmu_walk_judge(&quick->vp->mode, quick->access, 0, 0);

    vmmu_shadow_zap(quick->edit, quick->spot);
    shadow_lose_way(quick->vp);
    quick->edit->shadow->counters.reflected++;
    quick->verdict->answer = VMMU_SHADOW_INJECT;
    quick->verdict->fault = (struct vmmu_x86_fault){
        .vector = VMMU_X86_VECTOR_PF,
        .has_error_code = true,
        .error_code = refused & ~(uint32_t)(VMMU_X86_PF_PRESENT | VMMU_X86_PF_KEY),
        .cr2 = quick->address,
    };
}

/* Mark the entry as a processor would. */
static bool mark(struct quick *quick)
{
    struct shadow_edit *const edit = quick->edit;
    const struct shadow_page *const page = &edit->state->pages[quick->spot.page];
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[page->role.format];
    const struct vmmu_x86_level *const level = &format->level[1];
    const struct vmmu_ram *const ram = edit->shadow->config.ram;
    const uint64_t marked =
        quick->entry | level->accessed | (quick->access.kind == VMMU_X86_WRITE ? level->dirty : 0);

    if (marked == quick->entry) {
        return true;
    }
    if (ram->exchange(ram->context, quick->place, format->entry_bytes, quick->entry, marked) != VMMU_OK) {
        return false;
    }
    quick->entry = marked;
    vmmu_shadow_follow(edit, quick->place, format->entry_bytes, format->entry_bytes);
    return true;
}

/* Make @leaf the one for the guest's page at @gpa. False: the backing does not allow the access, or not so easily. */
static bool place(struct quick *quick, struct shadow_leaf *leaf, uint64_t gpa)
{
    static const uint8_t needs[] = {
        [VMMU_X86_READ] = VMMU_X86_RIGHT_READ,
        [VMMU_X86_WRITE] = VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE,
        [VMMU_X86_EXECUTE] = VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_EXECUTE,
    };
    const uint8_t needed = needs[quick->access.kind];
    const struct vmmu_shadow_backing *const backing = &quick->backing;

    if (vmmu_shadow_back(quick->edit, gpa, needed, &quick->backing) != VMMU_OK ||
        (backing->rights & needed) != needed) {
        return false;
    }
    leaf->level = 1;
    leaf->rights &= backing->rights | VMMU_X86_RIGHT_USER;
    leaf->type = vmmu_shadow_combine(leaf->type, backing->type);
    leaf->hpa = backing->frame.v + (gpa & (backing->size_bytes - 1));
    if ((leaf->rights & VMMU_X86_RIGHT_WRITE) && vmmu_shadow_is_protected(quick->edit, gpa)) {
        leaf->rights &= (uint8_t)~VMMU_X86_RIGHT_WRITE;
        leaf->held = true;
        return quick->access.kind != VMMU_X86_WRITE;
    }
    return true;
}

/* Whether @value may take the place of what stands at the leaf's spot; and if so, store it. */
static bool store_leaf(struct quick *quick, uint64_t frame, uint64_t value)
{
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[VMMU_X86_FORMAT_5LEVEL];
    struct shadow_edit *const edit = quick->edit;
    struct shadow_slot *const slot = shadow_slot_at(edit, quick->spot);
    const uint64_t target = frame | vmmu_shadow_flags(&edit->state->pages[quick->spot.page], quick->entry);

    if (slot->target == SHADOW_NO_TARGET) {
        vmmu_shadow_put_leaf(edit, quick->spot, target, value);
        return true;
    }
    if (shadow_leaf_frame(slot) != frame || ((vmmu_shadow_entry(edit, quick->spot) ^ value) &
                                             ~(vmmu_format_rights_mask(format) | format->software)) != 0) {
        return false;
    }
    slot->target = target;
    vmmu_shadow_change(edit, quick->spot, value);
    return true;
}

/* Entries beside it too, unless they were looked at with the one before it. */
static void prefill(struct quick *quick, uint64_t gpa)
{
    const struct shadow_spot before = { quick->spot.page, quick->spot.index - 1 };

    if (quick->spot.index == 0 || shadow_slot_at(quick->edit, before)->target == SHADOW_NO_TARGET) {
        struct shadow_prefill more = {
            .edit = quick->edit, .mode = &quick->vp->mode, .gpa = gpa, .backing = quick->backing
        };

        vmmu_shadow_prefill_around(&more, quick->spot);
    }
}

/* Everything above the leaf stands: make that. */
static bool fill(struct quick *quick)
{
    struct shadow_edit *const edit = quick->edit;
    const struct shadow_page *const page = &edit->state->pages[quick->spot.page];
    const struct vmmu_x86_level *const level = &vmmu_x86_formats[page->role.format].level[1];
    const uint64_t gpa = vmmu_format_frame(level, quick->entry);
    struct shadow_leaf leaf = vmmu_shadow_guest_leaf(&edit->shadow->config, &page->role, quick->entry);

    if (!place(quick, &leaf, gpa) || !vmmu_shadow_is_owned(edit, leaf.hpa, VMMU_PAGE_BYTES) ||
        !store_leaf(quick, gpa, vmmu_shadow_leaf(edit->state, &leaf))) {
        return false;
    }
    prefill(quick, gpa);
    if (edit->state->newest != quick->spot.page) {
        vmmu_shadow_touch(edit, quick->vp->root);
        vmmu_shadow_touch(edit, quick->spot.page);
    }
    edit->shadow->counters.fills++;
    quick->verdict->answer = VMMU_SHADOW_RETRY;
    quick->verdict->gpa.v = gpa | (quick->address & (VMMU_PAGE_BYTES - 1));
    return true;
}

bool vmmu_shadow_fault_quickly(struct shadow_edit *edit, struct shadow_vp *vp, uint64_t address,
                               struct vmmu_x86_access access, struct vmmu_shadow_verdict *verdict)
{
    const struct vmmu_ram *const ram = edit->shadow->config.ram;
    struct quick quick = {
        .edit = edit,
        .vp = vp,
        .address = address,
        .access = access,
        .verdict = verdict,
        .spot = { .page = vp->root },
        .grants = ~UINT64_C(0),
    };

    if (access.shadow_stack || !find_table(&quick)) {
        return false;
    }
    const struct shadow_page *const page = &edit->state->pages[quick.spot.page];
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[page->role.format];

    quick.place = vmmu_shadow_entry_address(page, quick.spot.index);
    if (ram->load(ram->context, quick.place, format->entry_bytes, &quick.entry) != VMMU_OK) {
        return false;
    }
    if (!vmmu_format_is_present(format, quick.entry)) {
        reflect(&quick);
        return true;
    }
    quick.grants &= vmmu_format_grants(format, &format->level[1], quick.entry);
    return !vmmu_format_is_refused(&vp->mode.layout, 1, true, quick.entry) &&
           vmmu_walk_judge(&vp->mode, access, vmmu_format_rights(format, quick.grants),
                           vmmu_format_key(format, quick.entry)) == 0 &&
           (page->life == SHADOW_CLOSED || vmmu_shadow_watch(edit)) && mark(&quick) && fill(&quick);
}
