/*
 * What a processor checks before it enters a guest: a model of VM entry's rules, judged on the whole image of a VMCS.
 *
 * An emulated processor may enter a guest that a real one refuses. The hypervisor records each image as the processor is
 * about to see it (hv/x86/vmx/record.c), and this model, which knows nothing of the hypervisor, says what a real
 * processor would have to say to it.
 *
 * Spec: SDM 3C "VM Entries": "Checks on VMX Controls and Host-State Area", "Checking and Loading Guest State".
 */
#ifndef TESTS_MODEL_VMX_ENTRY_H
#define TESTS_MODEL_VMX_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "hv/x86/vmx/vmcs.h"

/* Fields that the hypervisor has no use for. */
enum {
    VMCS_SUB_PAGE_TABLE = 0x2030,
    VMCS_GUEST_S_CET = 0x6828,
    VMCS_GUEST_SSP = 0x682A,
    VMCS_GUEST_SSP_TABLE = 0x682C,
    VMCS_HOST_S_CET = 0x6C18,
    VMCS_HOST_SSP = 0x6C1A,
    VMCS_HOST_SSP_TABLE = 0x6C1C,
};

/*
 * Keys of an image. Below 0x8000 they are encodings of VMCS fields; the rest is what a processor finds elsewhere when it
 * enters.
 */
enum entry_key {
    /* Capability MSRs: 0x8000 and the MSR's number, which is in 480H-493H. */
    ENTRY_KEY_MSR = 0x8000,
    /* CPUID: leaf 80000008H EAX, 80000001H EDX, 7 EBX, and 0AH EAX with EDX above it. */
    ENTRY_KEY_CPUID_WIDTHS = 0x9000,
    ENTRY_KEY_CPUID_EXTENDED = 0x9001,
    ENTRY_KEY_CPUID_FEATURES = 0x9002,
    ENTRY_KEY_CPUID_PERFMON = 0x9003,
    /* Memory: VTPR, byte 80H of the virtual-APIC page; the first word of the VMCS that the link pointer names. */
    ENTRY_KEY_VTPR = 0xA000,
    ENTRY_KEY_LINK_REVISION = 0xA001,
    ENTRY_KEY_CURRENT_VMCS = 0xA002,
    /* The four entries at CR3, of a guest in PAE paging without EPT. */
    ENTRY_KEY_PDPTE = 0xA010,
    /* The VM-entry MSR-load area: two quadwords an entry. */
    ENTRY_KEY_MSR_LOAD = 0xA020,
    ENTRY_KEY_MSR_LOAD_END = 0xA040,
};

#define ENTRY_FIELD_SLOTS 1024
#define ENTRY_OTHER_SLOTS 160

/* A VMCS with what stands around it. What was never set is missing, and a rule that wants it is broken. */
struct entry_image {
    uint64_t value[ENTRY_FIELD_SLOTS + ENTRY_OTHER_SLOTS];
    bool known[ENTRY_FIELD_SLOTS + ENTRY_OTHER_SLOTS];
};

/* Set @key. False: there is no such key. */
bool entry_image_set(struct entry_image *image, unsigned key, uint64_t value);

/* Forget @key, as a processor that lacks the field does. */
void entry_image_forget(struct entry_image *image, unsigned key);

/* Read @key into *value. False, and *value is 0: it was never set. */
bool entry_image_get(const struct entry_image *image, unsigned key, uint64_t *value);

/* The name of a key in hv/x86/vmx/vmcs.h without its prefix; "?" if it is none that the rules look at. */
const char *entry_key_name(unsigned key);

/* Calls @visit with each field of the VMCS that a rule may look at. */
void entry_each_field(void (*visit)(void *context, unsigned key), void *context);

#define ENTRY_VERDICT_KEYS 12

/* The first rule that an image breaks, and what that rule looked at. */
struct entry_verdict {
    const char *section;  /* the manual's title, or NULL: no rule is broken */
    const char *sentence; /* what is wrong */
    unsigned keys;
    unsigned key[ENTRY_VERDICT_KEYS];
};

/* Judge @image: true if a processor must enter it, else *verdict says which rule is broken first. */
bool entry_judge(const struct entry_image *image, struct entry_verdict *verdict);

/* Calls @visit with each rule, in the order in which they are looked at. A rule over several registers comes for each. */
void entry_each_rule(void (*visit)(void *context, const char *section, const char *sentence), void *context);

/* What kind of guest an image holds, for counting what a record has covered. */
enum entry_kind {
    ENTRY_REAL,
    ENTRY_V8086,
    ENTRY_UNPAGED,
    ENTRY_32_BIT,
    ENTRY_PAE,
    ENTRY_COMPATIBILITY,
    ENTRY_LONG,
    ENTRY_KINDS
};

extern const char *const entry_kind_names[ENTRY_KINDS];

enum entry_kind entry_kind_of(const struct entry_image *image);

#endif
