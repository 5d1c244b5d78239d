/* Sound tables: where addresses go, in every mode and page size, and what is told of the page. */
#include <string.h>

#include "tests/unit/test.h"
#include "world.h"

static struct world world;
static struct vmmu_x86_walk_result out;

static const struct vmmu_x86_access read_access = { .kind = VMMU_X86_READ };

static enum vmmu_status walk(const struct vmmu_x86_mode *mode, uint64_t va)
{
    memset(&out, 0xEE, sizeof(out));
    return vmmu_x86_walk(mode, &world.ram, (vmmu_gva){ va }, read_access, &out);
}

static struct vmmu_x86_mode fresh(enum vmmu_x86_paging paging)
{
    const struct vmmu_x86_paging_registers registers = registers_for(paging);

    world_init(&world);
    return mode_of(&registers);
}

static void test_without_paging_linear_addresses_are_physical_and_nothing_is_loaded(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_NONE);

    (void)state;
    EXPECT_EQ(walk(&mode, UINT64_C(0x5deadbeef)), VMMU_OK);
    EXPECT_EQ(out.translation.gpa.v, 0xdeadbeef);
    EXPECT_EQ(out.translation.frame.v, 0);
    EXPECT_EQ(out.translation.page_bytes, BIT64(32));
    EXPECT_EQ(out.translation.rights, VMMU_X86_RIGHTS_ALL);
    EXPECT_EQ(out.loads, 0);
    EXPECT_EQ(out.step_count, 0);
}

struct page {
    enum vmmu_x86_paging paging;
    unsigned level;
    uint64_t va, leaf, frame, bytes;
};

static const struct page pages[] = {
    { VMMU_X86_PAGING_32BIT, 1, 0xffc01abc, 0xfedcb000, 0xfedcb000, 0x1000 },
    { VMMU_X86_PAGING_32BIT, 2, 0x80612345, 0xabc00000 | E_PS, 0xabc00000, 0x400000 },
    { VMMU_X86_PAGING_32BIT, 2, 0x80612345, 0xabc00000 | E_PS | 0x1fe000, UINT64_C(0xffabc00000), 0x400000 },
    { VMMU_X86_PAGING_PAE, 1, 0xffe01abc, UINT64_C(0xfedcba9876000), UINT64_C(0xfedcba9876000), 0x1000 },
    { VMMU_X86_PAGING_PAE, 2, 0x40212345, UINT64_C(0xfedcba9a00000) | E_PS, UINT64_C(0xfedcba9a00000),
      VMMU_2M_BYTES },
    { VMMU_X86_PAGING_4LEVEL, 1, UINT64_C(0xffffffffffffffff), UINT64_C(0xfedcba9876000),
      UINT64_C(0xfedcba9876000), 0x1000 },
    { VMMU_X86_PAGING_4LEVEL, 2, UINT64_C(0x7fffffffffff), UINT64_C(0xfedcba9a00000) | E_PS,
      UINT64_C(0xfedcba9a00000), VMMU_2M_BYTES },
    { VMMU_X86_PAGING_4LEVEL, 3, UINT64_C(0xffff800012345678), UINT64_C(0xfedcb80000000) | E_PS,
      UINT64_C(0xfedcb80000000), VMMU_1G_BYTES },
    { VMMU_X86_PAGING_5LEVEL, 1, UINT64_C(0x00a5b6c7d8e9f012), 0x5000, 0x5000, 0x1000 },
    { VMMU_X86_PAGING_5LEVEL, 2, UINT64_C(0xff00000000000000), 0x40000000 | E_PS, 0x40000000, VMMU_2M_BYTES },
    { VMMU_X86_PAGING_5LEVEL, 3, UINT64_C(0x00ffffffffffffff), 0x40000000 | E_PS, 0x40000000, VMMU_1G_BYTES },
};

