#include "tests/unit/booke/real_cpu.h"

#include <stdlib.h>

#define FILLS_MOST 20

const struct vmmu_booke_state supervisor = { .problem = false };
const struct vmmu_booke_state problem = { .problem = true };
const struct vmmu_booke_state split = { .instruction_space = true };

static uint64_t bytes_of(uint32_t mas1)
{
    return UINT64_C(1024) << 2 * (mas1 >> 8 & 15);
}

static unsigned tid_of(uint32_t mas1)
{
    return mas1 >> 16 & 0xff;
}

static bool is_loaded(const struct real_cpu *processor, unsigned tid)
{
    return tid == 0 || tid == processor->pid[0] || tid == processor->pid[1] || tid == processor->pid[2];
}

static bool overlap(const struct vmmu_booke_mas *one, const struct vmmu_booke_mas *other)
{
    const uint64_t first = one->mas2 & 0xfffff000;
    const uint64_t second = other->mas2 & 0xfffff000;

    return first < second + bytes_of(other->mas1) && second < first + bytes_of(one->mas1);
}

/* --- callbacks --- */

static const struct real_cpu_vp *vp_of(const struct vmmu_booke *booke)
{
    return (const struct real_cpu_vp *)(const void *)booke;
}

_Static_assert(offsetof(struct real_cpu_vp, mmu) == 0 && offsetof(struct virtual_mmu, booke) == 0,
               "a virtual MMU begins where its VP does");

static bool memory(void *context, const struct vmmu_booke *booke, vmmu_gpa gpa,
                   struct vmmu_booke_piece *piece)
{
    const struct real_cpu_vp *const vp = vp_of(booke);

    ((struct real_cpu *)context)->asked++;
    for (unsigned i = 0; i < vp->piece_count; i++) {
        if (gpa.v >= vp->pieces[i].gpa.v && gpa.v - vp->pieces[i].gpa.v < vp->pieces[i].size_bytes) {
            *piece = vp->pieces[i];
            return true;
        }
    }
    return false;
}

static bool owns(void *context, const struct vmmu_booke *booke, vmmu_hpa at, uint64_t size_bytes)
{
    const struct real_cpu_vp *const vp = vp_of(booke);

    for (unsigned i = 0; i < vp->piece_count; i++) {
        if (at.v >= vp->pieces[i].hpa.v &&
            vmmu_range_fits(at.v - vp->pieces[i].hpa.v, size_bytes, vp->pieces[i].size_bytes)) {
            return !((struct real_cpu *)context)->owns_nothing;
        }
    }
    return false;
}

static void violated(void *context, const struct vmmu_booke *booke, const char *what)
{
    (void)booke;
    ((struct real_cpu *)context)->refused += what[0] != '\0';
}

static void check(struct real_cpu *processor, const struct vmmu_booke_mas *written, unsigned at)
{
    if ((written->mas1 & V) == 0) {
        return;
    }
    /* In address space 1 with a TID; neither written through nor uncached, but coherent; nothing for the supervisor but reading. */
    processor->wrong += (written->mas1 & TS) == 0 || tid_of(written->mas1) == 0;
    processor->wrong += (written->mas2 & 0x1c) != 4 || (written->mas3 & (SX | SW)) != 0;
    processor->wrong += at >= processor->slots - processor->kept;
    for (unsigned i = 0; i < processor->slots; i++) {
        const struct vmmu_booke_mas *const other = &processor->tlb[i];

        if (i != at && (other->mas1 & V) != 0 && is_loaded(processor, tid_of(other->mas1)) &&
            is_loaded(processor, tid_of(written->mas1)) && overlap(written, other)) {
            processor->wrong++;
        }
    }
}

