/* TLFS "Virtual Processor Register Names", "HvGetVpRegisters", "HvSetVpRegisters", "HvSwitchVirtualAddressSpace". */
#include "tests/unit/hyperv/register_file.h"
#include "tests/unit/test.h"

#include <string.h>

#define RIP    0x20010u
#define RFLAGS 0x20011u
#define CR0    0x40000u
#define CR2    0x40001u
#define CR3    0x40002u
#define CR4    0x40003u
#define CR8    0x40004u
#define XFEM   0x40005u
#define DR6    0x50004u
#define DR7    0x50005u
#define ES     0x60000u
#define LDTR   0x60006u
#define TR     0x60007u
#define IDTR   0x70000u
#define GDTR   0x70001u
#define TSC    0x80000u
#define EFER   0x80001u
#define PAT    0x80004u

/* A register that holds any word that is a canonical address of 32 bits, and where the register file keeps it. */
struct plain {
    uint32_t name;
    size_t offset;
};

#define AT(member) offsetof(struct vmmu_hyperv_registers, member)

static const struct plain plain_registers[] = {
    { 0x20000, AT(state.gpr[VMMU_X86_RAX]) },
    { 0x20001, AT(state.gpr[VMMU_X86_RCX]) },
    { 0x20002, AT(state.gpr[VMMU_X86_RDX]) },
    { 0x20003, AT(state.gpr[VMMU_X86_RBX]) },
    { 0x20004, AT(state.gpr[VMMU_X86_RSP]) },
    { 0x20005, AT(state.gpr[VMMU_X86_RBP]) },
    { 0x20006, AT(state.gpr[VMMU_X86_RSI]) },
    { 0x20007, AT(state.gpr[VMMU_X86_RDI]) },
    { 0x20008, AT(state.gpr[8]) },
    { 0x2000F, AT(state.gpr[15]) },
    { RIP, AT(state.rip) },
    { CR2, AT(cr2) },
    { 0x50000, AT(dr[0]) },
    { 0x50001, AT(dr[1]) },
    { 0x50003, AT(dr[3]) },
    { TSC, AT(tsc) },
    { 0x80002, AT(kernel_gs_base) },
    { 0x80005, AT(sysenter_cs) },
    { 0x80006, AT(sysenter_eip) },
    { 0x80007, AT(sysenter_esp) },
    { 0x80008, AT(star) },
    { 0x80009, AT(lstar) },
    { 0x8000A, AT(cstar) },
    { 0x8000B, AT(sfmask) },
    { 0x8007B, AT(tsc_aux) },
};

#define PLAIN (sizeof(plain_registers) / sizeof(plain_registers[0]))

static void test_plain_registers_hold_what_is_set_and_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < PLAIN; i++) {
        struct vmmu_hyperv_registers registers = long_mode_registers();
        struct vmmu_hyperv_registers expected = registers;
        const uint64_t word = 0x13572000 + i;
        uint64_t value[2];

        memcpy((uint8_t *)&expected + plain_registers[i].offset, &word, sizeof(word));
        EXPECT_EQ(set_one(&registers, plain_registers[i].name, word, 0), SUCCESS);
        assert_memory_equal(&registers, &expected, sizeof(registers));
        EXPECT_EQ(get_one(&registers, plain_registers[i].name, value), SUCCESS);
        EXPECT_EQ(value[0], word);
        EXPECT_EQ(value[1], 0);
    }
}

static void test_names_of_no_register_are_invalid_parameters(void **state)
{
    static const uint32_t names[] = { 2,       0x10002,  0x1FFFF, 0x20012, 0x30000, 0x40006,    0x4FFFF,
                                      0x50006, 0x60008,  0x70002, 0x8000D, 0x8007A, 0x80100,    0x90002,
                                      0x90004, 0xFFFFFF, 0xE0000, 0x30019, 0x10004, 0xFFFFFFFF, 0x41000 };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct vmmu_hyperv_registers registers = long_mode_registers();
        uint64_t value[2];

        EXPECT_EQ(get_one(&registers, names[i], value), INVALID_PARAMETER);
        EXPECT_EQ(value[0], UINT64_C(0xEEEEEEEEEEEEEEEE));
        EXPECT_EQ(set_one(&registers, names[i], 0, 0), INVALID_PARAMETER);
    }
}

