#include "tools/image/kdump_child.h"

#include <errno.h>
#include <libkdumpfile/kdumpfile.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child may take beyond what it has from us: maps of the pages of some terabytes. */
#define MEMORY_MOST UINT64_C(0x40000000)

/* How long it may think about one question. */
#define SILENCE_MS  60000

/* --- what the two say to each other: packets --- */

enum kind {
    SAY_RANGES, /* some of the memory that there is */
    SAY_READY,  /* those were all; pages can be asked for, by their addresses */
    SAY_FAILED, /* the file cannot be opened: a text */
    SAY_PAGE,
    SAY_EXCLUDED,
    SAY_BROKEN, /* the page cannot be read: a text */
};

#define RANGES_AT_ONCE 128

struct packet {
    uint32_t kind;
    uint32_t count; /* of ranges */
    union {
        struct {
            uint64_t base;
            uint64_t size_bytes;
        } ranges[RANGES_AT_ONCE];
        char text[200];
        uint8_t page[VMMU_PAGE_BYTES];
    };
};

/* --- in the child --- */

/* All or nothing; who cannot be told has gone. */
static void tell(int socket, const struct packet *packet)
{
    if (send(socket, packet, sizeof(*packet), MSG_NOSIGNAL) != (ssize_t)sizeof(*packet))
        _exit(1);
}

static void tell_error(int socket, enum kind kind, kdump_ctx_t *context, const char *otherwise)
{
    const char *const words = context == NULL ? NULL : kdump_get_err(context);
    struct packet packet = { .kind = kind };

    (void)snprintf(packet.text, sizeof(packet.text), "%s", words == NULL ? otherwise : words);
    tell(socket, &packet);
}

static void tell_ranges(int socket, kdump_bmp_t *map)
{
    struct packet packet = { .kind = SAY_RANGES };
    kdump_addr_t first = 0;

    while (kdump_bmp_find_set(map, &first) == KDUMP_OK) {
        kdump_addr_t last = first;

        if (kdump_bmp_find_clear(map, &last) != KDUMP_OK || last <= first)
            break;
        packet.ranges[packet.count].base = first;
        packet.ranges[packet.count].size_bytes = last - first;
        packet.count++;
        first = last;
        if (packet.count == RANGES_AT_ONCE) {
            tell(socket, &packet);
            packet.count = 0;
        }
    }
    tell(socket, &packet);
    packet.kind = SAY_READY;
    tell(socket, &packet);
}

static void answer(int socket, kdump_ctx_t *context, uint64_t address)
{
    struct packet packet = { .kind = SAY_PAGE };
    size_t count = VMMU_PAGE_BYTES;
    const kdump_status status = kdump_read(context, KDUMP_MACHPHYSADDR, address, packet.page, &count);

    if (status == KDUMP_ERR_NODATA)
        packet.kind = SAY_EXCLUDED;
    if (status == KDUMP_OK || status == KDUMP_ERR_NODATA) {
        tell(socket, &packet);
    } else {
        tell_error(socket, SAY_BROKEN, context, "libkdumpfile does not say why");
    }
}

/* Limits by what we have already: under a sanitizer that is terabytes. */
static void limit_memory(void)
{
    FILE *const file = fopen("/proc/self/statm", "r");
    unsigned long long data = 0;

    /* Total, resident, shared, text, library, then data, in pages. */
    if (file != NULL && fscanf(file, "%*u %*u %*u %*u %*u %llu", &data) == 1) {
        const uint64_t most = data * (uint64_t)sysconf(_SC_PAGESIZE) + MEMORY_MOST;

        (void)setrlimit(RLIMIT_DATA, &(struct rlimit){ most, most });
    }
    if (file != NULL)
        (void)fclose(file);
}

/* A crash is the end, without a core file and without whatever our process does at one. */
static void be_plain(pid_t parent)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM, SIGALRM };

    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)signal(signals[i], SIG_DFL);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
}

static _Noreturn void be_child(int socket, int file, pid_t parent)
{
    kdump_attr_t attribute = { .type = KDUMP_BITMAP };
    kdump_ctx_t *context;
    uint64_t address;

    be_plain(parent);
    limit_memory();
    context = kdump_new();
    if (context == NULL) {
        tell_error(socket, SAY_FAILED, NULL, "there is no memory for libkdumpfile");
        _exit(1);
    }
    /* A file that becomes shorter is then an error of reading, and not a signal. */
    (void)kdump_set_number_attr(context, KDUMP_ATTR_FILE_MMAP_POLICY, KDUMP_MMAP_NEVER);
    if (kdump_open_fd(context, file) != KDUMP_OK ||
        kdump_get_attr(context, KDUMP_ATTR_FILE_PAGEMAP, &attribute) != KDUMP_OK ||
        attribute.type != KDUMP_BITMAP) {
        tell_error(socket, SAY_FAILED, context, "libkdumpfile does not say why");
        _exit(1);
    }
    tell_ranges(socket, attribute.val.bitmap);
    while (recv(socket, &address, sizeof(address), 0) == (ssize_t)sizeof(address))
        answer(socket, context, address);
    _exit(0);
}

