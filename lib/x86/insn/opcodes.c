/*
 * The opcode maps. Columns: operation, destination, source, flags. Spec: SDM 2 "Opcode Map", AMD APM 3
 * "Opcode and Operand Encodings".
 */
#include "opcodes.h"

#define GROUP_OF(group, more)                                                                                \
    {                                                                                                        \
        (group), OP_RM, OP_NONE, F_MODRM | F_GROUP | (more)                                                  \
    }

/* The six encodings that each of ADD, OR, ADC, SBB, AND, SUB and XOR has from @base on. */
#define ARITHMETIC(base, operation)                                                                          \
    [(base) + 0] = { (operation), OP_RM, OP_REG, F_MODRM | F_BYTE | F_LOCKABLE },                            \
              [(base) + 1] = { (operation), OP_RM, OP_REG, F_MODRM | F_LOCKABLE },                           \
              [(base) + 2] = { (operation), OP_REG, OP_RM, F_MODRM | F_BYTE },                               \
              [(base) + 3] = { (operation), OP_REG, OP_RM, F_MODRM },                                        \
              [(base) + 4] = { (operation), OP_RAX, OP_IMM, F_BYTE },                                        \
              [(base) + 5] = { (operation), OP_RAX, OP_IMM, 0 }

/* The same instruction for each register in the opcode's low three bits. */
#define EACH_REGISTER(base, ...)                                                                             \
    [(base) + 0] = __VA_ARGS__, [(base) + 1] = __VA_ARGS__, [(base) + 2] = __VA_ARGS__,                      \
              [(base) + 3] = __VA_ARGS__, [(base) + 4] = __VA_ARGS__, [(base) + 5] = __VA_ARGS__,            \
              [(base) + 6] = __VA_ARGS__, [(base) + 7] = __VA_ARGS__

/* The arithmetic group with an immediate encoded as @source. */
#define IMMEDIATE_GROUP(source)                                                                              \
    {                                                                                                        \
        { VMMU_INSN_ADD, OP_RM, (source), F_LOCKABLE }, { VMMU_INSN_OR, OP_RM, (source), F_LOCKABLE },       \
            { VMMU_INSN_ADC, OP_RM, (source), F_LOCKABLE }, { VMMU_INSN_SBB, OP_RM, (source), F_LOCKABLE },  \
            { VMMU_INSN_AND, OP_RM, (source), F_LOCKABLE }, { VMMU_INSN_SUB, OP_RM, (source), F_LOCKABLE },  \
            { VMMU_INSN_XOR, OP_RM, (source), F_LOCKABLE }, { VMMU_INSN_CMP, OP_RM, (source), 0 },           \
    }

/* The rotates and shifts by the count encoded as @source; 6 is another name of 4. */
#define SHIFT_GROUP(source)                                                                                  \
    {                                                                                                        \
        { VMMU_INSN_ROL, OP_RM, (source), 0 }, { VMMU_INSN_ROR, OP_RM, (source), 0 },                        \
            { VMMU_INSN_RCL, OP_RM, (source), 0 }, { VMMU_INSN_RCR, OP_RM, (source), 0 },                    \
            { VMMU_INSN_SHL, OP_RM, (source), 0 }, { VMMU_INSN_SHR, OP_RM, (source), 0 },                    \
            { VMMU_INSN_SHL, OP_RM, (source), 0 }, { VMMU_INSN_SAR, OP_RM, (source), 0 },                    \
    }

/* MOV from and to control and debug registers. */
#define NAMED_REGISTER (F_MODRM | F_RM_REGISTER | F_MODE_SIZE | F_NAMES_REGISTER)

/* Not known to us, but #UD in 64-bit mode whatever follows. */
#define GONE_IN_64                                                                                           \
    {                                                                                                        \
        VMMU_INSN_NONE, OP_NONE, OP_NONE, F_NOT_64                                                           \
    }

