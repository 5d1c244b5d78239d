/*
 * What `make bench` measures inside the guest: small loops that lean on the MMU or on exits, between marks.
 *
 *     workload mark      execute the mark that says: user space has been reached
 *     workload all       run everything, and say on standard output how long each took
 *     workload NAME      run that one only
 *     workload memory    run those that need most page tables; then, as `all` does, say how many the processes have
 *     workload flush     on several processors, and not one of all: flush a page's translation on every one of them
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../mark.h"

#define FORKS     500
#define MAPS      10
#define MAP_BYTES (64l << 20)
#define PINGS     5000
#define CPUIDS    10000
#define INBS      5000
#define FLUSHES   200
#define PORT      0x3FF /* a serial port's scratch register: read by the hypervisor, no side effect */
#define PAGE      4096
#define RESIDENT  256l /* pages that every fork has to copy the entries of */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static unsigned char *map(size_t bytes)
{
    unsigned char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED) {
        fail("mmap");
    }
    return at;
}

static void touch(volatile unsigned char *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += PAGE) {
        at[i] = 1;
    }
}

static void run_fork(void)
{
    MARK(MARK_FORK);
    for (int i = 0; i < FORKS; i++) {
        const pid_t child = fork();

        if (child < 0) {
            fail("fork");
        }
        if (child == 0) {
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
    MARK(MARK_FORK + 1);
}

static void run_mmap(void)
{
    MARK(MARK_MMAP);
    for (int i = 0; i < MAPS; i++) {
        unsigned char *at = map(MAP_BYTES);

        madvise(at, MAP_BYTES, MADV_NOHUGEPAGE);
        touch(at, MAP_BYTES);
        munmap(at, MAP_BYTES);
    }
    MARK(MARK_MMAP + 1);
}

static void answer_pings(int from, int to)
{
    char byte;

    for (int i = 0; i < PINGS; i++) {
        if (read(from, &byte, 1) != 1 || write(to, &byte, 1) != 1) {
            _exit(1);
        }
    }
    _exit(0);
}

static void run_pipe(void)
{
    int there[2], back[2];
    char byte = 0;
    pid_t child;

    if (pipe(there) || pipe(back)) {
        fail("pipe");
    }
    child = fork();
    if (child < 0) {
        fail("fork");
    }
    if (child == 0) {
        answer_pings(there[0], back[1]);
    }
    MARK(MARK_PIPE);
    for (int i = 0; i < PINGS; i++) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) {
            fail("ping");
        }
    }
    MARK(MARK_PIPE + 1);
    waitpid(child, NULL, 0);
}

static void run_cpuid(void)
{
    MARK(MARK_CPUID);
    for (int i = 0; i < CPUIDS; i++) {
        unsigned a = 0, b, c, d;

        __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d) : : "memory");
    }
    MARK(MARK_CPUID + 1);
}

static void run_inb(void)
{
    if (ioperm(PORT, 1, 1)) {
        fail("ioperm");
    }
    MARK(MARK_INB);
    for (int i = 0; i < INBS; i++) {
        inb(PORT);
    }
    MARK(MARK_INB + 1);
}

/* VmPTE of the process in @folder of /proc: KiB of its page tables, all but the root. 0: it has none of its own. */
static unsigned long table_kib(const char *folder)
{
    char path[64];
    char line[256];
    unsigned long kib = 0;
    FILE *status;

    snprintf(path, sizeof path, "/proc/%.32s/status", folder);
    status = fopen(path, "r");
    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, "VmPTE:", 6) == 0) {
            kib = strtoul(line + 6, NULL, 10);
        }
    }
    if (status) {
        fclose(status);
    }
    return kib;
}

/* As much memory as ever is mapped at a time, and the page tables of every process while it is. */
static void run_tables(void)
{
    unsigned char *at = map(MAP_BYTES);
    unsigned long kib = 0, roots = 0;
    const struct dirent *entry;
    DIR *processes;

    madvise(at, MAP_BYTES, MADV_NOHUGEPAGE);
    touch(at, MAP_BYTES);
    processes = opendir("/proc");
    if (!processes) {
        fail("/proc");
    }
    while ((entry = readdir(processes))) {
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') {
            const unsigned long its_kib = table_kib(entry->d_name);

            kib += its_kib;
            roots += its_kib > 0;
        }
    }
    closedir(processes);
    MARK(MARK_TABLES);
    printf("workload tables kib=%lu own_kib=%lu roots=%lu\n", kib, table_kib("self"), roots);
    munmap(at, MAP_BYTES);
}

static volatile int flushing;
static volatile int ready;

static void stay_on(long processor)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    if (sched_setaffinity(0, sizeof set, &set)) {
        fail("sched_setaffinity");
    }
}

/*
 * A processor that does not run this program's threads needs no flush. No PAUSE: a hypervisor may take the processor away at
 * it, and what that takes would be counted, too.
 */
static void *be_there(void *processor)
{
    stay_on((long)processor);
    __sync_fetch_and_add(&ready, 1);
    while (flushing) {
    }
    return NULL;
}

static void run_flush(void)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned char *at = map(PAGE);
    pthread_t thread;

    stay_on(0);
    flushing = 1;
    for (long i = 1; i < processors; i++) {
        if (pthread_create(&thread, NULL, be_there, (void *)i)) {
            fail("pthread_create");
        }
    }
    while (ready < processors - 1) {
        sched_yield();
    }
    MARK(MARK_FLUSH);
    for (int i = 0; i < FLUSHES; i++) {
        touch(at, PAGE);
        if (mprotect(at, PAGE, PROT_READ) || mprotect(at, PAGE, PROT_READ | PROT_WRITE)) {
            fail("mprotect");
        }
    }
    MARK(MARK_FLUSH + 1);
    flushing = 0;
}

static void timed(const char *name, void (*run)(void))
{
    struct timespec from, to;

    clock_gettime(CLOCK_MONOTONIC, &from);
    run();
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("workload %s ns=%lld\n", name,
           (to.tv_sec - from.tv_sec) * 1000000000ll + to.tv_nsec - from.tv_nsec);
    fflush(stdout);
}

enum group { OF_ALL = 1, OF_MEMORY = 2 };

static const struct {
    const char *name;
    int groups;
    void (*run)(void);
} workloads[] = {
    { "fork", OF_ALL | OF_MEMORY, run_fork },
    { "mmap", OF_ALL | OF_MEMORY, run_mmap },
    { "pipe", OF_ALL, run_pipe },
    { "cpuid", OF_ALL, run_cpuid },
    { "inb", OF_ALL, run_inb },
    { "tables", OF_ALL | OF_MEMORY, run_tables },
    { "flush", 0, run_flush },
};

/* Run the workload of that name, or all of them, or those about memory. Returns how many. */
static unsigned run_named(const char *name)
{
    const int groups = strcmp(name, "all") == 0 ? OF_ALL : strcmp(name, "memory") == 0 ? OF_MEMORY : 0;
    unsigned count = 0;

    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++) {
        if (workloads[i].groups & groups || strcmp(name, workloads[i].name) == 0) {
            timed(workloads[i].name, workloads[i].run);
            count++;
        }
    }
    return count;
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "mark") == 0) {
        MARK(MARK_INIT);
        return 0;
    }
    if (count == 2) {
        touch(map(RESIDENT * PAGE), RESIDENT * PAGE);
        if (run_named(arguments[1])) {
            return 0;
        }
    }
    fprintf(stderr, "usage: workload mark|all|memory|NAME\n");
    return 2;
}
