/*
 * The reference and the real processor's TLB of the proving ground, by registers as the manuals write them.
 */
#include "tests/booke/machine/processor.h"
#include "tests/unit/test.h"

#define USER_LOAD    ((struct reference_access){ ACCESS_LOAD, false, true })
#define SUPER_STORE  ((struct reference_access){ ACCESS_STORE, false, false })
#define ENTRY_1      UINT32_C(0x10010000) /* MAS0: TLB1, entry 1 */
#define VALID_64M    UINT32_C(0x80000800)
#define VALID_4K     UINT32_C(0x80000100)
#define USERS_LOAD   UINT32_C(0x00000002)
#define SUPERS_STORE UINT32_C(0x00000004)

static const struct geometry e500v2 = { 128, 4, 16, 1, 11, 3, 8, 36 };

static struct reference mmu;

static int write_entry(uint32_t mas0, uint32_t mas1, uint32_t mas2, uint32_t mas3)
{
    reference_set_mas(&mmu, 0, mas0);
    reference_set_mas(&mmu, 1, mas1);
    reference_set_mas(&mmu, 2, mas2);
    reference_set_mas(&mmu, 3, mas3);
    return reference_write(&mmu);
}

static int start(void **state)
{
    (void)state;
    reference_init(&mmu, &e500v2);
    return 0;
}

static void test_an_e500v2_has_512_entries_of_tlb0_and_16_of_tlb1(void **state)
{
    (void)state;
    EXPECT_EQ(mmu.entries, 528);
    EXPECT_EQ(geometry_config(&e500v2).tlbcfg[0], 0x04110200);
    EXPECT_EQ(geometry_config(&e500v2).tlbcfg[1], 0x101bc010);
}

static void test_reserved_bits_of_registers_read_as_0(void **state)
{
    static const uint32_t had[8] = { 0x100F0003, 0xC0FF1F00, 0xFFFFF07F, 0xFFFFF3FF,
                                     0x10030F7F, 0,          0x00FF0001, 0xF };

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        reference_set_mas(&mmu, i, UINT32_MAX);
        EXPECT_EQ(mmu.registers.mas[i], had[i]);
    }
    reference_set_pid(&mmu, 1, UINT32_MAX);
    EXPECT_EQ(mmu.registers.pid[1], 0xFF);
}

static void test_a_page_of_64_mib_takes_an_address_to_its_frame(void **state)
{
    int place;

    (void)state;
    EXPECT_EQ(write_entry(ENTRY_1, VALID_64M, 0xC0000000, 0x14000000 | USERS_LOAD), 513);
    place = reference_match(&mmu, 0xC3FFFFFC, false, -1);
    EXPECT_EQ(place, 513);
    EXPECT_EQ(reference_physical(&mmu, &mmu.entry[place], 0xC3FFFFFC), 0x17FFFFFC);
    EXPECT_EQ(reference_match(&mmu, 0xC4000000, false, -1), -1);
    EXPECT_EQ(reference_match(&mmu, 0xC3FFFFFC, true, -1), -1);
}

static void test_mas7_is_the_high_part_of_a_frame(void **state)
{
    (void)state;
    reference_set_mas(&mmu, 7, 0xF);
    EXPECT_EQ(write_entry(ENTRY_1, 0x80000500, 0xE0000000, 0xE0000000 | USERS_LOAD), 513);
    EXPECT(reference_physical(&mmu, &mmu.entry[513], 0xE0004500) == UINT64_C(0xFE0004500));
}

static void test_rights_are_those_of_the_state(void **state)
{
    (void)state;
    write_entry(ENTRY_1, VALID_64M, 0, USERS_LOAD);
    EXPECT(reference_allows(&mmu.entry[513], USER_LOAD));
    EXPECT(!reference_allows(&mmu.entry[513], SUPER_STORE));
    write_entry(ENTRY_1, VALID_64M, 0, SUPERS_STORE);
    EXPECT(!reference_allows(&mmu.entry[513], USER_LOAD));
    EXPECT(reference_allows(&mmu.entry[513], SUPER_STORE));
}

static void test_an_entry_matches_by_any_pid_register_or_tid_0(void **state)
{
    (void)state;
    write_entry(ENTRY_1, VALID_64M | 7 << 16, 0, 0);
    EXPECT_EQ(reference_match(&mmu, 0, false, -1), -1);
    reference_set_pid(&mmu, 2, 7);
    EXPECT_EQ(reference_match(&mmu, 0, false, -1), 513);
    reference_set_pid(&mmu, 2, 0);
    write_entry(ENTRY_1, VALID_64M, 0, 0);
    EXPECT_EQ(reference_match(&mmu, 0, false, -1), 513);
}

static void test_tlb0_is_set_by_the_low_bits_of_the_page_number(void **state)
{
    (void)state;
    EXPECT_EQ(write_entry(0x00020001, VALID_4K, 0x12345000, 0), 0x45 * 4 + 2);
    EXPECT_EQ(mmu.next_victim[0x45], 1);
}

