/*
 * The world under shadows: what a processor keeps under a tag for each root, and what of page faults it gives to a guest by
 * itself.
 */
#include "tests/model/machine/engine_nested.h"
#include "tests/model/machine/engine_shadow.h"
#include "tests/model/machine/world_internal.h"
#include "tests/model/world_rig.h"
#include "tests/unit/test.h"

const struct engine_class *const engines[] = { &engine_npt, &engine_ept, &engine_shadow, NULL };

enum { SHADOW = 2 };

#define ENTRY    UINT64_C(0x67) /* present, writable, user, accessed, dirty */
#define LARGE    BIT64(7)
#define SPACES   4U

/* Of each of four address spaces: its root, the table below, and that which maps linear 0 by a page of 2 MiB. */
#define ROOT(n)  (UINT64_C(0x10000) + (n)*VMMU_PAGE_BYTES)
#define UPPER(n) (UINT64_C(0x14000) + (n)*VMMU_PAGE_BYTES)
#define LAST(n)  (UINT64_C(0x18000) + (n)*VMMU_PAGE_BYTES)
#define PLACE(n) ((n) == 0 ? 0 : GUEST_HIGH_BASE + (n)*VMMU_2M_BYTES)

static struct setting setting_of(bool intel, uint8_t roots)
{
    struct setting setting = rig_setting(SHADOW, intel);

    setting.vps = 1;
    setting.processors = 1;
    setting.roots = roots;
    setting.tags = 8;
    setting.table_pages = 400;
    return setting;
}

static struct vmmu_tlb_statistics cached(struct world_rig *rig)
{
    return *processor_statistics(world_processor(rig->world, 0)->machine);
}

static void put(struct world_rig *rig, enum op_kind kind, uint64_t value)
{
    EXPECT(rig_do(rig, (struct op){ .kind = kind, .value = value }));
}

static void load(struct world_rig *rig, unsigned n)
{
    put(rig, OP_CR3, ROOT(n));
}

/* The VP has run in all four spaces, for so long that nothing is new; and is in the first. */
static void know_all(struct world_rig *rig, const struct setting *setting)
{
    rig_start(rig, setting, RIG_ALL_CHECKS);
    for (unsigned n = 0; n < SPACES; n++) {
        rig_write(rig, 0, ROOT(n), UPPER(n) | ENTRY);
        rig_write(rig, 0, UPPER(n), LAST(n) | ENTRY);
        rig_write(rig, 0, LAST(n), PLACE(n) | ENTRY | LARGE);
    }
    put(rig, OP_CR4, VMMU_X86_CR4_PAE);
    put(rig, OP_EFER, VMMU_X86_EFER_LME);
    load(rig, 0);
    put(rig, OP_CR0, VMMU_X86_CR0_PG | VMMU_X86_CR0_PE | VMMU_X86_CR0_WP | VMMU_X86_CR0_ET);
    for (unsigned turn = 0; turn < 8; turn++) {
        for (unsigned n = 0; n < SPACES; n++) {
            load(rig, n);
            EXPECT(rig_read(rig, 0, 0x5000));
        }
    }
    load(rig, 0);
}

static void finish(struct world_rig *rig)
{
    const struct finding finding = rig_finish(rig);

    rig_expect_none(&finding);
}

#define ROUNDS 8U

/*
 * How many translations go as the VP goes round by so many roots: the fewest of some rounds, for in some the guest changes its PAT
 * as well.
 */
static uint64_t lost_by_round(const struct setting *setting, unsigned roots)
{
    struct world_rig rig;
    uint64_t least = UINT64_MAX;

    know_all(&rig, setting);
    for (unsigned round = 0; round < ROUNDS; round++) {
        const uint64_t before = cached(&rig).removed;

        for (unsigned n = 0; n < roots; n++) {
            load(&rig, n);
            EXPECT(rig_read(&rig, 0, 0x5000));
        }
        const uint64_t lost = cached(&rig).removed - before;

        least = lost < least ? lost : least;
    }
    finish(&rig);
    return least;
}

