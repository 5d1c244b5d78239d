#include "tests/unit/nested/space.h"

#include "tests/unit/test.h"

#define PHYSICAL_BITS 48U

static const struct {
    const char *name;
    struct vmmu_nested_config config;
} kinds[SPACE_KINDS] = {
    { "NPT, four levels", { .format = VMMU_NESTED_NPT, .levels = 4, .accessed_dirty = true } },
    { "NPT, five levels, born marked", { .format = VMMU_NESTED_NPT, .levels = 5 } },
    { "NPT, five levels", { .format = VMMU_NESTED_NPT, .levels = 5, .accessed_dirty = true } },
    { "EPT, four levels, execute-only",
      { .format = VMMU_NESTED_EPT, .levels = 4, .execute_only = true, .accessed_dirty = true } },
    { "EPT, four levels, no A/D flags", { .format = VMMU_NESTED_EPT, .levels = 4 } },
    { "EPT, five levels", { .format = VMMU_NESTED_EPT, .levels = 5, .accessed_dirty = true } },
};

struct vmmu_nested_config space_config(unsigned kind)
{
    struct vmmu_nested_config config = kinds[kind].config;

    config.maxphyaddr = PHYSICAL_BITS;
    config.largest_level = VMMU_NESTED_LEVEL_1G;
    config.pat = SPACE_PAT;
    config.vps = 3;
    return config;
}

const char *space_name(unsigned kind)
{
    return kinds[kind].name;
}

void space_start(struct space *space, const struct vmmu_nested_config *config)
{
    table_host_init(&space->host);
    vmmu_table_init(&space->memory, &space->host.seam, space->quarantine, SPACE_LIMIT, 4);
    EXPECT_EQ(vmmu_nested_init(&space->nested, config, &space->memory), VMMU_OK);
}

void space_finish(struct space *space)
{
    vmmu_nested_destroy(&space->nested);
    vmmu_table_drain(&space->memory);
    EXPECT_EQ(space->memory.counters.held_pages, 0);
    EXPECT_EQ(space->memory.counters.taken, space->memory.counters.given);
    table_host_finish(&space->host, true);
}

enum vmmu_status space_apply(struct space *space, struct vmmu_outcome outcome)
{
    if (outcome.status == VMMU_FLUSH_RETRY) {
        EXPECT(!vmmu_plan_is_empty(&outcome.plan));
    }
    if (!vmmu_plan_is_empty(&outcome.plan)) {
        EXPECT(outcome.plan.epoch != 0);
        EXPECT_EQ(outcome.plan.vps, space->nested.config.vps);
        vmmu_table_flushed(&space->memory, outcome.plan.epoch);
    } else {
        EXPECT_EQ(outcome.plan.epoch, 0);
    }
    return outcome.status;
}

struct vmmu_nested_mapping space_mapping(uint64_t gpa, uint64_t hpa, uint64_t size_bytes, uint8_t rights)
{
    return (struct vmmu_nested_mapping){
        .gpa = { gpa },
        .hpa = { hpa },
        .size_bytes = size_bytes,
        .rights = rights,
        .type = VMMU_X86_TYPE_WB,
    };
}

void space_map(struct space *space, uint64_t gpa, uint64_t hpa, uint64_t size_bytes, uint8_t rights)
{
    const struct vmmu_nested_mapping mapping = space_mapping(gpa, hpa, size_bytes, rights);

    SPACE_DO(space, vmmu_nested_map(&space->nested, &mapping));
}

/* --- the walker --- */

static uint64_t frame_of(uint64_t entry, unsigned shift)
{
    return entry & BITS64(51, shift);
}

