/*
 * Depth first, level by level, over the segments and the versions of each entry.
 */
#include "tests/model/machine/reference_search.h"

/* Beyond any of these the search says that it gave up. */
#define CONTEXTS 64
#define BUDGET   200000

/* A stretch of time in which the VP ran in one PCID, its state as in `moment`, and nothing was removed. */
struct segment {
    uint64_t begin;
    uint64_t end;
    const struct moment *moment;
    unsigned cut; /* since the segment before, cached entries of this level and above were removed */
};

/* At the beginning of a segment, entries that were read on one root were removed. */
struct space_cut {
    unsigned segment;
    unsigned level; /* this one and above */
    uint64_t root;
};

struct search {
    const struct reference *reference;
    const struct vmmu_x86_mode *mode; /* now */
    const struct past *past;
    const struct search_goal *goal;
    struct vmmu_x86_access access;
    const struct vmmu_x86_format *format;
    uint64_t address;
    uint16_t context; /* that of now */
    unsigned budget;
    bool incomplete;

    /* The PCID that is searched. */
    uint16_t pcid;
    bool current;            /* it is that of now: its last segment is the present */
    uint64_t horizon;        /* translations that were made before are gone; TIME_NEVER: they are of no use */
    uint64_t global_horizon; /* the same of global ones */
    unsigned count;
    struct segment segment[MOMENTS];
    unsigned space_cut_count;
    struct space_cut space_cut[MOMENTS];
};

/* A way down, as far as it has come. */
struct way {
    unsigned level; /* of the table that is read next */
    uint64_t table;
    unsigned segment; /* in which the last entry was read; any if none was */
    bool from_root;   /* none was */
    bool unmarked;    /* an entry lacks its accessed bit, so that it was read now and is not remembered */
    uint64_t time;    /* when the last entry was read, at the earliest */
    uint64_t grants;
};

/* One entry as it could be read. */
struct reading {
    unsigned segment;
    uint64_t begin; /* the earliest time at which it can be read */
    uint64_t end;   /* and the end of those times */
    uint64_t entry;
    bool now; /* it can be read now */
};

static bool is_write(const struct search *search)
{
    return search->access.kind == VMMU_X86_WRITE;
}

static bool tell(const struct search *search, const struct reference_result *result)
{
    return search->goal->found && search->goal->found(search->goal->context, result);
}

static bool tell_fault(const struct search *search, uint32_t error_code)
{
    const struct reference_result result = { .end = END_FAULTS,
                                             .fault = { .vector = VMMU_X86_VECTOR_PF,
                                                        .has_error_code = true,
                                                        .error_code = error_code,
                                                        .cr2 = search->address } };

    return tell(search, &result);
}

/* An entry read now is not present, or refused. AMD raises what a walk from the root confirms, and nothing else. */
static bool meet_bad_entry(const struct search *search, uint32_t reason)
{
    const bool user = search->access.user && !search->access.implicit;

    if (!search->reference->intel) {
        return false;
    }
    return tell_fault(
        search,
        reason | (is_write(search) ? VMMU_X86_PF_WRITE : 0) | (user ? VMMU_X86_PF_USER : 0) |
            (search->access.kind == VMMU_X86_EXECUTE && search->mode->fetch_code ? VMMU_X86_PF_FETCH : 0));
}

/* What a leaf gives, and what it is good for. */
struct arrival {
    uint64_t gpa;
    unsigned key;
    bool reach; /* it may be used, if rights allow */
    bool fail;  /* it may raise a fault, if they do not */
};

/* The end of a walk, where all entries together allow @rights. */
static bool arrive(const struct search *search, const struct arrival *arrival, uint8_t rights)
{
    const struct reference_result result = { .end = END_REACHES, .gpa = arrival->gpa };
    const uint32_t error_code = vmmu_walk_judge(search->mode, search->access, rights, arrival->key);

    if (error_code != 0) {
        return arrival->fail && tell_fault(search, error_code);
    }
    return arrival->reach && tell(search, &result);
}

/* When the translations of the address that were made on @root were last removed for the root's sake. */
static uint64_t space_horizon_of(const struct search *search, uint64_t root, bool global)
{
    for (unsigned i = past_count(search->past); i-- > 0;) {
        const struct moment *moment = past_moment(search->past, i);

        if (invalidation_covers_in_space(&moment->invalidation, root, search->address, global)) {
            return moment->begin;
        }
    }
    return 0;
}

