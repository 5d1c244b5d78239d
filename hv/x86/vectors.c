/*
 * Segments, gates, and what happens on an exception.
 *
 * The hypervisor's own exceptions are its bugs, but for three: an instruction with a fixup (a model-specific
 * register that is not there), an NMI, and a machine check that the processor can go on after. Only #DF has a
 * stack of its own; cpu.h says why.
 */
#include "hv/x86/cpu.h"
#include "hv/x86/ground.h"

#define VECTORS           256
#define STUB_BYTES        16
#define FAULT_STACK_BYTES 4096
#define FAULT_STACK_INDEX 1

#define GATE_INTERRUPT    UINT64_C(0x8e)
#define TSS_AVAILABLE     UINT64_C(0x89)

#define MSR_MCG_CAP       0x179
#define MSR_MCG_STATUS    0x17a
#define MSR_MC0_STATUS    0x401
#define MC_BANK_STRIDE    4
#define MCG_CAP_BANKS     UINT64_C(0xff)
#define MCG_STATUS_RIPV   BIT64(0)
#define MCG_STATUS_MCIP   BIT64(2)
#define MC_STATUS_VALID   BIT64(63)
#define MC_STATUS_CORRUPT BIT64(57)

/* As exception_entry and the processor push it, from the lowest address up. */
struct exception_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

struct gate {
    uint64_t low, high;
};

/* Spec: SDM 3A "Task Management in 64-bit Mode". */
struct __attribute__((packed)) task_state {
    uint32_t reserved0;
    uint64_t stack[3];
    uint64_t reserved1;
    uint64_t interrupt_stack[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_offset;
};
_Static_assert(sizeof(struct task_state) == 104, "the architecture's layout");

/* One pair of CPU_FIXUP. */
struct fixup {
    int32_t from, to;
};
extern const struct fixup image_fixups[], image_fixups_end[];

static uint64_t segments[5] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0 };
static struct gate gates[VECTORS];
static struct task_state task;
static uint8_t fault_stack[FAULT_STACK_BYTES] __attribute__((aligned(16)));
static uint64_t nmi_count;

void exception_handle(struct exception_frame *frame);

/* Spec: SDM 3A "64-Bit Mode IDT". */
static struct gate gate_to(uint64_t target, unsigned stack_index)
{
    return (struct gate){
        .low = (target & 0xffff) | (uint64_t)SELECTOR_CODE << 16 | (uint64_t)stack_index << 32 |
               GATE_INTERRUPT << 40 | (target >> 16 & 0xffff) << 48,
        .high = target >> 32,
    };
}

void vectors_init(void)
{
    const uint64_t base = (uint64_t)(uintptr_t)&task;
    task.interrupt_stack[FAULT_STACK_INDEX - 1] = (uint64_t)(uintptr_t)(fault_stack + FAULT_STACK_BYTES);
    task.io_map_offset = sizeof(task);
    segments[SELECTOR_TSS / 8] =
        (sizeof(task) - 1) | (base & 0xffffff) << 16 | TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
    segments[SELECTOR_TSS / 8 + 1] = base >> 32;
    const struct descriptor_table gdt = { sizeof(segments) - 1, (uint64_t)(uintptr_t)segments };
    lgdt(&gdt);
    ltr(SELECTOR_TSS);

    for (unsigned vector = 0; vector < VECTORS; vector++) {
        const uint64_t stub = (uint64_t)(uintptr_t)(vector_stubs + (size_t)vector * STUB_BYTES);
        gates[vector] = gate_to(stub, vector == VECTOR_DOUBLE_FAULT ? FAULT_STACK_INDEX : 0);
    }
    const struct descriptor_table idt = { sizeof(gates) - 1, (uint64_t)(uintptr_t)gates };
    lidt(&idt);
}

static const char *name_of(uint64_t vector)
{
    static const char *const names[VECTOR_EXCEPTIONS] = {
        "#DE divide error",
        "#DB debug",
        "NMI",
        "#BP breakpoint",
        "#OF overflow",
        "#BR bound range",
        "#UD invalid opcode",
        "#NM no coprocessor",
        "#DF double fault",
        "coprocessor segment overrun",
        "#TS invalid TSS",
        "#NP segment not present",
        "#SS stack fault",
        "#GP general protection",
        "#PF page fault",
        NULL,
        "#MF x87 error",
        "#AC alignment check",
        "#MC machine check",
        "#XM SIMD error",
        "#VE virtualization",
        "#CP control protection",
        [28] = "#HV injection",
        "#VC VMM communication",
        "#SX security",
    };
    return vector < VECTOR_EXCEPTIONS && names[vector] != NULL ? names[vector] : "reserved exception";
}

