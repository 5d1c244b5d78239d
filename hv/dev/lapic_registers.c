/*
 * The local APIC's register file: one table of rules for both of its faces, memory and MSRs.
 */
#include "hv/dev/lapic_registers.h"
#include "hv/dev/lapic.h"

enum {
    MEMORY_READ = 1,
    MEMORY_WRITE = 2,
    MSR_READ = 4,
    MSR_WRITE = 8,
    READ = MEMORY_READ | MSR_READ,
    WRITE = MEMORY_WRITE | MSR_WRITE,
};

/* Who may do what, and the bits that are not reserved: others raise #GP by MSR, and are dropped by memory. */
struct rule {
    uint8_t access;
    uint32_t valid;
};

#define LVT_LOCAL_VALID (LVT_VECTOR | LVT_DELIVERY | LVT_STATUS | LVT_MASKED)
#define LVT_LINT_VALID  (LVT_LOCAL_VALID | LVT_ACTIVE_LOW | LVT_REMOTE_IRR | LVT_LEVEL)
#define LVT_READ_ONLY   (LVT_STATUS | LVT_REMOTE_IRR)

/* The low half of the ICR; bit 12, busy, is no more in x2APIC mode and writes of it are ignored. */
#define ICR_VALID                                                                                            \
    (LVT_VECTOR | LVT_DELIVERY | ICR_LOGICAL | ICR_STATUS | ICR_ASSERT | ICR_LEVEL | ICR_SHORTHAND)

#define SVR_VALID (LVT_VECTOR | LAPIC_SVR_ENABLE | SVR_FOCUS | SVR_NO_EOI_BROADCAST)

static const struct rule rules[LAPIC_REGISTERS] = {
    [LAPIC_ID] = { READ | MEMORY_WRITE, BITS32(31, 24) },
    [LAPIC_VERSION_REGISTER] = { READ, 0 },
    [LAPIC_TPR] = { READ | WRITE, BITS32(7, 0) },
    [LAPIC_PPR] = { READ, 0 },
    [LAPIC_EOI] = { WRITE | MEMORY_READ, 0 },
    [LAPIC_LDR] = { READ | MEMORY_WRITE, BITS32(31, 24) },
    [LAPIC_DFR] = { MEMORY_READ | MEMORY_WRITE, BITS32(31, 28) },
    [LAPIC_SVR] = { READ | WRITE, SVR_VALID },
    [LAPIC_ISR] = { READ, 0 },
    [LAPIC_ISR + 1] = { READ, 0 },
    [LAPIC_ISR + 2] = { READ, 0 },
    [LAPIC_ISR + 3] = { READ, 0 },
    [LAPIC_ISR + 4] = { READ, 0 },
    [LAPIC_ISR + 5] = { READ, 0 },
    [LAPIC_ISR + 6] = { READ, 0 },
    [LAPIC_ISR + 7] = { READ, 0 },
    [LAPIC_TMR] = { READ, 0 },
    [LAPIC_TMR + 1] = { READ, 0 },
    [LAPIC_TMR + 2] = { READ, 0 },
    [LAPIC_TMR + 3] = { READ, 0 },
    [LAPIC_TMR + 4] = { READ, 0 },
    [LAPIC_TMR + 5] = { READ, 0 },
    [LAPIC_TMR + 6] = { READ, 0 },
    [LAPIC_TMR + 7] = { READ, 0 },
    [LAPIC_IRR] = { READ, 0 },
    [LAPIC_IRR + 1] = { READ, 0 },
    [LAPIC_IRR + 2] = { READ, 0 },
    [LAPIC_IRR + 3] = { READ, 0 },
    [LAPIC_IRR + 4] = { READ, 0 },
    [LAPIC_IRR + 5] = { READ, 0 },
    [LAPIC_IRR + 6] = { READ, 0 },
    [LAPIC_IRR + 7] = { READ, 0 },
    [LAPIC_ESR] = { READ | WRITE, 0 },
    [LAPIC_ICR] = { READ | WRITE, ICR_VALID },
    [LAPIC_ICR_HIGH] = { MEMORY_READ | MEMORY_WRITE, BITS32(31, 24) },
    [LAPIC_LVT_TIMER_REGISTER +
        LAPIC_LVT_TIMER] = { READ | WRITE, LVT_VECTOR | LVT_STATUS | LVT_MASKED | LVT_TIMER_MODE },
    [LAPIC_LVT_TIMER_REGISTER + LAPIC_LVT_THERMAL] = { READ | WRITE, LVT_LOCAL_VALID },
    [LAPIC_LVT_TIMER_REGISTER + LAPIC_LVT_PERFORMANCE] = { READ | WRITE, LVT_LOCAL_VALID },
    [LAPIC_LVT_TIMER_REGISTER + LAPIC_LVT_LINT0] = { READ | WRITE, LVT_LINT_VALID },
    [LAPIC_LVT_TIMER_REGISTER + LAPIC_LVT_LINT1] = { READ | WRITE, LVT_LINT_VALID },
    [LAPIC_LVT_TIMER_REGISTER + LAPIC_LVT_ERROR] = { READ | WRITE, LVT_VECTOR | LVT_STATUS | LVT_MASKED },
    [LAPIC_INITIAL_COUNT] = { READ | WRITE, UINT32_MAX },
    [LAPIC_CURRENT_COUNT] = { READ, 0 },
    [LAPIC_DIVIDE] = { READ | WRITE, BIT32(3) | BITS32(1, 0) },
    [LAPIC_SELF_IPI] = { MSR_WRITE, BITS32(7, 0) },
};

