/*
 * Decoded instructions and bytes as text, so that tests can be tables that a person reads.
 *
 * "lock add4 ds:[r0+r1*4+0x10], r3" : operation and operand size, destination, source; registers by
 * number (h0 to h3 are AH to BH); an address size that is not the default of the width as "a4"; a
 * source size of its own as "mov<2>"; REP as "rep", REPNE as "repne". "~2" behind it all: performing
 * touches two places in memory.
 */
#ifndef TESTS_UNIT_INSN_DESCRIBE_H
#define TESTS_UNIT_INSN_DESCRIBE_H

#include <vmmu/insn.h>

struct insn_text {
    char text[128];
};

struct insn_text insn_describe(const struct vmmu_insn *insn);

/* Read hexadecimal bytes separated by blanks; how many. */
unsigned insn_parse_bytes(const char *text, uint8_t *bytes, unsigned most);

#endif
