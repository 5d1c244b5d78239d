/* VM entry's rules: what they allow, what each of them refuses. See entry.h. */
#include <string.h>

#include "tests/model/vmx/good_images.h"
#include "tests/unit/test.h"

#define EVENT(type, vector) (VMX_EVENT_VALID | (unsigned)(type) << 8 | (vector))

static void change_all(struct entry_image *image, const struct change *change)
{
    for (unsigned i = 0; i < CHANGES; i++) {
        change_image(image, &change[i]);
    }
}

static void expect_accepted(const struct entry_image *image, const char *what, unsigned number)
{
    struct entry_verdict verdict;

    if (!entry_judge(image, &verdict)) {
        print_error("%s %u: %s: %s (%s)\n", what, number, verdict.section, verdict.sentence,
                    verdict.keys ? entry_key_name(verdict.key[0]) : "");
        fail();
    }
}

static void test_a_good_guest_of_each_kind_is_entered(void **state)
{
    static const enum entry_kind kinds[GOOD_KINDS] = {
        [GOOD_REAL] = ENTRY_REAL,       [GOOD_V8086] = ENTRY_V8086,
        [GOOD_UNPAGED] = ENTRY_UNPAGED, [GOOD_32_BIT] = ENTRY_32_BIT,
        [GOOD_PAE] = ENTRY_PAE,         [GOOD_PAE_EPT] = ENTRY_PAE,
        [GOOD_LONG] = ENTRY_LONG,       [GOOD_COMPATIBLE] = ENTRY_COMPATIBILITY,
        [GOOD_HALTED] = ENTRY_LONG,
    };
    struct entry_image image;

    (void)state;
    for (unsigned kind = 0; kind < GOOD_KINDS; kind++) {
        good_image(&image, (enum good_kind)kind);
        expect_accepted(&image, "good image", kind);
        EXPECT_EQ(entry_kind_of(&image), kinds[kind]);
    }
}

/* --- refused --- */

static bool names_a_change(const struct entry_verdict *verdict, const struct mutation *mutation)
{
    for (unsigned i = 0; i < CHANGES; i++) {
        for (unsigned j = 0; mutation->change[i].how != CHANGE_NONE && j < verdict->keys; j++) {
            if (verdict->key[j] == mutation->change[i].key) {
                return true;
            }
        }
    }
    return false;
}

static void expect_refused(const struct mutation *mutation, unsigned number)
{
    struct entry_image image;
    struct entry_verdict verdict;

    good_image(&image, mutation->kind);
    change_all(&image, mutation->change);
    if (entry_judge(&image, &verdict) || strcmp(verdict.sentence, mutation->sentence) != 0) {
        print_error("mutation %u: expected: %s\nwas: %s: %s (%s)\n", number, mutation->sentence,
                    verdict.section ? verdict.section : "accepted", verdict.sentence ? verdict.sentence : "",
                    verdict.keys ? entry_key_name(verdict.key[0]) : "");
        fail();
    }
    EXPECT(names_a_change(&verdict, mutation));
}

static void test_rules_on_controls_and_host_state_refuse_what_breaks_them(void **state)
{
    (void)state;
    for (unsigned i = 0; i < control_mutation_count; i++) {
        expect_refused(&control_mutations[i], i);
    }
}

static void test_rules_on_guest_registers_refuse_what_breaks_them(void **state)
{
    (void)state;
    for (unsigned i = 0; i < register_mutation_count; i++) {
        expect_refused(&register_mutations[i], i);
    }
}

static void test_rules_on_guest_segments_refuse_what_breaks_them(void **state)
{
    (void)state;
    for (unsigned i = 0; i < segment_mutation_count; i++) {
        expect_refused(&segment_mutations[i], i);
    }
}

static void test_rules_on_guest_state_refuse_what_breaks_them(void **state)
{
    (void)state;
    for (unsigned i = 0; i < state_mutation_count; i++) {
        expect_refused(&state_mutations[i], i);
    }
}

static bool is_among(const struct mutation *mutation, unsigned count, const char *sentence)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(mutation[i].sentence, sentence) == 0) {
            return true;
        }
    }
    return false;
}

static void expect_mutation(void *context, const char *section, const char *sentence)
{
    unsigned *rules = context;

    (*rules)++;
    if (!is_among(control_mutations, control_mutation_count, sentence) &&
        !is_among(register_mutations, register_mutation_count, sentence) &&
        !is_among(segment_mutations, segment_mutation_count, sentence) &&
        !is_among(state_mutations, state_mutation_count, sentence)) {
        print_error("no mutation breaks this rule: %s: %s\n", section, sentence);
        fail();
    }
}

