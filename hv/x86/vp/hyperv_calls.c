/*
 * Hypercalls: the library decodes and decides (lib/x86/hyperv), this file brings input and output, knows who is meant, and
 * performs.
 *
 * Invariant: what a call changes of another partition is changed under that partition's lock, while none of its VPs is inside
 * its guest. Input is copied once; output is written last, into memory that was found writable before anything was done.
 */
#include "hv/boot/host.h"
#include "hv/mmu/mmu.h"
#include "hv/vp/partitions.h"
#include "hv/x86/policy/mtrr.h"
#include "hv/x86/vp/hyperv.h"

/* One call, while it is performed. */
struct request {
    struct vp *caller;
    const struct exit *exit;
    struct vmmu_hyperv_caller registers;
    struct vmmu_hyperv_call call;
    struct vmmu_hyperv_call_outcome outcome;
    struct partition
        *target;     /* whom the call names: the caller's own, or a child, whose lock is held; NULL: nobody */
    uint8_t *output; /* NULL: there is none */
    uint8_t input[VMMU_PAGE_BYTES] __attribute__((aligned(8)));
};

static struct vmmu_hyperv_caller caller_of(struct vp *vp)
{
    const struct vmmu_x86_state *state = x86_state(vp);

    return (struct vmmu_hyperv_caller){
        .rax = state->gpr[VMMU_X86_RAX],
        .rbx = state->gpr[VMMU_X86_RBX],
        .rcx = state->gpr[VMMU_X86_RCX],
        .rdx = state->gpr[VMMU_X86_RDX],
        .rsi = state->gpr[VMMU_X86_RSI],
        .rdi = state->gpr[VMMU_X86_RDI],
        .r8 = state->gpr[8],
        .code64 = vmmu_insn_mode(state) == VMMU_INSN_64,
        .protected_mode = state->cr0 & VMMU_X86_CR0_PE && !(state->rflags & X86_RFLAGS_VM),
        .cpl = state->cpl,
    };
}

/* What is counted; the last stands for all other codes. */
static const struct {
    uint16_t code;
    const char *name;
} counted[] = {
    { 0x0001, "switch-space" },    { 0x0002, "flush-space" },
    { 0x0003, "flush-list" },      { 0x0013, "flush-space-ex" },
    { 0x0014, "flush-list-ex" },   { 0x0050, "get-registers" },
    { 0x0051, "set-registers" },   { 0x0052, "translate" },
    { 0x0053, "read-gpa" },        { 0x0054, "write-gpa" },
    { 0x004B, "map-gpa" },         { 0x004C, "unmap-gpa" },
    { 0x00AF, "flush-gpa-space" }, { 0x00B0, "flush-gpa-list" },
    { 0x0008, "long-spin-wait" },  { 0, "others" },
};
#define COUNTED (sizeof counted / sizeof counted[0])
_Static_assert(COUNTED == X86_CALLS, "each has a counter");

static void count_call(struct vp *vp, uint16_t code)
{
    unsigned i = 0;

    while (i < COUNTED - 1 && counted[i].code != code) {
        i++;
    }
    vp->arch->calls[i]++;
}

void x86_report_calls(const struct vp *vp, struct json *json)
{
    json_object(json, "hypercalls");
    for (unsigned i = 0; i < COUNTED; i++) {
        json_number(json, counted[i].name, vp->arch->calls[i]);
    }
    json_end_object(json);
}

/* --- the ends of a call --- */

static enum vp_next finish(struct request *request, const struct vmmu_hyperv_call_end *end)
{
    const struct vmmu_hyperv_end_registers registers = vmmu_hyperv_end_registers(&request->registers, end);
    uint64_t *gpr = request->caller->arch->state.gpr;

    if (end->complete && !x86_skip(request->caller, request->exit)) {
        return VP_RESUME;
    }
    gpr[VMMU_X86_RAX] = registers.rax;
    gpr[VMMU_X86_RCX] = registers.rcx;
    gpr[VMMU_X86_RDX] = registers.rdx;
    return VP_RESUME;
}

static enum vp_next finish_with(struct request *request, enum vmmu_hyperv_result status, uint16_t done)
{
    const struct vmmu_hyperv_call_end end = vmmu_hyperv_call_end(&request->call, status, done);

    return finish(request, &end);
}

/* The partition that the call names, and the VP, which the library has found to be there. */
static struct partition *target_of(const struct request *request)
{
    if (!request->target) {
        host_panic("a hypercall about nobody\n");
    }
    return request->target;
}

