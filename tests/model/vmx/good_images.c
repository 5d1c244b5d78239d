/* See good_images.h. The processor is one that allows every control that the model knows, with 40 and 48 address bits. */
#include <stddef.h>
#include <string.h>

#include "tests/model/vmx/good_images.h"

#define ALLOW(may, must) ((uint64_t)((may) | (must)) << 32 | (must))

/* Reserved controls that must be 1, of the TRUE registers and of the older ones. */
#define PIN_ONES         0x00000016u
#define PROC_ONES        0x04006172u
#define PROC_OLD_ONES    0x0401E172u
#define EXIT_ONES        0x00036DFBu
#define EXIT_OLD_ONES    0x00036DFFu
#define ENTRY_ONES       0x000011FBu
#define ENTRY_OLD_ONES   0x000011FFu

#define CR4_PAE          0x20u
#define CR4_PCIDE        0x20000u
#define CR4_VMXE         0x2000u
#define CR0_PAGED        0x80050033u

static const struct change processor[] = {
    SET(MSR(0x480), UINT64_C(1) << 55 | 0x10),
    SET(MSR(0x481), ALLOW(0xE9u, PIN_ONES)),
    SET(MSR(0x482), ALLOW(0xFBF99E8Cu, PROC_OLD_ONES)),
    SET(MSR(0x483), ALLOW(0x31FC9204u, EXIT_OLD_ONES)),
    SET(MSR(0x484), ALLOW(0x0053EE04u, ENTRY_OLD_ONES)),
    SET(MSR(0x485), 0x000401C5u), /* all activity states, four CR3 targets, 512 MSRs */
    SET(MSR(0x486), 0x80000021u),
    SET(MSR(0x487), 0xFFFFFFFFu),
    SET(MSR(0x488), 0x2000u),
    SET(MSR(0x489), 0x00F727FFu),
    SET(MSR(0x48B), ALLOW(0x06DFFFFFu, 0u)),
    SET(MSR(0x48C), UINT64_C(0xF0106334141)),
    SET(MSR(0x48D), ALLOW(0xE9u, PIN_ONES)),
    SET(MSR(0x48E), ALLOW(0xFBF99E8Cu, PROC_ONES)),
    SET(MSR(0x48F), ALLOW(0x31FC9204u, EXIT_ONES)),
    SET(MSR(0x490), ALLOW(0x0053EE04u, ENTRY_ONES)),
    SET(MSR(0x491), 1),
    SET(ENTRY_KEY_CPUID_WIDTHS, 0x3028),
    SET(ENTRY_KEY_CPUID_EXTENDED, 0x28100800),
    SET(ENTRY_KEY_CPUID_FEATURES, 0x00000800), /* RTM, no enclaves */
    SET(ENTRY_KEY_CPUID_PERFMON, UINT64_C(0x60307300403)),
    SET(ENTRY_KEY_VTPR, 0x20),
    SET(ENTRY_KEY_LINK_REVISION, 0x10),
    SET(ENTRY_KEY_CURRENT_VMCS, 0x5000),
    SET(ENTRY_KEY_PDPTE, 0x1001),
    SET(ENTRY_KEY_PDPTE + 1, 0x2001),
    SET(ENTRY_KEY_PDPTE + 2, 0),
    SET(ENTRY_KEY_PDPTE + 3, UINT64_C(0xFFFFFF0000000006)), /* not present: anything */
    SET(ENTRY_KEY_MSR_LOAD, 0xC0000081),
    SET(ENTRY_KEY_MSR_LOAD + 1, 0),
};

