/*
 * What a switch saves, loads and marks. SDM 3A "Task Switching", "Effect of a Task Switch on Busy Flag, NT Flag,
 * Previous Task Link Field, and TS Flag", "Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)".
 */
#include "tests/unit/task/tasks.h"
#include "tests/unit/test.h"

static void expect_new_registers(const struct tasks *tasks, uint32_t base)
{
    const uint32_t expected_sp = base == NEW_REGISTER ? STACK_AT : base + STACK_AT;

    for (unsigned i = 0; i < 8; i++) {
        EXPECT_EQ(tasks->registers.gpr[i], i == VMMU_X86_RSP ? expected_sp : base + 0x1111 * i);
    }
}

static void test_a_jump_saves_the_old_task(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks_peek(&tasks, OLD_AT + TSS_EIP, 4), OLD_NEXT_EIP);
    EXPECT_EQ(tasks_peek(&tasks, OLD_AT + TSS_EFLAGS, 4), OLD_FLAGS & ~FLAG_RF);
    for (unsigned i = 0; i < 8; i++) {
        EXPECT_EQ(tasks_peek(&tasks, OLD_AT + TSS_EAX + 4 * i, 4), OLD_REGISTER + 0x1111 * i);
    }
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        EXPECT_EQ(tasks_peek(&tasks, OLD_AT + TSS_ES + 4 * i, 2), i == VMMU_X86_CS ? CODE0 : DATA0);
    }
}

static void test_a_switch_saves_nothing_but_the_dynamic_fields(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    for (unsigned i = 0; i < TSS_EIP; i++) {
        EXPECT_EQ(tasks_peek(&tasks, OLD_AT + i, 1), 0xA5);
    }
    for (unsigned i = TSS_LDT; i < 0x100; i++) {
        EXPECT_EQ(tasks_peek(&tasks, OLD_AT + i, 1), 0xA5);
    }
}

static void test_a_jump_loads_the_new_task(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks.registers.cr4 = 0x10;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.rip, NEW_EIP);
    EXPECT_EQ(tasks.registers.rflags, 0x202);
    expect_new_registers(&tasks, NEW_REGISTER);
    EXPECT_EQ(tasks.cr3, NEW_CR3);
    EXPECT_EQ(tasks.registers.cpl, 0);
    EXPECT_EQ(tasks.registers.cr4, 0x10);
    EXPECT(!tasks.registers.interrupt_shadow);
    EXPECT(!tasks.outcome.debug_trap);
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        const struct vmmu_x86_segment *segment = &tasks.registers.segment[i];

        EXPECT_EQ(segment->selector, i == VMMU_X86_CS ? CODE0 : DATA0);
        EXPECT_EQ(segment->base, 0);
        EXPECT_EQ(segment->limit, UINT32_MAX);
        EXPECT_EQ(segment->attributes, i == VMMU_X86_CS ? 0xC09B : 0xC093);
    }
}

static void test_the_task_register_has_the_new_tss_busy(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_descriptor(&tasks, NEW_TASK, NEW_AT, 0x1067, RIGHTS_TSS);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.state.system.tr.selector, NEW_TASK);
    EXPECT_EQ(tasks.state.system.tr.base, NEW_AT);
    EXPECT_EQ(tasks.state.system.tr.limit, 0x1067);
    EXPECT_EQ(tasks.state.system.tr.attributes, RIGHTS_BUSY);
}

static void test_every_switch_sets_cr0_ts_and_clears_local_breakpoints(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT(tasks.registers.cr0 & VMMU_X86_CR0_TS);
    EXPECT_EQ(tasks.state.dr7, 0x7FF & ~0x155);
}

static void test_loaded_segments_are_marked_accessed(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks_rights(&tasks, CODE0), 0x9B);
    EXPECT_EQ(tasks_rights(&tasks, DATA0), 0x93);
    EXPECT_EQ(tasks_rights(&tasks, CODE3), 0xFA);
}

