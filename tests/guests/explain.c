/*
 * Single instructions, each between two writes to the stop port, where a debugger may look at the machine before and after:
 * what they access, and what that costs. Without a debugger the port does nothing.
 *
 * tests/tool_explain/suite knows the stages by their order.
 *
 * Guest: also la57
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define STOP         "outb %%al, $0xf8\n\t"
#define VALUE        0x600d

/* Where the stages go. All but the large page share one page table, which maps nothing else. */
#define DATA         0x1234
#define ACROSS       0x2ffe
#define ABSENT       0x5678
#define READ_ONLY    0x6abc
#define UNUSED_LARGE 0x38000000
#define UNUSED       0x7000

/* Switches of the address space after which no hypervisor can believe that a table still changes. */
#define SWITCHES     40

static uint32_t stored(unsigned frame, unsigned offset)
{
    uint32_t value;

    memcpy(&value, (const void *)(FRAME(frame) + offset), sizeof value);
    return value;
}

/* Linear addresses below one large page, by a table of their own. */
static void map_stages(struct space *space, const struct paging *paging)
{
    tables_reset();
    space_make(space, paging);
    if (paging->large_pages) {
        entry_store(space, space_entry(space, 0, 2), 0);
    }
    space_map(space, DATA & ~0xfffU, 1, FRAME(0) | PTE_P | PTE_W);
    space_map(space, ACROSS & ~0xfffU, 1, FRAME(1) | PTE_P | PTE_W);
    space_map(space, (ACROSS & ~0xfffU) + PAGE_BYTES, 1, FRAME(2) | PTE_P | PTE_W);
    space_map(space, ABSENT & ~0xfffU, 1, 0);
    space_map(space, READ_ONLY & ~0xfffU, 1, FRAME(3) | PTE_P);
    space_map(space, UNUSED, 1, 0);
    if (paging->large_pages) {
        space_map(space, paging->test_va, 2, LARGE_FRAME(1) | PTE_P | PTE_W);
    }
    memset((void *)FRAME(0), 0, 4 * PAGE_BYTES);
    space_enter(space, 0, false);
}

static void store_data(void)
{
    TRY(STOP "movl %%eax, 0x1234\n\t" STOP, : : "a"(VALUE) : "memory");
}

static void test_data(const char *mode)
{
    store_data();
    report(trap_last.vector == TRAP_NONE && stored(0, DATA & 0xfff) == VALUE,
           "%s: MOV [0x1234], EAX reaches the frame that the tables name", mode);
    memset((void *)FRAME(0), 0, PAGE_BYTES);
    store_data();
    report(trap_last.vector == TRAP_NONE && stored(0, DATA & 0xfff) == VALUE, "%s: and again", mode);
}

static void test_across(const char *mode)
{
    TRY(STOP "movl %%eax, 0x2ffe\n\t" STOP, : : "a"(0x12345678) : "memory");
    report(trap_last.vector == TRAP_NONE && stored(1, 0xffc) >> 16 == 0x5678 &&
               (stored(2, 0) & 0xffff) == 0x1234,
           "%s: a store across two pages reaches both frames", mode);
}

static void test_large(const struct paging *paging)
{
    const uintptr_t va = paging->test_va + 0x5000;

    if (!paging->large_pages) {
        return;
    }
    *(volatile uint32_t *)(LARGE_FRAME(1) + 0x5000) = 0;
    TRY(STOP "movl %%eax, (%1)\n\t" STOP, : : "a"(VALUE), "r"(va) : "memory");
    report(trap_last.vector == TRAP_NONE && *(volatile uint32_t *)(LARGE_FRAME(1) + 0x5000) == VALUE,
           "%s: a store to a large page reaches its frame", paging->name);
}

/* The handler's own way is made ready by a fault before. */
static void test_faults(const char *mode)
{
    TRY("movl %%eax, 0x5678", : : "a"(VALUE) : "memory");
    TRY(STOP "movl %%eax, 0x5678", : : "a"(VALUE) : "memory");
    __asm__ volatile(STOP : : "a"(0));
    report(trap_last.vector == VECTOR_PAGE && trap_last.error == 2 && trap_last.cr2 == ABSENT,
           "%s: a store where nothing is mapped faults", mode);
    TRY(STOP "movl %%eax, 0x6abc", : : "a"(VALUE) : "memory");
    __asm__ volatile(STOP : : "a"(0));
    report(trap_last.vector == VECTOR_PAGE && trap_last.error == 3 && trap_last.cr2 == READ_ONLY,
           "%s: a store to a read-only page faults", mode);
}

/* Entries of tables that have stood still for long are written by the tables' own addresses. */
static void test_tables(const struct space *space)
{
    const uintptr_t entries[] = { space_entry(space, UNUSED_LARGE, 2), space_entry(space, UNUSED, 1) };

    for (unsigned i = 0; i < SWITCHES; i++) {
        cr3_write(space->root);
        *(volatile uint32_t *)DATA = i;
    }
    for (unsigned i = 0; i < 2; i++) {
        TRY(STOP "movl %%eax, (%1)\n\t" STOP, : : "a"(0), "r"(entries[i]) : "memory");
        report(trap_last.vector == TRAP_NONE && entry_load(space, entries[i]) == 0,
               "%s: a store to a page table of level %u is done", space->paging->name, 2 - i);
    }
}

void guest_main(void)
{
    for (const struct paging *const *paging = paging_modes(); *paging; paging++) {
        struct space space;

        map_stages(&space, *paging);
        test_data((*paging)->name);
        test_across((*paging)->name);
        test_large(*paging);
        test_faults((*paging)->name);
        test_tables(&space);
        space_leave();
    }
}
