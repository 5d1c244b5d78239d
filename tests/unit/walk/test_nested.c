/* Both stages at once: references counted, faults told apart, tables that the second stage guards. */
#include "second.h"
#include "tests/unit/test.h"

static struct world world;
static struct vmmu_x86_nested_result out;

#define R      VMMU_X86_RIGHT_READ
#define W      VMMU_X86_RIGHT_WRITE
#define U      VMMU_X86_RIGHT_USER
#define X      VMMU_X86_RIGHT_EXECUTE
#define ALL    VMMU_X86_RIGHTS_ALL

#define VA     UINT64_C(0x40201123)

/* Guest-physical pages lie this much higher in the machine. */
#define HIGHER UINT64_C(0x300000000)
#define PAGE   UINT64_C(0x7000)

struct pair {
    struct vmmu_x86_mode mode;
    struct second second;
};

/*
 * Write a guest's chain where the second stage puts it, and map its tables and its page with
 * @tables and @page rights.
 */
static void build(struct pair *pair, uint8_t tables, uint8_t page)
{
    const struct vmmu_x86_format *format = vmmu_format_of(&pair->mode.layout);

    for (unsigned level = 1; level <= format->levels; level++) {
        const uint64_t table = table_at(&pair->mode, level) & ~UINT64_C(0xfff);
        const bool pdpte = pair->mode.paging == VMMU_X86_PAGING_PAE && level == 3;
        const uint64_t next =
            level == 1 ? PAGE | E_ALL : table_at(&pair->mode, level - 1) | (pdpte ? E_P : E_ALL);

        second_map(&pair->second, 1, table, table + HIGHER, tables);
        world_write(&world, entry_at(&pair->mode, level, VA) + HIGHER, format->entry_bytes, next);
    }
    second_map(&pair->second, 1, PAGE, PAGE + HIGHER, page);
}

static struct pair npt_pair(enum vmmu_x86_paging paging, enum vmmu_x86_format_name format)
{
    const struct vmmu_x86_paging_registers registers = registers_for(paging);

    world_init(&world);
    return (struct pair){ .mode = mode_of(&registers), .second = second_npt(&world, format) };
}

static struct pair ept_pair(enum vmmu_x86_paging paging, unsigned levels, bool accessed_dirty)
{
    const struct vmmu_x86_paging_registers registers = registers_for(paging);

    world_init(&world);
    return (struct pair){ .mode = mode_of(&registers), .second = second_ept(&world, levels, accessed_dirty) };
}

static enum vmmu_status walk(const struct pair *pair, enum vmmu_x86_access_kind kind,
                             enum vmmu_x86_marks marks)
{
    const struct vmmu_x86_access access = { .kind = kind, .marks = marks };

    return vmmu_x86_walk_nested(&pair->mode, &pair->second.stage2, (vmmu_gva){ VA }, access, &out);
}

static enum vmmu_status walk_as_processor(const struct pair *pair, enum vmmu_x86_access_kind kind)
{
    return walk(pair, kind, VMMU_X86_MARKS_AS_IT_GOES);
}

static uint64_t guest_entry(const struct pair *pair, unsigned level)
{
    return world_read(&world, entry_at(&pair->mode, level, VA) + HIGHER, 8);
}

static void test_cold_walks_make_the_references_that_the_literature_counts(void **state)
{
    static const struct {
        enum vmmu_x86_paging paging;
        enum vmmu_x86_format_name format;
        unsigned references;
    } cases[] = {
        { VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_4LEVEL, 24 },
        { VMMU_X86_PAGING_5LEVEL, VMMU_X86_FORMAT_5LEVEL, 35 },
        { VMMU_X86_PAGING_5LEVEL, VMMU_X86_FORMAT_4LEVEL, 29 },
        { VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_5LEVEL, 29 },
        { VMMU_X86_PAGING_32BIT, VMMU_X86_FORMAT_4LEVEL, 14 },
        { VMMU_X86_PAGING_PAE, VMMU_X86_FORMAT_4LEVEL, 19 },
        { VMMU_X86_PAGING_NONE, VMMU_X86_FORMAT_4LEVEL, 4 },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pair pair = npt_pair(cases[i].paging, cases[i].format);

        if (cases[i].paging == VMMU_X86_PAGING_NONE) {
            second_map(&pair.second, 1, VA, PAGE + HIGHER, ALL);
        } else {
            build(&pair, ALL, ALL);
        }
        EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_OK);
        EXPECT_EQ(out.loads, cases[i].references);
        EXPECT_EQ(out.step_count, out.loads);
        EXPECT_EQ(out.host.hpa.v, PAGE + HIGHER + (VA & 0xfff));
    }
}

