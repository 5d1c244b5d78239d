/* Editing device trees: what libfdt reads afterwards. */
#include "tests/unit/guest/trees.h"
#include "tests/unit/test.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 4096

static struct tree tree;
static struct fdt_editor editor;
static uint8_t *buffer;

/* An editor of the example with @room bytes, all that may be written. */
static void edit(uint32_t room)
{
    struct fdt fdt;

    tree = tree_of(tree_example);
    fdt = tree_open(&tree);
    buffer = malloc(room);
    if (buffer == NULL) {
        abort();
    }
    memset(buffer, 0xA5, room);
    EXPECT_EQ(fdt_edit(&fdt, buffer, room, &editor), VMMU_OK);
}

/* The edited tree is sound, for us and for libfdt. */
static void check(void)
{
    uint32_t total;
    struct fdt fdt;
    const char *error = NULL;

    EXPECT_EQ(fdt_editor_finish(&editor, &total), VMMU_OK);
    EXPECT_EQ(fdt_check_full(buffer, total), 0);
    EXPECT_EQ(fdt_totalsize(buffer), total);
    if (fdt_open(buffer, total, &fdt, &error) != VMMU_OK)
        fail_msg("%s", error);
    EXPECT(memcmp(&fdt, &editor.fdt, sizeof(fdt)) == 0);
}

static void done(void)
{
    tree_free(&tree);
    free(buffer);
}

static struct fdt_node find(const char *path)
{
    struct fdt_node node;

    if (!fdt_find(&editor.fdt, path, &node))
        fail_msg("no node %s", path);
    return node;
}

/* As libfdt reads it. */
static void expect_property(const char *path, const char *name, const void *bytes, int count)
{
    int length = -1;
    const void *value = fdt_getprop(buffer, fdt_path_offset(buffer, path), name, &length);

    EXPECT_EQ(length, count);
    EXPECT(value != NULL && memcmp(value, bytes, (size_t)count) == 0);
}

static void test_a_copy_is_the_same_tree(void **state)
{
    uint64_t base;
    uint64_t size;

    (void)state;
    edit(ROOM);
    check();
    EXPECT_EQ(fdt_num_mem_rsv(buffer), 2);
    EXPECT_EQ(fdt_get_mem_rsv(buffer, 1, &base, &size), 0);
    EXPECT_EQ(base, 0x123400000);
    expect_property("/deep/a/b/c", "odd", "\1\2\3", 3);
    done();
}

static void test_a_copy_needs_its_room(void **state)
{
    struct fdt fdt;
    uint8_t small[256];

    (void)state;
    tree = tree_of(tree_example);
    fdt = tree_open(&tree);
    EXPECT_EQ(fdt_edit(&fdt, small, sizeof(small), &editor), VMMU_NO_MEMORY);
    tree_free(&tree);
}

static void test_a_new_property_is_read_back(void **state)
{
    (void)state;
    edit(ROOM);
    fdt_set(&editor, find("/soc/serial@4600"), "fresh", "12345", 5);
    check();
    expect_property("/soc@fe0000000/serial@4600", "fresh", "12345", 5);
    expect_property("/soc@fe0000000/serial@4600", "compatible", "ns16550", 8);
    done();
}

static void test_a_property_grows_and_shrinks(void **state)
{
    static const uint32_t sizes[] = { 100, 3, 0, 1, 64, 63, 4 };
    uint8_t bytes[100];

    (void)state;
    memset(bytes, 0x5A, sizeof(bytes));
    edit(ROOM);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fdt_set(&editor, find("/memory"), "reg", bytes, sizes[i]);
        check();
        expect_property("/memory@0", "reg", bytes, (int)sizes[i]);
        expect_property("/deep/a/b/c", "odd", "\1\2\3", 3);
    }
    done();
}

static void test_a_name_that_is_there_is_not_stored_twice(void **state)
{
    uint32_t strings;

    (void)state;
    edit(ROOM);
    strings = editor.fdt.strings_bytes;
    fdt_set_cell(&editor, find("/deep"), "reg", 1);
    EXPECT_EQ(editor.fdt.strings_bytes, strings);
    fdt_set_cell(&editor, find("/deep"), "of-it", 1); /* the end of another */
    EXPECT_EQ(editor.fdt.strings_bytes, strings);
    check();
    expect_property("/deep", "of-it", "\0\0\0\1", 4);
    done();
}

static void test_texts_cells_and_numbers_are_written_big_endian(void **state)
{
    (void)state;
    edit(ROOM);
    fdt_set_text(&editor, find("/deep"), "text", "words");
    fdt_set_cell(&editor, find("/deep"), "cell", 0x12345678);
    fdt_set_number(&editor, find("/deep"), "number", 0x123456789ABCDEF0);
    check();
    expect_property("/deep", "text", "words", 6);
    expect_property("/deep", "cell", "\x12\x34\x56\x78", 4);
    expect_property("/deep", "number", "\x12\x34\x56\x78\x9A\xBC\xDE\xF0", 8);
    done();
}

