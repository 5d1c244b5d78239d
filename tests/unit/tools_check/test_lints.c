/* Each lint, by tables that have what it looks for, and by tables that have not. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"
#include "tests/unit/tools_maps/stage.h"
#include "tools/check/lint.h"
#include "tools/command.h"
#include "tools/ui/json.h"

#define UPPER UINT64_C(0xFFFF800000000000)

/* A machine, and the lints' report on it. */
struct bench {
    struct stage *stage;
    struct check_report report;
    struct lint lint;
};

static struct bench *bench_of(struct stage *stage)
{
    struct bench *bench = take_memory(1, sizeof(*bench));

    bench->stage = stage;
    bench->report = (struct check_report){ .examples = 3, .digits = 16 };
    bench->lint = (struct lint){
        .machine = &stage->machine,
        .space = stage_space(stage),
        .upper_half = stage->machine.mode.address_bits > 32 ? UPPER : 0xC0000000,
        .report = &bench->report,
    };
    return bench;
}

/* One sound page in each half, and a machine that is otherwise beyond reproach. */
static struct bench *sound(void)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);

    stage_chain(stage, 0);
    room_put(stage->room, 0x4000, 1, 8, 0x30000 | E_P | E_US);
    room_put(stage->room, 0x1000, 256, 8, 0x5000 | E_P | E_RW);
    room_put(stage->room, 0x5000, 0, 8, 0x6000 | E_P | E_RW);
    room_put(stage->room, 0x6000, 0, 8, 0x7000 | E_P | E_RW);
    room_put(stage->room, 0x7000, 0, 8, 0x31000 | E_P | E_RW | E_NX | E_G);
    return bench_of(stage);
}

static void bench_free(struct bench *bench)
{
    capture_begin();
    check_report_end(&bench->report, true);
    (void)capture_end();
    stretches_free(&bench->lint.tables);
    stage_free(bench->stage);
    free(bench);
}

static void lint_all(struct bench *bench)
{
    struct complaint complaint;

    EXPECT(lint_tables(&bench->lint, &complaint) && lint_ranges(&bench->lint, &complaint) &&
           lint_frames(&bench->lint, &complaint));
}

/* Exactly @count findings of @kind, and none of another. */
static void expect_only(struct bench *bench, enum check_kind kind, uint64_t count)
{
    for (unsigned other = 0; other < CHECK_KINDS; other++) {
        if (bench->report.counts[other] != (other == (unsigned)kind ? count : 0)) {
            fail_msg("%s: %u findings: %s", check_words[other].word, (unsigned)bench->report.counts[other],
                     bench->report.counts[other] ? bench->report.texts[other][0] : "");
        }
    }
}

static void expect_text(const struct bench *bench, enum check_kind kind, const char *text)
{
    assert_string_equal(bench->report.texts[kind][0], text);
}

/* After @place, entry @index and value were put into sound tables, this is all that is found. */
static struct bench *with(uint64_t table, unsigned index, uint64_t entry, enum check_kind kind)
{
    struct bench *bench = sound();

    room_put(bench->stage->room, table, index, 8, entry);
    lint_all(bench);
    expect_only(bench, kind, 1);
    return bench;
}

static void test_sound_tables_have_no_findings(void **state)
{
    struct bench *bench = sound();

    (void)state;
    lint_all(bench);
    expect_only(bench, CHECK_KINDS, 0);
    EXPECT(!lint_has_pair(&bench->lint));
    EXPECT_EQ(bench->lint.tables.count, 7);
    bench_free(bench);
}

static void test_a_reserved_bit_is_an_error(void **state)
{
    struct bench *bench = with(0x3000, 7, BIT64(14) | E_ALL | E_PS, CHECK_RESERVED);

    (void)state;
    expect_text(bench, CHECK_RESERVED, "0000000000e00000, 2 MiB: PDE 0x4087 at 0x3038, reserved bits 0x4000");
    EXPECT_EQ(check_count(&bench->report, CHECK_ERROR), 1);
    bench_free(bench);
}

static void test_ps_in_a_level_that_has_no_pages_is_a_reserved_bit(void **state)
{
    struct bench *bench = with(0x1000, 1, 0x2000 | E_ALL | E_PS, CHECK_RESERVED);

    (void)state;
    expect_text(bench, CHECK_RESERVED,
                "0000008000000000, 512 GiB: PML4E 0x2087 at 0x1008, reserved bits 0x80");
    bench_free(bench);
}

