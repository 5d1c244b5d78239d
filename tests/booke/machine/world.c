/*
 * Worlds: how they are set up, and what operations do. See world.h.
 */
#include "tests/booke/machine/world_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *const check_names[CHECKS] = {
    [CHECK_REGISTERS] = "registers", [CHECK_TRANSLATE] = "translate", [CHECK_ACCESS] = "access",
    [CHECK_ISOLATION] = "isolation", [CHECK_DOUBLE] = "double",       [CHECK_OWN] = "own",
    [CHECK_PRIVILEGE] = "privilege", [CHECK_EXIT] = "exit",           [CHECK_PROGRESS] = "progress",
    [CHECK_SIZE] = "size",           [CHECK_THRIFT] = "thrift",       [CHECK_SLOTS] = "slots",
    [CHECK_CRASH] = "crash",
};

void world_report(struct world *world, enum check check, const char *format, ...)
{
    va_list arguments;

    if (world->finding.found || !(world->checks & UINT32_C(1) << check)) {
        return;
    }
    world->finding.found = true;
    world->finding.check = check;
    va_start(arguments, format);
    vsnprintf(world->finding.sentence, sizeof(world->finding.sentence), format, arguments);
    va_end(arguments);
}

/* --- setting up --- */

/* The e500v2; or MMUs as small as they can be, so that everything runs out soon. */
static void draw_geometries(struct world *world, struct luck *luck)
{
    static const struct geometry e500v2 = { 128, 4, 16, 1, 11, 3, 8, 36 };

    world->guest = e500v2;
    world->host = e500v2;
    if (world->setting.small) {
        world->guest = (struct geometry){ .sets = 1U << luck_below(luck, 4),
                                          .ways = 1 + luck_below(luck, 4),
                                          .large = 1 + luck_below(luck, 5),
                                          .least = 1 + luck_once_in(luck, 4),
                                          .most = 9 + luck_below(luck, 4),
                                          .pids = 1 + luck_below(luck, 3),
                                          .pid_bits = 1 + luck_below(luck, 4),
                                          .physical_bits = luck_once_in(luck, 4) ? 32 : 36 };
        world->host = (struct geometry){ .sets = 2U << luck_below(luck, 2),
                                         .ways = 2 + luck_below(luck, 2),
                                         .large = 4 + luck_below(luck, 3),
                                         .least = 1 + luck_once_in(luck, 4),
                                         .most = 7 + luck_below(luck, 6),
                                         .pids = 2 + luck_below(luck, 2),
                                         .pid_bits = 2 + luck_below(luck, 3),
                                         .physical_bits = 36 };
    } else if (luck_once_in(luck, 3)) {
        world->host.pid_bits = 3;
    }
}

static bool create_cpu(struct world *world, struct cpu *cpu, struct luck *luck)
{
    const struct vmmu_booke_config config = geometry_config(&world->host);
    const size_t bytes = vmmu_booke_real_memory_bytes(&config);
    const unsigned kept = 1 + luck_below(luck, world->host.large - 3);
    const struct vmmu_booke_host host = world_host(cpu, kept);

    cpu->world = world;
    cpu->made_since_sure = PATIENCE;
    cpu->memory = malloc(bytes);
    processor_init(&cpu->model, &world->host, kept);
    return bytes != 0 && cpu->memory &&
           vmmu_booke_real_init(&cpu->real, &config, &host, cpu->memory, bytes) == VMMU_OK;
}

static bool create_vp(struct world *world, struct vp *vp, struct luck *luck)
{
    const struct vmmu_booke_config config = geometry_config(&world->guest);
    const size_t bytes = vmmu_booke_memory_bytes(&config);

    vp->partition = luck_below(luck, world->partitions);
    vp->processor = luck_below(luck, world->cpus);
    vp->memory = malloc(bytes);
    vp->spaces_bytes = vmmu_booke_spaces_memory_bytes(&config);
    vp->spaces = malloc(vp->spaces_bytes);
    reference_init(&vp->reference, &world->guest);
    return bytes != 0 && vp->memory && vp->spaces &&
           vmmu_booke_init(&vp->booke, &config, vp->memory, bytes) == VMMU_OK &&
           vmmu_booke_attach(&vp->booke, &world->cpu[vp->processor].real, vp->spaces, vp->spaces_bytes) ==
               VMMU_OK;
}

struct world *world_create(const struct setting *setting, uint32_t checks)
{
    struct world *world = calloc(1, sizeof(*world));
    struct luck luck = luck_from(setting->seed);
    bool fine = world != NULL;

    if (!world) {
        return NULL;
    }
    world->setting = *setting;
    world->checks = checks;
    draw_geometries(world, &luck);
    world->vps = 1 + luck_below(&luck, WORLD_VPS);
    world->cpus = 1 + luck_once_in(&luck, 3);
    world->partitions = 1 + luck_below(&luck, WORLD_PARTITIONS);
    for (unsigned i = 0; i < world->partitions; i++) {
        host_memory_init(&world->memory[i], i, &luck);
    }
    for (unsigned i = 0; i < world->cpus; i++) {
        fine = fine && create_cpu(world, &world->cpu[i], &luck);
    }
    for (unsigned i = 0; i < world->vps; i++) {
        fine = fine && create_vp(world, &world->vp[i], &luck);
    }
    if (!fine) {
        world_destroy(world);
        return NULL;
    }
    return world;
}

