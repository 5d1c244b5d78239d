/* A virtual TLB beside the processor's, as text and as a document. */
#include "hv/monitor/booke_text.h"

#include <string.h>

#include "tests/unit/test.h"

#define KEPT 4

static char text[32768];
static unsigned used;

static struct vmmu_booke guest;
static struct vmmu_booke other;
static struct vmmu_booke_real real;
static _Alignas(8) uint8_t tlbs[2][16384], spaces[2][16384], account[32768];

static void put(void *context, char character)
{
    (void)context;
    EXPECT(used + 1 < sizeof(text));
    text[used++] = character;
    text[used] = '\0';
}

static const struct format_sink sink = { NULL, put };

/* 64 MiB at 0, which stand at 0x08000000 in the machine. */
static bool memory(void *context, const struct vmmu_booke *booke, vmmu_gpa gpa,
                   struct vmmu_booke_piece *piece)
{
    (void)context;
    (void)booke;
    *piece = (struct vmmu_booke_piece){
        .hpa = { 0x08000000 }, .size_bytes = 64 << 20, .write = true, .execute = true
    };
    return gpa.v < 64 << 20;
}

static bool owns(void *context, const struct vmmu_booke *booke, vmmu_hpa at, uint64_t size_bytes)
{
    (void)context;
    (void)booke;
    return at.v >= 0x08000000 && at.v + size_bytes <= 0x0C000000;
}

static void ignore(void *context, const struct vmmu_booke_mas *mas)
{
    (void)context;
    (void)mas;
}

static void violated(void *context, const struct vmmu_booke *booke, const char *what)
{
    (void)context;
    (void)booke;
    EXPECT(!what);
}

static void write_entry(struct vmmu_booke *booke, uint32_t mas0, uint32_t mas1, uint32_t mas2, uint32_t mas3)
{
    vmmu_booke_set(booke, VMMU_BOOKE_MAS0, mas0);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS1, mas1);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS2, mas2);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS3, mas3);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS7, 0);
    EXPECT(vmmu_booke_write(booke) >= 0);
}

static const struct vmmu_booke_state user_state = { .instruction_space = true,
                                                    .data_space = true,
                                                    .problem = true };

static void load(struct vmmu_booke *booke, uint32_t ea)
{
    const struct vmmu_booke_attempt attempt = {
        .state = user_state, .kind = VMMU_BOOKE_LOAD, .ea = ea, .at = ea
    };
    struct vmmu_booke_result result;

    (void)vmmu_booke_enter(booke, &real, user_state);
    EXPECT_EQ(vmmu_booke_fill(booke, &real, &attempt, &result), VMMU_BOOKE_FILLED);
}

/*
 * A guest of PID 5 with two entries of TS 1, of 16 MiB at 0x10000000 for its user to read and execute, and of 4 KiB at 0x20003000
 * without write for him; another guest with one of these. Nothing has been used yet.
 */
static int start(void **state)
{
    const struct vmmu_booke_host host = {
        .kept = KEPT, .memory = memory, .owns = owns, .write = ignore, .violated = violated
    };

    (void)state;
    used = 0;
    text[0] = '\0';
    EXPECT_EQ(vmmu_booke_init(&guest, &vmmu_booke_e500v2, tlbs[0], sizeof tlbs[0]), VMMU_OK);
    EXPECT_EQ(vmmu_booke_init(&other, &vmmu_booke_e500v2, tlbs[1], sizeof tlbs[1]), VMMU_OK);
    EXPECT_EQ(vmmu_booke_real_init(&real, &vmmu_booke_e500v2, &host, account, sizeof account), VMMU_OK);
    EXPECT_EQ(vmmu_booke_attach(&guest, &real, spaces[0], sizeof spaces[0]), VMMU_OK);
    EXPECT_EQ(vmmu_booke_attach(&other, &real, spaces[1], sizeof spaces[1]), VMMU_OK);
    vmmu_booke_set(&guest, VMMU_BOOKE_PID0, 5);
    write_entry(&guest, 0x10030000, 0xC0051700, 0x10000004, 0x01000033);
    write_entry(&guest, 0x00010000, 0x80001100, 0x20003000, 0x00007015);
    write_entry(&other, 0x10030000, 0xC0051700, 0x10000004, 0x01000033);
    return 0;
}

static struct booke_text_view view_of(const struct vmmu_booke *booke)
{
    return (struct booke_text_view){ .vp = 2, .booke = booke, .real = &real, .state = user_state };
}

