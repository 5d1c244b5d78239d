#include "tests/unit/dev/invariants.h"

#include "hv/dev/bits.h"

#define HOLDS(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return #condition;                                                                               \
    } while (0)

static int highest(const struct lapic_vectors *set)
{
    for (int word = 3; word >= 0; word--) {
        if (set->words[word] != 0)
            return 64 * word + 63 - __builtin_clzll(set->words[word]);
    }
    return -1;
}

/* What the local APIC would give of its own requests. Spec: SDM 3A "Task and Processor Priorities". */
static int own_request(const struct lapic *lapic)
{
    const int requested = highest(&lapic->irr);
    const int served = highest(&lapic->isr);
    const int tpr_class = (int)(lapic->tpr >> 4);
    const int served_class = served < 0 ? 0 : served >> 4;
    const int priority = tpr_class > served_class ? tpr_class : served_class;

    return requested >= 0 && requested >> 4 > priority ? requested : -1;
}

static const char *check_lapic(struct pc *pc, unsigned vp)
{
    const struct lapic *lapic = pc_lapic(pc, vp);

    if (lapic->ready != LAPIC_READY_EXTINT)
        HOLDS(lapic->ready == own_request(lapic));
    HOLDS((lapic->irr.words[0] & 0xFFFF) == 0 && (lapic->isr.words[0] & 0xFFFF) == 0);
    HOLDS(lapic->lint0_high == pc->pic.output.high);
    HOLDS((lapic->base & APIC_BASE_ENABLE) != 0 || (lapic->base & APIC_BASE_X2APIC) == 0);
    HOLDS(!(lapic->timer.running && lapic->timer.deadline != 0));
    HOLDS(lapic_ppr(lapic) <= 0xFF && lapic_tpr_threshold(lapic) < 16);

    return NULL;
}

static bool has_acceptor(struct pc *pc, uint64_t entry)
{
    const struct apic_message message = {
        .destination = (uint32_t)(entry >> 56),
        .vector = (uint8_t)entry,
        .logical = (entry & 0x800) != 0,
    };

    for (unsigned vp = 0; vp < pc->vps; vp++) {
        const struct lapic *lapic = pc_lapic(pc, vp);

        if (message.vector >= 16 && lapic_is_software_enabled(lapic) && lapic_is_addressed(lapic, &message))
            return true;
    }
    return false;
}

/* A level interrupt is never lost: it is asserted, open and under way, or nobody would take it. */
static const char *check_level_pins(struct pc *pc)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        const uint64_t entry = pc->ioapic.entries[pin];
        const bool level = (entry & 0x8000) != 0 && (entry >> 8 & 7) <= 1;
        const bool asserted = (pc->ioapic.levels >> pin & 1) != (entry >> 13 & 1);

        if (level && asserted && (entry & 0x14000) == 0)
            HOLDS(!has_acceptor(pc, entry));
    }

    return NULL;
}

static const char *check_lines(struct pc *pc)
{
    uint8_t drivers[PC_IRQS] = { 0 };

    drivers[0] = pc->pit.irq0.high;
    drivers[3] = (uint8_t)(pc->uarts[1].irq.high | pc->uarts[3].irq.high << 1);
    drivers[4] = (uint8_t)(pc->uarts[0].irq.high | pc->uarts[2].irq.high << 1);
    drivers[8] = pc->rtc.irq8.high;
    drivers[9] = pc->acpi_pm.sci.high;
    for (unsigned irq = 0; irq < PC_IRQS; irq++) {
        const unsigned pin = irq == PC_IRQ_TIMER ? PC_PIN_TIMER : irq;

        HOLDS(pc->irq_drivers[irq] == drivers[irq]);
        if (irq == PIC_CASCADE)
            continue;
        HOLDS((pc->pic.chips[irq / 8].inputs >> irq % 8 & 1) == (drivers[irq] != 0));
        HOLDS((pc->ioapic.levels >> pin & 1) == (drivers[irq] != 0));
    }
    HOLDS((pc->ioapic.levels >> PC_PIN_EXTINT & 1) == pc->pic.output.high);

    return NULL;
}

static const char *check_pic(struct pc *pc)
{
    const struct pic_chip *chips = pc->pic.chips;

    for (unsigned i = 0; i < 2; i++) {
        HOLDS((chips[i].irr & chips[i].elcr) == (chips[i].inputs & chips[i].elcr));
        HOLDS((chips[i].irr & ~chips[i].inputs) == 0);
        HOLDS(chips[i].lowest < 8);
    }
    HOLDS((chips[0].inputs >> PIC_CASCADE & 1) == chips[1].int_high);
    HOLDS(pc->pic.output.high == chips[0].int_high);

    return NULL;
}

static const char *check_schedule(struct pc *pc)
{
    uint64_t due = clock_earlier(pc->pit.due_ns, clock_earlier(pc->rtc.due_ns, pc->acpi_pm.due_ns));

    for (unsigned i = 0; i < PC_UARTS; i++) {
        due = clock_earlier(due, pc->uarts[i].due_ns);
        HOLDS(pc->uarts[i].held <= UART_FIFO_BYTES && pc->uarts[i].head < UART_FIFO_BYTES);
    }
    HOLDS(pc->due_ns == due);
    HOLDS(pc->pit.watched ==
          ((pc->pic.chips[0].imr & 1) == 0 || (pc->ioapic.entries[PC_PIN_TIMER] & 0x10000) == 0));

    return NULL;
}

const char *pc_broken_invariant(struct pc *pc)
{
    static const char *(*const checks[])(struct pc * pc) = { check_level_pins, check_lines, check_pic,
                                                             check_schedule };
    const char *broken = NULL;

    for (unsigned vp = 0; !broken && vp < pc->vps; vp++)
        broken = check_lapic(pc, vp);
    for (unsigned i = 0; !broken && i < sizeof(checks) / sizeof(checks[0]); i++)
        broken = checks[i](pc);
    return broken;
}
