/* What a console has said: the last of it is kept, and each reader knows where it was. */
#include "hv/monitor/ring.h"

#include "tests/unit/test.h"

static struct ring ring;

static void begin(uint64_t count)
{
    ring.written = 0;
    for (uint64_t i = 0; i < count; i++) {
        ring_put(&ring, (uint8_t)(i % 251));
    }
}

static void test_what_is_put_in_is_read_in_that_order_once(void **state)
{
    uint64_t place = 0;
    uint8_t byte = 0xFF;

    (void)state;
    begin(3);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(ring_take(&ring, &place, &byte));
        EXPECT_EQ(byte, i);
    }
    EXPECT(!ring_take(&ring, &place, &byte));
    ring_put(&ring, 'x');
    EXPECT(ring_take(&ring, &place, &byte));
    EXPECT_EQ(byte, 'x');
}

static void test_readers_do_not_take_from_each_other(void **state)
{
    uint64_t one = 0;
    uint64_t other = 0;
    uint8_t byte = 0xFF;

    (void)state;
    begin(2);
    EXPECT(ring_take(&ring, &one, &byte));
    EXPECT(ring_take(&ring, &one, &byte));
    EXPECT(ring_take(&ring, &other, &byte));
    EXPECT_EQ(byte, 0);
}

static void test_nothing_is_lost_while_it_fits(void **state)
{
    uint64_t place = 0;
    uint8_t byte = 0xFF;

    (void)state;
    begin(RING_BYTES);
    EXPECT_EQ(ring_catch_up(&ring, &place), 0);
    EXPECT(ring_take(&ring, &place, &byte));
    EXPECT_EQ(byte, 0);
}

static void test_a_reader_that_is_too_late_goes_on_with_the_oldest_and_knows_what_it_lost(void **state)
{
    uint64_t place = 0;
    uint64_t taken = 0;
    uint8_t byte = 0xFF;

    (void)state;
    begin(RING_BYTES + 10);
    EXPECT_EQ(ring_catch_up(&ring, &place), 10);
    EXPECT_EQ(ring_catch_up(&ring, &place), 0);
    place = 0;
    EXPECT(ring_take(&ring, &place, &byte));
    EXPECT_EQ(byte, 10);
    for (taken = 1; ring_take(&ring, &place, &byte); taken++) {
        EXPECT_EQ(byte, (10 + taken) % 251);
    }
    EXPECT_EQ(taken, RING_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_put_in_is_read_in_that_order_once),
        cmocka_unit_test(test_readers_do_not_take_from_each_other),
        cmocka_unit_test(test_nothing_is_lost_while_it_fits),
        cmocka_unit_test(test_a_reader_that_is_too_late_goes_on_with_the_oldest_and_knows_what_it_lost),
    };

    return RUN_TESTS(tests);
}