static void test_ept_makes_as_many_references(void **state)
{
    struct pair pair = ept_pair(VMMU_X86_PAGING_4LEVEL, 4, true);

    (void)state;
    build(&pair, R | W | X, R | W | X);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_OK);
    EXPECT_EQ(out.loads, 24);
    pair = ept_pair(VMMU_X86_PAGING_5LEVEL, 5, true);
    build(&pair, R | W | X, R | W | X);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_OK);
    EXPECT_EQ(out.loads, 35);
}

static void test_the_steps_come_in_the_order_of_the_walk(void **state)
{
    struct pair pair = npt_pair(VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_4LEVEL);

    (void)state;
    build(&pair, ALL, ALL);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_OK);
    for (unsigned i = 0; i < 24; i++) {
        const bool guest = i % 5 == 4;

        EXPECT_EQ(out.steps[i].stage, guest ? VMMU_X86_STAGE_GUEST : VMMU_X86_STAGE_SECOND);
        EXPECT_EQ(out.steps[i].level, guest ? 4 - i / 5 : 4 - i % 5);
        EXPECT_EQ(out.steps[i].place, out.steps[i].address + (guest ? HIGHER : 0));
    }
}

static void test_both_translations_are_told(void **state)
{
    struct pair pair = npt_pair(VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_4LEVEL);

    (void)state;
    build(&pair, ALL, R | U);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_OK);
    EXPECT_EQ(out.guest.gpa.v, PAGE + 0x123);
    EXPECT_EQ(out.guest.rights, ALL);
    EXPECT_EQ(out.host.rights, R | U);
    EXPECT_EQ(out.host.page_bytes, 0x1000);
}

static void test_a_pdpte_register_needs_no_second_stage(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);
    struct pair pair = ept_pair(VMMU_X86_PAGING_PAE, 4, false);

    (void)state;
    build(&pair, R | W | X, R | W | X);
    registers.pdpte_in_memory = false;
    registers.pdpte[1] = table_at(&pair.mode, 2) | E_P;
    pair.mode = mode_of(&registers);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_OK);
    EXPECT_EQ(out.loads, 14);
    EXPECT_EQ(out.step_count, 15);
}

static void test_guest_faults_are_the_guests_own(void **state)
{
    struct pair pair = npt_pair(VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_4LEVEL);

    (void)state;
    build(&pair, ALL, 0); /* the final page is not mapped by the host: the guest's fault comes first */
    world_write(&world, entry_at(&pair.mode, 1, VA) + HIGHER, 8, PAGE | E_P);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_WRITE), VMMU_GUEST_FAULT);
    EXPECT_EQ(out.fault.vector, VMMU_X86_VECTOR_PF);
    EXPECT_EQ(out.fault.error_code, VMMU_X86_PF_PRESENT | VMMU_X86_PF_WRITE);
    EXPECT_EQ(out.fault.cr2, VA);
}

static void test_an_address_that_is_not_canonical_faults_before_the_second_stage(void **state)
{
    const struct pair pair = npt_pair(VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_4LEVEL);
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ };

    (void)state;
    EXPECT_EQ(vmmu_x86_walk_nested(&pair.mode, &pair.second.stage2, (vmmu_gva){ BIT64(47) }, access, &out),
              VMMU_GUEST_FAULT);
    EXPECT_EQ(out.fault.vector, VMMU_X86_VECTOR_GP);
    EXPECT_EQ(out.loads, 0);
}

static void test_npt_refuses_a_table_of_the_guest_at_every_level_with_bit_33(void **state)
{
    (void)state;
    for (unsigned level = 1; level <= 4; level++) {
        struct pair pair = npt_pair(VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_4LEVEL);
        const uint64_t table = table_at(&pair.mode, level);

        build(&pair, ALL, ALL);
        second_map(&pair.second, 1, table, table + HIGHER, R | U); /* write-protected */
        EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_STAGE2);
        EXPECT_EQ(out.stage2_fault.gpa.v, entry_at(&pair.mode, level, VA));
        EXPECT_EQ(out.stage2_fault.exitinfo1, UINT64_C(7) | BIT64(33));
        EXPECT(out.stage2_fault.access.guest_table);
        second_map(&pair.second, 1, table, 0, 0);
        EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_EXECUTE), VMMU_STAGE2);
        EXPECT_EQ(out.stage2_fault.exitinfo1,
                  UINT64_C(6) | BIT64(33)); /* a data write, though a fetch walks */
    }
}

