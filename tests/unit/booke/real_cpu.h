/*
 * A processor for tests: its TLB, written as `tlbwe` writes it and searched as the processor searches it, from which nothing but
 * what was written comes back; two virtual machines' memory; and virtual MMUs on it.
 *
 * Each write is checked at once: it is the guests', in their part, and no two entries answer for one address under the PIDs that
 * are loaded. Whatever is found wrong is counted in `wrong`, which a test expects to be 0.
 */
#ifndef TESTS_UNIT_BOOKE_REAL_CPU_H
#define TESTS_UNIT_BOOKE_REAL_CPU_H

#include "tests/unit/booke/virtual.h"

#define PIECES_MOST 4
#define VPS_MOST    3
#define SLOTS_MOST  528

/* MAS3 */
#define UX          UINT32_C(0x20)
#define SX          UINT32_C(0x10)
#define UW          UINT32_C(0x08)
#define SW          UINT32_C(0x04)
#define UR          UINT32_C(0x02)
#define SR          UINT32_C(0x01)

struct real_cpu_vp {
    struct virtual_mmu mmu;
    struct vmmu_booke_piece pieces[PIECES_MOST]; /* its partition's memory */
    unsigned piece_count;
    _Alignas(8) uint8_t spaces[2048];
};

struct real_cpu {
    struct vmmu_booke_real real;
    struct real_cpu_vp vp[VPS_MOST];
    struct vmmu_booke_mas tlb[SLOTS_MOST]; /* array 0 by set and way, then array 1 */
    unsigned sets;
    unsigned ways;
    unsigned small;
    unsigned slots;
    unsigned kept;
    uint8_t pid[VMMU_BOOKE_PIDS];
    struct vmmu_booke_state state;
    unsigned writes;
    unsigned asked;   /* for memory */
    unsigned refused; /* violated() was called */
    unsigned wrong;
    bool owns_nothing;
    _Alignas(8) uint8_t memory[32 * 1024];
};

/* States: supervisor and problem in address space 0; fetches from address space 1, data in 0, as early Linux runs. */
extern const struct vmmu_booke_state supervisor;
extern const struct vmmu_booke_state problem;
extern const struct vmmu_booke_state split;

/* A processor as @config says, an e500v2 by real_cpu_start(); the last @kept entries of array 1 are its host's. */
void real_cpu_start_as(struct real_cpu *processor, const struct vmmu_booke_config *config, unsigned kept);
void real_cpu_start(struct real_cpu *processor);

/* A virtual MMU of an e500v2, or of @config, attached; without memory. */
void real_cpu_attach_as(struct real_cpu *processor, unsigned vp, const struct vmmu_booke_config *config);
struct virtual_mmu *real_cpu_attach(struct real_cpu *processor, unsigned vp);

/* Memory for @vp: it may be written and executed. */
void real_cpu_memory(struct real_cpu *processor, unsigned vp, uint64_t gpa, uint64_t hpa,
                     uint64_t size_bytes);

/* Load the PIDs for @vp in @state. */
void real_cpu_enter(struct real_cpu *processor, unsigned vp, struct vmmu_booke_state state);

/* The entry that answers an access under the PIDs that are loaded, whatever its rights; NULL if none does. */
const struct vmmu_booke_mas *real_cpu_find(const struct real_cpu *processor, uint32_t ea, bool fetch);

/* How many entries are valid. */
unsigned real_cpu_valid(const struct real_cpu *processor);

/* One fill, for an instruction at 0. */
enum vmmu_booke_fill real_cpu_fill(struct real_cpu *processor, unsigned vp, enum vmmu_booke_kind kind,
                                   uint32_t ea);

/* How @vp's access in the state that was entered ends. Fills at most once. */
#define FAULTS  UINT64_C(0x400000000000)
#define DEVICE  UINT64_C(0x500000000000)
#define CLASHES UINT64_C(0x600000000000)
#define DENIED  UINT64_C(0x700000000000)
#define STUCK   UINT64_C(0x800000000000)
uint64_t real_cpu_access(struct real_cpu *processor, unsigned vp, enum vmmu_booke_kind kind, uint32_t ea);

/*
 * An instruction at @at that needs its own page and those of two addresses at one time: the number of fills until it has all of
 * them; 0 where one of them ends in anything else than memory; -1 if 20 fills are not enough.
 */
int real_cpu_instruction(struct real_cpu *processor, unsigned vp, uint32_t at, uint32_t first,
                         uint32_t second);

#endif
