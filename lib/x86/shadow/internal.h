/*
 * What the files of this room share: shadow pages, their slots, and an operation under way.
 *
 * A shadow page is one table of ours, in one role. It is found by the guest frame whose table it stands for.
 * Each of its 512 entries has a slot in the account, on one chain if the entry is present: leaves on the
 * chain of the guest frame that they map, links on the chain of the page that they point to, which are that
 * page's parents. So whatever concerns a guest frame is found without a search.
 *
 * Invariants
 * - A slot has a target if and only if its entry is present, and is on that target's chain and no other.
 * - A frame with a table page in the account is mapped by no entry that allows writing.
 * - A page's `pins` count the roots in use that it is or that link to it; pinned pages are never removed.
 * - A page that is SHADOW_FRESH has no entry: a processor may still write the guest's table through
 *   something cached.
 */
#ifndef LIB_X86_SHADOW_INTERNAL_H
#define LIB_X86_SHADOW_INTERNAL_H

#include "lib/x86/table/memory.h"
#include <vmmu/shadow.h>
#include <vmmu/walk.h>

#define ENTRIES          512U
#define SHADOW_NONE      UINT32_MAX
#define SHADOW_NO_TARGET UINT64_MAX
#define SHADOW_LEVELS    VMMU_X86_MAX_LEVELS

/* Entries in the root of PAE tables. */
#define SHADOW_PAE_ROOTS 4U

/* What a shadow page is made from. */
enum shadow_kind {
    SHADOW_TABLE,  /* a table of the guest's, in the frame of its key */
    SHADOW_DIRECT, /* no table: a piece of a large guest page, or of the memory of an unpaged guest */
    SHADOW_TOP,    /* the four topmost entries of one virtual processor under PAE */
};

/*
 * CR0.WP is clear, and what decides then how a supervisor may be let write: 0 if CR0.WP is set.
 */
#define SHADOW_LAX      UINT8_C(1)
#define SHADOW_LAX_SMEP UINT8_C(2)
#define SHADOW_LAX_USER UINT8_C(4) /* a user page must stay one: SMAP or protection keys judge by that */

/* Everything but its frame that gives a shadow page its meaning. Bytes only, so that two of them compare as memory. */
struct shadow_role {
    uint8_t kind;
    uint8_t level;
    uint8_t access; /* tables: what the entries above allow. Direct: what the whole walk allows */
    uint8_t lax;
    uint8_t format;   /* tables: the guest's, enum vmmu_x86_format_name */
    uint8_t quadrant; /* tables of 32-bit paging: which part of the guest's table */
    uint8_t nx;       /* tables: NX counts */
    uint8_t type;     /* direct: memory type of the guest's page */
    uint8_t key;      /* direct */
    uint8_t global;   /* direct */
    uint8_t dirty;    /* direct: the guest's page is, so that a supervisor without CR0.WP may write it */
};

enum shadow_life {
    SHADOW_FREE,
    SHADOW_FRESH, /* its frame is write-protected, which processors may not know yet */
    SHADOW_LIVE,  /* in step */
};

struct shadow_page {
    uint64_t frame; /* of the guest's table; direct: base of what it maps */
    vmmu_hpa at;
    void *table;
    struct shadow_role role;
    uint8_t life;
    bool linked;      /* has had a parent */
    uint32_t entries; /* present */
    uint32_t pins;
    uint32_t parents; /* a chain of slots */
    uint32_t next;    /* with the same hash; or the next free page */
    uint32_t previous;
    uint32_t older; /* by last use */
    uint32_t newer;
    uint32_t turn;   /* of the operation that used it last */
    uint32_t writes; /* to the guest's table since it was last a root */
};

/* Slot N is entry N % 512 of page N / 512. */
struct shadow_slot {
    uint64_t
        target; /* of a leaf: the guest frame; of a link: SHADOW_LINK and the page; or SHADOW_NO_TARGET */
    uint32_t next;
    uint32_t previous;
};

#define SHADOW_LINK BIT64(63)

struct shadow_vp {
    struct vmmu_x86_mode mode;
    uint32_t root; /* SHADOW_NONE before the first vmmu_shadow_enter */
    uint32_t top;  /* a page of its own for PAE, or SHADOW_NONE */
};

