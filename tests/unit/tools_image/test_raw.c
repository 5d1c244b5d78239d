/*
 * Raw images: memory from an address on; what all images share; and paths that are no images.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/tools_image/build.h"

static struct image *open_path(const char *path, struct image_options options, struct complaint *complaint)
{
    return image_open(path, &options, complaint);
}

/* Expect @path to be refused with @words. */
static void refused(const char *path, struct image_options options, const char *words)
{
    struct complaint complaint = { .text = "" };

    EXPECT(open_path(path, options, &complaint) == NULL);
    if (strstr(complaint.text, words) == NULL || strncmp(complaint.text, path, strlen(path)) != 0)
        fail_msg("'%s' is not about '%s'", complaint.text, words);
}

/* A file with 64 GiB of which nothing is there but one byte. */
static int sparse_file(char *path)
{
    const int descriptor = mkstemp(path);
    const uint8_t byte = 0x5A;

    EXPECT(descriptor >= 0);
    EXPECT_EQ(ftruncate(descriptor, (off_t)64 << 30), 0);
    EXPECT_EQ(pwrite(descriptor, &byte, 1, ((off_t)64 << 30) - 1), 1);
    return descriptor;
}

static void test_a_file_that_begins_with_nothing_known_is_memory_from_address_0(void **state)
{
    struct bytes bytes = { 0 };
    struct complaint complaint;
    struct image *image;

    (void)state;
    put_fill(&bytes, 0x11, 4096);
    put_fill(&bytes, 0x22, 100);
    image = open_bytes(&bytes, IMAGE_GUESS, &complaint);
    EXPECT_EQ(image->format, IMAGE_RAW);
    EXPECT_EQ(image->range_count, 1);
    EXPECT_EQ(image->ranges[0].base, 0);
    EXPECT_EQ(image->ranges[0].size_bytes, 4196);
    EXPECT(image->ranges[0].mapped != NULL);
    EXPECT_EQ(image->processor_count, 0);
    expect_byte(image, 0, 0x11);
    expect_byte(image, 4195, 0x22);
    expect_byte(image, 4196, -1);
    image_close(image);
    drop(&bytes);
}

static void test_a_raw_image_may_begin_at_another_address(void **state)
{
    char path[] = "/tmp/vmmu-unit-XXXXXX";
    const int descriptor = mkstemp(path);
    struct complaint complaint;
    struct image *image;

    (void)state;
    EXPECT_EQ(write(descriptor, "memory", 6), 6);
    image = open_path(path, (struct image_options){ .raw_base = 0x100000 }, &complaint);
    expect_byte(image, 0x100000, 'm');
    expect_byte(image, 0x100005, 'y');
    expect_byte(image, 0xFFFFF, -1);
    expect_byte(image, 0, -1);
    image_close(image);
    refused(path, (struct image_options){ .raw_base = (UINT64_C(1) << 52) - 5 }, "52 bits");
    refused(path, (struct image_options){ .raw_base = UINT64_MAX }, "52 bits");
    EXPECT_EQ(unlink(path), 0);
    EXPECT_EQ(close(descriptor), 0);
}

static void test_reading_beyond_or_around_the_end_is_refused(void **state)
{
    struct bytes bytes = { 0 };
    struct complaint complaint;
    struct image *image;
    uint8_t there[8192];

    (void)state;
    put_fill(&bytes, 0x11, 4096);
    image = open_bytes(&bytes, IMAGE_RAW, &complaint);
    EXPECT(image_read(image, 0, there, 4096));
    EXPECT_EQ(there[4095], 0x11);
    EXPECT(image_read(image, 1234, there, 0));
    EXPECT(!image_read(image, 0, there, 4097));
    EXPECT(!image_read(image, 4095, there, 2));
    EXPECT(!image_read(image, UINT64_MAX, there, 2));
    EXPECT(!image_read(image, UINT64_MAX - 1, there, 4096));
    image_close(image);
    drop(&bytes);
}

