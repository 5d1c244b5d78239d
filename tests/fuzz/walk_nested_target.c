/*
 * The two-dimensional walk, NPT and EPT, beside the two walks that it is made of.
 *
 * One input is a guest's paging registers, a second stage, memory for the tables of both, and some accesses.
 * What the walk finds must be what the guest's own walk finds when each of its tables is reached by a walk of
 * the second stage alone.
 */
#include <vmmu/walk.h>

#include "input.h"
#include "memory.h"
#include "paging.h"

#define ACCESSES 3

struct trial {
    struct vmmu_x86_mode mode;
    struct vmmu_x86_stage2 stage2; /* but for its memory */
    vmmu_gva va;
    struct vmmu_x86_access access;
};

/* A two-dimensional walk, and what came of it. */
struct walked {
    struct memory memory;
    struct vmmu_x86_nested_result out;
    enum vmmu_status status;
};

/* The same by one walk after the other, without marks. */
struct composed {
    struct memory memory;
    struct vmmu_x86_stage2 stage2;
    struct vmmu_ram ram;
    struct vmmu_x86_walk_result guest;
    struct vmmu_x86_stage2_result host; /* the last one */
    enum vmmu_status table_status;      /* of the last table's second stage */
    enum vmmu_status status;
};

static bool draw_stage2(struct input *input, struct vmmu_x86_stage2 *stage2)
{
    static const enum vmmu_x86_format_name formats[] = {
        VMMU_X86_FORMAT_4LEVEL, VMMU_X86_FORMAT_EPT4,      VMMU_X86_FORMAT_EPT5,  VMMU_X86_FORMAT_5LEVEL,
        VMMU_X86_FORMAT_PAE,    VMMU_X86_FORMAT_32BIT_PSE, VMMU_X86_FORMAT_32BIT,
    };
    const enum vmmu_x86_format_name format = formats[input_below(input, 7)];
    const uint8_t flags = input_u8(input);
    const uint64_t root = memory_draw_page(input) ^ MEMORY_SECOND;
    const struct vmmu_x86_limits limits = {
        .physical_bits = (uint8_t)(52 - input_below(input, 22)),
        .nx = !(flags & 1),
        .pse36 = !(flags & 2),
        .gib_pages = !(flags & 4),
        .no_2m_pages = flags & 8,
        .execute_only = !(flags & 16),
        .bit8_reserved = flags & 32,
    };

    if (format < VMMU_X86_FORMAT_EPT4) {
        return vmmu_stage2_npt(format, &limits, NULL, (vmmu_hpa){ root }, stage2) == VMMU_OK;
    }
    const uint64_t length = format == VMMU_X86_FORMAT_EPT5 ? 4 : 3;
    const uint64_t eptp = root | length << 3 | VMMU_X86_TYPE_WB | ((flags & 64) ? 0 : BIT64(6));

    return vmmu_stage2_ept((flags & 128) ? input_u64(input) : eptp, &limits, NULL, stage2) == VMMU_OK;
}

static void walk(const struct trial *trial, const struct memory *memory, enum vmmu_x86_marks marks,
                 struct walked *walked)
{
    struct vmmu_x86_stage2 stage2 = trial->stage2;
    struct vmmu_x86_access access = trial->access;

    access.marks = marks;
    memcpy(&walked->memory, memory, sizeof(*memory));
    memset(&walked->out, 0, sizeof(walked->out));
    const struct vmmu_ram ram = memory_ram(&walked->memory);

    stage2.ram = &ram;
    walked->status = vmmu_x86_walk_nested(&trial->mode, &stage2, trial->va, access, &walked->out);
}

/* A guest's table is read where the second stage has it. */
static enum vmmu_status load_through(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct composed *composed = context;
    const struct vmmu_x86_stage2_access access = { .kind = VMMU_X86_READ, .guest_table = true };

    composed->table_status =
        vmmu_x86_walk_stage2(&composed->stage2, (vmmu_gpa){ address }, access, &composed->host);
    if (composed->table_status != VMMU_OK) {
        return VMMU_ABSENT;
    }
    return composed->ram.load(composed->ram.context, composed->host.translation.hpa.v, width_bytes, value);
}

