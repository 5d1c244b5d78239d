/*
 * The view: a walk of the guest's tables and one of ours, side by side.
 *
 * Invariant: nothing is stored, in no table and not in the account. The guest's entries are loaded once, by a walk that
 * leaves no marks; all is decided by those copies.
 */
#include "lib/x86/shadow/view.h"

/* --- the guest's side --- */

static void look_up_backing(struct viewer *viewer)
{
    const struct vmmu_shadow_config *const config = &viewer->edit.shadow->config;
    struct wanted *const wanted = &viewer->wanted;

    wanted->backed = config->backing(config->context, (vmmu_gpa){ wanted->gpa }, &wanted->backing) == VMMU_OK;
}

static uint8_t own_rights(const struct viewer *viewer, const struct vmmu_x86_step *step)
{
    const struct vmmu_x86_format *const format = vmmu_format_of(&viewer->mode->layout);

    return vmmu_format_rights(format,
                              vmmu_format_grants(format, viewer_level(viewer, step->level), step->value));
}

/* The page that a sound walk has come to. */
static void want_page(struct viewer *viewer)
{
    const struct vmmu_x86_translation *const found = &viewer->walk.translation;
    const uint64_t guest_pat = viewer->edit.shadow->config.guest_pat;
    const bool paged = viewer->guest_levels != 0;
    const struct vmmu_x86_step *const leaf = viewer_step(viewer, found->level);

    viewer->wanted = (struct wanted){
        .known = true,
        .dirty = !paged || found->dirty,
        .global = paged && (leaf->value & vmmu_format_of(&viewer->mode->layout)->global) != 0,
        .rights = found->rights,
        .own_rights = paged ? own_rights(viewer, leaf) : found->rights,
        .key = found->key,
        .level = paged ? found->level : SHADOW_LEVELS + 1,
        .type = paged ? vmmu_x86_pat_type(guest_pat, found->pat_index) : VMMU_X86_TYPE_WB,
        .gpa = found->gpa.v,
    };
    look_up_backing(viewer);
    viewer->view->dirty = viewer->wanted.dirty;
    viewer->view->guest = (struct vmmu_shadow_view_page){
        .there = true,
        .rights = found->rights,
        .type = viewer->wanted.type,
        .key = found->key,
        .global = viewer->wanted.global,
        .address = found->gpa.v,
        .bytes = found->page_bytes,
    };
}

/* Rights of an access are not the question: let every one pass. */
static enum vmmu_status walk_guest(struct viewer *viewer)
{
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .marks = VMMU_X86_MARKS_LEAVE };
    const struct vmmu_x86_mode mode = vmmu_mode_open(viewer->mode);

    return vmmu_x86_walk(&mode, viewer->edit.shadow->config.ram, (vmmu_gva){ viewer->address }, access,
                         &viewer->walk);
}

static void read_guest(const struct viewer *viewer, struct vmmu_shadow_view_row *row)
{
    const struct vmmu_x86_step *const step = viewer_step(viewer, row->level);
    struct vmmu_shadow_view_entry *const entry = &row->guest;

    if (step == NULL) {
        return;
    }
    const struct vmmu_x86_format *const format = vmmu_format_of(&viewer->mode->layout);
    const struct vmmu_x86_level *const level = viewer_level(viewer, row->level);

    row->in_register = step->stage == VMMU_X86_STAGE_REGISTER;
    *entry = (struct vmmu_shadow_view_entry){
        .there = true,
        .present = vmmu_format_is_present(format, step->value),
        .address = step->address,
        .value = step->value,
        .bytes = vmmu_format_level_bytes(level),
    };
    if (entry->present) {
        entry->leaf = vmmu_format_is_leaf(level, step->value);
        entry->rights = vmmu_format_rights(format, vmmu_format_grants(format, level, step->value));
    }
    if (entry->leaf) {
        entry->type = vmmu_x86_pat_type(viewer->edit.shadow->config.guest_pat,
                                        vmmu_format_pat_index(format, level, step->value));
    }
}

/* --- ours --- */

