/*
 * Performing against the processor of libunicorn: random encodings of the instructions that we
 * perform, with random registers, flags and memory, in 16, 32 and 64-bit modes; registers, defined
 * flags, memory and RIP must agree.
 *
 * We go first. Each page that is touched is invented then, and given to the other processor with its
 * first content; a page that only the other touches is a disagreement. The seed is printed;
 * VMMU_SEED repeats a run.
 *
 * Not compared: faults (libunicorn checks no segment limits), ports, MOVBE (it has none),
 * and addresses above 2^46.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <unicorn/unicorn.h>

#include "tests/unit/insn/describe.h"
#include "tests/unit/test.h"

#define TRIALS         24000
#define TRIALS_PER_CPU 256
#define CODE_BYTES     0x2000
#define HIGHEST        (UINT64_C(1) << 46)
#define PAGES          520 /* a REP instruction may go far */
#define STATUS_FLAGS   UINT64_C(0x8D5)
#define FLAG_CF        UINT64_C(0x001)
#define FLAG_PF        UINT64_C(0x004)
#define FLAG_AF        UINT64_C(0x010)
#define FLAG_ZF        UINT64_C(0x040)
#define FLAG_SF        UINT64_C(0x080)
#define FLAG_DF        UINT64_C(0x400)
#define FLAG_OF        UINT64_C(0x800)

static const int gpr_ids[] = { UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RBX,
                               UC_X86_REG_RSP, UC_X86_REG_RBP, UC_X86_REG_RSI, UC_X86_REG_RDI,
                               UC_X86_REG_R8,  UC_X86_REG_R9,  UC_X86_REG_R10, UC_X86_REG_R11,
                               UC_X86_REG_R12, UC_X86_REG_R13, UC_X86_REG_R14, UC_X86_REG_R15 };
static const int gpr32_ids[] = { UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX,
                                 UC_X86_REG_ESP, UC_X86_REG_EBP, UC_X86_REG_ESI, UC_X86_REG_EDI };
static const int segment_ids[] = { UC_X86_REG_ES, UC_X86_REG_CS, UC_X86_REG_SS,
                                   UC_X86_REG_DS, UC_X86_REG_FS, UC_X86_REG_GS };

struct page {
    uint64_t linear;
    uint8_t before[4096];
    uint8_t after[4096];
};

struct trial {
    uc_engine *other;
    enum vmmu_insn_width width;
    uint64_t code;
    uint8_t bytes[VMMU_X86_INSN_MAX_BYTES];
    struct vmmu_insn insn;
    struct vmmu_x86_state before;
    struct vmmu_x86_state after;
    unsigned page_count;
};

static const uint8_t prefixes[] = { 0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65 };

static struct page pages[PAGES];
static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static unsigned random_below(unsigned limit)
{
    return (unsigned)(next_random() >> 16) % limit;
}

static uint64_t code_base(enum vmmu_insn_width width)
{
    return width == VMMU_INSN_16 ? 0x1000 : 0x70000000;
}

/* --- our side: memory that comes into being as it is touched --- */

static struct page *touch(struct trial *trial, uint64_t linear)
{
    const uint64_t base = linear & ~UINT64_C(0xFFF);
    struct page *page;

    for (unsigned i = 0; i < trial->page_count; i++) {
        if (pages[i].linear == base)
            return &pages[i];
    }
    if (base >= HIGHEST || trial->page_count == PAGES ||
        (base >= code_base(trial->width) && base < code_base(trial->width) + CODE_BYTES))
        return NULL;
    page = &pages[trial->page_count++];
    page->linear = base;
    for (unsigned i = 0; i < 4096; i += 8) {
        const uint64_t value = next_random();

        memcpy(&page->before[i], &value, 8);
    }
    memcpy(page->after, page->before, 4096);
    return page;
}

static enum vmmu_status on_read(void *context, const struct vmmu_insn_bytes *bytes, uint64_t *value,
                                struct vmmu_x86_fault *fault)
{
    const struct page *page = touch(context, bytes->at.v);

    (void)fault;
    if (!page)
        return VMMU_ABSENT;
    *value = 0;
    memcpy(value, &page->after[bytes->at.v & 0xFFF], bytes->size_bytes);
    return VMMU_OK;
}

