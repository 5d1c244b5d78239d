/*
 * A walk as text.
 */
#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <string.h>

#include "tools/ui/paint.h"
#include "tools/walk/names.h"
#include "tools/walk/render.h"

#define LABEL "%-12s"

const char *const walk_kind_words[WALK_KINDS] = { "read", "write", "execute" };

static const char *paging_words(const struct walk_model *model)
{
    return model->mode.paging == VMMU_X86_PAGING_NONE ? "paging off"
                                                      : format_words(model->mode.layout.format);
}

static void print_label(const char *label)
{
    printf("%s" LABEL "%s", paint_on(PAINT_HEAD), label, paint_off());
}

static void print_head(const struct walk_model *model)
{
    const struct vmmu_x86_access access = model->access;
    const bool user = access.user && !access.implicit;

    printf("%s%" PRIx64 "%s: %s %s%s%s", paint_on(PAINT_HEAD), model->va, paint_off(),
           user ? "user" : "supervisor", walk_kind_words[access.kind], access.implicit ? ", implicit" : "",
           access.eflags_ac ? ", EFLAGS.AC = 1" : "");
    if (model->mode.paging == VMMU_X86_PAGING_NONE) {
        printf("; paging is off");
    } else {
        printf("; %s paging, root %" PRIx64, paging_words(model), model->mode.root.v);
    }
    if (model->two_dimensional) {
        printf(";\n  second stage %s, root %" PRIx64,
               model->second.kind == VMMU_X86_STAGE2_EPT ? format_words(model->second.layout.format) : "NPT",
               model->second.root.v);
    }
    printf("\n\n");
}

/* Where an entry leads to, in few characters. */
static void print_target(const struct walk_entry *entry, const struct vmmu_x86_level *level)
{
    char size[ENTRY_TEXT_BYTES];

    if (!entry->present) {
        printf("%snot present%s", paint_on(PAINT_BAD), paint_off());
    } else if (entry->reserved != 0) {
        printf("%sreserved bits%s", paint_on(PAINT_BAD), paint_off());
    } else if (entry->leaf) {
        printf("%s page %" PRIx64, size_text(vmmu_format_level_bytes(level), size), entry->target);
    } else {
        printf("table %" PRIx64, entry->target);
    }
}

static bool is_blamed(const struct walk_model *model, unsigned index)
{
    for (unsigned i = 0; i < model->cause_count; i++) {
        if (model->causes[i].entry == (int)index && model->causes[i].reason != WALK_ABSENT) {
            return true;
        }
    }
    return false;
}

/* Two lines: where and what it is; its bits, and what it takes from whom. */
static void print_entry(const struct walk_model *model, unsigned index)
{
    const struct walk_entry *entry = &model->entries[index];
    const struct vmmu_x86_format *format = &vmmu_x86_formats[entry->format];
    const struct vmmu_x86_level *level = &format->level[entry->step.level];
    const uint64_t table_bytes = (uint64_t)vmmu_format_entries(level) * format->entry_bytes;
    const bool in_register = entry->step.stage == VMMU_X86_STAGE_REGISTER;
    const unsigned position =
        in_register ? vmmu_format_index(level, model->va)
                    : (unsigned)((entry->step.address & (table_bytes - 1)) / format->entry_bytes);
    char bits[ENTRY_TEXT_BYTES];
    char text[WALK_SENTENCE_BYTES];
    const enum paint paint = is_blamed(model, index) ? PAINT_BAD : PAINT_PLAIN;
    char place[24];
    char name[32];

    if (in_register) {
        snprintf(place, sizeof(place), "register");
    } else {
        snprintf(place, sizeof(place), "%" PRIx64, entry->step.address);
    }
    snprintf(name, sizeof(name), "%.16s[%u]", walk_entry_name(entry, text), position);
    printf("%3.0u  %s%-14s%s  %12s  %s%0*" PRIx64 "%s%*s  ", entry->number, paint_on(paint), name,
           paint_off(), place, paint_on(PAINT_NOTE), format->entry_bytes * 2, entry->step.value, paint_off(),
           16 - format->entry_bytes * 2, "");
    print_target(entry, level);
    printf("\n");
    if (!entry->present) {
        return;
    }
    entry_bits_text(entry->format, entry->step.level, entry->leaf, entry->step.value, bits);
    walk_refusal_text(model, entry, text);
    printf("%5s%s%-*s%s", "", paint_on(PAINT_DIM), text[0] != '\0' ? 28 : 0, bits, paint_off());
    printf("%s%s\n", text[0] != '\0' ? "  forbids: " : "", text);
}

