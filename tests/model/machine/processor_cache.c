/*
 * What the processor keeps: entries of the TLB, packed and unpacked; and which of them it chooses to use.
 *
 * Invariant: only what the manuals let a processor keep gets here, see those who call; and nothing that is
 * kept is ever changed.
 */
#include "tests/model/machine/processor_origins.h"

#include <string.h>

/* The data of an entry: how facts are kept in it. */
struct packed {
    uint8_t rights;
    uint8_t host_rights;
    uint8_t key;
    uint8_t level;
    uint8_t type;
    uint8_t flags;
    uint16_t origin;
};

_Static_assert(sizeof(struct packed) == sizeof(uint64_t), "facts fit into the data of an entry");

#define FLAG_DIRTY      1U
#define FLAG_HOST_DIRTY 2U

static struct packed unpack(uint64_t data)
{
    struct packed packed;

    memcpy(&packed, &data, sizeof packed);
    return packed;
}

static uint64_t pack(const struct facts *facts, uint16_t origin)
{
    const struct packed packed = {
        .rights = facts->rights,
        .host_rights = facts->host_rights,
        .key = facts->key,
        .level = facts->level,
        .type = facts->type,
        .flags = (uint8_t)((facts->dirty ? FLAG_DIRTY : 0) | (facts->host_dirty ? FLAG_HOST_DIRTY : 0)),
        .origin = origin,
    };
    uint64_t data;

    memcpy(&data, &packed, sizeof data);
    return data;
}

uint16_t cache_origin_number(uint64_t data)
{
    return unpack(data).origin;
}

struct facts cache_facts(const struct vmmu_tlb_entry *entry)
{
    const struct packed packed = unpack(entry->data);

    return (struct facts){
        .rights = packed.rights,
        .host_rights = packed.host_rights,
        .key = packed.key,
        .level = packed.level,
        .type = packed.type,
        .dirty = (packed.flags & FLAG_DIRTY) != 0,
        .host_dirty = (packed.flags & FLAG_HOST_DIRTY) != 0,
    };
}

const struct origin *cache_origin(const struct processor *processor, const struct vmmu_tlb_entry *entry)
{
    return origins_at(processor->origins, cache_origin_number(entry->data));
}

/* --- choosing --- */

/* One of those that answer @query, each as likely as any other. */
static bool pick(struct crossing *crossing, const struct vmmu_tlb_query *query, struct vmmu_tlb_entry *out)
{
    const struct vmmu_tlb *tlb = &crossing->processor->tlb;
    const struct vmmu_tlb_entry *picked = NULL;
    const struct vmmu_tlb_entry *entry;
    uint32_t cursor = 0;
    uint32_t seen = 0;

    while ((entry = vmmu_tlb_each(tlb, query, &cursor))) {
        seen++;
        if (seen == 1 || luck_once_in(crossing->luck, seen)) {
            picked = entry;
        }
    }
    if (picked) {
        *out = *picked;
    }
    return picked != NULL;
}

/* How often the processor passes over what it has. */
#define PASSES_OVER_ONCE_IN 5

bool cache_find_translation(struct crossing *crossing, const struct vmmu_x86_cache_key *key, uint64_t address,
                            struct vmmu_tlb_entry *out)
{
    const struct vmmu_tlb_query query = { .address = address, .tag = key->tag, .kind = key->kind };

    return !crossing->from_memory && !crossing->by_links &&
           !luck_once_in(crossing->luck, PASSES_OVER_ONCE_IN) && pick(crossing, &query, out);
}

bool cache_find_link(struct crossing *crossing, const struct vmmu_x86_cache_key *key, uint64_t address,
                     uint8_t top, struct vmmu_tlb_entry *out)
{
    struct vmmu_tlb_query query = { .address = address, .tag = key->tag, .kind = key->kind };

    if (crossing->from_memory) {
        return false;
    }
    /* Any level may be first, the root among them; if there is nothing, the next one above. */
    query.table_level = (uint8_t)(1 + luck_below(crossing->luck, top));
    for (; query.table_level < top; query.table_level++) {
        if (pick(crossing, &query, out)) {
            return true;
        }
    }
    return false;
}

/* --- keeping --- */

static uint64_t down_to(uint64_t address, uint8_t shift)
{
    return address & ~(BIT64(shift) - 1);
}

static void keep(struct crossing *crossing, const struct kept *kept)
{
    struct processor *processor = crossing->processor;
    const uint16_t number =
        kept->origin ? origins_number(processor->origins, &processor->tlb, kept->origin) : NO_ORIGIN;
    const struct vmmu_tlb_entry entry = {
        .base = down_to(kept->address, kept->shift),
        .tag = kept->key->tag,
        .frame = kept->frame,
        .data = pack(&kept->facts, number),
        .kind = kept->key->kind,
        .page_shift = kept->shift,
        .table_level = kept->table_level,
        .global = kept->global,
    };
    const enum vmmu_status status = vmmu_tlb_insert(&processor->tlb, &entry);

    VMMU_ASSERT(status == VMMU_OK);
    (void)status;
}

#define FORGETS_LINK_ONCE_IN        3
#define FORGETS_TRANSLATION_ONCE_IN 8

void cache_keep_link(struct crossing *crossing, const struct kept *kept)
{
    if (!luck_once_in(crossing->luck, FORGETS_LINK_ONCE_IN)) {
        keep(crossing, kept);
    }
}

/*
 * Whether @kept, which was just made, and an older entry that covers its address agree in all that the host
 * decides. The older one may lack rights: those that are added need no flush.
 */
static bool agree(const struct kept *kept, const struct vmmu_tlb_entry *entry)
{
    const struct facts facts = cache_facts(entry);

    return facts.level == kept->facts.level ||
           (entry->frame + (kept->address - entry->base) ==
                kept->frame + (kept->address - down_to(kept->address, kept->shift)) &&
            (facts.rights & ~kept->facts.rights) == 0 &&
            (facts.host_rights & ~kept->facts.host_rights) == 0 && facts.type == kept->facts.type);
}

/* Note it if there is another size of the same page that says something else. */
static void look_for_other_sizes(struct crossing *crossing, const struct kept *kept)
{
    const struct vmmu_tlb_query query = { .address = kept->address,
                                          .tag = kept->key->tag,
                                          .kind = kept->key->kind };
    const struct vmmu_tlb_entry *entry;
    uint32_t cursor = 0;

    while ((entry = vmmu_tlb_each(&crossing->processor->tlb, &query, &cursor))) {
        crossing->processor->mixed |= !agree(kept, entry);
    }
}

/* Sizes of parts into which a large page may fall. */
static uint8_t part_of(struct luck *luck, uint8_t shift)
{
    static const uint8_t parts[] = { VMMU_PAGE_SHIFT, 21 };
    const uint32_t choice = luck_below(luck, 4);

    return choice < 2 && parts[choice] < shift ? parts[choice] : shift;
}

void cache_keep_translation(struct crossing *crossing, const struct kept *kept, bool by_host)
{
    struct kept part = *kept;
    struct origin origin;

    if (luck_once_in(crossing->luck, FORGETS_TRANSLATION_ONCE_IN)) {
        return;
    }
    part.shift = part_of(crossing->luck, kept->shift);

    const uint64_t offset = down_to(kept->address, part.shift) - down_to(kept->address, kept->shift);

    part.frame += offset;
    if (kept->origin) {
        origin = *kept->origin;
        origin.page[origin.count - 1] += offset;
        part.origin = &origin;
    }
    if (by_host) {
        look_for_other_sizes(crossing, &part);
    }
    keep(crossing, &part);
}
