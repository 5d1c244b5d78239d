/* TLFS "Virtual MMU and Caching", "Virtual and Physical MMU Compatibility": each row that is left to a policy. */
#include "tests/unit/test.h"

#include <vmmu/hyperv.h>

#define PWT         BIT64(3)
#define PCD         BIT64(4)
#define PCIDE       BIT64(17)
#define CD          BIT64(30)
#define NW          BIT64(29)
#define PG_PE       (BIT64(31) | BIT64(0))

/* Write-combining in entry 1, as Linux has it. */
#define PAT_WITH_WC UINT64_C(0x0407050600070106)

static struct vmmu_hyperv_policy shadow_policy(void)
{
    return vmmu_hyperv_policy_default(false);
}

static void expect_stored(struct vmmu_hyperv_ruling ruling, uint64_t value)
{
    EXPECT_EQ(ruling.verdict, VMMU_HYPERV_STORE);
    EXPECT_EQ(ruling.stored, value);
}

/* --- defaults, and what goes together --- */

static void test_defaults_are_the_first_of_each_row(void **state)
{
    const struct vmmu_hyperv_policy policy = shadow_policy();

    (void)state;
    EXPECT_EQ(policy.cr3_cache, VMMU_HYPERV_CACHE_IGNORE);
    EXPECT_EQ(policy.table_cache, VMMU_HYPERV_CACHE_IGNORE);
    EXPECT_EQ(policy.cr0_cd, VMMU_HYPERV_CACHE_IGNORE);
    EXPECT(!policy.pat_of_partition);
    EXPECT(policy.shadow_sharing);
    EXPECT(!policy.empty_set_is_error);
}

static void test_under_nested_paging_the_processor_honours_cr3_and_tables(void **state)
{
    const struct vmmu_hyperv_policy policy = vmmu_hyperv_policy_default(true);

    (void)state;
    EXPECT_EQ(policy.cr3_cache, VMMU_HYPERV_CACHE_HONOR);
    EXPECT_EQ(policy.table_cache, VMMU_HYPERV_CACHE_HONOR);
    EXPECT_EQ(policy.cr0_cd, VMMU_HYPERV_CACHE_IGNORE);
}

static void test_defaults_are_never_refused(void **state)
{
    const struct vmmu_hyperv_policy shadow = vmmu_hyperv_policy_default(false);
    const struct vmmu_hyperv_policy nested = vmmu_hyperv_policy_default(true);

    (void)state;
    EXPECT_EQ(vmmu_hyperv_policy_check(&shadow, false, false), VMMU_HYPERV_POLICY_GOOD);
    EXPECT_EQ(vmmu_hyperv_policy_check(&nested, true, false), VMMU_HYPERV_POLICY_GOOD);
}

static void test_a_message_wants_a_parent(void **state)
{
    struct vmmu_hyperv_policy policy = shadow_policy();

    (void)state;
    policy.cr0_cd = VMMU_HYPERV_CACHE_MESSAGE;
    EXPECT_EQ(vmmu_hyperv_policy_check(&policy, false, false), VMMU_HYPERV_POLICY_NO_PARENT);
    EXPECT_EQ(vmmu_hyperv_policy_check(&policy, false, true), VMMU_HYPERV_POLICY_GOOD);
    policy = shadow_policy();
    policy.table_cache = VMMU_HYPERV_CACHE_MESSAGE;
    EXPECT_EQ(vmmu_hyperv_policy_check(&policy, false, false), VMMU_HYPERV_POLICY_NO_PARENT);
    EXPECT_EQ(vmmu_hyperv_policy_check(&policy, false, true), VMMU_HYPERV_POLICY_GOOD);
}

static void test_walks_that_nobody_sees_can_only_be_honoured(void **state)
{
    struct vmmu_hyperv_policy policy = vmmu_hyperv_policy_default(true);

    (void)state;
    policy.table_cache = VMMU_HYPERV_CACHE_IGNORE;
    EXPECT_EQ(vmmu_hyperv_policy_check(&policy, true, true), VMMU_HYPERV_POLICY_UNSEEN_WALKS);
    policy.table_cache = VMMU_HYPERV_CACHE_MESSAGE;
    EXPECT_EQ(vmmu_hyperv_policy_check(&policy, true, true), VMMU_HYPERV_POLICY_UNSEEN_WALKS);
    EXPECT_EQ(vmmu_hyperv_policy_check(&policy, false, true), VMMU_HYPERV_POLICY_GOOD);
}

