/*
 * Machines of one switch interval go through the traces together; another interval is another pass, from the beginning.
 */
#include "tools/sim/schedule.h"

#include <stdlib.h>

#include "tools/ui/progress.h"

#define BLOCK_RECORDS 65536u

/* Part of a trace, in memory. */
struct slice {
    sim_record *records;
    size_t count;
    size_t capacity;
};

/* One pass. */
struct pass {
    struct sim_schedule *schedule;
    uint64_t switch_every;
    uint64_t left[SIM_TRACES_MOST]; /* references until the limit */
    struct slice slice;
    struct progress *progress;
    uint64_t done_before; /* bytes of earlier passes */
};

static uint64_t done_bytes(const struct pass *pass)
{
    uint64_t bytes = pass->done_before;

    for (unsigned i = 0; i < pass->schedule->trace_count; i++) {
        bytes += sim_trace_done_bytes(pass->schedule->traces[i]);
    }
    return bytes;
}

static void make_room(struct slice *slice)
{
    if (slice->capacity - slice->count < BLOCK_RECORDS) {
        const size_t capacity = slice->capacity * 2 + BLOCK_RECORDS;

        slice->records = grow_memory(slice->records, slice->capacity, capacity, sizeof *slice->records);
        slice->capacity = capacity;
    }
}

static uint64_t count_references(const sim_record *records, size_t count)
{
    uint64_t references = 0;

    for (size_t i = 0; i < count; i++) {
        references += sim_record_is_reference(records[i]);
    }
    return references;
}

/* The next slice of trace @index: @wanted references, or a block if that is 0. Nothing at its end. */
static bool read_slice(struct pass *pass, unsigned index, uint64_t wanted, struct complaint *complaint)
{
    struct slice *const slice = &pass->slice;
    uint64_t references = 0;

    slice->count = 0;
    do {
        const uint64_t still = wanted != 0 ? wanted - references : BLOCK_RECORDS;
        const uint64_t allowed = still < pass->left[index] ? still : pass->left[index];
        size_t got;

        if (allowed == 0) {
            break;
        }
        make_room(slice);
        if (!sim_trace_read(pass->schedule->traces[index], slice->records + slice->count,
                            allowed < BLOCK_RECORDS ? (size_t)allowed : BLOCK_RECORDS, &got, complaint)) {
            return false;
        }
        if (got == 0) {
            break;
        }
        const uint64_t added = count_references(slice->records + slice->count, got);

        references += added;
        slice->count += got;
        pass->left[index] -= added;
        pass->schedule->references[index] += added;
    } while (wanted != 0 && references < wanted);
    progress_at(pass->progress, done_bytes(pass));
    return true;
}

/* The machines of this pass run the slice as process @process; they switch to it if there are @processes. */
static bool feed(struct pass *pass, unsigned process, unsigned processes, struct complaint *complaint)
{
    const struct sim_schedule *const schedule = pass->schedule;

    for (unsigned i = 0; i < schedule->machine_count; i++) {
        struct sim_machine *const machine = schedule->machines[i];

        if (schedule->configs[i].switch_every != pass->switch_every) {
            continue;
        }
        if (processes > 1 && !sim_machine_switch(machine, process, complaint)) {
            return false;
        }
        if (!sim_machine_run(machine, pass->slice.records, pass->slice.count, complaint)) {
            return false;
        }
    }
    return true;
}

/* A slice of trace @index, and who runs it: that trace's own process, or all of the one trace. False if it failed. */
static bool run_slice(struct pass *pass, unsigned index, bool *more, struct complaint *complaint)
{
    const struct sim_schedule *const schedule = pass->schedule;
    const bool several = schedule->trace_count > 1;
    const unsigned processes = several ? schedule->trace_count : schedule->processes;
    const unsigned end = several ? index + 1 : processes;

    if (!read_slice(pass, index, processes > 1 ? pass->switch_every : 0, complaint)) {
        return false;
    }
    *more |= pass->slice.count != 0;
    for (unsigned process = index; process < end && pass->slice.count != 0; process++) {
        if (!feed(pass, process, processes, complaint)) {
            return false;
        }
    }
    return true;
}

