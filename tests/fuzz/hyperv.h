/* What the target of the Hyper-V interface is made of: a partition that calls, and one that is called on. */
#ifndef TESTS_FUZZ_HYPERV_H
#define TESTS_FUZZ_HYPERV_H

#include <vmmu/hyperv.h>

#include "memory.h"

#define HYPERV_VPS 2

/* A virtual processor of another partition: its registers, and the memory that its tables lie in. */
struct child {
    struct vmmu_x86_cpu cpu;
    struct memory memory;
    struct vmmu_ram ram;
    struct vmmu_hyperv_policy policy;
    struct vmmu_hyperv_register_rules rules;
    struct vmmu_hyperv_registers registers;
    struct vmmu_hyperv_pats pats;
    uint32_t pkru;
    uint32_t pkrs;
    bool pdpte_in_memory;
    uint8_t odd_pages; /* how its pages differ from plain memory: see child_page() */
};

struct guest {
    struct vmmu_hyperv_partition partition;
    struct vmmu_hyperv_vp vp[HYPERV_VPS];
    uint32_t assist_word[HYPERV_VPS];
    uint64_t tsc;
    uint64_t time;
    struct child child;
};

/* Draw a child in a state that a processor can be in. */
void child_draw(struct child *child, struct input *input);

/* What stands at @gpa, the same for an address each time. @context: the child. */
struct vmmu_hyperv_page child_page(void *context, vmmu_gpa gpa);

/* The registers of the child that paging asks for. */
struct vmmu_x86_paging_registers child_paging(const struct child *child);

/* Write names, and values of the child's own with a few bits changed, over what the input has in @pairs. */
void child_name_registers(const struct child *child, struct input *input, uint8_t *list, unsigned count,
                          bool values);

/* Perform what a call asks of the child, and check what comes of it; the status, and in *done the elements. */
enum vmmu_hyperv_result child_get(struct child *child, const struct vmmu_hyperv_call *call,
                                  const struct vmmu_hyperv_call_outcome *outcome, const uint8_t *block,
                                  uint16_t *done);
enum vmmu_hyperv_result child_set(struct child *child, const struct vmmu_hyperv_call_outcome *outcome,
                                  const uint8_t *block, uint16_t *done);
enum vmmu_hyperv_result child_switch(struct child *child, uint64_t address_space);
void child_translate(struct child *child, const struct vmmu_hyperv_translate *request);
void child_access(struct child *child, const struct vmmu_hyperv_access *access, bool write);

/* One hypercall of virtual processor @who, through to the registers that it leaves. */
void hyperv_call(struct input *input, struct guest *guest, unsigned who);

#endif
