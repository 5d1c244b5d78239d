#include "memory.h"

#include "paging.h"

/* Accessed and dirty bits of all formats: 5 and 6 of the ordinary ones, 8 and 9 of EPT. */
#define MARKS (BITS64(6, 5) | BITS64(9, 8))

uint64_t memory_draw_page(struct input *input)
{
    static const uint64_t pages[] = { VMMU_2M_BYTES, VMMU_1G_BYTES, UINT64_C(0x1000002000),
                                      UINT64_C(0x8000000003000) };
    const unsigned which = input_below(input, 64);
    const uint64_t page = which % 16 < 12 ? (uint64_t)(which % 16) * VMMU_PAGE_BYTES : pages[which % 4];

    return page | (which >= 48 ? MEMORY_SECOND : 0);
}

/*
 * An entry: present, writable and a user's, but for what the input inverts. For walks with entries of four
 * bytes the upper half may be one as well.
 */
static uint64_t draw_entry(struct input *input, uint64_t base, uint64_t flags)
{
    const uint8_t kind = input_u8(input);
    const uint64_t page = memory_draw_page(input) ^ base;
    const uint64_t low = page | (flags ^ (input_u16(input) & 0xFFF));
    const uint8_t high = input_u8(input);

    if (kind >= 0xF0) {
        return input_u64(input);
    }
    if (kind >= 0xC0) {
        return (uint32_t)low | (uint64_t)(uint32_t)(low ^ input_u16(input)) << 32;
    }
    return low | ((high & 1) ? BIT64(63) : 0) | ((uint64_t)(high & 0x1E) << 58) |
           ((high & 0x20) ? BIT64(52) : 0) | ((high & 0x40) ? BIT64(51) : 0) |
           ((high & 0x80) ? BIT64(40) : 0);
}

void memory_draw(struct memory *memory, struct input *input)
{
    static const uint64_t ends[] = { UINT64_MAX, 0xF000, MEMORY_SECOND + 0xF000, BIT64(36) };

    memset(memory, 0, sizeof(*memory));
    memory->absent_from = ends[input_below(input, 4)];
    for (unsigned i = 0; i < MEMORY_ENTRIES; i++) {
        memory->entries[0][i] = draw_entry(input, 0, 7);
        memory->entries[1][i] = draw_entry(input, MEMORY_SECOND, 7);
    }
}

static uint64_t read_cell(const struct memory *memory, uint64_t address)
{
    const uint64_t base = address & ~UINT64_C(7);
    const uint64_t entry = (base >> VMMU_PAGE_SHIFT) + (base >> 3);

    for (unsigned i = memory->cell_count; i > 0; i--) {
        if (memory->cells[i - 1].address == base) {
            return memory->cells[i - 1].value;
        }
    }
    return memory->entries[(base & MEMORY_SECOND) != 0][entry % MEMORY_ENTRIES];
}

uint64_t memory_read(const struct memory *memory, uint64_t address, unsigned width_bytes)
{
    const uint64_t value = read_cell(memory, address);

    return width_bytes == 8 ? value : (uint32_t)(value >> (8 * (address & 4)));
}

static void write_memory(struct memory *memory, uint64_t address, unsigned width_bytes, uint64_t value)
{
    const uint64_t base = address & ~UINT64_C(7);
    const unsigned shift = 8 * (address & 4);
    const uint64_t mask = width_bytes == 8 ? UINT64_MAX : (uint64_t)UINT32_MAX << shift;
    const uint64_t old = read_cell(memory, address);

    FUZZ_CHECK(memory->cell_count < MEMORY_CELLS);
    memory->cells[memory->cell_count++] =
        (struct memory_cell){ base, (old & ~mask) | ((value << shift) & mask) };
}

static void check_address(uint64_t address, unsigned width_bytes)
{
    FUZZ_CHECK(width_bytes == 4 || width_bytes == 8);
    FUZZ_CHECK(vmmu_is_aligned(address, width_bytes) && (address >> 52) == 0);
}

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct memory *memory = context;
    const unsigned number = memory->loads;

    check_address(address, width_bytes);
    if (address >= memory->absent_from) {
        memory->absent++;
        return VMMU_ABSENT;
    }
    memory->loads++;
    *value = memory_read(memory, address, width_bytes);
    if (number < 64 && ((memory->races >> number) & 1)) {
        write_memory(memory, address, width_bytes, *value ^ memory->race_bits);
    }
    return VMMU_OK;
}

static enum vmmu_status exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                 uint64_t desired)
{
    struct memory *memory = context;

    check_address(address, width_bytes);
    FUZZ_CHECK(address < memory->absent_from);
    FUZZ_CHECK((expected & ~desired) == 0 && (desired & ~expected & ~MARKS) == 0 && desired != expected);
    FUZZ_CHECK(width_bytes == 8 || desired <= UINT32_MAX);
    if (memory_read(memory, address, width_bytes) != expected) {
        return VMMU_RACED;
    }
    memory->exchanges++;
    write_memory(memory, address, width_bytes, desired);
    return VMMU_OK;
}

struct vmmu_ram memory_ram(struct memory *memory)
{
    return (struct vmmu_ram){ .context = memory, .load = load, .exchange = exchange };
}

bool memory_is_marked(const struct memory *clean, const struct memory *marked, bool may)
{
    for (unsigned i = 0; i < marked->cell_count; i++) {
        const uint64_t was = read_cell(clean, marked->cells[i].address);
        const uint64_t is = read_cell(marked, marked->cells[i].address);

        if ((was & ~is) != 0 || (is & ~was & ~(MARKS | MARKS << 32)) != 0 || (is != was && !may)) {
            return false;
        }
    }
    return true;
}

bool memory_same(const struct memory *one, const struct memory *other)
{
    for (unsigned i = 0; i < one->cell_count; i++) {
        if (read_cell(other, one->cells[i].address) != read_cell(one, one->cells[i].address)) {
            return false;
        }
    }
    for (unsigned i = 0; i < other->cell_count; i++) {
        if (read_cell(other, other->cells[i].address) != read_cell(one, other->cells[i].address)) {
            return false;
        }
    }
    return true;
}

vmmu_gva memory_draw_va(struct input *input, unsigned address_bits)
{
    const uint64_t value = input_u64(input);
    const unsigned unused = 64 - address_bits;

    if (input_below(input, 16) == 15) {
        return (vmmu_gva){ value };
    }
    return (vmmu_gva){ (uint64_t)((int64_t)(value << unused) >> unused) };
}

struct vmmu_x86_paging_registers memory_draw_registers(struct input *input, const struct vmmu_x86_cpu *cpu)
{
    struct vmmu_x86_paging_registers registers = draw_registers(input, cpu);
    const uint8_t raw = input_u8(input);

    if (raw < 0xC0) {
        registers.cr3 = memory_draw_page(input) | ((uint64_t)(raw & 7) << 5);
        for (unsigned i = 0; i < 4; i++) {
            registers.pdpte[i] = memory_draw_page(input) | !((raw >> i) & 8);
        }
    }
    return registers;
}

struct vmmu_x86_access memory_draw_access(struct input *input)
{
    const uint8_t flags = input_u8(input);

    return (struct vmmu_x86_access){
        .kind = (enum vmmu_x86_access_kind)input_below(input, 3),
        .user = flags & 1,
        .implicit = flags & 2,
        .eflags_ac = flags & 4,
        .shadow_stack = flags == 0xFF,
    };
}
