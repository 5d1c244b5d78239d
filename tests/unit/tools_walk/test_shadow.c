/* A shadow's walk beside its guest's: where it leads, in which shadow pages, and whether that is where it should. */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"
#include "tools/walk/render.h"
#include "walked.h"

#define VA     UINT64_C(0x5000)
#define AWAY   UINT64_C(0x40000000) /* where the machine has guest-physical 0 */
#define MEMORY UINT64_C(0x200000)
#define SHADOW UINT64_C(0x80000000) /* the shadow's root; the table of level N at N * 0x1000 above */

static struct world guest_world;
static struct world host_world;
static struct walk_model model;
static struct walk_shadow shadow;

static struct partition_piece piece = { .gpa = 0, .hpa = AWAY, .size_bytes = MEMORY, .rights = 7 };
static struct partition_table tables[] = {
    { .hpa = SHADOW, .gpa = 0x1000, .level = 4, .closed = true },
    { .hpa = SHADOW + 0x3000, .level = 3, .ours = true },
    { .hpa = SHADOW + 0x1000, .gpa = 0x101000, .level = 1 },
};
static struct partition_vp vp;
static struct partition partition;
static struct image image;

static uint64_t shadow_table(unsigned level)
{
    return level == 4 ? SHADOW : SHADOW + level * UINT64_C(0x1000);
}

static void put_shadow(unsigned level, uint64_t entry)
{
    const uint64_t index = level == 1 ? 5 : 0;

    world_write(&host_world, shadow_table(level) + 8 * index, 8, entry);
}

/* A guest whose tables map VA to 0x7000; its shadow's to where the machine has that. */
static struct machine shadowed_machine(void)
{
    struct machine machine = machine_with(&guest_world, VMMU_X86_PAGING_4LEVEL);

    world_init(&host_world);
    put_chain(&guest_world, &machine.mode, 1, VA, 0x7000 | E_ALL);
    for (unsigned level = 4; level > 1; level--) {
        put_shadow(level, shadow_table(level - 1) | E_ALL);
    }
    put_shadow(1, (AWAY + 0x7000) | E_ALL);
    image = (struct image){ .ram = host_world.ram };
    vp = (struct partition_vp){ .has_shadow = true,
                                .shadow_cr3 = SHADOW,
                                .shadow_format = VMMU_X86_FORMAT_4LEVEL };
    partition = (struct partition){ .image = &image,
                                    .technique = PARTITION_SHADOW,
                                    .pieces = &piece,
                                    .piece_count = 1,
                                    .tables = tables,
                                    .table_count = 3 };
    machine.image = &image;
    machine.partition = &partition;
    machine.vp = &vp;
    return machine;
}

static void walk_both(const struct machine *machine, uint64_t va, const char *access)
{
    walk_in_words(machine, va, access, &model);
    EXPECT(walk_make_shadow(machine, &model, &shadow));
}

static void test_a_filled_shadow_leads_where_the_machine_has_the_guests_page(void **state)
{
    const struct machine machine = shadowed_machine();

    (void)state;
    walk_both(&machine, VA + 0x123, "w");
    EXPECT_EQ(shadow.agreement, WALK_AGREES);
    EXPECT_EQ(shadow.cr3, SHADOW);
    EXPECT_EQ(shadow.walk.guest.gpa.v, AWAY + 0x7123);
    EXPECT(shadow.has_place);
    EXPECT_EQ(shadow.place, AWAY + 0x7123);
    EXPECT(shadow.tables[0] == &tables[0]);
    EXPECT(shadow.tables[1] == &tables[1]);
    EXPECT(shadow.tables[2] == NULL);
    EXPECT(shadow.tables[3] == &tables[2]);
}

static void test_an_entry_that_is_not_filled_is_told(void **state)
{
    const struct machine machine = shadowed_machine();

    (void)state;
    put_shadow(1, 0);
    walk_both(&machine, VA, "r");
    EXPECT_EQ(shadow.agreement, WALK_NOT_FILLED);
    put_shadow(3, 0);
    walk_both(&machine, VA, "r");
    EXPECT_EQ(shadow.agreement, WALK_NOT_FILLED);
    EXPECT_EQ(shadow.walk.entry_count, 2);
}

static void test_a_shadow_that_leads_elsewhere_is_found_out(void **state)
{
    const struct machine machine = shadowed_machine();

    (void)state;
    put_shadow(1, (AWAY + 0x8000) | E_ALL);
    walk_both(&machine, VA, "r");
    EXPECT_EQ(shadow.agreement, WALK_OTHER_PLACE);
}

static void test_what_the_guest_does_not_map_the_shadow_must_not(void **state)
{
    const struct machine machine = shadowed_machine();

    (void)state;
    put_entry(&guest_world, &machine.mode, 1, VA, 0);
    walk_both(&machine, VA, "r");
    EXPECT_EQ(shadow.agreement, WALK_SHADOW_ALONE);
    put_shadow(1, 0);
    walk_both(&machine, VA, "r");
    EXPECT_EQ(shadow.agreement, WALK_BOTH_STOP);
}

