/*
 * The account of shadow pages: which there are, for which guest frames, and when they were last used.
 *
 * It lives in one piece of the caller's memory: this record, the pages, their slots, and the heads of the chains.
 * Every slot of a free page is empty, so that taking one costs no more than its table.
 */
#include "lib/x86/shadow/internal.h"

#define POOL_LIMIT   (UINT32_C(1) << 20)
#define SLOT_HEADS   64U /* per page of the pool: heads of the chains of leaves */
#define REGION_HEADS 2U

_Static_assert(sizeof(struct shadow_role) == 12, "a role has no padding: it is compared as memory");
_Static_assert(sizeof(struct shadow_slot) == 16, "a slot is what most of the account consists of");

/* --- where things lie --- */

struct plan_of_account {
    uint64_t pages;
    uint64_t slots;
    uint64_t frames;
    uint64_t leaves;
    uint64_t regions;
    uint64_t bytes;
};

static uint32_t power_of_two_from(uint32_t least)
{
    uint32_t power = 1;

    while (power < least) {
        power *= 2;
    }
    return power;
}

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + 7) & ~UINT64_C(7);
}

static struct plan_of_account lay_out(uint32_t pool_pages)
{
    const uint64_t heads = power_of_two_from(pool_pages);
    struct plan_of_account account;

    account.pages = aligned(sizeof(struct vmmu_shadow_state));
    account.slots = account.pages + aligned((uint64_t)pool_pages * sizeof(struct shadow_page));
    account.frames = account.slots + (uint64_t)pool_pages * ENTRIES * sizeof(struct shadow_slot);
    account.leaves = account.frames + heads * sizeof(uint32_t);
    account.regions = account.leaves + heads * SLOT_HEADS * sizeof(uint32_t);
    account.bytes = account.regions + 2 * heads * REGION_HEADS * sizeof(uint32_t);
    return account;
}

size_t vmmu_shadow_memory_bytes(uint32_t pool_pages)
{
    if (pool_pages < VMMU_SHADOW_FLOOR_PAGES || pool_pages > POOL_LIMIT) {
        return 0;
    }
    const uint64_t bytes = lay_out(pool_pages).bytes;

    return bytes > SIZE_MAX ? 0 : (size_t)bytes;
}

/* --- hashes --- */

/* How far down 32 bits must go to number @count, a power of two. */
static uint32_t shift_for(uint32_t count)
{
    uint32_t shift = 32;

    for (; count > 1; count /= 2) {
        shift--;
    }
    return shift;
}

/* A multiplication spreads neighbours; the upper bits of the product depend on all of the number. */
static uint32_t hash(uint64_t frame, unsigned salt, uint32_t shift)
{
    const uint64_t number = frame >> VMMU_PAGE_SHIFT;
    const uint32_t folded = (uint32_t)number ^ (uint32_t)(number >> 32) * UINT32_C(0x85EBCA6B) ^ salt;

    return (folded * UINT32_C(0x9E3779B1)) >> shift;
}

static uint32_t *frame_head(const struct vmmu_shadow_state *state, uint64_t frame)
{
    return &state->frames[hash(frame, 0, state->frames_shift)];
}

uint32_t *vmmu_shadow_region_count(const struct vmmu_shadow_state *state, uint64_t gpa, unsigned level)
{
    const uint64_t base = gpa & ~(shadow_bytes(level) - 1);

    /* Bits below the region's size are zero, and would be lost for the hash: put the number in their place. */
    return &state->regions[level - 2][hash(base >> (level == 2 ? 9 : 18), level, state->regions_shift)];
}

uint32_t *vmmu_shadow_leaf_head(const struct vmmu_shadow_state *state, uint64_t frame, unsigned level)
{
    return &state->leaves[hash(frame, level << 28, state->leaves_shift)];
}

/* --- making one --- */

static uint32_t count_of(uint64_t bits)
{
    uint32_t count = 0;

    for (; bits != 0; bits &= bits - 1) {
        count++;
    }
    return count;
}

static bool config_is_sound(const struct vmmu_shadow_config *config)
{
    return config->ram != NULL && config->backing != NULL && config->maxphyaddr >= 32 &&
           config->maxphyaddr <= 52 && config->largest_level >= 1 && config->largest_level <= 3 &&
           config->vps != 0 && vmmu_shadow_memory_bytes(config->pool_pages) != 0 &&
           config->pool_pages / VMMU_SHADOW_FLOOR_FOR_A_VP >= count_of(config->vps);
}

/* Whether the configuration is one that this host can serve. */
static bool config_is_served(const struct vmmu_shadow_config *config, uint8_t pat_index[8])
{
    return vmmu_shadow_index_pat(config->pat, pat_index) &&
           !(config->silent_absent && config->maxphyaddr == 52);
}

