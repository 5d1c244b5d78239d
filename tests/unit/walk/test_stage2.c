/* The second stage alone: NPT and EPT, what they map, what they refuse, and how the refusal is told. */
#include "second.h"
#include "tests/unit/test.h"

static struct world world;
static struct vmmu_x86_stage2_result out;

#define R     VMMU_X86_RIGHT_READ
#define W     VMMU_X86_RIGHT_WRITE
#define U     VMMU_X86_RIGHT_USER
#define X     VMMU_X86_RIGHT_EXECUTE

#define GPA   UINT64_C(0x40201123)
#define FRAME UINT64_C(0x9876543000)

static struct second npt(void)
{
    world_init(&world);
    return second_npt(&world, VMMU_X86_FORMAT_4LEVEL);
}

static struct second ept(bool accessed_dirty)
{
    world_init(&world);
    return second_ept(&world, 4, accessed_dirty);
}

static enum vmmu_status walk(const struct second *second, enum vmmu_x86_access_kind kind, bool guest_table)
{
    const struct vmmu_x86_stage2_access access = { .kind = kind,
                                                   .marks = VMMU_X86_MARKS_AS_IT_GOES,
                                                   .guest_table = guest_table };

    return vmmu_x86_walk_stage2(&second->stage2, (vmmu_gpa){ GPA }, access, &out);
}

static void test_every_format_and_page_size_translates(void **state)
{
    static const struct {
        enum vmmu_x86_format_name format;
        unsigned level;
        uint64_t bytes;
    } cases[] = {
        { VMMU_X86_FORMAT_32BIT, 1, 0x1000 },         { VMMU_X86_FORMAT_32BIT_PSE, 2, 0x400000 },
        { VMMU_X86_FORMAT_PAE, 1, 0x1000 },           { VMMU_X86_FORMAT_PAE, 2, VMMU_2M_BYTES },
        { VMMU_X86_FORMAT_4LEVEL, 1, 0x1000 },        { VMMU_X86_FORMAT_4LEVEL, 2, VMMU_2M_BYTES },
        { VMMU_X86_FORMAT_4LEVEL, 3, VMMU_1G_BYTES }, { VMMU_X86_FORMAT_5LEVEL, 1, 0x1000 },
        { VMMU_X86_FORMAT_5LEVEL, 3, VMMU_1G_BYTES }, { VMMU_X86_FORMAT_EPT4, 1, 0x1000 },
        { VMMU_X86_FORMAT_EPT4, 2, VMMU_2M_BYTES },   { VMMU_X86_FORMAT_EPT4, 3, VMMU_1G_BYTES },
        { VMMU_X86_FORMAT_EPT5, 1, 0x1000 },          { VMMU_X86_FORMAT_EPT5, 3, VMMU_1G_BYTES },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const bool extended = cases[i].format >= VMMU_X86_FORMAT_EPT4;
        const unsigned levels = vmmu_x86_formats[cases[i].format].levels;

        world_init(&world);
        struct second second =
            extended ? second_ept(&world, levels, true) : second_npt(&world, cases[i].format);
        const uint64_t frame = 2 * cases[i].bytes;

        second_map(&second, cases[i].level, GPA, frame, R | W | U | X);
        EXPECT_EQ(walk(&second, VMMU_X86_WRITE, false), VMMU_OK);
        EXPECT_EQ(out.translation.hpa.v, frame | (GPA & (cases[i].bytes - 1)));
        EXPECT_EQ(out.translation.frame.v, frame);
        EXPECT_EQ(out.translation.page_bytes, cases[i].bytes);
        EXPECT_EQ(out.translation.level, cases[i].level);
        EXPECT_EQ(out.translation.rights, R | W | U | X);
        EXPECT_EQ(out.translation.memory_type, extended ? VMMU_X86_TYPE_WB : 0);
        EXPECT(out.translation.dirty);
        EXPECT_EQ(out.loads, levels - cases[i].level + 1);
        EXPECT_EQ(out.steps[0].stage, VMMU_X86_STAGE_SECOND);
    }
}

