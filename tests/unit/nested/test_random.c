/*
 * Random operations against the flat model, with a processor that marks entries between any two stores and
 * caches for as long as it may, flushes that come late and out of order, and memory that fails.
 *
 * VMMU_SEED=N repeats a run; VMMU_ROUNDS=N makes it longer.
 */
#include "tests/unit/nested/kinds.h"
#include "tests/unit/nested/model.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 500U

static struct model model;

/* The range that an operation is given: from one cut to a later one. */
struct stretch_range {
    unsigned first;
    unsigned end;
};

static struct stretch_range random_range(void)
{
    unsigned first = model_random(&model, MODEL_STRETCHES);
    unsigned count = 1 + model_random(&model, model_random(&model, 3) == 0 ? 24 : 4);

    /* Often just a GiB, or what is around it. */
    if (model_random(&model, 4) == 0) {
        first = 12 * model_random(&model, 3);
        count = 12;
    }
    return (struct stretch_range){ first, first + count < MODEL_STRETCHES ? first + count : MODEL_STRETCHES };
}

static vmmu_gpa start_of(struct stretch_range range)
{
    return (vmmu_gpa){ model.cuts[range.first] };
}

static uint64_t bytes_of(struct stretch_range range)
{
    return model.cuts[range.end] - model.cuts[range.first];
}

static uint8_t random_rights(void)
{
    static const uint8_t choices[] = { R, R | W, R | W | X, R | X, X };

    return choices[model_random(&model, model.space.nested.config.execute_only ? 5 : 4)];
}

/*
 * An offset between the two address spaces: aligned to a GiB, to 2 MiB, or (where that
 * makes few pages) to 4 KiB.
 */
static uint64_t random_offset(uint64_t size_bytes)
{
    static const uint64_t offsets[] = { 0, 0, 0, VMMU_1G_BYTES, VMMU_2M_BYTES, VMMU_PAGE_BYTES };

    return VMMU_1G_BYTES + offsets[model_random(&model, size_bytes <= 8 * VMMU_2M_BYTES ? 6 : 5)];
}

/* --- the operations --- */

/* Run what @call says until it is done, with memory that fails now and then; the model judges each turn. */
#define RUN(call)                                                                                            \
    do {                                                                                                     \
        bool run_again_ = true;                                                                              \
        for (unsigned run_turn_ = 0; run_again_; run_turn_++) {                                              \
            EXPECT(run_turn_ < 8);                                                                           \
            model.space.host.takes_left =                                                                    \
                model_random(&model, 6) == 0 ? (int64_t)model_random(&model, 3) : -1;                        \
            run_again_ = model_conclude(&model, (call));                                                     \
        }                                                                                                    \
        model.space.host.takes_left = -1;                                                                    \
    } while (0)

/* What was written of a stretch is nobody's business any more. */
static void forget(unsigned stretch)
{
    model.written[(size_t)stretch * 2] = false;
    model.written[(size_t)stretch * 2 + 1] = false;
}

/* Where now and next differ in the frame, a write of now is nobody's business next. */
static void forget_other_frames(struct stretch_range range)
{
    for (unsigned probe = 2 * range.first; probe < 2 * range.end; probe++) {
        if (model.now[probe / 2].hpa != model.next[probe / 2].hpa) {
            model.written[probe] = false;
        }
    }
}

static void run_map(void)
{
    struct model_meaning before[MODEL_STRETCHES];
    const struct stretch_range range = random_range();
    struct vmmu_nested_mapping mapping =
        space_mapping(start_of(range).v, 0, bytes_of(range), random_rights());

    mapping.hpa.v = start_of(range).v + random_offset(bytes_of(range));
    mapping.type = model_random(&model, 4) == 0 ? VMMU_X86_TYPE_WP : VMMU_X86_TYPE_WB;
    mapping.ignore_pat = model.space.nested.config.format == VMMU_NESTED_EPT && model_random(&model, 5) == 0;
    for (unsigned i = range.first; i < range.end; i++) {
        model.next[i] = (struct model_meaning){
            .present = true,
            .hpa = mapping.hpa.v + (model.cuts[i] - mapping.gpa.v),
            .rights = mapping.rights,
            .type = mapping.type,
            .ignore_pat = mapping.ignore_pat,
        };
    }
    forget_other_frames(range);
    memcpy(&before, &model.now, sizeof before);
    RUN(vmmu_nested_map(&model.space.nested, &mapping));
    /* Nor does a write to the old frame count that came before the store. */
    memcpy(&model.next, &before, sizeof before);
    forget_other_frames(range);
}

static void run_unmap(void)
{
    const struct stretch_range range = random_range();

    for (unsigned i = range.first; i < range.end; i++) {
        model.next[i].present = false;
        forget(i);
    }
    RUN(vmmu_nested_unmap(&model.space.nested, start_of(range), bytes_of(range)));
    for (unsigned i = range.first; i < range.end; i++) {
        forget(i);
    }
}

static void run_protect(void)
{
    const struct stretch_range range = random_range();
    const uint8_t rights = random_rights();

    for (unsigned i = range.first; i < range.end; i++) {
        model.next[i].rights = rights;
    }
    RUN(vmmu_nested_protect(&model.space.nested, start_of(range), bytes_of(range), rights));
}

static void run_split(void)
{
    const struct stretch_range range = random_range();
    const uint8_t level = bytes_of(range) <= 4 * VMMU_2M_BYTES && model_random(&model, 2) == 0
                              ? VMMU_NESTED_LEVEL_4K
                              : VMMU_NESTED_LEVEL_2M;

    RUN(vmmu_nested_split(&model.space.nested, start_of(range), bytes_of(range), level));
}

