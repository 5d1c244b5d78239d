/*
 * Compressed kdump files, as makedumpfile and QEMU's dump-guest-memory write them: pages by libkdumpfile, registers from the notes,
 * which we find ourselves, for libkdumpfile does not look at them unless it knows the kernel.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/image/kdump_child.h"
#include "tools/image/notes.h"
#include "tools/image/pages.h"
#include "tools/image/source.h"
#include "tools/image/unflatten.h"

struct kdump {
    const char *path;
    struct kdump_child child;
    struct image_pages *pages;
    bool told; /* that a page cannot be read */
};

/*
 * Where the headers of the two word sizes have what: after the names of the system times differ, in the second header
 * all that is a C long.
 */
struct header_layout {
    uint16_t block_bytes;
    uint16_t notes_offset; /* from the second header on, like all below */
    uint16_t notes_bytes;
    uint16_t kernel_offset;
    uint16_t kernel_bytes;
    uint8_t width_bytes; /* of sizes; offsets have 8 bytes always */
};

static const struct header_layout layouts[] = {
    { .block_bytes = 428,
      .kernel_offset = 32,
      .kernel_bytes = 40,
      .notes_offset = 48,
      .notes_bytes = 56,
      .width_bytes = 8 },
    { .block_bytes = 416,
      .kernel_offset = 20,
      .kernel_bytes = 28,
      .notes_offset = 32,
      .notes_bytes = 40,
      .width_bytes = 4 },
};

#define VERSION_AT          8
#define MACHINE_AT          272 /* a text: what uname -m says */
#define BLOCK_BYTES         UINT64_C(4096)
#define HEADERS_BYTES       (2 * BLOCK_BYTES)

/* Versions of the header since which it says where the kernel's words about itself and the notes are. */
#define VERSION_WITH_KERNEL 3
#define VERSION_WITH_NOTES  4

static uint64_t field(const uint8_t *bytes, unsigned width_bytes)
{
    uint64_t value = 0;

    memcpy(&value, bytes, width_bytes);
    return value;
}

static const struct header_layout *layout_of(const struct image_file *file)
{
    for (unsigned i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if (field(file->bytes + layouts[i].block_bytes, 4) == BLOCK_BYTES)
            return &layouts[i];
    }
    return NULL;
}

/* A part of the file that the second header names: zero bytes if it names none. */
static bool part_of(const struct image_file *file, const char *what, const uint64_t place[2],
                    struct complaint *complaint)
{
    if (image_file_holds(file, place[0], place[1]))
        return true;
    return complain(complaint,
                    "its header has 0x%llx bytes of %s at 0x%llx of the file, which ends at 0x%llx",
                    (unsigned long long)place[1], what, (unsigned long long)place[0],
                    (unsigned long long)file->size_bytes);
}

/* Behind the first header come the blocks of the second, then those of the maps of pages. */
static bool check_maps(const struct image_file *file, const struct header_layout *layout,
                       struct complaint *complaint)
{
    const uint64_t second = field(file->bytes + layout->block_bytes + 4, 4);
    const uint64_t maps = field(file->bytes + layout->block_bytes + 8, 4);

    if (image_file_holds(file, (1 + second) * BLOCK_BYTES, maps * BLOCK_BYTES))
        return true;
    return complain(complaint,
                    "its header has %llu blocks of maps of pages behind %llu others, more than the file",
                    (unsigned long long)maps, 1 + (unsigned long long)second);
}

