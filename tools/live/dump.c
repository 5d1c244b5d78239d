/*
 * The machine's memory comes from the file beside the socket, if there is one: holes in it stay holes. Else it is asked for,
 * page by page, over the control port, several requests ahead of the answers; and then only what is the partitions', for the
 * hypervisor tells nothing else.
 */
#include "tools/live/dump.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vmmu/base.h>

#include "tools/image/link.h"
#include "tools/live/counters.h"
#include "tools/live/ranges.h"
#include "tools/ui/progress.h"

#define CHUNK_BYTES   ((size_t)1 << 20)
#define PAGES_AT_ONCE 1024U /* asked about, whether they are zero */
#define NOTE_NAME     "VMMU"
#define NOTE_STATE    1

/* A dump under way. */
struct dump {
    const char *socket;
    char *memory_path; /* the file of the machine's memory */
    bool whole;        /* there is one */
    int memory;        /* it, while it is read */
    char *path;        /* where it is to be in the end */
    char *part;        /* where it is written, before it is complete */
    int out;
    char *state;                 /* JSON text */
    struct image_memory content; /* what of the machine's memory goes into it */
    uint8_t *chunk;
    uint64_t done_bytes;
    uint64_t written_bytes;
    struct progress progress;
};

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

/* --- writing --- */

static bool write_at(const struct dump *dump, const void *bytes, size_t count, uint64_t at,
                     struct complaint *complaint)
{
    const uint8_t *from = bytes;

    while (count > 0) {
        const ssize_t written = pwrite(dump->out, from, count, (off_t)at);

        if (written < 0 && errno != EINTR) {
            return complain(complaint, "%s cannot be written: %s", dump->part, strerror(errno));
        }
        if (written > 0) {
            from += written;
            count -= (size_t)written;
            at += (uint64_t)written;
        }
    }
    return true;
}

static bool is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, VMMU_PAGE_BYTES - 1) == 0;
}

/* Write whole pages, but for those that are zero: the file reads as zero where nothing was written. */
static bool write_pages(struct dump *dump, const uint8_t *bytes, size_t count, uint64_t at,
                        struct complaint *complaint)
{
    size_t from = 0;

    while (from < count) {
        size_t end = from;

        while (end < count && !is_zero(bytes + end)) {
            end += VMMU_PAGE_BYTES;
        }
        if (end > from && !write_at(dump, bytes + from, end - from, at + from, complaint)) {
            return false;
        }
        dump->written_bytes += end - from;
        from = end + VMMU_PAGE_BYTES;
    }
    return true;
}

static void advance(struct dump *dump, uint64_t bytes)
{
    dump->done_bytes += bytes;
    progress_at(&dump->progress, dump->done_bytes);
}

/* --- memory from the file of it --- */

/* Where in the file data begins at or behind @at; @end if there is none before that. */
static uint64_t next_data(int memory, uint64_t at, uint64_t end)
{
    const off_t found = lseek(memory, (off_t)at, SEEK_DATA);
    uint64_t data = end;

    if (found >= 0) {
        data = (uint64_t)found / VMMU_PAGE_BYTES * VMMU_PAGE_BYTES;
    } else if (errno != ENXIO) {
        data = at; /* a file system that knows no holes */
    }
    return data < end ? data : end;
}

/* @bytes at @from of the file of memory go to @at. */
static bool copy_range(struct dump *dump, uint64_t bytes, uint64_t from, uint64_t at,
                       struct complaint *complaint)
{
    uint64_t done = 0;

    while (done < bytes) {
        const uint64_t data = next_data(dump->memory, from + done, from + bytes) - from;
        const size_t most = bytes - data < CHUNK_BYTES ? (size_t)(bytes - data) : CHUNK_BYTES;
        ssize_t count;

        advance(dump, data - done);
        if (most == 0) {
            return true;
        }
        count = pread(dump->memory, dump->chunk, most, (off_t)(from + data));
        if (count <= 0 || (size_t)count % VMMU_PAGE_BYTES != 0) {
            return complain(complaint, "%s cannot be read: %s", dump->memory_path,
                            count < 0 ? strerror(errno) : "it ends too early");
        }
        if (!write_pages(dump, dump->chunk, (size_t)count, at + data, complaint)) {
            return false;
        }
        done = data + (uint64_t)count;
        advance(dump, (uint64_t)count);
    }
    return true;
}

