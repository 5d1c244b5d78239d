/* SDM 2A "CPUID"; APM 3 "Obtaining Processor Information Via the CPUID Instruction". */
#include "tests/unit/policy/hosts.h"
#include "tests/unit/test.h"

#define BIT(n) (UINT32_C(1) << (n))

static const struct host *const hosts[] = { &qemu_max, &epyc_rome, &skylake_server, &says_yes_amd,
                                            &says_yes_intel };
#define HOSTS (sizeof(hosts) / sizeof(hosts[0]))

static struct x86_cpuid table_on(const struct host *host)
{
    const struct x86_cpuid_config config = config_on(host);
    struct x86_cpuid table;

    x86_cpuid_build(&table, &config);
    return table;
}

static struct x86_cpuid_regs look(const struct x86_cpuid *table, uint32_t leaf, uint32_t subleaf)
{
    const struct x86_cpuid_state state = { .cr4 = 0, .xcr0 = 1 };

    return x86_cpuid_lookup(table, leaf, subleaf, &state);
}

static void expect_zero(struct x86_cpuid_regs regs)
{
    EXPECT_EQ(regs.eax | regs.ebx | regs.ecx | regs.edx, 0);
}

static void test_maker_is_the_hosts(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HOSTS; i++) {
        const struct x86_cpuid table = table_on(hosts[i]);
        const struct x86_cpuid_regs host = host_read((void *)(uintptr_t)hosts[i], 0, 0);

        EXPECT_EQ(look(&table, 0, 0).ebx, host.ebx);
        EXPECT_EQ(look(&table, 0, 0).ecx, host.ecx);
        EXPECT_EQ(look(&table, 0, 0).edx, host.edx);
    }
}

static void test_an_old_amd_family_is_shown_as_a_modern_one(void **state)
{
    const struct x86_cpuid table = table_on(&qemu_max);
    const uint32_t signature = look(&table, 1, 0).eax;

    (void)state;
    EXPECT((signature >> 8 & 0xF) == 0xF);
    EXPECT((signature >> 8 & 0xF) + (signature >> 20 & 0xFF) >= 0x17);
    EXPECT_EQ(look(&table, 0x80000001, 0).eax, signature);
}

static void test_a_modern_family_and_an_intel_family_are_kept(void **state)
{
    const struct x86_cpuid rome = table_on(&epyc_rome);
    const struct x86_cpuid skylake = table_on(&skylake_server);

    (void)state;
    EXPECT_EQ(look(&rome, 1, 0).eax, 0x00830F10);
    EXPECT_EQ(look(&skylake, 1, 0).eax, 0x00050654);
    EXPECT_EQ(look(&skylake, 0x80000001, 0).eax, 0);
}

static void test_hypervisor_bit_x2apic_and_tsc_deadline_are_always_there(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HOSTS; i++) {
        const struct x86_cpuid table = table_on(hosts[i]);

        EXPECT(look(&table, 1, 0).ecx & BIT(31));
        EXPECT(look(&table, 1, 0).ecx & BIT(21));
        EXPECT(look(&table, 1, 0).ecx & BIT(24));
        EXPECT(look(&table, 6, 0).eax == BIT(2)); /* the APIC timer never stops */
    }
}

