/*
 * A TLB against a list: the same inserts, lookups and invalidations, drawn at random from a small world in
 * which regions, tags and sizes meet often. Where nothing is evicted both must hold the same; where
 * something is, the TLB may hold less.
 */
#include "tests/unit/test.h"
#include "tests/unit/tlb/tlbs.h"

#include <string.h>

#define LIST_ENTRIES 8192

struct list {
    bool duplicates;
    unsigned count;
    struct vmmu_tlb_entry entries[LIST_ENTRIES];
};

static struct list list;
static uint64_t random_state;

static uint32_t below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % bound);
}

static bool same_tag(const struct vmmu_tlb_entry *a, const struct vmmu_tlb_entry *b)
{
    return a->tag.stage2 == b->tag.stage2 && a->tag.space == b->tag.space &&
           (a->tag.context == b->tag.context || a->global || b->global);
}

static bool replaces(const struct vmmu_tlb_entry *a, const struct vmmu_tlb_entry *b)
{
    if (a->base != b->base || a->page_shift != b->page_shift || a->kind != b->kind ||
        a->table_level != b->table_level || !same_tag(a, b)) {
        return false;
    }
    return !list.duplicates || (a->global == b->global && a->tag.context == b->tag.context &&
                                a->frame == b->frame && a->data == b->data);
}

static void list_remove(unsigned at)
{
    list.entries[at] = list.entries[--list.count];
}

static void list_insert(const struct vmmu_tlb_entry *entry)
{
    for (unsigned i = list.count; i-- > 0;) {
        if (replaces(entry, &list.entries[i])) {
            list_remove(i);
        }
    }
    EXPECT(list.count < LIST_ENTRIES);
    list.entries[list.count++] = *entry;
}

static bool list_answers(const struct vmmu_tlb_entry *entry, const struct vmmu_tlb_query *query)
{
    return query->address >= entry->base && query->address - entry->base < BIT64(entry->page_shift) &&
           query->kind == entry->kind && query->table_level == entry->table_level &&
           query->tag.stage2 == entry->tag.stage2 && query->tag.space == entry->tag.space &&
           (entry->global || query->tag.context == entry->tag.context);
}

/* Condition by condition, as the header words them. */
static bool list_covers(const struct vmmu_tlb_scope *scope, const struct vmmu_tlb_entry *entry)
{
    const uint64_t last = entry->base + BIT64(entry->page_shift) - 1;

    if ((scope->kinds & entry->kind) == 0 || (scope->spare_space_0 && entry->tag.space == 0)) {
        return false;
    }
    if ((entry->table_level == 0 && !scope->translations) ||
        (entry->table_level != 0 && !scope->structures)) {
        return false;
    }
    if (scope->by_range && (last < scope->first || entry->base > scope->last || scope->first > scope->last)) {
        return false;
    }
    if ((scope->by & VMMU_TLB_BY_STAGE2) != 0 && entry->tag.stage2 != scope->tag.stage2) {
        return false;
    }
    if ((scope->by & VMMU_TLB_BY_SPACE) != 0 && entry->tag.space != scope->tag.space) {
        return false;
    }
    if (entry->global && scope->globals == VMMU_TLB_GLOBALS_KEEP) {
        return false;
    }
    if (entry->global && scope->globals == VMMU_TLB_GLOBALS_ALWAYS) {
        return true;
    }
    return (scope->by & VMMU_TLB_BY_CONTEXT) == 0 || entry->tag.context == scope->tag.context;
}

static unsigned list_invalidate(const struct vmmu_tlb_scopes *scopes)
{
    unsigned removed = 0;

    for (unsigned i = list.count; i-- > 0;) {
        bool covered = false;

        for (unsigned j = 0; j < scopes->count; j++) {
            covered = covered || list_covers(&scopes->scope[j], &list.entries[i]);
        }
        if (covered) {
            list_remove(i);
            removed++;
        }
    }
    return removed;
}

static struct vmmu_tlb_tag random_tag(void)
{
    static const uint64_t stages[3] = { 0, 0x1000, UINT64_C(0xffffffffff000) };

    return (struct vmmu_tlb_tag){ stages[below(3)], (uint16_t)below(3), (uint16_t)(below(3) * 0x7fff) };
}

