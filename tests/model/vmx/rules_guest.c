/*
 * Spec: SDM 3C "Checks on Guest Control Registers, Debug Registers, and MSRs", "Checks on Guest Descriptor-Table Registers",
 * "Checks on Guest RIP, RFLAGS, and SSP".
 */
#include "tests/model/vmx/rules.h"

#define NEVER_CHECKED     (VMMU_X86_CR0_NW | VMMU_X86_CR0_CD)
#define DEBUGCTL_RESERVED (BITS64(5, 2) | BITS64(63, 16))
#define DEBUGCTL_RTM      BIT64(15)
#define BNDCFGS_RESERVED  BITS64(11, 2)
#define FEATURE_RTM       BIT64(11) /* CPUID 7 EBX */
#define FLAGS_RESERVED    (BITS64(63, 22) | BIT64(15) | BIT64(5) | BIT64(3))
#define FLAGS_FIXED       BIT64(1)

static bool bad_guest_cr0(struct entry_check *check)
{
    const uint64_t modes = unrestricted(check) ? VMMU_X86_CR0_PE | VMMU_X86_CR0_PG : 0;

    return breaks_fixed_bits(check, MSR_VMX_CR0_FIXED0, entry_read(check, VMCS_GUEST_CR0),
                             modes | NEVER_CHECKED);
}

static bool guest_cr4_has(struct entry_check *check, uint64_t bits)
{
    return entry_read(check, VMCS_GUEST_CR4) & bits;
}

static void rules_of_control_registers(struct entry_check *check)
{
    REFUSE_IF(check, bad_guest_cr0(check), "the guest's CR0 has bits that VMX operation does not support");
    REFUSE_IF(check, guest_cr0_has(check, VMMU_X86_CR0_PG) && !guest_cr0_has(check, VMMU_X86_CR0_PE),
              "the guest has CR0.PG without CR0.PE");
    REFUSE_IF(check, breaks_fixed_bits(check, MSR_VMX_CR4_FIXED0, entry_read(check, VMCS_GUEST_CR4), 0),
              "the guest's CR4 has bits that VMX operation does not support");
    REFUSE_IF(check, guest_cr4_has(check, VMMU_X86_CR4_CET) && !guest_cr0_has(check, VMMU_X86_CR0_WP),
              "the guest has CR4.CET without CR0.WP");
    REFUSE_IF(check,
              long_guest(check) &&
                  (!guest_cr4_has(check, VMMU_X86_CR4_PAE) || !guest_cr0_has(check, VMMU_X86_CR0_PG)),
              "the guest is in IA-32e mode without CR4.PAE or without CR0.PG");
    REFUSE_IF(check, !long_guest(check) && guest_cr4_has(check, VMMU_X86_CR4_PCIDE),
              "the guest has CR4.PCIDE outside IA-32e mode");
    REFUSE_IF(check, beyond_physical(check, entry_read(check, VMCS_GUEST_CR3)),
              "the guest's CR3 is beyond the physical-address width");
}

static bool bad_debugctl(struct entry_check *check)
{
    const uint64_t value = entry_read(check, VMCS_GUEST_DEBUGCTL);

    return value & DEBUGCTL_RESERVED ||
           (value & DEBUGCTL_RTM && !(entry_read(check, ENTRY_KEY_CPUID_FEATURES) & FEATURE_RTM));
}

static void rules_of_debug_registers(struct entry_check *check)
{
    REFUSE_IF(check, entry_has(check, VMX_ENTRY_LOAD_DEBUG) && bad_debugctl(check),
              "the guest's DEBUGCTL sets reserved bits");
    REFUSE_IF(check, entry_has(check, VMX_ENTRY_LOAD_DEBUG) && entry_read(check, VMCS_GUEST_DR7) >> 32,
              "bits 63:32 of the guest's DR7 are not 0");
}

/* LMA is what the control says; LME is the same while the guest has paging on. */
static bool lma_disagrees(struct entry_check *check)
{
    return !(entry_read(check, VMCS_GUEST_EFER) & VMMU_X86_EFER_LMA) == long_guest(check);
}

static bool lme_disagrees(struct entry_check *check)
{
    const uint64_t efer = entry_read(check, VMCS_GUEST_EFER);

    return guest_cr0_has(check, VMMU_X86_CR0_PG) &&
           !(efer & VMMU_X86_EFER_LMA) != !(efer & VMMU_X86_EFER_LME);
}

