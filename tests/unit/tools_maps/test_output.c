/* What maps prints, as text and as JSON, and its exit statuses. */
#include <string.h>

#include "stage.h"
#include "tests/unit/test.h"
#include "tools/command.h"
#include "tools/maps/diff.h"
#include "tools/maps/find.h"
#include "tools/maps/json.h"
#include "tools/maps/roots.h"
#include "tools/maps/show.h"
#include "tools/ui/json.h"

static void expect_line(const char *text, const char *line)
{
    if (!strstr(text, line)) {
        fail_msg("'%s' is not in:\n%s", line, text);
    }
}

static struct json_object *parsed(const char *text)
{
    struct json_object *document = json_tokener_parse(text);

    if (!document) {
        fail_msg("not JSON:\n%s", text);
    }
    return document;
}

static uint64_t number(struct json_object *object, const char *key)
{
    uint64_t value = 0;

    EXPECT(json_get_number(object, key, &value));
    return value;
}

static struct stage *a_few_pages(void)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);

    stage_chain(stage, 0);
    room_put(stage->room, 0x4000, 1, 8, 0x77000 | E_ALL | E_NX | E_A | E_D);
    room_put(stage->room, 0x4000, 2, 8, 0x88000 | E_P | E_PCD);
    room_put(stage->room, 0x3000, 5, 8, BIT64(13) | E_ALL | E_PS);
    return stage;
}

static void test_ranges_are_printed_with_rights_type_and_pages(void **state)
{
    struct stage *stage = a_few_pages();
    const struct space space = stage_space(stage);
    const struct show_options options = { .join = RANGES_TYPE };
    struct complaint complaint;

    (void)state;
    capture_begin();
    const int status = show_ranges(&space, &options, &complaint);
    const char *text = capture_end();
    EXPECT_EQ(status, COMMAND_OK);
    expect_line(text, "Mappings of CR3 0x1000, 4-level paging\n");
    expect_line(text, "\n0000000000001000-0000000000002000        4 KiB  rw-u   WB    1x4K\n");
    expect_line(text, "\n0000000000002000-0000000000003000        4 KiB  r-xs   UC-   1x4K\n");
    expect_line(text, "\n0000000000a00000-0000000000c00000        2 MiB  malformed PDE 0x2087 at 0x3028: "
                      "reserved bits 0x2000\n");
    expect_line(text, "\n2 ranges, 8 KiB in pages 2x4K; 2048 entries read\n");
    EXPECT(!strstr(text, "as after a reset"));
    stage_free(stage);
}

static void test_a_pat_that_the_image_does_not_tell_is_said(void **state)
{
    struct stage *stage = a_few_pages();
    const struct show_options options = { .join = RANGES_TYPE };
    struct complaint complaint;

    (void)state;
    stage->machine.pat_known = false;
    const struct space space = stage_space(stage);
    capture_begin();
    (void)show_ranges(&space, &options, &complaint);
    expect_line(capture_end(), "the PAT as after a reset");
    stage_free(stage);
}

static void test_long_runs_are_folded_unless_all_is_asked_for(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);
    struct show_options options = { .join = RANGES_TYPE };
    struct complaint complaint;

    (void)state;
    stage_chain(stage, 0);
    for (unsigned index = 0; index < 512; index += 16) {
        room_put(stage->room, 0x4000, index, 8, 0x77000 | E_P);
    }
    const struct space space = stage_space(stage);
    capture_begin();
    (void)show_ranges(&space, &options, &complaint);
    expect_line(capture_end(), "  ... 31 more like it, every 64 KiB up to 00000000001f0000\n32 ranges");
    options.all = true;
    capture_begin();
    (void)show_ranges(&space, &options, &complaint);
    expect_line(capture_end(), "\n00000000001f0000-00000000001f1000 ");
    stage_free(stage);
}

