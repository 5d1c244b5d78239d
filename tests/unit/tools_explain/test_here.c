/*
 * What the shadow tables of a dump foretell: here a hypervisor's memory is made by hand, where host-physical addresses are the
 * guest's own. The hypervisor itself is asked by tests/tool_explain.
 */
#include "tests/unit/test.h"
#include "tests/unit/tools_explain/told.h"

#define STORE       "mov [0x12345678], eax"
#define SHADOW(n)   (UINT64_C(0x7000000) + UINT64_C(0x1000) * (n))
#define TABLES_MOST 8

/* Beyond 40 bits of address: what VT-x' tables hold where nothing was made yet, so that the fault exits. */
#define LOUD        UINT64_C(0x0008000000000001)

struct dump {
    struct told told;
    struct image image;
    struct partition partition;
    struct partition_piece piece;
    struct partition_table tables[TABLES_MOST];
    struct partition_vp vp;
};

static void dump_open(struct dump *dump, enum vmmu_x86_paging paging)
{
    *dump = (struct dump){
        .piece = { .size_bytes = GUEST_BYTES, .rights = VMMU_X86_RIGHTS_ALL },
        .vp = { .has_shadow = true,
                .shadow_cr3 = SHADOW(0),
                .shadow_format =
                    paging == VMMU_X86_PAGING_4LEVEL ? VMMU_X86_FORMAT_4LEVEL : VMMU_X86_FORMAT_PAE },
    };
    told_open(&dump->told, paging);
    dump->image.ram = *engine_memory_ram(dump->told.guest.memory);
    dump->partition = (struct partition){ .image = &dump->image,
                                          .technique = PARTITION_SHADOW,
                                          .pieces = &dump->piece,
                                          .piece_count = 1,
                                          .tables = dump->tables };
    dump->told.machine.partition = &dump->partition;
    dump->told.machine.vp = &dump->vp;
}

static void put(struct dump *dump, uint64_t hpa, uint64_t entry)
{
    EXPECT(engine_memory_store(dump->told.guest.memory, hpa, 8, entry));
}

/* Our entries for @va down to @last: the table of level N at SHADOW(4 - N) by index, the leaf to where the guest's leads. */
static void put_path(struct dump *dump, uint64_t va, unsigned last, uint64_t leaf)
{
    for (unsigned level = 4; level >= last; level--) {
        const uint64_t index = (va >> (12 + 9 * (level - 1))) & 511;

        put(dump, SHADOW(4 - level) + index * 8, level == 1 ? leaf : SHADOW(5 - level) | GUEST_LINK);
    }
}

static void add_table(struct dump *dump, uint64_t gpa, unsigned level, bool closed)
{
    dump->tables[dump->partition.table_count++] = (struct partition_table){
        .hpa = SHADOW(100 + level), .gpa = gpa, .level = (uint8_t)level, .closed = closed
    };
}

/* The tables that stand behind TOLD_VA, from level @from down to @to. */
static void add_tables(struct dump *dump, unsigned from, unsigned to, bool closed)
{
    for (unsigned level = from; level >= to; level--) {
        add_table(dump, engine_guest_entry(&dump->told.guest, TOLD_VA, level) & ~UINT64_C(4095), level,
                  closed);
    }
}

static struct story_here here_of(struct dump *dump, const char *code)
{
    struct story *story = told_story(&dump->told, code, false);
    const struct story_here here = story->here;

    EXPECT(here.there);
    story_free(story);
    return here;
}

static void dump_close(struct dump *dump)
{
    told_close(&dump->told);
}

static void test_an_empty_root_is_filled_down_to_the_leaf(void **state)
{
    struct dump dump;

    (void)state;
    dump_open(&dump, VMMU_X86_PAGING_4LEVEL);
    const struct story_here here = here_of(&dump, STORE);

    EXPECT_EQ(here.total.exits, 1);
    EXPECT_EQ(here.total.fills, 1);
    EXPECT_EQ(here.total.new_pages, 3);
    EXPECT_EQ(here.pieces[0].entries, 0);
    EXPECT_EQ(here.pieces[0].levels, 4);
    dump_close(&dump);
}

