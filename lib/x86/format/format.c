/*
 * The formats, as data, and what a processor makes of them.
 *
 * Invariant: a level's masks never overlap its reserved bits, and address masks hold every address bit that
 * any processor has (bit 51 downwards); what one processor lacks becomes reserved in its layout.
 */
#include <vmmu/format.h>

#define P            BIT64(0)
#define RW           BIT64(1)
#define US           BIT64(2)
#define PWT          BIT64(3)
#define PCD          BIT64(4)
#define A            BIT64(5)
#define D            BIT64(6)
#define PS           BIT64(7)
#define G            BIT64(8)
#define SOFTWARE     BIT64(9)
#define NX           BIT64(63)

#define PAT_4K       BIT64(7)
#define PAT_LARGE    BIT64(12)

/* Address bits from @low up to the widest processor's. */
#define ADDRESS(low) BITS64(51, low)

/* A level value that no entry masked with zero can have: never a leaf. */
#define NEVER_LEAF   .leaf_mask = 0, .leaf_value = PS
#define EVER_LEAF    .leaf_mask = 0, .leaf_value = 0
#define LARGE_LEAF   .leaf_mask = PS, .leaf_value = PS

/* --- 32-bit paging --- */

#define LEVEL1_32BIT                                                                                         \
    {                                                                                                        \
        .shift = 12, .index_bits = 10, EVER_LEAF, .frame_mask = BITS64(31, 12), .accessed = A, .dirty = D,   \
        .pat = PAT_4K                                                                                        \
    }

#define COMMON_32BIT                                                                                         \
    .entry_bytes = 4, .levels = 2, .present = P, .read = P, .write = RW, .user = US, .large = PS,            \
    .global = G, .write_through = PWT, .cache_disable = PCD, .software = SOFTWARE

/* --- PAE, 4-level, 5-level: entries of eight bytes --- */

#define COMMON_64BIT                                                                                         \
    .entry_bytes = 8, .present = P, .inverted = NX, .read = P, .write = RW, .user = US, .execute = NX,       \
    .large = PS, .global = G, .write_through = PWT, .cache_disable = PCD, .software = SOFTWARE

#define KEYS .key = BITS64(62, 59), .key_shift = 59

/* @ignored: what stands above the address, and is ignored in long mode but reserved under PAE. */
#define LEVEL1_64BIT(above)                                                                                  \
    {                                                                                                        \
        .shift = 12, .index_bits = 9, EVER_LEAF, .frame_mask = ADDRESS(12), .leaf_reserved = (above),        \
        .accessed = A, .dirty = D, .pat = PAT_4K                                                             \
    }

#define LEVEL2_64BIT(above)                                                                                  \
    {                                                                                                        \
        .shift = 21, .index_bits = 9, LARGE_LEAF, .table_mask = ADDRESS(12), .frame_mask = ADDRESS(21),      \
        .table_reserved = (above), .leaf_reserved = (above) | BITS64(20, 13), .accessed = A, .dirty = D,     \
        .pat = PAT_LARGE                                                                                     \
    }

#define LEVEL3_64BIT                                                                                         \
    {                                                                                                        \
        .shift = 30, .index_bits = 9, LARGE_LEAF, .table_mask = ADDRESS(12), .frame_mask = ADDRESS(30),      \
        .leaf_reserved = BITS64(29, 13), .accessed = A, .dirty = D, .pat = PAT_LARGE                         \
    }

#define UPPER_64BIT(at)                                                                                      \
    {                                                                                                        \
        .shift = (at), .index_bits = 9, NEVER_LEAF, .table_mask = ADDRESS(12), .table_reserved = PS,         \
        .accessed = A, .bit8 = BIT64(8)                                                                      \
    }

/* --- EPT --- */

#define EPT_R          BIT64(0)
#define EPT_W          BIT64(1)
#define EPT_X          BIT64(2)
#define EPT_IGNORE_PAT BIT64(6)
#define EPT_A          BIT64(8)
#define EPT_D          BIT64(9)

/* Readable no, writable yes: bits 2:0 are 010 or 110. */
#define EPT_WRITE_ONLY ((1U << 2) | (1U << 6))
#define EPT_EXEC_ONLY  (1U << 4)
/* Types 2, 3 and 7 are reserved. */
#define EPT_BAD_TYPES  ((1U << 2) | (1U << 3) | (1U << 7))

#define COMMON_EPT                                                                                           \
    .entry_bytes = 8, .present = EPT_R | EPT_W | EPT_X, .read = EPT_R, .write = EPT_W, .execute = EPT_X,     \
    .large = PS, .memory_type = BITS64(5, 3), .memory_type_shift = 3, .ignore_pat = EPT_IGNORE_PAT,          \
    .rights_refused = EPT_WRITE_ONLY, .execute_only = EPT_EXEC_ONLY, .types_refused = EPT_BAD_TYPES

#define EPT_LEAF(at)                                                                                         \
    .shift = (at), .index_bits = 9, .frame_mask = ADDRESS(at), .leaf_reserved = BITS64((at)-1, 12),          \
    .accessed = EPT_A, .dirty = EPT_D, .table_mask = ADDRESS(12), .table_reserved = BITS64(6, 3)

#define EPT_LEVEL1                                                                                           \
    {                                                                                                        \
        .shift = 12, .index_bits = 9, EVER_LEAF, .frame_mask = ADDRESS(12), .accessed = EPT_A,               \
        .dirty = EPT_D                                                                                       \
    }

