/*
 * What the host does underneath: pages that move, lose rights, vanish and come back, change their size, and are
 * watched.
 */
#include "tests/model/machine/generate_internal.h"
#include <vmmu/nested.h>

/* What an operation of the host is about. */
struct extent {
    uint64_t gpa;
    uint64_t bytes;
};

static struct extent draw_extent(struct luck *luck)
{
    const unsigned draw = luck_below(luck, 16);

    if (draw < 5) {
        return (struct extent){ POOL(luck_below(luck, POOL_PAGES)), VMMU_PAGE_BYTES };
    }
    if (draw < 9) {
        return (struct extent){ DATA_BASE + luck_below(luck, DATA_PAGES) * VMMU_PAGE_BYTES,
                                VMMU_PAGE_BYTES * (1 + luck_below(luck, 3)) };
    }
    if (draw < 13) {
        return (struct extent){ luck_below(luck, 4) * VMMU_2M_BYTES, VMMU_2M_BYTES };
    }
    if (draw < 14) {
        return (struct extent){ VMMU_2M_BYTES * (1 + luck_below(luck, 3)) - VMMU_PAGE_BYTES * 2,
                                VMMU_PAGE_BYTES * 4 };
    }
    if (draw < 15) {
        return (struct extent){ GUEST_HIGH_BASE + luck_below(luck, 3) * VMMU_2M_BYTES, VMMU_2M_BYTES };
    }
    return (struct extent){ GUEST_HIGH_BASE, GUEST_HIGH_BYTES };
}

static uint8_t draw_rights(struct luck *luck)
{
    static const uint8_t rights[] = {
        VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_EXECUTE,
        VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_EXECUTE,
        VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_EXECUTE,
        VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE,
        VMMU_X86_RIGHT_READ,
        VMMU_X86_RIGHT_EXECUTE,
    };

    return rights[luck_below(luck, sizeof(rights))];
}

static void put(struct generator *generator, enum op_kind kind, struct extent extent, uint8_t width)
{
    generate_op(generator,
                (struct op){ .kind = kind, .address = extent.gpa, .value = extent.bytes, .width = width });
}

/* Accesses to what was just changed, before anything else happens. */
static void look(struct generator *generator)
{
    const unsigned vp = luck_below(&generator->luck, world_setting(generator->world)->vps);

    for (unsigned i = luck_below(&generator->luck, 3); i > 0; i--) {
        generate_access(generator, vp);
    }
}

static void watch(struct generator *generator, struct extent extent)
{
    struct luck *luck = &generator->luck;
    const struct extent whole = { 0, GUEST_LOW_BYTES };

    switch (luck_below(luck, 8)) {
    case 0:
        generate_op(generator, (struct op){ .kind = OP_LOG_START, .value = 1 + luck_below(luck, 2) });
        break;
    case 1: put(generator, OP_LOG_STOP, whole, 0); break;
    case 2:
    case 3:
    case 4: put(generator, OP_LOG_COLLECT, luck_once_in(luck, 3) ? extent : whole, 0); break;
    default:
        generate_op(generator, (struct op){ .kind = OP_HARVEST,
                                            .address = extent.gpa,
                                            .value = extent.bytes,
                                            .flags = (uint8_t)luck_below(luck, 4) });
        break;
    }
}

static void change(struct generator *generator, struct extent extent)
{
    struct luck *luck = &generator->luck;
    const unsigned draw = luck_below(luck, 16);

    if (draw < 5) {
        put(generator, OP_MOVE, extent, 0);
    } else if (draw < 7) {
        put(generator, OP_UNMAP, extent, 0);
        look(generator);
        put(generator, OP_MAP, extent, VMMU_X86_RIGHTS_ALL);
    } else if (draw < 10) {
        put(generator, OP_PROTECT, extent, draw_rights(luck));
        look(generator);
        if (luck_below(luck, 4)) {
            put(generator, OP_PROTECT, extent, VMMU_X86_RIGHTS_ALL);
        }
    } else if (draw < 12) {
        put(generator, OP_SPLIT, extent, (uint8_t)(1 + luck_below(luck, 2)));
    } else {
        extent.gpa &= ~(VMMU_2M_BYTES - 1);
        extent.bytes = extent.bytes < VMMU_2M_BYTES ? VMMU_2M_BYTES : extent.bytes;
        put(generator, OP_PROTECT, extent, VMMU_X86_RIGHTS_ALL);
        put(generator, OP_MERGE, extent, 0);
    }
}

void generate_host(struct generator *generator)
{
    struct luck *luck = &generator->luck;
    const struct extent extent = draw_extent(luck);
    uint8_t rights;

    if (!world_host_maps(generator->world, extent.gpa, &rights)) {
        put(generator, OP_MAP, extent, luck_once_in(luck, 4) ? draw_rights(luck) : VMMU_X86_RIGHTS_ALL);
    } else if (luck_once_in(luck, 3)) {
        watch(generator, extent);
    } else {
        change(generator, extent);
    }
    look(generator);
}
