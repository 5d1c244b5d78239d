#include "stage.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/test.h"

#define PAT_AT_RESET UINT64_C(0x0007040600070406)

struct stage *stage_new(enum vmmu_x86_paging paging)
{
    struct stage *stage = calloc(1, sizeof(*stage));

    assert_non_null(stage);
    stage->room = room_new();
    stage->range = (struct image_range){ .base = 0,
                                         .size_bytes = sizeof(stage->room->words),
                                         .mapped = (const uint8_t *)stage->room->words };
    stage->processor =
        (struct image_processor){ .has_paging = true, .paging = registers_for(paging), .pat = PAT_AT_RESET };
    stage->opened.memory = (struct image_memory){ .ranges = &stage->range, .count = 1 };
    stage->image = (struct image){ .path = "by hand",
                                   .source = &image_source_raw,
                                   .private_data = &stage->opened,
                                   .ram = stage->room->ram,
                                   .ranges = &stage->range,
                                   .range_count = 1,
                                   .processors = &stage->processor,
                                   .processor_count = 1 };
    stage->machine = (struct machine){ .image = &stage->image,
                                       .processor = &stage->processor,
                                       .cpu = full_cpu,
                                       .registers = stage->processor.paging,
                                       .mode = mode_of(&stage->processor.paging),
                                       .pat = PAT_AT_RESET,
                                       .pat_known = true,
                                       .ram = &stage->room->ram,
                                       .ranges = &stage->range,
                                       .range_count = 1 };
    return stage;
}

void stage_free(struct stage *stage)
{
    free(stage->room);
    free(stage);
}

struct space stage_space(struct stage *stage)
{
    return space_of(&stage->machine, &stage->memory);
}

void stage_chain(struct stage *stage, unsigned index)
{
    for (unsigned table = 1; table < 4; table++) {
        room_put(stage->room, table * UINT64_C(0x1000), index, 8,
                 (table + 1) * UINT64_C(0x1000) | E_ALL | E_A);
    }
}

static FILE *captured;
static int console = -1;
static char *text;

void capture_begin(void)
{
    fflush(stdout);
    captured = tmpfile();
    assert_non_null(captured);
    console = dup(STDOUT_FILENO);
    assert_true(console >= 0 && dup2(fileno(captured), STDOUT_FILENO) >= 0);
}

const char *capture_end(void)
{
    fflush(stdout);
    assert_true(dup2(console, STDOUT_FILENO) >= 0);
    close(console);
    const long letters = ftell(captured) < 0 ? 0 : (fseek(captured, 0, SEEK_END), ftell(captured));

    rewind(captured);
    free(text);
    text = calloc((size_t)letters + 1, 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)letters, captured), letters);
    fclose(captured);
    return text;
}

/* What was captured last is the suite's, not a leak. */
__attribute__((destructor)) static void forget(void)
{
    free(text);
}
