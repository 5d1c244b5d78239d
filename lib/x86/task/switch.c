/*
 * The switch itself. Up to `leave` nothing but memory has changed, and that only once all of it was found to be
 * accessible; what comes behind is the new task's own.
 */
#include "task.h"

#define TSS_LINK      0x00
#define TSS_CR3       0x1C
#define TSS_TRAP      0x64

/* DR7.L0 to L3, and LE. */
#define DR7_LOCAL     UINT64_C(0x155)

/* General registers that a 16-bit TSS cannot hold: software may not count on these halves, processors set them. */
#define UPPER_HALF_16 UINT32_C(0xFFFF0000)

/* SDM 3A "Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)". */
struct layout {
    uint8_t first;  /* offset of the fields that are saved */
    uint8_t stride; /* bytes from one to the next */
    uint8_t fields; /* how many of enum field there are */
    uint8_t ldt;
    uint8_t bytes; /* at least */
};

static const struct layout layouts[2] = {
    { .first = 0x0E, .stride = 2, .fields = FIELD_SELECTOR + 4, .ldt = 0x2A, .bytes = 0x2C },
    { .first = 0x20, .stride = 4, .fields = FIELDS, .ldt = 0x60, .bytes = 0x68 },
};

/* What the new task's TSS holds. */
struct image {
    uint32_t field[FIELDS];
    uint16_t ldt;
    bool trap;
};

static bool is_32bit(const struct vmmu_x86_segment *tss)
{
    return tss->attributes & TYPE_TSS32;
}

static const struct layout *layout_of(const struct vmmu_x86_segment *tss)
{
    return &layouts[is_32bit(tss)];
}

static unsigned saved_bytes(const struct layout *layout)
{
    return layout->fields * (unsigned)layout->stride;
}

/* Whether the old task waits for the new one to return. */
static bool nests(const struct work *work)
{
    return work->request->source == VMMU_X86_TASK_CALL || work->request->source == VMMU_X86_TASK_EVENT;
}

static bool returns(const struct work *work)
{
    return work->request->source == VMMU_X86_TASK_IRET;
}

/* --- the old task --- */

static enum vmmu_status check_new(const struct work *work, struct descriptor *tss)
{
    const uint16_t selector = work->request->selector;
    const uint8_t vector = returns(work) ? VECTOR_TS : VECTOR_GP;
    const unsigned kind = KIND_TSS | (returns(work) ? TYPE_BUSY : 0);
    enum vmmu_status status;

    if (selector & SELECTOR_LOCAL)
        return vmmu_task_raise(work, vector, selector);
    status = vmmu_task_fetch(work, selector, vector, tss);
    if (status != VMMU_OK)
        return status;
    if ((tss->segment.attributes & KIND_MASK & ~TYPE_TSS32) != kind)
        return vmmu_task_raise(work, vector, selector);
    if (!(tss->segment.attributes & PRESENT))
        return vmmu_task_raise(work, VECTOR_NP, selector);
    if (tss->segment.limit < layout_of(&tss->segment)->bytes - 1u)
        return vmmu_task_raise(work, VECTOR_TS, selector);
    return VMMU_OK;
}

/*
 * That the old TSS ends before what is to be saved there no table of the manuals has: an invalid TSS it is all the
 * same.
 */
static enum vmmu_status check_old(const struct work *work)
{
    const struct vmmu_x86_segment *tr = &work->state->system.tr;
    const struct layout *layout = layout_of(tr);

    if (tr->limit < layout->first + saved_bytes(layout) - 1)
        return vmmu_task_raise(work, VECTOR_TS, tr->selector);
    return vmmu_task_probe(work, (uint32_t)tr->base + layout->first, saved_bytes(layout), VMMU_INSN_WRITE);
}

static bool loads_cr3(const struct work *work, const struct descriptor *tss)
{
    return is_32bit(&tss->segment) && (work->state->registers->cr0 & VMMU_X86_CR0_PG);
}

/* The new task's CR3, if it is to be loaded, goes through @machine_does: check_cr3 or load_cr3. */
static enum vmmu_status with_cr3(const struct work *work, const struct descriptor *tss,
                                 enum vmmu_status (*machine_does)(void *context, uint32_t cr3))
{
    uint64_t cr3 = 0;
    enum vmmu_status status;

    if (!loads_cr3(work, tss))
        return VMMU_OK;
    status = vmmu_task_access(work, (uint32_t)tss->segment.base + TSS_CR3, 4, VMMU_INSN_READ, &cr3);
    if (status != VMMU_OK)
        return status;
    status = machine_does(work->machine->memory.context, (uint32_t)cr3);
    return status == VMMU_GUEST_FAULT ? vmmu_task_raise(work, VECTOR_GP, 0) : status;
}

