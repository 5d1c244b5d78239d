/*
 * Names of entries and of the bits in them: one table of fields, of which each format and level has its own selection.
 */
#include "tools/walk/names.h"

#include <inttypes.h>
#include <stdio.h>

#include "tools/walk/words.h"

#define IN(name)      ((uint16_t)(1U << (name)))
#define NARROW        (IN(VMMU_X86_FORMAT_32BIT) | IN(VMMU_X86_FORMAT_32BIT_PSE))
#define PSE           IN(VMMU_X86_FORMAT_32BIT_PSE)
#define PAE           IN(VMMU_X86_FORMAT_PAE)
#define LONG          (IN(VMMU_X86_FORMAT_4LEVEL) | IN(VMMU_X86_FORMAT_5LEVEL))
#define ORDINARY      (NARROW | PAE | LONG)
#define EPT           (IN(VMMU_X86_FORMAT_EPT4) | IN(VMMU_X86_FORMAT_EPT5))

#define LEVEL(number) ((uint8_t)(1U << (number)))
#define LEVELS_ALL    UINT8_C(0x3e)
#define LEVELS_LARGE  (LEVEL(2) | LEVEL(3))
#define LEVELS_UNDER3 (LEVEL(1) | LEVEL(2))
#define BOTH          (ENTRY_TABLE | ENTRY_LEAF)

/* The rows ascend by bit, and those of one entry do not overlap. A PDPTE of PAE paging has rows of its own. */
static const struct entry_field all_fields[] = {
    { "P", 0, 1, LEVELS_ALL, BOTH, ORDINARY },
    { "R/W", 1, 1, LEVELS_ALL, BOTH, NARROW | LONG },
    { "R/W", 1, 1, LEVELS_UNDER3, BOTH, PAE },
    { "U/S", 2, 1, LEVELS_ALL, BOTH, NARROW | LONG },
    { "U/S", 2, 1, LEVELS_UNDER3, BOTH, PAE },
    { "PWT", 3, 1, LEVELS_ALL, BOTH, ORDINARY },
    { "PCD", 4, 1, LEVELS_ALL, BOTH, ORDINARY },
    { "A", 5, 1, LEVELS_ALL, BOTH, NARROW | LONG },
    { "A", 5, 1, LEVELS_UNDER3, BOTH, PAE },
    { "D", 6, 1, LEVELS_ALL, ENTRY_LEAF, ORDINARY },
    { "PAT", 7, 1, LEVEL(1), ENTRY_LEAF, ORDINARY },
    { "PS", 7, 1, LEVEL(2), BOTH, PSE | PAE },
    { "PS", 7, 1, LEVELS_LARGE, BOTH, LONG },
    { "G", 8, 1, LEVELS_ALL, ENTRY_LEAF, ORDINARY },
    { "PAT", 12, 1, LEVELS_LARGE, ENTRY_LEAF, ORDINARY },
    { "key", 59, 4, LEVELS_ALL, ENTRY_LEAF, LONG },
    { "XD", 63, 1, LEVELS_ALL, BOTH, LONG },
    { "XD", 63, 1, LEVELS_UNDER3, BOTH, PAE },

    { "R", 0, 1, LEVELS_ALL, BOTH, EPT },
    { "W", 1, 1, LEVELS_ALL, BOTH, EPT },
    { "X", 2, 1, LEVELS_ALL, BOTH, EPT },
    { "type", 3, 3, LEVELS_ALL, ENTRY_LEAF, EPT },
    { "IPAT", 6, 1, LEVELS_ALL, ENTRY_LEAF, EPT },
    { "PS", 7, 1, LEVELS_LARGE, BOTH, EPT },
    { "A", 8, 1, LEVELS_ALL, BOTH, EPT },
    { "D", 9, 1, LEVELS_ALL, ENTRY_LEAF, EPT },
    { "XU", 10, 1, LEVELS_ALL, BOTH, EPT },
    { "VGP", 57, 1, LEVELS_ALL, ENTRY_LEAF, EPT },
    { "PW", 58, 1, LEVELS_ALL, ENTRY_LEAF, EPT },
    { "SSS", 60, 1, LEVELS_ALL, ENTRY_LEAF, EPT },
    { "SPP", 61, 1, LEVEL(1), ENTRY_LEAF, EPT },
    { "SVE", 63, 1, LEVELS_ALL, ENTRY_LEAF, EPT },
};

unsigned entry_fields(enum vmmu_x86_format_name format, unsigned level, bool leaf,
                      const struct entry_field *fields[])
{
    unsigned count = 0;

    for (size_t i = 0; i < sizeof(all_fields) / sizeof(all_fields[0]); i++) {
        const struct entry_field *field = &all_fields[i];

        if ((field->formats & IN(format)) != 0 && (field->levels & LEVEL(level)) != 0 &&
            (field->entries & (leaf ? ENTRY_LEAF : ENTRY_TABLE)) != 0) {
            fields[count++] = field;
        }
    }
    return count;
}

