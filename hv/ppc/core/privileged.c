#include "hv/ppc/core/privileged.h"

const uint8_t ppc_privileged_19[1024] = {
    [38] = PPC_RFMCI,
    [39] = PPC_RFDI,
    [50] = PPC_RFI,
    [51] = PPC_RFCI,
};

const uint8_t ppc_privileged_31[1024] = {
    [18] = PPC_TLBILX, [83] = PPC_MFMSR,  [131] = PPC_WRTEE, [146] = PPC_MTMSR,   [163] = PPC_WRTEEI,
    [339] = PPC_MFSPR, [467] = PPC_MTSPR, [470] = PPC_DCBI,  [566] = PPC_TLBSYNC, [786] = PPC_TLBIVAX,
    [914] = PPC_TLBSX, [946] = PPC_TLBRE, [978] = PPC_TLBWE,
};
