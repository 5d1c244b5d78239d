/* An image's keys and their slots. See entry.h. */
#include <stddef.h>
#include <string.h>

#include "tests/model/vmx/entry.h"

#define NO_SLOT (ENTRY_FIELD_SLOTS + ENTRY_OTHER_SLOTS)

/* The ranges of keys that are no fields, and where their slots begin. */
static const struct {
    unsigned first, count, slot;
} other_keys[] = {
    { ENTRY_KEY_MSR + 0x480, 32, 0 },
    { ENTRY_KEY_CPUID_WIDTHS, 16, 32 },
    { ENTRY_KEY_VTPR, 80, 48 },
};

_Static_assert(ENTRY_KEY_MSR_LOAD_END - ENTRY_KEY_VTPR <= 80 && 48 + 80 <= ENTRY_OTHER_SLOTS,
               "all have a slot");

/* Fields: width and kind, and the index, of which no processor uses more than 6 bits. Odd encodings are halves. */
static unsigned slot_of(unsigned key)
{
    if (key < ENTRY_KEY_MSR) {
        return key & 0x1381u ? NO_SLOT : (key >> 13) << 8 | (key >> 10 & 3) << 6 | (key >> 1 & 63);
    }
    for (size_t i = 0; i < sizeof other_keys / sizeof other_keys[0]; i++) {
        if (key >= other_keys[i].first && key - other_keys[i].first < other_keys[i].count) {
            return ENTRY_FIELD_SLOTS + other_keys[i].slot + key - other_keys[i].first;
        }
    }
    return NO_SLOT;
}

bool entry_image_set(struct entry_image *image, unsigned key, uint64_t value)
{
    const unsigned slot = slot_of(key);

    if (slot == NO_SLOT) {
        return false;
    }
    image->value[slot] = value;
    image->known[slot] = true;
    return true;
}

void entry_image_forget(struct entry_image *image, unsigned key)
{
    const unsigned slot = slot_of(key);

    if (slot != NO_SLOT) {
        image->value[slot] = 0;
        image->known[slot] = false;
    }
}

bool entry_image_get(const struct entry_image *image, unsigned key, uint64_t *value)
{
    const unsigned slot = slot_of(key);

    *value = slot == NO_SLOT ? 0 : image->value[slot];
    return slot != NO_SLOT && image->known[slot];
}

#define NAMED(name)                                                                                          \
    {                                                                                                        \
        VMCS_##name, #name                                                                                   \
    }
