#include "tests/unit/hyperv/partition.h"

#include "tests/unit/test.h"

struct vmmu_hyperv_config full_config(void)
{
    return (struct vmmu_hyperv_config){
        .tsc_hz = TEST_TSC_HZ,
        .apic_hz = TEST_APIC_HZ,
        .vp_count = 1,
        .maxphyaddr = 40,
        .tsc_is_invariant = true,
        .apic_msrs = true,
    };
}

struct fixture fixture_of(const struct vmmu_hyperv_config *config)
{
    struct fixture fixture;

    assert_int_equal(vmmu_hyperv_partition_init(&fixture.partition, config, 0), VMMU_OK);
    vmmu_hyperv_vp_init(&fixture.vp, 0);
    return fixture;
}

struct fixture full_fixture(void)
{
    const struct vmmu_hyperv_config config = full_config();

    return fixture_of(&config);
}

struct fixture calling_fixture(uint32_t vp_count)
{
    struct vmmu_hyperv_config config = full_config();
    struct fixture fixture;

    config.vp_count = vp_count;
    fixture = fixture_of(&config);
    vmmu_hyperv_msr_write(&fixture.partition, &fixture.vp, 0x40000000, 0x8100);
    vmmu_hyperv_msr_write(&fixture.partition, &fixture.vp, 0x40000001, 0x7001);
    return fixture;
}
