/*
 * Every check of the world can fail, alone: an engine, a host or a guest with one thing wrong.
 *
 * The same script with nothing wrong must pass, so that it is that thing which the check has found.
 */
#include "tests/model/machine/engine_nested.h"
#include "tests/model/world_rig.h"
#include "tests/unit/test.h"

#define RIGHTS_ALL VMMU_X86_RIGHTS_ALL
#define READ_ONLY  VMMU_X86_RIGHT_READ
#define ENTRY      UINT64_C(0x67) /* present, writable, user, accessed, dirty */
#define TRIES      400

/* EPT with something wrong: a copy of engine_ept, of which a test replaces a part. */
static struct engine_class broken;
const struct engine_class *const engines[] = { &engine_npt, &engine_ept, &broken, NULL };

enum { SOUND = 1, BROKEN = 2 };

/* A script, run until there is a finding. */
typedef void script(struct world_rig *rig);

static struct finding run_in(const struct setting *setting, script *ops, enum check check)
{
    struct world_rig rig;

    rig_start(&rig, setting, UINT32_C(1) << check);
    ops(&rig);
    return rig_finish(&rig);
}

static struct finding run(script *ops, uint8_t engine, enum check check)
{
    const struct setting setting = rig_setting(engine, true);

    return run_in(&setting, ops, check);
}

/* The script passes with the sound engine, and comes to the check with the broken one. */
static void expect_found(script *ops, enum check check)
{
    const struct finding passed = run(ops, SOUND, check);
    const struct finding found = run(ops, BROKEN, check);

    rig_expect_none(&passed);
    rig_expect(&found, check);
    broken = engine_ept;
}

/* The script itself does what is wrong. */
static void expect_script_found(script *ops, enum check check)
{
    const struct finding found = run(ops, SOUND, check);

    rig_expect(&found, check);
}

/* --- engines with something wrong --- */

static void load_other_root(struct engine *engine, unsigned vp, const struct vmmu_x86_mode *mode,
                            struct guest_state *state)
{
    engine_ept.load(engine, vp, mode, state);
    state->mode.root.v += VMMU_PAGE_BYTES;
}

static void load_write_protect(struct engine *engine, unsigned vp, const struct vmmu_x86_mode *mode,
                               struct guest_state *state)
{
    engine_ept.load(engine, vp, mode, state);
    state->mode.write_protect = true;
}

static enum vmmu_status protect_nothing(struct engine *engine, uint64_t gpa, uint64_t size_bytes,
                                        uint8_t rights)
{
    (void)engine;
    (void)gpa;
    (void)size_bytes;
    (void)rights;
    return VMMU_OK;
}

static enum vmmu_status unmap_nothing(struct engine *engine, uint64_t gpa, uint64_t size_bytes)
{
    (void)engine;
    (void)gpa;
    (void)size_bytes;
    return VMMU_OK;
}

/* A page that is mapped over another is absent for a moment. */
static enum vmmu_status map_after_unmap(struct engine *engine, const struct vmmu_nested_mapping *mapping)
{
    const enum vmmu_status status = engine_ept.unmap(engine, mapping->gpa.v, mapping->size_bytes);

    return status == VMMU_OK ? engine_ept.map(engine, mapping) : status;
}

static enum vmmu_status map_invalid(struct engine *engine, const struct vmmu_nested_mapping *mapping)
{
    (void)engine;
    (void)mapping;
    return VMMU_INVALID;
}

static enum vmmu_status collect_nothing(struct engine *engine, uint64_t gpa, uint64_t size_bytes,
                                        uint8_t *bitmap)
{
    static uint8_t elsewhere[65536];

    bitmap[0] = 0;
    return engine_ept.log_collect(engine, gpa, size_bytes, elsewhere);
}

static void report_nothing(void *context, const struct vmmu_nested_mark *mark)
{
    (void)context;
    (void)mark;
}

static enum vmmu_status harvest_nothing(struct engine *engine, uint64_t gpa, uint64_t size_bytes,
                                        const struct vmmu_nested_harvester *harvester)
{
    struct vmmu_nested_harvester dropped = *harvester;

    dropped.report = report_nothing;
    return engine_ept.harvest(engine, gpa, size_bytes, &dropped);
}

