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

static enum vmmu_status guest_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const struct world *world = context;

    *value = reference_load(world->reference, address, width_bytes);
    return guest_has_memory(address) ? VMMU_OK : VMMU_ABSENT;
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

uint64_t world_hardware_page_bytes(struct world *world, const struct vmmu_x86_mode *mode, uint64_t address)
{
    const struct vmmu_ram ram = { .context = world, .load = load, .exchange = exchange };
    struct vmmu_x86_mode observer = *mode;
    struct vmmu_x86_walk_result walk;

    observer.smap = false;
    observer.user_keys = observer.system_keys = false;
    if (vmmu_x86_walk(&observer, &ram, (vmmu_gva){ address },
                      (struct vmmu_x86_access){ .kind = VMMU_X86_READ }, &walk) != VMMU_OK) {
        return VMMU_PAGE_BYTES;
    }
    return walk.translation.page_bytes;
}

uint64_t world_last_entry(struct world *world, uint8_t vp, uint64_t address)
{
    const struct vmmu_ram ram = { .context = world, .load = guest_load, .exchange = exchange };
    struct vmmu_x86_walk_result walk = { .step_count = 0 };

    if (vmmu_x86_walk(reference_mode(world->reference, vp), &ram, (vmmu_gva){ address },
                      (struct vmmu_x86_access){ .kind = VMMU_X86_READ }, &walk) == VMMU_ABSENT ||
        walk.step_count == 0) {
        return UINT64_MAX;
    }
    return walk.steps[walk.step_count - 1].address;
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

bool world_walk(struct world *world, const struct guest_access *access, struct reference_result *out)
{
    const struct vmmu_ram ram = { .context = world, .load = load, .exchange = exchange };
    const vmmu_gva va = { access->address };
    struct guest_state state = world_state(world, access->vp);
    struct vmmu_x86_nested_result walk;

    if (!state.nested) {
        return false;
    }
    state.stage2.ram = &ram;
    switch (vmmu_x86_walk_nested(&state.mode, &state.stage2, va, access->access, &walk)) {
    case VMMU_OK:
        *out = (struct reference_result){ .end = END_REACHES, .gpa = walk.guest.gpa.v };
        world_judge_walker(world, access, out);
        check_frame(world, &walk, access->access.kind);
        return true;
    case VMMU_GUEST_FAULT:
        *out = (struct reference_result){ .end = END_FAULTS, .fault = walk.fault };
        world_judge_walker(world, access, out);
        return true;
    case VMMU_STAGE2: check_refusal(world, access, &walk.stage2_fault); return false;
    case VMMU_ABSENT:
    case VMMU_RACED:
    case VMMU_FLUSH_RETRY:
    case VMMU_NO_MEMORY:
    case VMMU_INVALID:
    case VMMU_UNSUPPORTED:
    case VMMU_VIOLATED:
        world_report(world, CHECK_TRANSLATION, "the library's walker failed at %#" PRIx64, access->address);
        return false;
    }
    return false;
}

/* --- between two stores --- */

/* A page of the change under way, or any page. */
static uint64_t draw_page(struct world *world)
{
    const struct host_change *change = &world->map.change;
    uint64_t pages = GUEST_LOW_BYTES >> VMMU_PAGE_SHIFT;
    uint64_t from = 0;

    if (world->map.changing && !world_once_in(world, 4)) {
        from = change->from;
        pages = (change->to - change->from) >> VMMU_PAGE_SHIFT;
    }
    return from + luck_below(&world->luck, (uint32_t)pages) * VMMU_PAGE_BYTES;
}

/* Only a right that the page has before and after can be asked for. */
static bool draw_kind(const struct world *world, uint64_t gpa, enum vmmu_x86_access_kind *kind)
{
    *kind = VMMU_X86_READ;
    if (!host_grants_always(&world->map, gpa, VMMU_X86_RIGHT_READ)) {
        *kind = VMMU_X86_EXECUTE;
    }
    return host_grants_always(&world->map, gpa, host_right(*kind));
}

void world_probe(struct world *world)
{
    const struct vmmu_ram ram = { .context = world, .load = load, .exchange = exchange };
    const vmmu_gpa gpa = { draw_page(world) };
    struct vmmu_x86_stage2_access access = { .marks = VMMU_X86_MARKS_LEAVE };
    struct guest_state state = world_state(world, 0);
    struct vmmu_x86_stage2_result walk;
    uint64_t at;
    bool on_b;

    if (!state.nested || !draw_kind(world, gpa.v, &access.kind)) {
        return;
    }
    state.stage2.ram = &ram;
    if (vmmu_x86_walk_stage2(&state.stage2, gpa, access, &walk) != VMMU_OK) {
        world_report(world, CHECK_PRESENT,
                     "gpa %#" PRIx64
                     " cannot be found between two stores, though the page is there before and after",
                     gpa.v);
        return;
    }
    if (!host_guest_address(walk.translation.hpa.v, &at, &on_b) || at != gpa.v ||
        !host_allows_all(&world->map, gpa.v, on_b, walk.translation.rights)) {
        world_report(world, CHECK_FRAME,
                     "gpa %#" PRIx64 " is at hpa %#" PRIx64
                     " with rights %#x between two stores, which it never had",
                     gpa.v, walk.translation.hpa.v, walk.translation.rights);
    }
}
