#include "shadow_guest.h"
#include "tests/unit/modern_cpu.h"

#define TABLES_HPA   UINT64_C(0x100000)
#define PAGE_WORDS   (VMMU_PAGE_BYTES / sizeof(uint64_t))

/* WB, WC, UC-, UC, WB, WP, UC-, WT; and the guest's, as after reset. */
#define HOST_PAT     UINT64_C(0x0407050600070106)
#define GUEST_PAT    UINT64_C(0x0007040600070406)

/* Present, writable, a user's, accessed, dirty. */
#define SOUND        UINT64_C(0x67)

/* Where the guest has its tables at first: see lay_tables. */
#define OTHERS       8U
#define DATA         16U
#define PDPT         14U
#define DIRECTORY_32 6U
#define TABLE_32     7U

/* --- the guest's memory --- */

static uint64_t *word_at(const struct guest *guest, uint64_t gpa)
{
    return gpa < GUEST_STORED * VMMU_PAGE_BYTES ? &guest->content[gpa / sizeof(uint64_t)] : NULL;
}

static uint8_t rights_at(const struct guest *guest, uint64_t gpa)
{
    return gpa / VMMU_PAGE_BYTES < GUEST_PAGES ? guest->rights[gpa / VMMU_PAGE_BYTES] : 0;
}

static enum vmmu_status ram_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const struct guest *const guest = context;
    const uint64_t *const word = word_at(guest, address);

    if (!rights_at(guest, address)) {
        return VMMU_ABSENT;
    }
    *value = word ? *word : 0;
    if (width_bytes == 4) {
        *value = (uint32_t)(*value >> (address % 8 * 8));
    }
    return VMMU_OK;
}

void guest_store(struct guest *guest, uint64_t gpa, unsigned width_bytes, uint64_t value)
{
    uint64_t *const word = word_at(guest, gpa);

    if (word && width_bytes == 4) {
        const uint64_t shift = gpa % 8 * 8;

        *word = (*word & ~(BITS64(31, 0) << shift)) | (value & BITS64(31, 0)) << shift;
    } else if (word) {
        *word = value;
    }
}

static enum vmmu_status ram_exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                     uint64_t desired)
{
    struct guest *const guest = context;
    uint64_t value;

    if (!(rights_at(guest, address) & VMMU_X86_RIGHT_WRITE)) {
        return VMMU_ABSENT;
    }
    FUZZ_CHECK(ram_load(context, address, width_bytes, &value) == VMMU_OK);
    if (value != expected) {
        return VMMU_RACED;
    }
    /* Accessed and dirty bits are all that is ever set, and only in entries that are present. */
    FUZZ_CHECK((expected & 1) && ((expected ^ desired) & ~UINT64_C(0x60)) == 0 && (expected & ~desired) == 0);
    guest_store(guest, address, width_bytes, desired);
    return VMMU_OK;
}

static bool is_alike(const struct guest *guest, uint64_t base)
{
    const uint8_t *const rights = &guest->rights[base / VMMU_PAGE_BYTES];

    return memcmp(rights, rights + 1, VMMU_2M_BYTES / VMMU_PAGE_BYTES - 1) == 0;
}

/* One page of each 2 MiB is not to be cached, where pieces are small. */
static enum vmmu_status backing(void *context, vmmu_gpa gpa, struct vmmu_shadow_backing *out)
{
    const struct guest *const guest = context;
    const uint64_t base = gpa.v & ~(VMMU_2M_BYTES - 1);
    const bool large = guest->large_pieces && rights_at(guest, gpa.v) && is_alike(guest, base);
    const bool uncached = !guest->large_pieces && gpa.v / VMMU_PAGE_BYTES % 512 == 20;

    if (!rights_at(guest, gpa.v)) {
        return VMMU_ABSENT;
    }
    *out = (struct vmmu_shadow_backing){
        .frame = { GUEST_HPA + (gpa.v & ~((large ? VMMU_2M_BYTES : VMMU_PAGE_BYTES) - 1)) },
        .size_bytes = large ? VMMU_2M_BYTES : VMMU_PAGE_BYTES,
        .rights = rights_at(guest, gpa.v),
        .type = uncached ? VMMU_X86_TYPE_UC : VMMU_X86_TYPE_WB,
    };
    return VMMU_OK;
}

/* --- the host --- */

