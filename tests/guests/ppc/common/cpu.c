#include "tests/guests/ppc/common/cpu.h"

void entry_write(const struct entry *entry)
{
    write_spr(SPR_MAS0, entry->mas0);
    write_spr(SPR_MAS1, entry->mas1);
    write_spr(SPR_MAS2, entry->mas2);
    write_spr(SPR_MAS3, entry->mas3);
    write_spr(SPR_MAS7, entry->mas7);
    tlbwe();
}

struct entry entry_registers(void)
{
    return (struct entry){ .mas0 = read_spr(SPR_MAS0),
                           .mas1 = read_spr(SPR_MAS1),
                           .mas2 = read_spr(SPR_MAS2),
                           .mas3 = read_spr(SPR_MAS3),
                           .mas7 = read_spr(SPR_MAS7) };
}

struct entry entry_read(uint32_t mas0)
{
    write_spr(SPR_MAS0, mas0);
    tlbre();
    return entry_registers();
}

struct entry entry_large(unsigned index, uint32_t ea, uint64_t gpa, unsigned size)
{
    return (struct entry){ .mas0 = MAS0_TLB1 | MAS0_ESEL(index),
                           .mas1 = MAS1_V | MAS1_SIZE(size),
                           .mas2 = ea,
                           .mas3 = (uint32_t)gpa | MAS3_ALL,
                           .mas7 = (uint32_t)(gpa >> 32) };
}
