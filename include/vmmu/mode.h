/*
 * Paging now: the control registers of one virtual processor, turned once into an immutable description that
 * walks use; and the rules by which those registers may change.
 *
 * Make one when CR0, CR3, CR4, EFER, PKRU, PKRS or the PDPTE registers change; share it
 * freely; it holds no pointer.
 *
 * Everything here is pure but for the loads that vmmu_mode_load_pdptes makes; safe at any time from anywhere.
 */
#ifndef VMMU_MODE_H
#define VMMU_MODE_H

#include <vmmu/base.h>
#include <vmmu/format.h>
#include <vmmu/host.h>

#define VMMU_X86_CR0_PE         BIT64(0)
#define VMMU_X86_CR0_MP         BIT64(1)
#define VMMU_X86_CR0_EM         BIT64(2)
#define VMMU_X86_CR0_TS         BIT64(3)
#define VMMU_X86_CR0_ET         BIT64(4)
#define VMMU_X86_CR0_NE         BIT64(5)
#define VMMU_X86_CR0_WP         BIT64(16)
#define VMMU_X86_CR0_AM         BIT64(18)
#define VMMU_X86_CR0_NW         BIT64(29)
#define VMMU_X86_CR0_CD         BIT64(30)
#define VMMU_X86_CR0_PG         BIT64(31)

#define VMMU_X86_CR4_VME        BIT64(0)
#define VMMU_X86_CR4_PVI        BIT64(1)
#define VMMU_X86_CR4_TSD        BIT64(2)
#define VMMU_X86_CR4_DE         BIT64(3)
#define VMMU_X86_CR4_PSE        BIT64(4)
#define VMMU_X86_CR4_PAE        BIT64(5)
#define VMMU_X86_CR4_MCE        BIT64(6)
#define VMMU_X86_CR4_PGE        BIT64(7)
#define VMMU_X86_CR4_PCE        BIT64(8)
#define VMMU_X86_CR4_OSFXSR     BIT64(9)
#define VMMU_X86_CR4_OSXMMEXCPT BIT64(10)
#define VMMU_X86_CR4_UMIP       BIT64(11)
#define VMMU_X86_CR4_LA57       BIT64(12)
#define VMMU_X86_CR4_VMXE       BIT64(13)
#define VMMU_X86_CR4_FSGSBASE   BIT64(16)
#define VMMU_X86_CR4_PCIDE      BIT64(17)
#define VMMU_X86_CR4_OSXSAVE    BIT64(18)
#define VMMU_X86_CR4_SMEP       BIT64(20)
#define VMMU_X86_CR4_SMAP       BIT64(21)
#define VMMU_X86_CR4_PKE        BIT64(22)
#define VMMU_X86_CR4_CET        BIT64(23)
#define VMMU_X86_CR4_PKS        BIT64(24)

#define VMMU_X86_EFER_SCE       BIT64(0)
#define VMMU_X86_EFER_LME       BIT64(8)
#define VMMU_X86_EFER_LMA       BIT64(10)
#define VMMU_X86_EFER_NXE       BIT64(11)
#define VMMU_X86_EFER_SVME      BIT64(12)
#define VMMU_X86_EFER_FFXSR     BIT64(14)

/* How the first table is cached; while CR4.PCIDE is set, bits of the PCID. */
#define VMMU_X86_CR3_PWT        BIT64(3)
#define VMMU_X86_CR3_PCD        BIT64(4)

/* MOV to CR3 with this bit, under CR4.PCIDE, keeps the TLB entries of the PCID. Never stored. */
#define VMMU_X86_CR3_NO_FLUSH   BIT64(63)

/* What the virtual processor offers, as CPUID told the guest. */
struct vmmu_x86_cpu {
    uint8_t maxphyaddr; /* physical-address width in bits, 32 to 52 */
    bool pse;
    bool pse36;
    bool pae;
    bool pge;
    bool nx;
    bool long_mode;
    bool gib_pages; /* 1 GiB leaves */
    bool la57;
    bool smep;
    bool smap;
    bool pku;
    bool pks;
    bool pcid;
    bool bit8_reserved;   /* AMD: bit 8 of PML4 and PML5 entries must be zero */
    uint64_t cr4_others;  /* CR4 bits offered that have nothing to do with paging: VME, DE, OSFXSR... */
    uint64_t efer_others; /* EFER bits offered besides LME, LMA and NXE: SCE... */
};

