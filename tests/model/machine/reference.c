/*
 * The reference's surface: memory, registers, and what each instruction makes a processor forget.
 */
#include "tests/model/machine/reference_internal.h"

#include <stdlib.h>
#include <string.h>

static enum vmmu_status ram_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    *value = history_load(context, address, width_bytes);
    return VMMU_OK;
}

/* AMD: invalidations of a page leave cached table entries alone that do not lead to it. */
#define EFER_TCE     BIT64(15)

/* CR0 after RESET: caching off, ET reads as one. */
#define CR0_AT_RESET (VMMU_X86_CR0_CD | VMMU_X86_CR0_NW | VMMU_X86_CR0_ET)

struct reference *reference_create(const struct vmmu_x86_cpu *cpu, bool intel, unsigned vps)
{
    struct reference *reference = calloc(1, sizeof(*reference));

    if (!reference) {
        return NULL;
    }
    reference->history = history_create();
    if (!reference->history) {
        reference_destroy(reference);
        return NULL;
    }
    reference->cpu = *cpu;
    reference->intel = intel;
    reference->vps = vps;
    reference->ram = (struct vmmu_ram){ .context = reference->history, .load = ram_load };
    for (unsigned i = 0; i < vps; i++) {
        struct reference_vp *vp = &reference->vp[i];

        vp->registers = (struct vmmu_x86_paging_registers){ .cr0 = CR0_AT_RESET, .pdpte_in_memory = !intel };
        if (vmmu_mode_make(cpu, &vp->registers, &vp->mode) != VMMU_OK) {
            reference_destroy(reference);
            return NULL;
        }
        past_begin(&vp->past, &(struct moment){ .begin = 0 });
    }
    return reference;
}

void reference_destroy(struct reference *reference)
{
    if (reference) {
        history_destroy(reference->history);
        free(reference);
    }
}

void reference_hold_pdptes(struct reference *reference)
{
    for (unsigned i = 0; i < reference->vps; i++) {
        reference->vp[i].registers.pdpte_in_memory = false;
        reference->vp[i].mode.pdpte_in_memory = false;
    }
}

uint64_t reference_load(const struct reference *reference, uint64_t gpa, unsigned width_bytes)
{
    return history_load(reference->history, gpa, width_bytes);
}

void reference_store(struct reference *reference, uint64_t gpa, unsigned width_bytes, uint64_t value)
{
    history_store(reference->history, ++reference->now, gpa, width_bytes, value);
}

const struct vmmu_x86_paging_registers *reference_registers(const struct reference *reference, unsigned vp)
{
    return &reference->vp[vp].registers;
}

const struct vmmu_x86_mode *reference_mode(const struct reference *reference, unsigned vp)
{
    return &reference->vp[vp].mode;
}

/* Load the PDPTE registers of @next, if it has any and @wanted. */
static enum vmmu_status load_pdptes(const struct reference *reference, bool wanted,
                                    struct vmmu_x86_paging_registers *next)
{
    if (!wanted || next->pdpte_in_memory) {
        return VMMU_OK;
    }
    return vmmu_mode_load_pdptes(&reference->cpu, &reference->ram, next->cr3, next->pdpte);
}

/* The state of @vp as a moment has it. */
static struct moment moment_of(struct reference *reference, const struct reference_vp *vp)
{
    const struct vmmu_x86_mode *mode = &vp->mode;
    struct vmmu_x86_layout *layout = &reference->layout[mode->layout.format][mode->nx];
    struct moment moment = { .paging = mode->paging != VMMU_X86_PAGING_NONE };

    if (!moment.paging) {
        return moment;
    }
    *layout = mode->layout;
    moment.layout = layout;
    moment.global_pages = mode->global_pages;
    moment.from_registers = mode->paging == VMMU_X86_PAGING_PAE && !mode->pdpte_in_memory;
    moment.pcid = reference_context(vp);
    moment.root = mode->root.v;
    for (unsigned i = 0; moment.from_registers && i < 4; i++) {
        moment.pdpte[i] = mode->pdpte[i];
    }
    return moment;
}

static bool is_same_state(const struct moment *a, const struct moment *b)
{
    return a->paging == b->paging && a->global_pages == b->global_pages &&
           a->from_registers == b->from_registers && a->pcid == b->pcid && a->layout == b->layout &&
           a->root == b->root && memcmp(a->pdpte, b->pdpte, sizeof(a->pdpte)) == 0;
}

