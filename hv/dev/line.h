/*
 * An interrupt request line between a device and what it is wired to.
 *
 * The device says what level it drives; the board hears of changes only. Several devices may share one input:
 * each has its own struct dev_line with its own @source, and the board ORs them.
 */
#ifndef HV_DEV_LINE_H
#define HV_DEV_LINE_H

#include <stdbool.h>
#include <stdint.h>

struct dev_line {
    void (*changed)(void *context, const struct dev_line *line);
    void *context;
    uint8_t number; /* the input that it is wired to */
    uint8_t source; /* which of the drivers of that input, 0 to 7 */
    bool high;
    uint64_t raised; /* rising edges so far */
};

/* Drive @line to @high; tells the other end if that is a change. */
static inline void dev_line_set(struct dev_line *line, bool high)
{
    if (line->high == high)
        return;
    line->high = high;
    line->raised += high;
    line->changed(line->context, line);
}

/* Register accesses of one device. */
struct dev_counters {
    uint64_t reads;
    uint64_t writes;
};

#endif
