/* See record.h. Nothing here runs unless record=entries asks for it. */
#include "hv/x86/vmx/record.h"
#include "hv/boot/memory.h"
#include "hv/guest/config.h"
#include "hv/x86/cpu.h"
#include "hv/x86/vmx/vmx.h"

#include <vmmu/mode.h>

#define PORT           0xE9
#define KEYS           160
#define PDPTES         4
#define CAPABILITY_MSR 0x480u
#define CAPABILITIES   0x12u
#define VIRTUAL_TPR    0x80
#define PDPT_ADDRESS   BITS64(31, 5)

struct vmx_record {
    bool started;
    unsigned at; /* the next key's place */
    struct {
        bool known;
        uint64_t value;
    } last[KEYS];
};

static const struct {
    uint16_t first, count;
} runs[] = { VMX_RECORD_RUNS };

const char *vmx_record_create(struct vp *vp)
{
    vmmu_hpa at;

    _Static_assert(sizeof(struct vmx_record) <= VMMU_PAGE_BYTES, "a record has a page");
    if (!vp->partition->config->record_entries) {
        return NULL;
    }
    if (!page_take(true, &at)) {
        return "no memory is left for the record of entries";
    }
    vp->arch->vmx->record = memory_at(at);
    return NULL;
}

static void put(char character)
{
    outb(PORT, (uint8_t)character);
}

static void put_number(uint64_t value)
{
    unsigned shift = 60;

    while (shift && !(value >> shift)) {
        shift -= 4;
    }
    for (;; shift -= 4) {
        put("0123456789abcdef"[value >> shift & 15]);
        if (!shift) {
            return;
        }
    }
}

static void put_key(unsigned key, uint64_t value)
{
    put(' ');
    put_number(key);
    put(':');
    put_number(value);
}

/* Keys come in the same order at each entry. */
static void tell(struct vmx_record *record, unsigned key, uint64_t value)
{
    const unsigned at = record->at++;

    if (!record->last[at].known || record->last[at].value != value) {
        record->last[at].known = true;
        record->last[at].value = value;
        put_key(key, value);
    }
}

static void tell_processor(void)
{
    const struct cpuid_result perfmon = cpuid(0xA, 0);

    for (unsigned i = 0; i < CAPABILITIES; i++) {
        uint64_t value;

        if (rdmsr_safe(CAPABILITY_MSR + i, &value)) {
            put_key(VMX_RECORD_MSR + CAPABILITY_MSR + i, value);
        }
    }
    put_key(VMX_RECORD_CPUID_WIDTHS, cpuid(0x80000008u, 0).eax);
    put_key(VMX_RECORD_CPUID_EXTENDED, cpuid(0x80000001u, 0).edx);
    put_key(VMX_RECORD_CPUID_FEATURES, cpuid(7, 0).ebx);
    put_key(VMX_RECORD_CPUID_PERFMON, (uint64_t)perfmon.edx << 32 | perfmon.eax);
}

/* The processor lacks some fields; it always lacks the same. */
static void tell_fields(struct vmx_record *record)
{
    for (unsigned i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        for (unsigned j = 0; j < runs[i].count; j++) {
            const unsigned field = runs[i].first + 2 * j;
            uint64_t value;

            if (vmread_safe((enum vmcs_field)field, &value)) {
                tell(record, field, value);
            }
        }
    }
}

/* A guest in PAE paging without EPT: its four entries are fetched from memory, which is ours. */
static void tell_memory(const struct vmx_vp *vmx, struct vmx_record *record)
{
    const uint64_t *pdpt = memory_at((vmmu_hpa){ vmread(VMCS_GUEST_CR3) & PDPT_ADDRESS });
    const bool fetches = !vmx->direct && !(vmx->held_efer & VMMU_X86_EFER_LMA);

    tell(record, VMX_RECORD_VTPR, vmx->virtual_apic ? vmx->virtual_apic[VIRTUAL_TPR] : 0);
    for (unsigned i = 0; fetches && i < PDPTES; i++) {
        tell(record, VMX_RECORD_PDPTE + i, pdpt[i]);
    }
}

void vmx_record_entry(struct vp *vp)
{
    struct vmx_record *record = vp->arch->vmx->record;

    put('\n');
    put('~');
    put_number(vp->index);
    if (!record->started) {
        tell_processor();
        record->started = true;
    }
    record->at = 0;
    tell_fields(record);
    tell_memory(vp->arch->vmx, record);
    put(' ');
    put('.');
    put('\n');
}
