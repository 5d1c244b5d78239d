#include "hv/monitor/booke_text.h"

#include "hv/monitor/text.h"

/* An entry of either TLB: the registers that wrote it. */
struct row {
    unsigned array;
    unsigned set;
    unsigned way;
    uint32_t mas1;
    uint32_t mas2;
    uint32_t mas3;
    uint32_t mas7;
};

static struct row virtual_row(const struct vmmu_booke *booke, unsigned index)
{
    const struct vmmu_booke_entry *entry = &booke->entries[index];
    const unsigned which = index >= booke->array[1].first;
    const struct vmmu_booke_array *array = &booke->array[which];
    const unsigned number = index - array->first;

    return (struct row){ .array = which,
                         .set = number / array->ways,
                         .way = number % array->ways,
                         .mas1 = entry->mas1,
                         .mas2 = entry->mas2,
                         .mas3 = entry->mas3,
                         .mas7 = entry->mas7 };
}

static struct row real_row(const struct vmmu_booke_real *real, unsigned index)
{
    const struct vmmu_booke_slot *slot = vmmu_booke_real_slot(real, index);
    const bool large = index >= real->small;

    return (struct row){ .array = large,
                         .set = large ? 0 : index / real->ways,
                         .way = large ? index - real->small : index % real->ways,
                         .mas1 = slot->mas1,
                         .mas2 = slot->mas2,
                         .mas3 = slot->mas3,
                         .mas7 = slot->mas7 };
}

static unsigned virtual_entries(const struct vmmu_booke *booke)
{
    return (unsigned)booke->array[0].entries + booke->array[1].entries;
}

static unsigned size_shift(const struct row *row)
{
    return 10 + 2 * (row->mas1 >> VMMU_MAS1_TSIZE_SHIFT & 0xf);
}

static uint64_t page_bytes(const struct row *row)
{
    return BIT64(size_shift(row));
}

static uint64_t page_ea(const struct row *row)
{
    return row->mas2 & VMMU_MAS2_EPN & ~(page_bytes(row) - 1);
}

static uint64_t page_physical(const struct row *row)
{
    const uint64_t high = (uint64_t)(row->mas7 & VMMU_MAS7_RPN) << 32;

    return (high | (row->mas3 & VMMU_MAS3_RPN)) & ~(page_bytes(row) - 1);
}

static bool covers(const struct row *row, uint32_t ea)
{
    return (ea & ~(page_bytes(row) - 1)) == page_ea(row);
}

static unsigned tid_of(const struct row *row)
{
    return row->mas1 >> VMMU_MAS1_TID_SHIFT & 0x3fff;
}

/* --- words --- */

struct word {
    char text[8];
};

/* "rwx" of the user, or of the supervisor, a dash for each that is missing. */
static struct word rights_word(uint32_t mas3, bool user)
{
    const uint32_t read = user ? VMMU_MAS3_UR : VMMU_MAS3_SR;
    const uint32_t write = user ? VMMU_MAS3_UW : VMMU_MAS3_SW;
    const uint32_t execute = user ? VMMU_MAS3_UX : VMMU_MAS3_SX;

    return (struct word){ { mas3 & read ? 'r' : '-', mas3 & write ? 'w' : '-', mas3 & execute ? 'x' : '-',
                            '\0' } };
}

/* "WIMGE", likewise. */
static struct word attribute_word(uint32_t mas2)
{
    return (struct word){ { mas2 & VMMU_MAS2_W ? 'W' : '-', mas2 & VMMU_MAS2_I ? 'I' : '-',
                            mas2 & VMMU_MAS2_M ? 'M' : '-', mas2 & VMMU_MAS2_G ? 'G' : '-',
                            mas2 & VMMU_MAS2_E ? 'E' : '-', '\0' } };
}

/* Sizes go from 1 KiB in steps of 4: "4K" to "1T". */
static void say_size(const struct format_sink *sink, const struct row *row)
{
    static const char units[] = "KMGT";
    const unsigned shift = size_shift(row);

    text_say(sink, "%4u%c", 1U << shift % 10, units[shift / 10 - 1]);
}

static void say_place(const struct format_sink *sink, const struct row *row)
{
    if (row->array) {
        text_say(sink, "TLB1 %-6u", row->way);
    } else {
        text_say(sink, "TLB0 %3u.%-2u", row->set, row->way);
    }
}

