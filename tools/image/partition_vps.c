/*
 * What a partition's virtual processors offer, and their registers.
 */
#include <stddef.h>
#include <stdio.h>

#include "tools/image/partition_parts.h"

/* Members of struct vmmu_x86_cpu that are flags, by name. */
#define FLAG(member)                                                                                         \
    {                                                                                                        \
#member, offsetof(struct vmmu_x86_cpu, member)                                                       \
    }

static const struct cpu_flag {
    const char *name;
    size_t offset;
} cpu_flags[] = {
    FLAG(pse),  FLAG(pse36), FLAG(pae),  FLAG(pge), FLAG(nx),  FLAG(long_mode), FLAG(gib_pages),
    FLAG(la57), FLAG(smep),  FLAG(smap), FLAG(pku), FLAG(pks), FLAG(pcid),      FLAG(bit8_reserved),
};

#define MAXPHYADDR_LEAST 32
#define MAXPHYADDR_MOST  52

bool partition_take_cpu(struct state_place *place, struct json_object *object, struct vmmu_x86_cpu *cpu)
{
    uint64_t width;

    if (!state_number(place, object, "maxphyaddr", MAXPHYADDR_MOST, &width))
        return false;
    if (width < MAXPHYADDR_LEAST)
        return complain(place->complaint, "\"maxphyaddr\" of %s is below %u", place->words, MAXPHYADDR_LEAST);
    cpu->maxphyaddr = (uint8_t)width;
    for (unsigned i = 0; i < sizeof(cpu_flags) / sizeof(cpu_flags[0]); i++) {
        bool *const flag = (bool *)((char *)cpu + cpu_flags[i].offset);

        if (!state_flag(place, object, cpu_flags[i].name, flag))
            return false;
    }
    return state_number(place, object, "cr4_others", UINT64_MAX, &cpu->cr4_others) &&
           state_number(place, object, "efer_others", UINT64_MAX, &cpu->efer_others);
}

static bool take_paging(struct state_place *place, struct json_object *object,
                        struct image_processor *processor)
{
    struct vmmu_x86_paging_registers *const paging = &processor->paging;
    uint64_t user_keys;
    uint64_t system_keys;

    if (!state_number(place, object, "cr0", UINT64_MAX, &paging->cr0) ||
        !state_number(place, object, "cr3", UINT64_MAX, &paging->cr3) ||
        !state_number(place, object, "cr4", UINT64_MAX, &paging->cr4) ||
        !state_number(place, object, "efer", UINT64_MAX, &paging->efer) ||
        !state_number(place, object, "pat", UINT64_MAX, &processor->pat) ||
        !state_numbers(place, object, "pdpte", 4, paging->pdpte) ||
        !state_flag(place, object, "pdpte_in_memory", &paging->pdpte_in_memory) ||
        !state_number(place, object, "pkru", UINT32_MAX, &user_keys) ||
        !state_number(place, object, "pkrs", UINT32_MAX, &system_keys)) {
        return false;
    }
    paging->pkru = (uint32_t)user_keys;
    paging->pkrs = (uint32_t)system_keys;
    return true;
}

static bool take_segment(struct state_place *place, struct json_object *object,
                         struct vmmu_x86_segment *segment)
{
    uint64_t selector;
    uint64_t limit;
    uint64_t attributes;

    if (!state_number(place, object, "selector", UINT16_MAX, &selector) ||
        !state_number(place, object, "base", UINT64_MAX, &segment->base) ||
        !state_number(place, object, "limit", UINT32_MAX, &limit) ||
        !state_number(place, object, "attributes", UINT16_MAX, &attributes)) {
        return false;
    }
    segment->selector = (uint16_t)selector;
    segment->limit = (uint32_t)limit;
    segment->attributes = (uint16_t)attributes;
    return true;
}

static bool take_registers(struct state_place *place, struct json_object *object,
                           struct image_processor *processor)
{
    struct vmmu_x86_state *const state = &processor->state;
    struct json_object *segments;
    uint64_t privilege;

    if (!state_numbers(place, object, "gpr", VMMU_X86_GPRS, state->gpr) ||
        !state_number(place, object, "rip", UINT64_MAX, &state->rip) ||
        !state_number(place, object, "rflags", UINT64_MAX, &state->rflags) ||
        !state_number(place, object, "cpl", 3, &privilege) ||
        !state_flag(place, object, "interrupt_shadow", &state->interrupt_shadow) ||
        !state_array(place, object, "segments", &segments)) {
        return false;
    }
    if (json_object_array_length(segments) != VMMU_X86_SEGMENTS)
        return complain(place->complaint, "\"segments\" of %s are not %u", place->words, VMMU_X86_SEGMENTS);
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        if (!take_segment(place, json_object_array_get_idx(segments, i), &state->segment[i]))
            return false;
    }
    state->cpl = (uint8_t)privilege;
    state->cr0 = processor->paging.cr0;
    state->cr4 = processor->paging.cr4;
    state->efer = processor->paging.efer;
    return true;
}

static bool take_shadow(struct state_place *place, struct json_object *object, struct partition_vp *vp)
{
    static const char *const words[] = { "pae", "4level", "5level", NULL };
    static const enum vmmu_x86_format_name formats[] = { VMMU_X86_FORMAT_PAE, VMMU_X86_FORMAT_4LEVEL,
                                                         VMMU_X86_FORMAT_5LEVEL };
    struct json_object *shadow;
    unsigned word;

    if (!state_object(place, object, "shadow", &shadow) ||
        !state_number(place, shadow, "cr3", UINT64_MAX, &vp->shadow_cr3) ||
        !state_word(place, shadow, "format", words, &word)) {
        return false;
    }
    vp->has_shadow = true;
    vp->shadow_format = formats[word];
    return true;
}

static bool take_vp(struct state_place *place, struct json_object *object, struct partition_opened *opened,
                    struct partition_vp *vp)
{
    struct image_processor *const processor = &vp->processor;
    uint64_t tag;

    if (!state_number(place, object, "tag", UINT16_MAX, &tag) || !take_paging(place, object, processor) ||
        !take_registers(place, object, processor)) {
        return false;
    }
    vp->tag = (uint16_t)tag;
    processor->cpu = opened->cpu;
    processor->has_cpu = true;
    processor->has_paging = true;
    processor->has_registers = true;
    return opened->partition.technique != PARTITION_SHADOW ||
           !json_object_object_get_ex(object, "shadow", NULL) || take_shadow(place, object, vp);
}

bool partition_take_vps(struct state_place *place, struct json_object *object,
                        struct partition_opened *opened)
{
    struct partition *const partition = &opened->partition;
    struct json_object *array;

    if (!state_array(place, object, "vps", &array))
        return false;
    partition->vp_count = (unsigned)json_object_array_length(array);
    partition->vps = take_memory(partition->vp_count, sizeof(*partition->vps));
    for (unsigned i = 0; i < partition->vp_count; i++) {
        struct state_place here = { .complaint = place->complaint };

        (void)snprintf(here.words, sizeof(here.words), "VP %u of %.64s", i, place->words);
        if (!take_vp(&here, json_object_array_get_idx(array, i), opened, &partition->vps[i]))
            return false;
    }
    return true;
}
