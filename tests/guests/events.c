/*
 * Events: software interrupts, faults and traps, the instruction after STI, single steps over instructions
 * that exit, deliveries cut short by a page fault, and interrupts of the 8259 and 8254. SDM 3A "Interrupt
 * and Exception Handling".
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

extern const uint8_t user_interrupt[], user_cpuid[], user_in[];

/* The address of a label in the assembly of this file. */
#define LABEL(name) label_##name()

#define MAKE_LABEL(name)                                                                                     \
    extern const uint8_t name[];                                                                             \
    static uintptr_t label_##name(void)                                                                      \
    {                                                                                                        \
        return (uintptr_t)(name);                                                                            \
    }

MAKE_LABEL(event_int_end)
MAKE_LABEL(event_int3_end)
MAKE_LABEL(event_ud)
MAKE_LABEL(event_div)
MAKE_LABEL(event_sti)
MAKE_LABEL(event_sti_next)
MAKE_LABEL(event_popf)
MAKE_LABEL(event_halt_end)
MAKE_LABEL(event_shield_sti)
MAKE_LABEL(event_shield_load)
MAKE_LABEL(event_shield_next)
MAKE_LABEL(event_string)
MAKE_LABEL(event_string_end)
MAKE_LABEL(event_step_0)
MAKE_LABEL(event_step_1)
MAKE_LABEL(event_step_2)
MAKE_LABEL(event_step_3)
MAKE_LABEL(event_step_4)
MAKE_LABEL(event_step_5)
MAKE_LABEL(event_step_6)
MAKE_LABEL(event_step_7)
MAKE_LABEL(event_step_8)
MAKE_LABEL(event_step_9)
#ifndef __x86_64__
MAKE_LABEL(event_into_end)
#endif

static void test_exceptions(void)
{
    TRY("event_int: int $0x81\nevent_int_end:", ::: "memory");
    report(trap_last.vector == 0x81 && trap_last.ip == LABEL(event_int_end), "INT n goes on behind itself");
    TRY("event_int3: int3\nevent_int3_end:", ::: "memory");
    report(trap_last.vector == VECTOR_BREAKPOINT && trap_last.ip == LABEL(event_int3_end), "INT3 is a trap");
    TRY("event_ud: ud2", ::: "memory");
    report(trap_last.vector == VECTOR_UNDEFINED && trap_last.ip == LABEL(event_ud), "UD2 is a fault");
    TRY("event_div: div %0", ::"r"((uintptr_t)0), "a"(1), "d"(0) : "memory");
    report(trap_last.vector == VECTOR_DIVIDE && trap_last.ip == LABEL(event_div),
           "a division by zero is a fault");
#ifndef __x86_64__
    TRY("movl $0x7fffffff, %%eax; incl %%eax; into\nevent_into_end:", ::: "eax", "memory");
    report(trap_last.vector == VECTOR_OVERFLOW && trap_last.ip == LABEL(event_into_end), "INTO is a trap");
#endif
    TRY("mov %0, %%ds", ::"r"(0x1000) : "memory");
    report(trap_last.vector == VECTOR_PROTECTION && trap_last.error == 0x1000,
           "a selector beyond the GDT raises #GP with it");
    TRY("ltr %w0", ::"r"(TASK_STATE) : "memory");
    report(trap_last.vector == VECTOR_PROTECTION && trap_last.error == TASK_STATE,
           "a busy task state cannot be loaded");
}

/*
 * The error code that names a gate. In long mode the emulated processor doubles the index: docs/caveats.md.
 */
static bool names_gate(uintptr_t error, unsigned gate)
{
    if (sizeof(void *) == 8 && error == gate * 16 + 2) {
        comment("the processor named gate %x by %p", gate, error);
        return true;
    }
    return error == gate * 8 + 2;
}

