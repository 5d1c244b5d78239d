#include "tools/walk/words.h"

#include <stdarg.h>
#include <stdio.h>

struct words words_in(char *to, size_t size_bytes)
{
    to[0] = '\0';
    return (struct words){ .to = to, .size_bytes = size_bytes };
}

void words_add(struct words *words, const char *between, const char *format, ...)
{
    char *const end = words->to + words->length;
    const size_t room = words->size_bytes - words->length;
    const int lead = snprintf(end, room, "%s", words->length > 0 ? between : "");
    va_list arguments;
    int written = -1;

    if (lead >= 0 && (size_t)lead < room) {
        va_start(arguments, format);
        written = vsnprintf(end + lead, room - (size_t)lead, format, arguments);
        va_end(arguments);
    }
    if (written >= 0 && (size_t)written < room - (size_t)lead) {
        words->length += (size_t)lead + (size_t)written;
    } else {
        *end = '\0';
    }
}
