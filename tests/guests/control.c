/*
 * Control registers, model-specific registers and CPUID: what holds, what is refused. SDM 3A "Control
 * Registers", "Extended Feature Enable Register", 2A MOV to control registers, volume 4.
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define MSR_SYSENTER_CS  0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_LSTAR        0xc0000082
#define MSR_FS_BASE      0xc0000100

extern const uint8_t user_store_gdt[], user_read_time[];

static bool was_refused(void)
{
    detail("vector %x error %p", (unsigned)trap_last.vector, trap_last.error);
    return trap_last.vector == VECTOR_PROTECTION && trap_last.error == 0;
}

/* The register as it was is put back where the write went through. */
static bool cr0_refuses(uintptr_t value)
{
    const uintptr_t before = cr0_read();
    TRY("mov %0, %%cr0", ::"r"(value) : "memory");
    const bool refused = was_refused() && cr0_read() == before;
    cr0_write(before);
    return refused;
}

static bool cr4_refuses(uintptr_t value)
{
    const uintptr_t before = cr4_read();
    TRY("mov %0, %%cr4", ::"r"(value) : "memory");
    const bool refused = was_refused() && cr4_read() == before;
    cr4_write(before);
    return refused;
}

#ifdef __x86_64__
static bool cr3_refuses(uintptr_t value)
{
    const uintptr_t before = cr3_read();
    TRY("mov %0, %%cr3", ::"r"(value) : "memory");
    const bool refused = was_refused() && cr3_read() == before;
    cr3_write(before);
    return refused;
}
#endif

static bool msr_refuses_write(uint32_t index, uint64_t value)
{
    TRY("wrmsr", ::"c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
    return was_refused();
}

static bool msr_refuses_read(uint32_t index)
{
    TRY("rdmsr", ::"c"(index) : "eax", "edx", "memory");
    return was_refused();
}

/* The bare emulator takes what would be the end of this guest. */
static void report_deadly(bool (*refuses)(uintptr_t), uintptr_t value, const char *sentence)
{
    if (runs_bare()) {
        report_skip("on the bare emulator: it takes the value", "%s", sentence);
    } else {
        report(refuses(value), "%s", sentence);
    }
}

static void test_cr0(void)
{
    const uintptr_t cr0 = cr0_read();
    report_deadly(cr0_refuses, (cr0 | CR0_PG) & ~CR0_PE, "CR0.PG without PE is refused");
    report_inside(cr0_refuses((cr0 | CR0_NW) & ~CR0_CD), "CR0.NW without CD is refused");
#ifdef __x86_64__
    report_slip(cr0_refuses(cr0 | BIT64(32)), "CR0 above bit 31 is refused");
    report_slip(cr0_refuses(cr0 | BIT64(63)), "CR0 bit 63 is refused");
#endif
    cr0_write(cr0 | CR0_TS | CR0_MP | CR0_AM);
    report((cr0_read() & (CR0_TS | CR0_MP | CR0_AM)) == (CR0_TS | CR0_MP | CR0_AM), "CR0.TS, MP and AM hold");
    TRY("fninit", ::: "memory");
    report(trap_last.vector == VECTOR_NO_FPU, "with CR0.TS the FPU raises #NM");
    __asm__ volatile("clts");
    TRY("fninit", ::: "memory");
    report(trap_last.vector == TRAP_NONE && (cr0_read() & CR0_TS) == 0,
           "CLTS clears CR0.TS, and the FPU works");
    cr0_write(cr0);
    uint16_t word = 0xfffe;
    __asm__ volatile("lmsw %0" ::"r"(word));
    uintptr_t machine_status;
    __asm__ volatile("smsw %0" : "=r"(machine_status));
    report((machine_status & (CR0_PE | CR0_TS)) == (CR0_PE | CR0_TS), "LMSW sets TS and cannot clear PE");
    cr0_write(cr0);
}

/* Whether each bit of CR4 in @bits is refused when set. */
static bool cr4_refuses_each(uintptr_t bits)
{
    const uintptr_t cr4 = cr4_read();
    bool good = true;
    for (unsigned bit = 0; bit < 8 * sizeof(bits) && good; bit++) {
        good = (bits & BIT(bit)) == 0 || cr4_refuses(cr4 | BIT(bit));
    }
    return good;
}

static void test_cr4_features(void)
{
    const struct {
        const char *name;
        bool (*offered)(void);
        uintptr_t bit;
    } features[] = { { "PCIDE", cpu_has_pcid, CR4_PCIDE }, { "SMEP", cpu_has_smep, CR4_SMEP },
                     { "SMAP", cpu_has_smap, CR4_SMAP },   { "PKE", cpu_has_pku, CR4_PKE },
                     { "PKS", cpu_has_pks, CR4_PKS },      { "OSXSAVE", cpu_has_xsave, CR4_OSXSAVE } };
    for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        const bool sets = features[i].offered() && (sizeof(void *) == 8 || features[i].bit != CR4_PCIDE);
        if (!sets && runs_bare()) {
            report_skip("on the bare emulator: it takes the value", "CR4.%s is as CPUID offers it",
                        features[i].name);
        } else {
            report(cr4_refuses(cr4_read() | features[i].bit) != sets, "CR4.%s is as CPUID offers it",
                   features[i].name);
        }
    }
}

