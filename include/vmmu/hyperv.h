/*
 * What Hyper-V's specification (the TLFS) gives a guest, as far as it stands: discovery, time, APIC access,
 * lazy EOI and the virtual MMU's hypercalls.
 *
 * Every function decides and returns what must be done as data; none touches guest memory, a local APIC or a
 * clock. A partition's record is shared by its virtual processors: calls that change it must not run at the
 * same time. A virtual processor's record belongs to whoever runs that processor.
 */
#ifndef VMMU_HYPERV_H
#define VMMU_HYPERV_H

#include <vmmu/base.h>

/* Most virtual processors that one partition may have here: one bit each in a flush request. */
#define VMMU_HYPERV_VPS 64

/* The instruction by which the hypercall page enters the hypervisor. */
enum vmmu_hyperv_call_instruction {
    VMMU_HYPERV_VMMCALL, /* AMD */
    VMMU_HYPERV_VMCALL,  /* Intel */
};

/* --- policies: what the specification leaves open about the virtual MMU, chosen for each partition --- */

/* What becomes of a cache control that the virtual MMU may support or not. */
enum vmmu_hyperv_cache_policy {
    VMMU_HYPERV_CACHE_IGNORE, /* it has no effect; where it is a register's bit, this reads as zero */
    VMMU_HYPERV_CACHE_MESSAGE, /* the parent is told of an unsupported feature, and the virtual processor suspended */
    VMMU_HYPERV_CACHE_HONOR,
};

/* Spec: TLFS "Virtual MMU and Caching". */
struct vmmu_hyperv_policy {
    enum vmmu_hyperv_cache_policy cr3_cache;   /* CR3.PWT and PCD, by MOV and by task switch: ignore, honor */
    enum vmmu_hyperv_cache_policy table_cache; /* PWT, PCD and PAT of entries that lead to tables */
    enum vmmu_hyperv_cache_policy cr0_cd;
    bool pat_of_partition; /* IA32_PAT is one register for all virtual processors; else each has its own */
    bool shadow_sharing;   /* a shadow page may serve several virtual processors */
    bool
        empty_set_is_error; /* a flush of no processor is an error (TLFS 2.0a), not one of all (what guests expect) */
};

/**
 * The policies unless others are asked for. @second_level: the processor walks the guest's own tables and honours what they
 * and CR3 say of caches by itself, so that ignoring it would take work.
 */
struct vmmu_hyperv_policy vmmu_hyperv_policy_default(bool second_level);

/* What a partition is given. Borrowed by nothing: copied at initialization. */
struct vmmu_hyperv_config {
    uint64_t tsc_hz;       /* the guest's time-stamp counter; above 10 MHz */
    uint64_t apic_hz;      /* the local APIC timer's input clock, before the divider */
    uint32_t vp_count;     /* 1 to VMMU_HYPERV_VPS */
    uint8_t maxphyaddr;    /* bits of a guest-physical address; overlays beyond raise #GP */
    bool tsc_is_invariant; /* the TSC never stops or changes its rate: offer TSC_INVARIANT_CONTROL */
    bool apic_msrs;        /* offer and recommend EOI, ICR and TPR by MSR, with the VP assist page */
    bool second_level;     /* guest memory is under nested paging; discovery says so */
    struct vmmu_hyperv_policy policy;
    enum vmmu_hyperv_call_instruction call_instruction;
};

/* One partition's state: the MSRs that all its virtual processors share. */
struct vmmu_hyperv_partition {
    struct vmmu_hyperv_config config;
    uint64_t guest_os_id;
    uint64_t hypercall;     /* HV_X64_MSR_HYPERCALL */
    uint64_t reference_tsc; /* HV_X64_MSR_REFERENCE_TSC */
    uint64_t tsc_invariant_control;
    uint64_t crash[5];  /* the crash parameters P0 to P4 */
    uint64_t tsc_scale; /* reference time = (tsc * scale >> 64) + offset, in units of 100 ns */
    int64_t tsc_offset;
    uint32_t tsc_sequence; /* of the reference TSC page; 0: the page is not valid, use the counter */
};

