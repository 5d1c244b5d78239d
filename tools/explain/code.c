#include "tools/explain/code.h"

#include <ctype.h>
#include <string.h>

static const struct {
    ZydisMachineMode machine;
    ZydisStackWidth stack;
} widths[] = {
    [VMMU_INSN_16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
    [VMMU_INSN_32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
    [VMMU_INSN_64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
};

static void put_text(struct code *code)
{
    ZydisFormatter formatter;

    code->text[0] = '\0';
    if (ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL))) {
        ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE,
                                  ZYDIS_PADDING_DISABLED);
        ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_PADDING_DISABLED);
        ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_IMM_PADDING, ZYDIS_PADDING_DISABLED);
        ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
        ZydisFormatterFormatInstruction(&formatter, &code->insn, code->operands,
                                        code->insn.operand_count_visible, code->text, sizeof code->text,
                                        code->rip, NULL);
    }
}

bool code_decode(struct code *code, struct complaint *complaint)
{
    ZydisDecoder decoder;
    ZyanStatus status = ZydisDecoderInit(&decoder, widths[code->width].machine, widths[code->width].stack);

    if (ZYAN_SUCCESS(status)) {
        status = ZydisDecoderDecodeFull(&decoder, code->bytes, code->count, &code->insn, code->operands);
    }
    code->cut = status == ZYDIS_STATUS_NO_MORE_DATA && code->count < sizeof code->bytes;
    if (!ZYAN_SUCCESS(status)) {
        return complain(complaint, "%u %s at RIP 0x%llx: no instruction", code->count,
                        code->count == 1 ? "byte" : "bytes", (unsigned long long)code->rip);
    }
    put_text(code);
    return true;
}

/* --- bytes by hand --- */

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c != '\0' ? strchr(digits, tolower((unsigned char)c)) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* Whether @text is nothing but pairs of hexadecimal digits: how many, of which @bytes holds the first @room; or 0. */
static unsigned byte_pairs(const char *text, uint8_t *bytes, unsigned room)
{
    unsigned count = 0;

    for (const char *at = text; *at;) {
        if (isspace((unsigned char)*at)) {
            at++;
            continue;
        }
        const int high = digit_of(at[0]);
        const int low = high >= 0 ? digit_of(at[1]) : -1;

        if (low < 0) {
            return 0;
        }
        if (count < room) {
            bytes[count] = (uint8_t)(high * 16 + low);
        }
        count++;
        at += 2;
    }
    return count;
}

bool code_from_text(struct code *code, const char *text, struct complaint *complaint)
{
    const unsigned pairs = byte_pairs(text, code->bytes, sizeof code->bytes);

    if (pairs > sizeof code->bytes) {
        return complain_usage(complaint, "these are %u bytes: an instruction has %u at most", pairs,
                              VMMU_X86_INSN_MAX_BYTES);
    }
    if (pairs == 0) {
        return code_assemble(code, text, complaint);
    }
    code->count = pairs;
    return true;
}

/* --- registers --- */

bool code_register_of(ZydisRegister name, struct code_register *out)
{
    const ZydisRegisterClass class = ZydisRegisterGetClass(name);
    const ZyanI8 id = ZydisRegisterGetId(name);
    const bool high = name >= ZYDIS_REGISTER_AH && name <= ZYDIS_REGISTER_BH;

    if (class != ZYDIS_REGCLASS_GPR8 && class != ZYDIS_REGCLASS_GPR16 && class != ZYDIS_REGCLASS_GPR32 &&
        class != ZYDIS_REGCLASS_GPR64) {
        return false;
    }
    *out = (struct code_register){
        .number =
            (unsigned)ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name)),
        .bits = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, name),
        .shift = high ? 8 : 0,
    };
    return id >= 0 && out->number < VMMU_X86_GPRS;
}

ZydisRegister code_register_named(const char *text, unsigned count)
{
    for (int r = ZYDIS_REGISTER_NONE + 1; r <= ZYDIS_REGISTER_MAX_VALUE; r++) {
        const char *name = ZydisRegisterGetString((ZydisRegister)r);

        if (name && strlen(name) == count && strncasecmp(name, text, count) == 0) {
            return (ZydisRegister)r;
        }
    }
    return ZYDIS_REGISTER_NONE;
}
