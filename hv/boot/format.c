/*
 * A small printf.
 */
#include "hv/boot/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGITS_MAX 20 /* of 2^64 - 1 in decimal */

/* How many bytes an integer argument has, as the length modifier says. */
enum length {
    LENGTH_CHAR,
    LENGTH_SHORT,
    LENGTH_INT,
    LENGTH_LONG,
    LENGTH_LONG_LONG,
};

/* One conversion. */
struct conversion {
    bool left, zeros, has_precision;
    unsigned width, precision;
    enum length length;
    char letter;
};

/* va_list may be an array, which cannot be passed on by its address once it has been a parameter. */
struct arguments {
    va_list list;
};

_Static_assert(sizeof(size_t) == sizeof(long) && sizeof(ptrdiff_t) == sizeof(long), "what z and t mean");
_Static_assert(sizeof(intmax_t) == sizeof(long long), "what j means");

static void put_repeated(const struct format_sink *sink, char character, unsigned count)
{
    while (count-- > 0) {
        sink->put(sink->context, character);
    }
}

static void put_padded(const struct format_sink *sink, const struct conversion *c, const char *text,
                       unsigned length)
{
    const unsigned padding = c->width > length ? c->width - length : 0;
    if (!c->left) {
        put_repeated(sink, ' ', padding);
    }
    for (unsigned i = 0; i < length; i++) {
        sink->put(sink->context, text[i]);
    }
    if (c->left) {
        put_repeated(sink, ' ', padding);
    }
}

static void put_string(const struct format_sink *sink, const struct conversion *c, const char *text)
{
    const char *const string = text != NULL ? text : "(null)";
    unsigned length = 0;
    while ((!c->has_precision || length < c->precision) && string[length] != '\0') {
        length++;
    }
    put_padded(sink, c, string, length);
}

static void put_number(const struct format_sink *sink, const struct conversion *c, uint64_t magnitude,
                       bool negative)
{
    const char *const symbols = c->letter == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    const bool decimal = c->letter == 'd' || c->letter == 'i' || c->letter == 'u';
    char digits[DIGITS_MAX + 1];
    unsigned first = DIGITS_MAX + 1;
    do {
        digits[--first] = symbols[decimal ? magnitude % 10 : magnitude % 16];
        magnitude = decimal ? magnitude / 10 : magnitude / 16;
    } while (magnitude != 0);

    const unsigned length = DIGITS_MAX + 1 - first;
    if (c->zeros && !c->left) {
        const unsigned used = length + (negative ? 1 : 0);
        put_repeated(sink, '-', negative ? 1 : 0);
        put_repeated(sink, '0', c->width > used ? c->width - used : 0);
        put_padded(sink, &(struct conversion){ 0 }, digits + first, length);
        return;
    }
    if (negative) {
        digits[--first] = '-';
    }
    put_padded(sink, c, digits + first, DIGITS_MAX + 1 - first);
}

static uint64_t take_unsigned(struct arguments *arguments, enum length length)
{
    switch (length) {
    case LENGTH_CHAR: return (unsigned char)va_arg(arguments->list, unsigned);
    case LENGTH_SHORT: return (unsigned short)va_arg(arguments->list, unsigned);
    case LENGTH_INT: return va_arg(arguments->list, unsigned);
    case LENGTH_LONG: return va_arg(arguments->list, unsigned long);
    case LENGTH_LONG_LONG: return va_arg(arguments->list, unsigned long long);
    }
    return 0;
}

static int64_t take_signed(struct arguments *arguments, enum length length)
{
    switch (length) {
    case LENGTH_CHAR: return (signed char)va_arg(arguments->list, int);
    case LENGTH_SHORT: return (short)va_arg(arguments->list, int);
    case LENGTH_INT: return va_arg(arguments->list, int);
    case LENGTH_LONG: return va_arg(arguments->list, long);
    case LENGTH_LONG_LONG: return va_arg(arguments->list, long long);
    }
    return 0;
}

static const char *parse_count(const char *at, struct arguments *arguments, unsigned *count)
{
    if (*at == '*') {
        const int value = va_arg(arguments->list, int);
        *count = value > 0 ? (unsigned)value : 0;
        return at + 1;
    }
    *count = 0;
    while (*at >= '0' && *at <= '9') {
        *count = *count * 10 + (unsigned)(*at - '0');
        at++;
    }
    return at;
}

static const char *parse_length(const char *at, enum length *length)
{
    *length = LENGTH_INT;
    if (*at == 'z' || *at == 't') {
        *length = LENGTH_LONG;
        return at + 1;
    }
    if (*at == 'j') {
        *length = LENGTH_LONG_LONG;
        return at + 1;
    }
    while (*at == 'l' && *length < LENGTH_LONG_LONG) {
        (*length)++;
        at++;
    }
    while (*at == 'h' && *length > LENGTH_CHAR) {
        (*length)--;
        at++;
    }
    return at;
}

/* Read the conversion behind a '%' at @at; what follows its letter. */
static const char *parse(const char *at, struct arguments *arguments, struct conversion *c)
{
    *c = (struct conversion){ 0 };
    while (*at == '-' || *at == '0') {
        c->left |= *at == '-';
        c->zeros |= *at == '0';
        at++;
    }
    at = parse_count(at, arguments, &c->width);
    if (*at == '.') {
        c->has_precision = true;
        at = parse_count(at + 1, arguments, &c->precision);
    }
    at = parse_length(at, &c->length);
    c->letter = *at;
    return *at != '\0' ? at + 1 : at;
}

/* Whether the conversion is one of ours. */
static bool put_conversion(const struct format_sink *sink, struct conversion *c, struct arguments *arguments)
{
    switch (c->letter) {
    case 's': put_string(sink, c, va_arg(arguments->list, const char *)); return true;
    case 'c': {
        const char character = (char)va_arg(arguments->list, int);
        put_padded(sink, c, &character, 1);
        return true;
    }
    case 'd':
    case 'i': {
        const int64_t value = take_signed(arguments, c->length);
        put_number(sink, c, value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0);
        return true;
    }
    case 'u':
    case 'x':
    case 'X': put_number(sink, c, take_unsigned(arguments, c->length), false); return true;
    case 'p': put_number(sink, c, (uintptr_t)va_arg(arguments->list, void *), false); return true;
    case '%': put_repeated(sink, '%', 1); return true;
    default: return false;
    }
}

void format_text(const struct format_sink *sink, const char *format, va_list values)
{
    struct arguments arguments;
    va_copy(arguments.list, values);
    const char *at = format;
    while (*at != '\0') {
        if (*at != '%') {
            sink->put(sink->context, *at++);
            continue;
        }
        struct conversion conversion;
        const char *const after = parse(at + 1, &arguments, &conversion);
        if (!put_conversion(sink, &conversion, &arguments)) {
            put_padded(sink, &(struct conversion){ 0 }, at, (unsigned)(after - at));
        }
        at = after;
    }
    va_end(arguments.list);
}
