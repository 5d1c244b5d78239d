/*
 * Events of a guest on shadow tables, and of its host: tables of any content, in all modes, with the least memory.
 *
 * Each event is one call of the engine, or an access of the guest's with all the calls that it takes. After
 * every one, what must hold of a shadow holds (tests/unit/shadow/invariants.h): no right beyond what guest and host allow,
 * and an account that agrees with the tables.
 */
#include "shadow_guest.h"
#include "tests/unit/shadow/invariants.h"

#define EVENTS 48

static unsigned draw_vp(struct guest *guest)
{
    return input_below(guest->input, guest->vps);
}

/* A page that holds a table, mostly. */
static uint64_t draw_gpa(struct guest *guest)
{
    const uint8_t page = input_u8(guest->input);

    return (page < 0xF0 ? page % 56U : (page - 0xEFU) * 128U) * VMMU_PAGE_BYTES;
}

/* --- checks --- */

static _Noreturn void found(const struct guest *guest, const struct shadow_breach *where, const char *breach)
{
    fprintf(stderr, "shadow page %u of %u, entry %u: ", where->page, guest->shadow.config.pool_pages,
            where->index);
    fuzz_found(__FILE__, __LINE__, breach);
}

static struct shadow_witness witness_of(const struct guest *guest)
{
    return (struct shadow_witness){ .shadow = &guest->shadow, .cpu = &guest->cpu, .ram = &guest->ram };
}

static void check_all(const struct guest *guest)
{
    const struct shadow_witness witness = witness_of(guest);
    struct shadow_breach where;
    const char *const breach = shadow_breach(&witness, &where);

    if (breach) {
        found(guest, &where, breach);
    }
}

/* The guest has flushed all: nothing that this virtual processor reaches may be stale. */
static void check_in_step(const struct guest *guest, unsigned vp)
{
    const struct shadow_witness witness = witness_of(guest);
    struct shadow_breach where;
    const char *const breach = shadow_step_breach(&witness, vp, &where);

    if (breach) {
        found(guest, &where, breach);
    }
}

/* --- registers --- */

static struct vmmu_x86_paging_registers draw_registers_of(struct guest *guest)
{
    static const uint64_t options[] = { VMMU_X86_CR4_PSE,  VMMU_X86_CR4_PGE, VMMU_X86_CR4_SMEP,
                                        VMMU_X86_CR4_SMAP, VMMU_X86_CR4_PKE, VMMU_X86_CR4_PKS };
    static const uint64_t roots[] = { 4, 5, 14, 6, 12, 13, 3, 1 };
    const uint8_t drawn = input_u8(guest->input);
    const uint8_t more = input_u8(guest->input);
    const unsigned paging = drawn % 5U; /* four levels, five, PAE, 32 bits, none */
    struct vmmu_x86_paging_registers registers = {
        .cr0 = VMMU_X86_CR0_PE | (drawn & 0x80 ? 0 : VMMU_X86_CR0_WP) | (paging != 4 ? VMMU_X86_CR0_PG : 0),
        .cr3 = roots[more & 0x40 ? 4U + drawn / 5 % 4U : paging % 4] * VMMU_PAGE_BYTES,
        .cr4 = paging < 3 ? VMMU_X86_CR4_PAE : 0,
        .efer = more & 0x80 ? 0 : VMMU_X86_EFER_NXE,
    };

    for (unsigned i = 0; i < 6; i++) {
        registers.cr4 |= more >> i & 1 ? options[i] : 0;
    }
    if (paging < 2) {
        registers.efer |= VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA;
        registers.cr4 |= paging == 1 ? VMMU_X86_CR4_LA57 : 0;
    }
    return registers;
}

static void enter(struct guest *guest, unsigned vp)
{
    struct vmmu_shadow_root root;
    enum vmmu_status status;

    GUEST_DO(guest, status, vmmu_shadow_enter(&guest->shadow, vp, &guest->mode[vp], &root));
    if (guest_is_short(guest, status)) {
        /* It cannot run on; a host would stop it. Here it has more. */
        guest->takes_failing = 0;
        GUEST_DO(guest, status, vmmu_shadow_enter(&guest->shadow, vp, &guest->mode[vp], &root));
    }
    FUZZ_CHECK(status == VMMU_OK);
    guest->root[vp] = root;
    check_in_step(guest, vp);
}

static void do_registers(struct guest *guest)
{
    const unsigned vp = draw_vp(guest);
    const struct vmmu_x86_paging_registers registers = draw_registers_of(guest);

    if (guest_set_registers(guest, vp, &registers)) {
        enter(guest, vp);
    }
}

/* MOV to CR3 of the same value: PDPTEs are loaded once more. */
static void do_flush(struct guest *guest)
{
    const unsigned vp = draw_vp(guest);
    const struct vmmu_x86_paging_registers registers = guest->registers[vp];

    if (guest_set_registers(guest, vp, &registers)) {
        enter(guest, vp);
    }
}

