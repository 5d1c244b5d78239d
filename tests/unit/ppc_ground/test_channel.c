/*
 * The channels' bytes among the monitor's lines on the one control port.
 */
#include "tests/unit/test.h"

#include "hv/ppc/channel.h"

#include <string.h>

static char sent[65536];
static size_t count;

void serial_send_control(uint8_t byte)
{
    EXPECT(count + 1 < sizeof(sent));
    sent[count++] = (char)byte;
    sent[count] = '\0';
}

static void control(const char *text)
{
    while (*text != '\0') {
        channel_control((uint8_t)*text++);
    }
}

static void channel(unsigned number, const char *text)
{
    while (*text != '\0') {
        channel_write(number, (uint8_t)*text++);
    }
}

/* What has been sent since this was asked last. */
static void expect_sent(const char *text)
{
    assert_string_equal(sent, text);
    count = 0;
    sent[0] = '\0';
}

static int set_up(void **state)
{
    (void)state;
    channel_control('\n');
    channel_flush();
    expect_sent(sent);
    return 0;
}

static void test_a_line_goes_out_when_it_is_complete(void **state)
{
    (void)state;
    channel(0, "hi");
    expect_sent("");
    channel(0, "\n");
    expect_sent("{\"vmmu_channel\": 1, \"bytes\": \"68690a\"}\n");
    channel(1, "x\n");
    expect_sent("{\"vmmu_channel\": 2, \"bytes\": \"780a\"}\n");
}

static void test_what_waits_goes_out_by_a_flush_once(void **state)
{
    (void)state;
    channel(1, "ab");
    channel(0, "c");
    channel_flush();
    expect_sent("{\"vmmu_channel\": 1, \"bytes\": \"63\"}\n{\"vmmu_channel\": 2, \"bytes\": \"6162\"}\n");
    channel_flush();
    expect_sent("");
}

static void test_sixty_four_bytes_go_out_without_a_newline(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 63; i++) {
        channel_write(0, 0xff);
    }
    expect_sent("");
    channel_write(0, 0x00);
    EXPECT_EQ(count, strlen("{\"vmmu_channel\": 1, \"bytes\": \"\"}\n") + 128);
    EXPECT(strstr(sent, "ff00\"}\n") != NULL);
    expect_sent(sent);
}

static void test_a_line_of_the_monitors_is_not_broken(void **state)
{
    (void)state;
    control("{\"answer\":");
    channel(0, "early\n");
    channel_flush();
    control(" 1}\n");
    expect_sent("{\"answer\": 1}\n{\"vmmu_channel\": 1, \"bytes\": \"6561726c790a\"}\n");
}

static void test_bytes_that_wait_long_come_in_lines_of_sixty_four(void **state)
{
    (void)state;
    control("x");
    for (unsigned i = 0; i < 150; i++) {
        channel_write(0, 0xab);
    }
    control("\n");
    unsigned lines = 0, bytes = 0;
    for (const char *at = strchr(sent, '\n') + 1; *at != '\0'; at = strchr(at, '\n') + 1) {
        const size_t length =
            (size_t)(strchr(at, '\n') - at) - strlen("{\"vmmu_channel\": 1, \"bytes\": \"\"}");
        EXPECT(length <= 128);
        bytes += (unsigned)length / 2;
        lines++;
    }
    EXPECT_EQ(lines, 3);
    EXPECT_EQ(bytes, 150);
    expect_sent(sent);
}

static void test_nothing_is_lost_if_more_waits_than_there_is_room_for(void **state)
{
    (void)state;
    control("unfinished");
    for (unsigned i = 0; i < 1000; i++) {
        channel_write(1, 0xcd);
    }
    channel_flush();
    unsigned bytes = 0;
    for (const char *at = sent; (at = strstr(at, "cd")) != NULL; at += 2) {
        bytes++;
    }
    EXPECT_EQ(bytes, 1000);
    EXPECT(strncmp(sent, "unfinished\n{", 12) == 0);
    expect_sent(sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_line_goes_out_when_it_is_complete, set_up),
        cmocka_unit_test_setup(test_what_waits_goes_out_by_a_flush_once, set_up),
        cmocka_unit_test_setup(test_sixty_four_bytes_go_out_without_a_newline, set_up),
        cmocka_unit_test_setup(test_a_line_of_the_monitors_is_not_broken, set_up),
        cmocka_unit_test_setup(test_bytes_that_wait_long_come_in_lines_of_sixty_four, set_up),
        cmocka_unit_test_setup(test_nothing_is_lost_if_more_waits_than_there_is_room_for, set_up),
    };
    return RUN_TESTS(tests);
}
