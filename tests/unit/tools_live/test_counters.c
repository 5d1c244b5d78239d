/* What the hypervisor counts, as a list, and how fast that grows. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"
#include "tools/live/counters.h"
#include "tools/live/rates.h"
#include "tools/live/request.h"

#define VP(entries, port, faults)                                                                            \
    "{\"index\":0,\"counters\":{\"entries\":" entries ",\"exits\":{\"port\":" port ",\"page-fault\":" faults \
    "},\"tlb_flushes\":3,\"note\":\"text\"}}"
#define DOCUMENT(run, fills, vps)                                                                            \
    "{\"vmmu\":1,\"outcome\":{\"kind\":\"running\",\"value\":0},\"held\":true,\"memory_bytes\":67108864,"    \
    "\"run_ns\":" run ",\"backend\":\"svm\",\"mmu\":{\"technique\":\"shadow\",\"fills\":" fills              \
    ",\"pages\":12,\"zapped\":0},\"vps\":[" vps "]}"

static struct counters read_sound(const char *text)
{
    struct counters counters;
    struct complaint complaint;

    if (!counters_read(text, &counters, NULL, &complaint)) {
        fail_msg("%s", complaint.text);
    }
    return counters;
}

static uint64_t value_of(const struct counters *counters, enum counter_group group, const char *name)
{
    const struct counter *const counter = counters_find(counters, group, name);

    assert_non_null(counter);
    return counter->value;
}

static void test_counters_of_all_virtual_processors_are_summed(void **state)
{
    const struct counters counters =
        read_sound(DOCUMENT("2000000000", "40", VP("10", "4", "6") "," VP("100", "70", "30")));

    (void)state;
    EXPECT_EQ(counters.vps, 2);
    EXPECT_EQ(counters.entries, 110);
    EXPECT_EQ(counters.exits, 110);
    EXPECT_EQ(value_of(&counters, COUNTER_EXITS, "port"), 74);
    EXPECT_EQ(value_of(&counters, COUNTER_EXITS, "page-fault"), 36);
    EXPECT_EQ(value_of(&counters, COUNTER_VPS, "tlb_flushes"), 6);
    EXPECT_EQ(value_of(&counters, COUNTER_MMU, "fills"), 40);
    EXPECT(counters_find(&counters, COUNTER_MMU, "port") == NULL);
    EXPECT(counters_find(&counters, COUNTER_VPS, "note") == NULL);
}

static void test_what_the_document_says_of_the_whole_is_known(void **state)
{
    const struct counters counters = read_sound(DOCUMENT("5", "0", ""));

    (void)state;
    EXPECT_EQ(strcmp(counters.technique, "shadow"), 0);
    EXPECT_EQ(strcmp(counters.backend, "svm"), 0);
    EXPECT_EQ(strcmp(counters.outcome, "running"), 0);
    EXPECT_EQ(counters.memory_bytes, 64 << 20);
    EXPECT(counters.held);
    EXPECT(counters_find(&counters, COUNTER_MMU, "pages")->level);
    EXPECT(!counters_find(&counters, COUNTER_MMU, "fills")->level);
}

#define TRAPPED(technique)                                                                                   \
    "{\"vmmu\":1,\"backend\":\"e500\",\"mmu\":{\"technique\":\"" technique "\"},\"vps\":["                   \
    "{\"index\":1,\"counters\":{\"exits\":{\"memory\":2}},\"rfi\":5,\"tlbwe\":3,\"registers\":{}},"          \
    "{\"index\":2,\"counters\":{},\"rfi\":1},3]}"

static void test_traps_of_book_e_are_counted_by_kind_and_are_no_exits(void **state)
{
    const struct counters counters = read_sound(TRAPPED("booke"));

    (void)state;
    EXPECT_EQ(counters.exits, 2);
    EXPECT_EQ(value_of(&counters, COUNTER_TRAPS, "rfi"), 6);
    EXPECT_EQ(value_of(&counters, COUNTER_TRAPS, "tlbwe"), 3);
    EXPECT(counters_find(&counters, COUNTER_TRAPS, "index") == NULL);
}

static void test_what_other_processors_count_beside_is_no_trap(void **state)
{
    const struct counters counters = read_sound(TRAPPED("shadow"));

    (void)state;
    EXPECT(counters_find(&counters, COUNTER_TRAPS, "rfi") == NULL);
}

static void test_names_give_no_orders_to_a_terminal(void **state)
{
    const struct counters counters =
        read_sound("{\"vmmu\":1,\"outcome\":{\"kind\":\"\\u001b[2J\"},\"mmu\":{\"\\u001b]0;x\\u0007\":1,"
                   "\"technique\":\"a\\nb\"},\"vps\":[]}");

    (void)state;
    EXPECT_EQ(strcmp(counters.outcome, "?[2J"), 0);
    EXPECT_EQ(strcmp(counters.technique, "a?b"), 0);
    EXPECT_EQ(value_of(&counters, COUNTER_MMU, "?]0;x?"), 1);
}

static void test_documents_that_are_none_are_refused(void **state)
{
    static const char *const texts[] = { "",
                                         "{",
                                         "[]",
                                         "{}",
                                         "3",
                                         "{\"vps\":[]}",
                                         "{\"mmu\":{}}",
                                         "{\"mmu\":[],\"vps\":[]}",
                                         "{\"mmu\":{},\"vps\":{}}",
                                         "{\"mmu\":{},\"vps\":[]} {}",
                                         "{\"mmu\":{\"\xff\":1},\"vps\":[]}",
                                         "{\"mmu\":{\"a\":\"\x1b[2J\"},\"vps\":[]}" };
    struct counters counters;
    struct complaint complaint;

    (void)state;
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        EXPECT(!counters_read(texts[i], &counters, NULL, &complaint));
    }
}

static void test_what_is_of_the_wrong_type_is_passed_over(void **state)
{
    const struct counters counters =
        read_sound("{\"outcome\":7,\"held\":[],\"mmu\":{\"fills\":\"many\",\"less\":-1,\"x\":{}},"
                   "\"vps\":[3,null,{\"counters\":[]},{\"counters\":{\"exits\":4}}]}");

    (void)state;
    EXPECT_EQ(counters.exits, 0);
    EXPECT_EQ(strcmp(counters.outcome, "?"), 0);
    EXPECT(counters_find(&counters, COUNTER_MMU, "fills") == NULL);
    EXPECT(counters_find(&counters, COUNTER_MMU, "less") == NULL);
}

static void test_more_counters_than_there_is_room_for_are_cut(void **state)
{
    static char text[64 * 1024];
    size_t at = (size_t)snprintf(text, sizeof(text), "{\"vps\":[],\"mmu\":{\"a\":0");
    struct counters counters;

    (void)state;
    for (unsigned i = 0; i < 2 * COUNTERS_MOST; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, ",\"c%u\":%u", i, i);
    }
    (void)snprintf(text + at, sizeof(text) - at, "}}");
    counters = read_sound(text);
    EXPECT_EQ(counters.count, COUNTERS_MOST);
}

/* --- rates --- */

