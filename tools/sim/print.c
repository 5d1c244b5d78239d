/*
 * Results as tables of text, and as JSON.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tools/sim/results.h"
#include "tools/ui/json.h"
#include "tools/ui/paint.h"
#include "tools/ui/table.h"

#define KIB_A_PAGE 4

static void print_head(const char *words)
{
    printf("\n%s%s%s\n", paint_on(PAINT_HEAD), words, paint_off());
}

/* --- text --- */

static void print_traces(const struct sim_results *results)
{
    const struct sim_schedule *const schedule = results->schedule;

    for (unsigned i = 0; i < schedule->trace_count; i++) {
        printf("%s: %" PRIu64 " references", sim_trace_path(schedule->traces[i]), schedule->references[i]);
        if (schedule->processes > 1) {
            printf(", as %u processes", schedule->processes);
        }
        putchar('\n');
    }
    printf("Same for all: %s\n", results->same);
    for (unsigned i = 0; i < results->count; i++) {
        const struct sim_geometry *const geometry = &results->results[i].config.geometry;
        bool said = false;

        for (unsigned before = 0; before < i; before++) {
            said |= results->results[before].config.geometry.name == geometry->name;
        }
        if (!said) {
            printf("TLB %s: %s\n", geometry->name, geometry->words);
        }
    }
}

static void print_overall(const struct sim_results *results)
{
    static const struct table_column columns[] = {
        { "CONFIGURATION", TABLE_LEFT }, { "WALKS/1000", TABLE_RIGHT }, { "REFS/WALK", TABLE_RIGHT },
        { "EXITS/M", TABLE_RIGHT },      { "GUEST KiB", TABLE_RIGHT },  { "ENGINE KiB", TABLE_RIGHT },
        { "CYCLES/1000", TABLE_RIGHT },
    };
    struct table *const table = table_new(columns, sizeof(columns) / sizeof(columns[0]));

    print_head("What it costs: walks for 1000 references, references of a walk, exits");
    for (unsigned i = 0; i < results->count; i++) {
        const struct sim_result *const result = &results->results[i];
        struct table_row *const row = table_row(table);

        table_cell(row, 0, PAINT_NOTE, "%s", result->label);
        table_cell(row, 1, PAINT_PLAIN, "%.3f", result->misses_per_1000);
        table_cell(row, 2, PAINT_PLAIN, "%.2f", result->references_per_walk);
        table_cell(row, 3, PAINT_PLAIN, "%.1f", result->exits_per_million);
        table_cell(row, 4, PAINT_PLAIN, "%" PRIu64, result->counts.guest_tables * KIB_A_PAGE);
        table_cell(row, 5, PAINT_PLAIN, "%" PRIu64, result->counts.engine_tables * KIB_A_PAGE);
        table_cell(row, 6, PAINT_PLAIN, "%.1f", result->cost_per_1000);
    }
    table_print(table);
    printf("%sCycles (--weights): second %" PRIu64 ", reference %" PRIu64 ", fault %" PRIu64 ", exit %" PRIu64
           ", switch %" PRIu64 "%s\n",
           paint_on(PAINT_DIM), results->weights.second, results->weights.reference, results->weights.fault,
           results->weights.exit, results->weights.change, paint_off());
}

static void print_walks(const struct sim_results *results)
{
    static const struct table_column columns[] = {
        { "CONFIGURATION", TABLE_LEFT }, { "SECOND LEVEL", TABLE_RIGHT }, { "USER", TABLE_RIGHT },
        { "REFS/WALK", TABLE_RIGHT },    { "KERNEL", TABLE_RIGHT },       { "HYPERVISOR", TABLE_RIGHT },
        { "FAULTING", TABLE_RIGHT },
    };
    struct table *const table = table_new(columns, sizeof(columns) / sizeof(columns[0]));

    print_head("Hits in the second level, and walks: whose they are");
    for (unsigned i = 0; i < results->count; i++) {
        const struct sim_counts *const counts = &results->results[i].counts;
        struct table_row *const row = table_row(table);

        table_cell(row, 0, PAINT_NOTE, "%s", results->results[i].label);
        table_cell(row, 1, PAINT_PLAIN, "%" PRIu64, counts->second[SIM_USER] + counts->second[SIM_KERNEL]);
        table_cell(row, 2, PAINT_PLAIN, "%" PRIu64, counts->walks[SIM_USER]);
        table_cell(row, 3, PAINT_PLAIN, "%.2f", results->results[i].user_references_per_walk);
        table_cell(row, 4, PAINT_PLAIN, "%" PRIu64, counts->walks[SIM_KERNEL]);
        table_cell(row, 5, PAINT_PLAIN, "%" PRIu64, counts->walks[SIM_HOST]);
        table_cell(row, 6, PAINT_PLAIN, "%" PRIu64, counts->faulting_walks);
    }
    table_print(table);
}

