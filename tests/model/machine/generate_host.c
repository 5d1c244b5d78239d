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

static struct extent draw_small(struct luck *luck)
{
    if (luck_once_in(luck, 2)) {
        return (struct extent){ POOL(luck_below(luck, POOL_PAGES)), VMMU_PAGE_BYTES };
    }
    return (struct extent){ DATA_BASE + luck_below(luck, DATA_PAGES) * VMMU_PAGE_BYTES,
                            VMMU_PAGE_BYTES * (1 + luck_below(luck, 3)) };
}

/* Two megabytes that a large page can map. */
static struct extent draw_region(struct luck *luck)
{
    const uint64_t base = luck_once_in(luck, 4) ? GUEST_HIGH_BASE : 0;

    return (struct extent){ base + luck_below(luck, 4) * VMMU_2M_BYTES, VMMU_2M_BYTES };
}

/* A page that guests use, or what lies around it. */
static struct extent draw_extent(struct generator *generator)
{
    struct luck *luck = &generator->luck;
    const unsigned draw = luck_below(luck, 32);
    const bool large_pages = world_setting(generator->world)->largest > 1;
    uint64_t gpa;

    if (draw < 16 && generate_used_page(generator, &gpa)) {
        const uint64_t bytes = luck_below(luck, 4) ? VMMU_PAGE_BYTES : VMMU_2M_BYTES;

        return (struct extent){ gpa & ~(bytes - 1), bytes };
    }
    if (draw < 22) {
        return draw_small(luck);
    }
    if (draw < 29) {
        return draw_region(luck);
    }
    if (draw < 31 || !large_pages) {
        return (struct extent){ VMMU_2M_BYTES * (1 + luck_below(luck, 3)) - VMMU_PAGE_BYTES * 2,
                                VMMU_PAGE_BYTES * 4 };
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

/* Accesses before anything else happens; what is worth another look comes first. */
static void look(struct generator *generator)
{
    const unsigned vp = luck_below(&generator->luck, world_setting(generator->world)->vps);

    for (unsigned i = luck_below(&generator->luck, 4); i > 0; i--) {
        generate_access(generator, vp);
    }
}

static void harvest(struct generator *generator, struct extent extent)
{
    const uint8_t flags = (uint8_t)luck_below(&generator->luck, 4);

    for (unsigned turn = 0; turn < 2; turn++) {
        generate_op(
            generator,
            (struct op){ .kind = OP_HARVEST, .address = extent.gpa, .value = extent.bytes, .flags = flags });
        look(generator);
    }
}

static void watch(struct generator *generator, struct extent extent)
{
    struct luck *luck = &generator->luck;
    const struct extent whole = { 0, GUEST_LOW_BYTES };

    switch (luck_below(luck, 8)) {
    case 0:
        generate_op(generator, (struct op){ .kind = OP_LOG_START, .value = 1 + luck_below(luck, 2) });
        look(generator);
        put(generator, OP_LOG_COLLECT, whole, 0);
        break;
    case 1:
    case 2: put(generator, OP_LOG_STOP, whole, 0); break;
    case 3:
    case 4:
        put(generator, OP_LOG_COLLECT, luck_once_in(luck, 3) ? extent : whole, 0);
        look(generator);
        put(generator, OP_LOG_COLLECT, whole, 0);
        break;
    default: harvest(generator, extent); break;
    }
}

/* The two megabytes around. */
static struct extent region_of(struct extent extent)
{
    return (struct extent){ extent.gpa & ~(VMMU_2M_BYTES - 1),
                            extent.bytes < VMMU_2M_BYTES ? VMMU_2M_BYTES : extent.bytes };
}

/* All alike again, and in one page if that can be. */
static void restore(struct generator *generator, struct extent extent)
{
    const struct extent region = region_of(extent);

    if (luck_once_in(&generator->luck, 2)) {
        put(generator, OP_MOVE, region, 0);
    }
    put(generator, OP_MAP, region, VMMU_X86_RIGHTS_ALL);
    put(generator, OP_PROTECT, region, VMMU_X86_RIGHTS_ALL);
    look(generator);
    put(generator, OP_MERGE, region, 0);
}

/* More ranges than a plan holds: every other page loses a right, after or before all do. */
static void comb(struct generator *generator, struct extent extent)
{
    const uint64_t first = extent.gpa & ~(VMMU_PAGE_BYTES * 32 - 1);
    const unsigned teeth = 4 + luck_below(&generator->luck, 12);

    for (unsigned i = 0; i < teeth; i++) {
        const struct extent page = { first + (uint64_t)i * 2 * VMMU_PAGE_BYTES, VMMU_PAGE_BYTES };

        put(generator, OP_PROTECT, page, VMMU_X86_RIGHT_READ);
    }
    look(generator);
    put(generator, OP_PROTECT, (struct extent){ first, VMMU_PAGE_BYTES * 32 }, VMMU_X86_RIGHT_READ);
    look(generator);
    put(generator, OP_PROTECT, (struct extent){ first, VMMU_PAGE_BYTES * 32 }, VMMU_X86_RIGHTS_ALL);
}

/* A right comes and goes, or marks do, around a merge or a split. */
static void resize(struct generator *generator, struct extent extent)
{
    struct luck *luck = &generator->luck;
    const struct extent region = region_of(extent);
    struct extent page = { extent.gpa, VMMU_PAGE_BYTES };

    if (extent.bytes >= VMMU_2M_BYTES) {
        page.gpa += luck_below(luck, 3) * VMMU_PAGE_BYTES;
    }
    switch (luck_below(luck, 4)) {
    case 0:
        put(generator, OP_SPLIT, extent, (uint8_t)(1 + luck_below(luck, 2)));
        look(generator);
        put(generator, OP_PROTECT, page, draw_rights(luck));
        break;
    case 1:
        put(generator, OP_SPLIT, region, VMMU_NESTED_LEVEL_4K);
        look(generator);
        put(generator, OP_PROTECT, region, draw_rights(luck));
        put(generator, OP_MERGE, region, 0);
        break;
    case 2:
        generate_op(generator, (struct op){ .kind = OP_HARVEST,
                                            .address = region.gpa,
                                            .value = region.bytes,
                                            .flags = OP_CLEAR_ACCESSED | OP_CLEAR_DIRTY });
        put(generator, OP_SPLIT, page, VMMU_NESTED_LEVEL_4K);
        harvest(generator, region);
        break;
    default:
        put(generator, OP_PROTECT, page, draw_rights(luck));
        look(generator);
        restore(generator, extent);
        break;
    }
}

/* Two megabytes vanish, and some pages of them come back while the flush may still be owed. */
static void replace(struct generator *generator, struct extent extent)
{
    struct luck *luck = &generator->luck;
    struct extent part = { extent.gpa, VMMU_PAGE_BYTES * (1 + luck_below(luck, 2)) };

    put(generator, OP_UNMAP, region_of(extent), 0);
    look(generator);
    put(generator, OP_PROTECT, draw_small(luck), VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_EXECUTE);
    look(generator);
    put(generator, OP_MAP, part, draw_rights(luck));
    look(generator);
    put(generator, OP_MAP, region_of(extent), VMMU_X86_RIGHTS_ALL);
}

static void change(struct generator *generator, struct extent extent)
{
    struct luck *luck = &generator->luck;
    const unsigned draw = luck_below(luck, 32);

    if (draw < 5) {
        put(generator, OP_MOVE, extent, 0);
    } else if (draw < 8) {
        replace(generator, extent);
    } else if (draw < 11) {
        put(generator, OP_UNMAP, extent, 0);
        look(generator);
        put(generator, OP_MAP, extent, VMMU_X86_RIGHTS_ALL);
    } else if (draw < 17) {
        put(generator, OP_PROTECT, extent, draw_rights(luck));
        look(generator);
        if (luck_below(luck, 4)) {
            put(generator, OP_PROTECT, extent, VMMU_X86_RIGHTS_ALL);
        }
    } else if (draw < 20) {
        comb(generator, extent);
    } else if (draw < 28) {
        resize(generator, extent);
    } else {
        restore(generator, extent);
    }
}

void generate_host(struct generator *generator)
{
    struct luck *luck = &generator->luck;
    const struct extent extent = draw_extent(generator);
    uint8_t rights;

    look(generator);
    look(generator);
    if (!world_host_maps(generator->world, extent.gpa, &rights)) {
        put(generator, OP_MAP, extent, luck_once_in(luck, 4) ? draw_rights(luck) : VMMU_X86_RIGHTS_ALL);
    } else if (luck_once_in(luck, 3)) {
        watch(generator, extent);
    } else {
        change(generator, extent);
    }
    look(generator);
}