static void test_ranges_as_json_are_one_document(void **state)
{
    struct stage *stage = a_few_pages();
    const struct space space = stage_space(stage);
    const struct show_options options = { .join = RANGES_ALL, .physical = true, .json = true };
    struct complaint complaint;

    (void)state;
    capture_begin();
    const int status = show_ranges(&space, &options, &complaint);
    struct json_object *document = parsed(capture_end());
    struct json_object *ranges = json_get_array(document, "ranges");
    EXPECT_EQ(status, COMMAND_OK);
    EXPECT_EQ(number(document, "cr3"), 0x1000);
    EXPECT_EQ(number(document, "range_count"), 2);
    EXPECT_EQ(number(document, "malformed_entries"), 1);
    EXPECT_EQ(json_object_array_length(ranges), 3);
    struct json_object *second = json_object_array_get_idx(ranges, 1);
    EXPECT_EQ(number(second, "start"), 0x2000);
    EXPECT_EQ(number(second, "bytes"), 0x1000);
    EXPECT_EQ(number(second, "physical"), 0x88000);
    EXPECT(!json_object_get_boolean(json_object_object_get(second, "user")));
    EXPECT(json_object_get_boolean(json_object_object_get(second, "execute")));
    EXPECT_EQ(number(json_get_object(second, "pages"), "4K"), 1);
    json_object_put(document);
    stage_free(stage);
}

static void test_pages_are_printed_with_their_entries(void **state)
{
    struct stage *stage = a_few_pages();
    const struct space space = stage_space(stage);
    struct show_options options = { .join = RANGES_TYPE };
    struct complaint complaint;

    (void)state;
    capture_begin();
    EXPECT_EQ(show_pages(&space, &options, &complaint), COMMAND_OK);
    const char *text = capture_end();
    expect_line(text, "\n0000000000001000 0000000077000 4K   rw-u   WB   AD-    8000000000077067\n");
    expect_line(text, "malformed entry of level 2 at 0x3028");
    options.json = true;
    capture_begin();
    EXPECT_EQ(show_pages(&space, &options, &complaint), COMMAND_OK);
    struct json_object *document = parsed(capture_end());
    struct json_object *page = json_object_array_get_idx(json_get_array(document, "pages"), 0);
    EXPECT_EQ(number(page, "va"), 0x1000);
    EXPECT_EQ(number(page, "gpa"), 0x77000);
    EXPECT_EQ(number(page, "entry"), UINT64_C(0x8000000000077067));
    json_object_put(document);
    stage_free(stage);
}

static void test_nothing_mapped_is_the_answer_no(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);
    const struct space space = stage_space(stage);
    const struct show_options options = { .join = RANGES_TYPE };
    struct complaint complaint;

    (void)state;
    capture_begin();
    EXPECT_EQ(show_ranges(&space, &options, &complaint), COMMAND_NO);
    (void)capture_end();
    stage_free(stage);
}

static void test_tables_without_end_are_an_input_that_cannot_be_used(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);
    struct show_options options = { .join = RANGES_TYPE, .json = true };
    struct complaint complaint = { .text = "" };

    (void)state;
    for (unsigned index = 0; index < 512; index++) {
        room_put(stage->room, 0x1000, index, 8, 0x1000 | E_ALL);
    }
    struct space space = stage_space(stage);
    space.budget = 10000;
    capture_begin();
    EXPECT_EQ(show_ranges(&space, &options, &complaint), COMMAND_INPUT);
    struct json_object *document = parsed(capture_end());
    EXPECT(!json_object_get_boolean(json_object_object_get(document, "complete")));
    EXPECT(strstr(complaint.text, "--budget gives more"));
    json_object_put(document);
    stage_free(stage);
}

static void test_differences_are_the_answer_no_and_are_summed(void **state)
{
    struct stage *stage = a_few_pages();
    const struct space first = stage_space(stage);
    struct space second = first;
    struct complaint complaint;

    (void)state;
    capture_begin();
    EXPECT_EQ(diff_show(&first, &second, false, &complaint), COMMAND_OK);
    expect_line(capture_end(), "same: 8 KiB\n");
    EXPECT(space_with_root(&stage->machine, 0x9000, &second, &complaint));
    capture_begin();
    EXPECT_EQ(diff_show(&first, &second, false, &complaint), COMMAND_NO);
    const char *text = capture_end();
    expect_line(text, "0000000000001000-0000000000002000        4 KiB  rw-u         only in first\n");
    expect_line(text, "same: 0 bytes; only in first: 8 KiB\n");
    capture_begin();
    EXPECT_EQ(diff_show(&first, &second, true, &complaint), COMMAND_NO);
    struct json_object *document = parsed(capture_end());
    EXPECT_EQ(number(json_get_object(document, "bytes_of_kind"), "only in first"), 8192);
    EXPECT_EQ(json_object_array_length(json_get_array(document, "differences")), 2);
    json_object_put(document);
    stage_free(stage);
}

