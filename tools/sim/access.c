/*
 * One access: what the caches do not answer is walked for, and what walks end in is dealt with.
 *
 * Order of things at an exit, as a processor has it: what the guest's instruction caused is done, the guest is left, the hypervisor
 * touches its pages, the guest is entered. Without VPID both crossings invalidate.
 *
 * A walk that ends in a fault counts whole: what a processor has cached of it is not looked at.
 */
#include "tools/sim/inside.h"

#define FAULTS_MOST   8 /* that one access may raise; more is a defect */
#define HOST_PAGES_AT UINT64_C(0x400000)

const struct vmmu_x86_tags sim_bare_tags = { .vendor = VMMU_X86_INTEL };

static struct vmmu_x86_access access_of(const struct sim_access *access)
{
    return (struct vmmu_x86_access){
        .kind = access->write              ? VMMU_X86_WRITE
                : access->side == SIM_CODE ? VMMU_X86_EXECUTE
                                           : VMMU_X86_READ,
        .marks = VMMU_X86_MARKS_AS_IT_GOES,
        .user = access->world == SIM_USER && !sim_guest_is_kernel(access->va),
    };
}

/* --- counting and caching what a walk found --- */

static void remember(struct sim_machine *machine, const struct sim_access *access,
                     const struct vmmu_x86_translation *found, uint64_t page_bytes)
{
    const struct sim_translation translation = {
        .address = access->va,
        .page_bytes = page_bytes,
        .global = found->global,
        .write = (found->rights & VMMU_X86_RIGHT_WRITE) != 0 && found->dirty,
    };

    sim_processor_remember(&machine->processor, access->side, &translation);
}

static void count_walk(struct sim_machine *machine, const struct sim_access *access, unsigned references)
{
    machine->counts.walks[access->world]++;
    machine->counts.references[access->world] += references;
}

static void take_walk(struct sim_machine *machine, const struct sim_access *access,
                      const struct vmmu_x86_walk_result *walk)
{
    count_walk(machine, access,
               sim_processor_references(&machine->processor, access->va, walk->steps, walk->step_count));
    remember(machine, access, &walk->translation, walk->translation.page_bytes);
}

static void count_fault(struct sim_machine *machine, unsigned loads)
{
    machine->counts.faulting_walks++;
    machine->counts.faulting_references += loads;
}

static bool refuse_walk(const struct sim_access *access, enum vmmu_status status, struct complaint *complaint)
{
    if (status == VMMU_GUEST_FAULT) {
        return complain(complaint,
                        "the trace names %#llx, which is no address of this many levels: see --levels",
                        (unsigned long long)access->va);
    }
    return complain(complaint, "a walk for %#llx ended with status %u", (unsigned long long)access->va,
                    (unsigned)status);
}

/* --- the hypervisor's own accesses --- */

static bool find(struct sim_machine *machine, const struct sim_access *access)
{
    const enum sim_found found =
        sim_processor_find(&machine->processor, access->side, access->va, access->write);

    machine->counts.second[access->world] += found == SIM_FOUND_SECOND;
    return found != SIM_FOUND_NOWHERE;
}

/* Its pages are there before they are touched: a hypervisor does not fault. */
bool sim_access_host(struct sim_machine *machine, const struct sim_access *access,
                     struct complaint *complaint)
{
    struct sim_host *const host = &machine->host;
    struct vmmu_x86_walk_result walk;
    enum vmmu_status status;

    if (find(machine, access)) {
        return true;
    }
    status = vmmu_x86_walk(&host->mode, engine_memory_ram(host->memory), (vmmu_gva){ access->va },
                           access_of(access), &walk);
    if (status == VMMU_GUEST_FAULT && walk.fault.vector == VMMU_X86_VECTOR_PF) {
        if (!sim_guest_fault(host->kernel, 0, access->va, true, complaint)) {
            return false;
        }
        status = vmmu_x86_walk(&host->mode, engine_memory_ram(host->memory), (vmmu_gva){ access->va },
                               access_of(access), &walk);
    }
    if (status != VMMU_OK) {
        return refuse_walk(access, status, complaint);
    }
    take_walk(machine, access, &walk);
    return true;
}

/* --- world switches --- */

static void cross(struct sim_machine *machine, const struct vmmu_x86_tags *to, uint16_t pcid)
{
    const struct vmmu_tlb_scopes scopes = vmmu_invalidate_vm_transition(&machine->tags);

    sim_processor_invalidate(&machine->processor, &scopes);
    sim_processor_enter(&machine->processor, to, pcid);
}

