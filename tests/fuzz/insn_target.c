/*
 * The instruction decoder and what performs instructions, beside Zydis, on a processor in any state.
 *
 * One input is a processor's mode and registers, the memory that it reaches, and instructions one after the
 * other. Callbacks may be made to fail.
 */
#include <Zydis/Zydis.h>

#include <vmmu/insn.h>

#include "input.h"

#define PAGES        6
#define READ_ONLY    3
#define LONGEST      VMMU_X86_INSN_MAX_BYTES
#define INSTRUCTIONS 16
#define RFLAGS_RF    BIT64(16)
#define RFLAGS_TF    BIT64(8)

/* The first and the last page, two that follow each other with one behind that cannot be written. */
static const uint64_t page_base[PAGES] = {
    0, 0x4000, 0x5000, 0x6000, 0xFFFFF000, UINT64_C(0xFFFFFFFFFFFFF000)
};

struct rig {
    struct vmmu_x86_state state;
    struct vmmu_insn insn;
    uint8_t pages[PAGES][4096];
    uint8_t before[PAGES][4096];
    struct vmmu_insn_cache cache;
    unsigned calls;
    unsigned fail_at; /* the call that fails, from 1; 0: none */
    enum vmmu_status fail_status;
    unsigned races;
};

/* --- memory and ports, which hold the library to its contract --- */

static bool is_long(const struct vmmu_x86_state *state)
{
    return (state->efer & VMMU_X86_EFER_LMA) && (state->segment[VMMU_X86_CS].attributes & 0x2000);
}

static bool fails(struct rig *rig, struct vmmu_x86_fault *fault)
{
    rig->calls++;
    if (rig->calls != rig->fail_at) {
        return false;
    }
    if (fault) {
        *fault = (struct vmmu_x86_fault){ .vector = 14, .has_error_code = true, .cr2 = 0xFA11 };
    }
    return true;
}

static uint8_t *reach(struct rig *rig, const struct vmmu_insn_bytes *bytes, bool write,
                      struct vmmu_x86_fault *fault)
{
    const uint64_t at = bytes->at.v;

    FUZZ_CHECK(bytes->size_bytes >= 1 && (at & 4095) + bytes->size_bytes <= 4096);
    FUZZ_CHECK(is_long(&rig->state) ? vmmu_format_is_canonical(at, 57) : at <= UINT32_MAX);
    FUZZ_CHECK(rig->insn.memory_operands != 0 || rig->insn.operation >= VMMU_INSN_IN);
    for (unsigned i = 0; i < PAGES; i++) {
        if (page_base[i] == (at & ~UINT64_C(4095)) && !(write && i == READ_ONLY)) {
            return &rig->pages[i][at & 4095];
        }
    }
    *fault = (struct vmmu_x86_fault){ .vector = 14, .has_error_code = true, .cr2 = at };
    return NULL;
}

static uint64_t peek(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)from[i] << (8 * i);
    }
    return value;
}

