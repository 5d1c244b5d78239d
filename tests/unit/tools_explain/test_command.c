/*
 * vmmu explain as it is called: a raw image on disk, exit statuses, complaints, and a help that fits a terminal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "tests/unit/tools_engine/engine_guest.h"
#include "tests/unit/tools_ui/called.h"
#include "tests/unit/tools_walk/walked.h"
#include "tools/command.h"
#include "tools/ui/options.h"

static char image[] = "/tmp/vmmu-explain-XXXXXX";

/* Four levels of tables in pages 1 to 4, which map page 5 at 0x5000. */
static int make_image(void **state)
{
    static uint64_t memory[6][512];
    const int file = mkstemp(image);

    (void)state;
    for (unsigned level = 1; level <= 3; level++) {
        memory[level][0] = (uint64_t)(level + 1) * 4096 | GUEST_LINK;
    }
    memory[4][5] = 0x5000 | GUEST_LEAF;
    return write(file, memory, sizeof memory) == (ssize_t)sizeof memory ? close(file) : -1;
}

static int remove_image(void **state)
{
    (void)state;
    return unlink(image);
}

/* The command with @words behind the image. */
static struct called run_with(const char *const *words)
{
    return called_with(explain_command, WORDS("vmmu explain", image, "--cr3=1000", "--mode=4level"), words,
                       -1);
}

static void test_the_exit_status_says_how_it_ends(void **state)
{
    static const struct {
        const char *words[4];
        int status;
    } cases[] = {
        { { "--code", "mov [0x5000], eax" }, COMMAND_OK },
        { { "--code", "mov eax, DWORD PTR ds:0x5000" }, COMMAND_OK },
        { { "--code", "mov cr3, rax" }, COMMAND_OK },
        { { "--code", "mov [0x6000], eax" }, COMMAND_NO },
        { { "--code", "ud2" }, COMMAND_NO },
        { { "--code", "hlt", "--cpl=3" }, COMMAND_NO },
        { { "--code", "hlt", "--cpl=1" }, COMMAND_NO },
        { { "--code", "hlt", "--cpl=4" }, COMMAND_USAGE },
        { { "--code", "zz" }, COMMAND_USAGE },
        { { "--code", "06" }, COMMAND_USAGE },
        { { "--code", "" }, COMMAND_USAGE },
        { { "--code", "00112233445566778899aabbccddeeff" }, COMMAND_USAGE },
        { { "--code", "nop", "--set=xyz=1" }, COMMAND_USAGE },
        { { NULL }, COMMAND_USAGE }, /* no registers, and no instruction */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct called run = run_with(cases[i].words);

        if (run.status != cases[i].status) {
            print_error("%s\n%s", cases[i].words[1], run.text);
        }
        EXPECT_EQ(run.status, cases[i].status);
    }
}

/* argp breaks what is longer, in the middle of an example. */
static void test_help_fits_and_says_how_numbers_are_read(void **state)
{
    struct called run = run_with(WORDS("--help"));

    (void)state;
    EXPECT_EQ(run.status, COMMAND_OK);
    expect_part(run.text, "--cpl=0|1|2|3");
    expect_part(run.text, "\n  vmmu explain guest.vmmu --json                a dump of our own hypervisor\n");
    expect_part(run.text, "decimal");
    for (char *rest = strstr(run.text, "EXAMPLES\n") + strlen("EXAMPLES\n"), *line;
         (line = strsep(&rest, "\n")) != NULL && line[0] != '\0';) {
        EXPECT(strncmp(line, "  vmmu explain ", 15) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_exit_status_says_how_it_ends),
        cmocka_unit_test(test_help_fits_and_says_how_numbers_are_read),
    };

    return cmocka_run_group_tests(tests, make_image, remove_image);
}
