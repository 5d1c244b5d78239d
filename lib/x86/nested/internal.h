/*
 * What the files of this room share: pages as data, the visit of a range, and the run of an operation.
 *
 * An operation is a record: how it judges each page in its range, and what it does with each. It runs in
 * passes over the range: a survey, which changes nothing and finds whether the operation is allowed, what
 * it needs, and whether pages must be split; then either the splits, or the changes. Whatever can fail
 * fails before the first store.
 */
#ifndef LIB_X86_NESTED_INTERNAL_H
#define LIB_X86_NESTED_INTERNAL_H

#include "lib/x86/table/memory.h"
#include <vmmu/nested.h>

#define ENTRIES             512U

/* What this room calls rights: user accesses are always allowed, and thus not spoken of. */
#define NESTED_RIGHTS       (VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_EXECUTE)

/* In pat_index: the PAT has no such memory type. */
#define NESTED_NO_PAT_INDEX UINT8_C(0xFF)

/*
 * In a leaf: writing is withheld until the dirty log has seen a write. Ignored by processors in all formats.
 */
#define NESTED_WITHHELD     BIT64(52)

/*
 * In a leaf: a write was logged under write protection. Told apart from the write right,
 * which may be taken meanwhile.
 */
#define NESTED_WRITTEN      BIT64(53)

/* A leaf, as data. `rights` are those given, whether or not writing is withheld. */
struct nested_leaf {
    uint64_t frame;
    uint8_t rights;
    enum vmmu_x86_memory_type type;
    bool ignore_pat;
    bool accessed;
    bool dirty;
    bool withheld;
    bool written;
};

/* An entry that a visit has come to. */
struct nested_spot {
    void *entry;    /* NULL in a table that is not made yet */
    uint64_t value; /* as it was loaded */
    uint8_t level;
    uint64_t base; /* first address that it translates */
    uint64_t from; /* the part of those in the range of the operation: [from, to) */
    uint64_t to;
};

struct nested_edit;

/* What a visit does at each entry in range; what is NULL is passed over. */
struct nested_visitor {
    bool (*enter)(struct nested_edit *edit,
                  const struct nested_spot *spot); /* points to a table: go into it? */
    void (*leave)(struct nested_edit *edit,
                  const struct nested_spot *spot); /* points to a table just visited */
    void (*leaf)(struct nested_edit *edit, const struct nested_spot *spot);
    void (*absent)(struct nested_edit *edit, const struct nested_spot *spot);
};

/* What an operation wants to do with a leaf. */
enum nested_verdict { NESTED_KEEP, NESTED_CHANGE, NESTED_SPLIT };

struct nested_operation {
    const struct nested_visitor *survey; /* NULL: nothing can be in the way */
    enum nested_verdict (*judge)(const struct nested_edit *edit, const struct nested_spot *spot);
    struct nested_visitor apply;
    bool fills;       /* maps what is absent */
    bool cuts;        /* unlinks tables that lie wholly in range */
    bool grants;      /* may add rights to a leaf that it changes: ask for its owner */
    bool only_splits; /* done once the splits are */
};

/* An operation under way. */
struct nested_edit {
    struct vmmu_nested *nested;
    const struct nested_operation *operation;
    uint64_t from;
    uint64_t to;
    struct nested_leaf wanted; /* `frame` is where `from` goes */
    uint8_t level;             /* of the pages wanted: at most (split, log), or exactly (merge) */
    const struct vmmu_nested_harvester *harvester;
    uint8_t *bitmap;
    uint32_t need_pages;
    bool splits;  /* pages must be split first */
    bool blocked; /* a flush must come first */
    bool resized; /* a page size was changed */
    struct vmmu_outcome outcome;
};

static inline const struct vmmu_x86_level *nested_level(const struct vmmu_nested *nested, uint8_t level)
{
    return &nested->format->level[level];
}

static inline uint64_t nested_bytes(const struct vmmu_nested *nested, uint8_t level)
{
    return vmmu_format_level_bytes(nested_level(nested, level));
}

/* Whether the whole of what the entry translates lies in range. */
static inline bool nested_is_whole(const struct nested_edit *edit, const struct nested_spot *spot)
{
    return spot->to - spot->from == nested_bytes(edit->nested, spot->level);
}