/* Whether the translation that was made of the leaf may have been kept until now. */
static bool is_remembered(const struct search *search, const struct reading *reading)
{
    const struct moment *moment = search->segment[reading->segment].moment;
    const bool global = moment->global_pages && (reading->entry & search->format->global);

    return (global ? search->global_horizon : search->horizon) < reading->end &&
           space_horizon_of(search, moment->root, global) < reading->end;
}

/*
 * Whether an entry of @level that was read in segment @from was removed at the beginning of segment @to, which is
 * later.
 */
static bool is_cut(const struct search *search, unsigned from, unsigned to, unsigned level)
{
    const uint64_t root = search->segment[from].moment->root;

    if (search->segment[to].cut <= level) {
        return true;
    }
    for (unsigned i = 0; i < search->space_cut_count; i++) {
        const struct space_cut *cut = &search->space_cut[i];

        if (cut->segment == to && cut->root == root && cut->level <= level) {
            return true;
        }
    }
    return false;
}

/* Whether some entry of @level may have been removed at the beginning of the segment. */
static bool may_cut(const struct search *search, unsigned segment, unsigned level)
{
    if (search->segment[segment].cut <= level) {
        return true;
    }
    for (unsigned i = 0; i < search->space_cut_count; i++) {
        if (search->space_cut[i].segment == segment && search->space_cut[i].level <= level) {
            return true;
        }
    }
    return false;
}

static bool meet_leaf(const struct search *search, const struct way *way, const struct reading *reading)
{
    const struct vmmu_x86_format *format = vmmu_format_of(search->segment[reading->segment].moment->layout);
    const struct vmmu_x86_level *level = &format->level[way->level];
    const uint64_t leaf = reading->entry;
    const bool accessed = !way->unmarked && (leaf & level->accessed) == level->accessed;
    const bool marked = accessed && (!is_write(search) || (leaf & level->dirty) == level->dirty);
    const bool remembered = accessed && is_remembered(search, reading);
    const struct arrival arrival = {
        .gpa = vmmu_format_frame(level, leaf) | (search->address & (vmmu_format_level_bytes(level) - 1)),
        .key = vmmu_format_key(format, leaf),
        .reach = marked ? remembered || reading->now : reading->now && search->goal->marks_missing,
        .fail = search->reference->intel && (remembered || reading->now),
    };
    const uint8_t rights = vmmu_format_rights(format, way->grants & vmmu_format_grants(format, level, leaf));

    if (arrive(search, &arrival, rights)) {
        return true;
    }
    /* EFER.NXE was cleared after an entry was read: nothing says whether its XD still counts. */
    return search->access.kind == VMMU_X86_EXECUTE && !search->mode->nx &&
           !(rights & VMMU_X86_RIGHT_EXECUTE) && arrive(search, &arrival, rights | VMMU_X86_RIGHT_EXECUTE);
}

static bool is_present_segment(const struct search *search, unsigned segment)
{
    return search->current && segment == search->count - 1;
}

/* What level a walk starts at, and in which table; false if a PDPTE register says that there is none. */
static bool start_of(const struct search *search, const struct moment *moment, struct way *way)
{
    const struct vmmu_x86_level *top = &search->format->level[search->format->levels];

    *way = (struct way){
        .level = search->format->levels, .table = moment->root, .from_root = true, .grants = ~UINT64_C(0)
    };
    if (moment->from_registers) {
        const uint64_t pdpte = moment->pdpte[vmmu_format_index(top, search->address)];

        way->level--;
        way->table = vmmu_format_table(top, pdpte);
        return vmmu_format_is_present(search->format, pdpte);
    }
    return true;
}

/* Whether a walk that reads the table of @way in segment @segment finds it: by the registers, or remembered. */
static bool starts_there(const struct search *search, const struct way *way, unsigned segment)
{
    struct way start;

    return start_of(search, search->segment[segment].moment, &start) && start.table == way->table;
}

static bool descend(struct search *search, const struct way *way);

/* Go on below a table entry that was read. */
static bool follow(struct search *search, const struct way *way, const struct reading *reading, bool unmarked)
{
    const struct vmmu_x86_level *level = &search->format->level[way->level];
    const struct way below = {
        .level = way->level - 1,
        .table = vmmu_format_table(level, reading->entry),
        .segment = reading->segment,
        .unmarked = unmarked,
        .time = unmarked ? search->reference->now : reading->begin,
        .grants = way->grants & vmmu_format_grants(search->format, level, reading->entry),
    };

    return descend(search, &below);
}

