/*
 * The proving ground of lib/booke as a program: see usage().
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/booke/machine/run.h"

#define EXIT_FOUND  1
#define EXIT_USAGE  2

#define SHRINK_RUNS 4000U
#define DEFAULT_OPS 100000U

static void usage(FILE *out)
{
    fputs("ground [--seed N] [--ops N] [--engine NAME] [--only CHECK] [--without CHECK] [--keep FILE]\n"
          "ground --script FILE [--only CHECK] [--without CHECK]\n"
          "\n"
          "Run random operations of Book-E guests on the library, and hold every access on the real TLB "
          "against\n"
          "a naive MMU. What is found is shrunk to a short script, printed, and written to FILE.\n"
          "\n"
          "  --seed N         what the run is drawn from (default 1); the same seed and --ops repeat it "
          "exactly\n"
          "  --ops N          operations (default 100000)\n"
          "  --engine NAME    small: TLBs as small as they can be; true: an e500v2's; default: both\n"
          "  --only CHECK     switch all checks off but this one\n"
          "  --without CHECK  switch a check off; --without list prints their names\n"
          "  --keep FILE      write the script of a finding to FILE\n"
          "  --no-shrink      leave the script of a finding as it is\n"
          "  --quiet          print the last line alone\n"
          "  --script FILE    run the script in FILE once\n"
          "\n"
          "example: ground --seed 7 --ops 1000000\n"
          "exit status: 0 nothing found, 1 a finding, 2 wrong arguments or no memory\n",
          out);
}

struct arguments {
    struct run run;
    const char *script;
    const char *keep;
    bool quiet;
    bool no_shrink;
};

static bool complain(const char *what, const char *text)
{
    fprintf(stderr, "ground: %s, not `%s`\n", what, text);
    return false;
}

static bool read_number(const char *text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    return (!errno && end != text && !*end && text[0] != '-') || complain("a number is wanted", text);
}

static bool read_engine(const char *name, struct run *run)
{
    run->small = strcmp(name, "small") == 0;
    run->whole = strcmp(name, "true") == 0;
    return run->small || run->whole || complain("geometries are `small` or `true`", name);
}

/* The check of that name as a bit. */
static bool read_check(const char *name, uint32_t *check)
{
    for (unsigned i = 0; i < CHECKS; i++) {
        if (strcmp(name, check_names[i]) == 0) {
            *check = UINT32_C(1) << i;
            return true;
        }
    }
    if (strcmp(name, "list") == 0) {
        for (unsigned i = 0; i < CHECKS; i++) {
            puts(check_names[i]);
        }
        exit(EXIT_SUCCESS);
    }
    return complain("a check is one of --without list", name);
}

static bool switch_off(const char *name, uint32_t *checks)
{
    uint32_t check = 0;
    const bool known = read_check(name, &check);

    *checks &= ~check;
    return known;
}

/* One option with its argument in optarg; false after a message. */
static bool take_option(int option, struct arguments *arguments)
{
    switch (option) {
    case 's': return read_number(optarg, &arguments->run.seed);
    case 'o': return read_number(optarg, &arguments->run.ops);
    case 'e': return read_engine(optarg, &arguments->run);
    case 'w': return switch_off(optarg, &arguments->run.checks);
    case 'y': return read_check(optarg, &arguments->run.checks);
    case 'k': arguments->keep = optarg; return true;
    case 'f': arguments->script = optarg; return true;
    case 'n': arguments->no_shrink = true; return true;
    case 'q': arguments->quiet = true; return true;
    case 'h': usage(stdout); exit(EXIT_SUCCESS);
    default: usage(stderr); return false;
    }
}

