/*
 * Results as plots. Configurations that differ by one interval become lines over it; otherwise each is a bar.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sim/results.h"
#include "tools/ui/plot.h"

/* A value of a result. */
struct quantity {
    const char *title;
    const char *label;
    double (*of)(const struct sim_result *result);
};

static double walks_of(const struct sim_result *result)
{
    return result->misses_per_1000;
}

static double walk_references_of(const struct sim_result *result)
{
    return result->user_references_per_walk;
}

static double all_references_of(const struct sim_result *result)
{
    const uint64_t accesses = result->counts.accesses[SIM_USER];
    const uint64_t references = result->guest_references + result->counts.references[SIM_HOST];

    return accesses != 0 ? (double)references * 1000 / (double)accesses : 0;
}

static double exits_of(const struct sim_result *result)
{
    return result->exits_per_million;
}

static double tables_of(const struct sim_result *result)
{
    return (double)(result->counts.guest_tables + result->counts.engine_tables) * 4;
}

static double cycles_of(const struct sim_result *result)
{
    return result->cost_per_1000;
}

const char *const sim_plot_names[] = { "walks", "depth", "references", "exits", "tables", "cycles", NULL };

static const struct quantity quantities[] = {
    { "Walks of the guest", "walks for 1000 references of the trace", walks_of },
    { "A walk of the program's pages", "memory references of a walk", walk_references_of },
    { "Memory references of all walks, the hypervisor's too", "references of walks for 1000 of the trace",
      all_references_of },
    { "Exits", "exits for a million references of the trace", exits_of },
    { "Memory for tables", "KiB of tables, the guest's and the engine's", tables_of },
    { "What translation costs", "cycles for 1000 references of the trace", cycles_of },
};

_Static_assert(sizeof(quantities) / sizeof(quantities[0]) + 1 ==
                   sizeof(sim_plot_names) / sizeof(sim_plot_names[0]),
               "a name for each quantity");

/* --- lines over an interval --- */

enum interval { INTERVAL_NONE, INTERVAL_SWITCH, INTERVAL_EXIT };

static uint64_t interval_of(const struct sim_config *config, enum interval interval)
{
    return interval == INTERVAL_SWITCH ? config->switch_every : config->exit_every;
}

/* The interval that has several values, none of them zero. */
static enum interval varying(const struct sim_results *results, enum interval interval)
{
    bool varies = false;

    for (unsigned i = 0; i < results->count; i++) {
        const uint64_t value = interval_of(&results->results[i].config, interval);

        varies |= value != interval_of(&results->results[0].config, interval);
        if (value == 0) {
            return INTERVAL_NONE;
        }
    }
    return varies ? interval : INTERVAL_NONE;
}

static bool is_same_but(const struct sim_config *one, const struct sim_config *other, enum interval interval)
{
    struct sim_config like = *other;

    if (interval == INTERVAL_SWITCH) {
        like.switch_every = one->switch_every;
    } else {
        like.exit_every = one->exit_every;
    }
    return sim_config_is_same(one, &like);
}

/* Lines at work. */
struct lines {
    const struct sim_results *results;
    const struct quantity *quantity;
    enum interval interval;
    double *x;
    unsigned points;
    struct plot_series *series;
    char (*names)[SIM_LABEL_BYTES];
    unsigned series_count;
};

static int compare_reals(const void *one, const void *other)
{
    const double a = *(const double *)one;
    const double b = *(const double *)other;

    return (a > b) - (a < b);
}

static void find_points(struct lines *lines)
{
    const struct sim_results *const results = lines->results;
    unsigned kept = 0;

    for (unsigned i = 0; i < results->count; i++) {
        lines->x[i] = (double)interval_of(&results->results[i].config, lines->interval);
    }
    qsort(lines->x, results->count, sizeof(double), compare_reals);
    for (unsigned i = 0; i < results->count; i++) {
        if (kept == 0 || lines->x[i] > lines->x[kept - 1]) {
            lines->x[kept++] = lines->x[i];
        }
    }
    lines->points = kept;
}

/* The label of a line: that of its first point without the interval, which stands at its end. */
static void name_line(struct lines *lines, unsigned line, const struct sim_result *first)
{
    const char *const word = lines->interval == INTERVAL_SWITCH ? " switch " : " exit ";
    char *const name = lines->names[line];
    char *at;

    memcpy(name, first->label, SIM_LABEL_BYTES);
    at = strstr(name, word);
    if (at) {
        *at = '\0';
    }
}

