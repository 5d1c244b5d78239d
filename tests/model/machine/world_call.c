/*
 * Hypercalls of guests. The input is put together here, by what the specification says of its bytes; the library
 * decodes it and plans; what a call promises comes from the operation alone.
 *
 * Those who are to flush are out of their guests from before a go of a call until its plan is done.
 *
 * Spec: TLFS "Hypercall Interface", "Virtual MMU and Caching".
 */
#include "tests/model/machine/world_internal.h"

#include <inttypes.h>

#define CALL_SWITCH      0x0001
#define CALL_FLUSH_SPACE 0x0002
#define CALL_FLUSH_LIST  0x0003
#define CALL_FLUSH_EX    0x0013 /* 0x14 of a list */

#define FLUSH_ALL        1U
#define FLUSH_ALL_SPACES 2U
#define FLUSH_NON_GLOBAL 4U
#define FLUSH_RESERVED   0xF0U

/* Where no guest of the model's has anything: what only makes a list long. */
#define DULL_RANGE       UINT64_C(0x00006ABCDEF00003)

#define MOST_BANKS       4U

/* A flush as it is made, and what it has to come to. */
struct flush_call {
    const struct op *op;
    uint8_t input[VMMU_PAGE_BYTES];
    unsigned input_bytes;
    uint64_t input_gpa;
    uint64_t input_value;
    bool code64;
    enum vmmu_hyperv_result status;
    uint64_t vps;
    struct reference_flush promise; /* of a list: without its range */
    const struct world_list *list;  /* NULL: of everything */
};

/* --- the partition --- */

bool world_start_calls(struct world *world)
{
    const struct vmmu_hyperv_config config = {
        .tsc_hz = 1000000000,
        .apic_hz = 1000000000,
        .vp_count = world->setting.vps,
        .maxphyaddr = world->cpu.maxphyaddr,
        .second_level = !is_shadowed(world),
        .policy = { .empty_set_is_error = world->setting.no_empty_set },
        .partition_id = 1,
    };
    struct vmmu_hyperv_vp vp;

    if (vmmu_hyperv_partition_init(&world->hyperv, &config, 0) != VMMU_OK) {
        return false;
    }
    vmmu_hyperv_vp_init(&vp, 0);
    (void)vmmu_hyperv_msr_write(&world->hyperv, &vp, 0x40000000, 1);
    return vmmu_hyperv_msr_write(&world->hyperv, &vp, 0x40000001, 0x1001).action == VMMU_HYPERV_MSR_OVERLAY;
}

/* The registers that a call is made with, as 64-bit code or other code has them. */
static struct vmmu_hyperv_caller caller_of(bool code64, uint64_t value, const uint64_t words[2])
{
    struct vmmu_hyperv_caller caller = { .code64 = code64, .protected_mode = true };

    if (code64) {
        caller.rcx = value;
        caller.rdx = words[0];
        caller.r8 = words[1];
        return caller;
    }
    caller.rdx = value >> 32;
    caller.rax = value & UINT32_MAX;
    caller.rbx = words[0] >> 32;
    caller.rcx = words[0] & UINT32_MAX;
    caller.rdi = words[1] >> 32;
    caller.rsi = words[1] & UINT32_MAX;
    return caller;
}

/* What its instruction finds in the registers of the input value, or of the result. */
static uint64_t value_after(bool code64, const struct vmmu_hyperv_caller *caller,
                            const struct vmmu_hyperv_call_end *end)
{
    const struct vmmu_hyperv_end_registers after = vmmu_hyperv_end_registers(caller, end);

    if (!code64) {
        return after.rdx << 32 | (after.rax & UINT32_MAX);
    }
    return end->complete ? after.rax : after.rcx;
}

/* In long mode some of the code is of 32 bits. */
static bool draw_code64(struct world *world, uint8_t vp)
{
    return (reference_registers(world->reference, vp)->efer & VMMU_X86_EFER_LMA) && !world_once_in(world, 8);
}

static bool may_call(const struct world *world, uint8_t vp)
{
    return world->setting.calls && (reference_registers(world->reference, vp)->cr0 & VMMU_X86_CR0_PE);
}

