/*
 * What instructions do beside their accesses, and which of them exit: the manuals' rules for the controls that hv/x86/svm and
 * hv/x86/vmx set under each technique.
 */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"
#include "tests/unit/tools_explain/told.h"
#include "tests/unit/tools_walk/walked.h"

#define NO   STORY_STAYS
#define YES  STORY_EXITS
#define SOME STORY_EXITS_AT_TIMES

struct expected {
    const char *code;
    enum story_exits shadow, nested;
};

static struct story *story_with(const struct told *told, const char *code, bool amd, uint64_t rax,
                                unsigned cpl)
{
    const struct story_options options = {
        .code = code,
        .amd = amd,
        .has_cpl = true,
        .cpl = cpl,
        .settings = { { VMMU_X86_RAX, rax } },
        .setting_count = 1,
    };
    struct complaint complaint = { .text = "" };
    struct story *story = story_make(&told->machine, &options, &complaint);

    if (!story) {
        print_error("%s: %s\n", code, complaint.text);
    }
    EXPECT(story != NULL);
    return story;
}

static void expect_exits(const struct told *told, bool amd, const struct expected *expected)
{
    struct story *story = story_with(told, expected->code, amd, 0, 0);

    if (story->itself.shadow.exits != expected->shadow || story->itself.nested.exits != expected->nested) {
        print_error("%s, %s\n", expected->code, amd ? "AMD" : "Intel");
    }
    EXPECT_EQ(story->itself.shadow.exits, expected->shadow);
    EXPECT_EQ(story->itself.nested.exits, expected->nested);
    EXPECT(story->itself.what != NULL && story->itself.shadow.why && story->itself.nested.why);
    EXPECT_EQ(story->itself.vector, 0);
    EXPECT_EQ(story->end, STORY_GOES_ON);
    story_free(story);
}

static void test_what_both_vendors_have_exit(void **state)
{
    static const struct expected cases[] = {
        { "mov cr3, rax", YES, NO },  { "mov rax, cr3", YES, NO },  { "invlpg [0x12345678]", SOME, NO },
        { "cpuid", YES, YES },        { "hlt", YES, YES },          { "in al, dx", YES, YES },
        { "out 0x80, al", YES, YES }, { "mov cr8, rax", YES, YES }, { "mov rax, cr0", NO, NO },
        { "mov rax, cr2", NO, NO },   { "mov cr2, rax", NO, NO },   { "rdmsr", YES, YES },
        { "wrmsr", YES, YES },        { "rdpmc", YES, YES },        { "invd", YES, YES },
        { "wbinvd", NO, NO },         { "xsetbv", YES, YES },       { "monitor", YES, YES },
        { "mov dr7, rax", NO, NO },   { "swapgs", NO, NO },         { "lgdt [0x12345678]", NO, NO },
        { "clts", NO, NO },           { "smsw eax", NO, NO },
    };
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_exits(&told, false, &cases[i]);
        expect_exits(&told, true, &cases[i]);
    }
    told_close(&told);
}

static void test_vendors_differ(void **state)
{
    static const struct expected intel[] = {
        { "mov rax, cr8", SOME, SOME },
        { "lmsw ax", SOME, SOME },
        { "invpcid rax, [0x12345678]", NO, NO },
    };
    static const struct expected amd[] = {
        { "mov rax, cr8", NO, NO },
        { "lmsw ax", YES, YES },
        { "invpcid rax, [0x12345678]", YES, NO },
    };
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    for (unsigned i = 0; i < sizeof intel / sizeof intel[0]; i++) {
        expect_exits(&told, false, &intel[i]);
        expect_exits(&told, true, &amd[i]);
    }
    told_close(&told);
}

