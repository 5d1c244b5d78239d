/*
 * SDM 4 "Model-Specific Registers"; APM 2 "Model-Specific Registers (MSRs)"; SDM 3A
 * "MTRRs", "Page Attribute Table".
 */
#include "hv/x86/policy/msr.h"
#include "hv/x86/policy/msr_table.h"
#include "tests/unit/test.h"

#include <string.h>

enum {
    APIC_BASE = 0x1B,
    PATCH_LEVEL = 0x8B,
    MTRR_CAP = 0xFE,
    MCG_CAP = 0x179,
    MISC_ENABLE = 0x1A0,
    MTRR_BASE0 = 0x200,
    MTRR_MASK0 = 0x201,
    MTRR_FIX64K = 0x250,
    PAT = 0x277,
    MTRR_DEF_TYPE = 0x2FF,
    MC0_CTL = 0x400,
    MC0_STATUS = 0x401,
    TSC_DEADLINE = 0x6E0,
};

#define EFER        0xC0000080u
#define TSC_AUX     0xC0000103u
#define SYSCFG      0xC0010010u
#define HWCR        0xC0010015u
#define INT_PENDING 0xC0010055u

static struct x86_msrs_config amd_config(void)
{
    return (struct x86_msrs_config){
        .maxphyaddr = 40, .is_amd = true, .is_bsp = true, .hyperv = true, .x2apic = true, .rdtscp = true
    };
}

static struct x86_msrs amd(void)
{
    const struct x86_msrs_config config = amd_config();
    struct x86_msrs msrs;

    x86_msrs_reset(&msrs, &config);
    return msrs;
}

static struct x86_msrs intel(void)
{
    struct x86_msrs_config config = amd_config();
    struct x86_msrs msrs;

    config.is_amd = false;
    x86_msrs_reset(&msrs, &config);
    return msrs;
}

static enum x86_msr_outcome reads(const struct x86_msrs *msrs, uint32_t index)
{
    uint64_t value = 0;

    return x86_msr_read(msrs, index, &value);
}

static uint64_t value_of(const struct x86_msrs *msrs, uint32_t index)
{
    uint64_t value = 0;

    EXPECT_EQ(x86_msr_read(msrs, index, &value), X86_MSR_DONE);
    return value;
}

static void test_the_table_is_sorted_and_names_every_register_once(void **state)
{
    unsigned count;
    const struct msr_row *rows = msr_rows(&count);

    (void)state;
    EXPECT(count > 60);
    for (unsigned i = 0; i < count; i++) {
        EXPECT(i == 0 || rows[i - 1].index < rows[i].index);
        EXPECT(rows[i].name != NULL && rows[i].name[0] != '\0');
        EXPECT(msr_row_of(rows[i].index) == &rows[i]);
        assert_string_equal(x86_msr_name(rows[i].index), rows[i].name);
    }
    EXPECT(x86_msr_name(0x12345678) == NULL);
}

static void test_registers_of_the_processor_go_to_the_backend(void **state)
{
    static const uint32_t registers[] = { 0x10,       0x174,      0x175,      0x176,
                                          EFER,       0xC0000081, 0xC0000082, 0xC0000083,
                                          0xC0000084, 0xC0000100, 0xC0000101, 0xC0000102 };
    struct x86_msrs msrs = amd();

    (void)state;
    for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        EXPECT_EQ(reads(&msrs, registers[i]), X86_MSR_BACKEND);
        EXPECT_EQ(x86_msr_write(&msrs, registers[i], 0), X86_MSR_BACKEND);
    }
}

static void test_registers_of_the_local_apic_go_there(void **state)
{
    struct x86_msrs msrs = amd();

    (void)state;
    EXPECT_EQ(reads(&msrs, APIC_BASE), X86_MSR_APIC_BASE);
    EXPECT_EQ(x86_msr_write(&msrs, APIC_BASE, 0xFEE00900), X86_MSR_APIC_BASE);
    for (uint32_t i = 0x800; i <= 0x8FF; i++) {
        EXPECT_EQ(reads(&msrs, i), X86_MSR_APIC);
    }
    EXPECT_EQ(reads(&msrs, 0x7FF), X86_MSR_FAULT);
    EXPECT_EQ(reads(&msrs, 0x900), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&msrs, TSC_DEADLINE, 5), X86_MSR_APIC);
    msrs.config.x2apic = false;
    msrs.config.no_deadline = true;
    EXPECT_EQ(reads(&msrs, 0x802), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&msrs, TSC_DEADLINE, 5), X86_MSR_FAULT);
}

