/*
 * One access to one address, at either privilege, and what came of it.
 *
 * A page that is to be executed begins with PROBE_CODE, which traps by VECTOR_DONE.
 */
#ifndef TESTS_GUESTS_PROBE_H
#define TESTS_GUESTS_PROBE_H

#include <stdbool.h>
#include <stdint.h>

enum access_kind { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_KINDS };

struct access {
    enum access_kind kind;
    bool user;
    bool ac; /* EFLAGS.AC */
};

struct outcome {
    bool fault;
    uintptr_t vector;
    uintptr_t error;
    uintptr_t cr2;
};

/* Bits of a page-fault error code: SDM 3A "Page-Fault Exceptions". */
#define FAULT_P    0x01
#define FAULT_W    0x02
#define FAULT_U    0x04
#define FAULT_RSVD 0x08
#define FAULT_I    0x10
#define FAULT_PK   0x20

/* `int $VECTOR_DONE`, little-endian. */
#define PROBE_CODE 0x80cd

/* Writes store this byte: the first of PROBE_CODE, so that a page stays executable. */
#define PROBE_BYTE 0xcd

struct outcome probe(uintptr_t va, struct access access);

/* Put PROBE_CODE at the start of a frame, and @marker 8 bytes into it. */
void frame_mark(uintptr_t frame, uint32_t marker);

/* The marker as seen at @va, a page's start; ~0 if the read faulted. */
uint32_t marker_read(uintptr_t va);

const char *access_name(struct access access);

#endif
