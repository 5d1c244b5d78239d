/* What can be a processor, and what its registers hold: e500 Core Family Reference Manual, "e500 MAS Registers", "MMU Configuration". */
#include "tests/unit/booke/virtual.h"
#include "tests/unit/test.h"

#include <string.h>

/* TLB0CFG and TLB1CFG: ASSOC, MINSIZE, MAXSIZE, IPROT, AVAIL, NENTRY. */
static uint32_t tlbcfg(uint32_t assoc, uint32_t minsize, uint32_t maxsize, uint32_t flags, uint32_t entries)
{
    return assoc << 24 | minsize << 20 | maxsize << 16 | flags | entries;
}

#define PROTECTS UINT32_C(0x8000)
#define ANY_SIZE UINT32_C(0x4000)

static struct vmmu_booke_config with_tlb0(uint32_t word)
{
    struct vmmu_booke_config config = vmmu_booke_e500v2;

    config.tlbcfg[0] = word;
    return config;
}

static struct vmmu_booke_config with_tlb1(uint32_t word)
{
    struct vmmu_booke_config config = vmmu_booke_e500v2;

    config.tlbcfg[1] = word;
    return config;
}

static void test_the_e500v2_has_128_sets_of_4_ways_of_4k_and_16_entries_of_4k_to_4g(void **state)
{
    static struct virtual_mmu mmu;

    (void)state;
    virtual_start(&mmu);
    EXPECT_EQ(mmu.booke.array[0].entries, 512);
    EXPECT_EQ(mmu.booke.array[0].ways, 4);
    EXPECT_EQ(mmu.booke.array[0].sets, 128);
    EXPECT_EQ(mmu.booke.array[0].least_size, 1);
    EXPECT_EQ(mmu.booke.array[0].most_size, 1);
    EXPECT(!mmu.booke.array[0].any_size);
    EXPECT(!mmu.booke.array[0].protects);
    EXPECT_EQ(mmu.booke.array[1].entries, 16);
    EXPECT_EQ(mmu.booke.array[1].ways, 16);
    EXPECT_EQ(mmu.booke.array[1].sets, 1);
    EXPECT_EQ(mmu.booke.array[1].first, 512);
    EXPECT_EQ(mmu.booke.array[1].least_size, 1);
    EXPECT_EQ(mmu.booke.array[1].most_size, 11);
    EXPECT(mmu.booke.array[1].any_size);
    EXPECT(mmu.booke.array[1].protects);
}

static void test_after_reset_no_entry_is_valid_and_every_register_is_zero(void **state)
{
    static struct virtual_mmu mmu;
    const struct vmmu_booke_mas none = { 0 };

    (void)state;
    memset(&mmu, 0xff, sizeof(mmu));
    EXPECT_EQ(vmmu_booke_init(&mmu.booke, &vmmu_booke_e500v2, mmu.memory, sizeof(mmu.memory)), VMMU_OK);
    for (int i = 0; i < 528; i++) {
        EXPECT(!virtual_is_valid(&mmu, i));
        EXPECT_EQ(mmu.booke.entries[i].made, 0);
    }
    for (int i = 0; i < 128; i++) {
        EXPECT_EQ(mmu.booke.next_victim[i], 0);
    }
    EXPECT(memcmp(&mmu.booke.mas, &none, sizeof(none)) == 0);
    EXPECT_EQ(mmu.booke.pid[0] | mmu.booke.pid[1] | mmu.booke.pid[2], 0);
    EXPECT(!mmu.booke.updates_mas7);
}