static void test_synthetic_registers_exist_only_with_enlightenments(void **state)
{
    struct x86_msrs msrs = amd();

    (void)state;
    EXPECT_EQ(reads(&msrs, 0x40000000), X86_MSR_HYPERV);
    EXPECT_EQ(x86_msr_write(&msrs, 0x40000073, 1), X86_MSR_HYPERV);
    EXPECT_EQ(reads(&msrs, 0x400001FF), X86_MSR_HYPERV);
    EXPECT_EQ(reads(&msrs, 0x40000200), X86_MSR_FAULT);
    msrs.config.hyperv = false;
    EXPECT_EQ(reads(&msrs, 0x40000000), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&msrs, 0x40000001, 1), X86_MSR_FAULT);
}

static void test_all_else_is_a_fault(void **state)
{
    static const uint32_t absent[] = {
        0x3B,       0x48,       0x49,       0xC1,       0xE7,       0x10A,      0x10B,      0x122,
        0x186,      0x38F,      0x404,      0x480,      0x6A0,      0x6E1,      0xDA0,      0xC0000104,
        0xC0010000, 0xC0010004, 0xC0010117, 0xC0010140, 0xC001011F, 0xC0010200, 0xC0011030, 0xFFFFFFFF,
    };
    struct x86_msrs msrs = amd();
    const struct x86_msrs before = msrs;

    (void)state;
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        EXPECT_EQ(reads(&msrs, absent[i]), X86_MSR_FAULT);
        EXPECT_EQ(x86_msr_write(&msrs, absent[i], 0), X86_MSR_FAULT);
    }
    assert_memory_equal(&msrs, &before, sizeof(msrs));
}

/* Linux 6.1 and Xen 4.17 read these without a way to survive #GP. */
static void test_registers_that_kernels_read_blindly_can_be_read(void **state)
{
    static const uint32_t blind[] = { PATCH_LEVEL, MTRR_CAP,   MCG_CAP,    0x17A,       MTRR_DEF_TYPE,
                                      PAT,         SYSCFG,     HWCR,       INT_PENDING, 0xC001001A,
                                      0xC001001D,  0xC001001F, 0xC0010114, 0xC0011029 };
    const struct x86_msrs msrs = amd();

    (void)state;
    for (size_t i = 0; i < sizeof(blind) / sizeof(blind[0]); i++) {
        EXPECT_EQ(reads(&msrs, blind[i]), X86_MSR_DONE);
    }
}

static void test_amd_registers_do_not_exist_on_intel_and_the_other_way_round(void **state)
{
    static const uint32_t amd_only[] = { SYSCFG, HWCR, INT_PENDING, 0xC001001F, 0xC0010114 };
    static const uint32_t intel_only[] = { 0x17, 0x3A };
    const struct x86_msrs one = amd();
    const struct x86_msrs other = intel();

    (void)state;
    for (size_t i = 0; i < sizeof(amd_only) / sizeof(amd_only[0]); i++) {
        EXPECT_EQ(reads(&one, amd_only[i]), X86_MSR_DONE);
        EXPECT_EQ(reads(&other, amd_only[i]), X86_MSR_FAULT);
    }
    for (size_t i = 0; i < sizeof(intel_only) / sizeof(intel_only[0]); i++) {
        EXPECT_EQ(reads(&one, intel_only[i]), X86_MSR_FAULT);
        EXPECT_EQ(reads(&other, intel_only[i]), X86_MSR_DONE);
    }
}

static void test_pat_starts_as_after_reset_and_takes_only_memory_types(void **state)
{
    static const uint8_t types[8] = { 1, 1, 0, 0, 1, 1, 1, 1 };
    struct x86_msrs msrs = amd();

    (void)state;
    EXPECT_EQ(value_of(&msrs, PAT), UINT64_C(0x0007040600070406));
    for (unsigned slot = 0; slot < 8; slot++) {
        for (unsigned type = 0; type < 256; type++) {
            const bool valid = type < 8 && types[type];
            const uint64_t value = (UINT64_C(0x0606060606060606) & ~(UINT64_C(0xFF) << (8 * slot))) |
                                   (uint64_t)type << (8 * slot);

            EXPECT_EQ(x86_msr_write(&msrs, PAT, value), valid ? X86_MSR_APPLY : X86_MSR_FAULT);
            EXPECT_EQ(value_of(&msrs, PAT) == value, valid);
        }
    }
}

