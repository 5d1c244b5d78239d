/*
 * Accesses of guests. An attempt is one try of the processor; exits are resolved between attempts. Whatever
 * comes of it must be what the architecture permits by the guest's tables (the reference), in memory that the
 * host grants (the map), with the data that was written last.
 */
#include "tests/model/machine/world_internal.h"

#include <inttypes.h>

/*
 * Every guest table on the way and the page itself may exit: once for something older that the processor
 * remembered, once to be logged.
 */
#define ATTEMPTS 32

struct guest_state world_state(struct world *world, uint8_t vp)
{
    struct guest_state state = { .nested = false };

    world->class->load(world->engine, vp, reference_mode(world->reference, vp), &state);
    state.tags = world_tags(world, vp);
    state.tags.nested = state.nested;
    if (state.nested && world->setting.intel) {
        state.tags.stage2 = vmmu_invalidate_ep4ta(state.stage2.root.v);
    }
    return state;
}

/* --- sentences --- */

static const char *kind_of(const struct guest_access *access)
{
    static const char *const names[] = {
        [VMMU_X86_READ] = "read",
        [VMMU_X86_WRITE] = "write",
        [VMMU_X86_EXECUTE] = "fetch",
    };

    return names[access->access.kind];
}

static void describe(const struct reference_result *result, char *out, size_t size)
{
    if (result->end == END_REACHES) {
        snprintf(out, size, "gpa %#" PRIx64, result->gpa);
    } else {
        snprintf(out, size, "fault %u, code %#x, CR2 %#" PRIx64, result->fault.vector,
                 (unsigned)result->fault.error_code, result->fault.cr2);
    }
}

static struct reference_access as_reference(const struct guest_access *access)
{
    return (struct reference_access){
        .vp = access->vp,
        .address = access->address,
        .access = access->access,
    };
}

static void report_forbidden(struct world *world, enum check check, const struct guest_access *access,
                             const struct reference_result *result)
{
    const struct reference_access asked = as_reference(access);
    struct reference_result permitted[REFERENCE_RESULTS];
    const unsigned count = reference_permitted(world->reference, &asked, permitted);
    char came[80];
    char first[80] = "nothing";

    describe(result, came, sizeof came);
    if (count != 0) {
        describe(&permitted[0], first, sizeof first);
    }
    world_report(world, check, "VP %u: %s of %#" PRIx64 " came to %s; permitted: %s, %u results in all",
                 access->vp, kind_of(access), access->address, came, first, count);
}

/* --- judgement --- */

void world_judge(struct world *world, const struct guest_access *access,
                 const struct reference_result *result, bool marked)
{
    const struct reference_access asked = as_reference(access);
    const enum check check = result->end == END_REACHES ? CHECK_TRANSLATION : CHECK_FAULT;

    if (!is_checked(world, check) && !is_checked(world, CHECK_MARKS)) {
        return;
    }
    switch (reference_judge(world->reference, &asked, result)) {
    case PERMITTED: return;
    case PERMITTED_BUT_FOR_MARKS:
        if (!marked) {
            return;
        }
        world_report(world, CHECK_MARKS,
                     "VP %u: %s of %#" PRIx64 " came to gpa %#" PRIx64
                     " and left an accessed or dirty bit unset on the way",
                     access->vp, kind_of(access), access->address, result->gpa);
        return;
    case FORBIDDEN: report_forbidden(world, check, access, result); return;
    }
}

void world_judge_walker(struct world *world, const struct guest_access *access,
                        const struct reference_result *result)
{
    const struct reference_access asked = as_reference(access);
    const enum check check = result->end == END_REACHES ? CHECK_TRANSLATION : CHECK_FAULT;

    world_judge(world, access, result, false);
    if (is_checked(world, check) && !reference_finds(world->reference, &asked, result)) {
        report_forbidden(world, check, access, result);
    }
}

