/*
 * The plain driver: runs a fuzz target without a fuzzer, on the files that it is given and on mutations of them.
 *
 *     REPLAY [--mutate COUNT SEED] [--keep PATH] FILE...
 *
 * The same arguments always do the same. An input that brings the target down is written to PATH first. An
 * input that takes longer than a minute ends the program, for nothing here may take a second.
 */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sanitizer/common_interface_defs.h>

#include "input.h"

#define LARGEST_INPUT   (1u << 20)
#define LARGEST_MUTANT  (1u << 16)
#define SECONDS_ALLOWED 60

struct bytes {
    uint8_t *data;
    size_t size;
};

/* What runs at this moment, for those who write it down when it is the last. */
static const uint8_t *running;
static size_t running_size;
static const char *keep_path;

/* Only what may be called at any moment, for the heap may be broken when it is. */
static void say(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void keep(void)
{
    const int file = keep_path && running ? open(keep_path, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;

    if (file >= 0) {
        (void)!write(file, running, running_size);
        (void)close(file);
        say("the input is kept in ");
        say(keep_path);
        say("\n");
    }
    running = NULL;
}

/* An assertion of ours, a property that fails, or an endless loop: none of them passes through the sanitizers. */
static void on_signal(int number)
{
    say(number == SIGALRM  ? "the input takes too long\n"
        : number == SIGILL ? "an assertion failed\n"
                           : "the target gave up\n");
    keep();
    _exit(1);
}

static void run(const uint8_t *data, size_t size)
{
    /* A block of its own of just this size, so that reading past the end is seen. */
    uint8_t *copy = malloc(size ? size : 1);

    FUZZ_CHECK(copy);
    if (size) {
        memcpy(copy, data, size);
    }
    running = copy;
    running_size = size;
    alarm(SECONDS_ALLOWED);
    FUZZ_CHECK(LLVMFuzzerTestOneInput(copy, size) == 0);
    alarm(0);
    running = NULL;
    free(copy);
}

static struct bytes read_file(const char *path)
{
    struct bytes file = { malloc(LARGEST_INPUT), 0 };
    FILE *stream = fopen(path, "rb");

    if (!stream || !file.data) {
        perror(path);
        exit(2);
    }
    file.size = fread(file.data, 1, LARGEST_INPUT, stream);
    fclose(stream);
    return file;
}

/* A generator of numbers that is the same everywhere. */
static uint64_t random_state;

static uint64_t random_next(void)
{
    uint64_t z = random_state += 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static size_t random_below(size_t limit)
{
    return (size_t)(random_next() % limit);
}

/* Values at which arithmetic turns. */
static const uint64_t turning[] = { 0,
                                    1,
                                    0x7F,
                                    0x80,
                                    0xFF,
                                    0x100,
                                    0xFFF,
                                    0x1000,
                                    0x7FFF,
                                    0xFFFF,
                                    0x10000,
                                    0x7FFFFFFF,
                                    0x80000000,
                                    0xFFFFFFFF,
                                    0x100000000,
                                    0x7FFFFFFFFFFFFFFF,
                                    UINT64_C(1) << 63,
                                    UINT64_MAX };

/* Write a turning value of one to eight bytes somewhere. */
static void put_turning(struct bytes *mutant)
{
    const uint64_t value = turning[random_below(sizeof(turning) / sizeof(turning[0]))] + random_below(3) - 1;
    const size_t bytes = (size_t)1 << random_below(4);
    const size_t at = random_below(mutant->size);

    for (size_t i = 0; i < bytes && at + i < mutant->size; i++) {
        mutant->data[at + i] = (uint8_t)(value >> (8 * i));
    }
}

/* Take a piece out. */
static void cut(struct bytes *mutant)
{
    const size_t at = random_below(mutant->size);
    const size_t size = 1 + random_below(mutant->size - at);

    memmove(mutant->data + at, mutant->data + at + size, mutant->size - at - size);
    mutant->size -= size;
}

/* Put a piece of @other in, over what is there or before it. */
static void paste(struct bytes *mutant, const struct bytes *other)
{
    const size_t from = random_below(other->size);
    const size_t longest = other->size - from < 256 ? other->size - from : 256;
    const size_t size = 1 + random_below(longest);
    const size_t at = random_below(mutant->size + 1);

    if (mutant->size + size > LARGEST_MUTANT) {
        return;
    }
    memmove(mutant->data + at + size, mutant->data + at, mutant->size - at);
    memcpy(mutant->data + at, other->data + from, size);
    mutant->size += size;
}

static void mutate(struct bytes *mutant, const struct bytes *other)
{
    const size_t kind = mutant->size == 0 ? 7 : random_below(8);

    if (kind < 2) {
        mutant->data[random_below(mutant->size)] ^= (uint8_t)(1u << random_below(8));
    } else if (kind < 4) {
        mutant->data[random_below(mutant->size)] = (uint8_t)random_next();
    } else if (kind < 6) {
        put_turning(mutant);
    } else if (kind == 6) {
        cut(mutant);
    } else if (other->size != 0) {
        paste(mutant, other);
    }
}

/* @count inputs, each one to sixteen mutations away from one of the files. */
static void run_mutants(const struct bytes *files, size_t file_count, size_t count)
{
    struct bytes mutant = { malloc(LARGEST_INPUT), 0 };

    FUZZ_CHECK(mutant.data);
    for (size_t i = 0; i < count; i++) {
        const struct bytes *file = &files[random_below(file_count)];
        const size_t steps = (size_t)1 << random_below(5);

        memcpy(mutant.data, file->data, file->size);
        mutant.size = file->size;
        for (size_t step = 0; step < steps; step++) {
            mutate(&mutant, &files[random_below(file_count)]);
        }
        run(mutant.data, mutant.size);
    }
    free(mutant.data);
}

int main(int argc, char **argv)
{
    size_t mutants = 0;
    size_t count;
    struct bytes *files;
    int at = 1;

    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        if (strcmp(argv[at], "--mutate") == 0 && at + 2 < argc) {
            mutants = strtoul(argv[at + 1], NULL, 10);
            random_state = strtoull(argv[at + 2], NULL, 10);
            at++;
        } else if (strcmp(argv[at], "--keep") == 0) {
            keep_path = argv[at + 1];
        }
    }
    if (at >= argc) {
        fprintf(stderr, "usage: %s [--mutate COUNT SEED] [--keep PATH] FILE...\n", argv[0]);
        return 2;
    }
    count = (size_t)(argc - at);
    files = calloc(count, sizeof(*files));
    FUZZ_CHECK(files);
    __sanitizer_set_death_callback(keep);
    signal(SIGILL, on_signal);
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);
    for (size_t i = 0; i < count; i++) {
        files[i] = read_file(argv[at + (int)i]);
        run(files[i].data, files[i].size);
    }
    run_mutants(files, count, mutants);
    for (size_t i = 0; i < count; i++) {
        free(files[i].data);
    }
    free(files);
    printf("%zu files and %zu mutations of them ran\n", count, mutants);
    return 0;
}
