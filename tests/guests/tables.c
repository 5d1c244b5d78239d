/*
 * Page tables as memory: written by every kind of instruction, seen through themselves, shared, moved, and
 * used for something else. A processor does not care; whoever keeps shadows of them must.
 *
 * Guest: also la57
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define OLD 0x01d01d
#define NEW 0x2e2e2e

static const struct access reads = { ACCESS_READ, false, false };
static const struct access writes = { ACCESS_WRITE, false, false };

/* A space with the test page mapped to a frame that reads OLD, and used. */
struct page {
    struct space space;
    const char *mode;
    uintptr_t va;
    uintptr_t at;    /* its leaf entry */
    uintptr_t table; /* the table that the entry is in */
};

static void page_make(struct page *page, const struct paging *paging)
{
    tables_reset();
    space_make(&page->space, paging);
    page->mode = paging->name;
    page->va = paging->test_va;
    space_map(&page->space, page->va, 1, FRAME(0) | PTE_P | PTE_W);
    page->at = space_entry(&page->space, page->va, 1);
    page->table = page->at & ~(uintptr_t)(PAGE_BYTES - 1);
    frame_mark(FRAME(0), OLD);
    frame_mark(FRAME(1), NEW);
    space_enter(&page->space, 0, false);
    marker_read(page->va);
}

/* Ways to change the low 32 bits of an entry from @from to @to. */
static void write_byte(uintptr_t at, uint32_t from, uint32_t to)
{
    (void)from;
    *(volatile uint8_t *)(at + 1) = (uint8_t)(to >> 8);
}

static void write_word(uintptr_t at, uint32_t from, uint32_t to)
{
    (void)from;
    *(volatile uint16_t *)at = (uint16_t)to;
}

static void write_exchange(uintptr_t at, uint32_t from, uint32_t to)
{
    (void)from;
    __asm__ volatile("xchg %0, (%1)" : "+r"(to) : "r"(at) : "memory");
}

static void write_compare_exchange(uintptr_t at, uint32_t from, uint32_t to)
{
    __asm__ volatile("lock cmpxchg %1, (%2)" : "+a"(from) : "r"(to), "r"(at) : "memory", "cc");
}

static void write_add(uintptr_t at, uint32_t from, uint32_t to)
{
    __asm__ volatile("lock addl %0, (%1)" ::"r"(to - from), "r"(at) : "memory", "cc");
}

static void write_exchange_add(uintptr_t at, uint32_t from, uint32_t to)
{
    uint32_t difference = to - from;
    __asm__ volatile("lock xaddl %0, (%1)" : "+r"(difference) : "r"(at) : "memory", "cc");
}

static void write_xor(uintptr_t at, uint32_t from, uint32_t to)
{
    __asm__ volatile("xorl %0, (%1)" ::"r"(to ^ from), "r"(at) : "memory", "cc");
}

/* Bit 12 tells FRAME(0) from FRAME(1). */
static void write_bit(uintptr_t at, uint32_t from, uint32_t to)
{
    (void)from;
    (void)to;
    __asm__ volatile("lock btsl %0, (%1)" ::"r"(12), "r"(at) : "memory", "cc");
}

static void write_string(uintptr_t at, uint32_t from, uint32_t to)
{
    (void)from;
    uintptr_t count = 1;
    __asm__ volatile("rep stosl" : "+D"(at), "+c"(count) : "a"(to) : "memory");
}

static void write_string_move(uintptr_t at, uint32_t from, uint32_t to)
{
    (void)from;
    uintptr_t count = 4;
    const uint32_t *source = &to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(source), "+c"(count)::"memory");
}

static void write_push(uintptr_t at, uint32_t from, uint32_t to)
{
#ifdef __x86_64__
    const uint64_t high = *(volatile uint64_t *)at & ~(uint64_t)UINT32_MAX;
    const uint64_t value = high | to;
#else
    const uintptr_t value = to;
#endif
    (void)from;
    __asm__ volatile("mov "
                     "%%" STACK ", %%" SPARE "\n\t"
                     "lea " WORD_TEXT "(%0), %%" STACK "\n\t"
                     "push %1\n\t"
                     "mov %%" SPARE ", %%" STACK ::"r"(at),
                     "r"(value)
                     : "memory", SPARE);
}

