#include "tests/unit/tlb/tlbs.h"
#include "tests/unit/test.h"

#include <stdlib.h>

struct vmmu_tlb_config one_array(uint32_t sets, uint16_t ways)
{
    return (struct vmmu_tlb_config){ .arrays = 1,
                                     .array = { { .sets = sets,
                                                  .ways = ways,
                                                  .kinds = VMMU_TLB_KINDS,
                                                  .translations = true,
                                                  .structures = true,
                                                  .page_shifts = ALL_SIZES } } };
}

struct vmmu_tlb_config processor_like(void)
{
    const struct vmmu_tlb_array_config first = {
        .sets = 16,
        .ways = 4,
        .kinds = VMMU_TLB_KINDS,
        .translations = true,
        .page_shifts = BIT64(SHIFT_4K) | BIT64(SHIFT_2M) | BIT64(SHIFT_1G),
    };
    struct vmmu_tlb_config config = { .arrays = 2, .array = { first, first } };

    config.array[1].sets = 64;
    config.array[1].ways = 8;
    return config;
}

struct vmmu_tlb *make_tlb(const struct vmmu_tlb_config *config)
{
    const size_t bytes = vmmu_tlb_memory_bytes(config);
    struct vmmu_tlb *const tlb = malloc(sizeof(*tlb));
    void *const memory = malloc(bytes);

    EXPECT(bytes != 0);
    EXPECT(tlb != NULL && memory != NULL);
    EXPECT_EQ(vmmu_tlb_init(tlb, config, memory, bytes), VMMU_OK);
    return tlb;
}

void drop_tlb(struct vmmu_tlb *tlb)
{
    /* The first array lies at the beginning of the memory, its slots first. */
    free(tlb->array[0].slots);
    free(tlb);
}

struct vmmu_tlb_entry translation(uint64_t number, uint8_t shift, uint64_t frame)
{
    return (struct vmmu_tlb_entry){
        .base = number << shift, .frame = frame, .kind = VMMU_TLB_LINEAR, .page_shift = shift
    };
}

struct vmmu_tlb_query query_for(const struct vmmu_tlb_entry *entry)
{
    return (struct vmmu_tlb_query){ entry->base, entry->tag, entry->kind, entry->table_level };
}

unsigned answers(const struct vmmu_tlb *tlb, const struct vmmu_tlb_query *query)
{
    uint32_t cursor = 0;
    unsigned count = 0;

    while (vmmu_tlb_each(tlb, query, &cursor) != NULL) {
        count++;
    }
    return count;
}

struct vmmu_tlb_scope everything(void)
{
    return (struct vmmu_tlb_scope){
        .kinds = VMMU_TLB_KINDS, .translations = true, .structures = true, .globals = VMMU_TLB_GLOBALS_ALWAYS
    };
}

uint32_t invalidate(struct vmmu_tlb *tlb, struct vmmu_tlb_scope scope)
{
    const struct vmmu_tlb_scopes scopes = { 1, { scope } };

    return vmmu_tlb_invalidate(tlb, &scopes);
}
