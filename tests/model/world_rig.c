#include "tests/model/world_rig.h"

#include "tests/unit/test.h"

struct setting rig_setting(uint8_t engine, bool intel)
{
    return (struct setting){
        .seed = 1,
        .engine = engine,
        .vps = 2,
        .processors = 2,
        .intel = intel,
        .tagged = true,
        .tags = 4,
        .second_dirty = true,
        .second_levels = 4,
        .largest = VMMU_NESTED_LEVEL_2M,
        .gib_pages = true,
        .nx = true,
        .pcid = true,
        .table_pages = 1500,
        .tlb_entries = 256,
    };
}

void rig_start(struct world_rig *rig, const struct setting *setting, uint32_t checks)
{
    rig->luck = 0;
    rig->world = world_create(setting, checks);
    EXPECT(rig->world != NULL);
    rig_expect_none(world_finding(rig->world));
}

struct finding rig_finish(struct world_rig *rig)
{
    struct finding finding;

    world_destroy(rig->world, &finding);
    return finding;
}

bool rig_do(struct world_rig *rig, struct op op)
{
    op.luck = ++rig->luck;
    return world_step(rig->world, &op);
}

bool rig_read(struct world_rig *rig, uint8_t vp, uint64_t address)
{
    return rig_do(rig, (struct op){ .kind = OP_READ, .vp = vp, .address = address, .width = 8 });
}

bool rig_write(struct world_rig *rig, uint8_t vp, uint64_t address, uint64_t value)
{
    return rig_do(rig,
                  (struct op){ .kind = OP_WRITE, .vp = vp, .address = address, .value = value, .width = 8 });
}

bool rig_host(struct world_rig *rig, enum op_kind kind, uint64_t gpa, uint64_t size_bytes, uint8_t width)
{
    return rig_do(rig, (struct op){ .kind = kind, .address = gpa, .value = size_bytes, .width = width });
}

void rig_page(struct world_rig *rig, uint8_t vp, unsigned n, uint64_t gpa, uint64_t flags)
{
    const uint64_t large = BIT64(7);

    rig_write(rig, vp, RIG_DIRECTORY(n), gpa | large | flags);
    rig_do(rig, (struct op){ .kind = OP_CR4, .vp = vp, .value = VMMU_X86_CR4_PSE });
    rig_do(rig, (struct op){ .kind = OP_CR3, .vp = vp, .value = RIG_DIRECTORY(n) });
    rig_do(rig, (struct op){
                    .kind = OP_CR0, .vp = vp, .value = VMMU_X86_CR0_PG | VMMU_X86_CR0_PE | VMMU_X86_CR0_ET });
}

void rig_expect_none(const struct finding *finding)
{
    if (finding->found) {
        fail_msg("%s: %s", check_names[finding->check], finding->sentence);
    }
}

void rig_expect(const struct finding *finding, enum check check)
{
    if (!finding->found) {
        fail_msg("the check `%s` has found nothing", check_names[check]);
    }
    EXPECT_EQ(finding->check, check);
    EXPECT(finding->sentence[0] != '\0');
}
