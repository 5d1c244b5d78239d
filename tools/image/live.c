/*
 * A hypervisor that runs: its state by the control port, its memory by a file beside the socket if there is one, else by the
 * control port too, page by page.
 *
 * Nothing is stopped: registers are those of the moment when the image was opened, memory is that of each access (or, by the
 * control port, of the first access to a page). Who wants both of one moment stops the partition before.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/command.h"
#include "tools/image/link.h"
#include "tools/image/pages.h"
#include "tools/image/source.h"
#include "tools/image/state.h"
#include "tools/ui/json.h"

struct live {
    const char *path;
    struct link link;
    struct image_pages *pages; /* NULL if the machine's memory is mapped */
    char *memory_path;
};

/*
 * A machine of QEMU's with this much memory or more has what does not go below the gap for devices above 4 GiB; the file
 * has it without the gap.
 */
#define SPLIT_FROM_BYTES (7 * VMMU_1G_BYTES / 2)
#define SPLIT_AT         (3 * VMMU_1G_BYTES)
#define SPLIT_TO         (4 * VMMU_1G_BYTES)

static void add_mapped(struct image_opened *opened)
{
    const struct image_file *const file = &opened->file;
    const bool split = file->size_bytes >= SPLIT_FROM_BYTES;
    const uint64_t low = split ? SPLIT_AT : file->size_bytes;

    image_memory_add(&opened->memory, 0, low, file->bytes);
    if (split)
        image_memory_add(&opened->memory, SPLIT_TO, file->size_bytes - low, file->bytes + low);
}

/* The file of the machine's memory, if whoever started it left one. */
static bool map_memory(struct image_opened *opened, struct live *live, struct complaint *complaint)
{
    struct stat status;

    if (asprintf(&live->memory_path, "%s.memory", live->path) < 0) {
        live->memory_path = NULL;
        return complain(complaint, "%s", strerror(errno));
    }
    if (stat(live->memory_path, &status) != 0 || !S_ISREG(status.st_mode))
        return true;
    if (!image_file_open(&opened->file, live->memory_path, complaint))
        return false;
    add_mapped(opened);
    return true;
}

/*
 * The hypervisor is asked in the middle of a walk, which has no words for an other end that has gone: a page that is not answered
 * must not pass for one that is not there.
 */
static bool fetch(void *context, uint64_t address, uint8_t *bytes)
{
    struct live *const live = context;
    struct complaint complaint;
    enum link_found found;

    if (address >= IMAGE_ADDRESS_LIMIT)
        return false;
    found = link_read(&live->link, address, bytes, VMMU_PAGE_BYTES, &complaint);
    if (found == LINK_FAILED)
        give_up(COMMAND_INPUT, "%s: %s", live->path, complaint.text);
    return found == LINK_THERE;
}

static bool read_memory(void *context, uint64_t address, void *to, size_t size_bytes)
{
    const struct live *const live = context;

    return image_pages_read(live->pages, address, to, size_bytes);
}

static bool add_piece(struct image_opened *opened, struct json_object *piece, struct complaint *complaint)
{
    struct state_place place = { .words = "a piece of memory", .complaint = complaint };
    uint64_t base;
    uint64_t size_bytes;

    if (!state_number(&place, piece, "hpa", UINT64_MAX, &base) ||
        !state_number(&place, piece, "bytes", UINT64_MAX, &size_bytes)) {
        return false;
    }
    if (!vmmu_range_fits(base, size_bytes, IMAGE_ADDRESS_LIMIT)) {
        return complain(complaint, "a piece of memory at 0x%llx is empty, or ends beyond 52 bits of address",
                        (unsigned long long)base);
    }
    image_memory_add(&opened->memory, base, size_bytes, NULL);
    return true;
}

/* Without a file: what is known to be memory is what the partitions have. */
static bool add_pieces(struct image_opened *opened, struct complaint *complaint)
{
    struct json_object *const partitions = json_get_array(opened->image.state, "partitions");

    for (size_t i = 0; i < json_object_array_length(partitions); i++) {
        struct json_object *const pieces = json_get_array(json_object_array_get_idx(partitions, i), "memory");

        for (size_t j = 0; pieces != NULL && j < json_object_array_length(pieces); j++) {
            if (!add_piece(opened, json_object_array_get_idx(pieces, j), complaint))
                return false;
        }
    }
    return true;
}

static bool ask_memory(struct image_opened *opened, struct live *live, struct complaint *complaint)
{
    live->pages = image_pages_new(fetch, live);
    opened->memory.read = read_memory;
    opened->memory.read_context = live;
    opened->memory.open = true;
    return add_pieces(opened, complaint);
}

static bool open_live(struct image_opened *opened, const struct image_options *options,
                      struct complaint *complaint)
{
    struct live *const live = take_memory(1, sizeof(*live));
    struct image *const image = &opened->image;
    const char *line;

    (void)options;
    live->path = image->path;
    link_adopt(&live->link, -1);
    opened->own = live;
    image->format = IMAGE_LIVE;
    if (!link_open(&live->link, live->path, complaint) ||
        !link_document(&live->link, "state", "{\"vmmu_state\"", &line, complaint)) {
        return false;
    }
    image->state = image_state_parse(line, strlen(line), complaint);
    if (image->state == NULL || !map_memory(opened, live, complaint))
        return false;
    return opened->file.bytes != NULL || ask_memory(opened, live, complaint);
}

static void close_live(struct image_opened *opened)
{
    struct live *const live = opened->own;

    if (live == NULL)
        return;
    link_close(&live->link);
    image_pages_free(live->pages);
    /* The file holds its path until it is closed. */
    image_file_close(&opened->file);
    free(live->memory_path);
    free(live);
}

const struct image_source image_source_live = { .open = open_live, .close = close_live };
