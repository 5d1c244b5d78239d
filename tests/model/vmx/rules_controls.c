/* Spec: SDM 3C "Checks on VMX Controls": "VM-Execution Control Fields", "VM-Exit Control Fields", "VM-Entry Control Fields". */
#include "tests/model/vmx/rules.h"

#define BASIC_TRUE_CONTROLS  BIT64(55)
#define BASIC_ANY_ERROR_CODE BIT64(56)
#define TRUE_CONTROLS        12u /* from an MSR of 481H-484H to its TRUE one */
#define MISC_TARGETS(misc)   ((misc) >> 16 & 0x1FF)
#define MISC_LONGEST(misc)   ((((misc) >> 25 & 7) + 1) * 512)
#define MISC_ZERO_LENGTH     BIT64(30)
#define MSR_AREA_ENTRY_BYTES 16
#define EPT_CAP_WALK_4       BIT64(6)
#define EPT_CAP_WALK_5       BIT64(7)
#define EPT_CAP_UC           BIT64(8)
#define EPT_CAP_WB           BIT64(14)
#define EPT_CAP_MARKS        BIT64(21)
#define EPT_CAP_SHADOW_STACK BIT64(23)
#define EPTP_MARKS           BIT64(6)
#define EPTP_SHADOW_STACK    BIT64(7)
#define EPTP_RESERVED        BITS64(11, 8)
#define FUNCTION_SWITCH_EPTP BIT64(0)
#define EVENT_RESERVED       BITS64(30, 12)
#define WITH_ERROR_CODE      (1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17)

/*
 * Controls whose rules are all here: those that vmcs.h names, but the tertiary ones. A guest that is entered with another
 * one cannot be judged.
 */
#define KNOWN_PIN            0x000000E9u
#define KNOWN_PROC           0xFBF99E8Cu
#define KNOWN_PROC2          0x06DFFFFFu
#define KNOWN_EXIT           0x31FC9204u
#define KNOWN_ENTRY          0x0053EE04u

/* Low half of a capability MSR: bits that must be 1; high half: bits that may be. */
static uint64_t allowed(struct entry_check *check, unsigned msr)
{
    const bool has_true = capability(check, MSR_VMX_BASIC) & BASIC_TRUE_CONTROLS;

    return capability(check, msr == MSR_VMX_PROC2 || !has_true ? msr : msr + TRUE_CONTROLS);
}

static bool not_allowed(struct entry_check *check, unsigned field, unsigned msr)
{
    const uint64_t settings = allowed(check, msr);
    const uint64_t value = entry_read(check, field);

    return ((settings & ~value) & UINT32_MAX) || value & ~(settings >> 32);
}

/* Sets a control of which the model knows nothing. What a processor wants to be 1 is no control. */
static bool not_known(struct entry_check *check, unsigned field, unsigned msr, uint32_t known)
{
    return entry_read(check, field) & ~(uint64_t)known & ~(allowed(check, msr) & UINT32_MAX);
}

static bool secondary(struct entry_check *check)
{
    return proc_has(check, VMX_PROC_SECONDARY);
}

static void rules_of_settings(struct entry_check *check)
{
    REFUSE_IF(check, not_allowed(check, VMCS_PIN_CONTROLS, 0x481),
              "the pin-based controls are not as the processor allows");
    REFUSE_IF(check, not_allowed(check, VMCS_PROCESSOR_CONTROLS, 0x482),
              "the primary processor-based controls are not as the processor allows");
    REFUSE_IF(check, secondary(check) && not_allowed(check, VMCS_PROCESSOR_CONTROLS2, MSR_VMX_PROC2),
              "the secondary processor-based controls are not as the processor allows");
    REFUSE_IF(check, not_known(check, VMCS_PIN_CONTROLS, 0x481, KNOWN_PIN),
              "a pin-based control is on that this model has no rules for");
    REFUSE_IF(check, not_known(check, VMCS_PROCESSOR_CONTROLS, 0x482, KNOWN_PROC),
              "a primary processor-based control is on that this model has no rules for");
    REFUSE_IF(check,
              secondary(check) && not_known(check, VMCS_PROCESSOR_CONTROLS2, MSR_VMX_PROC2, KNOWN_PROC2),
              "a secondary processor-based control is on that this model has no rules for");
    REFUSE_IF(check, entry_read(check, VMCS_CR3_TARGETS) > MISC_TARGETS(capability(check, MSR_VMX_MISC)),
              "there are more CR3 targets than the processor has");
}

