/*
 * Which values registers can hold, and which of them can stand together.
 *
 * Invariant: what passes here, with a mode that vmmu_mode_make() accepts, is a state that every processor of ours enters
 * guest mode with.
 *
 * Spec: SDM 3C "Checks on the Guest State Area"; APM 2 "Canonicalization and Consistency Checks".
 */
#include "lib/x86/hyperv/registers.h"

#define RFLAGS_ONE     BIT64(1)
#define RFLAGS_ZEROS   (BIT64(3) | BIT64(5) | BIT64(15) | BITS64(63, 22))

/* Attributes of a segment: see struct vmmu_x86_segment. */
#define TYPE_MASK      0x000Fu
#define TYPE_ACCESSED  0x0001u
#define TYPE_READABLE  0x0002u /* of code; of data: writable */
#define TYPE_CONFORM   0x0004u
#define TYPE_CODE      0x0008u
#define NOT_SYSTEM     0x0010u
#define DPL_MASK       0x0060u
#define DPL_UNIT       0x0020u
#define PRESENT        0x0080u
#define RESERVED       0x0F00u
#define LONG_CODE      0x2000u
#define BIG            0x4000u
#define GRANULAR       0x8000u

#define TYPE_DATA      (TYPE_READABLE | TYPE_ACCESSED)
#define KIND_LDT       2u
#define KIND_TSS16     3u
#define KIND_TSS       11u

#define BYTE_LIMIT     0xFFFFFu
#define PAGE_LIMIT     0xFFFu

#define SELECTOR_RPL   0x3u
#define SELECTOR_LOCAL 0x4u

/* A segment as virtual-8086 mode makes it: data, writable, accessed, DPL 3, present. */
#define V8086_RIGHTS   0x00F3u
#define V8086_LIMIT    0xFFFFu

/* --- values --- */

bool vmmu_hyperv_base_is_linear(const struct vmmu_x86_cpu *cpu, uint64_t base)
{
    if (!cpu->long_mode) {
        return (base & ~BITS64(31, 0)) == 0;
    }
    return vmmu_format_is_canonical(base, cpu->la57 ? 57 : 48);
}

#define XCR0_X87    BIT64(0)
#define XCR0_SSE    BIT64(1)
#define XCR0_AVX    BIT64(2)
#define XCR0_BOUNDS BITS64(4, 3)
#define XCR0_AVX512 BITS64(7, 5)
#define XCR0_TILES  BITS64(18, 17)

static bool all_or_none(uint64_t value, uint64_t bits)
{
    return (value & bits) == 0 || (value & bits) == bits;
}

/* Spec: SDM 1 "Enabling the XSAVE Feature Set and XSAVE-Enabled Features". */
static bool xcr0_is_sound(uint64_t offered, uint64_t value)
{
    if ((value & ~offered) != 0 || (value & XCR0_X87) == 0) {
        return false;
    }
    if ((value & XCR0_AVX) != 0 && (value & XCR0_SSE) == 0) {
        return false;
    }
    if ((value & XCR0_AVX512) != 0 && (value & XCR0_AVX) == 0) {
        return false;
    }
    return all_or_none(value, XCR0_BOUNDS) && all_or_none(value, XCR0_AVX512) &&
           all_or_none(value, XCR0_TILES);
}

bool vmmu_hyperv_register_holds(const struct vmmu_hyperv_register_rules *rules, uint32_t name, uint64_t value)
{
    const bool half = (value & ~BITS64(31, 0)) == 0;

    switch (name) {
    case HV_REGISTER_RFLAGS: return (value & RFLAGS_ZEROS) == 0 && (value & RFLAGS_ONE) != 0;
    case HV_REGISTER_CR8: return value <= 15;
    case HV_REGISTER_XFEM: return xcr0_is_sound(rules->xcr0_offered, value);
    case HV_REGISTER_PAT: return vmmu_x86_pat_is_sound(value);
    case HV_REGISTER_KERNEL_GS_BASE:
    case HV_REGISTER_SYSENTER_EIP:
    case HV_REGISTER_SYSENTER_ESP:
    case HV_REGISTER_LSTAR:
    case HV_REGISTER_CSTAR: return vmmu_hyperv_base_is_linear(rules->cpu, value);
    case HV_REGISTER_TSC_AUX: return rules->tsc_aux && half;
    case HV_REGISTER_CR0: /* of which bits that do not exist are not stored */
    case HV_REGISTER_DR6:
    case HV_REGISTER_DR7:
    case HV_REGISTER_SYSENTER_CS:
    case HV_REGISTER_SFMASK: return half;
    default: return true;
    }
}

