/* The observer's walk: what vmmu_x86_walk says, in every field, and nothing is touched. */
#include <string.h>

#include "tests/unit/test.h"
#include "world.h"

static struct world world;
static struct vmmu_x86_translate_result found;

static const struct vmmu_x86_access read_access = { .kind = VMMU_X86_READ };

static enum vmmu_status translate(const struct vmmu_x86_mode *mode, uint64_t va,
                                  struct vmmu_x86_access access)
{
    memset(&found, 0xEE, sizeof(found));
    return vmmu_x86_translate(mode, &world.ram, (vmmu_gva){ va }, access, &found);
}

static struct vmmu_x86_mode fresh(enum vmmu_x86_paging paging)
{
    const struct vmmu_x86_paging_registers registers = registers_for(paging);

    world_init(&world);
    return mode_of(&registers);
}

static void test_without_paging_the_linear_address_is_the_physical_one(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_NONE);

    (void)state;
    EXPECT_EQ(translate(&mode, UINT64_C(0x5deadbeef), read_access), VMMU_OK);
    EXPECT_EQ(found.translation.gpa.v, 0xdeadbeef);
    EXPECT_EQ(found.translation.page_bytes, BIT64(32));
    EXPECT_EQ(world.loads, 0);
}

static void test_a_4k_page_of_4_level_paging_is_found_by_four_loads(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);
    const uint64_t va = UINT64_C(0xffff800000403abc);

    (void)state;
    put_chain(&world, &mode, 1, va, UINT64_C(0x123456000) | E_P | E_RW | E_PWT | E_G | E_NX | BITS64(60, 59));
    EXPECT_EQ(translate(&mode, va, read_access), VMMU_OK);
    EXPECT_EQ(found.translation.gpa.v, UINT64_C(0x123456abc));
    EXPECT_EQ(found.translation.frame.v, UINT64_C(0x123456000));
    EXPECT_EQ(found.translation.page_bytes, 4096);
    EXPECT_EQ(found.translation.rights, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE);
    EXPECT_EQ(found.translation.level, 1);
    EXPECT_EQ(found.translation.pat_index, 1);
    EXPECT_EQ(found.translation.key, 3);
    EXPECT(found.translation.global);
    EXPECT(!found.translation.dirty);
    EXPECT_EQ(world.loads, 4);
}

static void test_the_first_entry_of_pae_paging_comes_from_the_registers(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);
    const uint64_t va = 0xc0203456;

    (void)state;
    registers.pdpte_in_memory = false;
    registers.pdpte[3] = 0x9000 | E_P;
    world_init(&world);
    const struct vmmu_x86_mode mode = mode_of(&registers);

    world_write(&world, 0x9000 + 8 * 1, 8, 0x600000 | E_ALL | E_PS);
    EXPECT_EQ(translate(&mode, va, read_access), VMMU_OK);
    EXPECT_EQ(found.translation.gpa.v, 0x603456);
    EXPECT_EQ(world.loads, 1);
    EXPECT_EQ(translate(&mode, 0x1000, read_access), VMMU_GUEST_FAULT);
    EXPECT_EQ(found.fault.error_code, 0);
    EXPECT_EQ(found.fault.cr2, 0x1000);
    EXPECT_EQ(world.loads, 1);
}

static void test_nothing_is_marked_whatever_the_access_asks(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_access write = { .kind = VMMU_X86_WRITE, .marks = VMMU_X86_MARKS_AS_IT_GOES };

    (void)state;
    put_chain(&world, &mode, 1, 0x5000, 0x7000 | E_ALL);
    EXPECT_EQ(translate(&mode, 0x5000, write), VMMU_OK);
    EXPECT(!found.translation.dirty);
    EXPECT_EQ(world.exchanges, 0);
    put_entry(&world, &mode, 1, 0x5000, 0x7000 | E_ALL | E_D);
    EXPECT_EQ(translate(&mode, 0x5000, write), VMMU_OK);
    EXPECT(found.translation.dirty);
}

static void test_an_address_that_is_not_canonical_is_a_general_protection_fault(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    EXPECT_EQ(translate(&mode, UINT64_C(0x800000000000), read_access), VMMU_GUEST_FAULT);
    EXPECT_EQ(found.fault.vector, VMMU_X86_VECTOR_GP);
    EXPECT_EQ(found.fault.error_code, 0);
    EXPECT_EQ(world.loads, 0);
}

static void test_error_codes_tell_presence_reserved_bits_and_rights(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_access fetch = { .kind = VMMU_X86_EXECUTE, .user = true };
    const struct vmmu_x86_access write = { .kind = VMMU_X86_WRITE };

    (void)state;
    put_chain(&world, &mode, 1, 0x5000, 0);
    EXPECT_EQ(translate(&mode, 0x5000, fetch), VMMU_GUEST_FAULT);
    EXPECT_EQ(found.fault.vector, VMMU_X86_VECTOR_PF);
    EXPECT_EQ(found.fault.error_code, VMMU_X86_PF_USER | VMMU_X86_PF_FETCH);
    put_entry(&world, &mode, 4, 0x5000, table_at(&mode, 3) | E_ALL | E_PS);
    EXPECT_EQ(translate(&mode, 0x5000, write), VMMU_GUEST_FAULT);
    EXPECT_EQ(found.fault.error_code, VMMU_X86_PF_PRESENT | VMMU_X86_PF_RESERVED | VMMU_X86_PF_WRITE);
    put_chain(&world, &mode, 1, 0x5000, 0x7000 | E_P | E_US);
    EXPECT_EQ(translate(&mode, 0x5000, write), VMMU_GUEST_FAULT);
    EXPECT_EQ(found.fault.error_code, VMMU_X86_PF_PRESENT | VMMU_X86_PF_WRITE);
    EXPECT_EQ(found.fault.cr2, 0x5000);
    EXPECT(found.fault.has_error_code);
}

