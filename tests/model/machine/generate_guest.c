/*
 * What guests do beside editing tables: accesses, invalidations, and the registers that control paging.
 */
#include "tests/model/machine/generate_internal.h"

static const struct vmmu_x86_paging_registers *registers(struct generator *generator, unsigned vp)
{
    return reference_registers(world_reference(generator->world), vp);
}

static void put(struct generator *generator, unsigned vp, enum op_kind kind, uint64_t value)
{
    generate_op(generator, (struct op){ .kind = kind, .vp = (uint8_t)vp, .value = value });
}

static uint8_t draw_access_flags(struct luck *luck)
{
    if (luck_once_in(luck, 2)) {
        return OP_USER;
    }
    if (luck_once_in(luck, 2)) {
        return OP_EFLAGS_AC;
    }
    return luck_once_in(luck, 6) ? OP_IMPLICIT : 0;
}

/* Whether the guest's tables let the access through now. */
static bool is_let_through(struct generator *generator, const struct op *op)
{
    const struct vmmu_x86_access access = {
        .kind = op->kind == OP_WRITE   ? VMMU_X86_WRITE
                : op->kind == OP_FETCH ? VMMU_X86_EXECUTE
                                       : VMMU_X86_READ,
        .user = op->flags == OP_USER,
        .implicit = op->flags == OP_IMPLICIT,
        .eflags_ac = op->flags == OP_EFLAGS_AC,
    };
    struct vmmu_x86_walk_result walk;

    return generate_walk(generator, op->vp, op->address, access, &walk);
}

/* By the other privilege, or somewhere else: most accesses of a guest succeed. */
static void try_harder(struct generator *generator, struct op *op, bool elsewhere)
{
    struct luck *luck = &generator->luck;

    for (unsigned tries = luck_below(luck, 5); tries > 0 && !is_let_through(generator, op); tries--) {
        if (!elsewhere || luck_once_in(luck, 2)) {
            op->flags = draw_access_flags(luck);
        } else {
            op->address = generate_address(generator, op->vp) & ~(uint64_t)(op->width - 1);
        }
    }
}

void generate_access(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const uint8_t width = (uint8_t)(1U << luck_below(luck, 4));
    const unsigned draw = luck_below(luck, 8);
    const bool again = luck_once_in(luck, 2);
    struct op op = { .kind = draw < 4   ? OP_READ
                             : draw < 7 ? OP_WRITE
                                        : OP_FETCH,
                     .vp = (uint8_t)vp,
                     .flags = draw_access_flags(luck),
                     .address = again ? generator->recent[0] : generate_address(generator, vp) };

    op.width = op.kind == OP_FETCH ? 1 : width;
    op.address &= ~(uint64_t)(op.width - 1);
    try_harder(generator, &op, !again);
    if (op.kind == OP_WRITE) {
        /* Data that would pass for an entry: the page may be a table. */
        op.value = (DATA_BASE + luck_below(luck, DATA_PAGES) * VMMU_PAGE_BYTES) | luck_below(luck, 256);
    }
    if (luck_once_in(luck, 4) || is_let_through(generator, &op)) {
        generator->recent[luck_below(luck, RECENT)] = op.address;
    }
    generate_op(generator, op);
}

/* A linear address in a page of a gigabyte, if one is found soon. */
static bool find_gigabyte(struct generator *generator, unsigned vp, uint64_t *address)
{
    struct vmmu_x86_walk_result walk;

    if (reference_mode(world_reference(generator->world), vp)->paging == VMMU_X86_PAGING_NONE) {
        *address = GUEST_HIGH_BASE;
        return true;
    }
    for (unsigned tries = 0; tries < 16; tries++) {
        *address = generate_address(generator, vp);
        if (generate_walk(generator, vp, *address, (struct vmmu_x86_access){ .kind = VMMU_X86_READ },
                          &walk) &&
            walk.translation.page_bytes == VMMU_1G_BYTES) {
            return true;
        }
    }
    return false;
}

