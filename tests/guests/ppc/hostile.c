/*
 * A guest that does what none should: entries far outside its memory, over each other and over everything; every register there
 * is, with every pattern; devices at odd widths. It must harm nobody; it goes on as long as the architecture lets it.
 *
 * Words: "die" makes it stop soon, for good; "endless" makes it never end.
 */
#include <stddef.h>

#include "tests/guests/common/guest.h"
#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/board.h"
#include "tests/guests/ppc/common/cpu.h"
#include "tests/guests/ppc/common/traps.h"

#define AT     UINT32_C(0x80040000)
#define SPARE  5 /* an entry of TLB1 */
#define PLACES 2000
#define ROUNDS 4000

static uint32_t luck = 1;

static uint32_t draw(void)
{
    luck ^= luck << 13;
    luck ^= luck >> 17;
    luck ^= luck << 5;
    return luck;
}

/* Physical addresses that are not the guest's: anywhere, and around the places where things stand. */
static uint64_t foreign(void)
{
    const uint64_t anywhere = ((uint64_t)draw() << 32 | draw()) & UINT64_C(0xffffff000);

    return anywhere < UINT64_C(0x40000000) ? anywhere + UINT64_C(0x100000000) : anywhere;
}

/* What is mapped far outside reads as nothing, never as somebody's memory. */
static void check_foreign(void)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < PLACES; i++) {
        const uint64_t gpa = foreign();
        const struct entry entry = entry_large(SPARE, AT, gpa, i & 1 ? SIZE_4K : SIZE_64K);
        uint32_t value = 0;

        if (gpa >= BOARD_PHYSICAL - 0x10000 && gpa < BOARD_PHYSICAL + 0x100000) {
            continue;
        }
        entry_write(&entry);
        (void)try_load(AT + (draw() & 0xffc), &value);
        if (trap_last.number == TRAP_NONE && value != 0 && value != ~UINT32_C(0)) {
            detail("%q reads %x", gpa, value);
            wrong++;
        }
        (void)try_store(AT + (draw() & 0xffc), draw());
        (void)try_fetch(AT);
    }
    report(wrong == 0, "what stands at no memory of the guest's reads as nothing");
}

/* Entries that overlap in every way; what they give is undefined, that they harm is not allowed. */
static void check_overlaps(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct entry entry = { .mas0 = draw() & 1 ? MAS0_TLB1 | MAS0_ESEL(2 + draw() % 10)
                                                  : MAS0_ESEL(draw() & 3),
                               .mas1 = MAS1_V | MAS1_SIZE(draw() % 6) | (draw() & (MAS1_TID(3) | MAS1_TS)),
                               .mas2 = (AT & ~0xfffffu) | (draw() & 0xff01f),
                               .mas3 = (UINT32_C(0x02000000) | (draw() & 0xff000)) | (draw() & MAS3_ALL),
                               .mas7 = 0 };

        entry.mas2 &= ~MAS2_E;
        entry_write(&entry);
        write_spr(SPR_PID1, draw() & 3);
        write_spr(SPR_PID2, draw() & 3);
        __asm__ volatile("isync" : : : "memory");
        (void)try_load(entry.mas2 & ~0x1fu, NULL);
        (void)try_store(entry.mas2 & ~0x1fu, draw());
    }
    write_spr(SPR_PID1, 0);
    write_spr(SPR_PID2, 0);
    write_spr(SPR_MMUCSR0, BIT(2) | BIT(1));
    __asm__ volatile("isync" : : : "memory");
    report(true, "entries that overlap harm nobody");
}

/* MAS registers full of nonsense, and every instruction of the TLB on them. */
static void check_nonsense(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        const uint32_t own = MAS0_TLB1;

        write_spr(SPR_MAS0, draw());
        write_spr(SPR_MAS4, draw());
        write_spr(SPR_MAS6, draw());
        tlbre();
        tlbsx(draw());
        write_spr(SPR_MAS1, draw());
        write_spr(SPR_MAS2, draw() | 0x80000000);
        write_spr(SPR_MAS3, draw());
        write_spr(SPR_MAS7, draw());
        /* Neither the entry that the guest lives in, nor the one of its board. */
        write_spr(SPR_MAS0,
                  (draw() & ~UINT32_C(0x300f0000)) | (draw() & 1 ? own : 0) | MAS0_ESEL(1 + draw() % 14));
        tlbwe();
    }
    write_spr(SPR_MMUCSR0, BIT(2) | BIT(1));
    __asm__ volatile("isync" : : : "memory");
    for (unsigned i = 1; i < 15; i++) {
        const struct entry none = { .mas0 = MAS0_TLB1 | MAS0_ESEL(i) };

        entry_write(&none);
    }
    report(true, "MAS registers full of nonsense harm nobody");
}

/* Accesses of every width at every register of the board but those that end the guest. */
static void check_board(void)
{
    for (uint32_t at = 0; at < 0x100000; at += draw() & 0x7c) {
        const uint32_t page = at & ~0xfffu;

        if (page == BOARD_DEBUG_EXIT || page == BOARD_GPIO || page == BOARD_GUTS || page == 0x4000) {
            continue;
        }
        (void)try_load(BOARD_AT + at, NULL);
        (void)try_store(BOARD_AT + at, draw());
        (void)board_read8(at | (draw() & 3));
    }
    report(true, "accesses all over the board harm nobody");
}

/* An instruction of our own that the processor will not have is left out. */
static bool leave_out(struct trap_frame *frame)
{
    if (frame->number != TRAP_PROGRAM || frame->msr & MSR_PR || frame->pc >= AT) {
        return false;
    }
    frame->pc += 4;
    return true;
}

/* Nothing wakes a processor that waits with all interrupts off: its partition has to be ended. */
static _Noreturn void die(void)
{
    comment("now the guest waits for ever");
    write_spr(SPR_HID0, read_spr(SPR_HID0) | HID0_DOZE);
    for (;;) {
        __asm__ volatile("msync; mtmsr %0; isync" : : "r"(MSR_WE) : "memory");
    }
}

void guest_main(void)
{
    trap_hook = leave_out;
    do {
        check_foreign();
        if (option("die")) {
            die();
        }
        check_overlaps();
        check_nonsense();
        check_board();
    } while (option("endless"));
}
