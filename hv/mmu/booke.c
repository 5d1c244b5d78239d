/*
 * The technique `booke`: a virtual TLB for each VP, and one real TLB for the processor, which serves all partitions' VPs.
 *
 * Invariant: a real entry maps memory of the partition's whose VP it was made for, as mmu_owns() has it; what overlays and patches
 * show has been forgotten by the time that anything else stands there.
 */
#include "hv/mmu/booke.h"

#include "hv/boot/memory.h"
#include "hv/guest/config.h"
#include "hv/mmu/state.h"
#include "hv/monitor/booke_text.h"

#define PHYSICAL_BITS 36

/* One VP's. */
struct virtual_mmu {
    struct vmmu_booke booke; /* first: callbacks know only this */
    struct partition *partition;
};

struct mmu_booke {
    struct mmu mmu; /* first: struct partition knows only this */
    struct virtual_mmu vps[PARTITION_VPS];
};

_Static_assert(offsetof(struct mmu_booke, mmu) == 0 && offsetof(struct virtual_mmu, booke) == 0,
               "one is found by the other");

/* This processor's; set up with the first partition. */
static struct vmmu_booke_real real;

static struct mmu_booke *state_of(const struct partition *partition)
{
    return (struct mmu_booke *)partition->mmu;
}

struct vmmu_booke *mmu_booke_of(const struct vp *vp)
{
    return &state_of(vp->partition)->vps[vp->index].booke;
}

struct vmmu_booke_real *mmu_booke_real(void)
{
    return &real;
}

/* --- the host seam --- */

static struct partition *partition_of(const struct vmmu_booke *booke)
{
    return ((const struct virtual_mmu *)booke)->partition;
}

static struct vmmu_booke_piece piece_of(uint64_t gpa, uint64_t hpa, uint64_t size_bytes, uint8_t rights)
{
    return (struct vmmu_booke_piece){ .gpa = { gpa },
                                      .hpa = { hpa },
                                      .size_bytes = size_bytes,
                                      .write = rights & GUEST_RIGHT_WRITE,
                                      .execute = rights & GUEST_RIGHT_EXECUTE };
}

/* Have @piece end before what begins behind @gpa, and begin behind what ends before it, of [base, base + size_bytes). */
static void keep_clear(struct vmmu_booke_piece *piece, vmmu_gpa gpa, uint64_t base, uint64_t size_bytes)
{
    const uint64_t end = piece->gpa.v + piece->size_bytes;

    if (base > gpa.v && base < end) {
        piece->size_bytes = base - piece->gpa.v;
    } else if (base <= gpa.v && base + size_bytes > piece->gpa.v) {
        const uint64_t cut = base + size_bytes - piece->gpa.v;

        *piece = (struct vmmu_booke_piece){ .gpa = { piece->gpa.v + cut },
                                            .hpa = { piece->hpa.v + cut },
                                            .size_bytes = piece->size_bytes - cut,
                                            .write = piece->write,
                                            .execute = piece->execute };
    }
}

/* A page that covers what else there would be. What cannot be read is not there. */
static bool cover_piece(const struct mmu_cover *cover, vmmu_gpa gpa, struct vmmu_booke_piece *piece)
{
    const uint64_t page = gpa.v & ~(VMMU_PAGE_BYTES - 1);
    const uint8_t rights = cover->overlay ? cover->overlay->rights : cover->patch->rights;
    const vmmu_hpa at = cover->overlay ? cover->overlay->page : mmu_lent_at(cover->patch, (vmmu_gpa){ page });

    *piece = piece_of(page, at.v, VMMU_PAGE_BYTES, rights);
    return (cover->overlay || cover->patch->lent) && rights & GUEST_RIGHT_READ;
}

static bool host_memory(void *context, const struct vmmu_booke *booke, vmmu_gpa gpa,
                        struct vmmu_booke_piece *piece)
{
    const struct partition *partition = partition_of(booke);
    const struct mmu *mmu = partition->mmu;
    const struct mmu_cover cover = mmu_cover_over(mmu, gpa);
    const struct guest_slot *slot = mmu_slot_of(partition, gpa);

    (void)context;
    if (cover.overlay || cover.patch) {
        return cover_piece(&cover, gpa, piece);
    }
    if (!slot) {
        return false;
    }
    *piece = piece_of(slot->gpa.v, slot->hpa.v, slot->size, GUEST_RIGHTS_ALL);
    for (unsigned i = 0; i < mmu->overlay_count; i++) {
        keep_clear(piece, gpa, mmu->overlays[i].gpa.v, VMMU_PAGE_BYTES);
    }
    for (unsigned i = 0; i < mmu->patches.count; i++) {
        keep_clear(piece, gpa, mmu->patches.patch[i].gpa.v, mmu->patches.patch[i].size);
    }
    return true;
}

static bool host_owns(void *context, const struct vmmu_booke *booke, vmmu_hpa at, uint64_t size_bytes)
{
    (void)context;
    return mmu_owns(partition_of(booke), at, size_bytes);
}

static void host_write(void *context, const struct vmmu_booke_mas *mas)
{
    (void)context;
    arch_tlb_write(mas);
}

static void host_violated(void *context, const struct vmmu_booke *booke, const char *what)
{
    (void)context;
    partition_violated(partition_of(booke), what);
}

/* --- coming into being --- */

/* Room for @bytes, aligned as the library wants it; NULL: there is none. */
static void *room_for(size_t bytes)
{
    vmmu_hpa at;

    return bytes && memory_take(bytes, VMMU_PAGE_BYTES, false, &at) ? memory_at(at) : NULL;
}

