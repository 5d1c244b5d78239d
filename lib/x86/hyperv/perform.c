/*
 * The input of hypercalls, turned into what has to be done.
 *
 * Invariant: an outcome asks for nothing of another partition unless the facts say that it is there, alive and the caller's
 * child, and of a virtual processor that exists.
 */
#include "lib/x86/hyperv/call.h"
#include "lib/x86/hyperv/flush.h"
#include "lib/x86/hyperv/hyperv.h"

/* Input by byte offset. */
enum {
    TARGET_PARTITION = 0,
    TARGET_VP = 8,
    TRANSLATE_CONTROL = 16,
    TRANSLATE_PAGE = 24,
    ACCESS_BYTES = 12,
    ACCESS_GPA = 16,
    ACCESS_CONTROL = 24,
    ACCESS_DATA = 32,
    MAP_BASE = 8,
    MAP_FLAGS = 16,
    MAP_LIST = 24,
};

#define PAGE_NUMBERS BITS64(51, 0)

static struct vmmu_hyperv_call_outcome answer(const struct vmmu_hyperv_call *call,
                                              enum vmmu_hyperv_result status)
{
    return (struct vmmu_hyperv_call_outcome){
        .action = VMMU_HYPERV_CALL_DONE,
        .end = vmmu_hyperv_call_end(call, status, 0),
    };
}

static bool names_vp(enum call_answer answer)
{
    return answer == CALL_GET || answer == CALL_SET || answer == CALL_TRANSLATE || answer == CALL_READ_GPA ||
           answer == CALL_WRITE_GPA;
}

struct vmmu_hyperv_target vmmu_hyperv_call_target(const struct vmmu_hyperv_partition *partition,
                                                  const struct vmmu_hyperv_vp *vp,
                                                  const struct vmmu_hyperv_call *call, const uint8_t *input)
{
    const struct call_row *row = vmmu_hyperv_call_row(call->code);
    const uint64_t own = partition->config.partition_id;
    struct vmmu_hyperv_target target = { .named_vp = names_vp(row->answer) };

    target.named = target.named_vp || row->answer == CALL_MAP || row->answer == CALL_UNMAP;
    if (!target.named) {
        return target;
    }
    target.partition_id = hv_call_word(call, input, TARGET_PARTITION);
    if (target.partition_id == VMMU_HYPERV_PARTITION_SELF) {
        target.partition_id = own;
    }
    target.self = target.partition_id == own;
    if (target.named_vp) {
        target.vp = (uint32_t)(hv_call_word(call, input, TARGET_VP) & BITS64(31, 0));
        if (target.vp == VMMU_HYPERV_VP_SELF && target.self) {
            target.vp = vp->index;
        }
    }
    return target;
}

/* Of its own partition a caller may only read registers, and that by privilege. */
static enum vmmu_hyperv_result
check_target(const struct vmmu_hyperv_partition *partition, const struct call_row *row,
             const struct vmmu_hyperv_target *target, const struct vmmu_hyperv_target_facts *facts)
{
    const uint64_t privileges = partition->config.privileges;

    if (!facts->exists) {
        return VMMU_HYPERV_INVALID_PARTITION_ID;
    }
    if (target->self ? row->answer != CALL_GET || (privileges & VMMU_HYPERV_PRIVILEGE_VP_REGISTERS) == 0
                     : !facts->child || (privileges & VMMU_HYPERV_PRIVILEGE_CHILDREN) == 0) {
        return VMMU_HYPERV_ACCESS_DENIED;
    }
    if (!facts->live) {
        return VMMU_HYPERV_INVALID_PARTITION_STATE;
    }
    return target->named_vp && target->vp >= facts->vp_count ? VMMU_HYPERV_INVALID_VP_INDEX
                                                             : VMMU_HYPERV_SUCCESS;
}

/* Of HV_TRANSLATE_GVA_CONTROL_FLAGS all that is known; at least one access has to be asked for. */
static enum vmmu_hyperv_result decode_translate(const uint8_t *input, struct vmmu_hyperv_translate *translate)
{
    const uint64_t control = hv_word_at(input, TRANSLATE_CONTROL);
    const uint64_t page = hv_word_at(input, TRANSLATE_PAGE);
    const uint64_t accesses =
        VMMU_HYPERV_TRANSLATE_READ | VMMU_HYPERV_TRANSLATE_WRITE | VMMU_HYPERV_TRANSLATE_EXECUTE;
    const uint64_t known = accesses | VMMU_HYPERV_TRANSLATE_EXEMPT | VMMU_HYPERV_TRANSLATE_SET_BITS |
                           VMMU_HYPERV_TRANSLATE_INHIBIT_FLUSH;

