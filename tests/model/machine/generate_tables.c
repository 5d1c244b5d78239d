/*
 * Tables: what is written at first, and how they are edited under use.
 *
 * Tables come from a small pool, and addresses have few different indices, so that edits hit what is in use: tables
 * are shared, linked to themselves, mapped as data, and read in formats that they were not written for.
 */
#include "tests/model/machine/generate_internal.h"

#define ENTRY_P  BIT64(0)
#define ENTRY_W  BIT64(1)
#define ENTRY_U  BIT64(2)
#define ENTRY_A  BIT64(5)
#define ENTRY_D  BIT64(6)
#define ENTRY_PS BIT64(7)
#define ENTRY_G  BIT64(8)
#define ENTRY_NX BIT64(63)

/* The pages of the pool that were made for tables of a level, in formats with entries of eight bytes. */
struct shelf {
    uint8_t first;
    uint8_t count;
};

static const struct shelf shelves[VMMU_X86_MAX_LEVELS + 1] = {
    [1] = { 11, 5 }, [2] = { 7, 4 }, [3] = { 4, 3 }, [4] = { 1, 3 }, [5] = { 0, 1 },
};

/* Two more tables of level 1, in memory that the host may have in large pages. */
#define FAR_TABLE(n) (VMMU_2M_BYTES + UINT64_C(0x3000) + (uint64_t)(n)*VMMU_PAGE_BYTES)

/* Where entry @index of a table stands. */
static uint64_t slot(uint64_t table, uint64_t index)
{
    return table + index * 8;
}

static uint64_t slot32(uint64_t table, uint64_t index)
{
    return table + index * 4;
}

static uint64_t draw_table(struct generator *generator, unsigned level)
{
    struct luck *luck = &generator->luck;
    const struct shelf shelf = shelves[level];

    if (level == 1 && generator->shadowed && luck_once_in(luck, 8)) {
        return POOL(POOL_PT32 + luck_below(luck, 4)); /* made for entries of four bytes */
    }
    if (level == 1 && luck_once_in(luck, 4)) {
        return FAR_TABLE(luck_below(luck, 2));
    }
    return POOL(shelf.first + luck_below(luck, shelf.count));
}

#define INDICES 4U
static const uint16_t indices[VMMU_X86_MAX_LEVELS + 1][INDICES] = {
    [1] = { 0, 1, 2, 5 },     [2] = { 0, 1, 2, 0 },   [3] = { 0, 1, 2, 0 },
    [4] = { 0, 1, 256, 511 }, [5] = { 0, 1, 511, 0 },
};

static unsigned draw_index(struct luck *luck, unsigned level)
{
    return indices[level][luck_below(luck, INDICES)];
}

uint64_t generate_address(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const struct vmmu_x86_mode *mode = reference_mode(world_reference(generator->world), vp);
    const uint64_t offset = (uint64_t)luck_below(luck, 512) * 8;
    uint64_t address = (uint64_t)draw_index(luck, 1) << 12;

    if (luck_once_in(luck, 2)) {
        return generator->recent[luck_below(luck, RECENT)];
    }
    switch (mode->paging) {
    case VMMU_X86_PAGING_NONE:
        return luck_once_in(luck, 2) ? POOL(luck_below(luck, POOL_PAGES)) + offset
                                     : DATA_BASE + luck_below(luck, DATA_PAGES) * VMMU_PAGE_BYTES + offset;
    case VMMU_X86_PAGING_32BIT: return address + ((uint64_t)luck_below(luck, 3) << 22) + offset;
    case VMMU_X86_PAGING_PAE:
        return address + ((uint64_t)draw_index(luck, 2) << 21) + ((uint64_t)luck_below(luck, 2) << 30) +
               offset;
    case VMMU_X86_PAGING_4LEVEL:
    case VMMU_X86_PAGING_5LEVEL: break;
    }
    address |= (uint64_t)draw_index(luck, 2) << 21 | (uint64_t)draw_index(luck, 3) << 30 |
               (uint64_t)draw_index(luck, 4) << 39;
    if (mode->paging == VMMU_X86_PAGING_5LEVEL) {
        address |= (uint64_t)draw_index(luck, 5) << 48;
    }
    const unsigned unused = 64 - mode->address_bits;

    return (uint64_t)((int64_t)(address << unused) >> unused) + offset;
}

