/*
 * A partition's memory: see host_memory.h.
 */
#include "tests/booke/machine/host_memory.h"

/* Room for one place of one bank. */
#define PLACE_BYTES UINT64_C(0x40000000)

/* Banks that touch and are not contiguous in the host; large ones; single pages; one above 4 GiB. */
static const struct {
    uint64_t gpa, bytes;
} layout[BANKS] = {
    { 0, 0x100000 },          { 0x100000, 0xF00000 },
    { 0x1000000, 0x3000000 }, { 0x8001000, 0x1000 },
    { 0x8004000, 0x9000 },    { 0x10000000, 0x10000000 },
    { 0xC0000000, 0x2000 },   { UINT64_C(0x100000000), 0x1000000 },
};

void host_memory_init(struct host_memory *memory, unsigned number, struct luck *luck)
{
    static const uint64_t shifts[] = { 0, 0, 0x1000, 0x10000, 0x101000, 0x1000000, 0x400000 };

    for (unsigned i = 0; i < BANKS; i++) {
        struct bank *bank = &memory->bank[i];

        *bank = (struct bank){ .gpa = layout[i].gpa, .most_bytes = layout[i].bytes };
        for (unsigned side = 0; side < 2; side++) {
            const uint64_t place = 5 + ((uint64_t)number * BANKS + i) * 2 + side;

            bank->place[side] = place * PLACE_BYTES + bank->gpa % UINT64_C(0x10000000) +
                                shifts[luck_below(luck, sizeof(shifts) / sizeof(shifts[0]))];
        }
        (void)host_memory_give(memory, i, luck_below(luck, 4) == 0 ? luck_below(luck, 16) : 6);
    }
}

struct bank host_memory_give(struct host_memory *memory, unsigned bank, uint32_t how)
{
    struct bank *to = &memory->bank[bank];
    struct bank before = *to;
    uint64_t stays = 0;

    to->hpa = to->place[how & 1];
    to->write = how & 2;
    to->execute = how & 4;
    to->size_bytes = to->most_bytes;
    if ((how & 8) && to->most_bytes > 0x1000) {
        to->size_bytes = to->most_bytes / 0x1000 * (1 + (how >> 5) % 16) / 17 * 0x1000;
    }
    to->lost = false;
    if (before.hpa == to->hpa && before.write == to->write && before.execute == to->execute && !before.lost) {
        stays = before.size_bytes < to->size_bytes ? before.size_bytes : to->size_bytes;
        before.gpa += stays;
        before.size_bytes -= stays;
    }
    if (stays == 0) {
        to->told_bytes = to->size_bytes;
    } else if (to->told_bytes > stays) {
        to->told_bytes = stays;
    }
    return before;
}

const struct bank *host_memory_at(const struct host_memory *memory, uint64_t gpa)
{
    for (unsigned i = 0; i < BANKS; i++) {
        const struct bank *bank = &memory->bank[i];

        if (gpa >= bank->gpa && gpa - bank->gpa < bank->size_bytes) {
            return bank;
        }
    }
    return NULL;
}

const struct bank *host_memory_owner(const struct host_memory *memory, uint64_t hpa, uint64_t size_bytes)
{
    for (unsigned i = 0; i < BANKS; i++) {
        const struct bank *bank = &memory->bank[i];

        if (hpa >= bank->hpa && hpa - bank->hpa < bank->size_bytes &&
            size_bytes <= bank->size_bytes - (hpa - bank->hpa)) {
            return bank->lost ? NULL : bank;
        }
    }
    return NULL;
}