static void print_exits(const struct sim_results *results)
{
    static const struct table_column columns[] = {
        { "CONFIGURATION", TABLE_LEFT }, { "FAULTS", TABLE_RIGHT }, { "SWITCHES", TABLE_RIGHT },
        { "OUTSIDE", TABLE_RIGHT },      { "FILL", TABLE_RIGHT },   { "FAULT", TABLE_RIGHT },
        { "TABLE", TABLE_RIGHT },        { "CR3", TABLE_RIGHT },    { "INVLPG", TABLE_RIGHT },
    };
    struct table *const table = table_new(columns, sizeof(columns) / sizeof(columns[0]));

    print_head("The guest's page faults and switches; and exits: outside, shadow fills, its\n"
               "faults, its writes to protected tables, MOV to CR3, INVLPG");
    for (unsigned i = 0; i < results->count; i++) {
        const struct sim_counts *const counts = &results->results[i].counts;
        struct table_row *const row = table_row(table);

        table_cell(row, 0, PAINT_NOTE, "%s", results->results[i].label);
        table_cell(row, 1, PAINT_PLAIN, "%" PRIu64, counts->page_faults);
        table_cell(row, 2, PAINT_PLAIN, "%" PRIu64, counts->switches);
        for (unsigned exit = 0; exit < SIM_EXITS; exit++) {
            table_cell(row, 3 + exit, PAINT_PLAIN, "%" PRIu64, counts->exits[exit]);
        }
    }
    table_print(table);
}

static void print_tags(const struct sim_results *results)
{
    bool any = false;

    for (unsigned i = 0; i < results->count; i++) {
        const struct sim_result *const result = &results->results[i];

        if (!result->without) {
            continue;
        }
        if (!any) {
            print_head("What tags save");
            any = true;
        }
        printf("  %s%s%s: %.1f walks, %.1f references at each of %" PRIu64 " %s\n", paint_on(PAINT_NOTE),
               result->label, paint_off(), result->saved_walks, result->saved_references,
               result->config.pcids ? result->counts.switches : result->exits,
               result->config.pcids ? "switches" : "exits");
    }
}

void sim_results_print(const struct sim_results *results)
{
    print_traces(results);
    print_overall(results);
    print_walks(results);
    print_exits(results);
    print_tags(results);
}

/* --- JSON --- */

static void put_real(struct json_object *object, const char *key, double value)
{
    json_object_object_add(object, key, json_object_new_double(value));
}

static struct json_object *worlds_of(const uint64_t *values)
{
    struct json_object *const object = json_object_new_object();

    json_put_number(object, "user", values[SIM_USER]);
    json_put_number(object, "kernel", values[SIM_KERNEL]);
    json_put_number(object, "hypervisor", values[SIM_HOST]);
    return object;
}

static struct json_object *config_of(const struct sim_config *config)
{
    struct json_object *const object = json_object_new_object();

