/*
 * The world at work: what guests, the host and the processors do to each other ends as the architecture says,
 * and the world finds nothing where nothing is wrong.
 *
 * Each sentence is tried under many lucks, for that decides what the processors keep and what the host puts off.
 */
#include "tests/model/machine/host_map.h"
#include "tests/model/world_rig.h"
#include "tests/unit/test.h"

#define RIGHTS_ALL VMMU_X86_RIGHTS_ALL
#define READ_ONLY  VMMU_X86_RIGHT_READ
#define ENTRY      UINT64_C(0x67) /* present, writable, user, accessed, dirty */
#define TURNS      60U

/* Both formats, tags in plenty, scarce, and none. */
static const struct {
    uint8_t engine;
    bool intel;
    bool tagged;
    uint8_t tags;
    uint8_t processors;
} kinds[] = {
    { 0, false, true, 4, 2 }, { 0, false, true, 1, 1 }, { 1, true, true, 4, 2 },
    { 1, true, true, 1, 1 },  { 1, true, false, 1, 1 },
};

#define KINDS (sizeof kinds / sizeof kinds[0])

static struct setting setting_of(unsigned kind, uint64_t seed)
{
    struct setting setting = rig_setting(kinds[kind].engine, kinds[kind].intel);

    setting.tagged = kinds[kind].tagged;
    setting.tags = kinds[kind].tags;
    setting.processors = kinds[kind].processors;
    setting.seed = seed;
    return setting;
}

/* Run a script in worlds of every kind, with seeds that flush and deal tags in every way; nothing may be found. */
static void in_every_world(void (*script)(struct world_rig *rig))
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (uint64_t seed = 1; seed <= 6; seed++) {
            const struct setting setting = setting_of(kind, seed);
            struct world_rig rig;
            struct finding finding;

            rig_start(&rig, &setting, RIG_ALL_CHECKS);
            script(&rig);
            finding = rig_finish(&rig);
            rig_expect_none(&finding);
        }
    }
}

static struct world_counters counters(const struct world_rig *rig)
{
    return *world_counters(rig->world);
}

static uint64_t word(struct world_rig *rig, uint64_t hpa)
{
    return memory_load(world_memory(rig->world), hpa, 8);
}

/* --- memory --- */

static void write_both_ways(struct world_rig *rig)
{
    EXPECT(rig_write(rig, 0, 0x3000, 7));
    EXPECT(rig_read(rig, 1, 0x3000));
    EXPECT_EQ(reference_load(world_reference(rig->world), 0x3000, 8), 7);
    EXPECT_EQ(word(rig, HOST_SIDE_A + 0x3000), 7);
    EXPECT_EQ(counters(rig).reached, 2);
    EXPECT(rig_write(rig, 0, GUEST_HIGH_BASE + 8, 9));
    EXPECT_EQ(word(rig, HOST_SIDE_A + GUEST_HIGH_BASE + 8), 9);
}

static void test_a_guest_starts_with_all_of_its_memory_on_side_a(void **state)
{
    (void)state;
    in_every_world(write_both_ways);
}

static void move_and_read(struct world_rig *rig)
{
    for (unsigned turn = 0; turn < TURNS; turn++) {
        const uint64_t side = turn % 2 == 0 ? HOST_SIDE_B : HOST_SIDE_A;

        EXPECT(rig_write(rig, turn % 2, 0x3000, turn));
        EXPECT(rig_host(rig, OP_MOVE, 0x3000, VMMU_PAGE_BYTES, 0));
        EXPECT_EQ(word(rig, side + 0x3000), reference_load(world_reference(rig->world), 0x3000, 8));
        EXPECT_EQ(memory_owner_of(world_memory(rig->world), side + 0x3000), OWNER_GUEST);
        EXPECT_EQ(memory_owner_of(world_memory(rig->world), (side ^ HOST_SIDE_A ^ HOST_SIDE_B) + 0x3000),
                  OWNER_FOREIGN);
        EXPECT(rig_read(rig, 0, 0x3000));
        EXPECT(rig_read(rig, 1, 0x3000));
    }
    EXPECT_EQ(counters(rig).ops[OP_MOVE], TURNS);
    EXPECT_EQ(counters(rig).devices, 0);
}

