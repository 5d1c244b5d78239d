#include "tests/unit/tools_image/registers.h"

void put_prstatus64(struct bytes *notes, const uint64_t registers[USER64_REGISTERS])
{
    struct bytes status = { 0 };

    put_fill(&status, 0xEE, 112);
    put(&status, registers, USER64_REGISTERS * sizeof(*registers));
    put_fill(&status, 0xEE, 8);
    put_note(notes, "CORE", NT_PRSTATUS, &status);
    drop(&status);
}

void put_prstatus32(struct bytes *notes, const uint32_t registers[USER32_REGISTERS])
{
    struct bytes status = { 0 };

    put_fill(&status, 0xEE, 72);
    put(&status, registers, USER32_REGISTERS * sizeof(*registers));
    put_fill(&status, 0xEE, 4);
    put_note(notes, "CORE", NT_PRSTATUS, &status);
    drop(&status);
}

void put_qemu(struct bytes *notes, const struct qemu_state *state)
{
    struct bytes content = { 0 };

    put(&content, state, sizeof(*state));
    put_note(notes, "QEMU", 0, &content);
    drop(&content);
}

void put_text_note(struct bytes *notes, const char *name, uint32_t type, const char *text)
{
    struct bytes content = { 0 };

    put(&content, text, strlen(text));
    put_note(notes, name, type, &content);
    drop(&content);
}

struct qemu_state qemu_in_linux(void)
{
    struct qemu_state state = { .version = 1,
                                .size = sizeof(state),
                                .rip = 0xFFFFFFFF81000123,
                                .rflags = 0x246,
                                .cr = { 0x80050033, 0, 0xDEAD000, 0x2C10000, 0x750EF0 } };

    state.cs = (struct qemu_segment){ .selector = 0x10, .limit = 0xFFFFFFFF, .flags = 0x00AF9B00 };
    state.ss = (struct qemu_segment){ .selector = 0x18, .limit = 0xFFFFFFFF, .flags = 0x00CF9300 };
    return state;
}

struct bytes core_with_notes(struct bytes *notes, uint16_t machine)
{
    struct segment segments[2] = { { .type = PT_NOTE, .content = *notes },
                                   { .type = PT_LOAD, .physical = 0x1000 } };
    struct bytes core = { 0 };

    put_fill(&segments[1].content, 0x77, 0x1000);
    put_core64(&core, machine, segments, 2);
    drop(notes);
    drop(&segments[1].content);
    return core;
}
