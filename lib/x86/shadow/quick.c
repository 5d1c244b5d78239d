/*
 * Most faults: of a page of 4 KiB, by tables that are shadowed down to the last.
 *
 * Where links stand that agree with the guest's tables, they are the walk: one entry of the guest's is left to load. It is
 * not present, and the fault is the guest's; or all is granted, and a leaf is made. Whatever else comes up is
 * for the whole walk to settle.
 */
#include "lib/x86/shadow/fault.h"

struct quick {
    struct shadow_fault *fault;
    struct shadow_spot spot; /* of the leaf */
    uint8_t rights;          /* of the links above, together */
    uint64_t address;        /* of the guest's leaf */
    uint64_t entry;
};

/* A link stands at @spot, to a table, and agrees. Follow it. */
static bool follow_link(struct quick *quick)
{
    const struct shadow_edit *const edit = &quick->fault->edit;
    const struct shadow_page *const page = &edit->state->pages[quick->spot.page];
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[page->role.format];
    const struct vmmu_ram *const ram = edit->shadow->config.ram;
    const struct shadow_slot *slot;
    uint64_t entry;

    quick->spot.index = vmmu_format_index(shadow_level(page), quick->fault->address);
    slot = shadow_slot_at(edit, quick->spot);
    if (!shadow_is_link(slot)) {
        return false;
    }
    if (page->life != SHADOW_CLOSED &&
        (ram->load(ram->context, vmmu_shadow_entry_address(page, quick->spot.index), format->entry_bytes,
                   &entry) != VMMU_OK ||
         !vmmu_shadow_agrees(edit, quick->spot, entry))) {
        return false;
    }
    /* The flags of a slot are those of the guest's entry; rights among them. */
    if (page->role.kind == SHADOW_TABLE) {
        quick->rights &= vmmu_format_rights(
            format, vmmu_format_grants(format, &format->level[page->role.level], slot->target));
    }
    quick->spot.page = shadow_linked_page(slot);
    return edit->state->pages[quick->spot.page].role.kind == SHADOW_TABLE;
}

static bool find_table(struct quick *quick)
{
    const struct shadow_fault *const fault = quick->fault;
    const struct shadow_page *const pages = fault->edit.state->pages;

    if (fault->mode->paging == VMMU_X86_PAGING_NONE || !fault->mode->write_protect ||
        fault->access.shadow_stack || !vmmu_walk_is_canonical(fault->mode, (vmmu_gva){ fault->address })) {
        return false;
    }
    while (pages[quick->spot.page].role.level > 1) {
        if (!follow_link(quick)) {
            return false;
        }
    }
    quick->spot.index = vmmu_format_index(shadow_level(&pages[quick->spot.page]), fault->address);
    return true;
}

/* The entry is not present. */
static void reflect(struct quick *quick)
{
    struct shadow_fault *const fault = quick->fault;
    struct vmmu_shadow_verdict *const verdict = fault->verdict;
    const uint32_t refused = vmmu_walk_judge(fault->mode, fault->access, 0, 0);

    vmmu_shadow_zap(&fault->edit, quick->spot);
    fault->edit.shadow->counters.reflected++;
    *verdict = (struct vmmu_shadow_verdict){
        .answer = VMMU_SHADOW_INJECT,
        .fault = { .vector = VMMU_X86_VECTOR_PF,
                   .has_error_code = true,
                   .error_code = refused & ~(uint32_t)(VMMU_X86_PF_PRESENT | VMMU_X86_PF_KEY),
                   .cr2 = fault->address },
    };
}

/* Mark the entry as a processor would. */
static bool mark(struct quick *quick)
{
    struct shadow_edit *const edit = &quick->fault->edit;
    const struct shadow_page *const page = &edit->state->pages[quick->spot.page];
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[page->role.format];
    const struct vmmu_x86_level *const level = &format->level[1];
    const struct vmmu_ram *const ram = edit->shadow->config.ram;
    const uint64_t marked =
        quick->entry | level->accessed | (quick->fault->access.kind == VMMU_X86_WRITE ? level->dirty : 0);

    if (marked == quick->entry) {
        return true;
    }
    if (ram->exchange(ram->context, quick->address, format->entry_bytes, quick->entry, marked) != VMMU_OK) {
        return false;
    }
    quick->entry = marked;
    vmmu_shadow_follow(edit, quick->address, format->entry_bytes, format->entry_bytes);
    return true;
}

