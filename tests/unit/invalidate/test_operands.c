/* Which operands INVPCID, INVVPID, INVEPT and VMRUN refuse; what they refuse removes nothing. */
#include "tests/unit/test.h"

#include "intel.h"

#define EPTP_WB     UINT64_C(6)
#define EPTP_WALK_4 UINT64_C(0x18)
#define EPTP_WALK_5 UINT64_C(0x20)

struct refusal {
    const char *why;
    uint64_t type;
    uint64_t descriptor[2];
    enum vmmu_status status;
};

static struct vmmu_x86_invalidation operands_of(const struct refusal *row)
{
    return (struct vmmu_x86_invalidation){
        .type = row->type,
        .descriptor = { row->descriptor[0], row->descriptor[1] },
    };
}

static void expect_status(const struct refusal *row, enum vmmu_status status, struct vmmu_tlb_scopes scopes)
{
    if (status != row->status) {
        fail_msg("%s: status %d, expected %d", row->why, (int)status, (int)row->status);
    }
    EXPECT_EQ(removes_nothing(scopes), status != VMMU_OK);
}

static void expect_invpcid(const struct vmmu_x86_paging_registers *now, const struct refusal *rows,
                           unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct vmmu_x86_invalidation operands = operands_of(&rows[i]);
        struct vmmu_tlb_scopes scopes;
        const enum vmmu_status status =
            vmmu_invalidate_invpcid(&intel_guest, &intel_cpu, now, &operands, &scopes);

        expect_status(&rows[i], status, scopes);
    }
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void
test_invpcid_refuses_unknown_types_reserved_bits_and_addresses_that_are_not_canonical(void **state)
{
    static const struct refusal rows[] = {
        { "type 4", 4, { 0, 0 }, VMMU_GUEST_FAULT },
        { "a type beyond 32 bits", BIT64(32), { 0, 0 }, VMMU_GUEST_FAULT },
        { "the largest PCID", 1, { 0xfff, 0 }, VMMU_OK },
        { "reserved bit 12, type 0", 0, { BIT64(12), 0 }, VMMU_GUEST_FAULT },
        { "reserved bit 63, type 1", 1, { BIT64(63), 0 }, VMMU_GUEST_FAULT },
        { "reserved bit 12, type 2", 2, { BIT64(12), 0 }, VMMU_GUEST_FAULT },
        { "reserved bit 12, type 3", 3, { BIT64(12), 0 }, VMMU_GUEST_FAULT },
        { "not canonical, type 0", 0, { 0, BIT64(56) }, VMMU_GUEST_FAULT },
        { "canonical for 57 bits", 0, { 0, BIT64(55) }, VMMU_OK },
        { "canonical, upper half", 0, { 0, ~UINT64_C(0) << 56 }, VMMU_OK },
        { "not canonical, type 1", 1, { 0, BIT64(56) }, VMMU_OK },
        { "not canonical, type 2", 2, { 0, BIT64(56) }, VMMU_OK },
        { "not canonical, type 3", 3, { 0, BIT64(56) }, VMMU_OK },
    };

    (void)state;
    expect_invpcid(&long_mode, rows, COUNT(rows));
}

static void test_invpcid_refuses_a_pcid_while_pcide_is_clear_where_the_type_names_one(void **state)
{
    static const struct refusal rows[] = {
        { "PCID 1, type 0", 0, { 1, 0 }, VMMU_GUEST_FAULT },
        { "PCID 1, type 1", 1, { 1, 0 }, VMMU_GUEST_FAULT },
        { "PCID 0, type 0", 0, { 0, 0 }, VMMU_OK },
        { "PCID 0, type 1", 1, { 0, 0 }, VMMU_OK },
        { "PCID 1, type 2", 2, { 1, 0 }, VMMU_OK },
        { "PCID 1, type 3", 3, { 1, 0 }, VMMU_OK },
    };

    (void)state;
    expect_invpcid(&long_mode_without_pcids, rows, COUNT(rows));
}

static void test_a_processor_without_la57_wants_addresses_canonical_for_48_bits(void **state)
{
    struct vmmu_x86_cpu cpu = intel_cpu;
    const struct vmmu_x86_invalidation invpcid = { VMMU_X86_INVPCID_ADDRESS, { 5, BIT64(47) }, 0 };
    const struct vmmu_x86_invalidation invvpid = { VMMU_X86_INVVPID_ADDRESS, { 1, BIT64(47) }, 0 };
    struct vmmu_tlb_scopes scopes;

    (void)state;
    cpu.la57 = false;
    EXPECT_EQ(vmmu_invalidate_invpcid(&intel_guest, &cpu, &long_mode, &invpcid, &scopes), VMMU_GUEST_FAULT);
    EXPECT_EQ(vmmu_invalidate_invvpid(&cpu, &invvpid, &scopes), VMMU_INVALID);
}

