/*
 * What the rules' files share: reading an image, and saying that a rule is broken. Private to this folder.
 */
#ifndef TESTS_MODEL_VMX_RULES_H
#define TESTS_MODEL_VMX_RULES_H

#include <vmmu/mode.h>

#include "tests/model/vmx/entry.h"

/* Bits of segments by their order in the VMCS. */
enum { ES, CS, SS, DS, FS, GS, LDTR, TR };

struct entry_check {
    const struct entry_image *image;
    const char *section;
    struct entry_verdict verdict; /* the first */
    unsigned keys;                /* that the rule at hand has read */
    unsigned key[ENTRY_VERDICT_KEYS];
    unsigned missing; /* one of them that the image lacks; 0: none */
    void (*visit)(void *context, const char *section, const char *sentence);
    void *context;
};

/* Read a key for the rule at hand. */
uint64_t entry_read(struct entry_check *check, unsigned key);

/* The rule at hand: it is broken if @broken. Every rule comes here at each judgement, broken or not. */
void entry_refuse_if(struct entry_check *check, bool broken, const char *sentence);

#define REFUSE_IF entry_refuse_if

static inline bool pin_has(struct entry_check *check, uint32_t bits)
{
    return entry_read(check, VMCS_PIN_CONTROLS) & bits;
}

static inline bool proc_has(struct entry_check *check, uint32_t bits)
{
    return entry_read(check, VMCS_PROCESSOR_CONTROLS) & bits;
}

/* Without "activate secondary controls" all of them are 0, whatever stands in the field. */
static inline bool proc2_has(struct entry_check *check, uint32_t bits)
{
    return proc_has(check, VMX_PROC_SECONDARY) && entry_read(check, VMCS_PROCESSOR_CONTROLS2) & bits;
}

static inline bool exit_has(struct entry_check *check, uint32_t bits)
{
    return entry_read(check, VMCS_EXIT_CONTROLS) & bits;
}

static inline bool entry_has(struct entry_check *check, uint32_t bits)
{
    return entry_read(check, VMCS_ENTRY_CONTROLS) & bits;
}

static inline uint64_t capability(struct entry_check *check, unsigned msr)
{
    return entry_read(check, ENTRY_KEY_MSR + msr);
}

#define MSR_VMX_BASIC        0x480u
#define MSR_VMX_MISC         0x485u
#define MSR_VMX_CR0_FIXED0   0x486u
#define MSR_VMX_CR4_FIXED0   0x488u
#define MSR_VMX_PROC2        0x48Bu
#define MSR_VMX_EPT_VPID_CAP 0x48Cu
#define MSR_VMX_VMFUNC       0x491u

/* --- what an address may be, and a register: values.c --- */

/* Sets bits that the processor has no lines for. */
bool beyond_physical(struct entry_check *check, uint64_t address);

/* Is no page, or none that VMX structures may have. */
bool no_structure_page(struct entry_check *check, uint64_t address);
bool beyond_structures(struct entry_check *check, uint64_t address);
bool not_canonical(struct entry_check *check, uint64_t address);

/* Bits 63:N differ, of N linear-address bits: one less than canonical, as RIP and SSP are checked. */
bool beyond_linear(struct entry_check *check, uint64_t address);

bool breaks_fixed_bits(struct entry_check *check, unsigned fixed0_msr, uint64_t value, uint64_t exempt);
bool bad_pat(uint64_t value);
bool bad_efer(struct entry_check *check, uint64_t value);
bool bad_perf_global(struct entry_check *check, uint64_t value);
bool bad_cet(struct entry_check *check, uint64_t value);

/* --- the sections --- */

void entry_rules_of_execution_controls(struct entry_check *check);
void entry_rules_of_exit_controls(struct entry_check *check);
void entry_rules_of_entry_controls(struct entry_check *check);
void entry_rules_of_host_registers(struct entry_check *check);
void entry_rules_of_host_segments(struct entry_check *check);
void entry_rules_of_address_space(struct entry_check *check);
void entry_rules_of_guest_registers(struct entry_check *check);
void entry_rules_of_guest_segments(struct entry_check *check);
void entry_rules_of_guest_tables(struct entry_check *check);
void entry_rules_of_guest_flags(struct entry_check *check);
void entry_rules_of_guest_state(struct entry_check *check);
void entry_rules_of_guest_pdptes(struct entry_check *check);
void entry_rules_of_loaded_msrs(struct entry_check *check);

static inline uint64_t guest_selector(struct entry_check *check, unsigned segment)
{
    return entry_read(check, VMCS_GUEST_ES_SELECTOR + segment * VMCS_SEGMENT_STRIDE);
}

static inline uint64_t guest_base(struct entry_check *check, unsigned segment)
{
    return entry_read(check, VMCS_GUEST_ES_BASE + segment * VMCS_SEGMENT_STRIDE);
}

static inline uint64_t guest_limit(struct entry_check *check, unsigned segment)
{
    return entry_read(check, VMCS_GUEST_ES_LIMIT + segment * VMCS_SEGMENT_STRIDE);
}

static inline uint64_t guest_rights(struct entry_check *check, unsigned segment)
{
    return entry_read(check, VMCS_GUEST_ES_RIGHTS + segment * VMCS_SEGMENT_STRIDE);
}

static inline bool unrestricted(struct entry_check *check)
{
    return proc2_has(check, VMX_PROC2_UNRESTRICTED_GUEST);
}

static inline bool long_guest(struct entry_check *check)
{
    return entry_has(check, VMX_ENTRY_GUEST_64);
}

static inline bool in_64_bit_code(struct entry_check *check)
{
    return long_guest(check) && guest_rights(check, CS) & VMX_RIGHTS_LONG;
}

static inline bool guest_has_flag(struct entry_check *check, uint64_t flag)
{
    return entry_read(check, VMCS_GUEST_RFLAGS) & flag;
}

static inline bool guest_cr0_has(struct entry_check *check, uint64_t bits)
{
    return entry_read(check, VMCS_GUEST_CR0) & bits;
}

/* An event of that type is to be injected. */
static inline bool injects(struct entry_check *check, enum vmx_event_type type)
{
    const uint64_t event = entry_read(check, VMCS_ENTRY_EVENT);

    return event & VMX_EVENT_VALID && VMX_EVENT_TYPE(event) == type;
}

#define RFLAGS_TF BIT64(8)
#define RFLAGS_IF BIT64(9)
#define RFLAGS_VM BIT64(17)

#endif
