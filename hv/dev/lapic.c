/*
 * The local APIC's core: requests, priorities, acceptance, EOI, local interrupts, reset.
 *
 * Invariant: lapic->ready is what acceptable() gives, at every return to the caller.
 */
#include "hv/dev/lapic.h"
#include "hv/dev/lapic_registers.h"

#define NO_VECTOR (-1)

/* The position of the highest bit of @word, which is not zero. */
static int top_bit(uint64_t word)
{
    return 63 - __builtin_clzll(word);
}

/* The highest vector of @set, or NO_VECTOR. Written out: this is on the path of every interrupt and EOI. */
static int vectors_highest(const struct lapic_vectors *set)
{
    if (set->words[3] != 0)
        return 192 + top_bit(set->words[3]);
    if (set->words[2] != 0)
        return 128 + top_bit(set->words[2]);
    if (set->words[1] != 0)
        return 64 + top_bit(set->words[1]);
    return set->words[0] != 0 ? top_bit(set->words[0]) : NO_VECTOR;
}

static bool vectors_are_empty(const struct lapic_vectors *set)
{
    return (set->words[0] | set->words[1] | set->words[2] | set->words[3]) == 0;
}

static bool vectors_has(const struct lapic_vectors *set, uint8_t vector)
{
    return bit_is_set(set->words[vector / 64], vector % 64);
}

static void vectors_add(struct lapic_vectors *set, uint8_t vector)
{
    set->words[vector / 64] |= BIT64(vector % 64);
}

static void vectors_remove(struct lapic_vectors *set, uint8_t vector)
{
    set->words[vector / 64] &= ~BIT64(vector % 64);
}

/* --- priorities --- */

uint32_t lapic_ppr(const struct lapic *lapic)
{
    const int in_service = vectors_highest(&lapic->isr);
    const uint32_t isr_class = in_service == NO_VECTOR ? 0 : (uint32_t)in_service & 0xF0;

    return (lapic->tpr & 0xF0) >= isr_class ? lapic->tpr : isr_class;
}

/*
 * Whether the 8259 pair's request reaches the processor: by the pin itself, by LINT0 as
 * ExtINT, or by a message.
 */
static bool takes_extint(const struct lapic *lapic)
{
    const uint32_t lint0 = lapic->lvt[LAPIC_LVT_LINT0];

    if (!lapic->enabled)
        return lapic->lint0_high;
    if (lapic->extint_latched)
        return true;
    return lapic->lint0_high != ((lint0 & LVT_ACTIVE_LOW) != 0) && (lint0 & LVT_MASKED) == 0 &&
           bits_get(lint0, 10, 8) == APIC_EXTINT;
}

/* ExtINT comes first: no priority of the local APIC holds it back. */
static int acceptable(const struct lapic *lapic)
{
    int requested;

    if (takes_extint(lapic))
        return LAPIC_READY_EXTINT;
    if (vectors_are_empty(&lapic->irr))
        return LAPIC_READY_NONE;
    requested = vectors_highest(&lapic->irr);
    return ((uint32_t)requested & 0xF0) > (lapic_ppr(lapic) & 0xF0) ? requested : LAPIC_READY_NONE;
}

void lapic_evaluate(struct lapic *lapic)
{
    const int before = lapic->ready;

    lapic->ready = acceptable(lapic);
    if (before == LAPIC_READY_NONE && lapic->ready != LAPIC_READY_NONE)
        lapic->config.wires->request(lapic->config.wires->vp_context, lapic->config.vp);
}

void lapic_tpr_write(struct lapic *lapic, uint32_t tpr)
{
    lapic->tpr = tpr & 0xFF;
    lapic_evaluate(lapic);
}

unsigned lapic_tpr_threshold(const struct lapic *lapic)
{
    const int requested = vectors_highest(&lapic->irr);
    const int in_service = vectors_highest(&lapic->isr);
    const unsigned class = requested == NO_VECTOR ? 0 : (unsigned)requested >> 4;

    if (in_service != NO_VECTOR && class <= (unsigned)in_service >> 4)
        return 0;
    return class <= lapic->tpr >> 4 ? class : 0;
}

