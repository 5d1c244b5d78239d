/*
 * Registers that belong to the guest whatever happens between two of its instructions: general,
 * floating-point and vector, debug, segment bases, XCR0, PKRU. Filled, then many exits of
 * several kinds, then compared.
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define ROUNDS     200
#define AREA_BYTES 8192

static uint8_t before[AREA_BYTES] __attribute__((aligned(64)));
static uint8_t after[AREA_BYTES] __attribute__((aligned(64)));

/* Whatever a hypervisor may run its own code for. */
static void many_exits(void)
{
    irq_start(false);
    irq_count(VECTOR_TIMER);
    apic_write(APIC_DIVIDE, 0xb);
    apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
    apic_write(APIC_INITIAL, 100000);
    for (unsigned i = 0; i < ROUNDS; i++) {
        cpuid(i & 1 ? 0x80000000 : 0, 0);
        out8(0x80, (uint8_t)i);
        in8(0x80);
        msr_read(MSR_PAT);
        *(volatile uint32_t *)FRAME(i % 64) = i;
        __asm__ volatile("sti; nop; nop; cli" ::: "memory");
    }
    irq_wait(VECTOR_TIMER, 5, true);
    apic_write(APIC_INITIAL, 0);
    irq_stop();
}

static void xcr_write(uint64_t value)
{
    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static uint64_t xcr_read(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static void area_load(const uint8_t *area)
{
    __asm__ volatile("xrstor (%0)" ::"r"(area), "a"(~0U), "d"(~0U) : "memory");
}

static void area_save(void *area)
{
    __asm__ volatile("xsave (%0)" ::"r"(area), "a"(~0U), "d"(~0U) : "memory");
}

/* The first byte of [from, from + bytes) that differs, as an offset; @bytes if none does. */
static unsigned first_difference(unsigned from, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        if (before[from + i] != after[from + i]) {
            detail("byte %u of the area is %x, was %x", from + i, after[from + i], before[from + i]);
            return i;
        }
    }
    return bytes;
}

/* Component @bit of the XSAVE area: a pattern goes in, and must come out. SDM 1 "XSAVE Area". */
static bool component_survives(unsigned bit, unsigned offset, unsigned bytes)
{
    memset(before, 0, AREA_BYTES);
    memset(after, 0, AREA_BYTES);
    area_save(before);
    for (unsigned i = 0; i < bytes; i++) {
        before[offset + i] = (uint8_t)(i * 7 + bit * 31 + 1);
    }
    *(uint64_t *)(before + 512) |= BIT64(bit);
    area_load(before);
    many_exits();
    area_save(after);
    return first_difference(offset, bytes) == bytes;
}

static void test_legacy_components(void)
{
    const unsigned x87_registers = 32, vector_registers = 160, registers_most = sizeof(void *) == 8 ? 16 : 8;
    unsigned wrong = 0;
    /* Eight registers of ten bytes, each in 16; see SDM 1 "x87 State". */
    for (unsigned i = 0; i < 8; i++) {
        wrong += !component_survives(0, x87_registers + 16 * i, 10);
    }
    report(wrong == 0, "the x87 registers survive exits");
    report(component_survives(1, vector_registers, 16 * registers_most), "the XMM registers survive exits");
    static const uint32_t control = 0x3f80;
    uint32_t seen = 0;
    __asm__ volatile("ldmxcsr %0" ::"m"(control));
    many_exits();
    __asm__ volatile("stmxcsr %0" : "=m"(seen));
    report(seen == control, "MXCSR survives exits");
    static const uint16_t word = 0x027f;
    uint16_t word_seen = 0;
    __asm__ volatile("fldcw %0" ::"m"(word));
    many_exits();
    __asm__ volatile("fnstcw %0" : "=m"(word_seen));
    report(word_seen == word, "the x87 control word survives exits");
}

static void test_extended(void)
{
    static const char *const names[] = { "AVX",       "BNDREGS",      "BNDCSR", "opmask",
                                         "ZMM upper", "ZMM 16 to 31", "",       "PKRU" };
    const struct cpuid offered = cpuid(0xd, 0);
    xcr_write(offered.a);
    report(xcr_read() == offered.a, "XCR0 takes all that CPUID offers");
    detail("area of %u bytes, with XCR0 %x", cpuid(0xd, 0).b, offered.a);
    report(cpuid(0xd, 0).b <= offered.c && offered.c <= AREA_BYTES, "CPUID says how large the area is");
    many_exits();
    report(xcr_read() == offered.a, "XCR0 survives exits");
    for (unsigned bit = 2; bit < 10; bit++) {
        if (bit == 8 || bit == 3 || bit == 4) {
            continue; /* processor trace is a supervisor's state; the bounds registers hold no pattern */
        }
        const struct cpuid where = cpuid(0xd, bit);
        if ((offered.a & BIT(bit)) == 0) {
            report_skip("not offered", "the %s state survives exits", names[bit - 2]);
        } else if (bit == 2) {
            report(component_survives(bit, where.b, sizeof(void *) == 8 ? where.a : 128),
                   "the %s state survives exits", names[bit - 2]);
        } else {
            report(component_survives(bit, where.b, bit == 9 ? 4 : where.a), "the %s state survives exits",
                   names[bit - 2]);
        }
    }
}

static bool xcr_refuses(uint64_t value)
{
    const uint64_t held = xcr_read();
    TRY("xsetbv", ::"c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
    const bool refused = trap_last.vector == VECTOR_PROTECTION && xcr_read() == held;
    xcr_write(held);
    return refused;
}

/* SDM 2C XSETBV. */
static void test_xcr(void)
{
    report(xcr_refuses(0), "XCR0 without x87 is refused");
    report(xcr_refuses(5), "XCR0 with AVX and without SSE is refused");
    report(xcr_refuses(BIT64(62) | 3), "XCR0 with what is not offered is refused");
    TRY("xsetbv", ::"c"(1), "a"(3), "d"(0) : "memory");
    report(trap_last.vector == VECTOR_PROTECTION, "XCR1 cannot be written");
    cr4_write(cr4_read() & ~CR4_OSXSAVE);
    TRY("xgetbv", ::"c"(0) : "eax", "edx", "memory");
    report(trap_last.vector == VECTOR_UNDEFINED, "without CR4.OSXSAVE, XGETBV raises #UD");
    cr4_write(cr4_read() | CR4_OSXSAVE);
}

static void test_debug(void)
{
    dr0_write(0x1234);
    dr1_write(0x2345);
    dr2_write(0x3456);
    dr3_write(0x4567);
    dr6_write(0xffff0ff0);
    many_exits();
    report(dr0_read() == 0x1234 && dr1_read() == 0x2345 && dr2_read() == 0x3456 && dr3_read() == 0x4567,
           "DR0 to DR3 survive exits");
    detail("DR6 %p DR7 %p", dr6_read(), dr7_read());
    report((dr6_read() & 0xe00f) == 0 && (dr7_read() & 0xff) == 0, "DR6 and DR7 survive exits");

    volatile uint32_t *watched = (volatile uint32_t *)FRAME(100);
    dr0_write((uintptr_t)watched);
    dr7_write(0x000d0001); /* four bytes, writes, local */
    many_exits();
    TRY("movl $1, (%0)\n\tstate_watched: nop", ::"r"(watched) : "memory");
    extern const uint8_t state_watched[];
    detail("vector %x ip %p dr6 %p", (unsigned)trap_last.vector, trap_last.ip - (uintptr_t)state_watched,
           trap_last.dr6);
    report(trap_last.vector == VECTOR_DEBUG && trap_last.ip == (uintptr_t)state_watched &&
               (trap_last.dr6 & 1),
           "a data breakpoint set before exits traps behind the write");
    TRY("movl (%0), %%eax", ::"r"(watched) : "eax", "memory");
    report(trap_last.vector == TRAP_NONE, "and lets reads pass");
    dr7_write(0x400);
    TRY("movl $1, (%0)", ::"r"(watched) : "memory");
    report(trap_last.vector == TRAP_NONE, "and does nothing when DR7 disables it");

    extern const uint8_t state_execute[];
    dr1_write((uintptr_t)state_execute);
    dr7_write(0x404);
    TRY("nop\nstate_execute: nop", ::: "memory");
    report(trap_last.vector == VECTOR_DEBUG && trap_last.ip == (uintptr_t)state_execute &&
               (trap_last.dr6 & 2),
           "an instruction breakpoint is a fault");
    dr7_write(0x400);
    dr6_write(0xffff0ff0);
}

/* Every general register through four exits in one run of instructions. */
static void test_general(void)
{
    uintptr_t sum = 0;
    __asm__ volatile("mov $0x1111, %%" BASE_TEXT "\n\t"
                     "mov $0x2222, %%" SI_TEXT "\n\t"
                     "mov $0x3333, %%" DI_TEXT "\n\t"
#ifdef __x86_64__
                     "mov $0x101, %%r8; mov $0x202, %%r9; mov $0x303, %%r10; mov $0x404, %%r11\n\t"
                     "mov $0x505, %%r12; mov $0x606, %%r13; mov $0x707, %%r14; mov $0x808, %%r15\n\t"
#endif
                     "mov $0x277, %%ecx; rdmsr; inb $0x80, %%al; outb %%al, $0x80\n\t"
                     "mov %%cr0, %%" AX_TEXT "; mov %%" AX_TEXT ", %%cr0\n\t"
                     "sub $0x1111, %%" BASE_TEXT "\n\t"
                     "sub $0x2222, %%" SI_TEXT "\n\t"
                     "sub $0x3333, %%" DI_TEXT "\n\t"
#ifdef __x86_64__
                     "sub $0x101, %%r8; sub $0x202, %%r9; sub $0x303, %%r10; sub $0x404, %%r11\n\t"
                     "sub $0x505, %%r12; sub $0x606, %%r13; sub $0x707, %%r14; sub $0x808, %%r15\n\t"
                     "or %%r8, %%rbx; or %%r9, %%rbx; or %%r10, %%rbx; or %%r11, %%rbx\n\t"
                     "or %%r12, %%rbx; or %%r13, %%rbx; or %%r14, %%rbx; or %%r15, %%rbx\n\t"
#endif
                     "or %%" SI_TEXT ", %%" BASE_TEXT "\n\t"
                     "or %%" DI_TEXT ", %%" BASE_TEXT "\n\t"
                     "mov %%" BASE_TEXT ", %0"
                     : "=a"(sum)::"ecx", "edx", BASE_TEXT, SI_TEXT, DI_TEXT, "memory", "cc"
#ifdef __x86_64__
                       ,
                       "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"
#endif
    );
    report(sum == 0, "general registers survive exits");
    const uintptr_t flags = 0x2008d7; /* ID, OF, SF, ZF, AF, PF, CF */
    uintptr_t held;
    __asm__ volatile(
        "push %1; popf; xor %%ecx, %%ecx; push %1; popf; cpuid; inb $0x80, %%al; outb %%al, $0x80\n\t"
        "pushf; pop %0"
        : "=&D"(held)
        : "S"(flags)
        : "eax", "ebx", "ecx", "edx", "memory", "cc");
    detail("%p became %p", flags, held);
    report(held == flags, "flags survive exits");
    cr2_write(0x12345000);
    many_exits();
    report(cr2_read() == 0x12345000, "CR2 survives exits");
}

#ifdef __x86_64__
static void test_bases(void)
{
    static const uint32_t registers[] = { 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000081, 0xc0000082,
                                          0xc0000083, 0xc0000084, 0x175,      0x176 };
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        msr_write(registers[i], 0x10000000 + i);
    }
    many_exits();
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        report(msr_read(registers[i]) == 0x10000000 + i, "register %x survives exits", registers[i]);
        msr_write(registers[i], 0);
    }
}
#endif

