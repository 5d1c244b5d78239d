/*
 * Scans of address spaces: any registers, tables that link to each other, any range, any budget.
 *
 * One input is a processor, its paging registers, memory, and some ranges. What a scan tells ascends, stays in the
 * range and within the budget; a walk finds the same at its first address, and nothing mapped where nothing is told.
 */
#include <vmmu/scan.h>

#include "input.h"
#include "memory.h"
#include "paging.h"

#define RANGES 4
#define BUDGET UINT64_C(3000)

struct trial {
    struct vmmu_x86_mode mode;
    struct memory *memory;
    struct vmmu_ram ram;
};

/* A walk that no right stops. */
static enum vmmu_status walk_to(const struct trial *trial, uint64_t address,
                                struct vmmu_x86_walk_result *walk)
{
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .eflags_ac = true };
    struct vmmu_x86_mode mode = trial->mode;

    mode.user_keys = false;
    mode.system_keys = false;
    return vmmu_x86_walk(&mode, &trial->ram, (vmmu_gva){ address }, access, walk);
}

/* What a walk finds at the first address of @item. */
static void check_walk(const struct trial *trial, enum vmmu_x86_scan_found found,
                       const struct vmmu_x86_scan_item *item)
{
    struct vmmu_x86_walk_result walk;
    const enum vmmu_status status = walk_to(trial, item->address, &walk);

    FUZZ_CHECK((found == VMMU_X86_SCAN_LEAF) == (status == VMMU_OK));
    FUZZ_CHECK((found == VMMU_X86_SCAN_ABSENT) == (status == VMMU_ABSENT));
    if (status == VMMU_OK) {
        FUZZ_CHECK(item->frame == walk.translation.frame.v && item->bytes == walk.translation.page_bytes);
        FUZZ_CHECK(item->rights == walk.translation.rights && item->level == walk.translation.level);
        FUZZ_CHECK(item->pat_index == walk.translation.pat_index && item->key == walk.translation.key);
        FUZZ_CHECK(item->global == walk.translation.global && item->dirty == walk.translation.dirty);
    }
    if (status == VMMU_GUEST_FAULT) {
        FUZZ_CHECK(found == VMMU_X86_SCAN_REFUSED);
        FUZZ_CHECK(walk.fault.error_code & VMMU_X86_PF_RESERVED);
    }
}

/* Of an address that no item holds: an entry on the way to it is not present. */
static void check_unmapped(const struct trial *trial, uint64_t address)
{
    struct vmmu_x86_walk_result walk;

    if (vmmu_walk_is_canonical(&trial->mode, (vmmu_gva){ address })) {
        FUZZ_CHECK(walk_to(trial, address, &walk) == VMMU_GUEST_FAULT);
        FUZZ_CHECK(!(walk.fault.error_code & (VMMU_X86_PF_PRESENT | VMMU_X86_PF_RESERVED)));
    }
}

/* Where the next thing may begin, and where the scan ends. */
struct bounds {
    uint64_t above; /* nothing more begins below; zero before the first */
    uint64_t first;
    uint64_t last;
    bool silent; /* what lies from @above on up to the next item is not mapped */
};

/* What was passed over without a word, up to @last, at its ends. */
static void check_gap(const struct trial *trial, const struct bounds *bounds, uint64_t last)
{
    const uint64_t first = bounds->above > bounds->first ? bounds->above : bounds->first;

    if (bounds->silent && first <= last) {
        check_unmapped(trial, first);
        check_unmapped(trial, last);
    }
}

/* A walk cuts addresses to 32 bits where there are no more; a scan has nothing beyond. */
static uint64_t space_last(const struct trial *trial)
{
    const bool wide =
        trial->mode.paging == VMMU_X86_PAGING_4LEVEL || trial->mode.paging == VMMU_X86_PAGING_5LEVEL;

    return wide ? UINT64_MAX : UINT32_MAX;
}

static void check_item(const struct trial *trial, enum vmmu_x86_scan_found found, struct bounds *bounds,
                       const struct vmmu_x86_scan_item *item)
{
    const uint64_t item_last = item->address + (item->bytes - 1);

    FUZZ_CHECK(item->bytes != 0 && item_last >= item->address);
    FUZZ_CHECK(item->address >= bounds->above && item->address <= bounds->last && item_last >= bounds->first);
    FUZZ_CHECK(vmmu_walk_is_canonical(&trial->mode, (vmmu_gva){ item->address }));
    FUZZ_CHECK(vmmu_walk_is_canonical(&trial->mode, (vmmu_gva){ item_last }));
    if (item->address != 0) {
        check_gap(trial, bounds, item->address - 1);
    }
    bounds->silent = found == VMMU_X86_SCAN_TABLE || item_last != UINT64_MAX;
    if (found == VMMU_X86_SCAN_TABLE) {
        bounds->above = item->address;
        return;
    }
    bounds->above = item_last == UINT64_MAX ? item_last : item_last + 1;
    check_walk(trial, found, item);
}

static void scan(const struct trial *trial, struct input *input)
{
    struct bounds bounds = { .first = input_u64(input), .last = input_u64(input), .silent = true };
    struct vmmu_x86_scan cursor;
    struct vmmu_x86_scan_item item;
    enum vmmu_x86_scan_found found;
    const uint8_t flags = input_u8(input);
    const uint64_t budget = BUDGET - input_u8(input);

    bounds.last = (flags & 1) ? bounds.first + bounds.last % BIT64(30) : bounds.last;
    vmmu_scan_begin(&cursor, &trial->mode, &trial->ram, budget);
    vmmu_scan_seek(&cursor, bounds.first, bounds.last);
    cursor.tables = flags & 2;
    for (unsigned told = 0;; told++) {
        found = vmmu_scan_next(&cursor, &item);
        if (found == VMMU_X86_SCAN_END || found == VMMU_X86_SCAN_SPENT) {
            break;
        }
        check_item(trial, found, &bounds, &item);
        if (found == VMMU_X86_SCAN_TABLE && (flags & 4) && told % 8 == 7) {
            vmmu_scan_skip(&cursor);
            bounds.silent = false;
        }
    }
    if (found == VMMU_X86_SCAN_END) {
        check_gap(trial, &bounds, bounds.last < space_last(trial) ? bounds.last : space_last(trial));
    }
    FUZZ_CHECK(cursor.budget <= budget && (found == VMMU_X86_SCAN_END || cursor.budget == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    static struct memory memory;
    struct trial trial = { .memory = &memory };
    const struct vmmu_x86_cpu cpu = draw_cpu(&input);
    const struct vmmu_x86_paging_registers registers = memory_draw_registers(&input, &cpu);

    if (vmmu_mode_make(&cpu, &registers, &trial.mode) != VMMU_OK) {
        return 0;
    }
    memory_draw(&memory, &input);
    trial.ram = memory_ram(&memory);
    for (unsigned i = 0; i < RANGES; i++) {
        scan(&trial, &input);
    }
    return 0;
}
