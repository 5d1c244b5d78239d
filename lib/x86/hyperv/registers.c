/*
 * HvGetVpRegisters, HvSetVpRegisters and HvSwitchVirtualAddressSpace: a register file by the specification's names.
 *
 * Invariant: a set works on a copy, which becomes the register file only if each value is one that its register can hold and
 * all together are a state that a processor can be in and that the policies allow.
 */
#include "lib/x86/hyperv/registers.h"

#include "lib/x86/hyperv/call.h"
#include "lib/x86/hyperv/hyperv.h"

/* Input by byte offset; a register's value has 16 bytes. */
enum {
    LIST_OFFSET = 16,
    NAME_BYTES = 4,
    PAIR_BYTES = 32,
    PAIR_VALUE = 16,
    VALUE_BYTES = 16,
};

/* A segment's value, and a table register's. */
enum {
    SEGMENT_BASE = 0,
    SEGMENT_LIMIT = 8,
    SEGMENT_SELECTOR = 12,
    SEGMENT_ATTRIBUTES = 14,
    TABLE_LIMIT = 6,
    TABLE_BASE = 8,
};

enum register_kind {
    KIND_WORD, /* 8 bytes */
    KIND_HALF, /* 4 bytes */
    KIND_SEGMENT,
    KIND_TABLE,
    KIND_EXPLICIT_SUSPEND,
    KIND_INTERCEPT_SUSPEND,
    KIND_INTERRUPT_STATE,
};

#define READ_ONLY 0

/* Registers of consecutive names, one after the other in the register file. */
struct register_row {
    uint32_t name;
    uint16_t offset;
    uint8_t count;
    enum register_kind kind;
    uint32_t changed; /* enum vmmu_hyperv_changed, or READ_ONLY */
};

#define AT(member) offsetof(struct vmmu_hyperv_registers, member)

/*
 * Who names CR3 asks for the PDPTEs behind it; whether there are any is seen when all is taken.
 *
 * Spec: TLFS "Virtual Processor Register Names".
 */
