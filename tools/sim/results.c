/*
 * From counts to rates, labels and comparisons.
 */
#include "tools/sim/results.h"

#include <stdlib.h>
#include <string.h>

const char *const sim_technique_names[] = { "native", "shadow", "nested", NULL };
const char *const sim_vpid_names[] = { "off", "on", "roots", NULL };
const char *const sim_page_names[] = { "4k", "2m", "1g", NULL };
const char *const sim_exit_names[] = { "outside", "fill", "fault", "table", "root", "invlpg", NULL };

_Static_assert(sizeof(sim_exit_names) / sizeof(sim_exit_names[0]) == SIM_EXITS + 1, "a name for each exit");

/* --- labels --- */

enum feature {
    FEATURE_TECHNIQUE,
    FEATURE_VPID,
    FEATURE_PCID,
    FEATURE_PAGE,
    FEATURE_HOST_PAGE,
    FEATURE_TLB,
    FEATURE_UPPER,
    FEATURE_FAULTS,
    FEATURE_LEVELS,
    FEATURE_SWITCH,
    FEATURE_EXIT,
    FEATURES,
};

/* A feature of a configuration in words; empty if it has none to speak of. */
static void describe(const struct sim_config *config, enum feature feature, char *words, size_t size)
{
    const bool native = config->technique == SIM_NATIVE;

    words[0] = '\0';
    switch (feature) {
    case FEATURE_TECHNIQUE: snprintf(words, size, "%s", sim_technique_names[config->technique]); break;
    case FEATURE_VPID:
        if (config->vpid != SIM_VPID_OFF) {
            snprintf(words, size, "%s", config->vpid == SIM_VPID_ON ? "vpid" : "vpid a root");
        }
        break;
    case FEATURE_PCID: snprintf(words, size, "%s", config->pcids ? "pcid" : ""); break;
    case FEATURE_PAGE: snprintf(words, size, "%s pages", sim_page_names[config->page_level - 1]); break;
    case FEATURE_HOST_PAGE:
        if (!native && config->host_page_level != config->page_level) {
            snprintf(words, size, "on %s", sim_page_names[config->host_page_level - 1]);
        }
        break;
    case FEATURE_TLB: snprintf(words, size, "%s", config->geometry.name); break;
    case FEATURE_UPPER: snprintf(words, size, "%s", config->upper_levels ? "" : "upper off"); break;
    case FEATURE_FAULTS: snprintf(words, size, "%s", config->silent ? "silent faults" : ""); break;
    case FEATURE_LEVELS:
        snprintf(words, size, "%u%s%.0u levels", config->levels, config->technique == SIM_NESTED ? "x" : "",
                 config->technique == SIM_NESTED ? config->nested_levels : 0);
        break;
    case FEATURE_SWITCH:
        snprintf(words, size, "switch %llu", (unsigned long long)config->switch_every);
        break;
    case FEATURE_EXIT:
        if (!native) {
            snprintf(words, size, "exit %llu", (unsigned long long)config->exit_every);
        }
        break;
    case FEATURES: break;
    }
}

/* Whether every configuration that has something to say of @feature says the same. */
static bool is_common(const struct sim_schedule *schedule, enum feature feature)
{
    char first[64] = "";
    char words[64];

    for (unsigned i = 0; i < schedule->machine_count; i++) {
        describe(&schedule->configs[i], feature, words, sizeof(words));
        if (first[0] == '\0') {
            memcpy(first, words, sizeof(first));
        }
        if (words[0] != '\0' && strcmp(first, words) != 0) {
            return false;
        }
    }
    return true;
}

static void append(char *to, size_t size, const char *separator, const char *words)
{
    const size_t length = strlen(to);

    if (words[0] != '\0') {
        snprintf(to + length, size - length, "%s%s", length != 0 ? separator : "", words);
    }
}

/* Features that are set in some configurations only must show in those; others only where they differ. */
static bool is_in_label(const struct sim_schedule *schedule, enum feature feature)
{
    switch (feature) {
    case FEATURE_TECHNIQUE:
    case FEATURE_VPID:
    case FEATURE_PCID:
    case FEATURE_HOST_PAGE:
    case FEATURE_UPPER:
    case FEATURE_FAULTS: return true;
    case FEATURE_PAGE:
    case FEATURE_TLB:
    case FEATURE_SWITCH:
    case FEATURE_EXIT: return !is_common(schedule, feature);
    case FEATURE_LEVELS:
    case FEATURES: break;
    }
    return false;
}

static void label(const struct sim_schedule *schedule, struct sim_result *result)
{
    char words[64];

    for (unsigned feature = 0; feature < FEATURES; feature++) {
        if (is_in_label(schedule, (enum feature)feature)) {
            describe(&result->config, (enum feature)feature, words, sizeof(words));
            append(result->label, sizeof(result->label), " ", words);
        }
    }
}

