/* Exits that are left to the architecture, and how a partition is ended for what its guest did. */
#include "hv/boot/format.h"
#include "hv/boot/host.h"
#include "hv/ppc/vp/ppc.h"

const struct exit_range arch_exits = { EXIT_PPC_TIMER, EXIT_PPC_PAGE + 1 };

struct message {
    char *at;
    const char *end;
};

static void put(void *context, char character)
{
    struct message *message = context;

    if (message->at != message->end) {
        *message->at++ = character;
    }
}

static void format_message(struct vp_arch *arch, const char *format, va_list values)
{
    struct message message = { .at = arch->message, .end = arch->message + PPC_MESSAGE_SIZE - 1 };
    const struct format_sink sink = { .context = &message, .put = put };

    format_text(&sink, format, values);
    *message.at = 0;
}

void ppc_give_up(struct vp_arch *arch, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    format_message(arch, format, values);
    va_end(values);
    partition_end(arch->vp->partition, PARTITION_STOPPED, 0, arch->message);
}

bool ppc_die(struct vp_arch *arch, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    format_message(arch, format, values);
    va_end(values);
    arch->exit->why = arch->message;
    return ppc_leave(arch, EXIT_DEAD);
}

/* Nothing that its MSR lets through can come any more: neither a timer, nor the watchdog's reset. */
static bool has_stopped_for_good(const struct vp *vp)
{
    const struct ppc_core *core = &vp->arch->core;

    return !ppc_is_due(core) && !(core->msr & (MSR_EE | MSR_CE)) && !(core->timers.tcr & PPC_TCR_WRC);
}

static enum vp_next idle_exit(struct vp *vp)
{
    if (vp->partition->vp_count == 1 && has_stopped_for_good(vp)) {
        ppc_give_up(vp->arch, "the guest waits with interrupts off, at %08x", vp->arch->core.pc);
        return VP_STOP;
    }
    return VP_IDLE;
}

enum vp_next arch_vp_exit(struct vp *vp, const struct exit *exit)
{
    if (exit->kind == EXIT_IDLE) {
        return idle_exit(vp);
    }
    if (exit->kind == EXIT_PPC_PAGE) {
        return arch_vp_emulate(vp, exit);
    }
    if (exit->kind == EXIT_PPC_TIMER) {
        return VP_RESUME;
    }
    host_panic("exit %u is not for PowerPC to decide\n", exit->kind);
}

/* Nothing of ours waits for a parent. */
void arch_vp_post(struct vp *vp)
{
    (void)vp;
}
