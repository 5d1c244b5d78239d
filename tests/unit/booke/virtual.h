/*
 * A virtual MMU for tests, with its memory, and a watch that counts. Registers and entries are given as a guest gives them: by
 * the registers that `mtspr` writes. Numbers are the manual's: e500 Core Family Reference Manual, "e500 MAS Registers".
 */
#ifndef TESTS_UNIT_BOOKE_VIRTUAL_H
#define TESTS_UNIT_BOOKE_VIRTUAL_H

#include <vmmu/booke.h>

struct virtual_mmu {
    struct vmmu_booke booke;
    unsigned changes;       /* how often the watch was told */
    unsigned changed_index; /* of what, the last time */
    uint32_t changed_mas1;  /* what it held then */
    _Alignas(8) uint8_t memory[16 * 1024];
};

#define V                   UINT32_C(0x80000000)
#define IPROT               UINT32_C(0x40000000)
#define TS                  UINT32_C(0x00001000)

#define TID(n)              ((uint32_t)(n) << 16)
#define TSIZE(n)            ((uint32_t)(n) << 8)

/* MAS0: way @way of TLB0, with a next victim; entry @entry of TLB1. */
#define WAY(way, nv)        ((uint32_t)(way) << 16 | (uint32_t)(nv))
#define ENTRY(entry)        (UINT32_C(0x10000000) | (uint32_t)(entry) << 16)

/* MAS3: every right. */
#define ALL_RIGHTS          UINT32_C(0x3f)

/* Indices: 128 sets of four ways, then TLB1. */
#define TLB0_INDEX(ea, way) ((int)(((ea) >> 12 & 127) * 4 + (way)))
#define TLB1_INDEX(entry)   (512 + (int)(entry))

/* After reset, as an e500v2 (or @config), with HID0[EN_MAS7_UPDATE] set. */
void virtual_start(struct virtual_mmu *mmu);
void virtual_start_as(struct virtual_mmu *mmu, const struct vmmu_booke_config *config);

/* `mtspr` MAS0, MAS1, MAS2, MAS3, and MAS7 (the part above 32 bits of @rpn_rights), `tlbwe`. Returns the index. */
int virtual_write(struct virtual_mmu *mmu, uint32_t mas0, uint32_t mas1, uint32_t mas2, uint64_t rpn_rights);

/* `mtspr` MAS0 and MAS2, `tlbre`: the registers after it. */
const struct vmmu_booke_mas *virtual_read(struct virtual_mmu *mmu, uint32_t mas0, uint32_t mas2);

/* `mtspr` MAS6, `tlbsx`: the registers after it. */
const struct vmmu_booke_mas *virtual_search(struct virtual_mmu *mmu, uint32_t mas6, uint32_t ea);

/* Whether entry @index is valid. */
bool virtual_is_valid(const struct virtual_mmu *mmu, int index);

/* Where a supervisor's load in @space goes; its own sort of answer if it misses or is refused. */
#define MISSED  UINT64_C(0x100000000000)
#define REFUSED UINT64_C(0x200000000000)
uint64_t virtual_load(const struct virtual_mmu *mmu, bool space, uint32_t ea);

#endif
