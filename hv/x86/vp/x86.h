/*
 * An x86 virtual processor: what VT-x and SVM have in common. Private to hv/x86.
 *
 * A backend (svm, vmx) enters the guest and turns exits into records; everything that the guest can
 * observe of an exit is decided here, once for all backends.
 */
#ifndef HV_X86_VP_X86_H
#define HV_X86_VP_X86_H

#include <vmmu/hyperv.h>
#include <vmmu/insn.h>
#include <vmmu/mode.h>
#include <vmmu/nested.h>
#include <vmmu/shadow.h>
#include <vmmu/task.h>
#include <vmmu/walk.h>

#include "hv/dev/pc.h"
#include "hv/vp/arch.h"
#include "hv/x86/policy/cpuid.h"
#include "hv/x86/policy/msr.h"

#define X86_RFLAGS_TF   BIT64(8)
#define X86_RFLAGS_IF   BIT64(9)
#define X86_RFLAGS_RF   BIT64(16)
#define X86_RFLAGS_VM   BIT64(17)
#define X86_RFLAGS_AC   BIT64(18)

#define X86_DR6_RESET   UINT64_C(0xFFFF0FF0)
#define X86_DR6_BD      BIT64(13)
#define X86_DR6_BS      BIT64(14)

#define X86_DR7_RESET   UINT64_C(0x400)
#define X86_DR7_ENABLES BITS64(7, 0)
#define X86_DR7_GD      BIT64(13)

#define X86_VECTOR_DB   1
#define X86_VECTOR_NMI  2
#define X86_VECTOR_UD   6
#define X86_VECTOR_DF   8
#define X86_VECTOR_MF   16
#define X86_VECTOR_AC   17
#define X86_VECTOR_MC   18

#define X86_MSR_TSC     0x10u
#define X86_MSR_PAT     0x277u
#define X86_MSR_PKRS    0x6E1u
#define X86_MSR_EFER    0xC0000080u
#define X86_MSR_TSC_AUX 0xC0000103u

/* An event to be delivered to the guest. */
enum x86_event_kind { X86_EVENT_INTERRUPT, X86_EVENT_NMI, X86_EVENT_EXCEPTION };

struct x86_event {
    enum x86_event_kind kind;
    uint8_t vector;
    bool has_error_code;
    uint32_t error_code;
};

/*
 * What a processor vendor's virtualization does for us. Each call is about a VP that is not inside its guest.
 */
struct x86_backend {
    const char *name;
    enum vmmu_hyperv_call_instruction call_instruction;

    /* Turn virtualization on. NULL, or the sentence that says what the processor lacks. */
    const char *(*start)(void);

    /* What the second stage offers; fills all but `vps`. */
    const char *(*stage2)(struct vmmu_nested_config *config);

    /* What walking tables of ours takes of the processor; fills what is its own. NULL, or what is missing. */
    const char *(*shadow)(struct vmmu_shadow_config *config);

    /*
     * What the second stage offers to a guest of tables of ours in phases in which the processor cannot run it on these, real
     * mode above all: as stage2(). NULL where there are no such phases.
     */
    const char *(*phase_stage2)(struct vmmu_nested_config *config);

    /* Control structures for a VP, whose registers are still to be reset. NULL, or why not. */
    const char *(*vp_create)(struct vp *vp);

    /*
     * Run the guest until it exits; takes and leaves gpr, rip, rflags and the
     * interrupt shadow in arch->state.
     */
    void (*enter)(struct vp *vp, struct exit *exit);

    /* Fill what enter() does not keep up of arch->state: control registers, EFER, CPL and CS; the other segments. */
    void (*read_code)(struct vp *vp);
    void (*read_segments)(struct vp *vp);

    /*
     * CR0, CR3, CR4 and EFER, the guest's own, and the PDPTE registers where the processor keeps these for it. The
     * other members of @registers stay.
     */
    void (*read_paging)(const struct vp *vp, struct vmmu_x86_paging_registers *registers);

    /* Load a segment; GDTR and IDTR; a control register (0, 2, 3, 4); EFER. No checks, no flush. */
    void (*write_segment)(struct vp *vp, enum vmmu_x86_segment_name name,
                          const struct vmmu_x86_segment *segment);
    void (*write_table)(struct vp *vp, bool interrupt, uint64_t base, uint16_t limit);

