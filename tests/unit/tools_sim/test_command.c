/* vmmu sim as it is called: what it refuses to overwrite, what it says before it simulates, and its help. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "tests/unit/tools_ui/called.h"
#include "tools/command.h"

#define HELP_COLUMNS 79

/* Tests run in a folder of their own. */
static char folder[] = "/tmp/vmmu-sim-XXXXXX";

static const char *const files[] = { "trace", "link", "hard", "empty", "words",
                                     "head",  "out",  "a=b",  "out2",  NULL };

static const char some[] = " L 00001000,4\n S 00002000,8\n";

static void put(const char *path, const char *text)
{
    FILE *const to = fopen(path, "w");

    EXPECT(to != NULL);
    EXPECT_EQ(fwrite(text, 1, strlen(text), to), strlen(text));
    EXPECT_EQ(fclose(to), 0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? chdir(folder) : -1;
}

static int make_files(void **state)
{
    (void)state;
    put("trace", some);
    put("empty", "");
    put("words", "==1== Lackey, an example Valgrind tool\n");
    return symlink("trace", "link") == 0 && link("trace", "hard") == 0 ? 0 : -1;
}

static int remove_files(void **state)
{
    (void)state;
    for (unsigned i = 0; files[i]; i++) {
        unlink(files[i]);
    }
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

/* The command with @words; @input, a path or NULL, is standard input. */
static struct called run_sim(const char *const *words, const char *input)
{
    return called_with(sim_command, WORDS("vmmu sim"), words, input ? open(input, O_RDONLY | O_CLOEXEC) : -1);
}

static void expect_of(const char *const *words, const char *input, int status, const char *text)
{
    const struct called run = run_sim(words, input);

    if (run.status != status || !strstr(run.text, text)) {
        fail_msg("status %d, not %d, or '%s' is not in:\n%s", run.status, status, text, run.text);
    }
}

static void expect(const char *const *words, int status, const char *text)
{
    expect_of(words, NULL, status, text);
}

static void expect_whole_trace(void)
{
    char text[sizeof(some) + 1] = "";
    FILE *const from = fopen("trace", "r");

    EXPECT(from != NULL);
    EXPECT_EQ(fread(text, 1, sizeof(text), from), strlen(some));
    EXPECT_EQ(fclose(from), 0);
    assert_string_equal(text, some);
}

static void test_a_trace_is_never_overwritten_by_what_it_comes_to(void **state)
{
    static const char *const names[] = { "trace", "./trace", "link", "hard" };

    (void)state;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        expect(WORDS("--convert", names[i], "trace"), COMMAND_USAGE, "would be overwritten");
        expect(WORDS("--plot", names[i], "trace"), COMMAND_USAGE, "would be overwritten");
        expect_of(WORDS("--convert", names[i], "-"), "trace", COMMAND_USAGE, "would be overwritten");
        expect_whole_trace();
    }
    expect(WORDS("--plot", "out", "--plot", "cycles=trace", "empty", "trace"), COMMAND_USAGE,
           "trace is the trace itself, and would be overwritten");
    expect_whole_trace();
    EXPECT(access("out", F_OK) != 0);
}

static void test_what_is_no_trace_is_written(void **state)
{
    (void)state;
    expect(WORDS("--convert", "out", "trace"), COMMAND_OK, "");
    expect(WORDS("--convert", "out2", "out"), COMMAND_OK, "");
    expect_of(WORDS("--convert", "/dev/null", "-"), "trace", COMMAND_OK, "");
    expect(WORDS("--plot", "out", "--plot", "exits=out2", "trace"), COMMAND_OK, "2 references");
    EXPECT(access("out2", F_OK) == 0);
    expect_whole_trace();
}

static void test_a_trace_without_references_is_an_error(void **state)
{
    (void)state;
    expect(WORDS("empty"), COMMAND_INPUT, "vmmu: empty: no references in it\n");
    expect(WORDS("words"), COMMAND_INPUT, "vmmu: words: no references in it\n");
    expect(WORDS("--json", "-"), COMMAND_INPUT, "vmmu: standard input: no references in it\n");
    expect(WORDS("trace", "empty"), COMMAND_INPUT, "vmmu: empty: no references in it\n");
    expect(WORDS("--convert", "head", "empty"), COMMAND_INPUT, "vmmu: empty: no references in it\n");
    expect(WORDS("head"), COMMAND_INPUT, "vmmu: head: no references in it\n");
    EXPECT(!strstr(run_sim(WORDS("empty"), NULL).text, "WALKS"));
}

static void test_a_word_before_an_equals_sign_is_of_a_plot(void **state)
{
    (void)state;
    expect(WORDS("--plot", "foo=out", "trace"), COMMAND_USAGE,
           "--plot: 'foo' is none of: walks, depth, references, exits, tables, cycles");
    expect(WORDS("--plot", "=out", "trace"), COMMAND_USAGE, "'' is none of");
    expect(WORDS("--plot", "walks=", "trace"), COMMAND_USAGE, "a FILE is wanted");
    expect(WORDS("--plot", "./a=b", "trace"), COMMAND_OK, "2 references");
    EXPECT(access("a=b", F_OK) == 0);
}

/* The trace is none, which would be told first if it were read. */
static void test_a_place_that_cannot_be_written_is_told_before_anything_is_read(void **state)
{
    static const char *const places[] = { "nowhere/out", "trace/out", ".", "nowhere/" };
    char complaint[64];

    (void)state;
    put("words", "this is no trace\n");
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(complaint, sizeof(complaint), "vmmu: %s cannot be written: ", places[i]);
        expect(WORDS("--plot", places[i], "words"), COMMAND_INPUT, complaint);
        expect(WORDS("--plot", "out", "--plot", places[i], "trace"), COMMAND_INPUT, complaint);
        expect(WORDS("--convert", places[i], "words"), COMMAND_INPUT, complaint);
        EXPECT(access("out", F_OK) != 0);
    }
    expect(WORDS("words"), COMMAND_INPUT, "line 1 is no line of lackey's");
}

