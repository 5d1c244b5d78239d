/*
 * What the files of the processor share: one crossing from a linear address to memory, and what is kept of
 * it.
 */
#ifndef TESTS_MODEL_MACHINE_PROCESSOR_INTERNAL_H
#define TESTS_MODEL_MACHINE_PROCESSOR_INTERNAL_H

#include "tests/model/machine/processor.h"

/* --- what is kept: processor_cache.c --- */

/* Guest-physical addresses whose translation by the second stage went into a combined mapping. */
#define ORIGIN_PAGES (VMMU_X86_MAX_LEVELS + 1)

/*
 * Pages of guest tables, from the root on; the last one is what the mapping's frame is: the page that a
 * translation leads to (first address of the part that it covers), or the table that an entry of a
 * paging-structure cache leads to.
 */
struct origin {
    uint64_t page[ORIGIN_PAGES];
    uint8_t count;
};

/* What stands beside a frame in the TLB. */
struct facts {
    uint8_t rights;      /* what the linear address's own tables grant; guest-physical mappings: everything */
    uint8_t host_rights; /* what the second stage grants; linear mappings: everything */
    uint8_t key;
    uint8_t
        level; /* of the leaf: the second stage's, but for linear mappings. 0 for paging-structure entries */
    uint8_t type; /* how the leaf says that memory is cached */
    bool dirty;
    bool host_dirty;
};

struct origins;

struct processor {
    struct memory *memory;
    struct processor_witness witness;
    struct vmmu_tlb tlb;
    void *tlb_memory;
    struct origins *origins;
    /* What a speculation came to that is not told yet: see processor_result. */
    bool mixed;
    bool strayed;
    uint64_t strayed_to;
};

/* One access, or one speculation, under way. */
struct crossing {
    struct processor *processor;
    const struct guest_state *state;
    struct luck *luck;
    struct vmmu_x86_access access;
    uint64_t va; /* as it is translated: of 32 bits where linear addresses have no more */
    struct vmmu_x86_cache_key linear;   /* under which mappings of linear addresses are kept */
    struct vmmu_x86_cache_key physical; /* under which guest-physical ones are; if nested */
    bool speculative;                   /* nothing is judged or reported, it just stops */
    bool from_memory;                   /* nothing cached may be used */
    bool by_links;                      /* of what is cached, links to tables alone may be used */
    bool cached;                        /* something cached was used */
    struct processor_result result;
};

enum progress {
    PROGRESS,
    ENDED, /* crossing->result says how; a speculation has stopped */
    RACED, /* an entry was not what had been read when it was to be marked: walk again */
};

/* What is kept of a translation, or of a link to a table. */
struct kept {
    const struct vmmu_x86_cache_key *key;
    uint64_t address; /* any of the region */
    uint64_t frame;   /* what it leads to */
    uint8_t shift;    /* of the region */
    uint8_t table_level;
    bool global;
    struct facts facts;
    const struct origin *origin; /* combined mappings: of @address; else NULL */
};

struct origins *origins_create(uint32_t tlb_entries);
void origins_destroy(struct origins *origins);

struct facts cache_facts(const struct vmmu_tlb_entry *entry);
/* Of a combined mapping. */
const struct origin *cache_origin(const struct processor *processor, const struct vmmu_tlb_entry *entry);

/*
 * One of the translations of @address under @key, whichever, or one of the links to a table that a walk can
 * resume from: of level @lowest or above, below @top. False if there is none, or if luck says so.
 */
bool cache_find_translation(struct crossing *crossing, const struct vmmu_x86_cache_key *key, uint64_t address,
                            struct vmmu_tlb_entry *out);
bool cache_find_link(struct crossing *crossing, const struct vmmu_x86_cache_key *key, uint64_t address,
                     uint8_t top, struct vmmu_tlb_entry *out);

/* Keep a link; or, if luck says so, do not. */
void cache_keep_link(struct crossing *crossing, const struct kept *kept);
/*
 * Keep a translation, all of its region or a part around its address, or not at all. @by_host: the host's
 * tables gave it, so that another size with another meaning must not be there.
 */
void cache_keep_translation(struct crossing *crossing, const struct kept *kept, bool by_host);

/* --- the second stage: processor_second.c --- */

/* What the second stage made of a guest-physical address. */
struct landing {
    uint64_t hpa;
    uint8_t shift; /* of the region around that translates alike */
    struct facts facts;
};

enum progress second_translate(struct crossing *crossing, uint64_t gpa, struct vmmu_x86_stage2_access access,
                               struct landing *out);

/*
 * Whether @facts let the crossing's own access through to its final address; and if so, but it is dirty that
 * is missing.
 */
bool second_allows(const struct crossing *crossing, const struct facts *facts);
bool second_must_mark(const struct crossing *crossing, const struct facts *facts);

/* The second stage refuses the final access to @gpa, by what is kept. */
enum progress second_refuse_final(struct crossing *crossing, uint64_t gpa, const struct facts *facts);

/* --- the guest's own stage: processor_guest.c --- */

/* A leaf of the guest's tables, or of paging that is off. */
struct arrival {
    uint64_t gpa; /* without a second stage: where memory is */
    uint8_t shift;
    bool global;
    bool by_host; /* the leaf stood in a table of the host's */
    struct facts facts;
    struct origin origin;
};

enum progress guest_walk(struct crossing *crossing, struct arrival *out);

/* The error code that @facts deserve, 0 for none. */
uint32_t crossing_judge(struct crossing *crossing, const struct facts *facts);
enum progress crossing_page_fault(struct crossing *crossing, uint32_t error_code);

/* --- ends and what all need: processor.c --- */

/* Memory at @hpa is not what it should be. */
enum progress crossing_strays(struct crossing *crossing, uint64_t hpa);

/* --- forgetting: processor_forget.c --- */

/* What the fault that the crossing ended in removes; nothing if it ended otherwise. */
void forget_fault(struct crossing *crossing);

#endif
