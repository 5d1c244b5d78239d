#include "hv/monitor/text.h"

void text_say(const struct format_sink *sink, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    format_text(sink, format, values);
    va_end(values);
}
