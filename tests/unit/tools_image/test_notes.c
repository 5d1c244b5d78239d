/*
 * Registers from the notes of cores, and what is inferred where they do not say.
 */
#include "tests/unit/tools_image/registers.h"

static struct image *open_notes(struct bytes *notes, uint16_t machine)
{
    struct bytes core = core_with_notes(notes, machine);
    struct image *const image = open_sound_bytes(&core);

    drop(&core);
    return image;
}

static void refused(struct bytes *notes, const char *words)
{
    struct bytes core = core_with_notes(notes, EM_X86_64);

    expect_refused(&core, IMAGE_GUESS, words);
    drop(&core);
}

static void test_prstatus_of_x86_64_has_all_general_registers(void **state)
{
    static const enum user64 order[] = { USER64_RAX, USER64_RCX, USER64_RDX, USER64_RBX,
                                         USER64_RSP, USER64_RBP, USER64_RSI, USER64_RDI,
                                         USER64_R8,  USER64_R9,  USER64_R10, USER64_R11,
                                         USER64_R12, USER64_R13, USER64_R14, USER64_R15 };
    uint64_t registers[USER64_REGISTERS];
    struct bytes notes = { 0 };
    struct image *image;

    (void)state;
    for (unsigned i = 0; i < USER64_REGISTERS; i++)
        registers[i] = 0x1111000000000000 + i;
    registers[USER64_CS] = 0x10;
    put_prstatus64(&notes, registers);
    image = open_notes(&notes, EM_X86_64);
    EXPECT_EQ(image->processor_count, 1);
    const struct image_processor *const processor = &image->processors[0];

    EXPECT(processor->has_registers && !processor->has_paging && !processor->has_cpu);
    for (unsigned i = 0; i < 16; i++)
        EXPECT_EQ(processor->state.gpr[i], registers[order[i]]);
    EXPECT_EQ(processor->state.rip, registers[USER64_RIP]);
    EXPECT_EQ(processor->state.rflags, registers[USER64_EFLAGS]);
    EXPECT_EQ(processor->state.segment[VMMU_X86_FS].base, registers[USER64_FS_BASE]);
    EXPECT_EQ(processor->state.segment[VMMU_X86_GS].base, registers[USER64_GS_BASE]);
    EXPECT_EQ(processor->state.segment[VMMU_X86_ES].selector, USER64_ES);
    EXPECT_EQ(processor->state.segment[VMMU_X86_CS].attributes, 0xA09B);
    EXPECT_EQ(processor->state.cpl, 0);
    image_close(image);
}

static void test_a_program_of_32_bits_in_long_mode_has_no_cs_l(void **state)
{
    uint64_t registers[USER64_REGISTERS] = { [USER64_CS] = 0x23, [USER64_SS] = 0x2B };
    struct bytes notes = { 0 };
    struct image *image;

    (void)state;
    put_prstatus64(&notes, registers);
    registers[USER64_CS] = 0x33;
    put_prstatus64(&notes, registers);
    image = open_notes(&notes, EM_X86_64);
    EXPECT_EQ(image->processor_count, 2);
    EXPECT_EQ(image->processors[0].state.segment[VMMU_X86_CS].attributes, 0xC0FB);
    EXPECT_EQ(image->processors[1].state.segment[VMMU_X86_CS].attributes, 0xA0FB);
    EXPECT_EQ(image->processors[1].state.cpl, 3);
    image_close(image);
}

