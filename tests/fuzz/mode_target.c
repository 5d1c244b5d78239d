/*
 * The rules by which paging registers change: what they accept is a state that walks can use.
 *
 * One input is a processor, the state after its reset, and writes to control registers and EFER, each of a
 * whole new value or of some bits inverted. Then comes a state made of raw bits.
 */
#include <vmmu/mode.h>

#include "input.h"
#include "paging.h"

/* Where a guest's PDPTEs come from: the input. */
static enum vmmu_status load_pdpte(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct input *input = context;

    FUZZ_CHECK(width_bytes == 8 && address % 8 == 0 && address < BIT64(32));
    *value = input_u64(input);
    if (input_below(input, 4) != 0) {
        *value &= BITS64(31, 12) | BITS64(11, 9) | BITS64(4, 3) | 1;
    }
    return input_u8(input) == 0xFF ? VMMU_ABSENT : VMMU_OK;
}

static bool same_mode_bits(const struct vmmu_x86_paging_registers *registers,
                           const struct vmmu_x86_mode *mode)
{
    const bool long_mode = mode->paging == VMMU_X86_PAGING_4LEVEL || mode->paging == VMMU_X86_PAGING_5LEVEL;

    return mode->write_protect == ((registers->cr0 & VMMU_X86_CR0_WP) != 0) &&
           mode->smep == ((registers->cr4 & VMMU_X86_CR4_SMEP) != 0) &&
           mode->smap == ((registers->cr4 & VMMU_X86_CR4_SMAP) != 0) &&
           mode->global_pages == ((registers->cr4 & VMMU_X86_CR4_PGE) != 0) &&
           mode->user_keys == (long_mode && (registers->cr4 & VMMU_X86_CR4_PKE)) &&
           mode->system_keys == (long_mode && (registers->cr4 & VMMU_X86_CR4_PKS)) &&
           long_mode == ((registers->efer & VMMU_X86_EFER_LMA) != 0);
}

/* What holds of every state that vmmu_mode_make accepts; and each register may be written as it is. */
static void check_sound(const struct vmmu_x86_cpu *cpu, const struct vmmu_x86_paging_registers *registers,
                        const struct vmmu_x86_mode *mode)
{
    const bool paged = (registers->cr0 & VMMU_X86_CR0_PG) != 0;

    FUZZ_CHECK(paged == (mode->paging != VMMU_X86_PAGING_NONE));
    FUZZ_CHECK(same_mode_bits(registers, mode));
    FUZZ_CHECK((mode->root.v & ~BITS64(cpu->maxphyaddr - 1, 0)) == 0);
    FUZZ_CHECK(mode->root.v % (mode->paging == VMMU_X86_PAGING_PAE ? 32 : 4096) == 0);
    FUZZ_CHECK(!paged || vmmu_format_address_bits(vmmu_format_of(&mode->layout)) == mode->address_bits);
    FUZZ_CHECK(mode->pcid == 0 || ((registers->cr4 & VMMU_X86_CR4_PCIDE) && mode->pcid < 4096));
    FUZZ_CHECK(!mode->nx || mode->fetch_code);

    FUZZ_CHECK(vmmu_mode_check_cr0(registers, registers->cr0, false) == VMMU_OK);
    FUZZ_CHECK(vmmu_mode_check_cr3(cpu, registers, registers->cr3) == VMMU_OK);
    FUZZ_CHECK(vmmu_mode_check_cr4(cpu, registers, registers->cr4) == VMMU_OK);
    FUZZ_CHECK(vmmu_mode_check_efer(cpu, registers, registers->efer) == VMMU_OK);
    FUZZ_CHECK(!vmmu_mode_loads_pdptes(registers, registers));
}