static enum vmmu_status on_write(void *context, const struct vmmu_insn_bytes *bytes, uint64_t value,
                                 struct vmmu_x86_fault *fault)
{
    struct page *page = touch(context, bytes->at.v);

    (void)fault;
    if (!page)
        return VMMU_ABSENT;
    memcpy(&page->after[bytes->at.v & 0xFFF], &value, bytes->size_bytes);
    return VMMU_OK;
}

static enum vmmu_status on_probe(void *context, const struct vmmu_insn_bytes *bytes,
                                 struct vmmu_x86_fault *fault)
{
    (void)fault;
    return touch(context, bytes->at.v) ? VMMU_OK : VMMU_ABSENT;
}

static enum vmmu_status on_exchange(void *context, const struct vmmu_insn_bytes *bytes, uint64_t expected[2],
                                    const uint64_t desired[2], struct vmmu_x86_fault *fault)
{
    struct page *page = touch(context, bytes->at.v);

    (void)fault;
    if (!page)
        return VMMU_ABSENT;
    EXPECT(memcmp(&page->after[bytes->at.v & 0xFFF], expected, bytes->size_bytes) == 0);
    memcpy(&page->after[bytes->at.v & 0xFFF], desired, bytes->size_bytes);
    return VMMU_OK;
}

/* --- what is tried --- */

static bool is_performed(enum vmmu_insn_operation operation)
{
    return operation < VMMU_INSN_INS && operation != VMMU_INSN_NONE && operation != VMMU_INSN_MOVBE;
}

/*
 * Encodings of which libunicorn is known to make something else than the manuals do, or of which the
 * manuals say that they are reserved: a legacy prefix behind REX (which then does not count), F2 together
 * with F3, an override of ES, CS, SS or DS together with one of FS or GS in 64-bit mode (where the former
 * do not count), F6 /1 and F7 /1 (another TEST), C6 and C7 with REX.R (which does not extend an opcode).
 */
static bool is_excused(const struct trial *trial)
{
    bool seen[256] = { false };
    uint8_t rex = 0;
    bool rex_not_last = false;
    unsigned at = 0;

    for (;; at++) {
        const uint8_t byte = trial->bytes[at];

        if (trial->width == VMMU_INSN_64 && (byte & 0xF0) == 0x40) {
            rex = byte;
        } else if (memchr(prefixes, byte, sizeof(prefixes))) {
            rex_not_last |= rex != 0;
            seen[byte] = true;
        } else {
            break;
        }
    }
    return rex_not_last || (seen[0xF2] && seen[0xF3]) ||
           (trial->width == VMMU_INSN_64 && (seen[0x64] || seen[0x65]) &&
            (seen[0x26] || seen[0x2E] || seen[0x36] || seen[0x3E])) ||
           ((trial->bytes[at] & 0xFE) == 0xC6 && (rex & 4)) ||
           ((trial->bytes[at] & 0xFE) == 0xF6 && (trial->bytes[at + 1] & 0x38) == 0x08);
}

/* Bytes of an instruction that we perform. */
static void invent_instruction(struct trial *trial)
{
    static const uint8_t rare[][2] = { { 0x0F, 0xC7 }, { 0x0F, 0xB0 }, { 0x0F, 0xB1 }, { 0x0F, 0xC0 },
                                       { 0x0F, 0xC1 }, { 0x0F, 0xBA }, { 0x0F, 0xAB }, { 0x0F, 0xBE } };
    enum vmmu_status status;

    do {
        unsigned at = 0;

        for (unsigned i = 0; i < VMMU_X86_INSN_MAX_BYTES; i++)
            trial->bytes[i] = (uint8_t)(next_random() >> 24);
        while (random_below(3) == 0 && at < 5)
            trial->bytes[at++] = prefixes[random_below(sizeof(prefixes))];
        if (trial->width == VMMU_INSN_64 && random_below(2) == 0)
            trial->bytes[at++] = (uint8_t)(0x40 | random_below(16));
        if (random_below(3) == 0)
            trial->bytes[at++] = 0x0F;
        if (random_below(6) == 0) {
            memcpy(&trial->bytes[at], rare[random_below(sizeof(rare) / sizeof(rare[0]))], 2);
            at += 2;
            trial->bytes[at] =
                (uint8_t)(trial->bytes[at] & ~0x38) | (trial->bytes[at - 1] == 0xC7 ? 0x08 : 0x28);
        }
        status = vmmu_insn_decode(trial->bytes, VMMU_X86_INSN_MAX_BYTES, trial->width, &trial->insn);
    } while (status != VMMU_OK || !is_performed(trial->insn.operation) || is_excused(trial));
}