/* SDM 3C "Instructions That Cause VM Exits Conditionally"; APM 2 "Selective CR0 Write Intercept". */
static void test_a_value_decides_where_only_some_bits_are_watched(void **state)
{
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    const uint64_t cr0 = told.machine.registers.cr0;
    const uint64_t cr4 = told.machine.registers.cr4;
    const struct {
        const char *code;
        uint64_t value;
        bool amd;
        enum story_exits shadow, nested;
    } cases[] = {
        { "mov cr0, rax", cr0, false, NO, NO },
        { "mov cr0, rax", cr0, true, NO, NO },
        { "mov cr0, rax", cr0 ^ VMMU_X86_CR0_TS, true, NO, NO },
        { "mov cr0, rax", cr0 ^ VMMU_X86_CR0_MP, false, NO, NO },
        { "mov cr0, rax", cr0 ^ VMMU_X86_CR0_WP, false, YES, YES },
        { "mov cr0, rax", cr0 ^ VMMU_X86_CR0_EM, true, YES, YES },
        { "mov cr4, rax", cr4, false, NO, NO },
        { "mov cr4, rax", cr4, true, YES, YES },
        { "mov cr4, rax", cr4 ^ VMMU_X86_CR4_PGE, false, YES, NO },
        { "mov cr4, rax", cr4 ^ VMMU_X86_CR4_SMEP, false, YES, YES },
    };

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct story *story = story_with(&told, cases[i].code, cases[i].amd, cases[i].value, 0);

        EXPECT_EQ(story->itself.shadow.exits, cases[i].shadow);
        EXPECT_EQ(story->itself.nested.exits, cases[i].nested);
        story_free(story);
    }
    told_close(&told);
}

/* Without WP the processor holds another CR0 than the guest's, and with PCIDs another CR4. */
static void test_a_register_that_the_processor_holds_otherwise_exits_under_shadow_paging(void **state)
{
    static const struct expected without_wp[] = { { "mov rax, cr0", YES, NO },
                                                  { "smsw eax", YES, NO },
                                                  { "clts", YES, NO } };
    static const struct expected with_pcids = { "mov rax, cr4", YES, NO };
    static const struct expected alike = { "mov rax, cr4", NO, NO };
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    expect_exits(&told, true, &alike);
    told.machine.registers.cr4 |= VMMU_X86_CR4_PCIDE;
    expect_exits(&told, true, &with_pcids);
    expect_exits(&told, false, &alike);
    told.machine.registers.cr0 &= ~VMMU_X86_CR0_WP;
    for (unsigned i = 0; i < sizeof without_wp / sizeof without_wp[0]; i++) {
        expect_exits(&told, true, &without_wp[i]);
    }
    told_close(&told);
}

static void test_msrs_of_system_calls_are_the_guests_own(void **state)
{
    static const struct {
        uint64_t index;
        enum story_exits exits;
    } cases[] = { { 0x10, YES },       { 0x173, YES },      { 0x174, NO },      { 0x176, NO },
                  { 0x177, YES },      { 0xc0000080, YES }, { 0xc0000081, NO }, { 0xc0000084, NO },
                  { 0xc0000085, YES }, { 0xc0000100, NO },  { 0xc0000102, NO }, { 0xc0000103, YES } };
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct story_options options = { .code = i % 2 == 0 ? "rdmsr" : "wrmsr",
                                               .settings = { { VMMU_X86_RCX, cases[i].index } },
                                               .setting_count = 1 };
        struct complaint complaint;
        struct story *story = story_make(&told.machine, &options, &complaint);

        EXPECT_EQ(story->itself.shadow.exits, cases[i].exits);
        EXPECT_EQ(story->itself.nested.exits, cases[i].exits);
        story_free(story);
    }
    told_close(&told);
}