    json_put_text(object, "technique", sim_technique_names[config->technique]);
    json_put_text(object, "vpid", sim_vpid_names[config->vpid]);
    json_put_flag(object, "pcid", config->pcids);
    json_put_text(object, "page", sim_page_names[config->page_level - 1]);
    json_put_text(object, "host_page", sim_page_names[config->host_page_level - 1]);
    json_put_text(object, "tlb", config->geometry.name);
    json_put_flag(object, "upper_levels", config->upper_levels);
    json_put_flag(object, "silent_faults", config->silent);
    json_put_number(object, "levels", config->levels);
    json_put_number(object, "nested_levels", config->nested_levels);
    json_put_number(object, "switch_every", config->switch_every);
    json_put_number(object, "exit_every", config->exit_every);
    json_put_number(object, "exit_pages", config->exit_pages);
    json_put_number(object, "memory_gib", config->memory_bytes >> 30);
    json_put_number(object, "pool_pages", config->pool_pages);
    return object;
}

static struct json_object *exits_of(const struct sim_counts *counts)
{
    struct json_object *const object = json_object_new_object();

    for (unsigned i = 0; i < SIM_EXITS; i++) {
        json_put_number(object, sim_exit_names[i], counts->exits[i]);
    }
    return object;
}

static struct json_object *run_of(const struct sim_result *result)
{
    const struct sim_counts *const counts = &result->counts;
    struct json_object *const object = json_object_new_object();

    json_put_text(object, "label", result->label);
    json_object_object_add(object, "configuration", config_of(&result->config));
    json_object_object_add(object, "accesses", worlds_of(counts->accesses));
    json_object_object_add(object, "second_level_hits", worlds_of(counts->second));
    json_object_object_add(object, "walks", worlds_of(counts->walks));
    json_object_object_add(object, "references", worlds_of(counts->references));
    json_put_number(object, "faulting_walks", counts->faulting_walks);
    json_put_number(object, "faulting_references", counts->faulting_references);
    json_put_number(object, "page_faults", counts->page_faults);
    json_put_number(object, "switches", counts->switches);
    json_object_object_add(object, "exits", exits_of(counts));
    json_put_number(object, "flushes", counts->flushes);
    json_put_number(object, "mapped_bytes", counts->mapped_bytes);
    json_put_number(object, "guest_table_pages", counts->guest_tables);
    json_put_number(object, "engine_table_pages", counts->engine_tables);
    put_real(object, "walks_per_1000", result->misses_per_1000);
    put_real(object, "references_per_walk", result->references_per_walk);
    put_real(object, "user_references_per_walk", result->user_references_per_walk);
    put_real(object, "exits_per_million", result->exits_per_million);
    put_real(object, "cycles_per_1000", result->cost_per_1000);
    if (result->without) {
        json_put_text(object, "against", result->without->label);
        put_real(object, "saved_walks", result->saved_walks);
        put_real(object, "saved_references", result->saved_references);
    }
    return object;
}

static struct json_object *traces_of(const struct sim_schedule *schedule)
{
    static const char *const formats[] = { "unknown", "lackey", "binary", "hypervisor" };
    struct json_object *const array = json_object_new_array();

    for (unsigned i = 0; i < schedule->trace_count; i++) {
        struct json_object *const object = json_object_new_object();

        json_put_text(object, "path", sim_trace_path(schedule->traces[i]));
        json_put_text(object, "format", formats[sim_trace_format(schedule->traces[i])]);
        json_put_number(object, "references", schedule->references[i]);
        json_object_array_add(array, object);
    }
    return array;
}

static struct json_object *weights_of(const struct sim_weights *weights)
{
    struct json_object *const object = json_object_new_object();

    json_put_number(object, "second", weights->second);
    json_put_number(object, "reference", weights->reference);
    json_put_number(object, "fault", weights->fault);
    json_put_number(object, "exit", weights->exit);
    json_put_number(object, "switch", weights->change);
    return object;
}

void sim_results_print_json(const struct sim_results *results)
{
    struct json_object *const document = json_object_new_object();
    struct json_object *const runs = json_object_new_array();

    json_put_number(document, "vmmu_sim", 1);
    json_object_object_add(document, "traces", traces_of(results->schedule));
    json_put_number(document, "processes", results->schedule->processes);
    json_object_object_add(document, "weights", weights_of(&results->weights));
    for (unsigned i = 0; i < results->count; i++) {
        json_object_array_add(runs, run_of(&results->results[i]));
    }
    json_object_object_add(document, "runs", runs);
    json_print(document);
}