/* Of a host that has every bit: what is not virtualized must be missing. */
static void test_nothing_is_offered_that_is_not_virtualized(void **state)
{
    static const struct {
        uint32_t leaf, subleaf;
        struct x86_cpuid_regs absent;
    } rules[] = {
        /* DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, CNXT-ID, SDBG, xTPR, PDCM, DCA */
        { 1,
          0,
          { .ecx = 0x00040000 | 0x000089FC | BIT(14),
            .edx = BIT(18) | BIT(21) | BIT(22) | BIT(29) | BIT(31) } },
        /* TSC_ADJUST, SGX, HLE, RTM, PQM, MPX, PQE, PT */
        { 7,
          0,
          { .ebx = BIT(1) | BIT(2) | BIT(4) | BIT(11) | BIT(12) | BIT(14) | BIT(15) | BIT(25),
            /* WAITPKG, shadow stacks, TME, key locker, bus lock, ENQCMD, SGX_LC, PKS */
            .ecx = BIT(5) | BIT(7) | BIT(13) | BIT(23) | BIT(24) | BIT(29) | BIT(30) | BIT(31),
            /*
             * user interrupts, hybrid, LBR, IBT, AMX, IBRS, STIBP, L1D_FLUSH,
             * ARCH_CAPABILITIES, CORE_CAP, SSBD
             */
            .edx =
                BIT(5) | BIT(9) | BIT(15) | BIT(19) | BIT(20) | BIT(22) | BIT(24) | BIT(25) | 0xFC000000 } },
        /* XSAVES, XFD */
        { 0xD, 1, { .eax = ~7u } },
        /*
         * SVM, extended APIC, AltMovCr8, OSVW, IBS, SKINIT, WDT, LWP, TCE, NODEID,
         * counters, breakpoints, MWAITX
         */
        { 0x80000001,
          0,
          { .ecx = BIT(2) | BIT(3) | BIT(4) | BIT(9) | BIT(10) | BIT(12) | BIT(13) | BIT(15) | BIT(17) |
                   BIT(19) | BIT(23) | BIT(24) | BIT(26) | BIT(27) | BIT(28) | BIT(29),
            .edx = BIT(25) } },
        { 0x80000007, 0, { ~0u, ~0u, ~0u, ~BIT(8) } },
        /* INVLPGB, RDPRU, IBPB, IBRS, STIBP, SSBD */
        { 0x80000008, 0, { .ebx = BIT(1) | BIT(3) | BIT(4) | BIT(12) | BIT(14) | BIT(15) | BIT(24) } },
        { 0x80000021, 0, { ~(BIT(0) | BIT(2) | BIT(6)), ~0u, ~0u, ~0u } },
    };
    static const uint32_t zero[] = { 3,          5,          8,          9,         0xA,  0xC,
                                     0xE,        0xF,        0x10,       0x12,      0x14, 0x15,
                                     0x16,       0x17,       0x18,       0x1F,      0x20, 0x8000000A,
                                     0x8000001B, 0x8000001C, 0x8000001F, 0x80000022 };

    (void)state;
    for (unsigned h = 3; h < HOSTS; h++) {
        const struct x86_cpuid table = table_on(hosts[h]);

        for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
            const struct x86_cpuid_regs regs = look(&table, rules[i].leaf, rules[i].subleaf);

            EXPECT_EQ(regs.eax & rules[i].absent.eax, 0);
            EXPECT_EQ(regs.ebx & rules[i].absent.ebx, 0);
            EXPECT_EQ(regs.ecx & rules[i].absent.ecx, 0);
            EXPECT_EQ(regs.edx & rules[i].absent.edx, 0);
        }
        for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++) {
            expect_zero(look(&table, zero[i], 0));
        }
    }
}

static void test_what_the_host_lacks_is_not_offered(void **state)
{
    const struct x86_cpuid table = table_on(&qemu_max);

    (void)state;
    EXPECT_EQ(look(&table, 1, 0).ecx & BIT(17), 0);         /* PCID */
    EXPECT_EQ(look(&table, 7, 0).ebx & BIT(10), 0);         /* INVPCID */
    EXPECT_EQ(look(&table, 7, 0).ebx & BIT(16), 0);         /* AVX-512 */
    EXPECT_EQ(look(&table, 0x80000007, 0).edx & BIT(8), 0); /* invariant TSC */
    EXPECT_EQ(look(&table, 0x80000001, 0).ecx & BIT(22), 0);
}

