/*
 * Hardware task switches: performed by the library, with memory reached as by instructions, and CR3 loaded as by MOV.
 */
#include "hv/x86/vp/x86.h"

/* A switch to the same space leaves the PDPTE registers alone. Spec: SDM 3A "PDPTE Registers". */
static bool loads_pdptes(struct vp *vp, uint32_t cr3)
{
    const struct vmmu_x86_mode *mode = x86_mode(vp, false);

    return mode && mode->paging == VMMU_X86_PAGING_PAE && !vp->arch->pdptes_in_memory &&
           cr3 != vp->arch->backend->read_control(vp, 3);
}

static enum vmmu_status check_cr3(void *context, uint32_t cr3)
{
    struct vp *vp = context;
    const struct vmmu_ram ram = x86_ram(vp);
    uint64_t pdpte[4];

    enum vmmu_status status = VMMU_OK;

    if (loads_pdptes(vp, cr3)) {
        status = vmmu_mode_load_pdptes(&vp->arch->cpu, &ram, cr3, pdpte);
    }
    return status == VMMU_ABSENT ? x86_table_is_withheld(vp, NULL) : status;
}

static enum vmmu_status load_cr3(void *context, uint32_t cr3)
{
    struct vp *vp = context;
    const struct x86_backend *backend = vp->arch->backend;

    cr3 = (uint32_t)vmmu_hyperv_rule_cr3(x86_policy(vp), VMMU_HYPERV_BY_INSTRUCTION, x86_code(vp)->cr4, cr3)
              .stored;
    if (loads_pdptes(vp, cr3) && !x86_load_pdptes(vp, cr3)) {
        return VMMU_GUEST_FAULT;
    }
    backend->write_control(vp, 3, cr3);
    if (vp->arch->walks_guest) {
        backend->flush(vp);
    } else {
        x86_root_changed(vp, cr3);
    }
    return VMMU_OK;
}

static void load_state(struct vp *vp, const struct vmmu_x86_task_state *state)
{
    const struct x86_backend *backend = vp->arch->backend;

    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        backend->write_segment(vp, (enum vmmu_x86_segment_name)i, &state->registers->segment[i]);
    }
    backend->write_control(vp, 0, state->registers->cr0);
    backend->write_system(vp, &state->system);
    backend->write_dr7(vp, state->dr7);
}

/* A fault of the switch is one of the delivery of the exception that asked for it, if one did. */
static void raise(struct vp *vp, const struct exit_task *task, const struct vmmu_x86_fault *fault)
{
    struct vp_arch *arch = vp->arch;

    if (task->first != EXIT_NO_EXCEPTION) {
        arch->exception = (struct x86_event){ .kind = X86_EVENT_EXCEPTION, .vector = task->first };
        arch->exception_pending = true;
    }
    x86_raise_fault(vp, fault);
}

enum vp_next x86_task_exit(struct vp *vp, const struct exit *exit)
{
    const struct x86_backend *backend = vp->arch->backend;
    const struct exit_task *task = &exit->task;
    const unsigned bytes = task->at_instruction ? x86_length(vp, exit) : 0;
    const struct vmmu_x86_task_machine machine = { x86_insn_memory(vp), check_cr3, load_cr3 };
    struct vmmu_x86_task_state state = { .registers = x86_state(vp), .dr7 = backend->read_dr7(vp) };
    const struct vmmu_x86_task_request request = { .source = (enum vmmu_x86_task_source)task->source,
                                                   .selector = task->selector,
                                                   .external = task->external,
                                                   .has_error_code = task->has_error_code,
                                                   .error_code = task->error_code,
                                                   .next_eip = (uint32_t)state.registers->rip + bytes };
    struct vmmu_x86_task_outcome outcome;
    enum vmmu_status status;

    if (task->at_instruction && bytes == 0) {
        return VP_RESUME;
    }
    backend->read_system(vp, &state.system);
    status = vmmu_x86_task_switch(&request, &state, &machine, &outcome);
    if (status == VMMU_RACED) {
        return VP_RESUME; /* it exits again, an event with what is delivered again */
    }
    if (status == VMMU_INVALID && vp->partition->parent) {
        return x86_unsupported_feature(vp, VMMU_HYPERV_FEATURE_TASK_SWITCH, task->selector);
    }
    if (outcome.switched) {
        load_state(vp, &state);
        if (request.source == VMMU_X86_TASK_IRET) {
            backend->unblock_nmi(vp);
        }
    }
    backend->forget_event(vp);
    if (status == VMMU_GUEST_FAULT) {
        raise(vp, task, &outcome.fault);
    } else if (status != VMMU_OK) {
        return x86_give_up(vp, "the guest switches tasks in a way that no processor has");
    } else if (outcome.debug_trap) {
        backend->raise_debug(vp, VMMU_X86_DR6_BT);
        x86_raise(vp, X86_VECTOR_DB, false, 0);
    }
    return VP_RESUME;
}
