/*
 * Page faults of the hardware: whose they are, and what to do about ours.
 *
 * One walk of the guest's tables, marking them as a processor would, decides all. A fault of the guest's is
 * the guest's; then the backing is asked, then whether a table is written; and what is left is filled in.
 */
#include "lib/x86/shadow/fault.h"

/* Races with other processors' writes of tables that have no shadow yet; each was a step of theirs. */
#define RACES 8

static enum vmmu_status answer(struct shadow_fault *fault, enum vmmu_shadow_answer what, uint64_t gpa)
{
    fault->verdict->answer = what;
    fault->verdict->gpa.v = gpa;
    return VMMU_OK;
}

/* --- the guest's tables --- */

/* The entry that the walk could not load, after the last one that it did. */
static uint64_t missing_entry(const struct shadow_fault *fault)
{
    const struct vmmu_x86_format *const format = vmmu_format_of(&fault->mode->layout);
    const struct vmmu_x86_walk_result *const walk = &fault->walk;
    unsigned level = format->levels;
    uint64_t table = fault->mode->root.v;

    if (walk->step_count != 0) {
        const struct vmmu_x86_step *const last = &walk->steps[walk->step_count - 1];

        table = vmmu_format_table(&format->level[last->level], last->value);
        level = last->level - 1U;
    }
    return table + (uint64_t)vmmu_format_index(&format->level[level], fault->address) * format->entry_bytes;
}

/* A table lies in no memory, or where the walk may not mark it. */
static enum vmmu_status no_table(struct shadow_fault *fault)
{
    const struct vmmu_x86_format *const format = vmmu_format_of(&fault->mode->layout);
    const struct vmmu_x86_walk_result *const walk = &fault->walk;
    struct vmmu_shadow_backing backing;

    if (walk->step_count != 0) {
        const struct vmmu_x86_step *const last = &walk->steps[walk->step_count - 1];
        const bool is_leaf = vmmu_format_is_leaf(&format->level[last->level], last->value);

        if (is_leaf || (last->marks != 0 && (vmmu_shadow_back(fault->edit, last->address,
                                                              VMMU_X86_RIGHT_WRITE, &backing) != VMMU_OK ||
                                             !(backing.rights & VMMU_X86_RIGHT_WRITE)))) {
            return answer(fault, VMMU_SHADOW_DENIED, last->address);
        }
    }
    return answer(fault, VMMU_SHADOW_DEVICE, missing_entry(fault));
}

/* A mark means something else to who reads entries of another size in the same frame. */
static void follow_marks(struct shadow_fault *fault)
{
    for (unsigned i = 0; i < fault->walk.step_count; i++) {
        const struct vmmu_x86_step *const step = &fault->walk.steps[i];

        if (step->marks != 0 && step->stage == VMMU_X86_STAGE_GUEST) {
            vmmu_shadow_follow(fault->edit, step->address, step->entry_bytes, step->entry_bytes);
        }
    }
}

static enum vmmu_status walk(struct shadow_fault *fault)
{
    const struct vmmu_ram *const ram = fault->edit->shadow->config.ram;
    enum vmmu_status status = VMMU_RACED;

    for (unsigned turn = 0; turn < RACES && status == VMMU_RACED; turn++) {
        status = vmmu_x86_walk(fault->mode, ram, (vmmu_gva){ fault->address }, fault->access, &fault->walk);
        follow_marks(fault);
    }
    return status;
}

/* --- the page --- */

static enum vmmu_status emulate(struct shadow_fault *fault, bool table)
{
    fault->edit->shadow->counters.write_traps += table;
    return answer(fault, VMMU_SHADOW_EMULATE, fault->walk.translation.gpa.v);
}

/* The guest writes a protected table: have it emulated, or open it. */
static enum vmmu_status let_write(struct shadow_fault *fault, uint64_t gpa)
{
    if (vmmu_shadow_prefers_emulation(fault->edit, gpa)) {
        return emulate(fault, true);
    }
    if (!vmmu_shadow_watch(fault->edit)) {
        return VMMU_FLUSH_RETRY;
    }
    vmmu_shadow_open(fault->edit, shadow_frame_of(gpa));
    fault->edit->shadow->counters.write_traps++;
    return VMMU_OK;
}

