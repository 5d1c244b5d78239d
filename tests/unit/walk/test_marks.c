/* Accessed and dirty bits: which, when, and against whom they are set. */
#include "tests/unit/test.h"
#include "world.h"

static struct world world;
static struct vmmu_x86_walk_result out;

#define VA UINT64_C(0x40201000)

static struct vmmu_x86_mode fresh(enum vmmu_x86_paging paging)
{
    const struct vmmu_x86_paging_registers registers = registers_for(paging);

    world_init(&world);
    return mode_of(&registers);
}

static enum vmmu_status walk(const struct vmmu_x86_mode *mode, enum vmmu_x86_access_kind kind,
                             enum vmmu_x86_marks marks)
{
    const struct vmmu_x86_access access = { .kind = kind, .marks = marks };

    return vmmu_x86_walk(mode, &world.ram, (vmmu_gva){ VA }, access, &out);
}

static uint64_t entry(const struct vmmu_x86_mode *mode, unsigned level)
{
    return world_read(&world, entry_at(mode, level, VA), vmmu_format_of(&mode->layout)->entry_bytes);
}

static const enum vmmu_x86_marks markings[] = { VMMU_X86_MARKS_AS_IT_GOES, VMMU_X86_MARKS_ON_SUCCESS };

static void test_an_observer_changes_nothing_and_is_told_what_is_missing(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    put_chain(&world, &mode, 1, VA, 0x7000 | E_ALL);
    EXPECT_EQ(walk(&mode, VMMU_X86_WRITE, VMMU_X86_MARKS_LEAVE), VMMU_OK);
    EXPECT_EQ(world.exchanges, 0);
    EXPECT_EQ(out.steps[0].marks, E_A);
    EXPECT_EQ(out.steps[3].marks, E_A | E_D);
    EXPECT(!out.translation.dirty);
}

static void test_a_read_sets_accessed_in_every_entry_and_dirty_in_none(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned paging = VMMU_X86_PAGING_32BIT; paging <= VMMU_X86_PAGING_5LEVEL; paging++) {
            const struct vmmu_x86_mode mode = fresh((enum vmmu_x86_paging)paging);
            const unsigned levels = vmmu_format_of(&mode.layout)->levels;

            put_chain(&world, &mode, 1, VA, 0x7000 | E_ALL);
            EXPECT_EQ(walk(&mode, VMMU_X86_READ, markings[i]), VMMU_OK);
            for (unsigned level = 1; level <= levels; level++) {
                const bool pdpte = paging == VMMU_X86_PAGING_PAE && level == 3;

                EXPECT_EQ(entry(&mode, level) & (E_A | E_D), pdpte ? 0 : E_A);
            }
            EXPECT(!out.translation.dirty);
        }
    }
}

static void test_a_write_sets_dirty_in_the_leaf_only(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned leaf = 1; leaf <= 3; leaf++) {
            const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

            put_chain(&world, &mode, leaf, VA, E_ALL | (leaf > 1 ? E_PS : 0));
            EXPECT_EQ(walk(&mode, VMMU_X86_WRITE, markings[i]), VMMU_OK);
            for (unsigned level = leaf; level <= 4; level++) {
                EXPECT_EQ(entry(&mode, level) & (E_A | E_D), level == leaf ? E_A | E_D : E_A);
            }
            EXPECT(out.translation.dirty);
        }
    }
}

static void test_a_fetch_sets_accessed_like_a_read(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    put_chain(&world, &mode, 1, VA, 0x7000 | E_ALL);
    EXPECT_EQ(walk(&mode, VMMU_X86_EXECUTE, VMMU_X86_MARKS_AS_IT_GOES), VMMU_OK);
    EXPECT_EQ(entry(&mode, 1), 0x7000 | E_ALL | E_A);
}

static void test_what_is_marked_already_is_not_written_again(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

        put_chain(&world, &mode, 1, VA, 0x7000 | E_ALL);
        EXPECT_EQ(walk(&mode, VMMU_X86_WRITE, markings[i]), VMMU_OK);
        EXPECT_EQ(world.exchanges, 4);
        EXPECT_EQ(walk(&mode, VMMU_X86_WRITE, markings[i]), VMMU_OK);
        EXPECT_EQ(world.exchanges, 4);
    }
}

