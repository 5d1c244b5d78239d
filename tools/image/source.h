/*
 * How each kind of image is opened: the inside of this room.
 */
#ifndef TOOLS_IMAGE_SOURCE_H
#define TOOLS_IMAGE_SOURCE_H

#include "tools/image/file.h"
#include "tools/image/image.h"
#include "tools/image/memory.h"

/* An image while it is opened, and as long as it lives. */
struct image_opened {
    struct image image; /* what the callers see */
    struct image_file file;
    struct image_memory memory;
    struct image_processor *processors;
    unsigned processor_count;
    void *own; /* of the source */
};

struct image_source {
    /*
     * Fill in memory, processors and the rest of @opened, whose file is mapped unless this is a socket. Whatever was taken is
     * given back by close(), even if this answers false.
     */
    bool (*open)(struct image_opened *opened, const struct image_options *options,
                 struct complaint *complaint);

    /* NULL if there is nothing of its own. */
    void (*close)(struct image_opened *opened);
};

/* Put the file that something is wrong with before what is wrong. */
void image_name_complaint(const char *path, struct complaint *complaint);

extern const struct image_source image_source_raw;
extern const struct image_source image_source_elf; /* and of our hypervisor's */
extern const struct image_source image_source_kdump;
extern const struct image_source image_source_live;

#endif
