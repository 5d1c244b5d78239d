/*
 * The calling convention of hypercalls, and every status that a partition without children can be given: codes, fields of
 * the input value, places of input and output, parameters, privileges; callers of both widths; and repeated calls, which
 * are done in pieces so that interrupts come in between. TLFS "Hypercall Interface".
 *
 * Guest: inside only
 * Guest: run the usual policies: --cpus 2 -- cpus=2
 * Guest: run flush.empty=error: --cpus 2 --policy flush.empty=error -- cpus=2 flush.empty=error
 */
#include "tests/guests/common/calls.h"
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define ALL           (FLUSH_ALL_VPS | FLUSH_ALL_SPACES)

/* Elements of a list that fills its page behind the header of a flush. */
#define LONG_LIST     ((4096 - 24) / 8)

/* The end of a page: a list that begins here goes over it. */
#define PAGE_END      (INPUT_PAGE + PAGE_BYTES - 8)

/* No memory of this guest's, but an address that its processor has. */
#define NOWHERE       UINT64_C(0x3f00000000)

/* Flags that no flush has. */
#define FLUSH_UNKNOWN BIT64(40)

struct call {
    const char *sentence;
    uint64_t value, input, output;
    enum status status;
    unsigned reps;
};

static void check(const struct call *calls, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const uint64_t result = hypercall(calls[i].value, calls[i].input, calls[i].output);
        detail("result %q, not status %u with %u repetitions", result, (unsigned)calls[i].status,
               calls[i].reps);
        report((result & 0xffff) == calls[i].status && (result >> 32) == calls[i].reps, "%s",
               calls[i].sentence);
    }
}

#define CHECK(calls) check(calls, sizeof(calls) / sizeof((calls)[0]))

static void input_set(uint64_t space, uint64_t flags, uint64_t mask)
{
    volatile uint64_t *input = call_input();
    input[0] = space;
    input[1] = flags;
    input[2] = mask;
    input[3] = 0;
    input[4] = 0;
}

static void test_codes(void)
{
    static const struct call calls[] = {
        { "code 0 is an invalid code", 0, INPUT_PAGE, 0, STATUS_INVALID_CODE, 0 },
        { "an unknown code is an invalid code", 0x7fff, INPUT_PAGE, 0, STATUS_INVALID_CODE, 0 },
        { "and so is the largest", 0xffff, INPUT_PAGE, 0, STATUS_INVALID_CODE, 0 },
        { "a flush of a space succeeds", CALL_FLUSH_SPACE, INPUT_PAGE, 0, STATUS_SUCCESS, 0 },
        { "a flush of a list succeeds, with all its repetitions", CALL_FLUSH_LIST | CALL_REPS(2), INPUT_PAGE,
          0, STATUS_SUCCESS, 2 },
        { "a list that is begun in its midst is done to its end",
          CALL_FLUSH_LIST | CALL_REPS(3) | CALL_START(2), INPUT_PAGE, 0, STATUS_SUCCESS, 3 },
        { "HvNotifyLongSpinWait succeeds", CALL_LONG_SPIN, INPUT_PAGE, 0, STATUS_SUCCESS, 0 },
        { "and with its input in registers", CALL_LONG_SPIN | CALL_FAST, 1000, 0, STATUS_SUCCESS, 0 },
    };
    input_set(0, ALL, 0);
    CHECK(calls);
}

