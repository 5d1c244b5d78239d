/*
 * Operations on the model, as data and as lines of text: what a run does, what a finding is reported by,
 * and what is replayed.
 *
 *     write vp0 0xffff800000003008 0x5067 8 - luck 0x1f3a
 */
#ifndef TESTS_MODEL_MACHINE_SCRIPT_H
#define TESTS_MODEL_MACHINE_SCRIPT_H

#include <stdio.h>

#include <vmmu/base.h>

enum op_kind {
    /* Guest instructions, by virtual processor. */
    OP_READ,    /* address, -, width, flags */
    OP_WRITE,   /* address, value, width, flags */
    OP_FETCH,   /* address, -, 1, flags */
    OP_INVLPG,  /* address */
    OP_CR0,     /* -, value */
    OP_CR3,     /* -, value, with bit 63 as the instruction has it */
    OP_CR4,     /* -, value */
    OP_EFER,    /* -, value */
    OP_PKRU,    /* -, value */
    OP_INVPCID, /* address, PCID, type */
    /* Hypercalls, where the setting has them. */
    OP_ELEMENT, /* address: a range for the next list; width: as many dull ranges come before it */
    OP_FLUSH, /* address: set of virtual processors; value: the address space; flags: the input's; width: OP_FLUSH_... */
    OP_SWITCH, /* -, value: the address space */
    /* The processor on which a virtual processor runs. */
    OP_SPECULATE, /* address: fill the TLB as if the address had been accessed and the access thrown away */
    OP_EVICT,     /* forget some entries; value: how many of 256 */
    OP_MIGRATE,   /* value: the processor on which the virtual processor runs from now on */
    /* The host. `address` is guest-physical, `value` a size in bytes. */
    OP_MAP,  /* map what is absent, where it last was, with rights in `width` */
    OP_MOVE, /* to the frames on the side where the first page is not, contents copied */
    OP_UNMAP,
    OP_PROTECT, /* rights in `width` */
    OP_SPLIT,   /* level in `width` */
    OP_MERGE,
    OP_LOG_START, /* value: enum vmmu_nested_log */
    OP_LOG_COLLECT,
    OP_LOG_STOP,
    OP_HARVEST, /* flags: clear accessed, clear dirty */
    OP_KINDS,
};

/* Flags of an access. */
#define OP_USER           UINT8_C(1)
#define OP_IMPLICIT       UINT8_C(2)
#define OP_EFLAGS_AC      UINT8_C(4)
/* Flags of a harvest. */
#define OP_CLEAR_ACCESSED UINT8_C(1)
#define OP_CLEAR_DIRTY    UINT8_C(2)

/* The form of a flush. */
#define OP_FLUSH_LIST     UINT8_C(1)
#define OP_FLUSH_EX       UINT8_C(2)
#define OP_FLUSH_SET_ALL  UINT8_C(4) /* Ex: the set's format says all; the rest is to be passed over */
#define OP_FLUSH_NO_BANK  UINT8_C(8) /* Ex: the bank that could name somebody is not there */

struct op {
    enum op_kind kind;
    uint8_t vp;
    uint8_t width;
    uint8_t flags;
    uint32_t luck; /* seed of everything that is left to chance while it runs */
    uint64_t address;
    uint64_t value;
};

/* One world: what is fixed while a script runs. Also a line of text, the first of a script. */
struct setting {
    uint64_t seed;      /* what it was drawn from, for the reader */
    uint8_t engine;     /* index into the engines: see engine.h */
    uint8_t vps;        /* 1 to MODEL_VPS */
    uint8_t processors; /* 1 to MODEL_PROCESSORS */
    bool intel;         /* else AMD */
    bool tagged;        /* VPIDs in use; AMD: always true */
    uint8_t tags;       /* VPIDs or ASIDs that the host deals out, 1 or more; fewer than VPs means reuse */
    uint8_t roots; /* shadow: so many roots of a virtual processor have tags of their own; 0, 1: none has */
    bool silent;   /* shadow, Intel: faults of what is not present go to the guest without an exit */
    bool private_vps;      /* shadow: no page of the technique's serves two virtual processors */
    bool calls;            /* guests make hypercalls */
    bool no_empty_set;     /* to flush no virtual processor is an error; else it means all */
    bool second_dirty;     /* EPT: accessed and dirty flags are on; NPT: always true */
    bool execute_only;     /* EPT offers it */
    uint8_t second_levels; /* 4 or 5 */
    uint8_t largest;       /* largest page of the engine, level 1 to 3 */
    bool gib_pages;        /* of the guest's processor, and so on */
    bool la57;
    bool pcid;
    bool pku;
    bool smep;
    bool smap;
    bool nx;
    bool pse36;
    uint16_t table_pages; /* limit of the engine's table memory */
    uint16_t given_pages; /* shadow: what the host really has for them, less than that; 0: all of them */
    uint16_t tlb_entries; /* how much the adversary remembers */
};

/* Whether what guests may execute is in pages of 4 KiB alone. */
static inline bool setting_has_small_code(const struct setting *setting)
{
    return setting->seed % 4 == 3;
}

/* Write one line. */
void script_print_setting(FILE *out, const struct setting *setting);
void script_print_op(FILE *out, const struct op *op);

/* Read a script: a setting, then operations; lines that are empty or begin with # are passed over. Returns the number of operations in
 * *ops (to be freed), or -1 after a message on stderr that names the line. */
long script_read(FILE *in, const char *name, struct setting *setting, struct op **ops);

#endif
