/*
 * Hypercalls: the page that makes them, and their calling convention.
 *
 * Invariant: decoding has checked every bit of the input value, the caller's privileges, and that input and output
 * lie in one page each and apart, before a byte of the input is asked for. What is known of a call is one row of `calls`.
 */
#include "lib/x86/hyperv/call.h"
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

/*
 * Elements at a go. A flush's element is one range in a plan; a page is one edit of nested tables. Registers are set all in one go,
 * 127 at most in a page of input, because each go must leave a state that a processor can be in.
 */
#define GO_FLUSH        64
#define GO_GET          32
#define GO_SET          128
#define GO_PAGES        16

#define CHILDREN        VMMU_HYPERV_PRIVILEGE_CHILDREN
#define VP_REGISTERS    VMMU_HYPERV_PRIVILEGE_VP_REGISTERS

/* Spec: TLFS "Hypercall Code Reference". */
static const struct call_row calls[] = {
    { .code = 0x0001, .answer = CALL_SWITCH, .header_bytes = 8 },
    { .code = 0x0002, .answer = CALL_FLUSH, .header_bytes = 24 },
    { .code = 0x0003, .answer = CALL_FLUSH, .header_bytes = 24, .element_bytes = 8, .go = GO_FLUSH },
    { .code = 0x0008, .answer = CALL_LONG_SPIN, .header_bytes = 8 },
    { .code = 0x0013, .answer = CALL_FLUSH, .header_bytes = 32, .variable_header = true },
    { .code = 0x0014,
      .answer = CALL_FLUSH,
      .header_bytes = 32,
      .element_bytes = 8,
      .go = GO_FLUSH,
      .variable_header = true },
    { .code = 0x0040, .answer = CALL_DENIED }, /* HvCreatePartition */
    { .code = 0x0046, .answer = CALL_DENIED }, /* HvGetPartitionId */
    { .code = 0x0048, .answer = CALL_DENIED }, /* HvDepositMemory */
    { .code = 0x004B,
      .answer = CALL_MAP,
      .header_bytes = 24,
      .element_bytes = 8,
      .go = GO_PAGES,
      .privileges = CHILDREN },
    { .code = 0x004C, .answer = CALL_UNMAP, .header_bytes = 16, .go = GO_PAGES, .privileges = CHILDREN },
    { .code = 0x0050,
      .answer = CALL_GET,
      .header_bytes = 16,
      .element_bytes = 4,
      .output_element_bytes = 16,
      .go = GO_GET,
      .privileges = CHILDREN | VP_REGISTERS },
    { .code = 0x0051,
      .answer = CALL_SET,
      .header_bytes = 16,
      .element_bytes = 32,
      .go = GO_SET,
      .privileges = CHILDREN },
    { .code = 0x0052,
      .answer = CALL_TRANSLATE,
      .header_bytes = 32,
      .output_bytes = 16,
      .privileges = CHILDREN },
    { .code = 0x0053,
      .answer = CALL_READ_GPA,
      .header_bytes = 32,
      .output_bytes = 24,
      .privileges = CHILDREN },
    { .code = 0x0054,
      .answer = CALL_WRITE_GPA,
      .header_bytes = 48,
      .output_bytes = 8,
      .privileges = CHILDREN },
    { .code = 0x0057, .answer = CALL_DENIED }, /* HvCreatePort */
    { .code = 0x005B, .answer = CALL_DENIED }, /* HvConnectPort */
    { .code = 0x005C, .answer = CALL_DENIED }, /* HvPostMessage */
    { .code = 0x005D, .answer = CALL_DENIED }, /* HvSignalEvent */
    { .code = 0x00AF, .answer = CALL_FLUSH_GPA, .header_bytes = 16 },
    { .code = 0x00B0, .answer = CALL_FLUSH_GPA, .header_bytes = 16, .element_bytes = 8, .go = GO_FLUSH },
};

const struct call_row *vmmu_hyperv_call_row(uint16_t code)
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

