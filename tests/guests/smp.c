/*
 * Several processors: that the firmware's tables name them, that INIT and start-up messages start them, interrupts between
 * them of every kind, and that each has registers, paging and a TLB of its own. SDM 3A "Multiple-Processor Management",
 * "Issuing Interprocessor Interrupts", "Propagation of Paging and Page-Directory Entry Changes to Multiple Processors".
 *
 * Guest: run 1 processor: --cpus 1 --firmware both -- cpus=1
 * Guest: run 2 processors: --cpus 2 --firmware both -- cpus=2
 * Guest: run 4 processors: --cpus 4 --firmware both -- cpus=4
 * Guest: run 8 processors: --cpus 8 --firmware both -- cpus=8
 */
#include "tests/guests/common/smp.h"

#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"
#include "tests/guests/common/views.h"

#define MSR_SYSENTER_ESP 0x175
#define VECTOR_CALL      0x81
#define VECTOR_SHOOT     0x91

/* Rounds of a spin loop in which what should not come would have come. */
#define SETTLE_ROUNDS    100
#define ROUNDS           20

#define OLD              0x01d01d
#define NEW              0x2e2e2e

static const char *interface;

/* As the command line has it. */
static unsigned expected_count(void)
{
    static const char *const words[] = { "cpus=1", "cpus=2", "cpus=3", "cpus=4",
                                         "cpus=5", "cpus=6", "cpus=7", "cpus=8" };
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (option(words[i])) {
            return i + 1;
        }
    }
    bail_out("the command line does not say how many processors there are");
}

static bool same_lists(const struct smp_list *left, const struct smp_list *right)
{
    bool same = left->count == right->count;
    for (unsigned i = 0; i < left->count && same; i++) {
        same = left->ids[i] == right->ids[i];
    }
    return same;
}

static void test_tables(const struct smp_list *madt)
{
    const struct smp_list mp = smp_list_mp();
    detail("%u of %u", madt->count, expected_count());
    report(madt->count == expected_count(), "the MADT has as many processors as the machine");
    detail("%u of %u", mp.count, expected_count());
    report(same_lists(madt, &mp), "the MP table has the same");
    const struct cpuid first = cpuid(1, 0);
    detail("leaf 1: %x %x", first.b, first.d);
    report((first.d >> 28 & 1) == 0 || (first.b >> 16 & 0xff) >= madt->count,
           "CPUID has room for as many, if it has several in a package");
    report((msr_read(MSR_APIC_BASE) & BIT64(8)) != 0, "the first processor is the bootstrap processor");
}

/* --- starting --- */

struct identity {
    uint32_t apic, initial, leaf_b;
    bool bootstrap;
};

static void tell_identity(void *argument)
{
    struct identity *identity = argument;
    identity->apic = apic_identity();
    identity->initial = cpuid(1, 0).b >> 24;
    identity->leaf_b = cpuid(0, 0).a >= 0xb ? cpuid(0xb, 0).d : identity->initial;
    identity->bootstrap = (msr_read(MSR_APIC_BASE) & BIT64(8)) != 0;
}

static void test_identities(void)
{
    unsigned wrong = 0, again = 0;
    for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
        struct identity seen = { 0 };
        smp_run(cpu, tell_identity, &seen);
        const uint32_t id = smp_identity(cpu);
        if (seen.apic != id || seen.initial != id || seen.leaf_b != id || seen.bootstrap) {
            wrong++;
            detail("processor %u: identities %x, %x, %x of %x, bootstrap %u", cpu, seen.apic, seen.initial,
                   seen.leaf_b, id, seen.bootstrap);
        }
        again += smp_starts(cpu) != 1;
    }
    report(wrong == 0, "%s: each processor has the identity that the table gives it", interface);
    report(again == 0, "%s: of two start-up messages the second does nothing", interface);
}

/* SDM 3A "Processor State After Reset": CD, NW and ET apart, which INIT may leave. */
static void test_first_state(void)
{
    const uint32_t kept = (uint32_t)(CR0_CD | CR0_NW | BIT(4));
    for (unsigned cpu = 1; cpu < smp_count() && cpu < 3; cpu++) {
        struct smp_first first;
        const bool came = smp_restart(cpu, &first);
        detail("came %u, CR0 %x CR3 %x CR4 %x CS %x EDX %x", came, first.cr0, first.cr3, first.cr4, first.cs,
               first.edx);
        report(came && (first.cr0 & ~kept) == 0 && first.cr3 == 0 && first.cr4 == 0,
               "%s: INIT takes processor %u back to real mode, whatever it did", interface, cpu);
        report(first.cs == SMP_PAGE >> 4, "%s: and it starts at the page that the message names (%u)",
               interface, cpu);
    }
}

