/*
 * Loads and stores of PowerPC that go to devices: the decoder and the performer.
 *
 * Input: a byte of options, registers by a seed, then instruction words. Whatever is decoded leaves registers alone that it does
 * not name, reaches the bus with aligned accesses of its operand only, and can start again once the bus has stopped it.
 */
#include "hv/ppc/insn/insn.h"

#include "tests/fuzz/input.h"

#define WORDS 400

struct bus {
    const struct ppc_insn *insn;
    uint32_t first;
    uint32_t bytes; /* of the operand */
    unsigned accesses;
    unsigned stop_at; /* which access is refused, from 1; 0: none */
};

static uint32_t mix(uint32_t value)
{
    value = (value ^ value >> 16) * UINT32_C(0x45D9F3B);
    return value ^ value >> 16;
}

static enum vmmu_status reach(struct bus *bus, uint32_t address, unsigned width_bytes)
{
    const uint32_t offset = address - bus->first;

    FUZZ_CHECK(width_bytes == 1 || width_bytes == 2 || width_bytes == 4);
    FUZZ_CHECK(address % width_bytes == 0);
    FUZZ_CHECK(offset < bus->bytes && width_bytes <= bus->bytes - offset);
    bus->accesses++;
    return bus->accesses == bus->stop_at ? VMMU_ABSENT : VMMU_OK;
}

static enum vmmu_status bus_read(void *context, uint32_t address, unsigned width_bytes, uint32_t *value)
{
    struct bus *bus = context;

    FUZZ_CHECK(!ppc_insn_is_store(bus->insn));
    *value = mix(address);
    return reach(bus, address, width_bytes);
}

static enum vmmu_status bus_write(void *context, uint32_t address, unsigned width_bytes, uint32_t value)
{
    struct bus *bus = context;

    FUZZ_CHECK(ppc_insn_is_store(bus->insn));
    FUZZ_CHECK(width_bytes == 4 || value >> (8 * width_bytes) == 0);
    return reach(bus, address, width_bytes);
}

static uint32_t operand_bytes(const struct ppc_insn *insn)
{
    switch ((enum ppc_operation)insn->operation) {
    case PPC_LOAD:
    case PPC_STORE: return insn->width_bytes;
    case PPC_LOAD_MULTIPLE:
    case PPC_STORE_MULTIPLE: return 4 * (32u - insn->target);
    case PPC_ZERO_BLOCK:
    case PPC_CACHE_HINT: break;
    }
    return 0;
}

/* Whether register @number may change. */
static bool is_named(const struct ppc_insn *insn, unsigned number)
{
    if (insn->update && number == insn->base)
        return true;
    if (insn->operation == PPC_LOAD_MULTIPLE)
        return number >= insn->target;
    return insn->operation == PPC_LOAD && number == insn->target;
}

static void check_registers(const struct ppc_insn *insn, const uint32_t *before, const uint32_t *after,
                            enum ppc_insn_outcome outcome)
{
    const bool partly = outcome == PPC_INSN_STOPPED && insn->operation == PPC_LOAD_MULTIPLE;

    for (unsigned i = 0; i < 32; i++)
        FUZZ_CHECK(before[i] == after[i] || ((outcome == PPC_INSN_DONE || partly) && is_named(insn, i)));
    FUZZ_CHECK(ppc_insn_address(insn, before) == ppc_insn_address(insn, after) || outcome == PPC_INSN_DONE);
    if (insn->update && outcome == PPC_INSN_DONE)
        FUZZ_CHECK(after[insn->base] == ppc_insn_address(insn, before));
}

static void perform(const struct ppc_insn *insn, uint32_t *gpr, uint8_t options)
{
    struct bus context = {
        .insn = insn,
        .first = ppc_insn_address(insn, gpr),
        .bytes = operand_bytes(insn),
        .stop_at = options >> 1 & 7,
    };
    const struct ppc_bus bus = { &context, (options & 1) != 0, bus_read, bus_write };
    enum vmmu_status status;
    enum ppc_insn_outcome outcome;
    uint32_t before[32];

    memcpy(before, gpr, sizeof(before));
    outcome = ppc_insn_perform(insn, gpr, &bus, &status);
    check_registers(insn, before, gpr, outcome);
    FUZZ_CHECK((outcome == PPC_INSN_STOPPED) == (status != VMMU_OK));
    FUZZ_CHECK(outcome != PPC_INSN_ALIGNMENT || context.accesses == 0);
    if (outcome == PPC_INSN_STOPPED) {
        FUZZ_CHECK(context.accesses == context.stop_at);
        context.accesses = context.stop_at = 0;
        FUZZ_CHECK(ppc_insn_perform(insn, gpr, &bus, &status) == PPC_INSN_DONE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    const uint8_t options = input_u8(&input);
    const uint32_t seed = input_u32(&input);
    uint32_t gpr[32];

    for (unsigned i = 0; i < 32; i++)
        gpr[i] = mix(seed + i);
    for (unsigned i = 0; i < WORDS && input_more(&input); i++) {
        struct ppc_insn insn;

        if (ppc_insn_decode(input_u32(&input), &insn))
            perform(&insn, gpr, options);
    }
    return 0;
}
