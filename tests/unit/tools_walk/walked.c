#include "walked.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"
#include "tools/walk/access.h"

struct machine machine_on(struct world *world, const struct vmmu_x86_paging_registers *registers)
{
    return (struct machine){
        .cpu = full_cpu,
        .registers = *registers,
        .mode = mode_of(registers),
        .pat = UINT64_C(0x0007040600070406),
        .ram = &world->ram,
    };
}

struct machine machine_with(struct world *world, enum vmmu_x86_paging paging)
{
    const struct vmmu_x86_paging_registers registers = registers_for(paging);

    world_init(world);
    return machine_on(world, &registers);
}

void walk_in_words(const struct machine *machine, uint64_t va, const char *access, struct walk_model *model)
{
    struct vmmu_x86_access parsed;

    EXPECT(access_parse(access, &parsed));
    walk_make(machine, va, parsed, model);
}

const struct walk_cause *only_cause(const struct walk_model *model)
{
    EXPECT_EQ(model->cause_count, 1);
    return &model->causes[0];
}

void expect_part(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fprintf(stderr, "%s\n", text);
        fail_msg("'%s' is not in the text above", part);
    }
}

void expect_sentence(const struct walk_model *model, unsigned index, const char *part)
{
    char text[WALK_SENTENCE_BYTES];

    EXPECT(index < model->cause_count);
    expect_part(walk_cause_text(model, &model->causes[index], text), part);
}

char *printed(void (*print)(const void *what), const void *what)
{
    FILE *const terminal = stdout;
    char *text = NULL;
    size_t length = 0;
    FILE *const memory = open_memstream(&text, &length);

    EXPECT(memory != NULL);
    stdout = memory;
    print(what);
    stdout = terminal;
    fclose(memory);
    return text;
}
