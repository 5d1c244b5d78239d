/*
 * The VMX backend's own state; private to this folder. Spec: SDM 3C "Virtual Machine Extensions".
 *
 * What the guest believes of its paging registers is kept here; what the processor holds for it is made from that, at
 * the next entry, in one of two manners:
 *
 *   direct    the processor walks the guest's tables, and a second stage behind them: nested paging, always. And
 *             whatever the processor runs in no other way (real mode, and what a guest may have left in its segments on
 *             the way out of it), for as long as that lasts
 *   indirect  the processor walks tables of ours; paging and protection are on, whatever the guest believes
 */
#ifndef HV_X86_VMX_VMX_H
#define HV_X86_VMX_VMX_H

#include "hv/x86/vmx/capabilities.h"
#include "hv/x86/vmx/instructions.h"
#include "hv/x86/vp/tags.h"
#include "hv/x86/vp/x86.h"

struct vmx_vp {
    vmmu_hpa vmcs_at;
    bool launched;
    bool nested;           /* direct, always */
    bool direct;           /* what the VMCS holds now is for the guest's own tables */
    bool paging_changed;   /* the guest's paging registers, or `root`: the VMCS's are to be made anew */
    bool segments_written; /* by the hypervisor: they may be such as the processor does not load */
    bool silent_absent;    /* our tables are such that the guest gets its faults of absent entries unseen */
    bool tagged_roots;     /* each of our roots has a tag of its own */
    bool watches_spaces;   /* another tag has translations of the guest's: what it flushes by itself exits */
    uint64_t eptp;         /* the second stage; 0: none */
    uint8_t *virtual_apic; /* NULL: there is no TPR shadow */

    /* The guest's own. CR0 and CR4 but for the bits that it writes unseen; CR3 and EFER where it cannot. */
    uint64_t cr0, cr3, cr4, efer, pat;
    uint64_t host_pat; /* under which our own entries are walked */
    uint64_t cr2;      /* good while it is not inside its guest */
    struct vmmu_shadow_root root;

    /* What the VMCS holds. */
    uint64_t held_efer;
    uint32_t held_exceptions, held_mask;
    uint32_t processor_controls, processor_controls2, entry_controls;
    uint32_t interruptibility;
    uint64_t tsc_offset;
    bool nmis_blocked_again;                /* since the exit, for an IRET that is to be executed again */
    uint32_t entry_event, entry_error_code; /* to be injected at the next entry */

    const bool *watches_invlpg;
    struct x86_tags tags;
    uint16_t first_vpid; /* of as many as there are tags */
    uint64_t direct_phases;
    uint64_t tag_flushes, page_flushes, stage2_flushes;

    struct vmx_record *record; /* see record.h; NULL unless asked for */

    uint64_t saved_dr6;
    uint64_t saved_msrs[8];
};

/* Bits of CR0 and CR4 that the guest writes without an exit. Of CR4 only where its own tables are always walked. */
#define VMX_CR0_GUESTS      (VMMU_X86_CR0_TS | VMMU_X86_CR0_MP)
#define VMX_CR4_GUESTS      VMMU_X86_CR4_PGE

/* Controls by which what flushes translations exits. INVPCID goes with INVLPG. */
#define VMX_WATCHING_SPACES (VMX_PROC_INVLPG | VMX_PROC_CR3_LOAD)

/* Make @vp's VMCS the processor's current one. To be called before any field is touched. */
void vmx_use(const struct vp *vp);

/*
 * One world switch; see enter.S. 0: the guest has run. 1 or 2: it was refused before anything was loaded; with 2 the VMCS
 * says why.
 */
unsigned vmx_enter(uint64_t *gpr, bool launched);
extern const uint8_t vmx_exit_point[];

/* --- state.c --- */

/* Before each entry: have the VMCS hold what the guest's paging registers ask for. False: partition_end() has been called. */
VMMU_MUST_USE
bool vmx_load_paging(struct vp *vp);

void vmx_read_code(struct vp *vp);
void vmx_read_segments(struct vp *vp);
void vmx_read_paging(const struct vp *vp, struct vmmu_x86_paging_registers *registers);
void vmx_write_segment(struct vp *vp, enum vmmu_x86_segment_name name,
                       const struct vmmu_x86_segment *segment);