static uint16_t field(uint64_t value, unsigned high, unsigned low)
{
    return (uint16_t)((value & BITS64(high, low)) >> low);
}

static uint64_t pair(uint64_t high, uint64_t low)
{
    return (high & BITS64(31, 0)) << 32 | (low & BITS64(31, 0));
}

/* Where the registers of 64-bit and of 32-bit code hold the input value and the parameters. */
static void take_registers(const struct vmmu_hyperv_caller *caller, struct vmmu_hyperv_call *call)
{
    if (caller->code64) {
        call->fast_input[0] = caller->rdx;
        call->fast_input[1] = caller->r8;
        call->input_value = caller->rcx;
        return;
    }
    call->fast_input[0] = pair(caller->rbx, caller->rcx);
    call->fast_input[1] = pair(caller->rdi, caller->rsi);
    call->input_value = pair(caller->rdx, caller->rax);
}

static bool may_call(const struct vmmu_hyperv_partition *partition, const struct vmmu_hyperv_caller *caller)
{
    return caller->protected_mode && caller->cpl == 0 && hv_page_enabled(partition->hypercall);
}

static bool is_denied(const struct vmmu_hyperv_partition *partition, const struct call_row *row)
{
    return row->answer == CALL_DENIED ||
           (row->privileges != 0 && (row->privileges & partition->config.privileges) == 0);
}

/* Rep counts and header sizes that the call does not have. */
static bool shape_is_valid(const struct call_row *row, const struct vmmu_hyperv_call *call)
{
    if (call->variable_header_bytes != 0 && !row->variable_header) {
        return false;
    }
    if (row->go == 0) {
        return call->rep_count == 0 && call->rep_start == 0;
    }
    return call->rep_start < call->rep_count;
}

static uint32_t input_bytes(const struct call_row *row, const struct vmmu_hyperv_call *call)
{
    return (uint32_t)row->header_bytes + call->variable_header_bytes +
           (uint32_t)row->element_bytes * call->rep_count;
}

static uint32_t output_bytes(const struct call_row *row, const struct vmmu_hyperv_call *call)
{
    return (uint32_t)row->output_bytes + (uint32_t)row->output_element_bytes * call->rep_count;
}

/* A list that is aligned, within one page, and within the addresses that the partition has. */
static bool list_is_placed(const struct vmmu_hyperv_partition *partition, vmmu_gpa at, uint32_t bytes)
{
    const uint64_t offset = at.v & (VMMU_PAGE_BYTES - 1);
    const bool addressable = (at.v & BITS64(63, partition->config.maxphyaddr)) == 0;

    return bytes == 0 || (vmmu_is_aligned(at.v, 8) && bytes <= VMMU_PAGE_BYTES - offset && addressable);
}

static bool lists_overlap(const struct vmmu_hyperv_call *call, uint32_t in_bytes, uint32_t out_bytes)
{
    return in_bytes != 0 && out_bytes != 0 && call->input.v < call->output.v + out_bytes &&
           call->output.v < call->input.v + in_bytes;
}

/* Where a call's lists are; a fast one has its input in registers, and cannot have output. */
static enum vmmu_hyperv_result check_lists(const struct vmmu_hyperv_partition *partition,
                                           const struct call_row *row, struct vmmu_hyperv_call *call)
{
    const uint32_t in_bytes = input_bytes(row, call);
    const uint32_t out_bytes = output_bytes(row, call);

    if (call->fast) {
        return in_bytes <= FAST_BYTES && out_bytes == 0 ? VMMU_HYPERV_SUCCESS : VMMU_HYPERV_INVALID_INPUT;
    }
    if (!list_is_placed(partition, call->input, in_bytes) ||
        !list_is_placed(partition, call->output, out_bytes) || lists_overlap(call, in_bytes, out_bytes)) {
        return VMMU_HYPERV_INVALID_ALIGNMENT;
    }
    call->input_bytes = (uint16_t)in_bytes;
    call->output_bytes = (uint16_t)out_bytes;
    return VMMU_HYPERV_SUCCESS;
}

