/* Hypercalls, from registers to registers: whatever is asked, only what may be asked is done, and every call ends. */
#include "hyperv.h"

static const uint16_t codes[] = { 1,    2,    3,    8,    0x13, 0x14, 0x4B, 0x4C, 0x50,
                                  0x51, 0x52, 0x53, 0x54, 0xAF, 0xB0, 0x40, 0x5C, 0x5D };

#define CODES (sizeof(codes) / sizeof(codes[0]))

static struct vmmu_hyperv_caller draw_caller(struct input *input)
{
    const uint8_t flags = input_u8(input);
    const uint64_t code = (flags & 8) ? input_u16(input) : codes[input_below(input, CODES)];
    const uint64_t shape = input_u64(input);
    const uint64_t value = code | (shape & ((flags & 0x80) ? ~BITS64(15, 0) : UINT64_C(0x000F007F00FF0000)));
    const uint64_t mask = (flags & 0x40) ? UINT64_MAX : BITS64(29, 3);
    const uint64_t parameter = input_u64(input) & mask;
    const uint64_t output = input_u64(input) & mask;

    if (flags & 1) {
        return (struct vmmu_hyperv_caller){
            .rax = (uint32_t)value,
            .rdx = value >> 32,
            .rbx = parameter >> 32,
            .rcx = (uint32_t)parameter,
            .rdi = output >> 32,
            .rsi = (uint32_t)output,
            .r8 = shape,
            .protected_mode = !(flags & 2),
            .cpl = (flags & 4) ? 3 : 0,
        };
    }
    return (struct vmmu_hyperv_caller){
        .rcx = value,
        .rdx = parameter,
        .r8 = output,
        .code64 = true,
        .protected_mode = !(flags & 2),
        .cpl = (flags & 4) ? 3 : 0,
    };
}

/* The input of a call: what the guest wrote there, in a block of just its size. */
static uint8_t *draw_call_input(struct input *input, const struct child *child,
                                const struct vmmu_hyperv_call *call)
{
    const unsigned bytes = call->input_bytes;
    uint8_t *block = malloc(bytes ? bytes : 1);
    const uint8_t flags = input_u8(input);
    const bool flush = call->code < 0x40;

    FUZZ_CHECK(block);
    input_copy(input, block, bytes);
    if (!flush && bytes >= 16 && (call->code == 0x50 || call->code == 0x51) && !(flags & 1)) {
        child_name_registers(child, input, block + 16, call->rep_count, call->code == 0x51);
    }
    /* A partition and a processor that may be there. */
    if (!flush && bytes >= 12 && !(flags & 2)) {
        memset(block + 1, (block[0] & 1) ? 0xFF : 0, 7);
        memset(block + 9, 0, 3);
        block[0] = (block[0] & 1) ? 0xFF : block[0] & 7;
        block[8] &= 3;
    }
    /* Flags that are known, and a set of processors that has the form and the banks that it may have. */
    if (flush && bytes >= 24 && !(flags & 1)) {
        block[8] &= 7;
        memset(block + 9, 0, 7);
    }
    if (flush && bytes >= 32 && !(flags & 2)) {
        block[16] &= 1;
        memset(block + 17, 0, 7);
        memset(block + 25, 0, 7);
    }
    return block;
}

static bool is_status(uint64_t status)
{
    return status == 0 || (status >= 2 && status <= 7) || status == 0xD || status == 0xE;
}

/*
 * An end is a result, with as many elements as there are if it succeeded; or the call once more, with nothing changed but
 * that it starts further on.
 */
static void check_end(const struct guest *guest, const struct vmmu_hyperv_caller *caller,
                      const struct vmmu_hyperv_call *call, const struct vmmu_hyperv_call_end *end)
{
    const struct vmmu_hyperv_end_registers registers = vmmu_hyperv_end_registers(caller, end);
    const uint64_t status = end->value & 0xFFFF;
    const uint64_t reps = end->value >> 32;
    struct vmmu_hyperv_caller next = *caller;
    struct vmmu_hyperv_call again;

    FUZZ_CHECK(!caller->code64 || registers.rdx == caller->rdx);
    FUZZ_CHECK(caller->code64 || registers.rcx == caller->rcx);
    if (end->complete) {
        FUZZ_CHECK(is_status(status) && (end->value & (BITS64(31, 16) | BITS64(63, 44))) == 0);
        FUZZ_CHECK(status == 0 ? reps == call->rep_count : reps >= call->rep_start || reps == 0);
        FUZZ_CHECK((caller->code64 ? registers.rax : registers.rax | registers.rdx << 32) == end->value);
        return;
    }
    next.rax = registers.rax;
    next.rcx = registers.rcx;
    next.rdx = registers.rdx;
    FUZZ_CHECK(vmmu_hyperv_call_decode(&guest->partition, &next, &again).action == VMMU_HYPERV_CALL_INPUT);
    FUZZ_CHECK(again.rep_start > call->rep_start && again.rep_start < call->rep_count);
    FUZZ_CHECK(again.code == call->code && again.rep_count == call->rep_count && again.fast == call->fast);
    FUZZ_CHECK(again.input.v == call->input.v && again.output.v == call->output.v);
    FUZZ_CHECK(again.input_bytes == call->input_bytes && again.output_bytes == call->output_bytes);
}

