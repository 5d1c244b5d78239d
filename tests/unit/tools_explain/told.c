#include "tests/unit/tools_explain/told.h"

#include "tests/unit/modern_cpu.h"
#include "tests/unit/test.h"

void told_open(struct told *told, enum vmmu_x86_paging paging)
{
    const bool long_mode = paging == VMMU_X86_PAGING_4LEVEL || paging == VMMU_X86_PAGING_5LEVEL;
    unsigned count;

    engine_guest_open(&told->guest, paging);
    engine_guest_map(&told->guest, TOLD_VA, 1, GUEST_DATA | GUEST_LEAF);
    told->machine = (struct machine){
        .cpu = { .maxphyaddr = 40, MODERN_PAGING },
        .registers = { .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_PG | VMMU_X86_CR0_WP | VMMU_X86_CR0_ET,
                       .cr3 = GUEST_ROOT,
                       .cr4 = VMMU_X86_CR4_PAE,
                       .efer = long_mode ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0 },
        .mode = told->guest.mode,
        .pat = UINT64_C(0x0007040600070406), /* WB first */
        .ram = engine_memory_ram(told->guest.memory),
    };
    told->machine.ranges = engine_memory_ranges(told->guest.memory, &count);
    told->machine.range_count = count;
}

void told_close(struct told *told)
{
    engine_guest_close(&told->guest);
}

struct story *told_story(const struct told *told, const char *code, bool amd)
{
    const struct story_options options = { .code = code, .amd = amd };
    struct complaint complaint = { .text = "" };
    struct story *story = story_make(&told->machine, &options, &complaint);

    if (!story) {
        print_error("%s: %s\n", code, complaint.text);
    }
    EXPECT(story != NULL);
    return story;
}
