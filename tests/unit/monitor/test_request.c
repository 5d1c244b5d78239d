/* What is asked on the control port: lines, and what they mean, whatever comes in. */
#include "hv/monitor/request.h"

#include <string.h>

#include "tests/unit/test.h"

/* Take @text. How many requests there were; the last one is in *request. */
static unsigned take(struct request_line *line, const char *text, struct request *request)
{
    unsigned requests = 0;

    for (; *text; text++) {
        requests += request_take(line, *text, request);
    }
    return requests;
}

static struct request ask(const char *text)
{
    struct request_line line = { 0 };
    struct request request = { 0 };

    EXPECT_EQ(take(&line, text, &request), 1);
    return request;
}

static void test_a_request_is_a_word_on_a_line(void **state)
{
    (void)state;
    EXPECT_EQ(ask("stats\n").kind, REQUEST_STATS);
    EXPECT_EQ(ask("shadow\n").kind, REQUEST_SHADOW);
    EXPECT_EQ(ask("  stats  \r\n").kind, REQUEST_STATS);
    EXPECT_EQ(ask("statistics\n").kind, REQUEST_UNKNOWN);
    EXPECT_EQ(ask("stat\n").kind, REQUEST_UNKNOWN);
    EXPECT_EQ(ask("stats now\n").kind, REQUEST_UNKNOWN);
    EXPECT_EQ(ask("help\n").kind, REQUEST_UNKNOWN);
    EXPECT_EQ(ask("stop\n").kind, REQUEST_STOP);
    EXPECT_EQ(ask("counters\n").kind, REQUEST_COUNTERS);
    EXPECT_EQ(ask("counter\n").kind, REQUEST_UNKNOWN);
    EXPECT_EQ(ask("go\n").kind, REQUEST_GO);
    EXPECT_EQ(ask("state\n").kind, REQUEST_STATE);
    EXPECT_EQ(ask("go on\n").kind, REQUEST_UNKNOWN);
    EXPECT_EQ(ask("states\n").kind, REQUEST_UNKNOWN);
    EXPECT_EQ(ask("g\n").kind, REQUEST_UNKNOWN);
}

static void test_tlb_is_of_the_first_vp_unless_one_is_named(void **state)
{
    (void)state;
    EXPECT_EQ(ask("tlb\n").kind, REQUEST_TLB);
    EXPECT_EQ(ask("tlb\n").vp, 0);
    EXPECT_EQ(ask("tlb\n").partition, 0);
    EXPECT_EQ(ask("tlb 3\n").vp, 3);
    EXPECT_EQ(ask("tlb 3 2\n").partition, 2);
    EXPECT_EQ(ask("tlb 3 2 1\n").kind, REQUEST_UNKNOWN);
    EXPECT_EQ(ask("tlb x\n").kind, REQUEST_UNKNOWN);
    EXPECT_EQ(ask("tlbs\n").kind, REQUEST_UNKNOWN);
}

static void test_what_is_not_about_one_partition_is_about_all(void **state)
{
    static const char *const plain[] = { "stats\n", "counters\n", "shadow\n", "stop\n", "go\n" };

    (void)state;
    for (unsigned i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        EXPECT_EQ(ask(plain[i]).partition, REQUEST_ALL);
    }
    EXPECT_EQ(ask("stop 0\n").kind, REQUEST_STOP);
    EXPECT_EQ(ask("stop 0\n").partition, 0);
    EXPECT_EQ(ask("go 7\n").kind, REQUEST_GO);
    EXPECT_EQ(ask("go 7\n").partition, 7);
    EXPECT_EQ(ask("  stats   1 \n").kind, REQUEST_STATS);
    EXPECT_EQ(ask("stats 1\n").partition, 1);
    EXPECT_EQ(ask("counters 12\n").partition, 12);
    EXPECT_EQ(ask("shadow 4294967294\n").partition, UINT32_MAX - 1);
}

