/*
 * PWT and PCD in the CR3 of a task: what a task switch makes of them, as the policy cr3.cache says. TLFS "Memory Cache Type";
 * SDM 3A "Task Switching".
 *
 * Where they are to be ignored the hypervisor must see the switch, and host amd's processor does not let it.
 *
 * Guest: 32-bit only
 * Guest: inside only
 * Guest: run cr3.cache=honor under nested: --policy cr3.cache=honor -- cr3.cache=honor
 * Guest: run cr3.cache=honor under shadow off amd: --policy cr3.cache=honor -- cr3.cache=honor
 * Guest: run cr3.cache=ignore off amd: --policy cr3.cache=ignore -- cr3.cache=ignore
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define GDT_ENTRIES    16
#define OTHER_TASK     0x48
#define AVAILABLE_TASK UINT64_C(0x89)
#define CACHE_BITS     (PTE_PWT | PTE_PCD)
#define MARKER         0x3333

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
void task_cache_enter(void);
void task_cache_body(void);

static uint64_t wide_gdt[GDT_ENTRIES] __attribute__((aligned(16)));
static struct task other;
static uint8_t other_stack[4096] __attribute__((aligned(16)));
static uintptr_t test_address;
static volatile uint32_t seen_cr3, seen_value;

void task_cache_body(void)
{
    seen_cr3 = cr3_read();
    seen_value = marker_read(test_address);
}

/* TASK_STATE, spelled out. */
__asm__(".text\n"
        "task_cache_enter: call task_cache_body; ljmp $0x28, $0; jmp task_cache_enter\n");

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
                           .eip = (uintptr_t)task_cache_enter,
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

static void test_mode(const struct paging *paging)
{
    struct space space;
    tables_reset();
    space_make(&space, paging);
    test_address = paging->test_va;
    space_map(&space, test_address, 1, FRAME(0) | PTE_P | PTE_W);
    frame_mark(FRAME(0), MARKER);
    space_enter(&space, 0, false);
    const uintptr_t wanted = space.root | (option("cr3.cache=honor") ? CACHE_BITS : 0);
    other_make(space.root | CACHE_BITS);
    ((struct task *)task_state)->cr3 = space.root | CACHE_BITS;
    __asm__ volatile("ljmp %0, $0" ::"i"(OTHER_TASK) : "memory", "cc");
    detail("reads %x", seen_cr3);
    report(seen_cr3 == wanted && seen_value == MARKER,
           "%s: PWT and PCD in a task's CR3 read back as the policy says", paging->name);
    detail("reads %p", cr3_read());
    report(cr3_read() == wanted, "%s: and those that the way back loads", paging->name);
    cr3_write(space.root);
    space_leave();
}

void guest_main(void)
{
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        test_mode(*mode);
    }
}