static void test_cr3_has_no_message(void **state)
{
    struct vmmu_hyperv_policy policy = shadow_policy();

    (void)state;
    policy.cr3_cache = VMMU_HYPERV_CACHE_MESSAGE;
    EXPECT_EQ(vmmu_hyperv_policy_check(&policy, false, true), VMMU_HYPERV_POLICY_CR3_MESSAGE);
}

/* --- CR3 --- */

static void test_ignored_bits_of_cr3_read_back_zero(void **state)
{
    const struct vmmu_hyperv_policy policy = shadow_policy();

    (void)state;
    expect_stored(vmmu_hyperv_rule_cr3(&policy, VMMU_HYPERV_BY_INSTRUCTION, 0, 0x5000 | PWT | PCD), 0x5000);
    expect_stored(vmmu_hyperv_rule_cr3(&policy, VMMU_HYPERV_BY_INSTRUCTION, 0, 0x5000 | PCD), 0x5000);
    expect_stored(vmmu_hyperv_rule_cr3(&policy, VMMU_HYPERV_BY_INSTRUCTION, 0, 0x5000), 0x5000);
}

static void test_ignored_bits_of_cr3_are_an_error_of_a_call(void **state)
{
    const struct vmmu_hyperv_policy policy = shadow_policy();

    (void)state;
    EXPECT_EQ(vmmu_hyperv_rule_cr3(&policy, VMMU_HYPERV_BY_CALL, 0, 0x5000 | PWT).verdict,
              VMMU_HYPERV_REFUSE);
    EXPECT_EQ(vmmu_hyperv_rule_cr3(&policy, VMMU_HYPERV_BY_CALL, 0, 0x5000 | PCD).verdict,
              VMMU_HYPERV_REFUSE);
    expect_stored(vmmu_hyperv_rule_cr3(&policy, VMMU_HYPERV_BY_CALL, 0, 0x5000), 0x5000);
}

static void test_honoured_bits_of_cr3_are_stored_whoever_writes(void **state)
{
    struct vmmu_hyperv_policy policy = shadow_policy();

    (void)state;
    policy.cr3_cache = VMMU_HYPERV_CACHE_HONOR;
    expect_stored(vmmu_hyperv_rule_cr3(&policy, VMMU_HYPERV_BY_INSTRUCTION, 0, 0x5000 | PWT | PCD),
                  0x5000 | PWT | PCD);
    expect_stored(vmmu_hyperv_rule_cr3(&policy, VMMU_HYPERV_BY_CALL, 0, 0x5000 | PWT), 0x5000 | PWT);
}

static void test_bits_of_a_pcid_are_no_cache_bits(void **state)
{
    const struct vmmu_hyperv_policy policy = shadow_policy();

    (void)state;
    expect_stored(vmmu_hyperv_rule_cr3(&policy, VMMU_HYPERV_BY_INSTRUCTION, PCIDE, 0x5000 | 0xFFF), 0x5FFF);
    expect_stored(vmmu_hyperv_rule_cr3(&policy, VMMU_HYPERV_BY_CALL, PCIDE, 0x5000 | PWT | PCD),
                  0x5000 | PWT | PCD);
}

/* --- CR0.CD --- */

static void test_an_ignored_cd_reads_back_zero_and_nw_with_it(void **state)
{
    const struct vmmu_hyperv_policy policy = shadow_policy();

    (void)state;
    expect_stored(vmmu_hyperv_rule_cr0(&policy, VMMU_HYPERV_BY_INSTRUCTION, PG_PE | CD | NW), PG_PE);
    expect_stored(vmmu_hyperv_rule_cr0(&policy, VMMU_HYPERV_BY_INSTRUCTION, PG_PE | CD), PG_PE);
    EXPECT(!vmmu_hyperv_is_uncached(&policy, PG_PE | CD));
}

