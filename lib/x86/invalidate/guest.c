/*
 * What a processor removes by instructions and faults that know nothing of virtualization.
 *
 * Invariant: every scope is bound to the current space, and none reaches guest-physical mappings. It is not
 * bound to the second stage: mappings made under any must go.
 */
#include "scopes.h"

static uint16_t space_of(const struct vmmu_x86_tags *tags)
{
    VMMU_ASSERT(tags->tagged || tags->space == 0);
    return tags->space;
}

/* Everything that these instructions can reach. */
static struct vmmu_tlb_scope reachable(const struct vmmu_x86_tags *tags)
{
    return in_space(scope_of_kinds(FROM_LINEAR), space_of(tags));
}

struct vmmu_x86_cache_key vmmu_invalidate_linear_key(const struct vmmu_x86_tags *tags, uint16_t pcid)
{
    return (struct vmmu_x86_cache_key){
        .kind = tags->nested ? VMMU_TLB_COMBINED : VMMU_TLB_LINEAR,
        .tag = { .stage2 = tags->nested ? tags->stage2 : 0, .space = space_of(tags), .context = pcid },
    };
}

struct vmmu_x86_cache_key vmmu_invalidate_guest_physical_key(const struct vmmu_x86_tags *tags)
{
    VMMU_ASSERT(tags->nested);
    return (struct vmmu_x86_cache_key){
        .kind = VMMU_TLB_GUEST_PHYSICAL,
        .tag = { .stage2 = tags->stage2, .space = tags->vendor == VMMU_X86_AMD ? space_of(tags) : 0 },
    };
}

/* By the paging of now. Outside long mode addresses have 32 bits, and all are canonical for 48. */
static bool is_canonical(const struct vmmu_x86_paging_registers *now, uint64_t address)
{
    return vmmu_format_is_canonical(address, (now->cr4 & VMMU_X86_CR4_LA57) ? 57 : 48);
}

/* What an instruction or a fault that names a page under one PCID removes. */
struct page {
    uint64_t address;
    uint64_t bytes;
    uint16_t pcid;
    bool all_structures; /* those that lead elsewhere too */
    enum vmmu_tlb_globals globals;
};

static struct vmmu_tlb_scopes page_scopes(const struct vmmu_x86_tags *tags, const struct page *page)
{
    const struct vmmu_tlb_scope context =
        with_globals(in_context(reachable(tags), page->pcid), page->globals);
    const struct vmmu_tlb_scope structures = structures_of(context);
    struct vmmu_tlb_scopes scopes = no_scopes();

    VMMU_ASSERT(is_page_size(page->bytes));
    scopes_add(&scopes, in_page(translations_of(context), page->address, page->bytes));
    scopes_add(&scopes, page->all_structures ? structures : at_address(structures, page->address));
    return scopes;
}

/* AMD's translation cache extension is on. */
static bool extends_caching(const struct vmmu_x86_tags *tags, const struct vmmu_x86_paging_registers *now)
{
    return tags->vendor == VMMU_X86_AMD && (now->efer & VMMU_X86_EFER_TCE);
}

struct vmmu_tlb_scopes vmmu_invalidate_invlpg(const struct vmmu_x86_tags *tags,
                                              const struct vmmu_x86_paging_registers *now, vmmu_gva address,
                                              uint64_t page_bytes)
{
    const struct page page = {
        .address = address.v,
        .bytes = page_bytes,
        .pcid = vmmu_invalidate_pcid(now),
        .all_structures = !extends_caching(tags, now),
        .globals = VMMU_TLB_GLOBALS_ALWAYS,
    };

    return is_canonical(now, address.v) ? page_scopes(tags, &page) : no_scopes();
}

struct vmmu_tlb_scopes vmmu_invalidate_page_fault(const struct vmmu_x86_tags *tags,
                                                  const struct vmmu_x86_paging_registers *now,
                                                  vmmu_gva address, uint64_t page_bytes)
{
    const struct page page = {
        .address = address.v,
        .bytes = page_bytes,
        .pcid = vmmu_invalidate_pcid(now),
        .globals = VMMU_TLB_GLOBALS_ALWAYS,
    };

    return page_scopes(tags, &page);
}

struct vmmu_tlb_scopes vmmu_invalidate_mov_cr3(const struct vmmu_x86_tags *tags,
                                               const struct vmmu_x86_paging_registers *now, uint64_t value)
{
    const bool pcids = (now->cr4 & VMMU_X86_CR4_PCIDE) != 0;
    const uint16_t pcid = (uint16_t)(pcids ? value & BITS64(11, 0) : 0);

    if (pcids && (value & VMMU_X86_CR3_NO_FLUSH)) {
        return no_scopes();
    }
    return one_scope(with_globals(in_context(reachable(tags), pcid), VMMU_TLB_GLOBALS_KEEP));
}