static void do_keys(struct guest *guest)
{
    const unsigned vp = draw_vp(guest);

    guest->registers[vp].pkru = input_u8(guest->input) * UINT32_C(0x01010101);
    guest->registers[vp].pkrs = input_u8(guest->input) * UINT32_C(0x01010101);
    guest->mode[vp].pkru = guest->registers[vp].pkru;
    guest->mode[vp].pkrs = guest->registers[vp].pkrs;
    vmmu_shadow_set_keys(&guest->shadow, vp, guest->registers[vp].pkru, guest->registers[vp].pkrs);
}

static void do_invlpg(struct guest *guest)
{
    const unsigned vp = draw_vp(guest);
    const vmmu_gva va = guest_draw_va(guest->input);
    enum vmmu_status status;

    GUEST_DO(guest, status, vmmu_shadow_invlpg(&guest->shadow, vp, va));
    FUZZ_CHECK(status == VMMU_OK);
}

static void do_pat(struct guest *guest)
{
    const uint64_t pat = guest->shadow.config.guest_pat;
    enum vmmu_status status;

    GUEST_DO(guest, status, vmmu_shadow_set_guest_pat(&guest->shadow, pat << 8 | pat >> 56));
    FUZZ_CHECK(status == VMMU_OK);
}

/* --- accesses --- */

/* What an access stores, and how it is emulated where it must be. */
struct store {
    unsigned width_bytes;
    uint64_t value;
    bool dropped;
};

static void tell_written(struct guest *guest, uint64_t gpa, unsigned width_bytes)
{
    enum vmmu_status status;

    GUEST_DO(guest, status, vmmu_shadow_wrote(&guest->shadow, (vmmu_gpa){ gpa }, width_bytes));
    FUZZ_CHECK(status == VMMU_OK);
}

static void drop(struct guest *guest, uint64_t gpa)
{
    enum vmmu_status status;

    GUEST_DO(guest, status, vmmu_shadow_drop(&guest->shadow, (vmmu_gpa){ gpa }));
    FUZZ_CHECK(status == VMMU_OK);
}

/* One fault of the hardware's; whether the access goes on. The guest's tables say beforehand whether the fault is theirs. */
static bool resolve(struct guest *guest, unsigned vp, vmmu_gva va, struct vmmu_x86_access access,
                    const struct store *store)
{
    struct vmmu_shadow_verdict verdict;
    struct vmmu_x86_walk_result walk;
    enum vmmu_status status;

    access.marks = VMMU_X86_MARKS_LEAVE;
    const enum vmmu_status own = vmmu_x86_walk(&guest->mode[vp], &guest->ram, va, access, &walk);

    GUEST_DO(guest, status, vmmu_shadow_fault(&guest->shadow, vp, va, access, &verdict));
    if (guest_is_short(guest, status)) {
        return false;
    }
    FUZZ_CHECK(status == VMMU_OK);
    check_all(guest);
    FUZZ_CHECK((verdict.answer == VMMU_SHADOW_INJECT) == (own == VMMU_GUEST_FAULT));
    switch (verdict.answer) {
    case VMMU_SHADOW_RETRY: return true;
    case VMMU_SHADOW_INJECT:
        FUZZ_CHECK(verdict.fault.error_code == walk.fault.error_code && verdict.fault.cr2 == walk.fault.cr2);
        return false;
    case VMMU_SHADOW_DEVICE:
    case VMMU_SHADOW_DENIED: return false;
    case VMMU_SHADOW_EMULATE:
        FUZZ_CHECK(access.kind == VMMU_X86_WRITE && own == VMMU_OK &&
                   verdict.gpa.v == walk.translation.gpa.v);
        if (store->dropped) {
            drop(guest, verdict.gpa.v);
            return false;
        }
        guest_store(guest, verdict.gpa.v, store->width_bytes, store->value);
        tell_written(guest, verdict.gpa.v, store->width_bytes);
        return false;
    }
    return false;
}

/* The hardware raised a fault that goes to the guest without an exit, if any does: the guest's tables must say the same. */
static bool is_silent(const struct guest *guest, unsigned vp, vmmu_gva va, struct vmmu_x86_access access,
                      const struct vmmu_x86_fault *fault)
{
    struct vmmu_x86_walk_result walk;

    if (!guest->shadow.config.silent_absent || (fault->error_code & VMMU_X86_PF_PRESENT)) {
        return false;
    }
    FUZZ_CHECK(vmmu_x86_walk(&guest->mode[vp], &guest->ram, va, access, &walk) == VMMU_GUEST_FAULT);
    FUZZ_CHECK(walk.fault.vector == VMMU_X86_VECTOR_PF && !(walk.fault.error_code & VMMU_X86_PF_PRESENT) &&
               walk.fault.cr2 == fault->cr2);
    return true;
}

