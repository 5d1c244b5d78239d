/* The devices of an e500's board, as guests reach them: main.c maps them. */
#ifndef TESTS_GUESTS_PPC_BOARD_H
#define TESTS_GUESTS_PPC_BOARD_H

#include <stdint.h>

#define BOARD_PHYSICAL        UINT64_C(0xfe0000000)
#define BOARD_AT              UINT32_C(0xf0000000)
#define BOARD_UART            0x4500
#define BOARD_MPIC            0x40000
#define BOARD_GUTS            0xe0000
#define BOARD_DEBUG_EXIT      0xf4000
#define BOARD_DEBUG_EXIT_NAME "vmmu,debug-exit"
#define BOARD_GPIO            0xff000
#define BOARD_GPIO_POWER      UINT32_C(0x80000000)

static inline uint8_t board_read8(uint32_t offset)
{
    return *(volatile uint8_t *)(uintptr_t)(BOARD_AT + offset);
}

static inline void board_write8(uint32_t offset, uint8_t value)
{
    *(volatile uint8_t *)(uintptr_t)(BOARD_AT + offset) = value;
}

static inline uint32_t board_read32(uint32_t offset)
{
    return *(volatile uint32_t *)(uintptr_t)(BOARD_AT + offset);
}

static inline void board_write32(uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)(BOARD_AT + offset) = value;
}

#endif