/* Whether an entry that led the walk to a table says how that table is cached. */
static bool has_table_cache(const struct shadow_fault *fault)
{
    const struct vmmu_x86_format *const format = vmmu_format_of(&fault->mode->layout);

    for (unsigned i = 0; i < fault->walk.step_count; i++) {
        const struct vmmu_x86_step *const step = &fault->walk.steps[i];

        if (step->level > fault->walk.translation.level &&
            (step->value & (format->write_through | format->cache_disable)) != 0) {
            return true;
        }
    }
    return false;
}

/* The guest's tables allow the access, and so does the backing: have ours allow it. */
static enum vmmu_status allow(struct shadow_fault *fault)
{
    const uint64_t gpa = fault->walk.translation.gpa.v;
    const bool writes = fault->access.kind == VMMU_X86_WRITE;
    enum vmmu_status status;

    if (writes && vmmu_shadow_is_protected(fault->edit, shadow_frame_of(gpa))) {
        status = let_write(fault, gpa);
        if (status != VMMU_OK || fault->verdict->answer == VMMU_SHADOW_EMULATE) {
            return status;
        }
    }
    vmmu_shadow_plan_tables(fault);
    status = vmmu_shadow_obtain_path(fault, fault->top - 1U, fault->table_level);
    if (status != VMMU_OK) {
        return status;
    }
    if (!vmmu_shadow_plan_leaf(fault)) {
        return emulate(fault, false);
    }
    if (fault->edit->state->pages[fault->root].life != SHADOW_CLOSED && !vmmu_shadow_watch(fault->edit)) {
        return VMMU_FLUSH_RETRY;
    }
    vmmu_shadow_plan_direct(fault);
    status = vmmu_shadow_obtain_path(fault, fault->table_level - 1U, fault->leaf.level);
    if (status == VMMU_OK) {
        status = vmmu_shadow_fill(fault);
    }
    fault->verdict->table_cache =
        status == VMMU_OK && fault->edit->shadow->config.heeds_table_cache && has_table_cache(fault);
    return status == VMMU_OK ? answer(fault, VMMU_SHADOW_RETRY, fault->walk.translation.gpa.v) : status;
}

/* What the walk found at @level; or NULL. */
static const struct vmmu_x86_step *step_at(const struct shadow_fault *fault, unsigned level)
{
    for (unsigned i = 0; i < fault->walk.step_count; i++) {
        if (fault->walk.steps[i].level == level) {
            return &fault->walk.steps[i];
        }
    }
    return NULL;
}

static void zap_unless_agrees(struct shadow_edit *edit, struct shadow_spot spot, uint64_t entry)
{
    if (shadow_slot_at(edit, spot)->target != SHADOW_NO_TARGET && !vmmu_shadow_agrees(edit, spot, entry)) {
        vmmu_shadow_zap(edit, spot);
    }
}

/*
 * A processor that raises a page fault keeps nothing of the address: nor do open pages keep what the walk did not find. (What
 * it found is what the fault was made from: the tables may be others again.)
 */
static void keep_nothing_stale(struct shadow_fault *fault)
{
    struct shadow_edit *const edit = fault->edit;
    struct shadow_spot spot = { .page = fault->root };

    for (unsigned level = fault->top; level > 0; level--) {
        const struct shadow_page *const page = &edit->state->pages[spot.page];
        const struct vmmu_x86_step *const step = step_at(fault, level);

        spot.index = vmmu_format_index(shadow_level(page), fault->address);
        if (step && page->life != SHADOW_CLOSED) {
            const struct shadow_spot half = { spot.page, spot.index ^ 1 };

            zap_unless_agrees(edit, spot, step->value | step->marks);
            /* The other half of a page of 4 MiB has the same address for the guest. */
            if (vmmu_shadow_entry_address(page, half.index) == vmmu_shadow_entry_address(page, spot.index)) {
                zap_unless_agrees(edit, half, step->value | step->marks);
            }
        }
        if (!shadow_is_link(shadow_slot_at(edit, spot))) {
            return;
        }
        spot.page = shadow_linked_page(shadow_slot_at(edit, spot));
    }
}

