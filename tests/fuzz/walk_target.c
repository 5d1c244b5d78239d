/*
 * The walk of a guest's own tables: any registers, tables that link to each other, races.
 *
 * One input is a processor, its paging registers, memory, and some accesses. Each access is walked without
 * marks, with both kinds of marks, by the observer's walk, and while the guest writes its tables.
 */
#include <vmmu/walk.h>

#include "input.h"
#include "memory.h"
#include "paging.h"
#include "walk_reference.h"

#define ACCESSES 4

/* One access under test. */
struct trial {
    struct vmmu_x86_cpu cpu;
    struct vmmu_x86_paging_registers registers;
    struct vmmu_x86_mode mode;
    vmmu_gva va;
    struct vmmu_x86_access access;
};

/* A walk, and what came of it. */
struct walked {
    struct memory memory;
    struct vmmu_x86_walk_result out;
    enum vmmu_status status;
};

static void walk(const struct trial *trial, const struct memory *memory, enum vmmu_x86_marks marks,
                 struct walked *walked)
{
    struct vmmu_x86_access access = trial->access;

    access.marks = marks;
    memcpy(&walked->memory, memory, sizeof(*memory));
    memset(&walked->out, 0, sizeof(walked->out));
    const struct vmmu_ram ram = memory_ram(&walked->memory);

    walked->status = vmmu_x86_walk(&trial->mode, &ram, trial->va, access, &walked->out);
}

static uint64_t linear_of(const struct trial *trial)
{
    return trial->mode.address_bits == 32 ? trial->va.v & UINT32_MAX : trial->va.v;
}

/* SDM 3A "Page-Fault Exceptions". */
static void check_fault(const struct trial *trial, const struct vmmu_x86_fault *fault)
{
    const struct vmmu_x86_access access = trial->access;
    const uint32_t code = fault->error_code;

    FUZZ_CHECK(fault->has_error_code);
    if (!vmmu_walk_is_canonical(&trial->mode, trial->va)) {
        FUZZ_CHECK(fault->vector == VMMU_X86_VECTOR_GP && code == 0);
        return;
    }
    FUZZ_CHECK(fault->vector == VMMU_X86_VECTOR_PF && fault->cr2 == linear_of(trial));
    FUZZ_CHECK(((code & VMMU_X86_PF_WRITE) != 0) == (access.kind == VMMU_X86_WRITE));
    FUZZ_CHECK(((code & VMMU_X86_PF_USER) != 0) == (access.user && !access.implicit));
    FUZZ_CHECK(((code & VMMU_X86_PF_FETCH) != 0) ==
               (access.kind == VMMU_X86_EXECUTE && trial->mode.fetch_code));
    FUZZ_CHECK((code & VMMU_X86_PF_PRESENT) || !(code & (VMMU_X86_PF_RESERVED | VMMU_X86_PF_KEY)));
    FUZZ_CHECK(!(code & VMMU_X86_PF_RESERVED) || !(code & VMMU_X86_PF_KEY));
    FUZZ_CHECK(!(code & VMMU_X86_PF_KEY) || access.kind != VMMU_X86_EXECUTE);
    FUZZ_CHECK((code & ~UINT32_C(0x3F)) == 0);
}

static void check_translation(const struct trial *trial, const struct vmmu_x86_walk_result *out)
{
    const struct vmmu_x86_translation *found = &out->translation;

    FUZZ_CHECK(found->gpa.v - found->frame.v == (linear_of(trial) & (found->page_bytes - 1)));
    FUZZ_CHECK(vmmu_is_aligned(found->frame.v, found->page_bytes));
    FUZZ_CHECK(found->key < 16 && found->pat_index < 8);
    FUZZ_CHECK(vmmu_walk_judge(&trial->mode, trial->access, found->rights, found->key) == 0);
    if (trial->mode.paging == VMMU_X86_PAGING_NONE) {
        FUZZ_CHECK(found->gpa.v == linear_of(trial) && out->step_count == 0 && out->loads == 0);
        return;
    }
    FUZZ_CHECK((found->gpa.v >> trial->cpu.maxphyaddr) == 0);
    FUZZ_CHECK(out->steps[out->step_count - 1].level == found->level);
    FUZZ_CHECK(out->step_count + found->level - 1 == vmmu_format_of(&trial->mode.layout)->levels);
}