/* Bits that no processor defines, or that this one does not offer. */
static void test_cr4(void)
{
    report_deadly(cr4_refuses_each, 0xf4008000 & ~BIT(27), "CR4 bits that are reserved are refused");
#ifdef __x86_64__
    report_deadly(cr4_refuses_each, ~(BIT64(33) - 1), "CR4 above bit 32 is refused");
    report_deadly(cr4_refuses, cr4_read() & ~CR4_PAE, "clearing CR4.PAE in long mode is refused");
    if (cpu_has_la57()) {
        report(cr4_refuses(cr4_read() ^ CR4_LA57), "changing CR4.LA57 in long mode is refused");
    } else {
        report_deadly(cr4_refuses, cr4_read() ^ CR4_LA57, "changing CR4.LA57 in long mode is refused");
    }
#endif
    test_cr4_features();
}

static void test_efer(void)
{
    const uint64_t efer = msr_read(MSR_EFER);
    report_inside(msr_refuses_write(MSR_EFER, efer | BIT64(1)), "EFER bit 1 is refused");
    report_inside(msr_refuses_write(MSR_EFER, efer | BIT64(20)), "EFER bit 20 is refused");
    report_inside(msr_refuses_write(MSR_EFER, efer | BIT64(63)), "EFER bit 63 is refused");
#ifdef __x86_64__
    report_inside(msr_refuses_write(MSR_EFER, efer & ~EFER_LME), "EFER.LME cannot change while paging is on");
#endif
    msr_write(MSR_EFER, efer | EFER_NXE | EFER_SCE);
    report((msr_read(MSR_EFER) & (EFER_NXE | EFER_SCE)) == (EFER_NXE | EFER_SCE), "EFER.NXE and SCE hold");
    msr_write(MSR_EFER, efer);
    report(msr_read(MSR_EFER) == efer, "EFER reads as it was written");
}

/* SDM 3A "Programming the PAT". */
static void test_pat(void)
{
    const uint64_t before = msr_read(MSR_PAT);
    msr_write(MSR_PAT, 0x0706050401000007);
    report(msr_read(MSR_PAT) == 0x0706050401000007, "the PAT holds the six types");
    msr_write(MSR_PAT, before);
    report_inside(msr_refuses_write(MSR_PAT, 0x0007040600070402), "a PAT entry of type 2 is refused");
    report_inside(msr_refuses_write(MSR_PAT, 0x0807040600070406), "a PAT entry of type 8 is refused");
    report_inside(msr_read(MSR_PAT) == before, "a refused write leaves the PAT");
    msr_write(MSR_PAT, before);
}

