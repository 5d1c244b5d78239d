/*
 * The capability registers of VT-x as processors have them: IA32_VMX_BASIC (0x480) and those that follow it.
 * From MSR dumps of real machines, and of Bochs 2.7's models of processors.
 */
#ifndef TESTS_UNIT_VMX_PROCESSORS_H
#define TESTS_UNIT_VMX_PROCESSORS_H

#include "hv/x86/vmx/capabilities.h"

enum {
    BASIC,
    PIN,
    PROCESSOR,
    EXIT,
    ENTRY,
    MISC,
    CR0_FIXED0,
    CR0_FIXED1,
    CR4_FIXED0,
    CR4_FIXED1,
    FIELDS,
    PROCESSOR2,
    EPT_VPID,
    TRUE_PIN,
    TRUE_PROCESSOR,
    TRUE_EXIT,
    TRUE_ENTRY,
    REGISTERS
};

#define FIRST_REGISTER 0x480u

/* Registers that a processor has not got are read as a failure of the test. */
struct processor {
    const char *name;
    unsigned registers; /* how many it has */
    uint64_t value[REGISTERS];
};

extern const struct processor merom;     /* Core 2: no secondary controls, no TRUE registers */
extern const struct processor penryn;    /* Core 2 of 45 nm: secondary controls without EPT and VPID */
extern const struct processor lynnfield; /* Bochs: EPT without unrestricted guests */
extern const struct processor sandy_bridge;
extern const struct processor broadwell;
extern const struct processor haswell; /* Bochs */

/* What @processor offers. */
struct vmx_capabilities capabilities_of(const struct processor *processor);

/* @processor without @bits among those that may be set, in the register @index and its TRUE counterpart. */
struct processor without(const struct processor *processor, unsigned index, uint32_t bits);

#endif
