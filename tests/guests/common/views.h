/*
 * What each processor sees at an address: all of them in one space, or each in its own. Built on smp.h; processor 0 calls.
 */
#ifndef TESTS_GUESTS_VIEWS_H
#define TESTS_GUESTS_VIEWS_H

#include "tests/guests/common/paging.h"
#include "tests/guests/common/smp.h"

/* The processors that there are, as a set. */
unsigned views_all(void);

/* Let every processor of @set enter @space with @cr4, or leave the one that it is in. */
void views_enter(unsigned set, const struct space *space, uintptr_t cr4);
void views_leave(unsigned set);

/* The marker that @cpu reads at @va; ~0 if it faults. */
uint32_t view_of(unsigned cpu, uintptr_t va);

/* Whether every processor of @set reads one of the two; else the detail says who does not. */
bool views_see(unsigned set, uintptr_t va, uint32_t wanted, uint32_t or_else);

#endif
