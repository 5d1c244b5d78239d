/*
 * Shadow paging: page faults and control instructions exit, INVLPG while the library watches it; the processor walks
 * tables of the library's.
 *
 * The hardware's registers are made of the guest's: paging and CR0.WP always on, PAE or long mode as deep as the shadow is,
 * EFER.NXE on, no PCIDs, and the guest's own PGE, SMEP, SMAP and PKE, the last three only while its paging is on.
 */
#include "tests/model/machine/engine_shadow_internal.h"
#include "tests/unit/modern_cpu.h"

#include <inttypes.h>
#include <stdlib.h>

#define PHYSICAL_BITS     40

/* WB, WT, UC-, UC, WB, WP, UC-, WC; and the guest's: WB, WC, UC-, UC, WT, WP, UC-, WB. */
#define HOST_PAT          UINT64_C(0x0107050600070406)
#define GUEST_PAT         UINT64_C(0x0607050400070106)

/* The host has the wrong frame in mind, and the library is to refuse it. */
#define LIES_ONCE_IN      128

#define NEW_PAT_ONCE_IN   32

/* An emulator gives up on a write once in so many. */
#define UNDECODED_ONCE_IN 4

/* --- what hardware is loaded with --- */

static enum vmmu_status machine_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct world *world = context;

    if (address >= HOST_LIMIT) {
        return VMMU_ABSENT;
    }
    *value = memory_load(world_memory(world), address, width_bytes);
    return VMMU_OK;
}

/* Each root has a tag of its own, as long as a virtual processor has tags enough. */
static bool has_tagged_roots(const struct engine *engine)
{
    return world_setting(engine->world)->roots > 1;
}

static struct vmmu_x86_paging_registers hardware_registers(const struct engine *engine,
                                                           const struct vmmu_x86_mode *guest,
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
               (paged && guest->user_keys ? VMMU_X86_CR4_PKE : 0),
        .efer = VMMU_X86_EFER_NXE | (long_mode ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0),
        .pkru = guest->pkru,
        .pdpte_in_memory = !world_setting(engine->world)->intel,
    };
}

/* The depth that tables for @guest have. */
static enum vmmu_x86_format_name format_for(const struct vmmu_x86_mode *guest)
{
    if (guest->paging == VMMU_X86_PAGING_5LEVEL) {
        return VMMU_X86_FORMAT_5LEVEL;
    }
    return guest->paging == VMMU_X86_PAGING_4LEVEL ? VMMU_X86_FORMAT_4LEVEL : VMMU_X86_FORMAT_PAE;
}

/* What an operation may have changed of the library's tables, or have found waiting. */
struct before {
    uint64_t stores;
    uint64_t pages;
    uint64_t removed;
    uint32_t unflushed;
    bool watches;
};

static struct before look_before(const struct engine *engine)
{
    return (struct before){
        .stores = engine->shadow.counters.stores,
        .pages = engine->shadow.counters.pages,
        .removed = engine->shadow.counters.roots_made + engine->shadow.counters.evicted,
        .unflushed = world_tables(engine->world)->unflushed_count,
        .watches = engine->shadow.watches_invlpg,
    };
}

/* An address space was entered: if no table changed and nothing waits for a flush, there is nothing to flush. */
static void check_switch(struct engine *engine, unsigned vp, const struct before *before,
                         const struct vmmu_plan *plan)
{
    const struct before now = look_before(engine);

    if (now.stores != before->stores || now.pages != before->pages || now.removed != before->removed ||
        now.watches != before->watches || before->unflushed != 0) {
        return;
    }
    world_count_switch(engine->world);
    if (!vmmu_plan_is_empty(plan)) {
        world_report(engine->world, CHECK_SWITCH,
                     "VP %u: CR3 %#" PRIx64 " was entered and changed nothing, and VPs %#" PRIx64
                     " are to flush",
                     vp, reference_registers(world_reference(engine->world), vp)->cr3, plan->vps);
    }
}

static struct vmmu_outcome enter_root(struct engine *engine, unsigned vp)
{
    const struct before before = look_before(engine);
    const struct vmmu_x86_mode *guest = reference_mode(world_reference(engine->world), vp);
    const struct vmmu_outcome outcome = vmmu_shadow_enter(&engine->shadow, vp, guest, &engine->vps[vp].root);

    if (outcome.status == VMMU_OK) {
        check_switch(engine, vp, &before, &outcome.plan);
    }
    return outcome;
}

