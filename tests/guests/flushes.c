/*
 * The flush hypercalls, by what they do: every processor that a call names sees what its tables say, in each form of the
 * call, for each kind of set, for pages, large pages, global pages and spaces that are not current; and
 * HvSwitchVirtualAddressSpace. TLFS "Virtual MMU and Caching".
 *
 * What a processor that was not named may still see from the past, it may also see as it is.
 *
 * Guest: inside only
 * Guest: run 1 VP: --cpus 1
 * Guest: run 4 VPs: --cpus 4
 * Guest: run 3 VPs, sharing=off: --cpus 3 --policy sharing=off
 */
#include "tests/guests/common/calls.h"
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/smp.h"
#include "tests/guests/common/traps.h"
#include "tests/guests/common/views.h"

#define OLD   0x01d01d
#define NEW   0x2e2e2e
#define PAGES 16

static const struct paging *paging;
static struct space space;
static uintptr_t va;

/* The page at @address: of the old frame, or of the new one. */
static void map_to(uintptr_t address, bool new, uint64_t bits)
{
    space_map(&space, address, 1, FRAME(new) | PTE_P | PTE_W | bits);
}

/* All processors in one space, where the first page is old and has been seen by all. */
static void stage(uint64_t bits, uintptr_t cr4)
{
    tables_reset();
    space_make(&space, paging);
    frame_mark(FRAME(0), OLD);
    frame_mark(FRAME(1), NEW);
    map_to(va, false, bits);
    views_enter(views_all(), &space, cr4);
}

/* --- each form of the call, for each kind of set --- */

enum form { FORM_SPACE, FORM_LIST, FORM_SPACE_EX, FORM_LIST_EX, FORMS };
static const char *const form_names[FORMS] = { "a space", "a list", "a space, Ex", "a list, Ex" };

enum naming { NAMED_BY_MASK, NAMED_BY_FLAG, NAMED_BY_FORMAT };

/* Flush the page at @address, or all, on @set; the set is named as @naming says. False if the call fails. */
static bool flush_by(enum form form, enum naming naming, unsigned set, uintptr_t address)
{
    const struct flush flush = {
        .space = space.root,
        .flags = naming == NAMED_BY_FLAG ? FLUSH_ALL_VPS : 0,
        .mask = naming == NAMED_BY_MASK ? set : 0,
    };
    const uint64_t format = naming == NAMED_BY_FORMAT ? SET_ALL : SET_SPARSE;
    const uint64_t list[] = { address + PAGE_BYTES, address };
    uint64_t result = 0;
    switch (form) {
    case FORM_SPACE: result = flush_space(flush); break;
    case FORM_LIST: result = flush_list(flush, list, 2); break;
    case FORM_SPACE_EX: result = flush_space_ex(flush, format); break;
    case FORM_LIST_EX:
    case FORMS: result = flush_list_ex(flush, format, list, 2); break;
    }
    const unsigned reps = form == FORM_LIST || form == FORM_LIST_EX ? 2 : 0;
    return status_of(result) == STATUS_SUCCESS && reps_of(result) == reps;
}

/* Change the page under everybody's eyes and flush @set: whether those see the change, and nobody anything else. */
static bool change_and_flush(enum form form, enum naming naming, unsigned set)
{
    static bool new;
    const uint32_t before = new ? NEW : OLD, after = new ? OLD : NEW;
    bool good = views_see(views_all(), va, before, after);
    new = !new;
    map_to(va, new, 0);
    good = flush_by(form, naming, set, va) && views_see(set, va, after, after) && good;
    good = views_see(views_all(), va, before, after) && good;
    return flush_by(FORM_SPACE, NAMED_BY_FLAG, views_all(), va) && good;
}

static void test_forms(void)
{
    stage(0, 0);
    change_and_flush(FORM_SPACE, NAMED_BY_FLAG, views_all());
    for (enum form form = FORM_SPACE; form < FORMS; form++) {
        unsigned wrong = 0;
        for (unsigned set = 1; set <= views_all(); set++) {
            wrong += !change_and_flush(form, NAMED_BY_MASK, set);
        }
        report(wrong == 0, "%s: %s, of every set of processors by its mask, is seen by these", paging->name,
               form_names[form]);
        wrong = !change_and_flush(form, NAMED_BY_FLAG, views_all());
        wrong += !change_and_flush(form, NAMED_BY_FLAG, views_all());
        report(wrong == 0, "%s: %s, of all processors by flag, is seen by all", paging->name,
               form_names[form]);
        if (form >= FORM_SPACE_EX) {
            wrong = !change_and_flush(form, NAMED_BY_FORMAT, views_all());
            wrong += !change_and_flush(form, NAMED_BY_FORMAT, views_all());
            report(wrong == 0, "%s: %s, of all processors by the set's format, is seen by all", paging->name,
                   form_names[form]);
        }
    }
    views_leave(views_all());
}