static void compose(const struct trial *trial, const struct memory *memory, struct composed *composed)
{
    const struct vmmu_ram tables = { .context = composed, .load = load_through };
    const struct vmmu_x86_stage2_access final = { .kind = trial->access.kind };

    memset(composed, 0, sizeof(*composed));
    memcpy(&composed->memory, memory, sizeof(*memory));
    composed->ram = memory_ram(&composed->memory);
    composed->stage2 = trial->stage2;
    composed->stage2.ram = &composed->ram;
    composed->status = vmmu_x86_walk(&trial->mode, &tables, trial->va, trial->access, &composed->guest);
    if (composed->status == VMMU_ABSENT && composed->table_status != VMMU_OK) {
        composed->status = composed->table_status;
    } else if (composed->status == VMMU_OK) {
        composed->status =
            vmmu_x86_walk_stage2(&composed->stage2, composed->guest.translation.gpa, final, &composed->host);
    }
}

static void check_same_host(const struct vmmu_x86_stage2_translation *one,
                            const struct vmmu_x86_stage2_translation *other)
{
    FUZZ_CHECK(one->hpa.v == other->hpa.v && one->frame.v == other->frame.v);
    FUZZ_CHECK(one->page_bytes == other->page_bytes && one->level == other->level);
    FUZZ_CHECK(one->rights == other->rights && one->pat_index == other->pat_index);
    FUZZ_CHECK(one->memory_type == other->memory_type && one->ignore_pat == other->ignore_pat);
}

static void check_same_refusal(const struct vmmu_x86_stage2_fault *one,
                               const struct vmmu_x86_stage2_fault *other)
{
    const uint64_t linear = VMMU_X86_EPT_VIOLATION_LINEAR | VMMU_X86_EPT_VIOLATION_FINAL;

    FUZZ_CHECK(one->gpa.v == other->gpa.v && one->reason == other->reason && one->level == other->level);
    FUZZ_CHECK(one->rights == other->rights && one->access.kind == other->access.kind);
    FUZZ_CHECK(one->access.guest_table == other->access.guest_table);
    FUZZ_CHECK(one->exitinfo1 == other->exitinfo1);
    FUZZ_CHECK((one->qualification & ~linear) == (other->qualification & ~linear));
}

static void check_composition(const struct walked *walked, const struct composed *composed)
{
    const struct vmmu_x86_translation *one = &walked->out.guest;
    const struct vmmu_x86_translation *other = &composed->guest.translation;

    FUZZ_CHECK(walked->status == composed->status);
    FUZZ_CHECK(walked->memory.loads == composed->memory.loads);
    if (walked->status == VMMU_OK) {
        FUZZ_CHECK(one->gpa.v == other->gpa.v && one->frame.v == other->frame.v);
        FUZZ_CHECK(one->page_bytes == other->page_bytes && one->rights == other->rights);
        FUZZ_CHECK(one->key == other->key && one->global == other->global && one->dirty == other->dirty);
        check_same_host(&walked->out.host, &composed->host.translation);
    } else if (walked->status == VMMU_GUEST_FAULT) {
        FUZZ_CHECK(walked->out.fault.vector == composed->guest.fault.vector);
        FUZZ_CHECK(walked->out.fault.error_code == composed->guest.fault.error_code);
        FUZZ_CHECK(walked->out.fault.cr2 == composed->guest.fault.cr2);
    } else if (walked->status == VMMU_STAGE2) {
        check_same_refusal(&walked->out.stage2_fault, &composed->host.fault);
    }
}

/* What the exit would say of a refusal, for either maker. */
static void check_refusal(const struct trial *trial, const struct vmmu_x86_stage2_fault *fault)
{
    if (trial->stage2.kind == VMMU_X86_STAGE2_NPT) {
        const uint64_t where = VMMU_X86_NPF_FINAL | VMMU_X86_NPF_GUEST_TABLE;

        FUZZ_CHECK(fault->qualification == 0 && fault->reason != VMMU_X86_STAGE2_MISCONFIGURED);
        FUZZ_CHECK((fault->exitinfo1 & where) ==
                   (fault->access.guest_table ? VMMU_X86_NPF_GUEST_TABLE : VMMU_X86_NPF_FINAL));
        FUZZ_CHECK(fault->exitinfo1 & VMMU_X86_PF_USER);
    } else {
        const bool final = (fault->qualification & VMMU_X86_EPT_VIOLATION_FINAL) != 0;

        FUZZ_CHECK(fault->exitinfo1 == 0 && fault->reason != VMMU_X86_STAGE2_RESERVED);
        FUZZ_CHECK((fault->reason == VMMU_X86_STAGE2_MISCONFIGURED) == (fault->qualification == 0));
        FUZZ_CHECK(fault->qualification == 0 || final == !fault->access.guest_table);
    }
}

