/*
 * makedumpfile's flattened form of a compressed dump: pieces with their places, for outputs that cannot seek. QEMU writes all its
 * compressed dumps so; libkdumpfile wants them put in order.
 */
#ifndef TOOLS_IMAGE_UNFLATTEN_H
#define TOOLS_IMAGE_UNFLATTEN_H

#include "tools/image/file.h"

#define UNFLATTEN_MAGIC "makedumpfile"

/*
 * Write what @file holds, in order, to a file without a name in TMPDIR or /tmp: its descriptor, or -1 and *complaint. Memory is
 * not needed for it, room on the disk is: as much as @file has.
 */
int unflatten(const struct image_file *file, struct complaint *complaint);

#endif
