/*
 * The guest's own stage: what the entries allow, and what the control registers make of it.
 *
 * Order of checks, as on a processor: canonical address; then, entry by entry, presence before reserved bits;
 * rights only once a leaf is found, over all entries together; accessed and dirty bits of the leaf last.
 */
#include "descend.h"

/* What one access needs of the rights of a page, and what must not be among them. */
struct demand {
    uint8_t required;
    uint8_t forbidden;
};

static bool is_user(struct vmmu_x86_access access)
{
    return access.user && !access.implicit;
}

static struct demand demand_of(const struct vmmu_x86_mode *mode, struct vmmu_x86_access access)
{
    const bool fetch = access.kind == VMMU_X86_EXECUTE;
    const bool checked_write = access.kind == VMMU_X86_WRITE && (is_user(access) || mode->write_protect);
    const bool smap = mode->smap && (access.implicit || !access.eflags_ac);
    const uint8_t kind = fetch ? VMMU_X86_RIGHT_EXECUTE : checked_write ? VMMU_X86_RIGHT_WRITE : 0;

    if (is_user(access)) {
        return (struct demand){ kind | VMMU_X86_RIGHT_USER, 0 };
    }
    return (struct demand){ kind, (fetch ? mode->smep : smap) ? VMMU_X86_RIGHT_USER : 0 };
}

/*
 * Whether the protection key alone forbids @access. Fetches have none; a user page asks
 * PKRU, a supervisor page PKRS.
 */
static bool key_refuses(const struct vmmu_x86_mode *mode, struct vmmu_x86_access access, uint8_t rights,
                        unsigned key)
{
    const bool user_page = (rights & VMMU_X86_RIGHT_USER) != 0;
    const uint32_t refusals = vmmu_format_key_refusals(user_page ? mode->pkru : mode->pkrs, key);

    if (access.kind == VMMU_X86_EXECUTE || !(user_page ? mode->user_keys : mode->system_keys)) {
        return false;
    }
    if (refusals & VMMU_X86_KEY_NO_ACCESS) {
        return true;
    }
    return (refusals & VMMU_X86_KEY_NO_WRITE) && access.kind == VMMU_X86_WRITE &&
           (mode->write_protect || (user_page && is_user(access)));
}

/* The part of an error code that tells the access and not its failure. */
static uint32_t access_code(const struct vmmu_x86_mode *mode, struct vmmu_x86_access access)
{
    return (access.kind == VMMU_X86_WRITE ? VMMU_X86_PF_WRITE : 0) |
           (is_user(access) ? VMMU_X86_PF_USER : 0) |
           (access.kind == VMMU_X86_EXECUTE && mode->fetch_code ? VMMU_X86_PF_FETCH : 0);
}

uint32_t vmmu_walk_judge(const struct vmmu_x86_mode *mode, struct vmmu_x86_access access, uint8_t rights,
                         unsigned key)
{
    if (mode->paging == VMMU_X86_PAGING_NONE) {
        return 0; /* SMEP and SMAP may stand in CR4 long before paging does */
    }
    const struct demand demand = demand_of(mode, access);
    const bool key_fault = key_refuses(mode, access, rights, key);

    if ((rights & demand.required) == demand.required && !(rights & demand.forbidden) && !key_fault) {
        return 0;
    }
    return VMMU_X86_PF_PRESENT | access_code(mode, access) | (key_fault ? VMMU_X86_PF_KEY : 0);
}

bool vmmu_walk_is_canonical(const struct vmmu_x86_mode *mode, vmmu_gva va)
{
    return mode->address_bits == 32 || vmmu_format_is_canonical(va.v, mode->address_bits);
}

static enum vmmu_status page_fault(struct vmmu_x86_fault *fault, uint32_t error_code, uint64_t address)
{
    *fault = (struct vmmu_x86_fault){
        .vector = VMMU_X86_VECTOR_PF,
        .has_error_code = true,
        .error_code = error_code,
        .cr2 = address,
    };
    return VMMU_GUEST_FAULT;
}

static enum vmmu_status protection_fault(struct vmmu_x86_fault *fault)
{
    *fault = (struct vmmu_x86_fault){ .vector = VMMU_X86_VECTOR_GP, .has_error_code = true };
    return VMMU_GUEST_FAULT;
}

/* Paging is off: the linear address is the physical one. */
static void translate_flat(uint64_t address, struct vmmu_x86_translation *out)
{
    *out = (struct vmmu_x86_translation){
        .gpa = { address },
        .page_bytes = BIT64(32),
        .rights = VMMU_X86_RIGHTS_ALL,
    };
}

/*
 * Take the first step of PAE paging from the PDPTE registers. Their reserved bits were
 * checked when they were loaded.
 */