static volatile unsigned progress;

static void count_on(void *argument)
{
    (void)argument;
    for (;;) {
        progress++;
        cpu_pause();
    }
}

static void test_init_again(void)
{
    if (smp_count() < 2) {
        return;
    }
    progress = 0;
    smp_begin(1, count_on, 0);
    const bool ran = smp_await(&progress, 100);
    smp_reset(1);
    smp_linger(SETTLE_ROUNDS);
    const unsigned stood = progress;
    smp_linger(SETTLE_ROUNDS);
    report(ran && progress == stood, "%s: INIT stops a processor that runs", interface);
    const unsigned before = smp_starts(1);
    smp_send(1, ICR_ASSERT | VECTOR_SMP);
    smp_linger(SETTLE_ROUNDS);
    report(smp_starts(1) == before, "%s: one that waits for its start-up message takes no interrupt",
           interface);
    report(smp_wake(1), "%s: and starts by it", interface);
    smp_linger(SETTLE_ROUNDS);
    detail("%u starts, then %u", before, smp_starts(1));
    report(smp_starts(1) == before + 1, "%s: once", interface);
    struct identity seen = { 0 };
    smp_run(1, tell_identity, &seen);
    report(seen.apic == smp_identity(1), "%s: and works as before", interface);
}

/* --- interrupts between processors --- */

static volatile unsigned listening;
static volatile bool heard;

/* Interrupts on, until told. */
static void listen(void *argument)
{
    (void)argument;
    __asm__ volatile("lock incl %0" : "+m"(listening)::"memory", "cc");
    interrupts_on();
    while (!heard) {
        cpu_pause();
    }
    interrupts_off();
}

static void all_listen(void)
{
    listening = 0;
    heard = false;
    for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
        smp_begin(cpu, listen, 0);
    }
    if (!smp_await(&listening, smp_count() - 1)) {
        bail_out("%u of %u processors listen", listening, smp_count() - 1);
    }
    interrupts_on();
}

/* @count of @vector have come to each of @set, and time for more has passed. */
static void settle(unsigned vector, unsigned set, unsigned count)
{
    for (unsigned cpu = 0; cpu < smp_count(); cpu++) {
        if (set >> cpu & 1) {
            smp_await(&smp_counts[vector][cpu], count);
        }
    }
    smp_linger(SETTLE_ROUNDS);
}

static void all_heard(void)
{
    interrupts_off();
    heard = true;
    for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
        if (!smp_wait(cpu)) {
            bail_out("processor %u does not stop listening", cpu);
        }
    }
}

/* Whether exactly the processors of @set got @count of @vector each. */
static bool got_only(unsigned vector, unsigned set, unsigned count)
{
    unsigned wrong = 0;
    for (unsigned cpu = 0; cpu < smp_count(); cpu++) {
        const unsigned wanted = set >> cpu & 1 ? count : 0;
        if (smp_counts[vector][cpu] != wanted) {
            wrong++;
            detail("processor %u got %u, not %u", cpu, smp_counts[vector][cpu], wanted);
        }
    }
    return wrong == 0;
}

static bool one_got(unsigned vector)
{
    unsigned total = 0;
    for (unsigned cpu = 0; cpu < smp_count(); cpu++) {
        total += smp_counts[vector][cpu];
    }
    detail("%u came", total);
    return total == 1;
}

static void test_directed(void)
{
    unsigned wrong = 0;
    for (unsigned cpu = 0; cpu < smp_count(); cpu++) {
        smp_count_vector(VECTOR_CALL);
        all_listen();
        smp_send(cpu, ICR_ASSERT | VECTOR_CALL);
        settle(VECTOR_CALL, 1U << cpu, 1);
        all_heard();
        wrong += !got_only(VECTOR_CALL, 1U << cpu, 1);
    }
    report(wrong == 0, "%s: an interrupt for one processor comes to that one", interface);
    smp_count_vector(VECTOR_CALL);
    all_listen();
    for (unsigned i = 0; i < 3; i++) {
        smp_send(smp_count() - 1, ICR_ASSERT | VECTOR_CALL);
        smp_await(&smp_counts[VECTOR_CALL][smp_count() - 1], i + 1);
    }
    all_heard();
    report(got_only(VECTOR_CALL, 1U << (smp_count() - 1), 3),
           "%s: three of them, one after the other, come thrice", interface);
}