void sim_leave_guest(struct sim_machine *machine)
{
    cross(machine, &sim_bare_tags, 0);
}

void sim_enter_guest(struct sim_machine *machine)
{
    cross(machine, &machine->tags, machine->shadow ? 0 : machine->mode.pcid);
}

/* One exit: there, the hypervisor's pages, and back. */
bool sim_world_switch(struct sim_machine *machine, enum sim_exit reason, struct complaint *complaint)
{
    machine->counts.exits[reason]++;
    sim_leave_guest(machine);
    for (unsigned i = 0; i < machine->config.exit_pages; i++) {
        const struct sim_access access = { .world = SIM_HOST,
                                           .side = i % 2 == 0 ? SIM_CODE : SIM_DATA,
                                           .va = HOST_PAGES_AT + i * VMMU_PAGE_BYTES,
                                           .write = i % 4 == 3 };

        machine->counts.accesses[SIM_HOST]++;
        if (!sim_access_host(machine, &access, complaint)) {
            return false;
        }
    }
    sim_enter_guest(machine);
    return true;
}

static bool world_switches(struct sim_machine *machine, enum sim_exit reason, uint64_t times,
                           struct complaint *complaint)
{
    for (; times != 0; times--) {
        if (!sim_world_switch(machine, reason, complaint)) {
            return false;
        }
    }
    return true;
}

/* --- shadow paging --- */

void sim_flush_vpid(struct sim_machine *machine, uint16_t vpid)
{
    const struct vmmu_x86_invalidation operands = { .type = VMMU_X86_INVVPID_CONTEXT,
                                                    .descriptor = { vpid } };
    struct vmmu_tlb_scopes scopes;

    if (vmmu_invalidate_invvpid(sim_guest_cpu(), &operands, &scopes) == VMMU_OK) {
        sim_processor_invalidate(&machine->processor, &scopes);
    }
}

/* The exits that one call of the engine took. */
static bool take_exits(struct sim_machine *machine, const struct engine_shadow_cost *cost,
                       struct complaint *complaint)
{
    const uint64_t others = cost->reflected + cost->write_traps;
    const uint64_t fills = cost->page_fault_exits > others ? cost->page_fault_exits - others : 0;

    return world_switches(machine, SIM_EXIT_FILL, fills, complaint) &&
           world_switches(machine, SIM_EXIT_FAULT, cost->reflected, complaint) &&
           world_switches(machine, SIM_EXIT_TABLE, cost->write_traps, complaint);
}

static bool take_result(struct sim_machine *machine, const struct sim_access *access,
                        const struct engine_shadow_result *result, struct complaint *complaint)
{
    const bool done = result->answer == ENGINE_SHADOW_DONE;

    machine->counts.faulting_walks += result->cost.walks - done;
    machine->counts.faulting_references += result->cost.loads - (done ? result->walk.loads : 0U);
    if (!take_exits(machine, &result->cost, complaint)) {
        return false;
    }
    if (done) {
        take_walk(machine, access, &result->walk);
    }
    return true;
}

/* --- what nothing cached answers --- */

enum step { STEP_DONE, STEP_FAULT, STEP_FAILED };

static enum step step_native(struct sim_machine *machine, const struct sim_access *access,
                             struct complaint *complaint)
{
    struct vmmu_x86_walk_result walk;
    const enum vmmu_status status = vmmu_x86_walk(&machine->mode, engine_memory_ram(machine->memory),
                                                  (vmmu_gva){ access->va }, access_of(access), &walk);

    if (status == VMMU_OK) {
        take_walk(machine, access, &walk);
        return STEP_DONE;
    }
    if (status != VMMU_GUEST_FAULT || walk.fault.vector != VMMU_X86_VECTOR_PF) {
        refuse_walk(access, status, complaint);
        return STEP_FAILED;
    }
    count_fault(machine, walk.loads);
    return STEP_FAULT;
}

static enum step step_nested(struct sim_machine *machine, const struct sim_access *access,
                             struct complaint *complaint)
{
    struct vmmu_x86_nested_result walk;
    const enum vmmu_status status =
        vmmu_x86_walk_nested(&machine->mode, engine_nested_second(machine->nested), (vmmu_gva){ access->va },
                             access_of(access), &walk);

