/*
 * What a person reads, and the ways out of the machine.
 */
#include "hv/boot/format.h"
#include "hv/ppc/cpu.h"
#include "hv/ppc/ground.h"

/* A general purpose output that the machine's power hangs on. */
#define GPIO_DIRECTION (LAYOUT_DEVICES + 0xff000)
#define GPIO_DATA      (LAYOUT_DEVICES + 0xff008)
#define GPIO_POWER_OFF 0x80000000

static void put(void *context, char character)
{
    (void)context;
    if (character == '\n') {
        host_serial_write(HOST_SERIAL_CONSOLE, '\r');
    }
    host_serial_write(HOST_SERIAL_CONSOLE, (uint8_t)character);
}

static void put_control(void *context, char character)
{
    (void)context;
    host_serial_write(HOST_SERIAL_CONTROL, (uint8_t)character);
}

static const struct format_sink console = { NULL, put };
static const struct format_sink control = { NULL, put_control };

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

__attribute__((format(printf, 1, 2))) static void tell_control(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    format_text(&control, format, values);
    va_end(values);
}

/* Whoever started the machine learns the status from the control port: it has no other way to tell. */
void host_leave(int status)
{
    interrupts_disable();
    tell_control("\n{\"vmmu_leave\": %d}\n", status);
    serial_drain();
    device_write32(GPIO_DIRECTION, GPIO_POWER_OFF);
    device_write32(GPIO_DATA, GPIO_POWER_OFF);
    for (;;) {
        __asm__ volatile("msync\n\tmtmsr %0\n\tisync" : : "r"(MSR_WE | MSR_ME) : "memory");
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
    interrupts_disable();
    if (!again) {
        again = true;
        va_list values;
        va_start(values, format);
        host_print("\nvmmu: ");
        host_print_list(format, values);
        host_print("\n  stopped at %lx\n", (unsigned long)(uintptr_t)__builtin_return_address(0));
        va_end(values);
        print_return_addresses((uint32_t)(uintptr_t)__builtin_frame_address(0));
    }
    host_leave(HOST_LEAVE_PANIC);
}
