/*
 * Messages about a child, as bytes.
 *
 * Invariant: every byte of a message is written here; what is not said is zero.
 *
 * Spec: TLFS "Intercept Message", "Memory Access Messages", "Unsupported Feature".
 */
#include "lib/x86/hyperv/hyperv.h"
#include "lib/x86/hyperv/registers.h"

/* The header of every message, and where the payload begins. */
enum {
    MESSAGE_TYPE = 0,
    MESSAGE_PAYLOAD_BYTES = 4,
    MESSAGE_SENDER = 8,
    MESSAGE_PAYLOAD = 16,
};

/* The payload of every intercept begins so. */
enum {
    INTERCEPT_VP = 0,
    INTERCEPT_LENGTH = 4,
    INTERCEPT_ACCESS = 5,
    INTERCEPT_STATE = 6,
    INTERCEPT_CS = 8,
    INTERCEPT_RIP = 24,
    INTERCEPT_RFLAGS = 32,
};

/* And so goes on that of an access to memory. */
enum {
    MEMORY_TYPE = 40,
    MEMORY_FETCHED = 44,
    MEMORY_INFORMATION = 45,
    MEMORY_GVA = 48,
    MEMORY_GPA = 56,
    MEMORY_INSTRUCTION = 64,
    MEMORY_BYTES = 80,
};

enum {
    FEATURE_VP = 0,
    FEATURE_CODE = 4,
    FEATURE_PARAMETER = 8,
    FEATURE_BYTES = 16,
};

enum {
    CODE_INTERCEPT = 1,
    CODE_TASK_SWITCH_TSS = 2,
};

_Static_assert(MESSAGE_PAYLOAD + VMMU_HYPERV_PAYLOAD_BYTES == VMMU_HYPERV_MESSAGE_BYTES,
               "a slot is a header and a payload");
_Static_assert(MEMORY_BYTES <= VMMU_HYPERV_PAYLOAD_BYTES, "the payload has room for an intercept");

/* VMMU_X86_READ, _WRITE and _EXECUTE are 0, 1 and 2 there too. */
_Static_assert(VMMU_X86_READ == 0 && VMMU_X86_WRITE == 1 && VMMU_X86_EXECUTE == 2,
               "accesses are numbered as messages number them");

#define STATE_CR0_PE        BIT64(2)
#define STATE_CR0_AM        BIT64(3)
#define STATE_EFER_LMA      BIT64(4)
#define STATE_DEBUG_ACTIVE  BIT64(5)
#define STATE_EVENT_PENDING BIT64(6)
#define STATE_SHADOW        BIT64(12)

#define INFORMATION_GVA     BIT64(0)

#define FEATURE_PAGE        BITS64(63, 12)

static struct vmmu_hyperv_message begin(enum vmmu_hyperv_message_type type, uint64_t sender,
                                        unsigned payload_bytes)
{
    struct vmmu_hyperv_message message = { 0 };

    hv_put_bytes(message.bytes + MESSAGE_TYPE, (uint32_t)type, 4);
    hv_put_bytes(message.bytes + MESSAGE_PAYLOAD_BYTES, payload_bytes, 1);
    hv_put_bytes(message.bytes + MESSAGE_SENDER, sender, 8);
    return message;
}

static uint64_t execution_state(const struct vmmu_hyperv_memory_intercept *intercept)
{
    const struct vmmu_x86_state *state = intercept->state;
    uint64_t bits = state->cpl;

    bits |= (state->cr0 & VMMU_X86_CR0_PE) != 0 ? STATE_CR0_PE : 0;
    bits |= (state->cr0 & VMMU_X86_CR0_AM) != 0 ? STATE_CR0_AM : 0;
    bits |= (state->efer & VMMU_X86_EFER_LMA) != 0 ? STATE_EFER_LMA : 0;
    bits |= intercept->debug_active ? STATE_DEBUG_ACTIVE : 0;
    bits |= intercept->event_pending ? STATE_EVENT_PENDING : 0;
    bits |= state->interrupt_shadow ? STATE_SHADOW : 0;
    return bits;
}

struct vmmu_hyperv_message vmmu_hyperv_message_memory(const struct vmmu_hyperv_memory_intercept *intercept)
{
    struct vmmu_hyperv_message message =
        begin(intercept->mapped ? VMMU_HYPERV_MESSAGE_GPA_INTERCEPT : VMMU_HYPERV_MESSAGE_UNMAPPED_GPA,
              intercept->partition, MEMORY_BYTES);
    const struct vmmu_x86_state *state = intercept->state;
    uint8_t *payload = message.bytes + MESSAGE_PAYLOAD;

    VMMU_ASSERT(intercept->fetched <= sizeof(intercept->instruction));
    hv_put_bytes(payload + INTERCEPT_VP, intercept->vp, 4);
    hv_put_bytes(payload + INTERCEPT_LENGTH, intercept->instruction_bytes, 1);
    hv_put_bytes(payload + INTERCEPT_ACCESS, (uint64_t)intercept->access, 1);
    hv_put_bytes(payload + INTERCEPT_STATE, execution_state(intercept), 2);
    vmmu_hyperv_put_segment(&state->segment[VMMU_X86_CS], payload + INTERCEPT_CS);
    hv_put_bytes(payload + INTERCEPT_RIP, state->rip, 8);
    hv_put_bytes(payload + INTERCEPT_RFLAGS, state->rflags, 8);
    hv_put_bytes(payload + MEMORY_TYPE, (uint64_t)intercept->type, 4);
    hv_put_bytes(payload + MEMORY_FETCHED, intercept->fetched, 1);
    hv_put_bytes(payload + MEMORY_INFORMATION, intercept->gva_valid ? INFORMATION_GVA : 0, 1);
    hv_put_bytes(payload + MEMORY_GVA, intercept->gva_valid ? intercept->gva.v : 0, 8);
    hv_put_bytes(payload + MEMORY_GPA, intercept->gpa.v, 8);
    __builtin_memcpy(payload + MEMORY_INSTRUCTION, intercept->instruction, intercept->fetched);
    return message;
}

struct vmmu_hyperv_message vmmu_hyperv_message_unsupported(uint64_t partition, uint32_t vp,
                                                           enum vmmu_hyperv_feature feature, uint64_t detail)
{
    struct vmmu_hyperv_message message =
        begin(VMMU_HYPERV_MESSAGE_UNSUPPORTED_FEATURE, partition, FEATURE_BYTES);
    const bool task_switch = feature == VMMU_HYPERV_FEATURE_TASK_SWITCH;
    uint8_t *payload = message.bytes + MESSAGE_PAYLOAD;

    hv_put_bytes(payload + FEATURE_VP, vp, 4);
    hv_put_bytes(payload + FEATURE_CODE, task_switch ? CODE_TASK_SWITCH_TSS : CODE_INTERCEPT, 4);
    hv_put_bytes(payload + FEATURE_PARAMETER,
                 task_switch ? detail : (detail & FEATURE_PAGE) | (uint64_t)feature, 8);
    return message;
}
