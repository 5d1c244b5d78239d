/* Dumps over the control port: what is asked for, what stands in the file, and that a guest goes on afterwards. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "tests/unit/tools_live/hypervisor.h"
#include "tools/command.h"
#include "tools/live/dump.h"
#include "tools/live/held.h"

#define NOWHERE UINT64_MAX

static struct hypervisor start(struct json_object *state, uint64_t zero, uint64_t absent)
{
    const struct hypervisor made =
        hypervisor_start(json_object_to_json_string_ext(state, JSON_C_TO_STRING_PLAIN), zero, absent, false);

    (void)json_object_put(state);
    return made;
}

static void test_a_dump_holds_the_partitions_memory_its_tables_and_its_state(void **state)
{
    const struct hypervisor other = start(shadow_state(), 0x11000, NOWHERE);
    struct complaint complaint = { .text = "" };
    struct dump_summary summary;
    struct json_object *const document = shadow_state();
    struct image *image;

    (void)state;
    if (!dump_write(other.socket, other.dump, &summary, &complaint)) {
        fail_msg("%s", complaint.text);
    }
    EXPECT(!summary.whole);
    EXPECT_EQ(summary.written_bytes, summary.memory_bytes - 0x1000);
    image = image_open(other.dump, &(struct image_options){ 0 }, &complaint);
    assert_non_null(image);
    EXPECT_EQ(image->format, IMAGE_VMMU);
    expect_byte(image, 0x10000, 0x10);
    expect_byte(image, 0x11000, 0);
    expect_byte(image, 0x12345, 0x12);
    expect_byte(image, 0x23FFF, 0x23);
    expect_byte(image, 0x3F000, -1); /* the machine's, and nobody's whom it concerns */
    EXPECT(json_object_equal(image->state, document));
    (void)json_object_put(document);
    image_close(image);
    hypervisor_end(&other);
}

static void test_a_page_that_the_hypervisor_does_not_tell_fails_the_dump_and_leaves_no_file(void **state)
{
    const struct hypervisor other = start(shadow_state(), NOWHERE, 0x12000);
    struct complaint complaint = { .text = "" };
    struct dump_summary summary;

    (void)state;
    EXPECT(!dump_write(other.socket, other.dump, &summary, &complaint));
    EXPECT(strstr(complaint.text, "0x12000") != NULL);
    EXPECT(access(other.dump, F_OK) != 0);
    hypervisor_end(&other); /* which finds the folder empty */
}

static void test_a_dump_goes_nowhere_if_the_file_cannot_be(void **state)
{
    const struct hypervisor other = start(shadow_state(), NOWHERE, NOWHERE);
    struct complaint complaint = { .text = "" };
    struct dump_summary summary;

    (void)state;
    EXPECT(!dump_write(other.socket, "/nonexistent/dump", &summary, &complaint));
    EXPECT(strstr(complaint.text, "/nonexistent/dump.part") != NULL);
    hypervisor_end(&other);
}

static void test_a_dump_is_its_owners_alone_and_is_written_through_no_link(void **state)
{
    const struct hypervisor other = start(shadow_state(), NOWHERE, NOWHERE);
    struct complaint complaint;
    struct dump_summary summary;
    struct stat status;
    char part[64];
    char victim[64];

    (void)state;
    (void)snprintf(part, sizeof(part), "%s.part", other.dump);
    (void)snprintf(victim, sizeof(victim), "%s/victim", other.folder);
    EXPECT_EQ(symlink(victim, part), 0);
    EXPECT(dump_write(other.socket, other.dump, &summary, &complaint));
    EXPECT(access(victim, F_OK) != 0);
    EXPECT_EQ(lstat(other.dump, &status), 0);
    EXPECT(S_ISREG(status.st_mode));
    EXPECT_EQ(status.st_mode & 0777, 0600);
    hypervisor_end(&other);
}

