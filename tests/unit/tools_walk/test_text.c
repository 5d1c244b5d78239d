/* What vmmu walk prints: the lines that people read. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"
#include "tests/unit/walk/second.h"
#include "tools/ui/paint.h"
#include "tools/walk/render.h"
#include "walked.h"

#define VA UINT64_C(0x5000)

static struct world world;
static struct walk_model model;

static void print_walk(const void *what)
{
    walk_print(what);
}

static char *text_of(const struct machine *machine, uint64_t va, const char *access)
{
    walk_in_words(machine, va, access, &model);
    return printed(print_walk, &model);
}

static void test_a_translation_is_told_with_entries_result_and_rights(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);
    char *text;

    (void)state;
    put_chain(&world, &machine.mode, 2, 0x212345, 0x600000 | E_P | E_US | E_PS | E_G | E_NX);
    text = text_of(&machine, 0x212345, "r");
    assert_string_equal(text, "212345: supervisor read; 4-level paging, root 1000\n"
                              "\n"
                              "  #  entry                     at  value             leads to\n"
                              "  1  PML4E[0]                1000  0000000000103007  table 103000\n"
                              "     P R/W U/S\n"
                              "  2  PDPTE[0]              103000  0000000000102007  table 102000\n"
                              "     P R/W U/S\n"
                              "  3  PDE[1]                102008  8000000000600185  2 MiB page 600000\n"
                              "     P U/S PS G XD                 forbids: write, execute\n"
                              "\n"
                              "physical    612345 in the 2 MiB page at 600000\n"
                              "memory type WB by entry 0 of the PAT as it is reset (--pat)\n"
                              "rights      r--u; global\n"
                              "references  3 to memory\n"
                              "\n"
                              "access             read         write        execute\n"
                              "user               yes          #PF 7        #PF 15\n"
                              "supervisor         yes          #PF 3        #PF 11\n");
    free(text);
}

static void test_a_fault_is_told_with_its_cause_and_the_page_behind_it(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);
    char *text;

    (void)state;
    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_P | E_US);
    text = text_of(&machine, VA, "w,user");
    expect_part(text, "5000: user write;");
    expect_part(text, "fault       #PF, error code 7 (P W/R U/S), CR2 5000\n"
                      "because     PTE at 0x101028: R/W is 0: writes are not allowed\n"
                      "\n"
                      "physical    7000 in the 4 KiB page at 7000\n");
    free(text);
    text = text_of(&machine, UINT64_C(0x800000000000), "r");
    expect_part(text, "fault       #GP(0), or #SS(0) by the stack segment\n");
    EXPECT(strstr(text, "entry") == NULL);
    EXPECT(strstr(text, "rights") == NULL);
    free(text);
    put_entry(&world, &machine.mode, 3, VA, 0x1230);
    text = text_of(&machine, VA, "r");
    expect_part(text, "0000000000001230  not present\n\nfault");
    expect_part(text, "#PF, error code 0, CR2 5000");
    EXPECT(strstr(text, "execute") == NULL);
    free(text);
}

static void test_smap_gives_rows_for_ac_and_for_implicit_accesses(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    char *text;

    (void)state;
    registers.cr4 |= VMMU_X86_CR4_SMAP;
    world_init(&world);
    const struct machine machine = machine_on(&world, &registers);

    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_ALL);
    text = text_of(&machine, VA, "r,ac,implicit");
    expect_part(text, "5000: supervisor read, implicit, EFLAGS.AC = 1;");
    expect_part(text, "supervisor         #PF 1        #PF 3        yes\n"
                      "  with EFLAGS.AC   yes          yes          yes\n"
                      "  implicit         #PF 1        #PF 3        yes\n");
    free(text);
}

static void test_memory_that_is_missing_is_no_fault(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);
    char *text;

    (void)state;
    world.absent_base = 0x1000;
    world.absent_bytes = 4096;
    text = text_of(&machine, VA, "r");
    expect_part(text, "unknown     the walk leads to memory that is not in the image\n"
                      "because     the root table is not in the image: nothing at 0x1000\n");
    free(text);
}

static void test_paging_off_is_said(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_NONE);
    char *text = text_of(&machine, VA, "r");

    (void)state;
    expect_part(text, "5000: supervisor read; paging is off\n");
    expect_part(text, "physical    5000 in the 4 GiB page at 0\n");
    expect_part(text, "rights      rwxu\n");
    free(text);
}

/* The guest's tables and page one to one, by 2 MiB leaves. */
static struct machine with_second(struct second *second)
{
    struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);

    put_chain(&world, &machine.mode, 1, VA, 0x300000 | E_ALL);
    *second = second_ept(&world, 4, false);
    second_map(second, 2, 0, 0, VMMU_X86_RIGHTS_ALL);
    second_map(second, 2, 0x200000, 0x40000000, VMMU_X86_RIGHTS_ALL);
    machine.has_second = true;
    machine.second = second->stage2;
    return machine;
}

