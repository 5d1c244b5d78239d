/* What a TLB finds, keeps and forgets: tags, sizes, sorts, levels, replacement, and configurations that cannot be. */
#include "tests/unit/test.h"
#include "tests/unit/tlb/tlbs.h"

#include <stdlib.h>

static uint64_t frame_at(struct vmmu_tlb *tlb, struct vmmu_tlb_query query)
{
    const struct vmmu_tlb_entry *const entry = vmmu_tlb_lookup(tlb, &query);

    return entry != NULL ? entry->frame : 0;
}

static void insert(struct vmmu_tlb *tlb, struct vmmu_tlb_entry entry)
{
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_OK);
}

static void test_an_entry_answers_for_every_address_of_its_region_and_no_other(void **state)
{
    const struct vmmu_tlb_config config = one_array(4, 4);
    static const uint8_t shifts[] = { 12, 14, 21, 22, 30, 32, 39, 63 };

    (void)state;
    for (size_t i = 0; i < sizeof(shifts); i++) {
        struct vmmu_tlb *const tlb = make_tlb(&config);
        const struct vmmu_tlb_entry entry = translation(1, shifts[i], 7);
        struct vmmu_tlb_query query = query_for(&entry);

        insert(tlb, entry);
        EXPECT_EQ(frame_at(tlb, query), 7);
        query.address = entry.base + BIT64(shifts[i]) - 1;
        EXPECT_EQ(frame_at(tlb, query), 7);
        query.address++;
        EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
        query.address = entry.base - 1;
        EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
        drop_tlb(tlb);
    }
}

static void test_an_entry_answers_under_its_whole_tag_only(void **state)
{
    const struct vmmu_tlb_config config = one_array(1, 8);
    struct vmmu_tlb *const tlb = make_tlb(&config);
    struct vmmu_tlb_entry entry = translation(5, SHIFT_4K, 1);

    (void)state;
    entry.tag = (struct vmmu_tlb_tag){ .stage2 = 0x7000, .space = 3, .context = 9 };
    insert(tlb, entry);
    for (unsigned i = 0; i < 5; i++) {
        struct vmmu_tlb_query query = query_for(&entry);

        query.tag.stage2 += i == 1;
        query.tag.space ^= i == 2;
        query.tag.context ^= i == 3;
        query.kind = i == 4 ? VMMU_TLB_COMBINED : query.kind;
        EXPECT((vmmu_tlb_lookup(tlb, &query) != NULL) == (i == 0));
    }
    drop_tlb(tlb);
}

/* Whatever shortcut a lookup takes, it compares all: of thousands of other tags and addresses none answers. */
static void test_no_other_tag_or_address_ever_answers(void **state)
{
    const struct vmmu_tlb_config config = one_array(1, 4);
    struct vmmu_tlb *const tlb = make_tlb(&config);
    struct vmmu_tlb_entry entry = translation(0x123456789, SHIFT_4K, 1);

    (void)state;
    entry.tag = (struct vmmu_tlb_tag){ .stage2 = 0x7000, .space = 3, .context = 9 };
    insert(tlb, entry);
    for (unsigned i = 1; i < 5000; i++) {
        struct vmmu_tlb_query query = query_for(&entry);

        query.tag.stage2 = entry.tag.stage2 ^ (uint64_t)i << SHIFT_4K;
        EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
        query.tag.stage2 = entry.tag.stage2;
        query.tag.space = (uint16_t)(entry.tag.space ^ i);
        EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
        query.tag.space = entry.tag.space;
        query.tag.context = (uint16_t)(entry.tag.context ^ i);
        EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
        query.tag.context = entry.tag.context;
        query.address = entry.base ^ (uint64_t)i << SHIFT_4K;
        EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
        query.address = entry.base;
        query.table_level = (uint8_t)(i % 255 + 1);
        EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
    }
    drop_tlb(tlb);
}