/* --- input --- */

static void put(struct flush_call *call, uint64_t word)
{
    for (unsigned i = 0; i < 8; i++) {
        call->input[call->input_bytes++] = (uint8_t)(word >> 8 * i);
    }
}

/*
 * A set in banks of 64: those that hold nobody's number are there or not, and may be full. Returns how many there are.
 */
static unsigned put_set(struct world *world, struct flush_call *call, uint64_t vps)
{
    const bool everybody = (call->op->width & OP_FLUSH_SET_ALL) != 0;
    uint64_t banks = call->op->width & OP_FLUSH_NO_BANK ? 0 : 1;
    unsigned count = 0;

    for (unsigned i = world_below(world, MOST_BANKS); i > 0; i--) {
        banks |= BIT64(1 + world_below(world, 63));
    }
    put(call, everybody);
    put(call, banks);
    for (unsigned bank = 0; bank < 64; bank++) {
        if (banks & BIT64(bank)) {
            put(call, bank == 0                 ? vps
                      : world_once_in(world, 3) ? UINT64_MAX
                                                : luck_next(&world->luck) & BITS64(63, 2));
            count++;
        }
    }
    return count;
}

/* Numbers that no virtual processor has are named, too, now and then, but seldom alone. */
static uint64_t named_set(struct world *world, const struct op *op)
{
    const bool empty = (op->address & BITS64(3, 0)) == 0;
    const uint64_t nobody = world_below(world, empty ? 4 : 2) != 0 ? 0 : luck_next(&world->luck);

    return (op->address & BITS64(3, 0)) | (nobody & BITS64(63, world->setting.vps));
}

static uint64_t every_vp(const struct world *world)
{
    return BIT64(world->setting.vps) - 1;
}

/* Whom the set means. An empty one of the older form is an error, or everybody. */
static uint64_t meant_set(const struct world *world, const struct op *op, uint64_t named)
{
    if (op->flags & FLUSH_ALL) {
        return every_vp(world);
    }
    if (op->width & OP_FLUSH_EX) {
        return op->width & OP_FLUSH_SET_ALL   ? every_vp(world)
               : op->width & OP_FLUSH_NO_BANK ? 0
                                              : named & every_vp(world);
    }
    return named == 0 ? every_vp(world) : named & every_vp(world);
}

static enum vmmu_hyperv_result status_of(const struct world *world, const struct flush_call *call,
                                         uint64_t named)
{
    const struct op *op = call->op;
    const bool empty = named == 0 && !(op->width & OP_FLUSH_EX) && !(op->flags & FLUSH_ALL);

    if (call->list && call->list->count == 0) {
        return VMMU_HYPERV_INVALID_INPUT;
    }
    if ((op->flags & FLUSH_RESERVED) || (call->list && (op->flags & FLUSH_NON_GLOBAL)) ||
        (empty && world->setting.no_empty_set)) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    return VMMU_HYPERV_SUCCESS;
}

static void compose(struct world *world, struct flush_call *call)
{
    const struct op *op = call->op;
    const uint64_t named = named_set(world, op);
    const bool ex = (op->width & OP_FLUSH_EX) != 0;
    unsigned banks = 0;

    put(call, op->value);
    put(call, op->flags & ~UINT64_C(8));
    if (ex) {
        banks = put_set(world, call, named);
    } else {
        put(call, named);
    }
    for (unsigned i = 0; call->list && i < call->list->count; i++) {
        put(call, call->list->range[i]);
    }
    call->input_gpa = VMMU_PAGE_BYTES + 8 * (uint64_t)world_below(world, 60);
    call->input_value = (ex           ? CALL_FLUSH_EX + (call->list ? 1 : 0)
                         : call->list ? CALL_FLUSH_LIST
                                      : CALL_FLUSH_SPACE) |
                        (uint64_t)banks << 17 | (call->list ? (uint64_t)call->list->count << 32 : 0);
    call->code64 = draw_code64(world, op->vp);
    call->status = status_of(world, call, named);
    call->vps = meant_set(world, op, named);
    call->promise = (struct reference_flush){
        .every_space = (op->flags & FLUSH_ALL_SPACES) != 0,
        .globals_stay = (op->flags & FLUSH_NON_GLOBAL) != 0,
        .list = call->list != NULL,
        .space = op->value,
    };
}

