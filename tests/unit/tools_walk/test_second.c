/* Two-dimensional walks: the order of references, the grid, what the second stage refuses and why. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"
#include "tests/unit/walk/second.h"
#include "tools/walk/render.h"
#include "walked.h"

#define VA     UINT64_C(0x5000)
#define FRAME  UINT64_C(0x7000)
#define RIGHTS (VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_USER | VMMU_X86_RIGHT_EXECUTE)
#define AWAY   UINT64_C(0x40000000) /* where the machine has the guest's page 0 */

static struct world world;
static struct second second;
static struct walk_model model;

/*
 * A guest of 4-level paging: VA leads to FRAME. Its tables and the page are mapped AWAY by 4 KiB leaves. The guest's entries
 * are written where the machine has them.
 */
static struct machine guest_machine(enum vmmu_x86_stage2_kind kind, unsigned levels)
{
    struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);

    second = kind == VMMU_X86_STAGE2_EPT ? second_ept(&world, levels, false)
                                         : second_npt(&world, VMMU_X86_FORMAT_4LEVEL);
    for (unsigned level = 4; level >= 1; level--) {
        const uint64_t at = entry_at(&machine.mode, level, VA);

        second_map(&second, 1, at, AWAY + (at & ~UINT64_C(4095)), RIGHTS);
        world_write(&world, AWAY + at, 8, (level > 1 ? table_at(&machine.mode, level - 1) : FRAME) | E_ALL);
    }
    second_map(&second, 1, FRAME, AWAY + FRAME, RIGHTS);
    machine.has_second = true;
    machine.second = second.stage2;
    return machine;
}

static void test_four_by_four_levels_make_24_references_in_five_rows(void **state)
{
    const struct machine machine = guest_machine(VMMU_X86_STAGE2_EPT, 4);
    uint64_t gpa;

    (void)state;
    walk_in_words(&machine, VA + 0x123, "r", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    EXPECT_EQ(model.loads, 24);
    EXPECT_EQ(model.entry_count, 24);
    for (unsigned i = 0; i < 24; i++) {
        const struct walk_entry *entry = &model.entries[i];

        EXPECT_EQ(entry->number, i + 1);
        EXPECT_EQ(entry->row, 4 - i / 5);
        EXPECT_EQ(entry->step.stage, i % 5 == 4 ? VMMU_X86_STAGE_GUEST : VMMU_X86_STAGE_SECOND);
    }
    EXPECT(walk_row_address(&model, 4, &gpa));
    EXPECT_EQ(gpa, 0x1000);
    EXPECT(walk_row_address(&model, 1, &gpa));
    EXPECT_EQ(gpa, table_at(&machine.mode, 1) + UINT64_C(5) * 8);
    EXPECT(walk_row_address(&model, 0, &gpa));
    EXPECT_EQ(gpa, FRAME + 0x123);
    EXPECT_EQ(model.host.hpa.v, AWAY + FRAME + 0x123);
    EXPECT_EQ(model.cause_count, 0);
}

static void print_ascii(const void *what)
{
    walk_print_grid(what, false);
}

static void print_boxes(const void *what)
{
    walk_print_grid(what, true);
}

static void test_the_grid_has_a_numbered_cell_for_each_reference(void **state)
{
    const struct machine machine = guest_machine(VMMU_X86_STAGE2_EPT, 4);
    char *text;

    (void)state;
    walk_in_words(&machine, VA, "r", &model);
    text = printed(print_ascii, &model);
    expect_part(text, "|          | nL4      | nL3      | nL2      | nL1      | guest    |\n");
    expect_part(text, "| gL4      | 1        | 2        | 3        | 4        | 5        |\n"
                      "| 1000     | 80000000 | 80001000 | 80002000 | 80003008 | 40001000 |\n");
    expect_part(text, "| page     | 21       | 22       | 23       | 24       |          |\n"
                      "| 7000     | 80000000 | 80001000 | 80002000 | 80003038 |          |\n");
    EXPECT(strstr(text, "gL0") == NULL);
    free(text);
    text = printed(print_boxes, &model);
    expect_part(text, "│ gL1      │ 16       │ 17       │ 18       │ 19       │ 20       │\n");
    expect_part(text, "┌──────────┬");
    expect_part(text, "┴──────────┘\n");
    free(text);
}

static void test_a_large_page_of_the_second_stage_ends_its_row_early(void **state)
{
    struct machine machine = guest_machine(VMMU_X86_STAGE2_EPT, 4);
    char *text;

    (void)state;
    second_map(&second, 2, 0, AWAY, RIGHTS);
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    EXPECT_EQ(model.loads, 19);
    text = printed(print_ascii, &model);
    expect_part(text, "| page     | 17       | 18       | 19 2 MiB |          |          |\n");
    free(text);
}

static void test_the_registers_of_pae_need_no_reference_and_so_no_row_of_the_second_stage(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);
    struct machine machine;
    char *text;

    (void)state;
    registers.pdpte_in_memory = false;
    registers.pdpte[0] = 0x9000 | E_P;
    world_init(&world);
    machine = machine_on(&world, &registers);
    second = second_ept(&world, 4, false);
    second_map(&second, 1, 0x9000, AWAY + 0x9000, RIGHTS);
    second_map(&second, 1, 0x5000, AWAY + 0x5000, RIGHTS);
    world_write(&world, AWAY + 0x9000, 8, E_ALL | E_PS);
    machine.has_second = true;
    machine.second = second.stage2;
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    EXPECT_EQ(model.entries[0].step.stage, VMMU_X86_STAGE_REGISTER);
    EXPECT_EQ(model.loads, 9);
    text = printed(print_ascii, &model);
    expect_part(text, "| register |\n");
    expect_part(text, "| gL2      | 1        | 2        | 3        | 4        | 5 2 MiB  |\n");
    free(text);
}

