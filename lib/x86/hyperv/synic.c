/*
 * The synthetic interrupt controller: its registers, and how a message gets into its slot.
 *
 * Invariant: a slot that holds a message is never written but for its "message pending" flag, until the guest has emptied
 * it; whoever was left waiting is told by that flag's EOM, or by the register that was in the way.
 *
 * Spec: TLFS "Virtual Interrupt Control", "Synthetic Interrupt Controller (SynIC)".
 */
#include "lib/x86/hyperv/hyperv.h"

#define SCONTROL_ENABLE   BIT64(0)
#define SYNIC_VERSION     1

#define SINT_VECTOR       BITS64(7, 0)
#define SINT_MASKED       BIT64(16)
#define SINT_AUTO_EOI     BIT64(17)

/* Vectors below belong to exceptions. */
#define SINT_VECTOR_LEAST 16

/* Of a slot, by byte offset. */
enum {
    SLOT_TYPE = 0,
    SLOT_TYPE_BYTES = 4,
    SLOT_FLAGS = 5,
};

#define SLOT_MESSAGE_PENDING 1u

void vmmu_hyperv_synic_init(struct vmmu_hyperv_synic *synic)
{
    *synic = (struct vmmu_hyperv_synic){ 0 };
    for (unsigned i = 0; i < VMMU_HYPERV_SINTS; i++) {
        synic->sint[i] = SINT_MASKED;
    }
}

static struct vmmu_hyperv_msr_outcome done(uint64_t value)
{
    return (struct vmmu_hyperv_msr_outcome){ .action = VMMU_HYPERV_MSR_DONE, .value = value };
}

static struct vmmu_hyperv_msr_outcome fault(void)
{
    return (struct vmmu_hyperv_msr_outcome){ .action = VMMU_HYPERV_MSR_FAULT };
}

static bool is_sint(uint32_t msr)
{
    return msr >= HV_MSR_SINT0 && msr <= HV_MSR_SINT15;
}

struct vmmu_hyperv_msr_outcome vmmu_hyperv_synic_read(const struct vmmu_hyperv_vp *vp, uint32_t msr)
{
    const struct vmmu_hyperv_synic *synic = &vp->synic;

    switch (msr) {
    case HV_MSR_SCONTROL: return done(synic->control);
    case HV_MSR_SVERSION: return done(SYNIC_VERSION);
    case HV_MSR_SIEFP: return done(synic->events);
    case HV_MSR_SIMP: return done(synic->messages);
    case HV_MSR_EOM: return done(0);
    default: return is_sint(msr) ? done(synic->sint[msr - HV_MSR_SINT0]) : fault();
    }
}

/* A source that is not masked wants a vector that interrupts may have. */
static struct vmmu_hyperv_msr_outcome write_sint(uint64_t *sint, uint64_t value)
{
    if ((value & SINT_MASKED) == 0 && (value & SINT_VECTOR) < SINT_VECTOR_LEAST) {
        return fault();
    }
    *sint = value;
    return done(0);
}

struct vmmu_hyperv_msr_outcome vmmu_hyperv_synic_write(const struct vmmu_hyperv_partition *partition,
                                                       struct vmmu_hyperv_vp *vp, uint32_t msr,
                                                       uint64_t value)
{
    struct vmmu_hyperv_synic *synic = &vp->synic;
    struct vmmu_hyperv_msr_outcome outcome = done(0);

    switch (msr) {
    case HV_MSR_SCONTROL: synic->control = value; break;
    case HV_MSR_SIEFP:
    case HV_MSR_SIMP:
        if (!hv_page_is_addressable(partition, value)) {
            return fault();
        }
        outcome = msr == HV_MSR_SIMP
                      ? vmmu_hyperv_move_overlay(VMMU_HYPERV_OVERLAY_MESSAGES, &synic->messages, value)
                      : vmmu_hyperv_move_overlay(VMMU_HYPERV_OVERLAY_EVENTS, &synic->events, value);
        break;
    case HV_MSR_EOM: break;
    default: return is_sint(msr) ? write_sint(&synic->sint[msr - HV_MSR_SINT0], value) : fault();
    }
    outcome.messages = true;
    return outcome;
}

bool vmmu_hyperv_message_page(const struct vmmu_hyperv_vp *vp, vmmu_gpa *at)
{
    *at = hv_page_address(vp->synic.messages);
    return hv_page_enabled(vp->synic.messages);
}

static bool slot_is_empty(const uint8_t *slot)
{
    for (unsigned i = 0; i < SLOT_TYPE_BYTES; i++) {
        if (slot[SLOT_TYPE + i] != 0) {
            return false;
        }
    }
    return true;
}

struct vmmu_hyperv_post vmmu_hyperv_post(const struct vmmu_hyperv_vp *vp, unsigned sint,
                                         const struct vmmu_hyperv_message *message, uint8_t *page)
{
    const struct vmmu_hyperv_synic *synic = &vp->synic;
    struct vmmu_hyperv_post post = { 0 };
    uint64_t source;
    uint8_t *slot;

    VMMU_ASSERT(sint < VMMU_HYPERV_SINTS);
    if ((synic->control & SCONTROL_ENABLE) == 0 || !hv_page_enabled(synic->messages)) {
        return post;
    }
    slot = page + (size_t)sint * VMMU_HYPERV_MESSAGE_BYTES;
    if (!slot_is_empty(slot)) {
        slot[SLOT_FLAGS] |= SLOT_MESSAGE_PENDING;
        return post;
    }
    __builtin_memcpy(slot, message->bytes, VMMU_HYPERV_MESSAGE_BYTES);
    source = synic->sint[sint];
    post.written = true;
    post.interrupts = (source & SINT_MASKED) == 0;
    post.auto_eoi = (source & SINT_AUTO_EOI) != 0;
    post.vector = (uint8_t)(source & SINT_VECTOR);
    return post;
}