/* What the references of a row of the grid are for. */
static void print_question(const struct walk_model *model, const struct walk_entry *entry)
{
    uint64_t gpa;

    if (model->two_dimensional && walk_row_address(model, entry->row, &gpa)) {
        printf("%s     where is guest-physical %" PRIx64 ", %s%s?%s\n", paint_on(PAINT_DIM), gpa,
               entry->row > 0 ? "the guest's " : "the page itself",
               entry->row > 0 ? entry_name(model->mode.layout.format, entry->row) : "", paint_off());
    }
}

void walk_print_entries(const struct walk_model *model)
{
    if (model->entry_count == 0) {
        return;
    }
    printf("%s  #  %-14s  %12s  %-16s  leads to%s\n", paint_on(PAINT_HEAD), "entry", "at", "value",
           paint_off());
    for (unsigned i = 0; i < model->entry_count; i++) {
        if (i == 0 || model->entries[i].row != model->entries[i - 1].row) {
            print_question(model, &model->entries[i]);
        }
        print_entry(model, i);
    }
    printf("\n");
}

/* --- the result --- */

static void print_type(const struct walk_model *model)
{
    print_label("memory type");
    if (model->uncached) {
        printf("UC: CR0.CD is set\n");
        return;
    }
    if (model->two_dimensional && model->status == VMMU_OK && model->type != WALK_TYPE_OPEN) {
        printf("%s: ", memory_type_word(model->type));
    }
    if (model->two_dimensional && model->status == VMMU_OK && model->second.kind == VMMU_X86_STAGE2_EPT &&
        model->host.ignore_pat) {
        printf("the EPT leaf's, which ignores the PAT\n");
        return;
    }
    if (model->mode.paging == VMMU_X86_PAGING_NONE) {
        printf("%s as paging is off", memory_type_word(model->guest_type));
    } else {
        printf("%s by entry %u of the PAT%s", memory_type_word(model->guest_type), model->guest.pat_index,
               model->pat_known ? "" : " as it is reset (--pat)");
    }
    if (model->two_dimensional && model->status == VMMU_OK) {
        printf(", %s by the %s leaf", memory_type_word(model->second_type),
               model->second.kind == VMMU_X86_STAGE2_EPT ? "EPT" : "NPT");
    }
    printf("\n");
}

static void print_page(const char *label, uint64_t address, uint64_t frame, uint64_t page_bytes)
{
    char size[ENTRY_TEXT_BYTES];

    print_label(label);
    printf("%s%" PRIx64 "%s in the %s page at %" PRIx64 "\n", paint_on(PAINT_GOOD), address, paint_off(),
           size_text(page_bytes, size), frame);
}

static void print_result(const struct walk_model *model)
{
    const bool two = model->two_dimensional;
    char rights[ENTRY_TEXT_BYTES];

    print_page(two ? "guest-phys." : "physical", model->guest.gpa.v, model->guest.frame.v,
               model->guest.page_bytes);
    if (two && model->status == VMMU_OK) {
        print_page("physical", model->host.hpa.v, model->host.frame.v, model->host.page_bytes);
    }
    print_type(model);
    print_label("rights");
    printf("%s", rights_text(model->guest.rights, rights));
    if (two && model->status == VMMU_OK) {
        printf(" by the guest's tables, %.3s by the second stage's", rights_text(model->host.rights, rights));
    }
    printf("%s%s", model->guest.global ? "; global" : "", model->guest.dirty ? "; dirty" : "");
    if (model->guest.key != 0) {
        printf("; protection key %u", model->guest.key);
    }
    printf("\n");
}

