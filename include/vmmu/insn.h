/*
 * The small decoder: instructions whose memory accesses a hypervisor emulates, and those
 * that exits leave undecoded.
 *
 * Decoding and performing are apart: vmmu_insn_decode() reads bytes only, vmmu_insn_perform() does the whole
 * instruction on a register file through callbacks that reach memory and ports. What is not known is
 * VMMU_UNSUPPORTED, never guessed.
 *
 *     status = vmmu_insn_decode(bytes, count, vmmu_insn_mode(&state), &insn);
 *     if (status == VMMU_OK)
 *         status = vmmu_insn_perform(&insn, &state, &memory, &outcome);
 *
 * Nothing here allocates, locks or keeps anything: every function is reentrant.
 */
#ifndef VMMU_INSN_H
#define VMMU_INSN_H

#include <vmmu/base.h>
#include <vmmu/mode.h>

/* In encoding order, as ModR/M.reg numbers them in MOV from and to segment registers. */
enum vmmu_x86_segment_name {
    VMMU_X86_ES,
    VMMU_X86_CS,
    VMMU_X86_SS,
    VMMU_X86_DS,
    VMMU_X86_FS,
    VMMU_X86_GS,
    VMMU_X86_SEGMENTS
};

/*
 * Attributes of a segment as in a descriptor's second word, shifted right by 8: type 3:0, S 4, DPL 6:5, P 7,
 * AVL 12, L 13, DB 14, G 15. P clear means that the segment is not usable (a null selector was loaded).
 */
struct vmmu_x86_segment {
    uint64_t base;
    uint32_t limit; /* in bytes, expanded */
    uint16_t selector;
    uint16_t attributes;
};

/* General registers in encoding order: the index into gpr[], and the number of an operand. */
enum vmmu_x86_register {
    VMMU_X86_RAX,
    VMMU_X86_RCX,
    VMMU_X86_RDX,
    VMMU_X86_RBX,
    VMMU_X86_RSP,
    VMMU_X86_RBP,
    VMMU_X86_RSI,
    VMMU_X86_RDI, /* then R8 to R15 as 8 to 15 */
    VMMU_X86_GPRS = 16
};

/* The register file that an emulated instruction reads and changes. */
struct vmmu_x86_state {
    uint64_t gpr[VMMU_X86_GPRS];
    uint64_t rip;
    uint64_t rflags;
    uint64_t cr0;
    uint64_t cr4;
    uint64_t efer;
    uint8_t cpl;
    bool interrupt_shadow; /* of STI or MOV SS: cleared as the next instruction completes */
    struct vmmu_x86_segment segment[VMMU_X86_SEGMENTS];
};

#define VMMU_X86_INSN_MAX_BYTES 15

/* How the code segment makes instructions decode: default operand and address size. */
enum vmmu_insn_width {
    VMMU_INSN_16,
    VMMU_INSN_32,
    VMMU_INSN_64,
};

/* What vmmu_insn_perform() does. `source` and `destination` as the manuals order them. */
enum vmmu_insn_operation {
    VMMU_INSN_NONE, /* nothing was decoded */

    /* The arithmetic and logic group, in encoding order. */
    VMMU_INSN_ADD,
    VMMU_INSN_OR,
    VMMU_INSN_ADC,
    VMMU_INSN_SBB,
    VMMU_INSN_AND,
    VMMU_INSN_SUB,
    VMMU_INSN_XOR,
    VMMU_INSN_CMP,
    VMMU_INSN_TEST,
    VMMU_INSN_INC,
    VMMU_INSN_DEC,
    VMMU_INSN_NEG,
    VMMU_INSN_NOT,

    /* Rotates and shifts, by `source`. */
    VMMU_INSN_ROL,
    VMMU_INSN_ROR,
    VMMU_INSN_RCL,
    VMMU_INSN_RCR,
    VMMU_INSN_SHL,
    VMMU_INSN_SHR,
    VMMU_INSN_SAR,

    /* Bit tests; the bit offset is `source`. */
    VMMU_INSN_BT,
    VMMU_INSN_BTS,
    VMMU_INSN_BTR,
    VMMU_INSN_BTC,

    /* Moves. MOVZX, MOVSX and MOVSXD read source_bytes; MOVNTI is MOV. */
    VMMU_INSN_MOV,
    VMMU_INSN_MOVZX,
    VMMU_INSN_MOVSX,
    VMMU_INSN_MOVBE,
    VMMU_INSN_XCHG,
    VMMU_INSN_XADD,
    VMMU_INSN_CMPXCHG,
    VMMU_INSN_CMPXCHG8B, /* 8 or, with operand_bytes 16, 16 bytes */
    VMMU_INSN_PUSH,
    VMMU_INSN_POP,
    VMMU_INSN_NOP,

