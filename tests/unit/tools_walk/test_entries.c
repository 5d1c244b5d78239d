/* Walks that succeed, in each format: the entries in order, their names and bits, what they take, and the result. */
#include <string.h>

#include "tests/unit/test.h"
#include "tools/walk/names.h"
#include "walked.h"

static struct world world;
static struct walk_model model;

static void expect_entry(unsigned index, const char *name, const char *bits, const char *forbids)
{
    const struct walk_entry *entry = &model.entries[index];
    char text[ENTRY_TEXT_BYTES];
    char refusal[WALK_SENTENCE_BYTES];

    EXPECT(index < model.entry_count);
    assert_string_equal(entry_name(entry->format, entry->step.level), name);
    assert_string_equal(
        entry_bits_text(entry->format, entry->step.level, entry->leaf, entry->step.value, text), bits);
    assert_string_equal(walk_refusal_text(&model, entry, refusal), forbids);
}

static void test_paging_off_has_no_entry_and_every_right(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_NONE);

    (void)state;
    walk_in_words(&machine, 0x12345678, "w,user", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    EXPECT(model.translates);
    EXPECT_EQ(model.entry_count, 0);
    EXPECT_EQ(model.guest.gpa.v, 0x12345678);
    EXPECT_EQ(model.errors[WALK_AS_USER][VMMU_X86_EXECUTE], 0);
    EXPECT_EQ(model.cause_count, 0);
}

static void test_32_bit_paging_has_a_pde_and_a_pte_of_four_bytes(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_32BIT);
    const uint64_t va = 0x80401234;

    (void)state;
    put_entry(&world, &machine.mode, 2, va, table_at(&machine.mode, 1) | E_P | E_RW | E_US | E_A);
    put_entry(&world, &machine.mode, 1, va, 0x77777000 | E_P | E_US | E_PCD | E_PS | E_G | E_D);
    walk_in_words(&machine, va, "r", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    EXPECT_EQ(model.entry_count, 2);
    EXPECT_EQ(model.entries[0].step.address, 0x1000 + (va >> 22) * 4);
    EXPECT_EQ(model.entries[0].target, table_at(&machine.mode, 1));
    EXPECT_EQ(model.entries[0].step.entry_bytes, 4);
    expect_entry(0, "PDE", "P R/W U/S A", "");
    expect_entry(1, "PTE", "P U/S PCD D PAT G", "write");
    EXPECT_EQ(model.guest.gpa.v, 0x77777234);
    EXPECT_EQ(model.loads, 2);
}

static void test_a_4m_page_has_its_high_address_bits_from_pse_36(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_32BIT);
    const uint64_t va = 0x80401234;

    (void)state;
    put_entry(&world, &machine.mode, 2, va, 0x40000000 | BIT64(13) | BIT64(12) | E_PS | E_ALL);
    walk_in_words(&machine, va, "r", &model);
    expect_entry(0, "PDE", "P R/W U/S PS PAT", "");
    EXPECT_EQ(model.entries[0].target, UINT64_C(0x140000000));
    EXPECT_EQ(model.guest.gpa.v, UINT64_C(0x140001234));
    EXPECT_EQ(model.guest.page_bytes, 4 << 20);
}

static void test_without_pse_bit_7_of_a_pde_has_no_name(void **state)
{
    char text[ENTRY_TEXT_BYTES];

    (void)state;
    assert_string_equal(entry_bits_text(VMMU_X86_FORMAT_32BIT, 2, false, 0x1000 | E_P | E_PS, text), "P");
    assert_string_equal(entry_bits_text(VMMU_X86_FORMAT_32BIT_PSE, 2, true, 0x400000 | E_P | E_PS, text),
                        "P PS");
}

static void test_pae_begins_in_a_register_that_is_no_memory_reference(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);
    const uint64_t va = 0xc0201234;

    (void)state;
    registers.pdpte_in_memory = false;
    registers.pdpte[3] = 0x9000 | E_P | E_PWT;
    world_init(&world);
    const struct machine machine = machine_on(&world, &registers);

    world_write(&world, 0x9000 + 8, 8, 0x600000 | E_ALL | E_PS | E_NX);
    walk_in_words(&machine, va, "r", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    EXPECT_EQ(model.entry_count, 2);
    EXPECT_EQ(model.loads, 1);
    EXPECT_EQ(model.entries[0].number, 0);
    EXPECT_EQ(model.entries[0].step.stage, VMMU_X86_STAGE_REGISTER);
    EXPECT_EQ(model.entries[1].number, 1);
    expect_entry(0, "PDPTE", "P PWT", "");
    expect_entry(1, "PDE", "P R/W U/S PS XD", "execute");
    EXPECT_EQ(model.guest.page_bytes, VMMU_2M_BYTES);
}

