/* VT-x turned on: what the processor must have, and what all its guests share. */
#include "hv/boot/memory.h"
#include "hv/x86/cpu.h"
#include "hv/x86/layout.h"
#include "hv/x86/vmx/capabilities.h"
#include "hv/x86/vmx/instructions.h"

#include <vmmu/mode.h>

#define FEATURE_VMX         (1u << 5) /* of CPUID 1 ECX */
#define MSR_FEATURE_CONTROL 0x3Au
#define MSR_PAT             0x277u
#define MSR_EFER            0xC0000080u
#define PORT_BITMAPS_BYTES  (2 * VMMU_PAGE_BYTES)
#define SENTENCE_BYTES      80

struct vmx_processor vmx_processor;

static uint64_t read_msr(void *context, uint32_t msr)
{
    (void)context;
    return rdmsr(msr);
}

const char *vmx_refusal(enum vmx_use use)
{
    static char sentence[SENTENCE_BYTES] = "the processor's VT-x lacks ";
    const char *missing = vmx_missing(&vmx_processor.capabilities, use);
    size_t end = sizeof "the processor's VT-x lacks " - 1;

    if (!missing) {
        return NULL;
    }
    while (*missing && end < SENTENCE_BYTES - 1) {
        sentence[end++] = *missing++;
    }
    sentence[end] = 0;
    return sentence;
}

/* CR0 and CR4 as VMX operation wants them. False: they cannot be so. */
static bool fix_control_registers(void)
{
    const struct vmx_capabilities *can = &vmx_processor.capabilities;
    const uint64_t cr0 = read_cr0() | can->cr0.must;
    const uint64_t cr4 = read_cr4() | VMMU_X86_CR4_VMXE | can->cr4.must;

    if (!vmx_allows(&can->cr0, cr0) || !vmx_allows(&can->cr4, cr4)) {
        return false;
    }
    write_cr0(cr0);
    write_cr4(cr4);
    return true;
}

static const char *missing_feature(void)
{
    const char *why;
    uint64_t control, wanted;

    if (!(cpuid(1, 0).ecx & FEATURE_VMX)) {
        return "the processor has no VT-x (Intel's hardware virtualization)";
    }
    control = wanted = rdmsr(MSR_FEATURE_CONTROL);
    why = vmx_unlock(&wanted);
    if (why) {
        return why;
    }
    if (wanted != control) {
        wrmsr(MSR_FEATURE_CONTROL, wanted);
    }
    vmx_read_capabilities(read_msr, NULL, &vmx_processor.capabilities);
    why = vmx_refusal(VMX_INDIRECT);
    /* One technique is enough: the other says for itself what it lacks. */
    return why && vmx_refusal(VMX_DIRECT) ? vmx_refusal(VMX_INDIRECT) : NULL;
}

static bool take_pages(void)
{
    struct vmx_processor *cpu = &vmx_processor;

    if (!page_take(true, &cpu->region) || !page_take(false, &cpu->msr_bitmap) ||
        !memory_take(PORT_BITMAPS_BYTES, VMMU_PAGE_BYTES, false, &cpu->port_bitmaps)) {
        return false;
    }
    __builtin_memcpy(memory_at(cpu->region), &cpu->capabilities.revision, sizeof cpu->capabilities.revision);
    vmx_fill_msr_bitmap(memory_at(cpu->msr_bitmap));
    __builtin_memset(memory_at(cpu->port_bitmaps), 0xFF, PORT_BITMAPS_BYTES);
    return true;
}

/* Others may have left translations under the tags and tables that will be ours. */
static bool forget_everything(void)
{
    const struct vmx_capabilities *can = &vmx_processor.capabilities;

    return (vmx_missing(can, VMX_DIRECT) || invept(VMX_INVEPT_ALL, 0)) &&
           (!can->vpid || invvpid(VMX_INVVPID_ALL, 0, (vmmu_gva){ 0 }));
}

const char *vmx_start(void)
{
    const char *missing = missing_feature();

    if (missing) {
        return missing;
    }
    if (!take_pages()) {
        return "no memory is left for VT-x's own pages";
    }
    if (!fix_control_registers()) {
        return "the processor's VT-x forbids a bit of CR0 or CR4 that the hypervisor needs";
    }
    if (!vmxon(vmx_processor.region)) {
        return "the processor refused VMXON";
    }
    return forget_everything() ? NULL : "the processor refused INVEPT or INVVPID of a type that it offers";
}

/* The base in the task-state segment's descriptor, where TR was loaded from. Spec: SDM 3A "TSS Descriptor in 64-bit mode". */
static uint64_t task_base(const struct descriptor_table *gdt)
{
    const uint64_t *descriptor = (const uint64_t *)(uintptr_t)(gdt->base + SELECTOR_TSS);

    return (descriptor[0] >> 16 & 0xFFFFFF) | (descriptor[0] >> 56) << 24 | descriptor[1] << 32;
}

/* Of the host's state, what no processor says otherwise. FS, GS and SYSENTER are not used by the hypervisor. */
static const struct {
    uint16_t field; /* enum vmcs_field */
    uint16_t value;
} host_constants[] = {
    { VMCS_HOST_CS_SELECTOR, SELECTOR_CODE },
    { VMCS_HOST_SS_SELECTOR, SELECTOR_DATA },
    { VMCS_HOST_DS_SELECTOR, SELECTOR_DATA },
    { VMCS_HOST_ES_SELECTOR, SELECTOR_DATA },
    { VMCS_HOST_TR_SELECTOR, SELECTOR_TSS },
    { VMCS_HOST_FS_SELECTOR, 0 },
    { VMCS_HOST_GS_SELECTOR, 0 },
    { VMCS_HOST_FS_BASE, 0 },
    { VMCS_HOST_GS_BASE, 0 },
    { VMCS_HOST_SYSENTER_CS, 0 },
    { VMCS_HOST_SYSENTER_ESP, 0 },
    { VMCS_HOST_SYSENTER_EIP, 0 },
};

void vmx_write_shared(const struct vmx_controls *controls)
{
    struct descriptor_table gdt, idt;

    for (unsigned i = 0; i < sizeof host_constants / sizeof host_constants[0]; i++) {
        vmwrite((enum vmcs_field)host_constants[i].field, host_constants[i].value);
    }
    sgdt(&gdt);
    sidt(&idt);
    vmwrite(VMCS_HOST_GDTR_BASE, gdt.base);
    vmwrite(VMCS_HOST_IDTR_BASE, idt.base);
    vmwrite(VMCS_HOST_TR_BASE, task_base(&gdt));
    vmwrite(VMCS_HOST_CR0, read_cr0());
    vmwrite(VMCS_HOST_CR3, read_cr3());
    vmwrite(VMCS_HOST_CR4, read_cr4());
    vmwrite(VMCS_HOST_EFER, rdmsr(MSR_EFER));
    vmwrite(VMCS_HOST_PAT, rdmsr(MSR_PAT));
    vmwrite(VMCS_LINK, VMX_LINK_NONE);
    vmwrite(VMCS_MSR_BITMAP, vmx_processor.msr_bitmap.v);
    if (controls->value[VMX_GROUP_PROCESSOR] & VMX_PROC_IO_BITMAPS) {
        vmwrite(VMCS_IO_BITMAP_A, vmx_processor.port_bitmaps.v);
        vmwrite(VMCS_IO_BITMAP_B, vmx_processor.port_bitmaps.v + VMMU_PAGE_BYTES);
    }
}
