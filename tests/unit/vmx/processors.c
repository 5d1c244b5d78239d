#include "tests/unit/vmx/processors.h"
#include "tests/unit/test.h"

/* What all of them say of CR0, and of CR4's bits that must be set. */
#define CR0_AND_CR4_MUST [CR0_FIXED0] = 0x80000021, [CR0_FIXED1] = 0xFFFFFFFF, [CR4_FIXED0] = UINT64_C(0x2000)

const struct processor merom = {
    .name = "Merom",
    .registers = FIELDS + 1,
    .value = {
        CR0_AND_CR4_MUST,
        [BASIC] = 0x001A040000000007,
        [PIN] = 0x0000001F00000016,
        [PROCESSOR] = 0x77B9FFFE0401E172,
        [EXIT] = 0x0003EFFF00036DFF,
        [ENTRY] = 0x00001FFF000011FF,
        [MISC] = 0x403C0,
        [CR4_FIXED1] = 0x27FF,
        [FIELDS] = 0x2C,
    },
};

const struct processor penryn = {
    .name = "Penryn",
    .registers = PROCESSOR2 + 1,
    .value = {
        CR0_AND_CR4_MUST,
        [BASIC] = 0x005A08000000000D,
        [PIN] = 0x0000003F00000016,
        [PROCESSOR] = 0xF7F9FFFE0401E172,
        [EXIT] = 0x0003FFFF00036DFF,
        [ENTRY] = 0x00003FFF000011FF,
        [MISC] = 0x403C0,
        [CR4_FIXED1] = 0x27FF,
        [FIELDS] = 0x2C,
        [PROCESSOR2] = 0x0000004100000000,
    },
};

const struct processor lynnfield = {
    .name = "Lynnfield (Bochs)",
    .registers = REGISTERS,
    .value = {
        CR0_AND_CR4_MUST,
        [BASIC] = 0x00D810000000002B,
        [PIN] = 0x0000007F00000016,
        [PROCESSOR] = 0xF7F9FFFE0401E172,
        [EXIT] = 0x007FFFFF00036DFF,
        [ENTRY] = 0x0000FFFF000011FF,
        [MISC] = 0x401E0,
        [CR4_FIXED1] = 0x67FF,
        [FIELDS] = 0x34,
        [PROCESSOR2] = 0x0000007F00000000,
        [EPT_VPID] = 0x00000F0106114141,
        [TRUE_PIN] = 0x0000007F00000016,
        [TRUE_PROCESSOR] = 0xF7F9FFFE04006172,
        [TRUE_EXIT] = 0x007FFFFF00036DFB,
        [TRUE_ENTRY] = 0x0000FFFF000011FB,
    },
};

const struct processor sandy_bridge = {
    .name = "Sandy Bridge",
    .registers = REGISTERS,
    .value = {
        CR0_AND_CR4_MUST,
        [BASIC] = 0x00DA040000000010,
        [PIN] = 0x0000007F00000016,
        [PROCESSOR] = 0xFFF9FFFE0401E172,
        [EXIT] = 0x007FFFFF00036DFF,
        [ENTRY] = 0x0000FFFF000011FF,
        [MISC] = 0x100401E5,
        [CR4_FIXED1] = 0x627FF,
        [FIELDS] = 0x2A,
        [PROCESSOR2] = 0x000000FF00000000,
        [EPT_VPID] = 0x00000F0106114141,
        [TRUE_PIN] = 0x0000007F00000016,
        [TRUE_PROCESSOR] = 0xFFF9FFFE04006172,
        [TRUE_EXIT] = 0x007FFFFF00036DFB,
        [TRUE_ENTRY] = 0x0000FFFF000011FB,
    },
};

const struct processor broadwell = {
    .name = "Broadwell",
    .registers = REGISTERS,
    .value = {
        CR0_AND_CR4_MUST,
        [BASIC] = 0x00DA040000000012,
        [PIN] = 0x0000007F00000016,
        [PROCESSOR] = 0xFFF9FFFE0401E172,
        [EXIT] = 0x007FFFFF00036DFF,
        [ENTRY] = 0x0000FFFF000011FF,
        [MISC] = 0x300481E5,
        [CR4_FIXED1] = 0x3767FF,
        [FIELDS] = 0x2A,
        [PROCESSOR2] = 0x00057CFF00000000,
        [EPT_VPID] = 0x00000F0106334141,
        [TRUE_PIN] = 0x0000007F00000016,
        [TRUE_PROCESSOR] = 0xFFF9FFFE04006172,
        [TRUE_EXIT] = 0x007FFFFF00036DFB,
        [TRUE_ENTRY] = 0x0000FFFF000011FB,
    },
};

const struct processor haswell = {
    .name = "Haswell (Bochs)",
    .registers = REGISTERS,
    .value = {
        CR0_AND_CR4_MUST,
        [BASIC] = 0x00D810000000002B,
        [PIN] = 0x0000007F00000016,
        [PROCESSOR] = 0xF7F9FFFE0401E172,
        [EXIT] = 0x007FFFFF00036DFF,
        [ENTRY] = 0x0000FFFF000011FF,
        [MISC] = 0x200401E0,
        [CR4_FIXED1] = 0x1727FF,
        [FIELDS] = 0x34,
        [PROCESSOR2] = 0x00047FFF00000000,
        [EPT_VPID] = 0x00000F0106334141,
        [TRUE_PIN] = 0x0000007F00000016,
        [TRUE_PROCESSOR] = 0xF7F9FFFE04006172,
        [TRUE_EXIT] = 0x007FFFFF00036DFB,
        [TRUE_ENTRY] = 0x0000FFFF000011FB,
    },
};

static uint64_t read(void *context, uint32_t msr)
{
    const struct processor *processor = context;

    if (msr < FIRST_REGISTER || msr - FIRST_REGISTER >= processor->registers) {
        fail_msg("%s has no MSR %#x", processor->name, msr);
    }
    return processor->value[msr - FIRST_REGISTER];
}

struct vmx_capabilities capabilities_of(const struct processor *processor)
{
    struct processor copy = *processor;
    struct vmx_capabilities capabilities;

    vmx_read_capabilities(read, &copy, &capabilities);
    return capabilities;
}

struct processor without(const struct processor *processor, unsigned index, uint32_t bits)
{
    struct processor result = *processor;

    result.value[index] &= ~((uint64_t)bits << 32);
    if (index >= PIN && index <= ENTRY) {
        result.value[index - PIN + TRUE_PIN] &= ~((uint64_t)bits << 32);
    }
    return result;
}
