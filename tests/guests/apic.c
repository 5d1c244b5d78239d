/*
 * Interrupts through the local APIC: its timer while running and while halted, its priorities, and NMIs;
 * by memory and, where offered, by MSRs. SDM 3A "APIC Timer", "Task and Processor Priorities",
 * "Nonmaskable Interrupt (NMI)".
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define TIMER_TICKS  200000U
#define TIMER_DIVIDE 0xb /* by one */

static void timer_start(uint32_t mode, uint32_t ticks)
{
    irq_count(VECTOR_TIMER);
    apic_write(APIC_DIVIDE, TIMER_DIVIDE);
    apic_write(APIC_LVT_TIMER, mode | VECTOR_TIMER);
    if (mode != LVT_DEADLINE) {
        apic_write(APIC_INITIAL, ticks);
    }
}

/* Lets in what was still pending. */
static void timer_stop(void)
{
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_INITIAL, 0);
    __asm__ volatile("sti; nop; nop; cli" ::: "memory");
}

static void spin(uint64_t cycles)
{
    const uint64_t start = tsc_read();
    while (tsc_read() - start < cycles) {
        cpu_pause();
    }
}

static void test_timer(const char *interface)
{
    for (unsigned halting = 0; halting < 2; halting++) {
        const char *how = halting ? "halted" : "running";
        timer_start(0, TIMER_TICKS);
        report(irq_wait(VECTOR_TIMER, 1, halting), "%s: the one-shot timer interrupts the %s processor",
               interface, how);
        interrupts_on();
        spin((uint64_t)TIMER_TICKS * 20);
        interrupts_off();
        detail("%u interrupts, count %x", irq_counts[VECTOR_TIMER], apic_read(APIC_CURRENT));
        report(irq_counts[VECTOR_TIMER] == 1 && apic_read(APIC_CURRENT) == 0,
               "%s: once, and then stands at zero (%s)", interface, how);
        timer_start(LVT_PERIODIC, TIMER_TICKS);
        report(irq_wait(VECTOR_TIMER, 5, halting),
               "%s: the periodic timer interrupts the %s processor again and again", interface, how);
        timer_stop();
    }
    timer_start(LVT_MASKED, TIMER_TICKS);
    interrupts_on();
    spin((uint64_t)TIMER_TICKS * 20);
    interrupts_off();
    report(irq_counts[VECTOR_TIMER] == 0, "%s: a masked timer does not interrupt", interface);
    timer_start(0, UINT32_MAX);
    const uint32_t first = apic_read(APIC_CURRENT);
    spin(100000);
    const uint32_t second = apic_read(APIC_CURRENT);
    timer_stop();
    detail("%x, then %x", first, second);
    report(second < first && second != 0, "%s: the current count counts down", interface);
}

static void test_deadline(const char *interface)
{
    static const char *const hows[] = { "running", "halted" };
    for (unsigned halting = 0; halting < 2; halting++) {
        if (!cpu_has_deadline()) {
            report_skip("TSC-deadline is not offered",
                        "%s: the TSC deadline interrupts the %s processor, once", interface, hows[halting]);
            continue;
        }
        timer_start(LVT_DEADLINE, 0);
        __asm__ volatile("mfence" ::: "memory");
        msr_write(MSR_DEADLINE, tsc_read() + (uint64_t)TIMER_TICKS * 5);
        const bool came = irq_wait(VECTOR_TIMER, 1, halting);
        interrupts_on();
        spin((uint64_t)TIMER_TICKS * 20);
        interrupts_off();
        report(came && irq_counts[VECTOR_TIMER] == 1 && msr_read(MSR_DEADLINE) == 0,
               "%s: the TSC deadline interrupts the %s processor, once", interface, hows[halting]);
        timer_stop();
    }
}

static void test_identity(const char *interface)
{
    const uint32_t version = apic_read(APIC_VERSION);
    detail("version register %x", version);
    report((version & 0xf0) == 0x10 && (version >> 16 & 0xff) >= 3,
           "%s: the version is 0x1X, with four LVT entries or more", interface);
    apic_write(APIC_TPR, 0x30);
    report(apic_read(APIC_TPR) == 0x30 && apic_read(APIC_PPR) == 0x30, "%s: TPR holds, and PPR follows it",
           interface);
    apic_write(APIC_TPR, 0);
#ifdef __x86_64__
    apic_write(APIC_TPR, 0x70);
    uintptr_t priority;
    __asm__ volatile("mov %%cr8, %0" : "=r"(priority));
    report(priority == 7, "%s: CR8 is TPR's upper half", interface);
    __asm__ volatile("mov %0, %%cr8" ::"r"((uintptr_t)2) : "memory");
    report(apic_read(APIC_TPR) == 0x20, "%s: and TPR is CR8's", interface);
    __asm__ volatile("mov %0, %%cr8" ::"r"((uintptr_t)0) : "memory");
#endif
}

