/*
 * Invariant: a model's first level holds nothing that an invalidation took from its second; every scope goes to all three
 * TLBs.
 */
#include "replay.h"

#include <stdlib.h>
#include <string.h>

#include <vmmu/invalidate.h>

#include "hv/x86/vp/tags.h"

#define SHIFT_4K         12
#define SHIFT_2M         21
#define SHIFT_4M         22
#define SHIFT_1G         30
#define LARGE            (BIT64(SHIFT_2M) | BIT64(SHIFT_4M))

#define HYPERVISOR       0
#define GUEST            1

#define CODE             0
#define DATA             1

/* `data` of an entry in a model: where its region lies in the machine, and in the bits below: */
#define DATA_DIRTY       UINT64_C(1)
#define DATA_GUEST       UINT64_C(2)

/* Translations made whose use is kept account of: the latest. Many times what any TLB holds. */
#define REMEMBERED       (1u << 22)

/* VPIDs: none of a guest's is 0. The hypervisor's tags have theirs from the second on. */
#define VPID_OF_VP       1
#define VPID_OF_TAG(tag) ((uint16_t)((tag) + 2))

#define PHYSICAL_BITS    52
#define TRANSLATIONS(s, w, shifts)                                                                           \
    {                                                                                                        \
        .sets = (s), .ways = (w), .kinds = VMMU_TLB_KINDS, .translations = true, .page_shifts = (shifts)     \
    }

const char *const replay_names[REPLAY_MODELS] = {
    [REPLAY_UNTAGGED] = "untagged",   [REPLAY_TAG_A_VP] = "tag-a-vp",    [REPLAY_TAG_A_ROOT] = "tag-a-root",
    [REPLAY_UNFLUSHED] = "unflushed", [REPLAY_TAGS_AS_TOLD] = "as-told",
};

static const struct replay_geometry geometries[] = {
    { .name = "skylake",
      .code = { .arrays = 2,
                .array = { TRANSLATIONS(16, 8, BIT64(SHIFT_4K)),
                           TRANSLATIONS(1, 8, LARGE | BIT64(SHIFT_1G)) } },
      .data = { .arrays = 3,
                .array = { TRANSLATIONS(16, 4, BIT64(SHIFT_4K)), TRANSLATIONS(8, 4, LARGE),
                           TRANSLATIONS(1, 4, BIT64(SHIFT_1G)) } },
      .second = { .arrays = 2,
                  .array = { TRANSLATIONS(128, 12, BIT64(SHIFT_4K) | LARGE),
                             TRANSLATIONS(4, 4, BIT64(SHIFT_1G)) } } },
    { .name = "haswell",
      .code = { .arrays = 2,
                .array = { TRANSLATIONS(32, 4, BIT64(SHIFT_4K)),
                           TRANSLATIONS(1, 8, LARGE | BIT64(SHIFT_1G)) } },
      .data = { .arrays = 3,
                .array = { TRANSLATIONS(16, 4, BIT64(SHIFT_4K)), TRANSLATIONS(8, 4, LARGE),
                           TRANSLATIONS(1, 4, BIT64(SHIFT_1G)) } },
      .second = { .arrays = 1, .array = { TRANSLATIONS(128, 8, BIT64(SHIFT_4K) | LARGE) } } },
};

/* One model at work. */
struct model {
    enum replay_tags tags;
    struct vmmu_tlb first[2]; /* CODE, DATA */
    struct vmmu_tlb second;
    void *memory[3];
    struct x86_tags of_roots;      /* where each root has a tag */
    struct vmmu_x86_tags guest;    /* while the guest runs */
    struct vmmu_x86_cache_key key; /* of the world that runs */
    uint64_t made;                 /* translations that walks found */
    uint32_t *used;                /* in which stay each of the latest was last used */
    struct replay_counts counts;
};

struct replay {
    struct model models[REPLAY_MODELS];
    struct replay_common common;
    struct trace_pages *pages;
    struct trace_record translation; /* told, and not used yet */
    bool told;
    unsigned world;
    uint32_t stay; /* goes up at each switch of worlds */
    uint64_t root; /* the guest's */
};

const struct replay_geometry *replay_find_geometry(const char *name)
{
    for (size_t i = 0; i < sizeof geometries / sizeof geometries[0]; i++) {
        if (strcmp(geometries[i].name, name) == 0) {
            return &geometries[i];
        }
    }
    return NULL;
}

/* --- one model --- */

static bool make_tlb(struct vmmu_tlb *tlb, void **memory, const struct vmmu_tlb_config *config)
{
    const size_t bytes = vmmu_tlb_memory_bytes(config);

    *memory = bytes != 0 ? malloc(bytes) : NULL;
    return *memory != NULL && vmmu_tlb_init(tlb, config, *memory, bytes) == VMMU_OK;
}

