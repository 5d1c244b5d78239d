/*
 * Book-E guests on the proving ground (tests/booke): registers, TLB instructions, accesses, and a host that changes memory beneath them.
 *
 * One input is a setting and a sequence of operations; all that the ground looks at holds after each, and between any two writes
 * of a real TLB. Or it is a processor of the strangest kind, on which the library refuses to work, or works within its memory.
 */
#include "input.h"
#include "tests/booke/machine/world.h"

#define OPERATIONS 120

/* --- guests on the ground --- */

static uint32_t draw_page(struct input *input)
{
    static const uint32_t bases[] = { 0,          0x10000,    0x400000,   0x7FFF8000,
                                      0x80000000, 0xC0000000, 0xC0100000, 0xFFFF0000 };
    const unsigned choice = input_u8(input);

    return bases[choice >> 5] + (choice & 15) * 0x1000 + (choice & 16 ? input_u32(input) & 0xFFFFF000 : 0);
}

static uint32_t draw_address(struct input *input)
{
    const uint32_t page = draw_page(input);

    return page + (input_u16(input) & 0xFFF);
}

/* Guest-physical memory that is there, mostly: the host's banks begin at these addresses. */
static uint64_t draw_frame(struct input *input)
{
    static const uint64_t bases[] = { 0,         0x100000,   0x1000000,  0x8001000,
                                      0x8004000, 0x10000000, 0xC0000000, UINT64_C(0x100000000) };
    const unsigned choice = input_u8(input);

    return bases[choice >> 5] + (choice & 15) * UINT64_C(0x1000) +
           (choice & 16 ? (uint64_t)input_u32(input) << 4 & ~UINT64_C(0xFFF) : 0);
}

/* Valid, with all rights, for whoever is in address space 0, unless the input says otherwise. */
static void draw_entry(struct input *input, struct op *op)
{
    const unsigned where = input_u8(input);
    const unsigned kind = input_u8(input);
    const unsigned what = input_u8(input);
    const uint64_t frame = draw_frame(input);

    op->which = where >> 6;
    op->value = put(where >> 5, 35, 35) | put(where, 44, 47) | put(input_u8(input), 62, 63);
    op->word[0] = put(~(kind >> 7), 32, 32) | put(kind >> 6, 33, 33) | put(kind >> 5, 51, 51) |
                  put(kind, 52, 55) | put(what >> 6, 46, 47);
    op->word[1] = draw_page(input) | put(kind & 16 ? input_u8(input) : 4, 57, 63);
    op->word[2] = (uint32_t)frame | put(~what, 58, 63);
    op->word[3] = (uint32_t)(frame >> 32);
}

static void draw_op(struct input *input, struct op *op)
{
    const unsigned choice = input_u8(input);

    *op = (struct op){ .kind = (enum op_kind)(choice % OP_KINDS), .vp = choice / OP_KINDS % WORLD_VPS };
    switch (op->kind) {
    case OP_ENTRY: draw_entry(input, op); break;
    case OP_SET:
        op->which = input_u8(input);
        op->value = op->which & 0x80 ? input_u32(input) : input_u8(input);
        break;
    case OP_LOAD:
    case OP_STORE:
    case OP_FETCH:
        op->address = draw_address(input);
        op->which = input_u8(input);
        op->value = op->which >> 7;
        op->at = draw_address(input);
        break;
    case OP_SEARCH:
    case OP_INVALIDATE:
    case OP_LOCAL:
        op->which = input_u8(input);
        op->address = draw_address(input);
        break;
    case OP_MODE:
    case OP_MOVE:
    case OP_HOST_GIVE:
    case OP_HOST_TAKE:
    case OP_HOST_LOSE:
        op->which = input_u8(input);
        op->value = op->kind == OP_HOST_GIVE ? input_u16(input) ^ 6 : op->which;
        break;
    case OP_WRITE:
    case OP_READ:
    case OP_FORGET:
    case OP_KINDS: break;
    }
}

static void run_guests(struct input *input)
{
    const unsigned choice = input_u8(input);
    const struct setting setting = { !(choice & 1), choice >> 1 };
    struct world *world = world_create(&setting, UINT32_MAX);

    FUZZ_CHECK(world != NULL);
    for (unsigned i = 0; i < OPERATIONS && input_more(input); i++) {
        struct op op;

        draw_op(input, &op);
        if (!world_step(world, &op)) {
            fprintf(stderr, "%s\n", world_finding(world)->sentence);
        }
        FUZZ_CHECK(!world_finding(world)->found);
    }
    world_destroy(world);
}

