#include "space.h"

#define TURNS     12U
#define PAT       UINT64_C(0x0407050600070106)
#define RWX       (VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_EXECUTE)

/* Table pages lie here in the machine. */
#define TABLES_AT UINT64_C(0x100000000)

/* By page number: around a page, 2 MiB, 1 GiB, 512 GiB, and the end of 48 bits. */
static const uint64_t cut_pages[SPACE_STRETCHES + 1] = {
    0,       1,       2,       511,     512,     513,       1023,      1024,      1536,        0x3FE00,
    0x3FFFF, 0x40000, 0x40001, 0x40200, 0x80000, 0x7FFFFFF, 0x8000000, 0x8000001, 0xFFFFFFFFF, 0x1000000000,
};

_Static_assert(SPACE_PROBES == 2 * SPACE_STRETCHES, "each stretch is probed at both ends");

uint64_t space_cut(unsigned index)
{
    return cut_pages[index] * VMMU_PAGE_BYTES;
}

uint64_t space_probe(unsigned probe)
{
    return probe % 2 == 0 ? space_cut(probe / 2) : space_cut(probe / 2 + 1) - VMMU_PAGE_BYTES;
}

/* --- the host --- */

static void *page_take(void *context, enum vmmu_page_zone zone, vmmu_hpa *at)
{
    struct space *space = context;

    FUZZ_CHECK(zone == VMMU_PAGE_ANY);
    if ((space->takes_failing >> (space->takes++ % 32)) & 1) {
        return NULL;
    }
    for (unsigned i = 0; i < SPACE_PAGES; i++) {
        if (!space->pages[i]) {
            space->pages[i] = aligned_alloc(VMMU_PAGE_BYTES, VMMU_PAGE_BYTES);
            FUZZ_CHECK(space->pages[i]);
            memset(space->pages[i], 0xA5, VMMU_PAGE_BYTES);
            *at = (vmmu_hpa){ TABLES_AT + i * VMMU_PAGE_BYTES };
            return space->pages[i];
        }
    }
    return NULL;
}

static unsigned page_number(const struct space *space, uint64_t at)
{
    const uint64_t number = (at - TABLES_AT) / VMMU_PAGE_BYTES;

    FUZZ_CHECK(at >= TABLES_AT && number < SPACE_PAGES && space->pages[number]);
    return (unsigned)number;
}

static void page_give(void *context, vmmu_hpa at, void *page)
{
    struct space *space = context;
    const unsigned number = page_number(space, at.v);

    FUZZ_CHECK(space->pages[number] == page && vmmu_is_aligned(at.v, VMMU_PAGE_BYTES));
    free(page);
    space->pages[number] = NULL;
}

static void *page_at(void *context, vmmu_hpa at)
{
    const struct space *space = context;

    return space->pages[page_number(space, at.v)];
}

static uint64_t entry_load(void *context, const void *entry, unsigned width_bytes)
{
    uint64_t value;

    (void)context;
    FUZZ_CHECK(width_bytes == 8 && vmmu_is_aligned((uintptr_t)entry, 8));
    memcpy(&value, entry, sizeof(value));
    return value;
}

/* While a page stays where it is, no store makes it absent to another processor, or moves it. */
static void check_kept(struct space *space)
{
    const unsigned probe = (unsigned)(space->stores * 7 % (uint64_t)SPACE_PROBES);
    const struct space_view *before = &space->before[probe];
    const struct space_view view = space_look(space, space_probe(probe));

    FUZZ_CHECK(!space->keeps || (view.present == before->present && view.hpa == before->hpa));
}

static bool entry_exchange(void *context, void *entry, unsigned width_bytes, uint64_t *expected,
                           uint64_t desired)
{
    struct space *space = context;
    const uint64_t number = space->stores++;
    uint64_t value;

    if (number < 64 && ((space->races >> number) & 1)) {
        (void)space_touch(space, input_below(space->input, SPACE_PROBES), true);
    }
    value = entry_load(context, entry, width_bytes);
    if (value != *expected) {
        *expected = value;
        return false;
    }
    memcpy(entry, &desired, sizeof(desired));
    if (number < 64 || number % 64 == 0) {
        check_kept(space);
    }
    return true;
}

static bool is_foreign(uint64_t at, uint64_t size_bytes)
{
    return at < SPACE_FOREIGN + VMMU_2M_BYTES && at + size_bytes > SPACE_FOREIGN;
}

static bool owns(void *context, vmmu_hpa at, uint64_t size_bytes)
{
    const struct space *space = context;

    FUZZ_CHECK(size_bytes != 0 && at.v + size_bytes > at.v);
    return at.v + size_bytes <= space->owned_to && !is_foreign(at.v, size_bytes);
}