/* 8 bytes, of which some belong to a neighbour: the one before, which stays as it is. */
static void write_across(uintptr_t at, uint32_t from, uint32_t to)
{
    (void)from;
    const uint32_t before = *(volatile uint32_t *)(at - 4);
    uint32_t pair[2] = { before, to };
    memcpy((void *)(at - 2), (uint8_t *)pair + 2, 6);
}

static const struct way {
    const char *name;
    void (*write)(uintptr_t at, uint32_t from, uint32_t to);
} ways[] = {
    { "a byte of the entry", write_byte },
    { "two bytes of the entry", write_word },
    { "XCHG", write_exchange },
    { "CMPXCHG", write_compare_exchange },
    { "ADD", write_add },
    { "XADD", write_exchange_add },
    { "XOR", write_xor },
    { "BTS", write_bit },
    { "STOS", write_string },
    { "REP MOVS of bytes", write_string_move },
    { "PUSH", write_push },
    { "a write across two entries", write_across },
};

static void test_ways(const struct paging *paging)
{
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct page page;
        page_make(&page, paging);
        /* The second entry of the table, so that there is one before it; mapped like the first. */
        const uintptr_t va = page.va + PAGE_BYTES;
        const uintptr_t at = page.at + paging->entry_bytes;
        space_map(&page.space, va, 1, FRAME(0) | PTE_P | PTE_W | PTE_A | PTE_D);
        const bool before = marker_read(va) == OLD;
        const uint32_t from = *(volatile uint32_t *)at;
        ways[i].write(at, from, (from & 0xfff) | (uint32_t)FRAME(1));
        invlpg(va);
        const uint32_t seen = marker_read(va);
        detail("entry %q, reads %x", entry_load(&page.space, at), seen);
        report(before && seen == NEW && marker_read(page.va) == OLD, "%s: an entry written by %s counts",
               page.mode, ways[i].name);
        space_leave();
    }
}

/* A whole table written at once, and moved. */
static void test_bulk(const struct paging *paging)
{
    struct page page;
    page_make(&page, paging);
    const unsigned entries = PAGE_BYTES / paging->entry_bytes;
    const uintptr_t image = table_take();
    const struct space other = { paging, image };
    for (unsigned i = 0; i < entries; i++) {
        frame_mark(FRAME(i), i);
        entry_store(&other, image + i * (uintptr_t)paging->entry_bytes, FRAME(i) | PTE_P | PTE_W);
    }
    memcpy((void *)page.table, (void *)image, PAGE_BYTES);
    cr3_write(page.space.root);
    unsigned wrong = 0;
    for (unsigned i = 0; i < entries; i++) {
        wrong += marker_read(page.va + i * (uintptr_t)PAGE_BYTES) != i;
    }
    detail("%u wrong", wrong);
    report(wrong == 0, "%s: a table filled by one REP MOVS maps all its pages", page.mode);
    memset((void *)page.table, 0, PAGE_BYTES);
    cr3_write(page.space.root);
    wrong = 0;
    for (unsigned i = 0; i < entries; i++) {
        wrong += !probe(page.va + i * (uintptr_t)PAGE_BYTES, reads).fault;
    }
    report(wrong == 0, "%s: a table cleared by one REP STOS maps none", page.mode);
    space_leave();
}

/* What was a table becomes data, and what was data becomes a table. */
static void test_reuse(const struct paging *paging)
{
    struct page page;
    page_make(&page, paging);
    const uintptr_t upper = space_entry(&page.space, page.va, 2);
    const uintptr_t fresh = table_take();
    memcpy((void *)fresh, (void *)page.table, PAGE_BYTES);
    entry_store(&page.space, fresh, FRAME(1) | PTE_P | PTE_W);
    entry_store(&page.space, upper, fresh | PTE_P | PTE_W | PTE_U);
    invlpg(page.va);
    report(marker_read(page.va) == NEW, "%s: a page written as data and then linked is a table", page.mode);

    memset((void *)page.table, 0xff, PAGE_BYTES);
    cr3_write(page.space.root);
    report(marker_read(page.va) == NEW, "%s: a page no longer linked is data, whatever is written to it",
           page.mode);

    space_map(&page.space, page.va + PAGE_BYTES, 1, fresh | PTE_P | PTE_W);
    *(volatile uint32_t *)(page.va + PAGE_BYTES) = (uint32_t)(FRAME(0) | PTE_P | PTE_W);
    invlpg(page.va);
    report(marker_read(page.va) == OLD, "%s: a table written through a page that it maps itself counts",
           page.mode);
    space_leave();
}