static void test_two_dimensions_have_a_grid_and_a_question_for_each_row(void **state)
{
    struct second second;
    const struct machine machine = with_second(&second);
    char *text;

    (void)state;
    setlocale(LC_ALL, "C");
    text = text_of(&machine, VA, "r");
    expect_part(text, "second stage EPT, 4 levels, root 80000000\n\n+----------+");
    expect_part(text, "     where is guest-physical 101028, the guest's PTE?\n"
                      " 13  EPT PML4E[0]        80000000  0000000080001007  table 80001000\n"
                      "     R W X\n");
    expect_part(text, "     where is guest-physical 300000, the page itself?\n");
    expect_part(text, "     R W X WB PS\n");
    expect_part(text, "guest-phys. 300000 in the 4 KiB page at 300000\n"
                      "physical    40100000 in the 2 MiB page at 40000000\n");
    expect_part(text,
                "memory type WB: WB by entry 0 of the PAT as it is reset (--pat), WB by the EPT leaf\n");
    expect_part(text, "references  19 to memory: 4 to the guest's tables, 15 to the second stage's\n");
    free(text);
}

static void test_an_ept_violation_is_told_with_its_qualification(void **state)
{
    struct second second;
    const struct machine machine = with_second(&second);
    char *text;

    (void)state;
    second_put(&second, 2, 0x200000, 0x40000000 | 5 | BIT64(7) | 6 << 3);
    text = text_of(&machine, VA, "w");
    expect_part(text, "fault       EPT violation at guest-physical 300000,\n"
                      "            qualification 1aa (write, readable, executable, linear address known, "
                      "final address)\n"
                      "because     EPT PDE at 0x80002008: W is 0: writes are not allowed\n");
    free(text);
    second_put(&second, 2, 0x200000, 0x40000000 | 7 | BIT64(7) | 7 << 3);
    text = text_of(&machine, VA, "w");
    expect_part(text, "fault       EPT misconfiguration at guest-physical 300000\n");
    free(text);
}

static void test_a_nested_page_fault_is_told_with_exitinfo1(void **state)
{
    struct second second;
    struct machine machine = with_second(&second);
    char *text;

    (void)state;
    second = second_npt(&world, VMMU_X86_FORMAT_4LEVEL);
    world_write(&world, SECOND_ROOT, 8, 0);
    machine.second = second.stage2;
    text = text_of(&machine, VA, "r");
    expect_part(text, "second stage NPT, root 80000000\n");
    expect_part(text, "fault       #VMEXIT(NPF) at guest-physical 1000, "
                      "EXITINFO1 200000006 (W/R, U/S, guest table)\n");
    expect_part(text, "because     NPT PML4E at 0x80000000: P is 0: not present\n");
    free(text);
}

static void test_colour_marks_the_entry_to_blame(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);
    char *text;

    (void)state;
    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_P | E_RW);
    paint_choose(PAINT_ALWAYS);
    text = text_of(&machine, VA, "r,user");
    paint_choose(PAINT_NEVER);
    expect_part(text, "\033[31mPTE[5]        \033[0m");
    EXPECT(strstr(text, "\033[31mPDE[0]") == NULL);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_translation_is_told_with_entries_result_and_rights),
        cmocka_unit_test(test_a_fault_is_told_with_its_cause_and_the_page_behind_it),
        cmocka_unit_test(test_smap_gives_rows_for_ac_and_for_implicit_accesses),
        cmocka_unit_test(test_memory_that_is_missing_is_no_fault),
        cmocka_unit_test(test_paging_off_is_said),
        cmocka_unit_test(test_two_dimensions_have_a_grid_and_a_question_for_each_row),
        cmocka_unit_test(test_an_ept_violation_is_told_with_its_qualification),
        cmocka_unit_test(test_a_nested_page_fault_is_told_with_exitinfo1),
        cmocka_unit_test(test_colour_marks_the_entry_to_blame),
    };

    return RUN_TESTS(tests);
}