    /* What a task switch reads and loads besides: LDTR, TR and, never loaded by it, GDTR; DR7. SS brings the CPL. */
    void (*read_system)(const struct vp *vp, struct vmmu_x86_system_segments *system);
    void (*write_system)(struct vp *vp, const struct vmmu_x86_system_segments *system);
    uint64_t (*read_dr7)(const struct vp *vp);
    void (*write_dr7)(struct vp *vp, uint64_t dr7);

    /* GDTR or IDTR; DR6. */
    void (*read_table)(const struct vp *vp, bool interrupt, uint64_t *base, uint16_t *limit);
    uint64_t (*read_dr6)(const struct vp *vp);
    void (*write_dr6)(struct vp *vp, uint64_t dr6);

    /* IRET has been performed: NMIs are no longer blocked. And until it is they are. */
    void (*unblock_nmi)(struct vp *vp);
    void (*block_nmi)(struct vp *vp);
    bool (*nmi_is_blocked)(const struct vp *vp);

    /* Events under way, their windows, what blocks them, and DR6: as after a reset. */
    void (*reset_events)(struct vp *vp);

    /* Whether PAUSE exits. */
    void (*watch_pause)(struct vp *vp, bool watched);

    uint64_t (*read_control)(const struct vp *vp, unsigned number);
    void (*write_control)(struct vp *vp, unsigned number, uint64_t value);
    void (*write_efer)(struct vp *vp, uint64_t value);

    /* Load the PDPTE registers of a guest whose own tables are walked. NULL where the processor reads them in memory. */
    void (*write_pdptes)(struct vp *vp, const uint64_t pdpte[4]);

    /*
     * Walk the tables at @root in place of the guest's, who goes on seeing its own control registers. Called
     * whenever these have been written.
     */
    void (*write_root)(struct vp *vp, const struct vmmu_shadow_root *root);

    /*
     * Store what stays in the registers while no other VP's is there, and load it, beside what switch.c looks after. The first is
     * NULL where all that stays is stored at each exit.
     */
    void (*switch_from)(struct vp *vp);
    void (*switch_to)(struct vp *vp);

    /* MSRs that the processor switches or that guests use directly. False: there is no such register here. */
    bool (*read_msr)(struct vp *vp, uint32_t index, uint64_t *value);
    bool (*write_msr)(struct vp *vp, uint32_t index, uint64_t value);

    /* Guest TSC minus host TSC. */
    uint64_t (*tsc_offset)(struct vp *vp);
    void (*write_tsc_offset)(struct vp *vp, uint64_t offset);

    void (*write_tpr)(struct vp *vp, uint8_t cr8);

    /*
     * Do not deliver again the event whose delivery the last exit cut short: it is over. After an NMI others stay
     * blocked until IRET.
     */
    void (*forget_event)(struct vp *vp);

    /* Add bits to DR6, ahead of a #DB. */
    void (*raise_debug)(struct vp *vp, uint64_t dr6_bits);

    /*
     * Whether an event is waiting to be delivered at the next entry already: one cut
     * short, or one just injected.
     */
    bool (*is_injecting)(const struct vp *vp);
    bool (*can_take)(const struct vp *vp, enum x86_event_kind kind);
    void (*inject)(struct vp *vp, const struct x86_event *event);

    /*
     * Exit as soon as the guest can take an event of this kind (interrupt or NMI); where the processor cannot
     * do that, VP_ATTENTION_SOON is set.
     */
    void (*open_window)(struct vp *vp, enum x86_event_kind kind);

    /* Forget all of the guest's translations before the next entry; the second stage's, too. */
    void (*flush)(struct vp *vp);
    void (*flush_stage2)(struct vp *vp);

    /* Forget the translation of the guest's page at @va, now. */
    void (*flush_page)(struct vp *vp, vmmu_gva va);

    /*
     * Load CR3, and forget nothing: neither space uses translations of the other's. Only where the processor walks the guest's own
     * tables. What the guest then flushes by itself goes from all spaces, as if they were one: see EXIT_X86_SPACES.
     */
    void (*switch_space)(struct vp *vp, uint64_t cr3);

    void (*report)(struct vp *vp, struct json *json);

    /* The number (ASID, VPID) under which the VP's translations are cached now; 0 if it has none. */
    uint16_t (*tag)(const struct vp *vp);

