/*
 * Entry layouts of the x86 paging formats, as data: one record per format, and in it one record per level.
 *
 * A format says where the bits stand; a layout is a format as one processor offers it, with the reserved bits
 * that its address width and features leave. Walking and building read these records and know no format by
 * name. Nested tables of AMD (NPT) use the ordinary formats; those of Intel (EPT) are formats of their own.
 * Levels count from 1 at the leaf.
 *
 * Everything here is pure: no state, safe to call at any time from anywhere.
 *
 * Spec: SDM 3A "Paging", SDM 3C "The Extended Page Table Mechanism (EPT)", APM 2 "Page Translation and
 * Protection", "Nested Paging".
 */
#ifndef VMMU_FORMAT_H
#define VMMU_FORMAT_H

#include <vmmu/base.h>

#define VMMU_X86_MAX_LEVELS 5

enum vmmu_x86_format_name {
    VMMU_X86_FORMAT_32BIT,     /* 32-bit paging, CR4.PSE = 0 */
    VMMU_X86_FORMAT_32BIT_PSE, /* 32-bit paging, CR4.PSE = 1: 4 MiB leaves */
    VMMU_X86_FORMAT_PAE,
    VMMU_X86_FORMAT_4LEVEL,
    VMMU_X86_FORMAT_5LEVEL,
    VMMU_X86_FORMAT_EPT4,
    VMMU_X86_FORMAT_EPT5,
    VMMU_X86_FORMATS,
};

/* What a translation allows, as a set of bits that no format shares. */
#define VMMU_X86_RIGHT_READ    UINT8_C(1)
#define VMMU_X86_RIGHT_WRITE   UINT8_C(2)
#define VMMU_X86_RIGHT_USER    UINT8_C(4) /* user-mode accesses too; EPT entries always have it */
#define VMMU_X86_RIGHT_EXECUTE UINT8_C(8)
#define VMMU_X86_RIGHTS_ALL    UINT8_C(15)

/* Memory types as EPT entries, the PAT and the MTRRs encode them. */
enum vmmu_x86_memory_type {
    VMMU_X86_TYPE_UC = 0,
    VMMU_X86_TYPE_WC = 1,
    VMMU_X86_TYPE_WT = 4,
    VMMU_X86_TYPE_WP = 5,
    VMMU_X86_TYPE_WB = 6,
    VMMU_X86_TYPE_UC_MINUS = 7, /* PAT only */
};

/* One level of a format. A mask that is zero says that entries of this level have no such field. */
struct vmmu_x86_level {
    uint8_t shift;           /* lowest address bit of the index; the page of a leaf has 2^shift bytes */
    uint8_t index_bits;      /* the table has 2^index_bits entries */
    uint8_t high_shift;      /* how far up @high_mask goes to be address bits (PSE-36) */
    uint64_t leaf_mask;      /* an entry is a leaf if these bits ... */
    uint64_t leaf_value;     /* ... have this value */
    uint64_t table_mask;     /* address of the next table */
    uint64_t frame_mask;     /* address of the page that a leaf maps */
    uint64_t high_mask;      /* further address bits of a leaf, @high_shift below where they belong */
    uint64_t table_reserved; /* must be zero in an entry that points to a table, whatever the processor */
    uint64_t leaf_reserved;  /* must be zero in a leaf, whatever the processor */
    uint64_t implied;        /* rights bits that this level does not hold and never refuses */
    uint64_t accessed;
    uint64_t dirty; /* in a leaf */
    uint64_t pat;   /* in a leaf: bit 7 or bit 12 */
    uint64_t bit8;  /* of a table entry: reserved on processors with vmmu_x86_limits.bit8_reserved */
};

/*
 * One format. Rights are bits that grant, after exclusive or with @inverted: so NX and EPT's X read alike.
 * The rights of a translation are the AND of its entries, each first XORed with @inverted and ORed with its
 * level's @implied. A right whose mask is zero is always granted.
 */
