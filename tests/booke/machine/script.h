/*
 * Operations as data and as text: a setting, and a list of operations of guests and of the host. The same script does the same each
 * time.
 */
#ifndef TESTS_BOOKE_MACHINE_SCRIPT_H
#define TESTS_BOOKE_MACHINE_SCRIPT_H

#include <stdio.h>

#include <vmmu/base.h>

enum op_kind {
    OP_SET,   /* mtspr: register `which` of enum vmmu_booke_register, `value` */
    OP_ENTRY, /* mtspr of MAS0 (value), MAS1 to MAS3 and MAS7 (word), then tlbwe; with `which` the missed access is filled */
    OP_WRITE, /* tlbwe of what the registers hold */
    OP_READ,  /* tlbre */
    OP_SEARCH,     /* tlbsx of `address` */
    OP_INVALIDATE, /* tlbivax of `address`; with `which` all of the partition hear it */
    OP_LOCAL,      /* tlbilx of type `which`, `address` */
    OP_MODE,       /* MSR becomes `value`: bit 0 IS, bit 1 DS, bit 2 PR */
    OP_LOAD,       /* `address`, by the instruction at `at`; `which` bytes; with `value` it is fetched, too */
    OP_STORE,      /* likewise */
    OP_FETCH,      /* `address` */
    OP_HOST_GIVE,  /* bank `which` of the partition's memory is there, as `value` says */
    OP_HOST_TAKE,  /* bank `which` is not there any more */
    OP_HOST_LOSE,  /* bank `which` is given by mistake: the partition does not own it */
    OP_FORGET,     /* forgets all of the VP, though nothing has changed */
    OP_MOVE,       /* the VP goes to processor `which` */
    OP_KINDS,
};

struct op {
    enum op_kind kind;
    unsigned vp;
    uint32_t which;
    uint32_t address;
    uint32_t at;
    uint32_t value;
    uint32_t word[4];
};

extern const char *const op_names[OP_KINDS];

/* Everything else of a world follows from these. */
struct setting {
    bool small; /* geometries */
    uint64_t seed;
};

void script_print_setting(FILE *out, const struct setting *setting);
void script_print_op(FILE *out, const struct op *op);

/* Operations, to be freed, or -1 after a message that begins with @name and the line. */
long script_read(FILE *in, const char *name, struct setting *setting, struct op **ops);

#endif