static void test_protection_keys(void)
{
    if (!cpu_has_pku()) {
        report_skip("PKU is not offered", "PKRU survives exits");
        return;
    }
    struct space space;
    tables_reset();
    space_make(&space, *paging_modes());
    space_enter(&space, CR4_PKE, false);
    uint32_t seen;
    __asm__ volatile("wrpkru" ::"a"(0x55555554), "c"(0), "d"(0) : "memory");
    many_exits();
    __asm__ volatile("rdpkru" : "=a"(seen) : "c"(0) : "edx", "memory");
    __asm__ volatile("wrpkru" ::"a"(0), "c"(0), "d"(0) : "memory");
    report(seen == 0x55555554, "PKRU survives exits");
    space_leave();
}

static void test_clock(void)
{
    bool forward = true;
    uint64_t last = tsc_read();
    for (unsigned i = 0; i < 1000; i++) {
        cpuid(0, 0);
        const uint64_t now = tsc_read();
        forward = forward && now >= last;
        last = now;
    }
    report(forward, "the time-stamp counter does not go back over a thousand exits");
}

void guest_main(void)
{
    test_general();
    test_debug();
    test_clock();
#ifdef __x86_64__
    test_bases();
#endif
    test_protection_keys();
    if (!cpu_has_xsave()) {
        comment("XSAVE is not offered: floating-point and vector state is left out");
        return;
    }
    cr4_write(cr4_read() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
    xcr_write(3);
    test_legacy_components();
    test_xcr();
    test_extended();
}
