/*
 * A line of a listing to bytes: mnemonic and operands are looked up by the names that Zydis gives them, and its encoder does
 * the rest.
 *
 *   line     = { prefix } mnemonic [ operand { "," operand } ]
 *   operand  = register | number | [ size [ "ptr" ] ] [ segment ":" ] memory
 *   memory   = "[" term { ("+" | "-") term } "]" | number, if a size or a segment stands before it
 *   term     = register [ "*" scale ] | number
 *   number   = decimal, or hexadecimal with 0x
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/explain/code.h"

#define WORD_BYTES  32

/* An address that takes four bytes. */
#define PLACEHOLDER INT64_C(0x12345678)

struct parse {
    struct code *code;
    const char *at;
    struct complaint *complaint;
    ZydisEncoderRequest request;
    bool needs_size;    /* a memory operand does not say how large it is */
    bool relative;      /* a branch to an address */
    const char *string; /* the name of a string instruction that its operands complete; or NULL */
};

struct named {
    const char *name;
    uint64_t value;
};

static const struct named prefixes[] = {
    { "lock", ZYDIS_ATTRIB_HAS_LOCK },   { "rep", ZYDIS_ATTRIB_HAS_REP },
    { "repe", ZYDIS_ATTRIB_HAS_REPE },   { "repz", ZYDIS_ATTRIB_HAS_REPE },
    { "repne", ZYDIS_ATTRIB_HAS_REPNE }, { "repnz", ZYDIS_ATTRIB_HAS_REPNE },
};

static const struct named sizes[] = {
    { "byte", 1 },   { "word", 2 },   { "dword", 4 },    { "fword", 6 },    { "qword", 8 },
    { "tbyte", 10 }, { "oword", 16 }, { "xmmword", 16 }, { "ymmword", 32 }, { "zmmword", 64 },
};

static const struct named segments[] = {
    { "cs", ZYDIS_ATTRIB_HAS_SEGMENT_CS }, { "ss", ZYDIS_ATTRIB_HAS_SEGMENT_SS },
    { "ds", ZYDIS_ATTRIB_HAS_SEGMENT_DS }, { "es", ZYDIS_ATTRIB_HAS_SEGMENT_ES },
    { "fs", ZYDIS_ATTRIB_HAS_SEGMENT_FS }, { "gs", ZYDIS_ATTRIB_HAS_SEGMENT_GS },
};

/* Other names that the manuals give. */
static const struct named aliases[] = {
    { "je", ZYDIS_MNEMONIC_JZ },       { "jne", ZYDIS_MNEMONIC_JNZ },       { "jc", ZYDIS_MNEMONIC_JB },
    { "jnc", ZYDIS_MNEMONIC_JNB },     { "jae", ZYDIS_MNEMONIC_JNB },       { "ja", ZYDIS_MNEMONIC_JNBE },
    { "jg", ZYDIS_MNEMONIC_JNLE },     { "jge", ZYDIS_MNEMONIC_JNL },       { "movabs", ZYDIS_MNEMONIC_MOV },
    { "retn", ZYDIS_MNEMONIC_RET },    { "xlatb", ZYDIS_MNEMONIC_XLAT },    { "sal", ZYDIS_MNEMONIC_SHL },
    { "cmove", ZYDIS_MNEMONIC_CMOVZ }, { "cmovne", ZYDIS_MNEMONIC_CMOVNZ }, { "sete", ZYDIS_MNEMONIC_SETZ },
    { "setne", ZYDIS_MNEMONIC_SETNZ },
};

/* Listings give string instructions operands, which only say how large the elements are, and which segment is read. */
static const char *const strings[] = { "movs", "cmps", "stos", "lods", "scas", "ins", "outs" };

#define FIND(table, word) find(table, sizeof(table) / sizeof((table)[0]), word)