/* --- requests --- */

void lapic_error(struct lapic *lapic, uint32_t errors)
{
    const bool first = lapic->esr_pending == 0;

    /*
     * Set before the delivery: an illegal vector in the error entry itself must not come back here for ever.
     */
    lapic->esr_pending |= errors;
    if (first)
        lapic_deliver_local(lapic, LAPIC_LVT_ERROR);
}

bool lapic_request(struct lapic *lapic, uint8_t vector, bool level)
{
    if (vector < LAPIC_FIRST_VECTOR) {
        lapic_error(lapic, ESR_RECEIVE_ILLEGAL_VECTOR);
        return false;
    }
    lapic->counters.received++;
    lapic->counters.merged += vectors_has(&lapic->irr, vector);
    vectors_add(&lapic->irr, vector);
    if (level) {
        vectors_add(&lapic->tmr, vector);
    } else {
        vectors_remove(&lapic->tmr, vector);
    }
    lapic_evaluate(lapic);
    return true;
}

static void deliver_nmi(struct lapic *lapic)
{
    lapic->counters.nmis++;
    lapic->config.wires->nmi(lapic->config.wires->vp_context, lapic->config.vp);
}

static void deliver_init(struct lapic *lapic)
{
    lapic_init_reset(lapic);
    lapic->config.wires->init(lapic->config.wires->vp_context, lapic->config.vp);
}

static void deliver_extint(struct lapic *lapic)
{
    lapic->extint_latched = true;
    lapic_evaluate(lapic);
}

bool lapic_receive(struct lapic *lapic, const struct apic_message *message)
{
    const struct lapic_wires *wires = lapic->config.wires;

    if (!lapic->enabled)
        return false;
    switch (message->delivery) {
    case APIC_FIXED:
    case APIC_LOWEST_PRIORITY:
        return lapic_is_software_enabled(lapic) && lapic_request(lapic, message->vector, message->level);
    case APIC_EXTINT:
        if (!lapic_is_software_enabled(lapic))
            return false;
        deliver_extint(lapic);
        return true;
    case APIC_NMI: deliver_nmi(lapic); return true;
    case APIC_INIT: deliver_init(lapic); return true;
    case APIC_STARTUP: wires->sipi(wires->vp_context, lapic->config.vp, message->vector); return true;
    case APIC_SMI: /* the board has no system-management mode */
    case APIC_DELIVERY_RESERVED: return true;
    }
    return false;
}

/* Whether an 8-bit or wide logical @destination names this APIC in xAPIC mode. */
static bool is_addressed_logically(const struct lapic *lapic, uint32_t destination)
{
    const uint32_t own = bits_get(lapic->ldr, 31, 24);

    if (destination > 0xFF)
        return false;
    switch (bits_get(lapic->dfr, 31, 28)) {
    case 0xF: return (own & destination) != 0;
    case 0x0: return (own ^ destination) < 0x10 && (own & destination & 0xF) != 0;
    default: return false;
    }
}

bool lapic_is_addressed(const struct lapic *lapic, const struct apic_message *message)
{
    const uint32_t destination = message->destination;

    if (apic_message_is_broadcast(message))
        return true;
    if (!message->logical)
        return lapic->id == destination;
    if (!lapic->x2apic_mode)
        return is_addressed_logically(lapic, destination);
    return bits_get(lapic->ldr, 31, 16) == bits_get(destination, 31, 16) &&
           (lapic->ldr & destination & 0xFFFF) != 0;
}

/* --- the local vector table --- */

