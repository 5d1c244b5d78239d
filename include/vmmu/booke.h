/*
 * The MMU of Power ISA's Book III-E, as processors of the e500 family have it, virtualized.
 *
 * No hardware walks tables there: software writes the TLB, entry by entry, by `tlbwe` through the MAS registers. Two halves:
 *
 *   struct vmmu_booke       one VP's virtual MMU: its MAS registers and a virtual TLB, which remembers what the guest wrote
 *                           (A to B). The guest's instructions are operations on it, and read back what was written.
 *   struct vmmu_booke_real  one processor's TLB, as far as guests use it: which entry (A to C) was made from which virtual one,
 *                           under which shadow PID. A miss fills it, a change of a virtual entry takes away what came from it.
 *
 * Shadow PIDs stand for (VP, address space, privilege, TID), so neither a change of privilege, nor one of PID or address space, nor
 * another VP's turn flushes anything.
 *
 * Registers are native words, their bits counted in the manual's way where they are named. The library never touches the
 * hardware: it asks the host to write real entries, one at a time. Nothing locks: a struct vmmu_booke belongs to its VP, a struct
 * vmmu_booke_real to its processor; a VP that moves to another processor is forgotten on the first one.
 *
 * Spec: Power ISA Book III-E "Storage Control"; EREF "Memory Management Units"; e500 Core Family Reference Manual "Memory
 * Management Units".
 */
#ifndef VMMU_BOOKE_H
#define VMMU_BOOKE_H

#include <vmmu/base.h>

#define VMMU_BOOKE_ARRAYS         2
#define VMMU_BOOKE_PIDS           3
#define VMMU_BOOKE_WAYS_MOST      64   /* of an array: what MAS0[ESEL] can name */
#define VMMU_BOOKE_ENTRIES_MOST   4095 /* of an array: what TLBnCFG[NENTRY] can say */

/* --- registers --- */

/* MAS0 */
#define VMMU_MAS0_TLBSEL_SHIFT    28 /* which array; one bit where there are two of them */
#define VMMU_MAS0_ESEL_SHIFT      16 /* which way; twelve bits */
#define VMMU_MAS0_NV              UINT32_C(0x00000fff)

/* MAS1 */
#define VMMU_MAS1_VALID           UINT32_C(0x80000000)
#define VMMU_MAS1_IPROT           UINT32_C(0x40000000)
#define VMMU_MAS1_TID_SHIFT       16 /* eight bits on the e500; up to fourteen */
#define VMMU_MAS1_TID             UINT32_C(0x3fff0000)
#define VMMU_MAS1_TS              UINT32_C(0x00001000)
#define VMMU_MAS1_TSIZE_SHIFT     8 /* four bits: the page has 4^TSIZE KiB */
#define VMMU_MAS1_TSIZE           UINT32_C(0x00000f00)

/* MAS2: the effective page number, and attributes. */
#define VMMU_MAS2_EPN             UINT32_C(0xfffff000)
#define VMMU_MAS2_X0              UINT32_C(0x40)
#define VMMU_MAS2_X1              UINT32_C(0x20)
#define VMMU_MAS2_W               UINT32_C(0x10) /* write-through */
#define VMMU_MAS2_I               UINT32_C(0x08) /* caching inhibited */
#define VMMU_MAS2_M               UINT32_C(0x04) /* coherent */
#define VMMU_MAS2_G               UINT32_C(0x02) /* guarded */
#define VMMU_MAS2_E               UINT32_C(0x01) /* little-endian */

/* MAS3: the real page number's low part, user bits, rights. MAS7: its high part. */
#define VMMU_MAS3_RPN             UINT32_C(0xfffff000)
#define VMMU_MAS3_U               UINT32_C(0x000003c0)
#define VMMU_MAS3_UX              UINT32_C(0x20)
#define VMMU_MAS3_SX              UINT32_C(0x10)
#define VMMU_MAS3_UW              UINT32_C(0x08)
#define VMMU_MAS3_SW              UINT32_C(0x04)
#define VMMU_MAS3_UR              UINT32_C(0x02)
#define VMMU_MAS3_SR              UINT32_C(0x01)
#define VMMU_MAS3_RIGHTS          UINT32_C(0x3f)
#define VMMU_MAS7_RPN             UINT32_C(0x0000000f) /* of 36 bits of physical address */