/* Near the bottom, in the middle, or at the very top of the address space. */
static uint64_t random_address(void)
{
    static const uint64_t areas[4] = { 0, UINT64_C(0x7fff80000000), UINT64_C(0xffffffffffffe000),
                                       UINT64_C(0xffffffff80000000) };

    return areas[below(4)] + below(4) * VMMU_2M_BYTES * below(2) + below(0x2000);
}

static uint8_t random_kind(void)
{
    static const uint8_t kinds[3] = { VMMU_TLB_LINEAR, VMMU_TLB_GUEST_PHYSICAL, VMMU_TLB_COMBINED };

    return kinds[below(3)];
}

static struct vmmu_tlb_entry random_entry(void)
{
    static const uint8_t shifts[6] = { SHIFT_4K, SHIFT_2M, SHIFT_1G, SHIFT_4K, SHIFT_2M, 63 };
    struct vmmu_tlb_entry entry = translation(0, shifts[below(6)], below(3));

    entry.base = random_address() & ~(BIT64(entry.page_shift) - 1);
    entry.tag = random_tag();
    entry.data = below(2);
    entry.kind = random_kind();
    entry.table_level = (uint8_t)(below(2) * below(4));
    entry.global = entry.table_level == 0 && below(4) == 0;
    return entry;
}

static struct vmmu_tlb_query random_query(void)
{
    return (struct vmmu_tlb_query){ random_address(), random_tag(), random_kind(),
                                    (uint8_t)(below(2) * below(4)) };
}

static struct vmmu_tlb_scope random_scope(void)
{
    struct vmmu_tlb_scope scope = {
        .kinds = (uint8_t)(1 + below(VMMU_TLB_KINDS)),
        .translations = below(4) != 0,
        .structures = below(2) != 0,
        .by = (uint8_t)below(8),
        .tag = random_tag(),
        .spare_space_0 = below(3) == 0,
        .by_range = below(3) != 0,
        .globals = (enum vmmu_tlb_globals)below(3),
    };

    scope.first = random_address();
    scope.last = below(3) == 0 ? random_address() : scope.first + below(0x3000);
    return scope;
}

static struct vmmu_tlb_scopes random_scopes(void)
{
    struct vmmu_tlb_scopes scopes = { .count = (uint8_t)below(VMMU_TLB_SCOPES + 1) };

    for (unsigned i = 0; i < scopes.count; i++) {
        scopes.scope[i] = random_scope();
    }
    return scopes;
}

static bool is_in_list(const struct vmmu_tlb_entry *entry)
{
    for (unsigned i = 0; i < list.count; i++) {
        const struct vmmu_tlb_entry *const other = &list.entries[i];

        if (other->base == entry->base && other->page_shift == entry->page_shift &&
            other->kind == entry->kind && other->table_level == entry->table_level &&
            other->global == entry->global && other->tag.stage2 == entry->tag.stage2 &&
            other->tag.space == entry->tag.space && other->tag.context == entry->tag.context &&
            other->frame == entry->frame && other->data == entry->data) {
            return true;
        }
    }
    return false;
}

/* What the list answers to @query: how many, and the smallest region's shift. */
static unsigned list_count(const struct vmmu_tlb_query *query, uint8_t *smallest)
{
    unsigned count = 0;

    *smallest = 64;
    for (unsigned i = 0; i < list.count; i++) {
        if (list_answers(&list.entries[i], query)) {
            *smallest = list.entries[i].page_shift < *smallest ? list.entries[i].page_shift : *smallest;
            count++;
        }
    }
    return count;
}

/* All that the TLB has for @query is in the list, and answers it. Returns how many that are. */
static unsigned check_each(const struct vmmu_tlb *tlb, const struct vmmu_tlb_query *query)
{
    const struct vmmu_tlb_entry *entry;
    uint32_t cursor = 0;
    unsigned count = 0;

    while ((entry = vmmu_tlb_each(tlb, query, &cursor)) != NULL) {
        EXPECT(list_answers(entry, query));
        EXPECT(is_in_list(entry));
        count++;
    }
    EXPECT(vmmu_tlb_each(tlb, query, &cursor) == NULL);
    return count;
}

