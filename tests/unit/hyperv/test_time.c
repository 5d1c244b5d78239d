/* TLFS "Partition Reference Time Enlightenment", "Partition Reference TSC Page". */
#include "tests/unit/hyperv/partition.h"
#include "tests/unit/test.h"

#include <string.h>

typedef unsigned __int128 wide;

static uint64_t word(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    memcpy(&value, at, bytes);
    return value;
}

static void test_reference_time_counts_ten_million_a_second(void **state)
{
    const struct fixture f = full_fixture();

    (void)state;
    EXPECT_EQ(vmmu_hyperv_reference_time(&f.partition, 0), 0);
    for (uint64_t second = 1; second < 100000; second *= 7) {
        const uint64_t time = vmmu_hyperv_reference_time(&f.partition, second * TEST_TSC_HZ);

        EXPECT(time == second * 10000000 || time == second * 10000000 - 1);
    }
}

static void test_reference_time_starts_at_zero_when_the_partition_is_created(void **state)
{
    const struct vmmu_hyperv_config config = full_config();
    struct vmmu_hyperv_partition partition;
    const uint64_t now = UINT64_C(0x123456789ABCDEF);

    (void)state;
    EXPECT_EQ(vmmu_hyperv_partition_init(&partition, &config, now), VMMU_OK);
    EXPECT_EQ(vmmu_hyperv_reference_time(&partition, now), 0);
    EXPECT_EQ(vmmu_hyperv_reference_time(&partition, now + TEST_TSC_HZ), 10000000);
}

static void test_scale_is_two_to_the_64_times_ten_million_over_the_frequency(void **state)
{
    static const uint64_t frequencies[] = {
        10000001,   11111111,   999999999,         2400000000,
        2894561237, 5000000000, UINT64_C(1) << 62, (UINT64_C(1) << 63) - 1
    };

    (void)state;
    for (size_t i = 0; i < sizeof(frequencies) / sizeof(frequencies[0]); i++) {
        struct vmmu_hyperv_config config = full_config();
        struct fixture f;

        config.tsc_hz = frequencies[i];
        f = fixture_of(&config);
        EXPECT_EQ(f.partition.tsc_scale, (uint64_t)(((wide)10000000 << 64) / frequencies[i]));
    }
}

/* ReferenceTime = ((VirtualTsc * TscScale) >> 64) + TscOffset: what the guest computes from the page. */
static void test_page_and_msr_agree_for_every_tsc(void **state)
{
    struct vmmu_hyperv_partition partition;
    const struct vmmu_hyperv_config config = full_config();
    uint8_t page[4096];
    uint64_t random = 88172645463325252u;

    (void)state;
    EXPECT_EQ(vmmu_hyperv_partition_init(&partition, &config, 0x98765432100), VMMU_OK);
    memset(page, 0xA5, sizeof(page));
    vmmu_hyperv_fill_tsc_page(&partition, page);
    for (unsigned i = 0; i < 20000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        const wide product = (wide)random * word(page + 8, 8);
        const uint64_t guest = (uint64_t)(product >> 64) + word(page + 16, 8);
        struct vmmu_hyperv_vp vp = { 0 };

        EXPECT_EQ(vmmu_hyperv_msr_read(&partition, &vp, 0x40000020, random).value, guest);
    }
}

static void test_page_has_a_valid_sequence_and_zeros_after_its_fields(void **state)
{
    const struct fixture f = full_fixture();
    uint8_t page[4096];

    (void)state;
    memset(page, 0xA5, sizeof(page));
    vmmu_hyperv_fill_tsc_page(&f.partition, page);
    EXPECT(word(page, 4) != 0 && word(page, 4) != 0xFFFFFFFF);
    EXPECT_EQ(word(page + 4, 4), 0);
    for (unsigned i = 24; i < sizeof(page); i++) {
        EXPECT_EQ(page[i], 0);
    }
}

static void test_reference_time_never_goes_back(void **state)
{
    const struct fixture f = full_fixture();
    uint64_t last = 0;

    (void)state;
    for (uint64_t tsc = 0; tsc < 100000; tsc += 37) {
        const uint64_t time = vmmu_hyperv_reference_time(&f.partition, tsc);

        EXPECT(time >= last);
        last = time;
    }
}

static void test_impossible_configurations_are_refused(void **state)
{
    struct vmmu_hyperv_partition partition;
    const struct vmmu_hyperv_config good = full_config();
    struct vmmu_hyperv_config bad[9];

    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        bad[i] = good;
    }
    bad[0].tsc_hz = 0;
    bad[1].tsc_hz = 10000000;
    bad[2].tsc_hz = UINT64_C(1) << 63;
    bad[3].apic_hz = 0;
    bad[4].vp_count = 0;
    bad[5].vp_count = VMMU_HYPERV_VPS + 1;
    bad[6].maxphyaddr = 31;
    bad[7].maxphyaddr = 53;
    bad[8].maxphyaddr = 0;
    for (unsigned i = 0; i < 9; i++) {
        EXPECT_EQ(vmmu_hyperv_partition_init(&partition, &bad[i], 0), VMMU_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_time_counts_ten_million_a_second),
        cmocka_unit_test(test_reference_time_starts_at_zero_when_the_partition_is_created),
        cmocka_unit_test(test_scale_is_two_to_the_64_times_ten_million_over_the_frequency),
        cmocka_unit_test(test_page_and_msr_agree_for_every_tsc),
        cmocka_unit_test(test_page_has_a_valid_sequence_and_zeros_after_its_fields),
        cmocka_unit_test(test_reference_time_never_goes_back),
        cmocka_unit_test(test_impossible_configurations_are_refused),
    };

    return RUN_TESTS(tests);
}
