/* Shadow tables as text: columns that stand under each other, and reasons in words. */
#include "hv/monitor/shadow_text.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/test.h"

static char text[8192];
static unsigned used;

static void put(void *context, char character)
{
    (void)context;
    EXPECT(used + 1 < sizeof(text));
    text[used++] = character;
    text[used] = '\0';
}

static const struct format_sink sink = { NULL, put };

static struct vmmu_shadow_view a_view(void)
{
    const struct vmmu_shadow_view_entry link = { .there = true,
                                                 .present = true,
                                                 .rights = VMMU_X86_RIGHTS_ALL,
                                                 .address = 2,
                                                 .value = 0x5027,
                                                 .bytes = VMMU_1G_BYTES };
    const struct vmmu_shadow_view_entry leaf = { .there = true,
                                                 .present = true,
                                                 .leaf = true,
                                                 .rights = VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_USER,
                                                 .type = VMMU_X86_TYPE_WB,
                                                 .address = 0x5008,
                                                 .value = UINT64_C(0x80000000004000A5),
                                                 .bytes = VMMU_2M_BYTES };
    const struct vmmu_shadow_view_entry absent = { .there = true, .address = UINT64_C(0x123456789008) };

    return (struct vmmu_shadow_view){
        .rows = 3,
        .write_protect = true,
        .row = { { .level = 3,
                   .in_register = true,
                   .guest = link,
                   .shadow = link,
                   .table = VMMU_SHADOW_TABLE_OURS },
                 { .level = 2,
                   .guest = leaf,
                   .shadow = absent,
                   .table = VMMU_SHADOW_TABLE_OPEN,
                   .reasons = BIT64(VMMU_SHADOW_NOT_FILLED) },
                 { .level = 1,
                   .guest = leaf,
                   .reasons = BIT64(VMMU_SHADOW_NOT_REACHED) | BIT64(VMMU_SHADOW_NO_MEMORY) } },
        .guest = { .there = true,
                   .rights = VMMU_X86_RIGHTS_ALL,
                   .type = VMMU_X86_TYPE_UC_MINUS,
                   .key = 7,
                   .global = true,
                   .address = 0x7123,
                   .bytes = 2 * VMMU_2M_BYTES },
    };
}

/* Line @number of the text, from 0. */
static const char *line_at(unsigned number)
{
    const char *line = text;

    for (; number > 0; number--) {
        line = strchr(line, '\n');
        assert_non_null(line);
        line++;
    }
    return line;
}

static unsigned column_of(unsigned line, const char *word)
{
    const char *const start = line_at(line);
    const char *const found = strstr(start, word);

    assert_non_null(found);
    EXPECT(found < strchr(start, '\n'));
    return (unsigned)(found - start);
}

static void test_columns_stand_under_each_other(void **state)
{
    const struct vmmu_shadow_view view = a_view();

    (void)state;
    used = 0;
    shadow_text_view(&sink, 1, (vmmu_gva){ 0x40000123 }, &view);
    EXPECT_EQ(strncmp(text, "walk of 0000000040000123 by VP 1, CR0.WP set, the guest's page not dirty\n", 73),
              0);
    EXPECT_EQ(column_of(2, "register"), column_of(1, "guest's at"));
    EXPECT_EQ(column_of(3, "000000005008"), column_of(1, "guest's at"));
    EXPECT_EQ(column_of(3, "80000000004000a5"), column_of(1, "entry"));
    EXPECT_EQ(column_of(3, "r-u- 2M WB"), column_of(1, "means"));
    EXPECT_EQ(column_of(3, "123456789008"), column_of(1, "ours at"));
    EXPECT_EQ(column_of(3, "open"), column_of(1, "table"));
    EXPECT_EQ(column_of(2, "ours"), column_of(1, "table"));
    EXPECT_EQ(column_of(3, vmmu_shadow_reason_words(VMMU_SHADOW_NOT_FILLED)),
              column_of(1, "why they differ"));
    EXPECT_EQ(column_of(4, vmmu_shadow_reason_words(VMMU_SHADOW_NOT_REACHED)),
              column_of(1, "why they differ"));
}

static void test_every_reason_of_a_level_is_told(void **state)
{
    struct vmmu_shadow_view view = a_view();

    (void)state;
    view.row[1].reasons = BIT64(VMMU_SHADOW_REASONS) - 1;
    used = 0;
    shadow_text_view(&sink, 0, (vmmu_gva){ 0 }, &view);
    for (unsigned i = 0; i < VMMU_SHADOW_REASONS; i++) {
        (void)column_of(3, vmmu_shadow_reason_words((enum vmmu_shadow_reason)i));
    }
}

static void test_what_the_walks_come_to_is_told_or_that_they_come_to_nothing(void **state)
{
    const struct vmmu_shadow_view view = a_view();

    (void)state;
    used = 0;
    shadow_text_view(&sink, 0, (vmmu_gva){ 0 }, &view);
    EXPECT_EQ(strcmp(line_at(5), "guest  gpa 000000007123  rwux  4M   UC-  key 7  global\nours   no page\n"),
              0);
}

static void test_every_counter_has_a_line(void **state)
{
    struct vmmu_shadow_counters counters;
    uint64_t *const all = (uint64_t *)&counters;
    const unsigned count = sizeof(counters) / sizeof(*all);
    unsigned lines = 0;

    (void)state;
    for (unsigned i = 0; i < count; i++) {
        all[i] = 7000000 + i;
    }
    used = 0;
    shadow_text_counters(&sink, &counters);
    for (unsigned i = 0; i < count; i++) {
        char number[16];

        (void)snprintf(number, sizeof(number), " %u ", 7000000 + i);
        lines += strstr(text, number) != NULL;
    }
    EXPECT_EQ(lines, count);
    for (unsigned i = 0; i < count; i++) {
        EXPECT_EQ(column_of(i, "7000"), column_of(0, "7000"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_stand_under_each_other),
        cmocka_unit_test(test_every_reason_of_a_level_is_told),
        cmocka_unit_test(test_what_the_walks_come_to_is_told_or_that_they_come_to_nothing),
        cmocka_unit_test(test_every_counter_has_a_line),
    };

    return RUN_TESTS(tests);
}
