/*
 * Spec: SDM 3C "Checks on Guest Non-Register State", "Checks on Guest Page-Directory-Pointer-Table Entries",
 * "Loading MSRs".
 */
#include "tests/model/vmx/rules.h"

#define MISC_STATES(misc)   ((misc) >> 6 & 7) /* from bit 0: HLT, shutdown, wait-for-SIPI */
#define STATE_RESERVED      (~BITS64(4, 0))
#define STATE_ENCLAVE       BIT64(4)
#define DEBUGCTL_BTF        BIT64(1)
#define PENDING_RESERVED    (BITS64(11, 4) | BIT64(13) | BIT64(15) | BITS64(63, 17))
#define FEATURE_SGX         BIT64(2) /* CPUID 7 EBX */
#define FEATURE_RTM         BIT64(11)
#define REVISION_SHADOW     BIT64(31)
#define PDPTE_PRESENT       BIT64(0)
#define PDPTE_RESERVED      (BITS64(2, 1) | BITS64(8, 5))
#define MSR_FS_BASE         0xC0000100u
#define MSR_GS_BASE         0xC0000101u
#define MSR_SMM_MONITOR_CTL 0x9Bu
#define MSR_AREA_SHOWN      ((ENTRY_KEY_MSR_LOAD_END - ENTRY_KEY_MSR_LOAD) / 2)
#define MSR_OF_X2APIC(msr)  ((msr) >> 8 == 8)

static unsigned activity(struct entry_check *check)
{
    return (unsigned)entry_read(check, VMCS_GUEST_ACTIVITY);
}

static bool blocked_by(struct entry_check *check, unsigned what)
{
    return entry_read(check, VMCS_GUEST_INTERRUPTIBILITY) & what;
}

static bool activity_unsupported(struct entry_check *check)
{
    const unsigned state = activity(check);

    return state > VMX_WAIT_FOR_SIPI ||
           (state != VMX_ACTIVE && !(MISC_STATES(capability(check, MSR_VMX_MISC)) >> (state - 1) & 1));
}

static bool injects_exception(struct entry_check *check, unsigned vector)
{
    return injects(check, VMX_EVENT_EXCEPTION) &&
           VMX_EVENT_VECTOR(entry_read(check, VMCS_ENTRY_EVENT)) == vector;
}

/* What may be injected into a processor that is not active: what would wake it. */
static bool event_blocked_by_activity(struct entry_check *check)
{
    if (!(entry_read(check, VMCS_ENTRY_EVENT) & VMX_EVENT_VALID)) {
        return false;
    }
    switch (activity(check)) {
    case VMX_HALTED:
        return !injects(check, VMX_EVENT_INTERRUPT) && !injects(check, VMX_EVENT_NMI) &&
               !injects(check, VMX_EVENT_OTHER) && !injects_exception(check, 1) &&
               !injects_exception(check, 18);
    case VMX_SHUT_DOWN: return !injects(check, VMX_EVENT_NMI) && !injects_exception(check, 18);
    case VMX_WAIT_FOR_SIPI: return true;
    default: return false;
    }
}

static void rules_of_activity(struct entry_check *check)
{
    REFUSE_IF(check, activity_unsupported(check), "the processor does not support the activity state");
    REFUSE_IF(check, activity(check) == VMX_HALTED && guest_rights(check, SS) & VMX_RIGHTS_DPL,
              "the guest is halted, and the DPL of its SS is not 0");
    REFUSE_IF(check,
              activity(check) != VMX_ACTIVE && blocked_by(check, VMX_BLOCKED_BY_STI | VMX_BLOCKED_BY_MOV_SS),
              "the guest is not active, and there is blocking by STI or by MOV SS");
    REFUSE_IF(check, event_blocked_by_activity(check), "an event is injected that the activity state blocks");
}

static void rules_of_interruptibility(struct entry_check *check)
{
    REFUSE_IF(check, entry_read(check, VMCS_GUEST_INTERRUPTIBILITY) & STATE_RESERVED,
              "the interruptibility state sets reserved bits");
    REFUSE_IF(check, blocked_by(check, VMX_BLOCKED_BY_STI) && blocked_by(check, VMX_BLOCKED_BY_MOV_SS),
              "there is blocking by STI and by MOV SS at once");
    REFUSE_IF(check, blocked_by(check, VMX_BLOCKED_BY_STI) && !guest_has_flag(check, RFLAGS_IF),
              "there is blocking by STI, and RFLAGS.IF is 0");
    REFUSE_IF(check,
              injects(check, VMX_EVENT_INTERRUPT) &&
                  blocked_by(check, VMX_BLOCKED_BY_STI | VMX_BLOCKED_BY_MOV_SS),
              "an external interrupt is injected while there is blocking by STI or by MOV SS");
    REFUSE_IF(check, injects(check, VMX_EVENT_NMI) && blocked_by(check, VMX_BLOCKED_BY_MOV_SS),
              "an NMI is injected while there is blocking by MOV SS");
    REFUSE_IF(check, injects(check, VMX_EVENT_NMI) && blocked_by(check, VMX_BLOCKED_BY_STI),
              "an NMI is injected while there is blocking by STI, which some processors refuse");
    REFUSE_IF(check, blocked_by(check, VMX_BLOCKED_BY_SMI), "there is blocking by SMI outside SMM");
    REFUSE_IF(check,
              pin_has(check, VMX_PIN_VIRTUAL_NMIS) && injects(check, VMX_EVENT_NMI) &&
                  blocked_by(check, VMX_BLOCKED_BY_NMI),
              "an NMI is injected while virtual NMIs are blocked");
    REFUSE_IF(check,
              entry_read(check, VMCS_GUEST_INTERRUPTIBILITY) & STATE_ENCLAVE &&
                  (blocked_by(check, VMX_BLOCKED_BY_MOV_SS) ||
                   !(entry_read(check, ENTRY_KEY_CPUID_FEATURES) & FEATURE_SGX)),
              "an enclave was interrupted under blocking by MOV SS, or there are no enclaves");
}