static const struct register_row rows[] = {
    { HV_REGISTER_EXPLICIT_SUSPEND, 0, 1, KIND_EXPLICIT_SUSPEND, VMMU_HYPERV_CHANGED_SUSPEND },
    { HV_REGISTER_INTERCEPT_SUSPEND, 0, 1, KIND_INTERCEPT_SUSPEND, VMMU_HYPERV_CHANGED_SUSPEND },
    { HV_REGISTER_INTERRUPT_STATE, 0, 1, KIND_INTERRUPT_STATE, VMMU_HYPERV_CHANGED_EVENTS },
    { HV_REGISTER_RAX, AT(state.gpr), VMMU_X86_GPRS, KIND_WORD, VMMU_HYPERV_CHANGED_GENERAL },
    { HV_REGISTER_RIP, AT(state.rip), 1, KIND_WORD, VMMU_HYPERV_CHANGED_GENERAL },
    { HV_REGISTER_RFLAGS, AT(state.rflags), 1, KIND_WORD, VMMU_HYPERV_CHANGED_GENERAL },
    { HV_REGISTER_CR0, AT(state.cr0), 1, KIND_WORD, VMMU_HYPERV_CHANGED_PAGING },
    { HV_REGISTER_CR2, AT(cr2), 1, KIND_WORD, VMMU_HYPERV_CHANGED_CONTROL },
    { HV_REGISTER_CR3, AT(cr3), 1, KIND_WORD, VMMU_HYPERV_CHANGED_PAGING | VMMU_HYPERV_CHANGED_PDPTES },
    { HV_REGISTER_CR4, AT(state.cr4), 1, KIND_WORD, VMMU_HYPERV_CHANGED_PAGING },
    { HV_REGISTER_CR8, AT(cr8), 1, KIND_WORD, VMMU_HYPERV_CHANGED_CONTROL },
    { HV_REGISTER_XFEM, AT(xcr0), 1, KIND_WORD, VMMU_HYPERV_CHANGED_CONTROL },
    { HV_REGISTER_DR0, AT(dr), 4, KIND_WORD, VMMU_HYPERV_CHANGED_DEBUG },
    { HV_REGISTER_DR6, AT(dr6), 1, KIND_WORD, VMMU_HYPERV_CHANGED_DEBUG },
    { HV_REGISTER_DR7, AT(dr7), 1, KIND_WORD, VMMU_HYPERV_CHANGED_DEBUG },
    { HV_REGISTER_ES, AT(state.segment), VMMU_X86_SEGMENTS, KIND_SEGMENT, VMMU_HYPERV_CHANGED_SEGMENTS },
    { HV_REGISTER_LDTR, AT(ldtr), 1, KIND_SEGMENT, VMMU_HYPERV_CHANGED_SEGMENTS },
    { HV_REGISTER_TR, AT(tr), 1, KIND_SEGMENT, VMMU_HYPERV_CHANGED_SEGMENTS },
    { HV_REGISTER_IDTR, AT(idtr), 1, KIND_TABLE, VMMU_HYPERV_CHANGED_SEGMENTS },
    { HV_REGISTER_GDTR, AT(gdtr), 1, KIND_TABLE, VMMU_HYPERV_CHANGED_SEGMENTS },
    { HV_REGISTER_TSC, AT(tsc), 1, KIND_WORD, VMMU_HYPERV_CHANGED_TSC },
    { HV_REGISTER_EFER, AT(state.efer), 1, KIND_WORD, VMMU_HYPERV_CHANGED_PAGING },
    { HV_REGISTER_KERNEL_GS_BASE, AT(kernel_gs_base), 1, KIND_WORD, VMMU_HYPERV_CHANGED_MSRS },
    { HV_REGISTER_APIC_BASE, AT(apic_base), 1, KIND_WORD, READ_ONLY },
    { HV_REGISTER_PAT, AT(pat), 1, KIND_WORD, VMMU_HYPERV_CHANGED_PAT },
    { HV_REGISTER_SYSENTER_CS, AT(sysenter_cs), 1, KIND_WORD, VMMU_HYPERV_CHANGED_MSRS },
    { HV_REGISTER_SYSENTER_EIP, AT(sysenter_eip), 1, KIND_WORD, VMMU_HYPERV_CHANGED_MSRS },
    { HV_REGISTER_SYSENTER_ESP, AT(sysenter_esp), 1, KIND_WORD, VMMU_HYPERV_CHANGED_MSRS },
    { HV_REGISTER_STAR, AT(star), 1, KIND_WORD, VMMU_HYPERV_CHANGED_MSRS },
    { HV_REGISTER_LSTAR, AT(lstar), 1, KIND_WORD, VMMU_HYPERV_CHANGED_MSRS },
    { HV_REGISTER_CSTAR, AT(cstar), 1, KIND_WORD, VMMU_HYPERV_CHANGED_MSRS },
    { HV_REGISTER_SFMASK, AT(sfmask), 1, KIND_WORD, VMMU_HYPERV_CHANGED_MSRS },
    { HV_REGISTER_INITIAL_APIC_ID, AT(initial_apic_id), 1, KIND_HALF, READ_ONLY },
    { HV_REGISTER_TSC_AUX, AT(tsc_aux), 1, KIND_WORD, VMMU_HYPERV_CHANGED_MSRS },
    { HV_REGISTER_VP_INDEX, AT(vp_index), 1, KIND_HALF, READ_ONLY },
};

_Static_assert(sizeof(struct vmmu_hyperv_registers) <= UINT16_MAX, "an offset fits");

static const struct register_row *row_of(uint64_t name)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (name >= rows[i].name && name - rows[i].name < rows[i].count) {
            return &rows[i];
        }
    }
    return NULL;
}

/* Where register @name of @row lies in the register file. */
static size_t place_of(const struct register_row *row, uint32_t name)
{
    const size_t size = row->kind == KIND_SEGMENT ? sizeof(struct vmmu_x86_segment) : sizeof(uint64_t);

    return row->offset + (name - row->name) * size;
}

/* --- reading --- */

void vmmu_hyperv_put_segment(const struct vmmu_x86_segment *segment, uint8_t *value)
{
    hv_put_bytes(value + SEGMENT_BASE, segment->base, 8);
    hv_put_bytes(value + SEGMENT_LIMIT, segment->limit, 4);
    hv_put_bytes(value + SEGMENT_SELECTOR, segment->selector, 2);
    hv_put_bytes(value + SEGMENT_ATTRIBUTES, segment->attributes, 2);
}

