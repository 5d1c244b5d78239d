/* SDM 3C "Checks on the Guest State Area", of what HvSetVpRegisters makes: states that no processor has are refused. */
#include "tests/unit/hyperv/register_file.h"
#include "tests/unit/test.h"

#define INTERRUPT_STATE 0x10003u
#define RAX             0x20000u
#define RIP             0x20010u
#define RFLAGS          0x20011u
#define CR0             0x40000u
#define CR4             0x40003u
#define CR8             0x40004u
#define XFEM            0x40005u
#define SEGMENT(n)      (0x60000u + (n))
#define LDTR            0x60006u
#define TR              0x60007u
#define IDTR            0x70000u
#define GDTR            0x70001u
#define EFER            0x80001u
#define PAT             0x80004u
#define TSC_AUX         0x8007Bu

#define VM              UINT64_C(0x20000)
#define NOT_LINEAR      UINT64_C(0x0100000000000000)
#define WIDE_LINEAR     UINT64_C(0x0000800000000000) /* with 57 bits only */

static void test_rflags_have_fixed_bits(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();

    (void)state;
    EXPECT_EQ(set_one(&registers, RFLAGS, 0x246, 0), SUCCESS);
    EXPECT_EQ(set_one(&registers, RFLAGS, 0x244, 0), INVALID_PARAMETER); /* bit 1 is one */
    EXPECT_EQ(set_one(&registers, RFLAGS, 0x2 | 1u << 3, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, RFLAGS, 0x2 | 1u << 5, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, RFLAGS, 0x2 | 1u << 15, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, RFLAGS, 0x2 | 1u << 22, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, RFLAGS, 0x2 | UINT64_C(1) << 63, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, RFLAGS, 0x3F7FD7u & ~(uint32_t)VM, 0), SUCCESS);
}

static void test_cr8_has_four_bits(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();

    (void)state;
    EXPECT_EQ(set_one(&registers, CR8, 15, 0), SUCCESS);
    EXPECT_EQ(set_one(&registers, CR8, 16, 0), INVALID_PARAMETER);
}

/* SDM 1 "Enabling the XSAVE Feature Set and XSAVE-Enabled Features". */
static void test_xcr0_takes_features_that_go_together(void **state)
{
    static const struct {
        uint64_t value;
        bool good;
    } rows[] = {
        { 1, true },       { 3, true },        { 7, true },        { 0, false },
        { 2, false },      { 5, false },       { 0xE7, true },     { 0xE3, false },
        { 0x67, false },   { 0x1B, true },     { 0xB, false },     { 0x13, false },
        { 0x60007, true }, { 0x20007, false }, { 0x40007, false }, { 0x207, false },
    };
    struct vmmu_hyperv_registers registers = long_mode_registers();
    struct vmmu_hyperv_register_rules rules = register_rules();

    (void)state;
    rules.xcr0_offered = 0x600FF;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct setting setting = { XFEM, rows[i].value, 0 };

        EXPECT_EQ(set_by_rules(&rules, &registers, &setting, 1).status,
                  rows[i].good ? SUCCESS : INVALID_PARAMETER);
    }
}

static void test_a_processor_without_xsave_has_no_xcr0(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();
    struct vmmu_hyperv_register_rules rules = register_rules();
    const struct setting setting = { XFEM, 1, 0 };

    (void)state;
    rules.xcr0_offered = 0;
    EXPECT_EQ(set_by_rules(&rules, &registers, &setting, 1).status, INVALID_PARAMETER);
}

static void test_each_byte_of_the_pat_is_a_memory_type(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();

    (void)state;
    EXPECT_EQ(set_one(&registers, PAT, UINT64_C(0x0001040506070001), 0), SUCCESS);
    EXPECT_EQ(registers.pat, UINT64_C(0x0001040506070001));
    for (unsigned i = 0; i < 8; i++) {
        for (uint64_t type = 0; type < 256; type++) {
            const bool exists = type < 8 && type != 2 && type != 3;

            EXPECT_EQ(set_one(&registers, PAT, type << (8 * i), 0), exists ? SUCCESS : INVALID_PARAMETER);
        }
    }
}