/* Whether @address is in a page that @plan names. */
static bool plan_has(const struct vmmu_plan *plan, uint64_t address)
{
    for (unsigned i = 0; i < plan->count; i++) {
        const uint64_t from = plan->ranges[i].base;

        if (address >= from && (address - from) >> 12 < plan->ranges[i].pages) {
            return true;
        }
    }
    return plan->whole_tag;
}

static bool is_linear(const struct vmmu_x86_cpu *cpu, uint64_t address)
{
    if (!cpu->long_mode) {
        return address < BIT64(32);
    }
    return vmmu_format_is_canonical(address, cpu->la57 ? 57 : 48);
}

/* The plan has the ends of each range that are addresses, and no page that is none. */
static void check_plan(const struct guest *guest, const struct vmmu_hyperv_flush *flush, const uint8_t *block)
{
    const struct vmmu_x86_cpu *cpu = &guest->child.cpu;
    const struct vmmu_hyperv_flush_plan plan = vmmu_hyperv_flush_plan(cpu, flush, block);

    FUZZ_CHECK(plan.plan.vps == flush->vps && plan.plan.epoch == 0);
    FUZZ_CHECK(plan.keep_global == flush->keep_global && plan.guest_physical == flush->guest_physical);
    FUZZ_CHECK(flush->range_count != 0 || plan.plan.whole_tag);
    FUZZ_CHECK(!plan.plan.whole_tag || plan.plan.count == 0);
    for (unsigned i = 0; i < plan.plan.count; i++) {
        const struct vmmu_range *range = &plan.plan.ranges[i];

        FUZZ_CHECK(is_linear(cpu, range->base) && is_linear(cpu, range->base + (range->pages - 1) * 4096));
    }
    for (uint16_t i = 0; i < flush->range_count; i++) {
        const struct vmmu_hyperv_gva_range range = vmmu_hyperv_flush_range(flush, block, i);
        const uint64_t last = range.base.v + (range.pages - 1) * 4096;

        FUZZ_CHECK(vmmu_is_aligned(range.base.v, 4096) && range.pages >= 1 && range.pages <= 4096);
        FUZZ_CHECK(!is_linear(cpu, range.base.v) || plan_has(&plan.plan, range.base.v));
        FUZZ_CHECK(last < range.base.v || !is_linear(cpu, last) || plan_has(&plan.plan, last));
    }
}

static void check_flush(const struct guest *guest, const struct vmmu_hyperv_call_outcome *outcome,
                        const uint8_t *block)
{
    const struct vmmu_hyperv_flush *flush = &outcome->flush;

    FUZZ_CHECK(flush->vps != 0 && (flush->vps & ~BITS64(guest->partition.config.vp_count - 1, 0)) == 0);
    FUZZ_CHECK(flush->guest_physical ||
               (flush->range_first == outcome->reps.first && flush->range_count == outcome->reps.count));
    check_plan(guest, flush, block);
}

/* Nothing is asked of a partition that the caller may not ask. */
static void check_target(const struct guest *guest, const struct vmmu_hyperv_call_outcome *outcome,
                         const struct vmmu_hyperv_target_facts *facts)
{
    const uint64_t privileges = guest->partition.config.privileges;
    const struct vmmu_hyperv_target *target = &outcome->target;

    if (!target->named || outcome->action == VMMU_HYPERV_CALL_DONE) {
        return;
    }
    FUZZ_CHECK(facts->exists && facts->live);
    FUZZ_CHECK(!target->named_vp || target->vp < facts->vp_count);
    if (target->self) {
        FUZZ_CHECK(outcome->action == VMMU_HYPERV_CALL_GET_REGISTERS);
        FUZZ_CHECK(privileges & VMMU_HYPERV_PRIVILEGE_VP_REGISTERS);
    } else {
        FUZZ_CHECK(facts->child && (privileges & VMMU_HYPERV_PRIVILEGE_CHILDREN));
    }
}