static void test_mtrrs_are_enabled_with_write_back_by_default(void **state)
{
    const struct x86_msrs msrs = amd();

    (void)state;
    EXPECT_EQ(value_of(&msrs, MTRR_DEF_TYPE), 0xC06);
    EXPECT_EQ(value_of(&msrs, MTRR_CAP) & 0xFF, X86_MTRR_VARIABLE);
    EXPECT(value_of(&msrs, MTRR_CAP) & 0x100); /* fixed ranges */
    EXPECT(value_of(&msrs, MTRR_CAP) & 0x400); /* write-combining */
    EXPECT_EQ(value_of(&msrs, MTRR_FIX64K), UINT64_C(0x0606060606060606));
    EXPECT_EQ(value_of(&msrs, 0x26F), UINT64_C(0x0606060606060606));
    EXPECT_EQ(value_of(&msrs, 0x20F), 0);
}

static void test_mtrr_default_type_has_reserved_bits(void **state)
{
    struct x86_msrs msrs = amd();

    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t value = UINT64_C(1) << bit;
        const bool valid = bit == 0 || bit == 2 || bit == 10 || bit == 11; /* types WC and WT; FE, E */

        EXPECT_EQ(x86_msr_write(&msrs, MTRR_DEF_TYPE, value), valid ? X86_MSR_DONE : X86_MSR_FAULT);
    }
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_DEF_TYPE, 0xC02), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_DEF_TYPE, 0xC07), X86_MSR_FAULT); /* UC- is the PAT's alone */
}

static void test_variable_mtrrs_check_type_and_address_width(void **state)
{
    struct x86_msrs msrs = amd();

    (void)state;
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_BASE0, UINT64_C(0xC0000000)), X86_MSR_DONE);
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_MASK0, UINT64_C(0xFFC0000800)), X86_MSR_DONE);
    EXPECT_EQ(value_of(&msrs, MTRR_BASE0), UINT64_C(0xC0000000));
    EXPECT_EQ(value_of(&msrs, MTRR_MASK0), UINT64_C(0xFFC0000800));
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_BASE0, UINT64_C(1) << 40), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_MASK0, UINT64_C(1) << 40), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_BASE0, 0x100), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_BASE0, 2), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_MASK0, 0x400), X86_MSR_FAULT);
    EXPECT_EQ(value_of(&msrs, MTRR_BASE0), UINT64_C(0xC0000000));
    EXPECT_EQ(x86_msr_write(&msrs, 0x20F, UINT64_C(0x800)), X86_MSR_DONE);
    EXPECT_EQ(reads(&msrs, 0x210), X86_MSR_FAULT);
}

static void test_fixed_mtrrs_take_dram_bits_only_while_syscfg_opens_them(void **state)
{
    struct x86_msrs msrs = amd();
    const uint64_t dram = UINT64_C(0x1E1E1E1E1E1E1E1E);

    (void)state;
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_FIX64K, dram), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&msrs, SYSCFG, 1u << 19), X86_MSR_DONE);
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_FIX64K, dram), X86_MSR_DONE);
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_FIX64K, UINT64_C(0x3E)), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_FIX64K, UINT64_C(0x0700000000000000)), X86_MSR_FAULT);
}

