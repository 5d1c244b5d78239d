/*
 * The two-dimensional walk: the guest's walk, with each table access and the final access
 * behind the second stage.
 *
 * The guest's own faults come before the second stage's word on the final access, and after
 * its word on every table.
 */
#include "descend.h"

enum vmmu_status vmmu_x86_walk_nested(const struct vmmu_x86_mode *mode, const struct vmmu_x86_stage2 *stage2,
                                      vmmu_gva va, struct vmmu_x86_access access,
                                      struct vmmu_x86_nested_result *out)
{
    struct trail trail = { .first = out->steps,
                           .next = out->steps,
                           .end = out->steps + VMMU_X86_NESTED_STEPS };
    const struct guest_walk guest = {
        .mode = mode,
        .ram = stage2->ram,
        .behind = stage2,
        .refusal = &out->stage2_fault,
        .trail = &trail,
        .access = access,
        .translation = &out->guest,
        .fault = &out->fault,
    };
    const struct second_walk final = {
        .stage2 = stage2,
        .trail = &trail,
        .access = { .kind = access.kind, .marks = access.marks },
        .linear = true,
        .translation = &out->host,
        .fault = &out->stage2_fault,
    };
    enum vmmu_status status = vmmu_walk_guest(&guest, va);

    if (status == VMMU_OK) {
        status = vmmu_walk_second(&final, out->guest.gpa);
    }
    if (status == VMMU_OK && access.marks == VMMU_X86_MARKS_ON_SUCCESS) {
        status = vmmu_walk_settle(&trail, stage2->ram);
    }
    out->step_count = trail_count(&trail);
    out->loads = (uint8_t)(out->step_count - trail.registers);
    return status;
}
