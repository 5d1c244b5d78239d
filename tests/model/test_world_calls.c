/*
 * Hypercalls in the world: what a flush promises, to whom and of what; how its lists go on; and what a switch of address
 * spaces leaves alone.
 *
 * VP 1 has paging, by directories of pages of 4 MiB. VP 0, without, edits them and makes the calls.
 */
#include "tests/model/machine/world_internal.h"
#include "tests/model/world_rig.h"
#include "tests/unit/test.h"

#define ENTRY     UINT64_C(0x67) /* present, writable, user, accessed, dirty */
#define GLOBAL    BIT64(8)
#define LARGE     BIT64(7)
#define FOUR_MIB  UINT64_C(0x400000)
#define ADDRESS   UINT64_C(0x5000)

#define VP_1      UINT64_C(2)
#define EVERYBODY UINT8_C(1) /* flags of the input */
#define SPACES    UINT8_C(2)
#define NO_GLOBAL UINT8_C(4)
#define RESERVED  UINT8_C(0x10)

enum { NPT, EPT, SHADOW, ENGINES };

static struct setting setting_of(unsigned engine)
{
    struct setting setting = rig_setting((uint8_t)engine, engine == EPT);

    setting.calls = true;
    setting.pcid = false;
    setting.tags = 8;
    return setting;
}

static void write_directory(struct world_rig *rig, unsigned n, unsigned index, uint64_t gpa, uint64_t flags)
{
    EXPECT(rig_do(rig, (struct op){ .kind = OP_WRITE,
                                    .address = RIG_DIRECTORY(n) + (uint64_t)index * 4,
                                    .value = gpa | LARGE | flags,
                                    .width = 4 }));
}

/* VP 1 has linear 0 and the 4 MiB behind, by directory 0, and has cached what translates both. */
static void start(struct world_rig *rig, unsigned engine, uint64_t flags)
{
    const struct setting setting = setting_of(engine);

    rig_start(rig, &setting, RIG_ALL_CHECKS);
    EXPECT(rig_do(rig, (struct op){ .kind = OP_CR0, .value = VMMU_X86_CR0_PE | VMMU_X86_CR0_ET }));
    rig_page(rig, 1, 0, 0, ENTRY | flags);
    write_directory(rig, 0, 1, 0, ENTRY | flags);
    EXPECT(rig_do(rig, (struct op){ .kind = OP_CR4, .vp = 1, .value = VMMU_X86_CR4_PSE | VMMU_X86_CR4_PGE }));
    EXPECT(rig_read(rig, 1, ADDRESS));
    EXPECT(rig_read(rig, 1, FOUR_MIB + ADDRESS));
}

/* Both lead elsewhere from now on. */
static void edit(struct world_rig *rig, uint64_t flags)
{
    write_directory(rig, 0, 0, FOUR_MIB, ENTRY | flags);
    write_directory(rig, 0, 1, FOUR_MIB, ENTRY | flags);
}

/* How many results a read by VP 1 may have. */
static unsigned permitted(struct world_rig *rig, uint64_t address)
{
    const struct reference_access access = { .vp = 1,
                                             .address = address,
                                             .access = { .kind = VMMU_X86_READ } };
    struct reference_result results[REFERENCE_RESULTS];

    return reference_permitted(world_reference(rig->world), &access, results);
}

static void flush(struct world_rig *rig, uint64_t vps, uint64_t space, uint8_t flags, uint8_t form)
{
    EXPECT(rig_do(
        rig, (struct op){ .kind = OP_FLUSH, .address = vps, .value = space, .flags = flags, .width = form }));
}

static void add(struct world_rig *rig, uint64_t range, uint8_t dull)
{
    EXPECT(rig_do(rig, (struct op){ .kind = OP_ELEMENT, .address = range, .width = dull }));
}

static uint64_t goes(const struct world_rig *rig)
{
    return world_counters(rig->world)->goes;
}

/* VP 1 looks, and nothing is wrong. */
static void finish(struct world_rig *rig)
{
    struct finding finding;

    EXPECT(rig_read(rig, 1, ADDRESS));
    EXPECT(rig_read(rig, 1, FOUR_MIB + ADDRESS));
    finding = rig_finish(rig);
    rig_expect_none(&finding);
}

/* --- whose translations go --- */

static void test_after_a_flush_of_its_space_a_processor_sees_the_new_table_alone(void **state)
{
    static const uint8_t forms[] = { 0, OP_FLUSH_EX, OP_FLUSH_EX | OP_FLUSH_SET_ALL };

    (void)state;
    for (unsigned engine = 0; engine < ENGINES; engine++) {
        for (unsigned i = 0; i < sizeof forms; i++) {
            struct world_rig rig;

            start(&rig, engine, 0);
            edit(&rig, 0);
            EXPECT_EQ(permitted(&rig, ADDRESS), 2);
            flush(&rig, VP_1, RIG_DIRECTORY(0) | 0x18, 0, forms[i]);
            EXPECT_EQ(permitted(&rig, ADDRESS), 1);
            finish(&rig);
        }
    }
}

