/*
 * vpid-replay GEOMETRY < TRACE: what each model of bench/vpid/replay.c counted, from the beginning up to each mark of the
 * trace and to its end: a line for what is the same for all, and a line for each model.
 */
#include "replay.h"

static void print(const char *kind, unsigned long number, const struct replay *replay)
{
    const struct replay_common *const common = replay_common(replay);

    printf("%s %lu entries=%lu roots=%lu asked=%lu accesses=%lu,%lu\n", kind, number, common->entries,
           common->roots, common->asked, common->accesses[0], common->accesses[1]);
    for (unsigned i = 0; i < REPLAY_MODELS; i++) {
        const struct replay_counts *const counts = replay_counts(replay, (enum replay_tags)i);

        printf("model %s walks=%lu,%lu loads=%lu,%lu second=%lu,%lu alive=%lu,%lu survived=%lu,%lu "
               "stale=%lu,%lu\n",
               replay_names[i], counts->walks[0], counts->walks[1], counts->loads[0], counts->loads[1],
               counts->second[0], counts->second[1], counts->alive[0], counts->alive[1], counts->survived[0],
               counts->survived[1], counts->stale[0], counts->stale[1]);
    }
    fflush(stdout);
}

int main(int count, char **arguments)
{
    const struct replay_geometry *const geometry = count == 2 ? replay_find_geometry(arguments[1]) : NULL;
    struct replay *const replay = geometry != NULL ? replay_create(geometry) : NULL;
    struct trace_sides sides = { 0 };
    struct trace_record record;

    if (replay == NULL) {
        fprintf(stderr, "usage: vpid-replay skylake|haswell < TRACE\n");
        return 2;
    }
    while (trace_decode(&sides, stdin, &record)) {
        if (!replay_record(replay, &record)) {
            fprintf(stderr,
                    "vpid-replay: the trace is damaged: a record of kind %u that cannot stand there\n",
                    (unsigned)record.kind);
            return 1;
        }
        if (record.kind == TRACE_MARK) {
            print("mark", record.value, replay);
        }
    }
    print("end", 0, replay);
    replay_destroy(replay);
    return 0;
}
