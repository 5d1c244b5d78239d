/*
 * Reading device trees.
 *
 * Invariant: a struct fdt that fdt_open() accepted has been read token by token to its end: every token lies in the structure
 * block, names are terminated, nodes nest, properties come before child nodes. Who walks it later only asserts that.
 */
#include "hv/guest/fdt.h"

#include "hv/guest/bytes.h"
#include "hv/guest/fdt_internal.h"

#define COMPATIBLE_VERSION    17
#define DEFAULT_ADDRESS_CELLS 2
#define DEFAULT_SIZE_CELLS    1

/* --- tokens --- */

/* A terminated text at @bytes, of which @room bytes may be read: its length, or @room if it is not terminated. */
static uint32_t bounded_length(const uint8_t *bytes, uint32_t room)
{
    uint32_t length = 0;

    while (length < room && bytes[length] != 0)
        length++;
    return length;
}

static bool read_begin(const struct fdt *fdt, struct fdt_token *token)
{
    const uint32_t at = token->at + 4;
    const uint8_t *name = fdt->bytes + fdt->structure + at;
    const uint32_t length = bounded_length(name, fdt->structure_bytes - at);

    if (length == fdt->structure_bytes - at)
        return false;
    token->name = (const char *)name;
    token->next = fdt_align(at + length + 1);
    return token->next <= fdt->structure_bytes;
}

static bool read_property(const struct fdt *fdt, struct fdt_token *token)
{
    const uint8_t *at = fdt->bytes + fdt->structure + token->at;
    uint32_t name;

    if (fdt->structure_bytes - token->at < FDT_PROPERTY_BYTES)
        return false;
    token->value.count = get_big32(at + 4);
    token->value.bytes = at + FDT_PROPERTY_BYTES;
    name = get_big32(at + 8);
    if (name >= fdt->strings_bytes ||
        token->value.count > fdt->structure_bytes - token->at - FDT_PROPERTY_BYTES)
        return false;
    token->name = (const char *)fdt->bytes + fdt->strings + name;
    token->next = fdt_align(token->at + FDT_PROPERTY_BYTES + token->value.count);
    return token->next <= fdt->structure_bytes;
}

bool fdt_token_at(const struct fdt *fdt, uint32_t at, struct fdt_token *token)
{
    *token = (struct fdt_token){ .at = at, .next = at + 4 };
    if (at >= fdt->structure_bytes || fdt->structure_bytes - at < 4)
        return false;
    token->kind = get_big32(fdt->bytes + fdt->structure + at);
    switch (token->kind) {
    case FDT_BEGIN_NODE: return read_begin(fdt, token);
    case FDT_PROPERTY: return read_property(fdt, token);
    case FDT_END_NODE:
    case FDT_NOP:
    case FDT_END: return true;
    default: return false;
    }
}

/* --- the check --- */

struct nesting {
    unsigned depth;
    uint32_t has_children; /* bit n: the open node of depth n does */
    bool has_root;
};

/* Whether @token may stand where it does. */
static bool nests(struct nesting *nesting, const struct fdt_token *token)
{
    switch (token->kind) {
    case FDT_BEGIN_NODE:
        if (nesting->depth == FDT_DEPTH_MAXIMUM || (nesting->depth == 0 && nesting->has_root))
            return false;
        if (nesting->depth != 0)
            nesting->has_children |= UINT32_C(1) << (nesting->depth - 1);
        nesting->has_root = true;
        nesting->has_children &= ~(UINT32_C(1) << nesting->depth);
        nesting->depth++;
        return true;
    case FDT_END_NODE: return nesting->depth-- != 0;
    case FDT_PROPERTY: return nesting->depth != 0 && (nesting->has_children >> (nesting->depth - 1) & 1) == 0;
    case FDT_END: return nesting->depth == 0 && nesting->has_root;
    default: return true;
    }
}

static bool is_structure_sound(const struct fdt *fdt)
{
    struct nesting nesting = { 0 };
    struct fdt_token token = { 0 };

    while (token.kind != FDT_END) {
        if (!fdt_token_at(fdt, token.next, &token) || !nests(&nesting, &token))
            return false;
    }
    return true;
}

/* Whether the list of reservations ends within the tree. */
static bool are_reservations_sound(const struct fdt *fdt)
{
    struct fdt_range range;
    unsigned index = 0;

    while (fdt->total_bytes - fdt->reservations >= FDT_RESERVATION_BYTES * (index + 1)) {
        if (!fdt_reservation(fdt, index, &range))
            return true;
        index++;
    }
    return false;
}

/* Blocks lie in the tree, aligned; the last text of the strings is terminated. */
static bool are_blocks_sound(const struct fdt *fdt)
{
    const uint32_t strings_end = fdt->strings + fdt->strings_bytes;

    return fdt->structure % 4 == 0 && fdt->reservations % 8 == 0 && fdt->reservations < fdt->total_bytes &&
           vmmu_range_fits(fdt->structure, fdt->structure_bytes, fdt->total_bytes) &&
           fdt->strings <= fdt->total_bytes && fdt->strings_bytes <= fdt->total_bytes - fdt->strings &&
           (fdt->strings_bytes == 0 || fdt->bytes[strings_end - 1] == 0);
}