/* The guest accesses memory through what stands in the engine's tables, which a processor marks nothing in. */
static void do_access(struct guest *guest)
{
    const unsigned vp = draw_vp(guest);
    vmmu_gva va = guest_draw_va(guest->input);
    struct vmmu_x86_access access = guest_draw_access(guest->input);
    const uint8_t how = input_u8(guest->input);
    const struct store store = {
        .width_bytes = how & 1 ? 4 : 8,
        .value = access.kind == VMMU_X86_WRITE ? guest_draw_entry(guest->input) : 0,
        .dropped = (how & 6) == 6,
    };

    va.v |= (how >> 3 & 31) * 8 + (how & 1) * 4;
    va.v &= guest->mode[vp].address_bits == 32 ? BITS64(31, 0) : ~UINT64_C(0);
    for (unsigned turn = 0;; turn++) {
        const struct vmmu_x86_mode hardware = guest_hardware(guest, vp);
        struct vmmu_x86_walk_result walk;

        FUZZ_CHECK(turn < GUEST_TURNS);
        access.marks = VMMU_X86_MARKS_LEAVE;
        if (vmmu_x86_walk(&hardware, &guest->machine, va, access, &walk) == VMMU_OK) {
            FUZZ_CHECK(walk.translation.gpa.v >= GUEST_HPA);
            if (access.kind == VMMU_X86_WRITE) {
                guest_store(guest, walk.translation.gpa.v - GUEST_HPA, store.width_bytes, store.value);
            }
            return;
        }
        if (walk.fault.vector != VMMU_X86_VECTOR_PF || is_silent(guest, vp, va, access, &walk.fault) ||
            !resolve(guest, vp, va, access, &store)) {
            return;
        }
    }
}

/* --- the host --- */

/* A device writes what may be a table. */
static void do_device_write(struct guest *guest)
{
    const uint64_t gpa = draw_gpa(guest) + input_u8(guest->input) % 32U * UINT64_C(4);
    const unsigned width_bytes = gpa % 8 ? 4 : 8;

    guest_store(guest, gpa, width_bytes, guest_draw_entry(guest->input));
    tell_written(guest, gpa, width_bytes);
}

static void do_drop(struct guest *guest)
{
    drop(guest, draw_gpa(guest));
}

static void do_forget(struct guest *guest)
{
    const uint64_t gpa = draw_gpa(guest);
    const uint8_t drawn = input_u8(guest->input);
    const uint64_t pages = drawn & 0x40 ? 512 : 1 + drawn % 4U;
    enum vmmu_status status;

    for (uint64_t i = gpa / VMMU_PAGE_BYTES; i < gpa / VMMU_PAGE_BYTES + pages && i < GUEST_PAGES; i++) {
        guest->rights[i] = drawn & 0x80 ? 0 : VMMU_X86_RIGHTS_ALL & ~VMMU_X86_RIGHT_USER;
    }
    GUEST_DO(guest, status, vmmu_shadow_forget(&guest->shadow, (vmmu_gpa){ gpa }, pages * VMMU_PAGE_BYTES));
    FUZZ_CHECK(status == VMMU_OK);
}

static void do_protect(struct guest *guest)
{
    static const uint8_t rights[] = { 1, 9, 3, 11 };
    const uint64_t gpa = draw_gpa(guest);
    const uint8_t drawn = input_u8(guest->input);
    const uint64_t pages = drawn & 0x40 ? 512 : 1 + drawn / 4U % 4U;
    enum vmmu_status status;

    for (uint64_t i = gpa / VMMU_PAGE_BYTES; i < gpa / VMMU_PAGE_BYTES + pages && i < GUEST_PAGES; i++) {
        guest->rights[i] = guest->rights[i] ? rights[drawn & 3] : 0;
    }
    GUEST_DO(
        guest, status,
        vmmu_shadow_protect(&guest->shadow, (vmmu_gpa){ gpa }, pages * VMMU_PAGE_BYTES, rights[drawn & 3]));
    FUZZ_CHECK(status == VMMU_OK);
}

static void do_one(struct guest *guest)
{
    static void (*const events[])(struct guest *) = {
        do_access, do_access, do_access,       do_registers, do_flush,  do_invlpg,  do_access, do_flush,
        do_keys,   do_pat,    do_device_write, do_drop,      do_forget, do_protect, do_access, do_flush,
    };

    events[input_below(guest->input, sizeof(events) / sizeof(events[0]))](guest);
    check_all(guest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct guest guest;
    struct input input = input_of(data, size);

    if (!guest_start(&guest, &input)) {
        return 0;
    }
    for (unsigned i = 0; i < EVENTS && input_more(&input); i++) {
        do_one(&guest);
    }
    guest_finish(&guest);
    return 0;
}
