#include "tests/unit/insn/rig.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"

static struct rig_page *page_of(struct rig *rig, uint64_t linear)
{
    for (unsigned i = 0; i < rig->page_count; i++) {
        if (rig->pages[i].linear == (linear & ~UINT64_C(0xFFF)))
            return &rig->pages[i];
    }
    return NULL;
}

/* The page of an address that the test itself names. */
static struct rig_page *mapped_page(struct rig *rig, uint64_t linear)
{
    struct rig_page *page = page_of(rig, linear);

    if (!page) {
        fail_msg("%#llx is not mapped", (unsigned long long)linear);
        abort();
    }
    return page;
}

static bool fails(struct rig *rig, struct vmmu_x86_fault *fault)
{
    rig->calls++;
    if (rig->calls != rig->fail_at)
        return false;
    if (fault)
        *fault = (struct vmmu_x86_fault){ .vector = 14, .has_error_code = true, .cr2 = 0xFA11 };
    return true;
}

/* The page of an access, or NULL and a page fault as the guest's tables would give it. */
static struct rig_page *reach(struct rig *rig, const struct vmmu_insn_bytes *bytes, bool write,
                              struct vmmu_x86_fault *fault)
{
    struct rig_page *page = page_of(rig, bytes->at.v);

    EXPECT(bytes->size_bytes >= 1);
    EXPECT((bytes->at.v & 0xFFF) + bytes->size_bytes <= 4096);
    if (page && !(write && page->read_only))
        return page;
    *fault = (struct vmmu_x86_fault){
        .vector = 14,
        .has_error_code = true,
        .error_code = (page ? 1 : 0) | (write ? 2 : 0),
        .cr2 = bytes->at.v,
    };
    return NULL;
}

static uint64_t load(const struct rig_page *page, uint64_t linear, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)page->bytes[(linear & 0xFFF) + i] << (8 * i);
    return value;
}

static void store(struct rig_page *page, uint64_t linear, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        page->bytes[(linear & 0xFFF) + i] = (uint8_t)(value >> (8 * i));
}

static enum vmmu_status on_read(void *context, const struct vmmu_insn_bytes *bytes, uint64_t *value,
                                struct vmmu_x86_fault *fault)
{
    struct rig *rig = context;
    const bool to_write = bytes->access == VMMU_INSN_READ_TO_WRITE;
    struct rig_page *page;

    EXPECT(bytes->access != VMMU_INSN_WRITE);
    EXPECT(bytes->size_bytes <= 8);
    if (fails(rig, fault))
        return rig->fail_status;
    page = reach(rig, bytes, to_write, fault);
    if (!page)
        return VMMU_GUEST_FAULT;
    rig->reads += !to_write;
    rig->reads_to_write += to_write;
    *value = load(page, bytes->at.v, bytes->size_bytes);
    return VMMU_OK;
}

static enum vmmu_status on_write(void *context, const struct vmmu_insn_bytes *bytes, uint64_t value,
                                 struct vmmu_x86_fault *fault)
{
    struct rig *rig = context;
    struct rig_page *page;

    EXPECT(bytes->access == VMMU_INSN_WRITE);
    EXPECT(bytes->size_bytes <= 8);
    EXPECT(bytes->size_bytes == 8 || value >> (8 * bytes->size_bytes) == 0);
    if (fails(rig, fault))
        return rig->fail_status;
    page = reach(rig, bytes, true, fault);
    if (!page)
        return VMMU_GUEST_FAULT;
    rig->writes++;
    store(page, bytes->at.v, bytes->size_bytes, value);
    return VMMU_OK;
}

static enum vmmu_status on_probe(void *context, const struct vmmu_insn_bytes *bytes,
                                 struct vmmu_x86_fault *fault)
{
    struct rig *rig = context;

    if (fails(rig, fault))
        return rig->fail_status;
    rig->probes++;
    return reach(rig, bytes, bytes->access != VMMU_INSN_READ, fault) ? VMMU_OK : VMMU_GUEST_FAULT;
}

/* Somebody else changes every byte of the operand. */
static void interfere(struct rig_page *page, const struct vmmu_insn_bytes *bytes)
{
    for (unsigned i = 0; i < bytes->size_bytes; i++)
        page->bytes[(bytes->at.v & 0xFFF) + i]++;
}

