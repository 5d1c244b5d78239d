/*
 * The SVM backend: a VMCB a virtual processor, tags (ASIDs), and the way in and out.
 *
 * Invariant: a VP never enters under an ASID that another set of translations has used since the processor
 * was last flushed. A processor without flush-by-ASID flushes one guest by giving it a fresh ASID.
 *
 * Spec: AMD APM 2 "Secure Virtual Machine", "TLB Control", "Nested Paging".
 */
#include "hv/x86/svm/svm.h"
#include "hv/boot/memory.h"
#include "hv/mmu/x86.h"
#include "hv/x86/cpu.h"

#define MSR_PAT 0x277u

#define INTERCEPTS1                                                                                          \
    (1u << SVM_I1_INTR | 1u << SVM_I1_NMI | 1u << SVM_I1_INIT | 1u << SVM_I1_CR0_SELECTIVE |                 \
     1u << SVM_I1_RDPMC | 1u << SVM_I1_CPUID | 1u << SVM_I1_RSM | 1u << SVM_I1_INVD | 1u << SVM_I1_HLT |     \
     1u << SVM_I1_INVLPGA | 1u << SVM_I1_PORTS | 1u << SVM_I1_MSRS | 1u << SVM_I1_FERR_FREEZE |              \
     1u << SVM_I1_SHUTDOWN)
#define INTERCEPTS2                                                                                          \
    (1u << SVM_I2_VMRUN | 1u << SVM_I2_VMMCALL | 1u << SVM_I2_VMLOAD | 1u << SVM_I2_VMSAVE |                 \
     1u << SVM_I2_STGI | 1u << SVM_I2_CLGI | 1u << SVM_I2_SKINIT | 1u << SVM_I2_MONITOR |                    \
     1u << SVM_I2_MWAIT | 1u << SVM_I2_MWAIT_ARMED | 1u << SVM_I2_XSETBV | 1u << SVM_I2_RDPRU)

static const char *stage2(struct vmmu_nested_config *config)
{
    if (!svm_processor.nested_paging) {
        return "the processor's SVM has no nested paging (NPT)";
    }
    *config = (struct vmmu_nested_config){
        .format = VMMU_NESTED_NPT,
        .levels = 4, /* as the hypervisor's own paging */
        .maxphyaddr = cpu_maxphyaddr(),
        .largest_level = cpu_has_gib_pages() ? VMMU_NESTED_LEVEL_1G : VMMU_NESTED_LEVEL_2M,
        .pat = rdmsr(MSR_PAT),
    };
    return NULL;
}

/* Without nested paging, G_PAT is not used: our entries are indexes of the host's PAT. */
static const char *shadow(struct vmmu_shadow_config *config)
{
    config->maxphyaddr = cpu_maxphyaddr();
    config->largest_level = cpu_has_gib_pages() ? 3 : 2;
    config->pat = rdmsr(MSR_PAT);
    config->guest_pat = VMMU_X86_PAT_AT_RESET;
    config->tagged_roots = true;
    return NULL;
}

static void fill_control(struct vp *vp, struct svm_control *control)
{
    const struct mmu_root root = mmu_root(vp);

    control->cr_writes = SVM_CR_WRITES;
    control->exceptions = 1u << X86_VECTOR_DB | 1u << X86_VECTOR_AC | 1u << X86_VECTOR_MC;
    control->intercepts1 = INTERCEPTS1;
    control->intercepts2 = INTERCEPTS2;
    control->port_bitmap = svm_processor.port_bitmap.v;
    control->msr_bitmap = svm_processor.msr_bitmap.v;
    control->virtual_interrupt = SVM_VINTR_MASKING;
    control->nested_enable = root.nested;
    control->nested_root = root.value;
    if (!root.nested) {
        /* A task switch loads CR3 where paging is on, and INVPCID is not offered. */
        control->exceptions |= 1u << VMMU_X86_VECTOR_PF;
        control->intercepts1 |= 1u << SVM_I1_TASK_SWITCH;
        control->intercepts3 |= 1u << SVM_I3_INVPCID;
    } else if (x86_watches_cr3(vp)) {
        control->cr_writes |= 1u << 3;
        control->intercepts1 |= 1u << SVM_I1_TASK_SWITCH;
    }
}

static const char *vp_create(struct vp *vp)
{
    struct svm_vp *svm;
    vmmu_hpa at;

    _Static_assert(sizeof(struct svm_vp) <= VMMU_PAGE_BYTES, "struct svm_vp has a page");
    if (!page_take(true, &at)) {
        return "no memory is left for a virtual processor";
    }
    svm = memory_at(at);
    if (!page_take(true, &svm->vmcb_at)) {
        return "no memory is left for a virtual processor's VMCB";
    }
    svm->vmcb = memory_at(svm->vmcb_at);
    vp->arch->svm = svm;
    svm->own_tables = !mmu_root(vp).nested;
    svm->watches_invlpg = mmu_root(vp).watches_invlpg;
    svm->tagged_roots = mmu_root(vp).tagged_roots;
    x86_tags_init(&svm->tags, svm->tagged_roots || !svm->own_tables ? X86_TAGS : 1);
    fill_control(vp, &svm->vmcb->control);
    svm->vmcb->save.pat = VMMU_X86_PAT_AT_RESET;
    return NULL;
}