static struct engine_verdict always_a_device(struct engine *engine, unsigned vp,
                                             const struct vmmu_x86_stage2_fault *fault)
{
    (void)engine;
    (void)vp;
    return (struct engine_verdict){ .answer = ENGINE_DEVICE, .gpa = fault->gpa.v };
}

static struct engine_verdict always_again(struct engine *engine, unsigned vp,
                                          const struct vmmu_x86_stage2_fault *fault)
{
    (void)engine;
    (void)vp;
    return (struct engine_verdict){ .answer = ENGINE_RETRY, .gpa = fault->gpa.v };
}

static struct engine_verdict gives_up(struct engine *engine, unsigned vp,
                                      const struct vmmu_x86_stage2_fault *fault)
{
    (void)engine;
    (void)vp;
    return (struct engine_verdict){ .answer = ENGINE_BROKEN, .gpa = fault->gpa.v };
}

static enum vmmu_status lookup_absent(const struct engine *engine, uint64_t gpa, struct vmmu_nested_page *out)
{
    (void)engine;
    (void)gpa;
    (void)out;
    return VMMU_ABSENT;
}

static enum vmmu_status lookup_large(const struct engine *engine, uint64_t gpa, struct vmmu_nested_page *out)
{
    const enum vmmu_status status = engine_ept.lookup(engine, gpa, out);

    out->size_bytes = VMMU_2M_BYTES;
    return status;
}

static enum vmmu_status lookup_other_frame(const struct engine *engine, uint64_t gpa,
                                           struct vmmu_nested_page *out)
{
    const enum vmmu_status status = engine_ept.lookup(engine, gpa, out);

    out->frame.v ^= HOST_SIDE_A ^ HOST_SIDE_B;
    return status;
}

/* --- scripts --- */

static void read_by_a_table(struct world_rig *rig)
{
    rig_write(rig, 1, RIG_DIRECTORY(1), 0x400000 | BIT64(7) | ENTRY);
    rig_page(rig, 0, 0, 0, ENTRY);
    rig_read(rig, 0, 0x3000);
}

static void test_a_translation_by_other_tables_than_the_guest_s_is_found(void **state)
{
    (void)state;
    broken.load = load_other_root;
    expect_found(read_by_a_table, CHECK_TRANSLATION);
}

static void write_read_only_without_wp(struct world_rig *rig)
{
    rig_page(rig, 0, 0, 0, ENTRY & ~BIT64(1));
    rig_write(rig, 0, 0x3000, 1);
}

static void test_a_fault_that_no_table_gives_is_found(void **state)
{
    (void)state;
    broken.load = load_write_protect;
    expect_found(write_read_only_without_wp, CHECK_FAULT);
}

/* The guest has cleared the bit; the machine still has it, and so does not set it. */
static void read_without_marks(struct world_rig *rig)
{
    rig_page(rig, 0, 0, 0, ENTRY);
    rig_read(rig, 0, 0x3000);
    reference_store(world_reference(rig->world), RIG_DIRECTORY(0), 4, BIT64(7) | (ENTRY & ~BIT64(5)));
    rig_do(rig, (struct op){ .kind = OP_CR3, .value = RIG_DIRECTORY(0) });
    rig_read(rig, 0, 0x3000);
}

static void test_an_accessed_bit_that_is_not_set_is_found(void **state)
{
    (void)state;
    expect_script_found(read_without_marks, CHECK_MARKS);
}

static void write_after_protect(struct world_rig *rig)
{
    rig_write(rig, 0, 0x3000, 1);
    rig_host(rig, OP_PROTECT, 0x3000, VMMU_PAGE_BYTES, READ_ONLY);
    for (unsigned i = 0; i < TRIES && rig_write(rig, 0, 0x3000, i); i++) {
    }
}

static void test_a_right_that_the_host_took_is_found(void **state)
{
    (void)state;
    broken.protect = protect_nothing;
    expect_found(write_after_protect, CHECK_FRAME);
}

static void read_after_unmap(struct world_rig *rig)
{
    rig_read(rig, 0, 0x3000);
    rig_host(rig, OP_UNMAP, 0x3000, VMMU_PAGE_BYTES, 0);
    for (unsigned i = 0; i < TRIES && rig_read(rig, 0, 0x3000); i++) {
    }
}

