/*
 * What a parent is told of its children: accesses to memory that it withholds, features that are not there.
 *
 * A VP about which a message goes out waits, with RIP where it was, until the parent clears Suspended. So one message at a
 * time is under way about it, and it is kept with the VP until the parent's message page has room; the parent's interrupt
 * controller is reached under the parent's lock, which comes before the child's: see arch_vp_post().
 *
 * Messages are delivered in the order in which they came to be posted, whichever child they are about: else one whose VPs
 * take turns would keep those of the others waiting for ever.
 */
#include "hv/boot/memory.h"
#include "hv/mmu/mmu.h"
#include "hv/vp/partitions.h"
#include "hv/vp/schedule.h"
#include "hv/x86/policy/mtrr.h"
#include "hv/x86/vp/hyperv.h"

/* --- making them --- */

static enum vp_next tell(struct vp *vp, const struct vmmu_hyperv_message *message)
{
    if (!vp->partition->parent) {
        return x86_give_up(vp, "the partition has no parent to be told of what it does");
    }
    vp->arch->message = *message;
    vp->arch->message_waits = true;
    vp->arch->message_turn = 0;
    vp->waits |= VP_WAIT_INTERCEPT;
    return VP_WAIT;
}

/* As the guest would have it cached: by its PAT under paging, if the linear address is known, and MTRRs. */
static enum vmmu_x86_memory_type type_at(struct vp *vp, vmmu_gpa gpa, const vmmu_gva *gva)
{
    const struct partition_arch *arch = vp->partition->arch;
    const struct vmmu_hyperv_view view = { .mode = x86_mode(vp, false),
                                           .pats = &arch->hyperv.pats,
                                           .second_level = vp->arch->walks_guest,
                                           .vp = vp->index };
    const struct vmmu_ram ram = x86_ram(vp);
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .eflags_ac = true };
    struct vmmu_x86_translate_result result;
    const bool known =
        gva && view.mode && vmmu_x86_translate(view.mode, &ram, *gva, access, &result) == VMMU_OK;

    return vmmu_hyperv_cache_type(&view, known ? &result.translation : NULL,
                                  x86_mtrr_type(&vp->arch->msrs, gpa));
}

/* The code at RIP, as far as it can be looked at, and how much of it is one instruction that accesses data. */
static void look_at_code(struct vp *vp, struct vmmu_hyperv_memory_intercept *intercept)
{
    struct vmmu_insn insn;

    intercept->fetched = (uint8_t)x86_code_at_rip(vp, intercept->instruction, sizeof intercept->instruction);
    if (intercept->access != VMMU_X86_EXECUTE && !intercept->event_pending &&
        vmmu_insn_decode(intercept->instruction, intercept->fetched, vmmu_insn_mode(x86_code(vp)), &insn) ==
            VMMU_OK) {
        intercept->instruction_bytes = insn.length;
    }
}

/* Nothing here may walk the guest's tables but as an observer: these may be what is withheld. */
void x86_memory_intercept(struct vp *vp, vmmu_gpa gpa, enum vmmu_x86_access_kind access, const vmmu_gva *gva)
{
    struct vp_arch *arch = vp->arch;
    struct vmmu_hyperv_memory_intercept intercept = {
        .partition = vp->partition->arch->hyperv.config.partition_id,
        .vp = vp->index,
        .state = x86_state(vp),
        .access = access,
        .mapped = mmu_grant(vp->partition, gpa, (enum guest_access)access) == MMU_REFUSED,
        .gva_valid = gva != NULL,
        .event_pending = arch->backend->is_injecting(vp) || arch->exception_pending,
        .debug_active = x86_has_breakpoints(vp),
        .gva = gva ? *gva : (vmmu_gva){ 0 },
        .gpa = gpa,
        .type = type_at(vp, gpa, gva),
    };
    struct vmmu_hyperv_message message;

    if (vp->waits & VP_WAIT_INTERCEPT) {
        return; /* of what one instruction meets the first is told */
    }
    look_at_code(vp, &intercept);
    message = vmmu_hyperv_message_memory(&intercept);
    arch->flush_inhibited = true;
    (void)tell(vp, &message);
}