/* Fields of the input value. */
static void test_fields(void)
{
    static const struct call calls[] = {
        { "reserved bit 27 is invalid input", CALL_FLUSH_SPACE | BIT64(27), INPUT_PAGE, 0,
          STATUS_INVALID_INPUT, 0 },
        { "reserved bit 30 is invalid input", CALL_FLUSH_SPACE | BIT64(30), INPUT_PAGE, 0,
          STATUS_INVALID_INPUT, 0 },
        { "reserved bit 44 is invalid input", CALL_FLUSH_SPACE | BIT64(44), INPUT_PAGE, 0,
          STATUS_INVALID_INPUT, 0 },
        { "reserved bit 60 is invalid input", CALL_FLUSH_SPACE | BIT64(60), INPUT_PAGE, 0,
          STATUS_INVALID_INPUT, 0 },
        { "reserved bit 63 is invalid input", CALL_FLUSH_SPACE | BIT64(63), INPUT_PAGE, 0,
          STATUS_INVALID_INPUT, 0 },
        { "repetitions of a simple call are invalid input", CALL_FLUSH_SPACE | CALL_REPS(1), INPUT_PAGE, 0,
          STATUS_INVALID_INPUT, 0 },
        { "a start in a simple call is invalid input", CALL_FLUSH_SPACE | CALL_START(1), INPUT_PAGE, 0,
          STATUS_INVALID_INPUT, 0 },
        { "a repeated call without repetitions is invalid input", CALL_FLUSH_LIST, INPUT_PAGE, 0,
          STATUS_INVALID_INPUT, 0 },
        { "a start at the number of repetitions is invalid input",
          CALL_FLUSH_LIST | CALL_REPS(1) | CALL_START(1), INPUT_PAGE, 0, STATUS_INVALID_INPUT, 0 },
        { "a start beyond it is invalid input", CALL_FLUSH_LIST | CALL_REPS(1) | CALL_START(9), INPUT_PAGE, 0,
          STATUS_INVALID_INPUT, 0 },
        { "a variable header of a call that has none is invalid input",
          CALL_FLUSH_SPACE | CALL_HEADER_WORDS(1), INPUT_PAGE, 0, STATUS_INVALID_INPUT, 0 },
        { "a variable header without a bank of processors is invalid input",
          CALL_FLUSH_SPACE_EX | CALL_HEADER_WORDS(1), INPUT_PAGE, 0, STATUS_INVALID_INPUT, 0 },
        { "a flush, whose input is longer than two registers, cannot be fast", CALL_FLUSH_SPACE | CALL_FAST,
          0, 0, STATUS_INVALID_INPUT, 0 },
        { "nor can one of a list", CALL_FLUSH_LIST | CALL_FAST | CALL_REPS(1), 0, 0, STATUS_INVALID_INPUT,
          0 },
    };
    input_set(0, ALL, SET_SPARSE);
    CHECK(calls);
}

/* Where the input is. */
static void test_places(void)
{
    static const struct call calls[] = {
        { "input at an odd multiple of 4 is invalid alignment", CALL_FLUSH_SPACE, INPUT_PAGE + 4, 0,
          STATUS_INVALID_ALIGNMENT, 0 },
        { "input at an odd address is invalid alignment", CALL_FLUSH_SPACE, INPUT_PAGE + 1, 0,
          STATUS_INVALID_ALIGNMENT, 0 },
        { "input that goes over the end of a page is invalid alignment", CALL_FLUSH_SPACE, PAGE_END, 0,
          STATUS_INVALID_ALIGNMENT, 0 },
        { "input up to the end of a page is none", CALL_FLUSH_SPACE, PAGE_END - 16, 0, STATUS_SUCCESS, 0 },
        { "a list that fills its page is done", CALL_FLUSH_LIST | CALL_REPS(LONG_LIST), INPUT_PAGE, 0,
          STATUS_SUCCESS, LONG_LIST },
        { "one element more is invalid alignment", CALL_FLUSH_LIST | CALL_REPS(LONG_LIST + 1), INPUT_PAGE, 0,
          STATUS_INVALID_ALIGNMENT, 0 },
        { "input in no memory is invalid alignment", CALL_FLUSH_SPACE, NOWHERE, 0, STATUS_INVALID_ALIGNMENT,
          0 },
        { "input beyond the physical addresses is invalid alignment", CALL_FLUSH_SPACE, UINT64_C(1) << 60, 0,
          STATUS_INVALID_ALIGNMENT, 0 },
    };
    memset((void *)INPUT_PAGE, 0, PAGE_BYTES);
    input_set(0, ALL, 0);
    memcpy((void *)(PAGE_END - 16), (const void *)INPUT_PAGE, 24);
    CHECK(calls);
}

