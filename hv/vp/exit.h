/*
 * Why a virtual processor left guest mode, as plain data: what a backend makes of a hardware exit.
 *
 * Kinds that any processor has come first; `vp` and `mmu` decide most of those. The rest belong to one architecture each,
 * whose own code (hv/x86/vp, hv/ppc/vp) decides them. VMCS and VMCB fields never go further than the backend.
 */
#ifndef HV_VP_EXIT_H
#define HV_VP_EXIT_H

#include <vmmu/base.h>

enum exit_kind {
    EXIT_HOST_INTERRUPT, /* an interrupt of the machine's waits */
    EXIT_EVENT_WINDOW,   /* the guest can take the event that it could not take before */
    EXIT_MEMORY,         /* a guest-physical access was refused: `memory` */
    EXIT_IDLE,           /* the guest waits for an interrupt */
    EXIT_HYPERCALL,
    EXIT_MACHINE_CHECK,
    EXIT_DEAD, /* triple fault, or a state that the processor refuses: `why` */

    EXIT_ARCH,                 /* from here on: one architecture's */
    EXIT_X86_PORT = EXIT_ARCH, /* `port` */
    EXIT_X86_CPUID,
    EXIT_X86_MSR_READ,
    EXIT_X86_MSR_WRITE,
    EXIT_X86_CONTROL, /* a control register is read or written; the instruction says which */
    EXIT_X86_XSETBV,
    EXIT_X86_CACHE,     /* INVD */
    EXIT_X86_EXCEPTION, /* `exception`: intercepted, to be given back to the guest */
    EXIT_X86_UNOFFERED, /* an instruction that the guest was not offered: #UD */
    EXIT_X86_RDPMC,
    EXIT_X86_PAGE_FAULT, /* `page_fault`: tables of ours, walked in place of the guest's, refused an access */
    EXIT_X86_TASK_SWITCH, /* `task`: nothing of it has been done */
    EXIT_X86_INVLPG,      /* `invlpg`: while the MMU wants to know */
    EXIT_X86_PAUSE,       /* it spins, while others could run */
    EXIT_X86_SPACES, /* the guest flushes by itself what it has cached of one space: others have been seen to */

    EXIT_PPC_TIMER, /* a timer of the guest's has been set: the machine's may have to fire sooner */
    EXIT_PPC_PAGE, /* an access that no entry of the TLB can serve: the instruction is to be performed on memory */

    EXIT_KINDS
};

/* Names of the kinds, for counters and the trace. */
extern const char *const exit_names[EXIT_KINDS];

/* Of the kinds from EXIT_ARCH on, those that this image's architecture has: from `first` to the one before `end`. */
struct exit_range {
    enum exit_kind first;
    enum exit_kind end;
};
extern const struct exit_range arch_exits;

/* Whether VPs of this image's may exit so. */
static inline bool exit_is_known(enum exit_kind kind)
{
    return kind < EXIT_ARCH || (kind >= arch_exits.first && kind < arch_exits.end);
}

struct exit_memory {
    vmmu_gpa gpa;
    bool write;
    bool execute;
    bool has_va; /* the processor says which linear address it was for: */
    vmmu_gva va;
};

struct exit_port {
    uint16_t number;
    uint8_t width_bytes;
    bool in;
    bool string;
    uint64_t next; /* address of the next instruction */
};

#define EXIT_NO_EXCEPTION 0xFF

struct exit_exception {
    uint8_t vector;
    uint8_t first; /* the exception in whose delivery this one was raised, or EXIT_NO_EXCEPTION */
    bool has_error_code;
    uint32_t error_code;
};

struct exit_page_fault {
    vmmu_gva va;
    uint32_t error_code; /* as the processor has it, of the tables that it walked */
    uint8_t first;       /* as in struct exit_exception */
    bool implicit;       /* an access that the processor made as a supervisor for the user's instruction */
};

struct exit_invlpg {
    bool told; /* the processor says which address: `va`; else the instruction does */
    vmmu_gva va;
};

struct exit_task {
    uint16_t selector; /* of the new task's state */
    uint8_t source;    /* enum vmmu_x86_task_source */
    uint8_t first;     /* the exception that goes through a task gate, or EXIT_NO_EXCEPTION */
    bool
        at_instruction; /* the instruction that switches, INT n, INT3 and INTO among these, has yet to be stepped over */
    bool external; /* by an interrupt or an exception, but INT n, INT3 and INTO */
    bool has_error_code;
    uint32_t error_code;
};

struct exit {
    enum exit_kind kind;
    uint8_t insn_bytes; /* length of the instruction, where the processor says so; else 0 */
    /*
     * The exit cut the delivery of an event short. The backend injects it again, unless
     * the exit is an exception, or it is told to forget the event.
     */
    bool delivering;
    /*
     * Interrupts of the machine's are looked for, although none made this exit: guests can arrange that none ever does.
     */
    bool looks_for_interrupts;
    union {
        struct exit_memory memory;
        struct exit_port port;
        struct exit_exception exception;
        struct exit_page_fault page_fault;
        struct exit_invlpg invlpg;
        struct exit_task task;
        const char *why;
    };
    uint64_t raw[3]; /* the hardware's own code and qualifiers, for the trace only */
};

#endif