/* What every kind of access would get. */
static void print_rights(const struct walk_model *model)
{
    static const char *const subjects[WALK_SUBJECTS] = { "user", "supervisor", "  with EFLAGS.AC",
                                                         "  implicit" };

    printf("\n%s%-18s %-12s %-12s %s%s\n", paint_on(PAINT_HEAD),
           model->two_dimensional ? "by the guest" : "access", walk_kind_words[0], walk_kind_words[1],
           walk_kind_words[2], paint_off());
    for (unsigned subject = 0; subject < WALK_SUBJECTS; subject++) {
        if (subject > WALK_AS_SUPERVISOR && !model->mode.smap) {
            break; /* the same as other supervisor accesses */
        }
        printf("%-18s ", subjects[subject]);
        for (unsigned kind = 0; kind < WALK_KINDS; kind++) {
            const uint32_t error = model->errors[subject][kind];
            char word[24] = "yes";

            if (error != 0) {
                snprintf(word, sizeof(word), "#PF %" PRIx32, error);
            }
            printf("%s%-*s%s", paint_on(error != 0 ? PAINT_BAD : PAINT_GOOD), kind < 2 ? 13 : 0, word,
                   paint_off());
        }
        printf("\n");
    }
}

/* --- faults --- */

struct named_bit {
    uint64_t bit;
    const char *name;
};

static void print_bits(const char *name, uint64_t value, const struct named_bit *bits, size_t count)
{
    const char *between = " (";

    printf("%s %" PRIx64, name, value);
    for (size_t i = 0; i < count; i++) {
        if ((value & bits[i].bit) != 0) {
            printf("%s%s", between, bits[i].name);
            between = ", ";
        }
    }
    printf("%s", between[0] == ',' ? ")" : "");
}

static void print_npf(const struct vmmu_x86_stage2_fault *fault)
{
    static const struct named_bit bits[] = {
        { VMMU_X86_PF_PRESENT, "P" },
        { VMMU_X86_PF_WRITE, "W/R" },
        { VMMU_X86_PF_USER, "U/S" },
        { VMMU_X86_PF_RESERVED, "RSV" },
        { VMMU_X86_PF_FETCH, "I/D" },
        { VMMU_X86_NPF_FINAL, "final address" },
        { VMMU_X86_NPF_GUEST_TABLE, "guest table" },
    };

    printf("#VMEXIT(NPF) at guest-physical %" PRIx64 ", ", fault->gpa.v);
    print_bits("EXITINFO1", fault->exitinfo1, bits, sizeof(bits) / sizeof(bits[0]));
}

static void print_ept_fault(const struct vmmu_x86_stage2_fault *fault)
{
    static const struct named_bit bits[] = {
        { VMMU_X86_EPT_VIOLATION_READ, "read" },
        { VMMU_X86_EPT_VIOLATION_WRITE, "write" },
        { VMMU_X86_EPT_VIOLATION_FETCH, "fetch" },
        { VMMU_X86_EPT_VIOLATION_READABLE, "readable" },
        { VMMU_X86_EPT_VIOLATION_WRITABLE, "writable" },
        { VMMU_X86_EPT_VIOLATION_EXECUTABLE, "executable" },
        { VMMU_X86_EPT_VIOLATION_LINEAR, "linear address known" },
        { VMMU_X86_EPT_VIOLATION_FINAL, "final address" },
    };

    if (fault->reason == VMMU_X86_STAGE2_MISCONFIGURED) {
        printf("EPT misconfiguration at guest-physical %" PRIx64, fault->gpa.v);
        return;
    }
    printf("EPT violation at guest-physical %" PRIx64 ",\n" LABEL, fault->gpa.v, "");
    print_bits("qualification", fault->qualification, bits, sizeof(bits) / sizeof(bits[0]));
}

