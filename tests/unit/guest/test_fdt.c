/* Reading device trees, as dtc makes them and as nobody should. Spec: Devicetree Specification. */
#include "tests/unit/guest/trees.h"
#include "tests/unit/test.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

static struct tree tree;
static struct fdt fdt;

static int open_example(void **state)
{
    (void)state;
    tree = tree_of(tree_example);
    fdt = tree_open(&tree);
    return 0;
}

static int close_example(void **state)
{
    (void)state;
    tree_free(&tree);
    return 0;
}

static struct fdt_node find(const char *path)
{
    struct fdt_node node;

    if (!fdt_find(&fdt, path, &node))
        fail_msg("no node %s", path);
    return node;
}

static bool exists(const char *path)
{
    struct fdt_node node;

    return fdt_find(&fdt, path, &node);
}

/* --- nodes --- */

static void test_the_root_has_no_name(void **state)
{
    (void)state;
    EXPECT(strcmp(fdt_name(&fdt, fdt_root(&fdt)), "") == 0);
    EXPECT_EQ(find("/").at, fdt_root(&fdt).at);
    EXPECT_EQ(find("").at, fdt_root(&fdt).at);
}

static void test_children_come_in_their_order(void **state)
{
    static const char *const names[] = { "memory@0", "soc@fe0000000", "serial", "deep" };
    struct fdt_node child;
    bool more = fdt_first_child(&fdt, fdt_root(&fdt), &child);

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(more && strcmp(fdt_name(&fdt, child), names[i]) == 0);
        more = fdt_next_child(&fdt, &child);
    }
    EXPECT(!more);
    EXPECT(!fdt_first_child(&fdt, find("/serial"), &child));
}

static void test_paths_find_nodes_with_and_without_unit_address(void **state)
{
    (void)state;
    EXPECT(strcmp(fdt_name(&fdt, find("/soc@fe0000000/serial@4600")), "serial@4600") == 0);
    EXPECT(strcmp(fdt_name(&fdt, find("/soc/serial")), "serial@4500") == 0);
    EXPECT(strcmp(fdt_name(&fdt, find("/deep//a/b/c/")), "c") == 0);
    EXPECT(strcmp(fdt_name(&fdt, find("/serial")), "serial") == 0);
}

static void test_paths_that_lead_nowhere_find_nothing(void **state)
{
    (void)state;
    EXPECT(!exists("/so"));
    EXPECT(!exists("/soc@fe000000"));
    EXPECT(!exists("/soc/serial@"));
    EXPECT(!exists("/soc/serial@4500/x"));
    EXPECT(!exists("/serial@4500"));
}

static void test_compatible_nodes_are_found_in_the_trees_order(void **state)
{
    struct fdt_node node = fdt_root(&fdt);

    (void)state;
    EXPECT(fdt_next_compatible(&fdt, "ns16550", &node));
    EXPECT_EQ(node.at, find("/soc/serial@4500").at);
    EXPECT(fdt_next_compatible(&fdt, "ns16550", &node));
    EXPECT_EQ(node.at, find("/soc/serial@4600").at);
    EXPECT(!fdt_next_compatible(&fdt, "ns16550", &node)); /* ns16550a is another */
    node = fdt_root(&fdt);
    EXPECT(!fdt_next_compatible(&fdt, "ns1655", &node));
}

/* --- properties --- */

static void test_properties_have_their_bytes(void **state)
{
    struct fdt_value value = fdt_find_property(&fdt, find("/deep/a/b/c"), "odd");

    (void)state;
    EXPECT_EQ(value.count, 3);
    EXPECT(memcmp(value.bytes, "\1\2\3", 3) == 0);
    value = fdt_find_property(&fdt, fdt_root(&fdt), "empty");
    EXPECT(value.bytes != NULL && value.count == 0);
    EXPECT(fdt_find_property(&fdt, fdt_root(&fdt), "reg").bytes == NULL); /* of a child, not of this */
    EXPECT(fdt_find_property(&fdt, fdt_root(&fdt), "empt").bytes == NULL);
}

static void test_texts_are_terminated(void **state)
{
    (void)state;
    EXPECT(strcmp(fdt_text(&fdt, fdt_root(&fdt), "name-of-it"), "the root") == 0);
    EXPECT(fdt_text(&fdt, fdt_root(&fdt), "empty") == NULL);
    EXPECT(fdt_text(&fdt, find("/deep/a/b/c"), "odd") == NULL);
    EXPECT(fdt_text(&fdt, find("/soc/serial"), "compatible") == NULL); /* two texts */
}

