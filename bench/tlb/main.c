/*
 * How fast the software TLB looks up, configured as a processor: 64 entries of four ways before 512 of eight.
 *
 * Prints a line for each pattern: its name, nanoseconds for each operation (the best of several rounds),
 * and the share of lookups that hit in the first and in the second array. A pattern that does not hit where
 * it says is an error.
 */
#include <vmmu/tlb.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS     200
#define OPERATIONS 16384
#define QUERIES    1024 /* a round goes through them again and again */

#define SHIFT_4K   12
#define SHIFT_2M   21
#define SHIFT_1G   30

static const struct vmmu_tlb_config processor = {
    .arrays = 2,
    .array = {
        { .sets = 16, .ways = 4, .kinds = VMMU_TLB_KINDS, .translations = true,
          .page_shifts = BIT64(SHIFT_4K) | BIT64(SHIFT_2M) | BIT64(SHIFT_1G) },
        { .sets = 64, .ways = 8, .kinds = VMMU_TLB_KINDS, .translations = true,
          .page_shifts = BIT64(SHIFT_4K) | BIT64(SHIFT_2M) | BIT64(SHIFT_1G) },
    },
};

static struct vmmu_tlb tlb;
static struct vmmu_tlb_entry entries[QUERIES];
static struct vmmu_tlb_query queries[QUERIES];

static double now_seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void refuse(const char *what)
{
    fprintf(stderr, "bench/tlb: %s\n", what);
    exit(1);
}

static void start(void)
{
    static uint64_t memory[1 << 16];

    if (vmmu_tlb_init(&tlb, &processor, memory, sizeof(memory)) != VMMU_OK) {
        refuse("the configuration was refused");
    }
}

static struct vmmu_tlb_entry page(uint64_t number, uint8_t shift)
{
    return (struct vmmu_tlb_entry){
        .base = number << shift, .frame = number << shift, .page_shift = shift, .kind = VMMU_TLB_LINEAR
    };
}

/* Remember the first @count entries. */
static void insert(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (vmmu_tlb_insert(&tlb, &entries[i]) != VMMU_OK) {
            refuse("an entry was refused");
        }
    }
}

/* Ask for the first @count entries, in turn or in an order without order. */
static void ask(unsigned count, bool in_turn)
{
    uint32_t random = 1;

    for (unsigned i = 0; i < QUERIES; i++) {
        random = random * 1664525 + 1013904223;

        const struct vmmu_tlb_entry *const entry = &entries[(in_turn ? i : random >> 16) % count];

        queries[i] = (struct vmmu_tlb_query){ entry->base + random % 4096, entry->tag, entry->kind, 0 };
    }
}

static void first_level(void)
{
    for (unsigned i = 0; i < 64; i++) {
        entries[i] = page(0x7f000 + i, SHIFT_4K);
    }
    insert(64);
    ask(64, false);
}

/*
 * Each lookup finds what the first level has just lost: 512 pages in turn, eight for each of its sets'
 * ways.
 */
static void second_level(void)
{
    for (unsigned i = 0; i < 512; i++) {
        entries[i] = page(0x7f000 + i, SHIFT_4K);
    }
    insert(512);
    ask(512, true);
}

/* 16 regions of each size under four tags, a quarter global: they fill the first level exactly. */
static void sizes_and_tags(void)
{
    static const uint8_t shifts[4] = { SHIFT_4K, SHIFT_2M, SHIFT_1G, SHIFT_4K };

    for (unsigned i = 0; i < 64; i++) {
        entries[i] = page(i, shifts[i / 16]);
        entries[i].tag =
            (struct vmmu_tlb_tag){ UINT64_C(0x1000) * (i % 2), (uint16_t)(i / 16), (uint16_t)(i % 3) };
        entries[i].kind = i % 2 != 0 ? VMMU_TLB_COMBINED : VMMU_TLB_LINEAR;
        entries[i].global = i % 4 == 3;
    }
    insert(64);
    ask(64, false);
}

/* Both levels full of three sizes; asked for under a tag that nothing has. */
static void misses(void)
{
    for (unsigned i = 0; i < 600; i++) {
        entries[i] = page(i, i % 8 == 0 ? SHIFT_2M : i % 64 == 1 ? SHIFT_1G : SHIFT_4K);
    }
    insert(600);
    for (unsigned i = 0; i < 600; i++) {
        entries[i].tag.space = 9;
    }
    ask(600, false);
}

static void look_up(void)
{
    uint64_t found = 0;

    for (unsigned i = 0; i < OPERATIONS; i++) {
        const struct vmmu_tlb_entry *const entry = vmmu_tlb_lookup(&tlb, &queries[i % QUERIES]);

        found += entry != NULL ? entry->frame : 0;
    }
    /* What was found must be used, or it need not be found. */
    if (found == 1) {
        puts("");
    }
}

/* A page at a time, 1024 in turn: each one evicts from both levels. */
static void insert_in_turn(void)
{
    for (unsigned i = 0; i < OPERATIONS; i++) {
        vmmu_tlb_insert(&tlb, &entries[i % QUERIES]);
    }
}

static void many_pages(void)
{
    for (unsigned i = 0; i < QUERIES; i++) {
        entries[i] = page(i, SHIFT_4K);
    }
    insert(QUERIES);
}

/*
 * One address under one tag, and the page remembered again, as a processor does at INVLPG and the next
 * access.
 */
static void invalidate_and_insert(void)
{
    struct vmmu_tlb_scopes scopes = {
        1,
        { { .kinds = VMMU_TLB_LINEAR,
            .translations = true,
            .by = VMMU_TLB_BY_SPACE | VMMU_TLB_BY_CONTEXT,
            .by_range = true,
            .globals = VMMU_TLB_GLOBALS_ALWAYS } },
    };

    for (unsigned i = 0; i < OPERATIONS; i++) {
        const struct vmmu_tlb_entry *const entry = &entries[i % 64];

        scopes.scope[0].first = entry->base;
        scopes.scope[0].last = entry->base;
        vmmu_tlb_invalidate(&tlb, &scopes);
        vmmu_tlb_insert(&tlb, entry);
    }
}

static const struct pattern {
    const char *name;
    void (*prepare)(void);
    void (*run)(void);
    double first, second; /* shares of lookups that must hit there */
} patterns[] = {
    { "first-level-hits", first_level, look_up, 1, 0 },
    { "second-level-hits", second_level, look_up, 0, 1 },
    { "sizes-and-tags", sizes_and_tags, look_up, 1, 0 },
    { "misses", misses, look_up, 0, 0 },
    { "inserts", many_pages, insert_in_turn, 0, 0 },
    { "invalidate-and-insert", first_level, invalidate_and_insert, 0, 0 },
};

static void measure(const struct pattern *pattern)
{
    double best = 1e9;

    start();
    pattern->prepare();
    pattern->run();
    tlb.statistics = (struct vmmu_tlb_statistics){ 0 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        const double began = now_seconds();

        pattern->run();

        const double seconds = now_seconds() - began;

        best = seconds < best ? seconds : best;
    }

    const double lookups = tlb.statistics.lookups != 0 ? (double)tlb.statistics.lookups : 1;
    const double first = (double)tlb.statistics.hits[0] / lookups;
    const double second = (double)tlb.statistics.hits[1] / lookups;

    if (first != pattern->first || second != pattern->second) {
        refuse(pattern->name);
    }
    printf("%s %.2f %.3f %.3f\n", pattern->name, best * 1e9 / OPERATIONS, first, second);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        measure(&patterns[i]);
    }
    return 0;
}