/* clang-format off */
const struct opcode vmmu_insn_one_byte[256] = {
    ARITHMETIC(0x00, VMMU_INSN_ADD),
    ARITHMETIC(0x08, VMMU_INSN_OR),
    ARITHMETIC(0x10, VMMU_INSN_ADC),
    ARITHMETIC(0x18, VMMU_INSN_SBB),
    ARITHMETIC(0x20, VMMU_INSN_AND),
    ARITHMETIC(0x28, VMMU_INSN_SUB),
    ARITHMETIC(0x30, VMMU_INSN_XOR),
    [0x38] = { VMMU_INSN_CMP, OP_RM, OP_REG, F_MODRM | F_BYTE },
    [0x39] = { VMMU_INSN_CMP, OP_RM, OP_REG, F_MODRM },
    [0x3A] = { VMMU_INSN_CMP, OP_REG, OP_RM, F_MODRM | F_BYTE },
    [0x3B] = { VMMU_INSN_CMP, OP_REG, OP_RM, F_MODRM },
    [0x3C] = { VMMU_INSN_CMP, OP_RAX, OP_IMM, F_BYTE },
    [0x3D] = { VMMU_INSN_CMP, OP_RAX, OP_IMM, 0 },

    [0x06] = { VMMU_INSN_PUSH, OP_NONE, OP_SEG_OPCODE, F_NOT_64 | F_ONE_MORE },
    [0x0E] = { VMMU_INSN_PUSH, OP_NONE, OP_SEG_OPCODE, F_NOT_64 | F_ONE_MORE },
    [0x16] = { VMMU_INSN_PUSH, OP_NONE, OP_SEG_OPCODE, F_NOT_64 | F_ONE_MORE },
    [0x1E] = { VMMU_INSN_PUSH, OP_NONE, OP_SEG_OPCODE, F_NOT_64 | F_ONE_MORE },

    [0x07] = GONE_IN_64, [0x17] = GONE_IN_64, [0x1F] = GONE_IN_64, [0x27] = GONE_IN_64, [0x2F] = GONE_IN_64,
    [0x37] = GONE_IN_64, [0x3F] = GONE_IN_64, [0x60] = GONE_IN_64, [0x61] = GONE_IN_64,
    [0xD4] = GONE_IN_64, [0xD5] = GONE_IN_64, [0xD6] = GONE_IN_64,

    [0x26] = { 0, 0, 0, F_PREFIX },
    [0x2E] = { 0, 0, 0, F_PREFIX },
    [0x36] = { 0, 0, 0, F_PREFIX },
    [0x3E] = { 0, 0, 0, F_PREFIX },
    [0x64] = { 0, 0, 0, F_PREFIX },
    [0x65] = { 0, 0, 0, F_PREFIX },
    [0x66] = { 0, 0, 0, F_PREFIX },
    [0x67] = { 0, 0, 0, F_PREFIX },
    [0xF0] = { 0, 0, 0, F_PREFIX },
    [0xF2] = { 0, 0, 0, F_PREFIX },
    [0xF3] = { 0, 0, 0, F_PREFIX },

    /* Outside 64-bit mode; in it these are REX. */
    EACH_REGISTER(0x40, { VMMU_INSN_INC, OP_LOW, OP_NONE, 0 }),
    EACH_REGISTER(0x48, { VMMU_INSN_DEC, OP_LOW, OP_NONE, 0 }),

    EACH_REGISTER(0x50, { VMMU_INSN_PUSH, OP_NONE, OP_LOW, F_DEFAULT64 | F_ONE_MORE }),
    EACH_REGISTER(0x58, { VMMU_INSN_POP, OP_LOW, OP_NONE, F_DEFAULT64 | F_ONE_MORE }),
    [0x63] = { VMMU_INSN_MOVSX, OP_REG, OP_RM, F_MODRM | F_ONLY_64 | F_SOURCE_DWORD },
    [0x68] = { VMMU_INSN_PUSH, OP_NONE, OP_IMM, F_DEFAULT64 | F_ONE_MORE },
    [0x6A] = { VMMU_INSN_PUSH, OP_NONE, OP_IMM8_SIGNED, F_DEFAULT64 | F_ONE_MORE },
    [0x6C] = { VMMU_INSN_INS, OP_NONE, OP_DX, F_BYTE | F_ONE_MORE },
    [0x6D] = { VMMU_INSN_INS, OP_NONE, OP_DX, F_MAX32 | F_ONE_MORE },
    [0x6E] = { VMMU_INSN_OUTS, OP_DX, OP_NONE, F_BYTE | F_ONE_MORE },
    [0x6F] = { VMMU_INSN_OUTS, OP_DX, OP_NONE, F_MAX32 | F_ONE_MORE },

    [0x80] = GROUP_OF(GROUP_IMMEDIATE, F_BYTE),
    [0x81] = GROUP_OF(GROUP_IMMEDIATE, 0),
    [0x82] = GROUP_OF(GROUP_IMMEDIATE, F_BYTE | F_NOT_64),
    [0x83] = GROUP_OF(GROUP_IMMEDIATE_SIGNED, 0),
    [0x84] = { VMMU_INSN_TEST, OP_RM, OP_REG, F_MODRM | F_BYTE },
    [0x85] = { VMMU_INSN_TEST, OP_RM, OP_REG, F_MODRM },
    [0x86] = { VMMU_INSN_XCHG, OP_RM, OP_REG, F_MODRM | F_BYTE | F_LOCKABLE | F_LOCKS },
    [0x87] = { VMMU_INSN_XCHG, OP_RM, OP_REG, F_MODRM | F_LOCKABLE | F_LOCKS },
    [0x88] = { VMMU_INSN_MOV, OP_RM, OP_REG, F_MODRM | F_BYTE },
    [0x89] = { VMMU_INSN_MOV, OP_RM, OP_REG, F_MODRM },
    [0x8A] = { VMMU_INSN_MOV, OP_REG, OP_RM, F_MODRM | F_BYTE },
    [0x8B] = { VMMU_INSN_MOV, OP_REG, OP_RM, F_MODRM },
    [0x8C] = { VMMU_INSN_MOV, OP_RM, OP_SEG, F_MODRM | F_MEMORY_WORD | F_NAMES_REGISTER },
    [0x8E] = { VMMU_INSN_MOV, OP_SEG, OP_RM, F_MODRM | F_SOURCE_WORD | F_NAMES_REGISTER },
    [0x8F] = GROUP_OF(GROUP_POP, F_DEFAULT64 | F_ONE_MORE),

    [0x90] = { VMMU_INSN_XCHG, OP_LOW, OP_RAX, F_NOP },
    [0x91] = { VMMU_INSN_XCHG, OP_LOW, OP_RAX, 0 },
    [0x92] = { VMMU_INSN_XCHG, OP_LOW, OP_RAX, 0 },
    [0x93] = { VMMU_INSN_XCHG, OP_LOW, OP_RAX, 0 },
    [0x94] = { VMMU_INSN_XCHG, OP_LOW, OP_RAX, 0 },
    [0x95] = { VMMU_INSN_XCHG, OP_LOW, OP_RAX, 0 },
    [0x96] = { VMMU_INSN_XCHG, OP_LOW, OP_RAX, 0 },
    [0x97] = { VMMU_INSN_XCHG, OP_LOW, OP_RAX, 0 },
    [0x9A] = { VMMU_INSN_CALL_FAR, OP_NONE, OP_FAR, F_NOT_64 | F_ONE_MORE },
    [0x9C] = { VMMU_INSN_PUSHF, OP_NONE, OP_NONE, F_DEFAULT64 | F_ONE_MORE },
    [0x9D] = { VMMU_INSN_POPF, OP_NONE, OP_NONE, F_DEFAULT64 | F_ONE_MORE },

    [0xA0] = { VMMU_INSN_MOV, OP_RAX, OP_MOFFS, F_BYTE },
    [0xA1] = { VMMU_INSN_MOV, OP_RAX, OP_MOFFS, 0 },
    [0xA2] = { VMMU_INSN_MOV, OP_MOFFS, OP_RAX, F_BYTE },
    [0xA3] = { VMMU_INSN_MOV, OP_MOFFS, OP_RAX, 0 },
    [0xA4] = { VMMU_INSN_MOVS, OP_NONE, OP_NONE, F_BYTE | F_TWO_MORE },
    [0xA5] = { VMMU_INSN_MOVS, OP_NONE, OP_NONE, F_TWO_MORE },
    [0xA6] = { VMMU_INSN_CMPS, OP_NONE, OP_NONE, F_BYTE | F_TWO_MORE },
    [0xA7] = { VMMU_INSN_CMPS, OP_NONE, OP_NONE, F_TWO_MORE },
    [0xA8] = { VMMU_INSN_TEST, OP_RAX, OP_IMM, F_BYTE },
    [0xA9] = { VMMU_INSN_TEST, OP_RAX, OP_IMM, 0 },
    [0xAA] = { VMMU_INSN_STOS, OP_NONE, OP_RAX, F_BYTE | F_ONE_MORE },
    [0xAB] = { VMMU_INSN_STOS, OP_NONE, OP_RAX, F_ONE_MORE },
    [0xAC] = { VMMU_INSN_LODS, OP_RAX, OP_NONE, F_BYTE | F_ONE_MORE },
    [0xAD] = { VMMU_INSN_LODS, OP_RAX, OP_NONE, F_ONE_MORE },
    [0xAE] = { VMMU_INSN_SCAS, OP_RAX, OP_NONE, F_BYTE | F_ONE_MORE },
    [0xAF] = { VMMU_INSN_SCAS, OP_RAX, OP_NONE, F_ONE_MORE },
    EACH_REGISTER(0xB0, { VMMU_INSN_MOV, OP_LOW, OP_IMM, F_BYTE }),
    EACH_REGISTER(0xB8, { VMMU_INSN_MOV, OP_LOW, OP_IMM_FULL, 0 }),

    [0xC0] = GROUP_OF(GROUP_SHIFT, F_BYTE),
    [0xC1] = GROUP_OF(GROUP_SHIFT, 0),
    [0xC6] = GROUP_OF(GROUP_MOV, F_BYTE),
    [0xC7] = GROUP_OF(GROUP_MOV, 0),
    [0xCC] = { VMMU_INSN_INT3, OP_NONE, OP_NONE, 0 },
    [0xCD] = { VMMU_INSN_INT, OP_NONE, OP_IMM8, 0 },
    [0xCE] = { VMMU_INSN_INTO, OP_NONE, OP_NONE, F_NOT_64 },
    [0xCF] = { VMMU_INSN_IRET, OP_NONE, OP_NONE, 0 },
    [0xD0] = GROUP_OF(GROUP_SHIFT_ONE, F_BYTE),
    [0xD1] = GROUP_OF(GROUP_SHIFT_ONE, 0),
    [0xD2] = GROUP_OF(GROUP_SHIFT_CL, F_BYTE),
    [0xD3] = GROUP_OF(GROUP_SHIFT_CL, 0),

    [0xE4] = { VMMU_INSN_IN, OP_RAX, OP_IMM8, F_BYTE },
    [0xE5] = { VMMU_INSN_IN, OP_RAX, OP_IMM8, F_MAX32 },
    [0xE6] = { VMMU_INSN_OUT, OP_IMM8, OP_RAX, F_BYTE },
    [0xE7] = { VMMU_INSN_OUT, OP_IMM8, OP_RAX, F_MAX32 },
    [0xEA] = { VMMU_INSN_JMP_FAR, OP_NONE, OP_FAR, F_NOT_64 },
    [0xEC] = { VMMU_INSN_IN, OP_RAX, OP_DX, F_BYTE },
    [0xED] = { VMMU_INSN_IN, OP_RAX, OP_DX, F_MAX32 },
    [0xEE] = { VMMU_INSN_OUT, OP_DX, OP_RAX, F_BYTE },
    [0xEF] = { VMMU_INSN_OUT, OP_DX, OP_RAX, F_MAX32 },

    [0xF1] = { VMMU_INSN_ICEBP, OP_NONE, OP_NONE, 0 },
    [0xF4] = { VMMU_INSN_HLT, OP_NONE, OP_NONE, 0 },
    [0xF6] = GROUP_OF(GROUP_UNARY, F_BYTE),
    [0xF7] = GROUP_OF(GROUP_UNARY, 0),
    [0xFE] = GROUP_OF(GROUP_COUNT_BYTE, F_BYTE),
    [0xFF] = GROUP_OF(GROUP_COUNT, 0),
};