static void test_a_table_where_no_memory_is_says_absent(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    put_chain(&world, &mode, 1, 0x5000, 0x7000 | E_ALL);
    world.absent_base = table_at(&mode, 2);
    world.absent_bytes = 4096;
    EXPECT_EQ(translate(&mode, 0x5000, read_access), VMMU_ABSENT);
}

static void test_shadow_stack_accesses_are_not_supported(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .shadow_stack = true };

    (void)state;
    EXPECT_EQ(translate(&mode, 0x5000, access), VMMU_UNSUPPORTED);
    EXPECT_EQ(world.loads, 0);
}

static uint64_t random_state = 1;

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Entries of any bits, of which the present one and the address are often sound. */
static void draw_chain(const struct vmmu_x86_mode *mode, uint64_t va)
{
    const unsigned levels = vmmu_format_of(&mode->layout)->levels;
    const bool narrow = vmmu_format_of(&mode->layout)->entry_bytes == 4;

    for (unsigned level = 1; level <= levels; level++) {
        const uint64_t table = level > 1 ? table_at(mode, level - 1) : 0x42000;
        const uint64_t sound = table | (draw() & BITS64(11, 0)) | (draw() % 16 != 0);
        uint64_t noise = draw() % 4 == 0 ? draw() : 0;

        noise &= draw(); /* one bit in eight */
        noise &= draw();

        put_entry(&world, mode, level, va, (sound | noise) & (narrow ? UINT32_MAX : UINT64_MAX));
    }
}

static void expect_agreement(const struct vmmu_x86_mode *mode, uint64_t va, struct vmmu_x86_access access)
{
    struct vmmu_x86_walk_result walked;
    const enum vmmu_status status = vmmu_x86_walk(mode, &world.ram, (vmmu_gva){ va }, access, &walked);

    EXPECT_EQ(translate(mode, va, access), status);
    if (status == VMMU_GUEST_FAULT) {
        EXPECT_EQ(found.fault.vector, walked.fault.vector);
        EXPECT_EQ(found.fault.error_code, walked.fault.error_code);
        EXPECT_EQ(found.fault.cr2, walked.fault.cr2);
    } else {
        EXPECT_EQ(found.translation.gpa.v, walked.translation.gpa.v);
        EXPECT_EQ(found.translation.frame.v, walked.translation.frame.v);
        EXPECT_EQ(found.translation.page_bytes, walked.translation.page_bytes);
        EXPECT_EQ(found.translation.rights, walked.translation.rights);
        EXPECT_EQ(found.translation.level, walked.translation.level);
        EXPECT_EQ(found.translation.pat_index, walked.translation.pat_index);
        EXPECT_EQ(found.translation.key, walked.translation.key);
        EXPECT_EQ(found.translation.global, walked.translation.global);
        EXPECT_EQ(found.translation.dirty, walked.translation.dirty);
    }
}

static void test_it_says_what_the_walk_with_steps_says(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 4000; round++) {
        const enum vmmu_x86_paging paging = (enum vmmu_x86_paging)(1 + round % 4);
        struct vmmu_x86_paging_registers registers = registers_for(paging);
        const uint64_t va = draw() & BITS64(31, 0);

        registers.cr4 |=
            draw() & (VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP | VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS);
        registers.pkru = (uint32_t)draw();
        registers.pkrs = (uint32_t)draw();
        if (round % 64 == 0) {
            world_init(&world);
        }
        const struct vmmu_x86_mode mode = mode_of(&registers);

        draw_chain(&mode, va);
        for (unsigned bits = 0; bits < 24; bits++) {
            const struct vmmu_x86_access access = { .kind = (enum vmmu_x86_access_kind)(bits % 3),
                                                    .user = (bits / 3) & 1,
                                                    .implicit = (bits / 6) & 1,
                                                    .eflags_ac = (bits / 12) & 1 };

            expect_agreement(&mode, va, access);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_paging_the_linear_address_is_the_physical_one),
        cmocka_unit_test(test_a_4k_page_of_4_level_paging_is_found_by_four_loads),
        cmocka_unit_test(test_the_first_entry_of_pae_paging_comes_from_the_registers),
        cmocka_unit_test(test_nothing_is_marked_whatever_the_access_asks),
        cmocka_unit_test(test_an_address_that_is_not_canonical_is_a_general_protection_fault),
        cmocka_unit_test(test_error_codes_tell_presence_reserved_bits_and_rights),
        cmocka_unit_test(test_a_table_where_no_memory_is_says_absent),
        cmocka_unit_test(test_shadow_stack_accesses_are_not_supported),
        cmocka_unit_test(test_it_says_what_the_walk_with_steps_says),
    };

    return RUN_TESTS(tests);
}