struct vmmu_shadow_state {
    struct shadow_page *pages;
    struct shadow_slot *slots;
    uint32_t *frames;     /* chains of pages by hash of `frame` */
    uint32_t *leaves;     /* chains of slots by hash of target */
    uint32_t *regions[2]; /* how many frames of tables lie in regions of 2 MiB and 1 GiB, by hash */
    uint32_t frames_shift;
    uint32_t leaves_shift;
    uint32_t regions_shift;
    uint32_t free;
    uint32_t oldest;
    uint32_t newest;
    uint32_t turn;        /* the operation under way */
    uint64_t excused;     /* a frame that a supervisor may write by giving up what SHADOW_LAX_USER keeps */
    uint8_t pat_index[8]; /* host's, by memory type */
    struct shadow_vp vps[VMMU_SHADOW_VPS];
};

/* An operation under way. */
struct shadow_edit {
    struct vmmu_shadow *shadow;
    struct vmmu_shadow_state *state;
    uint64_t flush_vps; /* who must flush everything */
};

/* One place for an entry. */
struct shadow_spot {
    uint32_t page;
    uint32_t index;
};

static inline uint32_t shadow_slot_of(struct shadow_spot spot)
{
    return spot.page * ENTRIES + spot.index;
}

static inline struct shadow_spot shadow_spot_of(uint32_t slot)
{
    return (struct shadow_spot){ slot / ENTRIES, slot % ENTRIES };
}

/* Entries of all shadows have this format but for those of SHADOW_TOP: the lower levels of all are alike. */
static inline const struct vmmu_x86_format *shadow_format(const struct shadow_page *page)
{
    return &vmmu_x86_formats[page->role.kind == SHADOW_TOP ? VMMU_X86_FORMAT_PAE : VMMU_X86_FORMAT_5LEVEL];
}

static inline const struct vmmu_x86_level *shadow_level(const struct shadow_page *page)
{
    return &shadow_format(page)->level[page->role.level];
}

/* Bytes that an entry of a shadow maps. */
static inline uint64_t shadow_bytes(unsigned level)
{
    return vmmu_format_level_bytes(&vmmu_x86_formats[VMMU_X86_FORMAT_5LEVEL].level[level]);
}

static inline uint64_t shadow_frame_of(uint64_t address)
{
    return address & ~(VMMU_PAGE_BYTES - 1);
}

static inline bool shadow_is_link(const struct shadow_slot *slot)
{
    return slot->target != SHADOW_NO_TARGET && (slot->target & SHADOW_LINK) != 0;
}

static inline bool shadow_is_leaf(const struct shadow_slot *slot)
{
    return (slot->target & SHADOW_LINK) == 0;
}

static inline struct shadow_slot *shadow_slot_at(const struct shadow_edit *edit, struct shadow_spot spot)
{
    return &edit->state->slots[shadow_slot_of(spot)];
}

/* --- account.c: which pages there are --- */

/* The page that stands for @frame in @role, or SHADOW_NONE. */
uint32_t vmmu_shadow_find(const struct shadow_edit *edit, uint64_t frame, const struct shadow_role *role);

/* The first page of kind SHADOW_TABLE for @frame, at or after @from on its chain; or SHADOW_NONE. */
uint32_t vmmu_shadow_first_table(const struct shadow_edit *edit, uint64_t frame);
uint32_t vmmu_shadow_next_table(const struct shadow_edit *edit, uint32_t page);

/* Whether frames in the @level (2 or 3) region around @gpa may have tables. Never no where one has. */
bool vmmu_shadow_region_has_tables(const struct shadow_edit *edit, uint64_t gpa, unsigned level);

/* Take a page of the account and of table memory, both of which have one; it is empty, and newest. */
uint32_t vmmu_shadow_take(struct shadow_edit *edit, uint64_t frame, const struct shadow_role *role);

/* Give an empty page back that nothing links to. @reachable: processors may still walk it. */
void vmmu_shadow_give(struct shadow_edit *edit, uint32_t index, bool reachable);

/* @page is in use now. */
void vmmu_shadow_touch(struct shadow_edit *edit, uint32_t page);

/* The head of a chain that every leaf is on which maps guest frame @frame at @level, beside others. */
uint32_t *vmmu_shadow_leaf_head(const struct vmmu_shadow_state *state, uint64_t frame, unsigned level);

/* --- chains.c: entries and what they point to --- */

/* Store @value, a leaf that maps guest frame @frame, where nothing stands. */
void vmmu_shadow_put_leaf(struct shadow_edit *edit, struct shadow_spot spot, uint64_t frame, uint64_t value);

/* Link @child where nothing stands. */
void vmmu_shadow_put_link(struct shadow_edit *edit, struct shadow_spot spot, uint32_t child);

