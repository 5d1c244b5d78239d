/*
 * What the files of a task switch share.
 */
#ifndef VMMU_TASK_TASK_H
#define VMMU_TASK_TASK_H

#include <vmmu/task.h>

#define RFLAGS_FIXED    BIT64(1)
#define RFLAGS_NT       BIT64(14)
#define RFLAGS_RF       BIT64(16)
#define RFLAGS_VM       BIT64(17)
#define RFLAGS_AC       BIT64(18)

/* All that software can set: status, TF, IF, DF, IOPL, NT, RF, VM, AC, VIF, VIP, ID. */
#define RFLAGS_DEFINED  UINT32_C(0x003F7FD5)

#define VECTOR_TS       10
#define VECTOR_NP       11
#define VECTOR_SS       12
#define VECTOR_GP       13

/* In struct vmmu_x86_segment.attributes. */
#define TYPE_MASK       0x0Fu
#define TYPE_ACCESSED   0x01u /* of code and data */
#define TYPE_WRITABLE   0x02u /* of data; of code it means readable */
#define TYPE_CONFORMING 0x04u /* of code */
#define TYPE_CODE       0x08u
#define TYPE_BUSY       0x02u /* of a TSS */
#define TYPE_TSS32      0x08u /* of a TSS */
#define NOT_SYSTEM      0x10u
#define PRESENT         0x80u
#define DPL_SHIFT       5

/* With S: what a TSS, busy or not, 16-bit or 32-bit, and an LDT have there. */
#define KIND_MASK       (NOT_SYSTEM | TYPE_MASK)
#define KIND_TSS        0x01u
#define KIND_LDT        0x02u

#define SELECTOR_RPL    0x3u
#define SELECTOR_LOCAL  0x4u /* TI: in the LDT */
#define SELECTOR_INDEX  0xFFF8u

/* One switch at work. */
struct work {
    const struct vmmu_x86_task_request *request;
    struct vmmu_x86_task_state *state;
    const struct vmmu_x86_task_machine *machine;
    struct vmmu_x86_fault *fault;
};

/* A descriptor, and where it stands. */
struct descriptor {
    uint32_t at;
    struct vmmu_x86_segment segment;
};

/* The part of a TSS that is saved and loaded, in the order in which it stands there. */
enum field {
    FIELD_EIP,
    FIELD_EFLAGS,
    FIELD_GPR,
    FIELD_SELECTOR = FIELD_GPR + 8,
    FIELDS = FIELD_SELECTOR + VMMU_X86_SEGMENTS,
};

static inline unsigned dpl_of(const struct vmmu_x86_segment *segment)
{
    return segment->attributes >> DPL_SHIFT & 3;
}

static inline uint16_t dpl_bits(unsigned dpl)
{
    return (uint16_t)(dpl << DPL_SHIFT);
}

/* --- memory.c --- */

/* Read or write (VMMU_INSN_READ, _WRITE) 1 to 8 bytes anywhere. */
enum vmmu_status vmmu_task_access(const struct work *work, uint32_t at, unsigned size_bytes,
                                  enum vmmu_insn_access access, uint64_t *value);

/* Whether [at, at + size_bytes), at most a page, can be accessed; nothing is. */
enum vmmu_status vmmu_task_probe(const struct work *work, uint32_t at, unsigned size_bytes,
                                 enum vmmu_insn_access access);

/* Set and clear bits of the byte that holds a descriptor's type and P. */
enum vmmu_status vmmu_task_mark(const struct work *work, uint32_t descriptor_at, unsigned set,
                                unsigned clear);

/* The same, if the byte still has what @descriptor has; else VMMU_RACED. */
enum vmmu_status vmmu_task_claim(const struct work *work, const struct descriptor *descriptor, unsigned set);

/* Where a descriptor of the GDT stands. */
uint32_t vmmu_task_gdt_entry(const struct work *work, uint16_t selector);

/* Fetch a descriptor. What is null, or beyond the limit of its table, raises @vector. */
enum vmmu_status vmmu_task_fetch(const struct work *work, uint16_t selector, uint8_t vector,
                                 struct descriptor *out);

/* VMMU_GUEST_FAULT: @vector, with @selector and EXT in its error code. */
enum vmmu_status vmmu_task_raise(const struct work *work, uint8_t vector, uint16_t selector);

/* --- segments.c --- */

/*
 * Give all segment registers their selectors, and contents that no access passes; virtual-8086 mode's own in that
 * mode.
 */
void vmmu_task_reset_segments(const struct work *work, const uint32_t *selectors);

/* Load LDTR, which holds its selector, and the segment registers. */
enum vmmu_status vmmu_task_load_segments(const struct work *work, const uint32_t *selectors);

#endif
