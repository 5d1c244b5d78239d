#include "hv/vp/serial.h"

#include "hv/boot/host.h"
#include "hv/boot/memory.h"
#include "hv/guest/config.h"
#include "hv/vp/arch.h"

/* Which line of the machine's each serial port of a guest has, or may have. */
static const enum host_serial serial_lines[PARTITION_SERIALS] = { HOST_SERIAL_CONSOLE, HOST_SERIAL_CHANNEL,
                                                                  HOST_SERIAL_CHANNEL2 };

static unsigned focus; /* the machine's console has one screen and one keyboard */

const char *serial_create(struct partition *partition)
{
    vmmu_hpa at;

    if (!memory_take(sizeof *partition->console, VMMU_PAGE_BYTES, false, &at)) {
        return "no memory is left for a console";
    }
    partition->console = memory_at(at);
    __builtin_memset(partition->console, 0, sizeof *partition->console);
    for (unsigned i = 0; i < PARTITION_SERIALS; i++) {
        partition->held_bytes[i] = -1;
    }
    return NULL;
}

unsigned serial_focus(void)
{
    return focus;
}

/* Whether the machine's line for @port is @partition's now. */
static bool has_line(const struct partition *partition, unsigned port)
{
    return port == 0 ? partition->index == focus : partition->config->has_channel;
}

static void show(struct console *console)
{
    uint8_t byte;

    while (ring_take(&console->ring, &console->shown, &byte)) {
        host_serial_write(HOST_SERIAL_CONSOLE, byte);
    }
}

void serial_set_focus(struct partition *partition)
{
    focus = partition->index;
    show(partition->console);
}

void serial_write(struct partition *partition, unsigned port, uint8_t byte)
{
    if (port == 0) {
        ring_put(&partition->console->ring, byte);
        if (has_line(partition, port)) {
            show(partition->console);
        }
    } else if (port < PARTITION_SERIALS && has_line(partition, port)) {
        host_serial_write(serial_lines[port], byte);
    }
}

static void pump_port(struct partition *partition, unsigned port)
{
    int16_t *held = &partition->held_bytes[port];

    do {
        if (*held < 0) {
            *held = (int16_t)host_serial_read(serial_lines[port]);
        }
        if (*held >= 0 && !arch_partition_receive(partition, port, (uint8_t)*held)) {
            break;
        }
        *held = -1;
    } while (host_serial_pending(serial_lines[port]));
}

void serial_pump(struct partition *partition)
{
    for (unsigned i = 0; i < PARTITION_SERIALS; i++) {
        if (has_line(partition, i)) {
            pump_port(partition, i);
        }
    }
}

bool serial_waits(const struct partition *partition)
{
    return partition->held_bytes[0] >= 0 || partition->held_bytes[1] >= 0 || partition->held_bytes[2] >= 0;
}