static void test_shorthands(void)
{
    const unsigned all = (1U << smp_count()) - 1;
    const struct {
        const char *sentence;
        uint32_t shorthand;
        unsigned set;
    } kinds[] = { { "to itself", ICR_SELF, 1 },
                  { "to all", ICR_ALL, all },
                  { "to all others", ICR_OTHERS, all & ~1U } };
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        smp_count_vector(VECTOR_CALL);
        all_listen();
        apic_send_to(0, kinds[i].shorthand | ICR_ASSERT | VECTOR_CALL);
        settle(VECTOR_CALL, kinds[i].set, 1);
        all_heard();
        report(got_only(VECTOR_CALL, kinds[i].set, 1), "%s: by shorthand %s", interface, kinds[i].sentence);
    }
}

/* The shorthand of another processor than the first. */
static void send_to_others(void *argument)
{
    (void)argument;
    apic_send_to(0, ICR_OTHERS | ICR_ASSERT | VECTOR_CALL);
}

static void test_from_others(void)
{
    if (smp_count() < 2) {
        return;
    }
    const unsigned last = smp_count() - 1, others = views_all() & ~(1U << last);
    smp_count_vector(VECTOR_CALL);
    interrupts_on();
    smp_run(last, send_to_others, 0);
    settle(VECTOR_CALL, others, 1);
    interrupts_off();
    report(got_only(VECTOR_CALL, others, 1), "%s: all others of another processor are woken where they halt",
           interface);
}

static void set_logical(void *argument)
{
    (void)argument;
    apic_write(APIC_DFR, 0xffffffff);
    apic_write(APIC_LDR, (uint32_t)1 << (24 + smp_here()));
}

static void read_logical(void *argument)
{
    *(uint32_t *)argument = apic_read(APIC_LDR);
}

/* The set that names these processors: flat with the xAPIC, of cluster 0 with the x2APIC. */
static uint32_t logical_set(unsigned set)
{
    uint32_t names = 0;
    for (unsigned cpu = 0; cpu < smp_count(); cpu++) {
        names |= set >> cpu & 1 ? (uint32_t)1 << smp_identity(cpu) : 0;
    }
    return names;
}

static void test_logical(bool x2)
{
    const unsigned all = (1U << smp_count()) - 1;
    unsigned wrong = 0;
    for (unsigned cpu = 0; cpu < smp_count(); cpu++) {
        uint32_t logical = 0;
        smp_function *const set = x2 ? read_logical : set_logical;
        if (cpu == 0) {
            set(&logical);
        } else {
            smp_run(cpu, set, &logical);
        }
        const uint32_t id = smp_identity(cpu);
        wrong += x2 && logical != ((id >> 4) << 16 | (uint32_t)1 << (id & 15));
    }
    report(wrong == 0, "%s: logical identities are as the interface has them", interface);
    for (unsigned i = 0; i < 3; i++) {
        const unsigned set = i == 0 ? all : i == 1 ? all & 0x55 : 1U << (smp_count() - 1);
        smp_count_vector(VECTOR_CALL);
        all_listen();
        apic_send_to(logical_set(set), ICR_LOGICAL | ICR_ASSERT | VECTOR_CALL);
        settle(VECTOR_CALL, set, 1);
        all_heard();
        report(got_only(VECTOR_CALL, set, 1), "%s: by a set of logical identities (%x)", interface, set);
    }
    smp_count_vector(VECTOR_CALL);
    all_listen();
    apic_send_to(logical_set(all), ICR_LOGICAL | ICR_LOWEST | ICR_ASSERT | VECTOR_CALL);
    smp_linger(10 * SETTLE_ROUNDS);
    all_heard();
    report(one_got(VECTOR_CALL), "%s: with lowest priority, one of a set gets it", interface);
}

/* --- NMIs and halts --- */

static volatile unsigned woken;

static void halt_deaf(void *argument)
{
    (void)argument;
    __asm__ volatile("lock incl %0" : "+m"(listening)::"memory", "cc");
    __asm__ volatile("cli; hlt" ::: "memory");
    __asm__ volatile("lock incl %0" : "+m"(woken)::"memory", "cc");
}

