/* Records of entries: what the hypervisor writes, and how it is read. See record.h. */
#include <string.h>

#include "hv/x86/vmx/record.h"
#include "tests/model/vmx/record.h"
#include "tests/unit/test.h"

static struct entry_record record;

static int fresh(void **state)
{
    (void)state;
    memset(&record, 0, sizeof record);
    return 0;
}

static uint64_t value_of(unsigned vp, unsigned key)
{
    uint64_t value;

    EXPECT(entry_image_get(&record.image[vp], key, &value));
    return value;
}

static void test_a_line_changes_what_it_names_and_leaves_the_rest(void **state)
{
    unsigned vp = 9;

    (void)state;
    EXPECT_EQ(entry_record_line(&record, "~0 681e:fff0 6820:2 8480:ffffffffffffffff .", &vp),
              ENTRY_LINE_ENTRY);
    EXPECT_EQ(vp, 0);
    EXPECT_EQ(entry_record_line(&record, "~0 681e:fff2 .", &vp), ENTRY_LINE_ENTRY);
    EXPECT_EQ(value_of(0, VMCS_GUEST_RIP), 0xFFF2);
    EXPECT_EQ(value_of(0, VMCS_GUEST_RFLAGS), 2);
    EXPECT_EQ(value_of(0, ENTRY_KEY_MSR + 0x480), UINT64_MAX);
}

static void test_each_virtual_processor_has_an_image_of_its_own(void **state)
{
    uint64_t value;
    unsigned vp;

    (void)state;
    EXPECT_EQ(entry_record_line(&record, "~7 0:1 .", &vp), ENTRY_LINE_ENTRY);
    EXPECT_EQ(vp, 7);
    EXPECT_EQ(value_of(7, VMCS_VPID), 1);
    EXPECT(!entry_image_get(&record.image[0], VMCS_VPID, &value));
    EXPECT_EQ(entry_record_line(&record, "~8 0:1 .", &vp), ENTRY_LINE_BROKEN);
}

static void test_an_entry_without_a_change_is_one_and_what_others_print_is_none(void **state)
{
    unsigned vp;

    (void)state;
    EXPECT_EQ(entry_record_line(&record, "~0 .", &vp), ENTRY_LINE_ENTRY);
    EXPECT_EQ(entry_record_line(&record, "~0 .\r", &vp), ENTRY_LINE_ENTRY);
    EXPECT_EQ(entry_record_line(&record, "", &vp), ENTRY_LINE_OTHER);
    EXPECT_EQ(entry_record_line(&record, "Next at t=0", &vp), ENTRY_LINE_OTHER);
}

static void test_a_line_that_is_cut_or_mixed_with_another_is_broken(void **state)
{
    static const char *const lines[] = {
        "~",
        "~0",
        "~0 ",
        "~0 681e",
        "~0 681e:",
        "~0 681e:1",
        "~0 681e:1 ",
        "~x .",
        "~0 6x:1 .",
        "~0 681e:1 .~",
        "~0 681e:1 . ",
        "~0 681e:Z .",
        "~0 6880:1 .",
        "~0 1681e:1 .",
        "~0 681e:11111111111111111 .",
        "~-1 .",
    };
    unsigned vp;

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        EXPECT_EQ(entry_record_line(&record, lines[i], &vp), ENTRY_LINE_BROKEN);
    }
}

static void test_the_digest_is_of_the_image_and_not_of_the_way_to_it(void **state)
{
    uint64_t digest;
    unsigned vp;

    (void)state;
    EXPECT_EQ(entry_record_line(&record, "~0 681e:1 6820:2 .", &vp), ENTRY_LINE_ENTRY);
    digest = record.digest[0];
    EXPECT_EQ(entry_record_line(&record, "~0 681e:5 .", &vp), ENTRY_LINE_ENTRY);
    EXPECT(record.digest[0] != digest);
    EXPECT_EQ(entry_record_line(&record, "~0 6820:3 681e:1 .", &vp), ENTRY_LINE_ENTRY);
    EXPECT(record.digest[0] != digest);
    EXPECT_EQ(entry_record_line(&record, "~0 6820:2 .", &vp), ENTRY_LINE_ENTRY);
    EXPECT_EQ(record.digest[0], digest);
    EXPECT_EQ(entry_record_line(&record, "~1 6820:2 681e:1 .", &vp), ENTRY_LINE_ENTRY);
    EXPECT_EQ(record.digest[1], digest);
}

/* --- what the hypervisor records is what the rules want --- */

static const struct {
    uint16_t first, count;
} runs[] = { VMX_RECORD_RUNS };

static void expect_recorded(void *context, unsigned key)
{
    (void)context;
    for (unsigned i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        if (key >= runs[i].first && key < runs[i].first + 2u * runs[i].count) {
            return;
        }
    }
    print_error("%s is not recorded\n", entry_key_name(key));
    fail();
}

static void test_every_field_that_a_rule_looks_at_is_recorded(void **state)
{
    (void)state;
    entry_each_field(expect_recorded, NULL);
}

static void test_every_recorded_key_has_a_place(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        for (unsigned j = 0; j < runs[i].count; j++) {
            EXPECT(entry_image_set(&record.image[0], runs[i].first + 2 * j, 0));
        }
    }
}

static void test_writer_and_reader_mean_the_same_keys(void **state)
{
    (void)state;
    EXPECT_EQ(VMX_RECORD_MSR, ENTRY_KEY_MSR);
    EXPECT_EQ(VMX_RECORD_CPUID_WIDTHS, ENTRY_KEY_CPUID_WIDTHS);
    EXPECT_EQ(VMX_RECORD_CPUID_EXTENDED, ENTRY_KEY_CPUID_EXTENDED);
    EXPECT_EQ(VMX_RECORD_CPUID_FEATURES, ENTRY_KEY_CPUID_FEATURES);
    EXPECT_EQ(VMX_RECORD_CPUID_PERFMON, ENTRY_KEY_CPUID_PERFMON);
    EXPECT_EQ(VMX_RECORD_VTPR, ENTRY_KEY_VTPR);
    EXPECT_EQ(VMX_RECORD_PDPTE, ENTRY_KEY_PDPTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_line_changes_what_it_names_and_leaves_the_rest, fresh),
        cmocka_unit_test_setup(test_each_virtual_processor_has_an_image_of_its_own, fresh),
        cmocka_unit_test_setup(test_an_entry_without_a_change_is_one_and_what_others_print_is_none, fresh),
        cmocka_unit_test_setup(test_a_line_that_is_cut_or_mixed_with_another_is_broken, fresh),
        cmocka_unit_test_setup(test_the_digest_is_of_the_image_and_not_of_the_way_to_it, fresh),
        cmocka_unit_test(test_every_field_that_a_rule_looks_at_is_recorded),
        cmocka_unit_test_setup(test_every_recorded_key_has_a_place, fresh),
        cmocka_unit_test(test_writer_and_reader_mean_the_same_keys),
    };
    return RUN_TESTS(tests);
}