static const char *start_real(void)
{
    const struct vmmu_booke_host host = { .kept = (uint16_t)arch_tlb_kept(),
                                          .memory = host_memory,
                                          .owns = host_owns,
                                          .write = host_write,
                                          .violated = host_violated };
    struct vmmu_booke_config config;
    size_t bytes;
    void *room;

    arch_tlb_config(&config);
    bytes = vmmu_booke_real_memory_bytes(&config);
    room = room_for(bytes);
    if (!room) {
        return bytes ? "no memory is left for the account of the processor's TLB"
                     : "the processor's TLB is not one of Book E's";
    }
    return vmmu_booke_real_init(&real, &config, &host, room, bytes) == VMMU_OK
               ? NULL
               : "the processor's TLB has too few entries for guests";
}

static const char *make_vp(struct partition *partition, unsigned index)
{
    struct virtual_mmu *vp = &state_of(partition)->vps[index];
    const size_t tlb_bytes = vmmu_booke_memory_bytes(&vmmu_booke_e500v2);
    const size_t spaces_bytes = vmmu_booke_spaces_memory_bytes(&vmmu_booke_e500v2);
    void *tlb = room_for(tlb_bytes);
    void *spaces = room_for(spaces_bytes);

    vp->partition = partition;
    if (!tlb || !spaces) {
        return "no memory is left for a virtual TLB";
    }
    if (vmmu_booke_init(&vp->booke, &vmmu_booke_e500v2, tlb, tlb_bytes) != VMMU_OK ||
        vmmu_booke_attach(&vp->booke, &real, spaces, spaces_bytes) != VMMU_OK) {
        return "a virtual TLB could not be started";
    }
    return NULL;
}

/* Mistaking one kind of address for the other is to show. */
static bool is_moved(const struct guest_memory *memory)
{
    for (unsigned i = 0; i < memory->count; i++) {
        if (memory->slot[i].gpa.v == memory->slot[i].hpa.v) {
            return false;
        }
    }
    return true;
}

static const char *booke_create(struct partition *partition)
{
    const char *why = real.slots ? NULL : start_real();

    if (!is_moved(&partition->memory)) {
        return "some of the guest's memory would be at its own address";
    }
    for (unsigned i = 0; i < partition->vp_count && !why; i++) {
        why = make_vp(partition, i);
    }
    return why;
}

/* --- the technique --- */

/* hv/ppc has asked the library already, and what has no entry because of us has got one. */
static enum mmu_verdict booke_fault(struct vp *vp, const struct exit_memory *memory)
{
    struct mmu *mmu = vp->partition->mmu;

    (void)memory;
    mmu->faults++;
    mmu->device_faults++;
    return MMU_DEVICE;
}

/* What stands there now is asked for when it is used. */
static bool booke_unmap(struct partition *partition, vmmu_gpa gpa)
{
    for (unsigned i = 0; i < partition->vp_count; i++) {
        vmmu_booke_forget(&state_of(partition)->vps[i].booke, &real, gpa, VMMU_PAGE_BYTES);
    }
    return true;
}

static bool booke_map(struct partition *partition, vmmu_gpa gpa, vmmu_hpa page, uint8_t rights)
{
    (void)page;
    (void)rights;
    return booke_unmap(partition, gpa);
}

static void booke_drop_all(struct partition *partition)
{
    for (unsigned i = 0; i < partition->vp_count; i++) {
        vmmu_booke_forget_all(&state_of(partition)->vps[i].booke, &real);
    }
}

static bool booke_reaches(const struct mmu *mmu, vmmu_gpa gpa)
{
    (void)mmu;
    return gpa.v < BIT64(PHYSICAL_BITS);
}

/* --- for people --- */

static void booke_report(const struct partition *partition, struct json *json)
{
    json_number(json, "faults", partition->mmu->faults);
    json_number(json, "device_faults", partition->mmu->device_faults);
    json_number(json, "all_dropped", partition->mmu->upsets);
    booke_json_counters(json, &real);
}

static void booke_tlb(const struct vp *vp, struct json *json)
{
    booke_json_tlb(json, vp->index, mmu_booke_of(vp), &real);
}

static void booke_state(const struct partition *partition, struct json *json)
{
    json_array(json, "tlbs");
    for (unsigned i = 0; i < partition->vp_count; i++) {
        booke_tlb(partition->vps[i], json);
    }
    json_end_array(json);
}

static void booke_walk(const struct vp *vp, vmmu_gva va, const struct format_sink *sink)
{
    booke_text_walk(
        sink,
        &(struct booke_text_view){
            .vp = vp->index, .booke = mmu_booke_of(vp), .real = &real, .state = arch_vp_space(vp) },
        (uint32_t)va.v);
}

static void booke_counters(const struct partition *partition, const struct format_sink *sink)
{
    (void)partition;
    booke_text_counters(sink, &real);
}

static bool booke_has_table(const struct mmu *mmu, vmmu_hpa page)
{
    (void)mmu;
    (void)page;
    return false;
}

const struct mmu_technique mmu_booke = {
    .name = "booke",
    .state_bytes = sizeof(struct mmu_booke),
    .create = booke_create,
    .fault = booke_fault,
    .map = booke_map,
    .unmap = booke_unmap,
    .reaches = booke_reaches,
    .drop_all = booke_drop_all,
    .report = booke_report,
    .state = booke_state,
    .walk = booke_walk,
    .counters = booke_counters,
    .tlb = booke_tlb,
    .has_table = booke_has_table,
};