/* One virtual processor's state. */
struct vmmu_hyperv_vp {
    uint32_t index;
    bool eoi_offered; /* "No EOI required" was set in the VP assist page, and has not been settled yet */
    uint64_t assist;  /* HV_X64_MSR_VP_ASSIST_PAGE */
};

/**
 * Prepare @partition after reset; its reference time counts from @tsc_now, the guest's time-stamp counter.
 *
 * Returns
 *   VMMU_OK       done
 *   VMMU_INVALID  a frequency or the number of VPs is out of range
 *
 * Spec: TLFS "Partition Reference Time Enlightenment".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_hyperv_partition_init(struct vmmu_hyperv_partition *partition,
                                            const struct vmmu_hyperv_config *config, uint64_t tsc_now);

/* Prepare @vp after reset; @index counts from zero within the partition. */
void vmmu_hyperv_vp_init(struct vmmu_hyperv_vp *vp, uint32_t index);

/* --- discovery --- */

#define VMMU_HYPERV_CPUID_FIRST 0x40000000u
#define VMMU_HYPERV_CPUID_LAST  0x40000006u

struct vmmu_hyperv_cpuid {
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
};

/**
 * What CPUID leaf @leaf says, VMMU_HYPERV_CPUID_FIRST to _LAST; zeros for any other leaf. Constant over the
 * partition's life, save that leaf 0x40000002 is zero until the guest has written GUEST_OS_ID.
 *
 * Spec: TLFS "Feature and Interface Discovery".
 */
struct vmmu_hyperv_cpuid vmmu_hyperv_cpuid_leaf(const struct vmmu_hyperv_partition *partition, uint32_t leaf);

/* --- model-specific registers --- */

#define VMMU_HYPERV_MSR_FIRST 0x40000000u
#define VMMU_HYPERV_MSR_LAST  0x400001FFu

/* A page of the hypervisor's own that stands where the guest asked for it, over whatever memory is there. */
enum vmmu_hyperv_overlay_kind {
    VMMU_HYPERV_OVERLAY_HYPERCALL, /* vmmu_hyperv_fill_hypercall_page(); the guest may read and execute it */
    VMMU_HYPERV_OVERLAY_REFERENCE_TSC, /* vmmu_hyperv_fill_tsc_page(); the guest may read it */
    VMMU_HYPERV_OVERLAY_VP_ASSIST,     /* zeros at first; the guest may read and write it */
};

/*
 * A change of one overlay: first take it away from @remove_at if @remove, then put it at @place_at if @place.
 */
struct vmmu_hyperv_overlay {
    enum vmmu_hyperv_overlay_kind kind;
    bool remove;
    bool place;
    vmmu_gpa remove_at;
    vmmu_gpa place_at;
};

enum vmmu_hyperv_msr_action {
    VMMU_HYPERV_MSR_DONE,    /* read: `value` is the answer. Write: nothing else to do */
    VMMU_HYPERV_MSR_FAULT,   /* inject #GP(0); nothing was changed */
    VMMU_HYPERV_MSR_OVERLAY, /* a write: change `overlay` */
    VMMU_HYPERV_MSR_APIC, /* perform the access on the local APIC's register `apic_offset`, 64 bits for ICR */
    VMMU_HYPERV_MSR_CRASH, /* a write: the guest reports its crash, with the parameters in partition->crash */
};

struct vmmu_hyperv_msr_outcome {
    enum vmmu_hyperv_msr_action action;
    /* in the xAPIC page: 0x80 TPR, 0xB0 EOI, 0x300 ICR (high half 0x310 in bits 63-32) */
    uint16_t apic_offset;
    uint64_t value; /* what was read; for an APIC write, what to write */
    struct vmmu_hyperv_overlay overlay;
};

/**
 * RDMSR of @msr, VMMU_HYPERV_MSR_FIRST to _LAST, when the guest's time-stamp counter is @tsc_now.
 *
 * Spec: TLFS "Synthetic MSRs".
 */
struct vmmu_hyperv_msr_outcome vmmu_hyperv_msr_read(const struct vmmu_hyperv_partition *partition,
                                                    const struct vmmu_hyperv_vp *vp, uint32_t msr,
                                                    uint64_t tsc_now);

