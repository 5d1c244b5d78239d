#include "tools/ui/markup.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* Sequences of UTF-8 by their first byte: how long they are, and the least character that may be written so. */
struct sequence {
    uint8_t mask, first;
    uint8_t bytes;
    uint32_t least;
};

static const struct sequence sequences[] = {
    { 0x80, 0x00, 1, 0 },
    { 0xE0, 0xC0, 2, 0x80 },
    { 0xF0, 0xE0, 3, 0x800 },
    { 0xF8, 0xF0, 4, 0x10000 },
};

/* Characters of XML: what a document may hold, escaped or not. */
static bool is_allowed(uint32_t character)
{
    if (character < 0x20) {
        return character == '\t' || character == '\n' || character == '\r';
    }
    if (character >= 0x7F && character < 0xA0) {
        return false;
    }
    return character <= 0x10FFFF && (character < 0xD800 || character > 0xDFFF) &&
           (character & 0xFFFE) != 0xFFFE;
}

/* Bytes of the character that @text begins with, or 0 if they are none. */
static size_t character_bytes(const char *text)
{
    const uint8_t first = (uint8_t)*text;

    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        const struct sequence *sequence = &sequences[i];
        uint32_t character = first & (uint8_t)~sequence->mask;

        if ((first & sequence->mask) != sequence->first) {
            continue;
        }
        for (size_t at = 1; at < sequence->bytes; at++) {
            if (((uint8_t)text[at] & 0xC0) != 0x80) {
                return 0; /* the end of the text among them */
            }
            character = character << 6 | ((uint8_t)text[at] & 0x3F);
        }
        return character >= sequence->least && is_allowed(character) ? sequence->bytes : 0;
    }
    return 0;
}

static const char *escape_of(char letter)
{
    switch (letter) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

static const char replacement[] = "\xEF\xBF\xBD";

void markup_text(FILE *to, const char *text)
{
    markup_text_cut(to, text, SIZE_MAX);
}

void markup_text_cut(FILE *to, const char *text, size_t most)
{
    size_t written = 0;

    for (; *text && written < most; written++) {
        const size_t bytes = character_bytes(text);
        const char *escape = escape_of(*text);

        if (escape) {
            fputs(escape, to);
        } else if (bytes) {
            fwrite(text, 1, bytes, to);
        } else {
            fputs(replacement, to);
        }
        text += bytes ? bytes : 1;
    }
    if (*text) {
        fputs("\xE2\x80\xA6", to);
    }
}

size_t markup_width(const char *text)
{
    size_t width = 0;

    for (; *text; width++) {
        const size_t bytes = character_bytes(text);

        text += bytes ? bytes : 1;
    }
    return width;
}

void markup_count(char text[MARKUP_NUMBER], uint64_t count)
{
    char digits[24];
    const size_t length = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, count);
    size_t at = 0;

    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            text[at++] = ',';
        }
        text[at++] = digits[i];
    }
    text[at] = '\0';
}

/* Whole numbers that a double holds exactly. */
#define EXACT_BELOW 9e15

void markup_number(char text[MARKUP_NUMBER], double value)
{
    const bool negative = value < 0;
    const double size = negative ? -value : value;

    if (size < EXACT_BELOW && size == (double)(uint64_t)size) {
        text[0] = '-';
        markup_count(text + negative, (uint64_t)size);
    } else {
        snprintf(text, MARKUP_NUMBER, "%.4g", value);
    }
}