/* Flags of an entry: one in @stingy lacks a right. Links are generous, so that walks go deep. */
#define OF_LEAF           5U
#define OF_LINK           16U
#define OF_LINK_FOR_ROLES 6U
static uint64_t draw_flags(struct luck *luck, unsigned stingy)
{
    uint64_t flags = ENTRY_P | ENTRY_W | ENTRY_U;

    if (luck_once_in(luck, stingy)) {
        flags &= ~ENTRY_W;
    }
    if (luck_once_in(luck, stingy)) {
        flags &= ~ENTRY_U;
    }
    if (luck_once_in(luck, 2)) {
        flags |= ENTRY_A;
    }
    return flags;
}

static uint64_t draw_frame(struct luck *luck, unsigned level)
{
    switch (level) {
    case 1:
        switch (luck_below(luck, 8)) {
        case 0: return POOL(luck_below(luck, POOL_PAGES));
        case 1: return FAR_TABLE(luck_below(luck, 2));
        case 2: return DEVICE_GPA;
        case 3: return VMMU_2M_BYTES * (1 + luck_below(luck, 3)) + luck_below(luck, 4) * VMMU_PAGE_BYTES;
        default: return DATA_BASE + luck_below(luck, DATA_PAGES) * VMMU_PAGE_BYTES;
        }
    case 2:
        return luck_once_in(luck, 6) ? GUEST_HIGH_BASE + luck_below(luck, 3) * VMMU_2M_BYTES
                                     : luck_below(luck, 4) * VMMU_2M_BYTES;
    default: return luck_once_in(luck, 3) ? 0 : GUEST_HIGH_BASE;
    }
}

uint64_t generate_leaf(struct generator *generator, unsigned level)
{
    const struct setting *setting = world_setting(generator->world);
    struct luck *luck = &generator->luck;
    uint64_t entry = draw_frame(luck, level) | draw_flags(luck, OF_LEAF);

    entry |= luck_once_in(luck, 2) ? ENTRY_D : 0;
    entry |= luck_once_in(luck, 3) ? ENTRY_G : 0;
    entry |= luck_once_in(luck, setting->nx ? 6 : 60) ? ENTRY_NX : 0;
    entry |= luck_once_in(luck, setting->pku ? 6 : 60) ? (uint64_t)luck_below(luck, 16) << 59 : 0;
    return level > 1 ? entry | ENTRY_PS : entry;
}

/* An entry for a table of @level, of eight bytes. */
static uint64_t draw_entry(struct generator *generator, unsigned level)
{
    const unsigned largest = world_setting(generator->world)->gib_pages ? 3 : 2;
    struct luck *luck = &generator->luck;

    if (level == 1 || (level <= largest && luck_once_in(luck, 4))) {
        return generate_leaf(generator, level);
    }
    /* Now and then a table of the wrong level, itself perhaps: tables mapped into themselves. */
    const unsigned below = luck_once_in(luck, 10) ? level : level - 1;
    const uint64_t entry =
        draw_table(generator, below) | draw_flags(luck, generator->shadowed ? OF_LINK_FOR_ROLES : OF_LINK);

    return luck_once_in(luck, 30) ? entry | ENTRY_NX : entry;
}

/* A page table of 32-bit paging; or one made for entries of eight bytes. */
static uint64_t draw_short_table(struct generator *generator)
{
    struct luck *luck = &generator->luck;

    if (generator->shadowed && luck_once_in(luck, 4)) {
        return POOL(shelves[1].first + luck_below(luck, shelves[1].count));
    }
    return POOL(POOL_PT32 + luck_below(luck, 4));
}

static void poke(struct generator *generator, uint64_t gpa, uint64_t value, uint8_t width)
{
    generate_op(generator, (struct op){ .kind = OP_WRITE, .address = gpa, .value = value, .width = width });
}

void generate_direct_map(struct generator *generator, unsigned vp)
{
    const uint64_t full = ENTRY_P | ENTRY_W | ENTRY_A;
    const uint32_t first = generator->tail;

    for (unsigned i = 0; i < 4; i++) {
        poke(generator, slot(POOL(POOL_DIRECT2), i), i * VMMU_2M_BYTES | full | ENTRY_D | ENTRY_PS, 8);
    }
    poke(generator, slot(POOL(POOL_DIRECT3), 511), POOL(POOL_DIRECT2) | full, 8);
    for (unsigned i = 0; i < shelves[4].count; i++) {
        poke(generator, slot(POOL(shelves[4].first + i), 511), POOL(POOL_DIRECT3) | full, 8);
    }
    poke(generator, slot(POOL(shelves[5].first), 511), POOL(shelves[4].first) | full, 8);
    for (unsigned i = 0; i < 2; i++) {
        poke(generator, slot(POOL(POOL_PDPT + i), 3), POOL(POOL_DIRECT2) | ENTRY_P, 8);
        for (unsigned j = 0; j < 2; j++) {
            poke(generator, slot32(POOL(POOL_PD32 + i), 0x300 + j),
                 j * UINT64_C(0x400000) | full | ENTRY_D | ENTRY_PS, 4);
        }
    }
    for (uint32_t each = first; each != generator->tail; each++) {
        generator->queue[each % QUEUE_OPS].vp = (uint8_t)vp;
    }
}

