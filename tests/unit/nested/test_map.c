/*
 * Mapping: the bits of entries by the manuals, the largest pages that fit, what is refused, who owns a frame.
 */
#include "tests/unit/nested/kinds.h"
#include "tests/unit/test.h"

static struct space space;

static bool is_ept(void)
{
    return space.nested.config.format == VMMU_NESTED_EPT;
}

static enum vmmu_status try_map(const struct vmmu_nested_mapping *mapping)
{
    return space_apply(&space, vmmu_nested_map(&space.nested, mapping));
}

static void test_an_empty_space_maps_nothing(void **state)
{
    struct vmmu_nested_page page;

    (void)state;
    FOR_EACH_KIND(space)
    {
        EXPECT(!space_walk(&space, 0).present);
        EXPECT_EQ(vmmu_nested_lookup(&space.nested, (vmmu_gpa){ GPA }, &page), VMMU_ABSENT);
        EXPECT_EQ(vmmu_nested_resolve(&space.nested, (vmmu_gpa){ GPA }, VMMU_X86_READ), VMMU_NESTED_ABSENT);
        EXPECT_EQ(space.memory.counters.held_pages, 1);
    }
}

static void test_a_page_is_found_where_it_was_mapped_and_nowhere_else(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, PAGE, R | W | X);
        EXPECT(!space_walk(&space, GPA - 1).present);
        EXPECT(!space_walk(&space, GPA + PAGE).present);
        EXPECT(space_walk(&space, GPA).present);
        EXPECT_EQ(space_walk(&space, GPA + 0x123).hpa, HPA + 0x123);
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, PAGE);
        EXPECT_EQ(space_walk(&space, GPA).rights, R | W | X);
    }
}

/* APM 2 "4-Kbyte Page Translation": P is bit 0, R/W 1, U/S 2, A 5, D 6, NX 63. */
static void test_an_npt_leaf_has_the_bits_of_the_manual(void **state)
{
    struct vmmu_nested_config config = space_config(0);

    (void)state;
    space_start(&space, &config);
    space_map(&space, GPA, HPA, PAGE, R | W | X);
    EXPECT_EQ(space_walk(&space, GPA).raw, HPA | 7);
    space_map(&space, GPA + PAGE, HPA, PAGE, R);
    EXPECT_EQ(space_walk(&space, GPA + PAGE).raw, HPA | BIT64(63) | 5);
    space_map(&space, GPA + HUGE, HPA, LARGE, R | W);
    EXPECT_EQ(space_walk(&space, GPA + HUGE).raw, HPA | BIT64(63) | BIT64(7) | 7);
    space_finish(&space);
}

/* SDM 3C, formats of EPT entries: R, W, X are bits 0 to 2, memory type 5:3, ignore PAT 6, page 7. */
static void test_an_ept_leaf_has_the_bits_of_the_manual(void **state)
{
    struct vmmu_nested_config config = space_config(3);
    struct vmmu_nested_mapping mapping = space_mapping(GPA + PAGE, HPA, PAGE, R);

    (void)state;
    space_start(&space, &config);
    space_map(&space, GPA, HPA, PAGE, R | W | X);
    EXPECT_EQ(space_walk(&space, GPA).raw, HPA | (6 << 3) | 7);
    mapping.type = VMMU_X86_TYPE_UC;
    mapping.ignore_pat = true;
    EXPECT_EQ(try_map(&mapping), VMMU_OK);
    EXPECT_EQ(space_walk(&space, GPA + PAGE).raw, HPA | BIT64(6) | 1);
    space_map(&space, GPA + HUGE, HPA, LARGE, R | W);
    EXPECT_EQ(space_walk(&space, GPA + HUGE).raw, HPA | BIT64(7) | (6 << 3) | 3);
    space_finish(&space);
}

/* Born marked: the processor need not set what nobody will read. */
static void test_without_a_d_tracking_entries_are_born_accessed_and_dirty(void **state)
{
    struct vmmu_nested_config config = space_config(1);

    (void)state;
    space_start(&space, &config);
    space_map(&space, GPA, HPA, PAGE, R | W | X);
    EXPECT_EQ(space_walk(&space, GPA).raw, HPA | BIT64(6) | BIT64(5) | 7);
    EXPECT((*table_host_page(&space.host, vmmu_nested_root(&space.nested)) & BIT64(5)) != 0);
    space_finish(&space);
}