static void test_prstatus_of_i386_has_all_general_registers(void **state)
{
    static const enum user32 order[] = { USER32_EAX, USER32_ECX, USER32_EDX, USER32_EBX,
                                         USER32_ESP, USER32_EBP, USER32_ESI, USER32_EDI };
    uint32_t registers[USER32_REGISTERS];
    struct bytes notes = { 0 };
    struct image *image;

    (void)state;
    for (unsigned i = 0; i < USER32_REGISTERS; i++)
        registers[i] = 0x81110000 + i;
    put_prstatus32(&notes, registers);
    image = open_notes(&notes, EM_386);
    for (unsigned i = 0; i < 16; i++)
        EXPECT_EQ(image->processors[0].state.gpr[i], i < 8 ? registers[order[i]] : 0);
    EXPECT_EQ(image->processors[0].state.rip, registers[USER32_EIP]);
    EXPECT_EQ(image->processors[0].state.rflags, registers[USER32_EFLAGS]);
    EXPECT_EQ(image->processors[0].state.segment[VMMU_X86_DS].selector, USER32_DS);
    EXPECT_EQ(image->processors[0].state.segment[VMMU_X86_SS].selector, USER32_SS);
    EXPECT_EQ(image->processors[0].state.segment[VMMU_X86_GS].selector, USER32_GS);
    image_close(image);
}

static void test_qemus_note_has_registers_segments_and_control_registers(void **state)
{
    static const uint64_t given[16] = { 0xA, 0xC, 0xD, 0xB, 0x50, 0x55, 0x51, 0xD1,
                                        8,   9,   10,  11,  12,   13,   14,   15 };
    struct qemu_state qemu = qemu_in_linux();
    struct bytes notes = { 0 };
    struct image *image;

    (void)state;
    qemu.rax = 0xA, qemu.rbx = 0xB, qemu.rcx = 0xC, qemu.rdx = 0xD;
    qemu.rsp = 0x50, qemu.rbp = 0x55, qemu.rsi = 0x51, qemu.rdi = 0xD1;
    memcpy(qemu.r8_to_r15, given + 8, sizeof(qemu.r8_to_r15));
    qemu.gs.base = 0xFFFF888000000000;
    qemu.es = (struct qemu_segment){ 0x2B, 0xFFFFF, 0x00C0F300, 0, 0x12340 };
    put_qemu(&notes, &qemu);
    image = open_notes(&notes, EM_X86_64);
    const struct image_processor *const processor = &image->processors[0];

    assert_memory_equal(processor->state.gpr, given, sizeof(given));
    EXPECT_EQ(processor->state.rip, 0xFFFFFFFF81000123);
    EXPECT_EQ(processor->state.rflags, 0x246);
    EXPECT_EQ(processor->state.segment[VMMU_X86_CS].attributes, 0xA09B);
    EXPECT_EQ(processor->state.segment[VMMU_X86_ES].selector, 0x2B);
    EXPECT_EQ(processor->state.segment[VMMU_X86_ES].limit, 0xFFFFF);
    EXPECT_EQ(processor->state.segment[VMMU_X86_ES].attributes, 0xC0F3);
    EXPECT_EQ(processor->state.segment[VMMU_X86_ES].base, 0x12340);
    EXPECT_EQ(processor->state.segment[VMMU_X86_GS].base, 0xFFFF888000000000);
    EXPECT(processor->has_paging && processor->has_registers);
    EXPECT_EQ(processor->paging.cr0, 0x80050033);
    EXPECT_EQ(processor->paging.cr3, 0x2C10000);
    EXPECT_EQ(processor->paging.cr4, 0x750EF0);
    EXPECT_EQ(processor->pat, 0);
    image_close(image);
}

/* The processor that comes of QEMU's note @qemu in a core of @machine. */
static struct image_processor processor_of(const struct qemu_state *qemu, uint16_t machine)
{
    struct bytes notes = { 0 };
    struct image_processor processor;
    struct image *image;

    put_qemu(&notes, qemu);
    image = open_notes(&notes, machine);
    processor = image->processors[0];
    image_close(image);
    EXPECT_EQ(processor.state.efer, processor.paging.efer);
    EXPECT_EQ(processor.state.cr0, processor.paging.cr0);
    EXPECT_EQ(processor.state.cr4, processor.paging.cr4);
    return processor;
}

