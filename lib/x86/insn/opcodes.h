/*
 * The opcode maps as data: what each opcode is, where its operands come from, and what it permits.
 *
 * A missing entry reads as VMMU_INSN_NONE: the decoder does not know it.
 */
#ifndef VMMU_INSN_OPCODES_H
#define VMMU_INSN_OPCODES_H

#include <vmmu/insn.h>

/* Where an operand is encoded. */
enum operand_code {
    OP_NONE,
    OP_RM,          /* ModR/M.rm: a register or memory */
    OP_REG,         /* ModR/M.reg: a general register */
    OP_LOW,         /* the opcode's low three bits: a general register */
    OP_RAX,         /* AL, AX, EAX or RAX */
    OP_CL,          /* CL, whatever the operand size is */
    OP_DX,          /* DX: a port */
    OP_MOFFS,       /* memory at an offset that follows the opcode */
    OP_IMM,         /* an immediate of the operand size, at most 4 bytes, sign-extended */
    OP_IMM_FULL,    /* an immediate of the operand size, up to 8 bytes */
    OP_IMM8_SIGNED, /* one byte, sign-extended to the operand size */
    OP_IMM8,        /* one byte: a port, a vector, a bit offset, a count */
    OP_FAR,         /* an offset of the operand size and a selector: an immediate */
    OP_ONE,         /* the count 1 */
    OP_SEG,         /* ModR/M.reg: a segment register */
    OP_SEG_OPCODE,  /* the opcode's bits 5:3: a segment register */
    OP_CONTROL,     /* ModR/M.reg: a control register */
    OP_DEBUG,       /* ModR/M.reg: a debug register */
};

enum opcode_flags {
    F_PREFIX = 1 << 0,          /* a legacy prefix (REX is told apart by the mode) */
    F_MODRM = 1 << 1,           /* a ModR/M byte follows */
    F_RM_REGISTER = 1 << 2,     /* ModR/M.mod is ignored: rm is a register */
    F_GROUP = 1 << 3,           /* `operation` is an enum opcode_group, chosen from by ModR/M.reg */
    F_GROUP_SYSTEM = 1 << 4,    /* as F_GROUP, but by ModR/M.reg and .rm where mod is 3 */
    F_BYTE = 1 << 5,            /* the operand size is 1 */
    F_DEFAULT64 = 1 << 6,       /* the operand size is 8 in 64-bit mode unless a prefix makes it 2 */
    F_MODE_SIZE = 1 << 7,       /* the operand size is 8 in 64-bit mode, else 4, whatever the prefixes */
    F_MAX32 = 1 << 8,           /* REX.W does not make the operand size 8 */
    F_MIN32 = 1 << 9,           /* the operand size is never 2 */
    F_PAIR = 1 << 10,           /* the operand size is 8, or 16 with REX.W */
    F_SOURCE_BYTE = 1 << 11,    /* the source is 1 byte */
    F_SOURCE_WORD = 1 << 12,    /* the source is 2 bytes */
    F_SOURCE_DWORD = 1 << 13,   /* the source is at most 4 bytes */
    F_SOURCE_WIDE = 1 << 14,    /* the source is 16 bytes */
    F_MEMORY_WORD = 1 << 15,    /* the operand size is 2 if rm is memory */
    F_MEMORY_ONLY = 1 << 16,    /* #UD if rm is a register */
    F_NOT_64 = 1 << 17,         /* #UD in 64-bit mode */
    F_ONLY_64 = 1 << 18,        /* another instruction outside 64-bit mode */
    F_LOCKABLE = 1 << 19,       /* LOCK is allowed where the destination is memory */
    F_LOCKS = 1 << 20,          /* locks by itself where the destination is memory */
    F_NO_REPEAT = 1 << 21,      /* F2 or F3 make it another instruction */
    F_NO_PREFIX = 1 << 22,      /* 66, F2 or F3 make it another instruction */
    F_NEEDS_66 = 1 << 23,       /* 66 is part of the opcode */
    F_NO_ACCESS = 1 << 24,      /* the memory operand is an address only */
    F_ONE_MORE = 1 << 25,       /* touches one place in memory beside rm: a stack or string operand */
    F_TWO_MORE = 1 << 26,       /* touches two such places */
    F_NAMES_REGISTER = 1 << 27, /* an operand is a segment, control or debug register */
    F_NOP = 1 << 28,            /* NOP or PAUSE without REX.B */
};

/* Flags that are rare, together: one test each in the decoder. */
enum opcode_flag_groups {
    F_ANY_SIZE = F_BYTE | F_DEFAULT64 | F_MODE_SIZE | F_MAX32 | F_MIN32 | F_PAIR | F_MEMORY_WORD,
    F_ANY_SOURCE_SIZE = F_SOURCE_BYTE | F_SOURCE_WORD | F_SOURCE_DWORD | F_SOURCE_WIDE,
    F_ANY_PLACES = F_NO_ACCESS | F_ONE_MORE | F_TWO_MORE,
    F_ANY_CONDITION = F_NO_REPEAT | F_NO_PREFIX | F_NEEDS_66 | F_ONLY_64,
    F_ANY_REFUSAL = F_MEMORY_ONLY | F_NAMES_REGISTER,
};

struct opcode {
    uint8_t operation;   /* enum vmmu_insn_operation or enum opcode_group */
    uint8_t destination; /* enum operand_code */
    uint8_t source;      /* enum operand_code */
    uint32_t flags;      /* enum opcode_flags */
};

enum opcode_group {
    GROUP_IMMEDIATE,        /* 80, 81, 82 */
    GROUP_IMMEDIATE_SIGNED, /* 83 */
    GROUP_POP,              /* 8F */
    GROUP_SHIFT,            /* C0, C1 */
    GROUP_SHIFT_ONE,        /* D0, D1 */
    GROUP_SHIFT_CL,         /* D2, D3 */
    GROUP_MOV,              /* C6, C7 */
    GROUP_UNARY,            /* F6, F7 */
    GROUP_COUNT_BYTE,       /* FE */
    GROUP_COUNT,            /* FF */
    GROUP_SYSTEM,           /* 0F 01 */
    GROUP_BIT,              /* 0F BA */
    GROUP_EXCHANGE,         /* 0F C7 */
    GROUP_NOP,              /* 0F 1F */
    GROUPS
};

extern const struct opcode vmmu_insn_one_byte[256];
extern const struct opcode vmmu_insn_two_byte[256];
extern const struct opcode vmmu_insn_groups[GROUPS][8];

/* 0F 01 with ModR/M.mod 3, by ModR/M.reg and .rm. */
extern const struct opcode vmmu_insn_system[64];

/* 0F 38; few enough to be looked up by a switch. The entry of VMMU_INSN_NONE if it is not known. */
const struct opcode *vmmu_insn_three_byte(uint8_t byte);

#endif
