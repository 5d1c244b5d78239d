/*
 * The parts of a partition's description, each taken from its piece of the state document: the inside of this room.
 */
#ifndef TOOLS_IMAGE_PARTITION_PARTS_H
#define TOOLS_IMAGE_PARTITION_PARTS_H

#include "tools/image/memory.h"
#include "tools/image/partition.h"
#include "tools/image/state.h"

/* A partition as long as it lives. */
struct partition_opened {
    struct partition partition; /* what the callers see */
    struct image_memory memory; /* by guest-physical address: one range for each piece */
    struct vmmu_x86_cpu cpu;    /* of each of its VPs */
};

/* Each false, with a complaint of @place, if @object is not what it should be. Arrays that were taken so far stay. */
bool partition_take_memory(struct state_place *place, struct json_object *object,
                           struct partition_opened *opened);
bool partition_take_cpu(struct state_place *place, struct json_object *object, struct vmmu_x86_cpu *cpu);
bool partition_take_vps(struct state_place *place, struct json_object *object,
                        struct partition_opened *opened);
bool partition_take_second(struct state_place *place, struct json_object *object,
                           struct partition_opened *opened);
bool partition_take_tables(struct state_place *place, struct json_object *object,
                           struct partition_opened *opened);

#endif