static void test_tsc_aux_is_there_if_it_is_offered(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();
    struct vmmu_hyperv_register_rules rules = register_rules();
    const struct setting setting = { TSC_AUX, 5, 0 };

    (void)state;
    EXPECT_EQ(set_one(&registers, TSC_AUX, UINT64_C(1) << 32, 0), INVALID_PARAMETER);
    rules.tsc_aux = false;
    EXPECT_EQ(set_by_rules(&rules, &registers, &setting, 1).status, INVALID_PARAMETER);
}

static void test_msrs_of_addresses_take_linear_ones(void **state)
{
    static const uint32_t names[] = { 0x80002, 0x80006, 0x80007, 0x80009, 0x8000A };
    struct vmmu_hyperv_registers registers = long_mode_registers();
    struct vmmu_hyperv_register_rules rules = register_rules();
    struct vmmu_x86_cpu cpu = register_cpu;

    (void)state;
    rules.cpu = &cpu;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct setting wide = { names[i], WIDE_LINEAR, 0 };

        EXPECT_EQ(set_one(&registers, names[i], NOT_LINEAR, 0), INVALID_PARAMETER);
        EXPECT_EQ(set_one(&registers, names[i], WIDE_LINEAR, 0), SUCCESS);
        cpu.la57 = false;
        EXPECT_EQ(set_by_rules(&rules, &registers, &wide, 1).status, INVALID_PARAMETER);
        cpu.la57 = true;
    }
    EXPECT_EQ(set_one(&registers, 0x80005, UINT64_C(1) << 32, 0), INVALID_PARAMETER); /* SYSENTER_CS */
    EXPECT_EQ(set_one(&registers, 0x8000B, UINT64_C(1) << 32, 0), INVALID_PARAMETER); /* SFMASK */
}

static void test_bases_are_linear_addresses(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();
    struct vmmu_hyperv_registers narrow = pae_registers();
    struct vmmu_hyperv_register_rules rules = register_rules();
    struct vmmu_x86_cpu cpu = register_cpu;
    const struct setting high = { GDTR, 0, UINT64_C(0x100000000) };

    (void)state;
    EXPECT_EQ(set_one(&registers, GDTR, 0, NOT_LINEAR), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, IDTR, 0, NOT_LINEAR), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, TR, NOT_LINEAR, segment_word(0x67, 0x40, 0x8B)), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, SEGMENT(VMMU_X86_FS), NOT_LINEAR, segment_word(0xFFFFFFFF, 0, 0xC093)),
              INVALID_PARAMETER);
    rules.cpu = &cpu;
    cpu.long_mode = false;
    cpu.la57 = false;
    cpu.pcid = false;
    EXPECT_EQ(set_by_rules(&rules, &narrow, &high, 1).status, INVALID_PARAMETER);
}

static void test_rip_is_an_address_of_the_mode(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();
    struct vmmu_hyperv_registers narrow = pae_registers();
    const struct setting wide[2] = { { CR4, 0x20 | VMMU_X86_CR4_LA57, 0 }, { RIP, WIDE_LINEAR, 0 } };

    (void)state;
    EXPECT_EQ(set_one(&registers, RIP, UINT64_C(0x00007FFFFFFFFFFF), 0), SUCCESS);
    EXPECT_EQ(set_one(&registers, RIP, WIDE_LINEAR, 0), INVALID_PARAMETER);
    EXPECT_EQ(set_many(&registers, wide, 2).status, SUCCESS);
    EXPECT_EQ(set_one(&narrow, RIP, 0xFFFFFFFF, 0), SUCCESS);
    EXPECT_EQ(set_one(&narrow, RIP, UINT64_C(0x100000000), 0), INVALID_PARAMETER);
    /* Code of 32 bits within long mode. */
    registers = long_mode_registers();
    EXPECT_EQ(set_one(&registers, SEGMENT(VMMU_X86_CS), 0, segment_word(0xFFFFFFFF, 0x10, 0xC09B)),
              INVALID_PARAMETER);
    registers.state.rip = 0x1000;
    EXPECT_EQ(set_one(&registers, SEGMENT(VMMU_X86_CS), 0, segment_word(0xFFFFFFFF, 0x10, 0xC09B)), SUCCESS);
}

/* Whether a segment of @attributes, with limit @limit, may stand in register @name of @registers. */
static void expect_segment(const struct vmmu_hyperv_registers *registers, uint32_t name, uint32_t limit,
                           uint16_t attributes, bool good)
{
    struct vmmu_hyperv_registers copy = *registers;

    EXPECT_EQ(set_one(&copy, name, 0, segment_word(limit, 0x20, attributes)),
              good ? SUCCESS : INVALID_PARAMETER);
}

