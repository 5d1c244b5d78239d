/*
 * Hypercalls: the page that makes them, their calling convention, and what each answers.
 *
 * Invariant: decoding has checked every bit of the input value, and that the input lies in one page, before a
 * byte of the input is asked for. What is known of a call is one row of `calls`.
 */
#include "lib/x86/hyperv/flush.h"
#include "lib/x86/hyperv/hyperv.h"

/* Bytes of input beyond which a call cannot be fast: two registers. */
#define FAST_BYTES 16

/* The input value. */
enum {
    INPUT_CODE_BITS = 16,
    INPUT_FAST = 16,
    INPUT_HEADER_LOW = 17,
    INPUT_HEADER_HIGH = 26,
    INPUT_COUNT_LOW = 32,
    INPUT_COUNT_HIGH = 43,
    INPUT_START_LOW = 48,
    INPUT_START_HIGH = 59,
};

#define INPUT_RESERVED  (BITS64(31, 27) | BITS64(47, 44) | BITS64(63, 60))

/* 12 bits of reps in the result. */
#define RESULT_REPS_LOW 32

/* How a call is known here. */
enum call_answer {
    CALL_DENIED,      /* exists, but takes a privilege that no guest of ours has */
    CALL_LONG_SPIN,   /* HvNotifyLongSpinWait */
    CALL_FLUSH_SPACE, /* HvFlushVirtualAddressSpace and its Ex form */
    CALL_FLUSH_LIST,  /* HvFlushVirtualAddressList and its Ex form */
};

struct call_row {
    uint16_t code;
    uint8_t header_bytes;  /* fixed input */
    uint8_t element_bytes; /* of a rep call's input; 0: a simple call */
    bool variable_header;
    enum call_answer answer;
};

/* Spec: TLFS "Hypercall Code Reference". */
static const struct call_row calls[] = {
    { 0x0002, 24, 0, false, CALL_FLUSH_SPACE },
    { 0x0003, 24, 8, false, CALL_FLUSH_LIST },
    { 0x0008, 8, 0, false, CALL_LONG_SPIN },
    { 0x0013, 32, 0, true, CALL_FLUSH_SPACE },
    { 0x0014, 32, 8, true, CALL_FLUSH_LIST },
    { .code = 0x0040, .answer = CALL_DENIED }, /* HvCreatePartition */
    { .code = 0x0046, .answer = CALL_DENIED }, /* HvGetPartitionId */
    { .code = 0x0048, .answer = CALL_DENIED }, /* HvDepositMemory */
    { .code = 0x004B, .answer = CALL_DENIED }, /* HvMapGpaPages */
    { .code = 0x004C, .answer = CALL_DENIED }, /* HvUnmapGpaPages */
    { .code = 0x0050, .answer = CALL_DENIED }, /* HvGetVpRegisters */
    { .code = 0x0051, .answer = CALL_DENIED }, /* HvSetVpRegisters */
    { .code = 0x0052, .answer = CALL_DENIED }, /* HvTranslateVirtualAddress */
    { .code = 0x0053, .answer = CALL_DENIED }, /* HvReadGpa */
    { .code = 0x0054, .answer = CALL_DENIED }, /* HvWriteGpa */
    { .code = 0x0057, .answer = CALL_DENIED }, /* HvCreatePort */
    { .code = 0x005B, .answer = CALL_DENIED }, /* HvConnectPort */
    { .code = 0x005C, .answer = CALL_DENIED }, /* HvPostMessage */
    { .code = 0x005D, .answer = CALL_DENIED }, /* HvSignalEvent */
};

static const struct call_row *row_of(uint16_t code)
{
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].code == code) {
            return &calls[i];
        }
    }
    return NULL;
}

static uint64_t result_of(enum vmmu_hyperv_result status, uint16_t reps)
{
    return (uint64_t)status | (uint64_t)reps << RESULT_REPS_LOW;
}

static struct vmmu_hyperv_call_outcome answer(const struct vmmu_hyperv_call *call,
                                              enum vmmu_hyperv_result status)
{
    return (struct vmmu_hyperv_call_outcome){
        .action = VMMU_HYPERV_CALL_DONE,
        .result = result_of(status, status == VMMU_HYPERV_SUCCESS ? call->rep_count : call->rep_start),
    };
}

static uint16_t field(uint64_t value, unsigned high, unsigned low)
{
    return (uint16_t)((value & BITS64(high, low)) >> low);
}

static uint64_t pair(uint64_t high, uint64_t low)
{
    return (high & BITS64(31, 0)) << 32 | (low & BITS64(31, 0));
}

/* Where the registers of 64-bit and of 32-bit code hold the input value and the parameters. */
static uint64_t take_registers(const struct vmmu_hyperv_caller *caller, struct vmmu_hyperv_call *call)
{
    call->code64 = caller->code64;
    if (caller->code64) {
        call->fast_input[0] = caller->rdx;
        call->fast_input[1] = caller->r8;
        return caller->rcx;
    }
    call->fast_input[0] = pair(caller->rbx, caller->rcx);
    call->fast_input[1] = pair(caller->rdi, caller->rsi);
    return pair(caller->rdx, caller->rax);
}

static bool may_call(const struct vmmu_hyperv_partition *partition, const struct vmmu_hyperv_caller *caller)
{
    return caller->protected_mode && caller->cpl == 0 && hv_page_enabled(partition->hypercall);
}

/* Rep counts and header sizes that the call does not have. */
static bool shape_is_valid(const struct call_row *row, const struct vmmu_hyperv_call *call)
{
    if (call->variable_header_bytes != 0 && !row->variable_header) {
        return false;
    }
    if (row->element_bytes == 0) {
        return call->rep_count == 0 && call->rep_start == 0;
    }
    return call->rep_start < call->rep_count;
}

