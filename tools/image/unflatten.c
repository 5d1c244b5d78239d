#include "tools/image/unflatten.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Behind the header come pieces: place and size, big-endian, then the bytes. Both are -1 at the end. */
#define HEADER_BYTES 4096

struct piece {
    uint64_t place;
    uint64_t size_bytes;
};

static bool read_piece(const struct image_file *file, uint64_t at, struct piece *piece,
                       struct complaint *complaint)
{
    if (!image_file_holds(file, at, sizeof(*piece)))
        return complain(complaint, "its flattened form ends without an end mark: it is cut off");
    memcpy(piece, file->bytes + at, sizeof(*piece));
    piece->place = be64toh(piece->place);
    piece->size_bytes = be64toh(piece->size_bytes);
    return true;
}

static bool is_end(const struct piece *piece)
{
    return piece->place == UINT64_MAX && piece->size_bytes == UINT64_MAX;
}

static bool write_all(int descriptor, const uint8_t *bytes, const struct piece *piece,
                      struct complaint *complaint)
{
    uint64_t done = 0;

    while (done < piece->size_bytes) {
        const ssize_t count = pwrite(descriptor, bytes + done, (size_t)(piece->size_bytes - done),
                                     (off_t)(piece->place + done));

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            return complain(complaint, "its flattened form cannot be put in order in a temporary file: %s",
                            strerror(errno));
        }
        done += (uint64_t)count;
    }
    return true;
}

static bool copy(int descriptor, const struct image_file *file, struct complaint *complaint)
{
    uint64_t at = HEADER_BYTES;
    struct piece piece = { 0 };

    for (;;) {
        if (!read_piece(file, at, &piece, complaint))
            return false;
        if (is_end(&piece))
            return true;
        at += sizeof(piece);
        if (!image_file_holds(file, at, piece.size_bytes)) {
            return complain(complaint,
                            "the flattened piece at 0x%llx says that it has %llu bytes, more than there are",
                            (unsigned long long)at, (unsigned long long)piece.size_bytes);
        }
        if (piece.place > INT64_MAX || piece.size_bytes > INT64_MAX - piece.place) {
            return complain(complaint,
                            "the flattened piece at 0x%llx belongs to 0x%llx, where no file reaches",
                            (unsigned long long)at, (unsigned long long)piece.place);
        }
        if (!write_all(descriptor, file->bytes + at, &piece, complaint))
            return false;
        at += piece.size_bytes;
    }
}

static int temporary_file(struct complaint *complaint)
{
    const char *const folder = getenv("TMPDIR");
    char path[256];
    int descriptor;

    (void)snprintf(path, sizeof(path), "%.200s/vmmu-XXXXXX",
                   folder != NULL && folder[0] != '\0' ? folder : "/tmp");
    descriptor = mkstemp(path);
    if (descriptor < 0) {
        (void)complain(complaint, "a temporary file is needed to put it in order, and %.200s cannot be: %s",
                       path, strerror(errno));
        return -1;
    }
    (void)unlink(path);
    return descriptor;
}

int unflatten(const struct image_file *file, struct complaint *complaint)
{
    const int descriptor = temporary_file(complaint);

    if (descriptor >= 0 && !copy(descriptor, file, complaint)) {
        (void)close(descriptor);
        return -1;
    }
    return descriptor;
}
