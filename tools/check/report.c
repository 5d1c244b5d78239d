#include "tools/check/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/command.h"
#include "tools/ui/complain.h"
#include "tools/ui/json.h"
#include "tools/ui/paint.h"
#include "tools/walk/names.h"

static const char *const severity_words[CHECK_SEVERITIES] = {
    [CHECK_ERROR] = "error", [CHECK_WARNING] = "warning", [CHECK_NOTE] = "note"
};

const struct check_words check_words[CHECK_KINDS] = {
    [CHECK_RESERVED] = { CHECK_ERROR, "reserved-bits", "malformed entries",
                         "a reserved bit is set, or EPT is misconfigured: every access faults" },
    [CHECK_ABSENT] = { CHECK_ERROR, "table-outside-memory", "tables where no memory is",
                       "a processor reads whatever is there, and takes it for entries" },
    [CHECK_TABLE_WRITABLE] = { CHECK_ERROR, "table-writable-to-user", "page tables that user mode can write",
                               "whoever writes them maps what he likes" },
    [CHECK_PAIR_LOWER] = { CHECK_ERROR, "kpti-lower-half", "lower halves of a KPTI pair that disagree",
                           "user mode runs with other mappings than the kernel believes; only NX may "
                           "differ" },
    [CHECK_PAIR_UPPER] = { CHECK_ERROR, "kpti-upper-half",
                           "what KPTI's user root maps otherwise than the kernel's",
                           "entry code would change under the processor's feet as CR3 is switched" },
    [CHECK_WRITE_EXECUTE] = { CHECK_WARNING, "write-execute", "pages that can be written and executed",
                              "who can write there can run what he wrote" },
    [CHECK_USER_UPPER] = { CHECK_WARNING, "user-in-kernel-half", "pages of user mode in the kernel's half",
                           "user mode reads what lies there, whatever process runs" },
    [CHECK_ALIAS] = { CHECK_WARNING, "memory-type-alias", "memory that is mapped with different memory types",
                      "processors give no guarantee for what such accesses see" },
    [CHECK_GLOBAL_USER] = { CHECK_WARNING, "global-user", "global pages of user mode",
                            "their translations survive a switch to another process" },
    [CHECK_LARGE_IGNORED] = { CHECK_WARNING, "large-bit-ignored", "entries with PS that lead to tables",
                              "CR4.PSE is clear: the processor overlooks the bit" },
    [CHECK_SELF_MAP] = { CHECK_NOTE, "self-map", "entries that lead back to a table above them",
                         "the tables are mapped by themselves: some kernels reach them so" },
    [CHECK_TWO_LEVELS] = { CHECK_NOTE, "table-at-two-levels", "tables that are walked at more than one level",
                           "the same entries mean two things" },
    [CHECK_NO_MEMORY] = { CHECK_NOTE, "cached-no-memory",
                          "write-back mappings of what the image has no memory for",
                          "firmware's tables, or a device that must not be cached" },
    [CHECK_NO_NX] = { CHECK_NOTE, "no-nx", "no NX: the paging mode has none, or EFER.NXE is clear",
                      "all that can be written can be executed" },
    [CHECK_TOO_MANY] = { CHECK_NOTE, "left-out", "memory in too many stretches",
                         "memory types and writable tables were looked for in the first of them only" },
    [CHECK_FOREIGN] = { CHECK_ERROR, "isolation", "memory that is not the partition's",
                        "the guest reaches what it must never reach: the isolation invariant is broken" },
    [CHECK_TABLE_MAPPED] = { CHECK_ERROR, "table-mapped", "the hypervisor's tables, mapped to the guest",
                             "the guest could change its own confinement" },
    [CHECK_TABLE_PLACE] = { CHECK_ERROR, "table-place", "tables where the hypervisor has none",
                            "a processor walks memory that is no table of the hypervisor's" },
    [CHECK_PIECE_RIGHTS] = { CHECK_ERROR, "host-rights", "rights beyond those of the partition's memory",
                             "the host withholds them" },
    [CHECK_PIECE_FRAME] = { CHECK_ERROR, "second-stage-frame", "guest-physical pages that lead elsewhere",
                            "the state says where each page of the partition lies" },
    [CHECK_SHADOW_FRAME] = { CHECK_ERROR, "shadow-frame",
                             "shadow entries that lead elsewhere than the guest's",
                             "the guest's tables are write-protected here: there is nothing to be stale" },
    [CHECK_SHADOW_RIGHTS] = { CHECK_ERROR, "shadow-rights", "shadow entries with rights beyond the guest's",
                              "the guest's tables are write-protected here: there is nothing to be stale" },
    [CHECK_CLOSED_WRITABLE] = { CHECK_ERROR, "closed-writable",
                                "write-protected tables that the guest can write",
                                "its writes would go unseen, and the shadow would be wrong for ever" },
    [CHECK_STALE] = { CHECK_NOTE, "may-be-stale", "shadow entries that may be stale",
                      "an open table of the guest's was changed; as in a TLB, this counts when it flushes" },
};