static void test_some_instructions_fault_by_themselves(void **state)
{
    static const struct {
        const char *code;
        unsigned cpl;
        bool amd;
        uint8_t vector;
        enum story_exits exits;
    } cases[] = {
        { "ud2", 0, false, 6, NO },
        { "ud2", 3, true, 6, NO },
        { "mov cr3, rax", 3, false, 13, NO },
        { "hlt", 3, true, 13, NO },
        { "invlpg [rax]", 3, true, 13, NO },
        { "wrmsr", 3, false, 13, NO },
        { "cli", 3, false, 13, NO },
        { "lgdt [0x12345678]", 3, false, 13, NO },
        { "mwait", 3, false, 6, NO },
        { "vmcall", 0, false, 6, YES },
        { "vmcall", 0, true, 6, NO },
        { "vmmcall", 0, true, 6, YES },
        { "vmmcall", 0, false, 6, NO },
        { "vmxoff", 0, false, 6, YES },
        { "0f 01 d8" /* VMRUN */, 0, true, 6, YES },
        { "cpuid", 3, false, 0, YES },
        { "cli", 0, false, 0, NO },
        { "in al, dx", 3, false, 0, SOME },
        { "out 0x80, al", 3, true, 0, SOME },
        { "in al, dx", 0, true, 0, YES },
    };
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct story *story = story_with(&told, cases[i].code, cases[i].amd, 0, cases[i].cpl);

        if (story->itself.vector != cases[i].vector || story->itself.nested.exits != cases[i].exits) {
            print_error("%s at %u\n", cases[i].code, cases[i].cpl);
        }
        EXPECT_EQ(story->itself.vector, cases[i].vector);
        EXPECT_EQ(story->itself.shadow.exits, cases[i].exits);
        EXPECT_EQ(story->itself.nested.exits, cases[i].exits);
        EXPECT_EQ(story->end, cases[i].vector != 0 ? STORY_FAULT : STORY_GOES_ON);
        EXPECT(cases[i].vector == 0 || story->reached == 0);
        story_free(story);
    }
    told_close(&told);
}

/* Its fetch comes first, and may be what faults. */
static void test_what_faults_by_itself_is_fetched(void **state)
{
    struct story_options options = {
        .code = "lgdt [0x12345678]", .has_cpl = true, .cpl = 3, .has_rip = true
    };
    struct complaint complaint;
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    engine_guest_map(&told.guest, TOLD_VA, 1, GUEST_DATA | GUEST_LEAF);
    options.rip = TOLD_VA;
    struct story *story = story_make(&told.machine, &options, &complaint);

    EXPECT_EQ(story->list.piece_count, 2);
    EXPECT_EQ(story->reached, 1);
    EXPECT_EQ(story->native[0].status, VMMU_OK);
    EXPECT_EQ(story->end, STORY_FAULT);
    story_free(story);
    options.rip = 0x666000;
    story = story_make(&told.machine, &options, &complaint);
    EXPECT_EQ(story->reached, 1);
    EXPECT_EQ(story->native[0].fault.vector, VMMU_X86_VECTOR_PF);
    story_free(story);
    told_close(&told);
}

static void print_text(const void *story)
{
    story_print_text(story);
}

static void print_json(const void *story)
{
    story_print_json(story);
}

static void test_it_is_printed(void **state)
{
    struct json_object *found;
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    struct story *story = told_story(&told, "mov cr3, rax", false);
    char *text = printed(print_text, story);

    expect_part(text, "THE INSTRUCTION ITSELF: it writes CR3");
    expect_part(text, "Under shadow paging it exits: ");
    expect_part(text, "Under nested paging it does not exit: ");
    free(text);
    text = printed(print_json, story);
    struct json_object *document = json_tokener_parse(text);

    EXPECT_EQ(json_pointer_get(document, "/itself/shadow/exits", &found), 0);
    EXPECT(strcmp(json_object_get_string(found), "yes") == 0);
    EXPECT_EQ(json_pointer_get(document, "/itself/nested/exits", &found), 0);
    EXPECT(strcmp(json_object_get_string(found), "no") == 0);
    json_object_put(document);
    free(text);
    story_free(story);
    story = told_story(&told, "ud2", false);
    text = printed(print_text, story);
    expect_part(text, "Natively it raises #UD");
    free(text);
    story_free(story);
    story = told_story(&told, "mov [0x12345678], eax", false);
    text = printed(print_text, story);
    EXPECT(strstr(text, "ITSELF") == NULL);
    free(text);
    story_free(story);
    told_close(&told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_both_vendors_have_exit),
        cmocka_unit_test(test_vendors_differ),
        cmocka_unit_test(test_a_value_decides_where_only_some_bits_are_watched),
        cmocka_unit_test(test_a_register_that_the_processor_holds_otherwise_exits_under_shadow_paging),
        cmocka_unit_test(test_msrs_of_system_calls_are_the_guests_own),
        cmocka_unit_test(test_some_instructions_fault_by_themselves),
        cmocka_unit_test(test_what_faults_by_itself_is_fetched),
        cmocka_unit_test(test_it_is_printed),
    };

    return RUN_TESTS(tests);
}