/* --- in our process --- */

void kdump_child_stop(struct kdump_child *child)
{
    if (child->socket >= 0)
        (void)close(child->socket);
    if (child->pid > 0) {
        (void)kill(child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    *child = (struct kdump_child){ .socket = -1 };
}

/* How the child ended by itself; it is stopped. */
static bool it_ended(struct kdump_child *child, struct complaint *complaint)
{
    int status = 0;

    (void)shutdown(child->socket, SHUT_RDWR);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    child->pid = 0;
    kdump_child_stop(child);
    if (WIFSIGNALED(status))
        return complain(complaint, "libkdumpfile crashes on it (%s)", strsignal(WTERMSIG(status)));
    return complain(complaint, "libkdumpfile gives up on it");
}

static bool hear(struct kdump_child *child, struct packet *packet, struct complaint *complaint)
{
    struct pollfd wanted = { .fd = child->socket, .events = POLLIN };
    int ready;
    ssize_t count;

    do {
        ready = poll(&wanted, 1, SILENCE_MS);
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0) {
        kdump_child_stop(child);
        return complain(complaint, "libkdumpfile comes to no end with it");
    }
    do {
        count = recv(child->socket, packet, sizeof(*packet), 0);
    } while (count < 0 && errno == EINTR);
    return count == (ssize_t)sizeof(*packet) || it_ended(child, complaint);
}

static bool take_ranges(const struct packet *packet, struct image_memory *memory, struct complaint *complaint)
{
    const uint64_t pages_most = IMAGE_ADDRESS_LIMIT >> VMMU_PAGE_SHIFT;

    /* Whoever read the file may have been led astray by it. */
    if (packet->kind != SAY_RANGES || packet->count > RANGES_AT_ONCE)
        return complain(complaint, "libkdumpfile goes astray on it");
    for (unsigned i = 0; i < packet->count; i++) {
        if (!vmmu_range_fits(packet->ranges[i].base, packet->ranges[i].size_bytes, pages_most))
            return complain(complaint, "it has pages beyond what processors address, 52 bits");
        image_memory_add(memory, packet->ranges[i].base << VMMU_PAGE_SHIFT,
                         packet->ranges[i].size_bytes << VMMU_PAGE_SHIFT, NULL);
    }
    return true;
}

static bool hear_ranges(struct kdump_child *child, struct image_memory *memory, struct complaint *complaint)
{
    struct packet packet;

    for (;;) {
        if (!hear(child, &packet, complaint))
            return false;
        if (packet.kind == SAY_READY)
            return memory->count != 0 || complain(complaint, "it holds no memory");
        if (packet.kind == SAY_FAILED)
            return complain(complaint, "it cannot be read as a compressed dump: %.199s", packet.text);
        if (!take_ranges(&packet, memory, complaint))
            return false;
    }
}

bool kdump_child_start(struct kdump_child *child, int file, struct image_memory *memory,
                       struct complaint *complaint)
{
    const pid_t parent = getpid();
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return complain(complaint, "there is no socket to be had: %s", strerror(errno));
    /* What waits in buffers is ours to write, once. */
    (void)fflush(NULL);
    child->pid = fork();
    if (child->pid == 0) {
        (void)close(ends[0]);
        be_child(ends[1], file, parent);
    }
    (void)close(ends[1]);
    child->socket = ends[0];
    if (child->pid < 0) {
        child->pid = 0;
        kdump_child_stop(child);
        return complain(complaint, "there is no process to be had: %s", strerror(errno));
    }
    return hear_ranges(child, memory, complaint);
}

enum kdump_page kdump_child_read(struct kdump_child *child, uint64_t address, uint8_t *bytes,
                                 struct complaint *complaint)
{
    struct packet packet = { .kind = SAY_FAILED };

    if (child->socket < 0) {
        (void)complain(complaint, "libkdumpfile has given up before");
        return KDUMP_PAGE_BROKEN;
    }
    /* Whoever cannot be asked is heard to have ended. */
    (void)send(child->socket, &address, sizeof(address), MSG_NOSIGNAL);
    if (!hear(child, &packet, complaint))
        return KDUMP_PAGE_BROKEN;
    if (packet.kind == SAY_EXCLUDED)
        return KDUMP_PAGE_EXCLUDED;
    if (packet.kind != SAY_PAGE) {
        (void)complain(complaint, "%.199s", packet.text);
        return KDUMP_PAGE_BROKEN;
    }
    memcpy(bytes, packet.page, sizeof(packet.page));
    return KDUMP_PAGE_THERE;
}