static void test_some_registers_are_for_reading_only(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();
    uint64_t value[2];

    (void)state;
    EXPECT_EQ(get_one(&registers, 0x8000C, value), SUCCESS); /* initial APIC ID */
    EXPECT_EQ(value[0], 3);
    EXPECT_EQ(set_one(&registers, 0x8000C, 3, 0), INVALID_PARAMETER);
    EXPECT_EQ(get_one(&registers, 0x90003, value), SUCCESS); /* VP index */
    EXPECT_EQ(value[0], 1);
    EXPECT_EQ(set_one(&registers, 0x90003, 1, 0), INVALID_PARAMETER);
    EXPECT_EQ(get_one(&registers, 0x80003, value), SUCCESS); /* APIC base */
    EXPECT_EQ(value[0], 0xFEE00900);
    EXPECT_EQ(set_one(&registers, 0x80003, 0xFEE00900, 0), INVALID_PARAMETER);
}

static void test_a_get_stops_at_the_element_that_it_does_not_know(void **state)
{
    const struct fixture f = parent_fixture();
    const struct vmmu_hyperv_registers registers = long_mode_registers();
    const uint32_t input[4 + 4] = { CHILD_ID, 0, 1, 0, CR3, CR8, 0x1234, CR0 };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 0x50 | COUNT(4) | START(1), input);
    uint64_t output[8] = { 7, 7, 7, 7, 7, 7, 7, 7 };
    uint16_t done;

    (void)state;
    EXPECT_EQ(
        vmmu_hyperv_registers_get(&outcome, (const uint8_t *)input, &registers, (uint8_t *)output, &done),
        INVALID_PARAMETER);
    EXPECT_EQ(done, 1);
    EXPECT_EQ(output[0], 7); /* before the start */
    EXPECT_EQ(output[2], 2); /* CR8 */
    EXPECT_EQ(output[3], 0);
    EXPECT_EQ(output[4], 7);
}

/* Base, limit, selector, attributes; and of a table register three unused words, limit, base. */
static void test_segments_and_tables_have_their_own_layouts(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();
    uint64_t value[2];

    (void)state;
    EXPECT_EQ(get_one(&registers, ES + VMMU_X86_CS, value), SUCCESS);
    EXPECT_EQ(value[0], 0);
    EXPECT_EQ(value[1], UINT64_C(0xA09B0010FFFFFFFF));
    EXPECT_EQ(get_one(&registers, GDTR, value), SUCCESS);
    EXPECT_EQ(value[0], UINT64_C(0x007F000000000000));
    EXPECT_EQ(value[1], 0x8000);
    EXPECT_EQ(set_one(&registers, ES + VMMU_X86_GS, UINT64_C(0xFFFF888000000000),
                      segment_word(0xFFFFF, 0x2B, 0x40F3)),
              SUCCESS);
    EXPECT_EQ(registers.state.segment[VMMU_X86_GS].base, UINT64_C(0xFFFF888000000000));
    EXPECT_EQ(registers.state.segment[VMMU_X86_GS].limit, 0xFFFFF);
    EXPECT_EQ(registers.state.segment[VMMU_X86_GS].selector, 0x2B);
    EXPECT_EQ(registers.state.segment[VMMU_X86_GS].attributes, 0x40F3);
    EXPECT_EQ(set_one(&registers, IDTR, UINT64_C(0x0FFF000000000000), UINT64_C(0xFFFFFE0000000000)), SUCCESS);
    EXPECT_EQ(registers.idtr.limit, 0x0FFF);
    EXPECT_EQ(registers.idtr.base, UINT64_C(0xFFFFFE0000000000));
    EXPECT_EQ(set_one(&registers, TR, 0xA000, segment_word(0x67, 0x40, 0x8B)), SUCCESS);
    EXPECT_EQ(registers.tr.base, 0xA000);
    EXPECT_EQ(registers.tr.selector, 0x40);
    EXPECT_EQ(set_one(&registers, LDTR, 0xB000, segment_word(0x7, 0x48, 0x82)), SUCCESS);
    EXPECT_EQ(registers.ldtr.base, 0xB000);
}

