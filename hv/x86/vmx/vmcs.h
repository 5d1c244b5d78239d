/*
 * The virtual machine control structure's fields, and the names of their bits. Known in this folder, and to the
 * hosted model of what VM entry checks; it holds no instruction: see instructions.h.
 *
 * Spec: SDM 3C "Field Encoding in VMCS", "Virtual Machine Control Structures", "VMX Basic Exit Reasons".
 */
#ifndef HV_X86_VMX_VMCS_H
#define HV_X86_VMX_VMCS_H

#include <vmmu/base.h>

/*
 * Operands of VMREAD and VMWRITE. Bits 14:13 are the width, 11:10 the kind: see the helpers below. A 64-bit
 * field is read and written as one; the odd encodings that reach upper halves are for 32-bit hosts.
 *
 * Fields that belong to a control exist only where the processor offers that control.
 */
enum vmcs_field {
    /* 16 bits: control, guest, host. */
    VMCS_VPID = 0x0000,
    VMCS_POSTED_INTERRUPT_VECTOR = 0x0002,
    VMCS_EPTP_INDEX = 0x0004,
    VMCS_GUEST_ES_SELECTOR = 0x0800,
    VMCS_GUEST_CS_SELECTOR = 0x0802,
    VMCS_GUEST_SS_SELECTOR = 0x0804,
    VMCS_GUEST_DS_SELECTOR = 0x0806,
    VMCS_GUEST_FS_SELECTOR = 0x0808,
    VMCS_GUEST_GS_SELECTOR = 0x080A,
    VMCS_GUEST_LDTR_SELECTOR = 0x080C,
    VMCS_GUEST_TR_SELECTOR = 0x080E,
    VMCS_GUEST_INTERRUPT_STATUS = 0x0810,
    VMCS_PML_INDEX = 0x0812,
    VMCS_HOST_ES_SELECTOR = 0x0C00,
    VMCS_HOST_CS_SELECTOR = 0x0C02,
    VMCS_HOST_SS_SELECTOR = 0x0C04,
    VMCS_HOST_DS_SELECTOR = 0x0C06,
    VMCS_HOST_FS_SELECTOR = 0x0C08,
    VMCS_HOST_GS_SELECTOR = 0x0C0A,
    VMCS_HOST_TR_SELECTOR = 0x0C0C,

    /* 64 bits: control. */
    VMCS_IO_BITMAP_A = 0x2000,
    VMCS_IO_BITMAP_B = 0x2002,
    VMCS_MSR_BITMAP = 0x2004,
    VMCS_EXIT_MSR_STORE = 0x2006,
    VMCS_EXIT_MSR_LOAD = 0x2008,
    VMCS_ENTRY_MSR_LOAD = 0x200A,
    VMCS_EXECUTIVE = 0x200C,
    VMCS_PML_ADDRESS = 0x200E,
    VMCS_TSC_OFFSET = 0x2010,
    VMCS_VIRTUAL_APIC = 0x2012,
    VMCS_APIC_ACCESS = 0x2014,
    VMCS_POSTED_INTERRUPT = 0x2016,
    VMCS_FUNCTIONS = 0x2018,
    VMCS_EPTP = 0x201A,
    VMCS_EOI_EXIT0 = 0x201C,
    VMCS_EOI_EXIT1 = 0x201E,
    VMCS_EOI_EXIT2 = 0x2020,
    VMCS_EOI_EXIT3 = 0x2022,
    VMCS_EPTP_LIST = 0x2024,
    VMCS_VMREAD_BITMAP = 0x2026,
    VMCS_VMWRITE_BITMAP = 0x2028,
    VMCS_EXCEPTION_INFORMATION = 0x202A,
    VMCS_XSS_EXIT_BITMAP = 0x202C,
    VMCS_ENCLS_EXIT_BITMAP = 0x202E,
    VMCS_TSC_MULTIPLIER = 0x2032,

    /* 64 bits: read-only. */
    VMCS_GUEST_PHYSICAL = 0x2400,

