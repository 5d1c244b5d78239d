/*
 * The story for people: at most 80 columns, a table of numbers for each technique, and what they mean below it.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/explain/story.h"
#include "tools/ui/paint.h"
#include "tools/walk/names.h"

#define LINE_COLUMNS   79
#define COLUMNS_MOST   6 /* accesses that have a column of their own */
#define SENTENCE_BYTES 600

/* A sentence, broken between words, two columns from the edge. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char text[SENTENCE_BYTES];
    unsigned column = 0;
    va_list values;

    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    for (char *rest = text, *word; (word = strsep(&rest, " ")) != NULL;) {
        const unsigned length = (unsigned)strlen(word);

        if (column != 0 && column + 1 + length > LINE_COLUMNS) {
            putchar('\n');
            column = 0;
        }
        column += (unsigned)printf("%s%s", column == 0 ? "  " : " ", word);
    }
    putchar('\n');
}

static void head(const char *name, const char *what)
{
    printf("\n%s%s%s: %s\n", paint_on(PAINT_HEAD), name, paint_off(), what);
}

static const char *plural(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

/* "2 write 0x1234", padded. */
static void put_piece(const struct story *story, unsigned piece)
{
    const struct access *access = access_of(story, piece);
    char text[48];

    snprintf(text, sizeof text, "%s 0x%" PRIx64,
             access->kind == VMMU_X86_WRITE ? "write" : access_kind_words(access),
             story->list.pieces[piece].linear);
    printf(" %2u %-25s", piece + 1, text);
}

/* --- the instruction --- */

static const char *width_words(enum vmmu_insn_width width)
{
    switch (width) {
    case VMMU_INSN_16: return "16-bit code";
    case VMMU_INSN_32: return "32-bit code";
    case VMMU_INSN_64: return "64-bit code";
    }
    __builtin_unreachable();
}

static const char *paging_words(enum vmmu_x86_paging paging)
{
    switch (paging) {
    case VMMU_X86_PAGING_NONE: return "no paging";
    case VMMU_X86_PAGING_32BIT: return "32-bit paging";
    case VMMU_X86_PAGING_PAE: return "PAE paging";
    case VMMU_X86_PAGING_4LEVEL: return "4-level paging";
    case VMMU_X86_PAGING_5LEVEL: return "5-level paging";
    }
    __builtin_unreachable();
}

static void print_instruction(const struct story *story)
{
    const struct code *code = &story->code;

    if (story->decoded) {
        printf("%s%s%s\n ", paint_on(PAINT_NOTE), code->text, paint_off());
        for (unsigned i = 0; i < code->insn.length; i++) {
            printf(" %02x", code->bytes[i]);
        }
        putchar('\n');
    } else {
        printf("%s%s%s: the instruction is not known\n", paint_on(PAINT_BAD),
               code->count == 0 ? "RIP is not mapped" : "It runs into a page that is not mapped",
               paint_off());
    }
    printf("  rip 0x%" PRIx64 ", %s, CPL %u; CR3 0x%" PRIx64 ", %s\n", code->rip, width_words(code->width),
           story->state.cpl, story->machine->registers.cr3, paging_words(story->machine->mode.paging));
    if (!story->registers_known) {
        say("The image holds no general registers: they count as zero unless --set.");
    }
}

static const char *const segment_names[] = {
    [VMMU_X86_ES] = "es", [VMMU_X86_CS] = "cs", [VMMU_X86_SS] = "ss",
    [VMMU_X86_DS] = "ds", [VMMU_X86_FS] = "fs", [VMMU_X86_GS] = "gs",
};

static void print_accesses(const struct story *story)
{
    const struct access_list *list = &story->list;

    head("ACCESSES", list->piece_count == 1 ? "one, as pages see it" : "each is translated by itself");
    if (list->piece_count == 0) {
        say("None: the instruction is given by hand, with no place, and names no memory.");
    }
    for (unsigned i = 0; i < list->piece_count; i++) {
        const struct access *access = access_of(story, i);
        char where[40] = "";

        if (access->effective != access->linear) {
            snprintf(where, sizeof where, " at %s:0x%" PRIx64, segment_names[access->segment],
                     access->effective);
        }
        printf(" %2u %-14s 0x%-18" PRIx64 "%5u %-5s  %s%s\n", i + 1, access_kind_words(access),
               list->pieces[i].linear, list->pieces[i].bytes, plural(list->pieces[i].bytes, "byte", "bytes"),
               access->what, where);
    }
    if (list->repeats != 1) {
        say("It repeats %" PRIu64 " times; the first turn is told.", list->repeats);
    }
    for (unsigned i = 0; i < list->note_count; i++) {
        say("Besides, %s.", list->notes[i]);
    }
}