void world_judge_exit(struct world *world, const struct guest_access *access,
                      const struct vmmu_x86_stage2_fault *fault)
{
    const struct reference_access asked = as_reference(access);
    const struct reference_result result = { .end = END_REACHES, .gpa = fault->gpa.v };

    if (!is_checked(world, CHECK_TRANSLATION)) {
        return;
    }
    if (fault->access.guest_table) {
        if (!reference_may_walk(world->reference, &asked, fault->gpa.v)) {
            world_report(world, CHECK_TRANSLATION,
                         "VP %u: %s of %#" PRIx64 " looked for a table at gpa %#" PRIx64 ", where none is",
                         access->vp, kind_of(access), access->address, fault->gpa.v);
        }
        return;
    }
    if (reference_judge(world->reference, &asked, &result) == FORBIDDEN) {
        report_forbidden(world, CHECK_TRANSLATION, access, &result);
    }
}

/* --- memory --- */

void world_marked(void *context, uint64_t hpa, unsigned width_bytes, uint64_t value)
{
    struct world *world = context;
    uint64_t gpa;
    bool on_b;

    if (!host_guest_address(hpa, &gpa, &on_b)) {
        return; /* a table of the engine's */
    }
    if (!host_allows(&world->map, gpa, on_b, VMMU_X86_RIGHT_WRITE)) {
        world_report(world, CHECK_FRAME,
                     "a guest's entry was marked at hpa %#" PRIx64 ", which the host does not let it write",
                     hpa);
        return;
    }
    world_has_content(world, gpa);
    reference_store(world->reference, gpa, width_bytes, value);
}

void world_mark(struct world *world, uint64_t hpa, unsigned width_bytes, uint64_t value)
{
    uint64_t gpa;
    bool on_b;

    memory_store(world->memory, hpa, width_bytes, value);
    if (host_guest_address(hpa, &gpa, &on_b)) {
        world_used(world, gpa, true);
    }
    world_marked(world, hpa, width_bytes, value);
}

/*
 * What a guest writes between two stores of the engine's: mostly what stands there, for scripts know their tables; but
 * where tables are followed, the same with another flag is what is hard to follow.
 */
static uint64_t value_between(struct world *world, const struct guest_access *access, uint64_t expected)
{
    if (access->turns) {
        return expected ^ 1;
    }
    if (!world_once_in(world, is_shadowed(world) ? 2 : 4)) {
        return expected;
    }
    return is_shadowed(world) && world_once_in(world, 2) ? expected ^ BIT64(luck_below(&world->luck, 8))
                                                         : access->value;
}

static void transfer(struct world *world, const struct guest_access *access, uint64_t hpa, uint64_t gpa)
{
    const unsigned width_bytes = access->width_bytes;
    uint64_t found;
    uint64_t expected;

    expected = reference_load(world->reference, gpa, width_bytes);
    if (access->access.kind == VMMU_X86_WRITE) {
        const uint64_t value = world->acting ? value_between(world, access, expected) : access->value;

        memory_store(world->memory, hpa, width_bytes, value);
        world_has_content(world, gpa);
        reference_store(world->reference, gpa, width_bytes, value);
        return;
    }
    found = memory_load(world->memory, hpa, width_bytes);
    if (found != expected) {
        world_report(world, CHECK_DATA,
                     "VP %u: %s of %#" PRIx64 " found %#" PRIx64 " at gpa %#" PRIx64 ", where %#" PRIx64
                     " was written",
                     access->vp, kind_of(access), access->address, found, gpa, expected);
    }
}

/* --- one attempt --- */

static void reached(struct world *world, const struct guest_access *access,
                    const struct processor_result *result)
{
    struct reference_result end = { .end = END_REACHES };
    const uint8_t right = host_right(access->access.kind);
    bool on_b;

    if (!host_guest_address(result->hpa, &end.gpa, &on_b)) {
        world_report(world, CHECK_ISOLATION,
                     "VP %u: %s of %#" PRIx64 " reached hpa %#" PRIx64 ", which is no memory of the guest's",
                     access->vp, kind_of(access), access->address, result->hpa);
        return;
    }
    if (!host_allows(&world->map, end.gpa, on_b, right)) {
        world_report(world, CHECK_FRAME,
                     "VP %u: %s of %#" PRIx64 " used side %c of gpa %#" PRIx64
                     ", which the host does not allow (state %#x)",
                     access->vp, kind_of(access), access->address, on_b ? 'B' : 'A', end.gpa,
                     world->map.now[host_page(end.gpa)]);
    }
    world_judge(world, access, &end, true);
    if (is_shadowed(world)) {
        world_used(world, end.gpa, access->access.kind == VMMU_X86_WRITE);
    }
    transfer(world, access, result->hpa, end.gpa);
    world->counters.reached++;
}