static void test_msrs(void)
{
    static const uint32_t unknown[] = { 0x00010000, 0x00abcdef, 0xc0020000, 0xdeadbeef, 0xffffffff };
    bool good = true;
    for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]) && good; i++) {
        good = msr_refuses_read(unknown[i]) && msr_refuses_write(unknown[i], 0);
    }
    report_inside(good, "a model-specific register that there is not raises #GP");
    static const uint32_t holding[] = { MSR_SYSENTER_ESP, MSR_SYSENTER_EIP };
    for (unsigned i = 0; i < sizeof(holding) / sizeof(holding[0]); i++) {
        msr_write(holding[i], 0x12345678);
        report(msr_read(holding[i]) == 0x12345678, "register %x holds what is written", holding[i]);
    }
    msr_write(MSR_SYSENTER_CS, 8);
    report(msr_read(MSR_SYSENTER_CS) == 8, "register %x holds what is written", MSR_SYSENTER_CS);
#ifdef __x86_64__
    report_slip(msr_refuses_write(MSR_LSTAR, 0x8000000000000000),
                "a non-canonical address in LSTAR is refused");
    report_slip(msr_refuses_write(MSR_FS_BASE, 0x8000000000000000), "a non-canonical FS base is refused");
    msr_write(MSR_FS_BASE, 0x123456789a);
    report(msr_read(MSR_FS_BASE) == 0x123456789a, "the FS base holds");
    msr_write(MSR_FS_BASE, 0);
#endif
}

#ifdef __x86_64__
/* SDM 1 "Canonical Addressing"; a stack access raises #SS. */
static void test_canonical(void)
{
    const uintptr_t hole = 0x0000800000000000;
    TRY("movb (%0), %%al", ::"r"(hole) : "eax", "memory");
    report(was_refused(), "a read at a non-canonical address raises #GP");
    TRY("movb $0, (%0)", ::"r"(0x7fffffffffffffff) : "memory");
    report(was_refused(), "a write at a non-canonical address raises #GP");
    __asm__ volatile("mov %%rsp, %%r11\n\t"
                     "movq $0, trap_last\n\t"
                     "movq $9f, trap_resume\n\t"
                     "mov %0, %%rbx\n\t"
                     "xchg %%rbp, %%rbx\n\t"
                     "movb (%%rbp), %%al\n"
                     "9: xchg %%rbp, %%rbx\n\t"
                     "movq $0, trap_resume\n\t"
                     "mov %%r11, %%rsp" ::"r"(hole)
                     : "rax", "rbx", "r11", "memory");
    const bool stack = trap_last.vector == VECTOR_STACK;
    report(stack || trap_last.vector == VECTOR_PROTECTION,
           "a stack access at a non-canonical address faults");
    if (!stack) {
        comment("the processor raised vector %u, not #SS", (unsigned)trap_last.vector);
    }
    TRY("jmp *%0", ::"r"(hole) : "memory");
    report(was_refused(), "a jump to a non-canonical address raises #GP");

    /* The emulated processor dies of it, or leaves its partition in a state that it refuses itself. */
    if (option("real")) {
        report(cr3_refuses(cr3_read() | (BIT64(52) - BIT64(cpu_physical_bits()))),
               "CR3 above the physical width is refused");
    } else {
        comment("left out: CR3 above the physical width is refused; tried if the command line says real");
    }
    TRY("mov %0, %%cr8", ::"r"((uintptr_t)0x10) : "memory");
    report_inside(was_refused(), "CR8 above bit 3 is refused");
    uintptr_t priority;
    __asm__ volatile("mov %1, %%cr8; mov %%cr8, %0; mov %2, %%cr8"
                     : "=&r"(priority)
                     : "r"((uintptr_t)5), "r"((uintptr_t)0));
    report(priority == 5, "CR8 holds the task priority");
}
#endif

