/*
 * The MPIC's registers: where each is, and what reading and writing it does.
 *
 * The block is 256 KiB: global registers and timers, then the sources, then a page for each processor, of which the first 256
 * bytes also stand at the block's start as those of whoever accesses them.
 */
#include "hv/dev/mpic_internal.h"

#define REVISION         UINT32_C(0x00400402) /* BRR1: block 0x0040, version 4.2 */
#define OPENPIC_1_2      UINT32_C(2)          /* FRR[VID] */

#define GCR_RESET        BIT32(31)
#define GCR_MODE         BITS32(30, 29)
#define GCR_MODE_PROXY   BITS32(30, 29)

#define SOURCES_AT       0x10000
#define SOURCE_STRIDE    0x20
#define PROCESSORS_AT    0x20000
#define PROCESSOR_STRIDE 0x1000
#define TIMERS_AT        0x1100 /* of group A */
#define TIMER_STRIDE     0x40
#define GROUP_STRIDE     0x1000

/* What a register is. */
enum kind {
    NOTHING,
    REVISION_1,
    REVISION_2,
    FEATURES,
    CONFIGURATION,
    VENDOR,
    INITIALIZATION,
    SPURIOUS,
    FREQUENCY,
    TIMER_CONTROL,
    TIMER_COUNT,
    TIMER_BASE,
    ERROR_STATUS,
    ERROR_MASK,
    VECTOR_PRIORITY, /* of an interrupt */
    DESTINATION,
    LEVEL,
    DISPATCH, /* of a processor */
    TASK_PRIORITY,
    WHO_AM_I,
    ACKNOWLEDGE,
    END,
};

struct place {
    enum kind kind;
    unsigned index; /* of the interrupt, of the group, of the interprocessor interrupt */
    unsigned vp;    /* whose */
    unsigned timer;
};

/* Registers that stand alone, by their offset. */
static const struct row {
    uint16_t offset;
    uint8_t kind;
    uint8_t index;
} rows[] = {
    { 0x0000, REVISION_1, 0 },    { 0x0010, REVISION_2, 0 },    { 0x1000, FEATURES, 0 },
    { 0x1020, CONFIGURATION, 0 }, { 0x1080, VENDOR, 0 },        { 0x1090, INITIALIZATION, 0 },
    { 0x10E0, SPURIOUS, 0 },      { 0x10F0, FREQUENCY, 0 },     { 0x1300, TIMER_CONTROL, 0 },
    { 0x20F0, FREQUENCY, 1 },     { 0x2300, TIMER_CONTROL, 1 }, { 0x3900, ERROR_STATUS, 0 },
    { 0x3910, ERROR_MASK, 0 },
};

/* --- where is what --- */

static struct place find_processor(unsigned vp, uint32_t offset)
{
    static const uint8_t kinds[16] = {
        [4] = DISPATCH,      [5] = DISPATCH, [6] = DISPATCH,     [7] = DISPATCH,
        [8] = TASK_PRIORITY, [9] = WHO_AM_I, [10] = ACKNOWLEDGE, [11] = END,
    };

    if (offset >= 0x100 || offset % 16 != 0)
        return (struct place){ .kind = NOTHING };
    return (struct place){ .kind = kinds[offset / 16], .index = offset / 16 % MPIC_IPIS, .vp = vp };
}

static struct place find_source(uint32_t offset)
{
    const unsigned number = offset / SOURCE_STRIDE;
    const bool is_there = mpic_is_external(number) || (number >= MPIC_INTERNAL && number < MPIC_SOURCES);

    if (!is_there)
        return (struct place){ .kind = NOTHING };
    switch (offset % SOURCE_STRIDE) {
    case 0x00: return (struct place){ .kind = VECTOR_PRIORITY, .index = number };
    case 0x10: return (struct place){ .kind = DESTINATION, .index = number };
    case 0x18: return (struct place){ .kind = LEVEL, .index = number };
    default: return (struct place){ .kind = NOTHING };
    }
}

/* @offset from the first timer of group A. */
static struct place find_timer(uint32_t offset)
{
    const unsigned group = offset / GROUP_STRIDE;
    const unsigned timer = offset % GROUP_STRIDE / TIMER_STRIDE;
    const unsigned source = MPIC_TIMER_0 + group * MPIC_TIMERS + timer;

