/*
 * What a scan tells is what walks find: over random tables that link to each other, a seek to any address comes to an
 * entry that holds it exactly if a walk of that address has something to say, and says the same. And over whole, sparse
 * address spaces: every page that walks find is told, once.
 */
#include <stdlib.h>

#include "room.h"
#include "tests/unit/test.h"

#define PLENTY UINT64_C(10000000)
#define LINKED 8 /* pages 1 to 8 hold tables; those from 64 on are not there */
#define ROUNDS 60
#define PROBES 400

static uint64_t seed = UINT64_C(0x9E3779B97F4A7C15);

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static unsigned below(unsigned limit)
{
    return (unsigned)(draw() % limit);
}

/* An entry that leads on, mostly. */
static uint64_t draw_entry(unsigned entry_bytes)
{
    const uint64_t page = below(16) == 0 ? UINT64_C(0x7000) : 1 + below(LINKED);
    uint64_t entry = (page << 12) | E_P | (draw() & (E_RW | E_US | E_PWT | E_PCD | E_A | E_D | E_G));

    entry |= below(3) == 0 ? E_PS : 0;
    if (entry_bytes == 8) {
        entry |= below(4) == 0 ? E_NX | (draw() & BITS64(62, 59)) : 0;
        entry |= below(4) == 0 ? BIT64(30 + below(10)) : 0;
    }
    entry ^= below(24) == 0 ? BIT64(below(entry_bytes * 8)) : 0;
    return below(5) == 0 ? entry & ~E_P : entry;
}

static void fill(struct room *room, unsigned entry_bytes)
{
    for (unsigned page = 1; page <= LINKED; page++) {
        for (unsigned index = 0; index < 4096 / entry_bytes; index++) {
            room_put(room, page * UINT64_C(4096), index, entry_bytes, draw_entry(entry_bytes));
        }
    }
}

static uint64_t draw_address(void)
{
    const uint64_t address = draw() >> (16 - below(2) * 9);

    switch (below(4)) {
    case 0: return address & UINT32_MAX;
    case 1: return (uint64_t)((int64_t)(draw() << 16) >> 16);
    case 2: return (uint64_t)((int64_t)(draw() << 7) >> 7);
    default: return address;
    }
}

/* The thing that a scan tells of @address: the kind, END if nothing holds it. */
static enum vmmu_x86_scan_found told_of(struct vmmu_x86_scan *scan, uint64_t address,
                                        struct vmmu_x86_scan_item *item)
{
    vmmu_scan_seek(scan, address, address);
    const enum vmmu_x86_scan_found found = vmmu_scan_next(scan, item);

    if (found != VMMU_X86_SCAN_END) {
        EXPECT(item->address <= address && address - item->address < item->bytes);
        struct vmmu_x86_scan_item more;

        EXPECT_EQ(vmmu_scan_next(scan, &more), VMMU_X86_SCAN_END);
    }
    return found;
}

static void compare_translation(const struct vmmu_x86_scan_item *item,
                                const struct vmmu_x86_walk_result *walk)
{
    const struct vmmu_x86_translation *found = &walk->translation;
    const struct vmmu_x86_step *leaf = &walk->steps[walk->step_count == 0 ? 0 : walk->step_count - 1];

    EXPECT(item->frame == found->frame.v && item->bytes == found->page_bytes &&
           item->rights == found->rights);
    EXPECT(item->level == found->level && item->pat_index == found->pat_index && item->key == found->key);
    EXPECT(item->global == found->global && item->dirty == found->dirty);
    EXPECT(walk->step_count == 0 || (item->entry == leaf->value && item->place == leaf->place));
}

