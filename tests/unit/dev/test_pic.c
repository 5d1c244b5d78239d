/*
 * The 8259A pair, by the sentences of its datasheet.
 */
#include "hv/dev/pic.h"

#include "tests/unit/dev/fixture.h"
#include "tests/unit/test.h"

#define MASTER             0
#define SLAVE              1

/* Operation command words. */
#define EOI                0x20
#define SPECIFIC_EOI(n)    (0x60 | (n))
#define ROTATE_EOI         0xA0
#define ROTATE_SPECIFIC(n) (0xE0 | (n))
#define SET_PRIORITY(n)    (0xC0 | (n))
#define ROTATE_AEOI_SET    0x80
#define ROTATE_AEOI_CLEAR  0x00
#define READ_IRR           0x0A
#define READ_ISR           0x0B
#define POLL               0x0C
#define SPECIAL_MASK_SET   0x68
#define SPECIAL_MASK_CLEAR 0x48

static struct pic pic;
static struct fixture_wire intr;

static void command(unsigned chip, uint8_t value)
{
    pic_write(&pic, chip, false, value);
}

static void mask(unsigned chip, uint8_t value)
{
    pic_write(&pic, chip, true, value);
}

static uint8_t isr(unsigned chip)
{
    command(chip, READ_ISR);
    return pic_read(&pic, chip, false);
}

static uint8_t irr(unsigned chip)
{
    command(chip, READ_IRR);
    return pic_read(&pic, chip, false);
}

static void initialize(unsigned chip, uint8_t base, uint8_t icw4)
{
    command(chip, 0x11);
    pic_write(&pic, chip, true, base);
    pic_write(&pic, chip, true, chip == MASTER ? 0x04 : 0x02);
    pic_write(&pic, chip, true, icw4);
}

/* Both chips as PC firmware has them, nothing masked. */
static int setup(void **state)
{
    const struct dev_line line = fixture_line(&intr);

    (void)state;
    intr = (struct fixture_wire){ 0 };
    pic_init(&pic, &line);
    initialize(MASTER, 0x08, 0x01);
    initialize(SLAVE, 0x70, 0x01);
    return 0;
}

static void pulse(unsigned input)
{
    pic_set_input(&pic, input, false);
    pic_set_input(&pic, input, true);
}

static void test_an_edge_requests_and_the_acknowledge_gives_base_plus_input(void **state)
{
    (void)state;
    pulse(3);
    EXPECT(intr.high);
    EXPECT_EQ(pic_peek(&pic), 0x0B);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0B);
    EXPECT(!intr.high);
    EXPECT_EQ(isr(MASTER), 0x08);
    EXPECT_EQ(irr(MASTER), 0);
}

static void test_a_slave_request_comes_by_input_2_with_the_slaves_vector(void **state)
{
    (void)state;
    pulse(12);
    EXPECT(intr.high);
    EXPECT_EQ(irr(MASTER), 0x04);
    EXPECT_EQ(pic_peek(&pic), 0x74);
    EXPECT_EQ(pic_acknowledge(&pic), 0x74);
    EXPECT_EQ(isr(MASTER), 0x04);
    EXPECT_EQ(isr(SLAVE), 0x10);
}

static void test_icw2_gives_the_upper_five_bits_of_the_vector(void **state)
{
    (void)state;
    initialize(MASTER, 0x37, 0x01);
    pulse(5);
    EXPECT_EQ(pic_acknowledge(&pic), 0x35);
}

static void test_input_0_has_the_highest_priority_after_initialization(void **state)
{
    (void)state;
    pulse(6);
    pulse(1);
    pulse(0);
    EXPECT_EQ(pic_acknowledge(&pic), 0x08);
    command(MASTER, EOI);
    EXPECT_EQ(pic_acknowledge(&pic), 0x09);
    command(MASTER, EOI);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0E);
}

static void test_an_interrupt_in_service_holds_back_equal_and_lower_ones_only(void **state)
{
    (void)state;
    pulse(4);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0C);
    pulse(4);
    pulse(7);
    EXPECT(!intr.high);
    pulse(1);
    EXPECT(intr.high);
    EXPECT_EQ(pic_acknowledge(&pic), 0x09);
}

