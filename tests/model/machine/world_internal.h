/*
 * The parts of a world, for the files that make it up.
 *
 *   world.c          creation, steps, findings
 *   world_access.c   accesses of guests: attempts, exits, judgement
 *   world_control.c  guest instructions that change paging
 *   world_host.c     the host's operations on guest memory
 *   world_marks.c    accessed and dirty pages, harvests and the dirty log
 *   world_call.c     hypercalls of guests: input, goes, what each promises
 *   world_flush.c    plans: now, later, before a virtual processor enters
 *   world_tags.c     who runs where, under which tag
 *   world_tables.c   memory of the engine's tables, and what happens between two stores to them
 *   world_walker.c   the library's own walker beside the processors
 */
#ifndef TESTS_MODEL_MACHINE_WORLD_INTERNAL_H
#define TESTS_MODEL_MACHINE_WORLD_INTERNAL_H

#include "tests/model/machine/host_map.h"
#include "tests/model/machine/world.h"
#include <vmmu/hyperv.h>

#define NOBODY          UINT8_MAX
#define RECENT_ACCESSES 16U
#define LATER_PLANS     4U
#define LOOSENED_RANGES 16U
#define TAG_LIMIT       256U
#define SPACES_MOST     4U
#define LIST_MOST       440U

/* One access of a guest. */
struct guest_access {
    uint8_t vp;
    uint8_t width_bytes;
    uint64_t address;
    struct vmmu_x86_access access;
    uint64_t value; /* of a write */
    bool turns;     /* a write between two stores: of what stands there but for its lowest bit */
};

/* The ranges that a guest has put together for a flush, as its input has them. */
struct world_list {
    uint16_t count;
    uint64_t range[LIST_MOST];
};

/* What a flush hypercall has still to make a processor forget. */
struct linear_flush {
    struct vmmu_plan plan; /* of linear addresses */
    bool keep_global;
};

struct world_vp {
    uint8_t processor; /* where it runs */
    uint8_t last;      /* where it ran last; NOBODY: nowhere yet */
    bool outside;      /* in an exit that the host deals with, or waiting for the host's lock */
    uint8_t recent_count;
    uint8_t recent_next;
    struct guest_access recent[RECENT_ACCESSES];
    bool by_space; /* not shadowed: it has switched by hypercall, and keeps a tag for each address space */
    struct world_list list;
};

/* A tag that a virtual processor has on one processor; and for which of its roots, if each has a tag of its own. */
struct space_tag {
    uint8_t tag;   /* 0: none */
    uint64_t root; /* 0: whichever it is loaded with */
    uint32_t used; /* when it was last entered */
};

struct world_processor {
    struct processor *machine;
    uint8_t loaded; /* the virtual processor that runs here; NOBODY: none */
    uint8_t next_tag;
    uint32_t turn;                                   /* of the latest entry */
    struct space_tag spaces[MODEL_VPS][SPACES_MOST]; /* by virtual processor */
    uint8_t tag[MODEL_VPS];                          /* the one in use; 0: it has none here */
    uint8_t owner[TAG_LIMIT];                        /* by tag */
    bool soiled[TAG_LIMIT];                          /* by tag: somebody used it since it was last flushed */
    struct vmmu_plan pending[MODEL_VPS];             /* to be flushed before the virtual processor enters */
    struct linear_flush owed[MODEL_VPS];             /* the same of hypercalls */
};

/* A range in which more may be used than the map says, until everything is flushed. */
struct loosened {
    uint64_t from;
    uint64_t to;
    bool frames;     /* some may have become free */
    bool marks_lost; /* with the entries that they stood in */
};

/* What was used of each page, since it was last told or forgotten. */
struct world_marks {
    bool telling;   /* a harvest or a collection is under way */
    uint8_t of_log; /* MARK_LOGGED while the dirty log runs */
    uint8_t page[HOST_PAGES];
    uint8_t told[HOST_PAGES];
    uint8_t bitmap[GUEST_LIMIT / VMMU_PAGE_BYTES / 8];
};

