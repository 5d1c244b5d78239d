/*
 * A view of shadow tables for people and tests: at each level of a walk the guest's entry beside ours, and why they differ.
 *
 * Whatever the two do not agree on has a reason: an entry is made only when somebody asks for it, a right is
 * withheld, a page is in pieces. A difference without one is a defect of ours, and says so.
 *
 * What is compared is what entries mean: where they lead, and for a leaf its size, rights, memory type, protection key and
 * G. Accessed and dirty bits of ours are set when an entry is made, and PWT and PCD of links are not copied: neither says anything.
 */
#ifndef VMMU_SHADOW_VIEW_H
#define VMMU_SHADOW_VIEW_H

#include <vmmu/base.h>
#include <vmmu/format.h>
#include <vmmu/shadow.h>

/* Why an entry of ours is not like the guest's. */
enum vmmu_shadow_reason {
    /* Ours is empty, or has none at that place. */
    VMMU_SHADOW_NOT_FILLED,   /* no access has asked for it */
    VMMU_SHADOW_NOT_REACHED,  /* an entry of ours above is empty */
    VMMU_SHADOW_NOT_ACCESSED, /* the guest's is not marked accessed: whoever comes first must mark it */
    VMMU_SHADOW_FAULTS,       /* the guest's has a reserved bit set: there is nothing to be made of it */
    VMMU_SHADOW_NO_MEMORY,    /* the guest's page lies where there is no memory: a device, or nothing */

    /* The guest has none at that place. */
    VMMU_SHADOW_UNPAGED,     /* its paging is off: ours map each address to itself */
    VMMU_SHADOW_EXTRA_LEVEL, /* its tables begin at a lower level */
    VMMU_SHADOW_PIECE,       /* its leaf is above: ours map a piece of that page */
    VMMU_SHADOW_NO_TABLE,    /* its table lies where there is no memory */

    /* Ours has less. */
    VMMU_SHADOW_NOT_DIRTY,   /* the guest's page is not marked dirty: whoever writes first must mark it */
    VMMU_SHADOW_HOLDS_TABLE, /* the page holds a table that is write-protected */
    VMMU_SHADOW_HOST_RIGHTS, /* the backing does not have the right */
    VMMU_SHADOW_NOT_ASKED,   /* nobody has asked for the right since it could be given */

    /* Ours is another. */
    VMMU_SHADOW_SPLIT,         /* the guest's large page is in pieces, which ours leads to */
    VMMU_SHADOW_HOST_PIECES,   /* because the backing is, or because the configuration says so */
    VMMU_SHADOW_TABLE_INSIDE,  /* because a table lies in it that must not be written */
    VMMU_SHADOW_HALVES,        /* one of the guest's, of 32-bit paging, is two of ours */
    VMMU_SHADOW_SUMMED,        /* rights of the whole walk stand in the leaf */
    VMMU_SHADOW_WP_CLEAR,      /* CR0.WP is clear: supervisors write a supervisor's page that is read-only */
    VMMU_SHADOW_LENT,          /* CR0.WP is clear: a user's page is the supervisors' for a while */
    VMMU_SHADOW_TYPE_COMBINED, /* the backing's memory type counts, too */
    VMMU_SHADOW_TYPE_LACKING,  /* the host's PAT has no such type: it is uncached */
    VMMU_SHADOW_REGISTER, /* the guest's processor holds its own in a register, and has not looked at memory since */

    /* The guest has changed its own, and ours stays until it invalidates, as in a TLB. */
    VMMU_SHADOW_STALE,
    VMMU_SHADOW_ABOVE_STALE, /* an entry above is stale: the two belong to different tables */

    VMMU_SHADOW_UNEXPLAINED, /* a defect of ours */

    VMMU_SHADOW_REASONS,
};

