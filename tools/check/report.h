/*
 * What is wrong with tables, by kind: counted, with the first examples for people, or all of it for programs.
 */
#ifndef TOOLS_CHECK_REPORT_H
#define TOOLS_CHECK_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/maps/json.h"

enum check_severity {
    CHECK_ERROR,   /* it cannot be meant */
    CHECK_WARNING, /* it is seldom meant */
    CHECK_NOTE,    /* worth knowing */
    CHECK_SEVERITIES,
};

enum check_kind {
    /* Any tables. */
    CHECK_RESERVED,
    CHECK_ABSENT,
    CHECK_TABLE_WRITABLE,
    CHECK_PAIR_LOWER,
    CHECK_PAIR_UPPER,
    CHECK_WRITE_EXECUTE,
    CHECK_USER_UPPER,
    CHECK_ALIAS,
    CHECK_GLOBAL_USER,
    CHECK_LARGE_IGNORED,
    CHECK_SELF_MAP,
    CHECK_TWO_LEVELS,
    CHECK_NO_MEMORY,
    CHECK_NO_NX,
    CHECK_TOO_MANY,
    /* What our hypervisor built. */
    CHECK_FOREIGN,
    CHECK_TABLE_MAPPED,
    CHECK_TABLE_PLACE,
    CHECK_PIECE_RIGHTS,
    CHECK_PIECE_FRAME,
    CHECK_SHADOW_FRAME,
    CHECK_SHADOW_RIGHTS,
    CHECK_CLOSED_WRITABLE,
    CHECK_STALE,
    CHECK_KINDS,
};

/* What is said of one kind. */
struct check_words {
    enum check_severity severity;
    const char *word;  /* for programs: "write-execute" */
    const char *title; /* for people */
    const char *why;
};

extern const struct check_words check_words[CHECK_KINDS];

#define CHECK_EXAMPLES_MOST 64

/* What was looked at: findings mean nothing without it. */
struct check_looked {
    uint64_t entries; /* read, of the address space */
    uint64_t tables;
    uint64_t pages;
    bool pair;             /* KPTI's other root was compared */
    uint64_t second_pages; /* of the second stage */
    uint64_t shadow_pages; /* of shadow tables */
    uint64_t sure_pages;   /* of these, such as cannot be stale */
    unsigned shadow_roots;
};

struct check_report {
    struct check_looked looked;
    bool json;
    unsigned examples; /* kept of each kind */
    int digits;        /* of addresses */
    uint64_t counts[CHECK_KINDS];
    char *texts[CHECK_KINDS][CHECK_EXAMPLES_MOST];
    struct json_rows rows;
};

/* Begin a report on @space, and on what belongs to it. */
void check_report_begin(struct check_report *report, const struct space *space);

/* Addresses that a finding is about. */
struct check_place {
    uint64_t address;
    uint64_t bytes;
};

/* Something was found; where is not part of the sentence. */
__attribute__((format(printf, 4, 5))) void check_found(struct check_report *report, enum check_kind kind,
                                                       struct check_place place, const char *format, ...);

/* Findings of @severity. */
uint64_t check_count(const struct check_report *report, enum check_severity severity);

/* Print what is left to print. @complete: tables had an end. */
void check_report_end(struct check_report *report, bool complete);

#endif
