/* Exits that are x86's own, each decided here for all backends. */
#include "hv/boot/host.h"
#include "hv/vp/serial.h"
#include "hv/x86/cpu.h"
#include "hv/x86/vp/x86.h"

#define CPUID_LEAF_XSAVE 0xDu /* the one leaf that shows XCR0 */

static enum vp_next cpuid_exit(struct vp *vp, const struct exit *exit)
{
    struct vp_arch *arch = vp->arch;
    uint64_t *gpr = arch->state.gpr;
    const uint32_t leaf = (uint32_t)gpr[VMMU_X86_RAX];
    struct x86_cpuid_state state = { .cr4 = arch->backend->read_control(vp, 4) };
    struct x86_cpuid_regs regs;

    if (!x86_skip(vp, exit)) {
        return VP_RESUME;
    }
    if (leaf == CPUID_LEAF_XSAVE) {
        state.xcr0 = x86_xcr0(vp);
    }
    regs = x86_cpuid_lookup(&arch->cpuid, leaf, (uint32_t)gpr[VMMU_X86_RCX], &state);
    gpr[VMMU_X86_RAX] = regs.eax;
    gpr[VMMU_X86_RBX] = regs.ebx;
    gpr[VMMU_X86_RCX] = regs.ecx;
    gpr[VMMU_X86_RDX] = regs.edx;
    return VP_RESUME;
}

/* Whether @vp may yet do something, and be it that its partition's parent makes it. */
static bool may_go_on(const struct vp *vp)
{
    if (vp->waits & VP_WAIT_START) {
        return false;
    }
    return vp->waits != VP_WAIT_EVENT || vp->arch->state.rflags & X86_RFLAGS_IF || vp->arch->nmi_pending ||
           vp->arch->exception_pending;
}

/* Whether one of @partition's VPs, but for @but, may yet do something: it could send others what wakes them, an NMI or INIT. */
static bool others_may_go_on(const struct partition *partition, const struct vp *but)
{
    for (unsigned i = 0; i < partition->vp_count; i++) {
        if (partition->vps[i] != but && may_go_on(partition->vps[i])) {
            return true;
        }
    }
    return false;
}

static bool has_halted_for_good(struct vp *vp)
{
    return !(vp->arch->state.rflags & X86_RFLAGS_IF) && !arch_vp_wakes(vp) &&
           !others_may_go_on(vp->partition, vp);
}

bool x86_anyone_may_go_on(const struct partition *partition)
{
    return others_may_go_on(partition, NULL);
}

static enum vp_next idle_exit(struct vp *vp, const struct exit *exit)
{
    if (!x86_skip(vp, exit)) {
        return VP_RESUME;
    }
    if (has_halted_for_good(vp)) {
        return x86_give_up(vp, "the guest halted with interrupts off");
    }
    /* What waits for STI's shadow to end need not wait for its window now. */
    vp->attention |= VP_ATTENTION_EVENT;
    return VP_IDLE;
}

static enum vp_next pause_exit(struct vp *vp, const struct exit *exit)
{
    return x86_skip(vp, exit) ? VP_YIELD : VP_RESUME;
}

/* The guest may have made room in a serial port. */
static enum vp_next port_exit(struct vp *vp, const struct exit *exit)
{
    const enum vp_next next = x86_port_exit(vp, exit);

    if (serial_waits(vp->partition)) {
        serial_pump(vp->partition);
    }
    return next;
}

const struct exit_range arch_exits = { EXIT_X86_PORT, EXIT_X86_SPACES + 1 };

enum vp_next arch_vp_exit(struct vp *vp, const struct exit *exit)
{
    switch (exit->kind) {
    case EXIT_X86_CPUID: return cpuid_exit(vp, exit);
    case EXIT_X86_PORT: return port_exit(vp, exit);
    case EXIT_X86_MSR_READ:
    case EXIT_X86_MSR_WRITE: return x86_msr_exit(vp, exit);
    case EXIT_X86_CONTROL: return x86_control_exit(vp, exit);
    case EXIT_X86_XSETBV: return x86_xsetbv_exit(vp, exit);
    case EXIT_HYPERCALL: return x86_hypercall_exit(vp, exit);
    case EXIT_IDLE: return idle_exit(vp, exit);
    case EXIT_X86_PAUSE: return pause_exit(vp, exit);
    case EXIT_X86_CACHE:
        /* INVD would lose what other partitions have written: it acts as WBINVD. */
        if (x86_skip(vp, exit)) {
            wbinvd();
        }
        return VP_RESUME;
    case EXIT_X86_EXCEPTION: x86_raise_again(vp, &exit->exception); return VP_RESUME;
    case EXIT_X86_UNOFFERED: x86_raise_ud(vp); return VP_RESUME;
    case EXIT_X86_RDPMC: x86_raise_gp(vp); return VP_RESUME;
    case EXIT_X86_PAGE_FAULT: return x86_page_fault_exit(vp, exit);
    case EXIT_X86_INVLPG: return x86_invlpg_exit(vp, exit);
    case EXIT_X86_TASK_SWITCH: return x86_task_exit(vp, exit);
    case EXIT_X86_SPACES: return VP_RESUME;
    case EXIT_HOST_INTERRUPT:
    case EXIT_EVENT_WINDOW:
    case EXIT_MEMORY:
    case EXIT_MACHINE_CHECK:
    case EXIT_DEAD:
    case EXIT_PPC_TIMER:
    case EXIT_PPC_PAGE:
    case EXIT_KINDS: break;
    }
    host_panic("exit %u is not for x86 to decide\n", exit->kind);
}
