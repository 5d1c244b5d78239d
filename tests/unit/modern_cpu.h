/*
 * What the processors of most tests offer: all of paging that has been common for long. For the initializer of a struct
 * vmmu_x86_cpu; what a test is about stands beside it.
 */
#ifndef TESTS_UNIT_MODERN_CPU_H
#define TESTS_UNIT_MODERN_CPU_H

#include <vmmu/mode.h>

#define MODERN_PAGING                                                                                        \
    .pse = true, .pae = true, .pge = true, .nx = true, .long_mode = true, .gib_pages = true, .la57 = true,   \
    .smep = true, .smap = true, .pku = true

#endif