static void test_a_frame_that_is_somebody_else_s_is_found(void **state)
{
    (void)state;
    broken.unmap = unmap_nothing;
    expect_found(read_after_unmap, CHECK_ISOLATION);
}

/* The engine is asked, and says no: it must not be taken for the host's own provocation. */
static void map_what_is_not_owned(struct world_rig *rig)
{
    const struct vmmu_host *host = world_tables(rig->world)->host;

    EXPECT(host->owns(host->context, (vmmu_hpa){ HOST_SIDE_A }, VMMU_PAGE_BYTES));
    EXPECT(!host->owns(host->context, (vmmu_hpa){ HOST_SIDE_B }, VMMU_PAGE_BYTES));
    host->violated(host->context, "a sentence");
}

static void test_a_violation_that_the_engine_tells_is_found(void **state)
{
    (void)state;
    expect_script_found(map_what_is_not_owned, CHECK_ISOLATION);
}

static void read_what_was_spoiled(struct world_rig *rig)
{
    rig_write(rig, 0, 0x3000, 1);
    memory_store(world_memory(rig->world), HOST_SIDE_A + 0x3000, 8, 2);
    rig_read(rig, 0, 0x3000);
}

static void test_data_that_nobody_wrote_is_found(void **state)
{
    (void)state;
    expect_script_found(read_what_was_spoiled, CHECK_DATA);
}

static void move_under_readers(struct world_rig *rig)
{
    rig_host(rig, OP_SPLIT, 0, VMMU_2M_BYTES, VMMU_NESTED_LEVEL_4K);
    for (unsigned i = 0; i < TRIES; i++) {
        rig_read(rig, 0, 0x3000);
        rig_read(rig, 1, 0x3008);
        rig_do(rig, (struct op){ .kind = OP_EVICT, .vp = 0, .value = 256 });
        if (!rig_host(rig, OP_MOVE, 0x3000, VMMU_PAGE_BYTES, 0)) {
            return;
        }
    }
}

static void test_a_page_that_is_absent_between_two_stores_is_found(void **state)
{
    (void)state;
    broken.map = map_after_unmap;
    expect_found(move_under_readers, CHECK_PRESENT);
}

/* The root that processors are given. */
static uint64_t root;

static void load_and_note(struct engine *engine, unsigned vp, const struct vmmu_x86_mode *mode,
                          struct guest_state *state)
{
    engine_ept.load(engine, vp, mode, state);
    root = state->stage2.root.v;
}

/* Put a table of read-only pages in the place of the first 2 MiB page, and flush nothing. */
static void split_by_hand(struct world *world)
{
    struct memory *memory = world_memory(world);
    const uint64_t table = HOST_TABLES_BASE + (HOST_TABLE_PAGES - 1) * VMMU_PAGE_BYTES;
    const uint64_t links = BITS64(51, 12);
    const uint64_t third = memory_load(memory, root, 8) & links;
    const uint64_t second = memory_load(memory, third, 8) & links;

    memory_assign(memory, table, VMMU_PAGE_BYTES, OWNER_TABLES);
    for (uint64_t i = 0; i < 512; i++) {
        memory_store(memory, table + i * 8, 8, (HOST_SIDE_A + i * VMMU_PAGE_BYTES) | 0x100 | 6 << 3 | 5);
    }
    memory_store(memory, second, 8, table | 7);
}

static void read_two_sizes(struct world_rig *rig)
{
    rig_write(rig, 0, 0x3000, 1);
    if (root != 0) {
        split_by_hand(rig->world);
    }
    for (unsigned i = 0; i < TRIES && rig_read(rig, 0, 0x3000); i++) {
    }
}

static void test_two_sizes_with_different_rights_are_found(void **state)
{
    (void)state;
    root = 0;
    broken.load = load_and_note;
    expect_found(read_two_sizes, CHECK_SIZES);
}

static void write_and_collect(struct world_rig *rig)
{
    rig_do(rig, (struct op){ .kind = OP_LOG_START, .value = VMMU_NESTED_LOG_WRITE_PROTECT });
    rig_write(rig, 0, 0x3000, 1);
    rig_host(rig, OP_LOG_COLLECT, 0, GUEST_LOW_BYTES, 0);
}