static void put_register(const struct register_row *row, uint32_t name,
                         const struct vmmu_hyperv_registers *registers, uint8_t *value)
{
    const uint8_t *at = (const uint8_t *)registers + place_of(row, name);
    struct vmmu_hyperv_table_register table;
    struct vmmu_x86_segment segment;
    uint64_t word = 0;

    __builtin_memset(value, 0, VALUE_BYTES);
    switch (row->kind) {
    case KIND_WORD: __builtin_memcpy(&word, at, sizeof(word)); break;
    case KIND_HALF: {
        uint32_t half;

        __builtin_memcpy(&half, at, sizeof(half));
        word = half;
        break;
    }
    case KIND_SEGMENT:
        __builtin_memcpy(&segment, at, sizeof(segment));
        vmmu_hyperv_put_segment(&segment, value);
        return;
    case KIND_TABLE:
        __builtin_memcpy(&table, at, sizeof(table));
        hv_put_bytes(value + TABLE_LIMIT, table.limit, 2);
        hv_put_bytes(value + TABLE_BASE, table.base, 8);
        return;
    case KIND_EXPLICIT_SUSPEND: word = registers->explicit_suspend ? 1 : 0; break;
    case KIND_INTERCEPT_SUSPEND:
        word = (registers->intercept_suspend ? 1u : 0u) | (registers->flush_inhibit ? 2u : 0u);
        break;
    case KIND_INTERRUPT_STATE:
        word = (registers->state.interrupt_shadow ? 1u : 0u) | (registers->nmi_masked ? 2u : 0u);
        break;
    }
    hv_put_bytes(value, word, 8);
}

enum vmmu_hyperv_result
vmmu_hyperv_registers_get(const struct vmmu_hyperv_call_outcome *outcome, const uint8_t *input,
                          const struct vmmu_hyperv_registers *registers, uint8_t *output, uint16_t *done)
{
    for (*done = 0; *done < outcome->reps.count; ++*done) {
        const size_t element = (size_t)outcome->reps.first + *done;
        const uint32_t name = (uint32_t)hv_bytes_at(input + LIST_OFFSET + NAME_BYTES * element, NAME_BYTES);
        const struct register_row *row = row_of(name);

        if (row == NULL) {
            return VMMU_HYPERV_INVALID_PARAMETER;
        }
        put_register(row, name, registers, output + VALUE_BYTES * element);
    }
    return VMMU_HYPERV_SUCCESS;
}

/* --- writing --- */

static struct vmmu_x86_segment take_segment(const uint8_t *value)
{
    return (struct vmmu_x86_segment){
        .base = hv_bytes_at(value + SEGMENT_BASE, 8),
        .limit = (uint32_t)hv_bytes_at(value + SEGMENT_LIMIT, 4),
        .selector = (uint16_t)hv_bytes_at(value + SEGMENT_SELECTOR, 2),
        .attributes = (uint16_t)hv_bytes_at(value + SEGMENT_ATTRIBUTES, 2),
    };
}

/* False: the register cannot hold it. */
static bool take_register(const struct vmmu_hyperv_register_rules *rules, const struct register_row *row,
                          uint32_t name, const uint8_t *value, struct vmmu_hyperv_registers *registers)
{
    uint8_t *at = (uint8_t *)registers + place_of(row, name);
    uint64_t word = hv_word_at(value, 0);

    switch (row->kind) {
    case KIND_WORD:
        __builtin_memcpy(at, &word, sizeof(word));
        return vmmu_hyperv_register_holds(rules, name, word);
    case KIND_HALF: return false;
    case KIND_SEGMENT: {
        const struct vmmu_x86_segment segment = take_segment(value);

        __builtin_memcpy(at, &segment, sizeof(segment));
        return vmmu_hyperv_base_is_linear(rules->cpu, segment.base);
    }
    case KIND_TABLE: {
        const struct vmmu_hyperv_table_register table = { hv_bytes_at(value + TABLE_BASE, 8),
                                                          (uint16_t)hv_bytes_at(value + TABLE_LIMIT, 2) };

        __builtin_memcpy(at, &table, sizeof(table));
        return vmmu_hyperv_base_is_linear(rules->cpu, table.base);
    }
    case KIND_EXPLICIT_SUSPEND: registers->explicit_suspend = (word & 1) != 0; return (word & ~BIT64(0)) == 0;
    case KIND_INTERCEPT_SUSPEND:
        registers->intercept_suspend = (word & 1) != 0;
        registers->flush_inhibit = (word & 2) != 0;
        return (word & ~BITS64(1, 0)) == 0;
    case KIND_INTERRUPT_STATE:
        registers->state.interrupt_shadow = (word & 1) != 0;
        registers->nmi_masked = (word & 2) != 0;
        return (word & ~BITS64(1, 0)) == 0;
    }
    return false;
}