static void test_parameters(void)
{
    const uint64_t list[] = { 0 };
    const struct flush plain = { 0, ALL, 0 }, unknown = { 0, ALL | FLUSH_UNKNOWN, 0 };
    const struct flush sparing = { 0, ALL | FLUSH_NOT_GLOBAL, 0 };
    const struct {
        const char *sentence;
        uint64_t result;
        enum status status;
    } results[] = {
        { "an unknown flag of a flush is an invalid parameter", flush_space(unknown),
          STATUS_INVALID_PARAMETER },
        { "of a list", flush_list(unknown, list, 1), STATUS_INVALID_PARAMETER },
        { "of the Ex form", flush_space_ex(unknown, SET_ALL), STATUS_INVALID_PARAMETER },
        { "of the Ex form of a list", flush_list_ex(unknown, SET_ALL, list, 1), STATUS_INVALID_PARAMETER },
        { "a flush of a space may spare global pages", flush_space(sparing), STATUS_SUCCESS },
        { "and in its Ex form", flush_space_ex(sparing, SET_ALL), STATUS_SUCCESS },
        { "that of a list may not", flush_list(sparing, list, 1), STATUS_INVALID_PARAMETER },
        { "nor in its Ex form", flush_list_ex(sparing, SET_ALL, list, 1), STATUS_INVALID_PARAMETER },
        { "a set of no known format is an invalid parameter", flush_space_ex(plain, 2),
          STATUS_INVALID_PARAMETER },
    };
    for (unsigned i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        detail("result %q", results[i].result);
        report((results[i].result & 0xffff) == results[i].status, "%s", results[i].sentence);
    }
}

/* Policy flush.empty. */
static void test_no_processors(void)
{
    const bool is_error = option("flush.empty=error");
    const enum status wanted = is_error ? STATUS_INVALID_PARAMETER : STATUS_SUCCESS;
    const uint64_t list[] = { 0 };
    const struct flush none = { 0, FLUSH_ALL_SPACES, 0 };
    const char *says = is_error ? "is an invalid parameter" : "is one of all";
    report(status_of(flush_space(none)) == wanted, "a flush of no processors %s", says);
    report(status_of(flush_list(none, list, 1)) == wanted, "and a list's %s", says);
    const struct flush all = { 0, FLUSH_ALL_SPACES | FLUSH_ALL_VPS, 0 };
    report(status_of(flush_space(all)) == STATUS_SUCCESS, "the flag for all processors makes the mask none");
}

/* What only parents may: TLFS "Partition Privilege Flags". */
static void test_privileges(void)
{
    static const struct {
        const char *name;
        uint64_t value;
    } calls[] = {
        { "HvMapGpaPages", CALL_MAP_PAGES | CALL_REPS(1) },
        { "HvUnmapGpaPages", CALL_UNMAP_PAGES | CALL_REPS(1) },
        { "HvSetVpRegisters", CALL_SET_REGISTERS | CALL_REPS(1) },
        { "HvTranslateVirtualAddress", CALL_TRANSLATE },
        { "HvReadGpa", CALL_READ_GPA },
        { "HvWriteGpa", CALL_WRITE_GPA },
        { "HvCreatePartition", 0x0040 },
        { "HvDepositMemory", 0x0048 | CALL_REPS(1) },
        { "HvPostMessage", 0x005c },
    };
    memset((void *)INPUT_PAGE, 0xff, 64);
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        report(status_of(hypercall(calls[i].value, INPUT_PAGE, OUTPUT_PAGE)) == STATUS_ACCESS_DENIED,
               "%s is denied to a partition without children", calls[i].name);
    }
    struct value value;
    const bool may = cpuid(0x40000003, 0).b >> 17 & 1;
    const struct target self = { PARTITION_SELF, VP_SELF };
    const enum status status = register_get(self, REGISTER_CR3, &value);
    report(status == (may ? STATUS_SUCCESS : STATUS_ACCESS_DENIED),
           "HvGetVpRegisters of the caller itself is as CPUID says");
    report(!may || value.low == cr3_read(), "and tells what the register holds");
}

