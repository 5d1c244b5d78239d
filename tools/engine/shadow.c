/*
 * Shadow paging with one virtual processor, as a hypervisor runs it: walk our tables, and for each fault ask the library, until
 * the access is done or is somebody else's.
 */
#include "tools/engine/shadow.h"

#include <stdlib.h>
#include <string.h>

#include "tools/engine/host.h"

#define VP               0
#define POOL_PAGES       4096u

/* Beside the pool: pages in quarantine. */
#define QUARANTINE_PAGES 64u

/* Turns of flush and retry that one operation may need, and faults that one access may. */
#define TURNS            1024

struct engine_shadow {
    struct engine_host host;
    struct engine_shadow_options options;
    struct vmmu_shadow shadow;
    void *account;
    bool entered;
    struct vmmu_x86_mode guest;
    struct vmmu_shadow_root root;
    struct vmmu_x86_mode hardware;
    struct engine_shadow_cost total;
};

/* Repeat an operation until it is done; every plan is applied at once. */
#define UNTIL_DONE(shadow, status, call)                                                                     \
    do {                                                                                                     \
        (status) = VMMU_FLUSH_RETRY;                                                                         \
        for (unsigned turn = 0; turn < TURNS && (status) == VMMU_FLUSH_RETRY; turn++) {                      \
            const struct vmmu_outcome outcome = (call);                                                      \
                                                                                                             \
            (status) = outcome.status;                                                                       \
            apply((shadow), &outcome.plan);                                                                  \
        }                                                                                                    \
    } while (0)

static void flush(struct engine_shadow *shadow)
{
    shadow->total.flushes++;
    if (shadow->options.flush) {
        shadow->options.flush(shadow->options.context);
    }
}

static void apply(struct engine_shadow *shadow, const struct vmmu_plan *plan)
{
    if (!vmmu_plan_is_empty(plan)) {
        flush(shadow);
    }
    vmmu_table_flushed(&shadow->host.tables, plan->epoch);
}

/* The library's refusal as a sentence. */
static bool refuse(const struct engine_shadow *shadow, enum vmmu_status status, struct complaint *complaint)
{
    static const char *const words[] = {
        [VMMU_OK] = "nothing is wrong",
        [VMMU_GUEST_FAULT] = "the guest's own fault",
        [VMMU_STAGE2] = "a fault of a second stage that is not there",
        [VMMU_ABSENT] = "memory is not there",
        [VMMU_RACED] = "an entry changes all the time",
        [VMMU_FLUSH_RETRY] = "there is no progress",
        [VMMU_NO_MEMORY] = "there are too few pages for shadow tables",
        [VMMU_INVALID] = "an argument is out of range",
        [VMMU_UNSUPPORTED] = "the library does not do this",
        [VMMU_VIOLATED] = "the isolation invariant would fail",
    };

    return complain(complaint, "shadow paging ends: %s%s%s", words[status],
                    shadow->host.flat.violated ? ": " : "",
                    shadow->host.flat.violated ? shadow->host.flat.violated : "");
}

/* --- what the guest's memory is backed by --- */

static enum vmmu_status backing(void *context, vmmu_gpa gpa, struct vmmu_shadow_backing *out)
{
    const struct engine_shadow *shadow = context;
    static const uint64_t most[] = { VMMU_1G_BYTES, VMMU_PAGE_BYTES, VMMU_2M_BYTES, VMMU_1G_BYTES };
    uint64_t size_bytes = most[shadow->options.largest_piece_level & 3];
    const struct image_range *range = engine_memory_find(shadow->host.memory, gpa.v);

    if (!range) {
        return VMMU_ABSENT;
    }
    while (size_bytes > VMMU_PAGE_BYTES && ((gpa.v & ~(size_bytes - 1)) < range->base ||
                                            (gpa.v | (size_bytes - 1)) - range->base >= range->size_bytes)) {
        size_bytes /= 2;
    }
    *out = (struct vmmu_shadow_backing){ .frame = { (gpa.v & ~(size_bytes - 1)) + ENGINE_GUEST_AT },
                                         .size_bytes = size_bytes,
                                         .rights = VMMU_X86_RIGHTS_ALL,
                                         .type = VMMU_X86_TYPE_WB };
    return VMMU_OK;
}

/* --- counting --- */