/*
 * APM 2 "Page-Attribute Table (PAT)": index bits PWT 3, PCD 4, and PAT 7 in a 4 KiB
 * entry, 12 in a larger one.
 */
static void test_npt_types_are_chosen_by_pat_index(void **state)
{
    static const struct {
        enum vmmu_x86_memory_type type;
        uint64_t small;
        uint64_t large;
    } cases[] = {
        { VMMU_X86_TYPE_WB, 0, 0 },
        { VMMU_X86_TYPE_WC, BIT64(3), BIT64(3) },
        { VMMU_X86_TYPE_UC_MINUS, BIT64(4), BIT64(4) },
        { VMMU_X86_TYPE_UC, BIT64(4) | BIT64(3), BIT64(4) | BIT64(3) },
        { VMMU_X86_TYPE_WP, BIT64(7) | BIT64(3), BIT64(12) | BIT64(3) },
        { VMMU_X86_TYPE_WT, BIT64(7) | BIT64(4) | BIT64(3), BIT64(12) | BIT64(4) | BIT64(3) },
    };
    struct vmmu_nested_config config = space_config(0);

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vmmu_nested_mapping small = space_mapping(GPA, HPA, PAGE, R | W | X);
        struct vmmu_nested_mapping large = space_mapping(2 * GPA, HPA, LARGE, R | W | X);

        space_start(&space, &config);
        small.type = cases[i].type;
        large.type = cases[i].type;
        EXPECT_EQ(try_map(&small), VMMU_OK);
        EXPECT_EQ(try_map(&large), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA).raw, HPA | cases[i].small | 7);
        EXPECT_EQ(space_walk(&space, 2 * GPA).raw, HPA | BIT64(7) | cases[i].large | 7);
        EXPECT_EQ(space_walk(&space, 2 * GPA).type, cases[i].type);
        space_finish(&space);
    }
}

static void test_every_type_that_the_format_has_comes_back_by_lookup(void **state)
{
    static const enum vmmu_x86_memory_type types[] = { VMMU_X86_TYPE_UC, VMMU_X86_TYPE_WC, VMMU_X86_TYPE_WT,
                                                       VMMU_X86_TYPE_WP, VMMU_X86_TYPE_WB };

    (void)state;
    FOR_EACH_KIND(space)
    {
        for (unsigned i = 0; i < 5; i++) {
            struct vmmu_nested_mapping mapping = space_mapping(GPA + i * HUGE, HPA, LARGE + PAGE, R | W);
            struct vmmu_nested_page page;

            mapping.type = types[i];
            mapping.ignore_pat = is_ept() && i % 2 == 1;
            EXPECT_EQ(try_map(&mapping), VMMU_OK);
            for (uint64_t offset = 0; offset <= LARGE; offset += LARGE) {
                EXPECT_EQ(vmmu_nested_lookup(&space.nested, (vmmu_gpa){ mapping.gpa.v + offset }, &page),
                          VMMU_OK);
                EXPECT_EQ(page.type, types[i]);
                EXPECT_EQ(page.ignore_pat, mapping.ignore_pat);
                EXPECT_EQ(page.base.v, mapping.gpa.v + offset);
                EXPECT_EQ(page.frame.v, HPA + offset);
                EXPECT_EQ(page.rights, R | W);
                EXPECT_EQ(page.size_bytes, offset == 0 ? LARGE : PAGE);
                EXPECT_EQ(space_walk(&space, mapping.gpa.v + offset).type, types[i]);
                EXPECT_EQ(space_walk(&space, mapping.gpa.v + offset).ignore_pat, mapping.ignore_pat);
            }
        }
    }
}

static void test_types_that_the_format_has_not_are_unsupported(void **state)
{
    struct vmmu_nested_mapping mapping = space_mapping(GPA, HPA, PAGE, R);

    (void)state;
    FOR_EACH_KIND(space)
    {
        mapping = space_mapping(GPA, HPA, PAGE, R);
        mapping.type = VMMU_X86_TYPE_UC_MINUS;
        EXPECT_EQ(try_map(&mapping), is_ept() ? VMMU_UNSUPPORTED : VMMU_OK);
        mapping.type = VMMU_X86_TYPE_WB;
        mapping.ignore_pat = true;
        EXPECT_EQ(try_map(&mapping), is_ept() ? VMMU_OK : VMMU_UNSUPPORTED);
        mapping.ignore_pat = false;
        for (unsigned type = 2; type <= 9; type += type == 3 ? 5 : 1) {
            mapping.type = (enum vmmu_x86_memory_type)type;
            EXPECT_EQ(try_map(&mapping), VMMU_INVALID);
        }
    }
}

