/*
 * The boot processor's local APIC, and the silence of the I/O APIC.
 *
 * The mode that the firmware left is kept: a processor in x2APIC mode cannot go back without a reset of the
 * APIC. Devices interrupt through the 8259s and LINT0 (virtual wire mode); the I/O APIC's inputs are masked,
 * so that nothing that the firmware left running interrupts a second time.
 *
 * Spec: SDM 3A "Local APIC", "Extended XAPIC (x2APIC)".
 */
#include "hv/x86/cpu.h"
#include "hv/x86/ground.h"

#define MSR_APIC_BASE             0x1b
#define APIC_BASE_X2APIC          BIT64(10)
#define APIC_BASE_ENABLE          BIT64(11)
#define APIC_BASE_ADDRESS         BITS64(51, 12)
#define MSR_X2APIC                0x800
#define CPUID_APIC                BIT64(9)

#define LVT_MASKED                0x10000
#define LVT_EXTINT                0x700
#define LVT_NMI                   0x400
#define SPURIOUS_ENABLE           0x100
#define DIVIDE_BY_1               0xb
#define VERSION_LAST_LVT(version) ((version) >> 16 & 0xff)
#define LAST_LVT_COUNTERS         4
#define LAST_LVT_THERMAL          5

#define SLOT_LOCAL                0
#define SLOT_IO                   1
#define IO_APIC_DEFAULT           0xfec00000
#define IO_SELECT                 (0x00 / 4)
#define IO_WINDOW                 (0x10 / 4)
#define IO_VERSION                1
#define IO_REDIRECTION            0x10
#define IO_ENTRIES_MAX            240
#define IO_MASKED                 0x10000

static volatile uint32_t *registers; /* NULL in x2APIC mode */

uint32_t apic_read(enum apic_register index)
{
    return registers != NULL ? registers[(unsigned)index / 4]
                             : (uint32_t)rdmsr(MSR_X2APIC + (unsigned)index / 16);
}

void apic_write(enum apic_register index, uint32_t value)
{
    if (registers != NULL) {
        registers[(unsigned)index / 4] = value;
    } else {
        wrmsr(MSR_X2APIC + (unsigned)index / 16, value);
    }
}

bool apic_is_x2apic(void)
{
    return registers == NULL;
}

/* Mask every input of the I/O APIC at the usual address, if one is there. */
static void silence_io_apic(void)
{
    volatile uint32_t *const io = paging_map_device(SLOT_IO, IO_APIC_DEFAULT);
    io[IO_SELECT] = IO_VERSION;
    const uint32_t version = io[IO_WINDOW];
    const unsigned entries = VERSION_LAST_LVT(version) + 1;
    if (version == 0 || version == UINT32_MAX || entries > IO_ENTRIES_MAX) {
        return;
    }
    for (unsigned i = 0; i < entries; i++) {
        io[IO_SELECT] = IO_REDIRECTION + 2 * i;
        io[IO_WINDOW] = io[IO_WINDOW] | IO_MASKED;
    }
}

void apic_init(void)
{
    if (!(cpuid(1, 0).edx & CPUID_APIC)) {
        ground_refuse("the processor has no local APIC, or the firmware disabled it");
    }
    const uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;
    wrmsr(MSR_APIC_BASE, base);
    if (!(base & APIC_BASE_X2APIC)) {
        registers = paging_map_device(SLOT_LOCAL, base & APIC_BASE_ADDRESS);
    }
    apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_APIC_SPURIOUS);
    apic_write(APIC_TASK_PRIORITY, 0);
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    const unsigned last = VERSION_LAST_LVT(apic_read(APIC_VERSION));
    if (last >= LAST_LVT_COUNTERS) {
        apic_write(APIC_LVT_COUNTERS, LVT_MASKED);
    }
    if (last >= LAST_LVT_THERMAL) {
        apic_write(APIC_LVT_THERMAL, LVT_MASKED);
    }
    apic_write(APIC_LVT_LINT0, LVT_EXTINT);
    apic_write(APIC_LVT_LINT1, LVT_NMI);
    apic_write(APIC_LVT_ERROR, VECTOR_APIC_ERROR);
    apic_write(APIC_ERROR_STATUS, 0);
    apic_write(APIC_EOI, 0);
    silence_io_apic();
}
