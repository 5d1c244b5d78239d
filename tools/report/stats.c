/*
 * Statistics of the hypervisor, several runs side by side: a column for each run, or for each virtual processor.
 */
#include <math.h>
#include <string.h>

#include "tools/report/model.h"
#include "tools/ui/json.h"

#define NS_IN_SECOND 1e9
#define MIB          (1UL << 20)

/* Counters that are their own virtual processor's. */
struct vp_column {
    const struct document *document;
    struct json_object *vp;
    const char *label;
};

struct runs {
    struct report *report;
    const struct document *run[REPORT_COLUMNS];
    unsigned run_count;
    struct vp_column vp[REPORT_COLUMNS];
    unsigned vp_count;
};

/* Members of the document that sections of their own show. */
static const char *const known_members[] = { "vmmu",    "outcome", "partition", "memory_bytes",
                                             "run_ns",  "backend", "mmu",       "host",
                                             "devices", "vps",     NULL };
static const char *const known_vp_members[] = { "index", "counters", "trace", NULL };

static bool is_among(const char *word, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(word, *words) == 0) {
            return true;
        }
    }
    return false;
}

static void collect_vps(struct runs *runs, const struct document *document)
{
    struct json_object *vps = json_get_array(document->root, "vps");
    const size_t count = vps ? json_object_array_length(vps) : 0;

    for (size_t i = 0; i < count && runs->vp_count < REPORT_COLUMNS; i++) {
        const char *label =
            count == 1 ? document->label : report_text(runs->report, "%s, VP %zu", document->label, i);

        runs->vp[runs->vp_count++] = (struct vp_column){ document, json_object_array_get_idx(vps, i), label };
    }
}

static void run_columns(const struct runs *runs, struct report_section *section)
{
    for (unsigned i = 0; i < runs->run_count; i++) {
        report_column(section, runs->run[i]->label);
    }
}

/* --- what the runs were ------------------------------------------------------------------------------------------- */

static uint64_t number_or_zero(struct json_object *object, const char *key)
{
    uint64_t value = 0;

    return json_get_number(object, key, &value) ? value : 0;
}

/* A counter of all virtual processors; all kinds of exits, if @counter is NULL. */
static uint64_t sum_of(struct json_object *root, const char *counter)
{
    struct json_object *vps = json_get_array(root, "vps");
    uint64_t sum = 0;

    for (size_t i = 0; vps && i < json_object_array_length(vps); i++) {
        struct json_object *counters = json_get_object(json_object_array_get_idx(vps, i), "counters");

        if (counter) {
            sum += number_or_zero(counters, counter);
        } else if (json_get_object(counters, "exits")) {
            json_object_object_foreach(json_get_object(counters, "exits"), kind, value)
            {
                (void)value;
                sum += number_or_zero(json_get_object(counters, "exits"), kind);
            }
        }
    }
    return sum;
}

static const char *outcome_of(struct report *report, struct json_object *outcome)
{
    const char *kind = NULL, *message = NULL;
    const char *words;
    uint64_t value = 0;

    words = json_get_text(outcome, "kind", &kind) ? kind : "not told";
    if (json_get_number(outcome, "value", &value)) {
        words = report_text(report, "%s %llu", words, (unsigned long long)value);
    }
    if (json_get_text(outcome, "message", &message) && *message) {
        words = report_text(report, "%s: %s", words, message);
    }
    return words;
}

static void put_text(struct report_cell *cell, const char *text)
{
    *cell = (struct report_cell){ .kind = CELL_TEXT, .text = text };
}

static void put_real(struct report_cell *cell, double real)
{
    *cell = (struct report_cell){ .kind = CELL_REAL, .real = real };
}

static void put_count(struct report_cell *cell, uint64_t count)
{
    *cell = (struct report_cell){ .kind = CELL_COUNT, .count = count };
}

static void describe_run(struct report *report, struct report_section *section, unsigned column,
                         const struct document *document)
{
    struct json_object *root = document->root, *mmu = json_get_object(root, "mmu");
    const double seconds = (double)number_or_zero(root, "run_ns") / NS_IN_SECOND;
    const uint64_t exits = sum_of(root, NULL);
    const char *words = NULL;

    put_text(report_cell(report, section, "document", column), document->path);
    put_text(report_cell(report, section, "outcome", column),
             outcome_of(report, json_get_object(root, "outcome")));
    if (!mmu) {
        return; /* a partition that was refused has no more to tell */
    }
    put_text(report_cell(report, section, "technique", column),
             json_get_text(mmu, "technique", &words) ? words : "not told");
    put_text(report_cell(report, section, "backend", column),
             json_get_text(root, "backend", &words) ? words : "not told");
    put_count(report_cell(report, section, "guest memory, MiB", column),
              number_or_zero(root, "memory_bytes") / MIB);
    put_real(report_cell(report, section, "time, seconds", column), round(seconds * 100) / 100);
    put_count(report_cell(report, section, "exits", column), exits);
    if (seconds > 0) {
        put_real(report_cell(report, section, "exits in a second", column), round((double)exits / seconds));
    }
    put_count(report_cell(report, section, "TLB flushes", column), sum_of(root, "tlb_flushes"));
    put_count(report_cell(report, section, "instructions performed", column), sum_of(root, "insn_emulated"));
    put_count(report_cell(report, section, "table pages at most", column),
              number_or_zero(mmu, "table_pages_peak"));
}