static void test_every_rule_is_broken_by_some_mutation(void **state)
{
    unsigned rules = 0;

    (void)state;
    entry_each_rule(expect_mutation, &rules);
    EXPECT(rules > 150);
}

/* --- allowed --- */

/* What stands at the border of a rule, on the good side. */
static const struct {
    enum good_kind kind;
    struct change change[CHANGES];
} allowed[] = {
    /* Fields of controls that are off are not looked at. */
    { GOOD_LONG, { CLR(VMCS_PROCESSOR_CONTROLS2, VMX_PROC2_VPID), SET(VMCS_VPID, 0) } },
    { GOOD_PAE, { SET(VMCS_EPTP, 0xFFF), SET(VMCS_PML_ADDRESS, 1), SET(VMCS_GUEST_PDPTE0, 7) } },
    { GOOD_PAE,
      { CLR(VMCS_PROCESSOR_CONTROLS, VMX_PROC_SECONDARY), SET(VMCS_PROCESSOR_CONTROLS2, 0xFFFFFFFF) } },
    { GOOD_LONG, { CLR(VMCS_PROCESSOR_CONTROLS, VMX_PROC_TPR_SHADOW), SET(VMCS_TPR_THRESHOLD, 0xFFF) } },
    { GOOD_LONG, { OR(VMCS_PROCESSOR_CONTROLS2, VMX_PROC2_VIRTUAL_APIC), SET(VMCS_TPR_THRESHOLD, 15) } },
    { GOOD_LONG, { CLR(VMCS_ENTRY_CONTROLS, VMX_ENTRY_LOAD_PAT), SET(VMCS_GUEST_PAT, 2) } },
    { GOOD_LONG, { CLR(VMCS_ENTRY_CONTROLS, VMX_ENTRY_LOAD_DEBUG), OR(VMCS_GUEST_DR7, UINT64_MAX) } },
    { GOOD_LONG, { SET(VMCS_ENTRY_EVENT, 0x7FFFFFFF), SET(VMCS_ENTRY_ERROR_CODE, 0xFFFFFFFF) } },
    { GOOD_LONG, { SET(VMCS_EXIT_MSR_STORE, 1), SET(VMCS_ENTRY_MSR_LOAD, 1) } },
    /* Areas that end with the last byte there is, and as long as may be. */
    { GOOD_LONG, { SET(VMCS_EXIT_MSR_LOADS, 1), SET(VMCS_EXIT_MSR_LOAD, UINT64_C(0xFFFFFFFFF0)) } },
    { GOOD_LONG, { SET(VMCS_EXIT_MSR_STORES, 512), SET(VMCS_EXIT_MSR_STORE, 0x1000) } },
    { GOOD_LONG, { SET(VMCS_ENTRY_MSR_LOADS, 1), SET(VMCS_ENTRY_MSR_LOAD, 0x1000) } },
    { GOOD_LONG, { SET(VMCS_CR3_TARGETS, 4) } },
    { GOOD_LONG, { SET(VMCS_EPTP, 0x00100018) } }, /* uncached, no flags */
    /* Events. */
    { GOOD_LONG, { SET(VMCS_ENTRY_EVENT, EVENT(VMX_EVENT_EXCEPTION, 31)) } },
    { GOOD_LONG,
      { SET(VMCS_ENTRY_EVENT, EVENT(VMX_EVENT_EXCEPTION, 14) | VMX_EVENT_HAS_ERROR),
        SET(VMCS_ENTRY_ERROR_CODE, 0xFFFF) } },
    { GOOD_REAL, { SET(VMCS_ENTRY_EVENT, EVENT(VMX_EVENT_EXCEPTION, 13)) } },
    { GOOD_LONG,
      { SET(VMCS_ENTRY_EVENT, EVENT(VMX_EVENT_EXCEPTION, 13)), OR(MSR(0x480), UINT64_C(1) << 56) } },
    { GOOD_LONG,
      { SET(VMCS_ENTRY_EVENT, EVENT(VMX_EVENT_SOFTWARE_EXCEPTION, 3)), OR(MSR(0x485), 0x40000000) } },
    { GOOD_LONG,
      { SET(VMCS_ENTRY_EVENT, EVENT(VMX_EVENT_SOFTWARE_INTERRUPT, 0x80)),
        SET(VMCS_ENTRY_INSTRUCTION_BYTES, 15) } },
    { GOOD_LONG, { SET(VMCS_ENTRY_EVENT, EVENT(VMX_EVENT_OTHER, 0)) } },
    /* NW and CD are never looked at. */
    { GOOD_LONG, { CLR(MSR(0x487), 0x60000000), OR(VMCS_GUEST_CR0, 0x60000000) } },
    { GOOD_UNPAGED, { SET(VMCS_GUEST_EFER, 0x100) } }, /* LME, and paging not yet */
    { GOOD_LONG, { SET(VMCS_GUEST_PAT, UINT64_C(0x0706050401000706)) } },
    { GOOD_LONG, { SET(VMCS_GUEST_DEBUGCTL, 0xFFC3) } },
    { GOOD_LONG,
      { OR(VMCS_ENTRY_CONTROLS, VMX_ENTRY_LOAD_PERF_GLOBAL_CTRL),
        SET(VMCS_GUEST_PERF_GLOBAL_CTRL, UINT64_C(0x70000000F)) } },
    /* The first address that is not canonical is no error in RIP. */
    { GOOD_LONG, { SET(VMCS_GUEST_RIP, UINT64_C(0x0000800000000000)) } },
    { GOOD_COMPATIBLE, { SET(VMCS_GUEST_RIP, 0xFFFFFFFF) } },
    /* Segments. */
    { GOOD_COMPATIBLE, { SET(VMCS_GUEST_CS_RIGHTS, 0xC09F) } }, /* conforming */
    { GOOD_PAE, { SET(VMCS_GUEST_DS_SELECTOR, 0x13), SET(VMCS_GUEST_DS_RIGHTS, 0xC09F) } },
    { GOOD_UNPAGED, { SET(VMCS_GUEST_DS_SELECTOR, 0x13) } }, /* unrestricted: the RPL does not matter */
    { GOOD_PAE, { SET(VMCS_GUEST_TR_RIGHTS, 0x83) } },
    { GOOD_PAE, { SET(VMCS_GUEST_SS_RIGHTS, 0xC097) } }, /* expands down */
    { GOOD_PAE, { SET(VMCS_GUEST_DS_LIMIT, 0xFFFFF) } }, /* a limit that either granularity has */
    { GOOD_PAE, { SET(VMCS_GUEST_DS_LIMIT, 0xFFFFF), SET(VMCS_GUEST_DS_RIGHTS, 0x4093) } },
    { GOOD_LONG, { SET(VMCS_GUEST_DS_BASE, UINT64_MAX), SET(VMCS_GUEST_LDTR_BASE, UINT64_C(1) << 60) } },
    { GOOD_LONG, { SET(VMCS_GUEST_LDTR_SELECTOR, 4) } },
    { GOOD_REAL, { SET(VMCS_GUEST_CS_RIGHTS, 0x9B) } },
    /* Non-register state. */
    { GOOD_HALTED, { SET(VMCS_ENTRY_EVENT, EVENT(VMX_EVENT_INTERRUPT, 0x30)) } },
    { GOOD_HALTED, { SET(VMCS_ENTRY_EVENT, EVENT(VMX_EVENT_EXCEPTION, 18)) } },
    { GOOD_HALTED, { OR(VMCS_GUEST_RFLAGS, 0x100), SET(VMCS_GUEST_PENDING_DEBUG, 0x4000) } },
    { GOOD_LONG,
      { SET(VMCS_GUEST_ACTIVITY, VMX_SHUT_DOWN), SET(VMCS_ENTRY_EVENT, EVENT(VMX_EVENT_NMI, 2)) } },
    { GOOD_LONG,
      { SET(VMCS_GUEST_INTERRUPTIBILITY, 2), SET(VMCS_ENTRY_EVENT, EVENT(VMX_EVENT_EXCEPTION, 6)) } },
    { GOOD_LONG,
      { SET(VMCS_GUEST_INTERRUPTIBILITY, 1), OR(VMCS_GUEST_RFLAGS, 0x100),
        SET(VMCS_GUEST_PENDING_DEBUG, 0x4000) } },
    { GOOD_LONG, { OR(VMCS_GUEST_RFLAGS, 0x100) } }, /* nothing blocks: the step is not pending */
    { GOOD_LONG, { SET(VMCS_GUEST_INTERRUPTIBILITY, 8) } },
    { GOOD_LONG, { SET(VMCS_GUEST_PENDING_DEBUG, 0x500F) } },
    { GOOD_LONG, { SET(VMCS_GUEST_PENDING_DEBUG, 0x11000) } },
    { GOOD_LONG, { SET(VMCS_LINK, 0x9000) } },
};

