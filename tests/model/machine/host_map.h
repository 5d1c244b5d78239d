/*
 * What the host has decided about each page of guest memory: the ideal that second-stage tables must follow.
 *
 * Two records per page. `now` is the state: mapped or not, side, rights. `loose` is what a processor may
 * use: exactly the state at rest; while a change is under way, or its flush is put off, all states since the last flush.
 * A page that is absent remembers its side.
 */
#ifndef TESTS_MODEL_MACHINE_HOST_MAP_H
#define TESTS_MODEL_MACHINE_HOST_MAP_H

#include "tests/model/machine/geometry.h"
#include <vmmu/mode.h>

#define HOST_LOW_PAGES  ((uint32_t)(GUEST_LOW_BYTES >> VMMU_PAGE_SHIFT))
#define HOST_HIGH_PAGES ((uint32_t)(GUEST_HIGH_BYTES >> VMMU_PAGE_SHIFT))
#define HOST_PAGES      (HOST_LOW_PAGES + HOST_HIGH_PAGES)
#define HOST_NO_PAGE    UINT32_MAX

/* The end of guest-physical memory. */
#define GUEST_LIMIT     (GUEST_HIGH_BASE + GUEST_HIGH_BYTES)

/* The state of a page: rights of nested.h, and these. */
#define HOST_RIGHTS     UINT8_C(0x0B)
#define HOST_ON_B       UINT8_C(0x40)
#define HOST_MAPPED     UINT8_C(0x80)

/* What may be used, by side: read, write and execute of A in bits 2:0, of B in bits 5:3. */
#define HOST_USES_OF_A  UINT8_C(0x07)
#define HOST_USES_OF_B  UINT8_C(0x38)

/*
 * What an operation does to the pages in [from, to) that are mapped, or to those that are absent: takes
 * @clear from their state, then adds @set.
 */
struct host_change {
    uint64_t from;
    uint64_t to;
    bool of_mapped;
    uint8_t clear;
    uint8_t set;
};

struct host_map {
    bool changing;
    struct host_change change;
    uint8_t now[HOST_PAGES];
    uint8_t loose[HOST_PAGES];
};

/* Consecutive pages of guest memory. */
struct host_span {
    uint32_t first;
    uint32_t pages;
};

/* The index of the page of @gpa; HOST_NO_PAGE where the guest has no memory. */
static inline uint32_t host_page(uint64_t gpa)
{
    if (gpa < GUEST_LOW_BYTES) {
        return (uint32_t)(gpa >> VMMU_PAGE_SHIFT);
    }
    return guest_has_memory(gpa) ? HOST_LOW_PAGES + (uint32_t)((gpa - GUEST_HIGH_BASE) >> VMMU_PAGE_SHIFT)
                                 : HOST_NO_PAGE;
}

static inline uint64_t host_page_gpa(uint32_t page)
{
    return page < HOST_LOW_PAGES ? (uint64_t)page << VMMU_PAGE_SHIFT
                                 : GUEST_HIGH_BASE + ((uint64_t)(page - HOST_LOW_PAGES) << VMMU_PAGE_SHIFT);
}

/* Where @gpa is in a page of state @state. */
static inline uint64_t host_frame(uint8_t state, uint64_t gpa)
{
    return ((state & HOST_ON_B) ? HOST_SIDE_B : HOST_SIDE_A) + gpa;
}

/* The right that an access of @kind needs. */
static inline uint8_t host_right(enum vmmu_x86_access_kind kind)
{
    static const uint8_t rights[] = {
        [VMMU_X86_READ] = VMMU_X86_RIGHT_READ,
        [VMMU_X86_WRITE] = VMMU_X86_RIGHT_WRITE,
        [VMMU_X86_EXECUTE] = VMMU_X86_RIGHT_EXECUTE,
    };

    return rights[kind];
}

/* Rights as uses of side A. */
static inline uint8_t host_uses_on_a(uint8_t rights)
{
    return (uint8_t)((rights & 3) | ((rights >> 1) & 4));
}

/* What a page of state @state may be used for. */
static inline uint8_t host_uses(uint8_t state)
{
    const uint8_t uses = (state & HOST_MAPPED) ? host_uses_on_a(state) : 0;

    return (state & HOST_ON_B) ? (uint8_t)(uses << 3) : uses;
}

/* Which guest-physical address @hpa was made for, and on which side; false if it is on none. */
bool host_guest_address(uint64_t hpa, uint64_t *gpa, bool *on_b);

/* The pages in [from, to), at most two spans. How many. */
unsigned host_spans(uint64_t from, uint64_t to, struct host_span spans[2]);

/*
 * The next stretch of guest memory at or above *from and below @to whose pages have one state: [*from, end), in one span.
 * The end, or 0 if there is none.
 */
uint64_t host_run(const struct host_map *map, uint64_t *from, uint64_t to);

/* A change begins: its pages may be seen as before or as after. */
void host_change_begin(struct host_map *map, const struct host_change *change);

/* It ends, done or undone. What may be used stays loose. */
void host_change_end(struct host_map *map, bool done);

/* Everything is flushed: in [from, to), only what is so now, or is under way, may be used. */
void host_tighten(struct host_map *map, uint64_t from, uint64_t to);

/* What is absent in [from, to) is to be mapped on the other side from now on. */
void host_move_absent(struct host_map *map, uint64_t from, uint64_t to);

/* Whether the page of @gpa may be reached on this side with @right. */
bool host_allows(const struct host_map *map, uint64_t gpa, bool on_b, uint8_t right);
/* The same for each of @rights. */
bool host_allows_all(const struct host_map *map, uint64_t gpa, bool on_b, uint8_t rights);

/* Whether the page of @gpa is mapped with @right now: what an exit is judged by. */
bool host_grants(const struct host_map *map, uint64_t gpa, uint8_t right);

/* Whether it is, both before and after the change under way. */
bool host_grants_always(const struct host_map *map, uint64_t gpa, uint8_t right);

#endif
