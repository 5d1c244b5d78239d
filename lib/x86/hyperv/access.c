/* HvReadGpa and HvWriteGpa: what an access comes to, and the calls' output. */
#include "lib/x86/hyperv/call.h"
#include "lib/x86/hyperv/hyperv.h"

enum {
    OUTPUT_CODE = 0,
    OUTPUT_DATA = 8,
    READ_BYTES = 24,
    WRITE_BYTES = 8,
};

enum vmmu_hyperv_access_code vmmu_hyperv_access_judge(const struct vmmu_hyperv_page *page, bool write)
{
    if (!page->mapped) {
        return VMMU_HYPERV_ACCESS_UNMAPPED;
    }
    /* A write to a page of the hypervisor's own that the guest may not write is no intercept of anybody's. */
    if (write && page->overlay && !page->writable) {
        return VMMU_HYPERV_ACCESS_OVERLAY;
    }
    if (write) {
        return page->writable ? VMMU_HYPERV_ACCESS_SUCCESS : VMMU_HYPERV_ACCESS_NO_WRITE;
    }
    return page->readable ? VMMU_HYPERV_ACCESS_SUCCESS : VMMU_HYPERV_ACCESS_NO_READ;
}

void vmmu_hyperv_read_output(const struct vmmu_hyperv_access *access, enum vmmu_hyperv_access_code code,
                             const uint8_t *data, uint8_t *output)
{
    __builtin_memset(output, 0, READ_BYTES);
    hv_put_bytes(output + OUTPUT_CODE, code, 4);
    if (code == VMMU_HYPERV_ACCESS_SUCCESS) {
        __builtin_memcpy(output + OUTPUT_DATA, data, access->bytes);
    }
}

void vmmu_hyperv_write_output(enum vmmu_hyperv_access_code code, uint8_t *output)
{
    __builtin_memset(output, 0, WRITE_BYTES);
    hv_put_bytes(output + OUTPUT_CODE, code, 4);
}