/* --- tags --- */

/* An ASID nobody has used since the last flush of everything; when all are used up, everything is flushed. */
static void take_asid(struct svm_vp *svm)
{
    struct svm_processor *cpu = &svm_processor;

    if (cpu->next_asid >= cpu->asids) {
        cpu->next_asid = 1;
        cpu->asid_generation++;
        svm->vmcb->control.tlb_control = SVM_TLB_FLUSH_ALL;
    }
    svm->asids[svm->tags.now].asid = cpu->next_asid++;
    svm->asids[svm->tags.now].generation = cpu->asid_generation;
    svm->asids_taken++;
}

/* Give the VP an ASID that is good, and order the flush that it needs. */
static void settle_tags(struct vp *vp)
{
    struct svm_vp *svm = vp->arch->svm;
    const unsigned now = svm->tags.now;
    const bool stale = svm->tags.tag[now].stale;
    const bool lost = svm->asids[now].generation != svm_processor.asid_generation;

    if (lost || (stale && !svm_processor.flush_by_asid)) {
        take_asid(svm);
    } else if (stale) {
        svm->vmcb->control.tlb_control = SVM_TLB_FLUSH_ASID;
    }
    svm->tags.tag[now].stale = false;
    svm->vmcb->control.asid = svm->asids[now].asid;
    x86_count_tag(vp, (uint16_t)svm->vmcb->control.asid, stale || lost);
}

static void flush(struct vp *vp)
{
    vp->counters.tlb_flushes++;
    x86_tags_flush(&vp->arch->svm->tags);
}

/* INVLPGA leaves alone what is cached above the page; whoever changed that asked for a flush of all. */
static void flush_page(struct vp *vp, vmmu_gva va)
{
    __asm__ volatile("invlpga %%rax, %%ecx" : : "a"(va.v), "c"(vp->arch->svm->vmcb->control.asid) : "memory");
}

/*
 * While another tag than the one in use may have translations of the guest's, what flushes by itself without our doing exits:
 * MOV to CR3, task switches, INVLPG, INVPCID. None of them would reach that tag.
 */
static void watch_spaces(const struct vp *vp, bool watched)
{
    const bool watches_cr3 = watched || x86_watches_cr3(vp);
    const uint32_t invlpg = 1u << SVM_I1_INVLPG;
    const uint32_t task_switch = 1u << SVM_I1_TASK_SWITCH;
    const uint32_t invpcid = 1u << SVM_I3_INVPCID;
    struct svm_control *control = &vp->arch->svm->vmcb->control;

    vp->arch->svm->watches_spaces = watched;
    control->cr_writes = (uint16_t)(SVM_CR_WRITES | (watches_cr3 ? 1u << 3 : 0));
    control->intercepts1 = (control->intercepts1 & ~(invlpg | task_switch)) | (watched ? invlpg : 0) |
                           (watches_cr3 ? task_switch : 0);
    control->intercepts3 = (control->intercepts3 & ~invpcid) | (watched ? invpcid : 0);
}

static void switch_space(struct vp *vp, uint64_t cr3)
{
    struct svm_vp *svm = vp->arch->svm;

    x86_tags_switch(&svm->tags, svm->vmcb->save.cr3, cr3);
    svm->vmcb->save.cr3 = cr3;
    watch_spaces(vp, true);
}

void svm_leave_spaces(struct vp *vp)
{
    x86_tags_flush_others(&vp->arch->svm->tags);
    watch_spaces(vp, false);
}

/* --- in and out --- */

static void watch_invlpg(struct svm_vp *svm)
{
    struct svm_control *control = &svm->vmcb->control;

    if (*svm->watches_invlpg != (control->intercepts1 >> SVM_I1_INVLPG & 1)) {
        control->intercepts1 ^= 1u << SVM_I1_INVLPG;
    }
}

/*
 * A task switch loads CR3 from the guest's memory, unless its intercept is honoured. Where it is not, no table of ours is
 * walked any more, and this exit is the first that tells.
 */
static void check_root(const struct svm_vp *svm, struct exit *exit)
{
    if (svm->vmcb->save.cr3 != svm->root) {
        exit->kind = EXIT_DEAD;
        exit->why =
            "the guest switched tasks by hardware, and the processor ignored that this is intercepted";
    }
}

