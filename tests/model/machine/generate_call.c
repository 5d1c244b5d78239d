/*
 * Hypercalls: flushes that follow a change of tables, of all kinds of forms and lists; switches of address spaces.
 */
#include "tests/model/machine/generate_internal.h"

#define ALL_PROCESSORS UINT8_C(1)
#define ALL_SPACES     UINT8_C(2)
#define NON_GLOBAL     UINT8_C(4)
#define MORE_PAGES     UINT64_C(0xFFF)

static unsigned vp_count(const struct generator *generator)
{
    return world_setting(generator->world)->vps;
}

/* The address on some VPs, each of which may cache what leads there. */
static void use_everywhere(struct generator *generator, uint64_t address, unsigned once_in)
{
    for (unsigned vp = 0; vp < vp_count(generator); vp++) {
        if (luck_once_in(&generator->luck, once_in)) {
            generator->recent[0] = address;
            generate_access(generator, vp);
        }
    }
}

/* --- the list of a flush --- */

/* Close to the bottom of an upper table's region, in pages. */
#define BOTTOM_PAGES 6U

/*
 * A range that takes in @address: alone, at its beginning, at its end, in the middle; of the largest size now and then. One that
 * begins in another region, or where no addresses are.
 */
static uint64_t draw_range(struct generator *generator, uint64_t address)
{
    struct luck *luck = &generator->luck;
    const uint64_t depth = (address & (VMMU_1G_BYTES - 1)) / VMMU_PAGE_BYTES;

    if (depth < BOTTOM_PAGES && luck_once_in(luck, 2)) {
        const uint64_t below = 1 + luck_below(luck, 3);

        return ((address & ~(VMMU_1G_BYTES - 1)) - below * VMMU_PAGE_BYTES) |
               (below + depth + luck_below(luck, 2));
    }
    const uint64_t most = luck_once_in(luck, 6) ? MORE_PAGES : luck_below(luck, 6);
    const uint64_t before = luck_once_in(luck, 3) ? most : luck_once_in(luck, 2) ? 0 : most / 2;

    return ((address & ~MORE_PAGES) - before * VMMU_PAGE_BYTES) | most;
}

static void put_element(struct generator *generator, unsigned vp, uint64_t range, unsigned dull)
{
    generate_op(
        generator,
        (struct op){ .kind = OP_ELEMENT, .vp = (uint8_t)vp, .width = (uint8_t)dull, .address = range });
}

/* Elements of a go, or a part of them that has no remainder: what may go wrong does so at its ends. */
#define GO 64U

/* How many elements that mean nothing to put behind @length others, before one that means something. */
static unsigned draw_dull(struct luck *luck, unsigned length)
{
    if (luck_once_in(luck, 3)) {
        return luck_below(luck, 100);
    }
    return (GO - length % GO) % GO + (luck_once_in(luck, 2) ? 0 : GO - 1);
}

/* Ranges around some addresses; what is long is done in several goes. */
static void put_list(struct generator *generator, unsigned vp, uint64_t address)
{
    struct luck *luck = &generator->luck;
    const unsigned count = luck_below(luck, 4);
    const unsigned place = luck_below(luck, count + 1);
    const bool is_long = luck_once_in(luck, 3);
    unsigned length = 0;

    for (unsigned i = 0; i <= count; i++) {
        const uint64_t other = generate_address(generator, vp);
        const uint64_t range = i == place              ? draw_range(generator, address)
                               : luck_once_in(luck, 8) ? luck_next(luck)
                                                       : draw_range(generator, other);
        const unsigned dull = is_long ? draw_dull(luck, length) : luck_below(luck, 8) == 0;

        put_element(generator, vp, range, dull);
        length += dull + 1;
    }
}

/* --- a flush --- */

/* Whose address space: one that is in use, with or without what stands below the root's address; or any other. */
static uint64_t draw_space(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const unsigned other = luck_below(luck, vp_count(generator));
    const uint64_t cr3 = reference_registers(world_reference(generator->world), other)->cr3;

    if (luck_once_in(luck, 4)) {
        return generate_cr3(generator, vp) & ~VMMU_X86_CR3_NO_FLUSH;
    }
    return luck_once_in(luck, 2) ? cr3 : cr3 & ~BITS64(11, 0);
}

