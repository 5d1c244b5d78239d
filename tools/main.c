/*
 * vmmu: what an address really means. One command a word; each reads an input, makes a model of it, and renders that.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command.h"
#include "tools/ui/complain.h"
#include "tools/version.h"

/* argp's: what --version of each command says. */
const char *argp_program_version = "vmmu " VMMU_VERSION;

struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    { "walk", "every entry of a walk, and what it came to", walk_command },
    { "report", "statistics of runs, side by side, as a page for a browser", report_command },
    { "maps", "all that is mapped, as ranges or page by page", maps_command },
    { "check", "what is wrong with tables: lint", check_command },
    { "explain", "what an instruction's memory accesses come to under each technique", explain_command },
    { "sim", "a trace of references on models of TLBs under each technique", sim_command },
    { "live", "a running guest: registers and counters, stop and go, dumps, other commands on it",
      live_command },
    { "top", "exits and counters of a running guest by the second", top_command },
    { NULL, NULL, NULL },
};

static void print_help(FILE *to)
{
    fputs("Usage: vmmu COMMAND ARGUMENTS...\n"
          "What a virtual address really means: on memory images, on dumps of a hypervisor, on a running "
          "one.\n\n",
          to);
    for (const struct command *command = commands; command->name; command++) {
        fprintf(to, "  %-9s %s\n", command->name, command->summary);
    }
    fputs("\nExamples:\n"
          "  vmmu walk core.elf ffffffff81000000    each entry of a walk, in a core file of QEMU's\n"
          "  vmmu maps core.elf                     what is mapped, with which rights\n"
          "  vmmu COMMAND --help                    the options of a command\n"
          "  vmmu --version\n\n"
          "Exit status: 0 done, 1 done and the answer is no (a fault, findings, a difference),\n"
          "2 a command line that cannot be, 3 an input that cannot be used.\n",
          to);
}

/* Whatever was printed has arrived, or the status says that it has not. */
static int finish(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        give_up(COMMAND_INPUT, "the output cannot be written");
    }
    return status;
}

static int run(const struct command *command, int argc, char **argv)
{
    static char name[64];

    snprintf(name, sizeof(name), "vmmu %s", command->name);
    argv[0] = name;
    program_invocation_name = name; /* what argp calls itself in messages */
    program_invocation_short_name = name;
    argp_err_exit_status = COMMAND_USAGE;
    return finish(command->run(argc, argv));
}

int main(int argc, char **argv)
{
    static char help[] = "--help";

    if (argc < 2) {
        print_help(stderr);
        return COMMAND_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 && argc > 2) { /* help COMMAND is COMMAND --help */
        argv[1] = argv[2];
        argv[2] = help;
        argc = 3;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return finish(COMMAND_OK);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts(argp_program_version);
        return finish(COMMAND_OK);
    }
    for (const struct command *command = commands; command->name; command++) {
        if (strcmp(argv[1], command->name) == 0) {
            return run(command, argc - 1, argv + 1);
        }
    }
    give_up(COMMAND_USAGE, "there is no command '%s'; vmmu --help lists them", argv[1]);
}