    /* Whether the processor walks the guest's own tables in a phase as of phase_stage2(). NULL where there are none. */
    bool (*is_in_phase)(const struct vp *vp);
};

extern const struct x86_backend x86_svm;
extern const struct x86_backend x86_vmx;

/* A partition's: hypercall page, reference TSC page. A VP's: */
#define X86_OVERLAYS         2
#define X86_OVERLAY_ASSIST   0
#define X86_OVERLAY_MESSAGES 1
#define X86_OVERLAY_EVENTS   2
#define X86_VP_OVERLAYS      3

/* Pages that stand over the guest's memory while the guest wants them. */
struct x86_overlay {
    bool wanted;
    bool placed; /* seen by the guest: no other overlay stands there */
    vmmu_gpa at;
    vmmu_hpa page; /* 0 until first wanted */
};

#define X86_FETCH_MEMOS 16
#define X86_FETCH_BYTES 16 /* one load more than a decoder looks at */

/* A code page, the walk that found it, and the instruction that was last fetched from it. */
struct x86_fetch_memo {
    const uint8_t *code; /* NULL: nothing is remembered */
    uint64_t page;
    uint64_t cr0, cr3, cr4, efer;
    uint8_t cpl;
    uint8_t count;
    uint8_t width_bytes;
    struct {
        const void *at;
        uint64_t value;
    } entries[VMMU_X86_MAX_LEVELS];
    uint64_t bytes[X86_FETCH_BYTES / 8]; /* at `offset` of the page, from which `insn` was decoded */
    uint64_t offset;
    bool decoded;
    struct vmmu_insn insn;
};

/* Kinds of hypercalls that are counted. */
#define X86_CALLS 16

struct vp_arch {
    struct vmmu_x86_state state;
    bool code_complete;     /* of `state`, what read_code() fills is good */
    bool segments_complete; /* and what read_segments() fills; else only what enter() keeps up */
    const struct x86_backend *backend;
    struct svm_vp *svm; /* the backend's own: one of the two */
    struct vmx_vp *vmx;
    struct x86_event exception; /* to be injected before anything else */
    bool exception_pending;
    bool nmi_pending;
    uint64_t xcr0;
    struct vmmu_x86_cpu cpu;
    struct vmmu_x86_paging_registers mode_registers; /* what `mode` was made from */
    struct vmmu_x86_mode mode;
    bool mode_valid;
    bool walks_guest; /* the processor walks the guest's own tables; else ours in their place */
    bool pause_exits;
    bool pdptes_in_memory; /* it reads PDPTEs there at each walk; else: */
    uint64_t pdpte[4];     /* the PDPTE registers, where the backend does not keep them */
    uint64_t fault_va;     /* the last page fault */
    uint64_t fault_rip;
    uint32_t fault_error_code;
    uint32_t fault_repeats; /* that the tables did not explain */
    uint32_t told_pkru;     /* what the MMU was told of the keys */
    uint32_t told_pkrs;
    uint64_t port_last; /* the last IN or OUT that exited, and what stands behind it */
    uint64_t port_next;
    uint64_t port_pair; /* an IN or OUT that another one follows at once */
    struct x86_fetch_memo memos[X86_FETCH_MEMOS];
    struct vmmu_insn_cache insn_cache;
    struct vmmu_hyperv_vp hyperv;
    struct x86_overlay overlays[X86_VP_OVERLAYS];
    bool flush_inhibited; /* HvRegisterInterceptSuspend, TlbFlushInhibit */
    bool message_waits;   /* `message`, about this VP, is yet to be written to the parent's message page */
    int auto_eoi;         /* the vector of a message's interrupt that ends as it is delivered; 0: none */
    vmmu_gpa withheld;    /* where the last walk that was given up met memory that the parent withholds */
    struct vmmu_hyperv_message message;
    uint64_t message_turn;     /* of those that wait the lowest goes first; 0: it has none yet */
    uint64_t messages;         /* about this VP, that were delivered */
    uint64_t calls[X86_CALLS]; /* hypercalls that it made: see x86_report_calls() */
    struct x86_msrs msrs;
    struct x86_cpuid cpuid;
    struct vmmu_shadow_root root; /* that write_root() was last given */
    vmmu_hpa extended;            /* the FPU's and extended state while another VP's is in the registers */
    uint64_t saved_dr[4];
    bool has_tsc_aux;
    bool has_pkrs;
    uint64_t saved_pkrs;
    uint64_t saved_tsc_aux;
};

