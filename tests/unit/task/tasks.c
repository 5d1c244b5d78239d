#include "tests/unit/task/tasks.h"

#include <string.h>

#include "tests/unit/test.h"

#define FLAT32 0xC00000u /* G and D/B, as rights_and_flags has them: flags in bits 23:20 */

static uint8_t *reach(struct tasks *tasks, const struct vmmu_insn_bytes *bytes, bool write,
                      struct vmmu_x86_fault *fault)
{
    const uint64_t page = bytes->at.v / 4096;
    const bool is_user = tasks->registers.cpl == 3;
    const bool there = page < TASKS_PAGES && !tasks->absent[tasks->cr3 != OLD_CR3][page];

    EXPECT(bytes->size_bytes >= 1 && bytes->size_bytes <= 8);
    EXPECT((bytes->at.v & 0xFFF) + bytes->size_bytes <= 4096);
    EXPECT(bytes->at.v <= UINT32_MAX);
    /* What the processor accesses by itself is nobody's data. */
    EXPECT(is_user || !(tasks->registers.rflags & FLAG_AC));
    if (there && !(write && tasks->read_only[page]) && (tasks->user[page] || !is_user)) {
        return &tasks->pages[page][bytes->at.v & 0xFFF];
    }
    *fault = (struct vmmu_x86_fault){ .vector = 14,
                                      .has_error_code = true,
                                      .error_code = (there ? 1 : 0) | (write ? 2 : 0) | (is_user ? 4 : 0),
                                      .cr2 = bytes->at.v };
    return NULL;
}

static bool fails(struct tasks *tasks, struct vmmu_x86_fault *fault)
{
    if (++tasks->calls != tasks->fail_at) {
        return false;
    }
    *fault = (struct vmmu_x86_fault){ .vector = 14, .has_error_code = true, .cr2 = 0xFA11 };
    return true;
}

static uint64_t load(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;

    memcpy(&value, from, bytes);
    return value;
}

static enum vmmu_status on_read(void *context, const struct vmmu_insn_bytes *bytes, uint64_t *value,
                                struct vmmu_x86_fault *fault)
{
    struct tasks *tasks = context;
    const uint8_t *at;

    EXPECT_EQ(bytes->access, VMMU_INSN_READ);
    if (fails(tasks, fault)) {
        return tasks->fail;
    }
    at = reach(tasks, bytes, false, fault);
    if (!at) {
        return VMMU_GUEST_FAULT;
    }
    *value = load(at, bytes->size_bytes);
    return VMMU_OK;
}

static enum vmmu_status on_write(void *context, const struct vmmu_insn_bytes *bytes, uint64_t value,
                                 struct vmmu_x86_fault *fault)
{
    struct tasks *tasks = context;
    uint8_t *at;

    EXPECT_EQ(bytes->access, VMMU_INSN_WRITE);
    EXPECT(bytes->size_bytes == 8 || value >> (8 * bytes->size_bytes) == 0);
    if (fails(tasks, fault)) {
        return tasks->fail;
    }
    at = reach(tasks, bytes, true, fault);
    if (!at) {
        return VMMU_GUEST_FAULT;
    }
    memcpy(at, &value, bytes->size_bytes);
    tasks->stores++;
    tasks->user_stores += tasks->registers.cpl == 3;
    return VMMU_OK;
}

static enum vmmu_status on_probe(void *context, const struct vmmu_insn_bytes *bytes,
                                 struct vmmu_x86_fault *fault)
{
    struct tasks *tasks = context;

    if (fails(tasks, fault)) {
        return tasks->fail;
    }
    return reach(tasks, bytes, bytes->access != VMMU_INSN_READ, fault) ? VMMU_OK : VMMU_GUEST_FAULT;
}

static enum vmmu_status on_exchange(void *context, const struct vmmu_insn_bytes *bytes, uint64_t expected[2],
                                    const uint64_t desired[2], struct vmmu_x86_fault *fault)
{
    struct tasks *tasks = context;
    uint8_t *at;

    EXPECT_EQ(bytes->size_bytes, 1);
    EXPECT_EQ(bytes->access, VMMU_INSN_WRITE);
    if (fails(tasks, fault)) {
        return tasks->fail;
    }
    at = reach(tasks, bytes, true, fault);
    if (!at) {
        return VMMU_GUEST_FAULT;
    }
    if (tasks->races) {
        tasks->races--;
        *at ^= 0x60; /* somebody changes the DPL */
    }
    if (*at != expected[0]) {
        expected[0] = *at;
        return VMMU_RACED;
    }
    *at = (uint8_t)desired[0];
    tasks->stores++;
    return VMMU_OK;
}

