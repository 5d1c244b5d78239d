/* Invalidation: each condition of a scope spares what does not meet it, and only that. */
#include "tests/unit/test.h"
#include "tests/unit/tlb/tlbs.h"

#define PAGES 8

static struct vmmu_tlb *some_tlb(void)
{
    const struct vmmu_tlb_config config = one_array(8, 16);

    return make_tlb(&config);
}

/* Remember page @number with the rest of @like. */
static void insert(struct vmmu_tlb *tlb, uint64_t number, struct vmmu_tlb_entry like)
{
    like.base = number << like.page_shift;
    EXPECT_EQ(vmmu_tlb_insert(tlb, &like), VMMU_OK);
}

static struct vmmu_tlb_entry tagged(uint64_t stage2, uint16_t space, uint16_t context)
{
    struct vmmu_tlb_entry entry = translation(0, SHIFT_4K, 1);

    entry.tag = (struct vmmu_tlb_tag){ stage2, space, context };
    return entry;
}

/* Whether @scope removes @entry, which is alone. */
static bool covers(struct vmmu_tlb_scope scope, struct vmmu_tlb_entry entry)
{
    struct vmmu_tlb *const tlb = some_tlb();
    const struct vmmu_tlb_query query = query_for(&entry);
    uint32_t removed;

    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_OK);
    removed = invalidate(tlb, scope);
    EXPECT_EQ(answers(tlb, &query), 1 - removed);
    EXPECT_EQ(tlb->statistics.invalidations, 1);
    EXPECT_EQ(tlb->statistics.removed, removed);
    drop_tlb(tlb);
    return removed == 1;
}

static void test_a_scope_covers_the_kinds_that_it_names(void **state)
{
    (void)state;
    for (uint8_t kinds = 0; kinds <= VMMU_TLB_KINDS; kinds++) {
        for (uint8_t kind = 1; kind <= VMMU_TLB_COMBINED; kind = (uint8_t)(kind * 2)) {
            struct vmmu_tlb_entry entry = translation(1, SHIFT_4K, 1);
            struct vmmu_tlb_scope scope = everything();

            entry.kind = kind;
            scope.kinds = kinds;
            EXPECT(covers(scope, entry) == ((kinds & kind) != 0));
        }
    }
}

static void test_a_scope_covers_the_sorts_that_it_names(void **state)
{
    struct vmmu_tlb_entry structure = translation(1, SHIFT_2M, 1);
    struct vmmu_tlb_scope scope = everything();

    (void)state;
    structure.table_level = 1;
    scope.structures = false;
    EXPECT(!covers(scope, structure));
    EXPECT(covers(scope, translation(1, SHIFT_2M, 1)));
    scope.structures = true;
    scope.translations = false;
    EXPECT(covers(scope, structure));
    EXPECT(!covers(scope, translation(1, SHIFT_2M, 1)));
}

static void test_a_scope_compares_those_members_of_the_tag_that_it_names(void **state)
{
    (void)state;
    for (uint8_t by = 0; by < 8; by++) {
        for (uint8_t differs = 0; differs < 8; differs++) {
            struct vmmu_tlb_scope scope = everything();
            const struct vmmu_tlb_entry entry =
                tagged(0x5000 + ((differs & VMMU_TLB_BY_STAGE2) != 0 ? 0x1000 : 0),
                       6 + ((differs & VMMU_TLB_BY_SPACE) != 0), 7 + ((differs & VMMU_TLB_BY_CONTEXT) != 0));

            scope.by = by;
            scope.tag = (struct vmmu_tlb_tag){ 0x5000, 6, 7 };
            EXPECT(covers(scope, entry) == ((by & differs) == 0));
        }
    }
}

static void test_space_0_is_spared_where_a_scope_says_so(void **state)
{
    struct vmmu_tlb_scope scope = everything();

    (void)state;
    EXPECT(covers(scope, tagged(0, 0, 0)));
    scope.spare_space_0 = true;
    EXPECT(!covers(scope, tagged(0, 0, 0)));
    EXPECT(!covers(scope, tagged(0x1000, 0, 5)));
    EXPECT(covers(scope, tagged(0, 1, 0)));
}

