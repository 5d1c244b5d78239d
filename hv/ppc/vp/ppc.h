/*
 * A virtual processor of PowerPC's Book E: the files of hv/ppc/vp and hv/ppc/e500 to each other.
 *
 * hv/ppc/e500 enters the guest and takes its traps; most are dealt with there, at once, without the neutral loop's knowing. What
 * the guest sees of a trap is decided in hv/ppc/vp by the rules of hv/ppc/core.
 *
 * Invariant: whenever the guest is about to run on, the processor's PID registers are those of its MSR[IS], [DS] and [PR], and no
 * interrupt that its MSR lets through is pending.
 */
#ifndef HV_PPC_VP_PPC_H
#define HV_PPC_VP_PPC_H

#include <vmmu/booke.h>

#include "hv/dev/e500.h"
#include "hv/ppc/core/core.h"
#include "hv/ppc/core/privileged.h"
#include "hv/vp/arch.h"

/* What is counted, besides the vectors of traps and the privileged instructions. */
enum ppc_count {
    PPC_COUNT_DATA_FILLED,     /* data TLB errors that the guest's own TLB had an entry for */
    PPC_COUNT_FETCH_FILLED,    /* likewise of fetches */
    PPC_COUNT_ANSWERED,        /* entries made at the guest's tlbwe, of the miss that it answers */
    PPC_COUNT_SPACES,          /* writes of the processor's PID registers */
    PPC_COUNT_INSN_MISSED,     /* trapped instructions that had to be read by translating for them */
    PPC_COUNT_FETCHED_NOTHING, /* fetches of what is no memory */
    PPC_COUNT_SPE,             /* the SPE's state has been brought in */
    PPC_COUNTS
};

/* Registers that are the processor's own and that guests reach without a trap: where they are while another VP runs. */
struct ppc_private {
    uint32_t usprg0;
    uint32_t spefscr;
};

/* What the SPE adds: the upper halves of the general registers, and the accumulator. As hv/ppc/e500/spe.S stores it. */
struct ppc_spe {
    uint64_t gpr[32]; /* the upper halves of these */
    uint64_t accumulator;
};

/* An access that the processor could not do for the guest, as the exit for it has left it. */
struct ppc_refused {
    struct vmmu_booke_attempt attempt;
    struct vmmu_booke_result result; /* what the guest's own TLB says of it */
    uint32_t word;                   /* the instruction */
    bool has_word;
};

#define PPC_SPACES       8 /* combinations of MSR[IS], [DS] and [PR] */
#define PPC_MESSAGE_SIZE 120

struct vp_arch {
    struct ppc_core core; /* first: SPRG1 points to it while the guest runs */
    struct vp *vp;
    struct vmmu_booke *booke;
    struct vmmu_booke_real *real;
    struct exit *exit; /* what made the guest leave, for the neutral loop */

    uint32_t generation;              /* real->generation that `pids` is of */
    uint32_t pids[PPC_SPACES];        /* packed; 0: not known */
    struct vmmu_booke_attempt missed; /* what the guest has last been told of as a TLB error ... */
    bool has_missed;                  /* ... and has not answered yet */

    struct ppc_refused refused; /* from an exit to its handler */

    uint64_t due_ns; /* of the partition's clock: when its timers want to be looked at */
    struct ppc_private own;
    struct ppc_spe spe;
    uint64_t vectors[VECTOR_LIMIT];
    uint64_t privileged[PPC_PRIVILEGED_KINDS];
    uint64_t counts[PPC_COUNTS];
    char message[PPC_MESSAGE_SIZE];
};

_Static_assert(offsetof(struct vmmu_booke, kept) - offsetof(struct vmmu_booke, mas) == CORE_MAS_TO_KEPT,
               "the assembly's offset");
_Static_assert(offsetof(struct vp_arch, core) == 0, "vectors.S finds the one at the other");

struct partition_arch {
    struct e500 board;
    uint64_t held_at; /* the time base, while the partition is held */
};

static inline struct e500 *ppc_board(const struct vp *vp)
{
    return &vp->partition->arch->board;
}

/* --- hv/ppc/e500 --- */

/* Add what quick.S has counted to the other counts. */
void e500_add_quick(struct vp_arch *arch);

/* Find what the processor offers, for the registers that say so. */
void e500_describe(struct ppc_core *core);