static void test_a_global_entry_answers_under_every_context_of_its_space_and_stage_two(void **state)
{
    const struct vmmu_tlb_config config = one_array(1, 8);
    struct vmmu_tlb *const tlb = make_tlb(&config);
    struct vmmu_tlb_entry entry = translation(5, SHIFT_4K, 1);
    struct vmmu_tlb_query query;

    (void)state;
    entry.global = true;
    entry.tag = (struct vmmu_tlb_tag){ .stage2 = 0x7000, .space = 3, .context = 9 };
    insert(tlb, entry);
    query = query_for(&entry);
    query.tag.context = 0;
    EXPECT_EQ(frame_at(tlb, query), 1);
    query.tag.context = UINT16_MAX;
    EXPECT_EQ(frame_at(tlb, query), 1);
    query.tag.space = 4;
    EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
    query.tag = (struct vmmu_tlb_tag){ .stage2 = 0, .space = 3, .context = 9 };
    EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
    drop_tlb(tlb);
}

static void test_an_entry_of_a_structure_cache_answers_for_its_level_only(void **state)
{
    const struct vmmu_tlb_config config = one_array(1, 8);
    struct vmmu_tlb *const tlb = make_tlb(&config);
    struct vmmu_tlb_entry entry = translation(5, SHIFT_2M, 1);
    struct vmmu_tlb_query query = query_for(&entry);

    (void)state;
    entry.table_level = 1;
    insert(tlb, entry);
    EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
    query.table_level = 2;
    EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
    query.table_level = 1;
    EXPECT_EQ(frame_at(tlb, query), 1);
    drop_tlb(tlb);
}

static void test_of_regions_that_overlap_the_smallest_is_found_first(void **state)
{
    const struct vmmu_tlb_config config = one_array(4, 8);
    struct vmmu_tlb *const tlb = make_tlb(&config);
    const struct vmmu_tlb_query query = { .address = 0x1234, .kind = VMMU_TLB_LINEAR };
    const struct vmmu_tlb_scope small = {
        .kinds = VMMU_TLB_KINDS, .translations = true, .by_range = true, .first = 0x1000, .last = 0x1fff
    };

    (void)state;
    insert(tlb, translation(0, SHIFT_2M, 21));
    insert(tlb, translation(1, SHIFT_4K, 12));
    insert(tlb, translation(0, SHIFT_1G, 30));
    EXPECT_EQ(frame_at(tlb, query), 12);
    EXPECT_EQ(answers(tlb, &query), 3);
    EXPECT_EQ(invalidate(tlb, small), 3);
    EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
    drop_tlb(tlb);
}

static void test_a_new_entry_takes_the_place_of_the_old_one_for_its_region_and_tag(void **state)
{
    const struct vmmu_tlb_config config = one_array(1, 8);
    struct vmmu_tlb *const tlb = make_tlb(&config);
    struct vmmu_tlb_entry entry = translation(5, SHIFT_4K, 1);
    const struct vmmu_tlb_query query = query_for(&entry);

    (void)state;
    insert(tlb, entry);
    entry.frame = 2;
    insert(tlb, entry);
    EXPECT_EQ(answers(tlb, &query), 1);
    EXPECT_EQ(frame_at(tlb, query), 2);
    EXPECT_EQ(tlb->statistics.inserts, 2);
    EXPECT_EQ(tlb->statistics.replaced, 1);
    EXPECT_EQ(tlb->statistics.evicted, 0);
    drop_tlb(tlb);
}

static void test_a_global_entry_takes_the_place_of_those_of_all_contexts_and_gives_it_to_any(void **state)
{
    const struct vmmu_tlb_config config = one_array(1, 8);
    struct vmmu_tlb *const tlb = make_tlb(&config);
    struct vmmu_tlb_entry entry = translation(5, SHIFT_4K, 1);

    (void)state;
    for (uint16_t context = 0; context < 4; context++) {
        entry.tag.context = context;
        insert(tlb, entry);
    }
    entry.global = true;
    entry.tag.context = 9;
    insert(tlb, entry);
    EXPECT_EQ(tlb->statistics.replaced, 4);
    entry.global = false;
    entry.tag.context = 2;
    insert(tlb, entry);
    EXPECT_EQ(tlb->statistics.replaced, 5);
    EXPECT_EQ(invalidate(tlb, everything()), 1);
    drop_tlb(tlb);
}

