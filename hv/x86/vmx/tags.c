/*
 * Tags (VPIDs), and what is forgotten under them.
 *
 * Invariant: a tag is used only while everything under it is good: what a flush asks for is noted with each tag of the VP, and
 * done before the entry that would use it. A VPID belongs to one VP, and is used first when it has been flushed. None is 0,
 * which is the hypervisor's own.
 *
 * Spec: SDM 3C "Virtual-Processor Identifiers (VPIDs)", "Caching Translation Information", "Operations that Invalidate
 * Cached Mappings".
 */
#include "hv/x86/vmx/vmx.h"

#define VPID_LAST 0xFFFFu

static bool has_vpid(void)
{
    return vmx_processor.capabilities.vpid;
}

/* A guest whose own tables are walked flushes by itself: while it uses several tags, that has to exit. */
static bool may_watch_spaces(void)
{
    return (vmx_processor.capabilities.controls[VMX_GROUP_PROCESSOR].may & VMX_WATCHING_SPACES) ==
           VMX_WATCHING_SPACES;
}

bool vmx_take_tags(struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    x86_tags_init(&vmx->tags,
                  vmx->tagged_roots || (vmx->nested && has_vpid() && may_watch_spaces()) ? X86_TAGS : 1);
    if (!has_vpid()) {
        return true;
    }
    if (VPID_LAST - vmx_processor.last_vpid < vmx->tags.count) {
        return false;
    }
    vmx->first_vpid = (uint16_t)(vmx_processor.last_vpid + 1);
    vmx_processor.last_vpid += vmx->tags.count;
    vmwrite(VMCS_VPID, vmx_vpid(vmx));
    return true;
}

static void use_tag(const struct vmx_vp *vmx, uint16_t before)
{
    if (has_vpid() && vmx_vpid(vmx) != before) {
        vmwrite(VMCS_VPID, vmx_vpid(vmx));
    }
}

void vmx_choose_tag(struct vp *vp, uint64_t root)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    const uint16_t before = vmx_vpid(vmx);

    x86_tags_choose(&vmx->tags, root);
    use_tag(vmx, before);
}

void vmx_switch_tag(struct vp *vp, uint64_t from, uint64_t to)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    const uint16_t before = vmx_vpid(vmx);

    x86_tags_switch(&vmx->tags, from, to);
    use_tag(vmx, before);
}

/* One tag if the processor can; else all tags of all VPs. */
static void forget_tag(uint16_t vpid)
{
    const enum vmx_invvpid_type type =
        vmx_processor.capabilities.invvpid_single ? VMX_INVVPID_SINGLE : VMX_INVVPID_ALL;

    if (has_vpid() && !invvpid(type, vpid, (vmmu_gva){ 0 })) {
        __builtin_trap();
    }
}

static void forget_stage2(uint64_t eptp)
{
    const enum vmx_invept_type type =
        vmx_processor.capabilities.invept_single ? VMX_INVEPT_SINGLE : VMX_INVEPT_ALL;

    if (!invept(type, eptp)) {
        __builtin_trap();
    }
}

void vmx_settle_tags(struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    bool *const stage2_stale = &vp->partition->arch->stage2_stale;
    bool flushed = !has_vpid();

    if (vmx->tags.tag[vmx->tags.now].stale) {
        forget_tag(vmx_vpid(vmx));
        vmx->tags.tag[vmx->tags.now].stale = false;
        vmx->tag_flushes++;
        flushed = true;
    }
    if (*stage2_stale && vmx->direct) {
        forget_stage2(vmx->eptp);
        *stage2_stale = false;
        vmx->stage2_flushes++;
        flushed = true;
    }
    x86_count_tag(vp, vmx_vpid(vmx), flushed);
}

void vmx_flush(struct vp *vp)
{
    vp->counters.tlb_flushes++;
    x86_tags_flush(&vp->arch->vmx->tags);
}

/*
 * INVEPT forgets what was cached of both stages together, too: under nested paging nothing else is cached. It does so for all VPs
 * of the partition, whichever enters first.
 */
void vmx_flush_stage2(struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    if (vmx->nested) {
        vp->counters.tlb_flushes++;
    } else {
        vmx_flush(vp);
    }
    vp->partition->arch->stage2_stale = vmx->eptp != 0;
}

/*
 * What is cached above the page goes with it, under this tag. Other tags are the concern of whoever shares tables
 * between roots.
 */
void vmx_flush_page(struct vp *vp, vmmu_gva va)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    if (!has_vpid()) {
        return; /* the next entry forgets everything */
    }
    vmx->page_flushes++;
    if (!vmx_processor.capabilities.invvpid_address || !invvpid(VMX_INVVPID_ADDRESS, vmx_vpid(vmx), va)) {
        vmx->tags.tag[vmx->tags.now].stale = true;
    }
}
