/* Which processors serve, how much memory is needed, and what can be looked at. */
#include "tests/unit/booke/real_cpu.h"
#include "tests/unit/test.h"

#define GIB UINT64_C(0x40000000)

static _Alignas(8) uint8_t memory[32 * 1024];
static struct vmmu_booke_real real;
static struct vmmu_booke_host host;
static struct real_cpu cpu;

static bool serves(const struct vmmu_booke_config *config, uint16_t kept)
{
    host.kept = kept;
    return vmmu_booke_real_init(&real, config, &host, memory, sizeof(memory)) == VMMU_OK;
}

static void test_an_e500v2_serves_and_three_of_its_large_entries_are_the_guests(void **state)
{
    (void)state;
    EXPECT(serves(&vmmu_booke_e500v2, 0));
    EXPECT_EQ(vmmu_booke_real_slots(&real), 528);
    EXPECT(serves(&vmmu_booke_e500v2, 13));
    EXPECT_EQ(vmmu_booke_real_slots(&real), 515);
    EXPECT(!serves(&vmmu_booke_e500v2, 14));
    EXPECT(!serves(&vmmu_booke_e500v2, 16));
    EXPECT(!serves(&vmmu_booke_e500v2, UINT16_MAX));
}

static void test_a_processor_that_could_hold_a_guest_up_does_not_serve(void **state)
{
    static const uint32_t arrays[][3] = {
        { 0x04110200, 0x101bc010, 1 }, /* an e500v2 */
        { 0x04110200, 0x101cc010, 1 }, /* one that says 16 GiB */
        { 0x02110004, 0x101bc010, 1 }, /* two sets of two ways */
        { 0x01110004, 0x101bc010, 0 }, /* one way */
        { 0x02110002, 0x101bc010, 0 }, /* one set of two ways */
        { 0x03110003, 0x101bc010, 1 }, /* one set of three */
        { 0x04220200, 0x101bc010, 0 }, /* pages of 16 KiB only */
        { 0x0411c200, 0x101bc010, 0 }, /* array 0 of any size */
        { 0x04110200, 0x101b8010, 0 }, /* array 1 of one size */
        { 0x04110200, 0x031bc003, 1 }, /* three large entries */
        { 0x04110200, 0x021bc002, 0 }, /* two */
        { 0x04110000, 0x101bc010, 0 }, /* no array 0 */
        { 0x04110200, 0x101bc000, 0 }, /* no array 1 */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        struct vmmu_booke_config config = vmmu_booke_e500v2;

        config.tlbcfg[0] = arrays[i][0];
        config.tlbcfg[1] = arrays[i][1];
        EXPECT_EQ(serves(&config, 0), arrays[i][2]);
        EXPECT_EQ(vmmu_booke_real_memory_bytes(&config) != 0, arrays[i][2]);
    }
}

static void test_a_processor_needs_two_pid_registers_of_two_bits(void **state)
{
    struct vmmu_booke_config config = vmmu_booke_e500v2;

    (void)state;
    config.pids = 2;
    EXPECT(serves(&config, 0));
    config.pids = 1;
    EXPECT(!serves(&config, 0));
    config.pids = 3;
    config.pid_bits = 2;
    EXPECT(serves(&config, 0));
    EXPECT_EQ(real.shadows, 4);
    config.pid_bits = 1;
    EXPECT(!serves(&config, 0));
    config.pid_bits = 14;
    EXPECT(serves(&config, 0));
    EXPECT_EQ(real.shadows, 256);
}

static void test_a_processor_has_32_to_36_bits_of_physical_address(void **state)
{
    static const uint8_t bits[][2] = { { 0, 0 }, { 31, 0 }, { 32, 1 }, { 36, 1 }, { 37, 0 }, { 255, 0 } };

    (void)state;
    for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        struct vmmu_booke_config config = vmmu_booke_e500v2;

        config.physical_bits = bits[i][0];
        EXPECT_EQ(serves(&config, 0), bits[i][1]);
        EXPECT_EQ(vmmu_booke_real_memory_bytes(&config) != 0, bits[i][1]);
    }
}