static void poke(uint8_t *to, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static enum vmmu_status on_read(void *context, const struct vmmu_insn_bytes *bytes, uint64_t *value,
                                struct vmmu_x86_fault *fault)
{
    struct rig *rig = context;
    const uint8_t *from;

    FUZZ_CHECK(bytes->access != VMMU_INSN_WRITE && bytes->size_bytes <= 8);
    if (fails(rig, fault)) {
        return rig->fail_status;
    }
    from = reach(rig, bytes, bytes->access == VMMU_INSN_READ_TO_WRITE, fault);
    if (!from) {
        return VMMU_GUEST_FAULT;
    }
    *value = peek(from, bytes->size_bytes);
    return VMMU_OK;
}

static enum vmmu_status on_write(void *context, const struct vmmu_insn_bytes *bytes, uint64_t value,
                                 struct vmmu_x86_fault *fault)
{
    struct rig *rig = context;
    uint8_t *to;

    FUZZ_CHECK(bytes->access == VMMU_INSN_WRITE && bytes->size_bytes <= 8);
    FUZZ_CHECK(bytes->size_bytes == 8 || (value >> (8 * bytes->size_bytes)) == 0);
    if (fails(rig, fault)) {
        return rig->fail_status;
    }
    to = reach(rig, bytes, true, fault);
    if (!to) {
        return VMMU_GUEST_FAULT;
    }
    poke(to, bytes->size_bytes, value);
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
    const unsigned low = bytes->size_bytes < 8 ? bytes->size_bytes : 8;
    const unsigned high = bytes->size_bytes - low;
    uint8_t *at;

    FUZZ_CHECK(bytes->access == VMMU_INSN_WRITE);
    FUZZ_CHECK(high == 0 || (high == 8 && bytes->at.v % 16 == 0));
    if (fails(rig, fault)) {
        return rig->fail_status;
    }
    at = reach(rig, bytes, true, fault);
    if (!at) {
        return VMMU_GUEST_FAULT;
    }
    if (rig->races != 0) {
        rig->races--;
        at[0]++;
    }
    if (peek(at, low) != expected[0] || (high && peek(at + 8, high) != expected[1])) {
        expected[0] = peek(at, low);
        expected[1] = high ? peek(at + 8, high) : 0;
        return VMMU_RACED;
    }
    poke(at, low, desired[0]);
    if (high) {
        poke(at + 8, high, desired[1]);
    }
    return VMMU_OK;
}

static enum vmmu_status on_port_in(void *context, uint16_t port, unsigned size_bytes, uint64_t *value)
{
    struct rig *rig = context;

    FUZZ_CHECK(size_bytes == 1 || size_bytes == 2 || size_bytes == 4);
    *value = port * UINT64_C(0x0101010101010101);
    return fails(rig, NULL) && rig->fail_status != VMMU_GUEST_FAULT ? rig->fail_status : VMMU_OK;
}

static enum vmmu_status on_port_out(void *context, uint16_t port, unsigned size_bytes, uint64_t value)
{
    (void)value;
    return on_port_in(context, port, size_bytes, &value);
}

static struct vmmu_insn_memory memory_of(struct rig *rig)
{
    return (struct vmmu_insn_memory){
        rig, on_read, on_write, on_probe, on_exchange, on_port_in, on_port_out,
    };
}

/* --- the processor --- */

static void draw_segment(struct input *input, struct vmmu_x86_segment *segment)
{
    static const uint64_t bases[] = { 0, 0x4000, 0xFFFFF800, UINT64_C(0xFFFFFFFFFFFFF000), 0xFFFFFFFF };
    static const uint32_t limits[] = { 0x10, 0x4FFF, 0x5FFF, 0xFFFE, 0 };

    segment->base = bases[input_below(input, 5)];
    segment->limit = limits[input_below(input, 5)];
    segment->attributes = input_u16(input);
}

static uint64_t draw_register(struct input *input)
{
    const unsigned kind = input_below(input, 8);
    const uint16_t offset = input_u16(input);

    switch (kind) {
    case 0:
    case 1: return 0x4000 + (offset & 0xFFF);
    case 2: return 0x5FF0 + (offset & 0xF);
    case 3: return offset & 0x1FF;
    case 4: return (uint64_t) - (int64_t)(offset & 0x1F);
    case 5: return offset;
    case 6: return UINT64_C(0x7FFFFFFFFFF0) + (offset & 0x1F);
    default: return input_u64(input);
    }
}

/* Flat segments, paging as the width asks for it, and what the input makes of both. */
static void draw_state(struct input *input, struct vmmu_x86_state *state)
{
    static const uint16_t code[] = { 0xA09B, 0xC09B, 0x009B, 0x009B };
    const unsigned mode = input_below(input, 4); /* 64-bit, 32-bit, 16-bit, real */
    const uint8_t flags = input_u8(input);
    uint8_t odd = input_u8(input);

    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++, odd = (uint8_t)(odd >> 1)) {
        state->segment[i] = (struct vmmu_x86_segment){
            .limit = mode == 3 ? 0xFFFF : UINT32_MAX,
            .selector = 0x10,
            .attributes = mode < 2 ? 0xC093 : 0x0093,
        };
        if (odd & 1) {
            draw_segment(input, &state->segment[i]);
        }
    }
    state->segment[VMMU_X86_CS].attributes = code[mode];
    state->cr0 = mode == 3 ? 0x10 : 0x80000011 | ((flags & 1) ? VMMU_X86_CR0_AM : 0);
    state->cr4 = mode == 0 ? VMMU_X86_CR4_PAE | ((flags & 2) ? VMMU_X86_CR4_LA57 : 0) : 0;
    state->efer = mode == 0 ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0;
    state->cpl = mode != 3 && (flags & 4) ? 3 : 0;
    state->interrupt_shadow = flags & 8;
    state->rflags = 2 | (input_u32(input) & 0x270DD5);
    state->rip = draw_register(input);
    for (unsigned i = 0; i < VMMU_X86_GPRS; i++) {
        state->gpr[i] = draw_register(input);
    }
    state->gpr[VMMU_X86_RSP] = (flags & 16) ? draw_register(input) : 0x4800;
}

static bool same_state(const struct vmmu_x86_state *a, const struct vmmu_x86_state *b)
{
    return fuzz_same(a, b, sizeof(*a));
}

/* --- decoding --- */

