#include "tests/guests/common/report.h"

#include <stdarg.h>
#include <stddef.h>

#include "tests/guests/common/machine.h"

#define DETAIL_BYTES 256

/* Text goes to the serial port, or to the detail kept for the next failure. */
struct sink {
    char *buffer;
    size_t used;
    size_t size;
};

static unsigned reported, failures;
static char kept[DETAIL_BYTES];

static void put(struct sink *sink, char character)
{
    if (sink->buffer == NULL) {
        machine_put(character);
    } else if (sink->used + 1 < sink->size) {
        sink->buffer[sink->used++] = character;
        sink->buffer[sink->used] = 0;
    }
}

static void put_text(struct sink *sink, const char *text)
{
    while (*text) {
        put(sink, *text++);
    }
}

static void put_hex(struct sink *sink, uint64_t value)
{
    unsigned digits = 1;
    while (digits < 16 && value >> (4 * digits) != 0) {
        digits++;
    }
    put_text(sink, "0x");
    while (digits-- > 0) {
        put(sink, "0123456789abcdef"[value >> (4 * digits) & 15]);
    }
}

static void put_decimal(struct sink *sink, uint32_t value)
{
    char digits[11];
    unsigned count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0) {
        put(sink, digits[--count]);
    }
}

static void put_format(struct sink *sink, const char *format, va_list arguments)
{
    for (; *format; format++) {
        if (*format != '%') {
            put(sink, *format);
            continue;
        }
        switch (*++format) {
        case 's': put_text(sink, va_arg(arguments, const char *)); break;
        case 'u': put_decimal(sink, va_arg(arguments, unsigned)); break;
        case 'x': put_hex(sink, va_arg(arguments, uint32_t)); break;
        case 'p': put_hex(sink, (uintptr_t)va_arg(arguments, const void *)); break;
        case 'q': put_hex(sink, va_arg(arguments, uint64_t)); break;
        default: bail_out("a format of the guest's own is wrong");
        }
    }
}

static struct sink serial = { 0 };

static void put_result(bool holds, const char *format, va_list arguments)
{
    put_text(&serial, holds ? "ok " : "not ok ");
    put_decimal(&serial, ++reported);
    put_text(&serial, " - ");
    put_format(&serial, format, arguments);
}

void detail(const char *format, ...)
{
    struct sink sink = { kept, 0, sizeof(kept) };
    va_list arguments;
    va_start(arguments, format);
    put_format(&sink, format, arguments);
    va_end(arguments);
}

static void put_end(bool holds)
{
    if (!holds) {
        failures++;
        if (kept[0]) {
            put_text(&serial, ": ");
            put_text(&serial, kept);
        }
    }
    kept[0] = 0;
    put_text(&serial, "\n");
}

bool report(bool holds, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_result(holds, format, arguments);
    va_end(arguments);
    put_end(holds);
    return holds;
}

void report_skip(const char *reason, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_result(true, format, arguments);
    va_end(arguments);
    put_text(&serial, " # skip ");
    put_text(&serial, reason);
    put_end(true);
}

void report_inside(bool holds, const char *format, ...)
{
    const bool bare = runs_bare();
    va_list arguments;
    va_start(arguments, format);
    put_result(holds || bare, format, arguments);
    va_end(arguments);
    if (bare) {
        put_text(&serial, " # skip on the bare emulator: ");
        put_text(&serial, holds ? "it holds there too" : kept[0] ? kept : "it does not hold there");
    }
    put_end(holds || bare);
}

void report_slip(bool holds, const char *format, ...)
{
    va_list arguments;
    put_text(&serial, "# left out: ");
    va_start(arguments, format);
    put_format(&serial, format, arguments);
    va_end(arguments);
    put_text(&serial, holds ? ": it holds here" : ": it does not hold here");
    put_end(true);
}

void comment(const char *format, ...)
{
    va_list arguments;
    put_text(&serial, "# ");
    va_start(arguments, format);
    put_format(&serial, format, arguments);
    va_end(arguments);
    put_text(&serial, "\n");
}

_Noreturn void report_end(void)
{
    put_text(&serial, "1..");
    put_decimal(&serial, reported);
    put_text(&serial, "\n");
    machine_leave(failures == 0 ? 0 : 1);
}

_Noreturn void report_skip_all(const char *reason)
{
    put_text(&serial, "1..0 # skip ");
    put_text(&serial, reason);
    put_text(&serial, "\n");
    machine_leave(0);
}

_Noreturn void bail_out(const char *format, ...)
{
    va_list arguments;
    put_text(&serial, "Bail out! ");
    va_start(arguments, format);
    put_format(&serial, format, arguments);
    va_end(arguments);
    put_text(&serial, "\n");
    machine_leave(1);
}

bool option(const char *word)
{
    const char *at = machine_words();
    while (*at) {
        const char *want = word;
        while (*want && *at == *want) {
            at++;
            want++;
        }
        if (*want == 0 && (*at == ' ' || *at == 0)) {
            return true;
        }
        while (*at && *at != ' ') {
            at++;
        }
        at += *at == ' ';
    }
    return false;
}

bool runs_bare(void)
{
    if (option("bare") || option("inside")) {
        return option("bare");
    }
    return machine_is_bare();
}
