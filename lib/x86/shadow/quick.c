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
    uint64_t entry;
    bool compared; /* all links on the way, in this operation */
    struct vmmu_shadow_backing backing;
};

/* A link stands at the spot, to a table, and agrees. Follow it. */
static bool follow_link(struct quick *quick)
{
    const struct shadow_edit *const edit = quick->edit;
    const struct shadow_page *const page = &edit->state->pages[quick->spot.page];
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[page->role.format];
    const struct shadow_slot *slot;

    quick->spot.index = vmmu_format_index(shadow_level(page), quick->address);
    slot = shadow_slot_at(edit, quick->spot);
    if (!shadow_is_link(slot) ||
        (page->life != SHADOW_CLOSED && !vmmu_shadow_still_agrees(edit, quick->spot))) {
        return false;
    }
    /* The flags of a slot are those of the guest's entry; rights among them. */
    if (page->role.kind == SHADOW_TABLE) {
        quick->grants &= vmmu_format_grants(format, &format->level[page->role.level], slot->target);
    }
    quick->spot.page = shadow_linked_page(slot);
    return edit->state->pages[quick->spot.page].role.kind == SHADOW_TABLE;
}

/* Whether what may have changed on the way that is remembered has not. */
static bool way_agrees(const struct quick *quick)
{
    const struct shadow_way *const way = &quick->vp->way;
    const struct vmmu_ram *const ram = quick->edit->shadow->config.ram;
    const unsigned width_bytes = vmmu_format_of(&quick->vp->mode.layout)->entry_bytes;

    for (unsigned i = 0; i < way->open_count; i++) {
        const struct shadow_open_link *const link = &way->open[i];
        uint64_t entry;

        if (ram->load(ram->context, link->address, width_bytes, &entry) != VMMU_OK ||
            (entry & link->mask) != link->expected) {
            return false;
        }
    }
    return true;
}

/* Whether the last table is that which was found for @quick's region before, and the way to it still counts. */
static bool remembers(struct quick *quick, uint64_t region)
{
    const struct shadow_way *const way = &quick->vp->way;

    if (way->changes != quick->edit->state->changes || way->region != region) {
        return false;
    }
    quick->compared = way->doubtful;
    return !way->doubtful || way_agrees(quick);
}

/* Follow all links down to the last table, and remember the way. */
static bool descend(struct quick *quick, uint64_t region)
{
    const struct vmmu_shadow_state *const state = quick->edit->state;
    const struct vmmu_x86_mode *const mode = &quick->vp->mode;
    struct shadow_way *const way = &quick->vp->way;

    way->changes = 0;
    way->open_count = 0;
    if (mode->paging == VMMU_X86_PAGING_NONE || !mode->write_protect ||
        !vmmu_walk_is_canonical(mode, (vmmu_gva){ quick->address })) {
        return false;
    }
    while (state->pages[quick->spot.page].role.level > 1) {
        struct shadow_spot link = quick->spot;

        if (!follow_link(quick)) {
            return false;
        }
        link.index = quick->spot.index;
        if (state->pages[link.page].life != SHADOW_CLOSED) {
            way->open[way->open_count++] = vmmu_shadow_open_link(quick->edit, link);
        }
    }
    way->region = region;
    way->grants = quick->grants;
    way->table = quick->spot.page;
    way->changes = state->changes;
    quick->compared = true;
    return true;
}

/*
 * Find the page of the last table. A virtual processor remembers the last one that was found, as processors cache what
 * leads to a table: until the guest flushes, or faults there.
 */
static bool find_table(struct quick *quick)
{
    const uint64_t region = quick->address & ~(shadow_bytes(2) - 1);

    if (remembers(quick, region)) {
        quick->spot.page = quick->vp->way.table;
        quick->grants = quick->vp->way.grants;
    } else if (!descend(quick, region)) {
        return false;
    }
    quick->vp->way.doubtful = false;
    quick->spot.index = vmmu_format_index(&vmmu_x86_formats[VMMU_X86_FORMAT_5LEVEL].level[1], quick->address);
    return true;
}

