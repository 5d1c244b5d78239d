/*
 * A hypervisor that runs, at the other end of a socket; and others who only say so.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/tools_image/state.h"
#include "tools/image/link.h"
#include "tools/image/partition.h"

/* --- the other end, in a child --- */

struct other_end {
    char folder[32];
    char path[64];
    pid_t child;
};

/* How it answers `read`: NULL is soundly. */
static const char *answer_to_read;

static void answer_soundly(FILE *out, uint64_t address, unsigned count)
{
    static unsigned asked;

    if (address + count > STATE_MEMORY_BYTES) {
        fputs("absent\n\n", out);
    } else if (address == 0x10000) {
        fputs("zero\n\n", out);
    } else {
        asked++;
        for (unsigned i = 0; i < count; i++)
            fprintf(out, "%02x", i == 0 ? asked : (unsigned)((address + i) >> 12) & 0xFF);
        fputs("\n\n", out);
    }
}

static void serve(int connection, const char *state)
{
    FILE *const in = fdopen(connection, "r");
    FILE *const out = fdopen(dup(connection), "w");
    char line[128];

    while (fgets(line, sizeof(line), in) != NULL) {
        unsigned long long address;
        unsigned count;

        if (strcmp(line, "state\n") == 0) {
            fprintf(out, "{\"vmmu\":1,\"outcome\":{}}\r\n%s\r\n", state);
        } else if (sscanf(line, "read %llx %u\n", &address, &count) == 2 && answer_to_read == NULL) {
            answer_soundly(out, address, count);
        } else if (answer_to_read != NULL) {
            if (answer_to_read[0] == '\0')
                break;
            fputs(answer_to_read, out);
        }
        fflush(out);
    }
    _exit(0);
}

static struct other_end start(const char *state)
{
    struct other_end end = { .folder = "/tmp/vmmu-unit-XXXXXX" };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    EXPECT(mkdtemp(end.folder) != NULL);
    (void)snprintf(end.path, sizeof(end.path), "%s/control", end.folder);
    memcpy(address.sun_path, end.path, strlen(end.path));
    EXPECT_EQ(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    EXPECT_EQ(listen(listener, 1), 0);
    end.child = fork();
    EXPECT(end.child >= 0);
    if (end.child == 0)
        serve(accept(listener, NULL, NULL), state);
    EXPECT_EQ(close(listener), 0);
    return end;
}

static void stop(const struct other_end *end)
{
    char memory[80];

    EXPECT_EQ(waitpid(end->child, NULL, 0), end->child);
    (void)snprintf(memory, sizeof(memory), "%s.memory", end->path);
    (void)unlink(memory);
    EXPECT_EQ(unlink(end->path), 0);
    EXPECT_EQ(rmdir(end->folder), 0);
    answer_to_read = NULL;
}

static struct image *connected(const struct other_end *end)
{
    struct complaint complaint = { .text = "" };
    struct image *const image = image_open(end->path, &(struct image_options){ 0 }, &complaint);

    if (image == NULL)
        fail_msg("it was refused: %s", complaint.text);
    return image;
}

static struct other_end start_sound(void)
{
    struct json_object *const state = sound_state();
    const struct other_end end = start(json_object_to_json_string_ext(state, JSON_C_TO_STRING_PLAIN));