const struct opcode vmmu_insn_two_byte[256] = {
    [0x01] = { GROUP_SYSTEM, OP_RM, OP_NONE, F_MODRM | F_GROUP | F_GROUP_SYSTEM },
    [0x06] = { VMMU_INSN_CLTS, OP_NONE, OP_NONE, 0 },
    [0x08] = { VMMU_INSN_INVD, OP_NONE, OP_NONE, 0 },
    [0x09] = { VMMU_INSN_WBINVD, OP_NONE, OP_NONE, 0 },
    [0x1F] = GROUP_OF(GROUP_NOP, 0),
    [0x20] = { VMMU_INSN_MOV_CR, OP_RM, OP_CONTROL, NAMED_REGISTER },
    [0x21] = { VMMU_INSN_MOV_DR, OP_RM, OP_DEBUG, NAMED_REGISTER },
    [0x22] = { VMMU_INSN_MOV_CR, OP_CONTROL, OP_RM, NAMED_REGISTER },
    [0x23] = { VMMU_INSN_MOV_DR, OP_DEBUG, OP_RM, NAMED_REGISTER },
    [0x30] = { VMMU_INSN_WRMSR, OP_NONE, OP_NONE, 0 },
    [0x31] = { VMMU_INSN_RDTSC, OP_NONE, OP_NONE, 0 },
    [0x32] = { VMMU_INSN_RDMSR, OP_NONE, OP_NONE, 0 },
    [0x33] = { VMMU_INSN_RDPMC, OP_NONE, OP_NONE, 0 },
    [0xA0] = { VMMU_INSN_PUSH, OP_NONE, OP_SEG_OPCODE, F_DEFAULT64 | F_ONE_MORE },
    [0xA2] = { VMMU_INSN_CPUID, OP_NONE, OP_NONE, 0 },
    [0xA3] = { VMMU_INSN_BT, OP_RM, OP_REG, F_MODRM },
    [0xA8] = { VMMU_INSN_PUSH, OP_NONE, OP_SEG_OPCODE, F_DEFAULT64 | F_ONE_MORE },
    [0xAA] = { VMMU_INSN_RSM, OP_NONE, OP_NONE, 0 },
    [0xAB] = { VMMU_INSN_BTS, OP_RM, OP_REG, F_MODRM | F_LOCKABLE },
    [0xB0] = { VMMU_INSN_CMPXCHG, OP_RM, OP_REG, F_MODRM | F_BYTE | F_LOCKABLE },
    [0xB1] = { VMMU_INSN_CMPXCHG, OP_RM, OP_REG, F_MODRM | F_LOCKABLE },
    [0xB3] = { VMMU_INSN_BTR, OP_RM, OP_REG, F_MODRM | F_LOCKABLE },
    [0xB6] = { VMMU_INSN_MOVZX, OP_REG, OP_RM, F_MODRM | F_SOURCE_BYTE },
    [0xB7] = { VMMU_INSN_MOVZX, OP_REG, OP_RM, F_MODRM | F_SOURCE_WORD },
    [0xBA] = GROUP_OF(GROUP_BIT, 0),
    [0xBB] = { VMMU_INSN_BTC, OP_RM, OP_REG, F_MODRM | F_LOCKABLE },
    [0xBE] = { VMMU_INSN_MOVSX, OP_REG, OP_RM, F_MODRM | F_SOURCE_BYTE },
    [0xBF] = { VMMU_INSN_MOVSX, OP_REG, OP_RM, F_MODRM | F_SOURCE_WORD },
    [0xC0] = { VMMU_INSN_XADD, OP_RM, OP_REG, F_MODRM | F_BYTE | F_LOCKABLE },
    [0xC1] = { VMMU_INSN_XADD, OP_RM, OP_REG, F_MODRM | F_LOCKABLE },
    [0xC3] = { VMMU_INSN_MOV, OP_RM, OP_REG, F_MODRM | F_MIN32 | F_MEMORY_ONLY | F_NO_PREFIX },
    [0xC7] = GROUP_OF(GROUP_EXCHANGE, 0),
};

