/*
 * Reads pieces of the input, has them answered, and writes the answers in the order of the questions. Where memory is mapped and
 * the machine has several processors, so many pieces are answered at a time, each by a thread of its own (a lane).
 */
#include "tools/walk/batch.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/walk/model.h"
#include "tools/walk/piece.h"

#define LANES_MOST 8

/* A piece on its way. */
struct lane {
    struct piece piece;
    const struct piece_task *task;
    bool busy; /* the piece was begun, and its answers are not written yet */
    bool has_thread;
    bool ended; /* what the thread is woken for is its end */
    pthread_t thread;
    sem_t begun;
    sem_t answered;
};

struct work {
    const struct batch *batch;
    struct batch_result *result;
    struct piece_task task;
    uint64_t lines;         /* of pieces that are written */
    char rest[PIECE_BYTES]; /* the beginning of a line that has not ended */
    size_t rest_bytes;
    bool at_end; /* of the input */
    unsigned lane_count;
    struct lane lanes[LANES_MOST];
};

/* --- lanes --- */

static void *run_lane(void *argument)
{
    struct lane *lane = argument;

    for (;;) {
        while (sem_wait(&lane->begun) != 0) {
        }
        if (lane->ended) {
            return NULL;
        }
        piece_answer(lane->task, &lane->piece);
        sem_post(&lane->answered);
    }
}

/* Memory that is mapped may be loaded by several threads; what has to be read, one at a time. */
static bool may_be_shared(const struct machine *machine)
{
    if (!machine->image || machine->partition) {
        return false;
    }
    for (unsigned i = 0; i < machine->image->range_count; i++) {
        if (!machine->image->ranges[i].mapped) {
            return false;
        }
    }
    return machine->image->range_count > 0;
}

/* As many lanes as processors; the first alone, and without a thread, where that is all there can be. */
static void open_lanes(struct work *work)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const bool shared = processors > 1 && may_be_shared(work->batch->machine);
    const unsigned wanted = !shared ? 1 : processors > LANES_MOST ? LANES_MOST : (unsigned)processors;

    work->lane_count = 1;
    work->lanes[0].task = &work->task;
    for (unsigned i = 0; i < wanted && shared; i++) {
        struct lane *lane = &work->lanes[i];

        lane->task = &work->task;
        if (sem_init(&lane->begun, 0, 0) != 0 || sem_init(&lane->answered, 0, 0) != 0 ||
            pthread_create(&lane->thread, NULL, run_lane, lane) != 0) {
            return;
        }
        lane->has_thread = true;
        work->lane_count = i + 1;
    }
}

/* Wait until the lane's piece is answered, if it has one. */
static void await(struct lane *lane)
{
    while (lane->busy && lane->has_thread && sem_wait(&lane->answered) != 0) {
    }
    lane->busy = false;
}

static void close_lanes(struct work *work)
{
    for (unsigned i = 0; i < LANES_MOST; i++) {
        struct lane *lane = &work->lanes[i];

        if (lane->has_thread) {
            await(lane);
            lane->ended = true;
            sem_post(&lane->begun);
            pthread_join(lane->thread, NULL);
            sem_destroy(&lane->begun);
            sem_destroy(&lane->answered);
        }
        free(lane->piece.output);
    }
}

static void begin(struct lane *lane)
{
    lane->busy = true;
    if (lane->has_thread) {
        sem_post(&lane->begun);
    } else {
        piece_answer(lane->task, &lane->piece);
    }
}

/* --- output --- */

