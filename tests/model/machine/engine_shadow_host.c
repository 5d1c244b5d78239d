/*
 * What backs guest memory, page by page, as an embedder keeps it who has no second stage; and what the library is told
 * when that changes.
 *
 * Invariant: outside of the functions here, the library has been told of every change.
 */
#include "tests/model/machine/engine_shadow_internal.h"

#include <string.h>

/* Some of the guests' data is in memory that is not to be cached. */
#define UNCACHED_BASE       UINT64_C(0x48000)
#define UNCACHED_END        UINT64_C(0x4A000)

/* While a guest's table is read or marked, others go on. */
#define INTERRUPTED_ONCE_IN 4

static uint8_t *page_of(struct engine *engine, uint64_t gpa)
{
    const uint32_t page = host_page(gpa);

    return page == HOST_NO_PAGE ? NULL : &engine->backing[page];
}

static uint8_t rights_of(const struct engine *engine, uint8_t state)
{
    const bool held = engine->logging && !(state & BACKING_WRITTEN);

    if (!(state & HOST_MAPPED)) {
        return 0;
    }
    return state & HOST_RIGHTS & (held ? (uint8_t)~VMMU_X86_RIGHT_WRITE : HOST_RIGHTS);
}

uint8_t backing_rights(const struct engine *engine, uint64_t gpa)
{
    const uint32_t page = host_page(gpa);

    return page == HOST_NO_PAGE ? 0 : rights_of(engine, engine->backing[page]);
}

/* --- what the library asks --- */

/* Whether some of [from, to), and not all, is memory that is not to be cached. */
static bool uncached_begins_or_ends(uint64_t from, uint64_t to)
{
    return from < UNCACHED_END && to > UNCACHED_BASE && (from < UNCACHED_BASE || to > UNCACHED_END);
}

enum vmmu_x86_memory_type backing_type(uint64_t gpa)
{
    return gpa - UNCACHED_BASE < UNCACHED_END - UNCACHED_BASE ? VMMU_X86_TYPE_UC : VMMU_X86_TYPE_WB;
}

/* Whether all pages of [base, base + size) are backed like @state. */
static bool are_alike(const struct engine *engine, uint64_t base, uint64_t size_bytes, uint8_t state)
{
    const uint32_t first = host_page(base);
    const size_t pages = size_bytes >> VMMU_PAGE_SHIFT;

    if (first == HOST_NO_PAGE || host_page(base + size_bytes - 1) != first + pages - 1 ||
        uncached_begins_or_ends(base, base + size_bytes)) {
        return false;
    }
    return engine->backing[first] == state &&
           memcmp(&engine->backing[first], &engine->backing[first + 1], pages - 1) == 0;
}

/* The page is on the other side, says a host with a bug; if that is nobody's of this partition. */
static void lie(struct engine *engine, uint64_t gpa, struct vmmu_shadow_backing *out)
{
    const uint64_t page = gpa & ~(VMMU_PAGE_BYTES - 1);
    const uint64_t frame = host_frame(*page_of(engine, gpa) ^ HOST_ON_B, page);

    if (memory_owner_of(world_memory(engine->world), frame) != OWNER_GUEST) {
        out->frame.v = frame;
        out->size_bytes = VMMU_PAGE_BYTES;
    }
}

enum vmmu_status backing_of(void *context, vmmu_gpa gpa, struct vmmu_shadow_backing *out)
{
    struct engine *engine = context;
    const uint8_t *state = page_of(engine, gpa.v);
    uint64_t size_bytes = VMMU_PAGE_BYTES;

    if (!state || !(*state & HOST_MAPPED)) {
        return VMMU_ABSENT;
    }
    while (size_bytes < VMMU_1G_BYTES &&
           are_alike(engine, gpa.v & ~(size_bytes * 2 - 1), size_bytes * 2, *state)) {
        size_bytes *= 2;
    }
    *out = (struct vmmu_shadow_backing){
        .frame = { host_frame(*state, gpa.v & ~(size_bytes - 1)) },
        .size_bytes = size_bytes,
        .rights = rights_of(engine, *state),
        .type = backing_type(gpa.v),
    };
    if (engine->lying) {
        lie(engine, gpa.v, out);
    }
    return VMMU_OK;
}