static void test_a_switch_between_roots_that_have_tags_forgets_nothing(void **state)
{
    (void)state;
    for (unsigned intel = 0; intel < 2; intel++) {
        const struct setting one = setting_of(intel != 0, 0);
        const struct setting each = setting_of(intel != 0, 4);

        EXPECT(lost_by_round(&one, 4) > 0);
        EXPECT_EQ(lost_by_round(&each, 4), 0);
    }
}

static void test_a_root_beyond_the_last_tag_takes_that_which_was_used_least_lately(void **state)
{
    (void)state;
    struct setting two = setting_of(true, 2);

    two.tags = 2;
    EXPECT_EQ(lost_by_round(&two, 2), 0);
    EXPECT(lost_by_round(&two, 3) > 0);
}

static void test_a_plan_for_a_virtual_processor_reaches_all_of_its_tags(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 9; seed++) {
        struct setting each = setting_of(true, 4);
        struct world_rig rig;

        each.seed = seed;
        know_all(&rig, &each);
        for (unsigned n = 0; n < SPACES; n++) {
            EXPECT(rig_host(&rig, OP_MOVE, PLACE(n) + 0x5000, VMMU_PAGE_BYTES, 0));
        }
        for (unsigned n = 0; n < SPACES; n++) {
            load(&rig, n);
            EXPECT(rig_read(&rig, 0, 0x5000));
        }
        finish(&rig);
    }
}

/* --- faults without an exit --- */

/* Page tables for all that linear 2 MiB upwards is in the first space; of which nothing is present. */
#define HOLES   (UINT64_C(0x1C000))
#define HOLE(n) (VMMU_2M_BYTES + (n)*VMMU_PAGE_BYTES)
#define FAULTS  40U
#define PRESENT UINT64_C(0x67)

/* How often the VP runs into what is not present, without an exit, of FAULTS. Then that comes to be present, and is used. */
static uint64_t silent_faults(bool silent)
{
    struct setting setting = setting_of(true, 0);
    struct world_rig rig;
    uint64_t told;

    setting.silent = silent;
    know_all(&rig, &setting);
    rig_write(&rig, 0, LAST(0) + 8, HOLES | ENTRY);
    rig_write(&rig, 0, HOLES + UINT64_C(4) * 8, UINT64_C(0x44000) | PRESENT);
    load(&rig, 0);
    EXPECT(rig_read(&rig, 0, HOLE(4)));
    for (unsigned n = 0; n < FAULTS; n++) {
        EXPECT(rig_read(&rig, 0, HOLE(n % 4)));
        load(&rig, 0);
    }
    EXPECT_EQ(world_counters(rig.world)->guest_faults, FAULTS);
    told = world_counters(rig.world)->silent_faults;
    for (unsigned n = 0; n < 4; n++) {
        const uint64_t reached = world_counters(rig.world)->reached;

        EXPECT(rig_write(&rig, 0, HOLES + (uint64_t)n * 8,
                         (UINT64_C(0x40000) + (uint64_t)n * VMMU_PAGE_BYTES) | PRESENT));
        EXPECT(rig_read(&rig, 0, HOLE(n)));
        EXPECT(world_counters(rig.world)->reached > reached);
    }
    EXPECT_EQ(world_counters(rig.world)->guest_faults, FAULTS);
    finish(&rig);
    return told;
}

static void test_faults_of_what_is_not_present_come_to_cost_no_exit(void **state)
{
    (void)state;
    EXPECT(silent_faults(true) > FAULTS / 2);
    EXPECT_EQ(silent_faults(false), 0);
}

#define SENTENCE(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SENTENCE(test_a_switch_between_roots_that_have_tags_forgets_nothing),
        SENTENCE(test_a_root_beyond_the_last_tag_takes_that_which_was_used_least_lately),
        SENTENCE(test_a_plan_for_a_virtual_processor_reaches_all_of_its_tags),
        SENTENCE(test_faults_of_what_is_not_present_come_to_cost_no_exit),
    };

    return RUN_TESTS(tests);
}
