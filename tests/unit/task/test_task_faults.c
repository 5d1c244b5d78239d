/*
 * Every check of a switch, with its exception, its error code, and the task that it is raised in. SDM 3A "Task
 * Switching" (exception conditions checked during a task switch), "Interrupt 10 - Invalid TSS Exception (#TS)";
 * SDM 2 "CALL", "JMP", "INT n", "IRET".
 */
#include <string.h>

#include "tests/unit/task/tasks.h"
#include "tests/unit/test.h"

#define TS  10
#define NP  11
#define SS  12
#define GP  13
#define ALL 0xF /* of the ways to switch */
#define IN  0x7 /* of the ways into a task: CALL, JMP, an event */
#define OUT 0x8 /* IRET */

/* One thing that is wrong with the new TSS's descriptor. */
struct tss_rule {
    const char *name;
    unsigned ways;
    uint16_t selector;
    unsigned rights;
    uint32_t limit;
    unsigned vector;
};

static const struct tss_rule tss_rules[] = {
    { "a null selector", IN, 0, 0, 0, GP },
    { "a null selector with an RPL", IN, 3, 0, 0, GP },
    { "a null link", OUT, 0, 0, 0, TS },
    { "a selector in the LDT", IN, NEW_TASK | 4, RIGHTS_TSS, 0x67, GP },
    { "a link in the LDT", OUT, NEW_TASK | 4, RIGHTS_BUSY, 0x67, TS },
    { "a selector beyond the GDT", IN, GDT_LIMIT + 1, 0, 0, GP },
    { "a link beyond the GDT", OUT, GDT_LIMIT + 1, 0, 0, TS },
    { "a busy TSS", IN, NEW_TASK, RIGHTS_BUSY, 0x67, GP },
    { "a busy 16-bit TSS", IN, NEW_TASK, RIGHTS_BUSY16, 0x67, GP },
    { "a link to a TSS that is not busy", OUT, NEW_TASK, RIGHTS_TSS, 0x67, TS },
    { "a link to a 16-bit TSS that is not busy", OUT, NEW_TASK, RIGHTS_TSS16, 0x67, TS },
    { "an LDT", ALL, NEW_TASK, RIGHTS_LDT, 0x67, 0 },
    { "a task gate", ALL, NEW_TASK, 0x85, 0x67, 0 },
    { "a call gate", ALL, NEW_TASK, 0x8C, 0x67, 0 },
    { "an interrupt gate", ALL, NEW_TASK, 0x8E, 0x67, 0 },
    { "a reserved type", ALL, NEW_TASK, 0x80, 0x67, 0 },
    { "code", ALL, NEW_TASK, 0x99, 0x67, 0 },
    { "data", ALL, NEW_TASK, 0x93, 0x67, 0 },
    { "a TSS that is not present", IN, NEW_TASK, RIGHTS_TSS & 0x7F, 0x67, NP },
    { "a link to a TSS that is not present", OUT, NEW_TASK, RIGHTS_BUSY & 0x7F, 0x67, NP },
    { "a busy TSS that is not present", IN, NEW_TASK, RIGHTS_BUSY & 0x7F, 0x67, GP },
    { "a short TSS", IN, NEW_TASK, RIGHTS_TSS, 0x66, TS },
    { "a short 16-bit TSS", IN, NEW_TASK, RIGHTS_TSS16, 0x2A, TS },
    { "a link to a short TSS", OUT, NEW_TASK, RIGHTS_BUSY, 0x66, TS },
    { "a link to a short 16-bit TSS", OUT, NEW_TASK, RIGHTS_BUSY16, 0x2A, TS },
    { "a short TSS that is not present", IN, NEW_TASK, RIGHTS_TSS & 0x7F, 0x66, NP },
};

static void prepare(struct tasks *tasks, enum vmmu_x86_task_source source, bool external)
{
    tasks_init(tasks);
    if (source == VMMU_X86_TASK_IRET) {
        tasks_by_iret(tasks);
    }
    tasks->request.source = source;
    tasks->request.external = external;
}

