/*
 * What a guest is owed: interrupts of its devices and timers, and faults of its own making.
 *
 * Invariant: an external interrupt is acknowledged, where external proxy does that, only in the same step in which the guest takes
 * it. What cannot be taken stays pending in the core, and whatever lets it through looks there.
 *
 * Spec: EREF "Interrupts and Exceptions", "Timers"; MPC8548E Reference Manual "Programmable Interrupt Controller".
 */
#include "hv/ppc/cpu.h"
#include "hv/ppc/ground.h"
#include "hv/ppc/vp/ppc.h"
#include "hv/vp/schedule.h"

static bool debug_is_due(const struct ppc_core *core)
{
    return core->msr & PPC_MSR_DE && core->pending & PPC_PENDING_DEBUG;
}

/* An interrupt that is a debug event itself is interrupted before its handler's first instruction. */
void ppc_take(struct vp_arch *arch, unsigned vector, uint32_t back)
{
    e500_set_msr(arch, ppc_interrupt(&arch->core, vector, back));
    if (ppc_class_of(vector) == PPC_CLASS_BASE && arch->core.dbcr0 & PPC_DBCR0_IRPT) {
        ppc_debug_event(&arch->core, PPC_DBCR0_IRPT);
        if (debug_is_due(&arch->core)) {
            e500_set_msr(arch, ppc_interrupt(&arch->core, VECTOR_DEBUG, arch->core.pc));
        }
    }
}

void ppc_step_over(struct vp_arch *arch)
{
    arch->core.pc += 4;
    if (e500_steps(arch)) {
        ppc_stepped(arch);
    }
}

void ppc_stepped(struct vp_arch *arch)
{
    if (!(arch->core.dbcr0 & PPC_DBCR0_ICMP)) {
        return;
    }
    arch->core.dbsr |= PPC_DBCR0_ICMP;
    ppc_look(&arch->core);
    ppc_take(arch, VECTOR_DEBUG, arch->core.pc);
}

/* A trap instruction's debug event comes in place of the program interrupt, where debug interrupts are on. */
void ppc_trap_instruction(struct vp_arch *arch, uint32_t esr)
{
    ppc_debug_event(&arch->core, PPC_DBCR0_TRAP);
    if (debug_is_due(&arch->core)) {
        ppc_take(arch, VECTOR_DEBUG, arch->core.pc);
    } else {
        ppc_program(arch, esr);
    }
}

void ppc_program(struct vp_arch *arch, uint32_t esr)
{
    arch->core.esr = esr;
    ppc_take(arch, VECTOR_PROGRAM, arch->core.pc);
}

void ppc_translation_fault(struct vp_arch *arch, const struct vmmu_booke_attempt *attempt,
                           const struct vmmu_booke_result *result)
{
    const bool fetch = attempt->kind == VMMU_BOOKE_FETCH;
    const struct vmmu_booke_access access = { .kind = attempt->kind,
                                              .space = fetch ? attempt->state.instruction_space
                                                             : attempt->state.data_space,
                                              .problem = attempt->state.problem };
    unsigned vector = fetch ? VECTOR_INSTRUCTION : VECTOR_DATA_STORAGE;

    if (result->verdict == VMMU_BOOKE_MISS) {
        vmmu_booke_miss(arch->booke, attempt->ea, access);
        arch->missed = *attempt;
        arch->has_missed = true;
        vector = fetch ? VECTOR_FETCH_MISS : VECTOR_DATA_MISS;
    }
    if (!fetch) {
        arch->core.dear = attempt->ea;
    }
    arch->core.esr = result->esr;
    ppc_take(arch, vector, arch->core.pc);
}

/* --- asynchronous interrupts --- */