static void test_duplicates_live_side_by_side_unless_alike_in_every_field(void **state)
{
    struct vmmu_tlb_config config = one_array(1, 64);
    struct vmmu_tlb_entry entry = translation(5, SHIFT_4K, 1);
    const struct vmmu_tlb_query query = query_for(&entry);
    struct vmmu_tlb *tlb;

    (void)state;
    config.duplicates = true;
    tlb = make_tlb(&config);
    insert(tlb, entry);
    insert(tlb, entry);
    EXPECT_EQ(answers(tlb, &query), 1);
    entry.frame = 2;
    insert(tlb, entry);
    entry.data = 1;
    insert(tlb, entry);
    entry.global = true;
    insert(tlb, entry);
    insert(tlb, entry);
    EXPECT_EQ(answers(tlb, &query), 4);
    entry.tag.context = 1;
    insert(tlb, entry);
    EXPECT_EQ(answers(tlb, &query), 5);
    drop_tlb(tlb);
}

static void test_each_changes_neither_replacement_nor_statistics(void **state)
{
    const struct vmmu_tlb_config config = one_array(1, 2);
    struct vmmu_tlb *const tlb = make_tlb(&config);
    const struct vmmu_tlb_entry old = translation(1, SHIFT_4K, 1);
    const struct vmmu_tlb_query query = query_for(&old);

    (void)state;
    insert(tlb, old);
    insert(tlb, translation(2, SHIFT_4K, 2));
    EXPECT_EQ(answers(tlb, &query), 1);
    insert(tlb, translation(3, SHIFT_4K, 3));
    EXPECT_EQ(answers(tlb, &query), 0);
    EXPECT_EQ(tlb->statistics.lookups, 0);
    EXPECT_EQ(tlb->statistics.misses, 0);
    EXPECT_EQ(tlb->statistics.evicted, 1);
    drop_tlb(tlb);
}

static void test_least_recently_used_is_what_was_neither_found_nor_inserted_for_longest(void **state)
{
    const struct vmmu_tlb_config config = one_array(1, 4);
    struct vmmu_tlb *const tlb = make_tlb(&config);

    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        insert(tlb, translation(i, SHIFT_4K, i + 1));
    }
    for (uint64_t i = 4; i < 20; i++) {
        const struct vmmu_tlb_entry first = translation(0, SHIFT_4K, 0);
        const struct vmmu_tlb_entry oldest = translation(i - 3, SHIFT_4K, 0);
        const struct vmmu_tlb_query kept = query_for(&first);
        const struct vmmu_tlb_query gone = query_for(&oldest);

        EXPECT_EQ(frame_at(tlb, kept), 1);
        EXPECT_EQ(answers(tlb, &gone), 1);
        insert(tlb, translation(i, SHIFT_4K, i + 1));
        EXPECT_EQ(answers(tlb, &gone), 0);
    }
    drop_tlb(tlb);
}