static void test_a_pat_without_a_type_makes_that_type_unsupported(void **state)
{
    struct vmmu_nested_config config = space_config(0);
    struct vmmu_nested_mapping mapping = space_mapping(GPA, HPA, PAGE, R);

    (void)state;
    config.pat = UINT64_C(0x0007040600070406); /* as after reset: no WC, no WP */
    space_start(&space, &config);
    mapping.type = VMMU_X86_TYPE_WC;
    EXPECT_EQ(try_map(&mapping), VMMU_UNSUPPORTED);
    mapping.type = VMMU_X86_TYPE_WP;
    EXPECT_EQ(try_map(&mapping), VMMU_UNSUPPORTED);
    mapping.type = VMMU_X86_TYPE_WT;
    EXPECT_EQ(try_map(&mapping), VMMU_OK);
    EXPECT_EQ(space_walk(&space, GPA).raw & (BIT64(7) | BIT64(4) | BIT64(3)), BIT64(3));
    space_finish(&space);
}

static void test_the_largest_pages_that_fit_are_used(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        /* From one page before a 2 MiB boundary, over a whole GiB, to one page after another. */
        const uint64_t gpa = 2 * HUGE - LARGE - PAGE;
        const uint64_t hpa = 5 * HUGE - LARGE - PAGE;

        space_map(&space, gpa, hpa, PAGE + LARGE + HUGE + LARGE + PAGE, R | W | X);
        EXPECT_EQ(space_walk(&space, gpa).page_bytes, PAGE);
        EXPECT_EQ(space_walk(&space, gpa + PAGE).page_bytes, LARGE);
        EXPECT_EQ(space_walk(&space, 2 * HUGE).page_bytes, HUGE);
        EXPECT_EQ(space_walk(&space, 3 * HUGE).page_bytes, LARGE);
        EXPECT_EQ(space_walk(&space, 3 * HUGE + LARGE).page_bytes, PAGE);
        EXPECT(!space_walk(&space, 3 * HUGE + LARGE + PAGE).present);
        for (uint64_t at = gpa; at < 3 * HUGE + LARGE + PAGE; at += LARGE / 2) {
            EXPECT_EQ(space_walk(&space, at).hpa, at - gpa + hpa);
        }
        EXPECT_EQ(space.nested.counters.leaves[0], 2);
        EXPECT_EQ(space.nested.counters.leaves[1], 2);
        EXPECT_EQ(space.nested.counters.leaves[2], 1);
    }
}

/* Tables of a space with one page in it, from the root down, by the manuals' way through them. */
static void test_the_tables_of_a_space_are_known_and_nothing_else_is(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        const uint64_t root = vmmu_nested_root(&space.nested) & BITS64(51, 12);
        const unsigned levels = space.nested.config.levels;
        uint64_t at = root;

        space_map(&space, HUGE + 3 * PAGE, 4 * HUGE + PAGE, PAGE, R);
        space_map(&space, 2 * HUGE, 5 * HUGE, LARGE, R);
        for (unsigned level = levels; level > 0; level--) {
            const unsigned index = (unsigned)((HUGE + 3 * PAGE) >> (12 + 9 * (level - 1)) & 511);
            const uint64_t *const table = table_host_page(&space.host, at);

            EXPECT(vmmu_nested_has_table(&space.nested, (vmmu_hpa){ at }));
            EXPECT(vmmu_nested_has_table(&space.nested, (vmmu_hpa){ at + PAGE - 1 }));
            at = table[index] & BITS64(51, 12);
        }
        EXPECT_EQ(at, 4 * HUGE + PAGE);
        EXPECT(!vmmu_nested_has_table(&space.nested, (vmmu_hpa){ at }));
        EXPECT(!vmmu_nested_has_table(&space.nested, (vmmu_hpa){ 5 * HUGE }));
        EXPECT(!vmmu_nested_has_table(&space.nested, (vmmu_hpa){ 0 }));
        EXPECT(!vmmu_nested_has_table(&space.nested, (vmmu_hpa){ UINT64_MAX }));
    }
}

