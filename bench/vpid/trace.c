#include "trace.h"

#define KIND_BITS   4
#define GROUP_BITS  7
#define GROUP_MORE  0x80u
#define NUMBER_BITS 64
#define SHIFT_BITS  6
#define GLOBAL_BIT  6
#define DIRTY_BIT   7

_Static_assert(TRACE_KINDS <= 1 << KIND_BITS, "the kinds have their bits");

struct trace_page *trace_page_at(struct trace_pages *pages, uint64_t key)
{
    return &pages->slots[key * UINT64_C(0x9e3779b97f4a7c15) >> 44];
}

_Static_assert(TRACE_PAGES == 1u << (64 - 44), "the hash has the bits of the account");

static bool is_access(enum trace_kind kind)
{
    return kind <= TRACE_WRITE;
}

static bool has_more(enum trace_kind kind)
{
    return kind == TRACE_ENTER || kind == TRACE_FLUSH_PAGE || kind == TRACE_TRANSLATION;
}

static uint64_t *side_of(struct trace_sides *sides, enum trace_kind kind)
{
    return &sides->last[kind == TRACE_FETCH ? 0 : 1];
}

/* Small numbers for small distances of either sign. */
static uint64_t fold(uint64_t distance)
{
    return distance << 1 ^ (distance >> 63 ? ~UINT64_C(0) : 0);
}

static uint64_t unfold(uint64_t folded)
{
    return folded >> 1 ^ (folded & 1 ? ~UINT64_C(0) : 0);
}

static size_t put_number(uint8_t *out, uint64_t number)
{
    size_t bytes = 0;

    for (; number >= GROUP_MORE; number >>= GROUP_BITS) {
        out[bytes++] = (uint8_t)(number | GROUP_MORE);
    }
    out[bytes++] = (uint8_t)number;
    return bytes;
}

static bool get_number(FILE *in, uint64_t *number)
{
    *number = 0;
    for (unsigned shift = 0; shift < NUMBER_BITS; shift += GROUP_BITS) {
        const int byte = getc_unlocked(in);

        if (byte == EOF) {
            return false;
        }
        *number |= (uint64_t)(byte & (GROUP_MORE - 1)) << shift;
        if (!(byte & GROUP_MORE)) {
            return true;
        }
    }
    return false;
}

size_t trace_encode(struct trace_sides *sides, const struct trace_record *record, uint8_t *out)
{
    uint64_t value = record->value;
    size_t bytes;

    if (is_access(record->kind)) {
        uint64_t *const last = side_of(sides, record->kind);

        value = fold(record->value - *last);
        *last = record->value;
    }
    bytes = put_number(out, value << KIND_BITS | record->kind);
    return has_more(record->kind) ? bytes + put_number(out + bytes, record->more) : bytes;
}

bool trace_decode(struct trace_sides *sides, FILE *in, struct trace_record *record)
{
    uint64_t number;

    if (!get_number(in, &number) || (number & ((1 << KIND_BITS) - 1)) >= TRACE_KINDS) {
        return false;
    }
    *record = (struct trace_record){ .kind = (enum trace_kind)(number & ((1 << KIND_BITS) - 1)),
                                     .value = number >> KIND_BITS };
    if (is_access(record->kind)) {
        uint64_t *const last = side_of(sides, record->kind);

        *last += unfold(record->value);
        record->value = *last;
    }
    return !has_more(record->kind) || get_number(in, &record->more);
}

bool trace_is_same(const struct trace_translation *a, const struct trace_translation *b)
{
    return a->page_shift == b->page_shift && a->loads == b->loads && a->global == b->global &&
           a->dirty == b->dirty && a->frame == b->frame;
}

struct trace_record trace_translation_record(const struct trace_translation *translation)
{
    return (struct trace_record){
        .kind = TRACE_TRANSLATION,
        .value = (uint64_t)translation->page_shift | (uint64_t)translation->global << GLOBAL_BIT |
                 (uint64_t)translation->dirty << DIRTY_BIT | (uint64_t)translation->loads << (DIRTY_BIT + 1),
        .more = translation->frame,
    };
}

struct trace_translation trace_translation_of(const struct trace_record *record)
{
    return (struct trace_translation){ .page_shift = (uint8_t)(record->value & ((1 << SHIFT_BITS) - 1)),
                                       .loads = (uint8_t)(record->value >> (DIRTY_BIT + 1)),
                                       .global = record->value >> GLOBAL_BIT & 1,
                                       .dirty = record->value >> DIRTY_BIT & 1,
                                       .frame = record->more };
}
