/*
 * Traces: what lines of lackey's and records of the binary form mean, and what is none. The forms are those of Valgrind's manual,
 * "Lackey: an example tool", and of docs/sim.md.
 */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/sim/trace.h"

#define RECORDS 64

static struct complaint complaint;

/* All records of @bytes, up to RECORDS: how many. */
static size_t read_all(const void *bytes, size_t size, enum sim_trace_format format, sim_record *records)
{
    struct sim_trace *const trace = sim_trace_over(bytes, size, format);
    size_t total = 0;
    size_t got;

    do {
        EXPECT(sim_trace_read(trace, records + total, RECORDS - total, &got, &complaint));
        total += got;
    } while (got != 0 && total < RECORDS);
    sim_trace_close(trace);
    return total;
}

static size_t read_text(const char *text, sim_record *records)
{
    return read_all(text, strlen(text), SIM_TRACE_GUESS, records);
}

/* @bytes are refused, and the complaint holds @words. */
static void expect_refused(const void *bytes, size_t size, enum sim_trace_format format, const char *words)
{
    struct sim_trace *const trace = sim_trace_over(bytes, size, format);
    sim_record records[RECORDS];
    size_t got = 1;
    bool sound = true;

    while (sound && got != 0) {
        sound = sim_trace_read(trace, records, RECORDS, &got, &complaint);
    }
    EXPECT(!sound);
    if (!strstr(complaint.text, words)) {
        fail_msg("'%s' does not say '%s'", complaint.text, words);
    }
    sim_trace_close(trace);
}

static void expect_text_refused(const char *text, const char *words)
{
    expect_refused(text, strlen(text), SIM_TRACE_GUESS, words);
}

/* --- lackey --- */

static void test_letters_of_lackey_are_fetch_read_write_and_modify(void **state)
{
    sim_record records[RECORDS];

    (void)state;
    EXPECT_EQ(read_text("I  0401ab70,3\n L 04a49de0,8\n S 1fff0006f8,8\n M 0421c7cc,4\n", records), 4);
    EXPECT_EQ(records[0], UINT64_C(0x401a000) | SIM_FETCH);
    EXPECT_EQ(records[1], UINT64_C(0x4a49000) | SIM_READ);
    EXPECT_EQ(records[2], UINT64_C(0x1fff000000) | SIM_WRITE);
    EXPECT_EQ(records[3], UINT64_C(0x421c000) | SIM_MODIFY);
}

static void test_a_reference_over_a_page_boundary_says_so(void **state)
{
    sim_record records[RECORDS];

    (void)state;
    EXPECT_EQ(read_text(" L 00001ffc,4\n L 00001ffd,4\n L 00001fff,1\n", records), 3);
    EXPECT_EQ(records[0] & SIM_RECORD_CROSSES, 0);
    EXPECT_EQ(records[1] & SIM_RECORD_CROSSES, SIM_RECORD_CROSSES);
    EXPECT_EQ(records[2] & SIM_RECORD_CROSSES, 0);
}

static void test_lines_of_valgrind_and_empty_ones_are_passed_over(void **state)
{
    sim_record records[RECORDS];

    (void)state;
    EXPECT_EQ(read_text("==123== Lackey, an example Valgrind tool\n==123== \n\n--123-- note\n L 00001000,4\n"
                        "==123== Exit code:       0\n",
                        records),
              1);
}

static void test_the_last_line_needs_no_newline(void **state)
{
    sim_record records[RECORDS];

    (void)state;
    EXPECT_EQ(read_text(" L 00001000,4\n L 00002000,4", records), 2);
}

static void test_addresses_in_the_upper_half_are_whole(void **state)
{
    sim_record records[RECORDS];

    (void)state;
    EXPECT_EQ(read_text("I  ffffffff81000000,16\n", records), 1);
    EXPECT_EQ(records[0], UINT64_C(0xffffffff81000000) | SIM_FETCH);
}