static void test_every_page_size_of_every_mode_translates(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        const struct page *page = &pages[i];
        const struct vmmu_x86_mode mode = fresh(page->paging);
        const unsigned levels = vmmu_format_of(&mode.layout)->levels;

        put_chain(&world, &mode, page->level, page->va, page->leaf | E_ALL);
        EXPECT_EQ(walk(&mode, page->va), VMMU_OK);
        EXPECT_EQ(out.translation.gpa.v, page->frame | (page->va & (page->bytes - 1)));
        EXPECT_EQ(out.translation.frame.v, page->frame);
        EXPECT_EQ(out.translation.page_bytes, page->bytes);
        EXPECT_EQ(out.translation.level, page->level);
        EXPECT_EQ(out.translation.rights, VMMU_X86_RIGHTS_ALL);
        EXPECT_EQ(out.loads, levels - page->level + 1);
        EXPECT_EQ(world.loads, out.loads);
    }
}

static void test_the_steps_name_each_entry_with_its_address_value_and_level(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        const struct page *page = &pages[i];
        const struct vmmu_x86_mode mode = fresh(page->paging);
        unsigned level = vmmu_format_of(&mode.layout)->levels;

        put_chain(&world, &mode, page->level, page->va, page->leaf | E_ALL);
        EXPECT_EQ(walk(&mode, page->va), VMMU_OK);
        EXPECT_EQ(out.step_count, level - page->level + 1);
        for (unsigned step = 0; step < out.step_count; step++, level--) {
            const unsigned width = vmmu_format_of(&mode.layout)->entry_bytes;

            EXPECT_EQ(out.steps[step].level, level);
            EXPECT_EQ(out.steps[step].address, entry_at(&mode, level, page->va));
            EXPECT_EQ(out.steps[step].place, out.steps[step].address);
            EXPECT_EQ(out.steps[step].value, world_read(&world, out.steps[step].address, width));
            EXPECT_EQ(out.steps[step].entry_bytes, width);
            EXPECT_EQ(out.steps[step].stage, VMMU_X86_STAGE_GUEST);
        }
    }
}

static void test_where_linear_addresses_have_32_bits_higher_ones_are_not_looked_at(void **state)
{
    static const enum vmmu_x86_paging narrow[] = { VMMU_X86_PAGING_32BIT, VMMU_X86_PAGING_PAE };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct vmmu_x86_mode mode = fresh(narrow[i]);

        put_chain(&world, &mode, 1, 0xc0000000, 0x7000 | E_ALL);
        EXPECT_EQ(walk(&mode, UINT64_C(0xffffffffc0000123)), VMMU_OK);
        EXPECT_EQ(out.translation.gpa.v, 0x7123);
        EXPECT_EQ(walk(&mode, UINT64_C(0xffffffffc0001123)), VMMU_GUEST_FAULT);
        EXPECT_EQ(out.fault.cr2, 0xc0001123);
    }
}

static void test_4_mib_pages_need_pse_else_bit_7_is_ignored(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_32BIT);
    const uint64_t va = 0x80612345;

    (void)state;
    registers.cr4 &= ~VMMU_X86_CR4_PSE;
    const struct vmmu_x86_mode mode = mode_of(&registers);

    world_init(&world);
    put_chain(&world, &mode, 1, va, 0x7000 | E_ALL);
    put_entry(&world, &mode, 2, va, table_at(&mode, 1) | E_ALL | E_PS);
    EXPECT_EQ(walk(&mode, va), VMMU_OK);
    EXPECT_EQ(out.translation.gpa.v, 0x7345);
    EXPECT_EQ(out.translation.level, 1);
}

static void test_rights_are_those_that_every_entry_grants(void **state)
{
    static const struct {
        uint64_t clear, set;
        uint8_t lost;
    } cases[] = {
        { E_RW, 0, VMMU_X86_RIGHT_WRITE },
        { E_US, 0, VMMU_X86_RIGHT_USER },
        { 0, E_NX, VMMU_X86_RIGHT_EXECUTE },
        { E_RW | E_US, E_NX, VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_USER | VMMU_X86_RIGHT_EXECUTE },
    };
    const uint64_t va = 0x123456000;

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned level = 1; level <= 5; level++) {
            const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_5LEVEL);

            put_chain(&world, &mode, 1, va, 0x7000 | E_ALL);
            const uint64_t entry = world_read(&world, entry_at(&mode, level, va), 8);

            put_entry(&world, &mode, level, va, (entry & ~cases[i].clear) | cases[i].set);
            EXPECT_EQ(walk(&mode, va), VMMU_OK);
            EXPECT_EQ(out.translation.rights, VMMU_X86_RIGHTS_ALL & ~cases[i].lost);
        }
    }
}