static void test_cells_and_numbers_are_big_endian(void **state)
{
    const struct fdt_node c = find("/deep/a/b/c");
    uint32_t cell;
    uint64_t number;

    (void)state;
    EXPECT(fdt_cell(&fdt, c, "number", 1, &cell));
    EXPECT_EQ(cell, 2);
    EXPECT(!fdt_cell(&fdt, c, "number", 2, &cell));
    EXPECT(!fdt_cell(&fdt, c, "odd", 0, &cell));
    EXPECT(fdt_number(&fdt, c, "number", &number));
    EXPECT_EQ(number, 0x100000002);
    EXPECT(!fdt_number(&fdt, c, "odd", &number));
    EXPECT(fdt_number(&fdt, fdt_root(&fdt), "#size-cells", &number));
    EXPECT_EQ(number, 1);
}

static void test_reg_is_counted_by_the_parents_cells(void **state)
{
    struct fdt_range range;

    (void)state;
    EXPECT(fdt_reg(&fdt, fdt_root(&fdt), find("/memory"), 1, &range));
    EXPECT_EQ(range.base, 0xF00000200);
    EXPECT_EQ(range.size, 0x2000);
    EXPECT(!fdt_reg(&fdt, fdt_root(&fdt), find("/memory"), 2, &range));
    EXPECT(!fdt_reg(&fdt, fdt_root(&fdt), find("/memory"), UINT32_MAX, &range));
    EXPECT(fdt_reg(&fdt, find("/soc"), find("/soc/serial"), 0, &range));
    EXPECT_EQ(range.base, 0x4500);
    EXPECT(!fdt_reg(&fdt, find("/soc"), find("/deep"), 0, &range));
}

static void test_reservations_are_read_to_their_end(void **state)
{
    struct fdt_range range;

    (void)state;
    EXPECT(fdt_reservation(&fdt, 0, &range));
    EXPECT_EQ(range.base, 0x1000);
    EXPECT_EQ(range.size, 0x2000);
    EXPECT(fdt_reservation(&fdt, 1, &range));
    EXPECT_EQ(range.base, 0x123400000);
    EXPECT(!fdt_reservation(&fdt, 2, &range));
}

/* --- beside libfdt --- */

static void compare_properties(int offset, struct fdt_node node)
{
    int at;

    fdt_for_each_property_offset(at, tree.bytes, offset)
    {
        const char *name;
        int length;
        const void *bytes = fdt_getprop_by_offset(tree.bytes, at, &name, &length);
        const struct fdt_value value = fdt_find_property(&fdt, node, name);

        EXPECT_EQ(value.count, length);
        EXPECT(value.bytes == bytes);
    }
}

static unsigned compare_below(int parent, struct fdt_node ours)
{
    unsigned count = 1;
    int offset;
    struct fdt_node child;
    bool more = fdt_first_child(&fdt, ours, &child);

    EXPECT(strcmp(fdt_get_name(tree.bytes, parent, NULL), fdt_name(&fdt, ours)) == 0);
    compare_properties(parent, ours);
    fdt_for_each_subnode(offset, tree.bytes, parent)
    {
        EXPECT(more);
        count += compare_below(offset, child);
        more = fdt_next_child(&fdt, &child);
    }
    EXPECT(!more);
    return count;
}

static void test_the_whole_machines_tree_reads_as_by_libfdt(void **state)
{
    struct tree example = tree;
    const struct fdt example_fdt = fdt;

    (void)state;
    tree = tree_compile("hv/guest/e500.dts");
    fdt = tree_open(&tree);
    EXPECT_EQ(fdt_check_full(tree.bytes, tree.size), 0);
    EXPECT(compare_below(0, fdt_root(&fdt)) >= 14);
    tree_free(&tree);
    tree = example;
    fdt = example_fdt;
    EXPECT(compare_below(0, fdt_root(&fdt)) == 10);
}

/* --- damage --- */

static enum vmmu_status open_changed(uint32_t at, uint32_t value)
{
    uint8_t *copy = malloc(tree.size);
    struct fdt changed;
    const char *error = NULL;
    enum vmmu_status status;

    memcpy(copy, tree.bytes, tree.size);
    for (unsigned i = 0; i < 4; i++)
        copy[at + i] = (uint8_t)(value >> (24 - 8 * i));
    status = fdt_open(copy, tree.size, &changed, &error);
    EXPECT((status == VMMU_OK) == (error == NULL));
    free(copy);
    return status;
}

