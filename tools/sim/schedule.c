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

/* What was read of a trace and is in no slice yet. */
struct ahead {
    sim_record *records;
    size_t at;
    size_t count;
    sim_record last; /* what a repeat at `at` repeats */
};

/* One pass. */
struct pass {
    struct sim_schedule *schedule;
    uint64_t switch_every;
    uint64_t left[SIM_TRACES_MOST]; /* references until the limit */
    struct ahead ahead[SIM_TRACES_MOST];
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

/* For a block of records, and one more. */
static void make_room(struct slice *slice)
{
    if (slice->capacity - slice->count <= BLOCK_RECORDS) {
        const size_t capacity = slice->capacity * 2 + BLOCK_RECORDS + 1;

        slice->records = grow_memory(slice->records, slice->capacity, capacity, sizeof *slice->records);
        slice->capacity = capacity;
    }
}

/*
 * Move of a repeat what fits into @most references, and return how many those are. @begins: a slice that begins with it follows
 * another process's, whose last reference it does not repeat.
 */
static uint64_t take_repeat(struct ahead *ahead, struct slice *slice, uint64_t most, bool begins)
{
    const uint64_t whole = sim_record_value(ahead->records[ahead->at]);
    const uint64_t part = whole < most ? whole : most;
    uint64_t repeats = part;

    if (begins && part != 0 && sim_record_is_reference(ahead->last)) {
        slice->records[slice->count++] = ahead->last;
        repeats--;
    }
    if (repeats == part || repeats != 0) {
        slice->records[slice->count++] = sim_record_of(SIM_REPEAT, repeats);
    }
    if (part == whole) {
        ahead->at++;
    } else {
        ahead->records[ahead->at] = sim_record_of(SIM_REPEAT, whole - part);
    }
    return part;
}

/* Move what was read to the slice, up to @most references; returns how many. */
static uint64_t take(struct ahead *ahead, struct slice *slice, uint64_t most, bool in_turn)
{
    uint64_t taken = 0;

    while (ahead->at < ahead->count && taken < most) {
        const sim_record record = ahead->records[ahead->at];

        if (sim_record_kind(record) == SIM_REPEAT) {
            taken += take_repeat(ahead, slice, most - taken, in_turn && slice->count == 0);
        } else {
            slice->records[slice->count++] = record;
            taken += sim_record_is_reference(record);
            ahead->last = sim_record_after(ahead->last, record);
            ahead->at++;
        }
    }
    return taken;
}

/* Have a record of trace @index ready, unless there is none; of @most references none is read that is not wanted. */
static bool read_ahead(struct pass *pass, unsigned index, uint64_t most, struct complaint *complaint)
{
    struct ahead *const ahead = &pass->ahead[index];

    if (ahead->at < ahead->count) {
        return true;
    }
    if (!ahead->records) {
        ahead->records = take_memory(BLOCK_RECORDS, sizeof *ahead->records);
    }
    ahead->at = 0;
    return sim_trace_read(pass->schedule->traces[index], ahead->records,
                          most < BLOCK_RECORDS ? (size_t)most : BLOCK_RECORDS, &ahead->count, complaint);
}

/* The next slice of trace @index: @wanted references, or a block if that is 0. Nothing at its end. */
static bool read_slice(struct pass *pass, unsigned index, uint64_t wanted, struct complaint *complaint)
{
    const uint64_t left = pass->left[index];
    const uint64_t most = wanted != 0 && wanted < left ? wanted : left;
    struct ahead *const ahead = &pass->ahead[index];
    uint64_t references = 0;

    pass->slice.count = 0;
    while (references < most) {
        if (!read_ahead(pass, index, most - references, complaint)) {
            return false;
        }
        if (ahead->count == 0) {
            break;
        }
        make_room(&pass->slice);
        references += take(ahead, &pass->slice, most - references, wanted != 0);
        if (wanted == 0) {
            break;
        }
    }
    pass->left[index] -= pass->schedule->limit != 0 ? references : 0;
    pass->schedule->references[index] += references;
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

/* All traces are at their beginnings. */
static void begin_pass(struct pass *pass)
{
    for (unsigned i = 0; i < pass->schedule->trace_count; i++) {
        pass->left[i] = pass->schedule->limit != 0 ? pass->schedule->limit : UINT64_MAX;
        pass->ahead[i].at = 0;
        pass->ahead[i].count = 0;
        pass->ahead[i].last = SIM_NO_REFERENCE;
    }
}

static void forget(struct pass *pass)
{
    for (unsigned i = 0; i < pass->schedule->trace_count; i++) {
        free(pass->ahead[i].records);
    }
    free(pass->slice.records);
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
        begin_pass(pass);
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
    forget(&pass);
    return done;
}

bool sim_schedule_convert(struct sim_schedule *schedule, FILE *to, struct complaint *complaint)
{
    struct progress progress;
    struct pass pass = { .schedule = schedule, .progress = &progress };
    bool done = sim_trace_write_head(to) || complain(complaint, "the binary trace cannot be written");

    begin_pass(&pass);
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
    forget(&pass);
    return done;
}
