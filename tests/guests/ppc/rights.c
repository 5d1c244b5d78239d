/*
 * The six rights of an entry: each set of them, for each kind of access in each privilege state, by an entry of either array.
 * Expected: what the manual says.
 * Spec: Power ISA Book III-E "Storage Control", "Access Control Bits"; EREF "Permissions".
 */
#include <stddef.h>

#include "tests/guests/common/guest.h"
#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/cpu.h"
#include "tests/guests/ppc/common/traps.h"

#define AT       UINT32_C(0x80040000)
#define PAGE     UINT32_C(0x02400000)
#define BLR      UINT32_C(0x4e800020)
#define SETS     64
#define LARGE_AT 7 /* entries of TLB1 */

struct access {
    const char *name;
    uint32_t right; /* in problem state; as a supervisor it is half of that */
    enum trap refused;
    uint32_t esr;
};

enum { LOAD, STORE, FETCH, KINDS };

static const struct access accesses[KINDS] = {
    [LOAD] = { "load", MAS3_UR, TRAP_DATA_STORAGE, 0 },
    [STORE] = { "store", MAS3_UW, TRAP_DATA_STORAGE, ESR_ST },
    [FETCH] = { "fetch", MAS3_UX, TRAP_INSTRUCTION_STORAGE, 0 },
};

static enum trap attempt(unsigned kind, bool user)
{
    switch (kind) {
    case LOAD: return user ? user_load(AT, 0, NULL) : try_load(AT, NULL);
    case STORE: return user ? user_store(AT, BLR, 0) : try_store(AT, BLR);
    default: return user ? user_fetch(AT, 0) : try_fetch(AT);
    }
}

static bool is_right(unsigned kind, bool user, uint32_t rights)
{
    const struct access *access = &accesses[kind];
    const uint32_t needed = user ? access->right : access->right >> 1;
    const enum trap came = attempt(kind, user);

    if (rights & needed) {
        return came == TRAP_NONE;
    }
    return came == access->refused && (trap_last.esr & (ESR_ST | ESR_PPR | ESR_PIL)) == access->esr &&
           (kind == FETCH ? trap_last.pc == AT : trap_last.dear == AT);
}

/* All sets of rights for one access by one array. */
static void check(unsigned kind, bool user, bool large)
{
    unsigned wrong = 0;

    for (uint32_t rights = 0; rights < SETS; rights++) {
        struct entry entry = { .mas0 = large ? MAS0_TLB1 | MAS0_ESEL(LARGE_AT) : 0,
                               .mas1 = MAS1_V | MAS1_SIZE(large ? SIZE_256K : SIZE_4K),
                               .mas2 = AT,
                               .mas3 = PAGE | rights };

        entry_write(&entry);
        if (!is_right(kind, user, rights)) {
            detail("rights %x: interrupt %u, ESR %x, DEAR %x", rights, trap_last.number, trap_last.esr,
                   trap_last.dear);
            wrong++;
        }
        entry.mas1 = 0;
        entry_write(&entry);
    }
    report(wrong == 0, "%s %s through %s: every set of rights", user ? "problem-state" : "supervisor",
           accesses[kind].name, large ? "TLB1" : "TLB0");
}

void guest_main(void)
{
    *(volatile uint32_t *)(uintptr_t)PAGE = BLR;
    __asm__ volatile("dcbf 0, %0; msync; icbi 0, %0; isync" : : "r"(PAGE) : "memory");
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (unsigned user = 0; user < 2; user++) {
            check(kind, user, false);
            check(kind, user, true);
        }
    }
}