/* Whether the MOV to CR4 that the hardware does not see would invalidate something. */
static bool loses_by_cr4(const struct engine *engine, const struct hardware_vp *own,
                         const struct vmmu_x86_paging_registers *registers)
{
    const struct vmmu_x86_tags tags = {
        .vendor = world_setting(engine->world)->intel ? VMMU_X86_INTEL : VMMU_X86_AMD,
        .tagged = true,
    };
    struct vmmu_x86_paging_registers before = *registers;

    before.cr4 = own->cr4;
    return vmmu_invalidate_cr4(&tags, &before, registers->cr4).count != 0;
}

/* The VP translates as its registers say from now on. */
static void change_root(struct engine *engine, unsigned vp)
{
    const struct vmmu_x86_mode *guest = reference_mode(world_reference(engine->world), vp);
    struct hardware_vp *own = &engine->vps[vp];
    const uint64_t before = own->root.cr3;
    enum vmmu_status status;

    SHADOW_DO(engine, status, enter_root(engine, vp));
    if (status != VMMU_OK) {
        world_report(engine->world, CHECK_PROGRESS, "VP %u: entering an address space ended in status %d", vp,
                     status);
        return;
    }
    const struct vmmu_x86_paging_registers registers = hardware_registers(engine, guest, &own->root);

    if (has_tagged_roots(engine) ? loses_by_cr4(engine, own, &registers) : own->root.cr3 != before) {
        world_apply(engine->world, &(struct vmmu_plan){ .whole_tag = true, .vps = BIT64(vp) });
    }
    own->cr4 = registers.cr4;
    if (own->root.format != format_for(guest) ||
        vmmu_mode_make(&engine->cpu, &registers, &own->hardware) != VMMU_OK ||
        memory_owner_of(world_memory(engine->world), own->hardware.root.v) != OWNER_TABLES) {
        world_report(engine->world, CHECK_TABLES, "VP %u: no hardware runs on CR3 %#" PRIx64 " in format %d",
                     vp, own->root.cr3, own->root.format);
    }
}

static void load(struct engine *engine, unsigned vp, const struct vmmu_x86_mode *mode,
                 struct guest_state *state)
{
    state->mode = engine->vps[vp].hardware;
    state->mode.pkru = mode->pkru;
    state->host_tables = true;
    state->nested = false;
}

/*
 * VM entry loads the four entries of PAE's root into registers; they must be good. Which instructions exit is settled until the
 * guest is left again.
 */
static void enter(struct engine *engine, unsigned vp)
{
    struct hardware_vp *own = &engine->vps[vp];

    own->intercepts_invlpg = engine->shadow.watches_invlpg;
    if (own->hardware.paging == VMMU_X86_PAGING_PAE && !own->hardware.pdpte_in_memory &&
        vmmu_mode_load_pdptes(&engine->cpu, &engine->machine, own->root.cr3, own->hardware.pdpte) !=
            VMMU_OK) {
        world_report(engine->world, CHECK_TABLES, "VP %u: VM entry fails for PDPTEs at %#" PRIx64, vp,
                     own->root.cr3);
    }
}

/* --- life --- */

static struct vmmu_x86_cpu cpu_of(const struct setting *setting)
{
    return (struct vmmu_x86_cpu){
        .maxphyaddr = PHYSICAL_BITS,
        MODERN_PAGING,
        .bit8_reserved = !setting->intel,
    };
}

static bool start(struct engine *engine, const struct setting *setting)
{
    const struct vmmu_shadow_config config = {
        .ram = &engine->ram,
        .context = engine,
        .backing = backing_of,
        .pool_pages = setting->table_pages,
        .maxphyaddr = PHYSICAL_BITS,
        .largest_level = setting->largest,
        .pat = HOST_PAT,
        .guest_pat = GUEST_PAT,
        .vps = BIT64(setting->vps) - 1,
        .silent_absent = setting->silent,
        .tagged_roots = setting->roots > 1,
        .private_vps = setting->private_vps,
    };
    const size_t bytes = vmmu_shadow_memory_bytes(setting->table_pages);

    engine->account = bytes != 0 ? malloc(bytes) : NULL;
    return engine->account && vmmu_shadow_init(&engine->shadow, &config, world_tables(engine->world),
                                               engine->account, bytes) == VMMU_OK;
}

static struct engine *create(struct world *world)
{
    const struct setting *setting = world_setting(world);
    struct engine *engine = calloc(1, sizeof *engine);

