/*
 * Sets of address ranges: joined, sorted, split, and never handing out a byte twice.
 */
#include "tests/unit/test.h"

#include "hv/boot/ranges.h"

#define CAPACITY 4

struct fixture {
    struct range space[CAPACITY + 1]; /* the last must never be touched */
    struct range_set set;
};

static struct fixture *fixture(void)
{
    static struct fixture f;
    f = (struct fixture){ .space = { [CAPACITY] = { 0xdead, 0xbeef } } };
    f.set = (struct range_set){ f.space, 0, CAPACITY };
    return &f;
}

static void expect_ranges(const struct fixture *f, const struct range *expected, unsigned count)
{
    EXPECT_EQ(f->set.count, count);
    for (unsigned i = 0; i < count; i++) {
        EXPECT_EQ(f->set.ranges[i].base, expected[i].base);
        EXPECT_EQ(f->set.ranges[i].end, expected[i].end);
    }
    EXPECT_EQ(f->space[CAPACITY].base, 0xdead);
    EXPECT_EQ(f->space[CAPACITY].end, 0xbeef);
}

#define EXPECT_RANGES(f, ...)                                                                                \
    do {                                                                                                     \
        const struct range expected[] = { __VA_ARGS__ };                                                     \
        expect_ranges((f), expected, sizeof(expected) / sizeof(expected[0]));                                \
    } while (0)

static void fill(struct fixture *f, const struct range *ranges, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        EXPECT(range_set_add(&f->set, ranges[i].base, ranges[i].end));
    }
}

static void test_ranges_are_kept_in_order_of_address(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    fill(f, (struct range[]){ { 50, 60 }, { 10, 20 }, { 30, 40 } }, 3);
    EXPECT_RANGES(f, { 10, 20 }, { 30, 40 }, { 50, 60 });
    EXPECT_EQ(range_set_total(&f->set), 30);
}

static void test_touching_and_overlapping_ranges_become_one(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    fill(f, (struct range[]){ { 10, 20 }, { 20, 30 }, { 5, 12 } }, 3);
    EXPECT_RANGES(f, { 5, 30 });
    fill(f, (struct range[]){ { 40, 50 }, { 60, 70 }, { 25, 65 } }, 3);
    EXPECT_RANGES(f, { 5, 70 });
    fill(f, (struct range[]){ { 10, 11 } }, 1);
    EXPECT_RANGES(f, { 5, 70 });
}

static void test_an_empty_or_inverted_range_adds_and_removes_nothing(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    fill(f, (struct range[]){ { 10, 20 }, { 30, 30 }, { 50, 40 } }, 3);
    range_set_remove(&f->set, 15, 15);
    range_set_remove(&f->set, 18, 12);
    EXPECT_RANGES(f, { 10, 20 });
}

static void test_a_full_set_refuses_a_new_range_and_is_unchanged(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    fill(f, (struct range[]){ { 1, 2 }, { 3, 4 }, { 5, 6 }, { 7, 8 } }, 4);
    EXPECT(!range_set_add(&f->set, 9, 10));
    EXPECT_RANGES(f, { 1, 2 }, { 3, 4 }, { 5, 6 }, { 7, 8 });
    EXPECT(range_set_add(&f->set, 2, 3));
    EXPECT_RANGES(f, { 1, 4 }, { 5, 6 }, { 7, 8 });
}

static void test_removing_cuts_ends_and_drops_what_is_covered(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    fill(f, (struct range[]){ { 10, 20 }, { 30, 40 }, { 50, 60 } }, 3);
    range_set_remove(&f->set, 15, 55);
    EXPECT_RANGES(f, { 10, 15 }, { 55, 60 });
    range_set_remove(&f->set, 0, 11);
    range_set_remove(&f->set, 59, UINT64_MAX);
    EXPECT_RANGES(f, { 11, 15 }, { 55, 59 });
}

static void test_removing_from_the_middle_leaves_two_pieces(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    fill(f, (struct range[]){ { 10, 20 }, { 30, 40 } }, 2);
    range_set_remove(&f->set, 12, 14);
    EXPECT_RANGES(f, { 10, 12 }, { 14, 20 }, { 30, 40 });
}

static void test_a_full_set_that_must_split_keeps_the_larger_piece(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    fill(f, (struct range[]){ { 10, 20 }, { 30, 40 }, { 50, 60 }, { 70, 80 } }, 4);
    range_set_remove(&f->set, 32, 34);
    range_set_remove(&f->set, 56, 58);
    EXPECT_RANGES(f, { 10, 20 }, { 34, 40 }, { 50, 56 }, { 70, 80 });
}