static void test_machine_check_banks_are_cleared_but_not_forged(void **state)
{
    struct x86_msrs one = amd();
    struct x86_msrs other = intel();

    (void)state;
    EXPECT_EQ(value_of(&one, MCG_CAP) & 0xFF, X86_MC_BANKS);
    EXPECT_EQ(x86_msr_write(&one, MC0_CTL, ~UINT64_C(0)), X86_MSR_DONE);
    EXPECT_EQ(value_of(&one, MC0_CTL), ~UINT64_C(0));
    EXPECT_EQ(x86_msr_write(&one, MC0_STATUS, 0), X86_MSR_DONE);
    EXPECT_EQ(x86_msr_write(&one, MC0_STATUS, 1), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&one, HWCR, value_of(&one, HWCR) | 1u << 18), X86_MSR_DONE);
    EXPECT_EQ(x86_msr_write(&one, MC0_STATUS, 1), X86_MSR_DONE);
    EXPECT_EQ(value_of(&one, MC0_STATUS), 1);
    EXPECT_EQ(x86_msr_write(&other, MC0_STATUS, 1), X86_MSR_FAULT);
    EXPECT_EQ(reads(&one, 0x404), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&one, MCG_CAP, 0), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&one, 0x17A, 7), X86_MSR_DONE);
    EXPECT_EQ(x86_msr_write(&one, 0x17A, 8), X86_MSR_FAULT);
}

static void test_tsc_aux_has_32_bits_and_goes_with_rdtscp(void **state)
{
    struct x86_msrs msrs = amd();

    (void)state;
    EXPECT_EQ(x86_msr_write(&msrs, TSC_AUX, 0x12345678), X86_MSR_APPLY);
    EXPECT_EQ(value_of(&msrs, TSC_AUX), 0x12345678);
    EXPECT_EQ(x86_msr_write(&msrs, TSC_AUX, UINT64_C(1) << 32), X86_MSR_FAULT);
    msrs.config.rdtscp = false;
    EXPECT_EQ(reads(&msrs, TSC_AUX), X86_MSR_FAULT);
}

static void test_hwcr_says_that_the_tsc_counts_at_p0_whatever_is_written(void **state)
{
    struct x86_msrs msrs = amd();

    (void)state;
    EXPECT(value_of(&msrs, HWCR) & 1u << 24);
    EXPECT_EQ(x86_msr_write(&msrs, HWCR, 0), X86_MSR_DONE);
    EXPECT(value_of(&msrs, HWCR) & 1u << 24);
    EXPECT(value_of(&msrs, HWCR) & 1u << 4); /* INVD acts as WBINVD */
}

static void test_syscfg_holds_its_memory_bits_only(void **state)
{
    struct x86_msrs msrs = amd();

    (void)state;
    EXPECT_EQ(value_of(&msrs, SYSCFG), 0);
    EXPECT_EQ(x86_msr_write(&msrs, SYSCFG, ~UINT64_C(0)), X86_MSR_DONE);
    EXPECT_EQ(value_of(&msrs, SYSCFG), UINT64_C(0x7C0000)); /* not SME's bit 23 */
}

static void test_int_pending_reads_back(void **state)
{
    struct x86_msrs msrs = amd();

    (void)state;
    EXPECT_EQ(value_of(&msrs, INT_PENDING), 0);
    EXPECT_EQ(x86_msr_write(&msrs, INT_PENDING, 0x18000000), X86_MSR_DONE);
    EXPECT_EQ(value_of(&msrs, INT_PENDING), 0x18000000);
}

static void test_patch_level_keeps_what_it_says(void **state)
{
    struct x86_msrs one = amd();
    struct x86_msrs other = intel();

    (void)state;
    EXPECT_EQ(value_of(&one, PATCH_LEVEL), 0xFFFFFFFF);
    EXPECT_EQ(x86_msr_write(&other, PATCH_LEVEL, 0), X86_MSR_DONE); /* as before CPUID, on Intel's */
    EXPECT_EQ(value_of(&other, PATCH_LEVEL) >> 32, 0xFFFFFFFF);
}

static void test_constants_refuse_writes(void **state)
{
    struct x86_msrs msrs = intel();

    (void)state;
    EXPECT_EQ(value_of(&msrs, 0x3A), 1); /* FEATURE_CONTROL: locked, no VMX */
    EXPECT_EQ(x86_msr_write(&msrs, 0x3A, 5), X86_MSR_FAULT);
    EXPECT_EQ(x86_msr_write(&msrs, MTRR_CAP, 0), X86_MSR_FAULT);
}

static void test_virtualization_is_locked_off(void **state)
{
    const struct x86_msrs msrs = amd();

    (void)state;
    EXPECT_EQ(value_of(&msrs, 0xC0010114), 0x18); /* VM_CR: SVMDIS and LOCK */
}

