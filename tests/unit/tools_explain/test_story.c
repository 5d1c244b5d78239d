/*
 * The numbers of a story: references, exits, what is cached and what takes it away, as the manuals have it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "tests/unit/tools_explain/told.h"

#define STORE "mov [0x12345678], eax"

static const struct story_event *event_of(const struct story *story, const char *words)
{
    for (unsigned i = 0; i < story->tags.event_count; i++) {
        if (strstr(story->tags.events[i].words, words)) {
            return &story->tags.events[i];
        }
    }
    fail_msg("no event is called '%s'", words);
    return NULL;
}

static void test_a_store_takes_the_references_of_its_levels(void **state)
{
    static const struct {
        enum vmmu_x86_paging paging;
        unsigned native;
        unsigned nested; /* behind four levels of 4 KiB pages */
    } cases[] = {
        { VMMU_X86_PAGING_4LEVEL, 4, 24 },
        { VMMU_X86_PAGING_5LEVEL, 5, 29 },
        { VMMU_X86_PAGING_32BIT, 2, 14 },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct told told;

        told_open(&told, cases[i].paging);
        struct story *story = told_story(&told, STORE, false);

        EXPECT_EQ(story->reached, 1);
        EXPECT_EQ(story->end, STORY_GOES_ON);
        EXPECT_EQ(story->native_loads, cases[i].native);
        EXPECT_EQ(story->native[0].guest.gpa.v, GUEST_DATA + TOLD_VA % 4096);
        EXPECT_EQ(story->nested[STORY_4K].loads, cases[i].nested);
        EXPECT(!story->nested[STORY_OWN].there);
        EXPECT(!story->here.there);
        EXPECT_EQ(story->shadow.cost.page_fault_exits, 1);
        EXPECT_EQ(story->shadow.cost.fills, 1);
        EXPECT_EQ(story->shadow.cost_again.page_fault_exits, 0);
        story_free(story);
        told_close(&told);
    }
}

static void test_the_guests_tables_on_the_way_are_told_and_protected_in_the_end(void **state)
{
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    struct story *story = told_story(&told, STORE, true);

    EXPECT_EQ(story->shadow.table_count, 4);
    EXPECT_EQ(story->shadow.tables[0].gpa, GUEST_ROOT);
    EXPECT_EQ(story->shadow.tables[0].level, 4);
    EXPECT(story->shadow.switches > 0);
    EXPECT_EQ(story->shadow.switch_flushes, 0);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(story->shadow.tables[i].closed);
    }
    story_free(story);
    told_close(&told);
}

/*
 * One page, three entries that lead to its table. Behind them two pages of 1 GiB, of the tables and of the data, which one entry of
 * the second stage leads to.
 */
static void test_what_is_cached_and_what_takes_it_away_on_intel(void **state)
{
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    struct story *story = told_story(&told, STORE, false);
    const struct story_tags *tags = &story->tags;

    EXPECT_EQ(tags->translations[STORY_NATIVE], 1);
    EXPECT_EQ(tags->structures[STORY_NATIVE], 3);
    EXPECT_EQ(tags->translations[STORY_SHADOW], 1);
    EXPECT_EQ(tags->structures[STORY_SHADOW], 3);
    EXPECT_EQ(tags->translations[STORY_NESTED], 1 + 2);
    EXPECT_EQ(tags->structures[STORY_NESTED], 3 + 1);
    EXPECT_EQ(event_of(story, "INVLPG")->left[STORY_NATIVE], 0);
    EXPECT_EQ(event_of(story, "INVLPG")->left[STORY_NESTED], 3);
    EXPECT_EQ(event_of(story, "MOV CR3")->left[STORY_NATIVE], 0);
    EXPECT_EQ(event_of(story, "MOV CR3")->left[STORY_SHADOW], 4);
    EXPECT_EQ(event_of(story, "tagged")->left[STORY_NESTED], 7);
    EXPECT(!event_of(story, "tagged")->applies[STORY_NATIVE]);
    EXPECT_EQ(event_of(story, "no VPID")->left[STORY_SHADOW], 0);
    EXPECT_EQ(event_of(story, "no VPID")->left[STORY_NESTED], 3);
    EXPECT_EQ(event_of(story, "INVVPID")->left[STORY_NESTED], 3);
    EXPECT_EQ(event_of(story, "INVEPT")->left[STORY_NESTED], 0);
    story_free(story);
    told_close(&told);
}

static void test_on_amd_everything_of_a_guest_is_under_its_asid(void **state)
{
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    struct story *story = told_story(&told, STORE, true);

    EXPECT_EQ(event_of(story, "tagged")->left[STORY_NESTED], 7);
    EXPECT_EQ(event_of(story, "this ASID")->left[STORY_NESTED], 0);
    EXPECT_EQ(event_of(story, "all ASIDs")->left[STORY_SHADOW], 0);
    story_free(story);
    told_close(&told);
}