/* What the library's counters say that total does not follow by itself. */
static void follow_counters(struct engine_shadow *shadow, const struct vmmu_shadow_counters *before)
{
    const struct vmmu_shadow_counters *now = &shadow->shadow.counters;
    const uint64_t had = before->pages - (now->evicted - before->evicted);
    struct engine_shadow_cost *total = &shadow->total;

    total->fills += now->fills - before->fills;
    total->prefills += now->prefills - before->prefills;
    total->write_traps += now->write_traps - before->write_traps;
    total->reflected += now->reflected - before->reflected;
    total->closed += now->closed - before->closed;
    total->opened += now->opened - before->opened;
    if ((int64_t)(now->pages - had) > 0) {
        total->new_pages += now->pages - had;
    }
}

struct engine_shadow_cost engine_shadow_cost_since(const struct engine_shadow_cost *now,
                                                   const struct engine_shadow_cost *before)
{
    return (struct engine_shadow_cost){
        .walks = now->walks - before->walks,
        .loads = now->loads - before->loads,
        .page_fault_exits = now->page_fault_exits - before->page_fault_exits,
        .instruction_exits = now->instruction_exits - before->instruction_exits,
        .silent_faults = now->silent_faults - before->silent_faults,
        .fills = now->fills - before->fills,
        .prefills = now->prefills - before->prefills,
        .write_traps = now->write_traps - before->write_traps,
        .reflected = now->reflected - before->reflected,
        .closed = now->closed - before->closed,
        .opened = now->opened - before->opened,
        .flushes = now->flushes - before->flushes,
        .new_pages = now->new_pages - before->new_pages,
    };
}

/* --- the hardware's registers --- */

static struct vmmu_x86_cpu hardware_cpu(unsigned physical_bits)
{
    struct vmmu_x86_cpu cpu = vmmu_x86_any_cpu;

    cpu.maxphyaddr = (uint8_t)physical_bits;
    return cpu;
}

static struct vmmu_x86_paging_registers hardware_registers(const struct vmmu_x86_mode *guest,
                                                           const struct vmmu_shadow_root *root)
{
    const bool paged = guest->paging != VMMU_X86_PAGING_NONE;
    const bool long_mode = root->format != VMMU_X86_FORMAT_PAE;

    return (struct vmmu_x86_paging_registers){
        .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_ET | VMMU_X86_CR0_WP | VMMU_X86_CR0_PG,
        .cr3 = root->cr3,
        .cr4 = VMMU_X86_CR4_PAE | (root->format == VMMU_X86_FORMAT_5LEVEL ? VMMU_X86_CR4_LA57 : 0) |
               (guest->global_pages ? VMMU_X86_CR4_PGE : 0) | (paged && guest->smep ? VMMU_X86_CR4_SMEP : 0) |
               (paged && guest->smap ? VMMU_X86_CR4_SMAP : 0) |
               (paged && guest->user_keys ? VMMU_X86_CR4_PKE : 0) |
               (paged && guest->system_keys ? VMMU_X86_CR4_PKS : 0),
        .efer = VMMU_X86_EFER_NXE | (long_mode ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0),
        .pkru = guest->pkru,
        .pkrs = guest->pkrs,
        .pdpte_in_memory = true,
    };
}

enum vmmu_status engine_shadow_hardware_of(const struct vmmu_x86_mode *guest,
                                           const struct vmmu_shadow_root *root, unsigned physical_bits,
                                           struct vmmu_x86_mode *out)
{
    const struct vmmu_x86_cpu cpu = hardware_cpu(physical_bits);
    const struct vmmu_x86_paging_registers registers = hardware_registers(guest, root);

    return vmmu_mode_make(&cpu, &registers, out);
}

/* VM entry on VT-x loads the entries of a PAE root into registers. */
static enum vmmu_status load_pdptes(struct engine_shadow *shadow)
{
    const struct vmmu_x86_cpu cpu = hardware_cpu(ENGINE_PHYSICAL_BITS);
    struct vmmu_x86_mode *hardware = &shadow->hardware;

    if (!shadow->options.intel || hardware->paging != VMMU_X86_PAGING_PAE) {
        return VMMU_OK;
    }
    hardware->pdpte_in_memory = false;
    return vmmu_mode_load_pdptes(&cpu, &shadow->host.machine, shadow->root.cr3, hardware->pdpte);
}