/* Every entry that an address may lead to, but for a few. */
static void lay_table(struct generator *generator, unsigned level, uint64_t table)
{
    for (unsigned i = 0; i < INDICES; i++) {
        if (!luck_once_in(&generator->luck, 12)) {
            poke(generator, slot(table, indices[level][i]), draw_entry(generator, level), 8);
        }
    }
}

/* Entries of four bytes, and PAE's roots. */
static void lay_short_tables(struct generator *generator)
{
    struct luck *luck = &generator->luck;

    for (unsigned i = 0; i < 4; i++) {
        const uint64_t present = luck_once_in(luck, 8) ? 0 : ENTRY_P;

        poke(generator, slot(POOL(POOL_PDPT + i / 2), i % 2), draw_table(generator, 2) | present, 8);
    }
    for (unsigned i = 0; i < 6; i++) {
        const uint64_t large =
            luck_below(luck, 2) * UINT64_C(0x400000) | draw_flags(luck, OF_LEAF) | ENTRY_PS;
        const uint64_t table = draw_short_table(generator) | draw_flags(luck, OF_LINK);

        poke(generator, slot32(POOL(POOL_PD32 + i / 3), i % 3), luck_once_in(luck, 3) ? large : table, 4);
    }
    for (unsigned i = 0; i < 16; i++) {
        poke(generator, slot32(POOL(POOL_PT32 + i / 4), indices[1][i % 4]),
             (draw_frame(luck, 1) | draw_flags(luck, OF_LEAF)) & UINT32_MAX, 4);
    }
}

static void lay_tables(struct generator *generator)
{
    for (unsigned level = 1; level <= VMMU_X86_MAX_LEVELS; level++) {
        for (unsigned page = 0; page < shelves[level].count; page++) {
            lay_table(generator, level, POOL(shelves[level].first + page));
        }
    }
    lay_table(generator, 1, FAR_TABLE(0));
    lay_table(generator, 1, FAR_TABLE(1));
    lay_short_tables(generator);
}

void generate_setup(struct generator *generator)
{
    lay_tables(generator);
    for (unsigned vp = 0; vp < world_setting(generator->world)->vps; vp++) {
        generate_repair(generator, vp);
    }
}

/* --- edits ---------------------------------------------------------------------------------------------------------- */

/* One entry to be edited. */
struct target {
    uint64_t gpa;
    uint64_t value;
    uint64_t address; /* one that it translates, for all we know */
    uint8_t level;
    uint8_t bytes;
    bool pdpte; /* of PAE: a link that has no rights */
};

/* An entry that translates @address now on @vp; false if its walk uses none in memory. */
static bool find_target(struct generator *generator, unsigned vp, uint64_t address, struct target *target)
{
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ };
    struct vmmu_x86_walk_result walk;

    (void)generate_walk(generator, vp, address, access, &walk);
    if (walk.step_count == 0) {
        return false;
    }
    const struct vmmu_x86_step *step =
        &walk.steps[luck_once_in(&generator->luck, 2) ? walk.step_count - 1U
                                                      : luck_below(&generator->luck, walk.step_count)];

    *target = (struct target){
        .gpa = step->address,
        .value = step->value,
        .address = address,
        .level = step->level,
        .bytes = step->entry_bytes,
        .pdpte = step->level == 3 &&
                 reference_mode(world_reference(generator->world), vp)->paging == VMMU_X86_PAGING_PAE,
    };
    return step->stage == VMMU_X86_STAGE_GUEST;
}

static struct target draw_target(struct generator *generator)
{
    struct luck *luck = &generator->luck;
    const unsigned level = 1 + luck_below(luck, 3);
    const uint64_t gpa = slot(draw_table(generator, level), draw_index(luck, level));

    return (struct target){
        .gpa = gpa,
        .value = reference_load(world_reference(generator->world), gpa, 8),
        .address = generator->recent[luck_below(luck, RECENT)],
        .level = (uint8_t)level,
        .bytes = 8,
    };
}