static void test_paging_features_of_the_host_reach_the_guest(void **state)
{
    const struct x86_cpuid table = table_on(&qemu_max);
    struct vmmu_x86_cpu cpu;

    (void)state;
    EXPECT(look(&table, 0x80000001, 0).edx & BIT(26)); /* 1 GiB pages */
    EXPECT(look(&table, 7, 0).ecx & BIT(16));          /* LA57 */
    x86_cpuid_paging(&table, &cpu);
    EXPECT_EQ(cpu.maxphyaddr, 40);
    EXPECT(cpu.pse && cpu.pse36 && cpu.pae && cpu.nx && cpu.gib_pages && cpu.la57);
    EXPECT(cpu.smep && cpu.smap && cpu.pku);
    EXPECT(!cpu.pks && !cpu.pcid);
}

static void test_address_widths_are_the_hosts_and_follow_la57(void **state)
{
    struct x86_cpuid_config config = config_on(&qemu_max);
    struct x86_cpuid table = table_on(&qemu_max);

    (void)state;
    EXPECT_EQ(look(&table, 0x80000008, 0).eax, 0x3928);
    config.withhold = X86_WITHHOLD_LA57;
    x86_cpuid_build(&table, &config);
    EXPECT_EQ(look(&table, 0x80000008, 0).eax, 0x3028);
    EXPECT_EQ(look(&table, 7, 0).ecx & BIT(16), 0);
    table = table_on(&skylake_server);
    EXPECT_EQ(look(&table, 0x80000008, 0).eax, 0x302E);
}

static void test_withheld_features_are_gone_with_their_control_bits(void **state)
{
    struct x86_cpuid_config config = config_on(&says_yes_intel);
    struct vmmu_x86_cpu cpu;
    struct x86_cpuid table;

    (void)state;
    config.withhold = X86_WITHHOLD_LA57 | X86_WITHHOLD_PCID | X86_WITHHOLD_GIB_PAGES | X86_WITHHOLD_X2APIC |
                      X86_WITHHOLD_PKU | X86_WITHHOLD_XSAVE | X86_WITHHOLD_DEADLINE;
    x86_cpuid_build(&table, &config);
    x86_cpuid_paging(&table, &cpu);
    EXPECT(!cpu.la57 && !cpu.pcid && !cpu.gib_pages && !cpu.pku);
    EXPECT_EQ(look(&table, 1, 0).ecx & (BIT(17) | BIT(21) | BIT(24) | BIT(26) | BIT(28) | BIT(29) | BIT(12)),
              0);
    EXPECT_EQ(look(&table, 7, 0).ebx & (BIT(5) | BIT(10) | BIT(16)), 0);
    EXPECT_EQ(table.cr4_allowed &
                  (UINT64_C(1) << 12 | UINT64_C(1) << 17 | UINT64_C(1) << 18 | UINT64_C(1) << 22),
              0);
    expect_zero(look(&table, 0xD, 0));
    expect_zero(look(&table, 0xD, 1));
    EXPECT_EQ(table.xcr0_allowed, 0);
}

static void test_osxsave_and_ospke_follow_cr4(void **state)
{
    const struct x86_cpuid table = table_on(&qemu_max);
    struct x86_cpuid_state now = { .cr4 = 0, .xcr0 = 1 };

    (void)state;
    EXPECT_EQ(x86_cpuid_lookup(&table, 1, 0, &now).ecx & BIT(27), 0);
    EXPECT_EQ(x86_cpuid_lookup(&table, 7, 0, &now).ecx & BIT(4), 0);
    now.cr4 = UINT64_C(1) << 18;
    EXPECT(x86_cpuid_lookup(&table, 1, 0, &now).ecx & BIT(27));
    EXPECT_EQ(x86_cpuid_lookup(&table, 7, 0, &now).ecx & BIT(4), 0);
    now.cr4 = UINT64_C(1) << 22;
    EXPECT_EQ(x86_cpuid_lookup(&table, 1, 0, &now).ecx & BIT(27), 0);
    EXPECT(x86_cpuid_lookup(&table, 7, 0, &now).ecx & BIT(4));
}

