/*
 * From a fault back to the bits that caused it. The order of checks is the processor's: an address that is not canonical,
 * then the last entry (not present, reserved bits), and only if a leaf was found the rights of all entries together.
 */
#include "tools/walk/cause.h"

/* WALK_CAUSES_MOST holds all that one fault can have. */
static struct walk_cause *add_cause(struct walk_model *model, enum walk_reason reason, int entry,
                                    uint64_t bits)
{
    struct walk_cause *cause = &model->causes[model->cause_count];

    if (model->cause_count + 1 < WALK_CAUSES_MOST) {
        model->cause_count++;
    }
    *cause = (struct walk_cause){ .reason = reason, .entry = entry, .bits = bits };
    return cause;
}

static int last_entry(const struct walk_model *model)
{
    return (int)model->entry_count - 1;
}

/* Bits from the highest that is translated upwards have to be alike. */
static void blame_address(struct walk_model *model)
{
    add_cause(model, WALK_NOT_CANONICAL, -1, BITS64(63, model->mode.address_bits - 1U));
}

/* One reason for each entry that withholds @right, of those that serve one descent: from @first on, of @stage. */
static void blame_rights(struct walk_model *model, int first, uint8_t right, uint64_t bits,
                         enum walk_reason reason)
{
    const bool second = first >= 0 && model->entries[first].step.stage == VMMU_X86_STAGE_SECOND;

    for (int i = first; i >= 0 && i < (int)model->entry_count; i++) {
        const struct walk_entry *entry = &model->entries[i];

        if ((entry->step.stage == VMMU_X86_STAGE_SECOND) == second && (entry->refuses & right) != 0) {
            add_cause(model, reason, i, bits);
        }
    }
}

/* The first entry of the guest's own; -1 if there is none. */
static int first_of_guest(const struct walk_model *model)
{
    for (int i = 0; i < (int)model->entry_count; i++) {
        if (model->entries[i].step.stage != VMMU_X86_STAGE_SECOND) {
            return i;
        }
    }
    return -1;
}

static void blame_guest_rights(struct walk_model *model)
{
    const struct vmmu_x86_format *format = vmmu_format_of(&model->mode.layout);
    const struct vmmu_x86_access access = model->access;
    const bool user = access.user && !access.implicit;
    const bool user_page = (model->guest.rights & VMMU_X86_RIGHT_USER) != 0;
    const bool fetch = access.kind == VMMU_X86_EXECUTE;
    const int first = first_of_guest(model);

    if (user) {
        blame_rights(model, first, VMMU_X86_RIGHT_USER, format->user, WALK_USER);
    }
    if (access.kind == VMMU_X86_WRITE && (user || model->mode.write_protect)) {
        blame_rights(model, first, VMMU_X86_RIGHT_WRITE, format->write, WALK_WRITE);
    }
    if (fetch) {
        blame_rights(model, first, VMMU_X86_RIGHT_EXECUTE, format->execute, WALK_EXECUTE);
    }
    if (!user && user_page && fetch && model->mode.smep) {
        add_cause(model, WALK_SMEP, last_entry(model), format->user);
    }
    if (!user && user_page && !fetch && model->mode.smap && (access.implicit || !access.eflags_ac)) {
        add_cause(model, WALK_SMAP, last_entry(model), format->user);
    }
    if ((model->fault.error_code & VMMU_X86_PF_KEY) != 0) {
        add_cause(model, WALK_KEY, last_entry(model), format->key);
    }
}

static void blame_guest(struct walk_model *model)
{
    const int last = last_entry(model);

    if (model->fault.vector != VMMU_X86_VECTOR_PF) {
        blame_address(model);
    } else if (last >= 0 && !model->entries[last].present) {
        add_cause(model, WALK_NOT_PRESENT, last, vmmu_format_of(&model->mode.layout)->present);
    } else if (last >= 0 && model->entries[last].reserved != 0) {
        add_cause(model, WALK_RESERVED, last, model->entries[last].reserved);
    } else {
        blame_guest_rights(model);
    }
}

/* What an EPT misconfiguration consists of: reserved bits, rights that cannot be together, a type that is none. */
static void blame_configuration(struct walk_model *model, int last)
{
    const struct vmmu_x86_layout *layout = &model->second.layout;
    const struct vmmu_x86_format *format = vmmu_format_of(layout);
    const struct walk_entry *entry = &model->entries[last];
    const uint64_t rights = vmmu_format_rights_mask(format);
    const unsigned type = vmmu_format_memory_type(format, entry->step.value);

    if (entry->reserved != 0) {
        add_cause(model, WALK_RESERVED, last, entry->reserved);
    }
    if (((layout->rights_refused >> (entry->step.value & rights)) & 1) != 0) {
        add_cause(model, WALK_MISCONFIGURED, last, rights);
    }
    if (entry->leaf && ((layout->types_refused >> type) & 1) != 0) {
        add_cause(model, WALK_MISCONFIGURED, last, format->memory_type);
    }
}

