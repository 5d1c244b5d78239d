/*
 * What a partition's policies ask of shadow tables. TLFS "Virtual MMU and Caching": tables that virtual processors share or do
 * not, table entries with cache bits, and accesses that are not cached.
 */
#include "tests/unit/shadow/mirror.h"

#include "tests/unit/test.h"

static struct mirror mirror;

#define VA    UINT64_C(0x40000000)
#define ROOT  UINT64_C(0x4000)
#define FAR   (VA + UINT64_C(0xC8000)) /* by the same table */
#define DONE  (G_ACCESSED | G_DIRTY)
#define G_PWT BIT64(3)
#define G_PCD BIT64(4)

/* Both virtual processors on the tables at ROOT. */
static void start(struct mirror_offer offer, enum vmmu_x86_paging paging)
{
    offer.vps = 2;
    mirror_start_as(&mirror, 128, offer);
    mirror_page(&mirror, 0, paging, ROOT);
    mirror_page(&mirror, 1, paging, ROOT);
}

static void start_private(enum vmmu_x86_paging paging)
{
    start((struct mirror_offer){ .private_vps = true }, paging);
}

static void start_heeding(enum vmmu_x86_paging paging)
{
    start((struct mirror_offer){ .heeds_table_cache = true }, paging);
}

/* --- sharing --- */

static void test_an_entry_made_for_one_processor_serves_another_where_tables_are_shared(void **state)
{
    (void)state;
    start((struct mirror_offer){ 0 }, VMMU_X86_PAGING_4LEVEL);
    EXPECT_EQ(mirror.root[0].cr3, mirror.root[1].cr3);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | DONE);
    EXPECT(mirror_read(&mirror, 0, VA).faults > 0);
    EXPECT_EQ(mirror_read(&mirror, 1, VA).faults, 0);
    mirror_finish(&mirror);
}

static void test_an_entry_made_for_one_processor_is_not_anothers_where_tables_are_private(void **state)
{
    static const enum vmmu_x86_paging modes[] = { VMMU_X86_PAGING_32BIT, VMMU_X86_PAGING_PAE,
                                                  VMMU_X86_PAGING_4LEVEL, VMMU_X86_PAGING_5LEVEL };

    (void)state;
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        start_private(modes[i]);
        EXPECT(mirror.root[0].cr3 != mirror.root[1].cr3);
        mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | DONE);
        mirror_enter(&mirror, 0); /* the PDPTE registers */
        mirror_enter(&mirror, 1);
        EXPECT(mirror_read(&mirror, 0, VA).faults > 0);
        EXPECT(mirror_read(&mirror, 1, VA).faults > 0);
        EXPECT_EQ(mirror_read(&mirror, 0, VA).faults, 0);
        EXPECT_EQ(mirror_read(&mirror, 1, VA).gpa, 0x7000);
        mirror_finish(&mirror);
    }
}

static void test_unpaged_processors_have_their_own_too(void **state)
{
    (void)state;
    mirror_start_as(&mirror, 128, (struct mirror_offer){ .vps = 2, .private_vps = true });
    EXPECT(mirror_read(&mirror, 0, 0x7000).faults > 0);
    EXPECT(mirror_read(&mirror, 1, 0x7000).faults > 0);
    EXPECT_EQ(mirror_read(&mirror, 1, 0x7000).gpa, 0x7000);
    mirror_finish(&mirror);
}

static void test_private_tables_take_pages_for_each_processor(void **state)
{
    uint64_t shared;

    (void)state;
    start((struct mirror_offer){ 0 }, VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | DONE);
    (void)mirror_read(&mirror, 0, VA);
    (void)mirror_read(&mirror, 1, VA);
    shared = mirror.shadow.counters.pages;
    mirror_finish(&mirror);
    start_private(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | DONE);
    (void)mirror_read(&mirror, 0, VA);
    (void)mirror_read(&mirror, 1, VA);
    EXPECT_EQ(mirror.shadow.counters.pages, shared + 4); /* one for each level */
    mirror_finish(&mirror);
}

static void test_a_write_to_a_table_reaches_every_processors_shadow_of_it(void **state)
{
    (void)state;
    start_private(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | DONE);
    (void)mirror_read(&mirror, 0, VA);
    (void)mirror_read(&mirror, 1, VA);
    mirror_write(&mirror, mirror_entry_at(&mirror, 0, VA, 1), 0x8000 | G_ALL | DONE);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).gpa, 0x8000);
    EXPECT_EQ(mirror_read(&mirror, 1, VA).gpa, 0x8000);
    mirror_finish(&mirror);
}

