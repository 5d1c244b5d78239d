/* A partition as the hypervisor makes it, for the tests of this folder. */
#ifndef TESTS_UNIT_HYPERV_PARTITION_H
#define TESTS_UNIT_HYPERV_PARTITION_H

#include <vmmu/hyperv.h>

#define TEST_TSC_HZ  UINT64_C(2400000000)
#define TEST_APIC_HZ UINT64_C(1000000000)

struct fixture {
    struct vmmu_hyperv_partition partition;
    struct vmmu_hyperv_vp vp;
};

/* One VP at 2.4 GHz, everything offered, 40 address bits; reference time zero is TSC zero. */
struct vmmu_hyperv_config full_config(void);
struct fixture fixture_of(const struct vmmu_hyperv_config *config);
struct fixture full_fixture(void);

/* As above, with GUEST_OS_ID written and the hypercall page enabled at 0x7000. */
struct fixture calling_fixture(uint32_t vp_count);

#endif