/**
 * WRMSR of @value to @msr. State in @partition and @vp changes unless the outcome is a fault.
 *
 * Spec: TLFS "Synthetic MSRs", "Establishing the Hypercall Interface".
 */
struct vmmu_hyperv_msr_outcome vmmu_hyperv_msr_write(struct vmmu_hyperv_partition *partition,
                                                     struct vmmu_hyperv_vp *vp, uint32_t msr, uint64_t value);

/*
 * Fill the 4096 bytes at @page with the code of the hypercall page: the same for 64-bit and 32-bit callers.
 */
void vmmu_hyperv_fill_hypercall_page(const struct vmmu_hyperv_partition *partition, uint8_t *page);

/* Fill the 4096 bytes at @page with the reference TSC page. Spec: TLFS "Partition Reference TSC Page". */
void vmmu_hyperv_fill_tsc_page(const struct vmmu_hyperv_partition *partition, uint8_t *page);

/*
 * Reference time in units of 100 ns when the guest's time-stamp counter is @tsc. Never goes
 * back while the TSC does not.
 */
uint64_t vmmu_hyperv_reference_time(const struct vmmu_hyperv_partition *partition, uint64_t tsc);

/* --- lazy end of interrupt --- */

/*
 * At each exit while vp->eoi_offered: read the word and settle. If the offer still stands and the guest is
 * about to write an EOI itself, to move its assist page, or to be given another interrupt, withdraw it first.
 */

/* The first 32-bit word of the VP assist page. Bit 0: "No EOI required". */
#define VMMU_HYPERV_ASSIST_NO_EOI 1u

/* Where the VP's assist page stands: false if the guest has not enabled one. */
bool vmmu_hyperv_assist_page(const struct vmmu_hyperv_vp *vp, vmmu_gpa *at);

/**
 * The hypervisor is about to inject an edge-triggered interrupt at whose end nothing else waits: may the
 * guest skip its EOI? If so, the assist page's first word must become *word, which was its value; the offer
 * is then remembered.
 *
 * Spec: TLFS "EOI Assist".
 */
VMMU_MUST_USE
bool vmmu_hyperv_eoi_offer(struct vmmu_hyperv_vp *vp, uint32_t *word);

/**
 * The VP has left guest mode and @word stands in its assist page: did the guest take the offer? If so,
 * perform the EOI on its local APIC now. To be asked on each exit while vp->eoi_offered, before the APIC's
 * state is looked at.
 */
VMMU_MUST_USE
bool vmmu_hyperv_eoi_settle(struct vmmu_hyperv_vp *vp, uint32_t word);

/**
 * Something now waits for the end of the interrupt: take the offer back, after
 * vmmu_hyperv_eoi_settle() said that it was not taken. If true, the assist page's first word must
 * become *word, and the guest will write its EOI.
 */
VMMU_MUST_USE
bool vmmu_hyperv_eoi_withdraw(struct vmmu_hyperv_vp *vp, uint32_t *word);

/* --- hypercalls --- */

/* Result codes. Spec: TLFS "Hypercall Status Codes". */
enum vmmu_hyperv_result {
    VMMU_HYPERV_SUCCESS = 0x0000,
    VMMU_HYPERV_INVALID_CODE = 0x0002,
    VMMU_HYPERV_INVALID_INPUT = 0x0003,
    VMMU_HYPERV_INVALID_ALIGNMENT = 0x0004,
    VMMU_HYPERV_INVALID_PARAMETER = 0x0005,
    VMMU_HYPERV_ACCESS_DENIED = 0x0006,
};

/* The registers of the processor that called, and the state it called in. */
struct vmmu_hyperv_caller {
    uint64_t rax;
    uint64_t rbx;
    uint64_t rcx;
    uint64_t rdx;
    uint64_t rsi;
    uint64_t rdi;
    uint64_t r8;
    bool code64;         /* 64-bit code: EFER.LMA and CS.L */
    bool protected_mode; /* CR0.PE, and not virtual-8086 mode */
    uint8_t cpl;
};

