#include "tools/live/held.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/command.h"
#include "tools/image/link.h"
#include "tools/live/counters.h"

#define ANSWER_LETTERS 256

/* What a process ends with whom a signal ended, as shells have it. */
#define BY_SIGNAL      128

/* Ask @request, to which @word is the answer, and behind it, if it was so before, something more. */
static bool order(const char *socket, const struct live_request *request, const char *word, bool *before,
                  struct complaint *complaint)
{
    char answer[ANSWER_LETTERS];
    struct link link;
    const bool answered = link_open(&link, socket, complaint) &&
                          link_text(&link, request->text, answer, sizeof(answer), complaint);

    link_close(&link);
    if (!answered) {
        return false;
    }
    if (strncmp(answer, word, strlen(word)) != 0) {
        char clean[61];

        counters_copy_text(clean, sizeof(clean), answer);
        return complain(complaint, "the hypervisor answers \"%s\" with \"%s\"", request->text, clean);
    }
    *before = answer[strlen(word)] != '\0';
    return true;
}

bool held_stop(const char *socket, uint32_t partition, bool *before, struct complaint *complaint)
{
    const struct live_request request = live_request("stop", partition);

    return order(socket, &request, "stopped", before, complaint);
}

bool held_go(const char *socket, uint32_t partition, bool *before, struct complaint *complaint)
{
    const struct live_request request = live_request("go", partition);

    return order(socket, &request, "running", before, complaint);
}

/* --- while something is done --- */

static const int endings[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
#define ENDINGS (sizeof(endings) / sizeof(endings[0]))

static volatile sig_atomic_t asked_to_end; /* by this signal */
static volatile sig_atomic_t worker;       /* the process that works, or 0 */

/* Whoever asks us to end means the work; we have to have the partition go on first. */
static void pass_on(int number)
{
    const int saved = errno;

    asked_to_end = number;
    if (worker > 0) {
        (void)kill(worker, number);
    }
    errno = saved;
}

static void catch_endings(struct sigaction *saved)
{
    struct sigaction action = { .sa_handler = pass_on };

    (void)sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < ENDINGS; i++) {
        (void)sigaction(endings[i], &action, &saved[i]);
    }
}

static void restore_endings(const struct sigaction *saved)
{
    for (unsigned i = 0; i < ENDINGS; i++) {
        (void)sigaction(endings[i], &saved[i], NULL);
    }
}

static int wait_for(pid_t process)
{
    int status = 0;

    while (waitpid(process, &status, 0) < 0) {
        if (errno != EINTR) {
            return COMMAND_INPUT;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : BY_SIGNAL + WTERMSIG(status);
}

/* Run @work in another process: it may end that as it likes. */
static int run_apart(int (*work)(void *context), void *context, const struct sigaction *saved)
{
    int status;
    pid_t process;

    (void)fflush(NULL);
    process = fork();
    if (process == 0) {
        restore_endings(saved);
        status = work(context);
        exit(status);
    }
    if (process < 0) {
        return COMMAND_INPUT;
    }
    worker = process;
    if (asked_to_end) {
        (void)kill(process, asked_to_end);
    }
    status = wait_for(process);
    worker = 0;
    return status;
}

int held_while(const char *socket, int (*work)(void *context), void *context)
{
    struct sigaction saved[ENDINGS];
    struct complaint complaint;
    bool held_before = false;
    bool before = false;
    int status;

    asked_to_end = 0;
    catch_endings(saved);
    if (!held_stop(socket, LIVE_ALL, &held_before, &complaint)) {
        give_up(COMMAND_INPUT, "%s: %s", socket, complaint.text);
    }
    status = asked_to_end ? COMMAND_INPUT : run_apart(work, context, saved);
    if (!held_before && !held_go(socket, LIVE_ALL, &before, &complaint)) {
        give_up(COMMAND_INPUT, "%s: the partition may still stand still: %s", socket, complaint.text);
    }
    restore_endings(saved);
    if (asked_to_end) {
        (void)raise(asked_to_end);
    }
    return status;
}
