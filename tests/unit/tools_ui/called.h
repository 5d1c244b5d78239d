/*
 * A command of the tool as main() calls it, in a process of its own: what it prints, and the status it ends with.
 */
#ifndef TESTS_UNIT_TOOLS_UI_CALLED_H
#define TESTS_UNIT_TOOLS_UI_CALLED_H

struct called {
    int status;
    char text[65536]; /* of standard output and standard error; of more, the end */
};

/* Words up to NULL. */
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/*
 * Call @command with @first and then @words, each up to NULL; the first of all is the command's own name. @input becomes its
 * standard input, and is closed; -1: there is none.
 */
struct called called_with(int (*command)(int, char **), const char *const *first, const char *const *words,
                          int input);

/* A descriptor from which @text can be read. */
int called_input(const char *text);

#endif
