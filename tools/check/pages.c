/*
 * Lints of what is mapped: rights by ranges of addresses, and memory by who maps it.
 */
#include <inttypes.h>
#include <string.h>

#include "tools/check/lint.h"
#include "tools/walk/names.h"

static void tell_range(struct lint *lint, enum check_kind kind, const struct range *range)
{
    char rights[ENTRY_TEXT_BYTES];

    check_found(lint->report, kind, (struct check_place){ range->start, range->bytes }, "%s",
                rights_text(range->first.rights, rights));
}

static void judge_range(struct lint *lint, const struct range *range)
{
    const uint8_t both = VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_EXECUTE;
    const uint8_t rights = range->first.rights;
    const bool user = (rights & VMMU_X86_RIGHT_USER) != 0;

    for (unsigned size = 0; size < PAGE_SIZES; size++) {
        lint->report->looked.pages += range->pages[size];
    }
    if (lint->space.mode.nx && (rights & both) == both) {
        tell_range(lint, CHECK_WRITE_EXECUTE, range);
    }
    if (user && range->start + (range->bytes - 1) >= lint->upper_half) {
        struct range upper = *range;

        /* What is joined may begin below. */
        upper.start = range->start > lint->upper_half ? range->start : lint->upper_half;
        upper.bytes = range->bytes - (upper.start - range->start);
        tell_range(lint, CHECK_USER_UPPER, &upper);
    }
    if (user && range->first.global) {
        tell_range(lint, CHECK_GLOBAL_USER, range);
    }
}

bool lint_ranges(struct lint *lint, struct complaint *complaint)
{
    struct ranges ranges;
    struct range range;
    enum vmmu_x86_scan_found found;

    if (!lint->space.mode.nx) {
        check_found(lint->report, CHECK_NO_NX,
                    (struct check_place){ 0, lint->space.mode.address_bits == 32 ? BIT64(32) : 0 },
                    "no right to execute can be withheld");
    }
    ranges_begin(&ranges, &lint->space, RANGES_ALL, false);
    while ((found = ranges_next(&ranges, &range)) == VMMU_X86_SCAN_LEAF) {
        if (range.kind == RANGE_MAPPED) {
            judge_range(lint, &range);
        }
    }
    return found == VMMU_X86_SCAN_END || space_spent(&lint->space, &ranges.scan, complaint);
}

/* UC- is UC unless an MTRR says WC. */
static uint8_t plain_type(unsigned type)
{
    return (uint8_t)(type == VMMU_X86_TYPE_UC_MINUS ? (unsigned)VMMU_X86_TYPE_UC : type);
}

/* Stretches that are kept: kernels have some hundreds, hostile tables as many as entries may be read. */
#define STRETCHES_MOST 500000U

/* All that is mapped, contiguous in memory; what a kernel maps again and again in a row is kept once. */
static bool collect(struct lint *lint, struct stretches *mapped, struct complaint *complaint)
{
    struct ranges ranges;
    struct range range;
    enum vmmu_x86_scan_found found;

    ranges_begin(&ranges, &lint->space, RANGES_TYPE, true);
    while ((found = ranges_next(&ranges, &range)) == VMMU_X86_SCAN_LEAF && mapped->count < STRETCHES_MOST) {
        const struct stretch *last = mapped->count ? &mapped->list[mapped->count - 1] : NULL;
        const struct stretch stretch = {
            .base = range.first.frame,
            .bytes = range.bytes,
            .address = range.start,
            .type = plain_type(range.type),
            .rights = range.first.rights,
        };

        if (range.kind == RANGE_MAPPED &&
            !(last && last->base == stretch.base && last->bytes == stretch.bytes &&
              last->type == stretch.type && last->rights == stretch.rights)) {
            stretches_add(mapped, stretch);
        }
    }
    stretches_sort(mapped);
    if (found == VMMU_X86_SCAN_LEAF) {
        check_found(lint->report, CHECK_TOO_MANY, (struct check_place){ range.start, 0 },
                    "%u stretches are mapped below; what follows was left out", STRETCHES_MOST);
        return true;
    }
    return found == VMMU_X86_SCAN_END || space_spent(&lint->space, &ranges.scan, complaint);
}