static void test_npt_refuses_the_final_access_with_bit_32(void **state)
{
    struct pair pair = npt_pair(VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_4LEVEL);

    (void)state;
    build(&pair, ALL, R | U);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_OK);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_WRITE), VMMU_STAGE2);
    EXPECT_EQ(out.stage2_fault.gpa.v, PAGE + 0x123);
    EXPECT_EQ(out.stage2_fault.exitinfo1, UINT64_C(7) | BIT64(32));
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_EXECUTE), VMMU_STAGE2);
    EXPECT_EQ(out.stage2_fault.exitinfo1, UINT64_C(0x15) | BIT64(32));
    EXPECT_EQ(out.guest.gpa.v, PAGE + 0x123);
}

static void test_ept_tells_tables_from_the_final_access_by_bits_7_and_8(void **state)
{
    struct pair pair = ept_pair(VMMU_X86_PAGING_4LEVEL, 4, true);

    (void)state;
    build(&pair, R | W | X, R);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_WRITE), VMMU_STAGE2);
    EXPECT_EQ(out.stage2_fault.qualification, BIT64(1) | BIT64(3) | BIT64(7) | BIT64(8));
    second_map(&pair.second, 1, table_at(&pair.mode, 2), table_at(&pair.mode, 2) + HIGHER, R);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_WRITE), VMMU_STAGE2);
    EXPECT_EQ(out.stage2_fault.gpa.v, entry_at(&pair.mode, 2, VA));
    EXPECT_EQ(out.stage2_fault.qualification, BIT64(0) | BIT64(1) | BIT64(3) | BIT64(7));
}

static void test_without_ept_flags_a_read_only_table_can_be_walked_once_it_is_marked(void **state)
{
    struct pair pair = ept_pair(VMMU_X86_PAGING_4LEVEL, 4, false);

    (void)state;
    build(&pair, R, R | W | X);
    for (unsigned level = 1; level <= 4; level++) {
        const uint64_t at = entry_at(&pair.mode, level, VA) + HIGHER;

        world_write(&world, at, 8, world_read(&world, at, 8) | E_A);
    }
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_OK);
    EXPECT_EQ(world.exchanges, 0);
}

static void test_without_ept_flags_marking_a_read_only_table_is_a_violation_that_writes(void **state)
{
    static const enum vmmu_x86_marks markings[] = { VMMU_X86_MARKS_AS_IT_GOES, VMMU_X86_MARKS_ON_SUCCESS };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned level = 1; level <= 4; level++) {
            struct pair pair = ept_pair(VMMU_X86_PAGING_4LEVEL, 4, false);
            const uint64_t table = table_at(&pair.mode, level);

            build(&pair, R | W, R | W | X);
            second_map(&pair.second, 1, table, table + HIGHER, R);
            EXPECT_EQ(walk(&pair, VMMU_X86_READ, VMMU_X86_MARKS_LEAVE), VMMU_OK);
            EXPECT_EQ(walk(&pair, VMMU_X86_READ, markings[i]), VMMU_STAGE2);
            EXPECT_EQ(out.stage2_fault.gpa.v, entry_at(&pair.mode, level, VA));
            EXPECT_EQ(out.stage2_fault.access.kind, VMMU_X86_WRITE);
            EXPECT(out.stage2_fault.access.guest_table);
            EXPECT_EQ(out.stage2_fault.reason, VMMU_X86_STAGE2_RIGHTS);
            EXPECT_EQ(out.stage2_fault.level, 1);
            EXPECT_EQ(out.stage2_fault.qualification, BIT64(1) | BIT64(3) | BIT64(7));
            EXPECT(!(guest_entry(&pair, level) & E_A));
        }
    }
}

static void test_an_execute_only_page_can_be_fetched_and_not_hold_a_table(void **state)
{
    struct pair pair = ept_pair(VMMU_X86_PAGING_4LEVEL, 4, false);

    (void)state;
    build(&pair, R | W, X);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_EXECUTE), VMMU_OK);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_STAGE2);
    second_map(&pair.second, 1, table_at(&pair.mode, 1), table_at(&pair.mode, 1) + HIGHER, X);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_EXECUTE), VMMU_STAGE2);
    EXPECT_EQ(out.stage2_fault.qualification, BIT64(0) | BIT64(5) | BIT64(7));
}

