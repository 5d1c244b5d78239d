/*
 * TLBs by name and by description. Figures: Intel 64 and IA-32 Architectures Optimization Reference Manual, "TLB Parameters of the
 * Skylake Client Microarchitecture".
 */
#include "tests/unit/test.h"

#include <string.h>

#include "tools/sim/geometry.h"

static struct complaint complaint;
static struct sim_geometry geometry;

static unsigned entries_of(const struct vmmu_tlb_config *config, uint64_t page_bytes)
{
    unsigned entries = 0;

    for (unsigned i = 0; i < config->arrays; i++) {
        const struct vmmu_tlb_array_config *const array = &config->array[i];

        if (array->translations && (array->page_shifts & page_bytes) != 0) {
            entries += array->sets * array->ways;
        }
    }
    return entries;
}

static void test_skylake_has_the_published_entries(void **state)
{
    (void)state;
    EXPECT(sim_geometry_find("skylake", &geometry, &complaint));
    EXPECT_EQ(entries_of(&geometry.code, VMMU_PAGE_BYTES), 128);
    EXPECT_EQ(entries_of(&geometry.code, VMMU_2M_BYTES), 8);
    EXPECT_EQ(entries_of(&geometry.data, VMMU_PAGE_BYTES), 64);
    EXPECT_EQ(entries_of(&geometry.data, VMMU_2M_BYTES), 32);
    EXPECT_EQ(entries_of(&geometry.data, VMMU_1G_BYTES), 4);
    EXPECT_EQ(entries_of(&geometry.second, VMMU_PAGE_BYTES), 1536);
    EXPECT_EQ(entries_of(&geometry.second, VMMU_2M_BYTES), 1536);
    EXPECT_EQ(entries_of(&geometry.second, VMMU_1G_BYTES), 16);
}

static void test_every_named_one_can_be_found_and_made(void **state)
{
    unsigned count = 0;

    (void)state;
    for (const struct sim_geometry *named; (named = sim_geometry_named(count)) != NULL; count++) {
        EXPECT(sim_geometry_find(named->name, &geometry, &complaint));
        EXPECT(vmmu_tlb_memory_bytes(&geometry.code) != 0);
        EXPECT(geometry.data.arrays == 0 || vmmu_tlb_memory_bytes(&geometry.data) != 0);
        EXPECT(geometry.second.arrays == 0 || vmmu_tlb_memory_bytes(&geometry.second) != 0);
        EXPECT(vmmu_tlb_memory_bytes(&geometry.upper) != 0);
        EXPECT(vmmu_tlb_memory_bytes(&geometry.nested) != 0);
    }
    EXPECT_EQ(count, 3);
}

static void test_a_description_has_the_entries_that_it_says(void **state)
{
    (void)state;
    EXPECT(sim_geometry_find("code=8/2,data=4/4,second=64/8,upper=2/2,nested=16/16", &geometry, &complaint));
    EXPECT_EQ(geometry.code.array[0].sets, 4);
    EXPECT_EQ(geometry.code.array[0].ways, 2);
    EXPECT_EQ(entries_of(&geometry.data, VMMU_1G_BYTES), 4);
    EXPECT_EQ(entries_of(&geometry.second, VMMU_2M_BYTES), 64);
    EXPECT(geometry.upper.array[0].structures && !geometry.upper.array[0].translations);
    EXPECT(sim_geometry_find("code=1/1", &geometry, &complaint));
    EXPECT_EQ(geometry.second.arrays, 0);
}

static void test_what_describes_no_tlb_is_refused(void **state)
{
    static const char *const wrong[] = { "",         "pentium",   "code",        "code=",       "code=8",
                                         "code=8/0", "code=0/1",  "code=24/4/2", "code=12/4",   "code=9/2",
                                         "data=8/2", "code=8/2,", "code=8/2;",   "code=99999/1" };

    (void)state;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        complaint.text[0] = '\0';
        EXPECT(!sim_geometry_find(wrong[i], &geometry, &complaint));
        EXPECT(complaint.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_skylake_has_the_published_entries),
        cmocka_unit_test(test_every_named_one_can_be_found_and_made),
        cmocka_unit_test(test_a_description_has_the_entries_that_it_says),
        cmocka_unit_test(test_what_describes_no_tlb_is_refused),
    };

    return RUN_TESTS(tests);
}
