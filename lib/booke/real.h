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

/*
 * A VP's spaces. A plain one is that of an address space, a privilege and a TID, and is kept at (group << pid_bits) + TID. A private
 * one is that of a whole state that plain ones cannot serve: where fetches and data have two address spaces, or TIDs come from
 * more than one PID register.
 */
struct vmmu_booke_spaces {
    struct vmmu_booke_piece piece; /* the memory that was asked for last; of no size: none */
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

/*
 * The space that entries of @tid are made in for @booke in @state, with a shadow PID, which may be taken from another space, even
 * one that is loaded: real->generation tells.
 */
struct booke_space vmmu_booke_space(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                    struct vmmu_booke_state state, uint32_t tid);

/* Write what slot @place says. */
void vmmu_booke_put(struct vmmu_booke_real *real, unsigned place);

/* Slot @place, which is valid, becomes invalid, and its entry with it. */
void vmmu_booke_remove(struct vmmu_booke_real *real, unsigned place);

/* All slots under @shadow go. */
void vmmu_booke_remove_shadow(struct vmmu_booke_real *real, uint8_t shadow);

/* The watch of every virtual MMU that is attached. */
void vmmu_booke_changing(void *context, struct vmmu_booke *booke, unsigned index);

#endif
