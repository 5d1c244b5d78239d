/*
 * Files that a simulation is asked to write, looked at before anything is lost or computed.
 */
#ifndef TOOLS_SIM_OUTPUT_H
#define TOOLS_SIM_OUTPUT_H

#include "tools/ui/complain.h"

/*
 * Whether @path may be written: it is none of @count @inputs, whatever it is called here, and can be made or is there to be
 * written. "-" is standard output, or standard input. Otherwise false and *complaint; no file is touched either way.
 */
bool sim_output_may_be(const char *path, const char *const *inputs, unsigned count,
                       struct complaint *complaint);

#endif
