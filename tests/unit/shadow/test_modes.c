/*
 * Every way in which a guest may page runs on tables of ours.
 *
 * Spec: SDM 3A "Paging"; SDM 3C "Virtualizing Virtual Memory".
 */
#include "tests/unit/shadow/mirror.h"

#include "tests/unit/test.h"

static struct mirror mirror;

static const struct vmmu_x86_access user_read = { .kind = VMMU_X86_READ, .user = true };
static const struct vmmu_x86_access user_write = { .kind = VMMU_X86_WRITE, .user = true };
static const struct vmmu_x86_access fetch = { .kind = VMMU_X86_EXECUTE };

static const struct {
    uint64_t va;
    enum vmmu_x86_paging paging;
    enum vmmu_x86_format_name format;
} kinds[] = {
    { 0xC0345000, VMMU_X86_PAGING_32BIT, VMMU_X86_FORMAT_PAE },
    { 0xC0345000, VMMU_X86_PAGING_PAE, VMMU_X86_FORMAT_PAE },
    { UINT64_C(0xFFFF888000345000), VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_4LEVEL },
    { UINT64_C(0xFF11000000345000), VMMU_X86_PAGING_5LEVEL, VMMU_X86_FORMAT_5LEVEL },
};

static void test_an_unpaged_guest_reaches_memory_by_its_own_addresses(void **state)
{
    (void)state;
    mirror_start(&mirror, 96);
    EXPECT_EQ(mirror.root[0].format, VMMU_X86_FORMAT_PAE);
    EXPECT(mirror.root[0].cr3 < BIT64(32));

    const struct mirror_result found = mirror_store(&mirror, 0, 0x345678);

    EXPECT_EQ(found.answer, VMMU_SHADOW_RETRY);
    EXPECT_EQ(found.gpa, 0x345678);
    EXPECT_EQ(found.faults, 1);
    EXPECT_EQ(mirror_access(&mirror, 0, 0x345000, user_write).faults, 0);
    EXPECT_EQ(mirror_store(&mirror, 1, 0x345000).faults, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, 0x80000000).answer, VMMU_SHADOW_DEVICE);
    mirror_finish(&mirror);
}

static void test_a_page_is_found_where_the_guest_s_tables_say(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const uint64_t va = kinds[i].va;

        mirror_start(&mirror, 96);
        mirror_page(&mirror, 0, kinds[i].paging, 0x4000);
        EXPECT_EQ(mirror.root[0].format, kinds[i].format);
        mirror_map(&mirror, 0, va, 1, 0x7000 | G_ALL);

        const struct mirror_result found = mirror_read(&mirror, 0, va + 0x123);

        EXPECT_EQ(found.answer, VMMU_SHADOW_RETRY);
        EXPECT_EQ(found.gpa, 0x7123);
        EXPECT_EQ(found.faults, 1);
        /* Not dirty yet, so not writable yet. */
        EXPECT_EQ(found.leaf.rights & VMMU_X86_RIGHT_WRITE, 0);
        EXPECT_EQ(mirror_get(&mirror, mirror_entry_at(&mirror, 0, va, 1)) & (G_ACCESSED | G_DIRTY),
                  G_ACCESSED);
        EXPECT_EQ(mirror_store(&mirror, 0, va).faults, 1);
        EXPECT_EQ(mirror_get(&mirror, mirror_entry_at(&mirror, 0, va, 1)) & (G_ACCESSED | G_DIRTY),
                  G_ACCESSED | G_DIRTY);
        EXPECT_EQ(mirror_store(&mirror, 0, va).faults, 0);
        mirror_finish(&mirror);
    }
}

static void test_what_is_not_mapped_is_the_guest_s_own_fault(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        mirror_start(&mirror, 96);
        mirror_page(&mirror, 0, kinds[i].paging, 0x4000);

        const struct mirror_result found = mirror_access(&mirror, 0, kinds[i].va, user_write);

        EXPECT_EQ(found.answer, VMMU_SHADOW_INJECT);
        EXPECT_EQ(found.fault.vector, VMMU_X86_VECTOR_PF);
        EXPECT_EQ(found.fault.error_code, VMMU_X86_PF_WRITE | VMMU_X86_PF_USER);
        EXPECT_EQ(found.fault.cr2, kinds[i].va);
        EXPECT_EQ(mirror.shadow.counters.reflected, 1);
        mirror_finish(&mirror);
    }
}

