/*
 * What a person reads, and the ways out of the machine.
 */
#include "hv/boot/format.h"
#include "hv/x86/cpu.h"
#include "hv/x86/ground.h"

#define PORT_DEBUG_EXIT  0xf4

/* Bochs: a port that shows what is written to it, and reads as its own number; and one that "Shutdown" ends all by. */
#define PORT_BOCHS_SAY   0xe9
#define PORT_BOCHS_LEAVE 0x8900

static void put(void *context, char character)
{
    (void)context;
    if (character == '\n') {
        host_serial_write(HOST_SERIAL_CONSOLE, '\r');
    }
    host_serial_write(HOST_SERIAL_CONSOLE, (uint8_t)character);
}

static const struct format_sink console = { NULL, put };

void host_print_list(const char *format, va_list values)
{
    format_text(&console, format, values);
}

void host_print(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    format_text(&console, format, values);
    va_end(values);
}

static void say_all(uint16_t port, const char *text)
{
    while (*text != '\0') {
        outb(port, (uint8_t)*text++);
    }
}

/* Bochs has no debug-exit port. Nothing is written where the first port is not what it is there. */
static void leave_bochs(int status)
{
    const char line[] = { '\n', (char)('0' + status), '\n', '\0' };
    if (inb(PORT_BOCHS_SAY) == PORT_BOCHS_SAY) {
        serial_drain();
        say_all(PORT_BOCHS_SAY, line);
        say_all(PORT_BOCHS_LEAVE, "Shutdown");
    }
}

void host_leave(int status)
{
    cli();
    outb(PORT_DEBUG_EXIT, (uint8_t)status);
    leave_bochs(status);
    for (;;) {
        hlt();
    }
}

void ground_refuse(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    host_print("vmmu: refused: ");
    host_print_list(format, values);
    host_print("\n");
    va_end(values);
    host_leave(HOST_LEAVE_REFUSED);
}

void host_panic(const char *format, ...)
{
    static bool again;
    cli();
    if (!again) {
        again = true;
        const uint64_t from = (uint64_t)(uintptr_t)__builtin_return_address(0);
        va_list values;
        va_start(values, format);
        host_print("\nvmmu: ");
        host_print_list(format, values);
        host_print("\n  stopped at %lx\n", from);
        va_end(values);
        print_control_registers();
        print_return_addresses((uint64_t)(uintptr_t)__builtin_frame_address(0));
    }
    host_leave(HOST_LEAVE_PANIC);
}
