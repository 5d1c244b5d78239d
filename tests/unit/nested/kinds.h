/* Each of these tests runs on every kind of space. */
#ifndef TESTS_UNIT_NESTED_KINDS_H
#define TESTS_UNIT_NESTED_KINDS_H

#include "tests/unit/nested/space.h"

#define GPA   UINT64_C(0x40000000)
#define HPA   UINT64_C(0x1C0000000)
#define PAGE  VMMU_PAGE_BYTES
#define LARGE VMMU_2M_BYTES
#define HUGE  VMMU_1G_BYTES

/* Run the block on a fresh space of each kind, with `config` in sight. */
#define FOR_EACH_KIND(space)                                                                                 \
    for (unsigned kind = 0; kind < SPACE_KINDS; kind++)                                                      \
        for (struct vmmu_nested_config config = space_config(kind), *once = &config;                         \
             once != NULL && (space_start(&(space), &config), true); space_finish(&(space)), once = NULL)

#endif
