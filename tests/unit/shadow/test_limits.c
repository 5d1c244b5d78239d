/*
 * What a shadow is set up with, and what it does at its limits: invalid configurations, a pool at its floor, a host that
 * gives no more pages, memory that is not the partition's.
 */
#include "tests/unit/shadow/mirror.h"

#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

static struct mirror mirror;
static struct vmmu_shadow other;

/* --- configurations --- */

static enum vmmu_status try(const struct vmmu_shadow_config *config, size_t bytes, size_t misalignment)
{
    char *const account = malloc(vmmu_shadow_memory_bytes(1024) + 8);
    enum vmmu_status status;

    EXPECT(account != NULL);
    status = vmmu_shadow_init(&other, config, &mirror.memory, account + misalignment, bytes);
    free(account);
    return status;
}

static enum vmmu_status try_config(const struct vmmu_shadow_config *config)
{
    return try(config, vmmu_shadow_memory_bytes(1024), 0);
}

static void test_a_configuration_out_of_range_is_refused(void **state)
{
    (void)state;
    mirror_start(&mirror, 96);

    const struct vmmu_shadow_config sound = mirror_config(&mirror, 96);
    struct vmmu_shadow_config config = sound;

    EXPECT_EQ(try_config(&config), VMMU_OK);
    config.ram = NULL;
    EXPECT_EQ(try_config(&config), VMMU_INVALID);
    config = sound;
    config.backing = NULL;
    EXPECT_EQ(try_config(&config), VMMU_INVALID);
    config = sound;
    config.maxphyaddr = 31;
    EXPECT_EQ(try_config(&config), VMMU_INVALID);
    config.maxphyaddr = 53;
    EXPECT_EQ(try_config(&config), VMMU_INVALID);
    config = sound;
    config.largest_level = 0;
    EXPECT_EQ(try_config(&config), VMMU_INVALID);
    config.largest_level = 4;
    EXPECT_EQ(try_config(&config), VMMU_INVALID);
    config = sound;
    config.vps = 0;
    EXPECT_EQ(try_config(&config), VMMU_INVALID);
    mirror_finish(&mirror);
}

static void test_a_pool_below_the_floor_is_refused(void **state)
{
    (void)state;
    mirror_start(&mirror, 96);

    struct vmmu_shadow_config config = mirror_config(&mirror, VMMU_SHADOW_FLOOR_PAGES - 1);

    EXPECT_EQ(vmmu_shadow_memory_bytes(VMMU_SHADOW_FLOOR_PAGES - 1), 0);
    EXPECT_EQ(vmmu_shadow_memory_bytes((UINT32_C(1) << 20) + 1), 0);
    EXPECT(vmmu_shadow_memory_bytes(UINT32_C(1) << 20) != 0);
    EXPECT_EQ(try_config(&config), VMMU_INVALID);
    config.pool_pages = VMMU_SHADOW_FLOOR_PAGES;
    EXPECT_EQ(try_config(&config), VMMU_OK);
    /* Seven virtual processors need more than that. */
    config.vps = 0x7F;
    EXPECT_EQ(try_config(&config), VMMU_INVALID);
    config.pool_pages = 7 * VMMU_SHADOW_FLOOR_FOR_A_VP;
    EXPECT_EQ(try_config(&config), VMMU_OK);
    mirror_finish(&mirror);
}

static void test_the_account_must_be_aligned_and_large_enough(void **state)
{
    (void)state;
    mirror_start(&mirror, 96);

    const struct vmmu_shadow_config config = mirror_config(&mirror, 96);

    EXPECT_EQ(try(&config, vmmu_shadow_memory_bytes(96), 0), VMMU_OK);
    EXPECT_EQ(try(&config, vmmu_shadow_memory_bytes(96), 4), VMMU_INVALID);
    EXPECT_EQ(try(&config, vmmu_shadow_memory_bytes(96) - 1, 0), VMMU_INVALID);
    EXPECT_EQ(vmmu_shadow_init(&other, &config, &mirror.memory, NULL, SIZE_MAX), VMMU_INVALID);
    mirror_finish(&mirror);
}

static void test_a_pat_without_write_back_or_uncached_memory_is_not_supported(void **state)
{
    (void)state;
    mirror_start(&mirror, 96);

    struct vmmu_shadow_config config = mirror_config(&mirror, 96);

    config.pat = UINT64_C(0x0000000000000000);
    EXPECT_EQ(try_config(&config), VMMU_UNSUPPORTED);
    config.pat = UINT64_C(0x0606060606060606);
    EXPECT_EQ(try_config(&config), VMMU_UNSUPPORTED);
    config.pat = UINT64_C(0x0606060606060706); /* UC- serves for UC */
    EXPECT_EQ(try_config(&config), VMMU_OK);
    mirror_finish(&mirror);
}

