/*
 * Entries of nested tables, as data and back: the one place that knows how EPT and NPT
 * say memory type and rights.
 */
#include "lib/x86/nested/internal.h"

static bool is_ept(const struct vmmu_nested *nested)
{
    return nested->config.format == VMMU_NESTED_EPT;
}

static uint64_t type_bits(const struct vmmu_nested *nested, const struct vmmu_x86_level *level,
                          const struct nested_leaf *leaf)
{
    if (is_ept(nested)) {
        return vmmu_format_memory_type_bits(nested->format, leaf->type) |
               (leaf->ignore_pat ? nested->format->ignore_pat : 0);
    }
    return vmmu_format_pat_bits(nested->format, level, nested->pat_index[leaf->type]);
}

uint64_t vmmu_nested_leaf(const struct vmmu_nested *nested, uint8_t level_number,
                          const struct nested_leaf *leaf)
{
    const struct vmmu_x86_level *const level = nested_level(nested, level_number);
    const bool born_marked = !nested->config.accessed_dirty;
    const uint8_t rights = leaf->withheld ? leaf->rights & (uint8_t)~VMMU_X86_RIGHT_WRITE : leaf->rights;
    const uint64_t bits = vmmu_format_leaf(nested->format, level, leaf->frame, rights | VMMU_X86_RIGHT_USER);

    return bits | type_bits(nested, level, leaf) | (leaf->withheld ? NESTED_WITHHELD : 0) |
           (leaf->written ? NESTED_WRITTEN : 0) | (leaf->accessed || born_marked ? level->accessed : 0) |
           (leaf->dirty || born_marked ? level->dirty : 0);
}

struct nested_leaf vmmu_nested_parse(const struct vmmu_nested *nested, uint8_t level_number, uint64_t entry)
{
    const struct vmmu_x86_format *const format = nested->format;
    const struct vmmu_x86_level *const level = nested_level(nested, level_number);
    const bool withheld = (entry & NESTED_WITHHELD) != 0;
    const uint64_t grants = vmmu_format_grants(format, level, entry);

    return (struct nested_leaf){
        .frame = vmmu_format_frame(level, entry),
        .rights =
            (vmmu_format_rights(format, grants) & NESTED_RIGHTS) | (withheld ? VMMU_X86_RIGHT_WRITE : 0),
        .type = is_ept(nested)
                    ? vmmu_format_memory_type(format, entry)
                    : vmmu_x86_pat_type(nested->config.pat, vmmu_format_pat_index(format, level, entry)),
        .ignore_pat = (entry & format->ignore_pat) != 0,
        .accessed = (entry & level->accessed) != 0,
        .dirty = (entry & level->dirty) != 0,
        .withheld = withheld,
        .written = (entry & NESTED_WRITTEN) != 0,
    };
}

uint64_t vmmu_nested_link(const struct vmmu_nested *nested, uint8_t level_number, vmmu_hpa table)
{
    const struct vmmu_x86_level *const level = nested_level(nested, level_number);

    return vmmu_format_link(nested->format, level, table.v) |
           (nested->config.accessed_dirty ? 0 : level->accessed);
}

uint8_t vmmu_nested_largest(const struct vmmu_nested *nested, uint8_t rights)
{
    return (rights & VMMU_X86_RIGHT_EXECUTE) ? nested->config.largest_execute_level
                                             : nested->config.largest_level;
}

enum vmmu_status vmmu_nested_check_rights(const struct vmmu_nested *nested, uint8_t rights)
{
    if ((rights & NESTED_RIGHTS) == 0 || (rights & ~VMMU_X86_RIGHTS_ALL) != 0) {
        return VMMU_INVALID;
    }
    if ((rights & VMMU_X86_RIGHT_READ) == 0) {
        if (rights & VMMU_X86_RIGHT_WRITE) {
            return VMMU_INVALID;
        }
        return nested->config.execute_only ? VMMU_OK : VMMU_UNSUPPORTED;
    }
    return VMMU_OK;
}

/* Spec: SDM 3C "Extended-Page-Table Pointer (EPTP)". */
#define EPTP_WRITE_BACK     UINT64_C(6)
#define EPTP_LEVELS_SHIFT   3
#define EPTP_ACCESSED_DIRTY BIT64(6)

uint64_t vmmu_nested_eptp_bits(const struct vmmu_nested *nested)
{
    return EPTP_WRITE_BACK | ((uint64_t)(nested->config.levels - 1) << EPTP_LEVELS_SHIFT) |
           (nested->config.accessed_dirty ? EPTP_ACCESSED_DIRTY : 0);
}
