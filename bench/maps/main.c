/*
 * measure ROUNDS PROGRAM ARGUMENT...: what a program takes, from its start to its end, as a process with no output.
 *
 * A line for each round: seconds of the clock, seconds of processors, and the most of its memory that was resident at once, in
 * KiB. A small program does this, and not a script: a process is charged at first with the memory of the one it was forked from.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MOST 1000

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

_Noreturn static void become(char **words)
{
    const int nowhere = open("/dev/null", O_WRONLY);

    if (nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0) {
        execv(words[0], words);
    }
    perror(words[0]);
    _exit(127);
}

/* One round. False if the program failed. */
static int measure(char **words)
{
    struct rusage usage;
    int status;
    const double start = now();
    const pid_t child = fork();

    if (child == 0) {
        become(words);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) != child) {
        perror("measure");
        return 0;
    }
    printf("%.6f %.6f %ld\n", now() - start, seconds(usage.ru_utime) + seconds(usage.ru_stime),
           usage.ru_maxrss);
    fflush(stdout);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    const long rounds = argc > 2 ? strtol(argv[1], NULL, 10) : 0;

    if (rounds < 1 || rounds > ROUNDS_MOST) {
        fputs("usage: measure ROUNDS PROGRAM ARGUMENT...\n", stderr);
        return 2;
    }
    for (long round = 0; round < rounds; round++) {
        if (!measure(argv + 2)) {
            return 1;
        }
    }
    return 0;
}