static void test_entries_are_loaded_with_4_or_8_bytes_and_never_exchanged(void **state)
{
    struct bytes bytes = { 0 };
    struct complaint complaint;
    struct image *image;
    uint64_t value = 7;

    (void)state;
    put_u64(&bytes, 0x1122334455667788);
    put_u32(&bytes, 0x99AABBCC);
    image = open_bytes(&bytes, IMAGE_RAW, &complaint);
    EXPECT_EQ(image->ram.load(image->ram.context, 0, 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x1122334455667788);
    EXPECT_EQ(image->ram.load(image->ram.context, 8, 4, &value), VMMU_OK);
    EXPECT_EQ(value, 0x99AABBCC);
    value = 7;
    EXPECT_EQ(image->ram.load(image->ram.context, 8, 8, &value), VMMU_ABSENT);
    EXPECT_EQ(image->ram.load(image->ram.context, 16, 8, &value), VMMU_ABSENT);
    EXPECT_EQ(value, 7);
    EXPECT_EQ(image->ram.exchange(image->ram.context, 0, 8, 0x1122334455667788, 1), VMMU_ABSENT);
    image_close(image);
    drop(&bytes);
}

static void test_a_sparse_file_of_64_gib_opens_without_being_read(void **state)
{
    char path[] = "/tmp/vmmu-unit-XXXXXX";
    const int descriptor = sparse_file(path);
    struct complaint complaint;
    struct image *image;
    struct stat before;
    struct stat after;

    (void)state;
    EXPECT_EQ(fstat(descriptor, &before), 0);
    image = there(open_path(path, (struct image_options){ 0 }, &complaint));
    EXPECT_EQ(image->ranges[0].size_bytes, UINT64_C(64) << 30);
    expect_byte(image, (UINT64_C(64) << 30) - 1, 0x5A);
    expect_byte(image, UINT64_C(33) << 30, 0);
    image_close(image);
    EXPECT_EQ(fstat(descriptor, &after), 0);
    EXPECT_EQ(after.st_blocks, before.st_blocks);
    EXPECT_EQ(unlink(path), 0);
    EXPECT_EQ(close(descriptor), 0);
}

static void test_what_is_no_file_is_refused(void **state)
{
    char folder[] = "/tmp/vmmu-unit-XXXXXX";
    char pipe_path[64];

    (void)state;
    EXPECT(mkdtemp(folder) != NULL);
    (void)snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", folder);
    EXPECT_EQ(mkfifo(pipe_path, 0600), 0);
    refused(folder, (struct image_options){ 0 }, "not a regular file");
    refused(pipe_path, (struct image_options){ 0 }, "not a regular file");
    refused("/dev/null", (struct image_options){ 0 }, "not a regular file");
    refused("/tmp/there/is/none", (struct image_options){ 0 }, "No such file");
    refused("/proc/self/cmdline", (struct image_options){ 0 }, "empty");
    refused("/etc/passwd", (struct image_options){ .format = IMAGE_LIVE }, "not a socket");
    EXPECT_EQ(unlink(pipe_path), 0);
    EXPECT_EQ(rmdir(folder), 0);
}

static void test_a_long_path_is_cut_and_the_reason_is_not(void **state)
{
    char path[300];
    struct complaint complaint = { .text = "" };

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    EXPECT(open_path(path, (struct image_options){ 0 }, &complaint) == NULL);
    EXPECT(strstr(complaint.text, "xxx...: File name too long") != NULL);
}

/* In a child: read an image, whose file another process shortens meanwhile. */
static void read_what_shrinks(const char *path, int errors)
{
    struct complaint complaint;
    struct image *image;
    uint64_t value = 0;

    EXPECT(dup2(errors, STDERR_FILENO) >= 0);
    image = open_path(path, (struct image_options){ 0 }, &complaint);
    if (image == NULL || image->ram.load(image->ram.context, 0x10000, 8, &value) != VMMU_OK ||
        truncate(path, 0x8000) != 0) {
        _exit(99);
    }
    (void)image->ram.load(image->ram.context, 0x10000, 8, &value);
    _exit(98);
}

static void test_a_file_that_shrinks_while_it_is_read_ends_with_a_sentence_and_status_3(void **state)
{
    char path[] = "/tmp/vmmu-unit-XXXXXX";
    const int descriptor = mkstemp(path);
    char said[512] = { 0 };
    int errors[2];
    int status;
    pid_t child;

    (void)state;
    EXPECT_EQ(ftruncate(descriptor, 0x20000), 0);
    EXPECT_EQ(pipe(errors), 0);
    child = fork();
    EXPECT(child >= 0);
    if (child == 0)
        read_what_shrinks(path, errors[1]);
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 3);
    EXPECT(read(errors[0], said, sizeof(said) - 1) > 0);
    EXPECT(strncmp(said, "vmmu: ", 6) == 0);
    EXPECT(strstr(said, path) != NULL);
    EXPECT(strstr(said, "became shorter") != NULL);
    EXPECT_EQ(said[strlen(said) - 1], '\n');
    EXPECT_EQ(close(errors[0]) + close(errors[1]) + close(descriptor) + unlink(path), 0);
}

static void test_many_images_are_open_at_once(void **state)
{
    struct bytes bytes = { 0 };
    struct complaint complaint;
    struct image *images[20];

    (void)state;
    put_fill(&bytes, 0, 1);
    for (unsigned i = 0; i < 20; i++) {
        bytes.data[0] = (uint8_t)i;
        images[i] = open_bytes(&bytes, IMAGE_RAW, &complaint);
    }
    for (unsigned i = 1; i < 20; i += 2)
        image_close(images[i]);
    for (unsigned i = 0; i < 20; i += 2) {
        expect_byte(images[i], 0, (int)i);
        image_close(images[i]);
    }
    drop(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_that_begins_with_nothing_known_is_memory_from_address_0),
        cmocka_unit_test(test_a_raw_image_may_begin_at_another_address),
        cmocka_unit_test(test_reading_beyond_or_around_the_end_is_refused),
        cmocka_unit_test(test_entries_are_loaded_with_4_or_8_bytes_and_never_exchanged),
        cmocka_unit_test(test_a_sparse_file_of_64_gib_opens_without_being_read),
        cmocka_unit_test(test_what_is_no_file_is_refused),
        cmocka_unit_test(test_a_long_path_is_cut_and_the_reason_is_not),
        cmocka_unit_test(test_a_file_that_shrinks_while_it_is_read_ends_with_a_sentence_and_status_3),
        cmocka_unit_test(test_many_images_are_open_at_once),
    };

    return RUN_TESTS(tests);
}
