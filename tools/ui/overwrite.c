#include "tools/ui/overwrite.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool look_at(const char *path, int standard, struct stat *status)
{
    return (strcmp(path, "-") == 0 ? fstat(standard, status) : stat(path, status)) == 0;
}

/* Devices and pipes keep nothing that could be lost: a terminal may be both. */
bool would_overwrite(const char *output, const char *input)
{
    struct stat out, in;

    return look_at(output, STDOUT_FILENO, &out) && look_at(input, STDIN_FILENO, &in) &&
           (S_ISREG(out.st_mode) || S_ISBLK(out.st_mode)) && out.st_dev == in.st_dev &&
           out.st_ino == in.st_ino;
}
