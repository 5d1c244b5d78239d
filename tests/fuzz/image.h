/*
 * What the targets of image formats share: opening bytes as a file, and what holds for any image that opens.
 */
#ifndef TESTS_FUZZ_IMAGE_H
#define TESTS_FUZZ_IMAGE_H

#include "tests/fuzz/input.h"
#include "tools/image/image.h"

/*
 * Open @size bytes as the file that they are. NULL if they are refused, after a look at the complaint: a sentence of one line that
 * names the file.
 */
struct image *fuzz_image_open(const void *data, size_t size, const struct image_options *options);

/*
 * Check what holds for @image, and close it: ranges ascend and lie apart, all ways to read agree, and its processors' tables can be
 * walked, whatever they hold. @input says where to look.
 */
void fuzz_image_use(struct image *image, struct input *input);

/* The same for each of its partitions that opens. */
void fuzz_partitions_use(struct image *image, struct input *input);

/* A sentence is not empty and of one line. */
void fuzz_complaint_check(const struct complaint *complaint);

#endif