/* Use one reading of an entry. *@followed: it was followed before, in a segment since which it is still remembered. */
static bool meet(struct search *search, const struct way *way, const struct reading *reading, bool *followed)
{
    const struct vmmu_x86_layout *layout = search->segment[reading->segment].moment->layout;
    const struct vmmu_x86_level *level = &search->format->level[way->level];
    const bool leaf = vmmu_format_is_leaf(&vmmu_format_of(layout)->level[way->level], reading->entry);

    if (!vmmu_format_is_present(search->format, reading->entry)) {
        return reading->now && meet_bad_entry(search, 0);
    }
    if (vmmu_format_is_refused(layout, way->level, leaf, reading->entry)) {
        return reading->now && meet_bad_entry(search, VMMU_X86_PF_PRESENT | VMMU_X86_PF_RESERVED);
    }
    if (leaf) {
        return meet_leaf(search, way, reading);
    }
    if ((reading->entry & level->accessed) != level->accessed) {
        return reading->now && follow(search, way, reading, true);
    }
    if (*followed) {
        return false;
    }
    *followed = true;
    return follow(search, way, reading, way->unmarked);
}

/* Whether there is still time to look further: a search that is entangled beyond measure has to end. */
static bool has_budget(struct search *search)
{
    if (search->budget == 0) {
        search->incomplete = true;
        return false;
    }
    search->budget--;
    return true;
}

/* Read one version of the entry, in every segment in which that can be. */
static bool read_version(struct search *search, const struct way *way, const struct history_version *version,
                         uint64_t entry)
{
    bool followed = false;

    for (unsigned i = way->from_root ? 0 : way->segment; i < search->count && has_budget(search); i++) {
        const struct segment *segment = &search->segment[i];
        const bool later = way->from_root || i > way->segment;

        if (!way->from_root && i > way->segment && is_cut(search, way->segment, i, way->level + 1)) {
            return false;
        }
        if (later && may_cut(search, i, way->level)) {
            followed = false;
        }
        if (way->from_root && !starts_there(search, way, i)) {
            continue;
        }
        const bool last = is_present_segment(search, i);
        const uint64_t end = version->end < segment->end ? version->end : segment->end;
        uint64_t begin = version->begin > segment->begin ? version->begin : segment->begin;

        begin = way->time > begin ? way->time : begin;
        if (begin >= end) {
            continue;
        }
        const struct reading reading = { i, begin, end, entry, last && version->end == TIME_NEVER };

        if (meet(search, way, &reading, &followed)) {
            return true;
        }
    }
    return false;
}

/* Whether the table of @way can be read from now, so that the access may do so. */
static bool is_reachable_now(const struct search *search, const struct way *way)
{
    if (!search->current) {
        return false;
    }
    if (way->from_root) {
        return starts_there(search, way, search->count - 1);
    }
    for (unsigned i = way->segment + 1; i < search->count; i++) {
        if (is_cut(search, way->segment, i, way->level + 1)) {
            return false;
        }
    }
    return true;
}

/* Read the entry of the table that @way has come to. True: the goal is reached. */
static bool descend(struct search *search, const struct way *way)
{
    const struct vmmu_x86_level *level = &search->format->level[way->level];
    const unsigned bytes = search->format->entry_bytes;
    const uint64_t gpa = way->table + (uint64_t)vmmu_format_index(level, search->address) * bytes;
    struct history_versions read;

    if (search->goal->table_wanted && gpa / VMMU_PAGE_BYTES == search->goal->table / VMMU_PAGE_BYTES &&
        is_reachable_now(search, way)) {
        return true;
    }
    history_versions(search->reference->history, gpa, way->time, &read);
    search->incomplete = search->incomplete || read.incomplete;
    for (unsigned i = read.count; i-- > 0;) {
        const uint64_t half = read.version[i].value >> (8 * (gpa % 8));
        const uint64_t entry = bytes == 8 ? half : half & BITS64(31, 0);

        if (read_version(search, way, &read.version[i], entry)) {
            return true;
        }
    }
    return false;
}

/* --- the segments of one PCID --- */

/* When the translations of the address that were made under the PCID were last removed. */
static uint64_t horizon_of(const struct search *search, uint16_t pcid, bool global)
{
    for (unsigned i = past_count(search->past); i-- > 0;) {
        const struct moment *moment = past_moment(search->past, i);

        if (invalidation_covers(&moment->invalidation, pcid, search->address, global)) {
            return moment->begin;
        }
    }
    return 0;
}

/*
 * The time before which nothing that was read matters: no entry of a paging-structure cache got across,
 * and no translation made before is left. False if it is beyond what is kept.
 */
