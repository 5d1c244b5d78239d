/* The completed device tree, as libfdt reads it. */
#include "tests/unit/guest/trees.h"
#include "tests/unit/test.h"

#include "hv/guest/e500_tree.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

static struct tree source;
static uint8_t *buffer;

static int open_source(void **state)
{
    (void)state;
    source = tree_compile("hv/guest/e500.dts");
    return 0;
}

static int close_source(void **state)
{
    (void)state;
    tree_free(&source);
    return 0;
}

static struct e500_machine machine_of(unsigned vps, uint8_t serial_ports)
{
    return (struct e500_machine){
        .device_tree = source.bytes,
        .device_tree_bytes = source.size,
        .timebase_hz = 400000000,
        .clock_hz = 800000000,
        .platform_hz = 200000000,
        .vps = vps,
        .serial_ports = serial_ports,
    };
}

static void write_tree(const struct e500_machine *machine, const struct e500_chosen *chosen)
{
    const uint64_t room = e500_tree_room(machine, chosen->command_line);
    const char *error = NULL;

    buffer = malloc(room);
    if (e500_tree_write(machine, chosen, buffer, (uint32_t)room, &error) != VMMU_OK)
        fail_msg("%s", error);
    EXPECT_EQ(fdt_check_full(buffer, room), 0);
}

static uint64_t number(const char *path, const char *name, unsigned index, unsigned cells)
{
    int length = 0;
    const fdt32_t *value = fdt_getprop(buffer, fdt_path_offset(buffer, path), name, &length);
    uint64_t result = 0;

    if (value == NULL || length < (int)(4 * (index + cells))) {
        print_error("no %s in %s", name, path);
        abort();
    }
    for (unsigned i = 0; i < cells; i++)
        result = result << 32 | fdt32_to_cpu(value[index + i]);
    return result;
}

static const char *text(const char *path, const char *name)
{
    return fdt_getprop(buffer, fdt_path_offset(buffer, path), name, NULL);
}

static void test_memory_clocks_and_command_line_are_filled_in(void **state)
{
    const struct e500_machine machine = machine_of(1, 0xF);
    const struct e500_chosen chosen = { .command_line = "console=ttyS0 quiet", .memory_bytes = 0x10000000 };

    (void)state;
    write_tree(&machine, &chosen);
    EXPECT_EQ(number("/memory@0", "reg", 0, 2), 0);
    EXPECT_EQ(number("/memory@0", "reg", 2, 2), 0x10000000);
    EXPECT_EQ(number("/cpus/PowerPC,8544@0", "timebase-frequency", 0, 1), 400000000);
    EXPECT_EQ(number("/cpus/PowerPC,8544@0", "clock-frequency", 0, 1), 800000000);
    EXPECT_EQ(number("/soc", "bus-frequency", 0, 1), 200000000);
    EXPECT_EQ(number("/soc/serial@4700", "clock-frequency", 0, 1), 200000000);
    EXPECT(strcmp(text("/chosen", "bootargs"), "console=ttyS0 quiet") == 0);
    EXPECT(text("/chosen", "linux,initrd-start") == NULL);
    EXPECT(text("/chosen", "qemu,boot-kernel") == NULL);
    free(buffer);
}

static void test_initrd_and_payload_are_told(void **state)
{
    const struct e500_machine machine = machine_of(1, 0xF);
    const struct e500_chosen chosen = {
        .memory_bytes = 0x10000000,
        .initrd = { 0x3000000, 0x1234 },
        .payload = { 0x2000000, 0x40 },
    };

    (void)state;
    write_tree(&machine, &chosen);
    EXPECT_EQ(number("/chosen", "linux,initrd-start", 0, 2), 0x3000000);
    EXPECT_EQ(number("/chosen", "linux,initrd-end", 0, 2), 0x3001234);
    EXPECT_EQ(number("/chosen", "qemu,boot-kernel", 0, 2), 0x2000000);
    EXPECT_EQ(number("/chosen", "qemu,boot-kernel", 2, 2), 0x40);
    EXPECT(text("/chosen", "bootargs") == NULL);
    free(buffer);
}