static enum vmmu_status load_hardware(struct engine_shadow *shadow)
{
    const enum vmmu_status status =
        engine_shadow_hardware_of(&shadow->guest, &shadow->root, ENGINE_PHYSICAL_BITS, &shadow->hardware);

    return status == VMMU_OK ? load_pdptes(shadow) : status;
}

/* --- life --- */

static bool start(struct engine_shadow *shadow, struct complaint *complaint)
{
    const struct engine_shadow_options *options = &shadow->options;
    const struct vmmu_shadow_config config = {
        .ram = engine_memory_ram(shadow->host.memory),
        .context = shadow,
        .backing = backing,
        .pool_pages = options->pool_pages,
        .maxphyaddr = ENGINE_PHYSICAL_BITS,
        .largest_level = options->largest_level ? options->largest_level : 3,
        .pat = VMMU_X86_PAT_AT_RESET,
        .guest_pat = VMMU_X86_PAT_AT_RESET,
        .vps = BIT64(VP),
        .silent_absent = options->silent_absent,
        .tagged_roots = options->tagged_roots,
    };
    const size_t bytes = vmmu_shadow_memory_bytes(options->pool_pages);
    enum vmmu_status status;

    if (bytes == 0) {
        return complain(complaint, "a pool of %u shadow pages is not between %u and %u", options->pool_pages,
                        VMMU_SHADOW_FLOOR_PAGES, 1U << 20);
    }
    shadow->account = take_memory(bytes / sizeof(uint64_t) + 1, sizeof(uint64_t));
    status = vmmu_shadow_init(&shadow->shadow, &config, &shadow->host.tables, shadow->account, bytes);
    return status == VMMU_OK || refuse(shadow, status, complaint);
}

struct engine_shadow *engine_shadow_open(struct engine_memory *memory,
                                         const struct engine_shadow_options *options,
                                         struct complaint *complaint)
{
    struct engine_shadow *shadow = take_memory(1, sizeof *shadow);

    shadow->options = *options;
    shadow->options.pool_pages = options->pool_pages ? options->pool_pages : POOL_PAGES;
    if (!engine_host_open(&shadow->host, memory, (uint64_t)shadow->options.pool_pages + QUARANTINE_PAGES,
                          complaint)) {
        free(shadow);
        return NULL;
    }
    if (!start(shadow, complaint)) {
        engine_host_close(&shadow->host);
        free(shadow->account);
        free(shadow);
        return NULL;
    }
    return shadow;
}

void engine_shadow_close(struct engine_shadow *shadow)
{
    if (!shadow) {
        return;
    }
    vmmu_shadow_destroy(&shadow->shadow);
    engine_host_close(&shadow->host);
    free(shadow->account);
    free(shadow);
}

/* --- entering an address space --- */

/* The library wants PDPTEs in registers: what a processor that reads them at each walk would find now. */
static bool settle_pdptes(const struct engine_shadow *shadow, struct vmmu_x86_mode *mode,
                          struct complaint *complaint)
{
    const struct vmmu_ram *ram = engine_memory_ram(shadow->host.memory);

    if (mode->paging != VMMU_X86_PAGING_PAE || !mode->pdpte_in_memory) {
        return true;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (ram->load(ram->context, mode->root.v + i * sizeof(uint64_t), sizeof(uint64_t), &mode->pdpte[i]) !=
            VMMU_OK) {
            return complain(complaint, "the PDPTEs at %#llx lie in no memory",
                            (unsigned long long)mode->root.v);
        }
        if ((mode->pdpte[i] & 1) != 0 && vmmu_format_is_refused(&mode->layout, 3, false, mode->pdpte[i])) {
            return complain(complaint, "PDPTE %u at %#llx has a reserved bit set", i,
                            (unsigned long long)mode->root.v);
        }
    }
    mode->pdpte_in_memory = false;
    return true;
}

static enum vmmu_status enter(struct engine_shadow *shadow, const struct vmmu_x86_mode *mode)
{
    const uint64_t cr3_before = shadow->root.cr3;
    enum vmmu_status status;

    UNTIL_DONE(shadow, status, vmmu_shadow_enter(&shadow->shadow, VP, mode, &shadow->root));
    if (status == VMMU_OK && !shadow->options.tagged_roots && shadow->root.cr3 != cr3_before &&
        shadow->entered) {
        flush(shadow);
    }
    return status;
}