static void show_runs(const struct runs *runs)
{
    struct report_section *section =
        report_section(runs->report, runs->run_count == 1 ? "The run" : "The runs", "");

    run_columns(runs, section);
    for (unsigned i = 0; i < runs->run_count; i++) {
        describe_run(runs->report, section, i, runs->run[i]);
    }
    section->note =
        "Exits: how often the processor left the guest for the hypervisor. Instructions performed: those "
        "that the "
        "hypervisor decoded and did itself. Table pages: those that the hypervisor built for this guest.";
}

/* --- exits -------------------------------------------------------------------------------------------------------- */

/* Counts by name into every second column, and what part of the whole each is beside it. */
static void shares(struct report_section *section, unsigned column)
{
    struct report_table *table = &section->table;
    uint64_t sum = 0;

    for (unsigned row = 0; row < table->row_count; row++) {
        sum += table->rows[row].cells[column].count;
    }
    for (unsigned row = 0; sum && row < table->row_count; row++) {
        const struct report_cell *cell = &table->rows[row].cells[column];

        if (cell->kind == CELL_COUNT) {
            put_real(&table->rows[row].cells[column + 1],
                     round((double)cell->count * 1000 / (double)sum) / 10);
        }
    }
}

static bool share_columns(const struct runs *runs, struct report_section *section, unsigned i)
{
    return report_column(section, runs->vp[i].label) && report_column(section, "%");
}

static void show_exits(const struct runs *runs)
{
    struct report_section *section = report_section(runs->report, "Exits by kind", "exit");
    unsigned shown = 0;

    while (shown < runs->vp_count && share_columns(runs, section, shown)) {
        struct json_object *counters = json_get_object(runs->vp[shown].vp, "counters");

        report_flatten(runs->report, section, shown * 2, json_get_object(counters, "exits"));
        shares(section, shown * 2);
        shown++;
    }
    report_plot(
        runs->report, section,
        &(struct report_plotting){ .title = "How often each kind of exit happened",
                                   .description = "How often the processor left the guest, for each reason.",
                                   .value_label = "exits",
                                   .columns = shown,
                                   .stride = 2 });
    report_drop_empty(runs->report, section);
}

/* The last exits, whose kinds differ from the whole run's if it came to an unusual end. */
static void show_last_exits(const struct runs *runs)
{
    struct report_section *section = report_section(runs->report, "The last exits by kind", "exit");

    for (unsigned i = 0; i < runs->vp_count && report_column(section, runs->vp[i].label); i++) {
        struct json_object *trace = json_get_array(runs->vp[i].vp, "trace");
        const size_t count = trace ? json_object_array_length(trace) : 0;

        for (size_t at = 0; at < count; at++) {
            const char *kind = NULL;

            if (json_get_text(json_object_array_get_idx(trace, at), "exit", &kind)) {
                struct report_cell *cell = report_cell(runs->report, section, kind, i);

                put_count(cell, cell->count + 1);
            }
        }
    }
    section->note = "Of the exits that the hypervisor still remembered at the end of the run.";
    report_plot(runs->report, section,
                &(struct report_plotting){ .title = "How often each kind was among the last",
                                           .value_label = "exits",
                                           .columns = section->table.column_count,
                                           .stride = 1 });
    report_drop_empty(runs->report, section);
}

static void show_trace(struct report *report, const struct vp_column *vp)
{
    static const char *const columns[] = { "exit", "ip", "code", "info1", "info2" };
    struct json_object *trace = json_get_array(vp->vp, "trace");
    const size_t count = trace ? json_object_array_length(trace) : 0;
    struct report_section *section =
        report_section(report, report_text(report, "The last exits of %s", vp->label), "number");

    for (unsigned i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        report_column(section, columns[i]);
    }
    for (size_t at = count > REPORT_ROWS ? count - REPORT_ROWS : 0; at < count; at++) {
        struct json_object *entry = json_object_array_get_idx(trace, at);
        const char *number =
            report_text(report, "%llu", (unsigned long long)number_or_zero(entry, "sequence"));

        for (unsigned i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
            struct json_object *value = NULL;

            if (json_object_is_type(entry, json_type_object) &&
                json_object_object_get_ex(entry, columns[i], &value)) {
                *report_cell(report, section, number, i) = report_value(value);
            }
        }
    }
    section->folded = true;
    section->note = "Oldest first. What code and info mean is the backend's: the processor's own exit code, "
                    "and what it told "
                    "with it.";
    report_drop_empty(report, section);
}