/* The table of effects, a row for each way to switch. */
struct effect {
    const char *name;
    enum vmmu_x86_task_source source;
    bool old_stays_busy;
    bool links;
    bool old_keeps_nt;
};

static const struct effect effects[] = {
    { "JMP", VMMU_X86_TASK_JMP, false, false, true },
    { "CALL", VMMU_X86_TASK_CALL, true, true, true },
    { "an event", VMMU_X86_TASK_EVENT, true, true, true },
    { "IRET", VMMU_X86_TASK_IRET, false, false, false },
};

static void test_busy_flags_nt_and_the_link_are_as_the_table_has_them(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof effects / sizeof effects[0]; i++) {
        const struct effect *effect = &effects[i];
        struct tasks tasks;

        print_message("# %s\n", effect->name);
        tasks_init(&tasks);
        if (effect->source == VMMU_X86_TASK_IRET) {
            tasks_by_iret(&tasks);
        }
        tasks.request.source = effect->source;
        EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
        EXPECT_EQ(tasks_rights(&tasks, NEW_TASK), RIGHTS_BUSY);
        EXPECT_EQ(tasks_rights(&tasks, OLD_TASK), effect->old_stays_busy ? RIGHTS_BUSY : RIGHTS_TSS);
        EXPECT_EQ(tasks_peek(&tasks, NEW_AT + TSS_LINK, 4), effect->links ? OLD_TASK : 0xBEEF);
        EXPECT_EQ(tasks.registers.rflags & FLAG_NT, effect->links ? FLAG_NT : 0);
        EXPECT_EQ(tasks_peek(&tasks, OLD_AT + TSS_EFLAGS, 4) & FLAG_NT, effect->old_keeps_nt ? FLAG_NT : 0);
    }
}

static void test_nt_is_the_new_tasks_own_after_jmp_and_iret(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct tasks tasks;

        tasks_init(&tasks);
        if (i) {
            tasks_by_iret(&tasks);
        }
        tasks_poke(&tasks, NEW_AT + TSS_EFLAGS, 4, FLAG_NT);
        EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
        EXPECT(tasks.registers.rflags & FLAG_NT);
    }
}

static void test_a_fault_leaves_rf_and_eip_of_its_instruction(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_by_fault(&tasks, 0);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks_peek(&tasks, OLD_AT + TSS_EIP, 4), OLD_EIP);
    EXPECT_EQ(tasks_peek(&tasks, OLD_AT + TSS_EFLAGS, 4), OLD_FLAGS);
}

static void test_reserved_flags_are_not_loaded(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_poke(&tasks, NEW_AT + TSS_EFLAGS, 4, 0xFFFFFFFF & ~FLAG_VM);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.rflags, 0x3F7FD7 & ~FLAG_VM);
}

static void test_upper_halves_of_selector_fields_are_ignored(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    for (unsigned i = TSS_ES; i <= TSS_LDT; i += 4) {
        tasks_poke(&tasks, NEW_AT + i + 2, 2, 0xFFFF);
    }
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_CS].selector, CODE0);
}

static void test_cr3_is_loaded_only_while_paging_is_on(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks.registers.cr0 &= ~VMMU_X86_CR0_PG;
    tasks.refuses_cr3 = true;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.cr3, OLD_CR3);
}

static void test_the_new_tasks_descriptors_are_found_in_its_own_space(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks.absent[1][OLD_AT / 4096] = true;
    tasks.absent[1][NEW_AT / 4096] = true;
    tasks.absent[0][LDT_AT / 4096] = true;
    tasks_poke(&tasks, NEW_AT + TSS_LDT, 2, LDT);
    tasks_poke(&tasks, LDT_AT + 8, 8, UINT64_C(0x0040F20080001234));
    tasks_poke(&tasks, NEW_AT + TSS_DS, 2, 0x0F);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_DS].base, 0x8000);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_DS].limit, 0x1234);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_DS].attributes, 0x40F3);
    EXPECT_EQ(tasks_peek(&tasks, LDT_AT + 13, 1), 0xF3);
    EXPECT_EQ(tasks.state.system.ldtr.base, LDT_AT);
    EXPECT_EQ(tasks.state.system.ldtr.limit, 0x3F);
    EXPECT_EQ(tasks.state.system.ldtr.selector, LDT);
    EXPECT_EQ(tasks.state.system.ldtr.attributes, RIGHTS_LDT);
}