static void write_entry(void *context, const struct vmmu_booke_mas *mas)
{
    struct real_cpu *const processor = context;
    const unsigned way = mas->mas0 >> 16 & 0xfff;
    const unsigned set = mas->mas2 >> 12 & (processor->sets - 1);
    const bool large = mas->mas0 >> 28 == 1;
    const unsigned at = large ? processor->small + way : set * processor->ways + way;

    processor->writes++;
    if (at >= processor->slots || (!large && (way >= processor->ways || mas->mas0 >> 28 != 0))) {
        processor->wrong++;
        return;
    }
    processor->tlb[at] = *mas;
    if (!large) {
        processor->tlb[at].mas1 = (mas->mas1 & ~UINT32_C(0xf00)) | TSIZE(1);
    }
    check(processor, mas, at);
}

/* --- setting up --- */

void real_cpu_start_as(struct real_cpu *processor, const struct vmmu_booke_config *config, unsigned kept)
{
    const struct vmmu_booke_host host = { .context = processor,
                                          .kept = (uint16_t)kept,
                                          .memory = memory,
                                          .owns = owns,
                                          .write = write_entry,
                                          .violated = violated };

    *processor = (struct real_cpu){ .small = config->tlbcfg[0] & 0xfff,
                                    .ways = config->tlbcfg[0] >> 24,
                                    .kept = kept };
    processor->sets = processor->small / processor->ways;
    processor->slots = processor->small + (config->tlbcfg[1] & 0xfff);
    if (processor->slots > SLOTS_MOST ||
        vmmu_booke_real_init(&processor->real, config, &host, processor->memory, sizeof(processor->memory)) !=
            VMMU_OK) {
        abort();
    }
}

void real_cpu_start(struct real_cpu *processor)
{
    real_cpu_start_as(processor, &vmmu_booke_e500v2, 4);
}

void real_cpu_attach_as(struct real_cpu *processor, unsigned vp, const struct vmmu_booke_config *config)
{
    struct real_cpu_vp *const one = &processor->vp[vp];

    virtual_start_as(&one->mmu, config);
    if (vmmu_booke_attach(&one->mmu.booke, &processor->real, one->spaces, sizeof(one->spaces)) != VMMU_OK) {
        abort();
    }
}

struct virtual_mmu *real_cpu_attach(struct real_cpu *processor, unsigned vp)
{
    real_cpu_attach_as(processor, vp, &vmmu_booke_e500v2);
    return &processor->vp[vp].mmu;
}

void real_cpu_memory(struct real_cpu *processor, unsigned vp, uint64_t gpa, uint64_t hpa, uint64_t size_bytes)
{
    struct real_cpu_vp *const one = &processor->vp[vp];

    if (one->piece_count == PIECES_MOST) {
        abort();
    }
    one->pieces[one->piece_count++] = (struct vmmu_booke_piece){
        .gpa = { gpa }, .hpa = { hpa }, .size_bytes = size_bytes, .write = true, .execute = true
    };
}

void real_cpu_enter(struct real_cpu *processor, unsigned vp, struct vmmu_booke_state state)
{
    struct vmmu_booke_pids pids;

    for (unsigned i = 0; i < VMMU_BOOKE_PIDS; i++) {
        processor->pid[i] = 0;
    }
    processor->state = state;
    pids = vmmu_booke_enter(&processor->vp[vp].mmu.booke, &processor->real, state);
    for (unsigned i = 0; i < VMMU_BOOKE_PIDS; i++) {
        processor->pid[i] = pids.pid[i];
    }
}

/* --- running --- */

static bool answers(const struct real_cpu *processor, const struct vmmu_booke_mas *entry, uint32_t ea)
{
    const uint32_t page = entry->mas2 & 0xfffff000;

    return (entry->mas1 & V) != 0 && (entry->mas1 & TS) != 0 && is_loaded(processor, tid_of(entry->mas1)) &&
           ea >= page && ea - page < bytes_of(entry->mas1);
}

