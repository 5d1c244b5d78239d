/*
 * The MPIC: what interrupts whom.
 *
 * Invariant, at every return: a processor's requests are exactly the sources that are unmasked, of a priority other than 0, and
 * asserted (level) or latched with that processor still waiting (edge, message, timer); its ordinary output is up exactly if the
 * highest request is above its task priority and above all that it has in service, the critical one if any is requested.
 */
#include "hv/dev/mpic_internal.h"

#define TARGET_INT             0x00 /* xILR[INTTGT] */
#define TARGET_CINT            0x01

#define TASK_PRIORITY_AT_RESET 15
#define SPURIOUS_AT_RESET      UINT32_C(0xFFFF)
#define NONE                   MPIC_INTERRUPTS

/* --- sets --- */

static void set_put(struct mpic_set *set, unsigned number, bool member)
{
    const uint32_t bit = BIT32(number % 32);

    if (member) {
        set->words[number / 32] |= bit;
    } else {
        set->words[number / 32] &= ~bit;
    }
}

static bool set_has(const struct mpic_set *set, unsigned number)
{
    return bit_is_set(set->words[number / 32], number % 32);
}

static bool set_is_empty(const struct mpic_set *set)
{
    uint32_t any = 0;

    for (unsigned i = 0; i < MPIC_SET_WORDS; i++)
        any |= set->words[i];
    return any == 0;
}

/* --- who is interrupted --- */

/* Of the requests with the highest priority, the lowest number; NONE if there is no request. */
static unsigned highest_request(const struct mpic *mpic, const struct mpic_processor *processor)
{
    const struct mpic_set *set = &processor->requested[MPIC_INT];
    unsigned best = NONE;

    for (unsigned i = 0; i < MPIC_SET_WORDS; i++) {
        for (uint32_t rest = set->words[i]; rest != 0; rest &= rest - 1) {
            const unsigned number = 32 * i + (unsigned)__builtin_ctz(rest);

            if (best == NONE || mpic_priority(&mpic->sources[number]) > mpic_priority(&mpic->sources[best]))
                best = number;
        }
    }
    return best;
}

/* The priority that a request must be above. */
static unsigned current_priority(const struct mpic_processor *processor)
{
    const uint32_t mask = processor->in_service_mask | BIT32(processor->task_priority);

    return 31 - (unsigned)__builtin_clz(mask);
}

/* The request that the processor would be given now, or NONE. */
static unsigned deliverable(const struct mpic *mpic, const struct mpic_processor *processor)
{
    const unsigned number = highest_request(mpic, processor);

    if (number == NONE || mpic_priority(&mpic->sources[number]) <= current_priority(processor))
        return NONE;
    return number;
}

static void drive(struct mpic *mpic, unsigned vp, enum mpic_output output, bool high)
{
    struct mpic_processor *processor = &mpic->processors[vp];

    if (processor->output[output] != high) {
        processor->output[output] = high;
        mpic->wires.output(mpic->wires.context, vp, output, high);
    }
}

static void drive_outputs(struct mpic *mpic, unsigned vp)
{
    const struct mpic_processor *processor = &mpic->processors[vp];

    drive(mpic, vp, MPIC_INT, deliverable(mpic, processor) != NONE);
    drive(mpic, vp, MPIC_CINT, !set_is_empty(&processor->requested[MPIC_CINT]));
}

/* --- sources --- */

static bool is_level(const struct mpic_source *source, unsigned number)
{
    if (mpic_is_external(number))
        return (source->vector_priority & IVPR_SENSE) != 0;
    return number < MPIC_SOURCES;
}

/* A pin that nothing drives is at neither level: drivers set up all of them, of any polarity. */
static bool is_asserted(const struct mpic *mpic, unsigned number)
{
    const struct mpic_source *source = &mpic->sources[number];

    if (!mpic_is_external(number))
        return source->line;
    return bit_is_set(mpic->wires.driven, number) &&
           source->line == ((source->vector_priority & IVPR_POLARITY) != 0);
}

/* The processors that source @number asks for now, by @output. */
static uint8_t wanted(const struct mpic *mpic, unsigned number, enum mpic_output output)
{
    const struct mpic_source *source = &mpic->sources[number];
    const uint8_t target = output == MPIC_INT ? TARGET_INT : TARGET_CINT;

    if ((source->vector_priority & IVPR_MASKED) != 0 || source->target != target)
        return 0;
    if (output == MPIC_INT && mpic_priority(source) == 0)
        return 0;
    if (is_level(source, number))
        return is_asserted(mpic, number) ? source->destination : 0;
    return source->waiting;
}

void mpic_update(struct mpic *mpic, unsigned number)
{
    const uint8_t ordinary = wanted(mpic, number, MPIC_INT);
    const uint8_t critical = wanted(mpic, number, MPIC_CINT);

    for (unsigned vp = 0; vp < mpic->wires.vps; vp++) {
        struct mpic_processor *processor = &mpic->processors[vp];

        set_put(&processor->requested[MPIC_INT], number, bit_is_set(ordinary, vp));
        set_put(&processor->requested[MPIC_CINT], number, bit_is_set(critical, vp));
        drive_outputs(mpic, vp);
    }
}

