#include "tools/ui/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BAR_CELLS 40

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void progress_begin(struct progress *progress, const char *what, uint64_t total)
{
    const double now = seconds_now();

    *progress = (struct progress){ .what = what, .total = total, .began = now, .drawn = now + 0.4 };
}

static void draw(const struct progress *progress, uint64_t done, double elapsed)
{
    static const char bar[] = "########################################";
    const double part = progress->total ? (double)done / (double)progress->total : 0;
    const double share = part > 1 ? 1 : part;
    const int cells = (int)(share * BAR_CELLS);

    if (!progress->total) { /* of an input whose end is not known */
        fprintf(stderr, "\r%s %llu, %.0f s \033[K", progress->what, (unsigned long long)done, elapsed);
        return;
    }
    fprintf(stderr, "\r%s [%.*s%*s] %3.0f%%, %.0f s left \033[K", progress->what, cells, bar,
            BAR_CELLS - cells, "", share * 100, share > 0 ? elapsed / share - elapsed : 0);
}

void progress_at(struct progress *progress, uint64_t done)
{
    const double now = seconds_now();

    if (now - progress->drawn < 0.1 || !isatty(STDERR_FILENO)) {
        return;
    }
    progress->drawn = now;
    progress->shown = 1;
    draw(progress, done, now - progress->began);
}

void progress_end(struct progress *progress)
{
    if (progress->shown) {
        fputs("\r\033[K", stderr);
    }
    progress->shown = 0;
}
