/*
 * Who runs where, under which tag: a VPID or an ASID, dealt by each processor. Where roots have tags of their own, a virtual
 * processor keeps some of them, and the one that it used least lately makes room for another.
 *
 * Invariant: what a processor has cached under the tag of a virtual processor was made by that one, since it
 * came here, on one root if roots have tags; and nothing that it or the host invalidated since is among it.
 *
 * Spec: SDM 3C "Guidelines for Use of the INVVPID Instruction"; APM 2 "TLB Control".
 */
#include "tests/model/machine/world_internal.h"

struct world_processor *world_processor(struct world *world, uint8_t vp)
{
    return &world->processors[world->vps[vp].processor];
}

struct vmmu_x86_tags world_tags_of(const struct world *world, uint8_t tag)
{
    const bool tagged = world->setting.tagged;

    return (struct vmmu_x86_tags){
        .vendor = world->setting.intel ? VMMU_X86_INTEL : VMMU_X86_AMD,
        .tagged = tagged,
        .space = tagged ? tag : 0,
    };
}

struct vmmu_x86_tags world_tags(const struct world *world, uint8_t vp)
{
    return world_tags_of(world, world->processors[world->vps[vp].processor].tag[vp]);
}

static void invalidate(struct world_processor *processor, const struct vmmu_tlb_scopes *scopes)
{
    processor_invalidate(processor->machine, scopes);
}

/* --- cleaning tags --- */

static void clean_tag(struct world *world, struct world_processor *processor, uint8_t tag)
{
    const struct vmmu_x86_invalidation operands = { .type = VMMU_X86_INVVPID_CONTEXT,
                                                    .descriptor = { tag, 0 } };
    struct vmmu_tlb_scopes scopes;
    enum vmmu_status status;

    if (world->setting.intel) {
        status = vmmu_invalidate_invvpid(&world->cpu, &operands, &scopes);
    } else {
        status = vmmu_invalidate_vmrun(tag, VMMU_X86_TLB_CONTROL_ASID, &scopes);
    }
    if (status != VMMU_OK) {
        world_report(world, CHECK_PROGRESS, "no instruction cleans tag %u", tag);
        return;
    }
    invalidate(processor, &scopes);
    processor->soiled[tag] = false;
}

static void clean_all_tags(struct world *world, struct world_processor *processor)
{
    const struct vmmu_x86_invalidation operands = { .type = VMMU_X86_INVVPID_ALL };
    struct vmmu_tlb_scopes scopes;
    enum vmmu_status status;

    if (world->setting.intel) {
        status = vmmu_invalidate_invvpid(&world->cpu, &operands, &scopes);
    } else {
        status = vmmu_invalidate_vmrun(1, VMMU_X86_TLB_CONTROL_ALL, &scopes);
    }
    if (status != VMMU_OK) {
        world_report(world, CHECK_PROGRESS, "no instruction cleans all tags");
        return;
    }
    invalidate(processor, &scopes);
    for (unsigned tag = 0; tag < TAG_LIMIT; tag++) {
        processor->soiled[tag] = false;
    }
}

/* --- dealing tags --- */

static void drop_space(struct world_processor *processor, struct space_tag *space)
{
    if (space->tag != 0) {
        processor->owner[space->tag] = NOBODY;
        *space = (struct space_tag){ .tag = 0 };
    }
}

/* All that the virtual processor has here. */
static void drop_tags(struct world_processor *processor, uint8_t vp)
{
    for (unsigned i = 0; i < SPACES_MOST; i++) {
        drop_space(processor, &processor->spaces[vp][i]);
    }
    processor->tag[vp] = 0;
}

static void drop_tag(struct world_processor *processor, uint8_t tag)
{
    const uint8_t vp = processor->owner[tag];

    for (unsigned i = 0; vp != NOBODY && i < SPACES_MOST; i++) {
        if (processor->spaces[vp][i].tag == tag) {
            drop_space(processor, &processor->spaces[vp][i]);
            processor->tag[vp] = processor->tag[vp] == tag ? 0 : processor->tag[vp];
        }
    }
}

/* The next tag in turn, or, in generations, all of them anew when they have run out. */
static uint8_t next_tag(struct world *world, struct world_processor *processor)
{
    if (processor->next_tag == world->setting.tags) {
        processor->next_tag = 0;
        if (world->generations) {
            for (uint8_t vp = 0; vp < world->setting.vps; vp++) {
                drop_tags(processor, vp);
            }
            clean_all_tags(world, processor);
        }
    }
    return ++processor->next_tag;
}

static uint8_t take_tag(struct world *world, struct world_processor *processor, uint8_t vp)
{
    const uint8_t tag = next_tag(world, processor);

    drop_tag(processor, tag);
    if (processor->soiled[tag]) {
        clean_tag(world, processor, tag);
    }
    processor->owner[tag] = vp;
    processor->soiled[tag] = true;
    return tag;
}

