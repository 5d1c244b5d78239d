/*
 * Edits of nested page tables, NPT and EPT, with little memory, pages that cannot be had, and processors that
 * write meanwhile.
 *
 * One input is a configuration and a sequence of operations. After each, what is looked up and what a
 * processor finds must be what a flat model says, and whatever a processor may have cached wrongly must be in
 * a plan.
 */
#include "input.h"
#include "space.h"

#define OPERATIONS 24

/* Run @call until it is done; the last status in @status. */
#define RUN(space, status, keeps, call)                                                                      \
    do {                                                                                                     \
        struct vmmu_outcome run_outcome_;                                                                    \
        unsigned run_turns_ = 0;                                                                             \
        space_begin((space), (keeps));                                                                       \
        do {                                                                                                 \
            run_outcome_ = (call);                                                                           \
        } while (space_again((space), &run_outcome_, &run_turns_));                                          \
        (status) = run_outcome_.status;                                                                      \
    } while (0)

/* A run of stretches. */
struct run {
    unsigned first;
    unsigned end;
};

static struct run draw_run(struct input *input)
{
    const unsigned first = input_below(input, SPACE_STRETCHES);
    const unsigned longest = SPACE_STRETCHES - first;

    return (struct run){ first, first + 1 + input_below(input, longest) };
}

static vmmu_gpa start_of(struct run run)
{
    return (vmmu_gpa){ space_cut(run.first) };
}

static uint64_t bytes_of(struct run run)
{
    return space_cut(run.end) - space_cut(run.first);
}

static uint8_t draw_rights(struct input *input)
{
    static const uint8_t rights[] = { 11, 11, 3, 1, 9, 8, 15, 2 };

    return rights[input_below(input, 8)];
}

/* Rights as the model keeps them: the format does not know users. */
static uint8_t known_rights(uint8_t rights)
{
    return rights & (uint8_t)~VMMU_X86_RIGHT_USER;
}

static bool is_argument_error(enum vmmu_status status)
{
    return status == VMMU_INVALID || status == VMMU_UNSUPPORTED;
}

static bool may_fail(enum vmmu_status status)
{
    return status == VMMU_OK || status == VMMU_NO_MEMORY || status == VMMU_VIOLATED;
}

static void forget_written(struct space *space, struct run run)
{
    for (unsigned probe = 2 * run.first; probe < 2 * run.end; probe++) {
        space->written[probe] = false;
    }
}

static void do_map(struct space *space)
{
    static const uint64_t places[] = { 0, 0, VMMU_2M_BYTES, VMMU_1G_BYTES, VMMU_PAGE_BYTES, BIT64(39) };
    static const enum vmmu_x86_memory_type types[] = { VMMU_X86_TYPE_WB, VMMU_X86_TYPE_UC, VMMU_X86_TYPE_WT,
                                                       VMMU_X86_TYPE_UC_MINUS };
    const struct run run = draw_run(space->input);
    const uint8_t flags = input_u8(space->input);
    const struct vmmu_nested_mapping mapping = {
        .gpa = start_of(run),
        .hpa = { start_of(run).v + places[input_below(space->input, 6)] },
        .size_bytes = bytes_of(run),
        .rights = draw_rights(space->input),
        .type = types[(flags & 0x30) == 0x30 ? flags & 3 : 0],
        .ignore_pat = (flags & 0xC0) == 0xC0,
    };
    enum vmmu_status status;

    RUN(space, status, false, vmmu_nested_map(&space->nested, &mapping));
    FUZZ_CHECK(may_fail(status) || is_argument_error(status));
    if (status != VMMU_OK) {
        return;
    }
    for (unsigned i = run.first; i < run.end; i++) {
        space->now[i] = (struct space_meaning){
            .present = true,
            .hpa = mapping.hpa.v + (space_cut(i) - mapping.gpa.v),
            .rights = known_rights(mapping.rights),
            .type = mapping.type,
            .ignore_pat = mapping.ignore_pat,
        };
    }
    forget_written(space, run);
}

