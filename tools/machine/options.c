#include "tools/machine/machine.h"

enum {
    KEY_FORMAT = 0x2000,
    KEY_BASE,
    KEY_CPU,
    KEY_PARTITION,
    KEY_HOST,
    KEY_CR0,
    KEY_CR3,
    KEY_CR4,
    KEY_EFER,
    KEY_PAT,
    KEY_MODE,
    KEY_MAXPHYADDR,
    KEY_EPT,
    KEY_NCR3,
    KEY_NESTED_LEVELS,
};

/* In the order of enum image_format, and of enum vmmu_x86_paging. */
static const char *const format_words[] = { "guess", "raw", "elf", "kdump", "vmmu", "live", NULL };
static const char *const mode_words[] = { "none", "32bit", "pae", "4level", "5level", NULL };

static void take_register(struct argp_state *state, const char *name, const char *text, bool *has,
                          uint64_t *value)
{
    *has = true;
    *value = option_address(state, name, text);
}

static error_t parse_registers(int key, char *argument, struct argp_state *state)
{
    struct machine_options *options = state->input;

    switch (key) {
    case KEY_CR0: take_register(state, "--cr0", argument, &options->has_cr0, &options->cr0); return 0;
    case KEY_CR3: take_register(state, "--cr3", argument, &options->has_cr3, &options->cr3); return 0;
    case KEY_CR4: take_register(state, "--cr4", argument, &options->has_cr4, &options->cr4); return 0;
    case KEY_EFER: take_register(state, "--efer", argument, &options->has_efer, &options->efer); return 0;
    case KEY_PAT: take_register(state, "--pat", argument, &options->has_pat, &options->pat); return 0;
    case KEY_EPT: take_register(state, "--ept", argument, &options->has_ept, &options->ept); return 0;
    case KEY_NCR3: take_register(state, "--ncr3", argument, &options->has_ncr3, &options->ncr3); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_machine(int key, char *argument, struct argp_state *state)
{
    struct machine_options *options = state->input;

    switch (key) {
    case KEY_FORMAT:
        options->image.format = (enum image_format)option_word(state, "--format", argument, format_words);
        return 0;
    case KEY_BASE: options->image.raw_base = option_address(state, "--base", argument); return 0;
    case KEY_CPU: options->processor = (unsigned)option_count(state, "--cpu", argument, 0, 4095); return 0;
    case KEY_PARTITION:
        options->partition = (unsigned)option_count(state, "--partition", argument, 0, 4095);
        return 0;
    case KEY_HOST: options->host = true; return 0;
    case KEY_MODE:
        options->has_mode = true;
        options->mode = (enum vmmu_x86_paging)option_word(state, "--mode", argument, mode_words);
        return 0;
    case KEY_MAXPHYADDR:
        options->has_maxphyaddr = true;
        options->maxphyaddr = (unsigned)option_count(state, "--maxphyaddr", argument, 32, 52);
        return 0;
    case KEY_NESTED_LEVELS:
        options->nested_levels = (unsigned)option_count(state, "--nested-levels", argument, 4, 5);
        return 0;
    case ARGP_KEY_END:
        if (options->has_ept && options->has_ncr3) {
            argp_error(state, "--ept and --ncr3: a machine has one second stage");
        }
        if (options->nested_levels && !options->has_ncr3) {
            argp_error(state, "--nested-levels says how deep the tables of --ncr3 are");
        }
        return 0;
    default: return parse_registers(key, argument, state);
    }
}

static const struct argp_option machine_options[] = {
    { NULL, 0, NULL, 0, "The image:", 4 },
    { "format", KEY_FORMAT, "FORMAT", 0, "guess, raw, elf, kdump, vmmu, live; guess unless said", 4 },
    { "base", KEY_BASE, "ADDRESS", 0, "physical address of a raw image's first byte; 0 unless said", 4 },
    { "cpu", KEY_CPU, "N", 0, "the processor whose registers count; 0 unless said", 4 },
    { "partition", KEY_PARTITION, "N", 0, "of a dump of our hypervisor: which guest; 0 unless said", 4 },
    { "host", KEY_HOST, NULL, 0, "of a dump of our hypervisor: the machine's memory, not a guest's", 4 },
    { NULL, 0, NULL, 0, "How it translates, in place of what the image says:", 5 },
    { "cr3", KEY_CR3, "VALUE", 0, "root of the tables", 5 },
    { "mode", KEY_MODE, "MODE", 0, "none, 32bit, pae, 4level, 5level", 5 },
    { "cr0", KEY_CR0, "VALUE", 0, NULL, 5 },
    { "cr4", KEY_CR4, "VALUE", 0, NULL, 5 },
    { "efer", KEY_EFER, "VALUE", 0, NULL, 5 },
    { "pat", KEY_PAT, "VALUE", 0, "the PAT MSR", 5 },
    { "maxphyaddr", KEY_MAXPHYADDR, "BITS", 0, "width of physical addresses; 52 where the image does not say",
      5 },
    { "ept", KEY_EPT, "EPTP", 0, "the tables lead to guest-physical addresses, and EPT at EPTP goes on", 5 },
    { "ncr3", KEY_NCR3, "ADDRESS", 0, "the same with AMD's nested page tables", 5 },
    { "nested-levels", KEY_NESTED_LEVELS, "N", 0, "of --ncr3: 4 or 5; 4 unless said", 5 },
    { 0 },
};

const struct argp machine_argp = { .options = machine_options, .parser = parse_machine };
