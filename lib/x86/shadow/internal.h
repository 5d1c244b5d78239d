/*
 * What the files of this room share: shadow pages, their slots, and an operation under way.
 *
 * A shadow page is one table of ours, in one role. It is found by the guest frame whose table it stands for.
 * Each of its 512 entries has a slot in the account, on one chain if the entry is present: leaves on the
 * chain of the guest frame that they map, links on the chain of the page that they point to, which are that
 * page's parents. So whatever concerns a guest frame is found without a search.
 *
 * A page is born open: the guest may write its table, and what was made from it is as stale as a TLB might be.
 * When the guest does what invalidates a TLB, open pages are compared with their tables (sync.c). One that
 * stays as it is for a while is closed: its table is write-protected.
 *
 * Invariants
 * - A slot has a target if and only if its entry is present, and is on that target's chain and no other.
 * - A frame with a page that is SHADOW_CLOSING or SHADOW_CLOSED is mapped by no entry that allows writing.
 * - A page that is SHADOW_CLOSED agrees with its table.
 * - A page's `pins` count the roots in use that it is or that link to it; pinned pages are never removed.
 * - A page that was linked and is so no more is a root, or pinned, or gone.
 * - While pages that are neither closed nor parked have entries, INVLPG is intercepted.
 * - Entries of nothing are not present without config.silent_absent; with it, they are for silence.c to say.
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
    uint8_t owner;    /* the virtual processor that alone uses it, by config.private_vps; else 0 */
};

/*
 * The life of a page that stands for a table. Other pages are SHADOW_CLOSED always: nobody can write what they are made from.
 *
 *   from       to       when
 *   (born)     OPEN
 *   OPEN       CLOSING  it has agreed with its table over some of the guest's flushes
 *   CLOSING    CLOSED   no processor can have cached a right to write the table, and it still agrees
 *   CLOSING    OPEN     a write to the table comes first, or something does not agree
 *   CLOSED     OPEN     a write to the table that is not to be emulated
 *   OPEN       PARKED   it is a root, and no virtual processor's any more
 *   PARKED     OPEN     a virtual processor comes back to it
 */
enum shadow_life {
    SHADOW_FREE,
    SHADOW_OPEN,
    SHADOW_PARKED, /* open, and walked by nobody: not compared before it is used again */
    SHADOW_CLOSING,
    SHADOW_CLOSED,
    SHADOW_LIVES,
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
    uint32_t turn;    /* of the operation that used it last */
    uint32_t checked; /* turn of the operation that compared it last */
    uint32_t calm;    /* how often it was found unchanged since it was found changed */
    uint32_t writes;  /* that were emulated since it was closed */
    uint32_t emptied; /* an entry that did not agree and was not made again, or ENTRIES */
    uint32_t
        absent; /* faults that were reflected for entries of its table that are not present, since it was opened */
    bool
        firm; /* it and all that leads to it is closed or parked, and entries of it or of pages below may be silent */
    uint32_t before; /* of the same life */
    uint32_t after;
    uint32_t present[ENTRIES / 32]; /* which entries are */
    uint32_t silent[ENTRIES / 32];  /* which others are not present for the processor either */
};

/*
 * Slot N is entry N % 512 of page N / 512. Its target: the guest frame that a leaf maps, or SHADOW_LINK and the
 * page that a link points to in place of a frame; and, in tables, the flags of the guest's entry that it was made from.
 */
struct shadow_slot {
    uint64_t target; /* or SHADOW_NO_TARGET */
    uint32_t next;
    uint32_t previous;
};

#define SHADOW_LINK       BIT64(52)
#define SHADOW_FRAME_BITS BITS64(51, 12)
/*
 * Present, and with all bits of the address: reserved ones among them, on processors whose addresses have less than 52 bits, and
 * of none that memory has.
 */
#define SHADOW_TRAP       (SHADOW_FRAME_BITS | BIT64(0))
/* What a processor looks at in an entry beside the address. */
#define SHADOW_FLAG_BITS  (BITS64(63, 59) | BITS64(8, 0))

/* One place for an entry. */
struct shadow_spot {
    uint32_t page;
    uint32_t index;
};