static void test_an_address_shows_the_guests_entry_and_the_processors_under_it(void **state)
{
    const struct booke_text_view view = view_of(&guest);

    (void)state;
    load(&guest, 0x10123456);
    booke_text_walk(&sink, &view, 0x10123456);
    EXPECT(strstr(text, "walk of 10123456 by VP 2, as user, IS 1, DS 1, PID 5 0 0\n"));
    EXPECT(strstr(text, "load   gpa 001123456\n"));
    EXPECT(strstr(text, "fetch  gpa 001123456\n"));
    EXPECT(strstr(text, "store  no right: data storage interrupt\n"));
    EXPECT(strstr(text,
                  "guest  TLB1 3       ea 10000000    16M  gpa 001000000  user r-x  super r-x  --M--  TS 1  "
                  "TID 5  protected\n"));
    EXPECT(strstr(text, "ea 10000000    16M  hpa 009000000  user r-x"));
    EXPECT(strstr(text, "TS 1  shadow "));
}

static void test_an_entry_that_was_never_used_has_none_beside_it(void **state)
{
    const struct booke_text_view view = view_of(&guest);

    (void)state;
    booke_text_walk(&sink, &view, 0x20003010);
    EXPECT(strstr(text, "guest  TLB0   3.1   ea 20003000     4K  gpa 000007000  user ---  super rwx"));
    EXPECT(strstr(text, "real   none: made when it is used\n"));
    EXPECT(strstr(text, "load   no right: data storage interrupt\n"));
}

static void test_an_address_that_nothing_maps_is_a_tlb_error(void **state)
{
    const struct booke_text_view view = view_of(&guest);

    (void)state;
    booke_text_walk(&sink, &view, 0x30000000);
    EXPECT(strstr(text, "load   no entry: data TLB error\n"));
    EXPECT(strstr(text, "fetch  no entry: instruction TLB error\n"));
    EXPECT(!strstr(text, "guest  "));
}

static void test_what_was_made_for_another_guest_is_not_shown(void **state)
{
    const struct booke_text_view view = view_of(&other);

    (void)state;
    load(&guest, 0x10123456);
    booke_text_walk(&sink, &view, 0x10123456);
    EXPECT(strstr(text, "guest  TLB1 3 "));
    EXPECT(strstr(text, "real   none: made when it is used\n"));
    EXPECT(!strstr(text, "shadow "));
}

static void test_the_document_holds_the_valid_entries_of_both(void **state)
{
    struct json json = { .put = put };

    (void)state;
    load(&guest, 0x10123456);
    booke_json_tlb(&json, 2, &guest, &real);
    EXPECT(strstr(text, "{\"vp\":2,\"pid\":[5,0,0],\"mas0\":"));
    EXPECT(strstr(text, "\"virtual\":[{\"index\":13,\"array\":0,\"set\":3,\"way\":1,"));
    EXPECT(strstr(
        text,
        ",{\"index\":515,\"array\":1,\"set\":0,\"way\":3,\"mas1\":\"0xc0051700\",\"mas2\":\"0x10000004\","
        "\"mas3\":\"0x1000033\",\"mas7\":\"0x0\",\"ea\":\"0x10000000\",\"gpa\":\"0x1000000\","
        "\"bytes\":\"0x1000000\",\"tid\":5,\"space\":1}]"));
    EXPECT(strstr(text, "\"real\":[{\"from\":515,\"array\":1,"));
    EXPECT(strstr(text, "\"ea\":\"0x10000000\",\"hpa\":\"0x9000000\",\"bytes\":\"0x1000000\",\"tid\":"));
    EXPECT_EQ(text[used - 1], '}');
}

static void test_counters_are_told_in_both_ways(void **state)
{
    struct json json = { .put = put };

    (void)state;
    load(&guest, 0x10123456);
    booke_text_counters(&sink, &real);
    EXPECT(strstr(text, "filled TLB1             1  likewise\n"));
    EXPECT(strstr(text, "evicted                 0  of these"));
    json_object(&json, NULL);
    booke_json_counters(&json, &real);
    json_end_object(&json);
    EXPECT(strstr(text, "{\"filled_tlb0\":0,\"filled_tlb1\":1,\"evicted\":0,"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_address_shows_the_guests_entry_and_the_processors_under_it, start),
        cmocka_unit_test_setup(test_an_entry_that_was_never_used_has_none_beside_it, start),
        cmocka_unit_test_setup(test_an_address_that_nothing_maps_is_a_tlb_error, start),
        cmocka_unit_test_setup(test_what_was_made_for_another_guest_is_not_shown, start),
        cmocka_unit_test_setup(test_the_document_holds_the_valid_entries_of_both, start),
        cmocka_unit_test_setup(test_counters_are_told_in_both_ways, start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