static void test_too_little_or_unaligned_memory_is_refused(void **state)
{
    const size_t needed = vmmu_booke_real_memory_bytes(&vmmu_booke_e500v2);

    (void)state;
    host.kept = 0;
    EXPECT_EQ(vmmu_booke_real_init(&real, &vmmu_booke_e500v2, &host, memory, needed), VMMU_OK);
    EXPECT_EQ(vmmu_booke_real_init(&real, &vmmu_booke_e500v2, &host, memory, needed - 1), VMMU_INVALID);
    EXPECT_EQ(vmmu_booke_real_init(&real, &vmmu_booke_e500v2, &host, memory + 4, needed), VMMU_INVALID);
}

static void test_a_virtual_mmu_is_attached_with_enough_memory_only(void **state)
{
    const size_t needed = vmmu_booke_spaces_memory_bytes(&vmmu_booke_e500v2);
    struct vmmu_booke_config impossible = vmmu_booke_e500v2;
    struct virtual_mmu mmu;

    (void)state;
    EXPECT(serves(&vmmu_booke_e500v2, 0));
    virtual_start(&mmu);
    EXPECT_EQ(vmmu_booke_attach(&mmu.booke, &real, memory, needed - 1), VMMU_INVALID);
    EXPECT_EQ(vmmu_booke_attach(&mmu.booke, &real, memory + 4, needed), VMMU_INVALID);
    EXPECT_EQ(vmmu_booke_attach(&mmu.booke, &real, memory, needed), VMMU_OK);
    impossible.pids = 0;
    EXPECT_EQ(vmmu_booke_spaces_memory_bytes(&impossible), 0);
}

static void test_what_is_there_can_be_looked_at(void **state)
{
    const struct vmmu_booke_slot *slot;

    (void)state;
    real_cpu_start(&cpu);
    (void)real_cpu_attach(&cpu, 0);
    real_cpu_memory(&cpu, 0, 0, 4 * GIB, GIB);
    real_cpu_enter(&cpu, 0, supervisor);
    (void)virtual_write(&cpu.vp[0].mmu, WAY(0, 0), V, 0x00045000, 0x1000 | ALL_RIGHTS);
    (void)virtual_write(&cpu.vp[0].mmu, ENTRY(9), V | TSIZE(3), 0x40000000, 0 | ALL_RIGHTS);
    EXPECT(vmmu_booke_real_slot(&cpu.real, 512) == NULL);
    EXPECT_EQ(real_cpu_access(&cpu, 0, VMMU_BOOKE_LOAD, 0x00045000), 4 * GIB + 0x1000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, VMMU_BOOKE_LOAD, 0x40000000), 4 * GIB);
    slot = vmmu_booke_real_slot(&cpu.real, 512);
    EXPECT(slot->from == &cpu.vp[0].mmu.booke);
    EXPECT_EQ(slot->index, TLB1_INDEX(9));
    EXPECT_EQ(slot->mas2, 0x40000004);
    for (unsigned i = 0; i < 512; i++) {
        EXPECT((vmmu_booke_real_slot(&cpu.real, i) != NULL) == ((cpu.tlb[i].mas1 & V) != 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_e500v2_serves_and_three_of_its_large_entries_are_the_guests),
        cmocka_unit_test(test_a_processor_that_could_hold_a_guest_up_does_not_serve),
        cmocka_unit_test(test_a_processor_needs_two_pid_registers_of_two_bits),
        cmocka_unit_test(test_a_processor_has_32_to_36_bits_of_physical_address),
        cmocka_unit_test(test_too_little_or_unaligned_memory_is_refused),
        cmocka_unit_test(test_a_virtual_mmu_is_attached_with_enough_memory_only),
        cmocka_unit_test(test_what_is_there_can_be_looked_at),
    };

    return RUN_TESTS(tests);
}
