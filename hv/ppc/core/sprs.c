#include "hv/ppc/core/sprs.h"

#include "hv/ppc/core/core.h"
#include <vmmu/booke.h>

#define ALL         UINT32_MAX

/* Without those that start a flash operation, which is over when they are read: L1CSRn[CFI, CLFC], BUCSR[BBFI]. */
#define L1CSR0_BITS UINT32_C(0x00019e01)
#define L1CSR1_BITS UINT32_C(0x00019e01)
#define BUCSR_BITS  UINT32_C(0x01000001)

#define HID0_BITS   UINT32_C(0xe0f66181)
#define HID1_BITS   UINT32_C(0x7e1fffff)
#define DBCR0_BITS  UINT32_C(0x7fff8001)
#define DBCR12_BITS UINT32_C(0xffc0ffc0)
#define BOTH        (PPC_SPR_READ | PPC_SPR_WRITE)

#define IN_CORE(number_, name_, member_, rights_, mask_)                                                     \
    {                                                                                                        \
        .number = (number_), .name = (name_), .home = PPC_SPR_WORD, .rights = (rights_),                     \
        .offset = offsetof(struct ppc_core, member_), .mask = (mask_)                                        \
    }
#define OWN(number_, name_, member_)                                                                         \
    {                                                                                                        \
        .number = (number_), .name = (name_), .home = PPC_SPR_OWN, .rights = BOTH,                           \
        .offset = offsetof(struct ppc_core, member_), .mask = ALL                                            \
    }
#define IN_MMU(number_, name_, member_, which_)                                                              \
    {                                                                                                        \
        .number = (number_), .name = (name_), .home = PPC_SPR_MMU, .rights = BOTH,                           \
        .offset = offsetof(struct vmmu_booke, member_), .which = (which_), .mask = ALL,                      \
        .changes_spaces =                                                                                    \
            (which_) == VMMU_BOOKE_PID0 || (which_) == VMMU_BOOKE_PID1 || (which_) == VMMU_BOOKE_PID2        \
    }
#define ELSEWHERE(number_, name_, home_, rights_)                                                            \
    {                                                                                                        \
        .number = (number_), .name = (name_), .home = (home_), .rights = (rights_), .mask = ALL              \
    }
#define IVOR(number_, vector_) IN_CORE(number_, "IVOR" #vector_, ivor[vector_], BOTH, PPC_IVOR_BITS)