bool engine_shadow_enter(struct engine_shadow *shadow, const struct vmmu_x86_mode *mode,
                         struct complaint *complaint)
{
    const struct vmmu_shadow_counters before = shadow->shadow.counters;
    struct vmmu_x86_mode settled = *mode;
    enum vmmu_status status;

    if (!settle_pdptes(shadow, &settled, complaint)) {
        return false;
    }
    status = enter(shadow, &settled);
    if (status != VMMU_OK) {
        return refuse(shadow, status, complaint);
    }
    shadow->total.instruction_exits += shadow->entered;
    shadow->entered = true;
    shadow->guest = settled;
    follow_counters(shadow, &before);
    status = load_hardware(shadow);
    return status == VMMU_OK || refuse(shadow, status, complaint);
}

/* --- accesses --- */

bool engine_shadow_is_silent(const struct vmmu_x86_mode *guest, uint32_t error_code)
{
    const uint32_t exits = VMMU_X86_PF_PRESENT | (guest->fetch_code ? 0 : VMMU_X86_PF_FETCH);

    return (error_code & exits) == 0;
}

static enum vmmu_status walk_ours(struct engine_shadow *shadow, vmmu_gva va, struct vmmu_x86_access access,
                                  struct vmmu_x86_walk_result *walk)
{
    enum vmmu_status status;

    access.marks = VMMU_X86_MARKS_AS_IT_GOES;
    status = vmmu_x86_walk(&shadow->hardware, &shadow->host.machine, va, access, walk);
    shadow->total.walks++;
    shadow->total.loads += walk->loads;
    return status;
}

/* Ask the library about a fault that exited. *done: the access is over. */
static enum vmmu_status resolve(struct engine_shadow *shadow, vmmu_gva va, struct vmmu_x86_access access,
                                struct engine_shadow_result *result, bool *done)
{
    struct vmmu_shadow_verdict verdict = { .answer = VMMU_SHADOW_RETRY };
    enum vmmu_status status;

    shadow->total.page_fault_exits++;
    vmmu_shadow_set_keys(&shadow->shadow, VP, shadow->guest.pkru, shadow->guest.pkrs);
    UNTIL_DONE(shadow, status, vmmu_shadow_fault(&shadow->shadow, VP, va, access, &verdict));
    if (status != VMMU_OK) {
        return status;
    }
    result->gpa = verdict.gpa;
    result->fault = verdict.fault;
    *done = verdict.answer != VMMU_SHADOW_RETRY;
    switch (verdict.answer) {
    case VMMU_SHADOW_RETRY: return load_pdptes(shadow);
    case VMMU_SHADOW_INJECT: result->answer = ENGINE_SHADOW_FAULT; break;
    case VMMU_SHADOW_DEVICE:
    case VMMU_SHADOW_DENIED: result->answer = ENGINE_SHADOW_DEVICE; break;
    case VMMU_SHADOW_EMULATE: result->answer = ENGINE_SHADOW_EMULATED; break;
    }
    return VMMU_OK;
}

static enum vmmu_status access_once(struct engine_shadow *shadow, vmmu_gva va, struct vmmu_x86_access access,
                                    struct engine_shadow_result *result, bool *done)
{
    const enum vmmu_status status = walk_ours(shadow, va, access, &result->walk);

    *done = true;
    if (status == VMMU_OK) {
        result->answer = ENGINE_SHADOW_DONE;
        return VMMU_OK;
    }
    if (status != VMMU_GUEST_FAULT) {
        return status;
    }
    if (result->walk.fault.vector != VMMU_X86_VECTOR_PF ||
        (shadow->options.silent_absent &&
         engine_shadow_is_silent(&shadow->guest, result->walk.fault.error_code))) {
        shadow->total.silent_faults += result->walk.fault.vector == VMMU_X86_VECTOR_PF;
        result->answer = ENGINE_SHADOW_FAULT;
        result->fault = result->walk.fault;
        return VMMU_OK;
    }
    return resolve(shadow, va, access, result, done);
}