static void let_others_act(struct engine *engine)
{
    while (world_once_in(engine->world, INTERRUPTED_ONCE_IN)) {
        world_act(engine->world);
    }
}

enum vmmu_status backing_load(void *context, uint64_t gpa, unsigned width_bytes, uint64_t *value)
{
    struct engine *engine = context;
    const uint8_t *state = page_of(engine, gpa);

    if (!state || !(*state & HOST_MAPPED)) {
        return VMMU_ABSENT;
    }
    let_others_act(engine);
    *value = memory_load(world_memory(engine->world), host_frame(*state, gpa), width_bytes);
    return VMMU_OK;
}

/* An accessed bit may be set, a dirty bit by a write, and nothing else. */
static bool is_mark(const struct engine *engine, uint64_t expected, uint64_t desired)
{
    const uint64_t accessed = BIT64(5);
    const uint64_t dirty = BIT64(6);

    return ((expected ^ desired) & ~(accessed | (engine->writing ? dirty : 0))) == 0 &&
           (expected & ~desired) == 0;
}

enum vmmu_status backing_exchange(void *context, uint64_t gpa, unsigned width_bytes, uint64_t expected,
                                  uint64_t desired)
{
    struct engine *engine = context;
    struct memory *memory = world_memory(engine->world);
    uint8_t *state = page_of(engine, gpa);

    if (!state || !(*state & HOST_MAPPED) || !(*state & VMMU_X86_RIGHT_WRITE)) {
        return VMMU_ABSENT;
    }
    let_others_act(engine);
    if (!is_mark(engine, expected, desired)) {
        world_report(engine->world, CHECK_MARKS,
                     "the library turned a guest's entry at gpa %#llx from %#llx to %#llx",
                     (unsigned long long)gpa, (unsigned long long)expected, (unsigned long long)desired);
    }
    if (memory_load(memory, host_frame(*state, gpa), width_bytes) != expected) {
        return VMMU_RACED;
    }
    *state |= engine->logging ? BACKING_WRITTEN : 0;
    const uint64_t before = reference_time(world_reference(engine->world));

    world_mark(engine->world, host_frame(*state, gpa), width_bytes, desired);
    engine->asked += reference_time(world_reference(engine->world)) - before;
    return VMMU_OK;
}

/* --- what the library is told --- */

static enum vmmu_status tell_forget(struct engine *engine, uint64_t gpa, uint64_t size_bytes)
{
    enum vmmu_status status;

    SHADOW_DO(engine, status, vmmu_shadow_forget(&engine->shadow, (vmmu_gpa){ gpa }, size_bytes));
    return status;
}

static enum vmmu_status tell_protect(struct engine *engine, uint64_t gpa, uint64_t size_bytes, uint8_t rights)
{
    enum vmmu_status status;

    SHADOW_DO(engine, status, vmmu_shadow_protect(&engine->shadow, (vmmu_gpa){ gpa }, size_bytes, rights));
    return status;
}

/* --- the host's changes --- */

static void change(struct engine *engine, const struct host_change *asked)
{
    struct host_span spans[2];
    const unsigned count = host_spans(asked->from, asked->to, spans);

    for (unsigned s = 0; s < count; s++) {
        for (uint32_t page = spans[s].first; page < spans[s].first + spans[s].pages; page++) {
            uint8_t *state = &engine->backing[page];

            if (((*state & HOST_MAPPED) != 0) == asked->of_mapped) {
                *state = (uint8_t)((*state & ~asked->clear) | asked->set);
            }
        }
    }
}

enum vmmu_status backing_map(struct engine *engine, const struct vmmu_nested_mapping *mapping)
{
    const struct vmmu_host *host = world_tables(engine->world)->host;
    const uint64_t gpa = mapping->gpa.v;
    const uint8_t side = mapping->hpa.v == gpa + HOST_SIDE_B ? HOST_ON_B : 0;
    const uint8_t was = backing_rights(engine, gpa);
    const uint8_t *state = page_of(engine, gpa);