const struct ppc_spr ppc_spr_table[] = {
    { .home = PPC_SPR_ABSENT },
    ELSEWHERE(22, "DEC", PPC_SPR_DECREMENTER, BOTH),
    IN_CORE(26, "SRR0", save[PPC_CLASS_BASE].pc, BOTH, ALL),
    IN_CORE(27, "SRR1", save[PPC_CLASS_BASE].msr, BOTH, ALL),
    IN_MMU(48, "PID0", pid[0], VMMU_BOOKE_PID0),
    IN_CORE(54, "DECAR", timers.decar, PPC_SPR_WRITE, ALL),
    IN_CORE(58, "CSRR0", save[PPC_CLASS_CRITICAL].pc, BOTH, ALL),
    IN_CORE(59, "CSRR1", save[PPC_CLASS_CRITICAL].msr, BOTH, ALL),
    IN_CORE(61, "DEAR", dear, BOTH, ALL),
    IN_CORE(62, "ESR", esr, BOTH, ALL),
    IN_CORE(63, "IVPR", ivpr, BOTH, PPC_IVPR_BITS),
    IN_CORE(272, "SPRG0", sprg[0], BOTH, ALL),
    IN_CORE(273, "SPRG1", sprg[1], BOTH, ALL),
    IN_CORE(274, "SPRG2", sprg[2], BOTH, ALL),
    OWN(275, "SPRG3", sprg[3]),
    OWN(276, "SPRG4", sprg[4]),
    OWN(277, "SPRG5", sprg[5]),
    OWN(278, "SPRG6", sprg[6]),
    OWN(279, "SPRG7", sprg[7]),
    ELSEWHERE(284, "TBL", PPC_SPR_TIME, PPC_SPR_WRITE),
    ELSEWHERE(285, "TBU", PPC_SPR_TIME, PPC_SPR_WRITE),
    IN_CORE(286, "PIR", pir, BOTH, ALL),
    IN_CORE(287, "PVR", pvr, PPC_SPR_READ, ALL),
    ELSEWHERE(304, "DBSR", PPC_SPR_DBSR, BOTH),
    ELSEWHERE(308, "DBCR0", PPC_SPR_DBCR0, BOTH),
    IN_CORE(309, "DBCR1", dbcr1, BOTH, DBCR12_BITS),
    IN_CORE(310, "DBCR2", dbcr2, BOTH, DBCR12_BITS),
    IN_CORE(312, "IAC1", iac1, BOTH, ALL),
    IN_CORE(313, "IAC2", iac2, BOTH, ALL),
    IN_CORE(316, "DAC1", dac1, BOTH, ALL),
    IN_CORE(317, "DAC2", dac2, BOTH, ALL),
    ELSEWHERE(336, "TSR", PPC_SPR_TSR, BOTH),
    ELSEWHERE(340, "TCR", PPC_SPR_TCR, BOTH),
    IVOR(400, 0),
    IVOR(401, 1),
    IVOR(402, 2),
    IVOR(403, 3),
    IVOR(404, 4),
    IVOR(405, 5),
    IVOR(406, 6),
    IVOR(407, 7),
    IVOR(408, 8),
    IVOR(409, 9),
    IVOR(410, 10),
    IVOR(411, 11),
    IVOR(412, 12),
    IVOR(413, 13),
    IVOR(414, 14),
    IVOR(415, 15),
    IN_CORE(513, "BBEAR", bbear, BOTH, ALL),
    IN_CORE(514, "BBTAR", bbtar, BOTH, ALL),
    IN_CORE(515, "L1CFG0", l1cfg0, PPC_SPR_READ, ALL),
    IN_CORE(516, "L1CFG1", l1cfg1, PPC_SPR_READ, ALL),
    IVOR(528, 32),
    IVOR(529, 33),
    IVOR(530, 34),
    IVOR(531, 35),
    IN_CORE(570, "MCSRR0", save[PPC_CLASS_MACHINE_CHECK].pc, BOTH, ALL),
    IN_CORE(571, "MCSRR1", save[PPC_CLASS_MACHINE_CHECK].msr, BOTH, ALL),
    ELSEWHERE(572, "MCSR", PPC_SPR_MCSR, BOTH),
    IN_CORE(573, "MCAR", mcar, PPC_SPR_READ, ALL),
    IN_CORE(574, "DSRR0", save[PPC_CLASS_DEBUG].pc, BOTH, ALL),
    IN_CORE(575, "DSRR1", save[PPC_CLASS_DEBUG].msr, BOTH, ALL),
    IN_MMU(624, "MAS0", mas.mas0, VMMU_BOOKE_MAS0),
    IN_MMU(625, "MAS1", mas.mas1, VMMU_BOOKE_MAS1),
    IN_MMU(626, "MAS2", mas.mas2, VMMU_BOOKE_MAS2),
    IN_MMU(627, "MAS3", mas.mas3, VMMU_BOOKE_MAS3),
    IN_MMU(628, "MAS4", mas.mas4, VMMU_BOOKE_MAS4),
    IN_MMU(630, "MAS6", mas.mas6, VMMU_BOOKE_MAS6),
    IN_MMU(633, "PID1", pid[1], VMMU_BOOKE_PID1),
    IN_MMU(634, "PID2", pid[2], VMMU_BOOKE_PID2),
    IN_CORE(688, "TLB0CFG", tlb0cfg, PPC_SPR_READ, ALL),
    IN_CORE(689, "TLB1CFG", tlb1cfg, PPC_SPR_READ, ALL),
    IN_CORE(702, "EPR", epr, PPC_SPR_READ, ALL),
    IN_MMU(944, "MAS7", mas.mas7, VMMU_BOOKE_MAS7),
    { .number = 1008, .name = "HID0", .home = PPC_SPR_HID0, .rights = BOTH, .mask = HID0_BITS },
    IN_CORE(1009, "HID1", hid1, BOTH, HID1_BITS),
    IN_CORE(1010, "L1CSR0", l1csr0, BOTH, L1CSR0_BITS),
    IN_CORE(1011, "L1CSR1", l1csr1, BOTH, L1CSR1_BITS),
    { .number = 1012,
      .name = "MMUCSR0",
      .home = PPC_SPR_FLUSH,
      .rights = BOTH,
      .which = VMMU_BOOKE_MMUCSR0,
      .changes_spaces = true },
    IN_CORE(1013, "BUCSR", bucsr, BOTH, BUCSR_BITS),
    IN_CORE(1015, "MMUCFG", mmucfg, PPC_SPR_READ, ALL),
    IN_CORE(1023, "SVR", svr, PPC_SPR_READ, ALL),
};

#define REGISTERS (sizeof ppc_spr_table / sizeof ppc_spr_table[0])
_Static_assert(REGISTERS <= 256, "an index is a byte");

uint8_t ppc_spr_index[PPC_SPRS];

int16_t ppc_spr_quick_read[PPC_SPRS];
int16_t ppc_spr_quick_write[PPC_SPRS];

static void describe_quickly(const struct ppc_spr *spr)
{
    const unsigned exchanged = (spr->number & 31U) << 5 | spr->number >> 5;
    const int16_t offset = (int16_t)spr->offset;
    const bool is_mas = spr->home == PPC_SPR_MMU && !spr->changes_spaces;

    if (spr->rights & PPC_SPR_READ && spr->mask == ALL) {
        if (spr->home == PPC_SPR_WORD || spr->home == PPC_SPR_OWN) {
            ppc_spr_quick_read[exchanged] = offset;
        } else if (spr->home == PPC_SPR_MMU) {
            ppc_spr_quick_read[exchanged] = (int16_t)-offset;
        }
    }
    if (spr->home == PPC_SPR_WORD && spr->rights & PPC_SPR_WRITE) {
        ppc_spr_quick_write[exchanged] = offset;
    } else if (is_mas) {
        ppc_spr_quick_write[exchanged] = (int16_t)-offset;
    }
}

void ppc_sprs_init(void)
{
    for (unsigned i = 1; i < REGISTERS; i++) {
        ppc_spr_index[ppc_spr_table[i].number] = (uint8_t)i;
        describe_quickly(&ppc_spr_table[i]);
    }
}
