/*
 * A guest on shadow tables under fuzz: a few pages of memory full of tables, what backs them, and processors without caches
 * that walk whatever the engine made.
 */
#ifndef TESTS_FUZZ_SHADOW_GUEST_H
#define TESTS_FUZZ_SHADOW_GUEST_H

#include <vmmu/shadow.h>
#include <vmmu/walk.h>

#include "input.h"

#define GUEST_VPS     4U
#define GUEST_PAGES   2048U /* of memory: 8 MiB */
#define GUEST_STORED  48U   /* of them that have a content; the others read as zeros */
#define GUEST_HPA     BIT64(32)
#define GUEST_TABLES  512U /* pages that the host may give for tables */
#define GUEST_PENDING 8U

/* Operations that the engine may ask to be called again for a flush, and turns of one access. */
#define GUEST_TURNS   64U

struct guest {
    struct input *input;
    struct vmmu_host host;
    struct vmmu_ram ram;     /* the guest's memory, to the engine */
    struct vmmu_ram machine; /* tables of the engine's, by host-physical address */
    struct vmmu_table_memory memory;
    struct vmmu_table_retired *quarantine;
    struct vmmu_shadow shadow;
    void *account;

    struct vmmu_x86_cpu cpu;
    unsigned vps;
    struct vmmu_x86_paging_registers registers[GUEST_VPS];
    struct vmmu_x86_mode mode[GUEST_VPS];
    struct vmmu_shadow_root root[GUEST_VPS];

    uint64_t *content; /* GUEST_STORED pages */
    uint8_t rights[GUEST_PAGES];
    bool large_pieces; /* the backing speaks of 2 MiB where all of it is alike */
    void *pages[GUEST_TABLES];
    uint32_t takes_failing; /* bit N: the Nth asking for a page fails, counted modulo 32 */
    uint32_t takes;
    uint64_t pending[GUEST_PENDING]; /* epochs that are not reported yet */
    unsigned pending_count;
    bool puts_off;
};

/* A guest as the input says, its processors entered with paging off. False if the engine refused. */
bool guest_start(struct guest *guest, struct input *input);

/* Destroy it. Every page must have come back. */
void guest_finish(struct guest *guest);

/* Do what a caller does with an outcome; whether the operation is to be called again. */
bool guest_again(struct guest *guest, const struct vmmu_outcome *outcome, unsigned *turns);

/* Run @call until it is done; the last status in @status. */
#define GUEST_DO(guest, status, call)                                                                        \
    do {                                                                                                     \
        struct vmmu_outcome do_outcome_;                                                                     \
        unsigned do_turns_ = 0;                                                                              \
        do {                                                                                                 \
            do_outcome_ = (call);                                                                            \
        } while (guest_again((guest), &do_outcome_, &do_turns_));                                            \
        (status) = do_outcome_.status;                                                                       \
    } while (0)

/* Whether the host may have had too little to give. */
bool guest_is_short(const struct guest *guest, enum vmmu_status status);

/* The VP's registers are these: false if no processor takes them. The engine is not told. */
bool guest_set_registers(struct guest *guest, unsigned vp, const struct vmmu_x86_paging_registers *registers);

/* What the VP's hardware is loaded with. */
struct vmmu_x86_mode guest_hardware(const struct guest *guest, unsigned vp);

/* Store eight bytes, or four, of the guest's memory; nothing if no content is kept there. */
void guest_store(struct guest *guest, uint64_t gpa, unsigned width_bytes, uint64_t value);

/* What the drawn bytes say: an entry, an address with a few indexes at each level, an access. Zeros: all is allowed. */
uint64_t guest_draw_entry(struct input *input);
vmmu_gva guest_draw_va(struct input *input);
struct vmmu_x86_access guest_draw_access(struct input *input);

#endif
