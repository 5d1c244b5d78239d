/*
 * A machine's life, its address spaces, and the records that it is fed with.
 */
#include <stdlib.h>

#include "tools/sim/inside.h"

#define HOST_BYTES    VMMU_1G_BYTES

/* Far from the end of 64 bits, so that no sum of counts passes it. */
#define ACCESSES_MOST (UINT64_C(1) << 60)

/* --- tags of shadow paging --- */

/* The library asks for it. Without VPID the exit that comes with it does it, too. */
static void flush_guest(void *context)
{
    struct sim_machine *const machine = context;

    machine->counts.flushes++;
    for (uint16_t tag = 0; machine->tags.tagged && tag < SIM_TAGS; tag++) {
        sim_flush_vpid(machine, (uint16_t)(SIM_VPID_OF_VP + tag));
    }
}

/* The VPID of the root in use: its own, or the one that was not used for longest. */
static uint16_t choose_tag(struct sim_machine *machine)
{
    struct sim_tags *const tags = &machine->of_roots;
    const uint64_t root = engine_shadow_root(machine->shadow);
    unsigned oldest = 0;

    for (unsigned i = 0; i < SIM_TAGS; i++) {
        if (tags->root[i] == root) {
            tags->used[i] = ++tags->turn;
            return (uint16_t)(SIM_VPID_OF_VP + i);
        }
        oldest = tags->used[i] < tags->used[oldest] ? i : oldest;
    }
    tags->root[oldest] = root;
    tags->used[oldest] = ++tags->turn;
    sim_flush_vpid(machine, (uint16_t)(SIM_VPID_OF_VP + oldest));
    return (uint16_t)(SIM_VPID_OF_VP + oldest);
}

/* --- address spaces --- */

static bool load_root(struct sim_machine *machine, unsigned space, struct complaint *complaint)
{
    machine->space = space;
    machine->registers = sim_guest_registers(machine->guest, space);
    return vmmu_mode_make(sim_guest_cpu(), &machine->registers, &machine->mode) == VMMU_OK ||
           complain(complaint, "no processor accepts the guest's registers");
}

static bool enter_shadow(struct sim_machine *machine, struct complaint *complaint)
{
    if (!engine_shadow_enter(machine->shadow, &machine->mode, complaint)) {
        return false;
    }
    if (machine->config.vpid == SIM_VPID_ROOTS) {
        machine->tags.space = choose_tag(machine);
    }
    return true;
}

static bool move_to_cr3(struct sim_machine *machine, unsigned space, struct complaint *complaint)
{
    const struct vmmu_x86_paging_registers before = machine->registers;
    struct vmmu_tlb_scopes scopes;

    if (!load_root(machine, space, complaint)) {
        return false;
    }
    if (machine->shadow) {
        return enter_shadow(machine, complaint) &&
               (machine->in_host || sim_world_switch(machine, SIM_EXIT_ROOT, complaint));
    }
    scopes =
        vmmu_invalidate_mov_cr3(&machine->tags, &before,
                                machine->registers.cr3 | (machine->config.pcids ? VMMU_X86_CR3_NO_FLUSH : 0));
    sim_processor_invalidate(&machine->processor, &scopes);
    sim_processor_enter(&machine->processor, &machine->tags, machine->mode.pcid);
    return true;
}

bool sim_machine_switch(struct sim_machine *machine, uint64_t name, struct complaint *complaint)
{
    unsigned space;

    if (machine->in_host) { /* the hypervisor says what the guest will run in */
        sim_enter_guest(machine);
    }
    if (!sim_guest_space(machine->guest, name, &space, complaint)) {
        return false;
    }
    if (!machine->space_is_set || space != machine->space) {
        machine->counts.switches += machine->space_is_set;
        machine->space_is_set = true;
        if (space != machine->space && !move_to_cr3(machine, space, complaint)) {
            return false;
        }
    }
    if (machine->in_host) {
        sim_leave_guest(machine);
    }
    return true;
}

/* --- records --- */

/* One reference that is not what its side used last; or that is, and goes on in the next page. */
static bool refer(struct sim_machine *machine, sim_record record, struct complaint *complaint)
{
    const enum sim_record_kind kind = sim_record_kind(record);
    struct sim_access access = { .world = machine->in_host ? SIM_HOST : SIM_USER,
                                 .side = kind == SIM_FETCH ? SIM_CODE : SIM_DATA,
                                 .va = record & SIM_RECORD_VALUE,
                                 .write = kind == SIM_WRITE || kind == SIM_MODIFY };

    if (!(machine->in_host ? sim_access_host : sim_access_guest)(machine, &access, complaint)) {
        return false;
    }
    if (!(record & SIM_RECORD_CROSSES)) {
        return true;
    }
    access.va += VMMU_PAGE_BYTES;
    return (machine->in_host ? sim_access_host : sim_access_guest)(machine, &access, complaint);
}