static void test_memory_type_and_pat_index_are_told(void **state)
{
    struct second second = ept(false);

    (void)state;
    second_map(&second, 1, GPA, FRAME, R);
    second_put(&second, 1, GPA, FRAME | BIT64(6) | (5 << 3) | 1);
    EXPECT_EQ(walk(&second, VMMU_X86_READ, false), VMMU_OK);
    EXPECT_EQ(out.translation.memory_type, VMMU_X86_TYPE_WP);
    EXPECT(out.translation.ignore_pat);
    second = npt();
    second_map(&second, 1, GPA, FRAME, R | U);
    second_put(&second, 1, GPA, FRAME | E_P | E_US | E_PS | E_PWT);
    EXPECT_EQ(walk(&second, VMMU_X86_READ, false), VMMU_OK);
    EXPECT_EQ(out.translation.pat_index, 5);
    EXPECT(!out.translation.ignore_pat);
}

/* --- NPT --- */

#define NPF_P    UINT64_C(1)
#define NPF_W    UINT64_C(2)
#define NPF_U    UINT64_C(4)
#define NPF_RSV  UINT64_C(8)
#define NPF_ID   UINT64_C(16)
#define NPF_LAST BIT64(32)
#define NPF_WALK BIT64(33)

static void expect_npf(const struct second *second, enum vmmu_x86_access_kind kind, bool guest_table,
                       uint64_t exitinfo1)
{
    EXPECT_EQ(walk(second, kind, guest_table), VMMU_STAGE2);
    EXPECT_EQ(out.fault.exitinfo1, exitinfo1);
    EXPECT_EQ(out.fault.qualification, 0);
    EXPECT_EQ(out.fault.gpa.v, GPA);
    EXPECT_EQ(out.fault.access.kind, kind);
    EXPECT_EQ(out.fault.access.guest_table, guest_table);
}

static void test_npt_takes_every_access_for_a_users(void **state)
{
    struct second second = npt();

    (void)state;
    second_map(&second, 1, GPA, FRAME, R | W | X); /* a supervisor's page */
    expect_npf(&second, VMMU_X86_READ, false, NPF_P | NPF_U | NPF_LAST);
    EXPECT_EQ(out.fault.reason, VMMU_X86_STAGE2_RIGHTS);
    EXPECT_EQ(out.fault.level, 1);
    EXPECT_EQ(out.fault.rights, R | W | X);
}

static void test_npt_refuses_writes_and_fetches_by_rw_and_nx(void **state)
{
    struct second second = npt();

    (void)state;
    second_map(&second, 1, GPA, FRAME, R | U);
    EXPECT_EQ(walk(&second, VMMU_X86_READ, false), VMMU_OK);
    expect_npf(&second, VMMU_X86_WRITE, false, NPF_P | NPF_W | NPF_U | NPF_LAST);
    expect_npf(&second, VMMU_X86_EXECUTE, false, NPF_P | NPF_ID | NPF_U | NPF_LAST);
}

static void test_npt_takes_an_access_to_a_guest_table_for_a_write(void **state)
{
    struct second second = npt();

    (void)state;
    second_map(&second, 1, GPA, FRAME, R | U | X);
    expect_npf(&second, VMMU_X86_READ, true, NPF_P | NPF_W | NPF_U | NPF_WALK);
    second_map(&second, 1, GPA, FRAME, R | W | U);
    EXPECT_EQ(walk(&second, VMMU_X86_READ, true), VMMU_OK);
    EXPECT_EQ(second_entry(&second, 1, GPA) & (E_A | E_D), E_A | E_D);
}

static void test_npt_tells_absence_without_p_and_names_the_level(void **state)
{
    struct second second = npt();

    (void)state;
    expect_npf(&second, VMMU_X86_WRITE, false, NPF_W | NPF_U | NPF_LAST);
    EXPECT_EQ(out.fault.reason, VMMU_X86_STAGE2_NOT_PRESENT);
    EXPECT_EQ(out.fault.level, 4);
    EXPECT_EQ(out.fault.rights, 0);
    second_map(&second, 1, GPA, 0, 0);
    expect_npf(&second, VMMU_X86_READ, true, NPF_W | NPF_U | NPF_WALK);
    EXPECT_EQ(out.fault.level, 1);
}

