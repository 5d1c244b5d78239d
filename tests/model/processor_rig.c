/*
 * A processor with one guest whose tables are made by hand.
 */
#include "tests/model/processor_rig.h"

#include <stdlib.h>
#include <string.h>

#define RIG_TLB_ENTRIES 256U
#define RIG_PCID        5
#define RIG_RUNS        60U
#define SECOND_LEVELS   4

static bool is_nested(enum rig_kind kind)
{
    return kind == RIG_EPT || kind == RIG_EPT_MARKS || kind == RIG_NPT;
}

/* --- witness --- */

static void note_page(uint64_t *pages, unsigned *count, uint64_t gpa)
{
    const uint64_t page = gpa & ~(VMMU_PAGE_BYTES - 1);

    for (unsigned i = 0; i < *count; i++) {
        if (pages[i] == page) {
            return;
        }
    }
    if (*count < 16) {
        pages[(*count)++] = page;
    }
}

static void on_marked(void *context, uint64_t hpa, unsigned width_bytes, uint64_t value)
{
    struct rig *rig = context;

    (void)width_bytes;
    rig->witness.marked++;
    rig->witness.marked_hpa = hpa;
    rig->witness.marked_value = value;
}

static void on_used(void *context, uint64_t gpa, bool written)
{
    struct rig_witness *witness = &((struct rig *)context)->witness;

    witness->used++;
    note_page(witness->read, &witness->reads, gpa);
    if (written) {
        note_page(witness->written, &witness->writes, gpa);
    }
}

void rig_forget_witness(struct rig *rig)
{
    rig->witness = (struct rig_witness){ 0 };
}

static bool holds(const uint64_t *pages, unsigned count, uint64_t gpa)
{
    for (unsigned i = 0; i < count; i++) {
        if (pages[i] == (gpa & ~(VMMU_PAGE_BYTES - 1))) {
            return true;
        }
    }
    return false;
}

bool rig_saw_written(const struct rig *rig, uint64_t gpa)
{
    return holds(rig->witness.written, rig->witness.writes, gpa);
}

bool rig_saw_read(const struct rig *rig, uint64_t gpa)
{
    return holds(rig->witness.read, rig->witness.reads, gpa);
}

/* --- the guest's tables --- */

void rig_put(struct rig *rig, uint64_t table, unsigned index, uint64_t entry)
{
    memory_store(rig->memory, rig->base + table + index * sizeof entry, sizeof entry, entry);
}

uint64_t rig_entry(const struct rig *rig, uint64_t table, unsigned index)
{
    return memory_load(rig->memory, rig->base + table + index * sizeof(uint64_t), sizeof(uint64_t));
}

void hardware_map(struct rig *rig, unsigned n, unsigned page, uint64_t flags)
{
    rig_put(rig, RIG_TABLE(1), n, RIG_PAGE(page) | flags);
}

static void link_tables(struct rig *rig)
{
    const struct vmmu_x86_format *format = &vmmu_x86_formats[VMMU_X86_FORMAT_4LEVEL];

    for (unsigned number = 4; number > 1; number--) {
        rig_put(rig, RIG_TABLE(number), vmmu_format_index(&format->level[number], RIG_VA(0)),
                RIG_TABLE(number - 1) | RIG_ENTRY_USUAL);
    }
}

/* --- the second stage --- */

static const struct vmmu_x86_format *second_format(const struct rig *rig)
{
    return vmmu_format_of(&rig->state.stage2.layout);
}

static uint64_t second_link(const struct rig *rig)
{
    /* Read, write and execute of EPT; present, writable and user of NPT. */
    (void)rig;
    return 7;
}

uint64_t rig_second_at(const struct rig *rig, unsigned level, uint64_t gpa)
{
    const struct vmmu_x86_format *format = second_format(rig);
    uint64_t table = rig->state.stage2.root.v;

    for (unsigned number = SECOND_LEVELS; number > level; number--) {
        const uint64_t at = table + vmmu_format_index(&format->level[number], gpa) * sizeof(uint64_t);

        table = vmmu_format_table(&format->level[number], memory_load(rig->memory, at, sizeof(uint64_t)));
    }
    return table + vmmu_format_index(&format->level[level], gpa) * sizeof(uint64_t);
}