static void test_paging_off_leaves_the_second_stage_one_row(void **state)
{
    struct machine machine = machine_with(&world, VMMU_X86_PAGING_NONE);

    (void)state;
    second = second_ept(&world, 4, false);
    second_map(&second, 1, VA, AWAY, RIGHTS);
    machine.has_second = true;
    machine.second = second.stage2;
    walk_in_words(&machine, VA + 4, "r", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    EXPECT_EQ(model.loads, 4);
    EXPECT_EQ(model.entries[0].row, 0);
    EXPECT_EQ(model.host.hpa.v, AWAY + 4);
}

/* The second stage refused the access for @reason at entry @index. */
static void expect_refusal(enum vmmu_x86_stage2_reason reason, int index, enum walk_reason why, uint64_t bits)
{
    EXPECT_EQ(model.status, VMMU_STAGE2);
    EXPECT_EQ(model.stage2_fault.reason, reason);
    EXPECT_EQ(only_cause(&model)->reason, why);
    EXPECT_EQ(only_cause(&model)->entry, index);
    EXPECT_EQ(only_cause(&model)->bits, bits);
}

static void test_an_ept_entry_without_r_w_and_x_is_not_present(void **state)
{
    const struct machine machine = guest_machine(VMMU_X86_STAGE2_EPT, 4);
    uint64_t gpa;

    (void)state;
    second_put(&second, 1, table_at(&machine.mode, 3), BIT64(40));
    walk_in_words(&machine, VA, "r", &model);
    expect_refusal(VMMU_X86_STAGE2_NOT_PRESENT, 8, WALK_NOT_PRESENT, 7);
    expect_sentence(&model, 0, "EPT PTE at 0x80003818: R, W and X are 0: not present");
    EXPECT(!model.translates);
    EXPECT(walk_row_address(&model, 3, &gpa));
    EXPECT_EQ(gpa, table_at(&machine.mode, 3));
    EXPECT(!walk_row_address(&model, 2, &gpa));
}

static void test_an_ept_violation_of_the_page_leaves_the_guests_translation(void **state)
{
    const struct machine machine = guest_machine(VMMU_X86_STAGE2_EPT, 4);

    (void)state;
    second_map(&second, 1, FRAME, AWAY + FRAME, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_USER);
    walk_in_words(&machine, VA, "w", &model);
    expect_refusal(VMMU_X86_STAGE2_RIGHTS, 23, WALK_WRITE, 2);
    expect_sentence(&model, 0, "W is 0: writes are not allowed");
    EXPECT(model.translates);
    EXPECT_EQ(model.guest.gpa.v, FRAME);
    EXPECT_EQ(model.stage2_fault.qualification & 0x3f, 2 | 8);
    walk_in_words(&machine, VA, "x", &model);
    expect_refusal(VMMU_X86_STAGE2_RIGHTS, 23, WALK_EXECUTE, 4);
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.status, VMMU_OK);
}

