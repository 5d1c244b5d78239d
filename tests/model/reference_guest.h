/*
 * A guest for tests of the reference: one address space or several, built by hand, on one to four virtual processors.
 *
 * Tables stand at fixed places, one per level, so that a test names an entry by its level. Entries are accessed and dirty
 * unless a test says otherwise.
 */
#ifndef TESTS_MODEL_REFERENCE_GUEST_H
#define TESTS_MODEL_REFERENCE_GUEST_H

#include "tests/model/machine/reference.h"

/* Bits of entries. */
#define E_P                 BIT64(0)
#define E_W                 BIT64(1)
#define E_U                 BIT64(2)
#define E_A                 BIT64(5)
#define E_D                 BIT64(6)
#define E_PS                BIT64(7)
#define E_G                 BIT64(8)
#define E_XD                BIT64(63)
#define E_LINK              (E_P | E_W | E_U | E_A)
#define E_RO                (E_P | E_U | E_A | E_D)
#define E_RW                (E_RO | E_W)

/* The tables of one space, by level; @space is 0 to 3. */
#define TABLE(space, level) (UINT64_C(0x100000) * ((space) + 1) + UINT64_C(0x1000) * (level))

/* Frames to map. */
#define FRAME_1             UINT64_C(0x600000)
#define FRAME_2             UINT64_C(0x601000)
#define FRAME_3             UINT64_C(0x602000)
#define FRAME_4             UINT64_C(0x603000)

/* An address that every kind of paging has, in the fourth gigabyte, and one in the page after it. */
#define VA                  UINT64_C(0xc0201000)
#define VA_NEXT             (VA + VMMU_PAGE_BYTES)
/* In another directory, but under the same top entry of 4-level paging. */
#define VA_FAR              UINT64_C(0x80201000)

enum guest_vendor { AMD, INTEL };

struct guest {
    struct reference *reference;
    enum vmmu_x86_paging paging;
};

/*
 * A processor that offers everything; @vps VPs with paging as in @paging, CR0.WP, CR4.PGE, EFER.NXE if the format
 * has XD, PCIDs in long mode, all in space 0, PCID 0. VA in each space has tables that lead to no page yet.
 */
void guest_start(struct guest *guest, enum guest_vendor vendor, enum vmmu_x86_paging paging, unsigned vps);
void guest_stop(struct guest *guest);

/* Where the entry of @level for @address stands, in the table of that level of @space. */
uint64_t guest_entry_at(const struct guest *guest, unsigned space, unsigned level, uint64_t address);

/* Store it. */
void guest_put(struct guest *guest, unsigned space, unsigned level, uint64_t address, uint64_t value);

/* The value of CR3 for @space and @pcid. */
uint64_t guest_cr3(const struct guest *guest, unsigned space, unsigned pcid);

/* Instructions of VP 0, which must be accepted. */
void guest_mov_cr3(struct guest *guest, uint64_t value);
void guest_toggle_cr0(struct guest *guest, uint64_t bits);
void guest_toggle_cr4(struct guest *guest, uint64_t bits);
void guest_toggle_efer(struct guest *guest, uint64_t bits);
void guest_invpcid(struct guest *guest, unsigned type, unsigned pcid, uint64_t address);

/* Whether an access of VP 0, by the supervisor, may reach @gpa; or end in a page fault with @error_code. */
bool may_read(struct guest *guest, uint64_t address, uint64_t gpa);
bool may_write(struct guest *guest, uint64_t address, uint64_t gpa);
bool may_fetch(struct guest *guest, uint64_t address, uint64_t gpa);
bool may_fault(struct guest *guest, uint64_t address, enum vmmu_x86_access_kind kind, uint32_t error_code);

/* The same question with all of it told. */
enum reference_answer guest_judge(struct guest *guest, struct reference_access access,
                                  struct reference_result result);
struct reference_result guest_page_fault(uint64_t address, uint32_t error_code);

#endif