static void test_slave_inputs_rank_between_master_inputs_1_and_3(void **state)
{
    (void)state;
    pulse(3);
    pulse(8);
    EXPECT_EQ(pic_acknowledge(&pic), 0x70);
    pulse(1);
    EXPECT_EQ(pic_acknowledge(&pic), 0x09);
}

static void test_a_non_specific_eoi_ends_the_highest_priority_in_service(void **state)
{
    (void)state;
    pulse(5);
    (void)pic_acknowledge(&pic);
    pulse(1);
    (void)pic_acknowledge(&pic);
    EXPECT_EQ(isr(MASTER), 0x22);
    command(MASTER, EOI);
    EXPECT_EQ(isr(MASTER), 0x20);
    command(MASTER, EOI);
    EXPECT_EQ(isr(MASTER), 0);
}

static void test_a_specific_eoi_ends_the_input_it_names(void **state)
{
    (void)state;
    pulse(5);
    (void)pic_acknowledge(&pic);
    pulse(1);
    (void)pic_acknowledge(&pic);
    command(MASTER, SPECIFIC_EOI(5));
    EXPECT_EQ(isr(MASTER), 0x02);
}

static void test_requests_behind_an_ended_interrupt_come_forward(void **state)
{
    (void)state;
    pulse(8);
    EXPECT_EQ(pic_acknowledge(&pic), 0x70);
    pulse(9);
    pulse(15);
    EXPECT(!intr.high);
    command(SLAVE, EOI);
    command(MASTER, EOI);
    EXPECT_EQ(pic_acknowledge(&pic), 0x71);
    command(SLAVE, EOI);
    command(MASTER, EOI);
    EXPECT_EQ(pic_acknowledge(&pic), 0x77);
}

static void test_the_mask_register_holds_requests_back_but_keeps_them(void **state)
{
    (void)state;
    mask(MASTER, 0x08);
    EXPECT_EQ(pic_read(&pic, MASTER, true), 0x08);
    pulse(3);
    EXPECT(!intr.high);
    EXPECT_EQ(irr(MASTER), 0x08);
    mask(MASTER, 0);
    EXPECT(intr.high);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0B);
}

static void test_an_edge_input_that_stays_high_requests_once(void **state)
{
    (void)state;
    pulse(3);
    (void)pic_acknowledge(&pic);
    command(MASTER, EOI);
    EXPECT(!intr.high);
    pic_set_input(&pic, 3, true);
    EXPECT(!intr.high);
    pulse(3);
    EXPECT(intr.high);
}

static void test_an_edge_input_that_falls_before_the_acknowledge_takes_its_request_back(void **state)
{
    (void)state;
    pulse(3);
    pic_set_input(&pic, 3, false);
    EXPECT(!intr.high);
    EXPECT_EQ(irr(MASTER), 0);
}

static void
test_an_acknowledge_without_request_is_the_spurious_interrupt_7_without_in_service_bit(void **state)
{
    (void)state;
    EXPECT_EQ(pic_acknowledge(&pic), 0x0F);
    EXPECT_EQ(isr(MASTER), 0);
    EXPECT_EQ(pic.counters.spurious, 1);
}

static void test_a_poll_of_the_slave_leaves_nothing_for_the_master(void **state)
{
    (void)state;
    pulse(10);
    command(SLAVE, POLL);
    EXPECT_EQ(pic_read(&pic, SLAVE, false), 0x82);
    EXPECT(!intr.high);
    EXPECT_EQ(irr(MASTER), 0);
    EXPECT_EQ(isr(SLAVE), 0x04);
    command(SLAVE, EOI);
}

/*
 * Input 2 stays requested only while the slave's output is high, so 15 is spurious if
 * the slave masks in between.
 */
static void
test_a_slave_without_request_gives_its_own_spurious_interrupt_and_the_master_serves_input_2(void **state)
{
    (void)state;
    pic.chips[MASTER].irr = 0x04; /* the master's request is in, the slave's has just gone */
    EXPECT_EQ(pic_acknowledge(&pic), 0x77);
    EXPECT_EQ(isr(MASTER), 0x04);
    EXPECT_EQ(isr(SLAVE), 0);
    EXPECT_EQ(pic.counters.spurious, 1);
}