/* All of the input value but its call code, and where the lists are. */
static enum vmmu_hyperv_result check_call(const struct vmmu_hyperv_partition *partition,
                                          const struct call_row *row, struct vmmu_hyperv_call *call)
{
    if ((call->input_value & INPUT_RESERVED) != 0) {
        return VMMU_HYPERV_INVALID_INPUT;
    }
    if (is_denied(partition, row)) {
        return VMMU_HYPERV_ACCESS_DENIED;
    }
    if (!shape_is_valid(row, call)) {
        return VMMU_HYPERV_INVALID_INPUT;
    }
    return check_lists(partition, row, call);
}

struct vmmu_hyperv_call_outcome vmmu_hyperv_call_decode(const struct vmmu_hyperv_partition *partition,
                                                        const struct vmmu_hyperv_caller *caller,
                                                        struct vmmu_hyperv_call *call)
{
    *call = (struct vmmu_hyperv_call){ 0 };
    if (!may_call(partition, caller)) {
        return (struct vmmu_hyperv_call_outcome){ .action = VMMU_HYPERV_CALL_UD };
    }
    take_registers(caller, call);
    call->code = field(call->input_value, INPUT_CODE_BITS - 1, 0);
    call->fast = (call->input_value & BIT64(INPUT_FAST)) != 0;
    call->variable_header_bytes =
        (uint16_t)(8 * field(call->input_value, INPUT_HEADER_HIGH, INPUT_HEADER_LOW));
    call->rep_count = field(call->input_value, INPUT_COUNT_HIGH, INPUT_COUNT_LOW);
    call->rep_start = field(call->input_value, INPUT_START_HIGH, INPUT_START_LOW);
    call->input = (vmmu_gpa){ call->fast_input[0] };
    call->output = (vmmu_gpa){ call->fast_input[1] };

    const struct call_row *row = vmmu_hyperv_call_row(call->code);
    const enum vmmu_hyperv_result status =
        row == NULL ? VMMU_HYPERV_INVALID_CODE : check_call(partition, row, call);

    /* Of a call that is none nothing has been done, wherever it says that it starts. */
    if (status != VMMU_HYPERV_SUCCESS) {
        return (struct vmmu_hyperv_call_outcome){
            .action = VMMU_HYPERV_CALL_DONE, .end = { .complete = true, .value = result_of(status, 0) }
        };
    }
    return (struct vmmu_hyperv_call_outcome){ .action = VMMU_HYPERV_CALL_INPUT };
}

struct vmmu_hyperv_call_end vmmu_hyperv_call_end(const struct vmmu_hyperv_call *call,
                                                 enum vmmu_hyperv_result status, uint16_t done)
{
    const uint16_t reps = (uint16_t)(call->rep_start + done);

    if (status == VMMU_HYPERV_SUCCESS && reps < call->rep_count) {
        const uint64_t others = call->input_value & ~BITS64(INPUT_START_HIGH, INPUT_START_LOW);

        return (struct vmmu_hyperv_call_end){ .value = others | (uint64_t)reps << INPUT_START_LOW };
    }
    return (struct vmmu_hyperv_call_end){ .complete = true, .value = result_of(status, reps) };
}

struct vmmu_hyperv_call_end vmmu_hyperv_call_no_memory(const struct vmmu_hyperv_call *call)
{
    return vmmu_hyperv_call_end(call, VMMU_HYPERV_INVALID_ALIGNMENT, 0);
}

struct vmmu_hyperv_end_registers vmmu_hyperv_end_registers(const struct vmmu_hyperv_caller *caller,
                                                           const struct vmmu_hyperv_call_end *end)
{
    struct vmmu_hyperv_end_registers registers = { caller->rax, caller->rcx, caller->rdx };

    if (!caller->code64) {
        registers.rax = end->value & BITS64(31, 0);
        registers.rdx = end->value >> 32;
    } else if (end->complete) {
        registers.rax = end->value;
    } else {
        registers.rcx = end->value;
    }
    return registers;
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