static const struct change controls_and_host[] = {
    SET(VMCS_PIN_CONTROLS, PIN_ONES | VMX_PIN_EXTERNAL_INTERRUPT | VMX_PIN_NMI | VMX_PIN_VIRTUAL_NMIS),
    SET(VMCS_PROCESSOR_CONTROLS, PROC_ONES | VMX_PROC_HLT | VMX_PROC_IO_BITMAPS | VMX_PROC_MSR_BITMAPS |
                                     VMX_PROC_TPR_SHADOW | VMX_PROC_SECONDARY),
    SET(VMCS_PROCESSOR_CONTROLS2, VMX_PROC2_VPID | VMX_PROC2_EPT),
    SET(VMCS_EXIT_CONTROLS, EXIT_ONES | VMX_EXIT_HOST_64 | VMX_EXIT_LOAD_PAT | VMX_EXIT_LOAD_EFER |
                                VMX_EXIT_SAVE_EFER | VMX_EXIT_SAVE_DEBUG),
    SET(VMCS_ENTRY_CONTROLS, ENTRY_ONES | VMX_ENTRY_LOAD_DEBUG | VMX_ENTRY_LOAD_PAT | VMX_ENTRY_LOAD_EFER),
    SET(VMCS_VPID, 1),
    SET(VMCS_EPTP, 0x0010005E), /* write-back, four levels, accessed and dirty flags */
    SET(VMCS_IO_BITMAP_A, 0x2000),
    SET(VMCS_IO_BITMAP_B, 0x3000),
    SET(VMCS_MSR_BITMAP, 0x4000),
    SET(VMCS_VIRTUAL_APIC, 0x6000),
    SET(VMCS_TPR_THRESHOLD, 2),
    SET(VMCS_HOST_CR0, 0x80050033),
    SET(VMCS_HOST_CR3, 0x1000),
    SET(VMCS_HOST_CR4, 0x000426A0),
    SET(VMCS_HOST_PAT, UINT64_C(0x0007040600070406)),
    SET(VMCS_HOST_EFER, 0xD01),
    SET(VMCS_HOST_CS_SELECTOR, 8),
    SET(VMCS_HOST_SS_SELECTOR, 16),
    SET(VMCS_HOST_TR_SELECTOR, 24),
    SET(VMCS_HOST_FS_BASE, UINT64_C(0xFFFF800000000000)),
    SET(VMCS_HOST_RIP, UINT64_C(0xFFFFFFFF80000000)),
    SET(VMCS_GUEST_PAT, UINT64_C(0x0007040600070406)),
    SET(VMCS_GUEST_DR7, 0x400),
    SET(VMCS_GUEST_RFLAGS, 0x202),
    SET(VMCS_LINK, VMX_LINK_NONE),
};

/* Flat 32-bit segments. */
static const struct change protected_mode[] = {
    SET(VMCS_GUEST_CR0, CR0_PAGED),
    SET(VMCS_GUEST_CR4, CR4_VMXE),
    SET(VMCS_GUEST_CR3, 0x1000),
    SET(VMCS_GUEST_CS_SELECTOR, 8),
    SET(VMCS_GUEST_CS_RIGHTS, 0xC09B),
    SET(VMCS_GUEST_CS_LIMIT, 0xFFFFFFFF),
    SET(VMCS_GUEST_SS_SELECTOR, 16),
    SET(VMCS_GUEST_SS_RIGHTS, 0xC093),
    SET(VMCS_GUEST_SS_LIMIT, 0xFFFFFFFF),
    SET(VMCS_GUEST_DS_SELECTOR, 16),
    SET(VMCS_GUEST_DS_RIGHTS, 0xC093),
    SET(VMCS_GUEST_DS_LIMIT, 0xFFFFFFFF),
    SET(VMCS_GUEST_ES_SELECTOR, 16),
    SET(VMCS_GUEST_ES_RIGHTS, 0xC09B), /* code that may be read */
    SET(VMCS_GUEST_ES_LIMIT, 0xFFFFFFFF),
    SET(VMCS_GUEST_FS_RIGHTS, VMX_RIGHTS_UNUSABLE),
    SET(VMCS_GUEST_GS_RIGHTS, VMX_RIGHTS_UNUSABLE),
    SET(VMCS_GUEST_LDTR_SELECTOR, 0x28),
    SET(VMCS_GUEST_LDTR_RIGHTS, 0x82),
    SET(VMCS_GUEST_LDTR_LIMIT, 0xFFF),
    SET(VMCS_GUEST_TR_SELECTOR, 0x30),
    SET(VMCS_GUEST_TR_RIGHTS, 0x8B),
    SET(VMCS_GUEST_TR_LIMIT, 0x67),
    SET(VMCS_GUEST_GDTR_LIMIT, 0xFFFF),
    SET(VMCS_GUEST_RIP, 0x00100000),
};

