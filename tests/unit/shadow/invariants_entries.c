/*
 * Entries: what each allows, against the host's backing; and of those that are said to be in step, against the guest's tables.
 */
#include "tests/unit/shadow/invariants.h"

#include "lib/x86/shadow/internal.h"

#include <stdlib.h>

#define HOLDS(condition, sentence)                                                                           \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            return sentence;                                                                                 \
        }                                                                                                    \
    } while (0)

#define RIGHTS_OF_BACKING (VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_EXECUTE)

/* An entry of ours, as data. */
struct entry {
    const struct shadow_page *page;
    const struct shadow_slot *slot;
    const struct vmmu_x86_format *format;
    const struct vmmu_x86_level *level;
    uint32_t index;
    uint64_t value;
    uint8_t rights; /* its own */
};

/* The guest's entry that it is made from. */
struct origin {
    const struct vmmu_x86_format *format;
    const struct vmmu_x86_level *level;
    uint64_t value;
    uint64_t base; /* of the table, or of what of the page is ours */
    uint8_t rights;
    bool leaf;
};

/* A piece of the backing, that is asked for once. */
struct piece {
    uint64_t base;
    struct vmmu_shadow_backing backing; /* of no size: not asked yet */
};

#define PIECES 16U

struct look {
    const struct shadow_witness *witness;
    const struct vmmu_shadow_state *state;
    struct shadow_breach *where;
    uint64_t *protected_frames; /* sorted, none twice */
    uint32_t protected_count;
    uint32_t next_piece;
    struct piece pieces[PIECES];
};

static bool entry_at(const struct look *look, uint32_t page, uint32_t index, struct entry *out)
{
    const struct shadow_page *const table = &look->state->pages[page];

    look->where->page = page;
    look->where->index = index;
    *out = (struct entry){
        .page = table,
        .slot = &look->state->slots[page * ENTRIES + index],
        .format = shadow_format(table),
        .level = shadow_level(table),
        .index = index,
        .value = ((const uint64_t *)table->table)[index],
    };
    out->rights = vmmu_format_rights(out->format, vmmu_format_grants(out->format, out->level, out->value));
    return shadow_leads(look->witness->shadow, out->value);
}

bool shadow_leads(const struct vmmu_shadow *shadow, uint64_t entry)
{
    const uint64_t reserved = shadow->config.silent_absent ? BITS64(51, shadow->config.maxphyaddr) : 0;

    return (entry & 1) && (reserved == 0 || (entry & reserved) != reserved);
}

/* --- what may not be written --- */

static int by_number(const void *one, const void *other)
{
    const uint64_t a = *(const uint64_t *)one;
    const uint64_t b = *(const uint64_t *)other;

    return a < b ? -1 : a > b;
}

static void note_protected(struct look *look)
{
    const uint32_t pool = look->witness->shadow->config.pool_pages;

    look->protected_frames = calloc(pool, sizeof(uint64_t));
    if (!look->protected_frames) {
        abort();
    }
    for (uint32_t i = 0; i < pool; i++) {
        const struct shadow_page *const page = &look->state->pages[i];

        if (page->life != SHADOW_FREE && shadow_is_protecting(page)) {
            look->protected_frames[look->protected_count++] = page->frame;
        }
    }
    qsort(look->protected_frames, look->protected_count, sizeof(uint64_t), by_number);
}

