/*
 * SDM 3D "VMX Capability Reporting Facility"; SDM 3C "Enabling and Entering VMX Operation", "Restrictions on VMX
 * Operation", "Algorithms for Determining VMX Capabilities".
 */
#include "tests/unit/test.h"
#include "tests/unit/vmx/processors.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct processor *const tagged[] = { &lynnfield, &sandy_bridge, &broadwell, &haswell };

static const char *missing_of(const struct processor *processor, enum vmx_use use)
{
    const struct vmx_capabilities capabilities = capabilities_of(processor);

    return vmx_missing(&capabilities, use);
}

static uint32_t value_of(const struct processor *processor, enum vmx_use use, enum vmx_control_group group)
{
    const struct vmx_capabilities capabilities = capabilities_of(processor);

    return vmx_controls_of(&capabilities, use).value[group];
}

static void test_processors_from_sandy_bridge_on_run_guests_of_both_uses(void **state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT(tagged); i++) {
        EXPECT(!missing_of(tagged[i], VMX_INDIRECT));
        EXPECT(tagged[i] == &lynnfield || !missing_of(tagged[i], VMX_DIRECT));
    }
}

static void test_a_processor_without_unrestricted_guests_has_indirect_ones(void **state)
{
    (void)state;
    assert_string_equal(missing_of(&lynnfield, VMX_DIRECT), "unrestricted guests");
    EXPECT(!missing_of(&lynnfield, VMX_INDIRECT));
}

static void test_the_first_processors_are_refused_by_what_they_lack(void **state)
{
    (void)state;
    assert_string_equal(missing_of(&merom, VMX_DIRECT), "virtual NMIs");
    assert_string_equal(missing_of(&merom, VMX_INDIRECT), "virtual NMIs");
    assert_string_equal(missing_of(&penryn, VMX_INDIRECT), "loading of IA32_PAT at exits");
}

struct need {
    unsigned index;
    uint32_t bits;
    const char *name;
};

static void expect_needs(const struct need *needs, size_t count, enum vmx_use use)
{
    for (size_t i = 0; i < count; i++) {
        const struct processor poorer = without(&broadwell, needs[i].index, needs[i].bits);
        const char *missing = missing_of(&poorer, use);

        EXPECT(missing != NULL);
        assert_string_equal(missing, needs[i].name);
    }
}

static void test_each_control_that_all_guests_need_is_missed_by_name(void **state)
{
    static const struct need needs[] = {
        { PIN, BIT64(0), "external-interrupt exiting" },
        { PIN, BIT64(3), "NMI exiting" },
        { PIN, BIT64(5), "virtual NMIs" },
        { PROCESSOR, BIT64(2), "interrupt-window exiting" },
        { PROCESSOR, BIT64(3), "TSC offsetting" },
        { PROCESSOR, BIT64(7), "HLT exiting" },
        { PROCESSOR, BIT64(10), "MWAIT exiting" },
        { PROCESSOR, BIT64(11), "RDPMC exiting" },
        { PROCESSOR, BIT64(19), "CR8-load exiting" },
        { PROCESSOR, BIT64(20), "CR8-store exiting" },
        { PROCESSOR, BIT64(22), "NMI-window exiting" },
        { PROCESSOR, BIT64(24) | BIT64(25), "I/O exiting" },
        { PROCESSOR, BIT64(28), "MSR bitmaps" },
        { PROCESSOR, BIT64(29), "MONITOR exiting" },
        { EXIT, BIT64(2), "saving of debug controls" },
        { EXIT, BIT64(9), "64-bit hosts" },
        { EXIT, BIT64(19), "loading of IA32_PAT at exits" },
        { EXIT, BIT64(20), "saving of IA32_EFER" },
        { EXIT, BIT64(21), "loading of IA32_EFER at exits" },
        { ENTRY, BIT64(2), "loading of debug controls" },
        { ENTRY, BIT64(9), "64-bit guests" },
        { ENTRY, BIT64(14), "loading of IA32_PAT at entries" },
        { ENTRY, BIT64(15), "loading of IA32_EFER at entries" },
    };

    (void)state;
    expect_needs(needs, COUNT(needs), VMX_DIRECT);
    expect_needs(needs, COUNT(needs), VMX_INDIRECT);
}

