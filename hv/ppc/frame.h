/*
 * What an interrupt of the hypervisor itself leaves of the code that it met: as vectors.S saves it, and as that code goes on
 * with if its handler returns. Offsets for the assembly, and the structure for C.
 */
#ifndef HV_PPC_FRAME_H
#define HV_PPC_FRAME_H

#define FRAME_GPR             0
#define FRAME_SRR0            128
#define FRAME_SRR1            132
#define FRAME_CR              136
#define FRAME_LR              140
#define FRAME_CTR             144
#define FRAME_XER             148
#define FRAME_ESR             152
#define FRAME_DEAR            156
#define FRAME_VECTOR          160
#define FRAME_BYTES           176 /* with padding: the stack is aligned to 16 bytes */

/* Numbers of the interrupt vector offset registers. Spec: Book E "Interrupt Definitions"; SPE's begin at 32. */
#define VECTOR_CRITICAL       0
#define VECTOR_MACHINE_CHECK  1
#define VECTOR_DATA_STORAGE   2
#define VECTOR_INSTRUCTION    3
#define VECTOR_EXTERNAL       4
#define VECTOR_ALIGNMENT      5
#define VECTOR_PROGRAM        6
#define VECTOR_NO_FLOAT       7
#define VECTOR_SYSTEM_CALL    8
#define VECTOR_NO_AUXILIARY   9
#define VECTOR_DECREMENTER    10
#define VECTOR_FIXED_INTERVAL 11
#define VECTOR_WATCHDOG       12
#define VECTOR_DATA_MISS      13
#define VECTOR_FETCH_MISS     14
#define VECTOR_DEBUG          15
#define VECTOR_NO_SPE         32
#define VECTOR_SPE_DATA       33
#define VECTOR_SPE_ROUND      34
#define VECTOR_MONITOR        35
#define VECTOR_LIMIT          36

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct ppc_frame {
    uint32_t gpr[32];
    uint32_t srr0, srr1; /* or the pair that the kind of interrupt has */
    uint32_t cr, lr, ctr, xer;
    uint32_t esr, dear;
    uint32_t vector;
    uint32_t padding[3];
};

_Static_assert(offsetof(struct ppc_frame, srr0) == FRAME_SRR0, "the assembly's offset");
_Static_assert(offsetof(struct ppc_frame, vector) == FRAME_VECTOR, "the assembly's offset");
_Static_assert(sizeof(struct ppc_frame) == FRAME_BYTES, "the assembly's size");

#endif

#endif
