/*
 * Instructions that the hypervisor performs in the guest's place: done by the library, with memory and
 * devices reached from here. Where no memory is, reads give all ones, as a bus that nobody drives.
 */
#include "hv/mmu/mmu.h"
#include "hv/x86/vp/x86.h"

static enum vmmu_status translate(struct vp *vp, vmmu_gva va, enum vmmu_x86_access_kind kind, vmmu_gpa *gpa,
                                  struct vmmu_x86_fault *fault)
{
    struct vmmu_x86_walk_result walk;
    const enum vmmu_status status = x86_walk(vp, va, kind, &walk);

    if (status == VMMU_OK) {
        *gpa = walk.translation.gpa;
    } else if (status == VMMU_GUEST_FAULT) {
        *fault = walk.fault;
    }
    return status;
}

/* --- memory, as instructions reach it --- */

static uint64_t mask_of(unsigned bytes)
{
    return bytes >= 8 ? UINT64_MAX : BIT64(8 * bytes) - 1;
}

static uint64_t load_bytes(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;

    switch (bytes) {
    case 1: return *from;
    case 2: return *(const uint16_t *)from;
    case 4: return __atomic_load_n((const uint32_t *)from, __ATOMIC_RELAXED);
    case 8: return __atomic_load_n((const uint64_t *)from, __ATOMIC_RELAXED);
    default: __builtin_memcpy(&value, from, bytes); return value;
    }
}

static void store_bytes(uint8_t *to, unsigned bytes, uint64_t value)
{
    switch (bytes) {
    case 1: *to = (uint8_t)value; break;
    case 2: *(uint16_t *)to = (uint16_t)value; break;
    case 4: __atomic_store_n((uint32_t *)to, (uint32_t)value, __ATOMIC_RELAXED); break;
    case 8: __atomic_store_n((uint64_t *)to, value, __ATOMIC_RELAXED); break;
    default: __builtin_memcpy(to, &value, bytes); break;
    }
}

/* One access outside RAM. Odd sizes, of an operand that crosses a page, go byte by byte. */
static uint64_t device_read(struct vp *vp, vmmu_gpa gpa, unsigned bytes)
{
    uint64_t value = UINT64_MAX;

    x86_settle_eoi(vp);
    if (bytes & (bytes - 1)) {
        value = 0;
        for (unsigned i = 0; i < bytes; i++) {
            value |= (device_read(vp, (vmmu_gpa){ gpa.v + i }, 1) & 0xFF) << (8 * i);
        }
        return value;
    }
    if (!pc_mmio_read(x86_pc(vp), vp->index, gpa, bytes, &value)) {
        value = UINT64_MAX;
    }
    return value & mask_of(bytes);
}

static void device_write(struct vp *vp, vmmu_gpa gpa, unsigned bytes, uint64_t value)
{
    x86_settle_eoi(vp);
    if (bytes & (bytes - 1)) {
        for (unsigned i = 0; i < bytes; i++) {
            device_write(vp, (vmmu_gpa){ gpa.v + i }, 1, (value >> (8 * i)) & 0xFF);
        }
        return;
    }
    (void)pc_mmio_write(x86_pc(vp), vp->index, gpa, bytes, value);
    vp->attention |= VP_ATTENTION_EVENT;
}

static enum vmmu_status memory_read(void *context, const struct vmmu_insn_bytes *bytes, uint64_t *value,
                                    struct vmmu_x86_fault *fault)
{
    struct vp *vp = context;
    const enum vmmu_x86_access_kind kind =
        bytes->access == VMMU_INSN_READ_TO_WRITE ? VMMU_X86_WRITE : VMMU_X86_READ;
    vmmu_gpa gpa;
    const enum vmmu_status status = translate(vp, bytes->at, kind, &gpa, fault);
    const uint8_t *at;

    if (status != VMMU_OK) {
        return status;
    }
    at = mmu_at(vp->partition, gpa, bytes->size_bytes);
    if (!at && x86_is_withheld(vp, gpa, kind, &bytes->at)) {
        return VMMU_RACED;
    }
    *value = at ? load_bytes(at, bytes->size_bytes) : device_read(vp, gpa, bytes->size_bytes);
    return VMMU_OK;
}

/*
 * Where a write to @bytes goes: memory at *at, or, if that is NULL, a device or nobody at *gpa. VMMU_RACED also if the parent
 * withholds it: the instruction starts again after that.
 */
