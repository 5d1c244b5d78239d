#include "tests/guests/common/views.h"

#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"

struct entrance {
    const struct space *space;
    uintptr_t cr4;
};

struct look {
    uintptr_t va;
    volatile uint32_t seen;
};

static void enter(void *argument)
{
    const struct entrance *entrance = argument;
    space_enter(entrance->space, entrance->cr4, false);
}

static void leave(void *argument)
{
    (void)argument;
    space_leave();
}

static void look(void *argument)
{
    struct look *at = argument;
    at->seen = marker_read(at->va);
}

static void run_on(unsigned cpu, smp_function *function, void *argument)
{
    if (cpu == smp_here()) {
        function(argument);
    } else {
        smp_run(cpu, function, argument);
    }
}

static void run_on_set(unsigned set, smp_function *function, void *argument)
{
    for (unsigned cpu = 0; cpu < smp_count(); cpu++) {
        if (set >> cpu & 1) {
            run_on(cpu, function, argument);
        }
    }
}

unsigned views_all(void)
{
    return (1U << smp_count()) - 1;
}

void views_enter(unsigned set, const struct space *space, uintptr_t cr4)
{
    struct entrance entrance = { space, cr4 };
    run_on_set(set, enter, &entrance);
}

void views_leave(unsigned set)
{
    run_on_set(set, leave, 0);
}

uint32_t view_of(unsigned cpu, uintptr_t va)
{
    struct look at = { va, 0 };
    run_on(cpu, look, &at);
    return at.seen;
}

bool views_see(unsigned set, uintptr_t va, uint32_t wanted, uint32_t or_else)
{
    unsigned wrong = 0;
    for (unsigned cpu = 0; cpu < smp_count(); cpu++) {
        const uint32_t seen = set >> cpu & 1 ? view_of(cpu, va) : wanted;
        if (seen != wanted && seen != or_else) {
            wrong++;
            detail("processor %u sees %x", cpu, seen);
        }
    }
    return wrong == 0;
}
