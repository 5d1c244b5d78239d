/*
 * A TLB that holds the same six entries under each of several tags, to ask which of them an operation
 * removes. The answer reads as a picture for each tag, one letter for each entry that went, a dot for one
 * that stayed:
 *
 *   T  translation of the page at HERE        t  translation of the page at ELSEWHERE
 *   S  paging-structure entry towards HERE    s  paging-structure entry towards ELSEWHERE
 *   G  global translation at HERE             g  global translation at ELSEWHERE
 *
 * Guest-physical mappings know no global: of them there are the first four, at the same addresses.
 */
#ifndef TESTS_UNIT_INVALIDATE_POPULATION_H
#define TESTS_UNIT_INVALIDATE_POPULATION_H

#include <vmmu/invalidate.h>

#define HERE             UINT64_C(0x00007f1234567000)
#define ELSEWHERE        UINT64_C(0xffff800087654000) /* no common entry at any level of tables */
#define EVERYTHING       "TtSsGg"
#define NOTHING          "......"
#define NON_GLOBALS      "TtSs.."
#define POPULATION_LIMIT 16

/* One tag under which the six entries stand. */
struct tag_row {
    const char *name;
    struct vmmu_x86_cache_key key;
};

/* The test fails unless @scopes remove from each row what its picture says; a NULL picture means NOTHING. */
void expect_gone(const struct tag_row *rows, unsigned count, struct vmmu_tlb_scopes scopes,
                 const char *const *pictures);

/* Whether @scopes remove a translation of 2^@page_shift bytes at @base that stands under @key. */
bool removes_translation(struct vmmu_tlb_scopes scopes, struct vmmu_x86_cache_key key, uint64_t base,
                         unsigned page_shift);

/* The same for a paging-structure entry whose table translates 2^@region_shift bytes at @base. */
bool removes_structure(struct vmmu_tlb_scopes scopes, struct vmmu_x86_cache_key key, uint64_t base,
                       unsigned region_shift);

/* Whether @scopes remove nothing at all. */
bool removes_nothing(struct vmmu_tlb_scopes scopes);

#endif