struct partition_arch {
    struct pc pc;
    uint64_t tsc_offset; /* of all its VPs, until one writes its counter */
    uint64_t held_tsc;   /* of the host, when the partition was last held */
    bool stage2_stale;   /* what the processor cached of the second stage must go before a VP uses it again */
    /* A VP ran on its own tables, and nobody saw what it wrote: what was made from guest memory for VPs that do not is out of date. */
    bool unseen_writes;
    bool enlightened;
    uint64_t message_turns; /* that were given to messages about this partition's children */
    bool messages_wait;     /* some had no room: VP 0's next EOI or EOM makes it, perhaps */
    struct vmmu_hyperv_partition hyperv;
    struct x86_overlay overlays[X86_OVERLAYS];
};

static inline struct pc *x86_pc(const struct vp *vp)
{
    return &vp->partition->arch->pc;
}

/* What the partition's virtual MMU does where the specification leaves it open. */
static inline const struct vmmu_hyperv_policy *x86_policy(const struct vp *vp)
{
    return &vp->partition->arch->hyperv.config.policy;
}

/*
 * Whether MOV to CR3 and task switches have to exit although the processor walks the guest's own tables: CR3's cache bits are to
 * be ignored. Constant.
 */
static inline bool x86_watches_cr3(const struct vp *vp)
{
    return vp->arch->walks_guest && x86_policy(vp)->cr3_cache == VMMU_HYPERV_CACHE_IGNORE;
}

/* Fill all of arch->state but segments other than CS. */
static inline struct vmmu_x86_state *x86_code(struct vp *vp)
{
    if (!vp->arch->code_complete) {
        vp->arch->backend->read_code(vp);
        vp->arch->code_complete = true;
    }
    return &vp->arch->state;
}

/* Fill all of arch->state. */
static inline struct vmmu_x86_state *x86_state(struct vp *vp)
{
    if (!vp->arch->segments_complete) {
        vp->arch->backend->read_segments(vp);
        vp->arch->segments_complete = true;
    }
    return x86_code(vp);
}

/* Whether the guest has armed a debug register. */
static inline bool x86_has_breakpoints(const struct vp *vp)
{
    return vp->arch->backend->read_dr7(vp) & X86_DR7_ENABLES;
}

/* --- events.c --- */

/* Queue an exception. A second one while one is queued is the architecture's double fault, or its end. */
void x86_raise(struct vp *vp, uint8_t vector, bool has_error_code, uint32_t error_code);
void x86_raise_fault(struct vp *vp, const struct vmmu_x86_fault *fault);
void x86_raise_gp(struct vp *vp);
void x86_raise_ud(struct vp *vp);

/* Give an intercepted exception back to the guest. */
void x86_raise_again(struct vp *vp, const struct exit_exception *exception);

/*
 * If the guest has taken the offer of an interrupt that needs no EOI, end that interrupt now; else take the offer back if the
 * EOI has come to matter.
 */
void x86_settle_eoi(struct vp *vp);

/* Nothing waits to be delivered any more. */
void x86_forget_events(struct vp *vp);

/* --- init.c --- */

/* Registers as a processor has them after a reset, and after INIT: segments, control, general and debug registers. */
void x86_reset_registers(struct vp *vp);

/* Whether one of @partition's VPs may yet do something, and be it that its parent makes it. */
bool x86_anyone_may_go_on(const struct partition *partition);

/* INIT: the VP is reset, and waits for a start-up message. A message about it that has not been delivered is withdrawn. */
void x86_init(struct vp *vp);

/* The start-up message: if the VP waits for one it runs from @vector's page on, in real mode. */
void x86_start_up(struct vp *vp, uint8_t vector);

/* --- translate.c --- */

/*
 * Paging as the guest has it now, with PKRU and PKRS or as if they had not changed. NULL
 * if there is no such mode.
 */
const struct vmmu_x86_mode *x86_mode(struct vp *vp, bool with_keys);

/* The same after a write of CR3, of a VP whose other paging registers do not change without an exit. */
const struct vmmu_x86_mode *x86_mode_with_root(struct vp *vp, uint64_t cr3);