static void test_ps_that_is_ignored_without_pse_is_a_warning(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_32BIT);

    (void)state;
    stage->machine.registers.cr4 &= ~VMMU_X86_CR4_PSE;
    stage->machine.mode = mode_of(&stage->machine.registers);
    room_put(stage->room, 0x1000, 1, 4, 0x2000 | E_P | E_RW | E_PS);
    room_put(stage->room, 0x2000, 0, 4, 0x3000 | E_P | E_RW);
    struct bench *bench = bench_of(stage);
    struct complaint complaint;

    EXPECT(lint_tables(&bench->lint, &complaint));
    expect_only(bench, CHECK_LARGE_IGNORED, 1);
    bench_free(bench);
}

static void test_a_table_outside_memory_is_an_error(void **state)
{
    struct bench *bench = with(0x3000, 7, 0x7000000 | E_P, CHECK_ABSENT);

    (void)state;
    expect_text(bench, CHECK_ABSENT, "0000000000e00000, 2 MiB: the PTEs would be at 0x7000000");
    bench_free(bench);
}

static void test_a_page_that_is_writable_and_executable_is_a_warning(void **state)
{
    struct bench *bench = with(0x7000, 1, 0x32000 | E_P | E_RW, CHECK_WRITE_EXECUTE);

    (void)state;
    expect_text(bench, CHECK_WRITE_EXECUTE, "ffff800000001000, 4 KiB: rwxs");
    bench_free(bench);
}

static void test_without_nx_writable_pages_are_not_told_one_by_one(void **state)
{
    struct bench *bench = sound();

    (void)state;
    room_put(bench->stage->room, 0x7000, 0, 8, 0x31000 | E_P | E_RW);
    bench->stage->machine.registers.efer &= ~VMMU_X86_EFER_NXE;
    bench->lint.space.mode = mode_of(&bench->stage->machine.registers);
    lint_all(bench);
    expect_only(bench, CHECK_NO_NX, 1);
    bench_free(bench);
}

static void test_a_users_page_in_the_kernels_half_is_a_warning(void **state)
{
    struct bench *bench = sound();

    (void)state;
    for (uint64_t table = 0x5000; table < 0x7000; table += 0x1000) {
        room_put(bench->stage->room, table, 0, 8, (table + 0x1000) | E_ALL);
    }
    room_put(bench->stage->room, 0x1000, 256, 8, 0x5000 | E_ALL);
    room_put(bench->stage->room, 0x7000, 1, 8, 0x32000 | E_P | E_US);
    lint_all(bench);
    expect_only(bench, CHECK_USER_UPPER, 1);
    expect_text(bench, CHECK_USER_UPPER, "ffff800000001000, 4 KiB: r-xu");
    bench_free(bench);
}

static void test_a_range_that_begins_below_the_kernels_half_is_told_from_there_on(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_32BIT);
    struct complaint complaint;

    (void)state;
    room_put(stage->room, 0x1000, 0x2FF, 4, 0x2000 | E_ALL);
    room_put(stage->room, 0x1000, 0x300, 4, 0x3000 | E_ALL);
    room_put(stage->room, 0x2000, 1023, 4, 0x4000 | E_ALL);
    room_put(stage->room, 0x3000, 0, 4, 0x5000 | E_ALL);
    struct bench *bench = bench_of(stage);

    bench->report.digits = 8;
    EXPECT(lint_ranges(&bench->lint, &complaint));
    EXPECT_EQ(bench->report.counts[CHECK_USER_UPPER], 1);
    expect_text(bench, CHECK_USER_UPPER, "c0000000, 4 KiB: rwxu");
    room_put(stage->room, 0x3000, 0, 4, 0);
    bench->report.counts[CHECK_USER_UPPER] = 0;
    EXPECT(lint_ranges(&bench->lint, &complaint));
    EXPECT_EQ(bench->report.counts[CHECK_USER_UPPER], 0);
    bench->report.counts[CHECK_USER_UPPER] = 1;
    bench_free(bench);
}