void lapic_deliver_local(struct lapic *lapic, enum lapic_lvt lvt)
{
    const uint32_t entry = lapic->lvt[lvt];
    const bool has_delivery = lvt != LAPIC_LVT_TIMER && lvt != LAPIC_LVT_ERROR;

    if ((entry & LVT_MASKED) != 0)
        return;
    switch (has_delivery ? (enum apic_delivery)bits_get(entry, 10, 8) : APIC_FIXED) {
    case APIC_FIXED: (void)lapic_request(lapic, (uint8_t)entry, false); break;
    case APIC_NMI: deliver_nmi(lapic); break;
    case APIC_INIT: deliver_init(lapic); break;
    case APIC_EXTINT:
        if (lvt == LAPIC_LVT_LINT1)
            deliver_extint(lapic);
        break;
    case APIC_SMI:
    case APIC_LOWEST_PRIORITY:
    case APIC_DELIVERY_RESERVED:
    case APIC_STARTUP: break;
    }
}

/* LINT0 as a level-triggered fixed interrupt: the one local source with a remote IRR. */
static bool lint0_is_level(const struct lapic *lapic)
{
    const uint32_t entry = lapic->lvt[LAPIC_LVT_LINT0];

    return (entry & LVT_LEVEL) != 0 && bits_get(entry, 10, 8) == APIC_FIXED;
}

static bool lint0_is_asserted(const struct lapic *lapic)
{
    return lapic->lint0_high != ((lapic->lvt[LAPIC_LVT_LINT0] & LVT_ACTIVE_LOW) != 0);
}

static void lint0_evaluate_level(struct lapic *lapic)
{
    uint32_t *entry = &lapic->lvt[LAPIC_LVT_LINT0];

    if (!lint0_is_level(lapic)) {
        *entry &= ~LVT_REMOTE_IRR;
        return;
    }
    if (!lint0_is_asserted(lapic) || (*entry & (LVT_REMOTE_IRR | LVT_MASKED)) != 0)
        return;
    if (lapic_request(lapic, (uint8_t)*entry, true))
        *entry |= LVT_REMOTE_IRR;
}

void lapic_lint0(struct lapic *lapic, bool high)
{
    const bool changed = lapic->lint0_high != high;

    lapic->lint0_high = high;
    if (!changed)
        return;
    if (lapic->enabled) {
        if (lint0_is_level(lapic)) {
            lint0_evaluate_level(lapic);
        } else if (lint0_is_asserted(lapic)) {
            lapic_deliver_local(lapic, LAPIC_LVT_LINT0);
        }
    }
    lapic_evaluate(lapic);
}

void lapic_lint1(struct lapic *lapic, bool high)
{
    const bool active_low = lapic->enabled && (lapic->lvt[LAPIC_LVT_LINT1] & LVT_ACTIVE_LOW) != 0;

    if (lapic->lint1_high == high)
        return;
    lapic->lint1_high = high;
    if (high == active_low)
        return;
    if (lapic->enabled) {
        lapic_deliver_local(lapic, LAPIC_LVT_LINT1);
    } else {
        deliver_nmi(lapic);
    }
}

void lapic_local_event(struct lapic *lapic, enum lapic_lvt lvt)
{
    if (lapic->enabled)
        lapic_deliver_local(lapic, lvt);
}

void lapic_lvt_changed(struct lapic *lapic, enum lapic_lvt lvt)
{
    if (lvt != LAPIC_LVT_LINT0)
        return;
    lint0_evaluate_level(lapic);
    lapic_evaluate(lapic);
}

/* --- acceptance and its end --- */

uint8_t lapic_accept(struct lapic *lapic)
{
    const uint8_t vector = (uint8_t)lapic->ready;

    vectors_remove(&lapic->irr, vector);
    vectors_add(&lapic->isr, vector);
    lapic->counters.accepted++;
    lapic_evaluate(lapic);
    return vector;
}

void lapic_accept_extint(struct lapic *lapic)
{
    lapic->extint_latched = false;
    lapic->counters.extints++;
    lapic_evaluate(lapic);
}