static void test_each_control_of_one_use_is_missed_by_that_use_alone(void **state)
{
    static const struct need direct[] = {
        { PROCESSOR, BIT64(31), "secondary controls" },
        { PROCESSOR2, BIT64(1), "EPT" },
        { PROCESSOR2, BIT64(7), "unrestricted guests" },
    };
    static const struct need indirect[] = {
        { PROCESSOR, BIT64(9), "INVLPG exiting" },
        { PROCESSOR, BIT64(15), "CR3-load exiting" },
        { PROCESSOR, BIT64(16), "CR3-store exiting" },
    };

    (void)state;
    expect_needs(direct, COUNT(direct), VMX_DIRECT);
    expect_needs(indirect, COUNT(indirect), VMX_INDIRECT);
    for (unsigned i = 0; i < COUNT(direct); i++) {
        const struct processor poorer = without(&broadwell, direct[i].index, direct[i].bits);
        EXPECT(!missing_of(&poorer, VMX_INDIRECT));
    }
    for (unsigned i = 0; i < COUNT(indirect); i++) {
        const struct processor poorer = without(&broadwell, indirect[i].index, indirect[i].bits);
        EXPECT(!missing_of(&poorer, VMX_DIRECT));
    }
}

static void test_what_is_merely_wanted_hides_no_need(void **state)
{
    struct processor poorer = without(&broadwell, PROCESSOR, (uint32_t)BIT64(21));

    (void)state;
    poorer = without(&poorer, PROCESSOR2, (uint32_t)(BIT64(3) | BIT64(5) | BIT64(12)));
    EXPECT(!missing_of(&poorer, VMX_DIRECT) && !missing_of(&poorer, VMX_INDIRECT));
    poorer = without(&poorer, ENTRY, (uint32_t)BIT64(15));
    assert_string_equal(missing_of(&poorer, VMX_DIRECT), "loading of IA32_EFER at entries");
    assert_string_equal(missing_of(&poorer, VMX_INDIRECT), "loading of IA32_EFER at entries");
}

static void test_a_second_stage_needs_cached_tables_of_four_levels_and_invept(void **state)
{
    static const struct {
        uint64_t bit;
        const char *name;
    } needs[] = {
        { BIT64(6), "EPT tables of four levels" },
        { BIT64(14), "write-back EPT tables" },
        { BIT64(20), "INVEPT" },
        { BIT64(26), "INVEPT of all contexts" },
    };

    (void)state;
    for (unsigned i = 0; i < COUNT(needs); i++) {
        struct processor poorer = broadwell;
        poorer.value[EPT_VPID] &= ~needs[i].bit;
        assert_string_equal(missing_of(&poorer, VMX_DIRECT), needs[i].name);
        EXPECT(!missing_of(&poorer, VMX_INDIRECT));
    }
}

static void test_control_structures_in_uncached_memory_are_refused(void **state)
{
    struct processor uncached = broadwell;

    (void)state;
    uncached.value[BASIC] &= ~BITS64(53, 50);
    assert_string_equal(missing_of(&uncached, VMX_DIRECT), "write-back control structures");
    assert_string_equal(missing_of(&uncached, VMX_INDIRECT), "write-back control structures");
    uncached.value[BASIC] |= UINT64_C(14) << 50;
    assert_string_equal(missing_of(&uncached, VMX_DIRECT), "write-back control structures");
}

/* CR3-load and CR3-store exiting are default settings of 1 that only the TRUE registers can lift. */
static void test_without_the_true_registers_cr3_exits_always(void **state)
{
    struct processor old = broadwell;

    (void)state;
    old.value[BASIC] &= ~BIT64(55);
    old.registers = EPT_VPID + 1;
    assert_string_equal(missing_of(&old, VMX_DIRECT), "CR3 loads without exits");
    EXPECT(!missing_of(&old, VMX_INDIRECT));
    old.registers = REGISTERS;
    old.value[BASIC] |= BIT64(55);
    old.value[TRUE_PROCESSOR] |= BIT64(16);
    assert_string_equal(missing_of(&old, VMX_DIRECT), "CR3 stores without exits");
}

