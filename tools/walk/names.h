/*
 * What the manuals call the entries of each format, and the bits in them: for people. Where the bits stand, the
 * library's formats say; this room only names them.
 *
 * Spec: SDM 3A "Linear-Address Translation with 4-Level Paging and 5-Level Paging", "PAE Paging", "32-Bit Paging";
 * SDM 3C "EPT Translation Mechanism".
 */
#ifndef TOOLS_WALK_NAMES_H
#define TOOLS_WALK_NAMES_H

#include <stddef.h>
#include <vmmu/mode.h>

/* One named field of an entry. */
struct entry_field {
    const char *name; /* "P", "R/W", "XD" */
    uint8_t low;      /* lowest bit */
    uint8_t width_bits;
    uint8_t levels;   /* bit N: entries of level N have it */
    uint8_t entries;  /* ENTRY_* */
    uint16_t formats; /* bit N: enum vmmu_x86_format_name N has it */
};

#define ENTRY_TABLE       UINT8_C(1) /* an entry that points to a table */
#define ENTRY_LEAF        UINT8_C(2) /* one that maps a page */

/* Most fields that one entry has. */
#define ENTRY_FIELDS_MOST 20

/* The named fields of an entry, ascending; their number. @fields holds ENTRY_FIELDS_MOST. */
unsigned entry_fields(enum vmmu_x86_format_name format, unsigned level, bool leaf,
                      const struct entry_field *fields[]);

static inline uint64_t entry_field_mask(const struct entry_field *field)
{
    return BITS64(field->low + field->width_bits - 1U, field->low);
}

static inline uint64_t entry_field_value(const struct entry_field *field, uint64_t entry)
{
    return (entry & entry_field_mask(field)) >> field->low;
}

/* "PML4E", "PDPTE", "PDE", "PTE"; "EPT PTE". */
const char *entry_name(enum vmmu_x86_format_name format, unsigned level);

/* "32-bit", "PAE", "4-level", "5-level", "EPT, 4 levels", ... */
const char *format_words(enum vmmu_x86_format_name format);

/* "UC", "WC", "WT", "WP", "WB", "UC-"; "reserved" for other numbers. */
const char *memory_type_word(unsigned type);

/* Room for any text of the functions below. */
#define ENTRY_TEXT_BYTES 160

/*
 * The fields that are set in @entry, by name and in the order of the bits, with a blank between: "P R/W U/S A D". Numbers
 * as "key=5", an EPT leaf's memory type as its word. Nothing but "-" if none is set. Returns @to.
 */
const char *entry_bits_text(enum vmmu_x86_format_name format, unsigned level, bool leaf, uint64_t entry,
                            char to[ENTRY_TEXT_BYTES]);

/* "5 (P, U/S)": an error code of a page fault, and the names of its bits. Returns @to. */
const char *error_code_text(uint32_t error_code, char to[ENTRY_TEXT_BYTES]);

/* "4 KiB", "2 MiB". Returns @to. */
const char *size_text(uint64_t size_bytes, char to[ENTRY_TEXT_BYTES]);

/* Write the letters of rights_text, without a zero behind them. Returns where the next text goes. */
static inline char *rights_put(char *to, uint8_t rights)
{
    to[0] = (rights & VMMU_X86_RIGHT_READ) ? 'r' : '-';
    to[1] = (rights & VMMU_X86_RIGHT_WRITE) ? 'w' : '-';
    to[2] = (rights & VMMU_X86_RIGHT_EXECUTE) ? 'x' : '-';
    to[3] = (rights & VMMU_X86_RIGHT_USER) ? 'u' : 's';
    return to + 4;
}

/* Rights as four letters "rwxu": '-' for what is refused; 'u' if user-mode accesses may, 's' if not. Returns @to. */
const char *rights_text(uint8_t rights, char to[ENTRY_TEXT_BYTES]);

#endif
