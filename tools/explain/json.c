/*
 * The story for machines: the members of struct story by their names.
 */
#include <stdio.h>

#include "tools/explain/story.h"
#include "tools/ui/json.h"
#include "tools/walk/names.h"

static const char *end_word(enum story_end end)
{
    switch (end) {
    case STORY_GOES_ON: return "goes-on";
    case STORY_FAULT: return "fault";
    case STORY_DEVICE: return "device";
    case STORY_EMULATED: return "emulated";
    case STORY_NOT_KNOWN: return "not-known";
    }
    __builtin_unreachable();
}

static struct json_object *put_object(struct json_object *parent, const char *key)
{
    struct json_object *child = json_object_new_object();

    json_object_object_add(parent, key, child);
    return child;
}

static struct json_object *put_array(struct json_object *parent, const char *key)
{
    struct json_object *child = json_object_new_array();

    json_object_object_add(parent, key, child);
    return child;
}

static struct json_object *add_object(struct json_object *array)
{
    struct json_object *child = json_object_new_object();

    json_object_array_add(array, child);
    return child;
}

/* --- the instruction --- */

static void put_instruction(struct json_object *document, const struct story *story)
{
    static const unsigned bits[] = { [VMMU_INSN_16] = 16, [VMMU_INSN_32] = 32, [VMMU_INSN_64] = 64 };
    struct json_object *object = put_object(document, "instruction");
    char bytes[2 * VMMU_X86_INSN_MAX_BYTES + 1] = "";

    for (unsigned i = 0; story->decoded && i < story->code.insn.length; i++) {
        snprintf(&bytes[(size_t)i * 2], 3, "%02x", story->code.bytes[i]);
    }
    json_put_flag(object, "decoded", story->decoded);
    json_put_text(object, "text", story->decoded ? story->code.text : NULL);
    json_put_text(object, "bytes", bytes);
    json_put_number(object, "bits", bits[story->code.width]);
    json_put_hex(object, "rip", story->code.rip);
    json_put_number(object, "cpl", story->state.cpl);
    json_put_number(object, "repeats", story->list.repeats);
    json_put_flag(object, "registers_known", story->registers_known);
    struct json_object *notes = put_array(object, "notes");

    for (unsigned i = 0; i < story->list.note_count; i++) {
        json_object_array_add(notes, json_object_new_string(story->list.notes[i]));
    }
}

static void put_accesses(struct json_object *document, const struct story *story)
{
    struct json_object *array = put_array(document, "accesses");

    for (unsigned i = 0; i < story->list.piece_count; i++) {
        const struct piece *piece = &story->list.pieces[i];
        const struct access *access = access_of(story, i);
        struct json_object *object = add_object(array);

        json_put_text(object, "kind", access_kind_words(access));
        json_put_text(object, "what", access->what);
        json_put_hex(object, "effective", access->effective);
        json_put_hex(object, "linear", piece->linear);
        json_put_number(object, "bytes", piece->bytes);
        json_put_flag(object, "reached", i < story->reached);
        json_put_number(object, "refused_by_segment", access->refused);
    }
}

static void put_exit(struct json_object *object, const char *key, const struct story_exit *exit)
{
    static const char *const words[] = {
        [STORY_STAYS] = "no", [STORY_EXITS] = "yes", [STORY_EXITS_AT_TIMES] = "at-times"
    };
    struct json_object *one = put_object(object, key);

    json_put_text(one, "exits", words[exit->exits]);
    json_put_text(one, "why", exit->why);
}

static void put_itself(struct json_object *document, const struct story *story)
{
    const struct story_itself *itself = &story->itself;
    struct json_object *object = put_object(document, "itself");

    json_put_text(object, "what", itself->what);
    if (itself->what) {
        json_put_number(object, "vector", itself->vector);
        put_exit(object, "shadow", &itself->shadow);
        put_exit(object, "nested", &itself->nested);
    }
}

/* --- native --- */

static void put_fault(struct json_object *object, const struct walk_model *walk)
{
    struct json_object *causes;
    char sentence[WALK_SENTENCE_BYTES];

    if (walk->status == VMMU_GUEST_FAULT) {
        struct json_object *fault = put_object(object, "fault");

        json_put_number(fault, "vector", walk->fault.vector);
        json_put_number(fault, "error_code", walk->fault.error_code);
        json_put_hex(fault, "cr2", walk->fault.cr2);
    }
    causes = put_array(object, "causes");
    for (unsigned i = 0; i < walk->cause_count; i++) {
        json_object_array_add(causes,
                              json_object_new_string(walk_cause_text(walk, &walk->causes[i], sentence)));
    }
}

