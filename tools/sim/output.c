#include "tools/sim/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/ui/overwrite.h"

static bool is_standard(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* 0, or why a file at @path, which is not there, cannot be made. */
static int why_not_made(const char *path)
{
    const char *const slash = strrchr(path, '/');
    char *const folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int why = 0;

    if (!folder) {
        why = ENOMEM;
    } else if (slash && slash[1] == '\0') {
        why = EISDIR;
    } else if (access(folder, W_OK | X_OK) != 0) {
        why = errno;
    }
    free(folder);
    return why;
}

static int why_not_written(const char *path)
{
    struct stat status;

    if (stat(path, &status) == 0) {
        return S_ISDIR(status.st_mode) ? EISDIR : access(path, W_OK) != 0 ? errno : 0;
    }
    return errno == ENOENT ? why_not_made(path) : errno;
}

bool sim_output_may_be(const char *path, const char *const *inputs, unsigned count,
                       struct complaint *complaint)
{
    const int why = is_standard(path) ? 0 : why_not_written(path);

    for (unsigned i = 0; i < count; i++) {
        if (would_overwrite(path, inputs[i])) {
            return complain_usage(complaint, "%s is the trace itself, and would be overwritten", path);
        }
    }
    return why == 0 || complain(complaint, "%s cannot be written: %s", path, strerror(why));
}
