/* What each guest defines. */
#ifndef TESTS_GUESTS_GUEST_H
#define TESTS_GUESTS_GUEST_H

/*
 * The guest's tests. Runs at CPL 0, interrupts off; unpaged in a 32-bit guest, 4-level and
 * one to one in a 64-bit one.
 */
void guest_main(void);

#endif
