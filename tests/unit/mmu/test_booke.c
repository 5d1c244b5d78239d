/* The technique of Book E: what the real TLB gets to see of a partition's memory, and what goes when that changes. */
#include "hv/mmu/booke.h"

#include <stdlib.h>
#include <string.h>

#include "hv/boot/host.h"
#include "hv/boot/memory.h"
#include "hv/guest/config.h"
#include "hv/vp/arch.h"
#include "tests/unit/test.h"

#define MIB       UINT64_C(0x100000)
#define RAM_BYTES (64 * MIB)
#define RAM_AT    UINT64_C(0x08000000) /* in the machine */
#define PAGE_AT   UINT64_C(0x0F000000) /* of an overlay */
#define ROOMS     64

static struct config asked;
static struct partition guest;
static struct vp first;
static void *rooms[ROOMS];
static unsigned rooms_taken;
static struct vmmu_booke_mas written; /* the last valid entry */
static unsigned entries_written, entries_taken_away, violations;

/* --- what the technique asks of others --- */

bool memory_take(uint64_t size_bytes, uint64_t align_bytes, bool below_4g, vmmu_hpa *at)
{
    (void)align_bytes;
    (void)below_4g;
    EXPECT(rooms_taken < ROOMS);
    rooms[rooms_taken] = calloc(1, size_bytes);
    *at = memory_hpa(rooms[rooms_taken++]);
    return true;
}

bool page_take(bool zeroed, vmmu_hpa *at)
{
    return memory_take(VMMU_PAGE_BYTES, zeroed, false, at);
}

void page_give(vmmu_hpa at)
{
    (void)at;
}

const struct mmu_technique *const arch_techniques[] = { &mmu_booke, NULL };

void arch_tlb_config(struct vmmu_booke_config *config)
{
    *config = vmmu_booke_e500v2;
}

unsigned arch_tlb_kept(void)
{
    return 4;
}

void arch_tlb_write(const struct vmmu_booke_mas *mas)
{
    if (mas->mas1 & VMMU_MAS1_VALID) {
        written = *mas;
        entries_written++;
    } else {
        entries_taken_away++;
    }
}

struct vmmu_booke_state arch_vp_space(const struct vp *vp)
{
    (void)vp;
    return (struct vmmu_booke_state){ 0 };
}

void partition_violated(void *partition, const char *what)
{
    EXPECT(partition == &guest && what);
    violations++;
}

void host_panic(const char *format, ...)
{
    (void)format;
    abort();
}

/* --- the machine --- */

static const char *create(uint64_t hpa)
{
    guest = (struct partition){ .config = &asked, .vp_count = 1, .vps = { &first } };
    guest.lock = (struct lock){ .name = "a partition", .rank = LOCK_RANK_PARTITION };
    guest.memory = (struct guest_memory){ .count = 1, .slot = { { .size = RAM_BYTES, .hpa = { hpa } } } };
    first = (struct vp){ .partition = &guest };
    lock_take(&guest.lock);
    return mmu_create(&guest, mmu_find("", 0));
}

/* RAM, all of which the guest maps by one entry of 64 MiB at 0x40000000. */
static int start(void **state)
{
    struct vmmu_booke *booke;

    (void)state;
    asked = (struct config){ .seed = 1 };
    EXPECT(!create(RAM_AT));
    booke = mmu_booke_of(&first);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS0, 0x10000000);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS1, 0x80000800);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS2, 0x40000000);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS3, 0x15);
    EXPECT(vmmu_booke_write(booke) >= 0);
    entries_written = entries_taken_away = violations = 0;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    vmmu_booke_detach(mmu_booke_of(&first), mmu_booke_real());
    lock_release(&guest.lock);
    return 0;
}

static enum vmmu_booke_fill access(uint32_t ea, enum vmmu_booke_kind kind)
{
    const struct vmmu_booke_attempt attempt = { .kind = kind, .ea = 0x40000000 + ea, .at = 0x40000000 };
    struct vmmu_booke_result result;

    (void)vmmu_booke_enter(mmu_booke_of(&first), mmu_booke_real(), attempt.state);
    return vmmu_booke_fill(mmu_booke_of(&first), mmu_booke_real(), &attempt, &result);
}

/* Of the last entry written. */
static uint64_t page_bytes(void)
{
    return UINT64_C(1024) << 2 * (written.mas1 >> VMMU_MAS1_TSIZE_SHIFT & 0xf);
}

static uint64_t frame(void)
{
    return written.mas3 & VMMU_MAS3_RPN;
}

/* --- */

static void test_memory_at_its_own_address_is_refused(void **state)
{
    (void)state;
    EXPECT(strstr(create(0), "at its own address"));
    lock_release(&guest.lock);
}

static void test_all_of_memory_is_mapped_by_one_large_page(void **state)
{
    (void)state;
    EXPECT_EQ(access(0x123456, VMMU_BOOKE_STORE), VMMU_BOOKE_FILLED);
    EXPECT_EQ(entries_written, 1);
    EXPECT_EQ(page_bytes(), RAM_BYTES);
    EXPECT_EQ(frame(), RAM_AT);
}

