/*
 * The hypervisor's calls and registers, as TLFS gives them: "Hypercall Interface", "Hypercall Code Reference", "Synthetic
 * MSRs", "Virtual Processor Register Names".
 *
 * Pages of the guest's that they use: the frames from CALL_PAGE on, which tests leave alone.
 */
#ifndef TESTS_GUESTS_CALLS_H
#define TESTS_GUESTS_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/guests/common/paging.h"

#define MSR_GUEST_OS_ID 0x40000000
#define MSR_HYPERCALL   0x40000001
#define MSR_VP_INDEX    0x40000002
#define MSR_SCONTROL    0x40000080
#define MSR_SIMP        0x40000083
#define MSR_EOM         0x40000084
#define MSR_SINT0       0x40000090

#define CALL_PAGE       FRAME(8)
#define INPUT_PAGE      FRAME(10)
#define OUTPUT_PAGE     FRAME(12)
#define MESSAGE_PAGE    FRAME(13)

/* Call codes. */
enum {
    CALL_SWITCH_SPACE = 0x0001,
    CALL_FLUSH_SPACE = 0x0002,
    CALL_FLUSH_LIST = 0x0003,
    CALL_LONG_SPIN = 0x0008,
    CALL_FLUSH_SPACE_EX = 0x0013,
    CALL_FLUSH_LIST_EX = 0x0014,
    CALL_MAP_PAGES = 0x004b,
    CALL_UNMAP_PAGES = 0x004c,
    CALL_GET_REGISTERS = 0x0050,
    CALL_SET_REGISTERS = 0x0051,
    CALL_TRANSLATE = 0x0052,
    CALL_READ_GPA = 0x0053,
    CALL_WRITE_GPA = 0x0054,
    CALL_FLUSH_PHYSICAL_SPACE = 0x00af,
    CALL_FLUSH_PHYSICAL_LIST = 0x00b0,
};

/* Parts of the input value beside the code. */
#define CALL_FAST            BIT64(16)
#define CALL_HEADER_WORDS(n) ((uint64_t)(n) << 17)
#define CALL_REPS(n)         ((uint64_t)(n) << 32)
#define CALL_START(n)        ((uint64_t)(n) << 48)

/* Flags of a flush. */
#define FLUSH_ALL_VPS        BIT64(0)
#define FLUSH_ALL_SPACES     BIT64(1)
#define FLUSH_NOT_GLOBAL     BIT64(2)

/* Formats of a set of processors. */
#define SET_SPARSE           0
#define SET_ALL              1

enum status {
    STATUS_SUCCESS = 0,
    STATUS_INVALID_CODE = 2,
    STATUS_INVALID_INPUT = 3,
    STATUS_INVALID_ALIGNMENT = 4,
    STATUS_INVALID_PARAMETER = 5,
    STATUS_ACCESS_DENIED = 6,
    STATUS_INVALID_STATE = 7,
    STATUS_NO_MEMORY = 11,
    STATUS_INVALID_PARTITION = 13,
    STATUS_INVALID_VP = 14,
};

#define PARTITION_SELF UINT64_MAX
#define VP_SELF        0xfffffffe

/* Names of registers. */
enum {
    REGISTER_EXPLICIT_SUSPEND = 0x00000000,
    REGISTER_INTERCEPT_SUSPEND = 0x00000001,
    REGISTER_RAX = 0x00020000,
    REGISTER_RCX,
    REGISTER_RDX,
    REGISTER_RBX,
    REGISTER_RSP,
    REGISTER_RBP,
    REGISTER_RSI,
    REGISTER_RDI,
    REGISTER_RIP = 0x00020010,
    REGISTER_RFLAGS,
    REGISTER_CR0 = 0x00040000,
    REGISTER_CR2,
    REGISTER_CR3,
    REGISTER_CR4,
    REGISTER_CR8,
    REGISTER_DR0 = 0x00050000,
    REGISTER_ES = 0x00060000,
    REGISTER_CS,
    REGISTER_SS,
    REGISTER_DS,
    REGISTER_FS,
    REGISTER_GS,
    REGISTER_LDTR,
    REGISTER_TR,
    REGISTER_IDTR = 0x00070000,
    REGISTER_GDTR,
    REGISTER_EFER = 0x00080001,
    REGISTER_KERNEL_GS_BASE,
    REGISTER_APIC_BASE,
    REGISTER_PAT,
    REGISTER_SYSENTER_CS,
    REGISTER_SYSENTER_EIP,
    REGISTER_SYSENTER_ESP,
};

/* Of REGISTER_INTERCEPT_SUSPEND. */
#define SUSPENDED          BIT64(0)
#define FLUSH_INHIBIT      BIT64(1)

#define TRANSLATE_READ     BIT64(0)
#define TRANSLATE_WRITE    BIT64(1)
#define TRANSLATE_EXECUTE  BIT64(2)
#define TRANSLATE_EXEMPT   BIT64(3)
#define TRANSLATE_SET_BITS BIT64(4)
#define TRANSLATE_INHIBIT  BIT64(5)

#define MAP_READ           1
#define MAP_WRITE          2
#define MAP_EXECUTE        4

/* Whether there is a hypervisor that speaks this. */
bool calls_offered(void);

/* Say who we are, and have the hypercall page at CALL_PAGE. */
void calls_start(void);
void calls_stop(void);

/* One call through the page: the input value and its two parameters; the result value. */
uint64_t hypercall(uint64_t value, uint64_t input, uint64_t output);

/* Of a result; both are kept as the detail of the next failure. */
enum status status_of(uint64_t result);
unsigned reps_of(uint64_t result);

/* The words of the input and the output page. */
volatile uint64_t *call_input(void);
volatile uint64_t *call_output(void);

/* --- flushes: with the input page --- */

struct flush {
    uint64_t space, flags, mask;
};

uint64_t flush_space(struct flush flush);

/* The list's @count elements from @list. */
uint64_t flush_list(struct flush flush, const uint64_t *list, unsigned count);

/* The Ex forms; the set is @format and, for SET_SPARSE, bank 0 with @flush's mask. */
uint64_t flush_space_ex(struct flush flush, uint64_t format);
uint64_t flush_list_ex(struct flush flush, uint64_t format, const uint64_t *list, unsigned count);

/* --- calls about a partition's processor --- */

struct target {
    uint64_t partition;
    uint32_t vp;
};

/* A register's 128 bits. */
struct value {
    uint64_t low, high;
};

enum status register_get(struct target target, uint32_t name, struct value *value);
enum status register_set(struct target target, uint32_t name, struct value value);

/* The low half alone; what cannot be got is a bail out. */
uint64_t register_read(struct target target, uint32_t name);
enum status register_write(struct target target, uint32_t name, uint64_t value);

struct translation {
    uint32_t code;
    uint8_t cache_type;
    bool overlay;
    uint64_t page;
};
enum status translate(struct target target, uint64_t control, uint64_t va, struct translation *out);

/* @bytes up to 16 at @gpa; *code is the call's own. */
enum status gpa_read(struct target target, uint64_t gpa, void *to, unsigned bytes, uint32_t *code);
enum status gpa_write(struct target target, uint64_t gpa, const void *from, unsigned bytes, uint32_t *code);

/* @count pages from @child_page on, with the pages of ours from @page on. Success with fewer done is a bail out. */
enum status pages_map(uint64_t partition, uint64_t child_page, uint32_t rights, uint64_t page,
                      unsigned count);
enum status pages_unmap(uint64_t partition, uint64_t child_page, unsigned count);

#endif