#define EPT_UPPER(at)                                                                                        \
    {                                                                                                        \
        .shift = (at), .index_bits = 9, NEVER_LEAF, .table_mask = ADDRESS(12),                               \
        .table_reserved = BITS64(7, 3), .accessed = EPT_A                                                    \
    }

const struct vmmu_x86_format vmmu_x86_formats[VMMU_X86_FORMATS] = {
    [VMMU_X86_FORMAT_32BIT] = { COMMON_32BIT, .level = { [1] = LEVEL1_32BIT,
                                                         [2] = { .shift = 22,
                                                                 .index_bits = 10,
                                                                 NEVER_LEAF,
                                                                 .table_mask = BITS64(31, 12),
                                                                 .accessed = A } } },
    /* Bits 20:13 of a 4 MiB leaf are bits 39:32 of its address. */
    [VMMU_X86_FORMAT_32BIT_PSE] = { COMMON_32BIT, .level = { [1] = LEVEL1_32BIT,
                                                             [2] = { .shift = 22,
                                                                     .index_bits = 10,
                                                                     LARGE_LEAF,
                                                                     .table_mask = BITS64(31, 12),
                                                                     .frame_mask = BITS64(31, 22),
                                                                     .high_mask = BITS64(20, 13),
                                                                     .high_shift = 19,
                                                                     .leaf_reserved = BIT64(21),
                                                                     .accessed = A,
                                                                     .dirty = D,
                                                                     .pat = PAT_LARGE } } },
    /* A PDPTE has neither rights nor an accessed bit: it is a piece of CR3. */
    [VMMU_X86_FORMAT_PAE] = { COMMON_64BIT, .levels = 3,
                              .level = { [1] = LEVEL1_64BIT(BITS64(62, 52)),
                                         [2] = LEVEL2_64BIT(BITS64(62, 52)),
                                         [3] = { .shift = 30,
                                                 .index_bits = 2,
                                                 NEVER_LEAF,
                                                 .table_mask = ADDRESS(12),
                                                 .implied = RW | US | NX,
                                                 .table_reserved =
                                                     BITS64(2, 1) | BITS64(8, 5) | BITS64(63, 52) } } },
    [VMMU_X86_FORMAT_4LEVEL] = { COMMON_64BIT, KEYS, .levels = 4,
                                 .level = { [1] = LEVEL1_64BIT(0),
                                            [2] = LEVEL2_64BIT(0),
                                            [3] = LEVEL3_64BIT,
                                            [4] = UPPER_64BIT(39) } },
    [VMMU_X86_FORMAT_5LEVEL] = { COMMON_64BIT, KEYS, .levels = 5,
                                 .level = { [1] = LEVEL1_64BIT(0),
                                            [2] = LEVEL2_64BIT(0),
                                            [3] = LEVEL3_64BIT,
                                            [4] = UPPER_64BIT(39),
                                            [5] = UPPER_64BIT(48) } },
    [VMMU_X86_FORMAT_EPT4] = { COMMON_EPT, .levels = 4,
                               .level = { [1] = EPT_LEVEL1,
                                          [2] = { EPT_LEAF(21), LARGE_LEAF },
                                          [3] = { EPT_LEAF(30), LARGE_LEAF },
                                          [4] = EPT_UPPER(39) } },
    [VMMU_X86_FORMAT_EPT5] = { COMMON_EPT, .levels = 5,
                               .level = { [1] = EPT_LEVEL1,
                                          [2] = { EPT_LEAF(21), LARGE_LEAF },
                                          [3] = { EPT_LEAF(30), LARGE_LEAF },
                                          [4] = EPT_UPPER(39),
                                          [5] = EPT_UPPER(48) } },
};

/* What @limits add to the reserved bits of a leaf of @level. */
static uint64_t leaf_limits(const struct vmmu_x86_level *level, const struct vmmu_x86_limits *limits)
{
    const uint64_t beyond = ~BITS64(limits->physical_bits - 1, 0);
    const uint64_t high_beyond = limits->pse36 ? beyond >> level->high_shift : ~UINT64_C(0);
    const bool size_missing =
        (level->shift == 30 && !limits->gib_pages) || (level->shift == 21 && limits->no_2m_pages);

    return (level->frame_mask & beyond) | (level->high_mask & high_beyond) |
           (size_missing ? level->leaf_value : 0);
}

enum vmmu_status vmmu_format_layout(enum vmmu_x86_format_name name, const struct vmmu_x86_limits *limits,
                                    struct vmmu_x86_layout *out)
{
    if (name >= VMMU_X86_FORMATS || limits->physical_bits < 32 || limits->physical_bits > 52) {
        return VMMU_INVALID;
    }
    const struct vmmu_x86_format *format = &vmmu_x86_formats[name];
    const uint64_t no_nx = limits->nx ? 0 : format->inverted;
    const uint64_t beyond = ~BITS64(limits->physical_bits - 1, 0);

    *out = (struct vmmu_x86_layout){
        .format = name,
        .rights_refused =
            (uint8_t)(format->rights_refused | (limits->execute_only ? 0 : format->execute_only)),
        .types_refused = format->types_refused,
    };
    for (unsigned number = 1; number <= format->levels; number++) {
        const struct vmmu_x86_level *level = &format->level[number];

        out->reserved[number][0] = level->table_reserved | no_nx | (level->table_mask & beyond) |
                                   (limits->bit8_reserved ? level->bit8 : 0);
        out->reserved[number][1] = level->leaf_reserved | no_nx | leaf_limits(level, limits);
    }
    return VMMU_OK;
}