/* Make @leaf the one for the guest's page at @gpa. False: the backing does not allow the access, or not so easily. */
static bool place(struct shadow_fault *fault, struct shadow_leaf *leaf, uint64_t gpa)
{
    static const uint8_t needs[] = {
        [VMMU_X86_READ] = VMMU_X86_RIGHT_READ,
        [VMMU_X86_WRITE] = VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE,
        [VMMU_X86_EXECUTE] = VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_EXECUTE,
    };
    const uint8_t needed = needs[fault->access.kind];
    const struct vmmu_shadow_backing *const backing = &fault->backing;

    if (vmmu_shadow_back(&fault->edit, gpa, needed, &fault->backing) != VMMU_OK ||
        (backing->rights & needed) != needed) {
        return false;
    }
    leaf->level = 1;
    leaf->rights &= backing->rights | VMMU_X86_RIGHT_USER;
    leaf->type = vmmu_shadow_combine(leaf->type, backing->type);
    leaf->hpa = backing->frame.v + (gpa & (backing->size_bytes - 1));
    if ((leaf->rights & VMMU_X86_RIGHT_WRITE) && vmmu_shadow_is_protected(&fault->edit, gpa)) {
        leaf->rights &= (uint8_t)~VMMU_X86_RIGHT_WRITE;
        leaf->held = true;
        return fault->access.kind != VMMU_X86_WRITE;
    }
    return true;
}

/* Whether @value may take the place of what stands at the leaf's spot; and if so, store it. */
static bool store_leaf(struct quick *quick, uint64_t frame, uint64_t value)
{
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[VMMU_X86_FORMAT_5LEVEL];
    struct shadow_edit *const edit = &quick->fault->edit;
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

/* Everything above the leaf stands: make that. */
static bool fill(struct quick *quick)
{
    struct shadow_fault *const fault = quick->fault;
    struct shadow_edit *const edit = &fault->edit;
    const struct vmmu_shadow_config *const config = &edit->shadow->config;
    const struct shadow_page *const page = &edit->state->pages[quick->spot.page];
    const struct vmmu_x86_level *const level = &vmmu_x86_formats[page->role.format].level[1];
    const uint64_t gpa = vmmu_format_frame(level, quick->entry);
    struct shadow_leaf leaf = vmmu_shadow_guest_leaf(config, &page->role, quick->entry);

    if (!place(fault, &leaf, gpa) || !vmmu_shadow_is_owned(edit, leaf.hpa, VMMU_PAGE_BYTES) ||
        !store_leaf(quick, gpa, vmmu_shadow_leaf(edit->state, &leaf))) {
        return false;
    }
    struct shadow_prefill prefill = {
        .edit = edit, .mode = fault->mode, .gpa = gpa, .backing = fault->backing
    };

    vmmu_shadow_prefill_around(&prefill, quick->spot);
    edit->shadow->counters.fills++;
    fault->verdict->answer = VMMU_SHADOW_RETRY;
    fault->verdict->gpa.v = gpa | (fault->address & (VMMU_PAGE_BYTES - 1));
    return true;
}

bool vmmu_shadow_fault_quickly(struct shadow_fault *fault)
{
    struct shadow_edit *const edit = &fault->edit;
    struct quick quick = { .fault = fault, .spot = { .page = fault->root }, .rights = VMMU_X86_RIGHTS_ALL };
    const struct vmmu_ram *const ram = edit->shadow->config.ram;

    if (!find_table(&quick)) {
        return false;
    }
    const struct shadow_page *const page = &edit->state->pages[quick.spot.page];
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[page->role.format];

    quick.address = vmmu_shadow_entry_address(page, quick.spot.index);
    if (ram->load(ram->context, quick.address, format->entry_bytes, &quick.entry) != VMMU_OK) {
        return false;
    }
    if (!vmmu_format_is_present(format, quick.entry)) {
        reflect(&quick);
        return true;
    }
    quick.rights &= vmmu_format_rights(format, vmmu_format_grants(format, &format->level[1], quick.entry));
    return !vmmu_format_is_refused(&fault->mode->layout, 1, true, quick.entry) &&
           vmmu_walk_judge(fault->mode, fault->access, quick.rights, vmmu_format_key(format, quick.entry)) ==
               0 &&
           (page->life == SHADOW_CLOSED || vmmu_shadow_watch(edit)) && mark(&quick) && fill(&quick);
}
