/*
 * The host's operations on guest memory. Each call of the engine changes a range from one state to another:
 * while it runs, and until its flush, both may be seen; if it fails, nothing has changed.
 *
 * Frames follow: one is the guest's before it is mapped, and somebody else's only when nothing that could still
 * reach it has been left unflushed.
 */
#include "tests/model/machine/world_internal.h"

#include <inttypes.h>

/* An operation on a range that is in more pieces does the first of them. */
#define PIECES 64

/* --- ranges --- */

bool world_range(const struct op *op, uint64_t *from, uint64_t *to)
{
    const uint64_t size_bytes = op->value < GUEST_LIMIT ? op->value : GUEST_LIMIT;

    *from = op->address & ~(VMMU_PAGE_BYTES - 1);
    if (*from >= GUEST_LIMIT || size_bytes == 0) {
        return false;
    }
    *to = (*from + size_bytes + VMMU_PAGE_BYTES - 1) & ~(VMMU_PAGE_BYTES - 1);
    *to = *to < GUEST_LIMIT ? *to : GUEST_LIMIT;
    return true;
}

/* Frames of pages in [from, to) on a side that none of them may be reached on. */
static void release(struct world *world, const struct host_span *span, uint64_t side, uint8_t uses_of_side)
{
    const uint8_t *loose = world->map.loose;
    const uint32_t end = span->first + span->pages;
    uint32_t first = span->first;

    while (first < end) {
        uint32_t page = first + 1;

        while (page < end && !(loose[page] & uses_of_side) == !(loose[first] & uses_of_side)) {
            page++;
        }
        if (!(loose[first] & uses_of_side)) {
            memory_assign(world->memory, side + host_page_gpa(first),
                          (uint64_t)(page - first) << VMMU_PAGE_SHIFT, OWNER_FOREIGN);
        }
        first = page;
    }
}

void world_close_range(struct world *world, const struct loosened *range)
{
    struct host_span spans[2];
    const unsigned count = host_spans(range->from, range->to, spans);

    host_tighten(&world->map, range->from, range->to);
    for (unsigned s = 0; range->frames && s < count; s++) {
        release(world, &spans[s], HOST_SIDE_A, HOST_USES_OF_A);
        release(world, &spans[s], HOST_SIDE_B, HOST_USES_OF_B);
    }
    if (range->marks_lost) {
        world_marks_forget(world, range->from, range->to, MARKS);
    }
}

/* --- one call of the engine --- */

/* What is asked of the engine, and what it makes of the range. */
struct host_call {
    enum op_kind kind; /* OP_MAP, OP_UNMAP, OP_PROTECT, OP_SPLIT, OP_MERGE */
    uint64_t from;
    uint64_t to;
    uint64_t hpa;
    uint8_t rights;
    uint8_t level;
    struct host_change change;
};

static enum vmmu_status perform(struct world *world, const struct host_call *call)
{
    const struct engine_class *class = world->class;
    const uint64_t size_bytes = call->to - call->from;
    const struct vmmu_nested_mapping mapping = {
        .gpa = { call->from },
        .hpa = { call->hpa },
        .size_bytes = size_bytes,
        .rights = call->rights,
        .type = VMMU_X86_TYPE_WB,
    };

    if (call->kind == OP_MAP) {
        return class->map(world->engine, &mapping);
    }
    if (call->kind == OP_UNMAP) {
        return class->unmap(world->engine, call->from, size_bytes);
    }
    if (call->kind == OP_PROTECT) {
        return class->protect(world->engine, call->from, size_bytes, call->rights);
    }
    if (call->kind == OP_SPLIT) {
        return class->split(world->engine, call->from, size_bytes, call->level);
    }
    return class->merge(world->engine, call->from, size_bytes);
}

/* More tables than an operation on [from, to) can need: one for each larger page, and the way to them. */
static uint64_t most_tables(uint64_t from, uint64_t to)
{
    const uint64_t above = 2; /* memory ends below 512 GiB */

    return (to - 1) / VMMU_2M_BYTES - from / VMMU_2M_BYTES + (to - 1) / VMMU_1G_BYTES - from / VMMU_1G_BYTES +
           2 + above;
}

/* Whether the call may have found no memory: what is not in use is too little, and no flush can free any. */
static bool may_lack_tables(const struct world *world, const struct host_call *call)
{
    const struct vmmu_table_counters *counters = &world->tables.counters;
    const uint64_t most = most_tables(call->from, call->to);
    const uint64_t limit = world->setting.table_pages;

    return most > limit ||
           (counters->quarantine_pages == 0 && counters->held_pages - counters->cached_pages + most > limit);
}