/* Lines of a text that are @line. */
static unsigned count_lines(const char *text, const char *line)
{
    const size_t length = strlen(line);
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, line)) != NULL; at += length) {
        count += (at == text || at[-1] == '\n') && at[length] == '\n';
    }
    return count;
}

static void test_help_has_each_heading_once_and_whole_examples(void **state)
{
    struct called run = run_sim(WORDS("--help"), NULL);
    char *examples;

    (void)state;
    EXPECT_EQ(run.status, COMMAND_OK);
    EXPECT_EQ(count_lines(run.text, " Output:"), 1);
    EXPECT_EQ(count_lines(run.text, " Input:"), 1);
    examples = strstr(run.text, "Examples:\n");
    EXPECT(examples != NULL);
    for (char *line = strtok(examples + strlen("Examples:\n"), "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, "  ", 2) != 0) {
            fail_msg("an example is broken before: %s", line);
        }
    }
    run = run_sim(WORDS("--help"), NULL);
    for (char *line = strtok(run.text, "\n"); line; line = strtok(NULL, "\n")) {
        if (strlen(line) > HELP_COLUMNS) {
            fail_msg("%zu columns: %s", strlen(line), line);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_trace_is_never_overwritten_by_what_it_comes_to, make_files,
                                        remove_files),
        cmocka_unit_test_setup_teardown(test_what_is_no_trace_is_written, make_files, remove_files),
        cmocka_unit_test_setup_teardown(test_a_trace_without_references_is_an_error, make_files,
                                        remove_files),
        cmocka_unit_test_setup_teardown(test_a_word_before_an_equals_sign_is_of_a_plot, make_files,
                                        remove_files),
        cmocka_unit_test_setup_teardown(test_a_place_that_cannot_be_written_is_told_before_anything_is_read,
                                        make_files, remove_files),
        cmocka_unit_test(test_help_has_each_heading_once_and_whole_examples),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