    if (status == VMMU_OK) {
        const uint64_t guest_bytes = walk.guest.page_bytes;
        const uint64_t host_bytes = walk.host.page_bytes;

        count_walk(machine, access, sim_processor_nested_references(&machine->processor, access->va, &walk));
        remember(machine, access, &walk.guest, guest_bytes < host_bytes ? guest_bytes : host_bytes);
        return STEP_DONE;
    }
    if (status != VMMU_GUEST_FAULT || walk.fault.vector != VMMU_X86_VECTOR_PF) {
        refuse_walk(access, status, complaint);
        return STEP_FAILED;
    }
    count_fault(machine, walk.loads);
    return STEP_FAULT;
}

static enum step step_shadow(struct sim_machine *machine, const struct sim_access *access,
                             struct complaint *complaint)
{
    struct engine_shadow_result result;

    if (!engine_shadow_access(machine->shadow, (vmmu_gva){ access->va }, access_of(access), &result,
                              complaint) ||
        !take_result(machine, access, &result, complaint)) {
        return STEP_FAILED;
    }
    switch (result.answer) {
    case ENGINE_SHADOW_DONE:
    case ENGINE_SHADOW_EMULATED: return STEP_DONE;
    case ENGINE_SHADOW_DEVICE:
        complain(complaint, "shadow paging finds no memory at %#llx", (unsigned long long)result.gpa.v);
        return STEP_FAILED;
    case ENGINE_SHADOW_FAULT: break;
    }
    if (result.fault.vector != VMMU_X86_VECTOR_PF) {
        refuse_walk(access, VMMU_GUEST_FAULT, complaint);
        return STEP_FAILED;
    }
    return STEP_FAULT;
}

static enum step step(struct sim_machine *machine, const struct sim_access *access,
                      struct complaint *complaint)
{
    switch (machine->config.technique) {
    case SIM_NATIVE: return step_native(machine, access, complaint);
    case SIM_SHADOW: return step_shadow(machine, access, complaint);
    case SIM_NESTED: return step_nested(machine, access, complaint);
    case SIM_TECHNIQUES: break;
    }
    return STEP_FAILED;
}

/* An access of the guest's: until it has its translation. */
bool sim_access_guest(struct sim_machine *machine, const struct sim_access *access,
                      struct complaint *complaint)
{
    for (unsigned faults = 0; faults < FAULTS_MOST; faults++) {
        if (find(machine, access)) {
            return true;
        }
        switch (step(machine, access, complaint)) {
        case STEP_DONE: return true;
        case STEP_FAILED: return false;
        case STEP_FAULT: break;
        }
        machine->counts.page_faults++;
        if (!sim_guest_fault(machine->guest, machine->space, access->va, access->write, complaint)) {
            return false;
        }
    }
    return complain(complaint, "an access of %#llx faults for ever", (unsigned long long)access->va);
}

/* --- the guest's kernel --- */

bool sim_kernel_clear(void *context, uint64_t va, struct complaint *complaint)
{
    struct sim_machine *const machine = context;
    const struct sim_last *const last = &machine->processor.last[machine->processor.side[SIM_DATA]];
    const struct sim_access access = { .world = SIM_KERNEL, .side = SIM_DATA, .va = va, .write = true };

    machine->counts.accesses[SIM_KERNEL]++;
    if (((va ^ last->base) & last->mask) == 0 && last->write) {
        return true;
    }
    return sim_access_guest(machine, &access, complaint);
}

/* A cached translation that may be written is no protected table's: the store needs nobody's help. */
bool sim_kernel_store(void *context, uint64_t va, uint64_t gpa, uint64_t value, struct complaint *complaint)
{
    struct sim_machine *const machine = context;
    const struct sim_access access = { .world = SIM_KERNEL, .side = SIM_DATA, .va = va, .write = true };
    struct engine_shadow_store store;
    struct engine_shadow_result result;

    if (machine->shadow) {
        machine->counts.accesses[SIM_KERNEL]++;
        if (!find(machine, &access)) {
            store = (struct engine_shadow_store){ { va }, access_of(&access), sizeof value, value };
            return engine_shadow_store(machine->shadow, &store, &result, complaint) &&
                   take_result(machine, &access, &result, complaint);
        }
    } else if (!sim_kernel_clear(context, va, complaint)) {
        return false;
    }
    return engine_memory_store(machine->memory, gpa, sizeof value, value) ||
           complain(complaint, "the guest has no memory at %#llx", (unsigned long long)gpa);
}