static const struct named *find(const struct named *table, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(table[i].name, word) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* --- reading --- */

static void skip_blanks(struct parse *parse)
{
    while (isspace((unsigned char)*parse->at)) {
        parse->at++;
    }
}

/* The word at this place, if there is one; it is not consumed. Its length. */
static unsigned peek_word(const struct parse *parse, char word[WORD_BYTES])
{
    unsigned count = 0;

    while (isalnum((unsigned char)parse->at[count]) && count + 1 < WORD_BYTES) {
        word[count] = parse->at[count];
        count++;
    }
    word[count] = '\0';
    return count;
}

static bool take(struct parse *parse, char c)
{
    skip_blanks(parse);
    if (*parse->at != c) {
        return false;
    }
    parse->at++;
    return true;
}

static bool wrong(struct parse *parse, const char *what)
{
    return complain(parse->complaint, "%s at '%.24s'", what, parse->at);
}

static bool read_number(struct parse *parse, uint64_t *value)
{
    const bool hexadecimal = parse->at[0] == '0' && (parse->at[1] == 'x' || parse->at[1] == 'X');
    char *end;

    if (!isdigit((unsigned char)*parse->at)) {
        return wrong(parse, "a register or a number is wanted");
    }
    errno = 0;
    *value = strtoull(parse->at, &end, hexadecimal ? 16 : 10);
    if (errno != 0 || isalnum((unsigned char)*end)) {
        return wrong(parse, "a number is wanted (0x... or decimal)");
    }
    parse->at = end;
    return true;
}

/* --- operands --- */

static bool add_register(struct parse *parse, ZydisEncoderOperand *operand, ZydisRegister name)
{
    uint64_t scale = 1;
    const bool scaled = take(parse, '*');

    skip_blanks(parse);
    if (scaled && !read_number(parse, &scale)) {
        return false;
    }
    if (scaled || operand->mem.base != ZYDIS_REGISTER_NONE) {
        if (operand->mem.index != ZYDIS_REGISTER_NONE) {
            return wrong(parse, "more than a base and an index");
        }
        operand->mem.index = name;
        operand->mem.scale = (ZyanU8)(scale <= 8 ? scale : 0);
        return scale == 1 || scale == 2 || scale == 4 || scale == 8 ||
               wrong(parse, "a scale of 1, 2, 4 or 8 is wanted");
    }
    operand->mem.base = name;
    return true;
}

static bool read_term(struct parse *parse, ZydisEncoderOperand *operand, bool negative)
{
    char word[WORD_BYTES];
    unsigned count;
    uint64_t value = 0;
    ZydisRegister name;

    skip_blanks(parse);
    count = peek_word(parse, word);
    name = code_register_named(word, count);
    if (name != ZYDIS_REGISTER_NONE && !negative) {
        parse->at += count;
        return add_register(parse, operand, name);
    }
    if (!read_number(parse, &value)) {
        return false;
    }
    operand->mem.displacement = (ZyanI64)((uint64_t)operand->mem.displacement + (negative ? -value : value));
    return true;
}

/* After the bracket. */
static bool read_memory(struct parse *parse, ZydisEncoderOperand *operand)
{
    bool negative = take(parse, '-');

    operand->type = ZYDIS_OPERAND_TYPE_MEMORY;
    do {
        if (!read_term(parse, operand, negative)) {
            return false;
        }
        negative = take(parse, '-');
    } while (negative || take(parse, '+'));
    parse->needs_size = parse->needs_size || operand->mem.size == 0;
    return take(parse, ']') || wrong(parse, "']' is wanted");
}

/*
 * What may stand before an operand in memory: a size, a segment, of which *prefix is the prefix. Whether anything does that
 * makes a number an address.
 */
static bool read_qualifiers(struct parse *parse, ZydisEncoderOperand *operand, uint64_t *prefix)
{
    bool is_address = false;
    char word[WORD_BYTES];
    unsigned count = peek_word(parse, word);
    const struct named *size = FIND(sizes, word);

    if (size) {
        operand->mem.size = (ZyanU16)size->value;
        parse->at += count;
        skip_blanks(parse);
        count = peek_word(parse, word);
        if (strcasecmp(word, "ptr") == 0) {
            is_address = true;
            parse->at += count;
            skip_blanks(parse);
        }
    }
    count = peek_word(parse, word);
    if (FIND(segments, word) && parse->at[count] == ':') {
        *prefix = FIND(segments, word)->value;
        parse->at += count + 1;
        skip_blanks(parse);
        is_address = true;
    }
    return is_address;
}

/* An address without brackets, as disassemblers print it: ds:0x1234. */
static bool read_address(struct parse *parse, ZydisEncoderOperand *operand)
{
    operand->type = ZYDIS_OPERAND_TYPE_MEMORY;
    parse->needs_size = parse->needs_size || operand->mem.size == 0;
    return read_term(parse, operand, false);
}

static bool read_immediate(struct parse *parse, ZydisEncoderOperand *operand)
{
    const bool negative = take(parse, '-');
    uint64_t value = 0;

    skip_blanks(parse);
    if (!read_number(parse, &value)) {
        return false;
    }
    operand->type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
    operand->imm.u = negative ? -value : value;
    return true;
}

static bool is_stack_base(ZydisRegister name)
{
    return name == ZYDIS_REGISTER_EBP || name == ZYDIS_REGISTER_ESP || name == ZYDIS_REGISTER_BP ||
           name == ZYDIS_REGISTER_SP;
}

/* Listings name the segment where it is the usual one, too: then it has no prefix. In 64-bit code four have no effect. */
static void add_segment(struct parse *parse, const ZydisEncoderOperand *operand, uint64_t prefix)
{
    const uint64_t flat = ZYDIS_ATTRIB_HAS_SEGMENT_CS | ZYDIS_ATTRIB_HAS_SEGMENT_SS |
                          ZYDIS_ATTRIB_HAS_SEGMENT_DS | ZYDIS_ATTRIB_HAS_SEGMENT_ES;
    const uint64_t usual =
        is_stack_base(operand->mem.base) ? ZYDIS_ATTRIB_HAS_SEGMENT_SS : ZYDIS_ATTRIB_HAS_SEGMENT_DS;
    const bool is_target = parse->string && prefix == ZYDIS_ATTRIB_HAS_SEGMENT_ES;

    if (prefix != usual && !is_target && (parse->code->width != VMMU_INSN_64 || !(prefix & flat))) {
        parse->request.prefixes |= prefix;
    }
}

static bool read_operand(struct parse *parse)
{
    ZydisEncoderOperand *operand;
    char word[WORD_BYTES];
    uint64_t prefix = 0;
    unsigned count;
    bool is_address;

    if (parse->request.operand_count == ZYDIS_ENCODER_MAX_OPERANDS) {
        return wrong(parse, "too many operands");
    }
    operand = &parse->request.operands[parse->request.operand_count++];
    skip_blanks(parse);
    is_address = read_qualifiers(parse, operand, &prefix);
    if (take(parse, '[') ? read_memory(parse, operand)
                         : is_address && isdigit((unsigned char)*parse->at) && read_address(parse, operand)) {
        add_segment(parse, operand, prefix);
        return true;
    }
    if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        return false;
    }
    count = peek_word(parse, word);
    operand->reg.value = code_register_named(word, count);
    if (operand->reg.value != ZYDIS_REGISTER_NONE) {
        operand->type = ZYDIS_OPERAND_TYPE_REGISTER;
        parse->at += count;
        return true;
    }
    return read_immediate(parse, operand);
}