static void test_a_page_that_moves_takes_its_content_along(void **state)
{
    (void)state;
    in_every_world(move_and_read);
}

static void gather(struct world_rig *rig)
{
    uint8_t rights;

    EXPECT(rig_write(rig, 0, 0x5000, 3));
    EXPECT(rig_host(rig, OP_MOVE, 0x3000, VMMU_PAGE_BYTES, 0));
    EXPECT(rig_host(rig, OP_UNMAP, 0x5000, VMMU_PAGE_BYTES, 0));
    EXPECT(!world_host_maps(rig->world, 0x5000, &rights));
    EXPECT(rig_host(rig, OP_MOVE, 0, VMMU_2M_BYTES, 0));
    EXPECT(rig_host(rig, OP_MAP, 0x5000, VMMU_PAGE_BYTES, RIGHTS_ALL));
    EXPECT(rig_read(rig, 0, 0x5000));
    EXPECT_EQ(word(rig, HOST_SIDE_B + 0x5000), 3);
    EXPECT(rig_read(rig, 0, 0x3000));
    EXPECT(rig_read(rig, 0, 0x4000));
    EXPECT_EQ(counters(rig).devices, 0);
}

static void test_a_move_brings_all_of_its_range_to_one_side(void **state)
{
    (void)state;
    in_every_world(gather);
}

/* --- exits --- */

static void take_away(struct world_rig *rig)
{
    uint8_t rights = 0;

    EXPECT(rig_write(rig, 0, 0x3000, 7));
    EXPECT(rig_host(rig, OP_UNMAP, 0x3000, VMMU_PAGE_BYTES, 0));
    /* The flush may have been put off: an operation that relies on it comes after it. */
    EXPECT(rig_do(rig, (struct op){ .kind = OP_HARVEST, .value = VMMU_PAGE_BYTES }));
    EXPECT(rig_read(rig, 0, 0x3000));
    EXPECT(rig_write(rig, 1, 0x3000, 1));
    EXPECT(rig_read(rig, 0, GUEST_LOW_BYTES));
    EXPECT_EQ(counters(rig).devices, 3);
    EXPECT(rig_host(rig, OP_MAP, 0x3000, VMMU_PAGE_BYTES, READ_ONLY));
    EXPECT(world_host_maps(rig->world, 0x3000, &rights));
    EXPECT_EQ(rights, READ_ONLY);
    EXPECT(rig_read(rig, 0, 0x3000));
    EXPECT_EQ(counters(rig).devices, 3);
    EXPECT(rig_write(rig, 0, 0x3000, 1));
    EXPECT_EQ(counters(rig).devices, 4);
    EXPECT_EQ(word(rig, HOST_SIDE_A + 0x3000), 7);
}

static void test_where_the_host_maps_nothing_is_a_device(void **state)
{
    (void)state;
    in_every_world(take_away);
}

static void protect_and_grant(struct world_rig *rig)
{
    for (unsigned turn = 0; turn < TURNS; turn++) {
        EXPECT(rig_host(rig, OP_PROTECT, 0x3000, VMMU_PAGE_BYTES, READ_ONLY));
        EXPECT(rig_read(rig, 0, 0x3000));
        EXPECT(rig_write(rig, 0, 0x3000, turn));
        EXPECT(rig_host(rig, OP_PROTECT, 0x3000, VMMU_PAGE_BYTES, RIGHTS_ALL));
        EXPECT(rig_write(rig, 0, 0x3000, turn));
        EXPECT_EQ(word(rig, HOST_SIDE_A + 0x3000), turn);
    }
}

static void test_a_right_that_comes_back_is_found_at_once_or_after_one_exit(void **state)
{
    (void)state;
    in_every_world(protect_and_grant);
}

/* --- sizes --- */