static const struct change unrestricted[] = {
    OR(VMCS_PROCESSOR_CONTROLS2, VMX_PROC2_UNRESTRICTED_GUEST),
};

static const struct change real_mode[] = {
    SET(VMCS_GUEST_CR0, 0x60000030), /* NW and CD, as a reset leaves them */
    SET(VMCS_GUEST_CS_SELECTOR, 0xF000), SET(VMCS_GUEST_CS_BASE, 0xFFFF0000),
    SET(VMCS_GUEST_CS_LIMIT, 0xFFFF),    SET(VMCS_GUEST_CS_RIGHTS, 0x93),
    SET(VMCS_GUEST_SS_SELECTOR, 3),      SET(VMCS_GUEST_SS_RIGHTS, 0x93),
    SET(VMCS_GUEST_SS_LIMIT, 0xFFFF),    SET(VMCS_GUEST_DS_SELECTOR, 0x1233),
    SET(VMCS_GUEST_DS_RIGHTS, 0x93),     SET(VMCS_GUEST_DS_LIMIT, 0xFFFF),
    SET(VMCS_GUEST_RIP, 0xFFF0),
};

static const struct change virtual_8086[] = {
    OR(VMCS_GUEST_RFLAGS, 0x20000),   SET(VMCS_GUEST_ES_SELECTOR, 0x1000),
    SET(VMCS_GUEST_ES_BASE, 0x10000), SET(VMCS_GUEST_ES_LIMIT, 0xFFFF),
    SET(VMCS_GUEST_ES_RIGHTS, 0xF3),  SET(VMCS_GUEST_CS_SELECTOR, 0xF003),
    SET(VMCS_GUEST_CS_BASE, 0xF0030), SET(VMCS_GUEST_CS_LIMIT, 0xFFFF),
    SET(VMCS_GUEST_CS_RIGHTS, 0xF3),  SET(VMCS_GUEST_SS_SELECTOR, 0x2000),
    SET(VMCS_GUEST_SS_BASE, 0x20000), SET(VMCS_GUEST_SS_LIMIT, 0xFFFF),
    SET(VMCS_GUEST_SS_RIGHTS, 0xF3),  SET(VMCS_GUEST_DS_SELECTOR, 0x10),
    SET(VMCS_GUEST_DS_BASE, 0x100),   SET(VMCS_GUEST_DS_LIMIT, 0xFFFF),
    SET(VMCS_GUEST_DS_RIGHTS, 0xF3),  SET(VMCS_GUEST_FS_LIMIT, 0xFFFF),
    SET(VMCS_GUEST_FS_RIGHTS, 0xF3),  SET(VMCS_GUEST_GS_LIMIT, 0xFFFF),
    SET(VMCS_GUEST_GS_RIGHTS, 0xF3),
};

static const struct change unpaged[] = { SET(VMCS_GUEST_CR0, 0x31) };

static const struct change without_ept[] = { CLR(VMCS_PROCESSOR_CONTROLS2, VMX_PROC2_EPT) };

static const struct change at_cpl_3[] = {
    SET(VMCS_GUEST_CS_SELECTOR, 0x1B), SET(VMCS_GUEST_CS_RIGHTS, 0xC0FB), SET(VMCS_GUEST_SS_SELECTOR, 0x23),
    SET(VMCS_GUEST_SS_RIGHTS, 0xC0F3), SET(VMCS_GUEST_DS_SELECTOR, 0x23), SET(VMCS_GUEST_DS_RIGHTS, 0xC0F3),
    SET(VMCS_GUEST_ES_SELECTOR, 0x23), SET(VMCS_GUEST_ES_RIGHTS, 0xC0F3), OR(VMCS_GUEST_CR4, 0x10),
    SET(VMCS_GUEST_EFER, 1),
};

static const struct change pae[] = {
    OR(VMCS_GUEST_CR4, CR4_PAE),
    SET(VMCS_GUEST_EFER, 0x800),
    SET(VMCS_GUEST_PDPTE0, 0x1001),
    SET(VMCS_GUEST_PDPTE3, UINT64_C(0xFFFFFF00000001E6)),
};

