/* A virtual processor that a parent looks at and changes: every set leaves a state that there is, or the one before. */
#include "hyperv.h"

#include "paging.h"

static const uint32_t names[] = {
    0x00000, 0x00001, 0x10003, 0x20000, 0x20001, 0x20002, 0x20003, 0x20004, 0x20005, 0x20006, 0x20007,
    0x20008, 0x20009, 0x2000A, 0x2000B, 0x2000C, 0x2000D, 0x2000E, 0x2000F, 0x20010, 0x20011, 0x40000,
    0x40001, 0x40002, 0x40003, 0x40004, 0x40005, 0x50000, 0x50001, 0x50002, 0x50003, 0x50004, 0x50005,
    0x60000, 0x60001, 0x60002, 0x60003, 0x60004, 0x60005, 0x60006, 0x60007, 0x70000, 0x70001, 0x80000,
    0x80001, 0x80002, 0x80004, 0x80005, 0x80006, 0x80007, 0x80008, 0x80009, 0x8000A, 0x8000B, 0x8007B,
};

#define NAMES      (sizeof(names) / sizeof(names[0]))
#define XFEM       0x40005u
#define TSC_AUX    0x8007Bu
#define LIST       16
#define PAIR_BYTES 32

#define CODE64     0xA09Bu
#define CODE32     0xC09Bu
#define DATA       0xC093u

static void settle_segments(struct vmmu_hyperv_registers *registers, bool long_mode)
{
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        registers->state.segment[i] = (struct vmmu_x86_segment){
            .limit = UINT32_MAX,
            .selector = 0x10,
            .attributes = i != VMMU_X86_CS ? DATA
                          : long_mode      ? CODE64
                                           : CODE32,
        };
    }
    registers->tr = (struct vmmu_x86_segment){ .limit = 0x67, .selector = 0x20, .attributes = 0x8B };
}

void child_draw(struct child *child, struct input *input)
{
    struct vmmu_x86_paging_registers paging;
    struct vmmu_x86_mode mode;
    uint8_t flags;

    memset(child, 0, sizeof(*child));
    child->cpu = draw_cpu(input);
    memory_draw(&child->memory, input);
    paging = memory_draw_registers(input, &child->cpu);
    if (vmmu_mode_make(&child->cpu, &paging, &mode) != VMMU_OK) {
        paging = (struct vmmu_x86_paging_registers){ .cr0 = VMMU_X86_CR0_ET };
    }
    flags = input_u8(input);
    child->policy = (struct vmmu_hyperv_policy){
        .cr3_cache = (flags & 1) ? VMMU_HYPERV_CACHE_HONOR : VMMU_HYPERV_CACHE_IGNORE,
        .cr0_cd = (flags & 2) ? VMMU_HYPERV_CACHE_HONOR : VMMU_HYPERV_CACHE_IGNORE,
    };
    child->registers.state.cr0 = paging.cr0;
    child->registers.state.cr4 = paging.cr4;
    child->registers.state.efer = paging.efer;
    child->registers.state.rflags = 2;
    child->registers.cr3 = paging.cr3;
    memcpy(child->registers.pdpte, paging.pdpte, sizeof(paging.pdpte));
    child->registers.xcr0 = 1;
    child->registers.pat = VMMU_X86_PAT_AT_RESET;
    settle_segments(&child->registers, (paging.efer & VMMU_X86_EFER_LMA) != 0);
    child->pkru = paging.pkru;
    child->pkrs = paging.pkrs;
    child->pdpte_in_memory = paging.pdpte_in_memory;
    child->odd_pages = (flags & 4) ? input_u8(input) : 0;
    vmmu_hyperv_pats_init(&child->pats);
    child->ram = memory_ram(&child->memory);
    child->rules = (struct vmmu_hyperv_register_rules){
        .cpu = &child->cpu,
        .ram = &child->ram,
        .policy = &child->policy,
        .xcr0_offered = (flags & 8) ? 0 : 0x602E7,
        .tsc_aux = !(flags & 16),
        .pdpte_in_memory = child->pdpte_in_memory,
    };
}

