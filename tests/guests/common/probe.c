#include "tests/guests/common/probe.h"

#include "tests/guests/common/cpu.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/traps.h"

extern const uint8_t user_read[], user_write[];

static void probe_kernel(uintptr_t va, struct access access)
{
    const uintptr_t flags = flags_read();
    flags_write(access.ac ? flags | FLAGS_AC : flags & ~FLAGS_AC);
    switch (access.kind) {
    case ACCESS_READ: TRY("movb (%0), %%al", ::"r"(va) : "eax", "memory"); break;
    case ACCESS_WRITE: TRY("movb %1, (%0)", ::"r"(va), "i"(PROBE_BYTE) : "memory"); break;
    case ACCESS_FETCH:
    case ACCESS_KINDS: TRY("jmp *%0", ::"r"(va) : "memory"); break;
    }
    flags_write(flags);
}

static void probe_user(uintptr_t va, struct access access)
{
    const uintptr_t flags = access.ac ? FLAGS_AC : 0;
    switch (access.kind) {
    case ACCESS_READ: user_run(user_address(user_read), flags, va); break;
    case ACCESS_WRITE: user_run(user_address(user_write), flags, va); break;
    case ACCESS_FETCH:
    case ACCESS_KINDS: user_run(va, flags, va); break;
    }
}

struct outcome probe(uintptr_t va, struct access access)
{
    if (access.user) {
        probe_user(va, access);
    } else {
        probe_kernel(va, access);
    }
    const bool fault = trap_last.vector != TRAP_NONE && trap_last.vector != VECTOR_DONE;
    return (struct outcome){ fault, trap_last.vector, trap_last.error,
                             trap_last.vector == VECTOR_PAGE ? trap_last.cr2 : 0 };
}

void frame_mark(uintptr_t frame, uint32_t marker)
{
    *(volatile uint16_t *)frame = PROBE_CODE;
    *(volatile uint32_t *)(frame + 8) = marker;
}

uint32_t marker_read(uintptr_t va)
{
    uint32_t value = ~0U;
    TRY("movl (%1), %0", : "+r"(value) : "r"(va + 8) : "memory");
    return value;
}

const char *access_name(struct access access)
{
    static const char *const names[2][ACCESS_KINDS] = {
        { "supervisor read", "supervisor write", "supervisor fetch" },
        { "user read", "user write", "user fetch" },
    };
    return names[access.user][access.kind];
}