/* Forget the values of words that no VP's past reaches back to. */
static void prune(struct reference *reference)
{
    uint64_t floor = reference->now;

    for (unsigned i = 0; i < reference->vps; i++) {
        const uint64_t own = reference->vp[i].past.floor;

        floor = own < floor ? own : floor;
    }
    history_prune(reference->history, floor);
}

void reference_pass(struct reference *reference, unsigned vp, const struct invalidation *invalidation)
{
    struct past *past = &reference->vp[vp].past;
    struct moment moment = moment_of(reference, &reference->vp[vp]);

    if ((!invalidation || !moment.paging) &&
        is_same_state(&moment, past_moment(past, past_count(past) - 1))) {
        return;
    }
    if (invalidation) {
        moment.invalidation = *invalidation;
    }
    moment.begin = ++reference->now;
    past_continue(past, &moment);
    prune(reference);
}

/* The VP's registers become @next: an instruction has been accepted. */
static enum vmmu_status become(struct reference *reference, unsigned vp,
                               const struct vmmu_x86_paging_registers *next,
                               const struct invalidation *invalidation)
{
    const enum vmmu_status status = vmmu_mode_make(&reference->cpu, next, &reference->vp[vp].mode);

    if (status == VMMU_OK) {
        reference->vp[vp].registers = *next;
        reference_pass(reference, vp, invalidation);
    }
    return status;
}

/* Nothing of what was made in other spaces is of use any more, but for global translations, which all share. */
static void forget_spaces(struct reference_vp *vp)
{
    vp->space_count = 0;
    vp->space_now = 0;
}

enum vmmu_status reference_cr0(struct reference *reference, unsigned vp, uint64_t value)
{
    const struct vmmu_x86_paging_registers *now = &reference->vp[vp].registers;
    struct vmmu_x86_paging_registers next = *now;
    enum vmmu_status status = vmmu_mode_check_cr0(now, value, false);

    next.cr0 = vmmu_mode_cr0_stored(value);
    next.efer = vmmu_mode_efer_with_cr0(now->efer, next.cr0);
    if (status == VMMU_OK) {
        status = load_pdptes(reference, vmmu_mode_loads_pdptes(now, &next), &next);
    }
    if (status != VMMU_OK) {
        return status;
    }
    /* Intel's manual speaks of PG being cleared only; what was made without paging has to go at some time, too. */
    const bool switched = ((now->cr0 ^ next.cr0) & VMMU_X86_CR0_PG) != 0;
    const struct invalidation everything = invalidation_of_everything();

    if (switched) {
        forget_spaces(&reference->vp[vp]);
    }
    return become(reference, vp, &next, switched ? &everything : NULL);
}

enum vmmu_status reference_cr3(struct reference *reference, unsigned vp, uint64_t value)
{
    const struct vmmu_x86_paging_registers *now = &reference->vp[vp].registers;
    const bool pae = reference->vp[vp].mode.paging == VMMU_X86_PAGING_PAE;
    struct vmmu_x86_paging_registers next = *now;
    enum vmmu_status status = vmmu_mode_check_cr3(&reference->cpu, now, value);

    next.cr3 = vmmu_mode_cr3_stored(value);
    if (status == VMMU_OK) {
        status = load_pdptes(reference, pae, &next);
    }
    if (status != VMMU_OK) {
        return status;
    }
    const bool pcids = (now->cr4 & VMMU_X86_CR4_PCIDE) != 0;
    const uint16_t pcid = (uint16_t)(pcids ? value & BITS64(11, 0) : 0);
    struct invalidation context = invalidation_of_context(pcid, GLOBALS_STAY);

    context.every_context = reference->vp[vp].space_count != 0;
    forget_spaces(&reference->vp[vp]);
    return become(reference, vp, &next, pcids && (value & VMMU_X86_CR3_NO_FLUSH) ? NULL : &context);
}

/* The number of the space @cr3, a new one if need be. False if there are too many. */
static bool find_space(struct reference_vp *vp, uint64_t cr3, uint8_t *number)
{
    for (*number = 0; *number < vp->space_count; ++*number) {
        if (vp->space[*number] == cr3) {
            return true;
        }
    }
    if (vp->space_count == REFERENCE_SPACES) {
        return false;
    }
    vp->space[vp->space_count++] = cr3;
    return true;
}

