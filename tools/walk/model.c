/*
 * From a walk of the library's to the model of it. The walk with the access asked for gives the entries and the fault; a
 * second one, which no right can stop, finds what the page is like for every other access.
 */
#include "tools/walk/model.h"

#include <string.h>

#include "tools/walk/cause.h"

/*
 * Rows: what the MTRRs or an EPT leaf say; columns: the PAT.
 * SDM 3A "Selecting Memory Types for Pentium III and More Recent Processor Families".
 */
unsigned walk_combined_type(unsigned pat_type, unsigned range_type)
{
    enum { UC = VMMU_X86_TYPE_UC, WC = VMMU_X86_TYPE_WC, WT = VMMU_X86_TYPE_WT, WP = VMMU_X86_TYPE_WP };
    enum { WB = VMMU_X86_TYPE_WB, UC_MINUS = VMMU_X86_TYPE_UC_MINUS };
    static const uint8_t types[8][8] = {
        [UC] = { [UC] = UC, [UC_MINUS] = UC, [WC] = WC, [WT] = UC, [WB] = UC, [WP] = UC },
        [WC] = { [UC] = UC, [UC_MINUS] = WC, [WC] = WC, [WT] = UC, [WB] = WC, [WP] = UC },
        [WT] = { [UC] = UC, [UC_MINUS] = UC, [WC] = WC, [WT] = WT, [WB] = WT, [WP] = WP },
        [WP] = { [UC] = UC, [UC_MINUS] = WC, [WC] = WC, [WT] = WT, [WB] = WP, [WP] = WP },
        [WB] = { [UC] = UC, [UC_MINUS] = UC, [WC] = WC, [WT] = WT, [WB] = WB, [WP] = WP },
    };

    return types[range_type & 7][pat_type & 7];
}

/*
 * What every kind of access would get at a page with @rights and protection key @key: 0, or the error code of the page
 * fault.
 */
static void list_errors(const struct vmmu_x86_mode *mode, uint8_t rights, unsigned key,
                        uint32_t errors[WALK_SUBJECTS][WALK_KINDS])
{
    for (unsigned subject = 0; subject < WALK_SUBJECTS; subject++) {
        for (unsigned kind = 0; kind < WALK_KINDS; kind++) {
            const struct vmmu_x86_access access = {
                .kind = (enum vmmu_x86_access_kind)kind,
                .user = subject == WALK_AS_USER,
                .implicit = subject == WALK_AS_IMPLICIT,
                .eflags_ac = subject == WALK_AS_SUPERVISOR_AC,
            };

            errors[subject][kind] = vmmu_walk_judge(mode, access, rights, key);
        }
    }
}

static const struct vmmu_x86_layout *layout_of(const struct walk_model *model, enum vmmu_x86_stage stage)
{
    return stage == VMMU_X86_STAGE_SECOND ? &model->second.layout : &model->mode.layout;
}

static void add_entry(struct walk_model *model, const struct vmmu_x86_step *step, unsigned number,
                      unsigned row)
{
    const struct vmmu_x86_layout *layout = layout_of(model, step->stage);
    const struct vmmu_x86_format *format = vmmu_format_of(layout);
    const struct vmmu_x86_level *level = &format->level[step->level];
    struct walk_entry *entry = &model->entries[model->entry_count++];

    *entry = (struct walk_entry){
        .step = *step,
        .format = layout->format,
        .number = number,
        .row = row,
        .present = vmmu_format_is_present(format, step->value),
        .leaf = vmmu_format_is_leaf(level, step->value),
    };
    if (!entry->present) {
        return;
    }
    const uint64_t grants = vmmu_format_grants(format, level, step->value);

    entry->reserved = step->value & layout->reserved[step->level][entry->leaf];
    entry->target =
        entry->leaf ? vmmu_format_frame(level, step->value) : vmmu_format_table(level, step->value);
    entry->refuses = (uint8_t)(VMMU_X86_RIGHTS_ALL & ~vmmu_format_rights(format, grants));
}

/* Each guest entry ends the row of references that it took to reach it. */
static void add_entries(struct walk_model *model, const struct vmmu_x86_step *steps, unsigned count)
{
    const bool paging = model->mode.paging != VMMU_X86_PAGING_NONE;
    unsigned row = paging ? vmmu_format_of(&model->mode.layout)->levels : 0;

    for (unsigned i = 0; i < count; i++) {
        const bool in_memory = steps[i].stage != VMMU_X86_STAGE_REGISTER;

        if (in_memory) {
            model->loads++;
        }
        add_entry(model, &steps[i], in_memory ? model->loads : 0, row);
        if (steps[i].stage != VMMU_X86_STAGE_SECOND) {
            row = model->entries[i].leaf ? 0 : row - 1;
        }
    }
}

