/*
 * Editing device trees: header, reservations, structure and strings stand in this order in the buffer, without
 * gaps, and each edit moves what is behind it.
 *
 * Invariant: editor->fdt is sound after each edit, and the header says the same.
 */
#include "hv/guest/fdt.h"

#include "hv/guest/bytes.h"
#include "hv/guest/fdt_internal.h"

#define VERSION            17
#define COMPATIBLE_VERSION 16

static void write_header(struct fdt_editor *editor)
{
    const struct fdt *fdt = &editor->fdt;
    uint8_t *header = editor->buffer;

    put_big32(header + FDT_MAGIC_AT, FDT_MAGIC);
    put_big32(header + FDT_TOTAL_AT, fdt->total_bytes);
    put_big32(header + FDT_STRUCTURE_AT, fdt->structure);
    put_big32(header + FDT_STRINGS_AT, fdt->strings);
    put_big32(header + FDT_RESERVATIONS_AT, fdt->reservations);
    put_big32(header + FDT_VERSION_AT, VERSION);
    put_big32(header + FDT_COMPATIBLE_AT, COMPATIBLE_VERSION);
    put_big32(header + FDT_STRINGS_BYTES_AT, fdt->strings_bytes);
    put_big32(header + FDT_STRUCTURE_BYTES_AT, fdt->structure_bytes);
}

enum vmmu_status fdt_edit(const struct fdt *fdt, uint8_t *buffer, uint32_t room_bytes,
                          struct fdt_editor *editor)
{
    struct fdt_range range;
    uint32_t reserved = FDT_RESERVATION_BYTES;
    uint64_t total;

    while (fdt_reservation(fdt, reserved / FDT_RESERVATION_BYTES - 1, &range)) {
        reserved += FDT_RESERVATION_BYTES;
    }
    total = (uint64_t)FDT_HEADER_BYTES + reserved + fdt->structure_bytes + fdt->strings_bytes;
    if (total > room_bytes || room_bytes > FDT_BYTES_MAXIMUM)
        return VMMU_NO_MEMORY;
    *editor = (struct fdt_editor){ .buffer = buffer, .room_bytes = room_bytes };
    editor->fdt = (struct fdt){
        .bytes = buffer,
        .total_bytes = (uint32_t)total,
        .reservations = FDT_HEADER_BYTES,
        .structure = FDT_HEADER_BYTES + reserved,
        .structure_bytes = fdt->structure_bytes,
        .strings = FDT_HEADER_BYTES + reserved + fdt->structure_bytes,
        .strings_bytes = fdt->strings_bytes,
    };
    put_big32(buffer + FDT_BOOT_CPU_AT, get_big32(fdt->bytes + FDT_BOOT_CPU_AT));
    __builtin_memcpy(buffer + editor->fdt.reservations, fdt->bytes + fdt->reservations, reserved);
    __builtin_memcpy(buffer + editor->fdt.structure, fdt->bytes + fdt->structure, fdt->structure_bytes);
    __builtin_memcpy(buffer + editor->fdt.strings, fdt->bytes + fdt->strings, fdt->strings_bytes);
    write_header(editor);
    return VMMU_OK;
}

/* --- room --- */

/* Whether @more bytes fit; if not, no edit does any more. */
static bool has_room(struct fdt_editor *editor, uint64_t more)
{
    if (more > editor->room_bytes - editor->fdt.total_bytes)
        editor->overflow = true;
    return !editor->overflow;
}

/* Have @after bytes stand at @at of the buffer, where @before did; what is behind moves. There is room. */
static void resize(struct fdt_editor *editor, uint32_t at, uint32_t before, uint32_t after)
{
    uint8_t *from = editor->buffer + at + before;

    __builtin_memmove(editor->buffer + at + after, from, editor->fdt.total_bytes - at - before);
    editor->fdt.total_bytes += after - before;
}

/* The same at @at of the structure block. */
static uint8_t *resize_structure(struct fdt_editor *editor, uint32_t at, uint32_t before, uint32_t after)
{
    struct fdt *fdt = &editor->fdt;

    resize(editor, fdt->structure + at, before, after);
    fdt->structure_bytes += after - before;
    fdt->strings += after - before;
    write_header(editor);
    return editor->buffer + fdt->structure + at;
}

/* --- strings --- */

static bool find_string(const struct fdt *fdt, const char *text, uint32_t *offset)
{
    const uint64_t bytes = text_length(text) + 1;

    for (uint32_t at = 0; at + bytes <= fdt->strings_bytes; at++) {
        if (__builtin_memcmp(fdt->bytes + fdt->strings + at, text, bytes) == 0) {
            *offset = at;
            return true;
        }
    }
    return false;
}

/* The offset of @text among the strings, which it joins if it is not there. There is room. */
static uint32_t intern(struct fdt_editor *editor, const char *text)
{
    const uint32_t bytes = (uint32_t)text_length(text) + 1;
    struct fdt *fdt = &editor->fdt;
    uint32_t offset;

    if (!find_string(fdt, text, &offset)) {
        offset = fdt->strings_bytes;
        __builtin_memcpy(editor->buffer + fdt->strings + offset, text, bytes);
        fdt->strings_bytes += bytes;
        fdt->total_bytes += bytes;
    }
    return offset;
}