static void test_a_removal_leaves_the_order_of_use_of_the_others(void **state)
{
    const struct vmmu_tlb_config config = one_array(1, 4);
    struct vmmu_tlb_scope first_page = everything();

    (void)state;
    first_page.by_range = true;
    for (uint64_t removed = 0; removed < 4; removed++) {
        struct vmmu_tlb *const tlb = make_tlb(&config);

        for (uint64_t i = 0; i < 4; i++) {
            insert(tlb, translation(i, SHIFT_4K, i + 1));
        }
        first_page.first = first_page.last = removed << SHIFT_4K;
        EXPECT_EQ(invalidate(tlb, first_page), 1);
        insert(tlb, translation(4, SHIFT_4K, 5));
        for (uint64_t i = 0; i < 4; i++) {
            const struct vmmu_tlb_entry oldest = translation(i, SHIFT_4K, 0);
            const struct vmmu_tlb_query query = query_for(&oldest);

            EXPECT_EQ(answers(tlb, &query), i != removed);
            if (i != removed) {
                insert(tlb, translation(i + 8, SHIFT_4K, 1));
            }
            EXPECT_EQ(answers(tlb, &query), 0);
        }
        drop_tlb(tlb);
    }
}

static void test_round_robin_evicts_the_ways_in_turn_however_they_are_used(void **state)
{
    struct vmmu_tlb_config config = one_array(1, 3);
    struct vmmu_tlb *tlb;

    (void)state;
    config.array[0].replacement = VMMU_TLB_ROUND_ROBIN;
    tlb = make_tlb(&config);
    for (uint64_t i = 0; i < 30; i++) {
        const struct vmmu_tlb_entry oldest = translation(i - 3, SHIFT_4K, 0);
        const struct vmmu_tlb_query query = query_for(&oldest);

        EXPECT((vmmu_tlb_lookup(tlb, &query) != NULL) == (i >= 3));
        insert(tlb, translation(i, SHIFT_4K, 1));
        EXPECT_EQ(answers(tlb, &query), 0);
    }
    drop_tlb(tlb);
}

/* The pages left, as bits, after 64 inserts into four ways. */
static uint64_t left_by_chance(uint64_t seed)
{
    struct vmmu_tlb_config config = one_array(1, 4);
    struct vmmu_tlb *tlb;
    uint64_t left = 0;

    config.array[0].replacement = VMMU_TLB_RANDOM;
    config.seed = seed;
    tlb = make_tlb(&config);
    for (uint64_t i = 0; i < 64; i++) {
        insert(tlb, translation(i, SHIFT_4K, 1));
    }
    for (uint64_t i = 0; i < 64; i++) {
        const struct vmmu_tlb_entry entry = translation(i, SHIFT_4K, 1);
        const struct vmmu_tlb_query query = query_for(&entry);

        left |= (uint64_t)answers(tlb, &query) << i;
    }
    EXPECT_EQ(tlb->statistics.evicted, 60);
    drop_tlb(tlb);
    return left;
}

static void test_random_replacement_follows_the_seed(void **state)
{
    unsigned different = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 32; seed++) {
        EXPECT_EQ(left_by_chance(seed), left_by_chance(seed));
        EXPECT_EQ(__builtin_popcountll(left_by_chance(seed)), 4);
        different += left_by_chance(seed) != left_by_chance(seed + 1);
    }
    EXPECT(different > 24);
}

static void test_a_hit_in_the_second_level_is_copied_to_the_first(void **state)
{
    const struct vmmu_tlb_config config = processor_like();
    struct vmmu_tlb *const tlb = make_tlb(&config);
    const struct vmmu_tlb_entry entry = translation(0, SHIFT_4K, 1);
    const struct vmmu_tlb_query query = query_for(&entry);

    (void)state;
    insert(tlb, entry);
    for (uint64_t i = 1; i <= 4; i++) {
        insert(tlb, translation(i * 16, SHIFT_4K, 2));
    }
    EXPECT_EQ(tlb->statistics.evicted, 1);
    EXPECT_EQ(answers(tlb, &query), 1);
    EXPECT_EQ(frame_at(tlb, query), 1);
    EXPECT_EQ(answers(tlb, &query), 2);
    EXPECT_EQ(frame_at(tlb, query), 1);
    EXPECT_EQ(tlb->statistics.hits[1], 1);
    EXPECT_EQ(tlb->statistics.hits[0], 1);
    EXPECT_EQ(tlb->statistics.promoted, 1);
    EXPECT_EQ(tlb->statistics.evicted, 2);
    drop_tlb(tlb);
}

