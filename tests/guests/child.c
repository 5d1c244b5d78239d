/*
 * A child that does what its parent tells it, and knows nothing of the parent: see common/family.h.
 *
 * Guest: runs beside others only
 */
#include "tests/guests/common/calls.h"
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/family.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/smp.h"
#include "tests/guests/common/traps.h"

typedef volatile uint64_t mailbox;

static const struct paging *paging;
static struct space space, other;

static uintptr_t page_va(unsigned page)
{
    return paging->test_va + page * PAGE_BYTES;
}

static void *mailbox_of(unsigned vp)
{
    return (void *)page_va(PAGE_MAILBOX + vp);
}

static uintptr_t leaf_of(unsigned page)
{
    return space_entry(&space, page_va(page), 1);
}

/* --- commands --- */

static uint64_t read_at(uintptr_t va)
{
    uint32_t value = ~0U;
    TRY("movl (%1), %0", : "+a"(value) : "d"(va) : "memory");
    return value;
}

static uint64_t write_at(uintptr_t va, uint32_t value)
{
    TRY("movl %0, (%1)", ::"a"(value), "d"(va) : "memory");
    return value;
}

static uint64_t copy(uintptr_t from, uintptr_t to)
{
    uintptr_t at = to;
    TRY("movsl", : "+S"(from), "+D"(at) : : "memory");
    return at - to;
}

/* The register is the parent's to change. */
static uint64_t spin_while(uintptr_t value)
{
    uintptr_t held = value;
    __asm__ volatile("1: pause; cmp %1, %0; je 1b" : "+a"(held) : "b"(value) : "cc");
    return held;
}

static uint64_t set_cr0(uintptr_t bits)
{
    const uintptr_t before = cr0_read();
    cr0_write(before | bits);
    const uintptr_t seen = cr0_read();
    cr0_write(before);
    return seen;
}

static uint64_t set_cr3(uintptr_t bits)
{
    const uintptr_t before = cr3_read();
    cr3_write(before | bits);
    const uintptr_t seen = cr3_read();
    cr3_write(before);
    return seen;
}

static uint64_t set_pat(uint64_t value)
{
    msr_write(MSR_PAT, value);
    return msr_read(MSR_PAT);
}

static uint64_t look(enum look at)
{
    uint32_t value = 0;
    switch (at) {
    case LOOK_CR4: return cr4_read();
    case LOOK_EFER: return msr_read(MSR_EFER);
    case LOOK_PAT: return msr_read(MSR_PAT);
    case LOOK_FS: __asm__ volatile("movl %%fs:0, %0" : "=r"(value)::"memory"); break;
    }
    return value;
}

static void triple_fault(void)
{
    const struct {
        uint16_t limit;
        uintptr_t base;
    } __attribute__((packed)) none = { 0 };
    __asm__ volatile("lidt %0; int3" ::"m"(none) : "memory");
}

static uint64_t perform(enum command command, uint64_t first, uint64_t second)
{
    const uintptr_t va = (uintptr_t)first;
    switch (command) {
    case COMMAND_READ: return read_at(va);
    case COMMAND_WRITE: return write_at(va, (uint32_t)second);
    case COMMAND_FETCH: return probe(va, (struct access){ ACCESS_FETCH, false, false }).fault;
    case COMMAND_COPY: return copy(va, (uintptr_t)second);
    case COMMAND_INVLPG: invlpg(va); return 0;
    case COMMAND_CALL: return hypercall(first, second, OUTPUT_PAGE);
    case COMMAND_FLUSH: return flush_space((struct flush){ cr3_read(), first, second });
    case COMMAND_CR0: return set_cr0(va);
    case COMMAND_CR3: return set_cr3(va);
    case COMMAND_PAT: return set_pat(first);
    case COMMAND_LOOK: return look((enum look)first);
    case COMMAND_SPIN: return spin_while(va);
    case COMMAND_LEAVE: report_end();
    case COMMAND_TRIPLE: triple_fault(); return 0;
    case COMMAND_NONE: break;
    }
    return 0;
}

static void serve(void *argument)
{
    mailbox *box = argument;
    box[MAIL_MAGIC] = FAMILY_MAGIC;
    for (;;) {
        const uint32_t command = (uint32_t)box[MAIL_COMMAND];
        if (command == COMMAND_NONE) {
            box[MAIL_BEATS] = box[MAIL_BEATS] + 1;
            cpu_pause();
            continue;
        }
        trap_last.vector = TRAP_NONE;
        const uint64_t answer = perform((enum command)command, box[MAIL_FIRST], box[MAIL_SECOND]);
        box[MAIL_ANSWER] = answer;
        box[MAIL_VECTOR] = trap_last.vector;
        box[MAIL_COMMAND] = COMMAND_NONE;
    }
}