/* The same entry with some flags turned. */
static uint64_t turn_flags(struct luck *luck, const struct target *target)
{
    static const uint64_t flags[] = {
        ENTRY_W,   ENTRY_W,          ENTRY_U, ENTRY_A,           ENTRY_D,
        ENTRY_G,   ENTRY_NX,         ENTRY_P, ENTRY_A | ENTRY_D, BIT64(3) | BIT64(4),
        BIT64(59), ENTRY_W | ENTRY_U
    };
    const uint64_t turned = flags[luck_below(luck, sizeof(flags) / sizeof(flags[0]))];

    return target->value ^ (target->bytes == 4 ? turned & UINT32_MAX : turned);
}

static uint64_t draw_value(struct generator *generator, const struct target *target)
{
    struct luck *luck = &generator->luck;
    const unsigned draw = luck_below(luck, 32);

    if (target->pdpte && draw < 31) {
        return draw_table(generator, 2) | (draw < 3 ? 0 : ENTRY_P);
    }
    if (draw < 14 && (target->value & ENTRY_P)) {
        return turn_flags(luck, target);
    }
    if (draw < 2) {
        return 0;
    }
    if (draw == 31) {
        return target->value ^ BIT64(luck_below(luck, target->bytes * 8));
    }
    if (target->bytes == 8) {
        return draw_entry(generator, target->level);
    }
    if (target->level == 2 && luck_once_in(luck, 2)) {
        return draw_short_table(generator) | draw_flags(luck, OF_LINK);
    }
    return generate_leaf(generator, target->level) & UINT32_MAX & ~(target->level == 2 ? VMMU_2M_BYTES : 0);
}

/* What a careful guest does after an edit, and what careless ones leave out. */
static void follow_up(struct generator *generator, unsigned vp, const struct target *target)
{
    struct luck *luck = &generator->luck;
    const unsigned draw = luck_below(luck, 16);

    if (draw < 7) {
        return;
    }
    if (draw < 12) {
        generate_op(generator,
                    (struct op){ .kind = OP_INVLPG, .vp = (uint8_t)vp, .address = target->address });
    } else if (draw < 14) {
        generate_flush(generator, vp);
    }
    for (unsigned other = 0; draw >= 11 && other < world_setting(generator->world)->vps; other++) {
        generate_op(generator,
                    (struct op){ .kind = OP_INVLPG, .vp = (uint8_t)other, .address = target->address });
    }
}

/* The address in question, up to @most times, on @vp or another. */
static void use(struct generator *generator, unsigned vp, uint64_t address, unsigned most)
{
    struct luck *luck = &generator->luck;

    for (unsigned i = luck_below(luck, most + 1); i > 0; i--) {
        const unsigned other = luck_below(luck, world_setting(generator->world)->vps);

        generator->recent[0] = address;
        generate_access(generator, luck_below(luck, 4) ? vp : other);
    }
}

/* One of PAE's four entries that are held in registers, or are walked, of the root in use. */
static struct target draw_pdpte(struct generator *generator, unsigned vp)
{
    struct reference *reference = world_reference(generator->world);
    const uint64_t gpa = slot(reference_mode(reference, vp)->root.v, luck_below(&generator->luck, 2));

    return (struct target){
        .gpa = gpa,
        .value = reference_load(reference, gpa, 8),
        .address = generator->recent[luck_below(&generator->luck, RECENT)],
        .level = 3,
        .bytes = 8,
        .pdpte = true,
    };
}

static bool draw_edit(struct generator *generator, unsigned vp, struct target *target)
{
    const bool in_use = luck_below(&generator->luck, 4) != 0;
    const uint64_t address =
        in_use ? generator->recent[luck_below(&generator->luck, RECENT)] : generate_address(generator, vp);

    if (reference_mode(world_reference(generator->world), vp)->paging == VMMU_X86_PAGING_PAE &&
        luck_once_in(&generator->luck, 8)) {
        *target = draw_pdpte(generator, vp);
    } else if (luck_once_in(&generator->luck, 8) || !find_target(generator, vp, address, target)) {
        *target = draw_target(generator);
    }
    return target->gpa < GUEST_LOW_BYTES;
}