uint64_t rig_second_entry(const struct rig *rig, unsigned level, uint64_t gpa)
{
    return memory_load(rig->memory, rig_second_at(rig, level, gpa), sizeof(uint64_t));
}

static uint64_t take_second_table(struct rig *rig)
{
    const uint64_t table = rig->next_second_table;

    rig->next_second_table += VMMU_PAGE_BYTES;
    memory_assign(rig->memory, table, VMMU_PAGE_BYTES, OWNER_TABLES);
    return table;
}

void rig_put_second(struct rig *rig, unsigned level, uint64_t gpa, uint64_t hpa, uint8_t rights)
{
    const struct vmmu_x86_format *format = second_format(rig);
    const uint64_t type = vmmu_format_memory_type_bits(format, VMMU_X86_TYPE_WB);

    for (unsigned number = SECOND_LEVELS; number > level; number--) {
        const uint64_t at = rig_second_at(rig, number, gpa);

        if (memory_load(rig->memory, at, sizeof(uint64_t)) == 0) {
            memory_store(rig->memory, at, sizeof(uint64_t), take_second_table(rig) | second_link(rig));
        }
    }
    memory_store(rig->memory, rig_second_at(rig, level, gpa), sizeof(uint64_t),
                 rights == 0
                     ? 0
                     : vmmu_format_leaf(format, &format->level[level], hpa, rights | VMMU_X86_RIGHT_USER) |
                           type);
}

/* Only the pages that tests use: tables, and the first few that linear addresses lead to. */
static uint64_t next_used_page(uint64_t gpa)
{
    const uint64_t next = gpa + VMMU_PAGE_BYTES;

    if (next == RIG_TABLE(8)) {
        return RIG_PAGE(0);
    }
    return next == RIG_PAGE(8) ? RIG_GUEST_BYTES : next;
}

static bool make_second(struct rig *rig)
{
    const struct vmmu_x86_limits limits = { .physical_bits = 46, .nx = true, .gib_pages = true };
    const uint64_t root = take_second_table(rig);
    /* Write-back, four levels; accessed and dirty flags are bit 6. */
    const uint64_t eptp = root | 6 | 3U << 3 | (rig->kind == RIG_EPT_MARKS ? BIT64(6) : 0);
    const enum vmmu_status status =
        rig->kind == RIG_NPT
            ? vmmu_stage2_npt(VMMU_X86_FORMAT_4LEVEL, &limits, NULL, (vmmu_hpa){ root }, &rig->state.stage2)
            : vmmu_stage2_ept(eptp, &limits, NULL, &rig->state.stage2);

    for (uint64_t gpa = 0; status == VMMU_OK && gpa < RIG_GUEST_BYTES; gpa = next_used_page(gpa)) {
        rig_put_second(rig, 1, gpa, rig->base + gpa, VMMU_X86_RIGHTS_ALL);
    }
    rig->state.nested = true;
    rig->state.tags.nested = true;
    rig->state.tags.stage2 = rig->kind == RIG_NPT ? 0 : vmmu_invalidate_ep4ta(eptp);
    return status == VMMU_OK;
}

/* --- life --- */

struct vmmu_x86_paging_registers rig_registers(const struct rig *rig)
{
    return (struct vmmu_x86_paging_registers){
        .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_PG | VMMU_X86_CR0_WP | VMMU_X86_CR0_ET,
        .cr3 =
            RIG_TABLE(4) | (rig->state.mode.paging == VMMU_X86_PAGING_NONE ? RIG_PCID : rig->state.mode.pcid),
        .cr4 = VMMU_X86_CR4_PAE | VMMU_X86_CR4_PGE | VMMU_X86_CR4_PCIDE,
        .efer = VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA | VMMU_X86_EFER_NXE,
    };
}

