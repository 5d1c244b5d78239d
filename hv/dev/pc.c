/*
 * The board: wiring, memory, time, interrupts.
 *
 * Invariants: pc->due_ns is the earliest due_ns of the PIT, the RTC, ACPI and the UARTs at every return;
 * IRQ 0's edges are watched exactly while the 8259 pair or the I/O APIC lets them through.
 */
#include "hv/dev/pc.h"

#include "hv/dev/bits.h"
#include "hv/dev/pc_internal.h"

#define FIRMWARE_MASTER_BASE 0x08
#define FIRMWARE_SLAVE_BASE  0x70

/* --- interrupt messages --- */

#define FROM_IOAPIC          PC_VPS_MAXIMUM

static bool is_target(const struct pc *pc, unsigned vp, unsigned from, const struct apic_message *message)
{
    switch (message->shorthand) {
    case APIC_TO_DESTINATION: return lapic_is_addressed(&pc->lapics[vp], message);
    case APIC_TO_SELF: return vp == from;
    case APIC_TO_ALL: return true;
    case APIC_TO_OTHERS: return vp != from;
    }
    return false;
}

/* Of the targets, the one whose priority is lowest; turns are taken among equals. */
static bool deliver_lowest(struct pc *pc, unsigned from, const struct apic_message *message)
{
    struct lapic *chosen = NULL;

    for (unsigned i = 0; i < pc->vps; i++) {
        const unsigned vp = (pc->lowest_priority_turn + i) % pc->vps;
        struct lapic *lapic = &pc->lapics[vp];

        if (!lapic_is_software_enabled(lapic) || !is_target(pc, vp, from, message))
            continue;
        if (chosen == NULL || lapic_ppr(lapic) < lapic_ppr(chosen))
            chosen = lapic;
    }
    if (chosen == NULL)
        return false;
    pc->lowest_priority_turn = (uint8_t)((chosen->config.vp + 1) % pc->vps);
    return lapic_receive(chosen, message);
}

static bool deliver(struct pc *pc, unsigned from, const struct apic_message *message)
{
    bool accepted = false;

    if (message->delivery == APIC_LOWEST_PRIORITY)
        return deliver_lowest(pc, from, message);
    for (unsigned vp = 0; vp < pc->vps; vp++) {
        if (is_target(pc, vp, from, message) && lapic_receive(&pc->lapics[vp], message))
            accepted = true;
    }
    return accepted;
}

static bool send_from_ioapic(void *context, const struct apic_message *message)
{
    return deliver(context, FROM_IOAPIC, message);
}

static void send_from_lapic(void *context, unsigned vp, const struct apic_message *message)
{
    (void)deliver(context, vp, message);
}

static void broadcast_eoi(void *context, uint8_t vector)
{
    struct pc *pc = context;

    ioapic_eoi(&pc->ioapic, vector);
}

static void reachability_changed(void *context)
{
    struct pc *pc = context;

    ioapic_evaluate(&pc->ioapic);
}

/* --- lines --- */

/* An ISA line is high while any of its drivers is. */
static void isa_line_changed(void *context, const struct dev_line *line)
{
    struct pc *pc = context;
    const unsigned irq = line->number;
    const uint8_t before = pc->irq_drivers[irq];
    const uint8_t bit = (uint8_t)BIT32(line->source);
    const uint8_t after = line->high ? before | bit : before & ~bit;

    pc->irq_drivers[irq] = after;
    if ((before != 0) == (after != 0))
        return;
    pic_set_input(&pc->pic, irq, after != 0);
    ioapic_set_pin(&pc->ioapic, irq == PC_IRQ_TIMER ? PC_PIN_TIMER : irq, after != 0);
}

/* The 8259 pair's output goes to LINT0 of every VP and to the I/O APIC. */
static void pic_output_changed(void *context, const struct dev_line *line)
{
    struct pc *pc = context;

    for (unsigned vp = 0; vp < pc->vps; vp++)
        lapic_lint0(&pc->lapics[vp], line->high);
    ioapic_set_pin(&pc->ioapic, PC_PIN_EXTINT, line->high);
}