static void test_data_segments_are_accessed_and_can_be_read(void **state)
{
    static const uint32_t names[] = { SEGMENT(0), SEGMENT(3), SEGMENT(4), SEGMENT(5) };
    const struct vmmu_hyperv_registers registers = pae_registers();

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        expect_segment(&registers, names[i], 0xFFFF, 0x93, true);
        expect_segment(&registers, names[i], 0xFFFF, 0x91, true);
        expect_segment(&registers, names[i], 0xFFFF, 0x97, true);  /* expands down */
        expect_segment(&registers, names[i], 0xFFFF, 0x92, false); /* not accessed */
        expect_segment(&registers, names[i], 0xFFFF, 0x9B, true);
        expect_segment(&registers, names[i], 0xFFFF, 0x99, false); /* code that cannot be read */
        expect_segment(&registers, names[i], 0xFFFF, 0x83, false); /* a system segment */
        expect_segment(&registers, names[i], 0xFFFF, 0x193, false);
        expect_segment(&registers, names[i], 0xFFFF, 0x893, false);
        expect_segment(&registers, names[i], 0, 0, true); /* not usable: the rest does not count */
        expect_segment(&registers, names[i], 5, 0x42, true);
    }
}

static void test_limits_agree_with_granularity(void **state)
{
    const struct vmmu_hyperv_registers registers = pae_registers();
    struct vmmu_hyperv_registers copy = registers;

    (void)state;
    expect_segment(&registers, SEGMENT(0), 0xFFFFF, 0x93, true);
    expect_segment(&registers, SEGMENT(0), 0xFFF, 0x8093, true);
    expect_segment(&registers, SEGMENT(0), 0xFFE, 0x8093, false);
    expect_segment(&registers, SEGMENT(0), 0x1FFFFE, 0x93, false);
    /* Some processors do not keep the granularity of a large limit: it follows. */
    EXPECT_EQ(set_one(&copy, SEGMENT(0), 0, segment_word(0xFFFFFFFF, 0x20, 0x93)), SUCCESS);
    EXPECT_EQ(copy.state.segment[0].attributes, 0x8093);
}

static void test_the_stack_segment_is_writable_and_of_the_level(void **state)
{
    struct vmmu_hyperv_registers registers = pae_registers();
    const struct setting user[2] = {
        { SEGMENT(VMMU_X86_CS), 0, segment_word(0xFFFFFFFF, 0x1B, 0xC0FB) },
        { SEGMENT(VMMU_X86_SS), 0, segment_word(0xFFFFFFFF, 0x23, 0xC0F3) },
    };

    (void)state;
    expect_segment(&registers, SEGMENT(VMMU_X86_SS), 0xFFFF, 0x93, true);
    expect_segment(&registers, SEGMENT(VMMU_X86_SS), 0xFFFF, 0x97, true);
    expect_segment(&registers, SEGMENT(VMMU_X86_SS), 0xFFFF, 0x91, false);
    expect_segment(&registers, SEGMENT(VMMU_X86_SS), 0xFFFF, 0x9B, false);
    expect_segment(&registers, SEGMENT(VMMU_X86_SS), 0xFFFF, 0xF3, false); /* level 3, with code of level 0 */
    EXPECT_EQ(set_many(&registers, user, 2).status, SUCCESS);
    EXPECT_EQ(registers.state.cpl, 3);
}

static void test_an_unusable_stack_has_the_level_of_the_code(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();
    const struct setting settings[2] = {
        { SEGMENT(VMMU_X86_CS), 0, segment_word(0xFFFFFFFF, 0x11, 0xA0BB) }, /* level 1 */
        { SEGMENT(VMMU_X86_SS), 0, segment_word(0, 1, 0) },
    };

    (void)state;
    EXPECT_EQ(set_many(&registers, settings, 2).status, SUCCESS);
    EXPECT_EQ(registers.state.cpl, 1);
    EXPECT_EQ(registers.state.segment[VMMU_X86_SS].attributes, 0x20);
}

