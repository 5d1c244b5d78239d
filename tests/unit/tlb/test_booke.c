/*
 * The tags and sizes of Book E, as a configuration: TLB0 with 512 entries of 4 KiB, four ways; TLB1 with 16 entries of any
 * larger size. The space is LPID and AS, the context PID; TID = 0 is global.
 */
#include "tests/unit/test.h"
#include "tests/unit/tlb/tlbs.h"

#define SPACE_0 0
#define SPACE_1 1 /* AS = 1 */

/* 16 KiB to 4 GiB, by powers of four. */
#define TLB1_SIZES                                                                                           \
    (BIT64(14) | BIT64(16) | BIT64(18) | BIT64(20) | BIT64(22) | BIT64(24) | BIT64(26) | BIT64(28) |         \
     BIT64(30) | BIT64(32))

#define IPROT UINT64_C(1) /* in `data`: the caller's own */

static struct vmmu_tlb *e500(void)
{
    const struct vmmu_tlb_config config = {
        .arrays = 2,
        .array = { { .sets = 128,
                     .ways = 4,
                     .kinds = VMMU_TLB_LINEAR,
                     .translations = true,
                     .page_shifts = BIT64(12),
                     .replacement = VMMU_TLB_ROUND_ROBIN },
                   { .sets = 1,
                     .ways = 16,
                     .kinds = VMMU_TLB_LINEAR,
                     .translations = true,
                     .page_shifts = TLB1_SIZES,
                     .replacement = VMMU_TLB_ROUND_ROBIN } },
    };

    return make_tlb(&config);
}

/* As tlbwe would: @tid 0 is every process's. */
static void write_entry(struct vmmu_tlb *tlb, struct vmmu_tlb_entry entry, uint16_t space, uint16_t tid)
{
    entry.tag.space = space;
    entry.tag.context = tid;
    entry.global = tid == 0;
    EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_OK);
}

static uint64_t look_up(struct vmmu_tlb *tlb, uint64_t address, uint16_t space, uint16_t pid)
{
    const struct vmmu_tlb_query query = { .address = address,
                                          .tag = { .space = space, .context = pid },
                                          .kind = VMMU_TLB_LINEAR };
    const struct vmmu_tlb_entry *const entry = vmmu_tlb_lookup(tlb, &query);

    return entry != NULL ? entry->frame : 0;
}

/* The processor compares TID with PID0, PID1 and PID2: three lookups, of which one may hit. */
static uint64_t look_up_pids(struct vmmu_tlb *tlb, uint64_t address, const uint16_t pids[3])
{
    for (unsigned i = 0; i < 3; i++) {
        const uint64_t frame = look_up(tlb, address, SPACE_0, pids[i]);

        if (frame != 0) {
            return frame;
        }
    }
    return 0;
}

static void test_every_page_size_from_4_kib_to_4_gib_is_found_to_its_last_byte(void **state)
{
    struct vmmu_tlb *const tlb = e500();

    (void)state;
    for (uint8_t shift = 12; shift <= 32; shift = (uint8_t)(shift + 2)) {
        write_entry(tlb, translation(3, shift, shift), SPACE_0, 5);
    }
    for (uint8_t shift = 12; shift <= 32; shift = (uint8_t)(shift + 2)) {
        EXPECT_EQ(look_up(tlb, UINT64_C(3) << shift, SPACE_0, 5), shift);
        EXPECT_EQ(look_up(tlb, (UINT64_C(4) << shift) - 1, SPACE_0, 5), shift);
    }
    EXPECT_EQ(look_up(tlb, UINT64_C(4) << 32, SPACE_0, 5), 0);
    EXPECT_EQ(tlb->statistics.evicted, 0);
    EXPECT_EQ(tlb->statistics.hits[0], 2);
    EXPECT_EQ(tlb->statistics.hits[1], 20);
    drop_tlb(tlb);
}

static void test_sizes_that_are_no_power_of_four_are_not_held(void **state)
{
    struct vmmu_tlb *const tlb = e500();

    (void)state;
    for (uint8_t shift = 13; shift <= 31; shift = (uint8_t)(shift + 2)) {
        const struct vmmu_tlb_entry entry = translation(1, shift, 1);

        EXPECT_EQ(vmmu_tlb_insert(tlb, &entry), VMMU_UNSUPPORTED);
    }
    drop_tlb(tlb);
}

static void test_tid_0_matches_every_pid_of_its_address_space(void **state)
{
    struct vmmu_tlb *const tlb = e500();

    (void)state;
    write_entry(tlb, translation(1, 28, 9), SPACE_0, 0);
    EXPECT_EQ(look_up(tlb, UINT64_C(1) << 28, SPACE_0, 0), 9);
    EXPECT_EQ(look_up(tlb, UINT64_C(1) << 28, SPACE_0, 255), 9);
    EXPECT_EQ(look_up(tlb, UINT64_C(1) << 28, SPACE_1, 255), 0);
    drop_tlb(tlb);
}