static void test_a_partition_is_a_number(void **state)
{
    static const char *const wrong[] = {
        "stop one\n", "stop 1 2\n", "go -1\n",        "stats 0x1\n",
        "state 1\n",  "stats 1x\n", "partitions 1\n", "shadow 4294967295\n"
    };

    (void)state;
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        EXPECT_EQ(ask(wrong[i]).kind, REQUEST_UNKNOWN);
    }
}

static void test_a_console_is_somebodys(void **state)
{
    (void)state;
    EXPECT_EQ(ask("partitions\n").kind, REQUEST_PARTITIONS);
    EXPECT_EQ(ask("console 1\n").kind, REQUEST_CONSOLE);
    EXPECT_EQ(ask("console 1\n").partition, 1);
    EXPECT_EQ(ask("console-read 2\n").kind, REQUEST_CONSOLE_READ);
    EXPECT_EQ(ask("console-read 2\n").partition, 2);
    EXPECT_EQ(ask("console\n").kind, REQUEST_UNKNOWN);
    EXPECT_EQ(ask("console-read\n").kind, REQUEST_UNKNOWN);
    EXPECT_EQ(ask("console-\n").kind, REQUEST_UNKNOWN);
    EXPECT_EQ(ask("console all\n").kind, REQUEST_UNKNOWN);
}

static void test_a_walk_may_name_a_partition_behind_the_vp(void **state)
{
    (void)state;
    EXPECT_EQ(ask("walk 1000\n").partition, 0);
    EXPECT_EQ(ask("walk 1000 3\n").partition, 0);
    EXPECT_EQ(ask("walk 1000 3 1\n").kind, REQUEST_WALK);
    EXPECT_EQ(ask("walk 1000 3 1\n").vp, 3);
    EXPECT_EQ(ask("walk 1000 3 1\n").partition, 1);
    EXPECT_EQ(ask("walk 1000 3 1 2\n").kind, REQUEST_UNKNOWN);
}

static void test_a_read_names_an_address_in_hexadecimal_and_a_count_in_decimal(void **state)
{
    (void)state;
    EXPECT_EQ(ask("read 400000 16\n").kind, REQUEST_READ);
    EXPECT_EQ(ask("read 400000 16\n").at.v, 0x400000);
    EXPECT_EQ(ask("read 400000 16\n").count, 16);
    EXPECT_EQ(ask("  read  0xFFFFFFFFFFFFFFFF  1 \n").kind, REQUEST_READ);
    EXPECT_EQ(ask("read 0xFFFFFFFFFFFFFFFF 1\n").at.v, UINT64_MAX);
    EXPECT_EQ(ask("pages 0x1000 4096\n").kind, REQUEST_PAGES);
    EXPECT_EQ(ask("pages 0x1000 4096\n").at.v, 0x1000);
    EXPECT_EQ(ask("pages 0x1000 4096\n").count, 4096);
    EXPECT_EQ(ask("read 0 4096\n").kind, REQUEST_READ);
    EXPECT_EQ(ask("read 0 4096\n").count, 4096);
}

static void test_a_read_of_nothing_or_of_more_than_there_may_be_is_refused(void **state)
{
    static const char *const lines[] = { "read\n",
                                         "read 1000\n",
                                         "read 1000 0\n",
                                         "read 1000 4097\n",
                                         "read 1000 0x10\n",
                                         "read 1000 1a\n",
                                         "read 1000 -1\n",
                                         "read 1000 18446744073709551617\n",
                                         "read 10000000000000000 1\n",
                                         "read here 1\n",
                                         "read 1000 16 16\n",
                                         "read1000 16\n",
                                         "pages 1000\n",
                                         "pages 1000 0\n",
                                         "pages 1000 4097\n" };

    (void)state;
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        EXPECT_EQ(ask(lines[i]).kind, REQUEST_UNKNOWN);
    }
}

