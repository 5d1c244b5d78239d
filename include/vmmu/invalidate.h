/*
 * What happens on an x86 processor, as scopes of the software TLB: which cached translations an instruction
 * or an event removes.
 *
 * The scopes are what the manuals guarantee and no more. A processor may remove anything else at any time,
 * and a simulator may too; whoever judges software must assume that it does not.
 *
 * The functions are told where the processor is (its tags) and the registers that it had just before. They
 * check operands, never privilege: #UD and the #GP of a privilege level are the caller's, as are checks of
 * a control register's new value (vmmu_mode_check_cr0 and its kin).
 *
 * A task switch that changes CR3 is a MOV to CR3 of the new value. No write of EFER, PKRU or IA32_PKRS
 * removes anything.
 *
 * Everything here is pure: no state, safe to call at any time from anywhere.
 *
 * Spec: SDM 3A "Caching Translation Information", SDM 3C "Caching Translation Information"; APM 2
 * "Translation-Lookaside Buffer (TLB)", "TLB Control".
 */
#ifndef VMMU_INVALIDATE_H
#define VMMU_INVALIDATE_H

#include <vmmu/base.h>
#include <vmmu/mode.h>
#include <vmmu/tlb.h>

/* AMD: invalidations of one page leave alone cached table entries that do not lead to it. */
#define VMMU_X86_EFER_TCE BIT64(15)

enum vmmu_x86_vendor {
    VMMU_X86_INTEL,
    VMMU_X86_AMD,
};

/* Where a processor is, as its TLB sees it. All zero but for the vendor: in the host. */
struct vmmu_x86_tags {
    enum vmmu_x86_vendor vendor;
    bool tagged;     /* in a guest with VPID enabled, or with an ASID, which AMD always demands */
    bool nested;     /* a second stage is in use */
    uint16_t space;  /* VPID or ASID; 0 unless tagged */
    uint64_t stage2; /* nested: EP4TA, the address bits of the EPTP; AMD: 0, for nCR3 is no tag */
};

/* Under what a translation is cached. */
struct vmmu_x86_cache_key {
    uint8_t kind; /* VMMU_TLB_LINEAR, VMMU_TLB_GUEST_PHYSICAL or VMMU_TLB_COMBINED */
    struct vmmu_tlb_tag tag;
};

/* Operands of INVPCID, INVVPID and INVEPT: the register, and the 128-bit descriptor, low half first. */
struct vmmu_x86_invalidation {
    uint64_t type;
    uint64_t descriptor[2];
    /*
     * No operand, and for INVPCID type 0 alone: size of the page that the tables of the descriptor's PCID map
     * at the address now, as for vmmu_invalidate_invlpg; 0 if none is known, which means VMMU_PAGE_BYTES.
     */
    uint64_t page_bytes;
};

/* INVPCID types. Descriptor: PCID in bits 11:0, linear address in the upper half. */
#define VMMU_X86_INVPCID_ADDRESS                    0
#define VMMU_X86_INVPCID_CONTEXT                    1
#define VMMU_X86_INVPCID_ALL_WITH_GLOBALS           2
#define VMMU_X86_INVPCID_ALL                        3

/* INVVPID types. Descriptor: VPID in bits 15:0, linear address in the upper half. */
#define VMMU_X86_INVVPID_ADDRESS                    0
#define VMMU_X86_INVVPID_CONTEXT                    1
#define VMMU_X86_INVVPID_ALL                        2
#define VMMU_X86_INVVPID_CONTEXT_RETAINING_GLOBALS  3

/* INVEPT types. Descriptor: EPTP in the lower half. */
#define VMMU_X86_INVEPT_CONTEXT                     1
#define VMMU_X86_INVEPT_ALL                         2

/* TLB_CONTROL of a VMCB. */
#define VMMU_X86_TLB_CONTROL_NOTHING                0
#define VMMU_X86_TLB_CONTROL_ALL                    1
#define VMMU_X86_TLB_CONTROL_ASID                   3
#define VMMU_X86_TLB_CONTROL_ASID_RETAINING_GLOBALS 7

/* EP4TA: the part of an EPTP that is a tag. Two EPTPs that differ in other bits only share mappings. */
static inline uint64_t vmmu_invalidate_ep4ta(uint64_t eptp)
{
    return eptp & BITS64(51, 12);
}

/* The current PCID: 0 unless CR4.PCIDE. */
static inline uint16_t vmmu_invalidate_pcid(const struct vmmu_x86_paging_registers *now)
{
    return (uint16_t)((now->cr4 & VMMU_X86_CR4_PCIDE) ? now->cr3 & BITS64(11, 0) : 0);
}

