#include "tools/image/registers.h"

#include <string.h>

static uint64_t field64(const uint8_t *bytes, size_t offset)
{
    uint64_t value;

    memcpy(&value, bytes + offset, sizeof(value));
    return value;
}

static uint32_t field32(const uint8_t *bytes, size_t offset)
{
    uint32_t value;

    memcpy(&value, bytes + offset, sizeof(value));
    return value;
}

/* Where a note has what; general registers in encoding order, segments in that of enum vmmu_x86_segment_name. */
struct layout {
    uint16_t gpr[VMMU_X86_GPRS];
    uint16_t rip;
    uint16_t rflags;
    uint16_t segment[VMMU_X86_SEGMENTS];
};

/* The registers, in 8 bytes each, begin behind signal, process and time. */
#define AT64(index) (112 + 8 * (index))

static const struct layout prstatus64 = {
    .gpr = { AT64(10), AT64(11), AT64(12), AT64(5), AT64(19), AT64(4), AT64(13), AT64(14), AT64(9), AT64(8),
             AT64(7), AT64(6), AT64(3), AT64(2), AT64(1), AT64(0) },
    .rip = AT64(16),
    .rflags = AT64(18),
    .segment = { [VMMU_X86_ES] = AT64(24),
                 [VMMU_X86_CS] = AT64(17),
                 [VMMU_X86_SS] = AT64(20),
                 [VMMU_X86_DS] = AT64(23),
                 [VMMU_X86_FS] = AT64(25),
                 [VMMU_X86_GS] = AT64(26) },
};

#define PRSTATUS64_FS_BASE AT64(21)
#define PRSTATUS64_GS_BASE AT64(22)

/* In 4 bytes each. */
#define AT32(index)        (72 + 4 * (index))

static const struct layout prstatus32 = {
    .gpr = { AT32(6), AT32(1), AT32(2), AT32(0), AT32(15), AT32(5), AT32(3), AT32(4) },
    .rip = AT32(12),
    .rflags = AT32(14),
    .segment = { [VMMU_X86_ES] = AT32(8),
                 [VMMU_X86_CS] = AT32(13),
                 [VMMU_X86_SS] = AT32(16),
                 [VMMU_X86_DS] = AT32(7),
                 [VMMU_X86_FS] = AT32(9),
                 [VMMU_X86_GS] = AT32(10) },
};

/* Flat segments of 4 GiB, accessed: data that is written, code that is read. */
#define FLAT_DATA       0xC093
#define FLAT_CODE32     0xC09B
#define FLAT_CODE64     0xA09B

/* Linux's code segment for 32-bit programs in long mode: with it a 64-bit PRSTATUS has no CS.L. */
#define LINUX_USER32_CS 0x23

/* PRSTATUS has selectors only. Whoever dumps a kernel by its notes runs on flat segments. */
static void flat_segments(struct vmmu_x86_state *state, const uint8_t *bytes, const struct layout *layout,
                          bool code64)
{
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        const uint16_t selector = (uint16_t)field32(bytes, layout->segment[i]);
        const uint16_t privilege = (uint16_t)((selector & 3) << 5);
        const uint16_t kind = i != VMMU_X86_CS ? FLAT_DATA : code64 ? FLAT_CODE64 : FLAT_CODE32;

        state->segment[i] = (struct vmmu_x86_segment){ .limit = UINT32_MAX,
                                                       .selector = selector,
                                                       .attributes = (uint16_t)(kind | privilege) };
    }
    state->cpl = state->segment[VMMU_X86_CS].selector & 3;
}

void registers_from_prstatus(struct image_processor *processor, const uint8_t *bytes, size_t size_bytes,
                             bool long_mode)
{
    struct vmmu_x86_state *const state = &processor->state;
    const bool wide = size_bytes == REGISTERS_PRSTATUS_64_BYTES;
    const struct layout *const layout = wide ? &prstatus64 : &prstatus32;

    *state = (struct vmmu_x86_state){ 0 };
    for (unsigned i = 0; i < (wide ? 16 : 8); i++)
        state->gpr[i] = wide ? field64(bytes, layout->gpr[i]) : field32(bytes, layout->gpr[i]);
    state->rip = wide ? field64(bytes, layout->rip) : field32(bytes, layout->rip);
    state->rflags = wide ? field64(bytes, layout->rflags) : field32(bytes, layout->rflags);
    flat_segments(state, bytes, layout,
                  wide && long_mode &&
                      (uint16_t)field32(bytes, layout->segment[VMMU_X86_CS]) != LINUX_USER32_CS);
    if (wide) {
        state->segment[VMMU_X86_FS].base = field64(bytes, PRSTATUS64_FS_BASE);
        state->segment[VMMU_X86_GS].base = field64(bytes, PRSTATUS64_GS_BASE);
    }
    processor->has_registers = true;
}

