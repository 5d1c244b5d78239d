/*
 * Filling a boot_info: what readers of loaders' information have in common.
 */
#ifndef HV_BOOT_COLLECT_H
#define HV_BOOT_COLLECT_H

#include "hv/boot/boot.h"

/* A region more, joined with the last one if it follows it and is of its kind. Nothing for 0 bytes. False: no room. */
VMMU_MUST_USE
bool collect_region(struct boot_info *info, uint64_t base, uint64_t size_bytes, enum boot_region_kind kind);

/*
 * A copy of the text at @bytes, which ends at a NUL or after @size_bytes; NULL: there is no room.
 */
VMMU_MUST_USE
const char *collect_text(struct boot_info *info, const void *bytes, uint64_t size_bytes);

#endif