static void test_rights_of_all_levels_count_together(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const uint64_t va = kinds[i].va;
        uint64_t upper;

        mirror_start(&mirror, 96);
        mirror_page(&mirror, 0, kinds[i].paging, 0x4000);
        mirror_map(&mirror, 0, va, 1, 0x7000 | G_ALL);
        upper = mirror_entry_at(&mirror, 0, va, 2);
        mirror_write(&mirror, upper, mirror_get(&mirror, upper) & ~G_WRITE);
        EXPECT_EQ(mirror_access(&mirror, 0, va, user_read).answer, VMMU_SHADOW_RETRY);
        EXPECT_EQ(mirror_access(&mirror, 0, va, user_write).fault.error_code,
                  VMMU_X86_PF_PRESENT | VMMU_X86_PF_WRITE | VMMU_X86_PF_USER);
        mirror_write(&mirror, upper, (mirror_get(&mirror, upper) | G_WRITE) & ~G_USER);
        EXPECT_EQ(mirror_access(&mirror, 0, va, user_read).fault.error_code,
                  VMMU_X86_PF_PRESENT | VMMU_X86_PF_USER);
        EXPECT_EQ(mirror_store(&mirror, 0, va).answer, VMMU_SHADOW_RETRY);
        mirror_finish(&mirror);
    }
}

static void test_a_write_of_a_closed_upper_table_is_given_to_emulate(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const uint64_t va = kinds[i].va;
        uint64_t table;

        mirror_start(&mirror, 96);
        mirror_page(&mirror, 0, kinds[i].paging, 0x4000);
        mirror_map(&mirror, 0, va, 1, 0x7000 | G_ALL);
        table = mirror_entry_at(&mirror, 0, va, 2) & ~UINT64_C(0xFFF);
        mirror_map(&mirror, 0, va + 0x1000, 1, table | G_ALL);
        /* The access that writes the table goes by way of it. */
        EXPECT_EQ(mirror_read(&mirror, 0, va + 0x1000).answer, VMMU_SHADOW_RETRY);
        mirror_settle(&mirror, 0);
        EXPECT_EQ(mirror_store(&mirror, 0, va + 0x1008).answer, VMMU_SHADOW_EMULATE);
        EXPECT_EQ(mirror_store(&mirror, 0, va + 0x1008).gpa, table + 8);
        mirror_map(&mirror, 0, va, 1, 0x8000 | G_ALL);
        EXPECT_EQ(mirror_read(&mirror, 0, va).gpa, 0x8000);
        mirror_finish(&mirror);
    }
}

static void test_nx_refuses_fetches_alone(void **state)
{
    (void)state;
    for (unsigned i = 1; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        mirror_start(&mirror, 96);
        mirror_page(&mirror, 0, kinds[i].paging, 0x4000);
        mirror_map(&mirror, 0, kinds[i].va, 1, 0x7000 | G_ALL | G_NX);
        EXPECT_EQ(mirror_read(&mirror, 0, kinds[i].va).answer, VMMU_SHADOW_RETRY);
        EXPECT_EQ(mirror_access(&mirror, 0, kinds[i].va, fetch).fault.error_code,
                  VMMU_X86_PF_PRESENT | VMMU_X86_PF_FETCH);
        mirror_finish(&mirror);
    }
}

static void test_a_large_page_is_large_where_memory_allows(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const uint64_t va = kinds[i].va & ~UINT64_C(0x3FFFFF);

        mirror_start(&mirror, 96);
        mirror.piece_bytes = VMMU_2M_BYTES;
        mirror_page(&mirror, 0, kinds[i].paging, 0x4000);
        mirror_map(&mirror, 0, va, 2, 0x400000 | G_ALL | G_LARGE);

        const struct mirror_result found = mirror_store(&mirror, 0, va + 0x45678);

        EXPECT_EQ(found.gpa, 0x445678);
        EXPECT_EQ(found.leaf.page_bytes, VMMU_2M_BYTES);
        EXPECT_EQ(mirror_store(&mirror, 0, va).faults, 0);
        EXPECT_EQ(mirror.shadow.counters.split_pages,
                  4); /* those of the other processor, whose paging is off */
        mirror_finish(&mirror);
    }
}

