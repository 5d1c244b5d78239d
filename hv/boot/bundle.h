/*
 * The bundle: a cpio archive whose members are the modules, each named by its words. Pure, and trusts nothing in
 * the archive.
 *
 * Spec: cpio(5), "New ASCII Format".
 */
#ifndef HV_BOOT_BUNDLE_H
#define HV_BOOT_BUNDLE_H

#include "hv/boot/boot.h"

/**
 * Add a module to @info for each regular file of the archive at @bytes, which lies at @base in memory; their names are copied. It
 * ends at the member "TRAILER!!!"; what follows it is not looked at.
 *
 * NULL, or what is wrong with it as a sentence; the modules before that have been added then.
 */
VMMU_MUST_USE
const char *bundle_read(const void *bytes, uint64_t size_bytes, vmmu_hpa base, struct boot_info *info);

#endif
