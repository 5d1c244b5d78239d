/*
 * The reference against a processor that remembers everything: random guests, in each format and of both vendors; after
 * each instruction both must find exactly the same results permitted, for a few addresses and every kind of access.
 */
#include <string.h>

#include "reference_guest.h"
#include "saturated_cache.h"
#include "tests/model/machine/luck.h"
#include "tests/unit/test.h"

#define ROUNDS     60
#define OPERATIONS 50
#define SPACES     2
#define PCIDS      3

static struct guest guest;
static struct saturated_cache cache;
static struct luck luck;

/* VA, its neighbour, one of another table, one of another directory. */
static const uint64_t addresses[SATURATED_ADDRESSES] = { VA, VA_NEXT, VA + 0x600000, VA_FAR };

static uint64_t any_address(void)
{
    return addresses[luck_below(&luck, SATURATED_ADDRESSES)];
}

static unsigned levels(void)
{
    return vmmu_format_of(&reference_mode(guest.reference, 0)->layout)->levels;
}

/* One bit of @bits, or more, or none; most of the time what @usual says. */
static uint64_t some_of(uint64_t bits, uint64_t usual)
{
    return luck_once_in(&luck, 3) ? luck_next(&luck) & bits : usual;
}

static uint64_t any_entry(unsigned level)
{
    static const uint64_t frames[] = { 0, FRAME_1, FRAME_2, 0x400000 };
    const bool wide = guest.paging != VMMU_X86_PAGING_32BIT;
    const bool pdpte = guest.paging == VMMU_X86_PAGING_PAE && level == 3;
    const bool leaf = level == 1 || (level == 2 && luck_once_in(&luck, 6));
    const uint64_t flags =
        some_of(E_W | E_U | E_A | E_D, E_W | E_U | E_A | E_D) | some_of(E_G | (wide ? E_XD : 0), 0);

    if (luck_once_in(&luck, 6)) {
        return 0;
    }
    if (pdpte) {
        return TABLE(luck_below(&luck, SPACES), 2) | E_P;
    }
    if (leaf) {
        return (level == 2 ? UINT64_C(0x400000) * luck_below(&luck, 2) : frames[luck_below(&luck, 4)]) |
               flags | E_P | (level == 2 ? E_PS : 0);
    }
    /* A table of the level below; or, now and then, of any level, itself included. */
    return TABLE(luck_below(&luck, SPACES),
                 luck_once_in(&luck, 8) ? 1 + luck_below(&luck, levels()) : level - 1) |
           (flags & ~E_D) | E_P;
}

static void store(void)
{
    const unsigned level = 1 + luck_below(&luck, luck_once_in(&luck, 3) ? levels() : 2);

    guest_put(&guest, luck_below(&luck, SPACES), level, any_address(), any_entry(level));
}

/* --- instructions, and what each removes in the manuals' words --- */

static uint16_t pcid_now(void)
{
    return saturated_context(&cache);
}

static void forget_everything(void)
{
    saturated_remove(&cache,
                     &(struct saturated_removal){
                         .every_pcid = true, .last = UINT64_MAX, .globals = true, .structures = true });
}

static void forget_pcid(uint16_t pcid, bool own_globals)
{
    saturated_remove(
        &cache, &(struct saturated_removal){
                    .pcid = pcid, .last = UINT64_MAX, .globals_of_pcid = own_globals, .structures = true });
}

static void forget_page(uint64_t address, bool all_structures, bool all_globals)
{
    const uint64_t page_bytes = reference_page_bytes(guest.reference, 0, address);

    saturated_remove(&cache, &(struct saturated_removal){ .pcid = pcid_now(),
                                                          .first = address & ~(page_bytes - 1),
                                                          .last = address | (page_bytes - 1),
                                                          .globals = all_globals,
                                                          .globals_of_pcid = true,
                                                          .structures = all_structures,
                                                          .structures_of_path = true,
                                                          .path = address });
}

static void mov_cr3(void)
{
    const bool pcids = (reference_registers(guest.reference, 0)->cr4 & VMMU_X86_CR4_PCIDE) != 0;
    const unsigned pcid = pcids ? luck_below(&luck, PCIDS) : 0;
    const bool keeps = pcids && luck_once_in(&luck, 2);
    const uint64_t value = guest_cr3(&guest, luck_below(&luck, SPACES), pcid);
    const bool switched = reference_is_switched(guest.reference, 0);

    if (reference_cr3(guest.reference, 0, value | (keeps ? VMMU_X86_CR3_NO_FLUSH : 0)) == VMMU_OK && !keeps) {
        saturated_remove(&cache, &(struct saturated_removal){ .every_pcid = switched,
                                                              .pcid = (uint16_t)pcid,
                                                              .last = UINT64_MAX,
                                                              .structures = true });
        cache.space = 0;
    }
}

