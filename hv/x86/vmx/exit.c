/* A VM exit into the record that the rest of the hypervisor reads. */
#include "hv/x86/cpu.h"
#include "hv/x86/vmx/vmx.h"

static void port_record(const struct vp *vp, uint64_t qualification, struct exit *exit)
{
    exit->kind = EXIT_X86_PORT;
    exit->port = (struct exit_port){ .number = VMX_IO_PORT(qualification),
                                     .width_bytes = (uint8_t)VMX_IO_WIDTH(qualification),
                                     .in = qualification & VMX_IO_IN,
                                     .string = qualification & VMX_IO_STRING,
                                     .next = vp->arch->state.rip + vmread(VMCS_EXIT_INSTRUCTION_BYTES) };
}

/* IRET had unblocked NMIs when it faulted, and comes again. */
static void block_nmis_again(struct vmx_vp *vmx)
{
    if (!(vmread(VMCS_IDT_VECTORING) & VMX_EVENT_VALID)) {
        vmx->nmis_blocked_again = true;
        vmx->interruptibility |= VMX_BLOCKED_BY_NMI;
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmx->interruptibility);
    }
}

static void memory_record(struct vp *vp, uint64_t qualification, struct exit *exit)
{
    exit->kind = EXIT_MEMORY;
    exit->memory = (struct exit_memory){ .gpa = { vmread(VMCS_GUEST_PHYSICAL) },
                                         .write = qualification & VMX_EPT_WRITE,
                                         .execute = qualification & VMX_EPT_FETCH,
                                         .has_va = qualification & VMX_EPT_LINEAR_VALID };
    if (exit->memory.has_va) {
        exit->memory.va = (vmmu_gva){ vmread(VMCS_GUEST_LINEAR) };
    }
    if (qualification & VMX_EPT_NMI_UNBLOCKED) {
        block_nmis_again(vp->arch->vmx);
    }
}

/* RFLAGS.RF is told as the task that is left is to have it. */
static void task_record(uint64_t qualification, struct exit *exit)
{
    static const uint8_t sources[] = { [VMX_TASK_CALL] = VMMU_X86_TASK_CALL,
                                       [VMX_TASK_IRET] = VMMU_X86_TASK_IRET,
                                       [VMX_TASK_JMP] = VMMU_X86_TASK_JMP,
                                       [VMX_TASK_GATE] = VMMU_X86_TASK_EVENT };
    const uint32_t event = (uint32_t)vmread(VMCS_IDT_VECTORING);
    const bool by_event = event & VMX_EVENT_VALID;
    const bool external = by_event && VMX_EVENT_TYPE(event) != VMX_EVENT_SOFTWARE_INTERRUPT &&
                          VMX_EVENT_TYPE(event) != VMX_EVENT_SOFTWARE_EXCEPTION;
    const bool has_error_code = by_event && event & VMX_EVENT_HAS_ERROR;

    exit->kind = EXIT_X86_TASK_SWITCH;
    exit->task = (struct exit_task){
        .selector = VMX_TASK_SELECTOR(qualification),
        .source = sources[VMX_TASK_SOURCE(qualification)],
        .first = by_event ? vmx_exception_of(event) : EXIT_NO_EXCEPTION,
        .at_instruction = !by_event || vmx_runs_again(event),
        .external = external,
        .has_error_code = has_error_code,
        .error_code = has_error_code ? (uint32_t)vmread(VMCS_IDT_VECTORING_ERROR_CODE) : 0,
    };
}

static void page_fault_record(uint32_t error_code, uint64_t qualification, struct exit *exit)
{
    const uint64_t stack = vmread(VMCS_GUEST_SS_RIGHTS);

    exit->kind = EXIT_X86_PAGE_FAULT;
    exit->page_fault = (struct exit_page_fault){
        .va = { qualification },
        .error_code = error_code,
        .first = EXIT_NO_EXCEPTION,
        .implicit = (stack & VMX_RIGHTS_DPL) == VMX_RIGHTS_DPL && !(error_code & VMMU_X86_PF_USER),
    };
}

/*
 * What is pending in DR6's terms comes with the exit; a #DB that is delivered would have written it. One that INT1
 * raised is delivered behind that instruction.
 */
static void debug_record(struct vp *vp, uint32_t event, uint64_t qualification)
{
    const uint64_t breakpoints = BITS64(3, 0);

    write_dr6((read_dr6() & ~breakpoints) | (qualification & (breakpoints | X86_DR6_BD | X86_DR6_BS)));
    vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~X86_DR7_GD);
    if (VMX_EVENT_TYPE(event) == VMX_EVENT_PRIVILEGED_SOFTWARE_EXCEPTION) {
        vp->arch->state.rip += vmread(VMCS_EXIT_INSTRUCTION_BYTES);
    }
}