struct world {
    struct setting setting;
    uint32_t checks;
    struct finding finding;
    struct world_counters counters;
    struct luck luck; /* of the operation under way */
    enum op_kind doing;

    struct vmmu_x86_cpu cpu;
    struct vmmu_hyperv_partition hyperv;
    struct memory *memory;
    struct reference *reference;
    const struct engine_class *class;
    struct engine *engine;
    struct world_vp vps[MODEL_VPS];
    struct world_processor processors[MODEL_PROCESSORS];

    /* Table memory. */
    struct vmmu_host host;
    struct vmmu_table_memory tables;
    struct vmmu_table_retired *quarantine;
    uint32_t free_count;
    uint64_t free_pages[HOST_TABLE_PAGES];
    uint32_t given_pages; /* to the engine */
    uint32_t stores;      /* of the operation under way */
    bool acting;          /* processors are doing something between two stores */
    bool emulating;       /* the host wrote in a guest's name, and has not done what goes with it */
    bool provoking;       /* the host asks for what the engine must refuse */

    /* Flushing. */
    bool precisely;   /* exactly what plans name, else by the processor's instructions */
    bool generations; /* tags are dealt until there are no more, then all are flushed */
    bool may_put_off; /* the operation under way does not rely on its flush */
    uint8_t later_count;
    struct vmmu_plan later[LATER_PLANS];
    uint8_t loosened_count;
    struct loosened loosened[LOOSENED_RANGES];

    enum vmmu_nested_log log;
    struct host_map map;
    struct world_marks marks;
};

/* Whether processors walk tables of the technique alone, so that what the hardware finds is not yet what the guest sees. */
static inline bool is_shadowed(const struct world *world)
{
    return world->class->page_fault != NULL;
}

static inline bool is_checked(const struct world *world, enum check check)
{
    return (world->checks >> check) & 1;
}

/* --- world_access.c --- */

bool world_step_access(struct world *world, const struct op *op);
bool world_step_speculate(struct world *world, const struct op *op);

/*
 * Let the VP try it once, and judge how it ends. False if the second stage refused: *result says how, and nothing
 * was judged.
 */
bool world_attempt(struct world *world, const struct guest_access *access, struct processor_result *result);

/* What the second stage took the refused access for: tables may count as written. */
enum vmmu_x86_access_kind world_kind(const struct world *world, const struct vmmu_x86_stage2_fault *fault);

/* What the VP's processor is loaded with. */
struct guest_state world_state(struct world *world, uint8_t vp);

/* The witness of every processor. */
void world_marked(void *context, uint64_t hpa, unsigned width_bytes, uint64_t value);

/* What the access came to must be permitted, else it is a finding. @marked: by one that sets marks. */
void world_judge(struct world *world, const struct guest_access *access,
                 const struct reference_result *result, bool marked);

/* The same for a result of the library's walker, which the reference must find by itself. */
void world_judge_walker(struct world *world, const struct guest_access *access,
                        const struct reference_result *result);

/* The same for an exit: the address, of the page or of a table, must be one that the access may look for. */
void world_judge_exit(struct world *world, const struct guest_access *access,
                      const struct vmmu_x86_stage2_fault *fault);

/* --- world_walker.c --- */

/* Bytes of the page that tables in the machine's own memory map at @address now; 4 KiB if they map none. */
uint64_t world_hardware_page_bytes(struct world *world, const struct vmmu_x86_mode *mode, uint64_t address);

/* The last entry of the guest's tables that a walk for @address comes to now; UINT64_MAX if there is none. */
uint64_t world_last_entry(struct world *world, uint8_t vp, uint64_t address);

/*
 * Walk by the library before an access: its result must be permitted, and agree with the host's map. False if there is
 * none: the second stage refuses, or there is no second stage.
 */
bool world_walk(struct world *world, const struct guest_access *access, struct reference_result *out);

/* The same of one page by the second stage alone, between two stores: it is as it was, or as it shall be. */
void world_probe(struct world *world);

/* --- world_control.c --- */

bool world_step_control(struct world *world, const struct op *op);