/* Each of the two spaces, where there are no PCIDs: the first that was left keeps the place that it had. */
static void switch_space(void)
{
    static unsigned home;
    const unsigned space = luck_below(&luck, SPACES);
    const bool switched = reference_is_switched(guest.reference, 0);
    const uint64_t before = reference_registers(guest.reference, 0)->cr3;

    if (reference_switch(guest.reference, 0, guest_cr3(&guest, space, 0)) != VMMU_OK) {
        return;
    }
    if (!switched) {
        home = before == guest_cr3(&guest, 0, 0) ? 0 : 1;
    }
    cache.space = space == home ? 0 : (uint16_t)(0x2000 + space);
}

/* A call of every form: all of a space or of all, or some pages, of which those at the ends may be parts of larger ones. */
static void flush(void)
{
    const struct vmmu_x86_mode *mode = reference_mode(guest.reference, 0);
    const unsigned space = luck_below(&luck, SPACES);
    const bool every = luck_once_in(&luck, 3);
    const bool list = luck_once_in(&luck, 2);
    const uint64_t first = any_address() & ~UINT64_C(0xfff);
    const struct reference_flush call = { .every_space = every,
                                          .globals_stay = !list && luck_once_in(&luck, 2),
                                          .list = list,
                                          .space = guest_cr3(&guest, space, luck_below(&luck, PCIDS)),
                                          .first = first,
                                          .last = first + 0xfff + (uint64_t)luck_below(&luck, 2) * 0x1000 };
    struct saturated_removal removal = { .every_pcid = true,
                                         .of_root = !every,
                                         .root = vmmu_mode_root(mode->paging, call.space).v,
                                         .first = list ? call.first : 0,
                                         .last = list ? call.last : UINT64_MAX,
                                         .globals = !call.globals_stay,
                                         .structures = !list,
                                         .structures_of_range = list };

    saturated_remove(&cache, &removal);
    if (list && (every || removal.root == mode->root.v)) {
        removal.of_root = true;
        removal.root = mode->root.v;
        removal.first &= ~(reference_page_bytes(guest.reference, 0, call.first) - 1);
        removal.last |= reference_page_bytes(guest.reference, 0, call.last) - 1;
        saturated_remove(&cache, &removal);
    }
    reference_flush(guest.reference, 0, &call);
}

static void invlpg(void)
{
    const uint64_t address = any_address();
    const bool tce = (reference_registers(guest.reference, 0)->efer & BIT64(15)) != 0;

    forget_page(address, cache.intel || !tce, true);
    reference_invlpg(guest.reference, 0, address);
}

static void page_fault(void)
{
    const uint64_t address = any_address();

    /* Nobody says that what is kept for another space goes with it. */
    forget_page(address, false, !reference_is_switched(guest.reference, 0));
    reference_page_fault(guest.reference, 0, address);
}

static void invpcid(void)
{
    const unsigned type = luck_below(&luck, 3) ? luck_below(&luck, 2) : luck_below(&luck, 4);
    const uint16_t named = (uint16_t)luck_below(&luck, PCIDS);
    const uint16_t pcid = named == reference_mode(guest.reference, 0)->pcid ? pcid_now() : named;
    const uint64_t address = any_address();
    const bool tce = (reference_registers(guest.reference, 0)->efer & BIT64(15)) != 0;
    const bool current = pcid == pcid_now();
    const uint64_t bytes = current ? reference_page_bytes(guest.reference, 0, address) : VMMU_PAGE_BYTES;
    const struct saturated_removal of_address = { .pcid = pcid,
                                                  .first = address & ~(bytes - 1),
                                                  .last = address | (bytes - 1),
                                                  .structures = !cache.intel && !tce,
                                                  .structures_of_path = true,
                                                  .path = address };

    if (reference_invpcid(guest.reference, 0, type, named, address) != VMMU_OK) {
        return;
    }
    switch (type) {
    case 0: saturated_remove(&cache, &of_address); break;
    case 1: forget_pcid(pcid, false); break;
    case 2: forget_everything(); break;
    default:
        saturated_remove(&cache, &(struct saturated_removal){
                                     .every_pcid = true, .last = UINT64_MAX, .structures = true });
        break;
    }
}

static void toggle_cr4(void)
{
    static const uint64_t bits[] = { VMMU_X86_CR4_PGE, VMMU_X86_CR4_PCIDE, VMMU_X86_CR4_SMEP,
                                     VMMU_X86_CR4_PSE, VMMU_X86_CR4_SMAP,  VMMU_X86_CR4_PKE };
    const uint64_t bit = bits[luck_below(&luck, 6)];
    const uint64_t value = reference_registers(guest.reference, 0)->cr4 ^ bit;
    const uint16_t pcid = pcid_now();
    const bool set = (value & bit) != 0;

    if (bit == VMMU_X86_CR4_PCIDE && reference_is_switched(guest.reference, 0)) {
        return; /* no guest mixes the two */
    }
    if (reference_cr4(guest.reference, 0, value) != VMMU_OK) {
        return;
    }
    if (bit == VMMU_X86_CR4_PGE || (bit == VMMU_X86_CR4_PCIDE && !set) ||
        (!cache.intel && (bit == VMMU_X86_CR4_PSE || (bit == VMMU_X86_CR4_PKE && set)))) {
        forget_everything();
    } else if (cache.intel && bit == VMMU_X86_CR4_SMEP && set) {
        forget_pcid(pcid, true);
    }
}

