#include "machine_rig.h"

#include "tests/unit/test.h"

struct sim_config sim_rig_config(enum sim_technique technique)
{
    struct sim_config config = {
        .technique = technique,
        .upper_levels = true,
        .page_level = 1,
        .host_page_level = 1,
        .levels = 4,
        .nested_levels = 4,
        .memory_bytes = VMMU_1G_BYTES,
        .pool_pages = 2048,
    };
    struct complaint complaint;

    EXPECT(sim_geometry_find("skylake", &config.geometry, &complaint));
    return config;
}

struct sim_machine *sim_rig_open(const struct sim_config *config)
{
    struct complaint complaint;
    struct sim_machine *const machine = sim_machine_open(config, &complaint);

    if (!machine) {
        fail_msg("%s", complaint.text);
    }
    return machine;
}

void sim_rig_run(struct sim_machine *machine, const sim_record *records, size_t count)
{
    struct complaint complaint;

    if (!sim_machine_run(machine, records, count, &complaint)) {
        fail_msg("%s", complaint.text);
    }
}

void sim_rig_switch(struct sim_machine *machine, uint64_t name)
{
    struct complaint complaint;

    if (!sim_machine_switch(machine, name, &complaint)) {
        fail_msg("%s", complaint.text);
    }
}

void sim_rig_touch(struct sim_machine *machine, enum sim_record_kind kind, uint64_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const sim_record record = sim_record_of(kind, first + i);

        sim_rig_run(machine, &record, 1);
    }
}

struct sim_counts sim_rig_count(const struct sim_config *config,
                                void (*scenario)(struct sim_machine *machine))
{
    struct sim_machine *const machine = sim_rig_open(config);
    struct sim_counts counts;

    scenario(machine);
    counts = sim_machine_counts(machine);
    sim_machine_close(machine);
    return counts;
}

uint64_t sim_rig_exits(const struct sim_counts *counts)
{
    uint64_t exits = 0;

    for (unsigned i = 0; i < SIM_EXITS; i++) {
        exits += counts->exits[i];
    }
    return exits;
}