    /* 64 bits: guest. */
    VMCS_LINK = 0x2800, /* VMCS link pointer: all ones unless VMCS shadowing is on */
    VMCS_GUEST_DEBUGCTL = 0x2802,
    VMCS_GUEST_PAT = 0x2804,
    VMCS_GUEST_EFER = 0x2806,
    VMCS_GUEST_PERF_GLOBAL_CTRL = 0x2808,
    VMCS_GUEST_PDPTE0 = 0x280A,
    VMCS_GUEST_PDPTE1 = 0x280C,
    VMCS_GUEST_PDPTE2 = 0x280E,
    VMCS_GUEST_PDPTE3 = 0x2810,
    VMCS_GUEST_BNDCFGS = 0x2812,
    VMCS_GUEST_PKRS = 0x2818,

    /* 64 bits: host. */
    VMCS_HOST_PAT = 0x2C00,
    VMCS_HOST_EFER = 0x2C02,
    VMCS_HOST_PERF_GLOBAL_CTRL = 0x2C04,
    VMCS_HOST_PKRS = 0x2C06,

    /* 32 bits: control. */
    VMCS_PIN_CONTROLS = 0x4000,
    VMCS_PROCESSOR_CONTROLS = 0x4002,
    VMCS_EXCEPTION_BITMAP = 0x4004,
    VMCS_PAGE_FAULT_MASK = 0x4006,
    VMCS_PAGE_FAULT_MATCH = 0x4008,
    VMCS_CR3_TARGETS = 0x400A,
    VMCS_EXIT_CONTROLS = 0x400C,
    VMCS_EXIT_MSR_STORES = 0x400E,
    VMCS_EXIT_MSR_LOADS = 0x4010,
    VMCS_ENTRY_CONTROLS = 0x4012,
    VMCS_ENTRY_MSR_LOADS = 0x4014,
    VMCS_ENTRY_EVENT = 0x4016,
    VMCS_ENTRY_ERROR_CODE = 0x4018,
    VMCS_ENTRY_INSTRUCTION_BYTES = 0x401A,
    VMCS_TPR_THRESHOLD = 0x401C,
    VMCS_PROCESSOR_CONTROLS2 = 0x401E,
    VMCS_PAUSE_LOOP_GAP = 0x4020,
    VMCS_PAUSE_LOOP_WINDOW = 0x4022,

    /* 32 bits: read-only. */
    VMCS_INSTRUCTION_ERROR = 0x4400,
    VMCS_EXIT_REASON = 0x4402,
    VMCS_EXIT_EVENT = 0x4404,
    VMCS_EXIT_EVENT_ERROR_CODE = 0x4406,
    VMCS_IDT_VECTORING = 0x4408,
    VMCS_IDT_VECTORING_ERROR_CODE = 0x440A,
    VMCS_EXIT_INSTRUCTION_BYTES = 0x440C,
    VMCS_EXIT_INSTRUCTION = 0x440E,

    /* 32 bits: guest. */
    VMCS_GUEST_ES_LIMIT = 0x4800,
    VMCS_GUEST_CS_LIMIT = 0x4802,
    VMCS_GUEST_SS_LIMIT = 0x4804,
    VMCS_GUEST_DS_LIMIT = 0x4806,
    VMCS_GUEST_FS_LIMIT = 0x4808,
    VMCS_GUEST_GS_LIMIT = 0x480A,
    VMCS_GUEST_LDTR_LIMIT = 0x480C,
    VMCS_GUEST_TR_LIMIT = 0x480E,
    VMCS_GUEST_GDTR_LIMIT = 0x4810,
    VMCS_GUEST_IDTR_LIMIT = 0x4812,
    VMCS_GUEST_ES_RIGHTS = 0x4814,
    VMCS_GUEST_CS_RIGHTS = 0x4816,
    VMCS_GUEST_SS_RIGHTS = 0x4818,
    VMCS_GUEST_DS_RIGHTS = 0x481A,
    VMCS_GUEST_FS_RIGHTS = 0x481C,
    VMCS_GUEST_GS_RIGHTS = 0x481E,
    VMCS_GUEST_LDTR_RIGHTS = 0x4820,
    VMCS_GUEST_TR_RIGHTS = 0x4822,
    VMCS_GUEST_INTERRUPTIBILITY = 0x4824,
    VMCS_GUEST_ACTIVITY = 0x4826,
    VMCS_GUEST_SMBASE = 0x4828,
    VMCS_GUEST_SYSENTER_CS = 0x482A,
    VMCS_PREEMPTION_TIMER = 0x482E,

