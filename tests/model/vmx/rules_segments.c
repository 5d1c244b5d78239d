/* Spec: SDM 3C "Checks on Guest Segment Registers". */
#include "tests/model/vmx/rules.h"

#define SELECTOR_RPL     3u
#define SELECTOR_TI      4u
#define RIGHTS_RESERVED  (BITS64(11, 8))
#define RIGHTS_HIGH      (BITS64(31, 17))
#define V8086_LIMIT      0xFFFFu
#define V8086_RIGHTS     0xF3u
#define TYPE_ACCESSED    1u
#define TYPE_READABLE    2u
#define TYPE_CODE        8u
#define TYPE_DATA_WRITE  3u /* read/write, accessed */
#define TYPE_LDT         2u
#define TYPE_BUSY_TSS_16 3u
#define TYPE_BUSY_TSS    11u
#define LAST_WITH_DPL    11u /* data and non-conforming code: their DPL bounds the RPL */

static bool v8086(struct entry_check *check)
{
    return guest_has_flag(check, RFLAGS_VM);
}

static bool usable(struct entry_check *check, unsigned segment)
{
    return !(guest_rights(check, segment) & VMX_RIGHTS_UNUSABLE);
}

/* CS and TR are checked whatever their unusable bit says. */
static bool checked(struct entry_check *check, unsigned segment)
{
    return segment == CS || usable(check, segment);
}

static unsigned type_of(struct entry_check *check, unsigned segment)
{
    return (unsigned)guest_rights(check, segment) & VMX_RIGHTS_TYPE;
}

static unsigned dpl_of(struct entry_check *check, unsigned segment)
{
    return (unsigned)(guest_rights(check, segment) & VMX_RIGHTS_DPL) >> 5;
}

static unsigned rpl_of(struct entry_check *check, unsigned segment)
{
    return (unsigned)guest_selector(check, segment) & SELECTOR_RPL;
}

/* The limit in bytes needs the granularity that the G flag says. */
static bool bad_granularity(struct entry_check *check, unsigned segment)
{
    const uint64_t limit = guest_limit(check, segment);
    const bool granular = guest_rights(check, segment) & VMX_RIGHTS_GRANULAR;

    return ((limit & BITS64(11, 0)) != BITS64(11, 0) && granular) || (limit & BITS64(31, 20) && !granular);
}

static bool rights_have(struct entry_check *check, unsigned segment, uint64_t bits)
{
    return guest_rights(check, segment) & bits;
}

/* --- selectors, bases and limits --- */

static void rules_of_selectors(struct entry_check *check)
{
    REFUSE_IF(check, guest_selector(check, TR) & SELECTOR_TI, "the guest's TR selector has its TI flag set");
    REFUSE_IF(check, usable(check, LDTR) && guest_selector(check, LDTR) & SELECTOR_TI,
              "the guest's LDTR selector has its TI flag set");
    REFUSE_IF(check, !v8086(check) && !unrestricted(check) && rpl_of(check, SS) != rpl_of(check, CS),
              "the RPL of the guest's SS is not that of CS");
}

static void rules_of_v8086(struct entry_check *check)
{
    for (unsigned segment = ES; segment <= GS; segment++) {
        REFUSE_IF(check, v8086(check) && guest_base(check, segment) != guest_selector(check, segment) << 4,
                  "a base in virtual-8086 mode is not the selector's");
        REFUSE_IF(check, v8086(check) && guest_limit(check, segment) != V8086_LIMIT,
                  "a limit in virtual-8086 mode is not FFFFH");
        REFUSE_IF(check, v8086(check) && guest_rights(check, segment) != V8086_RIGHTS,
                  "access rights in virtual-8086 mode are not F3H");
    }
}

static void rules_of_bases(struct entry_check *check)
{
    REFUSE_IF(check, not_canonical(check, guest_base(check, TR)), "the guest's TR base is not canonical");
    REFUSE_IF(check, not_canonical(check, guest_base(check, FS)), "the guest's FS base is not canonical");
    REFUSE_IF(check, not_canonical(check, guest_base(check, GS)), "the guest's GS base is not canonical");
    REFUSE_IF(check, usable(check, LDTR) && not_canonical(check, guest_base(check, LDTR)),
              "the guest's LDTR base is not canonical");
    REFUSE_IF(check, guest_base(check, CS) >> 32, "the guest's CS base has more than 32 bits");
    for (unsigned segment = ES; segment <= DS; segment++) {
        REFUSE_IF(check, segment != CS && usable(check, segment) && guest_base(check, segment) >> 32,
                  "a base of ES, SS or DS has more than 32 bits");
    }
}

/* --- access rights of code and data, outside virtual-8086 mode --- */

/* Accessed code; with an unrestricted guest also data, as real mode has it. */
static bool bad_code_type(struct entry_check *check)
{
    const unsigned type = type_of(check, CS);

    return !(type & TYPE_CODE && type & TYPE_ACCESSED) && !(type == TYPE_DATA_WRITE && unrestricted(check));
}

static bool bad_stack_type(struct entry_check *check)
{
    return type_of(check, SS) != TYPE_DATA_WRITE && type_of(check, SS) != 7;
}

static bool bad_data_type(struct entry_check *check, unsigned segment)
{
    const unsigned type = type_of(check, segment);

    return !(type & TYPE_ACCESSED) || (type & TYPE_CODE && !(type & TYPE_READABLE));
}

