/*
 * The loader's device tree. Trees are made with libfdt, as loaders make them; wrong ones by changing them.
 */
#include "tests/unit/test.h"

#include "hv/boot/fdt_boot.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#define TREE_BYTES 65536

static const char malformed[] = "the device tree contradicts itself";
static const char too_much[] = "the device tree tells of more than the hypervisor has room for";

/* What a tree is made of. Zero: 2 and 2 cells, 256 MiB, no bundle, no command line. */
struct plan {
    unsigned address_cells, size_cells;
    const void *memory;
    unsigned memory_bytes;
    const char *command;
    unsigned bundle_cells; /* of the bundle's addresses */
    uint64_t bundle_start, bundle_end;
    bool frequency_of_all; /* in /cpus, not in the processor's node */
    bool no_memory, no_frequency;
};

static uint8_t tree[TREE_BYTES];
static struct boot_info info;
static struct fdt_boot boot;

static void check(int result)
{
    EXPECT(result >= 0);
}

static void add_number(const char *name, unsigned cells, uint64_t value)
{
    check(cells == 1 ? fdt_property_u32(tree, name, (uint32_t)value) : fdt_property_u64(tree, name, value));
}

static void add_memory(const struct plan *plan)
{
    static const uint8_t usual[16] = { [12] = 0x10 };
    check(fdt_begin_node(tree, "memory"));
    check(fdt_property_string(tree, "device_type", "memory"));
    check(fdt_property(tree, "reg", plan->memory != NULL ? plan->memory : usual,
                       plan->memory != NULL ? (int)plan->memory_bytes : (int)sizeof(usual)));
    check(fdt_end_node(tree));
}

static void add_chosen(const struct plan *plan)
{
    check(fdt_begin_node(tree, "chosen"));
    if (plan->command != NULL) {
        check(fdt_property_string(tree, "bootargs", plan->command));
    }
    if (plan->bundle_cells != 0) {
        add_number("linux,initrd-start", plan->bundle_cells, plan->bundle_start);
        add_number("linux,initrd-end", plan->bundle_cells, plan->bundle_end);
    }
    check(fdt_end_node(tree));
}

static void add_processors(const struct plan *plan)
{
    check(fdt_begin_node(tree, "cpus"));
    if (plan->frequency_of_all) {
        add_number("timebase-frequency", 1, 66000000);
    }
    check(fdt_begin_node(tree, "PowerPC,8544@0"));
    if (!plan->no_frequency && !plan->frequency_of_all) {
        add_number("timebase-frequency", 1, 400000000);
    }
    add_number("clock-frequency", 1, 800000000);
    check(fdt_end_node(tree));
    check(fdt_begin_node(tree, "PowerPC,8544@1"));
    add_number("timebase-frequency", 1, plan->no_frequency ? 0 : 123456);
    check(fdt_end_node(tree));
    check(fdt_end_node(tree));
}

static void add_devices(void)
{
    check(fdt_begin_node(tree, "soc@fe0000000"));
    check(fdt_begin_node(tree, "serial@4500"));
    add_number("clock-frequency", 1, 33333333);
    check(fdt_end_node(tree));
    check(fdt_begin_node(tree, "serial@4600"));
    add_number("clock-frequency", 1, 44444444);
    check(fdt_end_node(tree));
    check(fdt_end_node(tree));
}

static void begin(const struct plan *plan)
{
    memset(tree, 0, sizeof(tree));
    check(fdt_create(tree, sizeof(tree)));
    check(fdt_finish_reservemap(tree));
    check(fdt_begin_node(tree, ""));
    add_number("#address-cells", 1, plan->address_cells != 0 ? plan->address_cells : 2);
    add_number("#size-cells", 1, plan->size_cells != 0 ? plan->size_cells : 2);
    check(fdt_property_string(tree, "model", "test machine"));
}

static void finish(void)
{
    check(fdt_end_node(tree));
    check(fdt_finish(tree));
}