/* Behind version and size: general registers, RIP, RFLAGS, ten segments of 24 bytes, CR0 to CR4. */
#define QEMU_AT(index)   (8 + 8 * (index))
#define QEMU_SEGMENTS_AT QEMU_AT(18)
#define QEMU_CR_AT       (QEMU_SEGMENTS_AT + 10 * 24)

static const struct layout qemu = {
    .gpr = { QEMU_AT(0), QEMU_AT(2), QEMU_AT(3), QEMU_AT(1), QEMU_AT(6), QEMU_AT(7), QEMU_AT(4), QEMU_AT(5),
             QEMU_AT(8), QEMU_AT(9), QEMU_AT(10), QEMU_AT(11), QEMU_AT(12), QEMU_AT(13), QEMU_AT(14),
             QEMU_AT(15) },
    .rip = QEMU_AT(16),
    .rflags = QEMU_AT(17),
    .segment = { [VMMU_X86_CS] = QEMU_SEGMENTS_AT,
                 [VMMU_X86_DS] = QEMU_SEGMENTS_AT + 24,
                 [VMMU_X86_ES] = QEMU_SEGMENTS_AT + 48,
                 [VMMU_X86_FS] = QEMU_SEGMENTS_AT + 72,
                 [VMMU_X86_GS] = QEMU_SEGMENTS_AT + 96,
                 [VMMU_X86_SS] = QEMU_SEGMENTS_AT + 120 },
};

_Static_assert(QEMU_CR_AT + 5 * 8 == REGISTERS_QEMU_LEAST_BYTES, "the layout of QEMU's note");

/* Of a segment's attributes. */
#define ATTRIBUTE_LONG      BIT64(13)
#define ATTRIBUTE_DPL_SHIFT 5

#define RFLAGS_VM           BIT64(17)

/* A segment of QEMU's is selector, limit, the second word of its descriptor, a gap, base. */
static struct vmmu_x86_segment qemu_segment(const uint8_t *bytes)
{
    return (struct vmmu_x86_segment){ .selector = (uint16_t)field32(bytes, 0),
                                      .limit = field32(bytes, 4),
                                      .attributes = (uint16_t)((field32(bytes, 8) >> 8) & 0xF0FF),
                                      .base = field64(bytes, 16) };
}

static uint64_t infer_efer(uint64_t cr0, uint64_t cr4, bool code64, bool long_mode)
{
    const bool pae_paging = (cr0 & VMMU_X86_CR0_PG) != 0 && (cr4 & VMMU_X86_CR4_PAE) != 0;

    if (!pae_paging)
        return 0;
    if (code64 || long_mode)
        return VMMU_X86_EFER_SCE | VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA | VMMU_X86_EFER_NXE;
    return VMMU_X86_EFER_NXE;
}

static uint8_t privilege_of(const struct vmmu_x86_state *state)
{
    if ((state->cr0 & VMMU_X86_CR0_PE) == 0)
        return 0;
    if ((state->rflags & RFLAGS_VM) != 0)
        return 3;
    return (state->segment[VMMU_X86_SS].attributes >> ATTRIBUTE_DPL_SHIFT) & 3;
}

void registers_from_qemu(struct image_processor *processor, const uint8_t *bytes, bool long_mode)
{
    struct vmmu_x86_state *const state = &processor->state;

    *state = (struct vmmu_x86_state){ .rip = field64(bytes, qemu.rip),
                                      .rflags = field64(bytes, qemu.rflags),
                                      .cr0 = field64(bytes, QEMU_CR_AT),
                                      .cr4 = field64(bytes, QEMU_CR_AT + 32) };
    for (unsigned i = 0; i < VMMU_X86_GPRS; i++)
        state->gpr[i] = field64(bytes, qemu.gpr[i]);
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++)
        state->segment[i] = qemu_segment(bytes + qemu.segment[i]);
    state->efer = infer_efer(state->cr0, state->cr4,
                             (state->segment[VMMU_X86_CS].attributes & ATTRIBUTE_LONG) != 0, long_mode);
    state->cpl = privilege_of(state);
    processor->has_registers = true;
    processor->has_paging = true;
    processor->paging = (struct vmmu_x86_paging_registers){ .cr0 = state->cr0,
                                                            .cr3 = field64(bytes, QEMU_CR_AT + 24),
                                                            .cr4 = state->cr4,
                                                            .efer = state->efer,
                                                            .pdpte_in_memory = true };
}
