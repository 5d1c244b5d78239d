/*
 * The machine's physical memory: who holds which part of it, and where the hypervisor reaches it.
 *
 * All usable RAM, less the hypervisor's image, the modules and the first MiB, is free at the start. Large
 * contiguous pieces (a partition's memory) come first-fit from a sorted set of free ranges; single pages come
 * from a list of free pages that is filled from those ranges, and cost a few instructions.
 *
 * One processor at a time: a caller with several must hold a lock of its own around every call but memory_at.
 */
#ifndef HV_BOOT_MEMORY_H
#define HV_BOOT_MEMORY_H

#include <vmmu/base.h>

#include "hv/boot/boot.h"

/*
 * Where the direct map of all physical memory begins: RAM, and below 4 GiB the devices' addresses too. A build for another
 * processor than x86-64 says where it has its own.
 */
#ifndef MEMORY_DIRECT_MAP
#define MEMORY_DIRECT_MAP UINT64_C(0xffff800000000000)
#endif

/* How much of it the direct map reaches at most; memory above that is left alone. */
#ifndef MEMORY_MAPPED_BYTES
#define MEMORY_MAPPED_BYTES (UINT64_C(1) << 46)
#endif

/**
 * The host pointer of physical address @at: valid for all RAM that memory_init has taken stock of. Write-back, never
 * executable. On x86 valid for every address below 4 GiB, too (devices' addresses are uncached by the firmware's MTRRs), and the
 * hypervisor's own code and constants are read-only here as well.
 */
static inline void *memory_at(vmmu_hpa at)
{
    return (void *)(uintptr_t)(MEMORY_DIRECT_MAP + at.v);
}

/* The physical address of a pointer that memory_at gave. Not for pointers to variables or to the stack. */
static inline vmmu_hpa memory_hpa(const void *pointer)
{
    return (vmmu_hpa){ (uint64_t)(uintptr_t)pointer - MEMORY_DIRECT_MAP };
}

/**
 * Take stock of the memory that @info tells of. Called once, before anything else here. Modules stay taken,
 * rounded out to whole pages, until memory_give is called for them.
 */
void memory_init(const struct boot_info *info);

/**
 * Take @size_bytes (rounded up to whole pages) of contiguous memory aligned to @align_bytes, a power of two
 * of at least a page; wholly below 4 GiB if @below_4g. The lowest place that fits. The content is undefined.
 *
 * Whether there was such a place; *at is changed only if so. False for a size of 0.
 */
VMMU_MUST_USE
bool memory_take(uint64_t size_bytes, uint64_t align_bytes, bool below_4g, vmmu_hpa *at);

/**
 * Give back what memory_take gave, or any page-aligned part of it, or a module's memory (with its base
 * rounded down and its end rounded up to whole pages). Nobody may reach it any more.
 */
void memory_give(vmmu_hpa at, uint64_t size_bytes);

/**
 * Take one page of 4 KiB, from anywhere; filled with zeros if @zeroed, else its content is undefined. False
 * if no memory is left. For a page below 4 GiB use memory_take. Pages may be given back by either way.
 */
VMMU_MUST_USE
bool page_take(bool zeroed, vmmu_hpa *at);

/* Give one page back. */
void page_give(vmmu_hpa at);

/* Memory that memory_init found, and what is free of it now: in ranges and on the list of pages. */
uint64_t memory_total_bytes(void);
uint64_t memory_free_bytes(void);

#endif