/* Which table of ours an entry stands in. */
enum vmmu_shadow_table {
    VMMU_SHADOW_TABLE_NONE,    /* none */
    VMMU_SHADOW_TABLE_OURS,    /* one that no table of the guest's stands behind */
    VMMU_SHADOW_TABLE_OPEN,    /* of a table that the guest writes unseen: its entries may be stale */
    VMMU_SHADOW_TABLE_CLOSING, /* write-protected, which processors may not know yet */
    VMMU_SHADOW_TABLE_CLOSED,  /* write-protected: in step */
};

/* One entry. With `there` clear the walk has none at that level, and all else is zero. */
struct vmmu_shadow_view_entry {
    bool there;
    bool present;
    bool leaf;                      /* maps a page */
    uint8_t rights;                 /* VMMU_X86_RIGHT_*, by itself: of an entry that is present */
    enum vmmu_x86_memory_type type; /* of a leaf */
    uint64_t address; /* guest-physical, of ours host-physical; of a PDPTE register: which of the four */
    uint64_t value;
    uint64_t bytes; /* of linear addresses that it translates */
};

struct vmmu_shadow_view_row {
    uint8_t level; /* from 1 at the smallest leaf, as ours count */
    bool in_register;
    enum vmmu_shadow_table table;
    struct vmmu_shadow_view_entry guest;
    struct vmmu_shadow_view_entry shadow;
    uint64_t reasons; /* BIT64 of each enum vmmu_shadow_reason */
};

/* What the whole walk comes to. */
struct vmmu_shadow_view_page {
    bool there;
    uint8_t rights;                 /* of all entries together */
    enum vmmu_x86_memory_type type; /* by the PAT */
    uint8_t key;
    bool global;      /* G of the leaf */
    uint64_t address; /* of the byte that was asked for: guest-physical; ours: host-physical */
    uint64_t bytes;   /* of the page */
};

struct vmmu_shadow_view {
    struct vmmu_shadow_view_row row[VMMU_X86_MAX_LEVELS]; /* from the root down */
    uint8_t rows;
    bool write_protect; /* CR0.WP of the virtual processor */
    bool dirty;         /* the guest's page is */
    struct vmmu_shadow_view_page guest;
    struct vmmu_shadow_view_page shadow;
    uint64_t reasons; /* of all rows */
};

/**
 * Show how @vp's tables and ours translate @va. Reads only: nothing is marked, filled or counted. Made under the lock of
 * the partition, like every call on @shadow; the guest's other processors may be writing their tables meanwhile.
 *
 * Returns
 *   VMMU_OK           *view
 *   VMMU_GUEST_FAULT  @va is not canonical
 *   VMMU_INVALID      @vp was never entered
 */
VMMU_MUST_USE
enum vmmu_status vmmu_shadow_view(struct vmmu_shadow *shadow, unsigned vp, vmmu_gva va,
                                  struct vmmu_shadow_view *view);

/* One table of ours. */
struct vmmu_shadow_view_table {
    vmmu_hpa at;
    vmmu_gpa gpa; /* of the guest's table behind it; VMMU_SHADOW_TABLE_OURS: of the first page that it maps */
    uint8_t level;               /* from 1 at the smallest leaf */
    enum vmmu_shadow_table kind; /* never VMMU_SHADOW_TABLE_NONE */
};

/**
 * All tables of ours, one a call: *next, 0 at first, moves on behind the one in *table. False when there are no more.
 *
 * In no order, and each once unless tables come or go between calls, which is harmless. Reads only. Made under the
 * partition's lock.
 */
bool vmmu_shadow_view_table(const struct vmmu_shadow *shadow, uint32_t *next,
                            struct vmmu_shadow_view_table *table);

/*
 * Whether @entry, present in a table of ours, maps nothing: it stands where nothing was made yet and every access is to fault
 * with P set, so that it exits (struct vmmu_shadow_config, silent_absent). Safe at any time from anywhere.
 */
bool vmmu_shadow_is_trap(uint64_t entry);

/* @reason in a few words, for people. */
const char *vmmu_shadow_reason_words(enum vmmu_shadow_reason reason);

#endif