static bool is_done(struct world *world, const struct host_call *call, enum vmmu_status status)
{
    static const char *const names[OP_KINDS] = {
        [OP_MAP] = "map",     [OP_UNMAP] = "unmap", [OP_PROTECT] = "protect",
        [OP_SPLIT] = "split", [OP_MERGE] = "merge",
    };

    if (status != VMMU_OK && !(status == VMMU_NO_MEMORY && may_lack_tables(world, call))) {
        world_report(world, CHECK_PROGRESS, "%s ended in status %d", names[call->kind], status);
    }
    return status == VMMU_OK;
}

static bool call_engine(struct world *world, struct host_call *call)
{
    struct loosened range = { .from = call->from, .to = call->to };
    bool done;

    call->change.from = call->from;
    call->change.to = call->to;
    host_change_begin(&world->map, &call->change);
    if (call->kind == OP_MAP) {
        memory_assign(world->memory, call->hpa, call->to - call->from, OWNER_GUEST);
    }
    done = is_done(world, call, perform(world, call));
    host_change_end(&world->map, done);
    range.frames = call->kind == OP_MAP || call->kind == OP_UNMAP;
    range.marks_lost = done && range.frames && !(call->kind == OP_MAP && call->change.clear == HOST_RIGHTS);
    world_loosened(world, &range);
    return done;
}

/* --- operations --- */

static bool map_piece(struct world *world, uint64_t from, uint64_t to, uint8_t rights)
{
    const uint8_t state = world->map.now[host_page(from)];
    struct host_call call = {
        .kind = OP_MAP,
        .from = from,
        .to = to,
        .hpa = host_frame(state, from),
        .rights = rights,
        .change = { .of_mapped = false, .set = HOST_MAPPED | rights },
    };

    return call_engine(world, &call);
}

/* Ask for a frame that is somebody else's, as a host with a bug would: it must be refused, with nothing changed. */
static void map_foreign(struct world *world, uint64_t from, uint8_t rights)
{
    const uint8_t state = world->map.now[host_page(from)];
    struct vmmu_nested_mapping mapping = {
        .gpa = { from },
        .hpa = { host_frame(state ^ HOST_ON_B, from) },
        .size_bytes = VMMU_PAGE_BYTES,
        .rights = rights,
        .type = VMMU_X86_TYPE_WB,
    };
    enum vmmu_status status;

    if (world_once_in(world, 2)) {
        mapping.hpa.v = HOST_TABLES_BASE + luck_below(&world->luck, HOST_TABLE_PAGES) * VMMU_PAGE_BYTES;
    }
    if (memory_owner_of(world->memory, mapping.hpa.v) == OWNER_GUEST) {
        return;
    }
    world->provoking = true;
    status = world->class->map(world->engine, &mapping);
    world->provoking = false;
    if (status != VMMU_VIOLATED) {
        world_report(world, CHECK_ISOLATION,
                     "mapping hpa %#" PRIx64 ", which is not the partition's, ended in status %d",
                     mapping.hpa.v, status);
    }
}

static bool map(struct world *world, const struct op *op, uint64_t from, uint64_t to)
{
    bool did = false;

    for (unsigned piece = 0; piece < PIECES && from < to; piece++) {
        const uint64_t end = host_run(&world->map, &from, to);

        if (end == 0) {
            break;
        }
        if (!(world->map.now[host_page(from)] & HOST_MAPPED)) {
            if (world_once_in(world, 8)) {
                map_foreign(world, from, op->width & HOST_RIGHTS);
            }
            did = true;
            if (!map_piece(world, from, end, op->width & HOST_RIGHTS)) {
                break;
            }
        }
        from = end;
    }
    return did;
}

static bool unmap_range(struct world *world, uint64_t from, uint64_t to)
{
    struct host_call call = {
        .kind = OP_UNMAP,
        .from = from,
        .to = to,
        .change = { .of_mapped = true, .clear = HOST_MAPPED | HOST_RIGHTS },
    };

    return call_engine(world, &call);
}

static bool unmap(struct world *world, const struct op *op, uint64_t from, uint64_t to)
{
    (void)op;
    unmap_range(world, from, to);
    return true;
}

static bool protect_range(struct world *world, uint64_t from, uint64_t to, uint8_t rights)
{
    struct host_call call = {
        .kind = OP_PROTECT,
        .from = from,
        .to = to,
        .rights = rights,
        .change = { .of_mapped = true, .clear = HOST_RIGHTS, .set = rights },
    };

    return call_engine(world, &call);
}

/* Map the same frames once more, with other rights. */
static bool map_over(struct world *world, uint64_t from, uint64_t to, uint8_t state)
{
    struct host_call call = {
        .kind = OP_MAP,
        .from = from,
        .to = to,
        .hpa = host_frame(state, from),
        .rights = state & HOST_RIGHTS,
        .change = { .of_mapped = true, .clear = HOST_RIGHTS, .set = state & HOST_RIGHTS },
    };

    if ((state & HOST_ON_B) != (world->map.now[host_page(from)] & HOST_ON_B)) {
        call.change.clear |= HOST_ON_B;
        call.change.set |= state & HOST_ON_B;
    }
    return call_engine(world, &call);
}