static void test_tables_that_have_a_shadow_are_joined(void **state)
{
    struct dump dump;

    (void)state;
    dump_open(&dump, VMMU_X86_PAGING_4LEVEL);
    add_tables(&dump, 3, 2, false);
    EXPECT_EQ(here_of(&dump, STORE).total.new_pages, 1);
    dump_close(&dump);
}

static void test_what_is_filled_costs_nothing(void **state)
{
    struct dump dump;

    (void)state;
    dump_open(&dump, VMMU_X86_PAGING_4LEVEL);
    put_path(&dump, TOLD_VA, 1, GUEST_DATA | GUEST_LEAF);
    const struct story_here here = here_of(&dump, STORE);

    EXPECT(here.pieces[0].filled);
    EXPECT_EQ(here.total.exits, 0);
    EXPECT_EQ(here.total.loads, 4);
    dump_close(&dump);
}

static void test_a_leaf_that_may_not_be_written_yet_is_filled_anew(void **state)
{
    struct dump dump;

    (void)state;
    dump_open(&dump, VMMU_X86_PAGING_4LEVEL);
    put_path(&dump, TOLD_VA, 1, GUEST_DATA | (GUEST_LEAF & ~UINT64_C(2)));
    const struct story_here here = here_of(&dump, STORE);

    EXPECT_EQ(here.total.exits, 1);
    EXPECT_EQ(here.total.fills, 1);
    EXPECT_EQ(here.total.new_pages, 0);
    dump_close(&dump);
}

static void test_two_pages_of_one_table_make_it_once(void **state)
{
    struct dump dump;

    (void)state;
    dump_open(&dump, VMMU_X86_PAGING_4LEVEL);
    engine_guest_map(&dump.told.guest, TOLD_VA + 4096, 1, GUEST_DATA | GUEST_LEAF);
    const struct story_here here = here_of(&dump, "mov [0x12345ffe], eax");

    EXPECT_EQ(here.total.exits, 2);
    EXPECT_EQ(here.total.fills, 2);
    EXPECT_EQ(here.total.new_pages, 3);
    dump_close(&dump);
}

static void test_a_store_to_a_protected_table_is_emulated_or_opens_it(void **state)
{
    struct dump dump;

    (void)state;
    dump_open(&dump, VMMU_X86_PAGING_4LEVEL);
    add_table(&dump, GUEST_DATA, 2, true);
    const struct story_here emulated = here_of(&dump, STORE);

    EXPECT_EQ(emulated.total.end, STORY_EMULATED);
    EXPECT_EQ(emulated.total.write_traps, 1);
    EXPECT_EQ(emulated.total.fills, 0);
    dump.tables[0].level = 1;
    const struct story_here opened = here_of(&dump, STORE);

    EXPECT_EQ(opened.total.end, STORY_GOES_ON);
    EXPECT_EQ(opened.total.write_traps, 1);
    EXPECT_EQ(opened.total.opened, 1);
    EXPECT_EQ(opened.total.fills, 1);
    dump.tables[0].closed = false;
    EXPECT_EQ(here_of(&dump, STORE).total.write_traps, 0);
    dump_close(&dump);
}

/* Faults of what an entry says is absent do not exit on VT-x: the store that makes it present has to. */
static void test_on_intel_a_store_over_a_silent_entry_is_emulated(void **state)
{
    struct dump dump;

    (void)state;
    dump_open(&dump, VMMU_X86_PAGING_4LEVEL);
    dump.partition.intel = true;
    put(&dump, SHADOW(0), LOUD);
    add_table(&dump, GUEST_DATA, 1, true);
    put_path(&dump, TOLD_VA, 1, LOUD);
    EXPECT_EQ(here_of(&dump, STORE).total.end, STORY_EMULATED);
    put(&dump, SHADOW(101) + 0x678, LOUD);
    EXPECT_EQ(here_of(&dump, STORE).total.opened, 1);
    dump_close(&dump);
}

