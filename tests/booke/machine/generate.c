/*
 * Draws operations: see generate.h.
 */
#include "tests/booke/machine/generate.h"

#include <stddef.h>

#define PAGE UINT32_C(0x1000)

static uint32_t below(struct generator *generator, uint32_t limit)
{
    return luck_below(&generator->luck, limit);
}

static bool once_in(struct generator *generator, uint32_t times)
{
    return luck_once_in(&generator->luck, times);
}

static uint32_t any(struct generator *generator)
{
    return (uint32_t)luck_next(&generator->luck);
}

void generator_init(struct generator *generator, uint64_t seed)
{
    static const unsigned rates[] = { 2, 10, 1000 };

    *generator = (struct generator){ .luck = luck_from(seed) };
    generator->mixed_one_in = rates[below(generator, 3)];
    generator->pids_one_in = rates[below(generator, 3)];
    generator->hostile_one_in = 4 + below(generator, 40);
}

/* --- addresses --- */

static uint32_t draw_page(struct generator *generator)
{
    static const uint32_t bases[] = { 0,          0,          0x10000,    0x400000,  0x7FFFE000,
                                      0x80000000, 0xC0000000, 0xC0100000, 0xFFFF8000 };

    if (once_in(generator, 60)) {
        return any(generator) & ~(PAGE - 1);
    }
    return bases[below(generator, sizeof(bases) / sizeof(bases[0]))] + below(generator, 8) * PAGE;
}

/* A valid entry of the guest's that an access in @space can match now; some valid one; or NULL. */
static const struct reference_entry *draw_valid(struct generator *generator,
                                                const struct reference *reference, bool space)
{
    const struct reference_entry *found = NULL;
    const unsigned start = below(generator, reference->entries);

    for (unsigned i = 0; i < reference->entries; i++) {
        const struct reference_entry *entry = &reference->entry[(start + i) % reference->entries];

        if (!entry->valid) {
            continue;
        }
        found = entry;
        if (entry->space == space && (entry->tid == 0 || entry->tid == reference->registers.pid[0])) {
            break;
        }
    }
    return found;
}

/* An address in what @extent covers: often at its ends. */
static uint32_t draw_within(struct generator *generator, struct reference_change extent)
{
    static const uint32_t offsets[] = { 0, 4, 0xFFC, 0xFFE, 0x800 };
    const uint32_t pages = (extent.last - extent.first) / PAGE + 1;
    uint32_t page;

    switch (below(generator, 4)) {
    case 0: page = extent.first; break;
    case 1: page = extent.last & ~(PAGE - 1); break;
    case 2: page = extent.first + below(generator, pages < 8 ? pages : 8) * PAGE; break;
    default: page = extent.first + below(generator, pages) * PAGE; break;
    }
    if (once_in(generator, 30)) {
        page += once_in(generator, 2) ? PAGE : -PAGE;
    }
    return page + offsets[below(generator, sizeof(offsets) / sizeof(offsets[0]))];
}

/* Where a guest goes: mostly where it has an entry for @space; where one was written; or anywhere. */
static uint32_t draw_address(struct generator *generator, const struct world *world, bool space)
{
    const struct reference_entry *entry;

    switch (below(generator, 8)) {
    case 0: return draw_page(generator) + below(generator, PAGE);
    case 1: return draw_within(generator, generator->recent[below(generator, RECENT)]);
    case 2: return generator->again;
    default:
        entry = draw_valid(generator, world_reference(world, generator->vp), space);
        return entry ? draw_within(generator, reference_extent(entry)) : draw_page(generator);
    }
}

/* Guest-physical memory for a page of that size, aligned to it where that is possible; or something that is none. */
static uint64_t draw_frame(struct generator *generator, const struct world *world, uint64_t bytes)
{
    const struct host_memory *memory = world_memory(world, generator->vp);
    const struct bank *bank = &memory->bank[below(generator, BANKS)];
    uint64_t first = (bank->gpa + bytes - 1) / bytes * bytes;

    for (unsigned i = 0; i < BANKS && first + bytes > bank->gpa + bank->size_bytes; i++) {
        bank = &memory->bank[below(generator, BANKS)];
        first = (bank->gpa + bytes - 1) / bytes * bytes;
    }

    if (once_in(generator, generator->hostile_one_in)) {
        switch (below(generator, 4)) {
        case 0: return UINT64_C(0xFE0000000) + (uint64_t)below(generator, 16) * PAGE;
        case 1: return memory->bank[below(generator, BANKS)].hpa;
        case 2: return bank->gpa + bank->most_bytes - PAGE;
        default: return (uint64_t)any(generator) << 4 & ~(uint64_t)(PAGE - 1);
        }
    }
    if (first + bytes > bank->gpa + bank->most_bytes) {
        return bank->gpa / bytes * bytes;
    }
    const uint64_t places = (bank->gpa + bank->most_bytes - first) / bytes;

    return first + below(generator, places < 16 ? (uint32_t)places : 16) * bytes;
}