static bool protect_by_map(struct world *world, const struct op *op, uint64_t from, uint64_t to)
{
    bool did = false;

    for (unsigned piece = 0; piece < PIECES && from < to; piece++) {
        const uint64_t end = host_run(&world->map, &from, to);
        uint8_t state;

        if (end == 0) {
            break;
        }
        state = world->map.now[host_page(from)];
        if (state & HOST_MAPPED) {
            state = (uint8_t)((state & ~HOST_RIGHTS) | (op->width & HOST_RIGHTS));
            did = true;
            if (!map_over(world, from, end, state)) {
                break;
            }
        }
        from = end;
    }
    return did;
}

static bool protect(struct world *world, const struct op *op, uint64_t from, uint64_t to)
{
    if (world_once_in(world, 4)) {
        return protect_by_map(world, op, from, to);
    }
    protect_range(world, from, to, op->width & HOST_RIGHTS);
    return true;
}

static bool split(struct world *world, const struct op *op, uint64_t from, uint64_t to)
{
    struct host_call call = { .kind = OP_SPLIT, .from = from, .to = to, .level = op->width };

    if (op->width != VMMU_NESTED_LEVEL_4K && op->width != VMMU_NESTED_LEVEL_2M) {
        return false;
    }
    call_engine(world, &call);
    return true;
}

static bool merge(struct world *world, const struct op *op, uint64_t from, uint64_t to)
{
    struct host_call call = { .kind = OP_MERGE, .from = from, .to = to };

    (void)op;
    call_engine(world, &call);
    return true;
}

/* --- moving --- */

static void copy_content(struct world *world, uint64_t from, uint64_t to, uint8_t state)
{
    const uint32_t first = host_page(from);
    const uint32_t pages = (uint32_t)((to - from) >> VMMU_PAGE_SHIFT);

    for (uint32_t page = first; page < first + pages; page++) {
        if (world->marks.page[page] & MARK_CONTENT) {
            const uint64_t gpa = host_page_gpa(page);

            memory_copy_page(world->memory, host_frame(state ^ HOST_ON_B, gpa), host_frame(state, gpa));
        }
    }
}

/* Guests go on while the host does something else. */
static void meanwhile(struct world *world)
{
    for (unsigned i = 0; i < 3; i++) {
        world_act(world);
    }
}

/* Write-protected, copied, mapped elsewhere, and given its rights back: readers never miss it. */
static bool move_protected(struct world *world, uint64_t from, uint64_t to, uint8_t state)
{
    const uint8_t held = state & (uint8_t)~VMMU_X86_RIGHT_WRITE;

    if (held != state && !protect_range(world, from, to, held & HOST_RIGHTS)) {
        return false;
    }
    meanwhile(world);
    copy_content(world, from, to, state);
    meanwhile(world);
    if (!map_over(world, from, to, held ^ HOST_ON_B)) {
        return false;
    }
    return held == state || protect_range(world, from, to, state & HOST_RIGHTS);
}

/* Taken away, copied, and mapped elsewhere. */
static bool move_absent(struct world *world, uint64_t from, uint64_t to, uint8_t state)
{
    struct host_call call = {
        .kind = OP_MAP,
        .from = from,
        .to = to,
        .hpa = host_frame(state ^ HOST_ON_B, from),
        .rights = state & HOST_RIGHTS,
        .change = { .of_mapped = false,
                    .clear = HOST_ON_B,
                    .set = HOST_MAPPED | ((state ^ HOST_ON_B) & (HOST_ON_B | HOST_RIGHTS)) },
    };

    if (!unmap_range(world, from, to)) {
        return false;
    }
    meanwhile(world);
    copy_content(world, from, to, state);
    return call_engine(world, &call);
}

/* What is absent has its content elsewhere from now on. */
static bool move_content(struct world *world, uint64_t from, uint64_t to, uint8_t state)
{
    copy_content(world, from, to, state);
    host_move_absent(&world->map, from, to);
    return true;
}