/* One past the last guest-physical address of the format. */
static inline uint64_t nested_limit(const struct vmmu_nested *nested)
{
    return BIT64(vmmu_format_address_bits(nested->format));
}

/* --- leaf.c: entries and pages as data --- */

struct nested_leaf vmmu_nested_parse(const struct vmmu_nested *nested, uint8_t level, uint64_t entry);
uint64_t vmmu_nested_leaf(const struct vmmu_nested *nested, uint8_t level, const struct nested_leaf *leaf);

/* An entry of @level that points to @table. */
uint64_t vmmu_nested_link(const struct vmmu_nested *nested, uint8_t level, vmmu_hpa table);

/* The largest level that a page with @rights may have. */
uint8_t vmmu_nested_largest(const struct vmmu_nested *nested, uint8_t rights);

/* VMMU_OK, VMMU_INVALID or VMMU_UNSUPPORTED. */
enum vmmu_status vmmu_nested_check_rights(const struct vmmu_nested *nested, uint8_t rights);

/* What an EPTP says beside the address of the root. */
uint64_t vmmu_nested_eptp_bits(const struct vmmu_nested *nested);

/* --- run.c: visits and operations --- */

/* Whether [gpa, gpa + size) is a range that the format has. */
bool vmmu_nested_is_range(const struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes);

/* The entry that decides about @gpa: a leaf, or absent. Its range is the page of @gpa. */
struct nested_spot vmmu_nested_find(const struct vmmu_nested *nested, vmmu_gpa gpa);

/* Visit every entry that translates a part of the edit's range, in order, until its status is not VMMU_OK. */
void vmmu_nested_visit(struct nested_edit *edit, const struct nested_visitor *visitor);

/* The survey of every operation that judges leaves. */
extern const struct nested_visitor vmmu_nested_survey;

/* Run the edit's operation over its range. The whole outcome, ready to return. */
struct vmmu_outcome vmmu_nested_run(struct nested_edit *edit);

/* An outcome with @status and an empty plan. */
static inline struct vmmu_outcome nested_refuse(enum vmmu_status status)
{
    return (struct vmmu_outcome){ .status = status };
}

/* Whether the partition owns the page that @leaf maps; if not, tell the host, and make the edit fail. */
bool vmmu_nested_is_owned(struct nested_edit *edit, uint64_t frame, uint64_t size_bytes);

/*
 * Whether some processor may have cached what the entry translated: from any operation, or
 * only from one that resized.
 */
bool vmmu_nested_is_stale(const struct nested_edit *edit, uint64_t from, uint64_t to, bool resized_only);

/*
 * Store @desired where *expected stands; *expected is then what stands there if it was something else.
 * Processors change accessed and dirty bits only.
 */
VMMU_MUST_USE
bool vmmu_nested_store(struct nested_edit *edit, const struct nested_spot *spot, uint64_t *expected,
                       uint64_t desired);

/* Add all that the entry translates to the plan. */
void vmmu_nested_plan_spot(struct nested_edit *edit, const struct nested_spot *spot);

/* --- build.c: tables before they are linked --- */

/* The frame that the edit wants at @gpa. */
static inline uint64_t nested_wanted_frame(const struct nested_edit *edit, uint64_t gpa)
{
    return edit->wanted.frame + (gpa - edit->from);
}

/* Whether [from, to), which one entry of @level translates, can be one page of what is wanted. */
bool vmmu_nested_fits(const struct nested_edit *edit, uint8_t level, uint64_t from, uint64_t to);

/*
 * How many tables it takes to map the part of an absent entry that is in range; too many is
 * one more than the limit.
 */
uint32_t vmmu_nested_count_fill(const struct nested_edit *edit, const struct nested_spot *spot);

/* Map the part of an absent entry that is in range, by a page or by tables. */
void vmmu_nested_fill(struct nested_edit *edit, const struct nested_spot *spot);

/* How many tables it takes to split a leaf that is judged NESTED_SPLIT as far as the operation needs. */
uint32_t vmmu_nested_count_split(const struct nested_edit *edit, const struct nested_spot *spot);

/* Split a leaf as far as the operation needs, without changing any translation. */
void vmmu_nested_split_leaf(struct nested_edit *edit, const struct nested_spot *spot);

/* Put a table, and all tables that it points to, into quarantine. */
void vmmu_nested_retire(struct nested_edit *edit, uint8_t level_number, vmmu_hpa at);

#endif