/* The entry is not present. */
static void reflect(struct quick *quick)
{
    const uint32_t refused = vmmu_walk_judge(&quick->vp->mode, quick->access, 0, 0);

    vmmu_shadow_zap(quick->edit, quick->spot);
    vmmu_shadow_heed_absent(quick->edit, quick->vp->root, quick->address);
    /* A processor forgets what led there; what is closed is as it was. */
    quick->vp->way.doubtful = true;
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

    const uint64_t place = vmmu_shadow_entry_address(page, quick->spot.index);

    if (marked == quick->entry) {
        return true;
    }
    if (ram->exchange(ram->context, place, format->entry_bytes, quick->entry, marked) != VMMU_OK) {
        return false;
    }
    quick->entry = marked;
    vmmu_shadow_follow(edit, place, format->entry_bytes, format->entry_bytes);
    return true;
}

/* The leaf for the guest's page at the spot but for its address; the last one mostly, for neighbours are alike. */
static uint64_t value_without_frame(struct quick *quick, uint64_t flags)
{
    struct shadow_edit *const edit = quick->edit;
    struct shadow_like *const like = &quick->vp->like;
    const struct shadow_page *const page = &edit->state->pages[quick->spot.page];

    if (like->changes != edit->state->changes || like->table != quick->spot.page || like->flags != flags ||
        like->rights != quick->backing.rights || like->type != (uint8_t)quick->backing.type) {
        struct shadow_leaf leaf = vmmu_shadow_guest_leaf(&edit->shadow->config, &page->role, quick->entry);

        leaf.level = 1;
        leaf.rights &= quick->backing.rights | VMMU_X86_RIGHT_USER;
        leaf.type = vmmu_shadow_combine(leaf.type, quick->backing.type);
        *like = (struct shadow_like){
            .flags = flags,
            .value = vmmu_shadow_leaf(edit->state, &leaf),
            .table = quick->spot.page,
            .changes = edit->state->changes,
            .rights = quick->backing.rights,
            .type = (uint8_t)quick->backing.type,
        };
    }
    return like->value;
}

/* Whether @value may take the place of what stands at the leaf's spot; and if so, store it. */
static bool store_leaf(struct quick *quick, uint64_t target, uint64_t value)
{
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[VMMU_X86_FORMAT_5LEVEL];
    struct shadow_edit *const edit = quick->edit;
    struct shadow_slot *const slot = shadow_slot_at(edit, quick->spot);

    if (slot->target == SHADOW_NO_TARGET) {
        vmmu_shadow_put_leaf(edit, quick->spot, target, value);
        return true;
    }
    if (((slot->target ^ target) & SHADOW_FRAME_BITS) != 0 ||
        ((vmmu_shadow_entry(edit, quick->spot) ^ value) &
         ~(vmmu_format_rights_mask(format) | format->software)) != 0) {
        return false;
    }
    slot->target = target;
    vmmu_shadow_change(edit, quick->spot, value);
    return true;
}

/* Entries beside it too, unless they were looked at with the one before it. */
static void prefill(struct quick *quick)
{
    const struct shadow_spot before = { quick->spot.page, quick->spot.index - 1 };

    if (quick->spot.index == 0 || shadow_slot_at(quick->edit, before)->target == SHADOW_NO_TARGET) {
        struct shadow_prefill more = { .edit = quick->edit, .mode = &quick->vp->mode };

        vmmu_shadow_prefill_around(&more, quick->spot);
    }
}

/* Everything above the leaf stands: make that. False: the backing does not allow the access, or not so easily. */
static bool fill(struct quick *quick)
{
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[VMMU_X86_FORMAT_5LEVEL];
    struct shadow_edit *const edit = quick->edit;
    const struct shadow_page *const page = &edit->state->pages[quick->spot.page];
    const uint64_t gpa = quick->entry & vmmu_x86_formats[page->role.format].level[1].frame_mask;
    const uint64_t flags = quick->entry & SHADOW_FLAG_BITS;
    const uint8_t needed = shadow_needed_right(quick->access.kind);
    uint64_t hpa;
    uint64_t value;

    if (vmmu_shadow_back(edit, gpa, needed, &quick->backing) != VMMU_OK ||
        (quick->backing.rights & needed) != needed) {
        return false;
    }
    hpa = quick->backing.frame.v + (gpa & (quick->backing.size_bytes - 1));
    value = value_without_frame(quick, flags) | hpa;
    if ((value & format->write) != 0 && vmmu_shadow_is_protected(edit, gpa)) {
        if (quick->access.kind == VMMU_X86_WRITE) {
            return false;
        }
        value = (value & ~format->write) | format->software;
    }
    if (!vmmu_shadow_is_owned(edit, hpa, VMMU_PAGE_BYTES) || !store_leaf(quick, gpa | flags, value)) {
        return false;
    }
    prefill(quick);
    if (edit->state->newest != quick->spot.page) {
        vmmu_shadow_touch(edit, quick->vp->root);
        vmmu_shadow_touch(edit, quick->spot.page);
    }
    edit->shadow->counters.fills++;
    quick->verdict->answer = VMMU_SHADOW_RETRY;
    quick->verdict->gpa.v = gpa | (quick->address & (VMMU_PAGE_BYTES - 1));
    return true;
}

