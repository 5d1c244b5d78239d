/*
 * The second stage: nested page tables of AMD, extended page tables of Intel.
 *
 * To NPT every access is a user's, and one to a guest table also a write; CR0.WP, SMEP and SMAP of the host
 * have no say. EPT knows no user; an access to a guest table is a write only where its accessed and dirty
 * flags are enabled.
 */
#include "descend.h"

enum vmmu_status vmmu_stage2_npt(enum vmmu_x86_format_name format, const struct vmmu_x86_limits *limits,
                                 const struct vmmu_ram *ram, vmmu_hpa root, struct vmmu_x86_stage2 *out)
{
    struct vmmu_x86_layout layout;

    if (format >= VMMU_X86_FORMAT_EPT4 || vmmu_format_layout(format, limits, &layout) != VMMU_OK) {
        return VMMU_INVALID;
    }
    const bool narrow = format <= VMMU_X86_FORMAT_PAE;
    const uint64_t alignment = format == VMMU_X86_FORMAT_PAE ? 32 : VMMU_PAGE_BYTES;
    const uint64_t beyond = ~BITS64(narrow ? 31 : limits->physical_bits - 1, 0);

    if (!vmmu_is_aligned(root.v, alignment) || (root.v & beyond) != 0) {
        return VMMU_INVALID;
    }
    *out = (struct vmmu_x86_stage2){
        .kind = VMMU_X86_STAGE2_NPT,
        .tables_as_written = true,
        .accessed_dirty = true,
        .fetch_code = limits->nx && vmmu_x86_formats[format].execute != 0,
        .root = root,
        .ram = ram,
        .layout = layout,
    };
    return VMMU_OK;
}

#define EPTP_TYPE           BITS64(2, 0)
#define EPTP_LENGTH         BITS64(5, 3) /* of a walk, less one */
#define EPTP_LENGTH_4       (UINT64_C(3) * BIT64(3))
#define EPTP_LENGTH_5       (UINT64_C(4) * BIT64(3))
#define EPTP_ACCESSED_DIRTY BIT64(6)
#define EPTP_RESERVED       (BITS64(11, 7) | BITS64(63, 52))
#define EPTP_ROOT           BITS64(51, 12)

enum vmmu_status vmmu_stage2_ept(uint64_t eptp, const struct vmmu_x86_limits *limits,
                                 const struct vmmu_ram *ram, struct vmmu_x86_stage2 *out)
{
    const uint64_t type = eptp & EPTP_TYPE;
    const uint64_t length = eptp & EPTP_LENGTH;
    struct vmmu_x86_layout layout;

    if ((type != VMMU_X86_TYPE_UC && type != VMMU_X86_TYPE_WB) || (eptp & EPTP_RESERVED) != 0) {
        return VMMU_INVALID;
    }
    if (length != EPTP_LENGTH_4 && length != EPTP_LENGTH_5) {
        return VMMU_INVALID;
    }
    if (vmmu_format_layout(length == EPTP_LENGTH_4 ? VMMU_X86_FORMAT_EPT4 : VMMU_X86_FORMAT_EPT5, limits,
                           &layout) != VMMU_OK ||
        (eptp & EPTP_ROOT & ~BITS64(limits->physical_bits - 1, 0)) != 0) {
        return VMMU_INVALID;
    }
    *out = (struct vmmu_x86_stage2){
        .kind = VMMU_X86_STAGE2_EPT,
        .tables_as_written = (eptp & EPTP_ACCESSED_DIRTY) != 0,
        .accessed_dirty = (eptp & EPTP_ACCESSED_DIRTY) != 0,
        .root = { eptp & EPTP_ROOT },
        .ram = ram,
        .layout = layout,
    };
    return VMMU_OK;
}

/* What the second stage takes the access for. */
static enum vmmu_x86_access_kind effective_kind(const struct vmmu_x86_stage2 *stage2,
                                                struct vmmu_x86_stage2_access access)
{
    return access.guest_table && stage2->tables_as_written ? VMMU_X86_WRITE : access.kind;
}