/* --- the line --- */

static bool find_mnemonic(const char *word, ZydisMnemonic *mnemonic)
{
    const struct named *alias = FIND(aliases, word);

    if (alias) {
        *mnemonic = (ZydisMnemonic)alias->value;
        return true;
    }
    for (int m = ZYDIS_MNEMONIC_INVALID + 1; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++) {
        const char *name = ZydisMnemonicGetString((ZydisMnemonic)m);

        if (name && strcasecmp(name, word) == 0) {
            *mnemonic = (ZydisMnemonic)m;
            return true;
        }
    }
    return false;
}

static bool read_mnemonic(struct parse *parse)
{
    char word[WORD_BYTES];
    const struct named *prefix;
    unsigned count;

    do {
        skip_blanks(parse);
        count = peek_word(parse, word);
        prefix = FIND(prefixes, word);
        parse->request.prefixes |= prefix ? prefix->value : 0;
        parse->at += prefix ? count : 0;
    } while (prefix);
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        if (strcasecmp(strings[i], word) == 0) {
            parse->string = strings[i];
            parse->at += count;
            return true;
        }
    }
    if (!find_mnemonic(word, &parse->request.mnemonic)) {
        return wrong(parse, "no instruction has this name:");
    }
    parse->at += count;
    return true;
}