/* Make a mode of @registers; whether there is one. One that there is not leaves the old one alone. */
static bool make(const struct vmmu_x86_cpu *cpu, const struct vmmu_x86_paging_registers *registers)
{
    struct vmmu_x86_mode mode;
    struct vmmu_x86_mode before;

    memset(&mode, 0xA5, sizeof(mode));
    memcpy(&before, &mode, sizeof(mode));
    if (vmmu_mode_make(cpu, registers, &mode) != VMMU_OK) {
        FUZZ_CHECK(fuzz_same(&before, &mode, sizeof(mode)));
        return false;
    }
    check_sound(cpu, registers, &mode);
    return true;
}

/* A value for a register: what stands there with a bit or two inverted, or any bits at all. */
static uint64_t draw_value(struct input *input, uint64_t now)
{
    const unsigned kind = input_below(input, 8);

    if (kind == 0) {
        return input_u64(input);
    }
    for (unsigned i = 0; i < (kind + 1) / 2; i++) {
        now ^= BIT64(input_below(input, 64));
    }
    return now;
}

/* One write, as a hypervisor does it: check, store, and load the PDPTEs where the processor does. */
static void write_one(struct input *input, const struct vmmu_x86_cpu *cpu,
                      struct vmmu_x86_paging_registers *registers)
{
    struct vmmu_x86_paging_registers next = *registers;
    const struct vmmu_ram ram = { .context = input, .load = load_pdpte };
    const unsigned which = input_below(input, 4);
    enum vmmu_status status = VMMU_OK;
    uint64_t value;

    if (which == 0) {
        value = draw_value(input, registers->cr0);
        status = vmmu_mode_check_cr0(registers, value, input_flag(input));
        next.cr0 = vmmu_mode_cr0_stored(value);
        next.efer = vmmu_mode_efer_with_cr0(next.efer, value);
    } else if (which == 1) {
        value = draw_value(input, registers->cr3);
        status = vmmu_mode_check_cr3(cpu, registers, value);
        next.cr3 = vmmu_mode_cr3_stored(value);
    } else if (which == 2) {
        next.cr4 = draw_value(input, registers->cr4);
        status = vmmu_mode_check_cr4(cpu, registers, next.cr4);
    } else {
        value = draw_value(input, registers->efer);
        status = vmmu_mode_check_efer(cpu, registers, value);
        next.efer = vmmu_mode_efer_stored(registers->efer, value);
    }
    FUZZ_CHECK(status == VMMU_OK || status == VMMU_GUEST_FAULT);
    if (status != VMMU_OK) {
        return;
    }
    const bool pae = vmmu_mode_paging(next.cr0, next.cr4, next.efer) == VMMU_X86_PAGING_PAE;

    FUZZ_CHECK(pae || !vmmu_mode_loads_pdptes(registers, &next));
    if (!registers->pdpte_in_memory && ((pae && which == 1) || vmmu_mode_loads_pdptes(registers, &next)) &&
        vmmu_mode_load_pdptes(cpu, &ram, next.cr3, next.pdpte) != VMMU_OK) {
        FUZZ_CHECK(fuzz_same(next.pdpte, registers->pdpte, sizeof(next.pdpte)));
        return;
    }
    FUZZ_CHECK(make(cpu, &next));
    *registers = next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    const struct vmmu_x86_cpu cpu = draw_cpu(&input);
    struct vmmu_x86_paging_registers registers = { .cr0 = VMMU_X86_CR0_ET };
    unsigned writes = input_u8(&input);

    registers.pdpte_in_memory = input_flag(&input);
    FUZZ_CHECK(make(&cpu, &registers));
    for (; writes != 0 && input_more(&input); writes--) {
        write_one(&input, &cpu, &registers);
    }
    registers = draw_registers(&input, &cpu);
    (void)make(&cpu, &registers);
    input_copy(&input, registers.pdpte, sizeof(registers.pdpte));
    registers.cr0 = input_u64(&input);
    registers.cr3 = input_u64(&input);
    registers.cr4 = input_u64(&input);
    registers.efer = input_u64(&input);
    (void)make(&cpu, &registers);
    return 0;
}