static void test_a_pdpte_of_pae_withholds_no_right(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_PAE);

    (void)state;
    put_chain(&world, &mode, 1, 0x40001000, 0x7000 | E_ALL);
    EXPECT_EQ(world_read(&world, entry_at(&mode, 3, 0x40001000), 8) & (E_RW | E_US), 0);
    EXPECT_EQ(walk(&mode, 0x40001000), VMMU_OK);
    EXPECT_EQ(out.translation.rights, VMMU_X86_RIGHTS_ALL);
}

static void test_pdptes_held_in_registers_are_used_and_memory_is_not(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);
    const uint64_t va = 0xc0001000;

    (void)state;
    world_init(&world);
    registers.pdpte_in_memory = false;
    registers.pdpte[3] = 0x9000 | E_P | E_PWT;
    const struct vmmu_x86_mode mode = mode_of(&registers);

    world_write(&world, 0x9000, 8, 0xa000 | E_ALL);
    world_write(&world, 0xa008, 8, 0x7000 | E_ALL);
    world_write(&world, 0x1018, 8, 0xb000 | E_P); /* what CR3 points to by now: not looked at */
    EXPECT_EQ(walk(&mode, va), VMMU_OK);
    EXPECT_EQ(out.translation.gpa.v, 0x7000);
    EXPECT_EQ(out.loads, 2);
    EXPECT_EQ(out.step_count, 3);
    EXPECT_EQ(out.steps[0].stage, VMMU_X86_STAGE_REGISTER);
    EXPECT_EQ(out.steps[0].value, 0x9000 | E_P | E_PWT);
    EXPECT_EQ(out.steps[0].address, 3);
    EXPECT_EQ(walk(&mode, 0x40001000), VMMU_GUEST_FAULT); /* PDPTE 1 is not present */
    EXPECT_EQ(out.fault.error_code, 0);
    EXPECT_EQ(out.loads, 0);
}

static void test_pdptes_in_memory_are_fetched_at_each_walk(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);

    (void)state;
    world_init(&world);
    registers.pdpte[1] = 0x9000 | E_P; /* not looked at */
    registers.cr3 = 0x1fe0;
    const struct vmmu_x86_mode mode = mode_of(&registers);

    world_write(&world, 0x1fe8, 8, 0xa000 | E_P);
    world_write(&world, 0xa000, 8, 0xe00000 | E_ALL | E_PS);
    EXPECT_EQ(walk(&mode, 0x40000123), VMMU_OK);
    EXPECT_EQ(out.translation.gpa.v, 0xe00123);
    EXPECT_EQ(out.loads, 2);
    world_write(&world, 0x1fe8, 8, 0);
    EXPECT_EQ(walk(&mode, 0x40000123), VMMU_GUEST_FAULT);
}

static void test_global_is_the_leafs_bit_8_under_pge_only(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_mode on = mode_of(&registers);

    (void)state;
    registers.cr4 &= ~VMMU_X86_CR4_PGE;
    const struct vmmu_x86_mode off = mode_of(&registers);

    world_init(&world);
    put_chain(&world, &on, 1, 0x1000, 0x7000 | E_ALL | E_G);
    EXPECT_EQ(walk(&on, 0x1000), VMMU_OK);
    EXPECT(out.translation.global);
    EXPECT_EQ(walk(&off, 0x1000), VMMU_OK);
    EXPECT(!out.translation.global);
    put_entry(&world, &on, 1, 0x1000, 0x7000 | E_ALL);
    put_entry(&world, &on, 2, 0x1000, table_at(&on, 1) | E_ALL | E_G);
    EXPECT_EQ(walk(&on, 0x1000), VMMU_OK);
    EXPECT(!out.translation.global);
}

