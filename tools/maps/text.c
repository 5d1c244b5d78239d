#include "tools/maps/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/ui/paint.h"
#include "tools/walk/names.h"

/* Room for "512x4K 3x2M ..." */
#define PAGES_TEXT_BYTES 128

static const char *pages_text(const struct range *range, char to[PAGES_TEXT_BYTES])
{
    size_t used = 0;

    to[0] = '\0';
    for (unsigned size = 0; size < PAGE_SIZES; size++) {
        if (range->pages[size]) {
            used += (size_t)snprintf(to + used, PAGES_TEXT_BYTES - used, "%s%" PRIu64 "x%s", used ? " " : "",
                                     range->pages[size], page_size_words[size]);
        }
    }
    return to;
}

static void print_head(const struct space *space, const char *title)
{
    char text[SPACE_TEXT_BYTES];

    printf("%s%s of %s%s\n", paint_on(PAINT_HEAD), title, space_text(space, text), paint_off());
    space_print_doubt(space);
    if (!space->pat_known && !(space->second && space->second->kind == VMMU_X86_STAGE2_EPT)) {
        printf("%smemory types by the PAT as after a reset: the image does not tell it (--pat)%s\n",
               paint_on(PAINT_DIM), paint_off());
    }
}

void text_begin(struct text_rows *rows, const struct space *space, const struct show_options *options)
{
    const int digits = space_digits(space);

    *rows = (struct text_rows){ .space = space, .options = options };
    print_head(space, "Mappings");
    printf("%s%-*s %-*s %12s  %-6s", paint_on(PAINT_HEAD), digits, "start", digits, "end", "size", "rights");
    if (options->join >= RANGES_TYPE) {
        printf(" type");
    }
    printf(options->physical ? "  %-12s  pages" : "  pages", "physical");
    printf("%s\n", paint_off());
}

/* Pages that can be written and executed catch the eye; so do a user's. */
static enum paint paint_of(const struct range *range)
{
    const uint8_t both = VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_EXECUTE;

    if (range->kind != RANGE_MAPPED || (range->first.rights & both) == both) {
        return PAINT_BAD;
    }
    return (range->first.rights & VMMU_X86_RIGHT_USER) ? PAINT_NOTE : PAINT_PLAIN;
}

static void print_oddity(const struct text_rows *rows, const struct range *range)
{
    const struct vmmu_x86_scan_item *first = &range->first;
    const char *name = entry_name(space_format(rows->space), first->level);

    if (range->kind == RANGE_ABSENT) {
        printf("no memory at 0x%" PRIx64 ", where the %s is", first->place, name);
    } else if (first->reserved) {
        printf("malformed %s 0x%" PRIx64 " at 0x%" PRIx64 ": reserved bits 0x%" PRIx64, name, first->entry,
               first->place, first->reserved);
    } else {
        printf("misconfigured %s 0x%" PRIx64 " at 0x%" PRIx64, name, first->entry, first->place);
    }
    if (range->entries > 1) {
        printf(", and %" PRIu64 " more", range->entries - 1);
    }
    putchar('\n');
}

static void print_range(const struct text_rows *rows, const struct range *range)
{
    const int digits = space_digits(rows->space);
    const struct show_options *options = rows->options;
    const enum paint paint = paint_of(range);
    char size[ENTRY_TEXT_BYTES];
    char rights[ENTRY_TEXT_BYTES];
    char pages[PAGES_TEXT_BYTES];

    printf("%0*" PRIx64 "-%0*" PRIx64 " %12s  ", digits, range->start, digits, range->start + range->bytes,
           size_text(range->bytes, size));
    printf("%s", paint_on(paint));
    if (range->kind != RANGE_MAPPED) {
        print_oddity(rows, range);
        printf("%s", paint_off());
        return;
    }
    printf("%-6s%s", rights_text(range->first.rights, rights), paint_off());
    if (options->join >= RANGES_TYPE) {
        printf(" %-4s", memory_type_word(range->type));
    }
    if (options->physical) {
        printf("  %012" PRIx64, range->first.frame);
    }
    printf("  %s", pages_text(range, pages));
    if (options->join >= RANGES_ALL) {
        printf("%s", range->first.global ? " global" : "");
        if (range->first.key) {
            printf(" key %u", range->first.key);
        }
    }
    putchar('\n');
}

static void print_fold(const struct text_rows *rows, const struct fold *fold)
{
    char stride[ENTRY_TEXT_BYTES];

    if (fold->count < FOLD_LEAST || rows->options->all) {
        for (uint64_t i = 0; i < fold->count; i++) {
            const struct range range = fold_range(fold, i);

            print_range(rows, &range);
        }
        return;
    }
    print_range(rows, &fold->first);
    printf("%s%*s... %" PRIu64 " more like it, every %s up to %0*" PRIx64 "%s\n", paint_on(PAINT_DIM), 2, "",
           fold->count - 1, size_text(fold->stride, stride), space_digits(rows->space),
           fold->first.start + fold->stride * (fold->count - 1), paint_off());
}

void text_range(struct text_rows *rows, const struct range *range)
{
    struct fold done;

    /* Of folded ranges only the first is shown as it is: with frames, each is shown. */
    if (rows->options->all || rows->options->physical) {
        print_range(rows, range);
    } else if (fold_add(&rows->fold, range, &done)) {
        print_fold(rows, &done);
    }
}

void text_finish(struct text_rows *rows)
{
    print_fold(rows, &rows->fold);
    rows->fold.count = 0;
}

void text_totals(const struct show_totals *totals)
{
    struct range all = { .kind = RANGE_MAPPED };
    char size[ENTRY_TEXT_BYTES];
    char pages[PAGES_TEXT_BYTES];

    memcpy(all.pages, totals->pages, sizeof(all.pages));
    printf("%s%" PRIu64 " range%s, ", paint_on(PAINT_DIM), totals->ranges, totals->ranges == 1 ? "" : "s");
    if (totals->bytes) {
        printf("%s in pages %s; ", size_text(totals->bytes, size), pages_text(&all, pages));
    }
    printf("%" PRIu64 " entries read%s\n", totals->entries_read, paint_off());
}

void text_pages_head(const struct space *space)
{
    const int digits = space_digits(space);

    print_head(space, "Pages");
    printf("%s%-*s %-13s %-4s %-6s %-4s %-6s %s%s\n", paint_on(PAINT_HEAD), digits, "address", "physical",
           "size", "rights", "type", "bits", "entry", paint_off());
}

void text_page(const struct space *space, enum vmmu_x86_scan_found found,
               const struct vmmu_x86_scan_item *item)
{
    const int digits = space_digits(space);
    char rights[ENTRY_TEXT_BYTES];

    if (found != VMMU_X86_SCAN_LEAF) {
        printf("%0*" PRIx64 " %s%s of level %u at 0x%" PRIx64 "%s\n", digits, item->address,
               paint_on(PAINT_BAD),
               found == VMMU_X86_SCAN_REFUSED ? "malformed entry" : "no memory for entries", item->level,
               item->place, paint_off());
        return;
    }
    printf("%0*" PRIx64 " %013" PRIx64 " %-4s %-6s %-4s %c%c%c    %0*" PRIx64 "\n", digits, item->address,
           item->frame, page_size_words[page_size_of(item->bytes)], rights_text(item->rights, rights),
           memory_type_word(space_type(space, item)), item->accessed ? 'A' : '-', item->dirty ? 'D' : '-',
           item->global ? 'G' : '-', digits, item->entry);
}
