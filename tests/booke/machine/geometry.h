/*
 * What a processor's MMU offers, as numbers; and the configuration words that say the same.
 */
#ifndef TESTS_BOOKE_MACHINE_GEOMETRY_H
#define TESTS_BOOKE_MACHINE_GEOMETRY_H

#include <vmmu/booke.h>

#include "tests/booke/machine/manual.h"

struct geometry {
    unsigned sets; /* of TLB0, whose pages have 4 KiB */
    unsigned ways;
    unsigned large;         /* entries of TLB1 */
    unsigned least, most;   /* page sizes of TLB1, as TSIZE */
    unsigned pids;          /* registers */
    unsigned pid_bits;      /* of each, and of TID */
    unsigned physical_bits; /* of a real address */
};

/* TLBnCFG: ASSOC, MINSIZE, MAXSIZE, IPROT, AVAIL and NENTRY. */
static inline struct vmmu_booke_config geometry_config(const struct geometry *geometry)
{
    return (struct vmmu_booke_config){
        .tlbcfg = { put(geometry->ways, 32, 39) | put(1, 40, 43) | put(1, 44, 47) |
                        put(geometry->sets * geometry->ways, 52, 63),
                    put(geometry->large, 32, 39) | put(geometry->least, 40, 43) |
                        put(geometry->most, 44, 47) | put(1, 48, 48) | put(1, 49, 49) |
                        put(geometry->large, 52, 63) },
        .pids = (uint8_t)geometry->pids,
        .pid_bits = (uint8_t)geometry->pid_bits,
        .physical_bits = (uint8_t)geometry->physical_bits,
    };
}

/* Bytes of a page of that TSIZE. */
static inline uint64_t size_bytes(unsigned size)
{
    return UINT64_C(1024) << (2 * size);
}

#endif
