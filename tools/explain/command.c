/*
 * `vmmu explain`: the command line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command.h"
#include "tools/explain/story.h"
#include "tools/ui/options.h"

enum { OPTION_RIP = 0x200, OPTION_CODE, OPTION_SET, OPTION_BITS, OPTION_CPL, OPTION_VENDOR };

struct arguments {
    struct ui_options ui;
    struct machine_options machine;
    struct story_options story;
    const char *path;
};

static const struct argp_option options[] = {
    { "rip", OPTION_RIP, "ADDRESS", 0, "The instruction at this RIP, not where the processor stands", 0 },
    { "code", OPTION_CODE, "TEXT", 0,
      "This instruction: hexadecimal bytes, or a line in Intel's syntax, as objdump -M intel prints it; "
      "there "
      "0x1f is hexadecimal, and 31 decimal",
      0 },
    { "set", OPTION_SET, "REGISTER=VALUE", 0,
      "Give a general register or rflags another value, in hexadecimal", 0 },
    { "bits", OPTION_BITS, "16|32|64", 0, "How code decodes, if not as CS says", 0 },
    { "cpl", OPTION_CPL, "0|1|2|3", 0, "At this privilege level", 0 },
    { "vendor", OPTION_VENDOR, "intel|amd", 0,
      "Whose rules the nested and the tagged part follow (intel; a dump of vmmu's own knows)", 0 },
    { 0 },
};

/* REGISTER=VALUE; only whole registers, for an instruction's addresses come from whole ones. */
static void set_register(struct argp_state *state, struct story_options *story, const char *text)
{
    const char *equals = strchr(text, '=');
    struct story_setting *setting = &story->settings[story->setting_count];
    struct code_register found;
    ZydisRegister name;

    if (!equals || story->setting_count == STORY_SETTINGS_MOST) {
        argp_error(state, "--set wants REGISTER=VALUE, at most %d times", STORY_SETTINGS_MOST);
        return;
    }
    setting->value = option_address(state, "--set", equals + 1);
    name = code_register_named(text, (unsigned)(equals - text));
    if (name == ZYDIS_REGISTER_RFLAGS || name == ZYDIS_REGISTER_EFLAGS) {
        setting->number = VMMU_X86_GPRS;
    } else if (code_register_of(name, &found) && found.bits >= 32) {
        setting->number = found.number;
    } else {
        argp_error(state, "--set knows rax to r15, eax to edi, and rflags, and not '%s'", text);
        return;
    }
    story->setting_count++;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    static const char *const bits[] = { "16", "32", "64", NULL };
    static const char *const levels[] = { "0", "1", "2", "3", NULL };
    static const char *const vendors[] = { "intel", "amd", NULL };
    struct arguments *arguments = state->input;
    struct story_options *story = &arguments->story;

    switch (key) {
    case OPTION_RIP:
        story->has_rip = true;
        story->rip = option_address(state, "--rip", text);
        return 0;
    case OPTION_CODE: story->code = text; return 0;
    case OPTION_SET: set_register(state, story, text); return 0;
    case OPTION_BITS: story->bits = 16U << option_word(state, "--bits", text, bits); return 0;
    case OPTION_CPL:
        story->has_cpl = true;
        story->cpl = option_word(state, "--cpl", text, levels);
        return 0;
    case OPTION_VENDOR: story->amd = option_word(state, "--vendor", text, vendors) == 1; return 0;
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->ui;
        state->child_inputs[1] = &arguments->machine;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->path) {
            argp_error(state, "one IMAGE is wanted");
        }
        arguments->path = text;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "IMAGE is wanted"); return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "What an instruction's accesses to memory really are: natively, under shadow paging, under nested "
    "paging, and with tagged TLBs, in numbers measured on the image; and whether the instruction itself "
    "exits."
    "\v"
    "EXAMPLES\n"
    "  vmmu explain core.elf                         where the processor stands\n"
    "  vmmu explain core.elf --rip ffffffff81000000  another instruction\n"
    "  vmmu explain core.elf --code \"mov [0x1234], eax\"\n"
    "  vmmu explain core.elf --code \"mov DWORD PTR ds:0x1234,eax\"\n"
    "  vmmu explain core.elf --code \"push rax\" --set rsp=7ffc00001004\n"
    "  vmmu explain guest.vmmu --json                a dump of our own hypervisor\n\n"
    "Exit status: 0 if the instruction gets through, 1 if it faults natively,\n"
    "2 for a command line that cannot be, 3 for an image that cannot be used.\n";

int explain_command(int argc, char **argv)
{
    static const struct argp_child children[] = {
        { &ui_argp, 0, NULL, 0 },
        { &machine_argp, 0, NULL, 0 },
        { 0 },
    };
    static const struct argp argp = { options, parse, "IMAGE", doc, children, NULL, NULL };
    struct arguments arguments = { 0 };
    struct complaint complaint = { .usage = false };
    struct machine machine;
    struct story *story;
    int status;

    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    if (!machine_open(arguments.path, &arguments.machine, &machine, &complaint)) {
        give_up_for(&complaint);
    }
    story = story_make(&machine, &arguments.story, &complaint);
    if (!story) {
        machine_close(&machine);
        give_up_for(&complaint);
    }
    if (arguments.ui.json) {
        story_print_json(story);
    } else {
        story_print_text(story);
    }
    status = story->end == STORY_GOES_ON ? COMMAND_OK : COMMAND_NO;
    story_free(story);
    machine_close(&machine);
    return status;
}