static enum vmmu_status check_cr3(void *context, uint32_t cr3)
{
    const struct tasks *tasks = context;

    (void)cr3;
    return tasks->refuses_cr3 ? VMMU_GUEST_FAULT : VMMU_OK;
}

static enum vmmu_status load_cr3(void *context, uint32_t cr3)
{
    struct tasks *tasks = context;

    if (tasks->refuses_late) {
        return VMMU_GUEST_FAULT;
    }
    tasks->cr3 = cr3;
    return VMMU_OK;
}

uint64_t tasks_peek(const struct tasks *tasks, uint32_t at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)tasks->pages[(at + i) / 4096][(at + i) % 4096] << (8 * i);
    }
    return value;
}

void tasks_poke(struct tasks *tasks, uint32_t at, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++) {
        tasks->pages[(at + i) / 4096][(at + i) % 4096] = (uint8_t)(value >> (8 * i));
    }
}

void tasks_descriptor(struct tasks *tasks, uint16_t selector, uint32_t base, uint32_t limit,
                      unsigned rights_and_flags)
{
    const uint64_t raw = (limit & 0xFFFF) | (uint64_t)(base & 0xFFFFFF) << 16 |
                         (uint64_t)(rights_and_flags & 0xFF) << 40 | (uint64_t)(limit >> 16 & 0xF) << 48 |
                         (uint64_t)(rights_and_flags >> 20) << 52 | (uint64_t)(base >> 24) << 56;

    tasks_poke(tasks, GDT_AT + (selector & 0xFFF8), 8, raw);
}

unsigned tasks_rights(const struct tasks *tasks, uint16_t selector)
{
    return (unsigned)tasks_peek(tasks, GDT_AT + (selector & 0xFFF8u) + 5, 1);
}

void tasks_set_rights(struct tasks *tasks, uint16_t selector, unsigned rights)
{
    tasks_poke(tasks, GDT_AT + (selector & 0xFFF8u) + 5, 1, rights);
}

static void make_descriptors(struct tasks *tasks)
{
    tasks_descriptor(tasks, CODE0, 0, 0xFFFFF, 0x9A | FLAT32);
    tasks_descriptor(tasks, DATA0, 0, 0xFFFFF, 0x92 | FLAT32);
    tasks_descriptor(tasks, CODE3, 0, 0xFFFFF, 0xFA | FLAT32);
    tasks_descriptor(tasks, DATA3, 0, 0xFFFFF, 0xF2 | FLAT32);
    tasks_descriptor(tasks, OLD_TASK, OLD_AT, 0x67, RIGHTS_BUSY);
    tasks_descriptor(tasks, NEW_TASK, NEW_AT, 0x67, RIGHTS_TSS);
    tasks_descriptor(tasks, OLD16_TASK, OLD16_AT, 0x2B, RIGHTS_BUSY16);
    tasks_descriptor(tasks, NEW16_TASK, NEW16_AT, 0x2B, RIGHTS_TSS16);
    tasks_descriptor(tasks, LDT, LDT_AT, 0x3F, RIGHTS_LDT);
}