static void test_a_closed_table_is_closed_to_every_processor(void **state)
{
    const uint64_t window = 2 * VA;
    uint64_t table;

    (void)state;
    start_private(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | DONE);
    table = mirror_entry_at(&mirror, 0, VA, 1) & ~UINT64_C(0xFFF);
    mirror_map(&mirror, 0, window, 1, table | G_ALL | DONE);
    (void)mirror_read(&mirror, 0, VA);
    (void)mirror_store(&mirror, 1, window);
    EXPECT_EQ(mirror_store(&mirror, 1, window).faults, 0);
    mirror_settle(&mirror, 0); /* its shadow of the table gets closed */
    EXPECT(mirror_store(&mirror, 1, window).faults > 0);
    mirror_finish(&mirror);
}

static void test_each_processor_comes_back_to_its_own_root(void **state)
{
    uint64_t first;
    uint64_t made;

    (void)state;
    start_private(VMMU_X86_PAGING_4LEVEL);
    mirror_settle(&mirror, 0);
    mirror_settle(&mirror, 1);
    first = mirror.root[1].cr3;
    mirror.registers[1].cr3 = 0x5000;
    mirror_enter(&mirror, 1);
    made = mirror.shadow.counters.roots_made;
    mirror.registers[1].cr3 = ROOT;
    mirror_enter(&mirror, 1);
    EXPECT_EQ(mirror.root[1].cr3, first);
    EXPECT_EQ(mirror.shadow.counters.roots_made, made);
    mirror_finish(&mirror);
}

/* --- cache bits of entries that lead to tables --- */

/* The leaf of VA at @level, with @bits in the entry of @upper above it. */
static struct mirror_result read_below(unsigned level, unsigned upper, uint64_t bits)
{
    const uint64_t leaf = level == 1 ? 0x7000 : 0x200000 | G_LARGE;

    mirror_map(&mirror, 0, VA, level, leaf | G_ALL | DONE);
    if (upper != 0) {
        const uint64_t at = mirror_entry_at(&mirror, 0, VA, upper);

        mirror_write(&mirror, at, mirror_get(&mirror, at) | bits);
    }
    mirror_enter(&mirror, 0);
    return mirror_read(&mirror, 0, VA);
}

static void test_each_level_above_the_leaf_is_told_of(void **state)
{
    static const uint64_t bits[] = { G_PWT, G_PCD, G_PWT | G_PCD };

    (void)state;
    for (unsigned level = 2; level <= 4; level++) {
        for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++) {
            start_heeding(VMMU_X86_PAGING_4LEVEL);
            EXPECT(read_below(1, level, bits[i]).table_cache);
            mirror_finish(&mirror);
        }
    }
}

static void test_a_leafs_own_bits_are_its_pages(void **state)
{
    struct mirror_result result;

    (void)state;
    start_heeding(VMMU_X86_PAGING_4LEVEL);
    EXPECT(!read_below(1, 1, G_PCD | G_PWT).table_cache);
    mirror_finish(&mirror);
    start_heeding(VMMU_X86_PAGING_4LEVEL);
    result = read_below(2, 2, G_PCD);
    EXPECT(!result.table_cache);
    EXPECT_EQ(result.gpa, 0x200000);
    mirror_finish(&mirror);
    start_heeding(VMMU_X86_PAGING_4LEVEL);
    EXPECT(read_below(2, 3, G_PCD).table_cache);
    mirror_finish(&mirror);
}

static void test_without_cache_bits_nothing_is_told(void **state)
{
    (void)state;
    start_heeding(VMMU_X86_PAGING_4LEVEL);
    EXPECT(!read_below(1, 0, 0).table_cache);
    mirror_finish(&mirror);
    mirror_start_as(&mirror, 128, (struct mirror_offer){ .vps = 1, .heeds_table_cache = true });
    EXPECT(!mirror_read(&mirror, 0, VA & 0xFFFFFF).table_cache); /* unpaged */
    mirror_finish(&mirror);
}

static void test_who_does_not_ask_is_not_told(void **state)
{
    (void)state;
    start((struct mirror_offer){ 0 }, VMMU_X86_PAGING_4LEVEL);
    EXPECT(!read_below(1, 2, G_PCD).table_cache);
    mirror_finish(&mirror);
}

static void test_page_directory_entries_of_32_bit_paging_are_told_of(void **state)
{
    (void)state;
    start_heeding(VMMU_X86_PAGING_32BIT);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | DONE);
    const uint64_t at = mirror_entry_at(&mirror, 0, VA, 2);

    mirror_write(&mirror, at, mirror_get(&mirror, at) | G_PCD);
    EXPECT(mirror_read(&mirror, 0, VA).table_cache);
    mirror_finish(&mirror);
}

static void test_pdpte_registers_are_told_of(void **state)
{
    (void)state;
    start_heeding(VMMU_X86_PAGING_PAE);
    EXPECT(read_below(1, 3, G_PWT).table_cache);
    mirror_finish(&mirror);
}