static struct dev_line isa_line(struct pc *pc, uint8_t irq, uint8_t source)
{
    return (struct dev_line){ .changed = isa_line_changed, .context = pc, .number = irq, .source = source };
}

void pc_before_routing(struct pc *pc)
{
    if (!pc->pit.watched)
        pit_advance(&pc->pit);
}

void pc_after_routing(struct pc *pc)
{
    pit_watch(&pc->pit, !pic_input_is_masked(&pc->pic, PC_IRQ_TIMER) ||
                            !ioapic_pin_is_masked(&pc->ioapic, PC_PIN_TIMER));
    pc_schedule(pc);
}

/* --- memory --- */

static bool ioapic_claims(uint64_t gpa)
{
    return gpa - PC_IOAPIC_ADDRESS < IOAPIC_PAGE_BYTES;
}

bool pc_mmio_read(struct pc *pc, unsigned vp, vmmu_gpa gpa, unsigned width_bytes, uint64_t *value)
{
    struct lapic *lapic = &pc->lapics[vp];

    pc->counters.memory[vp].reads++;
    if (lapic_claims(lapic, gpa.v)) {
        *value = lapic_mmio_read(lapic, (uint32_t)(gpa.v - lapic->page), width_bytes);
        return true;
    }
    if (ioapic_claims(gpa.v)) {
        *value = ioapic_mmio_read(&pc->ioapic, (uint32_t)(gpa.v - PC_IOAPIC_ADDRESS), width_bytes);
        return true;
    }
    pc->counters.unclaimed_memory.reads++;
    *value = all_ones(width_bytes);
    return false;
}

bool pc_mmio_write(struct pc *pc, unsigned vp, vmmu_gpa gpa, unsigned width_bytes, uint64_t value)
{
    struct lapic *lapic = &pc->lapics[vp];

    pc->counters.memory[vp].writes++;
    if (lapic_claims(lapic, gpa.v)) {
        lapic_mmio_write(lapic, (uint32_t)(gpa.v - lapic->page), width_bytes, value);
        return true;
    }
    if (ioapic_claims(gpa.v)) {
        pc_before_routing(pc);
        ioapic_mmio_write(&pc->ioapic, (uint32_t)(gpa.v - PC_IOAPIC_ADDRESS), width_bytes, value);
        pc_after_routing(pc);
        return true;
    }
    pc->counters.unclaimed_memory.writes++;
    return false;
}

/* --- time --- */

void pc_schedule(struct pc *pc)
{
    uint64_t due = clock_earlier(pc->pit.due_ns, clock_earlier(pc->rtc.due_ns, pc->acpi_pm.due_ns));

    for (unsigned i = 0; i < PC_UARTS; i++)
        due = clock_earlier(due, pc->uarts[i].due_ns);
    pc->due_ns = due;
}

static void advance_devices(struct pc *pc, uint64_t now_ns)
{
    if (pc->pit.due_ns <= now_ns)
        pit_advance(&pc->pit);
    if (pc->rtc.due_ns <= now_ns)
        rtc_advance(&pc->rtc);
    if (pc->acpi_pm.due_ns <= now_ns)
        acpi_pm_advance(&pc->acpi_pm);
    for (unsigned i = 0; i < PC_UARTS; i++) {
        if (pc->uarts[i].due_ns <= now_ns)
            uart_advance(&pc->uarts[i]);
    }
    pc_schedule(pc);
}

void pc_advance(struct pc *pc, unsigned vp, uint64_t now_ns)
{
    struct lapic *lapic = &pc->lapics[vp];

    if (now_ns < pc_deadline(pc, vp))
        return;
    pc->counters.advanced++;
    if (lapic->due_ns <= now_ns)
        lapic_advance(lapic, now_ns);
    if (vp == 0 && pc->due_ns <= now_ns)
        advance_devices(pc, now_ns);
}

/* --- interrupts --- */

int pc_interrupt_vector(const struct pc *pc, unsigned vp)
{
    const int ready = pc->lapics[vp].ready;

    return ready == LAPIC_READY_EXTINT ? pic_peek(&pc->pic) : ready;
}

