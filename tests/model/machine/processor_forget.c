/*
 * Forgetting: by instructions, by faults, by a plan to the letter, and by chance.
 */
#include "tests/model/machine/processor_internal.h"

/* --- by instructions and faults --- */

void processor_invalidate(struct processor *processor, const struct vmmu_tlb_scopes *scopes)
{
    (void)vmmu_tlb_invalidate(&processor->tlb, scopes);
}

struct vmmu_x86_paging_registers processor_registers(const struct vmmu_x86_mode *mode)
{
    const bool five = mode->paging == VMMU_X86_PAGING_5LEVEL;
    const bool long_mode = five || mode->paging == VMMU_X86_PAGING_4LEVEL;

    return (struct vmmu_x86_paging_registers){
        .cr3 = mode->pcid,
        .cr4 = (mode->pcid != 0 ? VMMU_X86_CR4_PCIDE : 0) | (five ? VMMU_X86_CR4_LA57 : 0),
        .efer = long_mode ? VMMU_X86_EFER_LMA : 0,
    };
}

void forget_fault(struct crossing *crossing)
{
    const struct processor_result *result = &crossing->result;
    const struct vmmu_x86_tags *tags = &crossing->state->tags;
    const struct vmmu_x86_paging_registers now = processor_registers(&crossing->state->mode);
    const vmmu_gva va = { crossing->va };
    struct vmmu_tlb_scopes scopes = { 0 };

    if (result->end == PROCESSOR_GUEST_FAULT && result->fault.vector == VMMU_X86_VECTOR_PF) {
        scopes = vmmu_invalidate_page_fault(tags, &now, va, VMMU_PAGE_BYTES);
    } else if (result->end == PROCESSOR_STAGE2 && result->stage2.reason != VMMU_X86_STAGE2_MISCONFIGURED) {
        scopes = vmmu_invalidate_stage2_fault(tags, &now, result->stage2.gpa,
                                              result->stage2.access.guest_table ? NULL : &va);
    }
    if (scopes.count != 0) {
        processor_invalidate(crossing->processor, &scopes);
    }
}

/* --- by a plan --- */

struct order {
    const struct processor *processor;
    const struct guest_state *state;
    const struct vmmu_plan *plan;
    struct vmmu_x86_cache_key linear; /* its tags, under any PCID */
};

/* Whether [base, base + 2^@shift) meets a range of the plan. */
static bool is_named(const struct vmmu_plan *plan, uint64_t base, uint8_t shift)
{
    const uint64_t last = base + (BIT64(shift) - 1);

    for (unsigned i = 0; i < plan->count; i++) {
        const struct vmmu_range *range = &plan->ranges[i];

        if (base <= range->base + (range->pages * VMMU_PAGE_BYTES - 1) && last >= range->base) {
            return true;
        }
    }
    return plan->whole_tag;
}

/* Whether a table, or the part of a page, that a combined mapping was made by is named. */
static bool came_by_named(const struct order *order, const struct vmmu_tlb_entry *entry)
{
    const struct origin *origin = cache_origin(order->processor, entry);

    for (unsigned i = 0; i < origin->count; i++) {
        const bool final = entry->table_level == 0 && i + 1U == origin->count;

        if (is_named(order->plan, origin->page[i], final ? entry->page_shift : VMMU_PAGE_SHIFT)) {
            return true;
        }
    }
    return false;
}

static bool is_ordered_away(void *context, const struct vmmu_tlb_entry *entry)
{
    const struct order *order = context;
    const struct vmmu_plan *plan = order->plan;
    const bool by_space = order->state->tags.vendor == VMMU_X86_AMD || !order->state->nested;

    if (by_space && entry->tag.space != order->linear.tag.space) {
        return false;
    }
    if (!order->state->nested) {
        return entry->kind == VMMU_TLB_LINEAR && is_named(plan, entry->base, entry->page_shift);
    }
    if (entry->tag.stage2 != order->linear.tag.stage2) {
        return false;
    }
    return entry->kind == VMMU_TLB_GUEST_PHYSICAL
               ? is_named(plan, entry->base, entry->page_shift)
               : entry->kind == VMMU_TLB_COMBINED && came_by_named(order, entry);
}

void processor_apply(struct processor *processor, const struct guest_state *state,
                     const struct vmmu_plan *plan)
{
    struct order order = {
        .processor = processor,
        .state = state,
        .plan = plan,
        .linear = vmmu_invalidate_linear_key(&state->tags, 0),
    };

    (void)vmmu_tlb_remove_if(&processor->tlb, is_ordered_away, &order);
}

/* --- by chance --- */

struct lottery {
    struct luck *luck;
    uint32_t of_256;
};

static bool is_drawn(void *context, const struct vmmu_tlb_entry *entry)
{
    struct lottery *lottery = context;

    (void)entry;
    return luck_below(lottery->luck, 256) < lottery->of_256;
}

void processor_evict(struct processor *processor, uint32_t of_256, struct luck *luck)
{
    struct lottery lottery = { luck, of_256 };

    (void)vmmu_tlb_remove_if(&processor->tlb, is_drawn, &lottery);
}