static void test_cpuid(void)
{
    const struct cpuid first = cpuid(0, 0);
    comment("vendor %x %x %x, highest leaf %x", first.b, first.d, first.c, first.a);
    report(first.a >= 1 && first.b != 0, "CPUID names a vendor, and has leaf 1");
    const struct cpuid features = cpuid(1, 0);
    comment("leaf 1: %x %x %x %x", features.a, features.b, features.c, features.d);
    const uint32_t wanted =
        1U << 0 | 1U << 4 | 1U << 5 | 1U << 8 | 1U << 9 | 1U << 15 | 1U << 24 | 1U << 25 | 1U << 26;
    report((features.d & wanted) == wanted, "FPU, TSC, MSR, CX8, APIC, CMOV, FXSR, SSE and SSE2 are offered");
    report(cpu_physical_bits() >= 32 && cpu_physical_bits() <= 52, "the physical width is 32 to 52 bits");
    report(cpuid(0x80000000, 0).a >= 0x80000008, "the extended leaves reach 0x80000008");
    bool same = true;
    for (unsigned i = 0; i < 100; i++) {
        const struct cpuid again = cpuid(1, 0);
        same = same && again.a == features.a && again.d == features.d && again.c == features.c;
    }
    report(same, "CPUID answers the same a hundred times");
    if (cpu_has_xsave()) {
        const uintptr_t cr4 = cr4_read();
        cr4_write(cr4 | CR4_OSXSAVE);
        const bool on = cpuid(1, 0).c >> 27 & 1;
        cr4_write(cr4 & ~CR4_OSXSAVE);
        const bool off = (cpuid(1, 0).c >> 27 & 1) == 0;
        cr4_write(cr4);
        report(on && off, "CPUID shows CR4.OSXSAVE");
    } else {
        report_skip("XSAVE is not offered", "CPUID shows CR4.OSXSAVE");
    }
}

/* Caches: what they held is not lost, whatever they are told. INVD acts as WBINVD in a partition. */
static void test_caches(void)
{
    volatile uint32_t *at = (volatile uint32_t *)FRAME(0);
    const uintptr_t cr0 = cr0_read();
    *at = 0x600d600d;
    cr0_write(cr0 | CR0_CD);
    TRY("wbinvd", ::: "memory");
    const bool plain = trap_last.vector == TRAP_NONE;
    *at = *at + 1;
    cr0_write(cr0);
    report(plain && *at == 0x600d600e, "CR0.CD and WBINVD do no harm");
    *at = 0x5a5a5a5a;
    TRY("invd", ::: "memory");
    report(trap_last.vector == TRAP_NONE && *at == 0x5a5a5a5a, "INVD loses nothing");
}

static void test_debug_registers(void)
{
    dr0_write(0x1111);
    dr1_write(0x2222);
    dr2_write(0x3333);
    dr3_write(0x4444);
    cpuid(0, 0);
    report(dr0_read() == 0x1111 && dr1_read() == 0x2222 && dr2_read() == 0x3333 && dr3_read() == 0x4444,
           "DR0 to DR3 hold");
    cr4_write(cr4_read() | CR4_DE);
    TRY("mov %%db4, %%" AX_TEXT, ::: AX_TEXT, "memory");
    report(trap_last.vector == VECTOR_UNDEFINED, "with CR4.DE, DR4 raises #UD");
    cr4_write(cr4_read() & ~CR4_DE);
#ifdef __x86_64__
    TRY("mov %0, %%db7", ::"r"(BIT64(32)) : "memory");
    report_inside(was_refused(), "DR7 above bit 31 is refused");
#endif
}

static void test_user_rules(void)
{
    struct space space;
    tables_reset();
    space_make(&space, *paging_modes());
    space_enter(&space, 0, false);
    user_run(user_address(user_read_time), 0, 0);
    report(trap_last.vector == VECTOR_DONE, "user code reads the time-stamp counter");
    cr4_write(cr4_read() | BIT(2));
    user_run(user_address(user_read_time), 0, 0);
    report(was_refused(), "with CR4.TSD it may not");
    cr4_write(cr4_read() & ~BIT(2));
    if (cpuid(7, 0).c >> 2 & 1) {
        cr4_write(cr4_read() | CR4_UMIP);
        user_run(user_address(user_store_gdt), 0, 0);
        report(was_refused(), "with CR4.UMIP user code may not SGDT");
    } else {
        report_skip("UMIP is not offered", "with CR4.UMIP user code may not SGDT");
    }
    space_leave();
}

void guest_main(void)
{
    test_cr0();
    test_cr4();
    test_efer();
    test_pat();
    test_msrs();
#ifdef __x86_64__
    test_canonical();
#endif
    test_cpuid();
    test_caches();
    test_debug_registers();
    test_user_rules();
}