/* A guest's entry on the way to a table, which it may change unseen; and what it was. */
struct shadow_open_link {
    uint64_t address;
    uint64_t mask; /* of what counts in it */
    uint64_t expected;
};

/* What leads to a table of the last level, as long as nothing that leads anywhere has changed. */
struct shadow_way {
    uint64_t region; /* linear addresses that it translates */
    uint64_t grants; /* of the guest's entries on the way, together */
    uint32_t table;
    uint32_t changes; /* as vmmu_shadow_state has it; 0: there is no way */
    struct shadow_open_link open[SHADOW_LEVELS];
    uint8_t open_count;
    bool doubtful; /* those are to be compared first */
};

/* The last leaf that was made for a fault, but for its address; and what it was made from. */
struct shadow_like {
    uint64_t flags;
    uint64_t value;
    uint32_t table;
    uint64_t changes; /* as vmmu_shadow_state has it */
    uint8_t rights;   /* of the backing */
    uint8_t type;     /* of the backing */
};

struct shadow_vp {
    struct vmmu_x86_mode mode;
    struct shadow_way way;
    struct shadow_like like;
    uint32_t root; /* SHADOW_NONE before the first vmmu_shadow_enter */
    uint32_t top;  /* a page of its own for PAE, or SHADOW_NONE */
};

struct vmmu_shadow_state {
    struct shadow_page *pages;
    struct shadow_slot *slots;
    uint32_t *frames;     /* chains of pages by hash of `frame` */
    uint32_t *leaves;     /* chains of slots by hash of target */
    uint32_t *regions[2]; /* how many protected tables lie in regions of 2 MiB and 1 GiB, by hash */
    uint32_t frames_shift;
    uint32_t leaves_shift;
    uint32_t regions_shift;
    uint32_t free;
    uint32_t oldest;
    uint32_t newest;
    uint32_t turn;                      /* the operation under way */
    uint32_t first[SHADOW_LIVES];       /* of the pages of each life, the newest first */
    uint32_t parked;                    /* how many pages are */
    uint32_t stale_entries;             /* of pages that are open or closing */
    uint32_t cursor;                    /* the page that is compared next, while some are */
    uint32_t removals;                  /* pages removed, ever */
    uint32_t quiet;                     /* flushes of the guest's since an entry might have been stale */
    uint64_t changes;                   /* of what leads anywhere, ever; never 0 */
    bool watch_is_known;                /* every virtual processor intercepts INVLPG */
    uint64_t backed;                    /* an address for which `backing` was given */
    struct vmmu_shadow_backing backing; /* of size 0: none */
    uint64_t excused;     /* a frame that a supervisor may write by giving up what SHADOW_LAX_USER keeps */
    uint8_t pat_index[8]; /* host's, by memory type */
    uint64_t trap;        /* an entry that faults as one that is present; 0 without config.silent_absent */
    unsigned faulted;     /* the virtual processor whose fault was settled last */
    struct shadow_vp vps[VMMU_SHADOW_VPS];
};