static bool structure_page(struct entry_check *check, unsigned field)
{
    return !no_structure_page(check, entry_read(check, field));
}

static void rules_of_bitmaps(struct entry_check *check)
{
    REFUSE_IF(check,
              proc_has(check, VMX_PROC_IO_BITMAPS) &&
                  (!structure_page(check, VMCS_IO_BITMAP_A) || !structure_page(check, VMCS_IO_BITMAP_B)),
              "an I/O bitmap is in use whose address is no page");
    REFUSE_IF(check, proc_has(check, VMX_PROC_MSR_BITMAPS) && !structure_page(check, VMCS_MSR_BITMAP),
              "the MSR bitmap is in use, and its address is no page");
    REFUSE_IF(check,
              proc2_has(check, VMX_PROC2_VMCS_SHADOWING) &&
                  (!structure_page(check, VMCS_VMREAD_BITMAP) || !structure_page(check, VMCS_VMWRITE_BITMAP)),
              "VMCS shadowing is on, and the address of a bitmap is no page");
    REFUSE_IF(check,
              proc2_has(check, VMX_PROC2_EPT_VIOLATION_VE) &&
                  !structure_page(check, VMCS_EXCEPTION_INFORMATION),
              "virtualization exceptions are on, and the address of their page is no page");
}

/* The threshold stands against VTPR in memory, unless virtual interrupts look after it or APIC accesses would exit. */
static bool threshold_above_vtpr(struct entry_check *check)
{
    return proc_has(check, VMX_PROC_TPR_SHADOW) &&
           !proc2_has(check, VMX_PROC2_VIRTUAL_APIC | VMX_PROC2_VIRTUAL_INTERRUPTS) &&
           (entry_read(check, VMCS_TPR_THRESHOLD) & 15) > (entry_read(check, ENTRY_KEY_VTPR) >> 4 & 15);
}

static void rules_of_virtual_apic(struct entry_check *check)
{
    REFUSE_IF(check, proc_has(check, VMX_PROC_TPR_SHADOW) && !structure_page(check, VMCS_VIRTUAL_APIC),
              "the TPR shadow is in use, and the virtual-APIC address is no page");
    REFUSE_IF(check,
              proc_has(check, VMX_PROC_TPR_SHADOW) && !proc2_has(check, VMX_PROC2_VIRTUAL_INTERRUPTS) &&
                  entry_read(check, VMCS_TPR_THRESHOLD) & ~UINT64_C(15),
              "bits 31:4 of the TPR threshold are not 0");
    REFUSE_IF(check, threshold_above_vtpr(check), "the TPR threshold is above bits 7:4 of VTPR");
    REFUSE_IF(check, proc2_has(check, VMX_PROC2_VIRTUAL_APIC) && !structure_page(check, VMCS_APIC_ACCESS),
              "APIC accesses are virtualized, and the APIC-access address is no page");
    REFUSE_IF(check,
              !proc_has(check, VMX_PROC_TPR_SHADOW) &&
                  proc2_has(check, VMX_PROC2_VIRTUAL_X2APIC | VMX_PROC2_APIC_REGISTERS |
                                       VMX_PROC2_VIRTUAL_INTERRUPTS),
              "the APIC is virtualized in part without a TPR shadow");
    REFUSE_IF(check, proc2_has(check, VMX_PROC2_VIRTUAL_X2APIC) && proc2_has(check, VMX_PROC2_VIRTUAL_APIC),
              "both x2APIC mode and APIC accesses are virtualized");
}

