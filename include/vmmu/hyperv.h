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
#include <vmmu/hyperv_policy.h>
#include <vmmu/insn.h>
#include <vmmu/mode.h>
#include <vmmu/plan.h>

/* The instruction by which the hypercall page enters the hypervisor. */
enum vmmu_hyperv_call_instruction {
    VMMU_HYPERV_VMMCALL, /* AMD */
    VMMU_HYPERV_VMCALL,  /* Intel */
};

/*
 * Privileges of a partition that are the embedder's to give: bits of HV_PARTITION_PRIVILEGE_MASK, whose low half CPUID leaf
 * 0x40000003 shows in EAX and whose high half in EBX. Spec: TLFS "Partition Privilege Flags".
 */
#define VMMU_HYPERV_PRIVILEGE_SYNIC BIT64(2)
#define VMMU_HYPERV_PRIVILEGE_CHILDREN                                                                       \
    BIT64(32) /* CreatePartitions, of which there are the calls that a parent makes on its children */
#define VMMU_HYPERV_PRIVILEGE_VP_REGISTERS BIT64(49) /* HvGetVpRegisters of the caller's own partition */

#define VMMU_HYPERV_PARTITION_SELF         UINT64_MAX
#define VMMU_HYPERV_VP_SELF                UINT32_C(0xFFFFFFFE)

/* What a partition is given. Borrowed by nothing: copied at initialization. */
struct vmmu_hyperv_config {
    uint64_t tsc_hz;       /* the guest's time-stamp counter; above 10 MHz */
    uint64_t apic_hz;      /* the local APIC timer's input clock, before the divider */
    uint32_t vp_count;     /* 1 to VMMU_HYPERV_VPS */
    uint8_t maxphyaddr;    /* bits of a guest-physical address; overlays beyond raise #GP */
    bool tsc_is_invariant; /* the TSC never stops or changes its rate: offer TSC_INVARIANT_CONTROL */
    bool apic_msrs;        /* offer and recommend EOI, ICR and TPR by MSR, with the VP assist page */
    bool second_level;     /* guest memory is under nested paging; discovery says so */
    uint64_t partition_id; /* HV_PARTITION_ID, as calls name it; neither 0 nor VMMU_HYPERV_PARTITION_SELF */
    uint64_t privileges;   /* VMMU_HYPERV_PRIVILEGE_*; others are not looked at */
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
    struct vmmu_hyperv_pats pats;
};

#define VMMU_HYPERV_SINTS 16

/* One virtual processor's synthetic interrupt controller, by its registers. */
struct vmmu_hyperv_synic {
    uint64_t control;  /* HV_X64_MSR_SCONTROL */
    uint64_t events;   /* HV_X64_MSR_SIEFP */
    uint64_t messages; /* HV_X64_MSR_SIMP */
    uint64_t sint[VMMU_HYPERV_SINTS];
};

