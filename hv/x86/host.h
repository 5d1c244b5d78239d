/* What x86's ground offers to x86 alone, beside hv/boot/host.h. */
#ifndef HV_X86_HOST_H
#define HV_X86_HOST_H

#include "hv/boot/host.h"

/*
 * Frequencies in hertz: of the time-stamp counter, and of the local APIC's timer undivided.
 * Constant after the start.
 */
uint64_t host_tsc_hz(void);
uint64_t host_apic_hz(void);

/* What the time-stamp counter stood at when host_clock_ns was 0. */
uint64_t host_tsc_origin(void);

/* CPUID: EAX, EBX, ECX, EDX of @leaf and @subleaf. */
void host_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

#endif
