#include "tests/guests/common/irq.h"

#include <stddef.h>

#include "tests/guests/common/cpu.h"
#include "tests/guests/common/traps.h"

#define PIC_FIRST   0x20
#define PIC_SECOND  0xa0
#define PIC_EOI     0x20

#define BASE_ENABLE BIT64(11)
#define BASE_X2     BIT64(10)

/* Cycles of the time-stamp counter after which an interrupt is given up. */
#define WAIT_CYCLES (UINT64_C(1) << 33)

volatile unsigned irq_counts[256];
volatile uint8_t irq_order[8];
volatile unsigned irq_ordered;
volatile uintptr_t irq_ip;

static bool by_registers;

uint32_t apic_read(uint32_t offset)
{
    return by_registers ? (uint32_t)msr_read(0x800 + offset / 16)
                        : *(volatile uint32_t *)(APIC_PAGE + (uintptr_t)offset);
}

void apic_write(uint32_t offset, uint32_t value)
{
    if (by_registers) {
        msr_write(0x800 + offset / 16, value);
    } else {
        *(volatile uint32_t *)(APIC_PAGE + (uintptr_t)offset) = value;
    }
}

uint32_t apic_identity(void)
{
    return by_registers ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_send_to(uint32_t id, uint32_t command)
{
    if (by_registers) {
        msr_write(0x800 + APIC_ICR / 16, (uint64_t)id << 32 | command);
        return;
    }
    apic_write(APIC_ICR_HIGH, id << 24);
    apic_write(APIC_ICR, command);
    while (apic_read(APIC_ICR) & ICR_PENDING) {
        cpu_pause();
    }
}

void apic_send(uint32_t command)
{
    apic_send_to(apic_identity(), command);
}

bool apic_bit(uint32_t offset, unsigned vector)
{
    return apic_read(offset + vector / 32 * 16) >> (vector % 32) & 1;
}

void pic_unmask(uint16_t lines)
{
    out8(PIC_FIRST + 1, (uint8_t)~lines);
    out8(PIC_SECOND + 1, (uint8_t)(~lines >> 8));
}

static void pic_start(void)
{
    static const uint8_t first[] = { VECTOR_PIC, 4, 1 }, second[] = { VECTOR_PIC + 8, 2, 1 };
    out8(PIC_FIRST, 0x11);
    out8(PIC_SECOND, 0x11);
    for (unsigned i = 0; i < sizeof(first); i++) {
        out8(PIC_FIRST + 1, first[i]);
        out8(PIC_SECOND + 1, second[i]);
    }
    pic_unmask(0);
}

static void apic_mask_all(void)
{
    static const uint32_t entries[] = { APIC_LVT_TIMER, APIC_LVT_LINT0, APIC_LVT_LINT1, APIC_LVT_ERROR };
    for (unsigned i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        apic_write(entries[i], LVT_MASKED | VECTOR_SPURIOUS);
    }
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
}

static void on_spurious(struct trap_frame *frame)
{
    (void)frame;
}

void irq_join(void)
{
    const uint64_t base = msr_read(MSR_APIC_BASE) | BASE_ENABLE;
    msr_write(MSR_APIC_BASE, base);
    if (by_registers) {
        msr_write(MSR_APIC_BASE, base | BASE_X2);
    }
    apic_mask_all();
}

void irq_start(bool x2)
{
    by_registers = x2;
    trap_hook_set(VECTOR_SPURIOUS, on_spurious);
    pic_start();
    irq_join();
}

/* The x2APIC goes back to plain by way of off. */
void irq_stop(void)
{
    apic_mask_all();
    if (by_registers) {
        const uint64_t base = msr_read(MSR_APIC_BASE);
        msr_write(MSR_APIC_BASE, base & ~(BASE_X2 | BASE_ENABLE));
        msr_write(MSR_APIC_BASE, (base & ~BASE_X2) | BASE_ENABLE);
        by_registers = false;
        apic_mask_all();
    }
    pic_unmask(0);
}

static void on_counted(struct trap_frame *frame)
{
    irq_counts[frame->vector]++;
    irq_ip = frame->ip;
    if (irq_ordered < sizeof(irq_order)) {
        irq_order[irq_ordered++] = (uint8_t)frame->vector;
    }
    if (frame->vector >= VECTOR_PIC && frame->vector < VECTOR_PIC + 16) {
        if (frame->vector >= VECTOR_PIC + 8) {
            out8(PIC_SECOND, PIC_EOI);
        }
        out8(PIC_FIRST, PIC_EOI);
    } else if (frame->vector != VECTOR_NMI) {
        apic_write(APIC_EOI, 0);
    }
}

void irq_count(unsigned vector)
{
    irq_counts[vector] = 0;
    trap_hook_set(vector, on_counted);
}

void irq_order_reset(void)
{
    irq_ordered = 0;
}

bool irq_wait(unsigned vector, unsigned count, bool halting)
{
    const uint64_t start = tsc_read();
    bool late = false;
    while (irq_counts[vector] < count && !late) {
        if (halting) {
            __asm__ volatile("sti; hlt; cli" ::: "memory");
        } else {
            __asm__ volatile("sti; nop; nop; cli" ::: "memory");
        }
        late = tsc_read() - start > WAIT_CYCLES;
    }
    return !late;
}
