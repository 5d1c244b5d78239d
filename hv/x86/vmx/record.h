/*
 * A record of every VM entry, for a model of what entries are checked for (tests/model/vmx): emulated processors are
 * lenient, and a VMCS that was entered on one need not be good.
 *
 * One line an entry goes to port E9H, which some emulators print: "~VP KEY:VALUE... .", in hexadecimal digits, of every
 * key whose value is not what it was at the VP's last entry. A key is the encoding of a field, or one of those below.
 */
#ifndef HV_X86_VMX_RECORD_H
#define HV_X86_VMX_RECORD_H

#include "hv/vp/vp.h"

/* What is no field: capability MSRs, CPUID, memory that entries look at. tests/model/vmx/entry.h knows the same numbers. */
#define VMX_RECORD_MSR            0x8000u
#define VMX_RECORD_CPUID_WIDTHS   0x9000u
#define VMX_RECORD_CPUID_EXTENDED 0x9001u
#define VMX_RECORD_CPUID_FEATURES 0x9002u
#define VMX_RECORD_CPUID_PERFMON  0x9003u
#define VMX_RECORD_VTPR           0xA000u
#define VMX_RECORD_PDPTE          0xA010u

/* The fields that some rule looks at, as runs of consecutive encodings: the first, and how many. */
#define VMX_RECORD_RUNS                                                                                      \
    { 0x0000, 3 }, { 0x0800, 8 }, { 0x0C00, 7 }, { 0x2000, 6 }, { 0x200E, 1 }, { 0x2012, 5 }, { 0x2024, 4 }, \
        { 0x2030, 1 }, { 0x2800, 10 }, { 0x2818, 1 }, { 0x2C00, 4 }, { 0x4000, 2 }, { 0x400A, 11 },          \
        { 0x4800, 20 }, { 0x6800, 14 }, { 0x681E, 8 }, { 0x6C00, 10 },                                       \
    {                                                                                                        \
        0x6C16, 4                                                                                            \
    }

struct vmx_record;

/* Begin a record of @vp's entries if the configuration asks for one. NULL, or why not. */
const char *vmx_record_create(struct vp *vp);

/* The VMCS of @vp, the current one, is complete: the next thing that happens is the entry. */
void vmx_record_entry(struct vp *vp);

#endif
