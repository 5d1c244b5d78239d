/*
 * A processor without a processor: a register file in one of the modes, a few pages of linear memory, two
 * kinds of ports, and callbacks that hold the library to its contract and can be made to fail at any point.
 */
#ifndef TESTS_UNIT_INSN_RIG_H
#define TESTS_UNIT_INSN_RIG_H

#include <vmmu/insn.h>

#define RIG_PAGES     8

/* Where every mode has two pages that follow each other, and code that need not be there. */
#define RIG_DATA      0x4000
#define RIG_CODE      0x1000

/* Attributes of segments, as struct vmmu_x86_segment has them. */
#define RIG_CODE_16   0x009B
#define RIG_CODE_32   0xC09B
#define RIG_CODE_64   0xA09B
#define RIG_DATA_FLAT 0xC093
#define RIG_DATA_16   0x0093

struct rig_page {
    uint64_t linear;
    bool read_only;
    uint8_t bytes[4096];
};

enum rig_mode {
    RIG_REAL,
    RIG_PROTECTED_16,
    RIG_PROTECTED_32,
    RIG_LONG,
};

struct rig {
    struct vmmu_x86_state state;
    struct vmmu_insn_memory memory;
    struct vmmu_insn insn;
    struct vmmu_insn_outcome outcome;

    struct rig_page pages[RIG_PAGES];
    unsigned page_count;

    unsigned calls;               /* of any callback */
    unsigned fail_at;             /* the call that fails, from 1; 0: none */
    enum vmmu_status fail_status; /* with this */
    unsigned races;               /* exchanges that find that somebody else was there first */
    unsigned reads;
    unsigned reads_to_write;
    unsigned writes;
    unsigned probes;
    unsigned exchanges;
    uint64_t port_value; /* what IN gives; counts up with each */
    uint64_t out_value;  /* what OUT gave last */
    uint16_t port;
    unsigned port_size;
};

/*
 * Flat segments, two pages at RIG_DATA, RIP at RIG_CODE, RSP in the middle of the first page, all else zero.
 */
void rig_init(struct rig *rig, enum rig_mode mode);

/* Add a page of zeroes, and return its bytes. */
uint8_t *rig_map(struct rig *rig, uint64_t linear);

/* Memory as a little-endian value; the address must be mapped. */
uint64_t rig_peek(struct rig *rig, uint64_t linear, unsigned size_bytes);
void rig_poke(struct rig *rig, uint64_t linear, unsigned size_bytes, uint64_t value);

/* Decode and perform. The status is that of the first of the two that is not VMMU_OK. */
enum vmmu_status rig_run(struct rig *rig, const uint8_t *bytes, unsigned count);

/* The same with the bytes as arguments. */
#define RUN(rig, ...)                                                                                        \
    rig_run((rig), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* Whether two register files are the same. */
bool rig_state_equal(const struct vmmu_x86_state *a, const struct vmmu_x86_state *b);

#endif
