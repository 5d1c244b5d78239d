#include "tests/unit/tools_engine/engine_guest.h"

#include "tests/unit/modern_cpu.h"
#include "tests/unit/test.h"

static const struct vmmu_x86_cpu cpu = { .maxphyaddr = 40, MODERN_PAGING };

struct vmmu_x86_mode engine_guest_mode(const struct engine_guest *guest, uint64_t cr3)
{
    const bool long_mode = guest->paging == VMMU_X86_PAGING_4LEVEL || guest->paging == VMMU_X86_PAGING_5LEVEL;
    const struct vmmu_x86_paging_registers registers = {
        .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_ET | VMMU_X86_CR0_WP | VMMU_X86_CR0_PG,
        .cr3 = cr3,
        .cr4 = (guest->paging == VMMU_X86_PAGING_32BIT ? VMMU_X86_CR4_PSE : VMMU_X86_CR4_PAE) |
               (guest->paging == VMMU_X86_PAGING_5LEVEL ? VMMU_X86_CR4_LA57 : 0),
        .efer = long_mode ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA | VMMU_X86_EFER_NXE : 0,
        .pdpte_in_memory = true,
    };
    struct vmmu_x86_mode mode;

    EXPECT_EQ(vmmu_mode_make(&cpu, &registers, &mode), VMMU_OK);
    return mode;
}

void engine_guest_open(struct engine_guest *guest, enum vmmu_x86_paging paging)
{
    struct complaint complaint;

    *guest = (struct engine_guest){ .memory = engine_memory_new(GUEST_BYTES, &complaint),
                                    .paging = paging,
                                    .next_table = GUEST_TABLES };
    EXPECT(guest->memory != NULL);
    guest->mode = engine_guest_mode(guest, GUEST_ROOT);
}

void engine_guest_close(struct engine_guest *guest)
{
    engine_memory_free(guest->memory);
}

static uint64_t load(const struct engine_guest *guest, uint64_t at, unsigned width_bytes)
{
    const struct vmmu_ram *ram = engine_memory_ram(guest->memory);
    uint64_t value;

    EXPECT_EQ(ram->load(ram->context, at, width_bytes, &value), VMMU_OK);
    return value;
}

uint64_t engine_guest_entry(struct engine_guest *guest, uint64_t va, unsigned level)
{
    const struct vmmu_x86_format *format = vmmu_format_of(&guest->mode.layout);
    uint64_t table = guest->mode.root.v;

    for (unsigned at = format->levels;; at--) {
        const uint64_t entry =
            table + (uint64_t)vmmu_format_index(&format->level[at], va) * format->entry_bytes;

        if (at == level) {
            return entry;
        }
        if (load(guest, entry, format->entry_bytes) == 0) {
            /* PDPTEs of PAE have neither rights nor marks. */
            const uint64_t link = guest->paging == VMMU_X86_PAGING_PAE && at == 3 ? 1 : GUEST_LINK;

            EXPECT(engine_memory_store(guest->memory, entry, format->entry_bytes, guest->next_table | link));
            guest->next_table += VMMU_PAGE_BYTES;
        }
        table = vmmu_format_table(&format->level[at], load(guest, entry, format->entry_bytes));
    }
}

void engine_guest_map(struct engine_guest *guest, uint64_t va, unsigned level, uint64_t entry)
{
    EXPECT(engine_memory_store(guest->memory, engine_guest_entry(guest, va, level),
                               vmmu_format_of(&guest->mode.layout)->entry_bytes, entry));
}
