/*
 * Which results are permitted.
 */
#include "tests/model/machine/reference_internal.h"

/* The walk with nothing cached: what memory and registers give now, marks left alone. */
static struct reference_result fresh_walk(const struct reference *reference,
                                          const struct reference_access *access, bool *marked)
{
    struct vmmu_x86_access observer = access->access;
    struct vmmu_x86_walk_result walk;
    struct reference_result result = { .end = END_FAULTS };

    observer.marks = VMMU_X86_MARKS_LEAVE;
    *marked = true;
    if (vmmu_x86_walk(&reference->vp[access->vp].mode, &reference->ram, (vmmu_gva){ access->address },
                      observer, &walk) != VMMU_OK) {
        result.fault = walk.fault;
        return result;
    }
    result.end = END_REACHES;
    result.gpa = walk.translation.gpa.v;
    for (unsigned i = 0; i < walk.step_count; i++) {
        *marked = *marked && walk.steps[i].marks == 0;
    }
    return result;
}

static bool is_same(const struct reference_result *a, const struct reference_result *b)
{
    if (a->end != b->end) {
        return false;
    }
    if (a->end == END_REACHES) {
        return a->gpa == b->gpa;
    }
    return a->fault.vector == b->fault.vector && a->fault.has_error_code == b->fault.has_error_code &&
           a->fault.error_code == b->fault.error_code && a->fault.cr2 == b->fault.cr2;
}

enum reference_answer reference_judge(struct reference *reference, const struct reference_access *access,
                                      const struct reference_result *result)
{
    bool marked;
    const struct reference_result fresh = fresh_walk(reference, access, &marked);

    if (is_same(&fresh, result)) {
        return marked ? PERMITTED : PERMITTED_BUT_FOR_MARKS;
    }
    return FORBIDDEN;
}

bool reference_may_walk(struct reference *reference, const struct reference_access *access, uint64_t gpa)
{
    struct vmmu_x86_walk_result walk;
    struct vmmu_x86_access observer = access->access;

    observer.marks = VMMU_X86_MARKS_LEAVE;
    walk.step_count = 0;
    if (vmmu_x86_walk(&reference->vp[access->vp].mode, &reference->ram, (vmmu_gva){ access->address },
                      observer, &walk) == VMMU_UNSUPPORTED) {
        return false;
    }
    for (unsigned i = 0; i < walk.step_count; i++) {
        if (walk.steps[i].stage == VMMU_X86_STAGE_GUEST &&
            walk.steps[i].address / VMMU_PAGE_BYTES == gpa / VMMU_PAGE_BYTES) {
            return true;
        }
    }
    return false;
}

unsigned reference_permitted(struct reference *reference, const struct reference_access *access,
                             struct reference_result results[REFERENCE_RESULTS])
{
    bool marked;

    results[0] = fresh_walk(reference, access, &marked);
    return 1;
}

uint64_t reference_page_bytes(const struct reference *reference, unsigned vp, uint64_t address)
{
    /* A fetch by the supervisor or a read by the user may be refused; a translation is there for either. */
    const struct vmmu_x86_mode *now = &reference->vp[vp].mode;
    struct vmmu_x86_mode mode = *now;
    struct vmmu_x86_walk_result walk;

    mode.smap = false;
    mode.user_keys = mode.system_keys = false;
    if (vmmu_x86_walk(&mode, &reference->ram, (vmmu_gva){ address },
                      (struct vmmu_x86_access){ .kind = VMMU_X86_READ }, &walk) != VMMU_OK ||
        mode.paging == VMMU_X86_PAGING_NONE) {
        return VMMU_PAGE_BYTES;
    }
    return walk.translation.page_bytes;
}
