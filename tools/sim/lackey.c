/*
 * The text of Valgrind's lackey: `I  04001ab7,3`, ` L 1fff0006f8,8`, ` S ...`, ` M ...`; addresses hexadecimal, sizes decimal.
 * Lines of Valgrind's own begin with == or --, and are passed over, and so are empty ones.
 */
#include <string.h>

#include "tools/sim/source.h"

#define PAGE_OFFSET     UINT64_C(0xfff)
#define HEX_DIGITS_MOST 16
#define SHOWN_BYTES     40

/* Values of hexadecimal digits, plus one; 0: no digit. */
static const uint8_t digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* By the letter of a line; SIM_RECORD_KINDS plus one for others. */
static unsigned kind_of(const uint8_t *line)
{
    if (line[0] == 'I' && line[1] == ' ') {
        return SIM_FETCH;
    }
    if (line[0] != ' ') {
        return SIM_RECORD_KINDS;
    }
    switch (line[1]) {
    case 'L': return SIM_READ;
    case 'S': return SIM_WRITE;
    case 'M': return SIM_MODIFY;
    default: return SIM_RECORD_KINDS;
    }
}

/* The reference on the line [line, end). False: it is none. */
static bool parse(const uint8_t *line, const uint8_t *end, sim_record *record)
{
    const uint8_t *at = line + 2;
    uint64_t address = 0;
    uint64_t size = 0;
    const uint8_t *first;
    unsigned kind;

    if (end - line < 5 || (kind = kind_of(line)) == SIM_RECORD_KINDS) {
        return false;
    }
    at += *at == ' ';
    for (first = at; at < end && digits[*at] != 0; at++) {
        address = address << 4 | (digits[*at] - 1U);
    }
    if (at == first || at - first > HEX_DIGITS_MOST || at == end || *at++ != ',' || at == end) {
        return false;
    }
    for (; at < end && *at >= '0' && *at <= '9' && size <= SIM_REFERENCE_BYTES_MOST; at++) {
        size = size * 10 + (*at - '0');
    }
    if (at != end || size == 0 || size > SIM_REFERENCE_BYTES_MOST) {
        return false;
    }
    *record = (address & ~PAGE_OFFSET) | kind |
              ((address & PAGE_OFFSET) + size - 1 > PAGE_OFFSET ? SIM_RECORD_CROSSES : 0);
    return true;
}

static bool is_said_by_valgrind(const uint8_t *line, const uint8_t *end)
{
    return line == end || (end - line >= 2 && line[0] == line[1] && (line[0] == '=' || line[0] == '-'));
}

static bool refuse(const struct sim_trace *trace, const uint8_t *line, const uint8_t *end,
                   struct complaint *complaint)
{
    char shown[SHOWN_BYTES + 1];
    size_t count = 0;

    for (; line < end && count < SHOWN_BYTES; line++) {
        shown[count++] = (char)(*line >= ' ' && *line < 0x7f ? *line : '.');
    }
    shown[count] = '\0';
    return complain(complaint,
                    "%s: line %llu is no line of lackey's (I, L, S or M, a hexadecimal address, a comma, a "
                    "size): '%s%s'",
                    trace->path, (unsigned long long)trace->line, shown, line < end ? "..." : "");
}

bool sim_lackey_read(struct sim_trace *trace, sim_record *records, size_t capacity, size_t *count,
                     struct complaint *complaint)
{
    while (*count < capacity && sim_source_has_piece(trace)) {
        const uint8_t *const line = trace->buffer + trace->at;
        const size_t left = trace->end - trace->at;
        const uint8_t *const newline = memchr(line, '\n', left < SIM_PIECE_BYTES ? left : SIM_PIECE_BYTES);
        const uint8_t *end = newline;

        if (!newline) {
            if (left >= SIM_PIECE_BYTES) {
                return complain(complaint, "%s: line %llu is longer than %u bytes", trace->path,
                                (unsigned long long)trace->line, (unsigned)SIM_PIECE_BYTES);
            }
            end = line + left;
        }
        if (parse(line, end, &records[*count])) {
            (*count)++;
        } else if (!is_said_by_valgrind(line, end)) {
            return refuse(trace, line, end, complaint);
        }
        trace->at += (size_t)(end - line) + (newline != NULL);
        trace->line++;
    }
    return true;
}