static void test_a_miss_proposes_the_next_victim_and_the_one_after_it(void **state)
{
    (void)state;
    write_entry(0x00000003, VALID_4K, 0x12345000, 0);
    reference_set_mas(&mmu, 4, 0x00000104);
    reference_set_pid(&mmu, 0, 9);
    reference_error(&mmu, 0x77745678, SUPER_STORE);
    EXPECT_EQ(mmu.registers.mas[0], 0x00030000);
    EXPECT_EQ(mmu.registers.mas[1], 0x80090100);
    EXPECT_EQ(mmu.registers.mas[2], 0x77745004);
    EXPECT_EQ(mmu.registers.mas[3], 0);
    EXPECT_EQ(mmu.registers.mas[6], 0x00090000);
}

static void test_tlbsx_finds_by_mas6_and_clears_v_if_it_does_not(void **state)
{
    (void)state;
    write_entry(ENTRY_1, VALID_64M | 5 << 16, 0x40000000, 0x08000000 | USERS_LOAD);
    reference_set_mas(&mmu, 6, 5 << 16);
    reference_search(&mmu, 0x41234567);
    EXPECT_EQ(mmu.registers.mas[0], 0x10010000);
    EXPECT_EQ(mmu.registers.mas[1], 0x80050800);
    EXPECT_EQ(mmu.registers.mas[2], 0x40000000);
    EXPECT_EQ(mmu.registers.mas[3], 0x08000002);
    reference_set_mas(&mmu, 6, 6 << 16);
    reference_search(&mmu, 0x41234567);
    EXPECT_EQ(mmu.registers.mas[1], 0x00060000);
}

static void test_invalidation_spares_what_is_protected(void **state)
{
    (void)state;
    write_entry(ENTRY_1, VALID_64M | 0x40000000, 0, 0);
    write_entry(0x10020000, VALID_64M, 0x40000000, 0);
    reference_invalidate(&mmu, 0x0000000C);
    EXPECT(mmu.entry[513].valid);
    EXPECT(!mmu.entry[514].valid);
    reference_flash(&mmu, 2);
    EXPECT(mmu.entry[513].valid);
}

static void test_tlbivax_looks_at_neither_tid_nor_space(void **state)
{
    (void)state;
    write_entry(ENTRY_1, VALID_64M | 3 << 16 | 0x1000, 0x40000000, 0);
    reference_invalidate(&mmu, 0x41000000);
    EXPECT(mmu.entry[513].valid);
    reference_invalidate(&mmu, 0x41000008);
    EXPECT(!mmu.entry[513].valid);
}

static void test_a_real_processor_does_not_write_what_is_the_hypervisors(void **state)
{
    static struct processor processor;
    struct real_entry entry;
    const char *wrong;
    struct vmmu_booke_mas mas = { .mas0 = 0x100E0000, .mas1 = 0x80011800, .mas2 = 4, .mas3 = 0x3F };

    (void)state;
    processor_init(&processor, &e500v2, 1);
    EXPECT_EQ(processor_decode(&processor, &mas, &entry, &wrong), 526);
    EXPECT(wrong == NULL);
    mas.mas0 = 0x100F0000;
    EXPECT_EQ(processor_decode(&processor, &mas, &entry, &wrong), 527);
    EXPECT(wrong != NULL);
}

static void test_a_real_processor_is_not_given_what_the_manuals_leave_undefined(void **state)
{
    static struct processor processor;
    struct real_entry entry;
    const char *wrong;
    const struct vmmu_booke_mas size = { .mas0 = ENTRY_1, .mas1 = 0x80011C00 };
    const struct vmmu_booke_mas frame = { .mas0 = ENTRY_1, .mas1 = 0x80011800, .mas3 = 0x1000 };
    const struct vmmu_booke_mas page = { .mas0 = ENTRY_1, .mas1 = 0x80011800, .mas2 = 0x1000 };

    (void)state;
    processor_init(&processor, &e500v2, 1);
    (void)processor_decode(&processor, &size, &entry, &wrong);
    EXPECT(wrong != NULL);
    (void)processor_decode(&processor, &frame, &entry, &wrong);
    EXPECT(wrong != NULL);
    (void)processor_decode(&processor, &page, &entry, &wrong);
    EXPECT(wrong != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_e500v2_has_512_entries_of_tlb0_and_16_of_tlb1, start),
        cmocka_unit_test_setup(test_reserved_bits_of_registers_read_as_0, start),
        cmocka_unit_test_setup(test_a_page_of_64_mib_takes_an_address_to_its_frame, start),
        cmocka_unit_test_setup(test_mas7_is_the_high_part_of_a_frame, start),
        cmocka_unit_test_setup(test_rights_are_those_of_the_state, start),
        cmocka_unit_test_setup(test_an_entry_matches_by_any_pid_register_or_tid_0, start),
        cmocka_unit_test_setup(test_tlb0_is_set_by_the_low_bits_of_the_page_number, start),
        cmocka_unit_test_setup(test_a_miss_proposes_the_next_victim_and_the_one_after_it, start),
        cmocka_unit_test_setup(test_tlbsx_finds_by_mas6_and_clears_v_if_it_does_not, start),
        cmocka_unit_test_setup(test_invalidation_spares_what_is_protected, start),
        cmocka_unit_test_setup(test_tlbivax_looks_at_neither_tid_nor_space, start),
        cmocka_unit_test_setup(test_a_real_processor_does_not_write_what_is_the_hypervisors, start),
        cmocka_unit_test_setup(test_a_real_processor_is_not_given_what_the_manuals_leave_undefined, start),
    };

    return RUN_TESTS(tests);
}