/* Another name in the folder. */
static void name_of(const struct hypervisor *other, const char *name, char *path, size_t room)
{
    (void)snprintf(path, room, "%s/%s", other->folder, name);
}

static void test_a_dump_replaces_nothing_but_a_plain_file(void **state)
{
    static const char *const names[] = { "pipe", "pipe-link", "nowhere", "dump" };
    const struct hypervisor other = start(shadow_state(), NOWHERE, NOWHERE);
    struct complaint complaint;
    struct dump_summary summary;
    struct stat before;
    struct stat after;
    char path[64];

    (void)state;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        name_of(&other, names[i], path, sizeof(path));
        switch (i) {
        case 0: EXPECT_EQ(mkfifo(path, 0600), 0); break;
        case 1: EXPECT_EQ(symlink("pipe", path), 0); break;
        case 2: EXPECT_EQ(symlink("/nonexistent/file", path), 0); break;
        default: EXPECT_EQ(mkdir(path, 0700), 0); break;
        }
        EXPECT_EQ(lstat(path, &before), 0);
        EXPECT(!dump_write(other.socket, path, &summary, &complaint));
        EXPECT(strstr(complaint.text, path) != NULL);
        EXPECT_EQ(lstat(path, &after), 0);
        EXPECT_EQ(after.st_ino, before.st_ino);
        EXPECT_EQ(after.st_mode, before.st_mode);
    }
    EXPECT(!dump_write(other.socket, other.socket, &summary, &complaint));
    EXPECT_EQ(access(other.socket, F_OK), 0);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        name_of(&other, names[i], path, sizeof(path));
        EXPECT_EQ(remove(path), 0);
    }
    hypervisor_end(&other);
}

static void test_a_dump_takes_the_place_of_the_file_that_a_link_leads_to(void **state)
{
    const struct hypervisor other = start(shadow_state(), NOWHERE, NOWHERE);
    struct complaint complaint;
    struct dump_summary summary;
    struct stat status;
    char link[64];

    (void)state;
    name_of(&other, "link", link, sizeof(link));
    EXPECT_EQ(symlink("dump", link), 0);
    EXPECT(dump_write(other.socket, other.dump, &summary, &complaint));
    EXPECT_EQ(truncate(other.dump, 0), 0);
    EXPECT(dump_write(other.socket, link, &summary, &complaint));
    EXPECT_EQ(lstat(link, &status), 0);
    EXPECT(S_ISLNK(status.st_mode));
    EXPECT_EQ(lstat(other.dump, &status), 0);
    EXPECT(S_ISREG(status.st_mode) && status.st_size > 0);
    EXPECT_EQ(unlink(link), 0);
    hypervisor_end(&other);
}

static void test_what_is_in_the_way_of_a_dump_and_no_plain_file_stays(void **state)
{
    const struct hypervisor other = start(shadow_state(), NOWHERE, NOWHERE);
    struct complaint complaint;
    struct dump_summary summary;
    char part[64];

    (void)state;
    name_of(&other, "dump.part", part, sizeof(part));
    EXPECT_EQ(mkfifo(part, 0600), 0);
    EXPECT(!dump_write(other.socket, other.dump, &summary, &complaint));
    EXPECT(strstr(complaint.text, "dump.part is in the way") != NULL);
    EXPECT_EQ(unlink(part), 0); /* it is there */
    hypervisor_end(&other);
}

static void test_what_a_hypervisor_says_gives_no_orders_to_a_terminal(void **state)
{
    struct complaint complaint;
    struct dump_summary summary;
    struct hypervisor other;
    bool before;

    (void)state;
    hypervisor_says = "\033[2Jstopped";
    other = start(shadow_state(), NOWHERE, NOWHERE);
    hypervisor_says = NULL;
    EXPECT(!held_stop(other.socket, LIVE_ALL, &before, &complaint));
    EXPECT(strstr(complaint.text, "?[2Jstopped") != NULL);
    EXPECT(strchr(complaint.text, '\033') == NULL);
    EXPECT(!dump_write(other.socket, other.dump, &summary, &complaint));
    EXPECT(strstr(complaint.text, "pages") != NULL);
    EXPECT(strchr(complaint.text, '\033') == NULL);
    hypervisor_end(&other);
}