static void fill(uint32_t *numbers, uint64_t count, uint32_t value)
{
    for (uint64_t i = 0; i < count; i++) {
        numbers[i] = value;
    }
}

static void start_pages(struct vmmu_shadow_state *state, uint32_t pool_pages)
{
    for (uint32_t i = 0; i < pool_pages; i++) {
        state->pages[i] = (struct shadow_page){ .next = i + 1 < pool_pages ? i + 1 : SHADOW_NONE };
    }
    for (uint64_t i = 0; i < (uint64_t)pool_pages * ENTRIES; i++) {
        state->slots[i] =
            (struct shadow_slot){ .target = SHADOW_NO_TARGET, .next = SHADOW_NONE, .previous = SHADOW_NONE };
    }
    state->free = 0;
    state->oldest = SHADOW_NONE;
    state->newest = SHADOW_NONE;
    fill(state->first, SHADOW_LIVES, SHADOW_NONE);
}

static void start(struct vmmu_shadow_state *state, uint32_t pool_pages)
{
    const struct plan_of_account account = lay_out(pool_pages);
    const uint32_t heads = power_of_two_from(pool_pages);
    char *const base = (char *)state;

    *state = (struct vmmu_shadow_state){ .excused = SHADOW_NO_TARGET, .changes = 1, .cursor = SHADOW_NONE };
    state->pages = (void *)(base + account.pages);
    state->slots = (void *)(base + account.slots);
    state->frames = (void *)(base + account.frames);
    state->leaves = (void *)(base + account.leaves);
    state->regions[0] = (void *)(base + account.regions);
    state->regions[1] = state->regions[0] + (size_t)heads * REGION_HEADS;
    state->frames_shift = shift_for(heads);
    state->leaves_shift = shift_for(heads * SLOT_HEADS);
    state->regions_shift = shift_for(heads * REGION_HEADS);
    fill(state->frames, heads, SHADOW_NONE);
    fill(state->leaves, (uint64_t)heads * SLOT_HEADS, SHADOW_NONE);
    fill(state->regions[0], (uint64_t)heads * REGION_HEADS * 2, 0);
    start_pages(state, pool_pages);
    for (unsigned vp = 0; vp < VMMU_SHADOW_VPS; vp++) {
        state->vps[vp].root = SHADOW_NONE;
        state->vps[vp].top = SHADOW_NONE;
    }
}

enum vmmu_status vmmu_shadow_init(struct vmmu_shadow *shadow, const struct vmmu_shadow_config *config,
                                  struct vmmu_table_memory *memory, void *account, size_t account_bytes)
{
    uint8_t pat_index[8];

    if (!config_is_sound(config) || account == NULL || !vmmu_is_aligned((uintptr_t)account, 8) ||
        account_bytes < vmmu_shadow_memory_bytes(config->pool_pages)) {
        return VMMU_INVALID;
    }
    if (!config_is_served(config, pat_index)) {
        return VMMU_UNSUPPORTED;
    }
    *shadow = (struct vmmu_shadow){ .config = *config, .memory = memory, .state = account };
    start(shadow->state, config->pool_pages);
    shadow->state->trap = config->silent_absent ? SHADOW_TRAP : 0;
    for (unsigned type = 0; type < 8; type++) {
        shadow->state->pat_index[type] = pat_index[type];
    }
    return VMMU_OK;
}

void vmmu_shadow_destroy(struct vmmu_shadow *shadow)
{
    const struct vmmu_shadow_state *const state = shadow->state;

    for (uint32_t i = 0; i < shadow->config.pool_pages; i++) {
        if (state->pages[i].life != SHADOW_FREE) {
            vmmu_table_put(shadow->memory, state->pages[i].at);
        }
    }
    *shadow = (struct vmmu_shadow){ .state = NULL };
}

/* --- by age --- */

static void forget_age(struct vmmu_shadow_state *state, const struct shadow_page *page)
{
    if (page->older == SHADOW_NONE) {
        state->oldest = page->newer;
    } else {
        state->pages[page->older].newer = page->newer;
    }
    if (page->newer == SHADOW_NONE) {
        state->newest = page->older;
    } else {
        state->pages[page->newer].older = page->older;
    }
}

static void become_newest(struct vmmu_shadow_state *state, uint32_t index)
{
    struct shadow_page *const page = &state->pages[index];

    page->older = state->newest;
    page->newer = SHADOW_NONE;
    if (state->newest == SHADOW_NONE) {
        state->oldest = index;
    } else {
        state->pages[state->newest].newer = index;
    }
    state->newest = index;
}

void vmmu_shadow_touch(struct shadow_edit *edit, uint32_t page)
{
    edit->state->pages[page].turn = edit->state->turn;
    if (edit->state->newest != page) {
        forget_age(edit->state, &edit->state->pages[page]);
        become_newest(edit->state, page);
    }
}

