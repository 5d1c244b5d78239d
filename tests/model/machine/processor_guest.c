/*
 * The guest's own stage, as an adversary walks it: from the root, or from any link to a table that is kept.
 *
 * Entries are marked as soon as they are found sound, and then only is anything kept of them. Under a second
 * stage, each table is reached through it; a link that is kept knows where the host had put the table.
 *
 * Spec: SDM 3A "Paging", "Caching Translation Information", "Accessed and Dirty Flags"; APM 2 "Page
 * Translation and Protection".
 */
#include "tests/model/machine/processor_internal.h"

/* One walk: where the next entry is to be read. */
struct descent {
    const struct vmmu_x86_format *format;
    uint64_t table; /* as the guest's entry above, or CR3, or a link that is kept, has it */
    uint8_t level;
    uint8_t rights;   /* of what lies above */
    bool linked;      /* `table` was read from a table just now: the link may be kept */
    bool placed;      /* nested: `place` is known, from a link that is kept */
    uint64_t place;   /* nested: where the table is */
    struct facts way; /* what the second stage says of the table */
    struct origin origin;

    /* The entry that is being read. */
    uint64_t address; /* as `table` is one */
    uint64_t at;      /* where it is in memory */
    uint64_t value;
    bool by_host; /* it stands in a table of the host's */
};

/* --- rights and faults --- */

uint32_t crossing_judge(struct crossing *crossing, const struct facts *facts)
{
    const struct vmmu_x86_mode *mode = &crossing->state->mode;
    uint8_t rights = facts->rights;

    if (!mode->nx && luck_once_in(crossing->luck, 2)) {
        /* What is kept from a time when XD counted may still be enforced, or not. */
        rights |= VMMU_X86_RIGHT_EXECUTE;
    }
    return vmmu_walk_judge(mode, crossing->access, rights, facts->key);
}

enum progress crossing_page_fault(struct crossing *crossing, uint32_t error_code)
{
    crossing->result.end = PROCESSOR_GUEST_FAULT;
    crossing->result.fault = (struct vmmu_x86_fault){
        .vector = VMMU_X86_VECTOR_PF,
        .has_error_code = true,
        .error_code = error_code,
        .cr2 = crossing->va,
    };
    return ENDED;
}

static enum progress protection_fault(struct crossing *crossing)
{
    crossing->result.end = PROCESSOR_GUEST_FAULT;
    crossing->result.fault = (struct vmmu_x86_fault){ .vector = VMMU_X86_VECTOR_GP, .has_error_code = true };
    return ENDED;
}

/* An entry is not present, or has a reserved bit set. */
static enum progress bad_entry(struct crossing *crossing, uint32_t reason)
{
    const struct vmmu_x86_access access = crossing->access;
    uint32_t code = reason;

    code |= access.kind == VMMU_X86_WRITE ? VMMU_X86_PF_WRITE : 0;
    code |= access.user && !access.implicit ? VMMU_X86_PF_USER : 0;
    code |= access.kind == VMMU_X86_EXECUTE && crossing->state->mode.fetch_code ? VMMU_X86_PF_FETCH : 0;
    return crossing_page_fault(crossing, code);
}

/* --- where a walk begins --- */

static bool has_pdpte_registers(const struct vmmu_x86_mode *mode)
{
    return mode->paging == VMMU_X86_PAGING_PAE && !mode->pdpte_in_memory;
}

static void resume(struct crossing *crossing, struct descent *descent, const struct vmmu_tlb_entry *entry)
{
    const struct facts facts = cache_facts(entry);

    crossing->cached = true;
    descent->level = entry->table_level;
    descent->rights = facts.rights;
    descent->table = entry->frame;
    if (crossing->state->nested) {
        descent->origin = *cache_origin(crossing->processor, entry);
        descent->table = descent->origin.page[descent->origin.count - 1];
        descent->placed = true;
        descent->place = entry->frame;
        descent->way = facts;
    }
}

static enum progress begin(struct crossing *crossing, struct descent *descent)
{
    const struct vmmu_x86_mode *mode = &crossing->state->mode;
    const uint8_t levels = descent->format->levels;
    const uint8_t top = has_pdpte_registers(mode) ? levels - 1 : levels;
    struct vmmu_tlb_entry entry;

    descent->level = top;
    descent->table = mode->root.v;
    descent->rights = VMMU_X86_RIGHTS_ALL;
    if (cache_find_link(crossing, &crossing->linear, crossing->va, top, &entry)) {
        resume(crossing, descent, &entry);
    } else if (has_pdpte_registers(mode)) {
        const struct vmmu_x86_level *level = &descent->format->level[levels];
        const uint64_t pdpte = mode->pdpte[vmmu_format_index(level, crossing->va)];

        if (!vmmu_format_is_present(descent->format, pdpte)) {
            return bad_entry(crossing, 0);
        }
        descent->table = vmmu_format_table(level, pdpte);
    }
    return PROGRESS;
}