static void test_what_was_found_is_printed_with_its_space(void **state)
{
    struct stage *stage = a_few_pages();
    const struct space space = stage_space(stage);
    struct complaint complaint;

    (void)state;
    capture_begin();
    EXPECT_EQ(find_show(&space, 1, 0x77010, false, &complaint), COMMAND_OK);
    const char *text = capture_end();
    expect_line(text, "\n1000               0000000000001010 4K   rw-u   WB\n1 time in 1 address space\n");
    capture_begin();
    EXPECT_EQ(find_show(&space, 1, 0x4000, false, &complaint), COMMAND_OK);
    expect_line(capture_end(), "it is a table, for 2 MiB from here on: PDE at 0x3000");
    capture_begin();
    EXPECT_EQ(find_show(&space, 1, 0x1008, true, &complaint), COMMAND_OK);
    struct json_object *document = parsed(capture_end());
    EXPECT_EQ(number(document, "found"), 1);
    json_object_put(document);
    capture_begin();
    EXPECT_EQ(find_show(&space, 1, 0x5000, false, &complaint), COMMAND_NO);
    (void)capture_end();
    stage_free(stage);
}

static void test_roots_are_listed_with_what_they_share(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);
    struct roots roots = { 0 };
    struct complaint complaint;

    (void)state;
    room_put(stage->room, 0x2000, 256, 8, 0x4000 | E_P | E_RW);
    room_put(stage->room, 0x3000, 256, 8, 0x4000 | E_P | E_RW);
    room_put(stage->room, 0x3000, 1, 8, 0x4000 | E_P | E_RW);
    room_put(stage->room, 0x4000, 0, 8, E_P | E_RW | E_PS);
    stage->machine.mode.root.v = 0x2000;
    stage->processor.paging.cr3 = 0x2000;
    EXPECT(roots_scan(&stage->machine, (struct roots_wanted){ false, ROOTS_BUDGET }, &roots, &complaint));
    const struct space space = stage_space(stage);
    capture_begin();
    EXPECT_EQ(roots_show(&stage->machine, &space, &roots, false), COMMAND_OK);
    const char *text = capture_end();
    expect_line(text, "\n2000                      1        1        1  in use\n");
    expect_line(text, "\n3000                      2        1        1  user root of the one before?\n2 "
                      "roots in 256 KiB\n");
    capture_begin();
    EXPECT_EQ(roots_show(&stage->machine, &space, &roots, true), COMMAND_OK);
    struct json_object *document = parsed(capture_end());
    EXPECT_EQ(json_object_array_length(json_get_array(document, "roots")), 2);
    EXPECT(!json_object_object_get(document, "cr3") && json_object_object_get(document, "paging_known"));
    json_object_put(document);
    roots_free(&roots);
    stage_free(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_are_printed_with_rights_type_and_pages),
        cmocka_unit_test(test_a_pat_that_the_image_does_not_tell_is_said),
        cmocka_unit_test(test_long_runs_are_folded_unless_all_is_asked_for),
        cmocka_unit_test(test_ranges_as_json_are_one_document),
        cmocka_unit_test(test_pages_are_printed_with_their_entries),
        cmocka_unit_test(test_nothing_mapped_is_the_answer_no),
        cmocka_unit_test(test_tables_without_end_are_an_input_that_cannot_be_used),
        cmocka_unit_test(test_differences_are_the_answer_no_and_are_summed),
        cmocka_unit_test(test_what_was_found_is_printed_with_its_space),
        cmocka_unit_test(test_roots_are_listed_with_what_they_share),
    };
    return RUN_TESTS(tests);
}
