/*
 * A board's counters as one list, for reports: described by tables of where they stand in the board.
 */
#ifndef HV_DEV_COUNTERS_H
#define HV_DEV_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One number for people and benchmarks. */
struct dev_counter {
    const char *device; /* "lapic0", "uart1", ... */
    const char *name;   /* "reads", "interrupts", ... */
    uint64_t value;
};

/* A number within a device: an uint64_t at `offset`. */
struct counter_row {
    const char *name;
    size_t offset;
};

/* Devices of one kind: `count` of them, `stride` bytes apart, the first at `offset` of the board; if per VP, as many as that has. */
struct counter_section {
    const char *const *names;
    unsigned count;
    bool is_per_vp;
    size_t offset;
    size_t stride;
    const struct counter_row *rows;
    unsigned row_count;
};

#define COUNTER_ROW(type, label, field)                                                                      \
    {                                                                                                        \
        label, offsetof(type, field)                                                                         \
    }
#define COUNTER_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define COUNTER_ROWS(array)  array, COUNTER_COUNT(array)

/* What is described, and of which board. */
struct counter_list {
    const struct counter_section *sections;
    unsigned count;
    const void *board;
    unsigned vps;
};

/* Counter @index of the list, in its order. False past the last. */
bool dev_counter_at(const struct counter_list *list, unsigned index, struct dev_counter *counter);

#endif
