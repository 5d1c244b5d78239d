/*
 * Hardware task switches between tasks that anybody may have written, in memory that may be anything.
 *
 * One input is a processor's state, descriptor tables and task states as they mostly are, bytes that are changed in them, and
 * switches one after the other. Callbacks may be made to fail, and CR3 leads to another space.
 */
#include <vmmu/task.h>

#include "input.h"

#define PAGES                                                                                                \
    8 /* from linear 0 on; the next 8 are another space's view of them, from the last to the first */
#define GDT_AT             0x1000u
#define TSS_AT             0x2F00u /* of 32 bits each, some of them across pages */
#define TSS_STRIDE         0x90u
#define LDT_AT             0x4FF0u
#define CODE0              0x08
#define DATA0              0x10
#define CODE3              0x1B
#define DATA3              0x23
#define FIRST_TASK         0x28 /* then TASKS of them */
#define TASKS              6
#define LDT                0x58
#define CR3_HERE           0x1000u
#define CR3_THERE          0x2000u
#define SWITCHES           8
#define FLAGS_VM           BIT64(17)
#define FLAGS_AC           BIT64(18)
#define FLAGS_ALL          UINT64_C(0x3F7FD7)
#define FAULTS_OF_A_SWITCH (1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17)

struct rig {
    struct vmmu_x86_state registers;
    struct vmmu_x86_task_state state;
    uint8_t pages[PAGES][4096];
    uint32_t cr3;
    uint8_t read_only; /* a bit for each page */
    unsigned calls;
    unsigned fail_at; /* the call that fails, from 1; 0: none */
    enum vmmu_status fail_status;
    bool refuses_cr3;
    bool committed; /* CR3 was loaded, or memory written */
};

/* --- memory, which holds the library to its contract --- */

static bool fails(struct rig *rig, struct vmmu_x86_fault *fault)
{
    if (++rig->calls != rig->fail_at) {
        return false;
    }
    *fault = (struct vmmu_x86_fault){ .vector = 14, .has_error_code = true, .cr2 = 0xFA11 };
    return true;
}

static uint8_t *reach(struct rig *rig, const struct vmmu_insn_bytes *bytes, bool write,
                      struct vmmu_x86_fault *fault)
{
    const uint64_t page = bytes->at.v / 4096;

    FUZZ_CHECK(bytes->size_bytes >= 1 && bytes->size_bytes <= 8);
    FUZZ_CHECK((bytes->at.v & 4095) + bytes->size_bytes <= 4096 && bytes->at.v <= UINT32_MAX);
    /* What the processor reaches by itself is the system's; only the push of an error code is the task's own. */
    FUZZ_CHECK(rig->committed || (rig->registers.cpl == 0 && !(rig->registers.rflags & FLAGS_AC)));
    if (page < PAGES && !(write && (rig->read_only >> page & 1))) {
        return &rig->pages[rig->cr3 == CR3_THERE ? PAGES - 1 - page : page][bytes->at.v & 4095];
    }
    *fault = (struct vmmu_x86_fault){ .vector = 14, .has_error_code = true, .cr2 = bytes->at.v };
    return NULL;
}

static enum vmmu_status on_read(void *context, const struct vmmu_insn_bytes *bytes, uint64_t *value,
                                struct vmmu_x86_fault *fault)
{
    struct rig *rig = context;
    const uint8_t *from;

    FUZZ_CHECK(bytes->access == VMMU_INSN_READ);
    if (fails(rig, fault)) {
        return rig->fail_status;
    }
    from = reach(rig, bytes, false, fault);
    if (!from) {
        return VMMU_GUEST_FAULT;
    }
    *value = UINT64_MAX; /* what is beyond the size is no zeros */
    memcpy(value, from, bytes->size_bytes);
    return VMMU_OK;
}

static enum vmmu_status on_write(void *context, const struct vmmu_insn_bytes *bytes, uint64_t value,
                                 struct vmmu_x86_fault *fault)
{
    struct rig *rig = context;
    uint8_t *to;

    FUZZ_CHECK(bytes->access == VMMU_INSN_WRITE);
    FUZZ_CHECK(bytes->size_bytes == 8 || (value >> (8 * bytes->size_bytes)) == 0);
    if (fails(rig, fault)) {
        return rig->fail_status;
    }
    to = reach(rig, bytes, true, fault);
    if (!to) {
        return VMMU_GUEST_FAULT;
    }
    memcpy(to, &value, bytes->size_bytes);
    rig->committed = true;
    return VMMU_OK;
}