static void test_elcr_makes_an_input_level_triggered_so_it_requests_until_it_falls(void **state)
{
    (void)state;
    pic_elcr_write(&pic, 0, 0x20);
    pic_set_input(&pic, 5, true);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0D);
    EXPECT_EQ(irr(MASTER), 0x20);
    command(MASTER, EOI);
    EXPECT(intr.high);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0D);
    pic_set_input(&pic, 5, false);
    command(MASTER, EOI);
    EXPECT(!intr.high);
}

static void test_a_level_input_of_the_slave_is_not_lost_at_eoi(void **state)
{
    (void)state;
    pic_elcr_write(&pic, 1, 0x02);
    pic_set_input(&pic, 9, true);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(intr.high);
        EXPECT_EQ(pic_acknowledge(&pic), 0x71);
        command(SLAVE, EOI);
        command(MASTER, EOI);
    }
    pic_set_input(&pic, 9, false);
    EXPECT(!intr.high);
}

static void test_elcr_bits_of_timer_keyboard_cascade_clock_and_coprocessor_stay_zero(void **state)
{
    (void)state;
    pic_elcr_write(&pic, 0, 0xFF);
    pic_elcr_write(&pic, 1, 0xFF);
    EXPECT_EQ(pic_elcr_read(&pic, 0), 0xF8);
    EXPECT_EQ(pic_elcr_read(&pic, 1), 0xDE);
}

static void test_an_input_that_becomes_level_triggered_while_high_requests(void **state)
{
    (void)state;
    pulse(5);
    (void)pic_acknowledge(&pic);
    command(MASTER, EOI);
    EXPECT(!intr.high);
    pic_elcr_write(&pic, 0, 0x20);
    EXPECT(intr.high);
}

static void test_icw1_clears_mask_service_and_edges_and_sets_fixed_priorities(void **state)
{
    (void)state;
    mask(MASTER, 0xF0);
    pulse(1);
    (void)pic_acknowledge(&pic);
    pulse(2 + 1);
    command(MASTER, SET_PRIORITY(3));
    initialize(MASTER, 0x08, 0x01);
    EXPECT_EQ(pic_read(&pic, MASTER, true), 0);
    EXPECT_EQ(isr(MASTER), 0);
    EXPECT_EQ(irr(MASTER), 0);
    pic_set_input(&pic, 3, true); /* still high: no edge */
    EXPECT(!intr.high);
    pulse(3);
    pulse(0);
    EXPECT_EQ(pic_acknowledge(&pic), 0x08);
}

static void test_after_icw1_reads_give_irr(void **state)
{
    (void)state;
    command(MASTER, READ_ISR);
    initialize(MASTER, 0x08, 0x01);
    pulse(6);
    EXPECT_EQ(pic_read(&pic, MASTER, false), 0x40);
}

static void test_no_interrupt_comes_until_initialization_is_complete(void **state)
{
    (void)state;
    command(MASTER, 0x11);
    pulse(1);
    EXPECT(!intr.high);
    pic_write(&pic, MASTER, true, 0x20);
    pic_write(&pic, MASTER, true, 0x04);
    EXPECT(!intr.high);
    pic_write(&pic, MASTER, true, 0x01);
    EXPECT(intr.high);
    EXPECT_EQ(pic_acknowledge(&pic), 0x21);
}

static void test_a_single_chip_takes_no_icw3_and_without_ic4_no_icw4(void **state)
{
    (void)state;
    command(MASTER, 0x12);
    pic_write(&pic, MASTER, true, 0x40);
    pic_write(&pic, MASTER, true, 0x80); /* OCW1 already */
    EXPECT_EQ(pic_read(&pic, MASTER, true), 0x80);
    pulse(0);
    EXPECT_EQ(pic_acknowledge(&pic), 0x40);
    EXPECT_EQ(isr(MASTER), 0x01); /* no automatic EOI: all of ICW4 is zero */
}

static void test_a_single_chip_answers_for_input_2_itself(void **state)
{
    (void)state;
    command(MASTER, 0x13);
    pic_write(&pic, MASTER, true, 0x40);
    pic_write(&pic, MASTER, true, 0x01);
    pulse(9);
    EXPECT_EQ(pic_peek(&pic), 0x42);
    EXPECT_EQ(pic_acknowledge(&pic), 0x42);
    EXPECT_EQ(isr(SLAVE), 0);
}

