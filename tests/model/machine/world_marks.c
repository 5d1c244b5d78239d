/*
 * What processors used of each page, and what harvests and the dirty log must tell of it.
 *
 * A page that was used since it was last told must be told. What is used while a harvest or a collection is
 * under way may be told by that one or by the next; a page that this one told has then been told, for whoever
 * copies it copies after the flush. An entry that goes takes its marks with it.
 */
#include "tests/model/machine/world_internal.h"

#include <inttypes.h>
#include <string.h>

void world_used(void *context, uint64_t gpa, bool written)
{
    struct world *world = context;
    struct world_marks *marks = &world->marks;
    const uint8_t uses = written ? host_uses_on_a(VMMU_X86_RIGHT_WRITE) : HOST_USES_OF_A;
    const uint8_t made = (uint8_t)(written ? MARK_ACCESSED | MARK_DIRTY | marks->of_log : MARK_ACCESSED);
    const uint32_t page = host_page(gpa);

    if (page == HOST_NO_PAGE || (world->map.loose[page] & (uses | uses << 3)) == 0) {
        world_report(world, CHECK_FRAME, "gpa %#" PRIx64 " was %s, which the host does not allow", gpa,
                     written ? "written" : "read");
        return;
    }
    marks->page[page] |= marks->telling ? (uint8_t)(made << MARK_LATE_SHIFT) : made;
}

void world_has_content(struct world *world, uint64_t gpa)
{
    world->marks.page[host_page(gpa)] |= MARK_CONTENT;
}

static void forget_span(struct world_marks *marks, const struct host_span *span, uint8_t forgotten)
{
    const uint8_t taken = (uint8_t)(forgotten | forgotten << MARK_LATE_SHIFT);

    for (uint32_t page = span->first; page < span->first + span->pages; page++) {
        marks->page[page] &= (uint8_t)~taken;
    }
}

void world_marks_forget(struct world *world, uint64_t from, uint64_t to, uint8_t marks)
{
    struct host_span spans[2];
    const unsigned count = host_spans(from, to, spans);

    for (unsigned s = 0; s < count; s++) {
        forget_span(&world->marks, &spans[s], marks);
    }
}

/* --- telling --- */

static void telling_begins(struct world *world)
{
    world->marks.telling = true;
    memset(world->marks.told, 0, sizeof world->marks.told);
}

/*
 * It is over: of the marks @asked of, whatever was made before it in [from, to) has been told, what was told
 * counts no more if it is @cleared, and what was made meanwhile and not told waits.
 */
static void telling_ends(struct world *world, const struct host_span *span, uint8_t asked, enum check check)
{
    for (uint32_t page = span->first; page < span->first + span->pages; page++) {
        const uint8_t untold = world->marks.page[page] & asked & (uint8_t)~world->marks.told[page];

        if (untold) {
            world_report(world, check, "gpa %#" PRIx64 " was %s, and that was not told", host_page_gpa(page),
                         untold & MARK_ACCESSED ? "accessed" : "written");
            return;
        }
    }
}

static void told_is_told(struct world *world, uint8_t cleared)
{
    struct world_marks *marks = &world->marks;

    marks->telling = false;
    for (uint32_t page = 0; page < HOST_PAGES; page++) {
        const uint8_t state = marks->page[page];
        const uint8_t both = (uint8_t)((state & MARKS) | ((state >> MARK_LATE_SHIFT) & MARKS));

        marks->page[page] = (uint8_t)((state & MARK_CONTENT) | (both & ~(marks->told[page] & cleared)));
    }
}

static void check_told(struct world *world, const uint64_t range[2], uint8_t asked, enum check check)
{
    struct host_span spans[2];
    const unsigned count = host_spans(range[0], range[1], spans);

    for (unsigned s = 0; s < count; s++) {
        telling_ends(world, &spans[s], asked, check);
    }
}

/* --- harvests --- */

static void report(void *context, const struct vmmu_nested_mark *mark)
{
    struct world *world = context;
    struct host_span spans[2];
    const unsigned count = host_spans(mark->base.v, mark->base.v + mark->size_bytes, spans);
    const uint8_t told = (uint8_t)((mark->accessed ? MARK_ACCESSED : 0) | (mark->dirty ? MARK_DIRTY : 0));

    for (unsigned s = 0; s < count; s++) {
        for (uint32_t page = spans[s].first; page < spans[s].first + spans[s].pages; page++) {
            world->marks.told[page] |= told;
        }
    }
}

static enum vmmu_status expected_of_harvest(const struct world *world, bool clear_dirty)
{
    if (world->setting.intel && !world->setting.second_dirty) {
        return VMMU_UNSUPPORTED;
    }
    return clear_dirty && world->log == VMMU_NESTED_LOG_DIRTY_BITS ? VMMU_INVALID : VMMU_OK;
}