/* After a flush like this one, how many results are permitted. */
static void expect_after(uint64_t vps, uint64_t space, uint8_t flags, uint8_t form, unsigned results)
{
    for (unsigned engine = 0; engine < ENGINES; engine++) {
        struct world_rig rig;

        start(&rig, engine, 0);
        edit(&rig, 0);
        flush(&rig, vps, space, flags, form);
        EXPECT_EQ(permitted(&rig, ADDRESS), results);
        finish(&rig);
    }
}

static void test_a_flush_of_another_space_or_processor_promises_nothing(void **state)
{
    (void)state;
    expect_after(VP_1, RIG_DIRECTORY(1), 0, 0, 2);
    expect_after(1, RIG_DIRECTORY(0), SPACES, 0, 2);
    expect_after(VP_1, RIG_DIRECTORY(0), 0, OP_FLUSH_EX | OP_FLUSH_NO_BANK, 2);
}

static void test_all_processors_and_all_spaces_are_all(void **state)
{
    (void)state;
    expect_after(1, RIG_DIRECTORY(0), EVERYBODY, 0, 1);
    expect_after(VP_1, RIG_DIRECTORY(1), SPACES, 0, 1);
    expect_after(1, RIG_DIRECTORY(0), EVERYBODY | SPACES, OP_FLUSH_EX | OP_FLUSH_NO_BANK, 1);
}

static void test_an_error_flushes_nobody(void **state)
{
    (void)state;
    expect_after(VP_1, RIG_DIRECTORY(0), RESERVED, 0, 2);
    expect_after(VP_1, RIG_DIRECTORY(0), NO_GLOBAL, OP_FLUSH_LIST, 2);
    expect_after(VP_1, RIG_DIRECTORY(0), 0, OP_FLUSH_LIST, 2); /* which is empty */
}

static void test_an_empty_set_is_an_error_or_everybody_as_the_policy_says(void **state)
{
    (void)state;
    for (unsigned strict = 0; strict < 2; strict++) {
        struct setting setting = setting_of(NPT);
        struct world_rig rig;
        struct finding finding;
        bool made;

        setting.no_empty_set = strict;
        rig_start(&rig, &setting, RIG_ALL_CHECKS);
        EXPECT(rig_do(&rig, (struct op){ .kind = OP_CR0, .value = VMMU_X86_CR0_PE | VMMU_X86_CR0_ET }));
        made = false;
        for (unsigned turn = 0; turn < 16; turn++) {
            flush(&rig, 0, 0, 0, 0); /* now and then with a number that nobody has: not empty, and nobody */
            made = made || goes(&rig) != 0;
        }
        EXPECT(made == !strict);
        finding = rig_finish(&rig);
        rig_expect_none(&finding);
    }
}

/* --- which translations go --- */

static void test_global_translations_go_unless_the_flush_is_of_others_only(void **state)
{
    (void)state;
    for (unsigned engine = 0; engine < ENGINES; engine++) {
        struct world_rig rig;

        start(&rig, engine, GLOBAL);
        edit(&rig, GLOBAL);
        flush(&rig, VP_1, RIG_DIRECTORY(0), NO_GLOBAL, 0);
        EXPECT_EQ(permitted(&rig, ADDRESS), 2);
        flush(&rig, VP_1, RIG_DIRECTORY(0), 0, 0);
        EXPECT_EQ(permitted(&rig, ADDRESS), 1);
        finish(&rig);
    }
}

static void test_a_list_takes_all_of_a_large_page_that_it_touches_and_nothing_else(void **state)
{
    (void)state;
    for (unsigned engine = 0; engine < ENGINES; engine++) {
        struct world_rig rig;

        start(&rig, engine, 0);
        edit(&rig, 0);
        add(&rig, FOUR_MIB - VMMU_PAGE_BYTES, 0);
        flush(&rig, VP_1, RIG_DIRECTORY(0), 0, OP_FLUSH_LIST);
        EXPECT_EQ(permitted(&rig, ADDRESS), 1);
        EXPECT_EQ(permitted(&rig, FOUR_MIB + ADDRESS), 2);
        finish(&rig);
    }
}

static void test_a_range_takes_in_its_additional_pages(void **state)
{
    (void)state;
    for (unsigned engine = 0; engine < ENGINES; engine++) {
        struct world_rig rig;

        start(&rig, engine, 0);
        edit(&rig, 0);
        EXPECT_EQ(permitted(&rig, FOUR_MIB + ADDRESS), 2);
        add(&rig, (FOUR_MIB - VMMU_PAGE_BYTES) | 1, 0);
        flush(&rig, VP_1, 0, SPACES, OP_FLUSH_LIST | OP_FLUSH_EX);
        EXPECT_EQ(permitted(&rig, ADDRESS), 1);
        EXPECT_EQ(permitted(&rig, FOUR_MIB + ADDRESS), 1);
        finish(&rig);
    }
}