static void test_misc_enable_changes_in_its_fast_string_bit_only(void **state)
{
    struct x86_msrs msrs = intel();

    (void)state;
    EXPECT_EQ(value_of(&msrs, MISC_ENABLE), 0x1801);
    EXPECT_EQ(x86_msr_write(&msrs, MISC_ENABLE, UINT64_C(1) << 34), X86_MSR_DONE);
    EXPECT_EQ(value_of(&msrs, MISC_ENABLE), 0x1800);
}

static void test_branch_records_read_as_zero_and_debug_control_has_two_bits(void **state)
{
    struct x86_msrs msrs = amd();

    (void)state;
    for (uint32_t i = 0x1DB; i <= 0x1DE; i++) {
        EXPECT_EQ(value_of(&msrs, i), 0);
    }
    EXPECT_EQ(x86_msr_write(&msrs, 0x1D9, 3), X86_MSR_DONE);
    EXPECT_EQ(value_of(&msrs, 0x1D9), 3);
    EXPECT_EQ(x86_msr_write(&msrs, 0x1D9, 0x40), X86_MSR_FAULT);
}

/* No sequence of writes stores what a processor would have refused, or reaches beyond the record. */
static void test_random_writes_keep_every_register_valid(void **state)
{
    struct {
        struct x86_msrs msrs;
        uint64_t guard;
    } room = { amd(), UINT64_C(0x5AFE5AFE5AFE5AFE) };
    unsigned count;
    const struct msr_row *rows = msr_rows(&count);
    uint64_t random = 0x9E3779B97F4A7C15;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        (void)!x86_msr_write(&room.msrs, rows[(random >> 33) % count].index,
                             random & random >> 17 & random << 9);
    }
    EXPECT_EQ(room.guard, UINT64_C(0x5AFE5AFE5AFE5AFE));
    for (unsigned i = 0; i < 8; i++) {
        EXPECT(value_of(&room.msrs, MTRR_BASE0 + 2 * i) >> 40 == 0);
        EXPECT((value_of(&room.msrs, MTRR_MASK0 + 2 * i) & 0x7FF) == 0);
        EXPECT((value_of(&room.msrs, PAT) >> (8 * i) & 0xF8) == 0);
    }
    EXPECT((value_of(&room.msrs, MTRR_DEF_TYPE) & ~UINT64_C(0xC07)) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_is_sorted_and_names_every_register_once),
        cmocka_unit_test(test_registers_of_the_processor_go_to_the_backend),
        cmocka_unit_test(test_registers_of_the_local_apic_go_there),
        cmocka_unit_test(test_synthetic_registers_exist_only_with_enlightenments),
        cmocka_unit_test(test_all_else_is_a_fault),
        cmocka_unit_test(test_registers_that_kernels_read_blindly_can_be_read),
        cmocka_unit_test(test_amd_registers_do_not_exist_on_intel_and_the_other_way_round),
        cmocka_unit_test(test_pat_starts_as_after_reset_and_takes_only_memory_types),
        cmocka_unit_test(test_mtrrs_are_enabled_with_write_back_by_default),
        cmocka_unit_test(test_mtrr_default_type_has_reserved_bits),
        cmocka_unit_test(test_variable_mtrrs_check_type_and_address_width),
        cmocka_unit_test(test_fixed_mtrrs_take_dram_bits_only_while_syscfg_opens_them),
        cmocka_unit_test(test_machine_check_banks_are_cleared_but_not_forged),
        cmocka_unit_test(test_tsc_aux_has_32_bits_and_goes_with_rdtscp),
        cmocka_unit_test(test_hwcr_says_that_the_tsc_counts_at_p0_whatever_is_written),
        cmocka_unit_test(test_syscfg_holds_its_memory_bits_only),
        cmocka_unit_test(test_int_pending_reads_back),
        cmocka_unit_test(test_patch_level_keeps_what_it_says),
        cmocka_unit_test(test_constants_refuse_writes),
        cmocka_unit_test(test_virtualization_is_locked_off),
        cmocka_unit_test(test_misc_enable_changes_in_its_fast_string_bit_only),
        cmocka_unit_test(test_branch_records_read_as_zero_and_debug_control_has_two_bits),
        cmocka_unit_test(test_random_writes_keep_every_register_valid),
    };

    return RUN_TESTS(tests);
}