static void test_frames_that_are_not_aligned_alike_need_small_pages(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, HUGE, 4 * HUGE + PAGE, 2 * LARGE, R);
        EXPECT_EQ(space_walk(&space, HUGE).page_bytes, PAGE);
        space_map(&space, 2 * HUGE, 4 * HUGE + LARGE, HUGE, R);
        EXPECT_EQ(space_walk(&space, 2 * HUGE).page_bytes, LARGE);
        EXPECT_EQ(space_walk(&space, 3 * HUGE - 1).hpa, 5 * HUGE + LARGE - 1);
    }
}

static void test_no_page_is_larger_than_configured(void **state)
{
    (void)state;
    for (unsigned level = VMMU_NESTED_LEVEL_4K; level <= VMMU_NESTED_LEVEL_1G; level++) {
        static const uint64_t bytes[] = { 0, PAGE, LARGE, HUGE };
        struct vmmu_nested_config config = space_config(3);

        config.largest_level = (uint8_t)level;
        space_start(&space, &config);
        space_map(&space, 0, 0, HUGE, R | W | X);
        EXPECT_EQ(space_walk(&space, 0).page_bytes, bytes[level]);
        EXPECT_EQ(space_walk(&space, HUGE - 1).hpa, HUGE - 1);
        space_finish(&space);

        config.largest_level = VMMU_NESTED_LEVEL_1G;
        config.largest_execute_level = (uint8_t)level;
        space_start(&space, &config);
        space_map(&space, 0, 0, HUGE, R | W | X);
        space_map(&space, HUGE, HUGE, HUGE, R | W);
        EXPECT_EQ(space_walk(&space, 0).page_bytes, bytes[level]);
        EXPECT_EQ(space_walk(&space, HUGE).page_bytes, HUGE);
        /* To become executable the page must become smaller. */
        SPACE_DO(&space, vmmu_nested_protect(&space.nested, (vmmu_gpa){ HUGE }, HUGE, R | X));
        EXPECT_EQ(space_walk(&space, HUGE).page_bytes, bytes[level]);
        EXPECT_EQ(space_walk(&space, 2 * HUGE - 1).rights, R | X);
        EXPECT_EQ(space_walk(&space, 2 * HUGE - 1).hpa, 2 * HUGE - 1);
        space_finish(&space);
    }
}

static void test_an_execute_limit_above_the_general_one_is_the_general_one(void **state)
{
    struct vmmu_nested_config config = space_config(0);

    (void)state;
    config.largest_level = VMMU_NESTED_LEVEL_4K;
    config.largest_execute_level = VMMU_NESTED_LEVEL_1G;
    space_start(&space, &config);
    space_map(&space, 0, 0, LARGE, R | X);
    EXPECT_EQ(space_walk(&space, 0).page_bytes, PAGE);
    space_finish(&space);
}

static void test_every_set_of_rights_is_as_asked_or_refused(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        for (unsigned rights = 0; rights < 256; rights++) {
            const struct vmmu_nested_mapping mapping =
                space_mapping(GPA + rights * PAGE, HPA, PAGE, (uint8_t)rights);
            const unsigned asked = rights & (R | W | X);
            enum vmmu_status expected = VMMU_OK;

            if (asked == 0 || rights > VMMU_X86_RIGHTS_ALL || (asked & (R | W)) == W) {
                expected = VMMU_INVALID;
            } else if (asked == X && !space.nested.config.execute_only) {
                expected = VMMU_UNSUPPORTED;
            }
            EXPECT_EQ(try_map(&mapping), expected);
            EXPECT_EQ(space_walk(&space, mapping.gpa.v).present, expected == VMMU_OK);
            EXPECT_EQ(space_walk(&space, mapping.gpa.v).rights, expected == VMMU_OK ? asked : 0);
        }
    }
}

static void test_resolve_tells_denied_from_spurious(void **state)
{
    static const enum vmmu_x86_access_kind kinds[] = { VMMU_X86_READ, VMMU_X86_WRITE, VMMU_X86_EXECUTE };
    static const uint8_t needs[] = { R, W, X };

    (void)state;
    FOR_EACH_KIND(space)
    {
        for (unsigned rights = 0; rights <= VMMU_X86_RIGHTS_ALL; rights++) {
            const struct vmmu_nested_mapping mapping = space_mapping(GPA, HPA, PAGE, (uint8_t)rights);

            if (try_map(&mapping) != VMMU_OK) {
                continue;
            }
            for (unsigned i = 0; i < 3; i++) {
                EXPECT_EQ(vmmu_nested_resolve(&space.nested, (vmmu_gpa){ GPA + 5 }, kinds[i]),
                          (rights & needs[i]) ? VMMU_NESTED_SPURIOUS : VMMU_NESTED_DENIED);
            }
        }
    }
}