/* --- counters ----------------------------------------------------------------------------------------------------- */

/* One member of every run's document, as counters side by side. */
static struct report_section *show_member(const struct runs *runs, const char *member, const char *title)
{
    struct report_section *section = report_section(runs->report, title, "counter");

    run_columns(runs, section);
    for (unsigned i = 0; i < section->table.column_count && i < runs->run_count; i++) {
        report_flatten(runs->report, section, i, json_get_object(runs->run[i]->root, member));
    }
    return section;
}

static void show_mmu(const struct runs *runs)
{
    struct report_section *section = show_member(runs, "mmu", "Memory virtualization");
    const unsigned columns = section->table.column_count;

    report_plot(runs->report, section,
                &(struct report_plotting){ .title = "The greatest counters of memory virtualization",
                                           .description = "The greatest counters, by powers of ten.",
                                           .value_label = "times, by powers of ten",
                                           .columns = columns,
                                           .stride = 1,
                                           .scale = PLOT_LOGARITHMIC });
    report_plot(runs->report, section,
                &(struct report_plotting){ .title = "Pages of tables",
                                           .value_label = "pages",
                                           .columns = columns,
                                           .stride = 1,
                                           .word = "table_pages" });
    section->note = "A technique has counters of its own: what is empty does not exist under it.";
    report_drop_empty(runs->report, section);
}

static void show_processors(const struct runs *runs)
{
    struct report_section *section = report_section(runs->report, "Virtual processors", "counter");

    for (unsigned i = 0; i < runs->vp_count && report_column(section, runs->vp[i].label); i++) {
        struct json_object *counters = json_get_object(runs->vp[i].vp, "counters");

        if (counters) {
            json_object_object_foreach(counters, name, value)
            {
                const struct report_cell cell = report_value(value);

                if (cell.kind != CELL_EMPTY) {
                    *report_cell(runs->report, section, name, i) = cell;
                }
            }
        }
    }
    report_plot(runs->report, section,
                &(struct report_plotting){ .title = "The greatest counters of virtual processors",
                                           .value_label = "times, by powers of ten",
                                           .columns = section->table.column_count,
                                           .stride = 1,
                                           .scale = PLOT_LOGARITHMIC });
    report_drop_empty(runs->report, section);
}

static void show_folded(const struct runs *runs, const char *member, const char *title)
{
    struct report_section *section = show_member(runs, member, title);

    section->folded = true;
    report_drop_empty(runs->report, section);
}

/* Members that this version of the tool has no words for, by their own names; those of the first run that has them. */
static void show_others(const struct runs *runs)
{
    for (unsigned i = 0; i < runs->run_count; i++) {
        json_object_object_foreach(runs->run[i]->root, member, value)
        {
            bool shown = is_among(member, known_members) || !json_object_is_type(value, json_type_object);

            for (unsigned before = 0; !shown && before < i; before++) {
                shown = json_get_object(runs->run[before]->root, member) != NULL;
            }
            if (!shown && runs->report->section_count < REPORT_SECTIONS) {
                show_folded(runs, member, report_text(runs->report, "Other: %s", member));
            }
        }
    }
}

/* What a virtual processor had in its registers at the end, and its control block. */
static void show_state(const struct runs *runs)
{
    struct report_section *section =
        report_section(runs->report, "Virtual processors at the end", "register");

    for (unsigned i = 0; i < runs->vp_count && report_column(section, runs->vp[i].label); i++) {
        struct json_object *vp = runs->vp[i].vp;

        if (!json_object_is_type(vp, json_type_object)) {
            continue;
        }
        json_object_object_foreach(vp, member, value)
        {
            if (!is_among(member, known_vp_members)) {
                struct json_object *wrapped = json_object_new_object();

                json_object_object_add(wrapped, member, json_object_get(value));
                report_flatten(runs->report, section, i, wrapped);
                json_object_put(wrapped);
            }
        }
    }
    section->folded = true;
    report_drop_empty(runs->report, section);
}

void report_runs(struct report *report, struct document *documents, unsigned count)
{
    struct runs runs = { .report = report };

    for (unsigned i = 0; i < count && runs.run_count < REPORT_COLUMNS; i++) {
        if (documents[i].kind == DOCUMENT_STATS) {
            runs.run[runs.run_count++] = &documents[i];
            collect_vps(&runs, &documents[i]);
        }
    }
    if (runs.run_count == 0) {
        return;
    }
    show_runs(&runs);
    show_exits(&runs);
    show_mmu(&runs);
    show_processors(&runs);
    show_last_exits(&runs);
    show_folded(&runs, "devices", "Devices");
    show_folded(&runs, "host", "The host");
    show_others(&runs);
    show_state(&runs);
    for (unsigned i = 0; i < runs.vp_count; i++) {
        show_trace(report, &runs.vp[i]);
    }
}
