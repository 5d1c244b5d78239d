/* Register files of a virtual processor, and HvSetVpRegisters on them, for the tests of this folder. */
#ifndef TESTS_UNIT_HYPERV_REGISTER_FILE_H
#define TESTS_UNIT_HYPERV_REGISTER_FILE_H

#include "tests/unit/hyperv/calling.h"

/* One element: a name, and the 16 bytes of its value. */
struct setting {
    uint32_t name;
    uint64_t low;
    uint64_t high;
};

/* A processor of 40 address bits with long mode, LA57, PCID, NX, FSGSBASE and the rest. */
extern const struct vmmu_x86_cpu register_cpu;

/* Rules of that processor, under policies that ignore what is to be ignored; memory of 64 KiB of zeros, but for words put there. */
struct vmmu_hyperv_register_rules register_rules(void);
void register_ram_put(uint64_t gpa, uint64_t word);

/* Kernel code in long mode with 4-level paging; in 32-bit mode with PAE paging; in real mode as after reset. */
struct vmmu_hyperv_registers long_mode_registers(void);
struct vmmu_hyperv_registers pae_registers(void);
struct vmmu_hyperv_registers real_mode_registers(void);

/* As many as a page of input holds. */
#define MOST_SETTINGS 127

/* Set @count registers of @registers by one call. */
struct vmmu_hyperv_register_changes set_by_rules(const struct vmmu_hyperv_register_rules *rules,
                                                 struct vmmu_hyperv_registers *registers,
                                                 const struct setting *settings, unsigned count);
struct vmmu_hyperv_register_changes set_many(struct vmmu_hyperv_registers *registers,
                                             const struct setting *settings, unsigned count);

/* Set one; the status. What is refused must leave the register file as it was. */
uint64_t set_one(struct vmmu_hyperv_registers *registers, uint32_t name, uint64_t low, uint64_t high);

/* Read one into @value; the status. */
uint64_t get_one(const struct vmmu_hyperv_registers *registers, uint32_t name, uint64_t value[2]);

/* The second word of a segment's value: limit, selector, attributes. */
uint64_t segment_word(uint32_t limit, uint16_t selector, uint16_t attributes);

#endif