static bool make_model(struct model *model, enum replay_tags tags, const struct replay_geometry *geometry)
{
    const struct vmmu_x86_tags host = { .vendor = VMMU_X86_INTEL };

    model->tags = tags;
    x86_tags_init(&model->of_roots, X86_TAGS);
    model->key = vmmu_invalidate_linear_key(&host, 0);
    model->used = calloc(REMEMBERED, sizeof *model->used);
    return model->used != NULL && make_tlb(&model->first[CODE], &model->memory[0], &geometry->code) &&
           make_tlb(&model->first[DATA], &model->memory[1], &geometry->data) &&
           make_tlb(&model->second, &model->memory[2], &geometry->second);
}

static void invalidate(struct model *model, const struct vmmu_tlb_scopes *scopes)
{
    vmmu_tlb_invalidate(&model->first[CODE], scopes);
    vmmu_tlb_invalidate(&model->first[DATA], scopes);
    vmmu_tlb_invalidate(&model->second, scopes);
}

static void invvpid(struct model *model, uint64_t type, uint16_t vpid, uint64_t address)
{
    const struct vmmu_x86_cpu cpu = { .maxphyaddr = PHYSICAL_BITS, .long_mode = true };
    const struct vmmu_x86_invalidation operands = { .type = type, .descriptor = { vpid, address } };
    struct vmmu_tlb_scopes scopes;

    if (vmmu_invalidate_invvpid(&cpu, &operands, &scopes) == VMMU_OK) {
        invalidate(model, &scopes);
    }
}

/* The translation with this number is used in @stay. Whether that is its first use there. */
static bool is_first_use(struct model *model, uint64_t number, uint32_t stay)
{
    uint32_t *const used = &model->used[number % REMEMBERED];

    if (model->made - number > REMEMBERED || *used == stay) {
        return false;
    }
    *used = stay;
    return true;
}

/* The cached translation that serves the access, from the first level that has it; or NULL. */
static const struct vmmu_tlb_entry *find(struct replay *replay, struct model *model,
                                         const struct trace_record *access)
{
    const struct vmmu_tlb_query query = { .address = access->value << VMMU_PAGE_SHIFT,
                                          .tag = model->key.tag,
                                          .kind = model->key.kind };
    struct vmmu_tlb *const first = &model->first[access->kind == TRACE_FETCH ? CODE : DATA];
    const uint64_t needed = access->kind == TRACE_WRITE ? DATA_DIRTY : 0;
    const struct vmmu_tlb_entry *entry = vmmu_tlb_lookup(first, &query);

    if (entry != NULL && (entry->data & needed) == needed) {
        return entry;
    }
    entry = vmmu_tlb_lookup(&model->second, &query);
    if (entry == NULL || (entry->data & needed) != needed) {
        return NULL;
    }
    model->counts.second[replay->world]++;
    (void)vmmu_tlb_insert(first, entry);
    return entry;
}

static void walk(struct replay *replay, struct model *model, const struct trace_record *access,
                 const struct trace_translation *found)
{
    const uint64_t address = access->value << VMMU_PAGE_SHIFT;
    const uint64_t within = BIT64(found->page_shift) - 1;
    const struct vmmu_tlb_entry entry = {
        .base = address & ~within,
        .tag = model->key.tag,
        .frame = model->made,
        .data = ((found->frame << VMMU_PAGE_SHIFT) - (address & within)) | (found->dirty ? DATA_DIRTY : 0) |
                (replay->world == GUEST ? DATA_GUEST : 0),
        .kind = model->key.kind,
        .page_shift = found->page_shift,
        .global = found->global,
    };

    model->used[model->made++ % REMEMBERED] = replay->stay;
    model->counts.walks[replay->world]++;
    model->counts.loads[replay->world] += found->loads;
    (void)vmmu_tlb_insert(&model->second, &entry);
    (void)vmmu_tlb_insert(&model->first[access->kind == TRACE_FETCH ? CODE : DATA], &entry);
}

static bool is_elsewhere(const struct vmmu_tlb_entry *entry, const struct trace_record *access,
                         const struct trace_translation *found)
{
    const uint64_t offset = (access->value << VMMU_PAGE_SHIFT) - entry->base;

    return (entry->data >> VMMU_PAGE_SHIFT) + (offset >> VMMU_PAGE_SHIFT) != found->frame;
}