void generate_sweep(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const uint8_t flags = draw_access_flags(luck);
    uint64_t address;

    if (!find_gigabyte(generator, vp, &address)) {
        generate_access(generator, vp);
        return;
    }
    for (unsigned i = 16 + luck_below(luck, 96); i > 0; i--) {
        generate_op(generator, (struct op){ .kind = luck_once_in(luck, 3) ? OP_WRITE : OP_READ,
                                            .vp = (uint8_t)vp,
                                            .flags = flags,
                                            .width = 8,
                                            .address = (address & ~(VMMU_1G_BYTES - 1)) +
                                                       luck_below(luck, 512) * VMMU_2M_BYTES +
                                                       luck_below(luck, 4) * VMMU_PAGE_BYTES });
    }
}

uint64_t generate_cr3(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const struct vmmu_x86_paging_registers *now = registers(generator, vp);
    const bool long_mode = (now->efer & VMMU_X86_EFER_LME) != 0;

    if (!(now->cr4 & VMMU_X86_CR4_PAE)) {
        return POOL(POOL_PD32 + luck_below(luck, 2));
    }
    if (!long_mode) {
        return POOL(POOL_PDPT + luck_below(luck, 2));
    }
    uint64_t cr3 = now->cr4 & VMMU_X86_CR4_LA57 ? POOL(0) : POOL(1 + luck_below(luck, 3));

    if (now->cr4 & VMMU_X86_CR4_PCIDE) {
        cr3 |= luck_below(luck, 3);
        cr3 |= luck_once_in(luck, 2) ? VMMU_X86_CR3_NO_FLUSH : 0;
    }
    return cr3;
}

static void generate_invpcid(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const bool pcids = (registers(generator, vp)->cr4 & VMMU_X86_CR4_PCIDE) != 0;

    generate_op(generator, (struct op){ .kind = OP_INVPCID,
                                        .vp = (uint8_t)vp,
                                        .width = (uint8_t)luck_below(luck, 4),
                                        .value = pcids ? luck_below(luck, 3) : 0,
                                        .address = generate_address(generator, vp) });
}

void generate_flush(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const struct vmmu_x86_paging_registers *now = registers(generator, vp);

    if ((now->cr4 & VMMU_X86_CR4_PCIDE) && luck_once_in(luck, 3)) {
        generate_invpcid(generator, vp);
        return;
    }
    switch (luck_below(luck, 8)) {
    case 0:
    case 1:
    case 2: put(generator, vp, OP_CR3, generate_cr3(generator, vp)); break;
    case 3: put(generator, vp, OP_CR3, now->cr3); break;
    case 4:
    case 5:
        generate_op(
            generator,
            (struct op){ .kind = OP_INVLPG, .vp = (uint8_t)vp, .address = generate_address(generator, vp) });
        break;
    case 6: generate_invpcid(generator, vp); break;
    default: generate_relief(generator, vp); break;
    }
}

void generate_relief(struct generator *generator, unsigned vp)
{
    const uint64_t cr4 = registers(generator, vp)->cr4;

    put(generator, vp, OP_CR4, cr4 ^ VMMU_X86_CR4_PGE);
    put(generator, vp, OP_CR4, cr4);
}

void generate_trip(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const struct vmmu_x86_paging_registers *now = registers(generator, vp);
    const bool pcids = (now->cr4 & VMMU_X86_CR4_PCIDE) != 0;
    const uint64_t home = now->cr3;
    const uint64_t quietly = pcids && luck_below(luck, 4) ? VMMU_X86_CR3_NO_FLUSH : 0;
    const uint64_t address = generator->recent[luck_below(luck, RECENT)];
    const uint64_t away =
        pcids ? (home & ~BITS64(11, 0)) | luck_below(luck, 3) | quietly : generate_cr3(generator, vp);

    generator->recent[0] = address;
    generate_access(generator, vp);
    put(generator, vp, OP_CR3, away);
    generate_edit_of(generator, vp, address);
    if (luck_below(luck, pcids ? 4 : 2)) {
        generate_op(generator, (struct op){ .kind = OP_INVPCID,
                                            .vp = (uint8_t)vp,
                                            .width = (uint8_t)luck_below(luck, 4),
                                            .value = pcids ? home & BITS64(11, 0) : 0,
                                            .address = address });
    }
    put(generator, vp, OP_CR3, home | quietly);
    generator->recent[0] = address;
    generate_access(generator, vp);
    generate_access(generator, vp);
}

