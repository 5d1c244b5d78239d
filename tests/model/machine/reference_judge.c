/*
 * Which results are permitted.
 */
#include "tests/model/machine/reference_search.h"

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

struct reference_result reference_fresh(const struct reference *reference,
                                        const struct reference_access *access)
{
    bool marked;

    return fresh_walk(reference, access, &marked);
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

static bool is_wanted(void *context, const struct reference_result *result)
{
    return is_same(context, result);
}

/* Whether what is cached may play a part at all. */
static bool may_be_stale(const struct reference *reference, const struct reference_access *access)
{
    const struct vmmu_x86_mode *mode = &reference->vp[access->vp].mode;

    return mode->paging != VMMU_X86_PAGING_NONE &&
           vmmu_walk_is_canonical(mode, (vmmu_gva){ access->address });
}

static enum search_end search_for(const struct reference *reference, const struct reference_access *access,
                                  const struct reference_result *result, bool marks_missing)
{
    struct reference_result wanted = *result;
    const struct search_goal goal = { .found = is_wanted,
                                      .context = &wanted,
                                      .marks_missing = marks_missing };

    return reference_search(reference, access, &goal);
}

enum reference_answer reference_judge(struct reference *reference, const struct reference_access *access,
                                      const struct reference_result *result)
{
    bool marked;
    const struct reference_result fresh = fresh_walk(reference, access, &marked);
    const bool now = is_same(&fresh, result);

    if (now && marked) {
        return PERMITTED;
    }
    if (!may_be_stale(reference, access)) {
        return now ? PERMITTED : FORBIDDEN;
    }
    const enum search_end end = search_for(reference, access, result, false);

    if (end == SEARCH_GAVE_UP) {
        reference->given_up++;
    }
    if (end != SEARCH_EXHAUSTED) {
        return PERMITTED;
    }
    /* A fault needs no marks. */
    if (now || (result->end == END_REACHES && search_for(reference, access, result, true) == SEARCH_FOUND)) {
        return PERMITTED_BUT_FOR_MARKS;
    }
    return FORBIDDEN;
}

bool reference_finds(struct reference *reference, const struct reference_access *access,
                     const struct reference_result *result)
{
    /* Without tables there is nothing to search; nor are faults searched for where memory must confirm them. */
    return !may_be_stale(reference, access) || (result->end == END_FAULTS && !reference->intel) ||
           search_for(reference, access, result, true) != SEARCH_EXHAUSTED;
}

bool reference_may_walk(struct reference *reference, const struct reference_access *access, uint64_t gpa)
{
    const struct search_goal goal = { .table_wanted = true, .table = gpa };

    if (!may_be_stale(reference, access)) {
        return false;
    }
    const enum search_end end = reference_search(reference, access, &goal);

    if (end == SEARCH_GAVE_UP) {
        reference->given_up++;
    }
    return end != SEARCH_EXHAUSTED;
}

struct collection {
    struct reference_result *results;
    unsigned count;
};

static bool collect(void *context, const struct reference_result *result)
{
    struct collection *collection = context;

    for (unsigned i = 0; i < collection->count; i++) {
        if (is_same(&collection->results[i], result)) {
            return false;
        }
    }
    collection->results[collection->count++] = *result;
    return collection->count == REFERENCE_RESULTS;
}

unsigned reference_permitted(struct reference *reference, const struct reference_access *access,
                             struct reference_result results[REFERENCE_RESULTS])
{
    struct collection collection = { results, 0 };
    const struct search_goal goal = { .found = collect, .context = &collection, .marks_missing = true };
    bool marked;
    const struct reference_result fresh = fresh_walk(reference, access, &marked);

    (void)collect(&collection, &fresh);
    if (may_be_stale(reference, access)) {
        (void)reference_search(reference, access, &goal);
    }
    return collection.count;
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
