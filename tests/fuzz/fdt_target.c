/*
 * Flattened device trees from anybody: the reader and the editor.
 *
 * Input: a byte with the number of edits, 16 bits of room to grow, the edits (8 bytes each), then the tree. What is accepted is
 * walked in every way there is; after the edits it is a tree that is accepted again, with as many nodes as it was edited to have.
 */
#include "hv/guest/fdt.h"

#include "tests/fuzz/input.h"

#define EDITS      16
#define EDIT_BYTES 8
#define NODES_MOST 100000

static const char *const names[] = { "reg",    "compatible",     "x", "linux,initrd-start",
                                     "status", "#address-cells", "",  "a-long-name-of-a-property" };
static const char *const paths[] = { "/",     "/chosen", "/memory", "/soc", "/soc/serial@4500",
                                     "/cpus", "/a/b/c",  "" };

/* --- reading --- */

static void read_properties(const struct fdt *fdt, struct fdt_node parent, struct fdt_node node)
{
    struct fdt_range range;
    uint32_t cell;
    uint64_t number;

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct fdt_value value = fdt_find_property(fdt, node, names[i]);
        const char *text = fdt_text(fdt, node, names[i]);

        FUZZ_CHECK(value.bytes != NULL || value.count == 0);
        for (uint32_t at = 0; at < value.count; at++)
            FUZZ_CHECK(value.bytes[at] + 1 != 0);
        FUZZ_CHECK(text == NULL || strlen(text) + 1 == value.count);
        FUZZ_CHECK(fdt_cell(fdt, node, names[i], 0, &cell) == (value.count >= 4));
        FUZZ_CHECK(fdt_number(fdt, node, names[i], &number) == (value.count == 4 || value.count == 8));
    }
    for (unsigned i = 0; i < 4; i++)
        (void)fdt_reg(fdt, parent, node, i * 0x10000001u, &range);
}

/* All nodes below @parent, itself too. */
static unsigned walk(const struct fdt *fdt, struct fdt_node parent, unsigned depth)
{
    struct fdt_node child;
    unsigned count = 1;

    FUZZ_CHECK(depth < FDT_DEPTH_MAXIMUM);
    for (bool more = fdt_first_child(fdt, parent, &child); more; more = fdt_next_child(fdt, &child)) {
        FUZZ_CHECK(child.at > parent.at && strlen(fdt_name(fdt, child)) < fdt->structure_bytes);
        read_properties(fdt, parent, child);
        count += walk(fdt, child, depth + 1);
        FUZZ_CHECK(count < NODES_MOST);
    }
    return count;
}

static unsigned read_tree(const struct fdt *fdt)
{
    struct fdt_node node = fdt_root(fdt);
    struct fdt_range range;
    unsigned found = 0;

    for (unsigned i = 0; fdt_reservation(fdt, i, &range); i++)
        FUZZ_CHECK(i < fdt->total_bytes);
    while (fdt_next_compatible(fdt, "ns16550", &node))
        FUZZ_CHECK(++found < NODES_MOST);
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        (void)fdt_find(fdt, paths[i], &node);
    read_properties(fdt, fdt_root(fdt), fdt_root(fdt));
    return walk(fdt, fdt_root(fdt), 0);
}

/* --- editing --- */

/* One edit; by how many nodes the tree changes if there is room. */
static int edit(struct fdt_editor *editor, struct input *input)
{
    const uint8_t what = input_u8(input);
    const char *path = paths[input_below(input, 8)];
    const char *name = names[input_below(input, 8)];
    const uint8_t count = input_u8(input);
    const uint32_t value = input_u32(input);
    uint8_t bytes[256];
    struct fdt_node node;

    memset(bytes, (int)value, sizeof(bytes));
    if (!fdt_find(&editor->fdt, path, &node))
        return 0;
    switch (what % 8) {
    case 0: fdt_set(editor, node, name, bytes, count); return 0;
    case 1: fdt_set_cell(editor, node, name, value); return 0;
    case 2: fdt_set_number(editor, node, name, value); return 0;
    case 3: fdt_set_text(editor, node, name, path); return 0;
    case 4: fdt_remove(editor, node, name); return 0;
    case 5: (void)fdt_add_node(editor, node, name); return editor->overflow ? 0 : 1;
    case 6: fdt_reserve(editor, &(struct fdt_range){ value | 1, count }); return 0;
    default: break;
    }
    if (node.at != fdt_root(&editor->fdt).at && !editor->overflow) {
        const unsigned below = walk(&editor->fdt, node, 0);

        fdt_remove_node(editor, node);
        return -(int)below;
    }
    return 0;
}

static void edit_tree(const struct fdt *fdt, unsigned nodes, unsigned edits, struct input *input)
{
    const uint32_t room = fdt->total_bytes + 64 + input_u16(input) % 1024;
    uint8_t *buffer = malloc(room);
    struct fdt_editor editor;
    struct fdt again;
    uint32_t total;
    const char *error;

    FUZZ_CHECK(buffer != NULL);
    if (fdt_edit(fdt, buffer, room, &editor) == VMMU_OK) {
        FUZZ_CHECK(read_tree(&editor.fdt) == nodes);
        for (unsigned i = 0; i < edits; i++)
            nodes += (unsigned)edit(&editor, input);
        FUZZ_CHECK((fdt_editor_finish(&editor, &total) == VMMU_OK) == !editor.overflow);
        FUZZ_CHECK(total <= room);
        if (fdt_open(buffer, total, &again, &error) == VMMU_OK) {
            FUZZ_CHECK(read_tree(&again) == nodes);
        } else {
            FUZZ_CHECK(nodes > FDT_DEPTH_MAXIMUM); /* nested too deeply by us */
        }
    }
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    const unsigned edits = input_below(&input, EDITS + 1);
    const size_t skipped = 3 + (size_t)edits * EDIT_BYTES;
    uint8_t *tree;
    struct fdt fdt;
    const char *error = NULL;

    if (size <= skipped)
        return 0;
    tree = malloc(size - skipped);
    FUZZ_CHECK(tree != NULL);
    memcpy(tree, data + skipped, size - skipped);
    if (fdt_open(tree, size - skipped, &fdt, &error) == VMMU_OK) {
        edit_tree(&fdt, read_tree(&fdt), edits, &input);
    } else {
        FUZZ_CHECK(error != NULL);
    }
    free(tree);
    return 0;
}
