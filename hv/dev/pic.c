/*
 * The 8259A pair.
 *
 * Invariant: int_high of each chip, the slave's level at the master's input 2, and the output line always
 * follow from the rest of the state: every change ends in evaluate().
 */
#include "hv/dev/pic.h"

#include "hv/dev/bits.h"

#include "vmmu/base.h"

#define MASTER         0
#define SLAVE          1
#define NO_INPUT       8 /* one past the inputs */
#define SPURIOUS       7

/* Command words. */
#define ICW1           BIT32(4) /* at A0 = 0 */
#define ICW1_IC4       BIT32(0)
#define ICW1_SINGLE    BIT32(1)
#define ICW2_BASE      BITS32(7, 3)
#define ICW4_AEOI      BIT32(1)
#define ICW4_NESTED    BIT32(4) /* special fully nested mode */
#define OCW3           BIT32(3) /* at A0 = 0, without ICW1's bit */
#define OCW3_RIS       BIT32(0)
#define OCW3_RR        BIT32(1)
#define OCW3_POLL      BIT32(2)
#define OCW3_SMM       BIT32(5)
#define OCW3_ESMM      BIT32(6)

#define POLL_INTERRUPT 0x80

/* Inputs that the chip set keeps edge-triggered: timer, keyboard, cascade; clock, coprocessor. */
static const uint8_t elcr_valid[2] = { 0xF8, 0xDE };

/* Rank of @input: 0 is the highest priority now. */
static unsigned rank_of(const struct pic_chip *chip, unsigned input)
{
    return (input - chip->lowest - 1) & 7;
}

/* The highest-priority input among @inputs, or NO_INPUT. */
static unsigned highest(const struct pic_chip *chip, uint8_t inputs)
{
    for (unsigned rank = 0; rank < 8 && inputs != 0; rank++) {
        const unsigned input = (chip->lowest + 1 + rank) & 7;

        if (bit_is_set(inputs, input))
            return input;
    }
    return NO_INPUT;
}

/* In-service bits that hold others back: not masked ones in special mask mode. */
static uint8_t blocking(const struct pic_chip *chip)
{
    return chip->special_mask ? chip->isr & ~chip->imr : chip->isr;
}

/* The input that would be acknowledged now, or NO_INPUT. */
static unsigned requester(const struct pic_chip *chip)
{
    const unsigned wanted = highest(chip, chip->irr & ~chip->imr);
    uint8_t served = blocking(chip);
    unsigned busy;

    if (wanted == NO_INPUT || chip->next_icw != 0)
        return NO_INPUT;
    /* In special fully nested mode a slave in service does not keep out its own further requests. */
    if ((chip->icw4 & ICW4_NESTED) != 0 && chip->is_master)
        served &= (uint8_t) ~(chip->cascade & BIT32(wanted));
    busy = highest(chip, served);
    if (busy != NO_INPUT && rank_of(chip, busy) <= rank_of(chip, wanted))
        return NO_INPUT;
    return wanted;
}

/* Drive @input of @chip. A request lives while the input is high: an edge sets it, its end clears it. */
static void chip_set_input(struct pic_chip *chip, unsigned input, bool high)
{
    const uint8_t bit = (uint8_t)BIT32(input);
    const bool rises = high && (chip->inputs & bit) == 0;

    chip->inputs = high ? chip->inputs | bit : chip->inputs & ~bit;
    if (!high) {
        chip->irr &= ~bit;
    } else if (rises || (chip->elcr & bit) != 0) {
        chip->irr |= bit;
    }
}

static void evaluate(struct pic *pic)
{
    struct pic_chip *master = &pic->chips[MASTER];
    struct pic_chip *slave = &pic->chips[SLAVE];

    slave->int_high = requester(slave) != NO_INPUT;
    chip_set_input(master, PIC_CASCADE, slave->int_high);
    master->int_high = requester(master) != NO_INPUT;
    dev_line_set(&pic->output, master->int_high);
}

void pic_set_input(struct pic *pic, unsigned input, bool high)
{
    chip_set_input(&pic->chips[input / 8], input % 8, high);
    evaluate(pic);
}