/* Whatever is behind an instruction does not change it, and no part of one is one. */
static enum vmmu_status decode(const uint8_t *bytes, unsigned count, enum vmmu_insn_width width,
                               struct vmmu_insn *out)
{
    enum vmmu_status status = VMMU_ABSENT;

    for (unsigned there = 0; there <= count; there++) {
        uint8_t *block = malloc(there ? there : 1);
        struct vmmu_insn insn;
        enum vmmu_status now;

        FUZZ_CHECK(block);
        memcpy(block, bytes, there);
        memset(&insn, 0, sizeof(insn));
        now = vmmu_insn_decode(block, there, width, &insn);
        free(block);
        FUZZ_CHECK(status == VMMU_ABSENT || now == status);
        FUZZ_CHECK(now != VMMU_OK || (insn.length <= there && insn.length >= 1));
        FUZZ_CHECK(now != VMMU_OK || status == VMMU_OK || insn.length == there);
        FUZZ_CHECK(status != VMMU_OK || fuzz_same(&insn, out, sizeof(insn)));
        memcpy(out, &insn, sizeof(insn));
        status = now;
    }
    FUZZ_CHECK(status != VMMU_ABSENT || count < LONGEST);
    FUZZ_CHECK(status == VMMU_OK || status == VMMU_ABSENT || status == VMMU_UNSUPPORTED ||
               (status == VMMU_GUEST_FAULT && (out->fault.vector == 6 || out->fault.vector == 13)));
    return status;
}

/* What an independent decoder says of the same bytes. */
static void compare_with_zydis(const uint8_t *bytes, enum vmmu_insn_width width, enum vmmu_status status,
                               unsigned length)
{
    static const struct {
        ZydisMachineMode mode;
        ZydisStackWidth stack;
    } modes[] = {
        [VMMU_INSN_16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
        [VMMU_INSN_32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
        [VMMU_INSN_64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
    };
    ZydisDecodedInstruction other;
    ZydisDecoder decoder;
    bool valid;

    FUZZ_CHECK(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, modes[width].mode, modes[width].stack)));
    valid = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, bytes, LONGEST, &other));
    if (status == VMMU_GUEST_FAULT) {
        FUZZ_CHECK(!valid);
    } else if (status == VMMU_OK) {
        FUZZ_CHECK(valid && other.length == length);
    }
}

/* --- performing --- */

/* What stays as it was, whatever the instruction. */
static void check_frame(const struct rig *rig, const struct vmmu_x86_state *was)
{
    const struct vmmu_x86_state *now = &rig->state;

    FUZZ_CHECK(now->cr0 == was->cr0 && now->cr4 == was->cr4 && now->efer == was->efer);
    FUZZ_CHECK(now->cpl == was->cpl && fuzz_same(now->segment, was->segment, sizeof(was->segment)));
    FUZZ_CHECK(((now->rflags ^ was->rflags) & ~(UINT64_C(0x8D5) | RFLAGS_RF)) == 0);
}

static void check_done(const struct rig *rig, const struct vmmu_x86_state *was,
                       const struct vmmu_insn_outcome *outcome)
{
    const uint64_t mask = rig->insn.width == VMMU_INSN_64   ? UINT64_MAX
                          : rig->insn.width == VMMU_INSN_32 ? UINT32_MAX
                                                            : 0xFFFF;

    FUZZ_CHECK(outcome->single_step == ((was->rflags & RFLAGS_TF) != 0));
    if (outcome->again) {
        FUZZ_CHECK(rig->insn.repeat != VMMU_INSN_REPEAT_NONE && rig->state.rip == was->rip);
        FUZZ_CHECK(rig->state.rflags & RFLAGS_RF);
    } else {
        FUZZ_CHECK(!(rig->state.rflags & RFLAGS_RF) && !rig->state.interrupt_shadow);
        FUZZ_CHECK(((rig->state.rip - was->rip - rig->insn.length) & mask) == 0);
    }
}

static bool is_string(const struct vmmu_insn *insn)
{
    return insn->operation >= VMMU_INSN_MOVS && insn->operation <= VMMU_INSN_OUTS;
}

static bool is_vector(const struct vmmu_x86_fault *fault)
{
    return fault->vector == 6 || (fault->vector >= 12 && fault->vector <= 14) || fault->vector == 17;
}