static void model_access(struct replay *replay, struct model *model, const struct trace_record *access,
                         const struct trace_translation *found)
{
    const struct vmmu_tlb_entry *const entry = find(replay, model, access);

    if (entry == NULL) {
        walk(replay, model, access, found);
        return;
    }
    model->counts.stale[replay->world] += is_elsewhere(entry, access, found);
    if (is_first_use(model, entry->frame, replay->stay)) {
        model->counts.survived[replay->world]++;
    }
}

/* --- world switches --- */

struct census {
    uint64_t of; /* DATA_GUEST, or 0 */
    uint64_t count;
};

/* Condemns nobody. */
static bool count_one(void *context, const struct vmmu_tlb_entry *entry)
{
    struct census *const census = context;

    census->count += (entry->data & DATA_GUEST) == census->of;
    return false;
}

/* The world is about to be left. */
static void count_alive(struct model *model, unsigned world)
{
    struct census census = { .of = world == GUEST ? DATA_GUEST : 0 };

    (void)vmmu_tlb_remove_if(&model->second, count_one, &census);
    model->counts.alive[world] += census.count;
}

/* As the backends do it: see hv/x86/vp/tags.h. Returns the VPID of @root. */
static uint16_t choose_tag(struct model *model, uint64_t root, bool flush)
{
    struct x86_tags *const tags = &model->of_roots;

    x86_tags_choose(tags, root);
    if (flush) {
        x86_tags_flush(tags);
    }
    if (tags->tag[tags->now].stale) {
        tags->tag[tags->now].stale = false;
        invvpid(model, VMMU_X86_INVVPID_CONTEXT, VPID_OF_TAG(tags->now), 0);
    }
    return VPID_OF_TAG(tags->now);
}

/* Give @model the tags of this entry, and invalidate what goes with it. */
static void tag_entry(struct replay *replay, struct model *model, const struct trace_record *enter)
{
    const bool asked = enter->more & TRACE_ENTER_ASKED;

    switch (model->tags) {
    case REPLAY_UNTAGGED: break;
    case REPLAY_TAG_A_VP:
        model->guest.space = VPID_OF_VP;
        if (asked || (enter->value != replay->root && !model->guest.nested)) {
            invvpid(model, VMMU_X86_INVVPID_CONTEXT, VPID_OF_VP, 0);
        }
        break;
    case REPLAY_TAG_A_ROOT: model->guest.space = choose_tag(model, enter->value, asked); break;
    case REPLAY_UNFLUSHED: model->guest.space = choose_tag(model, enter->value, false); break;
    case REPLAY_TAGS_AS_TOLD:
        model->guest.space = TRACE_ENTER_TAG(enter->more);
        if (TRACE_ENTER_CONTROL(enter->more) == VMMU_X86_TLB_CONTROL_ALL) {
            invvpid(model, VMMU_X86_INVVPID_ALL, 0, 0);
        } else if (TRACE_ENTER_CONTROL(enter->more) != VMMU_X86_TLB_CONTROL_NOTHING) {
            invvpid(model, VMMU_X86_INVVPID_CONTEXT, model->guest.space, 0);
        }
        break;
    case REPLAY_MODELS: break;
    }
}

static void cross(struct model *model)
{
    const struct vmmu_tlb_scopes scopes = vmmu_invalidate_vm_transition(&model->guest);

    invalidate(model, &scopes);
}

static bool enter_guest(struct replay *replay, const struct trace_record *enter)
{
    if (replay->world == GUEST) {
        return false;
    }
    for (unsigned i = 0; i < REPLAY_MODELS; i++) {
        struct model *const model = &replay->models[i];

        count_alive(model, HYPERVISOR);
        model->guest = (struct vmmu_x86_tags){ .vendor = VMMU_X86_INTEL,
                                               .tagged = model->tags != REPLAY_UNTAGGED,
                                               .nested = enter->more & TRACE_ENTER_NESTED };
        if (model->guest.nested) {
            model->guest.stage2 = enter->value << VMMU_PAGE_SHIFT;
        }
        tag_entry(replay, model, enter);
        cross(model);
        model->key = vmmu_invalidate_linear_key(&model->guest, 0);
    }
    replay->common.entries++;
    replay->common.roots += enter->value != replay->root && !(enter->more & TRACE_ENTER_NESTED);
    replay->common.asked += (enter->more & TRACE_ENTER_ASKED) != 0;
    replay->root = enter->value;
    replay->world = GUEST;
    replay->stay++;
    return true;
}