/*
 * A write to a closed table, at an entry that the guest had a fault for: by our own entries, all of which agree with the guest's. Our
 * leaf allows it but for the table.
 */
static bool emulate(struct quick *quick)
{
    const struct shadow_edit *const edit = quick->edit;
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[VMMU_X86_FORMAT_5LEVEL];
    const struct shadow_slot *slot;
    struct shadow_spot spot = { .page = quick->vp->root };
    uint64_t grants = ~UINT64_C(0);
    uint64_t entry;

    do {
        const struct shadow_page *const page = &edit->state->pages[spot.page];

        spot.index = vmmu_format_index(shadow_level(page), quick->address);
        slot = shadow_slot_at(edit, spot);
        if (page->life != SHADOW_CLOSED || slot->target == SHADOW_NO_TARGET) {
            return false;
        }
        entry = vmmu_shadow_entry(edit, spot);
        grants &= vmmu_format_grants(shadow_format(page), shadow_level(page),
                                     entry | (shadow_is_leaf(slot) ? format->write : 0));
        spot.page = shadow_linked_page(slot);
    } while (shadow_is_link(slot));
    if (!(entry & format->software) ||
        vmmu_walk_judge(&quick->vp->mode, quick->access, vmmu_format_rights(format, grants),
                        vmmu_format_key(format, entry)) != 0) {
        return false;
    }
    quick->verdict->gpa.v = shadow_leaf_frame(slot) | (quick->address & (VMMU_PAGE_BYTES - 1));
    if (!vmmu_shadow_is_silent_at(edit, quick->verdict->gpa.v)) {
        return false;
    }
    quick->verdict->answer = VMMU_SHADOW_EMULATE;
    edit->shadow->counters.write_traps++;
    return true;
}

bool vmmu_shadow_fault_quickly(struct shadow_edit *edit, struct shadow_vp *vp, uint64_t address,
                               struct vmmu_x86_access access, struct vmmu_shadow_verdict *verdict)
{
    struct quick quick = {
        .edit = edit,
        .vp = vp,
        .address = address,
        .access = access,
        .verdict = verdict,
        .spot = { .page = vp->root },
        .grants = ~UINT64_C(0),
    };

    if (edit->state->trap != 0 && access.kind == VMMU_X86_WRITE && !access.shadow_stack &&
        vp->mode.write_protect && vp->mode.paging != VMMU_X86_PAGING_NONE && emulate(&quick)) {
        return true;
    }
    /* While plans are under way, two sizes of a page might come to be cached at once. */
    if (access.shadow_stack || edit->shadow->memory->unflushed_count != 0 || !find_table(&quick)) {
        return false;
    }
    const struct shadow_page *const page = &edit->state->pages[quick.spot.page];
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[page->role.format];

    if (!vmmu_shadow_load(edit, quick.spot, &quick.entry)) {
        return false;
    }
    if (!vmmu_format_is_present(format, quick.entry)) {
        /* A fault is raised by what the tables say now, on some processors. */
        if (!quick.compared && !way_agrees(&quick)) {
            return false;
        }
        reflect(&quick);
        return true;
    }
    quick.grants &= vmmu_format_grants(format, &format->level[1], quick.entry);
    return !vmmu_format_is_refused(&vp->mode.layout, 1, true, quick.entry) &&
           vmmu_walk_judge(&vp->mode, access, vmmu_format_rights(format, quick.grants),
                           vmmu_format_key(format, quick.entry)) == 0 &&
           (page->life == SHADOW_CLOSED || vmmu_shadow_watch(edit)) && mark(&quick) && fill(&quick);
}