/* What the labels leave out, from whoever has something to say of it. */
static void describe_same(struct sim_results *results)
{
    const struct sim_schedule *const schedule = results->schedule;
    char words[64];

    for (unsigned feature = FEATURE_PAGE; feature < FEATURES; feature++) {
        if (is_in_label(schedule, (enum feature)feature) || feature == FEATURE_LEVELS) {
            continue;
        }
        words[0] = '\0';
        for (unsigned i = 0; i < schedule->machine_count && words[0] == '\0'; i++) {
            describe(&schedule->configs[i], (enum feature)feature, words, sizeof(words));
        }
        if (feature != FEATURE_SWITCH || schedule->processes > 1 || schedule->trace_count > 1) {
            append(results->same, sizeof(results->same), ", ", words);
        }
    }
}

/* --- rates --- */

static double rate(uint64_t amount, uint64_t of, double scale)
{
    return of != 0 ? (double)amount * scale / (double)of : 0;
}

static uint64_t sum(const uint64_t *values, unsigned count)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < count; i++) {
        total += values[i];
    }
    return total;
}

static double cost_of(const struct sim_result *result, const struct sim_weights *weights)
{
    const struct sim_counts *const counts = &result->counts;
    const double cycles = (double)sum(counts->second, SIM_WORLDS) * (double)weights->second +
                          (double)(sum(counts->references, SIM_WORLDS) + counts->faulting_references) *
                              (double)weights->reference +
                          (double)counts->page_faults * (double)weights->fault +
                          (double)result->exits * (double)weights->exit +
                          (double)counts->switches * (double)weights->change;

    return counts->accesses[SIM_USER] != 0 ? cycles * 1000 / (double)counts->accesses[SIM_USER] : 0;
}

static void work_out(struct sim_result *result, const struct sim_weights *weights)
{
    const struct sim_counts *const counts = &result->counts;
    const uint64_t accesses = counts->accesses[SIM_USER];

    result->guest_walks = counts->walks[SIM_USER] + counts->walks[SIM_KERNEL];
    result->guest_references = counts->references[SIM_USER] + counts->references[SIM_KERNEL];
    result->exits = sum(counts->exits, SIM_EXITS);
    result->misses_per_1000 = rate(result->guest_walks, accesses, 1000);
    result->references_per_walk = rate(result->guest_references, result->guest_walks, 1);
    result->user_references_per_walk = rate(counts->references[SIM_USER], counts->walks[SIM_USER], 1);
    result->exits_per_million = rate(result->exits, accesses, 1e6);
    result->cost_per_1000 = cost_of(result, weights);
}

/* --- comparisons --- */

bool sim_config_is_same(const struct sim_config *one, const struct sim_config *other)
{
    return one->technique == other->technique && one->vpid == other->vpid && one->pcids == other->pcids &&
           one->upper_levels == other->upper_levels && one->silent == other->silent &&
           one->page_level == other->page_level && one->host_page_level == other->host_page_level &&
           one->levels == other->levels && one->nested_levels == other->nested_levels &&
           one->switch_every == other->switch_every && one->exit_every == other->exit_every &&
           one->exit_pages == other->exit_pages && one->memory_bytes == other->memory_bytes &&
           one->pool_pages == other->pool_pages && strcmp(one->geometry.name, other->geometry.name) == 0;
}

/* The same configuration without its PCIDs, or, if it has none, without its VPIDs. False: it has no tags. */
static bool strip_tags(const struct sim_config *with, struct sim_config *without)
{
    *without = *with;
    if (with->pcids) {
        without->pcids = false;
    } else {
        without->vpid = SIM_VPID_OFF;
    }
    return with->pcids || with->vpid != SIM_VPID_OFF;
}

/* What @values were more without tags, for each of @times. */
static double saved(const uint64_t *without, const uint64_t *with, uint64_t times)
{
    return times != 0 ? ((double)sum(without, SIM_WORLDS) - (double)sum(with, SIM_WORLDS)) / (double)times
                      : 0;
}

static void compare(struct sim_results *results, struct sim_result *result)
{
    struct sim_config stripped;
    const uint64_t times = result->config.pcids ? result->counts.switches : result->exits;

    if (!strip_tags(&result->config, &stripped)) {
        return;
    }
    for (unsigned i = 0; i < results->count && !result->without; i++) {
        if (sim_config_is_same(&results->results[i].config, &stripped)) {
            result->without = &results->results[i];
        }
    }
    if (result->without) {
        result->saved_walks = saved(result->without->counts.walks, result->counts.walks, times);
        result->saved_references =
            saved(result->without->counts.references, result->counts.references, times);
    }
}

struct sim_results sim_results_of(const struct sim_schedule *schedule, const struct sim_weights *weights)
{
    struct sim_results results = { .count = schedule->machine_count,
                                   .weights = *weights,
                                   .schedule = schedule };

    results.results = take_memory(results.count, sizeof *results.results);
    for (unsigned i = 0; i < results.count; i++) {
        struct sim_result *const result = &results.results[i];

        result->config = schedule->configs[i];
        result->counts = sim_machine_counts(schedule->machines[i]);
        label(schedule, result);
        work_out(result, weights);
    }
    for (unsigned i = 0; i < results.count; i++) {
        compare(&results, &results.results[i]);
    }
    describe_same(&results);
    return results;
}

void sim_results_free(struct sim_results *results)
{
    free(results->results);
    results->results = NULL;
}
