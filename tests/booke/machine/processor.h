/*
 * The TLB of a real processor, as the manuals describe it: a flat list of entries that only tlbwe changes.
 *
 * It is naive on purpose, and hostile: it holds what was written until it is written again, and looks at every entry for every
 * access, so that two entries for one access are seen however unlikely the access is.
 */
#ifndef TESTS_BOOKE_MACHINE_PROCESSOR_H
#define TESTS_BOOKE_MACHINE_PROCESSOR_H

#include "tests/booke/machine/reference.h"

#define PROCESSOR_MOST_ENTRIES REFERENCE_MOST_ENTRIES

struct real_entry {
    bool valid;
    bool protect;
    bool space; /* TS */
    uint32_t tid;
    uint32_t first, last; /* effective addresses */
    uint64_t real;        /* of the first */
    uint32_t attributes;  /* X0 X1 W I M G E */
    bool ux, sx, uw, sw, ur, sr;
    uint32_t mas1, mas2, mas3, mas7; /* as written */
};

struct processor {
    struct geometry geometry;
    unsigned kept; /* entries of TLB1, the last ones, that are the hypervisor's own */
    uint32_t pid[3];
    struct real_entry entry[PROCESSOR_MOST_ENTRIES]; /* TLB0 by set and way, then TLB1 */
    unsigned entries;
};

/* With the hypervisor's own entries in place, and no other. */
void processor_init(struct processor *processor, const struct geometry *geometry, unsigned kept);

/*
 * Where tlbwe of these registers writes, and what; -1: nowhere. *wrong is NULL, or a sentence: something that the manuals leave
 * undefined, where bits in the way are ignored here; or the hypervisor's own entry.
 */
int processor_decode(const struct processor *processor, const struct vmmu_booke_mas *mas,
                     struct real_entry *entry, const char **wrong);

/* Whether one access can match both under some PIDs; and under the PIDs that are loaded. */
bool processor_overlap(const struct real_entry *one, const struct real_entry *other);
bool processor_sees(const struct processor *processor, const struct real_entry *entry);

/* The place of an entry after @after (-1: from the first) that matches an access to @ea with TS = 1; or -1. */
int processor_match(const struct processor *processor, uint32_t ea, int after);

bool processor_allows(const struct real_entry *entry, enum access_kind kind);

#endif