    /* 32 bits: host. */
    VMCS_HOST_SYSENTER_CS = 0x4C00,

    /* The width of the host's registers: control. */
    VMCS_CR0_MASK = 0x6000,
    VMCS_CR4_MASK = 0x6002,
    VMCS_CR0_SHADOW = 0x6004,
    VMCS_CR4_SHADOW = 0x6006,
    VMCS_CR3_TARGET0 = 0x6008,
    VMCS_CR3_TARGET1 = 0x600A,
    VMCS_CR3_TARGET2 = 0x600C,
    VMCS_CR3_TARGET3 = 0x600E,

    /* The width of registers: read-only. */
    VMCS_EXIT_QUALIFICATION = 0x6400,
    VMCS_IO_RCX = 0x6402,
    VMCS_IO_RSI = 0x6404,
    VMCS_IO_RDI = 0x6406,
    VMCS_IO_RIP = 0x6408,
    VMCS_GUEST_LINEAR = 0x640A,

    /* The width of registers: guest. */
    VMCS_GUEST_CR0 = 0x6800,
    VMCS_GUEST_CR3 = 0x6802,
    VMCS_GUEST_CR4 = 0x6804,
    VMCS_GUEST_ES_BASE = 0x6806,
    VMCS_GUEST_CS_BASE = 0x6808,
    VMCS_GUEST_SS_BASE = 0x680A,
    VMCS_GUEST_DS_BASE = 0x680C,
    VMCS_GUEST_FS_BASE = 0x680E,
    VMCS_GUEST_GS_BASE = 0x6810,
    VMCS_GUEST_LDTR_BASE = 0x6812,
    VMCS_GUEST_TR_BASE = 0x6814,
    VMCS_GUEST_GDTR_BASE = 0x6816,
    VMCS_GUEST_IDTR_BASE = 0x6818,
    VMCS_GUEST_DR7 = 0x681A,
    VMCS_GUEST_RSP = 0x681C,
    VMCS_GUEST_RIP = 0x681E,
    VMCS_GUEST_RFLAGS = 0x6820,
    VMCS_GUEST_PENDING_DEBUG = 0x6822,
    VMCS_GUEST_SYSENTER_ESP = 0x6824,
    VMCS_GUEST_SYSENTER_EIP = 0x6826,

    /* The width of registers: host. */
    VMCS_HOST_CR0 = 0x6C00,
    VMCS_HOST_CR3 = 0x6C02,
    VMCS_HOST_CR4 = 0x6C04,
    VMCS_HOST_FS_BASE = 0x6C06,
    VMCS_HOST_GS_BASE = 0x6C08,
    VMCS_HOST_TR_BASE = 0x6C0A,
    VMCS_HOST_GDTR_BASE = 0x6C0C,
    VMCS_HOST_IDTR_BASE = 0x6C0E,
    VMCS_HOST_SYSENTER_ESP = 0x6C10,
    VMCS_HOST_SYSENTER_EIP = 0x6C12,
    VMCS_HOST_RSP = 0x6C14,
    VMCS_HOST_RIP = 0x6C16,
};

/* Guest segments follow each other in the order of enum vmmu_x86_segment_name, then LDTR and TR. */
#define VMCS_SEGMENT_STRIDE 2u

enum vmcs_width { VMCS_16_BITS, VMCS_64_BITS, VMCS_32_BITS, VMCS_REGISTER_BITS };
#define VMCS_WIDTH(field)                 ((enum vmcs_width)(((unsigned)(field) >> 13) & 3))
#define VMCS_IS_READ_ONLY(field)          (((unsigned)(field) >> 10 & 3) == 1)