struct vmmu_x86_format {
    uint64_t present;  /* an entry is present if any of these bits is set */
    uint64_t inverted; /* bits that refuse when set: NX */
    uint64_t read;
    uint64_t write;
    uint64_t user;
    uint64_t execute;
    uint64_t large;  /* makes a leaf of an entry above level 1, where the level allows one */
    uint64_t global; /* in a leaf */
    uint64_t write_through;
    uint64_t cache_disable;
    uint64_t key;         /* protection key, in a leaf */
    uint64_t software;    /* a bit that processors ignore in every present entry: the owner's to use */
    uint64_t memory_type; /* EPT, in a leaf */
    uint64_t ignore_pat;  /* EPT, in a leaf */
    uint8_t entry_bytes;
    uint8_t levels;
    uint8_t key_shift;
    uint8_t memory_type_shift;
    /* bit N: bits 2:0 of value N are a misconfiguration (EPT: writable, not readable) */
    uint8_t rights_refused;
    uint8_t execute_only;  /* the same, where the processor does not offer execute-only translations */
    uint8_t types_refused; /* bit N: memory type N in a leaf is a misconfiguration */
    struct vmmu_x86_level level[VMMU_X86_MAX_LEVELS + 1]; /* by level number; [0] is not used */
};

/* What a processor leaves open in its formats. */
struct vmmu_x86_limits {
    uint8_t physical_bits; /* 32 to 52 */
    bool nx;               /* NX is enabled (EFER.NXE); else the bit is reserved. EPT: no effect */
    bool pse36;            /* 4 MiB leaves may lie above 4 GiB */
    bool gib_pages;        /* 1 GiB leaves; else the large bit there is reserved */
    bool no_2m_pages;      /* EPT without 2 MiB leaves */
    bool execute_only;     /* EPT: execute-only translations are offered */
    bool bit8_reserved;    /* AMD: bit 8 of PML4 and PML5 entries must be zero */
};

/* A format as one processor offers it. Holds no pointer. */
struct vmmu_x86_layout {
    enum vmmu_x86_format_name format;
    uint8_t rights_refused; /* as in vmmu_x86_format */
    uint8_t types_refused;
    uint64_t reserved[VMMU_X86_MAX_LEVELS + 1][2]; /* by level number; [0]: entry to a table, [1]: leaf */
};

extern const struct vmmu_x86_format vmmu_x86_formats[VMMU_X86_FORMATS];

/**
 * Describe @name as a processor with @limits offers it.
 *
 * Returns
 *   VMMU_OK       *out
 *   VMMU_INVALID  @name is no format, or the physical width is not 32 to 52 bits; *out is unchanged
 */
VMMU_MUST_USE
enum vmmu_status vmmu_format_layout(enum vmmu_x86_format_name name, const struct vmmu_x86_limits *limits,
                                    struct vmmu_x86_layout *out);

static inline const struct vmmu_x86_format *vmmu_format_of(const struct vmmu_x86_layout *layout)
{
    return &vmmu_x86_formats[layout->format];
}

/* Bytes that an entry of this level maps: at level 2, 4 MiB in 32-bit paging, 2 MiB in the others. */
static inline uint64_t vmmu_format_level_bytes(const struct vmmu_x86_level *level)
{
    return BIT64(level->shift);
}

/* Entries in a table of this level. */
static inline unsigned vmmu_format_entries(const struct vmmu_x86_level *level)
{
    return 1U << level->index_bits;
}

/* Address bits that the whole format translates: 32, 48, 57. */
static inline unsigned vmmu_format_address_bits(const struct vmmu_x86_format *format)
{
    const struct vmmu_x86_level *top = &format->level[format->levels];

    return (unsigned)top->shift + top->index_bits;
}

/* Whether @address has no bit above those that the format translates. */
static inline bool vmmu_format_reaches(const struct vmmu_x86_format *format, uint64_t address)
{
    return (address >> vmmu_format_address_bits(format)) == 0;
}

/* Whether the bits of @address from bit @bits - 1 upwards are all the same. */
static inline bool vmmu_format_is_canonical(uint64_t address, unsigned bits)
{
    const uint64_t above = address >> (bits - 1);

    return above == 0 || above == ~UINT64_C(0) >> (bits - 1);
}