void world_destroy(struct world *world)
{
    for (unsigned i = 0; i < WORLD_VPS; i++) {
        free(world->vp[i].memory);
        free(world->vp[i].spaces);
    }
    for (unsigned i = 0; i < WORLD_PROCESSORS; i++) {
        free(world->cpu[i].memory);
    }
    free(world);
}

/* --- who runs --- */

static bool is_loaded(const struct cpu *cpu, const struct vp *vp)
{
    return cpu->loaded == vp && cpu->generation == cpu->real.generation &&
           cpu->loaded_state.instruction_space == vp->state.instruction_space &&
           cpu->loaded_state.data_space == vp->state.data_space &&
           cpu->loaded_state.problem == vp->state.problem &&
           memcmp(cpu->loaded_pid, vp->booke.pid, sizeof(cpu->loaded_pid)) == 0;
}

/* Entered once more, a VP keeps its shadow PIDs. */
static void look_for_same(struct world *world, struct vp *vp, const struct vmmu_booke_pids *pids)
{
    const struct vmmu_booke_pids again =
        vmmu_booke_enter(&vp->booke, &world->cpu[vp->processor].real, vp->state);

    if (memcmp(&again, pids, sizeof(again)) != 0) {
        world_report(world, CHECK_THRIFT, "vp %u is entered again, and has other shadow PIDs",
                     (unsigned)(vp - world->vp));
    }
}

void world_load(struct world *world, struct vp *vp)
{
    struct cpu *cpu = &world->cpu[vp->processor];
    struct vmmu_booke_pids pids;
    const uint32_t generation = cpu->real.generation;
    const uint32_t writes = world->writes;

    if (is_loaded(cpu, vp)) {
        return;
    }
    pids = vmmu_booke_enter(&vp->booke, &cpu->real, vp->state);
    if (world->writes != writes && cpu->real.generation == generation) {
        world_report(world, CHECK_THRIFT, "vp %u is entered, and real entries are written",
                     (unsigned)(vp - world->vp));
    }
    cpu->loaded = vp;
    cpu->loaded_state = vp->state;
    look_for_same(world, vp, &pids);
    cpu->generation = cpu->real.generation;
    memcpy(cpu->loaded_pid, vp->booke.pid, sizeof(cpu->loaded_pid));
    for (unsigned i = 0; i < world->host.pids; i++) {
        cpu->model.pid[i] = pids.pid[i];
        if (pids.pid[i] >> world->host.pid_bits != 0) {
            world_report(world, CHECK_OWN, "PID%u is to be %u, which the processor has not", i, pids.pid[i]);
        }
    }
    world_look_for_doubles(world, cpu);
}

/* --- operations of the host --- */

/* What went because [hpa, hpa + size_bytes) was forgotten had something of that. */
static void look_at_forgotten(struct world *world, uint64_t hpa, uint64_t size_bytes)
{
    for (unsigned i = 0; i < world->gone_count; i++) {
        const struct real_entry *gone = &world->gone[i];

        if (gone->real >= hpa + size_bytes || gone->real + (gone->last - gone->first) < hpa) {
            world_report(world, CHECK_THRIFT, "the real entry of 0x%x goes, and its memory has not changed",
                         gone->first);
        }
    }
}

/* Every VP of a partition forgets what was made of @bank, or now and then all that it has. */
static void forget(struct world *world, unsigned partition, const struct bank *bank, bool all)
{
    for (unsigned i = 0; i < world->vps; i++) {
        struct vp *vp = &world->vp[i];
        struct vmmu_booke_real *real = &world->cpu[vp->processor].real;

        if (vp->partition != partition) {
            continue;
        }
        if (all) {
            vmmu_booke_forget_all(&vp->booke, real);
        } else if (bank->size_bytes != 0) {
            vmmu_booke_forget(&vp->booke, real, (vmmu_gpa){ bank->gpa }, bank->size_bytes);
        }
    }
}

static void change_memory(struct world *world, const struct vp *vp, const struct op *op)
{
    struct host_memory *memory = &world->memory[vp->partition];
    struct bank *bank = &memory->bank[op->which % BANKS];
    struct bank before = *bank;

    switch ((unsigned)op->kind) {
    case OP_HOST_GIVE: before = host_memory_give(memory, op->which % BANKS, op->value); break;
    case OP_HOST_TAKE: bank->size_bytes = 0; break;
    default: bank->lost = true; break;
    }
    forget(world, vp->partition, &before, op->value & 16);
    if (!(op->value & 16)) {
        look_at_forgotten(world, before.hpa + (before.gpa - bank->gpa), before.size_bytes);
    }
}