static void violated(void *context, const char *what)
{
    struct space *space = context;

    FUZZ_CHECK(what && *what);
    space->violations++;
}

/* --- the processors --- */

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const struct space *space = context;
    const uint8_t *page = space->pages[page_number(space, address)];

    *value = entry_load(context, page + address % VMMU_PAGE_BYTES, width_bytes);
    return VMMU_OK;
}

static enum vmmu_status exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                 uint64_t desired)
{
    const struct space *space = context;
    uint8_t *entry = (uint8_t *)space->pages[page_number(space, address)] + address % VMMU_PAGE_BYTES;

    FUZZ_CHECK(entry_load(context, entry, width_bytes) == expected);
    memcpy(entry, &desired, sizeof(desired));
    return VMMU_OK;
}

struct space_view space_look(struct space *space, uint64_t gpa)
{
    static const struct vmmu_x86_stage2_access access = { .kind = VMMU_X86_READ };
    struct vmmu_x86_stage2_result out;
    const enum vmmu_status status = vmmu_x86_walk_stage2(&space->stage2, (vmmu_gpa){ gpa }, access, &out);
    struct space_view view = { .present = false };

    if (status == VMMU_OK) {
        const bool npt = space->stage2.kind == VMMU_X86_STAGE2_NPT;

        view = (struct space_view){
            .present = true,
            .hpa = out.translation.hpa.v,
            .page_bytes = out.translation.page_bytes,
            .rights = out.translation.rights & RWX,
            .type = npt ? out.translation.pat_index : out.translation.memory_type,
            .ignore_pat = out.translation.ignore_pat,
        };
        FUZZ_CHECK(!is_foreign(out.translation.frame.v, out.translation.page_bytes));
        return view;
    }
    FUZZ_CHECK(status == VMMU_STAGE2);
    FUZZ_CHECK(out.fault.reason == VMMU_X86_STAGE2_NOT_PRESENT || out.fault.reason == VMMU_X86_STAGE2_RIGHTS);
    if (out.fault.reason == VMMU_X86_STAGE2_RIGHTS) {
        /* Execute-only: look as a fetch does. */
        const struct vmmu_x86_stage2_access fetch = { .kind = VMMU_X86_EXECUTE };

        FUZZ_CHECK(vmmu_x86_walk_stage2(&space->stage2, (vmmu_gpa){ gpa }, fetch, &out) == VMMU_OK);
        view = (struct space_view){ true,
                                    out.translation.hpa.v,
                                    out.translation.page_bytes,
                                    VMMU_X86_RIGHT_EXECUTE,
                                    out.translation.memory_type,
                                    out.translation.ignore_pat };
    }
    return view;
}

bool space_touch(struct space *space, unsigned probe, bool write)
{
    const struct vmmu_x86_stage2_access access = { .kind = write ? VMMU_X86_WRITE : VMMU_X86_READ,
                                                   .marks = VMMU_X86_MARKS_AS_IT_GOES };
    struct vmmu_x86_stage2_result out;
    const bool let =
        vmmu_x86_walk_stage2(&space->stage2, (vmmu_gpa){ space_probe(probe) }, access, &out) == VMMU_OK;

    space->written[probe] =
        space->written[probe] || (let && write && space->nested.log != VMMU_NESTED_LOG_OFF);
    return let;
}

/* --- from start to end --- */

static struct vmmu_nested_config draw_config(struct input *input)
{
    const uint8_t flags = input_u8(input);
    struct vmmu_nested_config config = {
        .format = (flags & 1) ? VMMU_NESTED_EPT : VMMU_NESTED_NPT,
        .levels = (flags & 2) ? 5 : 4,
        .maxphyaddr = (flags & 4) ? 40 : 52,
        .largest_level = (uint8_t)(3 - input_below(input, 3)),
        .execute_only = (flags & 9) == 9,
        .accessed_dirty = !(flags & 16),
        .pat = PAT,
        .vps = 3,
    };

    if (flags & 32) {
        config.largest_execute_level = VMMU_NESTED_LEVEL_4K;
    }
    if ((flags & 0xC0) == 0xC0) {
        config.levels = input_u8(input);
        config.maxphyaddr = input_u8(input);
        config.largest_level = input_u8(input);
        config.execute_only = input_flag(input);
        config.pat = input_u64(input);
    }
    return config;
}

