/* Processors and paging registers drawn from a fuzzer's input. */
#ifndef TESTS_FUZZ_PAGING_H
#define TESTS_FUZZ_PAGING_H

#include <vmmu/mode.h>

#include "input.h"

/* Any processor that has a physical width; features need not fit together. Four bytes of input. */
struct vmmu_x86_cpu draw_cpu(struct input *input);

/*
 * Registers for one kind of paging, every other bit as the input has it. Most are a state that vmmu_mode_make
 * accepts if @cpu has the kind; with one input byte in 32 they are not made sound.
 */
struct vmmu_x86_paging_registers draw_registers(struct input *input, const struct vmmu_x86_cpu *cpu);

#endif