static void test_an_overlay_shows_and_what_was_mapped_there_is_gone(void **state)
{
    (void)state;
    EXPECT_EQ(access(16 * MIB, VMMU_BOOKE_LOAD), VMMU_BOOKE_FILLED);
    EXPECT(mmu_overlay(&guest, (vmmu_gpa){ 17 * MIB }, (vmmu_hpa){ PAGE_AT }, GUEST_RIGHT_READ));
    EXPECT_EQ(entries_taken_away, 1);
    EXPECT_EQ(access(17 * MIB, VMMU_BOOKE_LOAD), VMMU_BOOKE_FILLED);
    EXPECT_EQ(page_bytes(), VMMU_PAGE_BYTES);
    EXPECT_EQ(frame(), PAGE_AT);
    EXPECT_EQ(violations, 0);
}

static void test_an_overlay_that_is_read_only_refuses_stores(void **state)
{
    (void)state;
    EXPECT(mmu_overlay(&guest, (vmmu_gpa){ 17 * MIB }, (vmmu_hpa){ PAGE_AT }, GUEST_RIGHT_READ));
    EXPECT_EQ(access(17 * MIB, VMMU_BOOKE_STORE), VMMU_BOOKE_DENIED);
    EXPECT_EQ(entries_written, 0);
}

static void test_pages_beside_an_overlay_are_as_large_as_fits(void **state)
{
    (void)state;
    EXPECT(mmu_overlay(&guest, (vmmu_gpa){ 17 * MIB }, (vmmu_hpa){ PAGE_AT }, GUEST_RIGHT_READ));
    EXPECT_EQ(access(0, VMMU_BOOKE_LOAD), VMMU_BOOKE_FILLED);
    EXPECT_EQ(page_bytes(), 16 * MIB);
    EXPECT_EQ(frame(), RAM_AT);
    EXPECT_EQ(access(17 * MIB + VMMU_PAGE_BYTES, VMMU_BOOKE_LOAD), VMMU_BOOKE_FILLED);
    EXPECT_EQ(page_bytes(), VMMU_PAGE_BYTES);
    EXPECT_EQ(frame(), RAM_AT + 17 * MIB + VMMU_PAGE_BYTES);
    EXPECT_EQ(access(20 * MIB, VMMU_BOOKE_LOAD), VMMU_BOOKE_FILLED);
    EXPECT_EQ(page_bytes(), 4 * MIB);
    EXPECT_EQ(frame(), RAM_AT + 20 * MIB);
}

static void test_memory_shows_again_once_an_overlay_is_removed(void **state)
{
    (void)state;
    EXPECT(mmu_overlay(&guest, (vmmu_gpa){ 17 * MIB }, (vmmu_hpa){ PAGE_AT }, GUEST_RIGHT_READ));
    EXPECT_EQ(access(17 * MIB, VMMU_BOOKE_LOAD), VMMU_BOOKE_FILLED);
    EXPECT(mmu_overlay_remove(&guest, (vmmu_gpa){ 17 * MIB }));
    EXPECT_EQ(entries_taken_away, 1);
    EXPECT_EQ(access(17 * MIB, VMMU_BOOKE_STORE), VMMU_BOOKE_FILLED);
    EXPECT_EQ(page_bytes(), RAM_BYTES);
    EXPECT_EQ(violations, 0);
}

static void test_memory_that_is_withheld_is_a_devices(void **state)
{
    (void)state;
    EXPECT_EQ(access(3 * MIB, VMMU_BOOKE_LOAD), VMMU_BOOKE_FILLED);
    EXPECT_EQ(mmu_withhold(&guest, (vmmu_gpa){ 3 * MIB }), VMMU_OK);
    EXPECT_EQ(entries_taken_away, 1);
    EXPECT_EQ(access(3 * MIB, VMMU_BOOKE_LOAD), VMMU_BOOKE_DEVICE);
    EXPECT_EQ(access(2 * MIB, VMMU_BOOKE_LOAD), VMMU_BOOKE_FILLED);
    EXPECT_EQ(page_bytes(), MIB);
}

static void test_dropping_everything_takes_every_entry_away(void **state)
{
    (void)state;
    EXPECT_EQ(access(0, VMMU_BOOKE_LOAD), VMMU_BOOKE_FILLED);
    mmu_forget_all(&guest);
    EXPECT_EQ(entries_taken_away, 1);
    EXPECT_EQ(access(0, VMMU_BOOKE_LOAD), VMMU_BOOKE_FILLED);
    EXPECT_EQ(entries_written, 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_at_its_own_address_is_refused),
        CASE(test_all_of_memory_is_mapped_by_one_large_page),
        CASE(test_an_overlay_shows_and_what_was_mapped_there_is_gone),
        CASE(test_an_overlay_that_is_read_only_refuses_stores),
        CASE(test_pages_beside_an_overlay_are_as_large_as_fits),
        CASE(test_memory_shows_again_once_an_overlay_is_removed),
        CASE(test_memory_that_is_withheld_is_a_devices),
        CASE(test_dropping_everything_takes_every_entry_away),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);

    for (unsigned i = 0; i < rooms_taken; i++) {
        free(rooms[i]);
    }
    return failed;
}