static void test_a_descriptors_base_and_limit_are_put_together(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_descriptor(&tasks, FREE, 0x89ABCDEF, 0x76543, 0x92 | 0x800000);
    tasks_descriptor(&tasks, FREE + 8, 0x89ABCDEF, 0x76543, 0x92 | 0x500000);
    tasks_poke(&tasks, NEW_AT + TSS_FS, 2, FREE);
    tasks_poke(&tasks, NEW_AT + TSS_GS, 2, FREE + 8);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_FS].base, 0x89ABCDEF);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_FS].limit, 0x76543FFF);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_FS].attributes, 0x8093);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_GS].limit, 0x76543);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_GS].attributes, 0x5093);
}

static void test_null_selectors_leave_segments_unusable(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks.state.system.ldtr =
        (struct vmmu_x86_segment){ .base = 1, .limit = 2, .selector = LDT, .attributes = 0x82 };
    for (unsigned rpl = 0; rpl < 4; rpl++) {
        static const unsigned at[] = { TSS_ES, TSS_DS, TSS_FS, TSS_GS };

        tasks_poke(&tasks, NEW_AT + at[rpl], 2, rpl);
    }
    tasks_poke(&tasks, NEW_AT + TSS_LDT, 2, 3);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_ES].attributes & 0x80, 0);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_GS].attributes & 0x80, 0);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_GS].selector, 3);
    EXPECT_EQ(tasks.state.system.ldtr.attributes & 0x80, 0);
    EXPECT_EQ(tasks.state.system.ldtr.selector, 3);
}

static void test_conforming_code_runs_at_the_rpl_and_holds_data_for_everybody(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_new_is_user(&tasks);
    tasks_descriptor(&tasks, FREE, 0, 0xFFFFF, 0x9E | 0xC00000);
    tasks_poke(&tasks, NEW_AT + TSS_CS, 2, FREE | 3);
    tasks_poke(&tasks, NEW_AT + TSS_ES, 2, FREE | 3);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.cpl, 3);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_CS].attributes, 0xC09F);
}

static void test_a_task_of_cpl_3_is_entered_at_it(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_new_is_user(&tasks);
    tasks_poke(&tasks, NEW_AT + TSS_EFLAGS, 4, FLAG_AC | 0x202);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.cpl, 3);
    EXPECT_EQ(tasks.registers.rflags, FLAG_AC | 0x202);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_SS].attributes, 0xC0F3);
}

/* The memory refuses CPL 3 every page that is not the user's, and AC with what is implicit. */
static void test_a_task_of_cpl_3_is_left_by_accesses_of_the_processors_own(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks.registers.cpl = 3;
    tasks.registers.rflags |= FLAG_AC;
    tasks_by_interrupt(&tasks);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.user_stores, 0);
    EXPECT(tasks_peek(&tasks, OLD_AT + TSS_EFLAGS, 4) & FLAG_AC);
}

static void test_a_virtual_8086_task_has_segments_of_its_mode(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_poke(&tasks, NEW_AT + TSS_EFLAGS, 4, FLAG_VM | 0x202);
    tasks_poke(&tasks, NEW_AT + TSS_CS, 2, 0xF000);
    tasks_poke(&tasks, NEW_AT + TSS_GS, 2, 0x1234);
    tasks_poke(&tasks, NEW_AT + TSS_LDT, 2, LDT);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.cpl, 3);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_CS].base, 0xF0000);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_GS].base, 0x12340);
    EXPECT_EQ(tasks.state.system.ldtr.base, LDT_AT);
}

