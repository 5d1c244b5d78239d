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

    board.mas2 |= MAS2_I | MAS2_G;
    entry_write(&board);
    traps_init();
    guest_main();
    report_end();
}