static void test_what_is_no_line_of_lackeys_is_refused_by_its_number(void **state)
{
    (void)state;
    expect_text_refused(" L 00001000,4\nhello\n", "line 2 ");
    expect_text_refused("\n\n X 00001000,4\n", "line 3 ");
    expect_text_refused(" L 00001000,4\n L 0000100", "line 2 ");
    expect_text_refused(" L ,4\n", "line 1 ");
    expect_text_refused(" L 00001000,\n", "line 1 ");
    expect_text_refused(" L 00001000,0\n", "line 1 ");
    expect_text_refused(" L 00001000,4097\n", "line 1 ");
    expect_text_refused(" L 00001000,99999999999999999999999\n", "line 1 ");
    expect_text_refused(" L 00001000,4 \n", "line 1 ");
    expect_text_refused(" L 10000000000000000,4\n", "line 1 ");
    expect_text_refused("I 0,1\nI\n", "line 2 ");
}

static void test_what_is_shown_of_a_bad_line_is_printable_and_short(void **state)
{
    char text[200];

    (void)state;
    memset(text, '\x01', sizeof(text));
    text[sizeof(text) - 1] = '\n';
    expect_refused(text, sizeof(text), SIM_TRACE_LACKEY, "...........................................");
    EXPECT(strlen(complaint.text) < 200);
}

static void test_a_line_without_end_is_refused(void **state)
{
    char *const text = malloc(100000);

    (void)state;
    memset(text, '=', 100000);
    expect_refused(text, 100000, SIM_TRACE_LACKEY, "line 1 is longer than 4096 bytes");
    free(text);
}

/* Lines that lie over the end of the buffer come whole. */
static void test_long_traces_come_whole(void **state)
{
    const unsigned lines = 200000;
    char *const text = malloc((size_t)lines * 16);
    sim_record *const records = malloc((lines + 1) * sizeof *records);
    struct sim_trace *trace;
    size_t size = 0;
    size_t total = 0;
    size_t got;

    (void)state;
    for (unsigned i = 0; i < lines; i++) {
        size += (size_t)sprintf(text + size, " L %x000,%u\n", i + 1, 1 + i % 8);
    }
    trace = sim_trace_over(text, size, SIM_TRACE_GUESS);
    do {
        EXPECT(sim_trace_read(trace, records + total, lines + 1 - total, &got, &complaint));
        total += got;
    } while (got != 0);
    EXPECT_EQ(total, lines);
    EXPECT_EQ(sim_trace_done_bytes(trace), size);
    for (unsigned i = 0; i < lines; i++) {
        EXPECT_EQ(sim_record_value(records[i]), i + 1);
    }
    sim_trace_close(trace);
    free(text);
    free(records);
}

static void test_an_empty_trace_has_no_references(void **state)
{
    sim_record records[RECORDS];

    (void)state;
    EXPECT_EQ(read_text("", records), 0);
    EXPECT_EQ(read_text("==1== nothing\n", records), 0);
}

/* --- the binary form --- */

static const uint8_t head[16] = { 'V', 'M', 'M', 'U', 'T', 'R', 'C', '\n', 1, 0, 0, 0, 0, 0, 0, 0 };

static void test_the_binary_form_is_known_by_its_head(void **state)
{
    const uint8_t bytes[] = { 'V', 'M', 'M', 'U', 'T',  'R',  'C',  '\n', 1,    0,    0, 0,
                              0,   0,   0,   0,   0x12, 0x70, 0xff, 0xff, 0xff, 0x7f, 0, 0 };
    sim_record records[RECORDS];

    (void)state;
    EXPECT_EQ(read_all(bytes, sizeof(bytes), SIM_TRACE_GUESS, records), 1);
    EXPECT_EQ(records[0], UINT64_C(0x7fffffff7000) | SIM_RECORD_CROSSES | SIM_WRITE);
}

static void test_what_is_written_reads_as_it_was(void **state)
{
    const sim_record written[] = { sim_record_of(SIM_FETCH, 1),
                                   sim_record_of(SIM_READ, 2),
                                   sim_record_of(SIM_WRITE, 3) | SIM_RECORD_CROSSES,
                                   sim_record_of(SIM_MODIFY, 4),
                                   sim_record_of(SIM_REPEAT, 5),
                                   sim_record_of(SIM_SPACE, 6),
                                   sim_record_of(SIM_EXIT, 7),
                                   sim_record_of(SIM_ENTER, 0),
                                   sim_record_of(SIM_INVLPG, 8),
                                   UINT64_C(0xfffffffffffff000) | SIM_READ };
    const size_t count = sizeof(written) / sizeof(written[0]);
    sim_record records[RECORDS];
    char *bytes;
    size_t size;
    FILE *const to = open_memstream(&bytes, &size);

    (void)state;
    EXPECT(sim_trace_write_head(to) && sim_trace_write(to, written, count) && fclose(to) == 0);
    EXPECT_EQ(size, 16 + count * 8);
    EXPECT_EQ(read_all(bytes, size, SIM_TRACE_GUESS, records), count);
    EXPECT(memcmp(records, written, sizeof(written)) == 0);
    free(bytes);
}