    EXPECT_EQ(json_object_put(state), 1);
    return end;
}

/* --- images --- */

static void test_a_socket_is_a_hypervisor_that_runs(void **state)
{
    const struct other_end end = start_sound();
    struct image *const image = connected(&end);
    uint64_t value = 7;

    (void)state;
    EXPECT_EQ(image->format, IMAGE_LIVE);
    EXPECT(image->state != NULL);
    EXPECT_EQ(image->range_count, 2);
    EXPECT_EQ(image->ranges[0].base, 0x10000);
    EXPECT(image->ranges[0].mapped == NULL);
    expect_byte(image, 0x21234, 0x21);
    expect_byte(image, 0x10010, 0);
    expect_byte(image, STATE_MEMORY_BYTES, -1);
    expect_byte(image, UINT64_C(1) << 52, -1);
    EXPECT_EQ(image->ram.load(image->ram.context, 0x30008, 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x3030303030303030);
    EXPECT_EQ(image->ram.load(image->ram.context, 0x30008, 4, &value), VMMU_OK);
    EXPECT_EQ(value, 0x30303030);
    EXPECT_EQ(image->ram.load(image->ram.context, 0x7000000, 8, &value), VMMU_ABSENT);
    EXPECT_EQ(image->ram.exchange(image->ram.context, 0x30008, 8, 0, 0), VMMU_ABSENT);
    image_close(image);
    stop(&end);
}

static void test_a_page_is_asked_for_once(void **state)
{
    const struct other_end end = start_sound();
    struct image *const image = connected(&end);

    (void)state;
    /* the other end counts its answers in the first byte */
    expect_byte(image, 0x20000, 1);
    expect_byte(image, 0x21000, 2);
    expect_byte(image, 0x20000, 1);
    expect_byte(image, 0x21000, 2);
    image_close(image);
    stop(&end);
}

static void test_reads_go_across_pages(void **state)
{
    const struct other_end end = start_sound();
    struct image *const image = connected(&end);
    uint8_t bytes[0x2002];

    (void)state;
    EXPECT(image_read(image, 0x20FFF, bytes, sizeof(bytes)));
    EXPECT_EQ(bytes[0], 0x20);
    EXPECT_EQ(bytes[2], 0x21);
    EXPECT_EQ(bytes[0x1FFF + 1], 0x22);
    EXPECT(!image_read(image, STATE_MEMORY_BYTES - 1, bytes, 2));
    image_close(image);
    stop(&end);
}

static void test_a_partition_that_runs_is_read_by_guest_physical_address(void **state)
{
    const struct other_end end = start_sound();
    struct image *const image = connected(&end);
    struct complaint complaint = { .text = "" };
    struct partition *const partition = there(partition_open(image, 0, &complaint));
    uint64_t value = 0;

    (void)state;
    EXPECT(partition->ranges[1].mapped == NULL);
    EXPECT_EQ(partition->ram.load(partition->ram.context, 0x101008, 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x2121212121212121);
    EXPECT_EQ(partition->ram.load(partition->ram.context, 0x104000, 8, &value), VMMU_ABSENT);
    partition_close(partition);
    image_close(image);
    stop(&end);
}

/* The machine's memory beside the socket of @end: @bytes, of which only page 0x20 is not a hole. */
static void leave_memory(const struct other_end *end, uint64_t bytes)
{
    char path[80];
    uint8_t page[0x1000];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s.memory", end->path);
    file = fopen(path, "w");
    memset(page, 0x99, sizeof(page));
    EXPECT_EQ(ftruncate(fileno(file), (off_t)bytes), 0);
    EXPECT_EQ(pwrite(fileno(file), page, sizeof(page), 0x20000), sizeof(page));
    EXPECT_EQ(fclose(file), 0);
}

static void test_the_memory_beside_the_socket_is_mapped(void **state)
{
    const struct other_end end = start_sound();
    struct complaint complaint = { .text = "" };
    struct image *image;
    struct partition *partition;

    (void)state;
    leave_memory(&end, 0x4000000);
    image = connected(&end);
    EXPECT_EQ(image->range_count, 1);
    EXPECT_EQ(image->ranges[0].size_bytes, 0x4000000);
    EXPECT(image->ranges[0].mapped != NULL);
    expect_byte(image, 0x20000, 0x99);
    expect_byte(image, 0x21000, 0);
    partition = there(partition_open(image, 0, &complaint));
    EXPECT(partition->ranges[1].mapped == image->ranges[0].mapped + 0x20000);
    partition_close(partition);
    image_close(image);
    stop(&end);
}

static void test_memory_beyond_the_gap_below_4_gib_stands_above_it(void **state)
{
    const struct other_end end = start_sound();
    struct image *image;

    (void)state;
    leave_memory(&end, UINT64_C(4) << 30);
    image = connected(&end);
    EXPECT_EQ(image->range_count, 2);
    EXPECT_EQ(image->ranges[0].size_bytes, UINT64_C(3) << 30);
    EXPECT_EQ(image->ranges[1].base, UINT64_C(4) << 30);
    EXPECT_EQ(image->ranges[1].size_bytes, UINT64_C(1) << 30);
    EXPECT(image->ranges[1].mapped == image->ranges[0].mapped + (UINT64_C(3) << 30));
    image_close(image);
    stop(&end);
}

static void refused_state(const char *text, const char *words)
{
    const struct other_end end = start(text);
    struct complaint complaint = { .text = "" };

    EXPECT(image_open(end.path, &(struct image_options){ 0 }, &complaint) == NULL);
    if (strstr(complaint.text, words) == NULL || strstr(complaint.text, end.path) == NULL)
        fail_msg("'%s' is not about '%s'", complaint.text, words);
    stop(&end);
}

static void test_a_state_of_no_sense_is_refused(void **state)
{
    (void)state;
    refused_state("{\"vmmu_state\":1,\"partitions\":[", "not JSON");
    refused_state("{\"vmmu_state\":3,\"partitions\":[]}", "version");
    refused_state("{\"vmmu_state\":1,\"partitions\":[{\"memory\":[{\"hpa\":\"0x0\",\"bytes\":"
                  "\"0xfffffffffffff000\"}]}]}",
                  "52 bits");
    refused_state("{\"vmmu_state\":1,\"partitions\":[{\"memory\":[3]}]}", "\"hpa\" of a piece of memory");
    refused_state("{\"vmmu_state\" : 1, \"partitions\":[{\"memory\":[{\"hpa\":\"0x0\"}]}]}", "\"bytes\"");
}

/* A load of an image whose other end answers @answer: the status that the program ends with, and what it says. */
static int status_of_load(const char *answer, char said[256])
{
    struct other_end end;
    int errors[2];
    int status;
    pid_t child;

    answer_to_read = answer;
    end = start_sound();
    EXPECT_EQ(pipe(errors), 0);
    child = fork();
    if (child == 0) {
        struct image *const image = connected(&end);
        uint64_t value;

        (void)dup2(errors[1], STDERR_FILENO);
        (void)image->ram.load(image->ram.context, 0x20000, 8, &value);
        _exit(0);
    }
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(close(errors[1]), 0);
    memset(said, 0, 256);
    EXPECT(read(errors[0], said, 255) >= 0);
    EXPECT_EQ(close(errors[0]), 0);
    stop(&end);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_an_other_end_that_goes_wrong_in_the_middle_ends_with_a_sentence(void **state)
{
    static const struct {
        const char *answer;
        const char *words;
    } wrongs[] = {
        { "", "hung up" },
        { "no idea\n\n", "answers nonsense: \"no idea\"" },
        { "12\n\n", "answers nonsense: \"12\"" },
        { "\033[31m\n\n", "answers nonsense: \"?[31m\"" },
    };
    char said[256];

    (void)state;
    for (unsigned i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        EXPECT_EQ(status_of_load(wrongs[i].answer, said), 3);
        if (strstr(said, wrongs[i].words) == NULL)
            fail_msg("'%s' is not about '%s'", said, wrongs[i].words);
    }
}

static void test_nobody_listening_and_names_that_are_too_long_are_refused(void **state)
{
    struct other_end end = start_sound();
    struct complaint complaint = { .text = "" };
    struct link link;
    char path[200];

    (void)state;
    image_close(connected(&end));
    EXPECT_EQ(waitpid(end.child, NULL, 0), end.child);
    EXPECT(image_open(end.path, &(struct image_options){ 0 }, &complaint) == NULL);
    EXPECT(strstr(complaint.text, "nobody listens") != NULL);
    EXPECT(image_open(end.path, &(struct image_options){ .format = IMAGE_RAW }, &complaint) == NULL);
    EXPECT(strstr(complaint.text, "it is a socket") != NULL);
    EXPECT_EQ(unlink(end.path) + rmdir(end.folder), 0);
    EXPECT(!link_open(&link, end.path, &complaint));
    EXPECT(strstr(complaint.text, "it cannot be asked: No such file") != NULL);
    link_close(&link);
    EXPECT(!link_open(&link, "/dev/null", &complaint));
    EXPECT(strstr(complaint.text, "it is no socket") != NULL);
    EXPECT(strstr(complaint.text, "nobody listens") == NULL);
    link_close(&link);
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    EXPECT(!link_open(&link, path, &complaint));
    EXPECT(strstr(complaint.text, "107 letters") != NULL);
    link_close(&link);
}

/* --- the link alone --- */

/* A link whose other end has said @text, and hangs up if @gone. */
static struct link linked(const char *text, int *other, bool gone)
{
    struct link link;
    int ends[2];

    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    EXPECT_EQ(write(ends[1], text, strlen(text)), strlen(text));
    link_adopt(&link, ends[0]);
    link.idle_ms = 50;
    *other = ends[1];
    if (gone)
        EXPECT_EQ(shutdown(ends[1], SHUT_WR), 0);
    return link;
}

static void test_lines_are_taken_one_by_one(void **state)
{
    struct complaint complaint;
    const char *line;
    int other;
    struct link link = linked("one\r\n\ntwo\nthree", &other, true);

    (void)state;
    EXPECT(link_line(&link, 100, &line, &complaint) && strcmp(line, "one") == 0);
    EXPECT(link_line(&link, 100, &line, &complaint) && strcmp(line, "") == 0);
    EXPECT(link_line(&link, 3, &line, &complaint) && strcmp(line, "two") == 0);
    EXPECT(!link_line(&link, 100, &line, &complaint));
    EXPECT(strstr(complaint.text, "hung up") != NULL);
    link_close(&link);
    (void)close(other);
}

static void test_a_line_that_is_too_long_is_refused(void **state)
{
    struct complaint complaint;
    const char *line;
    int other;
    struct link link = linked("eleven......\n", &other, false);

    (void)state;
    EXPECT(!link_line(&link, 11, &line, &complaint));
    EXPECT(strstr(complaint.text, "more than 11 letters") != NULL);
    link_close(&link);
    (void)close(other);
}

static void test_silence_is_a_complaint_after_some_time(void **state)
{
    struct complaint complaint;
    const char *line;
    int other;
    struct link link = linked("no end of the line", &other, false);

    (void)state;
    EXPECT(!link_line(&link, 100, &line, &complaint));
    EXPECT(strstr(complaint.text, "silent") != NULL);
    link_close(&link);
    (void)close(other);
}

static void test_a_text_is_its_first_line_without_what_comes_unasked(void **state)
{
    struct complaint complaint;
    char answer[8];
    char asked[32] = { 0 };
    int other;
    struct link link =
        linked("\n{\"vmmu\":1}\nstopped\nand more\n\nrunning\n\ntoo long a text\n\n", &other, false);

    (void)state;
    EXPECT(link_text(&link, "stop", answer, sizeof(answer), &complaint));
    EXPECT(strcmp(answer, "stopped") == 0);
    EXPECT(link_text(&link, "go", answer, sizeof(answer), &complaint));
    EXPECT(strcmp(answer, "running") == 0);
    EXPECT(!link_text(&link, "x", answer, sizeof(answer), &complaint));
    EXPECT(strstr(complaint.text, "nonsense: \"too long a text\"") != NULL);
    EXPECT(read(other, asked, sizeof(asked) - 1) > 0);
    EXPECT(strcmp(asked, "stop\ngo\nx\n") == 0);
    link_close(&link);
    (void)close(other);
}

static void test_answers_without_end_are_refused(void **state)
{
    struct complaint complaint;
    char text[400];
    char answer[8];
    const char *line;
    int other;
    struct link link;

    (void)state;
    for (unsigned i = 0; i < sizeof(text) - 1; i++)
        text[i] = i % 2 == 0 ? 'x' : '\n';
    text[sizeof(text) - 1] = '\0';
    link = linked(text, &other, true);
    EXPECT(!link_text(&link, "stop", answer, sizeof(answer), &complaint));
    EXPECT(strstr(complaint.text, "more than 64 lines") != NULL);
    link_close(&link);
    (void)close(other);
    link = linked(text, &other, true);
    EXPECT(!link_document(&link, "state", "{", &line, &complaint));
    EXPECT(strstr(complaint.text, "does not answer \"state\"") != NULL);
    link_close(&link);
    (void)close(other);
}

static void test_sending_to_nobody_is_a_complaint_and_no_signal(void **state)
{
    struct complaint complaint;
    int other;
    struct link link = linked("", &other, false);

    (void)state;
    (void)close(other);
    EXPECT(!link_ask(&link, "state", &complaint));
    EXPECT(strstr(complaint.text, "hung up") != NULL);
    link_close(&link);
}

static void test_bytes_are_pairs_of_digits(void **state)
{
    struct complaint complaint;
    uint8_t bytes[4];
    int other;
    struct link link = linked("00ff7f80\n\nzero\n\nabsent\n\n00ff7f8\n\n00FF7f80\n\n", &other, false);

    (void)state;
    EXPECT_EQ(link_read(&link, 0, bytes, 4, &complaint), LINK_THERE);
    assert_memory_equal(bytes, ((const uint8_t[]){ 0, 0xFF, 0x7F, 0x80 }), 4);
    EXPECT_EQ(link_read(&link, 0, bytes, 4, &complaint), LINK_THERE);
    assert_memory_equal(bytes, ((const uint8_t[]){ 0, 0, 0, 0 }), 4);
    EXPECT_EQ(link_read(&link, 0, bytes, 4, &complaint), LINK_ABSENT);
    EXPECT_EQ(link_read(&link, 0, bytes, 4, &complaint), LINK_FAILED);
    EXPECT_EQ(link_read(&link, 0, bytes, 4, &complaint), LINK_FAILED);
    link_close(&link);
    (void)close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_socket_is_a_hypervisor_that_runs),
        cmocka_unit_test(test_a_page_is_asked_for_once),
        cmocka_unit_test(test_reads_go_across_pages),
        cmocka_unit_test(test_a_partition_that_runs_is_read_by_guest_physical_address),
        cmocka_unit_test(test_the_memory_beside_the_socket_is_mapped),
        cmocka_unit_test(test_memory_beyond_the_gap_below_4_gib_stands_above_it),
        cmocka_unit_test(test_a_state_of_no_sense_is_refused),
        cmocka_unit_test(test_an_other_end_that_goes_wrong_in_the_middle_ends_with_a_sentence),
        cmocka_unit_test(test_nobody_listening_and_names_that_are_too_long_are_refused),
        cmocka_unit_test(test_lines_are_taken_one_by_one),
        cmocka_unit_test(test_a_line_that_is_too_long_is_refused),
        cmocka_unit_test(test_silence_is_a_complaint_after_some_time),
        cmocka_unit_test(test_a_text_is_its_first_line_without_what_comes_unasked),
        cmocka_unit_test(test_answers_without_end_are_refused),
        cmocka_unit_test(test_sending_to_nobody_is_a_complaint_and_no_signal),
        cmocka_unit_test(test_bytes_are_pairs_of_digits),
    };

    return RUN_TESTS(tests);
}
