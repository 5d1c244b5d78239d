/*
 * Which shadow PID a space has.
 *
 * A shadow PID is a space's as long as both agree: the space keeps its number, and owners[] points to where that is kept. So a
 * space that has lost its own finds out by one comparison, and nothing is told to it. When all are in use, they are taken in turn:
 * that of the one who has had it longest goes, with what was made under it.
 */
#include "lib/booke/real.h"

uint8_t vmmu_booke_take(struct vmmu_booke_real *real, uint8_t *cell)
{
    const uint16_t shadow = real->next_shadow;

    real->next_shadow = shadow + 1U < real->shadows ? (uint16_t)(shadow + 1) : 1;
    if (real->owners[shadow] != NULL) {
        vmmu_booke_remove_shadow(real, (uint8_t)shadow);
        real->counters.recycled++;
        real->generation++;
    }
    real->owners[shadow] = cell;
    *cell = (uint8_t)shadow;
    return *cell;
}

/* --- private spaces --- */

static uint64_t private_key(const struct vmmu_booke *booke, struct vmmu_booke_state state)
{
    uint64_t key = 1; /* none is 0, as an unused one is */

    for (unsigned i = 0; i < VMMU_BOOKE_PIDS; i++) {
        key = key << 14 | booke->pid[i];
    }
    key = key << 3 | (state.instruction_space ? 4 : 0) | (state.data_space ? 2 : 0) | (state.problem ? 1 : 0);
    return key;
}

/* The private space of @key takes the place of another one, whose shadow PID becomes free. */
static unsigned replace_private(struct vmmu_booke_real *real, struct vmmu_booke_spaces *spaces, uint64_t key)
{
    const unsigned which = spaces->next_private;
    uint8_t *const cell = &spaces->private_shadow[which];

    spaces->next_private = (uint8_t)((which + 1) % PRIVATE_SPACES);
    if (booke_has_shadow(real, cell)) {
        vmmu_booke_remove_shadow(real, *cell);
        real->owners[*cell] = NULL;
        real->generation++;
    }
    spaces->private_key[which] = key;
    return which;
}

struct booke_space vmmu_booke_private_space(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                            struct vmmu_booke_state state)
{
    struct vmmu_booke_spaces *const spaces = booke->spaces;
    const uint64_t key = private_key(booke, state);
    unsigned which = 0;

    while (which < PRIVATE_SPACES && spaces->private_key[which] != key) {
        which++;
    }
    if (which == PRIVATE_SPACES) {
        which = replace_private(real, spaces, key);
    }
    return (struct booke_space){ .shadow = booke_shadow_at(real, &spaces->private_shadow[which]),
                                 .group = (uint8_t)(PLAIN_GROUPS + which) };
}

/* --- entering --- */

struct vmmu_booke_pids vmmu_booke_enter(struct vmmu_booke *booke, struct vmmu_booke_real *real,
                                        struct vmmu_booke_state state)
{
    uint8_t *cells;
    uint8_t own;

    if (booke_is_private(booke, state)) {
        return (struct vmmu_booke_pids){ .pid = { vmmu_booke_private_space(booke, real, state).shadow } };
    }
    cells = booke_plain_cells(booke, booke_group(state));
    own = booke_shadow_at(real, &cells[booke->pid[0]]);
    if (!booke_has_shadow(real, &cells[0])) {
        /* What is taken for TID 0 may be that of the other, which then gets the next. */
        vmmu_booke_take(real, &cells[0]);
        own = booke_shadow_at(real, &cells[booke->pid[0]]);
    }
    return (struct vmmu_booke_pids){ .pid = { own, cells[0] } };
}