static void check(const struct trial *trial, const struct walked *walked)
{
    const struct vmmu_x86_walk_result *out = &walked->out;
    const bool registers = trial->mode.paging == VMMU_X86_PAGING_PAE && !trial->mode.pdpte_in_memory;

    FUZZ_CHECK(out->step_count <= VMMU_X86_MAX_LEVELS);
    FUZZ_CHECK(out->loads == walked->memory.loads);
    FUZZ_CHECK(out->step_count - out->loads == (out->step_count != 0 && registers));
    FUZZ_CHECK(walked->memory.exchanges <= out->loads);
    switch (walked->status) {
    case VMMU_OK: check_translation(trial, out); break;
    case VMMU_GUEST_FAULT: check_fault(trial, &out->fault); break;
    case VMMU_ABSENT: FUZZ_CHECK(walked->memory.absent == 1); break;
    case VMMU_RACED: FUZZ_CHECK(walked->memory.races != 0); break;
    case VMMU_UNSUPPORTED: FUZZ_CHECK(trial->access.shadow_stack && out->loads == 0); break;
    case VMMU_STAGE2:
    case VMMU_FLUSH_RETRY:
    case VMMU_NO_MEMORY:
    case VMMU_INVALID:
    case VMMU_VIOLATED: FUZZ_CHECK(!"a status that walks do not have");
    }
}

/* The same translation, but for the dirty bit, which a walk that marks finds set. */
static void check_agreement(const struct trial *trial, const struct walked *plain,
                            const struct walked *marked)
{
    const struct vmmu_x86_translation *one = &plain->out.translation;
    const struct vmmu_x86_translation *other = &marked->out.translation;

    FUZZ_CHECK(plain->status == marked->status);
    FUZZ_CHECK(plain->out.step_count == marked->out.step_count);
    if (plain->status == VMMU_OK) {
        FUZZ_CHECK(one->gpa.v == other->gpa.v && one->page_bytes == other->page_bytes);
        FUZZ_CHECK(one->rights == other->rights && one->level == other->level && one->key == other->key);
        FUZZ_CHECK(one->pat_index == other->pat_index && one->global == other->global);
        FUZZ_CHECK(!one->dirty || other->dirty);
        FUZZ_CHECK(other->dirty || trial->access.kind != VMMU_X86_WRITE || one->page_bytes == BIT64(32));
    } else if (plain->status == VMMU_GUEST_FAULT) {
        FUZZ_CHECK(plain->out.fault.error_code == marked->out.fault.error_code);
    }
}

/* What a walk without marks says is missing is what one with marks sets. */
static void check_marks(const struct walked *plain, const struct memory *marked)
{
    for (unsigned i = 0; i < plain->out.step_count; i++) {
        const struct vmmu_x86_step *step = &plain->out.steps[i];

        if (step->stage != VMMU_X86_STAGE_REGISTER) {
            const uint64_t now = memory_read(marked, step->place, step->entry_bytes);

            FUZZ_CHECK((step->value & step->marks) == 0);
            FUZZ_CHECK(((step->value | step->marks) & ~now) == 0);
        }
    }
}

/* The same as the manual read once more says. */
static void check_reference(const struct trial *trial, const struct memory *memory,
                            const struct walked *plain)
{
    struct walk_reference said;

    if (trial->mode.paging == VMMU_X86_PAGING_NONE || trial->access.shadow_stack ||
        !vmmu_walk_is_canonical(&trial->mode, trial->va)) {
        return;
    }
    said = walk_reference(&trial->cpu, &trial->registers, memory, linear_of(trial), trial->access);
    FUZZ_CHECK((plain->status == VMMU_ABSENT) == said.absent);
    FUZZ_CHECK((plain->status == VMMU_GUEST_FAULT) == said.fault);
    FUZZ_CHECK(!said.fault || plain->out.fault.error_code == said.error_code);
    if (plain->status == VMMU_OK) {
        FUZZ_CHECK(plain->out.translation.gpa.v == said.gpa);
        FUZZ_CHECK(plain->out.translation.page_bytes == said.page_bytes);
    }
}