static bool bad_code_dpl(struct entry_check *check)
{
    const unsigned dpl = dpl_of(check, CS);

    switch (type_of(check, CS)) {
    case 9:
    case 11: return dpl != dpl_of(check, SS);
    case 13:
    case 15: return dpl > dpl_of(check, SS);
    default: return dpl != 0; /* data */
    }
}

static bool bad_stack_dpl(struct entry_check *check)
{
    return (!unrestricted(check) && dpl_of(check, SS) != rpl_of(check, SS)) ||
           (dpl_of(check, SS) != 0 &&
            (type_of(check, CS) == TYPE_DATA_WRITE || !guest_cr0_has(check, VMMU_X86_CR0_PE)));
}

static bool bad_data_dpl(struct entry_check *check, unsigned segment)
{
    return !unrestricted(check) && usable(check, segment) && type_of(check, segment) <= LAST_WITH_DPL &&
           dpl_of(check, segment) < rpl_of(check, segment);
}

static void rules_of_code_and_stack(struct entry_check *check)
{
    REFUSE_IF(check, !v8086(check) && bad_code_type(check), "the guest's CS has a type that CS cannot have");
    REFUSE_IF(check, !v8086(check) && usable(check, SS) && bad_stack_type(check),
              "the guest's SS has a type that SS cannot have");
    REFUSE_IF(check, !v8086(check) && bad_code_dpl(check), "the guest's CS has a DPL that disagrees with SS");
    REFUSE_IF(check, !v8086(check) && bad_stack_dpl(check),
              "the guest's SS has a DPL that disagrees with its RPL, with CS or with CR0.PE");
    REFUSE_IF(check,
              !v8086(check) && long_guest(check) && rights_have(check, CS, VMX_RIGHTS_LONG) &&
                  rights_have(check, CS, VMX_RIGHTS_DB),
              "the guest's CS has both L and D in IA-32e mode");
}

static bool is_data(unsigned segment)
{
    return segment != CS && segment != SS;
}

static void rules_of_one(struct entry_check *check, unsigned segment)
{
    REFUSE_IF(check,
              is_data(segment) && !v8086(check) && usable(check, segment) && bad_data_type(check, segment),
              "a data segment has a type that it cannot have");
    REFUSE_IF(check, !v8086(check) && checked(check, segment) && !rights_have(check, segment, VMX_RIGHTS_S),
              "a segment's S flag is 0");
    REFUSE_IF(check, is_data(segment) && !v8086(check) && bad_data_dpl(check, segment),
              "a data segment's DPL is below its RPL");
    REFUSE_IF(check,
              !v8086(check) && checked(check, segment) && !rights_have(check, segment, VMX_RIGHTS_PRESENT),
              "a segment is not present");
    REFUSE_IF(check,
              !v8086(check) && checked(check, segment) &&
                  rights_have(check, segment, RIGHTS_RESERVED | RIGHTS_HIGH),
              "a segment's access rights set reserved bits");
    REFUSE_IF(check, !v8086(check) && checked(check, segment) && bad_granularity(check, segment),
              "a segment's G flag does not fit its limit");
}

/* --- TR and LDTR --- */

static bool bad_tss_type(struct entry_check *check)
{
    return type_of(check, TR) != TYPE_BUSY_TSS &&
           !(type_of(check, TR) == TYPE_BUSY_TSS_16 && !long_guest(check));
}

static void rules_of_tr(struct entry_check *check)
{
    REFUSE_IF(check, bad_tss_type(check), "the guest's TR is no busy TSS of its mode");
    REFUSE_IF(check, rights_have(check, TR, VMX_RIGHTS_S), "the guest's TR has its S flag set");
    REFUSE_IF(check, !rights_have(check, TR, VMX_RIGHTS_PRESENT), "the guest's TR is not present");
    REFUSE_IF(check, rights_have(check, TR, RIGHTS_RESERVED | RIGHTS_HIGH),
              "the guest's TR has access rights that set reserved bits");
    REFUSE_IF(check, bad_granularity(check, TR), "the guest's TR has a G flag that does not fit its limit");
    REFUSE_IF(check, !usable(check, TR), "the guest's TR is unusable");
}

static void rules_of_ldtr(struct entry_check *check)
{
    REFUSE_IF(check, usable(check, LDTR) && type_of(check, LDTR) != TYPE_LDT, "the guest's LDTR is no LDT");
    REFUSE_IF(check, usable(check, LDTR) && rights_have(check, LDTR, VMX_RIGHTS_S),
              "the guest's LDTR has its S flag set");
    REFUSE_IF(check, usable(check, LDTR) && !rights_have(check, LDTR, VMX_RIGHTS_PRESENT),
              "the guest's LDTR is not present");
    REFUSE_IF(check, usable(check, LDTR) && rights_have(check, LDTR, RIGHTS_RESERVED | RIGHTS_HIGH),
              "the guest's LDTR has access rights that set reserved bits");
    REFUSE_IF(check, usable(check, LDTR) && bad_granularity(check, LDTR),
              "the guest's LDTR has a G flag that does not fit its limit");
}

void entry_rules_of_guest_segments(struct entry_check *check)
{
    rules_of_selectors(check);
    rules_of_v8086(check);
    rules_of_bases(check);
    rules_of_code_and_stack(check);
    for (unsigned segment = ES; segment <= GS; segment++) {
        rules_of_one(check, segment);
    }
    rules_of_tr(check);
    rules_of_ldtr(check);
}