static void make_tasks(struct tasks *tasks)
{
    static const uint16_t selectors[] = { DATA0, CODE0, DATA0, DATA0, DATA0, DATA0 };

    memset(tasks->pages[OLD_AT / 4096], 0xA5, 4096);
    memset(tasks->pages[OLD16_AT / 4096], 0xA5, 4096);
    memset(tasks->pages[NEW_AT / 4096], 0, 4096);
    tasks_poke(tasks, NEW_AT + TSS_LINK, 4, 0xBEEF);
    tasks_poke(tasks, NEW_AT + TSS_CR3, 4, NEW_CR3);
    tasks_poke(tasks, NEW_AT + TSS_EIP, 4, NEW_EIP);
    tasks_poke(tasks, NEW_AT + TSS_EFLAGS, 4, 0x202);
    tasks_poke(tasks, NEW16_AT + TSS16_IP, 2, NEW_EIP);
    tasks_poke(tasks, NEW16_AT + TSS16_FLAGS, 2, 0x202);
    for (unsigned i = 0; i < 8; i++) {
        tasks_poke(tasks, NEW_AT + TSS_EAX + 4 * i, 4, NEW_REGISTER + 0x1111 * i);
        tasks_poke(tasks, NEW16_AT + TSS16_AX + 2 * i, 2, UINT64_C(0x1111) * i);
        tasks->registers.gpr[i] = OLD_REGISTER + 0x1111 * i;
    }
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        tasks_poke(tasks, NEW_AT + TSS_ES + 4 * i, 4, selectors[i]);
        if (i < 4) {
            tasks_poke(tasks, NEW16_AT + TSS16_ES + 2 * i, 2, selectors[i]);
        }
        tasks->registers.segment[i] = (struct vmmu_x86_segment){
            .limit = UINT32_MAX, .selector = selectors[i], .attributes = i == VMMU_X86_CS ? 0xC09B : 0xC093
        };
    }
    tasks_poke(tasks, NEW_AT + TSS_ESP, 4, STACK_AT);
    tasks_poke(tasks, NEW16_AT + TSS16_AX + 8, 2, STACK_AT);
}

void tasks_init(struct tasks *tasks)
{
    memset(tasks, 0, sizeof *tasks);
    make_descriptors(tasks);
    make_tasks(tasks);
    tasks->cr3 = OLD_CR3;
    tasks->registers.rip = OLD_EIP;
    tasks->registers.rflags = OLD_FLAGS;
    tasks->registers.cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_PG | VMMU_X86_CR0_ET;
    tasks->registers.interrupt_shadow = true;
    tasks->state.registers = &tasks->registers;
    tasks->state.system.tr = (struct vmmu_x86_segment){
        .base = OLD_AT, .limit = 0x67, .selector = OLD_TASK, .attributes = RIGHTS_BUSY
    };
    tasks->state.system.ldtr = (struct vmmu_x86_segment){ .selector = 0 };
    tasks->state.system.gdt_base = GDT_AT;
    tasks->state.system.gdt_limit = GDT_LIMIT;
    tasks->state.dr7 = 0x7FF;
    tasks->request = (struct vmmu_x86_task_request){ .source = VMMU_X86_TASK_JMP,
                                                     .selector = NEW_TASK,
                                                     .next_eip = OLD_NEXT_EIP };
}

void tasks_new_is_user(struct tasks *tasks)
{
    for (unsigned i = TSS_ES; i <= TSS_GS; i += 4) {
        tasks_poke(tasks, NEW_AT + i, 2, i == TSS_CS ? CODE3 : DATA3);
    }
    tasks->user[(STACK_AT - 1) / 4096] = true;
}

void tasks_by_fault(struct tasks *tasks, uint32_t error_code)
{
    tasks->request.source = VMMU_X86_TASK_EVENT;
    tasks->request.external = true;
    tasks->request.has_error_code = true;
    tasks->request.error_code = error_code;
    tasks->request.next_eip = OLD_EIP;
}

void tasks_by_interrupt(struct tasks *tasks)
{
    tasks->request.source = VMMU_X86_TASK_EVENT;
}

void tasks_by_iret(struct tasks *tasks)
{
    tasks->request.source = VMMU_X86_TASK_IRET;
    tasks_set_rights(tasks, NEW_TASK, RIGHTS_BUSY);
    tasks_set_rights(tasks, NEW16_TASK, RIGHTS_BUSY16);
}

enum vmmu_status tasks_switch(struct tasks *tasks)
{
    const struct vmmu_x86_task_machine machine = {
        .memory = { .context = tasks,
                    .read = on_read,
                    .write = on_write,
                    .probe = on_probe,
                    .exchange = on_exchange },
        .check_cr3 = check_cr3,
        .load_cr3 = load_cr3,
    };
    const struct vmmu_x86_task_state before = tasks->state;
    struct vmmu_x86_state registers;
    enum vmmu_status status;

    memcpy(&registers, &tasks->registers, sizeof registers);
    tasks->calls = 0;
    status = vmmu_x86_task_switch(&tasks->request, &tasks->state, &machine, &tasks->outcome);
    EXPECT(status != VMMU_OK || tasks->outcome.switched);
    EXPECT(!tasks->outcome.debug_trap || status == VMMU_OK);
    EXPECT_EQ(tasks->state.system.gdt_base, before.system.gdt_base);
    EXPECT_EQ(tasks->state.system.gdt_limit, before.system.gdt_limit);
    if (tasks->outcome.switched) {
        tasks_expect_enterable(tasks);
    } else {
        struct vmmu_x86_task_state as_it_was = before;

        as_it_was.registers = &registers;
        EXPECT(tasks_same_registers(&as_it_was, &tasks->state));
    }
    return status;
}

