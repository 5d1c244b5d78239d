/*
 * Accesses of guests: the real TLB takes them, or the library makes an entry, or says what else they come to; each step is held
 * against the reference.
 */
#include "tests/booke/machine/world_internal.h"

#define TRIES             8
#define PARTS             3

/* X0, X1, G and E are the guest's; memory is cached, and coherent, whatever it asks for. */
#define GUESTS_ATTRIBUTES (ones(57, 58) | ones(62, 63))

static const char *const kind_names[] = { "load", "store", "fetch" };

/* One address of an instruction: where it stands, or the first or the last byte of its data. */
struct part {
    enum access_kind kind;
    uint32_t ea;
};

enum end {
    END_THROUGH, /* it reached memory on the real TLB */
    END_FILLED,  /* the instruction is tried again */
    END_OTHER,   /* a fault, a device, ... */
};

struct reference_access world_access_of(const struct vp *vp, enum access_kind kind)
{
    return (struct reference_access){
        kind, kind == ACCESS_FETCH ? vp->state.instruction_space : vp->state.data_space, vp->state.problem
    };
}

static bool is_mixed(const struct vp *vp)
{
    return vp->state.instruction_space != vp->state.data_space;
}

static unsigned number_of(const struct world *world, const struct vp *vp)
{
    return (unsigned)(vp - world->vp);
}

static bool host_allows(const struct bank *bank, enum access_kind kind)
{
    return (kind != ACCESS_STORE || bank->write) && (kind != ACCESS_FETCH || bank->execute);
}

bool world_permits(const struct world *world, const struct vp *vp, const struct passage *passage)
{
    const struct reference *reference = &vp->reference;
    const struct reference_access access = world_access_of(vp, passage->kind);

    for (int i = reference_match(reference, passage->ea, access.space, -1); i >= 0;
         i = reference_match(reference, passage->ea, access.space, i)) {
        const struct reference_entry *entry = &reference->entry[i];
        const uint64_t gpa = reference_physical(reference, entry, passage->ea);
        const struct bank *bank = host_memory_at(&world->memory[vp->partition], gpa);

        if (bank && !bank->lost && reference_allows(entry, access) && host_allows(bank, passage->kind) &&
            bank->hpa + (gpa - bank->gpa) == passage->hpa &&
            ((entry->attributes ^ passage->attributes) & GUESTS_ATTRIBUTES) == 0) {
            return true;
        }
    }
    return false;
}

/* --- on the real TLB --- */

/* The entry that takes the access, if there is one that allows it. */
static const struct real_entry *find(struct world *world, const struct vp *vp, const struct part *part)
{
    const struct processor *model = &world->cpu[vp->processor].model;
    const int place = processor_match(model, part->ea, -1);

    if (place < 0) {
        return NULL;
    }
    if (processor_match(model, part->ea, place) >= 0) {
        world_report(world, CHECK_DOUBLE, "vp %u: two real entries match 0x%x", number_of(world, vp),
                     part->ea);
    }
    return processor_allows(&model->entry[place], part->kind) ? &model->entry[place] : NULL;
}

static bool passes(struct world *world, const struct vp *vp, const struct part *part)
{
    const struct real_entry *entry = find(world, vp, part);

    if (!entry) {
        return false;
    }
    const struct passage passage = { part->kind, part->ea, entry->real + (part->ea - entry->first),
                                     entry->attributes };

    if (!world_permits(world, vp, &passage)) {
        world_report(world, CHECK_ACCESS,
                     "vp %u: %s of 0x%x ends at 0x%llx, which its own TLB does not permit",
                     number_of(world, vp), kind_names[part->kind], part->ea, (unsigned long long)passage.hpa);
    }
    if (part->kind == ACCESS_FETCH && !entry->sr) {
        world_report(world, CHECK_PRIVILEGE, "vp %u: 0x%x is fetched, and the hypervisor cannot read it",
                     number_of(world, vp), part->ea);
    }
    return true;
}

/* --- what a fill must come to --- */

struct expected {
    enum vmmu_booke_fill fill; /* FILLED, where CLASH may be, too */
    enum vmmu_booke_verdict verdict;
    int place; /* of the guest's entry */
    uint64_t gpa;
    bool provoked; /* the host gives what the partition does not own */
};

static struct expected expect(const struct world *world, const struct vp *vp, const struct part *part)
{
    const struct reference *reference = &vp->reference;
    const struct reference_access access = world_access_of(vp, part->kind);
    struct expected expected = { VMMU_BOOKE_FAULT, VMMU_BOOKE_MISS, -1, 0, false };
    const struct bank *bank;

