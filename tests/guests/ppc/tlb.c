/*
 * What entries match: address spaces, PIDs, sizes; what `tlbivax` and MMUCSR0 take away, and what IPROT keeps; what `tlbre` and
 * `tlbsx` say; what a miss puts into the MAS registers.
 * Spec: EREF "Memory Management Units"; e500 Core Family Reference Manual "TLB Instructions", "MMU Assist Registers".
 */
#include <stddef.h>

#include "tests/guests/common/guest.h"
#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/cpu.h"
#include "tests/guests/ppc/common/traps.h"

#define AT         UINT32_C(0x80040000)
#define ONE        UINT32_C(0x02400000) /* pages that hold their own number */
#define PAGES      64
#define PAGE_BYTES UINT32_C(0x1000)
#define SPARE      7 /* an entry of TLB1 */
#define RIGHTS     (MAS3_SR | MAS3_SW | MAS3_SX)

/* Spans of the low bits of the address that tlbivax takes. */
#define IVAX_TLB1  BIT(3)
#define IVAX_ALL   BIT(2)
#define FI_TLB0    BIT(2)
#define FI_TLB1    BIT(1)

static volatile uint32_t *word(uint32_t address)
{
    return (volatile uint32_t *)(uintptr_t)address;
}

static struct entry small(unsigned way, uint32_t ea, uint32_t gpa)
{
    return (struct entry){
        .mas0 = MAS0_ESEL(way), .mas1 = MAS1_V | MAS1_SIZE(SIZE_4K), .mas2 = ea, .mas3 = gpa | RIGHTS
    };
}

static void set_pid(unsigned which, uint32_t pid)
{
    switch (which) {
    case 0: write_spr(SPR_PID0, pid); break;
    case 1: write_spr(SPR_PID1, pid); break;
    default: write_spr(SPR_PID2, pid); break;
    }
    __asm__ volatile("isync" : : : "memory");
}

static void flash(uint32_t arrays)
{
    write_spr(SPR_MMUCSR0, arrays);
    __asm__ volatile("isync" : : : "memory");
}

/* Whether a load at @ea reads page @number. */
static bool reads(uint32_t ea, uint32_t number)
{
    uint32_t value;

    return try_load(ea, &value) == TRAP_NONE && value == number;
}

static bool misses(uint32_t ea)
{
    return try_load(ea, NULL) == TRAP_DATA_TLB && trap_last.dear == ea;
}

static void drop(struct entry entry)
{
    entry.mas1 = 0;
    entry_write(&entry);
}

static void fill_pages(void)
{
    for (uint32_t i = 0; i < PAGES; i++) {
        *word(ONE + i * PAGE_BYTES) = i;
    }
}

/* --- matching --- */

static void check_ways(void)
{
    /* Five pages of one set of TLB0: 128 sets of 4 KiB are 512 KiB apart. */
    const uint32_t apart = 128 * PAGE_BYTES;
    bool held = true;

    for (uint32_t i = 0; i < 4; i++) {
        const struct entry entry = small(i, AT + i * apart, ONE + i * PAGE_BYTES);

        entry_write(&entry);
    }
    for (uint32_t i = 0; i < 4; i++) {
        held &= reads(AT + i * apart, i);
    }
    report(held, "four pages of one set of TLB0 stand side by side");
    {
        const struct entry fifth = small(2, AT + 4 * apart, ONE + 4 * PAGE_BYTES);

        entry_write(&fifth);
    }
    report(reads(AT + 4 * apart, 4) && misses(AT + 2 * apart) && reads(AT + 3 * apart, 3),
           "a fifth takes the place of the one whose way it names");
    for (unsigned i = 0; i < 4; i++) {
        drop(small(i, AT, ONE));
    }
    report(misses(AT) && misses(AT + apart) && misses(AT + 3 * apart) && misses(AT + 4 * apart),
           "an entry written without V translates nothing");
}

static void check_pids(void)
{
    static const uint32_t registers = 3;
    struct entry entry = small(0, AT, ONE + PAGE_BYTES);
    bool held = true;

    entry.mas1 |= MAS1_TID(5);
    entry_write(&entry);
    report(misses(AT), "a TID that no PID register holds does not match");
    for (uint32_t i = 0; i < registers; i++) {
        set_pid(i, 5);
        held &= reads(AT, 1);
        set_pid(i, 0);
        held &= misses(AT);
    }
    report(held, "each of the three PID registers makes it match, as long as it holds it");
    drop(entry);
}