/* "movs" with operands of four bytes is "movsd", which has none. */
static bool finish_string(struct parse *parse)
{
    static const char *const suffixes[] = { [1] = "b", [2] = "w", [4] = "d", [8] = "q" };
    const unsigned size_bytes = parse->request.operands[0].mem.size | parse->request.operands[1].mem.size;
    const char *suffix = size_bytes < sizeof suffixes / sizeof suffixes[0] ? suffixes[size_bytes] : NULL;
    char name[WORD_BYTES];

    snprintf(name, sizeof name, "%s%s", parse->string, suffix ? suffix : "");
    parse->request.operand_count = 0;
    memset(parse->request.operands, 0, sizeof parse->request.operands);
    parse->needs_size = false;
    return (suffix && find_mnemonic(name, &parse->request.mnemonic)) ||
           wrong(parse, "a size, as in 'dword ptr', is wanted before '['");
}

/* Disassemblers put remarks behind an instruction. */
static bool is_at_end(struct parse *parse)
{
    skip_blanks(parse);
    return *parse->at == '\0' || *parse->at == '#' || *parse->at == ';';
}

static bool read_line(struct parse *parse)
{
    if (!read_mnemonic(parse)) {
        return false;
    }
    if (is_at_end(parse)) {
        return !parse->string || finish_string(parse);
    }
    do {
        if (!read_operand(parse)) {
            return false;
        }
    } while (take(parse, ','));
    if (!is_at_end(parse)) {
        return wrong(parse, "nothing more is wanted");
    }
    return !parse->string || finish_string(parse);
}

/* --- encoding --- */

static bool is_branch(ZydisMnemonic mnemonic)
{
    const char *name = ZydisMnemonicGetString(mnemonic);

    return name[0] == 'j' || strncmp(name, "loop", 4) == 0 || mnemonic == ZYDIS_MNEMONIC_CALL ||
           mnemonic == ZYDIS_MNEMONIC_XBEGIN;
}

static bool encode_as_it_is(struct parse *parse, ZydisEncoderRequest *request)
{
    ZyanUSize count = sizeof parse->code->bytes;
    ZyanStatus status;

    if (parse->relative) {
        status = ZydisEncoderEncodeInstructionAbsolute(request, parse->code->bytes, &count, parse->code->rip);
    } else {
        status = ZydisEncoderEncodeInstruction(request, parse->code->bytes, &count);
    }
    parse->code->count = ZYAN_SUCCESS(status) ? (unsigned)count : 0;
    return ZYAN_SUCCESS(status);
}

/* An operand that is an address and nothing else; NULL if there is none. */
static ZydisEncoderOperand *absolute_operand(ZydisEncoderRequest *request)
{
    for (unsigned i = 0; i < request->operand_count; i++) {
        ZydisEncoderOperand *operand = &request->operands[i];

        if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->mem.base == ZYDIS_REGISTER_NONE &&
            operand->mem.index == ZYDIS_REGISTER_NONE) {
            return operand;
        }
    }
    return NULL;
}

/*
 * The encoder would have a prefix for smaller addresses where that is shorter, which nobody writes: encode an address that no
 * smaller one can be, and put the right one in its place.
 */
