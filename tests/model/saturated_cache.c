#include "tests/model/saturated_cache.h"

#include <stdlib.h>
#include <string.h>

static const struct vmmu_x86_mode *mode_of(const struct saturated_cache *cache)
{
    return reference_mode(cache->reference, 0);
}

uint16_t saturated_context(const struct saturated_cache *cache)
{
    return cache->space != 0 ? cache->space : mode_of(cache)->pcid;
}

static bool is_same(const struct saturated_entry *a, const struct saturated_entry *b)
{
    return a->pcid == b->pcid && a->root == b->root && a->level == b->level && a->global == b->global &&
           a->dirty == b->dirty && a->key == b->key && a->region == b->region && a->target == b->target &&
           a->grants == b->grants && a->rights == b->rights;
}

static void add(struct saturated_cache *cache, const struct saturated_entry *entry)
{
    for (unsigned i = 0; i < cache->count; i++) {
        if (is_same(&cache->entry[i], entry)) {
            return;
        }
    }
    if (cache->count == SATURATED_ENTRIES) {
        abort();
    }
    cache->entry[cache->count++] = *entry;
}

/* Where a walk stands: before it reads the entry of `level` in `table`. */
struct place {
    unsigned level;
    uint64_t table;
    uint64_t grants;
};

/* The place at which a walk with nothing cached begins; false if a PDPTE register is not present. */
static bool root_place(const struct saturated_cache *cache, uint64_t address, struct place *place)
{
    const struct vmmu_x86_mode *mode = mode_of(cache);
    const unsigned levels = vmmu_format_of(&mode->layout)->levels;

    *place = (struct place){ levels, mode->root.v, ~UINT64_C(0) };
    if (mode->paging == VMMU_X86_PAGING_PAE && !mode->pdpte_in_memory) {
        const uint64_t pdpte = mode->pdpte[(address >> 30) & 3];

        *place = (struct place){ 2, pdpte & BITS64(51, 12), ~UINT64_C(0) };
        return (pdpte & 1) != 0;
    }
    return true;
}

/* What stands there. */
struct found {
    uint64_t entry;
    const struct vmmu_x86_level *level;
    bool present;
    bool refused;
    bool leaf;
    bool accessed;
    bool dirty;
    uint64_t grants;
};

static struct found look(const struct saturated_cache *cache, uint64_t address, const struct place *place)
{
    const struct vmmu_x86_layout *layout = &mode_of(cache)->layout;
    const struct vmmu_x86_format *format = vmmu_format_of(layout);
    const struct vmmu_x86_level *level = &format->level[place->level];
    const uint64_t at = place->table + (uint64_t)vmmu_format_index(level, address) * format->entry_bytes;
    const uint64_t entry = reference_load(cache->reference, at, format->entry_bytes);
    const bool leaf = vmmu_format_is_leaf(level, entry);

    return (struct found){
        .entry = entry,
        .level = level,
        .present = (entry & 1) != 0,
        .refused = vmmu_format_is_refused(layout, place->level, leaf, entry),
        .leaf = leaf,
        .accessed = (entry & level->accessed) == level->accessed,
        .dirty = (entry & level->dirty) == level->dirty,
        .grants = place->grants & vmmu_format_grants(format, level, entry),
    };
}

static struct saturated_entry translation_of(const struct saturated_cache *cache, uint64_t address,
                                             const struct found *found)
{
    const struct vmmu_x86_mode *mode = mode_of(cache);
    const struct vmmu_x86_format *format = vmmu_format_of(&mode->layout);
    const uint64_t offset = address & (vmmu_format_level_bytes(found->level) - 1) & ~(VMMU_PAGE_BYTES - 1);
    struct saturated_entry entry;

    memset(&entry, 0, sizeof(entry));
    entry.pcid = saturated_context(cache);
    entry.root = mode->root.v;
    entry.global = mode->global_pages && (found->entry & BIT64(8));
    entry.dirty = found->dirty;
    entry.key = (uint8_t)vmmu_format_key(format, found->entry);
    entry.region = address >> 12;
    entry.target = vmmu_format_frame(found->level, found->entry) | offset;
    entry.rights = vmmu_format_rights(format, found->grants);
    return entry;
}