static enum vmmu_status descend_from_register(const struct vmmu_x86_mode *mode, struct descent *descent,
                                              uint64_t address)
{
    const struct vmmu_x86_format *format = vmmu_format_of(descent->layout);
    const struct vmmu_x86_level *level = &format->level[descent->level];
    const unsigned index = vmmu_format_index(level, address);
    struct vmmu_x86_step *step = descent->trail->next++;

    *step = (struct vmmu_x86_step){
        .address = index,
        .place = index,
        .value = mode->pdpte[index],
        .level = descent->level,
        .entry_bytes = format->entry_bytes,
        .rights = VMMU_X86_RIGHTS_ALL,
        .stage = VMMU_X86_STAGE_REGISTER,
    };
    descent->trail->registers++;
    if (!vmmu_format_is_present(format, step->value)) {
        return VMMU_GUEST_FAULT;
    }
    descent->table = vmmu_format_table(level, step->value);
    descent->level--;
    return vmmu_walk_descend(descent, address);
}

/* What a leaf of level @number says of @address; @rights are left to the caller, who has seen every entry. */
static inline void describe_leaf(const struct vmmu_x86_mode *mode, unsigned number, uint64_t leaf,
                                 uint64_t address, struct vmmu_x86_translation *out)
{
    const struct vmmu_x86_format *format = vmmu_format_of(&mode->layout);
    const struct vmmu_x86_level *level = &format->level[number];
    const uint64_t frame = vmmu_format_frame(level, leaf);

    *out = (struct vmmu_x86_translation){
        .gpa = { frame | (address & (vmmu_format_level_bytes(level) - 1)) },
        .frame = { frame },
        .page_bytes = vmmu_format_level_bytes(level),
        .level = (uint8_t)number,
        .pat_index = (uint8_t)vmmu_format_pat_index(format, level, leaf),
        .key = (uint8_t)vmmu_format_key(format, leaf),
        .global = mode->global_pages && (leaf & format->global),
        .dirty = (leaf & level->dirty) != 0,
    };
}

/* The leaf has been found: judge the access, mark it, and describe the translation. */
static enum vmmu_status arrive(const struct guest_walk *walk, const struct descent *descent, uint64_t address)
{
    const struct vmmu_x86_format *format = vmmu_format_of(descent->layout);
    const struct vmmu_x86_level *level = &format->level[descent->level];
    struct vmmu_x86_step *leaf = descent->last;
    const uint8_t rights = vmmu_format_rights(format, descent->grants);
    const unsigned key = vmmu_format_key(format, leaf->value);
    const uint32_t error_code = vmmu_walk_judge(walk->mode, walk->access, rights, key);

    if (error_code != 0) {
        return page_fault(walk->fault, error_code, address);
    }
    const bool written = walk->access.kind == VMMU_X86_WRITE;
    const enum vmmu_status status =
        vmmu_walk_mark(descent, leaf, level->accessed | (written ? level->dirty : 0));

    if (status != VMMU_OK) {
        return status;
    }
    describe_leaf(walk->mode, descent->level, leaf->value, address, walk->translation);
    walk->translation->rights = rights;
    if (walk->access.marks != VMMU_X86_MARKS_LEAVE && (leaf->marks & level->dirty) != 0) {
        walk->translation->dirty = true;
    }
    return VMMU_OK;
}

enum vmmu_status vmmu_walk_guest(const struct guest_walk *walk, vmmu_gva va)
{
    const struct vmmu_x86_mode *mode = walk->mode;
    const uint64_t address = mode->address_bits == 32 ? va.v & BITS64(31, 0) : va.v;

    if (walk->access.shadow_stack) {
        return VMMU_UNSUPPORTED;
    }
    if (mode->paging == VMMU_X86_PAGING_NONE) {
        translate_flat(address, walk->translation);
        return VMMU_OK;
    }
    if (!vmmu_walk_is_canonical(mode, va)) {
        return protection_fault(walk->fault);
    }
    struct descent descent = {
        .layout = &mode->layout,
        .ram = walk->ram,
        .trail = walk->trail,
        .marks = walk->access.marks,
        .stage = VMMU_X86_STAGE_GUEST,
        .behind = walk->behind,
        .refusal = walk->refusal,
        .table = mode->root.v,
        .grants = ~UINT64_C(0),
        .level = vmmu_format_of(&mode->layout)->levels,
    };
    const bool from_register = mode->paging == VMMU_X86_PAGING_PAE && !mode->pdpte_in_memory;
    const enum vmmu_status status =
        from_register ? descend_from_register(mode, &descent, address) : vmmu_walk_descend(&descent, address);

    if (status == VMMU_GUEST_FAULT) {
        const uint32_t refusal = descent.refused ? VMMU_X86_PF_PRESENT | VMMU_X86_PF_RESERVED : 0;

        return page_fault(walk->fault, access_code(mode, walk->access) | refusal, address);
    }
    return status == VMMU_OK ? arrive(walk, &descent, address) : status;
}

enum vmmu_status vmmu_x86_walk(const struct vmmu_x86_mode *mode, const struct vmmu_ram *ram, vmmu_gva va,
                               struct vmmu_x86_access access, struct vmmu_x86_walk_result *out)
{
    struct trail trail = { .first = out->steps, .next = out->steps, .end = out->steps + VMMU_X86_MAX_LEVELS };
    const struct guest_walk walk = {
        .mode = mode,
        .ram = ram,
        .trail = &trail,
        .access = access,
        .translation = &out->translation,
        .fault = &out->fault,
    };
    enum vmmu_status status = vmmu_walk_guest(&walk, va);