static void print_fault(const struct walk_model *model)
{
    char text[WALK_SENTENCE_BYTES];
    char code[ENTRY_TEXT_BYTES];

    printf("%s", paint_on(PAINT_BAD));
    printf(LABEL, model->status == VMMU_ABSENT ? "unknown" : "fault");
    printf("%s", paint_off());
    if (model->status == VMMU_STAGE2 && model->second.kind == VMMU_X86_STAGE2_NPT) {
        print_npf(&model->stage2_fault);
    } else if (model->status == VMMU_STAGE2) {
        print_ept_fault(&model->stage2_fault);
    } else if (model->status != VMMU_GUEST_FAULT) {
        printf("the walk leads to memory that is not in the image");
    } else if (model->fault.vector != VMMU_X86_VECTOR_PF) {
        printf("#GP(0), or #SS(0) by the stack segment");
    } else {
        printf("#PF, error code %s, CR2 %" PRIx64, error_code_text(model->fault.error_code, code),
               model->fault.cr2);
    }
    printf("\n");
    for (unsigned i = 0; i < model->cause_count; i++) {
        print_label(i == 0 ? "because" : "and");
        printf("%s\n", walk_cause_text(model, &model->causes[i], text));
    }
}

static void print_references(const struct walk_model *model)
{
    unsigned second = 0;

    for (unsigned i = 0; i < model->entry_count; i++) {
        second += model->entries[i].step.stage == VMMU_X86_STAGE_SECOND;
    }
    print_label("references");
    printf("%u", model->loads);
    if (model->two_dimensional) {
        printf(" to memory: %u to the guest's tables, %u to the second stage's", model->loads - second,
               second);
    } else {
        printf(" to memory");
    }
    printf("\n");
}

void walk_print(const struct walk_model *model)
{
    print_head(model);
    if (model->two_dimensional && model->entry_count > 0) {
        walk_print_grid(model, strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
    }
    walk_print_entries(model);
    if (model->status != VMMU_OK) {
        print_fault(model);
    }
    if (model->translates) {
        printf("%s", model->status != VMMU_OK ? "\n" : "");
        print_result(model);
    }
    print_references(model);
    if (model->translates) {
        print_rights(model);
    }
}

void walk_print_shadow(const struct walk_model *guest, const struct walk_shadow *shadow)
{
    const struct walk_model *walk = &shadow->walk;
    const bool bad = shadow->agreement == WALK_OTHER_PLACE || shadow->agreement == WALK_SHADOW_ALONE;

    printf("\n%sshadow%s of it, by which the processor walks: %s, root %" PRIx64 "\n\n", paint_on(PAINT_HEAD),
           paint_off(), format_words(walk->mode.layout.format), shadow->cr3);
    walk_print_entries(walk);
    for (unsigned i = 0; i < walk->entry_count && i < VMMU_X86_MAX_LEVELS; i++) {
        const struct partition_table *table = shadow->tables[i];

        print_label(i == 0 ? "tables" : "");
        printf("%s ", entry_name(walk->entries[i].format, walk->entries[i].step.level));
        if (!table) {
            printf("in no shadow page that the dump lists\n");
        } else if (table->ours) {
            printf("in a table of the hypervisor's own\n");
        } else {
            printf("shadows the guest's table at %" PRIx64 ", %s\n", table->gpa,
                   table->closed ? "write-protected" : "which it may write");
        }
    }
    if (walk->translates) {
        print_page("physical", walk->guest.gpa.v, walk->guest.frame.v, walk->guest.page_bytes);
    }
    if (shadow->has_place) {
        print_label("should be");
        printf("%" PRIx64 " (guest-physical %" PRIx64 ")\n", shadow->place, guest->guest.gpa.v);
    }
    print_label("verdict");
    printf("%s%s%s\n", paint_on(bad ? PAINT_BAD : PAINT_GOOD), walk_agreement_words(shadow->agreement),
           paint_off());
}
