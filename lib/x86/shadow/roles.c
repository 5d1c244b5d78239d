/*
 * What shadow pages and their entries mean: roles of guest tables, leaves, memory types.
 *
 * Whatever changes the meaning of a guest's table is in the role, so that a guest may change
 * its registers and change them back, and finds what it had.
 */
#include "lib/x86/shadow/internal.h"

/* A PAT of eight entries UC. */
#define PAT_ALL_UC 0

/* How a supervisor's writes are to be let through that CR0.WP would stop. */
static uint8_t lax_of(const struct vmmu_x86_mode *mode)
{
    if (mode->write_protect || mode->paging == VMMU_X86_PAGING_NONE) {
        return 0;
    }
    return SHADOW_LAX | (mode->smep ? SHADOW_LAX_SMEP : 0) |
           (mode->smap || mode->user_keys || mode->system_keys ? SHADOW_LAX_USER : 0);
}

struct shadow_role vmmu_shadow_table_role(const struct shadow_edit *edit, const struct vmmu_x86_mode *mode,
                                          unsigned level, uint8_t access)
{
    const uint8_t lax = lax_of(mode);

    return (struct shadow_role){
        .kind = SHADOW_TABLE,
        .level = (uint8_t)level,
        .access = lax != 0 ? access : VMMU_X86_RIGHTS_ALL,
        .lax = lax,
        .format = (uint8_t)mode->layout.format,
        .nx = mode->nx,
        .owner = edit->owner,
    };
}

struct shadow_role vmmu_shadow_direct_role(const struct shadow_edit *edit, const struct vmmu_x86_mode *mode,
                                           unsigned level, const struct shadow_leaf *leaf)
{
    return (struct shadow_role){
        .kind = SHADOW_DIRECT,
        .level = (uint8_t)level,
        .access = leaf->rights,
        .lax = lax_of(mode),
        .type = (uint8_t)leaf->type,
        .key = leaf->key,
        .global = leaf->global,
        .dirty = leaf->dirty,
        .owner = edit->owner,
    };
}

/* The PAT does not count without paging; but where it says that nothing is cached, that is meant for all accesses. */
struct shadow_leaf vmmu_shadow_flat(const struct vmmu_shadow_config *config)
{
    return (struct shadow_leaf){
        .rights = VMMU_X86_RIGHTS_ALL,
        .type = config->guest_pat == PAT_ALL_UC ? VMMU_X86_TYPE_UC : VMMU_X86_TYPE_WB,
    };
}

/* What @entry of the guest's grants by itself. */
static uint8_t grants_of(const struct shadow_role *role, uint64_t entry)
{
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[role->format];

    return vmmu_format_rights(format, vmmu_format_grants(format, &format->level[role->level], entry));
}

uint8_t vmmu_shadow_link_rights(const struct shadow_role *role, uint64_t entry)
{
    return role->lax != 0 ? VMMU_X86_RIGHTS_ALL : grants_of(role, entry);
}

uint8_t vmmu_shadow_access_below(const struct shadow_role *role, uint64_t entry)
{
    return role->lax != 0 ? role->access & grants_of(role, entry) : VMMU_X86_RIGHTS_ALL;
}

/*
 * A page is written through a leaf only once it is dirty. Without CR0.WP, a page that is no user's may always be
 * written: by supervisors, who are all that get to it.
 */
struct shadow_leaf vmmu_shadow_guest_leaf(const struct vmmu_shadow_config *config,
                                          const struct shadow_role *role, uint64_t entry)
{
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[role->format];
    const struct vmmu_x86_level *const level = &format->level[role->level];
    struct shadow_leaf leaf = {
        .rights = role->access & grants_of(role, entry),
        .key = (uint8_t)vmmu_format_key(format, entry),
        .global = (entry & format->global) != 0,
        .dirty = (entry & level->dirty) != 0,
        .type = vmmu_x86_pat_type(config->guest_pat, vmmu_format_pat_index(format, level, entry)),
    };

    if (!leaf.dirty) {
        leaf.rights &= (uint8_t)~VMMU_X86_RIGHT_WRITE;
    } else if (role->lax != 0 && !(leaf.rights & VMMU_X86_RIGHT_USER)) {
        leaf.rights |= VMMU_X86_RIGHT_WRITE;
    }
    return leaf;
}