/* MSR becomes @msr: the spaces and the SPE follow. The caller looks at what is pending. */
void e500_set_msr(struct vp_arch *arch, uint32_t msr);

/* A PID register of the guest's has changed, or shadow PIDs may have: bring the processor's in line. */
void e500_forget_spaces(struct vp_arch *arch);
void e500_settle_spaces(struct vp_arch *arch);

/* Whether the guest steps: it is to be told of debug events that the processor finds. */
bool e500_steps(const struct vp_arch *arch);

/* Load the word at @ea of the guest's space that MSR[DS] of the processor stands for. False: no entry has it. In guest.S. */
VMMU_MUST_USE
bool e500_load_word(uint32_t ea, uint32_t *word);

/* Move to the processor's own register @number: SPRG3 to SPRG7. */
void e500_set_own_register(unsigned number, uint32_t value);

/* --- hv/ppc/vp --- */

/*
 * The guest takes interrupt @vector, whose handler is to return to @back.
 */
void ppc_take(struct vp_arch *arch, unsigned vector, uint32_t back);

/* The same of an instruction's fault, which leaves the program counter at it. */
void ppc_program(struct vp_arch *arch, uint32_t esr);

/* The same of a trap instruction whose condition holds. */
void ppc_trap_instruction(struct vp_arch *arch, uint32_t esr);

/* An instruction that has been performed for the guest under the partition's lock is behind it. */
void ppc_step_over(struct vp_arch *arch);

/* An instruction has been completed for a guest that steps: its debug interrupt, even if the instruction has cleared MSR[DE]. */
void ppc_stepped(struct vp_arch *arch);

/* Deliver the most urgent interrupt that is pending and let through, if there is one. Under the partition's lock. */
void ppc_deliver(struct vp_arch *arch);

/*
 * What is pending may be let through from now on, or somebody asks for attention: take care of that. False: the guest must leave.
 */
VMMU_MUST_USE
bool ppc_settle(struct vp_arch *arch);

/* @vp is to look at what is pending before its guest runs on. */
void ppc_draw_attention(struct vp *vp);

/* What run_msr depends on may have changed, beside the spaces. In hv/ppc/e500. */
void e500_run_msr_changes(struct vp_arch *arch);
uint32_t e500_run_msr(const struct vp_arch *arch);

/* Let timers have happened up to now, and find what is pending. */
void ppc_look_at_timers(struct vp_arch *arch);

/*
 * A move from, or to, special purpose register @number in the guest's supervisor state; before a move to one the program counter has
 * been stepped on. False: the guest must leave; arch->exit says why.
 */
VMMU_MUST_USE
bool ppc_move_from(struct vp_arch *arch, unsigned number, uint32_t *value);
VMMU_MUST_USE
bool ppc_move_to(struct vp_arch *arch, unsigned number, uint32_t value);

/* Perform @word, a privileged instruction, at the program counter. False: the guest must leave; arch->exit says why. */
VMMU_MUST_USE
bool ppc_perform(struct vp_arch *arch, uint32_t word);

/* Whether the core waits for an interrupt. */
bool ppc_is_asleep(const struct ppc_core *core);

/* Leave for the neutral loop, because of @kind. Returns false, for the callers of functions above. */
bool ppc_leave(struct vp_arch *arch, enum exit_kind kind);

/* The partition cannot go on, for the reason that @format makes: ended at once, under its lock; or by an exit, without. */
__attribute__((format(printf, 2, 3))) void ppc_give_up(struct vp_arch *arch, const char *format, ...);
__attribute__((format(printf, 2, 3))) bool ppc_die(struct vp_arch *arch, const char *format, ...);

/* The guest's instruction at the program counter, by its own translation. False: it cannot be fetched any more. */
VMMU_MUST_USE
bool ppc_fetch(struct vp_arch *arch, uint32_t *word);

/* A TLB error or a storage interrupt of the guest's own: what translation found. */
void ppc_translation_fault(struct vp_arch *arch, const struct vmmu_booke_attempt *attempt,
                           const struct vmmu_booke_result *result);

static inline struct vmmu_booke_state ppc_space(const struct ppc_core *core)
{
    return (struct vmmu_booke_state){ .instruction_space = core->msr & MSR_IS,
                                      .data_space = core->msr & MSR_DS,
                                      .problem = core->msr & MSR_PR };
}

#endif
