/* What results need of the machine, on an e500: the first serial port, the two ways to leave, the device tree's words. */
#include "tests/guests/common/machine.h"

#include <stddef.h>

#include "tests/guests/ppc/common/board.h"

#define LINE_STATUS   5
#define HOLDING_EMPTY 0x20
#define ALL_SENT      0x40

#define FDT_BEGIN     1
#define FDT_END       2
#define FDT_PROP      3
#define FDT_NOP       4

extern const uint32_t *device_tree;

void machine_put(char character)
{
    while ((board_read8(BOARD_UART + LINE_STATUS) & HOLDING_EMPTY) == 0) {
    }
    board_write8(BOARD_UART, (uint8_t)character);
}

_Noreturn void machine_leave(uint32_t value)
{
    while ((board_read8(BOARD_UART + LINE_STATUS) & ALL_SENT) == 0) {
    }
    if (!machine_is_bare()) {
        board_write32(BOARD_DEBUG_EXIT, value);
    }
    board_write32(BOARD_GPIO, BOARD_GPIO_POWER);
    board_write32(BOARD_GPIO + 8, BOARD_GPIO_POWER);
    for (;;) {
    }
}

static bool same(const char *one, const char *other)
{
    while (*one && *one == *other) {
        one++;
        other++;
    }
    return *one == *other;
}

static uint32_t words_of(uint32_t bytes)
{
    return (bytes + 3) / 4;
}

/* The first property of that name, whatever node it is in; NULL: there is none. Spec: Devicetree "Flattened Devicetree". */
static const char *property(const char *name)
{
    const char *strings = (const char *)device_tree + device_tree[3];
    const uint32_t *at = device_tree + device_tree[2] / 4;

    for (;;) {
        switch (*at++) {
        case FDT_BEGIN: {
            uint32_t length = 0;

            while (((const char *)at)[length]) {
                length++;
            }
            at += words_of(length + 1);
            break;
        }
        case FDT_PROP:
            if (same(strings + at[1], name)) {
                return (const char *)(at + 2);
            }
            at += 2 + words_of(at[0]);
            break;
        case FDT_END:
        case FDT_NOP: break;
        default: return NULL;
        }
    }
}

const char *machine_words(void)
{
    const char *words = property("bootargs");

    return words ? words : "";
}

/* The hypervisor's tree has a device, "compatible" with nothing else, that the emulator's own machine has not. */
bool machine_is_bare(void)
{
    const char *tree = (const char *)device_tree;
    const char *end = tree + device_tree[1] - sizeof(BOARD_DEBUG_EXIT_NAME);

    while (tree < end && !same(tree, BOARD_DEBUG_EXIT_NAME)) {
        tree++;
    }
    return tree >= end;
}