enum vmmu_status reference_switch(struct reference *reference, unsigned vp, uint64_t value)
{
    struct reference_vp *who = &reference->vp[vp];
    const bool pae = who->mode.paging == VMMU_X86_PAGING_PAE;
    struct vmmu_x86_paging_registers next = who->registers;
    enum vmmu_status status = vmmu_mode_check_cr3(&reference->cpu, &who->registers, value);
    uint8_t number;

    if ((who->registers.cr4 & VMMU_X86_CR4_PCIDE) || who->mode.paging == VMMU_X86_PAGING_NONE) {
        return VMMU_UNSUPPORTED;
    }
    next.cr3 = value;
    if (status == VMMU_OK) {
        status = load_pdptes(reference, pae, &next);
    }
    if (status != VMMU_OK) {
        return status;
    }
    if ((who->space_count == 0 && !find_space(who, who->registers.cr3, &number)) ||
        !find_space(who, value, &number)) {
        return VMMU_UNSUPPORTED;
    }
    who->space_now = number;
    return become(reference, vp, &next, NULL);
}

bool reference_is_switched(const struct reference *reference, unsigned vp)
{
    return reference->vp[vp].space_count != 0;
}

/* MOV to CR4 makes the processor forget everything, or all of the current PCID, or nothing. */
static bool cr4_removes_everything(const struct reference *reference, uint64_t changed, uint64_t value)
{
    if ((changed & VMMU_X86_CR4_PGE) || (changed & ~value & VMMU_X86_CR4_PCIDE)) {
        return true;
    }
    if (reference->intel) {
        return false;
    }
    return (changed & (VMMU_X86_CR4_PAE | VMMU_X86_CR4_PSE)) || (changed & value & VMMU_X86_CR4_PKE);
}

static bool cr4_removes_context(const struct reference *reference, uint64_t changed, uint64_t value)
{
    return reference->intel && ((changed & VMMU_X86_CR4_PAE) || (changed & value & VMMU_X86_CR4_SMEP));
}

enum vmmu_status reference_cr4(struct reference *reference, unsigned vp, uint64_t value)
{
    const struct vmmu_x86_paging_registers *now = &reference->vp[vp].registers;
    struct vmmu_x86_paging_registers next = *now;
    enum vmmu_status status = vmmu_mode_check_cr4(&reference->cpu, now, value);

    next.cr4 = value;
    if (status == VMMU_OK) {
        status = load_pdptes(reference, vmmu_mode_loads_pdptes(now, &next), &next);
    }
    if (status != VMMU_OK) {
        return status;
    }
    const struct invalidation everything = invalidation_of_everything();
    const struct invalidation context =
        invalidation_of_context(reference_context(&reference->vp[vp]), GLOBALS_OF_CONTEXT);
    const uint64_t changed = now->cr4 ^ value;
    const bool all = cr4_removes_everything(reference, changed, value);
    const bool some = cr4_removes_context(reference, changed, value);

    return become(reference, vp, &next, all ? &everything : some ? &context : NULL);
}

enum vmmu_status reference_efer(struct reference *reference, unsigned vp, uint64_t value)
{
    const struct vmmu_x86_paging_registers *now = &reference->vp[vp].registers;
    struct vmmu_x86_paging_registers next = *now;
    const enum vmmu_status status = vmmu_mode_check_efer(&reference->cpu, now, value);

    next.efer = vmmu_mode_efer_stored(now->efer, value);
    return status == VMMU_OK ? become(reference, vp, &next, NULL) : status;
}

enum vmmu_status reference_pkru(struct reference *reference, unsigned vp, uint32_t value)
{
    struct vmmu_x86_paging_registers next = reference->vp[vp].registers;

    next.pkru = value;
    return become(reference, vp, &next, NULL);
}

/* Instructions that only name an address look at the widest addresses that the processor has. */
static bool may_be_named(const struct reference *reference, uint64_t address)
{
    return vmmu_format_is_canonical(address, reference->cpu.la57 ? 57 : 48);
}

/* Whether invalidations of a page leave alone what does not lead to it. */
static bool goes_by_path(const struct reference *reference, unsigned vp)
{
    return !reference->intel && (reference->vp[vp].registers.efer & EFER_TCE);
}

