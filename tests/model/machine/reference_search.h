/*
 * Walks through time: every way down the tables that a processor may have gone, reading each entry at a
 * moment of its own.
 *
 * A walk through time reads the root's entry at some moment, and each entry below at that moment or later. Between the reading of
 * an entry and that of the next one below, what is remembered of the first must not have been removed; between the reading of
 * the leaf and now, the translation must not have been removed. What was read is told by the segment in which it was: a stretch of
 * a moment in the PCID that the translation is made for.
 *
 * Within a segment nothing is removed, so to have read an entry early is as good as to have read it late, or better, for
 * all that is read below it: per segment only the earliest possible time of each value is tried.
 *
 * Spec: SDM 3A "Caching Translation Information"; APM 2 "Translation-Lookaside Buffer (TLB)". See docs/staleness.md.
 */
#ifndef TESTS_MODEL_MACHINE_REFERENCE_SEARCH_H
#define TESTS_MODEL_MACHINE_REFERENCE_SEARCH_H

#include "tests/model/machine/reference_internal.h"

/* What a search is for. */
struct search_goal {
    /* A permitted result; true ends the search. NULL: they do not matter. */
    bool (*found)(void *context, const struct reference_result *result);
    void *context;
    bool table_wanted; /* ends when an entry of the page `table` may be read now */
    uint64_t table;
    bool marks_missing; /* accessed and dirty bits may still be missing from entries that are read now */
};

enum search_end {
    SEARCH_FOUND,     /* the goal ended it */
    SEARCH_EXHAUSTED, /* there is nothing more */
    SEARCH_GAVE_UP,   /* there may be more, but history is lost or too long */
};

/* Search all walks of @access, which must have paging on, that any cached information may take part in. */
enum search_end reference_search(const struct reference *reference, const struct reference_access *access,
                                 const struct search_goal *goal);

#endif