static void rules_of_interrupts(struct entry_check *check)
{
    REFUSE_IF(check, !pin_has(check, VMX_PIN_NMI) && pin_has(check, VMX_PIN_VIRTUAL_NMIS),
              "NMIs are virtual, and do not exit");
    REFUSE_IF(check, !pin_has(check, VMX_PIN_VIRTUAL_NMIS) && proc_has(check, VMX_PROC_NMI_WINDOW),
              "an NMI window is open, and NMIs are not virtual");
    REFUSE_IF(check,
              proc2_has(check, VMX_PROC2_VIRTUAL_INTERRUPTS) && !pin_has(check, VMX_PIN_EXTERNAL_INTERRUPT),
              "virtual interrupts are delivered, and external interrupts do not exit");
    REFUSE_IF(check,
              pin_has(check, VMX_PIN_POSTED_INTERRUPTS) && !proc2_has(check, VMX_PROC2_VIRTUAL_INTERRUPTS),
              "interrupts are posted, and virtual interrupts are not delivered");
    REFUSE_IF(check,
              pin_has(check, VMX_PIN_POSTED_INTERRUPTS) && !exit_has(check, VMX_EXIT_ACKNOWLEDGE_INTERRUPT),
              "interrupts are posted, and exits do not acknowledge them");
    REFUSE_IF(check,
              pin_has(check, VMX_PIN_POSTED_INTERRUPTS) &&
                  entry_read(check, VMCS_POSTED_INTERRUPT_VECTOR) >> 8,
              "interrupts are posted, and bits 15:8 of their vector are not 0");
    REFUSE_IF(check,
              pin_has(check, VMX_PIN_POSTED_INTERRUPTS) &&
                  (entry_read(check, VMCS_POSTED_INTERRUPT) & 63 ||
                   beyond_structures(check, entry_read(check, VMCS_POSTED_INTERRUPT))),
              "interrupts are posted, and the address of their descriptor is no line of memory");
}

static bool eptp_type_unsupported(struct entry_check *check)
{
    const uint64_t offered = capability(check, MSR_VMX_EPT_VPID_CAP);

    switch (entry_read(check, VMCS_EPTP) & 7) {
    case 0: return !(offered & EPT_CAP_UC);
    case 6: return !(offered & EPT_CAP_WB);
    default: return true;
    }
}

static bool eptp_depth_unsupported(struct entry_check *check)
{
    const uint64_t offered = capability(check, MSR_VMX_EPT_VPID_CAP);

    switch (entry_read(check, VMCS_EPTP) >> 3 & 7) {
    case 3: return !(offered & EPT_CAP_WALK_4);
    case 4: return !(offered & EPT_CAP_WALK_5);
    default: return true;
    }
}

static bool eptp_sets(struct entry_check *check, uint64_t bit, uint64_t offer)
{
    return entry_read(check, VMCS_EPTP) & bit && !(capability(check, MSR_VMX_EPT_VPID_CAP) & offer);
}

static void rules_of_eptp(struct entry_check *check)
{
    REFUSE_IF(check, proc2_has(check, VMX_PROC2_VPID) && entry_read(check, VMCS_VPID) == 0,
              "VPIDs are on, and the VPID is 0000H");
    REFUSE_IF(check, proc2_has(check, VMX_PROC2_EPT) && eptp_type_unsupported(check),
              "the EPTP has a memory type that the processor does not support");
    REFUSE_IF(check, proc2_has(check, VMX_PROC2_EPT) && eptp_depth_unsupported(check),
              "the EPTP has a page-walk length that the processor does not support");
    REFUSE_IF(check, proc2_has(check, VMX_PROC2_EPT) && eptp_sets(check, EPTP_MARKS, EPT_CAP_MARKS),
              "the EPTP wants accessed and dirty flags that the processor does not have");
    REFUSE_IF(check,
              proc2_has(check, VMX_PROC2_EPT) && eptp_sets(check, EPTP_SHADOW_STACK, EPT_CAP_SHADOW_STACK),
              "the EPTP wants supervisor shadow-stack pages that the processor does not have");
    REFUSE_IF(check,
              proc2_has(check, VMX_PROC2_EPT) && (entry_read(check, VMCS_EPTP) & EPTP_RESERVED ||
                                                  beyond_physical(check, entry_read(check, VMCS_EPTP))),
              "the EPTP sets reserved bits");
}

