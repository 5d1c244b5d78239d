/*
 * What device tests stand on: a clock that the test turns, a line that remembers, a whole
 * board with recording hooks.
 */
#ifndef TESTS_UNIT_DEV_FIXTURE_H
#define TESTS_UNIT_DEV_FIXTURE_H

#include "hv/dev/clock.h"
#include "hv/dev/line.h"
#include "hv/dev/pc.h"

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* A clock that shows *@ns. */
struct dev_clock fixture_clock(uint64_t *ns);

/* What happened on a line. */
struct fixture_wire {
    bool high;
    unsigned rises;
    unsigned falls;
};

/* A line into @wire. */
struct dev_line fixture_line(struct fixture_wire *wire);

#define FIXTURE_TEXT_BYTES 256

/* A board, and what it told the hypervisor. */
struct fixture_board {
    struct pc pc;
    struct pc_config config;
    uint64_t ns;
    uint64_t tsc_offset; /* the guest's TSC is ns * tsc_hz / 10^9 plus this */
    unsigned requests[PC_VPS_MAXIMUM];
    unsigned nmis[PC_VPS_MAXIMUM];
    unsigned inits[PC_VPS_MAXIMUM];
    unsigned sipis[PC_VPS_MAXIMUM];
    uint8_t sipi_vector;
    unsigned power_offs;
    unsigned resets;
    unsigned debug_exits;
    uint32_t debug_value;
    unsigned debug_stops;
    char text[FIXTURE_TEXT_BYTES];
    unsigned text_length;
    unsigned text_port;
};

/* A configuration that pc_init() takes: @vps VPs, TSC 2 GHz, APIC timer 1 GHz, everything offered. */
struct pc_config fixture_config(unsigned vps);

/* Hooks that record into @board. */
struct pc_hooks fixture_hooks(struct fixture_board *board);

/* A board of @vps VPs at time 0, as firmware hands it over. */
void fixture_board_init(struct fixture_board *board, unsigned vps);

/* Let @ns nanoseconds pass, running what falls due at its own moment. */
void fixture_pass(struct fixture_board *board, uint64_t ns);

/* Byte ports of VP 0. */
uint8_t fixture_in(struct fixture_board *board, uint16_t port);
void fixture_out(struct fixture_board *board, uint16_t port, uint8_t value);

/* Registers of the local APIC of @vp, and of the I/O APIC, by memory. */
uint32_t fixture_lapic_read(struct fixture_board *board, unsigned vp, uint32_t offset);
void fixture_lapic_write(struct fixture_board *board, unsigned vp, uint32_t offset, uint32_t value);
uint32_t fixture_ioapic_read(struct fixture_board *board, uint8_t number);
void fixture_ioapic_write(struct fixture_board *board, uint8_t number, uint32_t value);

/* Program pin @pin of the I/O APIC: low and high half. */
void fixture_ioapic_pin(struct fixture_board *board, unsigned pin, uint32_t low, uint32_t high);

#endif