/* A walk by whom no right is refused: supervisor, reading, AC set. */
static void compare(const struct vmmu_x86_mode *mode, struct room *room, uint64_t address)
{
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .eflags_ac = true };
    struct vmmu_x86_walk_result walk;
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    if (!vmmu_walk_is_canonical(mode, (vmmu_gva){ address }) ||
        (mode->address_bits == 32 && address > UINT32_MAX)) {
        return;
    }
    vmmu_scan_begin(&scan, mode, &room->ram, PLENTY);
    const enum vmmu_x86_scan_found found = told_of(&scan, address, &item);
    const enum vmmu_status status = vmmu_x86_walk(mode, &room->ram, (vmmu_gva){ address }, access, &walk);

    EXPECT_EQ(found == VMMU_X86_SCAN_LEAF, status == VMMU_OK);
    EXPECT_EQ(found == VMMU_X86_SCAN_ABSENT, status == VMMU_ABSENT);
    if (status == VMMU_OK) {
        compare_translation(&item, &walk);
    } else if (status == VMMU_GUEST_FAULT) {
        const bool refused = (walk.fault.error_code & VMMU_X86_PF_RESERVED) != 0;

        EXPECT_EQ(found, refused ? VMMU_X86_SCAN_REFUSED : VMMU_X86_SCAN_END);
        EXPECT(!refused || item.place == walk.steps[walk.step_count - 1].place);
        EXPECT(!refused || item.entry == walk.steps[walk.step_count - 1].value);
    }
}

static void check_paging(enum vmmu_x86_paging paging, bool pdpte_in_memory)
{
    struct room *room = room_new();

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct vmmu_x86_paging_registers registers = registers_for(paging);
        struct vmmu_x86_cpu cpu = full_cpu;
        struct vmmu_x86_mode mode;

        cpu.maxphyaddr = (uint8_t)(below(2) == 0 ? 52 : 34);
        cpu.gib_pages = below(4) != 0;
        cpu.bit8_reserved = below(4) == 0;
        registers.pdpte_in_memory = pdpte_in_memory;
        for (unsigned i = 0; i < 4; i++) {
            registers.pdpte[i] = ((1 + below(LINKED)) << 12) | (below(4) != 0 ? E_P : 0);
        }
        EXPECT_EQ(vmmu_mode_make(&cpu, &registers, &mode), VMMU_OK);
        fill(room, paging == VMMU_X86_PAGING_32BIT ? 4 : 8);
        for (unsigned probe = 0; probe < PROBES; probe++) {
            compare(&mode, room, draw_address());
        }
    }
    free(room);
}

static void test_a_scan_tells_of_any_address_what_a_walk_finds(void **state)
{
    (void)state;
    check_paging(VMMU_X86_PAGING_NONE, true);
    check_paging(VMMU_X86_PAGING_32BIT, true);
    check_paging(VMMU_X86_PAGING_PAE, true);
    check_paging(VMMU_X86_PAGING_PAE, false);
    check_paging(VMMU_X86_PAGING_4LEVEL, true);
    check_paging(VMMU_X86_PAGING_5LEVEL, true);
}

static void compare_stage2(const struct vmmu_x86_stage2 *stage2, uint64_t gpa)
{
    const struct vmmu_x86_stage2_access access = { .kind = VMMU_X86_READ };
    struct vmmu_x86_stage2_result walk;
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    vmmu_scan_begin_stage2(&scan, stage2, PLENTY);
    const enum vmmu_x86_scan_found found = told_of(&scan, gpa, &item);
    const enum vmmu_status status = vmmu_x86_walk_stage2(stage2, (vmmu_gpa){ gpa }, access, &walk);

    EXPECT_EQ(found == VMMU_X86_SCAN_ABSENT, status == VMMU_ABSENT);
    if (status == VMMU_OK) {
        EXPECT_EQ(found, VMMU_X86_SCAN_LEAF);
        EXPECT(item.frame == walk.translation.frame.v && item.bytes == walk.translation.page_bytes);
        EXPECT(item.rights == walk.translation.rights && item.level == walk.translation.level);
        EXPECT(item.pat_index == walk.translation.pat_index && item.dirty == walk.translation.dirty);
        EXPECT(item.memory_type == walk.translation.memory_type &&
               item.ignore_pat == walk.translation.ignore_pat);
    } else if (status == VMMU_STAGE2) {
        static const enum vmmu_x86_scan_found kinds[] = {
            [VMMU_X86_STAGE2_NOT_PRESENT] = VMMU_X86_SCAN_END,
            [VMMU_X86_STAGE2_RIGHTS] = VMMU_X86_SCAN_LEAF,
            [VMMU_X86_STAGE2_RESERVED] = VMMU_X86_SCAN_REFUSED,
            [VMMU_X86_STAGE2_MISCONFIGURED] = VMMU_X86_SCAN_REFUSED,
        };

        EXPECT_EQ(found, kinds[walk.fault.reason]);
        EXPECT(found != VMMU_X86_SCAN_LEAF || item.rights == walk.fault.rights);
    }
}

