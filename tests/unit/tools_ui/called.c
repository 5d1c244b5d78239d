#include "called.h"

#include <argp.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "tools/command.h"

#define WORDS_MOST 24

int called_input(const char *text)
{
    FILE *const file = tmpfile();
    int input;

    EXPECT(file != NULL);
    EXPECT_EQ(fwrite(text, 1, strlen(text), file), strlen(text));
    rewind(file);
    input = dup(fileno(file));
    EXPECT_EQ(fclose(file), 0);
    return input;
}

/* In the new process, which does not return. */
static void be(int (*command)(int, char **), char **arguments, int input, int output)
{
    int count = 0;
    int status;

    /* As main() has them: a command may write in its arguments. */
    for (; arguments[count]; count++) {
        arguments[count] = strdup(arguments[count]);
    }
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    unsetenv("COLUMNS");
    argp_err_exit_status = COMMAND_USAGE;
    status = command(count, arguments);
    fflush(NULL);
    _exit(status);
}

static void read_all(int from, struct called *called)
{
    const size_t room = sizeof(called->text) - 1;
    size_t length = 0;
    ssize_t got;

    while ((got = read(from, called->text + length, room - length)) > 0) {
        length += (size_t)got;
        if (length == room) {
            length /= 2;
            memmove(called->text, called->text + room - length, length);
        }
    }
    called->text[length] = '\0';
}

struct called called_with(int (*command)(int, char **), const char *const *first, const char *const *words,
                          int input)
{
    const char *const *const lists[] = { first, words };
    struct called called = { 0 };
    char *arguments[WORDS_MOST + 1] = { NULL };
    unsigned count = 0;
    int ends[2];
    pid_t process;

    for (unsigned list = 0; list < 2; list++) {
        for (unsigned i = 0; lists[list][i]; i++) {
            EXPECT(count < WORDS_MOST);
            arguments[count++] = (char *)lists[list][i];
        }
    }
    input = input < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : input;
    EXPECT(input >= 0);
    EXPECT_EQ(pipe(ends), 0);
    fflush(NULL);
    process = fork();
    EXPECT(process >= 0);
    if (process == 0) {
        close(ends[0]);
        be(command, arguments, input, ends[1]);
    }
    close(input);
    close(ends[1]);
    read_all(ends[0], &called);
    close(ends[0]);
    EXPECT_EQ(waitpid(process, &called.status, 0), process);
    EXPECT(WIFEXITED(called.status));
    called.status = WEXITSTATUS(called.status);
    return called;
}
