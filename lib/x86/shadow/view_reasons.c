/*
 * Why an entry of ours is not like the guest's.
 *
 * Decided by what the entries mean, and by the rules that they are made by: what none of those makes is a defect.
 */
#include "lib/x86/shadow/view.h"

static void give_reason(struct vmmu_shadow_view_row *row, enum vmmu_shadow_reason reason)
{
    row->reasons |= BIT64(reason);
}

static void give_reason_if(bool holds, struct vmmu_shadow_view_row *row, enum vmmu_shadow_reason reason)
{
    row->reasons |= holds ? BIT64(reason) : 0;
}

enum vmmu_shadow_table vmmu_shadow_table_of(const struct shadow_page *page)
{
    static const uint8_t tables[] = {
        [SHADOW_OPEN] = VMMU_SHADOW_TABLE_OPEN,
        [SHADOW_PARKED] = VMMU_SHADOW_TABLE_OPEN,
        [SHADOW_CLOSING] = VMMU_SHADOW_TABLE_CLOSING,
        [SHADOW_CLOSED] = VMMU_SHADOW_TABLE_CLOSED,
    };

    return page->role.kind == SHADOW_TABLE ? (enum vmmu_shadow_table)tables[page->life]
                                           : VMMU_SHADOW_TABLE_OURS;
}

bool vmmu_shadow_ends_without_table(const struct viewer *viewer, unsigned level)
{
    return viewer->walked == VMMU_ABSENT && level + viewer->walk.step_count == viewer->guest_levels;
}

/* The guest has changed an entry that ours is made from: it may, where the table is open. */
static void changed(struct viewer *viewer, struct vmmu_shadow_view_row *row)
{
    const bool open =
        viewer->keeper != SHADOW_NONE &&
        vmmu_shadow_table_of(&viewer->edit.state->pages[viewer->keeper]) != VMMU_SHADOW_TABLE_CLOSED;

    give_reason(row, open ? VMMU_SHADOW_STALE : VMMU_SHADOW_UNEXPLAINED);
    viewer->astray = true;
}

static bool is_refused(const struct viewer *viewer, const struct vmmu_shadow_view_row *row)
{
    return vmmu_format_is_refused(&viewer->mode->layout, row->level, row->guest.leaf, row->guest.value);
}

static bool lacks_accessed(const struct viewer *viewer, const struct vmmu_shadow_view_row *row)
{
    return (viewer_level(viewer, row->level)->accessed & ~row->guest.value) != 0;
}

/* The guest has no entry at this level. */
static void explain_ours_alone(struct viewer *viewer, struct vmmu_shadow_view_row *row)
{
    if (viewer->guest_levels == 0) {
        give_reason(row, VMMU_SHADOW_UNPAGED);
    } else if (row->level > viewer->guest_levels) {
        give_reason(row, VMMU_SHADOW_EXTRA_LEVEL);
    } else if (vmmu_shadow_ends_without_table(viewer, row->level)) {
        give_reason(row, VMMU_SHADOW_NO_TABLE);
    } else if (viewer->wanted.known) {
        give_reason(row, VMMU_SHADOW_PIECE);
    } else {
        changed(viewer, row);
    }
}

/* Whether a fault there may go to the guest without an exit. */
static bool may_be_silent(const struct viewer *viewer, const struct vmmu_shadow_view_row *row)
{
    return row->guest.there && !row->guest.present && viewer_page(viewer)->life == SHADOW_CLOSED &&
           viewer_page(viewer)->role.kind != SHADOW_DIRECT;
}

static void explain_empty(const struct viewer *viewer, struct vmmu_shadow_view_row *row)
{
    const struct wanted *const wanted = &viewer->wanted;
    const uint64_t before = row->reasons;
    const bool silent = viewer->edit.state->trap != 0 && row->shadow.value == 0;

    if (silent && !may_be_silent(viewer, row)) {
        give_reason(row, VMMU_SHADOW_UNEXPLAINED);
        return;
    }
    if (row->guest.there && !row->guest.present) {
        return;
    }
    if (row->guest.there) {
        give_reason_if(is_refused(viewer, row), row, VMMU_SHADOW_FAULTS);
        give_reason_if(lacks_accessed(viewer, row), row, VMMU_SHADOW_NOT_ACCESSED);
    }
    if (wanted->known && row->level <= wanted->level) {
        give_reason_if(!wanted->backed, row, VMMU_SHADOW_NO_MEMORY);
        give_reason_if(wanted->backed && !(wanted->backing.rights & VMMU_X86_RIGHT_READ), row,
                       VMMU_SHADOW_HOST_RIGHTS);
    }
    give_reason_if(row->reasons == before && viewer->walked != VMMU_ABSENT, row, VMMU_SHADOW_NOT_FILLED);
}