static void test_a_virtual_8086_task_is_left_by_an_event(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks.registers.rflags |= FLAG_VM;
    tasks.registers.cpl = 3;
    tasks.registers.segment[VMMU_X86_CS] =
        (struct vmmu_x86_segment){ .base = 0x10000, .limit = 0xFFFF, .selector = 0x1000, .attributes = 0xF3 };
    tasks_by_interrupt(&tasks);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.cpl, 0);
    EXPECT(!(tasks.registers.rflags & FLAG_VM));
    EXPECT(tasks_peek(&tasks, OLD_AT + TSS_EFLAGS, 4) & FLAG_VM);
    EXPECT_EQ(tasks_peek(&tasks, OLD_AT + TSS_CS, 2), 0x1000);
}

static void test_the_t_flag_asks_for_a_debug_trap(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_poke(&tasks, NEW_AT + TSS_TRAP, 2, 1);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT(tasks.outcome.debug_trap);
    EXPECT_EQ(VMMU_X86_DR6_BT, 0x8000);
}

/* --- error codes --- */

static void test_an_exceptions_error_code_is_pushed_on_the_new_stack(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_by_fault(&tasks, 0x12345678);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.gpr[VMMU_X86_RSP], STACK_AT - 4);
    EXPECT_EQ(tasks_peek(&tasks, STACK_AT - 4, 4), 0x12345678);
    EXPECT_EQ(tasks.registers.rip, NEW_EIP);
}

static void test_an_error_code_is_pushed_at_the_new_tasks_privilege(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_new_is_user(&tasks);
    tasks_poke(&tasks, NEW_AT + TSS_EFLAGS, 4, FLAG_RF | 0x100);
    tasks_by_fault(&tasks, 4);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.user_stores, 1);
    EXPECT_EQ(tasks_peek(&tasks, STACK_AT - 4, 4), 4);
    EXPECT_EQ(tasks.registers.rflags, FLAG_NT | FLAG_RF | 0x102);
}

static void test_a_16_bit_task_has_error_codes_of_16_bits(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_descriptor(&tasks, FREE, 0, 0xFFFF, 0x92); /* a stack of SP, not of ESP */
    tasks_poke(&tasks, NEW16_AT + TSS16_SS, 2, FREE);
    tasks.request.selector = NEW16_TASK;
    tasks_by_fault(&tasks, 0xABCD1234);
    tasks.pages[(STACK_AT - 4) / 4096][0xFFD] = 0x77;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.gpr[VMMU_X86_RSP], 0xFFFF0000 + STACK_AT - 2);
    EXPECT_EQ(tasks_peek(&tasks, STACK_AT - 2, 2), 0x1234);
    EXPECT_EQ(tasks_peek(&tasks, STACK_AT - 3, 1), 0x77);
}

static void test_a_virtual_8086_task_takes_error_codes_by_sp(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_poke(&tasks, NEW_AT + TSS_EFLAGS, 4, FLAG_VM);
    tasks_poke(&tasks, NEW_AT + TSS_ESP, 4, 0x12340010);
    tasks_poke(&tasks, NEW_AT + TSS_SS, 2, 0x700);
    tasks.user[7] = true;
    tasks_by_fault(&tasks, 9);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.gpr[VMMU_X86_RSP], 0x1234000C);
    EXPECT_EQ(tasks_peek(&tasks, 0x700C, 4), 9);
}

/* --- 16-bit task states --- */

static void test_a_16_bit_tss_is_loaded(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks.request.selector = NEW16_TASK;
    tasks_poke(&tasks, NEW16_AT + TSS16_LDT, 2, LDT);
    tasks_poke(&tasks, NEW16_AT + TSS_TRAP, 1, 1); /* is not there */
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.rip, NEW_EIP);
    EXPECT_EQ(tasks.registers.rflags, 0x202);
    expect_new_registers(&tasks, 0xFFFF0000);
    EXPECT_EQ(tasks.cr3, OLD_CR3);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_DS].attributes, 0xC093);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_FS].selector, 0);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_GS].attributes & 0x80, 0);
    EXPECT_EQ(tasks.state.system.ldtr.base, LDT_AT);
    EXPECT_EQ(tasks.state.system.tr.attributes, RIGHTS_BUSY16);
    EXPECT(!tasks.outcome.debug_trap);
}

