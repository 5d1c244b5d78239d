/*
 * Nested address spaces: their life, and questions that change nothing.
 */
#include "lib/x86/nested/internal.h"

/* --- making one --- */

static bool is_level(uint8_t level)
{
    return level >= VMMU_NESTED_LEVEL_4K && level <= VMMU_NESTED_LEVEL_1G;
}

static enum vmmu_status check_config(const struct vmmu_nested_config *config)
{
    if ((config->format != VMMU_NESTED_NPT && config->format != VMMU_NESTED_EPT) ||
        (config->levels != 4 && config->levels != 5) || config->maxphyaddr < 32 || config->maxphyaddr > 52 ||
        !is_level(config->largest_level) ||
        (config->largest_execute_level != 0 && !is_level(config->largest_execute_level))) {
        return VMMU_INVALID;
    }
    return config->format == VMMU_NESTED_NPT && config->execute_only ? VMMU_UNSUPPORTED : VMMU_OK;
}

static const struct vmmu_x86_format *format_of(const struct vmmu_nested_config *config)
{
    static const enum vmmu_x86_format_name names[2][2] = {
        [VMMU_NESTED_NPT] = { VMMU_X86_FORMAT_4LEVEL, VMMU_X86_FORMAT_5LEVEL },
        [VMMU_NESTED_EPT] = { VMMU_X86_FORMAT_EPT4, VMMU_X86_FORMAT_EPT5 },
    };

    return &vmmu_x86_formats[names[config->format][config->levels - 4]];
}

/* For each memory type the first entry of the PAT that holds it. */
static void index_pat(struct vmmu_nested *nested)
{
    for (unsigned type = 0; type < 8; type++) {
        nested->pat_index[type] = NESTED_NO_PAT_INDEX;
    }
    for (uint8_t index = 8; index-- > 0;) {
        nested->pat_index[vmmu_x86_pat_type(nested->config.pat, index)] = index;
    }
}

/* An executable page is never larger than any page may be. */
static uint8_t largest_execute(const struct vmmu_nested_config *config)
{
    return config->largest_execute_level == 0 || config->largest_execute_level > config->largest_level
               ? config->largest_level
               : config->largest_execute_level;
}

enum vmmu_status vmmu_nested_init(struct vmmu_nested *nested, const struct vmmu_nested_config *config,
                                  struct vmmu_table_memory *memory)
{
    enum vmmu_status status = check_config(config);
    uint64_t *root;

    if (status != VMMU_OK) {
        return status;
    }
    *nested = (struct vmmu_nested){ .config = *config, .memory = memory, .format = format_of(config) };
    nested->config.largest_execute_level = largest_execute(config);
    index_pat(nested);
    if (config->format == VMMU_NESTED_NPT && nested->pat_index[VMMU_X86_TYPE_WB] == NESTED_NO_PAT_INDEX) {
        return VMMU_UNSUPPORTED;
    }
    status = vmmu_table_reserve(memory, 1, 0);
    if (status != VMMU_OK) {
        return status;
    }
    root = vmmu_table_take(memory, VMMU_PAGE_ANY, &nested->root);
    for (unsigned i = 0; i < ENTRIES; i++) {
        vmmu_table_fill(&root[i], 0);
    }
    nested->root_page = root;
    return VMMU_OK;
}

static void put_table(struct nested_edit *edit, const struct nested_spot *spot)
{
    const struct vmmu_nested *const nested = edit->nested;
    const vmmu_hpa at = { vmmu_format_table(nested_level(nested, spot->level), spot->value) };

    vmmu_table_put(nested->memory, at);
}

void vmmu_nested_destroy(struct vmmu_nested *nested)
{
    static const struct nested_visitor put = { .leave = put_table };
    struct nested_edit edit = { .nested = nested, .to = nested_limit(nested) };

    vmmu_nested_visit(&edit, &put);
    vmmu_table_put(nested->memory, nested->root);
    *nested = (struct vmmu_nested){ .root_page = NULL };
}

uint64_t vmmu_nested_root(const struct vmmu_nested *nested)
{
    if (nested->config.format == VMMU_NESTED_NPT) {
        return nested->root.v;
    }
    return nested->root.v | vmmu_nested_eptp_bits(nested);
}

void vmmu_nested_set_vps(struct vmmu_nested *nested, uint64_t vps)
{
    nested->config.vps = vps;
}

/* --- questions --- */

enum vmmu_status vmmu_nested_lookup(const struct vmmu_nested *nested, vmmu_gpa gpa,
                                    struct vmmu_nested_page *out)
{
    struct nested_spot spot;
    struct nested_leaf leaf;

    if (gpa.v >= nested_limit(nested)) {
        return VMMU_INVALID;
    }
    spot = vmmu_nested_find(nested, gpa);
    if (!vmmu_format_is_present(nested->format, spot.value)) {
        return VMMU_ABSENT;
    }
    leaf = vmmu_nested_parse(nested, spot.level, spot.value);
    *out = (struct vmmu_nested_page){
        .base = { spot.base },
        .frame = { leaf.frame },
        .size_bytes = nested_bytes(nested, spot.level),
        .rights = leaf.rights,
        .type = leaf.type,
        .ignore_pat = leaf.ignore_pat,
        .accessed = leaf.accessed,
        .dirty = leaf.dirty,
        .write_withheld = leaf.withheld,
    };
    return VMMU_OK;
}

enum vmmu_nested_cause vmmu_nested_resolve(const struct vmmu_nested *nested, vmmu_gpa gpa,
                                           enum vmmu_x86_access_kind access)
{
    static const uint8_t needs[] = {
        [VMMU_X86_READ] = VMMU_X86_RIGHT_READ,
        [VMMU_X86_WRITE] = VMMU_X86_RIGHT_WRITE,
        [VMMU_X86_EXECUTE] = VMMU_X86_RIGHT_EXECUTE,
    };
    struct vmmu_nested_page page;

    if (vmmu_nested_lookup(nested, gpa, &page) != VMMU_OK) {
        return VMMU_NESTED_ABSENT;
    }
    if ((page.rights & needs[access]) == 0) {
        return VMMU_NESTED_DENIED;
    }
    return access == VMMU_X86_WRITE && page.write_withheld ? VMMU_NESTED_LOGGED : VMMU_NESTED_SPURIOUS;
}

/* Whether an entry of @table, or one of a table below, leads to the table at @at. */
static bool leads_to(const struct vmmu_nested *nested, uint8_t level, const uint64_t *table, uint64_t at)
{
    for (unsigned i = 0; level > VMMU_NESTED_LEVEL_4K && i < ENTRIES; i++) {
        const uint64_t entry = vmmu_table_load(nested->memory, &table[i]);

        if (vmmu_format_is_present(nested->format, entry) &&
            !vmmu_format_is_leaf(nested_level(nested, level), entry)) {
            const uint64_t below = vmmu_format_table(nested_level(nested, level), entry);

            if (below == at ||
                leads_to(nested, level - 1, vmmu_table_page(nested->memory, (vmmu_hpa){ below }), at)) {
                return true;
            }
        }
    }
    return false;
}

bool vmmu_nested_has_table(const struct vmmu_nested *nested, vmmu_hpa at)
{
    const uint64_t page = at.v & ~(VMMU_PAGE_BYTES - 1);

    return page == nested->root.v || leads_to(nested, nested->format->levels, nested->root_page, page);
}
