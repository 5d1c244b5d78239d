/*
 * The library's own second-stage walk, and its two-dimensional walk behind it, find in the tables what was
 * built: frame, rights, type, and the reason of a refusal.
 */
#include "tests/unit/nested/kinds.h"
#include "tests/unit/test.h"
#include <vmmu/walk.h>

static struct space space;

/* --- host-physical memory, as the walk reaches it: the table pages --- */

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    (void)context;
    EXPECT_EQ(width_bytes, 8);
    *value = table_host_page(&space.host, address & ~(PAGE - 1))[(address & (PAGE - 1)) / 8];
    return VMMU_OK;
}

static enum vmmu_status exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                 uint64_t desired)
{
    uint64_t *const entry = &table_host_page(&space.host, address & ~(PAGE - 1))[(address & (PAGE - 1)) / 8];

    (void)context;
    EXPECT_EQ(width_bytes, 8);
    if (*entry != expected) {
        return VMMU_RACED;
    }
    *entry = desired;
    return VMMU_OK;
}

static const struct vmmu_ram ram = { .load = load, .exchange = exchange };

static struct vmmu_x86_stage2 stage2_of(const struct vmmu_nested_config *config)
{
    const struct vmmu_x86_limits limits = {
        .physical_bits = config->maxphyaddr,
        .nx = true,
        .gib_pages = true,
        .execute_only = config->execute_only,
        .bit8_reserved = config->format == VMMU_NESTED_NPT,
    };
    const uint64_t root = vmmu_nested_root(&space.nested);
    struct vmmu_x86_stage2 stage2;

    if (config->format == VMMU_NESTED_EPT) {
        EXPECT_EQ(vmmu_stage2_ept(root, &limits, &ram, &stage2), VMMU_OK);
    } else {
        EXPECT_EQ(vmmu_stage2_npt(config->levels == 5 ? VMMU_X86_FORMAT_5LEVEL : VMMU_X86_FORMAT_4LEVEL,
                                  &limits, &ram, (vmmu_hpa){ root }, &stage2),
                  VMMU_OK);
    }
    return stage2;
}

static enum vmmu_status walk(const struct vmmu_x86_stage2 *stage2, uint64_t gpa,
                             enum vmmu_x86_access_kind kind, struct vmmu_x86_stage2_result *out)
{
    const struct vmmu_x86_stage2_access access = { .kind = kind, .marks = VMMU_X86_MARKS_AS_IT_GOES };

    return vmmu_x86_walk_stage2(stage2, (vmmu_gpa){ gpa }, access, out);
}

static const struct {
    enum vmmu_x86_access_kind kind;
    uint8_t needs;
} accesses[] = { { VMMU_X86_READ, R }, { VMMU_X86_WRITE, W }, { VMMU_X86_EXECUTE, X } };

/* A page at @gpa with @rights: each access is allowed as it should be, and finds what was mapped. */
static void expect_page(const struct vmmu_x86_stage2 *stage2, uint64_t gpa, uint64_t hpa, uint8_t rights)
{
    struct vmmu_x86_stage2_result result;

    for (unsigned i = 0; i < 3; i++) {
        if ((rights & accesses[i].needs) == 0) {
            EXPECT_EQ(walk(stage2, gpa, accesses[i].kind, &result), VMMU_STAGE2);
            EXPECT_EQ(result.fault.reason, VMMU_X86_STAGE2_RIGHTS);
            EXPECT_EQ(result.fault.rights & (R | W | X), rights);
            continue;
        }
        EXPECT_EQ(walk(stage2, gpa, accesses[i].kind, &result), VMMU_OK);
        EXPECT_EQ(result.translation.hpa.v, hpa);
        EXPECT_EQ(result.translation.rights & (R | W | X), rights);
        EXPECT_EQ(result.translation.page_bytes, space_walk(&space, gpa).page_bytes);
    }
}