/* Mostly addresses that can be reached; now and then the values at which carries and signs turn. */
static uint64_t invent_register(enum vmmu_insn_width width)
{
    static const uint64_t edges[] = { 0,
                                      1,
                                      0x7F,
                                      0x80,
                                      0xFF,
                                      0x7FFF,
                                      0x8000,
                                      0xFFFF,
                                      0x7FFFFFFF,
                                      0x80000000,
                                      0xFFFFFFFF,
                                      INT64_MAX,
                                      UINT64_C(0x8000000000000000),
                                      UINT64_MAX };
    const uint64_t mask = width == VMMU_INSN_64 ? UINT64_MAX : UINT32_MAX;

    switch (random_below(5)) {
    case 0: return edges[random_below(sizeof(edges) / sizeof(edges[0]))] & mask;
    case 1: return next_random() & mask;
    case 2: return next_random() & UINT32_MAX;
    default: return 0x10000 + random_below(0x30000);
    }
}

static bool is_string(enum vmmu_insn_operation operation)
{
    return operation >= VMMU_INSN_MOVS && operation <= VMMU_INSN_OUTS;
}

static bool is_bit_test(enum vmmu_insn_operation operation)
{
    return operation >= VMMU_INSN_BT && operation <= VMMU_INSN_BTC;
}

/*
 * Selectors, bases and the rest of what the other processor has; then what this trial
 * makes of registers and flags.
 */
static void invent_state(struct trial *trial)
{
    static const uint16_t attributes[] = {
        [VMMU_INSN_16] = 0x0093,
        [VMMU_INSN_32] = 0xC093,
        [VMMU_INSN_64] = 0xC093,
    };
    static const uint16_t code_attributes[] = {
        [VMMU_INSN_16] = 0x009B,
        [VMMU_INSN_32] = 0xC09B,
        [VMMU_INSN_64] = 0xA09B,
    };
    struct vmmu_x86_state *state = &trial->before;

    memset(state, 0, sizeof(*state));
    state->cr0 = trial->width == VMMU_INSN_16 ? 0x10 : 0x80000011;
    state->efer = trial->width == VMMU_INSN_64 ? 0x500 : 0;
    state->rip = trial->code;
    state->rflags = 2 | (next_random() & (STATUS_FLAGS | FLAG_DF));
    for (unsigned i = 0; i < VMMU_X86_GPRS; i++)
        state->gpr[i] = invent_register(trial->width);
    state->gpr[VMMU_X86_RSP] = 0x8000 + random_below(0x1000);
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        uint16_t selector = 0;

        if (trial->width == VMMU_INSN_16 && i != VMMU_X86_CS)
            selector = (uint16_t)random_below(0x1000);
        state->segment[i] = (struct vmmu_x86_segment){
            (uint64_t)selector << 4,
            trial->width == VMMU_INSN_16 ? 0xFFFF : UINT32_MAX,
            selector,
            i == VMMU_X86_CS ? code_attributes[trial->width] : attributes[trial->width],
        };
    }
    if (trial->width == VMMU_INSN_64) {
        state->segment[VMMU_X86_FS].base = next_random() & 0xFFFFFFFF;
        state->segment[VMMU_X86_GS].base = next_random() & 0xFFFFFFFF;
    }
    if (is_string(trial->insn.operation)) {
        state->gpr[VMMU_X86_RSI] = 0x8000 + random_below(0x1000);
        state->gpr[VMMU_X86_RDI] =
            random_below(2) ? 0x8800 + random_below(0x100) : state->gpr[VMMU_X86_RSI] + 1;
        state->gpr[VMMU_X86_RCX] = random_below(3) ? random_below(40) : random_below(300);
    }
    if (is_bit_test(trial->insn.operation) && trial->insn.source.kind == VMMU_INSN_OPERAND_REGISTER &&
        trial->insn.destination.kind == VMMU_INSN_OPERAND_MEMORY)
        state->gpr[trial->insn.source.number] = (uint64_t)((int64_t)random_below(0x40000) - 0x20000);
}