static void test_global_pages_outlive_mov_cr3(void **state)
{
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    engine_guest_map(&told.guest, TOLD_VA, 1, GUEST_DATA | GUEST_LEAF | 0x100);
    told.machine.registers.cr4 |= VMMU_X86_CR4_PGE;
    told.machine.mode.global_pages = true;
    struct story *story = told_story(&told, STORE, false);

    EXPECT_EQ(story->tags.globals, 1);
    EXPECT_EQ(event_of(story, "MOV CR3")->left[STORY_NATIVE], 1);
    EXPECT_EQ(event_of(story, "PGE")->left[STORY_NATIVE], 0);
    story_free(story);
    told_close(&told);
}

static void test_with_pcids_bit_63_keeps_what_is_cached(void **state)
{
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    told.machine.registers.cr4 |= VMMU_X86_CR4_PCIDE;
    told.machine.registers.cr3 |= 5;
    told.machine.mode.pcid = 5;
    struct story *story = told_story(&told, STORE, false);

    EXPECT(story->tags.pcids);
    EXPECT_EQ(story->tags.pcid, 5);
    EXPECT_EQ(event_of(story, "bit 63")->left[STORY_NATIVE], 4);
    EXPECT_EQ(event_of(story, "same value")->left[STORY_NATIVE], 0);
    story_free(story);
    told_close(&told);
}

static void test_an_instruction_ends_at_its_first_fault(void **state)
{
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    /* The first half is mapped, the second is not. */
    struct story *story = told_story(&told, "mov [0x12345ffe], eax", false);

    EXPECT_EQ(story->list.piece_count, 2);
    EXPECT_EQ(story->reached, 2);
    EXPECT_EQ(story->end, STORY_FAULT);
    EXPECT_EQ(story->native[1].fault.cr2, 0x12346000);
    EXPECT_EQ(story->native[1].fault.error_code, 2);
    EXPECT_EQ(story->shadow.ends[1], STORY_FAULT);
    story_free(story);
    story = told_story(&told, "push qword ptr [0x666000]", false);
    EXPECT_EQ(story->list.piece_count, 2);
    EXPECT_EQ(story->reached, 1);
    story_free(story);
    told_close(&told);
}

static void test_a_limit_refuses_before_anything_is_walked(void **state)
{
    struct told told;
    struct image_processor processor = { .has_registers = true };

    (void)state;
    told_open(&told, VMMU_X86_PAGING_32BIT);
    processor.state.segment[VMMU_X86_DS] = (struct vmmu_x86_segment){ .limit = 0xfff, .attributes = 0xc093 };
    processor.state.segment[VMMU_X86_CS] =
        (struct vmmu_x86_segment){ .limit = UINT32_MAX, .attributes = 0xc09b };
    told.machine.processor = &processor;
    engine_guest_map(&told.guest, 0, 1, GUEST_DATA | GUEST_LEAF);
    struct story *story = told_story(&told, STORE, false);

    EXPECT_EQ(story->reached, 2);
    EXPECT_EQ(story->end, STORY_FAULT);
    EXPECT_EQ(story->list.accesses[1].refused, 13);
    EXPECT_EQ(story->native_loads, 2);
    EXPECT_EQ(story->shadow.ends[1], STORY_FAULT);
    story_free(story);
    told_close(&told);
}

/* SDM 3A "Stack Exception (#SS)". */
static void test_an_address_that_is_not_canonical_is_a_stack_fault_through_ss(void **state)
{
    static const struct {
        const char *code;
        uint8_t vector;
    } cases[] = {
        { "push rax", 12 },
        { "mov rcx, [rsp]", 12 },
        { "mov rcx, [rbp+8]", 12 },
        { "mov rcx, [rbx]", 13 },
    };
    const uint64_t outside = UINT64_C(0x9000000000000000);
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct story_options options = {
            .code = cases[i].code,
            .settings = { { VMMU_X86_RSP, outside }, { VMMU_X86_RBP, outside }, { VMMU_X86_RBX, outside } },
            .setting_count = 3,
        };
        struct complaint complaint;
        struct story *story = story_make(&told.machine, &options, &complaint);

        EXPECT_EQ(story->end, STORY_FAULT);
        EXPECT_EQ(story->native[0].fault.vector, cases[i].vector);
        story_free(story);
    }
    told_close(&told);
}

/* Four levels of tables in pages 1 to 4; the fifth, at 0x5000, is mapped, and nothing else. */
static void write_image(char *path)
{
    static uint64_t memory[6][512];
    const int file = mkstemp(path);

    for (unsigned level = 1; level <= 3; level++) {
        memory[level][0] = (uint64_t)(level + 1) * 4096 | GUEST_LINK;
    }
    memory[4][5] = 0x5000 | GUEST_LEAF;
    memory[5][511] = UINT64_C(0x00e8909090909090); /* CALL begins in the last two bytes */
    EXPECT_EQ(write(file, memory, sizeof memory), sizeof memory);
    EXPECT_EQ(close(file), 0);
}