static void test_npt_tells_reserved_bits_with_p_and_rsv(void **state)
{
    struct second second = npt();

    (void)state;
    second_map(&second, 1, GPA, FRAME, R | W | U | X);
    second_put(&second, 4, GPA, second_entry(&second, 4, GPA) | E_PS);
    expect_npf(&second, VMMU_X86_READ, false, NPF_P | NPF_RSV | NPF_U | NPF_LAST);
    EXPECT_EQ(out.fault.reason, VMMU_X86_STAGE2_RESERVED);
    EXPECT_EQ(out.fault.level, 4);
}

static void test_npt_reserves_nx_and_tells_no_fetches_while_the_hosts_nxe_is_clear(void **state)
{
    struct vmmu_x86_limits limits = full_limits;
    struct second second = npt();

    (void)state;
    limits.nx = false;
    EXPECT_EQ(vmmu_stage2_npt(VMMU_X86_FORMAT_4LEVEL, &limits, &world.ram, (vmmu_hpa){ SECOND_ROOT },
                              &second.stage2),
              VMMU_OK);
    expect_npf(&second, VMMU_X86_EXECUTE, false, NPF_U | NPF_LAST);
    second_map(&second, 1, GPA, FRAME, R | W | U);
    expect_npf(&second, VMMU_X86_EXECUTE, false, NPF_P | NPF_RSV | NPF_U | NPF_LAST);
}

static void test_npt_sets_accessed_on_the_way_and_dirty_for_writes(void **state)
{
    struct second second = npt();

    (void)state;
    second_map(&second, 1, GPA, FRAME, R | W | U | X);
    EXPECT_EQ(walk(&second, VMMU_X86_READ, false), VMMU_OK);
    for (unsigned level = 1; level <= 4; level++) {
        EXPECT_EQ(second_entry(&second, level, GPA) & (E_A | E_D), E_A);
    }
    EXPECT_EQ(walk(&second, VMMU_X86_WRITE, false), VMMU_OK);
    EXPECT_EQ(second_entry(&second, 1, GPA) & (E_A | E_D), E_A | E_D);
    EXPECT_EQ(second_entry(&second, 2, GPA) & (E_A | E_D), E_A);
}

static void test_npt_roots_are_aligned_and_within_the_width(void **state)
{
    const struct vmmu_x86_limits limits = { .physical_bits = 40 };
    struct vmmu_x86_stage2 stage2;

    (void)state;
    EXPECT_EQ(vmmu_stage2_npt(VMMU_X86_FORMAT_4LEVEL, &limits, NULL, (vmmu_hpa){ 0x1800 }, &stage2),
              VMMU_INVALID);
    EXPECT_EQ(vmmu_stage2_npt(VMMU_X86_FORMAT_4LEVEL, &limits, NULL, (vmmu_hpa){ BIT64(40) }, &stage2),
              VMMU_INVALID);
    EXPECT_EQ(vmmu_stage2_npt(VMMU_X86_FORMAT_4LEVEL, &limits, NULL, (vmmu_hpa){ BIT64(39) }, &stage2),
              VMMU_OK);
    EXPECT_EQ(vmmu_stage2_npt(VMMU_X86_FORMAT_PAE, &limits, NULL, (vmmu_hpa){ 0x1820 }, &stage2), VMMU_OK);
    EXPECT_EQ(vmmu_stage2_npt(VMMU_X86_FORMAT_PAE, &limits, NULL, (vmmu_hpa){ 0x1810 }, &stage2),
              VMMU_INVALID);
    EXPECT_EQ(vmmu_stage2_npt(VMMU_X86_FORMAT_PAE, &limits, NULL, (vmmu_hpa){ BIT64(32) }, &stage2),
              VMMU_INVALID);
    EXPECT_EQ(vmmu_stage2_npt(VMMU_X86_FORMAT_EPT4, &limits, NULL, (vmmu_hpa){ 0x1000 }, &stage2),
              VMMU_INVALID);
}