static void exception_record(struct vp *vp, uint64_t qualification, struct exit *exit)
{
    const uint32_t event = (uint32_t)vmread(VMCS_EXIT_EVENT);
    const uint8_t vector = VMX_EVENT_VECTOR(event);
    const uint32_t error_code =
        event & VMX_EVENT_HAS_ERROR ? (uint32_t)vmread(VMCS_EXIT_EVENT_ERROR_CODE) : 0;

    exit->raw[1] = event;
    exit->raw[2] = qualification;
    if (VMX_EVENT_TYPE(event) == VMX_EVENT_NMI) {
        /* The machine's. The exit has blocked further ones, as its delivery would have: the handler's IRET ends that. */
        __asm__ volatile("int $2" : : : "memory");
        exit->kind = EXIT_HOST_INTERRUPT;
        return;
    }
    if (event & VMX_EVENT_NMI_UNBLOCKED && vector != X86_VECTOR_DF) {
        block_nmis_again(vp->arch->vmx);
    }
    if (vector == X86_VECTOR_MC) {
        exit->kind = EXIT_MACHINE_CHECK;
        return;
    }
    if (vector == VMMU_X86_VECTOR_PF) {
        page_fault_record(error_code, qualification, exit);
        return;
    }
    if (vector == X86_VECTOR_MF) {
        exit->kind = EXIT_DEAD;
        exit->why = "the guest waits for an x87 error to be reported outside the processor (CR0.NE is clear)";
        return;
    }
    if (vector == X86_VECTOR_DB) {
        debug_record(vp, event, qualification);
    }
    exit->kind = EXIT_X86_EXCEPTION;
    exit->exception = (struct exit_exception){ .vector = vector,
                                               .first = EXIT_NO_EXCEPTION,
                                               .has_error_code = event & VMX_EVENT_HAS_ERROR,
                                               .error_code = error_code };
}

static void dead_record(struct exit *exit, const char *why)
{
    exit->kind = EXIT_DEAD;
    exit->why = why;
}

/* Exits whose reason says all. */
static bool simple_record(enum vmx_reason reason, struct exit *exit)
{
    switch ((unsigned)reason) {
    case VMX_REASON_EXTERNAL_INTERRUPT:
    case VMX_REASON_INIT:
    case VMX_REASON_SIPI: exit->kind = EXIT_HOST_INTERRUPT; return true;
    case VMX_REASON_INTERRUPT_WINDOW:
    case VMX_REASON_NMI_WINDOW: exit->kind = EXIT_EVENT_WINDOW; return true;
    case VMX_REASON_CONTROL_REGISTER: exit->kind = EXIT_X86_CONTROL; return true;
    case VMX_REASON_CPUID: exit->kind = EXIT_X86_CPUID; return true;
    case VMX_REASON_HLT: exit->kind = EXIT_IDLE; return true;
    case VMX_REASON_INVD: exit->kind = EXIT_X86_CACHE; return true;
    case VMX_REASON_PAUSE: exit->kind = EXIT_X86_PAUSE; return true;
    case VMX_REASON_XSETBV: exit->kind = EXIT_X86_XSETBV; return true;
    case VMX_REASON_VMCALL: exit->kind = EXIT_HYPERCALL; return true;
    case VMX_REASON_RDPMC: exit->kind = EXIT_X86_RDPMC; return true;
    case VMX_REASON_RDMSR: exit->kind = EXIT_X86_MSR_READ; return true;
    case VMX_REASON_WRMSR: exit->kind = EXIT_X86_MSR_WRITE; return true;
    case VMX_REASON_GETSEC:
    case VMX_REASON_RSM:
    case VMX_REASON_VMCLEAR:
    case VMX_REASON_VMLAUNCH:
    case VMX_REASON_VMPTRLD:
    case VMX_REASON_VMPTRST:
    case VMX_REASON_VMREAD:
    case VMX_REASON_VMRESUME:
    case VMX_REASON_VMWRITE:
    case VMX_REASON_VMXOFF:
    case VMX_REASON_VMXON:
    case VMX_REASON_INVEPT:
    case VMX_REASON_INVVPID:
    case VMX_REASON_VMFUNC:
    case VMX_REASON_INVPCID:
    case VMX_REASON_RDTSCP:
    case VMX_REASON_MONITOR:
    case VMX_REASON_MWAIT:
    case VMX_REASON_ENCLS:
    case VMX_REASON_XSAVES:
    case VMX_REASON_XRSTORS:
    case VMX_REASON_UMWAIT:
    case VMX_REASON_TPAUSE: exit->kind = EXIT_X86_UNOFFERED; return true;
    case VMX_REASON_TRIPLE_FAULT: dead_record(exit, "triple fault"); return true;
    case VMX_REASON_INVALID_GUEST_STATE:
        dead_record(exit, "the processor refuses the guest's state (VM entry failed)");
        return true;
    case VMX_REASON_MSR_LOADING:
        dead_record(exit, "the processor refuses the guest's MSRs (VM entry failed)");
        return true;
    case VMX_REASON_EPT_MISCONFIGURATION:
        dead_record(exit, "the second stage holds an entry that the processor does not take");
        return true;
    case VMX_REASON_ENTRY_MACHINE_CHECK: exit->kind = EXIT_MACHINE_CHECK; return true;
    default: return false;
    }
}

