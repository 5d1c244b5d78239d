/*
 * What every room of the library stands on: addresses that cannot be mixed, statuses,
 * bits, checked arithmetic.
 *
 * Freestanding: needs <stdint.h>, <stdbool.h>, <stddef.h> only. Nothing here allocates, locks or keeps state.
 */
#ifndef VMMU_BASE_H
#define VMMU_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMMU_MUST_USE     __attribute__((warn_unused_result))

#define BIT64(n)          (UINT64_C(1) << (n))

/* Bits @high down to @low, both included. */
#define BITS64(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))

#define VMMU_PAGE_SHIFT   12
#define VMMU_PAGE_BYTES   UINT64_C(4096)
#define VMMU_2M_BYTES     UINT64_C(0x200000)
#define VMMU_1G_BYTES     UINT64_C(0x40000000)

/* Guest-virtual: what the guest's instructions name (linear, after segmentation). */
typedef struct {
    uint64_t v;
} vmmu_gva;

/* Guest-physical: what the guest believes to be memory addresses. */
typedef struct {
    uint64_t v;
} vmmu_gpa;

/* Host-physical: where the machine's memory is. */
typedef struct {
    uint64_t v;
} vmmu_hpa;

/* How an operation of the library ended. Guest faults are data beside it; assertions are for our own bugs. */
enum vmmu_status {
    VMMU_OK = 0,
    VMMU_GUEST_FAULT, /* the guest's own fault, described beside the status: inject it */
    VMMU_STAGE2,      /* the second stage refused a guest-physical access, described beside the status */
    VMMU_ABSENT,      /* memory that the operation needs is not there; nothing was changed */
    VMMU_RACED,       /* an entry changed while it was used; call again */
    VMMU_FLUSH_RETRY, /* apply the plan beside the status, then call again with the same arguments */
    VMMU_NO_MEMORY,   /* the host gave no page; nothing was changed */
    VMMU_INVALID,     /* an argument is out of its range; nothing was changed */
    VMMU_UNSUPPORTED, /* the format, processor or decoder does not know this; nothing was changed */
    /* the isolation invariant would have failed: the host has been told; nothing was changed */
    VMMU_VIOLATED,
};

/* Our own bugs. Debug builds stop at once; never used on values that a guest controls. */
#ifdef VMMU_DEBUG
#define VMMU_ASSERT(condition) ((condition) ? (void)0 : __builtin_trap())
#else
#define VMMU_ASSERT(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

static inline bool vmmu_is_aligned(uint64_t value, uint64_t power_of_two)
{
    return (value & (power_of_two - 1)) == 0;
}

/* Whether [base, base + size) is not empty and ends at or below @limit, without overflow. */
static inline bool vmmu_range_fits(uint64_t base, uint64_t size_bytes, uint64_t limit)
{
    return size_bytes != 0 && base <= limit && size_bytes <= limit - base;
}

#endif