static void *page_take(void *context, enum vmmu_page_zone zone, vmmu_hpa *at)
{
    struct guest *const guest = context;

    (void)zone; /* all are below 4 GiB */
    if (guest->takes_failing >> (guest->takes++ % 32) & 1) {
        return NULL;
    }
    for (uint32_t i = 0; i < GUEST_TABLES; i++) {
        if (!guest->pages[i]) {
            at->v = TABLES_HPA + i * VMMU_PAGE_BYTES;
            guest->pages[i] = aligned_alloc(VMMU_PAGE_BYTES, VMMU_PAGE_BYTES);
            FUZZ_CHECK(guest->pages[i]);
            memset(guest->pages[i], 0xA5, VMMU_PAGE_BYTES);
            return guest->pages[i];
        }
    }
    return NULL;
}

static uint64_t table_number(uint64_t hpa)
{
    const uint64_t number = (hpa - TABLES_HPA) / VMMU_PAGE_BYTES;

    FUZZ_CHECK(hpa >= TABLES_HPA && number < GUEST_TABLES);
    return number;
}

static void page_give(void *context, vmmu_hpa at, void *page)
{
    struct guest *const guest = context;
    void **const own = &guest->pages[table_number(at.v)];

    FUZZ_CHECK(*own && *own == page);
    free(*own);
    *own = NULL;
}

static void *page_at(void *context, vmmu_hpa at)
{
    const struct guest *const guest = context;

    return guest->pages[table_number(at.v)];
}

static uint64_t entry_load(void *context, const void *entry, unsigned width_bytes)
{
    uint64_t value = 0;

    (void)context;
    memcpy(&value, entry, width_bytes);
    return value;
}

static bool entry_exchange(void *context, void *entry, unsigned width_bytes, uint64_t *expected,
                           uint64_t desired)
{
    const uint64_t stands = entry_load(context, entry, width_bytes);

    if (stands != *expected) {
        *expected = stands;
        return false;
    }
    memcpy(entry, &desired, width_bytes);
    return true;
}

static bool owns(void *context, vmmu_hpa at, uint64_t size_bytes)
{
    (void)context;
    return at.v >= GUEST_HPA && vmmu_range_fits(at.v - GUEST_HPA, size_bytes, GUEST_PAGES * VMMU_PAGE_BYTES);
}

static void violated(void *context, const char *what)
{
    (void)context;
    fuzz_found(__FILE__, __LINE__, what);
}

static enum vmmu_status machine_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const struct guest *const guest = context;
    const void *const page = guest->pages[table_number(address)];

    FUZZ_CHECK(page);
    *value = 0;
    memcpy(value, (const char *)page + address % VMMU_PAGE_BYTES, width_bytes);
    return VMMU_OK;
}

/* --- plans --- */

static void report_all(struct guest *guest)
{
    for (unsigned i = 0; i < guest->pending_count; i++) {
        vmmu_table_flushed(&guest->memory, guest->pending[i]);
    }
    guest->pending_count = 0;
}

bool guest_again(struct guest *guest, const struct vmmu_outcome *outcome, unsigned *turns)
{
    const bool again = outcome->status == VMMU_FLUSH_RETRY;

    FUZZ_CHECK((outcome->plan.vps & ~(BIT64(guest->vps) - 1)) == 0);
    FUZZ_CHECK(!again || !vmmu_plan_is_empty(&outcome->plan) || outcome->plan.epoch != 0);
    FUZZ_CHECK(*turns < GUEST_TURNS);
    ++*turns;
    if (guest->pending_count == GUEST_PENDING || again) {
        report_all(guest);
    }
    if (guest->puts_off && !again) {
        guest->pending[guest->pending_count++] = outcome->plan.epoch;
    } else {
        vmmu_table_flushed(&guest->memory, outcome->plan.epoch);
    }
    return again;
}

bool guest_is_short(const struct guest *guest, enum vmmu_status status)
{
    return status == VMMU_NO_MEMORY && guest->takes_failing != 0;
}

/* --- processors --- */

bool guest_set_registers(struct guest *guest, unsigned vp, const struct vmmu_x86_paging_registers *registers)
{
    struct vmmu_x86_paging_registers taken = *registers;
    struct vmmu_x86_mode mode;

    if (vmmu_mode_paging(taken.cr0, taken.cr4, taken.efer) == VMMU_X86_PAGING_PAE &&
        vmmu_mode_load_pdptes(&guest->cpu, &guest->ram, taken.cr3, taken.pdpte) != VMMU_OK) {
        return false;
    }
    if (vmmu_mode_make(&guest->cpu, &taken, &mode) != VMMU_OK) {
        return false;
    }
    guest->registers[vp] = taken;
    guest->mode[vp] = mode;
    return true;
}