static void do_unmap(struct space *space)
{
    const struct run run = draw_run(space->input);
    enum vmmu_status status;

    RUN(space, status, false, vmmu_nested_unmap(&space->nested, start_of(run), bytes_of(run)));
    FUZZ_CHECK(may_fail(status));
    if (status == VMMU_OK) {
        memset(&space->now[run.first], 0, (run.end - run.first) * sizeof(space->now[0]));
        forget_written(space, run);
    }
}

static void do_protect(struct space *space)
{
    const struct run run = draw_run(space->input);
    const uint8_t rights = draw_rights(space->input);
    enum vmmu_status status;

    RUN(space, status, true, vmmu_nested_protect(&space->nested, start_of(run), bytes_of(run), rights));
    FUZZ_CHECK(may_fail(status) || is_argument_error(status));
    for (unsigned i = run.first; i < run.end && status == VMMU_OK; i++) {
        space->now[i].rights = known_rights(rights);
    }
}

static void do_split(struct space *space)
{
    const struct run run = draw_run(space->input);
    const uint8_t level = (uint8_t)(1 + input_below(space->input, 2));
    enum vmmu_status status;

    RUN(space, status, true, vmmu_nested_split(&space->nested, start_of(run), bytes_of(run), level));
    FUZZ_CHECK(may_fail(status));
    for (unsigned probe = 2 * run.first; probe < 2 * run.end && status == VMMU_OK; probe++) {
        const struct space_view view = space_look(space, space_probe(probe));

        FUZZ_CHECK(!view.present || view.page_bytes <= (level == 1 ? VMMU_PAGE_BYTES : VMMU_2M_BYTES));
    }
}

static void do_merge(struct space *space)
{
    const struct run run = draw_run(space->input);
    enum vmmu_status status;

    RUN(space, status, true, vmmu_nested_merge(&space->nested, start_of(run), bytes_of(run)));
    FUZZ_CHECK(status == VMMU_OK || status == VMMU_VIOLATED);
}

/* What harvest says: marks in order, each of a page that is there. */
struct harvest {
    struct space *space;
    uint64_t next;
};

static void report(void *context, const struct vmmu_nested_mark *mark)
{
    struct harvest *harvest = context;

    FUZZ_CHECK(mark->accessed || mark->dirty);
    FUZZ_CHECK(mark->base.v >= harvest->next && vmmu_is_aligned(mark->base.v, mark->size_bytes));
    harvest->next = mark->base.v + mark->size_bytes;
}

static void do_harvest(struct space *space)
{
    const struct run run = draw_run(space->input);
    const uint8_t flags = input_u8(space->input);
    struct harvest harvest = { .space = space };
    const struct vmmu_nested_harvester harvester = { &harvest, flags & 1, flags & 2, report };
    const bool refused = harvester.clear_dirty && space->nested.log == VMMU_NESTED_LOG_DIRTY_BITS;
    struct vmmu_outcome outcome;
    unsigned turns = 0;

    space_begin(space, true);
    do {
        harvest.next = 0;
        outcome = vmmu_nested_harvest(&space->nested, start_of(run), bytes_of(run), &harvester);
    } while (space_again(space, &outcome, &turns));
    if (!space->nested.config.accessed_dirty) {
        FUZZ_CHECK(is_argument_error(outcome.status));
    } else {
        FUZZ_CHECK(outcome.status == (refused ? VMMU_INVALID : VMMU_OK));
    }
}