/* The page that the tables map at @address now, in the current PCID; its fragments, whatever their size. */
static struct invalidation invalidation_of_page(const struct reference *reference, unsigned vp,
                                                uint64_t address)
{
    const struct vmmu_x86_mode *mode = &reference->vp[vp].mode;
    const uint64_t linear = reference_linear(mode, address);
    const uint64_t page_bytes = reference_page_bytes(reference, vp, address);

    return (struct invalidation){ .translations = true,
                                  .pcid = reference_context(&reference->vp[vp]),
                                  .globals = GLOBALS_GO,
                                  .structures = STRUCTURES_OF_PATH,
                                  .first = linear & ~(page_bytes - 1),
                                  .last = linear | (page_bytes - 1),
                                  .address = linear };
}

/* INVPCID of one address. What the tables of another PCID map there cannot be known: 4 KiB are certain. */
static struct invalidation invalidation_of_address(const struct reference *reference, unsigned vp,
                                                   uint16_t pcid, uint64_t address)
{
    struct invalidation invalidation = invalidation_of_page(reference, vp, address);

    if (pcid != invalidation.pcid) {
        invalidation.pcid = pcid;
        invalidation.first = invalidation.address & ~(VMMU_PAGE_BYTES - 1);
        invalidation.last = invalidation.address | (VMMU_PAGE_BYTES - 1);
    }
    invalidation.globals = GLOBALS_STAY;
    if (!reference->intel && !goes_by_path(reference, vp)) {
        invalidation.structures = STRUCTURES_GO;
    }
    return invalidation;
}

static struct invalidation invalidation_of_invpcid(const struct reference *reference, unsigned vp,
                                                   unsigned type, uint16_t pcid, uint64_t address)
{
    struct invalidation invalidation = invalidation_of_everything();

    switch (type) {
    case 0: return invalidation_of_address(reference, vp, pcid, address);
    case 1: return invalidation_of_context(pcid, GLOBALS_STAY);
    case 2: return invalidation;
    default: invalidation.globals = GLOBALS_STAY; return invalidation;
    }
}

enum vmmu_status reference_invpcid(struct reference *reference, unsigned vp, unsigned type, uint64_t pcid,
                                   uint64_t address)
{
    const bool pcids = (reference->vp[vp].registers.cr4 & VMMU_X86_CR4_PCIDE) != 0;

    if (type > 3 || pcid > 0xfff || (type < 2 && pcid != 0 && !pcids)) {
        return VMMU_GUEST_FAULT;
    }
    if (type == 0 && !may_be_named(reference, address)) {
        return VMMU_GUEST_FAULT;
    }
    const struct reference_vp *who = &reference->vp[vp];
    const uint16_t context = pcid == who->mode.pcid ? reference_context(who) : (uint16_t)pcid;
    const struct invalidation invalidation = invalidation_of_invpcid(reference, vp, type, context, address);

    reference_pass(reference, vp, &invalidation);
    return VMMU_OK;
}

void reference_invlpg(struct reference *reference, unsigned vp, uint64_t address)
{
    const struct reference_vp *who = &reference->vp[vp];
    struct invalidation invalidation = invalidation_of_page(reference, vp, address);

    if (!vmmu_walk_is_canonical(&who->mode, (vmmu_gva){ address })) {
        return;
    }
    invalidation.structures = goes_by_path(reference, vp) ? STRUCTURES_OF_PATH : STRUCTURES_GO;
    reference_pass(reference, vp, &invalidation);
}

void reference_page_fault(struct reference *reference, unsigned vp, uint64_t address)
{
    struct invalidation invalidation = invalidation_of_page(reference, vp, address);

    /* Nobody promises that what was kept for other address spaces goes with a fault in this one. */
    if (reference_is_switched(reference, vp)) {
        invalidation.globals = GLOBALS_OF_CONTEXT;
    }
    reference_pass(reference, vp, &invalidation);
}

unsigned reference_burden_of(const struct reference *reference, unsigned vp)
{
    const struct past *past = &reference->vp[vp].past;

    return past_count(past) + history_burden(reference->history, past->floor);
}

unsigned reference_burden(const struct reference *reference)
{
    unsigned most = 0;

    for (unsigned vp = 0; vp < reference->vps; vp++) {
        const unsigned burden = reference_burden_of(reference, vp);

        most = burden > most ? burden : most;
    }
    return most;
}

uint64_t reference_time(const struct reference *reference)
{
    return reference->now;
}

uint64_t reference_given_up(const struct reference *reference)
{
    return reference->given_up;
}