static void test_xsave_sizes_follow_xcr0(void **state)
{
    const struct x86_cpuid table = table_on(&qemu_max);
    struct x86_cpuid_state now = { .xcr0 = 1 };

    (void)state;
    EXPECT_EQ(look(&table, 0xD, 0).eax, 0x207); /* x87, SSE, AVX, PKRU: MPX is not offered */
    EXPECT_EQ(x86_cpuid_lookup(&table, 0xD, 0, &now).ebx, 576);
    EXPECT_EQ(x86_cpuid_lookup(&table, 0xD, 0, &now).ecx, 0xA88);
    now.xcr0 = 7;
    EXPECT_EQ(x86_cpuid_lookup(&table, 0xD, 0, &now).ebx, 0x340);
    now.xcr0 = 0x207;
    EXPECT_EQ(x86_cpuid_lookup(&table, 0xD, 0, &now).ebx, 0xA88);
    EXPECT_EQ(look(&table, 0xD, 1).eax, 5);
    EXPECT_EQ(look(&table, 0xD, 1).ebx, 0); /* no compacted format */
    EXPECT_EQ(look(&table, 0xD, 2).eax, 0x100);
    EXPECT_EQ(look(&table, 0xD, 2).ebx, 0x240);
    expect_zero(look(&table, 0xD, 3));
    EXPECT_EQ(look(&table, 0xD, 9).ebx, 0xA80);
    expect_zero(look(&table, 0xD, 63));
    expect_zero(look(&table, 0xD, 0xFFFFFFFF));
}

static void test_compacted_size_has_no_gaps(void **state)
{
    const struct x86_cpuid table = table_on(&skylake_server);
    const struct x86_cpuid_state now = { .xcr0 = 0x207 };

    (void)state;
    EXPECT_EQ(look(&table, 0xD, 1).eax, 7);
    EXPECT_EQ(x86_cpuid_lookup(&table, 0xD, 1, &now).ebx, 576 + 256 + 8);
    EXPECT_EQ(x86_cpuid_lookup(&table, 0xD, 0, &now).ebx, 0xA88);
    EXPECT_EQ(look(&table, 0xD, 0).eax, 0x2E7);
    expect_zero(look(&table, 0xD, 8)); /* a supervisor component */
}

static void test_compacted_components_are_aligned_where_they_ask(void **state)
{
    struct x86_cpuid table = table_on(&skylake_server);

    (void)state;
    table.xsave[2].eax = 0x101;
    EXPECT_EQ(x86_xsave_bytes(&table, 0x205, true), 576 + 0x101 + 8);
    table.xsave[9].ecx = 2;
    EXPECT_EQ(x86_xsave_bytes(&table, 0x205, true), 576 + 0x140 + 8);
}

static void test_avx512_needs_all_three_of_its_components(void **state)
{
    static struct host_leaf leaves[64];
    struct host partial = { leaves, skylake_server.count };
    struct x86_cpuid table;

    (void)state;
    for (unsigned i = 0; i < skylake_server.count; i++) {
        leaves[i] = skylake_server.leaves[i];
        if (leaves[i].leaf == 0xD && leaves[i].subleaf == 0) {
            leaves[i].regs.eax &= ~0x80u; /* Hi16_ZMM is missing */
        }
    }
    table = table_on(&skylake_server);
    EXPECT(look(&table, 7, 0).ebx & BIT(16));
    table = table_on(&partial);
    EXPECT_EQ(table.xcr0_allowed, 0x207);
    EXPECT_EQ(look(&table, 7, 0).ebx & (BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31)), 0);
    EXPECT(look(&table, 7, 0).ebx & BIT(5)); /* AVX2 stays */
}

