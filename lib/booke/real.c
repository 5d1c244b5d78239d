/*
 * Setting up a processor's TLB, attaching virtual ones to it, and looking at it.
 */
#include "lib/booke/real.h"

#define LEAST_LARGE         3 /* an instruction's fetch and two pages of data */
#define LEAST_PIDS          2 /* a TID's own shadow PID, and that of TID 0 */
#define LEAST_PID_BITS      2 /* three shadow PIDs besides 0 */
#define MOST_PID_BITS       8
#define LEAST_PHYSICAL_BITS 32
#define MOST_PHYSICAL_BITS  36 /* MAS7 has four of them */

_Static_assert(1 << MOST_PID_BITS == VMMU_BOOKE_SHADOWS,
               "as many shadow PIDs as a TID of eight bits can name");

/*
 * Whether every instruction of a guest gets through: what it needs at one time is a fetch and two pages of data, which are
 * neighbours. A page that was made last is the last to be evicted, so as many places as that are enough.
 */
static bool is_enough(const struct vmmu_booke_config *config, const struct vmmu_booke_array *small,
                      const struct vmmu_booke_array *large)
{
    return config->physical_bits >= LEAST_PHYSICAL_BITS && config->physical_bits <= MOST_PHYSICAL_BITS &&
           config->pids >= LEAST_PIDS && config->pid_bits >= LEAST_PID_BITS && !small->any_size &&
           small->least_size == SMALL_SIZE && small->most_size == SMALL_SIZE && large->any_size &&
           small->ways >= (small->sets == 1 ? 3 : 2) && large->entries >= LEAST_LARGE;
}

static bool decode(const struct vmmu_booke_config *config, struct vmmu_booke_array *small,
                   struct vmmu_booke_array *large)
{
    return vmmu_booke_decode(config, 0, small) && vmmu_booke_decode(config, 1, large) &&
           is_enough(config, small, large);
}

static size_t rounded_up(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

size_t vmmu_booke_real_memory_bytes(const struct vmmu_booke_config *config)
{
    struct vmmu_booke_array small;
    struct vmmu_booke_array large;

    if (!decode(config, &small, &large)) {
        return 0;
    }
    return rounded_up(VMMU_BOOKE_SHADOWS * sizeof(const uint8_t *) +
                      ((size_t)small.entries + large.entries) * sizeof(struct vmmu_booke_slot) + small.sets);
}

static void lay_out(struct vmmu_booke_real *real, void *memory)
{
    const unsigned slots = vmmu_booke_real_slots(real);

    real->owners = memory;
    real->slots = (struct vmmu_booke_slot *)(void *)(real->owners + VMMU_BOOKE_SHADOWS);
    real->next_way = (uint8_t *)(real->slots + slots);
    for (unsigned i = 0; i < VMMU_BOOKE_SHADOWS; i++) {
        real->owners[i] = NULL;
    }
    for (unsigned i = 0; i < slots; i++) {
        real->slots[i] = (struct vmmu_booke_slot){ .from = NULL };
    }
    for (unsigned i = 0; i < real->sets; i++) {
        real->next_way[i] = 0;
    }
}

enum vmmu_status vmmu_booke_real_init(struct vmmu_booke_real *real, const struct vmmu_booke_config *config,
                                      const struct vmmu_booke_host *host, void *memory, size_t memory_bytes)
{
    struct vmmu_booke_array small;
    struct vmmu_booke_array large;

    if (!decode(config, &small, &large) || host->kept > large.entries - LEAST_LARGE ||
        memory_bytes < vmmu_booke_real_memory_bytes(config) || !vmmu_is_aligned((uintptr_t)memory, 8)) {
        return VMMU_INVALID;
    }
    *real = (struct vmmu_booke_real){
        .config = *config,
        .host = *host,
        .sets = small.sets,
        .ways = small.ways,
        .small = small.entries,
        .large = (uint16_t)(large.entries - host->kept),
        .shadows = (uint16_t)(1U << (config->pid_bits < MOST_PID_BITS ? config->pid_bits : MOST_PID_BITS)),
        .next_shadow = 1,
        .least_size = large.least_size,
        .most_size = large.most_size < WHOLE_SIZE ? large.most_size : WHOLE_SIZE,
    };
    lay_out(real, memory);
    return VMMU_OK;
}

/* --- attaching --- */

static size_t plain_spaces(const struct vmmu_booke_config *config)
{
    return (size_t)PLAIN_GROUPS << config->pid_bits;
}

size_t vmmu_booke_spaces_memory_bytes(const struct vmmu_booke_config *config)
{
    if (vmmu_booke_memory_bytes(config) == 0) {
        return 0;
    }
    return rounded_up(sizeof(struct vmmu_booke_spaces) + plain_spaces(config));
}

/* Of this file, so that its address needs no table of the linker's. */
static void changing(void *context, struct vmmu_booke *booke, unsigned index)
{
    vmmu_booke_changing(context, booke, index);
}

enum vmmu_status vmmu_booke_attach(struct vmmu_booke *booke, struct vmmu_booke_real *real, void *memory,
                                   size_t memory_bytes)
{
    struct vmmu_booke_spaces *const spaces = memory;

    if (memory_bytes < vmmu_booke_spaces_memory_bytes(&booke->config) ||
        !vmmu_is_aligned((uintptr_t)memory, 8)) {
        return VMMU_INVALID;
    }
    *spaces = (struct vmmu_booke_spaces){ .next_private = 0 };
    for (size_t i = 0; i < plain_spaces(&booke->config); i++) {
        spaces->shadow[i] = 0;
    }
    booke->spaces = spaces;
    booke->watch = (struct vmmu_booke_watch){ .context = real, .changing = changing };
    return VMMU_OK;
}

void vmmu_booke_detach(struct vmmu_booke *booke, struct vmmu_booke_real *real)
{
    const uintptr_t first = (uintptr_t)booke->spaces;
    const size_t bytes = vmmu_booke_spaces_memory_bytes(&booke->config);

    vmmu_booke_forget_all(booke, real);
    for (unsigned i = 1; i < real->shadows; i++) {
        if ((uintptr_t)real->owners[i] - first < bytes) {
            real->owners[i] = NULL;
        }
    }
    real->generation++;
    booke->watch = (struct vmmu_booke_watch){ .context = NULL };
    booke->spaces = NULL;
}

/* --- looking --- */

unsigned vmmu_booke_real_slots(const struct vmmu_booke_real *real)
{
    return (unsigned)real->small + real->large;
}

const struct vmmu_booke_slot *vmmu_booke_real_slot(const struct vmmu_booke_real *real, unsigned index)
{
    return real->slots[index].from != NULL ? &real->slots[index] : NULL;
}
