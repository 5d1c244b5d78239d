/* #VMEXIT into the record that the rest of the hypervisor reads. */
#include "hv/x86/svm/svm.h"

static void port_record(const struct svm_control *control, struct exit *exit)
{
    const uint64_t info = control->exit_info1;

    exit->kind = EXIT_X86_PORT;
    exit->port = (struct exit_port){ .number = SVM_PORT_NUMBER(info),
                                     .width_bytes = SVM_PORT_WIDTH(info),
                                     .in = info & SVM_PORT_IN,
                                     .string = info & SVM_PORT_STRING,
                                     .next = control->exit_info2 };
}

static void memory_record(const struct svm_control *control, struct exit *exit)
{
    const uint64_t info = control->exit_info1;

    exit->kind = EXIT_MEMORY;
    exit->memory = (struct exit_memory){ .gpa = { control->exit_info2 },
                                         .write = info & SVM_NPF_WRITE,
                                         .execute = info & SVM_NPF_FETCH };
}

/* RFLAGS.RF is told as the task that is left is to have it. Spec: AMD APM 2 "Task Switch Intercept". */
static void task_record(struct vp *vp, struct exit *exit)
{
    const struct svm_vp *svm = vp->arch->svm;
    const struct svm_control *control = &svm->vmcb->control;
    const uint64_t info = control->exit_info2;
    const uint64_t event = control->exit_event;
    const bool by_event = event & SVM_EVENT_VALID;
    const bool by_instruction = !by_event || svm_runs_again(svm, event);

    exit->kind = EXIT_X86_TASK_SWITCH;
    exit->task = (struct exit_task){ .selector = (uint16_t)control->exit_info1,
                                     .source = by_event               ? VMMU_X86_TASK_EVENT
                                               : info & SVM_TASK_IRET ? VMMU_X86_TASK_IRET
                                               : info & SVM_TASK_JMP  ? VMMU_X86_TASK_JMP
                                                                      : VMMU_X86_TASK_CALL,
                                     .first = by_event ? svm_exception_of(event) : EXIT_NO_EXCEPTION,
                                     .at_instruction = by_instruction,
                                     .external = !by_instruction,
                                     .has_error_code = info & SVM_TASK_HAS_ERROR,
                                     .error_code = (uint32_t)info };
    vp->arch->state.rflags &= ~X86_RFLAGS_RF;
    if (info & SVM_TASK_RF) {
        vp->arch->state.rflags |= X86_RFLAGS_RF;
    }
}

/* Vectors of exceptions that push an error code. */
#define WITH_ERROR_CODE                                                                                      \
    (1u << X86_VECTOR_DF | 1u << 10 | 1u << 11 | 1u << VMMU_X86_VECTOR_SS | 1u << VMMU_X86_VECTOR_GP |       \
     1u << VMMU_X86_VECTOR_PF | 1u << X86_VECTOR_AC)

/* CR2 is not written by a page fault that exits. */
static void page_fault_record(const struct svm_vmcb *vmcb, struct exit *exit)
{
    const uint32_t error_code = (uint32_t)vmcb->control.exit_info1;

    exit->kind = EXIT_X86_PAGE_FAULT;
    exit->page_fault =
        (struct exit_page_fault){ .va = { vmcb->control.exit_info2 },
                                  .error_code = error_code,
                                  .first = EXIT_NO_EXCEPTION,
                                  .implicit = vmcb->save.cpl == 3 && !(error_code & VMMU_X86_PF_USER) };
}

/*
 * #DB, #AC and #MC are always intercepted (a guest could otherwise keep the processor in microcode by the
 * first two), #PF where the tables are ours, and others while svm_inject() says so.
 */
static void exception_record(const struct svm_vmcb *vmcb, struct exit *exit)
{
    const struct svm_control *control = &vmcb->control;
    const uint8_t vector = (uint8_t)(control->exit_code - SVM_EXIT_EXCEPTION);

    if (vector == X86_VECTOR_MC) {
        exit->kind = EXIT_MACHINE_CHECK;
        return;
    }
    if (vector == VMMU_X86_VECTOR_PF) {
        page_fault_record(vmcb, exit);
        return;
    }
    exit->kind = EXIT_X86_EXCEPTION;
    exit->exception = (struct exit_exception){ .vector = vector,
                                               .first = EXIT_NO_EXCEPTION,
                                               .has_error_code = WITH_ERROR_CODE & 1u << vector,
                                               .error_code = (uint32_t)control->exit_info1 };
}

static void dead_record(struct exit *exit, const char *why)
{
    exit->kind = EXIT_DEAD;
    exit->why = why;
}