/* --- registers --- */

static uint32_t draw_tid(struct generator *generator, const struct reference *reference)
{
    switch (below(generator, 8)) {
    case 0:
    case 1:
    case 2: return 0;
    case 3: return below(generator, 4);
    case 4: return reference->registers.pid[below(generator, 3)];
    case 5: return once_in(generator, 8) ? any(generator) : below(generator, 3);
    default: return reference->registers.pid[0];
    }
}

static uint32_t draw_pid(struct generator *generator)
{
    return once_in(generator, 30) ? any(generator) : below(generator, once_in(generator, 6) ? 40 : 4);
}

static void draw_set(struct generator *generator, const struct world *world, struct op *op)
{
    op->kind = OP_SET;
    switch (below(generator, 12)) {
    case 0:
        op->which = VMMU_BOOKE_MAS4;
        op->value = put(below(generator, 8) == 0, 35, 35) | put(below(generator, 4), 46, 47) |
                    put(below(generator, 16), 52, 55) | put(any(generator), 57, 63);
        break;
    case 1:
        op->which = VMMU_BOOKE_MAS6;
        op->value = put(draw_pid(generator), 34, 47) | put(below(generator, 2), 63, 63);
        break;
    case 2:
        op->which = VMMU_BOOKE_MMUCSR0;
        op->value = once_in(generator, 6) ? any(generator) : 0;
        break;
    case 3:
        op->which = VMMU_BOOKE_HID0;
        op->value = any(generator);
        break;
    case 4:
    case 5:
        op->which = VMMU_BOOKE_PID1 + below(generator, 2);
        op->value = once_in(generator, generator->pids_one_in) ? draw_pid(generator) : 0;
        if (op->value != 0 && once_in(generator, 2)) {
            const struct reference_entry *entry =
                draw_valid(generator, world_reference(world, generator->vp), false);

            op->value = entry ? entry->tid : op->value;
        }
        break;
    case 6:
        op->which = below(generator, VMMU_BOOKE_PID0);
        op->value = any(generator);
        break;
    default:
        op->which = VMMU_BOOKE_PID0;
        op->value = draw_pid(generator);
        break;
    }
}

static void draw_mode(struct generator *generator, struct op *op)
{
    static const uint32_t plain[] = { 0, 3, 7, 7, 3, 4 };

    op->kind = OP_MODE;
    op->value = plain[below(generator, 6)];
    if (once_in(generator, generator->mixed_one_in)) {
        op->value = below(generator, 8);
    }
}

/* --- entries --- */

static uint32_t draw_rights(struct generator *generator)
{
    static const uint32_t kernels[] = { 0x3F, 0x3F, 0x15, 0x33, 0x0F, 0x35 };

    return once_in(generator, 6) ? below(generator, 64) : kernels[below(generator, 6)];
}

/* MAS1's size, and MAS2 and MAS3 with MAS7 so that they fit each other, mostly. */
static void draw_mapping(struct generator *generator, const struct world *world, struct op *op, unsigned size)
{
    const uint64_t bytes = size_bytes(size);
    const uint64_t frame = draw_frame(generator, world, bytes);
    uint32_t page = draw_page(generator);

    if (!once_in(generator, generator->hostile_one_in)) {
        page = (uint32_t)(page / bytes * bytes);
    }
    op->word[0] = put(size, 52, 55);
    op->word[1] = page | (once_in(generator, 8) ? below(generator, 128) : 4);
    op->word[2] =
        (uint32_t)frame | put(once_in(generator, 8) ? any(generator) : 0, 54, 57) | draw_rights(generator);
    op->word[3] = (uint32_t)(frame >> 32);
    generator->recent[below(generator, RECENT)] = (struct reference_change){
        page, (uint32_t)((page + bytes - 1 > UINT32_MAX ? UINT32_MAX : page + bytes - 1))
    };
}