struct vmmu_hyperv_page child_page(void *context, vmmu_gpa gpa)
{
    const struct child *child = context;
    /* One page in eight, if any, lacks something. */
    const uint8_t mixed = (uint8_t)((gpa.v >> 12) * 0x9D);
    const uint8_t missing = (mixed & 0xE0) == 0 ? child->odd_pages : 0;

    return (struct vmmu_hyperv_page){
        .mapped = !(missing & 1),
        .readable = !(missing & 2),
        .writable = !(missing & 4),
        .overlay = (missing & 8) != 0,
        .type = (enum vmmu_x86_memory_type)((missing & 16) ? VMMU_X86_TYPE_UC : VMMU_X86_TYPE_WB),
    };
}

struct vmmu_x86_paging_registers child_paging(const struct child *child)
{
    const struct vmmu_hyperv_registers *registers = &child->registers;
    struct vmmu_x86_paging_registers paging = {
        .cr0 = registers->state.cr0,
        .cr3 = registers->cr3,
        .cr4 = registers->state.cr4,
        .efer = registers->state.efer,
        .pkru = child->pkru,
        .pkrs = child->pkrs,
        .pdpte_in_memory = child->pdpte_in_memory,
    };

    memcpy(paging.pdpte, registers->pdpte, sizeof(paging.pdpte));
    return paging;
}

