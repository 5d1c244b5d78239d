/*
 * Paging now: the control registers of one virtual processor, turned once into an immutable description that walks use.
 *
 * Make one when CR0, CR3, CR4, EFER, PKRU, PKRS or the PDPTE registers change; share it freely; it holds no pointer.
 */
#ifndef VMMU_MODE_H
#define VMMU_MODE_H

#include <vmmu/base.h>

/* What the virtual processor offers, as CPUID told the guest. */
struct vmmu_x86_cpu {
    uint8_t maxphyaddr; /* physical-address width in bits, 32 to 52 */
    bool pse;
    bool pse36;
    bool pae;
    bool nx;
    bool gib_pages; /* 1 GiB leaves */
    bool la57;
    bool smep;
    bool smap;
    bool pku;
    bool pks;
    bool pcid;
};

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
    bool user;         /* a user-mode access: CPL 3, and not implicit */
    bool implicit;     /* an implicit supervisor access (descriptor tables, TSS...): EFLAGS.AC does not count */
    bool eflags_ac;    /* EFLAGS.AC, for SMAP */
    bool shadow_stack; /* reserved: must be false */
};

/* A fault of the guest's own, ready to inject. */
struct vmmu_x86_fault {
    uint8_t vector; /* 14: #PF, 13: #GP, 12: #SS ... */
    bool has_error_code;
    uint32_t error_code;
    uint64_t cr2; /* the faulting linear address, for #PF only */
};

#endif