static void test_the_pat_index_is_pat_pcd_pwt_of_the_leaf(void **state)
{
    static const struct {
        enum vmmu_x86_paging paging;
        unsigned level;
        uint64_t pat;
    } cases[] = {
        { VMMU_X86_PAGING_32BIT, 1, BIT64(7) },   { VMMU_X86_PAGING_32BIT, 2, BIT64(12) },
        { VMMU_X86_PAGING_PAE, 2, BIT64(12) },    { VMMU_X86_PAGING_4LEVEL, 1, BIT64(7) },
        { VMMU_X86_PAGING_5LEVEL, 3, BIT64(12) },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned index = 0; index < 8; index++) {
            const struct vmmu_x86_mode mode = fresh(cases[i].paging);
            const uint64_t bits =
                ((index & 1) ? E_PWT : 0) | ((index & 2) ? E_PCD : 0) | ((index & 4) ? cases[i].pat : 0);

            put_chain(&world, &mode, cases[i].level, 0,
                      0x40000000 | E_ALL | (cases[i].level > 1 ? E_PS : 0) | bits);
            EXPECT_EQ(walk(&mode, 0), VMMU_OK);
            EXPECT_EQ(out.translation.pat_index, index);
            EXPECT_EQ(out.translation.frame.v, 0x40000000);
        }
    }
}

static void test_the_key_and_the_dirty_bit_of_the_leaf_are_told(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    put_chain(&world, &mode, 1, 0, 0x7000 | E_ALL | (UINT64_C(13) << 59));
    EXPECT_EQ(walk(&mode, 0), VMMU_OK);
    EXPECT_EQ(out.translation.key, 13);
    EXPECT(!out.translation.dirty);
    put_entry(&world, &mode, 1, 0, 0x7000 | E_ALL | E_D);
    EXPECT_EQ(walk(&mode, 0), VMMU_OK);
    EXPECT_EQ(out.translation.key, 0);
    EXPECT(out.translation.dirty);
}

static void test_a_table_that_maps_itself_can_be_walked(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    world_write(&world, 0x1000 + 8 * 510, 8, 0x1000 | E_ALL);
    EXPECT_EQ(walk(&mode, UINT64_C(0xffffff7fbfdfe123)), VMMU_OK);
    EXPECT_EQ(out.translation.gpa.v, 0x1123);
    EXPECT_EQ(out.loads, 4);
}

static void test_an_entry_outside_memory_is_absent_whatever_the_level(void **state)
{
    (void)state;
    for (unsigned level = 1; level <= 4; level++) {
        const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

        put_chain(&world, &mode, 1, 0x1000, 0x7000 | E_ALL);
        world.absent_base = table_at(&mode, level);
        world.absent_bytes = 0x1000;
        EXPECT_EQ(walk(&mode, 0x1000), VMMU_ABSENT);
        EXPECT_EQ(out.step_count, 4 - level);
    }
}

static void test_a_shadow_stack_access_is_unsupported(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .shadow_stack = true };

    (void)state;
    EXPECT_EQ(vmmu_x86_walk(&mode, &world.ram, (vmmu_gva){ 0 }, access, &out), VMMU_UNSUPPORTED);
    EXPECT_EQ(world.loads, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_paging_linear_addresses_are_physical_and_nothing_is_loaded),
        cmocka_unit_test(test_every_page_size_of_every_mode_translates),
        cmocka_unit_test(test_the_steps_name_each_entry_with_its_address_value_and_level),
        cmocka_unit_test(test_where_linear_addresses_have_32_bits_higher_ones_are_not_looked_at),
        cmocka_unit_test(test_4_mib_pages_need_pse_else_bit_7_is_ignored),
        cmocka_unit_test(test_rights_are_those_that_every_entry_grants),
        cmocka_unit_test(test_a_pdpte_of_pae_withholds_no_right),
        cmocka_unit_test(test_pdptes_held_in_registers_are_used_and_memory_is_not),
        cmocka_unit_test(test_pdptes_in_memory_are_fetched_at_each_walk),
        cmocka_unit_test(test_global_is_the_leafs_bit_8_under_pge_only),
        cmocka_unit_test(test_the_pat_index_is_pat_pcd_pwt_of_the_leaf),
        cmocka_unit_test(test_the_key_and_the_dirty_bit_of_the_leaf_are_told),
        cmocka_unit_test(test_a_table_that_maps_itself_can_be_walked),
        cmocka_unit_test(test_an_entry_outside_memory_is_absent_whatever_the_level),
        cmocka_unit_test(test_a_shadow_stack_access_is_unsupported),
    };

    return RUN_TESTS(tests);
}
