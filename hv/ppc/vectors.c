/*
 * Where interrupts go, and what happens on one of the hypervisor's own code.
 *
 * External ones and the decrementer's come in only where they are let in (interrupts.c). The rest are defects of
 * the hypervisor, but for an instruction with a fixup.
 *
 * Spec: Book E "Interrupt Definitions"; EREF "Interrupt Registers".
 */
#include "hv/ppc/cpu.h"
#include "hv/ppc/ground.h"

#define OFFSET_MASK 0xffff
#define FRAMES_MAX  16
#define FRAME_LR_SAVE                                                                                        \
    1 /* words from a stack frame's start, where the function that it calls keeps the return address */

/* One pair of PPC_FIXUP. */
struct fixup {
    uint32_t from, to;
};
extern const struct fixup image_fixups[], image_fixups_end[];

#define SET(number)     SPR_WRITE(SPR_IVOR0 + (number), vector_addresses[number] & OFFSET_MASK)
#define SET_SPE(number) SPR_WRITE(SPR_IVOR32 + (number)-VECTOR_NO_SPE, vector_addresses[number] & OFFSET_MASK)

void vectors_init(void)
{
    SPR_WRITE(SPR_IVPR, vector_addresses[0] & ~OFFSET_MASK);
    SET(VECTOR_CRITICAL);
    SET(VECTOR_MACHINE_CHECK);
    SET(VECTOR_DATA_STORAGE);
    SET(VECTOR_INSTRUCTION);
    SET(VECTOR_EXTERNAL);
    SET(VECTOR_ALIGNMENT);
    SET(VECTOR_PROGRAM);
    SET(VECTOR_NO_FLOAT);
    SET(VECTOR_SYSTEM_CALL);
    SET(VECTOR_NO_AUXILIARY);
    SET(VECTOR_DECREMENTER);
    SET(VECTOR_FIXED_INTERVAL);
    SET(VECTOR_WATCHDOG);
    SET(VECTOR_DATA_MISS);
    SET(VECTOR_FETCH_MISS);
    SET(VECTOR_DEBUG);
    SET_SPE(VECTOR_NO_SPE);
    SET_SPE(VECTOR_SPE_DATA);
    SET_SPE(VECTOR_SPE_ROUND);
    SET_SPE(VECTOR_MONITOR);
    SPR_WRITE(SPR_TCR, 0);
    isync();
}

static const char *name_of(uint32_t vector)
{
    static const char *const names[VECTOR_LIMIT] = {
        [VECTOR_CRITICAL] = "critical input",
        [VECTOR_MACHINE_CHECK] = "machine check",
        [VECTOR_DATA_STORAGE] = "data storage interrupt",
        [VECTOR_INSTRUCTION] = "instruction storage interrupt",
        [VECTOR_ALIGNMENT] = "alignment interrupt",
        [VECTOR_PROGRAM] = "program interrupt",
        [VECTOR_NO_FLOAT] = "floating point unavailable",
        [VECTOR_SYSTEM_CALL] = "system call",
        [VECTOR_NO_AUXILIARY] = "auxiliary processor unavailable",
        [VECTOR_FIXED_INTERVAL] = "fixed interval timer",
        [VECTOR_WATCHDOG] = "watchdog timer",
        [VECTOR_DATA_MISS] = "data TLB error",
        [VECTOR_FETCH_MISS] = "instruction TLB error",
        [VECTOR_DEBUG] = "debug interrupt",
        [VECTOR_NO_SPE] = "SPE unavailable",
        [VECTOR_SPE_DATA] = "SPE floating point data",
        [VECTOR_SPE_ROUND] = "SPE floating point round",
        [VECTOR_MONITOR] = "performance monitor",
    };
    return vector < VECTOR_LIMIT && names[vector] != NULL ? names[vector] : "interrupt that there is not";
}

static bool is_code(uint32_t address)
{
    return address >= (uintptr_t)image_text && address < (uintptr_t)image_constants;
}

static bool on_stack(uint32_t address)
{
    return address >= (uintptr_t)image_data && address <= (uintptr_t)fault_stack_top - 2 * sizeof(uint32_t) &&
           address % sizeof(uint32_t) == 0;
}

void print_return_addresses(uint32_t stack)
{
    host_print("  called from:");
    for (unsigned i = 0; i < FRAMES_MAX && on_stack(stack); i++) {
        const uint32_t *const frame = (const uint32_t *)(uintptr_t)stack;
        if (is_code(frame[FRAME_LR_SAVE])) {
            host_print(" %x", frame[FRAME_LR_SAVE]);
        }
        if (frame[0] <= stack) {
            break;
        }
        stack = frame[0];
    }
    host_print("\n");
}

/* Whether a frame more was wanted, and would have come to lie in the code below. */
static bool has_overflown(const struct ppc_frame *frame)
{
    const uint32_t stack = frame->gpr[1];
    return frame->vector == VECTOR_DATA_STORAGE && frame->dear < (uintptr_t)image_data &&
           stack >= frame->dear && stack - frame->dear < LAYOUT_STACK_BYTES;
}

static void report(const struct ppc_frame *frame)
{
    host_print("\nvmmu: %s (IVOR%u) in the hypervisor, ESR %x\n", name_of(frame->vector), frame->vector,
               frame->esr);
    host_print("  at %08x  msr %08x  dear %08x  lr %08x\n", frame->srr0, frame->srr1, frame->dear, frame->lr);
    host_print("  cr %08x  ctr %08x  xer %08x\n", frame->cr, frame->ctr, frame->xer);
    for (unsigned i = 0; i < 32; i += 4) {
        host_print("  r%-2u %08x  r%-2u %08x  r%-2u %08x  r%-2u %08x\n", i, frame->gpr[i], i + 1,
                   frame->gpr[i + 1], i + 2, frame->gpr[i + 2], i + 3, frame->gpr[i + 3]);
    }
    print_return_addresses(frame->gpr[1]);
    if (has_overflown(frame)) {
        host_print("  the stack has overflown\n");
    }
}

/* Whether the instruction at hand has somewhere else to go on. */
static bool mend(struct ppc_frame *frame)
{
    for (const struct fixup *fixup = image_fixups; fixup != image_fixups_end; fixup++) {
        if (frame->srr0 == fixup->from) {
            frame->srr0 = fixup->to;
            return true;
        }
    }
    return false;
}

void ground_interrupt(struct ppc_frame *frame)
{
    static bool again;
    switch (frame->vector) {
    case VECTOR_EXTERNAL:
    case VECTOR_DECREMENTER: interrupt_handle(frame); return;
    case VECTOR_DATA_STORAGE:
    case VECTOR_DATA_MISS:
    case VECTOR_ALIGNMENT:
    case VECTOR_PROGRAM:
        if (mend(frame)) {
            return;
        }
        break;
    }
    if (!again) {
        again = true;
        report(frame);
    }
    host_leave(HOST_LEAVE_PANIC);
}