/*
 * A processor that offers everything, with addresses of 52 bits: where nobody can tell what a machine had, as of one whose memory
 * lies in a file, no entry is called malformed for using a feature. Bit 8 of PML4 and PML5 entries is not reserved in it.
 */
extern const struct vmmu_x86_cpu vmmu_x86_any_cpu;

/* The registers that decide how linear addresses translate. Values as the guest would read them. */
struct vmmu_x86_paging_registers {
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    uint64_t pdpte[4]; /* the PDPTE registers; used only if !pdpte_in_memory */
    uint32_t pkru;
    uint32_t pkrs;
    bool pdpte_in_memory; /* PAE PDPTEs are fetched at each walk (as under NPT), not held as registers */
};

enum vmmu_x86_paging {
    VMMU_X86_PAGING_NONE,
    VMMU_X86_PAGING_32BIT,
    VMMU_X86_PAGING_PAE,
    VMMU_X86_PAGING_4LEVEL,
    VMMU_X86_PAGING_5LEVEL,
};

/* Made by vmmu_mode_make; read it, never change it. */
struct vmmu_x86_mode {
    enum vmmu_x86_paging paging;
    uint16_t pcid;        /* 0 unless CR4.PCIDE */
    uint8_t address_bits; /* linear-address width that is translated: 32, 48 or 57 */
    bool write_protect;   /* CR0.WP */
    bool smep;
    bool smap;
    bool global_pages; /* CR4.PGE */
    bool nx;           /* NX counts: EFER.NXE, and a format that has the bit */
    bool fetch_code;   /* page-fault error codes tell instruction fetches */
    bool user_keys;    /* PKRU governs user pages: CR4.PKE in long mode */
    bool system_keys;  /* PKRS governs supervisor pages: CR4.PKS in long mode */
    bool pdpte_in_memory;
    uint32_t pkru;
    uint32_t pkrs;
    struct vmmu_x86_layout layout; /* meaningful unless paging is NONE */
    vmmu_gpa root;                 /* the root table; for PAE the four PDPTEs in memory */
    uint64_t pdpte[4];             /* PAE, if !pdpte_in_memory */
};

/* What an access is, for the purpose of rights. */
enum vmmu_x86_access_kind {
    VMMU_X86_READ,
    VMMU_X86_WRITE,
    VMMU_X86_EXECUTE, /* an instruction fetch */
};

/* What a walk does to accessed and dirty bits. */
enum vmmu_x86_marks {
    VMMU_X86_MARKS_LEAVE,      /* nothing: an observer's walk */
    VMMU_X86_MARKS_AS_IT_GOES, /* as a processor: what was set before a fault stays set */
    VMMU_X86_MARKS_ON_SUCCESS, /* only once the whole walk has succeeded */
};

struct vmmu_x86_access {
    enum vmmu_x86_access_kind kind;
    enum vmmu_x86_marks marks;
    bool user;      /* a user-mode access: CPL 3, and not implicit */
    bool implicit;  /* an implicit supervisor access (descriptor tables, TSS...): EFLAGS.AC does not count */
    bool eflags_ac; /* EFLAGS.AC, for SMAP */
    bool shadow_stack; /* reserved: must be false */
};

#define VMMU_X86_VECTOR_SS   12
#define VMMU_X86_VECTOR_GP   13
#define VMMU_X86_VECTOR_PF   14

/* Error code of a page fault. */
#define VMMU_X86_PF_PRESENT  UINT32_C(0x01)
#define VMMU_X86_PF_WRITE    UINT32_C(0x02)
#define VMMU_X86_PF_USER     UINT32_C(0x04)
#define VMMU_X86_PF_RESERVED UINT32_C(0x08)
#define VMMU_X86_PF_FETCH    UINT32_C(0x10)
#define VMMU_X86_PF_KEY      UINT32_C(0x20)