bool pic_input_is_masked(const struct pic *pic, unsigned input)
{
    return bit_is_set(pic->chips[input / 8].imr, input % 8);
}

/* --- acknowledge --- */

/*
 * Put @input in service, as the first acknowledge pulse (or a poll) does. A level
 * input requests again at once.
 */
static void serve(struct pic_chip *chip, unsigned input)
{
    const uint8_t bit = (uint8_t)BIT32(input);

    if ((chip->elcr & chip->inputs & bit) == 0)
        chip->irr &= ~bit;
    if ((chip->icw4 & ICW4_AEOI) == 0) {
        chip->isr |= bit;
    } else if (chip->rotates_on_aeoi) {
        chip->lowest = (uint8_t)input;
    }
}

static uint8_t vector_of(const struct pic_chip *chip, unsigned input)
{
    return (uint8_t)(chip->vector_base | (input == NO_INPUT ? SPURIOUS : input));
}

static bool is_cascaded(const struct pic_chip *master, unsigned input)
{
    return input == PIC_CASCADE && !master->is_single && bit_is_set(master->cascade, input);
}

uint8_t pic_peek(const struct pic *pic)
{
    const unsigned input = requester(&pic->chips[MASTER]);

    if (is_cascaded(&pic->chips[MASTER], input))
        return vector_of(&pic->chips[SLAVE], requester(&pic->chips[SLAVE]));
    return vector_of(&pic->chips[MASTER], input);
}

uint8_t pic_acknowledge(struct pic *pic)
{
    struct pic_chip *chip = &pic->chips[MASTER];
    unsigned input = requester(chip);

    if (is_cascaded(chip, input)) {
        serve(chip, input);
        chip = &pic->chips[SLAVE];
        input = requester(chip);
    }
    if (input != NO_INPUT) {
        serve(chip, input);
    } else {
        pic->counters.spurious++;
    }
    pic->counters.acknowledged++;
    /*
     * INT falls at the acknowledge, and rises again for the next request: whoever
     * waits for the edge sees one.
     */
    dev_line_set(&pic->output, false);
    /* The slave's INT falls too. */
    chip_set_input(&pic->chips[MASTER], PIC_CASCADE, false);
    evaluate(pic);
    return vector_of(chip, input);
}

/* --- command words --- */

static void write_icw1(struct pic_chip *chip, uint8_t value)
{
    chip->imr = 0;
    chip->isr = 0;
    /* The edge sense is reset: an input must fall and rise before it requests again. Level inputs go on. */
    chip->irr = chip->inputs & chip->elcr;
    chip->lowest = 7;
    chip->special_mask = false;
    chip->reads_isr = false;
    chip->poll = false;
    chip->rotates_on_aeoi = false;
    chip->is_single = (value & ICW1_SINGLE) != 0;
    chip->wants_icw4 = (value & ICW1_IC4) != 0;
    chip->icw4 = 0;
    chip->next_icw = 2;
}

static void write_next_icw(struct pic_chip *chip, uint8_t value)
{
    const uint8_t after3 = chip->wants_icw4 ? 4 : 0;

    switch (chip->next_icw) {
    case 2:
        chip->vector_base = value & ICW2_BASE;
        chip->next_icw = chip->is_single ? after3 : 3;
        break;
    case 3:
        chip->cascade = value;
        chip->next_icw = after3;
        break;
    default:
        chip->icw4 = value;
        chip->next_icw = 0;
        break;
    }
}

/* End @input if it is one, and make it the lowest priority if @rotates. */
static void end(struct pic_chip *chip, unsigned input, bool rotates)
{
    if (input == NO_INPUT)
        return;
    chip->isr &= (uint8_t)~BIT32(input);
    if (rotates)
        chip->lowest = (uint8_t)input;
}

/*
 * The R, SL and EOI bits of OCW2. Non-specific EOIs leave masked in-service bits alone in special mask mode.
 */