static void check(const struct trial *trial, const struct walked *walked)
{
    const struct vmmu_x86_nested_result *out = &walked->out;
    const unsigned second = vmmu_format_of(&trial->stage2.layout)->levels;
    const unsigned guest =
        trial->mode.paging == VMMU_X86_PAGING_NONE ? 0 : vmmu_format_of(&trial->mode.layout)->levels;

    FUZZ_CHECK(out->step_count <= VMMU_X86_NESTED_STEPS && out->loads <= guest + (guest + 1) * second);
    FUZZ_CHECK(out->loads == walked->memory.loads);
    FUZZ_CHECK(walked->memory.absent <= 1 && (walked->status == VMMU_ABSENT) == walked->memory.absent);
    FUZZ_CHECK(walked->status != VMMU_RACED || walked->memory.races != 0);
    FUZZ_CHECK((walked->status == VMMU_UNSUPPORTED) == trial->access.shadow_stack);
    if (walked->status == VMMU_OK) {
        FUZZ_CHECK(vmmu_walk_judge(&trial->mode, trial->access, out->guest.rights, out->guest.key) == 0);
        FUZZ_CHECK(out->host.hpa.v - out->host.frame.v == (out->guest.gpa.v & (out->host.page_bytes - 1)));
    } else if (walked->status == VMMU_STAGE2) {
        check_refusal(trial, &out->stage2_fault);
    }
}

/* Whether some bytes serve as an entry of both stages, so that a mark of one changes the other. */
static bool stages_overlap(const struct vmmu_x86_nested_result *out)
{
    for (unsigned i = 0; i < out->step_count; i++) {
        for (unsigned k = 0; k < i; k++) {
            if (out->steps[i].stage != out->steps[k].stage &&
                (out->steps[i].place ^ out->steps[k].place) < 8) {
                return true;
            }
        }
    }
    return false;
}

/* A walk that marks ends as one that does not, save where a guest's entry cannot be marked. */
static void check_marking(const struct walked *plain, const struct walked *marked)
{
    const struct vmmu_x86_stage2_fault *fault = &marked->out.stage2_fault;

    if (marked->status == VMMU_STAGE2 && plain->status != VMMU_STAGE2) {
        FUZZ_CHECK(fault->reason == VMMU_X86_STAGE2_RIGHTS && fault->access.guest_table);
        FUZZ_CHECK(fault->access.kind == VMMU_X86_WRITE && !(fault->rights & VMMU_X86_RIGHT_WRITE));
        return;
    }
    if (marked->status == VMMU_STAGE2 && fault->access.guest_table && fault->access.kind == VMMU_X86_WRITE) {
        return;
    }
    FUZZ_CHECK(plain->status == marked->status);
    if (plain->status == VMMU_OK) {
        FUZZ_CHECK(plain->out.host.hpa.v == marked->out.host.hpa.v);
        FUZZ_CHECK(plain->out.guest.rights == marked->out.guest.rights);
    }
}

static void try_access(const struct trial *trial, const struct memory *memory, uint64_t races)
{
    static struct walked plain, going, settled;
    static struct composed composed;
    static struct memory racing;

    walk(trial, memory, VMMU_X86_MARKS_LEAVE, &plain);
    check(trial, &plain);
    FUZZ_CHECK(plain.memory.exchanges == 0);
    compose(trial, memory, &composed);
    check_composition(&plain, &composed);

    walk(trial, memory, VMMU_X86_MARKS_AS_IT_GOES, &going);
    check(trial, &going);
    FUZZ_CHECK(memory_is_marked(memory, &going.memory, true));
    walk(trial, memory, VMMU_X86_MARKS_ON_SUCCESS, &settled);
    check(trial, &settled);
    FUZZ_CHECK(memory_is_marked(memory, &settled.memory, settled.status == VMMU_OK));
    check_marking(&plain, &settled);
    if (!stages_overlap(&plain.out)) {
        check_marking(&plain, &going);
        FUZZ_CHECK(going.status == settled.status);
        FUZZ_CHECK(going.status != VMMU_OK || memory_same(&going.memory, &settled.memory));
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
    struct vmmu_x86_cpu cpu = draw_cpu(&input);
    const struct vmmu_x86_paging_registers registers = memory_draw_registers(&input, &cpu);
    static struct memory memory;
    struct trial trial;

    memset(&trial, 0, sizeof(trial));
    if (!draw_stage2(&input, &trial.stage2) || vmmu_mode_make(&cpu, &registers, &trial.mode) != VMMU_OK) {
        return 0;
    }
    memory_draw(&memory, &input);
    memory.race_bits = input_u64(&input);
    for (unsigned i = 0; i < ACCESSES; i++) {
        trial.va = memory_draw_va(&input, trial.mode.address_bits);
        trial.access = memory_draw_access(&input);
        try_access(&trial, &memory, input_u64(&input));
    }
    return 0;
}
