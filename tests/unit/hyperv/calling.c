#include "tests/unit/hyperv/calling.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"

struct vmmu_hyperv_caller caller_of(uint64_t input, uint64_t rdx, uint64_t r8)
{
    return (struct vmmu_hyperv_caller){
        .rcx = input, .rdx = rdx, .r8 = r8, .code64 = true, .protected_mode = true, .cpl = 0
    };
}

struct vmmu_hyperv_target_facts facts_of(uint64_t id)
{
    switch (id) {
    case OWN_ID: return (struct vmmu_hyperv_target_facts){ .exists = true, .live = true, .vp_count = 1 };
    case CHILD_ID:
        return (struct vmmu_hyperv_target_facts){
            .exists = true, .child = true, .live = true, .vp_count = CHILD_VPS
        };
    case STRANGER_ID: return (struct vmmu_hyperv_target_facts){ .exists = true, .live = true, .vp_count = 1 };
    case ENDED_ID:
        return (struct vmmu_hyperv_target_facts){ .exists = true, .child = true, .vp_count = CHILD_VPS };
    default: return (struct vmmu_hyperv_target_facts){ 0 };
    }
}

struct made make_call(const struct fixture *f, uint64_t input, const void *words)
{
    const struct vmmu_hyperv_caller caller = caller_of(input, INPUT_PAGE, OUTPUT_PAGE);
    struct made made;
    struct vmmu_hyperv_target_facts facts;
    struct vmmu_hyperv_target target;
    uint8_t *block;

    made.outcome = vmmu_hyperv_call_decode(&f->partition, &caller, &made.call);
    if (made.outcome.action != VMMU_HYPERV_CALL_INPUT) {
        return made;
    }
    block = malloc(made.call.input_bytes + 1u);
    assert_non_null(block);
    if (made.call.input_bytes != 0) {
        memcpy(block, words, made.call.input_bytes);
    }
    target = vmmu_hyperv_call_target(&f->partition, &f->vp, &made.call, block);
    facts = facts_of(target.partition_id);
    made.outcome =
        vmmu_hyperv_call_perform(&f->partition, &f->vp, &made.call, block, target.named ? &facts : NULL);
    free(block);
    return made;
}

struct vmmu_hyperv_call_outcome call_at(const struct fixture *f, uint64_t input, const void *words)
{
    return make_call(f, input, words).outcome;
}

uint64_t status_at(const struct fixture *f, uint64_t input, const void *words)
{
    const struct vmmu_hyperv_call_outcome outcome = call_at(f, input, words);

    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_DONE);
    EXPECT(outcome.end.complete);
    return outcome.end.value & 0xFFFF;
}

struct fixture privileged_fixture(uint64_t privileges)
{
    struct fixture f = calling_fixture(1);

    f.partition.config.partition_id = OWN_ID;
    f.partition.config.privileges = privileges;
    return f;
}

struct fixture parent_fixture(void)
{
    return privileged_fixture(VMMU_HYPERV_PRIVILEGE_CHILDREN | VMMU_HYPERV_PRIVILEGE_VP_REGISTERS);
}
