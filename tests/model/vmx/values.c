/* What addresses and registers may hold on the processor that an image was taken from. */
#include "tests/model/vmx/rules.h"

#define PAGE_OFFSET       BITS64(11, 0)
#define BASIC_32_BIT      BIT64(48) /* VMX structures lie below 4 GiB */
#define EFER_IF_SYSCALL   BIT64(11) /* CPUID 80000001H EDX */
#define EFER_IF_NX        BIT64(20)
#define EFER_IF_LONG_MODE BIT64(29)
#define CET_RESERVED      BITS64(9, 6)
#define CET_SUPPRESS      BIT64(10)
#define CET_TRACKER       BIT64(11)

static unsigned physical_bits(struct entry_check *check)
{
    return (unsigned)entry_read(check, ENTRY_KEY_CPUID_WIDTHS) & 0xFF;
}

static unsigned linear_bits(struct entry_check *check)
{
    return (unsigned)entry_read(check, ENTRY_KEY_CPUID_WIDTHS) >> 8 & 0xFF;
}

/* Bits from @bit up; none of a value as wide as that. */
static uint64_t from_bit(unsigned bit)
{
    return bit < 64 ? ~UINT64_C(0) << bit : 0;
}

bool beyond_physical(struct entry_check *check, uint64_t address)
{
    return address & from_bit(physical_bits(check));
}

bool beyond_structures(struct entry_check *check, uint64_t address)
{
    return beyond_physical(check, address) ||
           (capability(check, MSR_VMX_BASIC) & BASIC_32_BIT && address >> 32);
}

bool no_structure_page(struct entry_check *check, uint64_t address)
{
    return address & PAGE_OFFSET || beyond_structures(check, address);
}

bool beyond_linear(struct entry_check *check, uint64_t address)
{
    const uint64_t upper = from_bit(linear_bits(check));

    return (address & upper) != 0 && (address & upper) != upper;
}

bool not_canonical(struct entry_check *check, uint64_t address)
{
    const uint64_t upper = from_bit(linear_bits(check) - 1);

    return (address & upper) != 0 && (address & upper) != upper;
}

/* FIXED0 has the bits that must be 1, FIXED1, the MSR after it, those that may be. */
bool breaks_fixed_bits(struct entry_check *check, unsigned fixed0_msr, uint64_t value, uint64_t exempt)
{
    const uint64_t fixed0 = capability(check, fixed0_msr);
    const uint64_t fixed1 = capability(check, fixed0_msr + 1);

    return ((fixed0 & ~value) | (value & ~fixed1)) & ~exempt;
}

bool bad_pat(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        const uint8_t type = (uint8_t)(value >> (8 * i));

        if (type > 7 || type == 2 || type == 3) {
            return true;
        }
    }
    return false;
}

bool bad_efer(struct entry_check *check, uint64_t value)
{
    const uint64_t features = entry_read(check, ENTRY_KEY_CPUID_EXTENDED);
    uint64_t offered = 0;

    offered |= features & EFER_IF_SYSCALL ? VMMU_X86_EFER_SCE : 0;
    offered |= features & EFER_IF_NX ? VMMU_X86_EFER_NXE : 0;
    offered |= features & EFER_IF_LONG_MODE ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0;
    return value & ~offered;
}

/* A bit for each counter: general ones from bit 0, fixed ones from bit 32. Spec: SDM 3B "Architectural Performance Monitoring". */
bool bad_perf_global(struct entry_check *check, uint64_t value)
{
    const uint64_t perfmon = entry_read(check, ENTRY_KEY_CPUID_PERFMON);
    const unsigned version = (unsigned)perfmon & 0xFF;
    const unsigned general = (unsigned)(perfmon >> 8) & 0xFF;
    const unsigned fixed = version > 1 ? (unsigned)(perfmon >> 32) & 0x1F : 0;

    return value & from_bit(general) & ~(from_bit(32) & ~from_bit(32 + fixed));
}

bool bad_cet(struct entry_check *check, uint64_t value)
{
    return value & CET_RESERVED || (value & CET_SUPPRESS && value & CET_TRACKER) ||
           not_canonical(check, value & ~PAGE_OFFSET);
}