static struct vp *target_vp(const struct request *request)
{
    const struct partition *target = target_of(request);

    if (request->outcome.target.vp >= target->vp_count) {
        host_panic("a hypercall about no VP\n");
    }
    return target->vps[request->outcome.target.vp];
}

/* --- memory of the target's --- */

static struct vmmu_hyperv_page page_of(void *context, vmmu_gpa gpa)
{
    const struct vp *vp = context;
    const struct mmu_place place = mmu_place(vp->partition, gpa);

    return (struct vmmu_hyperv_page){ .mapped = place.memory,
                                      .readable = place.rights & GUEST_RIGHT_READ,
                                      .writable = place.rights & GUEST_RIGHT_WRITE,
                                      .overlay = place.overlay,
                                      .type = x86_mtrr_type(&vp->arch->msrs, gpa) };
}

static enum vp_next translate(struct request *request)
{
    struct vp *vp = target_vp(request);
    struct vmmu_hyperv_translation translation;
    const struct vmmu_x86_state *state = x86_code(vp);
    const struct vmmu_ram ram = x86_ram(vp);
    const struct vmmu_hyperv_view view = { .mode = x86_mode(vp, true),
                                           .ram = &ram,
                                           .pats = &vp->partition->arch->hyperv.pats,
                                           .second_level = vp->arch->walks_guest,
                                           .vp = vp->index,
                                           .rflags = state->rflags,
                                           .cpl = state->cpl,
                                           .context = vp,
                                           .page = page_of };

    if (!view.mode) {
        return finish_with(request, VMMU_HYPERV_INVALID_PARTITION_STATE, 0);
    }
    if (vmmu_hyperv_translate(&view, &request->outcome.translate, &translation) != VMMU_OK) {
        return VP_RESUME; /* the call is made again */
    }
    vp->arch->flush_inhibited |= translation.inhibit_flush;
    vmmu_hyperv_translate_output(&translation, request->output);
    return finish_with(request, VMMU_HYPERV_SUCCESS, 0);
}

static enum vp_next read_gpa(struct request *request)
{
    const struct vmmu_hyperv_access *access = &request->outcome.access;
    const struct vmmu_hyperv_page page = page_of(target_vp(request), access->gpa);
    const enum vmmu_hyperv_access_code code = vmmu_hyperv_access_judge(&page, false);
    uint8_t data[sizeof access->data] = { 0 };

    if (code == VMMU_HYPERV_ACCESS_SUCCESS) {
        __builtin_memcpy(data, mmu_at(request->target, access->gpa, access->bytes), access->bytes);
    }
    vmmu_hyperv_read_output(access, code, data, request->output);
    return finish_with(request, VMMU_HYPERV_SUCCESS, 0);
}

/* What stands in tables is an entry, which the guest's processors may be walking: written whole where it is aligned. */
static void store(uint8_t *at, const uint8_t *data, unsigned bytes)
{
    uint64_t word;

    while (bytes >= 8 && !((uintptr_t)at & 7)) {
        __builtin_memcpy(&word, data, 8);
        __atomic_store_n((uint64_t *)at, word, __ATOMIC_RELEASE);
        at += 8;
        data += 8;
        bytes -= 8;
    }
    while (bytes >= 4 && !((uintptr_t)at & 3)) {
        uint32_t half;

        __builtin_memcpy(&half, data, 4);
        __atomic_store_n((uint32_t *)at, half, __ATOMIC_RELEASE);
        at += 4;
        data += 4;
        bytes -= 4;
    }
    __builtin_memcpy(at, data, bytes);
}

static enum vp_next write_gpa(struct request *request)
{
    const struct vmmu_hyperv_access *access = &request->outcome.access;
    const struct vmmu_hyperv_page page = page_of(target_vp(request), access->gpa);
    const enum vmmu_hyperv_access_code code = vmmu_hyperv_access_judge(&page, true);

    if (code == VMMU_HYPERV_ACCESS_SUCCESS) {
        store(mmu_writable_at(request->target, access->gpa, access->bytes), access->data, access->bytes);
        mmu_wrote(request->target, access->gpa, access->bytes);
    }
    vmmu_hyperv_write_output(code, request->output);
    return finish_with(request, VMMU_HYPERV_SUCCESS, 0);
}

