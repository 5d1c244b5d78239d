#include "hv/vp/serial.h"

#include "hv/boot/host.h"
#include "hv/vp/arch.h"

/* Where each serial port of the guest comes from. */
static const enum host_serial serial_lines[PARTITION_SERIALS] = { HOST_SERIAL_CONSOLE, HOST_SERIAL_CHANNEL,
                                                                  HOST_SERIAL_CHANNEL2 };

/* Hand the guest's serial ports what came in for them, as long as they have room. */
void serial_pump(struct partition *partition)
{
    for (unsigned i = 0; i < PARTITION_SERIALS; i++) {
        int16_t *held = &partition->held_bytes[i];

        do {
            if (*held < 0) {
                *held = (int16_t)host_serial_read(serial_lines[i]);
            }
            if (*held >= 0 && !arch_partition_receive(partition, i, (uint8_t)*held)) {
                break;
            }
            *held = -1;
        } while (host_serial_pending(serial_lines[i]));
    }
}

bool serial_waits(const struct partition *partition)
{
    return partition->held_bytes[0] >= 0 || partition->held_bytes[1] >= 0 || partition->held_bytes[2] >= 0;
}
