#include "tests/unit/insn/machine.h"

#include <string.h>

#include "tests/unit/test.h"

static struct machine_page *page_of(struct machine *machine, uint64_t linear)
{
    for (unsigned i = 0; i < machine->page_count; i++) {
        if (machine->pages[i].linear == (linear & ~UINT64_C(0xFFF)))
            return &machine->pages[i];
    }
    return NULL;
}

static bool fails(struct machine *machine, struct vmmu_x86_fault *fault)
{
    machine->calls++;
    if (machine->calls != machine->fail_at)
        return false;
    if (fault)
        *fault = (struct vmmu_x86_fault){ .vector = 14, .has_error_code = true, .cr2 = 0xFA11 };
    return true;
}

/* The page of an access, or NULL and a page fault as the guest's tables would give it. */
static struct machine_page *reach(struct machine *machine, const struct vmmu_insn_bytes *bytes, bool write,
                                  struct vmmu_x86_fault *fault)
{
    struct machine_page *page = page_of(machine, bytes->at.v);

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

static uint64_t load(const struct machine_page *page, uint64_t linear, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)page->bytes[(linear & 0xFFF) + i] << (8 * i);
    return value;
}

static void store(struct machine_page *page, uint64_t linear, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        page->bytes[(linear & 0xFFF) + i] = (uint8_t)(value >> (8 * i));
}

static enum vmmu_status on_read(void *context, const struct vmmu_insn_bytes *bytes, uint64_t *value,
                                struct vmmu_x86_fault *fault)
{
    struct machine *machine = context;
    const bool to_write = bytes->access == VMMU_INSN_READ_TO_WRITE;
    struct machine_page *page;

    EXPECT(bytes->access != VMMU_INSN_WRITE);
    EXPECT(bytes->size_bytes <= 8);
    if (fails(machine, fault))
        return machine->fail_status;
    page = reach(machine, bytes, to_write, fault);
    if (!page)
        return VMMU_GUEST_FAULT;
    machine->reads += !to_write;
    machine->reads_to_write += to_write;
    *value = load(page, bytes->at.v, bytes->size_bytes);
    return VMMU_OK;
}

static enum vmmu_status on_write(void *context, const struct vmmu_insn_bytes *bytes, uint64_t value,
                                 struct vmmu_x86_fault *fault)
{
    struct machine *machine = context;
    struct machine_page *page;

    EXPECT(bytes->access == VMMU_INSN_WRITE);
    EXPECT(bytes->size_bytes <= 8);
    EXPECT(bytes->size_bytes == 8 || value >> (8 * bytes->size_bytes) == 0);
    if (fails(machine, fault))
        return machine->fail_status;
    page = reach(machine, bytes, true, fault);
    if (!page)
        return VMMU_GUEST_FAULT;
    machine->writes++;
    store(page, bytes->at.v, bytes->size_bytes, value);
    return VMMU_OK;
}

static enum vmmu_status on_probe(void *context, const struct vmmu_insn_bytes *bytes,
                                 struct vmmu_x86_fault *fault)
{
    struct machine *machine = context;

    if (fails(machine, fault))
        return machine->fail_status;
    machine->probes++;
    return reach(machine, bytes, bytes->access != VMMU_INSN_READ, fault) ? VMMU_OK : VMMU_GUEST_FAULT;
}

/* Somebody else changes every byte of the operand. */
static void interfere(struct machine_page *page, const struct vmmu_insn_bytes *bytes)
{
    for (unsigned i = 0; i < bytes->size_bytes; i++)
        page->bytes[(bytes->at.v & 0xFFF) + i]++;
}