static void split_and_merge(struct world_rig *rig)
{
    for (unsigned turn = 0; turn < TURNS; turn++) {
        EXPECT(rig_write(rig, 0, 0x3000, turn));
        EXPECT(rig_host(rig, OP_SPLIT, 0, VMMU_2M_BYTES, VMMU_NESTED_LEVEL_4K));
        EXPECT(rig_write(rig, 1, 0x3008, turn));
        EXPECT(rig_host(rig, OP_PROTECT, 0, VMMU_2M_BYTES, turn % 3 == 0 ? READ_ONLY : RIGHTS_ALL));
        EXPECT(rig_read(rig, 0, 0x3000));
        EXPECT(rig_host(rig, OP_MERGE, 0, VMMU_2M_BYTES, 0));
        EXPECT(rig_read(rig, 1, 0x3008));
        EXPECT(rig_host(rig, OP_PROTECT, 0, VMMU_2M_BYTES, RIGHTS_ALL));
    }
    EXPECT(counters(rig).between_stores > TURNS);
}

static void test_pages_change_their_size_under_use(void **state)
{
    (void)state;
    in_every_world(split_and_merge);
}

/* --- logs and harvests --- */

static void log_writes(struct world_rig *rig, enum vmmu_nested_log log)
{
    EXPECT(rig_do(rig, (struct op){ .kind = OP_LOG_START, .value = log }));
    for (unsigned turn = 0; turn < TURNS; turn++) {
        EXPECT(rig_write(rig, turn % 2, 0x3000 + turn % 5 * VMMU_PAGE_BYTES, turn));
        EXPECT(rig_host(rig, OP_LOG_COLLECT, 0, turn % 3 == 0 ? 0x5000 : GUEST_LIMIT, 0));
    }
    EXPECT(rig_do(rig, (struct op){ .kind = OP_LOG_STOP }));
    EXPECT(rig_write(rig, 0, 0x3000, 1));
    EXPECT_EQ(counters(rig).ops[OP_LOG_COLLECT], TURNS);
}

static void log_by_protection(struct world_rig *rig)
{
    log_writes(rig, VMMU_NESTED_LOG_WRITE_PROTECT);
}

static void log_by_bits(struct world_rig *rig)
{
    log_writes(rig, VMMU_NESTED_LOG_DIRTY_BITS);
}

static void test_each_page_that_is_written_is_logged(void **state)
{
    (void)state;
    in_every_world(log_by_protection);
    in_every_world(log_by_bits);
}

static void test_without_accessed_and_dirty_flags_there_is_no_harvest_and_no_log_of_bits(void **state)
{
    struct setting setting = setting_of(2, 1);
    struct world_rig rig;
    struct finding finding;

    (void)state;
    setting.second_dirty = false;
    rig_start(&rig, &setting, RIG_ALL_CHECKS);
    EXPECT(rig_do(&rig, (struct op){ .kind = OP_LOG_START, .value = VMMU_NESTED_LOG_DIRTY_BITS }));
    EXPECT_EQ(counters(&rig).ops[OP_LOG_START], 0);
    EXPECT(rig_do(&rig, (struct op){ .kind = OP_HARVEST, .value = VMMU_2M_BYTES }));
    log_by_protection(&rig);
    finding = rig_finish(&rig);
    rig_expect_none(&finding);
}

static void harvest(struct world_rig *rig)
{
    for (unsigned turn = 0; turn < TURNS; turn++) {
        EXPECT(rig_write(rig, 0, 0x3000, turn));
        EXPECT(rig_read(rig, 1, 0x6000));
        EXPECT(rig_do(
            rig, (struct op){
                     .kind = OP_HARVEST, .address = 0x2000, .value = 0x3000, .flags = (uint8_t)(turn % 4) }));
    }
    EXPECT_EQ(counters(rig).ops[OP_HARVEST], TURNS);
}

static void test_each_page_that_is_used_is_harvested(void **state)
{
    (void)state;
    in_every_world(harvest);
}

/* --- tags and processors --- */

static void two_guests(struct world_rig *rig)
{
    rig_write(rig, 0, 0x3000, 100);
    rig_write(rig, 0, 0x403000, 200);
    rig_page(rig, 0, 0, 0, ENTRY);
    rig_page(rig, 1, 1, 0x400000, ENTRY);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        const uint64_t reached = counters(rig).reached;

        EXPECT(rig_read(rig, 0, 0x3000));
        EXPECT(rig_read(rig, 1, 0x3000));
        EXPECT_EQ(counters(rig).reached, reached + 2);
    }
}

static void test_virtual_processors_with_other_tables_share_processors_and_tags(void **state)
{
    (void)state;
    in_every_world(two_guests);
}