/* The tables as a processor is told to walk them. */
static void set_processors(struct space *space)
{
    const struct vmmu_nested_config *config = &space->nested.config;
    const uint64_t root = vmmu_nested_root(&space->nested);
    const struct vmmu_x86_limits limits = {
        .physical_bits = config->maxphyaddr,
        .nx = true,
        .gib_pages = config->largest_level >= VMMU_NESTED_LEVEL_1G,
        .no_2m_pages = config->largest_level < VMMU_NESTED_LEVEL_2M,
        .execute_only = config->execute_only,
        .bit8_reserved = true,
    };
    const enum vmmu_x86_format_name format =
        config->levels == 4 ? VMMU_X86_FORMAT_4LEVEL : VMMU_X86_FORMAT_5LEVEL;

    space->ram = (struct vmmu_ram){ .context = space, .load = load, .exchange = exchange };
    if (config->format == VMMU_NESTED_NPT) {
        FUZZ_CHECK(vmmu_stage2_npt(format, &limits, &space->ram, (vmmu_hpa){ root }, &space->stage2) ==
                   VMMU_OK);
    } else {
        FUZZ_CHECK(vmmu_stage2_ept(root, &limits, &space->ram, &space->stage2) == VMMU_OK);
    }
}

bool space_start(struct space *space, struct input *input)
{
    const struct vmmu_nested_config config = draw_config(input);
    const uint32_t limit_pages = SPACE_PAGES - input_below(input, SPACE_PAGES);
    const uint32_t cache_pages = input_below(input, 8);

    memset(space, 0, sizeof(*space));
    space->input = input;
    space->owned_to = UINT64_MAX;
    space->takes_failing = input_u32(input);
    space->host = (struct vmmu_host){ space,      page_take,      page_give, page_at,
                                      entry_load, entry_exchange, owns,      violated };
    vmmu_table_init(&space->memory, &space->host, calloc(limit_pages, sizeof(struct vmmu_table_retired)),
                    limit_pages, cache_pages);
    FUZZ_CHECK(space->memory.quarantine);
    const enum vmmu_status status = vmmu_nested_init(&space->nested, &config, &space->memory);

    FUZZ_CHECK(status == VMMU_OK || status == VMMU_INVALID || status == VMMU_UNSUPPORTED ||
               (status == VMMU_NO_MEMORY && space->takes_failing != 0));
    if (status != VMMU_OK) {
        vmmu_table_drain(&space->memory);
        FUZZ_CHECK(space->memory.counters.held_pages == 0);
        free(space->memory.quarantine);
        return false;
    }
    set_processors(space);
    return true;
}

void space_finish(struct space *space)
{
    vmmu_nested_destroy(&space->nested);
    vmmu_table_drain(&space->memory);
    FUZZ_CHECK(space->memory.counters.held_pages == 0);
    FUZZ_CHECK(space->memory.counters.taken == space->memory.counters.given);
    FUZZ_CHECK(space->memory.counters.peak_pages <= space->memory.limit_pages);
    for (unsigned i = 0; i < SPACE_PAGES; i++) {
        FUZZ_CHECK(!space->pages[i]);
    }
    free(space->memory.quarantine);
}

/* --- one operation --- */

void space_begin(struct space *space, bool keeps)
{
    for (unsigned probe = 0; probe < SPACE_PROBES; probe++) {
        space->before[probe] = space_look(space, space_probe(probe));
        space->named[probe] = false;
    }
    space->stores = 0;
    space->violations = 0;
    space->keeps = keeps;
}

static bool names(const struct vmmu_plan *plan, uint64_t gpa)
{
    for (unsigned i = 0; i < plan->count; i++) {
        const struct vmmu_range *range = &plan->ranges[i];

        if (gpa >= range->base && (gpa - range->base) / VMMU_PAGE_BYTES < range->pages) {
            return true;
        }
    }
    return plan->whole_tag;
}

static void report_all(struct space *space)
{
    while (space->pending_count != 0) {
        vmmu_table_flushed(&space->memory, space->pending[--space->pending_count]);
    }
}

bool space_again(struct space *space, const struct vmmu_outcome *outcome, unsigned *turns)
{
    const struct vmmu_plan *plan = &outcome->plan;
    const bool empty = vmmu_plan_is_empty(plan);

    FUZZ_CHECK(empty == (plan->epoch == 0));
    FUZZ_CHECK(empty || plan->vps == space->nested.config.vps);
    FUZZ_CHECK(!empty || outcome->status != VMMU_FLUSH_RETRY);
    for (unsigned probe = 0; probe < SPACE_PROBES; probe++) {
        space->named[probe] = space->named[probe] || names(plan, space_probe(probe));
    }
    FUZZ_CHECK((outcome->status == VMMU_VIOLATED) == (space->violations != 0));
    if (outcome->status != VMMU_FLUSH_RETRY && input_below(space->input, 4) == 3 &&
        space->pending_count < SPACE_PENDING && !empty) {
        space->pending[space->pending_count++] = plan->epoch;
    } else if (!empty) {
        vmmu_table_flushed(&space->memory, plan->epoch);
    }
    if (outcome->status != VMMU_FLUSH_RETRY) {
        return false;
    }
    FUZZ_CHECK(++*turns < TURNS);
    return true;
}

