/*
 * The loop, its list and its tables lie in memory of their own, at the same linear as physical address, in the second slot of
 * the subject's root table: below the width of the emulated processor's physical addresses.
 */
#include "emulated.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unicorn/unicorn.h>

#define OWN        (UINT64_C(1) << 39)
#define ROOT_SLOT  1
#define LIST       (OWN + (UINT64_C(1) << 30)) /* the second table of 2 MiB pages is all the list's */
#define LIST_MOST  (UINT64_C(1) << 30)
#define PAGE       UINT64_C(4096)
#define LARGE_PAGE (UINT64_C(1) << 21)

#define LINK       UINT64_C(0x63) /* present, writable, accessed and dirty */
#define LARGE      UINT64_C(0x80)

/* Pages of the engine's own. */
enum { OWN_L3, OWN_L2, OWN_LIST_L2, OWN_L1, OWN_CODE, OWN_PAGES };

#define EFER_IN_64_BIT UINT64_C(0x500) /* LME and LMA: as the engine begins */
#define EFER_NXE       UINT64_C(0x800)

/* Regions of linear addresses closer than this are one to the engine. */
#define REGION_GAP     (UINT64_C(1) << 30)

struct emulated {
    uc_engine *engine;
    size_t count;
    uint64_t *list;
    uint64_t (*own)[512]; /* OWN_PAGES of them */
};

static void expect(uc_err error)
{
    if (error != UC_ERR_OK) {
        refuse(uc_strerror(error));
    }
}

static void set(uc_engine *engine, int name, uint64_t value)
{
    expect(uc_reg_write(engine, name, &value));
}

/* mov cr4, rsi; mov cr3, rbx; mov cr0, rbp; and at LOOP: lodsq; mov al, [rax]; dec rcx; jnz back. */
static const uint8_t start_code[] = { 0x0f, 0x22, 0xe6, 0x0f, 0x22, 0xdb, 0x0f, 0x22, 0xc5 };
static const uint8_t loop_code[] = { 0x48, 0xad, 0x8a, 0x00, 0x48, 0xff, 0xc9, 0x75, 0xf7 };

#define START (OWN + OWN_CODE * PAGE)
#define LOOP  (START + 0x100)

static void make_tables(struct emulated *emulated, const struct subject *subject)
{
    uint64_t *root = (uint64_t *)(subject->memory + (subject->cr3 & ~(PAGE - 1)));

    if (root[ROOT_SLOT] != 0) {
        refuse("the second slot of the root table is in use");
    }
    root[ROOT_SLOT] = (OWN + OWN_L3 * PAGE) | LINK;
    emulated->own[OWN_L3][0] = (OWN + OWN_L2 * PAGE) | LINK;
    emulated->own[OWN_L3][1] = (OWN + OWN_LIST_L2 * PAGE) | LINK;
    emulated->own[OWN_L2][0] = (OWN + OWN_L1 * PAGE) | LINK;
    for (uint64_t i = 0; i < OWN_PAGES; i++) {
        emulated->own[OWN_L1][i] = (OWN + i * PAGE) | LINK;
    }
    for (uint64_t i = 0; i < 512; i++) {
        emulated->own[OWN_LIST_L2][i] = (LIST + i * LARGE_PAGE) | LINK | LARGE;
    }
    memcpy(emulated->own[OWN_CODE], start_code, sizeof(start_code));
    memcpy((uint8_t *)emulated->own[OWN_CODE] + (LOOP - START), loop_code, sizeof(loop_code));
}

/*
 * No model of a processor that the engine has offers NX, so that WRMSR leaves EFER.NXE alone; but its walk knows the bit. It
 * is set in a saved state, where EFER is the one word that holds LME and LMA and nothing else.
 */
static void enable_nx(uc_engine *engine)
{
    const size_t bytes = uc_context_size(engine);
    uc_context *context;
    unsigned found = 0;

    expect(uc_context_alloc(engine, &context));
    expect(uc_context_save(engine, context));
    for (size_t at = 0; at + sizeof(uint64_t) <= bytes; at += sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, (char *)context + at, sizeof(word));
        if (word == EFER_IN_64_BIT) {
            word |= EFER_NXE;
            memcpy((char *)context + at, &word, sizeof(word));
            found++;
        }
    }
    if (found != 1) {
        refuse("EFER is not where it was in libunicorn's state");
    }
    expect(uc_context_restore(engine, context));
    uc_context_free(context);
}