uint64_t vmmu_shadow_leaf(const struct vmmu_shadow_state *state, const struct shadow_leaf *leaf)
{
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[VMMU_X86_FORMAT_5LEVEL];
    const struct vmmu_x86_level *const level = &format->level[leaf->level];

    return vmmu_format_leaf(format, level, leaf->hpa, leaf->rights) | level->accessed | level->dirty |
           vmmu_format_pat_bits(format, level, state->pat_index[leaf->type]) |
           (leaf->global ? format->global : 0) | (leaf->held ? format->software : 0) |
           ((uint64_t)leaf->key << format->key_shift);
}

/* --- memory types --- */

/* Spec: SDM 3A "Selecting Memory Types for Pentium III and More Recent Processor Families". */
enum vmmu_x86_memory_type vmmu_shadow_combine(enum vmmu_x86_memory_type guest, enum vmmu_x86_memory_type host)
{
    /* By the memory's own type, then by that which the PAT gives. */
    static const uint8_t effective[8][8] = {
        [VMMU_X86_TYPE_UC] = { [VMMU_X86_TYPE_WC] = VMMU_X86_TYPE_WC },
        [VMMU_X86_TYPE_WC] = { [VMMU_X86_TYPE_WC] = VMMU_X86_TYPE_WC,
                               [VMMU_X86_TYPE_WB] = VMMU_X86_TYPE_WC,
                               [VMMU_X86_TYPE_UC_MINUS] = VMMU_X86_TYPE_WC },
        [VMMU_X86_TYPE_WT] = { [VMMU_X86_TYPE_WC] = VMMU_X86_TYPE_WC,
                               [VMMU_X86_TYPE_WT] = VMMU_X86_TYPE_WT,
                               [VMMU_X86_TYPE_WP] = VMMU_X86_TYPE_WP,
                               [VMMU_X86_TYPE_WB] = VMMU_X86_TYPE_WT },
        [VMMU_X86_TYPE_WP] = { [VMMU_X86_TYPE_WC] = VMMU_X86_TYPE_WC,
                               [VMMU_X86_TYPE_WT] = VMMU_X86_TYPE_WT,
                               [VMMU_X86_TYPE_WP] = VMMU_X86_TYPE_WP,
                               [VMMU_X86_TYPE_WB] = VMMU_X86_TYPE_WP,
                               [VMMU_X86_TYPE_UC_MINUS] = VMMU_X86_TYPE_WC },
        [VMMU_X86_TYPE_WB] = { [VMMU_X86_TYPE_WC] = VMMU_X86_TYPE_WC,
                               [VMMU_X86_TYPE_WT] = VMMU_X86_TYPE_WT,
                               [VMMU_X86_TYPE_WP] = VMMU_X86_TYPE_WP,
                               [VMMU_X86_TYPE_WB] = VMMU_X86_TYPE_WB },
    };

    _Static_assert(VMMU_X86_TYPE_UC == 0, "what the table leaves out is uncached");
    return (enum vmmu_x86_memory_type)effective[host & 7][guest & 7];
}

bool vmmu_shadow_index_pat(uint64_t pat, uint8_t index[8])
{
    const uint8_t none = 8;

    for (unsigned type = 0; type < 8; type++) {
        index[type] = none;
    }
    for (uint8_t entry = 8; entry-- > 0;) {
        index[vmmu_x86_pat_type(pat, entry)] = entry;
    }
    if (index[VMMU_X86_TYPE_UC] == none) {
        index[VMMU_X86_TYPE_UC] = index[VMMU_X86_TYPE_UC_MINUS];
    }
    if (index[VMMU_X86_TYPE_UC] == none || index[VMMU_X86_TYPE_WB] == none) {
        return false;
    }
    for (unsigned type = 0; type < 8; type++) {
        index[type] = index[type] == none ? index[VMMU_X86_TYPE_UC] : index[type];
    }
    return true;
}
