/* The format of flattened device trees, for what reads them and what edits them. */
#ifndef HV_GUEST_FDT_INTERNAL_H
#define HV_GUEST_FDT_INTERNAL_H

#include "hv/guest/fdt.h"

#define FDT_MAGIC             UINT32_C(0xD00DFEED)
#define FDT_BYTES_MAXIMUM     UINT32_C(0x1000000) /* larger than any tree: no sum of offsets wraps around */
#define FDT_CELLS_MAXIMUM     4
#define FDT_PROPERTY_BYTES    12 /* token, length, name */
#define FDT_RESERVATION_BYTES UINT32_C(16)

/* Offsets of the header's fields. */
enum {
    FDT_MAGIC_AT = 0,
    FDT_TOTAL_AT = 4,
    FDT_STRUCTURE_AT = 8,
    FDT_STRINGS_AT = 12,
    FDT_RESERVATIONS_AT = 16,
    FDT_VERSION_AT = 20,
    FDT_COMPATIBLE_AT = 24,
    FDT_BOOT_CPU_AT = 28,
    FDT_STRINGS_BYTES_AT = 32,
    FDT_STRUCTURE_BYTES_AT = 36,
    FDT_HEADER_BYTES = 40,
};

enum fdt_token_kind {
    FDT_BEGIN_NODE = 1,
    FDT_END_NODE = 2,
    FDT_PROPERTY = 3,
    FDT_NOP = 4,
    FDT_END = 9,
};

/* A token of the structure block: offsets are in that block. */
struct fdt_token {
    uint32_t kind; /* enum fdt_token_kind */
    uint32_t at;
    uint32_t next;
    const char *name;       /* of a node, of a property */
    struct fdt_value value; /* of a property */
};

static inline uint32_t fdt_align(uint32_t offset)
{
    return (offset + 3) & ~UINT32_C(3);
}

/* The token at @at; false if it does not lie in the block, or is none. */
bool fdt_token_at(const struct fdt *fdt, uint32_t at, struct fdt_token *token);

/* The same of a tree that has been checked. */
struct fdt_token fdt_token_sound(const struct fdt *fdt, uint32_t at);

/* The property's token; false: there is none, and *token is the first behind the node's properties. */
bool fdt_property_token(const struct fdt *fdt, struct fdt_node node, const char *name,
                        struct fdt_token *token);

/* Where children of @node begin, or would, and where the token behind @node is. */
uint32_t fdt_children_at(const struct fdt *fdt, struct fdt_node node);
uint32_t fdt_end_of(const struct fdt *fdt, struct fdt_node node);

#endif
