#include "tests/guests/common/cpu.h"

enum output { OUT_A, OUT_B, OUT_C, OUT_D };

static bool has(uint32_t leaf, enum output output, unsigned bit)
{
    if (cpuid(leaf & 0x80000000, 0).a < leaf) {
        return false;
    }
    const struct cpuid out = cpuid(leaf, 0);
    const uint32_t words[] = { out.a, out.b, out.c, out.d };
    return words[output] >> bit & 1;
}

#define MAKE_FEATURE(name, leaf, output, bit)                                                                \
    bool cpu_has_##name(void)                                                                                \
    {                                                                                                        \
        return has(leaf, output, bit);                                                                       \
    }

MAKE_FEATURE(pse, 1, OUT_D, 3)
MAKE_FEATURE(pae, 1, OUT_D, 6)
MAKE_FEATURE(pge, 1, OUT_D, 13)
MAKE_FEATURE(monitor, 1, OUT_C, 3)
MAKE_FEATURE(pcid, 1, OUT_C, 17)
MAKE_FEATURE(x2apic, 1, OUT_C, 21)
MAKE_FEATURE(deadline, 1, OUT_C, 24)
MAKE_FEATURE(xsave, 1, OUT_C, 26)
MAKE_FEATURE(avx, 1, OUT_C, 28)
MAKE_FEATURE(hypervisor, 1, OUT_C, 31)
MAKE_FEATURE(smep, 7, OUT_B, 7)
MAKE_FEATURE(invpcid, 7, OUT_B, 10)
MAKE_FEATURE(smap, 7, OUT_B, 20)
MAKE_FEATURE(pku, 7, OUT_C, 3)
MAKE_FEATURE(la57, 7, OUT_C, 16)
MAKE_FEATURE(pks, 7, OUT_C, 31)
MAKE_FEATURE(nx, 0x80000001, OUT_D, 20)
MAKE_FEATURE(gib_pages, 0x80000001, OUT_D, 26)

unsigned cpu_physical_bits(void)
{
    if (cpuid(0x80000000, 0).a < 0x80000008) {
        return 36;
    }
    return cpuid(0x80000008, 0).a & 0xff;
}