static bool make_mode(struct rig *rig, const struct vmmu_x86_paging_registers *registers)
{
    const struct vmmu_x86_cpu cpu = {
        .maxphyaddr = 46,
        .pse = true,
        .pae = true,
        .pge = true,
        .nx = true,
        .long_mode = true,
        .gib_pages = true,
        .pcid = true,
    };

    return vmmu_mode_make(&cpu, registers, &rig->state.mode) == VMMU_OK;
}

struct rig *rig_create(enum rig_kind kind, uint64_t seed)
{
    struct rig *rig = calloc(1, sizeof *rig);
    const struct processor_witness witness = { rig, on_marked, on_used };

    if (!rig) {
        abort();
    }
    rig->kind = kind;
    rig->luck = luck_from(seed);
    rig->memory = memory_create();
    rig->next_second_table = HOST_TABLES_BASE;
    rig->base = is_nested(kind) ? HOST_SIDE_A : 0;
    rig->state.tags.vendor = kind == RIG_NPT || kind == RIG_AMD_LINEAR ? VMMU_X86_AMD : VMMU_X86_INTEL;
    rig->state.tags.tagged = true;
    rig->state.tags.space = 1;
    memory_assign(rig->memory, rig->base, RIG_GUEST_BYTES, OWNER_GUEST);
    rig->processor = processor_create(rig->memory, &witness, RIG_TLB_ENTRIES);

    const struct vmmu_x86_paging_registers registers = rig_registers(rig);

    if (!rig->processor || !make_mode(rig, &registers) || (is_nested(kind) && !make_second(rig))) {
        abort();
    }
    link_tables(rig);
    return rig;
}

void rig_destroy(struct rig *rig)
{
    processor_destroy(rig->processor);
    memory_destroy(rig->memory);
    free(rig);
}

/* --- doing --- */

struct processor_result rig_access(struct rig *rig, uint64_t va, enum vmmu_x86_access_kind kind)
{
    const struct vmmu_x86_access access = { .kind = kind };

    return processor_access(rig->processor, &rig->state, va, access, &rig->luck);
}

void rig_speculate(struct rig *rig, uint64_t va)
{
    processor_speculate(rig->processor, &rig->state, va, &rig->luck);
}

void rig_invlpg(struct rig *rig, uint64_t va, uint64_t page_bytes)
{
    const struct vmmu_x86_paging_registers now = rig_registers(rig);
    const struct vmmu_tlb_scopes scopes =
        vmmu_invalidate_invlpg(&rig->state.tags, &now, (vmmu_gva){ va }, page_bytes);

    processor_invalidate(rig->processor, &scopes);
}

void rig_load_cr3(struct rig *rig, uint16_t pcid, bool keep)
{
    const struct vmmu_x86_paging_registers now = rig_registers(rig);
    const uint64_t value = RIG_TABLE(4) | pcid | (keep ? VMMU_X86_CR3_NO_FLUSH : 0);
    const struct vmmu_tlb_scopes scopes = vmmu_invalidate_mov_cr3(&rig->state.tags, &now, value);

    processor_invalidate(rig->processor, &scopes);
    rig->state.mode.pcid = pcid;
}

unsigned rig_end(const struct rig *rig, const struct processor_result *result)
{
    switch (result->end) {
    case PROCESSOR_REACHED:
        return (result->hpa & ~(VMMU_PAGE_BYTES - 1)) == rig->base + RIG_PAGE(0) ? RIG_OLD : RIG_NEW;
    case PROCESSOR_GUEST_FAULT: return RIG_FAULTED;
    case PROCESSOR_STAGE2: return RIG_EXITED;
    case PROCESSOR_STRAYED: return RIG_STRAYED;
    }
    return 0;
}

unsigned rig_ends(enum rig_kind kind, unsigned (*scenario)(struct rig *rig))
{
    unsigned ends = 0;

    for (unsigned run = 0; run < RIG_RUNS; run++) {
        struct rig *rig = rig_create(kind, run);

        ends |= scenario(rig);
        rig_destroy(rig);
    }
    return ends;
}