static void test_a_misconfigured_entry_on_the_way_to_a_guest_table_is_told(void **state)
{
    struct pair pair = ept_pair(VMMU_X86_PAGING_4LEVEL, 4, false);

    (void)state;
    build(&pair, R | W, R);
    second_put(&pair.second, 1, table_at(&pair.mode, 3), 2);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_STAGE2);
    EXPECT_EQ(out.stage2_fault.reason, VMMU_X86_STAGE2_MISCONFIGURED);
    EXPECT_EQ(out.stage2_fault.gpa.v, entry_at(&pair.mode, 3, VA));
}

static void test_marks_of_both_stages_are_set_by_a_processors_walk(void **state)
{
    static const enum vmmu_x86_marks markings[] = { VMMU_X86_MARKS_AS_IT_GOES, VMMU_X86_MARKS_ON_SUCCESS };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct pair pair = npt_pair(VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_4LEVEL);

        build(&pair, ALL, ALL);
        EXPECT_EQ(walk(&pair, VMMU_X86_WRITE, markings[i]), VMMU_OK);
        for (unsigned level = 1; level <= 4; level++) {
            EXPECT_EQ(guest_entry(&pair, level) & (E_A | E_D), level == 1 ? E_A | E_D : E_A);
            EXPECT_EQ(second_entry(&pair.second, 1, table_at(&pair.mode, level)) & (E_A | E_D), E_A | E_D);
            EXPECT(second_entry(&pair.second, level, PAGE) & E_A);
        }
        EXPECT(second_entry(&pair.second, 1, PAGE) & E_D);
        EXPECT(out.guest.dirty && out.host.dirty);
        const unsigned exchanges = world.exchanges;

        EXPECT_EQ(walk(&pair, VMMU_X86_WRITE, markings[i]), VMMU_OK);
        EXPECT_EQ(world.exchanges, exchanges);
    }
}

static void test_on_success_nothing_is_marked_when_the_final_access_is_refused(void **state)
{
    struct pair pair = npt_pair(VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_4LEVEL);

    (void)state;
    build(&pair, ALL, R | U);
    EXPECT_EQ(walk(&pair, VMMU_X86_WRITE, VMMU_X86_MARKS_ON_SUCCESS), VMMU_STAGE2);
    EXPECT_EQ(world.exchanges, 0);
    EXPECT_EQ(walk(&pair, VMMU_X86_WRITE, VMMU_X86_MARKS_AS_IT_GOES), VMMU_STAGE2);
    EXPECT_EQ(guest_entry(&pair, 1) & (E_A | E_D), E_A | E_D);
}

static void test_a_lost_race_and_absent_memory_come_through_from_either_stage(void **state)
{
    struct pair pair = npt_pair(VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_4LEVEL);

    (void)state;
    build(&pair, ALL, ALL);
    world.race = true;
    world.race_bits = E_P;
    EXPECT_EQ(walk(&pair, VMMU_X86_READ, VMMU_X86_MARKS_ON_SUCCESS), VMMU_RACED);
    pair = npt_pair(VMMU_X86_PAGING_4LEVEL, VMMU_X86_FORMAT_4LEVEL);
    build(&pair, ALL, ALL);
    world.absent_base = HIGHER;
    world.absent_bytes = UINT64_C(0x100000000);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_ABSENT);
    EXPECT_EQ(out.step_count, 4);
    world.absent_base = SECOND_ROOT;
    world.absent_bytes = 0x1000;
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_ABSENT);
    EXPECT_EQ(out.step_count, 0);
}

static void test_frames_above_4_gib_are_not_cut(void **state)
{
    struct pair pair = npt_pair(VMMU_X86_PAGING_PAE, VMMU_X86_FORMAT_5LEVEL);
    const uint64_t far_page = UINT64_C(0xfedcba9877000);

    (void)state;
    build(&pair, ALL, ALL);
    world_write(&world, entry_at(&pair.mode, 1, VA) + HIGHER, 8, far_page | E_ALL);
    second_map(&pair.second, 1, far_page, UINT64_C(0xf123456789000), ALL);
    EXPECT_EQ(walk_as_processor(&pair, VMMU_X86_READ), VMMU_OK);
    EXPECT_EQ(out.guest.gpa.v, far_page + 0x123);
    EXPECT_EQ(out.host.hpa.v, UINT64_C(0xf123456789123));
}

/*
 * A guest's directory lies where the second stage has its last table: its entry 11 is the upper half of that
 * table's entry 5, which serves the final access.
 */
