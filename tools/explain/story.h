/*
 * What an instruction's accesses to memory come to under each technique: all that `vmmu explain` tells, as numbers.
 *
 * Everything is measured. Native references are walks of the library's over the image. Second stages and shadows are built by
 * the library over the image's memory, as if a hypervisor had it for a guest; a dump of our own hypervisor brings its own, and
 * then what stands in it is told beside.
 */
#ifndef TOOLS_EXPLAIN_STORY_H
#define TOOLS_EXPLAIN_STORY_H

#include "tools/engine/nested.h"
#include "tools/engine/shadow.h"
#include "tools/explain/access.h"
#include "tools/machine/machine.h"
#include "tools/walk/model.h"

#define STORY_SETTINGS_MOST 24

struct story_setting {
    unsigned number; /* of a general register; VMMU_X86_GPRS: RFLAGS */
    uint64_t value;
};

struct story_options {
    bool has_rip;
    uint64_t rip;
    const char *code; /* bytes or a listing; NULL: from memory */
    struct story_setting settings[STORY_SETTINGS_MOST];
    unsigned setting_count;
    unsigned bits; /* 16, 32, 64; 0: as the registers say */
    bool has_cpl;
    unsigned cpl;
    bool amd; /* else Intel; of a dump of ours its own backend counts */
};

/* How an instruction ends at a page that it reaches. */
enum story_end {
    STORY_GOES_ON,
    STORY_FAULT,     /* the guest's own fault */
    STORY_DEVICE,    /* no memory is there: a device, or nothing */
    STORY_EMULATED,  /* the hypervisor performs it: a write to a protected table */
    STORY_NOT_KNOWN, /* the image lacks what it takes to say */
};

/* --- the instruction itself --- */

#define STORY_VECTOR_UD 6

enum story_exits { STORY_STAYS, STORY_EXITS, STORY_EXITS_AT_TIMES };

struct story_exit {
    enum story_exits exits;
    const char *why; /* or when */
};

/* What an instruction does beside its accesses, which the hypervisor may intercept. */
struct story_itself {
    const char *what; /* a sentence; NULL: nothing */
    uint8_t vector;   /* natively it faults by itself once it is fetched: 6 or 13; else 0 */
    struct story_exit shadow;
    struct story_exit nested;
};

/* --- nested --- */

enum { STORY_OWN, STORY_4K, STORY_2M, STORY_1G, STORY_STAGES };

struct story_nested_walk {
    enum vmmu_status status;
    unsigned loads;
    unsigned of_guest;   /* of @loads, entries of the guest's tables */
    uint64_t page_bytes; /* of the second stage's page behind the access */
    uint64_t hpa;
    struct vmmu_x86_stage2_fault fault; /* VMMU_STAGE2 */
};

/* One second stage. */
struct story_nested {
    bool there;
    struct complaint why_not;
    const char *words; /* "4 KiB pages" */
    bool has_tables;   /* @table_pages and @leaves are known */
    uint32_t table_pages;
    uint64_t leaves[3]; /* 4 KiB, 2 MiB, 1 GiB */
    unsigned levels;
    struct story_nested_walk walks[PIECES_MOST];
    unsigned loads; /* of all that are reached */
};

/* --- shadow --- */

/* Guest tables that stand on the way of any access. */
struct story_table {
    uint64_t gpa;
    unsigned level;
    bool closed; /* write-protected in the end */
};

#define STORY_TABLES_MOST 64

struct story_shadow {
    bool there;
    struct complaint why_not;
    struct engine_shadow_result first[PIECES_MOST]; /* with nothing filled in */
    struct engine_shadow_result again[PIECES_MOST]; /* with everything filled in, and nothing cached */
    enum story_end ends[PIECES_MOST];
    struct engine_shadow_cost cost; /* of `first` */
    struct engine_shadow_cost cost_again;
    uint64_t pages; /* shadow pages then, the root's among them */
    struct story_table tables[STORY_TABLES_MOST];
    unsigned table_count;
    struct vmmu_x86_mode hardware; /* how the processor walks our tables */
    unsigned
        switches; /* MOV CR3 with the tables unchanged, until all of them are write-protected; 0: not within those tried */
    uint64_t switch_flushes; /* flushes that one more of them asks for */
};

/* What stands in a dump of ours now, under shadow paging. */
struct story_here_piece {
    enum story_end end;
    bool filled;      /* our tables let the access through: no exit */
    unsigned entries; /* of ours on the way that are present */
    unsigned levels;  /* that our tables have */
    unsigned loads;   /* references of the processor's walk */
    unsigned exits;   /* page faults that come to the hypervisor */
    unsigned fills;
    unsigned new_pages; /* shadow pages that the fill makes */
    unsigned write_traps;
    unsigned reflected; /* exits that are the guest's own faults */
    unsigned opened;    /* write-protected tables that the guest may then write */
};

struct story_here {
    bool there;
    struct complaint why_not;
    struct story_here_piece pieces[PIECES_MOST];
    struct story_here_piece total;
    uint64_t pages;  /* shadow pages in the dump */
    uint64_t closed; /* of them, behind write-protected tables */
};

/* --- tags --- */

enum { STORY_NATIVE, STORY_SHADOW, STORY_NESTED, STORY_TECHNIQUES };

#define STORY_EVENTS_MOST 12

/* What of the cached entries is left after an event. */
struct story_event {
    const char *words;
    bool applies[STORY_TECHNIQUES];
    unsigned left[STORY_TECHNIQUES];
};

struct story_tags {
    bool pcids; /* CR4.PCIDE */
    uint16_t pcid;
    uint16_t space;  /* VPID or ASID of the guest */
    uint64_t stage2; /* EP4TA; 0 with AMD */
    bool global_pages;
    unsigned globals;                        /* translations that are global */
    unsigned translations[STORY_TECHNIQUES]; /* entries that may be cached after the instruction */
    unsigned structures[STORY_TECHNIQUES];   /* and of paging-structure caches */
    struct story_event events[STORY_EVENTS_MOST];
    unsigned event_count;
};

/* --- everything --- */

struct story {
    const struct machine *machine;
    struct vmmu_x86_state state;
    bool registers_known;
    bool amd;
    struct code code;
    bool decoded; /* else only the fetch can be told */
    struct story_itself itself;
    struct access_list list;
    unsigned reached; /* pieces that the instruction comes to, the one at which it ends included */

    struct walk_model native[PIECES_MOST];
    unsigned native_loads; /* of all that are reached */
    enum story_end end;

    struct story_nested nested[STORY_STAGES];
    struct story_shadow shadow;
    struct story_here here;
    struct story_tags tags;
};

/* The whole story. NULL and *complaint if there is no instruction to tell of. Free it with story_free. */
struct story *story_make(const struct machine *machine, const struct story_options *options,
                         struct complaint *complaint);
void story_free(struct story *story);

void story_print_text(const struct story *story);
void story_print_json(const struct story *story);

/* --- the parts, in the order in which they are made --- */

void story_tell_itself(struct story *story);
void story_tell_native(struct story *story);
void story_tell_nested(struct story *story);
void story_tell_shadow(struct story *story);
void story_tell_here(struct story *story);
void story_tell_tags(struct story *story);

/* The access that a piece belongs to. */
static inline const struct access *access_of(const struct story *story, unsigned piece)
{
    return &story->list.accesses[story->list.pieces[piece].access];
}

/* What a walk is asked for a piece. */
struct vmmu_x86_access story_access(const struct story *story, unsigned piece);

#endif