/* Whether the host maps the memory that OP_CR0, OP_CR3, OP_CR4 or OP_SWITCH loads PDPTEs from, if it does. */
bool world_can_load_pdptes(const struct world *world, const struct op *op);

/* The VP, which is in its guest, comes to an INVLPG while others are at work: done, or it waits for the host's lock. */
void world_invlpg_between(struct world *world, uint8_t vp, uint64_t address);

/* --- world_call.c --- */

/* Set up what hypercalls need. False if the library refuses. */
bool world_start_calls(struct world *world);
bool world_step_element(struct world *world, const struct op *op);
bool world_step_flush(struct world *world, const struct op *op);
bool world_step_switch(struct world *world, const struct op *op);

/* --- world_host.c --- */

bool world_step_host(struct world *world, const struct op *op);

/* Map all memory for the first time, as far as tables suffice. */
void world_map_first(struct world *world);

/* [address, address + value) of an operation in whole pages below the end of memory. False if that is nothing. */
bool world_range(const struct op *op, uint64_t *from, uint64_t *to);

/* The range was changed: close it now if nothing is left to flush, else when everything is. */
void world_loosened(struct world *world, const struct loosened *range);

/* Only what the map says may be used in the range; frames that nothing maps are somebody else's. */
void world_close_range(struct world *world, const struct loosened *range);

/* Compare what the engine says of some pages with the map, and its accounts with ours. */
void world_check_tables(struct world *world, uint64_t from, uint64_t to);

/* --- world_marks.c --- */

#define MARK_ACCESSED   UINT8_C(1)
#define MARK_DIRTY      UINT8_C(2)
#define MARK_LOGGED     UINT8_C(4)
#define MARKS           UINT8_C(7)
/* The same, made while a harvest or a collection was under way. */
#define MARK_LATE_SHIFT 3
#define MARK_CONTENT    UINT8_C(0x80) /* the page was written, ever: there is something to copy */

void world_used(void *context, uint64_t gpa, bool written);
void world_has_content(struct world *world, uint64_t gpa);
/* Take @marks from the pages in [from, to). */
void world_marks_forget(struct world *world, uint64_t from, uint64_t to, uint8_t marks);
bool world_step_log_start(struct world *world, const struct op *op);
bool world_step_log_collect(struct world *world, const struct op *op);
bool world_step_log_stop(struct world *world, const struct op *op);
bool world_step_harvest(struct world *world, const struct op *op);

/* --- world_flush.c --- */

/* Apply what was put off, and close what it left loose. */
void world_settle(struct world *world);

/* Do what the plans ask that were kept for the VP on its processor; it is about to enter. */
void world_flush_pending(struct world *world, uint8_t vp);

/* What a flush hypercall's plan asks of the virtual processor, which is not in guest mode, is due on every processor. */
void world_owe(struct world *world, uint8_t vp, const struct linear_flush *flush);

/* --- world_tags.c --- */

/*
 * The virtual processor, in an exit, goes to another address space without a flush; or does what would flush the translations of
 * all spaces, of which the processor knows the present one only.
 */
void world_keep_spaces(struct world *world, uint8_t vp);
void world_merge_spaces(struct world *world, uint8_t vp);

/* Have the VP run on its processor now, whoever ran there before. */
void world_enter(struct world *world, uint8_t vp);

/* The processor leaves the VP's guest, to the host; and goes back. */
void world_exit(struct world *world, uint8_t vp);
void world_resume(struct world *world, uint8_t vp);

bool world_step_migrate(struct world *world, const struct op *op);

/* Where the VP is, as the TLB of its processor sees it. */
struct vmmu_x86_tags world_tags(const struct world *world, uint8_t vp);

/* The same under another tag of its. */
struct vmmu_x86_tags world_tags_of(const struct world *world, uint8_t tag);

struct world_processor *world_processor(struct world *world, uint8_t vp);

/* --- world_tables.c --- */

/* False if there is no memory left. */
bool world_tables_start(struct world *world);
void world_tables_finish(struct world *world);

#endif