struct vmmu_x86_mode guest_hardware(const struct guest *guest, unsigned vp)
{
    const struct vmmu_x86_mode *const own = &guest->mode[vp];
    const bool paged = own->paging != VMMU_X86_PAGING_NONE;
    const enum vmmu_x86_format_name format = guest->root[vp].format;
    const bool long_mode = format != VMMU_X86_FORMAT_PAE;
    const struct vmmu_x86_paging_registers registers = {
        .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_WP | VMMU_X86_CR0_PG,
        .cr3 = guest->root[vp].cr3,
        .cr4 = VMMU_X86_CR4_PAE | (format == VMMU_X86_FORMAT_5LEVEL ? VMMU_X86_CR4_LA57 : 0) |
               (own->global_pages ? VMMU_X86_CR4_PGE : 0) | (paged && own->smep ? VMMU_X86_CR4_SMEP : 0) |
               (paged && own->smap ? VMMU_X86_CR4_SMAP : 0) |
               (paged && own->user_keys ? VMMU_X86_CR4_PKE : 0) |
               (paged && own->system_keys ? VMMU_X86_CR4_PKS : 0),
        .efer = VMMU_X86_EFER_NXE | (long_mode ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0),
        .pkru = guest->registers[vp].pkru,
        .pkrs = guest->registers[vp].pkrs,
        .pdpte_in_memory = true,
    };
    struct vmmu_x86_mode mode;

    FUZZ_CHECK(vmmu_mode_make(&guest->cpu, &registers, &mode) == VMMU_OK);
    return mode;
}

/* --- what bytes say --- */

uint64_t guest_draw_entry(struct input *input)
{
    static const uint64_t odd[] = { BIT64(63), BIT64(59), BIT64(52), BIT64(45), BIT64(12), BIT64(32), 0, 0 };
    const uint8_t where = input_u8(input);
    const uint16_t flags = input_u16(input);
    const uint64_t frame = where < 0xE0 ? where % 64U * VMMU_PAGE_BYTES : (where & 7) * VMMU_2M_BYTES;
    uint64_t entry = frame | (SOUND ^ (flags & 0x1FF));

    for (unsigned i = 0; i < 6; i++) {
        entry |= flags >> (9 + i) & 1 ? odd[i] : 0;
    }
    return entry;
}

/* Two bits for the index at each upper level, five for the last; then the top of the address space by one more. */
vmmu_gva guest_draw_va(struct input *input)
{
    static const unsigned indexes[] = { 0, 1, 2, 511 };
    const uint16_t drawn = input_u16(input);
    uint64_t va = (uint64_t)(drawn & 31) << 12;

    for (unsigned level = 2; level <= 5; level++) {
        va |= (uint64_t)indexes[drawn >> (5 + 2 * (level - 2)) & 3] << (12 + 9 * (level - 1));
    }
    if (!(drawn & 0x8000)) {
        /* Canonical, for four levels. */
        va = (uint64_t)((int64_t)(va << 16) >> 16);
    }
    return (vmmu_gva){ va };
}

struct vmmu_x86_access guest_draw_access(struct input *input)
{
    const uint8_t drawn = input_u8(input);

    return (struct vmmu_x86_access){
        .kind = (enum vmmu_x86_access_kind)(drawn % 3),
        .user = (drawn & 0x10) != 0,
        .implicit = (drawn & 0x30) == 0x20,
        .eflags_ac = (drawn & 0x40) != 0,
    };
}

/* --- life --- */

static void put(struct guest *guest, unsigned page, unsigned index, uint64_t to)
{
    guest->content[page * PAGE_WORDS + index] = to * VMMU_PAGE_BYTES | SOUND;
}

/*
 * Two trees that share some tables: the table of level N is page N, or page N + OTHERS. The last level maps pages of data, and
 * from index 16 on the tables themselves. Apart from them a PDPT of PAE's, and two tables of 32-bit paging.
 */