static void test_the_second_stage_walk_finds_what_was_mapped(void **state)
{
    static const uint8_t sets[] = { R, R | W, R | X, R | W | X, X };

    (void)state;
    FOR_EACH_KIND(space)
    {
        const struct vmmu_x86_stage2 stage2 = stage2_of(&config);
        struct vmmu_x86_stage2_result result;

        for (unsigned i = 0; i < (config.execute_only ? 5 : 4); i++) {
            const uint64_t gpa = (1 + 2 * i) * HUGE - PAGE;

            space_map(&space, gpa, 16 * HUGE - PAGE, HUGE + LARGE + 2 * PAGE, sets[i]);
            expect_page(&stage2, gpa + 0x77, 16 * HUGE - PAGE + 0x77, sets[i]);
            expect_page(&stage2, gpa + PAGE + LARGE, 16 * HUGE + LARGE, sets[i]);
            expect_page(&stage2, gpa + PAGE + HUGE, 17 * HUGE, sets[i]);
            expect_page(&stage2, gpa + PAGE + HUGE + LARGE, 17 * HUGE + LARGE, sets[i]);
        }
        EXPECT_EQ(walk(&stage2, 30 * HUGE, VMMU_X86_READ, &result), VMMU_STAGE2);
        EXPECT_EQ(result.fault.reason, VMMU_X86_STAGE2_NOT_PRESENT);
    }
}

static void test_the_second_stage_walk_finds_the_types(void **state)
{
    static const enum vmmu_x86_memory_type types[] = { VMMU_X86_TYPE_UC, VMMU_X86_TYPE_WC, VMMU_X86_TYPE_WT,
                                                       VMMU_X86_TYPE_WP, VMMU_X86_TYPE_WB };

    (void)state;
    FOR_EACH_KIND(space)
    {
        const struct vmmu_x86_stage2 stage2 = stage2_of(&config);
        struct vmmu_x86_stage2_result result;

        for (unsigned i = 0; i < 5; i++) {
            struct vmmu_nested_mapping mapping = space_mapping(i * HUGE, HPA, LARGE + PAGE, R);

            mapping.type = types[i];
            SPACE_DO(&space, vmmu_nested_map(&space.nested, &mapping));
            for (uint64_t offset = 0; offset <= LARGE; offset += LARGE) {
                EXPECT_EQ(walk(&stage2, i * HUGE + offset, VMMU_X86_READ, &result), VMMU_OK);
                if (config.format == VMMU_NESTED_EPT) {
                    EXPECT_EQ(result.translation.memory_type, types[i]);
                } else {
                    EXPECT_EQ((SPACE_PAT >> (8 * result.translation.pat_index)) & 7, types[i]);
                }
            }
        }
    }
}

/* The walk marks as a processor does, and the harvest finds the marks. */
static unsigned dirty_pages;

static void count_dirty(void *context, const struct vmmu_nested_mark *mark)
{
    (void)context;
    dirty_pages += mark->dirty;
}

static void test_marks_of_the_walk_are_harvested_and_the_log_catches_its_writes(void **state)
{
    const struct vmmu_nested_harvester harvester = { .clear_dirty = true, .report = count_dirty };

    (void)state;
    FOR_EACH_KIND(space)
    {
        const struct vmmu_x86_stage2 stage2 = stage2_of(&config);
        struct vmmu_x86_stage2_result result;

        space_map(&space, 0, HPA, 8 * PAGE, R | W);
        if (config.accessed_dirty) {
            dirty_pages = 0;
            EXPECT_EQ(walk(&stage2, 3 * PAGE, VMMU_X86_WRITE, &result), VMMU_OK);
            EXPECT_EQ(walk(&stage2, 5 * PAGE, VMMU_X86_READ, &result), VMMU_OK);
            SPACE_DO(&space, vmmu_nested_harvest(&space.nested, (vmmu_gpa){ 0 }, LARGE, &harvester));
            EXPECT_EQ(dirty_pages, 1);
        }
        SPACE_DO(&space, vmmu_nested_log_start(&space.nested, VMMU_NESTED_LOG_WRITE_PROTECT));
        EXPECT_EQ(walk(&stage2, 3 * PAGE, VMMU_X86_READ, &result), VMMU_OK);
        EXPECT_EQ(walk(&stage2, 3 * PAGE, VMMU_X86_WRITE, &result), VMMU_STAGE2);
        EXPECT_EQ(vmmu_nested_resolve(&space.nested, result.fault.gpa, VMMU_X86_WRITE), VMMU_NESTED_LOGGED);
        SPACE_DO(&space, vmmu_nested_log_fault(&space.nested, result.fault.gpa, false));
        EXPECT_EQ(walk(&stage2, 3 * PAGE, VMMU_X86_WRITE, &result), VMMU_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_second_stage_walk_finds_what_was_mapped),
        cmocka_unit_test(test_the_second_stage_walk_finds_the_types),
        cmocka_unit_test(test_marks_of_the_walk_are_harvested_and_the_log_catches_its_writes),
    };

    return RUN_TESTS(tests);
}