/* MAS4: what a miss puts into MAS0 to MAS2. */
#define VMMU_MAS4_TLBSELD_SHIFT   28
#define VMMU_MAS4_TIDSELD_SHIFT   16 /* two bits: PID0, PID1, PID2, or TID 0 */
#define VMMU_MAS4_TSIZED_SHIFT    8
#define VMMU_MAS4_ATTRIBUTES      UINT32_C(0x0000007f) /* X0D X1D WD ID MD GD ED, as in MAS2 */

/* MAS6: what `tlbsx` looks for. */
#define VMMU_MAS6_SPID_SHIFT      16
#define VMMU_MAS6_SAS             UINT32_C(0x00000001)

/* MMUCSR0: flash invalidation of an array. */
#define VMMU_MMUCSR0_TLB0_FI      UINT32_C(0x4)
#define VMMU_MMUCSR0_TLB1_FI      UINT32_C(0x2)

/* TLB0CFG, TLB1CFG: what an array offers. */
#define VMMU_TLBCFG_ASSOC_SHIFT   24 /* ways */
#define VMMU_TLBCFG_MINSIZE_SHIFT 20 /* TSIZE */
#define VMMU_TLBCFG_MAXSIZE_SHIFT 16
#define VMMU_TLBCFG_IPROT         UINT32_C(0x00008000) /* entries can be protected against invalidation */
#define VMMU_TLBCFG_AVAIL         UINT32_C(0x00004000) /* each entry has a size of its own */
#define VMMU_TLBCFG_NENTRY        UINT32_C(0x00000fff)

/* HID0 of the e500v2: `tlbre`, `tlbsx` and TLB errors write MAS7, too. */
#define VMMU_HID0_EN_MAS7_UPDATE  UINT32_C(0x00000080)

/* The effective address of `tlbivax`, and what it carries besides. */
#define VMMU_TLBIVAX_TLB1         UINT32_C(0x8)
#define VMMU_TLBIVAX_ALL          UINT32_C(0x4)

/* ESR, of the interrupts that translation raises. */
#define VMMU_ESR_ST               UINT32_C(0x00800000) /* a store, or a cache instruction that counts as one */

struct vmmu_booke_mas {
    uint32_t mas0;
    uint32_t mas1;
    uint32_t mas2;
    uint32_t mas3;
    uint32_t mas4;
    uint32_t mas6;
    uint32_t mas7;
};

/* --- the virtual MMU --- */

/* What the processor offers, in its own configuration registers. */
struct vmmu_booke_config {
    uint32_t tlbcfg[VMMU_BOOKE_ARRAYS]; /* TLB0CFG, TLB1CFG */
    uint8_t pids;                       /* PID registers, 1 to VMMU_BOOKE_PIDS */
    uint8_t pid_bits;                   /* 1 to 14 */
    uint8_t physical_bits;              /* 32 to 36 */
};

/* The e500v2: 512 entries in four ways, of 4 KiB; 16 entries of 4 KiB to 4 GiB. */
extern const struct vmmu_booke_config vmmu_booke_e500v2;

/*
 * One entry, in the bits of the registers that wrote it; the others are 0. Whether it holds a translation says MAS1[V].
 */
struct vmmu_booke_entry {
    uint32_t mas1; /* V, IPROT, TID, TS, TSIZE */
    uint32_t mas2;
    uint32_t mas3;
    uint16_t mas7;
    uint16_t made; /* real entries made from this one: vmmu_booke_real's */
};

struct vmmu_booke;

/* Told before a valid entry that real ones were made from (`made` is not 0) changes or goes. */
struct vmmu_booke_watch {
    void *context;
    void (*changing)(void *context, struct vmmu_booke *booke, unsigned index);
};

/*
 * The virtual MMU of one VP. `mas` and `pid` are the guest's registers, to be read and, by vmmu_booke_set(), written; the rest is
 * the library's. An entry's index: those of array 0 by set and way (set * ways + way), then those of array 1.
 */