/* --- the other side --- */

static uc_engine *open_other(enum vmmu_insn_width width)
{
    static const uc_mode modes[] = {
        [VMMU_INSN_16] = UC_MODE_16,
        [VMMU_INSN_32] = UC_MODE_32,
        [VMMU_INSN_64] = UC_MODE_64,
    };
    uc_engine *other = NULL;

    EXPECT_EQ(uc_open(UC_ARCH_X86, modes[width], &other), UC_ERR_OK);
    EXPECT_EQ(uc_mem_map(other, code_base(width), CODE_BYTES, UC_PROT_ALL), UC_ERR_OK);
    return other;
}

static void give_registers(const struct trial *trial)
{
    const struct vmmu_x86_state *state = &trial->before;
    const bool is_long = trial->width == VMMU_INSN_64;

    for (unsigned i = 0; i < (is_long ? 16 : 8); i++)
        EXPECT_EQ(uc_reg_write(trial->other, is_long ? gpr_ids[i] : gpr32_ids[i], &state->gpr[i]), UC_ERR_OK);
    EXPECT_EQ(uc_reg_write(trial->other, UC_X86_REG_EFLAGS, &state->rflags), UC_ERR_OK);
    for (unsigned i = 0; trial->width == VMMU_INSN_16 && i < VMMU_X86_SEGMENTS; i++)
        EXPECT_EQ(uc_reg_write(trial->other, segment_ids[i], &state->segment[i].selector), UC_ERR_OK);
    if (is_long) {
        EXPECT_EQ(uc_reg_write(trial->other, UC_X86_REG_FS_BASE, &state->segment[VMMU_X86_FS].base),
                  UC_ERR_OK);
        EXPECT_EQ(uc_reg_write(trial->other, UC_X86_REG_GS_BASE, &state->segment[VMMU_X86_GS].base),
                  UC_ERR_OK);
    }
}

static void give_memory(const struct trial *trial)
{
    for (unsigned i = 0; i < trial->page_count; i++) {
        EXPECT_EQ(uc_mem_map(trial->other, pages[i].linear, 4096, UC_PROT_ALL), UC_ERR_OK);
        EXPECT_EQ(uc_mem_write(trial->other, pages[i].linear, pages[i].before, 4096), UC_ERR_OK);
    }
    EXPECT_EQ(uc_mem_write(trial->other, trial->code, trial->bytes, sizeof(trial->bytes)), UC_ERR_OK);
}

static void take_memory_away(const struct trial *trial)
{
    for (unsigned i = 0; i < trial->page_count; i++)
        EXPECT_EQ(uc_mem_unmap(trial->other, pages[i].linear, 4096), UC_ERR_OK);
}

/* --- comparison --- */

static void report(const struct trial *trial, const char *about)
{
    const struct insn_text meaning = insn_describe(&trial->insn);
    char bytes[3 * VMMU_X86_INSN_MAX_BYTES + 1] = "";

    for (unsigned i = 0; i < trial->insn.length; i++)
        snprintf(&bytes[3 * (size_t)i], 4, "%02X ", trial->bytes[i]);
    for (unsigned i = 0; i < VMMU_X86_GPRS; i++) {
        print_message("r%-2u %016" PRIx64 " -> %016" PRIx64 "\n", i, trial->before.gpr[i],
                      trial->after.gpr[i]);
    }
    print_message("flags %" PRIx64 " -> %" PRIx64 "\n", trial->before.rflags, trial->after.rflags);
    fail_msg("width %d, %s\"%s\": %s", trial->width, bytes, meaning.text, about);
}

#define DISAGREE(trial, ...)                                                                                 \
    do {                                                                                                     \
        char about[160];                                                                                     \
        snprintf(about, sizeof(about), __VA_ARGS__);                                                         \
        report((trial), about);                                                                              \
    } while (0)

