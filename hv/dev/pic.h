/*
 * Two cascaded 8259A interrupt controllers with the ELCR of PC chip sets.
 *
 * Inputs 0-7 are the master's, 8-15 the slave's; the slave's output is the master's input 2. A request
 * lives while its input stays high (edge or level): dropped before the acknowledge, it leaves the
 * spurious interrupt 7 or 15.
 *
 * Spec: Intel 8259A datasheet; 82371SB (PIIX3) "Edge/Level Control Register".
 */
#ifndef HV_DEV_PIC_H
#define HV_DEV_PIC_H

#include "hv/dev/line.h"

#include <stdbool.h>
#include <stdint.h>

#define PIC_INPUTS  16
#define PIC_CASCADE 2

struct pic_counters {
    struct dev_counters registers;
    uint64_t acknowledged;
    uint64_t spurious;
};

/* One 8259A. */
struct pic_chip {
    uint8_t inputs; /* levels */
    uint8_t irr;
    uint8_t isr;
    uint8_t imr;
    uint8_t elcr;
    uint8_t vector_base; /* ICW2, bits 7:3 */
    uint8_t cascade;     /* ICW3: inputs with a slave (master), own number (slave) */
    uint8_t lowest;      /* input that has the lowest priority now: 7 until rotated */
    uint8_t icw4;
    uint8_t next_icw; /* 2, 3 or 4 while initialization goes on, else 0 */
    bool is_master;
    bool wants_icw4;
    bool is_single;
    bool reads_isr;
    bool poll;
    bool special_mask;
    bool rotates_on_aeoi;
    bool int_high; /* its INT output */
};

struct pic {
    struct pic_chip chips[2]; /* master, slave */
    struct dev_line output;   /* the master's INT */
    struct pic_counters counters;
};

/* @output is copied: where the master's INT goes. Power-up: everything masked, not initialized. */
void pic_init(struct pic *pic, const struct dev_line *output);
void pic_reset(struct pic *pic);

/* Command and data ports: @chip 0 or 1, @a0 the address bit. */
uint8_t pic_read(struct pic *pic, unsigned chip, bool a0);
void pic_write(struct pic *pic, unsigned chip, bool a0, uint8_t value);

/* Edge/level control of chip 0 (port 0x4D0) or 1 (0x4D1): a one bit makes its input level-triggered. */
uint8_t pic_elcr_read(struct pic *pic, unsigned chip);
void pic_elcr_write(struct pic *pic, unsigned chip, uint8_t value);

/* Input @input (0-15, not 2) is now @high. */
void pic_set_input(struct pic *pic, unsigned input, bool high);

/* The vector that an acknowledge would give now; changes nothing. */
uint8_t pic_peek(const struct pic *pic);

/* The interrupt acknowledge cycles: sets in-service bits and returns the vector; spurious ones too. */
uint8_t pic_acknowledge(struct pic *pic);

bool pic_input_is_masked(const struct pic *pic, unsigned input);

#endif