static bool copy_memory(struct dump *dump, const uint64_t *places, struct complaint *complaint)
{
    uint64_t from = 0;
    bool copied = true;

    dump->memory = open(dump->memory_path, O_RDONLY | O_CLOEXEC);
    if (dump->memory < 0) {
        return complain(complaint, "%s: %s", dump->memory_path, strerror(errno));
    }
    for (unsigned i = 0; copied && i < dump->content.count; i++) {
        copied = copy_range(dump, dump->content.ranges[i].size_bytes, from, places[i], complaint);
        from += dump->content.ranges[i].size_bytes;
    }
    (void)close(dump->memory);
    return copied;
}

/* --- memory over the control port --- */

/* A range that is asked for, page by page. */
struct fetch {
    struct dump *dump;
    struct link link;
    const struct image_range *range;
    uint64_t place;  /* of it in the dump */
    unsigned wanted; /* pages whose content is worth asking for, up to so many ahead of the answers */
    uint64_t offsets[LINK_AHEAD]; /* of these in the range */
};

static bool take_page(struct fetch *fetch, uint64_t offset, struct complaint *complaint)
{
    struct dump *const dump = fetch->dump;

    switch (link_take_read(&fetch->link, dump->chunk, VMMU_PAGE_BYTES, complaint)) {
    case LINK_FAILED: return false;
    case LINK_ABSENT:
        return complain(complaint,
                        "the hypervisor does not tell the page at 0x%" PRIx64 ", which is the partition's",
                        fetch->range->base + offset);
    case LINK_THERE: break;
    }
    return write_pages(dump, dump->chunk, VMMU_PAGE_BYTES, fetch->place + offset, complaint);
}

static bool fetch_wanted(struct fetch *fetch, struct complaint *complaint)
{
    for (unsigned i = 0; i < fetch->wanted; i++) {
        if (!link_ask_read(&fetch->link, fetch->range->base + fetch->offsets[i], VMMU_PAGE_BYTES,
                           complaint)) {
            return false;
        }
    }
    for (unsigned i = 0; i < fetch->wanted; i++) {
        if (!take_page(fetch, fetch->offsets[i], complaint)) {
            return false;
        }
    }
    fetch->wanted = 0;
    return true;
}

/* A letter for each of @count pages from @offset on: '0' if there is nothing in it. */
static bool ask_pages(struct fetch *fetch, uint64_t offset, unsigned count, char *letters,
                      struct complaint *complaint)
{
    char request[48];
    char clean[61];

    (void)snprintf(request, sizeof(request), "pages %" PRIx64 " %u", fetch->range->base + offset, count);
    if (!link_text(&fetch->link, request, letters, PAGES_AT_ONCE + 1, complaint)) {
        return false;
    }
    if (strlen(letters) == count && strspn(letters, "-01") == count) {
        return true;
    }
    counters_copy_text(clean, sizeof(clean), letters);
    return complain(complaint, "the hypervisor answers \"pages\" with \"%s\"", clean);
}

/* @count pages of the range, from @first on. */
static bool fetch_pages(struct fetch *fetch, uint64_t first, unsigned count, struct complaint *complaint)
{
    char letters[PAGES_AT_ONCE + 1];

    if (!ask_pages(fetch, first, count, letters, complaint)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (letters[i] != '0') {
            fetch->offsets[fetch->wanted++] = first + i * VMMU_PAGE_BYTES;
        }
        if ((fetch->wanted == LINK_AHEAD || i == count - 1) && !fetch_wanted(fetch, complaint)) {
            return false;
        }
        advance(fetch->dump, VMMU_PAGE_BYTES);
    }
    return true;
}

static bool fetch_range(struct fetch *fetch, struct complaint *complaint)
{
    const uint64_t bytes = fetch->range->size_bytes;
    uint64_t count;

    for (uint64_t first = 0; first < bytes; first += count * VMMU_PAGE_BYTES) {
        count = (bytes - first) / VMMU_PAGE_BYTES;
        count = count < PAGES_AT_ONCE ? count : PAGES_AT_ONCE;
        if (!fetch_pages(fetch, first, (unsigned)count, complaint)) {
            return false;
        }
    }
    return true;
}