static void flush_elsewhere(struct world_rig *rig)
{
    rig_page(rig, 1, 1, 0x400000, ENTRY);
    rig_page(rig, 0, 0, 0, ENTRY);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        const uint64_t gpa = turn % 2 == 0 ? 0x400000 : 0;

        EXPECT(rig_do(rig, (struct op){ .kind = OP_MIGRATE, .vp = 0, .value = 0 }));
        EXPECT(rig_read(rig, 0, 0x3000));
        EXPECT(rig_do(rig, (struct op){ .kind = OP_MIGRATE, .vp = 0, .value = 1 }));
        /* Directory 0 is mapped at its own address, or at that address of the upper 4 MiB, which it maps after this. */
        EXPECT(rig_write(rig, 0, RIG_DIRECTORY(0), gpa | BIT64(7) | ENTRY));
        EXPECT(rig_do(rig, (struct op){ .kind = OP_INVLPG, .vp = 0, .address = 0x3000 }));
        EXPECT(rig_read(rig, 0, 0x3000));
    }
}

static void test_what_a_virtual_processor_left_behind_is_gone_when_it_returns(void **state)
{
    (void)state;
    in_every_world(flush_elsewhere);
}

static void host_moves_what_sleeps_here(struct world_rig *rig)
{
    for (unsigned turn = 0; turn < TURNS; turn++) {
        EXPECT(rig_read(rig, 0, 0x3000));
        EXPECT(rig_read(rig, 1, 0x3000));
        EXPECT(rig_do(rig, (struct op){ .kind = OP_MIGRATE, .vp = 0, .value = turn % 2 }));
        EXPECT(rig_host(rig, OP_MOVE, 0x3000, VMMU_PAGE_BYTES, 0));
        EXPECT(rig_read(rig, 0, 0x3000));
    }
    EXPECT_EQ(counters(rig).devices, 0);
}

static void test_a_flush_waits_for_a_virtual_processor_that_does_not_run(void **state)
{
    (void)state;
    in_every_world(host_moves_what_sleeps_here);
}

/* --- control instructions --- */

static void refused(struct world_rig *rig)
{
    const uint64_t before = counters(rig).idle;

    EXPECT(rig_do(rig, (struct op){ .kind = OP_CR0, .value = VMMU_X86_CR0_PG }));
    EXPECT(rig_do(rig, (struct op){ .kind = OP_CR4, .value = VMMU_X86_CR4_LA57 }));
    EXPECT(rig_do(rig, (struct op){ .kind = OP_INVPCID, .width = 4 }));
    EXPECT(rig_do(rig, (struct op){ .kind = OP_READ, .width = 3 }));
    EXPECT(rig_do(rig, (struct op){ .kind = OP_READ, .vp = 2, .width = 8 }));
    EXPECT(rig_host(rig, OP_MAP, 0, GUEST_LOW_BYTES, RIGHTS_ALL));
    EXPECT(rig_host(rig, OP_PROTECT, 0, GUEST_LOW_BYTES, VMMU_X86_RIGHT_WRITE));
    EXPECT(rig_host(rig, OP_UNMAP, GUEST_LIMIT, VMMU_PAGE_BYTES, 0));
    EXPECT(rig_do(rig, (struct op){ .kind = OP_LOG_STOP }));
    EXPECT_EQ(counters(rig).idle, before + 9);
}

static void test_what_makes_no_sense_does_nothing(void **state)
{
    (void)state;
    in_every_world(refused);
}

static void fault_and_read(struct world_rig *rig)
{
    rig_page(rig, 0, 0, 0, ENTRY);
    EXPECT(rig_read(rig, 0, 0x400000));
    EXPECT_EQ(counters(rig).guest_faults, 1);
    EXPECT(rig_read(rig, 0, 0x3000));
    EXPECT_EQ(counters(rig).guest_faults, 1);
}

static void test_a_fault_of_the_guest_s_own_is_no_exit(void **state)
{
    (void)state;
    in_every_world(fault_and_read);
}

/* --- tables --- */

