#include "tests/unit/shadow/mirror.h"

#include "tests/unit/modern_cpu.h"
#include "tests/unit/shadow/invariants.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

/* --- memory --- */

/* Which page of our copy holds it; MIRROR_PAGES + MIRROR_HIGH_PAGES: none. */
static uint64_t page_of(uint64_t gpa)
{
    const uint64_t page = gpa / VMMU_PAGE_BYTES;
    const uint64_t high = page - MIRROR_HIGH / VMMU_PAGE_BYTES;

    if (page < MIRROR_PAGES) {
        return page;
    }
    return MIRROR_PAGES + (high < MIRROR_HIGH_PAGES ? high : MIRROR_HIGH_PAGES);
}

static uint8_t *guest_byte(struct mirror *mirror, uint64_t gpa)
{
    const uint64_t page = page_of(gpa);

    if (page == MIRROR_PAGES + MIRROR_HIGH_PAGES || mirror->rights[page] == 0) {
        return NULL;
    }
    return mirror->guest + page * VMMU_PAGE_BYTES + (gpa & (VMMU_PAGE_BYTES - 1));
}

static enum vmmu_status load(const uint8_t *at, unsigned width_bytes, uint64_t *value)
{
    if (at == NULL) {
        return VMMU_ABSENT;
    }
    *value = 0;
    memcpy(value, at, width_bytes);
    return VMMU_OK;
}

static enum vmmu_status exchange(uint8_t *at, unsigned width_bytes, uint64_t expected, uint64_t desired)
{
    uint64_t value;

    if (load(at, width_bytes, &value) != VMMU_OK) {
        return VMMU_ABSENT;
    }
    if (value != expected) {
        return VMMU_RACED;
    }
    memcpy(at, &desired, width_bytes);
    return VMMU_OK;
}

static enum vmmu_status guest_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    return load(guest_byte(context, address), width_bytes, value);
}

static enum vmmu_status guest_exchange(void *context, uint64_t address, unsigned width_bytes,
                                       uint64_t expected, uint64_t desired)
{
    struct mirror *const mirror = context;
    uint8_t *const at = guest_byte(mirror, address);

    if (at != NULL && !(mirror->rights[page_of(address)] & VMMU_X86_RIGHT_WRITE)) {
        return VMMU_ABSENT;
    }
    return exchange(at, width_bytes, expected, desired);
}

static uint8_t *machine_byte(struct mirror *mirror, uint64_t hpa)
{
    if (hpa >= MIRROR_HPA && hpa - MIRROR_HPA < 2 * MIRROR_HIGH) {
        return guest_byte(mirror, hpa - MIRROR_HPA);
    }
    return (uint8_t *)table_host_page(&mirror->host, hpa & ~(VMMU_PAGE_BYTES - 1)) +
           (hpa & (VMMU_PAGE_BYTES - 1));
}

static enum vmmu_status machine_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    return load(machine_byte(context, address), width_bytes, value);
}

/* Everything in a shadow was marked when it was made. */
static enum vmmu_status machine_exchange(void *context, uint64_t address, unsigned width_bytes,
                                         uint64_t expected, uint64_t desired)
{
    (void)context;
    (void)width_bytes;
    fail_msg("a processor marks an entry of a shadow at %#llx: %#llx becomes %#llx",
             (unsigned long long)address, (unsigned long long)expected, (unsigned long long)desired);
    return VMMU_OK;
}

static enum vmmu_status backing(void *context, vmmu_gpa gpa, struct vmmu_shadow_backing *out)
{
    struct mirror *const mirror = context;
    const uint64_t base = gpa.v & ~(mirror->piece_bytes - 1);

    if (guest_byte(mirror, gpa.v) == NULL) {
        return VMMU_ABSENT;
    }
    *out = (struct vmmu_shadow_backing){
        .frame = { MIRROR_HPA + base },
        .size_bytes = mirror->piece_bytes,
        .rights = mirror->rights[page_of(gpa.v)],
        .type = mirror->type,
    };
    return VMMU_OK;
}

/* --- life --- */

struct vmmu_shadow_config mirror_config(struct mirror *mirror, uint32_t pool_pages)
{
    return (struct vmmu_shadow_config){
        .ram = &mirror->ram,
        .context = mirror,
        .backing = backing,
        .pool_pages = pool_pages,
        .maxphyaddr = 48,
        .largest_level = 2,
        .pat = MIRROR_PAT,
        .guest_pat = MIRROR_GUEST,
        .vps = 3,
    };
}

