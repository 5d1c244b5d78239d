#include "world.h"

#include "tests/unit/modern_cpu.h"
#include "tests/unit/test.h"

static bool is_absent(const struct world *world, uint64_t address)
{
    return address >= world->absent_base && address - world->absent_base < world->absent_bytes;
}

static struct world_cell *cell_at(struct world *world, uint64_t address)
{
    const uint64_t base = address & ~UINT64_C(7);
    unsigned slot = (unsigned)((base * UINT64_C(0x9E3779B97F4A7C15)) >> 52) % WORLD_CELLS;

    for (unsigned tries = 0; tries < WORLD_CELLS; tries++, slot = (slot + 1) % WORLD_CELLS) {
        struct world_cell *cell = &world->cells[slot];

        if (!cell->used) {
            *cell = (struct world_cell){ .used = true, .address = base };
        }
        if (cell->address == base) {
            return cell;
        }
    }
    fail_msg("the world is full");
    return NULL;
}

uint64_t world_read(struct world *world, uint64_t address, unsigned width_bytes)
{
    const uint64_t value = cell_at(world, address)->value;

    return width_bytes == 8 ? value : (uint32_t)(value >> (8 * (address & 4)));
}

void world_write(struct world *world, uint64_t address, unsigned width_bytes, uint64_t value)
{
    struct world_cell *cell = cell_at(world, address);
    const unsigned shift = 8 * (address & 4);

    assert_true(address % width_bytes == 0);
    if (width_bytes == 8) {
        cell->value = value;
    } else {
        assert_true(value <= UINT32_MAX);
        cell->value = (cell->value & ~((uint64_t)UINT32_MAX << shift)) | (value << shift);
    }
}

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct world *world = context;

    assert_true(address % width_bytes == 0);
    world->loads++;
    if (is_absent(world, address)) {
        return VMMU_ABSENT;
    }
    *value = world_read(world, address, width_bytes);
    return VMMU_OK;
}

static enum vmmu_status exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                 uint64_t desired)
{
    struct world *world = context;

    world->exchanges++;
    if (is_absent(world, address)) {
        return VMMU_ABSENT;
    }
    if (world->race) {
        world->race = false;
        world_write(world, address, width_bytes, world_read(world, address, width_bytes) ^ world->race_bits);
    }
    if (world_read(world, address, width_bytes) != expected) {
        return VMMU_RACED;
    }
    world_write(world, address, width_bytes, desired);
    return VMMU_OK;
}

void world_init(struct world *world)
{
    *world = (struct world){ .ram = { .context = world, .load = load, .exchange = exchange } };
}

const struct vmmu_x86_cpu full_cpu = {
    .maxphyaddr = 52,
    MODERN_PAGING,
    .pse36 = true,
    .pks = true,
    .pcid = true,
    .cr4_others = VMMU_X86_CR4_OSFXSR | VMMU_X86_CR4_CET,
    .efer_others = VMMU_X86_EFER_SCE,
};

struct vmmu_x86_paging_registers registers_for(enum vmmu_x86_paging paging)
{
    struct vmmu_x86_paging_registers registers = {
        .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_WP | VMMU_X86_CR0_PG,
        .cr3 = 0x1000,
        .cr4 = VMMU_X86_CR4_PSE | VMMU_X86_CR4_PGE,
        .pdpte_in_memory = true,
    };

    switch (paging) {
    case VMMU_X86_PAGING_NONE: registers.cr0 &= ~VMMU_X86_CR0_PG; break;
    case VMMU_X86_PAGING_32BIT: break;
    case VMMU_X86_PAGING_5LEVEL: registers.cr4 |= VMMU_X86_CR4_LA57;                      /* fall through */
    case VMMU_X86_PAGING_4LEVEL: registers.efer |= VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA; /* fall through */
    case VMMU_X86_PAGING_PAE:
        registers.cr4 |= VMMU_X86_CR4_PAE;
        registers.efer |= VMMU_X86_EFER_NXE;
        break;
    }
    return registers;
}

struct vmmu_x86_mode mode_of(const struct vmmu_x86_paging_registers *registers)
{
    struct vmmu_x86_mode mode;

    EXPECT_EQ(vmmu_mode_make(&full_cpu, registers, &mode), VMMU_OK);
    return mode;
}

static const struct vmmu_x86_format *format_of(const struct vmmu_x86_mode *mode)
{
    return vmmu_format_of(&mode->layout);
}

uint64_t table_at(const struct vmmu_x86_mode *mode, unsigned level)
{
    return level == format_of(mode)->levels ? mode->root.v : TABLES + level * UINT64_C(0x1000);
}

uint64_t entry_at(const struct vmmu_x86_mode *mode, unsigned level, uint64_t va)
{
    const struct vmmu_x86_format *format = format_of(mode);

    return table_at(mode, level) +
           vmmu_format_index(&format->level[level], va) * (uint64_t)format->entry_bytes;
}

void put_entry(struct world *world, const struct vmmu_x86_mode *mode, unsigned level, uint64_t va,
               uint64_t entry)
{
    world_write(world, entry_at(mode, level, va), format_of(mode)->entry_bytes, entry);
}

void put_chain(struct world *world, const struct vmmu_x86_mode *mode, unsigned leaf_level, uint64_t va,
               uint64_t leaf)
{
    for (unsigned level = format_of(mode)->levels; level > leaf_level; level--) {
        const bool pdpte = mode->paging == VMMU_X86_PAGING_PAE && level == 3;

        put_entry(world, mode, level, va, table_at(mode, level - 1) | (pdpte ? E_P : E_ALL));
    }
    put_entry(world, mode, leaf_level, va, leaf);
}