void check_report_begin(struct check_report *report, const struct space *space)
{
    char text[SPACE_TEXT_BYTES];

    report->digits = space_digits(space);
    if (report->json) {
        json_rows_begin(&report->rows, space, "vmmu_check", "findings");
    } else {
        printf("%sCheck of %s%s\n", paint_on(PAINT_HEAD), space_text(space, text), paint_off());
        space_print_doubt(space);
    }
}

static void add_row(struct check_report *report, enum check_kind kind, struct check_place place,
                    const char *text)
{
    struct json_object *row = json_object_new_object();

    json_put_text(row, "severity", severity_words[check_words[kind].severity]);
    json_put_text(row, "kind", check_words[kind].word);
    json_put_hex(row, "address", place.address);
    json_put_number(row, "bytes", place.bytes);
    json_put_text(row, "text", text);
    json_rows_add(&report->rows, row);
}

/* Keep an example: where, how much, and the sentence. */
static void keep(struct check_report *report, enum check_kind kind, struct check_place place,
                 const char *text)
{
    char **example = &report->texts[kind][report->counts[kind] - 1];
    char size[ENTRY_TEXT_BYTES];

    if (asprintf(example, "%0*" PRIx64 ", %s: %s", report->digits, place.address,
                 size_text(place.bytes, size), text) < 0) {
        give_up(COMMAND_INPUT, "there is no memory for a finding");
    }
}

void check_found(struct check_report *report, enum check_kind kind, struct check_place place,
                 const char *format, ...)
{
    char *text = NULL;
    va_list values;
    int letters;

    report->counts[kind]++;
    if (!report->json && report->counts[kind] > report->examples) {
        return;
    }
    va_start(values, format);
    letters = vasprintf(&text, format, values);
    va_end(values);
    if (letters < 0) {
        give_up(COMMAND_INPUT, "there is no memory for a finding");
    }
    if (report->json) {
        add_row(report, kind, place, text);
    } else {
        keep(report, kind, place, text);
    }
    free(text);
}

uint64_t check_count(const struct check_report *report, enum check_severity severity)
{
    uint64_t count = 0;

    for (unsigned kind = 0; kind < CHECK_KINDS; kind++) {
        count += check_words[kind].severity == severity ? report->counts[kind] : 0;
    }
    return count;
}

static void print_kind(const struct check_report *report, enum check_kind kind)
{
    static const enum paint paints[CHECK_SEVERITIES] = { PAINT_BAD, PAINT_NOTE, PAINT_DIM };
    const struct check_words *words = &check_words[kind];
    const uint64_t count = report->counts[kind];

    printf("\n%s%s%s: %s (%" PRIu64 ")\n  %s%s%s\n", paint_on(paints[words->severity]),
           severity_words[words->severity], paint_off(), words->title, count, paint_on(PAINT_DIM), words->why,
           paint_off());
    for (unsigned i = 0; i < count && i < report->examples; i++) {
        printf("    %s\n", report->texts[kind][i]);
    }
    if (count > report->examples) {
        printf("    ... %" PRIu64 " more\n", count - report->examples);
    }
}