static void test_a_binary_trace_that_is_cut_off_is_refused(void **state)
{
    uint8_t bytes[16 + 8 + 3] = { 0 };

    (void)state;
    memcpy(bytes, head, sizeof(head));
    expect_refused(bytes, sizeof(bytes), SIM_TRACE_GUESS, "cut off in record 2");
    expect_refused(bytes, 12, SIM_TRACE_GUESS, "cut off in its head");
    expect_refused(bytes, 4, SIM_TRACE_BINARY, "does not begin as a binary trace does");
}

static void test_other_versions_and_flags_are_refused(void **state)
{
    uint8_t bytes[16];

    (void)state;
    memcpy(bytes, head, sizeof(head));
    bytes[8] = 2;
    expect_refused(bytes, sizeof(bytes), SIM_TRACE_GUESS, "version 2");
    bytes[8] = 1;
    bytes[13] = 1;
    expect_refused(bytes, sizeof(bytes), SIM_TRACE_GUESS, "flags 0x100");
}

static void test_records_of_no_kind_and_with_reserved_bits_are_refused(void **state)
{
    static const uint16_t wrong[] = { 0x009, 0x00f, 0x020, 0x800, 0x015 };
    uint8_t bytes[24] = { 0 };

    (void)state;
    memcpy(bytes, head, sizeof(head));
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        bytes[16] = (uint8_t)wrong[i];
        bytes[17] = (uint8_t)(wrong[i] >> 8);
        expect_refused(bytes, sizeof(bytes), SIM_TRACE_GUESS, "record 1 is none");
    }
}

/* --- the hypervisor's --- */

/* Kinds: 0 fetch, 1 read, 2 write, 3 translation, 4 entry, 5 exit, 6 root, 7 INVLPG, 8 page flushed, 9 mark, 10 merged. */
static void test_the_hypervisors_records_are_distances_and_events(void **state)
{
    static const uint8_t bytes[] = {
        0xc4, 0x01, 0x00,             /* entry to root 12, of the guest's own tables */
        0xc0, 0x01,                   /* fetch: 6 further from 0 (12 folded) */
        0xc3, 0x01, 0x05,             /* a translation, passed over */
        0x41,                         /* read: 2 further from 0 */
        0x32,                         /* write: 2 back (3 folded): page 0 */
        0x2a,                         /* 2 more of the last */
        0x97, 0x01,                   /* INVLPG of page 9 */
        0xd6, 0x02,                   /* root 21 */
        0x19,                         /* a mark, passed over */
        0xa5, 0x0d,                   /* exit for reason 0x6a */
        0x04, 0x80, 0x80, 0x80, 0x10, /* entry with bit 25: the root is a second stage's */
    };
    sim_record records[RECORDS];

    (void)state;
    EXPECT_EQ(read_all(bytes, sizeof(bytes), SIM_TRACE_HYPERVISOR, records), 10);
    EXPECT_EQ(records[0], sim_record_of(SIM_ENTER, 0));
    EXPECT_EQ(records[1], sim_record_of(SIM_SPACE, 12));
    EXPECT_EQ(records[2], sim_record_of(SIM_FETCH, 6));
    EXPECT_EQ(records[3], sim_record_of(SIM_READ, 2));
    EXPECT_EQ(records[4], sim_record_of(SIM_WRITE, 0));
    EXPECT_EQ(records[5], sim_record_of(SIM_REPEAT, 2));
    EXPECT_EQ(records[6], sim_record_of(SIM_INVLPG, 9));
    EXPECT_EQ(records[7], sim_record_of(SIM_SPACE, 21));
    EXPECT_EQ(records[8], sim_record_of(SIM_EXIT, 0x6a));
    EXPECT_EQ(records[9], sim_record_of(SIM_ENTER, 0));
}

