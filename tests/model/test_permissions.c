/*
 * Exhaustive enumeration: every combination of present, writable, user and execute-disable at every level of
 * every mode and page size, of CR0.WP, SMEP, SMAP, NXE, EFLAGS.AC, CPL and implicit accesses, of every kind
 * of access; and every rights of a protection key on every kind of page. Each walk's outcome against the
 * model of the manuals' text.
 */
#include <string.h>

#include <vmmu/walk.h>

#include "permission_model.h"
#include "tests/unit/test.h"

/* A mode and the level of its leaf. PDPTEs of PAE paging carry no rights: they are not enumerated. */
struct shape {
    const char *name;
    enum vmmu_x86_paging paging;
    unsigned levels; /* with rights */
    unsigned leaf_level;
};

static const struct shape shapes[] = {
    { "32-bit, 4 KiB", VMMU_X86_PAGING_32BIT, 2, 1 },   { "32-bit, 4 MiB", VMMU_X86_PAGING_32BIT, 2, 2 },
    { "PAE, 4 KiB", VMMU_X86_PAGING_PAE, 2, 1 },        { "PAE, 2 MiB", VMMU_X86_PAGING_PAE, 2, 2 },
    { "4-level, 4 KiB", VMMU_X86_PAGING_4LEVEL, 4, 1 }, { "4-level, 2 MiB", VMMU_X86_PAGING_4LEVEL, 4, 2 },
    { "4-level, 1 GiB", VMMU_X86_PAGING_4LEVEL, 4, 3 }, { "5-level, 4 KiB", VMMU_X86_PAGING_5LEVEL, 5, 1 },
    { "5-level, 2 MiB", VMMU_X86_PAGING_5LEVEL, 5, 2 }, { "5-level, 1 GiB", VMMU_X86_PAGING_5LEVEL, 5, 3 },
};

/* One entry per table, all at index 0: the table of level N stands at N pages. */
static uint64_t memory[8];

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    (void)context, (void)width_bytes;
    *value = memory[address >> 12];
    return VMMU_OK;
}

static const struct vmmu_ram ram = { .load = load };

static const struct vmmu_x86_cpu cpu = {
    .maxphyaddr = 40,
    .pse = true,
    .pae = true,
    .nx = true,
    .long_mode = true,
    .gib_pages = true,
    .la57 = true,
    .smep = true,
    .smap = true,
    .pku = true,
    .pks = true,
};

#define KEY 9

static struct vmmu_x86_mode mode_of(const struct shape *shape, const struct model_registers *registers)
{
    const bool long_mode = shape->paging >= VMMU_X86_PAGING_4LEVEL;
    const unsigned root = shape->paging == VMMU_X86_PAGING_PAE ? 3 : shape->levels;
    struct vmmu_x86_mode mode;
    const struct vmmu_x86_paging_registers made = {
        .cr0 = VMMU_X86_CR0_PG | VMMU_X86_CR0_PE | (registers->wp ? VMMU_X86_CR0_WP : 0),
        .cr3 = root * VMMU_PAGE_BYTES,
        .cr4 = VMMU_X86_CR4_PSE | (registers->pae ? VMMU_X86_CR4_PAE : 0) |
               (registers->smep ? VMMU_X86_CR4_SMEP : 0) | (registers->smap ? VMMU_X86_CR4_SMAP : 0) |
               (registers->pkru.enabled ? VMMU_X86_CR4_PKE : 0) |
               (registers->pkrs.enabled ? VMMU_X86_CR4_PKS : 0) |
               (shape->paging == VMMU_X86_PAGING_5LEVEL ? VMMU_X86_CR4_LA57 : 0),
        .efer = (registers->nxe ? VMMU_X86_EFER_NXE : 0) |
                (long_mode ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0),
        .pkru = (registers->pkru.access_disable ? 1U << (2 * KEY) : 0) |
                (registers->pkru.write_disable ? 2U << (2 * KEY) : 0),
        .pkrs = (registers->pkrs.access_disable ? 1U << (2 * KEY) : 0) |
                (registers->pkrs.write_disable ? 2U << (2 * KEY) : 0),
        .pdpte_in_memory = true,
    };

    EXPECT_EQ(vmmu_mode_make(&cpu, &made, &mode), VMMU_OK);
    return mode;
}