static void test_gates(void)
{
    trap_gate_set(0x82, false, 0);
    TRY("int $0x82", ::: "memory");
    detail("vector %u error %p", (unsigned)trap_last.vector, trap_last.error);
    report(trap_last.vector == VECTOR_NO_SEGMENT && names_gate(trap_last.error, 0x82),
           "a gate that is not present raises #NP");
    trap_gate_set(0x82, true, 0);

    struct space space;
    tables_reset();
    space_make(&space, *paging_modes());
    space_enter(&space, 0, false);
    user_run(user_address(user_interrupt), 0, 0);
    detail("vector %u error %p", (unsigned)trap_last.vector, trap_last.error);
    report(trap_last.vector == VECTOR_PROTECTION && names_gate(trap_last.error, 0x81),
           "user code may not call a kernel's gate");
    user_run(user_address(user_cpuid), 0, 0);
    report(trap_last.vector == VECTOR_DONE, "user code may CPUID");
    user_run(user_address(user_in), 0, 0);
    report(trap_last.vector == VECTOR_PROTECTION && trap_last.error == 0, "user code may not read a port");
    user_run(user_address(user_in), 0x3000, 0);
    report(trap_last.vector == VECTOR_DONE, "but with IOPL 3 it may");
    space_leave();
}

/* A page fault whose own gate is not there: a contributory fault in its delivery is a double fault. */
static void on_double(struct trap_frame *frame)
{
    irq_counts[VECTOR_DOUBLE] = 1 + (unsigned)frame->error;
    frame->ip = trap_resume;
}

static void test_double(void)
{
    struct space space;
    tables_reset();
    space_make(&space, *paging_modes());
    space_enter(&space, 0, false);
    trap_hook_set(VECTOR_DOUBLE, on_double);
    trap_gate_set(VECTOR_PAGE, false, 0);
    irq_counts[VECTOR_DOUBLE] = 0;
    TRY("movb (%0), %%al", ::"r"((*paging_modes())->test_va) : "eax", "memory");
    trap_gate_set(VECTOR_PAGE, true, 0);
    trap_hook_set(VECTOR_DOUBLE, NULL);
    space_leave();
    report(irq_counts[VECTOR_DOUBLE] == 1,
           "a fault in delivering a page fault is a double fault, with error code 0");
}

/* SDM 2B STI: the instruction after it is executed first. */
static void test_sti(void)
{
    irq_start(false);
    irq_count(VECTOR_LOW);
    apic_send(ICR_SELF | VECTOR_LOW);
    __asm__ volatile("sti\n"
                     "event_sti: nop\n"
                     "event_sti_next: nop\n"
                     "event_sti_last: nop\n\t"
                     "cli" ::
                         : "memory");
    detail("%u, at %p", irq_counts[VECTOR_LOW], irq_ip - LABEL(event_sti));
    report(irq_counts[VECTOR_LOW] == 1 && irq_ip == LABEL(event_sti_next),
           "a pending interrupt comes one instruction after STI");
    irq_count(VECTOR_LOW);
    apic_send(ICR_SELF | VECTOR_LOW);
    __asm__ volatile("sti; cli; nop; nop" ::: "memory");
    report(irq_counts[VECTOR_LOW] == 0, "and not between STI and CLI");
    __asm__ volatile("sti; hlt; cli" ::: "memory");
    report(irq_counts[VECTOR_LOW] == 1, "nor is it lost to a HLT right after STI");
    apic_send(ICR_SELF | VECTOR_LOW);
    irq_counts[VECTOR_LOW] = 0;
    __asm__ volatile("push %0; popf\n"
                     "event_popf: nop\n\t"
                     "nop; cli" ::"r"(flags_read() | FLAGS_IF)
                     : "memory", "cc");
    report(irq_counts[VECTOR_LOW] == 1 && irq_ip == LABEL(event_popf), "after POPF it comes at once");
    irq_stop();
}

#define STEPS_MOST 32
static volatile uintptr_t steps[STEPS_MOST];
static volatile unsigned steps_seen;
static volatile uintptr_t steps_dr6;

static void on_step(struct trap_frame *frame)
{
    if (steps_seen < STEPS_MOST) {
        steps[steps_seen] = frame->ip;
    }
    steps_seen++;
    steps_dr6 |= dr6_read();
    dr6_write(0xffff0ff0);
}