static void check_many_pids(void)
{
    struct entry entry = small(0, AT, ONE);
    unsigned wrong = 0;

    for (uint32_t pid = 1; pid < 256; pid++) {
        entry.mas0 = MAS0_ESEL(pid >> 5 & 3);
        entry.mas1 = MAS1_V | MAS1_SIZE(SIZE_4K) | MAS1_TID(pid);
        entry.mas2 = AT + (pid & 31) * PAGE_BYTES;
        entry.mas3 = (ONE + (pid & 31) * PAGE_BYTES) | RIGHTS;
        entry_write(&entry);
        set_pid(0, pid);
        wrong += !reads(entry.mas2, pid & 31);
        if (pid > 32) {
            set_pid(0, pid - 32);
            wrong += !reads(entry.mas2, pid & 31);
        }
    }
    write_spr(SPR_PID0, 0);
    flash(FI_TLB0);
    report(wrong == 0, "255 PIDs, one after the other and the one of 32 before");
}

static void check_spaces(void)
{
    struct entry entry = small(0, AT, ONE + PAGE_BYTES);
    uint32_t value = 0;
    const uint32_t msr = read_msr();

    entry.mas1 |= MAS1_TS;
    entry_write(&entry);
    report(misses(AT), "an entry of address space 1 does not match in space 0");
    /* Data in space 1, instructions in space 0: nothing but registers is used meanwhile. */
    __asm__ volatile("mtmsr %1; isync; lwz %0, 0(%2); mtmsr %3; isync"
                     : "=&r"(value)
                     : "r"(msr | MSR_DS), "r"(AT), "r"(msr)
                     : "memory");
    report(value == 1, "with MSR[DS] set and MSR[IS] clear data come through it");
    drop(entry);
}

/* One page of code for both spaces: a fetch through one entry, its data through another at the same address. */
static void check_mixed_page(void)
{
    static const uint32_t code[] = {
        0x7c0000a6 | 7 << 21, /* mfmsr r7 */
        0x7c000124 | 5 << 21, /* mtmsr r5: MSR[DS] set, IS clear */
        0x4c00012c,           /* isync */
        0x80640000,           /* lwz r3, 0(r4): of this page's own address */
        0x7c000124 | 7 << 21, /* mtmsr r7 */
        0x4c00012c,           /* isync */
        0x4e800020,           /* blr */
    };
    struct entry fetch = small(0, AT, ONE + 8 * PAGE_BYTES);
    struct entry data = small(1, AT, ONE + 9 * PAGE_BYTES);
    uint32_t result = 0;

    for (unsigned i = 0; i < sizeof(code) / sizeof(code[0]); i++) {
        word(ONE + 8 * PAGE_BYTES)[i] = code[i];
    }
    __asm__ volatile("dcbf 0, %0; msync; icbi 0, %0; isync" : : "r"(ONE + 8 * PAGE_BYTES) : "memory");
    data.mas1 |= MAS1_TS;
    entry_write(&fetch);
    entry_write(&data);
    __asm__ volatile("mr 4, %1; mr 5, %2; mtctr 4; bctrl; mr %0, 3"
                     : "=r"(result)
                     : "r"(AT), "r"(read_msr() | MSR_DS)
                     : "memory", "ctr", "lr", "r3", "r4", "r5", "r7");
    report(result == 9,
           "where the spaces differ, an instruction and its data share an address and nothing else");
    drop(fetch);
    drop(data);
    *word(ONE + 8 * PAGE_BYTES) = 8;
}

static void check_sizes(void)
{
    static const struct {
        const char *name;
        unsigned size;
        uint32_t bytes;
    } sizes[] = { { "4 KiB", SIZE_4K, 0x1000 },
                  { "16 KiB", SIZE_16K, 0x4000 },
                  { "64 KiB", SIZE_64K, 0x10000 },
                  { "256 KiB", SIZE_256K, 0x40000 } };

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const struct entry entry = entry_large(SPARE, AT, ONE, sizes[i].size);
        const uint32_t last = sizes[i].bytes / PAGE_BYTES - 1;

        entry_write(&entry);
        report(reads(AT, 0) && reads(AT + last * PAGE_BYTES, last) && misses(AT + sizes[i].bytes) &&
                   misses(AT - 4),
               "an entry of %s reaches as far as that", sizes[i].name);
        drop(entry);
    }
}

/* --- invalidation --- */