void mirror_start(struct mirror *mirror, uint32_t pool_pages)
{
    mirror_start_as(mirror, pool_pages, (struct mirror_offer){ .vps = 2 });
}

void mirror_start_as(struct mirror *mirror, uint32_t pool_pages, struct mirror_offer offer)
{
    const size_t bytes = vmmu_shadow_memory_bytes(pool_pages);

    memset(mirror, 0, sizeof(*mirror));
    table_host_init(&mirror->host);
    vmmu_table_init(&mirror->memory, &mirror->host.seam, mirror->quarantine, MIRROR_LIMIT, 4);
    mirror->ram = (struct vmmu_ram){ mirror, guest_load, guest_exchange };
    mirror->machine = (struct vmmu_ram){ mirror, machine_load, machine_exchange };
    mirror->guest = calloc(MIRROR_PAGES + MIRROR_HIGH_PAGES, VMMU_PAGE_BYTES);
    mirror->account = malloc(bytes);
    assert_non_null(mirror->guest);
    assert_non_null(mirror->account);
    if (mirror->account == NULL) {
        return;
    }
    memset(mirror->account, 0xA5, bytes);
    memset(mirror->rights, VMMU_X86_RIGHTS_ALL, sizeof(mirror->rights));
    mirror->type = VMMU_X86_TYPE_WB;
    mirror->piece_bytes = VMMU_PAGE_BYTES;
    mirror->next_table = 0x100000;
    mirror->cpu = (struct vmmu_x86_cpu){
        .maxphyaddr = 40,
        MODERN_PAGING,
    };

    struct vmmu_shadow_config config = mirror_config(mirror, pool_pages);

    config.vps = BIT64(offer.vps) - 1;
    config.silent_absent = offer.silent_absent;
    config.tagged_roots = offer.tagged_roots;
    config.private_vps = offer.private_vps;
    config.heeds_table_cache = offer.heeds_table_cache;
    EXPECT_EQ(vmmu_shadow_init(&mirror->shadow, &config, &mirror->memory, mirror->account, bytes), VMMU_OK);
    for (unsigned vp = 0; vp < offer.vps; vp++) {
        mirror->registers[vp].cr0 = VMMU_X86_CR0_PE;
        mirror_enter(mirror, vp);
    }
}

void mirror_finish(struct mirror *mirror)
{
    vmmu_shadow_destroy(&mirror->shadow);
    vmmu_table_drain(&mirror->memory);
    EXPECT_EQ(mirror->memory.counters.held_pages, 0);
    table_host_finish(&mirror->host, true);
    free(mirror->guest);
    free(mirror->account);
}

enum vmmu_status mirror_apply(struct mirror *mirror, struct vmmu_outcome outcome)
{
    if (vmmu_plan_is_empty(&outcome.plan)) {
        EXPECT_EQ(outcome.plan.epoch, 0);
        EXPECT(outcome.status != VMMU_FLUSH_RETRY);
        return outcome.status;
    }
    EXPECT_EQ(outcome.plan.vps & ~UINT64_C(3), 0);
    EXPECT(outcome.plan.epoch != 0);
    mirror->flushes++;
    vmmu_table_flushed(&mirror->memory, outcome.plan.epoch);
    return outcome.status;
}

/* What holds of every page and entry, holds now; and if @vp has just flushed, all that it can reach agrees. */
static void check(const struct mirror *mirror, bool flushed, unsigned vp)
{
    const struct shadow_witness witness = { .shadow = &mirror->shadow,
                                            .cpu = &mirror->cpu,
                                            .ram = &mirror->ram };
    struct shadow_breach where;
    const char *breach = shadow_breach(&witness, &where);

    if (breach == NULL && flushed) {
        breach = shadow_step_breach(&witness, vp, &where);
    }
    if (breach != NULL) {
        fail_msg("not so of shadow page %u, entry %u: %s", where.page, where.index, breach);
    }
}

/* --- the guest --- */

static struct vmmu_x86_mode mode_of(struct mirror *mirror, unsigned vp)
{
    struct vmmu_x86_mode mode;

    EXPECT_EQ(vmmu_mode_make(&mirror->cpu, &mirror->registers[vp], &mode), VMMU_OK);
    return mode;
}