static void test_a_walk_names_an_address_and_perhaps_a_processor(void **state)
{
    (void)state;
    EXPECT_EQ(ask("walk ffff800000001000\n").kind, REQUEST_WALK);
    EXPECT_EQ(ask("walk ffff800000001000\n").va.v, UINT64_C(0xFFFF800000001000));
    EXPECT_EQ(ask("walk 0xC0DE 3\n").va.v, 0xC0DE);
    EXPECT_EQ(ask("walk 0xC0DE 3\n").vp, 3);
    EXPECT_EQ(ask("walk 0\n").va.v, 0);
    EXPECT_EQ(ask("walk 0\n").vp, 0);
    EXPECT_EQ(ask("walk ffffffffffffffff 4294967295\n").va.v, UINT64_MAX);
    EXPECT_EQ(ask("walk ffffffffffffffff 4294967295\n").vp, UINT32_MAX);
}

static void test_numbers_that_are_none_or_too_large_are_refused(void **state)
{
    static const char *const lines[] = { "walk\n",         "walk \n",    "walk 0x\n",
                                         "walk xyz\n",     "walk 12g\n", "walk 10000000000000000\n",
                                         "walk 1 -1\n",    "walk 1 a\n", "walk 1 4294967296\n",
                                         "walk 1 2 3 4\n", "walk 1,2\n", "walk 1 18446744073709551616\n",
                                         "walk 0x 0x0 \n", "walk -1\n" };

    (void)state;
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        EXPECT_EQ(ask(lines[i]).kind, REQUEST_UNKNOWN);
    }
}

static void test_blank_lines_ask_nothing(void **state)
{
    struct request_line line = { 0 };
    struct request request;

    (void)state;
    EXPECT_EQ(take(&line, "\n\r\n   \n\r\r\n", &request), 0);
    EXPECT_EQ(take(&line, "stats\n\nshadow\n", &request), 2);
    EXPECT_EQ(request.kind, REQUEST_SHADOW);
}

static void test_a_line_that_is_too_long_is_refused_as_a_whole(void **state)
{
    struct request_line line = { 0 };
    struct request request;
    unsigned letters = 0;

    (void)state;
    for (; letters < 100000; letters++) {
        EXPECT(!request_take(&line, letters % 6 == 5 ? ' ' : "stats"[letters % 6], &request));
    }
    EXPECT_EQ(take(&line, "\n", &request), 1);
    EXPECT_EQ(request.kind, REQUEST_UNKNOWN);
    EXPECT_EQ(take(&line, "stats\n", &request), 1);
    EXPECT_EQ(request.kind, REQUEST_STATS);
}

static void test_no_byte_is_too_strange(void **state)
{
    struct request_line line = { 0 };
    struct request request;
    uint32_t luck = 1;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        luck = luck * 1664525 + 1013904223;
        if (request_take(&line, (char)(luck >> 24), &request)) {
            EXPECT_EQ(request.kind, REQUEST_UNKNOWN);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_a_word_on_a_line),
        cmocka_unit_test(test_tlb_is_of_the_first_vp_unless_one_is_named),
        cmocka_unit_test(test_what_is_not_about_one_partition_is_about_all),
        cmocka_unit_test(test_a_partition_is_a_number),
        cmocka_unit_test(test_a_console_is_somebodys),
        cmocka_unit_test(test_a_walk_may_name_a_partition_behind_the_vp),
        cmocka_unit_test(test_a_read_names_an_address_in_hexadecimal_and_a_count_in_decimal),
        cmocka_unit_test(test_a_read_of_nothing_or_of_more_than_there_may_be_is_refused),
        cmocka_unit_test(test_a_walk_names_an_address_and_perhaps_a_processor),
        cmocka_unit_test(test_numbers_that_are_none_or_too_large_are_refused),
        cmocka_unit_test(test_blank_lines_ask_nothing),
        cmocka_unit_test(test_a_line_that_is_too_long_is_refused_as_a_whole),
        cmocka_unit_test(test_no_byte_is_too_strange),
    };

    return RUN_TESTS(tests);
}