static void test_traps_need_a_bit_of_the_address_that_is_reserved(void **state)
{
    (void)state;
    mirror_start(&mirror, 96);

    struct vmmu_shadow_config config = mirror_config(&mirror, 96);

    config.silent_absent = true;
    config.maxphyaddr = 52;
    EXPECT_EQ(try_config(&config), VMMU_UNSUPPORTED);
    config.maxphyaddr = 51;
    EXPECT_EQ(try_config(&config), VMMU_OK);
    config.silent_absent = false;
    config.maxphyaddr = 52;
    EXPECT_EQ(try_config(&config), VMMU_OK);
    mirror_finish(&mirror);
}

/* --- calls --- */

static void test_a_processor_that_is_none_is_refused(void **state)
{
    struct vmmu_x86_paging_registers registers = { .cr0 = VMMU_X86_CR0_PE };
    struct vmmu_shadow_verdict verdict;
    struct vmmu_shadow_root root;
    struct vmmu_x86_mode mode;

    (void)state;
    mirror_start(&mirror, 96);
    EXPECT_EQ(vmmu_mode_make(&mirror.cpu, &registers, &mode), VMMU_OK);
    EXPECT_EQ(vmmu_shadow_enter(&mirror.shadow, 2, &mode, &root).status, VMMU_INVALID);
    EXPECT_EQ(vmmu_shadow_enter(&mirror.shadow, 64, &mode, &root).status, VMMU_INVALID);
    EXPECT_EQ(
        vmmu_shadow_fault(&mirror.shadow, 2, (vmmu_gva){ 0 }, (struct vmmu_x86_access){ 0 }, &verdict).status,
        VMMU_INVALID);
    EXPECT_EQ(vmmu_shadow_fault(&mirror.shadow, 64, (vmmu_gva){ 0 }, (struct vmmu_x86_access){ 0 }, &verdict)
                  .status,
              VMMU_INVALID);
    registers.cr0 |= VMMU_X86_CR0_PG;
    registers.cr4 = VMMU_X86_CR4_PAE;
    registers.pdpte_in_memory = true;
    EXPECT_EQ(vmmu_mode_make(&mirror.cpu, &registers, &mode), VMMU_OK);
    EXPECT_EQ(vmmu_shadow_enter(&mirror.shadow, 0, &mode, &root).status, VMMU_UNSUPPORTED);
    mirror_finish(&mirror);
}

static void test_ranges_out_of_range_are_refused(void **state)
{
    (void)state;
    mirror_start(&mirror, 96);
    EXPECT_EQ(vmmu_shadow_wrote(&mirror.shadow, (vmmu_gpa){ 0xFFF }, 2).status, VMMU_INVALID);
    EXPECT_EQ(vmmu_shadow_wrote(&mirror.shadow, (vmmu_gpa){ 0 }, 0).status, VMMU_INVALID);
    EXPECT_EQ(vmmu_shadow_wrote(&mirror.shadow, (vmmu_gpa){ 0 }, 4096).status, VMMU_OK);
    EXPECT_EQ(vmmu_shadow_forget(&mirror.shadow, (vmmu_gpa){ 0 }, 0).status, VMMU_INVALID);
    EXPECT_EQ(vmmu_shadow_forget(&mirror.shadow, (vmmu_gpa){ 1 }, 4096).status, VMMU_INVALID);
    EXPECT_EQ(vmmu_shadow_forget(&mirror.shadow, (vmmu_gpa){ 0 }, 4095).status, VMMU_INVALID);
    EXPECT_EQ(vmmu_shadow_forget(&mirror.shadow, (vmmu_gpa){ 0 }, UINT64_MAX & ~UINT64_C(4095)).status,
              VMMU_INVALID);
    EXPECT_EQ(vmmu_shadow_protect(&mirror.shadow, (vmmu_gpa){ BIT64(52) }, 4096, 1).status, VMMU_INVALID);
    mirror_finish(&mirror);
}

/* --- the floor --- */

/* Map pages far apart, so that each needs tables of its own. */
#define FAR_APART (BIT64(39) + BIT64(30) + BIT64(21))
#define MANY      60U

static void test_a_guest_runs_in_a_pool_at_the_floor(void **state)
{
    (void)state;
    mirror_start(&mirror, VMMU_SHADOW_FLOOR_PAGES);
    mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, 0x4000);
    for (uint64_t i = 0; i < MANY; i++) {
        mirror_map(&mirror, 0, i * FAR_APART, 1, (0x800000 + i * VMMU_PAGE_BYTES) | G_ALL);
    }
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < MANY; i++) {
            EXPECT_EQ(mirror_store(&mirror, 0, i * FAR_APART).gpa, 0x800000 + i * VMMU_PAGE_BYTES);
            EXPECT(mirror.shadow.counters.pages <= VMMU_SHADOW_FLOOR_PAGES);
        }
    }
    EXPECT(mirror.shadow.counters.evicted != 0);
    EXPECT_EQ(mirror.shadow.counters.peak_pages, VMMU_SHADOW_FLOOR_PAGES);
    mirror_finish(&mirror);
}