static void close_window(struct vmx_vp *vmx, enum vmx_reason reason)
{
    if (reason == VMX_REASON_INTERRUPT_WINDOW) {
        vmx_set_processor_controls(vmx, VMX_PROC_INTERRUPT_WINDOW, false);
    } else if (reason == VMX_REASON_NMI_WINDOW) {
        vmx_set_processor_controls(vmx, VMX_PROC_NMI_WINDOW, false);
    }
}

/* Whether an instruction caused the exit, of which the processor says the length. */
static bool has_length(const struct exit *exit)
{
    switch (exit->kind) {
    case EXIT_IDLE:
    case EXIT_HYPERCALL:
    case EXIT_X86_PORT:
    case EXIT_X86_CPUID:
    case EXIT_X86_MSR_READ:
    case EXIT_X86_MSR_WRITE:
    case EXIT_X86_CONTROL:
    case EXIT_X86_XSETBV:
    case EXIT_X86_CACHE:
    case EXIT_X86_TASK_SWITCH:
    case EXIT_X86_INVLPG:
    case EXIT_X86_PAUSE: return true;
    case EXIT_HOST_INTERRUPT:
    case EXIT_EVENT_WINDOW:
    case EXIT_MEMORY:
    case EXIT_MACHINE_CHECK:
    case EXIT_DEAD:
    case EXIT_X86_EXCEPTION:
    case EXIT_X86_UNOFFERED:
    case EXIT_X86_RDPMC:
    case EXIT_X86_PAGE_FAULT:
    case EXIT_X86_SPACES:
    case EXIT_PPC_TIMER:
    case EXIT_PPC_PAGE:
    case EXIT_KINDS: break;
    }
    return false;
}

/* What exits while the guest has translations under several tags, and would flush those of one. */
static bool flushes_by_itself(enum vmx_reason reason, uint64_t qualification)
{
    if (reason == VMX_REASON_CONTROL_REGISTER) {
        return VMX_CR_ACCESS(qualification) == VMX_MOV_TO_CR &&
               (VMX_CR_NUMBER(qualification) == 3 || VMX_CR_NUMBER(qualification) == 4);
    }
    return reason == VMX_REASON_INVLPG || reason == VMX_REASON_INVPCID;
}

void vmx_read_exit(struct vp *vp, struct exit *exit)
{
    const uint32_t full_reason = (uint32_t)vmread(VMCS_EXIT_REASON);
    const enum vmx_reason reason = (enum vmx_reason)VMX_REASON_BASIC(full_reason);
    const uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);

    vp->arch->vmx->nmis_blocked_again = false;
    exit->raw[0] = full_reason;
    exit->raw[1] = qualification;
    exit->raw[2] = 0;
    exit->insn_bytes = 0;
    if (vp->arch->vmx->watches_spaces && flushes_by_itself(reason, qualification)) {
        exit->kind = EXIT_X86_SPACES;
        vmx_leave_spaces(vp);
    } else if (reason == VMX_REASON_EPT_VIOLATION) {
        memory_record(vp, qualification, exit);
        exit->raw[2] = exit->memory.gpa.v;
    } else if (reason == VMX_REASON_IO) {
        port_record(vp, qualification, exit);
    } else if (reason == VMX_REASON_EXCEPTION_OR_NMI) {
        exception_record(vp, qualification, exit);
    } else if (reason == VMX_REASON_TASK_SWITCH) {
        task_record(qualification, exit);
    } else if (reason == VMX_REASON_INVLPG) {
        exit->kind = EXIT_X86_INVLPG;
        exit->invlpg = (struct exit_invlpg){ .told = true, .va = { qualification } };
    } else if (simple_record(reason, exit)) {
        close_window(vp->arch->vmx, reason);
    } else {
        dead_record(exit, "an exit for a reason that was not asked for");
    }
    if (has_length(exit)) {
        exit->insn_bytes = (uint8_t)vmread(VMCS_EXIT_INSTRUCTION_BYTES);
    }
}