/* --- what is flushed --- */

/* Pages behind the first: old, and seen by all; then new, and flushed as @list says on all. */
static bool flush_pages(const uint64_t *list, unsigned count)
{
    for (unsigned i = 0; i < PAGES; i++) {
        map_to(va + i * PAGE_BYTES, false, 0);
    }
    flush_by(FORM_SPACE, NAMED_BY_FLAG, views_all(), va);
    for (unsigned i = 0; i < PAGES; i++) {
        views_see(views_all(), va + i * PAGE_BYTES, OLD, OLD);
        map_to(va + i * PAGE_BYTES, true, 0);
    }
    const struct flush flush = { space.root, FLUSH_ALL_VPS, 0 };
    const uint64_t result = flush_list(flush, list, count);
    return status_of(result) == STATUS_SUCCESS && reps_of(result) == count;
}

/* Low bits of an element: pages beyond its first. */
static void test_ranges(void)
{
    stage(0, 0);
    const uint64_t one[] = { va | (PAGES - 1) };
    unsigned wrong = !flush_pages(one, 1);
    for (unsigned i = 0; i < PAGES; i++) {
        wrong += !views_see(views_all(), va + i * PAGE_BYTES, NEW, NEW);
    }
    report(wrong == 0, "%s: an element of several pages flushes the first, the last, and all between",
           paging->name);
    const uint64_t two[] = { va | 4, (va + 5 * PAGE_BYTES) | (PAGES - 6) };
    wrong = !flush_pages(two, 2);
    for (unsigned i = 0; i < PAGES; i++) {
        wrong += !views_see(views_all(), va + i * PAGE_BYTES, NEW, NEW);
    }
    report(wrong == 0, "%s: two elements that meet leave no page between them", paging->name);
    const uint64_t far[] = { paging->long_mode ? 0x0000800000000000 | 4095 : 0x7fffffff00000000, va | 4095,
                             paging->long_mode ? 0x7ffffffffffff000 : 0xffffffff00000fff };
    wrong = !flush_pages(far, 3) || !views_see(views_all(), va, NEW, NEW);
    report(wrong == 0, "%s: addresses beyond the range are ignored, and their neighbours flushed",
           paging->name);
    views_leave(views_all());
}

static void test_gone(void)
{
    stage(0, 0);
    const bool seen = views_see(views_all(), va, OLD, OLD);
    space_map(&space, va, 1, 0);
    report(seen && flush_by(FORM_LIST, NAMED_BY_FLAG, views_all(), va) &&
               views_see(views_all(), va, ~0U, ~0U),
           "%s: a page that is gone, and flushed, is seen by nobody", paging->name);
    views_leave(views_all());
}

/* A whole large page goes by any address in it. */
static void test_large(void)
{
    if (!paging->large_pages) {
        return;
    }
    const uintptr_t bytes = level_bytes(paging, 2), inside = va + bytes / 2;
    const uintptr_t places[] = { va, inside, va + bytes - PAGE_BYTES };
    tables_reset();
    space_make(&space, paging);
    for (unsigned i = 0; i < 3; i++) {
        frame_mark(LARGE_FRAME(2) + (places[i] - va), OLD);
        frame_mark(LARGE_FRAME(3) + (places[i] - va), NEW);
    }
    space_map(&space, va, 2, LARGE_FRAME(2) | PTE_P | PTE_W);
    views_enter(views_all(), &space, 0);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 3; i++) {
        wrong += !views_see(views_all(), places[i], OLD, OLD);
    }
    space_map(&space, va, 2, LARGE_FRAME(3) | PTE_P | PTE_W);
    const uint64_t list[] = { inside };
    wrong += status_of(flush_list((struct flush){ space.root, FLUSH_ALL_VPS, 0 }, list, 1)) != STATUS_SUCCESS;
    for (unsigned i = 0; i < 3; i++) {
        wrong += !views_see(views_all(), places[i], NEW, NEW);
    }
    report(wrong == 0, "%s: one address in a large page flushes all of it", paging->name);
    views_leave(views_all());
}

