/*
 * The one loop over level records.
 *
 * Each entry is loaded once, and every decision is made on that copy: the guest may be writing it right now.
 * A mark is an exchange against the copy, so that an entry that changed in between is never marked by what it
 * used to be.
 */
#include "descend.h"

/*
 * Where the second stage puts the guest entry at @address; the table is read, and is written only when it is
 * marked.
 */
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

/* Load the entry at @address and put it on the trail as descent->last. */
static enum vmmu_status fetch(struct descent *descent, uint64_t address, uint8_t entry_bytes)
{
    struct trail *trail = descent->trail;
    uint64_t place = address;
    uint8_t rights = VMMU_X86_RIGHTS_ALL;
    uint64_t value;

    if (descent->behind) {
        struct vmmu_x86_stage2_translation at;
        const enum vmmu_status status = reach(descent, address, &at);

        if (status != VMMU_OK) {
            return status;
        }
        place = at.hpa.v;
        rights = at.rights;
    }
    const enum vmmu_status status = descent->ram->load(descent->ram->context, place, entry_bytes, &value);

    if (status != VMMU_OK) {
        return status;
    }
    VMMU_ASSERT(trail->count < trail->capacity);
    struct vmmu_x86_step *step = &trail->steps[trail->count++];

    trail->loads++;
    *step = (struct vmmu_x86_step){
        .address = address,
        .place = place,
        .value = value,
        .level = descent->level,
        .entry_bytes = entry_bytes,
        .rights = rights,
        .stage = descent->stage,
    };
    descent->last = step;
    return VMMU_OK;
}

enum vmmu_status vmmu_walk_descend(struct descent *descent, uint64_t address)
{
    const struct vmmu_x86_format *format = vmmu_format_of(descent->layout);

    for (;; descent->level--) {
        const struct vmmu_x86_level *level = &format->level[descent->level];
        const uint64_t at =
            descent->table + (uint64_t)vmmu_format_index(level, address) * format->entry_bytes;
        enum vmmu_status status = fetch(descent, at, format->entry_bytes);

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
        status = vmmu_walk_mark(descent, descent->last, descent->unmarked ? 0 : level->accessed);
        if (status != VMMU_OK) {
            return status;
        }
        descent->table = vmmu_format_table(level, entry);
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

enum vmmu_status vmmu_walk_mark(const struct descent *descent, struct vmmu_x86_step *step, uint64_t bits)
{
    step->marks = bits & ~step->value;
    if (step->marks == 0 || descent->marks == VMMU_X86_MARKS_LEAVE) {
        return VMMU_OK;
    }
    if (!(step->rights & VMMU_X86_RIGHT_WRITE)) {
        return refuse_mark(descent, step);
    }
    if (descent->marks == VMMU_X86_MARKS_ON_SUCCESS) {
        return VMMU_OK;
    }
    return descent->ram->exchange(descent->ram->context, step->place, step->entry_bytes, step->value,
                                  step->value | step->marks);
}

/*
 * What stands at the place of step @index by now: one entry may serve a walk several times (a table that maps
 * itself).
 */
static uint64_t settled_value(const struct trail *trail, unsigned index)
{
    uint64_t value = trail->steps[index].value;

    for (unsigned earlier = 0; earlier < index; earlier++) {
        if (trail->steps[earlier].place == trail->steps[index].place) {
            value |= trail->steps[earlier].marks;
        }
    }
    return value;
}

enum vmmu_status vmmu_walk_settle(const struct trail *trail, const struct vmmu_ram *ram)
{
    for (unsigned i = 0; i < trail->count; i++) {
        const struct vmmu_x86_step *step = &trail->steps[i];

        if (step->marks == 0) {
            continue;
        }
        const uint64_t value = settled_value(trail, i);
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
