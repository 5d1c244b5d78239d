/*
 * A processor with two tasks and no processor: a register file in 32-bit protected mode, a GDT, task states of both
 * kinds, pages of linear memory in two spaces, and callbacks that hold the library to its contract.
 */
#ifndef TESTS_UNIT_TASK_TASKS_H
#define TESTS_UNIT_TASK_TASKS_H

#include <vmmu/task.h>

#define TASKS_PAGES   16 /* linear 0 to TASKS_PAGES * 4096; all of them are there in both spaces at first */

/* Where the things stand. */
#define GDT_AT        0x1000
#define OLD_AT        0x2000
#define NEW_AT        0x3000
#define OLD16_AT      0x4000
#define NEW16_AT      0x5000
#define LDT_AT        0x6000
#define STACK_AT      0x8000 /* the new task's, downward */

/* Selectors in the GDT. From FREE on the entries are the test's own. */
#define CODE0         0x08
#define DATA0         0x10
#define CODE3         0x1B
#define DATA3         0x23
#define OLD_TASK      0x28
#define NEW_TASK      0x30
#define OLD16_TASK    0x38
#define NEW16_TASK    0x40
#define LDT           0x48
#define FREE          0x50
#define GDT_LIMIT     0x7F

/* Bytes of rights: P, DPL, S, type. */
#define RIGHTS_TSS    0x89
#define RIGHTS_TSS16  0x81
#define RIGHTS_BUSY   0x8B
#define RIGHTS_BUSY16 0x83
#define RIGHTS_LDT    0x82

/* Offsets in a 32-bit TSS. SDM 3A "Task-State Segment (TSS)". */
#define TSS_LINK      0x00
#define TSS_CR3       0x1C
#define TSS_EIP       0x20
#define TSS_EFLAGS    0x24
#define TSS_EAX       0x28
#define TSS_ESP       0x38
#define TSS_ES        0x48
#define TSS_CS        0x4C
#define TSS_SS        0x50
#define TSS_DS        0x54
#define TSS_FS        0x58
#define TSS_GS        0x5C
#define TSS_LDT       0x60
#define TSS_TRAP      0x64

/* In a 16-bit one. SDM 3A "16-Bit Task-State Segment (TSS)". */
#define TSS16_IP      0x0E
#define TSS16_FLAGS   0x10
#define TSS16_AX      0x12
#define TSS16_ES      0x22
#define TSS16_CS      0x24
#define TSS16_SS      0x26
#define TSS16_DS      0x28
#define TSS16_LDT     0x2A

#define FLAG_RF       BIT64(16)
#define FLAG_NT       BIT64(14)
#define FLAG_VM       BIT64(17)
#define FLAG_AC       BIT64(18)

/* What the new task's TSSs hold. */
#define NEW_CR3       0x7000u
#define NEW_EIP       0x4321u
#define NEW_REGISTER  0x11110000u /* of EAX; each next one is 0x1111 more, but for ESP */

/* The old task's. */
#define OLD_CR3       0x9000u
#define OLD_EIP       0x1234u
#define OLD_NEXT_EIP  0x1239u
#define OLD_REGISTER  0x22220000u
#define OLD_FLAGS     (FLAG_RF | FLAG_NT | 0x246)

struct tasks {
    struct vmmu_x86_state registers;
    struct vmmu_x86_task_state state;
    struct vmmu_x86_task_request request;
    struct vmmu_x86_task_outcome outcome;

    uint8_t pages[TASKS_PAGES][4096];
    bool absent[2][TASKS_PAGES]; /* in the old space, in the new one */
    bool read_only[TASKS_PAGES];
    bool user[TASKS_PAGES]; /* only these does CPL 3 reach */

    uint32_t cr3;
    bool refuses_cr3;      /* at once */
    bool refuses_late;     /* but says that it could be loaded */
    unsigned calls;        /* of any callback */
    unsigned fail_at;      /* the call that fails, from 1; 0: none */
    enum vmmu_status fail; /* with this */
    unsigned races;        /* exchanges that find that somebody else was there first */
    unsigned stores;       /* writes and exchanges that were done */
    unsigned user_stores;  /* of these at CPL 3 */
};

/* Both tasks at CPL 0 with flat segments, paging on; a JMP to NEW_TASK is asked for. */
void tasks_init(struct tasks *tasks);

uint64_t tasks_peek(const struct tasks *tasks, uint32_t at, unsigned bytes);
void tasks_poke(struct tasks *tasks, uint32_t at, unsigned bytes, uint64_t value);

/* Write a descriptor to the GDT; @flags are G, D/B, L and AVL. */
void tasks_descriptor(struct tasks *tasks, uint16_t selector, uint32_t base, uint32_t limit,
                      unsigned rights_and_flags);

/* The byte of rights of a descriptor in the GDT. */
unsigned tasks_rights(const struct tasks *tasks, uint16_t selector);
void tasks_set_rights(struct tasks *tasks, uint16_t selector, unsigned rights);

/* Make the new task one of CPL 3, whose stack it may reach. */
void tasks_new_is_user(struct tasks *tasks);

/* An event by a task gate: a fault with an error code, or INT n. */
void tasks_by_fault(struct tasks *tasks, uint32_t error_code);
void tasks_by_interrupt(struct tasks *tasks);

/* Ask for a switch back to NEW_TASK, which is busy. */
void tasks_by_iret(struct tasks *tasks);

enum vmmu_status tasks_switch(struct tasks *tasks);

/* Switch, and expect a fault with this error code, in the old task or the new one. */
void tasks_expect_fault(struct tasks *tasks, unsigned vector, uint32_t error_code, bool in_new_task);

/* What the next entry to the guest relies on. */
void tasks_expect_enterable(const struct tasks *tasks);

/* Whether the register files are the same. */
bool tasks_same_registers(const struct vmmu_x86_task_state *a, const struct vmmu_x86_task_state *b);

#endif