static struct rates *rates_of(const struct counters *before, const struct counters *now,
                              enum rates_order order)
{
    static struct rates rates;

    rates_make(&rates, before, now, order);
    return &rates;
}

static void test_a_rate_is_growth_by_the_hypervisors_own_second(void **state)
{
    const struct counters before = read_sound(DOCUMENT("1000000000", "40", VP("10", "4", "6")));
    const struct counters now = read_sound(DOCUMENT("3000000000", "50", VP("30", "4", "20")));
    const struct rates *const rates = rates_of(&before, &now, RATES_BY_SPEED);

    (void)state;
    assert_float_equal(rates->seconds, 2.0, 1e-9);
    assert_float_equal(rates->exits_per_second, 7.0, 1e-9);
    assert_float_equal(rates->entries_per_second, 10.0, 1e-9);
    EXPECT_EQ(rates->count[COUNTER_EXITS], 2);
    EXPECT_EQ(strcmp(rates->all[COUNTER_EXITS][0].counter->name, "page-fault"), 0);
    assert_float_equal(rates->all[COUNTER_EXITS][0].per_second, 7.0, 1e-9);
    assert_float_equal(rates->all[COUNTER_EXITS][1].per_second, 0.0, 1e-9);
}

static void test_by_total_the_largest_comes_first_and_levels_come_last(void **state)
{
    const struct counters before = read_sound(DOCUMENT("1000000000", "1", VP("10", "400", "6")));
    const struct counters now = read_sound(DOCUMENT("2000000000", "2", VP("30", "400", "20")));
    const struct rates *const rates = rates_of(&before, &now, RATES_BY_TOTAL);

    (void)state;
    EXPECT_EQ(strcmp(rates->all[COUNTER_EXITS][0].counter->name, "port"), 0);
    EXPECT_EQ(rates->count[COUNTER_MMU], 2); /* what is zero in all is left out */
    EXPECT_EQ(strcmp(rates->all[COUNTER_MMU][0].counter->name, "fills"), 0);
    EXPECT_EQ(strcmp(rates->all[COUNTER_MMU][1].counter->name, "pages"), 0);
}

