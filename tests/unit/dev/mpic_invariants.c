/*
 * What holds for an MPIC after each call, computed in the slowest way, from registers and inputs alone.
 */
#include "tests/unit/dev/mpic_rig.h"

static bool is_member(const struct mpic_set *set, unsigned number)
{
    return (set->words[number / 32] >> (number % 32) & 1) != 0;
}

static bool ought_to_request(const struct mpic *mpic, unsigned number, unsigned vp)
{
    const struct mpic_source *source = &mpic->sources[number];
    const uint32_t ivpr = source->vector_priority;
    const bool external = number < 12;
    const bool level = external ? (ivpr & 0x00400000) != 0 : number < 256;
    const bool driven = !external || (mpic->wires.driven >> number & 1) != 0;
    const bool active = external && (ivpr & 0x00800000) == 0 ? !source->line : source->line;
    const uint8_t who = level ? (driven && active ? source->destination : 0) : source->waiting;

    if (!level && source->target == 1)
        return false; /* nobody would acknowledge it */
    return (ivpr & 0x80000000) == 0 && (who >> vp & 1) != 0;
}

/* The priority that a request must be above: its own, or of what it has in service. */
static unsigned current_priority(const struct mpic_processor *processor)
{
    unsigned above = processor->task_priority;

    for (unsigned priority = 0; priority < 16; priority++) {
        if ((processor->in_service_mask >> priority & 1) != 0 && priority > above)
            above = priority;
    }
    return above;
}

static const char *broken_at(const struct mpic *mpic, unsigned vp)
{
    const struct mpic_processor *processor = &mpic->processors[vp];
    const unsigned above = current_priority(processor);
    bool ordinary = false;
    bool critical = false;

    for (unsigned i = 0; i < MPIC_INTERRUPTS; i++) {
        const struct mpic_source *source = &mpic->sources[i];
        const unsigned priority = source->vector_priority >> 16 & 15;
        const bool asks = ought_to_request(mpic, i, vp);

        if (is_member(&processor->requested[MPIC_INT], i) != (asks && source->target == 0 && priority != 0))
            return "requests are what is asserted and unmasked";
        if (is_member(&processor->requested[MPIC_CINT], i) != (asks && source->target == 1))
            return "critical requests are what is asserted, unmasked and routed so";
        ordinary = ordinary || (asks && source->target == 0 && priority > above);
        critical = critical || (asks && source->target == 1);
    }
    if (processor->output[MPIC_INT] != ordinary)
        return "the output is up if a request is above what the processor does";
    if (processor->output[MPIC_CINT] != critical)
        return "the critical output is up if there is a critical request";
    return NULL;
}

const char *mpic_broken_invariant(const struct mpic *mpic)
{
    const char *broken = NULL;

    for (unsigned vp = 0; vp < mpic->wires.vps && broken == NULL; vp++)
        broken = broken_at(mpic, vp);
    return broken;
}
