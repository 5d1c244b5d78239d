#include "tests/model/machine/host_map.h"

bool host_guest_address(uint64_t hpa, uint64_t *gpa, bool *on_b)
{
    if (hpa - HOST_SIDE_A < HOST_SIDE_BYTES) {
        *gpa = hpa - HOST_SIDE_A;
        *on_b = false;
    } else if (hpa - HOST_SIDE_B < HOST_SIDE_BYTES) {
        *gpa = hpa - HOST_SIDE_B;
        *on_b = true;
    } else {
        return false;
    }
    return guest_has_memory(*gpa);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

unsigned host_spans(uint64_t from, uint64_t to, struct host_span spans[2])
{
    unsigned count = 0;

    if (from < GUEST_LOW_BYTES && from < to) {
        const uint64_t end = smaller(to, GUEST_LOW_BYTES);

        spans[count++] = (struct host_span){ host_page(from), (uint32_t)((end - from) >> VMMU_PAGE_SHIFT) };
    }
    from = from > GUEST_HIGH_BASE ? from : GUEST_HIGH_BASE;
    to = smaller(to, GUEST_LIMIT);
    if (from < to) {
        spans[count++] = (struct host_span){ host_page(from), (uint32_t)((to - from) >> VMMU_PAGE_SHIFT) };
    }
    return count;
}

uint64_t host_run(const struct host_map *map, uint64_t *from, uint64_t to)
{
    struct host_span spans[2];
    uint32_t pages = 1;

    if (host_spans(*from, to, spans) == 0) {
        return 0;
    }
    while (pages < spans[0].pages && map->now[spans[0].first + pages] == map->now[spans[0].first]) {
        pages++;
    }
    *from = host_page_gpa(spans[0].first);
    return *from + ((uint64_t)pages << VMMU_PAGE_SHIFT);
}

static uint8_t changed(const struct host_change *change, uint8_t state)
{
    if (((state & HOST_MAPPED) != 0) != change->of_mapped) {
        return state;
    }
    return (uint8_t)((state & ~change->clear) | change->set);
}

void host_change_begin(struct host_map *map, const struct host_change *change)
{
    struct host_span spans[2];
    const unsigned count = host_spans(change->from, change->to, spans);

    map->changing = true;
    map->change = *change;
    for (unsigned s = 0; s < count; s++) {
        for (uint32_t page = spans[s].first; page < spans[s].first + spans[s].pages; page++) {
            map->loose[page] |= host_uses(changed(change, map->now[page]));
        }
    }
}

void host_change_end(struct host_map *map, bool done)
{
    struct host_span spans[2];
    const unsigned count = host_spans(map->change.from, map->change.to, spans);

    map->changing = false;
    for (unsigned s = 0; done && s < count; s++) {
        for (uint32_t page = spans[s].first; page < spans[s].first + spans[s].pages; page++) {
            map->now[page] = changed(&map->change, map->now[page]);
        }
    }
}

void host_tighten(struct host_map *map, uint64_t from, uint64_t to)
{
    struct host_span spans[2];
    const unsigned count = host_spans(from, to, spans);

    for (unsigned s = 0; s < count; s++) {
        for (uint32_t page = spans[s].first; page < spans[s].first + spans[s].pages; page++) {
            map->loose[page] = host_uses(map->now[page]);
        }
    }
    if (map->changing) {
        const struct host_change change = map->change;

        host_change_begin(map, &change);
    }
}

void host_move_absent(struct host_map *map, uint64_t from, uint64_t to)
{
    struct host_span spans[2];
    const unsigned count = host_spans(from, to, spans);

    for (unsigned s = 0; s < count; s++) {
        for (uint32_t page = spans[s].first; page < spans[s].first + spans[s].pages; page++) {
            if (!(map->now[page] & HOST_MAPPED)) {
                map->now[page] ^= HOST_ON_B;
            }
        }
    }
}

bool host_allows(const struct host_map *map, uint64_t gpa, bool on_b, uint8_t right)
{
    const uint32_t page = host_page(gpa);
    const uint8_t uses = host_uses_on_a(right);

    return page != HOST_NO_PAGE && (map->loose[page] & (on_b ? uses << 3 : uses)) != 0;
}

bool host_allows_all(const struct host_map *map, uint64_t gpa, bool on_b, uint8_t rights)
{
    const uint32_t page = host_page(gpa);
    const uint8_t uses = host_uses_on_a(rights);

    return page != HOST_NO_PAGE && ((on_b ? uses << 3 : uses) & ~map->loose[page]) == 0;
}

static bool state_grants(uint8_t state, uint8_t right)
{
    return (state & HOST_MAPPED) && (state & right);
}

bool host_grants(const struct host_map *map, uint64_t gpa, uint8_t right)
{
    const uint32_t page = host_page(gpa);

    return page != HOST_NO_PAGE && state_grants(map->now[page], right);
}

bool host_grants_always(const struct host_map *map, uint64_t gpa, uint8_t right)
{
    const bool in_change = map->changing && gpa >= map->change.from && gpa < map->change.to;

    if (!host_grants(map, gpa, right)) {
        return false;
    }
    return !in_change || state_grants(changed(&map->change, map->now[host_page(gpa)]), right);
}