static void test_default_settings_of_1_are_kept(void **state)
{
    struct processor old = broadwell;

    (void)state;
    EXPECT_EQ(value_of(&broadwell, VMX_DIRECT, VMX_GROUP_PIN), 0x3F);
    EXPECT_EQ(value_of(&broadwell, VMX_DIRECT, VMX_GROUP_PROCESSOR), 0xB7206DFA);
    EXPECT_EQ(value_of(&broadwell, VMX_DIRECT, VMX_GROUP_PROCESSOR2), 0x10AA);
    EXPECT_EQ(value_of(&broadwell, VMX_DIRECT, VMX_GROUP_EXIT), 0x3B6FFF);
    EXPECT_EQ(value_of(&broadwell, VMX_DIRECT, VMX_GROUP_ENTRY), 0xD1FF);
    EXPECT_EQ(value_of(&broadwell, VMX_INDIRECT, VMX_GROUP_PIN), 0x3F);
    EXPECT_EQ(value_of(&broadwell, VMX_INDIRECT, VMX_GROUP_PROCESSOR), 0xB721EDFA);
    EXPECT_EQ(value_of(&broadwell, VMX_INDIRECT, VMX_GROUP_PROCESSOR2), 0x28);
    EXPECT_EQ(value_of(&broadwell, VMX_INDIRECT, VMX_GROUP_EXIT), 0x3B6FFF);
    EXPECT_EQ(value_of(&broadwell, VMX_INDIRECT, VMX_GROUP_ENTRY), 0xD1FF);

    old.value[BASIC] &= ~BIT64(55);
    old.value[PIN] |= BIT64(6);
    EXPECT_EQ(value_of(&old, VMX_INDIRECT, VMX_GROUP_PIN), 0x7F);
    old.value[BASIC] |= BIT64(55);
    EXPECT_EQ(value_of(&old, VMX_INDIRECT, VMX_GROUP_PIN), 0x3F);
}

static void test_every_value_is_one_that_the_processor_allows(void **state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT(tagged); i++) {
        const struct vmx_capabilities can = capabilities_of(tagged[i]);
        for (unsigned use = 0; use < VMX_USES; use++) {
            const struct vmx_controls controls = vmx_controls_of(&can, (enum vmx_use)use);
            for (unsigned group = 0; group < VMX_CONTROL_GROUPS; group++) {
                EXPECT(vmx_allows(&can.controls[group], controls.value[group]) ||
                       vmx_missing(&can, (enum vmx_use)use));
            }
        }
    }
}

static void test_cr8_exits_where_there_is_no_tpr_shadow(void **state)
{
    const struct processor bare = without(&broadwell, PROCESSOR, (uint32_t)BIT64(21));
    const uint32_t cr8 = BIT64(19) | BIT64(20);

    (void)state;
    EXPECT_EQ(value_of(&broadwell, VMX_DIRECT, VMX_GROUP_PROCESSOR) & (cr8 | BIT64(21)), BIT64(21));
    EXPECT_EQ(value_of(&bare, VMX_DIRECT, VMX_GROUP_PROCESSOR) & (cr8 | BIT64(21)), cr8);
    EXPECT(!missing_of(&bare, VMX_DIRECT));
}

static void test_ports_exit_with_bitmaps_or_without(void **state)
{
    const struct processor plain = without(&broadwell, PROCESSOR, (uint32_t)BIT64(25));
    const struct processor mapped = without(&broadwell, PROCESSOR, (uint32_t)BIT64(24));
    const uint64_t both = BIT64(24) | BIT64(25);

    (void)state;
    EXPECT(!missing_of(&plain, VMX_DIRECT) && !missing_of(&mapped, VMX_DIRECT));
    EXPECT_EQ(value_of(&plain, VMX_DIRECT, VMX_GROUP_PROCESSOR) & both, BIT64(24));
    EXPECT_EQ(value_of(&mapped, VMX_DIRECT, VMX_GROUP_PROCESSOR) & both, BIT64(25));
}

