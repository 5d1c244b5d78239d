/*
 * Page-fault error codes, exhaustively: every right in the leaf and in one table above it, under every
 * control bit that has a say, for every kind of access, compared with a model written from SDM 3A
 * "Determination of Access Rights" and "Page-Fault Exceptions".
 *
 * Guest: also la57
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

/* The control bits under which a probe runs. */
struct controls {
    bool wp, smep, smap, nxe;
};

/* How the walk to the probed address stands: the entry above, and the leaf. */
struct entries {
    uint64_t upper, leaf;
};

#define NO_FAULT   UINT32_MAX
#define UPPER_SETS 16
#define LEAF_SETS  32
#define RSVD_BIT   BIT64(51)

static unsigned slips;

static const uint64_t right_bits[] = { PTE_P, PTE_W, PTE_U, PTE_NX, RSVD_BIT };

/* The entry bits that the set bits of @set stand for. */
static uint64_t rights(unsigned set)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < sizeof(right_bits) / sizeof(right_bits[0]); i++) {
        bits |= set >> i & 1 ? right_bits[i] : 0;
    }
    return bits;
}

/* The error-code bits that say what the access was. */
static uint32_t access_bits(struct access access, const struct controls *controls)
{
    const bool says_fetch = controls->smep || controls->nxe;
    return (access.kind == ACCESS_WRITE ? FAULT_W : 0) | (access.user ? FAULT_U : 0) |
           (access.kind == ACCESS_FETCH && says_fetch ? FAULT_I : 0);
}

/* Whether effective rights allow a supervisor access. */
static bool supervisor_allowed(struct access access, const struct controls *controls, uint64_t both, bool nx)
{
    const bool user_page = both & PTE_U;
    if (access.kind == ACCESS_FETCH) {
        return !nx && !(user_page && controls->smep);
    }
    if (user_page && controls->smap && !access.ac) {
        return false;
    }
    return access.kind == ACCESS_READ || (both & PTE_W) || !controls->wp;
}

static bool user_allowed(struct access access, uint64_t both, bool nx)
{
    if ((both & PTE_U) == 0) {
        return false;
    }
    if (access.kind == ACCESS_FETCH) {
        return !nx;
    }
    return access.kind == ACCESS_READ || (both & PTE_W);
}

/* The error code that the manual demands, or NO_FAULT. */
static uint32_t model(struct entries entries, struct access access, const struct controls *controls)
{
    const uint32_t what = access_bits(access, controls);
    const uint64_t reserved = RSVD_BIT | (controls->nxe ? 0 : PTE_NX);
    const uint64_t path[] = { entries.upper, entries.leaf };
    for (unsigned i = 0; i < 2; i++) {
        if ((path[i] & PTE_P) == 0) {
            return what;
        }
        if (path[i] & reserved) {
            return what | FAULT_P | FAULT_RSVD;
        }
    }
    const uint64_t both = entries.upper & entries.leaf;
    const bool nx = ((entries.upper | entries.leaf) & PTE_NX) != 0;
    const bool allowed =
        access.user ? user_allowed(access, both, nx) : supervisor_allowed(access, controls, both, nx);
    return allowed ? NO_FAULT : what | FAULT_P;
}

/* Where the probed page hangs. */
struct place {
    struct space space;
    uintptr_t upper_at, leaf_at;
    uint64_t upper_link, leaf_frame;
    uintptr_t va;
};

static void place_set(const struct place *place, struct entries entries)
{
    entry_store(&place->space, place->upper_at, place->upper_link | entries.upper);
    entry_store(&place->space, place->leaf_at, place->leaf_frame | entries.leaf);
    invlpg(place->va);
}

/* The emulated processor leaves P out of reserved-bit faults: docs/caveats.md, "The emulators". */
static bool is_known_slip(uint32_t code, uint32_t expected)
{
    const bool slip =
        expected != NO_FAULT && (expected & FAULT_RSVD) && code == (expected & ~(uint32_t)FAULT_P);
    slips += slip;
    return slip;
}

