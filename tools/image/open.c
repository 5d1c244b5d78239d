/*
 * Which kind of image a path names, and what all kinds have in common.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/image/source.h"

/* What files begin with. makedumpfile flattens compressed dumps. */
static const struct beginning {
    const char *text;
    enum image_format format;
} beginnings[] = {
    { "\177ELF", IMAGE_ELF },
    { "KDUMP   ", IMAGE_KDUMP },
    { "DISKDUMP", IMAGE_KDUMP },
    { "makedumpfile", IMAGE_KDUMP },
};

static enum image_format guess(const struct image_file *file)
{
    for (unsigned i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        const size_t length = strlen(beginnings[i].text);

        if (image_file_holds(file, 0, length) && memcmp(file->bytes, beginnings[i].text, length) == 0)
            return beginnings[i].format;
    }
    return IMAGE_RAW;
}

static const struct image_source *source_of(enum image_format format)
{
    switch (format) {
    case IMAGE_RAW: return &image_source_raw;
    case IMAGE_ELF:
    case IMAGE_VMMU: return &image_source_elf;
    case IMAGE_KDUMP: return &image_source_kdump;
    case IMAGE_LIVE: return &image_source_live;
    case IMAGE_GUESS: return NULL;
    }
    __builtin_unreachable();
}

void image_name_complaint(const char *path, struct complaint *complaint)
{
    struct complaint sentence = *complaint;

    (void)snprintf(complaint->text, sizeof(complaint->text), "%.100s%s: %.210s", path,
                   strlen(path) > 100 ? "..." : "", sentence.text);
}

/* A socket is a hypervisor that runs; all else is mapped. */
static bool open_any(struct image_opened *opened, const struct image_options *options,
                     struct complaint *complaint)
{
    const char *const path = opened->image.path;
    enum image_format format = options->format;
    struct stat status;

    if (stat(path, &status) != 0)
        return complain(complaint, "%s", strerror(errno));
    if (S_ISSOCK(status.st_mode) && format == IMAGE_GUESS)
        format = IMAGE_LIVE;
    if (S_ISSOCK(status.st_mode) != (format == IMAGE_LIVE)) {
        return complain(complaint,
                        format == IMAGE_LIVE ? "it is not a socket" : "it is a socket, not a file");
    }
    if (format != IMAGE_LIVE && !image_file_open(&opened->file, path, complaint))
        return false;
    if (format == IMAGE_GUESS)
        format = guess(&opened->file);
    opened->image.source = source_of(format);
    return opened->image.source->open(opened, options, complaint);
}

struct image *image_open(const char *path, const struct image_options *options, struct complaint *complaint)
{
    struct image_opened *const opened = take_memory(1, sizeof(*opened));
    struct image *const image = &opened->image;

    opened->file.descriptor = -1;
    image->private_data = opened;
    image->path = path;
    image->ram = image_memory_ram(&opened->memory);
    if (!open_any(opened, options, complaint)) {
        image_name_complaint(path, complaint);
        image_close(image);
        return NULL;
    }
    image_memory_settle(&opened->memory);
    image->ranges = opened->memory.ranges;
    image->range_count = opened->memory.count;
    image->processors = opened->processors;
    image->processor_count = opened->processor_count;
    return image;
}

bool image_read(const struct image *image, uint64_t address, void *to, size_t size_bytes)
{
    const struct image_opened *const opened = image->private_data;

    if (size_bytes != 0 && !vmmu_range_fits(address, size_bytes, IMAGE_ADDRESS_LIMIT))
        return false;
    return image_memory_read(&opened->memory, address, to, size_bytes);
}

void image_close(struct image *image)
{
    struct image_opened *const opened = image->private_data;

    if (image->source != NULL && image->source->close != NULL)
        image->source->close(opened);
    if (image->state != NULL)
        json_object_put(image->state);
    image_memory_free(&opened->memory);
    image_file_close(&opened->file);
    free(opened->processors);
    free(opened);
}