static void check_invalidation(void)
{
    const struct entry one = small(0, AT, ONE + PAGE_BYTES);
    const struct entry other = small(0, AT + PAGE_BYTES, ONE + 2 * PAGE_BYTES);
    struct entry large = entry_large(SPARE, AT + 0x100000, ONE, SIZE_64K);

    entry_write(&one);
    entry_write(&other);
    entry_write(&large);
    tlbivax(AT);
    report(misses(AT) && reads(AT + PAGE_BYTES, 2),
           "tlbivax of an address takes its entry of TLB0, and no other");
    tlbivax((AT + 0x108000) | IVAX_TLB1);
    report(misses(AT + 0x100000), "tlbivax of any address of a large page takes its entry of TLB1");
    entry_write(&one);
    entry_write(&large);
    tlbivax(IVAX_ALL);
    report(misses(AT) && misses(AT + PAGE_BYTES) && reads(AT + 0x100000, 0),
           "tlbivax of all of TLB0 leaves TLB1 alone");
    large.mas1 |= MAS1_IPROT;
    entry_write(&large);
    tlbivax(IVAX_TLB1 | IVAX_ALL);
    flash(FI_TLB1);
    report(reads(AT + 0x100000, 0), "IPROT keeps an entry from tlbivax of all and from MMUCSR0");
    drop(large);
    report(misses(AT + 0x100000), "tlbwe takes an entry with IPROT away");
    entry_write(&one);
    flash(FI_TLB0);
    report(misses(AT), "MMUCSR0 invalidates all of TLB0");
}

/* --- what reads back --- */

static void check_reads(void)
{
    struct entry entry = small(3, AT, ONE);
    struct entry found;

    entry.mas1 |= MAS1_TID(9) | MAS1_TS;
    entry.mas2 |= MAS2_G;
    entry.mas3 |= MAS3_UR | 0x140; /* U1, U3 */
    entry.mas7 = 0xf;
    entry_write(&entry);
    write_spr(SPR_MAS2, AT);
    found = entry_read(MAS0_ESEL(3));
    report(found.mas1 == entry.mas1 && found.mas2 == entry.mas2 && found.mas3 == entry.mas3 &&
               found.mas7 == 0xf,
           "tlbre reads all that was written, of memory that there is not, too");
    write_spr(SPR_MAS6, MAS1_TID(9) | 1);
    tlbsx(AT + 0x123);
    found = entry_registers();
    report((found.mas1 & MAS1_V) && (found.mas0 >> 16 & 3) == 3 && found.mas3 == entry.mas3,
           "tlbsx finds it by MAS6's PID and space");
    write_spr(SPR_MAS6, MAS1_TID(8) | 1);
    tlbsx(AT);
    report(!(read_spr(SPR_MAS1) & MAS1_V), "tlbsx by another PID finds nothing");
    drop(entry);
}

static void check_miss(void)
{
    write_spr(SPR_MAS4, MAS1_SIZE(SIZE_4K) | MAS2_G);
    set_pid(0, 7);
    report(misses(AT + 0x2a8), "DEAR has the address that missed");
    set_pid(0, 0);
    report((trap_last.mas1 & MAS1_V) && (trap_last.mas1 >> 16 & 0xff) == 7 && !(trap_last.mas1 & MAS1_TS) &&
               (trap_last.mas1 >> 8 & 0xf) == SIZE_4K,
           "a miss puts V, PID0, the space and MAS4's size into MAS1");
    report((trap_last.mas2 & ~0xfffu) == AT && (trap_last.mas2 & 0x1f) == MAS2_G,
           "and the page and MAS4's attributes into MAS2");
    report((trap_last.mas6 >> 16 & 0xff) == 7 && !(trap_last.mas6 & 1), "and PID0 and the space into MAS6");
    report(try_store(AT, 0) == TRAP_DATA_TLB && (trap_last.esr & ESR_ST), "ESR says that a store missed");
    report(try_load(AT, NULL) == TRAP_DATA_TLB && !(trap_last.esr & ESR_ST), "and of a load it does not");
    report(try_fetch(AT) == TRAP_INSTRUCTION_TLB && trap_last.pc == AT,
           "a fetch that misses is an instruction TLB error");
}

void guest_main(void)
{
    fill_pages();
    check_ways();
    check_pids();
    check_many_pids();
    check_spaces();
    check_mixed_page();
    check_sizes();
    check_invalidation();
    check_reads();
    check_miss();
}
