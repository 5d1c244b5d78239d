/*
 * Traces of any form, fed to machines of each technique: whatever they say, it is simulated or refused with a reason, and the
 * guest on top lives through the same under each.
 */
#include <vmmu/base.h>

#include "tests/fuzz/input.h"
#include "tools/sim/machine.h"

#define RECORDS_MOST 1024
#define POOL_PAGES   160
#define REPEATS_MOST 4096

static struct sim_config configuration(const uint8_t *choice, enum sim_technique technique)
{
    struct sim_config config = {
        .technique = technique,
        .vpid = technique == SIM_NATIVE ? SIM_VPID_OFF : (enum sim_vpid)(choice[0] % SIM_VPIDS),
        .pcids = technique != SIM_SHADOW && (choice[1] & 1) != 0,
        .upper_levels = (choice[1] & 2) != 0,
        .silent = (choice[1] & 4) != 0,
        .page_level = 1 + choice[2] % 2,
        .host_page_level = 2,
        .levels = (choice[1] & 8) != 0 ? 5 : 4,
        .nested_levels = (choice[1] & 16) != 0 ? 5 : 4,
        .exit_every = choice[3],
        .exit_pages = choice[3] % 4,
        .memory_bytes = VMMU_1G_BYTES,
        .pool_pages = POOL_PAGES,
    };
    struct complaint complaint;

    FUZZ_CHECK(sim_geometry_find(sim_geometry_named(choice[2] / 2 % 3)->name, &config.geometry, &complaint));
    return config;
}

/* The records of a trace, as far as they fit. */
static size_t read_trace(const uint8_t *data, size_t size, enum sim_trace_format format, sim_record *records)
{
    struct sim_trace *const trace = sim_trace_over(data, size, format);
    struct complaint complaint = { .text = "" };
    size_t total = 0;
    size_t got = 1;

    while (got != 0 && total < RECORDS_MOST) {
        if (!sim_trace_read(trace, records + total, RECORDS_MOST - total, &got, &complaint)) {
            FUZZ_CHECK(complaint.text[0] != '\0');
            break;
        }
        total += got;
    }
    FUZZ_CHECK(sim_trace_done_bytes(trace) <= size);
    sim_trace_close(trace);
    return total;
}

static void check_records(const sim_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(sim_record_kind(records[i]) < SIM_RECORD_KINDS);
        FUZZ_CHECK((records[i] & UINT64_C(0xfe0)) == 0);
        FUZZ_CHECK((records[i] & SIM_RECORD_CROSSES) == 0 || sim_record_is_reference(records[i]));
    }
}

/* A machine takes an exit for so many references: billions of them would take their time. */
static void shorten_repeats(sim_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (sim_record_kind(records[i]) == SIM_REPEAT) {
            records[i] = sim_record_of(SIM_REPEAT, sim_record_value(records[i]) % REPEATS_MOST);
        }
    }
}

/* What a machine counted, if it went through all records. */
static bool simulate(const struct sim_config *config, const sim_record *records, size_t count,
                     struct sim_counts *counts)
{
    struct complaint complaint = { .text = "" };
    struct sim_machine *const machine = sim_machine_open(config, &complaint);
    bool whole;

    FUZZ_CHECK(machine != NULL);
    whole = sim_machine_run(machine, records, count, &complaint);
    FUZZ_CHECK(whole || complaint.text[0] != '\0');
    FUZZ_CHECK(whole || strstr(complaint.text, "status") == NULL);
    FUZZ_CHECK(strstr(complaint.text, "for ever") == NULL);
    *counts = sim_machine_counts(machine);
    sim_machine_close(machine);
    return whole;
}

static void check_counts(const struct sim_counts *counts, bool upper_levels)
{
    for (unsigned world = 0; world < SIM_WORLDS; world++) {
        FUZZ_CHECK(counts->references[world] >= (upper_levels ? 1 : 2) * counts->walks[world]);
        FUZZ_CHECK(counts->references[world] <= 35 * counts->walks[world]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sim_record records[RECORDS_MOST];
    struct input input = input_of(data, size);
    struct sim_counts counts[SIM_TECHNIQUES];
    bool whole[SIM_TECHNIQUES];
    uint8_t choice[4];
    enum sim_trace_format format;
    size_t count;

    input_copy(&input, choice, sizeof(choice));
    format = (enum sim_trace_format)input_below(&input, SIM_TRACE_HYPERVISOR + 1);
    count = read_trace(input.next, input.left, format, records);
    check_records(records, count);
    shorten_repeats(records, count);
    for (unsigned technique = 0; technique < SIM_TECHNIQUES; technique++) {
        const struct sim_config config = configuration(choice, (enum sim_technique)technique);

        whole[technique] = simulate(&config, records, count, &counts[technique]);
        check_counts(&counts[technique], config.upper_levels);
    }
    if (whole[SIM_NATIVE] && whole[SIM_SHADOW] && whole[SIM_NESTED]) {
        for (unsigned technique = SIM_SHADOW; technique < SIM_TECHNIQUES; technique++) {
            FUZZ_CHECK(counts[SIM_NATIVE].accesses[SIM_USER] == counts[technique].accesses[SIM_USER]);
            FUZZ_CHECK(counts[SIM_NATIVE].mapped_bytes == counts[technique].mapped_bytes);
            FUZZ_CHECK(counts[SIM_NATIVE].guest_tables == counts[technique].guest_tables);
            FUZZ_CHECK(counts[SIM_NATIVE].switches == counts[technique].switches);
        }
    }
    return 0;
}