/* Which entry of a table of this level translates @address. */
static inline unsigned vmmu_format_index(const struct vmmu_x86_level *level, uint64_t address)
{
    return (unsigned)(address >> level->shift) & (vmmu_format_entries(level) - 1);
}

/* Whether the processor follows @entry; if not, its other bits are the owner's to use. */
static inline bool vmmu_format_is_present(const struct vmmu_x86_format *format, uint64_t entry)
{
    return (entry & format->present) != 0;
}

/* Whether a present entry maps a page, and does not point to a table. */
static inline bool vmmu_format_is_leaf(const struct vmmu_x86_level *level, uint64_t entry)
{
    return (entry & level->leaf_mask) == level->leaf_value;
}

/* Whether a leaf may stand at this level at all, in this format. */
static inline bool vmmu_format_may_be_leaf(const struct vmmu_x86_level *level)
{
    return level->frame_mask != 0;
}

/* Address of the table that an entry points to. */
static inline uint64_t vmmu_format_table(const struct vmmu_x86_level *level, uint64_t entry)
{
    return entry & level->table_mask;
}

/* Base of the page that a leaf maps. Leaves out the offset bits, and with them the large-page PAT bit 12. */
static inline uint64_t vmmu_format_frame(const struct vmmu_x86_level *level, uint64_t entry)
{
    return (entry & level->frame_mask) | ((entry & level->high_mask) << level->high_shift);
}

/* @entry with its frame replaced by @frame, which is aligned to the level's size. */
static inline uint64_t vmmu_format_with_frame(const struct vmmu_x86_level *level, uint64_t entry,
                                              uint64_t frame)
{
    return (entry & ~(level->frame_mask | level->high_mask)) | (frame & level->frame_mask) |
           ((frame >> level->high_shift) & level->high_mask);
}

/* @entry with its table address replaced. */
static inline uint64_t vmmu_format_with_table(const struct vmmu_x86_level *level, uint64_t entry,
                                              uint64_t table)
{
    return (entry & ~level->table_mask) | (table & level->table_mask);
}

/* The bits of @format that an entry needs to grant @rights and no other: in it, refusing bits too. */
static inline uint64_t vmmu_format_rights_bits(const struct vmmu_x86_format *format, uint8_t rights)
{
    const uint64_t granted = ((rights & VMMU_X86_RIGHT_READ) ? format->read : 0) |
                             ((rights & VMMU_X86_RIGHT_WRITE) ? format->write : 0) |
                             ((rights & VMMU_X86_RIGHT_USER) ? format->user : 0) |
                             ((rights & VMMU_X86_RIGHT_EXECUTE) ? format->execute : 0);

    return granted ^ format->inverted;
}

/* Every bit of an entry that is about rights. */
static inline uint64_t vmmu_format_rights_mask(const struct vmmu_x86_format *format)
{
    return format->read | format->write | format->user | format->execute;
}

/* The grants of one entry in the form that AND combines along a walk. Start a walk with all ones. */
static inline uint64_t vmmu_format_grants(const struct vmmu_x86_format *format,
                                          const struct vmmu_x86_level *level, uint64_t entry)
{
    return (entry ^ format->inverted) | level->implied;
}

/* Combined grants as a set of rights. A right that the format has no bit for is granted. */
static inline uint8_t vmmu_format_rights(const struct vmmu_x86_format *format, uint64_t grants)
{
    return (uint8_t)(((grants & format->read) == format->read ? VMMU_X86_RIGHT_READ : 0) |
                     ((grants & format->write) == format->write ? VMMU_X86_RIGHT_WRITE : 0) |
                     ((grants & format->user) == format->user ? VMMU_X86_RIGHT_USER : 0) |
                     ((grants & format->execute) == format->execute ? VMMU_X86_RIGHT_EXECUTE : 0));
}

/* A leaf of @level that maps @frame with @rights; every other field zero, not accessed, not dirty. */
static inline uint64_t vmmu_format_leaf(const struct vmmu_x86_format *format,
                                        const struct vmmu_x86_level *level, uint64_t frame, uint8_t rights)
{
    return vmmu_format_with_frame(level, vmmu_format_rights_bits(format, rights) | level->leaf_value, frame);
}