static void test_cd_under_message_stores_nothing_and_tells(void **state)
{
    struct vmmu_hyperv_policy policy = shadow_policy();

    (void)state;
    policy.cr0_cd = VMMU_HYPERV_CACHE_MESSAGE;
    EXPECT_EQ(vmmu_hyperv_rule_cr0(&policy, VMMU_HYPERV_BY_INSTRUCTION, PG_PE | CD).verdict,
              VMMU_HYPERV_MESSAGE);
    expect_stored(vmmu_hyperv_rule_cr0(&policy, VMMU_HYPERV_BY_INSTRUCTION, PG_PE), PG_PE);
    EXPECT(!vmmu_hyperv_is_uncached(&policy, PG_PE | CD));
}

static void test_cd_set_by_a_call_is_an_error_unless_it_is_honoured(void **state)
{
    struct vmmu_hyperv_policy policy = shadow_policy();

    (void)state;
    EXPECT_EQ(vmmu_hyperv_rule_cr0(&policy, VMMU_HYPERV_BY_CALL, PG_PE | CD).verdict, VMMU_HYPERV_REFUSE);
    expect_stored(vmmu_hyperv_rule_cr0(&policy, VMMU_HYPERV_BY_CALL, PG_PE), PG_PE);
    policy.cr0_cd = VMMU_HYPERV_CACHE_MESSAGE;
    EXPECT_EQ(vmmu_hyperv_rule_cr0(&policy, VMMU_HYPERV_BY_CALL, PG_PE | CD).verdict, VMMU_HYPERV_REFUSE);
    policy.cr0_cd = VMMU_HYPERV_CACHE_HONOR;
    expect_stored(vmmu_hyperv_rule_cr0(&policy, VMMU_HYPERV_BY_CALL, PG_PE | CD), PG_PE | CD);
}

static void test_an_honoured_cd_reads_back_and_makes_accesses_uncached(void **state)
{
    struct vmmu_hyperv_policy policy = shadow_policy();

    (void)state;
    policy.cr0_cd = VMMU_HYPERV_CACHE_HONOR;
    expect_stored(vmmu_hyperv_rule_cr0(&policy, VMMU_HYPERV_BY_INSTRUCTION, PG_PE | CD | NW),
                  PG_PE | CD | NW);
    EXPECT(vmmu_hyperv_is_uncached(&policy, PG_PE | CD));
    EXPECT(!vmmu_hyperv_is_uncached(&policy, PG_PE));
}

/* --- IA32_PAT --- */

static void test_after_reset_every_pat_is_that_of_reset(void **state)
{
    struct vmmu_hyperv_pats pats;

    (void)state;
    vmmu_hyperv_pats_init(&pats);
    EXPECT_EQ(vmmu_hyperv_pat_of_vp(&pats, 0), UINT64_C(0x0007040600070406));
    EXPECT_EQ(vmmu_hyperv_pat_of_vp(&pats, VMMU_HYPERV_VPS - 1), UINT64_C(0x0007040600070406));
    EXPECT_EQ(vmmu_hyperv_pat_of_tables(&pats), UINT64_C(0x0007040600070406));
}

static void test_each_processor_reads_back_its_own_pat(void **state)
{
    const struct vmmu_hyperv_policy policy = shadow_policy();
    struct vmmu_hyperv_pats pats;

    (void)state;
    vmmu_hyperv_pats_init(&pats);
    EXPECT_EQ(vmmu_hyperv_pat_write(&pats, &policy, 2, 1, PAT_WITH_WC), BIT64(1));
    EXPECT_EQ(pats.of_vp[1], PAT_WITH_WC);
    EXPECT_EQ(pats.of_vp[0], VMMU_X86_PAT_AT_RESET);
}