static void test_suspend_registers_have_their_bits(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();
    uint64_t value[2];

    (void)state;
    EXPECT_EQ(set_one(&registers, 0, 1, 0), SUCCESS);
    EXPECT(registers.explicit_suspend && !registers.intercept_suspend && !registers.flush_inhibit);
    EXPECT_EQ(get_one(&registers, 0, value), SUCCESS);
    EXPECT_EQ(value[0], 1);
    EXPECT_EQ(set_one(&registers, 0, 0, 0), SUCCESS);
    EXPECT(!registers.explicit_suspend);
    EXPECT_EQ(set_one(&registers, 1, 2, 0), SUCCESS);
    EXPECT(!registers.intercept_suspend && registers.flush_inhibit);
    EXPECT_EQ(set_one(&registers, 1, 1, 0), SUCCESS);
    EXPECT(registers.intercept_suspend && !registers.flush_inhibit);
    EXPECT_EQ(set_one(&registers, 1, 3, 0), SUCCESS);
    EXPECT_EQ(get_one(&registers, 1, value), SUCCESS);
    EXPECT_EQ(value[0], 3);
    EXPECT_EQ(set_one(&registers, 0, 2, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, 1, 4, 0), INVALID_PARAMETER);
}

static void test_interrupt_state_is_shadow_and_nmi_mask(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();
    uint64_t value[2];

    (void)state;
    EXPECT_EQ(set_one(&registers, 0x10003, 1, 0), SUCCESS);
    EXPECT(registers.state.interrupt_shadow && !registers.nmi_masked);
    EXPECT_EQ(set_one(&registers, 0x10003, 2, 0), SUCCESS);
    EXPECT(!registers.state.interrupt_shadow && registers.nmi_masked);
    EXPECT_EQ(get_one(&registers, 0x10003, value), SUCCESS);
    EXPECT_EQ(value[0], 2);
    EXPECT_EQ(set_one(&registers, 0x10003, 4, 0), INVALID_PARAMETER);
}

/* Which part of a virtual processor has to be stored. */
static void test_a_set_tells_what_it_changed(void **state)
{
    static const struct {
        struct setting setting;
        uint32_t changed;
    } rows[] = {
        { { 0x20000, 1, 0 }, VMMU_HYPERV_CHANGED_GENERAL }, { { RFLAGS, 2, 0 }, VMMU_HYPERV_CHANGED_GENERAL },
        { { CR3, 0x3000, 0 }, VMMU_HYPERV_CHANGED_PAGING }, { { CR2, 1, 0 }, VMMU_HYPERV_CHANGED_CONTROL },
        { { CR8, 1, 0 }, VMMU_HYPERV_CHANGED_CONTROL },     { { XFEM, 3, 0 }, VMMU_HYPERV_CHANGED_CONTROL },
        { { DR6, 0, 0 }, VMMU_HYPERV_CHANGED_DEBUG },       { { GDTR, 0, 0 }, VMMU_HYPERV_CHANGED_SEGMENTS },
        { { TSC, 0, 0 }, VMMU_HYPERV_CHANGED_TSC },         { { PAT, 0, 0 }, VMMU_HYPERV_CHANGED_PAT },
        { { 0x80008, 0, 0 }, VMMU_HYPERV_CHANGED_MSRS },    { { 0, 0, 0 }, VMMU_HYPERV_CHANGED_SUSPEND },
        { { 1, 0, 0 }, VMMU_HYPERV_CHANGED_SUSPEND },       { { 0x10003, 0, 0 }, VMMU_HYPERV_CHANGED_EVENTS },
    };
    struct setting all[sizeof(rows) / sizeof(rows[0])];
    struct vmmu_hyperv_registers registers;
    uint32_t changed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        registers = long_mode_registers();
        EXPECT_EQ(set_many(&registers, &rows[i].setting, 1).changed, rows[i].changed);
        all[i] = rows[i].setting;
        changed |= rows[i].changed;
    }
    registers = long_mode_registers();
    EXPECT_EQ(set_many(&registers, all, sizeof(rows) / sizeof(rows[0])).changed, changed);
    EXPECT_EQ(registers.cr3, 0x3000);
}

