/*
 * The hypervisor's own interface, as TLFS gives it: discovery, the hypercall page, time, and what calls
 * answer. Says `1..0 # skip` where there is none.
 */
#include "tests/guests/common/calls.h"

#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define MSR_TIME_COUNT     0x40000020
#define MSR_REFERENCE_TSC  0x40000021
#define MSR_TSC_FREQUENCY  0x40000022
#define MSR_APIC_FREQUENCY 0x40000023
#define MSR_VP_ASSIST      0x40000073
#define MSR_TSC_INVARIANT  0x40000118

/* Pages that the guest lends: the clock page's place, and the assist page's. */
#define CLOCK_PAGE         FRAME(9)
#define ASSIST_PAGE        FRAME(11)

static bool msr_refuses_write(uint32_t index, uint64_t value)
{
    TRY("wrmsr", ::"c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
    return trap_last.vector == VECTOR_PROTECTION;
}

static bool msr_refuses_read(uint32_t index)
{
    TRY("rdmsr", ::"c"(index) : "eax", "edx", "memory");
    return trap_last.vector == VECTOR_PROTECTION;
}

static void test_discovery(void)
{
    const struct cpuid first = cpuid(0x40000000, 0);
    detail("%x %x %x %x", first.a, first.b, first.c, first.d);
    report(first.a >= 0x40000005 && first.a < 0x40010000,
           "leaf 0x40000000 says that there are five more or above");
    const struct cpuid interface = cpuid(0x40000001, 0);
    report(interface.a == 0x31237648, "leaf 0x40000001 says Hv#1");
    const struct cpuid features = cpuid(0x40000003, 0);
    comment("privileges %x %x, features %x", features.a, features.b, features.d);
    report((features.a & 0x60) == 0x60, "hypercalls and the VP index are offered");
    report((features.a & 0x202) == 0x202, "the reference counter and the reference TSC page are offered");
    report((features.a & 0x800) && (features.d & 0x100), "the frequency registers are offered");
    report(msr_read(MSR_VP_INDEX) == 0, "this is virtual processor 0");
    report(msr_refuses_write(MSR_VP_INDEX, 1), "its index cannot be written");
    report(msr_refuses_read(0x400000ff), "a synthetic register that there is not raises #GP");
}

/* TLFS "Establishing the Hypercall Interface". */
static void test_page(void)
{
    volatile uint32_t *page = (volatile uint32_t *)CALL_PAGE;
    *page = 0x600d600d;
    msr_write(MSR_GUEST_OS_ID, 0);
    msr_write(MSR_HYPERCALL, CALL_PAGE | 1);
    report((msr_read(MSR_HYPERCALL) & 1) == 0,
           "without a guest identity the hypercall page cannot be enabled");
    msr_write(MSR_GUEST_OS_ID, 0x8100000000000001);
    report(msr_read(MSR_GUEST_OS_ID) == 0x8100000000000001, "the guest identity holds");
    msr_write(MSR_HYPERCALL, CALL_PAGE | 1);
    report(msr_read(MSR_HYPERCALL) == (CALL_PAGE | 1) && *page != 0x600d600d, "with one, the page appears");
    msr_write(MSR_HYPERCALL, CALL_PAGE);
    detail("reads %x", *page);
    report(*page == 0x600d600d, "disabled, it gives the memory below it back");
    msr_write(MSR_HYPERCALL, CALL_PAGE | 1);
}

static void input_set(uint64_t space, uint64_t flags, uint64_t mask)
{
    volatile uint64_t *input = (volatile uint64_t *)INPUT_PAGE;
    input[0] = space;
    input[1] = flags;
    input[2] = mask;
}

static void test_bad_calls(void)
{
    input_set(0, FLUSH_ALL_VPS | FLUSH_ALL_SPACES, 0);
    const struct {
        const char *sentence;
        uint64_t value, input;
        enum status status;
    } calls[] = {
        { "an unknown code is an invalid code", 0x7fff, INPUT_PAGE, STATUS_INVALID_CODE },
        { "code 0 is an invalid code", 0, INPUT_PAGE, STATUS_INVALID_CODE },
        { "reserved bit 27 is invalid input", CALL_FLUSH_SPACE | BIT64(27), INPUT_PAGE,
          STATUS_INVALID_INPUT },
        { "reserved bit 44 is invalid input", CALL_FLUSH_SPACE | BIT64(44), INPUT_PAGE,
          STATUS_INVALID_INPUT },
        { "reserved bit 60 is invalid input", CALL_FLUSH_SPACE | BIT64(60), INPUT_PAGE,
          STATUS_INVALID_INPUT },
        { "a repeat count for a simple call is invalid input", CALL_FLUSH_SPACE | CALL_REPS(1), INPUT_PAGE,
          STATUS_INVALID_INPUT },
        { "no repeat count for a repeated call is invalid input", CALL_FLUSH_LIST, INPUT_PAGE,
          STATUS_INVALID_INPUT },
        { "a start at the repeat count is invalid input", CALL_FLUSH_LIST | CALL_REPS(1) | CALL_START(1),
          INPUT_PAGE, STATUS_INVALID_INPUT },
        { "input that is not aligned is invalid alignment", CALL_FLUSH_SPACE, INPUT_PAGE + 4,
          STATUS_INVALID_ALIGNMENT },
    };
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        report(status_of(hypercall(calls[i].value, calls[i].input, 0)) == calls[i].status, "%s",
               calls[i].sentence);
    }
    input_set(0, FLUSH_ALL_VPS | FLUSH_ALL_SPACES | BIT64(40), 0);
    report(status_of(hypercall(CALL_FLUSH_SPACE, INPUT_PAGE, 0)) == STATUS_INVALID_PARAMETER,
           "a reserved flush flag is an invalid parameter");
    const enum status foreign = status_of(hypercall(CALL_SET_REGISTERS | CALL_REPS(1), INPUT_PAGE, 0));
    report(foreign == STATUS_ACCESS_DENIED || foreign == STATUS_INVALID_CODE,
           "a call for parents only is refused");
    const enum status far = status_of(hypercall(CALL_FLUSH_SPACE, BIT64(38), 0));
    report(far != STATUS_SUCCESS, "input in no memory is refused");
}