static void test_automatic_eoi_leaves_no_in_service_bit(void **state)
{
    (void)state;
    initialize(MASTER, 0x08, 0x03);
    pulse(4);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0C);
    EXPECT_EQ(isr(MASTER), 0);
    pulse(4);
    EXPECT(intr.high);
}

static void test_with_automatic_eoi_in_the_slave_its_next_request_reaches_the_master(void **state)
{
    (void)state;
    initialize(SLAVE, 0x70, 0x03);
    pulse(9);
    pulse(12);
    EXPECT_EQ(pic_acknowledge(&pic), 0x71);
    command(MASTER, EOI);
    EXPECT_EQ(pic_acknowledge(&pic), 0x74);
}

static void test_rotation_in_automatic_eoi_makes_the_served_input_the_lowest(void **state)
{
    (void)state;
    initialize(MASTER, 0x08, 0x03);
    command(MASTER, ROTATE_AEOI_SET);
    pulse(4);
    (void)pic_acknowledge(&pic);
    pulse(4);
    pulse(7);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0F);
    command(MASTER, ROTATE_AEOI_CLEAR);
    pulse(1);
    EXPECT_EQ(pic_acknowledge(&pic), 0x09);
    EXPECT_EQ(pic.chips[MASTER].lowest, 7);
}

static void test_rotate_on_non_specific_eoi_makes_the_ended_input_the_lowest(void **state)
{
    (void)state;
    pulse(4);
    (void)pic_acknowledge(&pic);
    command(MASTER, ROTATE_EOI);
    pulse(3);
    pulse(4);
    pulse(5);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0D);
    command(MASTER, EOI);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0B);
    command(MASTER, EOI);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0C);
}

static void test_an_eoi_without_rotation_leaves_the_priorities(void **state)
{
    (void)state;
    pulse(4);
    (void)pic_acknowledge(&pic);
    command(MASTER, EOI);
    pulse(3);
    pulse(5);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0B);
}

static void test_rotate_on_specific_eoi_names_the_new_lowest(void **state)
{
    (void)state;
    pulse(6);
    (void)pic_acknowledge(&pic);
    command(MASTER, ROTATE_SPECIFIC(6));
    EXPECT_EQ(isr(MASTER), 0);
    pulse(0);
    pulse(7);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0F);
}

static void test_set_priority_rotates_without_eoi(void **state)
{
    (void)state;
    pulse(1);
    (void)pic_acknowledge(&pic);
    command(MASTER, SET_PRIORITY(5));
    EXPECT_EQ(isr(MASTER), 0x02);
    pulse(0);
    EXPECT(intr.high); /* 6, 7, 0 rank above 1 now */
    EXPECT_EQ(pic_acknowledge(&pic), 0x08);
}

static void test_ocw2_without_eoi_rotation_or_select_does_nothing(void **state)
{
    (void)state;
    pulse(1);
    (void)pic_acknowledge(&pic);
    command(MASTER, 0x40);
    EXPECT_EQ(isr(MASTER), 0x02);
    EXPECT_EQ(pic.chips[MASTER].lowest, 7);
}

static void test_special_mask_mode_lets_lower_inputs_through_a_masked_one_in_service(void **state)
{
    (void)state;
    pulse(3);
    (void)pic_acknowledge(&pic);
    mask(MASTER, 0x08);
    pulse(6);
    EXPECT(!intr.high);
    command(MASTER, SPECIAL_MASK_SET);
    EXPECT(intr.high);
    EXPECT_EQ(pic_acknowledge(&pic), 0x0E);
    command(MASTER, EOI); /* non-specific: does not touch the masked bit */
    EXPECT_EQ(isr(MASTER), 0x08);
    command(MASTER, EOI);
    EXPECT_EQ(isr(MASTER), 0x08);
    command(MASTER, SPECIAL_MASK_CLEAR);
    pulse(6);
    EXPECT(!intr.high);
}

static void test_smm_without_esmm_changes_nothing(void **state)
{
    (void)state;
    command(MASTER, SPECIAL_MASK_SET);
    command(MASTER, 0x28);
    EXPECT(pic.chips[MASTER].special_mask);
    command(MASTER, 0x08);
    EXPECT(pic.chips[MASTER].special_mask);
}

