/*
 * The small guest system: its tables are such as a processor walks, and its kernel's writes go the way of accesses.
 */
#include "tests/unit/test.h"

#include <string.h>
#include <vmmu/walk.h>

#include "tools/sim/guest.h"

static struct complaint complaint;

/* A guest that runs on nothing: stores happen at once. */
struct rig {
    struct engine_memory *memory;
    struct sim_guest *guest;
    unsigned stores;
    unsigned clears;
    uint64_t last_va;
};

static bool store(void *context, uint64_t va, uint64_t gpa, uint64_t value, struct complaint *why)
{
    struct rig *const rig = context;

    (void)why;
    rig->stores++;
    rig->last_va = va;
    return engine_memory_store(rig->memory, gpa, 8, value);
}

static bool clear(void *context, uint64_t va, struct complaint *why)
{
    struct rig *const rig = context;

    (void)why;
    (void)va;
    rig->clears++;
    return true;
}

static void open_rig(struct rig *rig, unsigned levels, unsigned leaf_level, bool pcids)
{
    const struct sim_guest_options options = {
        .levels = levels, .leaf_level = leaf_level, .memory_bytes = 4 * VMMU_1G_BYTES, .pcids = pcids
    };
    const struct sim_guest_host host = { rig, store, clear };

    memset(rig, 0, sizeof *rig);
    rig->memory = engine_memory_new(options.memory_bytes, &complaint);
    EXPECT(rig->memory != NULL);
    rig->guest = sim_guest_open(rig->memory, &options, &host, &complaint);
    EXPECT(rig->guest != NULL);
}

static void close_rig(struct rig *rig)
{
    sim_guest_close(rig->guest);
    engine_memory_free(rig->memory);
}

static enum vmmu_status walk(const struct rig *rig, unsigned space, uint64_t va,
                             enum vmmu_x86_access_kind kind, struct vmmu_x86_walk_result *out)
{
    const struct vmmu_x86_paging_registers registers = sim_guest_registers(rig->guest, space);
    const struct vmmu_x86_access access = { .kind = kind, .user = !sim_guest_is_kernel(va) };
    struct vmmu_x86_mode mode;

    EXPECT_EQ(vmmu_mode_make(sim_guest_cpu(), &registers, &mode), VMMU_OK);
    return vmmu_x86_walk(&mode, engine_memory_ram(rig->memory), (vmmu_gva){ va }, access, out);
}

static void test_a_page_is_there_after_its_first_fault_and_not_before(void **state)
{
    struct vmmu_x86_walk_result out;
    struct rig rig;

    (void)state;
    open_rig(&rig, 4, 1, false);
    EXPECT_EQ(walk(&rig, 0, 0x401000, VMMU_X86_READ, &out), VMMU_GUEST_FAULT);
    EXPECT(sim_guest_fault(rig.guest, 0, 0x401000, false, &complaint));
    EXPECT_EQ(walk(&rig, 0, 0x401000, VMMU_X86_READ, &out), VMMU_OK);
    EXPECT_EQ(out.loads, 4);
    EXPECT_EQ(out.translation.page_bytes, VMMU_PAGE_BYTES);
    EXPECT(!out.translation.dirty && !out.translation.global);
    EXPECT_EQ(walk(&rig, 0, 0x402000, VMMU_X86_READ, &out), VMMU_GUEST_FAULT);
    /* Three tables and a page cleared; four entries stored. */
    EXPECT_EQ(rig.clears, 4);
    EXPECT_EQ(rig.stores, 4);
    EXPECT_EQ(sim_guest_mapped_bytes(rig.guest), VMMU_PAGE_BYTES);
    close_rig(&rig);
}

static void test_a_page_that_is_written_first_is_born_dirty(void **state)
{
    struct vmmu_x86_walk_result out;
    struct rig rig;

    (void)state;
    open_rig(&rig, 4, 1, false);
    EXPECT(sim_guest_fault(rig.guest, 0, 0x401000, true, &complaint));
    EXPECT_EQ(walk(&rig, 0, 0x401000, VMMU_X86_WRITE, &out), VMMU_OK);
    EXPECT(out.translation.dirty);
    EXPECT_EQ(out.steps[out.step_count - 1].marks, 0);
    close_rig(&rig);
}

static void test_address_spaces_have_pages_of_their_own(void **state)
{
    struct vmmu_x86_walk_result one, other;
    struct rig rig;
    unsigned second;

    (void)state;
    open_rig(&rig, 4, 1, false);
    EXPECT(sim_guest_space(rig.guest, 77, &second, &complaint) && second == 1);
    EXPECT(sim_guest_fault(rig.guest, 0, 0x401000, false, &complaint));
    EXPECT_EQ(walk(&rig, second, 0x401000, VMMU_X86_READ, &other), VMMU_GUEST_FAULT);
    EXPECT(sim_guest_fault(rig.guest, second, 0x401000, false, &complaint));
    EXPECT_EQ(walk(&rig, 0, 0x401000, VMMU_X86_READ, &one), VMMU_OK);
    EXPECT_EQ(walk(&rig, second, 0x401000, VMMU_X86_READ, &other), VMMU_OK);
    EXPECT(one.translation.gpa.v != other.translation.gpa.v);
    EXPECT(sim_guest_space(rig.guest, 0, &second, &complaint) && second == 0);
    close_rig(&rig);
}