static unsigned shift_count(const struct trial *trial)
{
    const unsigned mask = trial->insn.operand_bytes == 8 ? 63 : 31;

    if (trial->insn.source.kind == VMMU_INSN_OPERAND_IMMEDIATE)
        return (unsigned)trial->insn.immediate & mask;
    return (unsigned)trial->before.gpr[VMMU_X86_RCX] & mask;
}

/* Status flags that the manuals leave undefined after the instruction, or that are not to be compared. */
static uint64_t loose_flags(const struct trial *trial)
{
    const enum vmmu_insn_operation operation = trial->insn.operation;
    uint64_t undefined = 0;
    unsigned count;

    /* Defined, but libunicorn computes them from the new value; without LOCK it does not. */
    if (operation == VMMU_INSN_NEG && trial->insn.lock)
        return STATUS_FLAGS;
    if (operation == VMMU_INSN_AND || operation == VMMU_INSN_OR || operation == VMMU_INSN_XOR ||
        operation == VMMU_INSN_TEST)
        return FLAG_AF;
    if (is_bit_test(operation))
        return FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF;
    if (operation < VMMU_INSN_ROL || operation > VMMU_INSN_SAR)
        return 0;
    count = shift_count(trial);
    if (count != 1)
        undefined |= FLAG_OF;
    if (operation >= VMMU_INSN_SHL)
        undefined |= FLAG_AF;
    if ((operation == VMMU_INSN_SHL || operation == VMMU_INSN_SHR) && count >= trial->insn.operand_bytes * 8U)
        undefined |= FLAG_CF;
    return count == 0 ? 0 : undefined;
}

/*
 * CMPXCHG of 32 bits that succeeds does not write the accumulator; libunicorn writes it, which clears the
 * upper half. The manual's pseudocode assigns to the accumulator in the other case only.
 */
static bool excused_accumulator(const struct trial *trial, unsigned number)
{
    return trial->insn.operation == VMMU_INSN_CMPXCHG && trial->insn.operand_bytes == 4 &&
           number == VMMU_X86_RAX && (trial->after.rflags & FLAG_ZF);
}

static void compare_registers(const struct trial *trial)
{
    const bool is_long = trial->width == VMMU_INSN_64;
    const uint64_t flags_mask = STATUS_FLAGS & ~loose_flags(trial);
    uint64_t rip = 0;
    uint64_t rflags = 0;

    for (unsigned i = 0; i < (is_long ? 16 : 8); i++) {
        const uint64_t mask = excused_accumulator(trial, i) || !is_long ? UINT32_MAX : UINT64_MAX;
        uint64_t value = 0;

        EXPECT_EQ(uc_reg_read(trial->other, is_long ? gpr_ids[i] : gpr32_ids[i], &value), UC_ERR_OK);
        if ((value ^ trial->after.gpr[i]) & mask)
            DISAGREE(trial, "r%u is %" PRIx64 ", ours %" PRIx64, i, value, trial->after.gpr[i]);
    }
    EXPECT_EQ(uc_reg_read(trial->other, is_long ? UC_X86_REG_RIP : UC_X86_REG_EIP, &rip), UC_ERR_OK);
    if (rip != trial->after.rip)
        DISAGREE(trial, "RIP is %" PRIx64 ", ours %" PRIx64, rip, trial->after.rip);
    EXPECT_EQ(uc_reg_read(trial->other, UC_X86_REG_EFLAGS, &rflags), UC_ERR_OK);
    if ((rflags ^ trial->after.rflags) & flags_mask) {
        DISAGREE(trial, "flags are %" PRIx64 ", ours %" PRIx64 ", of %" PRIx64, rflags, trial->after.rflags,
                 flags_mask);
    }
}

static void compare_memory(const struct trial *trial)
{
    for (unsigned i = 0; i < trial->page_count; i++) {
        uint8_t theirs[4096];

        EXPECT_EQ(uc_mem_read(trial->other, pages[i].linear, theirs, sizeof(theirs)), UC_ERR_OK);
        for (unsigned j = 0; j < 4096; j++) {
            if (theirs[j] != pages[i].after[j]) {
                DISAGREE(trial, "memory at %" PRIx64 " is %02x, ours %02x, was %02x", pages[i].linear + j,
                         theirs[j], pages[i].after[j], pages[i].before[j]);
            }
        }
    }
}