/* --- links --- */

/* Why the guest's large page, or an unpaged guest's memory, is not mapped by one entry here. */
static void explain_pieces(const struct viewer *viewer, struct vmmu_shadow_view_row *row)
{
    const struct vmmu_shadow_config *const config = &viewer->edit.shadow->config;
    const struct wanted *const wanted = &viewer->wanted;
    const unsigned level = row->level;

    give_reason_if(level > config->largest_level ||
                       (wanted->backed && wanted->backing.size_bytes < shadow_bytes(level)),
                   row, VMMU_SHADOW_HOST_PIECES);
    give_reason_if((wanted->rights & VMMU_X86_RIGHT_WRITE) && level > 1 && level <= 3 &&
                       *vmmu_shadow_region_count(viewer->edit.state, wanted->gpa, level) != 0,
                   row, VMMU_SHADOW_TABLE_INSIDE);
}

/* The guest's leaf without @absent, as pages of ours are made from it. */
static struct shadow_leaf guest_leaf(const struct viewer *viewer, uint64_t absent)
{
    const struct vmmu_shadow_state *const state = viewer->edit.state;
    const struct vmmu_x86_step *const step = viewer_step(viewer, viewer->wanted.level);

    if (step == NULL || viewer->keeper == SHADOW_NONE) {
        return vmmu_shadow_flat(&viewer->edit.shadow->config);
    }
    return vmmu_shadow_guest_leaf(&viewer->edit.shadow->config, &state->pages[viewer->keeper].role,
                                  step->value & ~absent);
}

static bool is_made_from(const struct viewer *viewer, const struct shadow_page *child,
                         const struct shadow_leaf *leaf)
{
    const struct shadow_role role =
        vmmu_shadow_direct_role(&viewer->edit, viewer->mode, child->role.level, leaf);

    return __builtin_memcmp(&role, &child->role, sizeof(role)) == 0;
}

/* Whether direct page @child is made from such a page as the guest's is, or was before it became dirty. */
static bool is_piece_of(const struct viewer *viewer, const struct shadow_page *child)
{
    const uint64_t bytes = shadow_bytes(child->role.level + 1U);
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[viewer->mode->layout.format];
    const struct shadow_leaf now = guest_leaf(viewer, 0);
    const struct shadow_leaf clean = guest_leaf(viewer, format->level[1].dirty);

    return viewer->wanted.known && child->frame == (viewer->wanted.gpa & ~(bytes - 1)) &&
           (is_made_from(viewer, child, &now) || is_made_from(viewer, child, &clean));
}

static void explain_split(struct viewer *viewer, struct vmmu_shadow_view_row *row,
                          const struct shadow_page *child)
{
    if (!is_piece_of(viewer, child)) {
        changed(viewer, row);
        return;
    }
    give_reason_if(row->guest.there, row, VMMU_SHADOW_SPLIT);
    explain_pieces(viewer, row);
}

static void explain_link(struct viewer *viewer, struct vmmu_shadow_view_row *row)
{
    const struct shadow_slot *const slot = shadow_slot_at(&viewer->edit, viewer_spot(viewer));
    const struct shadow_page *const child = &viewer->edit.state->pages[shadow_linked_page(slot)];

    if (!row->guest.there && row->level > viewer->guest_levels && viewer->guest_levels != 0) {
        return;
    }
    if (!row->guest.there || row->guest.leaf) {
        explain_split(viewer, row, child);
        return;
    }
    const uint64_t table = vmmu_format_table(viewer_level(viewer, row->level), row->guest.value);
    const uint8_t less = row->guest.rights & (uint8_t)~row->shadow.rights;
    const uint8_t more = row->shadow.rights & (uint8_t)~row->guest.rights;

    if (child->role.kind != SHADOW_TABLE || child->frame != table || less != 0 ||
        (more != 0 && viewer_page(viewer)->role.lax == 0)) {
        changed(viewer, row);
    } else {
        give_reason_if(more != 0, row, VMMU_SHADOW_SUMMED);
    }
}