static void test_global_entries_stay_or_go_by_context_or_go_always(void **state)
{
    struct vmmu_tlb_entry other = tagged(0, 1, 2);
    struct vmmu_tlb_entry same = tagged(0, 1, 3);
    struct vmmu_tlb_scope scope = everything();

    (void)state;
    other.global = true;
    same.global = true;
    scope.by = VMMU_TLB_BY_CONTEXT;
    scope.tag.context = 3;
    scope.globals = VMMU_TLB_GLOBALS_KEEP;
    EXPECT(!covers(scope, other));
    EXPECT(!covers(scope, same));
    EXPECT(covers(scope, tagged(0, 1, 3)));
    scope.globals = VMMU_TLB_GLOBALS_BY_CONTEXT;
    EXPECT(!covers(scope, other));
    EXPECT(covers(scope, same));
    scope.globals = VMMU_TLB_GLOBALS_ALWAYS;
    EXPECT(covers(scope, other));
    EXPECT(covers(scope, same));
    EXPECT(!covers(scope, tagged(0, 1, 2)));
}

static void test_globals_that_go_always_must_meet_the_other_conditions(void **state)
{
    struct vmmu_tlb_entry entry = tagged(0x1000, 1, 2);
    struct vmmu_tlb_scope scope = everything();

    (void)state;
    entry.global = true;
    scope.by = VMMU_TLB_BY_SPACE;
    scope.tag.space = 2;
    EXPECT(!covers(scope, entry));
    scope.by = VMMU_TLB_BY_STAGE2;
    scope.tag.stage2 = 0x2000;
    EXPECT(!covers(scope, entry));
    scope.by = 0;
    scope.by_range = true;
    scope.first = scope.last = 0x5000;
    EXPECT(!covers(scope, entry));
}

static struct vmmu_tlb_scope range(uint64_t first, uint64_t last)
{
    struct vmmu_tlb_scope scope = everything();

    scope.by_range = true;
    scope.first = first;
    scope.last = last;
    return scope;
}

static void test_a_range_covers_regions_of_every_size_that_meet_it(void **state)
{
    static const uint8_t shifts[] = { 12, 14, 21, 22, 30, 39, 63 };

    (void)state;
    for (size_t i = 0; i < sizeof(shifts); i++) {
        const struct vmmu_tlb_entry entry = translation(1, shifts[i], 1);
        const uint64_t last = entry.base + BIT64(shifts[i]) - 1;

        EXPECT(covers(range(entry.base, entry.base), entry));
        EXPECT(covers(range(last, last), entry));
        EXPECT(covers(range(entry.base + 0x800, entry.base + 0x800), entry));
        EXPECT(covers(range(0, UINT64_MAX), entry));
        EXPECT(covers(range(0, entry.base), entry));
        EXPECT(covers(range(last, UINT64_MAX), entry));
        EXPECT(!covers(range(0, entry.base - 1), entry));
        EXPECT(last == UINT64_MAX || !covers(range(last + 1, UINT64_MAX), entry));
    }
}

static void test_a_range_that_ends_before_it_begins_covers_nothing(void **state)
{
    (void)state;
    EXPECT(!covers(range(0x2000, 0x1fff), translation(1, SHIFT_4K, 1)));
    EXPECT(!covers(range(UINT64_MAX, 0), translation(0, 63, 1)));
}

static void test_a_range_of_many_pages_reaches_every_set_that_they_are_in(void **state)
{
    (void)state;
    for (uint64_t first = 0; first < 24; first++) {
        for (uint64_t count = 1; count < 24; count++) {
            struct vmmu_tlb *const tlb = some_tlb();

            for (uint64_t page = 0; page < 64; page++) {
                insert(tlb, page, translation(0, SHIFT_4K, 1));
            }
            EXPECT_EQ(invalidate(tlb, range(first << SHIFT_4K, ((first + count) << SHIFT_4K) - 1)), count);
            EXPECT_EQ(invalidate(tlb, everything()), 64 - count);
            drop_tlb(tlb);
        }
    }
}

