/*
 * Shadow paging inside the tool: what accesses cost the first time and afterwards, and what the guest's own doings cost.
 */
#include "tests/unit/test.h"
#include "tests/unit/tools_engine/engine_guest.h"
#include "tools/engine/shadow.h"

#define VA       UINT64_C(0x12345678)
#define OTHER_VA UINT64_C(0x22345678)
#define TABLE_VA UINT64_C(0x30000000) /* where the guest sees its tables, 2 MiB from 0 */

/* Switches after which a table that did not change is write-protected, whatever the engine's taste. */
#define SWITCHES 64

struct run {
    struct engine_guest guest;
    struct engine_shadow *shadow;
    struct complaint complaint;
    unsigned flushes;
};

static void count_flush(void *context)
{
    struct run *run = context;

    run->flushes++;
}

static void open_run(struct run *run, enum vmmu_x86_paging paging, struct engine_shadow_options options)
{
    *run = (struct run){ .flushes = 0 };
    engine_guest_open(&run->guest, paging);
    engine_guest_map(&run->guest, VA, 1, GUEST_DATA | GUEST_LEAF);
    engine_guest_map(&run->guest, TABLE_VA, 2, GUEST_LARGE);
    options.context = run;
    options.flush = count_flush;
    run->shadow = engine_shadow_open(run->guest.memory, &options, &run->complaint);
    EXPECT(run->shadow != NULL);
    EXPECT(engine_shadow_enter(run->shadow, &run->guest.mode, &run->complaint));
}

static void close_run(struct run *run)
{
    engine_shadow_close(run->shadow);
    engine_guest_close(&run->guest);
}

static struct engine_shadow_result access_at(struct run *run, uint64_t va, enum vmmu_x86_access_kind kind)
{
    const struct vmmu_x86_access access = { .kind = kind };
    struct engine_shadow_result result;

    EXPECT(engine_shadow_access(run->shadow, (vmmu_gva){ va }, access, &result, &run->complaint));
    return result;
}

static const enum vmmu_x86_paging modes[] = { VMMU_X86_PAGING_32BIT, VMMU_X86_PAGING_PAE,
                                              VMMU_X86_PAGING_4LEVEL, VMMU_X86_PAGING_5LEVEL };

/* How deep the processor's tables are: PAE's for the two modes of 32 bits. */
static unsigned depth(enum vmmu_x86_paging paging)
{
    return paging == VMMU_X86_PAGING_5LEVEL ? 5 : paging == VMMU_X86_PAGING_4LEVEL ? 4 : 3;
}

static void test_the_first_access_exits_once_and_the_second_not_at_all(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct run run;

        open_run(&run, modes[i], (struct engine_shadow_options){ 0 });
        const struct engine_shadow_result first = access_at(&run, VA, VMMU_X86_WRITE);
        const struct engine_shadow_result second = access_at(&run, VA, VMMU_X86_WRITE);

        EXPECT_EQ(first.answer, ENGINE_SHADOW_DONE);
        EXPECT_EQ(first.walk.translation.gpa.v, ENGINE_GUEST_AT + GUEST_DATA + VA % 4096);
        EXPECT_EQ(first.cost.page_fault_exits, 1);
        EXPECT_EQ(first.cost.fills, 1);
        EXPECT(first.cost.new_pages > 0);
        EXPECT_EQ(second.answer, ENGINE_SHADOW_DONE);
        EXPECT_EQ(second.cost.page_fault_exits, 0);
        EXPECT_EQ(second.cost.walks, 1);
        EXPECT_EQ(second.cost.loads, depth(modes[i]));
        close_run(&run);
    }
}

static void test_on_intel_pae_roots_are_held_in_registers(void **state)
{
    struct run run;

    (void)state;
    open_run(&run, VMMU_X86_PAGING_PAE, (struct engine_shadow_options){ .intel = true });
    access_at(&run, VA, VMMU_X86_READ);
    EXPECT_EQ(access_at(&run, VA, VMMU_X86_READ).cost.loads, 2);
    close_run(&run);
}

static void test_a_fault_of_the_guests_own_is_given_to_it(void **state)
{
    struct run run;

    (void)state;
    open_run(&run, VMMU_X86_PAGING_4LEVEL, (struct engine_shadow_options){ 0 });
    const struct engine_shadow_result result = access_at(&run, OTHER_VA, VMMU_X86_WRITE);

    EXPECT_EQ(result.answer, ENGINE_SHADOW_FAULT);
    EXPECT_EQ(result.fault.vector, 14);
    EXPECT_EQ(result.fault.error_code, 2);
    EXPECT_EQ(result.fault.cr2, OTHER_VA);
    EXPECT_EQ(result.cost.page_fault_exits, 1);
    EXPECT_EQ(result.cost.reflected, 1);
    close_run(&run);
}

