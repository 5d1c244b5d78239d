/*
 * U-Boot's legacy images: a header of 64 bytes, big-endian, and the data behind it.
 */
#ifndef HV_GUEST_UIMAGE_H
#define HV_GUEST_UIMAGE_H

#include "hv/guest/images.h"
#include "hv/guest/pieces.h"

/* Whether the bytes begin as such an image does. */
bool uimage_is_image(const struct guest_blob *blob);

/**
 * Check all of the image, its checksums too, and claim and copy its data to its load address.
 *
 * Returns
 *   VMMU_OK       *entry is its entry point, which lies in the data
 *   VMMU_INVALID  *error is a sentence: damaged, compressed, or not a program for PowerPC
 */
VMMU_MUST_USE
enum vmmu_status uimage_load(const struct guest_blob *blob, struct pieces *pieces, uint64_t *entry,
                             const char **error);

#endif
