/* SDM 3C "Guest Non-Register State", "Checks on Guest Non-Register State". */
#include "hv/x86/vmx/vmcs.h"
#include "tests/unit/test.h"

static void test_a_shadow_stays_that_of_the_instruction_that_cast_it(void **state)
{
    (void)state;
    EXPECT_EQ(vmx_interruptibility(VMX_BLOCKED_BY_STI, true, true), VMX_BLOCKED_BY_STI);
    EXPECT_EQ(vmx_interruptibility(VMX_BLOCKED_BY_MOV_SS, true, true), VMX_BLOCKED_BY_MOV_SS);
    EXPECT_EQ(vmx_interruptibility(VMX_BLOCKED_BY_MOV_SS, true, false), VMX_BLOCKED_BY_MOV_SS);
}

static void test_an_instruction_that_casts_no_shadow_ends_the_one_before(void **state)
{
    (void)state;
    EXPECT_EQ(vmx_interruptibility(VMX_BLOCKED_BY_STI, false, true), 0);
    EXPECT_EQ(vmx_interruptibility(VMX_BLOCKED_BY_MOV_SS | VMX_BLOCKED_BY_NMI, false, false),
              VMX_BLOCKED_BY_NMI);
}

static void test_a_shadow_that_the_hypervisor_casts_is_one_with_interrupts_enabled_or_not(void **state)
{
    (void)state;
    EXPECT_EQ(vmx_interruptibility(0, true, false), VMX_BLOCKED_BY_MOV_SS);
    EXPECT_EQ(vmx_interruptibility(VMX_BLOCKED_BY_NMI, true, true),
              VMX_BLOCKED_BY_NMI | VMX_BLOCKED_BY_MOV_SS);
}

/* VM entry demands IF for it. */
static void test_sti_blocks_nothing_while_interrupts_are_disabled(void **state)
{
    (void)state;
    EXPECT_EQ(vmx_interruptibility(VMX_BLOCKED_BY_STI, true, false), VMX_BLOCKED_BY_MOV_SS);
    EXPECT_EQ(vmx_interruptibility(VMX_BLOCKED_BY_STI | VMX_BLOCKED_BY_NMI, true, false),
              VMX_BLOCKED_BY_MOV_SS | VMX_BLOCKED_BY_NMI);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_shadow_stays_that_of_the_instruction_that_cast_it),
        cmocka_unit_test(test_an_instruction_that_casts_no_shadow_ends_the_one_before),
        cmocka_unit_test(test_a_shadow_that_the_hypervisor_casts_is_one_with_interrupts_enabled_or_not),
        cmocka_unit_test(test_sti_blocks_nothing_while_interrupts_are_disabled),
    };
    return RUN_TESTS(tests);
}
