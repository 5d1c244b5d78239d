/*
 * Modes of which only the kind of paging and CR3 are known.
 */
#include "tests/unit/test.h"

#include <vmmu/mode.h>

static struct vmmu_x86_mode assumed(enum vmmu_x86_paging paging, uint64_t cr3)
{
    struct vmmu_x86_mode mode = { .paging = VMMU_X86_PAGING_NONE };

    EXPECT_EQ(vmmu_mode_assume(paging, cr3, &mode), VMMU_OK);
    EXPECT_EQ(mode.paging, paging);
    return mode;
}

static void test_each_kind_of_paging_has_its_width_and_its_root(void **state)
{
    (void)state;
    EXPECT_EQ(assumed(VMMU_X86_PAGING_NONE, 0).address_bits, 32);
    EXPECT_EQ(assumed(VMMU_X86_PAGING_32BIT, 0xFFFFF018).root.v, 0xFFFFF000);
    EXPECT_EQ(assumed(VMMU_X86_PAGING_PAE, 0xFFFFFFE0).root.v, 0xFFFFFFE0);
    EXPECT_EQ(assumed(VMMU_X86_PAGING_4LEVEL, 0xFFFFFFFFFF801).root.v, 0xFFFFFFFFFF000);
    EXPECT_EQ(assumed(VMMU_X86_PAGING_4LEVEL, 0).address_bits, 48);
    EXPECT_EQ(assumed(VMMU_X86_PAGING_5LEVEL, 0).address_bits, 57);
}

static void test_rights_are_those_of_the_entries_alone_and_supervisors_respect_read_only_pages(void **state)
{
    static const enum vmmu_x86_paging kinds[] = { VMMU_X86_PAGING_32BIT, VMMU_X86_PAGING_PAE,
                                                  VMMU_X86_PAGING_4LEVEL, VMMU_X86_PAGING_5LEVEL };
    (void)state;

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct vmmu_x86_mode mode = assumed(kinds[i], 0x1000);

        EXPECT(mode.write_protect);
        EXPECT(!mode.smep && !mode.smap && !mode.user_keys && !mode.system_keys);
        EXPECT_EQ(mode.nx, kinds[i] != VMMU_X86_PAGING_32BIT);
    }
}

static void test_pdptes_are_read_from_memory(void **state)
{
    (void)state;
    EXPECT(assumed(VMMU_X86_PAGING_PAE, 0x1000).pdpte_in_memory);
}

static void test_a_cr3_that_no_processor_has_is_refused(void **state)
{
    struct vmmu_x86_mode mode = { .address_bits = 1 };
    (void)state;

    EXPECT_EQ(vmmu_mode_assume(VMMU_X86_PAGING_4LEVEL, BIT64(52), &mode), VMMU_INVALID);
    EXPECT_EQ(vmmu_mode_assume(VMMU_X86_PAGING_PAE, BIT64(32), &mode), VMMU_INVALID);
    EXPECT_EQ(vmmu_mode_assume(VMMU_X86_PAGING_32BIT, BIT64(32), &mode), VMMU_INVALID);
    EXPECT_EQ(mode.address_bits, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_of_paging_has_its_width_and_its_root),
        cmocka_unit_test(test_rights_are_those_of_the_entries_alone_and_supervisors_respect_read_only_pages),
        cmocka_unit_test(test_pdptes_are_read_from_memory),
        cmocka_unit_test(test_a_cr3_that_no_processor_has_is_refused),
    };
    return RUN_TESTS(tests);
}