/* TLFS "HvFlushGuestPhysicalAddressSpace": a partition that has no second-level spaces of its own names none. */
static void test_guest_physical(void)
{
    static const struct call calls[] = {
        { "a flush of guest-physical addresses succeeds", CALL_FLUSH_PHYSICAL_SPACE, INPUT_PAGE, 0,
          STATUS_SUCCESS, 0 },
        { "and with its input in registers", CALL_FLUSH_PHYSICAL_SPACE | CALL_FAST, 0, 0, STATUS_SUCCESS, 0 },
        { "of a list, too", CALL_FLUSH_PHYSICAL_LIST | CALL_REPS(2), INPUT_PAGE, 0, STATUS_SUCCESS, 2 },
        { "of a space that is not there is an invalid parameter", CALL_FLUSH_PHYSICAL_SPACE | CALL_FAST,
          0x1000, 0, STATUS_INVALID_PARAMETER, 0 },
        { "with an unknown flag, too", CALL_FLUSH_PHYSICAL_SPACE | CALL_FAST, 0, 0x80,
          STATUS_INVALID_PARAMETER, 0 },
    };
    input_set(0, 0, 0);
    CHECK(calls);
}

/* --- callers --- */

static void test_disabled(void)
{
    calls_stop();
    TRY("vmmcall", ::"a"(0), "b"(0), "c"(0), "d"(0) : "memory", "cc");
    const bool amd = trap_last.vector == VECTOR_UNDEFINED;
    TRY("vmcall", ::"a"(0), "b"(0), "c"(0), "d"(0) : "memory", "cc");
    report(amd && trap_last.vector == VECTOR_UNDEFINED, "while there is no hypercall page a call raises #UD");
    calls_start();
}

#ifdef __x86_64__
/* The registers of 32-bit code around a call. */
struct narrow {
    uint32_t eax, edx, ebx, ecx, edi, esi, page;
};

void narrow_call(struct narrow *registers);

__asm__(".text\n"
        "narrow_call:\n\t"
        "push %rbx; push %rbp; mov %rdi, %rbp\n\t"
        "pushq $0x38; pushq $1f; lretq\n"
        ".code32\n"
        "1: movl (%ebp), %eax; movl 4(%ebp), %edx; movl 8(%ebp), %ebx; movl 12(%ebp), %ecx\n\t"
        "movl 16(%ebp), %edi; movl 20(%ebp), %esi\n\t"
        "call *24(%ebp)\n\t"
        "movl %eax, (%ebp); movl %edx, 4(%ebp)\n\t"
        "ljmp $0x08, $2f\n"
        ".code64\n"
        "2: pop %rbp; pop %rbx; ret\n");

static uint64_t hypercall_narrow(uint64_t value, uint64_t input, uint64_t output)
{
    struct narrow registers = { (uint32_t)value,    (uint32_t)(value >> 32),  (uint32_t)(input >> 32),
                                (uint32_t)input,    (uint32_t)(output >> 32), (uint32_t)output,
                                (uint32_t)CALL_PAGE };
    narrow_call(&registers);
    return (uint64_t)registers.edx << 32 | registers.eax;
}