static enum vmmu_status on_exchange(void *context, const struct vmmu_insn_bytes *bytes, uint64_t expected[2],
                                    const uint64_t desired[2], struct vmmu_x86_fault *fault)
{
    struct machine *machine = context;
    const unsigned low_bytes = bytes->size_bytes < 8 ? bytes->size_bytes : 8;
    const bool wide = bytes->size_bytes == 16;
    struct machine_page *page;
    uint64_t present[2] = { 0, 0 };

    EXPECT(bytes->access == VMMU_INSN_WRITE);
    EXPECT(bytes->size_bytes <= 8 || (wide && bytes->at.v % 16 == 0));
    if (fails(machine, fault))
        return machine->fail_status;
    page = reach(machine, bytes, true, fault);
    if (!page)
        return VMMU_GUEST_FAULT;
    machine->exchanges++;
    if (machine->races != 0) {
        machine->races--;
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
    struct machine *machine = context;

    if (fails(machine, NULL))
        return machine->fail_status;
    machine->port = port;
    machine->port_size = size_bytes;
    *value = machine->port_value++;
    return VMMU_OK;
}

static enum vmmu_status on_port_out(void *context, uint16_t port, unsigned size_bytes, uint64_t value)
{
    struct machine *machine = context;

    if (fails(machine, NULL))
        return machine->fail_status;
    machine->port = port;
    machine->port_size = size_bytes;
    machine->out_value = value;
    return VMMU_OK;
}

static struct vmmu_x86_segment code_segment(enum machine_mode mode)
{
    static const uint16_t attributes[] = {
        [MACHINE_REAL] = MACHINE_CODE_16,
        [MACHINE_PROTECTED_16] = MACHINE_CODE_16,
        [MACHINE_PROTECTED_32] = MACHINE_CODE_32,
        [MACHINE_LONG] = MACHINE_CODE_64,
    };

    return (struct vmmu_x86_segment){ 0, mode < MACHINE_PROTECTED_32 ? 0xFFFF : UINT32_MAX, 0x08,
                                      attributes[mode] };
}

void machine_init(struct machine *machine, enum machine_mode mode)
{
    const bool small = mode < MACHINE_PROTECTED_32;
    const struct vmmu_x86_segment data = { 0, small ? 0xFFFF : UINT32_MAX, 0x10,
                                           small ? MACHINE_DATA_16 : MACHINE_DATA_FLAT };

    memset(machine, 0, sizeof(*machine));
    machine->memory = (struct vmmu_insn_memory){
        machine, on_read, on_write, on_probe, on_exchange, on_port_in, on_port_out,
    };
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++)
        machine->state.segment[i] = data;
    machine->state.segment[VMMU_X86_CS] = code_segment(mode);
    machine->state.cr0 = mode == MACHINE_REAL ? 0x10 : 0x80000011;
    machine->state.efer = mode == MACHINE_LONG ? 0x500 : 0;
    machine->state.rflags = 2;
    machine->state.rip = MACHINE_CODE;
    machine->state.gpr[VMMU_X86_RSP] = MACHINE_DATA + 0x800;
    machine_map(machine, MACHINE_DATA);
    machine_map(machine, MACHINE_DATA + 0x1000);
}

uint8_t *machine_map(struct machine *machine, uint64_t linear)
{
    struct machine_page *page = &machine->pages[machine->page_count++];

    EXPECT(machine->page_count <= MACHINE_PAGES);
    page->linear = linear & ~UINT64_C(0xFFF);
    return page->bytes;
}

uint64_t machine_peek(struct machine *machine, uint64_t linear, unsigned size_bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size_bytes; i++) {
        const struct machine_page *page = page_of(machine, linear + i);

        EXPECT(page != NULL);
        value |= load(page, linear + i, 1) << (8 * i);
    }
    return value;
}

void machine_poke(struct machine *machine, uint64_t linear, unsigned size_bytes, uint64_t value)
{
    for (unsigned i = 0; i < size_bytes; i++) {
        struct machine_page *page = page_of(machine, linear + i);

        EXPECT(page != NULL);
        store(page, linear + i, 1, value >> (8 * i));
    }
}

enum vmmu_status machine_run(struct machine *machine, const uint8_t *bytes, unsigned count)
{
    const enum vmmu_status status =
        vmmu_insn_decode(bytes, count, vmmu_insn_mode(&machine->state), &machine->insn);

    if (status != VMMU_OK)
        return status;
    return vmmu_insn_perform(&machine->insn, &machine->state, &machine->memory, &machine->outcome);
}

bool machine_state_equal(const struct vmmu_x86_state *a, const struct vmmu_x86_state *b)
{
    return memcmp(a->gpr, b->gpr, sizeof(a->gpr)) == 0 && a->rip == b->rip && a->rflags == b->rflags &&
           a->cr0 == b->cr0 && a->cr4 == b->cr4 && a->efer == b->efer && a->cpl == b->cpl &&
           a->interrupt_shadow == b->interrupt_shadow &&
           memcmp(a->segment, b->segment, sizeof(a->segment)) == 0;
}
