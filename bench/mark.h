/*
 * A mark: NOPL with the number in the low half of its displacement, 0x5A5A in the high half. bench/count.c sees it.
 */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

#ifdef __x86_64__
#define MARK_OPERAND "%c0(%%rax,%%rax,1)"
#else
#define MARK_OPERAND "%c0(%%eax,%%eax,1)"
#endif
#define MARK(number) __asm__ volatile("nopl " MARK_OPERAND : : "i"(0x5A5A0000 + (number)) : "memory")

/* Numbers; the end of a workload is its beginning plus one. */
enum mark {
    MARK_INIT = 1,
    MARK_FORK = 10,
    MARK_MMAP = 20,
    MARK_PIPE = 30,
    MARK_CPUID = 40,
    MARK_GUEST_START = 50, /* the KVM kit's own */
    MARK_INB = 60,
    MARK_TABLES = 70, /* the guest's page tables are to be counted */
    MARK_FLUSH = 80,
};

#endif