static void expect_nothing_stored(const struct tasks *tasks, const struct tasks *before)
{
    EXPECT_EQ(tasks->stores, 0);
    EXPECT(memcmp(tasks->pages, before->pages, sizeof tasks->pages) == 0);
    EXPECT_EQ(tasks->cr3, OLD_CR3);
}

static void try_tss(const struct tss_rule *rule, enum vmmu_x86_task_source source, bool external)
{
    static struct tasks tasks, before;
    const unsigned otherwise = source == VMMU_X86_TASK_IRET ? TS : GP;

    prepare(&tasks, source, external);
    tasks.request.selector = rule->selector;
    if (rule->rights) {
        tasks_descriptor(&tasks, NEW_TASK, NEW_AT, rule->limit, rule->rights);
    }
    /* An LDT that would serve, were it asked. */
    tasks.state.system.ldtr = (struct vmmu_x86_segment){
        .base = GDT_AT, .limit = GDT_LIMIT, .selector = LDT, .attributes = RIGHTS_LDT
    };
    /* A null selector names the first entry, which would serve as well. */
    tasks_descriptor(&tasks, 0, NEW_AT, 0x67, source == VMMU_X86_TASK_IRET ? RIGHTS_BUSY : RIGHTS_TSS);
    memcpy(&before, &tasks, sizeof before);
    tasks_expect_fault(&tasks, rule->vector ? rule->vector : otherwise, (rule->selector & 0xFFFCu) | external,
                       false);
    expect_nothing_stored(&tasks, &before);
}

static void test_a_tss_that_will_not_do_is_the_old_tasks_fault(void **state)
{
    static const enum vmmu_x86_task_source sources[] = { VMMU_X86_TASK_CALL, VMMU_X86_TASK_JMP,
                                                         VMMU_X86_TASK_EVENT, VMMU_X86_TASK_IRET };

    (void)state;
    for (unsigned i = 0; i < sizeof tss_rules / sizeof tss_rules[0]; i++) {
        print_message("# %s\n", tss_rules[i].name);
        for (unsigned way = 0; way < 4; way++) {
            if (tss_rules[i].ways & 1u << way) {
                try_tss(&tss_rules[i], sources[way], false);
            }
        }
        if (tss_rules[i].ways & 1u << 2) {
            try_tss(&tss_rules[i], VMMU_X86_TASK_EVENT, true);
        }
    }
}

static void test_a_tss_of_the_least_limit_will_do(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_descriptor(&tasks, NEW16_TASK, NEW16_AT, 0x2B, RIGHTS_TSS16);
    tasks.request.selector = NEW16_TASK | 3;
    tasks.state.system.gdt_limit = LDT - 1;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks.state.system.tr.selector, NEW16_TASK | 3);
}

static void test_an_old_tss_too_short_to_save_to_is_invalid(void **state)
{
    static struct tasks tasks;

    (void)state;
    for (unsigned external = 0; external < 2; external++) {
        prepare(&tasks, VMMU_X86_TASK_EVENT, external);
        tasks.state.system.tr.limit = 0x5E;
        tasks_expect_fault(&tasks, TS, OLD_TASK | external, false);
        tasks.state.system.tr.limit = 0x5F;
        EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    }
    tasks_init(&tasks);
    tasks.state.system.tr.attributes = RIGHTS_BUSY16;
    tasks.state.system.tr.limit = 0x28;
    tasks_expect_fault(&tasks, TS, OLD_TASK, false);
    tasks.state.system.tr.limit = 0x29;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
}

/* --- the new task's segments --- */

/* A segment register whose selector names a descriptor with these rights. */
struct segment_rule {
    const char *name;
    unsigned at; /* the field of the TSS */
    uint16_t selector;
    unsigned rights;
    unsigned vector; /* 0: it is loaded */
};