static void test_poll_reads_the_input_and_serves_it(void **state)
{
    (void)state;
    mask(SLAVE, 0xFF);
    pulse(5);
    command(MASTER, POLL);
    EXPECT_EQ(pic_read(&pic, MASTER, false), 0x85);
    EXPECT_EQ(isr(MASTER), 0x20);
    EXPECT(!intr.high);
}

static void test_poll_without_request_has_bit_7_clear_and_serves_nothing(void **state)
{
    (void)state;
    command(MASTER, POLL);
    EXPECT_EQ(pic_read(&pic, MASTER, false) & 0x80, 0);
    EXPECT_EQ(isr(MASTER), 0);
    EXPECT_EQ(pic_read(&pic, MASTER, true), 0); /* one poll per command: this is the mask register */
}

static void test_fully_nested_master_locks_the_slave_out_while_it_serves_it(void **state)
{
    (void)state;
    pulse(12);
    (void)pic_acknowledge(&pic);
    pulse(9);
    EXPECT(!intr.high);
}

static void test_special_fully_nested_master_takes_higher_inputs_of_the_slave_in_service(void **state)
{
    (void)state;
    initialize(MASTER, 0x08, 0x11);
    pulse(12);
    (void)pic_acknowledge(&pic);
    pulse(9);
    EXPECT(intr.high);
    EXPECT_EQ(pic_acknowledge(&pic), 0x71);
    pulse(14);
    EXPECT(!intr.high); /* the slave itself holds back what ranks below */
    pulse(3);
    EXPECT(!intr.high);
}

static void test_int_falls_at_the_acknowledge_and_rises_for_the_next_request(void **state)
{
    unsigned rises;

    (void)state;
    pulse(1);
    rises = intr.rises;
    pulse(0);
    EXPECT_EQ(intr.rises, rises);
    EXPECT_EQ(pic_acknowledge(&pic), 0x08);
    EXPECT(!intr.high);
    command(MASTER, EOI);
    EXPECT_EQ(intr.rises, rises + 1);
    /* With automatic EOI the next request is there at once. */
    initialize(MASTER, 0x08, 0x03);
    pulse(4);
    pulse(5);
    rises = intr.rises;
    (void)pic_acknowledge(&pic);
    EXPECT(intr.high);
    EXPECT_EQ(intr.rises, rises + 1);
}

static void test_irr_and_isr_read_as_selected_until_selected_anew(void **state)
{
    (void)state;
    pulse(4);
    (void)pic_acknowledge(&pic);
    pulse(6);
    command(MASTER, READ_ISR);
    EXPECT_EQ(pic_read(&pic, MASTER, false), 0x10);
    command(MASTER, 0x08); /* RR clear: the selection stays */
    EXPECT_EQ(pic_read(&pic, MASTER, false), 0x10);
    command(MASTER, READ_IRR);
    EXPECT_EQ(pic_read(&pic, MASTER, false), 0x40);
    command(MASTER, 0x08); /* RR clear: the selection stays */
    EXPECT_EQ(pic_read(&pic, MASTER, false), 0x40);
}

static void test_reset_masks_everything(void **state)
{
    (void)state;
    pulse(4);
    pic_reset(&pic);
    EXPECT(!intr.high);
    EXPECT_EQ(pic_read(&pic, MASTER, true), 0xFF);
    EXPECT_EQ(pic_elcr_read(&pic, 0), 0);
    EXPECT(pic_input_is_masked(&pic, 0));
    EXPECT(pic_input_is_masked(&pic, 15));
}