static enum vmmu_status on_exchange(void *context, const struct vmmu_insn_bytes *bytes, uint64_t expected[2],
                                    const uint64_t desired[2], struct vmmu_x86_fault *fault)
{
    struct rig *rig = context;
    const unsigned low_bytes = bytes->size_bytes < 8 ? bytes->size_bytes : 8;
    const bool wide = bytes->size_bytes == 16;
    struct rig_page *page;
    uint64_t present[2] = { 0, 0 };

    EXPECT(bytes->access == VMMU_INSN_WRITE);
    EXPECT(bytes->size_bytes <= 8 || (wide && bytes->at.v % 16 == 0));
    if (fails(rig, fault))
        return rig->fail_status;
    page = reach(rig, bytes, true, fault);
    if (!page)
        return VMMU_GUEST_FAULT;
    rig->exchanges++;
    if (rig->races != 0) {
        rig->races--;
        interfere(page, bytes);
    }
    present[0] = load(page, bytes->at.v, low_bytes);
    if (wide)
        present[1] = load(page, bytes->at.v + 8, 8);
    if (present[0] != expected[0] || present[1] != expected[1]) {
        expected[0] = present[0];
        expected[1] = present[1];
        return VMMU_RACED;
    }
    store(page, bytes->at.v, low_bytes, desired[0]);
    if (wide)
        store(page, bytes->at.v + 8, 8, desired[1]);
    return VMMU_OK;
}

static enum vmmu_status on_port_in(void *context, uint16_t port, unsigned size_bytes, uint64_t *value)
{
    struct rig *rig = context;

    if (fails(rig, NULL))
        return rig->fail_status;
    rig->port = port;
    rig->port_size = size_bytes;
    *value = rig->port_value++;
    return VMMU_OK;
}

static enum vmmu_status on_port_out(void *context, uint16_t port, unsigned size_bytes, uint64_t value)
{
    struct rig *rig = context;

    if (fails(rig, NULL))
        return rig->fail_status;
    rig->port = port;
    rig->port_size = size_bytes;
    rig->out_value = value;
    return VMMU_OK;
}

static struct vmmu_x86_segment code_segment(enum rig_mode mode)
{
    static const uint16_t attributes[] = {
        [RIG_REAL] = RIG_CODE_16,
        [RIG_PROTECTED_16] = RIG_CODE_16,
        [RIG_PROTECTED_32] = RIG_CODE_32,
        [RIG_LONG] = RIG_CODE_64,
    };

    return (struct vmmu_x86_segment){ 0, mode < RIG_PROTECTED_32 ? 0xFFFF : UINT32_MAX, 0x08,
                                      attributes[mode] };
}

void rig_init(struct rig *rig, enum rig_mode mode)
{
    const bool small = mode < RIG_PROTECTED_32;
    const struct vmmu_x86_segment data = { 0, small ? 0xFFFF : UINT32_MAX, 0x10,
                                           small ? RIG_DATA_16 : RIG_DATA_FLAT };

    memset(rig, 0, sizeof(*rig));
    rig->memory = (struct vmmu_insn_memory){
        rig, on_read, on_write, on_probe, on_exchange, on_port_in, on_port_out,
    };
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++)
        rig->state.segment[i] = data;
    rig->state.segment[VMMU_X86_CS] = code_segment(mode);
    rig->state.cr0 = mode == RIG_REAL ? 0x10 : 0x80000011;
    rig->state.efer = mode == RIG_LONG ? 0x500 : 0;
    rig->state.rflags = 2;
    rig->state.rip = RIG_CODE;
    rig->state.gpr[VMMU_X86_RSP] = RIG_DATA + 0x800;
    rig_map(rig, RIG_DATA);
    rig_map(rig, RIG_DATA + 0x1000);
}

uint8_t *rig_map(struct rig *rig, uint64_t linear)
{
    struct rig_page *page = &rig->pages[rig->page_count++];

    EXPECT(rig->page_count <= RIG_PAGES);
    page->linear = linear & ~UINT64_C(0xFFF);
    return page->bytes;
}

uint64_t rig_peek(struct rig *rig, uint64_t linear, unsigned size_bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size_bytes; i++) {
        value |= load(mapped_page(rig, linear + i), linear + i, 1) << (8 * i);
    }
    return value;
}

void rig_poke(struct rig *rig, uint64_t linear, unsigned size_bytes, uint64_t value)
{
    for (unsigned i = 0; i < size_bytes; i++)
        store(mapped_page(rig, linear + i), linear + i, 1, value >> (8 * i));
}

enum vmmu_status rig_run(struct rig *rig, const uint8_t *bytes, unsigned count)
{
    const enum vmmu_status status = vmmu_insn_decode(bytes, count, vmmu_insn_mode(&rig->state), &rig->insn);

    if (status != VMMU_OK)
        return status;
    return vmmu_insn_perform(&rig->insn, &rig->state, &rig->memory, &rig->outcome);
}

bool rig_state_equal(const struct vmmu_x86_state *a, const struct vmmu_x86_state *b)
{
    return memcmp(a->gpr, b->gpr, sizeof(a->gpr)) == 0 && a->rip == b->rip && a->rflags == b->rflags &&
           a->cr0 == b->cr0 && a->cr4 == b->cr4 && a->efer == b->efer && a->cpl == b->cpl &&
           a->interrupt_shadow == b->interrupt_shadow &&
           memcmp(a->segment, b->segment, sizeof(a->segment)) == 0;
}
