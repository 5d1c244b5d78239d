/*
 * Plans. A flush that a plan asks for is due on every processor, for every virtual processor that it names: at
 * once where one runs, else before it enters. What an operation does not rely on yet may be put off.
 *
 * Spec: SDM 3C "Guidelines for Use of the INVEPT Instruction"; APM 2 "TLB Control".
 */
#include "tests/model/machine/world_internal.h"

/* --- on one processor --- */

/* The EPTP that the tables are entered by. */
static uint64_t eptp_of(const struct vmmu_x86_stage2 *stage2)
{
    const uint64_t levels = vmmu_x86_formats[stage2->layout.format].levels;
    const uint64_t write_back = 6;

    return stage2->root.v | write_back | (levels - 1) * 8 | (stage2->accessed_dirty ? BIT64(6) : 0);
}

static void forget_pending(struct world_processor *processor)
{
    for (unsigned vp = 0; vp < MODEL_VPS; vp++) {
        processor->pending[vp] = (struct vmmu_plan){ .count = 0 };
    }
}

/* INVEPT serves all virtual processors, whatever their VPIDs. */
static void flush_by_invept(struct world *world, struct world_processor *processor,
                            const struct guest_state *state)
{
    const bool all = world_once_in(world, 4);
    const struct vmmu_x86_invalidation operands = {
        .type = all ? VMMU_X86_INVEPT_ALL : VMMU_X86_INVEPT_CONTEXT,
        .descriptor = { all ? 0 : eptp_of(&state->stage2) },
    };
    struct vmmu_tlb_scopes scopes;

    if (vmmu_invalidate_invept(&world->cpu, &operands, &scopes) != VMMU_OK) {
        world_report(world, CHECK_PROGRESS, "INVEPT fails with EPTP %#llx",
                     (unsigned long long)operands.descriptor[0]);
        return;
    }
    processor_invalidate(processor->machine, &scopes);
    forget_pending(processor);
}

/* By INVVPID or the next VMRUN: one tag, or all of them. On Intel that is what knows no second stage. */
static bool flush_tag(struct world *world, struct world_processor *processor, uint8_t tag, bool all)
{
    const struct vmmu_x86_invalidation operands = {
        .type = all ? VMMU_X86_INVVPID_ALL : VMMU_X86_INVVPID_CONTEXT,
        .descriptor = { all ? 0 : tag },
    };
    const uint8_t control = all ? VMMU_X86_TLB_CONTROL_ALL : VMMU_X86_TLB_CONTROL_ASID;
    struct vmmu_tlb_scopes scopes;

    if ((world->setting.intel ? vmmu_invalidate_invvpid(&world->cpu, &operands, &scopes)
                              : vmmu_invalidate_vmrun(tag, control, &scopes)) != VMMU_OK) {
        world_report(world, CHECK_PROGRESS, "no instruction flushes tag %u", tag);
        return false;
    }
    processor_invalidate(processor->machine, &scopes);
    return true;
}

/* All tags that the virtual processor has here. Without tags, each entry starts from nothing. */
static void flush_by_tags(struct world *world, struct world_processor *processor, uint8_t vp)
{
    const bool all = world_once_in(world, 4);
    bool done = true;

    for (unsigned i = 0; world->setting.tagged && i < SPACES_MOST; i++) {
        const uint8_t tag = processor->spaces[vp][i].tag;

        done = done && (tag == 0 || flush_tag(world, processor, tag, all));
    }
    if (all && world->setting.tagged && done) {
        forget_pending(processor);
    }
    processor->pending[vp] = (struct vmmu_plan){ .count = 0 };
}

/* What the plan names, under every tag of the virtual processor here, and nothing else. */
static void flush_precisely(struct world *world, struct world_processor *processor, uint8_t vp,
                            const struct guest_state *state)
{
    struct guest_state other = *state;

    for (unsigned i = 0; i < SPACES_MOST; i++) {
        const uint8_t tag = processor->spaces[vp][i].tag;

        if (tag != 0 || i == 0) {
            other.tags.space = world_tags_of(world, tag).space;
            processor_apply(processor->machine, &other, &processor->pending[vp]);
        }
    }
    processor->pending[vp] = (struct vmmu_plan){ .count = 0 };
}