/* --- what is promised --- */

static void range_of(uint64_t element, uint64_t *first, uint64_t *last)
{
    const uint64_t more = (element & BITS64(11, 0)) * VMMU_PAGE_BYTES + (VMMU_PAGE_BYTES - 1);

    *first = element & ~BITS64(11, 0);
    *last = more > UINT64_MAX - *first ? UINT64_MAX : *first + more;
}

/* Elements [from, to) are done, or all of a call without a list. */
static void keep_promise(struct world *world, const struct flush_call *call, unsigned from, unsigned to)
{
    struct reference_flush promise = call->promise;

    for (uint8_t vp = 0; vp < world->setting.vps; vp++) {
        if (!(call->vps & BIT64(vp))) {
            continue;
        }
        if (!call->list) {
            reference_flush(world->reference, vp, &promise);
        }
        for (unsigned i = from; call->list && i < to; i++) {
            range_of(call->list->range[i], &promise.first, &promise.last);
            if (call->list->range[i] != DULL_RANGE) {
                reference_flush(world->reference, vp, &promise);
            }
        }
    }
}

/* --- what is done --- */

static bool is_asked_for(const struct flush_call *call, uint64_t page)
{
    uint64_t first;
    uint64_t last;

    for (unsigned i = 0; i < call->list->count; i++) {
        range_of(call->list->range[i], &first, &last);
        if (page >= first && page <= last) {
            return true;
        }
    }
    return false;
}

/* A call names no more than it must; but where it cannot be exact it may take all of an address space, or of all. */
static void check_thrift(struct world *world, const struct flush_call *call,
                         const struct vmmu_hyperv_flush_plan *order)
{
    const struct vmmu_plan *plan = &order->plan;

    if (plan->vps & ~call->vps) {
        world_report(world, CHECK_THRIFT,
                     "VP %u: a flush by hypercall of VPs %#" PRIx64 " is planned for VPs %#" PRIx64,
                     call->op->vp, call->vps, plan->vps);
    }
    if (call->promise.globals_stay && !order->keep_global) {
        world_report(world, CHECK_THRIFT,
                     "VP %u: a flush by hypercall drops global translations, which need not go",
                     call->op->vp);
    }
    for (unsigned i = 0; call->list && i < plan->count; i++) {
        const struct vmmu_range *range = &plan->ranges[i];

        if (!is_asked_for(call, range->base) ||
            !is_asked_for(call, range->base + (range->pages - 1) * VMMU_PAGE_BYTES)) {
            world_report(world, CHECK_THRIFT,
                         "VP %u: a flush by hypercall is planned for %" PRIu64 " pages from %#" PRIx64
                         ", which its list does not name",
                         call->op->vp, range->pages, range->base);
        }
    }
}

static void carry_out(struct world *world, const struct flush_call *call,
                      const struct vmmu_hyperv_flush_plan *order)
{
    const struct linear_flush flush = { .plan = order->plan, .keep_global = order->keep_global };

    check_thrift(world, call, order);
    world->counters.goes++;
    for (uint8_t vp = 0; vp < world->setting.vps; vp++) {
        if (!(order->plan.vps & BIT64(vp)) || vmmu_plan_is_empty(&order->plan)) {
            continue;
        }
        world->counters.ordered++;
        if (world->class->flush) {
            world->class->flush(world->engine, vp, &flush.plan);
        }
        world_owe(world, vp, &flush);
    }
}

/* --- one go, and all of them --- */

static void expel(struct world *world, uint64_t vps)
{
    for (unsigned i = 0; i < world->setting.processors; i++) {
        const uint8_t vp = world->processors[i].loaded;

        if (vp != NOBODY && (vps & BIT64(vp)) && !world->vps[vp].outside) {
            world_exit(world, vp);
        }
    }
}