static void test_ranges_beyond_the_format_or_not_whole_pages_are_invalid(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        const uint64_t limit = BIT64(config.levels == 4 ? 48 : 57);
        const struct {
            uint64_t gpa;
            uint64_t hpa;
            uint64_t size_bytes;
        } bad[] = {
            { GPA, HPA, 0 },
            { GPA + 1, HPA, PAGE },
            { GPA, HPA + 8, PAGE },
            { GPA, HPA, PAGE + 1 },
            { limit, HPA, PAGE },
            { limit - PAGE, HPA, 2 * PAGE },
            { UINT64_MAX - PAGE + 1, HPA, PAGE },
            { PAGE, HPA, UINT64_MAX - PAGE + 1 },
            { GPA, BIT64(48), PAGE },
            { GPA, BIT64(48) - PAGE, 2 * PAGE },
            { GPA, UINT64_MAX - PAGE + 1, PAGE },
        };

        for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            const struct vmmu_nested_mapping mapping =
                space_mapping(bad[i].gpa, bad[i].hpa, bad[i].size_bytes, R);

            EXPECT_EQ(try_map(&mapping), VMMU_INVALID);
        }
        EXPECT_EQ(space.memory.counters.held_pages, 1);
        space_map(&space, limit - PAGE, BIT64(48) - PAGE, PAGE, R);
        EXPECT_EQ(space_walk(&space, limit - PAGE).hpa, BIT64(48) - PAGE);
        for (unsigned i = 0; i < 8; i++) {
            const vmmu_gpa gpa = { bad[i].gpa };
            uint8_t bitmap[8] = { 0 };
            const struct vmmu_nested_harvester harvester = { 0 };

            if (i == 2) {
                continue; /* there the frame was wrong */
            }
            EXPECT_EQ(vmmu_nested_unmap(&space.nested, gpa, bad[i].size_bytes).status, VMMU_INVALID);
            EXPECT_EQ(vmmu_nested_protect(&space.nested, gpa, bad[i].size_bytes, R).status, VMMU_INVALID);
            EXPECT_EQ(vmmu_nested_merge(&space.nested, gpa, bad[i].size_bytes).status, VMMU_INVALID);
            EXPECT_EQ(vmmu_nested_split(&space.nested, gpa, bad[i].size_bytes, 1).status, VMMU_INVALID);
            EXPECT_EQ(vmmu_nested_log_collect(&space.nested, gpa, bad[i].size_bytes, bitmap).status,
                      VMMU_INVALID);
            if (config.accessed_dirty) {
                EXPECT_EQ(vmmu_nested_harvest(&space.nested, gpa, bad[i].size_bytes, &harvester).status,
                          VMMU_INVALID);
            }
        }
        EXPECT_EQ(vmmu_nested_lookup(&space.nested, (vmmu_gpa){ limit }, &(struct vmmu_nested_page){ 0 }),
                  VMMU_INVALID);
        EXPECT_EQ(vmmu_nested_log_fault(&space.nested, (vmmu_gpa){ limit }, false).status, VMMU_INVALID);
    }
}

static void test_the_root_is_what_the_processor_is_given(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        const uint64_t root = vmmu_nested_root(&space.nested);

        EXPECT_EQ(root & BITS64(51, 12), space.nested.root.v);
        if (!is_ept()) {
            EXPECT_EQ(root & (PAGE - 1), 0);
            continue;
        }
        /* SDM 3C "Extended-Page-Table Pointer (EPTP)": type 2:0, levels less one 5:3, A/D 6. */
        EXPECT_EQ(root & 7, 6);
        EXPECT_EQ((root >> 3) & 7, config.levels - 1);
        EXPECT_EQ((root >> 6) & 1, config.accessed_dirty);
        EXPECT_EQ((root >> 7) & 31, 0);
    }
}

