/*
 * Interrupts that instructions raise, and what of a processor's state problem state may not touch: the registers that an
 * interrupt saves, ESR's reasons, and that nothing else has changed. What every privileged instruction does there.
 * Spec: Power ISA Book III-E "Interrupts"; EREF "Interrupts and Exceptions"; e500 Core Family Reference Manual "Interrupts".
 */
#include <stddef.h>

#include "tests/guests/common/guest.h"
#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/cpu.h"
#include "tests/guests/ppc/common/traps.h"

#define CODE        UINT32_C(0x02410000) /* a page that one instruction at a time is written to */
#define BLR         UINT32_C(0x4e800020)

#define MFSPR(r, n) (0x7c0002a6u | (r) << 21 | ((n)&31) << 16 | (n) >> 5 << 11)
#define MTSPR(r, n) (0x7c0003a6u | (r) << 21 | ((n)&31) << 16 | (n) >> 5 << 11)

struct sample {
    const char *name;
    uint32_t instruction;
};

/* In problem state each is a privileged-instruction exception. */
static const struct sample privileged[] = {
    { "mfmsr", 0x7c6000a6 },
    { "mtmsr", 0x7c600124 },
    { "rfi", 0x4c000064 },
    { "rfci", 0x4c000066 },
    { "wrtee", 0x7c600106 },
    { "wrteei 0", 0x7c000146 },
    { "wrteei 1", 0x7c008146 },
    { "tlbwe", 0x7c0007a4 },
    { "tlbre", 0x7c000764 },
    { "tlbsx", 0x7c001f24 },
    { "tlbivax", 0x7c001e24 },
    { "tlbsync", 0x7c00046c },
    { "dcbi", 0x7c001bac },
    { "mfspr SRR0", MFSPR(3u, 26u) },
    { "mtspr SRR0", MTSPR(3u, 26u) },
    { "mfspr PID0", MFSPR(3u, 48u) },
    { "mtspr PID0", MTSPR(3u, 48u) },
    { "mfspr DEC", MFSPR(3u, 22u) },
    { "mtspr IVPR", MTSPR(3u, 63u) },
    { "mfspr MAS0", MFSPR(3u, 624u) },
    { "mtspr TCR", MTSPR(3u, 340u) },
    { "mfspr HID0", MFSPR(3u, 1008u) },
    { "mtspr SPRG0", MTSPR(3u, 272u) },
};

/* Illegal in any state. */
static const struct sample illegal[] = {
    { "all zeros", 0x00000000 },
    { "primary opcode 1", 0x04000000 },
    { "a classic floating-point load", 0xc0230000 },
};

static void put_code(uint32_t instruction)
{
    volatile uint32_t *at = (volatile uint32_t *)(uintptr_t)CODE;

    at[0] = instruction;
    at[1] = BLR;
    __asm__ volatile("dcbf 0, %0; msync; icbi 0, %0; msync; isync" : : "r"(CODE) : "memory");
}

/* The last interrupt was a program interrupt at the sample, with @esr as its reason. */
static bool was_program(uint32_t esr)
{
    return trap_last.number == TRAP_PROGRAM && trap_last.pc == CODE &&
           (trap_last.esr & (ESR_PIL | ESR_PPR | ESR_PTR)) == esr;
}

static void check_user_privileged(void)
{
    for (unsigned i = 0; i < sizeof(privileged) / sizeof(privileged[0]); i++) {
        put_code(privileged[i].instruction);
        (void)user_run(CODE, CODE, 0, NULL);
        detail("interrupt %u at %x, ESR %x", trap_last.number, trap_last.pc, trap_last.esr);
        report(was_program(ESR_PPR), "%s in problem state is privileged", privileged[i].name);
    }
}

static void check_illegal(void)
{
    for (unsigned i = 0; i < sizeof(illegal) / sizeof(illegal[0]); i++) {
        put_code(illegal[i].instruction);
        (void)user_run(CODE, CODE, 0, NULL);
        detail("interrupt %u at %x, ESR %x", trap_last.number, trap_last.pc, trap_last.esr);
        report(was_program(ESR_PIL), "%s in problem state is illegal", illegal[i].name);
        (void)try_fetch(CODE);
        detail("interrupt %u at %x, ESR %x", trap_last.number, trap_last.pc, trap_last.esr);
        report(was_program(ESR_PIL), "%s in supervisor state is illegal", illegal[i].name);
    }
}

static void check_trap_instruction(void)
{
    put_code(0x7fe00008); /* trap */
    (void)user_run(CODE, CODE, 0, NULL);
    report(was_program(ESR_PTR), "a trap instruction in problem state says so in ESR");
    (void)try_fetch(CODE);
    report(was_program(ESR_PTR), "and in supervisor state");
}

static void check_system_call(void)
{
    put_code(0x44000002);
    (void)user_run(CODE, CODE, 0, NULL);
    report(trap_last.number == TRAP_SYSTEM_CALL && trap_last.pc == CODE + 4,
           "a system call saves the address behind it");
    report(trap_last.msr & MSR_PR, "SRR1 has MSR[PR] of before");
    (void)try_fetch(CODE);
    report(trap_last.number == TRAP_SYSTEM_CALL && !(trap_last.msr & MSR_PR), "one in supervisor state, too");
}

