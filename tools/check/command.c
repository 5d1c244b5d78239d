#include <stdio.h>
#include <stdlib.h>

#include "tools/check/lint.h"
#include "tools/command.h"
#include "tools/ui/options.h"

enum {
    KEY_EXAMPLES = 0x3000,
    KEY_STRICT,
    KEY_PAIR,
    KEY_UPPER,
    KEY_BUDGET,
};

/* Where 32-bit kernels begin, mostly. */
#define UPPER_HALF_32 UINT64_C(0xC0000000)

struct check_options {
    struct ui_options ui;
    struct machine_options machine;
    const char *path;
    unsigned examples;
    bool strict;
    bool pair;
    bool has_upper;
    uint64_t upper;
    uint64_t budget;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct check_options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->machine;
        state->child_inputs[1] = &options->ui;
        return 0;
    case KEY_EXAMPLES:
        options->examples = (unsigned)option_count(state, "--examples", argument, 0, CHECK_EXAMPLES_MOST);
        return 0;
    case KEY_STRICT: options->strict = true; return 0;
    case KEY_PAIR: options->pair = true; return 0;
    case KEY_UPPER:
        options->has_upper = true;
        options->upper = option_address(state, "--kernel-half", argument);
        return 0;
    case KEY_BUDGET: options->budget = option_count(state, "--budget", argument, 1, INT64_MAX); return 0;
    case ARGP_KEY_ARG:
        if (options->path) {
            argp_error(state, "'%s' is too much: one IMAGE, then options", argument);
        }
        options->path = argument;
        return 0;
    case ARGP_KEY_END:
        if (!options->path) {
            argp_error(state, "which IMAGE?");
        }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option check_options[] = {
    { NULL, 0, NULL, 0, "What is checked:", 1 },
    { "examples", KEY_EXAMPLES, "N", 0, "examples of each kind, 0 to 64; 5 unless said. --json has all", 1 },
    { "strict", KEY_STRICT, NULL, 0, "warnings make the exit status 1, too", 1 },
    { "pair", KEY_PAIR, NULL, 0,
      "the root and its neighbour of 4 KiB are KPTI's two, whether or not they look so", 1 },
    { "kernel-half", KEY_UPPER, "ADDRESS", 0,
      "the kernel's addresses begin here: at the upper half, or at c0000000 with 32 bits, unless said", 1 },
    { "budget", KEY_BUDGET, "N", 0, "entries that may be read of one tree of tables; 30000000 unless said",
      1 },
    { 0 },
};

static const char documentation[] =
    "What is wrong, or odd, with the tables of an address space."
    "\v"
    "Errors: malformed entries; tables outside memory, or writable to user mode; KPTI's two roots that "
    "disagree. Warnings: "
    "pages that are writable and executable, pages of user mode in the kernel's half or global, memory "
    "mapped with different "
    "types, PS bits that are ignored. Notes: self-maps, tables walked at two levels, write-back mappings of "
    "no memory.\n\n"
    "On dumps of our own hypervisor also what the processor really walks: under nested paging the second "
    "stage, under shadow "
    "paging the shadow tables of each virtual processor. Nothing may lead outside the partition's memory, or "
    "to a table; no "
    "right may go beyond the guest's and the host's; write-protected tables may not be writable; and what a "
    "shadow entry maps "
    "is what the guest's walk finds, or may be stale where the guest's tables are open.\n\n"
    "EXAMPLES\n"
    "  vmmu check core.elf\n"
    "  vmmu check core.elf --cr3 5fc4000 --examples 20\n"
    "  vmmu check guest.vmmu --strict --json\n"
    "\n"
    "Exit status: 0 no errors, 1 errors (--strict: or warnings), 2 the command line cannot be, 3 the image "
    "cannot be used, or "
    "its tables have no end.";

static const struct argp_child children[] = {
    { &machine_argp, 0, NULL, 0 },
    { &ui_argp, 0, NULL, 0 },
    { 0 },
};

static const struct argp check_argp = { check_options, parse, "IMAGE", documentation, children, NULL, NULL };

static uint64_t upper_half(const struct check_options *options, const struct space *space)
{
    const unsigned bits = space->mode.address_bits;

    if (options->has_upper) {
        return options->upper;
    }
    return bits > 32 ? 0 - (UINT64_C(1) << (bits - 1)) : UPPER_HALF_32;
}

/* What our hypervisor built for the guest. */
static bool check_own(const struct machine *machine, const struct lint *guest, struct complaint *complaint)
{
    const struct partition *partition = machine->partition;
    bool done = true;

    if (partition && partition->has_second) {
        struct lint second = *guest;

        second.space = space_of_second(machine);
        second.space.budget = guest->space.budget;
        second.tables = (struct stretches){ 0 };
        done = lint_second(&second, complaint);
        stretches_free(&second.tables);
    }
    for (unsigned i = 0; done && partition && i < partition->vp_count; i++) {
        done = !partition->vps[i].has_shadow || lint_shadow(guest, &partition->vps[i], complaint);
    }
    return done;
}

static int check_machine(const struct machine *machine, const struct check_options *options,
                         struct complaint *complaint)
{
    struct check_report report = { .json = options->ui.json, .examples = options->examples };
    struct space_memory memory;
    struct lint lint = { .machine = machine, .space = space_of(machine, &memory), .report = &report };

    lint.space.budget = options->budget;
    lint.space.mode_known |= machine_mode_is_said(&options->machine);
    lint.upper_half = upper_half(options, &lint.space);
    check_report_begin(&report, &lint.space);
    const bool paging = machine->mode.paging != VMMU_X86_PAGING_NONE;
    const bool pair = paging && (options->pair || lint_has_pair(&lint));
    const bool complete = (!paging || (lint_tables(&lint, complaint) && lint_ranges(&lint, complaint) &&
                                       lint_frames(&lint, complaint))) &&
                          (!pair || lint_pair(&lint, complaint)) && check_own(machine, &lint, complaint);

    stretches_free(&lint.tables);
    check_report_end(&report, complete);
    if (!complete) {
        return COMMAND_INPUT;
    }
    return check_count(&report, CHECK_ERROR) || (options->strict && check_count(&report, CHECK_WARNING))
               ? COMMAND_NO
               : COMMAND_OK;
}

int check_command(int argc, char **argv)
{
    struct check_options options = { .examples = 5, .budget = SPACE_BUDGET };
    struct machine machine;
    struct complaint complaint = { .text = "" };
    int status;

    argp_parse(&check_argp, argc, argv, 0, NULL, &options);
    if (!machine_open(options.path, &options.machine, &machine, &complaint)) {
        give_up_for(&complaint);
    }
    status = check_machine(&machine, &options, &complaint);
    machine_close(&machine);
    if (complaint.text[0]) {
        fflush(stdout);
        give_up_for(&complaint);
    }
    return status;
}