struct vmmu_booke {
    struct vmmu_booke_config config;
    struct vmmu_booke_watch watch;
    struct vmmu_booke_mas mas;
    uint32_t pid[VMMU_BOOKE_PIDS];
    bool updates_mas7;          /* HID0[EN_MAS7_UPDATE] */
    struct vmmu_booke_mas kept; /* bits that each register has */
    struct vmmu_booke_entry *entries;
    uint8_t *next_victim; /* of each set of array 0 */
    struct vmmu_booke_array {
        uint16_t first; /* index of its first entry */
        uint16_t entries;
        uint16_t ways;
        uint16_t sets;
        uint16_t used;      /* of array 1: no valid entry is its `used`th or a later one */
        uint16_t way_mask;  /* what of ESEL counts: as many bits as the ways need */
        uint8_t page_shift; /* of the least page: a set is chosen by the bits of the address above it */
        uint8_t least_size; /* TSIZE */
        uint8_t most_size;
        bool any_size; /* AVAIL: each entry its own; else all have least_size */
        bool protects; /* IPROT is there */
    } array[VMMU_BOOKE_ARRAYS];
    struct vmmu_booke_spaces *spaces; /* vmmu_booke_real's */
};

/**
 * Bytes of memory, aligned to 8, that a virtual MMU of @config works in; 0 if the configuration cannot be. Pure.
 *
 * What can be: 1 to VMMU_BOOKE_ENTRIES_MOST entries of each array, 1 to VMMU_BOOKE_WAYS_MOST ways; array 0 of a power of two of
 * sets, which if there is more than one has one page size; array 1 fully associative; the smallest pages of an array have 4 KiB to
 * 1 GiB.
 */
size_t vmmu_booke_memory_bytes(const struct vmmu_booke_config *config);

/**
 * Set up a virtual MMU as after reset, but with no valid entry: the caller writes the one that the machine starts with. @memory is
 * borrowed for as long as it lives.
 *
 * Returns VMMU_OK; VMMU_INVALID for a configuration that cannot be, or too little or unaligned memory.
 */
VMMU_MUST_USE
enum vmmu_status vmmu_booke_init(struct vmmu_booke *booke, const struct vmmu_booke_config *config,
                                 void *memory, size_t memory_bytes);

/* Registers that `mtspr` writes. */
enum vmmu_booke_register {
    VMMU_BOOKE_MAS0,
    VMMU_BOOKE_MAS1,
    VMMU_BOOKE_MAS2,
    VMMU_BOOKE_MAS3,
    VMMU_BOOKE_MAS4,
    VMMU_BOOKE_MAS6,
    VMMU_BOOKE_MAS7,
    VMMU_BOOKE_PID0,
    VMMU_BOOKE_PID1,
    VMMU_BOOKE_PID2,
    VMMU_BOOKE_MMUCSR0, /* not kept: flash invalidation, which is done at once, so that it reads as 0 */
    VMMU_BOOKE_HID0,    /* of it, EN_MAS7_UPDATE alone matters here */
};

/**
 * Write a register: bits, and PID registers, that the processor has not are dropped.
 *
 * Spec: e500 Core Family Reference Manual "MMU Assist Registers (MAS0-MAS7)", "Process ID Registers (PID0-PID2)", "MMU Control and
 * Status Register 0 (MMUCSR0)".
 */
void vmmu_booke_set(struct vmmu_booke *booke, enum vmmu_booke_register which, uint32_t value);

/**
 * `tlbwe`: the entry that MAS0 names (with MAS2[EPN], in array 0) becomes what MAS1, MAS2, MAS3 and MAS7 say, protected or not; in
 * array 0 the set's next victim becomes MAS0[NV]. What an e500 leaves undefined (a size or, in other geometries, an entry that is
 * not there) does what docs/booke.md says, and never more than write an entry of that array.
 *
 * Returns the index of what was written, or -1 if nothing was.
 *
 * Spec: e500 Core Family Reference Manual "TLB Write Entry (tlbwe) Instruction", "Round-Robin Replacement for TLB0".
 */
int vmmu_booke_write(struct vmmu_booke *booke);

/**
 * `tlbre`: MAS1, MAS2, MAS3, and MAS7 if HID0[EN_MAS7_UPDATE], become what the entry holds that MAS0 names (with MAS2[EPN], in array
 * 0, where MAS0[NV] becomes the set's next victim). An entry that is not there reads as 0.
 *
 * Spec: e500 Core Family Reference Manual "TLB Read Entry (tlbre) Instruction".
 */
void vmmu_booke_read(struct vmmu_booke *booke);

/**
 * `tlbsx`: look for @ea by MAS6. The MAS registers say where it was found; or else the defaults of MAS4, as for a miss, with V = 0,
 * and TID and TS by MAS6.
 *
 * Spec: e500 Core Family Reference Manual "TLB Search (tlbsx) Instruction", "MAS Register Updates".
 */