static void describe_page(struct viewer *viewer, const struct vmmu_shadow_view_entry *leaf)
{
    const struct vmmu_x86_format *const format = shadow_format(viewer_page(viewer));
    const struct vmmu_x86_level *const level = shadow_level(viewer_page(viewer));

    viewer->view->shadow = (struct vmmu_shadow_view_page){
        .there = true,
        .rights = vmmu_format_rights(format, viewer->grants),
        .type = leaf->type,
        .key = (uint8_t)vmmu_format_key(format, leaf->value),
        .global = (leaf->value & format->global) != 0,
        .address = vmmu_format_frame(level, leaf->value) | (viewer->address & (leaf->bytes - 1)),
        .bytes = leaf->bytes,
    };
}

static void read_shadow(struct viewer *viewer, struct vmmu_shadow_view_row *row)
{
    struct vmmu_shadow_view_entry *const entry = &row->shadow;

    if (viewer->page == SHADOW_NONE) {
        return;
    }
    const struct shadow_page *const page = viewer_page(viewer);
    const struct vmmu_x86_format *const format = shadow_format(page);
    const struct vmmu_x86_level *const level = shadow_level(page);
    const struct shadow_spot spot = viewer_spot(viewer);
    const uint64_t value = vmmu_shadow_entry(&viewer->edit, spot);

    row->table = vmmu_shadow_table_of(page);
    *entry = (struct vmmu_shadow_view_entry){
        .there = true,
        .present = shadow_slot_at(&viewer->edit, spot)->target != SHADOW_NO_TARGET,
        .address = page->at.v + (uint64_t)spot.index * format->entry_bytes,
        .value = value,
        .bytes = vmmu_format_level_bytes(level),
    };
    if (!entry->present) {
        return;
    }
    entry->leaf = vmmu_format_is_leaf(level, value);
    entry->rights = vmmu_format_rights(format, vmmu_format_grants(format, level, value));
    viewer->grants &= vmmu_format_grants(format, level, value);
    if (entry->leaf) {
        entry->type =
            vmmu_x86_pat_type(viewer->edit.shadow->config.pat, vmmu_format_pat_index(format, level, value));
        describe_page(viewer, entry);
    }
}

/* --- rows --- */

static void descend(struct viewer *viewer)
{
    if (viewer->page == SHADOW_NONE) {
        return;
    }
    const struct shadow_slot *const slot = shadow_slot_at(&viewer->edit, viewer_spot(viewer));

    viewer->page = shadow_is_link(slot) ? shadow_linked_page(slot) : SHADOW_NONE;
}

static void view_rows(struct viewer *viewer)
{
    struct vmmu_shadow_view *const view = viewer->view;

    for (unsigned level = viewer_page(viewer)->role.level; level > 0; level--) {
        struct vmmu_shadow_view_row *const row = &view->row[view->rows];

        row->level = (uint8_t)level;
        if (viewer->page != SHADOW_NONE && viewer_page(viewer)->role.kind == SHADOW_TABLE) {
            viewer->keeper = viewer->page;
        }
        read_guest(viewer, row);
        read_shadow(viewer, row);
        if (!row->guest.there && !row->shadow.there && !vmmu_shadow_ends_without_table(viewer, level)) {
            return;
        }
        vmmu_shadow_explain(viewer, row);
        view->reasons |= row->reasons;
        view->rows++;
        descend(viewer);
    }
}

enum vmmu_status vmmu_shadow_view(struct vmmu_shadow *shadow, unsigned vp, vmmu_gva va,
                                  struct vmmu_shadow_view *view)
{
    struct viewer viewer = { .edit = { .shadow = shadow, .state = shadow->state }, .view = view };

    if (vp >= VMMU_SHADOW_VPS || shadow->state->vps[vp].root == SHADOW_NONE) {
        return VMMU_INVALID;
    }
    const struct shadow_vp *const now = &shadow->state->vps[vp];

