/*
 * The version of the tool and of the library that is installed with it: also what pkg-config and the manual page say.
 */
#ifndef TOOLS_VERSION_H
#define TOOLS_VERSION_H

#define VMMU_VERSION "0.6"

#endif