/* --- processors that cannot be --- */

static bool no_memory(void *context, const struct vmmu_booke *booke, vmmu_gpa gpa,
                      struct vmmu_booke_piece *piece)
{
    (void)context;
    (void)booke;
    *piece =
        (struct vmmu_booke_piece){ { gpa.v & ~UINT64_C(0xFFF) }, { gpa.v ^ 0x1000 }, 0x1000, true, true };
    return true;
}

static bool owns_all(void *context, const struct vmmu_booke *booke, vmmu_hpa at, uint64_t size_bytes)
{
    (void)context;
    (void)booke;
    (void)at;
    (void)size_bytes;
    return true;
}

static void count_write(void *context, const struct vmmu_booke_mas *mas)
{
    (void)mas;
    ++*(unsigned *)context;
}

static void draw_config(struct input *input, struct vmmu_booke_config *config)
{
    *config = vmmu_booke_e500v2;
    for (unsigned i = 0; i < VMMU_BOOKE_ARRAYS; i++) {
        config->tlbcfg[i] ^= input_u32(input);
    }
    config->pids ^= input_u8(input);
    config->pid_bits ^= input_u8(input);
    config->physical_bits ^= input_u8(input);
}

/* Everything once, and again: it stays within the memory that it asked for. */
static void drive(struct input *input, struct vmmu_booke *booke, struct vmmu_booke_real *real)
{
    const size_t bytes = vmmu_booke_spaces_memory_bytes(&booke->config);
    void *spaces = malloc(bytes);

    FUZZ_CHECK(bytes != 0 && spaces && vmmu_booke_attach(booke, real, spaces, bytes) == VMMU_OK);
    for (unsigned i = 0; i < OPERATIONS && input_more(input); i++) {
        const uint32_t value = input_u32(input);
        const struct vmmu_booke_attempt attempt = {
            { value & 8, value & 16, value & 32 }, (enum vmmu_booke_kind)(value % 3), value, value ^ 0x1000
        };
        struct vmmu_booke_result result;

        vmmu_booke_set(booke, (enum vmmu_booke_register)input_below(input, VMMU_BOOKE_HID0 + 1), value);
        (void)vmmu_booke_write(booke);
        (void)vmmu_booke_enter(booke, real, attempt.state);
        FUZZ_CHECK(vmmu_booke_fill(booke, real, &attempt, &result) <= VMMU_BOOKE_DENIED);
        vmmu_booke_read(booke);
        vmmu_booke_search(booke, value);
        if (value & 64) {
            vmmu_booke_invalidate(booke, value);
        }
    }
    vmmu_booke_detach(booke, real);
    free(spaces);
}

static void run_strange_processor(struct input *input)
{
    unsigned writes = 0;
    const struct vmmu_booke_host host = { .context = &writes,
                                          .kept = input_u8(input),
                                          .memory = no_memory,
                                          .owns = owns_all,
                                          .write = count_write };
    struct vmmu_booke_config configs[2];
    struct vmmu_booke booke;
    struct vmmu_booke_real real;
    void *memory[2];
    size_t bytes[2];

    draw_config(input, &configs[0]);
    draw_config(input, &configs[1]);
    bytes[0] = vmmu_booke_memory_bytes(&configs[0]);
    bytes[1] = vmmu_booke_real_memory_bytes(&configs[1]);
    memory[0] = malloc(bytes[0]);
    memory[1] = malloc(bytes[1]);
    if (vmmu_booke_init(&booke, &configs[0], memory[0], bytes[0]) == VMMU_OK &&
        vmmu_booke_real_init(&real, &configs[1], &host, memory[1], bytes[1]) == VMMU_OK) {
        FUZZ_CHECK(bytes[0] != 0 && bytes[1] != 0);
        drive(input, &booke, &real);
    }
    free(memory[0]);
    free(memory[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);

    if (input_flag(&input)) {
        run_strange_processor(&input);
    } else {
        run_guests(&input);
    }
    return 0;
}
