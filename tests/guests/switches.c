/*
 * Hardware task switches in detail: what is saved and loaded, by every way in, between all kinds of tasks, and what goes
 * wrong. SDM 3A "Task Management". See tasks.c for what CR3 has to do with it.
 *
 * Guest: 32-bit only
 * Guest: stops on amd under shadow
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define GDT_ENTRIES   32
#define OTHER_TASK    0x48 /* selectors that common/start.S leaves free */
#define OTHER_TASK16  0x50
#define TASK_GATE     0x58
#define SMALL_CODE    0x60
#define SPARE_SEGMENT 0x68
#define LDT           0x70
#define SMALL_STACK   0x78
#define LOCAL_DATA    0x0c /* entry 1 of the LDT */
#define NOWHERE       0x1f8

#define AVAILABLE     0x89u
#define AVAILABLE16   0x81u
#define BUSY          0x8bu
#define GATE          0x85u

#define FLAGS_NT      BIT(14)
#define FLAGS_RF      BIT(16)
#define FLAGS_VM      BIT(17)
#define CR0_TASK      BIT(3)
#define DR6_TASK      BIT(15)

#define VECTOR_TSS    10
#define VECTOR_GATE   0x83

#define V8086_AT      0x9000 /* linear, and a frame of its own */
#define HOLE          0x40000000

/* SDM 3A "Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)". */
struct task {
    uint32_t link;
    uint32_t stacks[6];
    uint32_t cr3, eip, eflags;
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t es, cs, ss, ds, fs, gs;
    uint32_t ldt;
    uint16_t debug, io_map;
};

struct task16 {
    uint16_t link;
    uint16_t stacks[6];
    uint16_t ip, flags;
    uint16_t ax, cx, dx, bx, sp, bp, si, di;
    uint16_t es, cs, ss, ds;
    uint16_t ldt;
};

extern uint64_t gdt[];
extern uint8_t task_state[];
extern const uint8_t switch_entry[], switch_entry16[];
extern const uint8_t user_cpuid[];

static uint64_t wide_gdt[GDT_ENTRIES] __attribute__((aligned(16)));
static uint64_t ldt[2] __attribute__((aligned(16)));
static struct task other __attribute__((aligned(128)));
static struct task16 other16;
static uint8_t other_stack[4096] __attribute__((aligned(16)));

/* What the other task found, in the order in which switch_entry stores it. */
struct seen {
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t eflags;
    uint32_t es, cs, ss, ds, fs, gs;
    uint32_t tr, ldt;
};

extern volatile struct seen switch_seen;
volatile struct seen switch_seen;
extern void (*volatile switch_body)(void);
void (*volatile switch_body)(void);

static volatile unsigned entries;
static volatile uint32_t seen_cr0, seen_dr7;

/* The task's first instruction; goes back as it came: IRET if it is nested, else by a jump. */
__asm__(".text\n"
        ".globl switch_entry\n"
        "switch_entry:\n"
        "mov %eax, switch_seen\n"
        "mov %ecx, switch_seen + 4\n"
        "mov %edx, switch_seen + 8\n"
        "mov %ebx, switch_seen + 12\n"
        "mov %esp, switch_seen + 16\n"
        "mov %ebp, switch_seen + 20\n"
        "mov %esi, switch_seen + 24\n"
        "mov %edi, switch_seen + 28\n"
        "pushf\n"
        "popl switch_seen + 32\n"
        "movw %es, switch_seen + 36\n"
        "movw %cs, switch_seen + 40\n"
        "movw %ss, switch_seen + 44\n"
        "movw %ds, switch_seen + 48\n"
        "movw %fs, switch_seen + 52\n"
        "movw %gs, switch_seen + 56\n"
        "str switch_seen + 60\n"
        "sldt switch_seen + 64\n"
        "cld\n"
        "call *switch_body\n"
        "testl $0x4000, switch_seen + 32\n"
        "jz 1f\n"
        "iret\n"
        "jmp switch_entry\n"
        "1: ljmp $0x28, $0\n"
        "jmp switch_entry\n"
        /* A 16-bit task, by a code segment whose base is here: no absolute jumps. */
        ".globl switch_entry16\n"
        "switch_entry16:\n"
        "mov %eax, switch_seen\n"
        "mov %esp, switch_seen + 16\n"
        "mov %edi, switch_seen + 28\n"
        "pushf\n"
        "popl switch_seen + 32\n"
        "movw %fs, switch_seen + 52\n"
        "movw %gs, switch_seen + 56\n"
        "str switch_seen + 60\n"
        "iret\n"
        "ud2\n");