static void test_a_mark_changes_no_other_bit(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);
    const uint64_t leaf = UINT64_C(0xfffedcba98765000) | E_ALL | E_PWT | E_PCD | E_PS | BITS64(11, 9);

    (void)state;
    put_chain(&world, &mode, 1, VA, leaf & ~E_NX);
    EXPECT_EQ(walk(&mode, VMMU_X86_WRITE, VMMU_X86_MARKS_AS_IT_GOES), VMMU_OK);
    EXPECT_EQ(entry(&mode, 1), (leaf & ~E_NX) | E_A | E_D);
}

static void test_a_mark_of_32_bit_paging_leaves_the_neighbouring_entry_alone(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_32BIT);

    (void)state;
    put_chain(&world, &mode, 1, VA, 0x7000 | E_ALL);
    world_write(&world, entry_at(&mode, 1, VA) ^ 4, 4, 0xdeadbeef);
    EXPECT_EQ(walk(&mode, VMMU_X86_WRITE, VMMU_X86_MARKS_AS_IT_GOES), VMMU_OK);
    EXPECT_EQ(world_read(&world, entry_at(&mode, 1, VA) ^ 4, 4), 0xdeadbeef);
    EXPECT_EQ(entry(&mode, 1), 0x7000 | E_ALL | E_A | E_D);
}

static void test_as_it_goes_leaves_accessed_bits_set_above_a_fault(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    put_chain(&world, &mode, 1, VA, 0);
    EXPECT_EQ(walk(&mode, VMMU_X86_WRITE, VMMU_X86_MARKS_AS_IT_GOES), VMMU_GUEST_FAULT);
    for (unsigned level = 2; level <= 4; level++) {
        EXPECT(entry(&mode, level) & E_A);
    }
    EXPECT_EQ(entry(&mode, 1), 0);
}

static void test_an_entry_that_faults_is_itself_not_marked(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    put_chain(&world, &mode, 2, VA, E_ALL | E_PS | BIT64(13)); /* reserved */
    EXPECT_EQ(walk(&mode, VMMU_X86_WRITE, VMMU_X86_MARKS_AS_IT_GOES), VMMU_GUEST_FAULT);
    EXPECT(!(entry(&mode, 2) & (E_A | E_D)));
    put_chain(&world, &mode, 1, VA, 0x7000 | E_P); /* read-only */
    EXPECT_EQ(walk(&mode, VMMU_X86_WRITE, VMMU_X86_MARKS_AS_IT_GOES), VMMU_GUEST_FAULT);
    EXPECT_EQ(entry(&mode, 1), 0x7000 | E_P);
}

static void test_on_success_a_fault_leaves_every_entry_unchanged(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    put_chain(&world, &mode, 1, VA, 0x7000 | E_P);
    EXPECT_EQ(walk(&mode, VMMU_X86_WRITE, VMMU_X86_MARKS_ON_SUCCESS), VMMU_GUEST_FAULT);
    EXPECT_EQ(world.exchanges, 0);
}

static void test_a_mark_that_loses_the_race_is_reported_and_the_guests_write_stands(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

        put_chain(&world, &mode, 1, VA, 0x7000 | E_ALL);
        world.race = true;
        world.race_bits = E_P; /* the guest unmaps the table of level 3 meanwhile */
        EXPECT_EQ(walk(&mode, VMMU_X86_READ, markings[i]), VMMU_RACED);
        EXPECT_EQ(entry(&mode, 4), (table_at(&mode, 3) | E_ALL) & ~E_P);
        EXPECT_EQ(walk(&mode, VMMU_X86_READ, markings[i]), VMMU_GUEST_FAULT);
    }
}