/*
 * Critical interrupts are not acknowledged, so an edge that is routed so would stay for ever: it passes without
 * effect, as a pulse on a level-sensitive input does; and one that is kept goes when its source is routed so.
 */
void mpic_route(struct mpic *mpic, unsigned number, uint8_t target)
{
    struct mpic_source *source = &mpic->sources[number];

    source->target = target;
    if (target == TARGET_CINT) {
        source->latched = false;
        source->waiting = 0;
    }
    mpic_update(mpic, number);
}

void mpic_latch(struct mpic *mpic, unsigned number, uint8_t waiting)
{
    struct mpic_source *source = &mpic->sources[number];

    if (source->target == TARGET_CINT)
        return;
    source->latched = true;
    source->waiting |= waiting;
    mpic_update(mpic, number);
}

void mpic_set_input(struct mpic *mpic, unsigned number, bool high)
{
    struct mpic_source *source = &mpic->sources[number];

    if (source->line == high)
        return;
    source->line = high;
    if (is_level(source, number)) {
        mpic_update(mpic, number);
    } else if (is_asserted(mpic, number)) {
        mpic_latch(mpic, number, source->destination);
    }
}

bool mpic_is_active(const struct mpic *mpic, unsigned number)
{
    for (unsigned vp = 0; vp < mpic->wires.vps; vp++) {
        const struct mpic_processor *processor = &mpic->processors[vp];

        if (set_has(&processor->requested[MPIC_INT], number) ||
            set_has(&processor->requested[MPIC_CINT], number))
            return true;
        for (uint32_t rest = processor->in_service_mask; rest != 0; rest &= rest - 1) {
            if (processor->in_service[__builtin_ctz(rest)] == number)
                return true;
        }
    }
    return false;
}

/* --- what processors do --- */

/* The processor has taken the edge or message; a level stays requested as long as it is asserted. */
static void take(struct mpic *mpic, unsigned number, unsigned vp)
{
    struct mpic_source *source = &mpic->sources[number];

    source->waiting &= (uint8_t)~BIT32(vp);
    source->latched = source->waiting != 0;
    mpic_update(mpic, number);
}

uint32_t mpic_acknowledge(struct mpic *mpic, unsigned vp)
{
    struct mpic_processor *processor = &mpic->processors[vp];
    const unsigned number = deliverable(mpic, processor);
    unsigned priority;

    if (number == NONE) {
        mpic->counters.spurious++;
        return mpic->spurious;
    }
    mpic->counters.acknowledged++;
    priority = mpic_priority(&mpic->sources[number]);
    processor->in_service[priority] = (uint16_t)number;
    processor->in_service_mask |= BIT32(priority);
    take(mpic, number, vp);
    return mpic->sources[number].vector_priority & IVPR_VECTOR;
}

void mpic_end(struct mpic *mpic, unsigned vp)
{
    struct mpic_processor *processor = &mpic->processors[vp];
    const uint32_t mask = processor->in_service_mask;

    if (mask == 0)
        return;
    mpic->counters.ended++;
    processor->in_service_mask = mask & ~BIT32(31 - (unsigned)__builtin_clz(mask));
    drive_outputs(mpic, vp);
}

void mpic_set_task_priority(struct mpic *mpic, unsigned vp, uint8_t priority)
{
    mpic->processors[vp].task_priority = priority;
    drive_outputs(mpic, vp);
}

/* --- set-up --- */

static uint32_t vector_priority_at_reset(unsigned number)
{
    const bool internal = number >= MPIC_INTERNAL && number < MPIC_SOURCES;

    return IVPR_MASKED | (internal ? IVPR_POLARITY : 0);
}

void mpic_reset(struct mpic *mpic)
{
    for (unsigned i = 0; i < MPIC_INTERRUPTS; i++) {
        mpic->sources[i] = (struct mpic_source){
            .vector_priority = vector_priority_at_reset(i),
            .destination = BIT32(0),
            .line = mpic->sources[i].line,
        };
    }
    mpic->configuration = 0;
    mpic->initialization = 0;
    mpic->spurious = SPURIOUS_AT_RESET;
    mpic->error_mask = 0;
    for (unsigned vp = 0; vp < mpic->wires.vps; vp++) {
        struct mpic_processor *processor = &mpic->processors[vp];

        processor->in_service_mask = 0;
        processor->task_priority = TASK_PRIORITY_AT_RESET;
        for (unsigned output = 0; output < MPIC_OUTPUTS; output++)
            processor->requested[output] = (struct mpic_set){ 0 };
        drive_outputs(mpic, vp);
    }
    mpic_timers_reset(mpic);
}

void mpic_init(struct mpic *mpic, const struct mpic_wires *wires)
{
    *mpic = (struct mpic){ .wires = *wires };
    mpic_reset(mpic);
}