/* Writes that are not one entry: two of four bytes at once, or the flags of one alone. */
static void vary_width(struct generator *generator, struct op *op)
{
    struct luck *luck = &generator->luck;

    if (op->width == 4 && luck_once_in(luck, 3)) {
        op->width = 8;
        if (op->address % 8 != 0) {
            op->address -= 4;
            op->value = op->value << 32 | (luck_next(luck) & UINT32_MAX);
        } else {
            op->value |= (uint64_t)draw_short_table(generator) << 32 | draw_flags(luck, OF_LEAF) << 32;
        }
    } else if (luck_once_in(luck, 8)) {
        op->width = (uint8_t)(1 + luck_below(luck, 2));
        op->value &= op->width == 1 ? 0xFF : 0xFFFF;
    }
}

static void write_entry(struct generator *generator, unsigned vp, const struct target *target)
{
    const struct vmmu_x86_mode *mode = reference_mode(world_reference(generator->world), vp);
    uint64_t at = target->gpa;

    if (mode->paging != VMMU_X86_PAGING_NONE) {
        at += mode->address_bits == 32 ? DIRECT_32 : DIRECT_LONG;
    }

    struct op op = { .kind = OP_WRITE,
                     .vp = (uint8_t)vp,
                     .address = at,
                     .value = draw_value(generator, target),
                     .width = target->bytes };

    if (generator->shadowed) {
        vary_width(generator, &op);
    }
    generate_op(generator, op);
}

void generate_edit_of(struct generator *generator, unsigned vp, uint64_t address)
{
    struct target target;

    if (find_target(generator, vp, address, &target) && target.gpa < GUEST_LOW_BYTES) {
        write_entry(generator, vp, &target);
    }
}

/* Another address that may go by the same tables at the end: its upper part is another one. */
static uint64_t alias_of(struct generator *generator, unsigned vp, uint64_t address)
{
    const unsigned shift = luck_once_in(&generator->luck, 2) ? 30 : 39;
    const uint64_t kept = BIT64(shift) - 1;

    return (generate_address(generator, vp) & ~kept) | (address & kept);
}

void generate_edit(struct generator *generator, unsigned vp)
{
    struct target target;

    if (!draw_edit(generator, vp, &target)) {
        return;
    }
    const uint64_t alias = alias_of(generator, vp, target.address);

    use(generator, vp, alias, 1);
    use(generator, vp, target.address, 2);
    write_entry(generator, vp, &target);
    use(generator, vp, target.address, 3);
    follow_up(generator, vp, &target);
    use(generator, vp, target.address, 3);
    use(generator, vp, alias, 1);
}

/* Where @vp writes guest-physical memory. */
static uint64_t direct_address(struct generator *generator, unsigned vp, uint64_t gpa)
{
    const struct vmmu_x86_mode *mode = reference_mode(world_reference(generator->world), vp);

    if (mode->paging == VMMU_X86_PAGING_NONE) {
        return gpa;
    }
    return gpa + (mode->address_bits == 32 ? DIRECT_32 : DIRECT_LONG);
}

void generate_write(struct generator *generator, unsigned vp, uint64_t gpa, uint64_t value, uint8_t width)
{
    generate_op(generator, (struct op){ .kind = OP_WRITE,
                                        .vp = (uint8_t)vp,
                                        .address = direct_address(generator, vp, gpa),
                                        .value = value,
                                        .width = width });
}

static void write_by(struct generator *generator, unsigned vp, uint64_t gpa, uint64_t value)
{
    generate_write(generator, vp, gpa, value, 8);
}

void generate_adoption(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const unsigned other = luck_below(luck, world_setting(generator->world)->vps);
    const uint64_t address = generator->recent[luck_below(luck, RECENT)];
    const uint64_t table = draw_table(generator, 1);
    const uint64_t entry = table + ((address >> VMMU_PAGE_SHIFT) & 511) * 8;
    struct vmmu_x86_walk_result walk;

    (void)generate_walk(generator, vp, address, (struct vmmu_x86_access){ .kind = VMMU_X86_READ }, &walk);
    for (unsigned i = 0; i < walk.step_count; i++) {
        const struct vmmu_x86_step *step = &walk.steps[i];

        if (step->level != 2 || step->entry_bytes != 8 || step->address >= GUEST_LOW_BYTES) {
            continue;
        }
        write_by(generator, vp, step->address, 0);
        for (unsigned turn = 0; turn < 4; turn++) {
            write_by(generator, other, entry, generate_leaf(generator, 1));
        }
        write_by(generator, vp, step->address, table | draw_flags(luck, OF_LINK));
        use(generator, vp, address, 3);
        write_by(generator, other, entry, generate_leaf(generator, 1));
        use(generator, vp, address, 3);
    }
}
