/* Tables that change while they are walked, and random ones: each entry is loaded once. */
#include "second.h"
#include "tests/unit/test.h"

/* Memory whose entries change with every load: what is loaded again is another value. */
struct fickle {
    struct world world;
    unsigned loads_of_one; /* most loads of a single place */
    unsigned loads;
    uint64_t places[64];
};

static enum vmmu_status fickle_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct fickle *fickle = context;
    unsigned times = 1;

    for (unsigned i = 0; i < fickle->loads; i++) {
        times += fickle->places[i] == address ? 1 : 0;
    }
    assert_true(fickle->loads < 64);
    fickle->places[fickle->loads++] = address;
    fickle->loads_of_one = times > fickle->loads_of_one ? times : fickle->loads_of_one;
    *value = world_read(&fickle->world, address, width_bytes);
    world_write(&fickle->world, address, width_bytes, 0);
    return VMMU_OK;
}

static struct fickle fickle;
static struct vmmu_x86_walk_result out;

static struct vmmu_x86_mode fresh(enum vmmu_x86_paging paging)
{
    const struct vmmu_x86_paging_registers registers = registers_for(paging);

    fickle.loads = fickle.loads_of_one = 0;
    world_init(&fickle.world);
    fickle.world.ram.load = fickle_load;
    fickle.world.ram.context = &fickle;
    return mode_of(&registers);
}

static void test_an_entry_that_vanishes_once_loaded_still_translates(void **state)
{
    (void)state;
    for (unsigned paging = VMMU_X86_PAGING_32BIT; paging <= VMMU_X86_PAGING_5LEVEL; paging++) {
        const struct vmmu_x86_mode mode = fresh((enum vmmu_x86_paging)paging);
        const struct vmmu_x86_access access = { .kind = VMMU_X86_WRITE };

        put_chain(&fickle.world, &mode, 1, 0x40001000, 0x7000 | E_ALL | E_G | E_PWT);
        EXPECT_EQ(vmmu_x86_walk(&mode, &fickle.world.ram, (vmmu_gva){ 0x40001123 }, access, &out), VMMU_OK);
        EXPECT_EQ(out.translation.gpa.v, 0x7123);
        EXPECT_EQ(out.translation.rights, VMMU_X86_RIGHTS_ALL);
        EXPECT(out.translation.global);
        EXPECT_EQ(out.translation.pat_index, 1);
        EXPECT_EQ(fickle.loads_of_one, 1);
    }
}

static enum vmmu_status strict_exchange(void *context, uint64_t address, unsigned width_bytes,
                                        uint64_t expected, uint64_t desired)
{
    struct fickle *memory = context;

    if (world_read(&memory->world, address, width_bytes) != expected) {
        return VMMU_RACED;
    }
    world_write(&memory->world, address, width_bytes, desired);
    return VMMU_OK;
}

static void test_an_entry_that_vanished_is_not_brought_back_by_marking_it(void **state)
{
    static const enum vmmu_x86_marks markings[] = { VMMU_X86_MARKS_AS_IT_GOES, VMMU_X86_MARKS_ON_SUCCESS };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);
        const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .marks = markings[i] };

        fickle.world.ram.exchange = strict_exchange;
        put_chain(&fickle.world, &mode, 1, 0, 0x7000 | E_ALL);
        EXPECT_EQ(vmmu_x86_walk(&mode, &fickle.world.ram, (vmmu_gva){ 0 }, access, &out), VMMU_RACED);
        EXPECT_EQ(world_read(&fickle.world, entry_at(&mode, 4, 0), 8), 0);
    }
}

/* --- random tables in both stages --- */

static uint64_t random_state = UINT64_C(0x1234567890abcdef);

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static struct world world;

/* A guest's memory as the second stage shows it: what a walk of one stage over the other must come to. */
static enum vmmu_status load_through(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    static const struct vmmu_x86_stage2_access access = { .kind = VMMU_X86_READ, .guest_table = true };
    const struct vmmu_x86_stage2 *stage2 = context;
    struct vmmu_x86_stage2_result result;
    const enum vmmu_status status = vmmu_x86_walk_stage2(stage2, (vmmu_gpa){ address }, access, &result);

    return status == VMMU_OK
               ? stage2->ram->load(stage2->ram->context, result.translation.hpa.v, width_bytes, value)
               : status;
}

