/* Inside the e500 loader: completing the device tree. */
#ifndef HV_GUEST_E500_TREE_H
#define HV_GUEST_E500_TREE_H

#include "hv/guest/e500.h"
#include "hv/guest/fdt.h"

/* What the tree says beside the machine; a range of size 0 is none. */
struct e500_chosen {
    const char *command_line; /* may be NULL */
    uint64_t memory_bytes;
    struct fdt_range initrd;
    struct fdt_range payload;
};

/* Bytes that the completed tree needs at most. */
uint64_t e500_tree_room(const struct e500_machine *machine, const char *command_line);

/**
 * Write the completed tree to @buffer, of @room_bytes.
 *
 * Returns
 *   VMMU_OK         done
 *   VMMU_INVALID    *error is a sentence: the machine's tree is none, or lacks what is to be completed
 *   VMMU_NO_MEMORY  likewise: there is no room
 */
VMMU_MUST_USE
enum vmmu_status e500_tree_write(const struct e500_machine *machine, const struct e500_chosen *chosen,
                                 uint8_t *buffer, uint32_t room_bytes, const char **error);

#endif