/* What Linux does to find out whether there is an 8259: it must find its mask again. */
static void test_the_probe_of_kernels_finds_the_chip(void **state)
{
    (void)state;
    mask(SLAVE, 0xFF);
    mask(MASTER, 0xFB);
    EXPECT_EQ(pic_read(&pic, MASTER, true), 0xFB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_edge_requests_and_the_acknowledge_gives_base_plus_input, setup),
        cmocka_unit_test_setup(test_a_slave_request_comes_by_input_2_with_the_slaves_vector, setup),
        cmocka_unit_test_setup(test_icw2_gives_the_upper_five_bits_of_the_vector, setup),
        cmocka_unit_test_setup(test_input_0_has_the_highest_priority_after_initialization, setup),
        cmocka_unit_test_setup(test_an_interrupt_in_service_holds_back_equal_and_lower_ones_only, setup),
        cmocka_unit_test_setup(test_slave_inputs_rank_between_master_inputs_1_and_3, setup),
        cmocka_unit_test_setup(test_a_non_specific_eoi_ends_the_highest_priority_in_service, setup),
        cmocka_unit_test_setup(test_a_specific_eoi_ends_the_input_it_names, setup),
        cmocka_unit_test_setup(test_requests_behind_an_ended_interrupt_come_forward, setup),
        cmocka_unit_test_setup(test_the_mask_register_holds_requests_back_but_keeps_them, setup),
        cmocka_unit_test_setup(test_an_edge_input_that_stays_high_requests_once, setup),
        cmocka_unit_test_setup(test_an_edge_input_that_falls_before_the_acknowledge_takes_its_request_back,
                               setup),
        cmocka_unit_test_setup(
            test_an_acknowledge_without_request_is_the_spurious_interrupt_7_without_in_service_bit, setup),
        cmocka_unit_test_setup(test_a_poll_of_the_slave_leaves_nothing_for_the_master, setup),
        cmocka_unit_test_setup(
            test_a_slave_without_request_gives_its_own_spurious_interrupt_and_the_master_serves_input_2,
            setup),
        cmocka_unit_test_setup(test_elcr_makes_an_input_level_triggered_so_it_requests_until_it_falls, setup),
        cmocka_unit_test_setup(test_a_level_input_of_the_slave_is_not_lost_at_eoi, setup),
        cmocka_unit_test_setup(test_elcr_bits_of_timer_keyboard_cascade_clock_and_coprocessor_stay_zero,
                               setup),
        cmocka_unit_test_setup(test_an_input_that_becomes_level_triggered_while_high_requests, setup),
        cmocka_unit_test_setup(test_icw1_clears_mask_service_and_edges_and_sets_fixed_priorities, setup),
        cmocka_unit_test_setup(test_after_icw1_reads_give_irr, setup),
        cmocka_unit_test_setup(test_no_interrupt_comes_until_initialization_is_complete, setup),
        cmocka_unit_test_setup(test_a_single_chip_takes_no_icw3_and_without_ic4_no_icw4, setup),
        cmocka_unit_test_setup(test_a_single_chip_answers_for_input_2_itself, setup),
        cmocka_unit_test_setup(test_automatic_eoi_leaves_no_in_service_bit, setup),
        cmocka_unit_test_setup(test_with_automatic_eoi_in_the_slave_its_next_request_reaches_the_master,
                               setup),
        cmocka_unit_test_setup(test_rotation_in_automatic_eoi_makes_the_served_input_the_lowest, setup),
        cmocka_unit_test_setup(test_rotate_on_non_specific_eoi_makes_the_ended_input_the_lowest, setup),
        cmocka_unit_test_setup(test_an_eoi_without_rotation_leaves_the_priorities, setup),
        cmocka_unit_test_setup(test_rotate_on_specific_eoi_names_the_new_lowest, setup),
        cmocka_unit_test_setup(test_set_priority_rotates_without_eoi, setup),
        cmocka_unit_test_setup(test_ocw2_without_eoi_rotation_or_select_does_nothing, setup),
        cmocka_unit_test_setup(test_special_mask_mode_lets_lower_inputs_through_a_masked_one_in_service,
                               setup),
        cmocka_unit_test_setup(test_smm_without_esmm_changes_nothing, setup),
        cmocka_unit_test_setup(test_poll_reads_the_input_and_serves_it, setup),
        cmocka_unit_test_setup(test_poll_without_request_has_bit_7_clear_and_serves_nothing, setup),
        cmocka_unit_test_setup(test_fully_nested_master_locks_the_slave_out_while_it_serves_it, setup),
        cmocka_unit_test_setup(test_special_fully_nested_master_takes_higher_inputs_of_the_slave_in_service,
                               setup),
        cmocka_unit_test_setup(test_int_falls_at_the_acknowledge_and_rises_for_the_next_request, setup),
        cmocka_unit_test_setup(test_irr_and_isr_read_as_selected_until_selected_anew, setup),
        cmocka_unit_test_setup(test_reset_masks_everything, setup),
        cmocka_unit_test_setup(test_the_probe_of_kernels_finds_the_chip, setup),
    };

    return RUN_TESTS(tests);
}
