/*
 * A probe that traps is left as if it had returned: LR is its caller. In problem state everything that traps ends the program
 * there, a system call at its proper end as well.
 */
#include "tests/guests/ppc/common/traps.h"

#include <stddef.h>

#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/cpu.h"

struct trap_record trap_last = { .number = TRAP_NONE };
unsigned trap_counts[TRAPS];
bool (*trap_hook)(struct trap_frame *frame);

static bool probing;

extern const char vectors[], probe_back[], user_returns[];

void trap_taken(struct trap_frame *frame);
uint32_t probe_load(uint32_t ea);
void probe_store(uint32_t ea, uint32_t value);
void probe_fetch(uint32_t ea);
uint32_t enter_user(uint32_t first, uint32_t second, uint32_t function, uint32_t msr);

#define EACH_IVOR(do)                                                                                        \
    do                                                                                                       \
    (0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11) do(12) do(13) do(14) do(15)
#define SET_IVOR(n)   write_spr(SPR_IVOR0 + (n), (n)*16);
#define SET_IVOR32(n) write_spr(SPR_IVOR32 + (n), (32 + (n)) * 16);

void traps_init(void)
{
    EACH_IVOR(SET_IVOR)
    SET_IVOR32(0) SET_IVOR32(1) SET_IVOR32(2) SET_IVOR32(3)
}

static void record(const struct trap_frame *frame)
{
    trap_last = (struct trap_record){ .number = (enum trap)frame->number,
                                      .pc = frame->pc,
                                      .msr = frame->msr,
                                      .esr = read_spr(SPR_ESR),
                                      .dear = read_spr(SPR_DEAR),
                                      .mas0 = read_spr(SPR_MAS0),
                                      .mas1 = read_spr(SPR_MAS1),
                                      .mas2 = read_spr(SPR_MAS2),
                                      .mas6 = read_spr(SPR_MAS6),
                                      .lr = frame->lr,
                                      .r3 = frame->r[3] };
    trap_counts[frame->number]++;
}

void trap_taken(struct trap_frame *frame)
{
    record(frame);
    if (trap_hook && trap_hook(frame)) {
        return;
    }
    if (frame->msr & MSR_PR) {
        frame->msr &= ~(MSR_PR | MSR_IS | MSR_DS | MSR_EE | MSR_CE);
        frame->pc = (uint32_t)(uintptr_t)user_returns;
    } else if (probing) {
        frame->pc = frame->lr;
    } else {
        bail_out("interrupt %u at %x, MSR %x, ESR %x, DEAR %x", frame->number, frame->pc, frame->msr,
                 trap_last.esr, trap_last.dear);
    }
}

enum trap try_load(uint32_t ea, uint32_t *value)
{
    uint32_t loaded;

    trap_last.number = TRAP_NONE;
    probing = true;
    loaded = probe_load(ea);
    probing = false;
    if (value) {
        *value = loaded;
    }
    return trap_last.number;
}

enum trap try_store(uint32_t ea, uint32_t value)
{
    trap_last.number = TRAP_NONE;
    probing = true;
    probe_store(ea, value);
    probing = false;
    return trap_last.number;
}

enum trap try_fetch(uint32_t ea)
{
    trap_last.number = TRAP_NONE;
    probing = true;
    probe_fetch(ea);
    probing = false;
    return trap_last.number;
}

static enum trap run_user(uint32_t function, uint32_t first, uint32_t second, uint32_t msr, uint32_t *value)
{
    uint32_t result;

    trap_last.number = TRAP_NONE;
    result = enter_user(first, second, function, MSR_PR | msr);
    if (value) {
        *value = result;
    }
    if (trap_last.number == TRAP_SYSTEM_CALL && trap_last.pc == (uint32_t)(uintptr_t)probe_back + 4) {
        return TRAP_NONE;
    }
    return trap_last.number;
}

enum trap user_run(uint32_t function, uint32_t first, uint32_t msr, uint32_t *value)
{
    return run_user(function, first, 0, msr, value);
}

enum trap user_load(uint32_t ea, uint32_t msr, uint32_t *value)
{
    return run_user((uint32_t)(uintptr_t)probe_load, ea, 0, msr, value);
}

enum trap user_store(uint32_t ea, uint32_t value, uint32_t msr)
{
    return run_user((uint32_t)(uintptr_t)probe_store, ea, value, msr, NULL);
}

enum trap user_fetch(uint32_t ea, uint32_t msr)
{
    return run_user((uint32_t)(uintptr_t)probe_fetch, ea, 0, msr, NULL);
}
