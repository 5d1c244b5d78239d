/*
 * A view under way: what its two files share.
 */
#ifndef LIB_X86_SHADOW_VIEW_H
#define LIB_X86_SHADOW_VIEW_H

#include "lib/x86/shadow/internal.h"
#include <vmmu/shadow_view.h>

/* The guest's page, as its tables are. */
struct wanted {
    bool known;
    bool dirty;
    bool global;        /* G of the leaf, whatever CR4.PGE says */
    uint8_t rights;     /* of the whole walk */
    uint8_t own_rights; /* of the leaf */
    uint8_t key;
    uint8_t level; /* of the leaf; above all tables if there is no paging */
    enum vmmu_x86_memory_type type;
    uint64_t gpa;
    bool backed;
    struct vmmu_shadow_backing backing;
};

struct viewer {
    struct shadow_edit edit;
    const struct vmmu_x86_mode *mode;
    struct vmmu_shadow_view *view;
    uint64_t address;
    enum vmmu_status walked;
    struct vmmu_x86_walk_result walk;
    uint8_t guest_levels; /* 0: no paging */
    struct wanted wanted;
    uint32_t page;   /* of ours, at the level under way; or SHADOW_NONE */
    uint32_t keeper; /* the last one on the way that stands for a table of the guest's */
    uint64_t grants; /* of our entries so far */
    bool astray;     /* an entry of ours leads elsewhere than the guest's */
};

static inline const struct shadow_page *viewer_page(const struct viewer *viewer)
{
    return &viewer->edit.state->pages[viewer->page];
}

static inline struct shadow_spot viewer_spot(const struct viewer *viewer)
{
    return (struct shadow_spot){ viewer->page,
                                 vmmu_format_index(shadow_level(viewer_page(viewer)), viewer->address) };
}

/* The step of @level, or NULL. */
static inline const struct vmmu_x86_step *viewer_step(const struct viewer *viewer, unsigned level)
{
    const unsigned number = viewer->guest_levels - level;

    return level <= viewer->guest_levels && number < viewer->walk.step_count ? &viewer->walk.steps[number]
                                                                             : NULL;
}

static inline const struct vmmu_x86_level *viewer_level(const struct viewer *viewer, unsigned level)
{
    return &vmmu_format_of(&viewer->mode->layout)->level[level];
}

/* Which table of ours @page is. */
enum vmmu_shadow_table vmmu_shadow_table_of(const struct shadow_page *page);

/* --- view_reasons.c --- */

/* Say why the two sides of @row, which are read, differ. */
void vmmu_shadow_explain(struct viewer *viewer, struct vmmu_shadow_view_row *row);

/* Whether the guest's walk ends at @level for want of memory. */
bool vmmu_shadow_ends_without_table(const struct viewer *viewer, unsigned level);

#endif