void print_control_registers(void)
{
    host_print("  cr0 %016lx  cr2 %016lx  cr3 %016lx  cr4 %016lx\n", read_cr0(), read_cr2(), read_cr3(),
               read_cr4());
}

void print_return_addresses(uint64_t stack)
{
    const uint64_t top = (uint64_t)(uintptr_t)stack_top;
    const uint64_t bottom = (uint64_t)(uintptr_t)stack_guard + VMMU_PAGE_BYTES;
    if (stack < bottom || stack >= top) {
        return;
    }
    host_print("  code addresses on the stack:");
    unsigned printed = 0;
    for (uint64_t at = (stack + 7) & ~UINT64_C(7); at < top && printed < 16; at += 8) {
        const uint64_t word = *(const uint64_t *)(uintptr_t)at;
        if (word >= (uint64_t)(uintptr_t)image_text && word < (uint64_t)(uintptr_t)image_constants) {
            host_print(" %lx", word);
            printed++;
        }
    }
    host_print("\n");
}

static void report(const struct exception_frame *f)
{
    host_print("\nvmmu: %s in the hypervisor, error code %lx\n", name_of(f->vector), f->error_code);
    host_print("  rip %04lx:%016lx  rflags %08lx  rsp %04lx:%016lx\n", f->cs, f->rip, f->rflags, f->ss,
               f->rsp);
    host_print("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    host_print("  rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
    host_print("  r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
    host_print("  r13 %016lx  r14 %016lx  r15 %016lx\n", f->r13, f->r14, f->r15);
    print_control_registers();
    print_return_addresses(f->rsp);
}

/* Whether the instruction at @frame has somewhere else to go on. */
static bool mend(struct exception_frame *frame)
{
    for (const struct fixup *fixup = image_fixups; fixup != image_fixups_end; fixup++) {
        if (frame->rip == (uint64_t)(uintptr_t)&fixup->from + (uint64_t)(int64_t)fixup->from) {
            frame->rip = (uint64_t)(uintptr_t)&fixup->to + (uint64_t)(int64_t)fixup->to;
            return true;
        }
    }
    return false;
}

/*
 * Whether the processor can go on after the machine check that it has just raised. Spec: SDM 3B
 * "Machine-Check Architecture".
 */
static bool machine_check_survived(void)
{
    uint64_t capabilities, status;
    if (!rdmsr_safe(MSR_MCG_CAP, &capabilities) || !rdmsr_safe(MSR_MCG_STATUS, &status)) {
        return false;
    }
    bool survived = status & MCG_STATUS_RIPV;
    host_print("\nvmmu: machine check, MCG_STATUS %lx\n", status);
    for (uint32_t bank = 0; bank < (capabilities & MCG_CAP_BANKS); bank++) {
        const uint32_t msr = MSR_MC0_STATUS + bank * MC_BANK_STRIDE;
        uint64_t error;
        if (!rdmsr_safe(msr, &error) || !(error & MC_STATUS_VALID)) {
            continue;
        }
        uint64_t address;
        const bool has_address = rdmsr_safe(msr + 1, &address);
        host_print("  bank %u: status %016lx address %016lx%s\n", bank, error, address,
                   has_address ? "" : " (none)");
        survived = survived && !(error & MC_STATUS_CORRUPT) && wrmsr_safe(msr, 0);
    }
    return survived && wrmsr_safe(MSR_MCG_STATUS, status & ~MCG_STATUS_MCIP);
}

void exception_handle(struct exception_frame *frame)
{
    if (frame->vector == VECTOR_NMI) {
        nmi_count++;
        return;
    }
    if (frame->vector == VECTOR_MACHINE_CHECK ? machine_check_survived() : mend(frame)) {
        return;
    }
    report(frame);
    if (frame->vector == VECTOR_DOUBLE_FAULT &&
        read_cr2() - (uint64_t)(uintptr_t)stack_guard < VMMU_PAGE_BYTES) {
        host_print("  the stack has overflown\n");
    }
    host_leave(HOST_LEAVE_PANIC);
}

uint64_t host_nmi_count(void)
{
    return nmi_count;
}