/* All of the range comes to one side: the other one, as its first page sees it. */
static bool move(struct world *world, const struct op *op, uint64_t from, uint64_t to)
{
    const bool absent = world_once_in(world, 2);
    uint8_t left = HOST_MAPPED; /* the side that pages leave, once it is known */

    (void)op;
    world_settle(world);
    world->may_put_off = false;
    for (unsigned piece = 0; piece < PIECES && from < to; piece++) {
        const uint64_t end = host_run(&world->map, &from, to);
        uint8_t state;
        bool (*how)(struct world *, uint64_t, uint64_t, uint8_t);

        if (end == 0) {
            break;
        }
        state = world->map.now[host_page(from)];
        left = left == HOST_MAPPED ? state & HOST_ON_B : left;
        how = !(state & HOST_MAPPED) ? move_content : absent ? move_absent : move_protected;
        if ((state & HOST_ON_B) == left && !how(world, from, end, state)) {
            break;
        }
        from = end;
    }
    return left != HOST_MAPPED;
}

/* --- steps --- */

static bool (*const operations[OP_KINDS])(struct world *, const struct op *, uint64_t, uint64_t) = {
    [OP_MAP] = map,         [OP_MOVE] = move,   [OP_UNMAP] = unmap,
    [OP_PROTECT] = protect, [OP_SPLIT] = split, [OP_MERGE] = merge,
};

/* Whether an operation with these rights can be asked for at all. */
static bool rights_exist(const struct world *world, const struct op *op)
{
    const uint8_t rights = op->width & HOST_RIGHTS;

    if (op->kind != OP_MAP && op->kind != OP_PROTECT) {
        return true;
    }
    if (rights & VMMU_X86_RIGHT_READ) {
        return true;
    }
    return rights == VMMU_X86_RIGHT_EXECUTE && world->setting.intel && world->setting.execute_only;
}

bool world_step_host(struct world *world, const struct op *op)
{
    uint64_t from;
    uint64_t to;
    bool did;

    if (!world_range(op, &from, &to) || !rights_exist(world, op)) {
        return false;
    }
    world->may_put_off = world_once_in(world, 2);
    did = operations[op->kind](world, op, from, to);
    world->may_put_off = false;
    world_check_tables(world, from, to);
    return did;
}

void world_map_first(struct world *world)
{
    map_piece(world, 0, GUEST_LOW_BYTES, HOST_RIGHTS);
    map_piece(world, GUEST_HIGH_BASE, GUEST_LIMIT, HOST_RIGHTS);
}

/* --- the engine's own word --- */

static uint64_t largest_page_bytes(const struct setting *setting, uint8_t rights)
{
    static const uint64_t bytes[] = { 0, VMMU_PAGE_BYTES, VMMU_2M_BYTES, VMMU_1G_BYTES };
    const bool small = (rights & VMMU_X86_RIGHT_EXECUTE) && setting_has_small_code(setting);

    return small ? VMMU_PAGE_BYTES : bytes[setting->largest];
}

static void check_page(struct world *world, uint64_t gpa)
{
    const uint32_t page = host_page(gpa);
    const uint8_t state = page == HOST_NO_PAGE ? 0 : world->map.now[page];
    struct vmmu_nested_page told;
    const enum vmmu_status status = world->class->lookup(world->engine, gpa, &told);

    if (status != ((state & HOST_MAPPED) ? VMMU_OK : VMMU_ABSENT)) {
        world_report(world, CHECK_TABLES,
                     "the engine's lookup of gpa %#" PRIx64 " says %d, the host's state is %#x", gpa, status,
                     state);
        return;
    }
    if (status == VMMU_OK && (told.frame.v + (gpa - told.base.v) != host_frame(state, gpa) ||
                              told.rights != (state & HOST_RIGHTS))) {
        world_report(world, CHECK_TABLES,
                     "the engine has gpa %#" PRIx64 " at %#" PRIx64
                     " with rights %#x, the host's state is %#x",
                     gpa, told.frame.v + (gpa - told.base.v), told.rights, state);
    }
    if (status == VMMU_OK && told.size_bytes > largest_page_bytes(&world->setting, told.rights)) {
        world_report(world, CHECK_TABLES,
                     "the engine has gpa %#" PRIx64 " in a page of %#" PRIx64
                     " bytes, larger than pages with rights %#x may be",
                     gpa, told.size_bytes, told.rights);
    }
}

void world_check_tables(struct world *world, uint64_t from, uint64_t to)
{
    const uint64_t pages = (to - from) >> VMMU_PAGE_SHIFT;
    const struct vmmu_table_counters *counters = &world->tables.counters;

    if (counters->held_pages != world->given_pages) {
        world_report(world, CHECK_TABLES, "the table memory says that it holds %u pages; it has %u",
                     counters->held_pages, world->given_pages);
    }
    if (world->class->lookup) {
        check_page(world, from);
        check_page(world, to - VMMU_PAGE_BYTES);
        check_page(world, from + luck_below(&world->luck, (uint32_t)pages) * VMMU_PAGE_BYTES);
        check_page(world,
                   luck_below(&world->luck, (uint32_t)(GUEST_LIMIT >> VMMU_PAGE_SHIFT)) * VMMU_PAGE_BYTES);
    }
}