static void toggle_others(void)
{
    struct reference *reference = guest.reference;
    const struct vmmu_x86_paging_registers *registers = reference_registers(reference, 0);

    switch (luck_below(&luck, 4)) {
    case 0: (void)reference_cr0(reference, 0, registers->cr0 ^ VMMU_X86_CR0_WP); break;
    case 1: (void)reference_cr0(reference, 0, registers->cr0 ^ VMMU_X86_CR0_CD); break;
    case 2: (void)reference_efer(reference, 0, registers->efer ^ VMMU_X86_EFER_NXE); break;
    default: (void)reference_efer(reference, 0, registers->efer ^ BIT64(15)); break;
    }
}

static void operate(void)
{
    const unsigned draw = luck_below(&luck, 100);

    if (draw < 75) {
        store();
    } else if (draw < 83) {
        mov_cr3();
    } else if (draw < 86) {
        invlpg();
    } else if (draw < 89) {
        page_fault();
    } else if (draw < 92) {
        invpcid();
    } else if (draw < 94) {
        toggle_cr4();
    } else if (draw < 96) {
        flush();
    } else if (draw < 98) {
        switch_space();
    } else {
        toggle_others();
    }
    saturated_fill(&cache);
}

/* --- comparing --- */

static bool holds(const struct reference_result *results, unsigned count,
                  const struct reference_result *wanted)
{
    for (unsigned i = 0; i < count; i++) {
        if (results[i].end == wanted->end && results[i].gpa == wanted->gpa &&
            results[i].fault.error_code == wanted->fault.error_code) {
            return true;
        }
    }
    return false;
}

static unsigned long compared;
static unsigned long results_seen;

static void compare_access(const struct reference_access *access)
{
    struct reference_result mine[REFERENCE_RESULTS];
    struct reference_result saturated[REFERENCE_RESULTS];
    const unsigned count = reference_permitted(guest.reference, access, mine);
    const unsigned saturated_count = saturated_results(&cache, access, saturated);

    compared++;
    results_seen += count;
    for (unsigned i = 0; i < count; i++) {
        EXPECT(holds(saturated, saturated_count, &mine[i]));
    }
    for (unsigned i = 0; i < saturated_count; i++) {
        EXPECT(holds(mine, count, &saturated[i]));
        EXPECT(reference_judge(guest.reference, access, &saturated[i]) != FORBIDDEN);
    }
}

static void compare(void)
{
    for (unsigned i = 0; i < SATURATED_ADDRESSES; i++) {
        for (unsigned kind = VMMU_X86_READ; kind <= VMMU_X86_EXECUTE; kind++) {
            const struct reference_access access = { .address = addresses[i],
                                                     .access = { .kind = (enum vmmu_x86_access_kind)kind,
                                                                 .user = luck_once_in(&luck, 2) } };

            compare_access(&access);
        }
    }
}

static void run(enum guest_vendor vendor, enum vmmu_x86_paging paging, unsigned round)
{
    luck = luck_from(round * 16 + (unsigned)vendor * 8 + (unsigned)paging);
    guest_start(&guest, vendor, paging, 1);
    memset(&cache, 0, sizeof(cache));
    cache.reference = guest.reference;
    cache.intel = vendor == INTEL;
    memcpy(cache.address, addresses, sizeof(addresses));
    guest_put(&guest, 0, 1, VA, FRAME_1 | E_RW);
    saturated_fill(&cache);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        operate();
        compare();
    }
    EXPECT_EQ(reference_given_up(guest.reference), 0);
    guest_stop(&guest);
}

static void run_all(enum vmmu_x86_paging paging)
{
    compared = results_seen = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        run(INTEL, paging, round);
        run(AMD, paging, round);
    }
    /* Sets with more than one result are what this is about. */
    EXPECT(results_seen > compared + compared / 4);
}

static void test_32_bit_paging(void **state)
{
    (void)state;
    run_all(VMMU_X86_PAGING_32BIT);
}

static void test_pae_paging(void **state)
{
    (void)state;
    run_all(VMMU_X86_PAGING_PAE);
}

static void test_4_level_paging(void **state)
{
    (void)state;
    run_all(VMMU_X86_PAGING_4LEVEL);
}

static void test_5_level_paging(void **state)
{
    (void)state;
    run_all(VMMU_X86_PAGING_5LEVEL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_32_bit_paging),
        cmocka_unit_test(test_pae_paging),
        cmocka_unit_test(test_4_level_paging),
        cmocka_unit_test(test_5_level_paging),
    };
    return RUN_TESTS(tests);
}