int pc_interrupt_accept(struct pc *pc, unsigned vp)
{
    struct lapic *lapic = &pc->lapics[vp];

    if (lapic->ready == LAPIC_READY_NONE)
        return -1;
    if (lapic->ready != LAPIC_READY_EXTINT)
        return lapic_accept(lapic);
    /* In this order: the acknowledge may let the pair's next request come as a new message. */
    lapic_accept_extint(lapic);
    return pic_acknowledge(&pc->pic);
}

void pc_nmi_button(struct pc *pc)
{
    if (rtc_masks_nmi(&pc->rtc))
        return;
    for (unsigned vp = 0; vp < pc->vps; vp++) {
        lapic_lint1(&pc->lapics[vp], true);
        lapic_lint1(&pc->lapics[vp], false);
    }
}

void pc_power_button(struct pc *pc)
{
    acpi_pm_power_button(&pc->acpi_pm);
    pc_schedule(pc);
}

static bool has_uart(const struct pc *pc, unsigned port)
{
    return port < PC_UARTS && bit_is_set(pc->serial_ports, port);
}

bool pc_serial_receive(struct pc *pc, unsigned port, uint8_t byte)
{
    const bool taken = has_uart(pc, port) && uart_receive(&pc->uarts[port], byte);

    pc_schedule(pc);
    return taken;
}

bool pc_serial_break(struct pc *pc, unsigned port)
{
    const bool taken = has_uart(pc, port) && uart_receive_break(&pc->uarts[port]);

    pc_schedule(pc);
    return taken;
}

/* --- set-up --- */

static void power_off(void *context)
{
    struct pc *pc = context;

    pc->hooks.power(pc->hooks.context, PC_POWER_OFF);
}

static bool is_valid_rate(uint64_t hz)
{
    return hz >= 1 && hz <= CLOCK_HZ_MAXIMUM;
}

static bool is_valid(const struct pc_config *config, const struct pc_hooks *hooks)
{
    if (config->vps < 1 || config->vps > PC_VPS_MAXIMUM || config->serial_ports >= BIT32(PC_UARTS))
        return false;
    if (!is_valid_rate(config->tsc_hz) || !is_valid_rate(config->apic_hz))
        return false;
    if (config->physical_address_bits < 32 || config->physical_address_bits > 52)
        return false;
    return hooks->now_ns && hooks->tsc_now && hooks->request && hooks->nmi && hooks->init && hooks->sipi &&
           hooks->power && hooks->debug_exit && hooks->debug_stop && hooks->serial_write;
}

/* Local APICs call the hypervisor for what is the VP's, and the board for what is other APICs'. */
static void wire_lapics(struct pc *pc)
{
    pc->lapic_wires = (struct lapic_wires){
        .vp_context = pc->hooks.context,
        .now_ns = pc->hooks.now_ns,
        .tsc_now = pc->hooks.tsc_now,
        .request = pc->hooks.request,
        .nmi = pc->hooks.nmi,
        .init = pc->hooks.init,
        .sipi = pc->hooks.sipi,
        .bus_context = pc,
        .send = send_from_lapic,
        .broadcast_eoi = broadcast_eoi,
        .reachability = reachability_changed,
    };
}

static void init_lapics(struct pc *pc, const struct pc_config *config)
{
    wire_lapics(pc);
    for (unsigned vp = 0; vp < config->vps; vp++) {
        const struct lapic_config lapic = {
            .wires = &pc->lapic_wires,
            .vp = vp,
            .tsc_hz = config->tsc_hz,
            .apic_hz = config->apic_hz,
            .physical_address_bits = config->physical_address_bits,
            .bootstrap = vp == 0,
            .x2apic = config->x2apic,
            .tsc_deadline = config->tsc_deadline,
        };

        lapic_init(&pc->lapics[vp], &lapic);
    }
}

static void init_uarts(struct pc *pc, const struct dev_clock *clock)
{
    static const uint8_t irqs[PC_UARTS] = { PC_IRQ_COM1_COM3, PC_IRQ_COM2_COM4, PC_IRQ_COM1_COM3,
                                            PC_IRQ_COM2_COM4 };

    for (unsigned i = 0; i < PC_UARTS; i++) {
        const struct uart_wires wires = {
            .transmit = pc->hooks.serial_write,
            .context = pc->hooks.context,
            .number = i,
            .irq = isa_line(pc, irqs[i], (uint8_t)(i / 2)),
            .clock = *clock,
        };

        uart_init(&pc->uarts[i], &wires);
    }
}

