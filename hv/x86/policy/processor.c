/*
 * Which processor the guest sees: signature, topology, caches, address widths.
 *
 * Invariant: the partition's VPs are the cores of one package, one thread each, with APIC IDs that
 * fit in the bits that leaves 0xB and 0x80000008 name. All leaves that tell of it are computed
 * here from the same numbers.
 */
#include "hv/x86/policy/cpuid_build.h"
#include "hv/x86/policy/features.h"

/*
 * Family 0x1A, model 2, stepping 1: shown where the host calls itself AMD of a family below 0x17. Older
 * families steer kernels into quirks by MSRs that have no meaning here; 0x17 and 0x19 into workarounds for
 * faults of those processors.
 */
#define SIGNATURE_MODERN   0x00B00F21u
#define FAMILY_MODERN      0x17u

#define LEVEL_SMT          1u
#define LEVEL_CORE         2u

#define LINEAR_BITS_4LEVEL 48u
#define LINEAR_BITS_5LEVEL 57u
#define PHYSICAL_BITS_PAE  36u
#define PHYSICAL_BITS_MIN  32u
#define PHYSICAL_BITS_MAX  52u /* "4-Level Paging and 5-Level Paging": no entry has room for more */

static uint32_t family_of(uint32_t signature)
{
    const uint32_t base = signature >> 8 & 0xF;

    return base == 0xF ? base + (signature >> 20 & 0xFF) : base;
}

/* Bits of an APIC ID that tell the VPs apart. */
static uint32_t id_bits(uint32_t vp_count)
{
    uint32_t bits = 0;

    while ((UINT32_C(1) << bits) < vp_count) {
        bits++;
    }
    return bits;
}

static void build_signature(struct cpuid_builder *builder)
{
    struct x86_cpuid *table = builder->table;
    const struct x86_cpuid_config *config = builder->config;
    const struct x86_cpuid_regs host = cpuid_host(builder, 1, 0);
    const bool dated = builder->is_amd && family_of(host.eax) < FAMILY_MODERN;

    table->basic[1].eax = dated ? SIGNATURE_MODERN : host.eax;
    table->basic[1].ebx = (host.ebx & 0x0000FF00u) | (config->vp_count & 0xFF) << 16 | config->apic_id << 24;
    if (config->vp_count > 1) {
        table->basic[1].edx |= F1D_HTT;
    }
    if (builder->is_amd) {
        table->extended[1].eax = table->basic[1].eax;
        table->extended[1].ecx |= config->vp_count > 1 ? FXC_CMP_LEGACY : 0;
    }
}

static void build_topology(struct cpuid_builder *builder)
{
    struct x86_cpuid *table = builder->table;
    const struct x86_cpuid_config *config = builder->config;

    table->topology[0] = (struct x86_cpuid_regs){ 0, 1, LEVEL_SMT << 8, config->apic_id };
    table->topology[1] = (struct x86_cpuid_regs){ id_bits(config->vp_count), config->vp_count,
                                                  LEVEL_CORE << 8 | 1, config->apic_id };
    table->topology[2] = (struct x86_cpuid_regs){ 0, 0, 2, config->apic_id };
    if ((table->extended[1].ecx & FXC_TOPOLOGY) != 0 && table->max_extended >= 0x8000001Eu) {
        table->extended[0x1E] = (struct x86_cpuid_regs){ config->apic_id, config->apic_id & 0xFF, 0, 0 };
    } else {
        table->extended[1].ecx &= ~FXC_TOPOLOGY;
    }
}

static void build_widths(struct cpuid_builder *builder)
{
    struct x86_cpuid *table = builder->table;
    const uint32_t count = builder->config->vp_count;
    uint32_t physical = table->extended[8].eax & 0xFF;
    const bool five = (table->basic[7].ecx & F7C_LA57) != 0;

    if (physical < PHYSICAL_BITS_MIN) {
        physical = PHYSICAL_BITS_PAE; /* no leaf, or one that says nothing */
    } else if (physical > PHYSICAL_BITS_MAX) {
        physical = PHYSICAL_BITS_MAX;
    }
    table->extended[8].eax = physical | (five ? LINEAR_BITS_5LEVEL : LINEAR_BITS_4LEVEL) << 8;
    if (builder->is_amd) {
        table->extended[8].ecx = (count - 1) | id_bits(count) << 12;
    }
}

void cpuid_build_processor(struct cpuid_builder *builder)
{
    build_signature(builder);
    build_topology(builder);
    build_widths(builder);
}

/*
 * EAX of a cache: type in bits 4-0, level in 7-5; how many IDs share it, less one, in 25-14;
 * cores, less one, in 31-26.
 */
static uint32_t cache_shape(const struct cpuid_builder *builder, uint32_t eax)
{
    const uint32_t ids = (UINT32_C(1) << id_bits(builder->config->vp_count)) - 1;
    const bool shared = (eax >> 5 & 7) >= 3;
    uint32_t shape = eax & 0x3FFF;

    if (builder->is_amd) {
        return shape | (shared ? builder->config->vp_count - 1 : 0) << 14;
    }
    shape |= (shared ? ids : 0) << 14;
    return shape | (ids & 0x3F) << 26;
}

void cpuid_build_caches(struct cpuid_builder *builder)
{
    struct x86_cpuid *table = builder->table;
    const uint32_t leaf = builder->is_amd ? 0x8000001Du : 4;

    if (builder->is_amd && (table->extended[1].ecx & FXC_TOPOLOGY) == 0) {
        return;
    }
    for (uint32_t i = 0; i < X86_CPUID_CACHES; i++) {
        table->caches[i] = cpuid_host(builder, leaf, i);
        if ((table->caches[i].eax & 0x1F) == 0) {
            table->caches[i] = (struct x86_cpuid_regs){ 0 };
            break;
        }
        table->caches[i].eax = cache_shape(builder, table->caches[i].eax);
    }
    table->caches_by_extended = builder->is_amd;
}