bool x86_is_withheld(struct vp *vp, vmmu_gpa gpa, enum vmmu_x86_access_kind access, const vmmu_gva *gva)
{
    if (mmu_grant(vp->partition, gpa, (enum guest_access)access) == MMU_GRANTED) {
        return false;
    }
    x86_memory_intercept(vp, gpa, access, gva);
    return true;
}

enum vp_next x86_unsupported_feature(struct vp *vp, enum vmmu_hyperv_feature feature, uint64_t detail)
{
    const struct vmmu_hyperv_message message = vmmu_hyperv_message_unsupported(
        vp->partition->arch->hyperv.config.partition_id, vp->index, feature, detail);

    return tell(vp, &message);
}

/* --- delivering them --- */

static void interrupt(struct vp *vp, const struct vmmu_hyperv_post *post)
{
    const struct apic_message message = { .vector = post->vector, .delivery = APIC_FIXED };

    x86_settle_eoi(vp);
    if (post->auto_eoi) {
        vp->arch->auto_eoi = post->vector;
    }
    (void)lapic_receive(pc_lapic(x86_pc(vp), vp->index), &message);
    /* The controller asks for it only where it had nothing to deliver before. */
    vp->attention |= VP_ATTENTION_EVENT;
    schedule_notice(vp);
}

/* Whether there was room for it. Both partitions' locks are held. */
static bool post(struct partition *parent, struct vp *about)
{
    struct vp *vp = parent->vps[0];
    const struct x86_overlay *page = &vp->arch->overlays[X86_OVERLAY_MESSAGES];
    struct vmmu_hyperv_post done;

    if (!page->page.v) {
        return false;
    }
    done = vmmu_hyperv_post(&vp->arch->hyperv, VMMU_HYPERV_SINT_INTERCEPT, &about->arch->message,
                            memory_at(page->page));
    if (done.written) {
        about->arch->message_waits = false;
        about->arch->messages++;
    }
    if (done.interrupts) {
        interrupt(vp, &done);
    }
    return done.written;
}

static bool has_turn(const struct vp *vp)
{
    return vp->arch->message_waits && vp->arch->message_turn;
}

/* The VP of a child's whose message has waited longest; NULL: none waits. */
static struct vp *oldest(const struct partition *parent)
{
    struct vp *found = NULL;

    for (unsigned i = parent->index + 1; i < partition_count(); i++) {
        struct partition *child = partition_at(i);

        if (child->parent != parent) {
            continue;
        }
        lock_take(&child->lock);
        for (unsigned j = 0; j < child->vp_count; j++) {
            struct vp *vp = child->vps[j];

            if (has_turn(vp) && (!found || vp->arch->message_turn < found->arch->message_turn)) {
                found = vp;
            }
        }
        lock_release(&child->lock);
    }
    return found;
}

/* Between the look and the posting the child may have had its message dropped. */
void x86_post_waiting(struct partition *partition)
{
    struct vp *about = oldest(partition);
    bool goes_on = true;

    while (about && goes_on) {
        lock_take(&about->partition->lock);
        goes_on = !has_turn(about) || post(partition, about);
        lock_release(&about->partition->lock);
        about = oldest(partition);
    }
    partition->arch->messages_wait = about;
}

void arch_vp_post(struct vp *vp)
{
    struct partition *child = vp->partition;
    struct partition *parent = child->parent;

    if (!parent || !vp->arch->message_waits) {
        return;
    }
    lock_take(&parent->lock);
    lock_take(&child->lock);
    if (!vp->arch->message_turn) {
        vp->arch->message_turn = ++parent->arch->message_turns;
    }
    lock_release(&child->lock);
    x86_post_waiting(parent);
    lock_release(&parent->lock);
}