void vmmu_booke_search(struct vmmu_booke *booke, uint32_t ea);

/**
 * `tlbivax`, with the effective address as the instruction makes it: it carries the array and "all" in low bits. Every entry of that
 * array that maps the address, whatever its TID and TS, or every one at all; but none that is protected.
 *
 * Spec: e500 Core Family Reference Manual "TLB Invalidate (tlbivax) Instruction".
 */
void vmmu_booke_invalidate(struct vmmu_booke *booke, uint32_t ea);

/**
 * `tlbilx` of type T, in both arrays, none that is protected. 0: every entry; 1: those whose TID is MAS6[SPID]; 3: those that `tlbsx`
 * with @ea could find. Other types do nothing. Cores of the family after the e500v2 have it.
 *
 * Spec: Power ISA Book III-E "TLB Invalidate Local".
 */
void vmmu_booke_invalidate_local(struct vmmu_booke *booke, unsigned type, uint32_t ea);

/* --- translation, as data --- */

enum vmmu_booke_kind { VMMU_BOOKE_LOAD, VMMU_BOOKE_STORE, VMMU_BOOKE_FETCH };

struct vmmu_booke_access {
    enum vmmu_booke_kind kind;
    bool space;   /* MSR[IS] of a fetch, MSR[DS] of others */
    bool problem; /* MSR[PR] */
};

enum vmmu_booke_verdict {
    VMMU_BOOKE_HIT,
    VMMU_BOOKE_MISS,    /* data or instruction TLB error */
    VMMU_BOOKE_REFUSED, /* data or instruction storage: no right */
};

/* Where an access goes, or which interrupt it raises. */
struct vmmu_booke_result {
    enum vmmu_booke_verdict verdict;
    uint16_t index;      /* HIT, REFUSED: of the entry */
    vmmu_gpa gpa;        /* HIT: of the byte */
    uint64_t page_bytes; /* HIT */
    uint8_t attributes;  /* HIT: MAS2's X0 to E */
    uint32_t esr; /* MISS, REFUSED: for ESR (of a fetch: 0); the interrupt's kind follows from the access */
};

/**
 * Translate @ea for @access by the PID registers, changing nothing. Of several entries that match, which the architecture forbids,
 * the one of the lowest index counts.
 *
 * Spec: e500 Core Family Reference Manual "Virtual Addresses", "Permission Attributes", "Exception Syndrome Register (ESR)".
 */
VMMU_MUST_USE
struct vmmu_booke_result vmmu_booke_translate(const struct vmmu_booke *booke, uint32_t ea,
                                              struct vmmu_booke_access access);

/**
 * What a TLB error puts into the MAS registers when it is taken: defaults by MAS4, what was accessed, and the next victim.
 *
 * Spec: e500 Core Family Reference Manual "Automatic Updates - TLB Miss Exceptions", "MAS Register Updates".
 */
void vmmu_booke_miss(struct vmmu_booke *booke, uint32_t ea, struct vmmu_booke_access access);

/* The page that an entry maps: 4 KiB to 4 GiB and more. */
static inline uint64_t vmmu_booke_entry_bytes(const struct vmmu_booke_entry *entry)
{
    const unsigned shift = 2 * (entry->mas1 >> VMMU_MAS1_TSIZE_SHIFT & 0xf) + 10;

    return shift < 32 ? UINT32_C(1) << shift : BIT64(shift);
}

/* --- the real TLB --- */

/* Memory that is contiguous for the guest and for the machine, in whole pages of 4 KiB. */
struct vmmu_booke_piece {
    vmmu_gpa gpa;
    vmmu_hpa hpa;
    uint64_t size_bytes;
    bool write;
    bool execute; /* may always be read */
};

/* The embedder of a real TLB. Callbacks must not call back into the library. */
struct vmmu_booke_host {
    void *context;

    /* Entries of array 1, the last ones, that the host keeps for itself. */
    uint16_t kept;

    /*
     * The memory of @booke's partition that @gpa lies in. False: there is none. An answer may be used again until that part of
     * memory is forgotten. What it names lies below 2^physical_bits of the processor: that is not checked.
     */
    bool (*memory)(void *context, const struct vmmu_booke *booke, vmmu_gpa gpa,
                   struct vmmu_booke_piece *piece);

