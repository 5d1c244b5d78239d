#include "tests/guests/common/machine.h"

#include <stddef.h>

#include "tests/guests/common/cpu.h"

#define COM1               0x3f8
#define LINE_STATUS        (COM1 + 5)
#define HOLDING_EMPTY      0x20
#define ALL_SENT           0x40
#define PORT_LEAVE         0xf4
#define MULTIBOOT_ARGS     4

/* "TCGT": how the emulator that makes the hosts signs when no hypervisor runs under it. */
#define EMULATOR_SIGNATURE 0x54474354

extern uintptr_t boot_information;

void machine_put(char character)
{
    while ((in8(LINE_STATUS) & HOLDING_EMPTY) == 0) {
        cpu_pause();
    }
    out8(COM1, (uint8_t)character);
}

_Noreturn void machine_leave(uint32_t value)
{
    while ((in8(LINE_STATUS) & ALL_SENT) == 0) {
        cpu_pause();
    }
    out32(PORT_LEAVE, value);
    for (;;) {
        __asm__ volatile("cli; hlt" ::: "memory");
    }
}

/* The multiboot information structure: flags at 0 (bit 2: a command line), its address at 16. */
const char *machine_words(void)
{
    const uint32_t *information = (const uint32_t *)boot_information;
    if (information == NULL || (information[0] & 4) == 0) {
        return "";
    }
    return (const char *)(uintptr_t)information[MULTIBOOT_ARGS];
}

bool machine_is_bare(void)
{
    const struct cpuid signature = cpuid(0x40000000, 0);
    return cpu_has_hypervisor() && signature.b == EMULATOR_SIGNATURE;
}
