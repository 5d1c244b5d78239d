/*
 * Instructions in one address space that access, in the other, the page that they stand in: early kernels run so. Whatever keeps the two
 * spaces apart must do them all, but for reservations (docs/caveats.md).
 */
#include "tests/guests/common/guest.h"
#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/cpu.h"
#include "tests/guests/ppc/common/traps.h"

#define FIRST UINT32_C(0x11223344)

struct results {
    uint32_t loaded;
    uint32_t stored;
    uint32_t zeroed;
};

/* Run with @msr, and come back with the one from before. Its data are in its own page. */
void clash_run(struct results *results, uint32_t msr);

__asm__(".text\n\t"
        ".balign 4096\n"
        "clash_run:\n\t"
        "mfmsr 5\n\t"
        "mtmsr 4\n\t"
        "isync\n\t"
        "lis 6, clash_data@ha\n\t"
        "addi 6, 6, clash_data@l\n\t"
        "lwz 7, 0(6)\n\t"
        "stw 7, 0(3)\n\t"
        "addi 8, 7, 1\n\t"
        "stw 8, 0(6)\n\t"
        "lwz 7, 0(6)\n\t"
        "stw 7, 4(3)\n\t"
        "addi 10, 6, 40\n\t"
        "dcbz 0, 10\n\t"
        "lwz 7, 36(6)\n\t"
        "lwz 8, 64(6)\n\t"
        "or 7, 7, 8\n\t"
        "stw 7, 8(3)\n\t"
        "mtmsr 5\n\t"
        "isync\n\t"
        "blr\n\t"
        ".balign 32\n"
        "clash_data:\n\t"
        ".long 0x11223344, 1, 1, 1, 1, 1, 1, 1\n\t"
        ".long 1, 1, 1, 1, 1, 1, 1, 1\n\t"
        ".long 0x100, 1, 1, 1, 1, 1, 1, 1\n\t"
        ".balign 4096");

/* The first 64 MiB are in address space 1, too, as they are in 0. */
static void map_twice(void)
{
    write_spr(SPR_MAS0, MAS0_TLB1 | MAS0_ESEL(9));
    write_spr(SPR_MAS1, MAS1_V | MAS1_TS | MAS1_SIZE(8));
    write_spr(SPR_MAS2, 0);
    write_spr(SPR_MAS3, MAS3_SR | MAS3_SW | MAS3_SX);
    write_spr(SPR_MAS7, 0);
    tlbwe();
}

void guest_main(void)
{
    struct results results = { 0 };

    map_twice();
    clash_run(&results, read_msr() | MSR_IS);
    report(results.loaded == FIRST, "a load of the page that the instruction stands in");
    report(results.stored == FIRST + 1, "a store to it, and what it has left");
    report(results.zeroed == 0x100, "a cache block there is zeroed, and no other");
}
