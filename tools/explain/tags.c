/*
 * What processors may keep of the walks, under which tags, and what each event takes away: measured on the library's software
 * TLB, which keeps all that the manuals let a processor keep.
 */
#include <stdlib.h>
#include <vmmu/invalidate.h>
#include <vmmu/tlb.h>

#include "tools/explain/story.h"

#define WAYS            1024
#define OTHER_TAG       1 /* what a hypervisor gives its first guest */
#define ALL_PAGE_SHIFTS BITS64(63, 12)

struct cache {
    struct vmmu_tlb tlb;
    void *memory;
    struct vmmu_x86_tags tags;
    struct vmmu_x86_paging_registers registers; /* of the hardware, while the guest runs */
    unsigned translations;
    unsigned structures;
};

/* --- what is cached --- */

static unsigned shift_of(uint64_t bytes)
{
    return (unsigned)__builtin_ctzll(bytes);
}

static void insert(struct cache *cache, struct vmmu_x86_cache_key key, struct vmmu_tlb_entry entry)
{
    const uint64_t inserts = cache->tlb.statistics.inserts - cache->tlb.statistics.replaced;

    entry.kind = key.kind;
    entry.tag = key.tag;
    entry.base &= ~(BIT64(entry.page_shift) - 1);
    if (vmmu_tlb_insert(&cache->tlb, &entry) == VMMU_OK &&
        cache->tlb.statistics.inserts - cache->tlb.statistics.replaced != inserts) {
        cache->translations += entry.table_level == 0;
        cache->structures += entry.table_level != 0;
    }
}

/* Entries of one stage that lead to tables. */
static void insert_structures(struct cache *cache, struct vmmu_x86_cache_key key, uint64_t address,
                              const struct vmmu_x86_layout *layout, const struct vmmu_x86_step *step)
{
    const struct vmmu_x86_format *format = vmmu_format_of(layout);
    const struct vmmu_x86_level *level = &format->level[step->level];

    if (step->stage == VMMU_X86_STAGE_REGISTER || vmmu_format_is_leaf(level, step->value)) {
        return;
    }
    insert(cache, key,
           (struct vmmu_tlb_entry){ .base = address,
                                    .frame = vmmu_format_table(level, step->value),
                                    .page_shift = level->shift,
                                    .table_level = (uint8_t)(step->level - 1) });
}

static void insert_page(struct cache *cache, struct vmmu_x86_cache_key key, uint64_t address, uint64_t bytes,
                        bool global)
{
    insert(
        cache, key,
        (struct vmmu_tlb_entry){ .base = address, .page_shift = (uint8_t)shift_of(bytes), .global = global });
}

static void fill_native(const struct story *story, struct cache *cache)
{
    const struct vmmu_x86_cache_key key = vmmu_invalidate_linear_key(&cache->tags, story->machine->mode.pcid);

    for (unsigned i = 0; i < story->reached; i++) {
        const struct walk_model *walk = &story->native[i];

        if (walk->status != VMMU_OK) {
            continue;
        }
        for (unsigned e = 0; e < walk->entry_count; e++) {
            insert_structures(cache, key, walk->va, &walk->mode.layout, &walk->entries[e].step);
        }
        insert_page(cache, key, walk->va, walk->guest.page_bytes, walk->guest.global);
    }
}

static void fill_shadow(const struct story *story, struct cache *cache)
{
    const struct vmmu_x86_cache_key key = vmmu_invalidate_linear_key(&cache->tags, 0);

    for (unsigned i = 0; i < story->reached && story->shadow.there; i++) {
        const struct vmmu_x86_walk_result *walk = &story->shadow.again[i].walk;
        const uint64_t va = story->list.pieces[i].linear;

        if (story->shadow.ends[i] != STORY_GOES_ON || walk->step_count == 0) {
            continue;
        }
        for (unsigned s = 0; s < walk->step_count; s++) {
            insert_structures(cache, key, va, &story->shadow.hardware.layout, &walk->steps[s]);
        }
        insert_page(cache, key, va, walk->translation.page_bytes, walk->translation.global);
    }
}

