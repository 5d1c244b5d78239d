/* Claims and free places; the invariant is at the top of pieces.h. */
#include "hv/guest/pieces.h"

#define ADDRESS_LIMIT BIT64(52)

void pieces_start_empty(struct pieces *pieces, const struct guest_memory *memory,
                        const struct guest_layout *layout)
{
    *pieces = (struct pieces){ .memory = memory, .layout = layout };
}

void pieces_start(struct pieces *pieces, const struct guest_memory *memory, const struct guest_layout *layout)
{
    pieces_start_empty(pieces, memory, layout);
    pieces->piece[pieces->count++] = (struct piece){ 0, PLACE_END };
}

static const struct piece *overlapped(const struct pieces *pieces, uint64_t base, uint64_t end)
{
    for (unsigned i = 0; i < pieces->count; i++) {
        if (base < pieces->piece[i].end && pieces->piece[i].base < end) {
            return &pieces->piece[i];
        }
    }
    return NULL;
}

static bool is_ram(const struct guest_layout *layout, uint64_t base, uint64_t size)
{
    for (unsigned i = 0; i < layout->entries; i++) {
        const struct guest_e820 *entry = &layout->e820[i];

        if (entry->type == GUEST_E820_RAM && base >= entry->base &&
            vmmu_range_fits(base - entry->base, size, entry->size)) {
            return true;
        }
    }
    return false;
}

uint8_t *pieces_claim(struct pieces *pieces, uint64_t base, uint64_t size, const char **error)
{
    uint8_t *at;

    if (!vmmu_range_fits(base, size, ADDRESS_LIMIT) || !is_ram(pieces->layout, base, size)) {
        *error = "a part of the image asks for an address where the guest has no memory";
        return NULL;
    }
    if (overlapped(pieces, base, base + size) != NULL) {
        *error = "two parts of the image overlap, or one overlaps the loader's own tables below 192 KiB";
        return NULL;
    }
    if (pieces->count == PIECES) {
        *error = "the image has too many parts";
        return NULL;
    }
    at = guest_memory_at(pieces->memory, (vmmu_gpa){ base }, size);
    if (at == NULL) {
        *error = "the guest's memory is smaller than its layout";
        return NULL;
    }
    pieces->piece[pieces->count++] = (struct piece){ base, base + size };
    return at;
}

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static bool lowest_in(const struct pieces *pieces, const struct place *place, uint64_t end, uint64_t *base)
{
    uint64_t candidate = align_up(*base, place->alignment);

    while (vmmu_range_fits(candidate, place->size, end)) {
        const struct piece *piece = overlapped(pieces, candidate, candidate + place->size);

        if (piece == NULL) {
            *base = candidate;
            return true;
        }
        candidate = align_up(piece->end, place->alignment);
    }
    return false;
}

static bool highest_in(const struct pieces *pieces, const struct place *place, uint64_t start, uint64_t *base)
{
    uint64_t end = *base;

    while (end >= place->size) {
        const uint64_t candidate = (end - place->size) & ~(place->alignment - 1);
        const struct piece *piece;

        if (candidate < start) {
            return false;
        }
        piece = overlapped(pieces, candidate, candidate + place->size);
        if (piece == NULL) {
            *base = candidate;
            return true;
        }
        end = piece->base;
    }
    return false;
}

static bool is_sane(const struct place *place)
{
    return place->size != 0 && place->size < ADDRESS_LIMIT && place->alignment != 0 &&
           place->alignment < ADDRESS_LIMIT && (place->alignment & (place->alignment - 1)) == 0 &&
           place->from < ADDRESS_LIMIT;
}

bool pieces_lowest(const struct pieces *pieces, const struct place *place, uint64_t *base)
{
    for (unsigned i = 0; is_sane(place) && i < pieces->layout->entries; i++) {
        const struct guest_e820 *entry = &pieces->layout->e820[i];
        const uint64_t end = entry->base + entry->size;
        uint64_t found = entry->base < place->from ? place->from : entry->base;

        if (entry->type == GUEST_E820_RAM &&
            lowest_in(pieces, place, end < place->limit ? end : place->limit, &found)) {
            *base = found;
            return true;
        }
    }
    return false;
}

bool pieces_highest(const struct pieces *pieces, const struct place *place, uint64_t *base)
{
    for (unsigned i = pieces->layout->entries; is_sane(place) && i > 0; i--) {
        const struct guest_e820 *entry = &pieces->layout->e820[i - 1];
        const uint64_t start = entry->base < place->from ? place->from : entry->base;
        uint64_t found = entry->base + entry->size;

        found = found < place->limit ? found : place->limit;
        if (entry->type == GUEST_E820_RAM && highest_in(pieces, place, start, &found)) {
            *base = found;
            return true;
        }
    }
    return false;
}
