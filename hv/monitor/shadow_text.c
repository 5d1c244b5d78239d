#include "hv/monitor/shadow_text.h"

#include "hv/monitor/text.h"

/* --- entries --- */

/* "rwux", a dash for each that is missing. */
struct rights_word {
    char text[5];
};

static struct rights_word rights_word(uint8_t rights)
{
    static const struct {
        uint8_t right;
        char letter;
    } letters[] = {
        { VMMU_X86_RIGHT_READ, 'r' },
        { VMMU_X86_RIGHT_WRITE, 'w' },
        { VMMU_X86_RIGHT_USER, 'u' },
        { VMMU_X86_RIGHT_EXECUTE, 'x' },
    };
    struct rights_word word = { "----" };

    for (unsigned i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (rights & letters[i].right) {
            word.text[i] = letters[i].letter;
        }
    }
    return word;
}

static const char *type_word(enum vmmu_x86_memory_type type)
{
    switch (type) {
    case VMMU_X86_TYPE_UC: return "UC";
    case VMMU_X86_TYPE_WC: return "WC";
    case VMMU_X86_TYPE_WT: return "WT";
    case VMMU_X86_TYPE_WP: return "WP";
    case VMMU_X86_TYPE_WB: return "WB";
    case VMMU_X86_TYPE_UC_MINUS: return "UC-";
    }
    return "?";
}

static const char *size_word(uint64_t bytes)
{
    static const struct {
        uint64_t bytes;
        const char *word;
    } sizes[] = {
        { VMMU_PAGE_BYTES, "4K" },
        { VMMU_2M_BYTES, "2M" },
        { 2 * VMMU_2M_BYTES, "4M" },
        { VMMU_1G_BYTES, "1G" },
    };

    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i].bytes == bytes) {
            return sizes[i].word;
        }
    }
    return "all"; /* without paging */
}

static void say_entry(const struct format_sink *sink, const struct vmmu_shadow_view_entry *entry,
                      bool in_register)
{
    if (!entry->there) {
        text_say(sink, "  %-12s  %-16s  %-11s", "-", "-", "-");
        return;
    }
    if (in_register) {
        text_say(sink, "  register %-3lu", (unsigned long)entry->address);
    } else {
        text_say(sink, "  %012lx", (unsigned long)entry->address);
    }
    text_say(sink, "  %016lx", (unsigned long)entry->value);
    if (!entry->present) {
        text_say(sink, "  %-11s", "absent");
    } else if (entry->leaf) {
        text_say(sink, "  %s %s %-3s", rights_word(entry->rights).text, size_word(entry->bytes),
                 type_word(entry->type));
    } else {
        text_say(sink, "  %s %-6s", rights_word(entry->rights).text, "link");
    }
}

static const char *table_word(enum vmmu_shadow_table table)
{
    switch (table) {
    case VMMU_SHADOW_TABLE_NONE: return "-";
    case VMMU_SHADOW_TABLE_OURS: return "ours";
    case VMMU_SHADOW_TABLE_OPEN: return "open";
    case VMMU_SHADOW_TABLE_CLOSING: return "closing";
    case VMMU_SHADOW_TABLE_CLOSED: return "closed";
    }
    __builtin_unreachable();
}

static void say_reasons(const struct format_sink *sink, uint64_t reasons)
{
    const char *between = "  ";

    for (unsigned i = 0; i < VMMU_SHADOW_REASONS; i++) {
        if (reasons & BIT64(i)) {
            text_say(sink, "%s%s", between, vmmu_shadow_reason_words((enum vmmu_shadow_reason)i));
            between = "; ";
        }
    }
}

/* --- what it comes to --- */

static void say_page(const struct format_sink *sink, const char *whose, const char *kind,
                     const struct vmmu_shadow_view_page *page)
{
    if (!page->there) {
        text_say(sink, "%-5s  no page\n", whose);
        return;
    }
    text_say(sink, "%-5s  %s %012lx  %s  %-3s  %-3s  key %u%s\n", whose, kind, (unsigned long)page->address,
             rights_word(page->rights).text, size_word(page->bytes), type_word(page->type), page->key,
             page->global ? "  global" : "");
}

void shadow_text_view(const struct format_sink *sink, unsigned vp, vmmu_gva va,
                      const struct vmmu_shadow_view *view)
{
    text_say(sink, "walk of %016lx by VP %u, CR0.WP %s, the guest's page %s\n", (unsigned long)va.v, vp,
             view->write_protect ? "set" : "clear", view->dirty ? "dirty" : "not dirty");
    text_say(sink, "L  %-12s  %-16s  %-11s  %-12s  %-16s  %-11s  %-7s  %s\n", "guest's at", "entry", "means",
             "ours at", "entry", "means", "table", "why they differ");
    for (unsigned i = 0; i < view->rows; i++) {
        const struct vmmu_shadow_view_row *row = &view->row[i];

        text_say(sink, "%u", row->level);
        say_entry(sink, &row->guest, row->in_register);
        say_entry(sink, &row->shadow, false);
        text_say(sink, row->reasons ? "  %-7s" : "  %s", table_word(row->table));
        say_reasons(sink, row->reasons);
        text_say(sink, "\n");
    }
    say_page(sink, "guest", "gpa", &view->guest);
    say_page(sink, "ours", "hpa", &view->shadow);
}

/* --- counters --- */

void shadow_text_counters(const struct format_sink *sink, const struct vmmu_shadow_counters *counters)
{
    const struct {
        const char *name;
        uint64_t value;
        const char *meaning;
    } lines[] = {
        { "fills", counters->fills, "entries made for a fault" },
        { "prefills", counters->prefills, "entries made before anybody asked" },
        { "syncs", counters->syncs, "open tables compared with the guest's" },
        { "closed", counters->closed, "tables write-protected" },
        { "opened", counters->opened, "tables given back to the guest to write" },
        { "write traps", counters->write_traps, "writes to protected tables" },
        { "dropped", counters->dropped, "of those, not to be emulated" },
        { "reflected", counters->reflected, "faults that were the guest's own" },
        { "spurious", counters->spurious, "faults that the tables did not confirm" },
        { "INVLPGs", counters->invlpgs, "that were intercepted" },
        { "roots found", counters->roots_found, "address spaces that were ready" },
        { "roots made", counters->roots_made, "address spaces that were new" },
        { "zapped", counters->zapped, "entries removed" },
        { "stores", counters->stores, "of entries, in all" },
        { "evicted", counters->evicted, "pages given up for want of room" },
        { "pages", counters->pages, "held now" },
        { "silenced", counters->silenced, "tables, in part, whose absent entries fault without an exit" },
        { "split pages", counters->split_pages, "of those, for large pages in pieces" },
        { "peak pages", counters->peak_pages, "held at most" },
        { "violations", counters->violations, "of isolation, prevented" },
    };

    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        text_say(sink, "%-11s  %12lu  %s\n", lines[i].name, (unsigned long)lines[i].value, lines[i].meaning);
    }
}