static void test_instructions_that_a_control_enables_are_enabled_where_they_are_offered(void **state)
{
    const struct processor bare = without(&broadwell, PROCESSOR2, (uint32_t)(BIT64(3) | BIT64(12)));

    (void)state;
    EXPECT_EQ(value_of(&bare, VMX_DIRECT, VMX_GROUP_PROCESSOR2), 0xA2);
    /* INVPCID would act on the tags that are ours: an indirect guest has none. */
    EXPECT_EQ(value_of(&broadwell, VMX_INDIRECT, VMX_GROUP_PROCESSOR2) & BIT64(12), 0);
}

static void test_without_secondary_controls_their_registers_are_not_read(void **state)
{
    struct processor bare = without(&broadwell, PROCESSOR, (uint32_t)BIT64(31));

    (void)state;
    bare.value[PROCESSOR2] = bare.value[EPT_VPID] = UINT64_MAX;
    EXPECT_EQ(value_of(&bare, VMX_INDIRECT, VMX_GROUP_PROCESSOR2), 0);
    EXPECT(!capabilities_of(&bare).vpid);
    /* These two have fewer registers: reading another one fails. */
    EXPECT_EQ(capabilities_of(&merom).ept_vpid, 0);
    EXPECT_EQ(capabilities_of(&penryn).ept_vpid, 0);
}

static void test_tags_are_used_only_if_all_of_them_can_be_forgotten(void **state)
{
    static const uint64_t lacks[] = { BIT64(32), BIT64(42) };
    const struct processor none = without(&broadwell, PROCESSOR2, (uint32_t)BIT64(5));

    (void)state;
    EXPECT(capabilities_of(&broadwell).vpid);
    EXPECT(!capabilities_of(&none).vpid);
    EXPECT(!missing_of(&none, VMX_DIRECT));
    for (unsigned i = 0; i < COUNT(lacks); i++) {
        struct processor poorer = broadwell;
        poorer.value[EPT_VPID] &= ~lacks[i];
        EXPECT(!capabilities_of(&poorer).vpid);
        EXPECT(!capabilities_of(&poorer).invvpid_single);
        EXPECT_EQ(value_of(&poorer, VMX_DIRECT, VMX_GROUP_PROCESSOR2) & BIT64(5), 0);
        EXPECT(!missing_of(&poorer, VMX_INDIRECT));
    }
}

static void test_each_type_of_invalidation_is_told_apart(void **state)
{
    struct processor poorer = broadwell;

    (void)state;
    poorer.value[EPT_VPID] &= ~(BIT64(40) | BIT64(25));
    EXPECT(!capabilities_of(&poorer).invvpid_address && !capabilities_of(&poorer).invept_single);
    EXPECT(capabilities_of(&poorer).invvpid_single && capabilities_of(&poorer).invvpid_single_but_globals);
    poorer = broadwell;
    poorer.value[EPT_VPID] &= ~BIT64(41);
    EXPECT(!capabilities_of(&poorer).invvpid_single);
    EXPECT(capabilities_of(&poorer).invvpid_address && capabilities_of(&poorer).invept_single);
    poorer = broadwell;
    poorer.value[EPT_VPID] &= ~BIT64(43);
    EXPECT(!capabilities_of(&poorer).invvpid_single_but_globals);
    EXPECT(capabilities_of(&poorer).vpid && capabilities_of(&poorer).invvpid_single);
}