static void test_what_is_not_canonical_never_exits(void **state)
{
    struct run run;

    (void)state;
    open_run(&run, VMMU_X86_PAGING_4LEVEL, (struct engine_shadow_options){ 0 });
    const struct engine_shadow_result result = access_at(&run, UINT64_C(1) << 60, VMMU_X86_READ);

    EXPECT_EQ(result.answer, ENGINE_SHADOW_FAULT);
    EXPECT_EQ(result.fault.vector, 13);
    EXPECT_EQ(result.cost.page_fault_exits, 0);
    close_run(&run);
}

/* Once the engine knows that nothing is there, and will hear of a change. */
static void test_with_silent_absence_the_guest_takes_faults_without_an_exit(void **state)
{
    struct run run;
    struct engine_shadow_result result = { 0 };

    (void)state;
    open_run(&run, VMMU_X86_PAGING_4LEVEL,
             (struct engine_shadow_options){ .intel = true, .silent_absent = true, .tagged_roots = true });
    access_at(&run, VA, VMMU_X86_READ);
    for (unsigned i = 0; i < SWITCHES; i++) {
        result = access_at(&run, VA + 4096, VMMU_X86_READ);
        EXPECT(engine_shadow_enter(run.shadow, &run.guest.mode, &run.complaint));
    }
    EXPECT_EQ(result.answer, ENGINE_SHADOW_FAULT);
    EXPECT_EQ(result.cost.page_fault_exits, 0);
    EXPECT_EQ(result.cost.silent_faults, 1);
    EXPECT_EQ(result.fault.error_code, 0);
    close_run(&run);
}

static void test_where_no_memory_is_there_is_a_device(void **state)
{
    struct run run;

    (void)state;
    open_run(&run, VMMU_X86_PAGING_4LEVEL, (struct engine_shadow_options){ 0 });
    engine_guest_map(&run.guest, OTHER_VA, 1, UINT64_C(0xfee00000) | GUEST_LEAF);
    const struct engine_shadow_result result = access_at(&run, OTHER_VA, VMMU_X86_READ);

    EXPECT_EQ(result.answer, ENGINE_SHADOW_DEVICE);
    EXPECT_EQ(result.gpa.v, 0xfee00000 + OTHER_VA % 4096);
    close_run(&run);
}

static void test_a_write_to_a_clean_page_marks_it_dirty(void **state)
{
    struct run run;
    uint64_t entry;

    (void)state;
    open_run(&run, VMMU_X86_PAGING_4LEVEL, (struct engine_shadow_options){ 0 });
    engine_guest_map(&run.guest, OTHER_VA, 1, GUEST_DATA | GUEST_CLEAN_LEAF);
    access_at(&run, OTHER_VA, VMMU_X86_WRITE);
    const struct vmmu_ram *ram = engine_memory_ram(run.guest.memory);

    EXPECT_EQ(ram->load(ram->context, engine_guest_entry(&run.guest, OTHER_VA, 1), 8, &entry), VMMU_OK);
    EXPECT_EQ(entry, GUEST_DATA | GUEST_LEAF);
    close_run(&run);
}

static struct engine_shadow_result store_entry(struct run *run, unsigned level, uint64_t va, uint64_t value)
{
    const struct engine_shadow_store store = {
        .va = { TABLE_VA + engine_guest_entry(&run->guest, va, level) },
        .access = { .kind = VMMU_X86_WRITE },
        .width_bytes = 8,
        .value = value,
    };
    struct engine_shadow_result result;

    EXPECT(engine_shadow_store(run->shadow, &store, &result, &run->complaint));
    return result;
}

static void switch_often(struct run *run)
{
    for (unsigned i = 0; i < SWITCHES; i++) {
        EXPECT(engine_shadow_enter(run->shadow, &run->guest.mode, &run->complaint));
        access_at(run, VA, VMMU_X86_READ);
        access_at(run, TABLE_VA, VMMU_X86_READ);
    }
}