static void fill_guest_physical(struct cache *cache, const struct vmmu_x86_stage2 *second, uint64_t gpa)
{
    const struct vmmu_x86_cache_key key = vmmu_invalidate_guest_physical_key(&cache->tags);
    const struct vmmu_x86_stage2_access access = { .kind = VMMU_X86_READ };
    struct vmmu_x86_stage2_result result;

    if (vmmu_x86_walk_stage2(second, (vmmu_gpa){ gpa }, access, &result) != VMMU_OK) {
        return;
    }
    for (unsigned s = 0; s < result.step_count; s++) {
        insert_structures(cache, key, gpa, &second->layout, &result.steps[s]);
    }
    insert_page(cache, key, gpa, result.translation.page_bytes, false);
}

static void fill_combined(const struct story *story, struct cache *cache,
                          const struct vmmu_x86_stage2 *second, unsigned piece)
{
    const struct vmmu_x86_cache_key key = vmmu_invalidate_linear_key(&cache->tags, story->machine->mode.pcid);
    const uint64_t va = story->list.pieces[piece].linear;
    struct vmmu_x86_nested_result result;

    if (vmmu_x86_walk_nested(&story->machine->mode, second, (vmmu_gva){ va }, story_access(story, piece),
                             &result) != VMMU_OK) {
        return;
    }
    for (unsigned s = 0; s < result.step_count; s++) {
        if (result.steps[s].stage == VMMU_X86_STAGE_GUEST) {
            insert_structures(cache, key, va, &story->machine->mode.layout, &result.steps[s]);
            fill_guest_physical(cache, second, result.steps[s].address);
        }
    }
    fill_guest_physical(cache, second, result.guest.gpa.v);
    insert_page(cache, key, va,
                result.guest.page_bytes < result.host.page_bytes ? result.guest.page_bytes
                                                                 : result.host.page_bytes,
                result.guest.global);
}

/* --- a cache of each technique --- */

static void open_cache(const struct story *story, unsigned technique, bool tagged, struct cache *cache)
{
    const struct vmmu_tlb_config config = {
        .arrays = 1,
        .array = { { .sets = 1,
                     .ways = WAYS,
                     .kinds = VMMU_TLB_KINDS,
                     .translations = true,
                     .structures = true,
                     .page_shifts = ALL_PAGE_SHIFTS } },
    };
    const size_t bytes = vmmu_tlb_memory_bytes(&config);

    *cache = (struct cache){
        .memory = take_memory(1, bytes),
        .registers = story->machine->registers,
        .tags = { .vendor = story->amd ? VMMU_X86_AMD : VMMU_X86_INTEL,
                  .tagged = technique != STORY_NATIVE && (tagged || story->amd),
                  .nested = technique == STORY_NESTED,
                  .stage2 = technique == STORY_NESTED ? story->tags.stage2 : 0 },
    };
    cache->tags.space = cache->tags.tagged ? story->tags.space : 0;
    if (technique == STORY_SHADOW) {
        cache->registers.cr4 &= ~VMMU_X86_CR4_PCIDE;
    }
    if (vmmu_tlb_init(&cache->tlb, &config, cache->memory, bytes) != VMMU_OK) {
        give_up(3, "the software TLB refuses its own configuration");
    }
}

static void fill(const struct story *story, unsigned technique, const struct vmmu_x86_stage2 *second,
                 struct cache *cache)
{
    if (technique == STORY_NATIVE) {
        fill_native(story, cache);
    } else if (technique == STORY_SHADOW) {
        fill_shadow(story, cache);
    } else {
        for (unsigned i = 0; i < story->reached && second; i++) {
            fill_combined(story, cache, second, i);
        }
    }
}

static bool every_entry(void *context, const struct vmmu_tlb_entry *entry)
{
    (void)context, (void)entry;
    return true;
}

static unsigned close_cache(struct cache *cache)
{
    const unsigned left = vmmu_tlb_remove_if(&cache->tlb, every_entry, NULL);

    free(cache->memory);
    return left;
}

/* --- events --- */

enum event {
    EVENT_INVLPG,
    EVENT_MOV_CR3,
    EVENT_MOV_CR3_KEEP,
    EVENT_PGE,
    EVENT_WORLD,
    EVENT_WORLD_UNTAGGED,
    EVENT_FLUSH_TAG,
    EVENT_INVEPT,
    EVENTS,
};