static void lay_tables(struct guest *guest)
{
    for (unsigned level = 2; level <= 5; level++) {
        for (unsigned tree = 0; tree <= OTHERS; tree += OTHERS) {
            put(guest, level + tree, 0, level - 1 + tree);
            put(guest, level + tree, 1, level - 1);
            put(guest, level + tree, 2, level - 1 + OTHERS);
            put(guest, level + tree, 511, level - 1);
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        put(guest, 1, i, DATA + i);
        put(guest, 1, 16 + i, i);
        put(guest, 1 + OTHERS, i, DATA + 16 + i);
        put(guest, 1 + OTHERS, 16 + i, i);
    }
    for (unsigned i = 0; i < 4; i++) {
        guest->content[PDPT * PAGE_WORDS + i] = (2 + i % 2 * OTHERS) * VMMU_PAGE_BYTES | 1;
    }
    for (unsigned i = 0; i < 32; i++) {
        guest_store(guest, DIRECTORY_32 * VMMU_PAGE_BYTES + UINT64_C(4) * i, 4,
                    TABLE_32 * VMMU_PAGE_BYTES | SOUND);
        guest_store(guest, TABLE_32 * VMMU_PAGE_BYTES + UINT64_C(4) * i, 4, i * VMMU_PAGE_BYTES | SOUND);
    }
}

static void start_host(struct guest *guest)
{
    guest->host = (struct vmmu_host){
        .context = guest,
        .page_take = page_take,
        .page_give = page_give,
        .page_at = page_at,
        .entry_load = entry_load,
        .entry_exchange = entry_exchange,
        .owns = owns,
        .violated = violated,
    };
    guest->ram = (struct vmmu_ram){ guest, ram_load, ram_exchange };
    guest->machine = (struct vmmu_ram){ .context = guest, .load = machine_load };
    guest->quarantine = calloc(GUEST_TABLES, sizeof(*guest->quarantine));
    guest->content = calloc(GUEST_STORED, VMMU_PAGE_BYTES);
    FUZZ_CHECK(guest->quarantine && guest->content);
    memset(guest->rights, VMMU_X86_RIGHTS_ALL & ~VMMU_X86_RIGHT_USER, sizeof(guest->rights));
    lay_tables(guest);
}

static bool start_shadow(struct guest *guest, uint8_t how, uint8_t largest)
{
    const uint32_t pool_pages = VMMU_SHADOW_FLOOR_PAGES + how % 4U * 40;
    const struct vmmu_shadow_config config = {
        .ram = &guest->ram,
        .context = guest,
        .backing = backing,
        .pool_pages = pool_pages,
        .silent_absent = (how & 4) != 0,
        .tagged_roots = (how & 8) != 0,
        .maxphyaddr = 40,
        .largest_level = largest,
        .pat = HOST_PAT,
        .guest_pat = GUEST_PAT,
        .vps = BIT64(guest->vps) - 1,
    };
    const size_t bytes = vmmu_shadow_memory_bytes(pool_pages);

    vmmu_table_init(&guest->memory, &guest->host, guest->quarantine, pool_pages, 2);
    guest->account = malloc(bytes);
    FUZZ_CHECK(guest->account);
    memset(guest->account, 0xA5, bytes);
    return vmmu_shadow_init(&guest->shadow, &config, &guest->memory, guest->account, bytes) == VMMU_OK;
}

bool guest_start(struct guest *guest, struct input *input)
{
    const struct vmmu_x86_paging_registers unpaged = { .cr0 = VMMU_X86_CR0_PE };
    const uint8_t flags = input_u8(input);
    const uint8_t how = input_u8(input);
    enum vmmu_status status;

    memset(guest, 0, sizeof(*guest));
    guest->input = input;
    guest->vps = 1 + (flags & 3);
    guest->large_pieces = (flags & 4) != 0;
    guest->puts_off = (flags & 8) != 0;
    guest->cpu = (struct vmmu_x86_cpu){
        .maxphyaddr = 40, MODERN_PAGING, .pks = true, .bit8_reserved = (flags & 16) != 0
    };
    start_host(guest);
    if (!start_shadow(guest, how, (uint8_t)(3 - (flags >> 5) % 3))) {
        fuzz_found(__FILE__, __LINE__, "the engine takes its configuration");
    }
    for (unsigned vp = 0; vp < guest->vps; vp++) {
        FUZZ_CHECK(guest_set_registers(guest, vp, &unpaged));
        GUEST_DO(guest, status, vmmu_shadow_enter(&guest->shadow, vp, &guest->mode[vp], &guest->root[vp]));
        FUZZ_CHECK(status == VMMU_OK);
    }
    guest->takes_failing = (flags & 0xC0) == 0xC0 ? input_u32(input) : 0;
    return true;
}

void guest_finish(struct guest *guest)
{
    vmmu_shadow_destroy(&guest->shadow);
    vmmu_table_drain(&guest->memory);
    FUZZ_CHECK(guest->memory.counters.held_pages == 0);
    for (uint32_t i = 0; i < GUEST_TABLES; i++) {
        FUZZ_CHECK(!guest->pages[i]);
    }
    free(guest->quarantine);
    free(guest->content);
    free(guest->account);
}