static void test_stores_to_tables_that_stood_still_are_trapped_and_followed(void **state)
{
    struct run run;

    (void)state;
    open_run(&run, VMMU_X86_PAGING_4LEVEL, (struct engine_shadow_options){ .tagged_roots = true });
    access_at(&run, VA, VMMU_X86_READ);
    switch_often(&run);
    const struct engine_shadow_result store = store_entry(&run, 2, VA, 0);

    EXPECT_EQ(store.cost.write_traps, 1);
    EXPECT_EQ(access_at(&run, VA, VMMU_X86_READ).answer, ENGINE_SHADOW_FAULT);
    close_run(&run);
}

static void test_stores_elsewhere_are_not(void **state)
{
    struct run run;
    const struct engine_shadow_store store = {
        .va = { VA & ~UINT64_C(7) }, .access = { .kind = VMMU_X86_WRITE }, .width_bytes = 8, .value = 0x600d
    };
    struct engine_shadow_result result;
    uint64_t value;

    (void)state;
    open_run(&run, VMMU_X86_PAGING_4LEVEL, (struct engine_shadow_options){ 0 });
    EXPECT(engine_shadow_store(run.shadow, &store, &result, &run.complaint));
    const struct vmmu_ram *ram = engine_memory_ram(run.guest.memory);

    EXPECT_EQ(result.answer, ENGINE_SHADOW_DONE);
    EXPECT_EQ(result.cost.write_traps, 0);
    EXPECT_EQ(ram->load(ram->context, GUEST_DATA + (VA % 4096 & ~UINT64_C(7)), 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x600d);
    close_run(&run);
}

static void test_a_switch_between_tables_that_stand_still_flushes_nothing_with_tagged_roots(void **state)
{
    struct run run;

    (void)state;
    open_run(&run, VMMU_X86_PAGING_4LEVEL, (struct engine_shadow_options){ .tagged_roots = true });
    access_at(&run, VA, VMMU_X86_READ);
    switch_often(&run);
    const unsigned flushes = run.flushes;
    const uint64_t exits = engine_shadow_total(run.shadow)->instruction_exits;

    EXPECT(engine_shadow_enter(run.shadow, &run.guest.mode, &run.complaint));
    EXPECT_EQ(run.flushes, flushes);
    EXPECT_EQ(engine_shadow_total(run.shadow)->instruction_exits, exits + 1);
    close_run(&run);
}

static void test_without_tagged_roots_another_root_flushes(void **state)
{
    struct run run;

    (void)state;
    open_run(&run, VMMU_X86_PAGING_4LEVEL, (struct engine_shadow_options){ 0 });
    const struct vmmu_x86_mode other = engine_guest_mode(&run.guest, 0x9000);
    const unsigned flushes = run.flushes;

    EXPECT(engine_shadow_enter(run.shadow, &other, &run.complaint));
    EXPECT(run.flushes > flushes);
    EXPECT_EQ(engine_shadow_hardware(run.shadow)->root.v, engine_shadow_root(run.shadow));
    close_run(&run);
}

static void test_invlpg_exits_while_tables_are_open_and_takes_what_changed(void **state)
{
    struct run run;

    (void)state;
    open_run(&run, VMMU_X86_PAGING_4LEVEL, (struct engine_shadow_options){ 0 });
    access_at(&run, VA, VMMU_X86_READ);
    engine_guest_map(&run.guest, VA, 1, 0);
    EXPECT_EQ(access_at(&run, VA, VMMU_X86_READ).answer, ENGINE_SHADOW_DONE);
    EXPECT(engine_shadow_invlpg(run.shadow, (vmmu_gva){ VA }, &run.complaint));
    EXPECT_EQ(engine_shadow_total(run.shadow)->instruction_exits, 1);
    EXPECT_EQ(access_at(&run, VA, VMMU_X86_READ).answer, ENGINE_SHADOW_FAULT);
    close_run(&run);
}

static void test_a_large_page_of_the_guests_is_one_of_ours_where_memory_allows(void **state)
{
    static const uint64_t pages[] = { [1] = 4096, [2] = VMMU_2M_BYTES, [3] = VMMU_2M_BYTES };

    (void)state;
    for (uint8_t largest = 1; largest <= 3; largest++) {
        struct run run;

        open_run(&run, VMMU_X86_PAGING_4LEVEL,
                 (struct engine_shadow_options){ .largest_piece_level = largest });
        engine_guest_map(&run.guest, OTHER_VA, 2, GUEST_DATA | GUEST_LARGE);
        EXPECT_EQ(access_at(&run, OTHER_VA, VMMU_X86_READ).walk.translation.page_bytes, pages[largest]);
        close_run(&run);
    }
}

static void test_tables_stay_within_the_pool(void **state)
{
    struct run run;

    (void)state;
    open_run(&run, VMMU_X86_PAGING_4LEVEL,
             (struct engine_shadow_options){ .pool_pages = VMMU_SHADOW_FLOOR_PAGES });
    for (uint64_t i = 0; i < 200; i++) {
        engine_guest_map(&run.guest, OTHER_VA + i * VMMU_2M_BYTES, 1, GUEST_DATA | GUEST_LEAF);
        EXPECT_EQ(access_at(&run, OTHER_VA + i * VMMU_2M_BYTES, VMMU_X86_READ).answer, ENGINE_SHADOW_DONE);
    }
    EXPECT(engine_shadow_counters(run.shadow)->peak_pages <= VMMU_SHADOW_FLOOR_PAGES);
    EXPECT(engine_shadow_counters(run.shadow)->evicted > 0);
    EXPECT(engine_shadow_total(run.shadow)->new_pages > VMMU_SHADOW_FLOOR_PAGES);
    close_run(&run);
}

static void test_what_cannot_be_is_refused_with_a_sentence(void **state)
{
    struct engine_guest guest;
    struct complaint complaint = { .text = "" };
    struct engine_shadow_result result;
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ };

    (void)state;
    engine_guest_open(&guest, VMMU_X86_PAGING_PAE);
    EXPECT(engine_shadow_open(guest.memory, &(struct engine_shadow_options){ .pool_pages = 5 }, &complaint) ==
           NULL);
    EXPECT(complaint.text[0] != '\0');
    struct engine_shadow *shadow =
        engine_shadow_open(guest.memory, &(struct engine_shadow_options){ 0 }, &complaint);

    EXPECT(!engine_shadow_access(shadow, (vmmu_gva){ VA }, access, &result, &complaint));
    /* A PDPTE with a reserved bit set cannot be loaded. */
    EXPECT(engine_memory_store(guest.memory, GUEST_ROOT, 8, GUEST_TABLES | 3));
    EXPECT(!engine_shadow_enter(shadow, &guest.mode, &complaint));
    engine_shadow_close(shadow);
    engine_guest_close(&guest);
}