static const char *vector_words(uint8_t vector)
{
    switch (vector) {
    case STORY_VECTOR_UD: return "#UD";
    case VMMU_X86_VECTOR_SS: return "#SS";
    case VMMU_X86_VECTOR_PF: return "#PF, a page fault";
    default: return "#GP";
    }
}

static void say_exit(const char *technique, const struct story_exit *exit)
{
    static const char *const verbs[] = {
        [STORY_STAYS] = "does not exit", [STORY_EXITS] = "exits", [STORY_EXITS_AT_TIMES] = "exits at times"
    };

    say("Under %s paging it %s: %s.", technique, verbs[exit->exits], exit->why);
}

static void print_itself(const struct story *story)
{
    const struct story_itself *itself = &story->itself;

    if (!itself->what) {
        return;
    }
    head("THE INSTRUCTION ITSELF", itself->what);
    if (itself->vector != 0) {
        say("Natively it raises %s, once it is fetched.", vector_words(itself->vector));
    }
    if (itself->shadow.exits == itself->nested.exits && itself->shadow.why == itself->nested.why) {
        say_exit("shadow and nested", &itself->shadow);
    } else {
        say_exit("shadow", &itself->shadow);
        say_exit("nested", &itself->nested);
    }
}

/* --- native --- */

static void print_native_piece(const struct story *story, unsigned piece)
{
    const struct walk_model *walk = &story->native[piece];
    char size[ENTRY_TEXT_BYTES];
    char rights[ENTRY_TEXT_BYTES];

    put_piece(story, piece);
    if (access_of(story, piece)->refused != 0) {
        printf("    -  the segment refuses it: %s\n", vector_words(access_of(story, piece)->refused));
        return;
    }
    printf("%5u  ", walk->loads);
    if (walk->status == VMMU_OK) {
        printf("%-7s %-5s %-3s 0x%" PRIx64 "\n", size_text(walk->guest.page_bytes, size),
               rights_text(walk->guest.rights, rights), memory_type_word(walk->guest_type),
               walk->guest.gpa.v);
    } else if (walk->status == VMMU_GUEST_FAULT) {
        printf("%s%s%s\n", paint_on(PAINT_BAD), vector_words(walk->fault.vector), paint_off());
    } else {
        printf("%sthe image lacks a table%s\n", paint_on(PAINT_BAD), paint_off());
    }
}

static void print_causes(const struct walk_model *walk)
{
    char sentence[WALK_SENTENCE_BYTES];
    char code[ENTRY_TEXT_BYTES];

    if (walk->status == VMMU_GUEST_FAULT && walk->fault.vector == VMMU_X86_VECTOR_PF) {
        say("The error code is %s, CR2 0x%" PRIx64 ".", error_code_text(walk->fault.error_code, code),
            walk->fault.cr2);
    }
    for (unsigned i = 0; i < walk->cause_count; i++) {
        say("%s.", walk_cause_text(walk, &walk->causes[i], sentence));
    }
}

static void print_marks(const struct story *story)
{
    unsigned entries = 0;

    for (unsigned i = 0; i < story->reached; i++) {
        for (unsigned e = 0; e < story->native[i].entry_count; e++) {
            entries += story->native[i].entries[e].step.marks != 0;
        }
    }
    if (entries != 0) {
        say("On the way the processor sets accessed or dirty bits in %u %s.", entries,
            plural(entries, "entry", "entries"));
    }
}

static void print_native(const struct story *story)
{
    head("NATIVE", "the processor walks the page tables, from A to B");
    printf("    %-25s refs  %-7s %-5s %-3s goes to\n", "access", "page", "may", "as");
    for (unsigned i = 0; i < story->reached; i++) {
        print_native_piece(story, i);
    }
    if (story->reached > 1) {
        printf("    %-25s%5u\n", "together", story->native_loads);
    }
    if (story->end != STORY_GOES_ON) {
        print_causes(&story->native[story->reached - 1]);
        say("The instruction ends there; what would follow is not reached.");
    }
    print_marks(story);
}

/* --- shadow --- */

static const char *end_words(enum story_end end)
{
    switch (end) {
    case STORY_GOES_ON: return "";
    case STORY_FAULT: return "  fault";
    case STORY_DEVICE: return "  device";
    case STORY_EMULATED: return "  emulated";
    case STORY_NOT_KNOWN: return "  unknown";
    }
    __builtin_unreachable();
}

