/*
 * Memory that is not there, cannot be written, or fails in the middle: nothing has been changed before all that the old
 * task needs was found accessible. SDM 3A "Task Switching".
 */
#include <string.h>

#include "tests/unit/task/tasks.h"
#include "tests/unit/test.h"

/* Everything in its own page, and both TSSs across two. */
#define OLD_LOW  0xA000
#define OLD_HIGH 0xB000
#define NEW_LOW  0xC000
#define NEW_HIGH 0xD000
#define OLD_BASE (OLD_HIGH - 0x30)
#define NEW_BASE (NEW_HIGH - 0x30)

static void spread(struct tasks *tasks, enum vmmu_x86_task_source source)
{
    tasks_init(tasks);
    for (unsigned i = 0; i < 0x68; i++) {
        tasks_poke(tasks, NEW_BASE + i, 1, tasks_peek(tasks, NEW_AT + i, 1));
    }
    tasks_descriptor(tasks, NEW_TASK, NEW_BASE, 0x67, RIGHTS_TSS);
    tasks->state.system.tr.base = OLD_BASE;
    if (source == VMMU_X86_TASK_IRET) {
        tasks_by_iret(tasks);
    }
    tasks->request.source = source;
}

static const enum vmmu_x86_task_source sources[] = { VMMU_X86_TASK_CALL, VMMU_X86_TASK_IRET,
                                                     VMMU_X86_TASK_JMP, VMMU_X86_TASK_EVENT };

static void expect_page_fault(struct tasks *tasks, uint32_t page, unsigned error_code)
{
    static struct tasks before;

    memcpy(&before, tasks, sizeof before);
    tasks_expect_fault(tasks, 14, error_code, false);
    EXPECT_EQ(tasks->outcome.fault.cr2 & ~UINT64_C(0xFFF), page);
    EXPECT_EQ(tasks->stores, 0);
    EXPECT(memcmp(tasks->pages, before.pages, sizeof before.pages) == 0);
}

static void test_a_page_that_is_absent_faults_before_anything_has_changed(void **state)
{
    static const struct {
        uint32_t page;
        unsigned error_code;
    } pages[] = { { GDT_AT, 0 }, { OLD_LOW, 2 }, { OLD_HIGH, 2 }, { NEW_LOW, 0 }, { NEW_HIGH, 0 } };

    (void)state;
    for (unsigned way = 0; way < 4; way++) {
        for (unsigned i = 0; i < sizeof pages / sizeof pages[0]; i++) {
            static struct tasks tasks;

            spread(&tasks, sources[way]);
            tasks.absent[0][pages[i].page / 4096] = true;
            expect_page_fault(&tasks, pages[i].page, pages[i].error_code);
        }
    }
}

static void test_a_page_that_is_written_must_be_writable(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 4; way++) {
        const bool nests = sources[way] == VMMU_X86_TASK_CALL || sources[way] == VMMU_X86_TASK_EVENT;
        static struct tasks tasks;

        spread(&tasks, sources[way]);
        tasks.read_only[GDT_AT / 4096] = true;
        expect_page_fault(&tasks, GDT_AT, 3);
        spread(&tasks, sources[way]);
        tasks.read_only[OLD_LOW / 4096] = true;
        expect_page_fault(&tasks, OLD_LOW, 3);
        spread(&tasks, sources[way]);
        tasks.read_only[OLD_HIGH / 4096] = true;
        expect_page_fault(&tasks, OLD_HIGH, 3);
        spread(&tasks, sources[way]);
        tasks.read_only[NEW_LOW / 4096] = true;
        if (nests) {
            expect_page_fault(&tasks, NEW_LOW, 3); /* for the link */
        } else {
            EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
        }
    }
}

static void test_pages_that_a_switch_does_not_need_may_be_absent(void **state)
{
    static struct tasks tasks;

    (void)state;
    spread(&tasks, VMMU_X86_TASK_JMP);
    tasks.state.system.tr.base = OLD_HIGH - 0x60; /* the LDT's selector and beyond are not saved */
    tasks.absent[0][OLD_HIGH / 4096] = true;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    spread(&tasks, VMMU_X86_TASK_JMP);
    tasks.state.system.tr.base = OLD_HIGH - 0x20; /* nor is what comes before EIP */
    tasks.absent[0][OLD_LOW / 4096] = true;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
}

static void test_a_cr3_that_cannot_be_loaded_is_gp_of_the_old_task(void **state)
{
    static struct tasks tasks, before;

    (void)state;
    tasks_init(&tasks);
    tasks.refuses_cr3 = true;
    tasks.request.source = VMMU_X86_TASK_EVENT;
    tasks.request.external = true;
    memcpy(&before, &tasks, sizeof before);
    tasks_expect_fault(&tasks, 13, 1, false);
    EXPECT(memcmp(tasks.pages, before.pages, sizeof before.pages) == 0);
    tasks.refuses_cr3 = false;
    tasks.refuses_late = true;
    tasks_expect_fault(&tasks, 13, 1, false);
    EXPECT_EQ(tasks.cr3, OLD_CR3);
}

