/*
 * The demonstration: A is mapped to B by `tlbwe`, a store to A lands at B as the guest sees its memory, and `tlbre` and `tlbsx` read
 * B back. Where in the machine that is, only the hypervisor knows: with the word "wait" the guest stands still until a
 * character comes on the console, so that its monitor can be asked.
 *
 * Ppc: also wait
 */
#include "tests/guests/common/guest.h"
#include "tests/guests/common/machine.h"
#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/board.h"
#include "tests/guests/ppc/common/cpu.h"

#define A           UINT32_C(0x80001000)
#define B           UINT32_C(0x02345000) /* the guest sees it at its own address, too, by the entry it started with */
#define VALUE       UINT32_C(0x0badcafe)
#define LINE_STATUS 5
#define DATA_READY  1

static volatile uint32_t *word(uint32_t address)
{
    return (volatile uint32_t *)(uintptr_t)address;
}

static void wait_for_a_character(void)
{
    comment("A is %x, B is %x: press a key", A, B);
    while ((board_read8(BOARD_UART + LINE_STATUS) & DATA_READY) == 0) {
    }
    (void)board_read8(BOARD_UART);
}

void guest_main(void)
{
    const struct entry made = {
        .mas0 = MAS0_ESEL(1), .mas1 = MAS1_V | MAS1_SIZE(SIZE_4K), .mas2 = A, .mas3 = B | MAS3_SR | MAS3_SW
    };
    struct entry found;

    *word(B) = 0;
    entry_write(&made);
    *word(A) = VALUE;
    report(*word(B) == VALUE, "a store to A lands at B");
    found = entry_read(MAS0_ESEL(1));
    report((found.mas3 & ~0xfffu) == B && found.mas7 == 0, "tlbre reads B");
    write_spr(SPR_MAS6, 0);
    tlbsx(A);
    found = entry_registers();
    report((found.mas1 & MAS1_V) && (found.mas3 & ~0xfffu) == B, "tlbsx finds A, and reads B");
    report((found.mas0 & ~0xfffu) == made.mas0, "tlbsx says in which entry");
    if (option("wait")) {
        wait_for_a_character();
    }
    report(*word(A) == VALUE, "A still holds it");
}
