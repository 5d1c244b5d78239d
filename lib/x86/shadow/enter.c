/*
 * Roots: what the hardware is loaded with for each virtual processor.
 *
 * A root of four or five levels is a shadow page like any other, and is found again when the guest comes
 * back to it. Under PAE each virtual processor has a page of four entries of its own, which change here
 * only, while it does not run: processors may hold them in registers. The root in use is pinned, and so are the
 * tables that those four point to.
 */
#include "lib/x86/shadow/internal.h"

#define TOP_LEVEL 3U

static bool is_long(const struct vmmu_x86_mode *mode)
{
    return mode->paging == VMMU_X86_PAGING_4LEVEL || mode->paging == VMMU_X86_PAGING_5LEVEL;
}

/* --- what the four topmost entries point to --- */

static struct shadow_stop quadrant_of(const struct shadow_edit *edit, const struct vmmu_x86_mode *mode,
                                      unsigned quadrant)
{
    const struct vmmu_x86_format *const pae = &vmmu_x86_formats[VMMU_X86_FORMAT_PAE];
    const struct shadow_leaf flat = vmmu_shadow_flat(&edit->shadow->config);
    struct shadow_stop stop = { .wanted = true, .frame = mode->root.v };

    if (mode->paging == VMMU_X86_PAGING_NONE) {
        stop.frame = quadrant * shadow_bytes(TOP_LEVEL);
        stop.role = vmmu_shadow_direct_role(edit, mode, TOP_LEVEL - 1, &flat);
        return stop;
    }
    stop.role = vmmu_shadow_table_role(edit, mode, TOP_LEVEL - 1, VMMU_X86_RIGHTS_ALL);
    if (mode->paging == VMMU_X86_PAGING_32BIT) {
        stop.role.quadrant = (uint8_t)quadrant;
        return stop;
    }
    stop.wanted = vmmu_format_is_present(pae, mode->pdpte[quadrant]);
    stop.frame = vmmu_format_table(&pae->level[TOP_LEVEL], mode->pdpte[quadrant]);
    return stop;
}

static void link_quadrant(struct shadow_edit *edit, struct shadow_spot spot, const struct shadow_stop *stop)
{
    const uint64_t target = stop->wanted ? shadow_link_to(stop->page) : SHADOW_NO_TARGET;

    if (shadow_slot_at(edit, spot)->target == target) {
        return;
    }
    vmmu_shadow_zap(edit, spot);
    if (stop->wanted) {
        vmmu_shadow_put_link(edit, spot, stop->page, 0, VMMU_X86_RIGHTS_ALL);
    }
}

/* --- roots --- */

static void use_root(struct shadow_edit *edit, unsigned vp, uint32_t root)
{
    struct shadow_vp *const now = &edit->state->vps[vp];
    const uint32_t before = now->root;

    if (before == root) {
        return;
    }
    vmmu_shadow_pin(edit, root);
    edit->state->pages[root].linked = true;
    now->root = root;
    if (before != SHADOW_NONE) {
        /* Nobody will walk these entries until the virtual processor comes back, and they may be others then. */
        if (before == now->top) {
            vmmu_shadow_clear(edit, before);
        }
        vmmu_shadow_unpin(edit, before);
    }
}

/* What was never linked or walked from is new. */
static void count_root(struct shadow_edit *edit, const struct shadow_stop *stops, unsigned count)
{
    bool made = false;

    for (unsigned i = 0; i < count; i++) {
        made = made || (stops[i].wanted && !edit->state->pages[stops[i].page].linked);
    }
    if (made) {
        edit->shadow->counters.roots_made++;
    } else {
        edit->shadow->counters.roots_found++;
    }
}

static enum vmmu_status enter_long(struct shadow_edit *edit, unsigned vp, const struct vmmu_x86_mode *mode)
{
    struct shadow_stop root = {
        .wanted = true,
        .frame = mode->root.v,
        .role = vmmu_shadow_table_role(edit, mode, vmmu_x86_formats[mode->layout.format].levels,
                                       VMMU_X86_RIGHTS_ALL),
    };
    const enum vmmu_status status = vmmu_shadow_obtain(edit, &root, 1, 0);

    if (status != VMMU_OK) {
        return status;
    }
    if (!edit->state->pages[root.page].linked) {
        struct shadow_prefill prefill = { .edit = edit, .mode = mode, .synced = true };

        vmmu_shadow_prefill_root(&prefill, root.page);
        edit->state->pages[root.page].checked = edit->state->turn;
    }
    count_root(edit, &root, 1);
    use_root(edit, vp, root.page);
    return VMMU_OK;
}

static uint32_t take_top(struct shadow_edit *edit, unsigned vp)
{
    const struct shadow_role role = { .kind = SHADOW_TOP, .level = TOP_LEVEL, .owner = edit->owner };

    return vmmu_shadow_take(edit, vp * VMMU_PAGE_BYTES, &role);
}

