/*
 * Page tables of every mode, written once: a mode is a row of data. The tables are the guest's own, in its
 * low memory, which every space maps one to one.
 *
 * Physical memory: the image from 4 MiB, at most 4 MiB of it; frames for tests from 32 MiB to 64 MiB.
 * Linear addresses: below 64 MiB one to one, for CPL 0; the local APIC and I/O APIC likewise; a page of
 * user code at USER_VA; all else is the tests'.
 */
#ifndef TESTS_GUESTS_PAGING_H
#define TESTS_GUESTS_PAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/guests/common/cpu.h"

#define PTE_P          BIT64(0)
#define PTE_W          BIT64(1)
#define PTE_U          BIT64(2)
#define PTE_PWT        BIT64(3)
#define PTE_PCD        BIT64(4)
#define PTE_A          BIT64(5)
#define PTE_D          BIT64(6)
#define PTE_PS         BIT64(7)
#define PTE_G          BIT64(8)
#define PTE_NX         BIT64(63)
#define PTE_RWU        (PTE_P | PTE_W | PTE_U)

#define PTE_KEY_SHIFT  59

#define PAGE_BYTES     ((uintptr_t)4096)
#define FRAMES         0x2000000
#define FRAMES_END     0x4000000
#define USER_VA        0x50000000

/* A frame for tests, and a large frame: of 4 MiB, so aligned for 2 MiB and 4 MiB pages. */
#define FRAME(n)       ((uintptr_t)FRAMES + (n)*PAGE_BYTES)
#define LARGE_FRAME(n) ((uintptr_t)FRAMES + (n) * (uintptr_t)0x400000)

struct paging {
    const char *name;
    unsigned levels;
    unsigned entry_bytes;
    unsigned index_bits; /* of each level but PAE's third, which has two */
    bool long_mode;
    bool large_pages;  /* at level 2: CR4.PSE in 32-bit paging, else always */
    uintptr_t test_va; /* where tests may map; it shares no table but the root with any other address */
};

/* paging_32_small is without CR4.PSE: bit 7 of its PDEs means nothing. */
extern const struct paging paging_32, paging_32_small, paging_pae, paging_4, paging_5;

/* The modes that this guest can enter on this processor, NULL behind the last. */
const struct paging *const *paging_modes(void);

struct space {
    const struct paging *paging;
    uintptr_t root;
};

/*
 * Give all table pages back, and make a space with the standing mappings. One may build
 * several before the next reset.
 */
void tables_reset(void);
void space_make(struct space *space, const struct paging *paging);

/* One zeroed table page. */
uintptr_t table_take(void);

/* Load the space, with @cr4 and NXE as wanted; turns paging on and changes the mode if need be. */
void space_enter(const struct space *space, uintptr_t cr4, bool nxe);

/* Back to how the guest was started: unpaged, or the 4-level boot tables; CR4 and EFER plain. */
void space_leave(void);

/*
 * Where the entry of @level for @va stands, making tables above it (present, writable, user) where none are.
 */
uintptr_t space_entry(const struct space *space, uintptr_t va, unsigned level);

/* Map one page: a leaf at @level with the given bits and frame. */
void space_map(const struct space *space, uintptr_t va, unsigned level, uint64_t entry);

/* Entries by address; 4 or 8 bytes wide as the mode has it. A store never shows another processor a half. */
uint64_t entry_load(const struct space *space, uintptr_t at);
void entry_store(const struct space *space, uintptr_t at, uint64_t value);

/* Bytes mapped by an entry of @level. */
uintptr_t level_bytes(const struct paging *paging, unsigned level);

/* Where the user code's symbol is to be called in user mode. */
uintptr_t user_address(const void *symbol);

/* Whether leaves may stand at @level on this processor. */
bool level_has_leaves(const struct paging *paging, unsigned level);

#endif