static void write_and_collect_bits(struct world_rig *rig)
{
    rig_do(rig, (struct op){ .kind = OP_LOG_START, .value = VMMU_NESTED_LOG_DIRTY_BITS });
    rig_write(rig, 0, 0x3000, 1);
    rig_host(rig, OP_LOG_COLLECT, 0, GUEST_LOW_BYTES, 0);
}

static void test_a_write_that_is_missing_from_the_dirty_log_is_found(void **state)
{
    (void)state;
    broken.log_collect = collect_nothing;
    expect_found(write_and_collect, CHECK_DIRTY_LOG);
    broken.log_collect = collect_nothing;
    expect_found(write_and_collect_bits, CHECK_DIRTY_LOG);
}

static void write_and_harvest(struct world_rig *rig)
{
    rig_write(rig, 0, 0x3000, 1);
    rig_do(rig, (struct op){ .kind = OP_HARVEST, .value = GUEST_LOW_BYTES, .flags = OP_CLEAR_DIRTY });
}

static void test_a_page_that_is_missing_from_a_harvest_is_found(void **state)
{
    (void)state;
    broken.harvest = harvest_nothing;
    expect_found(write_and_harvest, CHECK_HARVEST);
}

static void test_an_exit_that_is_no_device_s_is_found(void **state)
{
    (void)state;
    broken.stage2_fault = always_a_device;
    expect_found(write_and_collect, CHECK_EXIT);
}

static void test_an_exit_that_is_a_device_s_is_found(void **state)
{
    (void)state;
    broken.stage2_fault = always_again;
    expect_found(read_after_unmap, CHECK_EXIT);
}

static void test_an_engine_that_gives_up_is_found(void **state)
{
    (void)state;
    broken.stage2_fault = gives_up;
    expect_found(write_and_collect, CHECK_EXIT);
}

static void test_an_access_that_never_ends_is_found(void **state)
{
    (void)state;
    broken.stage2_fault = always_again;
    expect_found(read_after_unmap, CHECK_PROGRESS);
}

static void unmap_and_map(struct world_rig *rig)
{
    rig_host(rig, OP_UNMAP, 0x3000, VMMU_PAGE_BYTES, 0);
    rig_host(rig, OP_MAP, 0x3000, VMMU_PAGE_BYTES, RIGHTS_ALL);
}

/* Only what comes after the first mapping is wrong, which the world makes itself. */
static enum vmmu_status map_invalid_later(struct engine *engine, const struct vmmu_nested_mapping *mapping)
{
    return mapping->size_bytes == VMMU_PAGE_BYTES ? map_invalid(engine, mapping)
                                                  : engine_ept.map(engine, mapping);
}

static void test_an_operation_that_fails_without_cause_is_found(void **state)
{
    (void)state;
    broken.map = map_invalid_later;
    expect_found(unmap_and_map, CHECK_PROGRESS);
}

static enum vmmu_status map_without_memory_later(struct engine *engine,
                                                 const struct vmmu_nested_mapping *mapping)
{
    return mapping->size_bytes == VMMU_PAGE_BYTES ? VMMU_NO_MEMORY : engine_ept.map(engine, mapping);
}

static void test_no_memory_is_found_where_there_is_some(void **state)
{
    struct setting setting = rig_setting(BROKEN, true);
    struct finding found;

    (void)state;
    broken.map = map_without_memory_later;
    setting.table_pages = 40;
    found = run_in(&setting, unmap_and_map, CHECK_PROGRESS);
    rig_expect(&found, CHECK_PROGRESS);
    /* Six pages may all be in use, and a flush may free none of them. */
    setting.table_pages = 6;
    found = run_in(&setting, unmap_and_map, CHECK_PROGRESS);
    rig_expect_none(&found);
}

static void test_a_page_that_is_larger_than_it_may_be_is_found(void **state)
{
    struct setting setting = rig_setting(BROKEN, true);
    struct finding found;

    (void)state;
    broken.lookup = lookup_large;
    setting.largest = VMMU_NESTED_LEVEL_4K;
    found = run_in(&setting, unmap_and_map, CHECK_TABLES);
    rig_expect(&found, CHECK_TABLES);
    setting.largest = VMMU_NESTED_LEVEL_2M;
    setting.seed = 3; /* what may be executed has 4 KiB */
    found = run_in(&setting, unmap_and_map, CHECK_TABLES);
    rig_expect(&found, CHECK_TABLES);
    setting.seed = 4;
    found = run_in(&setting, unmap_and_map, CHECK_TABLES);
    rig_expect_none(&found);
}