/*
 * A page fault takes along the fragments of the page that the guest's tables map there. A fault that is injected takes
 * nothing.
 */
static void forget_page(struct world *world, uint8_t vp, uint64_t address)
{
    if (is_shadowed(world)) {
        return;
    }
    const struct vmmu_x86_tags tags = world_state(world, vp).tags;
    const uint64_t page_bytes = reference_page_bytes(world->reference, vp, address);
    const struct vmmu_tlb_scopes scopes = vmmu_invalidate_page_fault(
        &tags, reference_registers(world->reference, vp), (vmmu_gva){ address }, page_bytes);

    processor_invalidate(world_processor(world, vp)->machine, &scopes);
}

static void deliver(struct world *world, const struct guest_access *access,
                    const struct vmmu_x86_fault *fault)
{
    const struct reference_result end = { .end = END_FAULTS, .fault = *fault };

    world_judge(world, access, &end, true);
    if (fault->vector == VMMU_X86_VECTOR_PF) {
        forget_page(world, access->vp, fault->cr2);
        reference_page_fault(world->reference, access->vp, fault->cr2);
    }
    world->counters.guest_faults++;
}

/*
 * A page fault of the hardware, under a technique that intercepts those. Whether it was the guest's without an exit. While the host
 * writes in a guest's name nobody else runs: who comes to a fault then comes to it later.
 */
static bool deliver_silently(struct world *world, const struct guest_access *access,
                             const struct vmmu_x86_fault *fault)
{
    if (world->emulating || !world->class->is_silent ||
        !world->class->is_silent(world->engine, access->vp, fault)) {
        return false;
    }
    world->counters.silent_faults++;
    deliver(world, access, fault);
    return true;
}

bool world_attempt(struct world *world, const struct guest_access *access, struct processor_result *result)
{
    const struct guest_state state = world_state(world, access->vp);
    struct processor *machine = world_processor(world, access->vp)->machine;

    *result = processor_access(machine, &state, access->address, access->access, &world->luck);
    if (result->mixed) {
        world_report(world, CHECK_SIZES,
                     "VP %u: %s of %#" PRIx64 " met two sizes of one page that differ in frame or rights",
                     access->vp, kind_of(access), access->address);
    }
    switch (result->end) {
    case PROCESSOR_REACHED: reached(world, access, result); return true;
    case PROCESSOR_GUEST_FAULT:
        if (is_shadowed(world) && result->fault.vector == VMMU_X86_VECTOR_PF) {
            return deliver_silently(world, access, &result->fault);
        }
        deliver(world, access, &result->fault);
        return true;
    case PROCESSOR_STAGE2: return false;
    case PROCESSOR_STRAYED:
        world_report(world, CHECK_ISOLATION,
                     "VP %u: %s of %#" PRIx64 " touched hpa %#" PRIx64 ", which is not the guest's",
                     access->vp, kind_of(access), access->address, result->hpa);
        return true;
    }
    return true;
}

/* --- exits --- */

static struct engine_verdict ask(struct world *world, const struct guest_access *access,
                                 const struct processor_result *result)
{
    if (result->end == PROCESSOR_GUEST_FAULT) {
        return world->class->page_fault(world->engine, access->vp, result->fault.cr2, access->access,
                                        &result->fault);
    }
    return world->class->stage2_fault(world->engine, access->vp, &result->stage2);
}

enum vmmu_x86_access_kind world_kind(const struct world *world, const struct vmmu_x86_stage2_fault *fault)
{
    const bool tables_as_written = !world->setting.intel || world->setting.second_dirty;

    return fault->access.guest_table && tables_as_written ? VMMU_X86_WRITE : fault->access.kind;
}

/* Memory is where the host grants what was asked for, a device is everywhere else. */
static void check_verdict(struct world *world, const struct engine_verdict *verdict,
                          const struct processor_result *result)
{
    const uint8_t right = host_right(world_kind(world, &result->stage2));
    const bool granted = host_grants(&world->map, result->stage2.gpa.v, right);
    const bool device = verdict->answer == ENGINE_DEVICE;

    if (granted == device || (device && verdict->gpa != result->stage2.gpa.v)) {
        world_report(world, CHECK_EXIT,
                     "an exit at gpa %#" PRIx64 " was judged to be %s, where the host has %s",
                     result->stage2.gpa.v, device ? "a device's" : "spurious",
                     granted ? "memory" : "no memory that allows it");
    }
}

