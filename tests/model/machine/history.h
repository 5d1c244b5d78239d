/*
 * Guest memory that remembers: every value that a word of eight bytes had, and when.
 *
 * Time is the reference's counter. A value that no processor can cache (no present bit in either half) is
 * forgotten as soon as another takes its place; the others stay until they are pruned.
 */
#ifndef TESTS_MODEL_MACHINE_HISTORY_H
#define TESTS_MODEL_MACHINE_HISTORY_H

#include "tests/model/machine/geometry.h"

/* The end of what still lasts. */
#define TIME_NEVER UINT64_MAX

/* A value that a word had from @begin until just before @end. */
struct history_version {
    uint64_t begin;
    uint64_t end; /* TIME_NEVER: it has it now */
    uint64_t value;
};

struct history;

/* NULL if there is no memory left on this computer. All words are zero from time 0 on. */
struct history *history_create(void);
void history_destroy(struct history *history);

/* Memory now: width 1, 2, 4 or 8, aligned. Where guest_has_memory() says no: zero. */
uint64_t history_load(const struct history *history, uint64_t gpa, unsigned width_bytes);

/* Store at @time, which no earlier store had. Where guest_has_memory() says no, nothing happens. */
void history_store(struct history *history, uint64_t time, uint64_t gpa, unsigned width_bytes,
                   uint64_t value);

#define HISTORY_VERSIONS 64

/* Versions of one word, oldest first; the last one is that of now. */
struct history_versions {
    unsigned count;
    bool incomplete; /* there were more; the oldest are left out */
    struct history_version version[HISTORY_VERSIONS];
};

/* The versions of the word around @gpa that lasted beyond @since. */
void history_versions(const struct history *history, uint64_t gpa, uint64_t since,
                      struct history_versions *out);

/* Forget versions that ended at @floor or before. */
void history_prune(struct history *history, uint64_t floor);

/* Versions that ended at this time or before may be lost for want of room, pruned or not. 0 if none is. */
uint64_t history_lost(const struct history *history);

/* How many past versions that ended after @floor are kept. */
unsigned history_burden(const struct history *history, uint64_t floor);

#endif