static enum vmmu_status on_probe(void *context, const struct vmmu_insn_bytes *bytes,
                                 struct vmmu_x86_fault *fault)
{
    struct rig *rig = context;

    if (fails(rig, fault)) {
        return rig->fail_status;
    }
    return reach(rig, bytes, bytes->access != VMMU_INSN_READ, fault) ? VMMU_OK : VMMU_GUEST_FAULT;
}

static enum vmmu_status on_exchange(void *context, const struct vmmu_insn_bytes *bytes, uint64_t expected[2],
                                    const uint64_t desired[2], struct vmmu_x86_fault *fault)
{
    struct rig *rig = context;
    uint8_t *at;

    FUZZ_CHECK(bytes->access == VMMU_INSN_WRITE && bytes->size_bytes == 1 && desired[0] <= UINT8_MAX);
    if (fails(rig, fault)) {
        return rig->fail_status;
    }
    at = reach(rig, bytes, true, fault);
    if (!at) {
        return VMMU_GUEST_FAULT;
    }
    if (*at != expected[0]) {
        expected[0] = *at;
        return VMMU_RACED;
    }
    *at = (uint8_t)desired[0];
    rig->committed = true;
    return VMMU_OK;
}

static enum vmmu_status check_cr3(void *context, uint32_t cr3)
{
    const struct rig *rig = context;

    (void)cr3;
    FUZZ_CHECK(!rig->committed);
    return rig->refuses_cr3 ? VMMU_GUEST_FAULT : VMMU_OK;
}

static enum vmmu_status load_cr3(void *context, uint32_t cr3)
{
    struct rig *rig = context;

    FUZZ_CHECK(!rig->refuses_cr3 && (rig->registers.cr0 & VMMU_X86_CR0_PG));
    rig->cr3 = cr3;
    rig->committed = true;
    return VMMU_OK;
}

/* --- tasks --- */

static void poke(struct rig *rig, uint32_t at, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++) {
        rig->pages[(at + i) / 4096][(at + i) % 4096] = (uint8_t)(value >> (8 * i));
    }
}

static uint32_t task_at(unsigned task)
{
    return TSS_AT + task * TSS_STRIDE;
}

/* A 32-bit task that is in order: of CPL 3 if it is odd. The last is of 16 bits. */
static void make_task(struct rig *rig, unsigned task)
{
    const uint32_t at = task_at(task);
    const bool user = task & 1;
    const bool small = task == TASKS - 1;
    const uint64_t type = small ? 0x81 : 0x89;

    poke(rig, GDT_AT + FIRST_TASK + 8 * task, 8, (uint64_t)at << 16 | type << 40 | (small ? 0x2B : 0x67));
    poke(rig, at + 0x1C, 4, task & 2 ? CR3_THERE : CR3_HERE);
    poke(rig, at + (small ? 0x0E : 0x20), small ? 2 : 4, 0x100 + task);
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        const unsigned selector = i == VMMU_X86_CS ? (user ? CODE3 : CODE0) : user ? DATA3 : DATA0;

        poke(rig, at + (small ? 0x22 + 2 * i : 0x48 + 4 * i), 2, i > 3 && small ? 0 : selector);
    }
    poke(rig, at + (small ? 0x1A : 0x38), 2, 0x7F00);
}

static void make(struct rig *rig)
{
    static const uint64_t flat[] = { 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF, 0x00CFFA000000FFFF,
                                     0x00CFF2000000FFFF };

    for (unsigned i = 0; i < sizeof flat / sizeof flat[0]; i++) {
        poke(rig, GDT_AT + 8 * i, 8, flat[i]);
    }
    poke(rig, GDT_AT + LDT, 8, (uint64_t)LDT_AT << 16 | UINT64_C(0x82) << 40 | 0x3F);
    for (unsigned i = 0; i < TASKS; i++) {
        make_task(rig, i);
    }
    rig->cr3 = CR3_HERE;
    rig->registers.cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_PG;
    rig->registers.rflags = 2;
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        rig->registers.segment[i] =
            (struct vmmu_x86_segment){ .limit = UINT32_MAX,
                                       .selector = i == VMMU_X86_CS ? CODE0 : DATA0,
                                       .attributes = i == VMMU_X86_CS ? 0xC09B : 0xC093 };
    }
    rig->state.registers = &rig->registers;
    rig->state.system = (struct vmmu_x86_system_segments){
        .tr = { .base = task_at(0), .limit = 0x67, .selector = FIRST_TASK, .attributes = 0x8B },
        .gdt_base = GDT_AT,
        .gdt_limit = 0x7F,
    };
    poke(rig, GDT_AT + FIRST_TASK + 5, 1, 0x8B);
}