static void test_efer_that_the_note_does_not_hold_is_inferred(void **state)
{
    const uint64_t long_mode = VMMU_X86_EFER_SCE | VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA | VMMU_X86_EFER_NXE;
    struct qemu_state qemu = qemu_in_linux();

    (void)state;
    EXPECT_EQ(processor_of(&qemu, EM_X86_64).paging.efer, long_mode);
    EXPECT_EQ(processor_of(&qemu, EM_386).paging.efer, long_mode);
    /* a 32-bit program under a 64-bit kernel */
    qemu.cs.flags = 0x00CFFB00;
    EXPECT_EQ(processor_of(&qemu, EM_X86_64).paging.efer, long_mode);
    /* PAE paging */
    EXPECT_EQ(processor_of(&qemu, EM_386).paging.efer, VMMU_X86_EFER_NXE);
    EXPECT(processor_of(&qemu, EM_386).paging.pdpte_in_memory);
    /* 32-bit paging; then another processor of a 64-bit machine that has not begun to page */
    qemu.cr[4] = VMMU_X86_CR4_PSE;
    EXPECT_EQ(processor_of(&qemu, EM_386).paging.efer, 0);
    qemu.cr[0] = VMMU_X86_CR0_PE;
    qemu.cr[4] = VMMU_X86_CR4_PAE;
    EXPECT_EQ(processor_of(&qemu, EM_X86_64).paging.efer, 0);
}

static void test_the_privilege_level_is_that_of_ss_but_in_real_and_virtual_8086_mode(void **state)
{
    struct qemu_state qemu = qemu_in_linux();

    (void)state;
    EXPECT_EQ(processor_of(&qemu, EM_X86_64).state.cpl, 0);
    qemu.ss.flags = 0x00CFF300;
    EXPECT_EQ(processor_of(&qemu, EM_X86_64).state.cpl, 3);
    qemu.ss.flags = 0x00009300;
    qemu.rflags = 0x20202;
    EXPECT_EQ(processor_of(&qemu, EM_386).state.cpl, 3);
    qemu.rflags = 2;
    qemu.cr[0] = 0x10;
    qemu.ss.flags = 0x0000F300;
    EXPECT_EQ(processor_of(&qemu, EM_386).state.cpl, 0);
}

static void test_qemus_notes_belong_to_the_processors_in_their_order(void **state)
{
    uint64_t registers[USER64_REGISTERS] = { 0 };
    struct qemu_state qemu = qemu_in_linux();
    struct bytes notes = { 0 };
    struct image *image;

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        put_prstatus64(&notes, registers);
    for (unsigned i = 0; i < 4; i++) {
        qemu.cr[3] = 0x1000 * (uint64_t)i;
        put_qemu(&notes, &qemu);
    }
    image = open_notes(&notes, EM_X86_64);
    EXPECT_EQ(image->processor_count, 5);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(image->processors[i].paging.cr3, 0x1000 * (uint64_t)i);
    EXPECT(image->processors[4].has_registers && !image->processors[4].has_paging);
    image_close(image);
}

static void test_a_longer_note_of_qemus_is_read_as_far_as_it_is_known(void **state)
{
    struct {
        struct qemu_state known;
        uint64_t news[4];
    } later = { .known = qemu_in_linux() };
    struct bytes content = { 0 };
    struct bytes notes = { 0 };
    struct image *image;

    (void)state;
    later.known.size = sizeof(later);
    put(&content, &later, sizeof(later));
    put_note(&notes, "QEMU", 0, &content);
    drop(&content);
    image = open_notes(&notes, EM_X86_64);
    EXPECT_EQ(image->processors[0].paging.cr3, 0x2C10000);
    image_close(image);
}

static const char vmcoreinfo[] = "OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffffffff82a10000\n"
                                 "NUMBER(phys_base)=-16777216\nKERNELOFFSET=1000000\n";

