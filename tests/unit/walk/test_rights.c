/* Who may do what to a page: CR0.WP, SMEP, SMAP, NX and protection keys, rule by rule. */
#include "tests/unit/test.h"
#include "world.h"

#define R    VMMU_X86_RIGHT_READ
#define W    VMMU_X86_RIGHT_WRITE
#define U    VMMU_X86_RIGHT_USER
#define X    VMMU_X86_RIGHT_EXECUTE

#define PF_P VMMU_X86_PF_PRESENT
#define PF_W VMMU_X86_PF_WRITE
#define PF_U VMMU_X86_PF_USER
#define PF_I VMMU_X86_PF_FETCH
#define PF_K VMMU_X86_PF_KEY

/* Long mode with these bits of CR4 besides, and CR0.WP as said. */
static struct vmmu_x86_mode mode_with(bool wp, uint64_t cr4)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);

    registers.cr0 = wp ? registers.cr0 : registers.cr0 & ~VMMU_X86_CR0_WP;
    registers.cr4 |= cr4;
    return mode_of(&registers);
}

static uint32_t judge(const struct vmmu_x86_mode *mode, enum vmmu_x86_access_kind kind, bool user,
                      uint8_t rights)
{
    return vmmu_walk_judge(mode, (struct vmmu_x86_access){ .kind = kind, .user = user }, rights, 0);
}

static void test_a_user_needs_a_user_page_for_everything(void **state)
{
    const struct vmmu_x86_mode mode = mode_with(true, 0);

    (void)state;
    EXPECT_EQ(judge(&mode, VMMU_X86_READ, true, R | W | X), PF_P | PF_U);
    EXPECT_EQ(judge(&mode, VMMU_X86_WRITE, true, R | W | X), PF_P | PF_U | PF_W);
    EXPECT_EQ(judge(&mode, VMMU_X86_EXECUTE, true, R | W | X), PF_P | PF_U | PF_I);
    EXPECT_EQ(judge(&mode, VMMU_X86_READ, true, R | U), 0);
    EXPECT_EQ(judge(&mode, VMMU_X86_WRITE, true, R | W | U), 0);
    EXPECT_EQ(judge(&mode, VMMU_X86_EXECUTE, true, R | U | X), 0);
}

static void test_a_user_never_writes_a_read_only_page_whatever_wp(void **state)
{
    (void)state;
    for (unsigned wp = 0; wp < 2; wp++) {
        const struct vmmu_x86_mode mode = mode_with(wp, 0);

        EXPECT_EQ(judge(&mode, VMMU_X86_WRITE, true, R | U), PF_P | PF_U | PF_W);
    }
}

static void test_a_supervisor_writes_a_read_only_page_only_while_wp_is_clear(void **state)
{
    const struct vmmu_x86_mode protect = mode_with(true, 0);
    const struct vmmu_x86_mode free = mode_with(false, 0);

    (void)state;
    EXPECT_EQ(judge(&protect, VMMU_X86_WRITE, false, R), PF_P | PF_W);
    EXPECT_EQ(judge(&protect, VMMU_X86_WRITE, false, R | U), PF_P | PF_W);
    EXPECT_EQ(judge(&free, VMMU_X86_WRITE, false, R), 0);
    EXPECT_EQ(judge(&free, VMMU_X86_WRITE, false, R | U), 0);
}

static void test_nothing_executes_where_a_level_forbids_it(void **state)
{
    const struct vmmu_x86_mode mode = mode_with(false, 0);

    (void)state;
    EXPECT_EQ(judge(&mode, VMMU_X86_EXECUTE, false, R | W | U), PF_P | PF_I);
    EXPECT_EQ(judge(&mode, VMMU_X86_EXECUTE, true, R | W | U), PF_P | PF_U | PF_I);
    EXPECT_EQ(judge(&mode, VMMU_X86_EXECUTE, false, R | W | U | X), 0);
}