    /* String instructions, with or without REP. */
    VMMU_INSN_MOVS,
    VMMU_INSN_CMPS,
    VMMU_INSN_STOS,
    VMMU_INSN_LODS,
    VMMU_INSN_SCAS,
    VMMU_INSN_INS,
    VMMU_INSN_OUTS,

    /*
     * Decoded for the caller to do, then vmmu_insn_retire(); perform answers VMMU_UNSUPPORTED from here on.
     */
    VMMU_INSN_IN,     /* port: source, an immediate or RDX; data in AL, AX or EAX by operand_bytes */
    VMMU_INSN_OUT,    /* port: destination */
    VMMU_INSN_MOV_CR, /* one operand is CONTROL, the other REGISTER; operand_bytes is 4 or 8 */
    VMMU_INSN_MOV_DR, /* one operand is DEBUG; DR4 and DR5 are told as such: CR4.DE decides */
    VMMU_INSN_CLTS,
    VMMU_INSN_LMSW,    /* source: REGISTER or MEMORY, 16 bits */
    VMMU_INSN_SMSW,    /* destination: REGISTER of operand_bytes, or MEMORY of 16 bits */
    VMMU_INSN_INVLPG,  /* vmmu_insn_address() gives the linear address */
    VMMU_INSN_INVLPGA, /* address in rAX by address_bytes, ASID in ECX */
    VMMU_INSN_INVPCID, /* destination: type REGISTER; source: descriptor MEMORY of 16 bytes */
    VMMU_INSN_INVD,
    VMMU_INSN_WBINVD,
    VMMU_INSN_CPUID,
    VMMU_INSN_RDMSR,
    VMMU_INSN_WRMSR,
    VMMU_INSN_RDTSC,
    VMMU_INSN_RDTSCP,
    VMMU_INSN_RDPMC,
    VMMU_INSN_XGETBV,
    VMMU_INSN_XSETBV,
    VMMU_INSN_HLT,
    VMMU_INSN_PAUSE,
    VMMU_INSN_MONITOR,
    VMMU_INSN_MWAIT,
    VMMU_INSN_VMCALL,
    VMMU_INSN_VMMCALL,
    VMMU_INSN_VMRUN,
    VMMU_INSN_VMLOAD,
    VMMU_INSN_VMSAVE,
    VMMU_INSN_STGI,
    VMMU_INSN_CLGI,
    VMMU_INSN_SKINIT,
    VMMU_INSN_INT, /* source: the vector, IMMEDIATE */
    VMMU_INSN_INT3,
    VMMU_INSN_INTO,
    VMMU_INSN_ICEBP,
    VMMU_INSN_IRET,
    VMMU_INSN_PUSHF,
    VMMU_INSN_POPF,
    VMMU_INSN_RSM,
    VMMU_INSN_CALL_FAR, /* source: the pointer, in MEMORY or IMMEDIATE: the selector above operand_bytes of offset */
    VMMU_INSN_JMP_FAR,

    VMMU_INSN_OPERATIONS
};

enum vmmu_insn_operand_kind {
    VMMU_INSN_OPERAND_NONE,
    VMMU_INSN_OPERAND_REGISTER,  /* gpr[number], low operand_bytes of it */
    VMMU_INSN_OPERAND_HIGH_BYTE, /* bits 15:8 of gpr[number]: AH, CH, DH, BH */
    VMMU_INSN_OPERAND_MEMORY,    /* see struct vmmu_insn_address */
    VMMU_INSN_OPERAND_IMMEDIATE, /* `immediate`, sign-extended where the instruction does so */
    VMMU_INSN_OPERAND_SEGMENT,   /* segment register `number` */
    VMMU_INSN_OPERAND_CONTROL,   /* CR`number` */
    VMMU_INSN_OPERAND_DEBUG,     /* DR`number` */
};

struct vmmu_insn_operand {
    uint8_t kind; /* enum vmmu_insn_operand_kind */
    uint8_t number;
};

/* Values of `base` and `index` that are not general registers. */
#define VMMU_INSN_RIP         16
#define VMMU_INSN_NO_REGISTER 17

/* The memory operand: segment : (base + (index << scale_shift) + displacement), cut to the address size. */
struct vmmu_insn_address {
    uint8_t segment;     /* enum vmmu_x86_segment_name: the override that counts, else the default */
    uint8_t base;        /* a register, VMMU_INSN_RIP (of the next instruction) or VMMU_INSN_NO_REGISTER */
    uint8_t index;       /* a register or VMMU_INSN_NO_REGISTER */
    uint8_t scale_shift; /* 0 to 3 */
    int64_t displacement;
};

enum vmmu_insn_repeat {
    VMMU_INSN_REPEAT_NONE,
    VMMU_INSN_REPEAT_F3, /* REP, REPE */
    VMMU_INSN_REPEAT_F2, /* REPNE */
};