static struct task *this_task(void)
{
    return (struct task *)task_state;
}

static void describe(unsigned selector, uintptr_t base, uint32_t limit, unsigned rights_and_flags)
{
    wide_gdt[selector / 8] = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
                             (uint64_t)(rights_and_flags & 0xff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
                             (uint64_t)(rights_and_flags >> 20) << 52 | (uint64_t)(base >> 24) << 56;
}

static unsigned rights_of(unsigned selector)
{
    return (unsigned)(wide_gdt[selector / 8] >> 40) & 0xff;
}

static void body_plain(void)
{
    entries++;
    seen_cr0 = (uint32_t)cr0_read();
    seen_dr7 = (uint32_t)dr7_read();
}

/* The other task as every test finds it. */
static void other_make(void)
{
    const uintptr_t top = (uintptr_t)(other_stack + sizeof other_stack);

    other = (struct task){ .cr3 = (uint32_t)cr3_read(),
                           .eip = (uint32_t)(uintptr_t)switch_entry,
                           .eflags = FLAGS_ONE,
                           .eax = 0xa0a0a0a0,
                           .ecx = 0xa1a1a1a1,
                           .edx = 0xa2a2a2a2,
                           .ebx = 0xa3a3a3a3,
                           .esp = top,
                           .ebp = 0xa5a5a5a5,
                           .esi = 0xa6a6a6a6,
                           .edi = 0xa7a7a7a7,
                           .es = KERNEL_DATA,
                           .cs = KERNEL_CODE,
                           .ss = KERNEL_DATA,
                           .ds = KERNEL_DATA,
                           .fs = KERNEL_DATA,
                           .gs = USER_DATA,
                           .io_map = sizeof other };
    other.stacks[0] = top;
    other.stacks[1] = KERNEL_DATA;
    other16 = (struct task16){ .flags = FLAGS_ONE,
                               .ax = 0xb0b0,
                               .sp = 0x7000,
                               .di = 0xb7b7,
                               .es = KERNEL_DATA,
                               .cs = SMALL_CODE,
                               .ss = SMALL_STACK,
                               .ds = KERNEL_DATA };
    describe(SMALL_STACK, 0, 0xffff, 0x92);
    describe(OTHER_TASK, (uintptr_t)&other, sizeof other - 1, AVAILABLE);
    describe(OTHER_TASK16, (uintptr_t)&other16, sizeof other16 - 1, AVAILABLE16);
    describe(SMALL_CODE, (uintptr_t)switch_entry16, 0xfff, 0x9a | 0x400000);
    describe(TASK_GATE, OTHER_TASK, 0, GATE);
    wide_gdt[TASK_GATE / 8] = (uint64_t)OTHER_TASK << 16 | (uint64_t)GATE << 40;
    this_task()->cr3 = (uint32_t)cr3_read();
    memset((void *)&switch_seen, 0, sizeof switch_seen);
    switch_body = body_plain;
    entries = 0;
}

static void gdt_enter(void)
{
    const struct {
        uint16_t limit;
        uintptr_t base;
    } __attribute__((packed)) pointer = { sizeof wide_gdt - 1, (uintptr_t)wide_gdt };

    for (unsigned i = 0; i < OTHER_TASK / 8; i++) {
        wide_gdt[i] = gdt[i];
    }
    describe(LDT, (uintptr_t)ldt, sizeof ldt - 1, 0x82);
    ldt[1] = wide_gdt[KERNEL_DATA / 8];
    __asm__ volatile("lgdt %0" ::"m"(pointer) : "memory");
}

struct far {
    uint32_t offset;
    uint16_t selector;
} __attribute__((packed));

static void jump(unsigned selector)
{
    const struct far far = { 0, (uint16_t)selector };
    __asm__ volatile("ljmp *%0" ::"m"(far) : "memory", "cc");
}

static void call(unsigned selector)
{
    const struct far far = { 0, (uint16_t)selector };
    __asm__ volatile("lcall *%0" ::"m"(far) : "memory", "cc");
}

/*
 * The emulator that stands for AMD's processors switches tasks by itself, bare and inside, and gets some of it wrong. Where
 * somebody else does, all must hold.
 */
static bool emulator_switches(void)
{
    return cpuid(0x80000002, 0).a == 0x554d4551; /* "QEMU" */
}

#define REPORT_UNLESS_EMULATOR(holds, ...)                                                                   \
    do {                                                                                                     \
        const bool it_holds = (holds);                                                                       \
        if (emulator_switches()) {                                                                           \
            report_slip(it_holds, __VA_ARGS__);                                                              \
        } else {                                                                                             \
            report(it_holds, __VA_ARGS__);                                                                   \
        }                                                                                                    \
    } while (0)

/* --- what is saved and loaded --- */

static void report_loaded(const char *how)
{
    const volatile struct seen *seen = &switch_seen;

    report(seen->eax == 0xa0a0a0a0 && seen->ecx == 0xa1a1a1a1 && seen->edx == 0xa2a2a2a2 &&
               seen->ebx == 0xa3a3a3a3 && seen->esp == other.stacks[0] && seen->ebp == 0xa5a5a5a5 &&
               seen->esi == 0xa6a6a6a6 && seen->edi == 0xa7a7a7a7,
           "%s: general registers are loaded", how);
    report(seen->es == KERNEL_DATA && seen->cs == KERNEL_CODE && seen->ss == KERNEL_DATA &&
               seen->ds == KERNEL_DATA && seen->fs == KERNEL_DATA && seen->gs == USER_DATA,
           "%s: segment registers are loaded", how);
    report(seen->tr == OTHER_TASK, "%s: the task register is loaded", how);
}

static void test_registers(const char *how)
{
    const uintptr_t flags = flags_read();
    uintptr_t after;

    other_make();
    __asm__ volatile("stc\n\tljmp %1, $0\n\tpushf\n\tpop %0"
                     : "=r"(after)
                     : "i"(OTHER_TASK), "a"(0xc0c0c0c0), "b"(0xc3c3c3c3), "c"(0xc1c1c1c1), "d"(0xc2c2c2c2),
                       "S"(0xc6c6c6c6), "D"(0xc7c7c7c7)
                     : "memory", "cc");
    report_loaded(how);
    report(this_task()->eax == 0xc0c0c0c0 && this_task()->ecx == 0xc1c1c1c1 &&
               this_task()->edx == 0xc2c2c2c2 && this_task()->ebx == 0xc3c3c3c3 &&
               this_task()->esi == 0xc6c6c6c6 && this_task()->edi == 0xc7c7c7c7,
           "%s: general registers are saved", how);
    report(this_task()->cs == KERNEL_CODE && this_task()->ss == KERNEL_DATA && this_task()->ds == KERNEL_DATA,
           "%s: segment registers are saved", how);
    detail("saved %x after %x", this_task()->eflags, (unsigned)after);
    REPORT_UNLESS_EMULATOR((this_task()->eflags & 1) && (after & 1) && !((after ^ flags) & FLAGS_IF),
                           "%s: flags are saved", how);
    report((seen_cr0 & CR0_TASK) != 0, "%s: CR0.TS is set", how);
    __asm__ volatile("clts");
}

static void test_ways(void)
{
    other_make();
    jump(TASK_GATE);
    report(entries == 1 && switch_seen.tr == OTHER_TASK && rights_of(TASK_STATE) == BUSY &&
               rights_of(OTHER_TASK) == AVAILABLE,
           "a jump by a task gate, and back");
    other_make();
    call(TASK_GATE);
    report(entries == 1 && (switch_seen.eflags & FLAGS_NT) && other.link == TASK_STATE,
           "a call by a task gate, and back");
    other_make();
    trap_gate_task(VECTOR_BREAKPOINT, OTHER_TASK);
    __asm__ volatile("int3" ::: "memory");
    trap_gate_task(VECTOR_BREAKPOINT, 0);
    report(entries == 1 && !(this_task()->eflags & FLAGS_NT), "a breakpoint by a task gate, and back");
    other_make();
    trap_gate_task(VECTOR_OVERFLOW, OTHER_TASK);
    __asm__ volatile("movb $0x7f, %%al\n\tincb %%al\n\tinto" ::: "eax", "memory", "cc");
    trap_gate_task(VECTOR_OVERFLOW, 0);
    report(entries == 1, "INTO by a task gate, and back");
    other_make();
    other.ldt = LDT;
    other.fs = LOCAL_DATA;
    jump(OTHER_TASK);
    report(entries == 1 && switch_seen.ldt == LDT && switch_seen.fs == LOCAL_DATA && (ldt[1] >> 40 & 1),
           "an LDT is loaded, and a segment of it");
    other_make();
    other.fs = 0;
    other.gs = 3;
    jump(OTHER_TASK);
    report(entries == 1 && switch_seen.fs == 0 && switch_seen.gs == 3, "null selectors are loaded");
    __asm__ volatile("mov %0, %%fs; mov %0, %%gs" ::"r"(KERNEL_DATA));
}

static void test_breakpoints(void)
{
    other_make();
    dr0_write(0x12345678);
    dr7_write(0x400 | 1 | 2 | 8);
    jump(OTHER_TASK);
    detail("dr7 %x", seen_dr7);
    report((seen_dr7 & 0xff) == (2 | 8), "local breakpoints are disabled, global ones stay");
    dr7_write(0x400);
}

static void test_16_bit(void)
{
    other_make();
    call(OTHER_TASK16);
    report((switch_seen.eax & 0xffff) == 0xb0b0 && (switch_seen.esp & 0xffff) == 0x7000 &&
               (switch_seen.edi & 0xffff) == 0xb7b7 && switch_seen.tr == OTHER_TASK16 &&
               (switch_seen.eflags & FLAGS_NT),
           "a 16-bit task is called");
    report(switch_seen.fs == 0 && switch_seen.gs == 0, "it has no FS and GS");
    report(other16.link == TASK_STATE && other16.ax == 0xb0b0 && other16.cs == SMALL_CODE &&
               !(other16.flags & FLAGS_NT) && rights_of(OTHER_TASK16) == AVAILABLE16,
           "and it is saved as it returns");
    __asm__ volatile("mov %0, %%fs; mov %0, %%gs" ::"r"(KERNEL_DATA));
}

/* --- events --- */

static volatile uint32_t seen_error, seen_eip, seen_eflags;
static volatile uintptr_t seen_cr2;

/* The handler of a fault: has the task that it interrupted go on behind. */
static void body_fault(void)
{
    entries++;
    seen_error = *(uint32_t *)(uintptr_t)switch_seen.esp;
    seen_eip = this_task()->eip;
    seen_eflags = this_task()->eflags;
    seen_cr2 = cr2_read();
    this_task()->eip = (uint32_t)trap_resume;
}

/* Run @code, which faults, behind which it goes on. */
#define BY_TASK(vector, code, ...)                                                                           \
    do {                                                                                                     \
        other_make();                                                                                        \
        switch_body = body_fault;                                                                            \
        trap_gate_task(vector, OTHER_TASK);                                                                  \
        __asm__ volatile("movl $9f, trap_resume\n\t8:" code "\n9:\tmovl $0, trap_resume" __VA_ARGS__);       \
        trap_gate_task(vector, 0);                                                                           \
    } while (0)

static void test_faults_by_a_gate(void)
{
    BY_TASK(VECTOR_PROTECTION, "mov %0, %%fs", ::"r"(NOWHERE) : "memory");
    report(entries == 1 && seen_error == NOWHERE && switch_seen.esp == other.stacks[0] - 4,
           "a general protection fault by a task gate has its error code on the new stack");
    REPORT_UNLESS_EMULATOR(seen_eflags & FLAGS_RF, "and RF set in the task that it interrupted");
    BY_TASK(VECTOR_PAGE, "movb $1, (%0)", ::"r"(HOLE + 0x123) : "memory");
    report(entries == 1 && seen_error == 2 && seen_cr2 == HOLE + 0x123, "and so has a page fault, and CR2");
    BY_TASK(VECTOR_UNDEFINED, "ud2", ::: "memory");
    report(entries == 1 && switch_seen.esp == other.stacks[0], "an undefined instruction has no error code");
}

/* What i386 kernels have a task gate for: a stack that is none. */
static void body_double(void)
{
    body_fault();
    this_task()->esp = seen_error + this_task()->ebx;
}

static void test_double_faults(void)
{
    other_make();
    switch_body = body_double;
    trap_gate_task(VECTOR_DOUBLE, OTHER_TASK);
    __asm__ volatile("movl $9f, trap_resume\n\tmov %%esp, %%ebx\n\tmov %0, %%esp\n\tpushl $1\n"
                     "9:\tmovl $0, trap_resume" ::"r"(HOLE + 0x800)
                     : "ebx", "memory");
    trap_gate_task(VECTOR_DOUBLE, 0);
    report(entries == 1 && seen_error == 0 && switch_seen.esp == other.stacks[0] - 4,
           "a double fault by a task gate saves a task that has lost its stack");
}

static void body_interrupt(void)
{
    entries++;
    apic_write(APIC_EOI, 0);
}

static void test_interrupt(void)
{
    other_make();
    irq_start(false);
    switch_body = body_interrupt;
    trap_gate_task(VECTOR_LOW, OTHER_TASK);
    apic_send(ICR_SELF | VECTOR_LOW);
    interrupts_on();
    for (unsigned i = 0; i < 1000000 && entries == 0; i++) {
        cpu_pause();
    }
    interrupts_off();
    report(entries == 1 && !(switch_seen.eflags & FLAGS_IF) && switch_seen.esp == other.stacks[0],
           "an interrupt by a task gate");
    report((this_task()->eflags & FLAGS_IF) != 0,
           "and the task that it interrupted can be interrupted again");
    entries = 0;
    other_make();
    switch_body = body_interrupt;
    apic_send(ICR_SELF | VECTOR_LOW);
    __asm__ volatile("sti; hlt; cli" ::: "memory");
    report(entries == 1, "an interrupt by a task gate ends HLT");
    trap_gate_task(VECTOR_LOW, 0);
}

/* Another one is sent while the first is served: it would find the task busy. */
static void body_nmi(void)
{
    if (++entries == 1) {
        apic_send(ICR_NMI);
        for (unsigned i = 0; i < 1000; i++) {
            cpu_pause();
        }
    }
}

static void test_nmi(void)
{
    other_make();
    switch_body = body_nmi;
    trap_gate_task(VECTOR_NMI, OTHER_TASK);
    apic_send(ICR_NMI);
    for (unsigned i = 0; i < 1000000 && entries < 2; i++) {
        cpu_pause();
    }
    trap_gate_task(VECTOR_NMI, 0);
    detail("%u entries", entries);
    report(entries == 2, "NMIs by a task gate: the second waits for IRET of the first, and comes then");
    irq_stop();
}

/* --- faults of the switch itself --- */

static void report_refusal(const char *what, unsigned vector, uint32_t error)
{
    detail("vector %x error %x", (unsigned)trap_last.vector, (unsigned)trap_last.error);
    report(trap_last.vector == vector && trap_last.error == error && entries == 0 &&
               rights_of(TASK_STATE) == BUSY,
           "%s", what);
}

#define JUMP_TRY(selector) TRY("ljmp %0, $0", ::"i"(selector) : "memory", "cc")

static void test_refusals(void)
{
    other_make();
    describe(OTHER_TASK, (uintptr_t)&other, sizeof other - 1, AVAILABLE & ~0x80u);
    JUMP_TRY(OTHER_TASK);
    report_refusal("a TSS that is not present is #NP", VECTOR_NO_SEGMENT, OTHER_TASK);
    other_make();
    JUMP_TRY(TASK_STATE);
    report_refusal("a jump to a busy task is #GP", VECTOR_PROTECTION, TASK_STATE);
    other_make();
    describe(OTHER_TASK, (uintptr_t)&other, sizeof other - 2, AVAILABLE);
    JUMP_TRY(OTHER_TASK);
    report_refusal("a TSS that is too short is #TS", VECTOR_TSS, OTHER_TASK);
    other_make();
    describe(OTHER_TASK, HOLE, sizeof other - 1, AVAILABLE);
    JUMP_TRY(OTHER_TASK);
    report_refusal("a TSS in no page is a page fault", VECTOR_PAGE, 0);
    report(trap_last.cr2 - HOLE < sizeof other && rights_of(OTHER_TASK) == AVAILABLE,
           "and the task stays available");
    other_make();
    this_task()->link = OTHER_TASK;
    flags_write(flags_read() | FLAGS_NT);
    TRY("iret", ::: "memory", "cc");
    flags_write(flags_read() & ~FLAGS_NT);
    report_refusal("a return to a task that is not busy is #TS", VECTOR_TSS, OTHER_TASK);
}

/* Handlers that run in the other task, of which none gets further than here. */
static volatile struct trap met;

static void leave_other(struct trap_frame *frame)
{
    met.vector = frame->vector;
    met.error = frame->error;
    met.ip = frame->ip;
    met.flags = frame->flags;
    met.dr6 = dr6_read();
    met.ax = frame->cs;
    __asm__ volatile("str %w0" : "=r"(met.cr2));
    dr6_write(0xffff0ff0);
    if (rights_of(TASK_STATE) == BUSY) {
        this_task()->eip = (uint32_t)trap_resume;
        __asm__ volatile("pushf; orl $0x4000, (%%esp); popf; iret" ::: "memory", "cc");
    }
    jump(TASK_STATE);
}

static void try_other(unsigned vector)
{
    met.vector = TRAP_NONE;
    trap_hook_set(vector, leave_other);
    jump(OTHER_TASK);
    trap_hook_set(vector, NULL);
}

static void report_new(const char *what, unsigned vector, uint32_t error)
{
    detail("vector %x error %x ip %x tr %x", (unsigned)met.vector, (unsigned)met.error, (unsigned)met.ip,
           (unsigned)met.cr2);
    report(met.vector == vector && met.error == error && (met.cr2 & 0xffff) == OTHER_TASK && entries == 0,
           "%s", what);
    REPORT_UNLESS_EMULATOR(met.ip == (uintptr_t)switch_entry, "and comes before its first instruction");
}

static void test_faults_of_the_new_task(void)
{
    other_make();
    other.ds = NOWHERE;
    try_other(VECTOR_TSS);
    report_new("a data segment beyond the GDT is #TS of the new task", VECTOR_TSS, NOWHERE);
    other_make();
    other.es = TASK_STATE;
    try_other(VECTOR_TSS);
    report_new("a TSS for a data segment is #TS of the new task", VECTOR_TSS, TASK_STATE);
    other_make();
    describe(SPARE_SEGMENT, 0, 0xfffff, 0x12 | 0xc00000);
    other.fs = SPARE_SEGMENT;
    try_other(VECTOR_NO_SEGMENT);
    report_new("a data segment that is not present is #NP of the new task", VECTOR_NO_SEGMENT, SPARE_SEGMENT);
    other_make();
    describe(SPARE_SEGMENT, 0, 0x3ff, 0x9a | 0xc00000);
    other.cs = SPARE_SEGMENT;
    try_other(VECTOR_PROTECTION);
    report_new("EIP beyond the code segment is #GP of the new task", VECTOR_PROTECTION, 0);
}

static void test_fault_in_a_fault(void)
{
    other_make();
    other.ds = NOWHERE;
    met.vector = TRAP_NONE;
    trap_hook_set(VECTOR_DOUBLE, leave_other);
    trap_gate_task(VECTOR_PROTECTION, OTHER_TASK);
    TRY("mov %0, %%fs", ::"r"(NOWHERE) : "memory");
    trap_gate_task(VECTOR_PROTECTION, 0);
    trap_hook_set(VECTOR_DOUBLE, NULL);
    report_new("a fault of a task that an exception switches to is a double fault", VECTOR_DOUBLE, 0);
}

static void test_debug_trap(void)
{
    other_make();
    other.debug = 1;
    try_other(VECTOR_DEBUG);
    REPORT_UNLESS_EMULATOR(met.vector == VECTOR_DEBUG && met.ip == (uintptr_t)switch_entry &&
                               (met.dr6 & DR6_TASK),
                           "the T flag traps before the first instruction");
}

/* --- tasks of other kinds --- */

static void test_user_task(void)
{
    other_make();
    other.cs = USER_CODE;
    other.es = other.ss = other.ds = other.fs = other.gs = USER_DATA;
    other.eip = user_address(user_cpuid);
    other.eflags = FLAGS_ONE | FLAGS_IF;
    try_other(VECTOR_DONE);
    report(met.vector == VECTOR_DONE && met.ax == USER_CODE && (met.flags & FLAGS_IF),
           "a task of CPL 3 is entered");
    __asm__ volatile("mov %0, %%fs; mov %0, %%gs" ::"r"(KERNEL_DATA));
}

static void test_v8086_task(const struct space *space)
{
    other_make();
    space_map(space, V8086_AT, 1, FRAME(1) | PTE_RWU);
    cr3_write(cr3_read());
    *(volatile uint8_t *)V8086_AT = 0xf4; /* HLT */
    other.eflags = FLAGS_ONE | FLAGS_VM;
    other.cs = V8086_AT >> 4;
    other.eip = 0;
    try_other(VECTOR_PROTECTION);
    detail("vector %x error %x ip %x cs %x flags %x", (unsigned)met.vector, (unsigned)met.error,
           (unsigned)met.ip, (unsigned)met.ax, (unsigned)met.flags);
    report(met.vector == VECTOR_PROTECTION && met.error == 0 && met.ip == 0 &&
               (met.ax & 0xffff) == V8086_AT >> 4 && (met.flags & FLAGS_VM),
           "a virtual-8086 task is entered");
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs" ::"r"(KERNEL_DATA));
}

void guest_main(void)
{
    struct space space;

    report(true, "the guest comes as far as its first task switch");
    gdt_enter();
    test_registers("unpaged");
    tables_reset();
    space_make(&space, &paging_32_small);
    space_enter(&space, 0, false);
    test_registers("paged");
    test_ways();
    test_breakpoints();
    test_16_bit();
    test_faults_by_a_gate();
    test_double_faults();
    test_interrupt();
    test_nmi();
    test_refusals();
    test_faults_of_the_new_task();
    test_fault_in_a_fault();
    test_debug_trap();
    test_user_task();
    test_v8086_task(&space);
    space_leave();
    report_end();
}
