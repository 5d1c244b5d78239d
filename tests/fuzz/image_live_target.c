/*
 * The client of a hypervisor's control port, and the state that comes by it, when the other end says anything.
 *
 * Input: what the other end says, at once, before it hangs up; its last bytes say what is asked.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/image.h"
#include "tools/image/link.h"
#include "tools/image/state.h"

#define QUESTIONS   8
#define LOOKS_BYTES 16
#define SAID_MOST   0x8000

static void ask_state(struct link *link, struct complaint *complaint)
{
    const char *line;
    struct json_object *state;

    if (!link_document(link, "state", "{\"vmmu_state\"", &line, complaint)) {
        fuzz_complaint_check(complaint);
        return;
    }
    FUZZ_CHECK(line[0] == '{' && strchr(line, '\n') == NULL);
    state = image_state_parse(line, strlen(line), complaint);
    if (state == NULL) {
        fuzz_complaint_check(complaint);
    } else {
        json_object_put(state);
    }
}

static void ask_text(struct link *link, size_t room, struct complaint *complaint)
{
    char *const answer = malloc(room);

    FUZZ_CHECK(answer != NULL);
    if (link_text(link, "stop", answer, room, complaint)) {
        FUZZ_CHECK(strnlen(answer, room) < room && answer[0] != '\0' && answer[0] != '{');
    } else {
        fuzz_complaint_check(complaint);
    }
    free(answer);
}

static void ask_memory(struct link *link, size_t count, struct complaint *complaint)
{
    uint8_t *const bytes = malloc(count);

    FUZZ_CHECK(bytes != NULL);
    if (link_read(link, 0x1000, bytes, count, complaint) == LINK_FAILED)
        fuzz_complaint_check(complaint);
    free(bytes);
}

static void ask_line(struct link *link, size_t most, struct complaint *complaint)
{
    const char *line;

    if (link_line(link, most, &line, complaint)) {
        FUZZ_CHECK(strlen(line) <= most);
    } else {
        fuzz_complaint_check(complaint);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t said = size < SAID_MOST ? size : SAID_MOST;
    const size_t skipped = size > LOOKS_BYTES ? size - LOOKS_BYTES : 0;
    struct input questions = input_of(data + skipped, size - skipped);
    struct link link;
    int ends[2];

    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    FUZZ_CHECK(write(ends[1], data, said) == (ssize_t)said);
    FUZZ_CHECK(shutdown(ends[1], SHUT_WR) == 0);
    link_adopt(&link, ends[0]);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        struct complaint complaint = { .text = "" };
        const uint8_t question = input_u8(&questions);
        const size_t count = 1 + (question >> 2) * (size_t)(question & 0x40 ? 65 : 1);

        switch (question & 3) {
        case 0: ask_state(&link, &complaint); break;
        case 1: ask_text(&link, count, &complaint); break;
        case 2: ask_memory(&link, count, &complaint); break;
        default: ask_line(&link, count, &complaint); break;
        }
    }
    link_close(&link);
    FUZZ_CHECK(close(ends[1]) == 0);
    return 0;
}
