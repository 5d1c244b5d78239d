/* vmmu maps and vmmu check as they are called: a raw image on disk, exit statuses, complaints. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stage.h"
#include "tests/unit/test.h"
#include "tests/unit/tools_ui/called.h"
#include "tools/command.h"

static char image[] = "/tmp/vmmu-maps-XXXXXX";

/*
 * 4-level tables at 0x1000 to 0x4000 that map one page at 0x1000; a second root at 0x6000 with the same upper half, and nothing
 * below; a root at 0x8000 all of whose entries are itself; one at 0x9000 with a reserved bit.
 */
static int make_image(void **state)
{
    static uint64_t memory[16][512];
    const int file = mkstemp(image);

    (void)state;
    for (unsigned table = 1; table < 4; table++) {
        memory[table][0] = (table + 1) * UINT64_C(0x1000) | E_ALL;
    }
    memory[4][1] = 0xA000 | E_P | E_US;
    memory[1][256] = memory[6][256] = 0x7000 | E_P | E_RW;
    memory[7][0] = E_P | E_RW | E_PS | E_NX;
    for (unsigned index = 0; index < 512; index++) {
        memory[8][index] = 0x8000 | E_P | E_RW;
    }
    memory[9][0] = 0x2000 | E_P | E_PS;
    return write(file, memory, sizeof(memory)) == (ssize_t)sizeof(memory) ? close(file) : -1;
}

static int remove_image(void **state)
{
    (void)state;
    return unlink(image);
}

/* A command with @words behind the image. */
static struct called run_command(int (*command)(int, char **), const char *const *words)
{
    return called_with(command, WORDS("vmmu command", image), words, -1);
}

static void expect(int (*command)(int, char **), const char *const *words, int status, const char *text)
{
    const struct called run = run_command(command, words);

    if (run.status != status || !strstr(run.text, text)) {
        fail_msg("status %d, not %d, or '%s' is not in:\n%s", run.status, status, text, run.text);
    }
}

static void test_maps_answers_by_its_status(void **state)
{
    (void)state;
    expect(maps_command, WORDS("--cr3", "1000"), COMMAND_OK, "0000000000001000-0000000000002000");
    expect(maps_command, WORDS("--cr3", "5000"), COMMAND_NO, "0 ranges, ");
    expect(maps_command, WORDS("--cr3=1000", "--range", "1000-2000", "--json"), COMMAND_OK,
           "\"range_count\": 1,");
    expect(maps_command, WORDS("--cr3=1000", "--range", "2000-3000"), COMMAND_NO, "0 ranges, ");
    expect(maps_command, WORDS("--cr3=1000", "--range", "ffff800000000000-"), COMMAND_OK,
           "rw-s   WB    1x1G");
    expect(maps_command, WORDS("--cr3=1000", "--pages"), COMMAND_OK,
           "0000000000001000 000000000a000 4K   r-xu");
}

static void test_differences_finds_and_roots_are_asked_for_by_options(void **state)
{
    (void)state;
    expect(maps_command, WORDS("--diff", "1000", "6000"), COMMAND_NO, "only in first: 4 KiB");
    expect(maps_command, WORDS("--diff", "1000,1000"), COMMAND_OK, "same: ");
    expect(maps_command, WORDS("--find", "a123", "--cr3", "1000,6000"), COMMAND_OK,
           "3 times in 2 address spaces");
    expect(maps_command, WORDS("--find=a123", "--cr3=1000", "--cr3=6000"), COMMAND_OK,
           "3 times in 2 address spaces");
    expect(maps_command, WORDS("--find=50000000", "--cr3=1000"), COMMAND_NO, "0 times");
    expect(maps_command, WORDS("--scan"), COMMAND_OK, "3 roots in 64 KiB");
    expect(maps_command, WORDS("--scan=any", "--find", "50000000"), COMMAND_NO,
           "0 times in 3 address spaces");
    expect(maps_command, WORDS("--scan"), COMMAND_OK,
           "4-level paging is assumed: the image does not tell the mode (--mode)\n");
    EXPECT(!strstr(run_command(maps_command, WORDS("--scan", "--mode=4level")).text, "assumed"));
    EXPECT(!strstr(run_command(maps_command, WORDS("--scan")).text, "CR3: give"));
    EXPECT(!strstr(run_command(maps_command, WORDS("--scan", "--find=a000", "--json")).text, "\n  \"cr3\""));
    expect(maps_command, WORDS("--scan", "--mode", "none"), COMMAND_USAGE,
           "--mode says what tables to look for");
}