static void test_half_of_a_page_of_4_mib_is_the_other_2_mib(void **state)
{
    (void)state;
    mirror_start(&mirror, 96);
    mirror.piece_bytes = VMMU_2M_BYTES;
    mirror_page(&mirror, 0, VMMU_X86_PAGING_32BIT, 0x4000);
    mirror_map(&mirror, 0, 0xC0000000, 2, 0x800000 | G_ALL | G_LARGE);
    EXPECT_EQ(mirror_read(&mirror, 0, 0xC0123456).gpa, 0x923456);
    EXPECT_EQ(mirror_read(&mirror, 0, 0xC0323456).gpa, 0xB23456);
    /* One entry of the guest's is two of ours. */
    mirror_map(&mirror, 0, 0xC0000000, 2, 0x400000 | G_ALL | G_LARGE);
    EXPECT_EQ(mirror_read(&mirror, 0, 0xC0123456).gpa, 0x523456);
    EXPECT_EQ(mirror_read(&mirror, 0, 0xC0323456).gpa, 0x723456);
    mirror_finish(&mirror);
}

static void test_a_large_page_with_a_closed_table_in_it_is_split(void **state)
{
    (void)state;
    mirror_start(&mirror, 96);
    mirror.piece_bytes = VMMU_2M_BYTES;
    mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, 0x404000);
    mirror_map(&mirror, 0, 0x40000000, 2, 0x400000 | G_ALL | G_LARGE);
    (void)mirror_store(&mirror, 0, 0x40000000);
    mirror_settle(&mirror, 0);
    EXPECT_EQ(mirror_store(&mirror, 0, 0x40000000).leaf.page_bytes, VMMU_PAGE_BYTES);
    EXPECT_EQ(mirror_store(&mirror, 0, 0x40004000).answer, VMMU_SHADOW_EMULATE);
    EXPECT_EQ(mirror_read(&mirror, 0, 0x40004000).answer, VMMU_SHADOW_RETRY);
    EXPECT_EQ(mirror.shadow.counters.split_pages > 0, true);
    mirror_finish(&mirror);
}

static void test_without_write_protection_a_supervisor_writes_what_is_read_only(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const uint64_t va = kinds[i].va;

        mirror_start(&mirror, 96);
        mirror_page(&mirror, 0, kinds[i].paging, 0x4000);
        mirror_map(&mirror, 0, va, 1, 0x7000 | G_PRESENT | G_USER);
        EXPECT_EQ(mirror_store(&mirror, 0, va).answer, VMMU_SHADOW_INJECT);
        mirror.registers[0].cr0 &= ~VMMU_X86_CR0_WP;
        mirror_enter(&mirror, 0);
        EXPECT_EQ(mirror_access(&mirror, 0, va, user_read).answer, VMMU_SHADOW_RETRY);
        EXPECT_EQ(mirror_store(&mirror, 0, va).answer, VMMU_SHADOW_RETRY);
        EXPECT_EQ(mirror_access(&mirror, 0, va, user_write).answer, VMMU_SHADOW_INJECT);
        EXPECT_EQ(mirror_access(&mirror, 0, va, user_read).answer, VMMU_SHADOW_RETRY);
        EXPECT_EQ(mirror_store(&mirror, 0, va).answer, VMMU_SHADOW_RETRY);
        mirror.registers[0].cr0 |= VMMU_X86_CR0_WP;
        mirror_enter(&mirror, 0);
        EXPECT_EQ(mirror_store(&mirror, 0, va).answer, VMMU_SHADOW_INJECT);
        mirror_finish(&mirror);
    }
}

