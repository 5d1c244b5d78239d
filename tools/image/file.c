#include "tools/image/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/command.h"

/*
 * The files that are mapped now. The handler below reads the list; it runs where a mapping is read, and nobody reads a
 * mapping while the list is changed.
 */
static struct image_file *mapped_files;

static void say(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

/* Reading a page of a mapping failed. What is not ours gets what it would have got. */
static void on_bus_error(int number, siginfo_t *information, void *context)
{
    const uint8_t *const at = information->si_addr;

    (void)context;
    for (const struct image_file *file = mapped_files; file != NULL; file = file->next) {
        if (at >= file->bytes && (uint64_t)(at - file->bytes) < file->size_bytes) {
            say("vmmu: ");
            say(file->path);
            say(": a part of it can no longer be read: it became shorter, or its disk failed\n");
            _exit(COMMAND_INPUT);
        }
    }
    (void)signal(number, SIG_DFL);
}

static void guard(void)
{
    struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };

    (void)sigaction(SIGBUS, &action, NULL);
}

static bool map(struct image_file *file, struct complaint *complaint)
{
    struct stat status;
    void *bytes;

    if (fstat(file->descriptor, &status) != 0)
        return complain(complaint, "%s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return complain(complaint, "it is not a regular file");
    if (status.st_size == 0)
        return complain(complaint, "it is empty");
    if ((uint64_t)status.st_size > SIZE_MAX)
        return complain(complaint, "it is too large to be mapped");
    bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED | MAP_NORESERVE, file->descriptor, 0);
    if (bytes == MAP_FAILED)
        return complain(complaint, "it cannot be mapped: %s", strerror(errno));
    file->bytes = bytes;
    file->size_bytes = (uint64_t)status.st_size;
    return true;
}

bool image_file_map(struct image_file *file, const char *path, int descriptor, struct complaint *complaint)
{
    *file = (struct image_file){ .path = path, .descriptor = descriptor };
    if (!map(file, complaint)) {
        image_file_close(file);
        return false;
    }
    file->next = mapped_files;
    mapped_files = file;
    guard();
    return true;
}

bool image_file_open(struct image_file *file, const char *path, struct complaint *complaint)
{
    /* Without O_NONBLOCK a pipe with nobody at its other end would hold us here. */
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (descriptor < 0) {
        *file = (struct image_file){ .descriptor = -1 };
        return complain(complaint, "%s", strerror(errno));
    }
    return image_file_map(file, path, descriptor, complaint);
}

static void forget(const struct image_file *file)
{
    struct image_file **link = &mapped_files;

    while (*link != NULL && *link != file)
        link = &(*link)->next;
    if (*link != NULL)
        *link = file->next;
}

void image_file_close(struct image_file *file)
{
    forget(file);
    if (file->bytes != NULL)
        (void)munmap((void *)(uintptr_t)file->bytes, (size_t)file->size_bytes);
    if (file->descriptor >= 0)
        (void)close(file->descriptor);
    *file = (struct image_file){ .descriptor = -1 };
}

bool image_file_holds(const struct image_file *file, uint64_t offset, uint64_t size_bytes)
{
    return offset <= file->size_bytes && size_bytes <= file->size_bytes - offset;
}