/* What the input makes of the tables and task states: bytes anywhere in them. */
static void spoil(struct input *input, struct rig *rig)
{
    static const uint32_t regions[] = { GDT_AT, TSS_AT, TSS_AT + TSS_STRIDE, TSS_AT + 2 * TSS_STRIDE,
                                        LDT_AT };

    for (unsigned count = input_below(input, 8); count != 0; count--) {
        const uint32_t at = regions[input_below(input, 5)] + input_below(input, 0x90);

        poke(rig, at, 1, input_u8(input));
    }
}

static void spoil_state(struct input *input, struct rig *rig)
{
    const uint8_t what = input_u8(input);

    if (what & 1) {
        rig->read_only = input_u8(input);
    }
    if (what & 2) {
        rig->state.system.gdt_base = input_u32(input) & 0x7FFF;
        rig->state.system.gdt_limit = input_u16(input);
    }
    if (what & 4) {
        rig->state.system.tr.base = input_u32(input) & 0x7FFF;
        rig->state.system.tr.limit = input_u8(input);
        rig->state.system.tr.attributes = input_u8(input) & 1 ? 0x83 : 0x8B;
    }
    if (what & 8) {
        rig->registers.cr0 ^= input_u8(input) & 1 ? VMMU_X86_CR0_PG : VMMU_X86_CR0_AM;
    }
    if (what & 16) {
        rig->registers.rflags ^= input_u32(input) & (FLAGS_ALL & ~UINT64_C(2));
    }
    if (what & 32) {
        rig->registers.cpl = 3;
    }
    if (what & 64) {
        rig->refuses_cr3 = true;
    }
    if (what & 128) {
        rig->registers.cr0 ^= VMMU_X86_CR0_PE;
    }
}

/* --- what holds --- */

static void check_segment(const struct vmmu_x86_segment *segment, bool is_v8086)
{
    if (is_v8086) {
        FUZZ_CHECK(segment->base == segment->selector * UINT64_C(16));
        FUZZ_CHECK(segment->limit == 0xFFFF && segment->attributes == 0xF3);
        return;
    }
    if (segment->attributes & 0x80) {
        FUZZ_CHECK((segment->attributes & 0x11) == 0x11 && (segment->attributes & 0x0F00) == 0);
        FUZZ_CHECK(segment->base <= UINT32_MAX);
        FUZZ_CHECK(segment->attributes & 0x8000 ? (segment->limit & 0xFFF) == 0xFFF
                                                : segment->limit <= 0xFFFFF);
    }
}

/* SDM 3C "Checks on Guest Segment Registers", "Checks on Guest RIP, RFLAGS, and SSP". */
static void check_enterable(const struct rig *rig)
{
    const struct vmmu_x86_state *registers = &rig->registers;
    const struct vmmu_x86_system_segments *system = &rig->state.system;
    const struct vmmu_x86_segment *cs = &registers->segment[VMMU_X86_CS];
    const struct vmmu_x86_segment *ss = &registers->segment[VMMU_X86_SS];
    const bool is_v8086 = registers->rflags & FLAGS_VM;
    const unsigned cs_dpl = cs->attributes >> 5 & 3;

    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        check_segment(&registers->segment[i], is_v8086);
    }
    FUZZ_CHECK((ss->attributes >> 5 & 3) == registers->cpl);
    if (!is_v8086) {
        FUZZ_CHECK((cs->attributes & 0x99) == 0x99);
        FUZZ_CHECK(cs->attributes & 4 ? cs_dpl <= registers->cpl : cs_dpl == registers->cpl);
        FUZZ_CHECK((cs->selector & 3) == registers->cpl && (ss->selector & 3) == registers->cpl);
        FUZZ_CHECK(!(ss->attributes & 0x80) || (ss->attributes & 0x1A) == 0x12);
    }
    FUZZ_CHECK((system->tr.attributes & 0x97) == 0x83 && !(system->tr.selector & 4));
    FUZZ_CHECK(!(system->ldtr.attributes & 0x80) ||
               ((system->ldtr.attributes & 0x1F) == 2 && !(system->ldtr.selector & 4)));
    FUZZ_CHECK((registers->rflags & ~FLAGS_ALL) == 0 && (registers->rflags & 2));
    FUZZ_CHECK(registers->rip <= UINT32_MAX && (registers->cr0 & VMMU_X86_CR0_TS));
    FUZZ_CHECK((rig->state.dr7 & 0x155) == 0);
}