static void test_narrow(void)
{
    input_set(0, ALL, 0);
    uint64_t result = hypercall_narrow(CALL_FLUSH_SPACE, INPUT_PAGE, 0);
    report(status_of(result) == STATUS_SUCCESS,
           "32-bit code of a 64-bit guest makes a call by its own registers");
    result = hypercall_narrow(CALL_FLUSH_LIST | CALL_REPS(LONG_LIST), INPUT_PAGE, 0);
    report(status_of(result) == STATUS_SUCCESS && reps_of(result) == LONG_LIST, "a long one, too");
    result = hypercall_narrow(CALL_LONG_SPIN | CALL_FAST, 5, 0);
    report(status_of(result) == STATUS_SUCCESS, "a fast one, too");
    result = hypercall_narrow(0x7fff, 0, 0);
    report(status_of(result) == STATUS_INVALID_CODE, "and is told what is wrong");
}
#endif

/* --- interrupts in between --- */

/* The timer's delay, which grows from call to call, so that some interrupt comes within one on a machine of any speed. */
#define TICKS_FIRST 500U
#define TICKS_LAST  0x8000000U
#define ATTEMPTS    600

static volatile unsigned between, starts_seen;
static volatile uint64_t input_value_seen;

/* An interrupt between two pieces of a call finds RIP at the call, and the input value moved on. */
static void on_timer(struct trap_frame *frame)
{
#ifdef __x86_64__
    const uint64_t value = frame->cx;
#else
    const uint64_t value = (uint64_t)frame->dx << 32 | frame->ax;
#endif
    irq_counts[VECTOR_TIMER]++;
    if (frame->ip == CALL_PAGE) {
        input_value_seen = value;
        const unsigned start = (unsigned)(value >> 48 & 0xfff);
        starts_seen = start > starts_seen ? start : starts_seen;
        between += start != 0;
    }
    apic_write(APIC_EOI, 0);
}

/* A long list while the timer runs; false if it is not done as a whole. */
static bool call_with_timer(uint32_t ticks)
{
    apic_write(APIC_INITIAL, ticks);
    const uint64_t result = hypercall(CALL_FLUSH_LIST | CALL_REPS(LONG_LIST), INPUT_PAGE, 0);
    apic_write(APIC_INITIAL, 0);
    return (result & 0xffff) == STATUS_SUCCESS && result >> 32 == LONG_LIST;
}

static void test_continuation(void)
{
    unsigned wrong = 0, attempts = 0;
    uint32_t ticks = TICKS_FIRST;
    between = starts_seen = 0;
    irq_start(false);
    irq_counts[VECTOR_TIMER] = 0;
    trap_hook_set(VECTOR_TIMER, on_timer);
    apic_write(APIC_DIVIDE, 0xb);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    memset((void *)INPUT_PAGE, 0, PAGE_BYTES);
    input_set(0, ALL, 0);
    interrupts_on();
    while (between < 3 && attempts < ATTEMPTS) {
        wrong += !call_with_timer(ticks);
        ticks = ticks < TICKS_LAST ? ticks + ticks / 8 : TICKS_FIRST;
        attempts++;
    }
    interrupts_off();
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    irq_stop();
    trap_hook_set(VECTOR_TIMER, 0);
    comment("%u interrupts in %u calls, %u of them within one, the last behind element %u",
            irq_counts[VECTOR_TIMER], attempts, between, starts_seen);
    report(wrong == 0, "a long list with interrupts in between is done to its end");
    detail("%u interrupts in %u calls", irq_counts[VECTOR_TIMER], attempts);
    report(between != 0, "an interrupt within the call finds RIP at it, and its start moved on");
    detail("input value %q", input_value_seen);
    report(between == 0 ||
               (input_value_seen & ~CALL_START(0xfff)) == (CALL_FLUSH_LIST | CALL_REPS(LONG_LIST)),
           "and the rest of the input value as it was");
    report(starts_seen < LONG_LIST, "no start is beyond the list");
}

void guest_main(void)
{
    if (!calls_offered()) {
        report_skip_all("no hypervisor");
    }
    calls_start();
    test_codes();
    test_fields();
    test_places();
    test_parameters();
    test_no_processors();
    test_privileges();
    test_guest_physical();
    test_disabled();
#ifdef __x86_64__
    test_narrow();
#endif
    test_continuation();
    calls_stop();
}
