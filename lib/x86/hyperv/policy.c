/*
 * What the specification leaves open about the virtual MMU: the policies, and what each decides of an event.
 *
 * Invariant: whether a value is one that the processor has was found before; what is decided here is what becomes of a
 * good one.
 */
#include "lib/x86/hyperv/hyperv.h"

#define CR3_CACHE_BITS (VMMU_X86_CR3_PWT | VMMU_X86_CR3_PCD)
#define CR0_CACHE_BITS (VMMU_X86_CR0_CD | VMMU_X86_CR0_NW)

struct vmmu_hyperv_policy vmmu_hyperv_policy_default(bool second_level)
{
    return (struct vmmu_hyperv_policy){
        .cr3_cache = second_level ? VMMU_HYPERV_CACHE_HONOR : VMMU_HYPERV_CACHE_IGNORE,
        .table_cache = second_level ? VMMU_HYPERV_CACHE_HONOR : VMMU_HYPERV_CACHE_IGNORE,
        .cr0_cd = VMMU_HYPERV_CACHE_IGNORE,
        .shadow_sharing = true,
    };
}

enum vmmu_hyperv_policy_refusal vmmu_hyperv_policy_check(const struct vmmu_hyperv_policy *policy,
                                                         bool second_level, bool has_parent)
{
    const bool tells =
        policy->table_cache == VMMU_HYPERV_CACHE_MESSAGE || policy->cr0_cd == VMMU_HYPERV_CACHE_MESSAGE;

    if (policy->cr3_cache == VMMU_HYPERV_CACHE_MESSAGE) {
        return VMMU_HYPERV_POLICY_CR3_MESSAGE;
    }
    if (second_level && policy->table_cache != VMMU_HYPERV_CACHE_HONOR) {
        return VMMU_HYPERV_POLICY_UNSEEN_WALKS;
    }
    return tells && !has_parent ? VMMU_HYPERV_POLICY_NO_PARENT : VMMU_HYPERV_POLICY_GOOD;
}

static struct vmmu_hyperv_ruling store(uint64_t value)
{
    return (struct vmmu_hyperv_ruling){ VMMU_HYPERV_STORE, value };
}

struct vmmu_hyperv_ruling vmmu_hyperv_rule_cr3(const struct vmmu_hyperv_policy *policy,
                                               enum vmmu_hyperv_writer writer, uint64_t cr4, uint64_t value)
{
    const uint64_t asked = (cr4 & VMMU_X86_CR4_PCIDE) != 0 ? 0 : value & CR3_CACHE_BITS;

    if (asked == 0 || policy->cr3_cache == VMMU_HYPERV_CACHE_HONOR) {
        return store(value);
    }
    if (writer == VMMU_HYPERV_BY_CALL) {
        return (struct vmmu_hyperv_ruling){ .verdict = VMMU_HYPERV_REFUSE };
    }
    return store(value & ~asked);
}

struct vmmu_hyperv_ruling vmmu_hyperv_rule_cr0(const struct vmmu_hyperv_policy *policy,
                                               enum vmmu_hyperv_writer writer, uint64_t value)
{
    if ((value & CR0_CACHE_BITS) == 0 || policy->cr0_cd == VMMU_HYPERV_CACHE_HONOR) {
        return store(value);
    }
    if (writer == VMMU_HYPERV_BY_CALL) {
        return (struct vmmu_hyperv_ruling){ .verdict = VMMU_HYPERV_REFUSE };
    }
    if (policy->cr0_cd == VMMU_HYPERV_CACHE_MESSAGE) {
        return (struct vmmu_hyperv_ruling){ .verdict = VMMU_HYPERV_MESSAGE };
    }
    return store(value & ~CR0_CACHE_BITS);
}

bool vmmu_hyperv_is_uncached(const struct vmmu_hyperv_policy *policy, uint64_t cr0)
{
    return policy->cr0_cd == VMMU_HYPERV_CACHE_HONOR && (cr0 & VMMU_X86_CR0_CD) != 0;
}

/* --- IA32_PAT --- */

void vmmu_hyperv_pats_init(struct vmmu_hyperv_pats *pats)
{
    *pats = (struct vmmu_hyperv_pats){ .agreed = VMMU_X86_PAT_AT_RESET };
    for (unsigned i = 0; i < VMMU_HYPERV_VPS; i++) {
        pats->of_vp[i] = VMMU_X86_PAT_AT_RESET;
    }
}

static bool all_agree(const struct vmmu_hyperv_pats *pats, unsigned vp_count, uint64_t value)
{
    for (unsigned i = 0; i < vp_count; i++) {
        if (pats->of_vp[i] != value) {
            return false;
        }
    }
    return true;
}

uint64_t vmmu_hyperv_pat_write(struct vmmu_hyperv_pats *pats, const struct vmmu_hyperv_policy *policy,
                               unsigned vp_count, unsigned vp, uint64_t value)
{
    const unsigned first = policy->pat_of_partition ? 0 : vp;
    const unsigned end = policy->pat_of_partition ? vp_count : vp + 1;
    uint64_t changed = 0;

    VMMU_ASSERT(vp < vp_count && vp_count <= VMMU_HYPERV_VPS);
    for (unsigned i = first; i < end; i++) {
        if (pats->of_vp[i] != value) {
            pats->of_vp[i] = value;
            changed |= BIT64(i);
        }
    }
    if (all_agree(pats, vp_count, value)) {
        pats->agreed = value;
    }
    return changed;
}

bool vmmu_hyperv_pat_follow_cr0(struct vmmu_hyperv_pats *pats, const struct vmmu_hyperv_policy *policy,
                                unsigned vp, uint64_t cr0)
{
    const uint64_t before = pats->uncached;

    VMMU_ASSERT(vp < VMMU_HYPERV_VPS);
    if (vmmu_hyperv_is_uncached(policy, cr0)) {
        pats->uncached |= BIT64(vp);
    } else {
        pats->uncached &= ~BIT64(vp);
    }
    return pats->uncached != before;
}

uint64_t vmmu_hyperv_pat_of_vp(const struct vmmu_hyperv_pats *pats, unsigned vp)
{
    return (pats->uncached & BIT64(vp)) != 0 ? VMMU_HYPERV_PAT_UNCACHED : pats->of_vp[vp];
}

uint64_t vmmu_hyperv_pat_of_tables(const struct vmmu_hyperv_pats *pats)
{
    return pats->uncached != 0 ? VMMU_HYPERV_PAT_UNCACHED : pats->agreed;
}

enum vmmu_x86_memory_type vmmu_hyperv_pat_type(const struct vmmu_hyperv_pats *pats, bool second_level,
                                               unsigned vp, unsigned index)
{
    const uint64_t pat = second_level ? vmmu_hyperv_pat_of_vp(pats, vp) : vmmu_hyperv_pat_of_tables(pats);

    return vmmu_x86_pat_type(pat, index);
}