static void check(const struct rig *rig, const struct rig *before, enum vmmu_status status,
                  const struct vmmu_x86_task_outcome *outcome)
{
    FUZZ_CHECK(status != VMMU_OK || outcome->switched);
    FUZZ_CHECK(!outcome->debug_trap || status == VMMU_OK);
    FUZZ_CHECK(rig->state.system.gdt_base == before->state.system.gdt_base);
    FUZZ_CHECK(rig->registers.efer == before->registers.efer && rig->registers.cr4 == before->registers.cr4);
    if (outcome->switched) {
        check_enterable(rig);
    } else {
        FUZZ_CHECK(fuzz_same(&rig->registers, &before->registers, sizeof rig->registers));
        FUZZ_CHECK(fuzz_same(&rig->state.system, &before->state.system, sizeof rig->state.system));
        FUZZ_CHECK(rig->state.dr7 == before->state.dr7 && rig->cr3 == before->cr3);
    }
    if (status == VMMU_GUEST_FAULT) {
        FUZZ_CHECK(outcome->fault.vector < 32 && (FAULTS_OF_A_SWITCH >> outcome->fault.vector & 1));
        FUZZ_CHECK(outcome->fault.has_error_code);
    } else if (status != VMMU_OK) {
        FUZZ_CHECK(status == VMMU_INVALID || status == VMMU_RACED || status == rig->fail_status);
    }
    if (status == VMMU_INVALID) {
        FUZZ_CHECK(rig->calls == 0 || rig->fail_status == VMMU_INVALID);
    }
}

static void run_one(struct input *input, struct rig *rig, struct rig *before)
{
    const struct vmmu_x86_task_machine machine = {
        .memory = { .context = rig,
                    .read = on_read,
                    .write = on_write,
                    .probe = on_probe,
                    .exchange = on_exchange },
        .check_cr3 = check_cr3,
        .load_cr3 = load_cr3,
    };
    const uint8_t how = input_u8(input);
    const uint8_t which = input_u8(input);
    struct vmmu_x86_task_request request = { .source = (enum vmmu_x86_task_source)(how & 3),
                                             .selector =
                                                 (uint16_t)(FIRST_TASK + 8 * (which % TASKS) + (which >> 6)),
                                             .external = how & 4,
                                             .has_error_code = (how & 8) && (how & 3) == VMMU_X86_TASK_EVENT,
                                             .error_code = how,
                                             .next_eip = which };
    struct vmmu_x86_task_outcome outcome;
    enum vmmu_status status;

    if (how & 16) {
        spoil(input, rig);
    }
    if (how & 32) {
        spoil_state(input, rig);
    }
    if (how & 64) {
        request.selector = input_u16(input);
    }
    rig->fail_at = how & 128 ? input_u8(input) : 0;
    rig->calls = 0;
    rig->committed = false;
    memset(&outcome, 0, sizeof outcome);
    memcpy(before, rig, sizeof *before);
    status = vmmu_x86_task_switch(&request, &rig->state, &machine, &outcome);
    check(rig, before, status, &outcome);
    if (status == VMMU_RACED && rig->fail_status != VMMU_RACED) {
        FUZZ_CHECK(fuzz_same(rig->pages, before->pages, sizeof rig->pages));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum vmmu_status failures[] = { VMMU_GUEST_FAULT, VMMU_ABSENT, VMMU_RACED,
                                                 VMMU_UNSUPPORTED };
    struct input input = input_of(data, size);
    struct rig *rig = calloc(1, sizeof *rig);
    struct rig *before = calloc(1, sizeof *before);

    FUZZ_CHECK(rig && before);
    make(rig);
    rig->fail_status = failures[input_below(&input, 4)];
    for (unsigned i = 0; i < SWITCHES && input_more(&input); i++) {
        run_one(&input, rig, before);
    }
    free(before);
    free(rig);
    return 0;
}