static void test_code_that_runs_into_a_page_that_is_not_mapped_is_fetched_twice(void **state)
{
    const struct machine_options at_0x1000 = { .image = { .format = IMAGE_RAW },
                                               .has_cr3 = true,
                                               .cr3 = 0x1000 };
    struct story_options options = { .has_rip = true, .rip = 0x5ffe };
    char path[] = "/tmp/vmmu-explain-XXXXXX";
    struct complaint complaint;
    struct machine machine;

    (void)state;
    write_image(path);
    EXPECT(machine_open(path, &at_0x1000, &machine, &complaint));
    struct story *story = story_make(&machine, &options, &complaint);

    EXPECT(!story->decoded);
    EXPECT_EQ(story->reached, 2);
    EXPECT_EQ(story->native[0].status, VMMU_OK);
    EXPECT_EQ(story->native[1].fault.cr2, 0x6000);
    EXPECT_EQ(story->end, STORY_FAULT);
    story_free(story);
    options.rip = 0x5ff8;
    story = story_make(&machine, &options, &complaint);
    EXPECT(story->decoded);
    EXPECT_EQ(story->end, STORY_GOES_ON);
    story_free(story);
    options.rip = 0x6000;
    story = story_make(&machine, &options, &complaint);
    EXPECT_EQ(story->list.piece_count, 1);
    EXPECT_EQ(story->native[0].fault.cr2, 0x6000);
    story_free(story);
    machine_close(&machine);
    EXPECT_EQ(unlink(path), 0);
}

static void test_where_no_memory_is_a_hypervisor_has_a_device(void **state)
{
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    engine_guest_map(&told.guest, TOLD_VA, 1, UINT64_C(0xfee00000) | GUEST_LEAF);
    struct story *story = told_story(&told, STORE, false);

    EXPECT_EQ(story->end, STORY_GOES_ON);
    EXPECT_EQ(story->shadow.ends[0], STORY_DEVICE);
    EXPECT_EQ(story->nested[STORY_1G].walks[0].status, VMMU_STAGE2);
    EXPECT_EQ(story->nested[STORY_1G].walks[0].fault.gpa.v, 0xfee00000 + TOLD_VA % 4096);
    story_free(story);
    told_close(&told);
}

static void test_tables_in_no_memory_are_not_known(void **state)
{
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    engine_guest_map(&told.guest, TOLD_VA, 3, UINT64_C(0x9000000000) | GUEST_LINK);
    struct story *story = told_story(&told, STORE, false);

    EXPECT_EQ(story->end, STORY_NOT_KNOWN);
    story_free(story);
    told_close(&told);
}

static void test_registers_may_be_set(void **state)
{
    const struct story_options options = {
        .code = "mov [rax+rbx*2], ecx",
        .settings = { { VMMU_X86_RAX, 0x12345000 }, { VMMU_X86_RBX, 0x33c }, { VMMU_X86_GPRS, BIT64(18) } },
        .setting_count = 3,
        .has_cpl = true,
        .cpl = 3,
    };
    struct told told;
    struct complaint complaint;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    struct story *story = story_make(&told.machine, &options, &complaint);

    EXPECT_EQ(story->list.accesses[0].linear, TOLD_VA);
    EXPECT(story_access(story, 0).user);
    EXPECT(story_access(story, 0).eflags_ac);
    story_free(story);
    told_close(&told);
}

static void test_what_cannot_be_told_is_refused_with_a_sentence(void **state)
{
    const struct story_options nothing = { 0 };
    const struct story_options no_code = { .code = "nonsense" };
    const struct story_options no_bytes = { .code = "06", .bits = 64 };
    struct told told;
    struct complaint complaint = { .text = "" };

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    EXPECT(story_make(&told.machine, &nothing, &complaint) == NULL);
    EXPECT(complaint.text[0] != '\0');
    complaint.usage = false;
    EXPECT(story_make(&told.machine, &no_code, &complaint) == NULL);
    EXPECT(complaint.usage);
    complaint.usage = false;
    EXPECT(story_make(&told.machine, &no_bytes, &complaint) == NULL);
    EXPECT(complaint.usage);
    told.machine.has_second = true;
    EXPECT(story_make(&told.machine, &no_code, &complaint) == NULL);
    told_close(&told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_store_takes_the_references_of_its_levels),
        cmocka_unit_test(test_the_guests_tables_on_the_way_are_told_and_protected_in_the_end),
        cmocka_unit_test(test_what_is_cached_and_what_takes_it_away_on_intel),
        cmocka_unit_test(test_on_amd_everything_of_a_guest_is_under_its_asid),
        cmocka_unit_test(test_global_pages_outlive_mov_cr3),
        cmocka_unit_test(test_with_pcids_bit_63_keeps_what_is_cached),
        cmocka_unit_test(test_an_instruction_ends_at_its_first_fault),
        cmocka_unit_test(test_a_limit_refuses_before_anything_is_walked),
        cmocka_unit_test(test_an_address_that_is_not_canonical_is_a_stack_fault_through_ss),
        cmocka_unit_test(test_code_that_runs_into_a_page_that_is_not_mapped_is_fetched_twice),
        cmocka_unit_test(test_where_no_memory_is_a_hypervisor_has_a_device),
        cmocka_unit_test(test_tables_in_no_memory_are_not_known),
        cmocka_unit_test(test_registers_may_be_set),
        cmocka_unit_test(test_what_cannot_be_told_is_refused_with_a_sentence),
    };

    return RUN_TESTS(tests);
}