static void test_tables_see_a_pat_once_all_processors_agree(void **state)
{
    const struct vmmu_hyperv_policy policy = shadow_policy();
    struct vmmu_hyperv_pats pats;

    (void)state;
    vmmu_hyperv_pats_init(&pats);
    (void)vmmu_hyperv_pat_write(&pats, &policy, 3, 0, PAT_WITH_WC);
    EXPECT_EQ(vmmu_hyperv_pat_of_tables(&pats), VMMU_X86_PAT_AT_RESET);
    (void)vmmu_hyperv_pat_write(&pats, &policy, 3, 2, PAT_WITH_WC);
    EXPECT_EQ(vmmu_hyperv_pat_of_tables(&pats), VMMU_X86_PAT_AT_RESET);
    (void)vmmu_hyperv_pat_write(&pats, &policy, 3, 1, PAT_WITH_WC);
    EXPECT_EQ(vmmu_hyperv_pat_of_tables(&pats), PAT_WITH_WC);
}

static void test_what_was_agreed_lasts_while_processors_disagree(void **state)
{
    const struct vmmu_hyperv_policy policy = shadow_policy();
    struct vmmu_hyperv_pats pats;

    (void)state;
    vmmu_hyperv_pats_init(&pats);
    (void)vmmu_hyperv_pat_write(&pats, &policy, 1, 0, PAT_WITH_WC);
    EXPECT_EQ(vmmu_hyperv_pat_of_tables(&pats), PAT_WITH_WC); /* one processor always agrees */
    (void)vmmu_hyperv_pat_write(&pats, &policy, 2, 1, 0);
    EXPECT_EQ(vmmu_hyperv_pat_of_tables(&pats), PAT_WITH_WC);
}

static void test_a_partitions_one_pat_changes_for_all_processors(void **state)
{
    struct vmmu_hyperv_policy policy = shadow_policy();
    struct vmmu_hyperv_pats pats;

    (void)state;
    policy.pat_of_partition = true;
    vmmu_hyperv_pats_init(&pats);
    EXPECT_EQ(vmmu_hyperv_pat_write(&pats, &policy, 3, 2, PAT_WITH_WC), 7);
    EXPECT_EQ(pats.of_vp[0], PAT_WITH_WC);
    EXPECT_EQ(pats.of_vp[1], PAT_WITH_WC);
    EXPECT_EQ(pats.of_vp[2], PAT_WITH_WC);
    EXPECT_EQ(vmmu_hyperv_pat_of_tables(&pats), PAT_WITH_WC);
}

static void test_a_pat_written_as_it_is_changes_nobody(void **state)
{
    struct vmmu_hyperv_policy policy = shadow_policy();
    struct vmmu_hyperv_pats pats;

    (void)state;
    vmmu_hyperv_pats_init(&pats);
    EXPECT_EQ(vmmu_hyperv_pat_write(&pats, &policy, 4, 3, VMMU_X86_PAT_AT_RESET), 0);
    policy.pat_of_partition = true;
    EXPECT_EQ(vmmu_hyperv_pat_write(&pats, &policy, 4, 3, VMMU_X86_PAT_AT_RESET), 0);
}

static void test_a_processor_with_cd_has_a_pat_of_uc_and_reads_back_its_own(void **state)
{
    struct vmmu_hyperv_policy policy = shadow_policy();
    struct vmmu_hyperv_pats pats;

    (void)state;
    policy.cr0_cd = VMMU_HYPERV_CACHE_HONOR;
    vmmu_hyperv_pats_init(&pats);
    EXPECT(vmmu_hyperv_pat_follow_cr0(&pats, &policy, 1, PG_PE | CD));
    EXPECT(!vmmu_hyperv_pat_follow_cr0(&pats, &policy, 1, PG_PE | CD | NW));
    EXPECT_EQ(vmmu_hyperv_pat_of_vp(&pats, 1), 0);
    EXPECT_EQ(vmmu_hyperv_pat_of_vp(&pats, 0), VMMU_X86_PAT_AT_RESET);
    EXPECT_EQ(vmmu_hyperv_pat_of_tables(&pats), 0); /* which all of them share */
    (void)vmmu_hyperv_pat_write(&pats, &policy, 2, 1, PAT_WITH_WC);
    EXPECT_EQ(pats.of_vp[1], PAT_WITH_WC);
    EXPECT_EQ(vmmu_hyperv_pat_of_vp(&pats, 1), 0);
    EXPECT(vmmu_hyperv_pat_follow_cr0(&pats, &policy, 1, PG_PE));
    EXPECT_EQ(vmmu_hyperv_pat_of_vp(&pats, 1), PAT_WITH_WC);
    EXPECT_EQ(vmmu_hyperv_pat_of_tables(&pats), VMMU_X86_PAT_AT_RESET);
}

