/*
 * The two 8259 interrupt controllers of the machine: what serial ports and the 8254 interrupt by.
 *
 * Spec: Intel 8259A data sheet, "Initialization Command Words", "Operation Command Words".
 */
#include "hv/x86/cpu.h"
#include "hv/x86/ground.h"

#define MASTER        0x20
#define SLAVE         0xa0
#define COMMAND       0
#define DATA          1
#define ICW1_ICW4     0x11
#define ICW4_8086     0x01
#define CASCADE_INPUT 2
#define OCW2_EOI      0x20
#define OCW3_READ_ISR 0x0b
#define INPUTS        8
#define LAST_INPUT    0x80

static uint8_t masks[2] = { 0xff, 0xff };

static void start(uint16_t port, uint8_t vector, uint8_t cascade)
{
    outb(port + COMMAND, ICW1_ICW4);
    outb(port + DATA, vector);
    outb(port + DATA, cascade);
    outb(port + DATA, ICW4_8086);
    outb(port + DATA, 0xff);
}

void host_pic_init(void)
{
    start(MASTER, VECTOR_PIC, 1 << CASCADE_INPUT);
    start(SLAVE, VECTOR_PIC + INPUTS, CASCADE_INPUT);
}

/* Both mask registers, the cascade open exactly if the second controller has an open input. */
static void write_masks(void)
{
    const uint8_t cascade = masks[1] == 0xff ? 0 : 1 << CASCADE_INPUT;
    outb(SLAVE + DATA, masks[1]);
    outb(MASTER + DATA, masks[0] & (uint8_t)~cascade);
}

void pic_unmask(enum irq irq)
{
    masks[irq / INPUTS] &= (uint8_t) ~(1U << irq % INPUTS);
    write_masks();
}

void pic_mask(enum irq irq)
{
    masks[irq / INPUTS] |= (uint8_t)(1U << irq % INPUTS);
    write_masks();
}

/* Input 7 of a controller is also what it reports when a request went away before it was acknowledged. */
static bool is_spurious(uint16_t port)
{
    outb(port + COMMAND, OCW3_READ_ISR);
    return !(inb(port + COMMAND) & LAST_INPUT);
}

bool pic_accept(enum irq irq)
{
    const bool by_slave = irq >= INPUTS;
    const bool last = irq % INPUTS == INPUTS - 1;
    const bool spurious = last && is_spurious(by_slave ? SLAVE : MASTER);
    if (by_slave) {
        if (!spurious) {
            outb(SLAVE + COMMAND, OCW2_EOI);
        }
        outb(MASTER + COMMAND, OCW2_EOI);
    } else if (!spurious) {
        outb(MASTER + COMMAND, OCW2_EOI);
    }
    return !spurious;
}
