/* vmmu walk as it is called: a raw image on disk, exit statuses, both outputs. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "tests/unit/tools_ui/called.h"
#include "tools/command.h"
#include "walked.h"

static char image[] = "/tmp/vmmu-walk-XXXXXX";

/* PAE tables at 0x20, 0x1000 and 0x2000; linear 0x3000 leads to 0x5000, 0x4000 to a read-only 0x6000. */
static int make_image(void **state)
{
    static uint64_t memory[8][512];
    const int file = mkstemp(image);

    (void)state;
    memory[0][4] = 0x1001 | E_A; /* QEMU's emulator marks it */
    memory[1][0] = 0x2000 | E_ALL;
    memory[2][3] = 0x5000 | E_ALL;
    memory[2][4] = 0x6000 | E_P | E_US;
    return write(file, memory, sizeof(memory)) == (ssize_t)sizeof(memory) ? close(file) : -1;
}

static int remove_image(void **state)
{
    (void)state;
    return unlink(image);
}

/* The command with @words behind the image; @input to standard input. */
static struct called run_walk(const char *const *words, const char *input)
{
    return called_with(walk_command, WORDS("vmmu walk", image), words, called_input(input));
}

static void test_a_translation_exits_with_0(void **state)
{
    const struct called run = run_walk(WORDS("--mode", "pae", "--cr3", "20", "3123"), "");

    (void)state;
    EXPECT_EQ(run.status, COMMAND_OK);
    expect_part(run.text, "3123: supervisor read; PAE paging, root 20\n");
    expect_part(run.text, "     PDPTE[0]            register  0000000000001001  table 1000\n");
    expect_part(run.text, "physical    5123 in the 4 KiB page at 5000\n");
}

static void test_a_fault_among_several_addresses_exits_with_1(void **state)
{
    const struct called run =
        run_walk(WORDS("--mode", "pae", "--cr3", "20", "--access", "w,user", "4000", "3000"), "");

    (void)state;
    EXPECT_EQ(run.status, COMMAND_NO);
    expect_part(run.text, "because     PTE at 0x2020: R/W is 0: writes are not allowed\n");
    expect_part(run.text, "\n\n3000: user write; PAE paging");
}

static void test_json_of_several_addresses_is_an_array(void **state)
{
    const struct called run = run_walk(WORDS("--mode", "pae", "--cr3", "20", "--json", "3000", "9000"), "");
    json_object *all = json_tokener_parse(run.text);
    json_object *second;

    (void)state;
    EXPECT_EQ(run.status, COMMAND_NO);
    EXPECT(json_object_is_type(all, json_type_array));
    EXPECT_EQ(json_object_array_length(all), 2);
    second = json_object_array_get_idx(all, 1);
    assert_string_equal(json_object_get_string(json_object_object_get(second, "va")), "0x9000");
    assert_string_equal(json_object_get_string(json_object_object_get(second, "root")), "0x20");
    json_object_put(all);
}

static void test_a_batch_comes_from_standard_input(void **state)
{
    const struct called run =
        run_walk(WORDS("--mode", "pae", "--cr3", "20", "--batch", "-"), "3001\n4002\n5000\n");

    (void)state;
    EXPECT_EQ(run.status, COMMAND_NO);
    assert_string_equal(run.text, "00003001 0000000000005001 4K rwxu\n"
                                  "00004002 0000000000006002 4K r-xu\n"
                                  "00005000 fault 0\n");
}

static void test_what_cannot_be_read_exits_with_3(void **state)
{
    struct called run = run_walk(WORDS("--mode", "pae", "--cr3", "20", "--batch", "/nonexistent/file"), "");

    (void)state;
    EXPECT_EQ(run.status, COMMAND_INPUT);
    expect_part(run.text, "/nonexistent/file: No such file or directory");
    run = run_walk(WORDS("--mode", "pae", "--cr3", "20", "--batch", "-"), "3000\nx\n");
    EXPECT_EQ(run.status, COMMAND_INPUT);
    expect_part(run.text, "00003000 0000000000005000");
    expect_part(run.text, "standard input: line 2 is no address");
    run = run_walk(WORDS("--mode", "pae", "--cr3", "20", "--batch", "-"), "0000000000003000\n100003000\n");
    EXPECT_EQ(run.status, COMMAND_INPUT);
    expect_part(run.text, "standard input: line 2 is no address of 32 bits");
}

static void test_a_command_line_that_cannot_be_exits_with_2(void **state)
{
    const struct called run = run_walk(WORDS("3000"), "");

    (void)state;
    EXPECT_EQ(run.status, COMMAND_USAGE);
    expect_part(run.text, "--cr3");
    EXPECT_EQ(run_walk(WORDS("--mode", "pae", "--cr3", "20", "100003000"), "").status, COMMAND_USAGE);
    EXPECT_EQ(run_walk(WORDS("--cr3", "20"), "").status, COMMAND_USAGE);
    EXPECT_EQ(run_walk(WORDS("--cr3", "20", "--batch", "-", "3000"), "").status, COMMAND_USAGE);
    EXPECT_EQ(run_walk(WORDS("--cr3", "20", "--access", "fly", "3000"), "").status, COMMAND_USAGE);
    EXPECT_EQ(run_walk(WORDS("--cr3", "20", "30zz"), "").status, COMMAND_USAGE);
}

static void test_the_help_has_examples_and_exit_statuses(void **state)
{
    const struct called run = run_walk(WORDS("--help"), "");

    (void)state;
    EXPECT_EQ(run.status, COMMAND_OK);
    expect_part(run.text, "vmmu walk core.elf ffffffff81000000\n");
    expect_part(run.text, "Exit status: 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_translation_exits_with_0),
        cmocka_unit_test(test_a_fault_among_several_addresses_exits_with_1),
        cmocka_unit_test(test_json_of_several_addresses_is_an_array),
        cmocka_unit_test(test_a_batch_comes_from_standard_input),
        cmocka_unit_test(test_what_cannot_be_read_exits_with_3),
        cmocka_unit_test(test_a_command_line_that_cannot_be_exits_with_2),
        cmocka_unit_test(test_the_help_has_examples_and_exit_statuses),
    };

    return cmocka_run_group_tests(tests, make_image, remove_image);
}
