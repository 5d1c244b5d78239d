/* Counters by index; what describes them is in counters.h. */
#include "hv/dev/counters.h"

bool dev_counter_at(const struct counter_list *list, unsigned index, struct dev_counter *counter)
{
    for (unsigned i = 0; i < list->count; i++) {
        const struct counter_section *section = &list->sections[i];
        const unsigned devices = section->is_per_vp ? list->vps : section->count;
        const unsigned rows = devices * section->row_count;

        if (index < rows) {
            const unsigned device = index / section->row_count;
            const struct counter_row *row = &section->rows[index % section->row_count];
            const char *base = (const char *)list->board + section->offset + device * section->stride;

            counter->device = section->names[device];
            counter->name = row->name;
            counter->value = *(const uint64_t *)(const void *)(base + row->offset);
            return true;
        }
        index -= rows;
    }
    return false;
}
