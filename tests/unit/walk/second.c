#include "second.h"

#include "tests/unit/test.h"

const struct vmmu_x86_limits full_limits = {
    .physical_bits = 52, .nx = true, .pse36 = true, .gib_pages = true, .execute_only = true
};

struct second second_npt(struct world *world, enum vmmu_x86_format_name format)
{
    struct second second = { .world = world, .next_table = SECOND_ROOT + 0x1000 };
    const vmmu_hpa root = { SECOND_ROOT };

    EXPECT_EQ(vmmu_stage2_npt(format, &full_limits, &world->ram, root, &second.stage2), VMMU_OK);
    return second;
}

struct second second_ept(struct world *world, unsigned levels, bool accessed_dirty)
{
    struct second second = { .world = world, .next_table = SECOND_ROOT + 0x1000 };
    const uint64_t eptp = SECOND_ROOT | (accessed_dirty ? BIT64(6) : 0) | ((uint64_t)(levels - 1) << 3) | 6;

    EXPECT_EQ(vmmu_stage2_ept(eptp, &full_limits, &world->ram, &second.stage2), VMMU_OK);
    return second;
}

static const struct vmmu_x86_format *format_of(const struct second *second)
{
    return vmmu_format_of(&second->stage2.layout);
}

uint64_t second_entry_at(const struct second *second, unsigned level, uint64_t gpa)
{
    const struct vmmu_x86_format *format = format_of(second);
    uint64_t table = second->stage2.root.v;

    for (unsigned number = format->levels;; number--) {
        const uint64_t at =
            table + vmmu_format_index(&format->level[number], gpa) * (uint64_t)format->entry_bytes;

        if (number == level) {
            return at;
        }
        table = vmmu_format_table(&format->level[number], world_read(second->world, at, format->entry_bytes));
    }
}

uint64_t second_entry(const struct second *second, unsigned level, uint64_t gpa)
{
    return world_read(second->world, second_entry_at(second, level, gpa), format_of(second)->entry_bytes);
}

void second_put(const struct second *second, unsigned level, uint64_t gpa, uint64_t entry)
{
    world_write(second->world, second_entry_at(second, level, gpa), format_of(second)->entry_bytes, entry);
}

void second_map(struct second *second, unsigned level, uint64_t gpa, uint64_t frame, uint8_t rights)
{
    const struct vmmu_x86_format *format = format_of(second);

    for (unsigned number = format->levels; number > level; number--) {
        if (!vmmu_format_is_present(format, second_entry(second, number, gpa))) {
            second_put(second, number, gpa,
                       vmmu_format_link(format, &format->level[number], second->next_table));
            second->next_table += 0x1000;
        }
    }
    second_put(second, level, gpa,
               vmmu_format_leaf(format, &format->level[level], frame, rights) |
                   vmmu_format_memory_type_bits(format, VMMU_X86_TYPE_WB));
}