static void enter(struct vp *vp, struct exit *exit)
{
    struct svm_vp *svm = vp->arch->svm;
    struct svm_vmcb *vmcb = svm->vmcb;
    struct vmmu_x86_state *state = &vp->arch->state;

    settle_tags(vp);
    if (svm->own_tables) {
        watch_invlpg(svm);
    }
    vmcb->save.rax = state->gpr[VMMU_X86_RAX];
    vmcb->save.rsp = state->gpr[VMMU_X86_RSP];
    vmcb->save.rip = state->rip;
    vmcb->save.rflags = state->rflags;
    vmcb->control.interrupt_shadow = state->interrupt_shadow;
    svm->delivered = vmcb->control.inject_event;

    svm_enter(state->gpr, svm->vmcb_at.v, svm_processor.host_vmcb.v);

    state->gpr[VMMU_X86_RAX] = vmcb->save.rax;
    state->gpr[VMMU_X86_RSP] = vmcb->save.rsp;
    state->rip = vmcb->save.rip;
    state->rflags = vmcb->save.rflags;
    state->interrupt_shadow = vmcb->control.interrupt_shadow & 1;
    vmcb->control.tlb_control = SVM_TLB_KEEP;
    svm_read_exit(vp, exit);
    exit->delivering = svm_keep_event(vp, exit);
    exit->looks_for_interrupts = exit->delivering || exit->kind == EXIT_X86_EXCEPTION;
    if (svm->own_tables) {
        check_root(svm, exit);
    }
}

static uint64_t tsc_offset(struct vp *vp)
{
    return vp->arch->svm->vmcb->control.tsc_offset;
}

static void write_tsc_offset(struct vp *vp, uint64_t offset)
{
    vp->arch->svm->vmcb->control.tsc_offset = offset;
}

static void write_tpr(struct vp *vp, uint8_t cr8)
{
    struct svm_control *control = &vp->arch->svm->vmcb->control;

    control->virtual_interrupt = (control->virtual_interrupt & ~SVM_VINTR_TPR) | cr8;
}

static void watch_pause(struct vp *vp, bool watched)
{
    struct svm_control *control = &vp->arch->svm->vmcb->control;

    control->intercepts1 = (control->intercepts1 & ~(1u << SVM_I1_PAUSE)) | (uint32_t)watched << SVM_I1_PAUSE;
}

static void raise_debug(struct vp *vp, uint64_t dr6_bits)
{
    vp->arch->svm->vmcb->save.dr6 |= dr6_bits;
}

static void report(struct vp *vp, struct json *json)
{
    const struct svm_vp *svm = vp->arch->svm;
    const struct svm_vmcb *vmcb = svm->vmcb;

    json_object(json, "svm");
    json_number(json, "asid", vmcb->control.asid);
    json_number(json, "asids_taken", svm->asids_taken);
    json_hex(json, "exit_code", vmcb->control.exit_code);
    json_hex(json, "exit_event", vmcb->control.exit_event);
    json_hex(json, "inject_event", vmcb->control.inject_event);
    json_hex(json, "dr6", vmcb->save.dr6);
    json_hex(json, "dr7", vmcb->save.dr7);
    json_hex(json, "cr0", vmcb->save.cr0);
    json_hex(json, "cr3", vmcb->save.cr3);
    json_hex(json, "cr4", vmcb->save.cr4);
    json_hex(json, "efer", vmcb->save.efer);
    json_end_object(json);
}

static uint16_t tag(const struct vp *vp)
{
    return (uint16_t)vp->arch->svm->vmcb->control.asid;
}

const struct x86_backend x86_svm = {
    .name = "svm",
    .call_instruction = VMMU_HYPERV_VMMCALL,
    .start = svm_start,
    .stage2 = stage2,
    .shadow = shadow,
    .vp_create = vp_create,
    .enter = enter,
    .read_code = svm_read_code,
    .read_segments = svm_read_segments,
    .read_paging = svm_read_paging,
    .write_segment = svm_write_segment,
    .write_table = svm_write_table,
    .read_system = svm_read_system,
    .write_system = svm_write_system,
    .read_table = svm_read_table,
    .read_dr6 = svm_read_dr6,
    .write_dr6 = svm_write_dr6,
    .read_dr7 = svm_read_dr7,
    .write_dr7 = svm_write_dr7,
    .unblock_nmi = svm_unblock_nmi,
    .block_nmi = svm_block_nmi,
    .nmi_is_blocked = svm_nmi_is_blocked,
    .reset_events = svm_reset_events,
    .watch_pause = watch_pause,
    .read_control = svm_read_control,
    .write_control = svm_write_control,
    .write_efer = svm_write_efer,
    .write_root = svm_write_root,
    .switch_to = svm_switch_to,
    .read_msr = svm_read_msr,
    .write_msr = svm_write_msr,
    .tsc_offset = tsc_offset,
    .write_tsc_offset = write_tsc_offset,
    .write_tpr = write_tpr,
    .raise_debug = raise_debug,
    .forget_event = svm_forget_event,
    .is_injecting = svm_is_injecting,
    .can_take = svm_can_take,
    .inject = svm_inject,
    .open_window = svm_open_window,
    .flush = flush,
    .flush_stage2 = flush,
    .flush_page = flush_page,
    .switch_space = switch_space,
    .report = report,
    .tag = tag,
};