static void test_what_stands_at_the_border_of_a_rule_is_entered(void **state)
{
    struct entry_image image;

    (void)state;
    for (unsigned i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        good_image(&image, allowed[i].kind);
        change_all(&image, allowed[i].change);
        expect_accepted(&image, "allowed", i);
    }
}

/* --- what is missing --- */

static void test_an_image_without_a_field_that_a_rule_wants_is_refused(void **state)
{
    static const unsigned wanted[] = {
        VMCS_PIN_CONTROLS,        VMCS_HOST_RIP,          VMCS_GUEST_CR3, VMCS_GUEST_TR_RIGHTS,
        VMCS_GUEST_PENDING_DEBUG, ENTRY_KEY_CPUID_WIDTHS, ENTRY_KEY_VTPR
    };
    struct entry_image image;
    struct entry_verdict verdict;

    (void)state;
    for (unsigned i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        good_image(&image, GOOD_LONG);
        entry_image_forget(&image, wanted[i]);
        EXPECT(!entry_judge(&image, &verdict));
        EXPECT_EQ(verdict.keys, 1);
        EXPECT_EQ(verdict.key[0], wanted[i]);
    }
}

static void test_an_image_without_a_field_that_no_rule_wants_now_is_entered(void **state)
{
    static const unsigned unwanted[] = { VMCS_EPTP, VMCS_GUEST_PDPTE0, VMCS_APIC_ACCESS, VMCS_GUEST_S_CET };
    struct entry_image image;

    (void)state;
    good_image(&image, GOOD_PAE);
    for (unsigned i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++) {
        entry_image_forget(&image, unwanted[i]);
    }
    expect_accepted(&image, "without fields", 0);
}