static struct json_object *json_of_looked(const struct check_looked *looked)
{
    struct json_object *object = json_object_new_object();

    json_put_number(object, "entries", looked->entries);
    json_put_number(object, "tables", looked->tables);
    json_put_number(object, "pages", looked->pages);
    json_put_flag(object, "kpti_pair", looked->pair);
    json_put_number(object, "second_stage_pages", looked->second_pages);
    json_put_number(object, "shadow_roots", looked->shadow_roots);
    json_put_number(object, "shadow_pages", looked->shadow_pages);
    json_put_number(object, "shadow_pages_not_stale", looked->sure_pages);
    return object;
}

static void print_looked(const struct check_report *report)
{
    const struct check_looked *looked = &report->looked;

    printf("\n%slooked at %" PRIu64 " pages by %" PRIu64 " entries of %" PRIu64 " table%s; %s\n",
           paint_on(PAINT_DIM), looked->pages, looked->entries, looked->tables,
           looked->tables == 1 ? "" : "s",
           looked->pair ? "KPTI's two roots are compared" : "no pair of KPTI's");
    if (looked->second_pages) {
        printf("second stage: %" PRIu64 " pages, %s\n", looked->second_pages,
               report->counts[CHECK_FOREIGN] ? "not all in the partition's memory"
                                             : "all in the partition's memory");
    }
    if (looked->shadow_roots) {
        printf("shadow tables of %u root%s: %" PRIu64 " pages compared with the guest's, %" PRIu64
               " of them by closed tables alone;\n%s\n",
               looked->shadow_roots, looked->shadow_roots == 1 ? "" : "s", looked->shadow_pages,
               looked->sure_pages,
               report->counts[CHECK_FOREIGN] ? "not all lead to the partition's memory"
                                             : "all lead to the partition's memory");
    }
    printf("%s", paint_off());
}

static void end_json(struct check_report *report, bool complete)
{
    struct json_object *rest = json_object_new_object();
    struct json_object *kinds = json_object_new_object();

    for (unsigned kind = 0; kind < CHECK_KINDS; kind++) {
        if (report->counts[kind]) {
            json_put_number(kinds, check_words[kind].word, report->counts[kind]);
        }
    }
    json_put_flag(rest, "complete", complete);
    json_object_object_add(rest, "counts", kinds);
    for (unsigned severity = 0; severity < CHECK_SEVERITIES; severity++) {
        static const char *const plurals[CHECK_SEVERITIES] = { "errors", "warnings", "notes" };

        json_put_number(rest, plurals[severity], check_count(report, (enum check_severity)severity));
    }
    json_object_object_add(rest, "looked_at", json_of_looked(&report->looked));
    json_rows_end(&report->rows, rest);
}

void check_report_end(struct check_report *report, bool complete)
{
    if (report->json) {
        end_json(report, complete);
        return;
    }
    for (unsigned severity = 0; severity < CHECK_SEVERITIES; severity++) {
        for (unsigned kind = 0; kind < CHECK_KINDS; kind++) {
            if (report->counts[kind] && check_words[kind].severity == severity) {
                print_kind(report, (enum check_kind)kind);
            }
        }
    }
    print_looked(report);
    printf("errors: %" PRIu64 ", warnings: %" PRIu64 ", notes: %" PRIu64 "%s\n",
           check_count(report, CHECK_ERROR), check_count(report, CHECK_WARNING),
           check_count(report, CHECK_NOTE), complete ? "" : "; not everything was looked at");
    for (unsigned kind = 0; kind < CHECK_KINDS; kind++) {
        for (unsigned i = 0; i < report->examples; i++) {
            free(report->texts[kind][i]);
            report->texts[kind][i] = NULL;
        }
    }
}
