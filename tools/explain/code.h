/*
 * One instruction: its bytes, from memory or given by hand, and what they are.
 */
#ifndef TOOLS_EXPLAIN_CODE_H
#define TOOLS_EXPLAIN_CODE_H

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdint.h>
#include <vmmu/insn.h>

#include "tools/ui/complain.h"

#define CODE_TEXT_BYTES 128

struct code {
    uint8_t bytes[VMMU_X86_INSN_MAX_BYTES];
    unsigned count; /* bytes that are there */
    enum vmmu_insn_width width;
    uint64_t rip;

    /* After code_decode. */
    bool cut;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    char text[CODE_TEXT_BYTES];
};

/*
 * Decode code->bytes by code->width. False and *complaint if they are no instruction; code->cut says that they may be the
 * beginning of one.
 */
bool code_decode(struct code *code, struct complaint *complaint);

/*
 * Fill in code->bytes from @text: hexadecimal bytes ("a3 34 12 00 00"), or a line of a listing in Intel's syntax
 * ("mov [0x1234], eax"), which is assembled for code->width and code->rip.
 */
bool code_from_text(struct code *code, const char *text, struct complaint *complaint);

/* Assemble a line of a listing. */
bool code_assemble(struct code *code, const char *line, struct complaint *complaint);

/* A general register, or one of its parts, by name: its number in encoding order, its width, and its lowest bit. */
struct code_register {
    unsigned number;
    unsigned bits;
    unsigned shift;
};

/* False if @name is none. */
bool code_register_of(ZydisRegister name, struct code_register *out);

/* The register that @text names, in any case; ZYDIS_REGISTER_NONE if none. @count bytes of it. */
ZydisRegister code_register_named(const char *text, unsigned count);

#endif