/* The page that INVLPG means: the last access's, which is the instruction's data if it has any. */
static unsigned last_piece(const struct story *story)
{
    return story->reached != 0 ? story->reached - 1 : 0;
}

static bool event_applies(const struct story *story, enum event event, unsigned technique)
{
    switch (event) {
    case EVENT_INVLPG: return story->reached != 0;
    case EVENT_MOV_CR3: return technique != STORY_SHADOW || story->shadow.switches != 0;
    case EVENT_PGE: return technique != STORY_SHADOW;
    case EVENT_MOV_CR3_KEEP: return story->tags.pcids && technique != STORY_SHADOW;
    case EVENT_WORLD:
    case EVENT_WORLD_UNTAGGED:
    case EVENT_FLUSH_TAG: return technique != STORY_NATIVE;
    case EVENT_INVEPT: return technique == STORY_NESTED && !story->amd;
    case EVENTS: break;
    }
    return false;
}

/* A hypervisor that manages no tags has AMD's processors flush all of them, for there is no running without one. */
static struct vmmu_tlb_scopes scopes_of_entry(const struct story *story, const struct cache *cache,
                                              uint8_t control)
{
    struct vmmu_tlb_scopes scopes = { 0 };

    if (!story->amd) {
        return vmmu_invalidate_vm_transition(&cache->tags);
    }
    if (vmmu_invalidate_vmrun(story->tags.space, control, &scopes) != VMMU_OK) {
        scopes.count = 0;
    }
    return scopes;
}

static struct vmmu_tlb_scopes scopes_of_tag(const struct story *story, const struct cache *cache)
{
    const struct vmmu_x86_invalidation operands = { .type = VMMU_X86_INVVPID_CONTEXT,
                                                    .descriptor = { story->tags.space, 0 } };
    struct vmmu_tlb_scopes scopes = { 0 };

    if (story->amd) {
        return scopes_of_entry(story, cache, VMMU_X86_TLB_CONTROL_ASID);
    }
    if (vmmu_invalidate_invvpid(&story->machine->cpu, &operands, &scopes) != VMMU_OK) {
        scopes.count = 0;
    }
    return scopes;
}

/* All guest-physical and combined mappings go, whatever their EPTP. */
static struct vmmu_tlb_scopes scopes_of_invept(const struct story *story)
{
    const struct vmmu_x86_invalidation operands = { .type = VMMU_X86_INVEPT_ALL };
    struct vmmu_tlb_scopes scopes = { 0 };

    if (vmmu_invalidate_invept(&story->machine->cpu, &operands, &scopes) != VMMU_OK) {
        scopes.count = 0;
    }
    return scopes;
}

static struct vmmu_tlb_scopes scopes_of(const struct story *story, const struct cache *cache,
                                        enum event event)
{
    const struct vmmu_x86_paging_registers *now = &cache->registers;

    switch (event) {
    case EVENT_INVLPG:
        return vmmu_invalidate_invlpg(
            &cache->tags, now, (vmmu_gva){ story->list.pieces[last_piece(story)].linear }, VMMU_PAGE_BYTES);
    case EVENT_MOV_CR3: return vmmu_invalidate_mov_cr3(&cache->tags, now, now->cr3);
    case EVENT_MOV_CR3_KEEP:
        return vmmu_invalidate_mov_cr3(&cache->tags, now, now->cr3 | VMMU_X86_CR3_NO_FLUSH);
    case EVENT_PGE: return vmmu_invalidate_cr4(&cache->tags, now, now->cr4 ^ VMMU_X86_CR4_PGE);
    case EVENT_WORLD: return scopes_of_entry(story, cache, VMMU_X86_TLB_CONTROL_NOTHING);
    case EVENT_WORLD_UNTAGGED: return scopes_of_entry(story, cache, VMMU_X86_TLB_CONTROL_ALL);
    case EVENT_FLUSH_TAG: return scopes_of_tag(story, cache);
    case EVENT_INVEPT: return scopes_of_invept(story);
    case EVENTS: break;
    }
    return (struct vmmu_tlb_scopes){ 0 };
}