static void test_4_level_paging_names_four_levels_and_the_key_of_the_leaf(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    const uint64_t va = UINT64_C(0xffff888000403000);

    (void)state;
    registers.cr4 |= VMMU_X86_CR4_PKE;
    registers.pkru = 2U << (2 * 5); /* WD5 */
    world_init(&world);
    const struct machine machine = machine_on(&world, &registers);

    put_chain(&world, &machine.mode, 1, va, 0x5000 | E_ALL | E_A | E_D | UINT64_C(5) << 59);
    put_entry(&world, &machine.mode, 4, va, table_at(&machine.mode, 3) | E_ALL | E_NX);
    walk_in_words(&machine, va, "r,user", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    EXPECT_EQ(model.entry_count, 4);
    expect_entry(0, "PML4E", "P R/W U/S XD", "execute");
    expect_entry(1, "PDPTE", "P R/W U/S", "");
    expect_entry(2, "PDE", "P R/W U/S", "");
    expect_entry(3, "PTE", "P R/W U/S A D key=5", "write (key 5)");
    EXPECT_EQ(model.guest.key, 5);
    EXPECT_EQ(model.errors[WALK_AS_USER][VMMU_X86_READ], 0);
    EXPECT_EQ(model.errors[WALK_AS_USER][VMMU_X86_WRITE],
              VMMU_X86_PF_PRESENT | VMMU_X86_PF_WRITE | VMMU_X86_PF_USER | VMMU_X86_PF_KEY);
    EXPECT_EQ(model.errors[WALK_AS_SUPERVISOR][VMMU_X86_EXECUTE], VMMU_X86_PF_PRESENT | VMMU_X86_PF_FETCH);
}

static void test_a_1g_page_ends_the_walk_at_the_pdpte(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_5LEVEL);
    const uint64_t va = UINT64_C(0x0012345678abcdef);

    (void)state;
    put_chain(&world, &machine.mode, 3, va, UINT64_C(0x4000000000) | E_P | E_RW | E_PS | E_G);
    walk_in_words(&machine, va, "w", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    EXPECT_EQ(model.entry_count, 3);
    expect_entry(0, "PML5E", "P R/W U/S", "");
    expect_entry(1, "PML4E", "P R/W U/S", "");
    expect_entry(2, "PDPTE", "P R/W PS G", "user");
    EXPECT_EQ(model.guest.page_bytes, VMMU_1G_BYTES);
    EXPECT(model.guest.global);
    EXPECT_EQ(model.guest.gpa.v, UINT64_C(0x4000000000) | (va & (VMMU_1G_BYTES - 1)));
}

static void test_write_without_cr0_wp_is_taken_from_the_user_only(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    registers.cr0 &= ~VMMU_X86_CR0_WP;
    world_init(&world);
    const struct machine machine = machine_on(&world, &registers);

    put_chain(&world, &machine.mode, 1, 0x5000, 0x7000 | E_P | E_US);
    walk_in_words(&machine, 0x5000, "w", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    expect_entry(3, "PTE", "P U/S", "user write");
    EXPECT_EQ(model.errors[WALK_AS_SUPERVISOR][VMMU_X86_WRITE], 0);
    EXPECT_EQ(model.errors[WALK_AS_USER][VMMU_X86_WRITE], 7);
}

static void test_smep_and_smap_are_told_at_the_leaf_of_a_user_page(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    registers.cr4 |= VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP;
    world_init(&world);
    const struct machine machine = machine_on(&world, &registers);

    put_chain(&world, &machine.mode, 1, 0x5000, 0x7000 | E_ALL);
    walk_in_words(&machine, 0x5000, "r,user", &model);
    expect_entry(2, "PDE", "P R/W U/S", "");
    expect_entry(3, "PTE", "P R/W U/S", "supervisor execute (SMEP), supervisor data (SMAP)");
    EXPECT_EQ(model.errors[WALK_AS_SUPERVISOR][VMMU_X86_READ], 1);
    EXPECT_EQ(model.errors[WALK_AS_SUPERVISOR_AC][VMMU_X86_READ], 0);
    EXPECT_EQ(model.errors[WALK_AS_IMPLICIT][VMMU_X86_READ], 1);
    EXPECT_EQ(model.errors[WALK_AS_SUPERVISOR_AC][VMMU_X86_EXECUTE], 0x11);
}

static void test_the_pat_gives_the_memory_type(void **state)
{
    struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);

    (void)state;
    put_chain(&world, &machine.mode, 1, 0x5000, 0x7000 | E_ALL | E_PWT | E_PCD | E_PS);
    walk_in_words(&machine, 0x5000, "r", &model);
    EXPECT_EQ(model.guest.pat_index, 7);
    EXPECT_EQ(model.type, VMMU_X86_TYPE_UC);
    EXPECT(!model.pat_known);
    machine.pat = UINT64_C(0x0107040600070406);
    walk_in_words(&machine, 0x5000, "r", &model);
    EXPECT_EQ(model.type, VMMU_X86_TYPE_WC);
    machine.pat = 0;
    machine.pat_known = true;
    walk_in_words(&machine, 0x5000, "r", &model);
    EXPECT_EQ(model.type, VMMU_X86_TYPE_UC);
    EXPECT(model.pat_known);
}

/* SDM 3A "Cache Control Registers and Bits": CR0.CD makes every access uncached. */
static void test_cd_leaves_nothing_cached(void **state)
{
    struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);

    (void)state;
    put_chain(&world, &machine.mode, 1, 0x5000, 0x7000 | E_ALL);
    machine.registers.cr0 |= VMMU_X86_CR0_CD;
    walk_in_words(&machine, 0x5000, "r", &model);
    EXPECT(model.uncached);
    EXPECT_EQ(model.guest_type, VMMU_X86_TYPE_WB);
    EXPECT_EQ(model.type, VMMU_X86_TYPE_UC);
}