/* One virtual processor's state. */
struct vmmu_hyperv_vp {
    uint32_t index;
    bool eoi_offered; /* "No EOI required" was set in the VP assist page, and has not been settled yet */
    uint64_t assist;  /* HV_X64_MSR_VP_ASSIST_PAGE */
    struct vmmu_hyperv_synic synic;
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

#define VMMU_HYPERV_CPUID_FIRST                 0x40000000u
#define VMMU_HYPERV_CPUID_LAST                  0x40000006u

/* Privileges that every partition has, or that other members of its config give it. */
#define VMMU_HYPERV_PRIVILEGE_REFERENCE_COUNTER BIT64(1)
#define VMMU_HYPERV_PRIVILEGE_INTERRUPT_CONTROL BIT64(4)
#define VMMU_HYPERV_PRIVILEGE_HYPERCALL         BIT64(5)
#define VMMU_HYPERV_PRIVILEGE_VP_INDEX          BIT64(6)
#define VMMU_HYPERV_PRIVILEGE_REFERENCE_TSC     BIT64(9)
#define VMMU_HYPERV_PRIVILEGE_FREQUENCIES       BIT64(11)
#define VMMU_HYPERV_PRIVILEGE_TSC_INVARIANT     BIT64(15)

/* All privileges of a partition that is given @config: those of config->privileges that there are, and these. */
uint64_t vmmu_hyperv_privileges(const struct vmmu_hyperv_config *config);

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
    VMMU_HYPERV_OVERLAY_MESSAGES,      /* of the SynIC; as VP_ASSIST */
    VMMU_HYPERV_OVERLAY_EVENTS,        /* of the SynIC; as VP_ASSIST */
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
    bool
        messages; /* a write, besides `action`: messages that wait for this virtual processor may go now; try again */
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

/* --- messages, by the synthetic interrupt controller --- */

#define VMMU_HYPERV_MESSAGE_BYTES  256
#define VMMU_HYPERV_PAYLOAD_BYTES  240

/* The SINT to which intercepts of children are told, on the parent's virtual processor 0. */
#define VMMU_HYPERV_SINT_INTERCEPT 0

enum vmmu_hyperv_message_type {
    VMMU_HYPERV_MESSAGE_NONE = 0,
    VMMU_HYPERV_MESSAGE_UNMAPPED_GPA = 0x80000000,
    VMMU_HYPERV_MESSAGE_GPA_INTERCEPT = 0x80000001,
    VMMU_HYPERV_MESSAGE_UNSUPPORTED_FEATURE = 0x80000022,
};

/* A message as it lies in its slot: header and payload. Spec: TLFS "SynIC Message Page". */
struct vmmu_hyperv_message {
    uint8_t bytes[VMMU_HYPERV_MESSAGE_BYTES];
};

/* An access of a child's to guest memory that its parent is told of. */
struct vmmu_hyperv_memory_intercept {
    uint64_t partition; /* the child's ID */
    uint32_t vp;
    const struct vmmu_x86_state *state; /* borrowed for the call; all of it */
    enum vmmu_x86_access_kind access;
    bool mapped; /* there is memory, without the right: GpaIntercept; else UnmappedGpa */
    bool gva_valid;
    bool event_pending; /* the access belongs to the delivery of an event */
    bool debug_active;  /* a breakpoint is armed in DR7 */
    vmmu_gva gva;
    vmmu_gpa gpa;
    enum vmmu_x86_memory_type type; /* as the guest's tables, its PAT and CR0.CD say */
    uint8_t instruction_bytes;      /* how many of `instruction` are the instruction's; 0: not known */
    uint8_t fetched;                /* how many of `instruction` could be fetched: up to 16 */
    uint8_t instruction[16];
};

/* Build the message. Spec: TLFS "Memory Access Messages". */
struct vmmu_hyperv_message vmmu_hyperv_message_memory(const struct vmmu_hyperv_memory_intercept *intercept);

/**
 * Build the message that virtual processor @vp of @partition used @feature. The feature code is 2 for a task switch, with the TSS
 * selector as its parameter; else 1, and the parameter holds the feature in bits 3-0 and the page of @detail, an address,
 * above bit 12.
 *
 * Spec: TLFS "Unsupported Feature".
 */
struct vmmu_hyperv_message vmmu_hyperv_message_unsupported(uint64_t partition, uint32_t vp,
                                                           enum vmmu_hyperv_feature feature, uint64_t detail);

/* Where the message page of @vp stands: false if the guest has not enabled it. */
bool vmmu_hyperv_message_page(const struct vmmu_hyperv_vp *vp, vmmu_gpa *at);

struct vmmu_hyperv_post {
    bool
        written; /* the message is in its slot. Else it waits until an outcome of a register's write has `messages` set */
    bool interrupts; /* raise `vector` on the virtual processor's local APIC, edge-triggered */
    bool auto_eoi;   /* and that interrupt ends as it is delivered */
    uint8_t vector;
};

/**
 * Post @message to @sint of @vp, whose message page is the 4096 bytes at @page (not looked at while it is not
 * enabled). Where the slot is taken, it is marked so that the guest writes EOM. The virtual processor does not run meanwhile.
 *
 * Spec: TLFS "SynIC Message Page", "SINTx".
 */
struct vmmu_hyperv_post vmmu_hyperv_post(const struct vmmu_hyperv_vp *vp, unsigned sint,
                                         const struct vmmu_hyperv_message *message, uint8_t *page);

/* --- hypercalls --- */

/*
 * A hypercall, from the exit to the guest's next instruction:
 *
 *     outcome = vmmu_hyperv_call_decode(partition, &caller, &call);
 *     if (outcome.action == VMMU_HYPERV_CALL_INPUT) {
 *         copy call.input_bytes bytes from call.input, once; see that call.output can be written;
 *         if either is not there: outcome.end = vmmu_hyperv_call_no_memory(&call), done
 *         target = vmmu_hyperv_call_target(partition, vp, &call, input);
 *         if (target.named) look it up: facts
 *         outcome = vmmu_hyperv_call_perform(partition, vp, &call, input, &facts);
 *     }
 *     do what outcome.action says: it leaves a status, and the elements that were done,
 *         end = vmmu_hyperv_call_end(&call, status, done);    (DONE, FLUSH and YIELD bring outcome.end along)
 *     registers = vmmu_hyperv_end_registers(&caller, &end): write them; RIP moves on only if end.complete
 *
 * A rep call is done in goes of a few elements each. A go that is not the last ends with the input value moved on and RIP
 * where it was, so that interrupts come in between and the guest makes the call again.
 */

/* Result codes. Spec: TLFS "Hypercall Status Codes". */
enum vmmu_hyperv_result {
    VMMU_HYPERV_SUCCESS = 0x0000,
    VMMU_HYPERV_INVALID_CODE = 0x0002,
    VMMU_HYPERV_INVALID_INPUT = 0x0003,
    VMMU_HYPERV_INVALID_ALIGNMENT = 0x0004,
    VMMU_HYPERV_INVALID_PARAMETER = 0x0005,
    VMMU_HYPERV_ACCESS_DENIED = 0x0006,
    VMMU_HYPERV_INVALID_PARTITION_STATE = 0x0007,
    VMMU_HYPERV_INSUFFICIENT_MEMORY = 0x000B,
    VMMU_HYPERV_INVALID_PARTITION_ID = 0x000D,
    VMMU_HYPERV_INVALID_VP_INDEX = 0x000E,
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
    uint64_t input_value; /* as the caller gave it */
    uint16_t code;
    uint16_t variable_header_bytes;
    uint16_t rep_count;
    uint16_t rep_start;
    bool fast;
    vmmu_gpa input;
    vmmu_gpa output;
    uint16_t input_bytes;  /* what vmmu_hyperv_call_perform() needs read from `input`; 0: nothing */
    uint16_t output_bytes; /* what the call may write at `output`, within one page; 0: nothing */
    uint64_t fast_input[2];
};

/* How a call, or one go of it, ends. */
struct vmmu_hyperv_call_end {
    bool complete; /* else the guest makes the call again: RIP stays */
    uint64_t
        value; /* complete: the result, bits 15-0 status, 43-32 reps completed; else the input value that goes on */
};

/* Elements of a rep call to perform now. */
struct vmmu_hyperv_reps {
    uint16_t first;
    uint16_t count; /* 0: not a rep call */
};

/* Whom a call is about, as its input says, with HV_PARTITION_ID_SELF and HV_VP_INDEX_SELF resolved. */
struct vmmu_hyperv_target {
    bool named;    /* else the call is about the caller, and takes no facts */
    bool named_vp; /* and `vp` is meant */
    bool self;     /* the caller's own partition */
    uint32_t vp;
    uint64_t partition_id;
};

/* What the embedder knows of a target. */
struct vmmu_hyperv_target_facts {
    bool exists;       /* there is such a partition */
    bool child;        /* and the caller's partition is its parent */
    bool live;         /* and it has not ended */
    uint32_t vp_count; /* its virtual processors, indices from 0 */
};

/* A flush that the guest asks for: complete before the call returns. */
struct vmmu_hyperv_flush {
    uint64_t vps; /* bit N: virtual processor N of the partition */
    bool
        guest_physical; /* what was made of guest-physical addresses goes, all of it: nested tables' translations, shadows */
    bool all_address_spaces; /* else only the one whose CR3 is `address_space` */
    bool keep_global;        /* global translations may stay */
    uint64_t address_space;  /* a CR3 value, as the guest gave it */
    uint16_t range_first;    /* with `range_count`: which elements of the input are asked for now */
    uint16_t range_count;    /* 0: everything; else see vmmu_hyperv_flush_range() */
    uint16_t range_offset;   /* in bytes, of element 0 in the input */
};

/* HvTranslateVirtualAddress. Spec: TLFS "HvTranslateVirtualAddress". */
#define VMMU_HYPERV_TRANSLATE_READ          BIT64(0)
#define VMMU_HYPERV_TRANSLATE_WRITE         BIT64(1)
#define VMMU_HYPERV_TRANSLATE_EXECUTE       BIT64(2)
#define VMMU_HYPERV_TRANSLATE_EXEMPT        BIT64(3) /* no privilege level is checked */
#define VMMU_HYPERV_TRANSLATE_SET_BITS      BIT64(4) /* accessed, and dirty with WRITE */
#define VMMU_HYPERV_TRANSLATE_INHIBIT_FLUSH BIT64(5)

struct vmmu_hyperv_translate {
    uint64_t control;
    vmmu_gva gva; /* of a page */
};

/* HvReadGpa and HvWriteGpa. */
struct vmmu_hyperv_access {
    vmmu_gpa gpa;
    uint8_t bytes;    /* 1 to 16, within one page */
    uint8_t data[16]; /* to write */
};

/* Rights in HvMapGpaPages' flags. */
#define VMMU_HYPERV_MAP_READ    UINT32_C(1)
#define VMMU_HYPERV_MAP_WRITE   UINT32_C(2)
#define VMMU_HYPERV_MAP_EXECUTE UINT32_C(4)

/* HvMapGpaPages and HvUnmapGpaPages: of element @i, counted from reps.first, the page is that many pages behind `gpa`. */
struct vmmu_hyperv_map {
    vmmu_gpa gpa;   /* in the child, of element reps.first */
    uint8_t rights; /* VMMU_X86_RIGHT_* */
};

enum vmmu_hyperv_call_action {
    VMMU_HYPERV_CALL_DONE,  /* nothing more: `end` */
    VMMU_HYPERV_CALL_UD,    /* inject #UD: the caller may not make hypercalls at all */
    VMMU_HYPERV_CALL_INPUT, /* read call->input_bytes at call->input, then vmmu_hyperv_call_perform() */
    VMMU_HYPERV_CALL_FLUSH, /* perform `flush` (see vmmu_hyperv_flush_plan), then `end`; wait first for VPs with TlbFlushInhibit */
    VMMU_HYPERV_CALL_YIELD,         /* `end`; the caller spins on a lock: let another VP run */
    VMMU_HYPERV_CALL_SWITCH,        /* CR3 becomes `address_space` without a flush: vmmu_hyperv_switch() */
    VMMU_HYPERV_CALL_GET_REGISTERS, /* vmmu_hyperv_registers_get() for `reps` of `target` */
    VMMU_HYPERV_CALL_SET_REGISTERS, /* vmmu_hyperv_registers_set() for `reps` of `target` */
    VMMU_HYPERV_CALL_TRANSLATE, /* vmmu_hyperv_translate() of `translate`, in `target`; then vmmu_hyperv_translate_output() */
    VMMU_HYPERV_CALL_READ_GPA,  /* `access`, in `target`; then vmmu_hyperv_read_output() */
    VMMU_HYPERV_CALL_WRITE_GPA, /* `access`, in `target`; then vmmu_hyperv_write_output() */
    VMMU_HYPERV_CALL_MAP, /* `map`, in `target`, for `reps`: vmmu_hyperv_map_source() is the caller's page to lend */
    VMMU_HYPERV_CALL_UNMAP, /* `map`, in `target`, for `reps`: take away what is there */
};

struct vmmu_hyperv_call_outcome {
    enum vmmu_hyperv_call_action action;
    struct vmmu_hyperv_call_end end; /* of DONE, FLUSH and YIELD */
    struct vmmu_hyperv_reps reps;
    struct vmmu_hyperv_target target;
    union {
        struct vmmu_hyperv_flush flush;
        struct vmmu_hyperv_translate translate;
        struct vmmu_hyperv_access access;
        struct vmmu_hyperv_map map;
        uint64_t address_space;
    };
};

/**
 * Decode and check a hypercall as far as registers go, the partition's privileges and the places of input and output included.
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
 * Whom the call is about. @input holds call->input_bytes bytes (unused by a fast call), as for vmmu_hyperv_call_perform().
 */
struct vmmu_hyperv_target vmmu_hyperv_call_target(const struct vmmu_hyperv_partition *partition,
                                                  const struct vmmu_hyperv_vp *vp,
                                                  const struct vmmu_hyperv_call *call, const uint8_t *input);

/**
 * Check the input and say what to do. @input holds call->input_bytes bytes copied from guest memory (unused
 * by a fast call); @facts is of the partition that vmmu_hyperv_call_target() named, or NULL if it named none. Never
 * VMMU_HYPERV_CALL_INPUT.
 *
 * Spec: TLFS "Virtual MMU and Caching", "Guest Physical Address Spaces", "Virtual Processor Register State".
 */
struct vmmu_hyperv_call_outcome
vmmu_hyperv_call_perform(const struct vmmu_hyperv_partition *partition, const struct vmmu_hyperv_vp *vp,
                         const struct vmmu_hyperv_call *call, const uint8_t *input,
                         const struct vmmu_hyperv_target_facts *facts);

/* How a call ends whose input or output is not in memory that the caller may use. */
struct vmmu_hyperv_call_end vmmu_hyperv_call_no_memory(const struct vmmu_hyperv_call *call);

/**
 * How a call ends, or goes on, of which @done elements were performed in this go (0 for a simple one) before @status came up. A
 * go that succeeded must have done all of outcome->reps.
 */
struct vmmu_hyperv_call_end vmmu_hyperv_call_end(const struct vmmu_hyperv_call *call,
                                                 enum vmmu_hyperv_result status, uint16_t done);

/* Registers as the end of a call leaves them; those that it does not touch have the caller's values. */
struct vmmu_hyperv_end_registers {
    uint64_t rax;
    uint64_t rcx;
    uint64_t rdx;
};
struct vmmu_hyperv_end_registers vmmu_hyperv_end_registers(const struct vmmu_hyperv_caller *caller,
                                                           const struct vmmu_hyperv_call_end *end);

/* --- flushes --- */

/* Element @index of a flush's list: from *base, whole pages. @index counts from flush->range_first. */
struct vmmu_hyperv_gva_range {
    vmmu_gva base;
    uint64_t pages; /* 1 to 4096 */
};
struct vmmu_hyperv_gva_range vmmu_hyperv_flush_range(const struct vmmu_hyperv_flush *flush,
                                                     const uint8_t *input, uint16_t index);

/*
 * What must go from the translations of plan.vps. The last three members say what may stay: an embedder that flushes more, all spaces
 * and global translations, need not look at them.
 */
struct vmmu_hyperv_flush_plan {
    struct vmmu_plan
        plan; /* ranges are guest-virtual, each page to be dropped as INVLPG would: of any size, global or not */
    bool guest_physical;     /* as in struct vmmu_hyperv_flush */
    bool keep_global;        /* global translations may stay */
    bool all_address_spaces; /* else it is enough to flush `address_space` */
    uint64_t address_space;
};

/**
 * What to do for @flush, whose input is at @input. Ranges are cut to addresses that @cpu can translate; what lies
 * beyond is ignored, so that a list of such alone gives an empty plan. More ranges than a plan holds: the whole tag.
 * plan.epoch is 0: nothing was retired.
 *
 * Spec: TLFS "HvFlushVirtualAddressSpace", "HvFlushVirtualAddressList".
 */
struct vmmu_hyperv_flush_plan vmmu_hyperv_flush_plan(const struct vmmu_x86_cpu *cpu,
                                                     const struct vmmu_hyperv_flush *flush,
                                                     const uint8_t *input);

/* --- registers of a virtual processor --- */

struct vmmu_hyperv_table_register {
    uint64_t base;
    uint16_t limit;
};

/*
 * All of a virtual processor that HvGetVpRegisters and HvSetVpRegisters name. The embedder fills it from the virtual processor, and
 * stores what changed.
 */
struct vmmu_hyperv_registers {
    struct vmmu_x86_state state; /* its interrupt_shadow too */
    uint64_t cr2;
    uint64_t cr3;
    uint64_t cr8;
    uint64_t xcr0;
    uint64_t dr[4];
    uint64_t dr6;
    uint64_t dr7;
    struct vmmu_x86_segment ldtr;
    struct vmmu_x86_segment tr;
    struct vmmu_hyperv_table_register gdtr;
    struct vmmu_hyperv_table_register idtr;
    uint64_t tsc;
    uint64_t kernel_gs_base;
    uint64_t apic_base; /* for reading only */
    uint64_t pat;
    uint64_t sysenter_cs;
    uint64_t sysenter_eip;
    uint64_t sysenter_esp;
    uint64_t star;
    uint64_t lstar;
    uint64_t cstar;
    uint64_t sfmask;
    uint64_t tsc_aux;
    uint32_t initial_apic_id; /* for reading only */
    uint32_t vp_index;        /* for reading only */
    uint64_t pdpte
        [4]; /* as vmmu_mode_load_pdptes() found them if VMMU_HYPERV_CHANGED_PDPTES; else not looked at */
    bool nmi_masked;
    bool explicit_suspend;  /* HvRegisterExplicitSuspend */
    bool intercept_suspend; /* HvRegisterInterceptSuspend, Suspended */
    bool flush_inhibit;     /* HvRegisterInterceptSuspend, TlbFlushInhibit */
    bool
        event_pending; /* no register: the virtual processor goes on with the delivery of an event, which was cut short */
};

/* Which parts of it a call changed. */
enum vmmu_hyperv_changed {
    VMMU_HYPERV_CHANGED_GENERAL = 1 << 0, /* general registers, RIP, RFLAGS */
    VMMU_HYPERV_CHANGED_PAGING = 1 << 1,  /* CR0, CR3, CR4, EFER: every translation of the VP goes */
    VMMU_HYPERV_CHANGED_CONTROL = 1 << 2, /* CR2, CR8, XCR0 */
    VMMU_HYPERV_CHANGED_DEBUG = 1 << 3,
    VMMU_HYPERV_CHANGED_SEGMENTS = 1 << 4, /* segments, LDTR, TR, GDTR, IDTR; state.cpl follows SS */
    VMMU_HYPERV_CHANGED_MSRS = 1 << 5,     /* but PAT and the TSC */
    VMMU_HYPERV_CHANGED_PAT = 1 << 6,
    VMMU_HYPERV_CHANGED_TSC = 1 << 7,
    VMMU_HYPERV_CHANGED_SUSPEND = 1 << 8, /* the three of them */
    VMMU_HYPERV_CHANGED_EVENTS = 1 << 9,  /* interrupt shadow, NMI mask */
    VMMU_HYPERV_CHANGED_PDPTES = 1 << 10, /* PAE paging: pdpte[] was loaded */
};

/* What the state of a virtual processor has to fit. */
struct vmmu_hyperv_register_rules {
    const struct vmmu_x86_cpu *cpu;
    const struct vmmu_ram *ram;              /* the target's memory, for PDPTEs */
    const struct vmmu_hyperv_policy *policy; /* of the target's partition */
    uint64_t xcr0_offered;
    bool tsc_aux;         /* RDTSCP or RDPID is offered */
    bool pdpte_in_memory; /* as in struct vmmu_x86_paging_registers: none are loaded */
};

/**
 * HvGetVpRegisters: write the values of outcome->reps' elements to their places in @output, the call->output_bytes bytes of the
 * call's output; other bytes of it stay. *done is how many were written.
 *
 * Returns
 *   VMMU_HYPERV_SUCCESS            all
 *   VMMU_HYPERV_INVALID_PARAMETER  element *done of this go names no register that there is
 *
 * Spec: TLFS "HvGetVpRegisters", "Virtual Processor Register Names".
 */
VMMU_MUST_USE
enum vmmu_hyperv_result
vmmu_hyperv_registers_get(const struct vmmu_hyperv_call_outcome *outcome, const uint8_t *input,
                          const struct vmmu_hyperv_registers *registers, uint8_t *output, uint16_t *done);

/* What vmmu_hyperv_registers_set() found. */
struct vmmu_hyperv_register_changes {
    enum vmmu_hyperv_result status;
    uint16_t done;    /* elements: all of the go, or none */
    uint32_t changed; /* enum vmmu_hyperv_changed; 0 unless it succeeded */
};

/**
 * HvSetVpRegisters: change @registers as outcome->reps' elements say, which are all of the call's. They take effect together:
 * *registers is changed only on success, by all of them.
 *
 * Status
 *   VMMU_HYPERV_SUCCESS            *registers, and what changed
 *   VMMU_HYPERV_INVALID_PARAMETER  a name of no register that can be written, a value that it cannot have, one that a policy
 *                                  refuses, or a state as a whole that no processor has
 *   VMMU_HYPERV_INVALID_PARTITION_STATE  an event is pending, and might not be delivered in the new state: IF goes, an interrupt
 *                                  shadow or the NMI mask comes, or CR0.PE changes. Let the virtual processor run, and try again
 *
 * Spec: TLFS "HvSetVpRegisters", "Virtual MMU and Caching"; SDM 3C "Checks on the Guest State Area".
 */
struct vmmu_hyperv_register_changes vmmu_hyperv_registers_set(const struct vmmu_hyperv_register_rules *rules,
                                                              const struct vmmu_hyperv_call_outcome *outcome,
                                                              const uint8_t *input,
                                                              struct vmmu_hyperv_registers *registers);

/**
 * HvSwitchVirtualAddressSpace: whether CR3 may become @value, with the caller's other registers as they are in *@registers; loads
 * the PDPTEs where there are any. Nothing is flushed by it, and bit 63 of @value is refused.
 *
 * Returns
 *   VMMU_HYPERV_SUCCESS            registers->cr3, and registers->pdpte unless pdpte_in_memory, are changed
 *   VMMU_HYPERV_INVALID_PARAMETER  a reserved bit of CR3 or of a PDPTE, PDPTEs without memory, or PWT or PCD that the policy
 *                                  refuses; nothing was changed
 *
 * Spec: TLFS "HvSwitchVirtualAddressSpace".
 */
VMMU_MUST_USE
enum vmmu_hyperv_result vmmu_hyperv_switch(const struct vmmu_hyperv_policy *policy,
                                           const struct vmmu_x86_cpu *cpu, const struct vmmu_ram *ram,
                                           uint64_t value, struct vmmu_x86_paging_registers *registers);

/* --- HvTranslateVirtualAddress --- */

enum vmmu_hyperv_translate_code {
    VMMU_HYPERV_TRANSLATE_SUCCESS = 0,
    VMMU_HYPERV_TRANSLATE_NOT_PRESENT = 1,
    VMMU_HYPERV_TRANSLATE_PRIVILEGE = 2,
    VMMU_HYPERV_TRANSLATE_INVALID_FLAGS = 3,
    VMMU_HYPERV_TRANSLATE_GPA_UNMAPPED = 4,
    VMMU_HYPERV_TRANSLATE_GPA_NO_READ = 5,
    VMMU_HYPERV_TRANSLATE_GPA_NO_WRITE = 6,
    VMMU_HYPERV_TRANSLATE_OVERLAY = 7,
};

struct vmmu_x86_translation;

/* What there is at a guest-physical address. */
struct vmmu_hyperv_page {
    bool mapped; /* else nothing but `overlay` has a meaning */
    bool readable;
    bool writable;
    bool overlay;                   /* a page of the hypervisor's own stands there */
    enum vmmu_x86_memory_type type; /* as MTRRs say */
};

/* The virtual processor in whose eyes an address is looked at. */
struct vmmu_hyperv_view {
    const struct vmmu_x86_mode *mode;
    const struct vmmu_ram *ram;          /* of its partition, by guest-physical address */
    const struct vmmu_hyperv_pats *pats; /* of its partition */
    bool second_level;                   /* as in the partition's configuration */
    uint32_t vp;
    uint64_t rflags;
    uint8_t cpl;
    void *context;
    struct vmmu_hyperv_page (*page)(void *context, vmmu_gpa gpa);
};

struct vmmu_hyperv_translation {
    enum vmmu_hyperv_translate_code code;
    enum vmmu_x86_memory_type cache_type; /* UC, WC, WT, WP or WB */
    bool overlay;
    vmmu_gpa gpa;       /* of the page; 0 unless the code is success */
    bool inhibit_flush; /* set TlbFlushInhibit of the virtual processor now */
};

/**
 * Perform the call: walk @view's tables as the processor would, and set accessed and dirty bits if that is asked for. Bits that were
 * set before a walk failed stay set.
 *
 * Returns
 *   VMMU_OK     *out
 *   VMMU_RACED  the guest changed an entry meanwhile, again and again: let the caller make the call again
 *
 * Spec: TLFS "HvTranslateVirtualAddress"; SDM 3A "Effective Page Caching", "Memory Type Range Registers".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_hyperv_translate(const struct vmmu_hyperv_view *view,
                                       const struct vmmu_hyperv_translate *request,
                                       struct vmmu_hyperv_translation *out);

/**
 * The memory type, UC, WC, WT, WP or WB, that @view's virtual processor gives to a page of type @ranges by MTRRs, to which leads
 * the translation @found; NULL: it is not known. Of @view its mode (unless @found is NULL), PATs, second_level and vp are looked at.
 *
 * Spec: SDM 3A "Effective Page-Level Memory Types for Pentium III and More Recent Processor Families".
 */
enum vmmu_x86_memory_type vmmu_hyperv_cache_type(const struct vmmu_hyperv_view *view,
                                                 const struct vmmu_x86_translation *found,
                                                 enum vmmu_x86_memory_type ranges);

/* The call's output: 16 bytes. */
void vmmu_hyperv_translate_output(const struct vmmu_hyperv_translation *translation, uint8_t *output);

/* --- HvReadGpa, HvWriteGpa, HvMapGpaPages --- */

enum vmmu_hyperv_access_code {
    VMMU_HYPERV_ACCESS_SUCCESS = 0,
    VMMU_HYPERV_ACCESS_UNMAPPED = 1,
    VMMU_HYPERV_ACCESS_NO_READ = 2,
    VMMU_HYPERV_ACCESS_NO_WRITE = 3,
    VMMU_HYPERV_ACCESS_OVERLAY = 4,
};

/* What becomes of an access to what there is at its address. A device's registers are not memory: not mapped. */
enum vmmu_hyperv_access_code vmmu_hyperv_access_judge(const struct vmmu_hyperv_page *page, bool write);

/* HvReadGpa's output, 24 bytes: @data are the access->bytes bytes that were read, not looked at unless @code is success. */
void vmmu_hyperv_read_output(const struct vmmu_hyperv_access *access, enum vmmu_hyperv_access_code code,
                             const uint8_t *data, uint8_t *output);

/* HvWriteGpa's output, 8 bytes. */
void vmmu_hyperv_write_output(enum vmmu_hyperv_access_code code, uint8_t *output);

/* The caller's page that element @index of HvMapGpaPages lends; @index counts from outcome->reps.first. */
vmmu_gpa vmmu_hyperv_map_source(const struct vmmu_hyperv_call_outcome *outcome, const uint8_t *input,
                                uint16_t index);

#endif
