/* TLBs for tests: set up in memory of exactly the size that was asked for, and entries in few words. */
#ifndef TESTS_UNIT_TLB_TLBS_H
#define TESTS_UNIT_TLB_TLBS_H

#include <vmmu/tlb.h>

#define SHIFT_4K  12
#define SHIFT_2M  21
#define SHIFT_1G  30
#define ALL_SIZES BITS64(63, 12)

/* One array of @sets by @ways for everything, least recently used goes. */
struct vmmu_tlb_config one_array(uint32_t sets, uint16_t ways);

/* 16 sets of 4 ways before 64 of 8, both for translations of 4 KiB, 2 MiB and 1 GiB. */
struct vmmu_tlb_config processor_like(void);

/* Fails the test if @config is refused. To be freed by drop_tlb. */
struct vmmu_tlb *make_tlb(const struct vmmu_tlb_config *config);

void drop_tlb(struct vmmu_tlb *tlb);

/* A linear translation of region @number of 2^@shift bytes to @frame, under the tag of zeros. */
struct vmmu_tlb_entry translation(uint64_t number, uint8_t shift, uint64_t frame);

/* What asks for exactly @entry's region, kind, sort and tag. */
struct vmmu_tlb_query query_for(const struct vmmu_tlb_entry *entry);

/* How many entries answer @query. */
unsigned answers(const struct vmmu_tlb *tlb, const struct vmmu_tlb_query *query);

/* The scope of everything, global entries included. */
struct vmmu_tlb_scope everything(void);

/* Invalidate by @scope alone. Returns how many entries went. */
uint32_t invalidate(struct vmmu_tlb *tlb, struct vmmu_tlb_scope scope);

#endif