static void move(struct world *world, struct vp *vp, unsigned to)
{
    struct cpu *from = &world->cpu[vp->processor];

    vmmu_booke_detach(&vp->booke, &from->real);
    if (from->loaded == vp) {
        from->loaded = NULL;
    }
    vp->processor = to % world->cpus;
    if (vmmu_booke_attach(&vp->booke, &world->cpu[vp->processor].real, vp->spaces, vp->spaces_bytes) !=
        VMMU_OK) {
        world_report(world, CHECK_EXIT, "a VP cannot be attached again");
    }
}

/* --- operations of guests --- */

static void set_register(struct vp *vp, uint32_t which, uint32_t value)
{
    static const unsigned mas[] = { 0, 1, 2, 3, 4, 6, 7 };

    which %= VMMU_BOOKE_HID0 + 1;
    vmmu_booke_set(&vp->booke, (enum vmmu_booke_register)which, value);
    if (which < VMMU_BOOKE_PID0) {
        reference_set_mas(&vp->reference, mas[which], value);
    } else if (which < VMMU_BOOKE_MMUCSR0) {
        reference_set_pid(&vp->reference, which - VMMU_BOOKE_PID0, value);
    } else if (which == VMMU_BOOKE_MMUCSR0) {
        reference_flash(&vp->reference, value);
    } else {
        reference_set_hid0(&vp->reference, value);
    }
}

static void write_entry(struct world *world, struct vp *vp, const struct op *op)
{
    static const unsigned registers[] = { VMMU_BOOKE_MAS1, VMMU_BOOKE_MAS2, VMMU_BOOKE_MAS3,
                                          VMMU_BOOKE_MAS7 };

    set_register(vp, VMMU_BOOKE_MAS0, op->value);
    for (unsigned i = 0; i < 4; i++) {
        set_register(vp, registers[i], op->word[i]);
    }
    world_write_entry(world, vp, op->which);
}

static void invalidate(struct world *world, struct vp *vp, const struct op *op)
{
    for (unsigned i = 0; i < world->vps; i++) {
        struct vp *other = &world->vp[i];

        if (other == vp || ((op->which & 1) && other->partition == vp->partition)) {
            vmmu_booke_invalidate(&other->booke, op->address);
            reference_invalidate(&other->reference, op->address);
        }
    }
}

static void set_mode(struct vp *vp, uint32_t value)
{
    vp->state = (struct vmmu_booke_state){ .instruction_space = value & 1,
                                           .data_space = value & 2,
                                           .problem = value & 4 };
}

static void perform(struct world *world, struct vp *vp, const struct op *op)
{
    switch (op->kind) {
    case OP_SET: set_register(vp, op->which, op->value); break;
    case OP_ENTRY: write_entry(world, vp, op); break;
    case OP_WRITE: world_write_entry(world, vp, 0); break;
    case OP_READ:
        vmmu_booke_read(&vp->booke);
        reference_read(&vp->reference);
        break;
    case OP_SEARCH:
        vmmu_booke_search(&vp->booke, op->address);
        reference_search(&vp->reference, op->address);
        break;
    case OP_INVALIDATE: invalidate(world, vp, op); break;
    case OP_LOCAL:
        vmmu_booke_invalidate_local(&vp->booke, op->which & 3, op->address);
        reference_invalidate_local(&vp->reference, op->which & 3, op->address);
        break;
    case OP_MODE: set_mode(vp, op->value); break;
    case OP_LOAD:
    case OP_STORE:
    case OP_FETCH: world_access(world, vp, op); break;
    case OP_HOST_GIVE:
    case OP_HOST_TAKE:
    case OP_HOST_LOSE: change_memory(world, vp, op); break;
    case OP_FORGET: vmmu_booke_forget_all(&vp->booke, &world->cpu[vp->processor].real); break;
    case OP_MOVE: move(world, vp, op->which); break;
    case OP_KINDS: break;
    }
}

bool world_step(struct world *world, const struct op *op)
{
    struct vp *vp = &world->vp[op->vp % world->vps];

    if (world->finding.found) {
        return false;
    }
    world->writes = 0;
    world->gone_count = 0;
    world->made = 0;
    world->violated = false;
    for (unsigned i = 0; i < world->vps; i++) {
        reference_begin(&world->vp[i].reference);
    }
    world->counters.ops[op->kind]++;
    world->ops++;
    perform(world, vp, op);
    world_look_at_thrift(world, op);
    for (unsigned i = 0; i < world->cpus; i++) {
        if (world->cpu[i].loaded) {
            world_load(world, world->cpu[i].loaded);
        }
    }
    world_look(world);
    return !world->finding.found;
}

/* --- for others --- */

const struct finding *world_finding(const struct world *world)
{
    return &world->finding;
}

const struct world_counters *world_counters(const struct world *world)
{
    return &world->counters;
}

unsigned world_vps(const struct world *world)
{
    return world->vps;
}

unsigned world_processors(const struct world *world)
{
    return world->cpus;
}

struct vmmu_booke_state world_state(const struct world *world, unsigned vp)
{
    return world->vp[vp % world->vps].state;
}

const struct reference *world_reference(const struct world *world, unsigned vp)
{
    return &world->vp[vp % world->vps].reference;
}

const struct host_memory *world_memory(const struct world *world, unsigned vp)
{
    return &world->memory[world->vp[vp % world->vps].partition];
}
