/*
 * The hypervisor's own page tables. entry.S has made them just good enough to run; here they become final.
 * Invariants from then on: nothing is both writable and executable, the code and constants are read-only
 * wherever they are mapped, and everything above 4 GiB that is mapped is RAM.
 */
#include "hv/boot/memory.h"
#include "hv/x86/cpu.h"
#include "hv/x86/ground.h"

#define PTE_PRESENT      BIT64(0)
#define PTE_WRITABLE     BIT64(1)
#define PTE_UNCACHED     (BIT64(3) | BIT64(4)) /* PWT and PCD: entry 3 of the PAT as at reset */
#define PTE_ACCESSED     BIT64(5)
#define PTE_DIRTY        BIT64(6)
#define PTE_LARGE        BIT64(7)
#define PTE_GLOBAL       BIT64(8)
#define PTE_NX           BIT64(63)
#define PTE_ADDRESS      BITS64(51, 12)

/* Accessed and dirty from the start, so that the processor need not write the tables. */
#define PTE_TABLE        (PTE_PRESENT | PTE_WRITABLE | PTE_ACCESSED)
#define PTE_CODE         (PTE_PRESENT | PTE_GLOBAL | PTE_ACCESSED)
#define PTE_CONSTANTS    (PTE_CODE | PTE_NX)
#define PTE_DATA         (PTE_CONSTANTS | PTE_WRITABLE | PTE_DIRTY)

#define ENTRIES          512
#define ROOT_SHIFT       39
#define DIRECT_MAP_INDEX 256
#define DIRECT_MAP_ROOTS 128 /* 64 TiB */
#define GIB_OF_LOW       4
#define CPUID_1GB_PAGES  BIT64(26)

static uint64_t split_table[ENTRIES] __attribute__((aligned(4096)));

_Static_assert(MEMORY_DIRECT_MAP == LAYOUT_DIRECT_MAP, "one direct map");

/* The physical address of something in the image's window. */
static uint64_t physical(const struct boot_info *info, const void *symbol)
{
    return (uint64_t)(uintptr_t)symbol - LAYOUT_WINDOW + info->image_base.v;
}

static uint64_t new_table(void)
{
    vmmu_hpa at;
    if (!memory_take(VMMU_PAGE_BYTES, VMMU_PAGE_BYTES, true, &at)) {
        ground_refuse("not enough memory for the hypervisor's page tables");
    }
    __builtin_memset(memory_at(at), 0, VMMU_PAGE_BYTES);
    return at.v;
}

/* What the page of the image that begins at @address may be used for. */
static uint64_t rights_at(uint64_t address)
{
    if (address == (uint64_t)(uintptr_t)stack_guard || address >= (uint64_t)(uintptr_t)image_end) {
        return 0;
    }
    if (address < (uint64_t)(uintptr_t)image_constants) {
        return PTE_CODE;
    }
    return address < (uint64_t)(uintptr_t)image_data ? PTE_CONSTANTS : PTE_DATA;
}

static void protect_image(const struct boot_info *info)
{
    for (unsigned i = 0; i < LAYOUT_IMAGE_BYTES_MAX / VMMU_PAGE_BYTES; i++) {
        const uint64_t offset = i * VMMU_PAGE_BYTES;
        const uint64_t rights = rights_at(LAYOUT_WINDOW + offset);
        page_table_window[i] = rights != 0 ? (info->image_base.v + offset) | rights : 0;
    }
}

/*
 * The large page of the direct map that holds the image becomes small ones, so that the
 * image's rights hold there too.
 */
static void protect_image_in_direct_map(const struct boot_info *info)
{
    const uint64_t base = info->image_base.v;
    for (unsigned i = 0; i < ENTRIES; i++) {
        const uint64_t offset = i * VMMU_PAGE_BYTES;
        const bool constant = offset < (uint64_t)(uintptr_t)image_data - LAYOUT_WINDOW;
        split_table[i] = (base + offset) | (constant ? PTE_CONSTANTS : PTE_DATA);
    }
    page_directories[base / VMMU_2M_BYTES] = physical(info, split_table) | PTE_TABLE;
}

/* The table of 1 GiB entries that covers @address, made if it is not there. */
static uint64_t *pointers_for(uint64_t address)
{
    uint64_t *const entry = &page_root[DIRECT_MAP_INDEX + (address >> ROOT_SHIFT)];
    if (*entry == 0) {
        *entry = new_table() | PTE_TABLE;
    }
    return memory_at((vmmu_hpa){ *entry & PTE_ADDRESS });
}

static void map_gib(uint64_t base, bool large)
{
    uint64_t *const entry = &pointers_for(base)[base / VMMU_1G_BYTES % ENTRIES];
    if (*entry != 0) {
        return;
    }
    if (large) {
        *entry = base | PTE_DATA | PTE_LARGE;
        return;
    }
    const uint64_t table = new_table();
    uint64_t *const directory = memory_at((vmmu_hpa){ table });
    for (unsigned i = 0; i < ENTRIES; i++) {
        directory[i] = (base + i * VMMU_2M_BYTES) | PTE_DATA | PTE_LARGE;
    }
    *entry = table | PTE_TABLE;
}

/* Map each GiB above the first four in which there is RAM. */
static void extend_direct_map(const struct boot_info *info)
{
    const uint64_t limit = (uint64_t)DIRECT_MAP_ROOTS << ROOT_SHIFT;
    const bool large = cpuid(0x80000001, 0).edx & CPUID_1GB_PAGES;
    for (unsigned i = 0; i < info->region_count; i++) {
        const struct boot_region *region = &info->regions[i];
        if (region->kind != BOOT_REGION_USABLE) {
            continue;
        }
        const uint64_t end = region->base.v + region->size_bytes;
        const uint64_t first = region->base.v & ~(VMMU_1G_BYTES - 1);
        for (uint64_t base = first; base < end && base < limit; base += VMMU_1G_BYTES) {
            map_gib(base, large);
        }
    }
}

void paging_init(const struct boot_info *info)
{
    for (unsigned i = 0; i < GIB_OF_LOW * ENTRIES; i++) {
        page_directories[i] |= PTE_DATA;
    }
    protect_image(info);
    protect_image_in_direct_map(info);
    page_root[0] = 0;
    extend_direct_map(info);

    // The entries so far were not global: loading CR3 forgets them all.
    write_cr3(read_cr3());
}

volatile void *paging_map_device(unsigned slot, uint64_t physical_address)
{
    const uint64_t address = LAYOUT_DEVICES + slot * VMMU_PAGE_BYTES;
    page_table_window[(address - LAYOUT_WINDOW) / VMMU_PAGE_BYTES] =
        (physical_address & PTE_ADDRESS) | PTE_DATA | PTE_UNCACHED;
    invlpg((const void *)(uintptr_t)address);
    return (volatile void *)(uintptr_t)address;
}
