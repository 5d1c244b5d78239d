/*
 * Words now stand in pages, by page number; words of the past in one ring, in the order in which they ended,
 * so that pruning takes them off its tail. The past versions of one word are linked through the ring, oldest first.
 *
 * Invariant: a word's links name records between the ring's tail and head, or nothing.
 */
#include "tests/model/machine/history.h"

#include <stdlib.h>
#include <string.h>

#define WORDS         512
#define PAGES_LOW     (GUEST_LOW_BYTES / VMMU_PAGE_BYTES)
#define PAGES         (PAGES_LOW + GUEST_HIGH_BYTES / VMMU_PAGE_BYTES)
/* A power of two. */
#define RING          UINT32_C(0x10000)

/* Present bits of an entry of eight bytes, or of one of two entries of four. */
#define MAY_BE_CACHED UINT64_C(0x100000001)

/* Numbers of records count up forever; a record stands at its number modulo RING. 0 is no record. */
struct word {
    uint64_t begin; /* of the value now */
    uint32_t oldest;
    uint32_t newest;
};

struct page {
    uint64_t value[WORDS];
    struct word word[WORDS];
};

struct record {
    struct history_version version;
    struct word *word;
    uint32_t next; /* the same word's next younger one */
};

struct history {
    uint32_t head; /* the number that the next record gets */
    uint32_t tail; /* of the oldest record that is kept */
    uint32_t page_count;
    uint32_t page_room;
    uint64_t lost;
    uint32_t *used; /* numbers of the pages that exist */
    struct record *ring;
    struct page *page[PAGES];
};

static uint64_t page_number(uint64_t gpa)
{
    return gpa < GUEST_LOW_BYTES ? gpa / VMMU_PAGE_BYTES
                                 : PAGES_LOW + (gpa - GUEST_HIGH_BASE) / VMMU_PAGE_BYTES;
}

static struct page *page_at(const struct history *history, uint64_t gpa)
{
    return guest_has_memory(gpa) ? history->page[page_number(gpa)] : NULL;
}

static unsigned word_index(uint64_t gpa)
{
    return (unsigned)(gpa % VMMU_PAGE_BYTES / 8);
}

struct history *history_create(void)
{
    struct history *history = calloc(1, sizeof(*history));

    if (!history) {
        return NULL;
    }
    history->head = history->tail = 1;
    history->ring = calloc(RING, sizeof(*history->ring));
    if (!history->ring) {
        history_destroy(history);
        return NULL;
    }
    return history;
}

void history_destroy(struct history *history)
{
    if (!history) {
        return;
    }
    for (uint32_t i = 0; i < history->page_count; i++) {
        free(history->page[history->used[i]]);
    }
    free(history->used);
    free(history->ring);
    free(history);
}

/* A test program that is out of memory cannot go on. */
static void *must(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

static struct page *page_make(struct history *history, uint64_t gpa)
{
    const uint32_t number = (uint32_t)page_number(gpa);

    if (history->page_count == history->page_room) {
        history->page_room = history->page_room ? 2 * history->page_room : 64;
        history->used = must(realloc(history->used, history->page_room * sizeof(*history->used)));
    }
    history->used[history->page_count++] = number;
    history->page[number] = must(calloc(1, sizeof(struct page)));
    return history->page[number];
}

static struct record *record_of(const struct history *history, uint32_t number)
{
    return &history->ring[number % RING];
}

static void forget_oldest(struct history *history)
{
    struct record *record = record_of(history, history->tail++);

    record->word->oldest = record->next;
    if (record->next == 0) {
        record->word->newest = 0;
    }
}

/* The value of @word goes into the past. */
static void remember(struct history *history, struct word *word, uint64_t value, uint64_t end)
{
    if (history->head - history->tail == RING) {
        history->lost = record_of(history, history->tail)->version.end;
        forget_oldest(history);
    }
    const uint32_t number = history->head++;

    *record_of(history, number) = (struct record){ { word->begin, end, value }, word, 0 };
    if (word->newest) {
        record_of(history, word->newest)->next = number;
    } else {
        word->oldest = number;
    }
    word->newest = number;
}

uint64_t history_load(const struct history *history, uint64_t gpa, unsigned width_bytes)
{
    const struct page *page = page_at(history, gpa);
    uint64_t value = 0;

    if (page) {
        memcpy(&value, (const uint8_t *)page->value + gpa % VMMU_PAGE_BYTES, width_bytes);
    }
    return value;
}

void history_store(struct history *history, uint64_t time, uint64_t gpa, unsigned width_bytes, uint64_t value)
{
    const unsigned index = word_index(gpa);
    struct page *page = page_at(history, gpa);

    if (!guest_has_memory(gpa)) {
        return;
    }
    if (!page) {
        page = page_make(history, gpa);
    }
    const uint64_t before = page->value[index];

    memcpy((uint8_t *)page->value + gpa % VMMU_PAGE_BYTES, &value, width_bytes);
    if (page->value[index] == before) {
        return;
    }
    if (before & MAY_BE_CACHED) {
        remember(history, &page->word[index], before, time);
    }
    page->word[index].begin = time;
}

void history_versions(const struct history *history, uint64_t gpa, uint64_t since,
                      struct history_versions *out)
{
    const struct page *page = page_at(history, gpa);
    unsigned count = 0;

    out->incomplete = false;
    out->count = 1;
    out->version[0] = (struct history_version){ 0, TIME_NEVER, 0 };
    if (!page) {
        return;
    }
    const struct word *word = &page->word[word_index(gpa)];

    for (uint32_t number = word->oldest; number != 0; number = record_of(history, number)->next) {
        const struct history_version *version = &record_of(history, number)->version;

        if (version->end <= since) {
            continue;
        }
        if (count + 1 == HISTORY_VERSIONS) {
            memmove(out->version, out->version + 1, (HISTORY_VERSIONS - 2) * sizeof(*version));
            out->incomplete = true;
            count--;
        }
        out->version[count++] = *version;
    }
    out->version[count++] = (struct history_version){ word->begin, TIME_NEVER, page->value[word_index(gpa)] };
    out->count = count;
}

void history_prune(struct history *history, uint64_t floor)
{
    while (history->tail != history->head && record_of(history, history->tail)->version.end <= floor) {
        forget_oldest(history);
    }
}

uint64_t history_lost(const struct history *history)
{
    return history->lost;
}

unsigned history_burden(const struct history *history, uint64_t floor)
{
    uint32_t first = history->tail;
    uint32_t last = history->head;

    while (first != last) {
        const uint32_t middle = first + (last - first) / 2;

        if (record_of(history, middle)->version.end <= floor) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    return history->head - first;
}