/*
 * Without a second stage: a device is where the host does not grant the access to the page, or to a table on the way what
 * a walk needs of it.
 */
static void check_device(struct world *world, const struct guest_access *access, uint64_t gpa)
{
    const struct reference_access asked = as_reference(access);
    const struct reference_result place = { .end = END_REACHES, .gpa = gpa };
    const bool reads = host_grants(&world->map, gpa, VMMU_X86_RIGHT_READ);

    if (!(reads && host_grants(&world->map, gpa, VMMU_X86_RIGHT_WRITE)) &&
        reference_may_walk(world->reference, &asked, gpa)) {
        return;
    }
    world_judge(world, access, &place, true);
    if (host_grants(&world->map, gpa, host_right(access->access.kind))) {
        world_report(world, CHECK_EXIT,
                     "VP %u: %s of %#" PRIx64 " was judged to be a device's at gpa %#" PRIx64
                     ", where the host has memory",
                     access->vp, kind_of(access), access->address, gpa);
    }
}

/* The host writes in the guest's name. */
static void emulate(struct world *world, const struct guest_access *access, uint64_t gpa)
{
    const struct reference_result place = { .end = END_REACHES, .gpa = gpa };

    world_judge(world, access, &place, true);
    if (access->access.kind != VMMU_X86_WRITE || !host_grants(&world->map, gpa, VMMU_X86_RIGHT_WRITE)) {
        world_report(world, CHECK_EXIT,
                     "VP %u: %s of %#" PRIx64 " is to be emulated at gpa %#" PRIx64
                     ", which it must not write",
                     access->vp, kind_of(access), access->address, gpa);
        return;
    }
    world_used(world, gpa, true);
    transfer(world, access, host_frame(world->map.now[host_page(gpa)], gpa), gpa);
    /* The instruction is not over: nobody can count on its write yet, as who invalidates by himself would. */
    world->emulating = true;
    world->class->guest_wrote(world->engine, access->vp, gpa, access->width_bytes);
    world->emulating = false;
}

/* The exit is dealt with. True if the access goes on. */
static bool resolve(struct world *world, const struct guest_access *access,
                    const struct processor_result *result)
{
    struct engine_verdict verdict;

    world->counters.exits++;
    if (result->end == PROCESSOR_STAGE2) {
        world_judge_exit(world, access, &result->stage2);
    }
    verdict = ask(world, access, result);
    switch (verdict.answer) {
    case ENGINE_RETRY:
    case ENGINE_DEVICE:
        if (result->end == PROCESSOR_STAGE2) {
            check_verdict(world, &verdict, result);
        } else if (verdict.answer == ENGINE_DEVICE) {
            check_device(world, access, verdict.gpa);
        }
        world->counters.devices += verdict.answer == ENGINE_DEVICE;
        return verdict.answer == ENGINE_RETRY;
    case ENGINE_INJECT: deliver(world, access, &verdict.fault); return false;
    case ENGINE_EMULATE: emulate(world, access, verdict.gpa); return false;
    case ENGINE_BROKEN:
        world_report(world, CHECK_EXIT, "VP %u: %s of %#" PRIx64 ": the engine gave up at gpa %#" PRIx64,
                     access->vp, kind_of(access), access->address, result->stage2.gpa.v);
        return false;
    }
    return false;
}

static void run(struct world *world, const struct guest_access *access, struct processor_result *result)
{
    for (unsigned attempt = 0; attempt < ATTEMPTS && !world->finding.found; attempt++) {
        world_enter(world, access->vp);
        if (world_attempt(world, access, result)) {
            return;
        }
        world_exit(world, access->vp);
        if (!resolve(world, access, result)) {
            world_resume(world, access->vp);
            return;
        }
    }
    world_report(world, CHECK_PROGRESS, "VP %u: %s of %#" PRIx64 " never ended: exits at gpa %#" PRIx64,
                 access->vp, kind_of(access), access->address, result->stage2.gpa.v);
}

/* --- operations --- */

