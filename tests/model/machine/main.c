/*
 * The model machine as a program: see usage().
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/model/machine/run.h"

#define EXIT_FOUND  1
#define EXIT_USAGE  2

#define SHRINK_RUNS 4000U
#define DEFAULT_OPS 100000U

static void usage(FILE *out)
{
    fputs("model [--seed N] [--ops N] [--engine NAME] [--only CHECK] [--without CHECK] [--keep FILE]\n"
          "model --script FILE [--only CHECK] [--without CHECK]\n"
          "\n"
          "Run random operations of guests, processors and a host on the library's engines, through a TLB "
          "that\n"
          "keeps all that the manuals let a processor keep, and hold every result against what the "
          "architecture\n"
          "permits. What is found is shrunk to a short script, printed, and written to FILE.\n"
          "\n"
          "  --seed N         what the run is drawn from (default 1); the same seed and --ops repeat it "
          "exactly\n"
          "  --ops N          operations (default 100000)\n"
          "  --engine NAME    one technique alone; default: all in turn\n"
          "  --only CHECK     switch all checks off but this one\n"
          "  --without CHECK  switch a check off; --without list prints their names\n"
          "  --keep FILE      write the script of a finding to FILE\n"
          "  --no-shrink      leave the script of a finding as it is\n"
          "  --quiet          print the last line alone\n"
          "  --script FILE    run the script in FILE once\n"
          "\n"
          "example: model --seed 7 --ops 1000000\n"
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

static void show_progress(uint64_t ops)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%" PRIu64 " operations", ops);
    }
}

static bool read_number(const char *text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    return !errno && end != text && !*end && text[0] != '-';
}

static bool read_engine(const char *name, int *engine)
{
    for (int i = 0; engines[i]; i++) {
        if (strcmp(name, engines[i]->name) == 0) {
            *engine = i;
            return true;
        }
    }
    fprintf(stderr, "model: no technique is called `%s`; there are:", name);
    for (int i = 0; engines[i]; i++) {
        fprintf(stderr, " %s", engines[i]->name);
    }
    fputc('\n', stderr);
    return false;
}

/* The check of that name as a bit of *check. */
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
    fprintf(stderr, "model: no check is called `%s`: see --without list\n", name);
    return false;
}

static bool switch_off(const char *name, uint32_t *checks)
{
    uint32_t check = 0;
    const bool known = read_check(name, &check);

    *checks &= ~check;
    return known;
}

static bool bad_number(const char *option, const char *text)
{
    fprintf(stderr, "model: --%s wants a number, not `%s`\n", option, text);
    return false;
}

/* One option with its argument in optarg; false after a message. */
static bool take_option(int option, struct arguments *arguments)
{
    switch (option) {
    case 's': return read_number(optarg, &arguments->run.seed) || bad_number("seed", optarg);
    case 'o': return read_number(optarg, &arguments->run.ops) || bad_number("ops", optarg);
    case 'e': return read_engine(optarg, &arguments->run.engine);
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
        .run = { .seed = 1, .ops = DEFAULT_OPS, .engine = -1, .checks = RUN_ALL_CHECKS },
    };
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (!take_option(option, arguments)) {
            return false;
        }
    }
    if (optind != argc) {
        fprintf(stderr, "model: `%s` is one argument too many\n", argv[optind]);
        return false;
    }
    if (!arguments->quiet) {
        arguments->run.progress = show_progress;
    }
    return true;
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
        { "operations that did nothing", counters->idle },
        { "accesses that reached memory", counters->reached },
        { "accesses that a stale entry answered", counters->stale },
        { "guest faults", counters->guest_faults },
        { "guest faults without an exit", counters->silent_faults },
        { "exits to the engine", counters->exits },
        { "accesses to devices", counters->devices },
        { "actions between two stores", counters->between_stores },
        { "switches of roots without a flush", counters->switches },
        { "goes of flush hypercalls", counters->goes },
        { "flushes that they had made", counters->ordered },
        { "address spaces switched by hypercall", counters->ops[OP_SWITCH] },
        { "accesses too tangled to judge", result->given_up },
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
        fprintf(stderr, "model: %s: %s\n", path, strerror(errno));
        return;
    }
    print_script(file, result);
    fclose(file);
    printf("replay: model --script %s\n", path);
}

static int random_run(const struct arguments *arguments)
{
    struct run_result result;

    if (run_random(&arguments->run, &result) != VMMU_OK) {
        fputs("model: no memory\n", stderr);
        return EXIT_USAGE;
    }
    if (!arguments->quiet) {
        if (isatty(STDERR_FILENO)) {
            fputc('\r', stderr);
        }
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
        fprintf(stderr, "model: %s: %s\n", arguments->script, strerror(errno));
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
        fputs("model: this setting cannot be\n", stderr);
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