static void test_the_view_shows_the_guests_entries_beside_ours(void **state)
{
    struct run run;
    struct vmmu_shadow_view view;

    (void)state;
    open_run(&run, VMMU_X86_PAGING_4LEVEL, (struct engine_shadow_options){ 0 });
    access_at(&run, VA, VMMU_X86_READ);
    EXPECT_EQ(engine_shadow_view(run.shadow, (vmmu_gva){ VA }, &view), VMMU_OK);
    EXPECT_EQ(view.rows, 4);
    EXPECT_EQ(view.row[3].guest.address, engine_guest_entry(&run.guest, VA, 1));
    EXPECT_EQ(view.shadow.address, ENGINE_GUEST_AT + GUEST_DATA + VA % 4096);
    close_run(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_access_exits_once_and_the_second_not_at_all),
        cmocka_unit_test(test_on_intel_pae_roots_are_held_in_registers),
        cmocka_unit_test(test_a_fault_of_the_guests_own_is_given_to_it),
        cmocka_unit_test(test_what_is_not_canonical_never_exits),
        cmocka_unit_test(test_with_silent_absence_the_guest_takes_faults_without_an_exit),
        cmocka_unit_test(test_where_no_memory_is_there_is_a_device),
        cmocka_unit_test(test_a_write_to_a_clean_page_marks_it_dirty),
        cmocka_unit_test(test_stores_to_tables_that_stood_still_are_trapped_and_followed),
        cmocka_unit_test(test_stores_elsewhere_are_not),
        cmocka_unit_test(test_a_switch_between_tables_that_stand_still_flushes_nothing_with_tagged_roots),
        cmocka_unit_test(test_without_tagged_roots_another_root_flushes),
        cmocka_unit_test(test_invlpg_exits_while_tables_are_open_and_takes_what_changed),
        cmocka_unit_test(test_a_large_page_of_the_guests_is_one_of_ours_where_memory_allows),
        cmocka_unit_test(test_tables_stay_within_the_pool),
        cmocka_unit_test(test_what_cannot_be_is_refused_with_a_sentence),
        cmocka_unit_test(test_the_view_shows_the_guests_entries_beside_ours),
    };

    return RUN_TESTS(tests);
}