    if ((control & ~known) != 0 || (control & accesses) == 0 || (page & ~PAGE_NUMBERS) != 0) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    *translate = (struct vmmu_hyperv_translate){ control, { page << VMMU_PAGE_SHIFT } };
    return VMMU_HYPERV_SUCCESS;
}

static bool is_cache_type(uint64_t control)
{
    switch (control) {
    case VMMU_X86_TYPE_UC:
    case VMMU_X86_TYPE_WC:
    case VMMU_X86_TYPE_WT:
    case VMMU_X86_TYPE_WP:
    case VMMU_X86_TYPE_WB: return true;
    default: return false;
    }
}

static enum vmmu_hyperv_result decode_access(const uint8_t *input, bool write,
                                             struct vmmu_hyperv_access *access)
{
    const uint64_t bytes = hv_bytes_at(input + ACCESS_BYTES, 4);
    const uint64_t gpa = hv_word_at(input, ACCESS_GPA);

    if (bytes == 0 || bytes > sizeof(access->data) ||
        bytes > VMMU_PAGE_BYTES - (gpa & (VMMU_PAGE_BYTES - 1)) ||
        !is_cache_type(hv_word_at(input, ACCESS_CONTROL))) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    *access = (struct vmmu_hyperv_access){ .gpa = { gpa }, .bytes = (uint8_t)bytes };
    if (write) {
        __builtin_memcpy(access->data, input + ACCESS_DATA, (size_t)bytes);
    }
    return VMMU_HYPERV_SUCCESS;
}

/* Pages of the child, all within the caller's addresses: what the child has of them, who performs the call sees. */
static enum vmmu_hyperv_result decode_pages(const struct vmmu_hyperv_partition *partition,
                                            const struct vmmu_hyperv_call *call, const uint8_t *input,
                                            struct vmmu_hyperv_map *map)
{
    const uint64_t base = hv_call_word(call, input, MAP_BASE);
    const uint64_t limit = BIT64(partition->config.maxphyaddr - VMMU_PAGE_SHIFT);

    if (!vmmu_range_fits(base, call->rep_count, limit)) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    *map = (struct vmmu_hyperv_map){ .gpa = { (base + call->rep_start) << VMMU_PAGE_SHIFT } };
    return VMMU_HYPERV_SUCCESS;
}

/* Nothing is mapped that cannot be read, because a processor has no such page to give under every technique. */
static enum vmmu_hyperv_result decode_map(const struct vmmu_hyperv_partition *partition,
                                          const struct vmmu_hyperv_call *call, const uint8_t *input,
                                          struct vmmu_hyperv_map *map)
{
    const uint64_t flags = hv_bytes_at(input + MAP_FLAGS, 4);
    const uint64_t known = VMMU_HYPERV_MAP_READ | VMMU_HYPERV_MAP_WRITE | VMMU_HYPERV_MAP_EXECUTE;
    const enum vmmu_hyperv_result status = decode_pages(partition, call, input, map);

    if (status != VMMU_HYPERV_SUCCESS) {
        return status;
    }
    if ((flags & ~known) != 0 || (flags != 0 && (flags & VMMU_HYPERV_MAP_READ) == 0)) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    map->rights = (uint8_t)(((flags & VMMU_HYPERV_MAP_READ) != 0 ? VMMU_X86_RIGHT_READ : 0) |
                            ((flags & VMMU_HYPERV_MAP_WRITE) != 0 ? VMMU_X86_RIGHT_WRITE : 0) |
                            ((flags & VMMU_HYPERV_MAP_EXECUTE) != 0 ? VMMU_X86_RIGHT_EXECUTE : 0));
    return VMMU_HYPERV_SUCCESS;
}

static enum vmmu_hyperv_result decode_flush(const struct vmmu_hyperv_partition *partition,
                                            const struct vmmu_hyperv_call *call, const uint8_t *input,
                                            struct vmmu_hyperv_call_outcome *outcome)
{
    struct vmmu_hyperv_flush *flush = &outcome->flush;
    const enum vmmu_hyperv_result status =
        vmmu_hyperv_flush_decode(&partition->config, call, &outcome->reps, input, flush);