static void tell_alias(struct lint *lint, const struct stretch *one, const struct stretch *other)
{
    const uint64_t one_last = one->base + (one->bytes - 1);
    const uint64_t other_last = other->base + (other->bytes - 1);
    const uint64_t bytes = (one_last < other_last ? one_last : other_last) - other->base + 1;

    check_found(lint->report, CHECK_ALIAS, (struct check_place){ other->address, bytes },
                "to 0x%" PRIx64 " as %s; at %0*" PRIx64 " as %s", other->base, memory_type_word(other->type),
                lint->report->digits, one->address + (other->base - one->base), memory_type_word(one->type));
}

/* Sorted by base: of each type only the stretch that reaches furthest can overlap what comes. */
static void find_aliases(struct lint *lint, const struct stretches *mapped)
{
    const struct stretch *furthest[8] = { NULL };

    for (unsigned i = 0; i < mapped->count; i++) {
        const struct stretch *stretch = &mapped->list[i];
        const struct stretch **own = &furthest[stretch->type & 7];

        for (unsigned type = 0; type < 8; type++) {
            const struct stretch *other = furthest[type];

            if (other && type != stretch->type && stretch->base - other->base < other->bytes) {
                tell_alias(lint, other, stretch);
            }
        }
        if (!*own || (*own)->base + (*own)->bytes < stretch->base + stretch->bytes) {
            *own = stretch;
        }
    }
}

static void find_writable_tables(struct lint *lint, const struct stretch *stretch)
{
    const uint8_t both = VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_USER;
    const struct stretch *end = lint->tables.list + lint->tables.count;

    if ((stretch->rights & both) != both) {
        return;
    }
    for (const struct stretch *table = stretches_find(&lint->tables, stretch->base, stretch->bytes);
         table && table < end && table->base - stretch->base < stretch->bytes; table++) {
        check_found(lint->report, CHECK_TABLE_WRITABLE,
                    (struct check_place){ stretch->address + (table->base - stretch->base), VMMU_PAGE_BYTES },
                    "the table of %ss at 0x%" PRIx64, entry_name(space_format(&lint->space), table->level),
                    table->base);
    }
}

/*
 * A write-back stretch, where it lies outside of memory: its parts between the image's ranges. *next is the first range that
 * may matter to it or to a later one.
 */
static void find_outside(struct lint *lint, const struct stretch *stretch, unsigned *next)
{
    const struct machine *machine = lint->machine;
    const uint64_t end = stretch->base + stretch->bytes;
    uint64_t at = stretch->base;

    while (*next < machine->range_count &&
           machine->ranges[*next].base + machine->ranges[*next].size_bytes <= stretch->base) {
        ++*next;
    }
    for (unsigned i = *next; at < end; i++) {
        const struct image_range *range = i < machine->range_count ? &machine->ranges[i] : NULL;
        const uint64_t gap_end = range && range->base < end ? range->base : end;

        if (gap_end > at) {
            const uint64_t address = stretch->address + (at - stretch->base);

            check_found(lint->report, CHECK_NO_MEMORY, (struct check_place){ address, gap_end - at },
                        "to 0x%" PRIx64, at);
        }
        at = range ? range->base + range->size_bytes : end;
    }
}

bool lint_frames(struct lint *lint, struct complaint *complaint)
{
    struct stretches mapped = { 0 };
    const bool flat = !lint->space.second && lint->space.mode.paging == VMMU_X86_PAGING_NONE;
    const bool ranges_fit = !lint->machine->has_second || lint->machine->partition;
    unsigned next_range = 0;
    bool done = true;

    if (!flat && (done = collect(lint, &mapped, complaint))) {
        find_aliases(lint, &mapped);
        for (unsigned i = 0; i < mapped.count; i++) {
            find_writable_tables(lint, &mapped.list[i]);
            /* Behind a second stage, pages are not named as the image's ranges are. */
            if (mapped.list[i].type == VMMU_X86_TYPE_WB && ranges_fit) {
                find_outside(lint, &mapped.list[i], &next_range);
            }
        }
    }
    stretches_free(&mapped);
    return done;
}