/* A single step is pending exactly if the guest steps, wherever it could not be delivered yet. */
static bool single_step_disagrees(struct entry_check *check)
{
    const bool steps =
        guest_has_flag(check, RFLAGS_TF) && !(entry_read(check, VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF);
    const bool pending = entry_read(check, VMCS_GUEST_PENDING_DEBUG) & VMX_PENDING_SINGLE_STEP;

    return (blocked_by(check, VMX_BLOCKED_BY_STI | VMX_BLOCKED_BY_MOV_SS) || activity(check) == VMX_HALTED) &&
           steps != pending;
}

static bool bad_rtm_pending(struct entry_check *check)
{
    const uint64_t pending = entry_read(check, VMCS_GUEST_PENDING_DEBUG);

    return pending & VMX_PENDING_RTM && ((pending & ~VMX_PENDING_RTM) != VMX_PENDING_ENABLED ||
                                         !(entry_read(check, ENTRY_KEY_CPUID_FEATURES) & FEATURE_RTM) ||
                                         blocked_by(check, VMX_BLOCKED_BY_MOV_SS));
}

static void rules_of_pending_debug(struct entry_check *check)
{
    REFUSE_IF(check, entry_read(check, VMCS_GUEST_PENDING_DEBUG) & PENDING_RESERVED,
              "the pending debug exceptions set reserved bits");
    REFUSE_IF(check, single_step_disagrees(check),
              "the pending single step is not what RFLAGS.TF and DEBUGCTL.BTF make of the guest");
    REFUSE_IF(check, bad_rtm_pending(check), "a debug exception of a transaction is pending that cannot be");
}

static bool linked(struct entry_check *check)
{
    return entry_read(check, VMCS_LINK) != VMX_LINK_NONE;
}

static bool bad_linked_revision(struct entry_check *check)
{
    const uint64_t revision = entry_read(check, ENTRY_KEY_LINK_REVISION);

    return (revision & BITS64(30, 0)) != (capability(check, MSR_VMX_BASIC) & BITS64(30, 0)) ||
           !(revision & REVISION_SHADOW) == proc2_has(check, VMX_PROC2_VMCS_SHADOWING);
}

static void rules_of_link(struct entry_check *check)
{
    REFUSE_IF(check, linked(check) && no_structure_page(check, entry_read(check, VMCS_LINK)),
              "the VMCS link pointer is no page");
    REFUSE_IF(check, linked(check) && bad_linked_revision(check),
              "the linked VMCS has another revision, or is a shadow and should not be, or the reverse");
    REFUSE_IF(check,
              linked(check) && entry_read(check, VMCS_LINK) == entry_read(check, ENTRY_KEY_CURRENT_VMCS),
              "the current VMCS is linked to itself");
}

void entry_rules_of_guest_state(struct entry_check *check)
{
    rules_of_activity(check);
    rules_of_interruptibility(check);
    rules_of_pending_debug(check);
    rules_of_link(check);
}

static bool pae_guest(struct entry_check *check)
{
    return guest_cr0_has(check, VMMU_X86_CR0_PG) && entry_read(check, VMCS_GUEST_CR4) & VMMU_X86_CR4_PAE &&
           !long_guest(check);
}

static bool bad_pdptes(struct entry_check *check, unsigned key, unsigned stride)
{
    bool bad = false;

    for (unsigned i = 0; i < 4; i++) {
        const uint64_t entry = entry_read(check, key + i * stride);

        bad |= entry & PDPTE_PRESENT && (entry & PDPTE_RESERVED || beyond_physical(check, entry));
    }
    return bad;
}

/* With EPT they are fields, for the guest's memory may change; without it the processor looks where CR3 says. */
void entry_rules_of_guest_pdptes(struct entry_check *check)
{
    REFUSE_IF(check,
              pae_guest(check) && proc2_has(check, VMX_PROC2_EPT) && bad_pdptes(check, VMCS_GUEST_PDPTE0, 2),
              "a PDPTE field sets reserved bits");
    REFUSE_IF(check,
              pae_guest(check) && !proc2_has(check, VMX_PROC2_EPT) && bad_pdptes(check, ENTRY_KEY_PDPTE, 1),
              "a PDPTE at CR3 sets reserved bits");
}

/* What WRMSR would make of the value is the MSR's own affair; which may not be in the area at all is told here. */
static bool bad_loaded_msr(struct entry_check *check, unsigned i)
{
    const uint64_t first = entry_read(check, ENTRY_KEY_MSR_LOAD + 2 * i);
    const uint32_t msr = (uint32_t)first;

    return first >> 32 || msr == MSR_FS_BASE || msr == MSR_GS_BASE || msr == MSR_SMM_MONITOR_CTL ||
           MSR_OF_X2APIC(msr);
}

static bool bad_loaded_msrs(struct entry_check *check)
{
    const uint64_t count = entry_read(check, VMCS_ENTRY_MSR_LOADS);

    for (unsigned i = 0; i < count && i < MSR_AREA_SHOWN; i++) {
        if (bad_loaded_msr(check, i)) {
            return true;
        }
    }
    return false;
}

void entry_rules_of_loaded_msrs(struct entry_check *check)
{
    REFUSE_IF(check, entry_read(check, VMCS_ENTRY_MSR_LOADS) > MSR_AREA_SHOWN,
              "the VM-entry MSR-load area is longer than a record shows");
    REFUSE_IF(check, bad_loaded_msrs(check), "the VM-entry MSR-load area names an MSR that it may not");
}