static void test_a_removed_property_is_gone(void **state)
{
    (void)state;
    edit(ROOM);
    fdt_remove(&editor, find("/memory"), "reg");
    fdt_remove(&editor, find("/memory"), "never-there");
    check();
    EXPECT(fdt_getprop(buffer, fdt_path_offset(buffer, "/memory"), "reg", NULL) == NULL);
    done();
}

static void test_a_new_node_comes_before_the_others(void **state)
{
    struct fdt_node node;
    struct fdt_node child;

    (void)state;
    edit(ROOM);
    node = fdt_add_node(&editor, find("/soc"), "serial@4400");
    fdt_set_cell(&editor, node, "reg", 0x4400);
    check();
    EXPECT(fdt_first_child(&editor.fdt, find("/soc"), &child));
    EXPECT_EQ(child.at, node.at);
    expect_property("/soc/serial@4400", "reg", "\0\0\x44\0", 4);
    expect_property("/soc/serial@4500", "reg", "\0\0\x45\0\0\0\1\0", 8);
    done();
}

static void test_a_removed_node_takes_all_below_it_along(void **state)
{
    (void)state;
    edit(ROOM);
    fdt_remove_node(&editor, find("/deep/a"));
    check();
    EXPECT(fdt_path_offset(buffer, "/deep") >= 0);
    EXPECT(fdt_path_offset(buffer, "/deep/a") < 0);
    fdt_remove_node(&editor, find("/soc"));
    check();
    EXPECT(fdt_path_offset(buffer, "/soc") < 0);
    EXPECT(fdt_path_offset(buffer, "/serial") >= 0);
    done();
}

static void test_a_reservation_is_added(void **state)
{
    const struct fdt_range range = { 0x4000000, 0x1000 };
    uint64_t base;
    uint64_t size;

    (void)state;
    edit(ROOM);
    fdt_reserve(&editor, &range);
    check();
    EXPECT_EQ(fdt_num_mem_rsv(buffer), 3);
    EXPECT_EQ(fdt_get_mem_rsv(buffer, 0, &base, &size), 0);
    EXPECT(base == range.base && size == range.size);
    done();
}

static void test_a_tree_without_any_property_takes_one(void **state)
{
    struct tree empty = tree_of("/dts-v1/; / { a { }; };");
    struct fdt fdt = tree_open(&empty);

    (void)state;
    tree = empty;
    buffer = malloc(ROOM);
    EXPECT_EQ(fdt_edit(&fdt, buffer, ROOM, &editor), VMMU_OK);
    fdt_set_text(&editor, find("/a"), "name", "value");
    check();
    expect_property("/a", "name", "value", 6);
    done();
}

/* The buffer ends anywhere: each edit is done, or not at all. */
static void test_edits_without_room_change_nothing(void **state)
{
    const struct fdt_range range = { 1, 2 };
    uint32_t total = 0;

    (void)state;
    edit(ROOM);
    total = editor.fdt.total_bytes;
    done();
    for (uint32_t extra = 0; extra < 64; extra++) {
        edit(total + extra);
        fdt_set_text(&editor, find("/soc"), "a-new-name", "and a text");
        if (editor.overflow)
            EXPECT_EQ(editor.fdt.total_bytes, total);
        fdt_add_node(&editor, find("/deep"), "another-node-here");
        fdt_reserve(&editor, &range);
        fdt_set(&editor, find("/memory"), "reg", "123456789 123456789 123456789 123456789", 40);
        if (extra < 24) {
            EXPECT(editor.overflow);
            EXPECT_EQ(fdt_editor_finish(&editor, &total), VMMU_NO_MEMORY);
        }
        EXPECT_EQ(fdt_check_full(buffer, editor.fdt.total_bytes), 0);
        done();
    }
}

static void test_nothing_is_edited_after_an_overflow(void **state)
{
    uint32_t total;

    (void)state;
    edit(ROOM);
    total = editor.fdt.total_bytes;
    done();
    edit(total);
    fdt_set_text(&editor, find("/soc"), "a-new-name", "text");
    fdt_remove_node(&editor, find("/deep"));
    fdt_remove(&editor, find("/memory"), "reg");
    EXPECT_EQ(editor.fdt.total_bytes, total);
    EXPECT_EQ(fdt_editor_finish(&editor, &total), VMMU_NO_MEMORY);
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_is_the_same_tree),
        cmocka_unit_test(test_a_copy_needs_its_room),
        cmocka_unit_test(test_a_new_property_is_read_back),
        cmocka_unit_test(test_a_property_grows_and_shrinks),
        cmocka_unit_test(test_a_name_that_is_there_is_not_stored_twice),
        cmocka_unit_test(test_texts_cells_and_numbers_are_written_big_endian),
        cmocka_unit_test(test_a_removed_property_is_gone),
        cmocka_unit_test(test_a_new_node_comes_before_the_others),
        cmocka_unit_test(test_a_removed_node_takes_all_below_it_along),
        cmocka_unit_test(test_a_reservation_is_added),
        cmocka_unit_test(test_a_tree_without_any_property_takes_one),
        cmocka_unit_test(test_edits_without_room_change_nothing),
        cmocka_unit_test(test_nothing_is_edited_after_an_overflow),
    };

    return RUN_TESTS(tests);
}