/* A level-triggered interrupt has ended: its sources may want it again. */
static void end_level(struct lapic *lapic, uint8_t vector)
{
    uint32_t *lint0 = &lapic->lvt[LAPIC_LVT_LINT0];

    if ((*lint0 & LVT_REMOTE_IRR) != 0 && (uint8_t)*lint0 == vector) {
        *lint0 &= ~LVT_REMOTE_IRR;
        lint0_evaluate_level(lapic);
    }
    if ((lapic->svr & SVR_NO_EOI_BROADCAST) == 0)
        lapic->config.wires->broadcast_eoi(lapic->config.wires->bus_context, vector);
}

void lapic_eoi(struct lapic *lapic)
{
    const int vector = vectors_highest(&lapic->isr);

    if (vector == NO_VECTOR)
        return;
    lapic->counters.ended++;
    vectors_remove(&lapic->isr, (uint8_t)vector);
    if (__builtin_expect(vectors_has(&lapic->tmr, (uint8_t)vector), 0))
        end_level(lapic, (uint8_t)vector);
    /* With nothing requested @ready stays what it is: none, or the 8259 pair's. */
    if (!vectors_are_empty(&lapic->irr))
        lapic_evaluate(lapic);
}

bool lapic_eoi_is_trivial(const struct lapic *lapic)
{
    struct lapic_vectors others = lapic->isr;
    const int vector = vectors_highest(&lapic->isr);

    if (vector == NO_VECTOR || !vectors_are_empty(&lapic->irr) || vectors_has(&lapic->tmr, (uint8_t)vector))
        return false;
    vectors_remove(&others, (uint8_t)vector);
    return vectors_are_empty(&others);
}

bool lapic_assist_begin(struct lapic *lapic)
{
    lapic->assist_active = lapic_eoi_is_trivial(lapic);
    return lapic->assist_active;
}

void lapic_assist_end(struct lapic *lapic, bool guest_cleared)
{
    if (!lapic->assist_active)
        return;
    lapic->assist_active = false;
    if (!guest_cleared)
        return;
    lapic->counters.lazy_eois++;
    lapic_eoi(lapic);
}

/* --- reset --- */

void lapic_base_changed(struct lapic *lapic)
{
    lapic->enabled = (lapic->base & APIC_BASE_ENABLE) != 0;
    lapic->x2apic_mode = lapic->enabled && (lapic->base & APIC_BASE_X2APIC) != 0;
    lapic->page =
        lapic->enabled && !lapic->x2apic_mode ? lapic->base & ~(LAPIC_PAGE_BYTES - 1) : LAPIC_NO_PAGE;
}

void lapic_init_reset(struct lapic *lapic)
{
    const struct lapic_vectors none = { { 0 } };

    lapic->irr = none;
    lapic->isr = none;
    lapic->tmr = none;
    lapic->extint_latched = false;
    lapic->assist_active = false;
    lapic->tpr = 0;
    lapic->svr = LVT_VECTOR;
    lapic->dfr = UINT32_MAX;
    lapic->ldr = 0;
    if (lapic->x2apic_mode)
        lapic->ldr = bits_put(lapic->id >> 4, 16) | BIT32(lapic->id & 0xF);
    lapic->esr = 0;
    lapic->esr_pending = 0;
    lapic->icr = 0;
    for (unsigned i = 0; i < LAPIC_LVTS; i++)
        lapic->lvt[i] = LVT_MASKED;
    lapic_timer_stop(lapic);
    lapic->timer.initial_count = 0;
    lapic->timer.divide_configuration = 0;
    lapic_evaluate(lapic);
}

void lapic_reset(struct lapic *lapic)
{
    lapic->base = LAPIC_DEFAULT_BASE | APIC_BASE_ENABLE | (lapic->config.bootstrap ? APIC_BASE_BSP : 0);
    lapic->id = lapic->config.vp;
    lapic_base_changed(lapic);
    lapic_init_reset(lapic);
}

void lapic_init(struct lapic *lapic, const struct lapic_config *config)
{
    *lapic = (struct lapic){ .config = *config, .ready = LAPIC_READY_NONE };
    lapic_reset(lapic);
}
