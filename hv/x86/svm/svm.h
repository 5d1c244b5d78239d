/* The SVM backend's own state; private to this folder. Spec: AMD APM 2 "Secure Virtual Machine". */
#ifndef HV_X86_SVM_SVM_H
#define HV_X86_SVM_SVM_H

#include "hv/x86/svm/vmcb.h"
#include "hv/x86/vp/tags.h"
#include "hv/x86/vp/x86.h"

struct svm_vp {
    struct svm_vmcb *vmcb;
    vmmu_hpa vmcb_at;
    struct x86_tags tags;
    struct {
        uint32_t asid;
        uint64_t generation; /* the ASID is good while this equals the processor's */
    } asids[X86_TAGS];       /* of each tag */
    bool nmi_blocked;        /* an NMI is in service: until IRET, which exits, has been executed */
    bool nmi_leaving;        /* that IRET, at `nmi_left`, has exited and runs now */
    uint64_t nmi_left;
    uint64_t asids_taken;
    uint64_t delivered; /* what the last entry had to deliver */

    /*
     * Without nested paging the VMCB's CR0, CR3, CR4 and EFER are ours. The guest's own: of CR0 only PG and WP are
     * good here, since it writes the rest in the VMCB's.
     */
    bool own_tables;
    uint64_t cr0, cr3, cr4, efer;
    const bool *watches_invlpg;
    bool tagged_roots;
    bool
        watches_spaces; /* another tag than the one in use has translations of the guest's: what it flushes by itself exits */
    uint64_t root; /* that svm_write_root() loaded, and nobody else may */
};

/* What this processor offers. */
struct svm_processor {
    uint32_t asids; /* 1 to asids - 1 may tag guests */
    bool nested_paging;
    bool next_rip;
    bool flush_by_asid;
    bool decode_assists;
    uint32_t next_asid;
    uint64_t asid_generation;
    vmmu_hpa host_vmcb; /* where the host's own FS, GS, TR... are kept */
    vmmu_hpa port_bitmap;
    vmmu_hpa msr_bitmap;
};

extern struct svm_processor svm_processor;

/* Control registers whose writes exit in any case: CR4 and CR8. */
#define SVM_CR_WRITES (1u << 4 | 1u << 8)

/* One world switch; see enter.S. */
void svm_enter(uint64_t *gpr, uint64_t guest_vmcb, uint64_t host_vmcb);

/* Turn SVM on. NULL, or what is missing. */
const char *svm_start(void);

/* The guest is about to flush translations by itself: what it has under other tags goes, and it runs on unwatched. */
void svm_leave_spaces(struct vp *vp);

/* Make the exit record of the VMCB's exit. */
void svm_read_exit(struct vp *vp, struct exit *exit);

/*
 * Keep an event whose delivery @exit cut short, to be delivered again, or tell an exception of
 * it. Whether there was one.
 */
bool svm_keep_event(struct vp *vp, struct exit *exit);

/* The event that svm_keep_event() kept is over. */
void svm_forget_event(struct vp *vp);

void svm_inject(struct vp *vp, const struct x86_event *event);
bool svm_is_injecting(const struct vp *vp);
bool svm_can_take(const struct vp *vp, enum x86_event_kind kind);
void svm_open_window(struct vp *vp, enum x86_event_kind kind);

/* What the exit of an interrupt window does: close it. */
void svm_close_interrupt_window(struct svm_vp *svm);

/* The guest is about to execute IRET while NMIs are blocked. */
void svm_leave_nmi(struct svm_vp *svm);

/* IRET has been performed by us. */
void svm_unblock_nmi(struct vp *vp);

/* NMIs are blocked until IRET; whether they are. */
void svm_block_nmi(struct vp *vp);
bool svm_nmi_is_blocked(const struct vp *vp);

/* No event is under way, none is blocked, and DR6 is as after a reset. */
void svm_reset_events(struct vp *vp);

/* INT n, INT3 and INTO: RIP still stands at them. */
bool svm_runs_again(const struct svm_vp *svm, uint64_t event);

/* The vector of an exception, or EXIT_NO_EXCEPTION. */
uint8_t svm_exception_of(uint64_t event);

/* At any exit: unblock NMIs if the IRET that was about to be executed has been. */
void svm_settle_nmi(struct svm_vp *svm);

void svm_read_code(struct vp *vp);
void svm_read_segments(struct vp *vp);
void svm_read_paging(const struct vp *vp, struct vmmu_x86_paging_registers *registers);
void svm_write_segment(struct vp *vp, enum vmmu_x86_segment_name name,
                       const struct vmmu_x86_segment *segment);
void svm_write_table(struct vp *vp, bool interrupt, uint64_t base, uint16_t limit);
void svm_read_table(const struct vp *vp, bool interrupt, uint64_t *base, uint16_t *limit);
void svm_read_system(const struct vp *vp, struct vmmu_x86_system_segments *system);
void svm_write_system(struct vp *vp, const struct vmmu_x86_system_segments *system);
uint64_t svm_read_dr7(const struct vp *vp);
void svm_write_dr7(struct vp *vp, uint64_t dr7);
uint64_t svm_read_dr6(const struct vp *vp);
void svm_write_dr6(struct vp *vp, uint64_t dr6);
uint64_t svm_read_control(const struct vp *vp, unsigned number);
void svm_write_control(struct vp *vp, unsigned number, uint64_t value);
void svm_write_efer(struct vp *vp, uint64_t value);
void svm_write_root(struct vp *vp, const struct vmmu_shadow_root *root);
void svm_switch_to(struct vp *vp);
bool svm_read_msr(struct vp *vp, uint32_t index, uint64_t *value);
bool svm_write_msr(struct vp *vp, uint32_t index, uint64_t value);

#endif