static void test_elements_take_effect_together_or_not_at_all(void **state)
{
    const struct setting settings[3] = { { 0x20000, 5, 0 }, { CR3, 0x3000, 0 }, { CR8, 16, 0 } };
    struct vmmu_hyperv_registers registers = long_mode_registers();
    const struct vmmu_hyperv_registers before = registers;
    const struct vmmu_hyperv_register_changes changes = set_many(&registers, settings, 3);

    (void)state;
    EXPECT_EQ(changes.status, INVALID_PARAMETER);
    EXPECT_EQ(changes.done, 0);
    assert_memory_equal(&registers, &before, sizeof(before));
}

static void test_the_last_value_of_a_register_counts(void **state)
{
    const struct setting settings[2] = { { CR3, 0x3000, 0 }, { CR3, 0x4000, 0 } };
    struct vmmu_hyperv_registers registers = long_mode_registers();

    (void)state;
    EXPECT_EQ(set_many(&registers, settings, 2).done, 2);
    EXPECT_EQ(registers.cr3, 0x4000);
}

/* --- control registers, and the policies --- */

static void test_paging_registers_must_make_a_mode_together(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();
    const struct setting to_32_bit[3] = { { CR0, 0x80000011, 0 }, { CR4, 0, 0 }, { EFER, 0, 0 } };
    const struct setting to_real[4] = { { CR0, 0x10, 0 }, { EFER, 0, 0 }, { CR4, 0, 0 }, { RIP, 0, 0 } };

    (void)state;
    EXPECT_EQ(set_one(&registers, CR0, 0x11, 0), INVALID_PARAMETER);       /* EFER.LMA without PG */
    EXPECT_EQ(set_one(&registers, CR0, 0x80010010, 0), INVALID_PARAMETER); /* PG without PE */
    EXPECT_EQ(set_one(&registers, CR0, UINT64_C(0x180010011), 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, CR4, 0, 0), INVALID_PARAMETER); /* long mode without PAE */
    EXPECT_EQ(set_one(&registers, CR4, 0x20 | VMMU_X86_CR4_VMXE, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, EFER, VMMU_X86_EFER_LMA, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, EFER, 0xD00 | VMMU_X86_EFER_SVME, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, CR3, UINT64_C(1) << 40, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, CR3, VMMU_X86_CR3_NO_FLUSH | 0x1000, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, CR4, 0x20 | VMMU_X86_CR4_PGE | VMMU_X86_CR4_SMEP, 0), SUCCESS);
    EXPECT_EQ(set_one(&registers, EFER, VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA | 1, 0), SUCCESS);
    /* RIP of 64 bits is none of the other modes. */
    EXPECT_EQ(set_many(&registers, to_32_bit, 3).status, INVALID_PARAMETER);
    EXPECT_EQ(set_many(&registers, to_real, 4).status, SUCCESS);
}

static void test_bits_that_read_as_one_are_stored_as_one(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();

    (void)state;
    EXPECT_EQ(set_one(&registers, CR0, 0x80000001, 0), SUCCESS);
    EXPECT_EQ(registers.state.cr0, 0x80000011);
    EXPECT_EQ(set_one(&registers, DR6, 0, 0), SUCCESS);
    EXPECT_EQ(registers.dr6, 0xFFFF0FF0);
    EXPECT_EQ(set_one(&registers, DR6, 0xFFFFFFFF, 0), SUCCESS);
    EXPECT_EQ(registers.dr6, 0xFFFFEFFF);
    EXPECT_EQ(set_one(&registers, DR7, 0xFFFFFFFF, 0), SUCCESS);
    EXPECT_EQ(registers.dr7, 0xFFFF2FFF);
    EXPECT_EQ(set_one(&registers, DR7, UINT64_C(1) << 32, 0), INVALID_PARAMETER);
}

