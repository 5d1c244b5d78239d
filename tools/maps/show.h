/*
 * How maps are shown: as text for people, or as JSON for programs. Rows are written as they are found, so that no map is
 * ever held whole.
 */
#ifndef TOOLS_MAPS_SHOW_H
#define TOOLS_MAPS_SHOW_H

#include "tools/maps/ranges.h"
#include "tools/ui/complain.h"

struct show_options {
    enum ranges_join join;
    bool physical; /* ranges are neighbours in physical memory, too, and it is shown */
    bool all;      /* do not fold runs of equal ranges */
    bool json;
};

/* Totals of what was shown. */
struct show_totals {
    uint64_t ranges;
    uint64_t pages[PAGE_SIZES];
    uint64_t bytes; /* mapped */
    uint64_t malformed;
    uint64_t absent;
    uint64_t entries_read;
};

/*
 * Print all ranges of @space. COMMAND_OK; COMMAND_NO if nothing is mapped; COMMAND_INPUT and *complaint if its tables have no
 * end.
 */
int show_ranges(const struct space *space, const struct show_options *options, struct complaint *complaint);

/* The same for all pages, one by one. */
int show_pages(const struct space *space, const struct show_options *options, struct complaint *complaint);

#endif