static void test_a_cd_that_is_ignored_changes_no_pat(void **state)
{
    const struct vmmu_hyperv_policy policy = shadow_policy();
    struct vmmu_hyperv_pats pats;

    (void)state;
    vmmu_hyperv_pats_init(&pats);
    EXPECT(!vmmu_hyperv_pat_follow_cr0(&pats, &policy, 0, PG_PE | CD));
    EXPECT_EQ(vmmu_hyperv_pat_of_tables(&pats), VMMU_X86_PAT_AT_RESET);
}

static void test_types_follow_the_pat_that_translates(void **state)
{
    struct vmmu_hyperv_policy policy = shadow_policy();
    struct vmmu_hyperv_pats pats;

    (void)state;
    policy.cr0_cd = VMMU_HYPERV_CACHE_HONOR;
    vmmu_hyperv_pats_init(&pats);
    (void)vmmu_hyperv_pat_write(&pats, &policy, 2, 1, PAT_WITH_WC);
    EXPECT_EQ(vmmu_hyperv_pat_type(&pats, true, 1, 1), VMMU_X86_TYPE_WC);       /* nested: its own */
    EXPECT_EQ(vmmu_hyperv_pat_type(&pats, false, 1, 1), VMMU_X86_TYPE_WT);      /* shadow: the agreed */
    EXPECT_EQ(vmmu_hyperv_pat_type(&pats, true, 0, 2), VMMU_X86_TYPE_UC_MINUS); /* MTRRs may override it */
    (void)vmmu_hyperv_pat_follow_cr0(&pats, &policy, 0, PG_PE | CD);
    EXPECT_EQ(vmmu_hyperv_pat_type(&pats, true, 0, 0), VMMU_X86_TYPE_UC);
    EXPECT_EQ(vmmu_hyperv_pat_type(&pats, true, 1, 0), VMMU_X86_TYPE_WB);
    EXPECT_EQ(vmmu_hyperv_pat_type(&pats, false, 1, 0), VMMU_X86_TYPE_UC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_the_first_of_each_row),
        cmocka_unit_test(test_under_nested_paging_the_processor_honours_cr3_and_tables),
        cmocka_unit_test(test_defaults_are_never_refused),
        cmocka_unit_test(test_a_message_wants_a_parent),
        cmocka_unit_test(test_walks_that_nobody_sees_can_only_be_honoured),
        cmocka_unit_test(test_cr3_has_no_message),
        cmocka_unit_test(test_ignored_bits_of_cr3_read_back_zero),
        cmocka_unit_test(test_ignored_bits_of_cr3_are_an_error_of_a_call),
        cmocka_unit_test(test_honoured_bits_of_cr3_are_stored_whoever_writes),
        cmocka_unit_test(test_bits_of_a_pcid_are_no_cache_bits),
        cmocka_unit_test(test_an_ignored_cd_reads_back_zero_and_nw_with_it),
        cmocka_unit_test(test_cd_under_message_stores_nothing_and_tells),
        cmocka_unit_test(test_cd_set_by_a_call_is_an_error_unless_it_is_honoured),
        cmocka_unit_test(test_an_honoured_cd_reads_back_and_makes_accesses_uncached),
        cmocka_unit_test(test_after_reset_every_pat_is_that_of_reset),
        cmocka_unit_test(test_each_processor_reads_back_its_own_pat),
        cmocka_unit_test(test_tables_see_a_pat_once_all_processors_agree),
        cmocka_unit_test(test_what_was_agreed_lasts_while_processors_disagree),
        cmocka_unit_test(test_a_partitions_one_pat_changes_for_all_processors),
        cmocka_unit_test(test_a_pat_written_as_it_is_changes_nobody),
        cmocka_unit_test(test_a_processor_with_cd_has_a_pat_of_uc_and_reads_back_its_own),
        cmocka_unit_test(test_a_cd_that_is_ignored_changes_no_pat),
        cmocka_unit_test(test_types_follow_the_pat_that_translates),
    };
    return RUN_TESTS(tests);
}