static void test_what_ept_entries_may_hold_is_told(void **state)
{
    struct processor odd = broadwell;

    (void)state;
    EXPECT_EQ(capabilities_of(&broadwell).largest_level, 3);
    EXPECT(capabilities_of(&broadwell).accessed_dirty && capabilities_of(&broadwell).execute_only);
    EXPECT(capabilities_of(&broadwell).uncached_tables);
    EXPECT_EQ(capabilities_of(&sandy_bridge).largest_level, 2);
    EXPECT(!capabilities_of(&sandy_bridge).accessed_dirty);
    odd.value[EPT_VPID] &= ~(BIT64(16) | BIT64(8) | BIT64(0));
    EXPECT_EQ(capabilities_of(&odd).largest_level, 1);
    EXPECT(!capabilities_of(&odd).uncached_tables && !capabilities_of(&odd).execute_only);
}

static void test_the_small_figures_are_read(void **state)
{
    const struct vmx_capabilities can = capabilities_of(&broadwell);
    struct processor odd = broadwell;

    (void)state;
    EXPECT_EQ(can.revision, 0x12);
    EXPECT_EQ(can.cr3_targets, 4);
    EXPECT(can.preemption_timer);
    EXPECT_EQ(can.preemption_shift, 5);
    EXPECT(can.port_details);
    EXPECT(!capabilities_of(&merom).port_details);
    EXPECT(!capabilities_of(&merom).preemption_timer);
    EXPECT_EQ(capabilities_of(&haswell).revision, 0x2B);
    odd.value[BASIC] |= BITS64(31, 0);
    odd.value[MISC] = BIT64(24) | BIT64(4) | BIT64(5);
    EXPECT_EQ(capabilities_of(&odd).revision, 0x7FFFFFFF);
    EXPECT_EQ(capabilities_of(&odd).cr3_targets, 256);
    EXPECT_EQ(capabilities_of(&odd).preemption_shift, 16);
}

static void test_fixed_bits_of_cr0_and_cr4(void **state)
{
    const struct vmx_capabilities can = capabilities_of(&haswell);

    (void)state;
    EXPECT(vmx_allows(&can.cr0, 0x80000021));
    EXPECT(vmx_allows(&can.cr0, 0xE005003B));
    EXPECT(!vmx_allows(&can.cr0, 0x80000001));             /* NE is clear */
    EXPECT(!vmx_allows(&can.cr0, 0x00000021));             /* PG is clear */
    EXPECT(!vmx_allows(&can.cr0, 0x80000021 | BIT64(32))); /* reserved */
    EXPECT(vmx_allows(&can.cr4, 0x1726F8));
    EXPECT(!vmx_allows(&can.cr4, 0x6F8));              /* VMXE is clear */
    EXPECT(!vmx_allows(&can.cr4, 0x2000 | BIT64(21))); /* this one has no SMAP */
}

static void test_feature_control_is_set_and_locked_unless_it_is_locked(void **state)
{
    uint64_t fresh = 0, firmware = BIT64(0) | BIT64(2) | BIT64(20);
    uint64_t off = BIT64(0), only_smx = BIT64(0) | BIT64(1), enabled = BIT64(2);

    (void)state;
    EXPECT(!vmx_unlock(&fresh));
    EXPECT_EQ(fresh, BIT64(0) | BIT64(2));
    EXPECT(!vmx_unlock(&firmware));
    EXPECT_EQ(firmware, BIT64(0) | BIT64(2) | BIT64(20));
    EXPECT(!vmx_unlock(&enabled));
    EXPECT_EQ(enabled, BIT64(0) | BIT64(2));
    assert_string_equal(vmx_unlock(&off), "the firmware has locked VT-x off (IA32_FEATURE_CONTROL)");
    EXPECT(vmx_unlock(&only_smx) != NULL);
    EXPECT_EQ(only_smx, BIT64(0) | BIT64(1));
}