/* Interrupts that wait: with IF clear, behind a more urgent one, and under TPR. */
static void test_pending(const char *interface)
{
    irq_count(VECTOR_LOW);
    irq_count(VECTOR_HIGH);
    irq_order_reset();
    interrupts_off();
    apic_send(ICR_SELF | VECTOR_LOW);
    apic_send(ICR_SELF | VECTOR_HIGH);
    apic_send(ICR_SELF | VECTOR_HIGH);
    spin(100000);
    report(irq_counts[VECTOR_LOW] + irq_counts[VECTOR_HIGH] == 0, "%s: with IF clear no interrupt comes",
           interface);
    report(apic_bit(APIC_IRR, VECTOR_LOW) && apic_bit(APIC_IRR, VECTOR_HIGH), "%s: they wait in IRR",
           interface);
    interrupts_on();
    spin(100000);
    interrupts_off();
    detail("%u interrupts: %x, %x", irq_ordered, irq_order[0], irq_order[1]);
    report(irq_ordered == 2 && irq_order[0] == VECTOR_HIGH && irq_order[1] == VECTOR_LOW,
           "%s: with IF set each comes once, the more urgent first", interface);
    report(!apic_bit(APIC_IRR, VECTOR_LOW) && !apic_bit(APIC_ISR, VECTOR_LOW) &&
               !apic_bit(APIC_ISR, VECTOR_HIGH),
           "%s: IRR and ISR are empty after EOI", interface);

    apic_write(APIC_TPR, 0x60);
    irq_order_reset();
    apic_send(ICR_SELF | VECTOR_LOW);
    apic_send(ICR_SELF | VECTOR_HIGH);
    interrupts_on();
    spin(100000);
    report(irq_ordered == 1 && irq_order[0] == VECTOR_HIGH, "%s: TPR holds back what is not more urgent",
           interface);
    apic_write(APIC_TPR, 0);
    spin(100000);
    interrupts_off();
    report(irq_ordered == 2 && irq_order[1] == VECTOR_LOW, "%s: which comes when TPR is lowered", interface);
}

/* An interrupt inside another one's handler, before its EOI: only a more urgent one may come. */
static void on_low(struct trap_frame *frame)
{
    (void)frame;
    apic_send(ICR_SELF | VECTOR_HIGH);
    apic_send(ICR_SELF | VECTOR_TIMER);
    interrupts_on();
    spin(100000);
    interrupts_off();
    irq_counts[VECTOR_LOW] = 1 + irq_ordered;
    apic_write(APIC_EOI, 0);
}

static void test_nested(const char *interface)
{
    irq_count(VECTOR_HIGH);
    irq_count(VECTOR_TIMER);
    irq_counts[VECTOR_LOW] = 0;
    irq_order_reset();
    trap_hook_set(VECTOR_LOW, on_low);
    apic_send(ICR_SELF | VECTOR_LOW);
    interrupts_on();
    spin(100000);
    interrupts_off();
    detail("%u in the handler, %u in all", irq_counts[VECTOR_LOW] - 1, irq_ordered);
    report(irq_counts[VECTOR_LOW] == 2 && irq_order[0] == VECTOR_HIGH,
           "%s: in a handler only a more urgent interrupt comes", interface);
    report(irq_ordered == 2 && irq_order[1] == VECTOR_TIMER, "%s: the other one after its EOI", interface);
    trap_hook_set(VECTOR_LOW, NULL);
}

static volatile unsigned nmi_depth, nmi_deepest, nmi_seen;

/* A second NMI waits for IRET: SDM 3A "Handling Multiple NMIs". */
static void on_nmi(struct trap_frame *frame)
{
    (void)frame;
    nmi_seen++;
    nmi_depth++;
    nmi_deepest = nmi_depth > nmi_deepest ? nmi_depth : nmi_deepest;
    if (nmi_seen == 1) {
        apic_send(ICR_NMI);
        spin(100000);
    }
    nmi_depth--;
}

/* @stack: of the interrupt stack table, or 0. */
static void test_nmi(const char *interface, unsigned stack)
{
    const char *where = stack ? "a stack of its own" : "the stack it finds";
    nmi_depth = nmi_deepest = nmi_seen = 0;
    trap_gate_stack(VECTOR_NMI, stack);
    trap_hook_set(VECTOR_NMI, on_nmi);
    interrupts_off();
    apic_send(ICR_NMI);
    spin(200000);
    detail("%u NMIs, %u deep", nmi_seen, nmi_deepest);
    report(nmi_seen >= 1, "%s: an NMI comes whatever IF says (on %s)", interface, where);
    report(nmi_seen == 2 && nmi_deepest == 1, "%s: an NMI in an NMI's handler comes after it (on %s)",
           interface, where);
    trap_hook_set(VECTOR_NMI, NULL);
    trap_gate_stack(VECTOR_NMI, 0);
}

static void test_interface(const char *interface)
{
    test_identity(interface);
    test_timer(interface);
    test_deadline(interface);
    test_pending(interface);
    test_nested(interface);
    test_nmi(interface, 0);
#ifdef __x86_64__
    test_nmi(interface, 1);
#endif
}

void guest_main(void)
{
    irq_start(false);
    test_interface("xAPIC");
    irq_stop();
    if (!cpu_has_x2apic()) {
        comment("x2APIC is not offered");
        return;
    }
    irq_start(true);
    test_interface("x2APIC");
    irq_stop();
}
