#include "tools/maps/ranges.h"

const char *const page_size_words[PAGE_SIZES] = {
    [PAGES_4K] = "4K", [PAGES_2M] = "2M", [PAGES_4M] = "4M", [PAGES_1G] = "1G", [PAGES_4G] = "4G",
};

enum page_size page_size_of(uint64_t page_bytes)
{
    static const uint64_t sizes[PAGE_SIZES] = {
        [PAGES_4K] = VMMU_PAGE_BYTES, [PAGES_2M] = VMMU_2M_BYTES, [PAGES_4M] = 2 * VMMU_2M_BYTES,
        [PAGES_1G] = VMMU_1G_BYTES,   [PAGES_4G] = BIT64(32),
    };
    unsigned size = 0;

    while (size + 1 < PAGE_SIZES && sizes[size] != page_bytes) {
        size++;
    }
    return (enum page_size)size;
}

static void look_ahead(struct ranges *ranges)
{
    ranges->found = vmmu_scan_next(&ranges->scan, &ranges->ahead);
}

void ranges_begin(struct ranges *ranges, const struct space *space, enum ranges_join join, bool physical)
{
    *ranges = (struct ranges){ .space = space, .join = join, .physical = physical };
    space_scan(space, &ranges->scan);
    look_ahead(ranges);
}

static enum range_kind kind_of(enum vmmu_x86_scan_found found)
{
    return found == VMMU_X86_SCAN_LEAF      ? RANGE_MAPPED
           : found == VMMU_X86_SCAN_REFUSED ? RANGE_MALFORMED
                                            : RANGE_ABSENT;
}

/* Whether pages agree in what ranges->join says. */
static bool agree(const struct ranges *ranges, const struct range *range,
                  const struct vmmu_x86_scan_item *page)
{
    const uint8_t protection = VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_USER;
    const uint8_t counts = ranges->join == RANGES_PROTECTION ? protection : VMMU_X86_RIGHTS_ALL;
    const struct vmmu_x86_scan_item *first = &range->first;

    if (((first->rights ^ page->rights) & counts) != 0) {
        return false;
    }
    if (ranges->join >= RANGES_TYPE && range->type != space_type(ranges->space, page)) {
        return false;
    }
    if (ranges->join >= RANGES_SIZE && first->bytes != page->bytes) {
        return false;
    }
    return ranges->join < RANGES_ALL || (first->global == page->global && first->key == page->key);
}

/* Whether what lies ahead goes on with @range. */
static bool continues(const struct ranges *ranges, const struct range *range)
{
    const struct vmmu_x86_scan_item *ahead = &ranges->ahead;

    if (ranges->found == VMMU_X86_SCAN_END || ranges->found == VMMU_X86_SCAN_SPENT ||
        kind_of(ranges->found) != range->kind || ahead->address != range->start + range->bytes) {
        return false;
    }
    if (range->kind == RANGE_MAPPED) {
        return agree(ranges, range, ahead) &&
               (!ranges->physical || ahead->frame == range->first.frame + range->bytes);
    }
    return ahead->level == range->first.level && ahead->reserved == range->first.reserved;
}

static void take(struct ranges *ranges, struct range *range)
{
    range->bytes += ranges->ahead.bytes;
    range->entries++;
    if (range->kind == RANGE_MAPPED) {
        range->pages[page_size_of(ranges->ahead.bytes)]++;
    }
    look_ahead(ranges);
}

enum vmmu_x86_scan_found ranges_next(struct ranges *ranges, struct range *range)
{
    if (ranges->found == VMMU_X86_SCAN_END || ranges->found == VMMU_X86_SCAN_SPENT) {
        return ranges->found;
    }
    *range = (struct range){
        .kind = kind_of(ranges->found),
        .start = ranges->ahead.address,
        .type = space_type(ranges->space, &ranges->ahead),
        .first = ranges->ahead,
    };
    do {
        take(ranges, range);
    } while (continues(ranges, range));
    return VMMU_X86_SCAN_LEAF;
}