static void test_an_entry_of_the_guest_may_be_half_of_one_of_the_second_stage(void **state)
{
    const uint64_t va = 11 * UINT64_C(0x400000);
    const uint64_t last_table = SECOND_ROOT + 0x3000;
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .marks = VMMU_X86_MARKS_ON_SUCCESS };
    struct pair pair = npt_pair(VMMU_X86_PAGING_32BIT, VMMU_X86_FORMAT_4LEVEL);

    (void)state;
    second_map(&pair.second, 1, 0x1000, last_table, ALL);
    second_map(&pair.second, 1, 0x2000, 0x2000 + HIGHER, ALL);
    world_write(&world, last_table + 40, 4, 0x7000 | E_ALL);
    world_write(&world, last_table + 44, 4, 0x2000 | E_ALL);
    world_write(&world, 0x2000 + HIGHER, 4, 0x5000 | E_ALL);
    EXPECT_EQ(vmmu_x86_walk_nested(&pair.mode, &pair.second.stage2, (vmmu_gva){ va }, access, &out), VMMU_OK);
    EXPECT_EQ(out.host.hpa.v, UINT64_C(0x200700007000));
    EXPECT_EQ(world_read(&world, last_table + 40, 4), 0x7000 | E_ALL | E_A);
    EXPECT_EQ(world_read(&world, last_table + 44, 4), 0x2000 | E_ALL | E_A);
}

/* The root maps itself by an address at which it cannot be written, and is marked where it can. */
static void test_a_table_that_cannot_be_written_needs_no_mark_that_the_walk_has_set_elsewhere(void **state)
{
    static const enum vmmu_x86_marks markings[] = { VMMU_X86_MARKS_AS_IT_GOES, VMMU_X86_MARKS_ON_SUCCESS };
    const uint64_t va = UINT64_C(0x8040201000);

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .marks = markings[i] };
        struct pair pair = ept_pair(VMMU_X86_PAGING_4LEVEL, 4, false);

        second_map(&pair.second, 1, 0x1000, HIGHER, R | W);
        second_map(&pair.second, 1, 0x9000, HIGHER, R);
        world_write(&world, HIGHER + 8, 8, 0x9000 | E_ALL);
        EXPECT_EQ(vmmu_x86_walk_nested(&pair.mode, &pair.second.stage2, (vmmu_gva){ va }, access, &out),
                  VMMU_OK);
        EXPECT_EQ(world_read(&world, HIGHER + 8, 8), 0x9000 | E_ALL | E_A);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cold_walks_make_the_references_that_the_literature_counts),
        cmocka_unit_test(test_ept_makes_as_many_references),
        cmocka_unit_test(test_the_steps_come_in_the_order_of_the_walk),
        cmocka_unit_test(test_both_translations_are_told),
        cmocka_unit_test(test_a_pdpte_register_needs_no_second_stage),
        cmocka_unit_test(test_guest_faults_are_the_guests_own),
        cmocka_unit_test(test_an_address_that_is_not_canonical_faults_before_the_second_stage),
        cmocka_unit_test(test_npt_refuses_a_table_of_the_guest_at_every_level_with_bit_33),
        cmocka_unit_test(test_npt_refuses_the_final_access_with_bit_32),
        cmocka_unit_test(test_ept_tells_tables_from_the_final_access_by_bits_7_and_8),
        cmocka_unit_test(test_without_ept_flags_a_read_only_table_can_be_walked_once_it_is_marked),
        cmocka_unit_test(test_without_ept_flags_marking_a_read_only_table_is_a_violation_that_writes),
        cmocka_unit_test(test_an_execute_only_page_can_be_fetched_and_not_hold_a_table),
        cmocka_unit_test(test_a_misconfigured_entry_on_the_way_to_a_guest_table_is_told),
        cmocka_unit_test(test_marks_of_both_stages_are_set_by_a_processors_walk),
        cmocka_unit_test(test_on_success_nothing_is_marked_when_the_final_access_is_refused),
        cmocka_unit_test(test_a_lost_race_and_absent_memory_come_through_from_either_stage),
        cmocka_unit_test(test_frames_above_4_gib_are_not_cut),
        cmocka_unit_test(test_an_entry_of_the_guest_may_be_half_of_one_of_the_second_stage),
        cmocka_unit_test(test_a_table_that_cannot_be_written_needs_no_mark_that_the_walk_has_set_elsewhere),
    };

    return RUN_TESTS(tests);
}