/* Identity in the second stage, but for rights and defects at random; the guest's chain likewise. */
static void build_random(struct second *second, const struct vmmu_x86_mode *mode, uint64_t va)
{
    for (uint64_t page = 0x1000; page < TABLES + 0x8000; page = page == 0x1000 ? TABLES : page + 0x1000) {
        const uint8_t rights = (uint8_t)(random_bits() % 8 == 0 ? random_bits() % 16 : VMMU_X86_RIGHTS_ALL);

        second_map(second, 1, page, page, rights);
        if (random_bits() % 32 == 0) {
            second_put(second, 1, page, random_bits());
        }
    }
    put_chain(&world, mode, 1, va, TABLES | E_ALL);
    if (random_bits() % 4 == 0) {
        put_entry(&world, mode, 1 + (unsigned)(random_bits() % 4), va,
                  random_bits() & BITS64(51, 0) & ~BITS64(51, 24));
    }
}

static enum vmmu_status expect_composition(const struct second *second, const struct vmmu_x86_mode *mode,
                                           uint64_t va, enum vmmu_x86_access_kind kind)
{
    static struct vmmu_x86_nested_result both;
    struct vmmu_x86_stage2 stage2 = second->stage2;
    const struct vmmu_ram through = { .context = &stage2, .load = load_through };
    const struct vmmu_x86_access access = { .kind = kind };
    const struct vmmu_x86_stage2_access final = { .kind = kind };
    struct vmmu_x86_stage2_result last = { 0 };
    enum vmmu_status expected = vmmu_x86_walk(mode, &through, (vmmu_gva){ va }, access, &out);
    const enum vmmu_status actual = vmmu_x86_walk_nested(mode, &stage2, (vmmu_gva){ va }, access, &both);

    if (expected == VMMU_OK) {
        expected = vmmu_x86_walk_stage2(&stage2, out.translation.gpa, final, &last);
    }
    EXPECT_EQ(actual, expected);
    if (actual == VMMU_OK) {
        EXPECT_EQ(both.host.hpa.v, last.translation.hpa.v);
        EXPECT_EQ(both.host.rights, last.translation.rights);
        EXPECT_EQ(both.guest.gpa.v, out.translation.gpa.v);
    } else if (actual == VMMU_GUEST_FAULT) {
        EXPECT_EQ(both.fault.error_code, out.fault.error_code);
        EXPECT_EQ(both.fault.cr2, out.fault.cr2);
    }
    return actual;
}

static void test_a_two_dimensional_walk_is_one_walk_over_the_other(void **state)
{
    static const enum vmmu_x86_access_kind kinds[] = { VMMU_X86_READ, VMMU_X86_WRITE, VMMU_X86_EXECUTE };
    const struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_mode mode = mode_of(&registers);
    unsigned seen[VMMU_VIOLATED + 1] = { 0 };

    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        const uint64_t va = random_bits() & BITS64(46, 0);

        world_init(&world);
        struct second second = i % 3 == 0   ? second_npt(&world, VMMU_X86_FORMAT_4LEVEL)
                               : i % 3 == 1 ? second_ept(&world, 4, false)
                                            : second_ept(&world, 5, true);

        build_random(&second, &mode, va);
        for (unsigned kind = 0; kind < 3; kind++) {
            seen[expect_composition(&second, &mode, va, kinds[kind])]++;
        }
    }
    EXPECT(seen[VMMU_OK] > 50 && seen[VMMU_GUEST_FAULT] > 50 && seen[VMMU_STAGE2] > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_that_vanishes_once_loaded_still_translates),
        cmocka_unit_test(test_an_entry_that_vanished_is_not_brought_back_by_marking_it),
        cmocka_unit_test(test_a_two_dimensional_walk_is_one_walk_over_the_other),
    };

    return RUN_TESTS(tests);
}
