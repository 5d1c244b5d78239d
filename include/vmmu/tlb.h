/*
 * A software TLB: what a processor, or a simulator of one, remembers of walks, under tags.
 *
 * An entry maps a region of addresses, 2^page_shift bytes, under a tag. It is a translation (to a frame), or
 * an entry of a paging-structure cache (to the table that translates the region further). It belongs to
 * one of three kinds of mappings; what `frame` and `data` mean is the caller's affair, and so is judging
 * rights. This room knows tags and regions, no instruction and no format: lib/x86/invalidate turns the
 * instructions of x86 into scopes, and those of Book-E fit the same tags.
 *
 *                  x86                                          Book-E
 *   stage2         EPTP's address bits (EP4TA); 0 without       0
 *   space          VPID or ASID                                 LPID and AS
 *   context        PCID                                         PID
 *   global         G of the leaf, under CR4.PGE                 TID = 0
 *
 * Configured by arrays (sets, ways, replacement, page sizes, kinds), looked up in their order: a processor's
 * first and second level; or one array that keeps duplicates, which is an adversary's memory of all that it
 * may still use. Each size indexes the sets by the low bits of its own region numbers.
 *
 * Works in memory that the caller gives. Nothing locks: one TLB belongs to one thread at a time.
 *
 * Spec: SDM 3A "Caching Translation Information", SDM 3C "Caching Translation Information"; APM 2
 * "Translation-Lookaside Buffer (TLB)"; Power ISA Book III-E "Translation Lookaside Buffer".
 */
#ifndef VMMU_TLB_H
#define VMMU_TLB_H

#include <vmmu/base.h>

/* Kinds of mappings, as sets of bits. An entry is of one kind. */
#define VMMU_TLB_LINEAR         UINT8_C(1) /* from linear addresses, by the guest's tables alone */
#define VMMU_TLB_GUEST_PHYSICAL UINT8_C(2) /* from guest-physical addresses, by the second stage alone */
#define VMMU_TLB_COMBINED       UINT8_C(4) /* from linear addresses, by both */
#define VMMU_TLB_KINDS          UINT8_C(7)

/*
 * Whose an entry is. Members that a kind of mappings does not have are 0 in entries, queries and scopes
 * alike: with Intel, stage2 of linear mappings, space and context of guest-physical ones.
 */
struct vmmu_tlb_tag {
    uint64_t stage2;
    uint16_t space;
    uint16_t context;
};

/* What one walk, or a part of it, found. */
struct vmmu_tlb_entry {
    uint64_t base; /* first address of the region, aligned to its size */
    struct vmmu_tlb_tag tag;
    uint64_t frame;      /* a translation: where the region goes; else the table that translates it */
    uint64_t data;       /* the caller's own */
    uint8_t kind;        /* one of VMMU_TLB_LINEAR... */
    uint8_t page_shift;  /* the region has 2^page_shift bytes, 12 to 63 */
    uint8_t table_level; /* 0: a translation; else the level of the table that `frame` is, 1 at the leaf */
    bool global;         /* found under every context of its stage2 and space */
};

/* Which entry of a full set makes room. */
enum vmmu_tlb_replacement {
    VMMU_TLB_LEAST_RECENTLY_USED,
    VMMU_TLB_ROUND_ROBIN, /* the ways in turn */
    VMMU_TLB_RANDOM,      /* from a generator of the TLB's own, seeded by the configuration */
};

#define VMMU_TLB_ARRAYS 8

/* One array. An entry stands in each array that holds its kind, its size and its sort. */
struct vmmu_tlb_array_config {
    uint32_t sets; /* a power of two */
    uint16_t ways; /* 1 or more */
    uint8_t kinds; /* set of VMMU_TLB_LINEAR..., not empty */
    bool translations;
    bool structures;      /* entries of paging-structure caches; one of the two sorts at least */
    uint64_t page_shifts; /* bit N: regions of 2^N bytes, 12 to 63, one at least */
    enum vmmu_tlb_replacement replacement;
};

/* The whole TLB. */
struct vmmu_tlb_config {
    uint8_t arrays; /* 1 to VMMU_TLB_ARRAYS */
    /*
     * Entries for the same region and tag (under a common context, if one is global) live side by side unless
     * they are alike in every field. Without this a new one takes the old one's place. Neither concerns
     * regions of different sizes that overlap: they always live side by side.
     */
    bool duplicates;
    struct vmmu_tlb_array_config array[VMMU_TLB_ARRAYS];
    uint64_t seed; /* of VMMU_TLB_RANDOM */
};

/* What to look up. */
struct vmmu_tlb_query {
    uint64_t address;
    struct vmmu_tlb_tag tag;
    uint8_t kind;        /* one of VMMU_TLB_LINEAR... */
    uint8_t table_level; /* 0: a translation; else an entry that points to a table of this level */
};

/* Which members of a tag an invalidation compares. */
#define VMMU_TLB_BY_STAGE2  UINT8_C(1)
#define VMMU_TLB_BY_SPACE   UINT8_C(2)
#define VMMU_TLB_BY_CONTEXT UINT8_C(4)

/* What an invalidation does about global entries. */
enum vmmu_tlb_globals {
    VMMU_TLB_GLOBALS_KEEP,       /* they stay, whatever their context */
    VMMU_TLB_GLOBALS_BY_CONTEXT, /* like any other */
    VMMU_TLB_GLOBALS_ALWAYS,     /* they go under every context */
};