void vmx_write_table(struct vp *vp, bool interrupt, uint64_t base, uint16_t limit);
void vmx_read_system(const struct vp *vp, struct vmmu_x86_system_segments *system);
void vmx_write_system(struct vp *vp, const struct vmmu_x86_system_segments *system);
void vmx_read_table(const struct vp *vp, bool interrupt, uint64_t *base, uint16_t *limit);
uint64_t vmx_read_dr6(const struct vp *vp);
void vmx_write_dr6(struct vp *vp, uint64_t dr6);
uint64_t vmx_read_dr7(const struct vp *vp);
void vmx_write_dr7(struct vp *vp, uint64_t dr7);
uint64_t vmx_read_control(const struct vp *vp, unsigned number);
void vmx_write_control(struct vp *vp, unsigned number, uint64_t value);
void vmx_write_efer(struct vp *vp, uint64_t value);
void vmx_write_pdptes(struct vp *vp, const uint64_t pdpte[4]);
void vmx_write_root(struct vp *vp, const struct vmmu_shadow_root *root);
bool vmx_read_msr(struct vp *vp, uint32_t index, uint64_t *value);
bool vmx_write_msr(struct vp *vp, uint32_t index, uint64_t value);
void vmx_switch_from(struct vp *vp);
void vmx_switch_to(struct vp *vp);

/* Nested only: go on in the space of @cr3, with all that is cached of both. */
void vmx_switch_space(struct vp *vp, uint64_t cr3);

/* The guest is about to flush translations by itself: what it has under other tags goes, and it runs on unwatched. */
void vmx_leave_spaces(struct vp *vp);

/* --- tags.c --- */

/* The tag in use; of no meaning where the processor has none. */
static inline uint16_t vmx_vpid(const struct vmx_vp *vmx)
{
    return (uint16_t)(vmx->first_vpid + vmx->tags.now);
}

/* Give the VP tags of its own. False: there are no more. */
VMMU_MUST_USE
bool vmx_take_tags(struct vp *vp);

/* Use the tag of the tables at @root from the next entry on. */
void vmx_choose_tag(struct vp *vp, uint64_t root);

/* Before each entry: invalidate what was asked for, as far as this entry could use it. */
void vmx_settle_tags(struct vp *vp);

void vmx_flush(struct vp *vp);
void vmx_flush_stage2(struct vp *vp);
void vmx_flush_page(struct vp *vp, vmmu_gva va);

/* @from's translations are under the tag in use; use that of @to from the next entry on. */
void vmx_switch_tag(struct vp *vp, uint64_t from, uint64_t to);

/* --- exit.c --- */

/* Make the exit record of the exit that has just happened. */
void vmx_read_exit(struct vp *vp, struct exit *exit);

/* --- events.c --- */

/* Keep an event whose delivery @exit cut short, to be delivered again, or tell an exception of it. Whether there was one. */
bool vmx_keep_event(struct vp *vp, struct exit *exit);

/* Before each entry: an event, and the blocking of events, as the VMCS must have them. */
void vmx_load_events(struct vp *vp);

/* Whether the delivery begins anew with the instruction that RIP stands at. @event: IDT-vectoring information. */
bool vmx_runs_again(uint32_t event);

/* The vector of the exception that @event is, or EXIT_NO_EXCEPTION. */
uint8_t vmx_exception_of(uint32_t event);

/* No event is under way, none is blocked, and DR6 is as after a reset. */
void vmx_reset_events(struct vp *vp);

void vmx_unblock_nmi(struct vp *vp);
void vmx_block_nmi(struct vp *vp);
bool vmx_nmi_is_blocked(const struct vp *vp);
void vmx_forget_event(struct vp *vp);
void vmx_inject(struct vp *vp, const struct x86_event *event);
bool vmx_is_injecting(const struct vp *vp);
bool vmx_can_take(const struct vp *vp, enum x86_event_kind kind);
void vmx_open_window(struct vp *vp, enum x86_event_kind kind);

/* Set or clear bits of the primary processor-based controls. */
void vmx_set_processor_controls(struct vmx_vp *vmx, uint32_t bits, bool on);

#endif