/* Reads of low registers, of high ones, then writes of both: 1 KiB each. */
static void test_msr_bitmaps_let_only_switched_registers_through(void **state)
{
    static const struct {
        unsigned byte;
        uint8_t value;
    } expected[] = {
        { 0x174 / 8, 0x8F },         /* 0x174 to 0x176 */
        { 0x400 + 0x80 / 8, 0xE1 },  /* 0xC0000081 to 0xC0000084 */
        { 0x400 + 0x100 / 8, 0xF8 }, /* 0xC0000100 to 0xC0000102 */
    };
    uint8_t bitmap[VMMU_PAGE_BYTES] = { 0 };
    unsigned holes = 0;

    (void)state;
    vmx_fill_msr_bitmap(bitmap);
    for (unsigned i = 0; i < COUNT(expected); i++) {
        EXPECT_EQ(bitmap[expected[i].byte], expected[i].value);
        EXPECT_EQ(bitmap[0x800 + expected[i].byte], expected[i].value);
    }
    for (unsigned i = 0; i < sizeof bitmap; i++) {
        holes += bitmap[i] != 0xFF;
    }
    EXPECT_EQ(holes, 2 * COUNT(expected));
}

/* Bits 14:13 are the width, 11:10 the kind. */
static void test_encodings_tell_width_and_kind(void **state)
{
    (void)state;
    EXPECT_EQ(VMCS_WIDTH(VMCS_GUEST_TR_SELECTOR), VMCS_16_BITS);
    EXPECT_EQ(VMCS_WIDTH(VMCS_EPTP), VMCS_64_BITS);
    EXPECT_EQ(VMCS_WIDTH(VMCS_GUEST_SYSENTER_CS), VMCS_32_BITS);
    EXPECT_EQ(VMCS_WIDTH(VMCS_HOST_RIP), VMCS_REGISTER_BITS);
    EXPECT(VMCS_IS_READ_ONLY(VMCS_GUEST_PHYSICAL) && VMCS_IS_READ_ONLY(VMCS_EXIT_REASON) &&
           VMCS_IS_READ_ONLY(VMCS_GUEST_LINEAR));
    EXPECT(!VMCS_IS_READ_ONLY(VMCS_LINK) && !VMCS_IS_READ_ONLY(VMCS_HOST_RIP) &&
           !VMCS_IS_READ_ONLY(VMCS_PIN_CONTROLS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_processors_from_sandy_bridge_on_run_guests_of_both_uses),
        cmocka_unit_test(test_a_processor_without_unrestricted_guests_has_indirect_ones),
        cmocka_unit_test(test_the_first_processors_are_refused_by_what_they_lack),
        cmocka_unit_test(test_each_control_that_all_guests_need_is_missed_by_name),
        cmocka_unit_test(test_each_control_of_one_use_is_missed_by_that_use_alone),
        cmocka_unit_test(test_what_is_merely_wanted_hides_no_need),
        cmocka_unit_test(test_a_second_stage_needs_cached_tables_of_four_levels_and_invept),
        cmocka_unit_test(test_control_structures_in_uncached_memory_are_refused),
        cmocka_unit_test(test_without_the_true_registers_cr3_exits_always),
        cmocka_unit_test(test_default_settings_of_1_are_kept),
        cmocka_unit_test(test_every_value_is_one_that_the_processor_allows),
        cmocka_unit_test(test_cr8_exits_where_there_is_no_tpr_shadow),
        cmocka_unit_test(test_ports_exit_with_bitmaps_or_without),
        cmocka_unit_test(test_instructions_that_a_control_enables_are_enabled_where_they_are_offered),
        cmocka_unit_test(test_without_secondary_controls_their_registers_are_not_read),
        cmocka_unit_test(test_tags_are_used_only_if_all_of_them_can_be_forgotten),
        cmocka_unit_test(test_each_type_of_invalidation_is_told_apart),
        cmocka_unit_test(test_what_ept_entries_may_hold_is_told),
        cmocka_unit_test(test_the_small_figures_are_read),
        cmocka_unit_test(test_fixed_bits_of_cr0_and_cr4),
        cmocka_unit_test(test_feature_control_is_set_and_locked_unless_it_is_locked),
        cmocka_unit_test(test_msr_bitmaps_let_only_switched_registers_through),
        cmocka_unit_test(test_encodings_tell_width_and_kind),
    };
    return RUN_TESTS(tests);
}