static bool is_equal(double a, double b)
{
    return !(a < b) && !(a > b);
}

/* Whether the interval makes no difference: then there is one result for all points. */
static bool is_level(const struct sim_config *config, enum interval interval)
{
    return interval == INTERVAL_EXIT && config->technique == SIM_NATIVE;
}

static void add_line(struct lines *lines, const struct sim_result *first)
{
    const struct sim_results *const results = lines->results;
    double *const values = take_memory(lines->points, sizeof *values);

    for (unsigned point = 0; point < lines->points; point++) {
        values[point] = -1;
        for (unsigned i = 0; i < results->count; i++) {
            const struct sim_result *const result = &results->results[i];
            const double x = (double)interval_of(&result->config, lines->interval);

            if (is_same_but(&first->config, &result->config, lines->interval) &&
                (is_level(&result->config, lines->interval) || is_equal(x, lines->x[point]))) {
                values[point] = lines->quantity->of(result);
            }
        }
    }
    name_line(lines, lines->series_count, first);
    lines->series[lines->series_count] = (struct plot_series){ lines->names[lines->series_count], values };
    lines->series_count++;
}

static void find_lines(struct lines *lines)
{
    const struct sim_results *const results = lines->results;

    for (unsigned i = 0; i < results->count; i++) {
        bool known = false;

        for (unsigned before = 0; before < i; before++) {
            known |=
                is_same_but(&results->results[before].config, &results->results[i].config, lines->interval);
        }
        if (!known) {
            add_line(lines, &results->results[i]);
        }
    }
}

static void draw_lines(FILE *to, const struct sim_results *results, const struct quantity *quantity,
                       enum interval interval)
{
    struct lines lines = { .results = results, .quantity = quantity, .interval = interval };
    struct plot plot = { .kind = PLOT_LINES,
                         .x_scale = PLOT_LOGARITHMIC,
                         .title = quantity->title,
                         .description = results->same,
                         .value_label = quantity->label,
                         .x_label = interval == INTERVAL_SWITCH ? "references between switches of processes"
                                                                : "references between exits" };

    lines.x = take_memory(results->count, sizeof *lines.x);
    lines.series = take_memory(results->count, sizeof *lines.series);
    lines.names = take_memory(results->count, sizeof *lines.names);
    find_points(&lines);
    find_lines(&lines);
    plot.x = lines.x;
    plot.count = lines.points;
    plot.series = lines.series;
    plot.series_count = lines.series_count;
    plot_write_file(to, &plot);
    for (unsigned i = 0; i < lines.series_count; i++) {
        free((void *)(uintptr_t)lines.series[i].values);
    }
    free(lines.x);
    free(lines.series);
    free(lines.names);
}

/* --- bars --- */

static void draw_bars(FILE *to, const struct sim_results *results, const struct quantity *quantity)
{
    const char **const names = take_memory(results->count, sizeof *names);
    double *const values = take_memory(results->count, sizeof *values);
    const struct plot_series series = { quantity->label, values };
    const struct plot plot = { .kind = PLOT_BARS,
                               .title = quantity->title,
                               .description = results->same,
                               .value_label = quantity->label,
                               .names = names,
                               .count = results->count,
                               .series = &series,
                               .series_count = 1 };

    for (unsigned i = 0; i < results->count; i++) {
        names[i] = results->results[i].label;
        values[i] = quantity->of(&results->results[i]);
    }
    plot_write_file(to, &plot);
    free(names);
    free(values);
}

bool sim_results_plot(const struct sim_results *results, unsigned which, const char *path,
                      struct complaint *complaint)
{
    FILE *const to = fopen(path, "w");
    enum interval interval = varying(results, INTERVAL_SWITCH);
    bool written;

    if (!to) {
        return complain(complaint, "%s cannot be written: %s", path, strerror(errno));
    }
    interval = interval != INTERVAL_NONE ? interval : varying(results, INTERVAL_EXIT);
    if (interval == INTERVAL_NONE) {
        draw_bars(to, results, &quantities[which]);
    } else {
        draw_lines(to, results, &quantities[which], interval);
    }
    written = !ferror(to);
    return (fclose(to) == 0 && written) || complain(complaint, "%s cannot be written", path);
}
