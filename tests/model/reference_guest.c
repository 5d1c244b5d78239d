#include "tests/model/reference_guest.h"
#include "tests/unit/modern_cpu.h"

#include <stdlib.h>

static const struct vmmu_x86_cpu cpu = {
    .maxphyaddr = 40, MODERN_PAGING, .pse36 = true, .pcid = true, .efer_others = BIT64(15), /* TCE */
};

/* Whatever the guest does here must be accepted. */
static void must(bool condition)
{
    if (!condition) {
        abort();
    }
}

static unsigned entry_bytes(const struct guest *guest)
{
    return guest->paging == VMMU_X86_PAGING_32BIT ? 4 : 8;
}

static unsigned levels_of(enum vmmu_x86_paging paging)
{
    return paging == VMMU_X86_PAGING_32BIT ? 2 : (unsigned)paging + 1;
}

uint64_t guest_entry_at(const struct guest *guest, unsigned space, unsigned level, uint64_t address)
{
    const unsigned bits = entry_bytes(guest) == 4 ? 10 : 9;
    const uint64_t index = (address >> (12 + bits * (level - 1))) & ((1U << bits) - 1);

    return TABLE(space, level) + index * entry_bytes(guest);
}

void guest_put(struct guest *guest, unsigned space, unsigned level, uint64_t address, uint64_t value)
{
    reference_store(guest->reference, guest_entry_at(guest, space, level, address), entry_bytes(guest),
                    value);
}

uint64_t guest_cr3(const struct guest *guest, unsigned space, unsigned pcid)
{
    return TABLE(space, levels_of(guest->paging)) | pcid;
}

/* Link the tables of @space along VA. PDPTEs have neither rights nor an accessed bit. */
static void link_tables(struct guest *guest, unsigned space)
{
    for (unsigned level = levels_of(guest->paging); level > 1; level--) {
        const bool pdpte = guest->paging == VMMU_X86_PAGING_PAE && level == 3;

        guest_put(guest, space, level, VA, TABLE(space, level - 1) | (pdpte ? E_P : E_LINK));
    }
}

static void enable_paging(struct guest *guest, unsigned vp)
{
    const bool long_mode = guest->paging >= VMMU_X86_PAGING_4LEVEL;
    const uint64_t cr4 = VMMU_X86_CR4_PSE | VMMU_X86_CR4_PGE |
                         (guest->paging > VMMU_X86_PAGING_32BIT ? VMMU_X86_CR4_PAE : 0) |
                         (guest->paging == VMMU_X86_PAGING_5LEVEL ? VMMU_X86_CR4_LA57 : 0);
    const uint64_t efer =
        (guest->paging > VMMU_X86_PAGING_32BIT ? VMMU_X86_EFER_NXE : 0) | (long_mode ? VMMU_X86_EFER_LME : 0);
    struct reference *reference = guest->reference;

    must(reference_cr3(reference, vp, guest_cr3(guest, 0, 0)) == VMMU_OK);
    must(reference_cr4(reference, vp, cr4) == VMMU_OK);
    must(reference_efer(reference, vp, efer) == VMMU_OK);
    must(reference_cr0(reference, vp, VMMU_X86_CR0_PG | VMMU_X86_CR0_PE | VMMU_X86_CR0_WP) == VMMU_OK);
    if (long_mode) {
        must(reference_cr4(reference, vp, cr4 | VMMU_X86_CR4_PCIDE) == VMMU_OK);
    }
}

void guest_start(struct guest *guest, enum guest_vendor vendor, enum vmmu_x86_paging paging, unsigned vps)
{
    guest->paging = paging;
    guest->reference = reference_create(&cpu, vendor == INTEL, vps);
    must(guest->reference != NULL);
    for (unsigned space = 0; space < 4; space++) {
        link_tables(guest, space);
    }
    for (unsigned vp = 0; vp < vps; vp++) {
        enable_paging(guest, vp);
    }
}

void guest_stop(struct guest *guest)
{
    reference_destroy(guest->reference);
}

void guest_mov_cr3(struct guest *guest, uint64_t value)
{
    must(reference_cr3(guest->reference, 0, value) == VMMU_OK);
}

void guest_toggle_cr0(struct guest *guest, uint64_t bits)
{
    const uint64_t now = reference_registers(guest->reference, 0)->cr0;

    must(reference_cr0(guest->reference, 0, now ^ bits) == VMMU_OK);
}

void guest_toggle_cr4(struct guest *guest, uint64_t bits)
{
    const uint64_t now = reference_registers(guest->reference, 0)->cr4;

    must(reference_cr4(guest->reference, 0, now ^ bits) == VMMU_OK);
}

void guest_toggle_efer(struct guest *guest, uint64_t bits)
{
    const uint64_t now = reference_registers(guest->reference, 0)->efer;

    must(reference_efer(guest->reference, 0, now ^ bits) == VMMU_OK);
}

void guest_invpcid(struct guest *guest, unsigned type, unsigned pcid, uint64_t address)
{
    must(reference_invpcid(guest->reference, 0, type, pcid, address) == VMMU_OK);
}

enum reference_answer guest_judge(struct guest *guest, struct reference_access access,
                                  struct reference_result result)
{
    return reference_judge(guest->reference, &access, &result);
}

struct reference_result guest_page_fault(uint64_t address, uint32_t error_code)
{
    return (struct reference_result){ .end = END_FAULTS,
                                      .fault = { .vector = VMMU_X86_VECTOR_PF,
                                                 .has_error_code = true,
                                                 .error_code = error_code,
                                                 .cr2 = address } };
}

static bool may_reach(struct guest *guest, uint64_t address, enum vmmu_x86_access_kind kind, uint64_t gpa)
{
    const struct reference_access access = { .address = address, .access = { .kind = kind } };

    return guest_judge(guest, access, (struct reference_result){ .end = END_REACHES, .gpa = gpa }) ==
           PERMITTED;
}

bool may_read(struct guest *guest, uint64_t address, uint64_t gpa)
{
    return may_reach(guest, address, VMMU_X86_READ, gpa);
}

bool may_write(struct guest *guest, uint64_t address, uint64_t gpa)
{
    return may_reach(guest, address, VMMU_X86_WRITE, gpa);
}

bool may_fetch(struct guest *guest, uint64_t address, uint64_t gpa)
{
    return may_reach(guest, address, VMMU_X86_EXECUTE, gpa);
}

bool may_fault(struct guest *guest, uint64_t address, enum vmmu_x86_access_kind kind, uint32_t error_code)
{
    const struct reference_access access = { .address = address, .access = { .kind = kind } };

    return guest_judge(guest, access, guest_page_fault(address, error_code)) == PERMITTED;
}