static void check_user_registers(void)
{
    uint32_t value = 0;

    write_spr(272 + 4, 0x12345678);
    put_code(MFSPR(3u, 260u));
    report(user_run(CODE, 0, 0, &value) == TRAP_NONE && value == 0x12345678,
           "problem state reads SPRG4 by its own number");
    write_spr(272 + 7, 0x9abcdef0);
    put_code(MFSPR(3u, 263u));
    report(user_run(CODE, 0, 0, &value) == TRAP_NONE && value == 0x9abcdef0, "and SPRG7");
    put_code(MFSPR(3u, 268u));
    report(user_run(CODE, 0, 0, &value) == TRAP_NONE && value != 0, "and the timebase");
    put_code(MTSPR(3u, 256u));
    report(user_run(CODE, 0x5a5a, 0, NULL) == TRAP_NONE && read_spr(256) == 0x5a5a,
           "problem state writes USPRG0");
}

/* Registers that keep what is written. */
static void check_supervisor_registers(void)
{
#define KEEPS(number, bits)                                                                                  \
    do {                                                                                                     \
        const uint32_t before = read_spr(number);                                                            \
        write_spr(number, UINT32_C(0xa5a5a5a5) & (bits));                                                    \
        bool held = read_spr(number) == (UINT32_C(0xa5a5a5a5) & (bits));                                     \
        write_spr(number, UINT32_C(0x5a5a5a5a) & (bits));                                                    \
        held &= read_spr(number) == (UINT32_C(0x5a5a5a5a) & (bits));                                         \
        write_spr(number, before);                                                                           \
        report(held, "SPR %u keeps what is written to it", number);                                          \
    } while (0)
    KEEPS(26, 0xffffffff);
    KEEPS(27, 0x0202d000);
    KEEPS(58, 0xffffffff);
    KEEPS(61, 0xffffffff);
    KEEPS(273, 0xffffffff);
    KEEPS(274, 0xffffffff);
    KEEPS(275, 0xffffffff);
    KEEPS(279, 0xffffffff);
    KEEPS(628, 0x1001007f);
    KEEPS(630, 0x00ff0001);
}

static void check_msr(void)
{
    const uint32_t before = read_msr();

    write_msr(before | MSR_CE);
    report(read_msr() == (before | MSR_CE), "MSR[CE] reads back");
    write_msr(before);
    __asm__ volatile("wrteei 1" : : : "memory");
    report(read_msr() == (before | MSR_EE), "wrteei 1 sets MSR[EE]");
    __asm__ volatile("wrteei 0" : : : "memory");
    report(read_msr() == before, "wrteei 0 clears it, and nothing else");
    __asm__ volatile("wrtee %0" : : "r"(~UINT32_C(0)) : "memory");
    report(read_msr() == (before | MSR_EE), "wrtee takes MSR[EE] alone from its register");
    __asm__ volatile("wrtee %0" : : "r"(0) : "memory");
}

/* Every general register, the condition register and the like survive what traps into a hypervisor. */
static void check_registers_survive(void)
{
    static uint32_t seen[32]; /* what the assembly writes, behind the back of whoever checks this */
    uint32_t wrong = 0;

    __asm__ volatile(
        "stwu 1, -160(1); stmw 2, 8(1); mr 31, %0\n"
        "lis 0, 0x1234; mtctr 0; lis 0, 0x2000; mtxer 0\n"
        "li 3, 3; li 4, 4; li 5, 5; li 6, 6; li 7, 7; li 8, 8; li 9, 9; li 10, 10; li 11, 11; li 12, 12\n"
        "li 14, 14; li 15, 15; li 16, 16; li 17, 17; li 18, 18; li 19, 19; li 20, 20; li 21, 21; li 22, 22\n"
        "li 23, 23; li 24, 24; li 25, 25; li 26, 26; li 27, 27; li 28, 28; li 29, 29; li 30, 30\n"
        "lis 0, 0x7531; mtcrf 0xff, 0; li 0, 77\n"
        "mfmsr 13; mfspr 13, 26; mtspr 272, 13; wrteei 0; tlbsync; mfspr 13, 1008; mtspr 1008, 13; wrtee 3\n"
        "stmw 3, 12(31); stw 0, 0(31); mfctr 0; stw 0, 4(31); mfcr 0; stw 0, 8(31)\n"
        "mr 30, 31; lmw 2, 8(1); addi 1, 1, 160\n"
        :
        : "r"(seen)
        : "memory", "ctr", "cr0", "cr1", "cr5", "cr6", "cr7", "xer", "r0");
    wrong += seen[0] != 77;
    wrong += seen[1] != 0x12340000;
    wrong += seen[2] != 0x75310000;
    for (uint32_t i = 3; i < 31; i++) {
        wrong += i != 13 && seen[i] != i;
    }
    report(wrong == 0, "registers survive privileged instructions");
}

void guest_main(void)
{
    check_user_privileged();
    check_illegal();
    check_trap_instruction();
    check_system_call();
    check_user_registers();
    check_supervisor_registers();
    check_msr();
    check_registers_survive();
}