/* An operation under way. */
struct shadow_edit {
    struct vmmu_shadow *shadow;
    struct vmmu_shadow_state *state;
    uint64_t flush_vps; /* who must flush everything */
    bool resized;       /* what is flushed may come back in another size */
    bool reserved;      /* pages of table memory that may be left over */
    uint8_t owner;      /* in the roles of pages that it finds and makes */
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

/* All bits are set in SHADOW_NO_TARGET. */
static inline bool shadow_is_link(const struct shadow_slot *slot)
{
    return slot->target != SHADOW_NO_TARGET && (slot->target & SHADOW_LINK) != 0;
}

static inline bool shadow_is_leaf(const struct shadow_slot *slot)
{
    return (slot->target & SHADOW_LINK) == 0;
}

/* The guest frame that a leaf maps. */
static inline uint64_t shadow_leaf_frame(const struct shadow_slot *slot)
{
    return slot->target & SHADOW_FRAME_BITS;
}

static inline uint64_t shadow_link_to(uint32_t page)
{
    return SHADOW_LINK | (uint64_t)page << VMMU_PAGE_SHIFT;
}

/* The page that a link points to. */
static inline uint32_t shadow_linked_page(const struct shadow_slot *slot)
{
    return (uint32_t)((slot->target & SHADOW_FRAME_BITS) >> VMMU_PAGE_SHIFT);
}

/* Whether the frame of the page's table may not be written. */
static inline bool shadow_is_protecting(const struct shadow_page *page)
{
    return page->life >= SHADOW_CLOSING && page->role.kind == SHADOW_TABLE;
}

static inline struct shadow_slot *shadow_slot_at(const struct shadow_edit *edit, struct shadow_spot spot)
{
    return &edit->state->slots[shadow_slot_of(spot)];
}

/* Whether the page stands for the topmost table that the guest's own paging registers name: it is kept while unused. */
static inline bool shadow_is_root(const struct shadow_page *page)
{
    const uint8_t levels = vmmu_x86_formats[page->role.format].levels;

    /* Under PAE the registers name four tables of level 2. */
    return page->role.kind == SHADOW_TABLE &&
           page->role.level == (page->role.format == VMMU_X86_FORMAT_PAE ? levels - 1 : levels);
}

/* The first entry of @page that is present, at or after @from; or ENTRIES. */
static inline uint32_t shadow_next_present(const struct shadow_page *page, uint32_t from)
{
    uint32_t mask = ~UINT32_C(0) << (from % 32);

    for (uint32_t word = from / 32; word < ENTRIES / 32; word++) {
        const uint32_t here = page->present[word] & mask;

        if (here != 0) {
            return word * 32 + (uint32_t)__builtin_ctz(here);
        }
        mask = ~UINT32_C(0);
    }
    return ENTRIES;
}

/* Whether the entry at @spot, of nothing, is not present for the processor either, by config.silent_absent. */
static inline bool shadow_is_silent(const struct shadow_edit *edit, struct shadow_spot spot)
{
    return (edit->state->pages[spot.page].silent[spot.index / 32] >> (spot.index % 32)) & 1;
}

/* The way that @vp remembers does not count any more. */
static inline void shadow_lose_way(struct shadow_vp *vp)
{
    vp->way.changes = 0;
}

/* The ways of all do not, nor what leaves were like. */
static inline void shadow_lose_ways(struct vmmu_shadow_state *state)
{
    state->changes++;
}

/* --- account.c: which pages there are --- */

/* The page that stands for @frame in @role, or SHADOW_NONE. */
uint32_t vmmu_shadow_find(const struct shadow_edit *edit, uint64_t frame, const struct shadow_role *role);

/* The first page of kind SHADOW_TABLE for @frame; or SHADOW_NONE. */
uint32_t vmmu_shadow_first_table(const struct shadow_edit *edit, uint64_t frame);
uint32_t vmmu_shadow_next_table(const struct shadow_edit *edit, uint32_t page);

/* Take a page of the account and of table memory, both of which have one; it is empty, open, and newest. */
uint32_t vmmu_shadow_take(struct shadow_edit *edit, uint64_t frame, const struct shadow_role *role);

/* Give an empty page back that nothing links to. @reachable: processors may still walk it. */
void vmmu_shadow_give(struct shadow_edit *edit, uint32_t index, bool reachable);

/* @page is in use now. */
void vmmu_shadow_touch(struct shadow_edit *edit, uint32_t page);

/* The head of a chain that every leaf is on which maps guest frame @frame at @level, beside others. */
uint32_t *vmmu_shadow_leaf_head(const struct vmmu_shadow_state *state, uint64_t frame, unsigned level);

/* Protected tables in the region of @level (2 or 3) around @gpa, and perhaps in others. */
uint32_t *vmmu_shadow_region_count(const struct vmmu_shadow_state *state, uint64_t gpa, unsigned level);

/* --- backing.c: what is underneath --- */

/*
 * As config.backing, which may be spared: what it said last still holds unless forget or protect was called, or more rights
 * than that has came back, of which @needed may be some.
 */
VMMU_MUST_USE
enum vmmu_status vmmu_shadow_back(const struct shadow_edit *edit, uint64_t gpa, uint8_t needed,
                                  struct vmmu_shadow_backing *out);

/* Whether the partition owns [hpa, hpa + bytes), and entries can name it. */
bool vmmu_shadow_is_owned(const struct shadow_edit *edit, uint64_t hpa, uint64_t bytes);

/* --- life.c: which tables the guest may write --- */

/* Have the page live so. Its frame's protection is the caller's affair. */
void vmmu_shadow_set_life(struct vmmu_shadow_state *state, uint32_t index, enum shadow_life life);

/* Whether the frame of @gpa may not be written, for one of its pages is closing or closed. */
bool vmmu_shadow_is_protected(const struct shadow_edit *edit, uint64_t frame);

/* Write-protect the table of an open page. */
void vmmu_shadow_close(struct shadow_edit *edit, uint32_t index);

/* Have all pages of the table in @frame open, and let the guest write it. vmmu_shadow_watch() came first. */
void vmmu_shadow_open(struct shadow_edit *edit, uint64_t frame);

/* Give leaves that map @frame back what they lost because it was protected, if it is no more. */
void vmmu_shadow_unprotect(struct shadow_edit *edit, uint64_t frame);

/* A root that is nobody's is kept, but its table is the guest's. */
void vmmu_shadow_park(struct shadow_edit *edit, uint32_t index);

/*
 * Have INVLPG intercepted, for entries may become stale. False if some virtual processor may not do so yet: end the
 * operation with VMMU_FLUSH_RETRY.
 */
bool vmmu_shadow_watch(struct shadow_edit *edit);

/* INVLPG is intercepted no more, if no entry can be stale. */
void vmmu_shadow_relax(struct shadow_edit *edit);

/* --- silence.c: faults that go to the guest without an exit --- */

/* Have processors fault, with P set, at entries of nothing in @page: it is not linked yet. */
void vmmu_shadow_set_traps(struct shadow_edit *edit, uint32_t page);

/* What stands in @page where nothing does. */
uint64_t vmmu_shadow_nothing(const struct shadow_edit *edit, uint32_t page);

/* The guest's entry for @address in the table of @spot's page is not present, and it was told so by a fault. */
void vmmu_shadow_heed_absent(struct shadow_edit *edit, uint32_t root, uint64_t address);

/* A page below which entries may be silent is about to be linked there. */
void vmmu_shadow_join(struct shadow_edit *edit, struct shadow_spot spot, uint32_t child);

/* No entry of page @index is silent any more; nor, with @below, is one of those that it leads to. */
void vmmu_shadow_speak(struct shadow_edit *edit, uint32_t index, bool below);

/* The entry at @spot is silent no more if the guest's is present. */
void vmmu_shadow_speak_at(struct shadow_edit *edit, struct shadow_spot spot);

/* --- chains.c: entries and what they point to --- */

/* Store @value, of nothing, where nothing stands. */
void vmmu_shadow_put_nothing(struct shadow_edit *edit, struct shadow_spot spot, uint64_t value);

/* Store @value, a leaf with target @target, where nothing stands. */
void vmmu_shadow_put_leaf(struct shadow_edit *edit, struct shadow_spot spot, uint64_t target, uint64_t value);

/* Link @child, for a guest's entry with @flags that grants @rights, where nothing stands. */
void vmmu_shadow_put_link(struct shadow_edit *edit, struct shadow_spot spot, uint32_t child, uint64_t flags,
                          uint8_t rights);

/* The link there is of a guest's entry with @flags now, that grants @rights. */
void vmmu_shadow_change_link(struct shadow_edit *edit, struct shadow_spot spot, uint64_t flags,
                             uint8_t rights);

/* A root that is @index, or links to it, is in use; or is no more. */
void vmmu_shadow_pin(struct shadow_edit *edit, uint32_t index);
void vmmu_shadow_unpin(struct shadow_edit *edit, uint32_t index);

/* Store @value where an entry with the same target stands. Flushes, if that takes any right away. */
void vmmu_shadow_change(struct shadow_edit *edit, struct shadow_spot spot, uint64_t value);

/* Remove what stands there, if anything does, and have it flushed. */
void vmmu_shadow_zap(struct shadow_edit *edit, struct shadow_spot spot);

/* Remove every entry of @page. */
void vmmu_shadow_clear(struct shadow_edit *edit, uint32_t page);

/* Unlink the page everywhere, and give it back. It is not pinned. */
void vmmu_shadow_remove(struct shadow_edit *edit, uint32_t index);

/* The entry there, as it stands. */
uint64_t vmmu_shadow_entry(const struct shadow_edit *edit, struct shadow_spot spot);

/*
 * Take from every leaf that maps a part of the page of @gpa what @rights does not have; @held: to be given back by
 * vmmu_shadow_unprotect. Leaves larger than 4 KiB go altogether.
 */
void vmmu_shadow_narrow(struct shadow_edit *edit, uint64_t gpa, uint8_t rights, bool held);

/* --- roles.c: what shadow pages and entries mean --- */

/* A leaf, as data. */
struct shadow_leaf {
    uint64_t hpa;
    uint8_t level;
    uint8_t rights;
    uint8_t key;
    bool global;
    bool dirty; /* the guest's page */
    bool held;  /* it may be written but for a table that stands there */
    enum vmmu_x86_memory_type type;
};

/* The role of a guest table of @level, above which the entries together allow @access. Its quadrant is left 0. */
struct shadow_role vmmu_shadow_table_role(const struct shadow_edit *edit, const struct vmmu_x86_mode *mode,
                                          unsigned level, uint8_t access);

/* The role of a page of @level that maps a part of a page like @leaf. */
struct shadow_role vmmu_shadow_direct_role(const struct shadow_edit *edit, const struct vmmu_x86_mode *mode,
                                           unsigned level, const struct shadow_leaf *leaf);

/* What a guest's page is like while its paging is off. */
struct shadow_leaf vmmu_shadow_flat(const struct vmmu_shadow_config *config);

/*
 * What @entry, a leaf of the guest's in the table of a page with @role, allows to stand in ours, with the guest's type and
 * no frame.
 */
struct shadow_leaf vmmu_shadow_guest_leaf(const struct vmmu_shadow_config *config,
                                          const struct shadow_role *role, uint64_t entry);

/* What the guest's entry @entry, in a table of a page with @role, grants; in a link of ours, that is. */
uint8_t vmmu_shadow_link_rights(const struct shadow_role *role, uint64_t entry);

/* The access that the role of a table below has, if @entry points to it. */
uint8_t vmmu_shadow_access_below(const struct shadow_role *role, uint64_t entry);

uint64_t vmmu_shadow_leaf(const struct vmmu_shadow_state *state, const struct shadow_leaf *leaf);

/* The memory type that guest type @guest makes of memory of type @host. */
enum vmmu_x86_memory_type vmmu_shadow_combine(enum vmmu_x86_memory_type guest,
                                              enum vmmu_x86_memory_type host);

/* For each memory type the entry of @pat that has it, or else one of UC. False without WB or UC. */
bool vmmu_shadow_index_pat(uint64_t pat, uint8_t index[8]);

/* --- guest.c: the guest's entries as shadow pages see them --- */

/* Where the guest's entry is that the entry of ours at @index of a table's page is made from. */
uint64_t vmmu_shadow_entry_address(const struct shadow_page *page, uint32_t index);

/* Bytes from the base of a large page of the guest's to what the entry at @index maps of it: 32-bit paging has 4 MiB. */
uint64_t vmmu_shadow_piece_offset(const struct shadow_page *page, uint32_t index);

/* What of @entry, of the guest's table of @page, our entry is made from, beside the address. */
uint64_t vmmu_shadow_flags(const struct shadow_page *page, uint64_t entry);

/* Whether what stands at @spot, of a table's page, is what a walk would make of the guest's @entry, or less. */
bool vmmu_shadow_agrees(const struct shadow_edit *edit, struct shadow_spot spot, uint64_t entry);

/* The guest's entry that the one at @spot, of a table's page, is made from. False: it lies in no memory. */
bool vmmu_shadow_load(const struct shadow_edit *edit, struct shadow_spot spot, uint64_t *entry);

/* What @link, from one table's page to another, was made from. */
struct shadow_open_link vmmu_shadow_open_link(const struct shadow_edit *edit, struct shadow_spot link);

/* Whether what stands at @spot agrees with the guest's table as it is now. */
bool vmmu_shadow_still_agrees(const struct shadow_edit *edit, struct shadow_spot spot);

/* --- room.c: pages enough --- */

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
 *   VMMU_OK           every stop's page may get entries
 *   VMMU_FLUSH_RETRY  something was evicted, INVLPG is not intercepted everywhere, or earlier plans are under way
 *   VMMU_NO_MEMORY    the host gave too few pages, and what may be evicted was
 */
VMMU_MUST_USE
enum vmmu_status vmmu_shadow_obtain(struct shadow_edit *edit, struct shadow_stop *stops, unsigned count,
                                    uint32_t below_4g);

/* --- sync.c: what the guest's flushes bring in step --- */

/* The guest's tables count now, all of them; the virtual processor that says so goes on in @mode. */
void vmmu_shadow_sync_all(struct shadow_edit *edit, const struct vmmu_x86_mode *mode);

/* Close the open page @index, which agrees with its table when it is done. */
void vmmu_shadow_close_at_once(struct shadow_edit *edit, uint32_t index);

/* The same as vmmu_shadow_sync_all, but the guest has given no sign that its tables are as they are to stay. */
void vmmu_shadow_refresh(struct shadow_edit *edit);

/* What leads to @address from @root counts now. */
void vmmu_shadow_sync_path(struct shadow_edit *edit, uint32_t root, uint64_t address);

/* --- prefill.c: entries that nobody has asked for yet --- */

/* Where entries are made that no fault asked for. */
struct shadow_prefill {
    struct shadow_edit *edit;
    const struct vmmu_x86_mode *mode;
    bool synced; /* all pages will be compared with their tables before a processor runs */
    uint64_t
        gpa; /* some address within the backing, which is the partition's, and of size 0 before one is known */
    struct vmmu_shadow_backing backing;
};

/* Make an entry at @spot, of a table's page, if nothing stands there. Whether the guest's entry is ready for use. */
bool vmmu_shadow_prefill_entry(struct shadow_prefill *prefill, struct shadow_spot spot);

/* Whether entries of @page may be judged by the mode of @prefill, if there is one. */
bool vmmu_shadow_may_refill(const struct shadow_prefill *prefill, const struct shadow_page *page);

/* Entries around @spot, of a table's page, that the guest has made ready. */
void vmmu_shadow_prefill_around(struct shadow_prefill *prefill, struct shadow_spot spot);

/* All entries of a root. */
void vmmu_shadow_prefill_root(struct shadow_prefill *prefill, uint32_t page);

/* All leaves of a direct page of level 1, made like @leaf. */
void vmmu_shadow_prefill_direct(struct shadow_prefill *prefill, uint32_t page,
                                const struct shadow_leaf *leaf);

/* --- edit.c: beginning and end of an operation --- */

/* Begin. False if a flush must come first. */
bool vmmu_shadow_begin(struct shadow_edit *edit, struct vmmu_shadow *shadow);

/* As vmmu_shadow_begin(), for what @vp does. */
bool vmmu_shadow_begin_for(struct shadow_edit *edit, struct vmmu_shadow *shadow, unsigned vp);

/*
 * The guest has changed something, and may count on it as soon as it invalidates: have @vps flush what earlier plans, not
 * reported yet, have not had flushed. An entry that is gone from the tables may still be cached.
 */
void vmmu_shadow_settle(struct shadow_edit *edit, uint64_t vps);

/* Whether some processor may not have flushed what an earlier operation asked it to. */
bool vmmu_shadow_is_unsettled(const struct shadow_edit *edit);

/* End with @status: the whole outcome. */
struct vmmu_outcome vmmu_shadow_end(struct shadow_edit *edit, enum vmmu_status status);

/* --- writes.c --- */

/*
 * [gpa, gpa + bytes) of a page was written: entries made from it are gone. @spared: not those of tables whose entries have
 * so many bytes; 0: none.
 */
void vmmu_shadow_follow(struct shadow_edit *edit, uint64_t gpa, uint32_t bytes, unsigned spared);

/* Whether faults at the guest's entry at @gpa cost no exit: to see it written is to be able to make ours at once. */
bool vmmu_shadow_is_silent_at(const struct shadow_edit *edit, uint64_t gpa);

/* Whether a write to the entry at @gpa of a protected table is better emulated than let through. */
bool vmmu_shadow_prefers_emulation(struct shadow_edit *edit, uint64_t gpa);

/* Remove every table of @frame that is not pinned, and empty the others. */
void vmmu_shadow_remove_tables(struct shadow_edit *edit, uint64_t frame);

#endif
