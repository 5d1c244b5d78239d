/*
 * The real TLB from inside: slots, the spaces that shadow PIDs stand for, and what may overlap.
 *
 * Invariants:
 *   - What the processor's guest entries hold, the slots say; a slot that is not valid has no entry.
 *   - A slot's entry translates as its virtual entry does, with no more rights than that and the memory give, and only to memory
 *     that its partition owned when it was made. `made` of a virtual entry counts its slots.
 *   - Its TID is a shadow PID whose space has it: owners[] points to where the space keeps it, and the space has it there.
 *   - Two slots whose TIDs may be loaded at one time do not overlap.
 */
#ifndef LIB_BOOKE_REAL_H
#define LIB_BOOKE_REAL_H

#include "lib/booke/tlb.h"

#define PRIVATE_SPACES 4 /* of one VP: others take their places in turn */
#define PLAIN_GROUPS   4 /* by address space and privilege */

#define SMALL_SIZE     1  /* TSIZE of 4 KiB, the size of array 0's pages */
#define WHOLE_SIZE     11 /* ... of 4 GiB, which is all that there is */
#define SMALL_SHIFT    12
#define REGION_SHIFT   27 /* 32 regions of the address space */

/* Memory that is contiguous, counted in pages of 4 KiB, of which physical addresses have fewer than 2^32. */
struct booke_memory {
    uint32_t first; /* the guest's */
    uint32_t pages;
    uint32_t moved;  /* from the guest's pages to the machine's, modulo 2^32 */
    uint32_t rights; /* that it gives, as MAS3 has those of problem state */
};

/*
 * A VP's spaces. A plain one is that of an address space, a privilege and a TID, and is kept at (group << pid_bits) + TID. A private
 * one is that of a whole state that plain ones cannot serve: where fetches and data have two address spaces, or TIDs come from
 * more than one PID register.
 */
struct vmmu_booke_spaces {
    struct booke_memory memory; /* what was asked for last; of no pages: none */
    uint64_t private_key[PRIVATE_SPACES];
    uint8_t private_shadow[PRIVATE_SPACES];
    uint8_t next_private;
    uint8_t shadow[]; /* of each plain space: its shadow PID if that is owned from here */
};

/* A space, and what overlaps in it: entries of the same group, under its own shadow PID, the partner's, or under any. */
struct booke_space {
    uint8_t shadow;
    uint8_t partner; /* that of TID 0, if it has one; 0: none */
    uint8_t group;
    bool with_all; /* its own is that of TID 0, which is loaded with every other */
};

/* Whether fetch and data are in different address spaces: entries are made for one of them then. */
static inline bool booke_is_split(struct vmmu_booke_state state)
{
    return state.instruction_space != state.data_space;
}

/* Whether plain spaces cannot serve. */
static inline bool booke_is_private(const struct vmmu_booke *booke, struct vmmu_booke_state state)
{
    return booke_is_split(state) || (booke->pid[1] | booke->pid[2]) != 0;
}

/* The bits of an address that are the offset in a page of @tsize. */
static inline uint32_t booke_offset_mask(unsigned tsize)
{
    return tsize >= WHOLE_SIZE ? UINT32_MAX : (UINT32_C(1024) << 2 * tsize) - 1;
}

/* The same of a page number: of any size that there can be, up to 4^15 KiB, for a guest's page may be larger than the address space. */
static inline uint32_t booke_page_mask(unsigned tsize)
{
    return (UINT32_C(1) << 2 * (tsize - SMALL_SIZE)) - 1;
}

static inline uint32_t booke_slot_mask(const struct vmmu_booke_slot *slot)
{
    return booke_offset_mask(booke_tsize(slot->mas1));
}

static inline uint32_t booke_tid(const struct vmmu_booke_entry *entry)
{
    return (entry->mas1 & VMMU_MAS1_TID) >> VMMU_MAS1_TID_SHIFT;
}

static inline uint8_t booke_slot_shadow(const struct vmmu_booke_slot *slot)
{
    return (uint8_t)(slot->mas1 >> VMMU_MAS1_TID_SHIFT);
}

/* The regions that an aligned piece of the address space meets. */
static inline uint32_t booke_regions(uint32_t ea, uint32_t offset_mask)
{
    const uint32_t first = (ea & ~offset_mask) >> REGION_SHIFT;
    const uint32_t last = (ea | offset_mask) >> REGION_SHIFT;

    return UINT32_MAX << first & UINT32_MAX >> (31 - last);
}

/* Whether the space that keeps its shadow PID at @cell has it still. */
static inline bool booke_has_shadow(const struct vmmu_booke_real *real, const uint8_t *cell)
{
    return real->owners[*cell] == cell;
}

static inline uint8_t booke_group(struct vmmu_booke_state state)
{
    return (uint8_t)((state.data_space ? 2 : 0) | (state.problem ? 1 : 0));
}

/* Where the plain spaces of a group are kept, by TID. */
static inline uint8_t *booke_plain_cells(const struct vmmu_booke *booke, uint8_t group)
{
    return &booke->spaces->shadow[(size_t)group << booke->config.pid_bits];
}

/* A shadow PID for the space that keeps it at @cell and has none; it may be taken from another: real->generation tells. */
uint8_t vmmu_booke_take(struct vmmu_booke_real *real, uint8_t *cell);

static inline uint8_t booke_shadow_at(struct vmmu_booke_real *real, uint8_t *cell)
{
    return booke_has_shadow(real, cell) ? *cell : vmmu_booke_take(real, cell);
}

/* The private space of @booke in @state. */
struct booke_space vmmu_booke_private_space(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                            struct vmmu_booke_state state);

/* The plain space that entries of @tid are made in for @booke in @state. */
static inline struct booke_space booke_plain_space(const struct vmmu_booke *booke,
                                                   struct vmmu_booke_real *real,
                                                   struct vmmu_booke_state state, uint32_t tid)
{
    const uint8_t group = booke_group(state);
    uint8_t *const cells = booke_plain_cells(booke, group);
    const uint8_t shadow = booke_shadow_at(real, &cells[tid]);

    return (struct booke_space){ .shadow = shadow,
                                 .partner = booke_has_shadow(real, &cells[0]) ? cells[0] : 0,
                                 .group = group,
                                 .with_all = tid == 0 };
}

/* The space of either sort. */
static inline struct booke_space booke_space(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                             struct vmmu_booke_state state, uint32_t tid)
{
    return booke_is_private(booke, state) ? vmmu_booke_private_space(booke, real, state)
                                          : booke_plain_space(booke, real, state, tid);
}

/* What MAS0 calls slot @place of array 1. */
static inline uint32_t booke_large_name(const struct vmmu_booke_real *real, unsigned place)
{
    return UINT32_C(1) << VMMU_MAS0_TLBSEL_SHIFT | (uint32_t)(place - real->small) << VMMU_MAS0_ESEL_SHIFT;
}

/* The set of array 0 that @ea is in. */
static inline unsigned booke_real_set(const struct vmmu_booke_real *real, uint32_t ea)
{
    return ea >> SMALL_SHIFT & (real->sets - 1U);
}

/* Slot @place, which is valid, becomes invalid, and its entry with it. */
void vmmu_booke_remove(struct vmmu_booke_real *real, unsigned place);

/* All slots under @shadow go. */
void vmmu_booke_remove_shadow(struct vmmu_booke_real *real, uint8_t shadow);

/* The watch of every virtual MMU that is attached. */
void vmmu_booke_changing(void *context, struct vmmu_booke *booke, unsigned index);

#endif