static void test_without_time_between_two_looks_nothing_grows(void **state)
{
    const struct counters before = read_sound(DOCUMENT("9", "50", VP("10", "4", "6")));
    const struct counters now = read_sound(DOCUMENT("9", "60", VP("30", "4", "20")));
    const struct counters earlier = read_sound(DOCUMENT("5", "60", VP("30", "4", "20")));

    (void)state;
    assert_float_equal(rates_of(&before, &now, RATES_BY_SPEED)->exits_per_second, 0.0, 1e-9);
    assert_float_equal(rates_of(&before, &earlier, RATES_BY_SPEED)->exits_per_second, 0.0, 1e-9);
}

static void test_what_was_not_counted_before_began_at_zero(void **state)
{
    const struct counters before = read_sound(DOCUMENT("1000000000", "0", ""));
    const struct counters now = read_sound(DOCUMENT("2000000000", "0", VP("5", "5", "0")));

    (void)state;
    assert_float_equal(rates_of(&before, &now, RATES_BY_SPEED)->all[COUNTER_EXITS][0].per_second, 5.0, 1e-9);
}

static void test_of_several_partitions_one_must_be_named(void **state)
{
    struct complaint complaint;
    struct counters counters;

    (void)state;
    EXPECT(!counters_read("{\"vmmu\":1,\"partitions\":[{},{}]}", &counters, NULL, &complaint));
    EXPECT(strstr(complaint.text, "--partition"));
    EXPECT(strcmp(live_request("counters", LIVE_ALL).text, "counters") == 0);
    EXPECT(strcmp(live_request("counters", 0).text, "counters 0") == 0);
    EXPECT(strcmp(live_request("counters", UINT32_MAX - 1).text, "counters 4294967294") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_of_all_virtual_processors_are_summed),
        cmocka_unit_test(test_what_the_document_says_of_the_whole_is_known),
        cmocka_unit_test(test_traps_of_book_e_are_counted_by_kind_and_are_no_exits),
        cmocka_unit_test(test_what_other_processors_count_beside_is_no_trap),
        cmocka_unit_test(test_names_give_no_orders_to_a_terminal),
        cmocka_unit_test(test_documents_that_are_none_are_refused),
        cmocka_unit_test(test_what_is_of_the_wrong_type_is_passed_over),
        cmocka_unit_test(test_more_counters_than_there_is_room_for_are_cut),
        cmocka_unit_test(test_a_rate_is_growth_by_the_hypervisors_own_second),
        cmocka_unit_test(test_by_total_the_largest_comes_first_and_levels_come_last),
        cmocka_unit_test(test_without_time_between_two_looks_nothing_grows),
        cmocka_unit_test(test_what_was_not_counted_before_began_at_zero),
        cmocka_unit_test(test_of_several_partitions_one_must_be_named),
    };

    return RUN_TESTS(tests);
}
