/* A world under test: made of a usual setting, driven operation by operation. */
#ifndef TESTS_MODEL_WORLD_RIG_H
#define TESTS_MODEL_WORLD_RIG_H

#include "tests/model/machine/world.h"

#define RIG_ALL_CHECKS   ((UINT32_C(1) << CHECKS) - 1)

/* Page directories of 32-bit paging, each of one 4 MiB page at linear 0. */
#define RIG_DIRECTORY(n) (UINT64_C(0x10000) + (n)*VMMU_PAGE_BYTES)

struct world_rig {
    struct world *world;
    uint32_t luck; /* of the next operation */
};

/* Two VPs on two processors, tables in plenty; @engine is an index into engines[]. */
struct setting rig_setting(uint8_t engine, bool intel);

void rig_start(struct world_rig *rig, const struct setting *setting, uint32_t checks);

/* Tear down; the finding is that of the world, or what tearing down found. */
struct finding rig_finish(struct world_rig *rig);

/* One operation, with luck of its own. False once there is a finding. */
bool rig_do(struct world_rig *rig, struct op op);

bool rig_read(struct world_rig *rig, uint8_t vp, uint64_t address);
bool rig_write(struct world_rig *rig, uint8_t vp, uint64_t address, uint64_t value);
bool rig_host(struct world_rig *rig, enum op_kind kind, uint64_t gpa, uint64_t size_bytes, uint8_t width);

/* Have the VP map linear 0 to the 4 MiB at @gpa by directory @n, with these flags of its entry, and start paging. */
void rig_page(struct world_rig *rig, uint8_t vp, unsigned n, uint64_t gpa, uint64_t flags);

/* The finding is what the test is about; else it fails and prints it. */
void rig_expect_none(const struct finding *finding);
void rig_expect(const struct finding *finding, enum check check);

#endif