static enum vmmu_status perform_ours(struct trial *trial)
{
    const struct vmmu_insn_memory memory = { trial, on_read, on_write, on_probe, on_exchange, NULL, NULL };
    struct vmmu_insn_outcome outcome;
    enum vmmu_status status;

    trial->after = trial->before;
    for (unsigned i = 0; i < trial->page_count; i++)
        memcpy(pages[i].after, pages[i].before, sizeof(pages[i].after));
    do {
        status = vmmu_insn_perform(&trial->insn, &trial->after, &memory, &outcome);
    } while (status == VMMU_OK && outcome.again);
    return status;
}

/* Give CMPXCHG the value to compare with that it has just loaded: random ones would hardly ever be equal. */
static bool make_equal(struct trial *trial)
{
    if (trial->insn.operation != VMMU_INSN_CMPXCHG && trial->insn.operation != VMMU_INSN_CMPXCHG8B)
        return false;
    trial->before.gpr[VMMU_X86_RAX] = trial->after.gpr[VMMU_X86_RAX];
    trial->before.gpr[VMMU_X86_RDX] = trial->after.gpr[VMMU_X86_RDX];
    return true;
}

/* An access that wraps around at 4 GiB: libunicorn goes on above. */
static bool wraps(const struct trial *trial)
{
    bool lowest = false;
    bool highest = false;

    for (unsigned i = 0; i < trial->page_count; i++) {
        lowest |= pages[i].linear == 0;
        highest |= pages[i].linear == 0xFFFFF000;
    }
    return trial->width != VMMU_INSN_64 && lowest && highest;
}

/* Whether the trial could be compared. */
static bool run_trial(struct trial *trial)
{
    uc_err error;

    invent_instruction(trial);
    invent_state(trial);
    trial->page_count = 0;
    if (perform_ours(trial) != VMMU_OK)
        return false;
    if (random_below(2) && make_equal(trial) && perform_ours(trial) != VMMU_OK)
        return false;
    if (wraps(trial))
        return false;
    give_registers(trial);
    give_memory(trial);
    error = uc_emu_start(trial->other, trial->code, trial->code + trial->insn.length, 0, 0);
    if (error != UC_ERR_OK)
        DISAGREE(trial, "the other processor says: %s", uc_strerror(error));
    compare_registers(trial);
    compare_memory(trial);
    take_memory_away(trial);
    return true;
}

static void run_width(enum vmmu_insn_width width)
{
    const char *given = getenv("VMMU_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    struct trial trial = { .width = width };
    unsigned compared = 0;

    print_message("seed %" PRIu64 " (VMMU_SEED)\n", seed);
    random_state = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15) + width;
    for (unsigned i = 0; i < TRIALS; i++) {
        if (i % TRIALS_PER_CPU == 0) {
            if (trial.other)
                uc_close(trial.other);
            trial.other = open_other(width);
        }
        trial.code = code_base(width) + (uint64_t)(i % TRIALS_PER_CPU) * 32;
        compared += run_trial(&trial);
    }
    uc_close(trial.other);
    print_message("%u of %u instructions compared\n", compared, TRIALS);
    EXPECT(compared > TRIALS / 2);
}

static void test_16_bit_instructions_agree_with_libunicorn(void **state)
{
    (void)state;
    run_width(VMMU_INSN_16);
}

static void test_32_bit_instructions_agree_with_libunicorn(void **state)
{
    (void)state;
    run_width(VMMU_INSN_32);
}

static void test_64_bit_instructions_agree_with_libunicorn(void **state)
{
    (void)state;
    run_width(VMMU_INSN_64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_16_bit_instructions_agree_with_libunicorn),
        cmocka_unit_test(test_32_bit_instructions_agree_with_libunicorn),
        cmocka_unit_test(test_64_bit_instructions_agree_with_libunicorn),
    };

    return RUN_TESTS(tests);
}