static void test_an_address_of_no_memory_is_a_devices(void **state)
{
    const struct machine machine = shadowed_machine();

    (void)state;
    put_entry(&guest_world, &machine.mode, 1, VA, UINT64_C(0xfee00000) | E_ALL);
    put_shadow(1, 0);
    walk_both(&machine, VA, "r");
    EXPECT_EQ(shadow.agreement, WALK_NOT_OF_MEMORY);
    EXPECT(!shadow.has_place);
    put_shadow(1, UINT64_C(0xfee00000) | E_ALL);
    walk_both(&machine, VA, "r");
    EXPECT_EQ(shadow.agreement, WALK_OTHER_PLACE);
}

static void test_the_shadow_of_a_guest_without_long_mode_is_of_pae_paging(void **state)
{
    struct machine machine = shadowed_machine();

    (void)state;
    vp.shadow_format = VMMU_X86_FORMAT_PAE;
    world_write(&host_world, SHADOW, 8, shadow_table(2) | E_P | E_A); /* QEMU's emulator sets A there */
    walk_both(&machine, VA, "r");
    EXPECT_EQ(shadow.agreement, WALK_AGREES);
    EXPECT_EQ(shadow.walk.entry_count, 3);
    EXPECT_EQ(shadow.walk.entries[0].step.stage, VMMU_X86_STAGE_REGISTER);
    EXPECT(shadow.tables[0] == &tables[0]);
    world_write(&host_world, SHADOW, 8, shadow_table(2) | E_P | E_RW); /* no processor loads that */
    host_world.absent_base = SHADOW;
    host_world.absent_bytes = 4096;
    walk_both(&machine, VA, "r");
    EXPECT_EQ(shadow.walk.status, VMMU_ABSENT);
    host_world.absent_bytes = 0;
    vp.shadow_format = VMMU_X86_FORMAT_5LEVEL;
    world_write(&host_world, SHADOW, 8, SHADOW | E_ALL);
    walk_both(&machine, VA, "r");
    EXPECT_EQ(shadow.walk.entry_count, 5);
}

static void test_who_has_no_shadow_gets_none(void **state)
{
    struct machine machine = shadowed_machine();

    (void)state;
    walk_in_words(&machine, VA, "r", &model);
    vp.has_shadow = false;
    EXPECT(!walk_make_shadow(&machine, &model, &shadow));
    vp.has_shadow = true;
    machine.partition = NULL;
    EXPECT(!walk_make_shadow(&machine, &model, &shadow));
}

static void print_shadow(const void *what)
{
    walk_print_shadow(&model, what);
}

static void test_it_is_told_which_tables_are_write_protected(void **state)
{
    const struct machine machine = shadowed_machine();
    char *text;

    (void)state;
    walk_both(&machine, VA, "r");
    text = printed(print_shadow, &shadow);
    expect_part(text, "shadow of it, by which the processor walks: 4-level, root 80000000\n");
    expect_part(text, "tables      PML4E shadows the guest's table at 1000, write-protected\n"
                      "            PDPTE in a table of the hypervisor's own\n"
                      "            PDE in no shadow page that the dump lists\n"
                      "            PTE shadows the guest's table at 101000, which it may write\n");
    expect_part(text, "physical    40007000 in the 4 KiB page at 40007000\n"
                      "should be   40007000 (guest-physical 7000)\n"
                      "verdict     both lead to the same place of the machine\n");
    free(text);
}

static void test_json_has_the_shadow_beside_the_guest(void **state)
{
    const struct machine machine = shadowed_machine();
    struct json_object *document;
    struct json_object *inner;

    (void)state;
    put_shadow(1, (AWAY + 0x8000) | E_ALL);
    walk_both(&machine, VA, "r");
    document = walk_document(&model, &shadow);
    EXPECT(json_object_object_get_ex(document, "shadow", &inner));
    EXPECT(!json_object_get_boolean(json_object_object_get(inner, "agrees")));
    assert_string_equal(json_object_get_string(json_object_object_get(inner, "expected")), "0x40007000");
    assert_string_equal(json_object_get_string(json_object_object_get(inner, "cr3")), "0x80000000");
    EXPECT_EQ(json_object_array_length(json_object_object_get(inner, "tables")), 4);
    json_object_put(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_filled_shadow_leads_where_the_machine_has_the_guests_page),
        cmocka_unit_test(test_an_entry_that_is_not_filled_is_told),
        cmocka_unit_test(test_a_shadow_that_leads_elsewhere_is_found_out),
        cmocka_unit_test(test_what_the_guest_does_not_map_the_shadow_must_not),
        cmocka_unit_test(test_an_address_of_no_memory_is_a_devices),
        cmocka_unit_test(test_the_shadow_of_a_guest_without_long_mode_is_of_pae_paging),
        cmocka_unit_test(test_who_has_no_shadow_gets_none),
        cmocka_unit_test(test_it_is_told_which_tables_are_write_protected),
        cmocka_unit_test(test_json_has_the_shadow_beside_the_guest),
    };

    return RUN_TESTS(tests);
}
