/*
 * The proving ground of lib/booke: virtual processors of several partitions take turns on real processors, whose TLBs hold what the
 * library writes and forget nothing. Beside each virtual MMU runs the reference, and what an access comes to on the real TLB must be
 * what the reference permits at that moment.
 *
 * world_step() runs one operation of a script, then looks at everything. The adversary looks between any two writes of a real TLB,
 * too: what must never be, may not be there for a moment. The first thing that must not be is a finding, after which nothing runs
 * any more.
 */
#ifndef TESTS_BOOKE_MACHINE_WORLD_H
#define TESTS_BOOKE_MACHINE_WORLD_H

#include "tests/booke/machine/host_memory.h"
#include "tests/booke/machine/processor.h"
#include "tests/booke/machine/script.h"

/* What can be wrong. Each can be switched off, to prove that something is found by it alone. */
enum check {
    CHECK_REGISTERS, /* MAS or PID registers are not what the instruction or the TLB error leaves there */
    CHECK_TRANSLATE, /* a translation as data, or a fault that a guest is to get, is not the reference's */
    CHECK_ACCESS,    /* a real entry takes an access to where the guest's own does not, or not any more */
    CHECK_ISOLATION, /* a real entry reaches beyond the partition's memory, or has a right that the host keeps */
    CHECK_DOUBLE,    /* two real entries match one access */
    CHECK_OWN,       /* TS = 0, TID 0, the hypervisor's own entries, or what a processor leaves undefined */
    CHECK_PRIVILEGE, /* rights of supervisor state: the hypervisor's own loads see what the guest cannot, or cannot what it fetched */
    CHECK_EXIT,      /* what is memory, device or refused by the host was judged wrongly */
    CHECK_PROGRESS,  /* an access was filled and does not hit, or is filled again and again */
    CHECK_SIZE,      /* a smaller page than would have fitted */
    CHECK_THRIFT,    /* entries were taken away, or written, for nothing */
    CHECK_SLOTS,     /* the library's account of the real TLB is not what is in it */
    CHECK_CRASH,     /* an assertion or a bad access */
    CHECKS,
};

extern const char *const check_names[CHECKS];

struct finding {
    bool found;
    enum check check;
    char sentence[300];
};

#define WORLD_VPS        4
#define WORLD_PROCESSORS 2
#define WORLD_PARTITIONS 3

struct world_counters {
    uint64_t ops[OP_KINDS];
    uint64_t accesses; /* that reached memory */
    uint64_t hits;     /* of these, without a fill */
    uint64_t fills;
    uint64_t large;  /* of these, with pages beyond 4 KiB */
    uint64_t misses; /* and refusals, of the guest's own */
    uint64_t refused;
    uint64_t devices;
    uint64_t denied; /* by the host */
    uint64_t clashes;
    uint64_t mixed;    /* accesses where IS is not DS */
    uint64_t answered; /* misses that were filled together with the guest's tlbwe */
    uint64_t writes;   /* of real entries: the adversary looks after each */
    uint64_t removed;
    uint64_t recycled; /* shadow PIDs taken from their spaces */
    uint64_t overlaps; /* accesses that several entries of the guest's match */
};

struct world;

/* @checks is a set of bits by enum check. NULL if there is no memory, or the setting cannot be. */
struct world *world_create(const struct setting *setting, uint32_t checks);
void world_destroy(struct world *world);

/* Run one operation. False once there is a finding. */
bool world_step(struct world *world, const struct op *op);

const struct finding *world_finding(const struct world *world);
const struct world_counters *world_counters(const struct world *world);

/* For generators: how many there are; what the guest of a VP believes, and where its memory is. */
unsigned world_vps(const struct world *world);
unsigned world_processors(const struct world *world);
struct vmmu_booke_state world_state(const struct world *world, unsigned vp);
const struct reference *world_reference(const struct world *world, unsigned vp);
const struct host_memory *world_memory(const struct world *world, unsigned vp);

#endif
