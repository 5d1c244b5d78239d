#include "walk_reference.h"

/* One way down. Bits are as the manual numbers them: P 0, R/W 1, U/S 2, PS 7, XD 63. */
struct way {
    const struct vmmu_x86_cpu *cpu;
    const struct vmmu_x86_paging_registers *registers;
    const struct memory *memory;
    struct vmmu_x86_access access;
    uint64_t linear;
    bool long_mode;
    bool pae;
    bool execute_disable;
    bool writable;
    bool user_page;
    bool executable;
};

static bool bit(uint64_t value, unsigned number)
{
    return (value >> number) & 1;
}

static bool is_user(const struct way *way)
{
    return way->access.user && !way->access.implicit;
}

static struct walk_reference page_fault(const struct way *way, uint32_t reason)
{
    const bool smep = bit(way->registers->cr4, 20);
    const bool tells_fetch = smep || (way->pae && way->execute_disable);
    const uint32_t code = reason | (way->access.kind == VMMU_X86_WRITE ? 2U : 0) | (is_user(way) ? 4U : 0) |
                          (way->access.kind == VMMU_X86_EXECUTE && tells_fetch ? 16U : 0);

    return (struct walk_reference){ .fault = true, .error_code = code };
}

/* "Formats of CR3 and Paging-Structure Entries with 32-Bit Paging": a 4-MByte page, and PSE-36. */
static uint64_t reserved_4m(const struct vmmu_x86_cpu *cpu)
{
    const unsigned widest = !cpu->pse36 ? 32 : cpu->maxphyaddr < 40 ? cpu->maxphyaddr : 40;

    return BIT64(22) - BIT64(widest - 32 + 13);
}

/* The same with PAE, 4-level and 5-level paging. */
static uint64_t reserved(const struct way *way, unsigned level, bool large)
{
    const bool pdpte = level == 3 && !way->long_mode;
    uint64_t bits = (way->long_mode ? BIT64(52) : BIT64(63)) - BIT64(way->cpu->maxphyaddr);

    if (!way->pae) {
        return large ? reserved_4m(way->cpu) : 0;
    }
    if (pdpte) {
        return bits | BIT64(63) | BITS64(8, 5) | BITS64(2, 1);
    }
    bits |= way->execute_disable ? 0 : BIT64(63);
    if (level >= 4) {
        bits |= BIT64(7) | (way->cpu->bit8_reserved ? BIT64(8) : 0);
    }
    if (large) {
        bits |= level == 3 ? (way->cpu->gib_pages ? BITS64(29, 13) : BIT64(7)) : BITS64(20, 13);
    }
    return bits;
}

/* "Protection Keys". */
static bool key_forbids(const struct way *way, uint64_t leaf)
{
    const unsigned key = (unsigned)(leaf >> 59) & 15;
    const bool on = way->long_mode && bit(way->registers->cr4, way->user_page ? 22 : 24);
    const uint32_t rights = (way->user_page ? way->registers->pkru : way->registers->pkrs) >> (2 * key);
    const bool protects = bit(way->registers->cr0, 16) || (way->user_page && is_user(way));

    if (!on || way->access.kind == VMMU_X86_EXECUTE) {
        return false;
    }
    return bit(rights, 0) || (bit(rights, 1) && way->access.kind == VMMU_X86_WRITE && protects);
}

/* "Determination of Access Rights". */
static bool rights_forbid(const struct way *way)
{
    const uint64_t cr4 = way->registers->cr4;
    const bool fetch = way->access.kind == VMMU_X86_EXECUTE;
    const bool write = way->access.kind == VMMU_X86_WRITE;

    if (fetch && way->execute_disable && way->pae && !way->executable) {
        return true;
    }
    if (is_user(way)) {
        return !way->user_page || (write && !way->writable);
    }
    if (way->user_page && fetch) {
        return bit(cr4, 20);
    }
    if (way->user_page && bit(cr4, 21) && (way->access.implicit || !way->access.eflags_ac)) {
        return true;
    }
    return write && !way->writable && bit(way->registers->cr0, 16);
}

static struct walk_reference arrive(const struct way *way, uint64_t leaf, unsigned shift)
{
    const uint64_t page_bytes = BIT64(shift);
    uint64_t frame = leaf & BITS64(51, 12) & ~(page_bytes - 1);

    if (!way->pae) {
        frame = (leaf & BITS64(31, 12) & ~(page_bytes - 1));
        frame |= shift == 22 && way->cpu->pse36 ? ((leaf >> 13) & 0xFF) << 32 : 0;
    }
    const bool key = key_forbids(way, leaf);

    if (key || rights_forbid(way)) {
        return page_fault(way, 1U | (key ? 32U : 0));
    }
    return (struct walk_reference){ .gpa = frame | (way->linear & (page_bytes - 1)),
                                    .page_bytes = page_bytes };
}

/* Combine the rights of one entry: PDPTEs of PAE paging have none. */
static void combine(struct way *way, uint64_t entry, bool pdpte)
{
    if (!pdpte) {
        way->writable = way->writable && bit(entry, 1);
        way->user_page = way->user_page && bit(entry, 2);
        way->executable = way->executable && !(way->pae && bit(entry, 63));
    }
}

static struct walk_reference descend(struct way *way, uint64_t table, unsigned level)
{
    const unsigned index_bits = way->pae ? 9 : 10;
    const unsigned bytes = way->pae ? 8 : 4;

    for (;; level--) {
        const unsigned shift = 12 + (level - 1) * index_bits;
        const bool pdpte = level == 3 && !way->long_mode;
        const uint64_t index = (way->linear >> shift) & (pdpte ? 3 : BIT64(index_bits) - 1);
        const uint64_t at = table + index * bytes;
        const bool held = pdpte && !way->registers->pdpte_in_memory;
        const bool may_be_large =
            way->pae ? level == 2 || (level == 3 && !pdpte) : level == 2 && bit(way->registers->cr4, 4);

        if (!held && at >= way->memory->absent_from) {
            return (struct walk_reference){ .absent = true };
        }
        const uint64_t entry = held ? way->registers->pdpte[index] : memory_read(way->memory, at, bytes);
        const bool large = may_be_large && bit(entry, 7);

        if (!bit(entry, 0)) {
            return page_fault(way, 0);
        }
        if (!held && (entry & reserved(way, level, large)) != 0) {
            return page_fault(way, 1U | 8U);
        }
        combine(way, entry, pdpte);
        if (large || level == 1) {
            return arrive(way, entry, shift);
        }
        table = entry & (way->pae ? BITS64(51, 12) : BITS64(31, 12));
    }
}

struct walk_reference
walk_reference(const struct vmmu_x86_cpu *cpu, const struct vmmu_x86_paging_registers *registers,
               const struct memory *memory, uint64_t linear, struct vmmu_x86_access access)
{
    const bool long_mode = bit(registers->efer, 10);
    const bool pae = bit(registers->cr4, 5);
    const unsigned levels = long_mode ? (bit(registers->cr4, 12) ? 5 : 4) : pae ? 3 : 2;
    const uint64_t root_mask = long_mode ? BITS64(51, 12) : pae ? BITS64(31, 5) : BITS64(31, 12);
    struct way way = {
        .cpu = cpu,
        .registers = registers,
        .memory = memory,
        .access = access,
        .linear = linear,
        .long_mode = long_mode,
        .pae = pae,
        .execute_disable = bit(registers->efer, 11),
        .writable = true,
        .user_page = true,
        .executable = true,
    };

    return descend(&way, registers->cr3 & root_mask, levels);
}