static bool write_all(const struct work *work, const char *from, size_t size_bytes,
                      struct complaint *complaint)
{
    while (size_bytes > 0) {
        const ssize_t written = write(work->batch->output, from, size_bytes);

        if (written < 0 && errno != EINTR) {
            return complain(complaint, "the output cannot be written: %s", strerror(errno));
        }
        from += written > 0 ? written : 0;
        size_bytes -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

/* Wait for a lane's answers, and write them. Lanes are finished in the order in which they were begun. */
static bool finish(struct work *work, struct lane *lane, struct complaint *complaint)
{
    const struct piece *piece = &lane->piece;

    if (!lane->busy) {
        return true;
    }
    await(lane);
    work->lines += piece->lines;
    work->result->translated += piece->translated;
    work->result->faults += piece->faults;
    if (!write_all(work, piece->output, piece->output_bytes, complaint)) {
        return false;
    }
    return !piece->bad ||
           complain(complaint, "%s: line %" PRIu64 " is no address%s: give hexadecimal digits, 16 at most",
                    work->batch->name, work->lines, work->task.wide ? "" : " of 32 bits");
}

/* All that is on its way, from the lane that was begun first: @next, the one to be begun next. */
static bool finish_all(struct work *work, unsigned next, struct complaint *complaint)
{
    for (unsigned i = 0; i < work->lane_count; i++) {
        if (!finish(work, &work->lanes[(next + i) % work->lane_count], complaint)) {
            return false;
        }
    }
    return true;
}

/* --- input --- */

/* Read behind what the piece holds already. False and *complaint if that fails. */
static bool read_more(struct work *work, struct piece *piece, struct complaint *complaint)
{
    ssize_t count;

    do {
        count = read(work->batch->input, piece->input + piece->input_bytes, PIECE_BYTES - piece->input_bytes);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return complain(complaint, "%s: %s", work->batch->name, strerror(errno));
    }
    piece->input_bytes += (size_t)count;
    work->at_end = count == 0;
    return true;
}

/*
 * Whole lines, as many as a read gives; none at the end of the input. What begins another line is kept for the next piece.
 * False and *complaint if the input cannot be read, or has a line longer than a piece.
 */
static bool fill(struct work *work, struct piece *piece, struct complaint *complaint)
{
    const char *newline = NULL;

    memcpy(piece->input, work->rest, work->rest_bytes);
    piece->input_bytes = work->rest_bytes;
    work->rest_bytes = 0;
    while (!newline && !work->at_end) {
        if (piece->input_bytes == PIECE_BYTES) {
            return complain(complaint, "%s: a line has more than %zu bytes", work->batch->name, PIECE_BYTES);
        }
        if (!read_more(work, piece, complaint)) {
            return false;
        }
        newline = memrchr(piece->input, '\n', piece->input_bytes);
    }
    if (work->at_end && piece->input_bytes > 0) { /* a last line without a newline */
        piece->input[piece->input_bytes++] = '\n';
    } else if (newline) {
        const size_t whole = (size_t)(newline + 1 - piece->input);

        work->rest_bytes = piece->input_bytes - whole;
        memcpy(work->rest, newline + 1, work->rest_bytes);
        piece->input_bytes = whole;
    }
    return true;
}

static bool answer_input(struct work *work, struct complaint *complaint)
{
    for (unsigned next = 0;; next = (next + 1) % work->lane_count) {
        struct lane *lane = &work->lanes[next];

        if (!finish(work, lane, complaint)) {
            return false;
        }
        if (!fill(work, &lane->piece, complaint)) {
            struct complaint ignored;

            (void)finish_all(work, next, &ignored); /* what came before is answered */
            return false;
        }
        if (lane->piece.input_bytes == 0) {
            return finish_all(work, next, complaint);
        }
        begin(lane);
        /* Whoever writes an address and waits for its answer must get it. */
        if (lane->piece.input_bytes < PIECE_BYTES / 2 &&
            !finish_all(work, (next + 1) % work->lane_count, complaint)) {
            return false;
        }
    }
}

bool batch_run(const struct batch *batch, struct batch_result *result, struct complaint *complaint)
{
    const struct vmmu_x86_mode *mode = &batch->machine->mode;
    struct work *work = take_memory(1, sizeof(*work));
    bool done;

    *result = (struct batch_result){ 0 };
    work->batch = batch;
    work->result = result;
    work->task = (struct piece_task){
        .machine = batch->machine,
        .mode = batch->judged ? *mode : vmmu_mode_open(mode),
        .access = batch->access,
        .json = batch->json,
        .wide = mode->address_bits != 32,
    };
    open_lanes(work);
    done = answer_input(work, complaint);
    close_lanes(work);
    free(work);
    return done;
}