static void test_misconfigurations_of_ept_are_told_apart(void **state)
{
    const struct machine machine = guest_machine(VMMU_X86_STAGE2_EPT, 4);

    (void)state;
    second_put(&second, 1, FRAME, (AWAY + FRAME) | 2 | 6 << 3);
    walk_in_words(&machine, VA, "w", &model);
    expect_refusal(VMMU_X86_STAGE2_MISCONFIGURED, 23, WALK_MISCONFIGURED, 7);
    expect_sentence(&model, 0, "W is 1 and R is 0, which cannot be together");
    second_put(&second, 1, FRAME, (AWAY + FRAME) | 7 | 3 << 3);
    walk_in_words(&machine, VA, "w", &model);
    expect_refusal(VMMU_X86_STAGE2_MISCONFIGURED, 23, WALK_MISCONFIGURED, BITS64(5, 3));
    expect_sentence(&model, 0, "memory type 3 is reserved");
    second_put(&second, 2, FRAME, second_entry(&second, 2, FRAME) | BIT64(4));
    walk_in_words(&machine, VA, "w", &model);
    expect_refusal(VMMU_X86_STAGE2_MISCONFIGURED, 2, WALK_RESERVED, BIT64(4));
}

static void test_npt_refuses_the_walk_of_a_table_that_it_does_not_let_write(void **state)
{
    const struct machine machine = guest_machine(VMMU_X86_STAGE2_NPT, 4);

    (void)state;
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    second_map(&second, 1, table_at(&machine.mode, 2), AWAY + table_at(&machine.mode, 2),
               VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_USER | VMMU_X86_RIGHT_EXECUTE);
    walk_in_words(&machine, VA, "r", &model);
    expect_refusal(VMMU_X86_STAGE2_RIGHTS, 13, WALK_WRITE, E_RW);
    expect_sentence(&model, 0, "NPT PTE at");
    EXPECT_EQ(model.stage2_fault.exitinfo1, VMMU_X86_NPF_GUEST_TABLE | 7);
    second_map(&second, 1, table_at(&machine.mode, 2), AWAY + table_at(&machine.mode, 2),
               VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_EXECUTE);
    walk_in_words(&machine, VA, "r", &model);
    expect_refusal(VMMU_X86_STAGE2_RIGHTS, 13, WALK_USER, E_US);
}

static void test_reserved_bits_of_npt_are_named(void **state)
{
    struct machine machine = guest_machine(VMMU_X86_STAGE2_NPT, 4);
    struct vmmu_x86_limits limits = full_limits;
    const vmmu_hpa root = { SECOND_ROOT };

    (void)state;
    limits.nx = false;
    EXPECT_EQ(vmmu_stage2_npt(VMMU_X86_FORMAT_4LEVEL, &limits, &world.ram, root, &machine.second), VMMU_OK);
    second_put(&second, 1, FRAME, (AWAY + FRAME) | E_ALL | E_NX);
    walk_in_words(&machine, VA, "r", &model);
    expect_refusal(VMMU_X86_STAGE2_RESERVED, 23, WALK_RESERVED, E_NX);
    expect_sentence(&model, 0, "NX without the host's EFER.NXE");
}

static void test_a_guest_physical_address_may_be_wider_than_the_second_stage(void **state)
{
    const struct machine machine = guest_machine(VMMU_X86_STAGE2_EPT, 4);

    (void)state;
    world_write(&world, AWAY + table_at(&machine.mode, 1) + UINT64_C(5) * 8, 8, BIT64(50) | E_ALL);
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.status, VMMU_STAGE2);
    EXPECT_EQ(only_cause(&model)->reason, WALK_TOO_WIDE);
    EXPECT_EQ(only_cause(&model)->entry, -1);
    EXPECT_EQ(only_cause(&model)->address, BIT64(50));
    expect_sentence(&model, 0, "more bits than the second stage translates");
}