static void run_merge(void)
{
    const struct stretch_range range = random_range();

    RUN(vmmu_nested_merge(&model.space.nested, start_of(range), bytes_of(range)));
}

static void ignore_mark(void *context, const struct vmmu_nested_mark *mark)
{
    (void)context;
    EXPECT(mark->accessed || mark->dirty);
}

static void run_harvest(void)
{
    const struct stretch_range range = random_range();
    const struct vmmu_nested_harvester harvester = {
        .clear_accessed = model_random(&model, 2) == 0,
        .clear_dirty = model.space.nested.log != VMMU_NESTED_LOG_DIRTY_BITS,
        .report = ignore_mark,
    };

    if (model.space.nested.config.accessed_dirty) {
        RUN(vmmu_nested_harvest(&model.space.nested, start_of(range), bytes_of(range), &harvester));
    }
}

static void run_log_switch(void)
{
    const bool runs = model.space.nested.log != VMMU_NESTED_LOG_OFF;
    const enum vmmu_nested_log log = model.space.nested.config.accessed_dirty && model_random(&model, 2) == 0
                                         ? VMMU_NESTED_LOG_DIRTY_BITS
                                         : VMMU_NESTED_LOG_WRITE_PROTECT;

    model.log_changes = true;
    if (runs) {
        RUN(vmmu_nested_log_stop(&model.space.nested));
        /* Nothing is withheld any more, and nobody remembers. */
        model.log_changes = false;
        memset(model.written, 0, sizeof model.written);
    } else {
        memset(model.written, 0, sizeof model.written);
        RUN(vmmu_nested_log_start(&model.space.nested, log));
        /* Writes count from the flush on. */
        model_flush_all(&model);
        memset(model.written, 0, sizeof model.written);
    }
    model.log_changes = false;
}

static void run_collect(void)
{
    static uint8_t bitmap[MODEL_BYTES / VMMU_PAGE_BYTES / 8];
    const struct stretch_range range = random_range();

    if (model.space.nested.log == VMMU_NESTED_LOG_OFF) {
        return;
    }
    memset(bitmap, 0, sizeof bitmap);
    RUN(vmmu_nested_log_collect(&model.space.nested, start_of(range), bytes_of(range), bitmap));
    for (unsigned probe = 2 * range.first; probe < 2 * range.end; probe++) {
        const uint64_t page = (model_probe(&model, probe) - start_of(range).v) / VMMU_PAGE_BYTES;

        if ((bitmap[page / 8] >> (page % 8)) & 1) {
            model.written[probe] = false;
        }
        /* What is not told now must still be in the tables, to be told next time. */
        if (model.written[probe]) {
            memset(bitmap, 0, sizeof bitmap);
            RUN(vmmu_nested_log_collect(&model.space.nested, start_of(range), bytes_of(range), bitmap));
            EXPECT((bitmap[page / 8] >> (page % 8)) & 1);
            for (unsigned i = range.first; i < range.end; i++) {
                forget(i);
            }
            return;
        }
    }
}

/* The guest writes; what faults is resolved as a hypervisor would. */
static void run_write(void)
{
    const unsigned probe = model_random(&model, MODEL_PROBES);
    const vmmu_gpa gpa = { model_probe(&model, probe) + 0x10 };
    const struct model_meaning *const meaning = &model.now[probe / 2];
    const bool whole_page = model_random(&model, 3) == 0;

    if (!model_touch(&model, probe, true)) {
        const enum vmmu_nested_cause cause = vmmu_nested_resolve(&model.space.nested, gpa, VMMU_X86_WRITE);

        if (!meaning->present || (meaning->rights & W) == 0) {
            EXPECT_EQ(cause, meaning->present ? VMMU_NESTED_DENIED : VMMU_NESTED_ABSENT);
            return;
        }
        EXPECT_EQ(cause, VMMU_NESTED_LOGGED);
        RUN(vmmu_nested_log_fault(&model.space.nested, gpa, whole_page));
        EXPECT(model_touch(&model, probe, true) ||
               vmmu_nested_resolve(&model.space.nested, gpa, VMMU_X86_WRITE) == VMMU_NESTED_LOGGED);
    }
}

static void (*const operations[])(void) = {
    run_map,   run_map,   run_map,        run_unmap,   run_protect, run_protect, run_split,
    run_merge, run_merge, run_log_switch, run_collect, run_write,   run_write,   run_harvest,
};

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *const text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static void test_random_operations_mean_what_the_flat_model_means_at_every_store(void **state)
{
    const uint64_t seed = number_from("VMMU_SEED", 20240229);
    const uint64_t rounds = number_from("VMMU_ROUNDS", ROUNDS);

    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (unsigned kind = 0; kind < SPACE_KINDS; kind++) {
        uint64_t merges;

        model_start(&model, kind, seed);
        for (uint64_t round = 0; round < rounds; round++) {
            model_prepare(&model);
            operations[model_random(&model, sizeof operations / sizeof operations[0])]();
        }
        model_flush_all(&model);
        EXPECT_EQ(model.space.memory.counters.quarantine_pages, 0);
        EXPECT(model.space.nested.counters.splits > 0 && model.space.nested.counters.retries > 0);
        merges = model.space.nested.counters.merges;
        EXPECT(merges > 0 || rounds < ROUNDS);
        model_finish(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations_mean_what_the_flat_model_means_at_every_store),
    };

    return RUN_TESTS(tests);
}