static void test_the_code_segment_is_code(void **state)
{
    const struct vmmu_hyperv_registers registers = pae_registers();
    struct vmmu_hyperv_registers long_mode = long_mode_registers();

    (void)state;
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFF, 0x9B, true);
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFF, 0x99, true);
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFF, 0x9F, true); /* conforming */
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFF, 0xFF,
                   false); /* conforming, of a lower privilege */
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFF, 0xFB, false);
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFF, 0x9A, false);
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFF, 0x93, true); /* what real mode left there */
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFF, 0xF3, false);
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFF, 0x91, false);
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFF, 0x8B, false);
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFF, 0x19B, false);
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFFE, 0x809B, false);
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFF, 0x1B, false); /* not present */
    expect_segment(&long_mode, SEGMENT(VMMU_X86_CS), 0xFFFFFFFF, 0xA09B, true);
    expect_segment(&long_mode, SEGMENT(VMMU_X86_CS), 0xFFFFFFFF, 0xE09B, false); /* long, and 32-bit */
    expect_segment(&registers, SEGMENT(VMMU_X86_CS), 0xFFFFFFFF, 0xE09B, true);  /* L does not count */
}

static void test_bases_of_cs_ss_ds_and_es_have_32_bits(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();

    (void)state;
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        const uint64_t other = i == VMMU_X86_CS ? 0xA09B : 0xC093;
        const bool wide = i == VMMU_X86_FS || i == VMMU_X86_GS;

        EXPECT_EQ(set_one(&registers, SEGMENT(i), UINT64_C(0x100000000),
                          segment_word(0xFFFFFFFF, 0x10, (uint16_t)other)),
                  wide ? SUCCESS : INVALID_PARAMETER);
    }
}

static void test_tr_is_a_busy_tss(void **state)
{
    const struct vmmu_hyperv_registers registers = long_mode_registers();
    const struct vmmu_hyperv_registers narrow = pae_registers();
    struct vmmu_hyperv_registers copy = narrow;

    (void)state;
    expect_segment(&registers, TR, 0x67, 0x8B, true);
    expect_segment(&registers, TR, 0x67, 0x83, false); /* of 16 bits, in long mode */
    expect_segment(&narrow, TR, 0x67, 0x83, true);
    expect_segment(&narrow, TR, 0x67, 0x89, false); /* available */
    expect_segment(&narrow, TR, 0x67, 0x0B, false); /* not usable */
    expect_segment(&narrow, TR, 0x67, 0x9B, false); /* code */
    expect_segment(&narrow, TR, 0x67, 0x28B, false);
    expect_segment(&narrow, TR, 0x67, 0x808B, false);
    EXPECT_EQ(set_one(&copy, TR, 0, segment_word(0x67, 0x24, 0x8B)), INVALID_PARAMETER); /* of the LDT */
}

static void test_ldtr_is_an_ldt_or_nothing(void **state)
{
    const struct vmmu_hyperv_registers registers = pae_registers();
    struct vmmu_hyperv_registers copy = registers;

    (void)state;
    expect_segment(&registers, LDTR, 0x67, 0x82, true);
    expect_segment(&registers, LDTR, 0, 0, true);
    expect_segment(&registers, LDTR, 0x67, 0x8B, false);
    expect_segment(&registers, LDTR, 0x67, 0x92, false);
    EXPECT_EQ(set_one(&copy, LDTR, 0, segment_word(0x67, 0x24, 0x82)), INVALID_PARAMETER);
}

static void test_real_mode_as_after_reset_is_a_state(void **state)
{
    const struct vmmu_hyperv_registers registers = real_mode_registers();
    struct vmmu_hyperv_registers copy = registers;

    (void)state;
    EXPECT_EQ(set_one(&copy, SEGMENT(VMMU_X86_DS), 0x10000, segment_word(0xFFFF, 0x1000, 0x93)), SUCCESS);
    EXPECT_EQ(copy.state.cpl, 0);
    EXPECT_EQ(set_one(&copy, SEGMENT(VMMU_X86_SS), 0, segment_word(0xFFFF, 0, 0xF3)), INVALID_PARAMETER);
    EXPECT_EQ(set_one(&copy, CR0, 0x11, 0), SUCCESS);
    EXPECT_EQ(set_one(&copy, SEGMENT(VMMU_X86_SS), 0, segment_word(0xFFFF, 0, 0xF3)), INVALID_PARAMETER);
}

/* Register @i of virtual-8086 mode, or a wrong one. */
static struct setting v8086_segment(unsigned i, uint64_t base, uint32_t limit, uint16_t attributes)
{
    return (struct setting){ SEGMENT(i), base, segment_word(limit, (uint16_t)(0x100 * i), attributes) };
}