/* --- an address --- */

static void say_row(const struct format_sink *sink, const char *whose, const char *kind,
                    const struct row *row)
{
    text_say(sink, "%-5s  ", whose);
    say_place(sink, row);
    text_say(sink, "  ea %08lx  ", (unsigned long)page_ea(row));
    say_size(sink, row);
    text_say(sink, "  %s %x%08lx  user %s  super %s  %s  TS %u  %s %u%s\n", kind,
             (unsigned)(page_physical(row) >> 32), (unsigned long)(uint32_t)page_physical(row),
             rights_word(row->mas3, true).text, rights_word(row->mas3, false).text,
             attribute_word(row->mas2).text, !!(row->mas1 & VMMU_MAS1_TS), kind[0] == 'g' ? "TID" : "shadow",
             tid_of(row), row->mas1 & VMMU_MAS1_IPROT ? "  protected" : "");
}

static void say_verdict(const struct format_sink *sink, const struct booke_text_view *view, uint32_t ea,
                        enum vmmu_booke_kind kind)
{
    const bool fetch = kind == VMMU_BOOKE_FETCH;
    const struct vmmu_booke_access access = { .kind = kind,
                                              .space = fetch ? view->state.instruction_space
                                                             : view->state.data_space,
                                              .problem = view->state.problem };
    const struct vmmu_booke_result result = vmmu_booke_translate(view->booke, ea, access);

    text_say(sink, "%-5s  ", fetch ? "fetch" : kind == VMMU_BOOKE_STORE ? "store" : "load");
    switch (result.verdict) {
    case VMMU_BOOKE_HIT:
        text_say(sink, "gpa %x%08lx\n", (unsigned)(result.gpa.v >> 32),
                 (unsigned long)(uint32_t)result.gpa.v);
        break;
    case VMMU_BOOKE_MISS: text_say(sink, "no entry: %s TLB error\n", fetch ? "instruction" : "data"); break;
    case VMMU_BOOKE_REFUSED:
        text_say(sink, "no right: %s storage interrupt\n", fetch ? "instruction" : "data");
        break;
    }
}

/* The processor's entries for @ea that were made of virtual entry @index. Whether there were any. */
static bool say_made(const struct format_sink *sink, const struct booke_text_view *view, uint32_t ea,
                     unsigned index)
{
    bool any = false;

    for (unsigned i = 0; i < vmmu_booke_real_slots(view->real); i++) {
        const struct vmmu_booke_slot *slot = vmmu_booke_real_slot(view->real, i);

        if (slot && slot->from == view->booke && slot->index == index) {
            const struct row row = real_row(view->real, i);

            if (covers(&row, ea)) {
                say_row(sink, "real", "hpa", &row);
                any = true;
            }
        }
    }
    return any;
}

void booke_text_walk(const struct format_sink *sink, const struct booke_text_view *view, uint32_t ea)
{
    const struct vmmu_booke *booke = view->booke;

    text_say(sink, "walk of %08lx by VP %u, as %s, IS %u, DS %u, PID", (unsigned long)ea, view->vp,
             view->state.problem ? "user" : "supervisor", view->state.instruction_space,
             view->state.data_space);
    for (unsigned i = 0; i < booke->config.pids; i++) {
        text_say(sink, " %lu", (unsigned long)booke->pid[i]);
    }
    text_say(sink, "\n");
    say_verdict(sink, view, ea, VMMU_BOOKE_LOAD);
    say_verdict(sink, view, ea, VMMU_BOOKE_STORE);
    say_verdict(sink, view, ea, VMMU_BOOKE_FETCH);
    for (unsigned i = 0; i < virtual_entries(booke); i++) {
        const struct row row = virtual_row(booke, i);

        if (row.mas1 & VMMU_MAS1_VALID && covers(&row, ea)) {
            say_row(sink, "guest", "gpa", &row);
            if (!say_made(sink, view, ea, i)) {
                text_say(sink, "real   none: made when it is used\n");
            }
        }
    }
}

/* --- counters --- */

struct counter {
    const char *member;
    const char *name;
    uint64_t value;
    const char *meaning;
};

#define COUNTERS 7

