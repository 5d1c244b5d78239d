/*
 * What must hold: at every write of a real TLB, where the adversary looks, and between operations.
 */
#include "tests/booke/machine/world_internal.h"

#include <string.h>

/* Between two whole looks at a large real TLB; what an operation has touched is looked at each time. */
#define LOOK_EVERY 16

static unsigned number_of(const struct world *world, const struct vp *vp)
{
    return (unsigned)(vp - world->vp);
}

static const struct vp *vp_of(const struct world *world, const struct vmmu_booke *booke)
{
    for (unsigned i = 0; i < world->vps; i++) {
        if (&world->vp[i].booke == booke) {
            return &world->vp[i];
        }
    }
    return NULL;
}

/* --- callbacks --- */

static bool on_memory(void *context, const struct vmmu_booke *booke, vmmu_gpa gpa,
                      struct vmmu_booke_piece *piece)
{
    struct cpu *cpu = context;
    const struct vp *vp = vp_of(cpu->world, booke);
    const struct bank *bank = host_memory_at(&cpu->world->memory[vp->partition], gpa.v);

    if (!bank) {
        return false;
    }
    *piece = (struct vmmu_booke_piece){
        { bank->gpa }, { bank->hpa }, bank->size_bytes, bank->write, bank->execute
    };
    return true;
}

static bool on_owns(void *context, const struct vmmu_booke *booke, vmmu_hpa at, uint64_t bytes)
{
    struct cpu *cpu = context;
    const struct vp *vp = vp_of(cpu->world, booke);

    return host_memory_owner(&cpu->world->memory[vp->partition], at.v, bytes) != NULL;
}

static void on_violated(void *context, const struct vmmu_booke *booke, const char *what)
{
    struct cpu *cpu = context;

    (void)booke;
    (void)what;
    cpu->world->violated = true;
}

/* A valid entry, as it is written. */
static void look_at_new(struct world *world, const struct real_entry *entry)
{
    const struct vp *vp = world->filling;
    const uint64_t bytes = (uint64_t)entry->last - entry->first + 1;
    const struct bank *bank;

    if (!vp) {
        world_report(world, CHECK_THRIFT, "an entry of 0x%x is made, and nobody asked for it", entry->first);
        return;
    }
    if (!entry->space || entry->tid == 0) {
        world_report(world, CHECK_OWN, "an entry of 0x%x has TS = %d and TID %u", entry->first, entry->space,
                     entry->tid);
    }
    bank = host_memory_owner(&world->memory[vp->partition], entry->real, bytes);
    if (!bank || (entry->uw && !bank->write) || (entry->ux && !bank->execute)) {
        world_report(
            world, CHECK_ISOLATION, "vp %u: an entry of 0x%x for 0x%llx, 0x%llx bytes, is beyond its memory",
            number_of(world, vp), entry->first, (unsigned long long)entry->real, (unsigned long long)bytes);
    }
    if (entry->sx || entry->sw || (entry->sr && !entry->ux && (world->filling_mixed || !entry->ur))) {
        world_report(world, CHECK_PRIVILEGE, "vp %u: an entry of 0x%x has MAS3 0x%x", number_of(world, vp),
                     entry->first, entry->mas3);
    }
    if (field(entry->mas2, 59, 61) != 1) {
        world_report(world, CHECK_PRIVILEGE, "vp %u: an entry of 0x%x has MAS2 0x%x: not plain memory",
                     number_of(world, vp), entry->first, entry->mas2);
    }
    world->made++;
}

/* Whether an access can match @entry and another one: under the PIDs that are loaded, or under whatever PIDs. */
static void look_for_double(struct world *world, const struct cpu *cpu, const struct real_entry *entry)
{
    const struct processor *model = &cpu->model;

    for (unsigned i = 0; i < model->entries; i++) {
        const struct real_entry *other = &model->entry[i];

        if (other != entry && processor_overlap(entry, other) &&
            (entry->tid == other->tid ||
             (cpu->loaded && processor_sees(model, entry) && processor_sees(model, other)))) {
            world_report(world, CHECK_DOUBLE,
                         "real entries of 0x%x and 0x%x, TID %u and %u, match one access", entry->first,
                         other->first, entry->tid, other->tid);
        }
    }
}