static void test_tables_without_end_are_a_sentence_and_status_3(void **state)
{
    (void)state;
    expect(maps_command, WORDS("--cr3=8000", "--budget=100000"), COMMAND_INPUT, "vmmu: no end of the tables");
    expect(maps_command, WORDS("--cr3=8000", "--budget=5000", "--pages", "--range=1000000000-"),
           COMMAND_INPUT, "vmmu: no end of the tables");
    expect(maps_command, WORDS("--diff", "1000", "8000", "--budget=5000"), COMMAND_INPUT,
           "vmmu: no end of the tables");
    expect(maps_command, WORDS("--find=123456789000", "--cr3=8000", "--budget=500"), COMMAND_INPUT, "no end");
    expect(check_command, WORDS("--cr3=8000", "--budget=5000"), COMMAND_INPUT, "vmmu: no end of the tables");
    expect(check_command, WORDS("--cr3=8000", "--budget=5000"), COMMAND_INPUT,
           "; not everything was looked at\n");
}

static void test_command_lines_that_cannot_be_are_status_2(void **state)
{
    (void)state;
    expect(maps_command, WORDS("--range", "5"), COMMAND_USAGE, "is no range");
    expect(maps_command, WORDS("--range", "9-5"), COMMAND_USAGE, "ends before it begins");
    expect(maps_command, WORDS("--diff", "1"), COMMAND_USAGE, "--diff");
    expect(maps_command, WORDS("--pages", "--find=1"), COMMAND_USAGE, "one at a time");
    expect(maps_command, WORDS("--find=1", "--range=1-2"), COMMAND_USAGE, "leave --range out");
    expect(maps_command, WORDS("--cr3=1,2"), COMMAND_USAGE, "several --cr3");
    expect(maps_command, WORDS("--cr3=1", "more"), COMMAND_USAGE, "'more' is too much");
    expect(maps_command, WORDS("--join=nothing"), COMMAND_USAGE, "protection, rights, type, size, all");
    expect(maps_command, WORDS("--scan=some"), COMMAND_USAGE, "kin, any");
    expect(check_command, WORDS("--examples=65"), COMMAND_USAGE, "--examples");
    expect(check_command, WORDS("--cr3=1", "more"), COMMAND_USAGE, "'more' is too much");
}

static void test_what_the_command_line_leaves_out_is_status_2(void **state)
{
    (void)state;
    expect(maps_command, WORDS("--pages"), COMMAND_USAGE, "does not tell CR3");
    expect(check_command, WORDS("--strict"), COMMAND_USAGE, "does not tell CR3");
    expect(maps_command, WORDS("--cr3=1000", "--second"), COMMAND_USAGE, "there is no second stage");
}

static void test_check_answers_by_its_status(void **state)
{
    (void)state;
    expect(check_command, WORDS("--cr3=1000"), COMMAND_OK, "errors: 0, warnings: 0");
    expect(check_command, WORDS("--cr3=9000"), COMMAND_NO, "error: malformed entries (1)");
    expect(check_command, WORDS("--cr3=9000", "--json"), COMMAND_NO, "\"kind\":\"reserved-bits\"");
    expect(check_command, WORDS("--cr3=1000", "--kernel-half", "0"), COMMAND_OK,
           "pages of user mode in the kernel's half (1)");
    expect(check_command, WORDS("--cr3=1000", "--kernel-half=0", "--strict"), COMMAND_NO, "warnings: 1");
    expect(check_command, WORDS("--cr3=6000", "--pair"), COMMAND_NO, "KPTI's two roots are compared");
    expect(check_command, WORDS("--mode=none"), COMMAND_OK, "looked at 0 pages");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps_answers_by_its_status),
        cmocka_unit_test(test_differences_finds_and_roots_are_asked_for_by_options),
        cmocka_unit_test(test_tables_without_end_are_a_sentence_and_status_3),
        cmocka_unit_test(test_command_lines_that_cannot_be_are_status_2),
        cmocka_unit_test(test_what_the_command_line_leaves_out_is_status_2),
        cmocka_unit_test(test_check_answers_by_its_status),
    };
    return cmocka_run_group_tests(tests, make_image, remove_image);
}
