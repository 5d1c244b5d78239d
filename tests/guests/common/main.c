#include "tests/guests/common/guest.h"

#include "tests/guests/common/cpu.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

void guest_start(void);

/* 115200 baud, 8 bits, no parity, FIFOs on, no interrupts. */
static void serial_start(void)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } steps[] = { { 0x3f9, 0 }, { 0x3fb, 0x80 }, { 0x3f8, 1 }, { 0x3f9, 0 }, { 0x3fb, 3 }, { 0x3fa, 7 } };
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        out8(steps[i].port, steps[i].value);
    }
}

void guest_start(void)
{
    serial_start();
    traps_start();
    cr0_write(cr0_read() | CR0_WP);
    comment("%s, %s", sizeof(void *) == 8 ? "64-bit" : "32-bit", runs_bare() ? "bare" : "inside a partition");
    guest_main();
    report_end();
}