static uint8_t required_rights(const struct vmmu_x86_stage2 *stage2, enum vmmu_x86_access_kind kind)
{
    static const uint8_t of_kind[] = {
        [VMMU_X86_READ] = VMMU_X86_RIGHT_READ,
        [VMMU_X86_WRITE] = VMMU_X86_RIGHT_WRITE,
        [VMMU_X86_EXECUTE] = VMMU_X86_RIGHT_EXECUTE,
    };

    return (uint8_t)(of_kind[kind] | (stage2->kind == VMMU_X86_STAGE2_NPT ? VMMU_X86_RIGHT_USER : 0));
}

static uint64_t npf_information(const struct vmmu_x86_stage2 *stage2,
                                const struct vmmu_x86_stage2_fault *fault)
{
    const enum vmmu_x86_access_kind kind = effective_kind(stage2, fault->access);

    return VMMU_X86_PF_USER | (kind == VMMU_X86_WRITE ? VMMU_X86_PF_WRITE : 0) |
           (kind == VMMU_X86_EXECUTE && stage2->fetch_code ? VMMU_X86_PF_FETCH : 0) |
           (fault->reason != VMMU_X86_STAGE2_NOT_PRESENT ? VMMU_X86_PF_PRESENT : 0) |
           (fault->reason == VMMU_X86_STAGE2_RESERVED ? VMMU_X86_PF_RESERVED : 0) |
           (fault->access.guest_table ? VMMU_X86_NPF_GUEST_TABLE : VMMU_X86_NPF_FINAL);
}

static uint64_t ept_qualification(const struct vmmu_x86_stage2 *stage2,
                                  const struct vmmu_x86_stage2_fault *fault, bool linear)
{
    static const uint64_t of_kind[] = {
        [VMMU_X86_READ] = VMMU_X86_EPT_VIOLATION_READ,
        [VMMU_X86_WRITE] = VMMU_X86_EPT_VIOLATION_WRITE,
        [VMMU_X86_EXECUTE] = VMMU_X86_EPT_VIOLATION_FETCH,
    };
    const uint64_t known =
        VMMU_X86_EPT_VIOLATION_LINEAR | (fault->access.guest_table ? 0 : VMMU_X86_EPT_VIOLATION_FINAL);

    /* A table that is read as if written is both. */
    return of_kind[fault->access.kind] | of_kind[effective_kind(stage2, fault->access)] |
           ((fault->rights & VMMU_X86_RIGHT_READ) ? VMMU_X86_EPT_VIOLATION_READABLE : 0) |
           ((fault->rights & VMMU_X86_RIGHT_WRITE) ? VMMU_X86_EPT_VIOLATION_WRITABLE : 0) |
           ((fault->rights & VMMU_X86_RIGHT_EXECUTE) ? VMMU_X86_EPT_VIOLATION_EXECUTABLE : 0) |
           (linear ? known : 0);
}

void vmmu_walk_refuse(const struct vmmu_x86_stage2 *stage2, vmmu_gpa gpa, bool linear,
                      struct vmmu_x86_stage2_fault *fault)
{
    fault->gpa = gpa;
    if (stage2->kind == VMMU_X86_STAGE2_NPT) {
        fault->exitinfo1 = npf_information(stage2, fault);
    } else if (fault->reason != VMMU_X86_STAGE2_MISCONFIGURED) {
        fault->qualification = ept_qualification(stage2, fault, linear);
    }
}

static enum vmmu_status refuse(const struct second_walk *walk, vmmu_gpa gpa,
                               enum vmmu_x86_stage2_reason reason, const struct descent *descent)
{
    const uint8_t rights = vmmu_format_rights(vmmu_format_of(descent->layout), descent->grants);

    *walk->fault = (struct vmmu_x86_stage2_fault){
        .reason = reason,
        .access = walk->access,
        .level = descent->level,
        .rights = reason == VMMU_X86_STAGE2_NOT_PRESENT ? 0 : rights,
    };
    vmmu_walk_refuse(walk->stage2, gpa, walk->linear, walk->fault);
    return VMMU_STAGE2;
}

static enum vmmu_x86_stage2_reason reason_of(const struct second_walk *walk, const struct descent *descent)
{
    if (!descent->refused) {
        return VMMU_X86_STAGE2_NOT_PRESENT;
    }
    return walk->stage2->kind == VMMU_X86_STAGE2_EPT ? VMMU_X86_STAGE2_MISCONFIGURED
                                                     : VMMU_X86_STAGE2_RESERVED;
}