static enum vmmu_status find_writable(struct vp *vp, const struct vmmu_insn_bytes *bytes, vmmu_gpa *gpa,
                                      uint8_t **at, struct vmmu_x86_fault *fault)
{
    const enum vmmu_status status = translate(vp, bytes->at, VMMU_X86_WRITE, gpa, fault);

    if (status != VMMU_OK) {
        return status;
    }
    *at = mmu_writable_at(vp->partition, *gpa, bytes->size_bytes);
    return !*at && x86_is_withheld(vp, *gpa, VMMU_X86_WRITE, &bytes->at) ? VMMU_RACED : VMMU_OK;
}

static enum vmmu_status memory_write(void *context, const struct vmmu_insn_bytes *bytes, uint64_t value,
                                     struct vmmu_x86_fault *fault)
{
    struct vp *vp = context;
    vmmu_gpa gpa;
    uint8_t *at;
    const enum vmmu_status status = find_writable(vp, bytes, &gpa, &at, fault);

    if (status != VMMU_OK) {
        return status;
    }
    if (at) {
        store_bytes(at, bytes->size_bytes, value);
        mmu_wrote(vp->partition, gpa, bytes->size_bytes);
    } else {
        device_write(vp, gpa, bytes->size_bytes, value);
    }
    return VMMU_OK;
}

static enum vmmu_status memory_probe(void *context, const struct vmmu_insn_bytes *bytes,
                                     struct vmmu_x86_fault *fault)
{
    vmmu_gpa gpa;

    return translate(context, bytes->at, bytes->access == VMMU_INSN_READ ? VMMU_X86_READ : VMMU_X86_WRITE,
                     &gpa, fault);
}

static bool exchange16(void *at, uint64_t expected[2], const uint64_t desired[2])
{
    uint64_t low = expected[0];
    uint64_t high = expected[1];
    bool stored;

    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(stored), "+m"(*(uint64_t(*)[2])at), "+a"(low), "+d"(high)
                     : "b"(desired[0]), "c"(desired[1])
                     : "memory");
    expected[0] = low;
    expected[1] = high;
    return stored;
}

