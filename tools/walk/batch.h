/*
 * Many addresses at once: one in a line, one line of answer for each. Millions a second: own parser, own output buffer, and
 * the library's walk for observers.
 *
 *   input    hexadecimal, 0x or not; blank lines and what follows # do not count
 *   output   VA PA SIZE RIGHTS        PA: the machine's, behind both stages if there are two
 *            VA fault ERROR           ERROR: error code of #PF (hexadecimal); gp: #GP(0), not canonical;
 *                                     ept or npf, and its qualification or EXITINFO1; absent: not in the image
 */
#ifndef TOOLS_WALK_BATCH_H
#define TOOLS_WALK_BATCH_H

#include "tools/machine/machine.h"

struct batch {
    const struct machine *machine;
    const char *name; /* of the input, for complaints */
    int input;        /* file descriptors */
    int output;
    bool json;   /* one object a line */
    bool judged; /* @access can be refused; else only a page that is not there is a fault */
    struct vmmu_x86_access access;
};

struct batch_result {
    uint64_t translated;
    uint64_t faults;
};

/* Answer every line. False and *complaint if a line is no address, or input or output fails; what came before is answered. */
bool batch_run(const struct batch *batch, struct batch_result *result, struct complaint *complaint);

#endif
