#include "tests/guests/common/paging.h"

#include <stddef.h>

#include "tests/guests/common/memory.h"
#include "tests/guests/common/report.h"

#define TABLES     192
#define LOW_BYTES  0x4000000
#define IO_APIC_VA 0xfec00000
#define APIC_VA    0xfee00000

const struct paging paging_32 = { "32-bit", 2, 4, 10, false, true, 0x40000000 };
const struct paging paging_32_small = { "32-bit without PSE", 2, 4, 10, false, false, 0x40000000 };
const struct paging paging_pae = { "PAE", 3, 8, 9, false, true, 0x80000000 };
#ifdef __x86_64__
const struct paging paging_4 = { "4-level", 4, 8, 9, true, true, 0x0000700040000000 };
const struct paging paging_5 = { "5-level", 5, 8, 9, true, true, 0x0070000040000000 };
#endif

extern uint8_t user_page[];
extern uint64_t boot_level4[];
void switch_levels(uint64_t cr3, uint64_t cr4);

static uint8_t tables[TABLES][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static unsigned tables_used;

const struct paging *const *paging_modes(void)
{
    static const struct paging *modes[4];
    unsigned count = 0;
#ifdef __x86_64__
    modes[count++] = &paging_4;
    if (cpu_has_la57()) {
        modes[count++] = &paging_5;
    }
#else
    if (cpu_has_pse()) {
        modes[count++] = &paging_32;
    }
    modes[count++] = &paging_32_small;
    if (cpu_has_pae()) {
        modes[count++] = &paging_pae;
    }
#endif
    modes[count] = NULL;
    return modes;
}

void tables_reset(void)
{
    tables_used = 0;
}

uintptr_t table_take(void)
{
    if (tables_used == TABLES) {
        bail_out("out of table pages");
    }
    return (uintptr_t)memset(tables[tables_used++], 0, PAGE_BYTES);
}

static unsigned level_shift(const struct paging *paging, unsigned level)
{
    return 12 + (level - 1) * paging->index_bits;
}

uintptr_t level_bytes(const struct paging *paging, unsigned level)
{
    return BIT(level_shift(paging, level));
}

bool level_has_leaves(const struct paging *paging, unsigned level)
{
    return level == 1 || (level == 2 && paging->large_pages) ||
           (level == 3 && paging->long_mode && cpu_has_gib_pages());
}

uint64_t entry_load(const struct space *space, uintptr_t at)
{
    return space->paging->entry_bytes == 4 ? *(volatile uint32_t *)at : *(volatile uint64_t *)at;
}

void entry_store(const struct space *space, uintptr_t at, uint64_t value)
{
    if (space->paging->entry_bytes == 4) {
        *(volatile uint32_t *)at = (uint32_t)value;
        return;
    }
#ifdef __x86_64__
    *(volatile uint64_t *)at = value;
#else
    uint64_t expected = *(volatile uint64_t *)at;
    __asm__ volatile("1: lock cmpxchg8b %0; jne 1b"
                     : "+m"(*(volatile uint64_t *)at), "+A"(expected)
                     : "b"((uint32_t)value), "c"((uint32_t)(value >> 32))
                     : "memory", "cc");
#endif
}

/* PAE's third level has neither rights nor marks: SDM 3A "PDPTE Registers". */
static uint64_t link_bits(const struct paging *paging, unsigned level)
{
    return !paging->long_mode && level == 3 ? PTE_P : PTE_RWU;
}

uintptr_t space_entry(const struct space *space, uintptr_t va, unsigned level)
{
    const struct paging *paging = space->paging;
    uintptr_t table = space->root;
    for (unsigned at = paging->levels;; at--) {
        const uintptr_t index = va >> level_shift(paging, at) & (BIT(paging->index_bits) - 1);
        const uintptr_t entry = table + index * paging->entry_bytes;
        if (at == level) {
            return entry;
        }
        if ((entry_load(space, entry) & PTE_P) == 0) {
            entry_store(space, entry, table_take() | link_bits(paging, at));
        }
        table = (uintptr_t)(entry_load(space, entry) & 0xfffff000);
    }
}

void space_map(const struct space *space, uintptr_t va, unsigned level, uint64_t entry)
{
    entry_store(space, space_entry(space, va, level),
                entry | (level > 1 && space->paging->large_pages ? PTE_PS : 0));
}

uintptr_t user_address(const void *symbol)
{
    return USER_VA + ((uintptr_t)symbol - (uintptr_t)user_page);
}

void space_make(struct space *space, const struct paging *paging)
{
    space->paging = paging;
    space->root = table_take();
    const unsigned level = paging->large_pages ? 2 : 1;
    const uintptr_t step = level_bytes(paging, level);
    for (uintptr_t at = 0; at < LOW_BYTES; at += step) {
        space_map(space, at, level, at | PTE_P | PTE_W);
    }
    space_map(space, IO_APIC_VA, level, (IO_APIC_VA & ~(step - 1)) | PTE_P | PTE_W | PTE_PCD);
    space_map(space, APIC_VA, level, (APIC_VA & ~(step - 1)) | PTE_P | PTE_W | PTE_PCD);
    space_map(space, USER_VA, 1, (uintptr_t)user_page | PTE_P | PTE_U);
}

static void nxe_write(bool nxe)
{
    if (!cpu_has_nx()) {
        return;
    }
    const uint64_t efer = msr_read(MSR_EFER);
    const uint64_t wanted = (efer & ~EFER_NXE) | (nxe ? EFER_NXE : 0);
    if (wanted != efer) {
        msr_write(MSR_EFER, wanted);
    }
}

#ifdef __x86_64__
void space_enter(const struct space *space, uintptr_t cr4, bool nxe)
{
    cr4 |= CR4_PAE | (space->paging->levels == 5 ? CR4_LA57 : 0);
    nxe_write(nxe);
    if ((cr4_read() ^ cr4) & CR4_LA57) {
        switch_levels(space->root, cr4);
    } else {
        cr3_write(space->root);
        cr4_write(cr4);
    }
}

void space_leave(void)
{
    const struct space boot = { &paging_4, (uintptr_t)boot_level4 };
    space_enter(&boot, 0, false);
}
#else
void space_enter(const struct space *space, uintptr_t cr4, bool nxe)
{
    cr4 |= space->paging == &paging_pae ? CR4_PAE : space->paging->large_pages ? CR4_PSE : 0;
    if ((cr4_read() ^ cr4) & (CR4_PAE | CR4_PSE)) {
        cr0_write(cr0_read() & ~CR0_PG);
    }
    nxe_write(nxe);
    if (cr0_read() & CR0_PG) {
        cr3_write(space->root);
        cr4_write(cr4);
        return;
    }
    cr4_write(cr4);
    cr3_write(space->root);
    cr0_write(cr0_read() | CR0_PG);
}

void space_leave(void)
{
    cr0_write((cr0_read() & ~CR0_PG) | CR0_WP);
    cr4_write(0);
    nxe_write(false);
}
#endif