static void test_a_global_page_of_user_mode_is_a_warning(void **state)
{
    (void)state;
    bench_free(with(0x4000, 2, 0x32000 | E_P | E_US | E_G, CHECK_GLOBAL_USER));
}

static void test_an_entry_that_leads_back_up_is_a_self_map(void **state)
{
    struct bench *bench = sound();

    (void)state;
    room_put(bench->stage->room, 0x1000, 511, 8, 0x1000 | E_P | E_RW | E_NX);
    lint_all(bench);
    EXPECT_EQ(check_count(&bench->report, CHECK_ERROR) + check_count(&bench->report, CHECK_WARNING), 0);
    EXPECT(bench->report.counts[CHECK_SELF_MAP] != 0 && bench->report.counts[CHECK_TWO_LEVELS] != 0);
    expect_text(bench, CHECK_SELF_MAP,
                "ffffff8000000000, 512 GiB: PML4E at 0x1ff8 leads to the table at 0x1000");
    bench_free(bench);
}

static void test_a_table_walked_at_two_levels_is_told(void **state)
{
    struct bench *bench = sound();

    (void)state;
    room_put(bench->stage->room, 0x2000, 1, 8, 0x4000 | E_P);
    lint_all(bench);
    EXPECT_EQ(bench->report.counts[CHECK_TWO_LEVELS], 1);
    EXPECT_EQ(bench->report.counts[CHECK_SELF_MAP], 0);
    bench_free(bench);
}

static void test_memory_under_two_types_is_a_warning(void **state)
{
    struct bench *bench = with(0x7000, 1, 0x30000 | E_P | E_PCD | E_PWT | E_NX, CHECK_ALIAS);

    (void)state;
    expect_text(bench, CHECK_ALIAS, "ffff800000001000, 4 KiB: to 0x30000 as UC; at 0000000000001000 as WB");
    bench_free(bench);
}

static void test_part_of_a_large_page_under_another_type_is_a_warning(void **state)
{
    struct bench *bench = sound();

    (void)state;
    bench->stage->range.size_bytes = 0x10000000;
    room_put(bench->stage->room, 0x6000, 1, 8, 0x400000 | E_P | E_RW | E_NX | E_PS);
    room_put(bench->stage->room, 0x7000, 1, 8, 0x455000 | E_P | E_NX | E_PCD);
    lint_all(bench);
    expect_only(bench, CHECK_ALIAS, 1);
    expect_text(bench, CHECK_ALIAS, "ffff800000001000, 4 KiB: to 0x455000 as UC; at ffff800000255000 as WB");
    bench_free(bench);
}

static void test_uc_and_uc_minus_are_one_type(void **state)
{
    struct bench *bench = sound();

    (void)state;
    room_put(bench->stage->room, 0x7000, 1, 8, 0x32000 | E_P | E_NX | E_PCD);
    room_put(bench->stage->room, 0x7000, 2, 8, 0x32000 | E_P | E_NX | E_PCD | E_PWT);
    lint_all(bench);
    expect_only(bench, CHECK_KINDS, 0);
    bench_free(bench);
}

static void test_a_table_that_user_mode_can_write_is_an_error(void **state)
{
    struct bench *bench = sound();

    (void)state;
    room_put(bench->stage->room, 0x4000, 3, 8, 0x6000 | E_ALL | E_NX);
    lint_all(bench);
    expect_only(bench, CHECK_TABLE_WRITABLE, 1);
    expect_text(bench, CHECK_TABLE_WRITABLE, "0000000000003000, 4 KiB: the table of PDEs at 0x6000");
    bench_free(bench);
}

static void test_tables_that_only_the_kernel_can_write_are_sound(void **state)
{
    struct bench *bench = sound();

    (void)state;
    room_put(bench->stage->room, 0x7000, 1, 8, 0x6000 | E_P | E_RW | E_NX);
    room_put(bench->stage->room, 0x4000, 3, 8, 0x6000 | E_P | E_US);
    lint_all(bench);
    expect_only(bench, CHECK_KINDS, 0);
    bench_free(bench);
}

