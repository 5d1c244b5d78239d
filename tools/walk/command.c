/*
 * vmmu walk.
 */
#include "tools/command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/machine/machine.h"
#include "tools/ui/json.h"
#include "tools/ui/options.h"
#include "tools/walk/access.h"
#include "tools/walk/batch.h"
#include "tools/walk/render.h"

struct walk_options {
    struct ui_options ui;
    struct machine_options machine;
    const char *image;
    const char *batch;
    uint64_t *addresses;
    unsigned address_count;
    bool has_access;
    struct vmmu_x86_access access;
};

enum {
    KEY_ACCESS = 'a',
    KEY_BATCH = 'b',
};

static const struct argp_option option_list[] = {
    { "access", KEY_ACCESS, "WORDS", 0,
      "r, w or x, and of: user, supervisor, implicit, ac (EFLAGS.AC is set); commas between (default: r)",
      0 },
    { "batch", KEY_BATCH, "FILE", 0,
      "Translate the addresses of FILE, one a line; - for standard input. Without --access only a page that "
      "is not "
      "there is a fault",
      0 },
    { 0 },
};

static const char manual[] =
    "Shows how linear addresses of IMAGE translate: every entry on the way, what it "
    "forbids, and either the result and "
    "its rights, or the fault and the bits that caused it."
    "\v"
    "Examples:\n"
    "  vmmu walk core.elf ffffffff81000000\n"
    "  vmmu walk core.elf --access w,user 401000 402000\n"
    "  vmmu walk memory.raw --cr3 2a0a000 --mode pae c0100000\n"
    "  vmmu walk host.raw --cr3 1000 --ept 5f01e 401000   two-dimensional: a grid\n"
    "  vmmu walk core.elf --batch addresses > translations\n"
    "\n"
    "Lines of --batch:\n"
    "  VA PA SIZE RIGHTS   rights: rwx, and u (user-mode accesses too) or s\n"
    "  VA fault ERROR      ERROR: of #PF its error code (hexadecimal); gp: not\n"
    "                      canonical; ept or npf and the qualification or\n"
    "                      EXITINFO1; absent: the tables leave the image\n"
    "\n"
    "--json: an object, or an array of them for several addresses; with --batch one\n"
    "to a line.\n"
    "\n"
    "Exit status: 0 all accesses are allowed, 1 some fault, 2 a command line that\n"
    "cannot be, 3 an input that cannot be used.";

static void add_argument(struct argp_state *state, struct walk_options *options, const char *text)
{
    if (!options->image) {
        options->image = text;
        return;
    }
    const unsigned count = options->address_count;

    if ((count & (count - 1)) == 0) { /* room for the next power of two */
        options->addresses =
            grow_memory(options->addresses, count, count == 0 ? 1 : 2UL * count, sizeof(*options->addresses));
    }
    options->addresses[options->address_count++] = option_address(state, "ADDRESS", text);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct walk_options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->machine;
        state->child_inputs[1] = &options->ui;
        return 0;
    case KEY_ACCESS:
        options->has_access = true;
        if (!access_parse(argument, &options->access)) {
            argp_error(
                state,
                "--access: '%s': give one of r, w, x, and any of user, supervisor, implicit, ac, with commas",
                argument);
        }
        return 0;
    case KEY_BATCH: options->batch = argument; return 0;
    case ARGP_KEY_ARG: add_argument(state, options, argument); return 0;
    case ARGP_KEY_END:
        if (!options->image || (options->address_count == 0) == (options->batch == NULL)) {
            argp_error(state, "give an image, and addresses or --batch");
        }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int run_batch(const struct walk_options *options, const struct machine *machine)
{
    const bool standard = strcmp(options->batch, "-") == 0;
    const int input = standard ? STDIN_FILENO : open(options->batch, O_RDONLY | O_CLOEXEC);
    struct batch batch = {
        .machine = machine,
        .name = standard ? "standard input" : options->batch,
        .input = input,
        .output = STDOUT_FILENO,
        .json = options->ui.json,
        .judged = options->has_access,
        .access = options->access,
    };
    struct batch_result result;
    struct complaint complaint;

    if (input < 0) {
        give_up(COMMAND_INPUT, "%s: %s", options->batch, strerror(errno));
    }
    if (!batch_run(&batch, &result, &complaint)) {
        give_up_for(&complaint);
    }
    if (!standard) {
        close(input);
    }
    return result.faults == 0 ? COMMAND_OK : COMMAND_NO;
}

/* One address, as text, or as a document: @documents is the array of several, or NULL. */
static int run_one(const struct walk_options *options, const struct machine *machine, uint64_t va,
                   struct json_object *documents)
{
    struct walk_model model;
    struct walk_shadow shadow;
    bool has_shadow;

    walk_make(machine, va, options->access, &model);
    has_shadow = walk_make_shadow(machine, &model, &shadow);
    if (documents) {
        json_object_array_add(documents, walk_document(&model, has_shadow ? &shadow : NULL));
    } else if (options->ui.json) {
        json_print(walk_document(&model, has_shadow ? &shadow : NULL));
    } else {
        walk_print(&model);
        if (has_shadow) {
            walk_print_shadow(&model, &shadow);
        }
    }
    return model.status == VMMU_OK ? COMMAND_OK : COMMAND_NO;
}

/* Bits of an address that its paging does not have are not left out quietly. */
static void check_width(const struct walk_options *options, const struct machine *machine)
{
    for (unsigned i = 0; i < options->address_count; i++) {
        if (machine->mode.address_bits == 32 && options->addresses[i] > UINT32_MAX) {
            give_up(COMMAND_USAGE, "0x%" PRIx64 ": linear addresses have 32 bits here",
                    options->addresses[i]);
        }
    }
}

static int run_all(const struct walk_options *options, const struct machine *machine)
{
    const bool several = options->ui.json && options->address_count > 1;
    struct json_object *documents = several ? json_object_new_array() : NULL;
    int status = COMMAND_OK;

    check_width(options, machine);
    for (unsigned i = 0; i < options->address_count; i++) {
        if (i > 0 && !options->ui.json) {
            printf("\n");
        }
        if (run_one(options, machine, options->addresses[i], documents) != COMMAND_OK) {
            status = COMMAND_NO;
        }
    }
    if (documents) {
        json_print(documents);
    }
    return status;
}

int walk_command(int argc, char **argv)
{
    static const struct argp_child children[] = {
        { &machine_argp, 0, NULL, 0 },
        { &ui_argp, 0, NULL, 0 },
        { 0 },
    };
    static const struct argp argp = { option_list, parse,    "IMAGE ADDRESS...\nIMAGE --batch FILE",
                                      manual,      children, NULL,
                                      NULL };
    struct walk_options options = { .access = { .kind = VMMU_X86_READ } };
    struct machine machine;
    struct complaint complaint;
    int status;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    setlocale(LC_CTYPE, "");
    if (!machine_open(options.image, &options.machine, &machine, &complaint)) {
        give_up_for(&complaint);
    }
    status = options.batch ? run_batch(&options, &machine) : run_all(&options, &machine);
    free(options.addresses);
    machine_close(&machine);
    return status;
}