static void test_virtual_8086_mode_has_its_own_segments(void **state)
{
    struct vmmu_hyperv_registers registers = pae_registers();
    struct setting settings[1 + VMMU_X86_SEGMENTS] = { { RFLAGS, 0x2 | VM, 0 } };
    struct setting wrong;

    (void)state;
    EXPECT_EQ(set_one(&registers, RFLAGS, 0x2 | VM, 0), INVALID_PARAMETER); /* flat segments */
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        settings[1 + i] = v8086_segment(i, 0x1000 * (uint64_t)i, 0xFFFF, 0xF3);
    }
    EXPECT_EQ(set_many(&registers, settings, 1 + VMMU_X86_SEGMENTS).status, SUCCESS);
    EXPECT_EQ(registers.state.cpl, 3);
    wrong = v8086_segment(2, 0x3000, 0xFFFF, 0xF3);
    EXPECT_EQ(set_many(&registers, &wrong, 1).status, INVALID_PARAMETER);
    wrong = v8086_segment(2, 0x2000, 0xFFFE, 0xF3);
    EXPECT_EQ(set_many(&registers, &wrong, 1).status, INVALID_PARAMETER);
    wrong = v8086_segment(2, 0x2000, 0xFFFF, 0x93);
    EXPECT_EQ(set_many(&registers, &wrong, 1).status, INVALID_PARAMETER);
    EXPECT_EQ(set_one(&registers, CR0, 0x10, 0), INVALID_PARAMETER); /* real mode has no VM */
}

static void test_there_is_no_virtual_8086_mode_in_long_mode(void **state)
{
    struct vmmu_hyperv_registers registers = long_mode_registers();
    struct setting settings[1 + VMMU_X86_SEGMENTS] = { { RFLAGS, 0x2 | VM, 0 } };

    (void)state;
    registers.state.rip = 0x1000;
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        settings[1 + i] = v8086_segment(i, 0x1000 * (uint64_t)i, 0xFFFF, 0xF3);
    }
    EXPECT_EQ(set_many(&registers, settings, 1 + VMMU_X86_SEGMENTS).status, INVALID_PARAMETER);
}

/* A virtual processor moves from one mode to another by one call. */
static void test_a_whole_state_moves_at_once(void **state)
{
    const struct setting settings[] = {
        { CR0, 0x80010011, 0 },
        { 0x40002, 0x5000, 0 },
        { CR4, VMMU_X86_CR4_PAE, 0 },
        { EFER, 0xD00, 0 },
        { RIP, UINT64_C(0xFFFFFFFF80000000), 0 },
        { SEGMENT(VMMU_X86_CS), 0, segment_word(0xFFFFFFFF, 0x10, 0xA09B) },
        { SEGMENT(VMMU_X86_SS), 0, segment_word(0xFFFFFFFF, 0x18, 0xC093) },
        { TR, 0x9000, segment_word(0x67, 0x28, 0x8B) },
    };
    struct vmmu_hyperv_registers registers = real_mode_registers();

    (void)state;
    EXPECT_EQ(set_many(&registers, settings, sizeof(settings) / sizeof(settings[0])).status, SUCCESS);
    EXPECT_EQ(registers.cr3, 0x5000);
    EXPECT_EQ(registers.state.efer, 0xD00);
    registers = real_mode_registers();
    EXPECT_EQ(set_many(&registers, settings, 5).status, INVALID_PARAMETER); /* RIP without 64-bit code */
}