/* Single steps over instructions that leave a partition: each must trap once, behind itself. */
static void test_steps(void)
{
    static const char *const names[] = { "NOP",   "CPUID",        "RDMSR",      "IN",           "OUT",
                                         "RDTSC", "MOV from CR0", "MOV to CR3", "MOV from CR4", "WBINVD" };
    trap_hook_set(VECTOR_DEBUG, on_step);
    steps_seen = 0;
    steps_dr6 = 0;
    uintptr_t value = 0;
    __asm__ volatile("mov $0x10, %%ecx\n\t"
                     "pushf; orl $0x100, (%%" STACK "); popf\n"
                     "nop\n event_step_0: xor %%eax, %%eax; cpuid\n event_step_1: mov $0x277, %%ecx; rdmsr\n"
                     "event_step_2: inb $0x80, %%al\n event_step_3: outb %%al, $0x80\n event_step_4: rdtsc\n"
                     "event_step_5: mov %%cr0, %0\n event_step_6: mov %%cr3, %0; mov %0, %%cr3\n"
                     "event_step_7: mov %%cr4, %0\n event_step_8: wbinvd\n event_step_9:"
                     "pushf; andl $~0x100, (%%" STACK "); popf"
                     : "=r"(value)::"eax", "ebx", "ecx", "edx", "memory", "cc");
    trap_hook_set(VECTOR_DEBUG, NULL);
    const uintptr_t ends[] = { LABEL(event_step_0), LABEL(event_step_1), LABEL(event_step_2),
                               LABEL(event_step_3), LABEL(event_step_4), LABEL(event_step_5),
                               LABEL(event_step_6), LABEL(event_step_7), LABEL(event_step_8),
                               LABEL(event_step_9) };
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        unsigned found = 0;
        for (unsigned step = 0; step < steps_seen && step < STEPS_MOST; step++) {
            found += steps[step] == ends[i];
        }
        detail("%u traps there, %u in all", found, steps_seen);
        report(found == 1, "a single step over %s traps once, behind it", names[i]);
    }
    report((steps_dr6 & BIT(14)) != 0, "DR6.BS says that it was a step");
}

/*
 * STI shields its successor from interrupts, not from its own step; a load of SS shields it from that, too. SDM 3A
 * "Masking Exceptions and Interrupts When Switching Stacks", 2B STI.
 */
static void test_shielded_steps(void)
{
    const uintptr_t selector = KERNEL_DATA;
    unsigned behind_sti = 0, behind_load = 0, behind_next = 0;

    trap_hook_set(VECTOR_DEBUG, on_step);
    steps_seen = 0;
    __asm__ volatile("pushf; orl $0x100, (%%" STACK "); popf\n\t"
                     "sti\n event_shield_sti: cli\n\t"
                     "mov %w0, %%ss\n event_shield_load: cpuid\n event_shield_next: nop\n\t"
                     "pushf; andl $~0x100, (%%" STACK "); popf"
                     :
                     : "S"(selector), "a"(0)
                     : "ebx", "ecx", "edx", "memory", "cc");
    trap_hook_set(VECTOR_DEBUG, NULL);
    for (unsigned step = 0; step < steps_seen && step < STEPS_MOST; step++) {
        behind_sti += steps[step] == LABEL(event_shield_sti);
        behind_load += steps[step] == LABEL(event_shield_load);
        behind_next += steps[step] == LABEL(event_shield_next);
    }
    detail("%u behind STI, %u behind the load, %u behind its successor", behind_sti, behind_load,
           behind_next);
    report_slip(behind_sti == 1, "a single step over STI traps once, behind it");
    report_slip(behind_load == 0, "a single step over a load of SS does not trap");
    report(behind_next == 1, "and the one over the instruction after it does");
}

#define HALT_TICKS 100000000U

/*
 * The trap behind HLT ends it. The bare emulator stays halted and loses the step (docs/caveats.md): the timer
 * is there so that whoever does so goes on.
 */