/* --- leaves --- */

static bool is_protected(const struct viewer *viewer, unsigned level)
{
    const uint64_t gpa = viewer->wanted.gpa;

    return level > 1 ? *vmmu_shadow_region_count(viewer->edit.state, gpa, level) != 0
                     : vmmu_shadow_is_protected(&viewer->edit, shadow_frame_of(gpa));
}

static void explain_write_withheld(const struct viewer *viewer, struct vmmu_shadow_view_row *row)
{
    const struct wanted *const wanted = &viewer->wanted;
    const uint64_t before = row->reasons;

    give_reason_if(!wanted->dirty, row, VMMU_SHADOW_NOT_DIRTY);
    give_reason_if(is_protected(viewer, row->level), row, VMMU_SHADOW_HOLDS_TABLE);
    give_reason_if(!(wanted->backing.rights & VMMU_X86_RIGHT_WRITE), row, VMMU_SHADOW_HOST_RIGHTS);
    give_reason_if(row->reasons == before, row, VMMU_SHADOW_NOT_ASKED);
}

/* @guest: the rights that the guest's entries give to ours. */
static void explain_rights(struct viewer *viewer, struct vmmu_shadow_view_row *row, uint8_t guest)
{
    const uint8_t backing = viewer->wanted.backing.rights;
    const uint8_t ours = row->shadow.rights;
    const uint8_t more = ours & (uint8_t)~guest;
    const bool lax = viewer_page(viewer)->role.lax != 0 && (more & (uint8_t)~VMMU_X86_RIGHT_WRITE) == 0;
    /* It stays so when the backing takes the right to write it. */
    const bool lent = lax && !(guest & VMMU_X86_RIGHT_WRITE) && (guest & ~ours & VMMU_X86_RIGHT_USER);
    uint8_t less = guest & (uint8_t)~ours;

    if ((ours & (uint8_t) ~(backing | VMMU_X86_RIGHT_USER)) != 0) {
        give_reason(row, VMMU_SHADOW_UNEXPLAINED);
    }
    if (lent) {
        give_reason(row, VMMU_SHADOW_LENT);
        less &= (uint8_t) ~(VMMU_X86_RIGHT_USER | VMMU_X86_RIGHT_EXECUTE);
    } else if (lax && more != 0 && !(guest & VMMU_X86_RIGHT_USER)) {
        give_reason(row, VMMU_SHADOW_WP_CLEAR);
    } else if (more != 0 || ((ours & VMMU_X86_RIGHT_WRITE) && !viewer->wanted.dirty)) {
        changed(viewer, row);
    }
    if (less & (VMMU_X86_RIGHT_USER | VMMU_X86_RIGHT_READ)) {
        changed(viewer, row);
    }
    if (less & VMMU_X86_RIGHT_WRITE) {
        explain_write_withheld(viewer, row);
    }
    if (less & VMMU_X86_RIGHT_EXECUTE) {
        give_reason(row, backing & VMMU_X86_RIGHT_EXECUTE ? VMMU_SHADOW_NOT_ASKED : VMMU_SHADOW_HOST_RIGHTS);
    }
}

static void explain_type(struct viewer *viewer, struct vmmu_shadow_view_row *row)
{
    const struct vmmu_shadow_state *const state = viewer->edit.state;
    const struct wanted *const wanted = &viewer->wanted;
    const enum vmmu_x86_memory_type combined = vmmu_shadow_combine(wanted->type, wanted->backing.type);
    const enum vmmu_x86_memory_type stands =
        vmmu_x86_pat_type(viewer->edit.shadow->config.pat, state->pat_index[combined]);

    if (row->shadow.type != stands) {
        changed(viewer, row);
        return;
    }
    give_reason_if(combined != wanted->type, row, VMMU_SHADOW_TYPE_COMBINED);
    give_reason_if(stands != combined, row, VMMU_SHADOW_TYPE_LACKING);
}