/* One table under two entries: one change, two addresses. */
static void test_shared(const struct paging *paging)
{
    struct page page;
    page_make(&page, paging);
    const uintptr_t alias = page.va + level_bytes(paging, 2);
    const uintptr_t first = space_entry(&page.space, page.va, 2);
    const uintptr_t second = space_entry(&page.space, alias, 2);
    entry_store(&page.space, second, entry_load(&page.space, first) & ~(PTE_W | PTE_A));
    report(marker_read(alias) == OLD, "%s: a table linked twice maps the same pages twice", page.mode);
    report(!probe(page.va, writes).fault && probe(alias, writes).fault, "%s: with the rights of each link",
           page.mode);
    entry_store(&page.space, page.at, FRAME(1) | PTE_P | PTE_W);
    invlpg(page.va);
    invlpg(alias);
    report(marker_read(page.va) == NEW && marker_read(alias) == NEW, "%s: one change counts at both",
           page.mode);
    space_leave();
}

/* The address at which an entry is seen when slot @slot of the root points to the root. */
static uintptr_t self_address(const struct paging *paging, uintptr_t slot, uintptr_t va)
{
    const unsigned bits = 12 + paging->levels * paging->index_bits;
    const uintptr_t mask = bits < 8 * sizeof(uintptr_t) ? BIT(bits) - 1 : ~(uintptr_t)0;
    const uintptr_t index = (va & mask) >> 12;
    uintptr_t address = slot << (bits - paging->index_bits) | index * paging->entry_bytes;
    if (paging->long_mode && slot >= 256) {
        address |= ~mask;
    }
    return address;
}

/*
 * Tables that map themselves. PAE's four root entries do not make a table; its slot
 * lies in the last directory.
 */
static void test_self(const struct paging *paging)
{
    if (paging == &paging_pae) {
        return;
    }
    struct page page;
    page_make(&page, paging);
    const uintptr_t slot = paging->long_mode ? 510 : 1000;
    entry_store(&page.space, page.space.root + slot * paging->entry_bytes, page.space.root | PTE_P | PTE_W);
    const uintptr_t self = self_address(paging, slot, page.va);
    const uint64_t seen = entry_load(&page.space, self);
    detail("%q at %p, not %q", seen, self, entry_load(&page.space, page.at));
    report((seen & ~(PTE_A | PTE_D)) == (FRAME(0) | PTE_P | PTE_W),
           "%s: tables that map themselves show their entries", page.mode);
    entry_store(&page.space, self, FRAME(1) | PTE_P | PTE_W);
    invlpg(page.va);
    report(marker_read(page.va) == NEW, "%s: an entry written through the self-map counts", page.mode);
    report((entry_load(&page.space, self) & PTE_A) != 0,
           "%s: the mark that a walk sets is seen in the self-map", page.mode);
    entry_store(&page.space, self, 0);
    invlpg(page.va);
    report(probe(page.va, reads).fault, "%s: an entry cleared through the self-map is gone", page.mode);
    entry_store(&page.space, self_address(paging, slot, self), 0);
    invlpg(self);
    report(probe(self, reads).fault,
           "%s: the link of a table cleared through the self-map takes its view along", page.mode);
    space_leave();
}

/* A trap whose frame is pushed onto a table: the processor's own writes are writes too. */
static void test_delivery(const struct paging *paging)
{
    struct page page;
    page_make(&page, paging);
    const uintptr_t end = page.table + PAGE_BYTES;
    __asm__ volatile("mov %%" STACK ", %%" SPARE "\n\t"
                     "mov %0, %%" STACK "\n\t"
                     "mov" OP " $9f, trap_resume\n\t"
                     "int $0x80\n"
                     "9: mov" OP " $0, trap_resume\n\t"
                     "mov %%" SPARE ", %%" STACK ::"r"(end)
                     : SPARE, "memory");
    report(trap_last.vector == VECTOR_DONE, "%s: a trap may be delivered on a stack in a live table",
           page.mode);
    report(marker_read(page.va) == OLD, "%s: and the table's other entries still count", page.mode);
    space_leave();
}

void guest_main(void)
{
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        test_ways(*mode);
        test_bulk(*mode);
        test_reuse(*mode);
        test_shared(*mode);
        test_self(*mode);
        test_delivery(*mode);
    }
}