static bool exchange_ram(uint8_t *at, unsigned bytes, uint64_t expected[2], const uint64_t desired[2])
{
    uint8_t expected8 = (uint8_t)expected[0];
    uint16_t expected16 = (uint16_t)expected[0];
    uint32_t expected32 = (uint32_t)expected[0];
    bool stored;

    switch (bytes) {
    case 1:
        stored = __atomic_compare_exchange_n(at, &expected8, (uint8_t)desired[0], false, __ATOMIC_SEQ_CST,
                                             __ATOMIC_SEQ_CST);
        expected[0] = expected8;
        return stored;
    case 2:
        stored = __atomic_compare_exchange_n((uint16_t *)at, &expected16, (uint16_t)desired[0], false,
                                             __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        expected[0] = expected16;
        return stored;
    case 4:
        stored = __atomic_compare_exchange_n((uint32_t *)at, &expected32, (uint32_t)desired[0], false,
                                             __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        expected[0] = expected32;
        return stored;
    case 8:
        return __atomic_compare_exchange_n((uint64_t *)at, &expected[0], desired[0], false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
    default: return exchange16(at, expected, desired);
    }
}

/* A device's register is read, compared and written: nothing else runs between. */
static enum vmmu_status exchange_device(struct vp *vp, vmmu_gpa gpa, unsigned bytes, uint64_t expected[2],
                                        const uint64_t desired[2])
{
    const unsigned half = bytes > 8 ? 8 : bytes;
    uint64_t value[2] = { device_read(vp, gpa, half), 0 };

    if (bytes > 8) {
        value[1] = device_read(vp, (vmmu_gpa){ gpa.v + 8 }, 8);
    }
    if (value[0] != expected[0] || (bytes > 8 && value[1] != expected[1])) {
        expected[0] = value[0];
        expected[1] = value[1];
        return VMMU_RACED;
    }
    device_write(vp, gpa, half, desired[0]);
    if (bytes > 8) {
        device_write(vp, (vmmu_gpa){ gpa.v + 8 }, 8, desired[1]);
    }
    return VMMU_OK;
}

static enum vmmu_status memory_exchange(void *context, const struct vmmu_insn_bytes *bytes,
                                        uint64_t expected[2], const uint64_t desired[2],
                                        struct vmmu_x86_fault *fault)
{
    struct vp *vp = context;
    vmmu_gpa gpa;
    uint8_t *at;
    const enum vmmu_status status = find_writable(vp, bytes, &gpa, &at, fault);

    if (status != VMMU_OK) {
        return status;
    }
    if (!at) {
        return exchange_device(vp, gpa, bytes->size_bytes, expected, desired);
    }
    if (!exchange_ram(at, bytes->size_bytes, expected, desired)) {
        return VMMU_RACED;
    }
    mmu_wrote(vp->partition, gpa, bytes->size_bytes);
    return VMMU_OK;
}

static enum vmmu_status port_in(void *context, uint16_t port, unsigned size_bytes, uint64_t *value)
{
    struct vp *vp = context;

    *value = pc_port_read(x86_pc(vp), vp->index, port, size_bytes);
    return VMMU_OK;
}

static enum vmmu_status port_out(void *context, uint16_t port, unsigned size_bytes, uint64_t value)
{
    struct vp *vp = context;

    pc_port_write(x86_pc(vp), vp->index, port, size_bytes, (uint32_t)value);
    return VMMU_OK;
}

struct vmmu_insn_memory x86_insn_memory(struct vp *vp)
{
    return (struct vmmu_insn_memory){
        .context = vp,
        .read = memory_read,
        .write = memory_write,
        .probe = memory_probe,
        .exchange = memory_exchange,
        .port_in = port_in,
        .port_out = port_out,
    };
}

/* --- instructions --- */

enum vp_next x86_give_up(struct vp *vp, const char *what)
{
    partition_end(vp->partition, PARTITION_STOPPED, 0, what);
    return VP_STOP;
}

bool x86_try(struct vp *vp, const struct vmmu_insn *insn)
{
    const struct vmmu_insn_memory memory = x86_insn_memory(vp);
    struct vmmu_insn_outcome outcome = { 0 };

    vp->counters.insn_emulated++;
    switch (vmmu_insn_perform(insn, x86_state(vp), &memory, &outcome)) {
    case VMMU_OK:
        if (outcome.single_step) {
            x86_single_step(vp);
        }
        return true;
    case VMMU_GUEST_FAULT: x86_raise_fault(vp, &outcome.fault); return true;
    case VMMU_RACED: return true;
    case VMMU_UNSUPPORTED:
    case VMMU_ABSENT:
    case VMMU_STAGE2:
    case VMMU_FLUSH_RETRY:
    case VMMU_NO_MEMORY:
    case VMMU_INVALID:
    case VMMU_VIOLATED: break;
    }
    return false;
}

enum vp_next x86_perform(struct vp *vp, const struct vmmu_insn *insn)
{
    if (!x86_try(vp, insn)) {
        return x86_give_up(vp, "an instruction reaches a device in a way that is not known here");
    }
    return VP_RESUME;
}

static enum vmmu_x86_access_kind access_of(const struct exit_memory *memory)
{
    if (memory->execute) {
        return VMMU_X86_EXECUTE;
    }
    return memory->write ? VMMU_X86_WRITE : VMMU_X86_READ;
}

enum vp_next arch_vp_emulate(struct vp *vp, const struct exit *exit)
{
    const struct exit_memory *memory = &exit->memory;
    const struct vmmu_insn *insn;

    if (x86_is_withheld(vp, memory->gpa, access_of(memory), memory->has_va ? &memory->va : NULL)) {
        return VP_WAIT;
    }
    if (exit->delivering) {
        return x86_give_up(vp, "an event could not be delivered: its tables or stack are not in memory");
    }
    if (memory->execute && mmu_at(vp->partition, memory->gpa, 1)) {
        x86_raise_gp(vp); /* memory that holds no code: an overlay with data */
        return VP_RESUME;
    }
    switch (x86_fetch(vp, &insn)) {
    case VMMU_OK: return x86_perform(vp, insn);
    case VMMU_GUEST_FAULT:
    case VMMU_RACED: return VP_RESUME;
    case VMMU_UNSUPPORTED:
    case VMMU_ABSENT:
    case VMMU_STAGE2:
    case VMMU_FLUSH_RETRY:
    case VMMU_NO_MEMORY:
    case VMMU_INVALID:
    case VMMU_VIOLATED: break;
    }
    return x86_give_up(vp, "the instruction that reaches a device is not known here");
}
