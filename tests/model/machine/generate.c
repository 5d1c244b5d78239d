/*
 * Settings, the queue, and the choice of what comes next.
 *
 * An activity appends one operation or several; the next is chosen when all of them have been handed out.
 */
#include "tests/model/machine/generate_internal.h"

#include <stdlib.h>

/* History that the reference may drag along before the guest flushes. */
#define BURDEN           600U

#define SWEEP_ONCE_IN    40U
#define ADOPTION_ONCE_IN 24U
#define CALM_ONCE_IN     24U
#define DEMAND_ONCE_IN   6U
#define CHURN_ONCE_IN    32U
#define CALL_ONCE_IN     3U

/* What a technique without second stage wants otherwise: tables hardly enough, and guests' large pages in many pieces. */
static void shadow_setting(const struct engine_class *class, struct luck *luck, struct setting *setting)
{
    static const uint16_t spare[] = { 0, 0, 0, 8, 24, 64, 184, 984 };

    setting->table_pages = (uint16_t)(class->least_table_pages + spare[luck_below(luck, 8)]);
    if (luck_once_in(luck, 2)) {
        setting->largest = 1;
    }
    if (luck_once_in(luck, 2)) {
        setting->given_pages = (uint16_t)(7 * setting->vps + 8 + luck_below(luck, 16));
    }
    setting->silent = setting->intel && luck_below(luck, 3) != 0;
    if (setting->tagged && luck_once_in(luck, 2)) {
        setting->roots = (uint8_t)(2 + luck_below(luck, 3));
        setting->tags = (uint8_t)(setting->tags + luck_below(luck, 12));
    }
}

/* By a draw of its own: the worlds that have none of it are as they would be if there were no such thing. */
static void call_setting(const struct engine_class *class, uint64_t seed, struct setting *setting)
{
    struct luck luck = luck_from(seed ^ UINT64_C(0xCA115));

    setting->calls = luck_once_in(&luck, 3);
    setting->no_empty_set = luck_once_in(&luck, 4);
    if (setting->calls && setting->vps == 1 && luck_below(&luck, 4) != 0) {
        setting->vps = (uint8_t)(2 + luck_below(&luck, MODEL_VPS - 1));
    }
    setting->private_vps = class->page_fault && luck_once_in(&luck, 4);
}

void generate_setting(uint64_t seed, unsigned engine, struct setting *setting)
{
    static const uint16_t entries[] = { 32, 128, 256, 512 };
    static const uint16_t pages[] = { 16, 40, 200, 40, 200, 200, 200, 1000 };
    struct luck luck = luck_from(seed ^ UINT64_C(0x5E771E6));
    const struct engine_class *class = engines[engine];
    const bool intel = class->intel && (!class->amd || luck_once_in(&luck, 2));

    *setting = (struct setting){
        .seed = seed,
        .engine = (uint8_t)engine,
        .vps = (uint8_t)(1 + luck_below(&luck, MODEL_VPS)),
        .processors = (uint8_t)(1 + luck_below(&luck, MODEL_PROCESSORS)),
        .intel = intel,
        .tagged = !intel || !luck_once_in(&luck, 4),
        .tags = (uint8_t)(1 + luck_below(&luck, 4)),
        .second_dirty = !intel || !luck_once_in(&luck, 3),
        .execute_only = intel && luck_once_in(&luck, 2) && class->stage2_fault,
        .second_levels = luck_once_in(&luck, 5) ? 5 : 4,
        .largest = luck_once_in(&luck, 5) ? 1 : (uint8_t)(2 + luck_below(&luck, 2)),
        .gib_pages = !luck_once_in(&luck, 4),
        .la57 = luck_once_in(&luck, 3),
        .pcid = luck_below(&luck, 3) != 0,
        .pku = luck_once_in(&luck, 3),
        .smep = !luck_once_in(&luck, 4),
        .smap = !luck_once_in(&luck, 4),
        .nx = !luck_once_in(&luck, 5),
        .pse36 = !luck_once_in(&luck, 3),
        .table_pages = pages[luck_below(&luck, 8)],
        .tlb_entries = entries[luck_below(&luck, 4)],
    };
    call_setting(class, seed, setting);
    if (class->page_fault) {
        shadow_setting(class, &luck, setting);
    }
}

