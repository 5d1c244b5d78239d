/*
 * Hardware task switches, performed in the processor's place: VT-x exits at each of them, SVM where it is asked to.
 *
 * Nothing here allocates, locks or keeps anything: every function is reentrant.
 */
#ifndef VMMU_TASK_H
#define VMMU_TASK_H

#include <vmmu/base.h>
#include <vmmu/insn.h>

/* What made the processor switch. */
enum vmmu_x86_task_source {
    VMMU_X86_TASK_CALL, /* by the selector of a TSS, or of a task gate */
    VMMU_X86_TASK_IRET, /* with EFLAGS.NT set: back to the task that is linked */
    VMMU_X86_TASK_JMP,
    VMMU_X86_TASK_EVENT, /* an interrupt or exception, whose gate in the IDT is a task gate */
};

/* A switch to be performed. */
struct vmmu_x86_task_request {
    enum vmmu_x86_task_source source;
    uint16_t selector;   /* of the new task's TSS: what the gate or the link has, where there is one */
    bool external;       /* the EXT bit of error codes: the event was not INT n, INT3 or INTO */
    bool has_error_code; /* the event has one, for the new task's stack: */
    uint32_t error_code;
    uint32_t next_eip; /* where the old task goes on: behind the instruction, or at it after a fault */
};

/* Registers of segmentation that the system alone loads. */
struct vmmu_x86_system_segments {
    struct vmmu_x86_segment ldtr; /* P clear: null was loaded */
    struct vmmu_x86_segment tr;   /* of a TSS whose type is busy */
    uint64_t gdt_base;
    uint16_t gdt_limit;
};

/* What a switch reads and changes. */
struct vmmu_x86_task_state {
    struct vmmu_x86_state *registers; /* all of it; RFLAGS.RF as the old task is to have it */
    struct vmmu_x86_system_segments system;
    uint64_t dr7;
};

/**
 * How a switch reaches memory, and loads CR3.
 *
 * `memory` is asked for bytes of linear addresses below 4 GiB at the privilege that state->registers has at that
 * moment: for what processors access implicitly (TSS, GDT, LDT) CPL is 0 and RFLAGS.AC is clear there, for the
 * error code on the new task's stack they are the new task's. Ports are not used.
 */
struct vmmu_x86_task_machine {
    struct vmmu_insn_memory memory;

    /*
     * Whether @cr3 could be loaded while paging is on (PDPTEs could not, under PAE). VMMU_OK, or VMMU_GUEST_FAULT:
     * #GP(0). Changes nothing. @context is memory.context.
     */
    enum vmmu_status (*check_cr3)(void *context, uint32_t cr3);

    /* Load it, with all that MOV to CR3 does; what `memory` is asked for from here on is in the new space. */
    enum vmmu_status (*load_cr3)(void *context, uint32_t cr3);
};

struct vmmu_x86_task_outcome {
    struct vmmu_x86_fault fault; /* valid with VMMU_GUEST_FAULT */
    bool switched;               /* the new task's state is loaded: a fault is raised in it */
    bool debug_trap; /* its T flag is set: a #DB with DR6.BT is due before its first instruction */
};

#define VMMU_X86_DR6_BT BIT64(15)

/**
 * Switch tasks.
 *
 * The descriptor of the new TSS is checked in full. Privileges are not: whether the instruction may use the TSS or
 * the gate, the processor has decided before it exits (and which of them it used is not told).
 *
 * Up to the commit point, faults are the old task's. Then both TSSs and both descriptors have been found accessible,
 * so that nothing but a guest that has its page tables or PDPTEs in its TSS can come to a fault between the first
 * store and the last; that one is the old task's, too. Behind it the new task has all that its TSS holds, and faults
 * of loading its segments, of pushing the error code and of EIP are its own. Of segments that could not be loaded
 * the selectors stand, as on a processor, and these invariants hold for the next entry: CS is code, present, and of
 * the CPL; SS has the CPL as its DPL and RPL; what was not loaded has P clear. system.gdt_* never change.
 *
 * Returns
 *   VMMU_OK           *state is the new task's; see outcome->debug_trap
 *   VMMU_GUEST_FAULT  outcome->fault is to be raised: in the old task, whose registers are unchanged, or if
 *                     outcome->switched in the new one
 *   VMMU_RACED        another processor has just changed the TSS descriptor; nothing was changed, call again
 *   VMMU_INVALID      there are no tasks in this mode (IA-32e, or real-address mode); nothing was changed
 *   any other         from a callback; as with VMMU_GUEST_FAULT
 *
 * Spec: SDM 3A "Task Switching", "Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)"; SDM 3C "Treatment of
 * Task Switches".
 */
VMMU_MUST_USE
enum vmmu_status
vmmu_x86_task_switch(const struct vmmu_x86_task_request *request, struct vmmu_x86_task_state *state,
                     const struct vmmu_x86_task_machine *machine, struct vmmu_x86_task_outcome *outcome);

#endif