static enum vmmu_hyperv_result result_of(enum vmmu_status status)
{
    switch (status) {
    case VMMU_OK: return VMMU_HYPERV_SUCCESS;
    case VMMU_ABSENT:
    case VMMU_INVALID: return VMMU_HYPERV_INVALID_PARAMETER;
    case VMMU_NO_MEMORY: return VMMU_HYPERV_INSUFFICIENT_MEMORY;
    case VMMU_GUEST_FAULT:
    case VMMU_STAGE2:
    case VMMU_RACED:
    case VMMU_FLUSH_RETRY:
    case VMMU_UNSUPPORTED:
    case VMMU_VIOLATED: break;
    }
    host_panic("status %u of a page that is lent\n", (unsigned)status);
}

/* The elements of this go, one page each. */
static enum vp_next map_pages(struct request *request)
{
    const struct vmmu_hyperv_call_outcome *outcome = &request->outcome;
    const bool map = outcome->action == VMMU_HYPERV_CALL_MAP;
    struct partition *target = target_of(request);
    const uint64_t limit = BIT64(target->arch->hyperv.config.maxphyaddr);
    enum vmmu_status status = VMMU_OK;
    uint16_t done = 0;

    x86_memory_moved(target);
    for (; done < outcome->reps.count; done++) {
        const vmmu_gpa gpa = { outcome->map.gpa.v + done * VMMU_PAGE_BYTES };

        if (gpa.v >= limit) {
            status = VMMU_INVALID;
        } else if (map) {
            status = mmu_lend(target, gpa, request->caller->partition,
                              vmmu_hyperv_map_source(outcome, request->input, done), outcome->map.rights);
        } else {
            status = mmu_withhold(target, gpa);
        }
        if (status != VMMU_OK) {
            break;
        }
    }
    return finish_with(request, result_of(status), done);
}

/* --- registers --- */

static enum vp_next get_registers(struct request *request)
{
    struct vp *vp = target_vp(request);
    struct vmmu_hyperv_registers registers;
    enum vmmu_hyperv_result status;
    uint16_t done = 0;

    x86_registers_read(vp, &registers);
    status = vmmu_hyperv_registers_get(&request->outcome, request->input, &registers, request->output, &done);
    return finish_with(request, status, done);
}

static enum vp_next set_registers(struct request *request)
{
    struct vp *vp = target_vp(request);
    const struct vmmu_ram ram = x86_ram(vp);
    const struct vmmu_hyperv_register_rules rules = { .cpu = &vp->arch->cpu,
                                                      .ram = &ram,
                                                      .policy = &vp->partition->arch->hyperv.config.policy,
                                                      .xcr0_offered = vp->arch->cpuid.xcr0_allowed,
                                                      .tsc_aux = vp->arch->msrs.config.rdtscp,
                                                      .pdpte_in_memory = vp->arch->pdptes_in_memory };
    struct vmmu_hyperv_registers registers;
    struct vmmu_hyperv_register_changes changes;

    x86_registers_read(vp, &registers);
    changes = vmmu_hyperv_registers_set(&rules, &request->outcome, request->input, &registers);
    if (changes.status == VMMU_HYPERV_SUCCESS) {
        x86_registers_write(vp, &registers, changes.changed);
    }
    return finish_with(request, changes.status, changes.done);
}

/* --- what concerns the caller's own partition --- */

/* A caller that has to wait stands at the call still, and makes it again. */
static enum vp_next flush(struct request *request)
{
    struct vp *vp = request->caller;
    const struct vmmu_hyperv_flush_plan plan =
        vmmu_hyperv_flush_plan(&vp->arch->cpu, &request->outcome.flush, request->input);

    if (x86_flush_is_inhibited(vp->partition, request->outcome.flush.vps)) {
        vp->waits |= VP_WAIT_FLUSH;
        return VP_WAIT;
    }
    x86_perform_flush(vp->partition, &plan);
    return finish(request, &request->outcome.end);
}