bool engine_shadow_access(struct engine_shadow *shadow, vmmu_gva va, struct vmmu_x86_access access,
                          struct engine_shadow_result *result, struct complaint *complaint)
{
    const struct vmmu_shadow_counters before = shadow->shadow.counters;
    const struct engine_shadow_cost spent = shadow->total;
    enum vmmu_status status = VMMU_OK;
    bool done = false;

    memset(result, 0, sizeof *result);
    if (!shadow->entered) {
        return complain(complaint, "no address space was entered");
    }
    for (unsigned turn = 0; turn < TURNS && !done && status == VMMU_OK; turn++) {
        status = access_once(shadow, va, access, result, &done);
    }
    follow_counters(shadow, &before);
    result->cost = engine_shadow_cost_since(&shadow->total, &spent);
    if (status == VMMU_OK && !done) {
        status = VMMU_FLUSH_RETRY;
    }
    return status == VMMU_OK || refuse(shadow, status, complaint);
}

/* --- stores to tables --- */

/* Tell the library of a store that the hypervisor performed itself. */
static bool tell_wrote(struct engine_shadow *shadow, const struct engine_shadow_store *store, vmmu_gpa gpa,
                       struct complaint *complaint)
{
    enum vmmu_status status;

    UNTIL_DONE(shadow, status, vmmu_shadow_wrote(&shadow->shadow, gpa, store->width_bytes));
    return status == VMMU_OK || refuse(shadow, status, complaint);
}

static bool put(struct engine_shadow *shadow, const struct engine_shadow_store *store, vmmu_gpa gpa,
                struct complaint *complaint)
{
    const struct vmmu_ram *ram = engine_memory_ram(shadow->host.memory);
    uint64_t now;

    if (ram->load(ram->context, gpa.v, store->width_bytes, &now) != VMMU_OK ||
        ram->exchange(ram->context, gpa.v, store->width_bytes, now, store->value) != VMMU_OK) {
        return complain(complaint, "nothing can be written at %#llx", (unsigned long long)gpa.v);
    }
    return true;
}

bool engine_shadow_store(struct engine_shadow *shadow, const struct engine_shadow_store *store,
                         struct engine_shadow_result *result, struct complaint *complaint)
{
    const struct engine_shadow_cost spent = shadow->total;
    struct vmmu_shadow_counters before;

    if (!engine_shadow_access(shadow, store->va, store->access, result, complaint)) {
        return false;
    }
    switch (result->answer) {
    case ENGINE_SHADOW_FAULT:
    case ENGINE_SHADOW_DEVICE: return true;
    case ENGINE_SHADOW_DONE:
        result->gpa.v = result->walk.translation.gpa.v - ENGINE_GUEST_AT;
        return put(shadow, store, result->gpa, complaint);
    case ENGINE_SHADOW_EMULATED: break;
    }
    before = shadow->shadow.counters;
    if (!put(shadow, store, result->gpa, complaint) || !tell_wrote(shadow, store, result->gpa, complaint)) {
        return false;
    }
    follow_counters(shadow, &before);
    result->cost = engine_shadow_cost_since(&shadow->total, &spent);
    return true;
}

bool engine_shadow_invlpg(struct engine_shadow *shadow, vmmu_gva va, struct complaint *complaint)
{
    const struct vmmu_shadow_counters before = shadow->shadow.counters;
    enum vmmu_status status;

    if (!shadow->shadow.watches_invlpg) {
        return true;
    }
    shadow->total.instruction_exits++;
    UNTIL_DONE(shadow, status, vmmu_shadow_invlpg(&shadow->shadow, VP, va));
    follow_counters(shadow, &before);
    return status == VMMU_OK || refuse(shadow, status, complaint);
}

/* --- looking --- */

const struct vmmu_x86_mode *engine_shadow_hardware(const struct engine_shadow *shadow)
{
    return &shadow->hardware;
}

uint64_t engine_shadow_root(const struct engine_shadow *shadow)
{
    return shadow->root.cr3;
}

const struct engine_shadow_cost *engine_shadow_total(const struct engine_shadow *shadow)
{
    return &shadow->total;
}

const struct vmmu_shadow_counters *engine_shadow_counters(const struct engine_shadow *shadow)
{
    return &shadow->shadow.counters;
}

enum vmmu_status engine_shadow_view(struct engine_shadow *shadow, vmmu_gva va, struct vmmu_shadow_view *view)
{
    return vmmu_shadow_view(&shadow->shadow, VP, va, view);
}