static void put_word(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

/* The value of register @name, which is one. */
static void read_register(const struct vmmu_hyperv_registers *registers, uint32_t name, uint8_t *value)
{
    const struct vmmu_hyperv_call_outcome outcome = { .reps = { 0, 1 } };
    uint8_t input[LIST + 4] = { 0 };
    uint16_t done;

    put_word(input + LIST, name, 4);
    FUZZ_CHECK(vmmu_hyperv_registers_get(&outcome, input, registers, value, &done) == VMMU_HYPERV_SUCCESS);
    FUZZ_CHECK(done == 1);
}

void child_name_registers(const struct child *child, struct input *input, uint8_t *list, unsigned count,
                          bool values)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t *at = list + (values ? PAIR_BYTES : 4) * (size_t)i;
        const uint32_t name = names[input_below(input, NAMES)];
        const uint8_t kind = input_u8(input);

        put_word(at, name, 4);
        if (!values || kind >= 0xE0) {
            continue;
        }
        read_register(&child->registers, name, at + 16);
        for (unsigned flips = kind & 3; flips > 0; flips--) {
            const uint8_t bit = input_u8(input) & 127;

            at[16 + bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
}

enum vmmu_hyperv_result child_get(struct child *child, const struct vmmu_hyperv_call *call,
                                  const struct vmmu_hyperv_call_outcome *outcome, const uint8_t *block,
                                  uint16_t *done)
{
    uint8_t *output = malloc(call->output_bytes);
    enum vmmu_hyperv_result status;

    FUZZ_CHECK(output && call->output_bytes == 16 * call->rep_count);
    memset(output, 0xA5, call->output_bytes);
    status = vmmu_hyperv_registers_get(outcome, block, &child->registers, output, done);
    FUZZ_CHECK(*done <= outcome->reps.count);
    FUZZ_CHECK((status == VMMU_HYPERV_SUCCESS) == (*done == outcome->reps.count));
    for (unsigned i = 0; i < call->output_bytes; i++) {
        const unsigned element = i / 16;
        const bool written =
            element >= outcome->reps.first && element < (unsigned)outcome->reps.first + *done;

        FUZZ_CHECK(written || output[i] == 0xA5);
    }
    free(output);
    return status;
}

/* Set every register to what it is: of a state that was set, nothing changes by it. */
static void check_fixed_point(const struct child *child)
{
    struct vmmu_hyperv_registers again;
    struct vmmu_hyperv_registers before;
    struct vmmu_hyperv_call_outcome outcome = { .action = VMMU_HYPERV_CALL_SET_REGISTERS };
    uint8_t input[LIST + PAIR_BYTES * NAMES] = { 0 };

    memcpy(&again, &child->registers, sizeof(again));
    for (unsigned i = 0; i < NAMES; i++) {
        uint8_t *pair = input + LIST + PAIR_BYTES * (size_t)outcome.reps.count;
        const bool there =
            (names[i] != XFEM || child->rules.xcr0_offered) && (names[i] != TSC_AUX || child->rules.tsc_aux);

        if (there) {
            put_word(pair, names[i], 4);
            read_register(&child->registers, names[i], pair + 16);
            outcome.reps.count++;
        }
    }
    FUZZ_CHECK(vmmu_hyperv_registers_set(&child->rules, &outcome, input, &again).status ==
               VMMU_HYPERV_SUCCESS);
    /* Debug registers were never set: what reads as one shows only then. */
    memcpy(&before, &child->registers, sizeof(before));
    before.dr6 = again.dr6;
    before.dr7 = again.dr7;
    for (unsigned i = 0; i < NAMES; i++) {
        uint8_t one[16];
        uint8_t other[16];

        read_register(&before, names[i], one);
        read_register(&again, names[i], other);
        FUZZ_CHECK(fuzz_same(one, other, sizeof(one)));
    }
    FUZZ_CHECK(again.state.cpl == before.state.cpl);
}

enum vmmu_hyperv_result child_set(struct child *child, const struct vmmu_hyperv_call_outcome *outcome,
                                  const uint8_t *block, uint16_t *done)
{
    struct vmmu_hyperv_registers before;
    struct vmmu_hyperv_register_changes changes;

    memcpy(&before, &child->registers, sizeof(before));
    changes = vmmu_hyperv_registers_set(&child->rules, outcome, block, &child->registers);
    *done = changes.done;
    if (changes.status != VMMU_HYPERV_SUCCESS) {
        FUZZ_CHECK(changes.status == VMMU_HYPERV_INVALID_PARAMETER && changes.done == 0 &&
                   changes.changed == 0);
        FUZZ_CHECK(fuzz_same(&before, &child->registers, sizeof(before)));
        return changes.status;
    }
    FUZZ_CHECK(changes.done == outcome->reps.count && changes.changed != 0);
    if (changes.changed & VMMU_HYPERV_CHANGED_PAGING) {
        const struct vmmu_x86_paging_registers paging = child_paging(child);
        struct vmmu_x86_mode mode;

        FUZZ_CHECK(vmmu_mode_make(&child->cpu, &paging, &mode) == VMMU_OK);
        FUZZ_CHECK((mode.paging == VMMU_X86_PAGING_PAE && !child->pdpte_in_memory) ||
                   !(changes.changed & VMMU_HYPERV_CHANGED_PDPTES));
        FUZZ_CHECK(child->policy.cr0_cd == VMMU_HYPERV_CACHE_HONOR || !(paging.cr0 & VMMU_X86_CR0_CD));
        /* The whole names CR3, and what stands in memory now may be no PDPTEs if none were loaded. */
        if (mode.paging != VMMU_X86_PAGING_PAE || child->pdpte_in_memory ||
            (changes.changed & VMMU_HYPERV_CHANGED_PDPTES)) {
            check_fixed_point(child);
        }
    }
    return VMMU_HYPERV_SUCCESS;
}

enum vmmu_hyperv_result child_switch(struct child *child, uint64_t address_space)
{
    struct vmmu_x86_paging_registers paging = child_paging(child);
    struct vmmu_x86_paging_registers before;
    struct vmmu_x86_mode mode;
    enum vmmu_hyperv_result status;

    memcpy(&before, &paging, sizeof(before));
    status = vmmu_hyperv_switch(&child->policy, &child->cpu, &child->ram, address_space, &paging);
    if (status != VMMU_HYPERV_SUCCESS) {
        FUZZ_CHECK(status == VMMU_HYPERV_INVALID_PARAMETER && fuzz_same(&before, &paging, sizeof(before)));
        return status;
    }
    FUZZ_CHECK(paging.cr3 == address_space && vmmu_mode_make(&child->cpu, &paging, &mode) == VMMU_OK);
    child->registers.cr3 = paging.cr3;
    memcpy(child->registers.pdpte, paging.pdpte, sizeof(paging.pdpte));
    return status;
}

/* Of one access, with plain memory everywhere, the call says what the walk says. */
static void compare_with_walk(struct child *child, const struct vmmu_x86_mode *mode,
                              const struct vmmu_hyperv_translate *request,
                              const struct vmmu_hyperv_translation *out)
{
    const uint64_t kind = request->control & 7;
    struct vmmu_x86_translate_result found;
    const struct vmmu_x86_access access = {
        .kind = kind == 1   ? VMMU_X86_READ
                : kind == 2 ? VMMU_X86_WRITE
                            : VMMU_X86_EXECUTE,
        .user = child->registers.state.cpl == 3,
        .eflags_ac = (child->registers.state.rflags & BIT64(18)) != 0,
    };
    enum vmmu_status status;

    if ((kind & (kind - 1)) != 0 || (request->control & ~BITS64(2, 0)) != 0 || child->odd_pages ||
        (mode->address_bits == 32 && request->gva.v >= BIT64(32))) {
        return;
    }
    status = vmmu_x86_translate(mode, &child->ram, request->gva, access, &found);
    FUZZ_CHECK((status == VMMU_OK) == (out->code == VMMU_HYPERV_TRANSLATE_SUCCESS));
    FUZZ_CHECK((status == VMMU_ABSENT) == (out->code == VMMU_HYPERV_TRANSLATE_GPA_UNMAPPED));
    FUZZ_CHECK(status != VMMU_OK || out->gpa.v == (found.translation.gpa.v & ~UINT64_C(0xFFF)));
}

void child_translate(struct child *child, const struct vmmu_hyperv_translate *request)
{
    const struct vmmu_x86_paging_registers paging = child_paging(child);
    const bool may_mark = (request->control & VMMU_HYPERV_TRANSLATE_SET_BITS) != 0;
    struct vmmu_hyperv_translation out;
    struct vmmu_x86_mode mode;
    struct memory clean;
    uint8_t *output = malloc(16);

    FUZZ_CHECK(output && vmmu_mode_make(&child->cpu, &paging, &mode) == VMMU_OK);
    const struct vmmu_hyperv_view view = {
        .mode = &mode,
        .ram = &child->ram,
        .pats = &child->pats,
        .second_level = true,
        .rflags = child->registers.state.rflags,
        .cpl = child->registers.state.cpl,
        .context = child,
        .page = child_page,
    };

    memcpy(&clean, &child->memory, sizeof(clean));
    if (vmmu_hyperv_translate(&view, request, &out) == VMMU_OK) {
        const bool good = out.code == VMMU_HYPERV_TRANSLATE_SUCCESS;

        FUZZ_CHECK(out.code <= VMMU_HYPERV_TRANSLATE_OVERLAY && vmmu_is_aligned(out.gpa.v, 4096));
        FUZZ_CHECK(good || (out.gpa.v == 0 && !out.inhibit_flush));
        FUZZ_CHECK(good || mode.paging != VMMU_X86_PAGING_NONE);
        FUZZ_CHECK(out.cache_type != VMMU_X86_TYPE_UC_MINUS);
        vmmu_hyperv_translate_output(&out, output);
        compare_with_walk(child, &mode, request, &out);
    }
    FUZZ_CHECK(memory_is_marked(&clean, &child->memory, may_mark));
    free(output);
}

void child_access(struct child *child, const struct vmmu_hyperv_access *access, bool write)
{
    const struct vmmu_hyperv_page page = child_page(child, access->gpa);
    const enum vmmu_hyperv_access_code code = vmmu_hyperv_access_judge(&page, write);
    uint8_t *output = malloc(write ? 8 : 24);

    FUZZ_CHECK(output && access->bytes >= 1 && access->bytes <= 16);
    FUZZ_CHECK((access->gpa.v & 4095) + access->bytes <= 4096);
    FUZZ_CHECK(code != VMMU_HYPERV_ACCESS_SUCCESS ||
               (page.mapped && (write ? page.writable : page.readable)));
    if (write) {
        vmmu_hyperv_write_output(code, output);
    } else {
        vmmu_hyperv_read_output(access, code, access->data, output);
    }
    FUZZ_CHECK(output[0] == code);
    free(output);
}
