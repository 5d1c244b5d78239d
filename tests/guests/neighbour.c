/*
 * A workload that checks itself, to run beside a partition that misbehaves or dies: pages that move about under it, memory
 * that is filled and summed through them, a timer that interrupts it. Every result is known beforehand.
 *
 * Guest: run beside one that dies ends 126: --partition "kernel={guests}/triple32.elf protocol=multiboot mmu=shadow memory=64M"
 * Guest: run beside its like, of the other width: --partition "kernel={guests}/neighbour32.elf protocol=multiboot mmu=shadow memory=64M"
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/report.h"

#define PAGES       128
#define ROUNDS      40
#define WORDS       (PAGE_BYTES / 4)
#define TIMER_TICKS 300000U

static const struct paging *paging;
static struct space space;

/* The frame that page @i has in round @round: a permutation, because 37 and PAGES have no common factor. */
static unsigned frame_of(unsigned i, unsigned round)
{
    return (i * 37 + round * 11) % PAGES;
}

/* The word at @index in @frame after round @round. */
static uint32_t word_of(unsigned frame, unsigned index, unsigned round)
{
    return (frame * 2654435761U) ^ (index * 40503U) ^ (round * 69069U);
}

static void remap(unsigned round)
{
    for (unsigned i = 0; i < PAGES; i++) {
        const uintptr_t va = paging->test_va + i * PAGE_BYTES;
        space_map(&space, va, 1, FRAME(16 + frame_of(i, round)) | PTE_P | PTE_W);
        if (round & 1) {
            invlpg(va);
        }
    }
    if ((round & 1) == 0) {
        cr3_write(space.root);
    }
}

static void fill(unsigned round)
{
    for (unsigned i = 0; i < PAGES; i++) {
        volatile uint32_t *page = (volatile uint32_t *)(paging->test_va + i * PAGE_BYTES);
        for (unsigned index = 0; index < WORDS; index += 1 + (round & 3)) {
            page[index] = word_of(frame_of(i, round), index, round);
        }
    }
}

/* Through another arrangement of the pages than the one that they were filled in. */
static unsigned check(unsigned filled, unsigned round)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < PAGES; i++) {
        const volatile uint32_t *page = (const volatile uint32_t *)(paging->test_va + i * PAGE_BYTES);
        for (unsigned index = 0; index < WORDS; index += 1 + (filled & 3)) {
            wrong += page[index] != word_of(frame_of(i, round), index, filled);
        }
    }
    return wrong;
}

static void test_mode(void)
{
    unsigned wrong = 0;
    tables_reset();
    space_make(&space, paging);
    space_enter(&space, 0, false);
    interrupts_on();
    for (unsigned round = 0; round < ROUNDS; round++) {
        remap(round);
        fill(round);
        wrong += check(round, round);
        remap(round + 1);
        wrong += check(round, round + 1);
    }
    interrupts_off();
    detail("%u words", wrong);
    report(wrong == 0, "%s: every word is what it was made, through pages that move", paging->name);
    space_leave();
}

void guest_main(void)
{
    irq_start(false);
    irq_count(VECTOR_TIMER);
    apic_write(APIC_DIVIDE, 0xb);
    apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
    apic_write(APIC_INITIAL, TIMER_TICKS);
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        paging = *mode;
        test_mode();
    }
    report(irq_counts[VECTOR_TIMER] != 0, "its timer interrupted it");
    irq_stop();
}
