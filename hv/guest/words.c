#include "hv/guest/words.h"

#include <stddef.h>

struct word word_next(const char **line)
{
    struct word word = { .text = *line };

    while (word_is_blank(*word.text)) {
        word.text++;
    }
    while (word.text[word.length] && !word_is_blank(word.text[word.length])) {
        word.length++;
    }
    *line = word.text + word.length;
    return word;
}

bool word_next_part(struct word *words, struct word *part)
{
    if (!words->text) {
        return false;
    }
    *part = (struct word){ .text = words->text };
    while (part->length < words->length && part->text[part->length] != ',') {
        part->length++;
    }
    if (part->length == words->length) {
        *words = (struct word){ .text = NULL };
    } else {
        words->text += part->length + 1;
        words->length -= part->length + 1;
    }
    return true;
}

bool word_is(struct word word, const char *text)
{
    unsigned i = 0;

    while (i < word.length && text[i] && word.text[i] == text[i]) {
        i++;
    }
    return i == word.length && !text[i];
}

bool word_has(struct word word, char wanted)
{
    for (unsigned i = 0; i < word.length; i++) {
        if (word.text[i] == wanted) {
            return true;
        }
    }
    return false;
}

bool word_sets(struct word word, const char *name, struct word *value)
{
    unsigned i = 0;

    while (name[i] && i < word.length && word.text[i] == name[i]) {
        i++;
    }
    if (name[i] || i == word.length || word.text[i] != '=') {
        return false;
    }
    *value = (struct word){ .text = word.text + i + 1, .length = word.length - i - 1 };
    return true;
}

static unsigned unit_shift(char unit)
{
    switch (unit) {
    case 'K':
    case 'k': return 10;
    case 'M':
    case 'm': return 20;
    case 'G':
    case 'g': return 30;
    case 'T':
    case 't': return 40;
    default: return 0;
    }
}

bool word_size(struct word word, uint64_t *size)
{
    uint64_t value = 0;
    unsigned digits = 0;
    unsigned shift;

    while (digits < word.length && word.text[digits] >= '0' && word.text[digits] <= '9') {
        const unsigned digit = (unsigned)(word.text[digits++] - '0');

        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (digits == 0 || word.length - digits > 1) {
        return false;
    }
    shift = digits < word.length ? unit_shift(word.text[digits]) : 0;
    if ((digits < word.length && !shift) || value > UINT64_MAX >> shift) {
        return false;
    }
    *size = value << shift;
    return true;
}

bool word_number(struct word word, uint32_t most, uint32_t *number)
{
    uint64_t value = 0;

    if (word.length == 0 || word.text[word.length - 1] > '9' || !word_size(word, &value) || value > most) {
        return false;
    }
    *number = (uint32_t)value;
    return true;
}

bool word_switch(struct word word, bool *on)
{
    *on = word_is(word, "on");
    return *on || word_is(word, "off");
}