static void test_the_hypervisors_trace_is_refused_where_it_is_damaged(void **state)
{
    static const uint8_t unknown[] = { 0x01, 0x0b };
    static const uint8_t cut[] = { 0x01, 0x04 };
    static const uint8_t endless[] = { 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80 };

    (void)state;
    expect_refused(unknown, sizeof(unknown), SIM_TRACE_HYPERVISOR, "at byte 1 ");
    expect_refused(cut, sizeof(cut), SIM_TRACE_HYPERVISOR, "cut off in the record at byte 1");
    expect_refused(endless, sizeof(endless), SIM_TRACE_HYPERVISOR, "at byte 0 ");
}

/* --- files and pipes --- */

static void test_what_cannot_be_opened_is_a_complaint(void **state)
{
    (void)state;
    EXPECT(sim_trace_open("/nonexistent/trace", SIM_TRACE_GUESS, &complaint) == NULL);
    EXPECT(strstr(complaint.text, "/nonexistent/trace cannot be read") != NULL);
    EXPECT(sim_trace_open("/", SIM_TRACE_GUESS, &complaint) == NULL);
    EXPECT(strstr(complaint.text, "is a directory") != NULL);
}

static void test_a_file_can_be_read_again_and_a_pipe_cannot(void **state)
{
    char path[] = "/tmp/vmmu-trace-XXXXXX";
    const int fd = mkstemp(path);
    int ends[2] = { -1, -1 };
    char name[32];
    struct sim_trace *trace;
    sim_record records[2];
    size_t got;

    (void)state;
    EXPECT(fd >= 0 && write(fd, " L 00005000,1\n", 14) == 14 && close(fd) == 0);
    trace = sim_trace_open(path, SIM_TRACE_GUESS, &complaint);
    EXPECT(trace && sim_trace_total_bytes(trace) == 14);
    for (unsigned turn = 0; turn < 2; turn++) {
        EXPECT(sim_trace_read(trace, records, 2, &got, &complaint) && got == 1 && records[0] == 0x5001);
        EXPECT(sim_trace_rewind(trace));
    }
    sim_trace_close(trace);
    EXPECT(unlink(path) == 0 && pipe(ends) == 0);
    EXPECT(write(ends[1], " L 00005000,1\n", 14) == 14 && close(ends[1]) == 0);
    snprintf(name, sizeof(name), "/dev/fd/%d", ends[0]);
    trace = sim_trace_open(name, SIM_TRACE_GUESS, &complaint);
    EXPECT(trace && sim_trace_total_bytes(trace) == 0);
    EXPECT(sim_trace_read(trace, records, 2, &got, &complaint) && got == 1);
    EXPECT(!sim_trace_rewind(trace));
    sim_trace_close(trace);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letters_of_lackey_are_fetch_read_write_and_modify),
        cmocka_unit_test(test_a_reference_over_a_page_boundary_says_so),
        cmocka_unit_test(test_lines_of_valgrind_and_empty_ones_are_passed_over),
        cmocka_unit_test(test_the_last_line_needs_no_newline),
        cmocka_unit_test(test_addresses_in_the_upper_half_are_whole),
        cmocka_unit_test(test_what_is_no_line_of_lackeys_is_refused_by_its_number),
        cmocka_unit_test(test_what_is_shown_of_a_bad_line_is_printable_and_short),
        cmocka_unit_test(test_a_line_without_end_is_refused),
        cmocka_unit_test(test_long_traces_come_whole),
        cmocka_unit_test(test_an_empty_trace_has_no_references),
        cmocka_unit_test(test_the_binary_form_is_known_by_its_head),
        cmocka_unit_test(test_what_is_written_reads_as_it_was),
        cmocka_unit_test(test_a_binary_trace_that_is_cut_off_is_refused),
        cmocka_unit_test(test_other_versions_and_flags_are_refused),
        cmocka_unit_test(test_records_of_no_kind_and_with_reserved_bits_are_refused),
        cmocka_unit_test(test_the_hypervisors_records_are_distances_and_events),
        cmocka_unit_test(test_the_hypervisors_trace_is_refused_where_it_is_damaged),
        cmocka_unit_test(test_what_cannot_be_opened_is_a_complaint),
        cmocka_unit_test(test_a_file_can_be_read_again_and_a_pipe_cannot),
    };

    return RUN_TESTS(tests);
}