    if (!vmmu_walk_is_canonical(&now->mode, va)) {
        return VMMU_GUEST_FAULT;
    }
    viewer.edit.owner = shadow->config.private_vps ? (uint8_t)vp : 0;
    *view = (struct vmmu_shadow_view){ .write_protect = now->mode.write_protect };
    viewer.mode = &now->mode;
    viewer.address = now->mode.address_bits == 32 ? va.v & BITS64(31, 0) : va.v;
    viewer.page = now->root;
    viewer.keeper = SHADOW_NONE;
    viewer.grants = ~UINT64_C(0);
    if (now->mode.paging != VMMU_X86_PAGING_NONE) {
        viewer.guest_levels = vmmu_format_of(&now->mode.layout)->levels;
    }
    viewer.walked = walk_guest(&viewer);
    if (viewer.walked == VMMU_OK) {
        want_page(&viewer);
    }
    view_rows(&viewer);
    return VMMU_OK;
}

/* The four topmost entries of PAE are a virtual processor's own: their page is kept by its number, which is no address. */
bool vmmu_shadow_view_table(const struct vmmu_shadow *shadow, uint32_t *next,
                            struct vmmu_shadow_view_table *table)
{
    for (; *next < shadow->config.pool_pages; ++*next) {
        const struct shadow_page *const page = &shadow->state->pages[*next];

        if (page->life != SHADOW_FREE) {
            *table = (struct vmmu_shadow_view_table){
                .at = page->at,
                .gpa = { page->role.kind == SHADOW_TOP ? 0 : page->frame },
                .level = page->role.level,
                .kind = vmmu_shadow_table_of(page),
            };
            ++*next;
            return true;
        }
    }
    return false;
}

const char *vmmu_shadow_reason_words(enum vmmu_shadow_reason reason)
{
    static const char *const words[] = {
        [VMMU_SHADOW_NOT_FILLED] = "not filled yet",
        [VMMU_SHADOW_NOT_REACHED] = "nothing leads here yet",
        [VMMU_SHADOW_NOT_ACCESSED] = "not accessed yet",
        [VMMU_SHADOW_FAULTS] = "reserved bit: it faults",
        [VMMU_SHADOW_NO_MEMORY] = "no memory there",
        [VMMU_SHADOW_UNPAGED] = "paging is off",
        [VMMU_SHADOW_EXTRA_LEVEL] = "a level of ours only",
        [VMMU_SHADOW_PIECE] = "a piece of the large page above",
        [VMMU_SHADOW_NO_TABLE] = "guest's table is in no memory",
        [VMMU_SHADOW_NOT_DIRTY] = "not dirty yet",
        [VMMU_SHADOW_HOLDS_TABLE] = "page holds a protected table",
        [VMMU_SHADOW_HOST_RIGHTS] = "host withholds a right",
        [VMMU_SHADOW_NOT_ASKED] = "right not asked for yet",
        [VMMU_SHADOW_SPLIT] = "large page in pieces",
        [VMMU_SHADOW_HOST_PIECES] = "host has smaller pieces",
        [VMMU_SHADOW_TABLE_INSIDE] = "a protected table lies inside",
        [VMMU_SHADOW_HALVES] = "one of the guest's is two of ours",
        [VMMU_SHADOW_SUMMED] = "rights are summed in the leaf",
        [VMMU_SHADOW_WP_CLEAR] = "CR0.WP is clear",
        [VMMU_SHADOW_LENT] = "lent to the supervisor",
        [VMMU_SHADOW_TYPE_COMBINED] = "host's memory type counts, too",
        [VMMU_SHADOW_TYPE_LACKING] = "host's PAT lacks the type",
        [VMMU_SHADOW_REGISTER] = "held in a register, memory differs",
        [VMMU_SHADOW_STALE] = "guest changed it: stale until it flushes",
        [VMMU_SHADOW_ABOVE_STALE] = "below a stale entry",
        [VMMU_SHADOW_UNEXPLAINED] = "NO REASON: a defect",
    };

    _Static_assert(sizeof(words) / sizeof(words[0]) == VMMU_SHADOW_REASONS, "words for every reason");
    return words[reason];
}

bool vmmu_shadow_is_trap(uint64_t entry)
{
    return (entry & SHADOW_TRAP) == SHADOW_TRAP;
}