static bool fetch_memory(struct dump *dump, const uint64_t *places, struct complaint *complaint)
{
    struct fetch fetch = { .dump = dump };
    bool fetched = link_open(&fetch.link, dump->socket, complaint);

    for (unsigned i = 0; fetched && i < dump->content.count; i++) {
        fetch.range = &dump->content.ranges[i];
        fetch.place = places[i];
        fetched = fetch_range(&fetch, complaint);
    }
    link_close(&fetch.link);
    return fetched;
}

/* --- the file --- */

/* File header, program headers and the note; *places are where each range is to go, and *end where the file ends. */
static bool write_head(const struct dump *dump, uint64_t *places, uint64_t *end, struct complaint *complaint)
{
    const unsigned headers = dump->content.count + 1;
    const uint64_t note_at = sizeof(Elf64_Ehdr) + (uint64_t)headers * sizeof(Elf64_Phdr);
    const uint64_t text_bytes = strlen(dump->state);
    const Elf64_Nhdr note = { .n_namesz = sizeof(NOTE_NAME),
                              .n_descsz = (Elf64_Word)text_bytes,
                              .n_type = NOTE_STATE };
    const uint64_t name_bytes = round_up(sizeof(NOTE_NAME), 4);
    const uint64_t note_bytes = sizeof(note) + name_bytes + round_up(text_bytes, 4);
    Elf64_Phdr *const table = take_memory(headers, sizeof(*table));
    const Elf64_Ehdr file = {
        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(file),
        .e_ehsize = sizeof(file),
        .e_phentsize = sizeof(*table),
        .e_phnum = (Elf64_Half)headers,
    };
    uint64_t at = round_up(note_at + note_bytes, VMMU_PAGE_BYTES);
    bool written;

    table[0] = (Elf64_Phdr){
        .p_type = PT_NOTE, .p_offset = note_at, .p_filesz = note_bytes, .p_memsz = note_bytes, .p_align = 4
    };
    for (unsigned i = 0; i < dump->content.count; i++) {
        const struct image_range *const range = &dump->content.ranges[i];

        places[i] = at;
        table[i + 1] = (Elf64_Phdr){ .p_type = PT_LOAD,
                                     .p_flags = PF_R | PF_W | PF_X,
                                     .p_offset = at,
                                     .p_paddr = range->base,
                                     .p_filesz = range->size_bytes,
                                     .p_memsz = range->size_bytes,
                                     .p_align = VMMU_PAGE_BYTES };
        at += range->size_bytes;
    }
    *end = at;
    written = write_at(dump, &file, sizeof(file), 0, complaint) &&
              write_at(dump, table, headers * sizeof(*table), sizeof(file), complaint) &&
              write_at(dump, &note, sizeof(note), note_at, complaint) &&
              write_at(dump, NOTE_NAME, sizeof(NOTE_NAME), note_at + sizeof(note), complaint) &&
              write_at(dump, dump->state, text_bytes, note_at + sizeof(note) + name_bytes, complaint);
    free(table);
    return written;
}

static bool write_file(struct dump *dump, struct complaint *complaint)
{
    uint64_t *const places = take_memory(dump->content.count, sizeof(*places));
    uint64_t end = 0;
    bool written = write_head(dump, places, &end, complaint);

    if (written && ftruncate(dump->out, (off_t)end) != 0) {
        written = complain(complaint, "%s cannot be written: %s", dump->part, strerror(errno));
    }
    written = written && (dump->whole ? copy_memory : fetch_memory)(dump, places, complaint);
    free(places);
    return written;
}

/* --- what to write --- */

