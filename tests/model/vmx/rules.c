/*
 * The order of VM entry's checks, and how the first broken rule is kept.
 *
 * A processor may look at controls and host state in any order, and at guest state in any order after it; the model takes
 * the manual's.
 */
#include <stddef.h>
#include <string.h>

#include "tests/model/vmx/rules.h"

static const struct {
    const char *title;
    void (*rules)(struct entry_check *check);
} sections[] = {
    { "VM-Execution Control Fields", entry_rules_of_execution_controls },
    { "VM-Exit Control Fields", entry_rules_of_exit_controls },
    { "VM-Entry Control Fields", entry_rules_of_entry_controls },
    { "Checks on Host Control Registers, MSRs, and SSP", entry_rules_of_host_registers },
    { "Checks on Host Segment and Descriptor-Table Registers", entry_rules_of_host_segments },
    { "Checks Related to Address-Space Size", entry_rules_of_address_space },
    { "Checks on Guest Control Registers, Debug Registers, and MSRs", entry_rules_of_guest_registers },
    { "Checks on Guest Segment Registers", entry_rules_of_guest_segments },
    { "Checks on Guest Descriptor-Table Registers", entry_rules_of_guest_tables },
    { "Checks on Guest RIP, RFLAGS, and SSP", entry_rules_of_guest_flags },
    { "Checks on Guest Non-Register State", entry_rules_of_guest_state },
    { "Checks on Guest Page-Directory-Pointer-Table Entries", entry_rules_of_guest_pdptes },
    { "Loading MSRs", entry_rules_of_loaded_msrs },
};

static void note_key(struct entry_check *check, unsigned key)
{
    for (unsigned i = 0; i < check->keys; i++) {
        if (check->key[i] == key) {
            return;
        }
    }
    if (check->keys < ENTRY_VERDICT_KEYS) {
        check->key[check->keys++] = key;
    }
}

uint64_t entry_read(struct entry_check *check, unsigned key)
{
    uint64_t value;

    note_key(check, key);
    if (!entry_image_get(check->image, key, &value)) {
        check->missing = key;
    }
    return value;
}

static void keep(struct entry_check *check, const char *sentence)
{
    struct entry_verdict *verdict = &check->verdict;

    verdict->section = check->section;
    verdict->sentence = sentence;
    verdict->keys = check->keys;
    memcpy(verdict->key, check->key, sizeof check->key);
}

/* A rule that wants what the image does not have cannot be judged, whatever the zeros that it read would make of it. */
void entry_refuse_if(struct entry_check *check, bool broken, const char *sentence)
{
    if (check->visit) {
        check->visit(check->context, check->section, sentence);
    }
    if (check->missing) {
        check->keys = 1;
        check->key[0] = check->missing;
        broken = true;
        sentence = "a rule wants what the image lacks";
    }
    if (broken && !check->verdict.section) {
        keep(check, sentence);
    }
    check->keys = 0;
    check->missing = 0;
}

static void run(struct entry_check *check)
{
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        check->section = sections[i].title;
        sections[i].rules(check);
    }
}

bool entry_judge(const struct entry_image *image, struct entry_verdict *verdict)
{
    struct entry_check check = { .image = image };

    run(&check);
    *verdict = check.verdict;
    return !verdict->section;
}

void entry_each_rule(void (*visit)(void *context, const char *section, const char *sentence), void *context)
{
    static const struct entry_image nothing;
    struct entry_check check = { .image = &nothing, .visit = visit, .context = context };

    run(&check);
}

const char *const entry_kind_names[ENTRY_KINDS] = {
    [ENTRY_REAL] = "real mode",
    [ENTRY_V8086] = "virtual-8086 mode",
    [ENTRY_UNPAGED] = "protected mode without paging",
    [ENTRY_32_BIT] = "32-bit paging",
    [ENTRY_PAE] = "PAE paging",
    [ENTRY_COMPATIBILITY] = "compatibility mode",
    [ENTRY_LONG] = "64-bit mode",
};

enum entry_kind entry_kind_of(const struct entry_image *image)
{
    struct entry_check check = { .image = image };

    if (!guest_cr0_has(&check, VMMU_X86_CR0_PE)) {
        return ENTRY_REAL;
    }
    if (guest_has_flag(&check, RFLAGS_VM)) {
        return ENTRY_V8086;
    }
    if (long_guest(&check)) {
        return in_64_bit_code(&check) ? ENTRY_LONG : ENTRY_COMPATIBILITY;
    }
    if (!guest_cr0_has(&check, VMMU_X86_CR0_PG)) {
        return ENTRY_UNPAGED;
    }
    return entry_read(&check, VMCS_GUEST_CR4) & VMMU_X86_CR4_PAE ? ENTRY_PAE : ENTRY_32_BIT;
}
