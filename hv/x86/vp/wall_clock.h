/* The machine's own wall clock. */
#ifndef HV_X86_VP_WALL_CLOCK_H
#define HV_X86_VP_WALL_CLOCK_H

#include <stdint.h>

/*
 * Seconds since 1970, UTC, as the machine's MC146818 has it. Waits for the end of an update,
 * at most some milliseconds.
 */
uint64_t x86_wall_clock_s(void);

#endif
