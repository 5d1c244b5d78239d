#include "tests/guests/common/traps.h"

#include <stddef.h>

#include "tests/guests/common/cpu.h"
#include "tests/guests/common/report.h"

#define VECTORS        256
#define GATE_INTERRUPT 0x8e
#define GATE_TASK      0x85

/* An IDT entry: SDM 3A "IDT Descriptors", and "64-Bit Mode IDT". */
struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t stack;
    uint8_t type;
    uint16_t offset_middle;
#ifdef __x86_64__
    uint32_t offset_high;
    uint32_t zero;
#endif
};

struct table_pointer {
    uint16_t limit;
    uintptr_t base;
} __attribute__((packed));

volatile struct trap trap_last;
volatile uintptr_t trap_resume;

extern const uintptr_t trap_stubs[VECTORS];
extern uint64_t gdt[];
extern uint8_t task_state[];
extern uintptr_t user_kernel_stack;
void user_enter(uintptr_t ip, uintptr_t flags, uintptr_t address);
_Noreturn void user_leave(void);
void trap_handle(struct trap_frame *frame);

static struct gate gates[VECTORS] __attribute__((aligned(4096)));
static trap_hook *hooks[VECTORS];
static uint8_t spare_stack[STACK_BYTES] __attribute__((aligned(16)));

static void record(const struct trap_frame *frame)
{
    trap_last.vector = frame->vector;
    trap_last.error = frame->error;
    trap_last.ip = frame->ip;
    trap_last.flags = frame->flags;
    trap_last.cr2 = cr2_read();
    trap_last.dr6 = frame->vector == VECTOR_DEBUG ? dr6_read() : 0;
    trap_last.ax = frame->ax;
}

void trap_handle(struct trap_frame *frame)
{
    if (hooks[frame->vector] != NULL) {
        hooks[frame->vector](frame);
        return;
    }
    if ((frame->cs & 3) == 3 && user_kernel_stack != 0) {
        record(frame);
        user_leave();
    }
    if (trap_resume != 0) {
        record(frame);
        frame->ip = trap_resume;
        frame->flags &= ~FLAGS_TF;
        return;
    }
    bail_out("vector %u, error %p, ip %p, cr2 %p", (unsigned)frame->vector, frame->error, frame->ip,
             cr2_read());
}

void trap_hook_set(unsigned vector, trap_hook *hook)
{
    hooks[vector] = hook;
}

void trap_gate_set(unsigned vector, bool present, unsigned privilege)
{
    gates[vector].type = (uint8_t)((GATE_INTERRUPT & ~0x80) | (present ? 0x80 : 0) | privilege << 5);
}

void trap_gate_stack(unsigned vector, unsigned stack)
{
    gates[vector].stack = (uint8_t)stack;
}

void trap_gate_task(unsigned vector, unsigned selector)
{
    gates[vector].selector = selector ? (uint16_t)selector : KERNEL_CODE;
    gates[vector].type = selector ? GATE_TASK : GATE_INTERRUPT;
}

uintptr_t trap_table_bytes(void)
{
    return sizeof(gates);
}

uintptr_t trap_table(void)
{
    return (uintptr_t)gates;
}

void trap_table_move(uintptr_t to)
{
    const struct table_pointer pointer = { sizeof(gates) - 1, to };
    __asm__ volatile("lidt %0" ::"m"(pointer) : "memory");
}

void trap_table_restore(void)
{
    trap_table_move((uintptr_t)gates);
}

/* The task state holds the stack for traps from CPL 3, and in long mode the interrupt stacks. */
static void task_state_start(void)
{
    const uintptr_t base = (uintptr_t)task_state;
    const uint64_t limit = 103;
    gdt[TASK_STATE / 8] = limit | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)0x89 << 40 |
                          (uint64_t)(base >> 24 & 0xff) << 56;
    const uintptr_t spare = (uintptr_t)spare_stack + sizeof(spare_stack);
#ifdef __x86_64__
    gdt[TASK_STATE / 8 + 1] = base >> 32;
    *(uint32_t *)(base + 36) = (uint32_t)spare;
    *(uint32_t *)(base + 4) = (uint32_t)spare;
#else
    *(uint32_t *)(base + 4) = spare;
    *(uint32_t *)(base + 8) = KERNEL_DATA;
#endif
    *(uint16_t *)(base + 102) = 104; /* no I/O permission map */
    __asm__ volatile("ltr %w0" ::"r"(TASK_STATE) : "memory");
}

void traps_start(void)
{
    for (unsigned vector = 0; vector < VECTORS; vector++) {
        const uintptr_t stub = trap_stubs[vector];
        gates[vector].offset_low = (uint16_t)stub;
        gates[vector].offset_middle = (uint16_t)(stub >> 16);
        gates[vector].selector = KERNEL_CODE;
        trap_gate_set(vector, true, 0);
    }
    trap_gate_set(VECTOR_DONE, true, 3);
    trap_table_restore();
    task_state_start();
}

void user_run(uintptr_t ip, uintptr_t flags, uintptr_t address)
{
    trap_last.vector = TRAP_NONE;
    user_enter(ip, flags | FLAGS_ONE, address);
    user_kernel_stack = 0;
}