static void remember(struct world *world, const struct guest_access *access)
{
    struct world_vp *vp = &world->vps[access->vp];

    vp->recent[vp->recent_next] = *access;
    vp->recent_next = (vp->recent_next + 1) % RECENT_ACCESSES;
    vp->recent_count += vp->recent_count < RECENT_ACCESSES;
}

static bool access_of(const struct op *op, struct guest_access *out)
{
    const uint8_t width_bytes = op->kind == OP_FETCH ? 1 : op->width;

    if (width_bytes != 1 && width_bytes != 2 && width_bytes != 4 && width_bytes != 8) {
        return false;
    }
    *out = (struct guest_access){
        .vp = op->vp,
        .width_bytes = width_bytes,
        .address = op->address & ~(uint64_t)(width_bytes - 1),
        .access = { .kind = op->kind == OP_READ    ? VMMU_X86_READ
                            : op->kind == OP_WRITE ? VMMU_X86_WRITE
                                                   : VMMU_X86_EXECUTE,
                    .user = (op->flags & OP_USER) && !(op->flags & OP_IMPLICIT),
                    .implicit = (op->flags & OP_IMPLICIT) != 0,
                    .eflags_ac = (op->flags & OP_EFLAGS_AC) != 0 },
        .value = width_bytes == 8 ? op->value : op->value & (BIT64(8 * width_bytes) - 1),
    };
    return true;
}

/* Whether the access came to something that a fresh walk does not give. */
static bool is_stale(const struct processor_result *result, const struct reference_result *fresh)
{
    uint64_t gpa;
    bool on_b;

    if (result->end == PROCESSOR_REACHED && host_guest_address(result->hpa, &gpa, &on_b)) {
        return fresh->end != END_REACHES || fresh->gpa != gpa;
    }
    return result->end == PROCESSOR_GUEST_FAULT &&
           (fresh->end != END_FAULTS || fresh->fault.error_code != result->fault.error_code);
}

bool world_step_access(struct world *world, const struct op *op)
{
    struct processor_result result = { .end = PROCESSOR_STAGE2 };
    struct reference_result fresh;
    struct guest_access access;
    bool walked;

    if (!access_of(op, &access)) {
        return false;
    }
    remember(world, &access);
    walked = world_walk(world, &access, &fresh);
    if (is_shadowed(world)) {
        const struct reference_access asked = as_reference(&access);

        fresh = reference_fresh(world->reference, &asked);
    }
    run(world, &access, &result);
    /* A fault of the hardware's on shadows is not what the guest saw. */
    walked = walked || (is_shadowed(world) && result.end == PROCESSOR_REACHED);
    world->counters.stale += walked && is_stale(&result, &fresh);
    return true;
}

bool world_step_speculate(struct world *world, const struct op *op)
{
    struct guest_state state;

    world_enter(world, op->vp);
    state = world_state(world, op->vp);
    processor_speculate(world_processor(world, op->vp)->machine, &state, op->address, &world->luck);
    return true;
}

/* --- between --- */

/* A page that stays as it is through the change under way must be found by whoever looks. */
static void check_present(struct world *world, const struct guest_access *access,
                          const struct processor_result *result)
{
    const struct vmmu_x86_stage2_fault *fault = &result->stage2;
    const enum vmmu_x86_access_kind kind = world_kind(world, fault);
    const uint64_t gpa = fault->gpa.v;
    /* The dirty log takes the right to write, and gives it back on demand. */
    const bool logs = kind == VMMU_X86_WRITE && fault->reason == VMMU_X86_STAGE2_RIGHTS &&
                      (world->log == VMMU_NESTED_LOG_WRITE_PROTECT || world->doing == OP_LOG_START);

    world_judge_exit(world, access, fault);
    if (result->fresh && !logs && host_grants_always(&world->map, gpa, host_right(kind))) {
        world_report(world, CHECK_PRESENT,
                     "VP %u: %s of %#" PRIx64 " did not find gpa %#" PRIx64
                     " between two stores, though the page is there before and after",
                     access->vp, kind_of(access), access->address, gpa);
    }
}

static void access_between(struct world *world, const struct guest_access *access)
{
    struct processor_result result;

    if (world_attempt(world, access, &result)) {
        return;
    }
    if (result.end == PROCESSOR_STAGE2) {
        check_present(world, access, &result);
    }
    /* It waits for the host's lock. */
    world_exit(world, access->vp);
}

