/*
 * The subcommands of vmmu, and what its exit statuses mean.
 */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

enum command_status {
    COMMAND_OK = 0,    /* done, and the answer is a good one */
    COMMAND_NO = 1,    /* done, and the answer is: a fault, findings, a difference, nothing found */
    COMMAND_USAGE = 2, /* the command line cannot be */
    COMMAND_INPUT =
        3, /* an input cannot be opened, or is not what it should be; or the output cannot be written */
};

/* argv[0] is "vmmu NAME", for messages. Each returns an enum command_status. */
int walk_command(int argc, char **argv);
int explain_command(int argc, char **argv);
int maps_command(int argc, char **argv);
int check_command(int argc, char **argv);
int sim_command(int argc, char **argv);
int live_command(int argc, char **argv);
int top_command(int argc, char **argv);
int report_command(int argc, char **argv);

#endif
