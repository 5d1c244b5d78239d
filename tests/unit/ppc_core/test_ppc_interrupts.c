/* Interrupts of an e500 core. Expected values come from EREF "Interrupts and Exceptions". */
#include "tests/unit/test.h"

#include "hv/ppc/core/core.h"

#define EVERYTHING                                                                                           \
    (PPC_PENDING_MACHINE_CHECK | PPC_PENDING_DEBUG | PPC_PENDING_CRITICAL | PPC_PENDING_WATCHDOG |           \
     PPC_PENDING_EXTERNAL | PPC_PENDING_FIXED_INTERVAL | PPC_PENDING_DECREMENTER)

static struct ppc_core core_with(uint32_t msr)
{
    struct ppc_core core = { .msr = msr, .pc = 0x1234, .ivpr = 0xC0010000 };

    for (unsigned i = 0; i < VECTOR_LIMIT; i++) {
        core.ivor[i] = 0x100 + 0x10 * i;
    }
    return core;
}

static void test_a_base_interrupt_saves_to_srr_and_keeps_ce_me_de(void **state)
{
    struct ppc_core core = core_with(PPC_MSR_IMPLEMENTED);

    (void)state;
    EXPECT_EQ(ppc_interrupt(&core, VECTOR_EXTERNAL, 0x5678), MSR_CE | MSR_ME | PPC_MSR_DE);
    EXPECT_EQ(core.save[PPC_CLASS_BASE].pc, 0x5678);
    EXPECT_EQ(core.save[PPC_CLASS_BASE].msr, PPC_MSR_IMPLEMENTED);
    EXPECT_EQ(core.pc, 0xC0010000 + 0x140);
}

static void test_a_critical_interrupt_saves_to_csrr_and_keeps_me(void **state)
{
    static const uint8_t vectors[] = { VECTOR_CRITICAL, VECTOR_WATCHDOG, VECTOR_DEBUG };

    (void)state;
    for (unsigned i = 0; i < sizeof vectors; i++) {
        struct ppc_core core = core_with(PPC_MSR_IMPLEMENTED);

        EXPECT_EQ(ppc_interrupt(&core, vectors[i], 0x5678), MSR_ME);
        EXPECT_EQ(core.save[PPC_CLASS_CRITICAL].pc, 0x5678);
        EXPECT_EQ(core.save[PPC_CLASS_CRITICAL].msr, PPC_MSR_IMPLEMENTED);
        EXPECT_EQ(core.save[PPC_CLASS_BASE].msr, 0);
    }
}

static void test_a_machine_check_saves_to_mcsrr_and_keeps_nothing(void **state)
{
    struct ppc_core core = core_with(PPC_MSR_IMPLEMENTED);

    (void)state;
    EXPECT_EQ(ppc_interrupt(&core, VECTOR_MACHINE_CHECK, 0x5678), 0);
    EXPECT_EQ(core.save[PPC_CLASS_MACHINE_CHECK].pc, 0x5678);
}

static void test_handlers_are_on_16_bytes_of_64_kib(void **state)
{
    struct ppc_core core = core_with(0);

    (void)state;
    core.ivpr = 0xDEADBEEF;
    core.ivor[VECTOR_PROGRAM] = 0xFFFFFFFF;
    EXPECT_EQ(ppc_interrupt(&core, VECTOR_PROGRAM, 0), 0);
    EXPECT_EQ(core.pc, 0xDEADFFF0);
}

static void test_a_return_undoes_its_own_class_of_interrupt(void **state)
{
    (void)state;
    for (unsigned class = 0; class < PPC_CLASSES; class ++) {
        struct ppc_core core = core_with(0);

        core.save[class] = (struct ppc_save){ .pc = 0x4000 + 0x10 * class, .msr = MSR_EE | MSR_PR };
        EXPECT_EQ(ppc_return(&core, (enum ppc_class) class), MSR_EE | MSR_PR);
        EXPECT_EQ(core.pc, 0x4000 + 0x10 * class);
    }
}

static void test_a_return_sets_no_bit_that_msr_has_not_and_goes_to_a_word(void **state)
{
    struct ppc_core core = core_with(0);

    (void)state;
    core.save[PPC_CLASS_BASE] = (struct ppc_save){ .pc = 0xFFFFFFFF, .msr = UINT32_MAX };
    EXPECT_EQ(ppc_return(&core, PPC_CLASS_BASE), PPC_MSR_IMPLEMENTED & ~MSR_WE);
    EXPECT_EQ(core.pc, 0xFFFFFFFC);
}

static void test_the_most_urgent_interrupt_comes_first(void **state)
{
    static const uint8_t order[] = { VECTOR_MACHINE_CHECK, VECTOR_DEBUG,    VECTOR_CRITICAL,
                                     VECTOR_WATCHDOG,      VECTOR_EXTERNAL, VECTOR_FIXED_INTERVAL,
                                     VECTOR_DECREMENTER };
    struct ppc_core core = core_with(PPC_MSR_IMPLEMENTED);

    (void)state;
    core.pending = EVERYTHING;
    for (unsigned i = 0; i < sizeof order; i++) {
        EXPECT_EQ(ppc_due_vector(&core), order[i]);
        core.pending &= core.pending - 1;
    }
    EXPECT_EQ(ppc_due_vector(&core), -1);
}