/* A fault of the guest's own, ready to inject. */
struct vmmu_x86_fault {
    uint8_t vector; /* 14: #PF, 13: #GP, 12: #SS ... */
    bool has_error_code;
    uint32_t error_code;
    uint64_t cr2; /* the faulting linear address, for #PF only */
};

/**
 * Describe how @registers translate on @cpu.
 *
 * Returns
 *   VMMU_OK       *out
 *   VMMU_INVALID  no such state can exist: a width out of range, a bit that @cpu does not offer, PG without
 *                 PE, NW without CD, LMA other than LME and PG, long mode without PAE, PCIDE outside long
 *                 mode, CET without WP, reserved bits in CR3 or in a present PDPTE register. *out is
 *                 unchanged
 *
 * Spec: SDM 3A "Paging Modes and Control Bits", "PAE Paging"; APM 2 "Canonicalization
 * and Consistency Checks".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_mode_make(const struct vmmu_x86_cpu *cpu,
                                const struct vmmu_x86_paging_registers *registers, struct vmmu_x86_mode *out);

/**
 * Describe how a processor translates of which no more is known than the kind of paging and CR3, as of one whose memory lies in a
 * file: it offers everything, addresses have 52 bits, CR0.WP is set, EFER.NXE wherever the format has the bit, and neither
 * SMEP, SMAP nor protection keys are on. PDPTEs are read from memory.
 *
 * Returns
 *   VMMU_OK       *out
 *   VMMU_INVALID  no such CR3 can be: a bit above the physical width, or above 32 outside long mode. *out is unchanged
 */
VMMU_MUST_USE
enum vmmu_status vmmu_mode_assume(enum vmmu_x86_paging paging, uint64_t cr3, struct vmmu_x86_mode *out);

/*
 * Turn @registers into ones that select @paging: CR0.PE and PG, CR4.PAE and LA57, EFER.LME and LMA, with EFER.NXE wherever the
 * format has the bit, and CR4.PSE with 32-bit paging. Outside long mode CR4.PCIDE and the upper half of CR3 go; all others stay.
 */
void vmmu_mode_select(enum vmmu_x86_paging paging, struct vmmu_x86_paging_registers *registers);

/* @mode but for what stops a supervisor's read: SMAP and protection keys. For who looks, and is not the guest. */
static inline struct vmmu_x86_mode vmmu_mode_open(const struct vmmu_x86_mode *mode)
{
    struct vmmu_x86_mode open = *mode;

    open.smap = false;
    open.user_keys = false;
    open.system_keys = false;
    return open;
}

/* CR4 bits that software may set on @cpu. */
uint64_t vmmu_mode_cr4_offered(const struct vmmu_x86_cpu *cpu);

/* EFER bits that may be one on @cpu, LMA among them. */
uint64_t vmmu_mode_efer_offered(const struct vmmu_x86_cpu *cpu);

/**
 * Whether MOV to CR0 of @value is accepted, with the other registers as they are in @now. @cs_long says that
 * CS.L is set. No feature of the processor matters. That long mode must not be entered with a 16-bit TSS is
 * the caller's to check.
 *
 * A value that is accepted may still fail to load PDPTEs: see vmmu_mode_loads_pdptes. What is to be stored is
 * vmmu_mode_cr0_stored(value).
 *
 * Returns
 *   VMMU_OK           it is accepted
 *   VMMU_GUEST_FAULT  the instruction raises #GP(0)
 *
 * Spec: SDM 2 "MOV - Move to/from Control Registers", SDM 3A "Control Registers"; APM 2 "CR0 Register".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_mode_check_cr0(const struct vmmu_x86_paging_registers *now, uint64_t value,
                                     bool cs_long);

/**
 * Whether MOV to CR3 of @value is accepted: no bit at or above the physical width, save bit 63 under
 * CR4.PCIDE. Under PAE the PDPTEs must load too. What is to be stored is vmmu_mode_cr3_stored(value).
 *
 * Returns
 *   VMMU_OK           it is accepted
 *   VMMU_GUEST_FAULT  the instruction raises #GP(0)
 */