/* Between two goes the caller is interrupted, and everybody runs. */
static void let_run(struct world *world)
{
    for (unsigned i = 0; i < world->setting.processors; i++) {
        if (world->processors[i].loaded != NOBODY) {
            world_resume(world, world->processors[i].loaded);
        }
    }
    for (unsigned i = world_below(world, 4); i > 0; i--) {
        world_act(world);
    }
}

static struct vmmu_hyperv_call_outcome ask(struct world *world, const struct flush_call *call,
                                           const struct vmmu_hyperv_caller *caller)
{
    struct vmmu_hyperv_call decoded;
    const struct vmmu_hyperv_call_outcome outcome = vmmu_hyperv_call_decode(&world->hyperv, caller, &decoded);
    struct vmmu_hyperv_vp vp;

    if (outcome.action != VMMU_HYPERV_CALL_INPUT) {
        return outcome;
    }
    if (decoded.input.v != call->input_gpa || decoded.input_bytes != call->input_bytes) {
        world_report(world, CHECK_CALL,
                     "VP %u: a call with %u bytes of input at gpa %#" PRIx64 " wants %u bytes at %#" PRIx64,
                     call->op->vp, call->input_bytes, call->input_gpa, decoded.input_bytes, decoded.input.v);
        return (struct vmmu_hyperv_call_outcome){ .end = { .complete = true } };
    }
    vmmu_hyperv_vp_init(&vp, call->op->vp);
    return vmmu_hyperv_call_perform(&world->hyperv, &vp, &decoded, call->input, NULL);
}

/* The result of a call that is over: nothing short of all of its list, and the status that is due. */
static void check_result(struct world *world, const struct flush_call *call, uint64_t result)
{
    const unsigned count = call->list ? call->list->count : 0;
    const bool good = call->status == VMMU_HYPERV_SUCCESS;

    if ((result & UINT16_MAX) != (uint64_t)call->status || (good && result >> 32 != count)) {
        world_report(world, CHECK_CALL,
                     "VP %u: a call ended with %#" PRIx64 ", where status %u is due, and of %u elements",
                     call->op->vp, result, (unsigned)call->status, count);
    }
}

#define REP_START(value) ((unsigned)((value) >> 48 & 0xFFF))

/* A go from element @from on, after which the register of the input value, or of the result, holds @value. False: it is wrong. */
static bool check_go(struct world *world, const struct flush_call *call, unsigned from, bool complete,
                     uint64_t value)
{
    const unsigned count = call->list ? call->list->count : 0;

    if (complete) {
        check_result(world, call, value);
    } else if ((value ^ call->input_value) & ~BITS64(59, 48) || REP_START(value) <= from ||
               REP_START(value) >= count || call->status != VMMU_HYPERV_SUCCESS) {
        world_report(world, CHECK_CALL, "VP %u: a call goes on at %#" PRIx64 ", after element %u of %u",
                     call->op->vp, value, from, count);
        return false;
    }
    return call->status == VMMU_HYPERV_SUCCESS;
}

/*
 * Make the call until it is over. What others do while the host is at work comes after the promise, for nobody can
 * count on a flush of what is not written yet when the call is made.
 */
static void make(struct world *world, const struct flush_call *call)
{
    const unsigned count = call->list ? call->list->count : 0;
    const uint64_t words[2] = { call->input_gpa, luck_next(&world->luck) };
    uint64_t value = call->input_value;

    for (unsigned go = 0; go <= count && !world->finding.found; go++) {
        const struct vmmu_hyperv_caller caller = caller_of(call->code64, value, words);
        const unsigned from = REP_START(value);
        struct vmmu_hyperv_call_outcome outcome;

        expel(world, call->vps | BIT64(call->op->vp));
        outcome = ask(world, call, &caller);
        value = value_after(call->code64, &caller, &outcome.end);
        if (check_go(world, call, from, outcome.end.complete, value)) {
            keep_promise(world, call, from, outcome.end.complete ? count : REP_START(value));
        }
        if (outcome.action == VMMU_HYPERV_CALL_FLUSH) {
            const struct vmmu_hyperv_flush_plan order =
                vmmu_hyperv_flush_plan(&world->cpu, &outcome.flush, call->input);

            carry_out(world, call, &order);
        }
        if (outcome.end.complete) {
            return;
        }
        let_run(world);
    }
    world_report(world, CHECK_PROGRESS, "VP %u: a call never ends: %#" PRIx64, call->op->vp, value);
}