/* --- segments --- */

static unsigned dpl_of(const struct vmmu_x86_segment *segment)
{
    return (segment->attributes & DPL_MASK) / DPL_UNIT;
}

static unsigned type_of(const struct vmmu_x86_segment *segment)
{
    return segment->attributes & TYPE_MASK;
}

static bool is_usable(const struct vmmu_x86_segment *segment)
{
    return (segment->attributes & PRESENT) != 0;
}

/* A limit of pages ends in ones; one of bytes has 20 bits. */
static bool limit_is_sound(const struct vmmu_x86_segment *segment)
{
    const bool pages = (segment->attributes & GRANULAR) != 0;

    return pages ? (segment->limit & PAGE_LIMIT) == PAGE_LIMIT : segment->limit <= BYTE_LIMIT;
}

static bool is_v8086_segment(const struct vmmu_x86_segment *segment)
{
    return segment->base == (uint64_t)segment->selector * 16 && segment->limit == V8086_LIMIT &&
           segment->attributes == V8086_RIGHTS;
}

/* LDTR or TR: of the system kind @kind. */
static bool is_system_segment(const struct vmmu_x86_segment *segment, unsigned kind)
{
    return (segment->selector & SELECTOR_LOCAL) == 0 && type_of(segment) == kind &&
           (segment->attributes & (NOT_SYSTEM | RESERVED)) == 0 && is_usable(segment) &&
           limit_is_sound(segment);
}

static bool system_segments_are_sound(const struct vmmu_hyperv_registers *registers, bool long_mode)
{
    const bool task = is_system_segment(&registers->tr, KIND_TSS) ||
                      (!long_mode && is_system_segment(&registers->tr, KIND_TSS16));

    return task && (!is_usable(&registers->ldtr) || is_system_segment(&registers->ldtr, KIND_LDT));
}

static unsigned level_of(const struct vmmu_hyperv_registers *registers)
{
    const struct vmmu_x86_state *state = &registers->state;
    const struct vmmu_x86_segment *ss = &state->segment[VMMU_X86_SS];

    if ((state->cr0 & VMMU_X86_CR0_PE) == 0) {
        return 0;
    }
    if ((state->rflags & HV_RFLAGS_VM) != 0) {
        return 3;
    }
    return is_usable(ss) ? dpl_of(ss) : state->segment[VMMU_X86_CS].selector & SELECTOR_RPL;
}

/* Code, accessed; or data, writable, which real mode leaves in CS, for as long as nobody loads it. */
static bool code_segment_is_sound(const struct vmmu_x86_segment *cs, unsigned cpl, bool long_mode)
{
    const unsigned type = type_of(cs);
    const unsigned dpl = dpl_of(cs);

    if (!is_usable(cs) || (cs->attributes & NOT_SYSTEM) == 0 || (cs->attributes & RESERVED) != 0 ||
        !limit_is_sound(cs)) {
        return false;
    }
    if (type == TYPE_DATA) {
        return dpl == 0 && cpl == 0;
    }
    if ((type & (TYPE_CODE | TYPE_ACCESSED)) != (TYPE_CODE | TYPE_ACCESSED)) {
        return false;
    }
    if (long_mode && (cs->attributes & (LONG_CODE | BIG)) == (LONG_CODE | BIG)) {
        return false;
    }
    return (type & TYPE_CONFORM) != 0 ? dpl <= cpl : dpl == cpl;
}