    if (group >= MPIC_GROUPS || timer >= MPIC_TIMERS)
        return (struct place){ .kind = NOTHING };
    switch (offset % TIMER_STRIDE) {
    case 0x00: return (struct place){ .kind = TIMER_COUNT, .index = group, .timer = timer };
    case 0x10: return (struct place){ .kind = TIMER_BASE, .index = group, .timer = timer };
    case 0x20: return (struct place){ .kind = VECTOR_PRIORITY, .index = source };
    case 0x30: return (struct place){ .kind = DESTINATION, .index = source };
    default: return (struct place){ .kind = NOTHING };
    }
}

static struct place find_global(uint32_t offset)
{
    const unsigned ipi = (offset - 0x10A0) / 16;

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].offset == offset)
            return (struct place){ .kind = rows[i].kind, .index = rows[i].index };
    }
    if (offset >= 0x10A0 && ipi < MPIC_IPIS && offset % 16 == 0)
        return (struct place){ .kind = VECTOR_PRIORITY, .index = MPIC_IPI_0 + ipi };
    if (offset >= TIMERS_AT)
        return find_timer(offset - TIMERS_AT);
    return (struct place){ .kind = NOTHING };
}

static struct place find(const struct mpic *mpic, unsigned vp, uint32_t offset)
{
    const unsigned owner = (offset - PROCESSORS_AT) / PROCESSOR_STRIDE;

    if (offset >= PROCESSORS_AT) {
        return owner < mpic->wires.vps ? find_processor(owner, offset % PROCESSOR_STRIDE)
                                       : (struct place){ .kind = NOTHING };
    }
    if (offset >= SOURCES_AT)
        return find_source(offset - SOURCES_AT);
    if (offset >= 0x40 && offset < 0x100)
        return find_processor(vp, offset);
    return find_global(offset);
}

/* --- reading --- */

static uint32_t read_source(const struct mpic *mpic, enum kind kind, unsigned number)
{
    const struct mpic_source *source = &mpic->sources[number];

    if (kind == DESTINATION)
        return source->destination;
    if (kind == LEVEL)
        return source->target;
    return source->vector_priority | (mpic_is_active(mpic, number) ? IVPR_ACTIVITY : 0);
}

static uint32_t features(const struct mpic *mpic)
{
    return bits_put(MPIC_SOURCES - 1, 16) | bits_put(mpic->wires.vps - 1, 8) | OPENPIC_1_2;
}

static uint32_t read_place(struct mpic *mpic, const struct place *place)
{
    switch (place->kind) {
    case REVISION_1: return REVISION;
    case FEATURES: return features(mpic);
    case CONFIGURATION: return mpic->configuration;
    case INITIALIZATION: return mpic->initialization;
    case SPURIOUS: return mpic->spurious;
    case FREQUENCY: return mpic->groups[place->index].frequency;
    case TIMER_CONTROL: return mpic->groups[place->index].control;
    case TIMER_COUNT: return mpic_timer_read(mpic, place->index, place->timer);
    case TIMER_BASE: return mpic->groups[place->index].timers[place->timer].base;
    case ERROR_MASK: return mpic->error_mask;
    case VECTOR_PRIORITY:
    case DESTINATION:
    case LEVEL: return read_source(mpic, place->kind, place->index);
    case TASK_PRIORITY: return mpic->processors[place->vp].task_priority;
    case WHO_AM_I: return place->vp;
    case ACKNOWLEDGE: return mpic_acknowledge(mpic, place->vp);
    case NOTHING: mpic->counters.unclaimed++; return 0;
    case REVISION_2:
    case VENDOR:
    case ERROR_STATUS:
    case DISPATCH:
    case END: break;
    }
    return 0;
}

uint32_t mpic_read(struct mpic *mpic, unsigned vp, uint32_t offset, unsigned width_bytes)
{
    const struct place place = find(mpic, vp, offset & ~UINT32_C(3));
    const unsigned behind = 4 - width_bytes - offset % 4;
    uint32_t value;

    mpic->counters.registers.reads++;
    if (offset % 4 + width_bytes > 4) {
        mpic->counters.unclaimed++;
        return 0;
    }
    value = read_place(mpic, &place);
    return (uint32_t)(value >> (8 * behind) & all_ones(width_bytes));
}