/* Whether some of [from, from + bytes) is a protected table. */
static bool holds_protected(const struct look *look, uint64_t from, uint64_t bytes)
{
    uint32_t low = 0;
    uint32_t high = look->protected_count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (look->protected_frames[middle] < from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < look->protected_count && look->protected_frames[low] - from < bytes;
}

/* --- against the host --- */

/* The piece of the backing around @gpa, or NULL. */
static const struct piece *piece_around(struct look *look, uint64_t gpa)
{
    const struct vmmu_shadow_config *const config = &look->witness->shadow->config;
    struct piece *piece;

    for (unsigned i = 0; i < PIECES; i++) {
        if (gpa - look->pieces[i].base < look->pieces[i].backing.size_bytes) {
            return &look->pieces[i];
        }
    }
    piece = &look->pieces[look->next_piece++ % PIECES];
    if (config->backing(config->context, (vmmu_gpa){ gpa }, &piece->backing) != VMMU_OK) {
        piece->backing.size_bytes = 0;
        return NULL;
    }
    piece->base = gpa & ~(piece->backing.size_bytes - 1);
    return piece;
}

static const char *within_backing(struct look *look, const struct entry *entry, unsigned *type)
{
    const uint64_t hpa = vmmu_format_frame(entry->level, entry->value);
    const uint64_t end = shadow_leaf_frame(entry->slot) + vmmu_format_level_bytes(entry->level);
    uint64_t gpa = shadow_leaf_frame(entry->slot);

    while (gpa < end) {
        const struct piece *const piece = piece_around(look, gpa);

        HOLDS(piece, "a leaf maps memory that there is");
        HOLDS(piece->backing.frame.v + (gpa - piece->base) == hpa + (gpa - shadow_leaf_frame(entry->slot)),
              "a leaf maps the frame that backs its page");
        HOLDS((entry->rights & RIGHTS_OF_BACKING & ~piece->backing.rights) == 0,
              "a leaf allows nothing that the backing refuses");
        *type = piece->backing.type;
        gpa = piece->base + piece->backing.size_bytes;
    }
    return NULL;
}

static unsigned type_in(uint64_t pat, unsigned index)
{
    const unsigned type = (unsigned)(pat >> (8 * index)) & 7;

    return type == VMMU_X86_TYPE_UC_MINUS ? VMMU_X86_TYPE_UC : type;
}

/* Of write-back memory the guest decides; of uncached memory it can make nothing but write combining. */
static unsigned combined(unsigned guest, unsigned host)
{
    return host == VMMU_X86_TYPE_WB || guest == VMMU_X86_TYPE_WC ? guest : VMMU_X86_TYPE_UC;
}

/* --- against the guest --- */

/* Where the guest has the entry that ours at @index is made from. */
static uint64_t origin_address(const struct shadow_page *page, uint32_t index)
{
    uint64_t number = index;

    if (vmmu_x86_formats[page->role.format].entry_bytes == 8) {
        return page->frame + number * 8;
    }
    /* A table of 1024 entries of four bytes: at level 1 two of ours, at level 2 four, with two entries for each of the guest's. */
    number += (uint64_t)page->role.quadrant * ENTRIES;
    return page->frame + (page->role.level == 2 ? number / 2 : number) * 4;
}

/* How a table with @role is to be read. */
static bool layout_of(const struct look *look, const struct shadow_role *role, struct vmmu_x86_layout *out)
{
    static const uint64_t cr4[] = {
        [VMMU_X86_FORMAT_32BIT] = 0,
        [VMMU_X86_FORMAT_32BIT_PSE] = VMMU_X86_CR4_PSE,
        [VMMU_X86_FORMAT_PAE] = VMMU_X86_CR4_PAE,
        [VMMU_X86_FORMAT_4LEVEL] = VMMU_X86_CR4_PAE,
        [VMMU_X86_FORMAT_5LEVEL] = VMMU_X86_CR4_PAE | VMMU_X86_CR4_LA57,
    };
    const bool is_long = role->format >= VMMU_X86_FORMAT_4LEVEL;
    const struct vmmu_x86_paging_registers registers = {
        .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_PG,
        .cr4 = cr4[role->format],
        .efer = (role->nx ? VMMU_X86_EFER_NXE : 0) | (is_long ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0),
    };
    struct vmmu_x86_mode mode;

    if (vmmu_mode_make(look->witness->cpu, &registers, &mode) != VMMU_OK) {
        return false;
    }
    *out = mode.layout;
    return true;
}

static const char *origin_of(const struct look *look, const struct entry *entry, struct origin *out)
{
    const struct vmmu_ram *const ram = look->witness->ram;
    const struct shadow_role *const role = &entry->page->role;
    const uint64_t address = origin_address(entry->page, entry->index);
    struct vmmu_x86_layout layout;

    HOLDS(layout_of(look, role, &layout), "a table is read by rules that the guest's processors have");
    out->format = vmmu_format_of(&layout);
    out->level = &out->format->level[role->level];
    HOLDS(ram->load(ram->context, address, out->format->entry_bytes, &out->value) == VMMU_OK,
          "a table lies in memory that there is");
    HOLDS(vmmu_format_is_present(out->format, out->value), "the guest's entry is present");
    out->leaf = vmmu_format_is_leaf(out->level, out->value);
    HOLDS(!vmmu_format_is_refused(&layout, role->level, out->leaf, out->value),
          "the guest's entry has no reserved bit set");
    HOLDS((out->value & out->level->accessed) == out->level->accessed, "the guest's entry is accessed");
    out->rights = vmmu_format_rights(out->format, vmmu_format_grants(out->format, out->level, out->value));
    out->base = vmmu_format_table(out->level, out->value);
    if (out->leaf) {
        const bool halved = out->format->entry_bytes == 4 && role->level == 2;

        out->base =
            vmmu_format_frame(out->level, out->value) + (halved ? entry->index % 2 * VMMU_2M_BYTES : 0);
    }
    return NULL;
}

/*
 * Whether @ours may stand for @guest, both of whole walks or both of one entry. Without CR0.WP a supervisor may write
 * whatever is dirty; then the page may be taken from users to give it the right.
 */
static const char *within_rights(const struct shadow_role *role, uint8_t ours, uint8_t guest, bool dirty)
{
    const bool taken = (guest & VMMU_X86_RIGHT_USER) && !(ours & VMMU_X86_RIGHT_USER);

    HOLDS((ours & ~guest & (VMMU_X86_RIGHT_USER | VMMU_X86_RIGHT_EXECUTE)) == 0,
          "an entry allows no user and no fetch that the guest's refuses");
    HOLDS(!(role->lax & SHADOW_LAX_SMEP) || !taken || !(ours & VMMU_X86_RIGHT_EXECUTE),
          "a page that is no user's any more is not to be fetched from under SMEP");
    if (!(ours & VMMU_X86_RIGHT_WRITE)) {
        return NULL;
    }
    HOLDS(dirty, "an entry can be written only if the guest's is dirty");
    if (role->lax && !(ours & VMMU_X86_RIGHT_USER)) {
        return NULL;
    }
    HOLDS(guest & VMMU_X86_RIGHT_WRITE, "an entry cannot be written if the guest's cannot");
    return NULL;
}

/* What the guest's walk down to @origin allows, as far as the role of our table knows of it. */
static uint8_t walk_rights(const struct shadow_role *role, const struct origin *origin)
{
    return role->lax ? role->access & origin->rights : origin->rights;
}

static const char *table_agrees(const struct entry *entry, const struct origin *origin,
                                const struct shadow_page *child)
{
    const struct shadow_role *const role = &entry->page->role;
    const bool halved = origin->format->entry_bytes == 4;

    HOLDS(!origin->leaf, "a table stands where the guest has one");
    HOLDS(child->frame == origin->base, "it is the one that the guest's entry points to");
    HOLDS(child->role.format == role->format && child->role.nx == role->nx && child->role.lax == role->lax,
          "tables of one walk are read by the same rules");
    HOLDS(child->role.quadrant == (halved ? entry->index % 2 : 0),
          "it is the right part of the guest's table");
    if (role->lax) {
        HOLDS((child->role.access & ~walk_rights(role, origin)) == 0,
              "a table below is allowed no more than the guest's entries above allow");
        return NULL;
    }
    HOLDS((entry->rights & ~origin->rights) == 0, "a link allows no more than the guest's");
    return NULL;
}

static const char *piece_agrees(const struct look *look, const struct entry *entry,
                                const struct origin *origin, const struct shadow_page *child)
{
    const uint64_t pat = look->witness->shadow->config.guest_pat;
    const struct shadow_role *const role = &child->role;

    HOLDS(origin->leaf, "a large page is pieced together where the guest has one");
    HOLDS(child->frame == origin->base, "it is the page that the guest's entry maps");
    HOLDS(role->key == vmmu_format_key(origin->format, origin->value), "it has the guest's protection key");
    HOLDS(!role->global || (origin->value & origin->format->global), "it is global only if the guest's is");
    HOLDS(type_in((uint64_t)role->type, 0) ==
              type_in(pat, vmmu_format_pat_index(origin->format, origin->level, origin->value)),
          "it has the guest's memory type");
    return within_rights(&entry->page->role, role->access & entry->rights,
                         walk_rights(&entry->page->role, origin),
                         (origin->value & origin->level->dirty) != 0);
}

static const char *leaf_agrees(const struct look *look, const struct entry *entry,
                               const struct origin *origin, unsigned host_type)
{
    const struct vmmu_shadow_config *const config = &look->witness->shadow->config;
    const unsigned guest_type =
        type_in(config->guest_pat, vmmu_format_pat_index(origin->format, origin->level, origin->value));

    HOLDS(origin->leaf, "a leaf stands where the guest has one");
    HOLDS(shadow_leaf_frame(entry->slot) == origin->base, "a leaf maps the page that the guest's does");
    HOLDS(vmmu_format_key(entry->format, entry->value) == vmmu_format_key(origin->format, origin->value),
          "a leaf has the guest's protection key");
    HOLDS(!(entry->value & entry->format->global) || (origin->value & origin->format->global),
          "a leaf is global only if the guest's is");
    HOLDS(type_in(config->pat, vmmu_format_pat_index(entry->format, entry->level, entry->value)) ==
              combined(guest_type, host_type),
          "a leaf has the memory type that guest and host make together");
    return within_rights(&entry->page->role, entry->rights, walk_rights(&entry->page->role, origin),
                         (origin->value & origin->level->dirty) != 0);
}

/* --- pieces of large pages --- */

static const char *leaf_of_piece(const struct look *look, const struct entry *entry, unsigned host_type)
{
    const struct vmmu_shadow_config *const config = &look->witness->shadow->config;
    const struct shadow_role *const role = &entry->page->role;

    HOLDS(vmmu_format_key(entry->format, entry->value) == role->key, "a piece has the key of its page");
    HOLDS(!(entry->value & entry->format->global) || role->global, "a piece is global only if its page is");
    HOLDS(type_in(config->pat, vmmu_format_pat_index(entry->format, entry->level, entry->value)) ==
              combined(type_in(role->type, 0), host_type),
          "a piece has the memory type that its page and the host make together");
    return within_rights(role, entry->rights, role->access, true);
}

static const char *piece(const struct entry *entry, uint64_t frame)
{
    const uint64_t bytes = vmmu_format_level_bytes(entry->level);

    HOLDS(frame == entry->page->frame + entry->index * bytes, "a piece lies where its place in the page is");
    return NULL;
}

/* --- one entry --- */

static const char *leaf(struct look *look, const struct entry *entry, bool in_step)
{
    const bool writes = (entry->rights & VMMU_X86_RIGHT_WRITE) != 0;
    const uint64_t frame = shadow_leaf_frame(entry->slot);
    const bool guarded = holds_protected(look, frame, vmmu_format_level_bytes(entry->level));
    const bool held = (entry->value & entry->format->software) != 0;
    unsigned host_type = VMMU_X86_TYPE_WB;
    struct origin origin;
    const char *breach = within_backing(look, entry, &host_type);

    if (breach) {
        return breach;
    }
    HOLDS(!writes || !guarded, "no entry allows writing to a table that is protected");
    HOLDS(!held || (guarded && !writes), "an entry is held back only while a table is protected");
    HOLDS((entry->value & (entry->level->accessed | entry->level->dirty)) ==
              (entry->level->accessed | entry->level->dirty),
          "processors have nothing to mark in a leaf");
    if (entry->page->role.kind == SHADOW_DIRECT) {
        breach = piece(entry, frame);
        return breach ? breach : leaf_of_piece(look, entry, host_type);
    }
    if (!in_step) {
        return NULL;
    }
    breach = origin_of(look, entry, &origin);
    return breach ? breach : leaf_agrees(look, entry, &origin, host_type);
}

static const char *link(const struct look *look, const struct entry *entry, bool in_step)
{
    const struct shadow_page *const child = &look->state->pages[shadow_linked_page(entry->slot)];
    struct origin origin;
    const char *breach;

    if (entry->page->role.kind == SHADOW_DIRECT) {
        HOLDS(child->role.kind == SHADOW_DIRECT, "pieces are made of pieces");
        return piece(entry, child->frame);
    }
    if (!in_step || entry->page->role.kind == SHADOW_TOP) {
        return NULL;
    }
    breach = origin_of(look, entry, &origin);
    if (breach) {
        return breach;
    }
    return child->role.kind == SHADOW_TABLE ? table_agrees(entry, &origin, child)
                                            : piece_agrees(look, entry, &origin, child);
}

/* --- entries that are not present, so that their faults do not come here --- */

static const char *closed_above(const struct look *look, uint32_t page)
{
    const char *breach = NULL;

    HOLDS(look->state->pages[page].life == SHADOW_CLOSED || look->state->pages[page].life == SHADOW_PARKED,
          "what leads to a silent entry cannot be changed by the guest, or is walked by nobody");
    for (uint32_t slot = look->state->pages[page].parents; slot != SHADOW_NONE && !breach;
         slot = look->state->slots[slot].next) {
        breach = closed_above(look, slot / ENTRIES);
    }
    return breach;
}

static const char *silent_entry(const struct look *look, uint32_t page, uint32_t index)
{
    const struct shadow_page *const table = &look->state->pages[page];
    const struct vmmu_ram *const ram = look->witness->ram;
    uint64_t value;

    look->where->page = page;
    look->where->index = index;
    HOLDS(table->role.kind == SHADOW_TABLE, "what stands for no table of the guest's has no silent entries");
    HOLDS(table->life == SHADOW_CLOSED, "an entry is silent only while the guest's table is closed");
    HOLDS(ram->load(ram->context, origin_address(table, index),
                    vmmu_x86_formats[table->role.format].entry_bytes, &value) == VMMU_OK,
          "a silent entry stands for one in memory");
    HOLDS(!(value & 1), "an entry is silent only where the guest's is not present");
    return closed_above(look, page);
}

/* Under PAE the four topmost are as the registers of the virtual processor are that walks them. */
static const char *top_entry(const struct look *look, uint32_t page, uint32_t index)
{
    for (unsigned vp = 0; vp < VMMU_SHADOW_VPS; vp++) {
        const struct shadow_vp *const now = &look->state->vps[vp];

        HOLDS(now->root != page || (now->mode.paging == VMMU_X86_PAGING_PAE && !(now->mode.pdpte[index] & 1)),
              "a topmost entry is not present only if the guest's register is not");
    }
    return NULL;
}

static const char *silent_of(const struct look *look, uint32_t page)
{
    const struct shadow_page *const table = &look->state->pages[page];
    const bool is_top = table->role.kind == SHADOW_TOP;
    const uint64_t *const entries = table->table;
    const char *breach = NULL;

    if (!look->witness->shadow->config.silent_absent) {
        return NULL;
    }
    for (uint32_t i = 0; i < (is_top ? SHADOW_PAE_ROOTS : ENTRIES) && !breach; i++) {
        if (!(entries[i] & 1)) {
            breach = is_top ? top_entry(look, page, i) : silent_entry(look, page, i);
        } else if (is_top) {
            HOLDS(shadow_leads(look->witness->shadow, entries[i]), "a topmost entry is never a trap");
        }
    }
    return breach;
}

static const char *entries_of(struct look *look, uint32_t page, bool in_step)
{
    const char *breach = NULL;

    for (uint32_t i = 0; i < ENTRIES && !breach; i++) {
        struct entry entry;

        if (i % 32 == 0 && look->state->pages[page].present[i / 32] == 0) {
            i += 31;
        } else if (entry_at(look, page, i, &entry)) {
            breach = shadow_is_leaf(entry.slot) ? leaf(look, &entry, in_step) : link(look, &entry, in_step);
        }
    }
    return breach;
}

static struct look look_of(const struct shadow_witness *witness, struct shadow_breach *where)
{
    struct look look = { .witness = witness, .state = witness->shadow->state, .where = where };

    *where = (struct shadow_breach){ .page = SHADOW_NONE };
    note_protected(&look);
    return look;
}

const char *shadow_entry_breach(const struct shadow_witness *witness, struct shadow_breach *where)
{
    struct look look = look_of(witness, where);
    const char *breach = NULL;

    for (uint32_t i = 0; i < witness->shadow->config.pool_pages && !breach; i++) {
        if (look.state->pages[i].life != SHADOW_FREE) {
            breach = entries_of(&look, i, look.state->pages[i].life == SHADOW_CLOSED);
            breach = breach ? breach : silent_of(&look, i);
        }
    }
    free(look.protected_frames);
    return breach;
}

/* --- all that a virtual processor reaches --- */

static const char *reached_from(struct look *look, uint32_t page, unsigned depth)
{
    const char *breach = entries_of(look, page, true);

    for (uint32_t i = 0; i < ENTRIES && !breach && depth < SHADOW_LEVELS; i++) {
        const struct shadow_slot *const slot = &look->state->slots[page * ENTRIES + i];

        if (shadow_is_link(slot)) {
            breach = reached_from(look, shadow_linked_page(slot), depth + 1);
        }
    }
    return breach;
}

const char *shadow_step_breach(const struct shadow_witness *witness, unsigned vp, struct shadow_breach *where)
{
    struct look look = look_of(witness, where);
    const char *const breach = reached_from(&look, look.state->vps[vp].root, 0);

    free(look.protected_frames);
    return breach;
}

const char *shadow_breach(const struct shadow_witness *witness, struct shadow_breach *where)
{
    const char *const breach = shadow_account_breach(witness, where);

    return breach ? breach : shadow_entry_breach(witness, where);
}

bool shadow_is_in_step(const struct vmmu_shadow *shadow, vmmu_hpa table)
{
    for (uint32_t i = 0; i < shadow->config.pool_pages; i++) {
        const struct shadow_page *const page = &shadow->state->pages[i];

        if (page->life != SHADOW_FREE && page->at.v == table.v) {
            return page->life == SHADOW_CLOSED;
        }
    }
    return false;
}