static bool find_origin(struct search *search, uint64_t *origin)
{
    const uint64_t horizon =
        search->horizon < search->global_horizon ? search->horizon : search->global_horizon;

    *origin = 0;
    for (unsigned i = past_count(search->past); i-- > 0;) {
        const struct moment *moment = past_moment(search->past, i);

        if (moment->begin <= horizon &&
            invalidation_cut(&moment->invalidation, search->pcid, search->address, search->format) == 2) {
            *origin = moment->begin;
            return true;
        }
    }
    return search->past->lost == 0;
}

static void add_space_cut(struct search *search, const struct invalidation *invalidation)
{
    const unsigned level = invalidation_cut_in_space(invalidation, search->address, search->format);

    if (level != NO_CUT) {
        search->space_cut[search->space_cut_count++] =
            (struct space_cut){ search->count, level, invalidation->space };
    }
}

static void add_segments(struct search *search, uint64_t origin)
{
    unsigned cut = NO_CUT;

    search->count = 0;
    search->space_cut_count = 0;
    for (unsigned i = 0; i < past_count(search->past); i++) {
        const struct moment *moment = past_moment(search->past, i);
        const uint64_t end = past_end(search->past, i);
        const unsigned removed =
            invalidation_cut(&moment->invalidation, search->pcid, search->address, search->format);

        cut = removed < cut ? removed : cut;
        add_space_cut(search, &moment->invalidation);
        if (!moment->paging || moment->pcid != search->pcid || moment->begin < origin ||
            vmmu_format_of(moment->layout)->levels != search->format->levels ||
            vmmu_format_of(moment->layout)->entry_bytes != search->format->entry_bytes) {
            continue;
        }
        search->segment[search->count++] = (struct segment){ moment->begin, end, moment, cut };
        cut = NO_CUT;
    }
}

/* Whether an earlier segment starts in the same table: its walks were tried for both. */
static bool was_tried(const struct search *search, const struct way *way, unsigned before)
{
    for (unsigned i = 0; i < before; i++) {
        if (starts_there(search, way, i)) {
            return true;
        }
    }
    return false;
}

static bool search_context(struct search *search, uint16_t pcid)
{
    uint64_t origin;

    search->pcid = pcid;
    search->current = pcid == search->context;
    search->horizon = search->current ? horizon_of(search, pcid, false) : TIME_NEVER;
    search->global_horizon = search->mode->global_pages ? horizon_of(search, pcid, true) : TIME_NEVER;
    if (!find_origin(search, &origin)) {
        search->incomplete = true;
    }
    add_segments(search, origin);
    if (search->count != 0 && search->segment[0].begin < history_lost(search->reference->history)) {
        search->incomplete = true;
    }
    for (unsigned i = search->count; i-- > 0;) {
        struct way way;

        if (start_of(search, search->segment[i].moment, &way)) {
            if (!was_tried(search, &way, i) && descend(search, &way)) {
                return true;
            }
        } else if (is_present_segment(search, i) && meet_bad_entry(search, 0)) {
            return true;
        }
    }
    return false;
}

/* Search the PCIDs other than that of now under which global translations may have been made. */
static bool search_others(struct search *search)
{
    uint16_t pcids[CONTEXTS] = { search->context };
    unsigned count = 1;

    for (unsigned i = past_count(search->past); i-- > 0;) {
        const struct moment *moment = past_moment(search->past, i);
        unsigned known = 0;

        while (known < count && pcids[known] != moment->pcid) {
            known++;
        }
        if (!moment->paging || !moment->global_pages || known < count) {
            continue;
        }
        if (count == CONTEXTS) {
            search->incomplete = true;
            return false;
        }
        pcids[count++] = moment->pcid;
        if (search_context(search, moment->pcid)) {
            return true;
        }
    }
    return false;
}

enum search_end reference_search(const struct reference *reference, const struct reference_access *access,
                                 const struct search_goal *goal)
{
    const struct reference_vp *vp = &reference->vp[access->vp];
    struct search search;

    search.reference = reference;
    search.mode = &vp->mode;
    search.past = &vp->past;
    search.goal = goal;
    search.access = access->access;
    search.format = vmmu_format_of(&vp->mode.layout);
    search.address = reference_linear(&vp->mode, access->address);
    search.context = reference_context(vp);
    search.budget = BUDGET;
    search.incomplete = false;
    if (search_context(&search, search.context) || (vp->mode.global_pages && search_others(&search))) {
        return SEARCH_FOUND;
    }
    return search.incomplete ? SEARCH_GAVE_UP : SEARCH_EXHAUSTED;
}