static enum vmmu_status decide(struct shadow_fault *fault)
{
    const uint8_t needed = shadow_needed_right(fault->access.kind);
    const enum vmmu_status status = walk(fault);

    switch (status) {
    case VMMU_OK: break;
    case VMMU_GUEST_FAULT:
        fault->verdict->fault = fault->walk.fault;
        fault->edit->shadow->counters.reflected++;
        keep_nothing_stale(fault);
        if (!(fault->walk.fault.error_code & VMMU_X86_PF_PRESENT)) {
            vmmu_shadow_heed_absent(fault->edit, fault->root, fault->address);
        }
        return answer(fault, VMMU_SHADOW_INJECT, 0);
    case VMMU_RACED: return answer(fault, VMMU_SHADOW_RETRY, 0);
    case VMMU_ABSENT: return no_table(fault);
    case VMMU_STAGE2:
    case VMMU_FLUSH_RETRY:
    case VMMU_NO_MEMORY:
    case VMMU_INVALID:
    case VMMU_UNSUPPORTED:
    case VMMU_VIOLATED: return status;
    }
    const uint64_t gpa = fault->walk.translation.gpa.v;

    if (vmmu_shadow_back(fault->edit, gpa, needed, &fault->backing) != VMMU_OK) {
        return answer(fault, VMMU_SHADOW_DEVICE, gpa);
    }
    if ((fault->backing.rights & needed) != needed) {
        return answer(fault, VMMU_SHADOW_DENIED, gpa);
    }
    fault->table_level =
        fault->mode->paging == VMMU_X86_PAGING_NONE ? fault->top : fault->walk.translation.level;
    return allow(fault);
}

/* The whole walk, and all that may follow from it. */
static enum vmmu_status settle(struct shadow_edit *edit, const struct shadow_vp *now, uint64_t address,
                               struct vmmu_x86_access access, struct vmmu_shadow_verdict *verdict)
{
    struct shadow_fault fault = {
        .edit = edit,
        .mode = &now->mode,
        .root = now->root,
        .top = edit->state->pages[now->root].role.level,
        .address = address,
        .access = access,
        .verdict = verdict,
    };

    fault.access.marks = VMMU_X86_MARKS_AS_IT_GOES;
    return decide(&fault);
}

struct vmmu_outcome vmmu_shadow_fault(struct vmmu_shadow *shadow, unsigned vp, vmmu_gva va,
                                      struct vmmu_x86_access access, struct vmmu_shadow_verdict *verdict)
{
    struct shadow_edit edit;
    struct shadow_vp *now;
    uint64_t address;

    if (vp >= VMMU_SHADOW_VPS || shadow->state->vps[vp].root == SHADOW_NONE) {
        return (struct vmmu_outcome){ .status = VMMU_INVALID };
    }
    if (!vmmu_shadow_begin_for(&edit, shadow, vp)) {
        return vmmu_shadow_end(&edit, VMMU_FLUSH_RETRY);
    }
    now = &shadow->state->vps[vp];
    address = now->mode.address_bits == 32 ? va.v & BITS64(31, 0) : va.v;
    *verdict = (struct vmmu_shadow_verdict){ .answer = VMMU_SHADOW_RETRY };
    shadow->state->faulted = vp;
    if (!shadow->config.heeds_table_cache &&
        vmmu_shadow_fault_quickly(&edit, now, address, access, verdict)) {
        return edit.flush_vps == 0 ? (struct vmmu_outcome){ .status = VMMU_OK }
                                   : vmmu_shadow_end(&edit, VMMU_OK);
    }
    shadow_lose_way(now);
    return vmmu_shadow_end(&edit, settle(&edit, now, address, access, verdict));
}