    expected.place = reference_match(reference, part->ea, access.space, -1);
    if (expected.place < 0) {
        return expected;
    }
    if (!reference_allows(&reference->entry[expected.place], access)) {
        expected.verdict = VMMU_BOOKE_REFUSED;
        return expected;
    }
    expected.verdict = VMMU_BOOKE_HIT;
    expected.gpa = reference_physical(reference, &reference->entry[expected.place], part->ea);
    bank = host_memory_at(&world->memory[vp->partition], expected.gpa);
    if (!bank) {
        expected.fill = VMMU_BOOKE_DEVICE;
    } else if (bank->lost || !host_allows(bank, part->kind)) {
        expected.fill = VMMU_BOOKE_DENIED;
        expected.provoked = bank->lost && host_allows(bank, part->kind);
    } else {
        expected.fill = VMMU_BOOKE_FILLED;
    }
    return expected;
}

/* The result beside a fill, or of a translation. */
static void compare_result(struct world *world, const struct vp *vp, const struct part *part,
                           const struct vmmu_booke_result *result)
{
    const struct expected expected = expect(world, vp, part);
    const bool hit = expected.verdict == VMMU_BOOKE_HIT;
    const uint32_t esr = part->kind == ACCESS_STORE ? put(1, 40, 40) : 0;
    bool same = result->verdict == expected.verdict;

    if (expected.place >= 0) {
        const struct reference_entry *entry = &vp->reference.entry[expected.place];

        same = same && result->index == expected.place;
        same = same &&
               (!hit || (result->gpa.v == expected.gpa && result->page_bytes == size_bytes(entry->size) &&
                         result->attributes == entry->attributes));
    }
    if (!same || (!hit && result->esr != esr)) {
        world_report(
            world, CHECK_TRANSLATE,
            "vp %u: %s of 0x%x: verdict %d, entry %u, gpa 0x%llx, ESR 0x%x; the reference: %d, %d, 0x%llx",
            number_of(world, vp), kind_names[part->kind], part->ea, (int)result->verdict, result->index,
            (unsigned long long)result->gpa.v, result->esr, (int)expected.verdict, expected.place,
            (unsigned long long)expected.gpa);
    }
}

static void compare_fill(struct world *world, const struct vp *vp, const struct vmmu_booke_attempt *attempt,
                         enum vmmu_booke_fill fill)
{
    const struct part part = { (enum access_kind)attempt->kind, attempt->ea };
    const struct expected expected = expect(world, vp, &part);
    const bool may_clash =
        is_mixed(vp) && part.kind != ACCESS_FETCH && attempt->ea >> 12 == attempt->at >> 12;

    if (fill != expected.fill &&
        !(fill == VMMU_BOOKE_CLASH && expected.fill == VMMU_BOOKE_FILLED && may_clash)) {
        world_report(world, CHECK_EXIT, "vp %u: %s of 0x%x, gpa 0x%llx: %d, not %d", number_of(world, vp),
                     kind_names[part.kind], part.ea, (unsigned long long)expected.gpa, (int)fill,
                     (int)expected.fill);
    }
    if (expected.provoked != world->violated) {
        world_report(world, CHECK_ISOLATION, "vp %u: %s of 0x%x: violated() was %scalled",
                     number_of(world, vp), kind_names[part.kind], part.ea, world->violated ? "" : "not ");
    }
}

/* --- the largest page that fits --- */

/* Whether no valid entry of the guest's but @but comes near, in the same address space. */
static bool is_alone(const struct reference *reference, const struct reference_entry *but, uint32_t first,
                     uint32_t last)
{
    for (unsigned i = 0; i < reference->entries; i++) {
        const struct reference_entry *entry = &reference->entry[i];
        const struct reference_change extent = reference_extent(entry);

        if (entry != but && entry->valid && entry->space == but->space && extent.first <= last &&
            extent.last >= first) {
            return false;
        }
    }
    return true;
}

static bool fits(const struct world *world, const struct vp *vp, const struct reference_entry *entry,
                 uint32_t ea, uint64_t bytes)
{
    const uint64_t first = ea / bytes * bytes;
    const struct reference_change extent = reference_extent(entry);
    const uint64_t gpa = reference_physical(&vp->reference, entry, ea) - (ea - first);
    const struct bank *bank = host_memory_at(&world->memory[vp->partition], gpa);

    return first >= extent.first && first + bytes - 1 <= extent.last && bank &&
           gpa + bytes <= bank->gpa + bank->told_bytes && (bank->hpa + (gpa - bank->gpa)) % bytes == 0 &&
           is_alone(&vp->reference, entry, (uint32_t)first, (uint32_t)(first + bytes - 1));
}