/* A decoded instruction: plain data, good for any processor state of the same width. */
struct vmmu_insn {
    enum vmmu_insn_operation operation;
    enum vmmu_insn_width width;
    uint8_t length;        /* in bytes, prefixes included: 1 to 15 */
    uint8_t operand_bytes; /* 1, 2, 4, 8 or 16 */
    uint8_t source_bytes;  /* as operand_bytes, save for MOVZX and MOVSX */
    uint8_t address_bytes; /* 2, 4 or 8 */
    uint8_t repeat;        /* enum vmmu_insn_repeat: the prefix as it stood, even where it means nothing */
    bool lock;             /* LOCK, or XCHG with memory, which locks without it */
    /*
     * How many places in memory performing it (or one iteration of it) touches, the stack and string operands
     * included: 0, 1 or 2. If it is 1 and the access stays within a page, the guest-physical address that an
     * exit reports is that of the operand, or of the first iteration.
     */
    uint8_t memory_operands;
    struct vmmu_insn_operand destination;
    struct vmmu_insn_operand source;
    /* Valid if an operand is MEMORY; for string instructions, `segment` is that of rSI. */
    struct vmmu_insn_address address;
    uint64_t immediate;
    struct vmmu_x86_fault fault; /* valid only if decoding answered VMMU_GUEST_FAULT */
};

/* The width at which the processor in @state decodes at CS:RIP: EFER.LMA with CS.L, else CS.D. */
enum vmmu_insn_width vmmu_insn_mode(const struct vmmu_x86_state *state);

/**
 * Decode the instruction at the start of @bytes, of which @count are there (more than 15 are not looked at).
 *
 * Returns
 *   VMMU_OK           *out is the instruction
 *   VMMU_ABSENT       it goes on behind the last byte: fetch more and call again
 *   VMMU_GUEST_FAULT  out->fault: #UD for an encoding that no processor has (LOCK where it is not allowed,
 *                     MOV CS, a register where memory is required...), #GP(0) for more than 15 bytes
 *   VMMU_UNSUPPORTED  this decoder does not know it
 *
 * Only with VMMU_OK is anything but out->fault meaningful. Privilege and CPUID are not looked
 * at: they are the caller's.
 *
 * Spec: SDM 2 "Instruction Format", AMD APM 3 "Instruction Encoding".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_insn_decode(const uint8_t *bytes, unsigned count, enum vmmu_insn_width width,
                                  struct vmmu_insn *out);

#define VMMU_INSN_CACHE_ENTRIES 16

/*
 * Instructions decoded before, by their bytes. All zero is empty. One for each virtual
 * processor: not for concurrent use.
 */
struct vmmu_insn_cache {
    struct vmmu_insn uncached; /* of fewer than 15 bytes */
    struct vmmu_insn_cache_entry {
        uint64_t first; /* bytes 0 to 7 */
        uint64_t last;  /* bytes 7 to 14 */
        bool valid;
        struct vmmu_insn insn;
    } entries[VMMU_INSN_CACHE_ENTRIES];
};

/*
 * As vmmu_insn_decode(), but of 15 bytes that were decoded before it takes the result from @cache. *out
 * stands in the cache until the next call.
 */
VMMU_MUST_USE
enum vmmu_status vmmu_insn_decode_cached(struct vmmu_insn_cache *cache, const uint8_t *bytes, unsigned count,
                                         enum vmmu_insn_width width, const struct vmmu_insn **out);

/* What an access to memory is for. */
enum vmmu_insn_access {
    VMMU_INSN_READ,
    VMMU_INSN_READ_TO_WRITE, /* a write to the same bytes follows: fault now if it would */
    VMMU_INSN_WRITE,
};

/* The bytes that a callback is asked for. */
struct vmmu_insn_bytes {
    vmmu_gva at;
    uint8_t size_bytes;
    enum vmmu_insn_access access;
};

/**
 * How an instruction reaches memory and ports, at the privilege of the processor's CPL.
 *
 * Accesses are to linear addresses, 1 to 8 bytes, and never cross a 4 KiB boundary (an operand that does is
 * asked for in two parts, of which the size may then be odd). Values are native; memory is little-endian.
 * Each returns VMMU_OK, VMMU_GUEST_FAULT with *fault filled in, or any other status, which
 * vmmu_insn_perform() hands through; only on VMMU_OK may anything have changed. Callbacks must not change the
 * state that is being worked on.
 */
struct vmmu_insn_memory {
    void *context;

    enum vmmu_status (*read)(void *context, const struct vmmu_insn_bytes *bytes, uint64_t *value,
                             struct vmmu_x86_fault *fault);

    enum vmmu_status (*write)(void *context, const struct vmmu_insn_bytes *bytes, uint64_t value,
                              struct vmmu_x86_fault *fault);