/* An entry of @level that points to @table and withholds no right that the level has a bit for. */
static inline uint64_t vmmu_format_link(const struct vmmu_x86_format *format,
                                        const struct vmmu_x86_level *level, uint64_t table)
{
    return vmmu_format_with_table(
        level, format->present | (vmmu_format_rights_bits(format, VMMU_X86_RIGHTS_ALL) & ~level->implied),
        table);
}

/* Whether a present entry has a reserved bit set, or (EPT) a combination that is a misconfiguration. */
static inline bool vmmu_format_is_refused(const struct vmmu_x86_layout *layout, unsigned level_number,
                                          bool leaf, uint64_t entry)
{
    if ((entry & layout->reserved[level_number][leaf]) != 0) {
        return true;
    }
    if (!layout->rights_refused) {
        return false;
    }
    const struct vmmu_x86_format *format = vmmu_format_of(layout);
    const unsigned type = (unsigned)((entry & format->memory_type) >> format->memory_type_shift);

    return ((layout->rights_refused >> (entry & 7)) & 1) != 0 ||
           (leaf && ((layout->types_refused >> type) & 1) != 0);
}

/* Index into the PAT of a leaf's PWT, PCD and PAT bits, 0 to 7. Zero for EPT, which has none. */
static inline unsigned vmmu_format_pat_index(const struct vmmu_x86_format *format,
                                             const struct vmmu_x86_level *level, uint64_t leaf)
{
    return ((leaf & format->write_through) ? 1U : 0) | ((leaf & format->cache_disable) ? 2U : 0) |
           ((leaf & level->pat) ? 4U : 0);
}

/* The bits of a leaf that select entry @index, 0 to 7, of the PAT. */
static inline uint64_t vmmu_format_pat_bits(const struct vmmu_x86_format *format,
                                            const struct vmmu_x86_level *level, unsigned index)
{
    return ((index & 1) ? format->write_through : 0) | ((index & 2) ? format->cache_disable : 0) |
           ((index & 4) ? level->pat : 0);
}

/* What the PAT MSR holds after a reset. Spec: SDM 3A "Page Attribute Table (PAT)". */
#define VMMU_X86_PAT_AT_RESET UINT64_C(0x0007040600070406)

/* Whether each byte of @pat is a memory type; 2, 3 and those above 7 are none. */
static inline bool vmmu_x86_pat_is_sound(uint64_t pat)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t middle = pat >> 1 & ones;

    return (pat & ~(7 * ones)) == 0 && (middle & ~(pat >> 2)) == 0;
}

/* The memory type that entry @index, 0 to 7, of @pat holds. */
static inline enum vmmu_x86_memory_type vmmu_x86_pat_type(uint64_t pat, unsigned index)
{
    return (enum vmmu_x86_memory_type)((pat >> (index * 8)) & 7);
}

/* EPT: a leaf's memory type. */
static inline enum vmmu_x86_memory_type vmmu_format_memory_type(const struct vmmu_x86_format *format,
                                                                uint64_t leaf)
{
    return (enum vmmu_x86_memory_type)((leaf & format->memory_type) >> format->memory_type_shift);
}

/* EPT: the bits of a leaf that give it @type. */
static inline uint64_t vmmu_format_memory_type_bits(const struct vmmu_x86_format *format,
                                                    enum vmmu_x86_memory_type type)
{
    return ((uint64_t)type << format->memory_type_shift) & format->memory_type;
}

/* A leaf's protection key, 0 to 15. Zero in formats that have none. */
static inline unsigned vmmu_format_key(const struct vmmu_x86_format *format, uint64_t leaf)
{
    return (unsigned)((leaf & format->key) >> format->key_shift);
}

/* What PKRU or PKRS says of one key. */
#define VMMU_X86_KEY_NO_ACCESS UINT32_C(1)
#define VMMU_X86_KEY_NO_WRITE  UINT32_C(2)

/* The two bits of @rights_register, which is PKRU or PKRS, for @key: VMMU_X86_KEY_*. */
static inline uint32_t vmmu_format_key_refusals(uint32_t rights_register, unsigned key)
{
    return (rights_register >> (2 * (key & 15))) & 3;
}

#endif
