/*
 * The account: lists, chains and counts of shadow pages and of their entries.
 */
#include "tests/unit/shadow/invariants.h"

#include "lib/x86/shadow/internal.h"

/* A rule, with the page and the entry that it is about. */
#define HOLDS(condition, sentence)                                                                           \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            return sentence;                                                                                 \
        }                                                                                                    \
    } while (0)

struct account {
    const struct vmmu_shadow *shadow;
    const struct vmmu_shadow_state *state;
    struct shadow_edit edit; /* to look pages up with */
    struct shadow_breach *where;
    uint32_t pages; /* in use */
    uint32_t leaves;
    uint32_t links;
};

static const struct shadow_page *page_at(const struct account *account, uint32_t page)
{
    account->where->page = page;
    return &account->state->pages[page];
}

static const struct shadow_slot *slot_at(const struct account *account, uint32_t slot)
{
    account->where->page = slot / ENTRIES;
    account->where->index = slot % ENTRIES;
    return &account->state->slots[slot];
}

static uint32_t heads_of(uint32_t shift)
{
    return shift == 32 ? 1 : UINT32_C(1) << (32 - shift);
}

/* --- pages --- */

static uint32_t present_in(const struct shadow_page *page)
{
    uint32_t present = 0;

    for (unsigned word = 0; word < ENTRIES / 32; word++) {
        present += (uint32_t)__builtin_popcountll(page->present[word]);
    }
    return present;
}

/* A slot says what the table's entry says: whether there is one, and which page a link points to. */
static const char *slots_of_page(struct account *account, uint32_t number)
{
    const struct shadow_page *page = page_at(account, number);
    const struct vmmu_x86_level *level = shadow_level(page);
    const uint64_t *entries = page->table;
    uint32_t present = 0;

    for (uint32_t i = 0; i < ENTRIES; i++) {
        const struct shadow_slot *slot = slot_at(account, number * ENTRIES + i);
        const bool used = slot->target != SHADOW_NO_TARGET;
        const bool marked = (page->present[i / 32] >> (i % 32)) & 1;

        HOLDS(used == shadow_leads(account->shadow, entries[i]),
              "an entry has a slot with a target if and only if it leads somewhere");
        HOLDS(used == marked, "the page knows which of its entries are present");
        HOLDS(((page->silent[i / 32] >> (i % 32)) & 1) ==
                  (account->shadow->config.silent_absent && entries[i] == 0 && page->role.kind != SHADOW_TOP),
              "the page knows which of its entries are silent");
        if (!used) {
            continue;
        }
        present++;
        if (shadow_is_leaf(slot)) {
            account->leaves++;
            HOLDS(vmmu_format_is_leaf(level, entries[i]), "a leaf's slot belongs to a leaf");
            continue;
        }
        const uint32_t child = shadow_linked_page(slot);

        account->links++;
        HOLDS(!vmmu_format_is_leaf(level, entries[i]), "a link's slot belongs to a link");
        HOLDS(child < account->shadow->config.pool_pages && account->state->pages[child].life != SHADOW_FREE,
              "a link points to a page that is in use");
        HOLDS(vmmu_format_table(level, entries[i]) == account->state->pages[child].at.v,
              "a link has the address of its page");
        HOLDS(account->state->pages[child].role.level + 1 == page->role.level,
              "a link points one level down");
        HOLDS(account->state->pages[child].role.owner == page->role.owner,
              "pages of one virtual processor lead to its own only");
    }
    account->where->index = 0;
    HOLDS(present == page->entries, "a page counts its entries");
    HOLDS(present == present_in(page), "a page knows its entries");
    return NULL;
}

static uint32_t users_of(const struct account *account, uint32_t number)
{
    const struct vmmu_shadow_state *state = account->state;
    uint32_t users = 0;

    for (unsigned vp = 0; vp < VMMU_SHADOW_VPS; vp++) {
        users += state->vps[vp].root == number;
    }
    for (uint32_t slot = state->pages[number].parents; slot != SHADOW_NONE; slot = state->slots[slot].next) {
        users += state->pages[slot / ENTRIES].role.kind == SHADOW_TOP;
    }
    return users;
}

/* Whom a page belongs to: with config.private_vps whoever starts there, else nobody. */
static const char *owner_of(const struct account *account, uint32_t number)
{
    const uint8_t owner = page_at(account, number)->role.owner;

    HOLDS(account->shadow->config.private_vps || owner == 0, "pages that are shared are nobody's");
    for (unsigned vp = 0; vp < VMMU_SHADOW_VPS; vp++) {
        HOLDS(account->state->vps[vp].root != number || !account->shadow->config.private_vps || owner == vp,
              "a virtual processor starts at a page of its own");
    }
    return NULL;
}