/* Read the entry at @place, and keep what it gives. */
static void extend(struct saturated_cache *cache, uint64_t address, const struct place *place)
{
    const struct found found = look(cache, address, place);
    struct saturated_entry entry;

    if (!found.present || found.refused || !found.accessed) {
        return;
    }
    if (found.leaf) {
        entry = translation_of(cache, address, &found);
    } else {
        memset(&entry, 0, sizeof(entry));
        entry.pcid = saturated_context(cache);
        entry.root = mode_of(cache)->root.v;
        entry.level = (uint8_t)place->level;
        entry.region = address >> found.level->shift;
        entry.target = vmmu_format_table(found.level, found.entry);
        entry.grants = found.grants;
    }
    add(cache, &entry);
}

/* Whether @entry is a table entry of @level that leads to @address and may be used now. */
static bool leads(const struct saturated_cache *cache, const struct saturated_entry *entry, uint64_t address,
                  unsigned level)
{
    const struct vmmu_x86_mode *mode = mode_of(cache);

    return level != 0 && entry->level == level && entry->pcid == saturated_context(cache) &&
           entry->region == address >> vmmu_format_of(&mode->layout)->level[level].shift;
}

/* Read what the kept table entries of @level lead to. */
static void extend_kept(struct saturated_cache *cache, uint64_t address, unsigned level)
{
    for (unsigned each = 0; each < cache->count; each++) {
        const struct saturated_entry *entry = &cache->entry[each];
        const struct place place = { level - 1, entry->target, entry->grants };

        if (leads(cache, entry, address, level)) {
            extend(cache, address, &place);
        }
    }
}

void saturated_fill(struct saturated_cache *cache)
{
    if (mode_of(cache)->paging == VMMU_X86_PAGING_NONE) {
        return;
    }
    for (unsigned i = 0; i < SATURATED_ADDRESSES; i++) {
        const uint64_t address = cache->address[i];
        struct place root;

        if (root_place(cache, address, &root)) {
            extend(cache, address, &root);
        }
        for (unsigned level = VMMU_X86_MAX_LEVELS; level >= 2; level--) {
            extend_kept(cache, address, level);
        }
    }
}

static bool leads_there(const struct saturated_removal *removal, const struct saturated_entry *entry,
                        unsigned shift)
{
    const bool to_range = entry->region >= removal->first >> shift && entry->region <= removal->last >> shift;

    return removal->structures || (removal->structures_of_path && removal->path >> shift == entry->region) ||
           (removal->structures_of_range && to_range);
}

static bool is_removed(const struct saturated_cache *cache, const struct saturated_removal *removal,
                       const struct saturated_entry *entry)
{
    const bool in_pcid = removal->every_pcid || removal->pcid == entry->pcid;

    if (removal->of_root && removal->root != entry->root) {
        return false;
    }
    if (entry->level != 0) {
        const unsigned shift = vmmu_format_of(&mode_of(cache)->layout)->level[entry->level].shift;

        return in_pcid && leads_there(removal, entry, shift);
    }
    if (entry->region << 12 < (removal->first & ~UINT64_C(0xfff)) || entry->region << 12 > removal->last) {
        return false;
    }
    return entry->global ? removal->globals || (removal->globals_of_pcid && in_pcid) : in_pcid;
}

void saturated_remove(struct saturated_cache *cache, const struct saturated_removal *removal)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < cache->count; i++) {
        if (!is_removed(cache, removal, &cache->entry[i])) {
            cache->entry[kept++] = cache->entry[i];
        }
    }
    cache->count = kept;
}

/* --- results --- */

struct results {
    const struct saturated_cache *cache;
    const struct reference_access *access;
    bool faults; /* may be raised by what is looked at: AMD raises those of a fresh walk only */
    struct reference_result *result;
    unsigned count;
};

static void add_result(struct results *results, const struct reference_result *result)
{
    for (unsigned i = 0; i < results->count; i++) {
        const struct reference_result *known = &results->result[i];

        if (known->end == result->end && known->gpa == result->gpa &&
            known->fault.error_code == result->fault.error_code) {
            return;
        }
    }
    if (results->count == REFERENCE_RESULTS) {
        abort();
    }
    results->result[results->count++] = *result;
}