/* The trace has exits of its own: none are added. */
static void exit_by_trace(struct sim_machine *machine)
{
    machine->next_exit = UINT64_MAX;
    machine->is_left = true;
    if (machine->config.technique != SIM_NATIVE && !machine->in_host) {
        machine->counts.exits[SIM_EXIT_OUTSIDE]++;
        sim_leave_guest(machine);
        machine->in_host = true;
    }
}

static void enter_by_trace(struct sim_machine *machine)
{
    machine->is_left = false;
    if (machine->in_host) {
        sim_enter_guest(machine);
        machine->in_host = false;
    }
}

/* INVLPG while the guest runs. */
static bool invalidate_page(struct sim_machine *machine, uint64_t va, struct complaint *complaint)
{
    const struct vmmu_tlb_scopes scopes =
        vmmu_invalidate_invlpg(&machine->tags, &machine->registers, (vmmu_gva){ va }, VMMU_PAGE_BYTES);
    uint64_t exits;

    if (machine->in_host) {
        return true;
    }
    sim_processor_invalidate(&machine->processor, &scopes);
    if (!machine->shadow) {
        return true;
    }
    exits = engine_shadow_total(machine->shadow)->instruction_exits;
    return engine_shadow_invlpg(machine->shadow, (vmmu_gva){ va }, complaint) &&
           (engine_shadow_total(machine->shadow)->instruction_exits == exits ||
            sim_world_switch(machine, SIM_EXIT_INVLPG, complaint));
}

/* The exit that is due after so many references, if it is. */
static inline bool exit_if_due(struct sim_machine *machine, struct complaint *complaint)
{
    if (machine->counts.accesses[SIM_USER] < machine->next_exit) {
        return true;
    }
    machine->next_exit += machine->config.exit_every;
    return sim_world_switch(machine, SIM_EXIT_OUTSIDE, complaint);
}

/* A native machine has no hypervisor: its references are passed over. */
static bool is_passed_over(const struct sim_machine *machine)
{
    return machine->is_left && !machine->in_host;
}

/* Have the translation that @record needs: what its side used last needs no look. */
static inline bool reach(struct sim_machine *machine, sim_record record, struct complaint *complaint)
{
    const struct sim_processor *const processor = &machine->processor;
    const enum sim_record_kind kind = sim_record_kind(record);
    const struct sim_last *const last =
        &processor->last[processor->side[kind == SIM_FETCH ? SIM_CODE : SIM_DATA]];

    return (((record ^ last->base) & last->mask) == 0 && (kind < SIM_WRITE || last->write)) ||
           refer(machine, record, complaint);
}

/*
 * @left more references like the last. An exit among them may take what the last one found: the first behind it looks for
 * that again, and the others find it.
 */
static bool repeat(struct sim_machine *machine, uint64_t left, struct complaint *complaint)
{
    uint64_t *const accesses = &machine->counts.accesses[machine->in_host ? SIM_HOST : SIM_USER];

    if (is_passed_over(machine)) {
        return true;
    }
    if (left > ACCESSES_MOST - *accesses) {
        return complain(complaint, "a trace of more references than can be counted");
    }
    while (left != 0) {
        const uint64_t due = machine->in_host ? UINT64_MAX : machine->next_exit - *accesses;
        const uint64_t part = left < due ? left : due;

        *accesses += part;
        left -= part;
        if ((sim_record_is_reference(machine->last) && !reach(machine, machine->last, complaint)) ||
            !exit_if_due(machine, complaint)) {
            return false;
        }
    }
    return true;
}

/* What is no reference. */
static bool happen(struct sim_machine *machine, sim_record record, struct complaint *complaint)
{
    const uint64_t value = sim_record_value(record);

    machine->last = sim_record_after(machine->last, record);
    switch (sim_record_kind(record)) {
    case SIM_REPEAT: return repeat(machine, value, complaint);
    case SIM_SPACE: return sim_machine_switch(machine, value, complaint);
    case SIM_EXIT: exit_by_trace(machine); return true;
    case SIM_ENTER: enter_by_trace(machine); return true;
    case SIM_INVLPG: return invalidate_page(machine, record & SIM_RECORD_VALUE, complaint);
    case SIM_FETCH:
    case SIM_READ:
    case SIM_WRITE:
    case SIM_MODIFY:
    case SIM_RECORD_KINDS: break;
    }
    return complain(complaint, "a record of a kind that is not known");
}

bool sim_machine_run(struct sim_machine *machine, const sim_record *records, size_t count,
                     struct complaint *complaint)
{
    for (size_t i = 0; i < count; i++) {
        const sim_record record = records[i];

        if (!sim_record_is_reference(record)) {
            if (!happen(machine, record, complaint)) {
                return false;
            }
            continue;
        }
        if (is_passed_over(machine)) {
            continue;
        }
        machine->last = record;
        machine->counts.accesses[machine->in_host ? SIM_HOST : SIM_USER]++;
        if (!reach(machine, record, complaint) || !exit_if_due(machine, complaint)) {
            return false;
        }
    }
    return true;
}

/* --- life --- */

