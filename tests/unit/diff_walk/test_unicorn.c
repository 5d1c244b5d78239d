/*
 * The walker against libunicorn's processor: random tables, registers and accesses; whether it faults, by
 * which vector and with which CR2, and every accessed and dirty bit. VMMU_SEED repeats a run, VMMU_CASES
 * makes it longer.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vmmu/walk.h>

#include "machine.h"
#include "tests/unit/modern_cpu.h"
#include "tests/unit/test.h"

#define DEFAULT_CASES 4000

static uint64_t random_state;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545F4914F6CDD1D);
}

static uint64_t random_below(uint64_t bound)
{
    return (random_bits() >> 11) % bound;
}

/* True once in @times. */
static bool rarely(unsigned times)
{
    return random_below(times) == 0;
}

static const struct vmmu_x86_cpu cpu = {
    .maxphyaddr = 40,
    MODERN_PAGING,
    .pse36 = true,
};

/* Each mode with the shifts of its levels, from level 1 up, and the width of the index at the top. */
struct kind_of_paging {
    const char *name;
    bool long_mode;
    unsigned levels, entry_bytes, index_bits, top_index_bits;
    unsigned shift[6];
};

static const struct kind_of_paging pagings[] = {
    { "32-bit", false, 2, 4, 10, 10, { 0, 12, 22 } },
    { "PAE", false, 3, 8, 9, 2, { 0, 12, 21, 30 } },
    { "4-level", true, 4, 8, 9, 9, { 0, 12, 21, 30, 39 } },
    { "5-level", true, 5, 8, 9, 9, { 0, 12, 21, 30, 39, 48 } },
};

struct random_case {
    const struct kind_of_paging *paging;
    unsigned leaf_level;
    struct machine_case machine;
};

#define BIT(n) (UINT64_C(1) << (n))

static uint64_t random_address(const struct kind_of_paging *paging)
{
    const unsigned top = paging->levels;
    const uint64_t top_index = 1 + random_below(BIT(paging->top_index_bits) - 1);
    uint64_t va =
        (top_index << paging->shift[top]) | (random_bits() & (BIT(paging->shift[top]) - 1) & ~UINT64_C(7));

    if (paging->long_mode) {
        const unsigned sign = paging->shift[top] + 8;

        va |= BIT(39); /* away from the machine's own memory */
        va |= (va & BIT(sign)) ? ~(BIT(sign) - 1) : 0;
        va ^= rarely(16) ? BIT(sign + 1 + random_below(63 - sign)) : 0;
    }
    return va;
}

static unsigned random_leaf_level(const struct kind_of_paging *paging, bool large_pages)
{
    if (!large_pages || rarely(2)) {
        return 1;
    }
    return paging->long_mode && rarely(2) ? 3 : 2;
}

static struct random_case random_case(void)
{
    const struct kind_of_paging *paging = &pagings[random_below(4)];
    const uint64_t choice = random_bits();
    const uint64_t first = random_bits();
    struct random_case made = { .paging = paging };
    struct machine_case *machine = &made.machine;

    machine->long_mode = paging->long_mode;
    machine->levels = paging->levels;
    machine->cr0 = VMMU_X86_CR0_PG | VMMU_X86_CR0_PE | VMMU_X86_CR0_ET | ((choice & 1) ? VMMU_X86_CR0_WP : 0);
    machine->cr4 = ((choice & 2) ? VMMU_X86_CR4_SMEP : 0) | ((choice & 4) ? VMMU_X86_CR4_SMAP : 0) |
                   ((choice & 24) || paging->levels > 2 ? VMMU_X86_CR4_PSE : 0) |
                   (paging->levels > 2 ? VMMU_X86_CR4_PAE : 0) |
                   (paging->levels == 5 ? VMMU_X86_CR4_LA57 : 0) |
                   ((choice & 32) && paging->long_mode ? VMMU_X86_CR4_PKE : 0);
    made.leaf_level = random_leaf_level(paging, machine->cr4 & VMMU_X86_CR4_PSE);
    machine->efer = ((choice & 192) ? VMMU_X86_EFER_NXE : 0) |
                    (paging->long_mode ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0);
    machine->pkru = (machine->cr4 & VMMU_X86_CR4_PKE) ? (uint32_t)(first & random_bits()) : 0;
    machine->access = (enum machine_access)random_below(4);
    machine->user = machine->access == MACHINE_DESCRIPTOR || (choice & 256);
    machine->ac = (choice & 512) != 0;
    machine->va = random_address(paging);
    return made;
}

