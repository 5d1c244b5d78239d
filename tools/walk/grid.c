/*
 * The grid that textbooks draw of a two-dimensional walk: each row finds out where the machine has one of the guest's tables,
 * and ends in the guest's entry there; the last row finds the page.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/ui/paint.h"
#include "tools/walk/names.h"
#include "tools/walk/render.h"

#define COLUMNS_MOST (VMMU_X86_MAX_LEVELS + 2) /* label, second stage, guest */
#define ROWS_MOST    (VMMU_X86_MAX_LEVELS + 1)
#define CELL_BYTES   48

/* The characters of the frame. */
struct frame {
    const char *across, *down;
    const char *top[3], *middle[3], *bottom[3]; /* left, between, right */
};

static const struct frame ascii = { "-", "|", { "+", "+", "+" }, { "+", "+", "+" }, { "+", "+", "+" } };
static const struct frame boxes_of_unicode = {
    "─", "│", { "┌", "┬", "┐" }, { "├", "┼", "┤" }, { "└", "┴", "┘" },
};

/* One cell: two lines of text. */
struct cell {
    char lines[2][CELL_BYTES];
    enum paint paint;
};

struct grid {
    struct cell cells[ROWS_MOST + 1][COLUMNS_MOST]; /* the first row: headings */
    unsigned rows;
    unsigned columns;
    unsigned width; /* of each column */
};

/* Rows run from the guest's root level down to 0, the final access; those that the walk never came to are left out. */
static unsigned row_of(const struct walk_model *model, unsigned entry)
{
    unsigned rows = 1;

    for (unsigned i = 1; i <= entry; i++) {
        rows += model->entries[i].row != model->entries[i - 1].row;
    }
    return rows;
}

static void fill_heads(const struct walk_model *model, struct grid *grid)
{
    const unsigned levels = vmmu_format_of(&model->second.layout)->levels;

    for (unsigned level = levels; level > 0; level--) {
        snprintf(grid->cells[0][levels - level + 1].lines[0], CELL_BYTES, "nL%u", level);
    }
    snprintf(grid->cells[0][levels + 1].lines[0], CELL_BYTES, "guest");
}

/* What a row looks for, and its guest-physical address. */
static void fill_label(const struct walk_model *model, unsigned row, struct cell *cell)
{
    uint64_t gpa;

    if (row > 0) {
        snprintf(cell->lines[0], CELL_BYTES, "gL%u", row);
    } else {
        snprintf(cell->lines[0], CELL_BYTES, "page");
    }
    if (walk_row_address(model, row, &gpa)) {
        snprintf(cell->lines[1], CELL_BYTES, "%" PRIx64, gpa);
    }
    cell->paint = PAINT_HEAD;
}

/* A reference's number, and of a large page that ends the row early its size; below, where in the machine. */
static void fill_cell(const struct walk_model *model, unsigned index, struct cell *cell)
{
    const struct walk_entry *entry = &model->entries[index];
    char size[ENTRY_TEXT_BYTES] = "";

    if (entry->step.stage == VMMU_X86_STAGE_REGISTER) {
        snprintf(cell->lines[0], CELL_BYTES, "register");
        return;
    }
    if (entry->present && entry->leaf && entry->step.level > 1) {
        size_text(vmmu_format_level_bytes(&vmmu_x86_formats[entry->format].level[entry->step.level]), size);
    }
    snprintf(cell->lines[0], CELL_BYTES, "%u%s%.10s", entry->number, size[0] != '\0' ? " " : "", size);
    snprintf(cell->lines[1], CELL_BYTES, "%" PRIx64, entry->step.place);
    cell->paint = entry->step.stage == VMMU_X86_STAGE_GUEST ? PAINT_NOTE : PAINT_PLAIN;
    for (unsigned i = 0; i < model->cause_count; i++) {
        if (model->causes[i].entry == (int)index) {
            cell->paint = PAINT_BAD;
        }
    }
}

static void fill(const struct walk_model *model, struct grid *grid)
{
    const unsigned levels = vmmu_format_of(&model->second.layout)->levels;

    memset(grid, 0, sizeof(*grid));
    grid->columns = levels + 2;
    fill_heads(model, grid);
    for (unsigned i = 0; i < model->entry_count; i++) {
        const struct walk_entry *entry = &model->entries[i];
        const bool second = entry->step.stage == VMMU_X86_STAGE_SECOND;
        const unsigned row = row_of(model, i);

        fill_label(model, entry->row, &grid->cells[row][0]);
        fill_cell(model, i, &grid->cells[row][second ? levels - entry->step.level + 1 : levels + 1]);
        grid->rows = row + 1;
    }
    for (unsigned row = 0; row < grid->rows; row++) {
        for (unsigned column = 0; column < grid->columns; column++) {
            for (unsigned line = 0; line < 2; line++) {
                const unsigned length = (unsigned)strlen(grid->cells[row][column].lines[line]);

                grid->width = length > grid->width ? length : grid->width;
            }
        }
    }
}

static void print_border(const struct grid *grid, const struct frame *frame, const char *const corners[3])
{
    for (unsigned column = 0; column < grid->columns; column++) {
        printf("%s", corners[column == 0 ? 0 : 1]);
        for (unsigned i = 0; i < grid->width + 2; i++) {
            printf("%s", frame->across);
        }
    }
    printf("%s\n", corners[2]);
}

static void print_row(const struct grid *grid, unsigned row, const struct frame *frame)
{
    for (unsigned line = 0; line < (row == 0 ? 1U : 2U); line++) {
        for (unsigned column = 0; column < grid->columns; column++) {
            const struct cell *cell = &grid->cells[row][column];

            printf("%s %s%-*s%s ", frame->down, paint_on(row == 0 ? PAINT_HEAD : cell->paint),
                   (int)grid->width, cell->lines[line], paint_off());
        }
        printf("%s\n", frame->down);
    }
}

void walk_print_grid(const struct walk_model *model, bool boxes)
{
    const struct frame *frame = boxes ? &boxes_of_unicode : &ascii;
    struct grid grid;

    fill(model, &grid);
    print_border(&grid, frame, frame->top);
    for (unsigned row = 0; row < grid.rows; row++) {
        if (row > 0) {
            print_border(&grid, frame, frame->middle);
        }
        print_row(&grid, row, frame);
    }
    print_border(&grid, frame, frame->bottom);
    printf("\n");
}