const struct opcode vmmu_insn_groups[GROUPS][8] = {
    [GROUP_IMMEDIATE] = IMMEDIATE_GROUP(OP_IMM),
    [GROUP_IMMEDIATE_SIGNED] = IMMEDIATE_GROUP(OP_IMM8_SIGNED),
    [GROUP_POP] = { { VMMU_INSN_POP, OP_RM, OP_NONE, 0 } },
    [GROUP_SHIFT] = SHIFT_GROUP(OP_IMM8),
    [GROUP_SHIFT_ONE] = SHIFT_GROUP(OP_ONE),
    [GROUP_SHIFT_CL] = SHIFT_GROUP(OP_CL),
    [GROUP_MOV] = { { VMMU_INSN_MOV, OP_RM, OP_IMM, 0 } },
    [GROUP_UNARY] = {
        [0] = { VMMU_INSN_TEST, OP_RM, OP_IMM, 0 },
        [1] = { VMMU_INSN_TEST, OP_RM, OP_IMM, 0 },
        [2] = { VMMU_INSN_NOT, OP_RM, OP_NONE, F_LOCKABLE },
        [3] = { VMMU_INSN_NEG, OP_RM, OP_NONE, F_LOCKABLE },
    },
    [GROUP_COUNT_BYTE] = {
        [0] = { VMMU_INSN_INC, OP_RM, OP_NONE, F_LOCKABLE },
        [1] = { VMMU_INSN_DEC, OP_RM, OP_NONE, F_LOCKABLE },
    },
    [GROUP_COUNT] = {
        [0] = { VMMU_INSN_INC, OP_RM, OP_NONE, F_LOCKABLE },
        [1] = { VMMU_INSN_DEC, OP_RM, OP_NONE, F_LOCKABLE },
        [3] = { VMMU_INSN_CALL_FAR, OP_NONE, OP_RM, F_MEMORY_ONLY | F_ONE_MORE },
        [5] = { VMMU_INSN_JMP_FAR, OP_NONE, OP_RM, F_MEMORY_ONLY },
        [6] = { VMMU_INSN_PUSH, OP_NONE, OP_RM, F_DEFAULT64 | F_ONE_MORE },
    },
    [GROUP_SYSTEM] = {
        [4] = { VMMU_INSN_SMSW, OP_RM, OP_NONE, F_MEMORY_WORD },
        [6] = { VMMU_INSN_LMSW, OP_NONE, OP_RM, F_SOURCE_WORD },
        [7] = { VMMU_INSN_INVLPG, OP_RM, OP_NONE, F_NO_ACCESS },
    },
    [GROUP_BIT] = {
        [4] = { VMMU_INSN_BT, OP_RM, OP_IMM8, 0 },
        [5] = { VMMU_INSN_BTS, OP_RM, OP_IMM8, F_LOCKABLE },
        [6] = { VMMU_INSN_BTR, OP_RM, OP_IMM8, F_LOCKABLE },
        [7] = { VMMU_INSN_BTC, OP_RM, OP_IMM8, F_LOCKABLE },
    },
    [GROUP_EXCHANGE] = {
        [1] = { VMMU_INSN_CMPXCHG8B, OP_RM, OP_NONE, F_PAIR | F_MEMORY_ONLY | F_LOCKABLE },
    },
    [GROUP_NOP] = { { VMMU_INSN_NOP, OP_RM, OP_NONE, F_NO_ACCESS } },
};

