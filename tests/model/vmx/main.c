/*
 * entries FILE...: judge every VM entry that a record holds. See entry.h.
 *
 * Says how many entries there were and of what, and each rule that was broken, with the fields that break it. Exit
 * status 0 if a processor must enter all of them; 1 if some rule is broken; 2 if there is no record that can be read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/vmx/record.h"

#define MOST_BROKEN 32

/* A rule that was broken: how often, and the first image that did. */
struct broken {
    struct entry_verdict verdict;
    uint64_t value[ENTRY_VERDICT_KEYS];
    unsigned long entry;
    unsigned long times;
};

struct judgement {
    struct entry_record record;
    unsigned long entries, distinct, refused;
    unsigned long kind[ENTRY_KINDS];
    unsigned long injected[8];
    unsigned long shaded, unreadable;
    unsigned broken_count;
    struct broken broken[MOST_BROKEN];
    uint64_t *seen; /* digests, at the place that they say or behind it; 0: free */
    size_t places;
};

static bool grow(struct judgement *judgement);

/* Whether @digest is new. */
static bool note(struct judgement *judgement, uint64_t digest)
{
    size_t at;

    digest += !digest;
    if (judgement->distinct * 2 >= judgement->places && !grow(judgement)) {
        fprintf(stderr, "entries: no memory\n");
        exit(2);
    }
    for (at = digest % judgement->places; judgement->seen[at]; at = (at + 1) % judgement->places) {
        if (judgement->seen[at] == digest) {
            return false;
        }
    }
    judgement->seen[at] = digest;
    judgement->distinct++;
    return true;
}

static bool grow(struct judgement *judgement)
{
    uint64_t *old = judgement->seen;
    const size_t places = judgement->places;

    judgement->places = places ? places * 4 : 4096;
    judgement->seen = calloc(judgement->places, sizeof *judgement->seen);
    if (!judgement->seen) {
        return false;
    }
    judgement->distinct = 0;
    for (size_t i = 0; i < places; i++) {
        if (old[i]) {
            note(judgement, old[i]);
        }
    }
    free(old);
    return true;
}

static struct broken *broken_as(struct judgement *judgement, const struct entry_verdict *verdict)
{
    for (unsigned i = 0; i < judgement->broken_count; i++) {
        const struct entry_verdict *known = &judgement->broken[i].verdict;

        if (strcmp(known->section, verdict->section) == 0 &&
            strcmp(known->sentence, verdict->sentence) == 0) {
            return &judgement->broken[i];
        }
    }
    return NULL;
}

static void blame(struct judgement *judgement, const struct entry_image *image,
                  const struct entry_verdict *verdict)
{
    struct broken *broken = broken_as(judgement, verdict);

    judgement->refused++;
    if (!broken && judgement->broken_count < MOST_BROKEN) {
        broken = &judgement->broken[judgement->broken_count++];
        *broken = (struct broken){ .verdict = *verdict, .entry = judgement->entries };
        for (unsigned i = 0; i < verdict->keys; i++) {
            entry_image_get(image, verdict->key[i], &broken->value[i]);
        }
    }
    if (broken) {
        broken->times++;
    }
}

static void judge(struct judgement *judgement, unsigned vp)
{
    const struct entry_image *image = &judgement->record.image[vp];
    struct entry_verdict verdict;
    uint64_t event;
    uint64_t interruptibility;

    judgement->entries++;
    judgement->kind[entry_kind_of(image)]++;
    if (entry_image_get(image, VMCS_ENTRY_EVENT, &event) && event & VMX_EVENT_VALID) {
        judgement->injected[VMX_EVENT_TYPE(event)]++;
    }
    if (entry_image_get(image, VMCS_GUEST_INTERRUPTIBILITY, &interruptibility) && interruptibility) {
        judgement->shaded++;
    }
    if (note(judgement, judgement->record.digest[vp] + vp) && !entry_judge(image, &verdict)) {
        blame(judgement, image, &verdict);
    }
}

/* A machine that was stopped may have been in the midst of a line: its last one does not count if it has no end. */
static bool read_file(struct judgement *judgement, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;

    while ((length = getline(&line, &room, file)) > 0 && line[length - 1] == '\n') {
        unsigned vp;

        line[length - 1] = '\0';
        switch (entry_record_line(&judgement->record, line, &vp)) {
        case ENTRY_LINE_OTHER: break;
        case ENTRY_LINE_ENTRY: judge(judgement, vp); break;
        case ENTRY_LINE_BROKEN:
            judgement->unreadable++;
            fprintf(stderr, "entries: cannot read this: %.200s\n", line);
            break;
        }
    }
    free(line);
    return !ferror(file);
}

static void report_broken(const struct broken *broken)
{
    printf("broken by %lu images, first at entry %lu: %s: %s\n", broken->times, broken->entry,
           broken->verdict.section, broken->verdict.sentence);
    for (unsigned i = 0; i < broken->verdict.keys; i++) {
        printf("    %s (%x) = %llx\n", entry_key_name(broken->verdict.key[i]), broken->verdict.key[i],
               (unsigned long long)broken->value[i]);
    }
}

static void report(const struct judgement *judgement)
{
    static const char *const types[8] = { "external interrupt", "reserved type",      "NMI",
                                          "hardware exception", "software interrupt", "privileged exception",
                                          "software exception", "other event" };

    printf("%lu entries, %lu distinct images, %lu refused\n", judgement->entries, judgement->distinct,
           judgement->refused);
    for (unsigned i = 0; i < ENTRY_KINDS; i++) {
        printf("%lu in %s\n", judgement->kind[i], entry_kind_names[i]);
    }
    for (unsigned i = 0; i < 8; i++) {
        if (judgement->injected[i]) {
            printf("%lu with an event: %s\n", judgement->injected[i], types[i]);
        }
    }
    printf("%lu with events blocked\n", judgement->shaded);
    for (unsigned i = 0; i < judgement->broken_count; i++) {
        report_broken(&judgement->broken[i]);
    }
}

int main(int count, char **names)
{
    static struct judgement judgement;
    int status = count > 1 ? 0 : 2;

    for (int i = 1; i < count; i++) {
        FILE *file = fopen(names[i], "r");

        memset(&judgement.record, 0, sizeof judgement.record); /* another machine's */
        if (!file || !read_file(&judgement, file)) {
            fprintf(stderr, "entries: %s: %s\n", names[i], strerror(errno));
            status = 2;
        }
        if (file) {
            fclose(file);
        }
    }
    report(&judgement);
    free(judgement.seen);
    if (status || judgement.unreadable || !judgement.entries) {
        return 2;
    }
    return judgement.refused ? 1 : 0;
}
