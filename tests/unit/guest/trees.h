/* Device trees for tests, made by dtc and by libfdt. */
#ifndef TESTS_UNIT_GUEST_TREES_H
#define TESTS_UNIT_GUEST_TREES_H

#include "hv/guest/fdt.h"

/* A tree of exactly `size` bytes, so that a read beyond them is seen. Freed by tree_free(). */
struct tree {
    uint8_t *bytes;
    uint32_t size;
};

/* What dtc makes of @path, of the source tree. */
struct tree tree_compile(const char *path);

/* What dtc makes of @source. */
struct tree tree_of(const char *source);

void tree_free(struct tree *tree);

/* fdt_open(), which must succeed. */
struct fdt tree_open(const struct tree *tree);

/* A few nodes and properties of all kinds that occur. */
extern const char tree_example[];

#endif
