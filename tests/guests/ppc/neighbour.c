/*
 * Work whose result is known, beside others that misbehave or die: a program moves through many pages, each mapped by an entry
 * of its own that makes room for the next, in many address spaces by PID, and sums what it finds.
 */
#include <stddef.h>

#include "tests/guests/common/guest.h"
#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/cpu.h"
#include "tests/guests/ppc/common/traps.h"

#define FIRST      UINT32_C(0x02000000) /* the guest's memory that it works on */
#define PAGES      1024
#define AT         UINT32_C(0x90000000)
#define PAGE_BYTES UINT32_C(0x1000)
#define ROUNDS     20
#define PIDS       200

static unsigned refills;

/* Each space sees the pages in an order of its own. */
static uint32_t page_of(uint32_t pid, uint32_t number)
{
    return (number * 5 + pid * 7) % PAGES;
}

/* A TLB error is answered as an operating system does: by the defaults that the processor has put into the registers. */
static bool refill(struct trap_frame *frame)
{
    const uint32_t number = (trap_last.dear - AT) / PAGE_BYTES;

    if (frame->number != TRAP_DATA_TLB || trap_last.dear < AT || number >= PAGES) {
        return false;
    }
    write_spr(SPR_MAS3, (FIRST + page_of(read_spr(SPR_PID0), number) * PAGE_BYTES) | MAS3_SR | MAS3_SW);
    write_spr(SPR_MAS7, 0);
    tlbwe();
    refills++;
    return true;
}

static volatile uint32_t *word(uint32_t number, uint32_t at)
{
    return (volatile uint32_t *)(uintptr_t)(AT + number * PAGE_BYTES + at * 4);
}

static void set_pid(uint32_t pid)
{
    write_spr(SPR_PID0, pid);
    __asm__ volatile("isync" : : : "memory");
}

/* Every page adds one to a word of its own in each space. */
static void work(uint32_t round)
{
    set_pid(1 + round % PIDS);
    for (uint32_t i = 0; i < PAGES; i++) {
        *word(i, round) += page_of(1 + round % PIDS, i);
    }
}

void guest_main(void)
{
    unsigned wrong = 0;

    write_spr(SPR_MAS4, MAS1_SIZE(SIZE_4K));
    trap_hook = refill;
    set_pid(0);
    for (uint32_t i = 0; i < PAGES; i++) {
        for (uint32_t round = 0; round < ROUNDS; round++) {
            *word(i, round) = 0;
        }
    }
    write_spr(SPR_MMUCSR0, BIT(2));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        work(round);
    }
    for (uint32_t page = 0; page < PAGES; page++) {
        const volatile uint32_t *at = (const volatile uint32_t *)(uintptr_t)(FIRST + page * PAGE_BYTES);

        for (uint32_t round = 0; round < ROUNDS; round++) {
            wrong += at[round] != page;
        }
    }
    detail("%u words", wrong);
    report(wrong == 0, "every page has been reached through every space");
    report(refills >= PAGES * ROUNDS, "and none was remembered of another");
}