static void perform(struct rig *rig)
{
    const struct vmmu_insn_memory memory = memory_of(rig);
    struct vmmu_insn_outcome outcome;
    struct vmmu_x86_state was;
    enum vmmu_status status;

    memset(&outcome, 0, sizeof(outcome));
    memcpy(&was, &rig->state, sizeof(was));
    memcpy(rig->before, rig->pages, sizeof(rig->pages));
    rig->calls = 0;
    status = vmmu_insn_perform(&rig->insn, &rig->state, &memory, &outcome);
    check_frame(rig, &was);
    if (status == VMMU_OK) {
        check_done(rig, &was, &outcome);
        return;
    }
    FUZZ_CHECK(status != VMMU_GUEST_FAULT || is_vector(&outcome.fault));
    FUZZ_CHECK(status == VMMU_GUEST_FAULT || status == VMMU_UNSUPPORTED || status == VMMU_RACED ||
               (rig->fail_at != 0 && status == rig->fail_status));
    if (!is_string(&rig->insn)) {
        FUZZ_CHECK(same_state(&rig->state, &was));
        FUZZ_CHECK(rig->fail_at != 0 || status == VMMU_RACED ||
                   fuzz_same(rig->before, rig->pages, sizeof(rig->pages)));
    }
}

/* Of these a selector stands above the operand size. */
static bool is_far_pointer(const struct vmmu_insn *insn)
{
    return (insn->operation == VMMU_INSN_CALL_FAR || insn->operation == VMMU_INSN_JMP_FAR) &&
           insn->source.kind == VMMU_INSN_OPERAND_IMMEDIATE;
}

/* What a caller may ask of an instruction that it does itself. */
static void do_it_oneself(struct rig *rig)
{
    const struct vmmu_insn_memory memory = memory_of(rig);
    struct vmmu_x86_fault fault;
    struct vmmu_x86_state was;
    uint64_t value[2] = { 0, 0 };
    enum vmmu_status status;

    memcpy(&was, &rig->state, sizeof(was));
    if (rig->insn.destination.kind == VMMU_INSN_OPERAND_MEMORY ||
        rig->insn.source.kind == VMMU_INSN_OPERAND_MEMORY) {
        const uint64_t at = vmmu_insn_address(&rig->insn, &rig->state).v;

        FUZZ_CHECK(is_long(&rig->state) || at <= UINT32_MAX);
    }
    status = vmmu_insn_load_source(&rig->insn, &rig->state, &memory, value, &fault);
    FUZZ_CHECK(same_state(&rig->state, &was));
    FUZZ_CHECK(status != VMMU_OK || rig->insn.source_bytes >= 8 || is_far_pointer(&rig->insn) ||
               (value[0] >> (8 * rig->insn.source_bytes)) == 0);
    if (rig->insn.operand_bytes <= 8 &&
        vmmu_insn_store_destination(&rig->insn, &rig->state, &memory, value[0], &fault) != VMMU_OK) {
        FUZZ_CHECK(same_state(&rig->state, &was));
    }
    (void)vmmu_insn_retire(&rig->insn, &rig->state);
}

/* The next instruction: decoded with as many bytes as the input has, and performed a few times if it repeats. */
static void run_one(struct input *input, struct rig *rig)
{
    const unsigned there = input->left < LONGEST ? (unsigned)input->left : LONGEST;
    const enum vmmu_insn_width width = vmmu_insn_mode(&rig->state);
    const struct vmmu_insn *cached;
    uint8_t bytes[LONGEST] = { 0 };
    enum vmmu_status status;

    memcpy(bytes, input->next, there);
    if (there < LONGEST) {
        (void)decode(bytes, there, width, &rig->insn);
    }
    status = decode(bytes, LONGEST, width, &rig->insn);
    FUZZ_CHECK(vmmu_insn_decode_cached(&rig->cache, bytes, LONGEST, width, &cached) == status);
    FUZZ_CHECK(status != VMMU_OK || cached->length == rig->insn.length);
    compare_with_zydis(bytes, width, status, rig->insn.length);
    if (status != VMMU_OK) {
        input_copy(input, bytes, 1);
        return;
    }
    input_copy(input, bytes, rig->insn.length);
    if (rig->insn.operation >= VMMU_INSN_IN) {
        do_it_oneself(rig);
        return;
    }
    for (unsigned turn = rig->insn.repeat ? 3 : 1; turn != 0; turn--) {
        perform(rig);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum vmmu_status failures[] = { VMMU_GUEST_FAULT, VMMU_ABSENT, VMMU_RACED, VMMU_NO_MEMORY };
    struct input input = input_of(data, size);
    struct rig *rig = calloc(1, sizeof(*rig));

    FUZZ_CHECK(rig);
    draw_state(&input, &rig->state);
    rig->fail_at = input_below(&input, 256) % 7;
    rig->fail_status = failures[input_below(&input, 4)];
    rig->races = input_u8(&input);
    input_copy(&input, rig->pages[1], 32);
    for (unsigned i = 0; i < INSTRUCTIONS && input_more(&input); i++) {
        run_one(&input, rig);
    }
    free(rig);
    return 0;
}