/* --- reaching an entry --- */

/* The table is known to the second stage: say so in the walk's origin, and keep the link to it. */
static void enter_table(struct crossing *crossing, struct descent *descent)
{
    const bool nested = crossing->state->nested;

    if (nested) {
        VMMU_ASSERT(descent->origin.count < ORIGIN_PAGES);
        descent->origin.page[descent->origin.count++] = descent->table & ~(VMMU_PAGE_BYTES - 1);
    }
    if (descent->linked) {
        struct kept kept = {
            .key = &crossing->linear,
            .address = crossing->va,
            .frame = nested ? descent->place : descent->table,
            .shift = descent->format->level[descent->level + 1].shift,
            .table_level = descent->level,
            .facts = descent->way,
            .origin = nested ? &descent->origin : NULL,
        };

        kept.facts.rights = descent->rights;
        kept.facts.level = 0;
        cache_keep_link(crossing, &kept);
    }
}

/* Find where the entry at descent->address is. */
static enum progress reach(struct crossing *crossing, struct descent *descent)
{
    const struct vmmu_x86_stage2_access access = { .kind = VMMU_X86_READ, .guest_table = true };
    const struct processor_witness *witness = &crossing->processor->witness;
    struct landing landing;

    descent->at = descent->address;
    if (!crossing->state->nested) {
        enter_table(crossing, descent);
        return PROGRESS;
    }
    if (descent->placed) {
        descent->placed = false;
        descent->at = descent->place + (descent->address - descent->table);
        witness->used(witness->context, descent->address, crossing->state->stage2.tables_as_written);
        return PROGRESS;
    }
    const enum progress progress = second_translate(crossing, descent->address, access, &landing);

    if (progress == PROGRESS) {
        descent->at = landing.hpa;
        descent->place = landing.hpa - (descent->address - descent->table);
        descent->way = landing.facts;
        enter_table(crossing, descent);
    }
    return progress;
}

static bool is_table_memory(const struct crossing *crossing, enum memory_owner owner)
{
    const struct guest_state *state = crossing->state;

    if (state->host_tables) {
        return owner == OWNER_TABLES;
    }
    return owner == OWNER_GUEST || (owner == OWNER_TABLES && !state->nested);
}

/* --- marking --- */

/* Find where to write the mark of the entry: @at is where it was read. */
static enum progress reach_to_mark(struct crossing *crossing, const struct descent *descent, uint64_t *at)
{
    const struct vmmu_x86_stage2_access access = { .kind = VMMU_X86_WRITE, .guest_table = true };
    const struct processor_witness *witness = &crossing->processor->witness;
    struct landing landing;

    if (!crossing->state->nested) {
        return PROGRESS;
    }
    if ((descent->way.host_rights & VMMU_X86_RIGHT_WRITE) && descent->way.host_dirty) {
        witness->used(witness->context, descent->address, true);
        return PROGRESS;
    }
    const enum progress progress = second_translate(crossing, descent->address, access, &landing);

    if (progress == PROGRESS) {
        *at = landing.hpa;
    }
    return progress;
}

/* Set @bits in the entry, if it is still what was read. */
static enum progress mark(struct crossing *crossing, struct descent *descent, uint64_t bits)
{
    struct memory *memory = crossing->processor->memory;
    const struct processor_witness *witness = &crossing->processor->witness;
    const uint8_t width_bytes = descent->format->entry_bytes;
    uint64_t at = descent->at;

    if ((bits & ~descent->value) == 0) {
        return PROGRESS;
    }
    const enum progress progress = reach_to_mark(crossing, descent, &at);

    if (progress != PROGRESS) {
        return progress;
    }
    if (!is_table_memory(crossing, memory_owner_of(memory, at))) {
        return crossing_strays(crossing, at);
    }
    if (memory_load(memory, at, width_bytes) != descent->value) {
        return RACED;
    }
    descent->value |= bits;
    memory_store(memory, at, width_bytes, descent->value);
    witness->marked(witness->context, at, width_bytes, descent->value);
    return PROGRESS;
}

/* --- the walk --- */

/* The entry is the leaf: judge, mark, describe. */
static enum progress arrive(struct crossing *crossing, struct descent *descent, struct arrival *out)
{
    const struct vmmu_x86_format *format = descent->format;
    const struct vmmu_x86_level *level = &format->level[descent->level];
    const uint64_t value = descent->value;
    const bool written = crossing->access.kind == VMMU_X86_WRITE;