/* The page of a fill that took place where @room was for large ones. */
static void compare_size(struct world *world, const struct vp *vp, const struct part *part, bool room)
{
    const struct expected expected = expect(world, vp, part);
    const struct real_entry *made = find(world, vp, part);

    if (!made || is_mixed(vp) || expected.place < 0) {
        return;
    }
    world->counters.large += made->last - made->first > 0xFFF;
    for (unsigned size = world->host.most; room && size > 1; size--) {
        if (fits(world, vp, &vp->reference.entry[expected.place], part->ea, size_bytes(size))) {
            if (made->last - made->first < size_bytes(size) - 1) {
                world_report(world, CHECK_SIZE, "vp %u: 0x%x is mapped by 0x%x bytes, and 0x%llx fit",
                             number_of(world, vp), part->ea, made->last - made->first + 1,
                             (unsigned long long)size_bytes(size));
            }
            return;
        }
    }
}

static bool has_room(const struct world *world, const struct vp *vp)
{
    const struct processor *model = &world->cpu[vp->processor].model;

    for (unsigned i = world->host.sets * world->host.ways; i < model->entries; i++) {
        if (!model->entry[i].valid) {
            return true;
        }
    }
    return false;
}

/* --- one access --- */

/* The guest's own fault: it is told of a miss through its registers. */
static void reflect(struct world *world, struct vp *vp, const struct vmmu_booke_attempt *attempt,
                    enum vmmu_booke_verdict verdict)
{
    const struct reference_access access = world_access_of(vp, (enum access_kind)attempt->kind);

    world->counters.misses += verdict == VMMU_BOOKE_MISS;
    world->counters.refused += verdict == VMMU_BOOKE_REFUSED;
    if (verdict == VMMU_BOOKE_MISS) {
        vmmu_booke_miss(&vp->booke, attempt->ea,
                        (struct vmmu_booke_access){ attempt->kind, access.space, access.problem });
        reference_error(&vp->reference, attempt->ea, access);
        vp->missed = *attempt;
        vp->has_missed = true;
    }
}

static enum end count_end(struct world *world, enum vmmu_booke_fill fill)
{
    switch (fill) {
    case VMMU_BOOKE_FILLED: world->counters.fills++; return END_FILLED;
    case VMMU_BOOKE_DEVICE: world->counters.devices++; break;
    case VMMU_BOOKE_DENIED: world->counters.denied++; break;
    case VMMU_BOOKE_CLASH: world->counters.clashes++; break;
    case VMMU_BOOKE_FAULT: break;
    }
    return END_OTHER;
}

/* What the library makes of an access that the real TLB does not let through. */
static enum end fill(struct world *world, struct vp *vp, const struct part *part, uint32_t at)
{
    const struct vmmu_booke_attempt attempt = { vp->state, (enum vmmu_booke_kind)part->kind, part->ea, at };
    struct cpu *cpu = &world->cpu[vp->processor];
    const bool room = has_room(world, vp) || cpu->made_since > PATIENCE;
    const unsigned made = world->made;
    struct vmmu_booke_result result = { 0 };
    enum vmmu_booke_fill filled;

    world->filling = vp;
    world->filling_mixed = is_mixed(vp);
    world->violated = false;
    filled = vmmu_booke_fill(&vp->booke, &cpu->real, &attempt, &result);
    world->filling = NULL;
    if (world->made - made != (filled == VMMU_BOOKE_FILLED)) {
        world_report(world, CHECK_THRIFT, "vp %u: %s of 0x%x makes %u entries", number_of(world, vp),
                     kind_names[part->kind], part->ea, world->made - made);
    }
    compare_fill(world, vp, &attempt, filled);
    if (filled != VMMU_BOOKE_FILLED) {
        compare_result(world, vp, part, &result);
    }
    world_load(world, vp);
    if (filled == VMMU_BOOKE_FILLED) {
        if (!passes(world, vp, part)) {
            world_report(world, CHECK_PROGRESS, "vp %u: %s of 0x%x was filled, and does not hit",
                         number_of(world, vp), kind_names[part->kind], part->ea);
        }
        compare_size(world, vp, part, room);
    } else if (filled == VMMU_BOOKE_FAULT) {
        reflect(world, vp, &attempt, result.verdict);
    }
    return count_end(world, filled);
}

