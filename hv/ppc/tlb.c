/*
 * The hypervisor's own entries of TLB1: protected, for address space 0, with a process identifier that fits all. The
 * other entries, and TLB0, are the guests'.
 *
 * Spec: EREF "TLB Write Entry (tlbwe)", "MMU Control and Status Register 0".
 */
#include "hv/boot/memory.h"
#include "hv/ppc/cpu.h"
#include "hv/ppc/ground.h"

#define MIB_256 UINT64_C(0x10000000)

_Static_assert(MEMORY_DIRECT_MAP == LAYOUT_DIRECT_MAP, "one direct map");
_Static_assert(MEMORY_DIRECT_MAP + MEMORY_MAPPED_BYTES == LAYOUT_DEVICES, "it ends where the devices begin");

static unsigned first_own = TLB1_DIRECT_MAP;

unsigned tlb1_guest_entries(void)
{
    return first_own;
}

static void write_entry(unsigned number, uint32_t mas1, uint32_t mas2, uint32_t mas3)
{
    SPR_WRITE(SPR_MAS0, MAS0_TLB1(number));
    SPR_WRITE(SPR_MAS1, mas1);
    SPR_WRITE(SPR_MAS2, mas2);
    SPR_WRITE(SPR_MAS3, mas3);
    SPR_WRITE(SPR_MAS7, 0);
    __asm__ volatile("isync\n\ttlbwe\n\tisync" : : : "memory");
}

static uint64_t higher_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/*
 * As few entries as cover memory: pages of 1 GiB as long as more than 256 MiB are left and one fits. They may reach past
 * the memory's end, where nobody looks.
 */
static void map_memory(uint64_t memory_bytes)
{
    uint64_t done = 0;
    unsigned number = TLB1_DIRECT_MAP;
    const uint64_t end = memory_bytes < MEMORY_MAPPED_BYTES ? memory_bytes : MEMORY_MAPPED_BYTES;
    while (done < end) {
        const bool large = end - done > MIB_256 && MEMORY_MAPPED_BYTES - done >= VMMU_1G_BYTES;
        write_entry(number, MAS1_OWN(large ? MAS1_1G : MAS1_256M),
                    LAYOUT_DIRECT_MAP + (uint32_t)done + MAS2_M, (uint32_t)done + MAS3_SW + MAS3_SR);
        first_own = number--;
        done += large ? VMMU_1G_BYTES : MIB_256;
    }
}

void tlb_init(uint64_t memory_bytes)
{
    map_memory(higher_of(memory_bytes, 1));
    for (unsigned number = 0; number < first_own; number++) {
        write_entry(number, 0, 0, 0);
    }
    SPR_WRITE(SPR_PID0, 0);
    SPR_WRITE(SPR_PID1, 0);
    SPR_WRITE(SPR_PID2, 0);
    SPR_WRITE(SPR_MMUCSR0, MMUCSR0_TLB0_FLUSH);
    isync();
}
