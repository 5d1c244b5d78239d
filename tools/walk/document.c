/*
 * A walk as JSON.
 */
#include <stdio.h>

#include "tools/ui/json.h"
#include "tools/walk/names.h"
#include "tools/walk/render.h"

static void put_rights(struct json_object *object, const char *key, uint8_t rights)
{
    char text[ENTRY_TEXT_BYTES];

    json_put_text(object, key, rights_text(rights, text));
}

/* Every field of the entry by its name: flags, and numbers where a field is wider than a bit. */
static struct json_object *bits_of(const struct walk_entry *entry)
{
    struct json_object *object = json_object_new_object();
    const struct entry_field *fields[ENTRY_FIELDS_MOST];
    const unsigned count = entry_fields(entry->format, entry->step.level, entry->leaf, fields);

    for (unsigned i = 0; i < count; i++) {
        const uint64_t value = entry_field_value(fields[i], entry->step.value);

        if (fields[i]->width_bits == 1) {
            json_put_flag(object, fields[i]->name, value != 0);
        } else {
            json_put_number(object, fields[i]->name, value);
        }
    }
    return object;
}

static struct json_object *entry_object(const struct walk_model *model, const struct walk_entry *entry)
{
    static const char *const stages[] = {
        [VMMU_X86_STAGE_GUEST] = "guest",
        [VMMU_X86_STAGE_SECOND] = "second",
        [VMMU_X86_STAGE_REGISTER] = "register",
    };
    struct json_object *object = json_object_new_object();
    char text[WALK_SENTENCE_BYTES];

    json_put_number(object, "reference", entry->number);
    json_put_text(object, "stage", stages[entry->step.stage]);
    json_put_text(object, "name", walk_entry_name(entry, text));
    json_put_number(object, "level", entry->step.level);
    json_put_number(object, "row", entry->row);
    if (entry->step.stage != VMMU_X86_STAGE_REGISTER) {
        json_put_hex(object, "address", entry->step.address);
        json_put_hex(object, "place", entry->step.place);
    }
    json_put_hex(object, "value", entry->step.value);
    json_put_flag(object, "present", entry->present);
    json_put_flag(object, "leaf", entry->leaf);
    json_object_object_add(object, "bits", bits_of(entry));
    if (entry->present) {
        json_put_hex(object, "reserved", entry->reserved);
        json_put_hex(object, "target", entry->target);
    }
    json_put_text(object, "forbids", walk_refusal_text(model, entry, text));
    return object;
}

static struct json_object *entries_of(const struct walk_model *model)
{
    struct json_object *array = json_object_new_array();

    for (unsigned i = 0; i < model->entry_count; i++) {
        json_object_array_add(array, entry_object(model, &model->entries[i]));
    }
    return array;
}

static struct json_object *access_of(const struct walk_model *model)
{
    struct json_object *object = json_object_new_object();

    json_put_text(object, "kind", walk_kind_words[model->access.kind]);
    json_put_flag(object, "user", model->access.user && !model->access.implicit);
    json_put_flag(object, "implicit", model->access.implicit);
    json_put_flag(object, "eflags_ac", model->access.eflags_ac);
    return object;
}

static struct json_object *translation_of(const struct walk_model *model)
{
    struct json_object *object = json_object_new_object();
    const bool second = model->two_dimensional && model->status == VMMU_OK;

    json_put_hex(object, model->two_dimensional ? "guest_physical" : "physical", model->guest.gpa.v);
    json_put_number(object, "page_bytes", model->guest.page_bytes);
    put_rights(object, "rights", model->guest.rights);
    if (second) {
        json_put_hex(object, "physical", model->host.hpa.v);
        json_put_number(object, "second_page_bytes", model->host.page_bytes);
        put_rights(object, "second_rights", model->host.rights);
        json_put_text(object, "second_type", memory_type_word(model->second_type));
    }
    if (model->mode.paging != VMMU_X86_PAGING_NONE) {
        json_put_text(object, "pat_type", memory_type_word(model->guest_type));
        json_put_number(object, "pat_entry", model->guest.pat_index);
        json_put_flag(object, "pat_known", model->pat_known);
    }
    if (model->type != WALK_TYPE_OPEN) {
        json_put_text(object, "memory_type", memory_type_word(model->type));
    }
    json_put_number(object, "key", model->guest.key);
    json_put_flag(object, "global", model->guest.global);
    json_put_flag(object, "dirty", model->guest.dirty);
    return object;
}

static struct json_object *errors_of(const struct walk_model *model)
{
    static const char *const subjects[WALK_SUBJECTS] = { "user", "supervisor", "supervisor_ac", "implicit" };
    struct json_object *object = json_object_new_object();

    for (unsigned subject = 0; subject < WALK_SUBJECTS; subject++) {
        struct json_object *row = json_object_new_object();

        for (unsigned kind = 0; kind < WALK_KINDS; kind++) {
            json_put_number(row, walk_kind_words[kind], model->errors[subject][kind]);
        }
        json_object_object_add(object, subjects[subject], row);
    }
    return object;
}