static bool read_headers(const struct image_file *file, struct notes *notes, struct complaint *complaint)
{
    const struct header_layout *layout;
    const uint8_t *const second = file->bytes + BLOCK_BYTES;

    if (!image_file_holds(file, 0, HEADERS_BYTES))
        return complain(complaint, "it ends within the headers of a compressed dump");
    layout = layout_of(file);
    if (layout == NULL) {
        return complain(complaint,
                        "it is a compressed dump of a machine that is not x86, or its header lies");
    }
    if (!check_maps(file, layout, complaint))
        return false;
    const uint64_t version = field(file->bytes + VERSION_AT, 4);
    const uint64_t kernel[2] = { field(second + layout->kernel_offset, 8),
                                 field(second + layout->kernel_bytes, layout->width_bytes) };
    const uint64_t note[2] = { field(second + layout->notes_offset, 8),
                               field(second + layout->notes_bytes, layout->width_bytes) };

    if (version >= VERSION_WITH_KERNEL) {
        if (!part_of(file, "VMCOREINFO", kernel, complaint))
            return false;
        notes->vmcoreinfo = kernel[1] == 0 ? NULL : (const char *)file->bytes + kernel[0];
        notes->vmcoreinfo_bytes = (size_t)kernel[1];
    }
    if (version < VERSION_WITH_NOTES)
        return true;
    return part_of(file, "notes", note, complaint) &&
           notes_read(notes, file->bytes + note[0], note[1], note[0], complaint);
}

/*
 * A page that cannot be read is not there for those who walk. Somebody has to be told why, once: that the file is damaged, and not the
 * machine.
 */
static bool fetch(void *context, uint64_t address, uint8_t *bytes)
{
    struct kdump *const kdump = context;
    struct complaint complaint;
    const enum kdump_page page = kdump_child_read(&kdump->child, address, bytes, &complaint);

    if (page == KDUMP_PAGE_BROKEN && !kdump->told) {
        kdump->told = true;
        (void)fprintf(stderr, "vmmu: %s: the page at 0x%llx cannot be read, and passes for absent: %s\n",
                      kdump->path, (unsigned long long)address, complaint.text);
    }
    return page == KDUMP_PAGE_THERE;
}

static bool read_pages(void *context, uint64_t address, void *to, size_t size_bytes)
{
    const struct kdump *const kdump = context;

    return image_pages_read(kdump->pages, address, to, size_bytes);
}

static bool open_library(struct image_opened *opened, struct complaint *complaint)
{
    struct kdump *const kdump = take_memory(1, sizeof(*kdump));

    opened->own = kdump;
    kdump->path = opened->image.path;
    kdump->child.socket = -1;
    kdump->pages = image_pages_new(fetch, kdump);
    opened->memory.read = read_pages;
    opened->memory.read_context = kdump;
    return kdump_child_start(&kdump->child, opened->file.descriptor, &opened->memory, complaint);
}

static bool is_flattened(const struct image_file *file)
{
    return image_file_holds(file, 0, sizeof(UNFLATTEN_MAGIC)) &&
           memcmp(file->bytes, UNFLATTEN_MAGIC, sizeof(UNFLATTEN_MAGIC)) == 0;
}

static bool put_in_order(struct image_opened *opened, struct complaint *complaint)
{
    const int descriptor = unflatten(&opened->file, complaint);

    if (descriptor < 0)
        return false;
    image_file_close(&opened->file);
    return image_file_map(&opened->file, opened->image.path, descriptor, complaint);
}

static bool open_kdump(struct image_opened *opened, const struct image_options *options,
                       struct complaint *complaint)
{
    static const char machine64[] = "x86_64";
    struct notes notes = { 0 };
    bool fine;

    (void)options;
    if (is_flattened(&opened->file) && !put_in_order(opened, complaint))
        return false;
    fine = read_headers(&opened->file, &notes, complaint);
    if (fine && memcmp(opened->file.bytes + MACHINE_AT, machine64, sizeof(machine64)) == 0)
        notes.long_mode = true;
    if (fine)
        notes_infer(&notes);
    opened->processors = notes.processors;
    opened->processor_count = notes.processor_count;
    opened->image.format = IMAGE_KDUMP;
    return fine && open_library(opened, complaint);
}

static void close_kdump(struct image_opened *opened)
{
    struct kdump *const kdump = opened->own;

    if (kdump == NULL)
        return;
    kdump_child_stop(&kdump->child);
    image_pages_free(kdump->pages);
    free(kdump);
}

const struct image_source image_source_kdump = { .open = open_kdump, .close = close_kdump };