/* The flushes do what they say: a changed mapping is seen. */
static void test_flush(const struct paging *paging)
{
    struct space space;
    tables_reset();
    space_make(&space, paging);
    const uintptr_t va = paging->test_va;
    frame_mark(FRAME(0), 0);
    frame_mark(FRAME(1), 1);
    space_map(&space, va, 1, FRAME(0) | PTE_P | PTE_W);
    space_enter(&space, 0, false);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 20; i++) {
        space_map(&space, va, 1, FRAME(i & 1) | PTE_P | PTE_W);
        input_set(space.root, i & 2 ? FLUSH_ALL_VPS : FLUSH_ALL_VPS | FLUSH_ALL_SPACES, 0);
        wrong += status_of(hypercall(CALL_FLUSH_SPACE, INPUT_PAGE, 0)) != STATUS_SUCCESS;
        wrong += marker_read(va) != (i & 1);
    }
    report(wrong == 0, "%s: after a flush of the space the new mapping is seen", paging->name);
    wrong = 0;
    for (unsigned i = 0; i < 20; i++) {
        space_map(&space, va, 1, FRAME(i & 1) | PTE_P | PTE_W);
        input_set(space.root, 0, 1);
        ((volatile uint64_t *)INPUT_PAGE)[3] = va + PAGE_BYTES;
        ((volatile uint64_t *)INPUT_PAGE)[4] = va;
        const uint64_t result = hypercall(CALL_FLUSH_LIST | CALL_REPS(2), INPUT_PAGE, 0);
        wrong += status_of(result) != STATUS_SUCCESS || (result >> 32 & 0xfff) != 2;
        wrong += marker_read(va) != (i & 1);
    }
    report(wrong == 0, "%s: after a flush of a list likewise, with every element counted", paging->name);
    space_leave();
}

/* TLFS "Hypercall Interface": from CPL 3 a call raises #UD. */
extern const uint8_t user_vmmcall[], user_vmcall[];

static void test_user_call(void)
{
    struct space space;
    tables_reset();
    space_make(&space, *paging_modes());
    space_enter(&space, 0, false);
    user_run(user_address(user_vmmcall), 0, 0);
    const bool amd = trap_last.vector == VECTOR_UNDEFINED;
    user_run(user_address(user_vmcall), 0, 0);
    report(amd && trap_last.vector == VECTOR_UNDEFINED, "user code may not make hypercalls");
    space_leave();
}

