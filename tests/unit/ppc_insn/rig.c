/* The bus of the instruction tests. */
#include "tests/unit/ppc_insn/rig.h"

#include "tests/unit/test.h"

static bool refuses(struct rig *rig, uint32_t address, unsigned width_bytes)
{
    const uint32_t offset = address - RIG_BASE;

    EXPECT(address % width_bytes == 0); /* the bus sees aligned accesses only */
    EXPECT(offset <= RIG_MEMORY_BYTES - width_bytes && rig->accesses < RIG_ACCESSES);
    return rig->accesses + 1 == rig->refuse_at;
}

static enum vmmu_status rig_read(void *context, uint32_t address, unsigned width_bytes, uint32_t *value)
{
    struct rig *rig = context;

    if (refuses(rig, address, width_bytes))
        return rig->status;
    *value = 0;
    for (unsigned i = 0; i < width_bytes; i++)
        *value = *value << 8 | rig->memory[address - RIG_BASE + i];
    rig->access[rig->accesses++] = (struct rig_access){ address, *value, (uint8_t)width_bytes, false };
    return VMMU_OK;
}

static enum vmmu_status rig_write(void *context, uint32_t address, unsigned width_bytes, uint32_t value)
{
    struct rig *rig = context;

    if (refuses(rig, address, width_bytes))
        return rig->status;
    EXPECT(width_bytes == 4 || value >> (8 * width_bytes) == 0); /* nothing above the width */
    for (unsigned i = 0; i < width_bytes; i++)
        rig->memory[address - RIG_BASE + i] = (uint8_t)(value >> (8 * (width_bytes - 1 - i)));
    rig->access[rig->accesses++] = (struct rig_access){ address, value, (uint8_t)width_bytes, true };
    return VMMU_OK;
}

void rig_open(struct rig *rig)
{
    *rig = (struct rig){ .status = VMMU_ABSENT };
    for (unsigned i = 0; i < 32; i++)
        rig->gpr[i] = UINT32_C(0x01010101) * i;
    for (unsigned i = 0; i < RIG_MEMORY_BYTES; i++)
        rig->memory[i] = (uint8_t)(0x80 + i);
}

enum ppc_insn_outcome rig_perform(struct rig *rig, uint32_t word)
{
    const struct ppc_bus bus = {
        .context = rig,
        .little_endian = rig->little_endian,
        .read = rig_read,
        .write = rig_write,
    };
    struct ppc_insn insn;
    enum vmmu_status status;
    enum ppc_insn_outcome outcome;

    EXPECT(ppc_insn_decode(word, &insn));
    outcome = ppc_insn_perform(&insn, rig->gpr, &bus, &status);
    EXPECT_EQ(status, outcome == PPC_INSN_STOPPED ? rig->status : VMMU_OK);
    return outcome;
}