const char *entry_name(enum vmmu_x86_format_name format, unsigned level)
{
    static const char *const ordinary[] = { "?", "PTE", "PDE", "PDPTE", "PML4E", "PML5E" };
    static const char *const ept[] = { "?", "EPT PTE", "EPT PDE", "EPT PDPTE", "EPT PML4E", "EPT PML5E" };

    if (level > VMMU_X86_MAX_LEVELS) {
        return ordinary[0];
    }
    return (EPT & IN(format)) != 0 ? ept[level] : ordinary[level];
}

const char *format_words(enum vmmu_x86_format_name format)
{
    static const char *const words[VMMU_X86_FORMATS] = {
        [VMMU_X86_FORMAT_32BIT] = "32-bit",
        [VMMU_X86_FORMAT_32BIT_PSE] = "32-bit with PSE",
        [VMMU_X86_FORMAT_PAE] = "PAE",
        [VMMU_X86_FORMAT_4LEVEL] = "4-level",
        [VMMU_X86_FORMAT_5LEVEL] = "5-level",
        [VMMU_X86_FORMAT_EPT4] = "EPT, 4 levels",
        [VMMU_X86_FORMAT_EPT5] = "EPT, 5 levels",
    };

    return format < VMMU_X86_FORMATS ? words[format] : "?";
}

const char *memory_type_word(unsigned type)
{
    static const char *const words[] = {
        [VMMU_X86_TYPE_UC] = "UC", [VMMU_X86_TYPE_WC] = "WC", [VMMU_X86_TYPE_WT] = "WT",
        [VMMU_X86_TYPE_WP] = "WP", [VMMU_X86_TYPE_WB] = "WB", [VMMU_X86_TYPE_UC_MINUS] = "UC-",
    };
    const char *word = type < sizeof(words) / sizeof(words[0]) ? words[type] : NULL;

    return word ? word : "reserved";
}

static void field_text(enum vmmu_x86_format_name format, const struct entry_field *field, uint64_t value,
                       char *to, size_t size_bytes)
{
    if (field->width_bits == 1) {
        snprintf(to, size_bytes, "%s", field->name);
    } else if ((EPT & IN(format)) != 0) {
        snprintf(to, size_bytes, "%s",
                 value == VMMU_X86_TYPE_UC_MINUS ? "type=7" : memory_type_word((unsigned)value));
    } else {
        snprintf(to, size_bytes, "%s=%" PRIu64, field->name, value);
    }
}

const char *entry_bits_text(enum vmmu_x86_format_name format, unsigned level, bool leaf, uint64_t entry,
                            char to[ENTRY_TEXT_BYTES])
{
    const struct entry_field *fields[ENTRY_FIELDS_MOST];
    const unsigned count = entry_fields(format, level, leaf, fields);
    struct words text = words_in(to, ENTRY_TEXT_BYTES);

    for (unsigned i = 0; i < count; i++) {
        const uint64_t value = entry_field_value(fields[i], entry);
        /* A memory type of 0 is UC: a type, too. */
        const bool always = fields[i]->width_bits == 3;
        char word[32];

        if (value != 0 || always) {
            field_text(format, fields[i], value, word, sizeof(word));
            words_add(&text, " ", "%s", word);
        }
    }
    if (text.length == 0) {
        words_add(&text, "", "-");
    }
    return to;
}

const char *error_code_text(uint32_t error_code, char to[ENTRY_TEXT_BYTES])
{
    static const struct {
        uint32_t bit;
        const char *name;
    } bits[] = {
        { VMMU_X86_PF_PRESENT, "P" },     { VMMU_X86_PF_WRITE, "W/R" }, { VMMU_X86_PF_USER, "U/S" },
        { VMMU_X86_PF_RESERVED, "RSVD" }, { VMMU_X86_PF_FETCH, "I/D" }, { VMMU_X86_PF_KEY, "PK" },
    };
    struct words text = words_in(to, ENTRY_TEXT_BYTES);
    bool first = true;

    words_add(&text, "", "%" PRIx32, error_code);
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        if ((error_code & bits[i].bit) != 0) {
            words_add(&text, first ? " (" : " ", "%s", bits[i].name);
            first = false;
        }
    }
    if (!first) {
        words_add(&text, "", ")");
    }
    return to;
}

const char *size_text(uint64_t size_bytes, char to[ENTRY_TEXT_BYTES])
{
    static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
    unsigned unit = 0;

    while (unit + 1 < sizeof(units) / sizeof(units[0]) && size_bytes != 0 && (size_bytes & 1023) == 0) {
        size_bytes /= 1024;
        unit++;
    }
    snprintf(to, ENTRY_TEXT_BYTES, "%" PRIu64 " %s", size_bytes, units[unit]);
    return to;
}

const char *rights_text(uint8_t rights, char to[ENTRY_TEXT_BYTES])
{
    *rights_put(to, rights) = '\0';
    return to;
}