/* Without the flag that spares them, global pages go, too; an address flushes its page, global or not. */
static void test_global(void)
{
    if (!cpu_has_pge()) {
        return;
    }
    unsigned wrong = 0;
    for (enum form form = FORM_SPACE; form < FORMS; form++) {
        stage(PTE_G, CR4_PGE);
        wrong += !views_see(views_all(), va, OLD, OLD);
        map_to(va, true, PTE_G);
        wrong += !flush_by(form, NAMED_BY_FLAG, views_all(), va) || !views_see(views_all(), va, NEW, NEW);
        views_leave(views_all());
    }
    report(wrong == 0, "%s: every form flushes global pages", paging->name);
    stage(PTE_G, CR4_PGE);
    map_to(va + PAGE_BYTES, false, 0);
    wrong = !views_see(views_all(), va, OLD, OLD) || !views_see(views_all(), va + PAGE_BYTES, OLD, OLD);
    map_to(va, true, PTE_G);
    map_to(va + PAGE_BYTES, true, 0);
    const struct flush flush = { space.root, FLUSH_ALL_VPS | FLUSH_NOT_GLOBAL, 0 };
    wrong += status_of(flush_space(flush)) != STATUS_SUCCESS;
    wrong += !views_see(views_all(), va + PAGE_BYTES, NEW, NEW) || !views_see(views_all(), va, OLD, NEW);
    report(wrong == 0, "%s: a flush that spares global pages flushes the others", paging->name);
    views_leave(views_all());
}

/* --- other spaces --- */

/* CR3 becomes @cr3 by hypercall, with nothing flushed. */
static enum status switch_space(uint64_t cr3)
{
    return status_of(hypercall(CALL_SWITCH_SPACE | CALL_FAST, cr3, 0));
}

static void switch_here(void *argument)
{
    const struct space *to = argument;
    if (switch_space(to->root) != STATUS_SUCCESS) {
        bail_out("HvSwitchVirtualAddressSpace is refused");
    }
}

/* Every processor is elsewhere when the space is flushed, and comes back by the call that flushes nothing. */
static void test_elsewhere(void)
{
    struct space other;
    stage(0, 0);
    space_make(&other, paging);
    space_map(&other, va, 1, FRAME(2) | PTE_P | PTE_W);
    frame_mark(FRAME(2), 0x222);
    unsigned wrong = 0;
    for (enum form form = FORM_SPACE; form < FORMS; form++) {
        const uint32_t before = form & 1 ? NEW : OLD, after = form & 1 ? OLD : NEW;
        wrong += !views_see(views_all(), va, before, before);
        for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
            smp_run(cpu, switch_here, &other);
        }
        switch_here(&other);
        wrong += !views_see(views_all(), va, 0x222, 0x222);
        map_to(va, ~form & 1, 0);
        wrong += !flush_by(form, NAMED_BY_FLAG, views_all(), va) || !views_see(views_all(), va, 0x222, 0x222);
        for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
            smp_run(cpu, switch_here, &space);
        }
        switch_here(&space);
        wrong += !views_see(views_all(), va, after, after);
    }
    report(wrong == 0, "%s: a space that is not current anywhere is flushed, too", paging->name);
    views_leave(views_all());
}

static void test_all_spaces(void)
{
    stage(0, 0);
    unsigned wrong = !views_see(views_all(), va, OLD, OLD);
    map_to(va, true, 0);
    const struct flush flush = { ~UINT64_C(0), FLUSH_ALL_VPS | FLUSH_ALL_SPACES, 0 };
    wrong += status_of(flush_space(flush)) != STATUS_SUCCESS || !views_see(views_all(), va, NEW, NEW);
    report(wrong == 0, "%s: with the flag for all spaces the space in the input does not matter",
           paging->name);
    views_leave(views_all());
}

#define SWITCHES 50

/*
 * To another space and back: what is seen there is that space's, and what is seen here from the past is this one's. Whether
 * translations were kept is for the counters to tell: see the run's checks.
 */