static enum vp_next perform(struct request *request)
{
    switch (request->outcome.action) {
    case VMMU_HYPERV_CALL_DONE: return finish(request, &request->outcome.end);
    case VMMU_HYPERV_CALL_UD: x86_raise_ud(request->caller); return VP_RESUME;
    case VMMU_HYPERV_CALL_FLUSH: return flush(request);
    case VMMU_HYPERV_CALL_YIELD: (void)finish(request, &request->outcome.end); return VP_YIELD;
    case VMMU_HYPERV_CALL_SWITCH:
        return finish_with(request, x86_switch_space(request->caller, request->outcome.address_space), 0);
    case VMMU_HYPERV_CALL_GET_REGISTERS: return get_registers(request);
    case VMMU_HYPERV_CALL_SET_REGISTERS: return set_registers(request);
    case VMMU_HYPERV_CALL_TRANSLATE: return translate(request);
    case VMMU_HYPERV_CALL_READ_GPA: return read_gpa(request);
    case VMMU_HYPERV_CALL_WRITE_GPA: return write_gpa(request);
    case VMMU_HYPERV_CALL_MAP:
    case VMMU_HYPERV_CALL_UNMAP: return map_pages(request);
    case VMMU_HYPERV_CALL_INPUT: break;
    }
    host_panic("a hypercall that is not decided\n");
}

/* --- from the exit on --- */

/* False: what the call names is not memory that the caller may use so. */
static bool bring_memory(struct request *request)
{
    const struct vmmu_hyperv_call *call = &request->call;
    const struct partition *partition = request->caller->partition;

    if (call->input_bytes) {
        const void *at = mmu_at(partition, call->input, call->input_bytes);

        if (!at) {
            return false;
        }
        __builtin_memcpy(request->input, at, call->input_bytes);
    }
    if (call->output_bytes) {
        request->output = mmu_writable_at(partition, call->output, call->output_bytes);
    }
    return !call->output_bytes || request->output;
}

static struct vmmu_hyperv_target_facts facts_of(const struct partition *caller,
                                                const struct partition *partition)
{
    if (!partition) {
        return (struct vmmu_hyperv_target_facts){ 0 };
    }
    return (struct vmmu_hyperv_target_facts){ .exists = true,
                                              .child = partition->parent == caller,
                                              .live = partition->outcome == PARTITION_RUNNING,
                                              .vp_count = partition->vp_count };
}

/* Only the monitor acts on it. */
static bool is_held(const struct partition *partition)
{
    return partition->held && partition->outcome == PARTITION_RUNNING;
}

/* With the input at hand. */
static enum vp_next decide_and_perform(struct request *request)
{
    struct vp *vp = request->caller;
    const struct vmmu_hyperv_partition *hyperv = &vp->partition->arch->hyperv;
    const struct vmmu_hyperv_target target =
        vmmu_hyperv_call_target(hyperv, &vp->arch->hyperv, &request->call, request->input);
    struct vmmu_hyperv_target_facts facts;
    bool locked;
    enum vp_next next;

    request->target = target.named && target.partition_id - 1 < partition_count()
                          ? partition_at((unsigned)(target.partition_id - 1))
                          : NULL;
    facts = facts_of(vp->partition, request->target);
    locked = facts.child;
    if (locked) {
        lock_take(&request->target->lock);
        if (is_held(request->target)) {
            lock_release(&request->target->lock);
            return VP_YIELD; /* the call is made again */
        }
    }
    request->outcome = vmmu_hyperv_call_perform(hyperv, &vp->arch->hyperv, &request->call, request->input,
                                                target.named ? &facts : NULL);
    next = perform(request);
    if (locked) {
        lock_release(&request->target->lock);
    }
    if (request->output) {
        mmu_wrote(vp->partition, request->call.output, request->call.output_bytes);
    }
    return next;
}

enum vp_next x86_hypercall_exit(struct vp *vp, const struct exit *exit)
{
    struct partition_arch *arch = vp->partition->arch;
    struct request request;
    struct vmmu_hyperv_call_end end;

    if (!arch->enlightened) {
        x86_raise_ud(vp);
        return VP_RESUME;
    }
    request.caller = vp;
    request.exit = exit;
    request.registers = caller_of(vp);
    request.target = NULL;
    request.output = NULL;
    request.call = (struct vmmu_hyperv_call){ 0 };
    request.outcome = vmmu_hyperv_call_decode(&arch->hyperv, &request.registers, &request.call);
    if (request.outcome.action != VMMU_HYPERV_CALL_UD) {
        count_call(vp, request.call.code);
    }
    if (request.outcome.action != VMMU_HYPERV_CALL_INPUT) {
        return perform(&request);
    }
    if (!bring_memory(&request)) {
        end = vmmu_hyperv_call_no_memory(&request.call);
        return finish(&request, &end);
    }
    return decide_and_perform(&request);
}