static void test_a_long_list_is_done_in_goes(void **state)
{
    (void)state;
    for (unsigned engine = 0; engine < ENGINES; engine++) {
        struct world_rig rig;

        start(&rig, engine, 0);
        edit(&rig, 0);
        add(&rig, ADDRESS, 200);
        add(&rig, FOUR_MIB, 200);
        flush(&rig, VP_1, RIG_DIRECTORY(0), 0, OP_FLUSH_LIST | OP_FLUSH_EX);
        EXPECT(goes(&rig) > 2);
        EXPECT_EQ(permitted(&rig, ADDRESS), 1);
        EXPECT_EQ(permitted(&rig, FOUR_MIB + ADDRESS), 1);
        finish(&rig);
    }
}

/* --- switches --- */

static void switch_to(struct world_rig *rig, unsigned n)
{
    EXPECT(rig_do(rig, (struct op){ .kind = OP_SWITCH, .vp = 1, .value = RIG_DIRECTORY(n) }));
}

static uint64_t removed(struct world_rig *rig)
{
    return processor_statistics(world_processor(rig->world, 1)->machine)->removed;
}

static void test_a_switch_by_hypercall_flushes_nothing_and_keeps_spaces_apart(void **state)
{
    (void)state;
    for (unsigned engine = 0; engine < SHADOW; engine++) {
        struct world_rig rig;
        uint64_t before;

        start(&rig, engine, 0);
        write_directory(&rig, 1, 0, FOUR_MIB, ENTRY);
        before = removed(&rig);
        switch_to(&rig, 1);
        EXPECT_EQ(permitted(&rig, ADDRESS), 1);
        EXPECT(rig_read(&rig, 1, ADDRESS));
        switch_to(&rig, 0);
        EXPECT_EQ(removed(&rig), before);
        switch_to(&rig, 1);
        edit(&rig, 0);
        switch_to(&rig, 0);
        EXPECT_EQ(permitted(&rig, ADDRESS), 2);
        EXPECT_EQ(removed(&rig), before);
        finish(&rig);
    }
}

static void test_a_move_to_cr3_reaches_the_spaces_that_were_switched_from(void **state)
{
    (void)state;
    for (unsigned engine = 0; engine < ENGINES; engine++) {
        struct world_rig rig;

        start(&rig, engine, 0);
        write_directory(&rig, 1, 0, FOUR_MIB, ENTRY);
        switch_to(&rig, 1);
        edit(&rig, 0);
        EXPECT(rig_do(&rig, (struct op){ .kind = OP_CR3, .vp = 1, .value = RIG_DIRECTORY(1) }));
        switch_to(&rig, 0);
        EXPECT_EQ(permitted(&rig, ADDRESS), 1);
        finish(&rig);
    }
}

static void test_a_switch_to_what_is_no_root_changes_nothing(void **state)
{
    struct world_rig rig;
    struct finding finding;

    (void)state;
    start(&rig, EPT, 0);
    EXPECT(rig_do(&rig, (struct op){ .kind = OP_SWITCH, .vp = 1, .value = BIT64(52) }));
    EXPECT_EQ(reference_registers(world_reference(rig.world), 1)->cr3, RIG_DIRECTORY(0));
    finding = rig_finish(&rig);
    rig_expect_none(&finding);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_a_flush_of_its_space_a_processor_sees_the_new_table_alone),
        cmocka_unit_test(test_a_flush_of_another_space_or_processor_promises_nothing),
        cmocka_unit_test(test_all_processors_and_all_spaces_are_all),
        cmocka_unit_test(test_an_error_flushes_nobody),
        cmocka_unit_test(test_an_empty_set_is_an_error_or_everybody_as_the_policy_says),
        cmocka_unit_test(test_global_translations_go_unless_the_flush_is_of_others_only),
        cmocka_unit_test(test_a_list_takes_all_of_a_large_page_that_it_touches_and_nothing_else),
        cmocka_unit_test(test_a_range_takes_in_its_additional_pages),
        cmocka_unit_test(test_a_long_list_is_done_in_goes),
        cmocka_unit_test(test_a_switch_by_hypercall_flushes_nothing_and_keeps_spaces_apart),
        cmocka_unit_test(test_a_move_to_cr3_reaches_the_spaces_that_were_switched_from),
        cmocka_unit_test(test_a_switch_to_what_is_no_root_changes_nothing),
    };

    return RUN_TESTS(tests);
}