/* --- by hypercall --- */

/* Up to so many pages one by one. */
#define LINEAR_PAGES 32U

static uint64_t pages_of(const struct vmmu_plan *plan)
{
    uint64_t pages = 0;

    for (unsigned i = 0; i < plan->count; i++) {
        pages += plan->ranges[i].pages;
    }
    return pages;
}

/* One page under one tag, as INVVPID or INVLPGA have it. */
static void flush_page(struct world *world, struct world_processor *processor, uint8_t tag, vmmu_gva address)
{
    const struct vmmu_x86_invalidation operands = { .type = VMMU_X86_INVVPID_ADDRESS,
                                                    .descriptor = { tag, address.v } };
    struct vmmu_tlb_scopes scopes = { .count = 0 };

    if (!world->setting.intel) {
        scopes = vmmu_invalidate_invlpga(address, tag, VMMU_PAGE_BYTES);
    } else if (vmmu_invalidate_invvpid(&world->cpu, &operands, &scopes) != VMMU_OK) {
        world_report(world, CHECK_PROGRESS, "INVVPID fails for address %#llx of VPID %u",
                     (unsigned long long)address.v, tag);
    }
    processor_invalidate(processor->machine, &scopes);
}

/* All of one tag, or all but what is global. */
static void flush_space(struct world *world, struct world_processor *processor, uint8_t tag, bool keep_global)
{
    const struct vmmu_x86_invalidation operands = {
        .type = keep_global ? VMMU_X86_INVVPID_CONTEXT_RETAINING_GLOBALS : VMMU_X86_INVVPID_CONTEXT,
        .descriptor = { tag },
    };
    const uint8_t control =
        keep_global ? VMMU_X86_TLB_CONTROL_ASID_RETAINING_GLOBALS : VMMU_X86_TLB_CONTROL_ASID;
    struct vmmu_tlb_scopes scopes = { .count = 0 };

    if ((world->setting.intel ? vmmu_invalidate_invvpid(&world->cpu, &operands, &scopes)
                              : vmmu_invalidate_vmrun(tag, control, &scopes)) != VMMU_OK) {
        world_report(world, CHECK_PROGRESS, "no instruction flushes tag %u", tag);
    }
    processor_invalidate(processor->machine, &scopes);
}

static void flush_pages(struct world *world, struct world_processor *processor, uint8_t tag,
                        const struct vmmu_plan *plan)
{
    for (unsigned i = 0; i < plan->count; i++) {
        for (uint64_t page = 0; page < plan->ranges[i].pages; page++) {
            flush_page(world, processor, tag, (vmmu_gva){ plan->ranges[i].base + page * VMMU_PAGE_BYTES });
        }
    }
}

/*
 * Plans of linear addresses know no fragments of large pages. Where the host's tables are what processors walk, the host
 * sees to it that fragments go; under a second stage only a whole tag is sure to have them all.
 */
static void flush_owed(struct world *world, uint8_t vp)
{
    struct world_processor *processor = world_processor(world, vp);
    const struct linear_flush *owed = &processor->owed[vp];
    const bool by_pages =
        is_shadowed(world) && !owed->plan.whole_tag && pages_of(&owed->plan) <= LINEAR_PAGES;

    for (unsigned i = 0; world->setting.tagged && i < SPACES_MOST; i++) {
        const uint8_t tag = processor->spaces[vp][i].tag;

        if (tag != 0 && by_pages) {
            flush_pages(world, processor, tag, &owed->plan);
        } else if (tag != 0) {
            flush_space(world, processor, tag, owed->keep_global);
        }
    }
    processor->owed[vp] = (struct linear_flush){ .keep_global = false };
}

void world_owe(struct world *world, uint8_t vp, const struct linear_flush *flush)
{
    for (unsigned i = 0; i < world->setting.processors; i++) {
        struct linear_flush *owed = &world->processors[i].owed[vp];

        if (vmmu_plan_is_empty(&owed->plan)) {
            *owed = *flush;
        } else {
            owed->plan = (struct vmmu_plan){ .whole_tag = true };
            owed->keep_global = owed->keep_global && flush->keep_global;
        }
    }
}