static void flush(struct generator *generator, unsigned vp, uint64_t address)
{
    struct luck *luck = &generator->luck;
    const uint64_t everybody = BIT64(vp_count(generator)) - 1;
    struct op op = { .kind = OP_FLUSH,
                     .vp = (uint8_t)vp,
                     .address = luck_once_in(luck, 2)   ? everybody
                                : luck_once_in(luck, 4) ? 0
                                                        : luck_below(luck, 16),
                     .value = draw_space(generator, vp) };

    op.flags = luck_once_in(luck, 3) ? ALL_PROCESSORS : 0;
    op.flags |= luck_once_in(luck, 3) ? ALL_SPACES : 0;
    op.width = luck_once_in(luck, 2) ? OP_FLUSH_EX : 0;
    op.width |= luck_once_in(luck, 6) ? OP_FLUSH_SET_ALL : 0;
    op.width |= luck_once_in(luck, 8) ? OP_FLUSH_NO_BANK : 0;
    if (luck_once_in(luck, 2)) {
        op.width |= OP_FLUSH_LIST;
        put_list(generator, vp, address);
    } else if (luck_once_in(luck, 3)) {
        op.flags |= NON_GLOBAL;
    }
    if (luck_once_in(luck, 32)) {
        op.flags |= (uint8_t)(1U << luck_below(luck, 8));
    }
    generate_op(generator, op);
}

/* --- a switch --- */

static void switch_to(struct generator *generator, unsigned vp, uint64_t space)
{
    generate_op(generator, (struct op){ .kind = OP_SWITCH, .vp = (uint8_t)vp, .value = space });
}

/* Away and back by hypercall, with an edit there; what was cached is kept, and is of use at home only. */
static void generate_travel(struct generator *generator, unsigned vp, uint64_t address)
{
    struct luck *luck = &generator->luck;
    const uint64_t home = reference_registers(world_reference(generator->world), vp)->cr3;
    const uint64_t away = generate_cr3(generator, vp) & ~VMMU_X86_CR3_NO_FLUSH;

    use_everywhere(generator, address, 1);
    switch_to(generator, vp, away);
    for (unsigned i = luck_below(luck, 3); i > 0; i--) {
        generator->recent[0] = address;
        generate_access(generator, vp);
    }
    generate_edit_of(generator, vp, address);
    switch (luck_below(luck, 6)) {
    case 0: generate_flush(generator, vp); break;
    case 1: flush(generator, vp, address); break;
    case 2: flush(generator, luck_below(luck, vp_count(generator)), address); break;
    default: break;
    }
    switch_to(generator, vp, home);
    for (unsigned i = 1 + luck_below(luck, 3); i > 0; i--) {
        generator->recent[0] = address;
        generate_access(generator, vp);
    }
}

/* --- what comes next --- */

/* Other places of the large page that @vp's tables map at the address: processors may keep them apart. Returns how many. */
#define PARTS 3U
static unsigned draw_parts(struct generator *generator, unsigned vp, uint64_t address, uint64_t parts[PARTS])
{
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ };
    struct vmmu_x86_walk_result walk;

    if (!generate_walk(generator, vp, address, access, &walk) ||
        walk.translation.page_bytes == VMMU_PAGE_BYTES) {
        return 0;
    }
    for (unsigned i = 0; i < PARTS; i++) {
        parts[i] = address ^ (1 + luck_below(&generator->luck, 31)) * VMMU_PAGE_BYTES;
    }
    return PARTS;
}

void generate_call(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const uint64_t address =
        luck_once_in(luck, 4) ? generate_address(generator, vp) : generator->recent[luck_below(luck, RECENT)];
    uint64_t parts[PARTS];
    const unsigned count = draw_parts(generator, vp, address, parts);

    if (luck_once_in(luck, 4)) {
        generate_travel(generator, vp, address);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        use_everywhere(generator, parts[i], 1);
    }
    use_everywhere(generator, address, 1);
    use_everywhere(generator, address, 2);
    for (unsigned i = luck_below(luck, 3); i > 0; i--) {
        generate_edit_of(generator, vp, address);
    }
    flush(generator, luck_below(luck, 4) ? vp : luck_below(luck, vp_count(generator)), address);
    for (unsigned i = 0; i < count; i++) {
        use_everywhere(generator, parts[i], 1);
    }
    use_everywhere(generator, address, 1);
    use_everywhere(generator, address, 2);
}
