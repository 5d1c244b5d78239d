/*
 * What a parent and its child have agreed on: where the child keeps what, and how it is told what to do. The parent knows
 * linear addresses only; where they lead it finds out by its calls.
 */
#ifndef TESTS_GUESTS_FAMILY_H
#define TESTS_GUESTS_FAMILY_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/guests/common/calls.h"
#include "tests/guests/common/paging.h"

#define CHILD_PARTITION 2
#define CHILD_VPS       2

/* Pages of the child's space from its mode's test address on; all lead to frames of their own. */
enum family_page {
    PAGE_MAILBOX, /* one for each processor */
    PAGE_MAILBOX_1,
    PAGE_VARIABLE, /* in the other space it is another frame */
    PAGE_EDITED,
    PAGE_LENT,
    PAGE_READ_ONLY,
    PAGE_NO_EXECUTE, /* where the mode and the processor have it */
    PAGE_RESERVED,   /* a reserved bit is set, where the mode has some */
    PAGE_BEYOND,     /* leads to no memory */
    PAGE_MARKED,     /* not accessed, nor dirty, until somebody says so */
    PAGE_TYPES = 16, /* eight, by PWT, PCD and PAT from bit 0 on */
    PAGE_NONE = 32,  /* not present */
};

/* Behind an entry with PCD, which leads to a table. */
#define FAMILY_UNCACHED_TABLE 0x01000000

#define FAMILY_FRAME(page)    FRAME(64 + (page))
#define FAMILY_OTHER_VARIABLE FRAME(63)
#define FAMILY_EDITED_NEW     FRAME(62)
#define FAMILY_BEYOND         UINT64_C(0xb0000000)

#define FAMILY_MAGIC          UINT64_C(0x6d61696c626f7821)
#define VARIABLE_AT_FIRST     UINT32_C(0x0badcafe)
#define OTHER_VARIABLE        UINT32_C(0x0ff1ce00)
#define EDITED_OLD            UINT32_C(0x01d01d01)
#define EDITED_NEW            UINT32_C(0x2e2e2e2e)
#define TYPES_MARKER          UINT32_C(0x77700000)

/* Words of a mailbox. */
enum mail {
    MAIL_MAGIC,
    MAIL_COMMAND, /* enum command; the child makes it 0 when it has done it */
    MAIL_FIRST,
    MAIL_SECOND,
    MAIL_ANSWER,
    MAIL_VECTOR, /* of a fault, or TRAP_NONE */
    MAIL_BEATS,  /* goes up while the processor waits for a command */
    MAIL_GPA,    /* of the mailbox */
    MAIL_ROOT,   /* of the child's space */
    MAIL_OTHER_ROOT,
    MAIL_ENTRY,  /* guest-physical address of the leaf for PAGE_EDITED */
    MAIL_MARKED, /* of the leaf for PAGE_MARKED */
    MAIL_ENTRY_BYTES,
    MAIL_LIVE, /* held in a register by COMMAND_SPIN until that changes */
};

enum command {
    COMMAND_NONE,
    COMMAND_READ,  /* four bytes at FIRST */
    COMMAND_WRITE, /* four bytes at FIRST become SECOND */
    COMMAND_FETCH, /* jump to FIRST */
    COMMAND_COPY,  /* MOVSD from FIRST to SECOND; the answer is how far the latter's register goes */
    COMMAND_INVLPG,
    COMMAND_CALL, /* hypercall, FIRST its input value, SECOND its first parameter; the answer is its result */
    COMMAND_FLUSH, /* HvFlushVirtualAddressSpace, FIRST its flags, SECOND its mask */
    COMMAND_CR0,   /* set the bits FIRST, and read; then clear them */
    COMMAND_CR3,   /* set the bits FIRST, and read; then clear them */
    COMMAND_PAT,   /* write FIRST, and read */
    COMMAND_LOOK,  /* what a register of enum look, FIRST, is to the child itself */
    COMMAND_SPIN,  /* until its register, which is FIRST, is something else: the answer */
    COMMAND_LEAVE,
    COMMAND_TRIPLE,
};

enum look { LOOK_CR4, LOOK_EFER, LOOK_PAT, LOOK_FS /* four bytes at its base */ };

/* Instructions by which COMMAND_READ and COMMAND_WRITE access memory: two bytes each, with the value in EAX. */
#define READ_BYTES  UINT16_C(0x028b)
#define WRITE_BYTES UINT16_C(0x0289)
#define COPY_BYTES  1

/* --- the parent's side --- */

/* The child's mode, as our command line says it; NULL without a word. Set by family_find(). */
struct family {
    uint64_t base;     /* of its test pages */
    bool wide_entries; /* of 8 bytes */
    bool long_mode;
    bool has_reserved;
};
extern struct family family;

struct target child(unsigned vp);

/* Wait until the child's mailboxes can be found and are ready. False if they do not come. */
bool family_find(void);

/* The linear address of one of its pages. */
uint64_t family_va(unsigned page);

/* The child's memory at @va, by Translate and ReadGpa or WriteGpa. What cannot be reached ends the guest. */
uint64_t family_gpa(uint64_t va);
uint64_t family_read(uint64_t va, unsigned bytes);
void family_write(uint64_t va, uint64_t value, unsigned bytes);
uint64_t family_read_gpa(uint64_t gpa, unsigned bytes);
void family_write_gpa(uint64_t gpa, uint64_t value, unsigned bytes);

/* A word of the mailbox of @vp. */
uint64_t mail(unsigned vp, enum mail word);

/* Give a command; wait for its end, false if it takes too long; both, and the answer (too long ends the guest). */
void command_begin(unsigned vp, enum command command, uint64_t first, uint64_t second);
bool command_ended(unsigned vp);
bool command_wait(unsigned vp);
uint64_t command(unsigned vp, enum command command, uint64_t first, uint64_t second);

/* Whether @vp's beats go up. */
bool family_beats(unsigned vp);

/* Let the child leave, and wait until it has. What a call about it says then. */
enum status family_leave(void);

#endif
