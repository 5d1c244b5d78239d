#include "tests/unit/insn/describe.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"

static const char *const operation_names[VMMU_INSN_OPERATIONS] = {
    "none",   "add",     "or",       "adc",   "sbb",    "and",     "sub",   "xor",    "cmp",     "test",
    "inc",    "dec",     "neg",      "not",   "rol",    "ror",     "rcl",   "rcr",    "shl",     "shr",
    "sar",    "bt",      "bts",      "btr",   "btc",    "mov",     "movzx", "movsx",  "movbe",   "xchg",
    "xadd",   "cmpxchg", "cmpxchgb", "push",  "pop",    "nop",     "movs",  "cmps",   "stos",    "lods",
    "scas",   "ins",     "outs",     "in",    "out",    "movcr",   "movdr", "clts",   "lmsw",    "smsw",
    "invlpg", "invlpga", "invpcid",  "invd",  "wbinvd", "cpuid",   "rdmsr", "wrmsr",  "rdtsc",   "rdtscp",
    "rdpmc",  "xgetbv",  "xsetbv",   "hlt",   "pause",  "monitor", "mwait", "vmcall", "vmmcall", "vmrun",
    "vmload", "vmsave",  "stgi",     "clgi",  "skinit", "int",     "int3",  "into",   "icebp",   "iret",
    "pushf",  "popf",    "rsm",      "callf", "jmpf",
};

static const char *const segment_names[] = { "es", "cs", "ss", "ds", "fs", "gs" };

struct writer {
    struct insn_text out;
    size_t used;
};

/* printf() at the end of what was written; text that does not fit fails the test. */
#define APPEND(writer, ...)                                                                                  \
    do {                                                                                                     \
        const size_t room = sizeof((writer)->out.text) - (writer)->used;                                     \
        const int written = snprintf((writer)->out.text + (writer)->used, room, __VA_ARGS__);                \
        EXPECT(written >= 0 && (size_t)written < room);                                                      \
        (writer)->used += (size_t)written;                                                                   \
    } while (0)

static void append_address(struct writer *writer, const struct vmmu_insn_address *address)
{
    APPEND(writer, "%s:[", segment_names[address->segment]);
    if (address->base == VMMU_INSN_RIP) {
        APPEND(writer, "rip");
    } else if (address->base != VMMU_INSN_NO_REGISTER) {
        APPEND(writer, "r%u", address->base);
    }
    if (address->index != VMMU_INSN_NO_REGISTER)
        APPEND(writer, "+r%u*%u", address->index, 1U << address->scale_shift);
    if (address->displacement < 0) {
        APPEND(writer, "-0x%llx", -(unsigned long long)address->displacement);
    } else if (address->displacement > 0 ||
               (address->base == VMMU_INSN_NO_REGISTER && address->index == VMMU_INSN_NO_REGISTER)) {
        APPEND(writer, "+0x%llx", (unsigned long long)address->displacement);
    }
    APPEND(writer, "]");
}

static void append_operand(struct writer *writer, const struct vmmu_insn *insn,
                           struct vmmu_insn_operand operand)
{
    switch ((enum vmmu_insn_operand_kind)operand.kind) {
    case VMMU_INSN_OPERAND_NONE: break;
    case VMMU_INSN_OPERAND_REGISTER: APPEND(writer, "r%u", operand.number); break;
    case VMMU_INSN_OPERAND_HIGH_BYTE: APPEND(writer, "h%u", operand.number); break;
    case VMMU_INSN_OPERAND_MEMORY: append_address(writer, &insn->address); break;
    case VMMU_INSN_OPERAND_IMMEDIATE: APPEND(writer, "0x%llx", (unsigned long long)insn->immediate); break;
    case VMMU_INSN_OPERAND_SEGMENT: APPEND(writer, "%s", segment_names[operand.number]); break;
    case VMMU_INSN_OPERAND_CONTROL: APPEND(writer, "cr%u", operand.number); break;
    case VMMU_INSN_OPERAND_DEBUG: APPEND(writer, "dr%u", operand.number); break;
    }
}

struct insn_text insn_describe(const struct vmmu_insn *insn)
{
    static const char *const repeats[] = { "", "rep ", "repne " };
    const bool is_string = insn->operation >= VMMU_INSN_MOVS && insn->operation <= VMMU_INSN_OUTS;
    const unsigned default_address = insn->width == VMMU_INSN_16 ? 2 : insn->width == VMMU_INSN_32 ? 4 : 8;
    struct writer writer = { .used = 0 };

    APPEND(&writer, "%s%s%s%u", insn->lock ? "lock " : "", repeats[insn->repeat],
           operation_names[insn->operation], insn->operand_bytes);
    if (insn->source_bytes != insn->operand_bytes)
        APPEND(&writer, "<%u>", insn->source_bytes);
    if (insn->address_bytes != default_address)
        APPEND(&writer, " a%u", insn->address_bytes);
    if (is_string)
        APPEND(&writer, " %s", segment_names[insn->address.segment]);
    if (insn->destination.kind != VMMU_INSN_OPERAND_NONE) {
        APPEND(&writer, " ");
        append_operand(&writer, insn, insn->destination);
    }
    if (insn->source.kind != VMMU_INSN_OPERAND_NONE) {
        APPEND(&writer, ", ");
        append_operand(&writer, insn, insn->source);
    }
    if (insn->memory_operands != 0)
        APPEND(&writer, " ~%u", insn->memory_operands);
    return writer.out;
}

unsigned insn_parse_bytes(const char *text, uint8_t *bytes, unsigned most)
{
    unsigned count = 0;

    while (*text) {
        char *end;

        if (isspace((unsigned char)*text)) {
            text++;
            continue;
        }
        EXPECT(count < most);
        bytes[count++] = (uint8_t)strtoul(text, &end, 16);
        EXPECT(end == text + 2);
        text = end;
    }
    return count;
}
