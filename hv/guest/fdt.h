/*
 * Flattened device trees: a reader that trusts nothing, and an editor of a copy.
 *
 * fdt_open() checks all of a tree once; what it accepts is then walked without further checks. Nodes are named by where they
 * stand in the structure block: an edit makes every node that was found before it invalid, but the ones it returns.
 * Pure; no globals, no allocation.
 * Spec: Devicetree Specification "Flattened Devicetree (DTB) Format".
 */
#ifndef HV_GUEST_FDT_H
#define HV_GUEST_FDT_H

#include <vmmu/base.h>

#define FDT_DEPTH_MAXIMUM 32

/* A tree that has been checked. The bytes are borrowed. */
struct fdt {
    const uint8_t *bytes;
    uint32_t total_bytes;
    uint32_t reservations; /* offsets and sizes of the blocks */
    uint32_t structure;
    uint32_t structure_bytes;
    uint32_t strings;
    uint32_t strings_bytes;
};

/* A node of one tree: where its FDT_BEGIN_NODE token is in the structure block. */
struct fdt_node {
    uint32_t at;
};

/* The value of a property; `bytes` is NULL if there is no such property. */
struct fdt_value {
    const uint8_t *bytes;
    uint32_t count;
};

/**
 * Check the tree that starts at @bytes; @size bytes may be read.
 *
 * Returns
 *   VMMU_OK       *fdt may be read
 *   VMMU_INVALID  *error is a sentence
 */
VMMU_MUST_USE
enum vmmu_status fdt_open(const uint8_t *bytes, uint64_t size, struct fdt *fdt, const char **error);

struct fdt_node fdt_root(const struct fdt *fdt);

/* The node's name, with its unit address; empty for the root. */
const char *fdt_name(const struct fdt *fdt, struct fdt_node node);

/* The first child of @parent, and the next behind @child. False: there is none. */
bool fdt_first_child(const struct fdt *fdt, struct fdt_node parent, struct fdt_node *child);
bool fdt_next_child(const struct fdt *fdt, struct fdt_node *child);

/*
 * The node of that path ("/soc/serial@4500"). A part without a unit address names the first node that has that name, whatever
 * its address. False: there is none.
 */
bool fdt_find(const struct fdt *fdt, const char *path, struct fdt_node *node);

/* The first node, in the tree's order, behind *node whose `compatible` lists @compatible. Start at the root, which is not looked at. */
bool fdt_next_compatible(const struct fdt *fdt, const char *compatible, struct fdt_node *node);

struct fdt_value fdt_find_property(const struct fdt *fdt, struct fdt_node node, const char *name);

/* A property that is one text; NULL if there is none or it is not terminated. */
const char *fdt_text(const struct fdt *fdt, struct fdt_node node, const char *name);

/* Cell @index (32 bits) of a property; false if it is not that long. */
bool fdt_cell(const struct fdt *fdt, struct fdt_node node, const char *name, unsigned index, uint32_t *cell);

/* A number of one or two cells: what `linux,initrd-start` and its like are. */
bool fdt_number(const struct fdt *fdt, struct fdt_node node, const char *name, uint64_t *number);

/*
 * Pair @index of `reg`, whose cells are counted by @parent's #address-cells and #size-cells (2 and 1 if it does not say). False:
 * there is none, or a number has more than 64 bits.
 */
struct fdt_range {
    uint64_t base;
    uint64_t size;
};
bool fdt_reg(const struct fdt *fdt, struct fdt_node parent, struct fdt_node node, unsigned index,
             struct fdt_range *range);

/* Entry @index of the memory reservation block; false at its end. */
bool fdt_reservation(const struct fdt *fdt, unsigned index, struct fdt_range *range);

/* --- editing --- */

/*
 * A copy of a tree in a buffer with room to grow. An edit that finds no room changes nothing, and neither does any that
 * follows: fdt_editor_finish() tells.
 */
struct fdt_editor {
    struct fdt fdt; /* read it at any time */
    uint8_t *buffer;
    uint32_t room_bytes;
    bool overflow;
};

/**
 * Copy @fdt to @buffer, which is borrowed as long as the editor is used.
 *
 * Returns
 *   VMMU_OK         done
 *   VMMU_NO_MEMORY  @room_bytes are too few
 */
VMMU_MUST_USE
enum vmmu_status fdt_edit(const struct fdt *fdt, uint8_t *buffer, uint32_t room_bytes,
                          struct fdt_editor *editor);

/* Have property @name of @node be @count bytes, whether it was there or not. @node stays valid. */
void fdt_set(struct fdt_editor *editor, struct fdt_node node, const char *name, const void *bytes,
             uint32_t count);
void fdt_set_text(struct fdt_editor *editor, struct fdt_node node, const char *name, const char *text);
void fdt_set_cell(struct fdt_editor *editor, struct fdt_node node, const char *name, uint32_t cell);

/* Two cells, the high one first. */
void fdt_set_number(struct fdt_editor *editor, struct fdt_node node, const char *name, uint64_t number);

/* Remove property @name of @node if it is there. @node stays valid. */
void fdt_remove(struct fdt_editor *editor, struct fdt_node node, const char *name);

/* A new child of @parent, behind its properties and before its other children. @parent stays valid. */
struct fdt_node fdt_add_node(struct fdt_editor *editor, struct fdt_node parent, const char *name);

/* Remove @node, which is not the root, and all below it. */
void fdt_remove_node(struct fdt_editor *editor, struct fdt_node node);

/* Keep [base, base + size) from those who look for free memory. */
void fdt_reserve(struct fdt_editor *editor, const struct fdt_range *range);

/**
 * The tree is done: it starts at the buffer's first byte.
 *
 * Returns
 *   VMMU_OK         *total_bytes is its size
 *   VMMU_NO_MEMORY  the buffer was too small
 */
VMMU_MUST_USE
enum vmmu_status fdt_editor_finish(const struct fdt_editor *editor, uint32_t *total_bytes);

#endif