static void test_halt_step(void)
{
    irq_start(false);
    irq_count(VECTOR_TIMER);
    apic_write(APIC_DIVIDE, 0xb);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    apic_write(APIC_INITIAL, HALT_TICKS);
    trap_hook_set(VECTOR_DEBUG, on_step);
    steps_seen = 0;
    __asm__ volatile("sti\n\t"
                     "pushf; orl $0x100, (%%" STACK "); popf\n"
                     "hlt\n event_halt_end:"
                     "pushf; andl $~0x100, (%%" STACK "); popf\n\t"
                     "cli" ::
                         : "memory", "cc");
    trap_hook_set(VECTOR_DEBUG, NULL);
    unsigned behind = 0;
    for (unsigned step = 0; step < steps_seen && step < STEPS_MOST; step++) {
        behind += steps[step] == LABEL(event_halt_end);
    }
    detail("%u traps there, %u in all, %u timer interrupts", behind, steps_seen, irq_counts[VECTOR_TIMER]);
    report_inside(behind == 1 && irq_counts[VECTOR_TIMER] == 0,
                  "a single step over HLT traps once, behind it");
    irq_stop();
}

/* SDM 3B "Single-Step Exception Condition": after each iteration of a string instruction. */
static void test_string_steps(void)
{
    static const uint8_t bytes[3] = { 1, 2, 3 };
    const uint8_t *from = bytes;
    uintptr_t count = sizeof(bytes);
    trap_hook_set(VECTOR_DEBUG, on_step);
    steps_seen = 0;
    __asm__ volatile("pushf; orl $0x100, (%%" STACK "); popf\n"
                     "event_string: rep outsb\n event_string_end:"
                     "pushf; andl $~0x100, (%%" STACK "); popf"
                     : "+S"(from), "+c"(count)
                     : "d"(0x80)
                     : "memory", "cc");
    trap_hook_set(VECTOR_DEBUG, NULL);
    unsigned inside = 0, behind = 0;
    for (unsigned step = 0; step < steps_seen && step < STEPS_MOST; step++) {
        inside += steps[step] == LABEL(event_string);
        behind += steps[step] == LABEL(event_string_end);
    }
    detail("%u traps at it, %u behind it, CX %p", inside, behind, count);
    report(inside == 2 && behind == 1 && count == 0,
           "a single step over REP OUTSB traps after each of three bytes");
}

/* The table of gates in a page that is not there: the fault is taken, and INT n comes when executed again. */
static struct {
    struct space space;
    uintptr_t at;
    unsigned faults;
    uintptr_t cr2;
    uintptr_t error;
} cut;

static void on_cut_fault(struct trap_frame *frame)
{
    cut.faults++;
    cut.cr2 = cr2_read();
    cut.error = frame->error;
    entry_store(&cut.space, cut.at, entry_load(&cut.space, cut.at) | PTE_P);
    invlpg(cut.cr2);
}

static void cut_start(uintptr_t va)
{
    tables_reset();
    space_make(&cut.space, *paging_modes());
    space_map(&cut.space, va, 1, FRAME(0) | PTE_P | PTE_W);
    space_map(&cut.space, va + PAGE_BYTES, 1, FRAME(1) | PTE_P | PTE_W);
    cut.at = space_entry(&cut.space, va + PAGE_BYTES, 1);
    cut.faults = 0;
    space_enter(&cut.space, 0, false);
    trap_hook_set(VECTOR_PAGE, on_cut_fault);
}

static void cut_page_away(uintptr_t va)
{
    entry_store(&cut.space, cut.at, entry_load(&cut.space, cut.at) & ~PTE_P);
    invlpg(va + PAGE_BYTES);
}

static void cut_end(void)
{
    trap_hook_set(VECTOR_PAGE, NULL);
    space_leave();
}