/**
 * Under what translations of linear addresses, and the entries of the guest's tables that led to them, are
 * cached and found now: linear mappings, or combined ones under a second stage. @pcid is the current PCID.
 *
 * Spec: SDM 3C "Information That May Be Cached", "Creating and Using Cached Translation Information"; APM 2
 * "Address Space Identifier".
 */
struct vmmu_x86_cache_key vmmu_invalidate_linear_key(const struct vmmu_x86_tags *tags, uint16_t pcid);

/**
 * Under what translations of guest-physical addresses, and the entries of the second stage that led to them,
 * are cached and found now. Intel: by EP4TA alone, shared by all VPIDs; AMD: by ASID. Only under a second
 * stage.
 *
 * Spec: SDM 3C "Information That May Be Cached"; APM 2 "Nested Paging".
 */
struct vmmu_x86_cache_key vmmu_invalidate_guest_physical_key(const struct vmmu_x86_tags *tags);

/**
 * INVLPG of @address: translations of its page under the current PCID, global ones under any; and every
 * paging-structure entry of the current PCID (with AMD's EFER.TCE: those that lead to the address). In the
 * current VPID or ASID; under every EP4TA. Nothing if the address is not canonical.
 *
 * @page_bytes: size of the page that the guest's tables map there now, VMMU_PAGE_BYTES if none: where a
 * processor keeps a large page as several translations of fragments, all of them go. For a TLB that never
 * does so, VMMU_PAGE_BYTES is the exact minimum. An entry of any size that covers the address goes anyway.
 *
 * Spec: SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches", "Details of TLB Use"; SDM 3C
 * "Operations that Invalidate Cached Mappings"; APM 3 INVLPG, APM 2 "Translation Cache Extension".
 */
struct vmmu_tlb_scopes vmmu_invalidate_invlpg(const struct vmmu_x86_tags *tags,
                                              const struct vmmu_x86_paging_registers *now, vmmu_gva address,
                                              uint64_t page_bytes);

/**
 * MOV of @value, with its bit 63, to CR3: what stands under the PCID that @value names (0 unless CR4.PCIDE),
 * but for global translations; nothing with bit 63 under CR4.PCIDE.
 *
 * Spec: SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches"; APM 2 "TLB Management".
 */
struct vmmu_tlb_scopes vmmu_invalidate_mov_cr3(const struct vmmu_x86_tags *tags,
                                               const struct vmmu_x86_paging_registers *now, uint64_t value);

/**
 * CR0 goes to @value: everything goes if PG changes, global translations under every PCID too; nothing
 * otherwise.
 *
 * Spec: SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches", "Invalidating the Translation
 * Lookaside Buffers (TLBs)"; APM 2 "TLB Management".
 */
struct vmmu_tlb_scopes vmmu_invalidate_cr0(const struct vmmu_x86_tags *tags,
                                           const struct vmmu_x86_paging_registers *now, uint64_t value);

/**
 * CR4 goes to @value: everything goes if PGE changes or PCIDE is cleared; with AMD also if PAE or PSE changes
 * or PKE is set. Intel: if PAE changes or SMEP is set, all under the current PCID, its global translations
 * too.
 *
 * Spec: SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches"; APM 2 "TLB Management".
 */
struct vmmu_tlb_scopes vmmu_invalidate_cr4(const struct vmmu_x86_tags *tags,
                                           const struct vmmu_x86_paging_registers *now, uint64_t value);

/**
 * INVPCID. Type 0: translations of the page at the descriptor's address under its PCID, but no global ones,
 * and the paging-structure entries that lead there (AMD without EFER.TCE: all of the PCID); 1: all under its
 * PCID but global translations; 2: all; 3: all but global translations. In the current VPID or ASID.
 *
 * Returns
 *   VMMU_OK           *out
 *   VMMU_GUEST_FAULT  #GP(0): a type above 3, a reserved bit of the descriptor, types 0 and 1 with a PCID
 *                     while CR4.PCIDE is clear, type 0 with an address that is not canonical; *out is empty
 *
 * Spec: SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches", SDM 2 "INVPCID-Invalidate
 * Process-Context Identifier"; APM 3 INVPCID, APM 2 "Translation Cache Extension".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_invalidate_invpcid(const struct vmmu_x86_tags *tags, const struct vmmu_x86_cpu *cpu,
                                         const struct vmmu_x86_paging_registers *now,
                                         const struct vmmu_x86_invalidation *operands,
                                         struct vmmu_tlb_scopes *out);

/**
 * A page fault at @address, by the guest's own tables: translations of its page, global ones under any PCID,
 * and the paging-structure entries that lead to it. So a fault that memory does not justify cannot come
 * again. @page_bytes as for vmmu_invalidate_invlpg.
 *
 * Spec: SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches"; APM 2 "TLB Management".
 */