/* The state, and the ranges of memory. */
static bool look(struct dump *dump, struct complaint *complaint)
{
    const struct image_options options = { .format = IMAGE_LIVE };
    struct image *const image = image_open(dump->socket, &options, complaint);
    bool known = true;

    if (!image) {
        return false;
    }
    dump->whole = image->range_count > 0 && image->ranges[0].mapped;
    for (unsigned i = 0; dump->whole && i < image->range_count; i++) {
        image_memory_add(&dump->content, image->ranges[i].base, image->ranges[i].size_bytes, NULL);
    }
    if (!dump->whole) {
        known = ranges_of_partitions(&dump->content, image, complaint);
        image_memory_settle(&dump->content);
    }
    dump->state = strdup(json_object_to_json_string_ext(image->state, JSON_C_TO_STRING_PLAIN));
    image_close(image);
    if (known && (dump->content.count == 0 || dump->content.count > PN_XNUM - 2)) {
        return complain(complaint, "the memory to dump is in %u pieces", dump->content.count);
    }
    return known && (dump->state || complain(complaint, "there is no memory for the state"));
}

static uint64_t total_bytes(const struct dump *dump)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < dump->content.count; i++) {
        total += dump->content.ranges[i].size_bytes;
    }
    return total;
}

/*
 * What stands at @path already goes only if it is a dump as this one is: a plain file, by way of links or not. A device or a
 * pipe is not written to, since a dump is written in no order; and it should not vanish.
 */
static bool choose_path(struct dump *dump, const char *path, struct complaint *complaint)
{
    struct stat status;

    if (lstat(path, &status) != 0) {
        dump->path = strdup(path); /* nothing is there: whether something can be will be seen */
        return dump->path || complain(complaint, "there is no memory for a name");
    }
    dump->path = realpath(path, NULL);
    if (!dump->path || stat(dump->path, &status) != 0) {
        return complain(complaint, "%s is a link that leads to no file: %s", path, strerror(errno));
    }
    return S_ISREG(status.st_mode) ||
           complain(complaint, "%s is there already, and no plain file: a dump does not replace it", path);
}

/* Make room for what is written before it is complete: what a dump left that was killed may go, and a link. */
static bool clear_part(const struct dump *dump, struct complaint *complaint)
{
    struct stat status;

    if (lstat(dump->part, &status) != 0) {
        return true;
    }
    if (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode)) {
        return complain(complaint, "%s is in the way, and no plain file", dump->part);
    }
    return unlink(dump->part) == 0 || complain(complaint, "%s: %s", dump->part, strerror(errno));
}

static bool make_file(struct dump *dump, struct complaint *complaint)
{
    bool made;

    if (!clear_part(dump, complaint)) {
        return false;
    }
    /* A guest's memory is nobody else's affair; and what stands there already is not written through. */
    dump->out = open(dump->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (dump->out < 0) {
        return complain(complaint, "%s: %s", dump->part, strerror(errno));
    }
    progress_begin(&dump->progress, "dump", total_bytes(dump));
    made = write_file(dump, complaint);
    progress_end(&dump->progress);
    if (close(dump->out) != 0 && made) {
        made = complain(complaint, "%s cannot be written: %s", dump->part, strerror(errno));
    }
    if (made && rename(dump->part, dump->path) != 0) {
        made = complain(complaint, "%s: %s", dump->path, strerror(errno));
    }
    if (!made) {
        (void)unlink(dump->part);
    }
    return made;
}

static void forget(struct dump *dump)
{
    image_memory_free(&dump->content);
    free(dump->chunk);
    free(dump->state);
    free(dump->memory_path);
    free(dump->part);
    free(dump->path);
}

bool dump_write(const char *socket, const char *path, struct dump_summary *summary,
                struct complaint *complaint)
{
    struct dump dump = { .socket = socket, .chunk = take_memory(CHUNK_BYTES, 1) };
    bool made = choose_path(&dump, path, complaint);

    if (made && (asprintf(&dump.memory_path, "%s.memory", socket) < 0 ||
                 asprintf(&dump.part, "%s.part", dump.path) < 0)) {
        made = complain(complaint, "there is no memory for a name");
    }
    made = made && look(&dump, complaint) && make_file(&dump, complaint);
    *summary = (struct dump_summary){ .memory_bytes = total_bytes(&dump),
                                      .written_bytes = dump.written_bytes,
                                      .ranges = dump.content.count,
                                      .whole = dump.whole };
    forget(&dump);
    return made;
}
