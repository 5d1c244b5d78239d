/* SVM turned on: what the processor must have, and what all its guests share. */
#include "hv/boot/memory.h"
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#define CPUID_EXTENDED_FEATURES 0x80000001u
#define CPUID_SVM               0x8000000Au
#define FEATURE_SVM             (1u << 2) /* of 0x80000001 ECX */
#define FEATURE_NESTED_PAGING   (1u << 0) /* of 0x8000000A EDX */
#define FEATURE_NEXT_RIP        (1u << 3)
#define FEATURE_FLUSH_BY_ASID   (1u << 6)
#define FEATURE_DECODE_ASSISTS  (1u << 7)

#define MSR_VM_CR               0xC0010114u
#define VM_CR_R_INIT            BIT64(1) /* INIT becomes #SX instead of a reset that nobody could refuse */
#define VM_CR_SVMDIS            BIT64(4)
#define MSR_VM_HSAVE_PA         0xC0010117u

#define PORT_BITMAP_BYTES       (3 * VMMU_PAGE_BYTES)
#define MSR_BITMAP_BYTES        (2 * VMMU_PAGE_BYTES)

struct svm_processor svm_processor;

/* MSRs that VMLOAD and VMSAVE switch, or that stay the guest's in the registers: guests use them directly. */
static const uint32_t direct_msrs[] = {
    0x174,      0x175,      0x176,                  /* SYSENTER_CS, _ESP, _EIP */
    0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084, /* STAR, LSTAR, CSTAR, SFMASK */
    0xC0000100, 0xC0000101, 0xC0000102,             /* FS.base, GS.base, KernelGSbase */
};

/* Two bits an MSR: reads, writes. Spec: APM 2 "MSR Intercepts". */
static void allow_msr(uint8_t *bitmap, uint32_t index)
{
    const uint32_t range = index >= 0xC0000000u ? 0x800 : 0;
    const uint32_t bit = (index & 0x1FFF) * 2;

    bitmap[range + bit / 8] &= (uint8_t) ~(3u << bit % 8);
}

static bool take_filled(uint64_t bytes, uint8_t fill, vmmu_hpa *at)
{
    if (!memory_take(bytes, VMMU_PAGE_BYTES, false, at)) {
        return false;
    }
    __builtin_memset(memory_at(*at), fill, bytes);
    return true;
}

static const char *missing_feature(void)
{
    uint64_t vm_cr;

    if (cpuid(0x80000000u, 0).eax < CPUID_SVM || !(cpuid(CPUID_EXTENDED_FEATURES, 0).ecx & FEATURE_SVM)) {
        return "the processor has no SVM (AMD's hardware virtualization)";
    }
    if (rdmsr_safe(MSR_VM_CR, &vm_cr) && vm_cr & VM_CR_SVMDIS) {
        return "the firmware has locked SVM off (VM_CR.SVMDIS)";
    }
    if (cpuid(CPUID_SVM, 0).ebx < 2) {
        return "the processor's SVM has no ASID to give to a guest";
    }
    return NULL;
}

const char *svm_start(void)
{
    const char *missing = missing_feature();
    struct svm_processor *cpu = &svm_processor;
    vmmu_hpa host_save;
    uint64_t vm_cr;

    if (missing) {
        return missing;
    }
    cpu->asids = cpuid(CPUID_SVM, 0).ebx;
    cpu->nested_paging = cpuid(CPUID_SVM, 0).edx & FEATURE_NESTED_PAGING;
    cpu->next_rip = cpuid(CPUID_SVM, 0).edx & FEATURE_NEXT_RIP;
    cpu->flush_by_asid = cpuid(CPUID_SVM, 0).edx & FEATURE_FLUSH_BY_ASID;
    cpu->decode_assists = cpuid(CPUID_SVM, 0).edx & FEATURE_DECODE_ASSISTS;
    /* None is left: the first guest flushes what others may have left under any tag before us. */
    cpu->next_asid = cpu->asids;
    cpu->asid_generation = 1;
    if (!take_filled(VMMU_PAGE_BYTES, 0, &host_save) || !take_filled(VMMU_PAGE_BYTES, 0, &cpu->host_vmcb) ||
        !take_filled(PORT_BITMAP_BYTES, 0xFF, &cpu->port_bitmap) ||
        !take_filled(MSR_BITMAP_BYTES, 0xFF, &cpu->msr_bitmap)) {
        return "no memory is left for SVM's own pages";
    }
    for (unsigned i = 0; i < sizeof direct_msrs / sizeof direct_msrs[0]; i++) {
        allow_msr(memory_at(cpu->msr_bitmap), direct_msrs[i]);
    }
    wrmsr(X86_MSR_EFER, rdmsr(X86_MSR_EFER) | VMMU_X86_EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, host_save.v);
    if (rdmsr_safe(MSR_VM_CR, &vm_cr)) {
        wrmsr(MSR_VM_CR, vm_cr | VM_CR_R_INIT);
    }
    __asm__ volatile("vmsave %%rax" : : "a"(cpu->host_vmcb.v) : "memory");
    return NULL;
}