/* --- EPT --- */

static void expect_violation(const struct second *second, enum vmmu_x86_access_kind kind, bool guest_table,
                             uint64_t qualification)
{
    EXPECT_EQ(walk(second, kind, guest_table), VMMU_STAGE2);
    EXPECT(out.fault.reason != VMMU_X86_STAGE2_MISCONFIGURED);
    EXPECT_EQ(out.fault.qualification, qualification);
    EXPECT_EQ(out.fault.exitinfo1, 0);
    EXPECT_EQ(out.fault.gpa.v, GPA);
}

static void test_ept_violations_tell_the_access_and_the_rights_of_all_entries_together(void **state)
{
    static const enum vmmu_x86_access_kind kinds[] = { VMMU_X86_READ, VMMU_X86_WRITE, VMMU_X86_EXECUTE };
    static const uint8_t rights_of[] = { R, W, X };

    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        for (unsigned rwx = 1; rwx < 8; rwx++) {
            struct second second = ept(false);
            const uint8_t rights = (uint8_t)(((rwx & 1) ? R : 0) | ((rwx & 2) ? W : 0) | ((rwx & 4) ? X : 0));

            if ((rwx & 3) == 2) {
                continue; /* a misconfiguration */
            }
            second_map(&second, 1, GPA, FRAME, R | W | X);
            second_put(&second, 3, GPA, (second_entry(&second, 3, GPA) & ~UINT64_C(7)) | rwx);
            if (rights & rights_of[kind]) {
                EXPECT_EQ(walk(&second, kinds[kind], false), VMMU_OK);
            } else {
                expect_violation(&second, kinds[kind], false, BIT64(kind) | ((uint64_t)rwx << 3));
            }
        }
    }
}

static void test_an_absent_ept_entry_is_a_violation_with_no_rights(void **state)
{
    struct second second = ept(false);

    (void)state;
    expect_violation(&second, VMMU_X86_READ, false, BIT64(0));
    EXPECT_EQ(out.fault.reason, VMMU_X86_STAGE2_NOT_PRESENT);
    second_map(&second, 1, GPA, FRAME, R | W | X);
    second_put(&second, 2, GPA, second_entry(&second, 2, GPA) & ~UINT64_C(7));
    expect_violation(&second, VMMU_X86_WRITE, false, BIT64(1));
    EXPECT_EQ(out.fault.level, 2);
}

static void test_execute_only_pages_execute_and_refuse_the_rest(void **state)
{
    struct second second = ept(false);

    (void)state;
    second_map(&second, 1, GPA, FRAME, X);
    EXPECT_EQ(walk(&second, VMMU_X86_EXECUTE, false), VMMU_OK);
    expect_violation(&second, VMMU_X86_READ, false, BIT64(0) | BIT64(5));
    expect_violation(&second, VMMU_X86_WRITE, false, BIT64(1) | BIT64(5));
}

static void test_ept_tables_read_are_reads_without_ad_flags_and_both_with_them(void **state)
{
    struct second second = ept(false);

    (void)state;
    second_map(&second, 1, GPA, FRAME, R);
    EXPECT_EQ(walk(&second, VMMU_X86_READ, true), VMMU_OK);
    second = ept(true);
    second_map(&second, 1, GPA, FRAME, R);
    EXPECT_EQ(walk(&second, VMMU_X86_READ, false), VMMU_OK);
    expect_violation(&second, VMMU_X86_READ, true, BIT64(0) | BIT64(1) | BIT64(3));
}