/* The upper half of the 128-bit product. */
static uint64_t multiply_high(uint64_t a, uint64_t b)
{
    const uint64_t a_low = (uint32_t)a, a_high = a >> 32, b_low = (uint32_t)b, b_high = b >> 32;
    const uint64_t middle = a_high * b_low + (a_low * b_low >> 32);
    const uint64_t other = a_low * b_high + (uint32_t)middle;
    return a_high * b_high + (middle >> 32) + (other >> 32);
}

/* TLFS "Partition Reference TSC Page": sequence, scale and offset. */
static uint64_t clock_read(void)
{
    const uint64_t scale = *(volatile uint64_t *)(CLOCK_PAGE + 8);
    const uint64_t offset = *(volatile uint64_t *)(CLOCK_PAGE + 16);
    return multiply_high(tsc_read(), scale) + offset;
}

static void test_clock(void)
{
    report(msr_refuses_write(MSR_TIME_COUNT, 0), "the reference counter cannot be written");
    uint64_t last = msr_read(MSR_TIME_COUNT);
    bool forward = true;
    for (unsigned i = 0; i < 1000; i++) {
        const uint64_t now = msr_read(MSR_TIME_COUNT);
        forward = forward && now >= last;
        last = now;
    }
    report(forward, "the reference counter does not go back");

    memset((void *)CLOCK_PAGE, 0x5a, PAGE_BYTES);
    msr_write(MSR_REFERENCE_TSC, CLOCK_PAGE | 1);
    const uint32_t sequence = *(volatile uint32_t *)CLOCK_PAGE;
    if (sequence == 0) {
        report_skip("its sequence is 0: not valid here",
                    "the reference TSC page tells the reference counter's time");
        return;
    }
    unsigned wrong = 0;
    for (unsigned i = 0; i < 1000; i++) {
        const uint64_t before = msr_read(MSR_TIME_COUNT);
        const uint64_t between = clock_read();
        const uint64_t after = msr_read(MSR_TIME_COUNT);
        if (between + 1 < before || between > after + 1) {
            wrong++;
            detail("%u wrong; %q is not between %q and %q", wrong, between, before, after);
        }
    }
    report(wrong == 0, "the reference TSC page tells the reference counter's time");
    msr_write(MSR_REFERENCE_TSC, CLOCK_PAGE);
    report(*(volatile uint32_t *)CLOCK_PAGE == 0x5a5a5a5a, "disabled, it gives the memory below it back");
}

/* TLFS "GPA Overlay Pages": where two stand at one address, one is seen, and the other when that one goes. */
static void test_two_overlays(void)
{
    static const struct {
        const char *sentence;
        uint32_t first, second;
    } orders[] = {
        { "the hypercall page, then the reference TSC page", MSR_HYPERCALL, MSR_REFERENCE_TSC },
        { "the reference TSC page, then the hypercall page", MSR_REFERENCE_TSC, MSR_HYPERCALL },
    };
    const volatile uint64_t *page = (const volatile uint64_t *)CLOCK_PAGE;
    msr_write(MSR_HYPERCALL, CALL_PAGE);
    memset((void *)CLOCK_PAGE, 0x5a, PAGE_BYTES);
    for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        const uint32_t first = orders[i].first, second = orders[i].second;
        msr_write(second, CLOCK_PAGE | 1);
        const uint64_t alone = page[1]; /* of the reference TSC page, the scale: it does not change */
        msr_write(second, CLOCK_PAGE);
        msr_write(first, CLOCK_PAGE | 1);
        const uint64_t before = page[1];
        const bool refused = msr_refuses_write(second, CLOCK_PAGE | 1);
        detail("#GP %u, %q, then %q", refused, before, page[1]);
        report(!refused && msr_read(second) == (CLOCK_PAGE | 1) && before != alone && page[1] == before,
               "two overlays at one address: the first is seen (%s)", orders[i].sentence);
        msr_write(first, CLOCK_PAGE);
        detail("%q, not %q", page[1], alone);
        report(page[1] == alone, "disabled, it uncovers the second (%s)", orders[i].sentence);
        msr_write(second, CLOCK_PAGE);
        report(page[1] == 0x5a5a5a5a5a5a5a5a, "both disabled, the memory below is seen (%s)",
               orders[i].sentence);
    }
    msr_write(MSR_HYPERCALL, CALL_PAGE | 1);
}