enum vmmu_status fdt_open(const uint8_t *bytes, uint64_t size, struct fdt *fdt, const char **error)
{
    *fdt = (struct fdt){ .bytes = bytes };
    if (size < FDT_HEADER_BYTES || get_big32(bytes + FDT_MAGIC_AT) != FDT_MAGIC) {
        *error = "there is no flattened device tree";
        return VMMU_INVALID;
    }
    if (get_big32(bytes + FDT_VERSION_AT) < COMPATIBLE_VERSION ||
        get_big32(bytes + FDT_COMPATIBLE_AT) > COMPATIBLE_VERSION) {
        *error = "the device tree is of a version that is not known here";
        return VMMU_INVALID;
    }
    fdt->total_bytes = get_big32(bytes + FDT_TOTAL_AT);
    fdt->reservations = get_big32(bytes + FDT_RESERVATIONS_AT);
    fdt->structure = get_big32(bytes + FDT_STRUCTURE_AT);
    fdt->structure_bytes = get_big32(bytes + FDT_STRUCTURE_BYTES_AT);
    fdt->strings = get_big32(bytes + FDT_STRINGS_AT);
    fdt->strings_bytes = get_big32(bytes + FDT_STRINGS_BYTES_AT);
    if (fdt->total_bytes > size || fdt->total_bytes > FDT_BYTES_MAXIMUM || !are_blocks_sound(fdt)) {
        *error = "the device tree's blocks lie outside it: is it truncated?";
        return VMMU_INVALID;
    }
    if (!are_reservations_sound(fdt) || !is_structure_sound(fdt)) {
        *error = "the device tree is damaged";
        return VMMU_INVALID;
    }
    return VMMU_OK;
}

/* --- nodes --- */

struct fdt_token fdt_token_sound(const struct fdt *fdt, uint32_t at)
{
    struct fdt_token token;
    const bool is_sound = fdt_token_at(fdt, at, &token);

    VMMU_ASSERT(is_sound);
    if (!is_sound)
        token.kind = FDT_END;
    return token;
}

/* The first token from @at on that is neither a property nor nothing. */
static struct fdt_token past_properties(const struct fdt *fdt, uint32_t at)
{
    struct fdt_token token = fdt_token_sound(fdt, at);

    while (token.kind == FDT_PROPERTY || token.kind == FDT_NOP)
        token = fdt_token_sound(fdt, token.next);
    return token;
}

uint32_t fdt_children_at(const struct fdt *fdt, struct fdt_node node)
{
    return past_properties(fdt, fdt_token_sound(fdt, node.at).next).at;
}

uint32_t fdt_end_of(const struct fdt *fdt, struct fdt_node node)
{
    struct fdt_token token = fdt_token_sound(fdt, node.at);
    unsigned depth = 1;

    while (depth != 0 && token.kind != FDT_END) {
        token = fdt_token_sound(fdt, token.next);
        depth += token.kind == FDT_BEGIN_NODE;
        depth -= token.kind == FDT_END_NODE;
    }
    return token.next;
}

struct fdt_node fdt_root(const struct fdt *fdt)
{
    return (struct fdt_node){ past_properties(fdt, 0).at };
}

const char *fdt_name(const struct fdt *fdt, struct fdt_node node)
{
    return fdt_token_sound(fdt, node.at).name;
}

static bool take_node(const struct fdt *fdt, uint32_t at, struct fdt_node *node)
{
    const struct fdt_token token = past_properties(fdt, at);

    *node = (struct fdt_node){ token.at };
    return token.kind == FDT_BEGIN_NODE;
}

bool fdt_first_child(const struct fdt *fdt, struct fdt_node parent, struct fdt_node *child)
{
    return take_node(fdt, fdt_token_sound(fdt, parent.at).next, child);
}

bool fdt_next_child(const struct fdt *fdt, struct fdt_node *child)
{
    return take_node(fdt, fdt_end_of(fdt, *child), child);
}

/* --- paths --- */

static bool same(const char *text, const char *other, uint64_t length)
{
    for (uint64_t i = 0; i < length; i++) {
        if (text[i] != other[i] || text[i] == '\0')
            return false;
    }
    return true;
}

/* Whether @part, of @length characters, names the node: with its unit address, or without. */
static bool is_named(const char *name, const char *part, uint64_t length)
{
    return same(name, part, length) && (name[length] == '\0' || name[length] == '@');
}

static bool find_child(const struct fdt *fdt, struct fdt_node *node, const char *part, uint64_t length)
{
    struct fdt_node child;

    for (bool more = fdt_first_child(fdt, *node, &child); more; more = fdt_next_child(fdt, &child)) {
        if (is_named(fdt_name(fdt, child), part, length)) {
            *node = child;
            return true;
        }
    }
    return false;
}