static void do_log_switch(struct space *space)
{
    const bool runs = space->nested.log != VMMU_NESTED_LOG_OFF;
    const enum vmmu_nested_log log =
        input_flag(space->input) ? VMMU_NESTED_LOG_DIRTY_BITS : VMMU_NESTED_LOG_WRITE_PROTECT;
    enum vmmu_status status;

    if (runs && input_below(space->input, 8) != 7) {
        RUN(space, status, true, vmmu_nested_log_stop(&space->nested));
        FUZZ_CHECK(status == VMMU_OK || status == VMMU_VIOLATED);
        if (status == VMMU_OK) {
            forget_written(space, (struct run){ 0, SPACE_STRETCHES });
        }
        return;
    }
    RUN(space, status, true, vmmu_nested_log_start(&space->nested, log));
    if (runs) {
        FUZZ_CHECK(status == VMMU_INVALID);
    } else {
        FUZZ_CHECK(status == (log == VMMU_NESTED_LOG_DIRTY_BITS && !space->nested.config.accessed_dirty
                                  ? VMMU_UNSUPPORTED
                                  : VMMU_OK));
        /* Writes count from the flush on. */
        forget_written(space, (struct run){ 0, SPACE_STRETCHES });
    }
}

/* Every page that was written before the call is told. */
static void do_collect(struct space *space)
{
    struct run run = draw_run(space->input);
    bool written[SPACE_PROBES];
    enum vmmu_status status;

    while (bytes_of(run) > 4 * VMMU_1G_BYTES && run.end > run.first + 1) {
        run.end--;
    }
    if (bytes_of(run) > 4 * VMMU_1G_BYTES) {
        return;
    }
    uint8_t *bitmap = calloc(1, (size_t)(bytes_of(run) / VMMU_PAGE_BYTES + 7) / 8);

    FUZZ_CHECK(bitmap);
    memcpy(written, space->written, sizeof(written));
    RUN(space, status, true, vmmu_nested_log_collect(&space->nested, start_of(run), bytes_of(run), bitmap));
    FUZZ_CHECK(status == (space->nested.log == VMMU_NESTED_LOG_OFF ? VMMU_INVALID : VMMU_OK));
    for (unsigned probe = 2 * run.first; probe < 2 * run.end && status == VMMU_OK; probe++) {
        const uint64_t page = (space_probe(probe) - start_of(run).v) / VMMU_PAGE_BYTES;
        const bool told = (bitmap[page / 8] >> (page % 8)) & 1;

        FUZZ_CHECK(told || !written[probe]);
        space->written[probe] = space->written[probe] && !told;
    }
    free(bitmap);
}

/* The guest writes; a page that is withheld for the log is let go, as a hypervisor does. */
static void do_write(struct space *space)
{
    const unsigned probe = input_below(space->input, SPACE_PROBES);
    const vmmu_gpa gpa = { space_probe(probe) + (input_u8(space->input) & 0xFF8) };
    bool whole_page = input_flag(space->input);
    enum vmmu_status status;

    space_begin(space, true);
    if (space_touch(space, probe, true) ||
        vmmu_nested_resolve(&space->nested, gpa, VMMU_X86_WRITE) != VMMU_NESTED_LOGGED) {
        return;
    }
    RUN(space, status, true, vmmu_nested_log_fault(&space->nested, gpa, whole_page));
    FUZZ_CHECK(may_fail(status));
    if (status == VMMU_NO_MEMORY) {
        FUZZ_CHECK(!whole_page);
        whole_page = true;
        RUN(space, status, true, vmmu_nested_log_fault(&space->nested, gpa, whole_page));
        FUZZ_CHECK(status == VMMU_OK || status == VMMU_VIOLATED);
    }
    FUZZ_CHECK(status != VMMU_OK || space_touch(space, probe, true));
}