static void draw_new_entry(struct generator *generator, const struct world *world, struct op *op)
{
    const struct reference *reference = world_reference(world, generator->vp);
    const bool large = below(generator, 5) < 2;
    const unsigned size = large ? 1 + below(generator, once_in(generator, 4) ? 11 : 7) : 1;

    op->value =
        put(large, 35, 35) | put(below(generator, large ? 16 : 4), 36, 47) | put(below(generator, 4), 62, 63);
    draw_mapping(generator, world, op, size);
    op->word[0] |=
        put(!once_in(generator, 7), 32, 32) | put(once_in(generator, 6), 33, 33) |
        put(draw_tid(generator, reference), 34, 47) |
        put(once_in(generator, 4) ? below(generator, 2) : world_state(world, generator->vp).data_space, 51,
            51);
    if (once_in(generator, generator->hostile_one_in)) {
        op->word[below(generator, 4)] = any(generator);
        op->value ^= any(generator);
    }
}

/* What a kernel's handler of TLB errors does: MAS0 to MAS2 are as the interrupt left them. */
static void draw_answer(struct generator *generator, const struct world *world, struct op *op)
{
    const uint32_t *mas = world_reference(world, generator->vp)->registers.mas;

    draw_mapping(generator, world, op, field(mas[1], 52, 55));
    op->which = 1 + 2 * below(generator, 2);
    op->value = mas[0];
    op->word[0] = (mas[1] | put(1, 32, 32)) ^ (once_in(generator, 8) ? put(below(generator, 4), 46, 47) : 0);
    op->word[1] = mas[2];
}

/* The registers that write @entry as it is. */
static void take_entry(struct generator *generator, const struct reference_entry *entry, struct op *op)
{
    const unsigned rights = (unsigned)entry->ux << 5 | (unsigned)entry->sx << 4 | (unsigned)entry->uw << 3 |
                            (unsigned)entry->sw << 2 | (unsigned)entry->ur << 1 | entry->sr;

    op->kind = OP_ENTRY;
    op->value = put(entry->array, 35, 35) | put(entry->way, 36, 47) | put(below(generator, 4), 62, 63);
    op->word[0] = put(entry->valid, 32, 32) | put(entry->protect, 33, 33) | put(entry->tid, 34, 47) |
                  put(entry->space, 51, 51) | put(entry->size, 52, 55);
    op->word[1] = entry->page | entry->attributes;
    op->word[2] = (uint32_t)entry->frame | put(entry->user_bits, 54, 57) | rights;
    op->word[3] = (uint32_t)(entry->frame >> 32);
}

/* An entry that stands already, a little different or just the same: a right more, another frame, gone. */
static void draw_change(struct generator *generator, const struct world *world, struct op *op)
{
    const struct reference *reference = world_reference(world, generator->vp);
    const struct reference_entry *entry = draw_valid(generator, reference, below(generator, 2));

    take_entry(generator, entry ? entry : &reference->entry[below(generator, reference->entries)], op);
    switch (below(generator, 6)) {
    case 0: op->word[0] ^= put(1, 32, 32); break;
    case 1: op->word[0] ^= put(1, 51, 51); break;
    case 2: op->word[0] ^= put(below(generator, 4), 40, 47); break;
    case 3: op->word[2] ^= below(generator, 64); break;
    case 4: op->word[2] ^= PAGE << below(generator, 8); break;
    default: break;
    }
}

static void draw_entry(struct generator *generator, const struct world *world, struct op *op)
{
    op->kind = OP_ENTRY;
    switch (below(generator, 8)) {
    case 0: draw_answer(generator, world, op); break;
    case 1: draw_change(generator, world, op); break;
    default: draw_new_entry(generator, world, op); break;
    }
}

/* --- the rest --- */

static void draw_access(struct generator *generator, const struct world *world, struct op *op)
{
    const struct vmmu_booke_state state = world_state(world, generator->vp);
    static const enum op_kind kinds[] = { OP_LOAD, OP_LOAD, OP_STORE, OP_FETCH };

    op->kind = kinds[below(generator, 4)];
    op->address =
        draw_address(generator, world, op->kind == OP_FETCH ? state.instruction_space : state.data_space);
    op->at = once_in(generator, 8) ? op->address : draw_address(generator, world, state.instruction_space);
    op->which = once_in(generator, 4) ? below(generator, 128) : below(generator, 4);
    op->value = below(generator, 2);
    if (state.instruction_space != state.data_space && once_in(generator, 3)) {
        op->at = op->address ^ PAGE << below(generator, 6);
        op->value = 1;
    }
}