    if (!engine) {
        return NULL;
    }
    engine->world = world;
    engine->cpu = cpu_of(setting);
    engine->ram = (struct vmmu_ram){ engine, backing_load, backing_exchange };
    engine->machine = (struct vmmu_ram){ .context = world, .load = machine_load };
    if (!start(engine, setting)) {
        free(engine->account);
        free(engine);
        return NULL;
    }
    for (unsigned vp = 0; vp < setting->vps; vp++) {
        change_root(engine, vp);
    }
    return engine;
}

static void destroy(struct engine *engine)
{
    vmmu_shadow_destroy(&engine->shadow);
    free(engine->account);
    free(engine);
}

/* --- running --- */

/*
 * Whether a page that a supervisor may write, though it is a user's and read-only, must stay one for the sake of SMAP or
 * keys: only an emulator can write it then and keep to the architecture.
 */
static bool must_be_emulated(const struct vmmu_x86_mode *guest)
{
    return guest->paging != VMMU_X86_PAGING_NONE && !guest->write_protect &&
           (guest->smap || guest->user_keys || guest->system_keys);
}

/* An emulator that knows the instruction writes; one that does not wants the table gone. */
static struct engine_verdict write_table(struct engine *engine, unsigned vp, uint64_t gpa)
{
    struct engine_verdict verdict = { .answer = ENGINE_EMULATE, .gpa = gpa };
    enum vmmu_status status;

    if (!must_be_emulated(reference_mode(world_reference(engine->world), vp)) &&
        world_once_in(engine->world, UNDECODED_ONCE_IN)) {
        SHADOW_DO(engine, status, vmmu_shadow_drop(&engine->shadow, (vmmu_gpa){ gpa }));
        verdict.answer = status == VMMU_OK ? ENGINE_RETRY : ENGINE_BROKEN;
    }
    return verdict;
}

static struct vmmu_outcome ask(struct engine *engine, unsigned vp, uint64_t va, struct vmmu_x86_access access,
                               struct vmmu_shadow_verdict *verdict)
{
    engine->asked = reference_time(world_reference(engine->world));
    return vmmu_shadow_fault(&engine->shadow, vp, (vmmu_gva){ va }, access, verdict);
}

/*
 * The guest's own fault was decided by entries that were read one after the other. If somebody else did anything meanwhile, there
 * is no moment to judge it at: have the guest run into it once more.
 */
static enum engine_answer reflect(const struct engine *engine)
{
    return reference_time(world_reference(engine->world)) == engine->asked ? ENGINE_INJECT : ENGINE_RETRY;
}

static struct engine_verdict page_fault(struct engine *engine, unsigned vp, uint64_t va,
                                        struct vmmu_x86_access access, const struct vmmu_x86_fault *fault)
{
    const struct vmmu_x86_mode *guest = reference_mode(world_reference(engine->world), vp);
    struct vmmu_shadow_verdict told = { .answer = VMMU_SHADOW_RETRY };
    struct engine_verdict verdict = { .answer = ENGINE_BROKEN };
    enum vmmu_status status;

    (void)fault;
    /* WRPKRU does not exit. */
    vmmu_shadow_set_keys(&engine->shadow, vp, guest->pkru, guest->pkrs);
    engine->writing = access.kind == VMMU_X86_WRITE;
    engine->lying = world_once_in(engine->world, LIES_ONCE_IN);
    world_provoke(engine->world, engine->lying);
    SHADOW_DO(engine, status, ask(engine, vp, va, access, &told));
    world_provoke(engine->world, false);
    if (engine->lying) {
        engine->lying = false;
        engine->lies += status == VMMU_VIOLATED;
        shadow_check(engine, true);
        verdict.answer = ENGINE_RETRY;
        return verdict;
    }
    verdict.gpa = told.gpa.v;
    verdict.fault = told.fault;
    if (status == VMMU_RACED) {
        verdict.answer = ENGINE_RETRY;
        return verdict;
    }
    if (status != VMMU_OK) {
        world_report(engine->world, CHECK_PROGRESS, "a fault at %#" PRIx64 " ended in status %d", va, status);
        return verdict;
    }
    switch (told.answer) {
    case VMMU_SHADOW_RETRY: verdict.answer = ENGINE_RETRY; break;
    case VMMU_SHADOW_INJECT: verdict.answer = reflect(engine); break;
    case VMMU_SHADOW_DEVICE: verdict.answer = ENGINE_DEVICE; break;
    case VMMU_SHADOW_DENIED:
        verdict.answer =
            engine->writing && backing_log_write(engine, told.gpa.v) ? ENGINE_RETRY : ENGINE_DEVICE;
        break;
    case VMMU_SHADOW_EMULATE: return write_table(engine, vp, told.gpa.v);
    }
    return verdict;
}