/* Pin-based controls. */
#define VMX_PIN_EXTERNAL_INTERRUPT        (1u << 0)
#define VMX_PIN_NMI                       (1u << 3)
#define VMX_PIN_VIRTUAL_NMIS              (1u << 5)
#define VMX_PIN_PREEMPTION_TIMER          (1u << 6)
#define VMX_PIN_POSTED_INTERRUPTS         (1u << 7)

/* Primary processor-based controls. */
#define VMX_PROC_INTERRUPT_WINDOW         (1u << 2)
#define VMX_PROC_TSC_OFFSET               (1u << 3)
#define VMX_PROC_HLT                      (1u << 7)
#define VMX_PROC_INVLPG                   (1u << 9)
#define VMX_PROC_MWAIT                    (1u << 10)
#define VMX_PROC_RDPMC                    (1u << 11)
#define VMX_PROC_RDTSC                    (1u << 12)
#define VMX_PROC_CR3_LOAD                 (1u << 15)
#define VMX_PROC_CR3_STORE                (1u << 16)
#define VMX_PROC_TERTIARY                 (1u << 17)
#define VMX_PROC_CR8_LOAD                 (1u << 19)
#define VMX_PROC_CR8_STORE                (1u << 20)
#define VMX_PROC_TPR_SHADOW               (1u << 21)
#define VMX_PROC_NMI_WINDOW               (1u << 22)
#define VMX_PROC_MOV_DR                   (1u << 23)
#define VMX_PROC_UNCONDITIONAL_IO         (1u << 24)
#define VMX_PROC_IO_BITMAPS               (1u << 25)
#define VMX_PROC_MONITOR_TRAP             (1u << 27)
#define VMX_PROC_MSR_BITMAPS              (1u << 28)
#define VMX_PROC_MONITOR                  (1u << 29)
#define VMX_PROC_PAUSE                    (1u << 30)
#define VMX_PROC_SECONDARY                (1u << 31)

/* Secondary processor-based controls. */
#define VMX_PROC2_VIRTUAL_APIC            (1u << 0) /* virtualize APIC accesses */
#define VMX_PROC2_EPT                     (1u << 1)
#define VMX_PROC2_DESCRIPTOR_TABLES       (1u << 2)
#define VMX_PROC2_RDTSCP                  (1u << 3)
#define VMX_PROC2_VIRTUAL_X2APIC          (1u << 4)
#define VMX_PROC2_VPID                    (1u << 5)
#define VMX_PROC2_WBINVD                  (1u << 6)
#define VMX_PROC2_UNRESTRICTED_GUEST      (1u << 7)
#define VMX_PROC2_APIC_REGISTERS          (1u << 8)
#define VMX_PROC2_VIRTUAL_INTERRUPTS      (1u << 9)
#define VMX_PROC2_PAUSE_LOOP              (1u << 10)
#define VMX_PROC2_RDRAND                  (1u << 11)
#define VMX_PROC2_INVPCID                 (1u << 12)
#define VMX_PROC2_VM_FUNCTIONS            (1u << 13)
#define VMX_PROC2_VMCS_SHADOWING          (1u << 14)
#define VMX_PROC2_ENCLS                   (1u << 15)
#define VMX_PROC2_RDSEED                  (1u << 16)
#define VMX_PROC2_PML                     (1u << 17)
#define VMX_PROC2_EPT_VIOLATION_VE        (1u << 18)
#define VMX_PROC2_CONCEAL_FROM_PT         (1u << 19)
#define VMX_PROC2_XSAVES                  (1u << 20)
#define VMX_PROC2_MODE_BASED_EXECUTE      (1u << 22)
#define VMX_PROC2_SUB_PAGE_WRITES         (1u << 23)
#define VMX_PROC2_TSC_SCALING             (1u << 25)
#define VMX_PROC2_USER_WAIT               (1u << 26)