static void make(const struct plan *plan)
{
    begin(plan);
    if (!plan->no_memory) {
        add_memory(plan);
    }
    add_chosen(plan);
    add_processors(plan);
    add_devices();
    finish();
}

/* Read the first @size_bytes of the tree, from a block in which a step beyond is seen. */
static const char *read_part(size_t size_bytes)
{
    uint8_t *const bytes = malloc(size_bytes != 0 ? size_bytes : 1);
    memcpy(bytes, tree, size_bytes);
    const char *const error = fdt_boot_read(bytes, size_bytes, &info, &boot);
    memset(bytes, 0xee, size_bytes);
    free(bytes);
    return error;
}

static const char *read_all(void)
{
    return read_part(fdt_totalsize(tree));
}

static const char *read_plan(const struct plan *plan)
{
    make(plan);
    return read_all();
}

static void expect_error(const char *error, const char *expected)
{
    EXPECT(error != NULL);
    assert_string_equal(error, expected);
}

static void expect_region(unsigned number, uint64_t base, uint64_t size_bytes, enum boot_region_kind kind)
{
    EXPECT(number < info.region_count);
    EXPECT_EQ(info.regions[number].base.v, base);
    EXPECT_EQ(info.regions[number].size_bytes, size_bytes);
    EXPECT_EQ(info.regions[number].kind, kind);
}

/* --- what it says --- */

static void test_a_small_tree_is_read(void **state)
{
    (void)state;
    EXPECT(read_plan(&(struct plan){ 0 }) == NULL);
    EXPECT_EQ(info.region_count, 1);
    expect_region(0, 0, 0x10000000, BOOT_REGION_USABLE);
    EXPECT_EQ(info.module_count, 0);
    EXPECT_EQ(info.rsdp_bytes, 0);
    EXPECT_EQ(info.image_bytes, 0);
    assert_string_equal(info.loader, "");
    assert_string_equal(info.command, "");
    assert_string_equal(boot.model, "test machine");
    EXPECT_EQ(boot.memory_bytes, 0x10000000);
    EXPECT_EQ(boot.bundle_bytes, 0);
    EXPECT_EQ(boot.timebase_hz, 400000000);
}

static void test_what_was_there_before_is_cleared(void **state)
{
    (void)state;
    memset(&info, 0xff, sizeof(info));
    memset(&boot, 0xff, sizeof(boot));
    test_a_small_tree_is_read(state);
}

static void test_memory_is_read_by_the_roots_cells(void **state)
{
    (void)state;
    static const uint8_t one_one[] = { 0x10, 0, 0, 0, 0, 0x20, 0, 0 };
    static const uint8_t one_two[] = { 0x10, 0, 0, 0, 0, 0, 0, 1, 0, 0x20, 0, 0 };
    static const uint8_t two_one[] = { 0, 0, 0, 2, 0x10, 0, 0, 0, 0, 0x20, 0, 0 };
    EXPECT(read_plan(&(struct plan){
               .address_cells = 1, .size_cells = 1, .memory = one_one, .memory_bytes = 8 }) == NULL);
    expect_region(0, 0x10000000, 0x200000, BOOT_REGION_USABLE);
    EXPECT_EQ(boot.memory_bytes, 0x10200000);
    EXPECT(read_plan(&(struct plan){
               .address_cells = 1, .size_cells = 2, .memory = one_two, .memory_bytes = 12 }) == NULL);
    expect_region(0, 0x10000000, 0x100200000, BOOT_REGION_USABLE);
    EXPECT(read_plan(&(struct plan){
               .address_cells = 2, .size_cells = 1, .memory = two_one, .memory_bytes = 12 }) == NULL);
    expect_region(0, 0x210000000, 0x200000, BOOT_REGION_USABLE);
}