    if (status == VMMU_OK && access.marks == VMMU_X86_MARKS_ON_SUCCESS) {
        status = vmmu_walk_settle(&trail, ram);
    }
    out->step_count = trail_count(&trail);
    out->loads = (uint8_t)(out->step_count - trail.registers);
    return status;
}

/* An observer's walk: where it begins, and, after VMMU_OK, the leaf where it ended. */
struct look {
    uint64_t table;
    uint64_t entry;
    uint64_t grants; /* of all entries together */
    unsigned level;
    bool refused; /* VMMU_GUEST_FAULT: the last entry is present, and refused by the layout */
};

/*
 * vmmu_walk_descend for one stage without trail and marks: what that keeps for the steps is most of its time.
 * Returns VMMU_OK, VMMU_GUEST_FAULT or VMMU_ABSENT.
 */
static inline enum vmmu_status look_down(const struct vmmu_x86_layout *layout, const struct vmmu_ram *ram,
                                         uint64_t address, struct look *look)
{
    const struct vmmu_x86_format *format = vmmu_format_of(layout);
    const unsigned entry_bytes = format->entry_bytes;
    uint64_t grants = look->grants;
    uint64_t table = look->table;
    unsigned number = look->level;

    for (;; number--) {
        const struct vmmu_x86_level *level = &format->level[number];
        const uint64_t at = table + (uint64_t)vmmu_format_index(level, address) * entry_bytes;
        uint64_t entry;
        const enum vmmu_status status = ram->load(ram->context, at, entry_bytes, &entry);

        if (status != VMMU_OK) {
            return status;
        }
        const bool leaf = vmmu_format_is_leaf(level, entry);

        if (!vmmu_format_is_present(format, entry)) {
            return VMMU_GUEST_FAULT;
        }
        if (vmmu_format_is_refused(layout, number, leaf, entry)) {
            look->refused = true;
            return VMMU_GUEST_FAULT;
        }
        grants &= vmmu_format_grants(format, level, entry);
        if (leaf) {
            look->entry = entry;
            look->grants = grants;
            look->level = number;
            return VMMU_OK;
        }
        table = vmmu_format_table(level, entry);
    }
}

/* The same from where @mode has the root: in PAE paging's registers one entry has been seen already. */
static inline enum vmmu_status look_from_root(const struct vmmu_x86_mode *mode, const struct vmmu_ram *ram,
                                              uint64_t address, struct look *look)
{
    const struct vmmu_x86_format *format = vmmu_format_of(&mode->layout);
    const struct vmmu_x86_level *level = &format->level[look->level];

    if (mode->paging == VMMU_X86_PAGING_PAE && !mode->pdpte_in_memory) {
        const uint64_t pdpte = mode->pdpte[vmmu_format_index(level, address)];

        if (!vmmu_format_is_present(format, pdpte)) {
            return VMMU_GUEST_FAULT;
        }
        look->table = vmmu_format_table(level, pdpte);
        look->level--;
    }
    return look_down(&mode->layout, ram, address, look);
}

enum vmmu_status vmmu_x86_translate(const struct vmmu_x86_mode *mode, const struct vmmu_ram *ram, vmmu_gva va,
                                    struct vmmu_x86_access access, struct vmmu_x86_translate_result *out)
{
    const struct vmmu_x86_format *format = vmmu_format_of(&mode->layout);
    const uint64_t address = mode->address_bits == 32 ? va.v & BITS64(31, 0) : va.v;

    if (access.shadow_stack) {
        return VMMU_UNSUPPORTED;
    }
    if (mode->paging == VMMU_X86_PAGING_NONE) {
        translate_flat(address, &out->translation);
        return VMMU_OK;
    }
    if (!vmmu_walk_is_canonical(mode, va)) {
        return protection_fault(&out->fault);
    }
    struct look look = { .table = mode->root.v, .grants = ~UINT64_C(0), .level = format->levels };
    const enum vmmu_status status = look_from_root(mode, ram, address, &look);

    if (status == VMMU_GUEST_FAULT) {
        const uint32_t refusal = look.refused ? VMMU_X86_PF_PRESENT | VMMU_X86_PF_RESERVED : 0;

        return page_fault(&out->fault, access_code(mode, access) | refusal, address);
    }
    if (status != VMMU_OK) {
        return status;
    }
    const uint8_t rights = vmmu_format_rights(format, look.grants);
    const uint32_t error_code = vmmu_walk_judge(mode, access, rights, vmmu_format_key(format, look.entry));

    if (error_code != 0) {
        return page_fault(&out->fault, error_code, address);
    }
    describe_leaf(mode, look.level, look.entry, address, &out->translation);
    out->translation.rights = rights;
    return VMMU_OK;
}