static void test_the_guests_own_fault_comes_before_the_second_stage_of_the_page(void **state)
{
    const struct machine machine = guest_machine(VMMU_X86_STAGE2_EPT, 4);

    (void)state;
    world_write(&world, AWAY + table_at(&machine.mode, 1) + UINT64_C(5) * 8, 8, FRAME | E_P);
    second_put(&second, 1, FRAME, 0);
    walk_in_words(&machine, VA, "w", &model);
    EXPECT_EQ(model.status, VMMU_GUEST_FAULT);
    EXPECT_EQ(model.fault.error_code, 3);
    EXPECT_EQ(only_cause(&model)->entry, 19);
    EXPECT_EQ(only_cause(&model)->reason, WALK_WRITE);
    EXPECT(model.translates);
}

static void test_tables_outside_memory_are_found_in_either_stage(void **state)
{
    const struct machine machine = guest_machine(VMMU_X86_STAGE2_EPT, 4);

    (void)state;
    world.absent_bytes = 4096;
    world.absent_base = SECOND_ROOT;
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.status, VMMU_ABSENT);
    EXPECT_EQ(only_cause(&model)->address, SECOND_ROOT);
    world.absent_base = SECOND_ROOT + 0x1000;
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(only_cause(&model)->entry, 0);
    EXPECT_EQ(only_cause(&model)->address, SECOND_ROOT + 0x1000);
    world.absent_base = AWAY + table_at(&machine.mode, 3);
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(only_cause(&model)->entry, 8);
    EXPECT_EQ(only_cause(&model)->address, AWAY + table_at(&machine.mode, 3));
    expect_sentence(&model, 0, "EPT PTE at 0x80003818 points out of the image: nothing at 0x40103000");
}

static void test_memory_types_of_ept_and_pat_combine(void **state)
{
    struct machine machine = guest_machine(VMMU_X86_STAGE2_EPT, 4);

    (void)state;
    second_put(&second, 1, FRAME, (AWAY + FRAME) | 7 | VMMU_X86_TYPE_WT << 3);
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.guest_type, VMMU_X86_TYPE_WB);
    EXPECT_EQ(model.second_type, VMMU_X86_TYPE_WT);
    EXPECT_EQ(model.type, VMMU_X86_TYPE_WT);
    machine.pat = UINT64_C(0x0007040600070400);
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.type, VMMU_X86_TYPE_UC);
    second_put(&second, 1, FRAME, (AWAY + FRAME) | 7 | VMMU_X86_TYPE_WB << 3 | BIT64(6));
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.type, VMMU_X86_TYPE_WB);
}

static void test_a_type_of_npt_that_is_not_wb_is_left_open(void **state)
{
    const struct machine machine = guest_machine(VMMU_X86_STAGE2_NPT, 4);

    (void)state;
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.type, VMMU_X86_TYPE_WB);
    second_put(&second, 1, FRAME, (AWAY + FRAME) | E_ALL | E_PCD);
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.second_type, VMMU_X86_TYPE_UC_MINUS);
    EXPECT_EQ(model.type, WALK_TYPE_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_by_four_levels_make_24_references_in_five_rows),
        cmocka_unit_test(test_the_grid_has_a_numbered_cell_for_each_reference),
        cmocka_unit_test(test_a_large_page_of_the_second_stage_ends_its_row_early),
        cmocka_unit_test(test_the_registers_of_pae_need_no_reference_and_so_no_row_of_the_second_stage),
        cmocka_unit_test(test_paging_off_leaves_the_second_stage_one_row),
        cmocka_unit_test(test_an_ept_entry_without_r_w_and_x_is_not_present),
        cmocka_unit_test(test_an_ept_violation_of_the_page_leaves_the_guests_translation),
        cmocka_unit_test(test_misconfigurations_of_ept_are_told_apart),
        cmocka_unit_test(test_npt_refuses_the_walk_of_a_table_that_it_does_not_let_write),
        cmocka_unit_test(test_reserved_bits_of_npt_are_named),
        cmocka_unit_test(test_a_guest_physical_address_may_be_wider_than_the_second_stage),
        cmocka_unit_test(test_the_guests_own_fault_comes_before_the_second_stage_of_the_page),
        cmocka_unit_test(test_tables_outside_memory_are_found_in_either_stage),
        cmocka_unit_test(test_memory_types_of_ept_and_pat_combine),
        cmocka_unit_test(test_a_type_of_npt_that_is_not_wb_is_left_open),
    };

    return RUN_TESTS(tests);
}