static void test_each_enable_lets_its_own_interrupts_through(void **state)
{
    static const struct {
        uint32_t msr;
        uint32_t lets;
    } rows[] = {
        { MSR_ME, PPC_PENDING_MACHINE_CHECK },
        { PPC_MSR_DE, PPC_PENDING_DEBUG },
        { MSR_CE, PPC_PENDING_CRITICAL | PPC_PENDING_WATCHDOG },
        { MSR_EE, PPC_PENDING_EXTERNAL | PPC_PENDING_FIXED_INTERVAL | PPC_PENDING_DECREMENTER },
        { PPC_MSR_IMPLEMENTED & ~(MSR_ME | PPC_MSR_DE | MSR_CE | MSR_EE), 0 },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ppc_core core = core_with(rows[i].msr);

        core.pending = EVERYTHING;
        EXPECT_EQ(ppc_enabled(rows[i].msr), rows[i].lets);
        EXPECT_EQ(ppc_is_due(&core), rows[i].lets != 0);
    }
}

static void test_a_timer_is_pending_if_its_status_and_its_enable_are_set(void **state)
{
    static const struct {
        uint32_t tsr;
        uint32_t tcr;
        uint32_t pending;
    } rows[] = {
        { PPC_TSR_DIS, PPC_TCR_DIE, PPC_PENDING_DECREMENTER },
        { PPC_TSR_FIS, PPC_TCR_FIE, PPC_PENDING_FIXED_INTERVAL },
        { PPC_TSR_WIS, PPC_TCR_WIE, PPC_PENDING_WATCHDOG },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ppc_core core = { .timers = { .tsr = rows[i].tsr } };

        ppc_look(&core);
        EXPECT_EQ(core.pending, 0);
        core.timers.tcr = rows[i].tcr;
        ppc_look(&core);
        EXPECT_EQ(core.pending, rows[i].pending);
        core.timers.tsr = 0;
        ppc_look(&core);
        EXPECT_EQ(core.pending, 0);
    }
}

static void test_looking_at_timers_leaves_the_controllers_interrupts_alone(void **state)
{
    struct ppc_core core = { .pending = PPC_PENDING_EXTERNAL | PPC_PENDING_CRITICAL };

    (void)state;
    ppc_look(&core);
    EXPECT_EQ(core.pending, PPC_PENDING_EXTERNAL | PPC_PENDING_CRITICAL);
}

static void test_a_debug_event_counts_only_if_it_is_asked_for(void **state)
{
    struct ppc_core core = { .msr = PPC_MSR_DE };

    (void)state;
    ppc_debug_event(&core, PPC_DBCR0_TRAP);
    core.dbcr0 = PPC_DBCR0_TRAP;
    ppc_debug_event(&core, PPC_DBCR0_TRAP);
    EXPECT_EQ(core.dbsr, 0);
    core.dbcr0 = PPC_DBCR0_TRAP | PPC_DBCR0_IDM;
    ppc_debug_event(&core, PPC_DBCR0_RET);
    EXPECT_EQ(core.dbsr, 0);
    ppc_debug_event(&core, PPC_DBCR0_TRAP);
    EXPECT_EQ(core.dbsr, PPC_DBCR0_TRAP);
    EXPECT_EQ(ppc_due_vector(&core), VECTOR_DEBUG);
}

static void test_a_debug_event_while_de_is_clear_is_imprecise_and_waits(void **state)
{
    struct ppc_core core = { .dbcr0 = PPC_DBCR0_RET | PPC_DBCR0_IDM };

    (void)state;
    ppc_debug_event(&core, PPC_DBCR0_RET);
    EXPECT_EQ(core.dbsr, PPC_DBCR0_RET | PPC_DBSR_IDE);
    EXPECT_EQ(ppc_due_vector(&core), -1);
    core.msr = PPC_MSR_DE;
    EXPECT_EQ(ppc_due_vector(&core), VECTOR_DEBUG);
}

static void test_a_reset_keeps_what_the_processor_is(void **state)
{
    struct ppc_core core = { .pvr = 0x80210022, .pir = 3, .msr = MSR_EE, .esr = 5, .gpr = { 1, 2, 3 } };

    (void)state;
    ppc_core_reset(&core);
    EXPECT_EQ(core.pvr, 0x80210022);
    EXPECT_EQ(core.pir, 3);
    EXPECT_EQ(core.msr, 0);
    EXPECT_EQ(core.esr, 0);
    EXPECT_EQ(core.gpr[1], 0);
    EXPECT_EQ(core.dbsr, 0x30000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_base_interrupt_saves_to_srr_and_keeps_ce_me_de),
        cmocka_unit_test(test_a_critical_interrupt_saves_to_csrr_and_keeps_me),
        cmocka_unit_test(test_a_machine_check_saves_to_mcsrr_and_keeps_nothing),
        cmocka_unit_test(test_handlers_are_on_16_bytes_of_64_kib),
        cmocka_unit_test(test_a_return_undoes_its_own_class_of_interrupt),
        cmocka_unit_test(test_a_return_sets_no_bit_that_msr_has_not_and_goes_to_a_word),
        cmocka_unit_test(test_the_most_urgent_interrupt_comes_first),
        cmocka_unit_test(test_each_enable_lets_its_own_interrupts_through),
        cmocka_unit_test(test_a_timer_is_pending_if_its_status_and_its_enable_are_set),
        cmocka_unit_test(test_looking_at_timers_leaves_the_controllers_interrupts_alone),
        cmocka_unit_test(test_a_debug_event_counts_only_if_it_is_asked_for),
        cmocka_unit_test(test_a_debug_event_while_de_is_clear_is_imprecise_and_waits),
        cmocka_unit_test(test_a_reset_keeps_what_the_processor_is),
    };
    return RUN_TESTS(tests);
}
