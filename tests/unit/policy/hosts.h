/*
 * Hosts whose CPUID the tests present: QEMU's "max" (as read from it), a modern AMD processor, an
 * Intel processor with AVX-512.
 */
#ifndef TESTS_UNIT_POLICY_HOSTS_H
#define TESTS_UNIT_POLICY_HOSTS_H

#include "hv/x86/policy/cpuid.h"

struct host_leaf {
    uint32_t leaf;
    uint32_t subleaf;
    struct x86_cpuid_regs regs;
};

struct host {
    const struct host_leaf *leaves;
    unsigned count;
};

extern const struct host qemu_max; /* with LA57 */
extern const struct host epyc_rome;
extern const struct host skylake_server; /* AVX-512, PCID, MPX, XSAVES, IBRS */

/* One that says yes to every bit of every feature leaf, and has AMD's or Intel's name. */
extern const struct host says_yes_amd;
extern const struct host says_yes_intel;

struct x86_cpuid_config config_on(const struct host *host);

/* The host's answer for a leaf above its highest: as QEMU gives it, another leaf's. */
struct x86_cpuid_regs host_read(void *context, uint32_t leaf, uint32_t subleaf);

#endif