static void test_a_16_bit_tss_is_saved_to(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks.state.system.tr = (struct vmmu_x86_segment){
        .base = OLD16_AT, .limit = 0x2B, .selector = OLD16_TASK, .attributes = RIGHTS_BUSY16
    };
    tasks.request.next_eip = 0x54321239;
    tasks.request.source = VMMU_X86_TASK_CALL;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks_peek(&tasks, OLD16_AT + TSS16_IP, 2), OLD_NEXT_EIP);
    EXPECT_EQ(tasks_peek(&tasks, OLD16_AT + TSS16_FLAGS, 2), OLD_FLAGS & 0xFFFF);
    for (unsigned i = 0; i < 8; i++) {
        EXPECT_EQ(tasks_peek(&tasks, OLD16_AT + TSS16_AX + 2 * i, 2), 0x1111 * i);
    }
    EXPECT_EQ(tasks_peek(&tasks, OLD16_AT + TSS16_CS, 2), CODE0);
    EXPECT_EQ(tasks_peek(&tasks, OLD16_AT + TSS16_DS, 2), DATA0);
    EXPECT_EQ(tasks_peek(&tasks, OLD16_AT + TSS16_LDT, 2), 0xA5A5);
    EXPECT_EQ(tasks_peek(&tasks, OLD16_AT, 2), 0xA5A5);
    EXPECT_EQ(tasks_peek(&tasks, NEW_AT + TSS_LINK, 2), OLD16_TASK);
    EXPECT_EQ(tasks_rights(&tasks, OLD16_TASK), RIGHTS_BUSY16);
}

static void test_a_16_bit_task_comes_back_to_one_of_32_bits(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_by_iret(&tasks);
    tasks.state.system.tr = (struct vmmu_x86_segment){
        .base = OLD16_AT, .limit = 0x2B, .selector = OLD16_TASK, .attributes = RIGHTS_BUSY16
    };
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks_rights(&tasks, OLD16_TASK), RIGHTS_TSS16);
    EXPECT_EQ(tasks_peek(&tasks, OLD16_AT + TSS16_FLAGS, 2) & FLAG_NT, 0);
    EXPECT_EQ(tasks.cr3, NEW_CR3);
    expect_new_registers(&tasks, NEW_REGISTER);
}

/* --- where things stand --- */

static void test_task_states_and_descriptors_may_cross_pages(void **state)
{
    (void)state;
    for (uint32_t shift = 1; shift < 0x68; shift++) {
        struct tasks tasks;

        tasks_init(&tasks);
        tasks_by_fault(&tasks, 1);
        for (unsigned i = 0; i < 0x68; i++) {
            tasks_poke(&tasks, 0xA000 - shift + i, 1, tasks_peek(&tasks, NEW_AT + i, 1));
        }
        for (unsigned i = 0; i <= GDT_LIMIT; i++) {
            tasks_poke(&tasks, 0xC000 - shift + i, 1, tasks_peek(&tasks, GDT_AT + i, 1));
        }
        tasks.state.system.gdt_base = 0xC000 - shift;
        tasks.state.system.tr.base = 0xE000 - shift;
        tasks_poke(&tasks, 0xC000 - shift + NEW_TASK + 2, 2, 0xA000 - shift);
        EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
        EXPECT_EQ(tasks_peek(&tasks, STACK_AT - 4, 4), 1);
        tasks.registers.gpr[VMMU_X86_RSP] += 4;
        expect_new_registers(&tasks, NEW_REGISTER);
        EXPECT_EQ(tasks_peek(&tasks, 0xE000 - shift + TSS_EIP, 4), OLD_EIP);
        EXPECT_EQ(tasks_peek(&tasks, 0xE000 - shift + TSS_GS, 2), DATA0);
        EXPECT_EQ(tasks_peek(&tasks, 0xA000 - shift, 2), OLD_TASK);
        EXPECT_EQ(tasks_peek(&tasks, 0xC000 - shift + NEW_TASK + 5, 1), RIGHTS_BUSY);
    }
}