/* What was cached before and may not be used any more was named in a plan. */
static void check_named(const struct space *space, unsigned probe, const struct space_view *after)
{
    const struct space_view *before = &space->before[probe];

    if (before->present &&
        (!after->present || after->hpa != before->hpa || (before->rights & ~after->rights) != 0 ||
         after->type != before->type || after->ignore_pat != before->ignore_pat ||
         after->page_bytes != before->page_bytes)) {
        FUZZ_CHECK(space->named[probe]);
    }
}

/* Whatever was made, or allows more than it did, maps what the partition owns. */
static void check_owned(struct space *space, unsigned probe, const struct space_view *after)
{
    const struct space_view *before = &space->before[probe];

    if (after->present &&
        (!before->present || after->hpa != before->hpa || after->page_bytes != before->page_bytes ||
         (after->rights & ~before->rights) != 0)) {
        const uint64_t frame = after->hpa - (space_probe(probe) & (after->page_bytes - 1));

        FUZZ_CHECK(owns(space, (vmmu_hpa){ frame }, after->page_bytes));
    }
}

static void check_lookup(const struct space *space, unsigned probe, const struct space_view *view)
{
    const struct space_meaning *meaning = &space->now[probe / 2];
    const vmmu_gpa gpa = { space_probe(probe) };
    struct vmmu_nested_page page;
    const enum vmmu_status status = vmmu_nested_lookup(&space->nested, gpa, &page);
    const uint64_t hpa = meaning->hpa + (gpa.v - space_cut(probe / 2));

    FUZZ_CHECK(status == (meaning->present ? VMMU_OK : VMMU_ABSENT));
    FUZZ_CHECK(view->present == meaning->present);
    if (!meaning->present) {
        return;
    }
    FUZZ_CHECK(view->hpa == hpa && page.frame.v + (gpa.v - page.base.v) == hpa);
    FUZZ_CHECK(page.size_bytes == view->page_bytes && gpa.v - page.base.v < page.size_bytes);
    FUZZ_CHECK(page.rights == meaning->rights && page.type == meaning->type);
    FUZZ_CHECK(page.ignore_pat == meaning->ignore_pat && view->ignore_pat == meaning->ignore_pat);
    FUZZ_CHECK(view->rights ==
               (page.write_withheld ? meaning->rights & ~VMMU_X86_RIGHT_WRITE : meaning->rights));
    FUZZ_CHECK(!page.write_withheld || space->nested.log == VMMU_NESTED_LOG_WRITE_PROTECT);
    FUZZ_CHECK(space->stage2.kind == VMMU_X86_STAGE2_EPT
                   ? view->type == meaning->type
                   : ((space->nested.config.pat >> (8 * view->type)) & 7) == meaning->type);
}

static void check_cause(const struct space *space, unsigned probe, const struct space_view *view)
{
    static const uint8_t needs[] = { VMMU_X86_RIGHT_READ, VMMU_X86_RIGHT_WRITE, VMMU_X86_RIGHT_EXECUTE };
    const struct space_meaning *meaning = &space->now[probe / 2];

    for (unsigned kind = 0; kind < 3; kind++) {
        const enum vmmu_nested_cause cause = vmmu_nested_resolve(
            &space->nested, (vmmu_gpa){ space_probe(probe) }, (enum vmmu_x86_access_kind)kind);

        FUZZ_CHECK(cause == (!view->present                    ? VMMU_NESTED_ABSENT
                             : (view->rights & needs[kind])    ? VMMU_NESTED_SPURIOUS
                             : (meaning->rights & needs[kind]) ? VMMU_NESTED_LOGGED
                                                               : VMMU_NESTED_DENIED));
    }
}

void space_end(struct space *space)
{
    for (unsigned probe = 0; probe < SPACE_PROBES; probe++) {
        const struct space_view view = space_look(space, space_probe(probe));

        check_named(space, probe, &view);
        check_owned(space, probe, &view);
        check_lookup(space, probe, &view);
        check_cause(space, probe, &view);
    }
    FUZZ_CHECK(space->memory.counters.held_pages <= space->memory.limit_pages);
    if (input_below(space->input, 8) == 7) {
        report_all(space);
    }
}
