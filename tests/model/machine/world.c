/*
 * Worlds: made of a setting, run step by step, and torn down with nothing lost.
 */
#include "tests/model/machine/world_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define PHYSICAL_BITS   40

/* How often tables are held against others as a whole. */
#define CHECKED_ONCE_IN 48

const char *const check_names[CHECKS] = {
    [CHECK_TRANSLATION] = "translation",
    [CHECK_FAULT] = "fault",
    [CHECK_MARKS] = "marks",
    [CHECK_FRAME] = "frame",
    [CHECK_ISOLATION] = "isolation",
    [CHECK_DATA] = "data",
    [CHECK_PRESENT] = "present",
    [CHECK_SIZES] = "sizes",
    [CHECK_DIRTY_LOG] = "dirty-log",
    [CHECK_HARVEST] = "harvest",
    [CHECK_EXIT] = "exit",
    [CHECK_PROGRESS] = "progress",
    [CHECK_TABLES] = "tables",
    [CHECK_SILENCE] = "silence",
    [CHECK_SWITCH] = "switch",
    [CHECK_CALL] = "call",
    [CHECK_THRIFT] = "thrift",
};

/* --- findings --- */

void world_report(struct world *world, enum check check, const char *format, ...)
{
    va_list arguments;

    if (world->finding.found || !is_checked(world, check)) {
        return;
    }
    world->finding.found = true;
    world->finding.check = check;
    va_start(arguments, format);
    vsnprintf(world->finding.sentence, sizeof world->finding.sentence, format, arguments);
    va_end(arguments);
}

const struct finding *world_finding(const struct world *world)
{
    return &world->finding;
}

/* --- questions --- */

const struct vmmu_x86_cpu *world_cpu(const struct world *world)
{
    return &world->cpu;
}

const struct setting *world_setting(const struct world *world)
{
    return &world->setting;
}

struct memory *world_memory(struct world *world)
{
    return world->memory;
}

struct reference *world_reference(struct world *world)
{
    return world->reference;
}

struct vmmu_table_memory *world_tables(struct world *world)
{
    return &world->tables;
}

const struct world_counters *world_counters(const struct world *world)
{
    return &world->counters;
}

bool world_once_in(struct world *world, uint32_t times)
{
    return luck_once_in(&world->luck, times);
}

void world_count_switch(struct world *world)
{
    world->counters.switches++;
}

uint32_t world_below(struct world *world, uint32_t limit)
{
    return luck_below(&world->luck, limit);
}

bool world_host_maps(const struct world *world, uint64_t gpa, uint8_t *rights)
{
    const uint32_t page = host_page(gpa);

    if (page == HOST_NO_PAGE || !(world->map.now[page] & HOST_MAPPED)) {
        return false;
    }
    *rights = world->map.now[page] & HOST_RIGHTS;
    return true;
}

/* --- creation --- */

/* The engine of the setting, or NULL if the setting cannot be. */
static const struct engine_class *class_of(const struct setting *setting)
{
    unsigned index = 0;

    while (engines[index] && index < setting->engine) {
        index++;
    }
    if (!engines[index] || !(setting->intel ? engines[index]->intel : engines[index]->amd)) {
        return NULL;
    }
    if (setting->vps == 0 || setting->vps > MODEL_VPS || setting->processors == 0 ||
        setting->processors > MODEL_PROCESSORS || setting->tlb_entries == 0) {
        return NULL;
    }
    if (setting->table_pages < engines[index]->least_table_pages) {
        return NULL;
    }
    return setting->tags != 0 && (setting->tagged || setting->intel) ? engines[index] : NULL;
}

static struct vmmu_x86_cpu cpu_of(const struct setting *setting)
{
    return (struct vmmu_x86_cpu){
        .maxphyaddr = PHYSICAL_BITS,
        .pse = true,
        .pse36 = setting->pse36,
        .pae = true,
        .pge = true,
        .nx = setting->nx,
        .long_mode = true,
        .gib_pages = setting->gib_pages,
        .la57 = setting->la57,
        .smep = setting->smep,
        .smap = setting->smap,
        .pku = setting->pku,
        .pcid = setting->pcid,
        .bit8_reserved = !setting->intel,
        .efer_others = setting->intel ? 0 : VMMU_X86_EFER_TCE,
    };
}

static bool start_processors(struct world *world)
{
    const struct processor_witness witness = {
        .context = world,
        .marked = world_marked,
        .used = world_used,
    };

    for (unsigned i = 0; i < world->setting.processors; i++) {
        struct world_processor *processor = &world->processors[i];

        processor->loaded = NOBODY;
        memset(processor->owner, NOBODY, sizeof processor->owner);
        processor->machine = processor_create(world->memory, &witness, world->setting.tlb_entries);
        if (!processor->machine) {
            return false;
        }
    }
    for (uint8_t i = 0, processor = 0; i < world->setting.vps; i++) {
        world->vps[i].processor = processor;
        world->vps[i].last = NOBODY;
        processor = processor + 1 == world->setting.processors ? 0 : processor + 1;
    }
    return true;
}