static void test_a_hit_is_copied_to_no_array_that_does_not_hold_its_like(void **state)
{
    struct vmmu_tlb_config config = { .arrays = 4 };
    struct vmmu_tlb_entry entry = translation(3, SHIFT_2M, 1);
    struct vmmu_tlb_query query;
    struct vmmu_tlb *tlb;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        config.array[i] = one_array(1, 1).array[0];
    }
    config.array[0].page_shifts = BIT64(SHIFT_4K);
    config.array[1].structures = false;
    config.array[2].kinds = VMMU_TLB_LINEAR | VMMU_TLB_GUEST_PHYSICAL;
    entry.kind = VMMU_TLB_COMBINED;
    entry.table_level = 1;
    query = query_for(&entry);
    tlb = make_tlb(&config);
    insert(tlb, entry);
    EXPECT_EQ(frame_at(tlb, query), 1);
    EXPECT_EQ(answers(tlb, &query), 1);
    EXPECT_EQ(tlb->statistics.hits[3], 1);
    EXPECT_EQ(tlb->statistics.promoted, 0);
    drop_tlb(tlb);
}

static void test_what_no_array_holds_is_refused(void **state)
{
    struct vmmu_tlb_config config = processor_like();
    struct vmmu_tlb_entry entry = translation(1, SHIFT_4K, 1);
    struct vmmu_tlb *tlb;

    (void)state;
    config.arrays = 1;
    config.array[0].kinds = VMMU_TLB_LINEAR;
    tlb = make_tlb(&config);
    entry.kind = VMMU_TLB_COMBINED;
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_UNSUPPORTED);
    entry = translation(1, 13, 1);
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_UNSUPPORTED);
    entry = translation(0, 0, 1);
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_UNSUPPORTED);
    entry.page_shift = 64;
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_UNSUPPORTED);
    entry.page_shift = UINT8_MAX;
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_UNSUPPORTED);
    entry = translation(1, SHIFT_2M, 1);
    entry.table_level = 1;
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_UNSUPPORTED);
    EXPECT_EQ(tlb->statistics.inserts, 0);
    EXPECT_EQ(invalidate(tlb, everything()), 0);
    drop_tlb(tlb);
}

static void test_what_is_no_entry_is_refused(void **state)
{
    const struct vmmu_tlb_config config = one_array(4, 4);
    struct vmmu_tlb *const tlb = make_tlb(&config);
    struct vmmu_tlb_entry entry = translation(1, SHIFT_2M, 1);

    (void)state;
    entry.base += VMMU_PAGE_BYTES;
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_INVALID);
    entry = translation(1, SHIFT_2M, 1);
    entry.kind = 0;
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_INVALID);
    entry.kind = VMMU_TLB_LINEAR | VMMU_TLB_COMBINED;
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_INVALID);
    entry.kind = 8;
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_INVALID);
    EXPECT_EQ(invalidate(tlb, everything()), 0);
    drop_tlb(tlb);
}

static bool is_refused(const struct vmmu_tlb_config *config)
{
    static uint64_t memory[64];
    struct vmmu_tlb tlb;

    return vmmu_tlb_memory_bytes(config) == 0 &&
           vmmu_tlb_init(&tlb, config, memory, sizeof(memory)) == VMMU_INVALID;
}