static void test_smep_keeps_a_supervisor_from_executing_user_pages(void **state)
{
    const struct vmmu_x86_mode mode = mode_with(true, VMMU_X86_CR4_SMEP);

    (void)state;
    EXPECT_EQ(judge(&mode, VMMU_X86_EXECUTE, false, R | U | X), PF_P | PF_I);
    EXPECT_EQ(judge(&mode, VMMU_X86_EXECUTE, false, R | X), 0);
    EXPECT_EQ(judge(&mode, VMMU_X86_EXECUTE, true, R | U | X), 0);
    EXPECT_EQ(judge(&mode, VMMU_X86_READ, false, R | U), 0);
}

static void test_smap_keeps_a_supervisor_from_user_data_unless_ac_is_set(void **state)
{
    const struct vmmu_x86_mode mode = mode_with(true, VMMU_X86_CR4_SMAP);
    struct vmmu_x86_access access = { .kind = VMMU_X86_READ };

    (void)state;
    EXPECT_EQ(vmmu_walk_judge(&mode, access, R | W | U, 0), PF_P);
    access.eflags_ac = true;
    EXPECT_EQ(vmmu_walk_judge(&mode, access, R | W | U, 0), 0);
    access.kind = VMMU_X86_WRITE;
    EXPECT_EQ(vmmu_walk_judge(&mode, access, R | W | U, 0), 0);
    EXPECT_EQ(vmmu_walk_judge(&mode, access, R | U, 0), PF_P | PF_W);
    access.eflags_ac = false;
    EXPECT_EQ(vmmu_walk_judge(&mode, access, R | W | U, 0), PF_P | PF_W);
    EXPECT_EQ(vmmu_walk_judge(&mode, access, R | W, 0), 0);
}

static void test_smap_ignores_ac_for_implicit_supervisor_accesses(void **state)
{
    const struct vmmu_x86_mode mode = mode_with(true, VMMU_X86_CR4_SMAP);
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .implicit = true, .eflags_ac = true };

    (void)state;
    EXPECT_EQ(vmmu_walk_judge(&mode, access, R | U, 0), PF_P);
    EXPECT_EQ(vmmu_walk_judge(&mode, access, R, 0), 0);
}

static void test_smap_does_not_touch_fetches_nor_users(void **state)
{
    const struct vmmu_x86_mode mode = mode_with(true, VMMU_X86_CR4_SMAP);

    (void)state;
    EXPECT_EQ(judge(&mode, VMMU_X86_EXECUTE, false, R | U | X), 0);
    EXPECT_EQ(judge(&mode, VMMU_X86_READ, true, R | U), 0);
}

static void test_smap_holds_though_wp_is_clear(void **state)
{
    const struct vmmu_x86_mode mode = mode_with(false, VMMU_X86_CR4_SMAP);
    const struct vmmu_x86_access allowed = { .kind = VMMU_X86_WRITE, .eflags_ac = true };

    (void)state;
    EXPECT_EQ(judge(&mode, VMMU_X86_WRITE, false, R | U), PF_P | PF_W);
    EXPECT_EQ(vmmu_walk_judge(&mode, allowed, R | U, 0), 0);
}

/* --- protection keys --- */

#define KEY         UINT32_C(5)
#define ACCESS_OFF  (UINT32_C(1) << (2 * KEY))
#define WRITE_OFF   (UINT32_C(2) << (2 * KEY))
#define USER_PAGE   (R | W | U | X)
#define SYSTEM_PAGE (R | W | X)

static struct vmmu_x86_mode keyed(bool wp, uint64_t cr4, uint32_t pkru, uint32_t pkrs)
{
    struct vmmu_x86_mode mode = mode_with(wp, cr4);

    mode.pkru = pkru;
    mode.pkrs = pkrs;
    return mode;
}

static uint32_t judge_keyed(const struct vmmu_x86_mode *mode, enum vmmu_x86_access_kind kind, bool user,
                            uint8_t rights)
{
    return vmmu_walk_judge(mode, (struct vmmu_x86_access){ .kind = kind, .user = user }, rights, KEY);
}