/* PKRU and PKRS, which change without an exit; each stays as it is if @cr4 turns it off. */
void x86_read_keys(struct vp *vp, uint64_t cr4, uint32_t *pkru, uint32_t *pkrs);

/* Walk the guest's tables for an access at the present privilege; marks are set as a processor sets them. */
enum vmmu_status x86_walk(struct vp *vp, vmmu_gva va, enum vmmu_x86_access_kind kind,
                          struct vmmu_x86_walk_result *walk);

/*
 * The last walk, on the way to @va if that is not NULL, was given up for VMMU_ABSENT: the parent withholds a table from being read,
 * or from being marked. It is told. Returns VMMU_RACED: whoever walked starts again afterwards.
 */
enum vmmu_status x86_table_is_withheld(struct vp *vp, const vmmu_gva *va);

/*
 * How the library reaches the guest's tables: memory that is not there reads as all ones, as on a bus. What the parent withholds
 * is VMMU_ABSENT.
 */
struct vmmu_ram x86_ram(struct vp *vp);

/* --- fetch.c --- */

/* Forget what was fetched. */
void x86_forget_fetches(struct vp *vp);

/* Other memory than before stands somewhere: what any VP fetched there is forgotten. */
void x86_memory_moved(struct partition *partition);

/* What stands at RIP, as an observer: up to @limit bytes. Returns how many. */
unsigned x86_code_at_rip(struct vp *vp, uint8_t *bytes, unsigned limit);

/**
 * Fetch and decode the instruction at RIP.
 *
 * Returns
 *   VMMU_OK           *insn, which stands until the next call
 *   VMMU_GUEST_FAULT  a fault has been queued
 *   VMMU_UNSUPPORTED  the decoder does not know it
 */
enum vmmu_status x86_fetch(struct vp *vp, const struct vmmu_insn **insn);

/* As x86_fetch(), for an instruction that the guest has not come to yet: nothing is queued. */
enum vmmu_status x86_peek(struct vp *vp, const struct vmmu_insn **insn);

/* Whether the next instruction may be performed in the same exit: no event, single step or breakpoint comes between. */
bool x86_may_go_on(struct vp *vp);

/* A #DB for a single step that the processor would have taken after the instruction. */
void x86_single_step(struct vp *vp);

/* --- emulate.c --- */

/*
 * Perform @insn. False: it is not known how, and nothing was changed. What it raises is queued.
 */
VMMU_MUST_USE
bool x86_try(struct vp *vp, const struct vmmu_insn *insn);

/* Perform @insn, string port accesses included. */
enum vp_next x86_perform(struct vp *vp, const struct vmmu_insn *insn);

/* Callbacks by which instructions reach this VP's memory. */
struct vmmu_insn_memory x86_insn_memory(struct vp *vp);

/**
 * Length in bytes of the instruction that exited. 0: it could not be fetched again (the guest changed it, or
 * its tables); what the guest is owed has been queued, or it simply runs again.
 */
unsigned x86_length(struct vp *vp, const struct exit *exit);

/* Step over the instruction that exited. False as x86_length() has 0. */
bool x86_skip(struct vp *vp, const struct exit *exit);

/* Step over an instruction whose next one stands at @next_rip, or that is @bytes bytes long. */
void x86_retire_to(struct vp *vp, uint64_t next_rip);
void x86_retire(struct vp *vp, unsigned bytes);

/* Stop the partition because of an instruction that we cannot perform. */
enum vp_next x86_give_up(struct vp *vp, const char *what);

/* --- control.c --- */

enum vp_next x86_control_exit(struct vp *vp, const struct exit *exit);
enum vp_next x86_xsetbv_exit(struct vp *vp, const struct exit *exit);

/* WRMSR to EFER. False: #GP. */
bool x86_write_efer(struct vp *vp, uint64_t value);

/* The registers that decide about paging, but for PKRU and PKRS. */
struct vmmu_x86_paging_registers x86_paging_registers(struct vp *vp);

/* --- cache.c --- */

/* WRMSR to IA32_PAT, or what stands for it; @value is one that it takes. */
void x86_write_pat(struct vp *vp, uint64_t value);

/* CR0 is @cr0 now: have accesses cached, or not, as it and the policy say. Before x86_paging_changed(). */
void x86_follow_cr0(struct vp *vp, uint64_t cr0);

/* --- linear.c --- */