static void test_ept_flags_are_set_only_where_enabled(void **state)
{
    struct second second = ept(false);

    (void)state;
    second_map(&second, 1, GPA, FRAME, R | W | X);
    EXPECT_EQ(walk(&second, VMMU_X86_WRITE, false), VMMU_OK);
    EXPECT_EQ(world.exchanges, 0);
    second = ept(true);
    second_map(&second, 1, GPA, FRAME, R | W | X);
    EXPECT_EQ(walk(&second, VMMU_X86_READ, false), VMMU_OK);
    for (unsigned level = 1; level <= 4; level++) {
        EXPECT_EQ(second_entry(&second, level, GPA) & BITS64(9, 8), BIT64(8));
    }
    EXPECT_EQ(walk(&second, VMMU_X86_READ, true), VMMU_OK);
    EXPECT_EQ(second_entry(&second, 1, GPA) & BITS64(9, 8), BITS64(9, 8));
    EXPECT_EQ(second_entry(&second, 2, GPA) & BITS64(9, 8), BIT64(8));
}

static void test_ept_misconfigurations_have_no_qualification_and_outrank_violations(void **state)
{
    static const struct {
        unsigned level;
        uint64_t entry;
    } cases[] = {
        { 4, 2 },
        { 4, 6 },
        { 1, 2 },
        { 1, 6 }, /* writable, not readable */
        { 1, 7 | (2 << 3) },
        { 1, 7 | (3 << 3) }, /* reserved memory types */
        { 1, 7 | (7 << 3) },
        { 4, 7 | BIT64(7) }, /* ... and bits */
        { 4, 7 | BIT64(3) },
        { 3, 7 | BIT64(6) },
        { 3, 7 | BIT64(7) | BIT64(12) },
        { 2, 1 | BIT64(7) | BIT64(20) },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct second second = ept(true);

        second_map(&second, 1, GPA, FRAME, R | W | X);
        second_put(&second, cases[i].level, GPA, cases[i].entry);
        EXPECT_EQ(walk(&second, VMMU_X86_WRITE, false), VMMU_STAGE2);
        EXPECT_EQ(out.fault.reason, VMMU_X86_STAGE2_MISCONFIGURED);
        EXPECT_EQ(out.fault.level, cases[i].level);
        EXPECT_EQ(out.fault.qualification, 0);
    }
}

static void test_execute_only_is_a_misconfiguration_where_it_is_not_offered(void **state)
{
    struct vmmu_x86_limits limits = full_limits;
    struct second second = ept(false);

    (void)state;
    limits.execute_only = false;
    second_map(&second, 1, GPA, FRAME, X);
    EXPECT_EQ(walk(&second, VMMU_X86_EXECUTE, false), VMMU_OK);
    EXPECT_EQ(vmmu_stage2_ept(SECOND_ROOT | 0x1e, &limits, &world.ram, &second.stage2), VMMU_OK);
    EXPECT_EQ(walk(&second, VMMU_X86_EXECUTE, false), VMMU_STAGE2);
    EXPECT_EQ(out.fault.reason, VMMU_X86_STAGE2_MISCONFIGURED);
}

static void test_an_address_wider_than_the_format_is_not_present_and_loads_nothing(void **state)
{
    static const struct vmmu_x86_stage2_access access = { .kind = VMMU_X86_READ };
    struct second second = ept(false);

    (void)state;
    second_map(&second, 1, 0, FRAME, R | W | X);
    EXPECT_EQ(vmmu_x86_walk_stage2(&second.stage2, (vmmu_gpa){ BIT64(48) }, access, &out), VMMU_STAGE2);
    EXPECT_EQ(out.fault.reason, VMMU_X86_STAGE2_NOT_PRESENT);
    EXPECT_EQ(out.fault.qualification, BIT64(0));
    EXPECT_EQ(out.loads, 0);
    world_init(&world);
    second = second_ept(&world, 5, false);
    second_map(&second, 1, BIT64(48), FRAME, R | W | X);
    EXPECT_EQ(vmmu_x86_walk_stage2(&second.stage2, (vmmu_gpa){ BIT64(48) }, access, &out), VMMU_OK);
    EXPECT_EQ(out.translation.hpa.v, FRAME);
}

