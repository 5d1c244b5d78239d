/*
 * The instruction and its accesses; then each technique in turn.
 */
#include "tools/explain/story.h"

#include <inttypes.h>
#include <stdlib.h>

/* Attributes of flat segments: present, code or data, accessed; 64-bit code, 32-bit code and data. */
#define LONG_CODE UINT16_C(0xa09b)
#define FLAT_CODE UINT16_C(0xc09b)
#define FLAT_DATA UINT16_C(0xc093)

/* --- registers --- */

static bool is_long(const struct machine *machine)
{
    return machine->mode.paging == VMMU_X86_PAGING_4LEVEL || machine->mode.paging == VMMU_X86_PAGING_5LEVEL;
}

/* A processor of which the image tells nothing: flat segments, general registers zero. */
static struct vmmu_x86_state flat_state(const struct machine *machine)
{
    struct vmmu_x86_state state = { .rflags = BIT64(1) };

    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        state.segment[i] = (struct vmmu_x86_segment){ .limit = UINT32_MAX, .attributes = FLAT_DATA };
    }
    state.segment[VMMU_X86_CS].attributes = is_long(machine) ? LONG_CODE : FLAT_CODE;
    return state;
}

static void take_registers(struct story *story, const struct story_options *options)
{
    const struct machine *machine = story->machine;
    struct vmmu_x86_state *state = &story->state;

    story->registers_known = machine->processor && machine->processor->has_registers;
    *state = story->registers_known ? machine->processor->state : flat_state(machine);
    state->cr0 = machine->registers.cr0;
    state->cr4 = machine->registers.cr4;
    state->efer = machine->registers.efer;
    state->rip = options->has_rip ? options->rip : state->rip;
    state->cpl = options->has_cpl ? (uint8_t)options->cpl : state->cpl;
    for (unsigned i = 0; i < options->setting_count; i++) {
        const struct story_setting *setting = &options->settings[i];

        if (setting->number < VMMU_X86_GPRS) {
            state->gpr[setting->number] = setting->value;
        } else {
            state->rflags = setting->value;
        }
    }
}

/* --- the instruction --- */

static void take_width(struct story *story, const struct story_options *options)
{
    story->code.rip = story->state.rip;
    story->code.width = options->bits == 16   ? VMMU_INSN_16
                        : options->bits == 32 ? VMMU_INSN_32
                        : options->bits == 64 ? VMMU_INSN_64
                                              : vmmu_insn_mode(&story->state);
}

static uint64_t linear_rip(const struct story *story)
{
    return story->code.width == VMMU_INSN_64
               ? story->state.rip
               : (story->state.rip + story->state.segment[VMMU_X86_CS].base) & UINT32_MAX;
}

/* As many bytes as are mapped, up to an instruction's most. */
static void read_code(struct story *story)
{
    const uint64_t at = linear_rip(story);
    const uint64_t room = VMMU_PAGE_BYTES - at % VMMU_PAGE_BYTES;
    struct code *code = &story->code;

    if (machine_read(story->machine, at, code->bytes, sizeof code->bytes)) {
        code->count = sizeof code->bytes;
    } else if (room < sizeof code->bytes && machine_read(story->machine, at, code->bytes, room)) {
        code->count = (unsigned)room;
    }
}

/*
 * Where the code is not mapped there is the fetch to tell of, and nothing else: of the bytes that are there, and of the first
 * that is not.
 */
static void tell_of_fetch_alone(struct story *story)
{
    const uint64_t at = linear_rip(story);
    const uint32_t there = story->code.count;
    struct access_list *list = &story->list;

    *list = (struct access_list){
        .accesses = { { .what = "the instruction itself",
                        .kind = VMMU_X86_EXECUTE,
                        .segment = VMMU_X86_CS,
                        .effective = story->state.rip,
                        .linear = at,
                        .bytes = there + 1 } },
        .access_count = 1,
        .repeats = 1,
    };
    if (there != 0) {
        list->pieces[list->piece_count++] = (struct piece){ .linear = at, .bytes = there };
    }
    list->pieces[list->piece_count++] =
        (struct piece){ .linear = story->code.width == VMMU_INSN_64 ? at + there : (at + there) & UINT32_MAX,
                        .bytes = 1 };
}