static void test_the_lowest_aligned_place_is_taken(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    uint64_t base = 0;
    fill(f, (struct range[]){ { 0x1000, 0x3000 }, { 0x5000, 0x9000 } }, 2);
    EXPECT(range_set_take(&f->set, 0x2000, 0x2000, UINT64_MAX, &base));
    EXPECT_EQ(base, 0x6000);
    EXPECT_RANGES(f, { 0x1000, 0x3000 }, { 0x5000, 0x6000 }, { 0x8000, 0x9000 });
    EXPECT(range_set_take(&f->set, 0x1000, 0x1000, UINT64_MAX, &base));
    EXPECT_EQ(base, 0x1000);
}

static void test_a_limit_holds_for_the_end_of_what_is_taken(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    uint64_t base = 7;
    fill(f, (struct range[]){ { 0x1000, 0x9000 } }, 1);
    EXPECT(!range_set_take(&f->set, 0x3000, 0x1000, 0x3fff, &base));
    EXPECT_EQ(base, 7);
    EXPECT(range_set_take(&f->set, 0x3000, 0x1000, 0x4000, &base));
    EXPECT_EQ(base, 0x1000);
    EXPECT(!range_set_take(&f->set, 0x1000, 0x1000, 0x800, &base));
}

static void test_absurd_sizes_and_alignments_are_not_found(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    uint64_t base = 7;
    fill(f, (struct range[]){ { 0x1000, 0x9000 }, { UINT64_MAX - 0x1fff, UINT64_MAX } }, 2);
    EXPECT(!range_set_take(&f->set, 0, 0x1000, UINT64_MAX, &base));
    EXPECT(!range_set_take(&f->set, UINT64_MAX, 0x1000, UINT64_MAX, &base));
    EXPECT(!range_set_take(&f->set, 0x9000, 1, UINT64_MAX, &base));
    EXPECT(!range_set_take(&f->set, 0x1000, UINT64_C(1) << 63, UINT64_MAX, &base));
    EXPECT_EQ(base, 7);
}

static void test_a_full_set_gives_only_from_the_ends_of_ranges(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    uint64_t base = 0;
    fill(f, (struct range[]){ { 1, 9 }, { 11, 19 }, { 21, 29 }, { 33, 40 } }, 4);
    EXPECT(!range_set_take(&f->set, 2, 16, 32, &base));
    EXPECT(range_set_take(&f->set, 5, 4, UINT64_MAX, &base));
    EXPECT_EQ(base, 4);
    EXPECT_RANGES(f, { 1, 4 }, { 11, 19 }, { 21, 29 }, { 33, 40 });
}

/* A model: one bit per address, over addresses that are few enough to count. */
#define MODEL_ADDRESSES 64

static bool model_agrees(const struct range_set *set, uint64_t model)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < set->count; i++) {
        const struct range *range = &set->ranges[i];
        if (range->base >= range->end || (i > 0 && set->ranges[i - 1].end >= range->base)) {
            return false;
        }
        for (uint64_t at = range->base; at < range->end; at++) {
            seen |= UINT64_C(1) << at;
        }
    }
    return seen == model;
}

static void test_random_operations_agree_with_a_set_of_addresses(void **state)
{
    (void)state;
    struct range space[MODEL_ADDRESSES];
    struct range_set set = { space, 0, MODEL_ADDRESSES };
    uint64_t model = 0;
    uint64_t seed = 0x1234567;
    for (unsigned i = 0; i < 200000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const uint64_t base = (seed >> 33) % MODEL_ADDRESSES,
                       end = base + (seed >> 41) % (MODEL_ADDRESSES - base);
        const uint64_t mask = ((UINT64_C(1) << (end - base)) - 1) << base;
        if (seed >> 63) {
            EXPECT(range_set_add(&set, base, end));
            model |= mask;
        } else {
            range_set_remove(&set, base, end);
            model &= ~mask;
        }
        EXPECT(model_agrees(&set, model));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_are_kept_in_order_of_address),
        cmocka_unit_test(test_touching_and_overlapping_ranges_become_one),
        cmocka_unit_test(test_an_empty_or_inverted_range_adds_and_removes_nothing),
        cmocka_unit_test(test_a_full_set_refuses_a_new_range_and_is_unchanged),
        cmocka_unit_test(test_removing_cuts_ends_and_drops_what_is_covered),
        cmocka_unit_test(test_removing_from_the_middle_leaves_two_pieces),
        cmocka_unit_test(test_a_full_set_that_must_split_keeps_the_larger_piece),
        cmocka_unit_test(test_the_lowest_aligned_place_is_taken),
        cmocka_unit_test(test_a_limit_holds_for_the_end_of_what_is_taken),
        cmocka_unit_test(test_absurd_sizes_and_alignments_are_not_found),
        cmocka_unit_test(test_a_full_set_gives_only_from_the_ends_of_ranges),
        cmocka_unit_test(test_random_operations_agree_with_a_set_of_addresses),
    };
    return RUN_TESTS(tests);
}
