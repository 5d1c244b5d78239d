/*
 * A second stage over the whole of a guest's memory. It is made once and never edited: no plan asks for a flush.
 */
#include "tools/engine/nested.h"

#include <stdlib.h>

#include "tools/engine/host.h"

struct engine_nested {
    struct engine_host host;
    struct vmmu_nested nested;
    struct vmmu_x86_stage2 second;
};

/* Tables that @memory may take: for each range a table more at each end of each level. */
static uint64_t tables_at_most(const struct engine_memory *memory, uint8_t largest_level)
{
    unsigned count;
    const struct image_range *ranges = engine_memory_ranges(memory, &count);
    uint64_t pages = 8;

    for (unsigned i = 0; i < count; i++) {
        const uint64_t bytes = ranges[i].size_bytes;

        pages += 8 + bytes / VMMU_1G_BYTES + bytes / (VMMU_1G_BYTES * 512);
        pages += largest_level == VMMU_NESTED_LEVEL_4K ? bytes / VMMU_2M_BYTES : 0;
    }
    return pages;
}

static bool map_range(struct engine_nested *nested, const struct image_range *range)
{
    const struct vmmu_nested_mapping mapping = {
        .gpa = { range->base },
        .hpa = { range->base + ENGINE_GUEST_AT },
        .size_bytes = range->size_bytes,
        .rights = VMMU_X86_RIGHTS_ALL,
        .type = VMMU_X86_TYPE_WB,
    };

    return vmmu_nested_map(&nested->nested, &mapping).status == VMMU_OK;
}

static bool map_all(struct engine_nested *nested, struct complaint *complaint)
{
    unsigned count;
    const struct image_range *ranges = engine_memory_ranges(nested->host.memory, &count);

    for (unsigned i = 0; i < count; i++) {
        if (!map_range(nested, &ranges[i])) {
            return complain(complaint, "no second stage can map the memory at %#llx",
                            (unsigned long long)ranges[i].base);
        }
    }
    return true;
}

static enum vmmu_status describe(struct engine_nested *nested, const struct vmmu_nested_config *config)
{
    const struct vmmu_x86_limits limits = { .physical_bits = ENGINE_PHYSICAL_BITS,
                                            .nx = true,
                                            .gib_pages = true };
    const uint64_t root = vmmu_nested_root(&nested->nested);

    if (config->format == VMMU_NESTED_EPT) {
        return vmmu_stage2_ept(root, &limits, &nested->host.machine, &nested->second);
    }
    return vmmu_stage2_npt(config->levels == 5 ? VMMU_X86_FORMAT_5LEVEL : VMMU_X86_FORMAT_4LEVEL, &limits,
                           &nested->host.machine, (vmmu_hpa){ root }, &nested->second);
}

static bool build(struct engine_nested *nested, const struct vmmu_nested_config *config,
                  struct complaint *complaint)
{
    if (vmmu_nested_init(&nested->nested, config, &nested->host.tables) != VMMU_OK) {
        return complain(complaint, "no second stage can be made with these options");
    }
    if (!map_all(nested, complaint)) {
        vmmu_nested_destroy(&nested->nested);
        return false;
    }
    if (describe(nested, config) != VMMU_OK) {
        vmmu_nested_destroy(&nested->nested);
        return complain(complaint, "no processor accepts the second stage that was built");
    }
    return true;
}

struct engine_nested *engine_nested_open(struct engine_memory *memory,
                                         const struct engine_nested_options *options,
                                         struct complaint *complaint)
{
    const struct vmmu_nested_config config = {
        .format = options->format,
        .levels = options->levels ? options->levels : 4,
        .maxphyaddr = ENGINE_PHYSICAL_BITS,
        .largest_level = options->largest_level ? options->largest_level : VMMU_NESTED_LEVEL_1G,
        .accessed_dirty = options->accessed_dirty,
        .pat = VMMU_X86_PAT_AT_RESET,
        .vps = 1,
    };
    struct engine_nested *nested = take_memory(1, sizeof *nested);

    if (!engine_host_open(&nested->host, memory, tables_at_most(memory, config.largest_level), complaint)) {
        free(nested);
        return NULL;
    }
    if (!build(nested, &config, complaint)) {
        engine_host_close(&nested->host);
        free(nested);
        return NULL;
    }
    return nested;
}

const struct vmmu_x86_stage2 *engine_nested_second(const struct engine_nested *nested)
{
    return &nested->second;
}

uint32_t engine_nested_table_pages(const struct engine_nested *nested)
{
    return nested->host.tables.counters.held_pages;
}

const struct vmmu_nested_counters *engine_nested_counters(const struct engine_nested *nested)
{
    return &nested->nested.counters;
}

void engine_nested_close(struct engine_nested *nested)
{
    if (!nested) {
        return;
    }
    vmmu_nested_destroy(&nested->nested);
    engine_host_close(&nested->host);
    free(nested);
}
