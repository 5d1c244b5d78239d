/*
 * What the reference's tables say of an address now: where an access would go, and which pages it would use.
 */
#include "tests/model/machine/generate_internal.h"

static enum vmmu_status reference_ram_load(void *context, uint64_t address, unsigned width_bytes,
                                           uint64_t *value)
{
    if (!guest_has_memory(address)) {
        return VMMU_ABSENT;
    }
    *value = reference_load(context, address, width_bytes);
    return VMMU_OK;
}

static enum vmmu_status reference_ram_exchange(void *context, uint64_t address, unsigned width_bytes,
                                               uint64_t expected, uint64_t desired)
{
    (void)context, (void)address, (void)width_bytes, (void)expected, (void)desired;
    return VMMU_ABSENT; /* walks that mark nothing never come here */
}

bool generate_walk(struct generator *generator, unsigned vp, uint64_t address, struct vmmu_x86_access access,
                   struct vmmu_x86_walk_result *walk)
{
    struct reference *reference = world_reference(generator->world);
    const struct vmmu_ram ram = { reference, reference_ram_load, reference_ram_exchange };

    access.marks = VMMU_X86_MARKS_LEAVE;
    walk->step_count = 0;
    return vmmu_x86_walk(reference_mode(reference, vp), &ram, (vmmu_gva){ address }, access, walk) == VMMU_OK;
}

bool generate_used_page(struct generator *generator, uint64_t *gpa)
{
    struct luck *luck = &generator->luck;
    const unsigned vp = luck_below(luck, world_setting(generator->world)->vps);
    const uint64_t address = generator->recent[luck_below(luck, RECENT)];
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ };
    struct vmmu_x86_walk_result walk;
    const bool reaches = generate_walk(generator, vp, address, access, &walk);

    generator->recent[0] = address;
    if (walk.step_count != 0 && (!reaches || luck_once_in(luck, 2))) {
        const struct vmmu_x86_step *step = &walk.steps[luck_below(luck, walk.step_count)];

        *gpa = step->address;
        return step->stage == VMMU_X86_STAGE_GUEST && guest_has_memory(step->address);
    }
    *gpa = reaches ? walk.translation.gpa.v : 0;
    return reaches && guest_has_memory(*gpa);
}