bool fdt_find(const struct fdt *fdt, const char *path, struct fdt_node *node)
{
    *node = fdt_root(fdt);
    while (*path != '\0') {
        uint64_t length = 0;

        while (*path == '/')
            path++;
        while (path[length] != '\0' && path[length] != '/')
            length++;
        if (length != 0 && !find_child(fdt, node, path, length))
            return false;
        path += length;
    }
    return true;
}

static bool lists(const struct fdt_value *value, const char *wanted)
{
    const uint64_t length = text_length(wanted) + 1;
    uint32_t at = 0;

    while (at < value->count) {
        const uint32_t rest = value->count - at;
        const uint32_t here = bounded_length(value->bytes + at, rest) + 1;

        if (here <= rest && here == length && __builtin_memcmp(value->bytes + at, wanted, length) == 0)
            return true;
        at += here;
    }
    return false;
}

bool fdt_next_compatible(const struct fdt *fdt, const char *compatible, struct fdt_node *node)
{
    struct fdt_token token = fdt_token_sound(fdt, node->at);

    while (token.kind != FDT_END) {
        token = fdt_token_sound(fdt, token.next);
        if (token.kind == FDT_BEGIN_NODE) {
            const struct fdt_value value =
                fdt_find_property(fdt, (struct fdt_node){ token.at }, "compatible");

            if (lists(&value, compatible)) {
                *node = (struct fdt_node){ token.at };
                return true;
            }
        }
    }
    return false;
}

/* --- properties --- */

bool fdt_property_token(const struct fdt *fdt, struct fdt_node node, const char *name,
                        struct fdt_token *token)
{
    const uint64_t length = text_length(name) + 1;

    *token = fdt_token_sound(fdt, fdt_token_sound(fdt, node.at).next);
    while (token->kind == FDT_PROPERTY || token->kind == FDT_NOP) {
        if (token->kind == FDT_PROPERTY && text_length(token->name) + 1 == length &&
            __builtin_memcmp(token->name, name, length) == 0)
            return true;
        *token = fdt_token_sound(fdt, token->next);
    }
    return false;
}

struct fdt_value fdt_find_property(const struct fdt *fdt, struct fdt_node node, const char *name)
{
    struct fdt_token token;

    return fdt_property_token(fdt, node, name, &token) ? token.value : (struct fdt_value){ NULL, 0 };
}

const char *fdt_text(const struct fdt *fdt, struct fdt_node node, const char *name)
{
    const struct fdt_value value = fdt_find_property(fdt, node, name);

    return value.count != 0 && bounded_length(value.bytes, value.count) == value.count - 1
               ? (const char *)value.bytes
               : NULL;
}

static uint32_t cell_at(const uint8_t *bytes, size_t index)
{
    return get_big32(bytes + 4 * index);
}

bool fdt_cell(const struct fdt *fdt, struct fdt_node node, const char *name, unsigned index, uint32_t *cell)
{
    const struct fdt_value value = fdt_find_property(fdt, node, name);

    if (index >= value.count / 4)
        return false;
    *cell = cell_at(value.bytes, index);
    return true;
}

/* A number of @cells cells. False: more than 64 bits. */
static bool number_at(const uint8_t *bytes, uint32_t cells, uint64_t *number)
{
    *number = 0;
    for (uint32_t i = 0; i < cells; i++) {
        if (*number >> 32 != 0)
            return false;
        *number = *number << 32 | cell_at(bytes, i);
    }
    return true;
}

bool fdt_number(const struct fdt *fdt, struct fdt_node node, const char *name, uint64_t *number)
{
    const struct fdt_value value = fdt_find_property(fdt, node, name);

    return (value.count == 4 || value.count == 8) && number_at(value.bytes, value.count / 4, number);
}

static uint32_t cells_of(const struct fdt *fdt, struct fdt_node node, const char *name, uint32_t otherwise)
{
    uint32_t cells;

    return fdt_cell(fdt, node, name, 0, &cells) ? cells : otherwise;
}

bool fdt_reg(const struct fdt *fdt, struct fdt_node parent, struct fdt_node node, unsigned index,
             struct fdt_range *range)
{
    const struct fdt_value value = fdt_find_property(fdt, node, "reg");
    const uint32_t base = cells_of(fdt, parent, "#address-cells", DEFAULT_ADDRESS_CELLS);
    const uint32_t size = cells_of(fdt, parent, "#size-cells", DEFAULT_SIZE_CELLS);
    const uint64_t pair = 4 * ((uint64_t)base + size);
    const uint64_t at = pair * index;

    if (base > FDT_CELLS_MAXIMUM || size > FDT_CELLS_MAXIMUM || pair == 0 || value.bytes == NULL ||
        at + pair > value.count)
        return false;
    return number_at(value.bytes + at, base, &range->base) &&
           number_at(value.bytes + at + 4 * (uint64_t)base, size, &range->size);
}

bool fdt_reservation(const struct fdt *fdt, unsigned index, struct fdt_range *range)
{
    const uint8_t *at = fdt->bytes + fdt->reservations + FDT_RESERVATION_BYTES * (size_t)index;

    *range = (struct fdt_range){ get_big64(at), get_big64(at + 8) };
    return range->base != 0 || range->size != 0;
}