static void test_a_scan_of_a_second_stage_tells_what_its_walk_finds(void **state)
{
    struct room *room = room_new();

    (void)state;
    for (unsigned round = 0; round < 4 * ROUNDS; round++) {
        const unsigned kind = round % 6;
        struct vmmu_x86_stage2 stage2;
        const enum vmmu_x86_format_name format =
            (enum vmmu_x86_format_name)(VMMU_X86_FORMAT_32BIT_PSE + kind);

        fill(room, format == VMMU_X86_FORMAT_32BIT_PSE ? 4 : 8);
        if (format >= VMMU_X86_FORMAT_EPT4) {
            const unsigned length = format == VMMU_X86_FORMAT_EPT4 ? 3 : 4;

            EXPECT_EQ(vmmu_stage2_ept(0x1000 | (length << 3) | 6, &full_limits, &room->ram, &stage2),
                      VMMU_OK);
        } else {
            EXPECT_EQ(vmmu_stage2_npt(format, &full_limits, &room->ram, (vmmu_hpa){ 0x1000 }, &stage2),
                      VMMU_OK);
        }
        for (unsigned probe = 0; probe < PROBES; probe++) {
            compare_stage2(&stage2, draw_address());
        }
    }
    free(room);
}

/* Three tables of each level, a few present entries in each: small enough to be scanned whole. */
static void fill_sparsely(struct room *room)
{
    for (unsigned level = 4; level >= 1; level--) {
        for (unsigned table = 0; table < 3; table++) {
            for (unsigned i = 0; i < 6; i++) {
                const uint64_t below_it = ((4 - level) * 3 + 4 + below(3)) << 12;

                room_put(room, ((4 - level) * 3 + table + 1) * UINT64_C(4096), below(512), 8,
                         (level == 1 ? 0x30000 : below_it) | E_ALL);
            }
        }
    }
}

/* How many pages walks find, of all that entries are present for; @address is the first of @table's, without sign. */
static uint64_t count_walks(const struct room *room, const struct vmmu_x86_mode *mode, unsigned level,
                            uint64_t table, uint64_t address)
{
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .eflags_ac = true };
    struct vmmu_x86_walk_result walk;
    uint64_t count = 0;

    for (uint64_t index = 0; index < 512; index++) {
        const uint64_t entry = room->words[table / 8 + index];
        const uint64_t at = address | (index << (12 + 9 * (level - 1)));
        const vmmu_gva va = { (uint64_t)((int64_t)(at << 16) >> 16) };

        if ((entry & E_P) && level > 1) {
            count += count_walks(room, mode, level - 1, entry & BITS64(51, 12), at);
        } else if (entry & E_P) {
            count += vmmu_x86_walk(mode, &room->ram, va, access, &walk) == VMMU_OK;
        }
    }
    return count;
}

static void test_what_a_whole_scan_tells_ascends_and_is_all_there_is(void **state)
{
    const struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_mode mode = mode_of(&registers);
    struct room *room = room_new();
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;
    uint64_t told = 0;
    uint64_t above = 0;

    (void)state;
    fill_sparsely(room);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    while (vmmu_scan_next(&scan, &item) == VMMU_X86_SCAN_LEAF) {
        EXPECT(told == 0 || item.address >= above);
        above = item.address + item.bytes;
        told++;
    }
    expect_next(&scan, VMMU_X86_SCAN_END, &item);

    EXPECT(told > 100);
    EXPECT_EQ(told, count_walks(room, &mode, 4, 0x1000, 0));
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_scan_tells_of_any_address_what_a_walk_finds),
        cmocka_unit_test(test_a_scan_of_a_second_stage_tells_what_its_walk_finds),
        cmocka_unit_test(test_what_a_whole_scan_tells_ascends_and_is_all_there_is),
    };
    return RUN_TESTS(tests);
}
