/*
 * Formatted text, a small part of printf's language, sent one character at a time to wherever it goes. Pure.
 */
#ifndef HV_BOOT_FORMAT_H
#define HV_BOOT_FORMAT_H

#include <stdarg.h>

struct format_sink {
    void *context;
    void (*put)(void *context, char character);
};

/**
 * Send @format to @sink, its conversions replaced by @values: %s %c %d %i %u %x %X %p %%, with the lengths
 * hh, h, l, ll, z, j and t, the flags '-' and '0', a width, and for %s a precision; either may be '*'. A null
 * string prints as "(null)". What it does not know is sent as it stands.
 */
__attribute__((format(printf, 2, 0))) void format_text(const struct format_sink *sink, const char *format,
                                                       va_list values);

#endif
