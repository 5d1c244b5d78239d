#include "tools/live/glance.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/ui/json.h"
#include "tools/ui/paint.h"
#include "tools/ui/table.h"

#define PER_LINE 3
#define DIGITS   16

static const char *const general[] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8",
                                       "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags" };
static const char *const control[] = { "cr0", "cr2", "cr3", "cr4", "efer", "xcr0" };
static const char *const segments[] = { "cs", "ss", "ds", "es", "fs", "gs" };
static const char *const booke_plain[] = { "pc", "msr", "cr", "lr", "ctr", "xer" };
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void print_registers(struct json_object *registers, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t value = 0;

        (void)json_get_number(registers, names[i], &value);
        printf("  %s%-6s%s %016" PRIx64 "%s", paint_on(PAINT_DIM), names[i], paint_off(), value,
               i % PER_LINE == PER_LINE - 1 || i == count - 1 ? "\n" : "");
    }
}

static void print_segments(struct json_object *registers)
{
    struct json_object *const all = json_get_object(registers, "segments");

    for (unsigned i = 0; i < COUNT(segments); i++) {
        struct json_object *const segment = json_get_object(all, segments[i]);
        uint64_t selector = 0;
        uint64_t base = 0;
        uint64_t limit = 0;
        uint64_t attributes = 0;

        (void)json_get_number(segment, "selector", &selector);
        (void)json_get_number(segment, "base", &base);
        (void)json_get_number(segment, "limit", &limit);
        (void)json_get_number(segment, "attributes", &attributes);
        printf("  %s%-6s%s %04" PRIx64 "  base %016" PRIx64 "  limit %08" PRIx64 "  attributes %04" PRIx64
               "\n",
               paint_on(PAINT_DIM), segments[i], paint_off(), selector, base, limit, attributes);
    }
}

/* Bytes at the instruction pointer, with blanks between. */
static void print_code(struct json_object *registers)
{
    const char *text;
    char clean[80];

    if (!json_get_text(registers, "code", &text)) {
        return;
    }
    counters_copy_text(clean, sizeof(clean), text);
    printf("  %s%-6s%s", paint_on(PAINT_DIM), "code", paint_off());
    if (strspn(clean, "0123456789abcdef") != strlen(clean)) {
        printf(" %s\n", clean); /* why there are none */
        return;
    }
    for (unsigned i = 0; clean[i] != '\0' && clean[i + 1] != '\0' && i < 2 * DIGITS; i += 2) {
        printf(" %.2s", clean + i);
    }
    printf("\n");
}

static void print_x86(struct json_object *registers, unsigned index)
{
    uint64_t privilege = 0;

    (void)json_get_number(registers, "cpl", &privilege);
    printf("\n%sVP %u%s, privilege level %" PRIu64 "\n", paint_on(PAINT_HEAD), index, paint_off(), privilege);
    print_registers(registers, general, COUNT(general));
    print_registers(registers, control, COUNT(control));
    print_segments(registers);
    print_code(registers);
}

/* --- Book E --- */

#define BOOKE_GPRS     32
#define BOOKE_PER_LINE 4
#define BOOKE_MSR_PR   0x4000

/* One of 32 bits; *@shown are on the line already. */
static void print_booke_register(const char *name, uint64_t value, unsigned *shown)
{
    char clean[16];

    counters_copy_text(clean, sizeof(clean), name);
    printf("%s  %s%-7s%s %08" PRIx64, *shown != 0 && *shown % BOOKE_PER_LINE == 0 ? "\n" : "",
           paint_on(PAINT_DIM), clean, paint_off(), value);
    ++*shown;
}