/* --- writing --- */

/* What software may set in xIVPR. */
static uint32_t writable(unsigned number)
{
    const uint32_t all = IVPR_MASKED | IVPR_PRIORITY | IVPR_VECTOR;

    if (mpic_is_external(number))
        return all | IVPR_POLARITY | IVPR_SENSE;
    return number < MPIC_SOURCES ? all | IVPR_POLARITY : all;
}

/* Timers count lazily: they are brought up to date before and after their mask changes. */
static void write_source(struct mpic *mpic, enum kind kind, unsigned number, uint32_t value)
{
    struct mpic_source *source = &mpic->sources[number];
    const bool is_timer = number >= MPIC_TIMER_0;

    if (is_timer)
        mpic_advance(mpic);
    if (kind == VECTOR_PRIORITY) {
        source->vector_priority = value & writable(number);
    } else if (kind == LEVEL) {
        mpic_route(mpic, number, byte_of(value, 0));
    } else {
        source->destination = byte_of(value, 0) & (uint8_t)(BIT32(mpic->wires.vps) - 1);
        source->waiting = source->latched ? source->destination : 0;
    }
    mpic_update(mpic, number);
    if (is_timer)
        mpic_timers_schedule(mpic);
}

static void write_configuration(struct mpic *mpic, uint32_t value)
{
    if ((value & GCR_RESET) != 0) {
        mpic_reset(mpic);
    } else {
        mpic->configuration = value & GCR_MODE;
    }
}

/* A bit that becomes one resets that processor's core. */
static void write_initialization(struct mpic *mpic, uint32_t value)
{
    const uint32_t now = value & (BIT32(mpic->wires.vps) - 1);
    const uint32_t risen = now & ~mpic->initialization;

    mpic->initialization = now;
    for (unsigned vp = 0; vp < mpic->wires.vps; vp++) {
        if (bit_is_set(risen, vp))
            mpic->wires.core_reset(mpic->wires.context, vp);
    }
}

static void dispatch(struct mpic *mpic, unsigned ipi, uint32_t value)
{
    const uint8_t to = byte_of(value, 0) & (uint8_t)(BIT32(mpic->wires.vps) - 1);

    if (to != 0) {
        mpic->counters.ipis++;
        mpic_latch(mpic, MPIC_IPI_0 + ipi, to);
    }
}

static void write_place(struct mpic *mpic, const struct place *place, uint32_t value)
{
    switch (place->kind) {
    case CONFIGURATION: write_configuration(mpic, value); break;
    case INITIALIZATION: write_initialization(mpic, value); break;
    case SPURIOUS: mpic->spurious = value & IVPR_VECTOR; break;
    case FREQUENCY: mpic->groups[place->index].frequency = value; break;
    case TIMER_CONTROL: mpic_timer_write_control(mpic, place->index, value); break;
    case TIMER_BASE: mpic_timer_write_base(mpic, place->index, place->timer, value); break;
    case ERROR_MASK: mpic->error_mask = value; break;
    case VECTOR_PRIORITY:
    case DESTINATION:
    case LEVEL: write_source(mpic, place->kind, place->index, value); break;
    case DISPATCH: dispatch(mpic, place->index, value); break;
    case TASK_PRIORITY: mpic_set_task_priority(mpic, place->vp, (uint8_t)bits_get(value, 3, 0)); break;
    case END: mpic_end(mpic, place->vp); break;
    case NOTHING: mpic->counters.unclaimed++; break;
    case REVISION_1:
    case REVISION_2:
    case FEATURES:
    case VENDOR:
    case TIMER_COUNT:
    case ERROR_STATUS:
    case WHO_AM_I:
    case ACKNOWLEDGE: break;
    }
}

void mpic_write(struct mpic *mpic, unsigned vp, uint32_t offset, unsigned width_bytes, uint32_t value)
{
    const struct place place = find(mpic, vp, offset);

    mpic->counters.registers.writes++;
    if (width_bytes != 4 || offset % 4 != 0) {
        mpic->counters.unclaimed++;
    } else {
        write_place(mpic, &place, value);
    }
}

bool mpic_is_proxy(const struct mpic *mpic)
{
    return (mpic->configuration & GCR_MODE) == GCR_MODE_PROXY;
}