/* Paging off and on again, with accesses between and nothing else changed. */
static void blink(struct generator *generator, unsigned vp)
{
    const struct vmmu_x86_paging_registers *now = registers(generator, vp);

    if (now->cr4 & VMMU_X86_CR4_PCIDE) {
        return; /* paging cannot be left */
    }
    generate_access(generator, vp);
    put(generator, vp, OP_CR0, now->cr0 & ~VMMU_X86_CR0_PG);
    generate_access(generator, vp);
    generate_access(generator, vp);
    put(generator, vp, OP_CR0, now->cr0);
    generate_access(generator, vp);
    generate_access(generator, vp);
}

/* One bit that decides about rights or formats, turned where that is legal. */
void generate_toggle(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const struct vmmu_x86_paging_registers *now = registers(generator, vp);

    switch (luck_below(luck, 10)) {
    case 0:
    case 1: put(generator, vp, OP_CR0, now->cr0 ^ VMMU_X86_CR0_WP); break;
    case 2: put(generator, vp, OP_CR4, now->cr4 ^ VMMU_X86_CR4_SMEP); break;
    case 3: put(generator, vp, OP_CR4, now->cr4 ^ VMMU_X86_CR4_SMAP); break;
    case 4: put(generator, vp, OP_EFER, now->efer ^ VMMU_X86_EFER_NXE); break;
    case 5: put(generator, vp, OP_CR4, now->cr4 ^ VMMU_X86_CR4_PGE); break;
    case 6:
        put(generator, vp, OP_CR4, now->cr4 ^ (luck_once_in(luck, 2) ? VMMU_X86_CR4_PKE : VMMU_X86_CR4_PSE));
        break;
    case 7: put(generator, vp, OP_PKRU, luck_next(luck) & UINT32_MAX); break;
    default: blink(generator, vp); break;
    }
}

/* From whatever it is to paging off. */
static void leave_paging(struct generator *generator, unsigned vp)
{
    const struct vmmu_x86_paging_registers *now = registers(generator, vp);

    if (now->cr4 & VMMU_X86_CR4_PCIDE) {
        put(generator, vp, OP_CR4, now->cr4 & ~VMMU_X86_CR4_PCIDE);
    }
    put(generator, vp, OP_CR0, now->cr0 & ~VMMU_X86_CR0_PG);
}

/* From paging off to some paging, with some of what the processor offers. */
static void enter_paging(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const struct setting *setting = world_setting(generator->world);
    const unsigned draw = luck_below(luck, 8);
    const bool long_mode = draw >= 3;
    const uint64_t nx = setting->nx && luck_below(luck, 4) ? VMMU_X86_EFER_NXE : 0;
    uint64_t cr4 = draw == 0 ? 0 : VMMU_X86_CR4_PAE;
    uint64_t cr3 = draw == 0 ? POOL(POOL_PD32) : POOL(POOL_PDPT);

    cr4 |= luck_below(luck, 4) ? VMMU_X86_CR4_PGE : 0;
    cr4 |= draw == 0 ? VMMU_X86_CR4_PSE : 0;
    cr4 |= setting->smep && luck_once_in(luck, 2) ? VMMU_X86_CR4_SMEP : 0;
    cr4 |= setting->smap && luck_once_in(luck, 3) ? VMMU_X86_CR4_SMAP : 0;
    if (long_mode) {
        const bool five = setting->la57 && luck_once_in(luck, 3);

        cr4 |= five ? VMMU_X86_CR4_LA57 : 0;
        cr4 |= setting->pku && luck_once_in(luck, 2) ? VMMU_X86_CR4_PKE : 0;
        cr3 = five ? POOL(0) : POOL(1 + luck_below(luck, 3));
    }
    put(generator, vp, OP_EFER, nx | (long_mode ? VMMU_X86_EFER_LME : 0));
    put(generator, vp, OP_CR4, cr4);
    put(generator, vp, OP_CR3, cr3);
    put(generator, vp, OP_CR0,
        VMMU_X86_CR0_PE | VMMU_X86_CR0_ET | VMMU_X86_CR0_PG | (luck_below(luck, 3) ? VMMU_X86_CR0_WP : 0));
    if (long_mode && setting->pcid && luck_below(luck, 4)) {
        put(generator, vp, OP_CR4, cr4 | VMMU_X86_CR4_PCIDE);
    }
}