static void test_a_race_that_only_marks_ends_well_at_the_second_call(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    put_chain(&world, &mode, 1, VA, 0x7000 | E_ALL);
    world.race = true;
    world.race_bits = E_A; /* another processor marks first */
    EXPECT_EQ(walk(&mode, VMMU_X86_READ, VMMU_X86_MARKS_AS_IT_GOES), VMMU_RACED);
    EXPECT_EQ(walk(&mode, VMMU_X86_READ, VMMU_X86_MARKS_AS_IT_GOES), VMMU_OK);
}

static void test_a_table_that_maps_itself_is_marked_once_per_bit(void **state)
{
    const uint64_t self = UINT64_C(0xffffff7fbfdfe123);

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);
        const struct vmmu_x86_access access = { .kind = VMMU_X86_WRITE, .marks = markings[i] };

        world_write(&world, 0x1000 + 8 * 510, 8, 0x1000 | E_ALL);
        EXPECT_EQ(vmmu_x86_walk(&mode, &world.ram, (vmmu_gva){ self }, access, &out), VMMU_OK);
        EXPECT_EQ(world_read(&world, 0x1000 + 8 * 510, 8), 0x1000 | E_ALL | E_A | E_D);
        EXPECT_EQ(world.exchanges, 2);
    }
}

/* Loads succeed, exchanges find no memory: tables in ROM. */
static enum vmmu_status no_exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                    uint64_t desired)
{
    (void)context, (void)address, (void)width_bytes, (void)expected, (void)desired;
    return VMMU_ABSENT;
}

static void test_an_entry_that_cannot_be_written_is_absent_to_a_marking_walk(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

        world.ram.exchange = no_exchange;
        put_chain(&world, &mode, 1, VA, 0x7000 | E_ALL);
        EXPECT_EQ(walk(&mode, VMMU_X86_READ, VMMU_X86_MARKS_LEAVE), VMMU_OK);
        EXPECT_EQ(walk(&mode, VMMU_X86_READ, markings[i]), VMMU_ABSENT);
    }
}

static void test_pdpte_registers_are_never_marked(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        world_init(&world);
        registers.pdpte_in_memory = false;
        registers.pdpte[1] = 0x9000 | E_P;
        const struct vmmu_x86_mode mode = mode_of(&registers);

        world_write(&world, 0x9008, 8, 0x7000 | E_ALL | E_PS | BIT64(22));
        EXPECT_EQ(walk(&mode, VMMU_X86_READ, markings[i]), VMMU_GUEST_FAULT);
        world_write(&world, 0x9008, 8, 0x400000 | E_ALL | E_PS);
        EXPECT_EQ(walk(&mode, VMMU_X86_READ, markings[i]), VMMU_OK);
        EXPECT_EQ(world.exchanges, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_observer_changes_nothing_and_is_told_what_is_missing),
        cmocka_unit_test(test_a_read_sets_accessed_in_every_entry_and_dirty_in_none),
        cmocka_unit_test(test_a_write_sets_dirty_in_the_leaf_only),
        cmocka_unit_test(test_a_fetch_sets_accessed_like_a_read),
        cmocka_unit_test(test_what_is_marked_already_is_not_written_again),
        cmocka_unit_test(test_a_mark_changes_no_other_bit),
        cmocka_unit_test(test_a_mark_of_32_bit_paging_leaves_the_neighbouring_entry_alone),
        cmocka_unit_test(test_as_it_goes_leaves_accessed_bits_set_above_a_fault),
        cmocka_unit_test(test_an_entry_that_faults_is_itself_not_marked),
        cmocka_unit_test(test_on_success_a_fault_leaves_every_entry_unchanged),
        cmocka_unit_test(test_a_mark_that_loses_the_race_is_reported_and_the_guests_write_stands),
        cmocka_unit_test(test_a_race_that_only_marks_ends_well_at_the_second_call),
        cmocka_unit_test(test_a_table_that_maps_itself_is_marked_once_per_bit),
        cmocka_unit_test(test_an_entry_that_cannot_be_written_is_absent_to_a_marking_walk),
        cmocka_unit_test(test_pdpte_registers_are_never_marked),
    };

    return RUN_TESTS(tests);
}