static void test_an_entry_matches_any_of_the_three_pid_registers(void **state)
{
    static const uint16_t pids[3] = { 7, 8, 9 };
    struct vmmu_tlb *const tlb = e500();

    (void)state;
    for (uint16_t tid = 6; tid <= 10; tid++) {
        write_entry(tlb, translation(tid, 12, tid), SPACE_0, tid);
    }
    EXPECT_EQ(look_up_pids(tlb, 6 << 12, pids), 0);
    EXPECT_EQ(look_up_pids(tlb, 7 << 12, pids), 7);
    EXPECT_EQ(look_up_pids(tlb, 8 << 12, pids), 8);
    EXPECT_EQ(look_up_pids(tlb, 9 << 12, pids), 9);
    EXPECT_EQ(look_up_pids(tlb, 10 << 12, pids), 0);
    drop_tlb(tlb);
}

static void test_tlb0_holds_four_pages_whose_numbers_agree_in_seven_bits(void **state)
{
    struct vmmu_tlb *const tlb = e500();

    (void)state;
    for (uint64_t i = 0; i < 5; i++) {
        write_entry(tlb, translation(9 + 128 * i, 12, i + 1), SPACE_0, 1);
    }
    EXPECT_EQ(tlb->statistics.evicted, 1);
    EXPECT_EQ(look_up(tlb, 9 << 12, SPACE_0, 1), 0);
    EXPECT_EQ(look_up(tlb, (9 + 128) << 12, SPACE_0, 1), 2);
    drop_tlb(tlb);
}

/* tlbivax by effective address: any PID and address space, unless the entry is protected. */
static bool is_named_by_tlbivax(void *context, const struct vmmu_tlb_entry *entry)
{
    const uint64_t address = *(uint64_t *)context;

    return (entry->data & IPROT) == 0 && address >> entry->page_shift == entry->base >> entry->page_shift;
}

static void test_tlbivax_spares_protected_entries_and_no_pid(void **state)
{
    struct vmmu_tlb *const tlb = e500();
    struct vmmu_tlb_entry protected = translation(0, 24, 3);
    uint64_t address = 0x1000;

    (void)state;
    protected.data = IPROT;
    write_entry(tlb, translation(1, 12, 1), SPACE_0, 1);
    write_entry(tlb, translation(1, 12, 2), SPACE_1, 2);
    write_entry(tlb, protected, SPACE_0, 0);
    write_entry(tlb, translation(2, 12, 4), SPACE_0, 1);
    EXPECT_EQ(vmmu_tlb_remove_if(tlb, is_named_by_tlbivax, &address), 2);
    EXPECT_EQ(look_up(tlb, 0x1000, SPACE_0, 1), 3);
    EXPECT_EQ(look_up(tlb, 0x1000, SPACE_1, 2), 0);
    EXPECT_EQ(look_up(tlb, 0x2000, SPACE_0, 1), 4);
    drop_tlb(tlb);
}

static void test_tlbilx_by_pid_is_a_scope(void **state)
{
    const struct vmmu_tlb_scope of_pid_2 = { .kinds = VMMU_TLB_LINEAR,
                                             .translations = true,
                                             .by = VMMU_TLB_BY_CONTEXT,
                                             .tag = { .context = 2 },
                                             .globals = VMMU_TLB_GLOBALS_BY_CONTEXT };
    struct vmmu_tlb *const tlb = e500();

    (void)state;
    write_entry(tlb, translation(1, 12, 1), SPACE_0, 1);
    write_entry(tlb, translation(2, 12, 2), SPACE_0, 2);
    write_entry(tlb, translation(3, 12, 3), SPACE_1, 2);
    write_entry(tlb, translation(4, 12, 4), SPACE_0, 0);
    EXPECT_EQ(invalidate(tlb, of_pid_2), 2);
    EXPECT_EQ(look_up(tlb, 0x1000, SPACE_0, 1), 1);
    EXPECT_EQ(look_up(tlb, 0x4000, SPACE_0, 2), 4);
    drop_tlb(tlb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_page_size_from_4_kib_to_4_gib_is_found_to_its_last_byte),
        cmocka_unit_test(test_sizes_that_are_no_power_of_four_are_not_held),
        cmocka_unit_test(test_tid_0_matches_every_pid_of_its_address_space),
        cmocka_unit_test(test_an_entry_matches_any_of_the_three_pid_registers),
        cmocka_unit_test(test_tlb0_holds_four_pages_whose_numbers_agree_in_seven_bits),
        cmocka_unit_test(test_tlbivax_spares_protected_entries_and_no_pid),
        cmocka_unit_test(test_tlbilx_by_pid_is_a_scope),
    };

    return RUN_TESTS(tests);
}