static const struct change long_mode[] = {
    OR(VMCS_ENTRY_CONTROLS, VMX_ENTRY_GUEST_64),
    OR(VMCS_GUEST_CR4, CR4_PAE | CR4_PCIDE),
    SET(VMCS_GUEST_EFER, 0xD01),
    SET(VMCS_GUEST_CR3, 0x1003),
    SET(VMCS_GUEST_FS_BASE, UINT64_C(0x7F0012345678)),
    SET(VMCS_GUEST_GS_BASE, UINT64_C(0xFFFF888000000000)),
    SET(VMCS_GUEST_TR_BASE, UINT64_C(0xFFFFFE0000003000)),
    SET(VMCS_GUEST_LDTR_RIGHTS, VMX_RIGHTS_UNUSABLE),
    SET(VMCS_GUEST_GDTR_BASE, UINT64_C(0xFFFFFE0000001000)),
};

static const struct change code_64[] = {
    SET(VMCS_GUEST_CS_RIGHTS, 0xA09B),
    SET(VMCS_GUEST_SS_SELECTOR, 0),
    SET(VMCS_GUEST_SS_RIGHTS, VMX_RIGHTS_UNUSABLE),
    SET(VMCS_GUEST_DS_RIGHTS, VMX_RIGHTS_UNUSABLE | 0xC0F3),
    SET(VMCS_GUEST_ES_RIGHTS, VMX_RIGHTS_UNUSABLE),
    SET(VMCS_GUEST_RIP, UINT64_C(0xFFFFFFFF81000000)),
};

static const struct change halted[] = { SET(VMCS_GUEST_ACTIVITY, VMX_HALTED) };

void change_image(struct entry_image *image, const struct change *change)
{
    uint64_t value;

    entry_image_get(image, change->key, &value);
    switch (change->how) {
    case CHANGE_NONE: return;
    case CHANGE_SET: value = change->value; break;
    case CHANGE_OR: value |= change->value; break;
    case CHANGE_CLEAR: value &= ~change->value; break;
    }
    entry_image_set(image, change->key, value);
}

static void zero(void *image, unsigned key)
{
    entry_image_set(image, key, 0);
}

#define LAYER(name)                                                                                          \
    {                                                                                                        \
        (name), sizeof(name) / sizeof(name)[0]                                                               \
    }
#define LAYERS 8

static const struct {
    const struct change *change;
    size_t count;
} layers[GOOD_KINDS][LAYERS] = {
    [GOOD_REAL] = { LAYER(protected_mode), LAYER(unrestricted), LAYER(real_mode) },
    [GOOD_V8086] = { LAYER(protected_mode), LAYER(unrestricted), LAYER(virtual_8086) },
    [GOOD_UNPAGED] = { LAYER(protected_mode), LAYER(unrestricted), LAYER(unpaged) },
    [GOOD_32_BIT] = { LAYER(protected_mode), LAYER(without_ept), LAYER(at_cpl_3) },
    [GOOD_PAE] = { LAYER(protected_mode), LAYER(without_ept), LAYER(pae) },
    [GOOD_PAE_EPT] = { LAYER(protected_mode), LAYER(pae) },
    [GOOD_LONG] = { LAYER(protected_mode), LAYER(long_mode), LAYER(code_64) },
    [GOOD_COMPATIBLE] = { LAYER(protected_mode), LAYER(at_cpl_3), LAYER(long_mode) },
    [GOOD_HALTED] = { LAYER(protected_mode), LAYER(long_mode), LAYER(code_64), LAYER(halted) },
};

void good_image(struct entry_image *image, enum good_kind kind)
{
    memset(image, 0, sizeof *image);
    entry_each_field(zero, image);
    for (size_t i = 0; i < sizeof processor / sizeof processor[0]; i++) {
        change_image(image, &processor[i]);
    }
    for (size_t i = 0; i < sizeof controls_and_host / sizeof controls_and_host[0]; i++) {
        change_image(image, &controls_and_host[i]);
    }
    for (unsigned layer = 0; layer < LAYERS && layers[kind][layer].change; layer++) {
        for (size_t i = 0; i < layers[kind][layer].count; i++) {
            change_image(image, &layers[kind][layer].change[i]);
        }
    }
}