static void test_write_back_mappings_of_no_memory_are_told_where_they_are(void **state)
{
    struct bench *bench = with(0x7000, 1, 0x7000000 | E_P | E_NX, CHECK_NO_MEMORY);

    (void)state;
    expect_text(bench, CHECK_NO_MEMORY, "ffff800000001000, 4 KiB: to 0x7000000");
    bench_free(bench);

    bench = sound();
    room_put(bench->stage->room, 0x7000, 1, 8, 0x7000000 | E_P | E_NX | E_PCD);
    lint_all(bench);
    expect_only(bench, CHECK_KINDS, 0);
    bench_free(bench);

    /* The room ends in the midst of a large page. */
    bench = sound();
    room_put(bench->stage->room, 0x6000, 1, 8, E_P | E_NX | E_PS);
    lint_all(bench);
    expect_only(bench, CHECK_NO_MEMORY, 1);
    expect_text(bench, CHECK_NO_MEMORY, "ffff800000240000, 1792 KiB: to 0x40000");
    bench_free(bench);
}

static void test_behind_a_second_stage_no_page_is_held_against_the_images_ranges(void **state)
{
    struct bench *bench = sound();

    (void)state;
    room_put(bench->stage->room, 0x7000, 1, 8, 0x7000000 | E_P | E_NX);
    bench->stage->machine.has_second = true;
    lint_all(bench);
    expect_only(bench, CHECK_KINDS, 0);
    bench->stage->machine.has_second = false;
    lint_all(bench);
    EXPECT_EQ(bench->report.counts[CHECK_NO_MEMORY], 1);
    bench_free(bench);
}

static void test_memory_in_too_many_stretches_is_left_out_and_said(void **state)
{
    struct bench *bench = sound();
    struct complaint complaint;

    (void)state;
    for (unsigned index = 0; index < 512; index++) {
        for (uint64_t table = 0x1000; table < 0x4000; table += 0x1000) {
            room_put(bench->stage->room, table, index, 8, (table + 0x1000) | E_ALL);
        }
        room_put(bench->stage->room, 0x4000, index, 8, (index % 2 ? 0x30000 : 0x34000) | E_ALL | E_NX);
    }
    EXPECT(lint_frames(&bench->lint, &complaint));
    expect_only(bench, CHECK_TOO_MANY, 1);
    bench_free(bench);
}

static void test_stretches_that_overlap_are_found(void **state)
{
    struct stretches stretches = { 0 };

    (void)state;
    EXPECT(!stretches_find(&stretches, 0, 1));
    stretches_add(&stretches, (struct stretch){ .base = 0x5000, .bytes = 0x1000 });
    stretches_add(&stretches, (struct stretch){ .base = 0x1000, .bytes = 0x10000 });
    stretches_add(&stretches, (struct stretch){ .base = 0x2000, .bytes = 0x1000 });
    stretches_add(&stretches, (struct stretch){ .base = 0x20000, .bytes = 0x1000 });
    stretches_sort(&stretches);
    EXPECT_EQ(stretches_find(&stretches, 0x10FFF, 1)->base, 0x1000);
    EXPECT_EQ(stretches_find(&stretches, 0x2000, 1)->base, 0x1000);
    EXPECT_EQ(stretches_find(&stretches, 0x11000, 0xF001)->base, 0x20000);
    EXPECT(!stretches_find(&stretches, 0x11000, 0xF000));
    EXPECT(!stretches_find(&stretches, 0, 0x1000));
    EXPECT(!stretches_find(&stretches, 0x21000, 0x1000));
    stretches_free(&stretches);
}

static void test_tables_without_end_are_a_complaint(void **state)
{
    struct bench *bench = sound();
    struct complaint complaint = { .text = "" };

    (void)state;
    for (unsigned index = 0; index < 512; index++) {
        room_put(bench->stage->room, 0x1000, index, 8, 0x1000 | E_ALL);
    }
    bench->lint.space.budget = 3000;
    EXPECT(!lint_tables(&bench->lint, &complaint));
    EXPECT(strstr(complaint.text, "no end of the tables"));
    EXPECT(!lint_ranges(&bench->lint, &complaint));
    EXPECT(!lint_frames(&bench->lint, &complaint));
    bench_free(bench);
}

/* --- KPTI --- */

/* Roots at 0x8000 and 0x9000: the lower half NX in the kernel's; one of four upper entries in the user's, too. */
static struct bench *pair(void)
{
    struct bench *bench = sound();
    struct room *room = bench->stage->room;
    struct complaint complaint;