static void test_serial_ports_that_are_not_there_leave_the_tree(void **state)
{
    const struct e500_machine machine = machine_of(1, 0x5);
    const struct e500_chosen chosen = { .memory_bytes = 0x10000000 };

    (void)state;
    write_tree(&machine, &chosen);
    EXPECT(fdt_path_offset(buffer, "/soc/serial@4500") >= 0);
    EXPECT(fdt_path_offset(buffer, "/soc/serial@4600") < 0);
    EXPECT(fdt_path_offset(buffer, "/soc/serial@4700") >= 0);
    EXPECT(fdt_path_offset(buffer, "/soc/serial@4800") < 0);
    EXPECT(fdt_get_alias(buffer, "serial2") != NULL);
    EXPECT(fdt_get_alias(buffer, "serial3") == NULL);
    free(buffer);
}

static void test_other_processors_stand_behind_the_first_and_are_disabled(void **state)
{
    const struct e500_machine machine = machine_of(8, 0xF);
    const struct e500_chosen chosen = { .memory_bytes = 0x10000000 };
    char path[] = "/cpus/PowerPC,8544@0";

    (void)state;
    write_tree(&machine, &chosen);
    for (unsigned i = 0; i < 8; i++) {
        path[sizeof(path) - 2] = (char)('0' + i);
        EXPECT_EQ(number(path, "reg", 0, 1), i);
        EXPECT_EQ(number(path, "timebase-frequency", 0, 1), 400000000);
        EXPECT_EQ(number(path, "d-cache-line-size", 0, 1), 32);
        EXPECT(strcmp(text(path, "status"), i == 0 ? "okay" : "disabled") == 0);
        EXPECT(strcmp(text(path, "device_type"), "cpu") == 0);
    }
    free(buffer);
}

static void test_a_long_command_line_fits(void **state)
{
    const struct e500_machine machine = machine_of(8, 0xF);
    char line[4001];
    const struct e500_chosen chosen = { .command_line = line, .memory_bytes = 0x10000000 };

    (void)state;
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    write_tree(&machine, &chosen);
    EXPECT(strcmp(text("/chosen", "bootargs"), line) == 0);
    free(buffer);
}

static void test_too_little_room_is_told(void **state)
{
    const struct e500_machine machine = machine_of(8, 0xF);
    const struct e500_chosen chosen = { .command_line = "console=ttyS0", .memory_bytes = 0x10000000 };
    const char *error = NULL;
    uint32_t total;

    (void)state;
    write_tree(&machine, &chosen);
    total = fdt_totalsize(buffer);
    free(buffer);
    for (uint32_t room = 64; room < total; room += 64) {
        buffer = malloc(room);
        EXPECT_EQ(e500_tree_write(&machine, &chosen, buffer, room, &error), VMMU_NO_MEMORY);
        EXPECT(error != NULL);
        free(buffer);
    }
}

static void test_a_tree_that_is_not_the_machines_is_refused(void **state)
{
    static const char *const sources[] = {
        "/dts-v1/; / { };",
        "/dts-v1/; / { memory@0 { }; cpus { }; chosen { }; soc { }; };",
        "/dts-v1/; / { memory@0 { }; cpus { PowerPC,8544@0 { }; }; soc { }; };",
    };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct tree other = tree_of(sources[i]);
        struct e500_machine machine = machine_of(1, 0xF);
        const struct e500_chosen chosen = { .memory_bytes = 0x10000000 };
        const char *error = NULL;
        uint8_t room[8192];

        machine.device_tree = other.bytes;
        machine.device_tree_bytes = other.size;
        EXPECT_EQ(e500_tree_write(&machine, &chosen, room, sizeof(room), &error), VMMU_INVALID);
        EXPECT(error != NULL);
        tree_free(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_clocks_and_command_line_are_filled_in),
        cmocka_unit_test(test_initrd_and_payload_are_told),
        cmocka_unit_test(test_serial_ports_that_are_not_there_leave_the_tree),
        cmocka_unit_test(test_other_processors_stand_behind_the_first_and_are_disabled),
        cmocka_unit_test(test_a_long_command_line_fits),
        cmocka_unit_test(test_too_little_room_is_told),
        cmocka_unit_test(test_a_tree_that_is_not_the_machines_is_refused),
    };

    return cmocka_run_group_tests(tests, open_source, close_source);
}