static void rules_of_efer(struct entry_check *check)
{
    REFUSE_IF(check,
              entry_has(check, VMX_ENTRY_LOAD_EFER) && bad_efer(check, entry_read(check, VMCS_GUEST_EFER)),
              "the guest's EFER sets reserved bits");
    REFUSE_IF(check, entry_has(check, VMX_ENTRY_LOAD_EFER) && lma_disagrees(check),
              "the guest's EFER.LMA is not what \"IA-32e mode guest\" says");
    REFUSE_IF(check, entry_has(check, VMX_ENTRY_LOAD_EFER) && lme_disagrees(check),
              "the guest's EFER.LME is not as EFER.LMA, with paging on");
}

static void rules_of_other_msrs(struct entry_check *check)
{
    REFUSE_IF(check,
              entry_has(check, VMX_ENTRY_LOAD_BNDCFGS) &&
                  (entry_read(check, VMCS_GUEST_BNDCFGS) & BNDCFGS_RESERVED ||
                   not_canonical(check, entry_read(check, VMCS_GUEST_BNDCFGS) & ~BITS64(11, 0))),
              "the guest's BNDCFGS cannot be loaded");
    REFUSE_IF(check,
              entry_has(check, VMX_ENTRY_LOAD_CET) &&
                  (bad_cet(check, entry_read(check, VMCS_GUEST_S_CET)) ||
                   not_canonical(check, entry_read(check, VMCS_GUEST_SSP_TABLE))),
              "the guest's S_CET or INTERRUPT_SSP_TABLE_ADDR cannot be loaded");
    REFUSE_IF(check, entry_has(check, VMX_ENTRY_LOAD_PKRS) && entry_read(check, VMCS_GUEST_PKRS) >> 32,
              "the guest's PKRS has more than 32 bits");
}

void entry_rules_of_guest_registers(struct entry_check *check)
{
    rules_of_control_registers(check);
    rules_of_debug_registers(check);
    REFUSE_IF(check,
              not_canonical(check, entry_read(check, VMCS_GUEST_SYSENTER_ESP)) ||
                  not_canonical(check, entry_read(check, VMCS_GUEST_SYSENTER_EIP)),
              "the guest's SYSENTER_ESP or SYSENTER_EIP is not canonical");
    REFUSE_IF(check,
              entry_has(check, VMX_ENTRY_LOAD_PERF_GLOBAL_CTRL) &&
                  bad_perf_global(check, entry_read(check, VMCS_GUEST_PERF_GLOBAL_CTRL)),
              "the guest's PERF_GLOBAL_CTRL sets reserved bits");
    REFUSE_IF(check, entry_has(check, VMX_ENTRY_LOAD_PAT) && bad_pat(entry_read(check, VMCS_GUEST_PAT)),
              "the guest's PAT has an entry that is no memory type");
    rules_of_efer(check);
    rules_of_other_msrs(check);
}

void entry_rules_of_guest_tables(struct entry_check *check)
{
    REFUSE_IF(check,
              not_canonical(check, entry_read(check, VMCS_GUEST_GDTR_BASE)) ||
                  not_canonical(check, entry_read(check, VMCS_GUEST_IDTR_BASE)),
              "the guest's GDTR or IDTR base is not canonical");
    REFUSE_IF(check,
              entry_read(check, VMCS_GUEST_GDTR_LIMIT) >> 16 ||
                  entry_read(check, VMCS_GUEST_IDTR_LIMIT) >> 16,
              "the guest's GDTR or IDTR limit has more than 16 bits");
}

void entry_rules_of_guest_flags(struct entry_check *check)
{
    REFUSE_IF(check, !in_64_bit_code(check) && entry_read(check, VMCS_GUEST_RIP) >> 32,
              "the guest's RIP has more than 32 bits outside 64-bit mode");
    REFUSE_IF(check, in_64_bit_code(check) && beyond_linear(check, entry_read(check, VMCS_GUEST_RIP)),
              "the guest's RIP is beyond the linear-address width");
    REFUSE_IF(check, guest_has_flag(check, FLAGS_RESERVED) || !guest_has_flag(check, FLAGS_FIXED),
              "the guest's RFLAGS has reserved bits wrong");
    REFUSE_IF(check,
              guest_has_flag(check, RFLAGS_VM) &&
                  (long_guest(check) || !guest_cr0_has(check, VMMU_X86_CR0_PE)),
              "the guest has RFLAGS.VM in IA-32e mode or without CR0.PE");
    REFUSE_IF(check, injects(check, VMX_EVENT_INTERRUPT) && !guest_has_flag(check, RFLAGS_IF),
              "an external interrupt is injected, and the guest's RFLAGS.IF is 0");
    REFUSE_IF(check,
              entry_has(check, VMX_ENTRY_LOAD_CET) &&
                  (entry_read(check, VMCS_GUEST_SSP) & 3 ||
                   beyond_linear(check, entry_read(check, VMCS_GUEST_SSP))),
              "the guest's SSP is beyond the linear-address width or not on 4 bytes");
}