/* Which entries an invalidation removes: those that meet every condition. */
struct vmmu_tlb_scope {
    uint8_t kinds; /* set of VMMU_TLB_LINEAR... */
    bool translations;
    bool structures;
    uint8_t by; /* set of VMMU_TLB_BY_...: members of `tag` that must be equal */
    struct vmmu_tlb_tag tag;
    bool spare_space_0; /* entries with space 0 stay: INVVPID of all contexts spares VPID 0 */
    bool by_range;      /* only entries whose region meets [first, last] */
    uint64_t first;
    uint64_t last;
    enum vmmu_tlb_globals globals;
};

#define VMMU_TLB_SCOPES 4

/* What one instruction removes: the union of its scopes. */
struct vmmu_tlb_scopes {
    uint8_t count;
    struct vmmu_tlb_scope scope[VMMU_TLB_SCOPES];
};

/* What happened since vmmu_tlb_init. Copies of an entry in several arrays count each. */
struct vmmu_tlb_statistics {
    uint64_t lookups;
    uint64_t hits[VMMU_TLB_ARRAYS]; /* by the array that had it first */
    uint64_t misses;
    uint64_t inserts;       /* calls that remembered */
    uint64_t promoted;      /* copied to an earlier array by a lookup */
    uint64_t replaced;      /* by an insert for the same region and tag */
    uint64_t evicted;       /* for room */
    uint64_t invalidations; /* calls, those of vmmu_tlb_remove_if among them */
    uint64_t removed;       /* entries that they removed */
};

#define VMMU_TLB_SORTS 2  /* translations, entries of paging-structure caches */
#define VMMU_TLB_SIZES 52 /* page_shift 12 to 63 */

/* The library's own: one array at work. Nothing outside lib/tlb uses a member. */
struct vmmu_tlb_array {
    uint32_t set_mask;
    uint32_t ways;
    uint32_t stride; /* slots of a set: its ways, rounded up to a whole step of the search */
    struct vmmu_tlb_slot *slots;
    struct vmmu_tlb_set *sets;
    uint32_t *marks; /* four of them a word: what a lookup compares first */
    /*
     * Page sizes that the array holds entries of now, by sort, ascending: the only ones that a lookup
     * tries.
     */
    uint8_t size_count[VMMU_TLB_SORTS];
    uint8_t shifts[VMMU_TLB_SORTS][VMMU_TLB_SIZES];
    uint32_t held[VMMU_TLB_SORTS][VMMU_TLB_SIZES]; /* how many, by page_shift - 12 */
};

/* Caller-owned. `statistics` is for reading (and may be zeroed); the rest is the library's. */
struct vmmu_tlb {
    struct vmmu_tlb_config config;
    struct vmmu_tlb_array array[VMMU_TLB_ARRAYS];
    uint64_t clock;
    uint64_t random;
    struct vmmu_tlb_statistics statistics;
};

/*
 * Bytes of memory, aligned to 8, that a TLB of @config works in; 0 if the configuration cannot be, see
 * vmmu_tlb_init. Pure.
 */
size_t vmmu_tlb_memory_bytes(const struct vmmu_tlb_config *config);

/**
 * Set up an empty TLB in @memory, which is borrowed for as long as the TLB lives.
 *
 * Returns
 *   VMMU_OK         *tlb is ready, its statistics zero
 *   VMMU_INVALID    a configuration that cannot be (a member outside what its comment says, or more than
 *                   UINT32_MAX entries with the ways of each set rounded up to a multiple of four), or too
 *                   little memory, or memory not aligned to 8
 */
VMMU_MUST_USE
enum vmmu_status vmmu_tlb_init(struct vmmu_tlb *tlb, const struct vmmu_tlb_config *config, void *memory,
                               size_t memory_bytes);

/**
 * The first entry that answers @query, or NULL: in the order of arrays, in one array the smallest region
 * first.
 *
 * One found beyond the first array that holds its like is copied into that one, whose set may evict for it.
 * Counts as a use of the entry. Valid until the next call that changes the TLB (every call but
 * vmmu_tlb_each). The caller judges rights, and is free to look up again after a removal.
 */
const struct vmmu_tlb_entry *vmmu_tlb_lookup(struct vmmu_tlb *tlb, const struct vmmu_tlb_query *query);

/**
 * Every entry that answers @query, one a call: start with *cursor = 0; NULL ends. In the order of arrays,
 * in one array the smaller regions first; copies in several arrays come each.
 *
 * Changes nothing, replacement and statistics included; the TLB must not change until the end.
 */
const struct vmmu_tlb_entry *vmmu_tlb_each(const struct vmmu_tlb *tlb, const struct vmmu_tlb_query *query,
                                           uint32_t *cursor);

/**
 * Remember a copy of @entry in every array that holds its kind, sort and size. In each one, entries that it
 * replaces leave (see `duplicates`); if its set is full then, one of the set is evicted.
 *
 * Returns
 *   VMMU_OK
 *   VMMU_INVALID      `kind` is not one kind, or `base` is not aligned to the region's size
 *   VMMU_UNSUPPORTED  no array holds such entries; nothing was changed
 */
enum vmmu_status vmmu_tlb_insert(struct vmmu_tlb *tlb, const struct vmmu_tlb_entry *entry);

/**
 * Remove what @scopes cover. Returns how many entries that were, copies in several arrays counted each. A
 * range whose `first` is above its `last` covers nothing.
 */
uint32_t vmmu_tlb_invalidate(struct vmmu_tlb *tlb, const struct vmmu_tlb_scopes *scopes);

/**
 * Remove every entry for which @condemned says true; it must not call back. Returns how many. Copies in
 * several arrays are asked about, and counted, each.
 */
uint32_t vmmu_tlb_remove_if(struct vmmu_tlb *tlb,
                            bool (*condemned)(void *context, const struct vmmu_tlb_entry *entry),
                            void *context);

#endif
