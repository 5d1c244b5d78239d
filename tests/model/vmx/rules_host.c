/* Spec: SDM 3C "Checks on Host Control Registers, MSRs, and SSP" and the two sections after it. */
#include "tests/model/vmx/rules.h"

#define SELECTOR_RPL_AND_TI 7u

static bool host_long(struct entry_check *check)
{
    return exit_has(check, VMX_EXIT_HOST_64);
}

static bool host_not_canonical(struct entry_check *check, unsigned field)
{
    return not_canonical(check, entry_read(check, field));
}

/* LMA and LME are both what the control says. */
static bool host_efer_disagrees(struct entry_check *check)
{
    const uint64_t efer = entry_read(check, VMCS_HOST_EFER);

    return !(efer & VMMU_X86_EFER_LMA) == host_long(check) || !(efer & VMMU_X86_EFER_LME) == host_long(check);
}

static void rules_of_host_control_registers(struct entry_check *check)
{
    REFUSE_IF(check, breaks_fixed_bits(check, MSR_VMX_CR0_FIXED0, entry_read(check, VMCS_HOST_CR0), 0),
              "the host's CR0 has bits that VMX operation does not support");
    REFUSE_IF(check, breaks_fixed_bits(check, MSR_VMX_CR4_FIXED0, entry_read(check, VMCS_HOST_CR4), 0),
              "the host's CR4 has bits that VMX operation does not support");
    REFUSE_IF(check,
              entry_read(check, VMCS_HOST_CR4) & VMMU_X86_CR4_CET &&
                  !(entry_read(check, VMCS_HOST_CR0) & VMMU_X86_CR0_WP),
              "the host has CR4.CET without CR0.WP");
    REFUSE_IF(check, beyond_physical(check, entry_read(check, VMCS_HOST_CR3)),
              "the host's CR3 is beyond the physical-address width");
}

void entry_rules_of_host_registers(struct entry_check *check)
{
    rules_of_host_control_registers(check);
    REFUSE_IF(check,
              host_not_canonical(check, VMCS_HOST_SYSENTER_ESP) ||
                  host_not_canonical(check, VMCS_HOST_SYSENTER_EIP),
              "the host's SYSENTER_ESP or SYSENTER_EIP is not canonical");
    REFUSE_IF(check,
              exit_has(check, VMX_EXIT_LOAD_PERF_GLOBAL_CTRL) &&
                  bad_perf_global(check, entry_read(check, VMCS_HOST_PERF_GLOBAL_CTRL)),
              "the host's PERF_GLOBAL_CTRL sets reserved bits");
    REFUSE_IF(check, exit_has(check, VMX_EXIT_LOAD_PAT) && bad_pat(entry_read(check, VMCS_HOST_PAT)),
              "the host's PAT has an entry that is no memory type");
    REFUSE_IF(check,
              exit_has(check, VMX_EXIT_LOAD_EFER) && bad_efer(check, entry_read(check, VMCS_HOST_EFER)),
              "the host's EFER sets reserved bits");
    REFUSE_IF(check, exit_has(check, VMX_EXIT_LOAD_EFER) && host_efer_disagrees(check),
              "the host's EFER.LMA or EFER.LME is not as its address-space size");
    REFUSE_IF(check,
              exit_has(check, VMX_EXIT_LOAD_CET) && (bad_cet(check, entry_read(check, VMCS_HOST_S_CET)) ||
                                                     host_not_canonical(check, VMCS_HOST_SSP_TABLE)),
              "the host's S_CET or INTERRUPT_SSP_TABLE_ADDR cannot be loaded");
    REFUSE_IF(check,
              exit_has(check, VMX_EXIT_LOAD_CET) &&
                  (entry_read(check, VMCS_HOST_SSP) & 3 || host_not_canonical(check, VMCS_HOST_SSP)),
              "the host's SSP is not canonical or not on 4 bytes");
    REFUSE_IF(check, exit_has(check, VMX_EXIT_LOAD_PKRS) && entry_read(check, VMCS_HOST_PKRS) >> 32,
              "the host's PKRS has more than 32 bits");
}

static bool bad_host_selectors(struct entry_check *check)
{
    uint64_t all = 0;

    for (unsigned field = VMCS_HOST_ES_SELECTOR; field <= VMCS_HOST_TR_SELECTOR;
         field += VMCS_SEGMENT_STRIDE) {
        all |= entry_read(check, field);
    }
    return all & SELECTOR_RPL_AND_TI;
}

static bool bad_host_bases(struct entry_check *check)
{
    bool bad = false;

    for (unsigned field = VMCS_HOST_FS_BASE; field <= VMCS_HOST_IDTR_BASE; field += 2) {
        bad |= host_not_canonical(check, field);
    }
    return bad;
}

void entry_rules_of_host_segments(struct entry_check *check)
{
    REFUSE_IF(check, bad_host_selectors(check),
              "a selector of the host has a TI flag or an RPL that is not 0");
    REFUSE_IF(check,
              entry_read(check, VMCS_HOST_CS_SELECTOR) == 0 || entry_read(check, VMCS_HOST_TR_SELECTOR) == 0,
              "the host's CS or TR is 0000H");
    REFUSE_IF(check, !host_long(check) && entry_read(check, VMCS_HOST_SS_SELECTOR) == 0,
              "the host's SS is 0000H, and its address-space size is not 64 bits");
    REFUSE_IF(check, bad_host_bases(check), "a base of the host's is not canonical");
}

/*
 * Entries are recorded by a hypervisor in IA-32e mode, so that the host must be one too. The rules for another host, of
 * PCIDE and RIP, have nothing left to say.
 */
void entry_rules_of_address_space(struct entry_check *check)
{
    REFUSE_IF(check, !host_long(check), "the processor is in IA-32e mode, and the host would not be");
    REFUSE_IF(check, !(entry_read(check, VMCS_HOST_CR4) & VMMU_X86_CR4_PAE),
              "the host's address-space size is 64 bits, and its CR4.PAE is 0");
    REFUSE_IF(check, host_not_canonical(check, VMCS_HOST_RIP), "the host's RIP is not canonical");
}