/* "May be an error": it is, unless the policy honours the bits; while CR4.PCIDE is set, they are the PCID's. */
static void test_cache_bits_of_cr3_are_refused_unless_honoured(void **state)
{
    const struct vmmu_hyperv_policy honor = { .cr3_cache = VMMU_HYPERV_CACHE_HONOR };
    const struct setting pwt = { CR3, 0x1008, 0 };
    const struct setting with_pcid[2] = { { CR4, 0x20 | VMMU_X86_CR4_PCIDE, 0 }, { CR3, 0x1018, 0 } };
    const struct setting pcid_off = { CR4, 0x20, 0 };
    struct vmmu_hyperv_registers registers = long_mode_registers();
    struct vmmu_hyperv_register_rules rules = register_rules();

    (void)state;
    EXPECT_EQ(set_one(&registers, CR3, 0x1008, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, CR3, 0x1010, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_many(&registers, with_pcid, 2).status, SUCCESS);
    EXPECT_EQ(registers.cr3, 0x1018);
    /* Without PCIDs these bits would become cache bits. */
    EXPECT_EQ(set_many(&registers, &pcid_off, 1).status, INVALID_PARAMETER);
    rules.policy = &honor;
    EXPECT_EQ(set_by_rules(&rules, &registers, &pcid_off, 1).status, SUCCESS);
    EXPECT_EQ(set_by_rules(&rules, &registers, &pwt, 1).status, SUCCESS);
    EXPECT_EQ(registers.cr3, 0x1008);
}

static void test_cache_disable_is_refused_unless_honoured(void **state)
{
    const struct vmmu_hyperv_policy message = { .cr0_cd = VMMU_HYPERV_CACHE_MESSAGE };
    const struct vmmu_hyperv_policy honor = { .cr0_cd = VMMU_HYPERV_CACHE_HONOR };
    const struct setting cd = { CR0, 0xC0010011, 0 };
    const struct setting nw_alone = { CR0, 0xA0010011, 0 };
    struct vmmu_hyperv_registers registers = long_mode_registers();
    struct vmmu_hyperv_register_rules rules = register_rules();

    (void)state;
    EXPECT_EQ(set_by_rules(&rules, &registers, &cd, 1).status, INVALID_PARAMETER);
    rules.policy = &message;
    EXPECT_EQ(set_by_rules(&rules, &registers, &cd, 1).status, INVALID_PARAMETER);
    rules.policy = &honor;
    EXPECT_EQ(set_by_rules(&rules, &registers, &nw_alone, 1).status, INVALID_PARAMETER);
    EXPECT_EQ(set_by_rules(&rules, &registers, &cd, 1).status, SUCCESS);
    EXPECT_EQ(registers.state.cr0, 0xC0010011);
}

static void test_pae_paging_loads_the_pdpte_registers(void **state)
{
    const struct vmmu_hyperv_register_rules rules = register_rules();
    struct vmmu_hyperv_registers registers = pae_registers();
    const struct setting good = { CR3, 0x3020, 0 };
    const struct setting reserved = { CR3, 0x4000, 0 };
    const struct setting absent = { CR3, 0x20000, 0 };
    struct vmmu_hyperv_register_changes changes;

    (void)state;
    register_ram_put(0x3020, 0x5001);
    register_ram_put(0x3038, 0x6001);
    register_ram_put(0x4008, 0x7003); /* bit 1 is reserved */
    changes = set_by_rules(&rules, &registers, &good, 1);
    EXPECT_EQ(changes.status, SUCCESS);
    EXPECT_EQ(changes.changed, VMMU_HYPERV_CHANGED_PAGING | VMMU_HYPERV_CHANGED_PDPTES);
    EXPECT_EQ(registers.pdpte[0], 0x5001);
    EXPECT_EQ(registers.pdpte[1], 0);
    EXPECT_EQ(registers.pdpte[3], 0x6001);
    EXPECT_EQ(set_by_rules(&rules, &registers, &reserved, 1).status, INVALID_PARAMETER);
    EXPECT_EQ(set_by_rules(&rules, &registers, &absent, 1).status, INVALID_PARAMETER);
    EXPECT_EQ(registers.cr3, 0x3020);
    EXPECT_EQ(registers.pdpte[0], 0x5001);
}

/* SDM 3A "PDPTE Registers": MOV to CR3 loads them, and CR0 and CR4 do by some of their bits; what is not loaded may be anything. */
static void test_pdpte_registers_stay_unless_a_processor_would_load_them(void **state)
{
    const struct vmmu_hyperv_register_rules rules = register_rules();
    const struct setting same_cr0 = { CR0, 0x80010011, 0 };
    const struct setting other_cr0 = { CR0, 0x80010013, 0 };
    const struct setting same_cr3 = { CR3, 0x2000, 0 };
    const struct setting pge = { CR4, VMMU_X86_CR4_PAE | VMMU_X86_CR4_PGE, 0 };
    struct vmmu_hyperv_registers registers = pae_registers();

    (void)state;
    registers.pdpte[0] = 0x5001;
    register_ram_put(0x2000, 0x7003); /* bit 1 is reserved */
    EXPECT_EQ(set_by_rules(&rules, &registers, &same_cr0, 1).changed, VMMU_HYPERV_CHANGED_PAGING);
    EXPECT_EQ(set_by_rules(&rules, &registers, &other_cr0, 1).changed, VMMU_HYPERV_CHANGED_PAGING);
    EXPECT_EQ(registers.pdpte[0], 0x5001);
    EXPECT_EQ(set_by_rules(&rules, &registers, &same_cr3, 1).status, INVALID_PARAMETER);
    EXPECT_EQ(set_by_rules(&rules, &registers, &pge, 1).status, INVALID_PARAMETER);
    register_ram_put(0x2000, 0x6001);
    EXPECT_EQ(set_by_rules(&rules, &registers, &pge, 1).changed,
              VMMU_HYPERV_CHANGED_PAGING | VMMU_HYPERV_CHANGED_PDPTES);
    EXPECT_EQ(registers.pdpte[0], 0x6001);
}

static void test_pae_paging_that_begins_loads_pdptes(void **state)
{
    const struct vmmu_hyperv_register_rules rules = register_rules();
    const struct setting pg = { CR0, 0x80010011, 0 };
    struct vmmu_hyperv_registers registers = pae_registers();

    (void)state;
    registers.state.cr0 = 0x10011;
    register_ram_put(0x2000, 0x6001);
    EXPECT_EQ(set_by_rules(&rules, &registers, &pg, 1).changed,
              VMMU_HYPERV_CHANGED_PAGING | VMMU_HYPERV_CHANGED_PDPTES);
    EXPECT_EQ(registers.pdpte[0], 0x6001);
}

/* APM 2 "Handling of PDPT Entries in PAE Mode": they are looked at when they are walked. */
static void test_pdptes_that_stay_in_memory_are_neither_loaded_nor_checked(void **state)
{
    struct vmmu_hyperv_register_rules rules = register_rules();
    struct vmmu_hyperv_registers registers = pae_registers();
    const struct setting reserved = { CR3, 0x4000, 0 };
    struct vmmu_hyperv_register_changes changes;

    (void)state;
    register_ram_put(0x4008, 0x7003); /* bit 1 is reserved */
    rules.pdpte_in_memory = true;
    changes = set_by_rules(&rules, &registers, &reserved, 1);
    EXPECT_EQ(changes.status, SUCCESS);
    EXPECT_EQ(changes.changed, VMMU_HYPERV_CHANGED_PAGING);
    EXPECT_EQ(registers.cr3, 0x4000);
}

/* --- HvSwitchVirtualAddressSpace --- */

static void test_a_switch_changes_cr3_and_nothing_else(void **state)
{
    const struct vmmu_hyperv_register_rules rules = register_rules();
    struct vmmu_x86_paging_registers paging = {
        .cr0 = 0x80010011, .cr3 = 0x1000, .cr4 = VMMU_X86_CR4_PAE, .efer = 0xD00, .pdpte_in_memory = false
    };
    struct vmmu_x86_paging_registers expected = paging;

    (void)state;
    expected.cr3 = UINT64_C(0xFFFFFFF000);
    EXPECT_EQ(vmmu_hyperv_switch(rules.policy, rules.cpu, rules.ram, UINT64_C(0xFFFFFFF000), &paging),
              SUCCESS);
    assert_memory_equal(&paging, &expected, sizeof(paging));
}

static void test_a_switch_to_no_cr3_is_an_invalid_parameter(void **state)
{
    const struct vmmu_hyperv_register_rules rules = register_rules();
    const struct vmmu_x86_paging_registers before = {
        .cr0 = 0x80010011, .cr3 = 0x1000, .cr4 = VMMU_X86_CR4_PAE, .efer = 0xD00
    };
    const struct vmmu_x86_paging_registers legacy = { .cr0 = 0x80010011, .cr3 = 0x1000 };
    struct vmmu_x86_paging_registers paging = before;

    (void)state;
    EXPECT_EQ(vmmu_hyperv_switch(rules.policy, rules.cpu, rules.ram, UINT64_C(1) << 40, &paging),
              INVALID_PARAMETER);
    EXPECT_EQ(vmmu_hyperv_switch(rules.policy, rules.cpu, rules.ram, VMMU_X86_CR3_NO_FLUSH, &paging),
              INVALID_PARAMETER);
    EXPECT_EQ(vmmu_hyperv_switch(rules.policy, rules.cpu, rules.ram, 0x1008, &paging), INVALID_PARAMETER);
    assert_memory_equal(&paging, &before, sizeof(paging));
    paging = legacy;
    EXPECT_EQ(vmmu_hyperv_switch(rules.policy, rules.cpu, rules.ram, UINT64_C(0x100001000), &paging),
              INVALID_PARAMETER);
    assert_memory_equal(&paging, &legacy, sizeof(paging));
}

static void test_a_switch_under_pae_paging_loads_pdptes(void **state)
{
    const struct vmmu_hyperv_register_rules rules = register_rules();
    struct vmmu_x86_paging_registers paging = { .cr0 = 0x80010011, .cr3 = 0x1000, .cr4 = VMMU_X86_CR4_PAE };

    (void)state;
    register_ram_put(0x3000, 0x5001);
    register_ram_put(0x4000, 0x5003);
    EXPECT_EQ(vmmu_hyperv_switch(rules.policy, rules.cpu, rules.ram, 0x3000, &paging), SUCCESS);
    EXPECT_EQ(paging.cr3, 0x3000);
    EXPECT_EQ(paging.pdpte[0], 0x5001);
    EXPECT_EQ(vmmu_hyperv_switch(rules.policy, rules.cpu, rules.ram, 0x4000, &paging), INVALID_PARAMETER);
    EXPECT_EQ(vmmu_hyperv_switch(rules.policy, rules.cpu, rules.ram, 0x40000, &paging), INVALID_PARAMETER);
    EXPECT_EQ(paging.cr3, 0x3000);
    paging.pdpte_in_memory = true;
    register_ram_put(0x3020, 0x6001);
    EXPECT_EQ(vmmu_hyperv_switch(rules.policy, rules.cpu, rules.ram, 0x3020, &paging), SUCCESS);
    EXPECT_EQ(paging.cr3, 0x3020);
    EXPECT_EQ(paging.pdpte[0], 0x5001); /* there are no such registers */
    EXPECT(paging.pdpte_in_memory);
    EXPECT_EQ(vmmu_hyperv_switch(rules.policy, rules.cpu, rules.ram, 0x4000, &paging), SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_registers_hold_what_is_set_and_read_back),
        cmocka_unit_test(test_names_of_no_register_are_invalid_parameters),
        cmocka_unit_test(test_some_registers_are_for_reading_only),
        cmocka_unit_test(test_a_get_stops_at_the_element_that_it_does_not_know),
        cmocka_unit_test(test_segments_and_tables_have_their_own_layouts),
        cmocka_unit_test(test_suspend_registers_have_their_bits),
        cmocka_unit_test(test_interrupt_state_is_shadow_and_nmi_mask),
        cmocka_unit_test(test_a_set_tells_what_it_changed),
        cmocka_unit_test(test_elements_take_effect_together_or_not_at_all),
        cmocka_unit_test(test_the_last_value_of_a_register_counts),
        cmocka_unit_test(test_paging_registers_must_make_a_mode_together),
        cmocka_unit_test(test_bits_that_read_as_one_are_stored_as_one),
        cmocka_unit_test(test_cache_bits_of_cr3_are_refused_unless_honoured),
        cmocka_unit_test(test_cache_disable_is_refused_unless_honoured),
        cmocka_unit_test(test_pae_paging_loads_the_pdpte_registers),
        cmocka_unit_test(test_pdpte_registers_stay_unless_a_processor_would_load_them),
        cmocka_unit_test(test_pae_paging_that_begins_loads_pdptes),
        cmocka_unit_test(test_pdptes_that_stay_in_memory_are_neither_loaded_nor_checked),
        cmocka_unit_test(test_a_switch_changes_cr3_and_nothing_else),
        cmocka_unit_test(test_a_switch_to_no_cr3_is_an_invalid_parameter),
        cmocka_unit_test(test_a_switch_under_pae_paging_loads_pdptes),
    };

    return RUN_TESTS(tests);
}