static bool run_pass(struct pass *pass, struct complaint *complaint)
{
    bool more = true;

    while (more) {
        more = false;
        for (unsigned i = 0; i < pass->schedule->trace_count; i++) {
            if (!run_slice(pass, i, &more, complaint)) {
                return false;
            }
        }
    }
    return true;
}

static bool rewind_all(struct sim_schedule *schedule, struct complaint *complaint)
{
    for (unsigned i = 0; i < schedule->trace_count; i++) {
        schedule->references[i] = 0;
        if (!sim_trace_rewind(schedule->traces[i])) {
            return complain(complaint,
                            "several switch intervals need a trace that can be read again, and %s is a pipe",
                            sim_trace_path(schedule->traces[i]));
        }
    }
    return true;
}

/* Whether the interval of machine @index has had its pass: an earlier machine has it. */
static bool is_done(const struct sim_schedule *schedule, unsigned index)
{
    for (unsigned i = 0; i < index; i++) {
        if (schedule->configs[i].switch_every == schedule->configs[index].switch_every) {
            return true;
        }
    }
    return false;
}

static unsigned count_passes(const struct sim_schedule *schedule)
{
    unsigned passes = 0;

    for (unsigned i = 0; i < schedule->machine_count; i++) {
        passes += !is_done(schedule, i);
    }
    return passes;
}

static bool run_passes(struct pass *pass, struct complaint *complaint)
{
    struct sim_schedule *const schedule = pass->schedule;

    for (unsigned i = 0; i < schedule->machine_count; i++) {
        if (is_done(schedule, i)) {
            continue;
        }
        if (i != 0) {
            pass->done_before = done_bytes(pass);
            if (!rewind_all(schedule, complaint)) {
                return false;
            }
        }
        for (unsigned trace = 0; trace < schedule->trace_count; trace++) {
            pass->left[trace] = schedule->limit != 0 ? schedule->limit : UINT64_MAX;
        }
        pass->switch_every = schedule->configs[i].switch_every;
        if (!run_pass(pass, complaint)) {
            return false;
        }
    }
    return true;
}

/* 0 if one of them is not known. */
static uint64_t total_bytes(const struct sim_schedule *schedule)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < schedule->trace_count; i++) {
        if (sim_trace_total_bytes(schedule->traces[i]) == 0) {
            return 0;
        }
        bytes += sim_trace_total_bytes(schedule->traces[i]);
    }
    return bytes;
}

bool sim_schedule_run(struct sim_schedule *schedule, struct complaint *complaint)
{
    struct progress progress;
    struct pass pass = { .schedule = schedule, .progress = &progress };
    const uint64_t bytes = schedule->limit == 0 ? total_bytes(schedule) : 0;
    bool done;

    progress_begin(&progress,
                   bytes != 0 ? "simulating" : "simulated bytes of trace:", bytes * count_passes(schedule));
    done = run_passes(&pass, complaint);
    progress_end(&progress);
    free(pass.slice.records);
    return done;
}

bool sim_schedule_convert(struct sim_schedule *schedule, FILE *to, struct complaint *complaint)
{
    struct progress progress;
    struct pass pass = { .schedule = schedule, .progress = &progress };
    bool done = sim_trace_write_head(to) || complain(complaint, "the binary trace cannot be written");

    pass.left[0] = schedule->limit != 0 ? schedule->limit : UINT64_MAX;
    progress_begin(&progress, "converting", total_bytes(schedule));
    while (done) {
        done = read_slice(&pass, 0, 0, complaint);
        if (!done || pass.slice.count == 0) {
            break;
        }
        if (!sim_trace_write(to, pass.slice.records, pass.slice.count)) {
            done = complain(complaint, "the binary trace cannot be written");
        }
    }
    progress_end(&progress);
    free(pass.slice.records);
    return done;
}