void generate_mode_switch(struct generator *generator, unsigned vp)
{
    leave_paging(generator, vp);
    enter_paging(generator, vp);
}

void generate_repair(struct generator *generator, unsigned vp)
{
    leave_paging(generator, vp);
    generate_direct_map(generator, vp);
    enter_paging(generator, vp);
}

bool generate_can_write(struct generator *generator, unsigned vp)
{
    struct reference *reference = world_reference(generator->world);
    const struct vmmu_x86_mode *mode = reference_mode(reference, vp);
    const struct reference_access access = { .vp = (uint8_t)vp,
                                             .address = mode->address_bits == 32 ? DIRECT_32 : DIRECT_LONG,
                                             .access = { .kind = VMMU_X86_WRITE } };
    const struct reference_result wanted = { .end = END_REACHES, .gpa = 0 };

    return mode->paging == VMMU_X86_PAGING_NONE || reference_judge(reference, &access, &wanted) != FORBIDDEN;
}

/* It flushes again and again, and changes nothing meanwhile: what follows its tables may come to count on them. */
void generate_calm(struct generator *generator, unsigned vp)
{
    for (unsigned i = 4 + luck_below(&generator->luck, 6); i > 0; i--) {
        put(generator, vp, OP_CR3, registers(generator, vp)->cr3);
        if (luck_once_in(&generator->luck, 2)) {
            generate_access(generator, vp);
        }
    }
}

/* A root of @vp's, as CR3 has it, is edited at its top. */
static void edit_root(struct generator *generator, unsigned vp, uint64_t root)
{
    struct luck *luck = &generator->luck;
    const uint64_t index = (const uint64_t[]){ 0, 1, 256 }[luck_below(luck, 3)];
    const uint64_t place = root + index * 8;
    const uint64_t now = reference_load(world_reference(generator->world), place, 8);
    /* Another table of the same kind, or none. */
    const uint64_t entry = luck_once_in(luck, 4) ? now & ~BIT64(0) : now ^ VMMU_PAGE_BYTES;

    generate_write(generator, vp, place, entry, 8);
}

void generate_churn(struct generator *generator, unsigned vp)
{
    struct luck *luck = &generator->luck;
    const uint64_t root = generate_cr3(generator, vp) & BITS64(51, 12);
    const uint64_t back = registers(generator, vp)->cr3;
    const bool long_mode = (registers(generator, vp)->efer & VMMU_X86_EFER_LME) != 0;
    uint64_t address = 0;

    put(generator, vp, OP_CR3, root);
    for (unsigned i = 1 + luck_below(luck, 4); i > 0; i--) {
        generate_access(generator, vp);
        address = generator->recent[0];
    }
    put(generator, vp, OP_CR3, back & ~VMMU_X86_CR3_NO_FLUSH);
    for (unsigned i = luck_below(luck, 4); i > 0; i--) {
        generate_toggle(generator, vp);
        generate_sweep(generator, vp);
    }
    if (luck_once_in(luck, 2)) {
        generate_host(generator);
    }
    if (long_mode) {
        edit_root(generator, vp, root);
    }
    put(generator, vp, OP_CR3, root);
    for (unsigned i = 1 + luck_below(luck, 4); i > 0; i--) {
        generator->recent[0] = address;
        generate_access(generator, vp);
    }
}
