/*
 * A processor that remembers all that it may, at once and forever: at each moment, everything that can be made of
 * the tables for a few addresses is made, and kept until something must be removed.
 *
 * It works forwards, entry by entry, where the reference looks backwards into histories of words: the two share no
 * idea, and must find the same results permitted.
 *
 * Spec: SDM 3A "Caching Translation Information"; APM 2 "Translation-Lookaside Buffer (TLB)".
 */
#ifndef TESTS_MODEL_SATURATED_CACHE_H
#define TESTS_MODEL_SATURATED_CACHE_H

#include "tests/model/machine/reference.h"

#define SATURATED_ADDRESSES 4
#define SATURATED_ENTRIES   4096

/* What was made of a walk, or of a part of it. */
struct saturated_entry {
    uint16_t pcid;
    uint64_t root; /* in use when it was read */
    uint8_t level; /* 0: a translation of 4 KiB; else that of the table entry */
    bool global;
    bool dirty;
    uint8_t key;
    uint64_t region; /* the address, shifted by the region's size */
    uint64_t target; /* frame or table */
    uint64_t grants;
    uint8_t rights; /* of a translation */
};

struct saturated_cache {
    struct reference *reference; /* memory and registers of VP 0 are its */
    bool intel;
    uint16_t
        space; /* not 0: what stands in the PCID's place, after a switch of address spaces by hypercall */
    uint64_t address[SATURATED_ADDRESSES];
    unsigned count;
    struct saturated_entry entry[SATURATED_ENTRIES];
};

/* Make everything that can be made now. To be called after each change of memory or registers. */
void saturated_fill(struct saturated_cache *cache);

/* What is to be removed; an entry goes if it is of one of these sorts. */
struct saturated_removal {
    bool every_pcid; /* else `pcid` */
    uint16_t pcid;
    bool of_root; /* only what was read on `root` */
    uint64_t root;
    uint64_t first; /* translations of this range of addresses */
    uint64_t last;
    bool globals;            /* global ones too, of every PCID */
    bool globals_of_pcid;    /* global ones too, of the PCID */
    bool structures;         /* all table entries of the PCID */
    bool structures_of_path; /* those that lead to `path` */
    uint64_t path;
    bool structures_of_range; /* those that lead to an address in the range */
};

/* The PCID of now, or the space in its place. */
uint16_t saturated_context(const struct saturated_cache *cache);

void saturated_remove(struct saturated_cache *cache, const struct saturated_removal *removal);

/* Every result that the access may have; none twice. */
unsigned saturated_results(const struct saturated_cache *cache, const struct reference_access *access,
                           struct reference_result found[REFERENCE_RESULTS]);

#endif