void world_look_for_doubles(struct world *world, const struct cpu *cpu)
{
    for (unsigned i = 0; i < cpu->model.entries; i++) {
        const struct real_entry *entry = &cpu->model.entry[i];

        if (entry->space && processor_sees(&cpu->model, entry)) {
            look_for_double(world, cpu, entry);
        }
    }
}

/* What is written over was in the way, or there was no other place. */
static void look_at_evicted(struct world *world, struct cpu *cpu, unsigned place,
                            const struct real_entry *entry)
{
    const unsigned small = world->host.sets * world->host.ways;
    const unsigned first = place < small ? place / world->host.ways * world->host.ways : small;
    const unsigned end = place < small ? first + world->host.ways : cpu->model.entries;
    const struct real_entry *before = &cpu->model.entry[place];

    if (!before->valid || !entry->valid) {
        return;
    }
    if (place >= small) {
        cpu->made_since = 0;
    }
    if (before->first <= entry->last && entry->first <= before->last) {
        return;
    }
    if (place >= small && cpu->made_since_sure < PATIENCE) {
        world_report(world, CHECK_THRIFT,
                     "large pages are evicted one after the other: 0x%x, after %u others", before->first,
                     cpu->made_since_sure);
    }
    cpu->made_since_sure = place >= small ? 0 : cpu->made_since_sure;
    for (unsigned i = first; i < end; i++) {
        if (!cpu->model.entry[i].valid) {
            world_report(world, CHECK_THRIFT,
                         "the real entry of 0x%x is written over by 0x%x, and a place is free", before->first,
                         entry->first);
        }
    }
}

static void on_write(void *context, const struct vmmu_booke_mas *mas)
{
    struct cpu *cpu = context;
    struct world *world = cpu->world;
    struct real_entry entry;
    const char *wrong;
    const int place = processor_decode(&cpu->model, mas, &entry, &wrong);

    world->writes++;
    world->counters.writes++;
    if (wrong) {
        world_report(world, CHECK_OWN, "MAS0 0x%x MAS1 0x%x MAS2 0x%x: tlbwe writes %s", mas->mas0, mas->mas1,
                     mas->mas2, wrong);
    }
    if (place < 0) {
        return;
    }
    const struct real_entry before = cpu->model.entry[place];

    if (before.valid && world->gone_count < MOST_GONE) {
        world->gone[world->gone_count++] = before;
    }
    world->counters.removed += before.valid;
    if (!before.valid && !entry.valid) {
        world_report(world, CHECK_THRIFT, "a real entry is invalidated that is not valid");
    }
    cpu->made_since += entry.valid;
    cpu->made_since_sure += entry.valid;
    look_at_evicted(world, cpu, (unsigned)place, &entry);
    cpu->model.entry[place] = entry;
    if (entry.valid) {
        look_at_new(world, &entry);
        look_for_double(world, cpu, &cpu->model.entry[place]);
    }
}

struct vmmu_booke_host world_host(struct cpu *cpu, unsigned kept)
{
    return (struct vmmu_booke_host){ .context = cpu,
                                     .kept = (uint16_t)kept,
                                     .memory = on_memory,
                                     .owns = on_owns,
                                     .write = on_write,
                                     .violated = on_violated };
}

/* --- between operations: what is visible --- */

/* Every access that a real entry lets through at @ea is one that the guest's own TLB permits. */
static void look_at_point(struct world *world, const struct vp *vp, const struct real_entry *entry,
                          uint32_t ea)
{
    for (unsigned kind = ACCESS_LOAD; kind <= ACCESS_FETCH; kind++) {
        const struct passage passage = { (enum access_kind)kind, ea, entry->real + (ea - entry->first),
                                         entry->attributes };

        if (processor_allows(entry, passage.kind) && !world_permits(world, vp, &passage)) {
            world_report(world, CHECK_ACCESS, "vp %u: 0x%x still goes to 0x%llx, MAS3 0x%x",
                         number_of(world, vp), ea, (unsigned long long)passage.hpa, entry->mas3);
        }
    }
}

