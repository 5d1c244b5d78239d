/* What the results of a guest need of the machine: each processor architecture has its own. */
#ifndef TESTS_GUESTS_MACHINE_H
#define TESTS_GUESTS_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/* Say a character on the console; waits for room. */
void machine_put(char character);

/* Wait until all has been said, and leave; 0 means that all is well. */
_Noreturn void machine_leave(uint32_t value);

/* The guest's command line, "" if there is none. */
const char *machine_words(void);

/* Whether the guest runs on the bare emulator. */
bool machine_is_bare(void);

#endif