/* --- properties --- */

static void fill(uint8_t *at, const void *bytes, uint32_t count)
{
    if (count != 0)
        __builtin_memcpy(at, bytes, count);
    __builtin_memset(at + count, 0, fdt_align(count) - count);
}

static void replace(struct fdt_editor *editor, const struct fdt_token *token, const void *bytes,
                    uint32_t count)
{
    const uint32_t before = fdt_align(token->value.count);
    uint8_t *at;

    if (fdt_align(count) > before && !has_room(editor, fdt_align(count) - before))
        return;
    at = resize_structure(editor, token->at + FDT_PROPERTY_BYTES, before, fdt_align(count));
    put_big32(at - 8, count);
    fill(at, bytes, count);
}

static void insert(struct fdt_editor *editor, uint32_t where, const char *name, const struct fdt_value *value)
{
    const uint32_t size = FDT_PROPERTY_BYTES + fdt_align(value->count);
    uint32_t string;
    uint8_t *at;

    if (!has_room(editor, (uint64_t)size + text_length(name) + 1))
        return;
    string = intern(editor, name);
    at = resize_structure(editor, where, 0, size);
    put_big32(at, FDT_PROPERTY);
    put_big32(at + 4, value->count);
    put_big32(at + 8, string);
    fill(at + FDT_PROPERTY_BYTES, value->bytes, value->count);
}

void fdt_set(struct fdt_editor *editor, struct fdt_node node, const char *name, const void *bytes,
             uint32_t count)
{
    const struct fdt_value value = { bytes, count };
    struct fdt_token token;

    if (editor->overflow || count > FDT_BYTES_MAXIMUM) {
        editor->overflow = true;
        return;
    }
    if (fdt_property_token(&editor->fdt, node, name, &token)) {
        replace(editor, &token, bytes, count);
    } else {
        insert(editor, token.at, name, &value);
    }
}

void fdt_set_text(struct fdt_editor *editor, struct fdt_node node, const char *name, const char *text)
{
    const uint64_t bytes = text_length(text) + 1;

    fdt_set(editor, node, name, text, bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes);
}

void fdt_set_cell(struct fdt_editor *editor, struct fdt_node node, const char *name, uint32_t cell)
{
    uint8_t bytes[4];

    put_big32(bytes, cell);
    fdt_set(editor, node, name, bytes, sizeof(bytes));
}

void fdt_set_number(struct fdt_editor *editor, struct fdt_node node, const char *name, uint64_t number)
{
    uint8_t bytes[8];

    put_big64(bytes, number);
    fdt_set(editor, node, name, bytes, sizeof(bytes));
}

void fdt_remove(struct fdt_editor *editor, struct fdt_node node, const char *name)
{
    struct fdt_token token;

    if (!editor->overflow && fdt_property_token(&editor->fdt, node, name, &token))
        resize_structure(editor, token.at, token.next - token.at, 0);
}

/* --- nodes --- */

struct fdt_node fdt_add_node(struct fdt_editor *editor, struct fdt_node parent, const char *name)
{
    const uint64_t length = text_length(name);
    const uint32_t where = fdt_children_at(&editor->fdt, parent);
    uint32_t size;
    uint8_t *at;

    if (length > FDT_BYTES_MAXIMUM || !has_room(editor, 4 + fdt_align((uint32_t)length + 1) + 4)) {
        editor->overflow = true;
        return parent;
    }
    size = fdt_align((uint32_t)length + 1);
    at = resize_structure(editor, where, 0, 4 + size + 4);
    put_big32(at, FDT_BEGIN_NODE);
    fill(at + 4, name, (uint32_t)length);
    __builtin_memset(at + 4 + length, 0, size - length);
    put_big32(at + 4 + size, FDT_END_NODE);
    return (struct fdt_node){ where };
}

void fdt_remove_node(struct fdt_editor *editor, struct fdt_node node)
{
    if (!editor->overflow)
        resize_structure(editor, node.at, fdt_end_of(&editor->fdt, node) - node.at, 0);
}

/* --- reservations --- */

void fdt_reserve(struct fdt_editor *editor, const struct fdt_range *range)
{
    struct fdt *fdt = &editor->fdt;

    if (!has_room(editor, FDT_RESERVATION_BYTES))
        return;
    resize(editor, fdt->reservations, 0, FDT_RESERVATION_BYTES);
    put_big64(editor->buffer + fdt->reservations, range->base);
    put_big64(editor->buffer + fdt->reservations + 8, range->size);
    fdt->structure += FDT_RESERVATION_BYTES;
    fdt->strings += FDT_RESERVATION_BYTES;
    write_header(editor);
}

enum vmmu_status fdt_editor_finish(const struct fdt_editor *editor, uint32_t *total_bytes)
{
    *total_bytes = editor->fdt.total_bytes;
    return editor->overflow ? VMMU_NO_MEMORY : VMMU_OK;
}
