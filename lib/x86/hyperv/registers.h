/* Whether a register file is one that a processor can have. */
#ifndef LIB_X86_HYPERV_REGISTERS_H
#define LIB_X86_HYPERV_REGISTERS_H

#include <vmmu/hyperv.h>

/* One register alone: whether @value is one that register @name can hold, whatever the others are. */
bool vmmu_hyperv_register_holds(const struct vmmu_hyperv_register_rules *rules, uint32_t name,
                                uint64_t value);

/* Whether RIP is an address of code in the mode that the other registers select. */
bool vmmu_hyperv_rip_is_sound(const struct vmmu_x86_state *state);

/*
 * Put in what follows from the rest, and what not every processor keeps: the privilege level, that of a stack segment which is
 * not usable, and granularity where a limit needs it.
 */
void vmmu_hyperv_settle_segments(struct vmmu_hyperv_registers *registers);

/* Whether settled segments agree with each other, with RIP, RFLAGS and the mode. */
bool vmmu_hyperv_segments_agree(const struct vmmu_hyperv_registers *registers);

/* Store @segment in the 16 bytes at @value, as registers and messages hold it. */
void vmmu_hyperv_put_segment(const struct vmmu_x86_segment *segment, uint8_t *value);

#define HV_RFLAGS_IF BIT64(9)
#define HV_RFLAGS_VM BIT64(17)

/* Whether @base is a linear address on the processor: of 32 bits, or canonical in the widest mode that there is. */
bool vmmu_hyperv_base_is_linear(const struct vmmu_x86_cpu *cpu, uint64_t base);

#define HV_REGISTER_EXPLICIT_SUSPEND  0x00000000u
#define HV_REGISTER_INTERCEPT_SUSPEND 0x00000001u
#define HV_REGISTER_INTERRUPT_STATE   0x00010003u
#define HV_REGISTER_RAX               0x00020000u
#define HV_REGISTER_R15               0x0002000Fu
#define HV_REGISTER_RIP               0x00020010u
#define HV_REGISTER_RFLAGS            0x00020011u
#define HV_REGISTER_CR0               0x00040000u
#define HV_REGISTER_CR2               0x00040001u
#define HV_REGISTER_CR3               0x00040002u
#define HV_REGISTER_CR4               0x00040003u
#define HV_REGISTER_CR8               0x00040004u
#define HV_REGISTER_XFEM              0x00040005u
#define HV_REGISTER_DR0               0x00050000u
#define HV_REGISTER_DR3               0x00050003u
#define HV_REGISTER_DR6               0x00050004u
#define HV_REGISTER_DR7               0x00050005u
#define HV_REGISTER_ES                0x00060000u
#define HV_REGISTER_GS                0x00060005u
#define HV_REGISTER_LDTR              0x00060006u
#define HV_REGISTER_TR                0x00060007u
#define HV_REGISTER_IDTR              0x00070000u
#define HV_REGISTER_GDTR              0x00070001u
#define HV_REGISTER_TSC               0x00080000u
#define HV_REGISTER_EFER              0x00080001u
#define HV_REGISTER_KERNEL_GS_BASE    0x00080002u
#define HV_REGISTER_APIC_BASE         0x00080003u
#define HV_REGISTER_PAT               0x00080004u
#define HV_REGISTER_SYSENTER_CS       0x00080005u
#define HV_REGISTER_SYSENTER_EIP      0x00080006u
#define HV_REGISTER_SYSENTER_ESP      0x00080007u
#define HV_REGISTER_STAR              0x00080008u
#define HV_REGISTER_LSTAR             0x00080009u
#define HV_REGISTER_CSTAR             0x0008000Au
#define HV_REGISTER_SFMASK            0x0008000Bu
#define HV_REGISTER_INITIAL_APIC_ID   0x0008000Cu
#define HV_REGISTER_TSC_AUX           0x0008007Bu
#define HV_REGISTER_VP_INDEX          0x00090003u

#endif