/* What one instruction needs at once is there at once. */
static void test_twenty_pages_far_apart_fit_at_the_floor(void **state)
{
    unsigned faults = 0;

    (void)state;
    mirror_start(&mirror, VMMU_SHADOW_FLOOR_PAGES);
    mirror_page(&mirror, 0, VMMU_X86_PAGING_5LEVEL, 0x4000);
    for (uint64_t i = 0; i < 20; i++) {
        mirror_map(&mirror, 0, i * (FAR_APART + BIT64(48)), 1, (0x800000 + i * VMMU_PAGE_BYTES) | G_ALL);
    }
    for (unsigned round = 0; round < 2; round++) {
        faults = 0;
        for (uint64_t i = 0; i < 20; i++) {
            faults += mirror_store(&mirror, 0, i * (FAR_APART + BIT64(48))).faults;
        }
    }
    EXPECT_EQ(faults, 0);
    mirror_finish(&mirror);
}

/* --- pages that are not given --- */

static void test_a_host_that_gives_no_page_is_told_of_and_harms_nothing(void **state)
{
    const struct vmmu_x86_access access = { .kind = VMMU_X86_WRITE };
    struct vmmu_shadow_verdict verdict;
    enum vmmu_status status;

    (void)state;
    mirror_start(&mirror, 96);
    mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, 0x4000);
    mirror_map(&mirror, 0, FAR_APART, 1, 0x7000 | G_ALL);
    mirror.host.takes_left = 0;
    /* All that can be evicted is, before that is said. */
    MIRROR_DO(&mirror, status,
              vmmu_shadow_fault(&mirror.shadow, 0, (vmmu_gva){ FAR_APART }, access, &verdict));
    EXPECT_EQ(status, VMMU_NO_MEMORY);
    mirror.host.takes_left = -1;
    EXPECT_EQ(mirror_store(&mirror, 0, FAR_APART).gpa, 0x7000);
    mirror_finish(&mirror);
}

static void test_each_page_that_is_not_given_leaves_what_was(void **state)
{
    const uint64_t up = BIT64(39) + BIT64(30);

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        const struct vmmu_x86_access access = { .kind = VMMU_X86_WRITE };
        struct vmmu_shadow_verdict verdict;
        enum vmmu_status status;

        mirror_start(&mirror, 96);
        mirror.piece_bytes = VMMU_2M_BYTES;
        mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, 0x404000);
        mirror_map(&mirror, 0, up, 3, 0 | G_ALL | G_LARGE);
        mirror.host.takes_left = i;
        MIRROR_DO(&mirror, status,
                  vmmu_shadow_fault(&mirror.shadow, 0, (vmmu_gva){ up + 0x400000 }, access, &verdict));
        EXPECT(status == VMMU_OK || status == VMMU_NO_MEMORY);
        mirror.host.takes_left = -1;
        EXPECT_EQ(mirror_store(&mirror, 0, up + 0x400000).gpa, 0x400000);
        mirror_finish(&mirror);
    }
}

static void test_memory_that_is_not_the_partition_s_is_never_mapped(void **state)
{
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ };
    struct vmmu_shadow_verdict verdict;
    enum vmmu_status status;

    (void)state;
    mirror_start(&mirror, 96);
    mirror.host.own_first = MIRROR_HPA;
    mirror.host.own_end = MIRROR_HPA + 0x7000;
    MIRROR_DO(&mirror, status, vmmu_shadow_fault(&mirror.shadow, 0, (vmmu_gva){ 0x6000 }, access, &verdict));
    EXPECT_EQ(status, VMMU_OK);
    MIRROR_DO(&mirror, status, vmmu_shadow_fault(&mirror.shadow, 0, (vmmu_gva){ 0x7000 }, access, &verdict));
    EXPECT_EQ(status, VMMU_VIOLATED);
    EXPECT_EQ(mirror.host.violations, 1);
    EXPECT_EQ(mirror.shadow.counters.violations, 1);
    mirror_finish(&mirror);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_configuration_out_of_range_is_refused),
        cmocka_unit_test(test_a_pool_below_the_floor_is_refused),
        cmocka_unit_test(test_the_account_must_be_aligned_and_large_enough),
        cmocka_unit_test(test_a_pat_without_write_back_or_uncached_memory_is_not_supported),
        cmocka_unit_test(test_traps_need_a_bit_of_the_address_that_is_reserved),
        cmocka_unit_test(test_a_processor_that_is_none_is_refused),
        cmocka_unit_test(test_ranges_out_of_range_are_refused),
        cmocka_unit_test(test_a_guest_runs_in_a_pool_at_the_floor),
        cmocka_unit_test(test_twenty_pages_far_apart_fit_at_the_floor),
        cmocka_unit_test(test_a_host_that_gives_no_page_is_told_of_and_harms_nothing),
        cmocka_unit_test(test_each_page_that_is_not_given_leaves_what_was),
        cmocka_unit_test(test_memory_that_is_not_the_partition_s_is_never_mapped),
    };

    return RUN_TESTS(tests);
}