static void test_xcr0_accepts_only_what_a_processor_does(void **state)
{
    static const struct {
        uint64_t value;
        bool valid;
    } cases[] = {
        { 0, false },       { 1, true },      { 2, false },
        { 3, true },        { 4, false },     { 5, false },
        { 7, true },        { 0x207, true },  { 0x201, true },
        { 0x200, false },   { 0xE7, true },   { 0xE3, false },
        { 0x67, false },    { 0x27, false },  { 0xC7, false },
        { 0x1F, false },    { 0x107, false }, { UINT64_C(1) << 63 | 7, false },
        { 0x40007, false },
    };
    const struct x86_cpuid table = table_on(&skylake_server);
    const struct x86_cpuid narrow = table_on(&epyc_rome);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EXPECT_EQ(x86_xcr0_is_valid(&table, cases[i].value), cases[i].valid);
    }
    EXPECT(x86_xcr0_is_valid(&narrow, 7));
    EXPECT(!x86_xcr0_is_valid(&narrow, 0x207));
    EXPECT(!x86_xcr0_is_valid(&narrow, 0xE7));
}

static void test_one_processor_is_one_thread_of_one_core(void **state)
{
    const struct x86_cpuid table = table_on(&epyc_rome);

    (void)state;
    EXPECT_EQ(look(&table, 1, 0).edx & BIT(28), 0); /* HTT */
    EXPECT_EQ(look(&table, 1, 0).ebx >> 16 & 0xFF, 1);
    EXPECT_EQ(look(&table, 0xB, 0).ebx, 1);
    EXPECT_EQ(look(&table, 0xB, 1).ebx, 1);
    EXPECT_EQ(look(&table, 0x80000008, 0).ecx, 0);
    EXPECT_EQ(look(&table, 0x80000001, 0).ecx & BIT(1), 0);
}

/* Every leaf that tells of topology, for each VP of partitions of each size. */
static void test_topology_leaves_agree(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 64; count++) {
        for (uint32_t id = 0; id < count; id += 1 + count / 3) {
            struct x86_cpuid_config config = config_on(&epyc_rome);
            struct x86_cpuid table;
            uint32_t shift;

            config.vp_count = count;
            config.apic_id = id;
            x86_cpuid_build(&table, &config);
            shift = look(&table, 0xB, 1).eax;
            EXPECT(id >> shift == 0); /* one package */
            EXPECT(count <= UINT32_C(1) << shift && (shift == 0 || count > UINT32_C(1) << (shift - 1)));
            EXPECT_EQ(look(&table, 0xB, 0).eax, 0); /* one thread a core */
            EXPECT_EQ(look(&table, 0xB, 0).ebx, 1);
            EXPECT_EQ(look(&table, 0xB, 0).ecx, 1u << 8);
            EXPECT_EQ(look(&table, 0xB, 1).ebx, count);
            EXPECT_EQ(look(&table, 0xB, 1).ecx, 2u << 8 | 1);
            EXPECT_EQ(look(&table, 0xB, 0).edx, id);
            EXPECT_EQ(look(&table, 0xB, 1).edx, id);
            EXPECT_EQ(look(&table, 0xB, 2).ebx, 0);
            EXPECT_EQ(look(&table, 0xB, 7).ecx, 7);
            EXPECT_EQ(look(&table, 1, 0).ebx >> 24, id);
            EXPECT_EQ(look(&table, 1, 0).ebx >> 16 & 0xFF, count);
            EXPECT_EQ(look(&table, 0x80000008, 0).ecx, (count - 1) | shift << 12);
            EXPECT_EQ(look(&table, 0x8000001E, 0).eax, id);
            EXPECT_EQ(look(&table, 0x8000001E, 0).ebx, id); /* core id; one thread */
            EXPECT_EQ(look(&table, 0x8000001E, 0).ecx, 0);
        }
    }
}