static void test_switch(void)
{
    struct space other;
    stage(0, 0);
    space_make(&other, paging);
    space_map(&other, va, 1, FRAME(2) | PTE_P | PTE_W);
    frame_mark(FRAME(2), 0x222);
    unsigned wrong = 0, kept = 0;
    for (unsigned i = 0; i < SWITCHES; i++) {
        wrong += view_of(0, va) != OLD;
        wrong += switch_space(other.root) != STATUS_SUCCESS || cr3_read() != other.root;
        wrong += view_of(0, va) != 0x222;
        wrong += switch_space(space.root) != STATUS_SUCCESS || cr3_read() != space.root;
    }
    report(wrong == 0, "%s: HvSwitchVirtualAddressSpace changes CR3, and each space shows its own pages",
           paging->name);
    wrong = view_of(0, va) != OLD;
    map_to(va, true, 0);
    wrong += switch_space(other.root) != STATUS_SUCCESS || switch_space(space.root) != STATUS_SUCCESS;
    const uint32_t seen = view_of(0, va);
    kept = seen == OLD;
    detail("reads %x", seen);
    report(wrong == 0 && (kept || seen == NEW), "%s: a page changed before it reads as it did, or as it does",
           paging->name);
    comment("%s: after HvSwitchVirtualAddressSpace the %s page is seen", paging->name, kept ? "old" : "new");
    invlpg(va);
    report(view_of(0, va) == NEW, "%s: after INVLPG as it does", paging->name);
    views_leave(views_all());
}

static void test_bad_switch(void)
{
    if (!paging->long_mode) {
        return;
    }
    stage(0, 0);
    const uintptr_t cr3 = cr3_read();
    const uint64_t values[] = { space.root | BIT64(62), space.root | BIT64(cpu_physical_bits()) };
    unsigned wrong = 0;
    for (unsigned i = 0; i < 2; i++) {
        wrong += switch_space(values[i]) != STATUS_INVALID_PARAMETER || cr3_read() != cr3;
    }
    report(wrong == 0, "%s: HvSwitchVirtualAddressSpace to what CR3 cannot hold is an invalid parameter",
           paging->name);
    views_leave(views_all());
}

/* A reserved bit in the PDPTE of the test address: processors may look at it as CR3 is loaded, or as it is walked. */
static void test_bad_pdpte(void)
{
    if (paging != &paging_pae) {
        return;
    }
    stage(0, 0);
    const uintptr_t cr3 = cr3_read();
    const unsigned bad = (unsigned)(va >> 30);
    for (unsigned i = 0; i < 4; i++) {
        ((volatile uint64_t *)FRAME(3))[i] = ((volatile uint64_t *)space.root)[i] | (i == bad ? BIT64(1) : 0);
    }
    TRY("mov %0, %%cr3", ::"r"((uintptr_t)FRAME(3)) : "memory");
    const bool refused = trap_last.vector == VECTOR_PROTECTION;
    cr3_write(space.root);
    const enum status status = switch_space(FRAME(3));
    const uintptr_t seen = cr3_read();
    cr3_write(space.root);
    detail("MOV to CR3 %s, status %u", refused ? "refuses" : "does not", (unsigned)status);
    report(status == (refused ? STATUS_INVALID_PARAMETER : STATUS_SUCCESS) &&
               seen == (refused ? cr3 : FRAME(3)),
           "%s: a PDPTE with a reserved bit is to it what it is to MOV to CR3", paging->name);
    views_leave(views_all());
}

/* From each processor, for all others. */
static void flush_from(void *argument)
{
    const bool good = flush_by(FORM_LIST, NAMED_BY_FLAG, views_all(), va);
    *(bool *)argument = good;
}

static void test_callers(void)
{
    stage(0, 0);
    unsigned wrong = 0;
    for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
        const bool new = cpu & 1;
        bool good = false;
        views_see(views_all(), va, OLD, NEW);
        map_to(va, new, 0);
        smp_run(cpu, flush_from, &good);
        wrong += !good || !views_see(views_all(), va, new ? NEW : OLD, new ? NEW : OLD);
    }
    report(wrong == 0, "%s: every processor's flush reaches all", paging->name);
    views_leave(views_all());
}

void guest_main(void)
{
    if (!calls_offered()) {
        report_skip_all("no hypervisor");
    }
    const struct smp_list list = smp_list_madt();
    if (!smp_start(&list, false)) {
        bail_out("a processor does not start");
    }
    calls_start();
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        paging = *mode;
        va = paging->test_va;
        test_forms();
        test_ranges();
        test_gone();
        test_large();
        test_global();
        test_elsewhere();
        test_all_spaces();
        test_switch();
        test_bad_switch();
        test_bad_pdpte();
        test_callers();
    }
    calls_stop();
    smp_stop();
}
