/*
 * A file, mapped to be read. A file that becomes shorter while it is mapped, or whose disk fails, ends the program with a
 * sentence and COMMAND_INPUT: there is no way back from the middle of a walk.
 */
#ifndef TOOLS_IMAGE_FILE_H
#define TOOLS_IMAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/ui/complain.h"

struct image_file {
    const char *path; /* borrowed */
    const uint8_t *bytes;
    uint64_t size_bytes;
    int descriptor;          /* -1 if there is none */
    struct image_file *next; /* all that are mapped */
};

/* Open and map @path, a regular file that is not empty. @file stays where it is until image_file_close(). */
bool image_file_open(struct image_file *file, const char *path, struct complaint *complaint);

/* Map @descriptor, which is taken over, whatever comes of it. */
bool image_file_map(struct image_file *file, const char *path, int descriptor, struct complaint *complaint);

/* Harmless if nothing was opened: @file all zero but for `descriptor` -1. */
void image_file_close(struct image_file *file);

/* Whether [offset, offset + size_bytes) lies in @file. */
bool image_file_holds(const struct image_file *file, uint64_t offset, uint64_t size_bytes);

#endif
