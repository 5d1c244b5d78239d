/*
 * The second stage, as an adversary walks it.
 *
 * A guest-physical address is translated by a mapping that is kept, or by a walk from the root or from any
 * link to a table that is kept. To NPT every access is a user's; NPT, and EPT with accessed and dirty flags,
 * take an access to a guest's table for a write, so that it makes the page dirty.
 *
 * Spec: SDM 3C "EPT Translation Mechanism", "Accessed and Dirty Flags for EPT", "Creating and Using Cached
 * Translation Information"; APM 2 "Nested Paging".
 */
#include "tests/model/machine/processor_internal.h"

/* One walk. */
struct climb {
    const struct vmmu_x86_format *format;
    uint64_t gpa;
    struct vmmu_x86_stage2_access access;
    enum vmmu_x86_access_kind kind; /* what the access counts as */
    uint64_t table;
    uint8_t level;
    uint8_t rights; /* of what lies above */
};

static enum vmmu_x86_access_kind counts_as(const struct vmmu_x86_stage2 *stage2,
                                           struct vmmu_x86_stage2_access access)
{
    return access.guest_table && stage2->tables_as_written ? VMMU_X86_WRITE : access.kind;
}

static bool grants(const struct vmmu_x86_stage2 *stage2, enum vmmu_x86_access_kind kind, uint8_t rights)
{
    const uint8_t user = stage2->kind == VMMU_X86_STAGE2_NPT ? VMMU_X86_RIGHT_USER : 0;
    uint8_t needed = VMMU_X86_RIGHT_READ;

    if (kind == VMMU_X86_WRITE) {
        needed = VMMU_X86_RIGHT_WRITE;
    } else if (kind == VMMU_X86_EXECUTE) {
        needed = VMMU_X86_RIGHT_EXECUTE;
    }
    return (rights & (needed | user)) == (needed | user);
}

/* --- refusals, as VM exits tell of them --- */

static uint64_t exitinfo1(const struct vmmu_x86_stage2 *stage2, enum vmmu_x86_access_kind kind,
                          const struct vmmu_x86_stage2_fault *fault)
{
    uint64_t code = VMMU_X86_PF_USER; /* every access of a guest is one of a user */

    code |= kind == VMMU_X86_WRITE ? VMMU_X86_PF_WRITE : 0;
    code |= kind == VMMU_X86_EXECUTE && stage2->fetch_code ? VMMU_X86_PF_FETCH : 0;
    code |= fault->reason == VMMU_X86_STAGE2_NOT_PRESENT ? 0 : VMMU_X86_PF_PRESENT;
    code |= fault->reason == VMMU_X86_STAGE2_RESERVED ? VMMU_X86_PF_RESERVED : 0;
    return code | (fault->access.guest_table ? VMMU_X86_NPF_GUEST_TABLE : VMMU_X86_NPF_FINAL);
}

static uint64_t qualification(enum vmmu_x86_access_kind kind, const struct vmmu_x86_stage2_fault *fault)
{
    const enum vmmu_x86_access_kind asked = fault->access.kind;
    uint64_t bits = VMMU_X86_EPT_VIOLATION_LINEAR;

    bits |= asked == VMMU_X86_READ ? VMMU_X86_EPT_VIOLATION_READ : 0;
    bits |= asked == VMMU_X86_WRITE || kind == VMMU_X86_WRITE ? VMMU_X86_EPT_VIOLATION_WRITE : 0;
    bits |= asked == VMMU_X86_EXECUTE ? VMMU_X86_EPT_VIOLATION_FETCH : 0;
    bits |= (fault->rights & VMMU_X86_RIGHT_READ) ? VMMU_X86_EPT_VIOLATION_READABLE : 0;
    bits |= (fault->rights & VMMU_X86_RIGHT_WRITE) ? VMMU_X86_EPT_VIOLATION_WRITABLE : 0;
    bits |= (fault->rights & VMMU_X86_RIGHT_EXECUTE) ? VMMU_X86_EPT_VIOLATION_EXECUTABLE : 0;
    return bits | (fault->access.guest_table ? 0 : VMMU_X86_EPT_VIOLATION_FINAL);
}

/* @rights and @level: of the leaf, or of what lies above the entry that refused. */
static enum progress refuse(struct crossing *crossing, const struct climb *climb,
                            enum vmmu_x86_stage2_reason reason)
{
    const struct vmmu_x86_stage2 *stage2 = &crossing->state->stage2;
    struct vmmu_x86_stage2_fault *fault = &crossing->result.stage2;