static void check_query(struct vmmu_tlb *tlb, bool evicts)
{
    const struct vmmu_tlb_query query = random_query();
    uint8_t smallest;
    const unsigned expected = list_count(&query, &smallest);
    const unsigned present = check_each(tlb, &query);
    const struct vmmu_tlb_entry *const found = vmmu_tlb_lookup(tlb, &query);

    EXPECT((found != NULL) == (present != 0));
    if (found != NULL) {
        EXPECT(list_answers(found, &query));
        EXPECT(is_in_list(found));
    }
    if (!evicts) {
        EXPECT_EQ(present, expected);
        EXPECT_EQ(found != NULL ? found->page_shift : 64, smallest);
    }
}

static bool is_of_kind(void *context, const struct vmmu_tlb_entry *entry)
{
    return entry->kind == *(uint8_t *)context;
}

static void remove_a_kind(struct vmmu_tlb *tlb, bool evicts)
{
    uint8_t kind = random_kind();
    const uint32_t removed = vmmu_tlb_remove_if(tlb, is_of_kind, &kind);
    unsigned expected = 0;

    for (unsigned i = list.count; i-- > 0;) {
        if (list.entries[i].kind == kind) {
            list_remove(i);
            expected++;
        }
    }
    EXPECT(evicts || removed == expected);
}

static bool is_not_in_list(void *context, const struct vmmu_tlb_entry *entry)
{
    (void)context;
    return !is_in_list(entry);
}

static void run(const struct vmmu_tlb_config *config, bool evicts, unsigned steps)
{
    struct vmmu_tlb *const tlb = make_tlb(config);

    list.count = 0;
    list.duplicates = config->duplicates;
    for (unsigned step = 0; step < steps; step++) {
        const struct vmmu_tlb_entry entry = random_entry();
        const struct vmmu_tlb_scopes scopes = random_scopes();

        if (vmmu_tlb_insert(tlb, &entry) == VMMU_OK) {
            list_insert(&entry);
        }
        check_query(tlb, evicts);
        if (below(16) == 0) {
            const uint32_t removed = vmmu_tlb_invalidate(tlb, &scopes);
            const unsigned expected = list_invalidate(&scopes);

            EXPECT(evicts || removed == expected);
            EXPECT_EQ(vmmu_tlb_remove_if(tlb, is_not_in_list, NULL), 0);
        }
        if (below(256) == 0) {
            remove_a_kind(tlb, evicts);
        }
    }
    EXPECT_EQ(vmmu_tlb_remove_if(tlb, is_not_in_list, NULL), 0);
    EXPECT(evicts == (tlb->statistics.evicted != 0));
    drop_tlb(tlb);
}

static void test_without_eviction_one_set_holds_exactly_what_the_list_holds(void **state)
{
    struct vmmu_tlb_config config = one_array(1, 8192);

    (void)state;
    random_state = 1;
    run(&config, false, 30000);
    config.duplicates = true;
    run(&config, false, 30000);
}

static void test_without_eviction_many_sets_hold_exactly_what_the_list_holds(void **state)
{
    struct vmmu_tlb_config config = one_array(64, 1021);

    (void)state;
    random_state = 2;
    run(&config, false, 30000);
    config.duplicates = true;
    run(&config, false, 30000);
}

static void test_with_eviction_a_tlb_never_holds_what_the_list_does_not(void **state)
{
    struct vmmu_tlb_config config = processor_like();

    (void)state;
    random_state = 3;
    for (unsigned round = 0; round < 12; round++) {
        config.array[0].replacement = (enum vmmu_tlb_replacement)(round % 3);
        config.array[1].replacement = (enum vmmu_tlb_replacement)(round / 3 % 3);
        config.array[1].structures = round % 2 != 0;
        config.array[1].sets = round < 6 ? 2 : 8;
        config.array[1].ways = (uint16_t)(1 + round % 5);
        config.array[0].ways = (uint16_t)(1 + round % 4);
        config.array[0].sets = 2;
        config.duplicates = round >= 6;
        config.seed = round;
        run(&config, true, 10000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_eviction_one_set_holds_exactly_what_the_list_holds),
        cmocka_unit_test(test_without_eviction_many_sets_hold_exactly_what_the_list_holds),
        cmocka_unit_test(test_with_eviction_a_tlb_never_holds_what_the_list_does_not),
    };

    return RUN_TESTS(tests);
}