static const struct segment_rule segment_rules[] = {
    { "a null CS", TSS_CS, 0, 0, TS },
    { "a CS beyond the GDT", TSS_CS, 0x80, 0, TS },
    { "a CS in no LDT", TSS_CS, 0x0C, 0, TS },
    { "data in CS", TSS_CS, FREE, 0x92, TS },
    { "a TSS in CS", TSS_CS, FREE, 0x8B, TS },
    { "code of another DPL in CS", TSS_CS, FREE, 0xFA, TS },
    { "conforming code of a lower privilege in CS", TSS_CS, FREE, 0xFE, TS },
    { "conforming code in CS", TSS_CS, FREE, 0x9C, 0 },
    { "code that cannot be read in CS", TSS_CS, FREE, 0x98, 0 },
    { "absent code in CS", TSS_CS, FREE, 0x1A, NP },
    { "absent data in CS", TSS_CS, FREE, 0x12, TS },
    { "a null SS", TSS_SS, 0, 0, TS },
    { "an SS beyond the GDT", TSS_SS, 0x80, 0, TS },
    { "data that cannot be written in SS", TSS_SS, FREE, 0x90, TS },
    { "code in SS", TSS_SS, FREE, 0x9A, TS },
    { "an LDT in SS", TSS_SS, FREE, 0x82, TS },
    { "an SS of another DPL", TSS_SS, FREE, 0xB2, TS },
    { "an SS of another RPL", TSS_SS, FREE | 1, 0x92, TS },
    { "an absent SS", TSS_SS, FREE, 0x12, SS },
    { "an absent SS of another DPL", TSS_SS, FREE, 0x32, TS },
    { "an SS that expands down", TSS_SS, FREE, 0x96, 0 },
    { "a DS beyond the GDT", TSS_DS, 0x80, 0, TS },
    { "a DS in no LDT", TSS_DS, 0x04, 0, TS },
    { "a TSS in DS", TSS_DS, FREE, 0x89, TS },
    { "code that cannot be read in DS", TSS_DS, FREE, 0x98, TS },
    { "conforming code that cannot be read in DS", TSS_DS, FREE, 0x9C, TS },
    { "code in DS", TSS_DS, FREE, 0x9A, 0 },
    { "data that cannot be written in DS", TSS_DS, FREE, 0x90, 0 },
    { "a DS of too high an RPL", TSS_DS, FREE | 3, 0x92, TS },
    { "code of too high an RPL in DS", TSS_DS, FREE | 3, 0x9A, TS },
    { "conforming code of any RPL in DS", TSS_DS, FREE | 3, 0x9E, 0 },
    { "an absent DS", TSS_DS, FREE, 0x12, NP },
    { "an absent DS of too high an RPL", TSS_DS, FREE | 1, 0x12, TS },
    { "an ES that cannot be read", TSS_ES, FREE, 0x98, TS },
    { "an absent ES", TSS_ES, FREE, 0x12, NP },
    { "an absent FS", TSS_FS, FREE, 0x12, NP },
    { "an FS beyond the GDT", TSS_FS, 0xFFF8, 0, TS },
    { "an absent GS", TSS_GS, FREE, 0x12, NP },
    { "a GS that is a gate", TSS_GS, FREE, 0x8C, TS },
    { "an LDT that is a TSS", TSS_LDT, FREE, 0x89, TS },
    { "an LDT that is data", TSS_LDT, FREE, 0x92, TS },
    { "an absent LDT", TSS_LDT, FREE, 0x02, TS },
    { "an LDT in the LDT", TSS_LDT, LDT | 4, 0, TS },
    { "an LDT beyond the GDT", TSS_LDT, 0x80, 0, TS },
    { "an LDT of any RPL", TSS_LDT, FREE | 3, 0x82, 0 },
};

static const struct vmmu_x86_segment *segment_at(const struct tasks *tasks, unsigned at)
{
    return at == TSS_LDT ? &tasks->state.system.ldtr : &tasks->registers.segment[(at - TSS_ES) / 4];
}

