/*
 * What is printed: lines of at most 80 columns, sentences for what happened, and JSON with the same numbers.
 */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"
#include "tests/unit/tools_explain/told.h"
#include "tests/unit/tools_walk/walked.h"

#define STORE "mov [0x12345678], eax"

static void print_text(const void *story)
{
    story_print_text(story);
}

static void print_json(const void *story)
{
    story_print_json(story);
}

static char *text_of(const struct told *told, const char *code)
{
    struct story *story = told_story(told, code, false);
    char *text = printed(print_text, story);

    story_free(story);
    return text;
}

static void test_lines_have_80_columns_at_most(void **state)
{
    static const char *const codes[] = { STORE, "push qword ptr [0x12345678]", "mov [0x12345ffe], eax",
                                         "fxsave [0x12345678]", "mov eax, [0x666000]" };
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        char *text = text_of(&told, codes[i]);

        for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
            if (strlen(line) > 80) {
                print_error("%s\n", line);
            }
            EXPECT(strlen(line) <= 80);
            EXPECT(line[0] == '\0' || line[strlen(line) - 1] != ' ');
        }
        free(text);
    }
    told_close(&told);
}

static void test_the_text_says_what_happened(void **state)
{
    struct told told;
    char *text;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    text = text_of(&told, STORE);
    expect_part(text, "4 KiB   rwxu  WB  0x40000678");
    expect_part(text, "4 x (4 + 1) +");
    free(text);
    text = text_of(&told, "mov eax, [0x666000]");
    expect_part(text, "#PF, a page fault");
    expect_part(text, "P is 0: not present.");
    free(text);
    text = text_of(&told, "mov eax, ebx");
    expect_part(text, "names no memory");
    free(text);
    engine_guest_map(&told.guest, TOLD_VA, 1, UINT64_C(0xfee00000) | GUEST_LEAF);
    text = text_of(&told, STORE);
    expect_part(text, "takes it for a");
    free(text);
    told_close(&told);
}

static struct json_object *at(struct json_object *object, const char *path)
{
    struct json_object *found = NULL;

    EXPECT_EQ(json_pointer_get(object, path, &found), 0);
    return found;
}

static void test_json_holds_the_same_numbers(void **state)
{
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    struct story *story = told_story(&told, STORE, false);
    char *text = printed(print_json, story);
    struct json_object *document = json_tokener_parse(text);

    EXPECT(document != NULL);
    EXPECT_EQ(json_object_get_int(at(document, "/native/references")), 4);
    EXPECT_EQ(json_object_get_int(at(document, "/nested/4k/references")), 24);
    EXPECT_EQ(json_object_get_int(at(document, "/shadow/first_time/page_fault_exits")), 1);
    EXPECT_EQ(json_object_get_int(at(document, "/tags/native/translations")), 1);
    EXPECT(strcmp(json_object_get_string(at(document, "/accesses/0/linear")), "0x12345678") == 0);
    EXPECT(strcmp(json_object_get_string(at(document, "/native/walks/0/physical")), "0x40000678") == 0);
    EXPECT(strcmp(json_object_get_string(at(document, "/instruction/text")), STORE) == 0);
    json_object_put(document);
    free(text);
    story_free(story);
    told_close(&told);
}

static void test_json_of_a_fault_has_its_cause(void **state)
{
    struct told told;

    (void)state;
    told_open(&told, VMMU_X86_PAGING_4LEVEL);
    struct story *story = told_story(&told, "mov eax, [0x666000]", false);
    char *text = printed(print_json, story);
    struct json_object *document = json_tokener_parse(text);

    EXPECT_EQ(json_object_get_int(at(document, "/native/walks/0/fault/vector")), 14);
    EXPECT_EQ(json_object_get_int(at(document, "/native/walks/0/fault/error_code")), 0);
    EXPECT_EQ(json_object_array_length(at(document, "/native/walks/0/causes")), 1);
    EXPECT(strcmp(json_object_get_string(at(document, "/native/end")), "fault") == 0);
    EXPECT(strcmp(json_object_get_string(at(document, "/shadow/accesses/0/end")), "fault") == 0);
    json_object_put(document);
    free(text);
    story_free(story);
    told_close(&told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_have_80_columns_at_most),
        cmocka_unit_test(test_the_text_says_what_happened),
        cmocka_unit_test(test_json_holds_the_same_numbers),
        cmocka_unit_test(test_json_of_a_fault_has_its_cause),
    };

    return RUN_TESTS(tests);
}