#define CODE_AT 0x100

/* An overlay of data holds no code. */
static void test_assist_code(void)
{
    const uintptr_t code = ASSIST_PAGE + CODE_AT;
    *(volatile uint16_t *)code = PROBE_CODE;
    TRY("jmp *%0", ::"r"(code) : "memory");
    report(trap_last.vector == VECTOR_DONE, "memory where no overlay stands can be executed");
    msr_write(MSR_VP_ASSIST, ASSIST_PAGE | 1);
    *(volatile uint16_t *)code = PROBE_CODE;
    report(*(volatile uint16_t *)code == PROBE_CODE, "the VP assist page can be written");
    TRY("jmp *%0", ::"r"(code) : "memory");
    detail("vector %u error %p ip %p", (unsigned)trap_last.vector, trap_last.error, trap_last.ip);
    report(trap_last.vector == VECTOR_PROTECTION && trap_last.error == 0 && trap_last.ip == code,
           "but executing from it raises #GP, there");
    msr_write(MSR_VP_ASSIST, ASSIST_PAGE);
}

/* COM1 at the I/O APIC: an interrupt while its transmitter is empty. */
#define UART_ENABLE   0x3f9
#define UART_IDENTITY 0x3fa
#define UART_MODEM    0x3fc
#define UART_PIN      4
#define IOAPIC_PAGE   0xfec00000
#define IOAPIC_MASKED 0x10000
#define EOI_ROUNDS    3
#define EOI_CYCLES    BIT64(28)

static unsigned lazy_ends;
static bool uart_first;

static void ioapic_write(uint32_t index, uint32_t value)
{
    *(volatile uint32_t *)IOAPIC_PAGE = index;
    *(volatile uint32_t *)(IOAPIC_PAGE + 0x10) = value;
}

/*
 * The less urgent interrupt of COM1 becomes pending before the end of this one, or after it and before IRET.
 * TLFS "EOI Assist": clear the bit if it is set, else write EOI.
 */
static void on_urgent(struct trap_frame *frame)
{
    (void)frame;
    bool lazy;
    irq_counts[VECTOR_LOW]++;
    if (uart_first) {
        out8(UART_ENABLE, 2);
    }
    __asm__ volatile("lock btrl $0, %1; setc %0"
                     : "=q"(lazy), "+m"(*(volatile uint32_t *)ASSIST_PAGE)
                     :
                     : "memory", "cc");
    if (lazy) {
        lazy_ends++;
    } else {
        apic_write(APIC_EOI, 0);
    }
    if (!uart_first) {
        out8(UART_ENABLE, 2);
    }
}

static void on_uart(struct trap_frame *frame)
{
    (void)frame;
    irq_counts[VECTOR_TIMER]++;
    out8(UART_ENABLE, 0);
    (void)in8(UART_IDENTITY);
    apic_write(APIC_EOI, 0);
}

/* How many of EOI_ROUNDS did not bring the interrupt of COM1 once. */
static unsigned eoi_rounds(bool first)
{
    unsigned wrong = 0;
    uart_first = first;
    lazy_ends = 0;
    irq_counts[VECTOR_LOW] = 0;
    for (unsigned i = 0; i < EOI_ROUNDS; i++) {
        irq_counts[VECTOR_TIMER] = 0;
        interrupts_on();
        apic_send(ICR_SELF | VECTOR_LOW);
        const uint64_t start = tsc_read();
        while (irq_counts[VECTOR_TIMER] == 0 && tsc_read() - start < EOI_CYCLES) {
            cpu_pause();
        }
        interrupts_off();
        wrong += irq_counts[VECTOR_TIMER] != 1 || apic_bit(APIC_ISR, VECTOR_LOW);
    }
    detail("%u rounds wrong, %u of %u lazy", wrong, lazy_ends, irq_counts[VECTOR_LOW]);
    return wrong + (irq_counts[VECTOR_LOW] != EOI_ROUNDS);
}