static void test_impossible_configurations_are_refused(void **state)
{
    static const struct {
        size_t offset;
        uint8_t value;
    } bad[] = {
        { offsetof(struct vmmu_nested_config, levels), 3 },
        { offsetof(struct vmmu_nested_config, levels), 6 },
        { offsetof(struct vmmu_nested_config, maxphyaddr), 31 },
        { offsetof(struct vmmu_nested_config, maxphyaddr), 53 },
        { offsetof(struct vmmu_nested_config, largest_level), 0 },
        { offsetof(struct vmmu_nested_config, largest_level), 4 },
        { offsetof(struct vmmu_nested_config, largest_execute_level), 4 },
    };
    struct vmmu_nested_config config;

    (void)state;
    table_host_init(&space.host);
    vmmu_table_init(&space.memory, &space.host.seam, space.quarantine, SPACE_LIMIT, 4);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        config = space_config(3);
        *((uint8_t *)&config + bad[i].offset) = bad[i].value;
        EXPECT_EQ(vmmu_nested_init(&space.nested, &config, &space.memory), VMMU_INVALID);
    }
    config = space_config(0);
    config.format = (enum vmmu_nested_format)2;
    EXPECT_EQ(vmmu_nested_init(&space.nested, &config, &space.memory), VMMU_INVALID);
    config = space_config(0);
    config.execute_only = true;
    EXPECT_EQ(vmmu_nested_init(&space.nested, &config, &space.memory), VMMU_UNSUPPORTED);
    config = space_config(0);
    config.pat = 0; /* uncacheable only */
    EXPECT_EQ(vmmu_nested_init(&space.nested, &config, &space.memory), VMMU_UNSUPPORTED);
    EXPECT_EQ(space.host.takes, 0);
    config = space_config(0);
    space.host.takes_left = 0;
    EXPECT_EQ(vmmu_nested_init(&space.nested, &config, &space.memory), VMMU_NO_MEMORY);
    table_host_finish(&space.host, true);
}

static void test_a_frame_that_is_not_owned_is_never_mapped_and_the_host_is_told(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        const struct vmmu_nested_mapping last = space_mapping(GPA, HPA + LARGE, 2 * PAGE, R);
        const struct vmmu_nested_mapping first = space_mapping(GPA, HPA - PAGE, 2 * PAGE, R);

        space.host.own_first = HPA;
        space.host.own_end = HPA + LARGE + PAGE;
        EXPECT_EQ(try_map(&last), VMMU_VIOLATED);
        EXPECT_EQ(try_map(&first), VMMU_VIOLATED);
        EXPECT_EQ(space.host.violations, 2);
        EXPECT_EQ(space.nested.counters.violations, 2);
        EXPECT_EQ(space.host.exchanges, 0);
        EXPECT(!space_walk(&space, GPA).present);
        space_map(&space, GPA, HPA, LARGE + PAGE, R);
        EXPECT_EQ(space.host.violations, 2);
    }
}

static void test_a_page_whose_owner_changed_is_neither_granted_nor_split_nor_merged(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, LARGE, R);
        space_map(&space, 2 * GPA, 2 * HPA, PAGE, R);
        space_map(&space, 2 * GPA + PAGE, 2 * HPA + PAGE, LARGE - PAGE, R);
        const uint64_t before = space.host.exchanges;

        space.host.own_first = 8 * HPA;
        EXPECT_EQ(vmmu_nested_protect(&space.nested, (vmmu_gpa){ GPA }, LARGE, R | W).status, VMMU_VIOLATED);
        EXPECT_EQ(vmmu_nested_protect(&space.nested, (vmmu_gpa){ GPA }, PAGE, R | W).status, VMMU_VIOLATED);
        EXPECT_EQ(vmmu_nested_split(&space.nested, (vmmu_gpa){ GPA }, PAGE, 1).status, VMMU_VIOLATED);
        EXPECT_EQ(vmmu_nested_unmap(&space.nested, (vmmu_gpa){ GPA }, PAGE).status, VMMU_VIOLATED);
        EXPECT_EQ(vmmu_nested_merge(&space.nested, (vmmu_gpa){ 2 * GPA }, LARGE).status, VMMU_VIOLATED);
        EXPECT_EQ(space.host.violations, 5);
        EXPECT_EQ(space.host.exchanges, before);
        /* It can still be taken away. */
        EXPECT_EQ(space_apply(&space, vmmu_nested_unmap(&space.nested, (vmmu_gpa){ GPA }, LARGE)), VMMU_OK);
        EXPECT(!space_walk(&space, GPA).present);
    }
}