static bool read_arguments(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {
        { "seed", required_argument, NULL, 's' },
        { "ops", required_argument, NULL, 'o' },
        { "engine", required_argument, NULL, 'e' },
        { "without", required_argument, NULL, 'w' },
        { "keep", required_argument, NULL, 'k' },
        { "script", required_argument, NULL, 'f' },
        { "only", required_argument, NULL, 'y' },
        { "no-shrink", no_argument, NULL, 'n' },
        { "quiet", no_argument, NULL, 'q' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    *arguments = (struct arguments){
        .run = { .seed = 1, .ops = DEFAULT_OPS, .small = true, .whole = true, .checks = RUN_ALL_CHECKS },
    };
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (!take_option(option, arguments)) {
            return false;
        }
    }
    return optind == argc || complain("options are wanted", argv[optind]);
}

static void print_counters(const struct run_result *result)
{
    const struct world_counters *counters = &result->counters;
    const struct {
        const char *name;
        uint64_t count;
    } rows[] = {
        { "worlds", result->worlds },
        { "operations", result->ops },
        { "accesses that reached memory", counters->accesses },
        { "of these, at once", counters->hits },
        { "where IS is not DS", counters->mixed },
        { "that several virtual entries match", counters->overlaps },
        { "entries made", counters->fills },
        { "of these, of large pages", counters->large },
        { "made by the answer to a miss", counters->answered },
        { "misses that are the guest's", counters->misses },
        { "refusals that are the guest's", counters->refused },
        { "accesses to devices", counters->devices },
        { "accesses that the host refuses", counters->denied },
        { "clashes of fetch and data", counters->clashes },
        { "writes of the real TLB", counters->writes },
        { "real entries that went", counters->removed },
        { "shadow PIDs taken back", counters->recycled },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        printf("%-38s %12" PRIu64 "\n", rows[i].name, rows[i].count);
    }
}

static void print_script(FILE *out, const struct run_result *result)
{
    fprintf(out, "# %s: %s\n", check_names[result->finding.check], result->finding.sentence);
    script_print_setting(out, &result->setting);
    for (long i = 0; i < result->script_ops; i++) {
        script_print_op(out, &result->script[i]);
    }
}

static void keep_script(const char *path, const struct run_result *result)
{
    FILE *file = fopen(path, "w");

    if (!file) {
        fprintf(stderr, "ground: %s: %s\n", path, strerror(errno));
        return;
    }
    print_script(file, result);
    fclose(file);
    printf("replay: ground --script %s\n", path);
}

static int random_run(const struct arguments *arguments)
{
    struct run_result result;

    if (run_random(&arguments->run, &result) != VMMU_OK) {
        fputs("ground: no memory, or a setting that cannot be\n", stderr);
        return EXIT_USAGE;
    }
    if (!arguments->quiet) {
        print_counters(&result);
    }
    if (!result.finding.found) {
        printf("nothing found: seed %" PRIu64 ", %" PRIu64 " operations\n", arguments->run.seed, result.ops);
        return EXIT_SUCCESS;
    }
    if (!arguments->no_shrink) {
        run_shrink(&result, arguments->run.checks, SHRINK_RUNS);
    }
    if (!arguments->quiet) {
        print_script(stdout, &result);
    }
    if (arguments->keep) {
        keep_script(arguments->keep, &result);
    }
    printf("found: %s, seed %" PRIu64 ", after %" PRIu64 " operations\n", check_names[result.finding.check],
           arguments->run.seed, result.ops);
    free(result.script);
    return EXIT_FOUND;
}

static int scripted_run(const struct arguments *arguments)
{
    FILE *file = strcmp(arguments->script, "-") == 0 ? stdin : fopen(arguments->script, "r");
    struct setting setting;
    struct finding finding;
    struct op *ops;

    if (!file) {
        fprintf(stderr, "ground: %s: %s\n", arguments->script, strerror(errno));
        return EXIT_USAGE;
    }
    const long count = script_read(file, arguments->script, &setting, &ops);

    if (file != stdin) {
        fclose(file);
    }
    if (count < 0) {
        return EXIT_USAGE;
    }
    const enum vmmu_status status = run_script(&setting, ops, count, arguments->run.checks, &finding);

    free(ops);
    if (status != VMMU_OK) {
        fputs("ground: this setting cannot be\n", stderr);
        return EXIT_USAGE;
    }
    if (finding.found) {
        printf("found: %s: %s\n", check_names[finding.check], finding.sentence);
        return EXIT_FOUND;
    }
    printf("nothing found: %ld operations\n", count);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct arguments arguments;

    if (!read_arguments(argc, argv, &arguments)) {
        return EXIT_USAGE;
    }
    return arguments.script ? scripted_run(&arguments) : random_run(&arguments);
}
