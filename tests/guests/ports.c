/*
 * Ports: what nobody claims, and strings of bytes to and from a port, across pages and into faults. SDM 1
 * "Input/Output", 2A INS, 2B OUTS.
 *
 * COM1's scratch register stands for a port that keeps what is written to it.
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define SCRATCH 0x3ff

static void test_unclaimed(void)
{
    static const uint16_t ports[] = { 0x2f0, 0x300, 0x1234, 0x4320, 0x8888, 0xfff0 };
    bool good = true;
    for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]) && good; i++) {
        good = in8(ports[i]) == 0xff && in16(ports[i]) == 0xffff && in32(ports[i]) == 0xffffffff;
        detail("port %x", ports[i]);
    }
    report(good, "a port that nobody claims reads as all ones, in every width");
    for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        out8(ports[i], 0);
        out16(ports[i], 0);
        out32(ports[i], 0);
    }
    report(in32(ports[0]) == 0xffffffff, "and keeps nothing of what is written");
    out8(SCRATCH, 0xa5);
    report(in8(SCRATCH) == 0xa5, "a port that is claimed keeps it");
}

static void test_forms(void)
{
    uint32_t value = 0x12345678;
    __asm__ volatile("inb %1, %%al" : "+a"(value) : "N"(0x80 + 0x6f));
    report(value >> 8 == 0x123456, "IN of a byte leaves the rest of the register");
    value = 0x12345678;
    __asm__ volatile("inw %%dx, %%ax" : "+a"(value) : "d"(0x300));
    report(value == 0x1234ffff, "IN of two bytes leaves the upper half");
#ifdef __x86_64__
    uint64_t wide = UINT64_MAX;
    __asm__ volatile("inl %%dx, %%eax" : "+a"(wide) : "d"(SCRATCH - 0xff));
    report(wide == 0xffffffff, "IN of four bytes clears the upper half of RAX");
#endif
    /* Prefixes that mean nothing here. */
    out8(SCRATCH, 0x3c);
    value = 0;
    __asm__ volatile(".byte 0x2e, 0x36, 0xec" : "+a"(value) : "d"(SCRATCH));
    report((value & 0xff) == 0x3c, "IN with prefixes that mean nothing is IN");
}

/* SDM 2B REP: before an instruction that is no string's it repeats nothing. */
static void test_repeated(void)
{
    uintptr_t count = 5, value = 0x5b;
    TRY(".byte 0xf3, 0xee", : "+a"(value), "+c"(count) : "d"(SCRATCH) : "memory");
    detail("vector %u, CX %p", (unsigned)trap_last.vector, count);
    report(trap_last.vector == TRAP_NONE && count == 5 && in8(SCRATCH) == 0x5b,
           "OUT behind REP is OUT, and leaves CX");
    value = 0;
    TRY(".byte 0xf2, 0xec", : "+a"(value), "+c"(count) : "d"(SCRATCH) : "memory");
    detail("vector %u, CX %p, AX %p", (unsigned)trap_last.vector, count, value);
    report(trap_last.vector == TRAP_NONE && count == 5 && value == 0x5b, "IN behind REPNE is IN");
    TRY(".byte 0xf3, 0xe6, 0x80", : "+c"(count) : "a"(0) : "memory");
    report(trap_last.vector == TRAP_NONE && count == 5, "OUT to a port by number behind REP likewise");
    count = 0;
    value = 0;
    TRY(".byte 0xf3, 0xec", : "+a"(value), "+c"(count) : "d"(SCRATCH) : "memory");
    report(trap_last.vector == TRAP_NONE && count == 0 && value == 0x5b,
           "with CX zero it is executed all the same");
}

static uint8_t *buffer(void)
{
    return (uint8_t *)FRAME(0);
}

static void test_strings(void)
{
    memset(buffer(), 0, 3 * PAGE_BYTES);
    out8(SCRATCH, 0x77);
    uint8_t *to = buffer() + PAGE_BYTES - 100;
    uintptr_t count = 200;
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(SCRATCH) : "memory");
    unsigned seen = 0;
    for (unsigned i = 0; i < 2 * PAGE_BYTES; i++) {
        seen += buffer()[i] == 0x77;
    }
    detail("%u bytes, CX %p, DI %p", seen, count, (uintptr_t)(to - buffer()));
    report(seen == 200 && count == 0 && to == buffer() + PAGE_BYTES + 100,
           "REP INSB fills a range across a page");

    for (unsigned i = 0; i < 256; i++) {
        buffer()[i] = (uint8_t)i;
    }
    const uint8_t *from = buffer();
    count = 200;
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(SCRATCH) : "memory");
    detail("last %x, CX %p", in8(SCRATCH), count);
    report(in8(SCRATCH) == 199 && count == 0 && from == buffer() + 200, "REP OUTSB sends every byte");

    to = buffer() + 1000;
    count = 10;
    __asm__ volatile("std; rep insl; cld" : "+D"(to), "+c"(count) : "d"(0x300) : "memory");
    report(to == buffer() + 960 && count == 0 && buffer()[964] == 0xff && buffer()[963] == 0,
           "REP INSL with DF set goes down");
    from = buffer();
    __asm__ volatile("outsw" : "+S"(from) : "d"(0x300) : "memory");
    report(from == buffer() + 2, "OUTSW without REP goes once");
    to = buffer();
    count = 0;
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(SCRATCH) : "memory");
    report(to == buffer(), "REP INSB of nothing does nothing");
}