    room_put(room, 0x8000, 0, 8, 0x2000 | E_ALL | E_NX | E_A);
    room_put(room, 0x9000, 0, 8, 0x2000 | E_ALL);
    for (unsigned index = 256; index < 260; index++) {
        room_put(room, 0x8000, index, 8, 0x5000 | E_P | E_RW);
    }
    room_put(room, 0x9000, 257, 8, 0x5000 | E_P | E_RW | E_A);
    EXPECT(space_with_root(&bench->stage->machine, 0x8000, &bench->lint.space, &complaint));
    return bench;
}

static void test_kpti_roots_are_told_from_neighbours(void **state)
{
    struct bench *bench = pair();
    struct complaint complaint;

    (void)state;
    EXPECT(lint_has_pair(&bench->lint));
    EXPECT(space_with_root(&bench->stage->machine, 0x9000, &bench->lint.space, &complaint));
    EXPECT(lint_has_pair(&bench->lint));
    /* Two processes without KPTI: the upper halves are both full. */
    for (unsigned index = 256; index < 260; index++) {
        room_put(bench->stage->room, 0x9000, index, 8, 0x5000 | E_P | E_RW);
    }
    EXPECT(!lint_has_pair(&bench->lint));
    bench_free(bench);
}

static void test_a_pair_that_agrees_has_no_findings(void **state)
{
    struct bench *bench = pair();
    struct complaint complaint;

    (void)state;
    EXPECT(lint_pair(&bench->lint, &complaint));
    expect_only(bench, CHECK_KINDS, 0);
    EXPECT(bench->report.looked.pair);
    bench_free(bench);
}

static void test_lower_entries_of_a_pair_may_differ_in_nx_only(void **state)
{
    struct bench *bench = pair();
    struct complaint complaint;

    (void)state;
    room_put(bench->stage->room, 0x9000, 0, 8, 0x2000 | E_P | E_US);
    room_put(bench->stage->room, 0x9000, 1, 8, 0x2000 | E_P | E_US);
    room_put(bench->stage->room, 0x8000, 2, 8, 0x2000 | E_ALL | E_NX);
    room_put(bench->stage->room, 0x8000, 3, 8, 0x2000 | E_P | E_RW); /* the kernel's own */
    EXPECT(lint_pair(&bench->lint, &complaint));
    expect_only(bench, CHECK_PAIR_LOWER, 3);
    expect_text(bench, CHECK_PAIR_LOWER,
                "0000000000000000, 512 GiB: entry 0 is 0x8000000000002007 in the kernel's root, 0x2005 in "
                "the user's");
    bench_free(bench);
}

static void test_upper_mappings_of_the_users_root_are_the_kernels(void **state)
{
    struct bench *bench = pair();
    struct complaint complaint;

    (void)state;
    /* Another table behind entry 258: other rights, other memory, and one page more. */
    room_put(bench->stage->room, 0x8000, 258, 8, 0xA000 | E_P | E_RW);
    room_put(bench->stage->room, 0x9000, 258, 8, 0xB000 | E_P | E_RW);
    room_put(bench->stage->room, 0xA000, 0, 8, E_P | E_PS);
    room_put(bench->stage->room, 0xB000, 0, 8, E_P | E_PS | E_RW);
    room_put(bench->stage->room, 0xA000, 2, 8, E_P | E_PS | 0x40000000);
    room_put(bench->stage->room, 0xB000, 2, 8, E_P | E_PS | 0x80000000);
    room_put(bench->stage->room, 0xB000, 4, 8, E_P | E_PS);
    room_put(bench->stage->room, 0xA000, 6, 8, E_P | E_PS);
    EXPECT(lint_pair(&bench->lint, &complaint));
    expect_only(bench, CHECK_PAIR_UPPER, 3);
    expect_text(bench, CHECK_PAIR_UPPER,
                "ffff810000000000, 1 GiB: r-xs in the kernel's root, rwxs in the user's");
    bench_free(bench);
}

/* --- the report --- */