/* One probe; whether it went as the model says. Leaves a detail if not. */
static bool agrees(const struct place *place, struct entries entries, struct access access,
                   const struct controls *controls)
{
    const uint32_t expected = model(entries, access, controls);
    const struct outcome got = probe(place->va, access);
    const uint32_t code = got.fault ? (uint32_t)got.error : NO_FAULT;
    const bool good = (code == expected || is_known_slip(code, expected)) &&
                      (!got.fault || (got.vector == VECTOR_PAGE && got.cr2 == place->va));
    if (!good) {
        detail("%s, AC %u, upper %q, leaf %q, WP %u SMEP %u SMAP %u: vector %x error %x cr2 %p, expected %x",
               access_name(access), access.ac, entries.upper, entries.leaf, controls->wp, controls->smep,
               controls->smap, (unsigned)got.vector, code, got.cr2, expected);
    }
    return good;
}

static unsigned probe_all_accesses(const struct place *place, struct entries entries,
                                   const struct controls *controls)
{
    unsigned wrong = 0;
    for (unsigned set = 0; set < 4 * ACCESS_KINDS; set++) {
        const struct access access = { set >> 2, set & 1, set >> 1 & 1 };
        wrong += !agrees(place, entries, access, controls);
    }
    return wrong;
}

/* Whether the space's entries have bits above 31. */
static bool is_wide(const struct space *space)
{
    return space->paging->entry_bytes == 8;
}

static unsigned probe_all_entries(const struct place *place, const struct controls *controls)
{
    const unsigned leaf_sets = is_wide(&place->space) ? LEAF_SETS : 8;
    const unsigned upper_sets = is_wide(&place->space) ? UPPER_SETS : 8;
    unsigned wrong = 0;
    for (unsigned upper = 0; upper < upper_sets; upper++) {
        for (unsigned leaf = 0; leaf < leaf_sets; leaf++) {
            const struct entries entries = { rights(upper), rights(leaf) };
            place_set(place, entries);
            wrong += probe_all_accesses(place, entries, controls);
        }
    }
    return wrong;
}

static void place_make(struct place *place, const struct paging *paging, unsigned upper_level)
{
    tables_reset();
    space_make(&place->space, paging);
    place->va = paging->test_va;
    place->leaf_frame = FRAME(0);
    place->leaf_at = space_entry(&place->space, place->va, 1);
    place->upper_at = space_entry(&place->space, place->va, upper_level);
    place->upper_link = entry_load(&place->space, place->upper_at) & ~PTE_RWU;
    frame_mark(FRAME(0), 0);
}

/* The pair of `wp` and the bits of CR4, one after the other. */
static void test_rights(const struct paging *paging, unsigned upper_level, bool nxe)
{
    struct place place;
    place_make(&place, paging, upper_level);
    unsigned wrong = 0;
    for (unsigned set = 0; set < 8; set++) {
        const struct controls controls = { set & 1, set >> 1 & 1, set >> 2 & 1, nxe };
        if ((controls.smep && !cpu_has_smep()) || (controls.smap && !cpu_has_smap())) {
            continue;
        }
        space_enter(&place.space, (controls.smep ? CR4_SMEP : 0) | (controls.smap ? CR4_SMAP : 0), nxe);
        cr0_write((cr0_read() & ~CR0_WP) | (controls.wp ? CR0_WP : 0));
        wrong += probe_all_entries(&place, &controls);
    }
    space_leave();
    cr0_write(cr0_read() | CR0_WP);
    report(wrong == 0, "%s, NXE %u: rights at levels %u and 1 combine, and fault, as the manual says",
           paging->name, nxe, upper_level);
}

/* Protection keys: SDM 3A "Protection Keys". Key 1 is probed; all else has key 0. */
struct key_case {
    const char *name;
    uintptr_t cr4;
    uint64_t user; /* PTE_U or 0 */
    void (*rights_write)(uint32_t);
};

static void pkru_write(uint32_t value)
{
    __asm__ volatile("wrpkru" ::"a"(value), "c"(0), "d"(0) : "memory");
}

static void pkrs_write(uint32_t value)
{
    msr_write(MSR_PKRS, value);
}

#define KEY_ACCESS_DISABLE 4
#define KEY_WRITE_DISABLE  8