static void add_fault(struct results *results, uint32_t error_code)
{
    add_result(results, &(struct reference_result){ .end = END_FAULTS,
                                                    .fault = { .vector = VMMU_X86_VECTOR_PF,
                                                               .has_error_code = true,
                                                               .error_code = error_code,
                                                               .cr2 = results->access->address } });
}

/* A page of @rights at @gpa. @usable: marks are no obstacle. */
static void add_page(struct results *results, uint8_t rights, unsigned key, uint64_t gpa, bool usable)
{
    const struct vmmu_x86_mode *mode = mode_of(results->cache);
    const bool fetch = results->access->access.kind == VMMU_X86_EXECUTE;

    for (unsigned enforced = 0; enforced < 2; enforced++) {
        /* An XD that was read under EFER.NXE, which is clear now. */
        const uint8_t counted = enforced || mode->nx || !fetch ? rights : rights | VMMU_X86_RIGHT_EXECUTE;
        const uint32_t error_code = vmmu_walk_judge(mode, results->access->access, counted, key);

        if (error_code != 0 && results->faults) {
            add_fault(results, error_code);
        } else if (error_code == 0 && usable) {
            add_result(results, &(struct reference_result){ .end = END_REACHES, .gpa = gpa });
        }
    }
}

static uint32_t code_of_access(const struct results *results)
{
    const struct vmmu_x86_access *access = &results->access->access;
    const bool fetch = access->kind == VMMU_X86_EXECUTE && mode_of(results->cache)->fetch_code;

    return (access->kind == VMMU_X86_WRITE ? VMMU_X86_PF_WRITE : 0) | (access->user ? VMMU_X86_PF_USER : 0) |
           (fetch ? VMMU_X86_PF_FETCH : 0);
}

/* Walk on from @place, everything below read now. */
static void walk_from(struct results *results, struct place place)
{
    const struct saturated_cache *cache = results->cache;
    const uint64_t address = results->access->address;
    const struct vmmu_x86_format *format = vmmu_format_of(&mode_of(cache)->layout);

    for (;; place.level--) {
        const struct found found = look(cache, address, &place);

        if (!found.present || found.refused) {
            if (results->faults) {
                add_fault(results, code_of_access(results) | (found.present ? 9 : 0));
            }
            return;
        }
        if (found.leaf) {
            const uint64_t offset = address & (vmmu_format_level_bytes(found.level) - 1);

            add_page(results, vmmu_format_rights(format, found.grants), vmmu_format_key(format, found.entry),
                     vmmu_format_frame(found.level, found.entry) | offset, true);
            return;
        }
        place.table = vmmu_format_table(found.level, found.entry);
        place.grants = found.grants;
    }
}

/* What a walk with nothing cached gives. */
static void add_fresh(struct results *results)
{
    struct place root;

    if (root_place(results->cache, results->access->address, &root)) {
        walk_from(results, root);
    } else {
        add_fault(results, code_of_access(results));
    }
}

unsigned saturated_results(const struct saturated_cache *cache, const struct reference_access *access,
                           struct reference_result found[REFERENCE_RESULTS])
{
    struct results results = { .cache = cache, .access = access, .faults = true, .result = found };
    const uint64_t address = access->address;

    add_fresh(&results);
    results.faults = cache->intel;
    for (unsigned i = 0; i < cache->count; i++) {
        const struct saturated_entry *entry = &cache->entry[i];
        const bool clean = access->access.kind == VMMU_X86_WRITE && !entry->dirty;

        if (entry->level != 0 && leads(cache, entry, address, entry->level)) {
            walk_from(&results, (struct place){ entry->level - 1U, entry->target, entry->grants });
        }
        if (entry->level == 0 && entry->region == address >> 12 &&
            (entry->global || entry->pcid == saturated_context(cache))) {
            add_page(&results, entry->rights, entry->key, entry->target | (address & 0xfff), !clean);
        }
    }
    return results.count;
}