static bool leave_guest(struct replay *replay)
{
    const struct vmmu_x86_tags host = { .vendor = VMMU_X86_INTEL };

    if (replay->world == HYPERVISOR) {
        return false;
    }
    for (unsigned i = 0; i < REPLAY_MODELS; i++) {
        struct model *const model = &replay->models[i];

        count_alive(model, GUEST);
        cross(model);
        model->key = vmmu_invalidate_linear_key(&host, 0);
    }
    replay->world = HYPERVISOR;
    replay->stay++;
    return true;
}

/* --- what else happens --- */

static bool access_page(struct replay *replay, const struct trace_record *access)
{
    const uint64_t key = trace_page_key(access->value, replay->world == GUEST);
    struct trace_page *const page = trace_page_at(replay->pages, key);

    if (replay->told) {
        *page = (struct trace_page){ .key = key, .translation = trace_translation_of(&replay->translation) };
        replay->told = false;
    }
    if (page->key != key) {
        return false;
    }
    replay->common.accesses[replay->world]++;
    for (unsigned i = 0; i < REPLAY_MODELS; i++) {
        model_access(replay, &replay->models[i], access, &page->translation);
    }
    return true;
}

/* The guest's own invalidations act on what its tag names. */
static bool guest_invalidates(struct replay *replay, const struct trace_record *record)
{
    const struct vmmu_x86_paging_registers now = { 0 };
    const uint64_t address = record->value << VMMU_PAGE_SHIFT;

    if (replay->world == HYPERVISOR) {
        return false;
    }
    for (unsigned i = 0; i < REPLAY_MODELS; i++) {
        struct model *const model = &replay->models[i];
        const struct vmmu_tlb_scopes scopes =
            record->kind == TRACE_INVLPG
                ? vmmu_invalidate_invlpg(&model->guest, &now, (vmmu_gva){ address }, VMMU_PAGE_BYTES)
                : vmmu_invalidate_mov_cr3(&model->guest, &now, address);

        invalidate(model, &scopes);
    }
    return true;
}

/* The guest is not running, so nothing of it is cached without tags. */
static bool flush_page(struct replay *replay, const struct trace_record *record)
{
    if (replay->world == GUEST) {
        return false;
    }
    for (unsigned i = 0; i < REPLAY_MODELS; i++) {
        struct model *const model = &replay->models[i];
        const uint16_t vpid =
            model->tags == REPLAY_TAGS_AS_TOLD ? (uint16_t)record->more : model->guest.space;

        if (model->tags != REPLAY_UNTAGGED && model->tags != REPLAY_UNFLUSHED) {
            invvpid(model, VMMU_X86_INVVPID_ADDRESS, vpid, record->value << VMMU_PAGE_SHIFT);
        }
    }
    return true;
}

bool replay_record(struct replay *replay, const struct trace_record *record)
{
    switch (record->kind) {
    case TRACE_FETCH:
    case TRACE_READ:
    case TRACE_WRITE: return access_page(replay, record);
    case TRACE_TRANSLATION:
        replay->translation = *record;
        replay->told = true;
        return trace_translation_of(record).page_shift >= VMMU_PAGE_SHIFT;
    case TRACE_ENTER: return enter_guest(replay, record);
    case TRACE_EXIT: return leave_guest(replay);
    case TRACE_LOAD_ROOT: replay->common.roots++; return guest_invalidates(replay, record);
    case TRACE_INVLPG: return guest_invalidates(replay, record);
    case TRACE_FLUSH_PAGE: return flush_page(replay, record);
    case TRACE_MARK: return true;
    case TRACE_MERGED: replay->common.accesses[replay->world] += record->value; return true;
    case TRACE_KINDS: break;
    }
    return false;
}

/* --- all of them --- */

struct replay *replay_create(const struct replay_geometry *geometry)
{
    struct replay *const replay = calloc(1, sizeof *replay);
    bool made = replay != NULL;

    if (!made) {
        return NULL;
    }
    replay->pages = calloc(1, sizeof *replay->pages);
    replay->stay = 1;
    made = replay->pages != NULL;
    for (unsigned i = 0; made && i < REPLAY_MODELS; i++) {
        made = make_model(&replay->models[i], (enum replay_tags)i, geometry);
    }
    if (!made) {
        replay_destroy(replay);
        return NULL;
    }
    return replay;
}

void replay_destroy(struct replay *replay)
{
    for (unsigned i = 0; i < REPLAY_MODELS; i++) {
        for (unsigned level = 0; level < 3; level++) {
            free(replay->models[i].memory[level]);
        }
        free(replay->models[i].used);
    }
    free(replay->pages);
    free(replay);
}

const struct replay_common *replay_common(const struct replay *replay)
{
    return &replay->common;
}

const struct replay_counts *replay_counts(const struct replay *replay, enum replay_tags tags)
{
    return &replay->models[tags].counts;
}