static void test_linux_own_tables_are_found_by_vmcoreinfo(void **state)
{
    uint64_t registers[USER64_REGISTERS] = { [USER64_CS] = 0x10 };
    struct bytes notes = { 0 };
    struct image *image;

    (void)state;
    put_prstatus64(&notes, registers);
    put_text_note(&notes, "VMCOREINFO", 0, vmcoreinfo);
    image = open_notes(&notes, EM_X86_64);
    EXPECT_EQ(image->processor_count, 1);
    EXPECT(image->processors[0].has_paging);
    EXPECT_EQ(image->processors[0].paging.cr3, 0x1A10000);
    EXPECT_EQ(image->processors[0].paging.cr4, VMMU_X86_CR4_PAE | VMMU_X86_CR4_PGE);
    EXPECT_EQ(image->processors[0].paging.efer,
              VMMU_X86_EFER_SCE | VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA | VMMU_X86_EFER_NXE);
    image_close(image);
}

static void test_vmcoreinfo_says_whether_there_are_five_levels(void **state)
{
    char text[sizeof(vmcoreinfo) + 64];
    struct bytes notes = { 0 };
    struct image *image;

    (void)state;
    (void)snprintf(text, sizeof(text), "%sNUMBER(pgtable_l5_enabled)=1", vmcoreinfo);
    put_text_note(&notes, "VMCOREINFO", 0, text);
    image = open_notes(&notes, EM_X86_64);
    EXPECT_EQ(image->processor_count, 1);
    EXPECT(!image->processors[0].has_registers);
    EXPECT(image->processors[0].paging.cr4 & VMMU_X86_CR4_LA57);
    image_close(image);
}

static void test_vmcoreinfo_without_what_is_needed_tells_nothing(void **state)
{
    static const char *const texts[] = { "",
                                         "\n\n\n",
                                         "SYMBOL(swapper_pg_dir)=",
                                         "SYMBOL(swapper_pg_dir)=zz\nNUMBER(phys_base)=0",
                                         "SYMBOL(swapper_pg_dir)=ffffffff82a10000\n",
                                         "NUMBER(phys_base)=0\n",
                                         "SYMBOL(swapper_pg_dir)=82a10000\nNUMBER(phys_base)=0\n" };

    (void)state;
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint64_t registers[USER64_REGISTERS] = { 0 };
        struct bytes notes = { 0 };
        struct image *image;

        put_prstatus64(&notes, registers);
        put_text_note(&notes, "VMCOREINFO", 0, texts[i]);
        image = open_notes(&notes, EM_X86_64);
        EXPECT(!image->processors[0].has_paging);
        image_close(image);
    }
}

static void test_what_qemu_says_counts_more_than_vmcoreinfo(void **state)
{
    struct qemu_state qemu = qemu_in_linux();
    struct bytes notes = { 0 };
    struct image *image;

    (void)state;
    put_qemu(&notes, &qemu);
    put_text_note(&notes, "VMCOREINFO", 0, vmcoreinfo);
    image = open_notes(&notes, EM_X86_64);
    EXPECT_EQ(image->processors[0].paging.cr3, 0x2C10000);
    image_close(image);
}

static void test_notes_of_others_are_passed_over(void **state)
{
    struct bytes notes = { 0 };
    struct image *image;

    (void)state;
    put_text_note(&notes, "LINUX", 0x202, "x");
    put_text_note(&notes, "CORE", 3, "a program's name");
    put_text_note(&notes, "", 0, "no name");
    put_text_note(&notes, "QEMUX", 0, "a longer name");
    put_text_note(&notes, "VMMU", 2, "another type");
    image = open_notes(&notes, EM_X86_64);
    EXPECT_EQ(image->processor_count, 0);
    EXPECT_EQ(image->format, IMAGE_ELF);
    image_close(image);
}

static void test_the_zeros_behind_the_last_note_end_them(void **state)
{
    uint64_t registers[USER64_REGISTERS] = { 0 };
    struct bytes notes = { 0 };
    struct image *image;

    (void)state;
    put_prstatus64(&notes, registers);
    put_zeros_to(&notes, 0x1000);
    image = open_notes(&notes, EM_X86_64);
    EXPECT_EQ(image->processor_count, 1);
    image_close(image);
}

