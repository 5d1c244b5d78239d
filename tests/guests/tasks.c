/*
 * Hardware tasks: JMP, CALL and IRET between them and a task gate; what a switch saves and loads, CR3 first of all.
 * SDM 3A "Task Management".
 *
 * Where the hypervisor sees them, it performs them. An emulated processor that ignores SVM's intercept under shadow paging has
 * the partition stopped.
 *
 * Guest: 32-bit only
 * Guest: stops on amd under shadow
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define GDT_ENTRIES    16
#define OTHER_TASK     0x48 /* selector of the other task's state */
#define AVAILABLE_TASK UINT64_C(0x89)
#define BUSY           BIT64(41) /* of a descriptor */
#define FLAGS_NT       BIT(14)
#define VECTOR_TASK    0x83

#define CACHE_BITS     (PTE_PWT | PTE_PCD)
#define HERE           0x1111
#define THERE          0x2222

/* SDM 3A "Task-State Segment (TSS)". */
struct task {
    uint32_t link;
    uint32_t stacks[6];
    uint32_t cr3, eip, eflags;
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t es, cs, ss, ds, fs, gs;
    uint32_t ldt;
    uint16_t debug, io_map;
};

extern uint64_t gdt[];
extern uint8_t task_state[];
void task_enter(void);

static uint64_t wide_gdt[GDT_ENTRIES] __attribute__((aligned(16)));
static struct task other;
static uint8_t other_stack[4096] __attribute__((aligned(16)));
static uintptr_t test_address;

/* What the other task found. */
static volatile struct {
    uint32_t cr3, value, link;
    uintptr_t flags;
    bool was_busy;
} seen;

/* Each way in comes here; the next one goes on behind the way out. */
void task_body(void);
void task_body(void)
{
    seen.cr3 = cr3_read();
    seen.value = marker_read(test_address);
    seen.link = other.link & 0xffff;
    seen.was_busy = (wide_gdt[TASK_STATE / 8] & BUSY) != 0;
    __asm__ volatile("pushf; pop %0" : "=r"(seen.flags)::"memory");
}

__asm__(".text\n"
        "task_enter: call task_body\n"
        "ljmp $"
        "0x28"
        ", $0\n"
        "call task_body\n"
        "iret\n"
        "call task_body\n"
        "iret\n"
        "ud2\n");

static void other_make(uintptr_t cr3)
{
    const struct {
        uint16_t limit;
        uintptr_t base;
    } __attribute__((packed)) pointer = { sizeof wide_gdt - 1, (uintptr_t)wide_gdt };
    const uintptr_t base = (uintptr_t)&other;

    for (unsigned i = 0; i < OTHER_TASK / 8; i++) {
        wide_gdt[i] = gdt[i];
    }
    wide_gdt[OTHER_TASK / 8] = (sizeof other - 1) | (uint64_t)(base & 0xffffff) << 16 | AVAILABLE_TASK << 40 |
                               (uint64_t)(base >> 24) << 56;
    __asm__ volatile("lgdt %0" ::"m"(pointer) : "memory");
    other = (struct task){ .cr3 = cr3,
                           .eip = (uintptr_t)task_enter,
                           .eflags = FLAGS_ONE,
                           .esp = (uintptr_t)(other_stack + sizeof other_stack),
                           .es = KERNEL_DATA,
                           .cs = KERNEL_CODE,
                           .ss = KERNEL_DATA,
                           .ds = KERNEL_DATA,
                           .fs = KERNEL_DATA,
                           .gs = KERNEL_DATA,
                           .io_map = sizeof other };
}

/* In the other task its own space was seen; back here, this one. */
static void report_spaces(const struct space *here, const struct space *there, const char *mode,
                          const char *way)
{
    detail("cr3 %x reads %x", seen.cr3, seen.value);
    report((seen.cr3 & ~(uint32_t)CACHE_BITS) == there->root && seen.value == THERE,
           "%s: %s loads the other task's CR3", mode, way);
    report(cr3_read() == here->root && marker_read(test_address) == HERE, "%s: and the way back this one's",
           mode);
}

/* Which of the cache bits of CR3 are stored: a policy of the hypervisor's. TLFS "Virtual MMU and Caching". */
static uintptr_t kept_by_mov(const struct space *space)
{
    uintptr_t kept;
    cr3_write(space->root | CACHE_BITS);
    kept = cr3_read() & CACHE_BITS;
    cr3_write(space->root);
    return kept;
}

static void test_switches(const struct paging *paging)
{
    struct space here, there;
    uintptr_t kept;

    tables_reset();
    space_make(&here, paging);
    space_make(&there, paging);
    test_address = paging->test_va;
    space_map(&here, test_address, 1, FRAME(0) | PTE_P | PTE_W);
    space_map(&there, test_address, 1, FRAME(1) | PTE_P | PTE_W);
    frame_mark(FRAME(0), HERE);
    frame_mark(FRAME(1), THERE);
    space_enter(&here, 0, false);
    kept = kept_by_mov(&here);
    other_make(there.root | CACHE_BITS);
    ((struct task *)task_state)->cr3 = cr3_read();

    __asm__ volatile("ljmp %0, $0" ::"i"(OTHER_TASK) : "memory", "cc");
    report_spaces(&here, &there, paging->name, "a jump to a task");
    report((seen.cr3 & CACHE_BITS) == kept, "%s: of its cache bits what MOV to CR3 keeps", paging->name);
    report(!seen.was_busy && !(seen.flags & FLAGS_NT), "%s: the task that was left is not busy",
           paging->name);

    __asm__ volatile("lcall %0, $0" ::"i"(OTHER_TASK) : "memory", "cc");
    report_spaces(&here, &there, paging->name, "a call of a task");
    report(seen.was_busy && (seen.flags & FLAGS_NT) && seen.link == TASK_STATE,
           "%s: the task that called stays busy, and is linked", paging->name);

    trap_gate_task(VECTOR_TASK, OTHER_TASK);
    __asm__ volatile("int %0" ::"i"(VECTOR_TASK) : "memory", "cc");
    report_spaces(&here, &there, paging->name, "an interrupt by a task gate");
    trap_gate_task(VECTOR_TASK, 0);
    report(!(wide_gdt[OTHER_TASK / 8] & BUSY), "%s: IRET leaves the task available", paging->name);
    space_leave();
}

void guest_main(void)
{
    report(true, "the guest comes as far as its first task switch");
    for (const struct paging *const *mode = paging_modes(); *mode != NULL; mode++) {
        test_switches(*mode);
    }
    report_end();
}
