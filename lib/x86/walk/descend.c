/*
 * The one loop over level records.
 *
 * Each entry is loaded once, and every decision is made on that copy: the guest may be writing it
 * right now. A mark is an exchange against the copy, so that an entry that changed in between is never
 * marked by what it used to be.
 */
#include "descend.h"

/* Where the second stage puts the guest entry at @address. The table is read; marking it is a write. */
static enum vmmu_status reach(const struct descent *descent, uint64_t address,
                              struct vmmu_x86_stage2_translation *at)
{
    const struct second_walk walk = {
        .stage2 = descent->behind,
        .trail = descent->trail,
        .access = { .kind = VMMU_X86_READ, .marks = descent->marks, .guest_table = true },
        .linear = true,
        .translation = at,
        .fault = descent->refusal,
    };

    return vmmu_walk_second(&walk, (vmmu_gpa){ address });
}

/* Put the entry at @address, which is loaded from @place, on the trail. */
static inline enum vmmu_status fetch(struct descent *descent, uint64_t address, uint64_t place,
                                     uint8_t rights)
{
    const struct vmmu_ram *ram = descent->ram;
    struct vmmu_x86_step *step = descent->trail->next;

    VMMU_ASSERT(step < descent->trail->end);
    const enum vmmu_status status = ram->load(ram->context, place, descent->entry_bytes, &step->value);

    if (status == VMMU_OK) {
        step->address = address;
        step->place = place;
        step->marks = 0;
        step->level = descent->level;
        step->entry_bytes = descent->entry_bytes;
        step->rights = rights;
        step->stage = descent->stage;
        descent->last = step;
        descent->trail->next = step + 1;
    }
    return status;
}

/* The same, through the second stage if there is one behind. */
static inline enum vmmu_status reach_and_fetch(struct descent *descent, uint64_t address)
{
    struct vmmu_x86_stage2_translation at;

    if (!descent->behind) {
        return fetch(descent, address, address, VMMU_X86_RIGHTS_ALL);
    }
    const enum vmmu_status status = reach(descent, address, &at);

    return status == VMMU_OK ? fetch(descent, address, at.hpa.v, at.rights) : status;
}

enum vmmu_status vmmu_walk_descend(struct descent *descent, uint64_t address)
{
    const struct vmmu_x86_format *format = vmmu_format_of(descent->layout);
    const struct vmmu_x86_level *level = &format->level[descent->level];
    uint64_t table = descent->table;

    descent->entry_bytes = format->entry_bytes;
    for (;; descent->level--, level--) {
        const uint64_t at = table + (uint64_t)vmmu_format_index(level, address) * format->entry_bytes;
        enum vmmu_status status = reach_and_fetch(descent, at);

        if (status != VMMU_OK) {
            return status;
        }
        const uint64_t entry = descent->last->value;
        const bool leaf = vmmu_format_is_leaf(level, entry);

        if (!vmmu_format_is_present(format, entry)) {
            return VMMU_GUEST_FAULT;
        }
        if (vmmu_format_is_refused(descent->layout, descent->level, leaf, entry)) {
            descent->refused = true;
            return VMMU_GUEST_FAULT;
        }
        descent->grants &= vmmu_format_grants(format, level, entry);
        if (leaf) {
            return VMMU_OK;
        }
        if ((level->accessed & ~entry) != 0) {
            status = vmmu_walk_mark(descent, descent->last, level->accessed);
            if (status != VMMU_OK) {
                return status;
            }
        }
        table = vmmu_format_table(level, entry);
    }
}

/* The mark of a guest's entry is a write of its table, which the second stage forbids. */
static enum vmmu_status refuse_mark(const struct descent *descent, const struct vmmu_x86_step *step)
{
    *descent->refusal = (struct vmmu_x86_stage2_fault){
        .reason = VMMU_X86_STAGE2_RIGHTS,
        .access = { .kind = VMMU_X86_WRITE, .marks = descent->marks, .guest_table = true },
        .level = step[-1].level, /* the leaf of the second stage, just before it on the trail */
        .rights = step->rights,
    };
    vmmu_walk_refuse(descent->behind, (vmmu_gpa){ step->address }, true, descent->refusal);
    return VMMU_STAGE2;
}

/*
 * What stands at the place of @step by now: one entry may serve a walk several times (a table that maps
 * itself; the second stage's tables), and an entry of eight bytes of one stage may hold two of the other's.
 */
static uint64_t settled_value(const struct trail *trail, const struct vmmu_x86_step *step)
{
    uint64_t value = step->value;

    for (const struct vmmu_x86_step *earlier = trail->first; earlier < step; earlier++) {
        if (earlier->place == step->place) {
            value |= earlier->marks;
        } else if (step->entry_bytes == 8 && earlier->place == step->place + 4) {
            value |= earlier->marks << 32;
        }
    }
    return value;
}

/* Whether a processor would have set what @step lacks before it came to it: by another address of the table. */
static bool is_marked_before(const struct trail *trail, const struct vmmu_x86_step *step)
{
    return (step->marks & ~settled_value(trail, step)) == 0;
}

enum vmmu_status vmmu_walk_mark(const struct descent *descent, struct vmmu_x86_step *step, uint64_t bits)
{
    step->marks = descent->unmarked ? 0 : bits & ~step->value;
    if (step->marks == 0 || descent->marks == VMMU_X86_MARKS_LEAVE) {
        return VMMU_OK;
    }
    if (!(step->rights & VMMU_X86_RIGHT_WRITE) &&
        !(descent->marks == VMMU_X86_MARKS_ON_SUCCESS && is_marked_before(descent->trail, step))) {
        return refuse_mark(descent, step);
    }
    if (descent->marks == VMMU_X86_MARKS_ON_SUCCESS) {
        return VMMU_OK;
    }
    return descent->ram->exchange(descent->ram->context, step->place, step->entry_bytes, step->value,
                                  step->value | step->marks);
}

enum vmmu_status vmmu_walk_settle(const struct trail *trail, const struct vmmu_ram *ram)
{
    for (const struct vmmu_x86_step *step = trail->first; step < trail->next; step++) {
        const uint64_t value = step->marks == 0 ? step->value : settled_value(trail, step);
        const uint64_t marked = value | step->marks;
        const enum vmmu_status status =
            marked == value ? VMMU_OK
                            : ram->exchange(ram->context, step->place, step->entry_bytes, value, marked);

        if (status != VMMU_OK) {
            return status;
        }
    }
    return VMMU_OK;
}