static void put_entries(struct json_object *object, const struct walk_model *walk)
{
    struct json_object *array = put_array(object, "entries");

    for (unsigned i = 0; i < walk->entry_count; i++) {
        struct json_object *entry = add_object(array);

        json_put_text(entry, "name", entry_name(walk->entries[i].format, walk->entries[i].step.level));
        json_put_hex(entry, "address", walk->entries[i].step.address);
        json_put_hex(entry, "value", walk->entries[i].step.value);
        json_put_hex(entry, "marks", walk->entries[i].step.marks);
    }
}

static void put_native(struct json_object *document, const struct story *story)
{
    struct json_object *object = put_object(document, "native");
    struct json_object *array;
    char rights[ENTRY_TEXT_BYTES];

    json_put_number(object, "references", story->native_loads);
    json_put_text(object, "end", end_word(story->end));
    array = put_array(object, "walks");
    for (unsigned i = 0; i < story->reached; i++) {
        const struct walk_model *walk = &story->native[i];
        struct json_object *one = add_object(array);

        json_put_number(one, "references", walk->loads);
        json_put_flag(one, "translates", walk->status == VMMU_OK);
        if (walk->status == VMMU_OK) {
            json_put_hex(one, "physical", walk->guest.gpa.v);
            json_put_number(one, "page_bytes", walk->guest.page_bytes);
            json_put_text(one, "rights", rights_text(walk->guest.rights, rights));
            json_put_text(one, "type", memory_type_word(walk->guest_type));
            json_put_flag(one, "global", walk->guest.global);
        }
        put_fault(one, walk);
        put_entries(one, walk);
    }
}

/* --- shadow --- */

static void put_cost(struct json_object *object, const struct engine_shadow_cost *cost)
{
    json_put_number(object, "page_fault_exits", cost->page_fault_exits);
    json_put_number(object, "instruction_exits", cost->instruction_exits);
    json_put_number(object, "silent_faults", cost->silent_faults);
    json_put_number(object, "fills", cost->fills);
    json_put_number(object, "prefills", cost->prefills);
    json_put_number(object, "write_traps", cost->write_traps);
    json_put_number(object, "reflected", cost->reflected);
    json_put_number(object, "flushes", cost->flushes);
    json_put_number(object, "new_pages", cost->new_pages);
    json_put_number(object, "walks", cost->walks);
    json_put_number(object, "references", cost->loads);
}

static void put_tables(struct json_object *object, const struct story_shadow *shadow)
{
    struct json_object *array = put_array(object, "guest_tables");

    for (unsigned i = 0; i < shadow->table_count; i++) {
        struct json_object *table = add_object(array);

        json_put_hex(table, "gpa", shadow->tables[i].gpa);
        json_put_number(table, "level", shadow->tables[i].level);
        json_put_flag(table, "closed", shadow->tables[i].closed);
    }
}

static void put_shadow(struct json_object *document, const struct story *story)
{
    const struct story_shadow *shadow = &story->shadow;
    struct json_object *object = put_object(document, "shadow");
    struct json_object *array;

    json_put_text(object, "why_not", shadow->there ? NULL : shadow->why_not.text);
    if (!shadow->there) {
        return;
    }
    put_cost(put_object(object, "first_time"), &shadow->cost);
    put_cost(put_object(object, "second_time"), &shadow->cost_again);
    json_put_number(object, "pages", shadow->pages);
    json_put_number(object, "switches_until_protected", shadow->switches);
    json_put_number(object, "flushes_of_a_switch", shadow->switch_flushes);
    put_tables(object, shadow);
    array = put_array(object, "accesses");
    for (unsigned i = 0; i < story->reached; i++) {
        struct json_object *one = add_object(array);

        json_put_text(one, "end", end_word(shadow->ends[i]));
        put_cost(put_object(one, "first_time"), &shadow->first[i].cost);
        put_cost(put_object(one, "second_time"), &shadow->again[i].cost);
    }
}

static void put_here_piece(struct json_object *object, const struct story_here_piece *piece)
{
    json_put_text(object, "end", end_word(piece->end));
    json_put_number(object, "page_fault_exits", piece->exits);
    json_put_number(object, "fills", piece->fills);
    json_put_number(object, "new_pages", piece->new_pages);
    json_put_number(object, "write_traps", piece->write_traps);
    json_put_number(object, "opened", piece->opened);
    json_put_number(object, "reflected", piece->reflected);
    json_put_number(object, "references", piece->loads);
}