/* The observer's walk says the same, by the same loads. */
static void check_observer(const struct trial *trial, const struct memory *memory, const struct walked *plain)
{
    static struct memory seen;
    struct vmmu_x86_translate_result found;

    memcpy(&seen, memory, sizeof(seen));
    memset(&found, 0, sizeof(found));
    const struct vmmu_ram ram = memory_ram(&seen);

    FUZZ_CHECK(vmmu_x86_translate(&trial->mode, &ram, trial->va, trial->access, &found) == plain->status);
    FUZZ_CHECK(seen.loads == plain->memory.loads && seen.exchanges == 0);
    if (plain->status == VMMU_OK) {
        const struct vmmu_x86_translation *one = &found.translation;
        const struct vmmu_x86_translation *other = &plain->out.translation;

        FUZZ_CHECK(one->gpa.v == other->gpa.v && one->frame.v == other->frame.v);
        FUZZ_CHECK(one->page_bytes == other->page_bytes && one->rights == other->rights);
        FUZZ_CHECK(one->level == other->level && one->key == other->key);
        FUZZ_CHECK(one->pat_index == other->pat_index && one->global == other->global);
        FUZZ_CHECK(one->dirty == other->dirty);
    } else if (plain->status == VMMU_GUEST_FAULT) {
        FUZZ_CHECK(found.fault.vector == plain->out.fault.vector);
        FUZZ_CHECK(found.fault.error_code == plain->out.fault.error_code);
        FUZZ_CHECK(found.fault.cr2 == plain->out.fault.cr2);
    }
}

static void try_access(const struct trial *trial, const struct memory *memory, uint64_t races)
{
    static struct walked plain, going, settled;
    struct memory racing;

    walk(trial, memory, VMMU_X86_MARKS_LEAVE, &plain);
    check(trial, &plain);
    FUZZ_CHECK(plain.memory.exchanges == 0);
    check_reference(trial, memory, &plain);
    check_observer(trial, memory, &plain);
    walk(trial, memory, VMMU_X86_MARKS_AS_IT_GOES, &going);
    check(trial, &going);
    walk(trial, memory, VMMU_X86_MARKS_ON_SUCCESS, &settled);
    check(trial, &settled);
    check_agreement(trial, &plain, &going);
    check_agreement(trial, &plain, &settled);
    FUZZ_CHECK(memory_is_marked(memory, &going.memory, true));
    FUZZ_CHECK(memory_is_marked(memory, &settled.memory, settled.status == VMMU_OK));
    if (plain.status == VMMU_OK) {
        FUZZ_CHECK(memory_same(&going.memory, &settled.memory));
        check_marks(&plain, &settled.memory);
    }
    memcpy(&racing, memory, sizeof(racing));
    racing.races = races;
    walk(trial, &racing, VMMU_X86_MARKS_AS_IT_GOES, &going);
    check(trial, &going);
    walk(trial, &racing, VMMU_X86_MARKS_ON_SUCCESS, &settled);
    check(trial, &settled);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    struct trial trial;
    static struct memory memory;

    memset(&trial, 0, sizeof(trial));
    trial.cpu = draw_cpu(&input);
    trial.registers = memory_draw_registers(&input, &trial.cpu);
    if (vmmu_mode_make(&trial.cpu, &trial.registers, &trial.mode) != VMMU_OK) {
        return 0;
    }
    memory_draw(&memory, &input);
    memory.race_bits = input_u64(&input);
    for (unsigned i = 0; i < ACCESSES; i++) {
        trial.va = memory_draw_va(&input, trial.mode.address_bits);
        trial.access = memory_draw_access(&input);
        try_access(&trial, &memory, input_u8(&input));
    }
    return 0;
}
