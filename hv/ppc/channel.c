/*
 * Two channels' bytes, made lines of the control port. A line of theirs never breaks one of the monitor's: while that is
 * unfinished, bytes wait; only if more wait than there is room for does a newline come before its time.
 */
#include "hv/ppc/channel.h"

#include <stdbool.h>
#include <stddef.h>

#define CHANNELS   2
#define LINE_BYTES 64
#define WAIT_BYTES 256

struct channel {
    unsigned count;
    uint8_t bytes[WAIT_BYTES];
};

static struct channel channels[CHANNELS];
static bool unfinished; /* a line of the monitor's */

static void send_text(const char *text)
{
    while (*text != '\0') {
        serial_send_control((uint8_t)*text++);
    }
}

static void send_line(unsigned number, const uint8_t *bytes, unsigned count)
{
    static const char digits[] = "0123456789abcdef";
    send_text("{\"vmmu_channel\": ");
    serial_send_control((uint8_t)('1' + number));
    send_text(", \"bytes\": \"");
    for (unsigned i = 0; i < count; i++) {
        serial_send_control((uint8_t)digits[bytes[i] >> 4]);
        serial_send_control((uint8_t)digits[bytes[i] & 15]);
    }
    send_text("\"}\n");
}

static void send_all(unsigned number)
{
    struct channel *const channel = &channels[number];
    for (unsigned done = 0; done < channel->count; done += LINE_BYTES) {
        const unsigned rest = channel->count - done;
        send_line(number, channel->bytes + done, rest < LINE_BYTES ? rest : LINE_BYTES);
    }
    channel->count = 0;
}

void channel_flush(void)
{
    for (unsigned i = 0; i < CHANNELS && !unfinished; i++) {
        send_all(i);
    }
}

void channel_write(unsigned number, uint8_t byte)
{
    struct channel *const channel = &channels[number];
    channel->bytes[channel->count++] = byte;
    if (channel->count == WAIT_BYTES && unfinished) {
        channel_control('\n');
    } else if (!unfinished && (byte == '\n' || channel->count >= LINE_BYTES)) {
        send_all(number);
    }
}

void channel_control(uint8_t byte)
{
    serial_send_control(byte);
    unfinished = byte != '\n';
    channel_flush();
}