static bool encode(struct parse *parse, ZydisEncoderRequest request)
{
    struct code *code = parse->code;
    ZydisEncoderOperand *absolute = code->width != VMMU_INSN_16 ? absolute_operand(&request) : NULL;
    const int64_t wanted = absolute ? absolute->mem.displacement : 0;
    const bool fits =
        code->width == VMMU_INSN_64 ? wanted == (int32_t)wanted : wanted == (int64_t)(uint32_t)wanted;
    struct complaint ignored;

    if (!absolute || !fits) {
        return encode_as_it_is(parse, &request);
    }
    absolute->mem.displacement = code->width == VMMU_INSN_64 ? -PLACEHOLDER : PLACEHOLDER;
    if (!encode_as_it_is(parse, &request) || !code_decode(code, &ignored) || code->insn.raw.disp.size != 32) {
        return false;
    }
    memcpy(&code->bytes[code->insn.raw.disp.offset], &wanted, sizeof(int32_t));
    return true;
}

static void give_size(ZydisEncoderRequest *request, unsigned size_bytes)
{
    for (unsigned i = 0; i < request->operand_count; i++) {
        if (request->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY && request->operands[i].mem.size == 0) {
            request->operands[i].mem.size = (ZyanU16)size_bytes;
        }
    }
}

/* The size of a memory operand that does not tell: a register's beside it, or of a slot of the stack. */
static unsigned size_beside(const struct parse *parse)
{
    static const unsigned slots[] = { [VMMU_INSN_16] = 2, [VMMU_INSN_32] = 4, [VMMU_INSN_64] = 8 };
    const ZydisEncoderRequest *request = &parse->request;

    if (request->mnemonic == ZYDIS_MNEMONIC_PUSH || request->mnemonic == ZYDIS_MNEMONIC_POP ||
        request->mnemonic == ZYDIS_MNEMONIC_CALL || request->mnemonic == ZYDIS_MNEMONIC_JMP) {
        return slots[parse->code->width];
    }
    for (unsigned i = 0; i < request->operand_count; i++) {
        if (request->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
            return ZydisRegisterGetWidth(request->machine_mode, request->operands[i].reg.value) / 8;
        }
    }
    return 0;
}

/* Without a register the size is clear only where the instruction has but one. */
static bool encode_with_size(struct parse *parse)
{
    /* Operands, and the areas of FSAVE, FXSAVE and XSAVE. */
    static const uint16_t any_bytes[] = { 1, 2, 4, 6, 8, 10, 14, 16, 28, 32, 64, 94, 108, 512, 576 };
    ZydisEncoderRequest request = parse->request;
    unsigned found = 0;
    unsigned size_bytes = 0;

    give_size(&request, size_beside(parse));
    if (size_beside(parse) != 0 && encode(parse, request)) {
        return true;
    }
    for (size_t i = 0; i < sizeof any_bytes / sizeof any_bytes[0]; i++) {
        request = parse->request;
        give_size(&request, any_bytes[i]);
        if (encode(parse, request)) {
            found++;
            size_bytes = any_bytes[i];
        }
    }
    if (found > 1) {
        return complain(parse->complaint,
                        "how large is the operand in memory? Write byte, word, dword or qword before '['");
    }
    request = parse->request;
    give_size(&request, size_bytes);
    return found == 1 && encode(parse, request);
}

bool code_assemble(struct code *code, const char *line, struct complaint *complaint)
{
    static const ZydisMachineMode machines[] = { [VMMU_INSN_16] = ZYDIS_MACHINE_MODE_LEGACY_16,
                                                 [VMMU_INSN_32] = ZYDIS_MACHINE_MODE_LEGACY_32,
                                                 [VMMU_INSN_64] = ZYDIS_MACHINE_MODE_LONG_64 };
    struct parse parse = { .code = code, .at = line, .complaint = complaint };

    parse.request.machine_mode = machines[code->width];
    if (!read_line(&parse)) {
        return false;
    }
    parse.relative = is_branch(parse.request.mnemonic) && parse.request.operand_count == 1 &&
                     parse.request.operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    complain(complaint, "no encoding of '%.80s' is known", line);
    return parse.needs_size ? encode_with_size(&parse) : encode(&parse, parse.request);
}
