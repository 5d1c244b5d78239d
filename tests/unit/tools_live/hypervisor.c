#include "tests/unit/tools_live/hypervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"

#define PAGE 0x1000

const char *hypervisor_says;

/* What the other end knows. */
struct other {
    const char *state;
    uint64_t zero;
    uint64_t absent;
    bool held;
    char mark[64]; /* the file that is there while the partition is held */
};

static void put_byte(const struct other *other, uint64_t address, FILE *out)
{
    fprintf(out, "%02x", address / PAGE * PAGE == other->zero ? 0 : (unsigned)(address / PAGE) & 0xFF);
}

static bool is_there(const struct other *other, uint64_t address)
{
    return address < STATE_MEMORY_BYTES && address / PAGE * PAGE != other->absent;
}

static void answer_read(const struct other *other, uint64_t address, unsigned count, FILE *out)
{
    if (!is_there(other, address) || !is_there(other, address + count - 1)) {
        fputs("absent", out);
    } else if (address / PAGE * PAGE == other->zero) {
        fputs("zero", out);
    } else {
        for (unsigned i = 0; i < count; i++) {
            put_byte(other, address + i, out);
        }
    }
    fputs("\n\n", out);
}

static void answer_pages(const struct other *other, uint64_t address, unsigned count, FILE *out)
{
    for (unsigned i = 0; i < count; i++) {
        const uint64_t at = address + (uint64_t)i * PAGE;

        fputc(!is_there(other, at) ? '-' : at == other->zero ? '0' : '1', out);
    }
    fputs("\n\n", out);
}

static void hold(struct other *other, bool held, FILE *out)
{
    const char *const word = held ? "stopped" : "running";

    fprintf(out, "%s%s\n\n", word, other->held == held ? " before" : "");
    other->held = held;
    if (held) {
        (void)close(open(other->mark, O_CREAT | O_WRONLY, 0600));
    } else {
        (void)unlink(other->mark);
    }
}

static void answer(struct other *other, const char *line, FILE *out)
{
    unsigned long long address;
    unsigned count;

    if (hypervisor_says && strchr("rpsgtw", line[0]) && strcmp(line, "state\n") != 0) {
        fprintf(out, "%s\n\n", hypervisor_says);
    } else if (sscanf(line, "read %llx %u\n", &address, &count) == 2) {
        answer_read(other, address, count, out);
    } else if (sscanf(line, "pages %llx %u\n", &address, &count) == 2) {
        answer_pages(other, address, count, out);
    } else if (strcmp(line, "state\n") == 0) {
        fprintf(out, "%s\n", other->state);
    } else if (strcmp(line, "stop\n") == 0 || strcmp(line, "go\n") == 0) {
        hold(other, line[0] == 's', out);
    } else {
        fputs(COUNTERS "\n", out);
    }
}

static void serve(struct other *other, int listener)
{
    for (;;) {
        const int connection = accept(listener, NULL, NULL);
        FILE *const in = fdopen(connection, "r");
        FILE *const out = fdopen(dup(connection), "w");
        char line[128];

        while (fgets(line, sizeof(line), in)) {
            answer(other, line, out);
            (void)fflush(out);
        }
        (void)fclose(in);
        (void)fclose(out);
    }
}

static void mark_of(const struct hypervisor *hypervisor, char *mark, size_t room)
{
    (void)snprintf(mark, room, "%s/held", hypervisor->folder);
}

struct hypervisor hypervisor_start(const char *state, uint64_t zero, uint64_t absent, bool held)
{
    struct hypervisor made = { .folder = "/tmp/vmmu-unit-XXXXXX" };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct other other = { .state = state, .zero = zero, .absent = absent, .held = held };
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    EXPECT(mkdtemp(made.folder) != NULL);
    (void)snprintf(made.socket, sizeof(made.socket), "%s/control", made.folder);
    (void)snprintf(made.dump, sizeof(made.dump), "%s/dump", made.folder);
    mark_of(&made, other.mark, sizeof(other.mark));
    if (held) {
        (void)close(open(other.mark, O_CREAT | O_WRONLY, 0600));
    }
    memcpy(address.sun_path, made.socket, strlen(made.socket));
    EXPECT_EQ(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    EXPECT_EQ(listen(listener, 4), 0);
    made.child = fork();
    EXPECT(made.child >= 0);
    if (made.child == 0) {
        (void)signal(SIGPIPE, SIG_IGN);
        serve(&other, listener);
    }
    (void)close(listener);
    return made;
}

bool hypervisor_holds(const struct hypervisor *hypervisor)
{
    char mark[64];

    mark_of(hypervisor, mark, sizeof(mark));
    return access(mark, F_OK) == 0;
}

void hypervisor_end(const struct hypervisor *hypervisor)
{
    char mark[64];

    EXPECT_EQ(kill(hypervisor->child, SIGKILL), 0);
    EXPECT_EQ(waitpid(hypervisor->child, NULL, 0), hypervisor->child);
    mark_of(hypervisor, mark, sizeof(mark));
    (void)unlink(mark);
    (void)unlink(hypervisor->dump);
    EXPECT_EQ(unlink(hypervisor->socket), 0);
    EXPECT_EQ(rmdir(hypervisor->folder), 0);
}