static void test_mapping_what_was_absent_needs_no_flush(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        const struct vmmu_nested_mapping mapping =
            space_mapping(GPA - PAGE, HPA - PAGE, HUGE + 2 * PAGE, R | W);
        const struct vmmu_outcome outcome = vmmu_nested_map(&space.nested, &mapping);

        EXPECT_EQ(outcome.status, VMMU_OK);
        EXPECT(vmmu_plan_is_empty(&outcome.plan));
        EXPECT_EQ(outcome.plan.epoch, 0);
    }
}

/*
 * A table is filled before it is linked: one store per entry of an existing table,
 * however much hangs below it.
 */
static void test_a_new_table_is_linked_by_one_store(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA + PAGE, 4 * LARGE, R | W | X);
        EXPECT_EQ(space.host.exchanges, 1);
        EXPECT_EQ(space.nested.counters.stores, 1);
    }
}

static void test_mapping_the_same_again_changes_nothing(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        const struct vmmu_nested_mapping part = space_mapping(GPA + PAGE, HPA + PAGE, PAGE, R | W);

        space_map(&space, GPA, HPA, HUGE, R | W);
        const uint64_t before = space.host.exchanges;
        const uint64_t taken = space.host.takes;

        space_map(&space, GPA, HPA, HUGE, R | W);
        EXPECT_EQ(try_map(&part), VMMU_OK);
        EXPECT_EQ(space.host.exchanges, before);
        EXPECT_EQ(space.host.takes, taken);
    }
}

static void test_plans_name_the_processors_that_were_set(void **state)
{
    struct vmmu_nested_config config = space_config(0);
    struct vmmu_outcome outcome;

    (void)state;
    space_start(&space, &config);
    space_map(&space, GPA, HPA, 2 * PAGE, R | W);
    vmmu_nested_set_vps(&space.nested, BIT64(63) | 1);
    outcome = vmmu_nested_unmap(&space.nested, (vmmu_gpa){ GPA }, PAGE);
    EXPECT_EQ(outcome.plan.vps, BIT64(63) | 1);
    EXPECT_EQ(outcome.plan.count, 1);
    EXPECT_EQ(outcome.plan.ranges[0].base, GPA);
    EXPECT_EQ(outcome.plan.ranges[0].pages, 1);
    EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
    space_finish(&space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_space_maps_nothing),
        cmocka_unit_test(test_a_page_is_found_where_it_was_mapped_and_nowhere_else),
        cmocka_unit_test(test_an_npt_leaf_has_the_bits_of_the_manual),
        cmocka_unit_test(test_an_ept_leaf_has_the_bits_of_the_manual),
        cmocka_unit_test(test_without_a_d_tracking_entries_are_born_accessed_and_dirty),
        cmocka_unit_test(test_npt_types_are_chosen_by_pat_index),
        cmocka_unit_test(test_every_type_that_the_format_has_comes_back_by_lookup),
        cmocka_unit_test(test_types_that_the_format_has_not_are_unsupported),
        cmocka_unit_test(test_a_pat_without_a_type_makes_that_type_unsupported),
        cmocka_unit_test(test_the_largest_pages_that_fit_are_used),
        cmocka_unit_test(test_the_tables_of_a_space_are_known_and_nothing_else_is),
        cmocka_unit_test(test_frames_that_are_not_aligned_alike_need_small_pages),
        cmocka_unit_test(test_no_page_is_larger_than_configured),
        cmocka_unit_test(test_an_execute_limit_above_the_general_one_is_the_general_one),
        cmocka_unit_test(test_every_set_of_rights_is_as_asked_or_refused),
        cmocka_unit_test(test_resolve_tells_denied_from_spurious),
        cmocka_unit_test(test_ranges_beyond_the_format_or_not_whole_pages_are_invalid),
        cmocka_unit_test(test_the_root_is_what_the_processor_is_given),
        cmocka_unit_test(test_impossible_configurations_are_refused),
        cmocka_unit_test(test_a_frame_that_is_not_owned_is_never_mapped_and_the_host_is_told),
        cmocka_unit_test(test_a_page_whose_owner_changed_is_neither_granted_nor_split_nor_merged),
        cmocka_unit_test(test_mapping_what_was_absent_needs_no_flush),
        cmocka_unit_test(test_a_new_table_is_linked_by_one_store),
        cmocka_unit_test(test_mapping_the_same_again_changes_nothing),
        cmocka_unit_test(test_plans_name_the_processors_that_were_set),
    };

    return RUN_TESTS(tests);
}