/* VM-exit controls. */
#define VMX_EXIT_SAVE_DEBUG               (1u << 2)
#define VMX_EXIT_HOST_64                  (1u << 9)
#define VMX_EXIT_LOAD_PERF_GLOBAL_CTRL    (1u << 12)
#define VMX_EXIT_ACKNOWLEDGE_INTERRUPT    (1u << 15)
#define VMX_EXIT_SAVE_PAT                 (1u << 18)
#define VMX_EXIT_LOAD_PAT                 (1u << 19)
#define VMX_EXIT_SAVE_EFER                (1u << 20)
#define VMX_EXIT_LOAD_EFER                (1u << 21)
#define VMX_EXIT_SAVE_PREEMPTION_TIMER    (1u << 22)
#define VMX_EXIT_CLEAR_BNDCFGS            (1u << 23)
#define VMX_EXIT_CONCEAL_FROM_PT          (1u << 24)
#define VMX_EXIT_LOAD_CET                 (1u << 28)
#define VMX_EXIT_LOAD_PKRS                (1u << 29)

/* VM-entry controls. */
#define VMX_ENTRY_LOAD_DEBUG              (1u << 2)
#define VMX_ENTRY_GUEST_64                (1u << 9) /* IA-32e mode guest */
#define VMX_ENTRY_SMM                     (1u << 10)
#define VMX_ENTRY_DEACTIVATE_DUAL_MONITOR (1u << 11)
#define VMX_ENTRY_LOAD_PERF_GLOBAL_CTRL   (1u << 13)
#define VMX_ENTRY_LOAD_PAT                (1u << 14)
#define VMX_ENTRY_LOAD_EFER               (1u << 15)
#define VMX_ENTRY_LOAD_BNDCFGS            (1u << 16)
#define VMX_ENTRY_CONCEAL_FROM_PT         (1u << 17)
#define VMX_ENTRY_LOAD_CET                (1u << 20)
#define VMX_ENTRY_LOAD_PKRS               (1u << 22)

/* Interruption information: VM entry's, VM exit's, and IDT vectoring's. */
#define VMX_EVENT_VECTOR(event)           ((uint8_t)(event))
#define VMX_EVENT_TYPE_SHIFT              8
#define VMX_EVENT_TYPE(event)             ((enum vmx_event_type)((event) >> VMX_EVENT_TYPE_SHIFT & 7))
#define VMX_EVENT_HAS_ERROR               (1u << 11)
#define VMX_EVENT_NMI_UNBLOCKED                                                                              \
    (1u << 12) /* exits only: an IRET had ended the blocking of NMIs, and then faulted */
#define VMX_EVENT_VALID (1u << 31)
enum vmx_event_type {
    VMX_EVENT_INTERRUPT = 0,
    VMX_EVENT_NMI = 2,
    VMX_EVENT_EXCEPTION = 3,
    VMX_EVENT_SOFTWARE_INTERRUPT = 4,            /* INT n */
    VMX_EVENT_PRIVILEGED_SOFTWARE_EXCEPTION = 5, /* INT1 */
    VMX_EVENT_SOFTWARE_EXCEPTION = 6,            /* INT3, INTO */
    VMX_EVENT_OTHER = 7,                         /* VM entry's only: a monitor-trap exit is pending */
};

/* Guest interruptibility state. */
#define VMX_BLOCKED_BY_STI         (1u << 0)
#define VMX_BLOCKED_BY_MOV_SS      (1u << 1)
#define VMX_BLOCKED_BY_SMI         (1u << 2)
#define VMX_BLOCKED_BY_NMI         (1u << 3) /* with virtual NMIs: whether the guest's are blocked */

#define VMX_BLOCKED_BY_INSTRUCTION (VMX_BLOCKED_BY_STI | VMX_BLOCKED_BY_MOV_SS)

/*
 * What was @now, once the last instruction shields the next one from events (@shadow), or does not: one that was performed for the
 * guest ends what the one before it blocked. STI shields nothing while interrupts are disabled; VM entry refuses that.
 */
