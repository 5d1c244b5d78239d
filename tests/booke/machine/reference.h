/*
 * The guest's MMU as the manuals describe it, and nothing else: a flat list of entries, looked through from the first to the last
 * for everything, with every rule spelled out. It is what the library is held against, and shares no code with it.
 *
 * What the manuals leave undefined does what docs/booke.md says.
 *
 * Spec: e500 Core Family Reference Manual "TLB Instructions - Implementation", "MAS Register Updates"; EREF "Memory Management Units".
 */
#ifndef TESTS_BOOKE_MACHINE_REFERENCE_H
#define TESTS_BOOKE_MACHINE_REFERENCE_H

#include "tests/booke/machine/geometry.h"

#define REFERENCE_MOST_ENTRIES 600
#define REFERENCE_MOST_SETS    256
#define REFERENCE_MOST_CHANGES 64

/* A translation as tlbwe wrote it, in fields. */
struct reference_entry {
    unsigned array, set, way;
    bool valid;
    bool protect; /* IPROT */
    uint32_t tid;
    bool space;          /* TS */
    unsigned size;       /* TSIZE */
    uint32_t page;       /* EPN, as an address; bits below the size are remembered, and mean nothing */
    uint32_t attributes; /* X0 X1 W I M G E */
    uint64_t frame;      /* RPN, as an address */
    uint32_t user_bits;
    bool ux, sx, uw, sw, ur, sr;
};

/* MAS0 to MAS7 in the manuals' numbering; 5 is not there. */
struct reference_registers {
    uint32_t mas[8];
    uint32_t pid[3];
    uint32_t hid0;
};

/* Effective addresses whose translation may have changed in the operation under way. */
struct reference_change {
    uint32_t first, last;
};

struct reference {
    struct geometry geometry;
    struct reference_registers registers;
    unsigned next_victim[REFERENCE_MOST_SETS];
    struct reference_entry entry[REFERENCE_MOST_ENTRIES];
    unsigned entries;
    struct reference_change change[REFERENCE_MOST_CHANGES];
    unsigned changes; /* beyond the most: all may have changed */
};

/* As after a reset, with no valid entry. */
void reference_init(struct reference *reference, const struct geometry *geometry);

/* mtspr: of MAS @number; of PID @number; of HID0; of MMUCSR0. */
void reference_set_mas(struct reference *reference, unsigned number, uint32_t value);
void reference_set_pid(struct reference *reference, unsigned number, uint32_t value);
void reference_set_hid0(struct reference *reference, uint32_t value);
void reference_flash(struct reference *reference, uint32_t value);

/* tlbwe: place of the entry in the list, or -1. */
int reference_write(struct reference *reference);
void reference_read(struct reference *reference);
void reference_search(struct reference *reference, uint32_t ea);
void reference_invalidate(struct reference *reference, uint32_t ea);
void reference_invalidate_local(struct reference *reference, unsigned type, uint32_t ea);

/* One access: a fetch looks at MSR[IS], the others at MSR[DS]. */
enum access_kind { ACCESS_LOAD, ACCESS_STORE, ACCESS_FETCH };

struct reference_access {
    enum access_kind kind;
    bool space;
    bool problem;
};

/* What the registers hold once a TLB error interrupt for the access has been taken. */
void reference_error(struct reference *reference, uint32_t ea, struct reference_access access);

/* The entry after place @after (-1: from the first) that matches an access to @ea in @space, by the PID registers; or -1. */
int reference_match(const struct reference *reference, uint32_t ea, bool space, int after);

/* Whether the entry's rights allow the access; where it takes @ea; the effective addresses that it covers. */
bool reference_allows(const struct reference_entry *entry, struct reference_access access);
uint64_t reference_physical(const struct reference *reference, const struct reference_entry *entry,
                            uint32_t ea);
struct reference_change reference_extent(const struct reference_entry *entry);

/* Start to list changes from here on. */
void reference_begin(struct reference *reference);

#endif