/* --- held --- */

/* Works in a process of its own: what it finds is its status. */
static int is_held(void *context)
{
    return hypervisor_holds(context) ? COMMAND_NO : COMMAND_OK;
}

static int dies(void *context)
{
    (void)context;
    (void)raise(SIGKILL);
    return COMMAND_OK;
}

static void test_work_is_done_while_the_partition_stands_still_which_then_goes_on(void **state)
{
    struct hypervisor other = start(shadow_state(), NOWHERE, NOWHERE);

    (void)state;
    EXPECT(!hypervisor_holds(&other));
    EXPECT_EQ(held_while(other.socket, is_held, &other), COMMAND_NO);
    EXPECT(!hypervisor_holds(&other));
    hypervisor_end(&other);
}

static void test_a_partition_that_was_held_before_is_held_afterwards(void **state)
{
    struct json_object *const document = shadow_state();
    struct hypervisor other = hypervisor_start(json_object_to_json_string(document), NOWHERE, NOWHERE, true);

    (void)state;
    EXPECT_EQ(held_while(other.socket, is_held, &other), COMMAND_NO);
    EXPECT(hypervisor_holds(&other));
    (void)json_object_put(document);
    hypervisor_end(&other);
}

static void test_a_partition_goes_on_if_the_work_dies(void **state)
{
    struct hypervisor other = start(shadow_state(), NOWHERE, NOWHERE);

    (void)state;
    EXPECT_EQ(held_while(other.socket, dies, &other), 128 + SIGKILL);
    EXPECT(!hypervisor_holds(&other));
    hypervisor_end(&other);
}

static void test_stop_and_go_tell_whether_it_was_so_before(void **state)
{
    const struct hypervisor other = start(shadow_state(), NOWHERE, NOWHERE);
    struct complaint complaint;
    bool before = true;

    (void)state;
    EXPECT(held_stop(other.socket, LIVE_ALL, &before, &complaint) && !before);
    EXPECT(held_stop(other.socket, LIVE_ALL, &before, &complaint) && before);
    EXPECT(held_go(other.socket, LIVE_ALL, &before, &complaint) && !before);
    EXPECT(held_go(other.socket, LIVE_ALL, &before, &complaint) && before);
    EXPECT(!held_go("/nonexistent/socket", LIVE_ALL, &before, &complaint));
    hypervisor_end(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dump_holds_the_partitions_memory_its_tables_and_its_state),
        cmocka_unit_test(test_a_page_that_the_hypervisor_does_not_tell_fails_the_dump_and_leaves_no_file),
        cmocka_unit_test(test_a_dump_goes_nowhere_if_the_file_cannot_be),
        cmocka_unit_test(test_a_dump_is_its_owners_alone_and_is_written_through_no_link),
        cmocka_unit_test(test_a_dump_replaces_nothing_but_a_plain_file),
        cmocka_unit_test(test_a_dump_takes_the_place_of_the_file_that_a_link_leads_to),
        cmocka_unit_test(test_what_is_in_the_way_of_a_dump_and_no_plain_file_stays),
        cmocka_unit_test(test_what_a_hypervisor_says_gives_no_orders_to_a_terminal),
        cmocka_unit_test(test_work_is_done_while_the_partition_stands_still_which_then_goes_on),
        cmocka_unit_test(test_a_partition_that_was_held_before_is_held_afterwards),
        cmocka_unit_test(test_a_partition_goes_on_if_the_work_dies),
        cmocka_unit_test(test_stop_and_go_tell_whether_it_was_so_before),
    };

    return RUN_TESTS(tests);
}