/* In whatever order they are listed: the whole counts, not the beginning. */
static void test_as_many_registers_as_a_page_holds_are_one_state(void **state)
{
    struct vmmu_hyperv_registers registers = real_mode_registers();
    struct setting settings[MOST_SETTINGS];
    unsigned count = 0;

    (void)state;
    settings[count++] = (struct setting){ CR0, 0x80010011, 0 };
    while (count < MOST_SETTINGS - 5) {
        settings[count] = (struct setting){ RAX + count % 16, count, 0 };
        count++;
    }
    settings[count++] = (struct setting){ EFER, 0xD00, 0 };
    settings[count++] = (struct setting){ SEGMENT(VMMU_X86_CS), 0, segment_word(UINT32_MAX, 0x10, 0xA09B) };
    settings[count++] = (struct setting){ SEGMENT(VMMU_X86_SS), 0, segment_word(UINT32_MAX, 0x18, 0xC093) };
    settings[count++] = (struct setting){ TR, 0x9000, segment_word(0x67, 0x28, 0x8B) };
    settings[count++] = (struct setting){ CR4, VMMU_X86_CR4_PAE, 0 };
    EXPECT_EQ(set_many(&registers, settings, count - 1).status, INVALID_PARAMETER);
    EXPECT_EQ(registers.state.cr0, 0x10);
    EXPECT_EQ(set_many(&registers, settings, count).done, MOST_SETTINGS);
    EXPECT_EQ(registers.state.cr0, 0x80010011);
    EXPECT_EQ(registers.state.gpr[1], 113);
    EXPECT_EQ(registers.state.efer, 0xD00);
}

/* There is no HvRegisterPendingInterruption by which a parent could see it, or have it dropped. */
static void test_an_event_that_is_pending_can_still_be_delivered(void **state)
{
    struct vmmu_hyperv_registers registers = pae_registers();

    (void)state;
    registers.state.rflags = 0x202;
    registers.event_pending = true;
    EXPECT_EQ(set_one(&registers, RFLAGS, 0x2, 0), INVALID_PARTITION_STATE);
    EXPECT_EQ(set_one(&registers, INTERRUPT_STATE, 1, 0), INVALID_PARTITION_STATE);
    EXPECT_EQ(set_one(&registers, INTERRUPT_STATE, 2, 0), INVALID_PARTITION_STATE);
    EXPECT_EQ(set_one(&registers, CR0, 0x10, 0), INVALID_PARTITION_STATE);
    EXPECT_EQ(set_one(&registers, CR0, 0x1, 1), SUCCESS);
    EXPECT_EQ(set_one(&registers, RFLAGS, 0x246, 0), SUCCESS);
    EXPECT_EQ(set_one(&registers, INTERRUPT_STATE, 0, 0), SUCCESS);
    EXPECT_EQ(set_one(&registers, RIP, 0x2000, 0), SUCCESS);
    registers.event_pending = false;
    EXPECT_EQ(set_one(&registers, RFLAGS, 0x2, 0), SUCCESS);
    EXPECT_EQ(set_one(&registers, INTERRUPT_STATE, 3, 0), SUCCESS);
    registers.event_pending = true;
    EXPECT_EQ(set_one(&registers, INTERRUPT_STATE, 3, 0), SUCCESS); /* as it was when the event came */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rflags_have_fixed_bits),
        cmocka_unit_test(test_cr8_has_four_bits),
        cmocka_unit_test(test_xcr0_takes_features_that_go_together),
        cmocka_unit_test(test_a_processor_without_xsave_has_no_xcr0),
        cmocka_unit_test(test_each_byte_of_the_pat_is_a_memory_type),
        cmocka_unit_test(test_tsc_aux_is_there_if_it_is_offered),
        cmocka_unit_test(test_msrs_of_addresses_take_linear_ones),
        cmocka_unit_test(test_bases_are_linear_addresses),
        cmocka_unit_test(test_rip_is_an_address_of_the_mode),
        cmocka_unit_test(test_data_segments_are_accessed_and_can_be_read),
        cmocka_unit_test(test_limits_agree_with_granularity),
        cmocka_unit_test(test_the_stack_segment_is_writable_and_of_the_level),
        cmocka_unit_test(test_an_unusable_stack_has_the_level_of_the_code),
        cmocka_unit_test(test_the_code_segment_is_code),
        cmocka_unit_test(test_bases_of_cs_ss_ds_and_es_have_32_bits),
        cmocka_unit_test(test_tr_is_a_busy_tss),
        cmocka_unit_test(test_ldtr_is_an_ldt_or_nothing),
        cmocka_unit_test(test_real_mode_as_after_reset_is_a_state),
        cmocka_unit_test(test_virtual_8086_mode_has_its_own_segments),
        cmocka_unit_test(test_there_is_no_virtual_8086_mode_in_long_mode),
        cmocka_unit_test(test_a_whole_state_moves_at_once),
        cmocka_unit_test(test_as_many_registers_as_a_page_holds_are_one_state),
        cmocka_unit_test(test_an_event_that_is_pending_can_still_be_delivered),
    };

    return RUN_TESTS(tests);
}
