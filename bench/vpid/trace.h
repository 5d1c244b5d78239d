/*
 * A trace of what the processor under a hypervisor does that concerns its TLB: world switches, what the hypervisor and the
 * guest invalidate, and the pages that are accessed in between, with what their translation was.
 *
 * A stream of records without a beginning: each is one number of seven-bit groups, low ones first, whose low bits say of
 * what kind it is, and a second number for some kinds. The page of an access is told by its distance from the last one of the same side
 * (code or data). An access to the page of the one before, on the same side and with nothing else between, is left out and
 * counted: no TLB of more than one entry notices it.
 *
 * A translation is told when it is not what was last told of that page. Writer and reader keep the same bounded account of
 * that (struct trace_pages), so neither ever looks back.
 */
#ifndef BENCH_VPID_TRACE_H
#define BENCH_VPID_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum trace_kind {
    TRACE_FETCH,       /* value: number of the page of 4 KiB */
    TRACE_READ,        /* the same */
    TRACE_WRITE,       /* the same */
    TRACE_TRANSLATION, /* of the next access: see trace_translation_record() */
    TRACE_ENTER,       /* the guest is entered. value: number of the root's page; more: enum trace_enter */
    TRACE_EXIT,        /* the hypervisor goes on. value: the reason, as the hardware has it */
    TRACE_LOAD_ROOT,   /* the guest loaded CR3 by itself. value: number of the root's page */
    TRACE_INVLPG,      /* the guest's own, by itself. value: page number */
    TRACE_FLUSH_PAGE,  /* the hypervisor flushed a page of the guest's. value: page number; more: tag */
    TRACE_MARK,        /* the workload passed a mark. value: its number */
    TRACE_MERGED,      /* accesses that were left out. value: how many */
    TRACE_KINDS,
};

/* What is told of an entry beside the root: tag in the low 16 bits, then TLB_CONTROL, and these. */
#define TRACE_ENTER_TAG(more)     ((uint16_t)(more))
#define TRACE_ENTER_CONTROL(more) ((uint8_t)((more) >> 16))
#define TRACE_ENTER_ASKED         (UINT64_C(1) << 24) /* a flush was asked for, whatever the root */
#define TRACE_ENTER_NESTED        (UINT64_C(1) << 25) /* the root is a second stage's */

struct trace_record {
    enum trace_kind kind;
    uint64_t value;
    uint64_t more;
};

/* What a walk of the tables said. */
struct trace_translation {
    uint8_t page_shift; /* the smaller of both stages' */
    uint8_t loads;      /* memory references of a walk with nothing cached */
    bool global;
    bool dirty;     /* in every stage: else a write walks again */
    uint64_t frame; /* number of the page of 4 KiB in the machine */
};

/* What was last told of a page. */
struct trace_page {
    uint64_t key; /* 0: nothing */
    struct trace_translation translation;
    uint32_t epoch; /* the writer's: when it was last found in the tables */
};

#define TRACE_PAGES (1u << 20)

/* Pages by number and world; one takes another's place. Zeroed: nothing was told. */
struct trace_pages {
    struct trace_page slots[TRACE_PAGES];
};

static inline uint64_t trace_page_key(uint64_t page, bool guest)
{
    return page << 2 | (uint64_t)guest << 1 | 1;
}

/* Where @key is kept; another's if its key differs. */
struct trace_page *trace_page_at(struct trace_pages *pages, uint64_t key);

/* Where the last accesses of either side were. Zeroed at first, in writer and reader alike. */
struct trace_sides {
    uint64_t last[2];
};

#define TRACE_RECORD_BYTES 20 /* at most */

/* Lay out @record at @out. Returns its bytes. */
size_t trace_encode(struct trace_sides *sides, const struct trace_record *record, uint8_t *out);

/* The next record of @in. False at its end, or where it is cut off. */
bool trace_decode(struct trace_sides *sides, FILE *in, struct trace_record *record);

/* Whether both say the same in every member. */
bool trace_is_same(const struct trace_translation *a, const struct trace_translation *b);

struct trace_record trace_translation_record(const struct trace_translation *translation);
struct trace_translation trace_translation_of(const struct trace_record *record);

#endif
