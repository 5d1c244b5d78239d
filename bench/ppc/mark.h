/*
 * A mark on an e500: a trap instruction that never traps (TO = 0), with the number as its operand. It works in any state, and is
 * no exit. bench/ppc/count.c sees it.
 */
#ifndef BENCH_PPC_MARK_H
#define BENCH_PPC_MARK_H

#define MARK_CODE      UINT32_C(0x0c1f0000) /* twi 0, r31, NUMBER */
#define MARK_CODE_MASK UINT32_C(0xffff0000)

#define MARK(number)   __asm__ volatile("twi 0, 31, %0" : : "i"(number) : "memory")

/* Numbers; the end of a workload is its beginning plus one. */
enum mark {
    MARK_INIT = 1, /* user space is reached */
    MARK_WORK = 10,
    MARK_TRAPS = 100, /* of bench/ppc/traps.c: two numbers for each kind of trap */
};

#endif
