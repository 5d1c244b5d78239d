/*
 * The flush hypercalls: which virtual processors drop which translations.
 *
 * Invariant: every processor that the input names and that exists is in the request; a request may flush more
 * than was asked for, never less.
 */
#include "lib/x86/hyperv/flush.h"

#include "lib/x86/hyperv/hyperv.h"

/* The input's fields, by byte offset. */
enum {
    INPUT_SPACE = 0,
    INPUT_FLAGS = 8,
    INPUT_MASK = 16,
    INPUT_SET_FORMAT = 16,
    INPUT_SET_BANKS = 24,
    INPUT_SET_BANK0 = 32,
    HEADER_BYTES = 24,
    HEADER_BYTES_EX = 32,
};

enum flush_flag {
    FLUSH_ALL_PROCESSORS = 1 << 0,
    FLUSH_ALL_SPACES = 1 << 1,
    FLUSH_NON_GLOBAL_ONLY = 1 << 2,
    FLUSH_KNOWN = FLUSH_ALL_PROCESSORS | FLUSH_ALL_SPACES | FLUSH_NON_GLOBAL_ONLY,
};

enum set_format {
    SET_SPARSE_4K = 0,
    SET_ALL = 1,
};

static uint64_t word_at(const uint8_t *input, unsigned offset)
{
    uint64_t word = 0;

    for (unsigned i = 8; i > 0; i--) {
        word = word << 8 | input[offset + i - 1];
    }
    return word;
}

static bool is_ex(const struct vmmu_hyperv_call *call)
{
    return call->code == 0x0013 || call->code == 0x0014;
}

static bool is_list(const struct vmmu_hyperv_call *call)
{
    return call->code == 0x0003 || call->code == 0x0014;
}

static uint64_t every_vp(const struct vmmu_hyperv_config *config)
{
    return BITS64(config->vp_count - 1, 0);
}

static unsigned bits_in(uint64_t word)
{
    unsigned count = 0;

    for (; word != 0; word &= word - 1) {
        count++;
    }
    return count;
}

static enum vmmu_hyperv_result decode_mask(const struct vmmu_hyperv_config *config, const uint8_t *input,
                                           uint64_t *vps)
{
    const uint64_t mask = word_at(input, INPUT_MASK);

    if (mask == 0 && config->policy.empty_set_is_error) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    *vps = mask == 0 ? every_vp(config) : mask & every_vp(config);
    return VMMU_HYPERV_SUCCESS;
}

/* Of a sparse set only bank 0 names processors that exist: there are at most 64. */
static enum vmmu_hyperv_result decode_set(const struct vmmu_hyperv_config *config,
                                          const struct vmmu_hyperv_call *call, const uint8_t *input,
                                          uint64_t *vps)
{
    const uint64_t format = word_at(input, INPUT_SET_FORMAT);
    const uint64_t banks = word_at(input, INPUT_SET_BANKS);

    _Static_assert(VMMU_HYPERV_VPS <= 64, "one bank of a sparse set holds every processor");
    if (8 * bits_in(banks) != call->variable_header_bytes) {
        return VMMU_HYPERV_INVALID_INPUT;
    }
    if (format != SET_SPARSE_4K && format != SET_ALL) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    *vps = every_vp(config);
    if (format == SET_SPARSE_4K) {
        *vps &= (banks & 1) != 0 ? word_at(input, INPUT_SET_BANK0) : 0;
    }
    return VMMU_HYPERV_SUCCESS;
}

enum vmmu_hyperv_result vmmu_hyperv_flush_decode(const struct vmmu_hyperv_config *config,
                                                 const struct vmmu_hyperv_call *call, const uint8_t *input,
                                                 struct vmmu_hyperv_flush *flush)
{
    const uint64_t flags = word_at(input, INPUT_FLAGS);
    uint64_t vps = 0;
    enum vmmu_hyperv_result status =
        is_ex(call) ? decode_set(config, call, input, &vps) : VMMU_HYPERV_SUCCESS;

    if (status != VMMU_HYPERV_SUCCESS) {
        return status;
    }
    if ((flags & ~(uint64_t)FLUSH_KNOWN) != 0 || (is_list(call) && (flags & FLUSH_NON_GLOBAL_ONLY) != 0)) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    if ((flags & FLUSH_ALL_PROCESSORS) != 0) {
        vps = every_vp(config);
    } else if (!is_ex(call)) {
        status = decode_mask(config, input, &vps);
    }
    *flush = (struct vmmu_hyperv_flush){
        .vps = vps,
        .all_address_spaces = (flags & FLUSH_ALL_SPACES) != 0,
        .keep_global = (flags & FLUSH_NON_GLOBAL_ONLY) != 0,
        .address_space = word_at(input, INPUT_SPACE),
        .range_first = call->rep_start,
        .range_count = (uint16_t)(call->rep_count - call->rep_start),
        .range_offset =
            (uint16_t)(is_ex(call) ? HEADER_BYTES_EX + call->variable_header_bytes : HEADER_BYTES),
    };
    return status;
}

struct vmmu_hyperv_gva_range vmmu_hyperv_flush_range(const struct vmmu_hyperv_flush *flush,
                                                     const uint8_t *input, uint16_t index)
{
    const unsigned element = (unsigned)flush->range_first + index;
    const uint64_t range = word_at(input, flush->range_offset + 8 * element);

    VMMU_ASSERT(index < flush->range_count);
    return (struct vmmu_hyperv_gva_range){
        .base = { range & BITS64(63, 12) },
        .pages = (range & BITS64(11, 0)) + 1,
    };
}