/* CR0, CR3, CR4 or EFER has been written, or a flush of everything was asked for: translate as they and the tables say now. */
void x86_paging_changed(struct vp *vp);

/* CR3, and nothing else of these, has been written; only where the processor walks tables of ours. */
void x86_root_changed(struct vp *vp, uint64_t cr3);

/*
 * Load the PDPTE registers from the table that @cr3 names, where we hold them. False: #GP, or the VP waits for its parent, which
 * withholds the table; and nothing was changed.
 */
VMMU_MUST_USE
bool x86_load_pdptes(struct vp *vp, uint64_t cr3);

/* What INVLPG of @va does; of what is not canonical, nothing. */
void x86_invalidate_page(struct vp *vp, vmmu_gva va);

enum vp_next x86_invlpg_exit(struct vp *vp, const struct exit *exit);
enum vp_next x86_page_fault_exit(struct vp *vp, const struct exit *exit);

/* --- task.c --- */

enum vp_next x86_task_exit(struct vp *vp, const struct exit *exit);

/* --- port.c --- */

enum vp_next x86_port_exit(struct vp *vp, const struct exit *exit);

/* --- msr.c --- */

enum vp_next x86_msr_exit(struct vp *vp, const struct exit *exit);

/* WRMSR to the time-stamp counter. */
void x86_write_tsc(struct vp *vp, uint64_t value);

/* --- hyperv_msr.c --- */

/* RDMSR or WRMSR in the range of the synthetic registers. False: #GP. */
bool x86_hyperv_read(struct vp *vp, uint32_t index, uint64_t *value);
bool x86_hyperv_write(struct vp *vp, uint32_t index, uint64_t value);

/* --- hyperv_calls.c --- */

enum vp_next x86_hypercall_exit(struct vp *vp, const struct exit *exit);

/* How many of each kind @vp has made; a call counts again for each go that it takes. */
void x86_report_calls(const struct vp *vp, struct json *json);

/* --- hyperv_parent.c --- */

/*
 * The parent is told that @vp accessed @gpa, which it withholds, so; @gva is the linear address, or NULL if that is not known. The
 * VP waits, with RIP where it is, until the parent lets it go on.
 */
void x86_memory_intercept(struct vp *vp, vmmu_gpa gpa, enum vmmu_x86_access_kind access, const vmmu_gva *gva);

/* If the parent withholds @gpa from such an access: as x86_memory_intercept(), and true. */
VMMU_MUST_USE
bool x86_is_withheld(struct vp *vp, vmmu_gpa gpa, enum vmmu_x86_access_kind access, const vmmu_gva *gva);

/*
 * The parent is told that @vp uses @feature, which is not there; as above. @detail: as vmmu_hyperv_message_unsupported() has
 * it. Returns what the exit comes to.
 */
enum vp_next x86_unsupported_feature(struct vp *vp, enum vmmu_hyperv_feature feature, uint64_t detail);

/* --- switch.c --- */

/* Whether this processor has XSAVE, and we have turned it on. */
bool x86_has_xsave(void);

/* Room for a VP's extended state, as after reset. False: no memory. */
bool x86_extended_create(struct vp *vp);

/* Have @vp's FPU and extended state, debug address registers and the like in the registers. */
void x86_switch_to(struct vp *vp);

/* Whether what stays in the registers across an exit is @vp's there: no other VP has run since. */
bool x86_is_loaded(const struct vp *vp);

/* PKRU, wherever the VP's is now. */
uint32_t x86_pkru(const struct vp *vp);

/* The same of MSRs that stay so: PKRS, TSC_AUX. False: @index is none of these, or not there; or the value is refused. */
bool x86_read_staying(const struct vp *vp, uint32_t index, uint64_t *value);
bool x86_write_staying(struct vp *vp, uint32_t index, uint64_t value);

/* @vp enters under @tag (0: there are no tags), of which all translations are @flushed at that, or good. */
void x86_count_tag(struct vp *vp, uint16_t tag, bool flushed);

/* DR0 to DR3 are 0. */
void x86_clear_breakpoints(struct vp *vp);

/* Load a new XCR0 for the VP whose state is in the registers. */
void x86_load_xcr0(struct vp *vp, uint64_t value);

/* The VP's XCR0. */
uint64_t x86_xcr0(const struct vp *vp);

/* The guest's TSC now. */
uint64_t x86_tsc(struct vp *vp);

#endif
