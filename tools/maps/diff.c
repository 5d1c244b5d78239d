#include "tools/maps/diff.h"

static void next_page(struct diff_side *side)
{
    do {
        side->found = vmmu_scan_next(&side->scan, &side->page);
    } while (side->found == VMMU_X86_SCAN_REFUSED || side->found == VMMU_X86_SCAN_ABSENT);
    side->at = side->page.address;
}

static bool has_page(const struct diff_side *side)
{
    return side->found == VMMU_X86_SCAN_LEAF;
}

static uint64_t last_of(const struct diff_side *side)
{
    return side->page.address + (side->page.bytes - 1);
}

static enum diff_kind compare(const struct diff_side *first, const struct diff_side *second)
{
    const uint64_t one = first->page.frame + (first->at - first->page.address);
    const uint64_t other = second->page.frame + (second->at - second->page.address);

    if (one != other) {
        return DIFF_MEMORY;
    }
    if (first->page.rights != second->page.rights) {
        return DIFF_RIGHTS;
    }
    return space_type(first->space, &first->page) == space_type(second->space, &second->page) ? DIFF_SAME
                                                                                              : DIFF_TYPE;
}

/* Go on behind @last, in whichever side has looked at its page so far. */
static void pass(struct diff_side *side, uint64_t last)
{
    if (!has_page(side) || side->at > last) {
        return;
    }
    if (last == last_of(side)) {
        next_page(side);
    } else {
        side->at = last + 1;
    }
}

/* The next addresses that either both map by one page each, or one of them. */
static enum vmmu_x86_scan_found next_part(struct diff *diff, struct diff_piece *piece)
{
    struct diff_side *first = &diff->first;
    struct diff_side *second = &diff->second;

    if (first->found == VMMU_X86_SCAN_SPENT || second->found == VMMU_X86_SCAN_SPENT) {
        return VMMU_X86_SCAN_SPENT;
    }
    if (!has_page(first) && !has_page(second)) {
        return VMMU_X86_SCAN_END;
    }
    const bool by_first = has_page(first) && (!has_page(second) || first->at <= second->at);
    const bool by_second = has_page(second) && (!has_page(first) || second->at <= first->at);
    const struct diff_side *leader = by_first ? first : second;
    const struct diff_side *other = by_first ? second : first;
    uint64_t last = last_of(leader);

    if (has_page(other)) {
        const uint64_t limit = by_first && by_second ? last_of(other) : other->at - 1;

        last = limit < last ? limit : last;
    }
    *piece = (struct diff_piece){
        .kind = !by_second  ? DIFF_ONLY_FIRST
                : !by_first ? DIFF_ONLY_SECOND
                            : compare(first, second),
        .start = leader->at,
        .bytes = last - leader->at + 1,
        .first_rights = by_first ? first->page.rights : 0,
        .second_rights = by_second ? second->page.rights : 0,
    };
    pass(first, last);
    pass(second, last);
    return VMMU_X86_SCAN_LEAF;
}

void diff_begin(struct diff *diff, const struct space *first, const struct space *second)
{
    diff->first.space = first;
    diff->second.space = second;
    space_scan(first, &diff->first.scan);
    space_scan(second, &diff->second.scan);
    next_page(&diff->first);
    next_page(&diff->second);
    diff->found = next_part(diff, &diff->ahead);
}

enum vmmu_x86_scan_found diff_next(struct diff *diff, struct diff_piece *piece)
{
    const struct diff_piece *ahead = &diff->ahead;

    if (diff->found != VMMU_X86_SCAN_LEAF) {
        return diff->found;
    }
    *piece = *ahead;
    for (;;) {
        diff->found = next_part(diff, &diff->ahead);
        if (diff->found != VMMU_X86_SCAN_LEAF || ahead->kind != piece->kind ||
            ahead->start != piece->start + piece->bytes || ahead->first_rights != piece->first_rights ||
            ahead->second_rights != piece->second_rights) {
            return VMMU_X86_SCAN_LEAF;
        }
        piece->bytes += ahead->bytes;
    }
}