static void test_registers_of_no_known_size_are_refused(void **state)
{
    struct qemu_state qemu = qemu_in_linux();
    struct bytes notes = { 0 };

    (void)state;
    put_text_note(&notes, "CORE", NT_PRSTATUS, "short");
    refused(&notes, "PRSTATUS note at 0xb0 has 5 bytes");
    put_text_note(&notes, "QEMU", 0, "short");
    refused(&notes, "QEMU note at 0xb0 has 5 bytes");
    qemu.version = 2;
    put_qemu(&notes, &qemu);
    refused(&notes, "version 2");
    qemu.version = 1;
    qemu.size = 4000;
    put_qemu(&notes, &qemu);
    refused(&notes, "4000 bytes");
}

static void test_notes_that_say_to_be_longer_than_they_are_are_refused(void **state)
{
    struct bytes notes = { 0 };

    (void)state;
    put_text_note(&notes, "CORE", 9, "text");
    patch_u32(&notes, 0, 0xFFFFFFFF);
    refused(&notes, "its name has 4294967295 bytes");
    put_text_note(&notes, "CORE", 9, "text");
    patch_u32(&notes, 4, 0x7FFFFFFF);
    refused(&notes, "it has 2147483647 bytes");
    put_text_note(&notes, "CORE", 9, "text");
    patch_u32(&notes, 4, 0xFFFFFFFD);
    refused(&notes, "it has 4294967293 bytes");
}

static void test_more_processors_than_any_machine_has_are_refused(void **state)
{
    struct qemu_state qemu = qemu_in_linux();
    uint64_t registers[USER64_REGISTERS] = { 0 };
    struct bytes one = { 0 };
    struct bytes notes = { 0 };

    (void)state;
    put_prstatus64(&one, registers);
    for (unsigned i = 0; i <= 8192; i++)
        put(&notes, one.data, one.size);
    refused(&notes, "more than 8192 processors");
    drop(&one);
    put_qemu(&one, &qemu);
    for (unsigned i = 0; i <= 8192; i++)
        put(&notes, one.data, one.size);
    refused(&notes, "more than 8192 processors");
    drop(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prstatus_of_x86_64_has_all_general_registers),
        cmocka_unit_test(test_a_program_of_32_bits_in_long_mode_has_no_cs_l),
        cmocka_unit_test(test_prstatus_of_i386_has_all_general_registers),
        cmocka_unit_test(test_qemus_note_has_registers_segments_and_control_registers),
        cmocka_unit_test(test_efer_that_the_note_does_not_hold_is_inferred),
        cmocka_unit_test(test_the_privilege_level_is_that_of_ss_but_in_real_and_virtual_8086_mode),
        cmocka_unit_test(test_qemus_notes_belong_to_the_processors_in_their_order),
        cmocka_unit_test(test_a_longer_note_of_qemus_is_read_as_far_as_it_is_known),
        cmocka_unit_test(test_linux_own_tables_are_found_by_vmcoreinfo),
        cmocka_unit_test(test_vmcoreinfo_says_whether_there_are_five_levels),
        cmocka_unit_test(test_vmcoreinfo_without_what_is_needed_tells_nothing),
        cmocka_unit_test(test_what_qemu_says_counts_more_than_vmcoreinfo),
        cmocka_unit_test(test_notes_of_others_are_passed_over),
        cmocka_unit_test(test_the_zeros_behind_the_last_note_end_them),
        cmocka_unit_test(test_registers_of_no_known_size_are_refused),
        cmocka_unit_test(test_notes_that_say_to_be_longer_than_they_are_are_refused),
        cmocka_unit_test(test_more_processors_than_any_machine_has_are_refused),
    };

    return RUN_TESTS(tests);
}
