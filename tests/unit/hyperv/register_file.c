#include "tests/unit/hyperv/register_file.h"

#include <string.h>

#include "tests/unit/test.h"

#define RAM_BYTES 0x10000u

const struct vmmu_x86_cpu register_cpu = {
    .maxphyaddr = 40,
    .pse = true,
    .pae = true,
    .pge = true,
    .nx = true,
    .long_mode = true,
    .gib_pages = true,
    .la57 = true,
    .smep = true,
    .smap = true,
    .pcid = true,
    .cr4_others = VMMU_X86_CR4_OSFXSR | VMMU_X86_CR4_FSGSBASE,
    .efer_others = VMMU_X86_EFER_SCE,
};

static uint64_t ram_words[RAM_BYTES / 8];

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    (void)context;
    EXPECT_EQ(width_bytes, 8);
    if (address >= RAM_BYTES) {
        return VMMU_ABSENT;
    }
    *value = ram_words[address / 8];
    return VMMU_OK;
}

static enum vmmu_status exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                 uint64_t desired)
{
    (void)context, (void)address, (void)width_bytes, (void)expected, (void)desired;
    fail_msg("registers write no memory");
    return VMMU_ABSENT;
}

static const struct vmmu_ram ram = { NULL, load, exchange };
static const struct vmmu_hyperv_policy policy = { .cr3_cache = VMMU_HYPERV_CACHE_IGNORE };

struct vmmu_hyperv_register_rules register_rules(void)
{
    memset(ram_words, 0, sizeof(ram_words));
    return (struct vmmu_hyperv_register_rules){
        .cpu = &register_cpu, .ram = &ram, .policy = &policy, .xcr0_offered = 7, .tsc_aux = true
    };
}

void register_ram_put(uint64_t gpa, uint64_t word)
{
    ram_words[gpa / 8] = word;
}

static const struct vmmu_x86_segment flat_code64 = { 0, UINT32_MAX, 0x10, 0xA09B };
static const struct vmmu_x86_segment flat_code32 = { 0, UINT32_MAX, 0x10, 0xC09B };
static const struct vmmu_x86_segment flat_data = { 0, UINT32_MAX, 0x18, 0xC093 };
static const struct vmmu_x86_segment task = { 0x9000, 0x67, 0x28, 0x8B };
static const struct vmmu_x86_segment no_table = { 0, 0, 0, 0 };

static struct vmmu_hyperv_registers any_registers(void)
{
    struct vmmu_hyperv_registers registers = {
        .cr8 = 2,
        .xcr0 = 7,
        .dr6 = 0xFFFF0FF0,
        .dr7 = 0x400,
        .ldtr = no_table,
        .tr = task,
        .pat = VMMU_X86_PAT_AT_RESET,
        .apic_base = 0xFEE00900,
        .initial_apic_id = 3,
        .vp_index = 1,
        .gdtr = { 0x8000, 0x7F },
        .idtr = { 0x8800, 0xFFF },
    };

    registers.state.rip = 0x401000;
    registers.state.rflags = 2;
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        registers.state.segment[i] = flat_data;
    }
    return registers;
}

struct vmmu_hyperv_registers long_mode_registers(void)
{
    struct vmmu_hyperv_registers registers = any_registers();

    registers.state.cr0 = 0x80010011;
    registers.cr3 = 0x1000;
    registers.state.cr4 = VMMU_X86_CR4_PAE;
    registers.state.efer = VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA | VMMU_X86_EFER_NXE;
    registers.state.rip = UINT64_C(0xFFFFFFFF80001000);
    registers.state.segment[VMMU_X86_CS] = flat_code64;
    return registers;
}

struct vmmu_hyperv_registers pae_registers(void)
{
    struct vmmu_hyperv_registers registers = any_registers();

    registers.state.cr0 = 0x80010011;
    registers.cr3 = 0x2000;
    registers.state.cr4 = VMMU_X86_CR4_PAE;
    registers.state.segment[VMMU_X86_CS] = flat_code32;
    return registers;
}

struct vmmu_hyperv_registers real_mode_registers(void)
{
    struct vmmu_hyperv_registers registers = any_registers();

    registers.state.cr0 = 0x10;
    registers.state.rip = 0xFFF0;
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        registers.state.segment[i] = (struct vmmu_x86_segment){ 0, 0xFFFF, 0, 0x93 };
    }
    registers.state.segment[VMMU_X86_CS] = (struct vmmu_x86_segment){ 0xFFFF0000, 0xFFFF, 0xF000, 0x9B };
    registers.tr = (struct vmmu_x86_segment){ 0, 0xFFFF, 0, 0x8B };
    registers.ldtr = (struct vmmu_x86_segment){ 0, 0xFFFF, 0, 0x82 };
    return registers;
}

struct vmmu_hyperv_register_changes set_by_rules(const struct vmmu_hyperv_register_rules *rules,
                                                 struct vmmu_hyperv_registers *registers,
                                                 const struct setting *settings, unsigned count)
{
    const struct fixture f = parent_fixture();
    uint64_t words[2 + 4 * MOST_SETTINGS] = { CHILD_ID, 1 };
    struct vmmu_hyperv_call_outcome outcome;

    EXPECT(count <= MOST_SETTINGS);
    for (unsigned i = 0; i < count; i++) {
        words[2 + 4 * i] = settings[i].name | UINT64_C(0xABCD00000000); /* padding */
        words[4 + 4 * i] = settings[i].low;
        words[5 + 4 * i] = settings[i].high;
    }
    outcome = call_at(&f, 0x51 | COUNT(count), words);
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_SET_REGISTERS);
    return vmmu_hyperv_registers_set(rules, &outcome, (const uint8_t *)words, registers);
}

struct vmmu_hyperv_register_changes set_many(struct vmmu_hyperv_registers *registers,
                                             const struct setting *settings, unsigned count)
{
    const struct vmmu_hyperv_register_rules rules = register_rules();

    return set_by_rules(&rules, registers, settings, count);
}

uint64_t set_one(struct vmmu_hyperv_registers *registers, uint32_t name, uint64_t low, uint64_t high)
{
    const struct setting setting = { name, low, high };
    struct vmmu_hyperv_registers before;
    struct vmmu_hyperv_register_changes changes;

    memcpy(&before, registers, sizeof(before));
    changes = set_many(registers, &setting, 1);
    if (changes.status != VMMU_HYPERV_SUCCESS) {
        EXPECT_EQ(changes.done, 0);
        EXPECT_EQ(changes.changed, 0);
        assert_memory_equal(&before, registers, sizeof(before));
    } else {
        EXPECT_EQ(changes.done, 1);
        EXPECT(changes.changed != 0);
    }
    return changes.status;
}

uint64_t get_one(const struct vmmu_hyperv_registers *registers, uint32_t name, uint64_t value[2])
{
    const struct fixture f = parent_fixture();
    const uint64_t words[3] = { CHILD_ID, 1, name };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 0x50 | COUNT(1), words);
    enum vmmu_hyperv_result status;
    uint16_t done;

    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_GET_REGISTERS);
    memset(value, 0xEE, 16);
    status = vmmu_hyperv_registers_get(&outcome, (const uint8_t *)words, registers, (uint8_t *)value, &done);
    EXPECT_EQ(done, status == VMMU_HYPERV_SUCCESS ? 1 : 0);
    return status;
}

uint64_t segment_word(uint32_t limit, uint16_t selector, uint16_t attributes)
{
    return limit | (uint64_t)selector << 32 | (uint64_t)attributes << 48;
}