/* --- a tag for each root --- */

/* What the virtual processor is about to run on, if tags tell roots apart. */
static uint64_t root_of(struct world *world, uint8_t vp)
{
    if (world->vps[vp].by_space) {
        return reference_registers(world->reference, vp)->cr3;
    }
    return world->setting.roots > 1 ? world_state(world, vp).mode.root.v : 0;
}

/* Its place for @root: that which it has, else one that is free, else the one that it used least lately. */
static struct space_tag *place_for(const struct world *world, struct world_processor *processor, uint8_t vp,
                                   uint64_t root)
{
    const unsigned most = world->vps[vp].by_space    ? SPACES_MOST
                          : world->setting.roots > 1 ? world->setting.roots
                                                     : 1;
    struct space_tag *const spaces = processor->spaces[vp];
    struct space_tag *oldest = spaces;

    for (unsigned i = 0; i < most; i++) {
        if (spaces[i].tag != 0 && spaces[i].root == root) {
            return &spaces[i];
        }
        oldest = spaces[i].used < oldest->used ? &spaces[i] : oldest;
    }
    drop_space(processor, oldest);
    return oldest;
}

static void use_tag(struct world *world, struct world_processor *processor, uint8_t vp)
{
    const uint64_t root = root_of(world, vp);
    struct space_tag *const space = place_for(world, processor, vp, root);

    if (space->tag == 0) {
        const uint8_t tag = take_tag(world, processor, vp);

        *space = (struct space_tag){ .tag = tag, .root = root };
    }
    space->used = ++processor->turn;
    processor->tag[vp] = space->tag;
}

/* --- a tag for each address space of a guest --- */

void world_keep_spaces(struct world *world, uint8_t vp)
{
    if (is_shadowed(world) || !world->setting.tagged || world->vps[vp].by_space) {
        return;
    }
    for (unsigned i = 0; i < world->setting.processors; i++) {
        world->processors[i].spaces[vp][0].root = reference_registers(world->reference, vp)->cr3;
    }
    world->vps[vp].by_space = true;
}

void world_merge_spaces(struct world *world, uint8_t vp)
{
    for (unsigned i = 0; i < world->setting.processors; i++) {
        struct world_processor *processor = &world->processors[i];
        struct space_tag kept = { .tag = 0 };

        for (unsigned k = 0; k < SPACES_MOST; k++) {
            struct space_tag *const space = &processor->spaces[vp][k];

            if (space->tag != 0 && space->tag == processor->tag[vp]) {
                kept = *space;
                *space = (struct space_tag){ .tag = 0 };
            } else {
                drop_space(processor, space);
            }
        }
        kept.root = 0;
        processor->spaces[vp][0] = kept;
    }
    world->vps[vp].by_space = false;
}

/* --- in and out --- */

/* What the processor does by itself: without VPIDs it starts from nothing. */
static void cross(struct world *world, uint8_t vp)
{
    const struct vmmu_x86_tags tags = world_tags(world, vp);
    const struct vmmu_tlb_scopes scopes = vmmu_invalidate_vm_transition(&tags);

    if (scopes.count != 0) {
        invalidate(world_processor(world, vp), &scopes);
    }
}

void world_exit(struct world *world, uint8_t vp)
{
    world->vps[vp].outside = true;
    cross(world, vp);
}

void world_resume(struct world *world, uint8_t vp)
{
    if (world->vps[vp].outside) {
        if (world->setting.tagged) {
            use_tag(world, world_processor(world, vp), vp);
        }
        world_flush_pending(world, vp);
        cross(world, vp);
        if (world->class->enter) {
            world->class->enter(world->engine, vp);
        }
        world->vps[vp].outside = false;
    }
}

static void leave(struct world *world, struct world_processor *processor)
{
    if (processor->loaded != NOBODY) {
        if (!world->vps[processor->loaded].outside) {
            world_exit(world, processor->loaded);
        }
        processor->loaded = NOBODY;
    }
}

void world_enter(struct world *world, uint8_t vp)
{
    struct world_processor *processor = world_processor(world, vp);

    if (processor->loaded != vp) {
        leave(world, processor);
        if (world->vps[vp].last != world->vps[vp].processor) {
            /* It may have invalidated elsewhere what it had left here. */
            drop_tags(processor, vp);
        }
        processor->loaded = vp;
        world->vps[vp].last = world->vps[vp].processor;
        world->vps[vp].outside = true;
    }
    world_resume(world, vp);
}

bool world_step_migrate(struct world *world, const struct op *op)
{
    const uint8_t to = (uint8_t)(op->value % world->setting.processors);
    struct world_processor *processor = world_processor(world, op->vp);

    if (to == world->vps[op->vp].processor) {
        return false;
    }
    if (processor->loaded == op->vp) {
        leave(world, processor);
    }
    world->vps[op->vp].processor = to;
    return true;
}