static void print_shadow_costs(const struct story_shadow *shadow, const struct story *story)
{
    printf("    %-25s exits fills tables refs  then exits refs\n", "access");
    for (unsigned i = 0; i < story->reached; i++) {
        const struct engine_shadow_cost *first = &shadow->first[i].cost;
        const struct engine_shadow_cost *again = &shadow->again[i].cost;

        put_piece(story, i);
        printf("%6" PRIu64 "%6" PRIu64 "%7" PRIu64 "%5" PRIu64 "%12" PRIu64 "%5" PRIu64 "%s\n",
               first->page_fault_exits, first->fills, first->new_pages, first->loads, again->page_fault_exits,
               again->loads, end_words(shadow->ends[i]));
    }
    if (story->reached > 1) {
        printf("    %-25s%6" PRIu64 "%6" PRIu64 "%7" PRIu64 "%5" PRIu64 "%12" PRIu64 "%5" PRIu64 "\n",
               "together", shadow->cost.page_fault_exits, shadow->cost.fills, shadow->cost.new_pages,
               shadow->cost.loads, shadow->cost_again.page_fault_exits, shadow->cost_again.loads);
    }
}

static void print_tables(const struct story_shadow *shadow)
{
    char list[SENTENCE_BYTES / 2];
    unsigned used = 0;
    unsigned shown = 0;

    for (; shown < shadow->table_count && used + 40 < sizeof list; shown++) {
        used += (unsigned)snprintf(list + used, sizeof list - used, "%s0x%" PRIx64 " (%u)",
                                   shown == 0 ? "" : ", ", shadow->tables[shown].gpa,
                                   shadow->tables[shown].level);
    }
    if (shown == 0) {
        say("No table of the guest's is on the way: there is nothing to protect.");
        return;
    }
    say("The guest's tables on the way, with their levels: %s%s.", list,
        shown < shadow->table_count ? ", ..." : "");
    if (shadow->switches != 0) {
        say("The guest may write them at first. After %u address-space %s without a change all of them are "
            "write-protected: a store to one of them exits, to be emulated or to have the table opened "
            "again, and "
            "a MOV CR3 flushes %s.",
            shadow->switches, plural(shadow->switches, "switch", "switches"),
            shadow->switch_flushes == 0 ? "nothing" : "the tag");
    } else {
        say("The guest may write them: what is made from them is compared whenever CR3 is loaded.");
    }
}

static void print_here(const struct story *story)
{
    const struct story_here *here = &story->here;

    printf("  %sHere and now%s, with the dump's %" PRIu64 " shadow pages (%" PRIu64
           " behind protected tables):\n",
           paint_on(PAINT_NOTE), paint_off(), here->pages, here->closed);
    printf("    %-25s  filled exits fills tables traps\n", "access");
    for (unsigned i = 0; i < story->reached; i++) {
        const struct story_here_piece *piece = &here->pieces[i];
        char filled[24];

        if (piece->filled) {
            snprintf(filled, sizeof filled, "all");
        } else {
            snprintf(filled, sizeof filled, "%u of %u", piece->entries, piece->levels);
        }
        put_piece(story, i);
        printf("%8s%6u%6u%7u%6u%s\n", filled, piece->exits, piece->fills, piece->new_pages,
               piece->write_traps, piece->opened != 0 ? "  opened" : end_words(piece->end));
        if (piece->end != STORY_GOES_ON) {
            break;
        }
    }
    printf("    %-33s%6u%6u%7u%6u\n", "together", here->total.exits, here->total.fills, here->total.new_pages,
           here->total.write_traps);
}

static void print_shadow(const struct story *story)
{
    const struct story_shadow *shadow = &story->shadow;

    head("SHADOW", "it walks tables of the hypervisor's own, from A to C at once");
    if (!shadow->there) {
        say("Not told: %s.", shadow->why_not.text);
    } else {
        print_shadow_costs(shadow, story);
        say("Each fault that finds our tables empty exits and fills in one entry, and the tables that lead "
            "to "
            "it; the root is made when CR3 is loaded, which exits, too.");
        if (shadow->cost.prefills != 0) {
            say("%" PRIu64 " more %s filled in beside them unasked.", shadow->cost.prefills,
                plural(shadow->cost.prefills, "entry was", "entries were"));
        }
        print_tables(shadow);
    }
    if (story->here.there) {
        print_here(story);
    }
}

/* --- nested --- */

static void print_nested_row(const struct story *story, const struct story_nested *nested)
{
    bool over = false; /* the instruction ends at an access before */

    printf("    %-21s ", nested->words);
    if (!nested->there) {
        printf("%s\n", nested->why_not.text);
        return;
    }
    if (nested->has_tables) {
        printf("%8u", nested->table_pages);
    } else {
        printf("%8s", "");
    }
    for (unsigned i = 0; i < story->reached && i < COLUMNS_MOST; i++) {
        if (over) {
            printf("%6s", "");
        } else {
            printf("%6u", nested->walks[i].loads);
        }
        over = over || nested->walks[i].status != VMMU_OK;
    }
    printf("%6u\n", nested->loads);
}