    crossing->result.end = PROCESSOR_STAGE2;
    *fault = (struct vmmu_x86_stage2_fault){
        .gpa = { climb->gpa },
        .reason = reason,
        .access = climb->access,
        .level = climb->level,
        .rights = reason == VMMU_X86_STAGE2_NOT_PRESENT ? 0 : climb->rights,
    };
    fault->access.marks = VMMU_X86_MARKS_AS_IT_GOES;
    if (stage2->kind == VMMU_X86_STAGE2_NPT) {
        fault->exitinfo1 = exitinfo1(stage2, climb->kind, fault);
    } else if (reason != VMMU_X86_STAGE2_MISCONFIGURED) {
        fault->qualification = qualification(climb->kind, fault);
    }
    return ENDED;
}

/* The same for what is kept. */
static enum progress refuse_by_facts(struct crossing *crossing, uint64_t gpa,
                                     struct vmmu_x86_stage2_access access, const struct facts *facts)
{
    const struct climb climb = {
        .gpa = gpa,
        .access = access,
        .kind = counts_as(&crossing->state->stage2, access),
        .level = facts->level,
        .rights = facts->host_rights,
    };

    return refuse(crossing, &climb, VMMU_X86_STAGE2_RIGHTS);
}

enum progress second_refuse_final(struct crossing *crossing, uint64_t gpa, const struct facts *facts)
{
    return refuse_by_facts(crossing, gpa, (struct vmmu_x86_stage2_access){ .kind = crossing->access.kind },
                           facts);
}

bool second_allows(const struct crossing *crossing, const struct facts *facts)
{
    return grants(&crossing->state->stage2, crossing->access.kind, facts->host_rights);
}

bool second_must_mark(const struct crossing *crossing, const struct facts *facts)
{
    return crossing->state->stage2.accessed_dirty && crossing->access.kind == VMMU_X86_WRITE &&
           !facts->host_dirty;
}

/* --- what is kept --- */

/*
 * A translation that is kept serves the access, or refuses it for good (ENDED), or another way must be found
 * (RACED).
 */
static enum progress land_by_facts(struct crossing *crossing, const struct climb *climb,
                                   const struct vmmu_tlb_entry *entry, struct landing *out)
{
    const struct vmmu_x86_stage2 *stage2 = &crossing->state->stage2;
    const bool judged = !crossing->speculative || climb->access.guest_table;
    const bool intel = crossing->state->tags.vendor == VMMU_X86_INTEL;

    out->facts = cache_facts(entry);
    out->shift = entry->page_shift;
    out->hpa = entry->frame + (climb->gpa - entry->base);
    if (judged && !grants(stage2, climb->kind, out->facts.host_rights)) {
        if (!intel || luck_once_in(crossing->luck, 2)) {
            return RACED;
        }
        crossing->cached = true;
        return refuse_by_facts(crossing, climb->gpa, climb->access, &out->facts);
    }
    if (climb->kind == VMMU_X86_WRITE && stage2->accessed_dirty && !out->facts.host_dirty) {
        return RACED;
    }
    crossing->cached = true;
    return PROGRESS;
}

/* Begin at the root, or at a table that a link which is kept leads to. */
static void begin(struct crossing *crossing, struct climb *climb)
{
    struct vmmu_tlb_entry entry;

    climb->level = climb->format->levels;
    climb->table = crossing->state->stage2.root.v;
    climb->rights = VMMU_X86_RIGHTS_ALL;
    if (cache_find_link(crossing, &crossing->physical, climb->gpa, climb->level, &entry)) {
        crossing->cached = true;
        climb->level = entry.table_level;
        climb->table = entry.frame;
        climb->rights = cache_facts(&entry).host_rights;
    }
}

static void keep_link(struct crossing *crossing, const struct climb *climb)
{
    const struct kept kept = {
        .key = &crossing->physical,
        .address = climb->gpa,
        .frame = climb->table,
        .shift = climb->format->level[climb->level + 1].shift,
        .table_level = climb->level,
        .facts = { .rights = VMMU_X86_RIGHTS_ALL, .host_rights = climb->rights },
    };

    cache_keep_link(crossing, &kept);
}

/* --- the walk --- */

/* @entry stands at @at. Nothing comes between a load and its mark, so that this is one exchange. */
static void mark(struct crossing *crossing, uint64_t at, uint64_t *entry, uint64_t bits)
{
    const struct vmmu_x86_stage2 *stage2 = &crossing->state->stage2;

    if (stage2->accessed_dirty && (bits & ~*entry) != 0) {
        *entry |= bits;
        memory_store(crossing->processor->memory, at, vmmu_format_of(&stage2->layout)->entry_bytes, *entry);
    }
}