/* A leaf that a supervisor may write is no user's: SMAP and keys would judge it by another rule. */
static void test_where_smap_or_keys_judge_a_supervisor_s_write_without_wp_is_emulated(void **state)
{
    static const uint64_t judges[] = { VMMU_X86_CR4_SMAP, VMMU_X86_CR4_PKE };
    const struct vmmu_x86_access write = { .kind = VMMU_X86_WRITE, .eflags_ac = true };
    enum vmmu_status status;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        mirror_start(&mirror, 96);
        mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, 0x4000);
        mirror_map(&mirror, 0, 0x345000, 1, 0x7000 | G_PRESENT | G_USER);
        mirror.registers[0].cr0 &= ~VMMU_X86_CR0_WP;
        mirror.registers[0].cr4 |= judges[i];
        mirror_enter(&mirror, 0);
        EXPECT_EQ(mirror_access(&mirror, 0, 0x345008, write).answer, VMMU_SHADOW_EMULATE);
        EXPECT_EQ(mirror_access(&mirror, 0, 0x345008, write).gpa, 0x7008);
        EXPECT_EQ(mirror.shadow.counters.write_traps, 0);
        /* An instruction that cannot be emulated goes on, too. */
        MIRROR_DO(&mirror, status, vmmu_shadow_drop(&mirror.shadow, (vmmu_gpa){ 0x7008 }));
        EXPECT_EQ(status, VMMU_OK);
        EXPECT_EQ(mirror_access(&mirror, 0, 0x345008, write).answer, VMMU_SHADOW_RETRY);
        EXPECT_EQ(mirror_access(&mirror, 0, 0x345008, user_write).answer, VMMU_SHADOW_INJECT);
        mirror_finish(&mirror);
    }
}

static void test_a_page_lent_to_the_supervisor_is_not_executed_under_smep(void **state)
{
    (void)state;
    mirror_start(&mirror, 96);
    mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, 0x4000);
    mirror_map(&mirror, 0, 0x345000, 1, 0x7000 | G_PRESENT | G_USER);
    mirror.registers[0].cr0 &= ~VMMU_X86_CR0_WP;
    mirror.registers[0].cr4 |= VMMU_X86_CR4_SMEP;
    mirror_enter(&mirror, 0);
    EXPECT_EQ(mirror_store(&mirror, 0, 0x345000).answer, VMMU_SHADOW_RETRY);
    EXPECT_EQ(mirror_access(&mirror, 0, 0x345000, fetch).fault.error_code,
              VMMU_X86_PF_PRESENT | VMMU_X86_PF_FETCH);
    EXPECT_EQ(mirror_access(&mirror, 0, 0x345000, user_read).answer, VMMU_SHADOW_RETRY);
    mirror_finish(&mirror);
}

/* Two entries of one large page share no piece of it while one of them is dirty and the other is not. */
static void test_a_large_page_that_becomes_dirty_is_pieced_together_anew(void **state)
{
    (void)state;
    mirror_start(&mirror, 96);
    mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, 0x4000);
    mirror_map(&mirror, 0, 0x40000000, 2, 0x400000 | G_ALL | G_LARGE);
    mirror_map(&mirror, 0, 0x80000000, 2, 0x400000 | G_ALL | G_LARGE);
    EXPECT_EQ(mirror_read(&mirror, 0, 0x40000000).faults, 1);
    EXPECT_EQ(mirror_read(&mirror, 0, 0x80000000).faults, 1);
    EXPECT_EQ(mirror_store(&mirror, 0, 0x40000000).answer, VMMU_SHADOW_RETRY);
    EXPECT_EQ(mirror_read(&mirror, 0, 0x80000000).leaf.rights & VMMU_X86_RIGHT_WRITE, 0);
    EXPECT_EQ(mirror_get(&mirror, mirror_entry_at(&mirror, 0, 0x80000000, 2)) & G_DIRTY, 0);
    mirror_finish(&mirror);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_unpaged_guest_reaches_memory_by_its_own_addresses),
        cmocka_unit_test(test_a_page_is_found_where_the_guest_s_tables_say),
        cmocka_unit_test(test_what_is_not_mapped_is_the_guest_s_own_fault),
        cmocka_unit_test(test_rights_of_all_levels_count_together),
        cmocka_unit_test(test_a_write_of_a_closed_upper_table_is_given_to_emulate),
        cmocka_unit_test(test_nx_refuses_fetches_alone),
        cmocka_unit_test(test_a_large_page_is_large_where_memory_allows),
        cmocka_unit_test(test_half_of_a_page_of_4_mib_is_the_other_2_mib),
        cmocka_unit_test(test_a_large_page_with_a_closed_table_in_it_is_split),
        cmocka_unit_test(test_without_write_protection_a_supervisor_writes_what_is_read_only),
        cmocka_unit_test(test_where_smap_or_keys_judge_a_supervisor_s_write_without_wp_is_emulated),
        cmocka_unit_test(test_a_page_lent_to_the_supervisor_is_not_executed_under_smep),
        cmocka_unit_test(test_a_large_page_that_becomes_dirty_is_pieced_together_anew),
    };

    return RUN_TESTS(tests);
}
