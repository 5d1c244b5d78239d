/*
 * What vmmu walk makes of any tables: the model, its sentences, the text, the grid and the JSON.
 *
 * One input is a processor's paging registers, perhaps a second stage, memory for the tables of both, and some accesses. Where
 * an access is refused, the bits that are blamed are those that stand, or are missing, in the entry that they are blamed in.
 */
#include "input.h"
#include "memory.h"
#include "paging.h"
#include "tools/walk/names.h"
#include "tools/walk/render.h"

#define ACCESSES 3

/* EPT, NPT or nothing; false if the root cannot be. */
static bool draw_second(struct input *input, const struct vmmu_ram *ram, struct machine *machine)
{
    const unsigned kind = input_below(input, 4);
    const uint8_t flags = input_u8(input);
    const uint64_t root = memory_draw_page(input) ^ MEMORY_SECOND;
    const struct vmmu_x86_limits limits = { .physical_bits = (uint8_t)(52 - (flags >> 4)),
                                            .nx = !(flags & 1),
                                            .gib_pages = !(flags & 2),
                                            .execute_only = !(flags & 4) };

    machine->has_second = kind != 0;
    if (kind == 0) {
        return true;
    }
    if (kind == 1) {
        return vmmu_stage2_npt(VMMU_X86_FORMAT_4LEVEL, &limits, ram, (vmmu_hpa){ root }, &machine->second) ==
               VMMU_OK;
    }
    return vmmu_stage2_ept(root | (kind == 2 ? 0x1e : 0x66), &limits, ram, &machine->second) == VMMU_OK;
}

/* Bits that are blamed for being one are one, bits that are blamed for being zero are zero. */
static void check_bits(const struct walk_model *model, const struct walk_cause *cause)
{
    const struct walk_entry *entry = &model->entries[cause->entry];
    const uint64_t value = entry->step.value & cause->bits;
    const bool ept = entry->format >= VMMU_X86_FORMAT_EPT4;

    switch (cause->reason) {
    case WALK_NOT_PRESENT:
    case WALK_USER:
    case WALK_WRITE:
    case WALK_READ: FUZZ_CHECK(cause->bits != 0 && value == 0); break;
    case WALK_EXECUTE: FUZZ_CHECK(cause->bits != 0 && value == (ept ? 0 : cause->bits)); break;
    case WALK_RESERVED:
    case WALK_SMEP:
    case WALK_SMAP: FUZZ_CHECK(cause->bits != 0 && value == cause->bits); break;
    case WALK_KEY: FUZZ_CHECK(entry->leaf && cause->bits != 0); break;
    case WALK_MISCONFIGURED: FUZZ_CHECK(ept && cause->bits != 0); break;
    case WALK_ABSENT: break;
    case WALK_NOT_CANONICAL:
    case WALK_TOO_WIDE: FUZZ_CHECK(!"these are in no entry"); break;
    }
}

static void check_causes(const struct walk_model *model)
{
    FUZZ_CHECK((model->status == VMMU_OK) == (model->cause_count == 0));
    for (unsigned i = 0; i < model->cause_count; i++) {
        const struct walk_cause *cause = &model->causes[i];
        char text[WALK_SENTENCE_BYTES];

        FUZZ_CHECK(cause->entry < (int)model->entry_count);
        FUZZ_CHECK(strlen(walk_cause_text(model, cause, text)) > 20);
        if (cause->entry >= 0) {
            check_bits(model, cause);
        }
    }
}

/* The table of rights says of the access that was asked for what became of it. */
static void check_rights(const struct walk_model *model)
{
    const struct vmmu_x86_access access = model->access;
    const enum walk_subject subject = access.implicit    ? WALK_AS_IMPLICIT
                                      : access.user      ? WALK_AS_USER
                                      : access.eflags_ac ? WALK_AS_SUPERVISOR_AC
                                                         : WALK_AS_SUPERVISOR;
    const uint32_t error = model->errors[subject][access.kind];

    if (model->translates && model->status == VMMU_GUEST_FAULT) {
        FUZZ_CHECK(error == model->fault.error_code && error != 0);
    } else if (model->status == VMMU_OK) {
        FUZZ_CHECK(model->translates && error == 0);
    }
}

static void render(const struct walk_model *model)
{
    static FILE *nowhere;
    FILE *const terminal = stdout;
    struct json_object *document = walk_document(model, NULL);

    FUZZ_CHECK(json_object_to_json_string(document) != NULL);
    json_object_put(document);
    if (!nowhere) {
        nowhere = fopen("/dev/null", "w");
        FUZZ_CHECK(nowhere != NULL);
    }
    stdout = nowhere;
    walk_print(model);
    if (model->two_dimensional && model->entry_count > 0) {
        walk_print_grid(model, true);
    }
    stdout = terminal;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memory memory;
    static struct walk_model model;
    struct input input = input_of(data, size);
    const struct vmmu_ram ram = memory_ram(&memory);
    struct machine machine;

    memset(&machine, 0, sizeof(machine));
    machine.ram = &ram;
    machine.cpu = draw_cpu(&input);
    machine.registers = memory_draw_registers(&input, &machine.cpu);
    machine.pat = input_u64(&input);
    if (vmmu_mode_make(&machine.cpu, &machine.registers, &machine.mode) != VMMU_OK ||
        !draw_second(&input, &ram, &machine)) {
        return 0;
    }
    memory_draw(&memory, &input);
    for (unsigned i = 0; i < ACCESSES; i++) {
        const vmmu_gva va = memory_draw_va(&input, machine.mode.address_bits);
        struct vmmu_x86_access access = memory_draw_access(&input);

        access.shadow_stack = false;
        access.marks = VMMU_X86_MARKS_LEAVE;
        walk_make(&machine, va.v, access, &model);
        FUZZ_CHECK(memory.exchanges == 0);
        check_causes(&model);
        check_rights(&model);
        render(&model);
    }
    return 0;
}
