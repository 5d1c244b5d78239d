#include "tools/image/partition.h"

#include <stdio.h>
#include <stdlib.h>

#include "tools/image/partition_parts.h"
#include "tools/image/source.h"
#include "tools/ui/json.h"

static const char *const backends[] = { "svm", "vmx", NULL };
static const char *const techniques[] = {
    [PARTITION_NESTED] = "nested", [PARTITION_SHADOW] = "shadow", NULL
};

/* Everything but the memory's callbacks. */
static bool take(struct state_place *place, struct json_object *object, struct partition_opened *opened)
{
    struct partition *const partition = &opened->partition;
    struct state_place whole = { .words = "the hypervisor's state", .complaint = place->complaint };
    struct json_object *cpu;
    unsigned word;

    if (!state_word(&whole, partition->image->state, "backend", backends, &word))
        return false;
    partition->intel = word == 1;
    if (!state_word(place, object, "technique", techniques, &word))
        return false;
    partition->technique = (enum partition_technique)word;
    if (!state_object(place, object, "cpu", &cpu) || !partition_take_cpu(place, cpu, &opened->cpu) ||
        !partition_take_memory(place, object, opened) || !partition_take_vps(place, object, opened)) {
        return false;
    }
    if (partition->technique == PARTITION_NESTED)
        return partition_take_second(place, object, opened);
    return partition_take_tables(place, object, opened);
}

const struct partition_piece *partition_piece_at(const struct partition *partition, uint64_t gpa)
{
    unsigned low = 0;
    unsigned high = partition->piece_count;

    while (low < high) {
        const unsigned middle = low + (high - low) / 2;
        const struct partition_piece *const piece = &partition->pieces[middle];

        if (gpa < piece->gpa) {
            high = middle;
        } else if (gpa - piece->gpa >= piece->size_bytes) {
            low = middle + 1;
        } else {
            return piece;
        }
    }
    return NULL;
}

/* Guest-physical memory that is in no single mapping, but in a piece: read the machine's. */
static bool read_piece(void *context, uint64_t address, void *to, size_t size_bytes)
{
    const struct partition_opened *const opened = context;
    const struct partition_piece *const piece = partition_piece_at(&opened->partition, address);

    return image_read(opened->partition.image, piece->hpa + (address - piece->gpa), to, size_bytes);
}

struct partition *partition_open(const struct image *image, unsigned index, struct complaint *complaint)
{
    struct partition_opened *const opened = take_memory(1, sizeof(*opened));
    struct state_place place = { .complaint = complaint };
    struct json_object *object = NULL;

    opened->partition.image = image;
    opened->memory.read = read_piece;
    opened->memory.read_context = opened;
    (void)snprintf(place.words, sizeof(place.words), "partition %u", index);
    if (image->state == NULL) {
        (void)complain(complaint, "it is no image of our hypervisor: there are no partitions in it");
    } else {
        object = image_state_partition(image->state, index, complaint);
    }
    if (object == NULL || !take(&place, object, opened)) {
        image_name_complaint(image->path, complaint);
        partition_close(&opened->partition);
        return NULL;
    }
    opened->partition.ram = image_memory_ram(&opened->memory);
    opened->partition.ranges = opened->memory.ranges;
    return &opened->partition;
}

void partition_close(struct partition *partition)
{
    /* The partition is the first member of what it was opened as. */
    struct partition_opened *const opened = (struct partition_opened *)partition;

    image_memory_free(&opened->memory);
    free(partition->pieces);
    free(partition->vps);
    free(partition->tables);
    free(opened);
}