static void test_caches_of_one_core_are_its_own_and_the_third_level_is_shared(void **state)
{
    struct x86_cpuid_config config = config_on(&epyc_rome);
    struct x86_cpuid table;

    (void)state;
    config.vp_count = 6;
    x86_cpuid_build(&table, &config);
    EXPECT_EQ(look(&table, 0x8000001D, 0).eax, 0x00000121);
    EXPECT_EQ(look(&table, 0x8000001D, 2).eax, 0x00000143);
    EXPECT_EQ(look(&table, 0x8000001D, 3).eax, 0x00000163 | 5u << 14);
    EXPECT_EQ(look(&table, 0x8000001D, 3).ecx, 0x3FFF);
    expect_zero(look(&table, 0x8000001D, 4));
    expect_zero(look(&table, 0x8000001D, 100));
    expect_zero(look(&table, 4, 0));

    config = config_on(&skylake_server);
    config.vp_count = 6;
    x86_cpuid_build(&table, &config);
    EXPECT_EQ(look(&table, 4, 0).eax, 0x00000121 | 7u << 26);
    EXPECT_EQ(look(&table, 4, 3).eax, 0x00000163 | 7u << 26 | 7u << 14);
    expect_zero(look(&table, 4, 4));
    expect_zero(look(&table, 0x8000001D, 0));
}

static void test_leaves_above_the_highest_are_zero_and_never_read_from_the_host(void **state)
{
    const struct x86_cpuid table = table_on(&qemu_max);

    (void)state;
    EXPECT_EQ(look(&table, 0x80000000, 0).eax, 0x8000000A);
    expect_zero(look(&table, 0x8000001D, 0)); /* QEMU answers with leaf 0xD there */
    expect_zero(look(&table, 0x8000001E, 0));
    expect_zero(look(&table, 0x80000021, 0));
    expect_zero(look(&table, 0x14, 0));
    expect_zero(look(&table, 0xFFFFFFFF, 0));
    expect_zero(look(&table, 0x7FFFFFFF, 0));
    expect_zero(look(&table, 0x80860000, 0));
    expect_zero(look(&table, 0xC0000000, 0));
}

static void test_brand_and_cache_texts_are_the_hosts(void **state)
{
    const struct x86_cpuid table = table_on(&qemu_max);

    (void)state;
    EXPECT_EQ(look(&table, 0x80000002, 0).eax, 0x554D4551);
    EXPECT_EQ(look(&table, 0x80000005, 0).ecx, 0x40020140);
    EXPECT_EQ(look(&table, 0x80000006, 0).edx, 0x00808140);
}

static void test_enlightenments_can_be_hidden_but_not_the_hypervisor(void **state)
{
    struct x86_cpuid_config config = config_on(&qemu_max);
    const struct vmmu_hyperv_config hyperv_config = {
        .tsc_hz = 1000000000, .apic_hz = 1000000000, .vp_count = 1, .maxphyaddr = 40, .tsc_is_invariant = true
    };
    struct vmmu_hyperv_partition hyperv;
    struct x86_cpuid table;

    (void)state;
    x86_cpuid_build(&table, &config);
    expect_zero(look(&table, 0x40000000, 0));
    EXPECT(look(&table, 1, 0).ecx & BIT(31));
    EXPECT_EQ(vmmu_hyperv_partition_init(&hyperv, &hyperv_config, 0), VMMU_OK);
    config.hyperv = &hyperv;
    x86_cpuid_build(&table, &config);
    EXPECT_EQ(look(&table, 0x40000001, 0).eax, 0x31237648);
    EXPECT(look(&table, 0x80000007, 0).edx & BIT(8)); /* the clock says that the TSC is invariant */
    expect_zero(look(&table, 0x40000007, 0));
}

static void test_control_bits_go_with_their_features(void **state)
{
    const struct x86_cpuid table = table_on(&qemu_max);
    const uint64_t fsgsbase_osxsave_smep_smap_pke = 0x750000;

    (void)state;
    EXPECT_EQ(table.cr4_allowed & 0x3FF, 0x3FC);   /* TSD to OSFXSR; this host has no VME */
    EXPECT_EQ(table.cr4_allowed & 0x1C00, 0x1C00); /* OSXMMEXCPT, UMIP, LA57 */
    EXPECT_EQ(table.cr4_allowed >> 16 << 16, fsgsbase_osxsave_smep_smap_pke);
    EXPECT_EQ(table.efer_allowed, 0xD01); /* SCE, LME, LMA, NXE: no SVME */
}