    if (!host->owns(host->context, mapping->hpa, mapping->size_bytes)) {
        return VMMU_VIOLATED;
    }
    if (was != 0 && (*state & HOST_ON_B) == side) {
        return backing_protect(engine, gpa, mapping->size_bytes, mapping->rights);
    }
    change(engine, &(struct host_change){ .from = gpa,
                                          .to = gpa + mapping->size_bytes,
                                          .of_mapped = was != 0,
                                          .clear = UINT8_MAX,
                                          .set = HOST_MAPPED | side | mapping->rights });
    return tell_forget(engine, gpa, mapping->size_bytes);
}

enum vmmu_status backing_unmap(struct engine *engine, uint64_t gpa, uint64_t size_bytes)
{
    change(engine, &(struct host_change){
                       .from = gpa, .to = gpa + size_bytes, .of_mapped = true, .clear = UINT8_MAX });
    return tell_forget(engine, gpa, size_bytes);
}

enum vmmu_status backing_protect(struct engine *engine, uint64_t gpa, uint64_t size_bytes, uint8_t rights)
{
    change(engine,
           &(struct host_change){
               .from = gpa, .to = gpa + size_bytes, .of_mapped = true, .clear = HOST_RIGHTS, .set = rights });
    return tell_protect(engine, gpa, size_bytes, rights);
}

/* Sizes of pages are the library's affair. */
enum vmmu_status backing_split(struct engine *engine, uint64_t gpa, uint64_t size_bytes, uint8_t level)
{
    (void)engine, (void)gpa, (void)size_bytes, (void)level;
    return VMMU_OK;
}

enum vmmu_status backing_merge(struct engine *engine, uint64_t gpa, uint64_t size_bytes)
{
    (void)engine, (void)gpa, (void)size_bytes;
    return VMMU_OK;
}

/* --- the dirty log --- */

#define ALL_BUT_WRITE (VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_EXECUTE)

bool backing_log_write(struct engine *engine, uint64_t gpa)
{
    uint8_t *state = page_of(engine, gpa);

    if (!state || !engine->logging || !(*state & VMMU_X86_RIGHT_WRITE) || (*state & BACKING_WRITTEN)) {
        return false;
    }
    *state |= BACKING_WRITTEN;
    return tell_protect(engine, gpa & ~(VMMU_PAGE_BYTES - 1), VMMU_PAGE_BYTES, *state & HOST_RIGHTS) ==
           VMMU_OK;
}

enum vmmu_status backing_log_start(struct engine *engine, enum vmmu_nested_log log)
{
    if (log == VMMU_NESTED_LOG_DIRTY_BITS) {
        return VMMU_UNSUPPORTED;
    }
    engine->logging = true;
    return tell_protect(engine, 0, GUEST_LIMIT, ALL_BUT_WRITE);
}

enum vmmu_status backing_log_collect(struct engine *engine, uint64_t gpa, uint64_t size_bytes,
                                     uint8_t *bitmap)
{
    struct host_span spans[2];
    const unsigned count = host_spans(gpa, gpa + size_bytes, spans);
    enum vmmu_status status = VMMU_OK;

    for (unsigned s = 0; s < count; s++) {
        for (uint32_t page = spans[s].first; page < spans[s].first + spans[s].pages; page++) {
            const uint64_t at = host_page_gpa(page);
            const uint64_t bit = (at - gpa) >> VMMU_PAGE_SHIFT;

            if (status == VMMU_OK && (engine->backing[page] & BACKING_WRITTEN)) {
                bitmap[bit / 8] |= (uint8_t)(1U << (bit % 8));
                engine->backing[page] &= (uint8_t)~BACKING_WRITTEN;
                status = tell_protect(engine, at, VMMU_PAGE_BYTES, ALL_BUT_WRITE);
            }
        }
    }
    return status;
}

/* The rights come back with the next fault. */
enum vmmu_status backing_log_stop(struct engine *engine)
{
    engine->logging = false;
    change(engine, &(struct host_change){ .to = GUEST_LIMIT, .of_mapped = true, .clear = BACKING_WRITTEN });
    return tell_protect(engine, 0, GUEST_LIMIT, VMMU_X86_RIGHTS_ALL);
}