static unsigned left_after(const struct story *story, enum event event, unsigned technique,
                           const struct vmmu_x86_stage2 *second)
{
    struct cache cache;

    open_cache(story, technique, event != EVENT_WORLD_UNTAGGED, &cache);
    fill(story, technique, second, &cache);
    if (event == EVENT_MOV_CR3 && technique == STORY_SHADOW) {
        /* It exits; the hypervisor loads a root with a tag of its own, and flushes what the library says. */
        return story->shadow.switch_flushes != 0 ? (close_cache(&cache), 0) : close_cache(&cache);
    }
    const struct vmmu_tlb_scopes scopes = scopes_of(story, &cache, event);

    vmmu_tlb_invalidate(&cache.tlb, &scopes);
    return close_cache(&cache);
}

static const char *event_words(const struct story *story, enum event event)
{
    switch (event) {
    case EVENT_INVLPG: return "INVLPG of the last page";
    case EVENT_MOV_CR3: return "MOV CR3, same value";
    case EVENT_MOV_CR3_KEEP: return "MOV CR3 with bit 63";
    case EVENT_PGE: return "CR4.PGE changed";
    case EVENT_WORLD: return "exit and entry, tagged";
    case EVENT_WORLD_UNTAGGED: return story->amd ? "entry, all ASIDs flushed" : "exit and entry, no VPID";
    case EVENT_FLUSH_TAG: return story->amd ? "entry, this ASID flushed" : "INVVPID of the VPID";
    case EVENT_INVEPT: return "INVEPT";
    case EVENTS: break;
    }
    return "";
}

static void add_event(struct story *story, enum event event, const struct vmmu_x86_stage2 *second)
{
    struct story_event *out = &story->tags.events[story->tags.event_count];
    bool any = false;

    out->words = event_words(story, event);
    for (unsigned technique = 0; technique < STORY_TECHNIQUES; technique++) {
        out->applies[technique] = event_applies(story, event, technique);
        any = any || out->applies[technique];
        if (out->applies[technique]) {
            out->left[technique] = left_after(story, event, technique, second);
        }
    }
    story->tags.event_count += any;
}

/* --- everything --- */

static void take_tags(struct story *story)
{
    const struct machine *machine = story->machine;
    struct story_tags *tags = &story->tags;

    tags->pcids = (machine->registers.cr4 & VMMU_X86_CR4_PCIDE) != 0;
    tags->pcid = machine->mode.pcid;
    tags->global_pages = machine->mode.global_pages;
    tags->space = machine->vp && machine->vp->tag != 0 ? machine->vp->tag : OTHER_TAG;
    for (unsigned i = 0; i < story->reached; i++) {
        tags->globals += story->native[i].status == VMMU_OK && story->native[i].guest.global;
    }
}

static void tell(struct story *story, const struct vmmu_x86_stage2 *second)
{
    if (second && !story->amd) {
        story->tags.stage2 = second->root.v;
    }
    for (unsigned technique = 0; technique < STORY_TECHNIQUES; technique++) {
        struct cache cache;

        open_cache(story, technique, true, &cache);
        fill(story, technique, second, &cache);
        story->tags.translations[technique] = cache.translations;
        story->tags.structures[technique] = cache.structures;
        close_cache(&cache);
    }
    for (enum event event = 0; event < EVENTS; event++) {
        add_event(story, event, second);
    }
}

void story_tell_tags(struct story *story)
{
    const struct machine *machine = story->machine;
    const struct engine_nested_options options = {
        .format = story->amd ? VMMU_NESTED_NPT : VMMU_NESTED_EPT,
    };
    struct engine_memory *memory;
    struct engine_nested *engine;
    struct complaint complaint;

    take_tags(story);
    if (machine->has_second) {
        tell(story, &machine->second);
        return;
    }
    memory = engine_memory_over(machine->ram, machine->ranges, machine->range_count);
    engine = engine_nested_open(memory, &options, &complaint);
    tell(story, engine ? engine_nested_second(engine) : NULL);
    engine_nested_close(engine);
    engine_memory_free(memory);
}
