/*
 * What a processor removes by the instructions and events of VMX and SVM.
 *
 * With Intel the kinds decide: INVVPID and VM transitions never reach guest-physical mappings, INVEPT never
 * linear ones. With AMD the ASID does, and only TLB_CONTROL reaches guest-physical mappings.
 */
#include "scopes.h"

/* Descriptor of INVVPID: bits of the lower half beside the VPID. */
#define INVVPID_RESERVED BITS64(63, 16)

/* What VM entry looks at in an EPTP. */
#define EPTP_TYPE        BITS64(2, 0)
#define EPTP_LENGTH      BITS64(5, 3) /* of a walk, less one */
#define EPTP_LENGTH_4    (UINT64_C(3) * BIT64(3))
#define EPTP_LENGTH_5    (UINT64_C(4) * BIT64(3))
#define EPTP_RESERVED    BITS64(11, 7)

static bool invvpid_is_refused(const struct vmmu_x86_cpu *cpu, const struct vmmu_x86_invalidation *operands)
{
    const uint64_t vpid = operands->descriptor[0];

    if (operands->type > VMMU_X86_INVVPID_CONTEXT_RETAINING_GLOBALS || (vpid & INVVPID_RESERVED) != 0) {
        return true;
    }
    if (operands->type != VMMU_X86_INVVPID_ALL && vpid == 0) {
        return true;
    }
    return operands->type == VMMU_X86_INVVPID_ADDRESS && !may_be_named(cpu, operands->descriptor[1]);
}

enum vmmu_status vmmu_invalidate_invvpid(const struct vmmu_x86_cpu *cpu,
                                         const struct vmmu_x86_invalidation *operands,
                                         struct vmmu_tlb_scopes *out)
{
    const struct vmmu_tlb_scope all = scope_of_kinds(FROM_LINEAR);
    struct vmmu_tlb_scope scope = in_space(all, (uint16_t)operands->descriptor[0]);

    *out = no_scopes();
    if (invvpid_is_refused(cpu, operands)) {
        return VMMU_INVALID;
    }
    switch (operands->type) {
    case VMMU_X86_INVVPID_ADDRESS: scope = at_address(scope, operands->descriptor[1]); break;
    case VMMU_X86_INVVPID_ALL:
        scope = all;
        scope.spare_space_0 = true;
        break;
    case VMMU_X86_INVVPID_CONTEXT_RETAINING_GLOBALS:
        scope = with_globals(scope, VMMU_TLB_GLOBALS_KEEP);
        break;
    default: /* VMMU_X86_INVVPID_CONTEXT: other types were refused */ break;
    }
    scopes_add(out, scope);
    return VMMU_OK;
}

/* Whether VM entry would refuse the EPTP, where 4 and 5 levels, UC and WB, and A/D flags are offered. */
static bool eptp_is_refused(const struct vmmu_x86_cpu *cpu, uint64_t eptp)
{
    const uint64_t type = eptp & EPTP_TYPE;
    const uint64_t length = eptp & EPTP_LENGTH;
    const uint64_t reserved = EPTP_RESERVED | ~BITS64(cpu->maxphyaddr - 1, 0);

    return (type != VMMU_X86_TYPE_UC && type != VMMU_X86_TYPE_WB) ||
           (length != EPTP_LENGTH_4 && length != EPTP_LENGTH_5) || (eptp & reserved) != 0;
}

enum vmmu_status vmmu_invalidate_invept(const struct vmmu_x86_cpu *cpu,
                                        const struct vmmu_x86_invalidation *operands,
                                        struct vmmu_tlb_scopes *out)
{
    const struct vmmu_tlb_scope all = scope_of_kinds(VMMU_TLB_GUEST_PHYSICAL | VMMU_TLB_COMBINED);
    const uint64_t eptp = operands->descriptor[0];

    *out = no_scopes();
    if (operands->type == VMMU_X86_INVEPT_ALL) {
        scopes_add(out, all);
        return VMMU_OK;
    }
    if (operands->type != VMMU_X86_INVEPT_CONTEXT || eptp_is_refused(cpu, eptp)) {
        return VMMU_INVALID;
    }
    scopes_add(out, in_stage2(all, vmmu_invalidate_ep4ta(eptp)));
    return VMMU_OK;
}

/*
 * What is cached under @key and serves @address. Globals go whatever their PCID: one that stayed could
 * cause the same refusal again.
 */
static struct vmmu_tlb_scope serving(struct vmmu_x86_cache_key key, uint64_t address)
{
    const struct vmmu_tlb_scope scope = in_stage2(scope_of_kinds(key.kind), key.tag.stage2);

    return at_address(in_context(in_space(scope, key.tag.space), key.tag.context), address);
}

struct vmmu_tlb_scopes vmmu_invalidate_stage2_fault(const struct vmmu_x86_tags *tags,
                                                    const struct vmmu_x86_paging_registers *now, vmmu_gpa gpa,
                                                    const vmmu_gva *linear)
{
    struct vmmu_tlb_scopes scopes = no_scopes();

    scopes_add(&scopes, serving(vmmu_invalidate_guest_physical_key(tags), gpa.v));
    if (linear != NULL) {
        scopes_add(&scopes, serving(vmmu_invalidate_linear_key(tags, vmmu_invalidate_pcid(now)), linear->v));
    }
    return scopes;
}

struct vmmu_tlb_scopes vmmu_invalidate_vm_transition(const struct vmmu_x86_tags *tags)
{
    if (tags->vendor == VMMU_X86_AMD || tags->tagged) {
        return no_scopes();
    }
    return one_scope(in_space(scope_of_kinds(FROM_LINEAR), 0));
}

struct vmmu_tlb_scopes vmmu_invalidate_invlpga(vmmu_gva address, uint16_t asid, uint64_t page_bytes)
{
    const struct vmmu_tlb_scope space = in_space(scope_of_kinds(FROM_LINEAR), asid);
    struct vmmu_tlb_scopes scopes = no_scopes();

    VMMU_ASSERT(is_page_size(page_bytes));
    scopes_add(&scopes, in_page(translations_of(space), address.v, page_bytes));
    scopes_add(&scopes, at_address(structures_of(space), address.v));
    return scopes;
}

enum vmmu_status vmmu_invalidate_vmrun(uint16_t asid, uint8_t control, struct vmmu_tlb_scopes *out)
{
    *out = no_scopes();
    if (asid == 0) {
        return VMMU_INVALID;
    }
    switch (control) {
    case VMMU_X86_TLB_CONTROL_NOTHING: return VMMU_OK;
    case VMMU_X86_TLB_CONTROL_ALL: scopes_add(out, scope_of_kinds(VMMU_TLB_KINDS)); return VMMU_OK;
    case VMMU_X86_TLB_CONTROL_ASID:
        scopes_add(out, in_space(scope_of_kinds(VMMU_TLB_KINDS), asid));
        return VMMU_OK;
    case VMMU_X86_TLB_CONTROL_ASID_RETAINING_GLOBALS:
        scopes_add(out, with_globals(in_space(scope_of_kinds(FROM_LINEAR), asid), VMMU_TLB_GLOBALS_KEEP));
        return VMMU_OK;
    default: return VMMU_INVALID;
    }
}