/* --- reading --- */

static uint32_t read_vectors(const struct lapic_vectors *set, unsigned index)
{
    return (uint32_t)(set->words[index / 2] >> (32 * (index % 2)));
}

/* The arrays of eight registers, by number. */
static uint32_t read_array(const struct lapic *lapic, unsigned number)
{
    if (number >= LAPIC_IRR)
        return read_vectors(&lapic->irr, number - LAPIC_IRR);
    if (number >= LAPIC_TMR)
        return read_vectors(&lapic->tmr, number - LAPIC_TMR);
    return read_vectors(&lapic->isr, number - LAPIC_ISR);
}

static uint32_t read_register(struct lapic *lapic, unsigned number)
{
    if (number >= LAPIC_ISR && number < LAPIC_ESR)
        return read_array(lapic, number);
    if (number >= LAPIC_LVT_TIMER_REGISTER && number <= LAPIC_LVT_ERROR_REGISTER)
        return lapic->lvt[number - LAPIC_LVT_TIMER_REGISTER];
    switch (number) {
    case LAPIC_ID: return lapic->x2apic_mode ? lapic->id : bits_put(lapic->id, 24);
    case LAPIC_VERSION_REGISTER: return LAPIC_VERSION;
    case LAPIC_TPR: return lapic->tpr;
    case LAPIC_PPR: return lapic_ppr(lapic);
    case LAPIC_LDR: return lapic->ldr;
    case LAPIC_DFR: return lapic->dfr;
    case LAPIC_SVR: return lapic->svr;
    case LAPIC_ESR: return lapic->esr;
    case LAPIC_ICR: return (uint32_t)lapic->icr;
    case LAPIC_ICR_HIGH: return (uint32_t)(lapic->icr >> 32);
    case LAPIC_INITIAL_COUNT: return lapic->timer.initial_count;
    case LAPIC_CURRENT_COUNT: return lapic_timer_current(lapic);
    case LAPIC_DIVIDE: return lapic->timer.divide_configuration;
    default: return 0;
    }
}

/* --- the interrupt command register --- */

/*
 * Whether @delivery may be sent with @shorthand. Spec: "Valid Combinations for the Pentium 4 ... Processors".
 */