#define REPLAYED 3U
#define DRAWS    8U

static const struct guest_access *draw_recent(struct world *world, uint8_t vp)
{
    return &world->vps[vp].recent[luck_below(&world->luck, world->vps[vp].recent_count)];
}

/*
 * What a guest does that changes a mapping while the engine is at work: a write, to a table perhaps; an INVLPG; and the access
 * that counts on both.
 */
static void remap_between(struct world *world, uint8_t vp, const struct guest_access *access)
{
    const struct guest_access counting = *draw_recent(world, vp);

    if (access->access.kind == VMMU_X86_WRITE) {
        access_between(world, access);
    }
    if (!world->vps[vp].outside) {
        world_invlpg_between(world, vp, counting.address);
    }
    if (!world->vps[vp].outside) {
        access_between(world, &counting);
    }
}

/* The same again as a short while ago, step by step: a write to a table, and what goes by it. */
static void replay_between(struct world *world, uint8_t vp)
{
    struct world_vp *own = &world->vps[vp];
    const uint32_t first = luck_below(&world->luck, own->recent_count);

    for (uint32_t i = 0; i < REPLAYED && !own->outside; i++) {
        access_between(world, &own->recent[(first + i) % own->recent_count]);
    }
}

/* Where a write goes that the VP did lately, and could do again. */
static bool find_write(struct world *world, uint8_t vp, struct guest_access *write, uint64_t *gpa)
{
    for (unsigned tries = 0; tries < DRAWS; tries++) {
        *write = *draw_recent(world, vp);
        if (write->access.kind == VMMU_X86_WRITE) {
            const struct reference_access asked = as_reference(write);
            const struct reference_result place = reference_fresh(world->reference, &asked);

            *gpa = place.gpa;
            return place.end == END_REACHES;
        }
    }
    return false;
}

/* What some VP accessed lately by the entry at @gpa, for @vp to do. */
static bool find_use(struct world *world, uint8_t vp, uint64_t gpa, struct guest_access *use)
{
    for (unsigned tries = 0; tries < 2 * DRAWS; tries++) {
        const uint8_t other = (uint8_t)luck_below(&world->luck, world->setting.vps);

        if (world->vps[other].recent_count != 0) {
            *use = *draw_recent(world, other);
            use->vp = vp;
            if (world_last_entry(world, vp, use->address) >> 2 == gpa >> 2) {
                return true;
            }
        }
    }
    return false;
}

/*
 * An entry comes to be present, or is so no more, by a write that goes where the VP wrote before; and is used at once, for what is
 * not present was never cached.
 */
static void turn_between(struct world *world, uint8_t vp)
{
    struct guest_access write;
    struct guest_access use;
    uint64_t gpa;

    if (!find_write(world, vp, &write, &gpa) || !find_use(world, vp, gpa, &use)) {
        return;
    }
    write.turns = true;
    access_between(world, &write);
    if (!world->vps[vp].outside) {
        access_between(world, &use);
    }
}

void world_act(struct world *world)
{
    const uint32_t chosen = luck_below(&world->luck, world->setting.processors);
    const uint8_t vp = world->processors[chosen].loaded;
    struct guest_access access;
    struct guest_state state;

    if (world->acting || vp == NOBODY || world->vps[vp].outside || world->vps[vp].recent_count == 0) {
        return;
    }
    world->acting = true;
    world->counters.between_stores++;
    access = *draw_recent(world, vp);
    if (is_shadowed(world) && access.access.kind != VMMU_X86_WRITE) {
        access = *draw_recent(world, vp);
    }
    if (world->setting.silent && world_once_in(world, 2)) {
        turn_between(world, vp);
    } else if (is_shadowed(world) && world_once_in(world, 8)) {
        replay_between(world, vp);
    } else if (is_shadowed(world) && world_once_in(world, 4)) {
        remap_between(world, vp, &access);
    } else if (world_once_in(world, 2)) {
        access_between(world, &access);
    } else {
        state = world_state(world, vp);
        processor_speculate(world->processors[chosen].machine, &state, access.address, &world->luck);
    }
    world->acting = false;
}