static void blame_second_rights(struct walk_model *model, int last)
{
    const struct vmmu_x86_format *format = vmmu_format_of(&model->second.layout);
    const struct vmmu_x86_stage2_access access = model->stage2_fault.access;
    const bool written =
        access.kind == VMMU_X86_WRITE || (access.guest_table && model->second.tables_as_written);
    int first = last;

    while (first > 0 && model->entries[first - 1].step.stage == VMMU_X86_STAGE_SECOND) {
        first--;
    }
    if (model->second.kind == VMMU_X86_STAGE2_NPT) {
        blame_rights(model, first, VMMU_X86_RIGHT_USER, format->user, WALK_USER);
    }
    if (written) {
        blame_rights(model, first, VMMU_X86_RIGHT_WRITE, format->write, WALK_WRITE);
    } else if (access.kind == VMMU_X86_EXECUTE) {
        blame_rights(model, first, VMMU_X86_RIGHT_EXECUTE, format->execute, WALK_EXECUTE);
    } else {
        blame_rights(model, first, VMMU_X86_RIGHT_READ, format->read, WALK_READ);
    }
}

static void blame_second(struct walk_model *model)
{
    const struct vmmu_x86_format *format = vmmu_format_of(&model->second.layout);
    const int last = last_entry(model);

    if (!vmmu_format_reaches(format, model->stage2_fault.gpa.v) || last < 0) {
        add_cause(model, WALK_TOO_WIDE, -1, 0)->address = model->stage2_fault.gpa.v;
        return;
    }
    switch (model->stage2_fault.reason) {
    case VMMU_X86_STAGE2_NOT_PRESENT: add_cause(model, WALK_NOT_PRESENT, last, format->present); break;
    case VMMU_X86_STAGE2_RESERVED:
        add_cause(model, WALK_RESERVED, last, model->entries[last].reserved);
        break;
    case VMMU_X86_STAGE2_MISCONFIGURED: blame_configuration(model, last); break;
    case VMMU_X86_STAGE2_RIGHTS: blame_second_rights(model, last); break;
    }
}

/* Where the entry of @layout's tables would be that translates @address, if @entry points to its table. */
static uint64_t entry_address(const struct vmmu_x86_layout *layout, uint64_t table, unsigned level_number,
                              uint64_t address)
{
    const struct vmmu_x86_format *format = vmmu_format_of(layout);
    const struct vmmu_x86_level *level = &format->level[level_number];

    return table + (uint64_t)vmmu_format_index(level, address) * format->entry_bytes;
}

/* The guest-physical address that the walk was about to use: of the guest's next entry, or of the page. */
static uint64_t guest_next(const struct walk_model *model)
{
    const struct vmmu_x86_layout *layout = &model->mode.layout;
    const struct vmmu_x86_format *format = vmmu_format_of(layout);

    if (model->mode.paging == VMMU_X86_PAGING_NONE) {
        return model->va & BITS64(31, 0);
    }
    for (int i = last_entry(model); i >= 0; i--) {
        const struct walk_entry *entry = &model->entries[i];

        if (entry->step.stage != VMMU_X86_STAGE_SECOND) {
            const struct vmmu_x86_level *level = &format->level[entry->step.level];

            return entry->leaf ? entry->target | (model->va & (vmmu_format_level_bytes(level) - 1))
                               : entry_address(layout, entry->target, entry->step.level - 1U, model->va);
        }
    }
    return entry_address(layout, model->mode.root.v, format->levels, model->va);
}

/* The entry that the image does not have. */
static void blame_image(struct walk_model *model)
{
    const struct vmmu_x86_layout *layout = &model->second.layout;
    const uint64_t next = guest_next(model);
    const int last = last_entry(model);
    const struct walk_entry *entry = last >= 0 ? &model->entries[last] : NULL;
    uint64_t address = next;

    if (model->two_dimensional && entry && entry->step.stage == VMMU_X86_STAGE_SECOND) {
        const struct vmmu_x86_level *level = &vmmu_format_of(layout)->level[entry->step.level];

        address = entry->leaf ? entry->target | (next & (vmmu_format_level_bytes(level) - 1))
                              : entry_address(layout, entry->target, entry->step.level - 1U, next);
    } else if (model->two_dimensional) {
        address = entry_address(layout, model->second.root.v, vmmu_format_of(layout)->levels, next);
    }
    add_cause(model, WALK_ABSENT, last, 0)->address = address;
}

void walk_find_causes(struct walk_model *model)
{
    if (model->status == VMMU_GUEST_FAULT) {
        blame_guest(model);
    } else if (model->status == VMMU_STAGE2) {
        blame_second(model);
    } else if (model->status != VMMU_OK) {
        blame_image(model);
    }
}

const char *walk_reserved_words(const struct walk_model *model, const struct walk_entry *entry)
{
    const bool second = entry->step.stage == VMMU_X86_STAGE_SECOND;
    const struct vmmu_x86_layout *layout = second ? &model->second.layout : &model->mode.layout;
    const struct vmmu_x86_format *format = vmmu_format_of(layout);
    const struct vmmu_x86_level *level = &format->level[entry->step.level];
    const uint64_t addresses = entry->leaf ? level->frame_mask | level->high_mask : level->table_mask;

    if ((entry->reserved & level->implied) != 0) {
        return "a PDPTE of PAE paging has no rights";
    }
    if ((entry->reserved & format->inverted) != 0) {
        return second ? "NX without the host's EFER.NXE" : "XD without EFER.NXE";
    }
    if ((entry->reserved & addresses) != 0) {
        return "address bits that the processor does not have";
    }
    if ((entry->reserved & format->large) != 0) {
        return "no page of this size here";
    }
    return entry->leaf && level->shift > 12 ? "the page is not aligned to its size"
                                            : "reserved in this format";
}
