/*
 * An independent processor, libunicorn's, that makes one memory access under tables of ours and
 * tells what became of it.
 *
 * Each access runs on a processor of its own: state leaks from one fault to the next. It sets up paging by
 * executed instructions (SMAP counts only after an executed MOV to CR4), goes to the privilege level of the
 * access by IRET, and makes it. No error code comes through libunicorn; nor does the frame: this version
 * walks the tables for faults and marks, and then accesses memory at the linear address all the same, which
 * is why a page lies there.
 */
#ifndef TESTS_UNIT_DIFF_WALK_MACHINE_H
#define TESTS_UNIT_DIFF_WALK_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define MACHINE_RAM_BYTES   UINT64_C(0x40000)
#define MACHINE_ROOT        UINT64_C(0x1000)
#define MACHINE_FREE_TABLES UINT64_C(0x20000) /* from here on the tables of the test */

enum machine_access {
    MACHINE_READ,
    MACHINE_WRITE,
    MACHINE_FETCH,
    MACHINE_DESCRIPTOR, /* the processor reads a segment descriptor: an implicit supervisor access at CPL 3 */
};

struct machine_case {
    bool long_mode;
    unsigned levels; /* of the tables: 2, 3, 4 or 5 */
    uint64_t cr0;
    uint64_t cr4;
    uint64_t efer;
    uint32_t pkru;
    enum machine_access access;
    bool user;
    bool ac;
    uint64_t va; /* above the machine's memory */
};

#define MACHINE_DONE 3 /* the breakpoint after the access */
#define MACHINE_LOST 256

struct machine_outcome {
    unsigned vector; /* MACHINE_DONE, or that of the fault; MACHINE_LOST if neither came */
    uint64_t cr2;
};

/* The machine's memory, MACHINE_RAM_BYTES of it, shared by all its runs. */
uint8_t *machine_ram(void);

/* Clear the tables and map, by the first entry of the root, the machine's own code, which it writes. */
void machine_prepare(const struct machine_case *wanted);

/* Make the access. */
struct machine_outcome machine_run(const struct machine_case *wanted);

#endif