/* The controller's outputs may have fallen since. */
static void look_at_lines(struct vp_arch *arch)
{
    const struct e500 *board = ppc_board(arch->vp);
    const unsigned index = arch->vp->index;
    uint32_t pending = arch->core.pending & ~(uint32_t)(PPC_PENDING_EXTERNAL | PPC_PENDING_CRITICAL);

    if (e500_external_is_pending(board, index)) {
        pending |= PPC_PENDING_EXTERNAL;
    }
    if (e500_critical_is_pending(board, index)) {
        pending |= PPC_PENDING_CRITICAL;
    }
    arch->core.pending = pending;
}

void ppc_deliver(struct vp_arch *arch)
{
    int vector;

    lock_assert(&arch->vp->partition->lock);
    if (arch->core.timers.reset) {
        partition_end(arch->vp->partition, PARTITION_RESET, 0, "its watchdog");
        return;
    }
    look_at_lines(arch);
    vector = ppc_due_vector(&arch->core);
    if (vector < 0) {
        return;
    }
    if (vector == VECTOR_EXTERNAL) {
        (void)e500_take_external(ppc_board(arch->vp), arch->vp->index, &arch->core.epr);
        look_at_lines(arch);
    }
    arch->vp->counters.events_injected++;
    ppc_take(arch, (unsigned)vector, arch->core.pc);
}

void arch_vp_events(struct vp *vp)
{
    vp->attention &= ~(unsigned)(VP_ATTENTION_EVENT | VP_ATTENTION_SOON);
    ppc_look_at_timers(vp->arch);
    ppc_deliver(vp->arch);
}

bool arch_vp_wakes(struct vp *vp)
{
    look_at_lines(vp->arch);
    return ppc_is_due(&vp->arch->core);
}

/* --- timers --- */

/* Later than this is never: some years. */
#define TICKS_MOST (UINT64_C(1) << 56)

/* The partition's clock goes on by @ticks of the time base from now on. */
static uint64_t when(const struct partition *partition, uint64_t ticks)
{
    return ticks < TICKS_MOST ? clock_add(partition_clock_ns(partition), clock_ns_of(ticks) + 1)
                              : CLOCK_NEVER;
}

void ppc_look_at_timers(struct vp_arch *arch)
{
    struct partition *partition = arch->vp->partition;
    struct ppc_timers *timers = &arch->core.timers;
    const uint64_t now = timebase();
    uint64_t due;

    e500_add_quick(arch);
    ppc_timers_advance(timers, now);
    ppc_look(&arch->core);
    due = ppc_timers_deadline(timers);
    arch->due_ns = due == PPC_TIMERS_NEVER ? CLOCK_NEVER : when(partition, due > now ? due - now : 0);
}

uint64_t arch_partition_deadline(const struct partition *partition)
{
    uint64_t earliest_ns = e500_deadline(&partition->arch->board);

    for (unsigned i = 0; i < partition->vp_count; i++) {
        earliest_ns = clock_earlier(earliest_ns, partition->vps[i]->arch->due_ns);
    }
    return earliest_ns;
}

void arch_partition_advance(struct partition *partition, uint64_t now_ns)
{
    e500_advance(&partition->arch->board, now_ns);
    for (unsigned i = 0; i < partition->vp_count; i++) {
        struct vp *vp = partition->vps[i];

        if (vp->arch->due_ns <= now_ns) {
            ppc_look_at_timers(vp->arch);
            ppc_draw_attention(vp);
        }
    }
}

void ppc_draw_attention(struct vp *vp)
{
    vp->attention |= VP_ATTENTION_EVENT;
    schedule_notice(vp);
}

void arch_partition_hold(struct partition *partition)
{
    partition->arch->held_at = timebase();
}

/* The time base goes on for everybody; what the timers count from it stands still. */
void arch_partition_release(struct partition *partition)
{
    const uint64_t lost = timebase() - partition->arch->held_at;

    for (unsigned i = 0; i < partition->vp_count; i++) {
        ppc_timers_delay(&partition->vps[i]->arch->core.timers, lost);
    }
}