static void check_map(const struct vmmu_hyperv_call_outcome *outcome, const uint8_t *block)
{
    FUZZ_CHECK(vmmu_is_aligned(outcome->map.gpa.v, 4096) && outcome->reps.count >= 1);
    for (uint16_t i = 0; outcome->action == VMMU_HYPERV_CALL_MAP && i < outcome->reps.count; i++) {
        FUZZ_CHECK(vmmu_is_aligned(vmmu_hyperv_map_source(outcome, block, i).v, 4096));
    }
}

/* Do what the outcome says, and come to the call's end. */
static struct vmmu_hyperv_call_end perform(struct guest *guest, const struct vmmu_hyperv_call *call,
                                           const struct vmmu_hyperv_call_outcome *outcome,
                                           const uint8_t *block)
{
    enum vmmu_hyperv_result status = VMMU_HYPERV_SUCCESS;
    struct child *child = &guest->child;
    uint16_t done = outcome->reps.count;

    switch (outcome->action) {
    case VMMU_HYPERV_CALL_FLUSH: check_flush(guest, outcome, block); return outcome->end;
    case VMMU_HYPERV_CALL_DONE:
    case VMMU_HYPERV_CALL_YIELD: return outcome->end;
    case VMMU_HYPERV_CALL_SWITCH: status = child_switch(child, outcome->address_space); break;
    case VMMU_HYPERV_CALL_GET_REGISTERS: status = child_get(child, call, outcome, block, &done); break;
    case VMMU_HYPERV_CALL_SET_REGISTERS: status = child_set(child, outcome, block, &done); break;
    case VMMU_HYPERV_CALL_TRANSLATE: child_translate(child, &outcome->translate); break;
    case VMMU_HYPERV_CALL_READ_GPA: child_access(child, &outcome->access, false); break;
    case VMMU_HYPERV_CALL_WRITE_GPA: child_access(child, &outcome->access, true); break;
    case VMMU_HYPERV_CALL_MAP:
    case VMMU_HYPERV_CALL_UNMAP: check_map(outcome, block); break;
    case VMMU_HYPERV_CALL_INPUT:
    case VMMU_HYPERV_CALL_UD: FUZZ_CHECK(!"an outcome of performing"); break;
    }
    return vmmu_hyperv_call_end(call, status, done);
}

static struct vmmu_hyperv_target_facts draw_facts(struct input *input)
{
    const uint8_t flags = input_u8(input);

    return (struct vmmu_hyperv_target_facts){ !(flags & 1), !(flags & 2), !(flags & 4), 1 + (flags >> 6) };
}

static void check_lists(const struct vmmu_hyperv_call *call)
{
    FUZZ_CHECK(call->input_bytes == 0 || (call->input.v & 4095) + call->input_bytes <= 4096);
    FUZZ_CHECK(call->output_bytes == 0 || (call->output.v & 4095) + call->output_bytes <= 4096);
    FUZZ_CHECK(call->input_bytes == 0 || !call->fast);
    FUZZ_CHECK(call->output_bytes == 0 || call->input.v >= call->output.v + call->output_bytes ||
               call->output.v >= call->input.v + call->input_bytes);
}

void hyperv_call(struct input *input, struct guest *guest, unsigned who)
{
    const struct vmmu_hyperv_caller caller = draw_caller(input);
    struct vmmu_hyperv_call call;
    struct vmmu_hyperv_call_end end;
    struct vmmu_hyperv_call_outcome outcome = vmmu_hyperv_call_decode(&guest->partition, &caller, &call);

    FUZZ_CHECK((outcome.action == VMMU_HYPERV_CALL_UD) ==
               (!(guest->partition.hypercall & 1) || !caller.protected_mode || caller.cpl != 0));
    if (outcome.action == VMMU_HYPERV_CALL_UD) {
        return;
    }
    end = outcome.end;
    if (outcome.action == VMMU_HYPERV_CALL_INPUT) {
        uint8_t *block = draw_call_input(input, &guest->child, &call);
        const struct vmmu_hyperv_target target =
            vmmu_hyperv_call_target(&guest->partition, &guest->vp[who], &call, block);
        const struct vmmu_hyperv_target_facts facts =
            target.named ? draw_facts(input) : (struct vmmu_hyperv_target_facts){ 0 };

        check_lists(&call);
        end = vmmu_hyperv_call_no_memory(&call);
        FUZZ_CHECK(end.complete);
        outcome = vmmu_hyperv_call_perform(&guest->partition, &guest->vp[who], &call, block,
                                           target.named ? &facts : NULL);
        check_target(guest, &outcome, &facts);
        end = perform(guest, &call, &outcome, block);
        free(block);
    } else {
        FUZZ_CHECK(outcome.action == VMMU_HYPERV_CALL_DONE && end.complete);
    }
    check_end(guest, &caller, &call, &end);
}