#define SEGMENT(name)                                                                                        \
    NAMED(GUEST_##name##_SELECTOR), NAMED(GUEST_##name##_BASE), NAMED(GUEST_##name##_LIMIT),                 \
        NAMED(GUEST_##name##_RIGHTS)

static const struct {
    unsigned key;
    const char *name;
} fields[] = {
    NAMED(PIN_CONTROLS),
    NAMED(PROCESSOR_CONTROLS),
    NAMED(PROCESSOR_CONTROLS2),
    NAMED(EXIT_CONTROLS),
    NAMED(ENTRY_CONTROLS),
    NAMED(CR3_TARGETS),
    NAMED(IO_BITMAP_A),
    NAMED(IO_BITMAP_B),
    NAMED(MSR_BITMAP),
    NAMED(VIRTUAL_APIC),
    NAMED(TPR_THRESHOLD),
    NAMED(APIC_ACCESS),
    NAMED(POSTED_INTERRUPT_VECTOR),
    NAMED(POSTED_INTERRUPT),
    NAMED(VPID),
    NAMED(EPTP),
    NAMED(PML_ADDRESS),
    NAMED(FUNCTIONS),
    NAMED(EPTP_LIST),
    NAMED(VMREAD_BITMAP),
    NAMED(VMWRITE_BITMAP),
    NAMED(EXCEPTION_INFORMATION),
    NAMED(SUB_PAGE_TABLE),
    NAMED(EXIT_MSR_STORES),
    NAMED(EXIT_MSR_STORE),
    NAMED(EXIT_MSR_LOADS),
    NAMED(EXIT_MSR_LOAD),
    NAMED(ENTRY_MSR_LOADS),
    NAMED(ENTRY_MSR_LOAD),
    NAMED(ENTRY_EVENT),
    NAMED(ENTRY_ERROR_CODE),
    NAMED(ENTRY_INSTRUCTION_BYTES),
    NAMED(HOST_CR0),
    NAMED(HOST_CR3),
    NAMED(HOST_CR4),
    NAMED(HOST_SYSENTER_ESP),
    NAMED(HOST_SYSENTER_EIP),
    NAMED(HOST_PERF_GLOBAL_CTRL),
    NAMED(HOST_PAT),
    NAMED(HOST_EFER),
    NAMED(HOST_PKRS),
    NAMED(HOST_S_CET),
    NAMED(HOST_SSP),
    NAMED(HOST_SSP_TABLE),
    NAMED(HOST_ES_SELECTOR),
    NAMED(HOST_CS_SELECTOR),
    NAMED(HOST_SS_SELECTOR),
    NAMED(HOST_DS_SELECTOR),
    NAMED(HOST_FS_SELECTOR),
    NAMED(HOST_GS_SELECTOR),
    NAMED(HOST_TR_SELECTOR),
    NAMED(HOST_FS_BASE),
    NAMED(HOST_GS_BASE),
    NAMED(HOST_TR_BASE),
    NAMED(HOST_GDTR_BASE),
    NAMED(HOST_IDTR_BASE),
    NAMED(HOST_RIP),
    NAMED(GUEST_CR0),
    NAMED(GUEST_CR3),
    NAMED(GUEST_CR4),
    NAMED(GUEST_DR7),
    NAMED(GUEST_DEBUGCTL),
    NAMED(GUEST_SYSENTER_ESP),
    NAMED(GUEST_SYSENTER_EIP),
    NAMED(GUEST_PERF_GLOBAL_CTRL),
    NAMED(GUEST_PAT),
    NAMED(GUEST_EFER),
    NAMED(GUEST_BNDCFGS),
    NAMED(GUEST_PKRS),
    NAMED(GUEST_S_CET),
    NAMED(GUEST_SSP),
    NAMED(GUEST_SSP_TABLE),
    SEGMENT(ES),
    SEGMENT(CS),
    SEGMENT(SS),
    SEGMENT(DS),
    SEGMENT(FS),
    SEGMENT(GS),
    SEGMENT(LDTR),
    SEGMENT(TR),
    NAMED(GUEST_GDTR_BASE),
    NAMED(GUEST_GDTR_LIMIT),
    NAMED(GUEST_IDTR_BASE),
    NAMED(GUEST_IDTR_LIMIT),
    NAMED(GUEST_RIP),
    NAMED(GUEST_RFLAGS),
    NAMED(GUEST_ACTIVITY),
    NAMED(GUEST_INTERRUPTIBILITY),
    NAMED(GUEST_PENDING_DEBUG),
    NAMED(LINK),
    NAMED(GUEST_PDPTE0),
    NAMED(GUEST_PDPTE1),
    NAMED(GUEST_PDPTE2),
    NAMED(GUEST_PDPTE3),
};

static const struct {
    unsigned first, last;
    const char *name;
} others[] = {
    { ENTRY_KEY_MSR, ENTRY_KEY_MSR + 0xFFF, "capability MSR" },
    { ENTRY_KEY_CPUID_WIDTHS, ENTRY_KEY_CPUID_WIDTHS, "CPUID 80000008H EAX" },
    { ENTRY_KEY_CPUID_EXTENDED, ENTRY_KEY_CPUID_EXTENDED, "CPUID 80000001H EDX" },
    { ENTRY_KEY_CPUID_FEATURES, ENTRY_KEY_CPUID_FEATURES, "CPUID 7 EBX" },
    { ENTRY_KEY_CPUID_PERFMON, ENTRY_KEY_CPUID_PERFMON, "CPUID 0AH EDX:EAX" },
    { ENTRY_KEY_VTPR, ENTRY_KEY_VTPR, "VTPR in memory" },
    { ENTRY_KEY_LINK_REVISION, ENTRY_KEY_LINK_REVISION, "revision of the linked VMCS" },
    { ENTRY_KEY_CURRENT_VMCS, ENTRY_KEY_CURRENT_VMCS, "the current VMCS" },
    { ENTRY_KEY_PDPTE, ENTRY_KEY_PDPTE + 3, "PDPTE in memory" },
    { ENTRY_KEY_MSR_LOAD, ENTRY_KEY_MSR_LOAD_END - 1, "VM-entry MSR-load area" },
};

const char *entry_key_name(unsigned key)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (fields[i].key == key) {
            return fields[i].name;
        }
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (key >= others[i].first && key <= others[i].last) {
            return others[i].name;
        }
    }
    return "?";
}

void entry_each_field(void (*visit)(void *context, unsigned key), void *context)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        visit(context, fields[i].key);
    }
}