void mirror_enter(struct mirror *mirror, unsigned vp)
{
    struct vmmu_x86_paging_registers *const registers = &mirror->registers[vp];
    enum vmmu_status status;

    if (vmmu_mode_paging(registers->cr0, registers->cr4, registers->efer) == VMMU_X86_PAGING_PAE) {
        EXPECT_EQ(vmmu_mode_load_pdptes(&mirror->cpu, &mirror->ram, registers->cr3, registers->pdpte),
                  VMMU_OK);
    }
    const struct vmmu_x86_mode mode = mode_of(mirror, vp);

    MIRROR_DO(mirror, status, vmmu_shadow_enter(&mirror->shadow, vp, &mode, &mirror->root[vp]));
    EXPECT_EQ(status, VMMU_OK);
    check(mirror, true, vp);
}

void mirror_settle(struct mirror *mirror, unsigned vp)
{
    for (unsigned i = 0; i < 8; i++) {
        mirror_enter(mirror, vp);
    }
}

void mirror_page(struct mirror *mirror, unsigned vp, enum vmmu_x86_paging paging, uint64_t root)
{
    static const uint64_t cr4[] = {
        [VMMU_X86_PAGING_32BIT] = VMMU_X86_CR4_PSE,
        [VMMU_X86_PAGING_PAE] = VMMU_X86_CR4_PAE,
        [VMMU_X86_PAGING_4LEVEL] = VMMU_X86_CR4_PAE,
        [VMMU_X86_PAGING_5LEVEL] = VMMU_X86_CR4_PAE | VMMU_X86_CR4_LA57,
    };
    const bool is_long = paging == VMMU_X86_PAGING_4LEVEL || paging == VMMU_X86_PAGING_5LEVEL;

    mirror->registers[vp] = (struct vmmu_x86_paging_registers){
        .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_PG | VMMU_X86_CR0_WP,
        .cr3 = root,
        .cr4 = cr4[paging] | VMMU_X86_CR4_PGE,
        .efer = VMMU_X86_EFER_NXE | (is_long ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0),
    };
    mirror_enter(mirror, vp);
}

uint64_t mirror_get(struct mirror *mirror, uint64_t gpa)
{
    uint64_t value;

    memcpy(&value, mirror->guest + gpa, sizeof(value));
    return value;
}

static void write_bytes(struct mirror *mirror, uint64_t gpa, uint64_t value, unsigned width_bytes)
{
    enum vmmu_status status;

    memcpy(mirror->guest + gpa, &value, width_bytes);
    MIRROR_DO(mirror, status, vmmu_shadow_wrote(&mirror->shadow, (vmmu_gpa){ gpa }, width_bytes));
    EXPECT_EQ(status, VMMU_OK);
}

void mirror_write(struct mirror *mirror, uint64_t gpa, uint64_t value)
{
    write_bytes(mirror, gpa, value, 8);
}

static const struct vmmu_x86_format *guest_format(struct mirror *mirror, unsigned vp)
{
    const struct vmmu_x86_mode mode = mode_of(mirror, vp);

    return &vmmu_x86_formats[mode.layout.format];
}

static uint64_t load_entry(struct mirror *mirror, uint64_t at, unsigned width_bytes)
{
    uint64_t entry = 0;

    memcpy(&entry, mirror->guest + at, width_bytes);
    return entry;
}

/* The tables above are made as far as they miss. */
uint64_t mirror_entry_at(struct mirror *mirror, unsigned vp, uint64_t va, unsigned level)
{
    const struct vmmu_x86_mode mode = mode_of(mirror, vp);
    const struct vmmu_x86_format *const format = guest_format(mirror, vp);
    uint64_t table = mode.root.v;

    for (unsigned number = format->levels;; number--) {
        const struct vmmu_x86_level *const entry_level = &format->level[number];
        const uint64_t at = table + (uint64_t)vmmu_format_index(entry_level, va) * format->entry_bytes;

        if (number == level) {
            return at;
        }
        if ((load_entry(mirror, at, format->entry_bytes) & G_PRESENT) == 0) {
            const uint64_t rights = G_ALL & ~entry_level->implied;

            write_bytes(mirror, at, mirror->next_table | rights, format->entry_bytes);
            mirror->next_table += VMMU_PAGE_BYTES;
            if (mode.paging == VMMU_X86_PAGING_PAE && number == 3) {
                mirror_enter(mirror, vp);
            }
        }
        table = vmmu_format_table(entry_level, load_entry(mirror, at, format->entry_bytes));
    }
}