/*
 * The processor gives what is not present to the guest, if the code that it raises it with is the one that the guest's own
 * would have: with EFER.NXE set for the technique's sake, it tells fetches apart.
 */
static bool is_silent(const struct engine *engine, unsigned vp, const struct vmmu_x86_fault *fault)
{
    const struct vmmu_x86_mode *guest = reference_mode(world_reference(engine->world), vp);
    const uint32_t exits = VMMU_X86_PF_PRESENT | (guest->fetch_code ? 0 : VMMU_X86_PF_FETCH);

    return world_setting(engine->world)->silent && (fault->error_code & exits) == 0;
}

/* The guest turns its PAT around, by a WRMSR that is no operation of the model's, for nobody sees it. */
static void change_pat(struct engine *engine)
{
    const uint64_t pat = engine->shadow.config.guest_pat;
    enum vmmu_status status;

    SHADOW_DO(engine, status, vmmu_shadow_set_guest_pat(&engine->shadow, pat << 8 | pat >> 56));
    if (status != VMMU_OK) {
        world_report(engine->world, CHECK_PROGRESS, "a new PAT ended in status %d", status);
    }
}

static bool intercepts(const struct engine *engine, unsigned vp, enum op_kind kind)
{
    const uint32_t always = UINT32_C(1) << OP_CR0 | UINT32_C(1) << OP_CR3 | UINT32_C(1) << OP_CR4 |
                            UINT32_C(1) << OP_EFER | UINT32_C(1) << OP_INVPCID;

    return ((always >> kind) & 1) || (kind == OP_INVLPG && engine->vps[vp].intercepts_invlpg);
}

static void invalidate_page(struct engine *engine, unsigned vp, uint64_t va)
{
    enum vmmu_status status;

    SHADOW_DO(engine, status, vmmu_shadow_invlpg(&engine->shadow, vp, (vmmu_gva){ va }));
    if (status != VMMU_OK) {
        world_report(engine->world, CHECK_PROGRESS, "VP %u: INVLPG of %#" PRIx64 " ended in status %d", vp,
                     va, status);
    }
}

static void control(struct engine *engine, unsigned vp, const struct engine_event *event)
{
    if (world_once_in(engine->world, NEW_PAT_ONCE_IN)) {
        change_pat(engine);
    }
    if (event->kind == OP_INVLPG) {
        invalidate_page(engine, vp, event->address);
    } else {
        change_root(engine, vp);
    }
}

/* Up to so many pages one by one; beyond it is less work to look at everything. */
#define PAGES_ONE_BY_ONE 32U

static void flush(struct engine *engine, unsigned vp, const struct vmmu_plan *plan)
{
    uint64_t pages = 0;

    for (unsigned i = 0; i < plan->count; i++) {
        pages += plan->ranges[i].pages;
    }
    if (plan->whole_tag || pages > PAGES_ONE_BY_ONE) {
        change_root(engine, vp);
        return;
    }
    for (unsigned i = 0; i < plan->count; i++) {
        for (uint64_t page = 0; page < plan->ranges[i].pages; page++) {
            invalidate_page(engine, vp, plan->ranges[i].base + page * VMMU_PAGE_BYTES);
        }
    }
}

static void guest_wrote(struct engine *engine, unsigned vp, uint64_t gpa, unsigned width_bytes)
{
    enum vmmu_status status;

    (void)vp;
    (void)backing_log_write(engine, gpa);
    SHADOW_DO(engine, status, vmmu_shadow_wrote(&engine->shadow, (vmmu_gpa){ gpa }, width_bytes));
    if (status != VMMU_OK) {
        world_report(engine->world, CHECK_PROGRESS, "a write to gpa %#" PRIx64 " ended in status %d", gpa,
                     status);
    }
}

const struct engine_class engine_shadow = {
    .name = "shadow",
    .intel = true,
    .amd = true,
    .least_table_pages = VMMU_SHADOW_FLOOR_PAGES,
    .intercepts = intercepts,
    .create = create,
    .destroy = destroy,
    .load = load,
    .enter = enter,
    .page_fault = page_fault,
    .is_silent = is_silent,
    .control = control,
    .flush = flush,
    .guest_wrote = guest_wrote,
    .map = backing_map,
    .unmap = backing_unmap,
    .protect = backing_protect,
    .split = backing_split,
    .merge = backing_merge,
    .log_start = backing_log_start,
    .log_collect = backing_log_collect,
    .log_stop = backing_log_stop,
    .check = shadow_check,
};