static void test_linear_addresses_wrap_at_4_gib(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks.state.system.gdt_base = 0xFFFFFFF8;
    for (unsigned i = 8; i <= GDT_LIMIT; i++) {
        tasks_poke(&tasks, i - 8, 1, tasks_peek(&tasks, GDT_AT + i, 1));
    }
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks_peek(&tasks, NEW_TASK - 8 + 5, 1), RIGHTS_BUSY);
}

static void test_a_task_that_shares_its_state_goes_on_with_what_was_saved(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_poke(&tasks, OLD_AT + TSS_CR3, 4, NEW_CR3);
    tasks_poke(&tasks, OLD_AT + TSS_LDT, 4, 0);
    tasks_descriptor(&tasks, NEW_TASK, OLD_AT, 0x67, RIGHTS_TSS);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.registers.rip, OLD_NEXT_EIP);
    EXPECT_EQ(tasks.registers.gpr[VMMU_X86_RDI], OLD_REGISTER + 0x7777);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_jump_saves_the_old_task),
        cmocka_unit_test(test_a_switch_saves_nothing_but_the_dynamic_fields),
        cmocka_unit_test(test_a_jump_loads_the_new_task),
        cmocka_unit_test(test_the_task_register_has_the_new_tss_busy),
        cmocka_unit_test(test_every_switch_sets_cr0_ts_and_clears_local_breakpoints),
        cmocka_unit_test(test_loaded_segments_are_marked_accessed),
        cmocka_unit_test(test_busy_flags_nt_and_the_link_are_as_the_table_has_them),
        cmocka_unit_test(test_nt_is_the_new_tasks_own_after_jmp_and_iret),
        cmocka_unit_test(test_a_fault_leaves_rf_and_eip_of_its_instruction),
        cmocka_unit_test(test_reserved_flags_are_not_loaded),
        cmocka_unit_test(test_upper_halves_of_selector_fields_are_ignored),
        cmocka_unit_test(test_cr3_is_loaded_only_while_paging_is_on),
        cmocka_unit_test(test_the_new_tasks_descriptors_are_found_in_its_own_space),
        cmocka_unit_test(test_a_descriptors_base_and_limit_are_put_together),
        cmocka_unit_test(test_null_selectors_leave_segments_unusable),
        cmocka_unit_test(test_conforming_code_runs_at_the_rpl_and_holds_data_for_everybody),
        cmocka_unit_test(test_a_task_of_cpl_3_is_entered_at_it),
        cmocka_unit_test(test_a_task_of_cpl_3_is_left_by_accesses_of_the_processors_own),
        cmocka_unit_test(test_a_virtual_8086_task_has_segments_of_its_mode),
        cmocka_unit_test(test_a_virtual_8086_task_is_left_by_an_event),
        cmocka_unit_test(test_the_t_flag_asks_for_a_debug_trap),
        cmocka_unit_test(test_an_exceptions_error_code_is_pushed_on_the_new_stack),
        cmocka_unit_test(test_an_error_code_is_pushed_at_the_new_tasks_privilege),
        cmocka_unit_test(test_a_16_bit_task_has_error_codes_of_16_bits),
        cmocka_unit_test(test_a_virtual_8086_task_takes_error_codes_by_sp),
        cmocka_unit_test(test_a_16_bit_tss_is_loaded),
        cmocka_unit_test(test_a_16_bit_tss_is_saved_to),
        cmocka_unit_test(test_a_16_bit_task_comes_back_to_one_of_32_bits),
        cmocka_unit_test(test_task_states_and_descriptors_may_cross_pages),
        cmocka_unit_test(test_linear_addresses_wrap_at_4_gib),
        cmocka_unit_test(test_a_task_that_shares_its_state_goes_on_with_what_was_saved),
    };

    return RUN_TESTS(tests);
}