static void test_the_guests_own_fault_exits_unless_it_is_silent(void **state)
{
    struct dump dump;

    (void)state;
    dump_open(&dump, VMMU_X86_PAGING_4LEVEL);
    engine_guest_map(&dump.told.guest, TOLD_VA, 1, 0);
    EXPECT_EQ(here_of(&dump, STORE).total.exits, 1);
    EXPECT_EQ(here_of(&dump, STORE).total.reflected, 1);
    dump.partition.intel = true;
    EXPECT_EQ(here_of(&dump, STORE).total.exits, 0);
    EXPECT_EQ(here_of(&dump, STORE).total.end, STORY_FAULT);
    put_path(&dump, TOLD_VA, 1, LOUD);
    EXPECT_EQ(here_of(&dump, STORE).total.exits, 1);
    dump_close(&dump);
}

static void test_outside_memory_there_is_a_device(void **state)
{
    struct dump dump;

    (void)state;
    dump_open(&dump, VMMU_X86_PAGING_4LEVEL);
    dump.piece.size_bytes = GUEST_DATA;
    EXPECT_EQ(here_of(&dump, STORE).total.end, STORY_DEVICE);
    EXPECT_EQ(here_of(&dump, STORE).total.fills, 0);
    dump_close(&dump);
}

static void test_a_large_page_is_pieced_together_where_memory_is_not_contiguous(void **state)
{
    struct dump dump;

    (void)state;
    dump_open(&dump, VMMU_X86_PAGING_4LEVEL);
    engine_guest_map(&dump.told.guest, TOLD_VA, 2, GUEST_DATA | GUEST_LARGE);
    EXPECT_EQ(here_of(&dump, STORE).total.new_pages, 2);
    dump.piece.hpa = 0x1000; /* not aligned to 2 MiB */
    EXPECT_EQ(here_of(&dump, STORE).total.new_pages, 3);
    dump.piece.hpa = 0;
    add_table(&dump, GUEST_DATA + 0x5000, 1, true); /* a protected table within */
    EXPECT_EQ(here_of(&dump, STORE).total.new_pages, 3);
    dump_close(&dump);
}

/* Emulators mark PDPTEs accessed, by a bit that is reserved there. */
static void test_pae_roots_are_read_as_hardware_holds_them(void **state)
{
    struct dump dump;

    (void)state;
    dump_open(&dump, VMMU_X86_PAGING_PAE);
    put(&dump, SHADOW(0), SHADOW(1) | 0x21);
    put(&dump, SHADOW(1) + (TOLD_VA >> 21) * 8, SHADOW(2) | GUEST_LINK);
    put(&dump, SHADOW(2) + (TOLD_VA >> 12 & 511) * 8, GUEST_DATA | GUEST_LEAF);
    EXPECT(here_of(&dump, STORE).pieces[0].filled);
    dump_close(&dump);
}

static void test_a_root_that_no_processor_takes_is_said(void **state)
{
    struct dump dump;

    (void)state;
    dump_open(&dump, VMMU_X86_PAGING_4LEVEL);
    dump.vp.shadow_cr3 = UINT64_MAX;
    struct story *story = told_story(&dump.told, STORE, false);

    EXPECT(!story->here.there);
    EXPECT(story->here.why_not.text[0] != '\0');
    story_free(story);
    dump_close(&dump);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_root_is_filled_down_to_the_leaf),
        cmocka_unit_test(test_tables_that_have_a_shadow_are_joined),
        cmocka_unit_test(test_what_is_filled_costs_nothing),
        cmocka_unit_test(test_a_leaf_that_may_not_be_written_yet_is_filled_anew),
        cmocka_unit_test(test_two_pages_of_one_table_make_it_once),
        cmocka_unit_test(test_a_store_to_a_protected_table_is_emulated_or_opens_it),
        cmocka_unit_test(test_on_intel_a_store_over_a_silent_entry_is_emulated),
        cmocka_unit_test(test_the_guests_own_fault_exits_unless_it_is_silent),
        cmocka_unit_test(test_outside_memory_there_is_a_device),
        cmocka_unit_test(test_a_large_page_is_pieced_together_where_memory_is_not_contiguous),
        cmocka_unit_test(test_pae_roots_are_read_as_hardware_holds_them),
        cmocka_unit_test(test_a_root_that_no_processor_takes_is_said),
    };

    return RUN_TESTS(tests);
}