static void test_pkru_ad_forbids_all_data_accesses_to_user_pages_of_the_key(void **state)
{
    const struct vmmu_x86_mode mode = keyed(true, VMMU_X86_CR4_PKE, ACCESS_OFF, 0);

    (void)state;
    EXPECT_EQ(judge_keyed(&mode, VMMU_X86_READ, true, USER_PAGE), PF_P | PF_U | PF_K);
    EXPECT_EQ(judge_keyed(&mode, VMMU_X86_WRITE, true, USER_PAGE), PF_P | PF_U | PF_W | PF_K);
    EXPECT_EQ(judge_keyed(&mode, VMMU_X86_READ, false, USER_PAGE), PF_P | PF_K);
    EXPECT_EQ(judge_keyed(&mode, VMMU_X86_READ, false, SYSTEM_PAGE), 0);
    EXPECT_EQ(judge(&mode, VMMU_X86_READ, true, USER_PAGE), 0); /* key 0 */
}

static void test_protection_keys_do_not_touch_fetches(void **state)
{
    const struct vmmu_x86_mode mode =
        keyed(true, VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS, ACCESS_OFF | WRITE_OFF, ACCESS_OFF | WRITE_OFF);

    (void)state;
    EXPECT_EQ(judge_keyed(&mode, VMMU_X86_EXECUTE, true, USER_PAGE), 0);
    EXPECT_EQ(judge_keyed(&mode, VMMU_X86_EXECUTE, false, SYSTEM_PAGE), 0);
}

static void test_pkru_wd_forbids_user_writes_always_and_supervisor_writes_under_wp(void **state)
{
    const struct vmmu_x86_mode protect = keyed(true, VMMU_X86_CR4_PKE, WRITE_OFF, 0);
    const struct vmmu_x86_mode free = keyed(false, VMMU_X86_CR4_PKE, WRITE_OFF, 0);

    (void)state;
    EXPECT_EQ(judge_keyed(&protect, VMMU_X86_READ, true, USER_PAGE), 0);
    EXPECT_EQ(judge_keyed(&protect, VMMU_X86_WRITE, true, USER_PAGE), PF_P | PF_U | PF_W | PF_K);
    EXPECT_EQ(judge_keyed(&free, VMMU_X86_WRITE, true, USER_PAGE), PF_P | PF_U | PF_W | PF_K);
    EXPECT_EQ(judge_keyed(&protect, VMMU_X86_WRITE, false, USER_PAGE), PF_P | PF_W | PF_K);
    EXPECT_EQ(judge_keyed(&free, VMMU_X86_WRITE, false, USER_PAGE), 0);
}

static void test_pkrs_governs_supervisor_pages_and_wd_needs_wp(void **state)
{
    const struct vmmu_x86_mode off = keyed(true, VMMU_X86_CR4_PKS, 0, ACCESS_OFF);
    const struct vmmu_x86_mode protect = keyed(true, VMMU_X86_CR4_PKS, 0, WRITE_OFF);
    const struct vmmu_x86_mode free = keyed(false, VMMU_X86_CR4_PKS, 0, WRITE_OFF);

    (void)state;
    EXPECT_EQ(judge_keyed(&off, VMMU_X86_READ, false, SYSTEM_PAGE), PF_P | PF_K);
    EXPECT_EQ(judge_keyed(&off, VMMU_X86_READ, false, USER_PAGE), 0);
    EXPECT_EQ(judge_keyed(&protect, VMMU_X86_READ, false, SYSTEM_PAGE), 0);
    EXPECT_EQ(judge_keyed(&protect, VMMU_X86_WRITE, false, SYSTEM_PAGE), PF_P | PF_W | PF_K);
    EXPECT_EQ(judge_keyed(&free, VMMU_X86_WRITE, false, SYSTEM_PAGE), 0);
}

static void test_keys_count_for_nothing_while_pke_and_pks_are_clear(void **state)
{
    const struct vmmu_x86_mode mode = keyed(true, 0, ~UINT32_C(0), ~UINT32_C(0));

    (void)state;
    EXPECT_EQ(judge_keyed(&mode, VMMU_X86_WRITE, true, USER_PAGE), 0);
    EXPECT_EQ(judge_keyed(&mode, VMMU_X86_WRITE, false, SYSTEM_PAGE), 0);
}