/* Exits whose code says all. */
static bool simple_record(uint64_t code, struct exit *exit)
{
    switch (code) {
    case SVM_EXIT_INTR:
    case SVM_EXIT_NMI: /* it strikes when the hypervisor sets GIF */
    case SVM_EXIT_INIT: exit->kind = EXIT_HOST_INTERRUPT; return true;
    case SVM_EXIT_VINTR:
    case SVM_EXIT_IRET: exit->kind = EXIT_EVENT_WINDOW; return true;
    case SVM_EXIT_CR_READ:
    case SVM_EXIT_CR_READ + 3:
    case SVM_EXIT_CR_READ + 4:
    case SVM_EXIT_CR_WRITE:
    case SVM_EXIT_CR_WRITE + 3:
    case SVM_EXIT_CR_WRITE + 4:
    case SVM_EXIT_CR_WRITE + 8:
    case SVM_EXIT_CR0_SELECTIVE: exit->kind = EXIT_X86_CONTROL; return true;
    case SVM_EXIT_CPUID: exit->kind = EXIT_X86_CPUID; return true;
    case SVM_EXIT_HLT: exit->kind = EXIT_IDLE; return true;
    case SVM_EXIT_INVD: exit->kind = EXIT_X86_CACHE; return true;
    case SVM_EXIT_PAUSE: exit->kind = EXIT_X86_PAUSE; return true;
    case SVM_EXIT_XSETBV: exit->kind = EXIT_X86_XSETBV; return true;
    case SVM_EXIT_VMMCALL: exit->kind = EXIT_HYPERCALL; return true;
    case SVM_EXIT_RDPMC: exit->kind = EXIT_X86_RDPMC; return true;
    case SVM_EXIT_RSM:
    case SVM_EXIT_INVLPGA:
    case SVM_EXIT_VMRUN:
    case SVM_EXIT_VMLOAD:
    case SVM_EXIT_VMSAVE:
    case SVM_EXIT_STGI:
    case SVM_EXIT_CLGI:
    case SVM_EXIT_SKINIT:
    case SVM_EXIT_MONITOR:
    case SVM_EXIT_MWAIT:
    case SVM_EXIT_MWAIT_ARMED:
    case SVM_EXIT_INVPCID:
    case SVM_EXIT_RDPRU: exit->kind = EXIT_X86_UNOFFERED; return true;
    default: return false;
    }
}

/* What exits while the guest has translations under several tags, and would flush those of one. */
static bool flushes_by_itself(uint64_t code)
{
    return code == SVM_EXIT_CR_WRITE + 3 || code == SVM_EXIT_INVLPG || code == SVM_EXIT_INVPCID ||
           code == SVM_EXIT_TASK_SWITCH;
}

/* An emulated processor (Bochs 2.7) has turned long mode on or off when it exits for the write of CR0 that is to do so. */
static void mend_long_mode(struct svm_save *save)
{
    const bool is_on = save->efer & VMMU_X86_EFER_LME && save->cr0 & VMMU_X86_CR0_PG;

    save->efer = (save->efer & ~VMMU_X86_EFER_LMA) | (is_on ? VMMU_X86_EFER_LMA : 0);
}

void svm_read_exit(struct vp *vp, struct exit *exit)
{
    struct svm_vp *svm = vp->arch->svm;
    const struct svm_control *control = &svm->vmcb->control;
    const uint64_t code = control->exit_code;

    exit->raw[0] = code;
    exit->raw[1] = control->exit_info1;
    exit->raw[2] = control->exit_info2;
    exit->insn_bytes = 0;
    svm_settle_nmi(svm);
    if (svm->watches_spaces && flushes_by_itself(code)) {
        exit->kind = EXIT_X86_SPACES;
        svm_leave_spaces(vp);
    } else if (code == SVM_EXIT_NPF) {
        memory_record(control, exit);
    } else if (code == SVM_EXIT_PORT) {
        port_record(control, exit);
    } else if (code == SVM_EXIT_MSR) {
        exit->kind = control->exit_info1 ? EXIT_X86_MSR_WRITE : EXIT_X86_MSR_READ;
    } else if (code == SVM_EXIT_INVLPG) {
        exit->kind = EXIT_X86_INVLPG;
        exit->invlpg =
            (struct exit_invlpg){ .told = svm_processor.decode_assists, .va = { control->exit_info1 } };
    } else if (code == SVM_EXIT_TASK_SWITCH) {
        task_record(vp, exit);
    } else if (code - SVM_EXIT_EXCEPTION < 32) {
        exception_record(svm->vmcb, exit);
    } else if (simple_record(code, exit)) {
        if (code == SVM_EXIT_VINTR) {
            svm_close_interrupt_window(svm);
        } else if (code == SVM_EXIT_IRET) {
            svm_leave_nmi(svm);
        } else if (code == SVM_EXIT_CR0_SELECTIVE) {
            mend_long_mode(&svm->vmcb->save);
        }
    } else if (code == SVM_EXIT_SHUTDOWN) {
        dead_record(exit, "triple fault");
    } else if (code == SVM_EXIT_FERR_FREEZE) {
        dead_record(
            exit, "the guest waits for an x87 error to be reported outside the processor (CR0.NE is clear)");
    } else if (code == UINT64_MAX || code == UINT32_MAX) {
        dead_record(exit, "the processor refuses the guest's state (VMEXIT_INVALID)");
    } else {
        dead_record(exit, "an exit for a reason that was not asked for");
    }
    /* Where an instruction exits, the processor may say where the next one is. */
    if (svm_processor.next_rip && control->next_rip && exit->kind >= EXIT_IDLE) {
        const uint64_t bytes = control->next_rip - svm->vmcb->save.rip;

        exit->insn_bytes = bytes >= 1 && bytes <= VMMU_X86_INSN_MAX_BYTES ? (uint8_t)bytes : 0;
    }
}
