#include "tools/ui/complain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command.h"

__attribute__((format(printf, 3, 0))) static void fill(struct complaint *complaint, bool usage,
                                                       const char *format, va_list values)
{
    vsnprintf(complaint->text, sizeof(complaint->text), format, values);
    complaint->usage = usage;
}

bool complain(struct complaint *complaint, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    fill(complaint, false, format, values);
    va_end(values);
    return false;
}

bool complain_usage(struct complaint *complaint, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    fill(complaint, true, format, values);
    va_end(values);
    return false;
}

void give_up_for(const struct complaint *complaint)
{
    give_up(complaint->usage ? COMMAND_USAGE : COMMAND_INPUT, "%s", complaint->text);
}

void give_up(int status, const char *format, ...)
{
    va_list values;

    fflush(stdout);
    fputs("vmmu: ", stderr);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(status);
}

void *take_memory(unsigned long count, unsigned long size_bytes)
{
    void *memory = calloc(count ? count : 1, size_bytes);

    if (!memory) {
        give_up(COMMAND_INPUT, "there is no memory for %lu times %lu bytes", count, size_bytes);
    }
    return memory;
}

void *grow_memory(void *old, unsigned long old_count, unsigned long count, unsigned long size_bytes)
{
    char *memory = reallocarray(old, count ? count : 1, size_bytes);

    if (!memory) {
        give_up(COMMAND_INPUT, "there is no memory for %lu times %lu bytes", count, size_bytes);
    }
    if (count > old_count) {
        memset(memory + old_count * size_bytes, 0, (count - old_count) * size_bytes);
    }
    return memory;
}
