/*
 * The two-dimensional walk: each access through second stages that differ in the size of their pages, and through the
 * dump's own.
 */
#include "tools/explain/story.h"

/* Guest memory beyond this has no table made for each 4 KiB: it would take longer than anybody waits. */
#define MOST_BYTES_IN_4K UINT64_C(0x400000000)

static const struct {
    const char *words;
    uint8_t largest_level;
} sizes[STORY_STAGES] = {
    [STORY_OWN] = { "this hypervisor's own", 0 },
    [STORY_4K] = { "4 KiB pages only", VMMU_NESTED_LEVEL_4K },
    [STORY_2M] = { "2 MiB where they fit", VMMU_NESTED_LEVEL_2M },
    [STORY_1G] = { "1 GiB where they fit", VMMU_NESTED_LEVEL_1G },
};

static void walk_piece(const struct story *story, const struct vmmu_x86_stage2 *second, unsigned piece,
                       struct story_nested_walk *walk)
{
    const struct vmmu_x86_access access = story_access(story, piece);
    struct vmmu_x86_nested_result result;

    walk->status = vmmu_x86_walk_nested(&story->machine->mode, second,
                                        (vmmu_gva){ story->list.pieces[piece].linear }, access, &result);
    walk->loads = result.loads;
    for (unsigned i = 0; i < result.step_count; i++) {
        walk->of_guest += result.steps[i].stage == VMMU_X86_STAGE_GUEST;
    }
    if (walk->status == VMMU_OK) {
        walk->page_bytes = result.host.page_bytes;
        walk->hpa = result.host.hpa.v;
    } else if (walk->status == VMMU_STAGE2) {
        walk->fault = result.stage2_fault;
    }
}

static void walk_all(const struct story *story, const struct vmmu_x86_stage2 *second,
                     struct story_nested *nested)
{
    nested->there = true;
    nested->levels = vmmu_format_of(&second->layout)->levels;
    for (unsigned i = 0; i < story->reached; i++) {
        if (access_of(story, i)->refused != 0) {
            continue;
        }
        walk_piece(story, second, i, &nested->walks[i]);
        nested->loads += nested->walks[i].loads;
        if (nested->walks[i].status != VMMU_OK) {
            return;
        }
    }
}

static uint64_t memory_bytes(const struct engine_memory *memory)
{
    unsigned count;
    const struct image_range *ranges = engine_memory_ranges(memory, &count);
    uint64_t bytes = 0;

    for (unsigned i = 0; i < count; i++) {
        bytes += ranges[i].size_bytes;
    }
    return bytes;
}

static void build(struct story *story, struct engine_memory *memory, unsigned stage)
{
    const struct engine_nested_options options = {
        .format = story->amd ? VMMU_NESTED_NPT : VMMU_NESTED_EPT,
        .largest_level = sizes[stage].largest_level,
        .accessed_dirty = true,
    };
    struct story_nested *nested = &story->nested[stage];
    struct engine_nested *engine;

    if (stage == STORY_4K && memory_bytes(memory) > MOST_BYTES_IN_4K) {
        complain(&nested->why_not, "left out: so much memory takes too many entries of 4 KiB");
        return;
    }
    engine = engine_nested_open(memory, &options, &nested->why_not);
    if (!engine) {
        return;
    }
    nested->has_tables = true;
    nested->table_pages = engine_nested_table_pages(engine);
    for (unsigned i = 0; i < 3; i++) {
        nested->leaves[i] = engine_nested_counters(engine)->leaves[i];
    }
    walk_all(story, engine_nested_second(engine), nested);
    engine_nested_close(engine);
}

void story_tell_nested(struct story *story)
{
    const struct machine *machine = story->machine;
    struct engine_memory *memory = engine_memory_over(machine->ram, machine->ranges, machine->range_count);

    for (unsigned i = 0; i < STORY_STAGES; i++) {
        story->nested[i].words = sizes[i].words;
        if (i != STORY_OWN) {
            build(story, memory, i);
        } else if (machine->has_second) {
            walk_all(story, &machine->second, &story->nested[i]);
        } else {
            complain(&story->nested[i].why_not, "the image has no second stage");
        }
    }
    engine_memory_free(memory);
}