static void print_booke_general(struct json_object *registers, struct json_object *gpr)
{
    unsigned shown = 0;

    for (unsigned i = 0; i < BOOKE_GPRS; i++) {
        char name[8];
        uint64_t value = 0;

        (void)snprintf(name, sizeof(name), "r%u", i);
        (void)json_number_of(json_object_array_get_idx(gpr, i), &value);
        print_booke_register(name, value, &shown);
    }
    for (unsigned i = 0; i < COUNT(booke_plain); i++) {
        uint64_t value = 0;

        (void)json_get_number(registers, booke_plain[i], &value);
        print_booke_register(booke_plain[i], value, &shown);
    }
    printf("\n");
}

static bool is_plain(const char *name)
{
    for (unsigned i = 0; i < COUNT(booke_plain); i++) {
        if (strcmp(booke_plain[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Special registers by the names that the hypervisor gives them, those of 0 left out: there are some eighty. */
static void print_booke_special(struct json_object *registers)
{
    struct json_object_iterator at = json_object_iter_begin(registers);
    const struct json_object_iterator end = json_object_iter_end(registers);
    unsigned shown = 0;

    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        const char *const name = json_object_iter_peek_name(&at);
        uint64_t value = 0;

        if (!is_plain(name) && json_get_number(registers, name, &value) && value != 0) {
            print_booke_register(name, value, &shown);
        }
    }
    printf("%s", shown != 0 ? "\n" : "");
}

static void print_booke(struct json_object *registers, struct json_object *gpr, unsigned index)
{
    uint64_t msr = 0;

    (void)json_get_number(registers, "msr", &msr);
    printf("\n%sVP %u%s, %s\n", paint_on(PAINT_HEAD), index, paint_off(),
           msr & BOOKE_MSR_PR ? "user" : "supervisor");
    print_booke_general(registers, gpr);
    print_booke_special(registers);
    print_code(registers);
}

static void print_vp(struct json_object *vp, unsigned index)
{
    struct json_object *const registers = json_get_object(vp, "registers");
    struct json_object *const gpr = json_get_array(registers, "gpr");

    if (gpr) {
        print_booke(registers, gpr, index);
    } else if (registers) {
        print_x86(registers, index);
    }
}

/* Those of @group that are not zero. */
static void print_group(const struct counters *counters, enum counter_group group)
{
    const struct table_column columns[] = { { counter_group_names[group], TABLE_LEFT },
                                            { "in all", TABLE_RIGHT },
                                            { group == COUNTER_EXITS ? "share" : "", TABLE_RIGHT } };
    struct table *const table = table_new(columns, COUNT(columns));

    for (unsigned i = 0; i < counters->count; i++) {
        const struct counter *const counter = &counters->all[i];

        if (counter->group == group && counter->value != 0) {
            struct table_row *const row = table_row(table);

            table_cell(row, 0, PAINT_PLAIN, "  %s", counter->name);
            table_cell(row, 1, PAINT_PLAIN, "%" PRIu64, counter->value);
            if (group == COUNTER_EXITS) {
                table_cell(row, 2, PAINT_DIM, "%5.1f %%",
                           100 * (double)counter->value / (double)counters->exits);
            }
        }
    }
    printf("\n");
    table_print(table);
}

void glance_print(const char *socket, struct json_object *document, const struct counters *counters)
{
    struct json_object *const vps = json_get_array(document, "vps");

    printf("%s%s%s: %s on %s, %" PRIu64 " MiB, %s after %.3f s\n", paint_on(PAINT_NOTE), socket, paint_off(),
           counters->technique, counters->backend, counters->memory_bytes >> 20,
           counters->held ? "stopped" : counters->outcome, (double)counters->run_ns / 1e9);
    for (unsigned i = 0; i < counters->vps; i++) {
        print_vp(json_object_array_get_idx(vps, i), i);
    }
    for (unsigned group = 0; group < COUNTER_GROUPS; group++) {
        if (group == COUNTER_TRAPS && strcmp(counters->technique, TECHNIQUE_BOOKE) != 0) {
            continue;
        }
        print_group(counters, (enum counter_group)group);
    }
}