/* No entry means no index into the PAT. */
static void test_unpaged_memory_is_write_back_whatever_the_pat_says(void **state)
{
    struct machine machine = machine_with(&world, VMMU_X86_PAGING_NONE);

    (void)state;
    machine.pat = 0;
    walk_in_words(&machine, 0x5000, "r", &model);
    EXPECT_EQ(model.type, VMMU_X86_TYPE_WB);
}

static unsigned type_named(const char *word)
{
    unsigned type = 0;

    while (strcmp(memory_type_word(type), word) != 0) {
        EXPECT(++type < 8);
    }
    return type;
}

/* SDM 3A "Selecting Memory Types for Pentium III and More Recent Processor Families". */
static void test_memory_types_combine_as_the_manuals_table_says(void **state)
{
    static const struct {
        const char *range, *pat, *both;
    } rows[] = {
        { "UC", "UC", "UC" }, { "UC", "UC-", "UC" }, { "UC", "WC", "WC" }, { "UC", "WT", "UC" },
        { "UC", "WB", "UC" }, { "UC", "WP", "UC" },  { "WC", "UC", "UC" }, { "WC", "UC-", "WC" },
        { "WC", "WC", "WC" }, { "WC", "WT", "UC" },  { "WC", "WB", "WC" }, { "WC", "WP", "UC" },
        { "WT", "UC", "UC" }, { "WT", "UC-", "UC" }, { "WT", "WC", "WC" }, { "WT", "WT", "WT" },
        { "WT", "WB", "WT" }, { "WT", "WP", "WP" },  { "WB", "UC", "UC" }, { "WB", "UC-", "UC" },
        { "WB", "WC", "WC" }, { "WB", "WT", "WT" },  { "WB", "WB", "WB" }, { "WB", "WP", "WP" },
        { "WP", "UC", "UC" }, { "WP", "UC-", "WC" }, { "WP", "WC", "WC" }, { "WP", "WT", "WT" },
        { "WP", "WB", "WP" }, { "WP", "WP", "WP" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const unsigned type = walk_combined_type(type_named(rows[i].pat), type_named(rows[i].range));

        assert_string_equal(memory_type_word(type), rows[i].both);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paging_off_has_no_entry_and_every_right),
        cmocka_unit_test(test_32_bit_paging_has_a_pde_and_a_pte_of_four_bytes),
        cmocka_unit_test(test_a_4m_page_has_its_high_address_bits_from_pse_36),
        cmocka_unit_test(test_without_pse_bit_7_of_a_pde_has_no_name),
        cmocka_unit_test(test_pae_begins_in_a_register_that_is_no_memory_reference),
        cmocka_unit_test(test_4_level_paging_names_four_levels_and_the_key_of_the_leaf),
        cmocka_unit_test(test_a_1g_page_ends_the_walk_at_the_pdpte),
        cmocka_unit_test(test_write_without_cr0_wp_is_taken_from_the_user_only),
        cmocka_unit_test(test_smep_and_smap_are_told_at_the_leaf_of_a_user_page),
        cmocka_unit_test(test_the_pat_gives_the_memory_type),
        cmocka_unit_test(test_cd_leaves_nothing_cached),
        cmocka_unit_test(test_unpaged_memory_is_write_back_whatever_the_pat_says),
        cmocka_unit_test(test_memory_types_combine_as_the_manuals_table_says),
    };

    return RUN_TESTS(tests);
}