static void test_a_lookup_that_disagrees_is_found(void **state)
{
    (void)state;
    broken.lookup = lookup_absent;
    expect_found(unmap_and_map, CHECK_TABLES);
    broken.lookup = lookup_other_frame;
    expect_found(unmap_and_map, CHECK_TABLES);
}

static void take_a_page(struct world_rig *rig)
{
    const struct vmmu_host *host = world_tables(rig->world)->host;
    vmmu_hpa at;

    EXPECT(host->page_take(host->context, VMMU_PAGE_ANY, &at) != NULL);
}

static void take_a_page_and_map(struct world_rig *rig)
{
    take_a_page(rig);
    unmap_and_map(rig);
}

static void test_a_table_page_that_is_lost_is_found(void **state)
{
    (void)state;
    expect_script_found(take_a_page, CHECK_TABLES);
    expect_script_found(take_a_page_and_map, CHECK_TABLES);
}

static void give_a_page_twice(struct world_rig *rig)
{
    const struct vmmu_host *host = world_tables(rig->world)->host;
    vmmu_hpa at;
    void *page = host->page_take(host->context, VMMU_PAGE_ANY, &at);

    host->page_give(host->context, at, page);
    host->page_give(host->context, at, page);
}

static void test_a_table_page_that_is_given_back_twice_is_found(void **state)
{
    (void)state;
    expect_script_found(give_a_page_twice, CHECK_TABLES);
}

static void test_after_a_finding_nothing_runs(void **state)
{
    const struct setting setting = rig_setting(SOUND, true);
    struct world_rig rig;
    struct finding last;

    (void)state;
    rig_start(&rig, &setting, RIG_ALL_CHECKS);
    read_what_was_spoiled(&rig);
    EXPECT(world_finding(rig.world)->found);
    EXPECT(!rig_write(&rig, 0, 0x4000, 1));
    EXPECT_EQ(reference_load(world_reference(rig.world), 0x4000, 8), 0);
    last = rig_finish(&rig);
    rig_expect(&last, CHECK_DATA);
}

static int reset(void **state)
{
    (void)state;
    broken = engine_ept;
    return 0;
}

#define SENTENCE(test) cmocka_unit_test_setup(test, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SENTENCE(test_a_translation_by_other_tables_than_the_guest_s_is_found),
        SENTENCE(test_a_fault_that_no_table_gives_is_found),
        SENTENCE(test_an_accessed_bit_that_is_not_set_is_found),
        SENTENCE(test_a_right_that_the_host_took_is_found),
        SENTENCE(test_a_frame_that_is_somebody_else_s_is_found),
        SENTENCE(test_a_violation_that_the_engine_tells_is_found),
        SENTENCE(test_data_that_nobody_wrote_is_found),
        SENTENCE(test_a_page_that_is_absent_between_two_stores_is_found),
        SENTENCE(test_two_sizes_with_different_rights_are_found),
        SENTENCE(test_a_write_that_is_missing_from_the_dirty_log_is_found),
        SENTENCE(test_a_page_that_is_missing_from_a_harvest_is_found),
        SENTENCE(test_an_exit_that_is_no_device_s_is_found),
        SENTENCE(test_an_exit_that_is_a_device_s_is_found),
        SENTENCE(test_an_engine_that_gives_up_is_found),
        SENTENCE(test_an_access_that_never_ends_is_found),
        SENTENCE(test_an_operation_that_fails_without_cause_is_found),
        SENTENCE(test_no_memory_is_found_where_there_is_some),
        SENTENCE(test_a_page_that_is_larger_than_it_may_be_is_found),
        SENTENCE(test_a_lookup_that_disagrees_is_found),
        SENTENCE(test_a_table_page_that_is_lost_is_found),
        SENTENCE(test_a_table_page_that_is_given_back_twice_is_found),
        SENTENCE(test_after_a_finding_nothing_runs),
    };

    return RUN_TESTS(tests);
}