static uint32_t input_bytes(const struct call_row *row, const struct vmmu_hyperv_call *call)
{
    return (uint32_t)row->header_bytes + call->variable_header_bytes +
           (uint32_t)row->element_bytes * call->rep_count;
}

static bool input_in_page(vmmu_gpa input, uint32_t bytes)
{
    const uint64_t offset = input.v & (VMMU_PAGE_BYTES - 1);

    return vmmu_is_aligned(input.v, 8) && bytes <= VMMU_PAGE_BYTES - offset;
}

/* All of the input value but its call code. */
static enum vmmu_hyperv_result check_input_value(const struct call_row *row,
                                                 const struct vmmu_hyperv_call *call, uint64_t value)
{
    const uint32_t bytes = input_bytes(row, call);

    if ((value & INPUT_RESERVED) != 0) {
        return VMMU_HYPERV_INVALID_INPUT;
    }
    if (row->answer == CALL_DENIED) {
        return VMMU_HYPERV_ACCESS_DENIED;
    }
    if (!shape_is_valid(row, call)) {
        return VMMU_HYPERV_INVALID_INPUT;
    }
    if (call->fast) {
        return bytes <= FAST_BYTES ? VMMU_HYPERV_SUCCESS : VMMU_HYPERV_INVALID_INPUT;
    }
    return bytes == 0 || input_in_page(call->input, bytes) ? VMMU_HYPERV_SUCCESS
                                                           : VMMU_HYPERV_INVALID_ALIGNMENT;
}

struct vmmu_hyperv_call_outcome vmmu_hyperv_call_decode(const struct vmmu_hyperv_partition *partition,
                                                        const struct vmmu_hyperv_caller *caller,
                                                        struct vmmu_hyperv_call *call)
{
    *call = (struct vmmu_hyperv_call){ 0 };
    if (!may_call(partition, caller)) {
        return (struct vmmu_hyperv_call_outcome){ .action = VMMU_HYPERV_CALL_UD };
    }
    const uint64_t value = take_registers(caller, call);

    call->code = field(value, INPUT_CODE_BITS - 1, 0);
    call->fast = (value & BIT64(INPUT_FAST)) != 0;
    call->variable_header_bytes = (uint16_t)(8 * field(value, INPUT_HEADER_HIGH, INPUT_HEADER_LOW));
    call->rep_count = field(value, INPUT_COUNT_HIGH, INPUT_COUNT_LOW);
    call->rep_start = field(value, INPUT_START_HIGH, INPUT_START_LOW);
    call->input = (vmmu_gpa){ call->fast_input[0] };

    const struct call_row *row = row_of(call->code);

    if (row == NULL) {
        return answer(call, VMMU_HYPERV_INVALID_CODE);
    }
    const enum vmmu_hyperv_result status = check_input_value(row, call, value);

    if (status != VMMU_HYPERV_SUCCESS) {
        return answer(call, status);
    }
    call->input_bytes = call->fast ? 0 : (uint16_t)input_bytes(row, call);
    return (struct vmmu_hyperv_call_outcome){ .action = VMMU_HYPERV_CALL_INPUT };
}

struct vmmu_hyperv_call_outcome
vmmu_hyperv_call_perform(const struct vmmu_hyperv_partition *partition, const struct vmmu_hyperv_vp *vp,
                         const struct vmmu_hyperv_call *call, const uint8_t *input)
{
    const struct call_row *row = row_of(call->code);
    struct vmmu_hyperv_call_outcome outcome;
    enum vmmu_hyperv_result status;

    VMMU_ASSERT(row != NULL && row->answer != CALL_DENIED);
    outcome = answer(call, VMMU_HYPERV_SUCCESS);
    if (row->answer == CALL_LONG_SPIN) {
        outcome.action = VMMU_HYPERV_CALL_YIELD;
        return outcome;
    }
    status = vmmu_hyperv_flush_decode(&partition->config, call, input, &outcome.flush);
    if (status != VMMU_HYPERV_SUCCESS) {
        return answer(call, status);
    }
    outcome.flush.includes_caller = (outcome.flush.vps & BIT64(vp->index)) != 0;
    if (outcome.flush.vps != 0) {
        outcome.action = VMMU_HYPERV_CALL_FLUSH;
    }
    return outcome;
}

uint64_t vmmu_hyperv_call_no_memory(const struct vmmu_hyperv_call *call)
{
    return result_of(VMMU_HYPERV_INVALID_ALIGNMENT, call->rep_start);
}

struct vmmu_hyperv_result_registers vmmu_hyperv_result_registers(bool code64, uint64_t result)
{
    if (code64) {
        return (struct vmmu_hyperv_result_registers){ .rax = result };
    }
    return (struct vmmu_hyperv_result_registers){
        .rax = result & BITS64(31, 0),
        .rdx = result >> 32,
        .writes_rdx = true,
    };
}

void vmmu_hyperv_fill_hypercall_page(const struct vmmu_hyperv_partition *partition, uint8_t *page)
{
    static const uint8_t vmmcall_ret[] = { 0x0F, 0x01, 0xD9, 0xC3 };
    static const uint8_t vmcall_ret[] = { 0x0F, 0x01, 0xC1, 0xC3 };
    const bool amd = partition->config.call_instruction == VMMU_HYPERV_VMMCALL;

    /* A jump to anywhere else in the page stops at a breakpoint instruction. */
    __builtin_memset(page, 0xCC, VMMU_PAGE_BYTES);
    __builtin_memcpy(page, amd ? vmmcall_ret : vmcall_ret, sizeof(vmmcall_ret));
}