    /* Whether that partition owns every byte of [at, at + size_bytes). Asked before an entry is made that maps it. */
    bool (*owns)(void *context, const struct vmmu_booke *booke, vmmu_hpa at, uint64_t size_bytes);

    /* `tlbwe` of MAS0, MAS1, MAS2, MAS3 and MAS7 on the processor; it takes effect before this returns. */
    void (*write)(void *context, const struct vmmu_booke_mas *mas);

    /* The isolation invariant would have failed. Stop the partition; @what is a sentence. May return. */
    void (*violated)(void *context, const struct vmmu_booke *booke, const char *what);
};

/* One real entry that is the guests'. What was written is in mas1, mas2, mas3, mas7; `index` says what it was made from. */
struct vmmu_booke_slot {
    struct vmmu_booke *from; /* NULL: not valid */
    uint32_t mas1;
    uint32_t mas2;
    uint32_t mas3;
    uint16_t index; /* of the virtual entry */
    uint8_t mas7;
    uint8_t group; /* the library's: the spaces among which entries must not overlap */
};

#define VMMU_BOOKE_SHADOWS 256 /* shadow PIDs at most, of which 0 is never given to a guest */

/* A guest's translation state, on which its shadow PIDs depend. */
struct vmmu_booke_state {
    bool instruction_space; /* MSR[IS] */
    bool data_space;        /* MSR[DS] */
    bool problem;           /* MSR[PR] */
};

/* What the processor's own registers must hold while the guest runs. */
struct vmmu_booke_pids {
    uint8_t pid[VMMU_BOOKE_PIDS];
};

struct vmmu_booke_real_counters {
    uint64_t filled[VMMU_BOOKE_ARRAYS]; /* entries made */
    uint64_t evicted;                   /* of these, over one that was valid and of another page */
    uint64_t removed;                   /* taken away because the virtual entry changed */
    uint64_t overlapped;                /* taken away, or written over, because another came over it */
    uint64_t recycled;                  /* shadow PIDs taken from the space that had them */
    uint64_t split;                     /* fills with a smaller page than the guest's */
};

/*
 * One processor's TLB. `counters` and `generation` are for reading; the rest is the library's. The host keeps the last
 * entries of array 1 for itself, and all of TS = 0: what the library writes has TS = 1 and a shadow PID, which is never 0.
 */
struct vmmu_booke_real {
    struct vmmu_booke_config config;
    struct vmmu_booke_host host;
    struct vmmu_booke_real_counters counters;
    struct vmmu_booke_slot *slots; /* array 0 by set and way, then array 1 */
    const uint8_t **owners;        /* of each shadow PID: where its space keeps it; NULL: free */
    uint8_t *next_way;             /* of each set of array 0 */
    uint32_t generation;           /* counts the times that shadow PIDs were taken from their spaces */
    uint32_t large_regions;        /* parts of the address space where large entries may be */
    uint32_t small_regions;        /* ... and small ones */
    uint16_t sets;                 /* of array 0 */
    uint16_t ways;
    uint16_t small; /* entries of array 0 */
    uint16_t large; /* entries of array 1 that are the guests' */
    uint16_t next_large;
    uint16_t shadows; /* shadow PIDs, 0 among them */
    uint16_t next_shadow;
    uint8_t least_size; /* of array 1: TSIZE */
    uint8_t most_size;
    uint8_t patience; /* fills until a large entry may be evicted */
};

/* Bytes of memory, aligned to 8: of a processor's TLB; and of what one VP needs besides. 0 if the configuration cannot be. */
size_t vmmu_booke_real_memory_bytes(const struct vmmu_booke_config *config);
size_t vmmu_booke_spaces_memory_bytes(const struct vmmu_booke_config *config);

/**
 * Set up a processor's TLB, of which guests have no entry yet. @memory is borrowed, @host is copied.
 *
 * Returns VMMU_OK; VMMU_INVALID: too little or unaligned memory, or a processor on which guests could not be sure to get on: it
 * must have 32 to 36 bits of physical address, two PID registers, array 0 of 4 KiB pages in two ways (three, if there is only one
 * set), and array 1 of any size, of which at least three entries are not kept.
 */
VMMU_MUST_USE
enum vmmu_status vmmu_booke_real_init(struct vmmu_booke_real *real, const struct vmmu_booke_config *config,
                                      const struct vmmu_booke_host *host, void *memory, size_t memory_bytes);