/* Why the two-dimensional walk of the last access takes so many references, where the sum is plain. */
static void print_sum(const struct story *story)
{
    for (unsigned i = 0; i < STORY_STAGES; i++) {
        const struct story_nested *nested = &story->nested[i];
        const struct story_nested_walk *walk =
            story->reached != 0 ? &nested->walks[story->reached - 1] : NULL;

        if (nested->there && walk && walk->status == VMMU_OK && walk->of_guest != 0 &&
            walk->of_guest * (nested->levels + 1) + nested->levels == walk->loads) {
            say("The guest's %u %s at %s, each %u references of the second stage away, and so is the address "
                "that they lead to: %u x (%u + 1) + %u = %u.",
                walk->of_guest, plural(walk->of_guest, "entry stands", "entries stand"),
                plural(walk->of_guest, "a guest-physical address", "guest-physical addresses"),
                nested->levels, walk->of_guest, nested->levels, nested->levels, walk->loads);
            return;
        }
    }
}

static void print_stage2_fault(const struct story *story)
{
    const struct story_nested *nested = &story->nested[story->nested[STORY_OWN].there ? STORY_OWN : STORY_1G];
    const struct story_nested_walk *walk = story->reached != 0 ? &nested->walks[story->reached - 1] : NULL;

    if (nested->there && walk && walk->status == VMMU_STAGE2) {
        say("The second stage has nothing at 0x%" PRIx64
            ": %s exits, and the hypervisor takes it for a device.",
            walk->fault.gpa.v, story->amd ? "a nested page fault" : "an EPT violation");
    } else if (nested->there) {
        say("All memory is mapped beforehand: %s exits%s.",
            story->itself.nested.exits == STORY_STAYS ? "nothing" : "no access",
            story->end == STORY_FAULT ? ", the fault neither: it is the guest's own" : "");
    }
}

static void print_nested(const struct story *story)
{
    head("NESTED", story->amd ? "it walks the guest's tables, and nested tables (NPT) for each step"
                              : "it walks the guest's tables, and EPT for each step");
    printf("    %-21s %8s", "second stage", "tables");
    for (unsigned i = 0; i < story->reached && i < COLUMNS_MOST; i++) {
        printf("%6u", i + 1);
    }
    printf("  refs\n");
    for (unsigned i = 0; i < STORY_STAGES; i++) {
        if (i != STORY_OWN || story->nested[i].there) {
            print_nested_row(story, &story->nested[i]);
        }
    }
    print_sum(story);
    print_stage2_fault(story);
}

/* --- tags --- */

static void print_event(const struct story_event *event)
{
    printf("    left by %-24s", event->words);
    for (unsigned t = 0; t < STORY_TECHNIQUES; t++) {
        if (event->applies[t]) {
            printf("%10u", event->left[t]);
        } else {
            printf("%10s", "-");
        }
    }
    putchar('\n');
}

static void print_tags(const struct story *story)
{
    const struct story_tags *tags = &story->tags;
    const char *space = story->amd ? "ASID" : "VPID";

    head("TAGGED TLB", "what may be cached once it has run, and what takes it away");
    printf("    %-32s%10s%10s%10s\n", "", "native", "shadow", "nested");
    printf("    %-32s%10u%10u%10u\n", "translations", tags->translations[STORY_NATIVE],
           tags->translations[STORY_SHADOW], tags->translations[STORY_NESTED]);
    printf("    %-32s%10u%10u%10u\n", "entries that lead to tables", tags->structures[STORY_NATIVE],
           tags->structures[STORY_SHADOW], tags->structures[STORY_NESTED]);
    for (unsigned i = 0; i < tags->event_count; i++) {
        print_event(&tags->events[i]);
    }
    say("Native entries are tagged with the PCID (%u; CR4.PCIDE is %s). Under shadow paging each root of "
        "ours has "
        "%s %s of its own, and PCIDs are not used. Under nested paging A to C is tagged with %s %u and the "
        "PCID%s, "
        "B to C with the %s.",
        tags->pcid, tags->pcids ? "set" : "clear", story->amd ? "an" : "a", space, space, tags->space,
        story->amd ? "" : " and the EPTP", story->amd ? "ASID alone" : "EPTP alone");
    if (!tags->global_pages) {
        say("CR4.PGE is clear: no translation is global.");
    } else if (tags->globals == 0) {
        say("No page among them is global.");
    } else {
        say("%u of the pages %s global: MOV CR3 leaves %s.", tags->globals,
            plural(tags->globals, "is", "are"), plural(tags->globals, "it", "them"));
    }
}

void story_print_text(const struct story *story)
{
    print_instruction(story);
    print_accesses(story);
    print_itself(story);
    if (story->reached == 0) {
        return;
    }
    print_native(story);
    print_shadow(story);
    print_nested(story);
    print_tags(story);
}
