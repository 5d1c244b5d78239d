/*
 * Errors as sentences. Rooms that read input fill in a struct complaint and return; commands print it and end.
 */
#ifndef TOOLS_UI_COMPLAIN_H
#define TOOLS_UI_COMPLAIN_H

#include <stdbool.h>

/* Why something could not be done: one sentence, no full stop, no newline. */
struct complaint {
    char text[320];
    bool usage; /* the command line is to blame, and not an input */
};

/* Set @complaint, and be false: `return complain(complaint, "...")`. */
__attribute__((format(printf, 2, 3))) bool complain(struct complaint *complaint, const char *format, ...);

/* The same where the command line asks for what cannot be. */
__attribute__((format(printf, 2, 3))) bool complain_usage(struct complaint *complaint, const char *format,
                                                          ...);

/* Print @complaint to standard error as give_up() does, and exit with COMMAND_INPUT or COMMAND_USAGE. */
_Noreturn void give_up_for(const struct complaint *complaint);

/* Print "vmmu: SENTENCE" to standard error and exit with @status, an enum command_status. */
__attribute__((format(printf, 2, 3))) _Noreturn void give_up(int status, const char *format, ...);

/* malloc and realloc for members of arrays, zeroed where new; ends the program when there is no memory. */
void *take_memory(unsigned long count, unsigned long size_bytes);
void *grow_memory(void *old, unsigned long old_count, unsigned long count, unsigned long size_bytes);

#endif