    if (status != VMMU_HYPERV_SUCCESS) {
        return status;
    }
    outcome->action = flush->vps != 0 ? VMMU_HYPERV_CALL_FLUSH : VMMU_HYPERV_CALL_DONE;
    outcome->end = vmmu_hyperv_call_end(call, VMMU_HYPERV_SUCCESS, outcome->reps.count);
    return VMMU_HYPERV_SUCCESS;
}

/* What the call itself asks for, its target being found good. */
static enum vmmu_hyperv_result decode_request(const struct vmmu_hyperv_partition *partition,
                                              const struct call_row *row, const struct vmmu_hyperv_call *call,
                                              const uint8_t *input, struct vmmu_hyperv_call_outcome *outcome)
{
    switch (row->answer) {
    case CALL_SWITCH:
        outcome->action = VMMU_HYPERV_CALL_SWITCH;
        outcome->address_space = hv_call_word(call, input, 0);
        return VMMU_HYPERV_SUCCESS;
    case CALL_GET:
    case CALL_SET:
        outcome->action =
            row->answer == CALL_GET ? VMMU_HYPERV_CALL_GET_REGISTERS : VMMU_HYPERV_CALL_SET_REGISTERS;
        return VMMU_HYPERV_SUCCESS;
    case CALL_TRANSLATE:
        outcome->action = VMMU_HYPERV_CALL_TRANSLATE;
        return decode_translate(input, &outcome->translate);
    case CALL_READ_GPA:
        outcome->action = VMMU_HYPERV_CALL_READ_GPA;
        return decode_access(input, false, &outcome->access);
    case CALL_WRITE_GPA:
        outcome->action = VMMU_HYPERV_CALL_WRITE_GPA;
        return decode_access(input, true, &outcome->access);
    case CALL_MAP:
        outcome->action = VMMU_HYPERV_CALL_MAP;
        return decode_map(partition, call, input, &outcome->map);
    case CALL_UNMAP:
        outcome->action = VMMU_HYPERV_CALL_UNMAP;
        return decode_pages(partition, call, input, &outcome->map);
    case CALL_LONG_SPIN:
        outcome->action = VMMU_HYPERV_CALL_YIELD;
        outcome->end = vmmu_hyperv_call_end(call, VMMU_HYPERV_SUCCESS, 0);
        return VMMU_HYPERV_SUCCESS;
    case CALL_FLUSH:
    case CALL_FLUSH_GPA:
    case CALL_DENIED: break;
    }
    return VMMU_HYPERV_INVALID_CODE;
}

struct vmmu_hyperv_call_outcome
vmmu_hyperv_call_perform(const struct vmmu_hyperv_partition *partition, const struct vmmu_hyperv_vp *vp,
                         const struct vmmu_hyperv_call *call, const uint8_t *input,
                         const struct vmmu_hyperv_target_facts *facts)
{
    const struct call_row *row = vmmu_hyperv_call_row(call->code);
    const uint16_t left = (uint16_t)(call->rep_count - call->rep_start);
    struct vmmu_hyperv_call_outcome outcome = {
        .reps = { call->rep_start, left < row->go ? left : row->go },
        .target = vmmu_hyperv_call_target(partition, vp, call, input),
    };
    enum vmmu_hyperv_result status = VMMU_HYPERV_SUCCESS;

    VMMU_ASSERT(row->answer != CALL_DENIED);
    if (outcome.target.named) {
        status = check_target(partition, row, &outcome.target, facts);
    }
    if (status == VMMU_HYPERV_SUCCESS) {
        status = row->answer == CALL_FLUSH || row->answer == CALL_FLUSH_GPA
                     ? decode_flush(partition, call, input, &outcome)
                     : decode_request(partition, row, call, input, &outcome);
    }
    return status == VMMU_HYPERV_SUCCESS ? outcome : answer(call, status);
}

vmmu_gpa vmmu_hyperv_map_source(const struct vmmu_hyperv_call_outcome *outcome, const uint8_t *input,
                                uint16_t index)
{
    const unsigned element = (unsigned)outcome->reps.first + index;

    VMMU_ASSERT(outcome->action == VMMU_HYPERV_CALL_MAP && index < outcome->reps.count);
    const uint64_t page = hv_word_at(input, MAP_LIST + 8 * element);

    /* A number beyond all addresses must not become another page's by losing its upper bits. */
    return (vmmu_gpa){ (page <= PAGE_NUMBERS ? page : PAGE_NUMBERS) << VMMU_PAGE_SHIFT };
}