/* Flags of an entry: sound as a rule, with each defect now and then. */
static uint64_t random_flags(const struct kind_of_paging *paging, bool leaf)
{
    const uint64_t dice = random_bits();
    uint64_t flags = (rarely(16) ? 0 : BIT(0)) | (rarely(6) ? 0 : BIT(1)) | (rarely(6) ? 0 : BIT(2));

    flags |= dice & (BIT(3) | BIT(4) | BIT(5) | BIT(8) | BIT(9) | BIT(10) | BIT(11));
    flags |= leaf ? dice & BIT(6) : 0;
    if (paging->entry_bytes == 8) {
        flags |= rarely(6) ? BIT(63) : 0;
        flags |= rarely(40) ? BIT(40 + random_below(12)) : 0;
        flags |= paging->long_mode ? dice & (UINT64_C(0x7ff) << 52)
                 : rarely(40)      ? BIT(52 + random_below(11))
                                   : 0;
    }
    return flags;
}

static uint64_t random_entry(const struct random_case *made, unsigned level)
{
    const struct kind_of_paging *paging = made->paging;
    const bool leaf = level == made->leaf_level;
    const uint64_t next = MACHINE_FREE_TABLES + (level - 1) * UINT64_C(0x1000);
    uint64_t entry = random_flags(paging, leaf);

    if (paging->levels == 3 && level == 3) {
        /* A PDPTE: reserved bits that the other processor checks too. */
        return next | (entry & (BIT(0) | BIT(3) | BIT(4) | BIT(9) | ~(BIT(40) - 1)));
    }
    if (!leaf) {
        return entry | next | (rarely(30) ? BIT(7) : 0);
    }
    const uint64_t address = paging->entry_bytes == 8 ? BIT(40) - 1 : BIT(32) - 1;

    entry |= random_bits() & address & ~(BIT(paging->shift[level]) - 1);
    if (level == 1) {
        return entry | (rarely(2) ? BIT(7) : 0);
    }
    if (paging->entry_bytes == 4) {
        entry |= (rarely(4) ? random_below(256) << 13 : 0) | (rarely(40) ? BIT(21) : 0);
    }
    /* PAT, and now and then a bit of the offset. */
    return entry | BIT(7) | (rarely(2) ? BIT(12) : 0) | (rarely(40) ? BIT(13 + random_below(7)) : 0);
}

static void write_tables(const struct random_case *made)
{
    const struct kind_of_paging *paging = made->paging;

    for (unsigned level = paging->levels; level >= made->leaf_level; level--) {
        const bool top = level == paging->levels;
        const uint64_t table = top ? MACHINE_ROOT : MACHINE_FREE_TABLES + level * UINT64_C(0x1000);
        const unsigned bits = top ? paging->top_index_bits : paging->index_bits;
        const uint64_t index = (made->machine.va >> paging->shift[level]) & (BIT(bits) - 1);
        const uint64_t entry = random_entry(made, level);

        memcpy(machine_ram() + table + index * paging->entry_bytes, &entry, paging->entry_bytes);
    }
}

/* --- our side --- */

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    if (address >= MACHINE_RAM_BYTES) {
        return VMMU_ABSENT;
    }
    *value = 0;
    memcpy(value, (const uint8_t *)context + address, width_bytes);
    return VMMU_OK;
}

static enum vmmu_status exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                 uint64_t desired)
{
    uint64_t value;

    if (load(context, address, width_bytes, &value) != VMMU_OK || value != expected) {
        return VMMU_RACED;
    }
    memcpy((uint8_t *)context + address, &desired, width_bytes);
    return VMMU_OK;
}

static enum vmmu_status walk_ours(const struct random_case *made, void *memory,
                                  struct vmmu_x86_walk_result *out)
{
    static const enum vmmu_x86_access_kind kinds[] = {
        [MACHINE_READ] = VMMU_X86_READ,
        [MACHINE_WRITE] = VMMU_X86_WRITE,
        [MACHINE_FETCH] = VMMU_X86_EXECUTE,
        [MACHINE_DESCRIPTOR] = VMMU_X86_READ,
    };
    const struct machine_case *machine = &made->machine;
    const struct vmmu_ram ram = { .context = memory, .load = load, .exchange = exchange };
    const struct vmmu_x86_paging_registers registers = {
        .cr0 = machine->cr0,
        .cr3 = MACHINE_ROOT,
        .cr4 = machine->cr4,
        .efer = machine->efer,
        .pkru = machine->pkru,
        .pdpte_in_memory = true,
    };
    const struct vmmu_x86_access access = {
        .kind = kinds[machine->access],
        .marks = VMMU_X86_MARKS_AS_IT_GOES,
        .user = machine->user && machine->access != MACHINE_DESCRIPTOR,
        .implicit = machine->access == MACHINE_DESCRIPTOR,
        .eflags_ac = machine->ac,
    };
    struct vmmu_x86_mode mode;