static void test_each_range_of_memory_is_a_region(void **state)
{
    (void)state;
    static const uint8_t ranges[] = { 0,    0,    0, 0, 0, 0x10, 0, 0, /* joined with the next */
                                      0,    0x10, 0, 0, 0, 0x10, 0, 0,
                                      0,    0x50, 0, 0, 0, 0,    0, 0, /* nothing */
                                      0x20, 0,    0, 0, 0, 0x10, 0, 0 };
    EXPECT(read_plan(&(struct plan){
               .address_cells = 1, .size_cells = 1, .memory = ranges, .memory_bytes = sizeof(ranges) }) ==
           NULL);
    EXPECT_EQ(info.region_count, 2);
    expect_region(0, 0, 0x200000, BOOT_REGION_USABLE);
    expect_region(1, 0x20000000, 0x100000, BOOT_REGION_USABLE);
    EXPECT_EQ(boot.memory_bytes, 0x20100000);
}

static void test_the_command_line_is_copied(void **state)
{
    (void)state;
    EXPECT(read_plan(&(struct plan){ .command = "memory=64M mmu=booke" }) == NULL);
    assert_string_equal(info.command, "memory=64M mmu=booke");
    EXPECT(info.command >= info.text && info.command < info.text + sizeof(info.text));
}

static void test_the_bundle_is_where_the_initrd_is_and_reserved(void **state)
{
    (void)state;
    for (unsigned cells = 1; cells <= 2; cells++) {
        EXPECT(read_plan(&(struct plan){
                   .bundle_cells = cells, .bundle_start = 0x2300000, .bundle_end = 0x2312345 }) == NULL);
        EXPECT_EQ(boot.bundle_base, 0x2300000);
        EXPECT_EQ(boot.bundle_bytes, 0x12345);
        EXPECT_EQ(info.region_count, 2);
        expect_region(1, 0x2300000, 0x12345, BOOT_REGION_RESERVED);
    }
    EXPECT(read_plan(&(struct plan){
               .bundle_cells = 2, .bundle_start = 0x100000000, .bundle_end = 0x100000010 }) == NULL);
    EXPECT_EQ(boot.bundle_base, 0x100000000);
}

static void test_an_initrd_without_a_start_or_an_end_is_refused(void **state)
{
    static const char *const names[] = { "linux,initrd-start", "linux,initrd-end" };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        make(&(struct plan){ .bundle_cells = 2, .bundle_start = 0, .bundle_end = 0x1000 });
        check(fdt_open_into(tree, tree, sizeof(tree)));
        check(fdt_nop_property(tree, fdt_path_offset(tree, "/chosen"), names[i]));
        expect_error(read_all(), malformed);
    }
}

static void test_the_time_bases_frequency_is_the_first_that_is_said(void **state)
{
    (void)state;
    EXPECT(read_plan(&(struct plan){ .frequency_of_all = true }) == NULL);
    EXPECT_EQ(boot.timebase_hz, 66000000);
}

static void test_the_serial_clock_is_the_first_ports(void **state)
{
    (void)state;
    EXPECT(read_plan(&(struct plan){ 0 }) == NULL);
    EXPECT_EQ(boot.serial_clock_hz, 33333333);
}

static void test_reserved_memory_is_a_reserved_region(void **state)
{
    (void)state;
    check(fdt_create(tree, sizeof(tree)));
    check(fdt_add_reservemap_entry(tree, 0x100000, 0x3000));
    check(fdt_add_reservemap_entry(tree, 0, 0x1000));
    check(fdt_finish_reservemap(tree));
    check(fdt_begin_node(tree, ""));
    add_memory(&(struct plan){ .memory = (const uint8_t[]){ 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0 },
                               .memory_bytes = 12 });
    add_processors(&(struct plan){ 0 });
    finish();
    EXPECT(read_all() == NULL); // the cells are 2 and 1 if nobody says otherwise
    EXPECT_EQ(info.region_count, 3);
    expect_region(1, 0x100000, 0x3000, BOOT_REGION_RESERVED);
    expect_region(2, 0, 0x1000, BOOT_REGION_RESERVED);
}