static void test_a_physical_width_that_no_processor_has_is_brought_within_what_paging_knows(void **state)
{
    static const struct {
        uint32_t host;
        unsigned guest;
    } widths[] = { { 1, 36 }, { 31, 36 }, { 32, 32 }, { 52, 52 }, { 53, 52 }, { 64, 52 }, { 255, 52 } };

    (void)state;
    for (unsigned i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        const struct host_leaf leaves[] = { { 0, 0, { 1, 0, 0, 0 } },
                                            { 0x80000000, 0, { 0x80000008, 0, 0, 0 } },
                                            { 0x80000008, 0, { 0x3000 | widths[i].host, 0, 0, 0 } } };
        const struct host host = { leaves, 3 };
        const struct x86_cpuid table = table_on(&host);
        struct vmmu_x86_cpu cpu;

        x86_cpuid_paging(&table, &cpu);
        EXPECT_EQ(cpu.maxphyaddr, widths[i].guest);
        EXPECT_EQ(look(&table, 0x80000008, 0).eax, 0x3000 | widths[i].guest);
    }
}

static void test_a_host_without_extended_leaves_still_has_an_address_width(void **state)
{
    static const struct host_leaf leaves[] = {
        { 0, 0, { 2, 0x756E6547, 0x6C65746E, 0x49656E69 } },
        { 1, 0, { 0x0683, 0, 0, 0x0383F9FF } },
        { 0x80000000, 0, { 0, 0, 0, 0 } },
    };
    const struct host old = { leaves, 3 };
    const struct x86_cpuid table = table_on(&old);
    struct vmmu_x86_cpu cpu;

    (void)state;
    x86_cpuid_paging(&table, &cpu);
    EXPECT_EQ(cpu.maxphyaddr, 36);
    EXPECT(cpu.pae && !cpu.nx && !cpu.gib_pages);
    EXPECT_EQ(table.xcr0_allowed, 0);
    EXPECT_EQ(table.efer_allowed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maker_is_the_hosts),
        cmocka_unit_test(test_an_old_amd_family_is_shown_as_a_modern_one),
        cmocka_unit_test(test_a_modern_family_and_an_intel_family_are_kept),
        cmocka_unit_test(test_hypervisor_bit_x2apic_and_tsc_deadline_are_always_there),
        cmocka_unit_test(test_nothing_is_offered_that_is_not_virtualized),
        cmocka_unit_test(test_what_the_host_lacks_is_not_offered),
        cmocka_unit_test(test_paging_features_of_the_host_reach_the_guest),
        cmocka_unit_test(test_address_widths_are_the_hosts_and_follow_la57),
        cmocka_unit_test(test_withheld_features_are_gone_with_their_control_bits),
        cmocka_unit_test(test_osxsave_and_ospke_follow_cr4),
        cmocka_unit_test(test_xsave_sizes_follow_xcr0),
        cmocka_unit_test(test_compacted_size_has_no_gaps),
        cmocka_unit_test(test_compacted_components_are_aligned_where_they_ask),
        cmocka_unit_test(test_avx512_needs_all_three_of_its_components),
        cmocka_unit_test(test_xcr0_accepts_only_what_a_processor_does),
        cmocka_unit_test(test_one_processor_is_one_thread_of_one_core),
        cmocka_unit_test(test_topology_leaves_agree),
        cmocka_unit_test(test_caches_of_one_core_are_its_own_and_the_third_level_is_shared),
        cmocka_unit_test(test_leaves_above_the_highest_are_zero_and_never_read_from_the_host),
        cmocka_unit_test(test_brand_and_cache_texts_are_the_hosts),
        cmocka_unit_test(test_enlightenments_can_be_hidden_but_not_the_hypervisor),
        cmocka_unit_test(test_control_bits_go_with_their_features),
        cmocka_unit_test(test_a_physical_width_that_no_processor_has_is_brought_within_what_paging_knows),
        cmocka_unit_test(test_a_host_without_extended_leaves_still_has_an_address_width),
    };

    return RUN_TESTS(tests);
}