/* DS, ES, FS, GS: not usable; or data or readable code, accessed. */
static bool data_segment_is_sound(const struct vmmu_x86_segment *segment)
{
    const unsigned type = type_of(segment);

    if (!is_usable(segment)) {
        return true;
    }
    return (segment->attributes & NOT_SYSTEM) != 0 && (segment->attributes & RESERVED) == 0 &&
           (type & TYPE_ACCESSED) != 0 && ((type & TYPE_CODE) == 0 || (type & TYPE_READABLE) != 0) &&
           limit_is_sound(segment);
}

/* SS: not usable, or writable data of the level that is current. */
static bool stack_segment_is_sound(const struct vmmu_x86_state *state)
{
    const struct vmmu_x86_segment *ss = &state->segment[VMMU_X86_SS];

    return !is_usable(ss) || ((type_of(ss) & (TYPE_CODE | TYPE_DATA)) == TYPE_DATA &&
                              dpl_of(ss) == state->cpl && data_segment_is_sound(ss));
}

static void settle_limit(struct vmmu_x86_segment *segment)
{
    if (segment->limit > BYTE_LIMIT) {
        segment->attributes |= GRANULAR;
    }
}

void vmmu_hyperv_settle_segments(struct vmmu_hyperv_registers *registers)
{
    struct vmmu_x86_state *state = &registers->state;
    struct vmmu_x86_segment *ss = &state->segment[VMMU_X86_SS];

    state->cpl = (uint8_t)level_of(registers);
    if (!is_usable(ss)) {
        ss->attributes = (uint16_t)((ss->attributes & ~DPL_MASK) | state->cpl * DPL_UNIT);
    }
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        settle_limit(&state->segment[i]);
    }
    settle_limit(&registers->ldtr);
    settle_limit(&registers->tr);
}

static bool bases_are_sound(const struct vmmu_x86_state *state)
{
    static const uint8_t narrow[] = { VMMU_X86_CS, VMMU_X86_SS, VMMU_X86_DS, VMMU_X86_ES };

    for (unsigned i = 0; i < sizeof(narrow); i++) {
        const struct vmmu_x86_segment *segment = &state->segment[narrow[i]];

        if (is_usable(segment) && (segment->base & ~BITS64(31, 0)) != 0) {
            return false;
        }
    }
    return true;
}

bool vmmu_hyperv_rip_is_sound(const struct vmmu_x86_state *state)
{
    const bool long_mode = (state->efer & VMMU_X86_EFER_LMA) != 0;

    if (!long_mode || (state->segment[VMMU_X86_CS].attributes & LONG_CODE) == 0) {
        return (state->rip & ~BITS64(31, 0)) == 0;
    }
    return vmmu_format_is_canonical(state->rip, (state->cr4 & VMMU_X86_CR4_LA57) != 0 ? 57 : 48);
}

bool vmmu_hyperv_segments_agree(const struct vmmu_hyperv_registers *registers)
{
    static const uint8_t data[] = { VMMU_X86_DS, VMMU_X86_ES, VMMU_X86_FS, VMMU_X86_GS };
    const struct vmmu_x86_state *state = &registers->state;
    const bool long_mode = (state->efer & VMMU_X86_EFER_LMA) != 0;
    const bool v8086 = (state->rflags & HV_RFLAGS_VM) != 0;

    if (!vmmu_hyperv_rip_is_sound(state) || !bases_are_sound(state) ||
        !system_segments_are_sound(registers, long_mode)) {
        return false;
    }
    if (v8086) {
        for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
            if (!is_v8086_segment(&state->segment[i])) {
                return false;
            }
        }
        return !long_mode && (state->cr0 & VMMU_X86_CR0_PE) != 0;
    }
    for (unsigned i = 0; i < sizeof(data); i++) {
        if (!data_segment_is_sound(&state->segment[data[i]])) {
            return false;
        }
    }
    return stack_segment_is_sound(state) &&
           code_segment_is_sound(&state->segment[VMMU_X86_CS], state->cpl, long_mode);
}