/* Gates 128 to 255 on the second page. */
static void test_gate_page(void)
{
    const uintptr_t va = (*paging_modes())->test_va;
    const uintptr_t table = PAGE_BYTES - trap_table_bytes() / 2;
    memcpy((void *)(FRAME(0) + table), (void *)trap_table(), trap_table_bytes());
    cut_start(va);
    trap_table_move(va + table);
    cut_page_away(va);
    TRY("int $0x81", ::: "memory");
    const bool came = trap_last.vector == 0x81;
    trap_table_restore();
    report(came, "INT n comes although its gate's page was not there at first");
    detail("%u faults, error %p, cr2 %p", cut.faults, cut.error, cut.cr2);
    report(cut.faults == 1 && cut.error == 0 && cut.cr2 == va + table + 0x81 * (trap_table_bytes() / 256),
           "with one page fault, at the gate");

    /*
     * The same page present, but not used since the last flush: whoever fills mappings lazily
     * must not lose an interrupt.
     */
    irq_start(false);
    irq_count(VECTOR_TIMER);
    irq_count(0x90);
    trap_table_move(va + table);
    cr3_write(cut.space.root);
    interrupts_on();
    apic_send(ICR_SELF | 0x90);
    for (unsigned i = 0; i < 1000; i++) {
        cpu_pause();
    }
    interrupts_off();
    trap_table_restore();
    detail("%u interrupts, %u faults", irq_counts[0x90], cut.faults);
    report(irq_counts[0x90] == 1 && cut.faults == 1,
           "an interrupt comes once through a gate that was not used before");
    irq_stop();
    cut_end();
}

#ifdef __x86_64__
/* A stack that ends on a page that is not there; the page fault has a stack of its own. */
static void test_stack_page(void)
{
    const uintptr_t va = (*paging_modes())->test_va;
    cut_start(va);
    trap_gate_stack(VECTOR_PAGE, 1);
    cut_page_away(va);
    trap_last.vector = TRAP_NONE;
    __asm__ volatile("mov %%rsp, %%r11\n\t"
                     "mov %0, %%rsp\n\t"
                     "movq $9f, trap_resume\n\t"
                     "int $0x81\n"
                     "9: movq $0, trap_resume\n\t"
                     "mov %%r11, %%rsp" ::"r"(va + 2 * PAGE_BYTES)
                     : "r11", "memory");
    trap_gate_stack(VECTOR_PAGE, 0);
    detail("vector %x", (unsigned)trap_last.vector);
    report(trap_last.vector == 0x81, "INT n comes although its stack's page was not there at first");
    detail("%u faults, error %p, cr2 %p", cut.faults, cut.error, cut.cr2);
    report(cut.faults == 1 && cut.error == 2 && cut.cr2 >= va + PAGE_BYTES && cut.cr2 < va + 2 * PAGE_BYTES,
           "with one page fault, of a write to the stack");
    cut_end();
}
#endif

/* The 8254's channel 0 through the 8259, which the local APIC lets through as ExtINT. */
static void test_pit(void)
{
    for (unsigned halting = 0; halting < 2; halting++) {
        irq_start(false);
        irq_count(VECTOR_PIC);
        apic_write(APIC_LVT_LINT0, LVT_EXTINT);
        out8(0x43, 0x34);
        out8(0x40, 0xa9);
        out8(0x40, 0x04);
        pic_unmask(1);
        report(irq_wait(VECTOR_PIC, 10, halting), "the 8254 interrupts the %s processor through the 8259",
               halting ? "halted" : "running");
        pic_unmask(0);
        const unsigned before = irq_counts[VECTOR_PIC];
        const uint64_t start = tsc_read();
        interrupts_on();
        while (tsc_read() - start < 10000000) {
            cpu_pause();
        }
        interrupts_off();
        report(irq_counts[VECTOR_PIC] <= before + 1, "and no longer when its line is masked (%s)",
               halting ? "halted" : "running");
        irq_stop();
    }
    out8(0x43, 0x30);
}

void guest_main(void)
{
    test_exceptions();
    test_gates();
    test_double();
    test_sti();
    test_steps();
    test_shielded_steps();
    test_halt_step();
    test_string_steps();
    test_gate_page();
#ifdef __x86_64__
    test_stack_page();
#endif
    test_pit();
}