static void test_properties_of_other_nodes_do_not_count(void **state)
{
    (void)state;
    begin(&(struct plan){ 0 });
    add_memory(&(struct plan){ 0 });
    check(fdt_begin_node(tree, "memories"));
    add_number("reg", 2, 5);
    check(fdt_begin_node(tree, "chosen"));
    check(fdt_property_string(tree, "bootargs", "not this"));
    check(fdt_end_node(tree));
    check(fdt_end_node(tree));
    add_processors(&(struct plan){ 0 });
    finish();
    EXPECT(read_all() == NULL);
    assert_string_equal(info.command, "");
    EXPECT_EQ(info.region_count, 1);
    EXPECT_EQ(boot.serial_clock_hz, 0);
}

static void test_gaps_in_the_structure_are_passed_over(void **state)
{
    (void)state;
    make(&(struct plan){ .command = "a" });
    check(fdt_open_into(tree, tree, sizeof(tree)));
    check(fdt_nop_property(tree, fdt_path_offset(tree, "/"), "model"));
    check(fdt_nop_node(tree, fdt_path_offset(tree, "/soc")));
    EXPECT(read_all() == NULL);
    assert_string_equal(boot.model, "");
    assert_string_equal(info.command, "a");
    EXPECT_EQ(boot.serial_clock_hz, 0);
}

/* --- what is refused --- */

static void test_a_tree_without_memory_is_refused(void **state)
{
    (void)state;
    expect_error(read_plan(&(struct plan){ .no_memory = true }),
                 "the device tree does not say what memory there is");
}

static void test_a_tree_without_a_time_base_is_refused(void **state)
{
    (void)state;
    expect_error(read_plan(&(struct plan){ .no_frequency = true }),
                 "the device tree does not say how fast the time base counts");
}

static void test_what_is_no_tree_is_refused(void **state)
{
    (void)state;
    make(&(struct plan){ 0 });
    tree[3] ^= 1;
    expect_error(read_all(), "the loader gave no device tree");
    tree[3] ^= 1;
    fdt_set_last_comp_version(tree, 18);
    expect_error(read_all(), "the device tree is of a version that the hypervisor does not know");
}

static void test_a_tree_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    make(&(struct plan){ .command = "a b c", .bundle_cells = 2 });
    const uint32_t size = fdt_totalsize(tree);
    for (uint32_t part = 0; part < size; part++) {
        EXPECT(read_part(part) != NULL);
    }
    // Even where its header says so, as long as anything of it lies beyond.
    const uint32_t end = fdt_off_dt_strings(tree) + fdt_size_dt_strings(tree);
    for (uint32_t part = 40; part < end; part++) {
        fdt_set_totalsize(tree, part);
        EXPECT(read_part(part) != NULL);
    }
}

static void test_blocks_outside_the_tree_are_refused(void **state)
{
    (void)state;
    for (unsigned field = 4; field <= 36; field += 4) {
        if (field >= 20 && field <= 28) {
            continue; // versions, and the processor that boots
        }
        make(&(struct plan){ 0 });
        memset(tree + field, 0xff, 4);
        expect_error(read_part(4096), malformed);
    }
}

static void test_any_byte_changed_breaks_nothing(void **state)
{
    (void)state;
    static const uint8_t values[] = { 0x00, 0x01, 0x02, 0x7f, 0x80, 0xff };
    make(&(struct plan){
        .command = "a b c", .bundle_cells = 1, .bundle_start = 0x1000, .bundle_end = 0x2000 });
    const uint32_t size = fdt_totalsize(tree);
    for (uint32_t at = 0; at < size; at++) {
        const uint8_t was = tree[at];
        for (unsigned i = 0; i < sizeof(values); i++) {
            tree[at] = values[i];
            const char *const error = read_part(size);
            EXPECT(error != NULL || (info.region_count >= 1 && boot.memory_bytes != 0));
        }
        tree[at] = was;
    }
    EXPECT(read_part(size) == NULL);
}