struct generator *generator_create(struct world *world)
{
    struct generator *generator = calloc(1, sizeof(*generator));

    if (!generator) {
        return NULL;
    }
    generator->world = world;
    generator->shadowed = engines[world_setting(world)->engine]->page_fault != NULL;
    generator->luck = luck_from(world_setting(world)->seed ^ UINT64_C(0x09E4E7A7));
    generate_setup(generator);
    return generator;
}

void generator_destroy(struct generator *generator)
{
    free(generator);
}

void generate_op(struct generator *generator, struct op op)
{
    if (generator->tail - generator->head < QUEUE_OPS) {
        op.luck = (uint32_t)luck_next(&generator->luck);
        generator->queue[generator->tail++ % QUEUE_OPS] = op;
    }
}

static void migrate(struct generator *generator, unsigned vp)
{
    generate_op(generator, (struct op){ .kind = OP_MIGRATE,
                                        .vp = (uint8_t)vp,
                                        .value = luck_below(&generator->luck,
                                                            world_setting(generator->world)->processors) });
}

/* To another processor and back, with an edit there. */
static void generate_journey(struct generator *generator, unsigned vp)
{
    generate_access(generator, vp);
    migrate(generator, vp);
    generate_edit(generator, vp);
    migrate(generator, vp);
    generate_access(generator, vp);
}

static void generate_hardware(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    struct op op = { .vp = (uint8_t)vp };

    if (luck_below(luck, 16) > 2) {
        op.kind = OP_SPECULATE;
        op.address = generate_address(generator, vp);
        generate_op(generator, op);
    } else if (luck_once_in(luck, 2)) {
        op.kind = OP_EVICT;
        op.value = luck_below(luck, 8) ? 16 : 256;
        generate_op(generator, op);
    } else {
        generate_journey(generator, vp);
    }
}

/* What may come next, with its weight. */
static void generate_activity(struct generator *generator)
{
    struct luck *luck = &generator->luck;
    const unsigned vp = luck_below(luck, world_setting(generator->world)->vps);
    const unsigned draw = luck_below(luck, 1000);

    if (reference_burden(world_reference(generator->world)) > BURDEN) {
        for (unsigned each = 0; each < world_setting(generator->world)->vps; each++) {
            generate_relief(generator, each);
        }
    } else if (luck_once_in(luck, 16) && !generate_can_write(generator, vp)) {
        generate_repair(generator, vp);
    } else if (generator->shadowed && luck_once_in(luck, SWEEP_ONCE_IN)) {
        generate_sweep(generator, vp);
    } else if (generator->shadowed && luck_once_in(luck, ADOPTION_ONCE_IN)) {
        generate_adoption(generator, vp);
    } else if (generator->shadowed && luck_once_in(luck, CALM_ONCE_IN)) {
        generate_calm(generator, vp);
    } else if (world_setting(generator->world)->roots > 1 && luck_once_in(luck, CHURN_ONCE_IN)) {
        generate_churn(generator, vp);
    } else if (world_setting(generator->world)->silent && luck_once_in(luck, DEMAND_ONCE_IN)) {
        generate_demand(generator, vp);
    } else if (world_setting(generator->world)->calls && luck_once_in(luck, CALL_ONCE_IN)) {
        generate_call(generator, vp);
    } else if (draw < 310) {
        generate_access(generator, vp);
    } else if (draw < 530) {
        generate_edit(generator, vp);
    } else if (draw < 585) {
        generate_flush(generator, vp);
    } else if (draw < 660) {
        generate_trip(generator, vp);
    } else if (draw < 700) {
        generate_toggle(generator, vp);
    } else if (draw < 705) {
        generate_mode_switch(generator, vp);
    } else if (draw < 800) {
        generate_hardware(generator, vp);
    } else {
        generate_host(generator);
    }
}

struct op generator_next(struct generator *generator)
{
    while (generator->head == generator->tail) {
        generate_activity(generator);
    }
    generator->drawn++;
    return generator->queue[generator->head++ % QUEUE_OPS];
}