struct vmmu_tlb_scopes vmmu_invalidate_cr0(const struct vmmu_x86_tags *tags,
                                           const struct vmmu_x86_paging_registers *now, uint64_t value)
{
    return ((now->cr0 ^ value) & VMMU_X86_CR0_PG) ? one_scope(reachable(tags)) : no_scopes();
}

/* Which changes of CR4 remove something. Bits of CR4; the first row that applies wins. */
struct cr4_rules {
    uint64_t all_if_changed;
    uint64_t all_if_set;
    uint64_t all_if_cleared;
    uint64_t context_if_changed; /* what stands under the current PCID */
    uint64_t context_if_set;
};

static const struct cr4_rules cr4_rules[] = {
    [VMMU_X86_INTEL] = {
        .all_if_changed = VMMU_X86_CR4_PGE,
        .all_if_cleared = VMMU_X86_CR4_PCIDE,
        .context_if_changed = VMMU_X86_CR4_PAE,
        .context_if_set = VMMU_X86_CR4_SMEP,
    },
    [VMMU_X86_AMD] = {
        .all_if_changed = VMMU_X86_CR4_PGE | VMMU_X86_CR4_PAE | VMMU_X86_CR4_PSE,
        .all_if_set = VMMU_X86_CR4_PKE,
        .all_if_cleared = VMMU_X86_CR4_PCIDE,
    },
};

struct vmmu_tlb_scopes vmmu_invalidate_cr4(const struct vmmu_x86_tags *tags,
                                           const struct vmmu_x86_paging_registers *now, uint64_t value)
{
    const struct cr4_rules *rules = &cr4_rules[tags->vendor];
    const uint64_t changed = now->cr4 ^ value;
    const uint64_t set = changed & value;
    const uint64_t cleared = changed & now->cr4;

    if ((changed & rules->all_if_changed) | (set & rules->all_if_set) | (cleared & rules->all_if_cleared)) {
        return one_scope(reachable(tags));
    }
    if ((changed & rules->context_if_changed) | (set & rules->context_if_set)) {
        return one_scope(with_globals(in_context(reachable(tags), vmmu_invalidate_pcid(now)),
                                      VMMU_TLB_GLOBALS_BY_CONTEXT));
    }
    return no_scopes();
}

static bool invpcid_is_refused(const struct vmmu_x86_cpu *cpu, const struct vmmu_x86_paging_registers *now,
                               const struct vmmu_x86_invalidation *operands)
{
    const uint64_t pcid = operands->descriptor[0];
    const bool names_pcid =
        operands->type == VMMU_X86_INVPCID_ADDRESS || operands->type == VMMU_X86_INVPCID_CONTEXT;

    if (operands->type > VMMU_X86_INVPCID_ALL || (pcid & ~BITS64(11, 0)) != 0) {
        return true;
    }
    if (names_pcid && pcid != 0 && !(now->cr4 & VMMU_X86_CR4_PCIDE)) {
        return true;
    }
    return operands->type == VMMU_X86_INVPCID_ADDRESS && !may_be_named(cpu, operands->descriptor[1]);
}

static struct vmmu_tlb_scopes invpcid_address(const struct vmmu_x86_tags *tags,
                                              const struct vmmu_x86_paging_registers *now,
                                              const struct vmmu_x86_invalidation *operands)
{
    const struct page page = {
        .address = operands->descriptor[1],
        .bytes = operands->page_bytes != 0 ? operands->page_bytes : VMMU_PAGE_BYTES,
        .pcid = (uint16_t)operands->descriptor[0],
        .all_structures = tags->vendor == VMMU_X86_AMD && !extends_caching(tags, now),
        .globals = VMMU_TLB_GLOBALS_KEEP,
    };

    return page_scopes(tags, &page);
}

enum vmmu_status vmmu_invalidate_invpcid(const struct vmmu_x86_tags *tags, const struct vmmu_x86_cpu *cpu,
                                         const struct vmmu_x86_paging_registers *now,
                                         const struct vmmu_x86_invalidation *operands,
                                         struct vmmu_tlb_scopes *out)
{
    const struct vmmu_tlb_scope no_globals = with_globals(reachable(tags), VMMU_TLB_GLOBALS_KEEP);

    *out = no_scopes();
    if (invpcid_is_refused(cpu, now, operands)) {
        return VMMU_GUEST_FAULT;
    }
    switch (operands->type) {
    case VMMU_X86_INVPCID_ADDRESS: *out = invpcid_address(tags, now, operands); break;
    case VMMU_X86_INVPCID_CONTEXT:
        scopes_add(out, in_context(no_globals, (uint16_t)operands->descriptor[0]));
        break;
    case VMMU_X86_INVPCID_ALL_WITH_GLOBALS: scopes_add(out, reachable(tags)); break;
    default: /* VMMU_X86_INVPCID_ALL: other types were refused */ scopes_add(out, no_globals); break;
    }
    return VMMU_OK;
}
