/*
 * Leaf 0xD: the state components that XSAVE manages for the guest, and their sizes.
 *
 * Invariant: no supervisor component, no XSAVES; AVX-512 whole or not at all; offsets and sizes are the
 * host's, since the guest's XSAVE is the host's instruction.
 */
#include "hv/x86/policy/cpuid_build.h"
#include "hv/x86/policy/features.h"

#define XCR0_OFFERED      (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512 | XCR0_PKRU)

/* The legacy region and the header, which every area has. */
#define XSAVE_FIXED_BYTES 576u
#define FIRST_EXTENDED    2u

#define COMPONENT_ALIGNED BIT32(1) /* ECX of a component: in the compacted format it starts at 64 bytes */

static uint64_t offered_components(const struct cpuid_builder *builder)
{
    const struct x86_cpuid_regs host = cpuid_host(builder, 0xD, 0);
    uint64_t components = ((uint64_t)host.edx << 32 | host.eax) & XCR0_OFFERED;

    if ((builder->table->basic[1].ecx & F1C_XSAVE) == 0 || (components & XCR0_SSE) == 0) {
        return 0;
    }
    if ((components & XCR0_AVX) == 0 || (components & XCR0_AVX512) != XCR0_AVX512) {
        components &= ~XCR0_AVX512;
    }
    if ((builder->table->basic[7].ecx & F7C_PKU) == 0) {
        components &= ~XCR0_PKRU;
    }
    return components | XCR0_X87;
}

void cpuid_build_xsave(struct cpuid_builder *builder)
{
    struct x86_cpuid *table = builder->table;
    const uint64_t components = offered_components(builder);

    table->xcr0_allowed = components;
    if (components == 0) {
        table->basic[1].ecx &= ~F1C_XSAVE;
        return;
    }
    for (uint32_t i = FIRST_EXTENDED; i < X86_CPUID_XSAVE; i++) {
        if ((components & BIT64(i)) != 0) {
            table->xsave[i] = cpuid_host(builder, 0xD, i);
            table->xsave[i].ecx &= COMPONENT_ALIGNED;
            table->xsave[i].edx = 0;
        }
    }
    table->xsave[0].eax = (uint32_t)components;
    table->xsave[0].edx = (uint32_t)(components >> 32);
    table->xsave[0].ecx = x86_xsave_bytes(table, components, false);
    table->xsave[1].eax = cpuid_host(builder, 0xD, 1).eax & (FD1A_XSAVEOPT | FD1A_XSAVEC | FD1A_XGETBV1);
}

uint32_t x86_xsave_bytes(const struct x86_cpuid *table, uint64_t components, bool compacted)
{
    uint32_t end = XSAVE_FIXED_BYTES;

    for (uint32_t i = FIRST_EXTENDED; i < X86_CPUID_XSAVE; i++) {
        const struct x86_cpuid_regs *component = &table->xsave[i];

        if ((components & BIT64(i)) == 0) {
            continue;
        }
        if (!compacted) {
            end = component->ebx + component->eax > end ? component->ebx + component->eax : end;
            continue;
        }
        if ((component->ecx & COMPONENT_ALIGNED) != 0) {
            end = (end + 63) & ~63u;
        }
        end += component->eax;
    }
    return end;
}

bool x86_xcr0_is_valid(const struct x86_cpuid *table, uint64_t value)
{
    const bool no_avx = (value & XCR0_AVX) == 0;
    const uint64_t avx512 = value & XCR0_AVX512;

    if ((value & ~table->xcr0_allowed) != 0 || (value & XCR0_X87) == 0) {
        return false;
    }
    if (!no_avx && (value & XCR0_SSE) == 0) {
        return false;
    }
    return avx512 == 0 || (avx512 == XCR0_AVX512 && !no_avx);
}
