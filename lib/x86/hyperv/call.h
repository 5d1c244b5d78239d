/* What is known of each hypercall, and how its input is read. */
#ifndef LIB_X86_HYPERV_CALL_H
#define LIB_X86_HYPERV_CALL_H

#include <vmmu/hyperv.h>

/* What a call does. */
enum call_answer {
    CALL_DENIED,    /* exists, but is for nobody here */
    CALL_LONG_SPIN, /* HvNotifyLongSpinWait */
    CALL_SWITCH,    /* HvSwitchVirtualAddressSpace */
    CALL_FLUSH,     /* HvFlushVirtualAddressSpace, HvFlushVirtualAddressList and their Ex forms */
    CALL_FLUSH_GPA, /* HvFlushGuestPhysicalAddressSpace and HvFlushGuestPhysicalAddressList */
    CALL_GET,       /* HvGetVpRegisters */
    CALL_SET,       /* HvSetVpRegisters */
    CALL_TRANSLATE, /* HvTranslateVirtualAddress */
    CALL_READ_GPA,
    CALL_WRITE_GPA,
    CALL_MAP,   /* HvMapGpaPages */
    CALL_UNMAP, /* HvUnmapGpaPages */
};

struct call_row {
    uint16_t code;
    enum call_answer answer;
    uint8_t header_bytes;  /* fixed input */
    uint8_t element_bytes; /* of a rep call's input */
    uint8_t output_bytes;  /* fixed output */
    uint8_t output_element_bytes;
    uint8_t go; /* elements at a time, so that a go takes some 50 us at most; 0: a simple call */
    bool variable_header;
    uint64_t privileges; /* the caller has one of these; 0: none is needed */
};

/* NULL: there is no such call. */
const struct call_row *vmmu_hyperv_call_row(uint16_t code);

static inline uint64_t hv_bytes_at(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = bytes; i > 0; i--) {
        value = value << 8 | at[i - 1];
    }
    return value;
}

static inline uint64_t hv_word_at(const uint8_t *input, unsigned offset)
{
    return hv_bytes_at(input + offset, 8);
}

/* The 8 bytes at @offset, a multiple of 8, of the input of any call: a fast one has them in registers. */
static inline uint64_t hv_call_word(const struct vmmu_hyperv_call *call, const uint8_t *input,
                                    unsigned offset)
{
    return call->fast ? call->fast_input[offset / 8] : hv_word_at(input, offset);
}

#endif