/* Put @entry at @level as the hardware has it. */
static void encode(const struct shape *shape, unsigned level, struct model_entry entry, unsigned key)
{
    const bool leaf = level == shape->leaf_level;
    const uint64_t address = leaf ? 0 : (level - 1) * VMMU_PAGE_BYTES;

    memory[level] = address | (entry.present ? 1 : 0) | (entry.writable ? 2 : 0) | (entry.user ? 4 : 0) |
                    (leaf && level > 1 ? 0x80 : 0) | (entry.execute_disable ? UINT64_C(1) << 63 : 0) |
                    (leaf ? (uint64_t)key << 59 : 0);
}

static void expect_same(const struct shape *shape, const struct vmmu_x86_mode *mode,
                        const struct model_registers *registers, const struct model_entry *entries,
                        struct model_access access)
{
    static const enum vmmu_x86_access_kind kinds[] = { VMMU_X86_READ, VMMU_X86_WRITE, VMMU_X86_EXECUTE };
    const unsigned count = shape->levels - shape->leaf_level + 1;
    const int expected = model_access_outcome(registers, entries, count, access);
    struct vmmu_x86_walk_result out;
    const struct vmmu_x86_access asked = {
        .kind = kinds[access.kind], .user = access.user, .implicit = access.implicit, .eflags_ac = access.ac
    };
    const enum vmmu_status status = vmmu_x86_walk(mode, &ram, (vmmu_gva){ 0 }, asked, &out);
    const int actual = status == VMMU_OK ? MODEL_ALLOWED : (int)out.fault.error_code;

    if (actual != expected || (status != VMMU_OK && status != VMMU_GUEST_FAULT)) {
        fail_msg(
            "%s: walk %d, model %d; kind %d user %d implicit %d ac %d; wp %d smep %d smap %d nxe %d; entries "
            "%llx %llx %llx %llx %llx",
            shape->name, actual, expected, access.kind, access.user, access.implicit, access.ac,
            registers->wp, registers->smep, registers->smap, registers->nxe, (unsigned long long)memory[5],
            (unsigned long long)memory[4], (unsigned long long)memory[3], (unsigned long long)memory[2],
            (unsigned long long)memory[1]);
    }
}

#define ACCESSES (3 * 8)

static struct model_access access_of(unsigned number)
{
    return (struct model_access){ .kind = (enum model_kind)(number / 8),
                                  .user = (number & 1) != 0,
                                  .implicit = (number & 2) != 0,
                                  .ac = (number & 4) != 0 };
}

static struct model_registers registers_of(const struct shape *shape, unsigned number)
{
    return (struct model_registers){ .wp = (number & 1) != 0,
                                     .smep = (number & 2) != 0,
                                     .smap = (number & 4) != 0,
                                     .nxe = (number & 8) != 0,
                                     .pae = shape->paging != VMMU_X86_PAGING_32BIT };
}

/* Three flags of one present entry. Where the format has no execute-disable bit, that flag stays clear. */
static struct model_entry entry_of(const struct shape *shape, unsigned flags)
{
    return (struct model_entry){ .present = true,
                                 .writable = (flags & 1) != 0,
                                 .user = (flags & 2) != 0,
                                 .execute_disable =
                                     shape->paging != VMMU_X86_PAGING_32BIT && (flags & 4) != 0 };
}

/* The entry of PAE that no enumeration touches. */
static void encode_pdpte(const struct shape *shape)
{
    if (shape->paging == VMMU_X86_PAGING_PAE) {
        memory[3] = 2 * VMMU_PAGE_BYTES | 1;
    }
}

/*
 * Which three bits of a combination are the flags of @level. In five-level walks levels 3 and 2 share theirs:
 * the four-level ones tell them apart, and the enumeration stays a matter of seconds.
 */
static unsigned digit_of(const struct shape *shape, unsigned level)
{
    const unsigned digit = shape->levels - level;

    return shape->levels == 5 && level <= 2 ? digit - 1 : digit;
}

/*
 * Entries from the root down to the leaf with the flags of @combination; those at and below
 * @absent_level not present.
 */
static void encode_all(const struct shape *shape, unsigned combination, unsigned absent_level,
                       struct model_entry *entries)
{
    memset(memory, 0, sizeof(memory));
    encode_pdpte(shape);
    for (unsigned level = shape->levels; level >= shape->leaf_level; level--) {
        struct model_entry entry = entry_of(shape, (combination >> (3 * digit_of(shape, level))) & 7);

        entry.present = level > absent_level;
        entries[shape->levels - level] = entry;
        encode(shape, level, entry, 0);
    }
}