/* A call, decoded. Addresses are guest-physical; `fast` calls have their input in `fast_input`. */
struct vmmu_hyperv_call {
    uint16_t code;
    uint16_t variable_header_bytes;
    uint16_t rep_count;
    uint16_t rep_start;
    bool fast;
    bool code64;
    vmmu_gpa input;
    uint16_t input_bytes; /* what vmmu_hyperv_call_perform() needs read from `input`; 0: nothing */
    uint64_t fast_input[2];
};

/* A flush of virtual translations that the guest asks for: complete before the call returns. */
struct vmmu_hyperv_flush {
    uint64_t vps;            /* bit N: virtual processor N of the partition */
    bool includes_caller;    /* the calling VP is one of them */
    bool all_address_spaces; /* else only the one whose CR3 is `address_space` */
    bool keep_global;        /* global translations may stay */
    uint64_t address_space;  /* a CR3 value, as the guest gave it */
    uint16_t range_first;    /* with `range_count`: which elements of the input are asked for now */
    uint16_t range_count;    /* 0: everything; else see vmmu_hyperv_flush_range() */
    uint16_t range_offset;   /* in bytes, of element 0 in the input */
};

enum vmmu_hyperv_call_action {
    VMMU_HYPERV_CALL_DONE,  /* return `result` to the caller */
    VMMU_HYPERV_CALL_UD,    /* inject #UD: the caller may not make hypercalls at all */
    VMMU_HYPERV_CALL_INPUT, /* read call->input_bytes at call->input, then vmmu_hyperv_call_perform() */
    VMMU_HYPERV_CALL_FLUSH, /* perform `flush`, then return `result` */
    VMMU_HYPERV_CALL_YIELD, /* return `result`; the caller spins on a lock: let another VP run */
};

struct vmmu_hyperv_call_outcome {
    enum vmmu_hyperv_call_action action;
    uint64_t result; /* bits 15-0 status, 43-32 reps completed */
    struct vmmu_hyperv_flush flush;
};

/**
 * Decode and check a hypercall as far as registers go.
 *
 * The action is VMMU_HYPERV_CALL_INPUT if the call wants its input (zero bytes of it for a fast one): copy it
 * once out of guest memory and give it to vmmu_hyperv_call_perform(); a guest-physical address without memory
 * is answered by vmmu_hyperv_call_no_memory(). Otherwise the outcome is final.
 *
 * Spec: TLFS "Hypercall Interface".
 */
struct vmmu_hyperv_call_outcome vmmu_hyperv_call_decode(const struct vmmu_hyperv_partition *partition,
                                                        const struct vmmu_hyperv_caller *caller,
                                                        struct vmmu_hyperv_call *call);

/**
 * Check the input and say what to do. @input holds call->input_bytes bytes copied from guest memory (unused
 * by a fast call). Never VMMU_HYPERV_CALL_INPUT.
 *
 * Spec: TLFS "Virtual MMU and Caching".
 */
struct vmmu_hyperv_call_outcome
vmmu_hyperv_call_perform(const struct vmmu_hyperv_partition *partition, const struct vmmu_hyperv_vp *vp,
                         const struct vmmu_hyperv_call *call, const uint8_t *input);

/* The result of a call whose input is not in memory that the caller may read. */
uint64_t vmmu_hyperv_call_no_memory(const struct vmmu_hyperv_call *call);

/* Element @index of a flush's list: from *base, whole pages. @index counts from flush->range_first. */
struct vmmu_hyperv_gva_range {
    vmmu_gva base;
    uint64_t pages; /* 1 to 4096 */
};
struct vmmu_hyperv_gva_range vmmu_hyperv_flush_range(const struct vmmu_hyperv_flush *flush,
                                                     const uint8_t *input, uint16_t index);

/* Where a result goes: RAX for 64-bit code, EDX:EAX (both zero-extended) for 32-bit code. */
struct vmmu_hyperv_result_registers {
    uint64_t rax;
    uint64_t rdx;
    bool writes_rdx;
};
struct vmmu_hyperv_result_registers vmmu_hyperv_result_registers(bool code64, uint64_t result);

#endif