static void explain_leaf(struct viewer *viewer, struct vmmu_shadow_view_row *row)
{
    const struct shadow_slot *const slot = shadow_slot_at(&viewer->edit, viewer_spot(viewer));
    const struct vmmu_x86_format *const format = shadow_format(viewer_page(viewer));
    const struct vmmu_x86_level *const level = shadow_level(viewer_page(viewer));
    const struct wanted *const wanted = &viewer->wanted;
    const uint64_t inside = ~(row->shadow.bytes - 1);
    /* Rights stand where the guest has them, unless they must be known together. */
    const uint8_t guest = viewer_page(viewer)->role.lax != 0 ? wanted->rights : wanted->own_rights;

    if (!wanted->known || (row->guest.there && !row->guest.leaf) ||
        shadow_leaf_frame(slot) != (wanted->gpa & inside)) {
        changed(viewer, row);
        return;
    }
    const uint64_t offset = wanted->gpa & (wanted->backing.size_bytes - 1);

    if (!wanted->backed ||
        vmmu_format_frame(level, row->shadow.value) != ((wanted->backing.frame.v + offset) & inside)) {
        give_reason(row, VMMU_SHADOW_UNEXPLAINED);
        return;
    }
    give_reason_if(row->guest.there && (row->guest.rights & (uint8_t)~guest), row, VMMU_SHADOW_SUMMED);
    explain_rights(viewer, row, guest);
    explain_type(viewer, row);
    if (vmmu_format_key(format, row->shadow.value) != wanted->key) {
        changed(viewer, row);
    }
    if (((row->shadow.value & format->global) != 0) != wanted->global) {
        changed(viewer, row);
    }
}

/* --- rows --- */

/* Whether memory says something else than the register that @step is. */
static bool differs_from_memory(const struct viewer *viewer, const struct vmmu_x86_step *step)
{
    const struct vmmu_ram *const ram = viewer->edit.shadow->config.ram;
    const uint64_t at = viewer->mode->root.v + step->address * step->entry_bytes;
    uint64_t value;

    return ram->load(ram->context, at, step->entry_bytes, &value) != VMMU_OK || value != step->value;
}

/*
 * Whether ours is made from the guest's entry as it is. A dirty bit that was set since makes nothing wrong; it stands in a link,
 * too, where a table maps itself.
 */
static bool agrees(const struct viewer *viewer, const struct vmmu_shadow_view_row *row)
{
    const uint64_t dirty = vmmu_format_of(&viewer->mode->layout)->level[1].dirty;
    const uint64_t value = row->guest.value;

    if (!row->guest.present || is_refused(viewer, row) || lacks_accessed(viewer, row)) {
        return false;
    }
    return viewer_page(viewer)->role.kind != SHADOW_TABLE ||
           vmmu_shadow_agrees(&viewer->edit, viewer_spot(viewer), value) ||
           vmmu_shadow_agrees(&viewer->edit, viewer_spot(viewer), value & ~dirty);
}

static void explain_present(struct viewer *viewer, struct vmmu_shadow_view_row *row)
{
    if (row->guest.there && !agrees(viewer, row)) {
        changed(viewer, row);
        return;
    }
    give_reason_if(row->guest.there && row->guest.bytes > row->shadow.bytes, row, VMMU_SHADOW_HALVES);
    if (row->shadow.leaf) {
        explain_leaf(viewer, row);
    } else {
        explain_link(viewer, row);
    }
}

void vmmu_shadow_explain(struct viewer *viewer, struct vmmu_shadow_view_row *row)
{
    const struct vmmu_x86_step *const step = viewer_step(viewer, row->level);

    if (viewer->astray) {
        give_reason(row, VMMU_SHADOW_ABOVE_STALE);
        return;
    }
    give_reason_if(row->in_register && differs_from_memory(viewer, step), row, VMMU_SHADOW_REGISTER);
    if (!row->guest.there) {
        explain_ours_alone(viewer, row);
    }
    if (!row->shadow.there) {
        give_reason(row, VMMU_SHADOW_NOT_REACHED);
    } else if (row->shadow.present) {
        explain_present(viewer, row);
    } else {
        explain_empty(viewer, row);
    }
}