static bool is_valid_ipi(enum apic_delivery delivery, enum apic_shorthand shorthand)
{
    static const uint8_t deliveries[] = {
        [APIC_TO_DESTINATION] = BIT32(APIC_FIXED) | BIT32(APIC_LOWEST_PRIORITY) | BIT32(APIC_SMI) |
                                BIT32(APIC_NMI) | BIT32(APIC_INIT) | BIT32(APIC_STARTUP),
        [APIC_TO_SELF] = BIT32(APIC_FIXED),
        [APIC_TO_ALL] = BIT32(APIC_FIXED),
        [APIC_TO_OTHERS] = BIT32(APIC_FIXED) | BIT32(APIC_LOWEST_PRIORITY) | BIT32(APIC_SMI) |
                           BIT32(APIC_NMI) | BIT32(APIC_INIT) | BIT32(APIC_STARTUP),
    };

    return bit_is_set(deliveries[shorthand], delivery);
}

static void send_ipi(struct lapic *lapic)
{
    const uint32_t low = (uint32_t)lapic->icr;
    const uint32_t high = (uint32_t)(lapic->icr >> 32);
    const struct apic_message message = {
        .destination = lapic->x2apic_mode ? high : bits_get(high, 31, 24),
        .vector = (uint8_t)low,
        .delivery = (enum apic_delivery)bits_get(low, 10, 8),
        .shorthand = (enum apic_shorthand)bits_get(low, 19, 18),
        .logical = (low & ICR_LOGICAL) != 0,
        .wide = lapic->x2apic_mode,
    };
    const bool has_vector = message.delivery == APIC_FIXED || message.delivery == APIC_LOWEST_PRIORITY;

    if (!is_valid_ipi(message.delivery, message.shorthand))
        return;
    if (message.delivery == APIC_INIT && (low & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL)
        return; /* INIT level de-assert: processors since the Pentium 4 ignore it */
    if (has_vector && message.vector < LAPIC_FIRST_VECTOR) {
        lapic_error(lapic, ESR_SEND_ILLEGAL_VECTOR);
        return;
    }
    lapic->counters.ipis_sent++;
    lapic->config.wires->send(lapic->config.wires->bus_context, lapic->config.vp, &message);
}

uint64_t lapic_icr_read(const struct lapic *lapic)
{
    return lapic->icr;
}

void lapic_icr_write(struct lapic *lapic, uint64_t value)
{
    const uint64_t high = lapic->x2apic_mode ? BITS64(63, 32) : BITS64(63, 56);

    lapic->icr = value & (high | (ICR_VALID & ~ICR_STATUS));
    send_ipi(lapic);
}

static void self_ipi(struct lapic *lapic, uint8_t vector)
{
    if (vector < LAPIC_FIRST_VECTOR) {
        lapic_error(lapic, ESR_SEND_ILLEGAL_VECTOR);
        return;
    }
    lapic->counters.ipis_sent++;
    if (lapic_is_software_enabled(lapic))
        (void)lapic_request(lapic, vector, false);
}

/* --- writing --- */

static void write_lvt(struct lapic *lapic, enum lapic_lvt lvt, uint32_t value)
{
    const uint32_t kept = lapic->lvt[lvt] & LVT_READ_ONLY;
    const uint32_t forced = lapic_is_software_enabled(lapic) ? 0 : LVT_MASKED;
    const uint32_t entry = (value & ~LVT_READ_ONLY) | kept | forced;

    if (lvt == LAPIC_LVT_TIMER) {
        lapic_timer_lvt_write(lapic, entry);
        return;
    }
    lapic->lvt[lvt] = entry;
    lapic_lvt_changed(lapic, lvt);
}

static void write_svr(struct lapic *lapic, uint32_t value)
{
    const bool was_enabled = lapic_is_software_enabled(lapic);

    lapic->svr = value;
    if (was_enabled == lapic_is_software_enabled(lapic))
        return;
    if (was_enabled) {
        for (unsigned i = 0; i < LAPIC_LVTS; i++)
            write_lvt(lapic, (enum lapic_lvt)i, lapic->lvt[i]);
    }
    lapic->config.wires->reachability(lapic->config.wires->bus_context);
}

/* The first write after errors shows them, and lets the next one interrupt. */
static void write_esr(struct lapic *lapic)
{
    lapic->esr = lapic->esr_pending;
    lapic->esr_pending = 0;
}

static void write_register(struct lapic *lapic, unsigned number, uint32_t value)
{
    const struct lapic_wires *wires = lapic->config.wires;

    if (number >= LAPIC_LVT_TIMER_REGISTER && number <= LAPIC_LVT_ERROR_REGISTER) {
        write_lvt(lapic, (enum lapic_lvt)(number - LAPIC_LVT_TIMER_REGISTER), value);
        return;
    }
    switch (number) {
    case LAPIC_TPR: lapic_tpr_write(lapic, value); break;
    case LAPIC_EOI: lapic_eoi(lapic); break;
    case LAPIC_ID:
        lapic->id = bits_get(value, 31, 24);
        wires->reachability(wires->bus_context);
        break;
    case LAPIC_LDR:
        lapic->ldr = value;
        wires->reachability(wires->bus_context);
        break;
    case LAPIC_DFR:
        lapic->dfr = value | BITS32(27, 0);
        wires->reachability(wires->bus_context);
        break;
    case LAPIC_SVR: write_svr(lapic, value); break;
    case LAPIC_ESR: write_esr(lapic); break;
    case LAPIC_ICR: lapic_icr_write(lapic, (lapic->icr & BITS64(63, 32)) | value); break;
    case LAPIC_ICR_HIGH: lapic->icr = ((uint64_t)value << 32) | (uint32_t)lapic->icr; break;
    case LAPIC_INITIAL_COUNT: lapic_timer_initial_write(lapic, value); break;
    case LAPIC_DIVIDE: lapic_timer_divide_write(lapic, value); break;
    case LAPIC_SELF_IPI: self_ipi(lapic, (uint8_t)value); break;
    default: break;
    }
}

/* The bits of a register that are not reserved in this processor. */
static uint64_t valid_bits(const struct lapic *lapic, unsigned number)
{
    if (number == LAPIC_LVT_TIMER_REGISTER && !lapic->config.tsc_deadline)
        return rules[number].valid & ~LVT_TIMER_DEADLINE;
    return rules[number].valid;
}

/* --- by memory --- */

/* Whether the register exists for @access; if not, that is an error of its own. */
static bool memory_allows(struct lapic *lapic, unsigned number, unsigned access)
{
    if (number >= LAPIC_REGISTERS || (rules[number].access & (MEMORY_READ | MEMORY_WRITE)) == 0) {
        lapic_error(lapic, ESR_ILLEGAL_REGISTER);
        return false;
    }
    return (rules[number].access & access) != 0;
}

uint64_t lapic_mmio_read(struct lapic *lapic, uint32_t offset, unsigned width_bytes)
{
    const unsigned number = offset / 16;

    lapic->counters.registers.reads++;
    if (!memory_allows(lapic, number, MEMORY_READ) || offset % 16 >= 4)
        return 0;
    return read_register(lapic, number) >> (8 * (offset % 4)) & all_ones(width_bytes);
}

void lapic_mmio_write(struct lapic *lapic, uint32_t offset, unsigned width_bytes, uint64_t value)
{
    const unsigned number = offset / 16;

    lapic->counters.registers.writes++;
    if (width_bytes != 4 || offset % 16 != 0 || !memory_allows(lapic, number, MEMORY_WRITE))
        return;
    write_register(lapic, number, (uint32_t)(value & valid_bits(lapic, number)));
}

/* --- by MSR --- */

static bool x2apic_read(struct lapic *lapic, unsigned number, uint64_t *value)
{
    if (!lapic->x2apic_mode || number >= LAPIC_REGISTERS || (rules[number].access & MSR_READ) == 0)
        return false;
    lapic->counters.registers.reads++;
    *value = number == LAPIC_ICR ? lapic->icr : read_register(lapic, number);
    return true;
}

static bool x2apic_write(struct lapic *lapic, unsigned number, uint64_t value)
{
    uint64_t valid;

    if (!lapic->x2apic_mode || number >= LAPIC_REGISTERS || (rules[number].access & MSR_WRITE) == 0)
        return false;
    valid = valid_bits(lapic, number) | (number == LAPIC_ICR ? BITS64(63, 32) : 0);
    if (number == LAPIC_LVT_TIMER_REGISTER && lapic_timer_mode_of((uint32_t)value) == LAPIC_TIMER_RESERVED) {
        return false;
    }
    if ((value & ~valid) != 0)
        return false;
    lapic->counters.registers.writes++;
    if (number == LAPIC_ICR) {
        lapic_icr_write(lapic, value);
    } else {
        write_register(lapic, number, (uint32_t)value);
    }
    return true;
}

enum apic_mode {
    MODE_DISABLED = 0,
    MODE_INVALID = 1, /* EXTD without EN */
    MODE_XAPIC = 2,
    MODE_X2APIC = 3,
};

static enum apic_mode mode_of(uint64_t base)
{
    return (enum apic_mode)bits_get(base, 11, 10);
}

/* Which modes may follow each mode, a bit for each. Spec: "x2APIC State Transitions". */
static const uint8_t next_modes[] = {
    [MODE_DISABLED] = BIT32(MODE_DISABLED) | BIT32(MODE_XAPIC),
    [MODE_INVALID] = 0,
    [MODE_XAPIC] = BIT32(MODE_DISABLED) | BIT32(MODE_XAPIC) | BIT32(MODE_X2APIC),
    [MODE_X2APIC] = BIT32(MODE_DISABLED) | BIT32(MODE_X2APIC),
};

static bool write_base(struct lapic *lapic, uint64_t value)
{
    const enum apic_mode from = mode_of(lapic->base);
    const enum apic_mode to = mode_of(value);
    const uint64_t address = BITS64(lapic->config.physical_address_bits - 1, 12);
    const uint64_t offered = lapic->config.x2apic ? APIC_BASE_X2APIC : 0;

    if ((value & ~(address | APIC_BASE_BSP | APIC_BASE_ENABLE | offered)) != 0)
        return false;
    if (!bit_is_set(next_modes[from], to))
        return false;
    lapic->base = value;
    lapic_base_changed(lapic);
    if (from == to)
        return true;
    if (to == MODE_DISABLED || from == MODE_DISABLED) {
        lapic->id = lapic->config.vp;
        lapic_init_reset(lapic);
    }
    if (to == MODE_X2APIC) {
        lapic->id = lapic->config.vp;
        lapic->ldr = bits_put(lapic->id >> 4, 16) | BIT32(lapic->id & 0xF);
        lapic->icr = (uint32_t)lapic->icr;
    }
    lapic->config.wires->reachability(lapic->config.wires->bus_context);
    return true;
}

bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *value)
{
    if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST)
        return x2apic_read(lapic, msr - MSR_X2APIC_FIRST, value);
    if (msr == MSR_IA32_TSC_DEADLINE && lapic->config.tsc_deadline) {
        *value = lapic_timer_deadline_read(lapic);
        return true;
    }
    if (msr == MSR_IA32_APIC_BASE) {
        *value = lapic->base;
        return true;
    }
    return false;
}

bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value)
{
    /* By far the most frequent write goes past the table. */
    if (msr == MSR_X2APIC_FIRST + LAPIC_EOI && value == 0 && lapic->x2apic_mode) {
        lapic->counters.registers.writes++;
        lapic_eoi(lapic);
        return true;
    }
    if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST)
        return x2apic_write(lapic, msr - MSR_X2APIC_FIRST, value);
    if (msr == MSR_IA32_TSC_DEADLINE && lapic->config.tsc_deadline) {
        lapic_deadline_write(lapic, value);
        return true;
    }
    return msr == MSR_IA32_APIC_BASE && write_base(lapic, value);
}

void lapic_firmware_handover(struct lapic *lapic)
{
    write_svr(lapic, LAPIC_SVR_ENABLE | LVT_VECTOR);
    write_lvt(lapic, LAPIC_LVT_LINT0, bits_put(APIC_EXTINT, 8));
    write_lvt(lapic, LAPIC_LVT_LINT1, bits_put(APIC_NMI, 8));
}