static struct json_object *causes_of(const struct walk_model *model)
{
    struct json_object *array = json_object_new_array();

    for (unsigned i = 0; i < model->cause_count; i++) {
        const struct walk_cause *cause = &model->causes[i];
        struct json_object *object = json_object_new_object();
        char text[WALK_SENTENCE_BYTES];

        if (cause->entry >= 0) {
            json_put_number(object, "entry", (uint64_t)cause->entry);
        }
        if (cause->bits != 0) {
            json_put_hex(object, "bits", cause->bits);
        }
        if (cause->reason == WALK_ABSENT || cause->reason == WALK_TOO_WIDE) {
            json_put_hex(object, "address", cause->address);
        }
        json_put_text(object, "because", walk_cause_text(model, cause, text));
        json_object_array_add(array, object);
    }
    return array;
}

/* "fault" and what belongs to it; nothing if the access is allowed. */
static void put_fault(const struct walk_model *model, struct json_object *object)
{
    struct json_object *fault = json_object_new_object();
    const struct vmmu_x86_stage2_fault *second = &model->stage2_fault;

    if (model->status == VMMU_GUEST_FAULT) {
        json_put_text(fault, "kind", model->fault.vector == VMMU_X86_VECTOR_PF ? "#PF" : "#GP");
        json_put_number(fault, "error_code", model->fault.error_code);
        if (model->fault.vector == VMMU_X86_VECTOR_PF) {
            json_put_hex(fault, "cr2", model->fault.cr2);
        }
    } else if (model->status == VMMU_STAGE2) {
        const bool npt = model->second.kind == VMMU_X86_STAGE2_NPT;
        const bool violation = second->reason != VMMU_X86_STAGE2_MISCONFIGURED;

        json_put_text(fault, "kind", npt ? "NPF" : violation ? "EPT violation" : "EPT misconfiguration");
        json_put_hex(fault, "guest_physical", second->gpa.v);
        json_put_hex(fault, npt ? "exitinfo1" : "qualification",
                     npt ? second->exitinfo1 : second->qualification);
    } else {
        json_put_text(fault, "kind", "absent");
    }
    json_object_object_add(fault, "causes", causes_of(model));
    json_object_object_add(object, "fault", fault);
}

static struct json_object *shadow_object(const struct walk_shadow *shadow)
{
    struct json_object *object = walk_document(&shadow->walk, NULL);
    struct json_object *tables = json_object_new_array();

    json_put_hex(object, "cr3", shadow->cr3);
    for (unsigned i = 0; i < shadow->walk.entry_count && i < VMMU_X86_MAX_LEVELS; i++) {
        const struct partition_table *table = shadow->tables[i];
        struct json_object *row = json_object_new_object();

        json_put_flag(row, "known", table != NULL);
        if (table) {
            json_put_flag(row, "ours", table->ours);
            json_put_flag(row, "protected", table->closed);
            if (!table->ours) {
                json_put_hex(row, "guest_table", table->gpa);
            }
        }
        json_object_array_add(tables, row);
    }
    json_object_object_add(object, "tables", tables);
    if (shadow->has_place) {
        json_put_hex(object, "expected", shadow->place);
    }
    json_put_flag(object, "agrees",
                  shadow->agreement != WALK_OTHER_PLACE && shadow->agreement != WALK_SHADOW_ALONE);
    json_put_text(object, "verdict", walk_agreement_words(shadow->agreement));
    return object;
}

static struct json_object *second_of(const struct vmmu_x86_stage2 *second)
{
    struct json_object *object = json_object_new_object();

    json_put_text(object, "kind", second->kind == VMMU_X86_STAGE2_EPT ? "ept" : "npt");
    json_put_number(object, "levels", vmmu_format_of(&second->layout)->levels);
    json_put_hex(object, "root", second->root.v);
    return object;
}

struct json_object *walk_document(const struct walk_model *model, const struct walk_shadow *shadow)
{
    struct json_object *object = json_object_new_object();
    const bool paging = model->mode.paging != VMMU_X86_PAGING_NONE;

    json_put_hex(object, "va", model->va);
    json_object_object_add(object, "access", access_of(model));
    json_put_text(object, "paging", paging ? format_words(model->mode.layout.format) : "off");
    if (paging) {
        json_put_hex(object, "root", model->mode.root.v);
    }
    if (model->two_dimensional) {
        json_object_object_add(object, "second", second_of(&model->second));
    }
    json_put_number(object, "references", model->loads);
    json_object_object_add(object, "entries", entries_of(model));
    if (model->translates) {
        json_object_object_add(object, "translation", translation_of(model));
        json_object_object_add(object, "errors", errors_of(model));
    }
    if (model->status != VMMU_OK) {
        put_fault(model, object);
    }
    if (shadow) {
        json_object_object_add(object, "shadow", shadow_object(shadow));
    }
    return object;
}