static inline uint32_t vmx_interruptibility(uint32_t now, bool shadow, bool interrupts_enabled)
{
    const uint32_t others = now & ~VMX_BLOCKED_BY_INSTRUCTION;

    if (!shadow) {
        return others;
    }
    return now & VMX_BLOCKED_BY_STI && interrupts_enabled ? now : others | VMX_BLOCKED_BY_MOV_SS;
}

enum vmx_activity { VMX_ACTIVE = 0, VMX_HALTED = 1, VMX_SHUT_DOWN = 2, VMX_WAIT_FOR_SIPI = 3 };

/* Pending debug exceptions. */
#define VMX_PENDING_BREAKPOINTS  BITS64(3, 0)
#define VMX_PENDING_ENABLED      BIT64(12) /* a breakpoint that was met is enabled in DR7 */
#define VMX_PENDING_SINGLE_STEP  BIT64(14)
#define VMX_PENDING_RTM          BIT64(16)

/* Access rights of a guest segment: bits 15:0 as in a descriptor's second word, shifted right by 8. */
#define VMX_RIGHTS_TYPE          0x000Fu
#define VMX_RIGHTS_S             0x0010u
#define VMX_RIGHTS_DPL           0x0060u
#define VMX_RIGHTS_PRESENT       0x0080u
#define VMX_RIGHTS_AVL           0x1000u
#define VMX_RIGHTS_LONG          0x2000u
#define VMX_RIGHTS_DB            0x4000u
#define VMX_RIGHTS_GRANULAR      0x8000u
#define VMX_RIGHTS_UNUSABLE      0x10000u

#define VMX_LINK_NONE            UINT64_MAX

/* Exit reason. */
#define VMX_REASON_BASIC(reason) ((reason)&0xFFFFu)
#define VMX_REASON_ENTRY_FAILURE (1u << 31)
enum vmx_reason {
    VMX_REASON_EXCEPTION_OR_NMI = 0,
    VMX_REASON_EXTERNAL_INTERRUPT = 1,
    VMX_REASON_TRIPLE_FAULT = 2,
    VMX_REASON_INIT = 3,
    VMX_REASON_SIPI = 4,
    VMX_REASON_IO_SMI = 5,
    VMX_REASON_OTHER_SMI = 6,
    VMX_REASON_INTERRUPT_WINDOW = 7,
    VMX_REASON_NMI_WINDOW = 8,
    VMX_REASON_TASK_SWITCH = 9,
    VMX_REASON_CPUID = 10,
    VMX_REASON_GETSEC = 11,
    VMX_REASON_HLT = 12,
    VMX_REASON_INVD = 13,
    VMX_REASON_INVLPG = 14,
    VMX_REASON_RDPMC = 15,
    VMX_REASON_RDTSC = 16,
    VMX_REASON_RSM = 17,
    VMX_REASON_VMCALL = 18,
    VMX_REASON_VMCLEAR = 19,
    VMX_REASON_VMLAUNCH = 20,
    VMX_REASON_VMPTRLD = 21,
    VMX_REASON_VMPTRST = 22,
    VMX_REASON_VMREAD = 23,
    VMX_REASON_VMRESUME = 24,
    VMX_REASON_VMWRITE = 25,
    VMX_REASON_VMXOFF = 26,
    VMX_REASON_VMXON = 27,
    VMX_REASON_CONTROL_REGISTER = 28,
    VMX_REASON_DEBUG_REGISTER = 29,
    VMX_REASON_IO = 30,
    VMX_REASON_RDMSR = 31,
    VMX_REASON_WRMSR = 32,
    VMX_REASON_INVALID_GUEST_STATE = 33,
    VMX_REASON_MSR_LOADING = 34,
    VMX_REASON_MWAIT = 36,
    VMX_REASON_MONITOR_TRAP = 37,
    VMX_REASON_MONITOR = 39,
    VMX_REASON_PAUSE = 40,
    VMX_REASON_ENTRY_MACHINE_CHECK = 41,
    VMX_REASON_TPR_BELOW_THRESHOLD = 43,
    VMX_REASON_APIC_ACCESS = 44,
    VMX_REASON_VIRTUAL_EOI = 45,
    VMX_REASON_GDTR_IDTR = 46,
    VMX_REASON_LDTR_TR = 47,
    VMX_REASON_EPT_VIOLATION = 48,
    VMX_REASON_EPT_MISCONFIGURATION = 49,
    VMX_REASON_INVEPT = 50,
    VMX_REASON_RDTSCP = 51,
    VMX_REASON_PREEMPTION_TIMER = 52,
    VMX_REASON_INVVPID = 53,
    VMX_REASON_WBINVD = 54,
    VMX_REASON_XSETBV = 55,
    VMX_REASON_APIC_WRITE = 56,
    VMX_REASON_RDRAND = 57,
    VMX_REASON_INVPCID = 58,
    VMX_REASON_VMFUNC = 59,
    VMX_REASON_ENCLS = 60,
    VMX_REASON_RDSEED = 61,
    VMX_REASON_PML_FULL = 62,
    VMX_REASON_XSAVES = 63,
    VMX_REASON_XRSTORS = 64,
    VMX_REASON_UMWAIT = 67,
    VMX_REASON_TPAUSE = 68,
};