    EXPECT_EQ(vmmu_mode_make(&cpu, &registers, &mode), VMMU_OK);
    return vmmu_x86_walk(&mode, &ram, (vmmu_gva){ machine->va }, access, out);
}

/* --- both --- */

static void print_case(const struct random_case *made, const struct vmmu_x86_walk_result *ours)
{
    static const char *const accesses[] = { "read", "write", "fetch", "descriptor" };
    const struct machine_case *machine = &made->machine;

    print_error("%s leaf %u: %s %s%s va %llx cr0 %llx cr4 %llx efer %llx pkru %x\n", made->paging->name,
                made->leaf_level, machine->user ? "user" : "supervisor", accesses[machine->access],
                machine->ac ? " ac" : "", (unsigned long long)machine->va, (unsigned long long)machine->cr0,
                (unsigned long long)machine->cr4, (unsigned long long)machine->efer, machine->pkru);
    for (unsigned i = 0; i < ours->step_count; i++) {
        print_error("  level %u at %llx: %016llx\n", ours->steps[i].level,
                    (unsigned long long)ours->steps[i].address, (unsigned long long)ours->steps[i].value);
    }
}

/*
 * The other processor marks a 1 GiB leaf accessed before it looks at its rights and offset bits,
 * where we leave an entry that faults alone: either is allowed (docs/caveats.md, "Walker"). Do
 * as it does, in our copy.
 */
static void mark_as_they_do(const struct random_case *made, const struct vmmu_x86_walk_result *ours,
                            uint8_t *memory)
{
    const struct vmmu_x86_step none = { 0 };
    const struct vmmu_x86_step *last = ours->step_count ? &ours->steps[ours->step_count - 1] : &none;
    const uint64_t beyond =
        (BIT(52) - BIT(cpu.maxphyaddr)) | ((made->machine.efer & VMMU_X86_EFER_NXE) ? 0 : BIT(63));

    if (made->paging->long_mode && last->level == 3 && (last->value & BIT(0)) && (last->value & BIT(7)) &&
        !(last->value & beyond)) {
        const uint64_t marked = last->value | BIT(5);

        memcpy(memory + last->place, &marked, sizeof(marked));
    }
}

/* Whether both sides say the same of one case; prints it if not. */
static bool agree(const struct random_case *made)
{
    static uint8_t memory[MACHINE_RAM_BYTES];
    struct vmmu_x86_walk_result ours;

    machine_prepare(&made->machine);
    write_tables(made);
    memcpy(memory, machine_ram(), sizeof(memory));
    const enum vmmu_status status = walk_ours(made, memory, &ours);
    if (status == VMMU_GUEST_FAULT) {
        mark_as_they_do(made, &ours, memory);
    }
    const struct machine_outcome theirs = machine_run(&made->machine);
    const unsigned vector = status == VMMU_OK ? MACHINE_DONE : ours.fault.vector;
    const bool same_cr2 = vector != VMMU_X86_VECTOR_PF || theirs.cr2 == ours.fault.cr2;
    const bool same_marks = memcmp(memory, machine_ram(), sizeof(memory)) == 0;

    EXPECT(status == VMMU_OK || status == VMMU_GUEST_FAULT);
    if (theirs.vector == vector && same_cr2 && same_marks) {
        return true;
    }
    print_case(made, &ours);
    print_error("  ours: vector %u code %x; theirs: vector %u cr2 %llx; marks %s\n", vector,
                status == VMMU_OK ? 0 : ours.fault.error_code, theirs.vector, (unsigned long long)theirs.cr2,
                same_marks ? "same" : "differ");
    return false;
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void test_random_walks_end_as_on_an_independent_processor(void **state)
{
    const uint64_t seed = from_environment("VMMU_SEED", (uint64_t)time(NULL));
    const uint64_t cases = from_environment("VMMU_CASES", DEFAULT_CASES);
    unsigned disagreements = 0;

    (void)state;
    print_message("VMMU_SEED=%llu VMMU_CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
    random_state = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15) | 1;
    for (uint64_t i = 0; i < cases && disagreements < 10; i++) {
        const struct random_case made = random_case();

        disagreements += agree(&made) ? 0 : 1;
    }
    EXPECT_EQ(disagreements, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_walks_end_as_on_an_independent_processor),
    };

    return RUN_TESTS(tests);
}