static const char *page_in_use(struct account *account, uint32_t number)
{
    const struct shadow_page *page = page_at(account, number);
    const bool opens = page->role.kind == SHADOW_TABLE;
    const char *breach;

    account->pages++;
    HOLDS(page->life < SHADOW_LIVES, "a page lives in one of the known ways");
    HOLDS(opens || page->life == SHADOW_CLOSED, "what stands for no table is never open");
    HOLDS(vmmu_shadow_find(&account->edit, page->frame, &page->role) == number,
          "a page is found by its frame and role, and no other is");
    HOLDS(page->pins == users_of(account, number), "a page's pins are the roots in use that it belongs to");
    HOLDS(page->life != SHADOW_PARKED || page->pins == 0, "nobody walks what is parked");
    HOLDS(!page->linked || page->parents != SHADOW_NONE || page->pins != 0 || shadow_is_root(page) ||
              page->role.kind == SHADOW_TOP,
          "what nothing links to any more is a root, or gone");
    breach = owner_of(account, number);
    return breach ? breach : slots_of_page(account, number);
}

static const char *all_pages(struct account *account)
{
    const struct vmmu_shadow_state *state = account->state;

    for (uint32_t number = 0; number < account->shadow->config.pool_pages; number++) {
        const struct shadow_page *page = page_at(account, number);

        if (page->life == SHADOW_FREE) {
            HOLDS(page->entries == 0 && present_in(page) == 0, "a page that is free has no entries");
            continue;
        }
        const char *breach = page_in_use(account, number);

        if (breach) {
            return breach;
        }
    }
    for (unsigned vp = 0; vp < VMMU_SHADOW_VPS; vp++) {
        HOLDS(state->vps[vp].root == SHADOW_NONE || state->pages[state->vps[vp].root].life != SHADOW_FREE,
              "a virtual processor's root is in use");
    }
    return NULL;
}

/* --- lists of pages --- */

static const char *free_list(const struct account *account)
{
    const uint32_t pool = account->shadow->config.pool_pages;
    uint32_t free = 0;

    for (uint32_t page = account->state->free; page != SHADOW_NONE; page = account->state->pages[page].next) {
        HOLDS(page_at(account, page)->life == SHADOW_FREE, "what is on the list of free pages is free");
        HOLDS(++free <= pool, "the list of free pages ends");
    }
    HOLDS(free + account->pages == pool, "every page is free or in use");
    return NULL;
}

static const char *by_age(const struct account *account)
{
    const struct vmmu_shadow_state *state = account->state;
    uint32_t before = SHADOW_NONE;
    uint32_t listed = 0;

    for (uint32_t page = state->oldest; page != SHADOW_NONE; page = state->pages[page].newer) {
        HOLDS(page_at(account, page)->life != SHADOW_FREE, "only pages in use have an age");
        HOLDS(state->pages[page].older == before, "the list by age leads back as it leads forth");
        HOLDS(++listed <= account->pages, "the list by age ends");
        before = page;
    }
    HOLDS(state->newest == before, "the list by age ends with the newest");
    HOLDS(listed == account->pages, "every page in use has an age");
    return NULL;
}

static const char *by_life(const struct account *account)
{
    const struct vmmu_shadow_state *state = account->state;
    uint32_t listed[SHADOW_LIVES] = { 0 };
    uint32_t all = 0;
    uint64_t stale = 0;

    for (unsigned life = SHADOW_OPEN; life < SHADOW_LIVES; life++) {
        uint32_t before = SHADOW_NONE;

        for (uint32_t page = state->first[life]; page != SHADOW_NONE; page = state->pages[page].after) {
            HOLDS(page_at(account, page)->life == life, "pages are listed by how they live");
            HOLDS(state->pages[page].before == before, "the list by life leads back as it leads forth");
            HOLDS(++listed[life] <= account->pages, "the list by life ends");
            stale += life == SHADOW_OPEN || life == SHADOW_CLOSING ? state->pages[page].entries : 0;
            before = page;
        }
        all += listed[life];
    }
    HOLDS(all == account->pages, "every page in use is listed by its life");
    HOLDS(state->parked == listed[SHADOW_PARKED], "parked pages are counted");
    HOLDS(state->stale_entries == stale, "entries that may be stale are counted");
    HOLDS(stale == 0 || account->shadow->watches_invlpg, "INVLPG is watched while entries may be stale");
    return NULL;
}

/* --- chains --- */

static const char *chains_of_pages(const struct account *account)
{
    const struct vmmu_shadow_state *state = account->state;
    uint32_t chained = 0;

    for (uint32_t head = 0; head < heads_of(state->frames_shift); head++) {
        uint32_t before = SHADOW_NONE;

        for (uint32_t page = state->frames[head]; page != SHADOW_NONE; page = state->pages[page].next) {
            HOLDS(page_at(account, page)->life != SHADOW_FREE, "only pages in use are found by their frame");
            HOLDS(state->pages[page].previous == before, "a chain of pages leads back as it leads forth");
            HOLDS(++chained <= account->pages, "a chain of pages ends");
            before = page;
        }
    }
    HOLDS(chained == account->pages, "every page in use is on the chain of its frame");
    return NULL;
}