static enum vmmu_status enter_pae(struct shadow_edit *edit, unsigned vp, const struct vmmu_x86_mode *mode)
{
    struct shadow_vp *const now = &edit->state->vps[vp];
    struct shadow_stop stops[SHADOW_PAE_ROOTS];

    for (unsigned i = 0; i < SHADOW_PAE_ROOTS; i++) {
        stops[i] = quadrant_of(edit, mode, i);
    }
    const enum vmmu_status status =
        vmmu_shadow_obtain(edit, stops, SHADOW_PAE_ROOTS, now->top == SHADOW_NONE);

    if (status != VMMU_OK) {
        return status;
    }
    count_root(edit, stops, SHADOW_PAE_ROOTS);
    if (now->top == SHADOW_NONE) {
        now->top = take_top(edit, vp);
    }
    for (unsigned i = 0; i < SHADOW_PAE_ROOTS; i++) {
        link_quadrant(edit, (struct shadow_spot){ now->top, i }, &stops[i]);
    }
    vmmu_shadow_touch(edit, now->top);
    use_root(edit, vp, now->top);
    return VMMU_OK;
}

static struct vmmu_shadow_root root_of(const struct shadow_edit *edit, unsigned vp)
{
    const struct shadow_vp *const now = &edit->state->vps[vp];

    return (struct vmmu_shadow_root){
        .cr3 = edit->state->pages[now->root].at.v,
        .format = is_long(&now->mode) ? now->mode.layout.format : VMMU_X86_FORMAT_PAE,
    };
}

static bool is_vp(const struct vmmu_shadow *shadow, unsigned vp)
{
    return vp < VMMU_SHADOW_VPS && (shadow->config.vps & BIT64(vp)) != 0;
}

/*
 * From one closed root to another, with nothing stale anywhere: most switches of a guest that does nothing but
 * switch. False: nothing is done.
 */
static bool enter_quickly(struct shadow_edit *edit, unsigned vp, const struct vmmu_x86_mode *mode)
{
    struct vmmu_shadow_state *const state = edit->state;
    struct shadow_page *const pages = state->pages;
    struct shadow_vp *const now = &state->vps[vp];
    struct shadow_role role;
    uint32_t root;

    if (!is_long(mode) || now->root == SHADOW_NONE || pages[now->root].role.kind != SHADOW_TABLE ||
        pages[now->root].life != SHADOW_CLOSED || state->first[SHADOW_OPEN] != SHADOW_NONE ||
        state->first[SHADOW_CLOSING] != SHADOW_NONE || edit->shadow->memory->unflushed_count != 0) {
        return false;
    }
    role =
        vmmu_shadow_table_role(edit, mode, vmmu_x86_formats[mode->layout.format].levels, VMMU_X86_RIGHTS_ALL);
    root = vmmu_shadow_find(edit, mode->root.v, &role);
    if (root == SHADOW_NONE || pages[root].life != SHADOW_CLOSED) {
        return false;
    }
    pages[root].pins++;
    pages[now->root].pins--;
    now->root = root;
    shadow_lose_way(now);
    vmmu_shadow_touch(edit, root);
    edit->shadow->counters.roots_found++;
    return true;
}

struct vmmu_outcome vmmu_shadow_enter(struct vmmu_shadow *shadow, unsigned vp,
                                      const struct vmmu_x86_mode *mode, struct vmmu_shadow_root *root)
{
    struct shadow_edit edit;
    enum vmmu_status status;

    if (!is_vp(shadow, vp)) {
        return (struct vmmu_outcome){ .status = VMMU_INVALID };
    }
    if (mode->paging == VMMU_X86_PAGING_PAE && mode->pdpte_in_memory) {
        return (struct vmmu_outcome){ .status = VMMU_UNSUPPORTED };
    }
    if (!vmmu_shadow_begin_for(&edit, shadow, vp)) {
        return vmmu_shadow_end(&edit, VMMU_FLUSH_RETRY);
    }
    shadow->state->excused = SHADOW_NO_TARGET;
    if (enter_quickly(&edit, vp, mode)) {
        shadow->state->vps[vp].mode = *mode;
        *root = root_of(&edit, vp);
        return (struct vmmu_outcome){ .status = VMMU_OK };
    }
    status = is_long(mode) ? enter_long(&edit, vp, mode) : enter_pae(&edit, vp, mode);
    if (status == VMMU_OK) {
        vmmu_shadow_sync_all(&edit, mode);
        vmmu_shadow_settle(&edit, BIT64(vp));
        shadow->state->vps[vp].mode = *mode;
        *root = root_of(&edit, vp);
    }
    return vmmu_shadow_end(&edit, status);
}

void vmmu_shadow_set_keys(struct vmmu_shadow *shadow, unsigned vp, uint32_t pkru, uint32_t pkrs)
{
    if (is_vp(shadow, vp)) {
        shadow->state->vps[vp].mode.pkru = pkru;
        shadow->state->vps[vp].mode.pkrs = pkrs;
    }
}