static void try_segment(const struct segment_rule *rule, bool external)
{
    static struct tasks tasks;

    prepare(&tasks, VMMU_X86_TASK_EVENT, external);
    if (rule->rights) {
        tasks_descriptor(&tasks, FREE, 0, 0xFFFFF, rule->rights | 0xC00000);
    }
    tasks_poke(&tasks, NEW_AT + rule->at, 2, rule->selector);
    if (!rule->vector) {
        EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
        EXPECT(segment_at(&tasks, rule->at)->attributes & 0x80);
        return;
    }
    tasks_expect_fault(&tasks, rule->vector, (rule->selector & 0xFFFCu) | external, true);
    EXPECT_EQ(tasks.registers.rip, NEW_EIP);
    EXPECT_EQ(tasks.cr3, NEW_CR3);
    EXPECT_EQ(tasks.state.system.tr.selector, NEW_TASK);
    EXPECT_EQ(segment_at(&tasks, rule->at)->selector & 0xFFFC, rule->selector & 0xFFFC);
    if (rule->at != TSS_CS) {
        EXPECT_EQ(segment_at(&tasks, rule->at)->attributes & 0x80, 0);
    }
    if (rule->rights) {
        EXPECT_EQ(tasks_rights(&tasks, FREE), rule->rights);
    }
}

static void test_a_segment_that_will_not_do_is_the_new_tasks_fault(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof segment_rules / sizeof segment_rules[0]; i++) {
        print_message("# %s\n", segment_rules[i].name);
        try_segment(&segment_rules[i], false);
        try_segment(&segment_rules[i], true);
    }
}

static void test_rules_of_privilege_hold_for_cpl_3(void **state)
{
    static const struct segment_rule rules[] = {
        { "data of the system in DS", TSS_DS, DATA0, 0, TS },
        { "data of the system by RPL 3 in DS", TSS_DS, DATA0 | 3, 0, TS },
        { "data of the user by RPL 0 in DS", TSS_DS, DATA3 & ~3, 0, 0 },
        { "the system's stack", TSS_SS, DATA0, 0, TS },
        { "the user's stack by RPL 0", TSS_SS, DATA3 & ~3, 0, TS },
        { "the system's code by RPL 3", TSS_CS, CODE0 | 3, 0, TS },
        { "the user's code by RPL 0", TSS_CS, CODE3 & ~3, 0, TS },
    };
    static struct tasks tasks;

    (void)state;
    for (unsigned i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        print_message("# %s\n", rules[i].name);
        tasks_init(&tasks);
        tasks_new_is_user(&tasks);
        tasks_poke(&tasks, NEW_AT + rules[i].at, 2, rules[i].selector);
        if (rules[i].vector) {
            tasks_expect_fault(&tasks, rules[i].vector, rules[i].selector & 0xFFFCu, true);
        } else {
            EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
        }
    }
}

static void test_local_selectors_end_with_the_ldt(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_poke(&tasks, NEW_AT + TSS_LDT, 2, LDT);
    tasks_poke(&tasks, NEW_AT + TSS_GS, 2, 0x44);
    tasks_expect_fault(&tasks, TS, 0x44, true);
    tasks_init(&tasks);
    tasks_poke(&tasks, NEW_AT + TSS_LDT, 2, LDT);
    tasks_poke(&tasks, LDT_AT + 0x38, 8, UINT64_C(0x00CF92000000FFFF));
    tasks_poke(&tasks, NEW_AT + TSS_GS, 2, 0x3C);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
}

/* Bits 1:0 of a local selector with index 0 do not make it null. */
static void test_entry_0_of_the_ldt_is_an_entry(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_poke(&tasks, NEW_AT + TSS_LDT, 2, LDT);
    tasks_poke(&tasks, LDT_AT, 8, UINT64_C(0x00CF92000000FFFF));
    tasks_poke(&tasks, NEW_AT + TSS_GS, 2, 4);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT(tasks.registers.segment[VMMU_X86_GS].attributes & 0x80);
}

static void test_the_fault_of_one_segment_leaves_those_behind_it_unloaded(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_poke(&tasks, NEW_AT + TSS_CS, 2, DATA0);
    tasks_expect_fault(&tasks, TS, DATA0, true);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_SS].attributes & 0x80, 0);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_DS].attributes & 0x80, 0);
    EXPECT_EQ(tasks.registers.segment[VMMU_X86_DS].selector, DATA0);
}