/* All that will be read and written until the commit point. */
static enum vmmu_status check_accessible(const struct work *work, const struct descriptor *tss)
{
    const uint32_t base = (uint32_t)tss->segment.base;
    enum vmmu_status status = check_old(work);

    if (status == VMMU_OK)
        status = vmmu_task_probe(work, base, layout_of(&tss->segment)->bytes, VMMU_INSN_READ);
    if (status == VMMU_OK && nests(work))
        status = vmmu_task_probe(work, base + TSS_LINK, 2, VMMU_INSN_WRITE);
    if (status == VMMU_OK && !nests(work)) {
        status = vmmu_task_probe(work, vmmu_task_gdt_entry(work, work->state->system.tr.selector), 8,
                                 VMMU_INSN_WRITE);
    }
    return status == VMMU_OK ? with_cr3(work, tss, work->machine->check_cr3) : status;
}

/* The old task's EFLAGS as its TSS has them: an instruction that was executed leaves RF clear. */
static uint64_t saved_flags(const struct work *work, uint64_t rflags)
{
    if (work->request->source != VMMU_X86_TASK_EVENT)
        rflags &= ~RFLAGS_RF;
    return returns(work) ? rflags & ~RFLAGS_NT : rflags;
}

/* Of 32-bit TSSs the upper half of what holds a selector stays. */
static enum vmmu_status save(const struct work *work, uint64_t rflags)
{
    const struct vmmu_x86_segment *tr = &work->state->system.tr;
    const struct vmmu_x86_state *registers = work->state->registers;
    const struct layout *layout = layout_of(tr);
    enum vmmu_status status = VMMU_OK;

    for (unsigned i = 0; i < layout->fields && status == VMMU_OK; i++) {
        const uint32_t at = (uint32_t)tr->base + layout->first + i * layout->stride;
        unsigned bytes = layout->stride;
        uint64_t value;

        if (i == FIELD_EIP) {
            value = work->request->next_eip;
        } else if (i == FIELD_EFLAGS) {
            value = saved_flags(work, rflags);
        } else if (i < FIELD_SELECTOR) {
            value = registers->gpr[i - FIELD_GPR];
        } else {
            value = registers->segment[i - FIELD_SELECTOR].selector;
            bytes = 2;
        }
        status = vmmu_task_access(work, at, bytes, VMMU_INSN_WRITE, &value);
    }
    return status;
}

static enum vmmu_status read_image(const struct work *work, const struct descriptor *tss, struct image *image)
{
    const struct layout *layout = layout_of(&tss->segment);
    const uint32_t base = (uint32_t)tss->segment.base;
    enum vmmu_status status = VMMU_OK;
    uint64_t value = 0;

    *image = (struct image){ 0 };
    for (unsigned i = 0; i < layout->fields && status == VMMU_OK; i++) {
        status = vmmu_task_access(work, base + layout->first + i * layout->stride, layout->stride,
                                  VMMU_INSN_READ, &value);
        image->field[i] = (uint32_t)value;
    }
    if (status == VMMU_OK)
        status = vmmu_task_access(work, base + layout->ldt, 2, VMMU_INSN_READ, &value);
    image->ldt = (uint16_t)value;
    if (status == VMMU_OK && is_32bit(&tss->segment)) {
        status = vmmu_task_access(work, base + TSS_TRAP, 1, VMMU_INSN_READ, &value);
        image->trap = value & 1;
    }
    return status;
}

/* The first store is the one that may come too late: another processor may have taken the task. */
static enum vmmu_status mark_busy(const struct work *work, const struct descriptor *tss)
{
    const uint32_t old = vmmu_task_gdt_entry(work, work->state->system.tr.selector);
    enum vmmu_status status = VMMU_OK;

    if (!returns(work))
        status = vmmu_task_claim(work, tss, TYPE_BUSY);
    if (status == VMMU_OK && !nests(work))
        status = vmmu_task_mark(work, old, 0, TYPE_BUSY);
    return status;
}

/* Everything up to the commit point. */
static enum vmmu_status leave(const struct work *work, uint64_t rflags, struct descriptor *tss,
                              struct image *image)
{
    const uint32_t base = (uint32_t)tss->segment.base;
    uint64_t link = work->state->system.tr.selector;
    enum vmmu_status status = mark_busy(work, tss);

    if (status == VMMU_OK)
        status = save(work, rflags);
    if (status == VMMU_OK && nests(work))
        status = vmmu_task_access(work, base + TSS_LINK, 2, VMMU_INSN_WRITE, &link);
    if (status == VMMU_OK)
        status = read_image(work, tss, image);
    return status == VMMU_OK ? with_cr3(work, tss, work->machine->load_cr3) : status;
}

