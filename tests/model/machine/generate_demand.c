/*
 * Demand paging: tables of which much is not present, guests that run into it again and again, and what makes it present, or
 * puts something else in the place of the table.
 */
#include "tests/model/machine/generate_internal.h"

#define PAGES_IN_DEMAND 4U

/* A table of the last level, and pages that it translates. */
struct demand {
    uint64_t table;
    uint8_t bytes; /* of an entry */
    uint64_t address[PAGES_IN_DEMAND];
    uint64_t place[PAGES_IN_DEMAND]; /* of its entry */
};

/* Some pages beside each other, most of them; around @address on @vp. False: no table of the last level is there. */
static bool find_demand(struct generator *generator, unsigned vp, uint64_t address, struct demand *demand)
{
    static const uint16_t near[] = { 0, 1, 2, 5, 3, 40, 100, 511 };
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ };
    struct vmmu_x86_walk_result walk;

    (void)generate_walk(generator, vp, address, access, &walk);
    if (walk.step_count == 0) {
        return false;
    }
    const struct vmmu_x86_step *const last = &walk.steps[walk.step_count - 1];

    if (last->level != 1 || last->stage != VMMU_X86_STAGE_GUEST || last->address >= GUEST_LOW_BYTES) {
        return false;
    }
    demand->table = last->address & ~(VMMU_PAGE_BYTES - 1);
    demand->bytes = last->entry_bytes;
    for (unsigned i = 0; i < PAGES_IN_DEMAND; i++) {
        const uint64_t index = near[luck_below(&generator->luck, 8)];
        const uint64_t pages = last->entry_bytes == 8 ? 512 : 1024;

        demand->address[i] = (address & ~(pages * VMMU_PAGE_BYTES - 1)) + index * VMMU_PAGE_BYTES;
        demand->place[i] = demand->table + index * last->entry_bytes;
    }
    return true;
}

/* By @vp mostly. */
static void write_page(struct generator *generator, unsigned vp, const struct demand *demand, unsigned page,
                       uint64_t value)
{
    const unsigned other = luck_below(&generator->luck, world_setting(generator->world)->vps);

    vp = luck_below(&generator->luck, 4) ? vp : other;
    generate_write(generator, vp, demand->place[page], demand->bytes == 4 ? value & UINT32_MAX : value,
                   demand->bytes);
}

/* What has nothing there is found so by one virtual processor or another, @times over. */
static void run_into(struct generator *generator, unsigned vp, const struct demand *demand, unsigned times)
{
    struct luck *luck = &generator->luck;

    for (; times > 0; times--) {
        const unsigned other = luck_below(luck, world_setting(generator->world)->vps);
        struct op op = { .vp = (uint8_t)vp, .width = 1 };

        op.vp = luck_below(luck, 4) ? op.vp : (uint8_t)other;
        op.kind = luck_once_in(luck, 4) ? OP_FETCH : luck_once_in(luck, 2) ? OP_WRITE : OP_READ;
        op.flags = luck_once_in(luck, 2) ? OP_USER : 0;
        op.address = demand->address[luck_below(luck, PAGES_IN_DEMAND)];
        /* Who has had a fault tries again. */
        for (unsigned tries = 1 + luck_below(luck, 2); tries > 0; tries--) {
            generate_op(generator, op);
        }
    }
}

/* Nothing is there, says the guest; and flushes, if it is careful. */
static void take_away(struct generator *generator, unsigned vp, const struct demand *demand)
{
    struct luck *luck = &generator->luck;

    for (unsigned i = 0; i < PAGES_IN_DEMAND; i++) {
        /* What is not present may say where it went. */
        write_page(generator, vp, demand, i,
                   luck_once_in(luck, 2) ? 0 : generate_leaf(generator, 1) & ~BIT64(0));
    }
    if (luck_once_in(luck, 2)) {
        generate_relief(generator, vp);
    }
}

static void bring_back(struct generator *generator, unsigned vp, const struct demand *demand)
{
    for (unsigned i = luck_below(&generator->luck, PAGES_IN_DEMAND); i < PAGES_IN_DEMAND; i++) {
        write_page(generator, vp, demand, i, generate_leaf(generator, 1));
        run_into(generator, vp, demand, luck_below(&generator->luck, 3));
    }
}

/*
 * Tables above are worked on: entries beside the one that leads here, until nobody follows each write any more. Then that one leads to
 * another table, and whoever has had a fault here may count on that.
 */
static void disturb_above(struct generator *generator, unsigned vp, const struct demand *demand)
{
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ };
    struct reference *reference = world_reference(generator->world);
    struct luck *luck = &generator->luck;
    struct vmmu_x86_walk_result walk;

    (void)generate_walk(generator, vp, demand->address[0], access, &walk);
    if (walk.step_count < 2) {
        return;
    }
    const struct vmmu_x86_step *const step = &walk.steps[luck_below(luck, walk.step_count - 1U)];
    const uint64_t beside = step->address ^ step->entry_bytes;

    if (step->stage != VMMU_X86_STAGE_GUEST || step->address >= GUEST_LOW_BYTES) {
        return;
    }
    for (unsigned i = luck_below(luck, 8); i > 0; i--) {
        generate_write(generator, vp, beside, reference_load(reference, beside, step->entry_bytes),
                       step->entry_bytes);
    }
    run_into(generator, vp, demand, 1 + luck_below(luck, 3));
    if (luck_below(luck, 4) != 0) {
        generate_write(generator, vp, step->address, step->value ^ VMMU_PAGE_BYTES, step->entry_bytes);
    } else {
        generate_edit_of(generator, vp, demand->address[0]);
    }
    run_into(generator, vp, demand, 2);
}

void generate_demand(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const uint64_t address = generator->recent[luck_below(luck, RECENT)];
    struct demand demand;

    if (!find_demand(generator, vp, address, &demand)) {
        generate_access(generator, vp);
        return;
    }
    if (luck_once_in(luck, 2)) {
        bring_back(generator, luck_below(luck, world_setting(generator->world)->vps), &demand);
    }
    take_away(generator, vp, &demand);
    run_into(generator, vp, &demand, 4 + luck_below(luck, 8));
    if (luck_once_in(luck, 2)) {
        generate_calm(generator, vp);
        run_into(generator, vp, &demand, 1 + luck_below(luck, 4));
    }
    switch (luck_below(luck, 8)) {
    case 0:
    case 5: disturb_above(generator, vp, &demand); break;
    case 1: generate_trip(generator, vp); break;
    case 2: generate_toggle(generator, vp); break;
    case 3: generate_host(generator); break;
    case 4: generate_edit(generator, vp); break;
    default: break;
    }
    run_into(generator, vp, &demand, luck_below(luck, 3));
    bring_back(generator, vp, &demand);
    run_into(generator, vp, &demand, 1 + luck_below(luck, 4));
}