    /* Whether the access would succeed; changes nothing but accessed and dirty bits. */
    enum vmmu_status (*probe)(void *context, const struct vmmu_insn_bytes *bytes,
                              struct vmmu_x86_fault *fault);

    /*
     * One atomic compare and exchange of 1, 2, 4, 8 or 16 bytes; [0] is the low 8 bytes, [1] the high 8 of
     * 16. VMMU_OK: @desired was stored; VMMU_RACED: another value stands there, now in @expected.
     */
    enum vmmu_status (*exchange)(void *context, const struct vmmu_insn_bytes *bytes, uint64_t expected[2],
                                 const uint64_t desired[2], struct vmmu_x86_fault *fault);

    /*
     * For INS and OUTS; either may be NULL: VMMU_UNSUPPORTED. The permission was checked before, so that
     * there is no VMMU_GUEST_FAULT.
     */
    enum vmmu_status (*port_in)(void *context, uint16_t port, unsigned size_bytes, uint64_t *value);
    enum vmmu_status (*port_out)(void *context, uint16_t port, unsigned size_bytes, uint64_t value);
};

/* Iterations of a REP instruction that one vmmu_insn_perform() does at most; one if RFLAGS.TF is set. */
#define VMMU_INSN_ITERATIONS 256

/* Compare-exchanges that a locked operation tries before it gives up with VMMU_RACED. */
#define VMMU_INSN_EXCHANGES  64

struct vmmu_insn_outcome {
    struct vmmu_x86_fault fault; /* valid with VMMU_GUEST_FAULT */
    bool again;       /* REP goes on: RIP still stands at the instruction, take interrupts, then call again */
    bool single_step; /* RFLAGS.TF was set: a #DB with DR6.BS is due */
};

/**
 * Do the whole instruction: addresses with segment and canonical checks, #AC, accesses, result, RFLAGS, RIP;
 * clears RFLAGS.RF and the interrupt shadow. A REP instruction is done as vmmu_insn_memory has it, iteration
 * by iteration; between two calls the state is what a processor has when it takes an interrupt between
 * iterations (RF set).
 *
 * Returns
 *   VMMU_OK           done, or outcome->again
 *   VMMU_GUEST_FAULT  outcome->fault, ready to inject (set RFLAGS.RF in the image that is pushed); the state
 *                     is unchanged save for REP iterations that were complete
 *   VMMU_RACED        other processors kept changing a locked operand; nothing was changed, call again
 *   VMMU_UNSUPPORTED  an operation that the caller does itself, or a locked access that crosses a page;
 *                     nothing was changed
 *   any other         from a callback; the state is unchanged save for REP iterations that were complete
 *
 * Spec: SDM 1 "Operand Addressing", SDM 3A "Limit Checking", "Type Checking"; AMD APM 3 "General-Purpose
 * Instruction Reference".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_insn_perform(const struct vmmu_insn *insn, struct vmmu_x86_state *state,
                                   const struct vmmu_insn_memory *memory, struct vmmu_insn_outcome *outcome);

/*
 * For the instructions that the caller does itself: move RIP behind the instruction, clear RFLAGS.RF and the
 * interrupt shadow. Returns whether a single-step trap (#DB with DR6.BS) is due.
 */
bool vmmu_insn_retire(const struct vmmu_insn *insn, struct vmmu_x86_state *state);

/*
 * Linear address of the memory operand, cut to what the processor's mode has, with no check of any kind, as
 * INVLPG takes it.
 */
vmmu_gva vmmu_insn_address(const struct vmmu_insn *insn, const struct vmmu_x86_state *state);

/**
 * Load insn->source (source_bytes of it), or store insn->destination (operand_bytes of it), for the
 * instructions that the caller does itself: LMSW, SMSW, MOV CR... Registers are written as instructions do: 4
 * bytes clear the upper half, fewer leave the rest. Memory operands are checked as by vmmu_insn_perform().
 * Loading zero-extends; value[1] is used for 16 bytes (the descriptor of INVPCID) only.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_GUEST_FAULT  *fault; nothing was changed
 *   VMMU_INVALID      an operand that has no value here (control and debug registers, none; storing to an
 *                     immediate or a segment register)
 *   any other         from a callback
 */
VMMU_MUST_USE
enum vmmu_status vmmu_insn_load_source(const struct vmmu_insn *insn, const struct vmmu_x86_state *state,
                                       const struct vmmu_insn_memory *memory, uint64_t value[2],
                                       struct vmmu_x86_fault *fault);
VMMU_MUST_USE
enum vmmu_status vmmu_insn_store_destination(const struct vmmu_insn *insn, struct vmmu_x86_state *state,
                                             const struct vmmu_insn_memory *memory, uint64_t value,
                                             struct vmmu_x86_fault *fault);

#endif