static void enumerate_rights(const struct shape *shape, unsigned absent_level)
{
    /* Below an absent entry nothing is looked at: only the levels from it upwards are enumerated. */
    const unsigned lowest = absent_level < shape->leaf_level ? shape->leaf_level : absent_level;
    const unsigned combinations = 1U << (3 * (digit_of(shape, lowest) + 1));
    struct vmmu_x86_mode modes[16];
    struct model_registers registers[16];

    for (unsigned r = 0; r < 16; r++) {
        registers[r] = registers_of(shape, r);
        modes[r] = mode_of(shape, &registers[r]);
    }
    for (unsigned combination = 0; combination < combinations; combination++) {
        struct model_entry entries[5];

        encode_all(shape, combination, absent_level, entries);
        for (unsigned access = 0; access < 16 * ACCESSES; access++) {
            expect_same(shape, &modes[access / ACCESSES], &registers[access / ACCESSES], entries,
                        access_of(access % ACCESSES));
        }
    }
}

static void test_rights_of_every_combination_of_entries_and_registers_are_the_manuals(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        enumerate_rights(&shapes[i], 0);
    }
}

static void test_an_absent_entry_at_every_level_gives_the_manuals_error_code(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        for (unsigned level = shapes[i].leaf_level; level <= shapes[i].levels; level++) {
            enumerate_rights(&shapes[i], level);
        }
    }
}

/* A key's rights: off, or on with any of its two bits. */
static struct model_key key_of(unsigned number)
{
    return (struct model_key){ .enabled = number >= 4,
                               .access_disable = (number & 1) != 0,
                               .write_disable = (number & 2) != 0 };
}

static void enumerate_keys(const struct shape *shape, unsigned restricted_level)
{
    const bool long_mode = shape->paging >= VMMU_X86_PAGING_4LEVEL;

    for (unsigned number = 0; number < 16 * 8 * 8; number++) {
        struct model_registers registers = registers_of(shape, number & 15);

        registers.pkru = key_of((number >> 4) & 7);
        registers.pkrs = key_of((number >> 7) & 7);
        const struct vmmu_x86_mode mode = mode_of(shape, &registers);

        registers.pkru.enabled = registers.pkru.enabled && long_mode;
        registers.pkrs.enabled = registers.pkrs.enabled && long_mode;
        for (unsigned flags = 0; flags < 8; flags++) {
            struct model_entry entries[5];

            memset(memory, 0, sizeof(memory));
            encode_pdpte(shape);
            for (unsigned level = shape->levels; level >= shape->leaf_level; level--) {
                entries[shape->levels - level] = entry_of(shape, level == restricted_level ? flags : 3);
                encode(shape, level, entries[shape->levels - level], long_mode ? KEY : 0);
            }
            for (unsigned access = 0; access < ACCESSES; access++) {
                expect_same(shape, &mode, &registers, entries, access_of(access));
            }
        }
    }
}

static void test_protection_keys_of_every_right_on_every_page_are_the_manuals(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        enumerate_keys(&shapes[i], i % 2 == 0 ? shapes[i].leaf_level : shapes[i].levels);
    }
}

/* A key other than the leaf's never matters. */
static void test_rights_of_other_keys_do_not_matter(void **state)
{
    const struct shape *shape = &shapes[4];
    const struct model_registers registers = {
        .wp = true, .nxe = true, .pae = true, .pkru = { .enabled = true }, .pkrs = { .enabled = true }
    };

    (void)state;
    for (unsigned key = 0; key < 16; key++) {
        struct vmmu_x86_mode mode = mode_of(shape, &registers);
        struct model_entry entries[5];

        mode.pkru = mode.pkrs = ~(UINT32_C(3) << (2 * key));
        encode_all(shape, 3 | (3 << 3) | (3 << 6) | (3 << 9), 0, entries);
        encode(shape, 1, entries[3], key);
        for (unsigned access = 0; access < ACCESSES; access++) {
            expect_same(shape, &mode, &registers, entries, access_of(access));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rights_of_every_combination_of_entries_and_registers_are_the_manuals),
        cmocka_unit_test(test_an_absent_entry_at_every_level_gives_the_manuals_error_code),
        cmocka_unit_test(test_protection_keys_of_every_right_on_every_page_are_the_manuals),
        cmocka_unit_test(test_rights_of_other_keys_do_not_matter),
    };

    return RUN_TESTS(tests);
}
