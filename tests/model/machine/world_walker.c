/*
 * The library's own walker over the machine's memory: what an emulator in the host would find. It remembers
 * nothing, so its result must be what the architecture permits now, in memory that the host grants now.
 */
#include "tests/model/machine/world_internal.h"

#include <inttypes.h>

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct world *world = context;

    if (address >= HOST_LIMIT) {
        return VMMU_ABSENT;
    }
    *value = memory_load(world->memory, address, width_bytes);
    return VMMU_OK;
}

/* An observer marks nothing. */
static enum vmmu_status exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                 uint64_t desired)
{
    (void)address;
    (void)width_bytes;
    (void)expected;
    (void)desired;
    world_report(context, CHECK_MARKS, "the library's walker stored to a table that it was only to read");
    return VMMU_ABSENT;
}

static void check_frame(struct world *world, const struct vmmu_x86_nested_result *walk,
                        enum vmmu_x86_access_kind kind)
{
    const uint64_t gpa = walk->guest.gpa.v;

    if (!host_grants(&world->map, gpa, host_right(kind)) ||
        walk->host.hpa.v != host_frame(world->map.now[host_page(gpa)], gpa)) {
        world_report(world, CHECK_FRAME,
                     "the library's walker found gpa %#" PRIx64 " at hpa %#" PRIx64
                     ", where the host does not have it",
                     gpa, walk->host.hpa.v);
    }
}

static void check_refusal(struct world *world, const struct guest_access *access,
                          const struct vmmu_x86_stage2_fault *fault)
{
    const enum vmmu_x86_access_kind kind = world_kind(world, fault);
    const bool logs = kind == VMMU_X86_WRITE && world->log == VMMU_NESTED_LOG_WRITE_PROTECT;

    world_judge_exit(world, access, fault);
    if (!logs && host_grants(&world->map, fault->gpa.v, host_right(kind))) {
        world_report(world, CHECK_EXIT,
                     "the library's walker was refused at gpa %#" PRIx64 ", where the host has memory",
                     fault->gpa.v);
    }
}

void world_walk(struct world *world, const struct guest_access *access, struct reference_result *out)
{
    const struct vmmu_ram ram = { .context = world, .load = load, .exchange = exchange };
    const vmmu_gva va = { access->address };
    struct guest_state state = world_state(world, access->vp);
    struct vmmu_x86_nested_result walk;

    if (!state.nested) {
        return;
    }
    state.stage2.ram = &ram;
    switch (vmmu_x86_walk_nested(&state.mode, &state.stage2, va, access->access, &walk)) {
    case VMMU_OK:
        *out = (struct reference_result){ .end = END_REACHES, .gpa = walk.guest.gpa.v };
        world_judge(world, access, out, false);
        check_frame(world, &walk, access->access.kind);
        return;
    case VMMU_GUEST_FAULT:
        *out = (struct reference_result){ .end = END_FAULTS, .fault = walk.fault };
        world_judge(world, access, out, false);
        return;
    case VMMU_STAGE2: check_refusal(world, access, &walk.stage2_fault); return;
    case VMMU_ABSENT:
    case VMMU_RACED:
    case VMMU_FLUSH_RETRY:
    case VMMU_NO_MEMORY:
    case VMMU_INVALID:
    case VMMU_UNSUPPORTED:
    case VMMU_VIOLATED:
        world_report(world, CHECK_TRANSLATION, "the library's walker failed at %#" PRIx64, access->address);
        return;
    }
}
