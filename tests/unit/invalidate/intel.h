/*
 * Where the tests of Intel's processors stand, and the tags that they look at: a guest with VPID 1, PCID 5
 * and the second stage A. Row names read kind_vpid_pcid_stage.
 */
#ifndef TESTS_UNIT_INVALIDATE_INTEL_H
#define TESTS_UNIT_INVALIDATE_INTEL_H

#include "population.h"

#define EP4TA_A UINT64_C(0x1a000)
#define EP4TA_B UINT64_C(0x1b000)

enum intel_row {
    LINEAR_0_0,
    LINEAR_0_5,
    LINEAR_1_0,
    LINEAR_1_5,
    LINEAR_1_6,
    LINEAR_2_5,
    COMBINED_0_5_A,
    COMBINED_1_0_A,
    COMBINED_1_5_A,
    COMBINED_1_6_A,
    COMBINED_1_5_B,
    COMBINED_2_5_A,
    PHYSICAL_A,
    PHYSICAL_B,
    INTEL_ROWS,
};

extern const struct tag_row intel_rows[INTEL_ROWS];

/* In the guest: VPID 1, EPTP A; in the same guest without EPT; in the host. */
extern const struct vmmu_x86_tags intel_guest;
extern const struct vmmu_x86_tags intel_guest_without_ept;
extern const struct vmmu_x86_tags intel_host;

/* 57-bit linear addresses, 46-bit physical ones. */
extern const struct vmmu_x86_cpu intel_cpu;

/* 4-level paging under PCIDE and PGE, PCID 5; the same without PCIDE. */
extern const struct vmmu_x86_paging_registers long_mode;
extern const struct vmmu_x86_paging_registers long_mode_without_pcids;

/*
 * EXPECT_GONE(scopes, [ROW] = "picture", ...): exactly this goes; rows that are not named lose nothing.
 */
#define EXPECT_GONE(scopes, ...)                                                                             \
    expect_gone(intel_rows, INTEL_ROWS, (scopes), (const char *const[INTEL_ROWS]){ __VA_ARGS__ })

/* The rows of VPID 1, each with the same picture. */
#define ROWS_OF_VPID_1(picture)                                                                              \
    [LINEAR_1_0] = (picture), [LINEAR_1_5] = (picture), [LINEAR_1_6] = (picture),                            \
    [COMBINED_1_0_A] = (picture), [COMBINED_1_5_A] = (picture), [COMBINED_1_6_A] = (picture),                \
    [COMBINED_1_5_B] = (picture)

#define EXPECT_NOTHING_GONE(scopes) EXPECT_GONE((scopes), [LINEAR_1_5] = NOTHING)

#endif
