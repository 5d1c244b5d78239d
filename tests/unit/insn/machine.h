/*
 * A processor without a processor: a register file in one of the modes, a few pages of linear memory, two
 * kinds of ports, and callbacks that hold the library to its contract and can be made to fail at any point.
 */
#ifndef TESTS_UNIT_INSN_MACHINE_H
#define TESTS_UNIT_INSN_MACHINE_H

#include <vmmu/insn.h>

#define MACHINE_PAGES     8

/* Where every mode has two pages that follow each other, and code that need not be there. */
#define MACHINE_DATA      0x4000
#define MACHINE_CODE      0x1000

/* Attributes of segments, as struct vmmu_x86_segment has them. */
#define MACHINE_CODE_16   0x009B
#define MACHINE_CODE_32   0xC09B
#define MACHINE_CODE_64   0xA09B
#define MACHINE_DATA_FLAT 0xC093
#define MACHINE_DATA_16   0x0093

struct machine_page {
    uint64_t linear;
    bool read_only;
    uint8_t bytes[4096];
};

enum machine_mode {
    MACHINE_REAL,
    MACHINE_PROTECTED_16,
    MACHINE_PROTECTED_32,
    MACHINE_LONG,
};

struct machine {
    struct vmmu_x86_state state;
    struct vmmu_insn_memory memory;
    struct vmmu_insn insn;
    struct vmmu_insn_outcome outcome;

    struct machine_page pages[MACHINE_PAGES];
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
 * Flat segments, two pages at MACHINE_DATA, RIP at MACHINE_CODE, RSP in the middle of the first page, all
 * else zero.
 */
void machine_init(struct machine *machine, enum machine_mode mode);

/* Add a page of zeroes, and return its bytes. */
uint8_t *machine_map(struct machine *machine, uint64_t linear);

/* Memory as a little-endian value; the address must be mapped. */
uint64_t machine_peek(struct machine *machine, uint64_t linear, unsigned size_bytes);
void machine_poke(struct machine *machine, uint64_t linear, unsigned size_bytes, uint64_t value);

/* Decode and perform. The status is that of the first of the two that is not VMMU_OK. */
enum vmmu_status machine_run(struct machine *machine, const uint8_t *bytes, unsigned count);

/* The same with the bytes as arguments. */
#define RUN(machine, ...)                                                                                    \
    machine_run((machine), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* Whether two register files are the same. */
bool machine_state_equal(const struct vmmu_x86_state *a, const struct vmmu_x86_state *b);

#endif