static void describe(const struct climb *climb, uint64_t entry, bool dirty_known, struct landing *out)
{
    const struct vmmu_x86_level *level = &climb->format->level[climb->level];
    const unsigned type =
        climb->format->memory_type != 0
            ? vmmu_format_memory_type(climb->format, entry) | (entry & climb->format->ignore_pat)
            : vmmu_format_pat_index(climb->format, level, entry);

    *out = (struct landing){
        .hpa = vmmu_format_frame(level, entry) | (climb->gpa & (vmmu_format_level_bytes(level) - 1)),
        .shift = level->shift,
        .facts = {
            .rights = VMMU_X86_RIGHTS_ALL,
            .host_rights = climb->rights,
            .level = climb->level,
            .type = (uint8_t)type,
            .dirty = true,
            /* Where there are no dirty bits, nobody need set one. */
            .host_dirty = !dirty_known || (entry & level->dirty) != 0,
        },
    };
}

/* @entry, which stands at @at, is the leaf. */
static enum progress arrive(struct crossing *crossing, struct climb *climb, uint64_t at, uint64_t entry,
                            struct landing *out)
{
    const struct vmmu_x86_stage2 *stage2 = &crossing->state->stage2;
    const struct vmmu_x86_level *level = &climb->format->level[climb->level];
    const bool judged = !crossing->speculative || climb->access.guest_table;

    if (judged && !grants(stage2, climb->kind, climb->rights)) {
        return refuse(crossing, climb, VMMU_X86_STAGE2_RIGHTS);
    }
    mark(crossing, at, &entry, level->accessed | (climb->kind == VMMU_X86_WRITE ? level->dirty : 0));
    describe(climb, entry, stage2->accessed_dirty, out);

    const struct kept kept = {
        .key = &crossing->physical,
        .address = climb->gpa,
        .frame = vmmu_format_frame(level, entry),
        .shift = level->shift,
        .facts = out->facts,
    };

    cache_keep_translation(crossing, &kept, true);
    return PROGRESS;
}

static enum progress walk(struct crossing *crossing, struct climb *climb, struct landing *out)
{
    const struct vmmu_x86_stage2 *stage2 = &crossing->state->stage2;
    const struct vmmu_x86_format *format = climb->format;

    for (;;) {
        const struct vmmu_x86_level *level = &format->level[climb->level];
        const uint64_t at =
            climb->table + (uint64_t)vmmu_format_index(level, climb->gpa) * format->entry_bytes;

        if (memory_owner_of(crossing->processor->memory, at) != OWNER_TABLES) {
            return crossing_strays(crossing, at);
        }
        uint64_t entry = memory_load(crossing->processor->memory, at, format->entry_bytes);
        const bool leaf = vmmu_format_is_leaf(level, entry);

        if (!vmmu_format_is_present(format, entry)) {
            return refuse(crossing, climb, VMMU_X86_STAGE2_NOT_PRESENT);
        }
        if (vmmu_format_is_refused(&stage2->layout, climb->level, leaf, entry)) {
            return refuse(crossing, climb,
                          stage2->kind == VMMU_X86_STAGE2_EPT ? VMMU_X86_STAGE2_MISCONFIGURED
                                                              : VMMU_X86_STAGE2_RESERVED);
        }
        climb->rights &= vmmu_format_rights(format, vmmu_format_grants(format, level, entry));
        if (leaf) {
            return arrive(crossing, climb, at, entry, out);
        }
        mark(crossing, at, &entry, level->accessed);
        climb->table = vmmu_format_table(level, entry);
        climb->level--;
        keep_link(crossing, climb);
    }
}

enum progress second_translate(struct crossing *crossing, uint64_t gpa, struct vmmu_x86_stage2_access access,
                               struct landing *out)
{
    const struct vmmu_x86_stage2 *stage2 = &crossing->state->stage2;
    const struct processor_witness *witness = &crossing->processor->witness;
    struct climb climb = {
        .format = vmmu_format_of(&stage2->layout),
        .gpa = gpa,
        .access = access,
        .kind = counts_as(stage2, access),
    };
    enum progress progress = RACED;
    struct vmmu_tlb_entry entry;

    climb.level = climb.format->levels;
    if (!vmmu_format_reaches(climb.format, gpa)) {
        return refuse(crossing, &climb, VMMU_X86_STAGE2_NOT_PRESENT);
    }
    if (cache_find_translation(crossing, &crossing->physical, gpa, &entry)) {
        progress = land_by_facts(crossing, &climb, &entry, out);
    }
    if (progress == RACED) {
        begin(crossing, &climb);
        progress = walk(crossing, &climb, out);
    }
    if (progress == PROGRESS) {
        witness->used(witness->context, gpa, climb.kind == VMMU_X86_WRITE);
    }
    return progress;
}