static void test_a_report_counts_all_and_shows_the_first(void **state)
{
    struct bench *bench = sound();

    (void)state;
    for (unsigned index = 2; index < 20; index += 2) {
        room_put(bench->stage->room, 0x7000, index, 8, 0x32000 | E_P | E_RW);
    }
    lint_all(bench);
    capture_begin();
    check_report_end(&bench->report, true);
    const char *text = capture_end();
    EXPECT(strstr(text, "warning: pages that can be written and executed (9)\n"));
    EXPECT(strstr(text, "    ffff800000006000, 4 KiB: rwxs\n    ... 6 more\n"));
    EXPECT(strstr(text, "\nlooked at 11 pages by 3584 entries of 7 tables; no pair of KPTI's\n"));
    EXPECT(strstr(text, "\nerrors: 0, warnings: 9, notes: 0\n"));
    bench_free(bench);
}

static void test_a_report_as_json_has_every_finding(void **state)
{
    struct bench *bench = sound();
    uint64_t value;

    (void)state;
    bench->report.json = true;
    for (unsigned index = 2; index < 20; index += 2) {
        room_put(bench->stage->room, 0x7000, index, 8, 0x32000 | E_P | E_RW);
    }
    capture_begin();
    check_report_begin(&bench->report, &bench->lint.space);
    lint_all(bench);
    check_report_end(&bench->report, true);
    struct json_object *document = json_tokener_parse(capture_end());
    struct json_object *findings = json_get_array(document, "findings");

    EXPECT_EQ(json_object_array_length(findings), 9);
    EXPECT(json_get_number(json_object_array_get_idx(findings, 8), "address", &value) &&
           value == UPPER + 0x12000);
    EXPECT(json_get_number(document, "warnings", &value) && value == 9);
    EXPECT(json_get_number(json_get_object(document, "counts"), "write-execute", &value) && value == 9);
    json_object_put(document);
    bench->report.json = false;
    bench->report.examples = 0;
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_tables_have_no_findings),
        cmocka_unit_test(test_a_reserved_bit_is_an_error),
        cmocka_unit_test(test_ps_in_a_level_that_has_no_pages_is_a_reserved_bit),
        cmocka_unit_test(test_ps_that_is_ignored_without_pse_is_a_warning),
        cmocka_unit_test(test_a_table_outside_memory_is_an_error),
        cmocka_unit_test(test_a_page_that_is_writable_and_executable_is_a_warning),
        cmocka_unit_test(test_without_nx_writable_pages_are_not_told_one_by_one),
        cmocka_unit_test(test_a_users_page_in_the_kernels_half_is_a_warning),
        cmocka_unit_test(test_a_range_that_begins_below_the_kernels_half_is_told_from_there_on),
        cmocka_unit_test(test_a_global_page_of_user_mode_is_a_warning),
        cmocka_unit_test(test_an_entry_that_leads_back_up_is_a_self_map),
        cmocka_unit_test(test_a_table_walked_at_two_levels_is_told),
        cmocka_unit_test(test_memory_under_two_types_is_a_warning),
        cmocka_unit_test(test_part_of_a_large_page_under_another_type_is_a_warning),
        cmocka_unit_test(test_uc_and_uc_minus_are_one_type),
        cmocka_unit_test(test_a_table_that_user_mode_can_write_is_an_error),
        cmocka_unit_test(test_tables_that_only_the_kernel_can_write_are_sound),
        cmocka_unit_test(test_write_back_mappings_of_no_memory_are_told_where_they_are),
        cmocka_unit_test(test_behind_a_second_stage_no_page_is_held_against_the_images_ranges),
        cmocka_unit_test(test_memory_in_too_many_stretches_is_left_out_and_said),
        cmocka_unit_test(test_stretches_that_overlap_are_found),
        cmocka_unit_test(test_tables_without_end_are_a_complaint),
        cmocka_unit_test(test_kpti_roots_are_told_from_neighbours),
        cmocka_unit_test(test_a_pair_that_agrees_has_no_findings),
        cmocka_unit_test(test_lower_entries_of_a_pair_may_differ_in_nx_only),
        cmocka_unit_test(test_upper_mappings_of_the_users_root_are_the_kernels),
        cmocka_unit_test(test_a_report_counts_all_and_shows_the_first),
        cmocka_unit_test(test_a_report_as_json_has_every_finding),
    };
    return RUN_TESTS(tests);
}
