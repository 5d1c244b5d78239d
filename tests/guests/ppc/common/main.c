#include "tests/guests/common/guest.h"
#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/board.h"
#include "tests/guests/ppc/common/cpu.h"
#include "tests/guests/ppc/common/traps.h"

#define BOARD_ENTRY 15 /* of TLB1 */

int main(void);

int main(void)
{
    struct entry board = entry_large(BOARD_ENTRY, BOARD_AT, BOARD_PHYSICAL, SIZE_1M);

    struct entry own = entry_read(MAS0_TLB1);

    board.mas1 |= MAS1_IPROT;
    board.mas2 |= MAS2_I | MAS2_G;
    entry_write(&board);
    own.mas1 |= MAS1_IPROT;
    entry_write(&own);
    write_spr(SPR_HID0, read_spr(SPR_HID0) | HID0_EN_MAS7_UPDATE);
    traps_init();
    guest_main();
    report_end();
}
