#include <inttypes.h>
#include <stdio.h>

#include "tools/command.h"
#include "tools/maps/json.h"
#include "tools/maps/roots.h"
#include "tools/ui/json.h"
#include "tools/ui/paint.h"
#include "tools/walk/names.h"

/* CR3 without what is no address: PCID, caching. */
static bool is_own(const struct machine *machine, const struct root *root)
{
    return machine->processor && machine->processor->has_paging &&
           vmmu_mode_root(machine->mode.paging, machine->processor->paging.cr3).v == root->cr3;
}

/* Linux has the root that user mode runs with in the page behind the kernel's. */
static bool has_pair(const struct machine *machine, const struct roots *roots, unsigned index)
{
    const struct root *root = &roots->found[index];

    return machine->mode.paging >= VMMU_X86_PAGING_PAE && (root->cr3 & VMMU_PAGE_BYTES) != 0 && index != 0 &&
           root[-1].cr3 == root->cr3 - VMMU_PAGE_BYTES;
}

static void print_json(const struct machine *machine, const struct space *space, const struct roots *roots)
{
    struct json_object *rest = json_object_new_object();
    struct json_rows rows;

    json_rows_begin_all(&rows, space, "vmmu_maps", "roots");
    for (unsigned i = 0; i < roots->count; i++) {
        struct json_object *row = json_object_new_object();

        json_put_hex(row, "cr3", roots->found[i].cr3);
        json_put_number(row, "present", roots->found[i].present);
        json_put_number(row, "upper", roots->found[i].upper);
        json_put_number(row, "shared", roots->found[i].shared);
        json_put_flag(row, "own", is_own(machine, &roots->found[i]));
        json_rows_add(&rows, row);
    }
    json_put_flag(rest, "complete", !roots->more);
    json_put_number(rest, "bytes_read", roots->bytes_read);
    json_rows_end(&rows, rest);
}

int roots_show(const struct machine *machine, const struct space *space, const struct roots *roots, bool json)
{
    char size[ENTRY_TEXT_BYTES];

    if (json) {
        print_json(machine, space, roots);
        return roots->count ? COMMAND_OK : COMMAND_NO;
    }
    printf("%sPlausible roots of %s tables%s\n", paint_on(PAINT_HEAD),
           format_words(machine->mode.layout.format), paint_off());
    space_print_doubt(space);
    printf("%s%-18s %8s %8s %8s%s\n", paint_on(PAINT_HEAD), "CR3", "entries", "upper", "shared", paint_off());
    for (unsigned i = 0; i < roots->count; i++) {
        const struct root *root = &roots->found[i];

        printf("%-18" PRIx64 " %8u %8u %8u%s%s\n", root->cr3, root->present, root->upper, root->shared,
               is_own(machine, root) ? "  in use" : "",
               has_pair(machine, roots, i) ? "  user root of the one before?" : "");
    }
    printf("%s%u root%s in %s%s%s\n", paint_on(PAINT_DIM), roots->count, roots->count == 1 ? "" : "s",
           size_text(roots->bytes_read, size), roots->more ? "; the search was ended, there is more" : "",
           paint_off());
    return roots->count ? COMMAND_OK : COMMAND_NO;
}