static void test_nmi(void)
{
    const unsigned all = (1U << smp_count()) - 1;
    smp_count_vector(VECTOR_NMI);
    smp_count_vector(VECTOR_CALL);
    listening = woken = 0;
    for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
        smp_begin(cpu, halt_deaf, 0);
    }
    smp_await(&listening, smp_count() - 1);
    smp_linger(SETTLE_ROUNDS);
    apic_send_to(0, ICR_OTHERS | ICR_ASSERT | VECTOR_CALL);
    smp_linger(SETTLE_ROUNDS);
    report(woken == 0 && got_only(VECTOR_CALL, 0, 0),
           "%s: a processor that halts with interrupts off sleeps on", interface);
    apic_send_to(0, ICR_OTHERS | ICR_ASSERT | ICR_NMI);
    const bool all_woke = smp_await(&woken, smp_count() - 1);
    report(all_woke && got_only(VECTOR_NMI, all & ~1U, 1),
           "%s: NMIs for all others wake them, whatever IF says", interface);
    for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
        smp_wait(cpu);
    }
    settle(VECTOR_CALL, all & ~1U, 1);
    report(got_only(VECTOR_CALL, all & ~1U, 1), "%s: the interrupt that waited comes with interrupts on",
           interface);
    smp_count_vector(VECTOR_NMI);
    smp_send(smp_count() - 1, ICR_ASSERT | ICR_NMI);
    settle(VECTOR_NMI, 1U << (smp_count() - 1), 1);
    report(got_only(VECTOR_NMI, 1U << (smp_count() - 1), 1), "%s: an NMI for one comes to that one",
           interface);
}

/* --- time --- */

static volatile uint64_t their_time;

static void tell_time(void *argument)
{
    (void)argument;
    their_time = tsc_read();
}

static void test_time(void)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
            const uint64_t before = tsc_read();
            smp_run(cpu, tell_time, 0);
            const uint64_t after = tsc_read();
            if (their_time < before || their_time > after) {
                wrong++;
                detail("processor %u: %q is not between %q and %q", cpu, their_time, before, after);
            }
        }
    }
    report(wrong == 0, "%s: the time-stamp counters go in step", interface);
}

/* --- registers of each --- */

static volatile unsigned mixed;

/* A number of this processor's own in every kind of register, which stays there while the others do the same. */
static void keep_registers(void *argument)
{
    const unsigned here = smp_here();
    const uintptr_t mine = 0x1000 + 16 * (uintptr_t)here;
    uint32_t vector = 0;
    (void)argument;
    cr4_write(cr4_read() | CR4_OSFXSR);
    __asm__ volatile("lock incl %0" : "+m"(listening)::"memory", "cc");
    for (unsigned i = 0; i < ROUNDS; i++) {
        dr0_write(mine);
        dr3_write(mine + i);
        cr2_write(mine + 2);
        msr_write(MSR_SYSENTER_ESP, mine + 3);
        msr_write(MSR_PAT, 0x0007040600070400 | (here & 1 ? 6 : 5));
        __asm__ volatile("movd %0, %%xmm7" ::"r"((uint32_t)mine + 4));
        smp_linger(50);
        __asm__ volatile("movd %%xmm7, %0" : "=r"(vector));
        const bool kept = dr0_read() == mine && dr3_read() == mine + i && cr2_read() == mine + 2 &&
                          msr_read(MSR_SYSENTER_ESP) == mine + 3 && vector == mine + 4 &&
                          (msr_read(MSR_PAT) & 7) == (here & 1 ? 6 : 5);
        if (!kept) {
            mixed++;
            detail("processor %u: DR0 %p DR3 %p CR2 %p, XMM7 %x, PAT %q", here, dr0_read(), dr3_read(),
                   cr2_read(), vector, msr_read(MSR_PAT));
        }
    }
    dr0_write(0);
    dr3_write(0);
    msr_write(MSR_PAT, 0x0007040600070406);
    cr4_write(cr4_read() & ~CR4_OSFXSR);
}

static void test_registers(void)
{
    mixed = listening = 0;
    for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
        smp_begin(cpu, keep_registers, 0);
    }
    keep_registers(0);
    for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
        smp_wait(cpu);
    }
    report(mixed == 0, "%s: each processor keeps its own registers", interface);
}

static volatile unsigned shared_sum;

static void add_up(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < 1000; i++) {
        __asm__ volatile("lock incl %0" : "+m"(shared_sum)::"memory", "cc");
    }
}

