/*
 * Invariant: runs ascend by address, do not overlap, and neighbours that continue each other are one run. Whatever is asked
 * leaves the table as it was if it cannot be done.
 */
#include "hv/guest/patches.h"

/* What is patched in the middle of a run makes two more of it; and to undo that may take two more for a moment. */
#define RUNS_ADDED 4

void guest_patches_init(struct guest_patches *patches, struct guest_patch *patch, unsigned room)
{
    *patches = (struct guest_patches){ .room = room, .patch = patch };
}

static uint64_t end_of(const struct guest_patch *patch)
{
    return patch->gpa.v + patch->size;
}

/* How many runs end at or below @gpa: the index of the first that reaches beyond. */
static unsigned place_of(const struct guest_patches *patches, uint64_t gpa)
{
    unsigned low = 0;
    unsigned high = patches->count;

    while (low < high) {
        const unsigned middle = low + (high - low) / 2;

        if (end_of(&patches->patch[middle]) <= gpa) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct guest_patch *guest_patches_next(const struct guest_patches *patches, vmmu_gpa gpa)
{
    const unsigned place = place_of(patches, gpa.v);

    return place < patches->count ? &patches->patch[place] : NULL;
}

const struct guest_patch *guest_patches_find(const struct guest_patches *patches, vmmu_gpa gpa)
{
    const struct guest_patch *patch = guest_patches_next(patches, gpa);

    return patch && patch->gpa.v <= gpa.v ? patch : NULL;
}

bool guest_patches_touch(const struct guest_patches *patches, vmmu_gpa gpa, uint64_t size)
{
    const struct guest_patch *patch = guest_patches_next(patches, gpa);

    return patch && (patch->gpa.v <= gpa.v || patch->gpa.v - gpa.v < size);
}

/* --- changes --- */

static void insert(struct guest_patches *patches, unsigned place, const struct guest_patch *patch)
{
    __builtin_memmove(&patches->patch[place + 1], &patches->patch[place],
                      (patches->count - place) * sizeof(*patch));
    patches->patch[place] = *patch;
    patches->count++;
}

static void take_out(struct guest_patches *patches, unsigned place, unsigned count)
{
    patches->count -= count;
    __builtin_memmove(&patches->patch[place], &patches->patch[place + count],
                      (patches->count - place) * sizeof(patches->patch[0]));
}

/* What is left of @patch from @gpa on, which lies in it. */
static struct guest_patch rest_of(const struct guest_patch *patch, uint64_t gpa)
{
    struct guest_patch rest = *patch;

    rest.size = end_of(patch) - gpa;
    rest.hpa.v += rest.lent ? gpa - patch->gpa.v : 0;
    rest.gpa.v = gpa;
    return rest;
}

/* Have a run begin at @gpa, if one reaches across it. Returns the place of the first run that does not lie below. */
static unsigned split(struct guest_patches *patches, uint64_t gpa)
{
    const unsigned place = place_of(patches, gpa);
    struct guest_patch rest;

    if (place == patches->count || patches->patch[place].gpa.v >= gpa) {
        return place;
    }
    rest = rest_of(&patches->patch[place], gpa);
    patches->patch[place].size -= rest.size;
    insert(patches, place + 1, &rest);
    return place + 1;
}

static bool continues(const struct guest_patch *patch, const struct guest_patch *next)
{
    if (end_of(patch) != next->gpa.v || patch->lent != next->lent) {
        return false;
    }
    return !patch->lent || (patch->owner == next->owner && patch->rights == next->rights &&
                            patch->hpa.v + patch->size == next->hpa.v);
}

/* Make one run of those at @place and before it, if they continue each other. */
static void join(struct guest_patches *patches, unsigned place)
{
    if (place > 0 && place < patches->count &&
        continues(&patches->patch[place - 1], &patches->patch[place])) {
        patches->patch[place - 1].size += patches->patch[place].size;
        take_out(patches, place, 1);
    }
}

static bool is_sound(vmmu_gpa gpa, uint64_t size)
{
    return size != 0 && vmmu_is_aligned(gpa.v | size, VMMU_PAGE_BYTES) && gpa.v + (size - 1) >= gpa.v;
}

/* Take every run out of [gpa, gpa + size). Returns the place where one would stand there. */
static unsigned carve(struct guest_patches *patches, vmmu_gpa gpa, uint64_t size)
{
    const unsigned first = split(patches, gpa.v);
    const unsigned last = split(patches, gpa.v + size);

    take_out(patches, first, last - first);
    return first;
}

static void put(struct guest_patches *patches, unsigned place, const struct guest_patch *patch)
{
    insert(patches, place, patch);
    join(patches, place + 1);
    join(patches, place);
}

enum vmmu_status guest_patches_set(struct guest_patches *patches, const struct guest_patch *patch)
{
    struct guest_patch set = *patch;

    if (!is_sound(set.gpa, set.size)) {
        return VMMU_INVALID;
    }
    if (patches->count + RUNS_ADDED > patches->room) {
        return VMMU_NO_MEMORY;
    }
    if (!set.lent) {
        set = (struct guest_patch){ .gpa = set.gpa, .size = set.size };
    }
    put(patches, carve(patches, set.gpa, set.size), &set);
    return VMMU_OK;
}

void guest_patches_undo(struct guest_patches *patches, const struct guest_patch *patch,
                        const struct guest_patch *before)
{
    const unsigned place = carve(patches, patch->gpa, patch->size);

    if (before) {
        put(patches, place, before);
    }
}
