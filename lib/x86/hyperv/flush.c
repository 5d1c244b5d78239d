/*
 * The flush hypercalls: which virtual processors drop which translations.
 *
 * Invariant: every processor that the input names and that exists is in the request; a request may flush more
 * than was asked for, never less.
 */
#include "lib/x86/hyperv/flush.h"

#include "lib/x86/hyperv/call.h"
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

static bool is_ex(const struct vmmu_hyperv_call *call)
{
    return call->code == 0x0013 || call->code == 0x0014;
}

static bool is_list(const struct vmmu_hyperv_call *call)
{
    return call->code == 0x0003 || call->code == 0x0014;
}

static bool is_guest_physical(const struct vmmu_hyperv_call *call)
{
    return call->code == 0x00AF || call->code == 0x00B0;
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
    const uint64_t mask = hv_word_at(input, INPUT_MASK);

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
    const uint64_t format = hv_word_at(input, INPUT_SET_FORMAT);
    const uint64_t banks = hv_word_at(input, INPUT_SET_BANKS);

    _Static_assert(VMMU_HYPERV_VPS <= 64, "one bank of a sparse set holds every processor");
    if (8 * bits_in(banks) != call->variable_header_bytes) {
        return VMMU_HYPERV_INVALID_INPUT;
    }
    if (format != SET_SPARSE_4K && format != SET_ALL) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    *vps = every_vp(config);
    if (format == SET_SPARSE_4K) {
        *vps &= (banks & 1) != 0 ? hv_word_at(input, INPUT_SET_BANK0) : 0;
    }
    return VMMU_HYPERV_SUCCESS;
}

/* Which processors a call names that is about virtual addresses. */
static enum vmmu_hyperv_result decode_vps(const struct vmmu_hyperv_config *config,
                                          const struct vmmu_hyperv_call *call, const uint8_t *input,
                                          uint64_t *vps)
{
    const uint64_t flags = hv_word_at(input, INPUT_FLAGS);
    const enum vmmu_hyperv_result status =
        is_ex(call) ? decode_set(config, call, input, vps) : VMMU_HYPERV_SUCCESS;

    if (status != VMMU_HYPERV_SUCCESS) {
        return status;
    }
    if ((flags & ~(uint64_t)FLUSH_KNOWN) != 0 || (is_list(call) && (flags & FLUSH_NON_GLOBAL_ONLY) != 0)) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    if ((flags & FLUSH_ALL_PROCESSORS) != 0) {
        *vps = every_vp(config);
        return VMMU_HYPERV_SUCCESS;
    }
    return is_ex(call) ? VMMU_HYPERV_SUCCESS : decode_mask(config, input, vps);
}

/*
 * A guest of ours makes no second-level address spaces, so that the only one it can name, by 0, is that which the hypervisor makes of
 * its guest-physical addresses. A list of them flushes all: what shadows are made of is not kept by address.
 */
static enum vmmu_hyperv_result decode_guest_physical(const struct vmmu_hyperv_config *config,
                                                     const struct vmmu_hyperv_call *call,
                                                     const uint8_t *input, struct vmmu_hyperv_flush *flush)
{
    if (hv_call_word(call, input, INPUT_SPACE) != 0 || hv_call_word(call, input, INPUT_FLAGS) != 0) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    *flush = (struct vmmu_hyperv_flush){
        .vps = every_vp(config),
        .guest_physical = true,
        .all_address_spaces = true,
    };
    return VMMU_HYPERV_SUCCESS;
}

enum vmmu_hyperv_result vmmu_hyperv_flush_decode(const struct vmmu_hyperv_config *config,
                                                 const struct vmmu_hyperv_call *call,
                                                 const struct vmmu_hyperv_reps *reps, const uint8_t *input,
                                                 struct vmmu_hyperv_flush *flush)
{
    enum vmmu_hyperv_result status;
    uint64_t vps = 0;

    if (is_guest_physical(call)) {
        return decode_guest_physical(config, call, input, flush);
    }
    status = decode_vps(config, call, input, &vps);
    if (status == VMMU_HYPERV_SUCCESS) {
        const uint64_t flags = hv_word_at(input, INPUT_FLAGS);

        *flush = (struct vmmu_hyperv_flush){
            .vps = vps,
            .all_address_spaces = (flags & FLUSH_ALL_SPACES) != 0,
            .keep_global = (flags & FLUSH_NON_GLOBAL_ONLY) != 0,
            .address_space = hv_word_at(input, INPUT_SPACE),
            .range_first = reps->first,
            .range_count = reps->count,
            .range_offset =
                (uint16_t)(is_ex(call) ? HEADER_BYTES_EX + call->variable_header_bytes : HEADER_BYTES),
        };
    }
    return status;
}

struct vmmu_hyperv_gva_range vmmu_hyperv_flush_range(const struct vmmu_hyperv_flush *flush,
                                                     const uint8_t *input, uint16_t index)
{
    const unsigned element = (unsigned)flush->range_first + index;
    const uint64_t range = hv_word_at(input, flush->range_offset + 8 * element);

    VMMU_ASSERT(index < flush->range_count);
    return (struct vmmu_hyperv_gva_range){
        .base = { range & BITS64(63, 12) },
        .pages = (range & BITS64(11, 0)) + 1,
    };
}

/* Linear addresses that translate on @cpu in some mode: so many bits, sign-extended if there are more than 32. */
static unsigned linear_bits(const struct vmmu_x86_cpu *cpu)
{
    if (!cpu->long_mode) {
        return 32;
    }
    return cpu->la57 ? 57 : 48;
}

/* Cut @range to the half of the linear addresses that it begins in; false if nothing is left of it. */
static bool cut_range(const struct vmmu_x86_cpu *cpu, struct vmmu_hyperv_gva_range *range)
{
    const unsigned bits = linear_bits(cpu);
    const uint64_t upper = bits == 32 ? BIT64(32) : 0 - BIT64(bits - 1);
    const uint64_t lower_end = bits == 32 ? BIT64(32) : BIT64(bits - 1);
    const uint64_t base = range->base.v;
    uint64_t left;

    /* A range that begins in the hole is too short to come out of the gap unless it begins close below the upper half. */
    if (base < lower_end) {
        left = (lower_end - base) >> VMMU_PAGE_SHIFT;
    } else if (bits == 32) {
        return false;
    } else if (base >= upper) {
        left = (0 - base) >> VMMU_PAGE_SHIFT;
    } else {
        const uint64_t gap = (upper - base) >> VMMU_PAGE_SHIFT;

        if (gap >= range->pages) {
            return false;
        }
        *range = (struct vmmu_hyperv_gva_range){ { upper }, range->pages - gap };
        return true;
    }
    if (range->pages > left) {
        range->pages = left;
    }
    return true;
}

struct vmmu_hyperv_flush_plan vmmu_hyperv_flush_plan(const struct vmmu_x86_cpu *cpu,
                                                     const struct vmmu_hyperv_flush *flush,
                                                     const uint8_t *input)
{
    struct vmmu_hyperv_flush_plan result = {
        .plan = { .vps = flush->vps, .whole_tag = flush->range_count == 0 },
        .guest_physical = flush->guest_physical,
        .keep_global = flush->keep_global,
        .all_address_spaces = flush->all_address_spaces,
        .address_space = flush->address_space,
    };

    for (uint16_t i = 0; i < flush->range_count; i++) {
        struct vmmu_hyperv_gva_range range = vmmu_hyperv_flush_range(flush, input, i);

        if (cut_range(cpu, &range)) {
            vmmu_plan_add(&result.plan, range.base.v, range.pages);
        }
    }
    return result;
}