const struct opcode vmmu_insn_system[64] = {
    [0x01] = { VMMU_INSN_VMCALL, OP_NONE, OP_NONE, F_NO_PREFIX },
    [0x08] = { VMMU_INSN_MONITOR, OP_NONE, OP_NONE, F_NO_PREFIX },
    [0x09] = { VMMU_INSN_MWAIT, OP_NONE, OP_NONE, F_NO_PREFIX },
    [0x10] = { VMMU_INSN_XGETBV, OP_NONE, OP_NONE, F_NO_PREFIX },
    [0x11] = { VMMU_INSN_XSETBV, OP_NONE, OP_NONE, F_NO_PREFIX },
    [0x18] = { VMMU_INSN_VMRUN, OP_NONE, OP_NONE, 0 },
    [0x19] = { VMMU_INSN_VMMCALL, OP_NONE, OP_NONE, 0 },
    [0x1A] = { VMMU_INSN_VMLOAD, OP_NONE, OP_NONE, 0 },
    [0x1B] = { VMMU_INSN_VMSAVE, OP_NONE, OP_NONE, 0 },
    [0x1C] = { VMMU_INSN_STGI, OP_NONE, OP_NONE, 0 },
    [0x1D] = { VMMU_INSN_CLGI, OP_NONE, OP_NONE, 0 },
    [0x1E] = { VMMU_INSN_SKINIT, OP_NONE, OP_NONE, 0 },
    [0x1F] = { VMMU_INSN_INVLPGA, OP_NONE, OP_NONE, 0 },
    EACH_REGISTER(0x20, { VMMU_INSN_SMSW, OP_RM, OP_NONE, 0 }),
    EACH_REGISTER(0x30, { VMMU_INSN_LMSW, OP_NONE, OP_RM, F_SOURCE_WORD }),
    [0x39] = { VMMU_INSN_RDTSCP, OP_NONE, OP_NONE, 0 },
};
/* clang-format on */

const struct opcode *vmmu_insn_three_byte(uint8_t byte)
{
    static const struct opcode unknown = { VMMU_INSN_NONE, OP_NONE, OP_NONE, 0 };
    static const struct opcode invpcid = { VMMU_INSN_INVPCID, OP_REG, OP_RM,
                                           F_MODRM | F_MODE_SIZE | F_SOURCE_WIDE | F_MEMORY_ONLY |
                                               F_NEEDS_66 | F_NO_REPEAT };
    static const struct opcode movbe_load = { VMMU_INSN_MOVBE, OP_REG, OP_RM,
                                              F_MODRM | F_MEMORY_ONLY | F_NO_REPEAT };
    static const struct opcode movbe_store = { VMMU_INSN_MOVBE, OP_RM, OP_REG,
                                               F_MODRM | F_MEMORY_ONLY | F_NO_REPEAT };

    switch (byte) {
    case 0x82: return &invpcid;
    case 0xF0: return &movbe_load;
    case 0xF1: return &movbe_store;
    default: return &unknown;
    }
}
