/*
 * How this room puts scopes together: start from all that one address space holds, then narrow.
 *
 * What never needs saying again: entries of paging-structure caches are never global, so they go by the PCID
 * alone wherever a scope compares it; and a narrowed scope keeps what it had been narrowed to before.
 */
#ifndef LIB_X86_INVALIDATE_SCOPES_H
#define LIB_X86_INVALIDATE_SCOPES_H

#include <vmmu/invalidate.h>

/* Mappings of linear addresses. What guest instructions remove lies among them, a second stage or not. */
#define FROM_LINEAR (VMMU_TLB_LINEAR | VMMU_TLB_COMBINED)

/* Everything: each kind, each tag. */
static inline struct vmmu_tlb_scope scope_of_kinds(uint8_t kinds)
{
    return (struct vmmu_tlb_scope){
        .kinds = kinds, .translations = true, .structures = true, .globals = VMMU_TLB_GLOBALS_ALWAYS
    };
}

static inline struct vmmu_tlb_scope in_space(struct vmmu_tlb_scope scope, uint16_t space)
{
    scope.by |= VMMU_TLB_BY_SPACE;
    scope.tag.space = space;
    return scope;
}

static inline struct vmmu_tlb_scope in_context(struct vmmu_tlb_scope scope, uint16_t context)
{
    scope.by |= VMMU_TLB_BY_CONTEXT;
    scope.tag.context = context;
    return scope;
}

static inline struct vmmu_tlb_scope in_stage2(struct vmmu_tlb_scope scope, uint64_t stage2)
{
    scope.by |= VMMU_TLB_BY_STAGE2;
    scope.tag.stage2 = stage2;
    return scope;
}

static inline struct vmmu_tlb_scope with_globals(struct vmmu_tlb_scope scope, enum vmmu_tlb_globals globals)
{
    scope.globals = globals;
    return scope;
}

static inline struct vmmu_tlb_scope translations_of(struct vmmu_tlb_scope scope)
{
    scope.structures = false;
    return scope;
}

static inline struct vmmu_tlb_scope structures_of(struct vmmu_tlb_scope scope)
{
    scope.translations = false;
    return scope;
}

/* Of a translation: that it covers a byte of the page of @address; of a structure: that it leads there. */
static inline struct vmmu_tlb_scope in_page(struct vmmu_tlb_scope scope, uint64_t address,
                                            uint64_t page_bytes)
{
    scope.by_range = true;
    scope.first = address & ~(page_bytes - 1);
    scope.last = address | (page_bytes - 1);
    return scope;
}

/* Of anything: that it would serve @address. */
static inline struct vmmu_tlb_scope at_address(struct vmmu_tlb_scope scope, uint64_t address)
{
    return in_page(scope, address, 1);
}

static inline void scopes_add(struct vmmu_tlb_scopes *scopes, struct vmmu_tlb_scope scope)
{
    VMMU_ASSERT(scopes->count < VMMU_TLB_SCOPES);
    scopes->scope[scopes->count++] = scope;
}

static inline struct vmmu_tlb_scopes no_scopes(void)
{
    return (struct vmmu_tlb_scopes){ .count = 0 };
}

static inline struct vmmu_tlb_scopes one_scope(struct vmmu_tlb_scope scope)
{
    return (struct vmmu_tlb_scopes){ .count = 1, .scope = { scope } };
}

/* A size that pages have: 4 KiB or more, a power of two. */
static inline bool is_page_size(uint64_t bytes)
{
    return bytes >= VMMU_PAGE_BYTES && (bytes & (bytes - 1)) == 0;
}

/*
 * Whether @address is canonical for the widest linear addresses that the processor has. Instructions that
 * take an address only to invalidate it look at that, whatever CR4.LA57 says now: a host of four levels must
 * be able to name an address of a guest with five.
 */
static inline bool may_be_named(const struct vmmu_x86_cpu *cpu, uint64_t address)
{
    return vmmu_format_is_canonical(address, cpu->la57 ? 57 : 48);
}

#endif