static void compare_translation(struct world *world, const struct vp *vp, const struct part *part)
{
    const struct reference_access access = world_access_of(vp, part->kind);
    const struct vmmu_booke_result result = vmmu_booke_translate(
        &vp->booke, part->ea,
        (struct vmmu_booke_access){ (enum vmmu_booke_kind)part->kind, access.space, access.problem });
    const int first = reference_match(&vp->reference, part->ea, access.space, -1);

    compare_result(world, vp, part, &result);
    world->counters.overlaps +=
        first >= 0 && reference_match(&vp->reference, part->ea, access.space, first) >= 0;
}

/* The addresses of an instruction, in the order in which a processor asks for them. */
static unsigned parts_of(const struct op *op, struct part *parts)
{
    const enum access_kind kind = op->kind == OP_STORE ? ACCESS_STORE : ACCESS_LOAD;
    const uint32_t last = op->address + op->which % 128;
    unsigned count = 0;

    if (op->kind == OP_FETCH) {
        parts[0] = (struct part){ ACCESS_FETCH, op->address & ~UINT32_C(3) };
        return 1;
    }
    if (op->value & 1) {
        parts[count++] = (struct part){ ACCESS_FETCH, op->at & ~UINT32_C(3) };
    }
    parts[count++] = (struct part){ kind, op->address };
    if (last >> 12 != op->address >> 12) {
        parts[count++] = (struct part){ kind, last };
    }
    return count;
}

void world_access(struct world *world, struct vp *vp, const struct op *op)
{
    struct part parts[PARTS];
    const unsigned count = parts_of(op, parts);
    const uint32_t at = (op->kind == OP_FETCH ? op->address : op->at) & ~UINT32_C(3);
    unsigned tries = 0;
    unsigned done = 0;

    world_load(world, vp);
    world->counters.mixed += is_mixed(vp);
    for (unsigned i = 0; i < count; i++) {
        compare_translation(world, vp, &parts[i]);
    }
    while (done < count && !world->finding.found) {
        if (passes(world, vp, &parts[done])) {
            done++;
            continue;
        }
        if (++tries > TRIES) {
            world_report(world, CHECK_PROGRESS, "vp %u: %s of 0x%x at 0x%x is filled again and again",
                         number_of(world, vp), op_names[op->kind], op->address, at);
            return;
        }
        if (fill(world, vp, &parts[done], at) != END_FILLED) {
            return;
        }
        done = 0;
    }
    world->counters.accesses++;
    world->counters.hits += tries == 0;
}

/* --- tlbwe --- */

/* The access that missed hits as soon as it is tried again, unless the guest's way back takes its shadow PID. */
static void try_again(struct world *world, struct vp *vp)
{
    const struct part part = { (enum access_kind)vp->missed.kind, vp->missed.ea };
    const struct vmmu_booke_state state = vp->state;
    const struct cpu *cpu = &world->cpu[vp->processor];
    const uint32_t generation = cpu->real.generation;

    vp->state = vp->missed.state;
    world_load(world, vp);
    if (!passes(world, vp, &part) && cpu->real.generation == generation) {
        world_report(world, CHECK_PROGRESS, "vp %u: the answer to a miss at 0x%x does not hit",
                     number_of(world, vp), part.ea);
    }
    vp->state = state;
}

void world_write_entry(struct world *world, struct vp *vp, uint32_t answers)
{
    const int place = reference_write(&vp->reference);
    const int index = vmmu_booke_write(&vp->booke);

    if (index != place) {
        world_report(world, CHECK_REGISTERS, "vp %u: tlbwe writes entry %d, not %d", number_of(world, vp),
                     index, place);
        return;
    }
    if (!(answers & 1) || !vp->has_missed || index < 0) {
        return;
    }
    world->filling = vp;
    world->filling_mixed = vp->missed.state.instruction_space != vp->missed.state.data_space;
    const bool filled =
        vmmu_booke_fill_written(&vp->booke, &world->cpu[vp->processor].real, &vp->missed, (unsigned)index);

    world->filling = NULL;
    world->counters.answered += filled;
    if (filled && world->filling_mixed) {
        world_report(world, CHECK_THRIFT, "vp %u: a miss at 0x%x is answered where IS is not DS",
                     number_of(world, vp), vp->missed.ea);
    }
    if (filled && (answers & 2)) {
        try_again(world, vp);
    }
}