    *out = (struct arrival){
        .gpa = vmmu_format_frame(level, value) | (crossing->va & (vmmu_format_level_bytes(level) - 1)),
        .shift = level->shift,
        .global = crossing->state->mode.global_pages && (value & format->global) != 0,
        .by_host = descent->by_host,
        .facts = {
            .rights = descent->rights,
            .host_rights = VMMU_X86_RIGHTS_ALL,
            .key = (uint8_t)vmmu_format_key(format, value),
            .level = descent->level,
            .type = (uint8_t)vmmu_format_pat_index(format, level, value),
            .host_dirty = true,
        },
        .origin = descent->origin,
    };
    if (!crossing->speculative) {
        const uint32_t error_code = crossing_judge(crossing, &out->facts);

        if (error_code != 0) {
            return crossing_page_fault(crossing, error_code);
        }
    }
    const enum progress progress = mark(crossing, descent, level->accessed | (written ? level->dirty : 0));

    out->facts.dirty = (descent->value & level->dirty) != 0;
    return progress;
}

/* How often a speculation gives up at each level. */
#define GIVES_UP_ONCE_IN 8

/* Read the next entry. */
static enum progress read_entry(struct crossing *crossing, struct descent *descent)
{
    const struct vmmu_x86_format *format = descent->format;
    const unsigned index = vmmu_format_index(&format->level[descent->level], crossing->va);

    descent->address = descent->table + (uint64_t)index * format->entry_bytes;
    const enum progress progress = reach(crossing, descent);

    if (progress != PROGRESS) {
        return progress;
    }
    if (crossing->speculative && luck_once_in(crossing->luck, GIVES_UP_ONCE_IN)) {
        return ENDED;
    }
    const enum memory_owner owner = memory_owner_of(crossing->processor->memory, descent->at);

    if (!is_table_memory(crossing, owner)) {
        return crossing_strays(crossing, descent->at);
    }
    descent->value = memory_load(crossing->processor->memory, descent->at, format->entry_bytes);
    descent->by_host = owner == OWNER_TABLES;
    return PROGRESS;
}

static enum progress descend(struct crossing *crossing, struct descent *descent, struct arrival *out)
{
    const struct vmmu_x86_layout *layout = &crossing->state->mode.layout;
    const struct vmmu_x86_format *format = descent->format;

    for (;; descent->level--) {
        const struct vmmu_x86_level *level = &format->level[descent->level];
        enum progress progress = read_entry(crossing, descent);
        const uint64_t value = descent->value;
        const bool leaf = vmmu_format_is_leaf(level, value);

        if (progress != PROGRESS) {
            return progress;
        }
        if (!vmmu_format_is_present(format, value)) {
            return bad_entry(crossing, 0);
        }
        if (vmmu_format_is_refused(layout, descent->level, leaf, value)) {
            return bad_entry(crossing, VMMU_X86_PF_PRESENT | VMMU_X86_PF_RESERVED);
        }
        descent->rights &= vmmu_format_rights(format, vmmu_format_grants(format, level, value));
        if (leaf) {
            return arrive(crossing, descent, out);
        }
        progress = mark(crossing, descent, level->accessed);
        if (progress != PROGRESS) {
            return progress;
        }
        descent->table = vmmu_format_table(level, value);
        descent->linked = true;
    }
}

/* Paging is off: linear addresses are physical ones. */
static void arrive_flat(const struct crossing *crossing, struct arrival *out)
{
    *out = (struct arrival){
        .gpa = crossing->va,
        .shift = 32,
        .facts = { .rights = VMMU_X86_RIGHTS_ALL,
                   .host_rights = VMMU_X86_RIGHTS_ALL,
                   .dirty = true,
                   .host_dirty = true },
    };
}

enum progress guest_walk(struct crossing *crossing, struct arrival *out)
{
    const struct vmmu_x86_mode *mode = &crossing->state->mode;
    struct descent descent = { .way = { .host_rights = VMMU_X86_RIGHTS_ALL, .host_dirty = true } };

    if (mode->paging == VMMU_X86_PAGING_NONE) {
        arrive_flat(crossing, out);
        return PROGRESS;
    }
    if (!vmmu_walk_is_canonical(mode, (vmmu_gva){ crossing->va })) {
        return protection_fault(crossing);
    }
    descent.format = vmmu_format_of(&mode->layout);
    const enum progress progress = begin(crossing, &descent);

    return progress == PROGRESS ? descend(crossing, &descent, out) : progress;
}