bool world_step_harvest(struct world *world, const struct op *op)
{
    const struct vmmu_nested_harvester harvester = {
        .context = world,
        .clear_accessed = (op->flags & OP_CLEAR_ACCESSED) != 0,
        .clear_dirty = (op->flags & OP_CLEAR_DIRTY) != 0,
        .report = report,
    };
    const enum vmmu_status expected = expected_of_harvest(world, harvester.clear_dirty);
    enum vmmu_status status;
    uint64_t range[2];

    if (!world->class->harvest || !world_range(op, &range[0], &range[1])) {
        return false;
    }
    world_settle(world);
    telling_begins(world);
    status = world->class->harvest(world->engine, range[0], range[1] - range[0], &harvester);
    if (status != expected) {
        world_report(world, CHECK_PROGRESS, "a harvest ended in status %d instead of %d", status, expected);
    }
    if (status == VMMU_OK) {
        check_told(world, range, MARK_ACCESSED | MARK_DIRTY, CHECK_HARVEST);
    }
    told_is_told(world, (uint8_t)((harvester.clear_accessed ? MARK_ACCESSED : 0) |
                                  (harvester.clear_dirty ? MARK_DIRTY : 0)));
    world_check_tables(world, range[0], range[1]);
    return true;
}

/* --- the dirty log --- */

bool world_step_log_start(struct world *world, const struct op *op)
{
    const enum vmmu_nested_log log =
        op->value == VMMU_NESTED_LOG_DIRTY_BITS ? VMMU_NESTED_LOG_DIRTY_BITS : VMMU_NESTED_LOG_WRITE_PROTECT;
    const bool no_bits = !world->class->harvest || (world->setting.intel && !world->setting.second_dirty);
    const enum vmmu_status expected =
        log == VMMU_NESTED_LOG_DIRTY_BITS && no_bits ? VMMU_UNSUPPORTED : VMMU_OK;
    enum vmmu_status status;

    if (!world->class->log_start || world->log != VMMU_NESTED_LOG_OFF) {
        return false;
    }
    world_settle(world);
    status = world->class->log_start(world->engine, log);
    if (status != expected) {
        world_report(world, CHECK_PROGRESS, "the dirty log's start ended in status %d instead of %d", status,
                     expected);
    }
    if (status == VMMU_OK) {
        world->log = log;
        world->marks.of_log = MARK_LOGGED;
        world_marks_forget(world, 0, GUEST_LIMIT,
                           MARK_LOGGED | (log == VMMU_NESTED_LOG_DIRTY_BITS ? MARK_DIRTY : 0));
    }
    world_check_tables(world, 0, GUEST_LIMIT);
    return status == VMMU_OK;
}

static void read_bitmap(struct world *world, const uint64_t range[2])
{
    struct host_span spans[2];
    const unsigned count = host_spans(range[0], range[1], spans);

    for (unsigned s = 0; s < count; s++) {
        for (uint32_t page = spans[s].first; page < spans[s].first + spans[s].pages; page++) {
            const uint64_t bit = (host_page_gpa(page) - range[0]) >> VMMU_PAGE_SHIFT;

            if (world->marks.bitmap[bit / 8] & (1U << (bit % 8))) {
                world->marks.told[page] = MARK_LOGGED | MARK_DIRTY;
            }
        }
    }
}

bool world_step_log_collect(struct world *world, const struct op *op)
{
    const uint8_t cleared =
        (uint8_t)(MARK_LOGGED | (world->log == VMMU_NESTED_LOG_DIRTY_BITS ? MARK_DIRTY : 0));
    enum vmmu_status status;
    uint64_t range[2];

    if (!world->class->log_collect || world->log == VMMU_NESTED_LOG_OFF ||
        !world_range(op, &range[0], &range[1])) {
        return false;
    }
    world_settle(world);
    telling_begins(world);
    memset(world->marks.bitmap, 0, sizeof world->marks.bitmap);
    status = world->class->log_collect(world->engine, range[0], range[1] - range[0], world->marks.bitmap);
    if (status != VMMU_OK) {
        world_report(world, CHECK_PROGRESS, "collecting the dirty log ended in status %d", status);
    } else {
        read_bitmap(world, range);
        check_told(world, range, MARK_LOGGED, CHECK_DIRTY_LOG);
    }
    told_is_told(world, cleared);
    world_check_tables(world, range[0], range[1]);
    return true;
}

bool world_step_log_stop(struct world *world, const struct op *op)
{
    enum vmmu_status status;

    (void)op;
    if (!world->class->log_stop || world->log == VMMU_NESTED_LOG_OFF) {
        return false;
    }
    world_settle(world);
    status = world->class->log_stop(world->engine);
    if (status != VMMU_OK) {
        world_report(world, CHECK_PROGRESS, "the dirty log's stop ended in status %d", status);
    } else {
        world->log = VMMU_NESTED_LOG_OFF;
        world->marks.of_log = 0;
        world_marks_forget(world, 0, GUEST_LIMIT, MARK_LOGGED);
    }
    world_check_tables(world, 0, GUEST_LIMIT);
    return true;
}