static bool take_code(struct story *story, const struct story_options *options, struct complaint *complaint)
{
    const bool has_rip = options->has_rip || story->registers_known;

    if (!options->code && !has_rip) {
        return complain_usage(complaint, "the image holds no registers: say --rip, or give --code");
    }
    if (options->code) {
        if (!code_from_text(&story->code, options->code, complaint) ||
            !code_decode(&story->code, complaint)) {
            complaint->usage = true;
            return false;
        }
    } else {
        read_code(story);
        if (!code_decode(&story->code, complaint)) {
            tell_of_fetch_alone(story);
            return story->code.cut || story->code.count == 0;
        }
    }
    story->decoded = true;
    access_list_make(&story->code, &story->state, has_rip, &story->list);
    return true;
}

struct vmmu_x86_access story_access(const struct story *story, unsigned piece)
{
    return access_for_walk(access_of(story, piece), &story->state);
}

/* --- native --- */

static enum story_end end_of(const struct story *story, unsigned piece)
{
    const enum vmmu_status status = story->native[piece].status;

    if (access_of(story, piece)->refused != 0 || status == VMMU_GUEST_FAULT) {
        return STORY_FAULT;
    }
    return status == VMMU_OK ? STORY_GOES_ON : STORY_NOT_KNOWN;
}

/* The walk does not know the segment: through SS an address that is not canonical is another fault. */
static void name_stack_fault(struct story *story, unsigned piece)
{
    struct walk_model *walk = &story->native[piece];

    if (walk->status == VMMU_GUEST_FAULT && walk->fault.vector == VMMU_X86_VECTOR_GP &&
        access_of(story, piece)->segment == VMMU_X86_SS) {
        walk->fault.vector = VMMU_X86_VECTOR_SS;
    }
}

/* It is fetched, and then it faults before it accesses anything. */
static bool faults_by_itself(const struct story *story)
{
    const unsigned next = story->reached;
    const struct access_list *list = &story->list;

    return story->itself.vector != 0 &&
           (next == list->piece_count || list->accesses[list->pieces[next].access].kind != VMMU_X86_EXECUTE);
}

void story_tell_native(struct story *story)
{
    struct machine guest = *story->machine;

    guest.has_second = false;
    while (story->reached < story->list.piece_count && story->end == STORY_GOES_ON &&
           !faults_by_itself(story)) {
        const unsigned piece = story->reached++;
        struct walk_model *walk = &story->native[piece];

        walk_make(&guest, story->list.pieces[piece].linear, story_access(story, piece), walk);
        name_stack_fault(story, piece);
        story->end = end_of(story, piece);
        if (access_of(story, piece)->refused == 0) {
            story->native_loads += walk->loads;
        }
    }
    if (story->end == STORY_GOES_ON && faults_by_itself(story)) {
        story->end = STORY_FAULT;
    }
}

/* --- everything --- */

struct story *story_make(const struct machine *machine, const struct story_options *options,
                         struct complaint *complaint)
{
    struct story *story;

    if (machine->has_second && !machine->partition) {
        complain_usage(complaint, "explain builds second stages of its own: --ept and --ncr3 are for walk");
        return NULL;
    }
    story = take_memory(1, sizeof *story);
    story->machine = machine;
    story->amd = machine->partition ? !machine->partition->intel : options->amd;
    take_registers(story, options);
    take_width(story, options);
    if (!take_code(story, options, complaint)) {
        story_free(story);
        return NULL;
    }
    story_tell_itself(story);
    story_tell_native(story);
    story_tell_nested(story);
    story_tell_shadow(story);
    story_tell_here(story);
    story_tell_tags(story);
    return story;
}

void story_free(struct story *story)
{
    free(story);
}
