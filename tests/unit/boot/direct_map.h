/*
 * A direct map for tests: physical address 0 is wherever a test says.
 */
#ifndef TESTS_UNIT_BOOT_DIRECT_MAP_H
#define TESTS_UNIT_BOOT_DIRECT_MAP_H

#include <stdint.h>

extern uintptr_t test_direct_map;

#define MEMORY_DIRECT_MAP test_direct_map

#endif