/* --- its memory --- */

static void map(unsigned page, uint64_t bits)
{
    space_map(&space, page_va(page), 1, FAMILY_FRAME(page) | bits);
}

static void put(uintptr_t frame, uint32_t value)
{
    *(volatile uint32_t *)frame = value;
}

static void make_pages(void)
{
    const bool wide = paging->entry_bytes == 8;
    for (unsigned page = PAGE_MAILBOX; page <= PAGE_LENT; page++) {
        map(page, PTE_P | PTE_W);
    }
    map(PAGE_READ_ONLY, PTE_P);
    map(PAGE_NO_EXECUTE, PTE_P | PTE_W | (wide && cpu_has_nx() ? PTE_NX : 0));
    map(PAGE_RESERVED, PTE_P | PTE_W | (wide ? BIT64(51) : 0));
    map(PAGE_MARKED, PTE_P | PTE_W);
    space_map(&space, page_va(PAGE_BEYOND), 1, FAMILY_BEYOND | PTE_P | PTE_W);
    for (unsigned i = 0; i < 8; i++) {
        const uint64_t bits = (i & 1 ? PTE_PWT : 0) | (i & 2 ? PTE_PCD : 0) | (i & 4 ? PTE_PS : 0);
        map(PAGE_TYPES + i, PTE_P | PTE_W | bits);
        put(FAMILY_FRAME(PAGE_TYPES + i), TYPES_MARKER + i);
    }
    const uintptr_t behind = paging->test_va + FAMILY_UNCACHED_TABLE;
    space_map(&space, behind, 1, FAMILY_FRAME(PAGE_NONE) | PTE_P | PTE_W);
    const uintptr_t link = space_entry(&space, behind, 2);
    entry_store(&space, link, entry_load(&space, link) | PTE_PCD);
    put(FAMILY_FRAME(PAGE_NONE), TYPES_MARKER + 8);
}

/* The other space differs in one page. */
static void make_other(void)
{
    for (unsigned page = PAGE_MAILBOX; page <= PAGE_LENT; page++) {
        space_map(&other, page_va(page), 1, FAMILY_FRAME(page) | PTE_P | PTE_W);
    }
    space_map(&other, page_va(PAGE_VARIABLE), 1, FAMILY_OTHER_VARIABLE | PTE_P | PTE_W);
    put(FAMILY_FRAME(PAGE_VARIABLE), VARIABLE_AT_FIRST);
    put(FAMILY_OTHER_VARIABLE, OTHER_VARIABLE);
    put(FAMILY_FRAME(PAGE_EDITED), EDITED_OLD);
    put(FAMILY_EDITED_NEW, EDITED_NEW);
    *(volatile uint16_t *)FAMILY_FRAME(PAGE_LENT) = PROBE_CODE;
}

static void fill_mailboxes(void)
{
    for (unsigned vp = 0; vp < CHILD_VPS; vp++) {
        mailbox *box = (mailbox *)FAMILY_FRAME(PAGE_MAILBOX + vp);
        for (unsigned i = 0; i < PAGE_BYTES / 8; i++) {
            box[i] = 0;
        }
        box[MAIL_GPA] = (uintptr_t)box;
        box[MAIL_ROOT] = space.root;
        box[MAIL_OTHER_ROOT] = other.root;
        box[MAIL_ENTRY] = leaf_of(PAGE_EDITED);
        box[MAIL_MARKED] = leaf_of(PAGE_MARKED);
        box[MAIL_ENTRY_BYTES] = paging->entry_bytes;
    }
}

static void serve_in_space(void *argument)
{
    space_enter(&space, 0, cpu_has_nx());
    serve(argument);
}

void guest_main(void)
{
    const struct smp_list list = smp_list_madt();
    if (!smp_start(&list, false) || smp_count() != CHILD_VPS) {
        bail_out("%u processors, not %u", smp_count(), CHILD_VPS);
    }
    paging = *paging_modes();
#ifndef __x86_64__
    paging = option("pae") ? &paging_pae : &paging_32;
#endif
    tables_reset();
    space_make(&space, paging);
    space_make(&other, paging);
    make_pages();
    make_other();
    fill_mailboxes();
    calls_start();
    smp_begin(1, serve_in_space, mailbox_of(1));
    serve_in_space(mailbox_of(0));
}