static void test_every_page_below_is_told_of_at_its_first_use(void **state)
{
    (void)state;
    start_heeding(VMMU_X86_PAGING_4LEVEL);
    EXPECT(read_below(1, 2, G_PCD).table_cache);
    EXPECT(!mirror_read(&mirror, 0, VA).table_cache); /* it is mapped, and goes on */
    mirror_map(&mirror, 0, FAR, 1, 0x9000 | G_ALL | DONE);
    EXPECT(mirror_read(&mirror, 0, FAR).table_cache);
    mirror_finish(&mirror);
}

static void test_bits_that_come_later_are_seen_at_the_next_use_after_a_flush(void **state)
{
    (void)state;
    start_heeding(VMMU_X86_PAGING_4LEVEL);
    EXPECT(!read_below(1, 0, 0).table_cache);
    mirror_settle(&mirror, 0);
    EXPECT(read_below(1, 2, G_PCD).table_cache);
    mirror_finish(&mirror);
}

static void test_a_link_with_cache_bits_is_not_made_beforehand(void **state)
{
    const uint64_t other = VA + 0x200000;

    (void)state;
    start_heeding(VMMU_X86_PAGING_4LEVEL);
    EXPECT(!read_below(1, 0, 0).table_cache);
    mirror_settle(&mirror, 0);
    mirror.registers[0].cr3 = 0x5000; /* another space with the same table, through an entry that has them */
    mirror_enter(&mirror, 0);
    mirror_map(&mirror, 0, other, 2, 0x400000 | G_LARGE | G_ALL | DONE);
    mirror_write(&mirror, mirror_entry_at(&mirror, 0, VA, 2),
                 (mirror_get(&mirror, mirror_entry_at(&mirror, 1, VA, 2)) | G_PCD | G_ACCESSED));
    mirror_enter(&mirror, 0);
    (void)mirror_read(&mirror, 0, other); /* what stands beside it is made with it */
    EXPECT(mirror_read(&mirror, 0, VA).table_cache);
    mirror_finish(&mirror);
}

/* --- nothing cached --- */

static enum vmmu_x86_memory_type type_of(struct mirror_result result)
{
    return vmmu_x86_pat_type(MIRROR_PAT, result.leaf.pat_index);
}

static void set_pat(uint64_t pat)
{
    enum vmmu_status status;

    MIRROR_DO(&mirror, status, vmmu_shadow_set_guest_pat(&mirror.shadow, pat));
    EXPECT_EQ(status, VMMU_OK);
    mirror_enter(&mirror, 0);
    mirror_enter(&mirror, 1);
}

static void test_a_pat_of_uc_makes_every_access_uncached_with_paging_or_without(void **state)
{
    (void)state;
    mirror_start(&mirror, 128);
    mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, ROOT);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | DONE);
    EXPECT_EQ(type_of(mirror_read(&mirror, 0, VA)), VMMU_X86_TYPE_WB);
    EXPECT_EQ(type_of(mirror_read(&mirror, 1, 0x7000)), VMMU_X86_TYPE_WB);
    set_pat(0);
    EXPECT_EQ(type_of(mirror_read(&mirror, 0, VA)), VMMU_X86_TYPE_UC);
    EXPECT_EQ(type_of(mirror_read(&mirror, 1, 0x7000)), VMMU_X86_TYPE_UC);
    set_pat(MIRROR_GUEST);
    EXPECT_EQ(type_of(mirror_read(&mirror, 0, VA)), VMMU_X86_TYPE_WB);
    EXPECT_EQ(type_of(mirror_read(&mirror, 1, 0x7000)), VMMU_X86_TYPE_WB);
    mirror_finish(&mirror);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_made_for_one_processor_serves_another_where_tables_are_shared),
        cmocka_unit_test(test_an_entry_made_for_one_processor_is_not_anothers_where_tables_are_private),
        cmocka_unit_test(test_unpaged_processors_have_their_own_too),
        cmocka_unit_test(test_private_tables_take_pages_for_each_processor),
        cmocka_unit_test(test_a_write_to_a_table_reaches_every_processors_shadow_of_it),
        cmocka_unit_test(test_a_closed_table_is_closed_to_every_processor),
        cmocka_unit_test(test_each_processor_comes_back_to_its_own_root),
        cmocka_unit_test(test_each_level_above_the_leaf_is_told_of),
        cmocka_unit_test(test_a_leafs_own_bits_are_its_pages),
        cmocka_unit_test(test_without_cache_bits_nothing_is_told),
        cmocka_unit_test(test_who_does_not_ask_is_not_told),
        cmocka_unit_test(test_page_directory_entries_of_32_bit_paging_are_told_of),
        cmocka_unit_test(test_pdpte_registers_are_told_of),
        cmocka_unit_test(test_every_page_below_is_told_of_at_its_first_use),
        cmocka_unit_test(test_bits_that_come_later_are_seen_at_the_next_use_after_a_flush),
        cmocka_unit_test(test_a_link_with_cache_bits_is_not_made_beforehand),
        cmocka_unit_test(test_a_pat_of_uc_makes_every_access_uncached_with_paging_or_without),
    };
    return RUN_TESTS(tests);
}