VMMU_MUST_USE
enum vmmu_status vmmu_mode_check_cr3(const struct vmmu_x86_cpu *cpu,
                                     const struct vmmu_x86_paging_registers *now, uint64_t value);

/**
 * Whether MOV to CR4 of @value is accepted, with the other registers as they are in @now. Under PAE the
 * PDPTEs may have to load too.
 *
 * Returns
 *   VMMU_OK           it is accepted
 *   VMMU_GUEST_FAULT  the instruction raises #GP(0)
 */
VMMU_MUST_USE
enum vmmu_status vmmu_mode_check_cr4(const struct vmmu_x86_cpu *cpu,
                                     const struct vmmu_x86_paging_registers *now, uint64_t value);

/**
 * Whether WRMSR to EFER of @value is accepted. LMA in @value does not count: it is read-only, and a write to
 * it is ignored. What is to be stored is vmmu_mode_efer_stored(now, value).
 *
 * Returns
 *   VMMU_OK           it is accepted
 *   VMMU_GUEST_FAULT  the instruction raises #GP(0)
 */
VMMU_MUST_USE
enum vmmu_status vmmu_mode_check_efer(const struct vmmu_x86_cpu *cpu,
                                      const struct vmmu_x86_paging_registers *now, uint64_t value);

/* What CR0 holds after an accepted write: bits that do not exist read as zero, ET as one. */
uint64_t vmmu_mode_cr0_stored(uint64_t value);

/* What CR3 holds after an accepted write: bit 63 is an order, not a value. */
static inline uint64_t vmmu_mode_cr3_stored(uint64_t value)
{
    return value & ~VMMU_X86_CR3_NO_FLUSH;
}

/* What EFER holds after an accepted write: LMA stays. */
static inline uint64_t vmmu_mode_efer_stored(uint64_t efer_now, uint64_t value)
{
    return (value & ~VMMU_X86_EFER_LMA) | (efer_now & VMMU_X86_EFER_LMA);
}

/* EFER as a write of @cr0 leaves it: LMA follows LME and PG. */
static inline uint64_t vmmu_mode_efer_with_cr0(uint64_t efer, uint64_t cr0)
{
    const bool active = (efer & VMMU_X86_EFER_LME) && (cr0 & VMMU_X86_CR0_PG);

    return active ? efer | VMMU_X86_EFER_LMA : efer & ~VMMU_X86_EFER_LMA;
}

/* Which paging the control registers select. Meaningful for states that vmmu_mode_make accepts. */
enum vmmu_x86_paging vmmu_mode_paging(uint64_t cr0, uint64_t cr4, uint64_t efer);

/* Guest-physical address of the root table that @cr3 names under @paging. */
vmmu_gpa vmmu_mode_root(enum vmmu_x86_paging paging, uint64_t cr3);

/**
 * Whether going from @now to @next by a MOV to CR0 or CR4 loads the PDPTE registers: PAE paging is on
 * afterwards, and CD, NW or PG of CR0, or PAE, PGE, PSE or SMEP of CR4, changed. A MOV to CR3 under PAE
 * paging always does.
 *
 * Spec: SDM 3A "PDPTE Registers".
 */
bool vmmu_mode_loads_pdptes(const struct vmmu_x86_paging_registers *now,
                            const struct vmmu_x86_paging_registers *next);

/**
 * Load the four PDPTEs that @cr3 names, and check them. pdpte[] is written only on
 * VMMU_OK. Four 8-byte loads.
 *
 * Returns
 *   VMMU_OK           pdpte[]
 *   VMMU_GUEST_FAULT  a present one has a reserved bit set: the MOV raises #GP(0) and changes nothing
 *   VMMU_ABSENT       there is no memory there
 *
 * Spec: SDM 3A "PDPTE Registers".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_mode_load_pdptes(const struct vmmu_x86_cpu *cpu, const struct vmmu_ram *ram,
                                       uint64_t cr3, uint64_t pdpte[4]);

#endif