static void test_encodings_that_are_no_fields_have_no_place(void **state)
{
    static const unsigned none[] = { 0x2001, 0x1000, 0x6880, 0x7FFF, 0x847F, 0x84A0, 0x9010, 0xA050, 0xFFFF };
    struct entry_image image;
    uint64_t value;

    (void)state;
    memset(&image, 0, sizeof image);
    for (unsigned i = 0; i < sizeof none / sizeof none[0]; i++) {
        EXPECT(!entry_image_set(&image, none[i], 1));
        EXPECT(!entry_image_get(&image, none[i], &value));
        entry_image_forget(&image, none[i]);
    }
}

/* A key's name is found, and no two keys share a place. */
static void mark(void *context, unsigned key)
{
    uint64_t value;

    EXPECT(strcmp(entry_key_name(key), "?") != 0);
    EXPECT(!entry_image_get(context, key, &value));
    EXPECT(entry_image_set(context, key, key));
}

static void compare(void *context, unsigned key)
{
    uint64_t value;

    EXPECT(entry_image_get(context, key, &value));
    EXPECT_EQ(value, key);
}

static void test_every_field_has_a_name_and_a_place_of_its_own(void **state)
{
    static struct entry_image image;

    (void)state;
    entry_each_field(mark, &image);
    entry_each_field(compare, &image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_guest_of_each_kind_is_entered),
        cmocka_unit_test(test_rules_on_controls_and_host_state_refuse_what_breaks_them),
        cmocka_unit_test(test_rules_on_guest_registers_refuse_what_breaks_them),
        cmocka_unit_test(test_rules_on_guest_segments_refuse_what_breaks_them),
        cmocka_unit_test(test_rules_on_guest_state_refuse_what_breaks_them),
        cmocka_unit_test(test_every_rule_is_broken_by_some_mutation),
        cmocka_unit_test(test_what_stands_at_the_border_of_a_rule_is_entered),
        cmocka_unit_test(test_an_image_without_a_field_that_a_rule_wants_is_refused),
        cmocka_unit_test(test_an_image_without_a_field_that_no_rule_wants_now_is_entered),
        cmocka_unit_test(test_encodings_that_are_no_fields_have_no_place),
        cmocka_unit_test(test_every_field_has_a_name_and_a_place_of_its_own),
    };
    return RUN_TESTS(tests);
}