static void test_damaged_headers_are_refused(void **state)
{
    static const struct {
        uint32_t at;
        uint32_t value;
    } damages[] = {
        { 0, 0xD00DFEEE },  /* magic */
        { 4, UINT32_MAX },  /* total size */
        { 4, 8 },           /* likewise */
        { 8, 2 },           /* structure: misaligned */
        { 8, 0xFFFFFFF0 },  /* and outside */
        { 12, 0xFFFFFFF0 }, /* strings outside */
        { 16, 4 },          /* reservations misaligned */
        { 16, 0xFFFFFFF8 }, /* and outside */
        { 20, 16 },         /* a version without sizes */
        { 24, 18 },         /* one that is not compatible */
        { 32, UINT32_MAX }, /* sizes of the blocks */
        { 32, 1 },          /* strings that end in the middle of one */
        { 36, UINT32_MAX }, { 36, 0 }, { 36, 8 },
    };

    (void)state;
    EXPECT_EQ(open_changed(0, 0xD00DFEED), VMMU_OK);
    for (unsigned i = 0; i < sizeof(damages) / sizeof(damages[0]); i++)
        EXPECT_EQ(open_changed(damages[i].at, damages[i].value), VMMU_INVALID);
}

static void test_a_tree_that_is_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (uint32_t size = 0; size < tree.size; size++) {
        uint8_t *copy = malloc(size + 1);
        struct fdt cut;
        const char *error = NULL;

        memcpy(copy, tree.bytes, size);
        copy = realloc(copy, size ? size : 1);
        EXPECT_EQ(fdt_open(copy, size, &cut, &error), VMMU_INVALID);
        EXPECT(error != NULL);
        free(copy);
    }
}

/* Whatever the structure's words are replaced by: refused, or read without a step outside. */
static void test_damaged_structures_are_refused_or_sound(void **state)
{
    static const uint32_t values[] = { 0, 1, 2, 3, 4, 9, 5, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000 };
    unsigned refused = 0;

    (void)state;
    for (uint32_t at = fdt.structure; at < fdt.structure + fdt.structure_bytes; at += 4) {
        for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++)
            refused += open_changed(at, values[i]) == VMMU_INVALID;
    }
    EXPECT(refused > 100);
}

/* A tree of @depth nodes, each in the one before. */
static struct tree nested(unsigned depth)
{
    char source[1024];
    size_t at = 0;

    at += (size_t)snprintf(source + at, sizeof(source) - at, "/dts-v1/; / {");
    for (unsigned i = 1; i < depth; i++) {
        at += (size_t)snprintf(source + at, sizeof(source) - at, " a {");
    }
    for (unsigned i = 0; i < depth; i++) {
        at += (size_t)snprintf(source + at, sizeof(source) - at, " };");
    }
    return tree_of(source);
}

static void test_nodes_nested_too_deeply_are_refused(void **state)
{
    struct tree deep = nested(FDT_DEPTH_MAXIMUM);
    struct fdt opened;
    const char *error;

    (void)state;
    EXPECT_EQ(fdt_open(deep.bytes, deep.size, &opened, &error), VMMU_OK);
    tree_free(&deep);
    deep = nested(FDT_DEPTH_MAXIMUM + 1);
    EXPECT_EQ(fdt_open(deep.bytes, deep.size, &opened, &error), VMMU_INVALID);
    tree_free(&deep);
}

static void test_an_empty_tree_is_a_tree(void **state)
{
    struct tree empty = tree_of("/dts-v1/; / { };");
    const struct fdt opened = tree_open(&empty);
    struct fdt_node child;

    (void)state;
    EXPECT(!fdt_first_child(&opened, fdt_root(&opened), &child));
    EXPECT(fdt_find_property(&opened, fdt_root(&opened), "reg").bytes == NULL);
    tree_free(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_root_has_no_name),
        cmocka_unit_test(test_children_come_in_their_order),
        cmocka_unit_test(test_paths_find_nodes_with_and_without_unit_address),
        cmocka_unit_test(test_paths_that_lead_nowhere_find_nothing),
        cmocka_unit_test(test_compatible_nodes_are_found_in_the_trees_order),
        cmocka_unit_test(test_properties_have_their_bytes),
        cmocka_unit_test(test_texts_are_terminated),
        cmocka_unit_test(test_cells_and_numbers_are_big_endian),
        cmocka_unit_test(test_reg_is_counted_by_the_parents_cells),
        cmocka_unit_test(test_reservations_are_read_to_their_end),
        cmocka_unit_test(test_the_whole_machines_tree_reads_as_by_libfdt),
        cmocka_unit_test(test_damaged_headers_are_refused),
        cmocka_unit_test(test_a_tree_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(test_damaged_structures_are_refused_or_sound),
        cmocka_unit_test(test_nodes_nested_too_deeply_are_refused),
        cmocka_unit_test(test_an_empty_tree_is_a_tree),
    };

    return cmocka_run_group_tests(tests, open_example, close_example);
}