/* --- operations --- */

bool world_step_element(struct world *world, const struct op *op)
{
    struct world_list *list = &world->vps[op->vp].list;

    for (unsigned i = 0; i < op->width && list->count < LIST_MOST; i++) {
        list->range[list->count++] = DULL_RANGE;
    }
    if (list->count == LIST_MOST) {
        return false;
    }
    list->range[list->count++] = op->address;
    return true;
}

bool world_step_flush(struct world *world, const struct op *op)
{
    struct world_vp *vp = &world->vps[op->vp];
    struct flush_call call = { .op = op, .list = op->width & OP_FLUSH_LIST ? &vp->list : NULL };

    if (!may_call(world, op->vp)) {
        return false;
    }
    world_enter(world, op->vp);
    compose(world, &call);
    make(world, &call);
    if (call.list) {
        vp->list.count = 0;
    }
    return true;
}

static enum vmmu_status guest_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    if (!guest_has_memory(address)) {
        return VMMU_ABSENT;
    }
    *value = reference_load(context, address, width_bytes);
    return VMMU_OK;
}

/* What the library makes of a switch: whether CR3 may be that. */
static bool may_switch(struct world *world, uint8_t vp, uint64_t space)
{
    const struct vmmu_ram ram = { .context = world->reference, .load = guest_load };
    const bool code64 = draw_code64(world, vp);
    const uint64_t words[2] = { space, luck_next(&world->luck) };
    const struct vmmu_hyperv_caller caller = caller_of(code64, CALL_SWITCH | BIT64(16), words);
    struct vmmu_x86_paging_registers registers = *reference_registers(world->reference, vp);
    struct vmmu_hyperv_call decoded;
    struct vmmu_hyperv_call_outcome outcome = vmmu_hyperv_call_decode(&world->hyperv, &caller, &decoded);
    struct vmmu_hyperv_vp own;

    vmmu_hyperv_vp_init(&own, vp);
    if (outcome.action == VMMU_HYPERV_CALL_INPUT) {
        outcome = vmmu_hyperv_call_perform(&world->hyperv, &own, &decoded, NULL, NULL);
    }
    if (outcome.action != VMMU_HYPERV_CALL_SWITCH || outcome.address_space != space) {
        world_report(world, CHECK_CALL, "VP %u: a switch to address space %#" PRIx64 " is none", vp, space);
        return false;
    }
    return vmmu_hyperv_switch(&world->hyperv.config.policy, &world->cpu, &ram, space, &registers) ==
           VMMU_HYPERV_SUCCESS;
}

bool world_step_switch(struct world *world, const struct op *op)
{
    const struct engine_event event = { .kind = OP_SWITCH, .value = op->value };
    enum vmmu_status due;
    bool accepted;

    if (!may_call(world, op->vp) || !world_can_load_pdptes(world, op)) {
        return false;
    }
    world_enter(world, op->vp);
    world_exit(world, op->vp);
    accepted = may_switch(world, op->vp, op->value);
    world_keep_spaces(world, op->vp);
    due = reference_switch(world->reference, op->vp, op->value);
    if (due == VMMU_UNSUPPORTED) {
        return false; /* the reference does not follow this one */
    }
    if (accepted != (due == VMMU_OK)) {
        world_report(world, CHECK_CALL, "VP %u: a switch to address space %#" PRIx64 " is %s", op->vp,
                     op->value, accepted ? "accepted, which is none" : "refused");
    }
    if (due == VMMU_OK && world->class->control) {
        world->class->control(world->engine, op->vp, &event);
    }
    return due == VMMU_OK;
}
