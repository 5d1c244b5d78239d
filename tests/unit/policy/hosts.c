#include "tests/unit/policy/hosts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AMD          0x68747541, 0x444D4163, 0x69746E65
#define INTEL        0x756E6547, 0x6C65746E, 0x49656E69

static const struct host_leaf qemu_leaves[] = {
    { 0x0, 0, { 0xD, AMD } },
    { 0x1, 0, { 0x00060FB1, 0x00000800, 0xF6D8320B, 0x0FCBFBFD } },
    { 0x5, 0, { 0, 0, 3, 0 } },
    { 0x6, 0, { 4, 0, 0, 0 } },
    { 0x7, 0, { 0, 0x01D843A9, 0x8001020C, 0 } },
    { 0xB, 0, { 0, 1, 0x100, 0 } },
    { 0xB, 1, { 0, 1, 0x201, 0 } },
    { 0xD, 0, { 0x21F, 0x240, 0xA88, 0 } },
    { 0xD, 1, { 5, 0x3C8, 0, 0 } },
    { 0xD, 2, { 0x100, 0x240, 0, 0 } },
    { 0xD, 3, { 0x40, 0x3C0, 0, 0 } },
    { 0xD, 4, { 0x40, 0x400, 0, 0 } },
    { 0xD, 9, { 8, 0xA80, 0, 0 } },
    { 0x80000000, 0, { 0x8000000A, AMD } },
    { 0x80000001, 0, { 0x00060FB1, 0, 0x75, 0xEDD3FBFD } },
    { 0x80000002, 0, { 0x554D4551, 0x47435420, 0x55504320, 0x72657620 } },
    { 0x80000003, 0, { 0x6E6F6973, 0x352E3220, 0x2B, 0 } },
    { 0x80000005, 0, { 0x01FF01FF, 0x01FF01FF, 0x40020140, 0x40020140 } },
    { 0x80000006, 0, { 0, 0x42004200, 0x02008140, 0x00808140 } },
    { 0x80000008, 0, { 0x3928, 0, 0, 0 } },
    { 0x8000000A, 0, { 1, 0x10, 0, 0x10010001 } },
};

static const struct host_leaf rome_leaves[] = {
    { 0x0, 0, { 0x10, AMD } },
    { 0x1, 0, { 0x00830F10, 0x00400800, 0xFED8320B, 0x178BFBFF } },
    { 0x5, 0, { 0x40, 0x40, 3, 0x11 } },
    { 0x6, 0, { 4, 0, 1, 0 } },
    { 0x7, 0, { 0, 0x219C91A9, 0x00400004, 0 } },
    { 0xB, 0, { 1, 2, 0x100, 5 } },
    { 0xB, 1, { 7, 128, 0x201, 5 } },
    { 0xD, 0, { 7, 0x340, 0x340, 0 } },
    { 0xD, 1, { 0xF, 0x340, 0, 0 } },
    { 0xD, 2, { 0x100, 0x240, 0, 0 } },
    { 0x80000000, 0, { 0x80000020, AMD } },
    { 0x80000001, 0, { 0x00830F10, 0x40000000, 0x75C237FF, 0x2FD3FBFF } },
    { 0x80000007, 0, { 0, 0x1B, 0, 0x6799 } },
    { 0x80000008, 0, { 0x3030, 0x010EB757, 0x703F, 0x10000 } },
    { 0x8000000A, 0, { 1, 0x8000, 0, 0x113BCFF } },
    { 0x8000001D, 0, { 0x00004121, 0x01C0003F, 0x3F, 0 } },
    { 0x8000001D, 1, { 0x00004122, 0x01C0003F, 0x3F, 0 } },
    { 0x8000001D, 2, { 0x00004143, 0x01C0003F, 0x3FF, 2 } },
    { 0x8000001D, 3, { 0x0001C163, 0x03C0003F, 0x3FFF, 1 } },
    { 0x8000001E, 0, { 5, 0x102, 0x100, 0 } },
};

