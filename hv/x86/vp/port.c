/*
 * IN and OUT, one at a time or as strings.
 *
 * Code that polls a port often reads it twice in a row (Linux reads both bytes of the 8254's counter so, some
 * 17,000 times a boot). Where an exit stands right behind another one, the place is remembered; from then on
 * the first of the two performs the second as well, which saves its exit. The second is the same access to
 * the same port, so the permission that the processor checked for the first holds for it; nothing that could
 * come between (an event, a single step, a breakpoint) is pending.
 */
#include "hv/x86/vp/x86.h"

static void port_in(struct vp *vp, const struct exit_port *port)
{
    uint64_t *rax = &vp->arch->state.gpr[VMMU_X86_RAX];
    const uint32_t value = pc_port_read(x86_pc(vp), vp->index, port->number, port->width_bytes);

    switch (port->width_bytes) {
    case 1: *rax = (*rax & ~UINT64_C(0xFF)) | (uint8_t)value; break;
    case 2: *rax = (*rax & ~UINT64_C(0xFFFF)) | (uint16_t)value; break;
    default: *rax = value; break;
    }
}

static void port_access(struct vp *vp, const struct exit_port *port)
{
    if (port->in) {
        port_in(vp, port);
    } else {
        pc_port_write(x86_pc(vp), vp->index, port->number, port->width_bytes,
                      (uint32_t)vp->arch->state.gpr[VMMU_X86_RAX]);
    }
}

static enum vp_next string_access(struct vp *vp)
{
    const struct vmmu_insn *insn;
    const enum vmmu_status status = x86_fetch(vp, &insn);

    if (status == VMMU_UNSUPPORTED) {
        return x86_give_up(vp, "a string port instruction could not be decoded");
    }
    return status == VMMU_OK ? x86_perform(vp, insn) : VP_RESUME;
}

/* Whether @insn is what @port was: the same direction, width and port. */
static bool same_access(const struct vp *vp, const struct vmmu_insn *insn, const struct exit_port *port)
{
    const struct vmmu_insn_operand *operand = port->in ? &insn->source : &insn->destination;
    const uint16_t number = operand->kind == VMMU_INSN_OPERAND_IMMEDIATE
                                ? (uint16_t)insn->immediate
                                : (uint16_t)vp->arch->state.gpr[VMMU_X86_RDX];

    return insn->operation == (port->in ? VMMU_INSN_IN : VMMU_INSN_OUT) && number == port->number &&
           insn->operand_bytes == port->width_bytes;
}

static void perform_second(struct vp *vp, const struct exit_port *port)
{
    const struct vmmu_insn *insn;

    if (x86_may_go_on(vp) && x86_peek(vp, &insn) == VMMU_OK && same_access(vp, insn, port)) {
        port_access(vp, port);
        x86_retire(vp, insn->length);
        vp->counters.exits_saved++;
    }
}

enum vp_next x86_port_exit(struct vp *vp, const struct exit *exit)
{
    const struct exit_port *port = &exit->port;
    struct vp_arch *arch = vp->arch;
    const uint64_t rip = arch->state.rip;

    if (port->string) {
        return string_access(vp);
    }
    if (rip == arch->port_next) {
        arch->port_pair = arch->port_last;
    }
    arch->port_last = rip;
    arch->port_next = port->next;
    port_access(vp, port);
    x86_retire_to(vp, port->next);
    if (rip == arch->port_pair) {
        perform_second(vp, port);
    }
    return VP_RESUME;
}