/* Arguments that are wrong in one way each. */
static void do_hostile(struct space *space)
{
    struct vmmu_nested *nested = &space->nested;
    const uint64_t limit = nested->config.levels == 4 ? BIT64(48) : BIT64(57);
    const uint64_t drawn = input_u64(space->input);
    const struct {
        uint64_t gpa;
        uint64_t size_bytes;
    } wrong[] = {
        { 0, 0 },
        { drawn | 1, 0x1000 },
        { 0, drawn | 1 },
        { limit, 0x1000 },
        { 0x1000, limit },
        { 0x1000, -UINT64_C(0x1000) },
        { drawn | limit << 1, 0x1000 },
    };
    const unsigned which = input_below(space->input, 7);
    const vmmu_gpa gpa = { wrong[which].gpa };
    const uint64_t size_bytes = wrong[which].size_bytes;
    struct vmmu_nested_mapping mapping = { gpa, { 0 }, size_bytes, 3, VMMU_X86_TYPE_WB, false };
    const struct vmmu_nested_harvester harvester = { .report = NULL };
    struct vmmu_nested_page page;
    enum vmmu_status status;

    RUN(space, status, true, vmmu_nested_map(nested, &mapping));
    FUZZ_CHECK(status == VMMU_INVALID);
    RUN(space, status, true, vmmu_nested_unmap(nested, gpa, size_bytes));
    FUZZ_CHECK(status == VMMU_INVALID);
    RUN(space, status, true, vmmu_nested_protect(nested, gpa, size_bytes, 3));
    FUZZ_CHECK(status == VMMU_INVALID);
    RUN(space, status, true, vmmu_nested_split(nested, gpa, size_bytes, 1));
    FUZZ_CHECK(status == VMMU_INVALID);
    RUN(space, status, true, vmmu_nested_merge(nested, gpa, size_bytes));
    FUZZ_CHECK(status == VMMU_INVALID);
    RUN(space, status, true, vmmu_nested_harvest(nested, gpa, size_bytes, &harvester));
    FUZZ_CHECK(is_argument_error(status));
    RUN(space, status, true, vmmu_nested_log_collect(nested, gpa, size_bytes, NULL));
    FUZZ_CHECK(status == VMMU_INVALID);
    RUN(space, status, true, vmmu_nested_split(nested, (vmmu_gpa){ 0 }, 0x1000, (uint8_t)(drawn | 4)));
    FUZZ_CHECK(status == VMMU_INVALID);
    mapping = (struct vmmu_nested_mapping){ { 0 }, { drawn | 1 }, 0x1000, 3, VMMU_X86_TYPE_WB, false };
    RUN(space, status, true, vmmu_nested_map(nested, &mapping));
    FUZZ_CHECK(status == VMMU_INVALID);
    mapping.hpa.v = BIT64(52);
    RUN(space, status, true, vmmu_nested_map(nested, &mapping));
    FUZZ_CHECK(status == VMMU_INVALID);
    FUZZ_CHECK(vmmu_nested_lookup(nested, (vmmu_gpa){ drawn | limit }, &page) == VMMU_INVALID);
    RUN(space, status, true, vmmu_nested_log_fault(nested, (vmmu_gpa){ drawn | limit }, true));
    FUZZ_CHECK(status == VMMU_INVALID);
}

static void do_one(struct space *space)
{
    static void (*const operations[])(struct space *) = {
        do_map,        do_map,     do_unmap, do_protect, do_split,   do_merge, do_harvest,
        do_log_switch, do_collect, do_write, do_write,   do_hostile, do_merge,
    };
    static const uint64_t limits[] = { UINT64_MAX, UINT64_MAX, UINT64_MAX, VMMU_1G_BYTES };

    space->races = input_below(space->input, 4) == 3 ? input_u64(space->input) : 0;
    space->owned_to = limits[input_below(space->input, 4)];
    space_begin(space, true);
    operations[input_below(space->input, sizeof(operations) / sizeof(operations[0]))](space);
    space_end(space);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct space space;
    struct input input = input_of(data, size);

    if (!space_start(&space, &input)) {
        return 0;
    }
    for (unsigned i = 0; i < OPERATIONS && input_more(&input); i++) {
        do_one(&space);
    }
    space_finish(&space);
    return 0;
}