static void test_with_few_table_pages_operations_fail_and_change_nothing(void **state)
{
    (void)state;
    for (uint8_t engine = 0; engine < 2; engine++) {
        struct setting setting = rig_setting(engine, engine == 1);
        struct world_rig rig;
        struct finding finding;

        setting.table_pages = 6;
        rig_start(&rig, &setting, RIG_ALL_CHECKS);
        for (unsigned turn = 0; turn < TURNS; turn++) {
            const uint64_t gpa = turn % 4 * VMMU_2M_BYTES + 0x3000;

            EXPECT(rig_write(&rig, 0, gpa, turn));
            EXPECT(rig_host(&rig, turn % 3 == 0 ? OP_UNMAP : OP_PROTECT, gpa, VMMU_PAGE_BYTES, READ_ONLY));
            EXPECT(rig_read(&rig, 1, gpa));
            EXPECT(rig_host(&rig, OP_MAP, gpa, VMMU_PAGE_BYTES, RIGHTS_ALL));
        }
        EXPECT(world_tables(rig.world)->counters.refused > 0);
        finding = rig_finish(&rig);
        rig_expect_none(&finding);
    }
}

static void test_a_setting_that_cannot_be_makes_no_world(void **state)
{
    struct setting setting = rig_setting(0, true);

    (void)state;
    EXPECT(world_create(&setting, RIG_ALL_CHECKS) == NULL);
    setting = rig_setting(1, false);
    EXPECT(world_create(&setting, RIG_ALL_CHECKS) == NULL);
    setting = rig_setting(99, true);
    EXPECT(world_create(&setting, RIG_ALL_CHECKS) == NULL);
    setting = rig_setting(1, true);
    setting.vps = 0;
    EXPECT(world_create(&setting, RIG_ALL_CHECKS) == NULL);
    setting = rig_setting(1, true);
    setting.table_pages = 0;
    EXPECT(world_create(&setting, RIG_ALL_CHECKS) == NULL);
}

/* --- repetition --- */

static struct world_counters run_once(uint64_t *inserts)
{
    const struct setting setting = setting_of(2, 3);
    struct world_rig rig;
    struct world_counters last;
    struct finding finding;

    rig_start(&rig, &setting, RIG_ALL_CHECKS);
    two_guests(&rig);
    split_and_merge(&rig);
    flush_elsewhere(&rig);
    last = counters(&rig);
    *inserts = world_tables(rig.world)->counters.plans;
    finding = rig_finish(&rig);
    rig_expect_none(&finding);
    return last;
}

static void test_the_same_script_does_the_same(void **state)
{
    uint64_t plans[2];
    const struct world_counters first = run_once(&plans[0]);
    const struct world_counters second = run_once(&plans[1]);

    (void)state;
    assert_memory_equal(&first, &second, sizeof first);
    EXPECT_EQ(plans[0], plans[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_guest_starts_with_all_of_its_memory_on_side_a),
        cmocka_unit_test(test_a_page_that_moves_takes_its_content_along),
        cmocka_unit_test(test_a_move_brings_all_of_its_range_to_one_side),
        cmocka_unit_test(test_where_the_host_maps_nothing_is_a_device),
        cmocka_unit_test(test_a_right_that_comes_back_is_found_at_once_or_after_one_exit),
        cmocka_unit_test(test_pages_change_their_size_under_use),
        cmocka_unit_test(test_each_page_that_is_written_is_logged),
        cmocka_unit_test(test_without_accessed_and_dirty_flags_there_is_no_harvest_and_no_log_of_bits),
        cmocka_unit_test(test_each_page_that_is_used_is_harvested),
        cmocka_unit_test(test_virtual_processors_with_other_tables_share_processors_and_tags),
        cmocka_unit_test(test_what_a_virtual_processor_left_behind_is_gone_when_it_returns),
        cmocka_unit_test(test_a_flush_waits_for_a_virtual_processor_that_does_not_run),
        cmocka_unit_test(test_what_makes_no_sense_does_nothing),
        cmocka_unit_test(test_a_fault_of_the_guest_s_own_is_no_exit),
        cmocka_unit_test(test_with_few_table_pages_operations_fail_and_change_nothing),
        cmocka_unit_test(test_a_setting_that_cannot_be_makes_no_world),
        cmocka_unit_test(test_the_same_script_does_the_same),
    };

    return RUN_TESTS(tests);
}