static void rules_of_what_needs_ept(struct entry_check *check)
{
    REFUSE_IF(check, !proc2_has(check, VMX_PROC2_EPT) && proc2_has(check, VMX_PROC2_PML),
              "page-modification logging is on without EPT");
    REFUSE_IF(check, proc2_has(check, VMX_PROC2_PML) && !structure_page(check, VMCS_PML_ADDRESS),
              "page-modification logging is on, and the log's address is no page");
    REFUSE_IF(check, !proc2_has(check, VMX_PROC2_EPT) && unrestricted(check),
              "the guest is unrestricted without EPT");
    REFUSE_IF(check, !proc2_has(check, VMX_PROC2_EPT) && proc2_has(check, VMX_PROC2_MODE_BASED_EXECUTE),
              "EPT's execute control is based on the mode without EPT");
    REFUSE_IF(check, !proc2_has(check, VMX_PROC2_EPT) && proc2_has(check, VMX_PROC2_SUB_PAGE_WRITES),
              "sub-page write permissions are on without EPT");
    REFUSE_IF(check,
              proc2_has(check, VMX_PROC2_SUB_PAGE_WRITES) && !structure_page(check, VMCS_SUB_PAGE_TABLE),
              "sub-page write permissions are on, and their table's address is no page");
    REFUSE_IF(check,
              proc2_has(check, VMX_PROC2_VM_FUNCTIONS) &&
                  entry_read(check, VMCS_FUNCTIONS) & ~capability(check, MSR_VMX_VMFUNC),
              "a VM function is on that the processor does not have");
    REFUSE_IF(check,
              proc2_has(check, VMX_PROC2_VM_FUNCTIONS) &&
                  entry_read(check, VMCS_FUNCTIONS) & FUNCTION_SWITCH_EPTP &&
                  !proc2_has(check, VMX_PROC2_EPT),
              "EPTP switching is on without EPT");
    REFUSE_IF(check,
              proc2_has(check, VMX_PROC2_VM_FUNCTIONS) &&
                  entry_read(check, VMCS_FUNCTIONS) & FUNCTION_SWITCH_EPTP &&
                  !structure_page(check, VMCS_EPTP_LIST),
              "EPTP switching is on, and the list's address is no page");
}

void entry_rules_of_execution_controls(struct entry_check *check)
{
    rules_of_settings(check);
    rules_of_bitmaps(check);
    rules_of_virtual_apic(check);
    rules_of_interrupts(check);
    rules_of_eptp(check);
    rules_of_what_needs_ept(check);
}

/* An area of MSRs must lie on 16 bytes, and end below the last address; the manual recommends a longest one. */
static bool bad_area(struct entry_check *check, unsigned count_field, unsigned address_field)
{
    const uint64_t count = entry_read(check, count_field);
    uint64_t first;

    if (count == 0) {
        return false;
    }
    first = entry_read(check, address_field);
    return first % MSR_AREA_ENTRY_BYTES || beyond_structures(check, first) ||
           beyond_structures(check, first + count * MSR_AREA_ENTRY_BYTES - 1);
}

static bool long_area(struct entry_check *check, unsigned count_field)
{
    return entry_read(check, count_field) > MISC_LONGEST(capability(check, MSR_VMX_MISC));
}

void entry_rules_of_exit_controls(struct entry_check *check)
{
    REFUSE_IF(check, not_allowed(check, VMCS_EXIT_CONTROLS, 0x483),
              "the VM-exit controls are not as the processor allows");
    REFUSE_IF(check, not_known(check, VMCS_EXIT_CONTROLS, 0x483, KNOWN_EXIT),
              "a VM-exit control is on that this model has no rules for");
    REFUSE_IF(check,
              !pin_has(check, VMX_PIN_PREEMPTION_TIMER) && exit_has(check, VMX_EXIT_SAVE_PREEMPTION_TIMER),
              "the preemption timer's value is saved, and the timer is off");
    REFUSE_IF(check, bad_area(check, VMCS_EXIT_MSR_STORES, VMCS_EXIT_MSR_STORE),
              "the VM-exit MSR-store area lies where it may not");
    REFUSE_IF(check, bad_area(check, VMCS_EXIT_MSR_LOADS, VMCS_EXIT_MSR_LOAD),
              "the VM-exit MSR-load area lies where it may not");
    REFUSE_IF(check, long_area(check, VMCS_EXIT_MSR_STORES) || long_area(check, VMCS_EXIT_MSR_LOADS),
              "an area of MSRs of exits is longer than the processor recommends");
}

/* --- VM entry's --- */

static uint64_t event(struct entry_check *check)
{
    const uint64_t value = entry_read(check, VMCS_ENTRY_EVENT);

    return value & VMX_EVENT_VALID ? value : 0;
}