static void test_sum(void)
{
    shared_sum = 0;
    for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
        smp_begin(cpu, add_up, 0);
    }
    add_up(0);
    for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
        smp_wait(cpu);
    }
    detail("%u", shared_sum);
    report(shared_sum == 1000 * smp_count(), "%s: locked increments of all processors add up", interface);
}

/* --- translations of each --- */

static uintptr_t shot_address;

static void on_shoot(struct trap_frame *frame)
{
    (void)frame;
    invlpg(shot_address);
    smp_counts[VECTOR_SHOOT][smp_here()]++;
    apic_write(APIC_EOI, 0);
}

/* INVLPG here, and on all others by an interrupt; complete when all have answered. */
static bool shoot(uintptr_t va)
{
    bool answered = true;
    shot_address = va;
    smp_count_vector(VECTOR_SHOOT);
    trap_hook_set(VECTOR_SHOOT, on_shoot);
    invlpg(va);
    if (smp_count() > 1) {
        apic_send_to(0, ICR_OTHERS | ICR_ASSERT | VECTOR_SHOOT);
    }
    for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
        answered = smp_await(&smp_counts[VECTOR_SHOOT][cpu], 1) && answered;
    }
    return answered;
}

static void test_translations(const struct paging *paging)
{
    const uintptr_t va = paging->test_va;
    struct space space;
    tables_reset();
    space_make(&space, paging);
    space_map(&space, va, 1, FRAME(0) | PTE_P | PTE_W);
    frame_mark(FRAME(0), OLD);
    frame_mark(FRAME(1), NEW);
    views_enter(views_all(), &space, 0);
    unsigned early = 0, late = 0;
    for (unsigned i = 0; i < 4; i++) {
        const uint32_t before = i & 1 ? NEW : OLD, after = i & 1 ? OLD : NEW;
        early += !views_see(views_all(), va, before, before);
        space_map(&space, va, 1, FRAME(~i & 1) | PTE_P | PTE_W);
        invlpg(va);
        early += !views_see(views_all(), va, before, after);
        late += !shoot(va) || !views_see(views_all(), va, after, after);
    }
    report(early == 0, "%s, %s: without a shoot-down the others see the old page or the new one", interface,
           paging->name);
    report(late == 0, "%s, %s: after INVLPG by interrupt all see the new one", interface, paging->name);
    space_map(&space, va, 1, 0);
    report(shoot(va) && views_see(views_all(), va, ~0U, ~0U),
           "%s, %s: after INVLPG by interrupt nobody sees a page that is gone", interface, paging->name);
    views_leave(views_all());
}

/* A space for each, and the same address in all of them. */
static void test_spaces(const struct paging *paging)
{
    struct space spaces[SMP_CPUS];
    tables_reset();
    for (unsigned cpu = 0; cpu < smp_count(); cpu++) {
        space_make(&spaces[cpu], paging);
        space_map(&spaces[cpu], paging->test_va, 1, FRAME(cpu) | PTE_P | PTE_W);
        frame_mark(FRAME(cpu), 0x100 + cpu);
        views_enter(1U << cpu, &spaces[cpu], 0);
    }
    unsigned wrong = 0;
    for (unsigned i = 0; i < ROUNDS * smp_count(); i++) {
        const unsigned cpu = i % smp_count();
        wrong += view_of(cpu, paging->test_va) != 0x100 + cpu;
    }
    detail("%u wrong", wrong);
    report(wrong == 0, "%s, %s: each processor sees its own space", interface, paging->name);
    views_leave(views_all());
}

static void test_interface(const struct smp_list *list, bool x2)
{
    interface = x2 ? "x2APIC" : "xAPIC";
    const bool came = smp_start(list, x2);
    if (!report(came, "%s: every processor comes by INIT and start-up messages", interface)) {
        return;
    }
    test_identities();
    test_first_state();
    test_init_again();
    test_directed();
    test_shorthands();
    test_from_others();
    test_logical(x2);
    test_nmi();
    test_time();
    test_registers();
    test_sum();
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        test_translations(*mode);
        test_spaces(*mode);
    }
    smp_stop();
}

void guest_main(void)
{
    const struct smp_list list = smp_list_madt();
    test_tables(&list);
    test_interface(&list, false);
    if (cpu_has_x2apic()) {
        test_interface(&list, true);
    } else {
        comment("x2APIC is not offered");
    }
}