/* APM 2 "4-Kbyte Page Translation" and those after it; "Nested Paging": every entry is walked as a user's. */
static void view_npt(struct space_view *view, unsigned shift, uint64_t entry)
{
    const uint64_t pat_bit = shift == 12 ? BIT64(7) : BIT64(12);
    const unsigned index =
        ((entry & BIT64(3)) ? 1 : 0) | ((entry & BIT64(4)) ? 2 : 0) | ((entry & pat_bit) ? 4 : 0);

    EXPECT((entry & BIT64(2)) != 0);
    EXPECT_EQ(entry & BITS64(51, PHYSICAL_BITS), 0);
    if (shift > 12) {
        EXPECT_EQ(entry & BITS64(shift - 1, 13), 0);
    }
    view->rights = R | ((entry & BIT64(1)) ? W : 0) | ((entry & BIT64(63)) ? 0 : X);
    view->type = (enum vmmu_x86_memory_type)((SPACE_PAT >> (8 * index)) & 7);
    view->accessed = (entry & BIT64(5)) != 0;
    view->dirty = (entry & BIT64(6)) != 0;
}

/* SDM 3C "EPT Translation Mechanism", "EPT Misconfigurations". */
static void view_ept(struct space_view *view, unsigned shift, uint64_t entry)
{
    const unsigned bits = entry & 7;

    EXPECT(bits != 2 && bits != 6);
    EXPECT_EQ(entry & BITS64(51, PHYSICAL_BITS), 0);
    if (shift > 12) {
        EXPECT_EQ(entry & BITS64(shift - 1, 12), 0);
    }
    view->rights = ((bits & 1) ? R : 0) | ((bits & 2) ? W : 0) | ((bits & 4) ? X : 0);
    view->type = (enum vmmu_x86_memory_type)((entry >> 3) & 7);
    EXPECT(view->type != 2 && view->type != 3 && view->type != 7);
    view->ignore_pat = (entry & BIT64(6)) != 0;
    view->accessed = (entry & BIT64(8)) != 0;
    view->dirty = (entry & BIT64(9)) != 0;
}

/* An entry that points to a table: it must grant all, and have no reserved bit set. */
static void check_link(bool ept, unsigned shift, uint64_t entry)
{
    EXPECT_EQ(entry & 7, 7);
    EXPECT_EQ(entry & BITS64(51, PHYSICAL_BITS), 0);
    if (ept) {
        EXPECT_EQ(entry & BITS64(7, 3), 0);
    } else {
        EXPECT_EQ(entry & (BIT64(63) | BIT64(7) | BITS64(4, 3)), 0);
        EXPECT(shift < 39 || (entry & BIT64(8)) == 0);
    }
}

struct space_view space_walk(struct space *space, uint64_t gpa)
{
    const bool ept = space->nested.config.format == VMMU_NESTED_EPT;
    struct space_view view = { .present = false };
    uint64_t table = vmmu_nested_root(&space->nested) & BITS64(51, 12);

    for (unsigned shift = 12 + 9 * (space->nested.config.levels - 1U);; shift -= 9) {
        view.entry = &table_host_page(&space->host, table)[(gpa >> shift) & 511];
        view.raw = *view.entry;
        view.page_bytes = BIT64(shift);
        if ((view.raw & (ept ? 7 : 1)) == 0) {
            EXPECT_EQ(view.raw, 0);
            return view;
        }
        if (shift == 12 || (shift <= 30 && (view.raw & BIT64(7)) != 0)) {
            break;
        }
        check_link(ept, shift, view.raw);
        table = frame_of(view.raw, 12);
    }
    (ept ? view_ept : view_npt)(&view,
                                view.page_bytes == BIT64(12)   ? 12U
                                : view.page_bytes == BIT64(21) ? 21U
                                                               : 30U,
                                view.raw);
    view.present = true;
    view.hpa = (view.raw & BITS64(51, 12) & ~(view.page_bytes - 1)) | (gpa & (view.page_bytes - 1));
    return view;
}

void space_touch(struct space *space, uint64_t gpa, bool write)
{
    const bool ept = space->nested.config.format == VMMU_NESTED_EPT;
    const struct space_view view = space_walk(space, gpa);

    EXPECT(view.present);
    *view.entry |= (ept ? BIT64(8) : BIT64(5)) | (write ? (ept ? BIT64(9) : BIT64(6)) : 0);
}
