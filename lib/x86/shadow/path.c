/*
 * The way from the root to a leaf: which shadow pages and which leaf a walk of the guest's tables calls for.
 *
 * Decided from the copies of the guest's entries that the walk took, and from nothing else. Levels of shadows are those of
 * the guest's tables; those of 32-bit paging have twice as many entries, and are cut into quadrants.
 */
#include "lib/x86/shadow/fault.h"

/* Which part of a table of 32-bit paging translates @address: of 1 GiB at level 2, of 2 MiB at level 1. */
static uint8_t quadrant_of(const struct vmmu_x86_mode *mode, unsigned level, uint64_t address)
{
    if (mode->paging != VMMU_X86_PAGING_32BIT) {
        return 0;
    }
    return (uint8_t)(level == 2 ? address / shadow_bytes(3) : (address / shadow_bytes(2)) & 1);
}

void vmmu_shadow_plan_tables(struct shadow_fault *fault)
{
    const struct vmmu_x86_mode *const mode = fault->mode;
    const struct vmmu_x86_format *const format = vmmu_format_of(&mode->layout);
    uint64_t grants = ~UINT64_C(0);

    for (unsigned i = 0; i < fault->walk.step_count; i++) {
        const struct vmmu_x86_step *const step = &fault->walk.steps[i];

        if (step->level < fault->top) {
            struct shadow_stop *const stop = &fault->path[step->level];

            stop->wanted = true;
            stop->frame = shadow_frame_of(step->address);
            stop->role =
                vmmu_shadow_table_role(fault->edit, mode, step->level, vmmu_format_rights(format, grants));
            stop->role.quadrant = quadrant_of(mode, step->level, fault->address);
        }
        fault->entries[step->level] = step->value | step->marks;
        grants &= vmmu_format_grants(format, &format->level[step->level], step->value);
    }
}

/* --- the leaf --- */

/* Whether what the hardware judges a leaf with @rights by, CR0.WP set, lets the access through. */
static bool passes(const struct shadow_fault *fault, uint8_t rights)
{
    struct vmmu_x86_mode hardware = *fault->mode;

    hardware.write_protect = true;
    return vmmu_walk_judge(&hardware, fault->access, rights, fault->walk.translation.key) == 0;
}

/*
 * Without CR0.WP, a supervisor writes a user's page that is read-only: let it, by a leaf that is no user's for the while.
 * Whoever comes as a user faults, and gets the other leaf back.
 */
static bool lend_to_supervisor(struct shadow_fault *fault, uint8_t *rights)
{
    const uint64_t frame = shadow_frame_of(fault->walk.translation.gpa.v);
    const uint8_t lax = vmmu_shadow_table_role(fault->edit, fault->mode, 1, 0).lax;

    if ((lax & SHADOW_LAX_USER) && fault->edit->state->excused != frame) {
        return false;
    }
    *rights = (uint8_t)((*rights | VMMU_X86_RIGHT_WRITE) & ~VMMU_X86_RIGHT_USER);
    if (lax & SHADOW_LAX_SMEP) {
        *rights &= (uint8_t)~VMMU_X86_RIGHT_EXECUTE;
    }
    return true;
}

/* The largest level that page, backing and format have, and that maps no table that it lets be written. */
static uint8_t largest_level(const struct shadow_fault *fault, uint8_t rights)
{
    const uint64_t gpa = fault->walk.translation.gpa.v;
    uint8_t level = fault->edit->shadow->config.largest_level;

    level = level < fault->top ? level : fault->top - 1;
    for (; level > 1; level--) {
        const uint64_t bytes = shadow_bytes(level);

        if (fault->walk.translation.page_bytes >= bytes && fault->backing.size_bytes >= bytes &&
            !((rights & VMMU_X86_RIGHT_WRITE) &&
              *vmmu_shadow_region_count(fault->edit->state, gpa, level) != 0)) {
            break;
        }
    }
    return level;
}

/* What the guest's own leaf allows, wherever that is. */
static struct shadow_leaf guest_leaf(const struct shadow_fault *fault)
{
    const unsigned level = fault->table_level;
    const uint32_t table = level == fault->top ? fault->root : fault->path[level].page;

    if (fault->mode->paging == VMMU_X86_PAGING_NONE) {
        return vmmu_shadow_flat(&fault->edit->shadow->config);
    }
    return vmmu_shadow_guest_leaf(&fault->edit->shadow->config, &fault->edit->state->pages[table].role,
                                  fault->entries[level]);
}

bool vmmu_shadow_plan_leaf(struct shadow_fault *fault)
{
    const uint64_t gpa = fault->walk.translation.gpa.v;
    const uint64_t inside = gpa & (fault->backing.size_bytes - 1);
    struct shadow_leaf *const leaf = &fault->leaf;
    bool lets = true;

    fault->guest_leaf = guest_leaf(fault);
    *leaf = fault->guest_leaf;
    /* What pages that piece a large one together are told apart by. */
    for (unsigned level = 0; level <= SHADOW_LEVELS && level < fault->table_level; level++) {
        fault->path[level].role = vmmu_shadow_direct_role(fault->edit, fault->mode, level, leaf);
    }
    if (!fault->mode->write_protect && !passes(fault, leaf->rights)) {
        lets = lend_to_supervisor(fault, &leaf->rights) && passes(fault, leaf->rights);
    }
    leaf->rights &= fault->backing.rights | VMMU_X86_RIGHT_USER;
    leaf->level = largest_level(fault, leaf->rights);
    if ((leaf->rights & VMMU_X86_RIGHT_WRITE) &&
        vmmu_shadow_is_protected(fault->edit, shadow_frame_of(gpa))) {
        leaf->rights &= (uint8_t)~VMMU_X86_RIGHT_WRITE;
        leaf->held = leaf->level == 1;
    }
    leaf->type = vmmu_shadow_combine(leaf->type, fault->backing.type);
    leaf->hpa = (fault->backing.frame.v + inside) & ~(shadow_bytes(leaf->level) - 1);
    return lets;
}

void vmmu_shadow_plan_direct(struct shadow_fault *fault)
{
    const uint64_t gpa = fault->walk.translation.gpa.v;

    for (unsigned level = fault->leaf.level; level < fault->table_level; level++) {
        struct shadow_stop *const stop = &fault->path[level];

        stop->wanted = true;
        stop->frame = gpa & ~(shadow_bytes(level + 1) - 1);
    }
}