static void test_an_eptp_that_vm_entry_would_refuse_is_invalid(void **state)
{
    const struct vmmu_x86_limits limits = { .physical_bits = 40 };
    static const uint64_t good[] = { 0x1000 | 0x1e, 0x1000 | 0x18, 0x1000 | 0x26, 0x1000 | 0x5e };
    static const uint64_t bad[] = { 0x1000 | 0x1c,    0x1000 | 0x1f,    0x1000 | 0x16,
                                    0x1000 | 0x2e,    0x1000 | 0x9e,    0x1000 | 0x81e,
                                    BIT64(40) | 0x1e, BIT64(52) | 0x1e, BIT64(63) | 0x1e };
    struct vmmu_x86_stage2 stage2;

    (void)state;
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        EXPECT_EQ(vmmu_stage2_ept(good[i], &limits, NULL, &stage2), VMMU_OK);
        EXPECT_EQ(stage2.root.v, 0x1000);
    }
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        EXPECT_EQ(vmmu_stage2_ept(bad[i], &limits, NULL, &stage2), VMMU_INVALID);
    }
    const struct vmmu_x86_limits narrow = { .physical_bits = 31 };

    EXPECT_EQ(vmmu_stage2_ept(good[0], &narrow, NULL, &stage2), VMMU_INVALID);
}

static void test_marks_wait_for_success_where_asked(void **state)
{
    struct second second = npt();
    struct vmmu_x86_stage2_access access = { .kind = VMMU_X86_WRITE, .marks = VMMU_X86_MARKS_ON_SUCCESS };

    (void)state;
    second_map(&second, 1, GPA, FRAME, R | U);
    EXPECT_EQ(vmmu_x86_walk_stage2(&second.stage2, (vmmu_gpa){ GPA }, access, &out), VMMU_STAGE2);
    EXPECT_EQ(world.exchanges, 0);
    access.kind = VMMU_X86_READ;
    EXPECT_EQ(vmmu_x86_walk_stage2(&second.stage2, (vmmu_gpa){ GPA }, access, &out), VMMU_OK);
    EXPECT_EQ(world.exchanges, 4);
    access.marks = VMMU_X86_MARKS_AS_IT_GOES;
    second_map(&second, 1, GPA, FRAME, R | U);
    world.race = true;
    world.race_bits = E_P;
    EXPECT_EQ(vmmu_x86_walk_stage2(&second.stage2, (vmmu_gpa){ GPA }, access, &out), VMMU_RACED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_format_and_page_size_translates),
        cmocka_unit_test(test_memory_type_and_pat_index_are_told),
        cmocka_unit_test(test_npt_takes_every_access_for_a_users),
        cmocka_unit_test(test_npt_refuses_writes_and_fetches_by_rw_and_nx),
        cmocka_unit_test(test_npt_takes_an_access_to_a_guest_table_for_a_write),
        cmocka_unit_test(test_npt_tells_absence_without_p_and_names_the_level),
        cmocka_unit_test(test_npt_tells_reserved_bits_with_p_and_rsv),
        cmocka_unit_test(test_npt_reserves_nx_and_tells_no_fetches_while_the_hosts_nxe_is_clear),
        cmocka_unit_test(test_npt_sets_accessed_on_the_way_and_dirty_for_writes),
        cmocka_unit_test(test_npt_roots_are_aligned_and_within_the_width),
        cmocka_unit_test(test_ept_violations_tell_the_access_and_the_rights_of_all_entries_together),
        cmocka_unit_test(test_an_absent_ept_entry_is_a_violation_with_no_rights),
        cmocka_unit_test(test_execute_only_pages_execute_and_refuse_the_rest),
        cmocka_unit_test(test_ept_tables_read_are_reads_without_ad_flags_and_both_with_them),
        cmocka_unit_test(test_ept_flags_are_set_only_where_enabled),
        cmocka_unit_test(test_ept_misconfigurations_have_no_qualification_and_outrank_violations),
        cmocka_unit_test(test_execute_only_is_a_misconfiguration_where_it_is_not_offered),
        cmocka_unit_test(test_an_address_wider_than_the_format_is_not_present_and_loads_nothing),
        cmocka_unit_test(test_an_eptp_that_vm_entry_would_refuse_is_invalid),
        cmocka_unit_test(test_marks_wait_for_success_where_asked),
    };

    return RUN_TESTS(tests);
}