static void write_ocw2(struct pic_chip *chip, uint8_t value)
{
    enum {
        ROTATE_IN_AEOI_CLEAR = 0,
        NON_SPECIFIC_EOI = 1,
        NO_OPERATION = 2,
        SPECIFIC_EOI = 3,
        ROTATE_IN_AEOI_SET = 4,
        ROTATE_ON_NON_SPECIFIC_EOI = 5,
        SET_PRIORITY = 6,
        ROTATE_ON_SPECIFIC_EOI = 7,
    };
    const unsigned input = bits_get(value, 2, 0);
    const unsigned served = highest(chip, blocking(chip));

    switch (bits_get(value, 7, 5)) {
    case ROTATE_IN_AEOI_CLEAR: chip->rotates_on_aeoi = false; break;
    case NON_SPECIFIC_EOI: end(chip, served, false); break;
    case SPECIFIC_EOI: end(chip, input, false); break;
    case ROTATE_IN_AEOI_SET: chip->rotates_on_aeoi = true; break;
    case ROTATE_ON_NON_SPECIFIC_EOI: end(chip, served, true); break;
    case SET_PRIORITY: chip->lowest = (uint8_t)input; break;
    case ROTATE_ON_SPECIFIC_EOI: end(chip, input, true); break;
    default: break; /* no operation */
    }
}

static void write_ocw3(struct pic_chip *chip, uint8_t value)
{
    chip->poll = (value & OCW3_POLL) != 0;
    if ((value & OCW3_RR) != 0)
        chip->reads_isr = (value & OCW3_RIS) != 0;
    if ((value & OCW3_ESMM) != 0)
        chip->special_mask = (value & OCW3_SMM) != 0;
}

void pic_write(struct pic *pic, unsigned chip_number, bool a0, uint8_t value)
{
    struct pic_chip *chip = &pic->chips[chip_number];

    pic->counters.registers.writes++;
    if (!a0 && (value & ICW1) != 0) {
        write_icw1(chip, value);
    } else if (a0 && chip->next_icw != 0) {
        write_next_icw(chip, value);
    } else if (a0) {
        chip->imr = value;
    } else if ((value & OCW3) != 0) {
        write_ocw3(chip, value);
    } else {
        write_ocw2(chip, value);
    }
    evaluate(pic);
}

/* A poll is an acknowledge whose answer is read: the input's number, with bit 7 if there was one. */
static uint8_t poll(struct pic *pic, struct pic_chip *chip)
{
    const unsigned input = requester(chip);

    chip->poll = false;
    if (input == NO_INPUT)
        return SPURIOUS;
    serve(chip, input);
    evaluate(pic);
    return (uint8_t)(POLL_INTERRUPT | input);
}

uint8_t pic_read(struct pic *pic, unsigned chip_number, bool a0)
{
    struct pic_chip *chip = &pic->chips[chip_number];

    pic->counters.registers.reads++;
    if (chip->poll)
        return poll(pic, chip);
    if (a0)
        return chip->imr;
    return chip->reads_isr ? chip->isr : chip->irr;
}

uint8_t pic_elcr_read(struct pic *pic, unsigned chip)
{
    pic->counters.registers.reads++;
    return pic->chips[chip].elcr;
}

/* An input that becomes level-triggered while high requests from now on. */
void pic_elcr_write(struct pic *pic, unsigned chip_number, uint8_t value)
{
    struct pic_chip *chip = &pic->chips[chip_number];

    pic->counters.registers.writes++;
    chip->elcr = value & elcr_valid[chip_number];
    chip->irr |= chip->inputs & chip->elcr;
    evaluate(pic);
}

void pic_reset(struct pic *pic)
{
    for (unsigned i = 0; i < 2; i++) {
        struct pic_chip *chip = &pic->chips[i];

        *chip =
            (struct pic_chip){ .inputs = chip->inputs, .imr = 0xFF, .lowest = 7, .is_master = i == MASTER };
    }
    evaluate(pic);
}

void pic_init(struct pic *pic, const struct dev_line *output)
{
    *pic = (struct pic){ .output = *output };
    pic_reset(pic);
}