/* A key forbids data accesses only; a supervisor's write by WD only under CR0.WP. */
static uint32_t key_model(bool user_page, uint64_t writable, uint32_t key, struct access access, bool wp)
{
    const uint32_t what = (access.kind == ACCESS_WRITE ? FAULT_W : 0) | (access.user ? FAULT_U : 0) |
                          (access.kind == ACCESS_FETCH ? FAULT_I : 0) | FAULT_P;
    const bool writes = access.kind == ACCESS_WRITE;
    uint32_t code = 0;
    if (access.user && !user_page) {
        code = what;
    }
    if (writes && !writable && (access.user || wp)) {
        code = what;
    }
    if (access.kind == ACCESS_FETCH || (access.user && !user_page)) {
        return code ? code : NO_FAULT;
    }
    if ((key & KEY_ACCESS_DISABLE) || (writes && (key & KEY_WRITE_DISABLE) && (access.user || wp))) {
        code = what | FAULT_PK;
    }
    return code ? code : NO_FAULT;
}

static bool key_agrees(const struct place *place, uint32_t expected, struct access access, uint32_t key)
{
    const struct outcome got = probe(place->va, access);
    const uint32_t code = got.fault ? (uint32_t)got.error : NO_FAULT;
    if (code != expected) {
        detail("%s, leaf %q, key rights %x, CR0 %p: error %x, expected %x", access_name(access),
               entry_load(&place->space, place->leaf_at), key, cr0_read(), code, expected);
    }
    return code == expected;
}

static unsigned probe_key(const struct place *place, const struct key_case *test, unsigned set)
{
    static const uint32_t keys[] = { 0, KEY_ACCESS_DISABLE, KEY_WRITE_DISABLE,
                                     KEY_ACCESS_DISABLE | KEY_WRITE_DISABLE };
    const uint64_t writable = set & 1 ? PTE_W : 0;
    const bool wp = set >> 1 & 1;
    const uint32_t key = keys[set >> 2 & 3];
    unsigned wrong = 0;
    place_set(place, (struct entries){ PTE_RWU, PTE_P | writable | test->user | BIT64(PTE_KEY_SHIFT) });
    cr0_write((cr0_read() & ~CR0_WP) | (wp ? CR0_WP : 0));
    test->rights_write(key);
    for (unsigned kind = 0; kind < 2 * ACCESS_KINDS; kind++) {
        const struct access access = { kind >> 1, kind & 1, true };
        wrong += !key_agrees(place, key_model(test->user, writable, key, access, wp), access, key);
    }
    test->rights_write(0);
    return wrong;
}

static void test_keys(const struct paging *paging, const struct key_case *test)
{
    struct place place;
    place_make(&place, paging, 2);
    space_enter(&place.space, test->cr4, true);
    unsigned wrong = 0;
    for (unsigned set = 0; set < 16; set++) {
        wrong += probe_key(&place, test, set);
    }
    cr0_write(cr0_read() | CR0_WP);
    space_leave();
    report(wrong == 0, "%s: %s", paging->name, test->name);
}

static void test_all_keys(const struct paging *paging)
{
    static const struct key_case user = { "PKRU rules data accesses to user pages, from either privilege",
                                          CR4_PKE, PTE_U, pkru_write };
    static const struct key_case supervisor = { "IA32_PKRS rules data accesses to supervisor pages", CR4_PKS,
                                                0, pkrs_write };
    if (cpu_has_pku()) {
        test_keys(paging, &user);
    } else {
        report_skip("PKU is not offered", "%s: %s", paging->name, user.name);
    }
    if (cpu_has_pks()) {
        test_keys(paging, &supervisor);
    } else {
        report_skip("PKS is not offered", "%s: %s", paging->name, supervisor.name);
    }
}

void guest_main(void)
{
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        const unsigned top = (*mode)->long_mode ? (*mode)->levels : 2;
        for (unsigned upper = 2; upper <= top; upper++) {
            test_rights(*mode, upper, false);
            if ((*mode)->entry_bytes == 8 && cpu_has_nx()) {
                test_rights(*mode, upper, true);
            }
        }
        if ((*mode)->long_mode) {
            test_all_keys(*mode);
        }
    }
    comment("%u reserved-bit faults without P in their error code", slips);
}