static void put_here(struct json_object *document, const struct story *story)
{
    const struct story_here *here = &story->here;
    struct json_object *object = put_object(document, "here");
    struct json_object *array;

    json_put_text(object, "why_not", here->there ? NULL : here->why_not.text);
    if (!here->there) {
        return;
    }
    json_put_number(object, "pages", here->pages);
    json_put_number(object, "closed", here->closed);
    put_here_piece(put_object(object, "total"), &here->total);
    array = put_array(object, "accesses");
    for (unsigned i = 0; i < story->reached; i++) {
        struct json_object *one = add_object(array);

        json_put_flag(one, "filled", here->pieces[i].filled);
        json_put_number(one, "entries", here->pieces[i].entries);
        json_put_number(one, "levels", here->pieces[i].levels);
        put_here_piece(one, &here->pieces[i]);
    }
}

/* --- nested --- */

static void put_nested_walks(struct json_object *object, const struct story *story,
                             const struct story_nested *nested)
{
    struct json_object *array = put_array(object, "walks");

    for (unsigned i = 0; i < story->reached; i++) {
        const struct story_nested_walk *walk = &nested->walks[i];
        struct json_object *one = add_object(array);

        json_put_number(one, "references", walk->loads);
        json_put_number(one, "of_guest", walk->of_guest);
        json_put_flag(one, "translates", walk->status == VMMU_OK);
        if (walk->status == VMMU_OK) {
            json_put_number(one, "page_bytes", walk->page_bytes);
            json_put_hex(one, "host_physical", walk->hpa);
        }
        if (walk->status == VMMU_STAGE2) {
            json_put_hex(one, "refused_gpa", walk->fault.gpa.v);
        }
    }
}

static void put_nested(struct json_object *document, const struct story *story)
{
    static const char *const keys[STORY_STAGES] = { "own", "4k", "2m", "1g" };
    struct json_object *object = put_object(document, "nested");

    json_put_text(object, "kind", story->amd ? "npt" : "ept");
    for (unsigned i = 0; i < STORY_STAGES; i++) {
        const struct story_nested *nested = &story->nested[i];
        struct json_object *stage = put_object(object, keys[i]);

        json_put_text(stage, "why_not", nested->there ? NULL : nested->why_not.text);
        if (!nested->there) {
            continue;
        }
        json_put_number(stage, "references", nested->loads);
        json_put_number(stage, "levels", nested->levels);
        if (nested->has_tables) {
            json_put_number(stage, "table_pages", nested->table_pages);
            json_put_number(stage, "leaves_4k", nested->leaves[0]);
            json_put_number(stage, "leaves_2m", nested->leaves[1]);
            json_put_number(stage, "leaves_1g", nested->leaves[2]);
        }
        put_nested_walks(stage, story, nested);
    }
}

/* --- tags --- */

static const char *const technique_keys[STORY_TECHNIQUES] = {
    [STORY_NATIVE] = "native", [STORY_SHADOW] = "shadow", [STORY_NESTED] = "nested"
};

static void put_tags(struct json_object *document, const struct story *story)
{
    const struct story_tags *tags = &story->tags;
    struct json_object *object = put_object(document, "tags");
    struct json_object *array;

    json_put_flag(object, "pcids", tags->pcids);
    json_put_number(object, "pcid", tags->pcid);
    json_put_number(object, story->amd ? "asid" : "vpid", tags->space);
    json_put_flag(object, "global_pages", tags->global_pages);
    json_put_number(object, "globals", tags->globals);
    for (unsigned t = 0; t < STORY_TECHNIQUES; t++) {
        struct json_object *cached = put_object(object, technique_keys[t]);

        json_put_number(cached, "translations", tags->translations[t]);
        json_put_number(cached, "structures", tags->structures[t]);
    }
    array = put_array(object, "events");
    for (unsigned i = 0; i < tags->event_count; i++) {
        struct json_object *event = add_object(array);

        json_put_text(event, "event", tags->events[i].words);
        for (unsigned t = 0; t < STORY_TECHNIQUES; t++) {
            if (tags->events[i].applies[t]) {
                json_put_number(event, technique_keys[t], tags->events[i].left[t]);
            }
        }
    }
}

void story_print_json(const struct story *story)
{
    struct json_object *document = json_object_new_object();

    json_put_number(document, "vmmu_explain", 1);
    put_instruction(document, story);
    put_accesses(document, story);
    put_itself(document, story);
    put_native(document, story);
    put_shadow(document, story);
    put_here(document, story);
    put_nested(document, story);
    put_tags(document, story);
    json_print(document);
}
