/*
 * Lints of entries that lead to tables, and of those that lead nowhere.
 */
#include <inttypes.h>

#include "tools/check/lint.h"
#include "tools/walk/names.h"

/* A look through all tables of a space. */
struct look {
    struct lint *lint;
    struct table_set seen;                  /* by level */
    struct table_set known;                 /* whatever their level */
    uint64_t open[VMMU_X86_MAX_LEVELS + 2]; /* the tables on the way to the entry, by level */
    unsigned levels;
};

static const char *name_of(const struct look *look, unsigned level)
{
    return entry_name(space_format(&look->lint->space), level);
}

static void tell_malformed(struct look *look, const struct vmmu_x86_scan_item *item)
{
    if (item->reserved) {
        check_found(look->lint->report, CHECK_RESERVED, place_of(item),
                    "%s 0x%" PRIx64 " at 0x%" PRIx64 ", reserved bits 0x%" PRIx64, name_of(look, item->level),
                    item->entry, item->place, item->reserved);
    } else {
        check_found(look->lint->report, CHECK_RESERVED, place_of(item),
                    "%s 0x%" PRIx64 " at 0x%" PRIx64 ", misconfigured", name_of(look, item->level),
                    item->entry, item->place);
    }
}

static void tell_absent(struct look *look, const struct vmmu_x86_scan_item *item)
{
    check_found(look->lint->report, CHECK_ABSENT, place_of(item), "the %ss would be at 0x%" PRIx64,
                name_of(look, item->level), item->place);
}

/* Count each table's page once, and tell one that has two meanings once. */
static void know(struct look *look, const struct vmmu_x86_scan_item *item, unsigned level)
{
    if (table_set_holds(&look->seen, item->frame, level)) {
        return;
    }
    table_set_add(&look->seen, item->frame, level);
    if (table_set_holds(&look->known, item->frame, 1)) {
        check_found(look->lint->report, CHECK_TWO_LEVELS, place_of(item),
                    "the table at 0x%" PRIx64 " is walked as one of %ss, too", item->frame,
                    name_of(look, level));
        return;
    }
    table_set_add(&look->known, item->frame, 1);
    stretches_add(&look->lint->tables, (struct stretch){
                                           .base = item->frame,
                                           .bytes = VMMU_PAGE_BYTES,
                                           .address = item->address,
                                           .level = (uint8_t)level,
                                       });
}

/* Whether @item leads to a table on the way to itself. */
static bool is_self_map(const struct look *look, const struct vmmu_x86_scan_item *item)
{
    for (unsigned level = item->level; level <= look->levels; level++) {
        if (look->open[level] == item->frame) {
            return true;
        }
    }
    return false;
}

static void take_table(struct look *look, const struct vmmu_x86_scan_item *item)
{
    const enum vmmu_x86_format_name format = space_format(&look->lint->space);

    if (is_self_map(look, item)) {
        check_found(look->lint->report, CHECK_SELF_MAP, place_of(item),
                    "%s at 0x%" PRIx64 " leads to the table at 0x%" PRIx64, name_of(look, item->level),
                    item->place, item->frame);
    }
    if (format == VMMU_X86_FORMAT_32BIT && (item->entry & vmmu_x86_formats[format].large)) {
        check_found(look->lint->report, CHECK_LARGE_IGNORED, place_of(item), "%s 0x%" PRIx64 " at 0x%" PRIx64,
                    name_of(look, item->level), item->entry, item->place);
    }
    look->open[item->level - 1] = item->frame;
    know(look, item, item->level - 1U);
}

static void take_root(struct look *look)
{
    const struct space *space = &look->lint->space;
    const uint64_t root = space->second ? space->second->root.v : space->mode.root.v;
    const struct vmmu_x86_scan_item item = { .frame = root & ~(VMMU_PAGE_BYTES - 1) };

    look->levels = vmmu_x86_formats[space_format(space)].levels;
    look->open[look->levels] = root;
    know(look, &item, look->levels);
}

bool lint_tables(struct lint *lint, struct complaint *complaint)
{
    struct look look = { .lint = lint };
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;
    enum vmmu_x86_scan_found found;

    if (!lint->space.second && lint->space.mode.paging == VMMU_X86_PAGING_NONE) {
        return true;
    }
    take_root(&look);
    space_scan(&lint->space, &scan);
    scan.tables = true;
    while ((found = vmmu_scan_next(&scan, &item)) != VMMU_X86_SCAN_END && found != VMMU_X86_SCAN_SPENT) {
        if (found == VMMU_X86_SCAN_TABLE) {
            take_table(&look, &item);
        } else if (found == VMMU_X86_SCAN_REFUSED) {
            tell_malformed(&look, &item);
        } else if (found == VMMU_X86_SCAN_ABSENT) {
            tell_absent(&look, &item);
        }
    }
    table_set_free(&look.seen);
    table_set_free(&look.known);
    stretches_sort(&lint->tables);
    if (!lint->space.second) {
        lint->report->looked.entries += lint->space.budget - scan.budget;
        lint->report->looked.tables += lint->tables.count;
    }
    return found == VMMU_X86_SCAN_END || space_spent(&lint->space, &scan, complaint);
}
