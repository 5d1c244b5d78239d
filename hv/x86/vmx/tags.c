/*
 * Tags (VPIDs), and what is forgotten under them.
 *
 * Invariant: a tag is used only while everything under it is good: what a flush asks for is noted with each tag of the VP, and
 * done before the entry that would use it. A tag changes hands (another root, another VP) only as a stale one.
 * None is 0, which is the hypervisor's own.
 *
 * Spec: SDM 3C "Virtual-Processor Identifiers (VPIDs)", "Caching Translation Information", "Operations that Invalidate
 * Cached Mappings".
 */
#include "hv/x86/vmx/vmx.h"

#define VPID_LAST 0xFFFFu

bool vmx_take_tags(struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    vmx->tag_count = vmx->nested ? 1 : VMX_TAGS;
    if (!vmx_processor.capabilities.vpid) {
        return true;
    }
    for (unsigned i = 0; i < vmx->tag_count; i++) {
        if (vmx_processor.last_vpid == VPID_LAST) {
            return false;
        }
        vmx->tags[i] = (struct vmx_tag){ .vpid = (uint16_t)++vmx_processor.last_vpid, .stale = true };
    }
    vmwrite(VMCS_VPID, vmx->tags[0].vpid);
    return true;
}

/* The tag of @root, or the one that was not used for longest. */
static unsigned find_tag(const struct vmx_vp *vmx, uint64_t root)
{
    unsigned oldest = 0;

    for (unsigned i = 0; i < vmx->tag_count; i++) {
        if (vmx->tags[i].root == root) {
            return i;
        }
        if (vmx->tags[i].last < vmx->tags[oldest].last) {
            oldest = i;
        }
    }
    return oldest;
}

void vmx_choose_tag(struct vp *vp, uint64_t root)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    struct vmx_tag *tag;

    if (vmx->tags[vmx->tag].root == root) {
        return;
    }
    vmx->tags[vmx->tag].last = vmx->entries;
    vmx->tag = find_tag(vmx, root);
    tag = &vmx->tags[vmx->tag];
    if (tag->root != root) {
        tag->root = root;
        tag->stale = true;
    }
    if (vmx_processor.capabilities.vpid) {
        vmwrite(VMCS_VPID, tag->vpid);
    }
}

/* One tag if the processor can; else all tags of all VPs. */
static void forget_tag(const struct vmx_tag *tag)
{
    const enum vmx_invvpid_type type =
        vmx_processor.capabilities.invvpid_single ? VMX_INVVPID_SINGLE : VMX_INVVPID_ALL;

    if (vmx_processor.capabilities.vpid && !invvpid(type, tag->vpid, (vmmu_gva){ 0 })) {
        __builtin_trap();
    }
}

void vmx_settle_tags(struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    struct vmx_tag *tag = &vmx->tags[vmx->tag];

    if (tag->stale) {
        forget_tag(tag);
        tag->stale = false;
        vmx->tag_flushes++;
    }
    if (vmx->stage2_stale) {
        const enum vmx_invept_type type =
            vmx_processor.capabilities.invept_single ? VMX_INVEPT_SINGLE : VMX_INVEPT_ALL;

        if (!invept(type, vmx->eptp)) {
            __builtin_trap();
        }
        vmx->stage2_stale = false;
        vmx->stage2_flushes++;
    }
}

void vmx_flush(struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    vp->counters.tlb_flushes++;
    for (unsigned i = 0; i < vmx->tag_count; i++) {
        vmx->tags[i].stale = true;
    }
}

/* INVEPT forgets what was cached of both stages together, too: under nested paging nothing else is cached. */
void vmx_flush_stage2(struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    if (vmx->nested) {
        vp->counters.tlb_flushes++;
    } else {
        vmx_flush(vp);
    }
    vmx->stage2_stale = vmx->eptp != 0;
}

/*
 * What is cached above the page goes with it in one tag. Other tags are the concern of whoever shares tables between
 * roots.
 */
void vmx_flush_page(struct vp *vp, vmmu_gva va)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    struct vmx_tag *tag = &vmx->tags[vmx->tag];

    vmx->page_flushes++;
    if (!vmx_processor.capabilities.vpid) {
        return; /* the next entry forgets everything */
    }
    if (!vmx_processor.capabilities.invvpid_address || !invvpid(VMX_INVVPID_ADDRESS, tag->vpid, va)) {
        tag->stale = true;
    }
}