static int compare(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

/* Memory at linear addresses [first, last], which the engine wants to know of before it walks. */
static void add_region(uc_engine *engine, uint64_t first, uint64_t last)
{
    const uint64_t base = first & ~(PAGE - 1);
    const uint64_t bytes = (last | (PAGE - 1)) - base + 1;
    void *memory = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED) {
        refuse("no address space for the engine's regions");
    }
    expect(uc_mem_map_ptr(engine, base, bytes, UC_PROT_READ, memory));
}

static void add_regions(uc_engine *engine, const struct subject *subject)
{
    uint64_t *sorted = malloc(subject->count * sizeof(*sorted));
    uint64_t first;

    if (!sorted) {
        refuse("no memory");
    }
    memcpy(sorted, subject->addresses, subject->count * sizeof(*sorted));
    qsort(sorted, subject->count, sizeof(*sorted), compare);
    first = sorted[0];
    for (size_t i = 1; i <= subject->count; i++) {
        if (i == subject->count || sorted[i] - sorted[i - 1] > REGION_GAP) {
            add_region(engine, first, sorted[i - 1]);
            first = i < subject->count ? sorted[i] : 0;
        }
    }
    free(sorted);
}

static void turn_paging_on(uc_engine *engine, const struct subject *subject)
{
    set(engine, UC_X86_REG_RSI,
        subject->cr4 & 0xb0); /* PSE, PAE, PGE: the processor modelled may have no more */
    set(engine, UC_X86_REG_RBX, subject->cr3);
    set(engine, UC_X86_REG_RBP, subject->cr0);
    expect(uc_emu_start(engine, START, START + sizeof(start_code), 0, 0));
}

/* Zeroed pages for @bytes. */
static void *take_pages(uint64_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED) {
        refuse("no memory");
    }
    return pages;
}

struct emulated *emulated_open(const struct subject *subject)
{
    const uint64_t list_bytes = (subject->count * sizeof(uint64_t) + PAGE - 1) & ~(PAGE - 1);
    struct emulated *emulated = take_pages(sizeof(*emulated));

    if (list_bytes > LIST_MOST) {
        refuse("too many addresses");
    }
    emulated->own = take_pages(OWN_PAGES * PAGE);
    emulated->list = take_pages(list_bytes);
    emulated->count = subject->count;
    memcpy(emulated->list, subject->addresses, subject->count * sizeof(uint64_t));
    make_tables(emulated, subject);
    expect(uc_open(UC_ARCH_X86, UC_MODE_64, &emulated->engine));
    expect(uc_ctl_set_cpu_model(emulated->engine, UC_CPU_X86_ICELAKE_SERVER));
    expect(uc_mem_map_ptr(emulated->engine, 0, subject->memory_bytes, UC_PROT_ALL, subject->memory));
    expect(uc_mem_map_ptr(emulated->engine, OWN, OWN_PAGES * PAGE, UC_PROT_ALL, emulated->own));
    expect(uc_mem_map_ptr(emulated->engine, LIST, list_bytes, UC_PROT_READ, emulated->list));
    add_regions(emulated->engine, subject);
    enable_nx(emulated->engine);
    turn_paging_on(emulated->engine, subject);
    return emulated;
}

void emulated_run(struct emulated *emulated)
{
    uint64_t left = 0;

    set(emulated->engine, UC_X86_REG_RSI, LIST);
    set(emulated->engine, UC_X86_REG_RCX, emulated->count);
    expect(uc_emu_start(emulated->engine, LOOP, LOOP + sizeof(loop_code), 0, 0));
    expect(uc_reg_read(emulated->engine, UC_X86_REG_RCX, &left));
    if (left != 0) {
        refuse("the emulated loop did not come to its end");
    }
}

void emulated_close(struct emulated *emulated)
{
    const uint64_t list_bytes = (emulated->count * sizeof(uint64_t) + PAGE - 1) & ~(PAGE - 1);

    uc_close(emulated->engine);
    munmap(emulated->list, list_bytes);
    munmap(emulated->own, OWN_PAGES * PAGE);
    munmap(emulated, sizeof(*emulated));
}
