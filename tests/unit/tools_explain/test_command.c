/*
 * vmmu explain as it is called: a raw image on disk, exit statuses, complaints, and a help that fits a terminal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "tests/unit/tools_engine/engine_guest.h"
#include "tests/unit/tools_walk/walked.h"
#include "tools/command.h"
#include "tools/ui/options.h"

#define WORDS_MOST   16
#define OUTPUT_BYTES 32768

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

static void be_command(char **arguments, unsigned count, int to)
{
    dup2(to, STDOUT_FILENO);
    dup2(to, STDERR_FILENO);
    argp_err_exit_status = COMMAND_USAGE;
    const int status = explain_command((int)count, arguments);

    fflush(NULL);
    _exit(status);
}

/* The exit status of the command with @words, up to NULL, behind the image; what it prints in @output. */
static int run_with(const char *const *words, char output[OUTPUT_BYTES])
{
    const char *arguments[WORDS_MOST] = { "vmmu explain", image, "--cr3=1000", "--mode=4level" };
    unsigned count = 4;
    size_t length = 0;
    ssize_t got;
    int ends[2];
    int status;

    for (unsigned i = 0; words[i]; i++) {
        arguments[count++] = words[i];
    }
    EXPECT_EQ(pipe(ends), 0);
    fflush(NULL);
    const pid_t process = fork();

    if (process == 0) {
        close(ends[0]);
        be_command((char **)arguments, count, ends[1]);
    }
    close(ends[1]);
    while ((got = read(ends[0], output + length, OUTPUT_BYTES - 1 - length)) > 0) {
        length += (size_t)got;
    }
    output[length] = '\0';
    close(ends[0]);
    EXPECT_EQ(waitpid(process, &status, 0), process);
    EXPECT(WIFEXITED(status));
    return WEXITSTATUS(status);
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
    static char output[OUTPUT_BYTES];

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int status = run_with(cases[i].words, output);

        if (status != cases[i].status) {
            print_error("%s\n%s", cases[i].words[1], output);
        }
        EXPECT_EQ(status, cases[i].status);
    }
}

/* argp breaks what is longer, in the middle of an example. */
static void test_help_fits_and_says_how_numbers_are_read(void **state)
{
    static const char *const words[] = { "--help", NULL };
    static char output[OUTPUT_BYTES];

    (void)state;
    EXPECT_EQ(run_with(words, output), COMMAND_OK);
    expect_part(output, "--cpl=0|1|2|3");
    expect_part(output, "\n  vmmu explain guest.vmmu --json                a dump of our own hypervisor\n");
    expect_part(output, "decimal");
    for (char *rest = strstr(output, "EXAMPLES\n") + strlen("EXAMPLES\n"), *line;
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