static void test_a_virtual_8086_task_may_have_a_bad_ldt(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_poke(&tasks, NEW_AT + TSS_EFLAGS, 4, FLAG_VM);
    tasks_poke(&tasks, NEW_AT + TSS_LDT, 2, DATA0);
    tasks_expect_fault(&tasks, TS, DATA0, true);
    EXPECT_EQ(tasks.registers.cpl, 3);
}

/* --- what comes last --- */

static void test_eip_beyond_the_code_segment_is_gp(void **state)
{
    struct tasks tasks;

    (void)state;
    for (unsigned external = 0; external < 2; external++) {
        prepare(&tasks, VMMU_X86_TASK_EVENT, external);
        tasks_descriptor(&tasks, FREE, 0, NEW_EIP - 1, 0x9A | 0x400000);
        tasks_poke(&tasks, NEW_AT + TSS_CS, 2, FREE);
        tasks_poke(&tasks, NEW_AT + TSS_TRAP, 2, 1);
        tasks_expect_fault(&tasks, GP, external, true);
        EXPECT_EQ(tasks.registers.rip, NEW_EIP);
    }
    tasks_init(&tasks);
    tasks_descriptor(&tasks, FREE, 0, NEW_EIP, 0x9A | 0x400000);
    tasks_poke(&tasks, NEW_AT + TSS_CS, 2, FREE);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
}

static void test_an_error_code_that_the_stack_has_no_room_for_is_ss(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_by_fault(&tasks, 0x11);
    tasks_descriptor(&tasks, FREE, 0, STACK_AT - 2, 0x92 | 0x400000);
    tasks_poke(&tasks, NEW_AT + TSS_SS, 2, FREE);
    tasks_expect_fault(&tasks, SS, 1, true);
    EXPECT_EQ(tasks.registers.gpr[VMMU_X86_RSP], STACK_AT);
    EXPECT_EQ(tasks.registers.rip, NEW_EIP);
}

static void test_a_page_fault_on_the_new_stack_is_the_new_tasks(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_by_fault(&tasks, 0x11);
    tasks.absent[1][(STACK_AT - 4) / 4096] = true;
    tasks_expect_fault(&tasks, 14, 2, true);
    EXPECT_EQ(tasks.outcome.fault.cr2, STACK_AT - 4);
    EXPECT_EQ(tasks.registers.gpr[VMMU_X86_RSP], STACK_AT);
}

static void test_the_users_stack_is_no_place_of_the_systems(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_new_is_user(&tasks);
    tasks_by_fault(&tasks, 0x11);
    tasks.user[(STACK_AT - 4) / 4096] = false;
    tasks_expect_fault(&tasks, 14, 7, true);
}

/* --- what no processor does --- */

static void test_there_are_no_tasks_in_real_mode_and_long_mode(void **state)
{
    struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks.registers.cr0 = 0x10;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_INVALID);
    tasks_init(&tasks);
    tasks.registers.efer = VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_INVALID);
    EXPECT_EQ(tasks.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tss_that_will_not_do_is_the_old_tasks_fault),
        cmocka_unit_test(test_a_tss_of_the_least_limit_will_do),
        cmocka_unit_test(test_an_old_tss_too_short_to_save_to_is_invalid),
        cmocka_unit_test(test_a_segment_that_will_not_do_is_the_new_tasks_fault),
        cmocka_unit_test(test_rules_of_privilege_hold_for_cpl_3),
        cmocka_unit_test(test_local_selectors_end_with_the_ldt),
        cmocka_unit_test(test_entry_0_of_the_ldt_is_an_entry),
        cmocka_unit_test(test_the_fault_of_one_segment_leaves_those_behind_it_unloaded),
        cmocka_unit_test(test_a_virtual_8086_task_may_have_a_bad_ldt),
        cmocka_unit_test(test_eip_beyond_the_code_segment_is_gp),
        cmocka_unit_test(test_an_error_code_that_the_stack_has_no_room_for_is_ss),
        cmocka_unit_test(test_a_page_fault_on_the_new_stack_is_the_new_tasks),
        cmocka_unit_test(test_the_users_stack_is_no_place_of_the_systems),
        cmocka_unit_test(test_there_are_no_tasks_in_real_mode_and_long_mode),
    };

    return RUN_TESTS(tests);
}