static bool start(struct world *world)
{
    world->memory = memory_create();
    world->reference = reference_create(&world->cpu, world->setting.intel, world->setting.vps);
    if (!world->memory || !world->reference || !start_processors(world) || !world_tables_start(world)) {
        return false;
    }
    if (is_shadowed(world)) {
        reference_hold_pdptes(world->reference);
    }
    if (!world_start_calls(world)) {
        return false;
    }
    world->engine = world->class->create(world);
    if (!world->engine) {
        return false;
    }
    world_map_first(world);
    return true;
}

struct world *world_create(const struct setting *setting, uint32_t checks)
{
    const struct engine_class *class = class_of(setting);
    struct world *world;

    if (!class) {
        return NULL;
    }
    world = calloc(1, sizeof *world);
    if (!world) {
        return NULL;
    }
    world->setting = *setting;
    world->checks = checks;
    world->class = class;
    world->cpu = cpu_of(setting);
    world->luck = luck_from(setting->seed);
    world->precisely = world_once_in(world, 2);
    world->generations = world_once_in(world, 2);
    if (!start(world)) {
        world_destroy(world, NULL);
        return NULL;
    }
    return world;
}

void world_destroy(struct world *world, struct finding *last)
{
    if (world->engine) {
        world_settle(world);
        world->class->destroy(world->engine);
    }
    world_tables_finish(world);
    for (unsigned i = 0; i < world->setting.processors; i++) {
        if (world->processors[i].machine) {
            processor_destroy(world->processors[i].machine);
        }
    }
    if (world->reference) {
        reference_destroy(world->reference);
    }
    if (world->memory) {
        memory_destroy(world->memory);
    }
    if (last) {
        *last = world->finding;
    }
    free(world);
}

/* --- steps --- */

static bool step_evict(struct world *world, const struct op *op)
{
    const uint32_t of_256 = op->value > 256 ? 256 : (uint32_t)op->value;

    processor_evict(world_processor(world, op->vp)->machine, of_256, &world->luck);
    return of_256 != 0;
}

/* Each returns whether it did something. */
static bool (*const steps[OP_KINDS])(struct world *world, const struct op *op) = {
    [OP_READ] = world_step_access,
    [OP_WRITE] = world_step_access,
    [OP_FETCH] = world_step_access,
    [OP_INVLPG] = world_step_control,
    [OP_CR0] = world_step_control,
    [OP_CR3] = world_step_control,
    [OP_CR4] = world_step_control,
    [OP_EFER] = world_step_control,
    [OP_PKRU] = world_step_control,
    [OP_INVPCID] = world_step_control,
    [OP_ELEMENT] = world_step_element,
    [OP_FLUSH] = world_step_flush,
    [OP_SWITCH] = world_step_switch,
    [OP_SPECULATE] = world_step_speculate,
    [OP_EVICT] = step_evict,
    [OP_MIGRATE] = world_step_migrate,
    [OP_MAP] = world_step_host,
    [OP_MOVE] = world_step_host,
    [OP_UNMAP] = world_step_host,
    [OP_PROTECT] = world_step_host,
    [OP_SPLIT] = world_step_host,
    [OP_MERGE] = world_step_host,
    [OP_LOG_START] = world_step_log_start,
    [OP_LOG_COLLECT] = world_step_log_collect,
    [OP_LOG_STOP] = world_step_log_stop,
    [OP_HARVEST] = world_step_harvest,
};

/* Who waited for the host goes on. */
static void resume_all(struct world *world)
{
    for (unsigned i = 0; i < world->setting.processors; i++) {
        if (world->processors[i].loaded != NOBODY) {
            world_resume(world, world->processors[i].loaded);
        }
    }
}

bool world_step(struct world *world, const struct op *op)
{
    if (world->finding.found) {
        return false;
    }
    world->luck = luck_from(op->luck);
    world->doing = op->kind;
    world->stores = 0;
    if (world->later_count != 0 && world_once_in(world, 16)) {
        world_settle(world);
    }
    if (op->kind < OP_KINDS && op->vp < world->setting.vps && steps[op->kind](world, op)) {
        world->counters.ops[op->kind]++;
    } else {
        world->counters.idle++;
    }
    resume_all(world);
    if (world->class->check) {
        world->class->check(world->engine, world_once_in(world, CHECKED_ONCE_IN));
    }
    return !world->finding.found;
}