/* A leaf has been found: judge the access, mark it, and describe the translation. */
static enum vmmu_status arrive(const struct second_walk *walk, const struct descent *descent, vmmu_gpa gpa)
{
    const struct vmmu_x86_format *format = vmmu_format_of(descent->layout);
    const struct vmmu_x86_level *level = &format->level[descent->level];
    const enum vmmu_x86_access_kind kind = effective_kind(walk->stage2, walk->access);
    const uint8_t required = required_rights(walk->stage2, kind);
    const uint8_t rights = vmmu_format_rights(format, descent->grants);
    struct vmmu_x86_step *leaf = descent->last;

    if ((rights & required) != required) {
        return refuse(walk, gpa, VMMU_X86_STAGE2_RIGHTS, descent);
    }
    const uint64_t bits = level->accessed | (kind == VMMU_X86_WRITE ? level->dirty : 0);
    const enum vmmu_status status = vmmu_walk_mark(descent, leaf, bits);

    if (status != VMMU_OK) {
        return status;
    }
    const uint64_t frame = vmmu_format_frame(level, leaf->value);
    const uint64_t marked = walk->access.marks == VMMU_X86_MARKS_LEAVE ? 0 : leaf->marks;

    *walk->translation = (struct vmmu_x86_stage2_translation){
        .hpa = { frame | (gpa.v & (vmmu_format_level_bytes(level) - 1)) },
        .frame = { frame },
        .page_bytes = vmmu_format_level_bytes(level),
        .rights = rights,
        .level = descent->level,
        .pat_index = (uint8_t)vmmu_format_pat_index(format, level, leaf->value),
        .memory_type = (uint8_t)vmmu_format_memory_type(format, leaf->value),
        .ignore_pat = (leaf->value & format->ignore_pat) != 0,
        .dirty = ((leaf->value | marked) & level->dirty) != 0,
    };
    return VMMU_OK;
}

enum vmmu_status vmmu_walk_second(const struct second_walk *walk, vmmu_gpa gpa)
{
    const struct vmmu_x86_stage2 *stage2 = walk->stage2;
    const struct vmmu_x86_format *format = vmmu_format_of(&stage2->layout);
    struct descent descent = {
        .layout = &stage2->layout,
        .ram = stage2->ram,
        .trail = walk->trail,
        .marks = walk->access.marks,
        .stage = VMMU_X86_STAGE_SECOND,
        .table = stage2->root.v,
        .grants = ~UINT64_C(0),
        .level = format->levels,
        .unmarked = !stage2->accessed_dirty,
    };

    if (!vmmu_format_reaches(format, gpa.v)) {
        return refuse(walk, gpa, VMMU_X86_STAGE2_NOT_PRESENT, &descent);
    }
    const enum vmmu_status status = vmmu_walk_descend(&descent, gpa.v);

    if (status == VMMU_GUEST_FAULT) {
        return refuse(walk, gpa, reason_of(walk, &descent), &descent);
    }
    return status == VMMU_OK ? arrive(walk, &descent, gpa) : status;
}

enum vmmu_status vmmu_x86_walk_stage2(const struct vmmu_x86_stage2 *stage2, vmmu_gpa gpa,
                                      struct vmmu_x86_stage2_access access,
                                      struct vmmu_x86_stage2_result *out)
{
    struct trail trail = { .first = out->steps, .next = out->steps, .end = out->steps + VMMU_X86_MAX_LEVELS };
    const struct second_walk walk = {
        .stage2 = stage2,
        .trail = &trail,
        .access = access,
        .translation = &out->translation,
        .fault = &out->fault,
    };
    enum vmmu_status status = vmmu_walk_second(&walk, gpa);

    if (status == VMMU_OK && access.marks == VMMU_X86_MARKS_ON_SUCCESS) {
        status = vmmu_walk_settle(&trail, stage2->ram);
    }
    out->step_count = trail_count(&trail);
    out->loads = (uint8_t)(out->step_count - trail.registers);
    return status;
}