/* Exit qualification: control-register access. */
#define VMX_CR_NUMBER(q)      ((unsigned)(q)&15)
#define VMX_CR_ACCESS(q)      ((enum vmx_cr_access)((q) >> 4 & 3))
#define VMX_CR_LMSW_MEMORY    BIT64(6)
#define VMX_CR_REGISTER(q)    ((unsigned)((q) >> 8) & 15)
#define VMX_CR_LMSW_SOURCE(q) ((uint16_t)((q) >> 16))
enum vmx_cr_access { VMX_MOV_TO_CR, VMX_MOV_FROM_CR, VMX_CLTS, VMX_LMSW };

/* Exit qualification: MOV from or to a debug register. */
#define VMX_DR_NUMBER(q)     ((unsigned)(q)&7)
#define VMX_DR_READ          BIT64(4)
#define VMX_DR_REGISTER(q)   ((unsigned)((q) >> 8) & 15)

/* Exit qualification: I/O instruction. */
#define VMX_IO_WIDTH(q)      (((unsigned)(q)&7) + 1) /* bytes */
#define VMX_IO_IN            BIT64(3)
#define VMX_IO_STRING        BIT64(4)
#define VMX_IO_REPEAT        BIT64(5)
#define VMX_IO_IMMEDIATE     BIT64(6)
#define VMX_IO_PORT(q)       ((uint16_t)((q) >> 16))

/* Exit qualification: task switch. */
#define VMX_TASK_SELECTOR(q) ((uint16_t)(q))
#define VMX_TASK_SOURCE(q)   ((enum vmx_task_source)((q) >> 30 & 3))
enum vmx_task_source { VMX_TASK_CALL, VMX_TASK_IRET, VMX_TASK_JMP, VMX_TASK_GATE };

/* Exit qualification: EPT violation. */
#define VMX_EPT_READ          BIT64(0)
#define VMX_EPT_WRITE         BIT64(1)
#define VMX_EPT_FETCH         BIT64(2)
#define VMX_EPT_READABLE      BIT64(3) /* what the entries that were used allow */
#define VMX_EPT_WRITABLE      BIT64(4)
#define VMX_EPT_EXECUTABLE    BIT64(5)
#define VMX_EPT_LINEAR_VALID  BIT64(7)
#define VMX_EPT_FINAL         BIT64(8) /* the access itself; clear: a walk of the guest's tables, or their marks */
#define VMX_EPT_NMI_UNBLOCKED BIT64(12)

/* Types of INVEPT and of INVVPID. Spec: SDM 3C "VMX Instruction Reference". */
enum vmx_invept_type { VMX_INVEPT_SINGLE = 1, VMX_INVEPT_ALL = 2 };
enum vmx_invvpid_type {
    VMX_INVVPID_ADDRESS = 0,
    VMX_INVVPID_SINGLE = 1,
    VMX_INVVPID_ALL = 2,
    VMX_INVVPID_SINGLE_BUT_GLOBALS = 3,
};

#endif