static void test_a_configuration_that_cannot_be_needs_no_memory_and_is_refused(void **state)
{
    struct vmmu_booke_config bad[] = {
        with_tlb0(0),                                         /* no entry */
        with_tlb0(tlbcfg(3, 1, 1, 0, 512)),                   /* ways do not divide the entries */
        with_tlb0(tlbcfg(4, 1, 1, 0, 24)),                    /* six sets */
        with_tlb0(tlbcfg(128, 1, 1, 0, 512)),                 /* more ways than are supported */
        with_tlb0(tlbcfg(4, 1, 4, ANY_SIZE, 512)),            /* sets of pages of any size */
        with_tlb0(tlbcfg(4, 0, 1, 0, 512)),                   /* pages of 1 KiB */
        with_tlb0(tlbcfg(8, 1, 1, 0, 4)),                     /* fewer entries than ways */
        with_tlb1(0),                                         /* no entry */
        with_tlb1(tlbcfg(4, 1, 11, PROTECTS | ANY_SIZE, 16)), /* sets in TLB1 */
        with_tlb1(tlbcfg(4, 1, 1, 0, 16)),                    /* also of one size */
        with_tlb1(tlbcfg(16, 5, 4, ANY_SIZE, 16)),            /* least above most */
        with_tlb1(tlbcfg(0, 1, 11, ANY_SIZE, 65)),            /* more ways than are supported */
        with_tlb0(tlbcfg(4, 11, 11, 0, 512)),                 /* pages that leave no bit to choose a set by */
        with_tlb1(tlbcfg(16, 11, 12, ANY_SIZE, 16)),          /* no page below 4 GiB */
        vmmu_booke_e500v2,
        vmmu_booke_e500v2,
        vmmu_booke_e500v2,
        vmmu_booke_e500v2,
        vmmu_booke_e500v2,
        vmmu_booke_e500v2,
    };
    static struct virtual_mmu mmu;

    (void)state;
    bad[14].pids = 0;
    bad[15].pids = 4;
    bad[16].pid_bits = 0;
    bad[17].pid_bits = 15;
    bad[18].physical_bits = 31;
    bad[19].physical_bits = 37;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        EXPECT_EQ(vmmu_booke_memory_bytes(&bad[i]), 0);
        EXPECT_EQ(vmmu_booke_init(&mmu.booke, &bad[i], mmu.memory, sizeof(mmu.memory)), VMMU_INVALID);
    }
}