/* An interrupt that waits for the end of another comes although that end may be told without an exit. */
static void test_eoi_assist(void)
{
    irq_start(false);
    trap_hook_set(VECTOR_LOW, on_urgent);
    trap_hook_set(VECTOR_TIMER, on_uart);
    *(volatile uint32_t *)ASSIST_PAGE = 0;
    msr_write(MSR_VP_ASSIST, ASSIST_PAGE | 1);
    const uint8_t modem = in8(UART_MODEM);
    out8(UART_MODEM, 0x0b);
    ioapic_write(0x11 + 2 * UART_PIN, apic_read(APIC_ID));
    ioapic_write(0x10 + 2 * UART_PIN, VECTOR_TIMER);
    const unsigned before = eoi_rounds(true);
    report(before == 0, "what became pending in a more urgent interrupt's handler comes at its end");
    const unsigned after = eoi_rounds(false);
    report(after == 0, "what becomes pending behind that end comes as well");
    report(lazy_ends == EOI_ROUNDS, "the end of an interrupt that is alone needs no EOI");
    ioapic_write(0x10 + 2 * UART_PIN, IOAPIC_MASKED);
    out8(UART_ENABLE, 0);
    out8(UART_MODEM, modem);
    msr_write(MSR_VP_ASSIST, ASSIST_PAGE);
    trap_hook_set(VECTOR_LOW, NULL);
    trap_hook_set(VECTOR_TIMER, NULL);
    irq_stop();
}

/* The counters, read as nearly at one moment as the machine lets us: @units is the reference time of both. */
struct instant {
    uint64_t units;
    uint64_t tsc;
    uint32_t apic;
};

#define CLOSE_UNITS   100 /* 10 us between the first and the last reading */
#define READ_ATTEMPTS 500

/*
 * A machine that is busy may let time pass between two readings: then once more, and the closest counts. All
 * attempts together take far less time than the APIC timer runs.
 */
static struct instant read_instant(void)
{
    struct instant best = { 0 };
    uint64_t closest = UINT64_MAX;
    for (unsigned attempt = 0; attempt < READ_ATTEMPTS && closest > CLOSE_UNITS; attempt++) {
        struct instant now;
        now.units = msr_read(MSR_TIME_COUNT);
        now.tsc = tsc_read();
        now.apic = apic_read(APIC_CURRENT);
        const uint64_t apart = msr_read(MSR_TIME_COUNT) - now.units;
        if (apart < closest) {
            closest = apart;
            best = now;
        }
    }
    return best;
}

/* Whether @counts in @units of 100 ns are @claimed a second, within one part in 32. */
static bool about(uint64_t counts, uint64_t units, uint64_t claimed)
{
    const uint64_t measured = counts * 10000000, expected = claimed * units;
    const uint64_t slack = expected >> 5;
    detail("%q counts in %q units of 100 ns, %q claimed a second", counts, units, claimed);
    return measured + slack >= expected && measured <= expected + slack;
}

#define MEASURE_UNITS 131072

static void test_frequencies(void)
{
    irq_start(false);
    apic_write(APIC_DIVIDE, 0xb);
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_INITIAL, UINT32_MAX);
    const struct instant start = read_instant();
    while (msr_read(MSR_TIME_COUNT) - start.units < MEASURE_UNITS) {
        cpu_pause();
    }
    const struct instant end = read_instant();
    const uint64_t units = end.units - start.units;
    report(about(end.tsc - start.tsc, units, msr_read(MSR_TSC_FREQUENCY)),
           "the time-stamp counter runs at the frequency that its register says");
    report(about(start.apic - end.apic, units, msr_read(MSR_APIC_FREQUENCY)),
           "the APIC timer runs at the frequency that its register says");
    irq_stop();
    if (cpuid(0x40000003, 0).a & 0x8000) {
        msr_write(MSR_TSC_INVARIANT, 1);
        report(cpuid(0x80000007, 0).d & 0x100,
               "asked to, CPUID shows that the time-stamp counter is invariant");
    } else {
        report_skip("not offered", "asked to, CPUID shows that the time-stamp counter is invariant");
    }
}

void guest_main(void)
{
    if (!calls_offered()) {
        report_skip_all("no hypervisor");
    }
    test_discovery();
    test_page();
    test_bad_calls();
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        test_flush(*mode);
    }
    test_user_call();
    test_clock();
    test_two_overlays();
    test_assist_code();
    test_eoi_assist();
    test_frequencies();
}