static bool open_host(struct sim_host *host, struct complaint *complaint)
{
    const struct sim_guest_options options = { .levels = 4, .leaf_level = 1, .memory_bytes = HOST_BYTES };
    const struct sim_guest_host nobody = { 0 };
    struct vmmu_x86_paging_registers registers;

    host->memory = engine_memory_new(HOST_BYTES, complaint);
    host->kernel = host->memory ? sim_guest_open(host->memory, &options, &nobody, complaint) : NULL;
    if (!host->kernel) {
        return false;
    }
    registers = sim_guest_registers(host->kernel, 0);
    return vmmu_mode_make(sim_guest_cpu(), &registers, &host->mode) == VMMU_OK ||
           complain(complaint, "no processor accepts the hypervisor's registers");
}

static bool open_guest(struct sim_machine *machine, struct complaint *complaint)
{
    const struct sim_config *const config = &machine->config;
    const struct sim_guest_options options = { .levels = config->levels,
                                               .leaf_level = config->page_level,
                                               .memory_bytes = config->memory_bytes,
                                               .pcids = config->pcids };
    const struct sim_guest_host host = { .context = machine,
                                         .store = sim_kernel_store,
                                         .clear = sim_kernel_clear };

    machine->memory = engine_memory_new(config->memory_bytes, complaint);
    machine->guest = machine->memory ? sim_guest_open(machine->memory, &options, &host, complaint) : NULL;
    return machine->guest && load_root(machine, 0, complaint);
}

static bool open_nested(struct sim_machine *machine, struct complaint *complaint)
{
    const struct engine_nested_options options = { .format = VMMU_NESTED_EPT,
                                                   .levels = (uint8_t)machine->config.nested_levels,
                                                   .largest_level =
                                                       (uint8_t)machine->config.host_page_level };

    machine->nested = engine_nested_open(machine->memory, &options, complaint);
    if (machine->nested) {
        machine->tags.nested = true;
        machine->tags.stage2 = vmmu_invalidate_ep4ta(engine_nested_second(machine->nested)->root.v);
    }
    return machine->nested != NULL;
}

static bool open_shadow(struct sim_machine *machine, struct complaint *complaint)
{
    const struct sim_config *const config = &machine->config;
    const struct engine_shadow_options options = {
        .pool_pages = config->pool_pages,
        .largest_piece_level = (uint8_t)config->host_page_level,
        .intel = true,
        .silent_absent = config->silent,
        .tagged_roots = config->vpid == SIM_VPID_ROOTS,
        .context = machine,
        .flush = flush_guest,
    };

    machine->shadow = engine_shadow_open(machine->memory, &options, complaint);
    return machine->shadow && enter_shadow(machine, complaint);
}

static bool open_technique(struct sim_machine *machine, struct complaint *complaint)
{
    machine->tags = sim_bare_tags;
    machine->tags.tagged = machine->config.vpid != SIM_VPID_OFF;
    machine->tags.space = machine->tags.tagged ? SIM_VPID_OF_VP : 0;
    switch (machine->config.technique) {
    case SIM_NATIVE: return true;
    case SIM_SHADOW: return open_shadow(machine, complaint);
    case SIM_NESTED: return open_nested(machine, complaint);
    case SIM_TECHNIQUES: break;
    }
    return false;
}

struct sim_machine *sim_machine_open(const struct sim_config *config, struct complaint *complaint)
{
    struct sim_machine *machine = take_memory(1, sizeof *machine);
    const bool exits = config->exit_every != 0 && config->technique != SIM_NATIVE;

    machine->config = *config;
    machine->last = SIM_NO_REFERENCE;
    machine->next_exit = exits ? config->exit_every : UINT64_MAX;
    if (!sim_processor_open(&machine->processor, &config->geometry, config->upper_levels, complaint) ||
        !open_guest(machine, complaint) || !open_host(&machine->host, complaint) ||
        !open_technique(machine, complaint)) {
        sim_machine_close(machine);
        return NULL;
    }
    sim_processor_enter(&machine->processor, &machine->tags, machine->shadow ? 0 : machine->mode.pcid);
    return machine;
}

void sim_machine_close(struct sim_machine *machine)
{
    if (!machine) {
        return;
    }
    engine_shadow_close(machine->shadow);
    engine_nested_close(machine->nested);
    sim_guest_close(machine->guest);
    engine_memory_free(machine->memory);
    sim_guest_close(machine->host.kernel);
    engine_memory_free(machine->host.memory);
    sim_processor_close(&machine->processor);
    free(machine);
}

struct sim_counts sim_machine_counts(const struct sim_machine *machine)
{
    struct sim_counts counts = machine->counts;

    counts.mapped_bytes = sim_guest_mapped_bytes(machine->guest);
    counts.guest_tables = sim_guest_table_pages(machine->guest);
    if (machine->shadow) {
        counts.engine_tables = engine_shadow_counters(machine->shadow)->peak_pages;
    } else if (machine->nested) {
        counts.engine_tables = engine_nested_table_pages(machine->nested);
    }
    return counts;
}
