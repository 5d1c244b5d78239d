/* What holds of a board after every call, whatever a guest did to it: for tests that do anything. */
#ifndef TESTS_UNIT_DEV_INVARIANTS_H
#define TESTS_UNIT_DEV_INVARIANTS_H

#include "hv/dev/pc.h"

/* The first that does not hold, as it stands in the source; NULL: all hold. */
const char *pc_broken_invariant(struct pc *pc);

#endif
