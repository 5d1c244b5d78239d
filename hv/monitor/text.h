/* Text for people, sent to wherever it goes. Pure. */
#ifndef HV_MONITOR_TEXT_H
#define HV_MONITOR_TEXT_H

#include "hv/boot/format.h"

/* Send @format and its values, as format_text() does. */
__attribute__((format(printf, 2, 3))) void text_say(const struct format_sink *sink, const char *format, ...);

#endif
