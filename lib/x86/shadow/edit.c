/*
 * Operations: each begins with a place for its plan, and ends by closing it.
 *
 * All flushes are of a whole tag: an entry does not say at which linear addresses its page is linked.
 */
#include "lib/x86/shadow/internal.h"

bool vmmu_shadow_begin(struct shadow_edit *edit, struct vmmu_shadow *shadow)
{
    *edit = (struct shadow_edit){ .shadow = shadow, .state = shadow->state };
    shadow->state->turn++;
    return vmmu_table_ready(shadow->memory);
}

bool vmmu_shadow_is_unsettled(const struct shadow_edit *edit)
{
    return vmmu_table_is_unflushed(edit->shadow->memory, 0, UINT64_MAX, false);
}

bool vmmu_shadow_begin_for(struct shadow_edit *edit, struct vmmu_shadow *shadow, unsigned vp)
{
    const bool ready = vmmu_shadow_begin(edit, shadow);

    edit->owner = shadow->config.private_vps ? (uint8_t)vp : 0;
    return ready;
}

void vmmu_shadow_settle(struct shadow_edit *edit, uint64_t vps)
{
    if (vmmu_shadow_is_unsettled(edit)) {
        edit->flush_vps |= vps;
    }
}

struct vmmu_outcome vmmu_shadow_end(struct shadow_edit *edit, enum vmmu_status status)
{
    struct vmmu_table_memory *const memory = edit->shadow->memory;
    struct vmmu_outcome outcome = { .status = status };

    if (edit->flush_vps == 0 && status == VMMU_FLUSH_RETRY) {
        /* What must be flushed is the plans that earlier operations gave out. */
        vmmu_table_take_over(memory, &outcome.plan);
        return outcome;
    }
    if (edit->flush_vps == 0 && !edit->reserved) {
        return outcome;
    }
    outcome.plan.whole_tag = edit->flush_vps != 0;
    outcome.plan.vps = edit->flush_vps;
    vmmu_table_close(memory, &outcome.plan, edit->resized);
    return outcome;
}
