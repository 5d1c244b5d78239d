/*
 * A partition's memory: pieces of the machine's, sorted by guest-physical address.
 *
 * Two pieces may have the same bytes of the machine (firmware that is to be seen at two places); two pieces at the same
 * guest-physical address make no sense.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/image/partition_parts.h"
#include "tools/image/source.h"
#include "tools/ui/json.h"

static bool take_rights(struct state_place *place, struct json_object *object, uint8_t *rights)
{
    const char *text;

    if (!json_get_text(object, "rights", &text) || text[strspn(text, "rwx-")] != '\0') {
        return complain(place->complaint,
                        "\"rights\" of a piece of memory of %s is not made of r, w, x and -", place->words);
    }
    *rights = (uint8_t)((strchr(text, 'r') != NULL ? VMMU_X86_RIGHT_READ : 0) |
                        (strchr(text, 'w') != NULL ? VMMU_X86_RIGHT_WRITE : 0) |
                        (strchr(text, 'x') != NULL ? VMMU_X86_RIGHT_EXECUTE : 0) | VMMU_X86_RIGHT_USER);
    return true;
}

static bool take_piece(struct state_place *place, struct json_object *object, struct partition_piece *piece)
{
    if (!state_number(place, object, "gpa", UINT64_MAX, &piece->gpa) ||
        !state_number(place, object, "hpa", UINT64_MAX, &piece->hpa) ||
        !state_number(place, object, "bytes", UINT64_MAX, &piece->size_bytes) ||
        !take_rights(place, object, &piece->rights)) {
        return false;
    }
    if (!vmmu_is_aligned(piece->gpa | piece->hpa | piece->size_bytes, VMMU_PAGE_BYTES)) {
        return complain(place->complaint, "the piece of memory at 0x%llx of %s is not made of pages",
                        (unsigned long long)piece->gpa, place->words);
    }
    if (!vmmu_range_fits(piece->gpa, piece->size_bytes, IMAGE_ADDRESS_LIMIT) ||
        !vmmu_range_fits(piece->hpa, piece->size_bytes, IMAGE_ADDRESS_LIMIT)) {
        return complain(place->complaint,
                        "the piece of memory at 0x%llx of %s is empty, or ends beyond 52 bits of address",
                        (unsigned long long)piece->gpa, place->words);
    }
    return true;
}

static int by_gpa(const void *one, const void *other)
{
    const struct partition_piece *const a = one;
    const struct partition_piece *const b = other;

    return a->gpa < b->gpa ? -1 : a->gpa > b->gpa;
}

/* Sorted pieces become ranges; each has to be in the image. */
static bool make_ranges(struct state_place *place, struct partition_opened *opened)
{
    struct partition *const partition = &opened->partition;
    const struct image_opened *const image = partition->image->private_data;
    uint64_t end = 0;

    for (unsigned i = 0; i < partition->piece_count; i++) {
        const struct partition_piece *const piece = &partition->pieces[i];
        const struct image_range *const range = image_memory_find(&image->memory, piece->hpa);

        if (piece->gpa < end) {
            return complain(place->complaint, "two pieces of memory of %s have the address 0x%llx",
                            place->words, (unsigned long long)piece->gpa);
        }
        if (!image_memory_holds(&image->memory, piece->hpa, piece->size_bytes)) {
            return complain(place->complaint,
                            "the piece of memory at 0x%llx of %s lies outside the machine's memory",
                            (unsigned long long)piece->gpa, place->words);
        }
        const uint64_t offset = piece->hpa - range->base;
        const bool in_one = range->mapped != NULL && range->size_bytes - offset >= piece->size_bytes;

        end = piece->gpa + piece->size_bytes;
        image_memory_add(&opened->memory, piece->gpa, piece->size_bytes,
                         in_one ? range->mapped + offset : NULL);
    }
    return true;
}

bool partition_take_memory(struct state_place *place, struct json_object *object,
                           struct partition_opened *opened)
{
    struct partition *const partition = &opened->partition;
    struct json_object *array;

    if (!state_array(place, object, "memory", &array))
        return false;
    partition->piece_count = (unsigned)json_object_array_length(array);
    partition->pieces = take_memory(partition->piece_count, sizeof(*partition->pieces));
    for (unsigned i = 0; i < partition->piece_count; i++) {
        if (!take_piece(place, json_object_array_get_idx(array, i), &partition->pieces[i]))
            return false;
    }
    qsort(partition->pieces, partition->piece_count, sizeof(*partition->pieces), by_gpa);
    return make_ranges(place, opened);
}