/* --- the new task --- */

static void adopt(const struct work *work, const struct descriptor *tss, const struct image *image)
{
    struct vmmu_x86_task_state *state = work->state;
    struct vmmu_x86_state *registers = state->registers;
    const uint32_t upper = is_32bit(&tss->segment) ? 0 : UPPER_HALF_16;

    registers->rip = image->field[FIELD_EIP];
    registers->rflags = (image->field[FIELD_EFLAGS] & RFLAGS_DEFINED) | RFLAGS_FIXED;
    if (nests(work))
        registers->rflags |= RFLAGS_NT;
    for (unsigned i = 0; i < FIELD_SELECTOR - FIELD_GPR; i++)
        registers->gpr[i] = image->field[FIELD_GPR + i] | upper;
    registers->cr0 |= VMMU_X86_CR0_TS;
    registers->interrupt_shadow = false;
    state->dr7 &= ~DR7_LOCAL;
    state->system.tr = tss->segment;
    state->system.tr.attributes |= TYPE_BUSY;
    state->system.ldtr = (struct vmmu_x86_segment){ .selector = image->ldt };
    vmmu_task_reset_segments(work, &image->field[FIELD_SELECTOR]);
}

/* As PUSH does it, but that it is the event which is at fault. */
static enum vmmu_status push_error_code(const struct work *work)
{
    const struct vmmu_x86_task_request *request = work->request;
    struct vmmu_x86_state *registers = work->state->registers;
    const uint8_t bytes = is_32bit(&work->state->system.tr) ? 4 : 2;
    const struct vmmu_insn push = { .operation = VMMU_INSN_PUSH,
                                    .width = vmmu_insn_mode(registers),
                                    .operand_bytes = bytes,
                                    .source_bytes = bytes,
                                    .source = { .kind = VMMU_INSN_OPERAND_IMMEDIATE },
                                    .immediate = request->error_code };
    const uint64_t rflags = registers->rflags;
    struct vmmu_insn_outcome outcome;
    const enum vmmu_status status = vmmu_insn_perform(&push, registers, &work->machine->memory, &outcome);

    registers->rflags = rflags;
    if (status == VMMU_GUEST_FAULT) {
        *work->fault = outcome.fault;
        if (outcome.fault.vector == VECTOR_SS)
            return vmmu_task_raise(work, VECTOR_SS, 0);
    }
    return status;
}

/* What is left once the new task's registers stand: @cpl and @rflags are its own. */
static enum vmmu_status arrive(const struct work *work, const struct image *image)
{
    struct vmmu_x86_state *registers = work->state->registers;
    const uint64_t rflags = registers->rflags;
    const uint8_t cpl = registers->cpl;
    enum vmmu_status status;

    registers->rflags &= ~RFLAGS_AC;
    registers->cpl = 0;
    status = vmmu_task_load_segments(work, &image->field[FIELD_SELECTOR]);
    registers->rflags = rflags;
    registers->cpl = cpl;
    if (status == VMMU_OK && work->request->has_error_code)
        status = push_error_code(work);
    if (status == VMMU_OK && registers->rip > registers->segment[VMMU_X86_CS].limit)
        status = vmmu_task_raise(work, VECTOR_GP, 0);
    return status;
}

enum vmmu_status
vmmu_x86_task_switch(const struct vmmu_x86_task_request *request, struct vmmu_x86_task_state *state,
                     const struct vmmu_x86_task_machine *machine, struct vmmu_x86_task_outcome *outcome)
{
    const struct work work = { request, state, machine, &outcome->fault };
    struct vmmu_x86_state *registers = state->registers;
    const uint64_t rflags = registers->rflags;
    const uint8_t cpl = registers->cpl;
    struct descriptor tss = { 0 };
    struct image image;
    enum vmmu_status status;

    outcome->switched = outcome->debug_trap = false;
    if (!(registers->cr0 & VMMU_X86_CR0_PE) || (registers->efer & VMMU_X86_EFER_LMA))
        return VMMU_INVALID;
    registers->rflags &= ~RFLAGS_AC;
    registers->cpl = 0;
    status = check_new(&work, &tss);
    if (status == VMMU_OK)
        status = check_accessible(&work, &tss);
    if (status == VMMU_OK)
        status = leave(&work, rflags, &tss, &image);
    if (status != VMMU_OK) {
        registers->rflags = rflags;
        registers->cpl = cpl;
        return status;
    }
    adopt(&work, &tss, &image);
    outcome->switched = true;
    status = arrive(&work, &image);
    outcome->debug_trap = status == VMMU_OK && image.trap;
    return status;
}