/* Store @value where a leaf of the same guest frame stands. Flushes, if that takes anything away. */
void vmmu_shadow_change_leaf(struct shadow_edit *edit, struct shadow_spot spot, uint64_t value);

/* Remove what stands there, if anything does, and have it flushed. */
void vmmu_shadow_zap(struct shadow_edit *edit, struct shadow_spot spot);

/* Remove every entry of @page. */
void vmmu_shadow_clear(struct shadow_edit *edit, uint32_t page);

/* Unlink the page everywhere, and give it back. It is not pinned. */
void vmmu_shadow_remove(struct shadow_edit *edit, uint32_t index);

/* The entry there, as it stands. */
uint64_t vmmu_shadow_entry(const struct shadow_edit *edit, struct shadow_spot spot);

/*
 * Take from every leaf that maps a part of the page of @gpa what @rights does not have. Leaves larger than 4 KiB go altogether.
 */
void vmmu_shadow_narrow(struct shadow_edit *edit, uint64_t gpa, uint8_t rights);

/* --- roles.c: what shadow pages and entries mean --- */

/* A leaf, as data. */
struct shadow_leaf {
    uint64_t hpa;
    uint8_t level;
    uint8_t rights;
    uint8_t key;
    bool global;
    bool dirty; /* the guest's page */
    enum vmmu_x86_memory_type type;
};

/* The role of a guest table of @level, above which the entries together allow @access. Its quadrant is left 0. */
struct shadow_role vmmu_shadow_table_role(const struct vmmu_x86_mode *mode, unsigned level, uint8_t access);

/* The role of a page of @level that maps a part of a page like @leaf. */
struct shadow_role vmmu_shadow_direct_role(const struct vmmu_x86_mode *mode, unsigned level,
                                           const struct shadow_leaf *leaf);

/* What a guest's page is like while its paging is off. */
struct shadow_leaf vmmu_shadow_flat(void);

uint64_t vmmu_shadow_leaf(const struct vmmu_shadow_state *state, const struct shadow_leaf *leaf);

/* The memory type that guest type @guest makes of memory of type @host. */
enum vmmu_x86_memory_type vmmu_shadow_combine(enum vmmu_x86_memory_type guest,
                                              enum vmmu_x86_memory_type host);

/* For each memory type the entry of @pat that has it, or else one of UC. False without WB or UC. */
bool vmmu_shadow_index_pat(uint64_t pat, uint8_t index[8]);

/* --- room.c: pages enough, and frames protected --- */

/* A shadow page that is wanted, and where it is. */
struct shadow_stop {
    uint64_t frame;
    uint32_t page;
    bool wanted;
    struct shadow_role role;
};

/**
 * Find the pages of @stops, or make them; and have @below_4g more pages below 4 GiB to take.
 *
 * Returns
 *   VMMU_OK           every stop's page may get entries: no processor can write its table unseen
 *   VMMU_FLUSH_RETRY  something was write-protected or evicted, or earlier plans are under way
 *   VMMU_NO_MEMORY    the host gave too few pages, and what may be evicted was
 */
VMMU_MUST_USE
enum vmmu_status vmmu_shadow_obtain(struct shadow_edit *edit, struct shadow_stop *stops, unsigned count,
                                    uint32_t below_4g);

/* --- edit.c: beginning and end of an operation --- */

/* Begin. False if a flush must come first. */
bool vmmu_shadow_begin(struct shadow_edit *edit, struct vmmu_shadow *shadow);

/*
 * The guest has changed something, and may count on it as soon as it invalidates: have @vps flush what earlier plans, not
 * reported yet, have not had flushed. An entry that is gone from the tables may still be cached.
 */
void vmmu_shadow_settle(struct shadow_edit *edit, uint64_t vps);

/* End with @status: the whole outcome. */
struct vmmu_outcome vmmu_shadow_end(struct shadow_edit *edit, enum vmmu_status status);

/* --- writes.c --- */

/*
 * [gpa, gpa + bytes) of a page was written: entries made from it are gone. @spared: not those of tables whose entries have
 * so many bytes; 0: none.
 */
void vmmu_shadow_follow(struct shadow_edit *edit, uint64_t gpa, uint32_t bytes, unsigned spared);

/* Whether some table of @frame may be walked: it has parents or is a root, or will soon. */
bool vmmu_shadow_is_walked(const struct shadow_edit *edit, uint64_t frame);

/* Remove every table of @frame that is not pinned. How many stay. */
uint32_t vmmu_shadow_remove_tables(struct shadow_edit *edit, uint64_t frame);

#endif
