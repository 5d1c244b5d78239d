/*
 * The channels' bytes on the control port: lines {"vmmu_channel": 1, "bytes": "68690a"} between the monitor's own lines.
 */
#ifndef HV_PPC_CHANNEL_H
#define HV_PPC_CHANNEL_H

#include <stdint.h>

/*
 * A byte for channel @number (0 or 1), which goes out with others: when its line is complete, or at the next
 * channel_flush().
 */
void channel_write(unsigned number, uint8_t byte);

/* A byte of the monitor's own for the control port. What waits of the channels goes out behind the line that it ends. */
void channel_control(uint8_t byte);

/* What waits goes out, unless a line of the monitor's is unfinished. */
void channel_flush(void);

/* In serial.c: send one byte on the control port. */
void serial_send_control(uint8_t byte);

#endif