/* --- all that waits --- */

void world_flush_pending(struct world *world, uint8_t vp)
{
    struct world_processor *processor = world_processor(world, vp);
    struct guest_state state;

    if (!vmmu_plan_is_empty(&processor->owed[vp].plan)) {
        flush_owed(world, vp);
    }
    if (vmmu_plan_is_empty(&processor->pending[vp])) {
        return;
    }
    state = world_state(world, vp);
    if (world->precisely) {
        flush_precisely(world, processor, vp, &state);
    } else if (world->setting.intel && state.nested) {
        flush_by_invept(world, processor, &state);
    } else {
        flush_by_tags(world, processor, vp);
    }
}

/* --- on all --- */

static void add_pending(struct vmmu_plan *pending, const struct vmmu_plan *plan)
{
    if (plan->whole_tag) {
        pending->whole_tag = true;
        pending->count = 0;
    }
    for (unsigned i = 0; i < plan->count; i++) {
        vmmu_plan_add(pending, plan->ranges[i].base, plan->ranges[i].pages);
    }
}

/* Have the guest left and entered again, with the flush between. */
static void kick(struct world *world, uint8_t vp)
{
    if (!world->vps[vp].outside) {
        world_exit(world, vp);
        world_resume(world, vp);
    }
}

static void flush(struct world *world, const struct vmmu_plan *plan)
{
    for (unsigned i = 0; i < world->setting.processors; i++) {
        struct world_processor *processor = &world->processors[i];

        for (uint8_t vp = 0; vp < world->setting.vps; vp++) {
            if (plan->vps & BIT64(vp)) {
                add_pending(&processor->pending[vp], plan);
            }
        }
    }
    for (unsigned i = 0; i < world->setting.processors; i++) {
        const uint8_t vp = world->processors[i].loaded;

        /* Guests run until they are kicked. */
        if (world_once_in(world, 2)) {
            world_act(world);
        }
        if (vp != NOBODY && (plan->vps & BIT64(vp))) {
            kick(world, vp);
        }
    }
}

static void apply(struct world *world, const struct vmmu_plan *plan)
{
    if (!vmmu_plan_is_empty(plan)) {
        flush(world, plan);
    }
    vmmu_table_flushed(&world->tables, plan->epoch);
}

/* --- now or later --- */

/* Nothing is owed any more. */
static void close_all(struct world *world)
{
    world->later_count = 0;
    for (unsigned i = 0; i < world->loosened_count; i++) {
        world_close_range(world, &world->loosened[i]);
    }
    world->loosened_count = 0;
}

void world_settle(struct world *world)
{
    for (unsigned i = 0; i < world->later_count; i++) {
        apply(world, &world->later[i]);
    }
    close_all(world);
}

/*
 * A flush of everything serves all that was put off: only their epochs are still to be told. Shadows have plans of whole tags
 * for single virtual processors; those serve nobody else.
 */
void world_apply(struct world *world, const struct vmmu_plan *plan)
{
    const uint64_t vps = BIT64(world->setting.vps) - 1;

    apply(world, plan);
    if (plan->whole_tag && (!is_shadowed(world) || (plan->vps & vps) == vps)) {
        for (unsigned i = 0; i < world->later_count; i++) {
            vmmu_table_flushed(&world->tables, world->later[i].epoch);
        }
        close_all(world);
    }
}

void world_hand_over(struct world *world, const struct vmmu_plan *plan)
{
    if (vmmu_plan_is_empty(plan) || !world->may_put_off || world->later_count == LATER_PLANS) {
        world_apply(world, plan);
        return;
    }
    world->later[world->later_count++] = *plan;
}

void world_loosened(struct world *world, const struct loosened *range)
{
    if (world->later_count == 0) {
        world_close_range(world, range);
        return;
    }
    world->loosened[world->loosened_count++] = *range;
    if (world->loosened_count == LOOSENED_RANGES) {
        world_settle(world);
    }
}