static void test_cells_that_there_cannot_be_are_refused(void **state)
{
    (void)state;
    for (unsigned cells = 3; cells < 6; cells++) {
        expect_error(read_plan(&(struct plan){ .address_cells = cells }), malformed);
        expect_error(read_plan(&(struct plan){ .size_cells = cells }), malformed);
    }
    make(&(struct plan){ 0 });
    check(fdt_setprop_inplace_u32(tree, 0, "#size-cells", 0));
    expect_error(read_all(), malformed);
}

static void test_memory_that_is_no_whole_number_of_ranges_is_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[24] = { [12] = 0x10 };
    for (unsigned size = 17; size < 24; size++) {
        expect_error(read_plan(&(struct plan){ .memory = bytes, .memory_bytes = size }), malformed);
    }
}

static void test_memory_that_goes_round_the_end_of_addresses_is_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[16] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0
    };
    expect_error(read_plan(&(struct plan){ .memory = bytes, .memory_bytes = sizeof(bytes) }), malformed);
}

static void test_a_bundle_that_ends_before_it_begins_is_refused(void **state)
{
    (void)state;
    expect_error(read_plan(&(struct plan){ .bundle_cells = 1, .bundle_start = 0x2000, .bundle_end = 0x1fff }),
                 malformed);
}

static void test_numbers_of_odd_sizes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *node, *name;
    } numbers[] = { { "/chosen", "linux,initrd-start" },
                    { "/chosen", "linux,initrd-end" },
                    { "/cpus/PowerPC,8544@0", "timebase-frequency" },
                    { "/soc/serial", "clock-frequency" },
                    { "/", "#address-cells" } };
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        make(&(struct plan){ .bundle_cells = 1 });
        check(fdt_open_into(tree, tree, sizeof(tree)));
        check(fdt_setprop(tree, fdt_path_offset(tree, numbers[i].node), numbers[i].name, "123", 3));
        expect_error(read_all(), malformed);
    }
}

static void test_a_frequency_of_more_than_32_bits_is_refused(void **state)
{
    (void)state;
    make(&(struct plan){ 0 });
    check(fdt_open_into(tree, tree, sizeof(tree)));
    check(fdt_setprop_u64(tree, fdt_path_offset(tree, "/cpus/PowerPC,8544@0"), "timebase-frequency",
                          UINT64_C(1) << 32));
    expect_error(read_all(), malformed);
}

static void test_more_ranges_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    static uint8_t ranges[(BOOT_REGIONS_MAX + 1) * 8];
    for (unsigned i = 0; i <= BOOT_REGIONS_MAX; i++) {
        ranges[(size_t)i * 8 + 1] = (uint8_t)i;
        ranges[(size_t)i * 8] = (uint8_t)(i >> 8);
        ranges[(size_t)i * 8 + 6] = 0x10;
    }
    const struct plan plan = {
        .address_cells = 1, .size_cells = 1, .memory = ranges, .memory_bytes = sizeof(ranges)
    };
    expect_error(read_plan(&plan), too_much);
    struct plan less = plan;
    less.memory_bytes -= 8;
    EXPECT(read_plan(&less) == NULL);
    // No room for what is reserved, either.
    less.bundle_cells = 1;
    less.bundle_end = 16;
    expect_error(read_plan(&less), too_much);
}

static void test_a_command_line_longer_than_there_is_room_for_is_refused(void **state)
{
    (void)state;
    static char line[BOOT_TEXT_BYTES + 1];
    memset(line, 'a', BOOT_TEXT_BYTES);
    expect_error(read_plan(&(struct plan){ .command = line }), too_much);
}

static void test_nodes_too_deep_are_refused(void **state)
{
    (void)state;
    for (unsigned depth = 10; depth < 40; depth++) {
        begin(&(struct plan){ 0 });
        add_memory(&(struct plan){ 0 });
        add_processors(&(struct plan){ 0 });
        for (unsigned i = 1; i < depth; i++) {
            check(fdt_begin_node(tree, "deep"));
        }
        for (unsigned i = 1; i < depth; i++) {
            check(fdt_end_node(tree));
        }
        finish();
        if (depth <= 15) {
            EXPECT(read_all() == NULL);
        } else {
            expect_error(read_all(), malformed);
        }
    }
}