static bool event_type_reserved(struct entry_check *check)
{
    const unsigned type = (unsigned)(event(check) >> VMX_EVENT_TYPE_SHIFT) & 7;

    return type == 1 || (type == VMX_EVENT_OTHER && !(allowed(check, 0x482) >> 32 & VMX_PROC_MONITOR_TRAP));
}

static bool event_vector_wrong(struct entry_check *check)
{
    const unsigned vector = VMX_EVENT_VECTOR(event(check));

    return (injects(check, VMX_EVENT_NMI) && vector != 2) ||
           (injects(check, VMX_EVENT_EXCEPTION) && vector > 31) ||
           (injects(check, VMX_EVENT_OTHER) && vector != 0);
}

/* Exceptions push their error code in protected mode, and there alone; newer processors let software decide. */
static bool lacks_error_code(struct entry_check *check)
{
    return injects(check, VMX_EVENT_EXCEPTION) && guest_cr0_has(check, VMMU_X86_CR0_PE) &&
           !(capability(check, MSR_VMX_BASIC) & BASIC_ANY_ERROR_CODE) &&
           WITH_ERROR_CODE >> (event(check) & 31) & 1 && !(event(check) & VMX_EVENT_HAS_ERROR);
}

static bool has_wrong_error_code(struct entry_check *check)
{
    if (!(event(check) & VMX_EVENT_HAS_ERROR)) {
        return false;
    }
    return !injects(check, VMX_EVENT_EXCEPTION) || !guest_cr0_has(check, VMMU_X86_CR0_PE) ||
           (!(capability(check, MSR_VMX_BASIC) & BASIC_ANY_ERROR_CODE) &&
            !(WITH_ERROR_CODE >> (event(check) & 31) & 1));
}

static bool by_instruction(struct entry_check *check)
{
    return injects(check, VMX_EVENT_SOFTWARE_INTERRUPT) ||
           injects(check, VMX_EVENT_PRIVILEGED_SOFTWARE_EXCEPTION) ||
           injects(check, VMX_EVENT_SOFTWARE_EXCEPTION);
}

static void rules_of_events(struct entry_check *check)
{
    REFUSE_IF(check, event_type_reserved(check), "the event to inject has a reserved type");
    REFUSE_IF(check, event_vector_wrong(check), "the event to inject has a vector that its type cannot have");
    REFUSE_IF(check, lacks_error_code(check), "the exception to inject lacks its error code");
    REFUSE_IF(check, has_wrong_error_code(check),
              "the event to inject has an error code that it cannot have");
    REFUSE_IF(check, event(check) & EVENT_RESERVED, "the event to inject sets reserved bits");
    REFUSE_IF(check,
              event(check) & VMX_EVENT_HAS_ERROR && entry_read(check, VMCS_ENTRY_ERROR_CODE) & ~BITS64(15, 0),
              "bits 31:16 of the error code to inject are not 0");
    REFUSE_IF(check, by_instruction(check) && entry_read(check, VMCS_ENTRY_INSTRUCTION_BYTES) > 15,
              "the instruction whose event is injected is longer than 15 bytes");
    REFUSE_IF(check,
              by_instruction(check) && entry_read(check, VMCS_ENTRY_INSTRUCTION_BYTES) == 0 &&
                  !(capability(check, MSR_VMX_MISC) & MISC_ZERO_LENGTH),
              "the instruction whose event is injected has no length");
}

void entry_rules_of_entry_controls(struct entry_check *check)
{
    REFUSE_IF(check, not_allowed(check, VMCS_ENTRY_CONTROLS, 0x484),
              "the VM-entry controls are not as the processor allows");
    REFUSE_IF(check, not_known(check, VMCS_ENTRY_CONTROLS, 0x484, KNOWN_ENTRY),
              "a VM-entry control is on that this model has no rules for");
    rules_of_events(check);
    REFUSE_IF(check, bad_area(check, VMCS_ENTRY_MSR_LOADS, VMCS_ENTRY_MSR_LOAD),
              "the VM-entry MSR-load area lies where it may not");
    REFUSE_IF(check, long_area(check, VMCS_ENTRY_MSR_LOADS),
              "the VM-entry MSR-load area is longer than the processor recommends");
    REFUSE_IF(check, entry_has(check, VMX_ENTRY_SMM | VMX_ENTRY_DEACTIVATE_DUAL_MONITOR),
              "an entry outside SMM would enter SMM, or end its dual-monitor treatment");
}
