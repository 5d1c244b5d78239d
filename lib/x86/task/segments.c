/*
 * The new task's segments: checked and loaded in its own context, behind the commit point.
 *
 * Spec: SDM 3A "Task Switching", the table of exception conditions checked during a task switch; the order of these
 * checks is the processor model's own.
 */
#include "task.h"

/* Of code that is all there is when the real one could not be loaded: no instruction runs of it. */
#define STAND_IN_CODE  (PRESENT | NOT_SYSTEM | TYPE_CODE | TYPE_WRITABLE | TYPE_ACCESSED)
#define STAND_IN_LIMIT 0xFFFFu

/* SDM 3B "Virtual-8086 Mode": data, writable, accessed, DPL 3. */
#define V8086_RIGHTS   0xF3u

static bool is_v8086(const struct work *work)
{
    return work->state->registers->rflags & RFLAGS_VM;
}

static unsigned new_cpl(const struct work *work, const uint32_t *selectors)
{
    return is_v8086(work) ? 3 : selectors[VMMU_X86_CS] & SELECTOR_RPL;
}

void vmmu_task_reset_segments(const struct work *work, const uint32_t *selectors)
{
    struct vmmu_x86_segment *segments = work->state->registers->segment;
    const unsigned cpl = new_cpl(work, selectors);

    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        segments[i] = (struct vmmu_x86_segment){ .selector = (uint16_t)selectors[i] };
        if (is_v8086(work)) {
            segments[i].base = (uint64_t)segments[i].selector * 16;
            segments[i].limit = 0xFFFF;
            segments[i].attributes = V8086_RIGHTS;
        }
    }
    if (!is_v8086(work)) {
        segments[VMMU_X86_CS].limit = STAND_IN_LIMIT;
        segments[VMMU_X86_CS].attributes = (uint16_t)(STAND_IN_CODE | dpl_bits(cpl));
        segments[VMMU_X86_SS].attributes = dpl_bits(cpl);
        segments[VMMU_X86_SS].selector = (uint16_t)((selectors[VMMU_X86_SS] & ~SELECTOR_RPL) | cpl);
    }
    work->state->registers->cpl = (uint8_t)cpl;
}

static enum vmmu_status load_ldtr(const struct work *work)
{
    struct vmmu_x86_segment *ldtr = &work->state->system.ldtr;
    const uint16_t selector = ldtr->selector;
    struct descriptor found = { 0 };
    enum vmmu_status status;

    if ((selector & ~SELECTOR_RPL) == 0)
        return VMMU_OK;
    if (selector & SELECTOR_LOCAL)
        return vmmu_task_raise(work, VECTOR_TS, selector);
    status = vmmu_task_fetch(work, selector, VECTOR_TS, &found);
    if (status != VMMU_OK)
        return status;
    if ((found.segment.attributes & KIND_MASK) != KIND_LDT || !(found.segment.attributes & PRESENT))
        return vmmu_task_raise(work, VECTOR_TS, selector);
    *ldtr = found.segment;
    return VMMU_OK;
}

/* What may be loaded by type and privilege; P comes later. */
static bool is_code(const struct vmmu_x86_segment *segment, unsigned cpl)
{
    const unsigned kind = segment->attributes & (NOT_SYSTEM | TYPE_CODE);

    if (kind != (NOT_SYSTEM | TYPE_CODE))
        return false;
    return segment->attributes & TYPE_CONFORMING ? dpl_of(segment) <= cpl : dpl_of(segment) == cpl;
}

static bool is_stack(const struct vmmu_x86_segment *segment, unsigned cpl)
{
    const unsigned kind = segment->attributes & (NOT_SYSTEM | TYPE_CODE | TYPE_WRITABLE);

    return kind == (NOT_SYSTEM | TYPE_WRITABLE) && dpl_of(segment) == cpl &&
           (segment->selector & SELECTOR_RPL) == cpl;
}

static bool is_readable(const struct vmmu_x86_segment *segment, unsigned cpl)
{
    const unsigned attributes = segment->attributes;
    const unsigned rpl = segment->selector & SELECTOR_RPL;

    if (!(attributes & NOT_SYSTEM) || (attributes & (TYPE_CODE | TYPE_WRITABLE)) == TYPE_CODE)
        return false;
    if ((attributes & (TYPE_CODE | TYPE_CONFORMING)) == (TYPE_CODE | TYPE_CONFORMING))
        return true;
    return dpl_of(segment) >= cpl && dpl_of(segment) >= rpl;
}

static bool may_hold(enum vmmu_x86_segment_name name, const struct vmmu_x86_segment *segment, unsigned cpl)
{
    if (name == VMMU_X86_CS)
        return is_code(segment, cpl);
    return name == VMMU_X86_SS ? is_stack(segment, cpl) : is_readable(segment, cpl);
}

static enum vmmu_status load_segment(const struct work *work, enum vmmu_x86_segment_name name,
                                     const uint32_t *selectors)
{
    const uint16_t selector = (uint16_t)selectors[name];
    struct descriptor found = { 0 };
    enum vmmu_status status;

    if ((selector & ~SELECTOR_RPL) == 0 && name != VMMU_X86_CS && name != VMMU_X86_SS)
        return VMMU_OK;
    status = vmmu_task_fetch(work, selector, VECTOR_TS, &found);
    if (status != VMMU_OK)
        return status;
    if (!may_hold(name, &found.segment, new_cpl(work, selectors)))
        return vmmu_task_raise(work, VECTOR_TS, selector);
    if (!(found.segment.attributes & PRESENT))
        return vmmu_task_raise(work, name == VMMU_X86_SS ? VECTOR_SS : VECTOR_NP, selector);
    status = vmmu_task_mark(work, found.at, TYPE_ACCESSED, 0);
    if (status != VMMU_OK)
        return status;
    found.segment.attributes |= TYPE_ACCESSED;
    work->state->registers->segment[name] = found.segment;
    return VMMU_OK;
}

/* CS before SS, which is checked against it. */
enum vmmu_status vmmu_task_load_segments(const struct work *work, const uint32_t *selectors)
{
    static const uint8_t order[VMMU_X86_SEGMENTS] = { VMMU_X86_CS, VMMU_X86_SS, VMMU_X86_ES,
                                                      VMMU_X86_DS, VMMU_X86_FS, VMMU_X86_GS };
    enum vmmu_status status = load_ldtr(work);

    for (unsigned i = 0; i < VMMU_X86_SEGMENTS && status == VMMU_OK && !is_v8086(work); i++)
        status = load_segment(work, (enum vmmu_x86_segment_name)order[i], selectors);
    return status;
}
