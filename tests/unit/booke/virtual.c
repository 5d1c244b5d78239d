#include "tests/unit/booke/virtual.h"

#include <stdlib.h>

static void changing(void *context, struct vmmu_booke *booke, unsigned index)
{
    struct virtual_mmu *const mmu = context;

    mmu->changes++;
    mmu->changed_index = index;
    mmu->changed_mas1 = booke->entries[index].mas1;
    booke->entries[index].made = 0;
}

void virtual_start_as(struct virtual_mmu *mmu, const struct vmmu_booke_config *config)
{
    *mmu = (struct virtual_mmu){ 0 };
    if (vmmu_booke_init(&mmu->booke, config, mmu->memory, sizeof(mmu->memory)) != VMMU_OK) {
        abort();
    }
    mmu->booke.watch = (struct vmmu_booke_watch){ mmu, changing };
    vmmu_booke_set(&mmu->booke, VMMU_BOOKE_HID0, 0x80);
}

void virtual_start(struct virtual_mmu *mmu)
{
    virtual_start_as(mmu, &vmmu_booke_e500v2);
}

int virtual_write(struct virtual_mmu *mmu, uint32_t mas0, uint32_t mas1, uint32_t mas2, uint64_t rpn_rights)
{
    vmmu_booke_set(&mmu->booke, VMMU_BOOKE_MAS0, mas0);
    vmmu_booke_set(&mmu->booke, VMMU_BOOKE_MAS1, mas1);
    vmmu_booke_set(&mmu->booke, VMMU_BOOKE_MAS2, mas2);
    vmmu_booke_set(&mmu->booke, VMMU_BOOKE_MAS3, (uint32_t)rpn_rights);
    vmmu_booke_set(&mmu->booke, VMMU_BOOKE_MAS7, (uint32_t)(rpn_rights >> 32));
    return vmmu_booke_write(&mmu->booke);
}

const struct vmmu_booke_mas *virtual_read(struct virtual_mmu *mmu, uint32_t mas0, uint32_t mas2)
{
    vmmu_booke_set(&mmu->booke, VMMU_BOOKE_MAS0, mas0);
    vmmu_booke_set(&mmu->booke, VMMU_BOOKE_MAS2, mas2);
    vmmu_booke_read(&mmu->booke);
    return &mmu->booke.mas;
}

const struct vmmu_booke_mas *virtual_search(struct virtual_mmu *mmu, uint32_t mas6, uint32_t ea)
{
    vmmu_booke_set(&mmu->booke, VMMU_BOOKE_MAS6, mas6);
    vmmu_booke_search(&mmu->booke, ea);
    return &mmu->booke.mas;
}

bool virtual_is_valid(const struct virtual_mmu *mmu, int index)
{
    return (mmu->booke.entries[index].mas1 & V) != 0;
}

uint64_t virtual_load(const struct virtual_mmu *mmu, bool space, uint32_t ea)
{
    const struct vmmu_booke_access access = { .kind = VMMU_BOOKE_LOAD, .space = space };
    const struct vmmu_booke_result result = vmmu_booke_translate(&mmu->booke, ea, access);

    switch (result.verdict) {
    case VMMU_BOOKE_HIT: return result.gpa.v;
    case VMMU_BOOKE_MISS: return MISSED;
    case VMMU_BOOKE_REFUSED: return REFUSED;
    }
    abort();
}
