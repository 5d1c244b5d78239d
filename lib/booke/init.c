/*
 * What a processor's configuration says, and a virtual MMU after reset.
 */
#include "lib/booke/tlb.h"

const struct vmmu_booke_config vmmu_booke_e500v2 = {
    .tlbcfg = { UINT32_C(0x04110200), UINT32_C(0x101bc010) }, .pids = 3, .pid_bits = 8, .physical_bits = 36
};

#define PID_BITS_MOST       14
#define PHYSICAL_BITS_LEAST 32
#define PHYSICAL_BITS_MOST  36
#define SMALLEST_SIZE       1  /* TSIZE of a 4 KiB page */
#define MOST_LEAST_SIZE     10 /* ... of 1 GiB: above it are bits of the address to choose a set by */

static bool is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* The bits that numbers below @count need. */
static uint16_t mask_for(unsigned count)
{
    unsigned mask = 0;

    while (mask < count - 1) {
        mask = mask << 1 | 1;
    }
    return (uint16_t)mask;
}

static bool is_possible_array(const struct vmmu_booke_array *array, unsigned which)
{
    return array->ways <= VMMU_BOOKE_WAYS_MOST && array->sets * array->ways == array->entries &&
           is_power_of_two(array->sets) && (array->sets == 1 || (which == 0 && !array->any_size)) &&
           array->least_size >= SMALLEST_SIZE && array->least_size <= MOST_LEAST_SIZE &&
           array->least_size <= array->most_size;
}

bool vmmu_booke_decode(const struct vmmu_booke_config *config, unsigned which, struct vmmu_booke_array *array)
{
    const uint32_t says = config->tlbcfg[which];
    const unsigned entries = says & VMMU_TLBCFG_NENTRY;
    const unsigned assoc = says >> VMMU_TLBCFG_ASSOC_SHIFT;
    const unsigned ways = assoc != 0 ? assoc : entries;

    if (entries == 0) {
        return false;
    }
    *array = (struct vmmu_booke_array){ .entries = (uint16_t)entries,
                                        .ways = (uint16_t)ways,
                                        .sets = (uint16_t)(entries / ways),
                                        .way_mask = mask_for(ways),
                                        .least_size = says >> VMMU_TLBCFG_MINSIZE_SHIFT & 0xf,
                                        .most_size = says >> VMMU_TLBCFG_MAXSIZE_SHIFT & 0xf,
                                        .any_size = (says & VMMU_TLBCFG_AVAIL) != 0,
                                        .protects = (says & VMMU_TLBCFG_IPROT) != 0 };
    array->page_shift = (uint8_t)(2 * array->least_size + 10);
    return is_possible_array(array, which);
}

static bool decode(const struct vmmu_booke_config *config, struct vmmu_booke_array arrays[VMMU_BOOKE_ARRAYS])
{
    if (config->pids == 0 || config->pids > VMMU_BOOKE_PIDS || config->pid_bits == 0 ||
        config->pid_bits > PID_BITS_MOST || config->physical_bits < PHYSICAL_BITS_LEAST ||
        config->physical_bits > PHYSICAL_BITS_MOST) {
        return false;
    }
    for (unsigned i = 0; i < VMMU_BOOKE_ARRAYS; i++) {
        if (!vmmu_booke_decode(config, i, &arrays[i])) {
            return false;
        }
    }
    arrays[1].first = arrays[0].entries;
    return true;
}

static size_t entries_bytes(const struct vmmu_booke_array arrays[VMMU_BOOKE_ARRAYS])
{
    return ((size_t)arrays[0].entries + arrays[1].entries) * sizeof(struct vmmu_booke_entry);
}

size_t vmmu_booke_memory_bytes(const struct vmmu_booke_config *config)
{
    struct vmmu_booke_array arrays[VMMU_BOOKE_ARRAYS];

    if (!decode(config, arrays)) {
        return 0;
    }
    return (entries_bytes(arrays) + arrays[0].sets + 7) & ~(size_t)7;
}

/* Which bits the registers of such a processor have. */
static struct vmmu_booke_mas registers_of(const struct vmmu_booke_config *config,
                                          const struct vmmu_booke_array arrays[VMMU_BOOKE_ARRAYS])
{
    const uint32_t pid = (UINT32_C(1) << config->pid_bits) - 1;
    const uint32_t ways = arrays[0].way_mask | arrays[1].way_mask;
    const uint32_t array = VMMU_BOOKE_ARRAYS - 1;

    return (struct vmmu_booke_mas){
        .mas0 = array << VMMU_MAS0_TLBSEL_SHIFT | ways << VMMU_MAS0_ESEL_SHIFT | arrays[0].way_mask,
        .mas1 =
            VMMU_MAS1_VALID | VMMU_MAS1_IPROT | pid << VMMU_MAS1_TID_SHIFT | VMMU_MAS1_TS | VMMU_MAS1_TSIZE,
        .mas2 = VMMU_MAS2_EPN | VMMU_MAS4_ATTRIBUTES,
        .mas3 = VMMU_MAS3_RPN | VMMU_MAS3_U | VMMU_MAS3_RIGHTS,
        .mas4 = array << VMMU_MAS4_TLBSELD_SHIFT | UINT32_C(3) << VMMU_MAS4_TIDSELD_SHIFT | VMMU_MAS1_TSIZE |
                VMMU_MAS4_ATTRIBUTES,
        .mas6 = pid << VMMU_MAS6_SPID_SHIFT | VMMU_MAS6_SAS,
        .mas7 = (UINT32_C(1) << (config->physical_bits - PHYSICAL_BITS_LEAST)) - 1,
    };
}

enum vmmu_status vmmu_booke_init(struct vmmu_booke *booke, const struct vmmu_booke_config *config,
                                 void *memory, size_t memory_bytes)
{
    const size_t needed = vmmu_booke_memory_bytes(config);
    struct vmmu_booke fresh = { .config = *config };
    size_t entries;

    if (needed == 0 || memory_bytes < needed || !vmmu_is_aligned((uintptr_t)memory, 8) ||
        !decode(config, fresh.array)) {
        return VMMU_INVALID;
    }
    fresh.kept = registers_of(config, fresh.array);
    fresh.entries = memory;
    entries = (size_t)fresh.array[0].entries + fresh.array[1].entries;
    fresh.next_victim = (uint8_t *)(fresh.entries + entries);
    for (size_t i = 0; i < entries; i++) {
        fresh.entries[i] = (struct vmmu_booke_entry){ 0 };
    }
    for (size_t i = 0; i < fresh.array[0].sets; i++) {
        fresh.next_victim[i] = 0;
    }
    *booke = fresh;
    return VMMU_OK;
}
