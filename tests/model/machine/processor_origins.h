/*
 * Where combined mappings come from: records that TLB entries point to by number.
 *
 * Equal records have equal numbers for as long as an entry holds them, so that mappings that are alike in all
 * that matters are alike to the TLB, too. The TLB does not tell what it evicts: when all numbers are used,
 * those that no entry has any more are collected.
 */
#ifndef TESTS_MODEL_MACHINE_PROCESSOR_ORIGINS_H
#define TESTS_MODEL_MACHINE_PROCESSOR_ORIGINS_H

#include "tests/model/machine/processor_internal.h"

/* Of mappings that have none. */
#define NO_ORIGIN         0

#define ORIGINS_MAX_SLOTS UINT16_MAX

/* The number of @origin's content. Until an entry with it is in @tlb, no other number may be asked for. */
uint16_t origins_number(struct origins *origins, struct vmmu_tlb *tlb, const struct origin *origin);

/* The number that is packed into an entry's data. */
uint16_t cache_origin_number(uint64_t data);

const struct origin *origins_at(const struct origins *origins, uint16_t number);

#endif