/* An entry's ends, and all addresses in it where an entry of the guest's begins or ends: between them nothing changes. */
static void look_at_visible(struct world *world, const struct vp *vp, const struct real_entry *entry)
{
    const struct reference *reference = &vp->reference;

    look_at_point(world, vp, entry, entry->first);
    if (entry->last - entry->first < 0x1000) {
        return;
    }
    look_at_point(world, vp, entry, entry->last);
    for (unsigned i = 0; i < reference->entries; i++) {
        const struct reference_change extent = reference_extent(&reference->entry[i]);

        if (!reference->entry[i].valid) {
            continue;
        }
        if (extent.first > entry->first && extent.first <= entry->last) {
            look_at_point(world, vp, entry, extent.first - 1);
            look_at_point(world, vp, entry, extent.first);
        }
        if (extent.last >= entry->first && extent.last < entry->last) {
            look_at_point(world, vp, entry, extent.last);
            look_at_point(world, vp, entry, extent.last + 1);
        }
    }
}

static bool is_touched(const struct reference *reference, uint32_t first, uint32_t last)
{
    bool touched = reference->changes > REFERENCE_MOST_CHANGES;

    for (unsigned i = 0; i < reference->changes && i < REFERENCE_MOST_CHANGES; i++) {
        touched |= reference->change[i].first <= last && reference->change[i].last >= first;
    }
    return touched;
}

static void look_at_loaded(struct world *world, const struct cpu *cpu)
{
    const struct vp *vp = cpu->loaded;
    const bool all = world->setting.small || world->ops % LOOK_EVERY == 0;

    for (unsigned i = 0; vp && i < cpu->model.entries; i++) {
        const struct real_entry *entry = &cpu->model.entry[i];

        if (entry->space && processor_sees(&cpu->model, entry) &&
            (all || is_touched(&vp->reference, entry->first, entry->last))) {
            look_at_visible(world, vp, entry);
        }
    }
}

/* --- between operations: the library's account --- */

/* What a slot says that its entry was made from explains it, whatever PIDs are loaded. */
static void look_at_origin(struct world *world, const struct cpu *cpu, const struct vmmu_booke_slot *slot,
                           const struct real_entry *entry)
{
    const struct vp *vp = vp_of(world, slot->from);

    if (!vp || &world->cpu[vp->processor] != cpu || slot->index >= vp->reference.entries) {
        world_report(world, CHECK_ACCESS, "0x%x still goes to 0x%llx, for nobody who is here", entry->first,
                     (unsigned long long)entry->real);
        return;
    }
    const struct reference_entry *from = &vp->reference.entry[slot->index];
    const struct reference_change extent = reference_extent(from);
    const uint64_t gpa = reference_physical(&vp->reference, from, entry->first);
    const struct bank *bank = host_memory_at(&world->memory[vp->partition], gpa);

    if (!from->valid || entry->first < extent.first || entry->last > extent.last || !bank || bank->lost ||
        bank->hpa + (gpa - bank->gpa) != entry->real ||
        entry->last - entry->first >= bank->size_bytes - (gpa - bank->gpa) ||
        (entry->uw && !((from->uw || from->sw) && bank->write)) ||
        (entry->ux && !((from->ux || from->sx) && bank->execute)) || (entry->ur && !(from->ur || from->sr))) {
        world_report(
            world, CHECK_ACCESS, "vp %u: 0x%x still goes to 0x%llx, MAS3 0x%x, by an entry %u that was",
            number_of(world, vp), entry->first, (unsigned long long)entry->real, entry->mas3, slot->index);
    }
}

static void look_at_slots(struct world *world, const struct cpu *cpu)
{
    const unsigned slots = vmmu_booke_real_slots(&cpu->real);

    if (slots + cpu->model.kept != cpu->model.entries) {
        world_report(world, CHECK_SLOTS, "%u slots, and %u entries are the guests'", slots,
                     cpu->model.entries - cpu->model.kept);
        return;
    }
    for (unsigned i = 0; i < slots; i++) {
        const struct vmmu_booke_slot *slot = vmmu_booke_real_slot(&cpu->real, i);
        const struct real_entry *entry = &cpu->model.entry[i];

        if ((slot != NULL) != entry->valid ||
            (slot && (slot->mas1 != entry->mas1 || slot->mas2 != entry->mas2 || slot->mas3 != entry->mas3 ||
                      slot->mas7 != entry->mas7))) {
            world_report(world, CHECK_SLOTS,
                         "slot %u is not what the processor holds: 0x%x, MAS1 0x%x, MAS3 0x%x", i,
                         entry->first, entry->mas1, entry->mas3);
        } else if (slot) {
            look_at_origin(world, cpu, slot, entry);
        }
    }
}

