/*
 * What the hypervisor built for a partition: its second stage, or its shadow pages.
 */
#include "tools/image/partition_parts.h"

#define WIDTH_LEAST 32
#define WIDTH_MOST  52

enum second_kind {
    SECOND_NPT,
    SECOND_EPT,
};

/*
 * All that a processor can offer is allowed for: what the hypervisor built was accepted by one, and the document does not say
 * which.
 */
static struct vmmu_x86_limits limits_of(uint64_t width)
{
    return (struct vmmu_x86_limits){
        .physical_bits = (uint8_t)width, .nx = true, .pse36 = true, .gib_pages = true, .execute_only = true
    };
}

static bool make_npt(struct state_place *place, struct json_object *object,
                     const struct vmmu_x86_limits *limits, struct partition *partition)
{
    static const enum vmmu_x86_format_name formats[] = { VMMU_X86_FORMAT_32BIT_PSE, VMMU_X86_FORMAT_PAE,
                                                         VMMU_X86_FORMAT_4LEVEL, VMMU_X86_FORMAT_5LEVEL };
    uint64_t root;
    uint64_t levels;

    if (!state_number(place, object, "root", UINT64_MAX, &root) ||
        !state_number(place, object, "levels", VMMU_X86_MAX_LEVELS, &levels)) {
        return false;
    }
    if (levels < 2)
        return complain(place->complaint, "\"levels\" of the second stage of %s is below 2", place->words);
    if (vmmu_stage2_npt(formats[levels - 2], limits, &partition->image->ram, (vmmu_hpa){ root },
                        &partition->second) != VMMU_OK) {
        return complain(place->complaint, "no processor takes 0x%llx as the root of the second stage of %s",
                        (unsigned long long)root, place->words);
    }
    return true;
}

static bool make_ept(struct state_place *place, struct json_object *object,
                     const struct vmmu_x86_limits *limits, struct partition *partition)
{
    uint64_t eptp;

    if (!state_number(place, object, "eptp", UINT64_MAX, &eptp))
        return false;
    if (vmmu_stage2_ept(eptp, limits, &partition->image->ram, &partition->second) != VMMU_OK) {
        return complain(place->complaint, "no processor takes 0x%llx as the EPTP of %s",
                        (unsigned long long)eptp, place->words);
    }
    return true;
}

bool partition_take_second(struct state_place *place, struct json_object *object,
                           struct partition_opened *opened)
{
    static const char *const kinds[] = { [SECOND_NPT] = "npt", [SECOND_EPT] = "ept", NULL };
    struct json_object *second;
    struct vmmu_x86_limits limits;
    uint64_t width;
    unsigned kind;

    if (!state_object(place, object, "second", &second) || !state_word(place, second, "kind", kinds, &kind) ||
        !state_number(place, second, "maxphyaddr", WIDTH_MOST, &width)) {
        return false;
    }
    if (width < WIDTH_LEAST) {
        return complain(place->complaint, "\"maxphyaddr\" of the second stage of %s is below %u",
                        place->words, WIDTH_LEAST);
    }
    limits = limits_of(width);
    opened->partition.has_second = true;
    if (kind == SECOND_NPT)
        return make_npt(place, second, &limits, &opened->partition);
    return make_ept(place, second, &limits, &opened->partition);
}

static bool take_table(struct state_place *place, struct json_object *object, struct partition_table *table)
{
    static const char *const kinds[] = { "ours", "open", "closing", "closed", NULL };
    uint64_t level;
    unsigned kind;

    if (!state_number(place, object, "hpa", IMAGE_ADDRESS_LIMIT - 1, &table->hpa) ||
        !state_number(place, object, "gpa", IMAGE_ADDRESS_LIMIT - 1, &table->gpa) ||
        !state_number(place, object, "level", VMMU_X86_MAX_LEVELS, &level) ||
        !state_word(place, object, "kind", kinds, &kind)) {
        return false;
    }
    if (level == 0 || !vmmu_is_aligned(table->hpa, VMMU_PAGE_BYTES)) {
        return complain(place->complaint, "the shadow page at 0x%llx of %s has no level, or is not a page",
                        (unsigned long long)table->hpa, place->words);
    }
    table->level = (uint8_t)level;
    table->ours = kind == 0;
    table->closed =
        kind >= 2; /* processors may not know of a closing one yet: it is write-protected all the same */
    return true;
}

bool partition_take_tables(struct state_place *place, struct json_object *object,
                           struct partition_opened *opened)
{
    struct partition *const partition = &opened->partition;
    struct json_object *array;

    if (!state_array(place, object, "tables", &array))
        return false;
    partition->table_count = (unsigned)json_object_array_length(array);
    partition->tables = take_memory(partition->table_count, sizeof(*partition->tables));
    for (unsigned i = 0; i < partition->table_count; i++) {
        if (!take_table(place, json_object_array_get_idx(array, i), &partition->tables[i]))
            return false;
    }
    return true;
}