static void reset_system_ports(struct pc *pc)
{
    pc->port61 = 0;
    pc->port92 = PC_PORT92_A20;
    pc->reset_control = 0;
}

enum vmmu_status pc_init(struct pc *pc, const struct pc_config *config, const struct pc_hooks *hooks)
{
    const struct dev_clock clock = { .now_ns = hooks->now_ns, .context = hooks->context };
    const struct dev_line output = { .changed = pic_output_changed, .context = pc };
    const struct acpi_pm_wires acpi_pm = {
        .sci = isa_line(pc, PC_IRQ_SCI, 0),
        .clock = clock,
        .power_off = power_off,
        .context = pc,
        .timer_is_24_bit = config->pm_timer_is_24_bit,
    };
    const struct dev_line irq0 = isa_line(pc, PC_IRQ_TIMER, 0);
    const struct dev_line irq8 = isa_line(pc, PC_IRQ_RTC, 0);

    if (!is_valid(config, hooks))
        return VMMU_INVALID;
    *pc = (struct pc){ .vps = config->vps, .serial_ports = config->serial_ports, .hooks = *hooks };
    init_lapics(pc, config);
    ioapic_init(&pc->ioapic, send_from_ioapic, pc);
    pic_init(&pc->pic, &output);
    pit_init(&pc->pit, &clock, &irq0);
    rtc_init(&pc->rtc, &clock, &irq8, config->wall_clock_s);
    rtc_set_memory(&pc->rtc, config->memory_below_4g_bytes, config->memory_above_4g_bytes);
    acpi_pm_init(&pc->acpi_pm, &acpi_pm);
    init_uarts(pc, &clock);
    reset_system_ports(pc);
    pc_after_routing(pc);
    return VMMU_OK;
}

/* Interrupt controllers first: what the devices drop or raise while they reset must find them masked. */
void pc_reset(struct pc *pc)
{
    for (unsigned vp = 0; vp < pc->vps; vp++)
        lapic_reset(&pc->lapics[vp]);
    ioapic_reset(&pc->ioapic);
    pic_reset(&pc->pic);
    pit_reset(&pc->pit);
    rtc_reset(&pc->rtc);
    acpi_pm_reset(&pc->acpi_pm);
    for (unsigned i = 0; i < PC_UARTS; i++)
        uart_reset(&pc->uarts[i]);
    reset_system_ports(pc);
    pc_after_routing(pc);
}

static void hand_over_pic(struct pic *pic, unsigned chip, uint8_t base, uint8_t cascade)
{
    pic_write(pic, chip, false, 0x11); /* ICW1: edge, cascade, ICW4 follows */
    pic_write(pic, chip, true, base);
    pic_write(pic, chip, true, cascade);
    pic_write(pic, chip, true, 0x01); /* ICW4: 8086 mode */
    pic_write(pic, chip, true, 0xFF);
}

void pc_firmware_handover(struct pc *pc)
{
    struct lapic *bootstrap = &pc->lapics[0];

    pit_write(&pc->pit, 3, 0x36); /* counter 0: both bytes, square wave */
    pit_write(&pc->pit, 0, 0);
    pit_write(&pc->pit, 0, 0);
    pit_write(&pc->pit, 3, 0x54); /* counter 1: low byte, rate generator: refresh */
    pit_write(&pc->pit, 1, 18);
    /* After the timer: initialization forgets the edge that programming it gave. */
    hand_over_pic(&pc->pic, 0, FIRMWARE_MASTER_BASE, BIT32(PIC_CASCADE));
    hand_over_pic(&pc->pic, 1, FIRMWARE_SLAVE_BASE, PIC_CASCADE);
    pic_elcr_write(&pc->pic, 1, BIT32(PC_IRQ_SCI - 8));
    lapic_firmware_handover(bootstrap);
    ioapic_mmio_write(&pc->ioapic, 0x00, 4, 0);
    ioapic_mmio_write(&pc->ioapic, 0x10, 4, bits_put(pc->vps, 24));
    pc_after_routing(pc);
}
