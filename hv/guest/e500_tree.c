/*
 * Completing the device tree of the e500 machine: what the partition decides.
 *
 * Nodes are found anew before each edit, since edits move them.
 */
#include "hv/guest/e500_tree.h"

#include "hv/guest/bytes.h"

#define SERIAL_PORTS 4
#define SLACK_BYTES  4096 /* more than all that is added, but the command line and processors */
#define BYTES_BY_CPU 512
#define CPU          "/cpus/PowerPC,8544@0"
#define CPU_NAME     "PowerPC,8544@0"

static const char *const serial_paths[SERIAL_PORTS] = { "/soc/serial@4500", "/soc/serial@4600",
                                                        "/soc/serial@4700", "/soc/serial@4800" };
static const char *const serial_aliases[SERIAL_PORTS] = { "serial0", "serial1", "serial2", "serial3" };

uint64_t e500_tree_room(const struct e500_machine *machine, const char *command_line)
{
    return machine->device_tree_bytes + text_length(command_line) + (uint64_t)BYTES_BY_CPU * machine->vps +
           SLACK_BYTES;
}

/* --- edits; false: the tree lacks the node --- */

static bool set_cell(struct fdt_editor *editor, const char *path, const char *name, uint32_t cell)
{
    struct fdt_node node;

    if (!fdt_find(&editor->fdt, path, &node))
        return false;
    fdt_set_cell(editor, node, name, cell);
    return true;
}

static bool set_memory(struct fdt_editor *editor, uint64_t bytes)
{
    uint8_t reg[16];
    struct fdt_node node;

    put_big64(reg, 0);
    put_big64(reg + 8, bytes);
    if (!fdt_find(&editor->fdt, "/memory", &node))
        return false;
    fdt_set(editor, node, "reg", reg, sizeof(reg));
    return true;
}

static bool set_chosen(struct fdt_editor *editor, const struct e500_chosen *chosen)
{
    uint8_t payload[16];
    struct fdt_node node;

    if (!fdt_find(&editor->fdt, "/chosen", &node))
        return false;
    if (chosen->command_line != NULL)
        fdt_set_text(editor, node, "bootargs", chosen->command_line);
    if (chosen->initrd.size != 0) {
        fdt_set_number(editor, node, "linux,initrd-start", chosen->initrd.base);
        fdt_set_number(editor, node, "linux,initrd-end", chosen->initrd.base + chosen->initrd.size);
    }
    if (chosen->payload.size != 0) {
        put_big64(payload, chosen->payload.base);
        put_big64(payload + 8, chosen->payload.size);
        fdt_set(editor, node, "qemu,boot-kernel", payload, sizeof(payload));
    }
    return true;
}

/*
 * Processors that start by a method of the guest's come as copies of the first. There is none yet, so they say that they are
 * disabled.
 */
static bool add_processor(struct fdt_editor *editor, unsigned index)
{
    static const char *const copied[] = { "device_type",       "timebase-frequency", "clock-frequency",
                                          "bus-frequency",     "i-cache-size",       "d-cache-size",
                                          "i-cache-line-size", "d-cache-line-size" };
    char name[] = CPU_NAME;
    struct fdt_node cpus;
    struct fdt_node node;
    struct fdt_node first;

    name[sizeof(name) - 2] = (char)('0' + index);
    if (!fdt_find(&editor->fdt, "/cpus", &cpus))
        return false;
    node = fdt_add_node(editor, cpus, name);
    fdt_set_cell(editor, node, "reg", index);
    fdt_set_text(editor, node, "status", "disabled");
    for (unsigned i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
        uint8_t bytes[16];
        struct fdt_value value;

        if (!fdt_find(&editor->fdt, CPU, &first))
            return false;
        value = fdt_find_property(&editor->fdt, first, copied[i]);
        if (value.bytes != NULL && value.count <= sizeof(bytes)) {
            __builtin_memcpy(bytes, value.bytes, value.count);
            fdt_set(editor, node, copied[i], bytes, value.count);
        }
    }
    return true;
}

/* The others are added from the last on, each before those that stand there. */
static bool set_processors(struct fdt_editor *editor, const struct e500_machine *machine)
{
    bool done = set_cell(editor, CPU, "timebase-frequency", machine->timebase_hz) &&
                set_cell(editor, CPU, "clock-frequency", machine->clock_hz) &&
                set_cell(editor, CPU, "bus-frequency", machine->platform_hz);

    for (unsigned i = machine->vps - 1; done && i > 0; i--)
        done = add_processor(editor, i);
    return done;
}

static bool set_serial(struct fdt_editor *editor, const struct e500_machine *machine)
{
    struct fdt_node node;

    for (unsigned i = 0; i < SERIAL_PORTS; i++) {
        if (!fdt_find(&editor->fdt, serial_paths[i], &node))
            return false;
        if ((machine->serial_ports >> i & 1) != 0) {
            fdt_set_cell(editor, node, "clock-frequency", machine->platform_hz);
        } else {
            fdt_remove_node(editor, node);
            if (fdt_find(&editor->fdt, "/aliases", &node))
                fdt_remove(editor, node, serial_aliases[i]);
        }
    }
    return true;
}

enum vmmu_status e500_tree_write(const struct e500_machine *machine, const struct e500_chosen *chosen,
                                 uint8_t *buffer, uint32_t room_bytes, const char **error)
{
    struct fdt fdt;
    struct fdt_editor editor;
    uint32_t total;
    enum vmmu_status status = fdt_open(machine->device_tree, machine->device_tree_bytes, &fdt, error);

    if (status != VMMU_OK)
        return status;
    status = fdt_edit(&fdt, buffer, room_bytes, &editor);
    if (status == VMMU_OK) {
        if (!set_memory(&editor, chosen->memory_bytes) || !set_processors(&editor, machine) ||
            !set_cell(&editor, "/soc", "bus-frequency", machine->platform_hz) ||
            !set_serial(&editor, machine) || !set_chosen(&editor, chosen)) {
            *error = "the machine's device tree lacks a node";
            return VMMU_INVALID;
        }
        status = fdt_editor_finish(&editor, &total);
    }
    if (status != VMMU_OK)
        *error = "the device tree does not fit";
    return status;
}