/* A structure of these words, in a tree that is right otherwise. */
static const char *read_words(const uint32_t *words, unsigned count)
{
    make(&(struct plan){ 0 });
    uint8_t *const structure = tree + fdt_off_dt_struct(tree);
    memset(structure, 0, fdt_size_dt_struct(tree));
    for (unsigned i = 0; i < count; i++) {
        fdt32_st(structure + (size_t)i * 4, words[i]);
    }
    return read_all();
}

static void test_a_structure_without_sense_is_refused(void **state)
{
    (void)state;
    expect_error(read_words((const uint32_t[]){ 2, 9 }, 2), malformed);          // an end of nothing
    expect_error(read_words((const uint32_t[]){ 3, 0, 0, 9 }, 4), malformed);    // a property of nothing
    expect_error(read_words((const uint32_t[]){ 1, 0, 9 }, 3), malformed);       // a node without an end
    expect_error(read_words((const uint32_t[]){ 1, 0, 5, 2, 9 }, 5), malformed); // no token
    expect_error(read_words((const uint32_t[]){ 1, 0, 3, 0, 0xffff, 2, 9 }, 7),
                 malformed); // a name outside the strings
    expect_error(read_words((const uint32_t[]){ 1, 0, 3, 0xffffffff, 0, 2, 9 }, 7), malformed);
    expect_error(read_words((const uint32_t[]){ 1, 0, 2, 9 }, 4),
                 "the device tree does not say what memory there is");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_small_tree_is_read),
        cmocka_unit_test(test_what_was_there_before_is_cleared),
        cmocka_unit_test(test_memory_is_read_by_the_roots_cells),
        cmocka_unit_test(test_each_range_of_memory_is_a_region),
        cmocka_unit_test(test_the_command_line_is_copied),
        cmocka_unit_test(test_the_bundle_is_where_the_initrd_is_and_reserved),
        cmocka_unit_test(test_an_initrd_without_a_start_or_an_end_is_refused),
        cmocka_unit_test(test_the_time_bases_frequency_is_the_first_that_is_said),
        cmocka_unit_test(test_the_serial_clock_is_the_first_ports),
        cmocka_unit_test(test_reserved_memory_is_a_reserved_region),
        cmocka_unit_test(test_properties_of_other_nodes_do_not_count),
        cmocka_unit_test(test_gaps_in_the_structure_are_passed_over),
        cmocka_unit_test(test_a_tree_without_memory_is_refused),
        cmocka_unit_test(test_a_tree_without_a_time_base_is_refused),
        cmocka_unit_test(test_what_is_no_tree_is_refused),
        cmocka_unit_test(test_a_tree_cut_short_anywhere_is_refused),
        cmocka_unit_test(test_blocks_outside_the_tree_are_refused),
        cmocka_unit_test(test_any_byte_changed_breaks_nothing),
        cmocka_unit_test(test_cells_that_there_cannot_be_are_refused),
        cmocka_unit_test(test_memory_that_is_no_whole_number_of_ranges_is_refused),
        cmocka_unit_test(test_memory_that_goes_round_the_end_of_addresses_is_refused),
        cmocka_unit_test(test_a_bundle_that_ends_before_it_begins_is_refused),
        cmocka_unit_test(test_numbers_of_odd_sizes_are_refused),
        cmocka_unit_test(test_a_frequency_of_more_than_32_bits_is_refused),
        cmocka_unit_test(test_more_ranges_than_there_is_room_for_are_refused),
        cmocka_unit_test(test_a_command_line_longer_than_there_is_room_for_is_refused),
        cmocka_unit_test(test_nodes_too_deep_are_refused),
        cmocka_unit_test(test_a_structure_without_sense_is_refused),
    };
    return RUN_TESTS(tests);
}