/* --- by frame --- */

uint32_t vmmu_shadow_find(const struct shadow_edit *edit, uint64_t frame, const struct shadow_role *role)
{
    const struct shadow_page *const pages = edit->state->pages;
    uint32_t page = *frame_head(edit->state, frame);

    while (page != SHADOW_NONE &&
           (pages[page].frame != frame || __builtin_memcmp(&pages[page].role, role, sizeof(*role)) != 0)) {
        page = pages[page].next;
    }
    return page;
}

static uint32_t table_from(const struct shadow_edit *edit, uint64_t frame, uint32_t page)
{
    const struct shadow_page *const pages = edit->state->pages;

    while (page != SHADOW_NONE && (pages[page].frame != frame || pages[page].role.kind != SHADOW_TABLE)) {
        page = pages[page].next;
    }
    return page;
}

uint32_t vmmu_shadow_first_table(const struct shadow_edit *edit, uint64_t frame)
{
    return table_from(edit, frame, *frame_head(edit->state, frame));
}

uint32_t vmmu_shadow_next_table(const struct shadow_edit *edit, uint32_t page)
{
    return table_from(edit, edit->state->pages[page].frame, edit->state->pages[page].next);
}

static void enlist(struct vmmu_shadow_state *state, uint32_t index)
{
    struct shadow_page *const page = &state->pages[index];
    uint32_t *const head = frame_head(state, page->frame);

    page->previous = SHADOW_NONE;
    page->next = *head;
    if (*head != SHADOW_NONE) {
        state->pages[*head].previous = index;
    }
    *head = index;
}

static void delist(struct vmmu_shadow_state *state, const struct shadow_page *page)
{
    if (page->previous == SHADOW_NONE) {
        *frame_head(state, page->frame) = page->next;
    } else {
        state->pages[page->previous].next = page->next;
    }
    if (page->next != SHADOW_NONE) {
        state->pages[page->next].previous = page->previous;
    }
}

/* --- taking and giving --- */

static void count_page(struct vmmu_shadow *shadow, const struct shadow_page *page)
{
    struct vmmu_shadow_counters *const counters = &shadow->counters;

    counters->pages++;
    counters->split_pages += page->role.kind == SHADOW_DIRECT;
    if (counters->pages > counters->peak_pages) {
        counters->peak_pages = counters->pages;
    }
}

uint32_t vmmu_shadow_take(struct shadow_edit *edit, uint64_t frame, const struct shadow_role *role)
{
    struct vmmu_shadow_state *const state = edit->state;
    const uint32_t index = state->free;
    struct shadow_page *const page = &state->pages[index];
    const enum vmmu_page_zone zone = role->kind == SHADOW_TOP ? VMMU_PAGE_BELOW_4G : VMMU_PAGE_ANY;

    VMMU_ASSERT(index != SHADOW_NONE);
    state->free = page->next;
    *page = (struct shadow_page){
        .frame = frame, .role = *role, .parents = SHADOW_NONE, .emptied = ENTRIES, .turn = state->turn
    };
    page->table = vmmu_table_take(edit->shadow->memory, zone, &page->at);
    vmmu_shadow_set_traps(edit, index);
    enlist(state, index);
    become_newest(state, index);
    vmmu_shadow_set_life(state, index, role->kind == SHADOW_TABLE ? SHADOW_OPEN : SHADOW_CLOSED);
    count_page(edit->shadow, page);
    return index;
}

void vmmu_shadow_give(struct shadow_edit *edit, uint32_t index, bool reachable)
{
    struct vmmu_shadow_state *const state = edit->state;
    struct shadow_page *const page = &state->pages[index];
    const bool was_protecting = shadow_is_protecting(page);
    const uint64_t frame = page->frame;

    VMMU_ASSERT(page->entries == 0 && page->parents == SHADOW_NONE && page->pins == 0);
    if (page->role.kind == SHADOW_TOP) {
        state->vps[page->frame / VMMU_PAGE_BYTES].top = SHADOW_NONE;
    }
    state->removals++;
    vmmu_shadow_set_life(state, index, SHADOW_FREE);
    edit->shadow->counters.pages--;
    edit->shadow->counters.split_pages -= page->role.kind == SHADOW_DIRECT;
    delist(state, page);
    forget_age(state, page);
    if (reachable) {
        vmmu_table_retire(edit->shadow->memory, page->at);
    } else {
        vmmu_table_put(edit->shadow->memory, page->at);
    }
    *page = (struct shadow_page){ .next = state->free };
    state->free = index;
    if (was_protecting) {
        vmmu_shadow_unprotect(edit, frame);
    }
}
