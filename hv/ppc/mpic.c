/*
 * The host's interrupt controller: one source that the hypervisor wants, delivered to the one processor.
 *
 * Spec: "MPC8548E PowerQUICC III Integrated Processor Family Reference Manual", "Programmable Interrupt Controller".
 */
#include "hv/ppc/cpu.h"
#include "hv/ppc/ground.h"

#define MPIC                 (LAYOUT_DEVICES + 0x40000)
#define GLOBAL_CONFIGURATION (MPIC + 0x1020)
#define GCR_RESET            0x80000000
#define GCR_MIXED            0x20000000 /* it prioritizes, and the processor acknowledges by a read */
#define SPURIOUS_VECTOR      (MPIC + 0x10e0)
#define SOURCE(number)       (MPIC + 0x10000 + (number)*0x20)
#define SOURCE_VECTOR        0x00
#define SOURCE_DESTINATION   0x10
#define VECTOR_HIGH_LEVEL    0x00c00000 /* polarity and sense, where a source has them */
#define VECTOR_PRIORITY      0x00080000
#define TASK_PRIORITY        (MPIC + 0x20080)
#define ACKNOWLEDGE          (MPIC + 0x200a0)
#define END_OF_INTERRUPT     (MPIC + 0x200b0)
#define SPURIOUS             0xffff
#define RESET_POLLS          100000
#define SOURCE_SERIAL        42

void host_mpic_init(void)
{
    device_write32(GLOBAL_CONFIGURATION, GCR_RESET);
    for (unsigned i = 0; i < RESET_POLLS && (device_read32(GLOBAL_CONFIGURATION) & GCR_RESET); i++) {
    }
    device_write32(GLOBAL_CONFIGURATION, GCR_MIXED);
    device_write32(SPURIOUS_VECTOR, SPURIOUS);
    device_write32(TASK_PRIORITY, 0);
}

void host_mpic_enable_serial(void)
{
    device_write32(SOURCE(SOURCE_SERIAL) + SOURCE_DESTINATION, 1);
    device_write32(SOURCE(SOURCE_SERIAL) + SOURCE_VECTOR,
                   VECTOR_HIGH_LEVEL | VECTOR_PRIORITY | SOURCE_SERIAL);
}

bool host_mpic_interrupt(void)
{
    const uint32_t source = device_read32(ACKNOWLEDGE) & SPURIOUS;
    if (source == SPURIOUS) {
        return false;
    }
    if (source == SOURCE_SERIAL) {
        serial_interrupt();
    }
    device_write32(END_OF_INTERRUPT, 0);
    return source == SOURCE_SERIAL;
}