static void test_the_pk_flag_is_set_beside_another_violation(void **state)
{
    const struct vmmu_x86_mode mode = keyed(true, VMMU_X86_CR4_PKE, ACCESS_OFF, 0);

    (void)state;
    EXPECT_EQ(judge_keyed(&mode, VMMU_X86_WRITE, true, R | U), PF_P | PF_U | PF_W | PF_K);
    EXPECT_EQ(judge_keyed(&mode, VMMU_X86_WRITE, true, R | W), PF_P | PF_U | PF_W);
}

static void test_a_walk_applies_the_key_of_the_leaf(void **state)
{
    static struct world world;
    static struct vmmu_x86_walk_result out;
    const struct vmmu_x86_mode mode = keyed(true, VMMU_X86_CR4_PKE, ACCESS_OFF, 0);
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .user = true };

    (void)state;
    world_init(&world);
    put_chain(&world, &mode, 1, 0, 0x7000 | E_ALL | ((uint64_t)KEY << 59));
    EXPECT_EQ(vmmu_x86_walk(&mode, &world.ram, (vmmu_gva){ 0 }, access, &out), VMMU_GUEST_FAULT);
    EXPECT_EQ(out.fault.error_code, PF_P | PF_U | PF_K);
    put_chain(&world, &mode, 1, 0, 0x7000 | E_ALL | ((uint64_t)(KEY + 1) << 59));
    EXPECT_EQ(vmmu_x86_walk(&mode, &world.ram, (vmmu_gva){ 0 }, access, &out), VMMU_OK);
}

static void test_with_paging_off_every_access_is_let_through_whatever_cr4_says(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_NONE);

    (void)state;
    registers.cr4 |= VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP;
    for (unsigned kind = VMMU_X86_READ; kind <= VMMU_X86_EXECUTE; kind++) {
        const struct vmmu_x86_mode mode = mode_of(&registers);

        EXPECT_EQ(judge(&mode, (enum vmmu_x86_access_kind)kind, false, VMMU_X86_RIGHTS_ALL), 0);
        EXPECT_EQ(judge(&mode, (enum vmmu_x86_access_kind)kind, true, VMMU_X86_RIGHTS_ALL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_user_needs_a_user_page_for_everything),
        cmocka_unit_test(test_a_user_never_writes_a_read_only_page_whatever_wp),
        cmocka_unit_test(test_a_supervisor_writes_a_read_only_page_only_while_wp_is_clear),
        cmocka_unit_test(test_nothing_executes_where_a_level_forbids_it),
        cmocka_unit_test(test_smep_keeps_a_supervisor_from_executing_user_pages),
        cmocka_unit_test(test_smap_keeps_a_supervisor_from_user_data_unless_ac_is_set),
        cmocka_unit_test(test_smap_ignores_ac_for_implicit_supervisor_accesses),
        cmocka_unit_test(test_smap_does_not_touch_fetches_nor_users),
        cmocka_unit_test(test_smap_holds_though_wp_is_clear),
        cmocka_unit_test(test_pkru_ad_forbids_all_data_accesses_to_user_pages_of_the_key),
        cmocka_unit_test(test_protection_keys_do_not_touch_fetches),
        cmocka_unit_test(test_pkru_wd_forbids_user_writes_always_and_supervisor_writes_under_wp),
        cmocka_unit_test(test_pkrs_governs_supervisor_pages_and_wd_needs_wp),
        cmocka_unit_test(test_keys_count_for_nothing_while_pke_and_pks_are_clear),
        cmocka_unit_test(test_the_pk_flag_is_set_beside_another_violation),
        cmocka_unit_test(test_a_walk_applies_the_key_of_the_leaf),
        cmocka_unit_test(test_with_paging_off_every_access_is_let_through_whatever_cr4_says),
    };

    return RUN_TESTS(tests);
}