/* Take the elements one after the other; what changed in *changed, false if one names or holds what it cannot. */
static bool take_elements(const struct vmmu_hyperv_register_rules *rules, const struct vmmu_hyperv_reps *reps,
                          const uint8_t *input, struct vmmu_hyperv_registers *registers, uint32_t *changed)
{
    *changed = 0;
    for (unsigned i = 0; i < reps->count; i++) {
        const uint8_t *pair = input + LIST_OFFSET + PAIR_BYTES * ((size_t)reps->first + i);
        const uint32_t name = (uint32_t)hv_bytes_at(pair, NAME_BYTES);
        const struct register_row *row = row_of(name);

        if (row == NULL || row->changed == READ_ONLY ||
            !take_register(rules, row, name, pair + PAIR_VALUE, registers)) {
            return false;
        }
        *changed |= row->changed;
    }
    return true;
}

static bool policies_allow(const struct vmmu_hyperv_policy *policy, uint64_t cr0, uint64_t cr3, uint64_t cr4)
{
    return vmmu_hyperv_rule_cr0(policy, VMMU_HYPERV_BY_CALL, cr0).verdict == VMMU_HYPERV_STORE &&
           vmmu_hyperv_rule_cr3(policy, VMMU_HYPERV_BY_CALL, cr4, cr3).verdict == VMMU_HYPERV_STORE;
}

/* Whether there is such a mode, the PDPTE registers aside, if there are any, which pdpte[] is loaded with under PAE paging. */
static bool paging_is_possible(const struct vmmu_x86_cpu *cpu, const struct vmmu_ram *ram,
                               struct vmmu_x86_paging_registers *paging, uint64_t pdpte[4], bool *loaded)
{
    const bool in_memory = paging->pdpte_in_memory;
    struct vmmu_x86_mode mode;

    paging->pdpte_in_memory = true;
    if (vmmu_mode_make(cpu, paging, &mode) != VMMU_OK) {
        return false;
    }
    *loaded = mode.paging == VMMU_X86_PAGING_PAE && !in_memory;
    return !*loaded || vmmu_mode_load_pdptes(cpu, ram, paging->cr3, pdpte) == VMMU_OK;
}

static struct vmmu_x86_paging_registers paging_of(const struct vmmu_hyperv_registers *registers)
{
    return (struct vmmu_x86_paging_registers){
        .cr0 = registers->state.cr0,
        .cr3 = registers->cr3,
        .cr4 = registers->state.cr4,
        .efer = registers->state.efer,
    };
}

/* PDPTE registers are loaded where a processor loads them; others stay, whatever their table holds now. */
static bool loads_pdptes(const struct vmmu_hyperv_registers *now,
                         const struct vmmu_x86_paging_registers *next, bool cr3_named)
{
    const struct vmmu_x86_paging_registers before = paging_of(now);

    return cr3_named || vmmu_mode_paging(before.cr0, before.cr4, before.efer) != VMMU_X86_PAGING_PAE ||
           vmmu_mode_loads_pdptes(&before, next);
}

/* What is stored of values that were taken is what a processor stores: bits that cannot be zero read as one. */
static bool settle_paging(const struct vmmu_hyperv_register_rules *rules,
                          const struct vmmu_hyperv_registers *now, struct vmmu_hyperv_registers *next,
                          uint32_t *changed)
{
    const bool cr3_named = (*changed & VMMU_HYPERV_CHANGED_PDPTES) != 0;
    struct vmmu_x86_paging_registers paging;
    bool loaded = false;

    next->state.cr0 = vmmu_mode_cr0_stored(next->state.cr0);
    paging = paging_of(next);
    paging.pdpte_in_memory = rules->pdpte_in_memory || !loads_pdptes(now, &paging, cr3_named);
    if (!policies_allow(rules->policy, paging.cr0, paging.cr3, paging.cr4) ||
        !paging_is_possible(rules->cpu, rules->ram, &paging, next->pdpte, &loaded)) {
        return false;
    }
    *changed =
        loaded ? *changed | VMMU_HYPERV_CHANGED_PDPTES : *changed & ~(uint32_t)VMMU_HYPERV_CHANGED_PDPTES;
    return true;
}

#define DR6_ONES  (BITS64(31, 16) | BITS64(11, 4))
#define DR6_ZEROS BIT64(12)
#define DR7_ONES  BIT64(10)
#define DR7_ZEROS (BIT64(12) | BITS64(15, 14))