static void test_arrays_that_cannot_be_are_refused(void **state)
{
    const struct vmmu_tlb_config good = one_array(1, 1);
    struct vmmu_tlb_config bad[12];

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        bad[i] = good;
    }
    bad[0].arrays = 0;
    bad[1].arrays = VMMU_TLB_ARRAYS + 1;
    bad[2].arrays = 2;
    bad[3].array[0].sets = 0;
    bad[4].array[0].sets = 3;
    bad[5].array[0].ways = 0;
    bad[6].array[0].kinds = 0;
    bad[7].array[0].kinds = 8 | VMMU_TLB_LINEAR;
    bad[8].array[0].translations = bad[8].array[0].structures = false;
    bad[9].array[0].page_shifts = 0;
    bad[10].array[0].page_shifts = BIT64(11) | BIT64(12);
    bad[11].array[0].replacement = (enum vmmu_tlb_replacement)(VMMU_TLB_RANDOM + 1);
    for (unsigned i = 0; i < 12; i++) {
        EXPECT(is_refused(&bad[i]));
    }
    EXPECT(!is_refused(&good));
}

static void test_more_entries_than_can_be_counted_are_refused(void **state)
{
    struct vmmu_tlb_config config = one_array(BIT64(31), UINT16_MAX);

    (void)state;
    EXPECT(is_refused(&config));
    config = one_array(BIT64(16), UINT16_MAX);
    EXPECT(is_refused(&config));
    config.array[0].sets = BIT64(15);
    EXPECT(vmmu_tlb_memory_bytes(&config) == 0 || vmmu_tlb_memory_bytes(&config) > BIT64(31));
    config.arrays = 2;
    config.array[1] = config.array[0];
    EXPECT(is_refused(&config));
}

static void test_memory_must_be_enough_and_aligned(void **state)
{
    const struct vmmu_tlb_config config = processor_like();
    const size_t bytes = vmmu_tlb_memory_bytes(&config);
    uint8_t *const memory = malloc(bytes + 8);
    struct vmmu_tlb tlb;

    (void)state;
    EXPECT(memory != NULL);
    EXPECT_EQ(vmmu_tlb_init(&tlb, &config, memory, bytes - 1), VMMU_INVALID);
    EXPECT_EQ(vmmu_tlb_init(&tlb, &config, memory + 4, bytes), VMMU_INVALID);
    EXPECT_EQ(vmmu_tlb_init(&tlb, &config, memory + 8, bytes), VMMU_OK);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_answers_for_every_address_of_its_region_and_no_other),
        cmocka_unit_test(test_an_entry_answers_under_its_whole_tag_only),
        cmocka_unit_test(test_no_other_tag_or_address_ever_answers),
        cmocka_unit_test(test_a_global_entry_answers_under_every_context_of_its_space_and_stage_two),
        cmocka_unit_test(test_an_entry_of_a_structure_cache_answers_for_its_level_only),
        cmocka_unit_test(test_of_regions_that_overlap_the_smallest_is_found_first),
        cmocka_unit_test(test_a_new_entry_takes_the_place_of_the_old_one_for_its_region_and_tag),
        cmocka_unit_test(test_a_global_entry_takes_the_place_of_those_of_all_contexts_and_gives_it_to_any),
        cmocka_unit_test(test_duplicates_live_side_by_side_unless_alike_in_every_field),
        cmocka_unit_test(test_each_changes_neither_replacement_nor_statistics),
        cmocka_unit_test(test_least_recently_used_is_what_was_neither_found_nor_inserted_for_longest),
        cmocka_unit_test(test_a_removal_leaves_the_order_of_use_of_the_others),
        cmocka_unit_test(test_round_robin_evicts_the_ways_in_turn_however_they_are_used),
        cmocka_unit_test(test_random_replacement_follows_the_seed),
        cmocka_unit_test(test_a_hit_in_the_second_level_is_copied_to_the_first),
        cmocka_unit_test(test_a_hit_is_copied_to_no_array_that_does_not_hold_its_like),
        cmocka_unit_test(test_what_no_array_holds_is_refused),
        cmocka_unit_test(test_what_is_no_entry_is_refused),
        cmocka_unit_test(test_arrays_that_cannot_be_are_refused),
        cmocka_unit_test(test_more_entries_than_can_be_counted_are_refused),
        cmocka_unit_test(test_memory_must_be_enough_and_aligned),
    };

    return RUN_TESTS(tests);
}