/**
 * @booke, which is initialized and on no processor's TLB, runs on @real from now on. @memory is borrowed until
 * vmmu_booke_detach(). Sets booke->watch.
 *
 * Returns VMMU_OK; VMMU_INVALID: less memory than vmmu_booke_spaces_memory_bytes() of the virtual MMU's configuration, or unaligned.
 */
VMMU_MUST_USE
enum vmmu_status vmmu_booke_attach(struct vmmu_booke *booke, struct vmmu_booke_real *real, void *memory,
                                   size_t memory_bytes);

/* @booke's guest ends, or moves to another processor: all that was made for it goes, and its shadow PIDs are free. */
void vmmu_booke_detach(struct vmmu_booke *booke, struct vmmu_booke_real *real);

/**
 * What the PID registers must hold for @booke, as it is, in @state. To be asked when the VP is switched to, and whenever a PID
 * register of the guest's, the state, or real->generation has changed; costs a few loads where the shadow PIDs are known. May take
 * shadow PIDs, and what was made under them, from other spaces where they run out.
 *
 * Spec: e500 Core Family Reference Manual "Process ID Registers (PID0-PID2)".
 */
struct vmmu_booke_pids vmmu_booke_enter(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                        struct vmmu_booke_state state);

/* An access that the real TLB had no entry for, or refused. */
struct vmmu_booke_attempt {
    struct vmmu_booke_state state;
    enum vmmu_booke_kind kind;
    uint32_t ea;
    uint32_t
        at; /* where the instruction stands: its fetch must survive a fill for its data where IS is not DS */
};

enum vmmu_booke_fill {
    VMMU_BOOKE_FILLED, /* the access may be tried again; real->generation may have changed */
    VMMU_BOOKE_FAULT,  /* the guest's own: *result says which */
    VMMU_BOOKE_DEVICE, /* no memory at result->gpa: perform the instruction on devices */
    VMMU_BOOKE_CLASH, /* IS is not DS, and the instruction's own page is asked for as data: perform it on memory */
    VMMU_BOOKE_DENIED, /* memory that refuses the access, or that is not the partition's (violated() was called): result->gpa */
};

/**
 * Translate @attempt, and make a real entry for it if the guest's own TLB allows it: the largest page that fits the guest's page,
 * its memory and the processor, in a free place or over the next victim. A smaller one where the guest's entries overlap, or where
 * all large entries are in use and turned over too fast. @result is set if no entry was made.
 *
 * Spec: e500 Core Family Reference Manual "Virtual Addresses", "Permission Attributes", "TLB Write Entry (tlbwe) Instruction".
 */
VMMU_MUST_USE
enum vmmu_booke_fill vmmu_booke_fill(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                     const struct vmmu_booke_attempt *attempt,
                                     struct vmmu_booke_result *result);

/**
 * The guest has just written virtual entry @index (by vmmu_booke_write()), most likely in answer to @missed, the miss that was
 * reflected to it last. If the entry does answer that, make the real one at once, so that the guest's retry does not miss again.
 * Returns whether it has. Does nothing where IS is not DS.
 *
 * Spec: e500 Core Family Reference Manual "Automatic Updates - TLB Miss Exceptions".
 */
bool vmmu_booke_fill_written(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                             const struct vmmu_booke_attempt *missed, unsigned index);

/*
 * What has been made of guest-physical [gpa, gpa + size_bytes) for @booke, or of all of it, goes: its memory changes, in place, in
 * rights or in extent. Memory that is new needs neither; but where it adjoins other memory, pages across both are made only after
 * that has been forgotten.
 */
void vmmu_booke_forget(struct vmmu_booke *booke, struct vmmu_booke_real *real, vmmu_gpa gpa,
                       uint64_t size_bytes);
void vmmu_booke_forget_all(struct vmmu_booke *booke, struct vmmu_booke_real *real);

/*
 * The real entry of slot @index, from 0 to vmmu_booke_real_slots() - 1; NULL if it is not valid. Array 0 comes first, by set and way
 * (set * ways + way). For people and checks.
 */
unsigned vmmu_booke_real_slots(const struct vmmu_booke_real *real);
const struct vmmu_booke_slot *vmmu_booke_real_slot(const struct vmmu_booke_real *real, unsigned index);

#endif