void mirror_map(struct mirror *mirror, unsigned vp, uint64_t va, unsigned level, uint64_t leaf)
{
    write_bytes(mirror, mirror_entry_at(mirror, vp, va, level), leaf, guest_format(mirror, vp)->entry_bytes);
}

/* --- the processor --- */

/* What the hardware runs with: see the top of shadow.h. */
static struct vmmu_x86_mode hardware_of(struct mirror *mirror, unsigned vp)
{
    const struct vmmu_x86_mode guest = mode_of(mirror, vp);
    const bool is_long = mirror->root[vp].format != VMMU_X86_FORMAT_PAE;
    const uint64_t own = VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP | VMMU_X86_CR4_PKE;
    const struct vmmu_x86_cpu machine = { .maxphyaddr = 48,
                                          .pae = true,
                                          .pge = true,
                                          .nx = true,
                                          .long_mode = true,
                                          .gib_pages = true,
                                          .la57 = true,
                                          .smep = true,
                                          .smap = true,
                                          .pku = true };
    const struct vmmu_x86_paging_registers registers = {
        .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_PG | VMMU_X86_CR0_WP,
        .cr3 = mirror->root[vp].cr3,
        .cr4 = VMMU_X86_CR4_PAE | VMMU_X86_CR4_PGE |
               (mirror->root[vp].format == VMMU_X86_FORMAT_5LEVEL ? VMMU_X86_CR4_LA57 : 0) |
               (guest.paging == VMMU_X86_PAGING_NONE ? 0 : mirror->registers[vp].cr4 & own),
        .efer = VMMU_X86_EFER_NXE | (is_long ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0),
        .pkru = mirror->registers[vp].pkru,
        .pdpte_in_memory = true,
    };
    struct vmmu_x86_mode mode;

    EXPECT_EQ(vmmu_mode_make(&machine, &registers, &mode), VMMU_OK);
    return mode;
}

struct mirror_result mirror_access(struct mirror *mirror, unsigned vp, uint64_t va,
                                   struct vmmu_x86_access access)
{
    struct mirror_result result = { .answer = VMMU_SHADOW_RETRY };
    struct vmmu_x86_walk_result walk;
    struct vmmu_shadow_verdict verdict;
    enum vmmu_status status;

    access.marks = VMMU_X86_MARKS_AS_IT_GOES;
    for (; result.faults < 16; result.faults++) {
        const struct vmmu_x86_mode hardware = hardware_of(mirror, vp);

        status = vmmu_x86_walk(&hardware, &mirror->machine, (vmmu_gva){ va }, access, &walk);
        if (status == VMMU_OK) {
            result.gpa = walk.translation.gpa.v - MIRROR_HPA;
            result.leaf = walk.translation;
            check(mirror, false, vp);
            return result;
        }
        EXPECT_EQ(status, VMMU_GUEST_FAULT);
        EXPECT_EQ(walk.fault.vector, VMMU_X86_VECTOR_PF);
        if (!(walk.fault.error_code & VMMU_X86_PF_PRESENT) && mirror->shadow.config.silent_absent) {
            result.answer = VMMU_SHADOW_INJECT;
            result.fault = walk.fault;
            check(mirror, false, vp);
            return result;
        }
        EXPECT(((walk.fault.error_code & VMMU_X86_PF_RESERVED) == 0) || mirror->shadow.config.silent_absent);
        MIRROR_DO(mirror, status, vmmu_shadow_fault(&mirror->shadow, vp, (vmmu_gva){ va }, access, &verdict));
        EXPECT_EQ(status, VMMU_OK);
        result.table_cache = result.table_cache || verdict.table_cache;
        if (verdict.answer != VMMU_SHADOW_RETRY) {
            result.answer = verdict.answer;
            result.gpa = verdict.gpa.v;
            result.fault = verdict.fault;
            check(mirror, false, vp);
            result.faults++;
            return result;
        }
    }
    fail_msg("an access of %#llx makes no progress", (unsigned long long)va);
    return result;
}

struct mirror_result mirror_read(struct mirror *mirror, unsigned vp, uint64_t va)
{
    return mirror_access(mirror, vp, va, (struct vmmu_x86_access){ .kind = VMMU_X86_READ });
}

struct mirror_result mirror_store(struct mirror *mirror, unsigned vp, uint64_t va)
{
    return mirror_access(mirror, vp, va, (struct vmmu_x86_access){ .kind = VMMU_X86_WRITE });
}