static void test_invvpid_refuses_unknown_types_reserved_bits_vpid_0_and_addresses_not_canonical(void **state)
{
    static const struct refusal rows[] = {
        { "type 4", 4, { 1, 0 }, VMMU_INVALID },
        { "a type beyond 32 bits", BIT64(32), { 1, 0 }, VMMU_INVALID },
        { "the largest VPID", 1, { 0xffff, 0 }, VMMU_OK },
        { "reserved bit 16, type 0", 0, { BIT64(16) | 1, 0 }, VMMU_INVALID },
        { "reserved bit 63, type 1", 1, { BIT64(63) | 1, 0 }, VMMU_INVALID },
        { "reserved bit 16, type 2", 2, { BIT64(16), 0 }, VMMU_INVALID },
        { "reserved bit 16, type 3", 3, { BIT64(16) | 1, 0 }, VMMU_INVALID },
        { "VPID 0, type 0", 0, { 0, 0 }, VMMU_INVALID },
        { "VPID 0, type 1", 1, { 0, 0 }, VMMU_INVALID },
        { "VPID 0, type 2", 2, { 0, 0 }, VMMU_OK },
        { "VPID 0, type 3", 3, { 0, 0 }, VMMU_INVALID },
        { "not canonical, type 0", 0, { 1, BIT64(56) }, VMMU_INVALID },
        { "canonical for 57 bits", 0, { 1, BIT64(55) }, VMMU_OK },
        { "not canonical, type 1", 1, { 1, BIT64(56) }, VMMU_OK },
    };

    (void)state;
    for (unsigned i = 0; i < COUNT(rows); i++) {
        const struct vmmu_x86_invalidation operands = operands_of(&rows[i]);
        struct vmmu_tlb_scopes scopes;
        const enum vmmu_status status = vmmu_invalidate_invvpid(&intel_cpu, &operands, &scopes);

        expect_status(&rows[i], status, scopes);
    }
}

static void test_invept_refuses_unknown_types_and_eptps_that_vm_entry_would_refuse(void **state)
{
    static const struct refusal rows[] = {
        { "type 0", 0, { EPTP_WB | EPTP_WALK_4, 0 }, VMMU_INVALID },
        { "type 3", 3, { EPTP_WB | EPTP_WALK_4, 0 }, VMMU_INVALID },
        { "a type beyond 32 bits", BIT64(32) | 1, { EPTP_WB | EPTP_WALK_4, 0 }, VMMU_INVALID },
        { "write-back, 4 levels", 1, { EPTP_WB | EPTP_WALK_4, 0 }, VMMU_OK },
        { "uncached, 5 levels, A/D flags", 1, { EPTP_WALK_5 | BIT64(6), 0 }, VMMU_OK },
        { "memory type 1", 1, { 1 | EPTP_WALK_4, 0 }, VMMU_INVALID },
        { "3 levels", 1, { EPTP_WB | UINT64_C(0x10), 0 }, VMMU_INVALID },
        { "6 levels", 1, { EPTP_WB | UINT64_C(0x28), 0 }, VMMU_INVALID },
        { "reserved bit 7", 1, { EPTP_WB | EPTP_WALK_4 | BIT64(7), 0 }, VMMU_INVALID },
        { "reserved bit 11", 1, { EPTP_WB | EPTP_WALK_4 | BIT64(11), 0 }, VMMU_INVALID },
        { "the topmost address bit", 1, { EPTP_WB | EPTP_WALK_4 | BIT64(45), 0 }, VMMU_OK },
        { "an address beyond the width", 1, { EPTP_WB | EPTP_WALK_4 | BIT64(46), 0 }, VMMU_INVALID },
        { "bit 63", 1, { EPTP_WB | EPTP_WALK_4 | BIT64(63), 0 }, VMMU_INVALID },
        { "type 2 does not look at the EPTP", 2, { ~UINT64_C(0), 0 }, VMMU_OK },
    };

    (void)state;
    for (unsigned i = 0; i < COUNT(rows); i++) {
        const struct vmmu_x86_invalidation operands = operands_of(&rows[i]);
        struct vmmu_tlb_scopes scopes;
        const enum vmmu_status status = vmmu_invalidate_invept(&intel_cpu, &operands, &scopes);

        expect_status(&rows[i], status, scopes);
    }
}

static void test_vmrun_refuses_reserved_tlb_controls_and_asid_0(void **state)
{
    struct vmmu_tlb_scopes scopes;

    (void)state;
    for (unsigned control = 0; control <= 0xff; control++) {
        const bool known = control == 0 || control == 1 || control == 3 || control == 7;

        EXPECT_EQ(vmmu_invalidate_vmrun(1, (uint8_t)control, &scopes), known ? VMMU_OK : VMMU_INVALID);
        EXPECT_EQ(removes_nothing(scopes), !known || control == 0);
        EXPECT_EQ(vmmu_invalidate_vmrun(0, (uint8_t)control, &scopes), VMMU_INVALID);
        EXPECT(removes_nothing(scopes));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_invpcid_refuses_unknown_types_reserved_bits_and_addresses_that_are_not_canonical),
        cmocka_unit_test(test_invpcid_refuses_a_pcid_while_pcide_is_clear_where_the_type_names_one),
        cmocka_unit_test(test_a_processor_without_la57_wants_addresses_canonical_for_48_bits),
        cmocka_unit_test(test_invvpid_refuses_unknown_types_reserved_bits_vpid_0_and_addresses_not_canonical),
        cmocka_unit_test(test_invept_refuses_unknown_types_and_eptps_that_vm_entry_would_refuse),
        cmocka_unit_test(test_vmrun_refuses_reserved_tlb_controls_and_asid_0),
    };

    return RUN_TESTS(tests);
}
