/*
 * Performing: registers change only once the bus has done all that was asked of it, so that an instruction that
 * is stopped can start again, save that a multiple load may have loaded some of its registers (never its base).
 */
#include "hv/ppc/insn/insn.h"

#define REGISTERS 32

/* One instruction at work. */
struct work {
    const struct ppc_insn *insn;
    const struct ppc_bus *bus;
    enum vmmu_status status;
};

bool ppc_insn_is_store(const struct ppc_insn *insn)
{
    switch ((enum ppc_operation)insn->operation) {
    case PPC_STORE:
    case PPC_STORE_MULTIPLE:
    case PPC_ZERO_BLOCK: return true;
    case PPC_LOAD:
    case PPC_LOAD_MULTIPLE:
    case PPC_CACHE_HINT: break;
    }
    return false;
}

uint32_t ppc_insn_address(const struct ppc_insn *insn, const uint32_t *gpr)
{
    const uint32_t base = insn->base == 0 ? 0 : gpr[insn->base];

    return base + (insn->indexed ? gpr[insn->index] : (uint32_t)(int32_t)insn->displacement);
}

/* The lowest @width_bytes of @value, their order reversed. */
static uint32_t reverse(uint32_t value, unsigned width_bytes)
{
    return __builtin_bswap32(value) >> (32 - 8 * width_bytes);
}

/* The byte order of the instruction and that of the page make up one: an even number of reversals is none. */
static bool is_swapped(const struct work *work)
{
    return work->insn->reversed != work->bus->little_endian;
}

/* One operand, in aligned pieces. The value is as it stands in memory, the first byte the most significant. */
static bool read_bytes(struct work *work, uint32_t address, unsigned width_bytes, uint32_t *value)
{
    const struct ppc_bus *bus = work->bus;
    const unsigned step = address % width_bytes == 0 ? width_bytes : 1;

    *value = 0;
    for (unsigned done = 0; done < width_bytes; done += step) {
        uint32_t piece = 0;

        work->status = bus->read(bus->context, address + done, step, &piece);
        if (work->status != VMMU_OK)
            return false;
        *value = step == width_bytes ? piece : *value << 8 | (piece & 0xFF);
    }
    return true;
}

static bool write_bytes(struct work *work, uint32_t address, unsigned width_bytes, uint32_t value)
{
    const struct ppc_bus *bus = work->bus;
    const unsigned step = address % width_bytes == 0 ? width_bytes : 1;

    for (unsigned done = 0; done < width_bytes; done += step) {
        const uint32_t piece = step == width_bytes ? value : value >> (8 * (width_bytes - 1 - done)) & 0xFF;

        work->status = bus->write(bus->context, address + done, step, piece);
        if (work->status != VMMU_OK)
            return false;
    }
    return true;
}

static uint32_t cut(uint32_t value, unsigned width_bytes)
{
    return value & UINT32_MAX >> (32 - 8 * width_bytes);
}

static bool load(struct work *work, uint32_t address, uint32_t *gpr, unsigned target)
{
    const struct ppc_insn *insn = work->insn;
    uint32_t value;

    if (!read_bytes(work, address, insn->width_bytes, &value))
        return false;
    value = cut(value, insn->width_bytes);
    if (is_swapped(work))
        value = reverse(value, insn->width_bytes);
    gpr[target] = insn->algebraic ? (uint32_t)(int32_t)(int16_t)value : value;
    return true;
}

static bool store(struct work *work, uint32_t address, const uint32_t *gpr, unsigned target)
{
    const unsigned width_bytes = work->insn->width_bytes;
    const uint32_t value = cut(gpr[target], width_bytes);

    return write_bytes(work, address, width_bytes, is_swapped(work) ? reverse(value, width_bytes) : value);
}

static bool perform_multiple(struct work *work, uint32_t address, uint32_t *gpr)
{
    const bool is_load = work->insn->operation == PPC_LOAD_MULTIPLE;

    for (unsigned target = work->insn->target; target < REGISTERS; target++, address += 4) {
        if (!(is_load ? load(work, address, gpr, target) : store(work, address, gpr, target)))
            return false;
    }
    return true;
}

static bool perform(struct work *work, uint32_t address, uint32_t *gpr)
{
    switch ((enum ppc_operation)work->insn->operation) {
    case PPC_LOAD: return load(work, address, gpr, work->insn->target);
    case PPC_STORE: return store(work, address, gpr, work->insn->target);
    case PPC_LOAD_MULTIPLE:
    case PPC_STORE_MULTIPLE: return perform_multiple(work, address, gpr);
    case PPC_ZERO_BLOCK:
    case PPC_CACHE_HINT: break;
    }
    return true;
}

/* Blocks are zeroed in the cache; multiple accesses want words. */
static bool is_misaligned(const struct ppc_insn *insn, uint32_t address)
{
    switch ((enum ppc_operation)insn->operation) {
    case PPC_ZERO_BLOCK: return true;
    case PPC_LOAD_MULTIPLE:
    case PPC_STORE_MULTIPLE: return address % 4 != 0;
    case PPC_LOAD:
    case PPC_STORE:
    case PPC_CACHE_HINT: break;
    }
    return false;
}

enum ppc_insn_outcome ppc_insn_perform(const struct ppc_insn *insn, uint32_t *gpr, const struct ppc_bus *bus,
                                       enum vmmu_status *status)
{
    const uint32_t address = ppc_insn_address(insn, gpr);
    struct work work = { .insn = insn, .bus = bus, .status = VMMU_OK };

    *status = VMMU_OK;
    if (is_misaligned(insn, address))
        return PPC_INSN_ALIGNMENT;
    if (!perform(&work, address, gpr)) {
        *status = work.status;
        return PPC_INSN_STOPPED;
    }
    if (insn->update)
        gpr[insn->base] = address;
    return PPC_INSN_DONE;
}