/* A string that runs into a page that is not there, or read-only: what was done stays done. */
static void test_faults(void)
{
    struct space space;
    tables_reset();
    space_make(&space, *paging_modes());
    const uintptr_t va = (*paging_modes())->test_va;
    space_map(&space, va, 1, FRAME(0) | PTE_P | PTE_W);
    space_map(&space, va + PAGE_BYTES, 1, FRAME(1));
    const uintptr_t at = space_entry(&space, va + PAGE_BYTES, 1);
    space_enter(&space, 0, false);
    memset((void *)FRAME(0), 0, 2 * PAGE_BYTES);
    out8(SCRATCH, 0x66);

    uintptr_t to = va + PAGE_BYTES - 16, count = 48;
    TRY("rep insb", : "+D"(to), "+c"(count) : "d"(SCRATCH) : "memory");
    detail("vector %u error %p cr2 %p, CX %p, DI %p", (unsigned)trap_last.vector, trap_last.error,
           trap_last.cr2, count, to - va);
    report(trap_last.vector == VECTOR_PAGE && trap_last.error == 2 && trap_last.cr2 == va + PAGE_BYTES,
           "REP INSB into a page that is not there faults at its first byte");
    report(count == 32 && to == va + PAGE_BYTES, "with CX and DI at the point it has come to");
    report(*(volatile uint8_t *)(FRAME(0) + PAGE_BYTES - 1) == 0x66, "and the bytes before in place");
    entry_store(&space, at, FRAME(1) | PTE_P | PTE_W);
    TRY("rep insb", : "+D"(to), "+c"(count) : "d"(SCRATCH) : "memory");
    report(trap_last.vector == TRAP_NONE && count == 0 && *(volatile uint8_t *)(FRAME(1) + 31) == 0x66 &&
               *(volatile uint8_t *)(FRAME(1) + 32) == 0,
           "once the page is there it goes on to the end");

    entry_store(&space, at, FRAME(1) | PTE_P);
    invlpg(va + PAGE_BYTES);
    to = va + PAGE_BYTES;
    TRY("insb", : "+D"(to) : "d"(SCRATCH) : "memory");
    report(trap_last.vector == VECTOR_PAGE && trap_last.error == 3,
           "INSB into a read-only page faults as a write");
    entry_store(&space, at, 0);
    invlpg(va + PAGE_BYTES);
    uintptr_t from = va + PAGE_BYTES;
    TRY("outsb", : "+S"(from) : "d"(SCRATCH) : "memory");
    report(trap_last.vector == VECTOR_PAGE && trap_last.error == 0,
           "OUTSB from a page that is not there faults as a read");
    space_leave();
}

#ifndef __x86_64__
/* EIP has 32 bits: what follows the last byte of 4 GiB stands at 0. */
static void test_end_of_addresses(void)
{
    uintptr_t ret = 0xc3;
    struct space space;
    tables_reset();
    space_make(&space, *paging_modes());
    space_map(&space, 0xfffff000, 1, FRAME(3) | PTE_P | PTE_W);
    space_enter(&space, 0, false);
    __asm__ volatile("xchgb %b0, 0" : "+q"(ret) : : "memory");
    *(volatile uint8_t *)(FRAME(3) + PAGE_BYTES - 1) = 0xee; /* OUT */
    out8(SCRATCH, 0);
    TRY("call *%0", : : "r"(UINT32_MAX), "a"(0x99), "d"(SCRATCH) : "memory");
    __asm__ volatile("xchgb %b0, 0" : "+q"(ret) : : "memory");
    detail("vector %u at %p", (unsigned)trap_last.vector, trap_last.ip);
    report(trap_last.vector == TRAP_NONE && in8(SCRATCH) == 0x99,
           "OUT in the last byte of 4 GiB goes on at 0");
    space_leave();
}
#endif

void guest_main(void)
{
    test_unclaimed();
    test_forms();
    test_repeated();
    test_strings();
    test_faults();
#ifndef __x86_64__
    test_end_of_addresses();
#endif
}