static void collect(const struct vmmu_booke_real *real, struct counter counters[COUNTERS])
{
    const struct vmmu_booke_real_counters *from = &real->counters;
    const struct counter all[COUNTERS] = {
        { "filled_tlb0", "filled TLB0", from->filled[0], "entries made there" },
        { "filled_tlb1", "filled TLB1", from->filled[1], "likewise" },
        { "evicted", "evicted", from->evicted, "of these, over a valid one of another page" },
        { "removed", "removed", from->removed, "because the guest's entry changed" },
        { "overlapped", "overlapped", from->overlapped, "because another came over them" },
        { "recycled", "recycled", from->recycled, "shadow PIDs taken from the space that had them" },
        { "split", "split", from->split, "made with a smaller page than the guest's" },
    };

    for (unsigned i = 0; i < COUNTERS; i++) {
        counters[i] = all[i];
    }
}

void booke_text_counters(const struct format_sink *sink, const struct vmmu_booke_real *real)
{
    struct counter counters[COUNTERS];

    collect(real, counters);
    for (unsigned i = 0; i < COUNTERS; i++) {
        text_say(sink, "%-11s  %12ju  %s\n", counters[i].name, (uintmax_t)counters[i].value,
                 counters[i].meaning);
    }
}

void booke_json_counters(struct json *json, const struct vmmu_booke_real *real)
{
    struct counter counters[COUNTERS];

    collect(real, counters);
    for (unsigned i = 0; i < COUNTERS; i++) {
        json_number(json, counters[i].member, counters[i].value);
    }
}

/* --- all entries --- */

static void put_row(struct json *json, const char *physical, const struct row *row)
{
    json_number(json, "array", row->array);
    json_number(json, "set", row->set);
    json_number(json, "way", row->way);
    json_hex(json, "mas1", row->mas1);
    json_hex(json, "mas2", row->mas2);
    json_hex(json, "mas3", row->mas3);
    json_hex(json, "mas7", row->mas7);
    json_hex(json, "ea", page_ea(row));
    json_hex(json, physical, page_physical(row));
    json_hex(json, "bytes", page_bytes(row));
    json_number(json, "tid", tid_of(row));
    json_number(json, "space", !!(row->mas1 & VMMU_MAS1_TS));
}

static void put_registers(struct json *json, const struct vmmu_booke *booke)
{
    const struct vmmu_booke_mas *mas = &booke->mas;

    json_array(json, "pid");
    for (unsigned i = 0; i < booke->config.pids; i++) {
        json_number(json, NULL, booke->pid[i]);
    }
    json_end_array(json);
    json_hex(json, "mas0", mas->mas0);
    json_hex(json, "mas1", mas->mas1);
    json_hex(json, "mas2", mas->mas2);
    json_hex(json, "mas3", mas->mas3);
    json_hex(json, "mas4", mas->mas4);
    json_hex(json, "mas6", mas->mas6);
    json_hex(json, "mas7", mas->mas7);
}

static void put_virtual(struct json *json, const struct vmmu_booke *booke)
{
    json_array(json, "virtual");
    for (unsigned i = 0; i < virtual_entries(booke); i++) {
        const struct row row = virtual_row(booke, i);

        if (row.mas1 & VMMU_MAS1_VALID) {
            json_object(json, NULL);
            json_number(json, "index", i);
            put_row(json, "gpa", &row);
            json_end_object(json);
        }
    }
    json_end_array(json);
}

static void put_real(struct json *json, const struct vmmu_booke *booke, const struct vmmu_booke_real *real)
{
    json_array(json, "real");
    for (unsigned i = 0; i < vmmu_booke_real_slots(real); i++) {
        const struct vmmu_booke_slot *slot = vmmu_booke_real_slot(real, i);

        if (slot && slot->from == booke) {
            const struct row row = real_row(real, i);

            json_object(json, NULL);
            json_number(json, "from", slot->index);
            put_row(json, "hpa", &row);
            json_end_object(json);
        }
    }
    json_end_array(json);
}

void booke_json_tlb(struct json *json, unsigned vp, const struct vmmu_booke *booke,
                    const struct vmmu_booke_real *real)
{
    json_object(json, NULL);
    json_number(json, "vp", vp);
    put_registers(json, booke);
    put_virtual(json, booke);
    put_real(json, booke, real);
    json_end_object(json);
}