static void draw_host(struct generator *generator, const struct world *world, struct op *op)
{
    static const enum op_kind kinds[] = { OP_HOST_GIVE, OP_HOST_GIVE, OP_HOST_GIVE, OP_HOST_GIVE,
                                          OP_HOST_TAKE, OP_HOST_LOSE, OP_FORGET,    OP_MOVE };

    op->kind = kinds[below(generator, 8)];
    op->which = op->kind == OP_MOVE ? below(generator, world_processors(world)) : below(generator, BANKS);
    switch (below(generator, 4)) {
    case 0: op->value = below(generator, 512); break;
    case 1: op->value = 6 | 8 | below(generator, 16) << 5; break;
    default: op->value = 6; break;
    }
}

static void draw_instruction(struct generator *generator, const struct world *world, struct op *op)
{
    static const enum op_kind kinds[] = { OP_READ,       OP_SEARCH, OP_SEARCH, OP_INVALIDATE,
                                          OP_INVALIDATE, OP_LOCAL,  OP_WRITE };

    op->kind = kinds[below(generator, 7)];
    op->address = draw_address(generator, world, below(generator, 2));
    if (op->kind == OP_INVALIDATE) {
        op->address = (op->address & ~(PAGE - 1)) | put(below(generator, 2), 60, 60) |
                      put(once_in(generator, 20), 61, 61);
        op->which = below(generator, 2);
    } else if (op->kind == OP_LOCAL) {
        op->which = once_in(generator, 5) ? below(generator, 4) : 3;
    }
}

/* Back to where the access was, from a kernel's handler. */
static bool draw_return(struct generator *generator, struct op *op)
{
    if (!generator->handling) {
        return false;
    }
    generator->handling = false;
    *op = (struct op){ .kind = OP_MODE, .vp = generator->vp, .value = generator->mode };
    return true;
}

/* The answer to a miss; in some cases first the state of a handler, as an interrupt leaves it. */
static void draw_handler(struct generator *generator, const struct world *world, struct op *op)
{
    const struct vmmu_booke_state state = world_state(world, generator->vp);
    const uint32_t mode =
        (uint32_t)state.instruction_space | (uint32_t)state.data_space << 1 | (uint32_t)state.problem << 2;

    if (mode != 0 && generator->last.kind != OP_MODE && once_in(generator, 3)) {
        generator->mode = mode;
        generator->missed = true;
        op->kind = OP_MODE;
        return;
    }
    op->kind = OP_ENTRY;
    draw_answer(generator, world, op);
    generator->handling = generator->last.kind == OP_MODE;
}

/* More rights for the entry that refused. */
static bool draw_upgrade(struct generator *generator, const struct world *world, struct op *op)
{
    const struct reference *reference = world_reference(world, generator->vp);
    const struct vmmu_booke_state state = world_state(world, generator->vp);
    const bool space = generator->last.kind == OP_FETCH ? state.instruction_space : state.data_space;
    const int place = reference_match(reference, generator->last.address, space, -1);

    if (place < 0) {
        return false;
    }
    take_entry(generator, &reference->entry[place], op);
    op->word[2] |= below(generator, 64);
    op->word[2] |= below(generator, 64);
    return true;
}

/* A fault has just been: mostly a kernel answers it at once, by an entry, or by more rights of the one that refused. */
static bool draw_reaction(struct generator *generator, const struct world *world, struct op *op)
{
    const struct world_counters *counters = world_counters(world);
    const bool missed = counters->misses != generator->misses || generator->missed;
    const bool refused = counters->refused != generator->refusals;

    generator->misses = counters->misses;
    generator->refusals = counters->refused;
    generator->missed = false;
    if (generator->last.kind != OP_MODE && below(generator, 3) == 0) {
        return false;
    }
    if (missed) {
        draw_handler(generator, world, op);
        return true;
    }
    return refused && draw_upgrade(generator, world, op);
}

static void draw(struct generator *generator, const struct world *world, struct op *op)
{
    const uint32_t what = below(generator, 200);

    *op = (struct op){ .vp = generator->vp };
    if (draw_return(generator, op)) {
        return;
    }
    if (draw_reaction(generator, world, op)) {
        return;
    }
    if (once_in(generator, 12)) {
        generator->vp = below(generator, world_vps(world));
        op->vp = generator->vp;
    }
    if (what < 36) {
        draw_entry(generator, world, op);
    } else if (what < 156) {
        draw_access(generator, world, op);
    } else if (what < 168) {
        draw_set(generator, world, op);
    } else if (what < 176) {
        draw_mode(generator, op);
    } else if (what < 192) {
        draw_instruction(generator, world, op);
    } else {
        draw_host(generator, world, op);
    }
}

void generate(struct generator *generator, const struct world *world, struct op *op)
{
    draw(generator, world, op);
    generator->last = *op;
    if (op->address != 0 && once_in(generator, 3)) {
        generator->again = op->address;
    }
}