static void walk_one_stage(const struct machine *machine, struct walk_model *model)
{
    const struct vmmu_x86_mode open = vmmu_mode_open(&model->mode);
    const struct vmmu_x86_access any = { .kind = VMMU_X86_READ };
    struct vmmu_x86_walk_result result = { 0 };

    model->translates = vmmu_x86_walk(&open, machine->ram, (vmmu_gva){ model->va }, any, &result) == VMMU_OK;
    model->guest = result.translation;
    result = (struct vmmu_x86_walk_result){ 0 };
    model->status =
        vmmu_x86_walk(&model->mode, machine->ram, (vmmu_gva){ model->va }, model->access, &result);
    model->fault = result.fault;
    add_entries(model, result.steps, result.step_count);
}

static void walk_two_stages(struct walk_model *model)
{
    const struct vmmu_x86_mode open = vmmu_mode_open(&model->mode);
    const struct vmmu_x86_access any = { .kind = VMMU_X86_READ };
    const vmmu_gva va = { model->va };
    struct vmmu_x86_nested_result result = { 0 };
    const enum vmmu_status status = vmmu_x86_walk_nested(&open, &model->second, va, any, &result);

    model->translates =
        status == VMMU_OK || (status == VMMU_STAGE2 && !result.stage2_fault.access.guest_table);
    model->guest = result.guest;
    result = (struct vmmu_x86_nested_result){ 0 };
    model->status = vmmu_x86_walk_nested(&model->mode, &model->second, va, model->access, &result);
    model->host = result.host;
    model->fault = result.fault;
    model->stage2_fault = result.stage2_fault;
    add_entries(model, result.steps, result.step_count);
}

/* SDM 3C "EPT and Memory Typing", for the PAT's part of it while paging is off, and for CR0.CD. */
static void find_types(const struct machine *machine, struct walk_model *model)
{
    const bool paging = model->mode.paging != VMMU_X86_PAGING_NONE;

    model->pat_known = machine->pat_known;
    model->guest_type = paging ? vmmu_x86_pat_type(machine->pat, model->guest.pat_index) : VMMU_X86_TYPE_WB;
    model->type = model->guest_type;
    model->uncached = (machine->registers.cr0 & VMMU_X86_CR0_CD) != 0;
    if (model->uncached) {
        model->type = VMMU_X86_TYPE_UC;
        return;
    }
    if (!model->two_dimensional || model->status != VMMU_OK) {
        return;
    }
    if (model->second.kind == VMMU_X86_STAGE2_EPT) {
        model->second_type = model->host.memory_type;
        model->type = model->host.ignore_pat ? model->second_type
                                             : walk_combined_type(model->guest_type, model->second_type);
        return;
    }
    /* The host's own PAT: it is in no image, and every hypervisor leaves entry 0 as it is reset. */
    model->second_type = vmmu_x86_pat_type(VMMU_X86_PAT_AT_RESET, model->host.pat_index);
    if (model->second_type != VMMU_X86_TYPE_WB) {
        model->type = WALK_TYPE_OPEN;
    }
}

void walk_make(const struct machine *machine, uint64_t va, struct vmmu_x86_access access,
               struct walk_model *model)
{
    memset(model, 0, sizeof(*model));
    model->va = va;
    model->access = access;
    model->mode = machine->mode;
    if (machine->has_second) {
        model->two_dimensional = true;
        model->second = machine->second;
        walk_two_stages(model);
    } else {
        walk_one_stage(machine, model);
    }
    if (model->translates) {
        list_errors(&model->mode, model->guest.rights, model->guest.key, model->errors);
        find_types(machine, model);
    }
    walk_find_causes(model);
}

bool walk_row_address(const struct walk_model *model, unsigned row, uint64_t *gpa)
{
    if (row == 0 && model->translates) {
        *gpa = model->guest.gpa.v;
        return true;
    }
    for (unsigned i = 0; i < model->entry_count; i++) {
        const struct walk_entry *entry = &model->entries[i];

        if (entry->row == row && entry->step.stage == VMMU_X86_STAGE_GUEST) {
            *gpa = entry->step.address;
            return true;
        }
    }
    /* The second stage refused it. */
    *gpa = model->stage2_fault.gpa.v;
    return model->status == VMMU_STAGE2 && model->entry_count > 0 &&
           model->entries[model->entry_count - 1].row == row;
}