/* How many real entries each virtual one has: what changes without one tells nobody. */
static void look_at_made(struct world *world, const struct vp *vp)
{
    const struct vmmu_booke_real *real = &world->cpu[vp->processor].real;
    unsigned made[REFERENCE_MOST_ENTRIES] = { 0 };

    for (unsigned i = 0; i < vmmu_booke_real_slots(real); i++) {
        const struct vmmu_booke_slot *slot = vmmu_booke_real_slot(real, i);

        if (slot && slot->from == &vp->booke && slot->index < vp->reference.entries) {
            made[slot->index]++;
        }
    }
    for (unsigned i = 0; i < vp->reference.entries; i++) {
        if (made[i] != vp->booke.entries[i].made) {
            world_report(world, CHECK_SLOTS, "vp %u: entry %u has %u real ones, not %u", number_of(world, vp),
                         i, made[i], vp->booke.entries[i].made);
        }
    }
}

static void look_at_registers(struct world *world, const struct vp *vp)
{
    const uint32_t *mas = vp->reference.registers.mas;
    const struct vmmu_booke_mas reference = { mas[0], mas[1], mas[2], mas[3], mas[4], mas[6], mas[7] };
    const struct vmmu_booke_mas *own = &vp->booke.mas;

    if (memcmp(&reference, own, sizeof(reference)) != 0) {
        world_report(world, CHECK_REGISTERS,
                     "vp %u: MAS %x %x %x %x %x %x %x; the reference: %x %x %x %x %x %x %x",
                     number_of(world, vp), own->mas0, own->mas1, own->mas2, own->mas3, own->mas4, own->mas6,
                     own->mas7, mas[0], mas[1], mas[2], mas[3], mas[4], mas[6], mas[7]);
    }
    if (memcmp(vp->reference.registers.pid, vp->booke.pid, sizeof(vp->booke.pid)) != 0) {
        world_report(world, CHECK_REGISTERS, "vp %u: PIDs %x %x %x; the reference: %x %x %x",
                     number_of(world, vp), vp->booke.pid[0], vp->booke.pid[1], vp->booke.pid[2],
                     vp->reference.registers.pid[0], vp->reference.registers.pid[1],
                     vp->reference.registers.pid[2]);
    }
}

void world_look(struct world *world)
{
    bool changed = world->writes != 0;

    world->counters.recycled = 0;
    for (unsigned i = 0; i < world->vps; i++) {
        changed |= world->vp[i].reference.changes != 0;
        look_at_registers(world, &world->vp[i]);
    }
    for (unsigned i = 0; i < world->cpus; i++) {
        world->counters.recycled += world->cpu[i].real.counters.recycled;
        look_at_loaded(world, &world->cpu[i]);
        look_at_slots(world, &world->cpu[i]);
    }
    for (unsigned i = 0; changed && i < world->vps; i++) {
        look_at_made(world, &world->vp[i]);
    }
}

/* --- thrift --- */

/* Whether an entry had to go: a virtual one there has changed, or its shadow PID was taken. */
static bool is_caused(const struct world *world, const struct real_entry *gone)
{
    for (unsigned i = 0; i < world->cpus; i++) {
        if (world->cpu[i].generation != world->cpu[i].real.generation) {
            return true;
        }
    }
    for (unsigned i = 0; i < world->vps; i++) {
        if (is_touched(&world->vp[i].reference, gone->first, gone->last)) {
            return true;
        }
    }
    return false;
}

void world_look_at_thrift(struct world *world, const struct op *op)
{
    switch (op->kind) {
    case OP_SET:
    case OP_ENTRY:
    case OP_WRITE:
    case OP_READ:
    case OP_SEARCH:
    case OP_INVALIDATE:
    case OP_LOCAL:
    case OP_MODE: break;
    case OP_LOAD:
    case OP_STORE:
    case OP_FETCH:
    case OP_HOST_GIVE:
    case OP_HOST_TAKE:
    case OP_HOST_LOSE:
    case OP_FORGET:
    case OP_MOVE:
    case OP_KINDS: return;
    }
    for (unsigned i = 0; world->made == 0 && i < world->gone_count; i++) {
        if (!is_caused(world, &world->gone[i])) {
            world_report(world, CHECK_THRIFT,
                         "%s: the real entry of 0x%x goes, and no virtual one there has changed",
                         op_names[op->kind], world->gone[i].first);
        }
    }
}