const struct vmmu_booke_mas *real_cpu_find(const struct real_cpu *processor, uint32_t ea, bool fetch)
{
    const uint32_t rights = fetch ? UX : UR | UW;
    const struct vmmu_booke_mas *found = NULL;

    for (unsigned i = 0; i < processor->slots; i++) {
        const struct vmmu_booke_mas *const entry = &processor->tlb[i];

        if (answers(processor, entry, ea) && (found == NULL || (entry->mas3 & rights) != 0)) {
            found = entry;
        }
    }
    return found;
}

unsigned real_cpu_valid(const struct real_cpu *processor)
{
    unsigned valid = 0;

    for (unsigned i = 0; i < processor->slots; i++) {
        valid += (processor->tlb[i].mas1 & V) != 0;
    }
    return valid;
}

static uint64_t look_up(const struct real_cpu *processor, enum vmmu_booke_kind kind, uint32_t ea)
{
    const uint32_t right = kind == VMMU_BOOKE_LOAD ? UR : kind == VMMU_BOOKE_STORE ? UW : UX;
    const struct vmmu_booke_mas *const entry = real_cpu_find(processor, ea, kind == VMMU_BOOKE_FETCH);

    if (entry == NULL || (entry->mas3 & right) == 0) {
        return MISSED;
    }
    return ((uint64_t)entry->mas7 << 32 | (entry->mas3 & 0xfffff000)) + (ea - (entry->mas2 & 0xfffff000));
}

static enum vmmu_booke_fill fill_at(struct real_cpu *processor, unsigned vp, enum vmmu_booke_kind kind,
                                    uint32_t ea, uint32_t at)
{
    const uint32_t generation = processor->real.generation;
    const struct vmmu_booke_attempt attempt = { .state = processor->state, .kind = kind, .ea = ea, .at = at };
    struct vmmu_booke_result result;
    const enum vmmu_booke_fill how =
        vmmu_booke_fill(&processor->vp[vp].mmu.booke, &processor->real, &attempt, &result);

    if (generation != processor->real.generation) {
        real_cpu_enter(processor, vp, processor->state);
    }
    return how;
}

enum vmmu_booke_fill real_cpu_fill(struct real_cpu *processor, unsigned vp, enum vmmu_booke_kind kind,
                                   uint32_t ea)
{
    return fill_at(processor, vp, kind, ea, 0);
}

uint64_t real_cpu_access(struct real_cpu *processor, unsigned vp, enum vmmu_booke_kind kind, uint32_t ea)
{
    const uint64_t hpa = look_up(processor, kind, ea);

    if (hpa != MISSED) {
        return hpa;
    }
    switch (real_cpu_fill(processor, vp, kind, ea)) {
    case VMMU_BOOKE_FILLED: break;
    case VMMU_BOOKE_FAULT: return FAULTS;
    case VMMU_BOOKE_DEVICE: return DEVICE;
    case VMMU_BOOKE_CLASH: return CLASHES;
    case VMMU_BOOKE_DENIED: return DENIED;
    }
    return look_up(processor, kind, ea) != MISSED ? look_up(processor, kind, ea) : STUCK;
}

int real_cpu_instruction(struct real_cpu *processor, unsigned vp, uint32_t at, uint32_t first,
                         uint32_t second)
{
    const struct {
        enum vmmu_booke_kind kind;
        uint32_t ea;
    } needs[] = { { VMMU_BOOKE_FETCH, at }, { VMMU_BOOKE_LOAD, first }, { VMMU_BOOKE_STORE, second } };
    unsigned met = 0;

    for (int fills = 0; fills <= FILLS_MOST; fills++) {
        for (met = 0; met < 3 && look_up(processor, needs[met].kind, needs[met].ea) != MISSED; met++) {
        }
        if (met == 3) {
            return fills;
        }
        if (fill_at(processor, vp, needs[met].kind, needs[met].ea, at) != VMMU_BOOKE_FILLED) {
            return 0;
        }
    }
    return -1;
}