static void test_descriptors_that_cannot_be_reached_are_the_new_tasks_page_faults(void **state)
{
    static struct tasks tasks;

    (void)state;
    spread(&tasks, VMMU_X86_TASK_JMP);
    tasks.absent[1][GDT_AT / 4096] = true;
    tasks_expect_fault(&tasks, 14, 0, true);
    EXPECT_EQ(tasks.outcome.fault.cr2, GDT_AT + CODE0);
    spread(&tasks, VMMU_X86_TASK_JMP);
    tasks_poke(&tasks, NEW_BASE + TSS_LDT, 2, LDT);
    tasks_poke(&tasks, NEW_BASE + TSS_FS, 2, 0x0C);
    tasks.absent[1][LDT_AT / 4096] = true;
    tasks_expect_fault(&tasks, 14, 0, true);
    EXPECT_EQ(tasks.outcome.fault.cr2, LDT_AT + 8);
    EXPECT(tasks.registers.segment[VMMU_X86_DS].attributes & 0x80);
}

static void test_descriptors_that_are_marked_already_need_not_be_writable(void **state)
{
    static struct tasks tasks;

    (void)state;
    spread(&tasks, VMMU_X86_TASK_CALL);
    tasks_poke(&tasks, NEW_BASE + TSS_LDT, 2, LDT);
    tasks_poke(&tasks, NEW_BASE + TSS_FS, 2, 0x0C);
    tasks_poke(&tasks, LDT_AT + 8, 8, UINT64_C(0x00CF92000000FFFF));
    tasks.read_only[LDT_AT / 4096] = true;
    tasks_expect_fault(&tasks, 14, 3, true);
    EXPECT_EQ(tasks.outcome.fault.cr2, LDT_AT + 8 + 5);
    spread(&tasks, VMMU_X86_TASK_CALL);
    tasks_poke(&tasks, NEW_BASE + TSS_LDT, 2, LDT);
    tasks_poke(&tasks, NEW_BASE + TSS_FS, 2, 0x0C);
    tasks_poke(&tasks, LDT_AT + 8, 8, UINT64_C(0x00CF93000000FFFF));
    tasks.read_only[LDT_AT / 4096] = true;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
}

/* --- several processors --- */

static void test_a_task_that_somebody_else_takes_is_looked_at_again(void **state)
{
    static struct tasks tasks, before;

    (void)state;
    tasks_init(&tasks);
    memcpy(&before, &tasks, sizeof before);
    tasks.races = 1;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_RACED);
    EXPECT(!tasks.outcome.switched);
    EXPECT_EQ(tasks.stores, 0);
    EXPECT_EQ(tasks_rights(&tasks, NEW_TASK), RIGHTS_TSS ^ 0x60);
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
}

static void test_other_marks_are_set_beside_what_others_write(void **state)
{
    static struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_by_iret(&tasks);
    tasks.races = 3;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks_rights(&tasks, OLD_TASK), (RIGHTS_BUSY ^ 0x60) & ~2);
}

static void test_a_descriptor_that_never_rests_is_left_alone(void **state)
{
    static struct tasks tasks;

    (void)state;
    tasks_init(&tasks);
    tasks_by_iret(&tasks);
    tasks.races = 1000;
    EXPECT_EQ(tasks_switch(&tasks), VMMU_OK);
    EXPECT_EQ(tasks_rights(&tasks, OLD_TASK) & 2, 2);
}

/* --- callbacks that fail --- */

/* Whether there was a call of that number, which was to fail with @answer. */
static bool fail_at(enum vmmu_x86_task_source source, unsigned call, enum vmmu_status answer)
{
    static struct tasks tasks;
    enum vmmu_status status;

    spread(&tasks, source);
    tasks.request.has_error_code = source == VMMU_X86_TASK_EVENT;
    tasks.fail_at = call;
    tasks.fail = answer;
    status = tasks_switch(&tasks);
    if (tasks.calls < call) {
        EXPECT_EQ(status, VMMU_OK);
        return false;
    }
    EXPECT_EQ(status, answer);
    EXPECT_EQ(tasks.cr3, tasks.outcome.switched ? NEW_CR3 : OLD_CR3);
    EXPECT(status != VMMU_GUEST_FAULT || tasks.outcome.fault.cr2 == 0xFA11);
    return true;
}

static void test_whatever_a_callback_answers_is_handed_through(void **state)
{
    static const enum vmmu_status answers[] = { VMMU_GUEST_FAULT, VMMU_ABSENT, VMMU_NO_MEMORY };

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        unsigned call = 1;

        while (fail_at(sources[i / 3], call, answers[i % 3])) {
            call++;
        }
        EXPECT(call > 40 && call < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_that_is_absent_faults_before_anything_has_changed),
        cmocka_unit_test(test_a_page_that_is_written_must_be_writable),
        cmocka_unit_test(test_pages_that_a_switch_does_not_need_may_be_absent),
        cmocka_unit_test(test_a_cr3_that_cannot_be_loaded_is_gp_of_the_old_task),
        cmocka_unit_test(test_descriptors_that_cannot_be_reached_are_the_new_tasks_page_faults),
        cmocka_unit_test(test_descriptors_that_are_marked_already_need_not_be_writable),
        cmocka_unit_test(test_a_task_that_somebody_else_takes_is_looked_at_again),
        cmocka_unit_test(test_other_marks_are_set_beside_what_others_write),
        cmocka_unit_test(test_a_descriptor_that_never_rests_is_left_alone),
        cmocka_unit_test(test_whatever_a_callback_answers_is_handed_through),
    };

    return RUN_TESTS(tests);
}