static void test_the_kernels_half_is_the_same_in_every_space_and_global(void **state)
{
    const uint64_t va = UINT64_C(0xffffffff81000000);
    struct vmmu_x86_walk_result one, other;
    struct rig rig;
    unsigned second;

    (void)state;
    open_rig(&rig, 4, 1, false);
    EXPECT(sim_guest_space(rig.guest, 1, &second, &complaint));
    EXPECT(sim_guest_fault(rig.guest, 0, va, false, &complaint));
    /* The other root lacks the entry of its topmost level: one store, and no page. */
    rig.stores = 0;
    EXPECT(sim_guest_fault(rig.guest, second, va, false, &complaint));
    EXPECT_EQ(rig.stores, 1);
    EXPECT_EQ(walk(&rig, 0, va, VMMU_X86_READ, &one), VMMU_OK);
    EXPECT_EQ(walk(&rig, second, va, VMMU_X86_READ, &other), VMMU_OK);
    EXPECT_EQ(one.translation.gpa.v, other.translation.gpa.v);
    EXPECT(one.translation.global);
    EXPECT_EQ(one.translation.rights & VMMU_X86_RIGHT_USER, 0);
    close_rig(&rig);
}

static void test_the_kernel_writes_entries_through_its_direct_map(void **state)
{
    struct vmmu_x86_walk_result table, direct;
    struct rig rig;

    (void)state;
    open_rig(&rig, 4, 1, false);
    EXPECT(sim_guest_fault(rig.guest, 0, 0x401000, false, &complaint));
    EXPECT_EQ(walk(&rig, 0, 0x401000, VMMU_X86_READ, &table), VMMU_OK);
    EXPECT_EQ(walk(&rig, 0, rig.last_va, VMMU_X86_WRITE, &direct), VMMU_OK);
    EXPECT_EQ(direct.translation.gpa.v, table.steps[3].address);
    EXPECT_EQ(direct.translation.page_bytes, VMMU_1G_BYTES);
    EXPECT(direct.translation.global && direct.translation.dirty);
    close_rig(&rig);
}

static void test_pages_are_as_large_as_asked_and_aligned(void **state)
{
    static const uint64_t bytes[] = { 0, VMMU_PAGE_BYTES, VMMU_2M_BYTES, VMMU_1G_BYTES };
    struct vmmu_x86_walk_result out;
    struct rig rig;

    (void)state;
    for (unsigned level = 1; level <= 3; level++) {
        open_rig(&rig, 4, level, false);
        EXPECT(sim_guest_fault(rig.guest, 0, 0x1fff000123, true, &complaint));
        EXPECT_EQ(walk(&rig, 0, 0x1fff000123, VMMU_X86_WRITE, &out), VMMU_OK);
        EXPECT_EQ(out.translation.page_bytes, bytes[level]);
        EXPECT(vmmu_is_aligned(out.translation.frame.v, bytes[level]));
        EXPECT_EQ(out.loads, 5 - level);
        close_rig(&rig);
    }
}

static void test_five_levels_translate_57_bits(void **state)
{
    const uint64_t va = UINT64_C(0x00a0000000401000);
    struct vmmu_x86_walk_result out;
    struct rig rig;

    (void)state;
    open_rig(&rig, 5, 1, false);
    EXPECT(sim_guest_fault(rig.guest, 0, va, false, &complaint));
    EXPECT_EQ(walk(&rig, 0, va, VMMU_X86_READ, &out), VMMU_OK);
    EXPECT_EQ(out.loads, 5);
    EXPECT_EQ(walk(&rig, 0, rig.last_va, VMMU_X86_WRITE, &out), VMMU_OK);
    close_rig(&rig);
}

static void test_with_pcids_each_space_has_one_that_is_not_0(void **state)
{
    struct rig rig;
    unsigned second;

    (void)state;
    open_rig(&rig, 4, 1, true);
    EXPECT(sim_guest_space(rig.guest, 5, &second, &complaint));
    EXPECT_EQ(sim_guest_registers(rig.guest, 0).cr3 & 0xfff, 1);
    EXPECT_EQ(sim_guest_registers(rig.guest, second).cr3 & 0xfff, 2);
    EXPECT((sim_guest_registers(rig.guest, 0).cr4 & VMMU_X86_CR4_PCIDE) != 0);
    close_rig(&rig);
}

static void test_used_up_memory_is_a_complaint(void **state)
{
    struct rig rig;
    bool enough = true;

    (void)state;
    open_rig(&rig, 4, 3, false);
    for (uint64_t va = VMMU_1G_BYTES; enough && va < 8 * VMMU_1G_BYTES; va += VMMU_1G_BYTES) {
        enough = sim_guest_fault(rig.guest, 0, va, true, &complaint);
    }
    EXPECT(!enough);
    EXPECT(strstr(complaint.text, "--memory") != NULL);
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_is_there_after_its_first_fault_and_not_before),
        cmocka_unit_test(test_a_page_that_is_written_first_is_born_dirty),
        cmocka_unit_test(test_address_spaces_have_pages_of_their_own),
        cmocka_unit_test(test_the_kernels_half_is_the_same_in_every_space_and_global),
        cmocka_unit_test(test_the_kernel_writes_entries_through_its_direct_map),
        cmocka_unit_test(test_pages_are_as_large_as_asked_and_aligned),
        cmocka_unit_test(test_five_levels_translate_57_bits),
        cmocka_unit_test(test_with_pcids_each_space_has_one_that_is_not_0),
        cmocka_unit_test(test_used_up_memory_is_a_complaint),
    };

    return RUN_TESTS(tests);
}