static const struct host_leaf skylake_leaves[] = {
    { 0x0, 0, { 0x16, INTEL } },
    { 0x1, 0, { 0x00050654, 0x07400800, 0x7FFEFBFF, 0xBFEBFBFF } },
    { 0x2, 0, { 0x76036301, 0x00F0B5FF, 0, 0x00C30000 } },
    { 0x4, 0, { 0x7C004121, 0x01C0003F, 0x3F, 0 } },
    { 0x4, 1, { 0x7C004122, 0x01C0003F, 0x3F, 0 } },
    { 0x4, 2, { 0x7C004143, 0x03C0003F, 0x3FF, 0 } },
    { 0x4, 3, { 0x7C0FC163, 0x0280003F, 0x4FFF, 4 } },
    { 0x5, 0, { 0x40, 0x40, 3, 0x2020 } },
    { 0x6, 0, { 0xEF7, 2, 9, 0 } },
    { 0x7, 0, { 0, 0xD39FFFFB, 8, 0xBC000400 } },
    { 0xA, 0, { 0x07300404, 0, 0, 0x603 } },
    { 0xB, 0, { 1, 2, 0x100, 7 } },
    { 0xB, 1, { 6, 40, 0x201, 7 } },
    { 0xD, 0, { 0x2FF, 0xA80, 0xA88, 0 } },
    { 0xD, 1, { 0xF, 0xA00, 0x100, 0 } },
    { 0xD, 2, { 0x100, 0x240, 0, 0 } },
    { 0xD, 3, { 0x40, 0x3C0, 0, 0 } },
    { 0xD, 4, { 0x40, 0x400, 0, 0 } },
    { 0xD, 5, { 0x40, 0x440, 0, 0 } },
    { 0xD, 6, { 0x200, 0x480, 0, 0 } },
    { 0xD, 7, { 0x400, 0x680, 0, 0 } },
    { 0xD, 8, { 0x80, 0, 1, 0 } },
    { 0xD, 9, { 8, 0xA80, 0, 0 } },
    { 0x15, 0, { 2, 0xA8, 0, 0 } },
    { 0x16, 0, { 0x834, 0xE74, 0x64, 0 } },
    { 0x80000000, 0, { 0x80000008, 0, 0, 0 } },
    { 0x80000001, 0, { 0, 0, 0x121, 0x2C100800 } },
    { 0x80000006, 0, { 0, 0, 0x01006040, 0 } },
    { 0x80000007, 0, { 0, 0, 0, 0x100 } },
    { 0x80000008, 0, { 0x302E, 0, 0, 0 } },
};

/* A count of zero leaves and a name: see host_read(). */
static const struct host_leaf yes_amd[] = { { 0, 0, { 0xFFFFFFFF, AMD } } };
static const struct host_leaf yes_intel[] = { { 0, 0, { 0xFFFFFFFF, INTEL } } };

const struct host qemu_max = { qemu_leaves, COUNT(qemu_leaves) };
const struct host epyc_rome = { rome_leaves, COUNT(rome_leaves) };
const struct host skylake_server = { skylake_leaves, COUNT(skylake_leaves) };
const struct host says_yes_amd = { yes_amd, COUNT(yes_amd) };
const struct host says_yes_intel = { yes_intel, COUNT(yes_intel) };

struct x86_cpuid_regs host_read(void *context, uint32_t leaf, uint32_t subleaf)
{
    const struct host *host = context;
    const bool extended = leaf >= 0x80000000;

    for (unsigned i = 0; i < host->count; i++) {
        if (host->leaves[i].leaf == leaf && (host->leaves[i].subleaf == subleaf || leaf == 0)) {
            return host->leaves[i].regs;
        }
    }
    if (host->count == 1) {
        return (struct x86_cpuid_regs){ 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF };
    }
    /* Beyond the highest leaf QEMU answers with leaf 0xD. */
    if ((extended && leaf > 0x80000020) || (!extended && leaf > host->leaves[0].regs.eax)) {
        return host_read(context, 0xD, subleaf);
    }
    return (struct x86_cpuid_regs){ 0 };
}

struct x86_cpuid_config config_on(const struct host *host)
{
    return (struct x86_cpuid_config){
        .host = { .context = (void *)(uintptr_t)host, .read = host_read },
        .vp_count = 1,
    };
}