struct vmmu_tlb_scopes vmmu_invalidate_page_fault(const struct vmmu_x86_tags *tags,
                                                  const struct vmmu_x86_paging_registers *now,
                                                  vmmu_gva address, uint64_t page_bytes);

/**
 * INVVPID. Type 0: what translates the descriptor's address under its VPID; 1: all under its VPID; 2: all
 * but VPID 0; 3: all under its VPID but global translations. Linear and combined mappings, of every PCID and
 * EP4TA; never guest-physical ones.
 *
 * Returns
 *   VMMU_OK       *out
 *   VMMU_INVALID  VMfail: a type above 3, a reserved bit of the descriptor, VPID 0 in other types than 2,
 *                 type 0 with an address that is not canonical; *out is empty
 *
 * Spec: SDM 3C "INVVPID-Invalidate Translations Based on VPID", "Operations that Invalidate Cached Mappings".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_invalidate_invvpid(const struct vmmu_x86_cpu *cpu,
                                         const struct vmmu_x86_invalidation *operands,
                                         struct vmmu_tlb_scopes *out);

/**
 * INVEPT. Type 1: guest-physical and combined mappings of the descriptor's EP4TA; 2: of every EP4TA. Of
 * every VPID and PCID, global translations too; never linear mappings.
 *
 * Returns
 *   VMMU_OK       *out
 *   VMMU_INVALID  VMfail: another type, or type 1 with an EPTP that VM entry would refuse; *out is empty
 *
 * Spec: SDM 3C "INVEPT-Invalidate Translations Derived from EPT", "Operations that Invalidate Cached
 * Mappings".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_invalidate_invept(const struct vmmu_x86_cpu *cpu,
                                        const struct vmmu_x86_invalidation *operands,
                                        struct vmmu_tlb_scopes *out);

/**
 * The second stage refused an access to @gpa, by an EPT violation or a nested page fault: what translates
 * @gpa goes; and, if @gpa was the translation of @linear (else NULL), what translates that by both stages
 * under the current PCID and second stage. So a refusal that memory does not justify cannot come again. Only
 * under a second stage. An EPT misconfiguration removes nothing.
 *
 * Spec: SDM 3C "Operations that Invalidate Cached Mappings"; APM 2 "TLB Management".
 */
struct vmmu_tlb_scopes vmmu_invalidate_stage2_fault(const struct vmmu_x86_tags *tags,
                                                    const struct vmmu_x86_paging_registers *now, vmmu_gpa gpa,
                                                    const vmmu_gva *linear);

/**
 * VM entry to, or VM exit from, a guest with @tags. Intel, without VPID: every linear and combined mapping of
 * VPID 0, global ones too, of every PCID and EP4TA. Else nothing: AMD's VMRUN is vmmu_invalidate_vmrun, and
 * its #VMEXIT removes nothing.
 *
 * Spec: SDM 3C "Operations that Invalidate Cached Mappings", "Updating Non-Register State".
 */
struct vmmu_tlb_scopes vmmu_invalidate_vm_transition(const struct vmmu_x86_tags *tags);

/**
 * INVLPGA of @address and @asid: translations of the address's page in that address space, of every PCID,
 * global ones too, and the paging-structure entries that lead to it; never guest-physical mappings.
 * @page_bytes as for vmmu_invalidate_invlpg.
 *
 * Spec: APM 3 INVLPGA; APM 2 "Invalidate Page, Alternate ASID".
 */
struct vmmu_tlb_scopes vmmu_invalidate_invlpga(vmmu_gva address, uint16_t asid, uint64_t page_bytes);

/**
 * VMRUN of a guest with @asid and TLB_CONTROL @control: nothing; everything of every ASID; all of this ASID,
 * its guest-physical mappings too; of this ASID, the translations of linear addresses that are not global
 * and the paging-structure entries behind them.
 *
 * Returns
 *   VMMU_OK       *out
 *   VMMU_INVALID  ASID 0 or a reserved @control; *out is empty
 *
 * Spec: APM 2 "TLB Control", "TLB Flush".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_invalidate_vmrun(uint16_t asid, uint8_t control, struct vmmu_tlb_scopes *out);

#endif
