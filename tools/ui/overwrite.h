/*
 * Whether a file that a command is to write is one that it is to read.
 */
#ifndef TOOLS_UI_OVERWRITE_H
#define TOOLS_UI_OVERWRITE_H

#include <stdbool.h>

/*
 * Whether to write @output would destroy @input: both are one file, whatever they are called here. "-" is standard output,
 * or standard input. False for what cannot be looked at. No file is touched.
 */
bool would_overwrite(const char *output, const char *input);

#endif