static void test_other_cores_of_the_family_can_be(void **state)
{
    static const struct vmmu_booke_config good[] = {
        /* e500v1: 2 ways, 256 MiB at most, 32 bits of physical address */
        { { 0x02110100, 0x1019c010 }, 3, 8, 32 },
        /* e500mc: 64 entries, one PID of 14 bits */
        { { 0x04110200, 0x401bc040 }, 1, 14, 36 },
        /* one array is one set; ASSOC = 0 says fully associative, too; ways need be no power of two */
        { { 0x03110003, 0x00149005 }, 1, 1, 33 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        EXPECT(vmmu_booke_memory_bytes(&good[i]) != 0);
        EXPECT_EQ(vmmu_booke_memory_bytes(&good[i]) % 8, 0);
    }
}

static void test_too_little_or_unaligned_memory_is_refused(void **state)
{
    static struct virtual_mmu mmu;
    const size_t needed = vmmu_booke_memory_bytes(&vmmu_booke_e500v2);

    (void)state;
    EXPECT_EQ(vmmu_booke_init(&mmu.booke, &vmmu_booke_e500v2, mmu.memory, needed - 1), VMMU_INVALID);
    EXPECT_EQ(vmmu_booke_init(&mmu.booke, &vmmu_booke_e500v2, mmu.memory + 4, needed + 8), VMMU_INVALID);
    EXPECT_EQ(vmmu_booke_init(&mmu.booke, &vmmu_booke_e500v2, mmu.memory, needed), VMMU_OK);
}

static void test_memory_is_used_no_further_than_was_asked_for(void **state)
{
    static struct virtual_mmu mmu;
    const size_t needed = vmmu_booke_memory_bytes(&vmmu_booke_e500v2);

    (void)state;
    memset(mmu.memory, 0x5a, sizeof(mmu.memory));
    EXPECT_EQ(vmmu_booke_init(&mmu.booke, &vmmu_booke_e500v2, mmu.memory, needed), VMMU_OK);
    for (uint32_t set = 0; set < 128; set++) {
        (void)virtual_write(&mmu, WAY(3, 3), V, set << 12, ALL_RIGHTS);
    }
    (void)virtual_write(&mmu, ENTRY(15), V | TSIZE(11), 0, ALL_RIGHTS);
    for (size_t i = needed; i < sizeof(mmu.memory); i++) {
        EXPECT_EQ(mmu.memory[i], 0x5a);
    }
}

static void test_reserved_bits_of_registers_are_not_there(void **state)
{
    static struct virtual_mmu mmu;

    (void)state;
    virtual_start(&mmu);
    for (unsigned i = VMMU_BOOKE_MAS0; i <= VMMU_BOOKE_PID2; i++) {
        vmmu_booke_set(&mmu.booke, (enum vmmu_booke_register)i, UINT32_MAX);
    }
    EXPECT_EQ(mmu.booke.mas.mas0, 0x100f0003); /* TLBSEL, ESEL, NV */
    EXPECT_EQ(mmu.booke.mas.mas1, 0xc0ff1f00); /* V, IPROT, TID, TS, TSIZE */
    EXPECT_EQ(mmu.booke.mas.mas2, 0xfffff07f); /* EPN, X0, X1, WIMGE */
    EXPECT_EQ(mmu.booke.mas.mas3, 0xfffff3ff); /* RPN, U0 to U3, rights */
    EXPECT_EQ(mmu.booke.mas.mas4, 0x10030f7f); /* TLBSELD, TIDSELD, TSIZED, X0D, X1D, WIMGE */
    EXPECT_EQ(mmu.booke.mas.mas6, 0x00ff0001); /* SPID0, SAS */
    EXPECT_EQ(mmu.booke.mas.mas7, 0x0000000f); /* RPN */
    EXPECT_EQ(mmu.booke.pid[0], 0xff);
    EXPECT_EQ(mmu.booke.pid[1], 0xff);
    EXPECT_EQ(mmu.booke.pid[2], 0xff);
}

static void test_a_pid_register_that_the_core_has_not_stays_zero(void **state)
{
    static struct virtual_mmu mmu;
    struct vmmu_booke_config config = vmmu_booke_e500v2;

    (void)state;
    config.pids = 1;
    virtual_start_as(&mmu, &config);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_PID0, 5);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_PID1, 6);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_PID2, 7);
    EXPECT_EQ(mmu.booke.pid[0], 5);
    EXPECT_EQ(mmu.booke.pid[1], 0);
    EXPECT_EQ(mmu.booke.pid[2], 0);
}

static void test_a_core_of_32_physical_bits_has_no_mas7(void **state)
{
    static struct virtual_mmu mmu;
    struct vmmu_booke_config config = vmmu_booke_e500v2;

    (void)state;
    config.physical_bits = 32;
    virtual_start_as(&mmu, &config);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MAS7, 0xf);
    EXPECT_EQ(mmu.booke.mas.mas7, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_e500v2_has_128_sets_of_4_ways_of_4k_and_16_entries_of_4k_to_4g),
        cmocka_unit_test(test_after_reset_no_entry_is_valid_and_every_register_is_zero),
        cmocka_unit_test(test_a_configuration_that_cannot_be_needs_no_memory_and_is_refused),
        cmocka_unit_test(test_other_cores_of_the_family_can_be),
        cmocka_unit_test(test_too_little_or_unaligned_memory_is_refused),
        cmocka_unit_test(test_memory_is_used_no_further_than_was_asked_for),
        cmocka_unit_test(test_reserved_bits_of_registers_are_not_there),
        cmocka_unit_test(test_a_pid_register_that_the_core_has_not_stays_zero),
        cmocka_unit_test(test_a_core_of_32_physical_bits_has_no_mas7),
    };

    return RUN_TESTS(tests);
}