static const char *chains_of_leaves(const struct account *account)
{
    const struct vmmu_shadow_state *state = account->state;
    uint32_t chained = 0;

    for (uint32_t head = 0; head < heads_of(state->leaves_shift); head++) {
        uint32_t before = SHADOW_NONE;

        for (uint32_t number = state->leaves[head]; number != SHADOW_NONE;
             number = state->slots[number].next) {
            const struct shadow_slot *slot = slot_at(account, number);
            const unsigned level = page_at(account, number / ENTRIES)->role.level;

            HOLDS(shadow_is_leaf(slot), "a chain of leaves holds leaves");
            HOLDS(vmmu_shadow_leaf_head(state, shadow_leaf_frame(slot), level) == &state->leaves[head],
                  "a leaf is on the chain of the frame that it maps");
            HOLDS(slot->previous == before, "a chain of leaves leads back as it leads forth");
            HOLDS(++chained <= account->leaves, "a chain of leaves ends");
            before = number;
        }
    }
    HOLDS(chained == account->leaves, "every leaf is on the chain of the frame that it maps");
    return NULL;
}

static const char *chains_of_links(const struct account *account)
{
    const struct vmmu_shadow_state *state = account->state;
    uint32_t chained = 0;

    for (uint32_t page = 0; page < account->shadow->config.pool_pages; page++) {
        uint32_t before = SHADOW_NONE;
        uint32_t number = state->pages[page].life == SHADOW_FREE ? SHADOW_NONE : state->pages[page].parents;

        for (; number != SHADOW_NONE; number = state->slots[number].next) {
            const struct shadow_slot *slot = slot_at(account, number);

            HOLDS(shadow_is_link(slot) && shadow_linked_page(slot) == page, "a page's parents link to it");
            HOLDS(slot->previous == before, "a chain of parents leads back as it leads forth");
            HOLDS(++chained <= account->links, "a chain of parents ends");
            before = number;
        }
    }
    HOLDS(chained == account->links, "every link is known to the page that it points to");
    return NULL;
}

/* --- counts --- */

/* A region without count is one that large pages may map for writing. */
static const char *regions(const struct account *account)
{
    for (uint32_t number = 0; number < account->shadow->config.pool_pages; number++) {
        const struct shadow_page *page = page_at(account, number);

        for (unsigned level = 2; level <= 3 && page->life != SHADOW_FREE && shadow_is_protecting(page);
             level++) {
            HOLDS(*vmmu_shadow_region_count(account->state, page->frame, level) != 0,
                  "a region with protected tables knows of them");
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        const uint32_t heads = heads_of(account->state->regions_shift);
        uint64_t counted = 0;
        uint64_t protecting = 0;

        for (uint32_t head = 0; head < heads; head++) {
            counted += account->state->regions[i][head];
        }
        for (uint32_t number = 0; number < account->shadow->config.pool_pages; number++) {
            const struct shadow_page *page = &account->state->pages[number];

            protecting += page->life != SHADOW_FREE && shadow_is_protecting(page);
        }
        HOLDS(counted == protecting, "regions count their protected tables");
    }
    return NULL;
}

static const char *counters(const struct account *account)
{
    const struct vmmu_shadow_counters *said = &account->shadow->counters;
    uint32_t splitting = 0;

    for (uint32_t number = 0; number < account->shadow->config.pool_pages; number++) {
        const struct shadow_page *page = &account->state->pages[number];

        splitting += page->life != SHADOW_FREE && page->role.kind == SHADOW_DIRECT;
    }
    HOLDS(said->pages == account->pages, "the counter of pages is right");
    HOLDS(said->split_pages == splitting, "the counter of pages that split others is right");
    HOLDS(said->peak_pages >= said->pages && said->peak_pages <= account->shadow->config.pool_pages,
          "the peak lies between what is in use and the pool");
    return NULL;
}

const char *shadow_account_breach(const struct shadow_witness *witness, struct shadow_breach *where)
{
    static const char *(*const rules[])(const struct account *) = {
        free_list, by_age, by_life, chains_of_pages, chains_of_leaves, chains_of_links, regions, counters,
    };
    struct vmmu_shadow_state *state = witness->shadow->state;
    struct account account = {
        .shadow = witness->shadow,
        .state = state,
        .edit = { .state = state },
        .where = where,
    };
    const char *breach;

    *where = (struct shadow_breach){ .page = SHADOW_NONE };
    breach = all_pages(&account);
    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]) && !breach; i++) {
        breach = rules[i](&account);
    }
    return breach;
}