static void test_scopes_of_one_invalidation_join_and_count_each_entry_once(void **state)
{
    struct vmmu_tlb *const tlb = some_tlb();
    struct vmmu_tlb_scopes scopes = { .count = 3 };

    (void)state;
    for (uint16_t space = 0; space < PAGES; space++) {
        insert(tlb, 3, tagged(0, space, 0));
    }
    for (unsigned i = 0; i < 3; i++) {
        scopes.scope[i] = everything();
        scopes.scope[i].by = VMMU_TLB_BY_SPACE;
        scopes.scope[i].tag.space = (uint16_t)(i % 2);
    }
    EXPECT_EQ(vmmu_tlb_invalidate(tlb, &scopes), 2);
    EXPECT_EQ(invalidate(tlb, everything()), PAGES - 2);
    EXPECT_EQ(tlb->statistics.invalidations, 2);
    EXPECT_EQ(tlb->statistics.removed, PAGES);
    drop_tlb(tlb);
}

static void test_no_scope_removes_nothing(void **state)
{
    const struct vmmu_tlb_scopes none = { .count = 0 };
    struct vmmu_tlb *const tlb = some_tlb();

    (void)state;
    insert(tlb, 3, translation(0, SHIFT_4K, 1));
    EXPECT_EQ(vmmu_tlb_invalidate(tlb, &none), 0);
    EXPECT_EQ(invalidate(tlb, everything()), 1);
    drop_tlb(tlb);
}

static void test_an_invalidation_reaches_every_array(void **state)
{
    const struct vmmu_tlb_config config = processor_like();
    struct vmmu_tlb *const tlb = make_tlb(&config);
    const struct vmmu_tlb_entry entry = translation(5, SHIFT_4K, 1);
    const struct vmmu_tlb_query query = query_for(&entry);

    (void)state;
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_OK);
    EXPECT_EQ(answers(tlb, &query), 2);
    EXPECT_EQ(invalidate(tlb, range(0x5000, 0x5000)), 2);
    EXPECT(vmmu_tlb_lookup(tlb, &query) == NULL);
    drop_tlb(tlb);
}

static bool is_odd_page(void *context, const struct vmmu_tlb_entry *entry)
{
    ++*(unsigned *)context;
    return (entry->base >> SHIFT_4K) % 2 != 0;
}

static void test_a_judgement_is_asked_of_every_entry_once(void **state)
{
    struct vmmu_tlb *const tlb = some_tlb();
    unsigned asked = 0;

    (void)state;
    for (uint64_t page = 0; page < 100; page++) {
        insert(tlb, page, translation(0, SHIFT_4K, 1));
    }
    EXPECT_EQ(vmmu_tlb_remove_if(tlb, is_odd_page, &asked), 50);
    EXPECT_EQ(asked, 100);
    EXPECT_EQ(vmmu_tlb_remove_if(tlb, is_odd_page, &asked), 0);
    EXPECT_EQ(asked, 150);
    EXPECT_EQ(tlb->statistics.invalidations, 2);
    EXPECT_EQ(tlb->statistics.removed, 50);
    drop_tlb(tlb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_scope_covers_the_kinds_that_it_names),
        cmocka_unit_test(test_a_scope_covers_the_sorts_that_it_names),
        cmocka_unit_test(test_a_scope_compares_those_members_of_the_tag_that_it_names),
        cmocka_unit_test(test_space_0_is_spared_where_a_scope_says_so),
        cmocka_unit_test(test_global_entries_stay_or_go_by_context_or_go_always),
        cmocka_unit_test(test_globals_that_go_always_must_meet_the_other_conditions),
        cmocka_unit_test(test_a_range_covers_regions_of_every_size_that_meet_it),
        cmocka_unit_test(test_a_range_that_ends_before_it_begins_covers_nothing),
        cmocka_unit_test(test_a_range_of_many_pages_reaches_every_set_that_they_are_in),
        cmocka_unit_test(test_scopes_of_one_invalidation_join_and_count_each_entry_once),
        cmocka_unit_test(test_no_scope_removes_nothing),
        cmocka_unit_test(test_an_invalidation_reaches_every_array),
        cmocka_unit_test(test_a_judgement_is_asked_of_every_entry_once),
    };

    return RUN_TESTS(tests);
}