void tasks_expect_fault(struct tasks *tasks, unsigned vector, uint32_t error_code, bool in_new_task)
{
    EXPECT_EQ(tasks_switch(tasks), VMMU_GUEST_FAULT);
    EXPECT_EQ(tasks->outcome.fault.vector, vector);
    EXPECT(tasks->outcome.fault.has_error_code);
    EXPECT_EQ(tasks->outcome.fault.error_code, error_code);
    EXPECT_EQ(tasks->outcome.switched, in_new_task);
}

static void expect_segment_enterable(const struct vmmu_x86_segment *segment, bool is_v8086)
{
    if (is_v8086) {
        EXPECT_EQ(segment->base, segment->selector * UINT64_C(16));
        EXPECT_EQ(segment->limit, 0xFFFF);
        EXPECT_EQ(segment->attributes, 0xF3);
    } else if (segment->attributes & 0x80) {
        EXPECT(segment->attributes & 0x10);
        EXPECT(segment->attributes & 1);
        EXPECT((segment->attributes & 0xA) != 8); /* execute-only */
    }
}

/* SDM 3C "Checks on Guest Segment Registers". */
void tasks_expect_enterable(const struct tasks *tasks)
{
    const struct vmmu_x86_segment *segments = tasks->registers.segment;
    const struct vmmu_x86_segment *cs = &segments[VMMU_X86_CS];
    const struct vmmu_x86_segment *ss = &segments[VMMU_X86_SS];
    const bool is_v8086 = tasks->registers.rflags & FLAG_VM;
    const unsigned cpl = tasks->registers.cpl;
    const unsigned cs_dpl = cs->attributes >> 5 & 3;

    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        if (i != VMMU_X86_CS || is_v8086) {
            expect_segment_enterable(&segments[i], is_v8086);
        }
    }
    EXPECT_EQ(ss->attributes >> 5 & 3, cpl);
    if (!is_v8086) {
        EXPECT_EQ(cs->attributes & 0x99, 0x99); /* present, code, accessed */
        EXPECT(cs->attributes & 4 ? cs_dpl <= cpl : cs_dpl == cpl);
        EXPECT_EQ(cs->selector & 3, cpl);
        EXPECT_EQ(ss->selector & 3, cpl);
        EXPECT(!(ss->attributes & 0x80) || (ss->attributes & 0x1B) == 0x13);
    }
    EXPECT_EQ(tasks->state.system.tr.attributes & 0x97, 0x83);
    EXPECT_EQ(tasks->state.system.tr.selector & 4, 0);
    EXPECT(!(tasks->state.system.ldtr.attributes & 0x80) ||
           (tasks->state.system.ldtr.attributes & 0x1F) == 2);
    EXPECT_EQ(tasks->registers.rflags & ~UINT64_C(0x3F7FD5), 2);
    EXPECT(tasks->registers.rip <= UINT32_MAX);
}

static bool same_segment(const struct vmmu_x86_segment *a, const struct vmmu_x86_segment *b)
{
    return a->base == b->base && a->limit == b->limit && a->selector == b->selector &&
           a->attributes == b->attributes;
}

bool tasks_same_registers(const struct vmmu_x86_task_state *a, const struct vmmu_x86_task_state *b)
{
    const struct vmmu_x86_state *x = a->registers;
    const struct vmmu_x86_state *y = b->registers;
    bool same = x->rip == y->rip && x->rflags == y->rflags && x->cr0 == y->cr0 && x->cpl == y->cpl &&
                x->interrupt_shadow == y->interrupt_shadow && a->dr7 == b->dr7 &&
                same_segment(&a->system.tr, &b->system.tr) && same_segment(&a->system.ldtr, &b->system.ldtr);

    for (unsigned i = 0; i < VMMU_X86_GPRS; i++) {
        same &= x->gpr[i] == y->gpr[i];
    }
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        same &= same_segment(&x->segment[i], &y->segment[i]);
    }
    return same;
}