/* Whether segments have to be looked at again: some were named, or the mode that they stand in has changed. */
static bool segments_matter(const struct vmmu_hyperv_registers *now, const struct vmmu_hyperv_registers *next,
                            uint32_t changed)
{
    return (changed & VMMU_HYPERV_CHANGED_SEGMENTS) != 0 ||
           ((now->state.cr0 ^ next->state.cr0) & VMMU_X86_CR0_PE) != 0 ||
           ((now->state.efer ^ next->state.efer) & VMMU_X86_EFER_LMA) != 0 ||
           ((now->state.rflags ^ next->state.rflags) & HV_RFLAGS_VM) != 0;
}

/* Make of values that were taken what a processor makes of them; false if all together are not a state of one. */
static bool settle(const struct vmmu_hyperv_register_rules *rules, const struct vmmu_hyperv_registers *now,
                   struct vmmu_hyperv_registers *next, uint32_t *changed)
{
    if ((*changed & VMMU_HYPERV_CHANGED_PAGING) != 0 && !settle_paging(rules, now, next, changed)) {
        return false;
    }
    if ((*changed & VMMU_HYPERV_CHANGED_DEBUG) != 0) {
        next->dr6 = (next->dr6 | DR6_ONES) & ~DR6_ZEROS;
        next->dr7 = (next->dr7 | DR7_ONES) & ~DR7_ZEROS;
    }
    if (segments_matter(now, next, *changed)) {
        vmmu_hyperv_settle_segments(next);
        *changed |= VMMU_HYPERV_CHANGED_SEGMENTS;
        return vmmu_hyperv_segments_agree(next);
    }
    return vmmu_hyperv_rip_is_sound(&next->state);
}

/*
 * Whether an event whose delivery goes on with the next entry is one that the new state takes. Which event it is makes no difference:
 * each of these ends the delivery of some.
 */
static bool event_is_taken(const struct vmmu_hyperv_registers *now, const struct vmmu_hyperv_registers *next)
{
    return !now->event_pending || ((now->state.rflags & ~next->state.rflags & HV_RFLAGS_IF) == 0 &&
                                   next->state.interrupt_shadow <= now->state.interrupt_shadow &&
                                   next->nmi_masked <= now->nmi_masked &&
                                   ((now->state.cr0 ^ next->state.cr0) & VMMU_X86_CR0_PE) == 0);
}

struct vmmu_hyperv_register_changes vmmu_hyperv_registers_set(const struct vmmu_hyperv_register_rules *rules,
                                                              const struct vmmu_hyperv_call_outcome *outcome,
                                                              const uint8_t *input,
                                                              struct vmmu_hyperv_registers *registers)
{
    struct vmmu_hyperv_registers next = *registers;
    uint32_t changed = 0;

    if (!take_elements(rules, &outcome->reps, input, &next, &changed) ||
        !settle(rules, registers, &next, &changed)) {
        return (struct vmmu_hyperv_register_changes){ .status = VMMU_HYPERV_INVALID_PARAMETER };
    }
    if (!event_is_taken(registers, &next)) {
        return (struct vmmu_hyperv_register_changes){ .status = VMMU_HYPERV_INVALID_PARTITION_STATE };
    }
    *registers = next;
    return (struct vmmu_hyperv_register_changes){ VMMU_HYPERV_SUCCESS, outcome->reps.count, changed };
}

enum vmmu_hyperv_result vmmu_hyperv_switch(const struct vmmu_hyperv_policy *policy,
                                           const struct vmmu_x86_cpu *cpu, const struct vmmu_ram *ram,
                                           uint64_t value, struct vmmu_x86_paging_registers *registers)
{
    struct vmmu_x86_paging_registers next = *registers;
    uint64_t pdpte[4];
    bool loaded = false;

    next.cr3 = value;
    /* The address of a root has 32 bits outside long mode. */
    if ((next.efer & VMMU_X86_EFER_LMA) == 0 && (value & ~BITS64(31, 0)) != 0) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    if (!policies_allow(policy, 0, value, next.cr4) || !paging_is_possible(cpu, ram, &next, pdpte, &loaded)) {
        return VMMU_HYPERV_INVALID_PARAMETER;
    }
    registers->cr3 = value;
    if (loaded) {
        __builtin_memcpy(registers->pdpte, pdpte, sizeof(pdpte));
    }
    return VMMU_HYPERV_SUCCESS;
}
